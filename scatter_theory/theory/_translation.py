r"""Translation: invariance that grows with depth, covariance, and what fractional shifts cost on a grid.

A translation by t enters layer n as a translation by :math:`s = t / (S_1 \cdots S_n)`, because
:math:`(T_t u)(S\,\cdot) = T_{t/S}(u(S\,\cdot))` and all other operations commute with translations. The output atom
then sees the multiplier :math:`(e^{-2\pi i \langle s, \xi \rangle} - 1)\,\hat\chi_n(\xi)`, whose modulus is
:math:`2 |\sin(\pi \langle s, \xi \rangle)| |\hat\chi_n(\xi)| \le 2\pi |s| |\xi| |\hat\chi_n(\xi)| \le 2\pi |s| K`.

`K` and `t` must be given in matching units: cycles per unit and units. K belongs to the frequency axis of its own
layer; the product of the pooling factors is divided out once, here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


def translation_bound(t: Any, K: float, S_product: float = 1.0, norm: Any = 1.0) -> Any:
    r"""Bound :math:`2\pi |t| K \|f\| / (S_1 \cdots S_n)` on :math:`|||\Phi^n(T_t f) - \Phi^n(f)|||`.

    Parameters
    ----------
    t : float or array
        Euclidean length(s) :math:`|t|` of the translation, in the unit of the grid; a sign is ignored.
    K : float
        Decay constant :math:`\sup_\xi |\xi| |\hat\chi_n(\xi)|` of the output atom, in cycles per unit.
    S_product : float
        :math:`S_1 \cdots S_n`; 1 for layer 0.
    norm : float or array
        :math:`\|f\|`.

    Returns
    -------
    float or array
        Broadcast over `t` and `norm`. With ``S_product = 1`` at every layer it does not fall with depth.

    Notes
    -----
    Needs admissible layers (or refined admissibility) and operations that commute with the translation. Without
    admissibility multiply by the Lipschitz constant of :math:`f \mapsto (U[q]f)_q`.
    Source: Wiatowski and Bölcskei (2018), Theorem 1 (ii).

    Examples
    --------
    >>> translation_bound(0.5, K=2.0, S_product=4.0) / math.pi
    0.5
    """
    return 2 * math.pi * abs(t) * K * norm / S_product


def translation_multiplier_cap(t: Any, K: float, S_product: float, output_peak: float) -> Any:
    r"""Upper value :math:`\min\{2\pi |t| K / (S_1 \cdots S_n), \; 2 \|\hat\chi_n\|_\infty\}` of the multiplier.

    The second term is the trivial limit: no translation can move features by more than twice their largest norm.

    Parameters
    ----------
    t, K, S_product
        As for `translation_bound`.
    output_peak : float
        :math:`\|\hat\chi_n\|_\infty`.

    Returns
    -------
    float or array
        Upper value, without unit.
    """
    return np.minimum(translation_bound(t, K, S_product), 2 * output_peak)


def translation_multiplier(output: np.ndarray, frequencies: np.ndarray, s: Iterable[float]) -> float:
    r"""Exact operator norm :math:`m_n(t) = \sup_\xi 2 |\sin(\pi \langle s, \xi \rangle)| |\hat\chi_n(\xi)|`.

    .. math:: |||\Phi^n(T_t f) - \Phi^n(f)||| \le m_n(t) \, W_n(f)^{1/2}, \qquad s = t / (S_1 \cdots S_n) .

    Parameters
    ----------
    output : (*shape) array
        :math:`\hat\chi_n` on the frequencies of layer n.
    frequencies : (d, *shape) array
        Those frequencies, in cycles per unit.
    s : d numbers
        The translation as layer n sees it, in units.

    Returns
    -------
    float
        Maximum over the given frequencies, without unit.
    """
    phase = np.tensordot(np.asarray(tuple(s), dtype=float), frequencies, axes=1)
    return float(np.max(2 * np.abs(np.sin(math.pi * phase)) * np.abs(output)))


def translation_posteriori_bound(t: Any, S_product: float, slope: Any) -> Any:
    r"""Bound from the maps: :math:`2\pi |s| \big(\sum_q \| |\xi| \hat\chi_n \widehat{U[q]f} \|^2\big)^{1/2}`.

    Parameters
    ----------
    t, S_product
        As for `translation_bound`; :math:`|s| = |t| / (S_1 \cdots S_n)`.
    slope : float or array
        The root of the sum over all paths of length n, in cycles per unit times the unit of the norm.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.
    """
    return 2 * math.pi * abs(t) * slope / S_product


def full_covariance_bound(t: Any, K: float, S_product: float = 1.0, norm: Any = 1.0) -> Any:
    r"""Bound :math:`2\pi |t| K \, |1/(S_1 \cdots S_n) - 1| \, \|f\|` on :math:`|||\Phi^n(T_t f) - T_t \Phi^n(f)|||`.

    Features of layer n move by t / (S_1...S_n) instead of t, and the
    difference of the two shifts is what the output atom sees. Without pooling (all S = 1) the bound is 0: exact
    covariance.

    Parameters
    ----------
    t, K, S_product, norm
        As for `translation_bound`.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.
    """
    return 2 * math.pi * abs(t) * K * abs(1.0 / S_product - 1.0) * norm


def alias_term(h: float, L: float, R: float, slope: Any) -> Any:
    r"""Covariance defect :math:`\epsilon \le R L h \|u'\|` of one layer under a fractional translation (d = 1).

    On a grid a non-linearity acts on samples, that is :math:`I_N \rho`, with :math:`I_N` the trigonometric
    interpolation, which does not commute with fractional translations:
    :math:`\|I_N \rho(T_t u) - T_t I_N \rho(u)\| \le h L \|u'\|`.

    Parameters
    ----------
    h : float
        Spacing of the maps that enter the layer, in units.
    L, R : float
        Lipschitz constants of non-linearity and pooling.
    slope : float or array
        :math:`(\sum_{q, \lambda} \|(U[q]f * g_\lambda)'\|^2)^{1/2}`, per unit; :math:`\|u'\| = \|2\pi\xi\hat u\|`.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.

    Notes
    -----
    For v in :math:`H^1` of the torus, :math:`\|v - I_N v\| \le (h/2) \|v'\|`: the part above the Nyquist frequency
    costs at most :math:`4 N^{-2}` and the folded part :math:`(\pi^2 - 4) N^{-2}` times :math:`\|v'\|^2 / (2\pi)^2`
    on a torus of length one. Apply it to :math:`\rho(T_t u)` and to :math:`T_t \rho(u)` and use
    :math:`|(\rho u)'| \le L |u'|`. In two and three dimensions sampling needs more smoothness and this is not proven.
    """
    return R * L * h * slope


def alias_term_a_priori(h: float, L: float, R: float, weighted_sum: float, norm: Any = 1.0) -> Any:
    r"""`alias_term` without looking at the maps: :math:`\epsilon \le 2\pi h L R \sup_\xi(|\xi|^2 G(\xi))^{1/2} \|f\|`.

    Parameters
    ----------
    h, L, R
        As for `alias_term`.
    weighted_sum : float
        :math:`\sup_\xi |\xi|^2 \sum_\lambda |\hat g_\lambda(\xi)|^2` of the layer, in (cycles per unit) squared.
    norm : float or array
        :math:`\|f\|`, which bounds the norm of the maps that enter the layer if the earlier ones are admissible.

    Returns
    -------
    float or array
        Upper value, in the unit of the norm; broadcast over the arguments.
    """
    return alias_term(h, L, R, 2 * math.pi * math.sqrt(weighted_sum) * norm)


def alias_budget(terms: Iterable[Any]) -> Any:
    r"""Sum :math:`\sum_{k \le n} \epsilon_k` by which fractional shifts may miss covariance at layer n (d = 1).

    The later layers and the output atom must not expand (admissible), since each defect travels through them.
    Whole-sample shifts on a relabelled grid need no budget; layer 0 has an empty sum.

    Parameters
    ----------
    terms : iterable of float or array
        `alias_term` of layers 1 to n.

    Returns
    -------
    float or array
        Their sum; 0 for none.
    """
    return sum(terms, 0.0)
