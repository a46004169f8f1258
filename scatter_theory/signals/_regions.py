r"""Regions on a torus with known boundaries: intervals, discs, and the contract that every region keeps.

For a closed plane curve of length l the tube of points within t has an area of at most :math:`2 t l + \pi t^2`.
Proof: build a polygonal line segment by segment. The tube of a segment of length s is a rectangle and two half discs,
:math:`2ts + \pi t^2`; the whole disc around its first point already belongs to the tube of the line so far, so that the
segment adds at most :math:`2ts`. A rectifiable curve lies within any :math:`\varepsilon > 0` of an inscribed line,
which is not longer, so that its tube lies in the tube of that line for :math:`t + \varepsilon`. Reading the plane
modulo the periods does not increase areas.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.signals._base import minimum_image

#: Allowance for rounding in lengths, volumes and distances, relative.
ROUNDING = 1e-12


class Region(ABC):
    """A closed subset of a torus whose boundary has a known length.

    Attributes
    ----------
    extent : tuple of d numbers
        Periods ``L_i``. The region must fit into one period.
    """

    extent: tuple[float, ...]

    @property
    def ndim(self) -> int:
        """Number d of axes."""
        return len(self.extent)

    @property
    def volume(self) -> float:
        """Volume of the torus."""
        return math.prod(self.extent)

    @property
    @abstractmethod
    def boundary_length(self) -> Constant:
        """The (d-1)-volume of the boundary: points in 1-D, length in 2-D; an upper value, with its error."""

    @property
    def distance_error(self) -> float:
        """How far `distance` may lie below the distance to the boundary, besides rounding."""
        return 0.0

    @abstractmethod
    def contains(self, points: Tensor) -> Tensor:
        """Whether points ``(d, *shape)`` lie in the region, ``(*shape)``; periodic."""

    @abstractmethod
    def distance(self, points: Tensor) -> Tensor:
        """Lower value of the distance to the boundary on the torus, ``(*shape)``, at most `distance_error` below."""

    @abstractmethod
    def tube(self, t: float) -> float:
        """Upper value of the volume of the points within t of the boundary."""

    def near(self, points: Tensor, t: float) -> Tensor:
        """A superset of the points ``(d, *shape)`` within t of the boundary, ``(*shape)``."""
        return self.distance(points) <= t + ROUNDING * (t + max(self.extent))


class PlaneRegion(Region):
    """A region bounded by one closed curve in the plane."""

    centre: tuple[float, float]

    def tube(self, t: float) -> float:
        r"""Upper value :math:`2 t l + \pi t^2` of the area within t of a closed curve of length l."""
        area = (2 * t * self.boundary_length.value + math.pi * t * t) * (1 + ROUNDING)
        return min(area, self.volume)

    def from_centre(self, points: Tensor) -> Tensor:
        """Positions relative to the centre, nearest image, ``(2, *shape)``."""
        return torch.stack([minimum_image(x - c, L) for x, c, L in zip(points, self.centre, self.extent, strict=True)])


def tuple_of(owner: str, values: Sequence[float], length: int) -> tuple[float, ...]:
    """Finite numbers as a tuple."""
    numbers = tuple(float(v) for v in values)
    if len(numbers) != length or not all(map(math.isfinite, numbers)):
        raise ValueError(f"`{owner}`: got {numbers}, expected {length} finite numbers.")
    return numbers


def check_fit(owner: str, widths: Sequence[float], extent: Sequence[float]) -> None:
    """Refuse a region that is empty or as wide as a period."""
    if not all(0 < w < L for w, L in zip(widths, extent, strict=True)):
        raise ValueError(
            f"`{owner}`: the region is {tuple(widths)} wide, expected more than 0 and less than the periods "
            f"{tuple(extent)}. Make it smaller, or the torus larger."
        )


@dataclass(frozen=True)
class Interval(Region):
    """The closed interval [a, b] on a circle.

    Parameters
    ----------
    a, b : float
        Ends, ``0 < b - a < L``.
    extent : tuple of one number
        Periods of the torus, in the unit of position.
    """

    a: float
    b: float
    extent: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple_of("Interval(extent=...)", self.extent, 1))
        check_fit("Interval", (self.b - self.a,), self.extent)

    @property
    def boundary_length(self) -> Constant:
        """Two points."""
        return Constant(2.0, "the two ends of an interval", "analytic")

    def contains(self, points: Tensor) -> Tensor:
        """Whether points ``(1, *shape)`` lie in the interval; the ends belong to it."""
        turns = ((points[0] - 0.5 * (self.a + self.b)) / self.extent[0]).round()
        x = points[0] - self.extent[0] * turns
        return (x >= self.a) & (x <= self.b)

    def distance(self, points: Tensor) -> Tensor:
        """Exact distance to the nearer end on the circle."""
        ends = [minimum_image(points[0] - end, self.extent[0]).abs() for end in (self.a, self.b)]
        return torch.minimum(*ends)

    def tube(self, t: float) -> float:
        """``4 t`` (both ends, both sides), at most the circle; exact while the parts do not overlap."""
        return min(4 * t * (1 + ROUNDING), self.volume)


@dataclass(frozen=True)
class Disc(PlaneRegion):
    """A closed disc.

    Parameters
    ----------
    centre : tuple of two numbers
    radius : float
        Below half of the shorter period.
    extent : tuple of two numbers
        Periods of the torus, in the unit of position.
    """

    centre: tuple[float, float]
    radius: float
    extent: tuple[float, ...] = (1.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple_of("Disc(extent=...)", self.extent, 2))
        object.__setattr__(self, "centre", tuple_of("Disc(centre=...)", self.centre, 2))
        check_fit("Disc", (2 * self.radius,) * 2, self.extent)

    @property
    def boundary_length(self) -> Constant:
        """The circumference."""
        return Constant(2 * math.pi * self.radius * (1 + ROUNDING), "circumference of a circle", "analytic")

    def contains(self, points: Tensor) -> Tensor:
        """Whether points ``(2, *shape)`` lie in the disc."""
        return torch.linalg.vector_norm(self.from_centre(points), dim=0) <= self.radius

    def distance(self, points: Tensor) -> Tensor:
        """Exact distance to the circle: the nearest image of the centre decides, since the radius is below L / 2."""
        return (torch.linalg.vector_norm(self.from_centre(points), dim=0) - self.radius).abs()

    def tube(self, t: float) -> float:
        r"""The area of the annulus, :math:`4\pi\rho t` for :math:`t \le \rho`, else a disc; at most the torus."""
        return min(annulus(self.radius, t), self.volume)


def annulus(radius: float, t: float) -> float:
    """Area of the points of the plane within t of a circle, rounded up."""
    inner = max(radius - t, 0.0)
    return math.pi * ((radius + t) ** 2 - inner**2) * (1 + ROUNDING)
