r"""How sure a rate is: the samples are independent of each other, the units within a sample are not.

A rate is a ratio of sums over samples, :math:`\sum_x k(x) / \sum_x n(x)`, with k(x) of the n(x) entries of sample x.
The bootstrap draws samples with replacement.
"""

from __future__ import annotations

import numpy as np

#: Draws of the bootstrap.
DRAWS = 1000


def bootstrap(part: np.ndarray, whole: np.ndarray, level: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentile intervals of ratios of sums over samples.

    Parameters
    ----------
    part, whole : (n_samples, n_ratios) arrays
        k(x) and n(x).
    level : float
        Coverage, in (0, 1).
    seed : int
        Of the draws.

    Returns
    -------
    low, high : (n_ratios,) float64 arrays
        NaN where `whole` is 0.
    """
    rng = np.random.default_rng(seed)
    n = len(part)
    both = np.concatenate([part, whole], 1).astype(np.float64)
    sums = np.empty((DRAWS, both.shape[1]))
    for row in sums:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n) @ both
    k, size = np.split(sums, 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(size > 0, k / size, np.nan)
    tail = (1 - level) / 2
    missing = np.isnan(drawn).all(0)
    drawn[:, missing] = 0.0
    low, high = np.nanquantile(drawn, (tail, 1 - tail), axis=0)
    return np.where(missing, np.nan, low), np.where(missing, np.nan, high)


def never_fired_limit(samples: int, level: float = 0.95) -> float:
    r"""Largest probability of firing that does not contradict having fired on none of N samples.

    .. math:: (1 - p)^N \geq 1 - c \quad\Leftrightarrow\quad p \leq 1 - (1 - c)^{1/N}

    with the confidence c, for independent samples. For N = 50,000 and c = 0.95 this is 5.99e-5.

    Parameters
    ----------
    samples : int
        N, at least 1.
    level : float
        c, in (0, 1).

    Returns
    -------
    float
        In (0, 1).

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    if samples < 1:
        raise ValueError(f"`never_fired_limit(samples=...)`: got {samples}, expected at least 1.")
    check_level("never_fired_limit", level)
    return float(-np.expm1(np.log1p(-level) / samples))


def check_level(where: str, level: float) -> None:
    """Refuse a coverage outside of (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"`{where}(level=...)`: got {level}, expected a number between 0 and 1, such as 0.95.")
