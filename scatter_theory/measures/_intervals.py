r"""Intervals of confidence: the bootstrap for ratios of means, and the exact one for a proportion."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Resamples of the bootstrap, and the most numbers that are drawn at once.
RESAMPLES, AT_ONCE = 2000, 1 << 22


def check_confidence(owner: str, confidence: float) -> None:
    """Refuse levels outside the open interval from 0 to 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"`{owner}(confidence=...)`: got {confidence}, expected a number between 0 and 1, like 0.95.")


def bootstrap(numerator: Tensor, denominator: Tensor, confidence: float, seed: int) -> tuple[float, float] | None:
    r"""Percentile interval of the ratio of sums :math:`\sum_i a_i / \sum_i b_i` over resampled rows.

    The percentile interval is asymptotic: with fewer than about 20 rows, or with heavy tails, it is too short.

    Parameters
    ----------
    numerator, denominator : (rows,) tensors
        a and b >= 0, float64. With b = 1, the ratio is the mean of a.
    confidence : float
    seed : int
        Of the resampling.

    Returns
    -------
    (float, float) or None
        None for fewer than two rows. Resamples with a denominator of 0 are left out.
    """
    rows = numerator.shape[0]
    if rows < 2:
        return None
    a, b = numerator.detach().cpu(), denominator.detach().cpu()
    generator = torch.Generator().manual_seed(seed)
    block = max(1, min(RESAMPLES, AT_ONCE // rows))
    ratios = []
    for start in range(0, RESAMPLES, block):
        index = torch.randint(rows, (min(block, RESAMPLES - start), rows), generator=generator)
        top, bottom = a[index].sum(1), b[index].sum(1)
        ratios.append(top[bottom > 0] / bottom[bottom > 0])
    ratio = torch.cat(ratios)
    if not len(ratio):
        return None
    tail = 0.5 * (1 - confidence)
    low, high = torch.quantile(ratio, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    r"""Exact interval of a proportion (Clopper and Pearson, 1934), from independent trials.

    Its ends are the p with :math:`P_p(X \ge k) = \alpha/2` and :math:`P_p(X \le k) = \alpha/2`, with
    :math:`\alpha` = 1 - `confidence`; it covers with at least this probability, whatever p is.
    """
    from scipy.special import betaincinv

    tail = 0.5 * (1 - confidence)
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def decibels(ratio: float) -> float:
    """``10 log10`` of a ratio; infinite for infinity, minus infinity for 0."""
    if ratio == 0 or math.isinf(ratio):
        return -math.inf if ratio == 0 else math.inf
    return 10 * math.log10(ratio)
