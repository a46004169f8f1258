"""Masks in the form of ``torch.nn.utils.prune``, to and fro."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import prune as torch_prune

from scatter_theory.pruning.masks._mask import has_mask, install, mask_of, release, torch_pruned
from scatter_theory.pruning.masks._masks import Masks
from scatter_theory.pruning.masks._prunable import checked, chosen


def to_torch(model: nn.Module) -> Masks:
    """Turn the masks into those of ``torch.nn.utils.prune``: parameter ``weight_orig`` and buffer ``weight_mask``.

    The parameters stay the same objects. Torch multiplies by its mask, so that pruned entries are 0 as long as the
    parameter behind them is finite.

    Parameters
    ----------
    model : nn.Module
        A pruned model; changed in place.

    Returns
    -------
    Masks
        The masks turned over.

    Raises
    ------
    ValueError
        If the model has no mask of this package, is wrapped, or a weight has further parametrizations on top.

    Examples
    --------
    >>> from torch import nn
    >>> from scatter_theory.pruning import prune
    >>> layer = nn.Linear(4, 2)
    >>> _ = prune(layer, sparsity=0.5)
    >>> _ = to_torch(layer)
    >>> sorted(layer.state_dict())
    ['bias', 'weight_mask', 'weight_orig']
    """
    masked = {name: layer for name, layer in chosen("to_torch", model, ()).items() if has_mask(layer)}
    if not masked:
        raise ValueError(f"`to_torch(model=...)`: got a {type(model).__name__} without a mask of this package.")
    checked("to_torch", model, masked)
    masks = Masks({name: mask_of(layer) for name, layer in masked.items()})
    for name, layer in masked.items():
        release(layer)
        torch_prune.custom_from_mask(layer, "weight", masks[name].to(layer.weight))
    return masks


def from_torch(model: nn.Module) -> Masks:
    """Take over the masks of ``torch.nn.utils.prune`` on weights, in the place of them.

    The parameters stay the same objects, with what they hold at pruned entries. Masks on other tensors, such as biases,
    stay torch's.

    Parameters
    ----------
    model : nn.Module
        A model pruned with torch; changed in place.

    Returns
    -------
    Masks
        The masks taken over.

    Raises
    ------
    ValueError
        If no weight is pruned by torch, the model is wrapped, or a mask holds anything but 0 and 1. The model is
        unchanged after an error.
    """
    pruned = {name: layer for name, layer in chosen("from_torch", model, ()).items() if torch_pruned(layer)}
    if not pruned:
        raise ValueError(
            f"`from_torch(model=...)`: got a {type(model).__name__} without a weight that `torch.nn.utils.prune` has "
            "pruned."
        )
    for name, layer in pruned.items():
        if not bool(((layer.weight_mask == 0) | (layer.weight_mask == 1)).all()):
            raise ValueError(
                f"`from_torch(model=...)`: the mask of {name!r} holds other values than 0 and 1. Multiply it into the "
                "weight with `torch.nn.utils.prune.remove` and prune again."
            )
    masks = Masks({name: mask_of(layer) for name, layer in pruned.items()})
    for name, layer in pruned.items():
        _take_off(layer)
        install(layer, masks[name])
    return masks


def _take_off(layer: nn.Module) -> None:
    """Undo torch's form without multiplying the mask into the parameter, which its own `remove` does."""
    for key, hook in list(layer._forward_pre_hooks.items()):
        if isinstance(hook, torch_prune.BasePruningMethod) and hook._tensor_name == "weight":
            del layer._forward_pre_hooks[key]
    del layer.weight_mask, layer.weight
    original = layer._parameters.pop("weight_orig")
    layer.register_parameter("weight", original)
