"""Copies of everything in a model that training changes, and the way back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from scatter_theory.pruning.masks._mask import Mask

Snapshot = dict[str, Tensor]


def snapshot(model: nn.Module) -> Snapshot:
    """Copies of all parameters and buffers, masks and running statistics included, by name."""
    return {name: tensor.detach().clone() for name, tensor in _tensors(model).items()}


def restore(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Write a snapshot into the tensors of a model, which stay the same objects; gradients are cleared.

    Raises
    ------
    ValueError
        If the model has other tensors than the snapshot. It is unchanged then.
    """
    _write(model, saved, _tensors(model))


def rewind(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Like `restore`, but the masks stay as they are.

    Raises
    ------
    ValueError
        If the model has other tensors than the snapshot. It is unchanged then.
    """
    masks = {id(module.mask) for module in model.modules() if isinstance(module, Mask)}
    _write(model, saved, {name: tensor for name, tensor in _tensors(model).items() if id(tensor) not in masks})


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _write(model: nn.Module, saved: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> None:
    found, expected = _shapes(_tensors(model)), _shapes(saved)
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[0][0]
        raise ValueError(
            f"`model`: the tensor {odd!r} has shape {found.get(odd, 'none, as it is missing')} now, and "
            f"{expected.get(odd, 'none, as it was missing')} when the cycles began. Between the cycles only the values "
            "of a model may change."
        )
    with torch.no_grad():
        for name, tensor in targets.items():
            tensor.copy_(saved[name])
    for parameter in model.parameters():
        parameter.grad = None


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
