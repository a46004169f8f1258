r"""Band-limited displacement fields: a trigonometric polynomial for every component.

Norms are enclosed by `scatter_theory.trigonometric.supremum`. The a-priori bounds of derivatives are Bernstein's: on
every line the field has frequencies of at most R, the largest Euclidean length of an occupied k / L, so that
:math:`|\partial_u g| \le 2\pi R \sup|g|` for every unit vector u and every vector-valued polynomial g with these
frequencies, in particular for :math:`\tau`, :math:`D\tau\,v` and :math:`D^2\tau[v, w]`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scatter_theory.deform._fields import ROUNDING, Field, FieldNorms, Smoothness, exact, finite, numbers, periods
from scatter_theory.trigonometric import Enclosure, Polynomial, supremum


@dataclass(frozen=True, eq=False)
class TrigonometricField(Field):
    """Fields with trigonometric polynomials as components.

    Parameters
    ----------
    polynomial : Polynomial
        Real, with batch ``(*batch, d)``; values in the unit of position.

    Raises
    ------
    ValueError
        For complex polynomials, another number of components than axes, or values that are not finite.

    Examples
    --------
    >>> field = sinusoid((1,), (0.1,), 0.0, extent=(2.0,))
    >>> field.at(torch.tensor([[0.5]], dtype=torch.float64))
    tensor([[0.1]], dtype=torch.float64)
    >>> round(float(field.norms().jacobian.upper), 6)
    0.314159
    """

    polynomial: Polynomial
    _batched: ClassVar[tuple[str, ...]] = ("polynomial",)

    def __post_init__(self) -> None:
        p = self.polynomial
        if not p.real or not p.batch or p.batch[-1] != p.ndim:
            raise ValueError(
                f"`TrigonometricField(polynomial=...)`: got a {'real' if p.real else 'complex'} polynomial with batch "
                f"{p.batch}, expected a real one with {p.ndim} components as the last batch axis."
            )
        periods("TrigonometricField", p.extent)
        finite("TrigonometricField(polynomial=...)", p.coefficients)

    @property
    def extent(self) -> tuple[float, ...]:
        """Periods ``L_i``, in the unit of position."""
        return self.polynomial.extent

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return self.polynomial.batch[:-1]

    @property
    def device(self) -> torch.device:
        """Where the coefficients are."""
        return self.polynomial.coefficients.device

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Displacements, ``(*batch, d, *shape)``; see `Field.at`."""
        return values(self.polynomial, points, len(self.batch), each=each)

    def jacobian(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Derivatives, ``(*batch, d, d, *shape)``; see `Field.jacobian`."""
        return values(self.polynomial.gradient(), points, len(self.batch), each=each)

    def smoothness(self) -> Smoothness:
        """Bernstein's inequality, from the certified norms."""
        return bernstein(self.polynomial, self.norms())

    def _certified(self) -> FieldNorms:
        return certified(self.polynomial, "enclosure of trigonometric polynomials by samples (Bernstein and Szegő)")

    def _scaled(self, factor: Tensor | float) -> TrigonometricField:
        return TrigonometricField(self.polynomial.scaled(factor[..., None] if isinstance(factor, Tensor) else factor))

    @property
    def constant(self) -> bool:
        """Whether only the constant terms are stored, so that the field is a translation."""
        return not any(self.polynomial.degrees)


def values(polynomial: Polynomial, points: Tensor, lead: int, *, each: bool) -> Tensor:
    """Values of polynomials ``(*batch, ...)`` at points that are common, or of one batch member each."""
    if each:
        inner = polynomial.batch[lead:]
        shape = points.shape[lead:]
        wide = points.reshape(*points.shape[:lead], *(1,) * len(inner), *shape)
        points = wide.expand(*points.shape[:lead], *inner, *shape)
    return polynomial.at(points.to(torch.float64), each=each)


def certified(p: Polynomial, source: str) -> FieldNorms:
    """Norms of the vector-valued polynomial with batch ``(*batch, d)``."""
    entries = supremum(p.gradient())
    return FieldNorms(supremum(p, vector=True), Enclosure(*(v.amax((-2, -1)) for v in entries)), supremum(p), source)


def bernstein(p: Polynomial, norms: FieldNorms, *, seam: bool = False) -> Smoothness:
    """Bounds of the derivatives by Bernstein's inequality; see the head of this file."""
    rate = 2 * math.pi * p.occupied().amax(-1) * (1 + ROUNDING)
    size = norms.sup.upper
    slope = torch.minimum(rate * size, p.ndim * norms.jacobian.upper)
    return Smoothness(size, slope, rate * slope, rate**2 * slope, seam)


def with_norms(field: Field, norms: FieldNorms) -> Field:
    """The field, with norms that are known in closed form."""
    field.__dict__["_norms"] = norms
    return field


def translation(vector: Tensor | Sequence[float], extent: Sequence[float]) -> TrigonometricField:
    """Constant fields: translations by `vector` ``(*batch, d)``, in the unit of position.

    Parameters
    ----------
    vector : (*batch, d)
        Displacement, in the unit of position.
    extent : d numbers
        Periods of the torus.

    Returns
    -------
    TrigonometricField
        With the batch of `vector`.
    """
    extent = periods("translation", extent)
    d = len(extent)
    t = numbers("translation(vector=...)", vector, (d,))
    field = TrigonometricField(Polynomial(t.to(torch.complex128).reshape(*t.shape, *(1,) * d), extent))
    size = t.detach()
    length = torch.linalg.vector_norm(size, dim=-1)
    norms = FieldNorms(
        exact(length), Enclosure(torch.zeros_like(length), torch.zeros_like(length)), exact(size.abs()), "constant"
    )
    return with_norms(field, norms)


def sinusoid(
    wavevector: Tensor | Sequence[int], amplitude: Tensor | Sequence[float], phase: Any, extent: Sequence[float]
) -> TrigonometricField:
    r"""Plane waves :math:`\tau(x) = a \sin(2\pi \sum_l k_l x_l / L_l + \varphi)`.

    Their norms are :math:`|a|_2` and :math:`\max_{k,l} 2\pi |k_l| |a_k| / L_l`, exactly (for k = 0 the field is the
    constant :math:`a \sin\varphi`).

    Parameters
    ----------
    wavevector : (d,) or (*batch, d) whole numbers
        k, in periods per extent.
    amplitude : (*batch, d)
        a, in the unit of position.
    phase : number or (*batch,)
        In radians.
    extent : d numbers
        Periods of the torus, in the unit of position.

    Returns
    -------
    TrigonometricField
        With the batch of the arguments.

    Raises
    ------
    ValueError
        If the wavevector is not of whole numbers, or shapes do not fit.
    """
    extent = periods("sinusoid", extent)
    d = len(extent)
    a = numbers("sinusoid(amplitude=...)", amplitude, (d,))
    k = torch.as_tensor(wavevector, device=a.device)
    if k.ndim < 1 or k.shape[-1] != d or k.is_complex() or bool((k != k.round()).any()):
        raise ValueError(f"`sinusoid(wavevector=...)`: got {wavevector}, expected {d} whole numbers.")
    phi = torch.as_tensor(phase, dtype=torch.float64, device=a.device)[..., None]
    return plane_wave(k.to(torch.int64), a * phi.cos(), a * phi.sin(), extent)


def plane_wave(
    k: Tensor, sine: Tensor, cosine: Tensor, extent: Sequence[float], degrees: Sequence[int] | None = None
) -> TrigonometricField:
    r"""Fields :math:`a \sin\theta + b \cos\theta`, :math:`\theta = 2\pi k\cdot x/L`, with their norms in closed form.

    k ``(*batch, d)`` of whole numbers, a = `sine` and b = `cosine` ``(*batch, d)``. The curve is an ellipse: its
    longest half axis is the largest singular value of the matrix (a, b), and component i has amplitude
    :math:`(a_i^2 + b_i^2)^{1/2}`. With `degrees` for the stored box, nothing is read on the host.
    """
    d = k.shape[-1]
    batch = torch.broadcast_shapes(k.shape[:-1], sine.shape[:-1], cosine.shape[:-1])
    k, sine, cosine = (v.expand(*batch, d) for v in (k, sine, cosine))
    if degrees is None:
        degrees = [int(n) for n in k.abs().reshape(-1, d).amax(0)] if k.numel() else [0] * d
    half = 0.5 * torch.complex(cosine, -sine).reshape(*batch, d, *(1,) * d)
    coefficients = half * _mode(k, degrees).unsqueeze(-d - 1) + half.conj() * _mode(-k, degrees).unsqueeze(-d - 1)
    norms = _wave_norms(k, sine.detach(), cosine.detach(), extent)
    return with_norms(TrigonometricField(Polynomial(coefficients, tuple(extent))), norms)


def _mode(k: Tensor, degrees: Sequence[int]) -> Tensor:
    """One at the place of the frequency k, zero elsewhere, ``(*batch, *box)``."""
    d, batch = k.shape[-1], k.shape[:-1]
    mode = torch.ones((*batch, *(1,) * d), dtype=torch.float64, device=k.device)
    for axis, M in enumerate(degrees):
        places = torch.arange(-M, M + 1, device=k.device)
        here = (k[..., axis, None] == places).to(torch.float64)
        mode = mode * here.reshape(*batch, *(1,) * axis, 2 * M + 1, *(1,) * (d - axis - 1))
    return mode


def _wave_norms(k: Tensor, a: Tensor, b: Tensor, extent: Sequence[float]) -> FieldNorms:
    # At k = 0 only the cosine is left.
    a = torch.where((k == 0).all(-1, keepdim=True), torch.zeros_like(a), a)
    components = torch.hypot(a, b)
    square, cross = components.square().sum(-1), (a * b).sum(-1)
    difference = torch.hypot(a.square().sum(-1) - b.square().sum(-1), 2 * cross)
    rates = 2 * math.pi * k.abs().to(torch.float64) / torch.tensor(extent, dtype=torch.float64, device=k.device)
    return FieldNorms(
        exact((0.5 * (square + difference)).sqrt()),
        exact(rates.amax(-1) * components.amax(-1)),
        exact(components),
        "closed form of a plane wave",
    )
