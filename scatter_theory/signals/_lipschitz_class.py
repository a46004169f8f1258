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
from scatter_theory.signals._base import Signal
from scatter_theory.signals._classes import SignalClass, count, positive, samples, uniform, worst
from scatter_theory.signals._lipschitz import McShane, PiecewiseLinear, PiecewiseLipschitzSignal

#: Knots or anchors of random members, and most anchors of structured ones.
KNOTS, ANCHORS, MOST_ANCHORS = 16, 24, 128
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
    Parameters in one dimension: m values, m logarithms of the gaps between knots, and a shift; the values are scaled so
    that the largest slope is K (constants stay as they are). In d > 1: m heights, d m coordinates of the anchors, and d
    weights, which are divided by the largest.
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
            spread = self.constant * (math.prod(grid.extent) / ANCHORS) ** (1 / grid.ndim)
            values = spread * torch.randn((n, ANCHORS), generator=rng, dtype=torch.float64)
            return McShane(values, anchors, self.constant, grid.extent)
        log_gaps = uniform((n, KNOTS), -1.0, 1.0, rng)
        tents = (torch.arange(n) % 2 == 1)[:, None]
        log_gaps = torch.where(tents, log_gaps[:, : KNOTS // 2].repeat_interleave(2, 1), log_gaps)
        rises = log_gaps.exp() * (torch.arange(KNOTS) % 2 == 0)
        noise = torch.randn((n, KNOTS), generator=rng, dtype=torch.float64)
        values = torch.where(tents, rises.roll(1, 1), noise)
        shift = uniform((n, 1), 0.0, grid.extent[0], rng)
        return self.member(torch.cat([values, log_gaps, shift], 1), grid)

    def structured(self, grid: Grid, n: int, *, generator: Seed = None) -> PiecewiseLipschitzSignal:
        """Triangle waves; in d > 1 also distances to lattices and to families of planes along each axis."""
        n = count("Lipschitz.structured", n)
        if grid.ndim > 1:
            return self._lattices(grid, n)
        L, N = grid.extent[0], grid.shape[0]
        waves = [2**j for j in range(max(1, N.bit_length() - 2))][:n]
        m = 2 * waves[-1]
        j = torch.arange(m, dtype=torch.float64)
        values = torch.stack([self.constant * L / p * ((j * p / m) - (j * p / m).round()).abs() for p in waves])
        return PiecewiseLinear(values, grid.extent)

    def _lattices(self, grid: Grid, n: int) -> McShane:
        """Distances to lattices of points and planes, ``1, 2, 4, ...`` along the axes that count."""
        d = grid.ndim
        subsets = [axes for k in range(d, 0, -1) for axes in itertools.combinations(range(d), k)]
        cases = [(axes, 2**j) for j in range(8) for axes in subsets]
        cases = [
            (axes, p)
            for axes, p in cases
            if p ** len(axes) <= MOST_ANCHORS and 2 * p <= min(grid.shape[a] for a in axes)
        ][:n] or [(tuple(range(d)), 1)]
        most = max(p ** len(axes) for axes, p in cases)
        anchors = torch.zeros((len(cases), d, most), dtype=torch.float64)
        weights = torch.zeros((len(cases), d), dtype=torch.float64)
        for row, (axes, p) in enumerate(cases):
            steps = torch.cartesian_prod(*[torch.arange(p, dtype=torch.float64) / p] * len(axes)).reshape(-1, len(axes))
            for a, column in zip(axes, steps.T, strict=True):
                anchors[row, a] = grid.extent[a] * column[torch.arange(most) % p ** len(axes)]
                weights[row, a] = 1.0
        heights = torch.zeros((len(cases), most), dtype=torch.float64)
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
        """Parameters ``(n, P)`` of a PiecewiseLinear or McShane signal."""
        if isinstance(signal, PiecewiseLinear):
            m = signal.values.shape[1]
            free = (signal.gaps / signal.extent[0] - SMALLEST_GAP / m).clamp_min(1e-300)
            return torch.cat([signal.values, free.log(), signal.knots[:, :1]], 1)
        if isinstance(signal, McShane):
            ones = torch.ones_like(signal.anchors[..., 0])
            weights = ones if signal.weights is None else signal.weights
            return torch.cat([signal.values, signal.anchors.flatten(1), weights], 1)
        raise TypeError(
            f"`Lipschitz.parameters(signal=...)`: got {type(signal).__name__}, expected PiecewiseLinear or McShane."
        )

    def member(self, parameters: Tensor, grid: Grid, like: Signal | None = None) -> PiecewiseLipschitzSignal:
        """Members with the parameters ``(n, P)``: P = 2 m + 1 in one dimension, (d + 1) m + d in more."""
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
        return McShane(values, anchors.reshape(-1, d, m), self.constant, grid.extent, weights)

    def _linear(self, parameters: Tensor, m: int, grid: Grid) -> PiecewiseLinear:
        values, logs, shift = parameters.split([m, m, 1], 1)
        gaps = grid.extent[0] * ((1 - SMALLEST_GAP) * torch.softmax(logs, 1) + SMALLEST_GAP / m)
        knots = shift + gaps.cumsum(1) - gaps
        free = PiecewiseLinear(values, grid.extent, knots)
        slope = free.lipschitz[:, None]
        return PiecewiseLinear(
            torch.where(slope > 0, values * (self.constant / torch.where(slope > 0, slope, 1.0)), values),
            grid.extent,
            knots,
        )


def difference_quotient(f: Tensor, grid: Grid) -> Tensor:
    """Largest ``|f[n] - f[m]| / |x_n - x_m|`` over neighbouring samples, diagonal ones included, ``(*batch,)``."""
    largest = []
    for step in itertools.product((-1, 0, 1), repeat=grid.ndim):
        if step > (0,) * grid.ndim and all(n > 1 for n, s in zip(grid.shape, step, strict=True) if s):
            length = math.hypot(*(s * h for s, h in zip(step, grid.spacing, strict=True)))
            largest.append((f - grid.translate(f, step)).abs().flatten(-grid.ndim).amax(-1) / length)
    return torch.stack(largest).amax(0) if largest else torch.zeros(f.shape[: f.ndim - grid.ndim], dtype=torch.float64)
