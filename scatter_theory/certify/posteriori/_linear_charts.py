"""Charts of families that are linear in their parameters: translations, and combinations of given fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scatter_theory.certify.posteriori._charts import Chart, few
from scatter_theory.deform import Field, translation
from scatter_theory.grid import Grid


def _linear(half: Sequence[float], radius: float, fields: Tensor, field: Callable[[Tensor], Field], t: float) -> Chart:
    unit = torch.eye(len(half), dtype=torch.float64, device=fields.device)
    return Chart(
        half=tuple(half),
        radius=radius,
        fields=fields,
        size=torch.zeros_like(fields[0, 0]),
        coefficients=lambda c: c,
        slopes=lambda c: unit.expand(len(c), *unit.shape),
        bend=lambda c, r: torch.zeros_like(c[:, 0]),
        field=field,
        sup_tau=t,
    )


def translations(grid: Grid, sup_tau: float | None, device: torch.device) -> Chart:
    """Translations by at most `sup_tau`."""
    if sup_tau is None or not (math.isfinite(sup_tau) and sup_tau >= 0):
        raise ValueError(f"`certify_deformation(sup_tau={sup_tau!r})`: translations need a finite size >= 0.")
    d = grid.ndim
    unit = torch.eye(d, dtype=torch.float64, device=device)
    fields = unit.reshape(d, d, *(1,) * d).expand(d, d, *grid.shape)
    t = float(sup_tau)
    return _linear((t,) * d, t, fields, lambda c: translation(c, grid.extent), t)


def span(parts: tuple[Field, ...], grid: Grid, device: torch.device) -> Chart:
    """Combinations of fields with coefficients in [-1, 1]."""
    few(len(parts), "there are")
    for part in parts:
        grid.check_extent(part.extent, "certify_deformation", "field")
    points = grid.points()
    fields = torch.stack([part.at(points.to(part.device)).to(device) for part in parts])

    def field(c: Tensor) -> Field:
        total = parts[0].scaled(float(c[0]))
        for part, factor in zip(parts[1:], c[1:].tolist(), strict=True):
            total = total + part.scaled(factor)
        return total

    return _linear((1.0,) * len(parts), math.inf, fields, field, sum(float(p.norms().sup.upper) for p in parts))
