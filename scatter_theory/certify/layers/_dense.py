"""The matrix of a layer on a small grid, from torch's own convolution of every unit vector: exact for every padding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from scatter_theory.certify.layers._reading import ConvLayer
from scatter_theory.certify.layers._symbol import EPS

#: Most entries of a matrix: 128 MiB in float64.
MOST = 1 << 24

_CONVOLUTIONS = (F.linear, F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED = (None, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


@dataclass(frozen=True, eq=False)
class Dense:
    """One matrix ``(rows, columns)`` in the place of the matrices T(q)."""

    matrix: Tensor
    domain: tuple[int, ...]

    def chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The matrix."""
        q = torch.zeros(1, 0, dtype=torch.int64)
        yield q, self.at(q)

    def at(self, q: Tensor) -> Tensor:
        """The matrix, ``(1, 1, rows, columns)``."""
        return self.matrix[None, None]

    def rounding(self, norm: float) -> float:
        """What rounding may change in a squared singular value: see `Symbol.rounding`; entries are sums of weights."""
        return 4 * (sum(self.matrix.shape) + 1) * EPS * norm**2

    def signal(self, q: tuple[int, ...], group: int, vector: Tensor) -> Tensor:
        """The vector as a signal of norm 1, ``domain``."""
        vector = vector if self.matrix.is_complex() else vector.real
        return (vector / torch.linalg.vector_norm(vector)).reshape(self.domain)


def dense_matrix(layer: ConvLayer, grid_shape: tuple[int, ...]) -> Dense:
    """The matrix of the layer without its bias.

    Raises
    ------
    ValueError
        If it would take more than `MOST` entries to make.
    """
    fine, coarse = layer.grids(grid_shape)
    sizes = layer.channels[0] * math.prod(fine), layer.channels[1] * math.prod(coarse)
    columns, rows = reversed(sizes) if layer.transposed else sizes
    if columns * max(rows, columns) > MOST:
        raise ValueError(
            f"`conv_bounds(exact_matrix=True)`: got grid_shape {grid_shape}, for which {layer.name} is a matrix of "
            f"{rows} x {columns}, expected at most {MOST} entries in it and in its unit vectors. Use a smaller grid, "
            "or leave `exact_matrix` out for the bound by the torus."
        )
    domain = (layer.channels[1 if layer.transposed else 0], *grid_shape)
    basis = torch.eye(columns, dtype=layer.weight.dtype).reshape(columns, *domain)
    return Dense(_images(layer, basis).flatten(1).mT.contiguous(), domain)


def _images(layer: ConvLayer, signals: Tensor) -> Tensor:
    """What torch computes for signals ``(n, *domain)``, without the bias."""
    if not layer.ndim:
        return F.linear(signals, layer.weight)
    options = {"stride": layer.stride, "groups": layer.groups, "dilation": layer.dilation}
    if layer.transposed:
        options |= {"padding": layer.left, "output_padding": layer.output_padding}
        return _TRANSPOSED[layer.ndim](signals, layer.weight, **options)
    sides = [side for pair in zip(layer.left[::-1], layer.right[::-1], strict=True) for side in pair]
    padded = F.pad(signals, sides, mode="constant" if layer.mode == "zeros" else layer.mode)
    return _CONVOLUTIONS[layer.ndim](padded, layer.weight, **options)
