"""Families on bounded intervals, of sine series, and of free displacements at the samples."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.deform._affine import AffineField
from scatter_theory.deform._families import Family, directions, first
from scatter_theory.deform._sampled import SampledField
from scatter_theory.deform._sine import SineField, disc, spread
from scatter_theory.grid import Grid
from scatter_theory.seeds import Seed, seeded


@dataclass(frozen=True)
class MaxEntropy(Family):
    """Sine series with indices of length at most `cutoff`; drawn by the maximum-entropy law, see `max_entropy`.

    The parameters are the amplitudes in periods, component after component. The temperature is a scale of the field.

    Parameters
    ----------
    cutoff : float
        Largest length of an index, in half periods per extent; at least the square root of the number of axes.
    """

    cutoff: float = 3.0

    def parameters(self, grid: Grid) -> int:
        """Number P of parameters."""
        return grid.ndim * len(disc(self.cutoff, grid.ndim))

    def draw(self, grid: Grid, n: int, *, generator: Seed = None) -> Tensor:
        """Gaussian amplitudes with deviation 1 / |i|: temperature 1."""
        squares = torch.tensor(list(disc(self.cutoff, grid.ndim).values()), dtype=torch.float64)
        return super().draw(grid, n, generator=generator) * squares.rsqrt().repeat(grid.ndim)

    def member(self, parameters: Tensor, grid: Grid) -> SineField:
        """The sine series; see `Family.member`."""
        p, d = self._checked(parameters, grid), grid.ndim
        L = torch.tensor(grid.extent, dtype=torch.float64, device=p.device)
        return SineField(spread(p.reshape(len(p), d, -1) * L[:, None], self.cutoff, d), grid.extent)

    def structured(self, grid: Grid, n: int) -> Tensor:
        """Single modes, the lowest first, in the directions of axes and diagonals."""
        squares = torch.tensor(list(disc(self.cutoff, grid.ndim).values()))
        rows = [
            (v[:, None] * torch.nn.functional.one_hot(i, len(squares))).flatten()
            for i in squares.argsort(stable=True)[:n]
            for v in directions(grid.ndim)
        ]
        return first(rows, n, self.parameters(grid))


@dataclass(frozen=True)
class SampledFields(Family):
    """A free displacement at every sample: all that an array can be told, and nothing between the samples.

    The parameters are the values, component after component, in the unit of position.
    """

    def parameters(self, grid: Grid) -> int:
        """Number P of parameters."""
        return grid.ndim * grid.size

    def member(self, parameters: Tensor, grid: Grid) -> SampledField:
        """The displacements; see `Family.member`."""
        p = self._checked(parameters, grid)
        return SampledField(p.reshape(len(p), grid.ndim, *grid.shape), grid)

    def structured(self, grid: Grid, n: int) -> Tensor:
        """Constants; signs that alternate from sample to sample; two blocks along every axis."""
        index = torch.meshgrid(*(torch.arange(m) for m in grid.shape), indexing="ij")
        blocks = [(2 * i >= m).to(torch.float64) * 2 - 1 for i, m in zip(index, grid.shape, strict=True)]
        patterns = [torch.ones(grid.shape, dtype=torch.float64), (sum(index) % 2) * 2.0 - 1.0, *blocks]
        rows = [
            (v[:, None] * pattern.to(torch.float64).flatten()).flatten()
            for v, pattern in product(directions(grid.ndim), patterns)
        ]
        return first(rows, n, self.parameters(grid))


@dataclass(frozen=True, kw_only=True)
class _Discs(Family):
    """Affine maps of a disc, made from angles t: a parameter moves over its interval as its largest value times sin t.

    A family of this kind names its largest parameter first.
    """

    scalable: ClassVar[bool] = False
    #: Numbers of axes for which there are such maps.
    _dimensions: ClassVar[tuple[int, ...]] = (1, 2, 3)

    centre: tuple[float, ...] | None = None
    inner: float = 0.25
    outer: float = 0.45

    def __post_init__(self) -> None:
        if not 0 < self.inner < self.outer <= 0.5:
            raise ValueError(
                f"`{self.name}(inner={self.inner}, outer={self.outer})`: expected 0 < inner < outer <= 0.5, in "
                "shortest periods, so that the disc fits in the torus."
            )

    def _largest(self, name: str, value: float, above: float) -> None:
        if not above < value < math.inf:
            raise ValueError(f"`{self.name}({name}=...)`: got {value}, expected a finite number above {above:g}.")

    @abstractmethod
    def _count(self, d: int) -> int:
        """Number of parameters in d dimensions."""

    @abstractmethod
    def _map(self, t: Tensor, d: int) -> Tensor:
        """The linear parts ``I - A``, ``(n, d, d)``."""

    def parameters(self, grid: Grid) -> int:
        """Number P of parameters."""
        if grid.ndim not in self._dimensions:
            raise ValueError(
                f"`{self.name}`: got {grid.ndim} axes, but these maps need {' or '.join(map(str, self._dimensions))}."
            )
        return self._count(grid.ndim)

    def draw(self, grid: Grid, n: int, *, generator: Seed = None) -> Tensor:
        """Parameters t for which sin t is uniform, up to the sign of directions."""
        source, _ = seeded(generator)
        uniform = torch.rand((n, self.parameters(grid)), generator=source, dtype=torch.float64)
        return torch.asin(2 * uniform - 1)

    def structured(self, grid: Grid, n: int) -> Tensor:
        """The largest maps along every axis of the parameters and their diagonals, both signs, then half of them."""
        count = self.parameters(grid)
        along = directions(count) if count <= 3 else torch.eye(count, dtype=torch.float64)
        if not self._joint:
            along = along.sign()
        both = torch.stack([along, -along], 1).flatten(0, 1)
        return torch.cat([0.5 * math.pi * both, math.pi / 6 * both])[:n]

    #: Whether the parameters are one vector, whose length is bounded, or separate numbers.
    _joint: ClassVar[bool] = False

    def member(self, parameters: Tensor, grid: Grid) -> AffineField:
        """The fields that do this to the disc; see `Family.member`."""
        t, d = self._checked(parameters, grid), grid.ndim
        middle = (0.5,) * d if self.centre is None else self.centre
        if len(middle) != d:
            raise ValueError(f"`{self.name}(centre=...)`: got {self.centre}, expected {d} numbers, in periods.")
        where = tuple(c * L for c, L in zip(middle, grid.extent, strict=True))
        shortest = min(grid.extent)
        A = torch.eye(d, dtype=torch.float64, device=t.device) - self._map(t, d)
        return AffineField(A, where, self.inner * shortest, self.outer * shortest, grid.extent)


def _unit(k: int, l: int, like: Tensor, d: int) -> Tensor:
    """The matrix with a single 1."""
    rows = [[float((i, j) == (k, l)) for j in range(d)] for i in range(d)]
    return torch.tensor(rows, dtype=torch.float64, device=like.device)


@dataclass(frozen=True)
class Rotations(_Discs):
    """Rotations of a disc (d = 2) or a ball (d = 3) by at most `max_angle`.

    The parameter is t with the angle ``max_angle sin t``; in three dimensions, a vector t along the axis.

    Parameters
    ----------
    max_angle : float
        In radians, positive.
    centre : tuple of d numbers, optional
        In periods; the middle of the cell by default.
    inner, outer : float
        Radii in shortest periods: up to the inner one, the field is the rotation; from the outer one on it is 0.
    """

    max_angle: float
    _dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    _joint: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._largest("max_angle", self.max_angle, 0.0)

    def at_most(self, share: float) -> Rotations:
        """The family with a share of the limit; see `Family.at_most`."""
        return replace(self, max_angle=share * self.max_angle)

    def _count(self, d: int) -> int:
        return d * (d - 1) // 2

    def _map(self, t: Tensor, d: int) -> Tensor:
        # sin |t| / |t|, smooth at 0.
        w = self.max_angle * t * torch.sinc(torch.linalg.vector_norm(t, dim=1, keepdim=True) / math.pi)
        skew = t.new_zeros((len(t), d, d))
        for i, (k, l) in enumerate([(1, 0)] if d == 2 else [(2, 1), (0, 2), (1, 0)]):
            skew = skew + w[:, i, None, None] * (_unit(k, l, t, d) - _unit(l, k, t, d))
        # Rodrigues: I + (sin a / a) W + (1 - cos a) / a^2 W^2; torch.linalg.matrix_exp loses digits at small angles.
        a = torch.linalg.vector_norm(w, dim=1)[:, None, None] / math.pi
        square = 0.5 * torch.sinc(a / 2) ** 2 * (skew @ skew)
        return torch.eye(d, dtype=torch.float64, device=t.device) + torch.sinc(a) * skew + square


@dataclass(frozen=True)
class Scalings(_Discs):
    """Scalings of a disc by factors between ``1 / max_factor`` and `max_factor`: ``max_factor ** sin t``.

    Parameters
    ----------
    max_factor : float
        Above 1.
    centre : tuple of d numbers, optional
        In periods; the middle of the cell by default.
    inner, outer : float
        Radii in shortest periods: up to the inner one, the field is the scaling; from the outer one on it is 0.
    """

    max_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._largest("max_factor", self.max_factor, 1.0)

    def at_most(self, share: float) -> Scalings:
        """The family with a share of the limit; see `Family.at_most`."""
        return replace(self, max_factor=self.max_factor**share)

    def _count(self, d: int) -> int:
        return 1

    def _map(self, t: Tensor, d: int) -> Tensor:
        factor = torch.exp(math.log(self.max_factor) * t.sin())
        return factor[..., None] * torch.eye(d, dtype=torch.float64, device=t.device)


@dataclass(frozen=True)
class Shears(_Discs):
    """Shears of a disc (d = 2, 3): every off-diagonal entry of the map is ``max_shear sin t``, with its own t.

    Parameters
    ----------
    max_shear : float
        Positive.
    centre : tuple of d numbers, optional
        In periods; the middle of the cell by default.
    inner, outer : float
        Radii in shortest periods: up to the inner one, the field is the shear; from the outer one on it is 0.
    """

    max_shear: float
    _dimensions: ClassVar[tuple[int, ...]] = (2, 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._largest("max_shear", self.max_shear, 0.0)

    def at_most(self, share: float) -> Shears:
        """The family with a share of the limit; see `Family.at_most`."""
        return replace(self, max_shear=share * self.max_shear)

    def _count(self, d: int) -> int:
        return d * (d - 1)

    def _map(self, t: Tensor, d: int) -> Tensor:
        entries = self.max_shear * t.sin()
        matrix = torch.eye(d, dtype=torch.float64, device=t.device).expand(len(t), d, d)
        places = [(k, l) for k in range(d) for l in range(d) if k != l]
        for i, (k, l) in enumerate(places):
            matrix = matrix + entries[:, i, None, None] * _unit(k, l, t, d)
        return matrix
