r"""Enclosures of the range of a Littlewood-Paley sum over all frequencies.

Two tools. A trigonometric polynomial of degree D per axis, sampled at n > 2D points per axis, satisfies

.. math:: \max_\xi |p(\xi) - m| \le \max_k |p(k/n) - m| \; / \; \cos(\pi D / n)^d

for every number m (Ehlich and Zeller 1964; coordinate by coordinate for d > 1); with m the mid-range of the samples
this encloses minimum and maximum at once. Other functions come with an interval extension, and boxes that may hold an
extremum are halved until the enclosure is narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import FrameBounds

#: Allowance for rounding, as a share of the largest value.
ROUNDING = 1e-11

#: Lower and upper ends ``(n, k)`` of boxes -> bounds ``(n,)`` of the function on each box.
Extension = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Range:
    """Enclosures of a minimum and of a maximum, and where they lie if that is known."""

    minimum: tuple[float, float]
    maximum: tuple[float, float]
    argmin: tuple[float, ...] | None = None
    argmax: tuple[float, ...] | None = None

    def widened(self, below: float, above: float) -> Range:
        """Range of a function that lies at most `below` under and at most `above` over this one."""
        return Range(
            (self.minimum[0] - below, self.minimum[1] + above),
            (self.maximum[0] - below, self.maximum[1] + above),
            self.argmin,
            self.argmax,
        )

    def bounds(self, source: str) -> FrameBounds:
        """Frame bounds: the guaranteed ends, with the width of each enclosure as error."""
        slack = ROUNDING * self.maximum[1]
        (low, low_end), (high_start, high) = self.minimum, self.maximum
        A = Constant(
            max(low - slack, 0.0), f"lower end of an enclosure, {source}", "certified", error=low_end - low + 2 * slack
        )
        B = Constant(
            high + slack, f"upper end of an enclosure, {source}", "certified", error=high - high_start + 2 * slack
        )
        return FrameBounds(A, B, self.argmin, self.argmax)


def polynomial_range(samples: Tensor, degree: int, points: Tensor) -> Range:
    """Range of a trigonometric polynomial from its samples.

    Parameters
    ----------
    samples : (n, ..., n) tensor
        Values at the frequencies ``k / n`` of every axis; the same n > 2 `degree` on each. If the polynomial is even
        in a coordinate, the half ``0 <= k <= n / 2`` of that axis suffices.
    degree : int
        Largest degree in any coordinate.
    points : (n,) tensor
        The frequencies along an axis, of which `samples` may hold the first ones.

    Raises
    ------
    ValueError
        If there are too few samples for the degree.
    """
    n = round(1.0 / float(points[1] - points[0]))
    if n <= 2 * degree:
        raise ValueError(f"`polynomial_range(samples=...)`: {n} samples per period are too few for degree {degree}.")
    shrink = math.cos(math.pi * degree / n) ** samples.ndim
    low, high = float(samples.min()), float(samples.max())
    middle, half = 0.5 * (low + high), 0.5 * (high - low)

    def at(index: int) -> tuple[float, ...]:
        return tuple(float(points[i]) for i in torch.unravel_index(torch.tensor(index), samples.shape))

    return Range(
        (middle - half / shrink, low),
        (high, middle + half / shrink),
        at(int(samples.argmin())),
        at(int(samples.argmax())),
    )


def refined_range(extension: Extension, low: Tensor, high: Tensor, tolerance: float, limit: int = 50_000) -> Range:
    """Range of a function over the union of boxes, by halving the boxes that may hold an extremum.

    Parameters
    ----------
    extension : callable
        Interval extension of the function.
    low, high : (n, k) tensors
        Opposite corners of the boxes.
    tolerance : float
        Refinement stops when both enclosures are narrower than this, or at `limit` boxes.
    """
    floor, ceiling, lower, upper = math.inf, -math.inf, -math.inf, math.inf
    while True:
        middle = 0.5 * (low + high)
        (below, above), (point_below, point_above) = extension(low, high), extension(middle, middle)
        floor, ceiling = min(floor, float(point_above.min())), max(ceiling, float(point_below.max()))
        seek_low, seek_high = floor - lower > tolerance, upper - ceiling > tolerance
        # Boxes left out earlier cannot hold the extremum that is still sought; one that was found keeps its enclosure.
        if seek_low:
            lower = float(below.min())
        if seek_high:
            upper = float(above.max())
        seek_low, seek_high = floor - lower > tolerance, upper - ceiling > tolerance
        kept = ((below < floor) & seek_low) | ((above > ceiling) & seek_high)
        if not (seek_low or seek_high) or int(kept.sum()) << low.shape[1] > limit:
            break
        low, high = _halved(low[kept], high[kept])
    return Range((lower, floor), (ceiling, upper))


def _halved(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    for axis in range(low.shape[1]):
        middle = 0.5 * (low[:, axis] + high[:, axis])
        first_high, second_low = high.clone(), low.clone()
        first_high[:, axis] = middle
        second_low[:, axis] = middle
        low, high = torch.cat([low, second_low]), torch.cat([first_high, high])
    return low, high
