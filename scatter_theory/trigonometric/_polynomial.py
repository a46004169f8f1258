"""A batch of trigonometric polynomials: coefficients, and everything that follows from them exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from scatter_theory.grid import Grid, safe_sqrt
from scatter_theory.trigonometric._nonuniform import Method, evaluate


@dataclass(frozen=True, eq=False)
class Polynomial:
    r"""Functions :math:`p(x) = \sum_k c_k e^{2\pi i \sum_i k_i x_i / L_i}` on a torus.

    Parameters
    ----------
    coefficients : (*batch, 2 M_1 + 1, ..., 2 M_d + 1) complex tensor
        Frequencies k = -M..M in ascending order along every axis.
    extent : tuple of d numbers
        Periods ``L_i``, in the unit of position.
    real : bool
        Whether the coefficients are Hermitian; values are then returned as real tensors.

    Raises
    ------
    ValueError
        If the coefficients are not complex, or an axis has an even length.
    """

    coefficients: Tensor
    extent: tuple[float, ...]
    real: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple(float(L) for L in self.extent))
        if not self.coefficients.is_complex() or self.coefficients.ndim < self.ndim:
            raise ValueError(
                f"`Polynomial(coefficients=...)`: got {self.coefficients.dtype} of shape "
                f"{tuple(self.coefficients.shape)}, expected a complex tensor with {self.ndim} frequency axes."
            )
        if any(n % 2 == 0 for n in self.box):
            raise ValueError(f"`Polynomial(coefficients=...)`: lengths {self.box}, expected odd ones, for k = -M..M.")

    @classmethod
    def interpolating(cls, values: Tensor, grid: Grid) -> Polynomial:
        r"""The trigonometric interpolant of samples ``(*batch, *grid.shape)``.

        At the Nyquist bin of an even axis the coefficient is split into equal halves for k = -N/2 and N/2: real samples
        give a real polynomial, and the map is linear. Its norm is that of the samples if the Nyquist bins are empty.
        """
        shifted = torch.fft.fftshift(grid.fft(values) / grid.size, grid.axes)
        for axis, n in zip(grid.axes, grid.shape, strict=True):
            if n % 2 == 0:
                half = 0.5 * shifted.narrow(axis, 0, 1)
                shifted = torch.cat([half, shifted.narrow(axis, 1, n - 1), half], axis)
        return cls(shifted, grid.extent, not values.is_complex())

    @property
    def ndim(self) -> int:
        """Number d of axes."""
        return len(self.extent)

    @property
    def axes(self) -> tuple[int, ...]:
        """The trailing axes of the coefficients."""
        return tuple(range(-self.ndim, 0))

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.coefficients.shape[: self.coefficients.ndim - self.ndim])

    @property
    def box(self) -> tuple[int, ...]:
        """Lengths ``2 M_i + 1``."""
        return tuple(self.coefficients.shape[self.coefficients.ndim - self.ndim :])

    @property
    def degrees(self) -> tuple[int, ...]:
        """Largest degrees ``M_i``."""
        return tuple(n // 2 for n in self.box)

    @cached_property
    def frequencies(self) -> Tensor:
        """Frequencies ``k_i / L_i`` in cycles per unit, ``(d, *box)``."""
        axes = [
            torch.arange(-M, M + 1, dtype=torch.float64, device=self.coefficients.device) / L
            for M, L in zip(self.degrees, self.extent, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    @cached_property
    def radius(self) -> Tensor:
        """Euclidean length of the frequencies, ``(*box)``."""
        return torch.linalg.vector_norm(self.frequencies, dim=0)

    def at(self, points: Tensor, *, each: bool = False, method: Method = "auto") -> Tensor:
        """Values at points ``(d, *shape)``, or ``(*batch, d, *shape)`` with ``each=True``; ``(*batch, *shape)``."""
        values = evaluate(self.coefficients, self.extent, points, each=each, method=method)
        return values.real if self.real else values

    def on(self, grid: Grid) -> Tensor:
        """Values on a grid of the same extent, ``(*batch, *grid.shape)``; exact also on grids that are too coarse."""
        grid.check_extent(self.extent, "Polynomial.on", "function")
        spectrum = self.coefficients
        for axis, n, M in zip(grid.axes, grid.shape, self.degrees, strict=True):
            index = torch.arange(-M, M + 1, device=spectrum.device) % n
            shape = list(spectrum.shape)
            shape[axis] = n
            spectrum = spectrum.new_zeros(shape).index_add(spectrum.ndim + axis, index, spectrum)
        values = grid.ifft(spectrum) * grid.size
        return values.real if self.real else values

    def derivative(self, axis: int) -> Polynomial:
        """Partial derivative, per unit."""
        return Polynomial(2j * math.pi * self.frequencies[axis] * self.coefficients, self.extent, self.real)

    def gradient(self) -> Polynomial:
        """All partial derivatives, per unit, batch ``(*batch, d)`` with the axis last."""
        waves = 2j * math.pi * self.frequencies.to(self.coefficients.dtype)
        return Polynomial(self.coefficients.unsqueeze(-self.ndim - 1) * waves, self.extent, self.real)

    def norm(self, s: float = 0.0) -> Tensor:
        r"""Homogeneous Sobolev norm :math:`\| (2\pi|\xi|)^s \hat p \|_2`, ``(*batch,)``.

        s = 0: the norm over one period; s = 1: :math:`\|\nabla p\|_2`. The square root has gradient 0 at 0.
        """
        power = self.coefficients.abs() ** 2
        if s:
            power = power * ((2 * math.pi * self.radius) ** (2 * s)).to(power.dtype)
        return safe_sqrt(math.prod(self.extent) * power.sum(self.axes))

    def occupied(self) -> Tensor:
        """Euclidean band limit: the largest length of k / L with a coefficient that is not 0, ``(*batch,)``."""
        return (self.radius * (self.coefficients.detach() != 0)).amax(self.axes)

    def occupied_per_axis(self) -> Tensor:
        """Band limits per axis, ``(*batch, d)``."""
        used = self.coefficients.detach() != 0
        return torch.stack([(xi.abs() * used).amax(self.axes) for xi in self.frequencies], -1)

    def lowpass(self, radius: float) -> Polynomial:
        """The part with frequencies of length at most `radius`, in cycles per unit; the box shrinks to it."""
        degrees = [min(M, math.floor(radius * L + 1e-9)) for M, L in zip(self.degrees, self.extent, strict=True)]
        kept = self.coefficients * (self.radius <= radius * (1 + 1e-12))
        for axis, M, m in zip(self.axes, self.degrees, degrees, strict=True):
            kept = kept.narrow(axis, M - m, 2 * m + 1)
        return Polynomial(kept, self.extent, self.real)

    def scaled(self, factor: Tensor | float) -> Polynomial:
        """Every polynomial times a number, ``(*batch,)`` or one for all."""
        if isinstance(factor, Tensor):
            factor = factor.reshape(*factor.shape, *(1,) * self.ndim)
        return Polynomial(self.coefficients * factor, self.extent, self.real)

    def select(self, index: Sequence[int] | Tensor | int) -> Polynomial:
        """Part of the batch along its first axis."""
        return Polynomial(self.coefficients[index], self.extent, self.real)
