"""What a class of signals is: a sampler, a hypothesis of a theorem, and a space to search."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.grid import Grid, is_whole
from scatter_theory.results import Hypothesis
from scatter_theory.seeds import Seed
from scatter_theory.signals._base import Signal


class SignalClass(ABC):
    """A class of signals on the torus of a grid.

    Members are drawn at random, taken from a list of extremal ones, or made from free parameters, for ascent.

    Attributes
    ----------
    jumps : bool
        Whether members may jump.
    """

    jumps: ClassVar[bool] = False

    @abstractmethod
    def draw(self, grid: Grid, n: int = 1, *, generator: Seed = None) -> Signal:
        """Random members, batch ``(n,)``, on the CPU in float64."""

    @abstractmethod
    def structured(self, grid: Grid, n: int, *, generator: Seed = None) -> Signal:
        """At most `n` members that are, or are likely to be, extremal; batch ``(<= n,)``."""

    def on(self, grid: Grid, n: int = 1, *, generator: Seed = None) -> Tensor:
        """Samples of random members, ``(n, *grid.shape)``."""
        return self.draw(grid, n, generator=generator).on(grid)

    @abstractmethod
    def hypothesis(self, f: Tensor, grid: Grid) -> Hypothesis:
        """Whether arrays ``(*batch, *grid.shape)`` belong to the class, and the number that decided it."""

    @abstractmethod
    def parameters(self, signal: Signal) -> Tensor:
        """Real parameters of members, ``(n, P)``; on one grid P is the same for all members of `draw`, `structured`."""

    @abstractmethod
    def member(self, parameters: Tensor, grid: Grid, like: Signal | None = None) -> Signal:
        """Members with the parameters ``(n, P)``, any real numbers; differentiable.

        ``member(parameters(s), grid, like=s)`` is s again. `like` gives what is not a parameter, where there is
        something: the regions of a cartoon, the circles of dead leaves.
        """


def positive(owner: str, value: float) -> float:
    """A finite positive number."""
    value = float(value)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`{owner}`: got {value}, expected a finite positive number.")
    return value


def count(owner: str, n: int) -> int:
    """A number of signals."""
    if not is_whole(n) or n < 1:
        raise ValueError(f"`{owner}(n=...)`: got {n!r}, expected a whole number of signals, at least 1.")
    return int(n)


def samples(owner: str, f: Tensor, grid: Grid) -> Tensor:
    """Arrays in double precision, once their shape is that of the grid."""
    if f.ndim < grid.ndim or tuple(f.shape[f.ndim - grid.ndim :]) != grid.shape:
        raise ValueError(
            f"`{owner}.hypothesis(f=...)`: got shape {tuple(f.shape)}, expected (*batch, {grid.shape}) on this grid."
        )
    return f.to(torch.complex128 if f.is_complex() else torch.float64)


def worst(values: Tensor) -> float:
    """The largest value; NaN if one is NaN, 0 if there is none."""
    return float(values.max()) if values.numel() else 0.0


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform random numbers in float64."""
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
