r"""Deformations :math:`F_{\tau,\omega} f(x) = e^{2\pi i \omega(x)} f(x - \tau(x))`: how far they move a signal.

Features move no farther than the signal times the Lipschitz constant of the extractor (`lipschitz`), so that what is
left is a statement about one class of signals. Letters: :math:`t = \sup|\tau|` (Euclidean),
:math:`D = d \sup_x \max_{k,l} |\partial_l \tau_k(x)|`, R the Euclidean band limit in cycles per unit,
:math:`X = 2\pi R t`. All norms are :math:`L^2` over one period, or :math:`(h^d \sum_n |\cdot|^2)^{1/2}` on a grid.

One formula carries the gradient bounds. By the fundamental theorem and Minkowski's inequality

.. math:: \|f(\cdot - \tau) - f\| \le t \int_0^1 \big\| \, |\nabla f|(\cdot - s\tau) \, \big\| \, ds ,

so it remains to compare the values of :math:`|\nabla f|` at the points :math:`x - s\tau(x)` with its norm:

* in :math:`L^2` the substitution :math:`y = x - s\tau(x)` gives the factor :math:`(1 - sD)^{-1/2}`, because
  :math:`\det(1 - sD\tau) \ge 1 - sD`;
* on a grid of :math:`N_i` samples per axis, for trigonometric polynomials of degree :math:`M_i`, the large sieve gives
  :math:`\prod_i (2M_i/N_i + 1/(1 - sD))^{1/2}` (`sampling_factor`);
* on a grid, for any displacement at all, Taylor's series and Bernstein's inequality give :math:`e^{sX}`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Intervals of the trapezoidal rule in `grid_gradient_factor`; an upper value whatever their number.
_INTERVALS = 128


def perturbation_factor(D: Any) -> Any:
    r"""Factor :math:`g(D) = \int_0^1 (1 - sD)^{-1/2} ds = 2 / (1 + \sqrt{1 - D})`, 0 <= D <= 1.

    g(0) = 1 and g(1/2) = 1.17157...: the whole price of not being a translation.

    Parameters
    ----------
    D : float or array
        d times the largest entry of the Jacobian.

    Returns
    -------
    float or array
        From 1 to 2, without unit.
    """
    return 2.0 / (1.0 + np.sqrt(1.0 - np.asarray(D, dtype=float)))


def gradient_bound(t: Any, D: Any, gradient: Any) -> Any:
    r"""Bound :math:`t \, g(D) \, \|\nabla f\|` on :math:`\|f(\cdot - \tau) - f\|` in :math:`L^2`.

    Parameters
    ----------
    t : float or array
        :math:`\sup|\tau|`, in units.
    D : float or array
        d times the largest entry of the Jacobian; at most 1/2 (at most 1 in one dimension).
    gradient : float or array
        :math:`\|\nabla f\|`; any f in :math:`H^1`.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.

    Notes
    -----
    In one dimension :math:`\sqrt 2` may replace g(D) for every measurable displacement, since
    :math:`|f(x) - f(x - \tau)|^2 \le t \int_{x-t}^{x+t} |f'|^2`.
    """
    return t * perturbation_factor(D) * gradient


def modulation_bound(omega: Any) -> Any:
    r"""Factor :math:`\min\{2, 2\pi\|\omega\|_\infty\}` of :math:`\|(e^{2\pi i\omega} - 1) f\|` over :math:`\|f\|`.

    :math:`F_{\tau,\omega} f - f = e^{2\pi i \omega}(f(\cdot-\tau) - f) + (e^{2\pi i\omega} - 1) f`, so this is added.

    Parameters
    ----------
    omega : float or array
        :math:`\|\omega\|_\infty`, in cycles.

    Returns
    -------
    float or array
        At most 2, without unit.
    """
    return np.minimum(2.0, 2 * math.pi * np.abs(omega))


def band_limited_bound(R: Any, t: Any, D: Any = 0.5, omega: Any = 0.0) -> Any:
    r"""Bound :math:`2\pi (g(D) R \|\tau\| + \|\omega\|)` relative to :math:`\|f\|`, for f with band limit R.

    Parameters
    ----------
    R : float or array
        Euclidean band limit, cycles per unit.
    t, D
        As for `gradient_bound`. With D = 1/2, all that the theorem asks, the constant in front of R t is
        :math:`2\pi g(1/2) \le 7.3613`.
    omega : float or array
        :math:`\|\omega\|_\infty`, in cycles.

    Returns
    -------
    float or array
        Upper value, relative to the norm of f.

    Notes
    -----
    The theorem: Wiatowski and Bölcskei (2018), Theorem 2 (some constant); this constant is derived here. A statement
    about :math:`L^2`; for values on N samples see `grid_gradient_factor`.

    Examples
    --------
    >>> round(float(band_limited_bound(1.0, 1.0)), 4)
    7.3612
    """
    return gradient_bound(t, D, 2 * math.pi * R) + 2 * math.pi * np.abs(omega)


def sampling_factor(D: float, densities: Sequence[float]) -> float:
    r"""Factor :math:`\prod_i (2\rho_i + 1/(1 - D))^{1/2}` of values at displaced grid points.

    For a trigonometric polynomial p of degrees :math:`M_i` and points :math:`y_n = x_n - \tau(x_n)`,

    .. math:: h^d \sum_n |p(y_n)|^2 \le \prod_i \Big(\frac{2M_i}{N_i} + \frac1{1 - D}\Big) \|p\|^2 .

    Parameters
    ----------
    D : float
        d times the largest entry of the Jacobian, below 1.
    densities : d floats
        :math:`\rho_i = M_i / N_i`.

    Returns
    -------
    float
        Upper value, without unit.

    Notes
    -----
    Proof. Put all lengths in periods. Two grid points differ by :math:`r_i` along axis i; let axis i have the largest.
    Then :math:`|\tau_i(x_n) - \tau_i(x_m)| \le \sum_j |\partial_j\tau_i| r_j \le D r_i`, so that :math:`y_n` and
    :math:`y_m` are at least :math:`(1 - D) r_i \ge (1 - D) h_i` apart along that axis, modulo the period. By duality
    the claim is :math:`\sum_k |\sum_n a_n e(k y_n)|^2 \le C \sum_n |a_n|^2` for k in the box. Selberg's majorant
    :math:`S_i \ge 1_{[-M_i, M_i]}` has integral :math:`2M_i + 1/\delta_i` and a Fourier transform that vanishes beyond
    :math:`\delta_i = (1 - D)/N_i`. Weighting k with :math:`\prod_i S_i(k_i)` turns the left side into
    :math:`\sum_{n,m} a_n \bar a_m \prod_i \hat S_i(y_n - y_m)`, where every term with n != m has a factor 0, and leaves
    :math:`C = \prod_i (2M_i + 1/\delta_i)`. (One dimension: the large sieve.)
    """
    return math.prod(math.sqrt(2 * rho + 1 / (1 - D)) for rho in densities)


def grid_gradient_factor(D: float, densities: Sequence[float], X: float = math.inf) -> float:
    r"""Upper value of :math:`\int_0^1 \min\{e^{sX}, \prod_i (2\rho_i + 1/(1 - sD))^{1/2}\} ds`.

    .. math:: \|f(\cdot - \tau) - f\|_{\text{grid}} \le t \, \|\nabla f\| \cdot \text{this} .

    Parameters
    ----------
    D : float
        As in `sampling_factor`; 1 or more leaves the exponential alone.
    densities : d floats
        :math:`M_i / N_i` of the polynomial f; 0 gives the limit of ever finer grids.
    X : float
        :math:`2\pi R t`.

    Returns
    -------
    float
        Upper value, without unit.

    Notes
    -----
    Any switch :math:`s_0` between the two functions gives an upper value; the best of several is taken. The second
    integrand is convex in s (for one factor with :math:`u = 1 - sD`, the second derivative of
    :math:`(2\rho + 1/u)^{1/2}` in u is :math:`u^{-3}(2\rho + 1/u)^{-3/2}(2\rho + 3/(4u)) > 0`, and a product of
    positive increasing convex functions is convex), so that the trapezoidal rule lies above its integral.
    """
    s = np.linspace(0.0, 1.0, _INTERVALS + 1)
    head = _exponential_integral(s, X)
    if D >= 1:
        return float(head[-1])
    values = np.prod([np.sqrt(2 * rho + 1 / (1 - s * D)) for rho in densities], axis=0)
    pieces = 0.5 * (values[1:] + values[:-1]) / _INTERVALS
    tail = np.concatenate([np.cumsum(pieces[::-1])[::-1], [0.0]])
    return float(np.min(head + tail))


def _exponential_integral(s: np.ndarray, X: float) -> np.ndarray:
    """Integral of ``exp(s X)`` from 0 to each s; infinite where it overflows."""
    if X == 0:
        return s
    if not math.isfinite(X):
        return np.where(s > 0, math.inf, 0.0)
    with np.errstate(over="ignore"):
        return np.expm1(s * X) / X


def taylor_bound(R: Any, t: Any) -> Any:
    r"""Bound :math:`e^{2\pi R t} - 1` relative to :math:`\|f\|`, for any displacement, however rough.

    On a grid too: the m-th term of Taylor's series of f(x - tau) is at most :math:`t^m/m!` times the length of the
    m-th derivative tensor, whose norm is :math:`\|(2\pi|\xi|)^m \hat f\|`, and derivatives of a trigonometric
    polynomial of the grid have the same norm on the grid and in :math:`L^2`.

    Parameters
    ----------
    R : float or array
        Euclidean band limit, cycles per unit.
    t : float or array
        :math:`\|\tau\|_\infty`, in units.

    Returns
    -------
    float or array
        Upper value, relative to the norm of f.
    """
    return np.expm1(2 * math.pi * np.asarray(R, dtype=float) * t)


def sample_bound_1d(t: Any, h: float, slope: Any) -> Any:
    r"""Bound :math:`(t(2t + h))^{1/2} \|f'\|` on a one-dimensional grid of spacing h, for any displacement.

    :math:`h\sum_n |f(x_n) - f(x_n - \tau_n)|^2 \le h \sum_n t \int_{x_n - t}^{x_n + t} |f'|^2`, and every point lies in
    at most :math:`2t/h + 1` of these intervals.

    Parameters
    ----------
    t : float or array
        :math:`\|\tau\|_\infty`, in units.
    h : float
        Spacing, in units.
    slope : float or array
        :math:`\|f'\|` of the trigonometric interpolant, per unit.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.
    """
    return np.sqrt(t * (2 * t + h)) * slope


def sobolev_bound(s: float, low: Any, high: Any, seminorm: Any) -> Any:
    r"""Bound :math:`\ell^{1-s} u^s \, \|(2\pi|\xi|)^s \hat f\|` on :math:`\|Tf\|`, 0 <= s <= 1.

    For one linear map T with :math:`\|Tf\| \le \ell\|f\|` (`low`) and :math:`\|Tf\| \le u \|\nabla f\|` (`high`).
    Interpolation of operators between weighted :math:`L^2` spaces (Stein and Weiss, 1958) is exact, so the constants
    multiply. T = F - 1 annihilates constants, so that the frequency 0 may be left out.

    Parameters
    ----------
    s : float
        Smoothness.
    low, high : float or array
        :math:`\ell` without unit, and u in units.
    seminorm : float or array
        :math:`\|(2\pi|\xi|)^s \hat f\|`.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.
    """
    return low ** (1 - s) * high**s * seminorm


def lipschitz_bound(t: Any, K: Any, volume: float) -> Any:
    r"""Bound :math:`K t V^{1/2}` for :math:`|f(x) - f(y)| \le K |x - y|` on a torus of volume V, any displacement.

    Parameters
    ----------
    t : float or array
        :math:`\|\tau\|_\infty`, in units.
    K : float or array
        Lipschitz constant of f, per unit.
    volume : float
        V, in units to the power d.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.
    """
    return K * t * math.sqrt(volume)


def piecewise_lipschitz_bound(t: Any, K: Any, K_across: Any, J: Any, tube: Any, volume: float) -> Any:
    r"""Bound for signals that are Lipschitz but for jumps along a set of small volume; any displacement.

    .. math:: \|f(\cdot - \tau) - f\|^2 \le K^2 t^2 (V - T) + \max\{K t, K' t + J\}^2 \, T .

    Parameters
    ----------
    t : float or array
        :math:`\|\tau\|_\infty`, in units.
    K : float or array
        :math:`|f(x) - f(y)| \le K|x - y|`, K per unit, if the segment from x to y misses the jump set.
    K_across, J : float or array
        :math:`|f(x) - f(y)| \le K'|x - y| + J` always.
    tube : float or array
        T: volume of the points nearer than t to the jump set; on a grid the volume of their cells.
    volume : float
        V: volume of the torus.

    Returns
    -------
    float or array
        Upper value of the norm, not squared, in its unit.

    Notes
    -----
    A segment from x to x - tau(x) that meets the jump set starts nearer than t to it. Exact on a grid with the grid's
    norm. For f = f1 + 1_B f2 with constants K each: K = 2 K1, K' = K1, J = sup|f2|; the tube of a closed plane curve
    of length l is at most :math:`2 t l + \pi t^2`, which is where the exponent 1/2 comes from.
    """
    T = np.minimum(tube, volume)
    across = np.maximum(K * t, K_across * t + J)
    return np.sqrt((K * t) ** 2 * (volume - T) + across**2 * T)


def cartoon_decay_integral(d: int) -> float:
    r""":math:`E_d^2 = \int \sup_{|y - x| \le 1/2} (1 + |y|^2)^{-d} dx` for d = 1, 2, 3.

    1 + pi; pi/4 + pi + pi^2/4; pi/6 + pi + 7 pi^2/16 (ball of radius 1/2, then shells).

    Parameters
    ----------
    d : int
        Dimension.

    Returns
    -------
    float
        :math:`E_d^2`.
    """
    pi = math.pi
    return {1: 1 + pi, 2: pi / 4 + pi + pi**2 / 4, 3: pi / 6 + pi + 7 * pi**2 / 16}[d]


def cartoon_bound(K: float, t: Any, d: int, tube: Any) -> Any:
    r"""Bound :math:`K(E_d t + (E_d^2 t^2 + T)^{1/2})` for cartoon functions on :math:`\mathbb R^d`, t < 1/2.

    f = f1 + 1_B f2 with :math:`|\nabla f_i(x)| \le K(1 + |x|^2)^{-d/2}` and :math:`|f_2| \le K`; T is the volume of
    the points nearer than t to the boundary of B. Class: Grohs, Wiatowski and Bölcskei (2016).

    Parameters
    ----------
    K : float
        Size of the class: per unit for the gradients, plain for the values.
    t : float or array
        :math:`\|\tau\|_\infty`, in units.
    d : int
        Dimension, 1 to 3.
    tube : float or array
        T, in units to the power d.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.
    """
    E2 = cartoon_decay_integral(d)
    return K * (math.sqrt(E2) * t + np.sqrt(E2 * t**2 + tube))


def sampled_cartoon_bound(K: float, N: int, t: Any) -> Any:
    r"""Safe bound :math:`K N^{1/2} (2t + (4t + 2/N)^{1/2})` for sampled cartoons on [0, 1), counting norm, d = 1.

    An interval of length 2t holds at most 2tN + 1 grid points, not 2tN; that is the 2/N.

    Parameters
    ----------
    K : float
        Size of the class: per unit for the gradients, plain for the values.
    N : int
        Samples on [0, 1).
    t : float or array
        :math:`\|\tau\|_\infty`, as a share of the interval.

    Returns
    -------
    float or array
        Upper value of the norm that counts samples.
    """
    return K * math.sqrt(N) * (2 * t + np.sqrt(4 * t + 2 / N))


def sampled_cartoon_bound_published(K: float, N: int, t: Any) -> Any:
    r"""Published form :math:`4 K N^{1/2} t^{1/2}` (Wiatowski et al., ICML 2016).

    It follows from `sampled_cartoon_bound` for 1/N <= t <= 0.6 and can fail for t below about 1/(16 N): a jump just
    beside a grid point is crossed by an arbitrarily small displacement.

    Parameters
    ----------
    K : float
        Size of the class: per unit for the gradients, plain for the values.
    N : int
        Samples on [0, 1).
    t : float or array
        :math:`\|\tau\|_\infty`, as a share of the interval.

    Returns
    -------
    float or array
        Upper value of the norm that counts samples.
    """
    return 4 * K * math.sqrt(N) * np.sqrt(t)


def schur_constant(gradient_l1: float) -> float:
    r"""Constant :math:`\max\{\sqrt2 \|\nabla\gamma\|_1, 2\pi\sqrt2\}` of the published kernel argument.

    The published proof reproduces f by a kernel :math:`\gamma_R` with :math:`\hat\gamma = 1` on the unit ball and
    estimates :math:`\gamma_R(x - \tau(x) - u) - \gamma_R(x - u)` by Schur's test; ``gradient_l1`` is
    :math:`\|\nabla\gamma\|_1` of the kernel chosen. It is never below 7.36, the constant of `band_limited_bound`.

    Parameters
    ----------
    gradient_l1 : float
        :math:`\|\nabla\gamma\|_1`.

    Returns
    -------
    float
        At least 8.88, without unit.
    """
    return max(math.sqrt(2) * gradient_l1, 2 * math.pi * math.sqrt(2))
