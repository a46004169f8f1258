"""A model in the modes in which it is measured, and back in its own afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Statistics = Literal["eval", "batch"]


@contextmanager
def measured(model: nn.Module, statistics: Statistics, *, gradients: bool = False) -> Iterator[str]:
    """Eval mode within the block, with or without gradients; gives the name of the statistics in use.

    With ``"batch"`` every batch normalisation uses the statistics of its batch. Flags, buffers of batch normalisation
    and ``requires_grad`` are as before afterwards.

    Raises
    ------
    ValueError
        For one value per channel with statistics of the batch.
    """
    flags = {module: module.training for module in model.modules()}
    norms = [module for module in flags if isinstance(module, _BatchNorm)]
    buffers = [dict(norm._buffers) for norm in norms]
    frozen = [p for p in model.parameters() if gradients and p.is_floating_point() and not p.requires_grad]
    try:
        model.eval()
        for norm in norms if statistics == "batch" else ():
            norm.training = True
            norm._buffers.update({name: None if b is None else b.clone() for name, b in norm._buffers.items()})
        for parameter in frozen:
            parameter.requires_grad_(True)
        with torch.set_grad_enabled(gradients):
            name = {"eval": "running statistics", "batch": "statistics of each batch"}[statistics]
            yield name if norms else "no batch normalisation"
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "`statistics='batch'`: a batch has one value per channel, which has no variance; expected at least two. "
            "Use larger batches (`drop_last=True`) or `statistics='eval'`."
        ) from error
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, training in flags.items():
            module.training = training
        for norm, own in zip(norms, buffers, strict=True):
            norm._buffers.update(own)
