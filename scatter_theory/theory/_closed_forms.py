"""Constants that have a closed form: raw Gaussian Weyl-Heisenberg frames, and the decay of three low-pass shapes."""

from __future__ import annotations

import math

_TINY = 1e-20


def gaussian_weyl_heisenberg_sum(u: float, p: float) -> float:
    r"""Littlewood-Paley sum :math:`\sum_k e^{-(u-k)^2/p^2}` of Gaussian windows at the integers.

    Parameters
    ----------
    u : float
        Frequency in units of the channel spacing.
    p : float
        Width of the window in the same unit: :math:`|\hat g(u)|^2 = e^{-(u/p)^2}`.

    Returns
    -------
    float
        The sum, without unit.

    Raises
    ------
    ValueError
        Unless p is finite and positive.

    Notes
    -----
    By Poisson's formula it equals :math:`p\sqrt\pi\,(1 + 2\sum_{m\ge1} q^{m^2} \cos 2\pi m u)` with
    :math:`q = e^{-\pi^2 p^2}`. The series that converges faster is summed.

    Examples
    --------
    >>> gaussian_weyl_heisenberg_sum(0.5, 0.5)
    0.736006
    """
    if not (math.isfinite(p) and p > 0):
        raise ValueError(f"`gaussian_weyl_heisenberg_sum(p=...)`: got {p}, expected a finite positive width.")
    u = u - round(u)
    if p * p * math.pi < 1:
        reach = math.ceil(p * math.sqrt(-math.log(_TINY))) + 1
        return math.fsum(math.exp(-(((u - k) / p) ** 2)) for k in range(-reach, reach + 1))
    terms = math.ceil(math.sqrt(-math.log(_TINY)) / (math.pi * p))
    series = (math.exp(-((math.pi * p * m) ** 2)) * math.cos(2 * math.pi * m * u) for m in range(1, terms + 1))
    return p * math.sqrt(math.pi) * (1 + 2 * math.fsum(series))


def gaussian_weyl_heisenberg_bounds(p: float, d: int = 1) -> tuple[float, float]:
    r"""Frame bounds A, B of the raw Gaussian Weyl-Heisenberg frame on :math:`\mathbb R^d` (tensor windows).

    The sum is smallest half-way between two centres and largest at a centre; in d dimensions it is a product, so both
    values are raised to the power d.

    Parameters
    ----------
    p : float
        Width relative to the channel spacing, as in `gaussian_weyl_heisenberg_sum`.
    d : int
        Dimension.

    Returns
    -------
    tuple of float
        A, B.

    Examples
    --------
    >>> gaussian_weyl_heisenberg_bounds(0.5)
    (0.736006, 1.036632)
    """
    return gaussian_weyl_heisenberg_sum(0.5, p) ** d, gaussian_weyl_heisenberg_sum(0.0, p) ** d


def gaussian_decay_constant(sigma: float) -> float:
    r"""K of :math:`\hat\chi(\xi) = e^{-|\xi|^2/(2\sigma^2)}`: :math:`\sigma e^{-1/2}`, attained at `sigma`.

    Parameters
    ----------
    sigma : float
        Width in frequency, in cycles per unit.

    Returns
    -------
    float
        K, in cycles per unit.
    """
    return sigma * math.exp(-0.5)


def box_decay_constant(width: float) -> float:
    r"""K of the average over an interval of the given width: :math:`\sup_\xi |\sin(\pi a \xi)/(\pi a)| = 1/(\pi a)`.

    Parameters
    ----------
    width : float
        a, in units.

    Returns
    -------
    float
        K, in cycles per unit.
    """
    return 1.0 / (math.pi * width)


def ideal_decay_constant(cutoff: float) -> float:
    r"""K of the ideal low-pass, :math:`\hat\chi = 1` for :math:`|\xi| \le c` and 0 beyond: c itself.

    Parameters
    ----------
    cutoff : float
        c, in cycles per unit.

    Returns
    -------
    float
        K, in cycles per unit.
    """
    return cutoff
