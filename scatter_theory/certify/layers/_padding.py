r"""Padded convolutions inside the torus: which circular operator bounds a layer, and when it is the layer itself.

A layer with fine grid n, coarse grid m, stride s and padding a, b reads the positions :math:`-a, \dots, J` per axis,
:math:`J = s(m - 1) + \text{reach} - a`.

*Zeros.* On a torus of N samples, s | N, that satisfies :math:`N \ge n + a` and :math:`N \ge J + 1`, a position outside
the grid never falls on a sample of the signal. Two rows that are N samples apart cannot both read samples, because the
later one would read beyond J; so all rows but those that read nothing are different rows of the torus. Then

.. math:: T = R \, T_N \, E, \qquad \|T\| \le \|T_N\| ,

E fills up with zeros, R keeps some of the N / s rows. If N = n = s m both are identities, and the layer is
:math:`T_N`.

*Circular.* If s | n and the coarse grid has n / s samples, T is :math:`T_n`; if it has fewer, T has fewer rows.

*Reflection, replication, and circular padding with more rows.* T is a convolution without padding after a map P that
copies samples. P* P is diagonal and counts the copies, so that :math:`\|P\|^2 = \mu`, the largest count, and
:math:`\|T\|^2 \le \mu \|T_N\|^2` with :math:`N \ge n + a + b`, s | N. The counts multiply over the axes.

For a transposed convolution everything holds of the transpose.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scatter_theory.certify.layers._reading import ConvLayer, checked_shape, read


@dataclass(frozen=True)
class Torus:
    """A torus whose circular operator bounds a layer.

    Parameters
    ----------
    fine, coarse : tuple of int
        Samples per axis; fine = stride * coarse.
    exact : bool
        Whether the layer is the circular operator itself.
    factor : int
        What the squared norm of the circular operator is multiplied by: copies of one sample.
    reason : str
        Why the operator bounds the layer.
    """

    fine: tuple[int, ...]
    coarse: tuple[int, ...]
    exact: bool
    factor: int
    reason: str


def placed(layer: Any, grid_shape: Any, padding: str | None) -> tuple[ConvLayer, tuple[int, ...], Torus]:
    """The layer as numbers, its grid, and its torus: the bounding one, or with ``"circular"`` the grid itself.

    Raises
    ------
    TypeError, ValueError
        If one of them does not fit; see `conv_bounds`.
    """
    if padding not in (None, "circular"):
        raise ValueError(
            f"`conv_bounds(padding=...)`: got {padding!r}, expected None for the layer as torch computes it, or "
            "'circular' for its weights on the torus. Other padding belongs into the layer."
        )
    geometry = read(layer)
    shape = checked_shape(geometry, grid_shape)
    torus = bounding_torus if padding is None else whole_torus
    return geometry, shape, torus(geometry, shape)


def whole_torus(layer: ConvLayer, grid_shape: tuple[int, ...]) -> Torus:
    """The torus of the grid itself, on which the layer's weights act circularly, whatever the layer's padding.

    Raises
    ------
    ValueError
        If the stride does not divide a length: the operator is then not shift-covariant on the torus.
    """
    if layer.transposed:
        fine = tuple(s * m for s, m in zip(layer.stride, grid_shape, strict=True))
        return Torus(fine, grid_shape, True, 1, "circular")
    _check_stride(layer, grid_shape)
    coarse = tuple(n // s for s, n in zip(layer.stride, grid_shape, strict=True))
    return Torus(grid_shape, coarse, True, 1, "circular")


def bounding_torus(layer: ConvLayer, grid_shape: tuple[int, ...]) -> Torus:
    """The torus that bounds the layer as torch computes it.

    Raises
    ------
    ValueError
        For circular padding where the stride does not divide a length, padding that torch refuses, or a grid that is
        too small.
    """
    fine, coarse = layer.grids(grid_shape)
    if layer.mode == "zeros":
        return _zeros(layer, fine, coarse)
    _check_padding(layer, fine)
    if layer.mode == "circular":
        _check_stride(layer, fine)
        whole = tuple(n // s for n, s in zip(fine, layer.stride, strict=True))
        if coarse == whole:
            return Torus(fine, whole, True, 1, "circular padding")
        if all(m <= w for m, w in zip(coarse, whole, strict=True)):
            return Torus(fine, whole, False, 1, "circular padding that leaves out rows of the torus")
    copies = math.prod(_copies(layer, fine, axis) for axis in range(layer.ndim))
    padded = tuple(n + a + b for n, a, b in zip(fine, layer.left, layer.right, strict=True))
    torus = _fitted(layer, padded)
    reason = f"{layer.mode} padding, in which a sample occurs up to {copies} times"
    return Torus(torus, _divided(torus, layer.stride), False, copies, reason)


def _zeros(layer: ConvLayer, fine: tuple[int, ...], coarse: tuple[int, ...]) -> Torus:
    axes = zip(fine, coarse, layer.stride, layer.left, layer.reach, strict=True)
    torus = _fitted(layer, [max(n + a, s * (m - 1) + r - a + 1) for n, m, s, a, r in axes])
    shrunk = _divided(torus, layer.stride)
    if torus == fine and shrunk == coarse:
        return Torus(torus, shrunk, True, 1, "no tap leaves the grid")
    return Torus(torus, shrunk, False, 1, "zero padding, as a part of the circular operator on a larger torus")


def _fitted(layer: ConvLayer, least: Sequence[int]) -> tuple[int, ...]:
    return tuple(s * -(-n // s) for n, s in zip(least, layer.stride, strict=True))


def _divided(fine: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n // s for n, s in zip(fine, stride, strict=True))


def _copies(layer: ConvLayer, fine: tuple[int, ...], axis: int) -> int:
    """Largest number of times that one sample of an axis occurs in the padded axis."""
    n, positions = fine[axis], range(-layer.left[axis], fine[axis] + layer.right[axis])
    if layer.mode == "circular":
        sources = (p % n for p in positions)
    elif layer.mode == "reflect":
        sources = (abs((n - 1) - abs((n - 1) - p)) for p in positions)
    else:
        sources = (min(max(p, 0), n - 1) for p in positions)
    return max(Counter(sources).values())


def _check_padding(layer: ConvLayer, fine: tuple[int, ...]) -> None:
    """Padding that torch cannot do is refused here already."""
    limits = {"circular": 0, "reflect": 1}
    if layer.mode in limits:
        least = tuple(max(a, b) + limits[layer.mode] for a, b in zip(layer.left, layer.right, strict=True))
        if any(n < k for n, k in zip(fine, least, strict=True)):
            raise ValueError(
                f"`conv_bounds(grid_shape=...)`: got {fine}, expected at least {least}: {layer.mode} padding cannot "
                f"be longer than the axis of {layer.name}. Use a larger grid, or `padding='circular'`."
            )


def _check_stride(layer: ConvLayer, fine: tuple[int, ...]) -> None:
    if any(n % s for n, s in zip(fine, layer.stride, strict=True)):
        nearest = tuple(s * max(1, (2 * n + s) // (2 * s)) for n, s in zip(fine, layer.stride, strict=True))
        raise ValueError(
            f"`conv_bounds(grid_shape=...)`: got {fine}, expected multiples of the stride {layer.stride}: otherwise a "
            "strided circular convolution does not commute with shifts, and has no symbol. The nearest grid is "
            f"{nearest}; `exact_matrix=True` gives the bounds of this one from its matrix, if it is small."
        )
