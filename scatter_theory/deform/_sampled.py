"""Displacements known at the samples of a grid only: enough for statements about arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.deform._fields import Field, FieldNorms, Smoothness, finite
from scatter_theory.grid import Grid
from scatter_theory.trigonometric import Enclosure

#: Distance from a sample, in spacings, up to which a point counts as that sample.
_ON_GRID = 1e-6


@dataclass(frozen=True, eq=False)
class SampledField(Field):
    """A displacement at every sample, and nothing in between.

    Its `sup` norms are maxima over the samples; its Jacobian is unknown, and counts as infinite.

    Parameters
    ----------
    values : (*batch, d, *grid.shape) tensor
        In the unit of the grid.
    grid : Grid

    Raises
    ------
    ValueError
        For values that do not fit the grid or are not finite.
    """

    values: Tensor
    grid: Grid
    _batched: ClassVar[tuple[str, ...]] = ("values",)

    def __post_init__(self) -> None:
        shape = (self.grid.ndim, *self.grid.shape)
        if self.values.is_complex() or tuple(self.values.shape[-len(shape) :]) != shape:
            raise ValueError(
                f"`SampledField(values=...)`: got {self.values.dtype} of shape {tuple(self.values.shape)}, expected "
                f"real displacements of shape (*batch, {', '.join(map(str, shape))})."
            )
        finite("SampledField(values=...)", self.values)
        object.__setattr__(self, "values", self.values.to(torch.float64))

    @property
    def extent(self) -> tuple[float, ...]:
        """Periods ``L_i``, in the unit of position."""
        return self.grid.extent

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.values.shape[: -self.ndim - 1])

    @property
    def device(self) -> torch.device:
        """Where the values are."""
        return self.values.device

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Displacements at samples of the grid, ``(*batch, d, *shape)``.

        Raises
        ------
        ValueError
            If a point is not a sample of the grid (looked at on the CPU only; elsewhere its value is NaN).
        """
        d, lead = self.ndim, len(self.batch) if each else 0
        spacing = torch.tensor(self.grid.spacing, dtype=torch.float64, device=points.device)
        index = points.detach().to(torch.float64).movedim(lead, -1) / spacing
        places = index.round()
        between = ((index - places).abs() > _ON_GRID).any(-1)
        if points.device.type == "cpu" and bool(between.any()):
            raise ValueError(
                "`SampledField.at(points=...)`: this displacement is known at the samples of its grid only. Use a "
                "field that is given everywhere, such as TrigonometricField."
            )
        flat = torch.zeros(places.shape[:-1], dtype=torch.int64, device=points.device)
        for axis, n in enumerate(self.grid.shape):
            flat = flat * n + places[..., axis].to(torch.int64) % n
        shape = flat.shape[lead:]
        flat, between = (v.reshape(*(self.batch if lead else ()), 1, -1) for v in (flat, between))
        picked = self.values.flatten(-d).gather(-1, flat.expand(*self.batch, d, flat.shape[-1]))
        return picked.masked_fill(between, math.nan).reshape(*self.batch, d, *shape)

    def jacobian(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Infinities ``(*batch, d, d, *shape)``: nothing is known between the samples."""
        lead = len(self.batch) if each else 0
        shape = (*self.batch, self.ndim, self.ndim, *points.shape[lead + 1 :])
        return torch.full(shape, torch.inf, dtype=torch.float64, device=points.device)

    def smoothness(self) -> Smoothness:
        """The size; nothing is known of the derivatives."""
        size = self.norms().sup.upper
        unknown = torch.full_like(size, torch.inf)
        return Smoothness(size, unknown, unknown, unknown)

    def _certified(self) -> FieldNorms:
        values = self.values.detach()
        lengths = torch.linalg.vector_norm(values, dim=-self.ndim - 1).flatten(-self.ndim).amax(-1)
        parts = values.abs().flatten(-self.ndim).amax(-1)
        unknown = Enclosure(torch.zeros_like(lengths), torch.full_like(lengths, torch.inf))
        return FieldNorms(
            Enclosure(lengths, lengths), unknown, Enclosure(parts, parts), "maxima over the samples of the grid"
        )

    def _scaled(self, factor: Tensor | float) -> SampledField:
        if isinstance(factor, Tensor):
            factor = factor.reshape(*factor.shape, *(1,) * (self.ndim + 1))
        return SampledField(self.values * factor, self.grid)
