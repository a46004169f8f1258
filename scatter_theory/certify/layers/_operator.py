"""A layer, its grid and its padding as the matrices whose singular values decide."""

from __future__ import annotations

from typing import Any

from torch import nn

from scatter_theory.certify.layers._dense import Dense, dense_matrix
from scatter_theory.certify.layers._padding import Torus, placed
from scatter_theory.certify.layers._reading import ConvLayer, checked_shape, read
from scatter_theory.certify.layers._symbol import Symbol, symbol_of


def operator(
    layer: nn.Module, grid_shape: Any, padding: str | None, matrix: bool
) -> tuple[ConvLayer, Symbol | Dense, Torus]:
    """The layer as numbers, its matrices, and its torus, without samples for a matrix of the whole layer.

    Raises
    ------
    TypeError, ValueError
        As `conv_bounds`.
    """
    if matrix:
        geometry = read(layer)
        dense = dense_matrix(geometry, checked_shape(geometry, grid_shape))
        return geometry, dense, Torus((), (), True, 1, "matrix of the layer")
    geometry, _, torus = placed(layer, grid_shape, padding)
    return geometry, symbol_of(geometry, torus.coarse), torus
