"""The class of dead-leaves images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.results import Hypothesis
from scatter_theory.seeds import Seed, seeded
from scatter_theory.signals._base import Signal
from scatter_theory.signals._classes import SignalClass, count, positive, samples, uniform, worst
from scatter_theory.signals._leaves import DeadLeavesSignal


@dataclass(frozen=True)
class DeadLeaves(SignalClass):
    r"""Discs with radii between two limits, one over the other, of grey values that differ by at most J.

    The density of the radii is proportional to :math:`r^{-3}`: the law that is invariant under changes of scale (Lee,
    Mumford and Huang, 2001).

    Parameters
    ----------
    jump : float
        J, the largest grey value less the smallest.
    r_min, r_max : float
        Limits of the radii, as shares of the shortest period; ``0 < r_min <= r_max < 0.5``.
    discs : int
        Number of discs.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    The parameters are the grey values; the discs are those of the signal `like`.
    """

    jumps: ClassVar[bool] = True
    jump: float = 1.0
    r_min: float = 0.04
    r_max: float = 0.25
    discs: int = 40

    def __post_init__(self) -> None:
        positive("DeadLeaves(jump=...)", self.jump)
        count("DeadLeaves(discs=...)", self.discs)
        if not 0 < self.r_min <= self.r_max < 0.5:
            raise ValueError(
                f"`DeadLeaves(r_min=..., r_max=...)`: got {self.r_min} and {self.r_max}, expected "
                "0 < r_min <= r_max < 0.5, in shares of the shortest period."
            )

    def draw(self, grid: Grid, n: int = 1, *, generator: Seed = None) -> DeadLeavesSignal:
        """Random places, radii and grey values; the grey values run from 0 to J."""
        n, rng = count("DeadLeaves.draw", n), seeded(generator)[0]
        return self._draw(grid, n, rng, lambda greys: greys)

    def structured(self, grid: Grid, n: int, *, generator: Seed = None) -> DeadLeavesSignal:
        """Two grey values only, 0 and J: every visible edge is as high as it can be."""
        n, rng = count("DeadLeaves.structured", n), seeded(generator)[0]
        return self._draw(grid, n, rng, lambda greys: (greys > 0.5).double())

    def _draw(self, grid: Grid, n: int, rng: torch.Generator, paint: Callable[[Tensor], Tensor]) -> DeadLeavesSignal:
        if grid.ndim != 2:
            raise ValueError(f"`DeadLeaves`: the grid has {grid.ndim} axes, expected 2.")
        L = torch.tensor(grid.extent, dtype=torch.float64)[:, None]
        centres = L * uniform((n, 2, self.discs), 0.0, 1.0, rng)
        # The distribution function of density r^-3 on [r_min, r_max], inverted.
        u = uniform((n, self.discs), 0.0, 1.0, rng)
        radii = min(grid.extent) * (self.r_min**-2 * (1 - u) + self.r_max**-2 * u) ** -0.5
        greys = paint(uniform((n, self.discs + 1), 0.0, 1.0, rng))
        return DeadLeavesSignal(centres, radii, self._stretched(greys), grid.extent)

    def _stretched(self, greys: Tensor) -> Tensor:
        """Grey values from 0 to J; equal ones become 0."""
        low = greys.amin(1, keepdim=True)
        width = greys.amax(1, keepdim=True) - low
        return (greys - low) * (self.jump / torch.where(width > 0, width, torch.ones_like(width)))

    def hypothesis(self, f: Tensor, grid: Grid) -> Hypothesis:
        """Whether the samples differ by at most J; samples cannot tell what lies between them."""
        f = samples("DeadLeaves", f, grid)
        flat = f.real.flatten(-grid.ndim)
        spread = worst(flat.amax(-1) - flat.amin(-1))
        text = f"grey values that differ by at most {self.jump:g}"
        return Hypothesis(text, not f.is_complex() and spread <= self.jump * (1 + 1e-12), spread)

    def parameters(self, signal: Signal) -> Tensor:
        """Grey values ``(n, m + 1)``.

        Raises TypeError unless the signal is a DeadLeavesSignal.
        """
        if not isinstance(signal, DeadLeavesSignal):
            raise TypeError(
                f"`DeadLeaves.parameters(signal=...)`: got {type(signal).__name__}, expected a DeadLeavesSignal."
            )
        return signal.greys

    def member(self, parameters: Tensor, grid: Grid, like: Signal | None = None) -> DeadLeavesSignal:
        """The discs of `like` in other grey values, stretched to run from 0 to J.

        Raises ValueError unless `like` is a DeadLeavesSignal with as many grey values.
        """
        if not isinstance(like, DeadLeavesSignal) or like.greys.shape != parameters.shape:
            raise ValueError(
                f"`DeadLeaves.member(like=...)`: got {like!r} for parameters of shape {tuple(parameters.shape)}. "
                "Discs are no parameters: pass the DeadLeavesSignal whose discs are kept, like=signal."
            )
        return DeadLeavesSignal(like.centres, like.radii, self._stretched(parameters), like.extent)
