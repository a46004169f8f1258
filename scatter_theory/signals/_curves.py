"""Plane regions bounded by ellipses, polygons and star-shaped curves."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.signals._regions import ROUNDING, PlaneRegion, check_fit, tuple_of

#: Points on a curve from which distances are measured, and points of the quadrature of its length.
BOUNDARY_POINTS, QUADRATURE_POINTS = 1 << 13, 1 << 17


class _SmoothCurve(PlaneRegion):
    r"""A region bounded by a curve :math:`\gamma(\theta)`, :math:`0 \le \theta < 2\pi`, of bounded speed.

    Distances are measured to M points of the curve. Every point of it lies within ``speed * pi / M`` of one of them
    along the curve, so that the smallest distance to the M points, less this, is a lower value.
    """

    @property
    @abstractmethod
    def speed(self) -> float:
        r"""Upper value of :math:`|\gamma'|`."""

    @abstractmethod
    def curve(self, theta: np.ndarray) -> np.ndarray:
        """Points of the boundary relative to the centre, ``(2, m)``."""

    @property
    def distance_error(self) -> float:
        """Half a step between the points of the curve."""
        return self.speed * math.pi / BOUNDARY_POINTS

    def distance(self, points: Tensor) -> Tensor:
        """Distance to the nearest of many points of the boundary, less half a step between them, ``(*shape)``."""
        return self._search(points, math.inf).sub_(self.distance_error).clamp_min_(0.0)

    def near(self, points: Tensor, t: float) -> Tensor:
        """A superset of the points within t of the boundary; the search does not look further."""
        reach = t + self.distance_error + ROUNDING * (t + max(self.extent))
        return self._search(points, reach) <= reach

    def _search(self, points: Tensor, reach: float) -> Tensor:
        """Distance to the nearest of the points of the boundary; infinite where it is larger than `reach`."""
        x = self.from_centre(points).detach().cpu().numpy().reshape(2, -1).astype(float)
        L = np.array(self.extent)
        found = _tree(self).query(np.mod(x.T, L) % L, distance_upper_bound=reach * (1 + ROUNDING))[0]
        return torch.from_numpy(found).reshape(points.shape[1:]).to(points.device)


@lru_cache(maxsize=64)
def _tree(region: _SmoothCurve):
    """A search tree of points of the boundary on the torus, origin at the centre."""
    from scipy.spatial import cKDTree

    theta = np.arange(BOUNDARY_POINTS) * (2 * math.pi / BOUNDARY_POINTS)
    L = np.array(region.extent)
    return cKDTree(np.mod(region.curve(theta).T, L) % L, boxsize=L)


@dataclass(frozen=True)
class Ellipse(_SmoothCurve):
    """A closed ellipse.

    Parameters
    ----------
    centre : tuple of two numbers
    axes : tuple of two numbers
        Half axes a, b.
    angle : float
        From the first coordinate axis to the half axis a, in radians.
    extent : tuple of two numbers
        Periods of the torus, in the unit of position.

    Raises
    ------
    ValueError
        If a half axis is not positive, or a tuple has not two finite numbers.
    """

    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float = 0.0
    extent: tuple[float, ...] = (1.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple_of("Ellipse(extent=...)", self.extent, 2))
        object.__setattr__(self, "centre", tuple_of("Ellipse(centre=...)", self.centre, 2))
        object.__setattr__(self, "axes", tuple_of("Ellipse(axes=...)", self.axes, 2))
        if min(self.axes) <= 0:
            raise ValueError(f"`Ellipse(axes=...)`: got {self.axes}, expected positive half axes.")
        (a, b), c, s = self.axes, math.cos(self.angle), math.sin(self.angle)
        check_fit("Ellipse", (2 * math.hypot(a * c, b * s), 2 * math.hypot(a * s, b * c)), self.extent)

    @property
    def speed(self) -> float:
        """The longer half axis."""
        return max(self.axes)

    @property
    def boundary_length(self) -> Constant:
        """The perimeter ``4 a E(1 - b^2 / a^2)``, a the longer half axis, E the complete elliptic integral."""
        from scipy.special import ellipe

        b, a = sorted(self.axes)
        value = 4 * a * float(ellipe((1 - b / a) * (1 + b / a))) * (1 + ROUNDING)
        return Constant(value, "complete elliptic integral of the second kind", "analytic", error=2 * ROUNDING * value)

    def contains(self, points: Tensor) -> Tensor:
        """Whether points ``(2, *shape)`` lie in the ellipse."""
        x, y = self.from_centre(points)
        c, s = math.cos(self.angle), math.sin(self.angle)
        return ((c * x + s * y) / self.axes[0]) ** 2 + ((c * y - s * x) / self.axes[1]) ** 2 <= 1

    def curve(self, theta: np.ndarray) -> np.ndarray:
        """Points of the ellipse relative to the centre, ``(2, m)``."""
        u, v = self.axes[0] * np.cos(theta), self.axes[1] * np.sin(theta)
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.stack([c * u - s * v, s * u + c * v])


@dataclass(frozen=True)
class Star(_SmoothCurve):
    r"""The points with :math:`|x - c| \le r(\theta)`, :math:`\theta` their direction from the centre c.

    Parameters
    ----------
    centre : tuple of two numbers
    mean : float
        Mean radius ``a_0``.
    cosines, sines : tuples of numbers
        :math:`r(\theta) = a_0 + \sum_{k \ge 1} (a_k\cos k\theta + b_k\sin k\theta)`; the sum of
        :math:`(a_k^2 + b_k^2)^{1/2}` must be smaller than ``a_0``, so that r is positive.
    extent : tuple of two numbers
        Periods of the torus, in the unit of position.

    Raises
    ------
    ValueError
        If the radius could reach 0, or a tuple has not the right length.
    """

    centre: tuple[float, float]
    mean: float
    cosines: tuple[float, ...] = ()
    sines: tuple[float, ...] = ()
    extent: tuple[float, ...] = (1.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple_of("Star(extent=...)", self.extent, 2))
        object.__setattr__(self, "centre", tuple_of("Star(centre=...)", self.centre, 2))
        m = max(len(self.cosines), len(self.sines))
        for name in ("cosines", "sines"):
            values = tuple_of(f"Star({name}=...)", getattr(self, name), len(getattr(self, name)))
            object.__setattr__(self, name, values + (0.0,) * (m - len(values)))
        if not self._sum(0) < self.mean:
            raise ValueError(
                f"`Star`: the amplitudes of r(theta) add up to {self._sum(0):g}, expected less than the mean radius "
                f"{self.mean:g}, so that r is positive. Scale `cosines` and `sines` down."
            )
        check_fit("Star", (2 * (self.mean + self._sum(0)),) * 2, self.extent)

    def _sum(self, order: int) -> float:
        """Upper value of the derivative of this order of r - mean."""
        pairs = enumerate(zip(self.cosines, self.sines, strict=True), start=1)
        return math.fsum(k**order * math.hypot(a, b) for k, (a, b) in pairs)

    def _radius(self, theta: np.ndarray, order: int = 0) -> np.ndarray:
        """The radius function, or its first derivative."""
        r = np.full_like(theta, self.mean if order == 0 else 0.0)
        for k, (a, b) in enumerate(zip(self.cosines, self.sines, strict=True), start=1):
            c, s = np.cos(k * theta), np.sin(k * theta)
            r += a * c + b * s if order == 0 else k * (b * c - a * s)
        return r

    @property
    def speed(self) -> float:
        r"""Upper value of :math:`(r^2 + r'^2)^{1/2}`."""
        return math.hypot(self.mean + self._sum(0), self._sum(1))

    @property
    def boundary_length(self) -> Constant:
        r"""The length :math:`\int (r^2 + r'^2)^{1/2} d\theta` by the trapezoidal rule, plus its certified error.

        With :math:`\gamma = r e^{i\theta}` the integrand is :math:`g = |\gamma'|`, whence
        :math:`|g''| \le |\gamma'''| + |\gamma''|^2 / |\gamma'|`, and :math:`|\gamma'| \ge r`. The composite rule with
        step h is off by at most :math:`2\pi h^2 \max|g''| / 12`.
        """
        return _star_length(self)

    def contains(self, points: Tensor) -> Tensor:
        """Whether points ``(2, *shape)`` lie in the star."""
        x, y = self.from_centre(points)
        theta = torch.atan2(y, x)
        r = torch.full_like(theta, self.mean)
        for k, (a, b) in enumerate(zip(self.cosines, self.sines, strict=True), start=1):
            r = r + a * (k * theta).cos() + b * (k * theta).sin()
        return torch.hypot(x, y) <= r

    def curve(self, theta: np.ndarray) -> np.ndarray:
        """Points of the boundary relative to the centre, ``(2, m)``."""
        return self._radius(theta) * np.stack([np.cos(theta), np.sin(theta)])


@lru_cache(maxsize=256)
def _star_length(star: Star) -> Constant:
    """The length of a star-shaped curve, rounded up by the error of the quadrature."""
    h = 2 * math.pi / QUADRATURE_POINTS
    theta = np.arange(QUADRATURE_POINTS) * h
    value = h * math.fsum(np.hypot(star._radius(theta), star._radius(theta, 1)))
    r = [star.mean + star._sum(0), star._sum(1), star._sum(2), star._sum(3)]
    second = math.hypot(r[2] + r[0], 2 * r[1])
    third = math.hypot(r[3] + 3 * r[1], 3 * r[2] + r[0])
    error = 2 * math.pi * h * h / 12 * (third + second**2 / (star.mean - star._sum(0))) + ROUNDING * value
    return Constant(value + error, f"trapezoidal rule, {QUADRATURE_POINTS} points", "certified", error=2 * error)


@dataclass(frozen=True)
class Polygon(PlaneRegion):
    """The points inside a closed polygonal line (even-odd rule).

    Parameters
    ----------
    vertices : tuple of pairs of numbers
        At least three, in order; where the line crosses itself, its length is an upper value.
    extent : tuple of two numbers
        Periods of the torus, in the unit of position.

    Raises
    ------
    ValueError
        For fewer than three vertices, or numbers that are not finite.
    """

    vertices: tuple[tuple[float, float], ...]
    extent: tuple[float, ...] = (1.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple_of("Polygon(extent=...)", self.extent, 2))
        object.__setattr__(self, "vertices", tuple(tuple_of("Polygon(vertices=...)", v, 2) for v in self.vertices))
        if len(self.vertices) < 3:
            raise ValueError(f"`Polygon(vertices=...)`: got {len(self.vertices)} vertices, expected at least three.")
        low, high = self._box()
        check_fit("Polygon", tuple(h - l for l, h in zip(low, high, strict=True)), self.extent)

    def _box(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return tuple(map(min, zip(*self.vertices, strict=True))), tuple(map(max, zip(*self.vertices, strict=True)))

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box around the vertices."""
        low, high = self._box()
        return 0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1])

    @property
    def boundary_length(self) -> Constant:
        """The sum of the sides."""
        length = math.fsum(math.dist(p, q) for p, q in self._sides())
        return Constant(length * (1 + ROUNDING), "sum of the sides of a polygon", "analytic")

    def _sides(self) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        """Pairs of vertices, relative to the centre."""
        centred = [(x - self.centre[0], y - self.centre[1]) for x, y in self.vertices]
        return list(zip(centred, centred[1:] + centred[:1], strict=True))

    def contains(self, points: Tensor) -> Tensor:
        """Whether points ``(2, *shape)`` lie inside; points on a side may count as either."""
        x, y = self.from_centre(points)
        inside = torch.zeros_like(x, dtype=torch.bool)
        for (px, py), (qx, qy) in self._sides():
            if py != qy:
                inside ^= ((y < py) != (y < qy)) & (x < px + (y - py) * ((qx - px) / (qy - py)))
        return inside

    def distance(self, points: Tensor) -> Tensor:
        """Exact distance to the nearest side, over the images next to the period around the centre."""
        x, y = self.from_centre(points)
        found = torch.full_like(x, math.inf)
        for i, j in itertools.product((-1, 0, 1), repeat=2):
            u, v = x + i * self.extent[0], y + j * self.extent[1]
            for (px, py), (qx, qy) in self._sides():
                dx, dy = qx - px, qy - py
                square = dx * dx + dy * dy
                along = ((u - px) * dx + (v - py) * dy) / square if square else torch.zeros_like(u)
                along = along.clamp(0, 1)
                found = torch.minimum(found, torch.hypot(u - px - along * dx, v - py - along * dy))
        return found
