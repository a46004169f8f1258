"""What a candidate of the deformation search is made of: a signal, a displacement, a phase, each from some numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from scatter_theory.deform import BandLimitedFields, Family, Field
from scatter_theory.grid import Grid
from scatter_theory.search import Effort
from scatter_theory.signals import BandLimited, BandLimitedSignal, Signal, SignalClass, Sobolev
from scatter_theory.trigonometric import Polynomial

#: Degree of the phases that are searched.
PHASE_DEGREE = 2
#: Most signals that are drawn from a class whose members are not moved by the ascent.
MOST_DRAWN = 16

#: Structured fields, each of which meets every structured signal.
FIELDS = 8

Pools = dict[str, Tensor]


class SignalPart:
    """Signals from a block of numbers: coordinates in a ball, or the place in a list of given or drawn signals.

    Parameters
    ----------
    source : SignalClass or Signal
    grid : Grid
    sizes : sequence of float
        Sizes of the displacements.
    effort : Effort
    rng : torch.Generator
    """

    def __init__(
        self,
        source: SignalClass | Signal,
        grid: Grid,
        sizes: Sequence[float],
        effort: Effort,
        rng: torch.Generator,
    ) -> None:
        self.source, self.grid = source, grid
        self.parametric = isinstance(source, (BandLimited, Sobolev))
        self.lists: list[Signal] = []
        structured = math.ceil(effort.structured / FIELDS)
        if self.parametric:
            self.pools = self._parameters(effort.random, structured, sizes, rng)
        elif isinstance(source, Signal):
            if len(source.batch) != 1:
                raise ValueError(
                    f"`deformation(signals=...)`: got signals of batch {source.batch}, expected (n,); take a part with "
                    "`signals.select([i])`, or draw with n=1."
                )
            self.lists = [source]
            self.pools = {"given": self._places(0, source.batch[0])} if source.batch[0] else {}
        else:
            self.pools = self._drawn(min(effort.random, MOST_DRAWN), min(structured, MOST_DRAWN), rng)

    def _parameters(self, random: int, structured: int, sizes: Sequence[float], rng: torch.Generator) -> Pools:
        """Drawn and structured members, and tones that a displacement of one of the sizes turns upside down."""
        pools = {}
        if random:
            pools["random"] = self.source.parameters(self.source.draw(self.grid, random, generator=rng))
        if structured:
            members = [self.source.structured(self.grid, structured, generator=rng)]
            bins = list(dict.fromkeys(round(self.grid.extent[0] / (2 * t)) for t in sizes))
            opposite = [(k, *(0,) * (self.grid.ndim - 1)) for k in bins if self.source.holds((k,), self.grid)]
            members += [self.source.tones(opposite, self.grid)] if opposite else []
            pools["structured"] = torch.cat([self.source.parameters(m) for m in members])
        return {mode: _unit(z) for mode, z in pools.items()}

    def _drawn(self, random: int, structured: int, rng: torch.Generator) -> Pools:
        pools = {}
        if random:
            self.lists.append(self.source.draw(self.grid, random, generator=rng))
            pools["random"] = self._places(0, self.lists[-1].batch[0])
        if structured:
            start = sum(s.batch[0] for s in self.lists)
            self.lists.append(self.source.structured(self.grid, structured, generator=rng))
            pools["structured"] = self._places(start, self.lists[-1].batch[0])
        return pools

    @staticmethod
    def _places(start: int, count: int) -> Tensor:
        return torch.arange(start, start + count, dtype=torch.float64)[:, None]

    @property
    def width(self) -> int:
        """Numbers per signal."""
        return next((z.shape[1] for z in self.pools.values()), 0)

    def steepest(self, z: Tensor) -> Tensor | None:
        r"""Unit vectors v ``(n, d)`` with the largest :math:`\|v \cdot \nabla f\|`; None where that is not known."""
        if self.grid.ndim == 1:
            return torch.ones((z.shape[0], 1), dtype=torch.float64)
        parts = self.groups(z)
        if len(parts) > 1 or not isinstance(parts[0][1], BandLimitedSignal):
            return None
        p = parts[0][1].polynomial
        power, xi = p.coefficients.detach().abs().square().flatten(1), p.frequencies.flatten(1)
        return torch.linalg.eigh(torch.einsum("nk,ik,jk->nij", power, xi, xi)).eigenvectors[..., -1]

    def groups(self, z: Tensor) -> list[tuple[Tensor | None, Signal]]:
        """Rows of the block and their signals; None: all rows. Several groups only for lists of several kinds."""
        if self.parametric:
            return [(None, self.source.member(z, self.grid))]
        places = z[:, 0].detach().round().long()
        if len(self.lists) == 1:
            return [(None, self.lists[0].select(places))]
        groups, start = [], 0
        for signal in self.lists:
            rows = ((places >= start) & (places < start + signal.batch[0])).nonzero()[:, 0]
            if rows.numel():
                groups.append((rows, signal.select(places[rows] - start)))
            start += signal.batch[0]
        return groups


class FieldPart:
    r"""Displacements from a block of numbers; a single field has none.

    Parameters
    ----------
    family : Family or Field
    levels : sequence of float or None
        Sizes :math:`\sup|\tau|`, or None for families that cannot be scaled, which are run at shares of their limit.
    sup_jacobian : float or None
        Largest entry of the Jacobian that is allowed.
    """

    #: Shares of the limit of a family that cannot be scaled.
    SHARES = (0.0625, 0.25, 1.0)

    def __init__(
        self, family: Family | Field, levels: Sequence[float] | None, sup_jacobian: float | None, grid: Grid
    ) -> None:
        self.family, self.grid, self.sup_jacobian = family, grid, sup_jacobian
        self.scalable = isinstance(family, Field) or family.scalable
        if self.scalable and levels is None:
            raise ValueError("`deformation(sup_tau=...)`: give sizes for fields that can be scaled.")
        self.levels = list(levels) if self.scalable else list(self.SHARES)
        self._limits = [] if self.scalable else [self._limit(level) for level in range(len(self.levels))]

    @property
    def sizes(self) -> list[float]:
        """Sizes of the displacements, in units."""
        return self.levels if self.scalable else self._limits

    def _limit(self, level: int) -> float:
        """Largest displacement among the structured members of a bounded family at one level."""
        members = self.field(self.family.structured(self.grid, FIELDS), level)
        return float(members.norms().sup.upper.max())

    def size(self, level: int | Tensor, like: Tensor) -> Tensor:
        """Size of every level, or of each candidate's own, on the device of `like`.

        All displacements of a level are held against it, also those that are smaller because their Jacobian binds: the
        search looks for distance and not for a quotient.
        """
        sizes = torch.tensor(self.sizes, dtype=torch.float64, device=like.device)
        return sizes.index_select(0, level) if isinstance(level, Tensor) else sizes.select(0, level)

    def along(self, vectors: Tensor) -> Tensor:
        """Parameters of translations by vectors ``(n, d)``; none if the family holds none."""
        if isinstance(self.family, Field):
            return torch.zeros((0, 0), dtype=torch.float64)
        return _unit(self.family.along(vectors, self.grid))

    def pools(self, effort: Effort, rng: torch.Generator) -> Pools:
        """Parameters by mode."""
        if isinstance(self.family, Field):
            return {"given": torch.zeros((1, 0), dtype=torch.float64)}
        pools = {}
        if effort.random:
            pools["random"] = self.family.draw(self.grid, effort.random, generator=rng)
        if effort.structured:
            pools["structured"] = self.family.structured(self.grid, FIELDS)
        return {mode: _unit(z) if self.family.scalable else z for mode, z in pools.items()}

    def field(self, z: Tensor, level: int | Tensor) -> Field:
        """Fields ``(n,)`` of the rows, not scaled; of a bounded family, within its share of the limit."""
        if isinstance(self.family, Field):
            return self.family if self.family.batch == () else self.family.select(0)
        family = self.family if self.scalable else self.family.at_most(self.levels[level])
        return family.member(z, self.grid)

    def values(self, z: Tensor, level: int | Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Displacements ``(n, d, *shape)`` and Jacobians ``(n, d, d, *shape)`` at common points, not scaled."""
        field, n = self.field(z, level), z.shape[0]
        tau, slopes = field.at(points), field.jacobian(points)
        if field.batch == ():
            return tau.expand(n, *tau.shape), slopes.expand(n, *slopes.shape)
        return tau, slopes

    def factor(self, sup: Tensor, jacobian: Tensor, level: int | Tensor) -> Tensor:
        """Scale for fields with these norms, ``(n,)``; one level for all, or one for each."""
        if not self.scalable:
            return torch.ones_like(sup)
        tiny = torch.finfo(torch.float64).tiny
        factor = self.size(level, sup) / sup.clamp_min(tiny)
        if self.sup_jacobian is not None:
            allowed = self.sup_jacobian / jacobian.clamp_min(tiny)
            free = jacobian.isinf() | (jacobian == 0)
            factor = torch.where(free, factor, torch.minimum(factor, allowed))
        return factor


def default_family() -> Family:
    """Displacements that are searched unless a family is given."""
    return BandLimitedFields()


def phase(z: Tensor, grid: Grid, sup: float) -> Polynomial:
    r"""Phases ``(n,)`` of degree `PHASE_DEGREE` with the sum of the moduli of their coefficients equal to `sup`.

    That sum is at least :math:`\sup|\omega|`; a constant attains it.
    """
    box = (2 * PHASE_DEGREE + 1,) * grid.ndim
    parts = z.reshape(z.shape[0], 2, *box)
    c = torch.complex(parts[:, 0], parts[:, 1])
    axes = tuple(range(1, grid.ndim + 1))
    c = 0.5 * (c + c.flip(axes).conj())
    size = c.abs().sum(axes, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    return Polynomial(sup * c / size, grid.extent)


def phase_width(grid: Grid) -> int:
    """Numbers per phase."""
    return 2 * (2 * PHASE_DEGREE + 1) ** grid.ndim


def _unit(z: Tensor) -> Tensor:
    """Rows scaled to root mean square 1."""
    return z / z.square().mean(-1, keepdim=True).sqrt().clamp_min(torch.finfo(z.dtype).tiny)
