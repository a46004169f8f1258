r"""The decay constant :math:`K = \sup_\xi |\hat\chi(\xi)| |\xi|` over all frequencies.

Every low-pass of the closed-form families falls monotonically, so on an interval [a, b] the sum of a rising and a
falling term is at most (rising at b) plus (falling at a): refining the intervals encloses the supremum. For a product
of one-dimensional low-passes, with squared window p and :math:`\xi_i = x_i / m_i`, boxes are refined; on each one
:math:`\log s \le \log S - 1 + s/S` at the centre's :math:`S = |\xi|^2` leaves a sum of one-dimensional suprema,

.. math:: \log K^2 \le \log S - 1 + \sum_i \sup_{x_i} \bigl[ x_i^2/(m_i^2 S) + \log p(x_i) \bigr] .
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._base import Frame
from scatter_theory.frames._steps import lowpass
from scatter_theory.grid import Grid

#: Boxes refined at once; beyond it the enclosure stays as wide as it is (K to 1e-4 relative in three dimensions).
MOST_BOXES = 1 << 13

#: Allowance for rounding in the evaluation of log-windows.
ROUNDING = 1e-12

Curve = Callable[[Tensor], Tensor]


def enclosed_maximum(rising: Curve, falling: Curve, end: float, tolerance: float) -> tuple[float, float, float]:
    """Value found, upper bound and argument of the supremum of ``rising + falling`` over ``[0, end]``."""
    edges = torch.linspace(0.0, end, 1025, dtype=torch.float64)
    low, high = edges[:-1], edges[1:]
    best, where, bound = -math.inf, 0.0, math.inf
    parts = torch.linspace(0.0, 1.0, 9, dtype=torch.float64)
    while bound - best > tolerance:
        points = torch.cat([low, high[-1:]])
        values = rising(points) + falling(points)
        index = int(values.argmax())
        if float(values[index]) > best:
            best, where = float(values[index]), float(points[index])
        upper = rising(high) + falling(low)
        bound = float(upper.max()) + ROUNDING
        kept = upper > best
        inner = low[kept, None] + (high - low)[kept, None] * parts
        low, high = inner[:, :-1].flatten(), inner[:, 1:].flatten()
    return best, bound, where


def separable_maximum(log_power: Curve, end: float, channels: Sequence[float]) -> tuple[float, float]:
    r"""Enclosure of :math:`\sup |\xi| \prod_i p(m_i \xi_i)^{1/2}`; ``log_power = log p`` falls on ``[0, end]``."""
    d = len(channels)
    if d == 1:
        found, bound, _ = enclosed_maximum(lambda x: 2.0 * torch.log(x / channels[0]), log_power, end, 1e-9)
        return math.exp(0.5 * found), math.exp(0.5 * bound)
    weights = torch.tensor([m**-2 for m in channels], dtype=torch.float64)
    parts = torch.linspace(0.0, 1.0, 65, dtype=torch.float64)
    corners = torch.cartesian_prod(*[torch.arange(2, dtype=torch.float64)] * d)
    low, side = torch.zeros((1, d), dtype=torch.float64), end
    found, bound = -math.inf, math.inf
    while bound - found > 1e-5 and len(low) <= MOST_BOXES:
        centre = low + 0.5 * side
        S = (weights * centre**2).sum(1)
        found = max(found, float((S.log() + log_power(centre).sum(1)).max()))
        x = low.unsqueeze(-1) + side * parts
        rising = weights.unsqueeze(-1) * x**2 / S[:, None, None]
        upper = S.log() - 1.0 + (rising[..., 1:] + log_power(x[..., :-1])).amax(-1).sum(-1) + ROUNDING
        bound = min(bound, float(upper.max()))
        side *= 0.5
        low = (low[upper > found].unsqueeze(1) + side * corners).reshape(-1, d)
    return math.exp(0.5 * found), math.exp(0.5 * bound)


@lru_cache(maxsize=64)
def radial(cut: tuple[float, float], step: str, log: bool = False) -> tuple[float, float]:
    """Enclosure of the supremum of ``r lowpass(r)^(1/2)``; the cut is ``(flat, zero)``, in the unit of the result."""
    flat, zero = cut
    found, upper, _ = enclosed_maximum(
        lambda r: 2.0 * torch.log(r), lambda r: torch.log(lowpass(r, flat, zero, step, log=log)), zero, 1e-9
    )
    return math.exp(0.5 * found), math.exp(0.5 * upper)


@lru_cache(maxsize=64)
def separable(d: int, step: str) -> tuple[float, float]:
    """Enclosure for the product over d axes of the dyadic low-passes with cut (1/3, 2/3)."""
    return separable_maximum(lambda x: torch.log(lowpass(x, 1.0 / 3.0, 2.0 / 3.0, step)), 2.0 / 3.0, (1.0,) * d)


def dyadic_constant(enclosure: tuple[float, float], J: int | None, cutoff: float | None, source: str) -> Constant:
    """K from its enclosure at J = 0: scaled by ``2^-J`` cycles per sample, or by ``2 cutoff`` cycles per unit."""
    factor, unit = (2.0**-J, "cycles/sample") if J is not None else (2.0 * float(cutoff or 0.0), "cycles/unit")
    return enclosed_constant(enclosure, factor, source, unit)


def enclosed_constant(enclosure: tuple[float, float], factor: float, source: str, unit: str) -> Constant:
    """Upper end of the enclosure times `factor`, its width as error."""
    found, upper = enclosure
    source = f"monotone enclosure of sup |chi^(xi)||xi|, {source}"
    return Constant(factor * upper, source, "certified", unit, factor * (upper - found))


def supremum(frame: Frame, d: int) -> Constant:
    r"""K over R^d, in cycles per reference sample (or per unit for frames with a cutoff).

    The low-pass is sampled on periodic grids of growing length, whose DFT frequencies are nested; the value is the
    last maximum and the error the last change, which estimates but does not prove it.
    """
    lengths = {1: (1 << 12, 1 << 14, 1 << 16), 2: (256, 512, 1024), 3: (32, 64, 128)}[d]
    rate = getattr(frame, "cutoff", None)
    values = []
    for n in lengths:
        grid = Grid.of((n,) * d) if rate is None else Grid.of((n,) * d, sample_rate=8 * rate)
        values.append(float(frame.on(grid, sided="half" if frame.sided == "auto" else None).decay_constant().value))
    unit = "cycles/sample" if rate is None else "cycles/unit"
    return Constant(
        max(values), f"maximum over {lengths[-1]}^{d} frequencies", "estimated", unit, abs(values[-1] - values[-2])
    )
