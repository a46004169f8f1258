"""The one place where weights are removed: the k lowest scores of those alive."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from scatter_theory.pruning.masks._masks import Masks, named
from scatter_theory.pruning.masks._prunable import checked


def prune_scores(model: nn.Module, scores: Mapping[str, Tensor], count: int | Mapping[str, int]) -> Masks:
    """Prune the weights with the lowest scores, exactly as many as asked for.

    Equal scores are taken in the order of the tensors, then of the flat index. Weights that are pruned already do not
    count, and stay pruned.

    Parameters
    ----------
    model : nn.Module
        Changed in place: it gets masks on all the weights named, or they change.
    scores : mapping of str to tensor
        One tensor per weight, of its shape, by name as in ``prunable``. +inf is never pruned.
    count : int or mapping of str to int
        How many to prune over all tensors together, or in each of them.

    Returns
    -------
    Masks
        Of the weights named, afterwards.

    Raises
    ------
    TypeError
        If a number of weights is no whole number.
    ValueError
        If a score of a weight alive is NaN, there are fewer candidates than `count`, a name or shape does not fit the
        model, or one of the weights cannot be pruned. The model is unchanged after an error.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> layer = nn.Linear(4, 1)
    >>> prune_scores(layer, {"weight": torch.tensor([[3.0, 1.0, 1.0, 2.0]])}, 1)["weight"]
    tensor([[ True, False,  True,  True]])
    """
    masks = _masks(model, scores)
    after = lowest(scores, masks, count)
    after.apply(model)
    return after


def lowest(scores: Mapping[str, Tensor], masks: Masks, count: int | Mapping[str, int]) -> Masks:
    """Masks without the lowest scores; the arithmetic of `prune_scores`, with its errors."""
    if isinstance(count, Mapping):
        if set(count) != set(masks):
            raise ValueError(
                f"`prune_scores(count=...)`: got numbers for {sorted(count)}, expected one for each of {sorted(masks)}."
            )
        parts = [lowest({name: scores[name]}, Masks({name: masks[name]}), count[name]) for name in masks]
        return Masks({name: mask for part in parts for name, mask in part.items()})
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"`prune_scores(count=...)`: got {count!r}, expected a whole number or one per weight by name.")
    if count < 0:
        raise ValueError(f"`prune_scores(count=...)`: got {count}, expected at least 0; pruned weights stay pruned.")
    if not masks:
        return masks
    device = next(iter(masks.values())).device
    flat = [torch.where(m, scores[n].double(), math.inf).flatten().to(device) for n, m in masks.items()]
    pool = torch.cat(flat)
    if bool(pool.isnan().any()):
        bad = [name for name, part in zip(masks, flat, strict=True) if bool(part.isnan().any())]
        raise ValueError(
            f"`prune_scores(scores=...)`: NaN among the scores of {', '.join(map(repr, bad))}, expected numbers or "
            "+inf. Check the weights, and the loss if the rule uses gradients."
        )
    candidates = int((pool != math.inf).sum())
    if count > candidates:
        raise ValueError(
            f"`prune_scores(count=...)`: got {count}, but only {candidates} weights of {', '.join(map(repr, masks))} "
            "are candidates: alive and with a finite score. Prune fewer, or with a rule that has more candidates."
        )
    keep = torch.ones_like(pool, dtype=torch.bool)
    keep[torch.argsort(pool, stable=True)[:count]] = False
    parts = keep.split([mask.numel() for mask in masks.values()])
    return Masks({n: m & part.view(m.shape).to(m.device) for (n, m), part in zip(masks.items(), parts, strict=True)})


def _masks(model: nn.Module, scores: Mapping[str, Tensor]) -> Masks:
    """Masks of the weights that have scores, in the order of the scores."""
    checked("prune_scores", model, named("prune_scores(scores=...)", model, scores))
    present = Masks.of(model)
    for name, score in scores.items():
        if score.shape != present[name].shape:
            raise ValueError(
                f"`prune_scores(scores=...)`: the scores of {name!r} have shape {tuple(score.shape)}, expected that of "
                f"the weight, {tuple(present[name].shape)}."
            )
    return Masks({name: present[name] for name in scores})
