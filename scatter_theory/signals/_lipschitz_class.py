"""The class of Lipschitz functions."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.results import Hypothesis
from scatter_theory.seeds import Seed, seeded
from scatter_theory.signals._base import Signal, periods
from scatter_theory.signals._classes import SignalClass, count, positive, samples, uniform, worst
from scatter_theory.signals._cones import McShane
from scatter_theory.signals._lipschitz import PiecewiseLinear, PiecewiseLipschitzSignal

#: Most teeth of a triangle wave, and anchors of every member in more than one dimension.
MOST_TEETH, ANCHORS = 64, 32
#: Numbers of points or planes per axis of the structured members.
LATTICES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
#: Smallest gap between knots as a share of the mean one: knots stay apart in floating point.
SMALLEST_GAP = 1e-6


@dataclass(frozen=True)
class Lipschitz(SignalClass):
    r"""Real functions with :math:`|f(x) - f(y)| \le K |x - y|` on the torus.

    Members are piecewise linear in one dimension and lower envelopes of cones (McShane) in more; their certified
    constant is K.

    Parameters
    ----------
    constant : float
        K, per unit.

    Notes
    -----
    Parameters are pure numbers of order 1. In one dimension: m values (in units of K L / m), m logarithms of the gaps
    between knots, and a shift (in periods); the values are scaled so that the largest slope is K, and constants stay as
    they are. In d > 1: m heights (in units of K times the mean distance of anchors), d m coordinates of the anchors (in
    periods), and d weights, which are divided by the largest.
    """

    constant: float = 1.0

    def __post_init__(self) -> None:
        positive("Lipschitz(constant=...)", self.constant)

    def draw(self, grid: Grid, n: int = 1, *, generator: Seed = None) -> PiecewiseLipschitzSignal:
        """1-D: random values, and tents of slope K, at random knots in turn. d > 1: random cones."""
        n, rng = count("Lipschitz.draw", n), seeded(generator)[0]
        if grid.ndim > 1:
            L = torch.tensor(grid.extent, dtype=torch.float64)[:, None]
            anchors = uniform((n, grid.ndim, ANCHORS), 0.0, 1.0, rng) * L
            values = self._height(ANCHORS, grid.extent) * torch.randn((n, ANCHORS), generator=rng, dtype=torch.float64)
            return McShane(values, anchors, self.constant, grid.extent)
        m = 2 * _most_teeth(grid)
        log_gaps = uniform((n, m), -3.0, 1.0, rng)
        tents = (torch.arange(n) % 2 == 1)[:, None]
        log_gaps = torch.where(tents, log_gaps[:, : m // 2].repeat_interleave(2, 1), log_gaps)
        rises = log_gaps.exp() * (torch.arange(m) % 2 == 0)
        noise = torch.randn((n, m), generator=rng, dtype=torch.float64)
        values = torch.where(tents, rises.roll(1, 1), noise)
        shift = uniform((n, 1), 0.0, 1.0, rng)
        return self.member(torch.cat([values, log_gaps, shift], 1), grid)

    def structured(self, grid: Grid, n: int, *, generator: Seed = None) -> PiecewiseLipschitzSignal:
        """Triangle waves; in d > 1 also distances to lattices and to families of planes along each axis."""
        n = count("Lipschitz.structured", n)
        if grid.ndim > 1:
            return self._lattices(grid, n)
        L, m = grid.extent[0], 2 * _most_teeth(grid)
        waves = [2**j for j in range(m.bit_length() - 1)][:n]
        j = torch.arange(m, dtype=torch.float64)
        values = torch.stack([self.constant * L / p * ((j * p / m) - (j * p / m).round()).abs() for p in waves])
        return PiecewiseLinear(values, grid.extent)

    def _lattices(self, grid: Grid, n: int) -> McShane:
        """Distances to lattices of points and planes, `LATTICES` along the axes that count."""
        d = grid.ndim
        subsets = [axes for k in range(d, 0, -1) for axes in itertools.combinations(range(d), k)]
        cases = [(axes, p) for p in LATTICES for axes in subsets]
        cases = [
            (axes, p) for axes, p in cases if p ** len(axes) <= ANCHORS and 2 * p <= min(grid.shape[a] for a in axes)
        ][:n] or [(tuple(range(d)), 1)]
        anchors = torch.zeros((len(cases), d, ANCHORS), dtype=torch.float64)
        weights = torch.zeros((len(cases), d), dtype=torch.float64)
        for row, (axes, p) in enumerate(cases):
            steps = torch.cartesian_prod(*[torch.arange(p, dtype=torch.float64) / p] * len(axes)).reshape(-1, len(axes))
            for a, column in zip(axes, steps.T, strict=True):
                anchors[row, a] = grid.extent[a] * column[torch.arange(ANCHORS) % p ** len(axes)]
                weights[row, a] = 1.0
        heights = torch.zeros((len(cases), ANCHORS), dtype=torch.float64)
        return McShane(heights, anchors, self.constant, grid.extent, weights)

    def hypothesis(self, f: Tensor, grid: Grid) -> Hypothesis:
        """Whether no difference quotient of neighbouring samples (diagonal ones included) exceeds K.

        In one dimension this is K-Lipschitz continuity of the piecewise linear interpolant.
        """
        f = samples("Lipschitz", f, grid)
        quotient = worst(difference_quotient(f, grid))
        rounding = 4e-16 * worst(f.abs()) / min(grid.spacing)
        text = f"Lipschitz: difference quotients of neighbouring samples at most {self.constant:g} per unit"
        return Hypothesis(text, quotient <= self.constant * (1 + 1e-12) + rounding, quotient)

    def parameters(self, signal: Signal) -> Tensor:
        """Parameters ``(n, P)`` of a PiecewiseLinear or McShane signal.

        Raises TypeError for any other signal.
        """
        if isinstance(signal, PiecewiseLinear):
            m = signal.values.shape[1]
            free = (signal.gaps / signal.extent[0] - SMALLEST_GAP / m).clamp_min(1e-300)
            values = signal.values / self._height(m, signal.extent)
            return torch.cat([values, free.log(), signal.knots[:, :1] / signal.extent[0]], 1)
        if isinstance(signal, McShane):
            ones = torch.ones_like(signal.anchors[..., 0])
            weights = ones if signal.weights is None else signal.weights
            values = signal.values / self._height(signal.values.shape[1], signal.extent)
            anchors = signal.anchors / periods(signal.extent, signal.anchors)
            return torch.cat([values, anchors.flatten(1), weights], 1)
        raise TypeError(
            f"`Lipschitz.parameters(signal=...)`: got {type(signal).__name__}, expected PiecewiseLinear or McShane."
        )

    def member(self, parameters: Tensor, grid: Grid, like: Signal | None = None) -> PiecewiseLipschitzSignal:
        """Members with the parameters ``(n, P)``: P = 2 m + 1 in one dimension, (d + 1) m + d in more.

        Raises ValueError for another P.
        """
        d, P = grid.ndim, parameters.shape[1]
        m, left = divmod(P - 1, 2) if d == 1 else divmod(P - d, d + 1)
        if parameters.ndim != 2 or left or m < 1:
            expected = "2 m + 1" if d == 1 else f"{d + 1} m + {d}"
            raise ValueError(
                f"`Lipschitz.member(parameters=...)`: got shape {tuple(parameters.shape)}, expected (n, {expected})."
            )
        if d == 1:
            return self._linear(parameters, m, grid)
        values, anchors, weights = parameters.split([m, d * m, d], 1)
        top = weights.abs().amax(1, keepdim=True)
        weights = torch.where(top > 0, weights / torch.where(top > 0, top, torch.ones_like(top)), torch.ones_like(top))
        anchors = anchors.reshape(-1, d, m) * periods(grid.extent, anchors)
        return McShane(values * self._height(m, grid.extent), anchors, self.constant, grid.extent, weights)

    def _height(self, m: int, extent: tuple[float, ...]) -> float:
        """K times the mean distance of m points: the unit of heights."""
        return self.constant * (math.prod(extent) / m) ** (1 / len(extent))

    def _linear(self, parameters: Tensor, m: int, grid: Grid) -> PiecewiseLinear:
        values, logs, shift = parameters.split([m, m, 1], 1)
        gaps = grid.extent[0] * ((1 - SMALLEST_GAP) * torch.softmax(logs, 1) + SMALLEST_GAP / m)
        knots = grid.extent[0] * shift + gaps.cumsum(1) - gaps
        values = values * self._height(m, grid.extent)
        free = PiecewiseLinear(values, grid.extent, knots)
        slope = free.lipschitz[:, None]
        return PiecewiseLinear(
            torch.where(slope > 0, values * (self.constant / torch.where(slope > 0, slope, 1.0)), values),
            grid.extent,
            knots,
        )


def _most_teeth(grid: Grid) -> int:
    """Teeth of the narrowest triangle wave: a power of two, of at least four samples each where there are that many."""
    return min(MOST_TEETH, 1 << max(0, grid.shape[0].bit_length() - 3))


def difference_quotient(f: Tensor, grid: Grid) -> Tensor:
    """Largest ``|f[n] - f[m]| / |x_n - x_m|`` over neighbouring samples, diagonal ones included, ``(*batch,)``."""
    largest = []
    for step in itertools.product((-1, 0, 1), repeat=grid.ndim):
        if step > (0,) * grid.ndim and all(n > 1 for n, s in zip(grid.shape, step, strict=True) if s):
            length = math.hypot(*(s * h for s, h in zip(step, grid.spacing, strict=True)))
            largest.append((f - grid.translate(f, step)).abs().flatten(-grid.ndim).amax(-1) / length)
    return torch.stack(largest).amax(0) if largest else torch.zeros(f.shape[: f.ndim - grid.ndim], dtype=torch.float64)
