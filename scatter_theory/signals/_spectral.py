"""Classes that are balls of trigonometric polynomials: band-limited functions, and Sobolev classes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.results import Hypothesis
from scatter_theory.seeds import Seed, seeded
from scatter_theory.signals._ball import Ball, reachable
from scatter_theory.signals._bandlimited import BandLimitedSignal
from scatter_theory.signals._base import Signal
from scatter_theory.signals._classes import SignalClass, count, positive, samples, worst
from scatter_theory.trigonometric import Polynomial

#: Largest share of the energy above the radius that counts as rounding.
LEAK = 1e-12


class _Spectral(SignalClass):
    """Polynomials with frequencies in a ball and unit length of their coordinates."""

    radius: float | None

    @abstractmethod
    def ball(self, grid: Grid) -> Ball:
        """The ball of frequencies on the torus of a grid; refuses a radius that the grid cannot carry."""

    def parameters(self, signal: Signal) -> Tensor:
        """Coordinates ``(n, P)`` whose Euclidean length is the norm of the class; what lies outside is cut off."""
        if not isinstance(signal, BandLimitedSignal):
            raise TypeError(
                f"`{type(self).__name__}.parameters(signal=...)`: got {type(signal).__name__}, expected a "
                "BandLimitedSignal, such as Interpolant(values, grid)."
            )
        radius = self.radius
        if radius is None:
            radius = max(M / L for M, L in zip(signal.polynomial.degrees, signal.extent, strict=True))
        ball = self._ball(signal.extent, radius)
        return ball.pack(ball.within(signal.polynomial))

    @abstractmethod
    def _ball(self, extent: tuple[float, ...], radius: float) -> Ball:
        """The ball of a radius."""

    def member(self, parameters: Tensor, grid: Grid, like: Signal | None = None) -> BandLimitedSignal:
        """The members in the direction of the parameters ``(n, P)``, of unit norm; 0 stands for a tone."""
        ball = self.ball(grid)
        return BandLimitedSignal(ball.unpack(ball.unit(parameters)))

    def _members(self, coefficients: Tensor, grid: Grid) -> BandLimitedSignal:
        ball = self.ball(grid)
        return self.member(ball.pack(coefficients * ball.mask()), grid)

    def holds(self, bins: Sequence[int], grid: Grid) -> bool:
        """Whether the class has a tone with these integer frequencies (missing ones are 0) on the torus of a grid."""
        length = math.hypot(*(k / L for k, L in zip(bins, grid.extent, strict=False)))
        return 0 < length <= self.ball(grid).radius * (1 + 1e-12)

    def tones(self, bins: Sequence[tuple[int, ...]], grid: Grid) -> BandLimitedSignal:
        """Tones with integer frequencies that the class `holds`, of unit norm."""
        return self._members(self.ball(grid).tones(bins), grid)

    def structured(self, grid: Grid, n: int, *, generator: Seed = None) -> BandLimitedSignal:
        """Tones at and near the edge in many directions, beats of neighbouring ones, and concentrated bumps."""
        n, ball, rng = count(f"{type(self).__name__}.structured", n), self.ball(grid), seeded(generator)[0]
        bins = self._bins(ball, n)
        tones = ball.tones(bins)
        beats = tones[1:] + tones[:-1]
        length = torch.linalg.vector_norm(ball.frequencies(), dim=0)
        shells = [(length >= share * ball.radius).double() for share in (0.0, 0.8, 0.5)]
        bumps = torch.stack(shells) * torch.cat([_shift(ball, rng) for _ in shells])
        few = n // 4
        first = torch.cat([tones[: max(1, n - few - min(few, 3))], bumps[: min(few, 3)], beats[:few]])
        rest = torch.cat([tones[max(1, n - few - min(few, 3)) :], bumps[min(few, 3) :], beats[few:]])
        return self._members(torch.cat([first, rest])[:n], grid)

    def _bins(self, ball: Ball, n: int) -> list[tuple[int, ...]]:
        """Integer frequencies of the structured tones, most likely extremal first."""
        return ball.edge(n)


@dataclass(frozen=True)
class BandLimited(_Spectral):
    r"""Functions with :math:`\hat f(\xi) = 0` for :math:`|\xi| > R` and :math:`\|f\| = 1`.

    Parameters
    ----------
    radius : float
        Euclidean band limit R in cycles per unit. On a grid ``N_i > 2 M_i`` is required for the largest degrees
        ``M_i = floor(R L_i)``, so that the Nyquist bins stay empty.
    complex_valued : bool
        Whether the functions are complex.

    Notes
    -----
    A parameter vector is read as a direction: coordinates in which the norm is the Euclidean length, divided by it.
    """

    radius: float
    complex_valued: bool = False

    def __post_init__(self) -> None:
        positive("BandLimited(radius=...)", self.radius)

    def _ball(self, extent: tuple[float, ...], radius: float) -> Ball:
        return Ball(extent, float(radius), hermitian=not self.complex_valued)

    def ball(self, grid: Grid) -> Ball:
        """The ball of frequencies on the torus of a grid.

        Raises
        ------
        ValueError
            If the radius is below one bin or reaches the Nyquist frequency of an axis.
        """
        return _checked(self._ball(grid.extent, self.radius), grid, "BandLimited")

    def draw(self, grid: Grid, n: int = 1, *, generator: Seed = None) -> BandLimitedSignal:
        """Members of six kinds in turn: white and ``1/|k|`` noise, a tone, a beat, a Dirichlet bump, a chirp."""
        n, ball, rng = count("BandLimited.draw", n), self.ball(grid), seeded(generator)[0]
        rows = [_KINDS[i % len(_KINDS)](ball, grid, rng) for i in range(n)]
        return self._members(torch.cat(rows), grid)

    def hypothesis(self, f: Tensor, grid: Grid) -> Hypothesis:
        """Whether the share of the energy above the radius is below 1e-12 in every array (and they are real)."""
        f = samples("BandLimited", f, grid)
        share = worst(_share_above(f, grid, self.radius))
        fits = not f.is_complex() or self.complex_valued
        kind = "" if self.complex_valued else "real and "
        text = f"{kind}band-limited: share of the energy above {self.radius:g} cycles per unit below {LEAK:g}"
        return Hypothesis(text, fits and share < LEAK, share if fits else "complex values")


@dataclass(frozen=True)
class Sobolev(_Spectral):
    r"""Real functions of mean zero with :math:`\|(2\pi|\xi|)^s \hat f\|_2 = 1`, band-limited to be exact on a grid.

    Parameters
    ----------
    s : float
        Order, positive.
    radius : float, optional
        Band limit in cycles per unit; by default the largest one below the Nyquist frequency.
    """

    s: float = 1.0
    radius: float | None = None

    def __post_init__(self) -> None:
        positive("Sobolev(s=...)", self.s)
        if self.radius is not None:
            positive("Sobolev(radius=...)", self.radius)

    def _ball(self, extent: tuple[float, ...], radius: float) -> Ball:
        return Ball(extent, float(radius), power=float(self.s))

    def ball(self, grid: Grid) -> Ball:
        """The ball of frequencies on the torus of a grid; refuses what `BandLimited.ball` refuses."""
        radius = reachable(grid)[1] if self.radius is None else self.radius
        return _checked(self._ball(grid.extent, radius), grid, "Sobolev")

    def draw(self, grid: Grid, n: int = 1, *, generator: Seed = None) -> BandLimitedSignal:
        r"""Gaussian coefficients of size :math:`|k|^{-s-d/2-0.1}`: barely in the class as the band limit grows."""
        n, ball, rng = count("Sobolev.draw", n), self.ball(grid), seeded(generator)[0]
        length = torch.linalg.vector_norm(ball.frequencies(), dim=0).clamp_min(0.5 / max(ball.extent))
        noise = torch.randn((n, *ball.box), generator=rng, dtype=torch.complex128)
        return self._members(noise * length ** (-self.s - 0.5 * grid.ndim - 0.1), grid)

    def hypothesis(self, f: Tensor, grid: Grid) -> Hypothesis:
        """Whether the homogeneous norm of the interpolant is at most 1, and nothing lies above the radius."""
        f = samples("Sobolev", f, grid)
        norm = worst(Polynomial.interpolating(f, grid).norm(self.s))
        share = 0.0 if self.radius is None else worst(_share_above(f, grid, self.radius))
        text = f"homogeneous Sobolev norm of order {self.s:g} at most 1"
        if self.radius is not None:
            text += f", band-limited to {self.radius:g} cycles per unit"
        if not torch.isfinite(f).all():
            norm = math.nan
        return Hypothesis(text, not f.is_complex() and norm <= 1 + 1e-10 and share < LEAK, norm)

    def _bins(self, ball: Ball, n: int) -> list[tuple[int, ...]]:
        """Frequencies of all octaves: the worst one depends on the size of the displacement."""
        octaves = range(max(1, math.floor(math.log2(ball.radius * max(ball.extent))) + 1))
        lists = [ball.edge(max(2, n // len(octaves)), 2.0**-j) for j in octaves]
        mixed = [k for i in range(n) for part in lists for k in part[i : i + 1]]
        return list(dict.fromkeys(mixed))[:n]


def _checked(ball: Ball, grid: Grid, owner: str) -> Ball:
    lowest, highest = reachable(grid)
    usable = ball.radius >= lowest * (1 - 1e-9) and all(
        n > 2 * M for n, M in zip(grid.shape, ball.degrees, strict=True)
    )
    if not usable:
        raise ValueError(
            f"`{owner}(radius={ball.radius:g})`: on this grid of shape {grid.shape} the radius must lie between "
            f"{lowest:g} (one bin) and {highest:g} cycles per unit (below the Nyquist frequency, whose bin must be "
            "empty). Change the radius or refine the grid."
        )
    return ball


def _share_above(f: Tensor, grid: Grid, radius: float) -> Tensor:
    """Share of the energy above a radius, ``(*batch,)``; a zero array has none."""
    power = grid.fft(f).abs() ** 2
    length = torch.linalg.vector_norm(grid.frequencies(device=f.device), dim=0)
    above, total = ((power * keep).sum(grid.axes) for keep in (length > radius * (1 + 1e-9), torch.ones_like(length)))
    return above / torch.where(total == 0, torch.ones_like(total), total)


def _white(ball: Ball, grid: Grid, rng: torch.Generator) -> Tensor:
    return torch.randn((1, *ball.box), generator=rng, dtype=torch.complex128)


def _pink(ball: Ball, grid: Grid, rng: torch.Generator) -> Tensor:
    length = torch.linalg.vector_norm(ball.frequencies(), dim=0).clamp_min(1 / max(ball.extent))
    return _white(ball, grid, rng) / length


def _tone(ball: Ball, grid: Grid, rng: torch.Generator) -> Tensor:
    inside = ball.mask() & (torch.linalg.vector_norm(ball.frequencies(), dim=0) > 0)
    score = torch.rand(ball.box, generator=rng, dtype=torch.float64) * inside
    one = (score == score.max()).to(torch.complex128)
    return one[None] * torch.exp(2j * math.pi * torch.rand(1, generator=rng, dtype=torch.float64))


def _beat(ball: Ball, grid: Grid, rng: torch.Generator) -> Tensor:
    return _tone(ball, grid, rng) + _tone(ball, grid, rng)


def _shift(ball: Ball, rng: torch.Generator) -> Tensor:
    """Phases ``(1, *box)`` of a translation to a random place."""
    L = torch.tensor(ball.extent, dtype=torch.float64)
    place = L * torch.rand(len(ball.extent), generator=rng, dtype=torch.float64)
    return torch.exp(-2j * math.pi * torch.tensordot(place, ball.frequencies(), 1))[None]


def _bump(ball: Ball, grid: Grid, rng: torch.Generator) -> Tensor:
    return _shift(ball, rng)


def _chirp(ball: Ball, grid: Grid, rng: torch.Generator) -> Tensor:
    """A linear chirp along a random direction, from frequency 0 to the radius over the period, cut to the ball."""
    u = torch.randn(grid.ndim, generator=rng, dtype=torch.float64)
    u = u / torch.linalg.vector_norm(u)
    x = grid.points()
    L = torch.tensor(grid.extent, dtype=torch.float64).reshape(-1, *(1,) * grid.ndim)
    phase = math.pi * ball.radius * torch.tensordot(u, x * x / L, 1)
    values = torch.polar(torch.ones_like(phase), phase)
    return ball.within(Polynomial.interpolating(values[None], grid)) * _shift(ball, rng)


_KINDS = (_white, _pink, _tone, _beat, _bump, _chirp)
