"""Families of displacement fields: a law to draw from, and a space to search in.

A member is made from any real parameters, differentiably, so that a verifier may draw, start from members that are
likely to be extremal, and climb. Members are not normalised: `Field.scaled_to` does that where a family is `scalable`,
which means that every multiple of a member is a member. The families on bounded intervals are not.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product, zip_longest
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.deform._fields import Field
from scatter_theory.deform._sine import corners
from scatter_theory.deform._trigonometric import TrigonometricField, plane_wave, translation
from scatter_theory.grid import Grid, is_whole
from scatter_theory.seeds import Seed, seeded
from scatter_theory.trigonometric import Polynomial


class Family(ABC):
    """A set of fields with real parameters; a frozen dataclass whose ``repr`` rebuilds it.

    Attributes
    ----------
    scalable : bool
        Whether every multiple of a member is a member: the one with the multiple of its parameters.
    """

    scalable: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Name of the family."""
        return type(self).__name__

    @abstractmethod
    def parameters(self, grid: Grid) -> int:
        """Number P of parameters on the torus of a grid."""

    @abstractmethod
    def member(self, parameters: Tensor, grid: Grid) -> Field:
        """The fields with parameters ``(n, P)``, batch ``(n,)``; differentiable, not normalised."""

    @abstractmethod
    def structured(self, grid: Grid, n: int) -> Tensor:
        """Parameters ``(<= n, P)`` of members that are likely to be extremal, the likeliest first."""

    def at_most(self, share: float) -> Family:
        """The family with its limit reduced to a share of it, in (0, 1]; one that is scalable has no limit."""
        del share
        return self

    def draw(self, grid: Grid, n: int, *, generator: Seed = None) -> Tensor:
        """Parameters ``(n, P)`` of random members."""
        source, _ = seeded(generator)
        return torch.randn((n, self.parameters(grid)), generator=source, dtype=torch.float64)

    def along(self, vectors: Tensor, grid: Grid) -> Tensor:
        """Parameters ``(n, P)`` of the translations by vectors ``(n, d)``; ``(0, P)`` if the family holds none."""
        return torch.zeros((0, self.parameters(grid)), dtype=torch.float64)

    def _checked(self, parameters: Tensor, grid: Grid) -> Tensor:
        expected = self.parameters(grid)
        if parameters.ndim != 2 or parameters.shape[1] != expected or parameters.is_complex():
            raise ValueError(
                f"`{self.name}.member(parameters=...)`: got {parameters.dtype} of shape {tuple(parameters.shape)}, "
                f"expected real numbers of shape (n, {expected})."
            )
        return parameters.to(torch.float64)


def directions(d: int) -> Tensor:
    """Unit vectors along axes and diagonals, up to sign, ``(n, d)``."""
    vectors = torch.tensor(corners(d), dtype=torch.float64)
    return vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)


def check_degree(owner: str, degree: int) -> None:
    """Refuse degrees that are not whole numbers of at least 1."""
    if not is_whole(degree) or degree < 1:
        raise ValueError(f"`{owner}(degree=...)`: got {degree}, expected a whole number of at least 1.")


def half_space(degree: int, d: int) -> list[tuple[int, ...]]:
    """Frequencies of the box up to sign and without 0: the first entry that is not 0 is positive."""
    box = product(range(-degree, degree + 1), repeat=d)
    return [k for k in box if any(k) and next(x for x in k if x) > 0]


