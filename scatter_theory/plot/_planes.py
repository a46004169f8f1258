"""Two-dimensional views of frequency and space: whole images for d = 2, three central slices for d = 3."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Axes (row, column) of each panel by dimension.
PLANES = {2: ((0, 1),), 3: ((0, 1), (0, 2), (1, 2))}


def shifted_frequencies(grid: Any) -> tuple[np.ndarray, ...]:
    """Increasing DFT frequencies of each axis, in cycles per unit."""
    return tuple(np.fft.fftshift(np.fft.fftfreq(n, d=h)) for n, h in zip(grid.shape, grid.spacing, strict=True))


def centred_positions(grid: Any) -> tuple[np.ndarray, ...]:
    """Positions of each axis with the origin at sample ``N // 2``, in units."""
    return tuple((np.arange(n) - n // 2) * h for n, h in zip(grid.shape, grid.spacing, strict=True))


def across(axes: tuple[int, int]) -> int:
    """The axis of a three-dimensional grid on which the plane stands."""
    (other,) = {0, 1, 2} - set(axes)
    return other


def view(values: np.ndarray, d: int, axes: tuple[int, int]) -> np.ndarray:
    """Values ``(..., *shape)`` on the plane: all of them for d = 2, for d = 3 the slice through sample ``N // 2``."""
    if d == 2:
        return values
    other = across(axes) - 3
    return np.take(values, values.shape[other] // 2, axis=other)


def extent(coordinates: tuple[np.ndarray, ...], axes: tuple[int, int]) -> tuple[float, float, float, float]:
    """Edges (left, right, bottom, top) of the pixels, columns along x and rows along y."""
    edges = []
    for axis in (axes[1], axes[0]):
        x = coordinates[axis]
        half = 0.5 * (x[1] - x[0]) if x.size > 1 else 0.5
        edges += [x[0] - half, x[-1] + half]
    return tuple(edges)


def axis_names(quantity: str, unit: str, axes: tuple[int, int]) -> tuple[str, str]:
    """Labels of the x and the y axis, with the number of the grid axis and the unit."""
    return tuple(f"{quantity}, axis {axis + 1} [{unit}]" for axis in (axes[1], axes[0]))
