"""Constants of the layers that have weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from scatter_theory.certify.layers._bounds import conv_bounds
from scatter_theory.certify.model._bound import UP, Bound
from scatter_theory.certify.model._linear import batch_norm_scale, dense_norm, fits, matrix_norm
from scatter_theory.frames import LearnedConv

CONVOLUTIONS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
)  # fmt: skip
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def layer_bound(module: nn.Module, shape: tuple[int, ...]) -> Bound:
    """Constant of a convolution, a learned one too, a linear layer, or a batch normalisation in evaluation mode.

    A convolution has its norm on a torus that holds it. Where that is only an upper bound, as for zero padding, and the
    matrix of the layer is small, the norm of the matrix is taken.

    Parameters
    ----------
    module : nn.Module
    shape : tuple of int
        Of the input, with the axis of the sample.

    Raises
    ------
    ValueError
        For circular padding whose stride does not divide a grid too large for the matrix, weights that are not finite,
        a normalisation without statistics, or a learned convolution that is undefined for its weights.
    """
    if isinstance(module, LearnedConv):
        B = module.bounds().B
        return Bound(math.sqrt(B.value) * UP, True, f"square root of the {B.source}")
    if isinstance(module, NORMALISATIONS):
        value = float(batch_norm_scale(module).abs().max())
        return Bound(value * UP, True, "largest |gamma| / sqrt(variance + eps)")
    weight = module.weight.detach()
    if isinstance(module, nn.Linear):
        return Bound(matrix_norm(weight), True, "largest singular value of the weight")
    axes = weight.ndim - 2
    like = torch.zeros(1, *shape[len(shape) - axes - 1 :], dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        small = fits(like.numel(), module(like).numel())
    try:
        found = conv_bounds(module, tuple(shape[-axes:]))
    except ValueError:
        if not small:
            raise
        found = None
    if small and (found is None or not found.exact):
        return Bound(dense_norm(module, like), True, "matrix of the layer with its padding")
    return Bound(found.lipschitz.value, found.exact, f"symbols on a torus of {found.torus}: {found.reason}")