@dataclass(frozen=True)
class BandLimitedFields(Family):
    """Trigonometric fields with degree at most `degree` along every axis.

    The parameters of a component are its constant term (if any), then the amplitudes of the cosines, then those of the
    sines, in the unit of position. Drawn amplitudes fall off like 1 / |k|, so that all frequencies have a part in the
    Jacobian.

    Parameters
    ----------
    degree : int
    constant : bool
        Whether there is a constant term.
    """

    degree: int = 3
    constant: bool = True

    def __post_init__(self) -> None:
        check_degree("BandLimitedFields", self.degree)

    def _modes(self, d: int) -> Tensor:
        return torch.tensor(half_space(self.degree, d), dtype=torch.int64)

    def parameters(self, grid: Grid) -> int:
        """Number P of parameters."""
        d = grid.ndim
        return d * (int(self.constant) + (2 * self.degree + 1) ** d - 1)

    def draw(self, grid: Grid, n: int, *, generator: Seed = None) -> Tensor:
        """Gaussian amplitudes with deviation 1 / |k| (1 for the constant)."""
        fall = 1 / torch.linalg.vector_norm(self._modes(grid.ndim).to(torch.float64), dim=1)
        one = torch.ones(int(self.constant), dtype=torch.float64)
        weights = torch.cat([one, fall, fall]).repeat(grid.ndim)
        return super().draw(grid, n, generator=generator) * weights

    def member(self, parameters: Tensor, grid: Grid) -> TrigonometricField:
        """The fields with these amplitudes; see `Family.member`."""
        p, d, M = self._checked(parameters, grid), grid.ndim, self.degree
        rows = p.reshape(len(p), d, -1)
        start, count = int(self.constant), len(half_space(M, d))
        cosines, sines = rows[..., start : start + count], rows[..., start + count :]
        half = 0.5 * torch.complex(cosines, -sines)
        # The box in ascending order is: minus the half space backwards, 0, the half space.
        middle = rows[..., :1] if self.constant else torch.zeros_like(rows[..., :1])
        flat = torch.cat([half.conj().flip(-1), middle.to(half.dtype), half], -1)
        return TrigonometricField(Polynomial(flat.reshape(len(p), d, *(2 * M + 1,) * d), grid.extent))

    def along(self, vectors: Tensor, grid: Grid) -> Tensor:
        """The vectors as constant terms; see `Family.along`."""
        if not self.constant:
            return super().along(vectors, grid)
        rest = torch.zeros((*vectors.shape, self.parameters(grid) // grid.ndim - 1), dtype=torch.float64)
        return torch.cat([vectors.unsqueeze(-1), rest], -1).flatten(1)

    def structured(self, grid: Grid, n: int) -> Tensor:
        """Translations, lowest modes, two blocks that move in opposite ways, and highest modes, in turn."""
        d = grid.ndim
        modes = half_space(self.degree, d)
        place = {k: i for i, k in enumerate(modes)}
        start, count = int(self.constant), len(modes)
        along = directions(d)

        def field(direction: Tensor, entries: dict[int, float]) -> Tensor:
            row = torch.zeros(start + 2 * count, dtype=torch.float64)
            for index, value in entries.items():
                row[index] = value
            return (direction[:, None] * row).flatten()

        def waves(multiple: int) -> list[Tensor]:
            places = [(place[tuple(multiple * x for x in axis)], v) for v, axis in product(along, axes)]
            return [field(v, {start + shift + k: 1.0}) for k, v in places for shift in (count, 0)]

        def block(v: Tensor, axis: tuple[int, ...]) -> Tensor:
            odd = ((j, place[tuple(j * x for x in axis)]) for j in range(1, self.degree + 1, 2))
            return field(v, {start + count + k: _lanczos(j, self.degree) / j for j, k in odd})

        axes = [tuple(int(i == axis) for i in range(d)) for axis in range(d)]
        kinds = [
            [field(v, {0: 1.0}) for v in along] if self.constant else [],
            waves(1),
            [block(v, axis) for v, axis in product(along, axes)] if self.degree > 2 else [],
            waves(self.degree) if self.degree > 1 else [],
        ]
        return first(interleaved(kinds), n, self.parameters(grid))


def interleaved(kinds: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The first of every kind, then the second of every kind, and so on."""
    return [row for rows in zip_longest(*kinds) for row in rows if row is not None]


def first(rows: Sequence[Tensor], n: int, width: int) -> Tensor:
    """The first n rows as a tensor ``(<= n, width)``."""
    return torch.stack(list(rows[:n])) if rows[:n] else torch.zeros((0, width), dtype=torch.float64)


def _lanczos(j: int, degree: int) -> float:
    """Sigma factor that keeps the partial sums of a square wave from ringing."""
    u = math.pi * j / (degree + 1)
    return math.sin(u) / u


@dataclass(frozen=True)
class Translations(Family):
    """Constant fields; the parameters are the displacement, in the unit of position."""

    def parameters(self, grid: Grid) -> int:
        """Number P = d of parameters."""
        return grid.ndim

    def member(self, parameters: Tensor, grid: Grid) -> TrigonometricField:
        """Translations by the parameters; see `Family.member`."""
        return translation(self._checked(parameters, grid), grid.extent)

    def along(self, vectors: Tensor, grid: Grid) -> Tensor:
        """The vectors themselves; see `Family.along`."""
        return vectors

    def structured(self, grid: Grid, n: int) -> Tensor:
        """Axes and diagonals, both signs."""
        along = directions(grid.ndim)
        return torch.stack([along, -along], 1).flatten(0, 1)[:n]


@dataclass(frozen=True)
class Sinusoids(Family):
    r"""Plane waves :math:`a \sin(2\pi k\cdot x / L) + b \cos(2\pi k\cdot x / L)`, entries of k at most `degree`.

    The parameters are a, b, and one number for every frequency: the frequency with the largest modulus is taken. The
    norms are known in closed form: the largest singular value of the matrix of columns a, b, and
    :math:`2\pi |k_l| (a_k^2 + b_k^2)^{1/2} / L_l`.

    Parameters
    ----------
    degree : int
    """

    degree: int = 3

    def __post_init__(self) -> None:
        check_degree("Sinusoids", self.degree)

    def parameters(self, grid: Grid) -> int:
        """Number P of parameters."""
        return 2 * grid.ndim + len(half_space(self.degree, grid.ndim))

    def draw(self, grid: Grid, n: int, *, generator: Seed = None) -> Tensor:
        """Gaussian amplitudes, and a frequency that is uniform in the box without 0."""
        source, _ = seeded(generator)
        amplitudes = torch.randn((n, 2 * grid.ndim), generator=source, dtype=torch.float64)
        return torch.cat([amplitudes, self._picked(grid, torch.randint(self._modes(grid), (n,), generator=source))], 1)

    def _modes(self, grid: Grid) -> int:
        return len(half_space(self.degree, grid.ndim))

    def _picked(self, grid: Grid, index: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(index, self._modes(grid)).to(torch.float64)

    def member(self, parameters: Tensor, grid: Grid) -> TrigonometricField:
        """The plane waves; see `Family.member`."""
        p, d = self._checked(parameters, grid), grid.ndim
        modes = torch.tensor(half_space(self.degree, d), dtype=torch.int64, device=p.device)
        k = modes.index_select(0, p[:, 2 * d :].detach().abs().argmax(1))
        return plane_wave(k, p[:, :d], p[:, d : 2 * d], grid.extent, (self.degree,) * d)

    def structured(self, grid: Grid, n: int) -> Tensor:
        """Lowest and highest frequencies along the axes, amplitudes along axes and diagonals, sines and cosines."""
        d = grid.ndim
        place = {k: i for i, k in enumerate(half_space(self.degree, d))}
        rows = []
        for a, axis, multiple in product(directions(d), range(d), dict.fromkeys((1, self.degree))):
            picked = self._picked(grid, torch.tensor(place[tuple(multiple * int(i == axis) for i in range(d))]))
            rows += [torch.cat([a, 0 * a, picked]), torch.cat([0 * a, a, picked])]
        return first(rows, n, self.parameters(grid))
