r"""Fields that are affine near a centre: rotations, scalings and shears of a disc.

.. math:: \tau(x) = A\,y\,b(\rho), \qquad y = x - c \text{ (the nearest image of c)}, \quad \rho = |y|_2,

with b = 1 up to the inner radius and b = 0 from the outer one on. Where b = 1, :math:`x - \tau(x) = c + (I - A) y`.

The norms are maxima of functions of :math:`\rho` alone. With y = rho u, |u| = 1, and s = rho b'(rho),

.. math::
    |\tau| = \rho\,b\,|Au|, \qquad \partial_l \tau_k = A_{kl}\,b + s\,(a_k\cdot u)\,u_l ,

:math:`a_k` being row k of A. Over all directions u, :math:`(a_k\cdot u)\,u_l` takes the values between the extreme
eigenvalues :math:`(A_{kl} \pm |a_k|)/2` of a symmetric matrix of rank 2 (for d = 1, :math:`A_{kl}` only), so that

.. math:: \sup_u |\partial_l\tau_k| = |A_{kl}|\,|b + \tfrac12 s| + |a_k|_2\,\tfrac12 |s| .

The step is the polynomial of degree 7 with three derivatives that vanish at both ends. Functions of rho are sampled
at `SAMPLES` points; between them a function g exceeds the larger neighbour by at most :math:`h^2 \sup|g''| / 8`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from scatter_theory.deform._fields import ROUNDING, Field, FieldNorms, Smoothness, numbers, periods
from scatter_theory.trigonometric import Enclosure

#: Samples of the step; the enclosures of the norms are then about 1e-6 wide.
SAMPLES = 4096
#: Largest moduli of the first three derivatives of a step of width 1: at t = 1/2, at t = (1 - 5^-1/2) / 2, at t = 1/2.
STEP_DERIVATIVES = (35 / 16, 84 / (5 * math.sqrt(5)), 105 / 2)


class Radial(NamedTuple):
    """The profile b and its first derivative at radii."""

    b: Tensor
    slope: Tensor


def profile(rho: Tensor, inner: float, outer: float) -> Radial:
    r"""The smooth step from 1 at `inner` to 0 at `outer`: :math:`1 - 35t^4 + 84t^5 - 70t^6 + 20t^7`."""
    width = outer - inner
    t = ((rho - inner) / width).clamp(0, 1)
    b = 1 - t**4 * (35 + t * (-84 + t * (70 - 20 * t)))
    return Radial(b, -140 * t**3 * (1 - t) ** 3 / width)


@dataclass(frozen=True, eq=False)
class AffineField(Field):
    r"""Fields :math:`A (x - c)\,b(|x - c|)`; b falls smoothly from 1 at `inner` to 0 at `outer`.

    Parameters
    ----------
    matrix : (*batch, d, d) tensor
        A. Inside the inner radius, F_tau takes the value from ``c + (I - A)(x - c)``.
    centre : tuple of d numbers
        c, in the unit of position.
    inner, outer : float
        Radii, ``0 < inner < outer <= L_i / 2``.
    extent : tuple of d numbers
        Periods of the torus, in the unit of position.

    Raises
    ------
    ValueError
        For radii that do not fit in the period, shapes that do not fit, or values that are not finite.
    """

    matrix: Tensor
    centre: tuple[float, ...]
    inner: float
    outer: float
    extent: tuple[float, ...]
    _batched: ClassVar[tuple[str, ...]] = ("matrix",)

    def __post_init__(self) -> None:
        extent = periods("AffineField", self.extent)
        d = len(extent)
        centre = tuple(float(c) for c in self.centre)
        if len(centre) != d or not all(map(math.isfinite, centre)):
            raise ValueError(f"`AffineField(centre=...)`: got {self.centre}, expected {d} finite numbers.")
        if not 0 < self.inner < self.outer <= 0.5 * min(extent) * (1 + 1e-12):
            raise ValueError(
                f"`AffineField(inner={self.inner}, outer={self.outer})`: expected 0 < inner < outer <= "
                f"{0.5 * min(extent):.6g}, half of the shortest period, so that the disc fits in the torus."
            )
        object.__setattr__(self, "extent", extent)
        object.__setattr__(self, "centre", centre)
        object.__setattr__(self, "inner", float(self.inner))
        object.__setattr__(self, "outer", min(float(self.outer), 0.5 * min(extent)))
        object.__setattr__(self, "matrix", numbers("AffineField(matrix=...)", self.matrix, (d, d)))

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.matrix.shape[:-2])

    @property
    def device(self) -> torch.device:
        """Where the matrix is."""
        return self.matrix.device

    def _polar(self, points: Tensor, each: bool) -> tuple[Tensor, Tensor, Radial]:
        """The position y from the centre, ``(d, *shape)`` or ``(*batch, d, *shape)``, rho (at least `inner`), and b."""
        lead = len(self.batch) if each else 0
        tail = (1,) * (points.ndim - lead - 1)
        L = torch.tensor(self.extent, dtype=torch.float64, device=points.device).reshape(-1, *tail)
        c = torch.tensor(self.centre, dtype=torch.float64, device=points.device).reshape(-1, *tail)
        y = points.to(torch.float64) - c
        y = y - L * (y.detach() / L).round()
        # Inside the inner radius the profile is constant; staying away from 0 keeps the root differentiable.
        rho = (y**2).sum(lead).clamp_min(self.inner**2).sqrt()
        return y, rho, profile(rho, self.inner, self.outer)

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Displacements, ``(*batch, d, *shape)``; see `Field.at`."""
        lead = len(self.batch) if each else 0
        y, _, radial = self._polar(points, each)
        return self._times(y * radial.b.unsqueeze(lead), lead, 1)

    def jacobian(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Derivatives, ``(*batch, d, d, *shape)``; see `Field.jacobian`."""
        lead, d = len(self.batch) if each else 0, self.ndim
        y, rho, radial = self._polar(points, each)
        unit = torch.eye(d, dtype=torch.float64, device=y.device).reshape(d, d, *(1,) * (y.ndim - lead - 1))
        outer = y.unsqueeze(lead + 1) * y.unsqueeze(lead)
        b, bent = (v.unsqueeze(lead).unsqueeze(lead) for v in (radial.b, radial.slope / rho))
        return self._times(unit * b + outer * bent, lead, 2)

    def _times(self, value: Tensor, lead: int, inner: int) -> Tensor:
        """A times vectors or matrices whose first axis, after `lead` batch axes, is summed over."""
        tail = value.shape[lead + inner :]
        flat = value.flatten(lead + 1) if value.ndim > lead + 1 else value.unsqueeze(-1)
        product = self.matrix @ flat
        rest = (self.ndim,) * (inner - 1)
        return product.reshape(*self.batch, self.ndim, *rest, *tail)

    def smoothness(self) -> Smoothness:
        r"""Operator norms of the derivatives of :math:`y\,b(|y|)`, times that of A.

        They are at most :math:`\max(|b|, |b + \rho b'|)`, :math:`3|b'| + |\rho b'' - b'|` and
        :math:`3|b'|/\rho + 6|b'' - b'/\rho| + |\rho b''' - 3b'' + 3b'/\rho|`.
        """
        r0, r1 = self.inner, self.outer
        b1, b2, b3 = self._steps
        _, b, step = self._samples()
        stretch = torch.maximum((b + step).abs().max(), b.new_tensor(float(self.ndim > 1)))
        size = torch.linalg.matrix_norm(self.matrix.detach(), ord=2) * (1 + ROUNDING)
        return Smoothness(
            self.norms().sup.upper,
            size * (stretch + self._between(3 * b2 + r1 * b3)),
            size * (4 * b1 + r1 * b2),
            size * (3 * b1 / r0 + 6 * (b2 + b1 / r0) + r1 * b3 + 3 * b2 + 3 * b1 / r0),
        )

    @property
    def _steps(self) -> tuple[float, ...]:
        """Largest moduli of the first three derivatives of b."""
        width = self.outer - self.inner
        return tuple(v / width ** (j + 1) for j, v in enumerate(STEP_DERIVATIVES))

    def _samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Samples of rho, of b and of rho b', between the radii."""
        rho = torch.linspace(self.inner, self.outer, SAMPLES + 1, dtype=torch.float64, device=self.device)
        radial = profile(rho, self.inner, self.outer)
        return rho, radial.b, rho * radial.slope

    def _between(self, second: float) -> float:
        """Most that a function with this bound of its second derivative may rise between the samples."""
        return ((self.outer - self.inner) / SAMPLES) ** 2 / 8 * second

    def _certified(self) -> FieldNorms:
        A, r1 = self.matrix.detach(), self.outer
        b1, b2, b3 = self._steps
        rho, b, step = self._samples()

        reach = (rho * b).max()
        rise = self._between(2 * b1 + r1 * b2)

        def times(size: Tensor) -> Enclosure:
            return Enclosure(size * reach, size * (reach + rise) * (1 + ROUNDING))

        rows = torch.linalg.vector_norm(A, dim=-1)
        if self.ndim == 1:
            profiles, second = ((b + step).abs(), 0 * b), (3 * b2 + r1 * b3, 0.0)
        else:
            profiles = ((b + 0.5 * step).abs(), 0.5 * step.abs())
            second = (2 * b2 + 0.5 * r1 * b3, b2 + 0.5 * r1 * b3)
        entries = self._largest(A.abs(), rows[..., None].expand_as(A), profiles)
        above = self._between(second[0]) * A.abs() + self._between(second[1]) * rows[..., None]
        jacobian = Enclosure(entries.amax((-2, -1)), ((entries + above) * (1 + ROUNDING)).amax((-2, -1)))
        return FieldNorms(
            times(torch.linalg.matrix_norm(A, ord=2)), jacobian, times(rows), "maxima of radial functions"
        )

    @staticmethod
    def _largest(one: Tensor, other: Tensor, profiles: tuple[Tensor, Tensor]) -> Tensor:
        """Largest ``one p + other q`` over the samples, for every entry."""
        pairs = torch.stack([one.flatten(), other.flatten()], -1)
        parts = [(part @ torch.stack(profiles)).amax(-1) for part in pairs.split(256)]
        return torch.cat(parts).reshape(one.shape)

    def _scaled(self, factor: Tensor | float) -> AffineField:
        if isinstance(factor, Tensor):
            factor = factor[..., None, None]
        return AffineField(self.matrix * factor, self.centre, self.inner, self.outer, self.extent)
