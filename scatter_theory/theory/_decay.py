r"""Energy decay: how fast :math:`W_N(f) = \sum_q \|U[q]f\|^2` falls with depth, for Parseval frames and the modulus.

The one-dimensional rate, proved. Let every propagating filter of every layer have its spectrum in [p, q] or in
[-q, -p] with q > p > 0 and :math:`(q-p)/(q+p) \le \rho < 1`, let :math:`\hat\chi = 1` below :math:`\delta`, and write
:math:`\hat r(\xi) = (1 - |\xi|)_+^m`, m >= 1, :math:`a = 1/\rho`. Then, without pooling,

.. math:: W_N(f) \le \int |\hat f(\xi)|^2 \big(1 - \hat r(\xi / (\delta a^{N-1}))^2\big) \, d\xi .

N = 1 is the gap: what propagates has :math:`|\xi| \ge \delta`. For the step, the kernel whose transform is
:math:`\hat r(\cdot/c)` is non-negative, so that :math:`| |u| * r_c | \ge |u * M_v r_c|` for every modulation v. Hence
:math:`W_{N+1}(f) = \sum_\lambda W_N(|f*g_\lambda|) \le \sum_\lambda \int |\hat f|^2 |\hat g_\lambda|^2
(1 - \hat r((\xi - v_\lambda)/c)^2)`, and with :math:`v = 2pq/(p+q)` one has :math:`|\xi - v| \le \rho |\xi|` on
[p, q], so c grows by the factor a. With :math:`v = \delta` and :math:`c = N\delta` the same step gives linear growth
for every one-sided filter with a gap. Only norms were used, so half banks on real signals are included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def wavelet_decay_rate(r: float = 2.0) -> float:
    r"""Rate :math:`a = (r^2 + 1)/(r^2 - 1)` for wavelets whose mother spectrum lies in [1/r, r]; 5/3 for octaves.

    Every dilate has the same ratio :math:`(q - p)/(q + p) = (r^2 - 1)/(r^2 + 1)`.

    Parameters
    ----------
    r : float
        Ratio, above 1.

    Returns
    -------
    float
        a > 1.

    Raises
    ------
    ValueError
        Unless r > 1.

    Examples
    --------
    >>> wavelet_decay_rate(2.0)
    1.6667
    """
    if not r > 1:
        raise ValueError(f"`wavelet_decay_rate(r=...)`: got {r}, expected a number > 1.")
    return (r * r + 1) / (r * r - 1)


def weyl_heisenberg_decay_rate(start: float = 0.5, half_width: float = 1.0) -> float:
    r"""Rate :math:`a = 1 + p/b` for equal bands :math:`[p + jR, p + jR + 2b]`, j = 0, 1, ...; 3/2 for [R/2, 5R/2].

    The lowest band is the widest relative to its position: :math:`(q-p)/(q+p) = b/(p+b)`.

    Parameters
    ----------
    start, half_width : float
        p > 0 and b > 0, in the same unit.

    Returns
    -------
    float
        a > 1.

    Raises
    ------
    ValueError
        Unless both numbers are positive.
    """
    if not (start > 0 and half_width > 0):
        raise ValueError(
            f"`weyl_heisenberg_decay_rate(start=..., half_width=...)`: got {start} and {half_width}, expected both > 0."
        )
    return 1.0 + start / half_width


def band_decay_rate(bands: Iterable[tuple[float, float]]) -> float:
    r"""Rate :math:`a = \min (q+p)/(q-p)` for filters with spectra in bands :math:`\pm[p, q]`, q >= p > 0.

    Infinite if every band is a single frequency: one modulus then leaves only the mean, and :math:`W_2 = 0`.

    Parameters
    ----------
    bands : iterable of (float, float)
        Ends p, q of the band of each filter, all in one unit.

    Returns
    -------
    float
        a > 1, possibly infinite.

    Raises
    ------
    ValueError
        For no band at all, or one that does not satisfy 0 < p <= q.
    """
    bands = tuple(bands)
    if not bands or any(not 0 < p <= q for p, q in bands):
        raise ValueError(f"`band_decay_rate(bands=...)`: got {bands}, expected pairs (p, q) with 0 < p <= q.")
    rho = max((q - p) / (q + p) for p, q in bands)
    return 1.0 / rho if rho > 0 else math.inf


def _radius(N: int, delta: float, rate: float | None) -> float:
    """Radius c_N of the kernel: ``delta a^(N-1)``, or ``N delta`` without a rate."""
    if N < 1:
        raise ValueError(f"`N`: got {N}, expected a depth >= 1; W_0 is the energy of the signal.")
    return N * delta if rate is None else delta * rate ** (N - 1)


def decay_multiplier(xi: Any, N: int, *, delta: float, rate: float | None, m: float = 1.0) -> np.ndarray:
    r"""Multiplier :math:`1 - \hat r(\xi/c_N)^2`, whose integral against :math:`|\hat f|^2` bounds :math:`W_N(f)`.

    Parameters
    ----------
    xi : array of any shape
        Frequencies, in the unit of `delta`.
    N : int
        Depth, >= 1.
    delta : float
        Gap: all propagating filters of all layers vanish for :math:`|\xi| < \delta`.
    rate : float or None
        a, giving :math:`c_N = \delta a^{N-1}`; None gives :math:`c_N = N\delta`, for any one-sided filters with a gap.
    m : float
        Exponent of the kernel, >= 1. Smaller is sharper.

    Returns
    -------
    array
        Values in [0, 1], of the shape of `xi`.
    """
    kernel = np.clip(1.0 - np.abs(xi) / _radius(N, delta, rate), 0.0, None) ** m
    return 1.0 - kernel**2


def decay_steps_on_grid(n_points: int, *, delta: float, rate: float | None) -> int:
    r"""Largest N up to which `decay_multiplier` bounds :math:`W_N` on a periodic grid without pooling (d = 1).

    The proof multiplies by the sampled, periodised kernel, which must fit below the Nyquist frequency in its last use:
    :math:`\delta a^{N-2} \le n/2` bins, or :math:`\delta (N-1) \le n/2` without a rate.

    Parameters
    ----------
    n_points : int
        Samples of the grid.
    delta : float
        Smallest DFT bin (absolute value) in any propagating spectrum; bands in `band_decay_rate` are in bins too.
    rate : float or None
        As in `decay_multiplier`, > 1.

    Returns
    -------
    int
        N >= 1.
    """
    room = n_points / (2 * delta)
    if room < 1:
        return 1
    if rate is None:
        return 1 + math.floor(room)
    return 2 + math.floor(math.log(room) / math.log(rate) + 1e-12)


def sobolev_decay_bound(N: int, seminorm: float, *, s: float, delta: float, rate: float, m: float = 1.0) -> float:
    r"""Exponential decay on a Sobolev class: :math:`W_N \le (2m/(\delta a^{N-1}))^{2s'} \| |\xi|^{s'} \hat f \|^2`.

    Here :math:`s' = \min(s, 1/2)`; it follows from :math:`1 - (1-x)_+^{2m} \le \min(1, 2mx) \le (2mx)^{2s'}`. On all of
    :math:`L^2(\mathbb R)` there is no uniform exponential rate.

    Parameters
    ----------
    N : int
        Depth, >= 1.
    seminorm : float
        :math:`\| |\xi|^{s'} \hat f \|`, not squared.
    s : float
        Smoothness, > 0.
    delta, rate, m
        As in `decay_multiplier`.

    Returns
    -------
    float
        Upper value of :math:`W_N`, an energy.
    """
    return (2 * m / _radius(N, delta, rate)) ** (2 * min(s, 0.5)) * seminorm**2


def layers_needed(fraction: float, *, L: float = 1.0, delta: float = 1.0, m: float = 1.0, rate: float | None) -> int:
    r"""Smallest N for which layers 0 to N surely hold `fraction` of the energy of a band-limited signal (d = 1).

    With :math:`x = L / (\delta (1 - \text{fraction}^{1/(2m)}))` the answer is :math:`\lceil \log_a x \rceil`, or
    :math:`\lceil x \rceil - 1` without a rate. The features of layers 0 to N leave :math:`W_{N+1}`, and
    `decay_multiplier` at N + 1 is at most ``1 - fraction`` on :math:`|\xi| \le L` exactly if its radius reaches
    :math:`\delta x`.

    Parameters
    ----------
    fraction : float
        Share of the energy, in (0, 1).
    L : float
        Band limit of the signal, in the unit of `delta`.
    delta, m, rate
        As in `decay_multiplier`.

    Returns
    -------
    int
        N >= 0.

    Raises
    ------
    ValueError
        For a number out of range.

    Notes
    -----
    Source: Wiatowski, Grohs and Bölcskei (2018), with the kernel exponent slightly above 1 in their table.

    Examples
    --------
    >>> layers_needed(0.95, m=1.0001, rate=5 / 3), layers_needed(0.95, m=1.0001, rate=None)
    (8, 39)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"`layers_needed(fraction=...)`: got {fraction}, expected a number strictly between 0 and 1.")
    if not (L > 0 and delta > 0 and m >= 1 and (rate is None or rate > 1)):
        raise ValueError(
            f"`layers_needed`: got L={L}, delta={delta}, m={m}, rate={rate}; expected L > 0, delta > 0, m >= 1, and a "
            "rate > 1 or None."
        )
    x = L / (delta * -math.expm1(math.log(fraction) / (2 * m)))
    if rate is None:
        return max(0, math.ceil(x) - 1)
    if math.isinf(rate):
        return 0 if x <= 1 else 1
    return max(0, math.ceil(math.log(x) / math.log(rate)))


