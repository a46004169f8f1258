r"""Translations and rotations of samples, as transforms and as derivatives, by the trigonometric interpolant.

A one-parameter family :math:`(\rho(t) f)(x) = f(x - t\,\tau(x) + O(t^2))` has the derivative
:math:`-\langle \tau, \nabla f \rangle` at t = 0, which is exact for the interpolant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from scatter_theory.deform._affine import AffineField
from scatter_theory.deform._fields import Field
from scatter_theory.deform._trigonometric import translation
from scatter_theory.grid import Grid
from scatter_theory.trigonometric import Polynomial

#: Radii in shortest periods between which rotations and scalings of a torus come to rest.
INNER, OUTER = 0.25, 0.45


def generators(owner: str, grid: Grid, kind: str, direction: Any, field: Field | None) -> tuple[Field, ...]:
    """The displacement fields along which to differentiate."""
    if field is not None:
        if not isinstance(field, Field):
            raise TypeError(f"`{owner}(field=...)`: got {type(field).__name__}, expected a Field.")
        if field.batch:
            raise ValueError(f"`{owner}(field=...)`: got a batch {field.batch} of fields, expected a single one.")
        grid.check_extent(field.extent, owner, "field")
        return (field,)
    if direction is not None and kind != "translation":
        raise ValueError(f"`{owner}(direction=...)`: only translations have a direction, not kind={kind!r}.")
    d = grid.ndim
    if kind == "translation":
        rows = torch.eye(d, dtype=torch.float64) if direction is None else [direction]
        return tuple(translation(row, grid.extent) for row in rows)
    centre = tuple(0.5 * L for L in grid.extent)
    radii = INNER * min(grid.extent), OUTER * min(grid.extent)
    if kind == "scaling":
        return (AffineField(torch.eye(d, dtype=torch.float64), centre, *radii, grid.extent),)
    if kind != "rotation":
        raise ValueError(f"`{owner}(kind=...)`: got {kind!r}, expected 'translation', 'rotation' or 'scaling'.")
    if d == 1:
        raise ValueError(f"`{owner}(kind='rotation')`: a line has no rotations; use two or three axes.")
    turns = []
    for k, l in combinations(range(d), 2):
        J = torch.zeros((d, d), dtype=torch.float64)
        J[k, l], J[l, k] = -1.0, 1.0
        turns.append(AffineField(J, centre, *radii, grid.extent))
    return tuple(turns)


def moved(f: Tensor, grid: Grid, field: Field) -> Tensor:
    r"""Samples of :math:`-\langle \tau, \nabla f\rangle`, ``(*batch, *grid.shape)``, exact for the interpolant."""
    p = Polynomial.interpolating(f, grid)
    tau = field.at(grid.points(device=field.device)).to(f.device)
    return -sum(tau[axis] * p.derivative(axis).on(grid) for axis in range(grid.ndim))


def shifted(f: Tensor, grid: Grid, samples: Tensor, *, whole: bool) -> Tensor:
    """Translates ``f(x - t)`` of ``(batch, *channels, *grid.shape)`` by ``(batch, d)`` samples, one for each."""
    if whole:
        rows = samples.round().long().tolist()
        return torch.stack([grid.translate(one, row) for one, row in zip(f, rows, strict=True)])
    p = Polynomial.interpolating(f, grid)
    spacing = torch.tensor(grid.spacing, dtype=torch.float64)
    t = (samples * spacing).to(f.device)
    angle = -2 * math.pi * torch.tensordot(t, p.frequencies, dims=1)
    phase = torch.polar(torch.ones_like(angle), angle)
    phase = phase.reshape(len(f), *(1,) * (f.ndim - 1 - grid.ndim), *p.box)
    return Polynomial(p.coefficients * phase, p.extent, p.real).on(grid)


def turned(f: Tensor, grid: Grid, angles: Sequence[float], keep: Tensor | None = None) -> Tensor:
    """Values of ``f(c + R(-angle) (x - c))`` about the centre c of the cell, one angle for each signal.

    Parameters
    ----------
    f : (batch, *channels, *grid.shape) tensor
    grid : Grid
        With two axes.
    angles : sequence of float
        In radians, from the first axis towards the second.
    keep : (*grid.shape) boolean tensor, optional
        The samples that are wanted; default: all.

    Returns
    -------
    (batch, *channels, n_points) tensor, or (batch, *channels, *grid.shape)
        Points that leave the cell are read modulo the period.
    """
    p = Polynomial.interpolating(f, grid)
    y = from_centre(grid, f.device)
    y = y if keep is None else y[:, keep]
    centre = torch.tensor(grid.extent, dtype=torch.float64, device=f.device).reshape(2, *(1,) * (y.ndim - 1)) / 2
    rows = []
    for i, angle in enumerate(angles):
        cos, sin = math.cos(angle), math.sin(angle)
        back = torch.stack([cos * y[0] + sin * y[1], cos * y[1] - sin * y[0]])
        rows.append(p.select(i).at(centre + back))
    return torch.stack(rows)


def from_centre(grid: Grid, device: torch.device) -> Tensor:
    """Positions relative to the centre of the cell, ``(d, *grid.shape)``."""
    L = torch.tensor(grid.extent, dtype=torch.float64, device=device).reshape(-1, *(1,) * grid.ndim)
    return grid.points(device=device) - L / 2


def disc(grid: Grid, radius: float, device: torch.device) -> Tensor:
    """Samples nearer to the centre than `radius` shortest periods, ``(*grid.shape)``, boolean."""
    return torch.linalg.vector_norm(from_centre(grid, device), dim=0) < radius * min(grid.extent) * (1 - 1e-12)
