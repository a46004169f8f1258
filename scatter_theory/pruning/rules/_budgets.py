"""How many weights each layer keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor

from scatter_theory.pruning.masks._masks import Masks


def apportion(total: int, quotas: Sequence[int], caps: Sequence[int]) -> list[int]:
    """Share out a number of weights in proportion to quotas, none above its cap, to the last weight.

    The real shares are min(cap, lambda * quota) with the lambda that makes them add up to `total`; they are rounded
    down, and what is left goes to the largest remainders, the first of equal ones. All in exact arithmetic.

    Parameters
    ----------
    total : int
        Weights to share out; at most the sum of `caps`.
    quotas : sequence of int
        Positive.
    caps : sequence of int
        Most that each can take.

    Returns
    -------
    list of int
        They add up to `total`.
    """
    shares = [Fraction(0)] * len(quotas)
    free = [k for k, cap in enumerate(caps) if cap]
    left = Fraction(total)
    while free:
        scale = left / sum(quotas[k] for k in free)
        full = [k for k in free if scale * quotas[k] >= caps[k]]
        for k in full or free:
            shares[k] = Fraction(caps[k]) if full else scale * quotas[k]
            left -= shares[k]
        free = [k for k in free if k not in full] if full else []
    whole = [floor(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda k: whole[k] - shares[k])
    for k in by_remainder[: total - sum(whole)]:
        whole[k] += 1
    return whole


def uniform(masks: Masks, alive: int, *, of_alive: bool) -> dict[str, int]:
    """Alive per layer when all layers have one share of their size, or of what is alive in them now."""
    layers = masks.per_layer()
    quotas = [now if of_alive else size for now, size in layers.values()]
    return _by_name(masks, apportion(alive, quotas, [now for now, _ in layers.values()]))


def erk(masks: Masks, alive: int) -> dict[str, int]:
    r"""Alive per layer with Erdos-Renyi-kernel densities.

    The density of a layer with weight of shape :math:`(n_1, \ldots, n_d)` is proportional to
    :math:`(n_1 + \ldots + n_d) / (n_1 \cdots n_d)`, and at most 1 (Evci, Gale, Menick, Castro, Elsen, ICML 2020).
    """
    quotas = [sum(mask.shape) for mask in masks.values()]
    return _by_name(masks, apportion(alive, quotas, [now for now, _ in masks.per_layer().values()]))


def _by_name(masks: Mapping[str, object], numbers: list[int]) -> dict[str, int]:
    return dict(zip(masks, numbers, strict=True))
