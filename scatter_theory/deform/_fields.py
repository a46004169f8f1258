r"""Displacement fields :math:`\tau` on a torus, with certified norms.

A field moves the value that a function has at :math:`x - \tau(x)` to x. It is real, periodic and Lipschitz, and it
comes in batches. Its norms are

.. math:: \|\tau\|_\infty = \sup_x |\tau(x)|_2, \qquad \|D\tau\|_\infty = \sup_x \max_{k,l} |\partial_l \tau_k(x)|,

the Euclidean length in the unit of position and the largest *entry* of the Jacobian matrix, a pure number. Suprema are
over the torus, not over samples, and every norm is an enclosure whose upper value is proven.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from scatter_theory.deform._config import decode, encode
from scatter_theory.trigonometric import Enclosure

#: Allowance for rounding in closed forms, relative.
ROUNDING = 1e-13
#: Kinds of fields by name, for `field_from_config`.
_KINDS: dict[str, type[Field]] = {}


class Smoothness(NamedTuple):
    """A-priori bounds of a field and of its derivatives in operator norm, each ``(*batch,)``; crude, but proven.

    With `seam`, the derivatives may jump at the border of the period ``[0, L)``, and the bounds of the second and third
    ones hold inside; the bound of the first one is a Lipschitz constant everywhere.
    """

    size: Tensor
    slope: Tensor
    curvature: Tensor
    third: Tensor
    seam: bool = False


@dataclass(frozen=True, eq=False)
class FieldNorms:
    r"""Enclosures of the norms of a batch of fields.

    Parameters
    ----------
    sup : Enclosure of (*batch,) tensors
        :math:`\sup_x |\tau(x)|_2`, in the unit of position.
    jacobian : Enclosure of (*batch,) tensors
        :math:`\sup_x \max_{k,l} |\partial_l \tau_k(x)|`.
    components : Enclosure of (*batch, d) tensors
        :math:`\sup_x |\tau_k(x)|`.
    source : str
        How they were found.
    """

    sup: Enclosure
    jacobian: Enclosure
    components: Enclosure
    source: str

    def scaled(self, factor: Tensor | float) -> FieldNorms:
        """Norms of the fields times a factor, ``(*batch,)`` or one for all; an unknown (infinite) norm stays so."""
        size = torch.as_tensor(factor, dtype=torch.float64, device=self.sup.upper.device).detach().abs()

        def times(pair: Enclosure, size: Tensor) -> Enclosure:
            return Enclosure(*(torch.where(v.isinf(), v, v * size) for v in pair))

        return FieldNorms(
            times(self.sup, size), times(self.jacobian, size), times(self.components, size[..., None]), self.source
        )

    def select(self, index: Any) -> FieldNorms:
        """Part of the batch along its first axis."""
        pairs = (Enclosure(*(v[index] for v in pair)) for pair in (self.sup, self.jacobian, self.components))
        return FieldNorms(*pairs, self.source)


class Field(ABC):
    """A batch of displacement fields on a torus.

    Attributes
    ----------
    extent : tuple of d numbers
        Periods ``L_i``, in the unit of position.
    """

    extent: tuple[float, ...]
    #: Tensors whose first axis is the first axis of the batch.
    _batched: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        _KINDS[cls.__name__] = cls

    @property
    @abstractmethod
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch; ``()`` for a single field."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the tensors of the field are."""

    @abstractmethod
    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Displacements ``(*batch, d, *shape)`` in the unit of position.

        `points` are ``(d, *shape)``, or ``(*batch, d, *shape)`` with ``each=True``; they are read modulo the period.
        """

    @abstractmethod
    def jacobian(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Derivatives ``(*batch, d, d, *shape)``; entry [k, l] is that of component k along axis l."""

    @abstractmethod
    def smoothness(self) -> Smoothness:
        """A-priori bounds of the derivatives up to the third one."""

    @abstractmethod
    def _certified(self) -> FieldNorms:
        """The norms; called once."""

    @abstractmethod
    def _scaled(self, factor: Tensor | float) -> Field:
        """The fields times a factor."""

    @property
    def ndim(self) -> int:
        """Number d of axes."""
        return len(self.extent)

    def norms(self) -> FieldNorms:
        """Certified norms, found once and kept; they carry no gradient."""
        if "_norms" not in self.__dict__:
            with torch.no_grad():
                self.__dict__["_norms"] = self._certified()
        return self.__dict__["_norms"]

    def scaled(self, factor: Tensor | float) -> Field:
        """The fields times a number: one for all, or a tensor ``(*batch,)``. Differentiable in the factor.

        Raises ValueError for a factor of another shape.
        """
        if isinstance(factor, Tensor):
            try:
                torch.broadcast_shapes(factor.shape, self.batch)
            except RuntimeError:
                raise ValueError(
                    f"`{type(self).__name__}.scaled(factor=...)`: got shape {tuple(factor.shape)}, expected a number "
                    f"or one factor for every field of the batch {self.batch}."
                ) from None
        result = self._scaled(factor)
        if "_norms" in self.__dict__:
            result.__dict__["_norms"] = self.norms().scaled(factor)
        return result

    def scaled_to(self, *, sup: float | None = None, jacobian: float | None = None) -> Field:
        r"""The largest multiples with :math:`\|\tau\|_\infty \le` `sup` and :math:`\|D\tau\|_\infty \le` `jacobian`.

        Both are read from the certified upper values, and one of the two holds with equality (within rounding, never
        above). A norm that is 0 binds nothing; where nothing binds, the field is left as it is. The factor carries no
        gradient.

        Raises
        ------
        ValueError
            If neither is given, if one is negative or not finite, or if the Jacobian of the field is unknown.
        """
        wanted = {name: value for name, value in (("sup", sup), ("jacobian", jacobian)) if value is not None}
        if not wanted:
            raise ValueError(f"`{type(self).__name__}.scaled_to`: give `sup=`, `jacobian=` or both.")
        norms = self.norms()
        factor = torch.full_like(norms.sup.upper, torch.inf)
        for name, value in wanted.items():
            if not 0 <= value < float("inf"):
                raise ValueError(
                    f"`{type(self).__name__}.scaled_to({name}=...)`: got {value}, expected a finite number >= 0."
                )
            upper = getattr(norms, name).upper
            if bool(upper.isinf().any()):
                raise ValueError(
                    f"`{type(self).__name__}.scaled_to({name}=...)`: this norm is unknown ({norms.source}). Use a "
                    "field that is given everywhere, such as TrigonometricField, or scale by the other norm."
                )
            factor = torch.where(upper > 0, torch.minimum(factor, value / upper), factor)
        return self.scaled(torch.where(factor.isinf(), torch.ones_like(factor), factor * (1 - 2.0**-51)))

    def select(self, index: Any) -> Field:
        """Part of the batch along its first axis; an index, a list of indices or a slice.

        Raises ValueError for a single field.
        """
        if not self.batch:
            raise ValueError(f"`{type(self).__name__}.select`: this is a single field, there is no batch to select in.")
        result = replace(self, **{name: self._part(getattr(self, name), index) for name in self._batched})
        if "_norms" in self.__dict__:
            result.__dict__["_norms"] = self.norms().select(index)
        return result

    @staticmethod
    def _part(value: Any, index: Any) -> Any:
        return value[index] if isinstance(value, Tensor) else value.select(index)

    def __add__(self, other: Field) -> Field:
        """The pointwise sum; of trigonometric fields with equal periods, exactly by their coefficients."""
        from scatter_theory.deform._combined import added

        return added(self, other) if isinstance(other, Field) else NotImplemented

    def after(self, other: Field) -> Field:
        r"""The field of "first `other`, then this one".

        With a = `other` and b = this field, ``g(x) = f(x - a(x))`` and ``h(x) = g(x - b(x))`` give
        ``h(x) = f(x - tau(x))`` for

        .. math:: \tau = b + a \circ (\mathrm{id} - b) .
        """
        from scatter_theory.deform._combined import composed

        return composed(other, self)

    def to_config(self) -> dict[str, Any]:
        """Numbers, lists and strings from which `field_from_config` rebuilds the field exactly (on the CPU)."""
        return {"field": type(self).__name__, **{f.name: encode(getattr(self, f.name)) for f in fields(self)}}