def getter_bound(energy: Any, highpass_energy: Any, supports: Sequence[float]) -> np.ndarray:
    r"""Bounds on :math:`W_0, \dots, W_N` that hold for every signal on a finite grid.

    .. math:: W_0 = \|f\|^2, \qquad W_n \le \big(\|f\|^2 - \|f*\chi_0\|^2\big) \prod_{k=1}^{n-1} (1 - 1/s_k) .

    Parameters
    ----------
    energy, highpass_energy : float or (*batch) array
        :math:`\|f\|^2` and :math:`\|f\|^2 - \|f*\chi_0\|^2`.
    supports : sequence of N - 1 numbers
        :math:`s_k`: the largest number of DFT bins in the spectrum of any propagating filter of layer k. For a half
        bank the bins of the half filters.

    Returns
    -------
    (N + 1, *batch) array
        Always non-increasing; very pessimistic for wide filters.

    Raises
    ------
    ValueError
        If a support is smaller than 1.

    Notes
    -----
    Hypotheses: Parseval on the grid of every layer, :math:`|\hat\chi[0]| = 1`, the modulus, no lossy pooling, no
    decimation. Proof: a map u whose spectrum has s bins satisfies :math:`\|u\|_\infty^2 \le (s/n) \|u\|^2` (counting
    norm, n samples), so that the mean of :math:`|u|` carries the energy :math:`\|u\|_1^2 / n \ge \|u\|^2 / s`; the next
    layer emits it.
    Source: the argument on compact groups of Getter (arXiv:2502.15004), made explicit for DFT bins.
    """
    if any(not s >= 1 for s in supports):
        raise ValueError(f"`getter_bound(supports=...)`: got {tuple(supports)}, expected numbers of bins >= 1.")
    factors = np.concatenate([[1.0], np.cumprod([1.0 - 1.0 / s for s in supports])])
    highpass_energy = np.asarray(highpass_energy, dtype=float)
    later = factors.reshape(-1, *(1,) * highpass_energy.ndim) * highpass_energy
    return np.concatenate([np.asarray(energy, dtype=float)[None], later])
