r"""Norms of affine maps: from the dense matrix where it is small, and for convolutions from a torus that holds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from scatter_theory.certify.model._bound import UP

#: Largest number of entries of a matrix that is formed, and largest size of the smaller side.
ENTRIES, SIDE = 1 << 22, 1024
_CHUNK = 64


def fits(columns: int, rows: int) -> bool:
    """Whether a matrix of this size is formed."""
    return columns * rows <= ENTRIES and min(columns, rows) <= SIDE


def dense_norm(function: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """Norm of the linear part of an affine map, rounded up.

    Parameters
    ----------
    function : callable
        Takes tensors of the shape of `like`, one sample.
    like : tensor
        Any input; says shape, dtype and device.
    """
    zero = torch.zeros_like(like)
    image, adjoint = torch.func.vjp(function, zero)
    # The transpose of the transpose, not the difference of two values, in which large shifts would cancel.
    _, linear = torch.func.vjp(lambda y: adjoint(y)[0], torch.zeros_like(image))

    def column(x: Tensor) -> Tensor:
        return linear(x.reshape(like.shape))[0].flatten()

    def row(y: Tensor) -> Tensor:
        return adjoint(y.reshape(image.shape))[0].flatten()

    apply, n = (column, like.numel()) if like.numel() <= image.numel() else (row, image.numel())
    basis = torch.eye(n, dtype=like.dtype, device=like.device)
    matrix = torch.func.vmap(apply, chunk_size=_CHUNK)(basis)
    return matrix_norm(matrix)


def matrix_norm(matrix: Tensor) -> float:
    """Largest singular value, rounded up: the root of the largest eigenvalue of the smaller Gram matrix."""
    matrix = matrix.detach()
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram)[-1]))) * UP


def batch_norm_scale(module: nn.Module) -> Tensor:
    r"""Factors :math:`\gamma / \sqrt{v + \epsilon}` of a batch normalisation in evaluation mode, ``(channels,)``.

    Raises
    ------
    ValueError
        If it keeps no statistics, so that it would use those of the batch.
    """
    if module.running_var is None:
        raise ValueError(
            "it keeps no running statistics and divides by those of its input; set track_running_stats=True"
        )
    scale = (module.running_var + module.eps).rsqrt()
    return scale if module.weight is None else scale * module.weight.detach()


def folded(layer: nn.Module, before: Sequence[Tensor], after: Sequence[Tensor]) -> nn.Module:
    """The convolution between channelwise factors, with them in its weight; the shifts are left out.

    Padding of any mode commutes with factors per channel.

    Parameters
    ----------
    layer : Conv1d, Conv2d or Conv3d
    before, after : sequence of ``(channels,)`` tensors
        Factors on the channels of its input and output.
    """
    weight = layer.weight.detach().clone()
    ones = (1,) * (weight.ndim - 2)
    for scale in before:
        grouped = scale.reshape(layer.groups, 1, -1).expand(-1, weight.shape[0] // layer.groups, -1)
        weight = weight * grouped.reshape(weight.shape[0], weight.shape[1], *ones)
    for scale in after:
        weight = weight * scale.reshape(-1, 1, *ones)
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    # Made without memory, so that no random numbers are drawn.
    plain = type(layer)(**{name: getattr(layer, name) for name in names}, bias=False, device="meta")
    plain.weight = nn.Parameter(weight, requires_grad=False)
    return plain