def field_from_config(config: Mapping[str, Any]) -> Field:
    """The field that `Field.to_config` wrote down.

    Parameters
    ----------
    config : mapping
        Plain numbers, lists and strings.

    Returns
    -------
    Field
        Equal to the one that was written.

    Raises
    ------
    ValueError
        For an unknown kind of field, or parts that do not belong to it.
    """
    return decode(config, _KINDS)


def numbers(owner: str, value: Any, trailing: tuple[int, ...]) -> Tensor:
    """A real float64 tensor ``(*batch, *trailing)`` of finite numbers; finiteness is looked at on the CPU only."""
    tensor = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
    fits = tensor.ndim >= len(trailing) and tuple(tensor.shape[tensor.ndim - len(trailing) :]) == trailing
    if tensor.is_complex() or not fits:
        raise ValueError(
            f"`{owner}`: got {tensor.dtype} of shape {tuple(tensor.shape)}, expected real numbers of shape "
            f"(*batch, {', '.join(map(str, trailing))})."
        )
    finite(owner, tensor)
    return tensor.to(torch.float64)


def finite(owner: str, tensor: Tensor) -> None:
    """Refuse NaN and infinities on the CPU; elsewhere the check would make the host wait for the device."""
    if tensor.device.type == "cpu" and not bool(torch.isfinite(tensor.detach()).all()):
        raise ValueError(f"`{owner}`: got NaN or infinite values, expected finite ones.")


def periods(owner: str, extent: Sequence[float]) -> tuple[float, ...]:
    """The periods as a tuple of one to three positive finite numbers."""
    values = tuple(float(L) for L in extent)
    if not 1 <= len(values) <= 3 or not all(0 < L < float("inf") for L in values):
        raise ValueError(f"`{owner}(extent=...)`: got {tuple(extent)}, expected 1 to 3 positive periods.")
    return values


def exact(value: Tensor) -> Enclosure:
    """The enclosure of a value in closed form: only rounding is left."""
    return Enclosure(value, value * (1 + ROUNDING))
