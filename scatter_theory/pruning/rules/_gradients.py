"""Gradients of a loss over data, without a trace in the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from scatter_theory.pruning.masks._masks import originals

Loss = Callable[[nn.Module, Any], Tensor]


def gradients(model: nn.Module, names: Iterable[str], data: Iterable[Any], loss: Loss) -> dict[str, Tensor]:
    """Gradients of a loss with respect to the weights, summed over batches.

    Batch normalisation uses the statistics of each batch; everything else is in evaluation mode, so that dropout is
    off. Modes, buffers and ``grad`` of the parameters are as before afterwards, also after an error.

    Parameters
    ----------
    model : nn.Module
        Any model.
    names : iterable of str
        Names of weights, as ``prunable`` gives them.
    data : iterable
        Batches, as `loss` takes them.
    loss : callable
        ``loss(model, batch)`` gives a scalar tensor. Gradients add up: a loss that is a mean over its batch gives equal
        weight to each batch, one that is a sum gives it to each sample.

    Returns
    -------
    dict of str to float64 tensor
        0 where a weight is pruned or not used.

    Raises
    ------
    TypeError
        If `loss` gives anything but a scalar tensor.
    ValueError
        If there is no batch, or the loss does not depend on the weights.
    """
    parameters = originals(model, names)
    total = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in parameters.items()}
    batches = 0
    with _undisturbed(model, parameters.values()), torch.enable_grad():
        for batch in data:
            value = loss(model, batch)
            if not isinstance(value, Tensor) or value.numel() != 1:
                got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(f"`loss(model, batch)`: gave {got}, expected a scalar tensor; take its mean or sum.")
            if not value.requires_grad:
                raise ValueError(
                    "`loss(model, batch)`: the value does not depend on any weight. Call the model that is passed, and "
                    "do not detach its output."
                )
            parts = torch.autograd.grad(value.sum(), list(parameters.values()), allow_unused=True)
            for name, part in zip(parameters, parts, strict=True):
                if part is not None:
                    total[name] += part
            batches += 1
    if not batches:
        raise ValueError("`data`: gave no batch. Pass a loader or a list of batches, and a fresh iterator each time.")
    return total


@contextmanager
def _undisturbed(model: nn.Module, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    asked = [(p, p.requires_grad) for p in parameters]
    try:
        model.eval()
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.train()
        for parameter, _ in asked:
            parameter.requires_grad_(True)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, before in asked:
            parameter.requires_grad_(before)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
