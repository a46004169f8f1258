"""The mask of one layer's weight: how it is put on, read and taken off."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Mask(nn.Module):
    """Torch parametrization that holds the pruned entries of a weight at exactly 0.

    The layer computes with ``torch.where(mask, weight, 0)``, so that nothing an optimizer does to the parameter behind
    it, by momentum, weight decay or else, brings a pruned entry back. Its gradient is 0 there.

    Parameters
    ----------
    mask : bool tensor
        True where the weight is alive; of the shape of the weight. Kept as the buffer ``mask``.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask.detach().clone())

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with 0 in the place of pruned entries, which may hold anything."""
        return torch.where(self.mask, weight, 0.0)

    def extra_repr(self) -> str:
        return f"shape={tuple(self.mask.shape)}"


def has_mask(layer: nn.Module) -> bool:
    """Whether the first parametrization of the weight is a mask of this package."""
    return parametrize.is_parametrized(layer, "weight") and isinstance(layer.parametrizations.weight[0], Mask)


def torch_pruned(layer: nn.Module) -> bool:
    """Whether ``torch.nn.utils.prune`` has pruned the weight."""
    return "weight_mask" in layer._buffers and "weight_orig" in layer._parameters


def mask_of(layer: nn.Module) -> Tensor | None:
    """Mask of the weight, bool, in either form; None where there is none. A view of the model's own for ours."""
    if has_mask(layer):
        return layer.parametrizations.weight[0].mask
    return layer.weight_mask != 0 if torch_pruned(layer) else None


def original_of(layer: nn.Module) -> nn.Parameter:
    """The parameter behind the weight, which the optimizer moves."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations.weight.original
    return layer.weight_orig if torch_pruned(layer) else layer.weight


def weight_of(layer: nn.Module) -> Tensor:
    """The weight that the layer computes with, detached; that of torch's form is made anew, as it may be stale."""
    with torch.no_grad():
        weight = layer.weight_orig * layer.weight_mask if torch_pruned(layer) else layer.weight
    return weight.detach()


def install(layer: nn.Module, mask: Tensor) -> None:
    """Give the layer this mask, in the place of one that it has."""
    if has_mask(layer):
        layer.parametrizations.weight[0].mask.copy_(mask)
    else:
        weight = layer.weight
        parametrize.register_parametrization(layer, "weight", Mask(mask.to(weight.device)))
        layer.parametrizations.train(layer.training)


def release(layer: nn.Module) -> None:
    """Take the mask off and leave the parameter as it is, the same object, in its old place."""
    # torch shares the class with the property `weight` between deep copies and deletes the property when it removes a
    # parametrization. With a class of its own for this layer the copies keep theirs.
    shared = type(layer)
    layer.__class__ = type(shared.__name__, shared.__bases__, dict(vars(shared)))
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    # Weights are registered before biases, and optimizers number parameters by order.
    for name in [name for name in layer._parameters if name != "weight"]:
        layer._parameters[name] = layer._parameters.pop(name)
