"""Bounds of the linear layers of a network, and all their singular values."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from scatter_theory.certify.layers._certificate import ConvBounds, Witness
from scatter_theory.certify.layers._extremes import extremes
from scatter_theory.certify.layers._operator import operator
from scatter_theory.certify.layers._padding import placed
from scatter_theory.certify.layers._symbol import least_degree, symbol_of
from scatter_theory.constants import Constant


def conv_bounds(
    layer: nn.Module, grid_shape: Any, *, padding: str | None = None, exact_matrix: bool = False
) -> ConvBounds:
    r"""Frame bounds and norm of a convolution layer of torch, 1-D to 3-D, or of a `Linear`.

    .. math:: A = \min_{q, g} \sigma_{\min}(T_g(q))^2, \qquad B = \max_{q, g} \sigma_{\max}(T_g(q))^2

    over the coarse frequencies q and the groups g of the symbol of the layer (see `_symbol`), :math:`A = 0` where T(q)
    has more columns than rows. Stride, dilation, groups and transposition are covered; the bias changes no distance
    and is left out. The numbers are those of the linear map with the stored weights in exact arithmetic, computed in
    float64 on the CPU; a layer that runs in float32 adds its own rounding to every output.

    *When they are those of the layer* (``exact``). Circular padding with a coarse grid of n / s samples, or kernels
    that never leave the grid, such as patches. Otherwise the layer is a part of a circular operator on a torus, or is
    one after a map that copies samples: B is then an upper bound, and A is not known (see `_padding`).
    ``exact_matrix`` takes the matrix of the layer instead, for small grids. A transposed convolution of torch pads with
    zeros, and its circular counterpart has the bounds of ``padding="circular"``.

    The paper's theory of modules is about scalar convolutions: with one input channel the filters are a semi-discrete
    frame, see `frames.from_conv`; with more the layer is an operator with bounds, and this is where they come from.

    Parameters
    ----------
    layer : nn.Conv1d, ..., nn.ConvTranspose3d, nn.Linear
        float16, bfloat16, float32 or float64 weights, or complex ones; parametrized weights as they are now.
    grid_shape : tuple of int
        Axes of the input without batch and channels; ``()`` for a `Linear`.
    padding : {None, "circular"}
        None: the layer as torch computes it. ``"circular"``: its weights on the torus `grid_shape`, exactly.
    exact_matrix : bool
        Take the singular values of the matrix of the layer as torch computes it, for every padding.

    Returns
    -------
    ConvBounds
        A is accurate to a few rounding errors *of B*: its `error` says so. A smallest singular value is found through
        a product of matrices, so that A cannot tell frequencies apart whose values differ by less than that.

    Raises
    ------
    TypeError
        For another module, a forward pass of its own, or weights that are not floating-point numbers.
    ValueError
        For a shape that does not fit, weights that are not finite, circular padding where the stride does not divide
        the grid (the nearest grid is named), padding that torch refuses, a matrix that is too large, or
        ``exact_matrix`` together with ``padding``.

    Examples
    --------
    >>> layer = torch.nn.Conv1d(1, 2, 2, bias=False, dtype=torch.float64)
    >>> layer.weight = torch.nn.Parameter(torch.tensor([[[0.5, 0.5]], [[0.5, -0.5]]], dtype=torch.float64))
    >>> print(conv_bounds(layer, (9,), padding="circular"))
    Conv1d(1, 2, kernel_size=(2,)) on (9,): A = 1, B = 1 (exact: circular)
    >>> print(conv_bounds(layer, (9,), exact_matrix=True))
    Conv1d(1, 2, kernel_size=(2,)) on (9,): A = 0.5, B = 1 (exact: matrix of the layer)
    """
    if exact_matrix and padding is not None:
        raise ValueError(
            f"`conv_bounds(exact_matrix=True)`: got also padding={padding!r}, expected one of them: the matrix is that "
            "of the layer with its own padding."
        )
    geometry, matrices, torus = operator(layer, grid_shape, padding, exact_matrix)
    lower, upper = extremes(matrices)
    error = matrices.rounding(math.sqrt(upper.value))
    kind = "grid" if torus.exact else "certified"
    where = "the matrix" if exact_matrix else f"the symbols on a torus of {torus.fine}"
    A = Constant(lower.value, f"smallest squared singular value of {where}", kind, error=error)
    B = Constant(
        torus.factor * upper.value,
        f"largest squared singular value of {where}; {torus.reason}",
        kind,
        error=torus.factor * error,
    )
    return ConvBounds(
        layer=geometry.name,
        grid_shape=tuple(int(n) for n in grid_shape),
        padding=padding,
        method="matrix" if exact_matrix else "torus",
        exact=torus.exact,
        reason=torus.reason,
        A=A if torus.exact else None,
        B=B,
        at_A=Witness.of(lower) if torus.exact else None,
        at_B=Witness.of(upper),
        torus=torus.fine,
        coarse=torus.coarse,
        degree=least_degree(geometry),
        factor=torus.factor,
    )


def conv_singular_values(layer: nn.Module, grid_shape: Any, *, padding: str | None = None) -> Tensor:
    """All singular values of a layer that is exactly an operator on the torus.

    They come from singular value decompositions of the symbols, so that small ones are as accurate as large ones:
    to a few rounding errors of the largest.

    Parameters
    ----------
    layer, grid_shape, padding
        As for `conv_bounds`.

    Returns
    -------
    (*coarse, groups, min(rows, columns)) tensor
        float64, descending along the last axis.

    Raises
    ------
    TypeError, ValueError
        As `conv_bounds`; or if the layer is only a part of an operator on the torus, whose singular values are others.
    """
    geometry, _, torus = placed(layer, grid_shape, padding)
    if not torus.exact:
        raise ValueError(
            f"`conv_singular_values(layer=...)`: got {geometry.name} on {tuple(grid_shape)}, expected an operator on "
            f"the torus ({torus.reason}). Use `padding='circular'` for its weights on the torus."
        )
    symbol = symbol_of(geometry, torus.coarse)
    _, groups, rows, columns = symbol.taps.shape
    out = torch.empty(*torus.coarse, groups, min(rows, columns), dtype=torch.float64)
    m = torch.tensor(torus.coarse, dtype=torch.int64)
    for q, found in symbol.chunks():
        values = torch.linalg.svdvals(found)
        out[tuple(q.T)] = values
        if symbol.real:
            out[tuple(((-q) % m).T)] = values
    return out
