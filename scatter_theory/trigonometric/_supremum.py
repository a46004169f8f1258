r"""Certified suprema of trigonometric polynomials.

Let p be a trigonometric polynomial of degree at most :math:`M_i` in coordinate i, with values in a Euclidean space, and
let :math:`m_i > 2 M_i` samples per period be taken. With :math:`\theta_i = \pi M_i / m_i`,

.. math:: \max_{\text{samples}} |p| \le \sup |p| \le \max_{\text{samples}} |p| \; \prod_i (\cos\theta_i)^{-1} .

Proof. Let :math:`S = \sup|p| = |p(x^*)|` and :math:`q = \mathrm{Re}\langle p, p(x^*)/S\rangle`, a real polynomial with
:math:`q(x^*) = S = \sup|q|`. By the inequality of Bernstein and Szegő, :math:`q'^2 + (2\pi M)^2 q^2 \le (2\pi M)^2 S^2`
in one coordinate (period 1), so that :math:`\arccos(q/S)` changes by at most :math:`2\pi M s` over a distance s. The
nearest sample is at most 1/(2m) away. For one coordinate this is the claim; for more, apply it to one coordinate after
the other, each time to the supremum over the coordinates that are left.

Refinement. Moving from :math:`x^*` to the nearest sample one coordinate at a time, the same inequality gives
:math:`|p| \ge S \cos(\sum_i \theta_i)` at *that* sample. So only cells of samples with
:math:`|p| \ge \ell \cos(\sum_i\theta_i)`, :math:`\ell` any lower value of S, can hold :math:`x^*`. Sampling these
cells r times more finely encloses S with the factor :math:`\cos(\sum_i\theta_i / r)^{-1}`.

Nearly constant polynomials have too many such cells; but the first inequality also holds for :math:`p - c_0`, hence
:math:`\sup|p| \le |c_0| + \max_{\text{samples}} |p - c_0| \prod_i(\cos\theta_i)^{-1}`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.trigonometric._polynomial import Polynomial

#: Samples per period and degree of the first sampling, by the number of axes, and the fewest where memory is short.
OVERSAMPLING, FEWEST = {1: 64, 2: 16, 3: 24}, 4
#: Samples in all up to which the first sampling keeps its density.
MOST_SAMPLES = 1 << 22
#: Subdivisions of a cell that may hold the maximiser, per axis, and the most cells that are subdivided.
FINER, MOST_CELLS = 8, {1: 2048, 2: 2048, 3: 128}
#: Rounding of sums of this kind, relative.
ROUNDING = 1e-13


class Enclosure(NamedTuple):
    """Lower and upper values of a supremum, ``(*batch,)``; the lower one is attained at a point that was looked at.

    Parameters
    ----------
    lower, upper : (*batch,) tensor
        float64, in the unit of the values.
    """

    lower: Tensor
    upper: Tensor


def supremum(p: Polynomial, *, vector: bool = False) -> Enclosure:
    """Enclose the supremum of the modulus.

    Parameters
    ----------
    p : Polynomial
    vector : bool
        Whether the last batch axis holds the components of a vector, whose Euclidean length is meant.

    Returns
    -------
    Enclosure
        float64, without the component axis.
    """
    batch = p.batch[:-1] if vector else p.batch
    parts = p.batch[-1] if vector else 1
    c = p.coefficients.detach().reshape(-1, parts, *p.box)
    results = [_one(Polynomial(row, p.extent, p.real)) for row in c]
    lower, upper = (torch.tensor([r[i] for r in results], dtype=torch.float64, device=c.device) for i in (0, 1))
    return Enclosure(lower.reshape(batch), upper.reshape(batch))


def _one(p: Polynomial) -> tuple[float, float]:
    """The supremum of the length of one vector ``(components,)``."""
    p = p.lowpass(float(p.occupied().max()))
    factor = OVERSAMPLING[p.ndim]
    while factor > FEWEST and math.prod(max(1, factor * M) for M in p.degrees) > MOST_SAMPLES:
        factor //= 2
    shape = tuple(max(1, factor * M) for M in p.degrees)
    grid = Grid(shape, tuple(L / m for L, m in zip(p.extent, shape, strict=True)))
    samples = p.on(grid)
    values = torch.linalg.vector_norm(samples, dim=0)
    angles = [math.pi * M / m for M, m in zip(p.degrees, shape, strict=True)]
    lower = float(values.max())
    shrink = math.prod(map(math.cos, angles))
    middle = p.coefficients[(..., *p.degrees)]
    spread = torch.linalg.vector_norm(samples - middle.reshape(-1, *(1,) * p.ndim), dim=0).max()
    upper = min(lower / shrink, float(torch.linalg.vector_norm(middle) + spread / shrink))
    if lower == 0 or not any(p.degrees):
        return lower, lower * (1 + ROUNDING)
    cells = (values >= lower * math.cos(sum(angles))).nonzero()
    if len(cells) <= MOST_CELLS[p.ndim]:
        fine = float(torch.linalg.vector_norm(p.at(_subdivided(cells, grid), method="direct"), dim=0).max())
        lower = max(lower, fine)
        upper = min(upper, lower / math.cos(sum(angles) / FINER))
    return lower, upper * (1 + ROUNDING)


def _subdivided(cells: Tensor, grid: Grid) -> Tensor:
    """Points ``(d, n)`` that are FINER times as dense, in the cells around the samples ``(n_cells, d)``."""
    steps = torch.arange(-(FINER // 2), FINER // 2 + 1, dtype=torch.float64, device=cells.device) / FINER
    offsets = torch.stack(torch.meshgrid(*([steps] * grid.ndim), indexing="ij")).flatten(1)
    spacing = torch.tensor(grid.spacing, dtype=torch.float64, device=cells.device)[:, None, None]
    return ((cells.T[:, :, None] + offsets[:, None, :]) * spacing).flatten(1)
