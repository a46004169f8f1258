r"""Norms of any field by branch and bound.

The period is cut into boxes. On a box with centre c and half diagonal r, Taylor's formula and a-priori bounds
:math:`M_j` of the j-th derivatives give

.. math::
    |g(x)| \le \sqrt{|g(c)|^2 + 2 r\,|Dg(c)^T g(c)| + r^2 \|Dg(c)\|_F^2} + \tfrac12 r^2 \sup\|D^2 g\|
    \qquad\text{and}\qquad |g(x)| \le |g(c)| + r \sup\|Dg\|

for the field (:math:`g = \tau`), for its components and for the entries of :math:`D\tau`. Values at centres bound the
supremum from below. Boxes whose bound is within `TIGHT` of the best value found are settled; the others are halved
along every axis. Near a maximiser the first bound is off by a multiple of r^2, so that few boxes are left to halve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scatter_theory.deform._fields import ROUNDING, Field, FieldNorms, Smoothness
from scatter_theory.trigonometric import Enclosure

#: Relative width of the enclosures that are aimed at.
TIGHT = 0.02
#: What is allowed at least, relative to an a-priori bound; only for functions that are nearly 0 everywhere.
FLOOR = 1e-4
#: Boxes along the shortest period at the start, and the most boxes that are looked at together.
FIRST, MOST = {1: 32, 2: 12, 3: 8}, 1 << 17
#: Boxes whose derivatives are evaluated at once.
CHUNK = 1 << 13


class Look(NamedTuple):
    """Vectors with their first derivatives at points: ``(m, n)``, ``|g|``, ``|Dg^T g|`` and ``|Dg|_F``."""

    size: Tensor
    pull: Tensor
    slope: Tensor


def enclosed(field: Field) -> FieldNorms:
    """Norms of a field whose derivatives are bounded a priori.

    Where the boxes become too many, or a bound is infinite, the upper values are rigorous but wider than `TIGHT`.
    """
    if field.batch:
        rows = [enclosed(field.select(i)) for i in range(field.batch[0])]
        stacked = [
            Enclosure(*(_stack([getattr(row, name)[i] for row in rows], field, name) for i in (0, 1)))
            for name in ("sup", "jacobian", "components")
        ]
        return FieldNorms(*stacked, _SOURCE)
    with torch.no_grad():
        bounds = field.smoothness()
        sup = supremum(lambda x: _of_values(field, x), field.extent, bounds.size, bounds.slope, bounds.curvature)
        parts = [
            supremum(lambda x, k=k: _of_values(field, x, k), field.extent, sup.upper, bounds.slope, bounds.curvature)
            for k in range(field.ndim)
        ]
        jacobian = supremum(
            lambda x: _of_entries(field, x, bounds), field.extent, bounds.slope, bounds.curvature, bounds.third
        )
    components = Enclosure(*(torch.stack([p[i] for p in parts]) for i in (0, 1)))
    return FieldNorms(sup, jacobian, components, _SOURCE)


_SOURCE = "branch and bound with a-priori bounds of derivatives"


def _stack(rows: Sequence[Tensor], field: Field, name: str) -> Tensor:
    if rows:
        return torch.stack(list(rows))
    shape = (*field.batch, field.ndim) if name == "components" else field.batch
    return torch.zeros(shape, dtype=torch.float64, device=field.device)


def supremum(
    look: Callable[[Tensor], Look], extent: Sequence[float], size: Tensor, slope: Tensor, curvature: Tensor
) -> Enclosure:
    """Enclose the largest ``|g|`` over the period, for vectors g with the given bounds of 0, 1 and 2 derivatives."""
    d = len(extent)
    device = size.device
    lengths = torch.tensor(extent, dtype=torch.float64, device=device)
    counts = [max(1, round(FIRST[d] * L / min(extent))) for L in extent]
    widths = lengths / torch.tensor(counts, dtype=torch.float64, device=device)
    axes = [torch.arange(n, dtype=torch.float64, device=device) + 0.5 for n in counts]
    centres = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1) * widths[:, None]
    half = torch.tensor([-0.25, 0.25], dtype=torch.float64, device=device)
    steps = torch.stack(torch.meshgrid(*([half] * d), indexing="ij")).flatten(1)
    lower, settled = torch.zeros_like(size), torch.zeros_like(size)
    while True:
        found = [look(part) for part in centres.split(CHUNK, 1)]
        value, pull, gradient = (torch.cat(column, -1) for column in zip(*found, strict=True))
        lower = torch.maximum(lower, value.max())
        r = 0.5 * torch.linalg.vector_norm(widths) * (1 + ROUNDING)
        second = (value**2 + 2 * r * pull + (r * gradient) ** 2).sqrt() + 0.5 * r**2 * curvature
        bound = torch.minimum(torch.minimum(second, value + r * slope).amax(0), size)
        goal = torch.maximum((1 + TIGHT) * lower, FLOOR * size)
        open_boxes = bound > goal
        if bool(open_boxes.logical_not().any()):
            settled = torch.maximum(settled, bound[~open_boxes].max())
        left = int(open_boxes.sum())
        if left == 0 or left * 2**d > MOST or not bool(torch.isfinite(slope)):
            upper = torch.maximum(settled, bound[open_boxes].max()) if left else settled
            return Enclosure(lower, torch.maximum(upper, lower) * (1 + ROUNDING))
        offsets = steps * widths[:, None]
        centres = (centres[:, open_boxes][:, :, None] + offsets[:, None, :]).flatten(1)
        widths = widths / 2


def _of_values(field: Field, points: Tensor, component: int | None = None) -> Look:
    tau, D = field.at(points), field.jacobian(points)
    if component is not None:
        tau, D = tau[component : component + 1], D[component : component + 1]
    return Look(
        torch.linalg.vector_norm(tau, dim=0)[None],
        torch.linalg.vector_norm((D * tau[:, None]).sum(0), dim=0)[None],
        torch.linalg.vector_norm(D.flatten(0, 1), dim=0)[None],
    )


def _of_entries(field: Field, points: Tensor, bounds: Smoothness) -> Look:
    """Every entry of the Jacobian, with its gradient by automatic differentiation."""
    if not bool(torch.isfinite(bounds.third)):
        sizes = field.jacobian(points).flatten(0, 1).abs()
        return Look(sizes, torch.zeros_like(sizes), torch.zeros_like(sizes))
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        entries = field.jacobian(x).flatten(0, 1)
        slopes = []
        for entry in entries:
            (slope,) = torch.autograd.grad(entry.sum(), x, retain_graph=True, allow_unused=True)
            slopes.append(torch.zeros_like(points) if slope is None else slope)
    slope = torch.linalg.vector_norm(torch.stack(slopes), dim=1)
    size = entries.detach().abs()
    return Look(size, size * slope, slope)
