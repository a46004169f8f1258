r"""Trigonometric polynomials with frequencies in a ball, and their coordinates in a weighted norm.

For a weight :math:`w(\xi) > 0` the norm is :math:`\|w \hat f\|_2`. Coordinates are chosen so that it is the Euclidean
length of the coordinates: the unit sphere of the class is the unit sphere of :math:`\mathbb R^P`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.trigonometric import Polynomial


@dataclass(frozen=True)
class Ball:
    r"""Frequencies k / L of length at most `radius` on a torus.

    Parameters
    ----------
    extent : tuple of d numbers
    radius : float
        Cycles per unit.
    power : float
        The weight is :math:`(2\pi|\xi|)^{power}`; if it is not 0, the frequency 0 is left out.
    hermitian : bool
        Whether the functions are real.
    """

    extent: tuple[float, ...]
    radius: float
    power: float = 0.0
    hermitian: bool = True

    @property
    def degrees(self) -> tuple[int, ...]:
        """Largest degrees of the smallest box that holds the ball."""
        return tuple(math.floor(self.radius * L + 1e-9) for L in self.extent)

    @property
    def box(self) -> tuple[int, ...]:
        """Lengths of that box."""
        return tuple(2 * M + 1 for M in self.degrees)

    @property
    def axes(self) -> tuple[int, ...]:
        """The trailing axes of the coefficients."""
        return tuple(range(-len(self.extent), 0))

    def frequencies(self, device: torch.device | None = None) -> Tensor:
        """Frequencies of the box, ``(d, *box)``, in cycles per unit."""
        axes = [
            torch.arange(-M, M + 1, dtype=torch.float64, device=device) / L
            for M, L in zip(self.degrees, self.extent, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def mask(self, device: torch.device | None = None) -> Tensor:
        """Which frequencies of the box are used, ``(*box)``."""
        length = torch.linalg.vector_norm(self.frequencies(device), dim=0)
        inside = length <= self.radius * (1 + 1e-12)
        return inside & (length > 0) if self.power else inside

    @cached_property
    def _positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in the flat box that carry coordinates, and the square root of volume times weight there.

        Numbers of the host: no device has to be asked which frequencies there are.
        """
        axes = [np.arange(-M, M + 1) / L for M, L in zip(self.degrees, self.extent, strict=True)]
        length = np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij"))).ravel()
        inside = length <= self.radius * (1 + 1e-12)
        used = np.flatnonzero(inside & (length > 0) if self.power else inside)
        middle = length.size // 2
        if self.hermitian:
            used = used[used >= middle]
        weight = (2 * math.pi * length[used]) ** self.power * math.sqrt(math.prod(self.extent))
        return used, np.where(used == middle, weight, weight * math.sqrt(2.0)) if self.hermitian else weight

    def _layout(self, device: torch.device | None) -> tuple[Tensor, Tensor]:
        """`_positions` on a device."""
        used, weight = self._positions
        return torch.tensor(used.tolist(), device=device), torch.tensor(
            weight.tolist(), dtype=torch.float64, device=device
        )

    def pack(self, coefficients: Tensor) -> Tensor:
        """Coordinates ``(n, P)`` of coefficients ``(n, *box)``: of the real part of the function if `hermitian`."""
        used, weight = self._layout(coefficients.device)
        flat = coefficients.flatten(1)
        if self.hermitian:
            flat = 0.5 * (flat + flat.flip(1).conj())
        flat = flat[:, used] * weight
        imaginary = flat.imag
        if self.hermitian and not self.power:
            imaginary = imaginary[:, 1:]
        return torch.cat([flat.real, imaginary], 1)

    def unpack(self, coordinates: Tensor) -> Polynomial:
        """The polynomials with the coordinates ``(n, P)``; differentiable."""
        used, weight = self._layout(coordinates.device)
        P = 2 * len(used) - (1 if self.hermitian and not self.power else 0)
        if coordinates.ndim != 2 or coordinates.shape[1] != P:
            raise ValueError(f"`parameters`: got shape {tuple(coordinates.shape)}, expected (n, {P}) for this ball.")
        K, n = math.prod(self.box), coordinates.shape[0]
        real, imaginary = coordinates[:, : len(used)], coordinates[:, len(used) :]
        if self.hermitian and not self.power:
            imaginary = torch.cat([torch.zeros_like(real[:, :1]), imaginary], 1)
        half = torch.complex(real, imaginary) / weight
        flat = half.new_zeros((n, K)).index_copy(1, used, half)
        if self.hermitian:
            rest = int(self._positions[0][0] == K // 2)
            flat = flat.index_copy(1, K - 1 - used[rest:], half[:, rest:].conj())
        return Polynomial(flat.reshape(n, *self.box), self.extent, self.hermitian)

    def unit(self, coordinates: Tensor) -> Tensor:
        """Coordinates of length 1; where all are 0, a tone of the highest frequency of the list."""
        size = coordinates.detach().abs().amax(1, keepdim=True)
        fallback = torch.cat([torch.zeros_like(coordinates[:, 1:]), torch.ones_like(coordinates[:, :1])], 1)
        x = torch.where(size > 0, coordinates / size.clamp_min(torch.finfo(size.dtype).tiny), fallback)
        return x / torch.linalg.vector_norm(x, dim=1, keepdim=True)

    def within(self, p: Polynomial) -> Tensor:
        """Coefficients of polynomials brought to the box of the ball: cut off, or filled with zeros."""
        c = p.lowpass(self.radius).coefficients
        have = [n // 2 for n in c.shape[c.ndim - len(self.box) :]]
        for axis, M, m in zip(self.axes, self.degrees, have, strict=True):
            if M > m:
                shape = list(c.shape)
                shape[axis] = M - m
                c = torch.cat([c.new_zeros(shape), c, c.new_zeros(shape)], axis)
        return c * self.mask(c.device)

    def edge(self, count: int, scale: float = 1.0) -> list[tuple[int, ...]]:
        """Integer frequencies (not 0) near the edge of the ball of radius ``scale * radius``, in many directions."""
        xi = self.frequencies()
        length = torch.linalg.vector_norm(xi, dim=0)
        usable = (length > 0) & (length <= scale * self.radius * (1 + 1e-12))
        if not usable.any():
            return []
        index = usable.nonzero()
        bins = index - torch.tensor(self.degrees)
        xi, length = xi[:, usable], length[usable]
        extreme = (directions(len(self.extent), count, half=self.hermitian) @ xi).argmax(1).tolist()
        order = list(dict.fromkeys(extreme + length.argsort(descending=True, stable=True).tolist()))
        found: list[tuple[int, ...]] = []
        for i in order:
            k = tuple(int(b) for b in bins[i])
            if not (self.hermitian and tuple(-b for b in k) in found):
                found.append(k)
            if len(found) == count:
                break
        return found

    def tones(self, bins: list[tuple[int, ...]]) -> Tensor:
        """Coefficients ``(n, *box)`` of exponentials at integer frequencies."""
        c = torch.zeros((len(bins), *self.box), dtype=torch.complex128)
        for row, k in enumerate(bins):
            c[(row, *(b + M for b, M in zip(k, self.degrees, strict=True)))] = 1.0
        return c


def directions(d: int, count: int, *, half: bool) -> Tensor:
    """Unit vectors ``(m, d)``: axes, diagonals, and `count` spread ones; of one half space if `half`."""
    listed = torch.cartesian_prod(*[torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)] * d).reshape(-1, d)
    listed = listed[listed.abs().sum(1) > 0]
    if d == 2:
        angle = torch.arange(count, dtype=torch.float64) * ((math.pi if half else 2 * math.pi) / max(count, 1)) + 0.1
        listed = torch.cat([listed, torch.stack([angle.cos(), angle.sin()], 1)])
    if d == 3:
        i = torch.arange(count, dtype=torch.float64) + 0.5
        z, angle = 1 - (1 if half else 2) * i / count, math.pi * (3 - math.sqrt(5)) * i
        r = (1 - z * z).sqrt()
        listed = torch.cat([listed, torch.stack([r * angle.cos(), r * angle.sin(), z], 1)])
    order = listed.abs().gt(0).sum(1).argsort(stable=True)
    listed = listed[order]
    return listed / torch.linalg.vector_norm(listed, dim=1, keepdim=True)


def reachable(grid: Grid) -> tuple[float, float]:
    """Smallest radius that holds a frequency other than 0, and the largest that stays below Nyquist on all axes."""
    lowest = min(1 / L for L in grid.extent if L)
    return lowest, min(((n - 1) // 2) / L for n, L in zip(grid.shape, grid.extent, strict=True))
