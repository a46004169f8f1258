r"""Sums and compositions of displacement fields.

First a, then b is the displacement :math:`\tau = b + a\circ\varphi` with :math:`\varphi = \mathrm{id} - b`, so that

.. math:: D\tau = Db + (Da\circ\varphi)(I - Db) .

With bounds :math:`M_j` of the j-th derivatives in operator norm, the chain rule gives

.. math::
    M_1 &\le M_1^b + M_1^a (1 + M_1^b), \qquad
    M_2 \le M_2^b + M_2^a (1 + M_1^b)^2 + M_1^a M_2^b, \\
    M_3 &\le M_3^b + M_3^a (1 + M_1^b)^3 + 3 M_2^a (1 + M_1^b) M_2^b + M_1^a M_3^b .
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.deform._fields import Field, FieldNorms, Smoothness
from scatter_theory.deform._norms import enclosed
from scatter_theory.deform._sampled import SampledField
from scatter_theory.deform._sine import SineField
from scatter_theory.deform._trigonometric import TrigonometricField
from scatter_theory.grid import same_extent
from scatter_theory.trigonometric import Polynomial


@dataclass(frozen=True, eq=False)
class SumField(Field):
    """Pointwise sums; made by ``one + other``.

    Parameters
    ----------
    parts : tuple of Field
        On one torus; each with the batch of the sum, or single.
    """

    parts: tuple[Field, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            _compatible("Field.__add__", self.parts[0], part)

    @property
    def extent(self) -> tuple[float, ...]:
        """Periods ``L_i``, in the unit of position."""
        return self.parts[0].extent

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return max((p.batch for p in self.parts), key=len)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.parts[0].device

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Displacements, ``(*batch, d, *shape)``; see `Field.at`."""
        return sum(_values(p, "at", points, self.batch, each) for p in self.parts)

    def jacobian(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Derivatives, ``(*batch, d, d, *shape)``; see `Field.jacobian`."""
        return sum(_values(p, "jacobian", points, self.batch, each) for p in self.parts)

    def smoothness(self) -> Smoothness:
        """Sums of the bounds of the parts."""
        rows = [p.smoothness() for p in self.parts]
        sums = [reduce(torch.add, column) for column in zip(*(row[:4] for row in rows), strict=True)]
        return Smoothness(*(s.expand(self.batch) for s in sums), any(row.seam for row in rows))

    def _certified(self) -> FieldNorms:
        return enclosed(self)

    def _scaled(self, factor: Tensor | float) -> SumField:
        return SumField(tuple(p.scaled(factor) for p in self.parts))

    def select(self, index: int | list[int] | slice | Tensor) -> Field:
        """Part of the batch; see `Field.select`."""
        result = SumField(tuple(p.select(index) if p.batch else p for p in self.parts)) if self.batch else self
        return _selected(self, result, index)


@dataclass(frozen=True, eq=False)
class ComposedField(Field):
    r"""Compositions, times a factor: :math:`s\,(b + a\circ(\mathrm{id} - b))`; made by ``b.after(a)``.

    Parameters
    ----------
    first : Field
        a, the warp that is applied first.
    second : Field
        b; the batches of the two are equal, or one of them is single.
    factor : float or (*batch,) tensor
        s. With s = 1 this is the composition of the two warps.
    """

    first: Field
    second: Field
    factor: Tensor | float = 1.0
    _batched: ClassVar[tuple[str, ...]] = ("first", "second", "factor")

    def __post_init__(self) -> None:
        _compatible("Field.after", self.first, self.second)

    @property
    def extent(self) -> tuple[float, ...]:
        """Periods ``L_i``, in the unit of position."""
        return self.first.extent

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        factor = self.factor.shape if isinstance(self.factor, Tensor) else ()
        return tuple(max((self.first.batch, self.second.batch, factor), key=len))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.first.device

    def _moved(self, points: Tensor, each: bool) -> tuple[Tensor, Tensor]:
        """Values of b, and the points ``x - b(x)``, both ``(*batch, d, *shape)``."""
        b = _values(self.second, "at", points, self.batch, each)
        return b, points - b

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Displacements, ``(*batch, d, *shape)``; see `Field.at`."""
        b, moved = self._moved(points, each)
        value = b + _values(self.first, "at", moved, self.batch, True)
        return value * self._factor(value)

    def jacobian(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Derivatives, ``(*batch, d, d, *shape)``; see `Field.jacobian`."""
        lead, d = len(self.batch), self.ndim
        _, moved = self._moved(points, each)
        Db = _values(self.second, "jacobian", points, self.batch, each)
        Da = _values(self.first, "jacobian", moved, self.batch, True)
        unit = torch.eye(d, dtype=Db.dtype, device=Db.device).reshape(d, d, *(1,) * (Db.ndim - lead - 2))
        chained = Da.unsqueeze(lead + 2) * (unit - Db).unsqueeze(lead)
        value = Db + chained.sum(lead + 1)
        return value * self._factor(value)

    def _factor(self, value: Tensor) -> Tensor | float:
        if not isinstance(self.factor, Tensor):
            return self.factor
        return self.factor.reshape(*self.factor.shape, *(1,) * (value.ndim - len(self.batch)))

    def smoothness(self) -> Smoothness:
        """The chain rule; see the head of this file."""
        a, b = self.first.smoothness(), self.second.smoothness()
        infinite = torch.full_like(a.curvature, torch.inf)
        # A border of the first field is met wherever the second one moves it.
        a2, a3 = (infinite, infinite) if a.seam else (a.curvature, a.third)
        stretch = 1 + b.slope
        bounds = (
            b.size + a.size,
            b.slope + a.slope * stretch,
            b.curvature + a2 * stretch**2 + a.slope * b.curvature,
            b.third + a3 * stretch**3 + 3 * a2 * stretch * b.curvature + a.slope * b.third,
        )
        size = abs(self.factor.detach()) if isinstance(self.factor, Tensor) else abs(self.factor)
        # A factor of 0 times an unknown bound is 0 only for known ones.
        scaled = (torch.where(v.isinf(), v, v * size).expand(self.batch) for v in bounds)
        return Smoothness(*scaled, a.seam or b.seam)

    def _certified(self) -> FieldNorms:
        return enclosed(self)

    def _scaled(self, factor: Tensor | float) -> ComposedField:
        return ComposedField(self.first, self.second, self.factor * factor)

    def select(self, index: int | list[int] | slice | Tensor) -> Field:
        """Part of the batch; see `Field.select`."""
        first, second = (f.select(index) if f.batch else f for f in (self.first, self.second))
        many = isinstance(self.factor, Tensor) and self.factor.ndim
        result = ComposedField(first, second, self.factor[index] if many else self.factor)
        return _selected(self, result, index)


def _selected(whole: Field, part: Field, index: int | list[int] | slice | Tensor) -> Field:
    if not whole.batch:
        raise ValueError(f"`{type(whole).__name__}.select`: this is a single field, there is no batch to select in.")
    if "_norms" in whole.__dict__:
        part.__dict__["_norms"] = whole.norms().select(index)
    return part


def _compatible(owner: str, one: Field, other: Field) -> None:
    if not same_extent(one.extent, other.extent):
        raise ValueError(f"`{owner}`: fields on tori of extent {one.extent} and {other.extent}; they must agree.")
    if one.batch and other.batch and one.batch != other.batch:
        raise ValueError(
            f"`{owner}`: fields with batches {one.batch} and {other.batch}; give equal ones, or make one single."
        )


def _values(field: Field, what: str, points: Tensor, batch: tuple[int, ...], each: bool) -> Tensor:
    """Values or derivatives of a part, spread over the batch of the whole."""
    evaluate = getattr(field, what)
    lead, tail = len(batch), 1 if what == "at" else 2
    if field.batch == batch:
        return evaluate(points, each=each)
    if not each:
        value = evaluate(points)
        return value.expand(*batch, *value.shape)
    value = evaluate(points.movedim(lead, 0))
    return value.movedim(tuple(range(tail)), tuple(range(lead, lead + tail)))


def added(one: Field, other: Field) -> Field:
    """The sum, in the simplest form; see `Field.__add__`."""
    _compatible("Field.__add__", one, other)
    for sampled, rest in ((one, other), (other, one)):
        if isinstance(sampled, SampledField):
            points = sampled.grid.points(device=sampled.device)
            return SampledField(sampled.values + rest.at(points), sampled.grid)
    parts: list[Field] = []
    for part in (*_parts(one), *_parts(other)):
        merged = None
        for i, have in enumerate(parts):
            merged = _merged(have, part)
            if merged is not None:
                parts[i] = merged
                break
        if merged is None:
            parts.append(part)
    return parts[0] if len(parts) == 1 else SumField(tuple(parts))


def _parts(field: Field) -> tuple[Field, ...]:
    return field.parts if isinstance(field, SumField) else (field,)


def _merged(one: Field, other: Field) -> Field | None:
    """The sum by coefficients, where both are of one kind."""
    d = one.ndim
    if isinstance(one, TrigonometricField) and isinstance(other, TrigonometricField):
        a, b = one.polynomial.coefficients, other.polynomial.coefficients
        box = [max(m, n) for m, n in zip(a.shape[-d:], b.shape[-d:], strict=True)]
        return TrigonometricField(Polynomial(_padded(a, box, True) + _padded(b, box, True), one.extent))
    if isinstance(one, SineField) and isinstance(other, SineField):
        a, b = one.amplitudes, other.amplitudes
        box = [max(m, n) for m, n in zip(a.shape[-d:], b.shape[-d:], strict=True)]
        return SineField(_padded(a, box, False) + _padded(b, box, False), one.extent)
    return None


def _padded(c: Tensor, box: list[int], centred: bool) -> Tensor:
    """The coefficients in a larger box, with zeros on both sides or after them."""
    pads: list[int] = []
    for length, n in zip(reversed(box), reversed(c.shape[-len(box) :]), strict=True):
        before = (length - n) // 2 if centred else 0
        pads += [before, length - n - before]
    return torch.nn.functional.pad(c, pads)


def composed(first: Field, second: Field) -> Field:
    """First one, then the other, in the simplest form; see `Field.after`."""
    _compatible("Field.after", first, second)
    if isinstance(first, SampledField):
        raise ValueError(
            "`Field.after(other=...)`: `other` is known at samples only, but its values between them are needed. Use a "
            "field that is given everywhere, such as TrigonometricField."
        )
    if isinstance(first, TrigonometricField) and first.constant:
        return second + first
    if isinstance(second, SampledField):
        points = second.grid.points(device=second.device)
        moved = points - second.values
        batch = max(first.batch, second.batch, key=len)
        moved = moved if second.batch == batch else moved.expand(*batch, *moved.shape)
        return SampledField(second.values + _values(first, "at", moved, batch, True), second.grid)
    if isinstance(first, TrigonometricField) and isinstance(second, TrigonometricField) and second.constant:
        return second + _translated(first, second)
    return ComposedField(first, second)


def _translated(field: TrigonometricField, by: TrigonometricField) -> TrigonometricField:
    """The field at ``x - t``, by a phase of every coefficient."""
    p, d = field.polynomial, field.ndim
    t = by.polynomial.coefficients.real.reshape(*by.batch, d)
    angle = -2 * math.pi * torch.tensordot(t, p.frequencies, dims=1)
    phase = torch.polar(torch.ones_like(angle), angle).unsqueeze(-d - 1)
    return TrigonometricField(Polynomial(p.coefficients * phase, p.extent))
