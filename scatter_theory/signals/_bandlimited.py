"""Band-limited signals: trigonometric polynomials, and the interpolants of arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.signals._base import Certificate, Index, Signal, largest
from scatter_theory.trigonometric import Polynomial, supremum

#: Shares of the energy (without the mean) for which `Interpolant` tells the radius.
SHARES = (0.9, 0.99, 0.999)


@dataclass(frozen=True, eq=False, repr=False)
class BandLimitedSignal(Signal):
    r"""Trigonometric polynomials: band-limited by construction, with exact norms.

    Parameters
    ----------
    polynomial : Polynomial
        Coefficients ``(*batch, 2 M_1 + 1, ..., 2 M_d + 1)``, real or complex values.
    """

    polynomial: Polynomial

    @property
    def extent(self) -> tuple[float, ...]:
        """Periods ``L_i``."""
        return self.polynomial.extent

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return self.polynomial.batch

    @property
    def real(self) -> bool:
        """Whether the values are real."""
        return self.polynomial.real

    @property
    def device(self) -> torch.device:
        """Where the coefficients lie."""
        return self.polynomial.coefficients.device

    @cached_property
    def radius(self) -> Tensor:
        """Euclidean band limit R in cycles per unit, ``(*batch,)``."""
        return self.polynomial.occupied()

    def norm(self, s: float = 0.0) -> Tensor:
        r"""Exact norm :math:`\|(2\pi|\xi|)^s \hat f\|_2` over one period, ``(*batch,)``; s = 0: the norm of f."""
        return self.polynomial.norm(s)

    def supremum(self) -> Tensor:
        """Certified upper value of ``sup |f|``, ``(*batch,)``."""
        return supremum(self.polynomial).upper

    def lipschitz(self) -> Tensor:
        r"""Certified upper value of :math:`\sup|\nabla f|`, per unit, ``(*batch,)``.

        For real f this encloses the Lipschitz constant itself; for complex f the length of the complex gradient is
        taken, which is at most :math:`\sqrt 2` times as large.
        """
        return supremum(self.polynomial.gradient(), vector=True).upper

    @property
    def certificate(self) -> Certificate:
        """Band limit and norm."""
        return (
            ("band limit", largest(self.radius, "largest frequency with a coefficient that is not 0", "analytic")),
            ("norm", largest(self.norm(), "Parseval", "analytic")),
        )

    def _values(self, points: Tensor) -> Tensor:
        p = self.polynomial
        flat = Polynomial(p.coefficients.reshape(math.prod(p.batch), *p.box), p.extent, p.real)
        return flat.at(points[0]) if points.shape[0] == 1 else flat.at(points, each=True)

    def on(self, grid: Grid) -> Tensor:
        """Values at the samples of a grid of the same extent, by FFT; exact on every grid."""
        return self.polynomial.on(grid)

    def select(self, index: Index) -> BandLimitedSignal:
        """Part of the batch along its first axis."""
        return BandLimitedSignal(self.polynomial.select(index))


class Interpolant(BandLimitedSignal):
    r"""The trigonometric interpolant of an array, as a band-limited signal.

    The Nyquist bins of even axes are dropped, so that shifts and derivatives are exact and real arrays stay real; the
    signal then passes through the samples of what is left. With `radius` frequencies above it are dropped as well.

    Parameters
    ----------
    values : (*batch, *grid.shape) tensor
        Real or complex samples; computed in float64.
    grid : Grid
    radius : float, optional
        Largest frequency kept, in cycles per unit.

    Attributes
    ----------
    dropped : (*batch,) tensor
        Share of the energy (without the mean) that was dropped.

    Raises
    ------
    ValueError
        If the values do not fit the grid, are not finite, or `radius` is not a positive number.
    """

    dropped: Tensor

    def __init__(self, values: Tensor, grid: Grid, *, radius: float | None = None) -> None:
        if values.ndim < grid.ndim or tuple(values.shape[values.ndim - grid.ndim :]) != grid.shape:
            raise ValueError(
                f"`Interpolant(values=...)`: got shape {tuple(values.shape)}, expected (*batch, {grid.shape})."
            )
        if values.device.type == "cpu" and not torch.isfinite(values).all():
            raise ValueError("`Interpolant(values=...)`: some values are NaN or infinite. Remove them first.")
        if radius is not None and not (math.isfinite(radius) and radius > 0):
            raise ValueError(f"`Interpolant(radius=...)`: got {radius}, expected a positive frequency.")
        values = values.to(torch.complex128 if values.is_complex() else torch.float64)
        whole = Polynomial.interpolating(values, grid)
        inner = whole.coefficients
        for axis, n in zip(grid.axes, grid.shape, strict=True):
            if n % 2 == 0:
                inner = inner.narrow(axis, 1, n - 1)
        kept = Polynomial(inner, grid.extent, whole.real)
        if radius is not None:
            kept = kept.lowpass(radius)
        before, after = (_energies(p.coefficients, p.ndim).sum(-1) for p in (_split_back(whole, grid), kept))
        share = torch.where(before > 0, 1 - after / before.clamp_min(1e-300), torch.zeros_like(before))
        object.__setattr__(self, "polynomial", kept)
        object.__setattr__(self, "dropped", share.detach().clamp_min(0))

    @cached_property
    def occupied(self) -> Mapping[float, Tensor]:
        """Radius (cycles per unit) that holds 90, 99 and 99.9 % of the energy without the mean, each ``(*batch,)``."""
        radius, order = self.polynomial.radius.flatten().sort()
        energy = _energies(self.polynomial.coefficients.detach(), self.ndim)[..., order].cumsum(-1)
        enough = {share: (energy >= share * energy[..., -1:] * (1 - 1e-12)).to(torch.uint8) for share in SHARES}
        return MappingProxyType({share: radius[reached.argmax(-1)] for share, reached in enough.items()})

    @property
    def certificate(self) -> Certificate:
        """Band limit, norm, the dropped share of the energy, and the occupied radii."""
        radii = tuple(
            (f"radius of {share:.1%} of the energy", largest(radius, "sum over frequencies, mean left out", "analytic"))
            for share, radius in self.occupied.items()
        )
        dropped = largest(self.dropped, "Nyquist bins and frequencies above `radius`, mean left out", "analytic")
        return (*super().certificate, ("dropped share of the energy", dropped), *radii)

    def select(self, index: Index) -> Interpolant:
        """Part of the batch along its first axis."""
        part = object.__new__(Interpolant)
        object.__setattr__(part, "polynomial", self.polynomial.select(index))
        object.__setattr__(part, "dropped", self.dropped[index])
        return part


def _energies(coefficients: Tensor, d: int) -> Tensor:
    """Energy of every frequency but 0, ``(*batch, K)``."""
    power = (coefficients.abs() ** 2).flatten(-d)
    power = power.clone()
    power[..., power.shape[-1] // 2] = 0
    return power


def _split_back(p: Polynomial, grid: Grid) -> Polynomial:
    """The interpolant with the energy that the samples have at the Nyquist bins (both halves as one)."""
    c = p.coefficients
    for axis, n in zip(grid.axes, grid.shape, strict=True):
        if n % 2 == 0:
            first = c.narrow(axis, 0, 1) + c.narrow(axis, n, 1)
            c = torch.cat([first, c.narrow(axis, 1, n - 1), torch.zeros_like(first)], axis)
    return Polynomial(c, p.extent, p.real)
