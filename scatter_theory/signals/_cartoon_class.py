"""The class of cartoon functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.results import Hypothesis
from scatter_theory.seeds import Seed, seeded
from scatter_theory.signals._ball import Ball
from scatter_theory.signals._bandlimited import BandLimitedSignal
from scatter_theory.signals._base import Signal
from scatter_theory.signals._cartoon import CartoonSignal, lipschitz_bound, supremum_bound
from scatter_theory.signals._classes import SignalClass, count, positive, samples, uniform, worst
from scatter_theory.signals._curves import Ellipse, Polygon, Star
from scatter_theory.signals._regions import Disc, Interval, Region

#: Largest degree of the smooth parts along the shortest axis, by the number of axes.
DEGREE = {1: 5, 2: 3}
#: How far before a grid point an end lies that is "just before" it, in samples.
JUST = 1e-9
KINDS = ("disc", "ellipse", "polygon", "star")


@dataclass(frozen=True)
class Cartoon(SignalClass):
    r"""Real functions :math:`f_1 + 1_B f_2` with :math:`|\nabla f_i| \le K` and :math:`\sup|f_2| \le K`.

    This is the periodic form of the class of Donoho (2001) in which Grohs, Wiatowski and Bölcskei (2016) measure
    deformations; the decay of the gradients that they ask for in space has no meaning on a torus.

    Parameters
    ----------
    constant : float
        K: per unit for the gradients, plain for the values.
    regions : str
        ``"interval"`` in one dimension; ``"disc"``, ``"ellipse"``, ``"polygon"`` or ``"star"`` in two; ``"any"``: all
        kinds in turn.

    Raises
    ------
    ValueError
        If `constant` is not positive, or `regions` is unknown.

    Notes
    -----
    The parameters are those of the smooth parts, trigonometric polynomials of low degree; a part that breaks a bound is
    scaled down to it. The regions do not move: `member` takes them from the signal `like`.
    """

    jumps: ClassVar[bool] = True
    constant: float = 1.0
    regions: str = "any"

    def __post_init__(self) -> None:
        positive("Cartoon(constant=...)", self.constant)
        if self.regions not in ("any", "interval", *KINDS):
            raise ValueError(
                f"`Cartoon(regions=...)`: got {self.regions!r}, expected 'any', 'interval' or one of {KINDS}."
            )

    def draw(self, grid: Grid, n: int = 1, *, generator: Seed = None) -> CartoonSignal:
        """Members with random smooth parts that reach the bounds, and random regions."""
        n, rng = count("Cartoon.draw", n), seeded(generator)[0]
        kinds, ball = self._kinds(grid), _ball(grid.extent)
        length = torch.linalg.vector_norm(ball.frequencies(), dim=0) * max(grid.extent)
        noise = torch.randn((2 * n, *ball.box), generator=rng, dtype=torch.complex128) / length.clamp_min(0.7) ** 2
        parts = BandLimitedSignal(ball.unpack(ball.pack(noise)))
        steep = BandLimitedSignal(parts.polynomial.scaled(self.constant / lipschitz_bound(parts)))
        regions = tuple(random_region(kinds[i % len(kinds)], grid.extent, rng) for i in range(n))
        parameters = ball.pack(steep.polynomial.coefficients)
        return self._member(parameters[:n], parameters[n:], ball, regions)

    def structured(self, grid: Grid, n: int, *, generator: Seed = None) -> CartoonSignal:
        """Constant steps of height K, of several sizes; with straight ends exactly on grid points and just before."""
        n, kinds, ball = count("Cartoon.structured", n), self._kinds(grid), _ball(grid.extent)
        regions = tuple(itertools.islice(_structured_regions(grid, kinds), n))
        middle = tuple(ball.degrees)
        second = torch.zeros((len(regions), *ball.box), dtype=torch.complex128)
        second[(slice(None), *middle)] = self.constant
        step = ball.pack(second)
        return self._member(torch.zeros_like(step), step, ball, regions)

    def hypothesis(self, f: Tensor, grid: Grid) -> Hypothesis:
        """Whether steps between neighbouring samples are small enough, and in 1-D few enough, for the class.

        What finitely many samples can tell: neighbours at distance h differ by at most ``max(2 K h, K h + K)``, and in
        one dimension by more than ``2 K h`` at most twice.
        """
        f = samples("Cartoon", f, grid)
        K, ratio, jumps = self.constant, 0.0, 0.0
        for axis, h in enumerate(grid.spacing):
            step = (f - grid.translate(f, [int(a == axis) for a in range(grid.ndim)])).abs()
            ratio = max(ratio, worst(step) / max(2 * K * h, K * h + K)) if not math.isnan(worst(step)) else math.nan
            slack = 1e-12 * (K + worst(f.abs()))
            jumps = max(jumps, worst((step > 2 * K * h + slack).double().sum(grid.axes)))
        text = f"cartoon of constant {K:g}, as far as samples tell: steps at most max(2 K h, K h + K)"
        text += ", at most two of them above 2 K h" if grid.ndim == 1 else ""
        few = grid.ndim > 1 or jumps <= 2
        satisfied = ratio <= 1 + 1e-10 and few and not f.is_complex()
        return Hypothesis(text, satisfied, ratio if few else f"{jumps:.0f} jumps")

    def parameters(self, signal: Signal) -> Tensor:
        """Coordinates of both smooth parts, ``(n, 2 P)``; frequencies above the degree of the class are cut off.

        Raises TypeError unless the signal is a CartoonSignal of two band-limited parts.
        """
        parts = (signal.first, signal.second) if isinstance(signal, CartoonSignal) else (signal,)
        if len(parts) != 2 or not all(isinstance(part, BandLimitedSignal) for part in parts):
            raise TypeError(
                f"`Cartoon.parameters(signal=...)`: got {type(signal).__name__}, expected a CartoonSignal with "
                "band-limited parts."
            )
        ball = _ball(signal.extent)
        return torch.cat([ball.pack(ball.within(part.polynomial)) for part in parts], 1)

    def member(self, parameters: Tensor, grid: Grid, like: Signal | None = None) -> CartoonSignal:
        """Members with the smooth parts of the parameters ``(n, 2 P)`` and the regions of `like`.

        Raises
        ------
        ValueError
            If `like` is no CartoonSignal with one region for each row.
        """
        regions = like.regions if isinstance(like, CartoonSignal) else ()
        if len(regions) != parameters.shape[0]:
            raise ValueError(
                f"`Cartoon.member(like=...)`: got {len(regions)} regions for {parameters.shape[0]} rows of parameters. "
                "Regions are no parameters: pass the CartoonSignal whose regions are kept, like=signal."
            )
        first, second = parameters.chunk(2, 1)
        return self._member(first, second, _ball(grid.extent), regions)

    def _member(self, first: Tensor, second: Tensor, ball: Ball, regions: Sequence[Region]) -> CartoonSignal:
        f1, f2 = (BandLimitedSignal(ball.unpack(p)) for p in (first, second))
        f1 = _shrunk(f1, lipschitz_bound(f1) / self.constant)
        f2 = _shrunk(f2, torch.maximum(lipschitz_bound(f2), supremum_bound(f2)) / self.constant)
        return CartoonSignal(f1, f2, tuple(regions))

    def _kinds(self, grid: Grid) -> tuple[str, ...]:
        kinds = {1: ("interval",), 2: KINDS}.get(grid.ndim, ())
        kinds = kinds if self.regions == "any" else tuple(k for k in kinds if k == self.regions)
        if not kinds:
            raise ValueError(
                f"`Cartoon(regions={self.regions!r})`: there are none of these regions in {grid.ndim} dimensions. "
                "Use a grid with 1 axis (intervals) or 2 axes (plane regions)."
            )
        return kinds


def _ball(extent: tuple[float, ...]) -> Ball:
    return Ball(tuple(extent), DEGREE[len(extent)] / min(extent))


def _shrunk(f: BandLimitedSignal, excess: Tensor) -> BandLimitedSignal:
    """Every signal divided by its excess, where that is above 1."""
    return BandLimitedSignal(f.polynomial.scaled(1 / excess.clamp_min(1.0)))


def _structured_regions(grid: Grid, kinds: Sequence[str]) -> Iterable[Region]:
    """Regions of several sizes and shapes, the largest first."""
    if grid.ndim == 1:
        yield from _aligned_intervals(grid)
        return
    short = min(grid.extent)
    centre = tuple(0.5 * L for L in grid.extent)
    for share in (0.45, 0.3, 0.2, 0.1, 0.05):
        if "disc" in kinds:
            yield Disc(centre, share * short, grid.extent)
        if "polygon" in kinds:
            yield from _aligned_rectangles(grid, share)
        if "ellipse" in kinds:
            yield Ellipse(centre, (share * short, 0.3 * share * short), 0.4, grid.extent)
        if "star" in kinds:
            yield Star(centre, 0.7 * share * short, (0.0,) * 4 + (0.28 * share * short,), (), grid.extent)


def _aligned_intervals(grid: Grid) -> Iterable[Interval]:
    """Intervals of several lengths: ends on grid points, just before grid points, and between them."""
    N, h = grid.shape[0], grid.spacing[0]
    for size in dict.fromkeys(max(1, round(share * N)) for share in (0.5, 0.25, 0.7, 0.1, 0.02)):
        a = (N - size) // 2
        for shift in (0.0, -JUST, 0.5):
            low, high = (a + shift) * h, (a + size + shift) * h
            if 0 < high - low < grid.extent[0]:
                yield Interval(low, high, grid.extent)


def _aligned_rectangles(grid: Grid, share: float) -> Iterable[Polygon]:
    """Rectangles with sides on grid lines, and just before them."""
    sizes = [max(1, round(2 * share * n)) for n in grid.shape]
    for shift in (0.0, -JUST):
        (x0, x1), (y0, y1) = (
            (((n - s) // 2 + shift) * h, ((n - s) // 2 + s + shift) * h)
            for n, s, h in zip(grid.shape, sizes, grid.spacing, strict=True)
        )
        yield Polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), grid.extent)


def random_region(kind: str, extent: tuple[float, ...], rng: torch.Generator) -> Region:
    """A region of random place, size and shape, at most 0.9 of the shortest period wide."""

    def some(low: float, high: float) -> float:
        return float(uniform((1,), low, high, rng))

    if kind == "interval":
        a = some(0.0, extent[0])
        return Interval(a, a + some(0.05, 0.9) * extent[0], extent)
    short, centre = min(extent), tuple(some(0.0, L) for L in extent)
    if kind == "disc":
        return Disc(centre, some(0.05, 0.45) * short, extent)
    if kind == "ellipse":
        a = some(0.1, 0.45) * short
        return Ellipse(centre, (a, some(0.3, 1.0) * a), some(0.0, math.pi), extent)
    if kind == "polygon":
        m, size = 3 + int(some(0.0, 6.0)), some(0.15, 0.45) * short
        angles = [2 * math.pi * (i + some(0.0, 0.8)) / m for i in range(m)]
        radii = [size * some(0.5, 1.0) for _ in range(m)]
        return Polygon(
            tuple(
                (centre[0] + r * math.cos(t), centre[1] + r * math.sin(t)) for r, t in zip(radii, angles, strict=True)
            ),
            extent,
        )
    mean = some(0.1, 0.3) * short
    waves = torch.randn((2, 5), generator=rng, dtype=torch.float64)
    waves = waves * (some(0.1, 0.5) * mean / torch.linalg.vector_norm(waves, dim=0).sum())
    return Star(centre, mean, tuple(waves[0].tolist()), tuple(waves[1].tolist()), extent)
