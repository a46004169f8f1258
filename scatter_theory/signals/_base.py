"""What a signal is: a function on a torus that can be evaluated anywhere, with a certificate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from scatter_theory.constants import Constant, Kind
from scatter_theory.grid import Grid

#: Part of a batch: a position, several positions, a tensor of them.
Index = int | Sequence[int] | Tensor
#: Names and numbers; each number is the largest over the batch.
Certificate = tuple[tuple[str, Constant], ...]


class Signal(ABC):
    """A batch of functions on a torus.

    Attributes
    ----------
    extent : tuple of d numbers
        Periods ``L_i``, in the unit of the grids.
    batch : tuple of int
        Shape of the batch, usually ``(n,)``; ``()`` after `select` of one.
    real : bool
        Whether the values are real.
    """

    extent: tuple[float, ...]

    @property
    def ndim(self) -> int:
        """Number d of axes."""
        return len(self.extent)

    @property
    @abstractmethod
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""

    @property
    def real(self) -> bool:
        """Whether the values are real."""
        return True

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the tensors lie that define the signal."""

    @property
    @abstractmethod
    def certificate(self) -> Certificate:
        """What is certified, each number with its origin; the largest over the batch."""

    @abstractmethod
    def supremum(self) -> Tensor:
        """An upper value of the supremum of the modulus, ``(*batch,)``, without gradient."""

    @abstractmethod
    def select(self, index: Index) -> Signal:
        """Part of the batch along its first axis."""

    @abstractmethod
    def _values(self, points: Tensor) -> Tensor:
        """Values ``(n, P)`` at points ``(1 or n, d, P)``; n is the product of the batch."""

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Values at any points; periodic, and differentiable almost everywhere in the points and in the signal.

        Parameters
        ----------
        points : (d, *shape) tensor, or (*batch, d, *shape) with ``each=True``
            Positions in the unit of `extent`, shared by the batch or one set for each signal.
        each : bool

        Returns
        -------
        (*batch, *shape) tensor

        Raises
        ------
        ValueError
            If the points have another shape or are not real.
        """
        flat, shape = flat_points(self, points, each=each)
        return self._values(flat).reshape(*self.batch, *shape)

    def on(self, grid: Grid) -> Tensor:
        """Values at the samples of a grid of the same extent, ``(*batch, *grid.shape)``."""
        grid.check_extent(self.extent, f"{type(self).__name__}.on", "signal")
        return self.at(grid.points(device=self.device))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: batch {self.batch}, extent {self.extent}>"


def flat_points(signal: Signal, points: Tensor, *, each: bool) -> tuple[Tensor, tuple[int, ...]]:
    """Points as ``(1 or n, d, P)``, and the shape of the points."""
    lead = len(signal.batch) if each else 0
    expected = (*signal.batch, signal.ndim) if each else (signal.ndim,)
    if not points.is_floating_point() or tuple(points.shape[: lead + 1]) != expected:
        raise ValueError(
            f"`{type(signal).__name__}.at(points=...)`: got {points.dtype} of shape {tuple(points.shape)}, expected "
            f"real positions of shape {expected} followed by the shape of the points"
            + ("." if each else ". For points of each signal say each=True.")
        )
    shape = tuple(points.shape[lead + 1 :])
    return points.reshape(math.prod(signal.batch) if each else 1, signal.ndim, math.prod(shape)), shape


def minimum_image(difference: Tensor, period: Tensor | float) -> Tensor:
    """The representative of a difference of positions that is nearest to 0, coordinate by coordinate."""
    return difference - period * (difference.detach() / period).round()


def periods(extent: Sequence[float], like: Tensor) -> Tensor:
    """The periods as a tensor ``(d, 1)``."""
    return torch.tensor(list(extent), dtype=like.dtype, device=like.device)[:, None]


def largest(values: Tensor, source: str, kind: Kind, unit: str = "") -> Constant:
    """The largest over the batch as a constant; 0 for an empty batch."""
    return Constant(float(values.detach().max()) if values.numel() else 0.0, source, kind, unit)
