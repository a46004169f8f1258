"""Charts of the affine maps of a disc: the parameters enter through a matrix."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from scatter_theory.certify.posteriori._charts import Chart, few
from scatter_theory.deform import AffineField, Field, Rotations, Scalings, Shears
from scatter_theory.grid import Grid


def disc_maps(family: Rotations | Scalings | Shears, grid: Grid, device: torch.device) -> Chart:
    """Rotations, scalings or shears of a disc."""
    d = grid.ndim
    count = family.parameters(grid)
    if isinstance(family, Rotations) and d != 2:
        raise ValueError(
            "`certify_deformation(family=Rotations(...))`: known for rotations of a disc (2 axes) only; use fields, or "
            "`certify.oscillation`."
        )
    few(count, f"{family.name} in {d} dimensions has")
    zero = family.member(torch.zeros((1, count), dtype=torch.float64), grid).select(0)
    assert isinstance(zero, AffineField)
    eye = torch.eye(d, dtype=torch.float64)
    whole = replace(zero, matrix=eye).at(grid.points()).to(device)
    fields = _components(whole, d)
    if isinstance(family, Rotations):
        half = (family.max_angle,)
        turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)

        def matrix(c: Tensor) -> Tensor:
            # 1 - cos c = 2 sin(c/2)^2 keeps the digits of small angles.
            a = c[:, :, None].cpu()
            return 2 * (0.5 * a).sin().square() * eye - a.sin() * turn

        def slope(c: Tensor) -> Tensor:
            a = c[:, :, None, None].cpu()
            return a.sin() * eye - a.cos() * turn

        def bend(c: Tensor, r: Tensor) -> Tensor:
            return 0.5 * r[:, 0] ** 2

    elif isinstance(family, Scalings):
        half = (math.log(family.max_factor),)

        def matrix(c: Tensor) -> Tensor:
            return -torch.expm1(c[:, :, None].cpu()) * eye

        def slope(c: Tensor) -> Tensor:
            return -c[:, :, None, None].cpu().exp() * eye

        def bend(c: Tensor, r: Tensor) -> Tensor:
            return 0.5 * r[:, 0] ** 2 * (c[:, 0] + r[:, 0]).exp()

    else:
        half = (family.max_shear,) * count
        places = [(k, l) for k in range(d) for l in range(d) if k != l]
        units = torch.zeros((count, d, d), dtype=torch.float64)
        for i, (k, l) in enumerate(places):
            units[i, k, l] = 1.0

        def matrix(c: Tensor) -> Tensor:
            return -torch.tensordot(c.cpu(), units, 1)

        def slope(c: Tensor) -> Tensor:
            return -units.expand(len(c), *units.shape)

        def bend(c: Tensor, r: Tensor) -> Tensor:
            return torch.zeros_like(c[:, 0])

    def field(c: Tensor) -> Field:
        return replace(zero, matrix=matrix(c[None])[0])

    chart = Chart(
        half=half,
        radius=math.inf,
        fields=fields,
        size=torch.linalg.vector_norm(whole, dim=0),
        coefficients=lambda c: matrix(c).flatten(-2),
        slopes=lambda c: slope(c).flatten(-2),
        bend=bend,
        field=field,
        sup_tau=math.nan,
    )
    # The matrices are largest at a corner of the box: 2 sin(|c|/2) up to pi, |1 - e^c|, and a norm, which is convex.
    corners = chart.corners().clamp(-math.pi, math.pi) if isinstance(family, Rotations) else chart.corners()
    return replace(chart, sup_tau=max(float(field(c).norms().sup.upper) for c in corners))


def _components(whole: Tensor, d: int) -> Tensor:
    """Fields ``(d d, d, *shape)`` that put component l of a field at component k, for the entries [k, l]."""
    eye = torch.eye(d, dtype=torch.float64, device=whole.device)
    parts = eye[:, None, :].reshape(d, 1, d, *(1,) * d) * whole[None, :, None]
    return parts.flatten(0, 1)
