r"""From squared profiles to a bank: Nyquist handling, conjugate pairs, half and real banks.

A family is written as squared magnitudes :math:`p_\lambda(\xi) \ge 0` on all of :math:`\mathbb R^d` that sum to one. On a
grid of rate P (frequencies mod P) each becomes

.. math:: p'_\lambda(\xi) = \sum_{m \in \{-1,0,1\}^d} \prod_i q(\xi_i / P_i + m_i)\; p_\lambda(\xi + m P),

with :math:`\sum_m q(t + m) = 1`, hence the sum stays one. With overlap 0, q is 1 inside (-1/2, 1/2) and 1/2 at the ends:
the power at a Nyquist line is the mean over the sign representatives, which makes conjugate pairs exact. A positive
overlap blends smoothly across the Nyquist frequency.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from scatter_theory.frames._base import Atom, Bank
from scatter_theory.frames._steps import fall
from scatter_theory.grid import Grid

#: Powers below this are rounding of a true zero (cos^2(pi/2) = 3.7e-33) and are cleared.
CLEAR = 1e-28


class Frequencies:
    """Frequencies ``xi`` of shape ``(d, ...)`` in cycles per reference sample, with shared derived coordinates."""

    def __init__(self, xi: Tensor) -> None:
        self.xi = xi
        self.memo: dict[object, list[Tensor]] = {}

    @cached_property
    def radius(self) -> Tensor:
        """Euclidean norm."""
        return torch.linalg.vector_norm(self.xi, dim=0)

    @cached_property
    def max_norm(self) -> Tensor:
        """Largest coordinate in magnitude."""
        return self.xi.abs().amax(0)

    @cached_property
    def turn(self) -> Tensor:
        """Angle / 2 pi in [-1/2, 1/2], d = 2."""
        return torch.atan2(self.xi[1], self.xi[0]) / (2 * math.pi)

    @cached_property
    def pseudo_turn(self) -> Tensor:
        """Piecewise linear angle in slopes, as a share of the circle, d = 2; 0 at the origin."""
        x, y = self.xi[0], self.xi[1]
        horizontal = y.abs() <= x.abs()
        slope_h = torch.where(horizontal, y, torch.zeros_like(y)) / torch.where(horizontal & (x != 0), x, torch.ones_like(x))
        slope_v = torch.where(horizontal, torch.zeros_like(x), x) / torch.where(horizontal, torch.ones_like(y), y)
        octant = torch.where(horizontal, torch.where(x >= 0, slope_h, 4 + slope_h), torch.where(y > 0, 2 - slope_v, 6 - slope_v))
        return octant / 8

    def shared(self, key: object, make: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Result of `make`, computed once per key."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]


@dataclass(frozen=True)
class Profile:
    """One squared profile of a family.

    Parameters
    ----------
    label : str
        Name of the atom (the partner's name gets a ``-``).
    power : callable
        ``Frequencies -> tensor``, non-negative.
    centre : tuple of float
        Centre frequency in cycles per reference sample.
    paired : bool
        Whether the mirror image ``p(-xi)`` is another atom of the family (the conjugate partner). Otherwise p is even.
    sign : callable, optional
        ``Frequencies -> tensor`` of signs of a real-valued amplitude, for real atoms.
    odd : bool
        Whether the real atom is odd: its spectrum gets the factor ``-i`` times the sign.
    """

    label: str
    power: Callable[[Frequencies], Tensor]
    centre: tuple[float, ...]
    paired: bool
    sign: Callable[[Frequencies], Tensor] | None = None
    odd: bool = False


@dataclass(frozen=True)
class Member:
    """A built atom before the sided choice: amplitude of the first partner on the grid (real or complex)."""

    label: str
    amplitude: Tensor
    centre: tuple[float, ...]
    paired: bool
    phase: Tensor | None = None
    scale: float | None = None


def _weights(n: int, overlap: float, device: torch.device | None) -> list[Tensor]:
    """q(k/n + m) for m = -1, 0, 1."""
    t = torch.fft.fftfreq(n, dtype=torch.float64, device=device)
    result = []
    for m in (-1, 0, 1):
        s = (t + m).abs()
        if overlap > 0:
            result.append(fall((s - (0.5 - overlap)) / (2 * overlap), "meyer"))
        else:
            result.append((s < 0.5).double() + 0.5 * (s == 0.5).double())
    return result


def nyquist_blend(
    evaluate: Callable[[Frequencies], Sequence[Tensor]], grid: Grid, unit: Sequence[float], overlap: float
) -> list[Tensor]:
    """Values of `evaluate` on the grid, blended over the sign representatives; each ``grid.shape``, float64."""
    rates = [u / h for u, h in zip(unit, grid.spacing, strict=True)]
    weights = [_weights(n, overlap, None) for n in grid.shape]
    total: list[Tensor] = []
    for m in itertools.product((0, -1, 1), repeat=grid.ndim):
        rows = [torch.nonzero(w[mi + 1]).flatten() for w, mi in zip(weights, m, strict=True)]
        if any(len(r) == 0 for r in rows):
            continue
        axes = [
            (torch.fft.fftfreq(n, dtype=torch.float64)[r] + mi) * p
            for n, r, mi, p in zip(grid.shape, rows, m, rates, strict=True)
        ]
        xi = Frequencies(torch.stack(torch.meshgrid(*axes, indexing="ij")))
        share = torch.ones((1,) * grid.ndim, dtype=torch.float64)
        for axis, (w, mi, r) in enumerate(zip(weights, m, rows, strict=True)):
            share = share * w[mi + 1][r].reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
        index = torch.meshgrid(*rows, indexing="ij")
        values = evaluate(xi)
        if not total:
            total = [torch.zeros(grid.shape, dtype=torch.float64) for _ in values]
        for target, value in zip(total, values, strict=True):
            target[index] += share * value
    return total


def plain_frequencies(grid: Grid, unit: Sequence[float]) -> Frequencies:
    """The grid's DFT frequencies in cycles per reference sample."""
    scale = torch.tensor(tuple(unit), dtype=torch.float64).reshape(-1, *(1,) * grid.ndim)
    return Frequencies(grid.frequencies() * scale)


def interior(grid: Grid, overlap: float) -> Tensor:
    """Mask of the frequencies with a single sign representative, ``grid.shape``."""
    mask = torch.ones(grid.shape, dtype=torch.bool)
    for axis, n in enumerate(grid.shape):
        inside = _weights(n, overlap, None)[1] == 1
        mask = mask & inside.reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
    return mask


def members_from_profiles(
    profiles: Sequence[Profile], grid: Grid, unit: Sequence[float], overlap: float
) -> list[Member]:
    """Evaluate profiles on the grid: amplitudes ``sqrt(p')``, unpaired ones exactly even."""
    powers = nyquist_blend(lambda xi: [p.power(xi) for p in profiles], grid, unit, overlap)
    members = []
    plain = plain_frequencies(grid, unit)
    inside = interior(grid, overlap)
    for profile, power in zip(profiles, powers, strict=True):
        power = torch.where(power < CLEAR, torch.zeros_like(power), power)
        if not profile.paired:
            power = 0.5 * (power + grid.mirror(power))
        phase = None
        if profile.sign is not None:
            sign = profile.sign(plain)
            phase = torch.where(inside, -1j * sign if profile.odd else sign.to(torch.complex128), 1.0 + 0.0j)
        members.append(Member(profile.label, power.sqrt(), profile.centre, profile.paired, phase))
    return members


def assemble(
    grid: Grid, unit: Sequence[float], output: Tensor, members: Iterable[Member], sided: str, description: str
) -> Bank:
    """Bank from built members: all atoms (``"both"``), one of each pair (``"half"``), or merged pairs (``"real"``)."""
    atoms: list[Atom] = []
    spectra: list[Tensor] = []

    def add(label: str, spectrum: Tensor, member: Member, centre: Sequence[float], real: bool, weight: float) -> None:
        radius = math.hypot(*member.centre)
        scale = member.scale if member.scale is not None else (-math.log2(radius) if radius else math.inf)
        angle = math.atan2(centre[1], centre[0]) if len(centre) == 2 and radius else None
        physical = tuple(c / u for c, u in zip(centre, unit, strict=True))
        atoms.append(Atom(label, scale, physical, angle, real, weight))
        spectra.append(spectrum)

    for member in members:
        if not member.paired:
            spectrum = member.amplitude if member.phase is None else member.amplitude * member.phase
            add(member.label, spectrum, member, member.centre, True, 1.0)
            continue
        mirrored = grid.mirror(member.amplitude)
        mirrored = mirrored.conj() if mirrored.is_complex() else mirrored
        if sided == "real":
            spectrum = (member.amplitude.abs() ** 2 + mirrored.abs() ** 2).sqrt()
            if member.phase is not None:
                spectrum = spectrum * member.phase
            add(member.label, spectrum, member, member.centre, True, 1.0)
        elif sided == "half":
            add(member.label, math.sqrt(2.0) * member.amplitude, member, member.centre, False, math.sqrt(2.0))
        else:
            add(member.label, member.amplitude, member, member.centre, False, 1.0)
            add(member.label + "-", mirrored, member, tuple(-c for c in member.centre), False, 1.0)
    dtype = torch.complex128 if any(s.is_complex() for s in spectra) else torch.float64
    stacked = torch.stack([s.to(dtype) for s in spectra]) if spectra else torch.zeros((0, *grid.shape), dtype=dtype)
    kind = "real" if all(a.real for a in atoms) else ("half" if sided == "half" else "full")
    return Bank(grid, tuple(atoms), stacked, output, kind, description)
