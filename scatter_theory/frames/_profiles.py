r"""From squared profiles to a bank: Nyquist handling, conjugate pairs, half and real banks.

A family is written as squared magnitudes :math:`p_\lambda(\xi) \ge 0` on all of :math:`\mathbb R^d` that sum to one.
On a grid of rate P (frequencies mod P) each becomes

.. math:: p'_\lambda(\xi) = \sum_{m \in \{-1,0,1\}^d} \prod_i q(\xi_i / P_i + m_i)\; p_\lambda(\xi + m P),

with :math:`\sum_m q(t + m) = 1`, hence the sum stays one. With overlap 0, q is 1 inside (-1/2, 1/2) and 1/2 at the
ends: the power at a Nyquist line is the mean over the sign representatives, which makes conjugate pairs exact. A
positive overlap blends smoothly across the Nyquist frequency.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from scatter_theory.frames._bank import Atom, Bank
from scatter_theory.frames._steps import STEPS, fall
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
    def direction(self) -> Tensor:
        """Unit vector ``xi / |xi|``, ``(d, ...)``; 0 at the origin."""
        return self.xi / torch.where(self.radius > 0, self.radius, 1.0)

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
        """Piecewise linear angle in slopes, as a share of the circle, in [-1/8, 7/8), d = 2; 0 at the origin.

        On the horizontal cones (``|xi_2| <= |xi_1|``) it is the slope ``xi_2 / xi_1``, on the vertical ones
        ``2 - xi_1 / xi_2``, modulo 8 and divided by 8. It is continuous, with continuous derivative across the
        diagonals, and ``-xi`` lies half a turn from ``xi``.
        """
        x, y = self.xi[0], self.xi[1]
        horizontal = y.abs() <= x.abs()
        along = torch.where(horizontal, x, y)
        slope = torch.where(horizontal, y, -x) / torch.where(along != 0, along, 1.0)
        start = torch.where(horizontal, torch.where(x >= 0, 0.0, 4.0), torch.where(y > 0, 2.0, 6.0))
        return (start + slope) / 8

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
        Name of the atom.
    power : callable
        ``Frequencies -> tensor``, non-negative.
    centre : tuple of float
        Centre frequency in cycles per reference sample.
    paired : bool
        Whether the mirror image ``p(-xi)`` is another atom of the family (the conjugate partner). Otherwise p is even.
    phase : callable, optional
        ``(Frequencies, ramps) -> tensor`` of complex numbers of modulus one, for real atoms; see `sign_phase`.
    scale : float, optional
        Octaves below the reference sampling rate. Default: from the centre's distance to the origin.
    oriented : bool
        Whether the centre has a direction: False for isotropic bands, whose centre only tells the radius.
    partner : str
        Name of the partner of a paired atom. Default: the label and a ``-``.
    """

    label: str
    power: Callable[[Frequencies], Tensor]
    centre: tuple[float, ...]
    paired: bool
    phase: Callable[[Frequencies, Tensor], Tensor] | None = None
    scale: float | None = None
    oriented: bool = True
    partner: str = ""


@dataclass(frozen=True)
class Member:
    """A built atom before the sided choice: amplitude of the first partner on the grid (real or complex)."""

    label: str
    amplitude: Tensor
    centre: tuple[float, ...]
    paired: bool
    phase: Tensor | None = None
    scale: float | None = None
    oriented: bool = True
    partner: str = ""


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
    # The first m is 0, where every row takes part: q > 0 at all frequencies of the grid.
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
        values = evaluate(xi)
        if not any(m):
            total = [share * value for value in values]
            continue
        index = torch.meshgrid(*rows, indexing="ij")
        for target, value in zip(total, values, strict=True):
            target[index] += share * value
    return total


def outer(factors: Sequence[Tensor]) -> Tensor:
    """Product of functions of one coordinate each: ``(n_1,), (n_2,), ... -> (n_1, n_2, ...)``."""
    result = factors[0]
    for factor in factors[1:]:
        result = result.unsqueeze(-1) * factor
    return result


def plain_frequencies(grid: Grid, unit: Sequence[float]) -> Frequencies:
    """The grid's DFT frequencies in cycles per reference sample."""
    scale = torch.tensor(tuple(unit), dtype=torch.float64).reshape(-1, *(1,) * grid.ndim)
    return Frequencies(grid.frequencies() * scale)


def nyquist_ramps(grid: Grid, overlap: float) -> Tensor:
    """Per axis, 1 inside and falling to 0 at the Nyquist frequency over `overlap`; ``(d, *grid.shape)``."""
    ramps = []
    for axis, n in enumerate(grid.shape):
        t = torch.fft.fftfreq(n, dtype=torch.float64).abs()
        ramp = 1.0 - STEPS["meyer"](((t - 0.5) / overlap + 1.0).clamp(0.0, 1.0)) if overlap > 0 else (t < 0.5).double()
        ramps.append(ramp.reshape([-1 if a == axis else 1 for a in range(grid.ndim)]).expand(grid.shape))
    return torch.stack(ramps)


def sign_phase(x: Tensor, ramp: Tensor) -> Tensor:
    r"""Phase :math:`-i\,\mathrm{sgn}(x)` of an odd real atom, turned back to 1 where `ramp` falls to 0.

    Where a frequency and its negative share a bin of the Nyquist rows an odd factor cannot be Hermitian; there the
    phase is dropped. The modulus is one throughout, so Littlewood-Paley sums do not change.
    """
    turn = torch.sign(x) * ramp
    cosine = torch.where(turn.abs() == 1, 0.0, torch.cos(0.5 * math.pi * turn))
    return torch.complex(cosine, -torch.sin(0.5 * math.pi * turn))


def members_from_profiles(
    profiles: Sequence[Profile], grid: Grid, unit: Sequence[float], overlap: float
) -> list[Member]:
    """Evaluate profiles on the grid: amplitudes ``sqrt(p')``, unpaired ones exactly even."""
    powers = nyquist_blend(lambda xi: [p.power(xi) for p in profiles], grid, unit, overlap)
    members = []
    plain, ramps = plain_frequencies(grid, unit), nyquist_ramps(grid, overlap)
    for profile, power in zip(profiles, powers, strict=True):
        power = torch.where(power < CLEAR, torch.zeros_like(power), power)
        if not profile.paired:
            power = 0.5 * (power + grid.mirror(power))
        phase = None if profile.phase is None else profile.phase(plain, ramps)
        members.append(
            Member(
                profile.label,
                power.sqrt(),
                profile.centre,
                profile.paired,
                phase,
                profile.scale,
                profile.oriented,
                profile.partner,
            )
        )
    return members


def assemble(
    grid: Grid, unit: Sequence[float], output: Tensor, members: Iterable[Member], sided: str, description: str
) -> Bank:
    """Bank from built members: all atoms (``"both"``), one of each pair (``"half"``), or merged pairs (``"real"``).

    Members that vanish at every frequency of the grid (a wedge between two bins) do not live on it and are left out.
    """
    atoms: list[Atom] = []
    spectra: list[Tensor] = []

    def add(label: str, spectrum: Tensor, member: Member, centre: Sequence[float], real: bool, weight: float) -> None:
        radius = math.hypot(*member.centre)
        scale = member.scale if member.scale is not None else (-math.log2(radius) if radius else math.inf)
        physical = tuple(c / u for c, u in zip(centre, unit, strict=True))
        directed = len(centre) == 2 and radius > 0 and member.oriented
        angle = math.atan2(physical[1], physical[0]) if directed else None
        atoms.append(Atom(label, scale, physical, angle, real, weight))
        spectra.append(spectrum)

    for member in members:
        if not bool(member.amplitude.any()):
            continue
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
            add(member.partner or member.label + "-", mirrored, member, tuple(-c for c in member.centre), False, 1.0)
    dtype = torch.complex128 if any(s.is_complex() for s in spectra) else torch.float64
    stacked = torch.empty((len(spectra), *grid.shape), dtype=dtype)
    for i in reversed(range(len(spectra))):  # Every spectrum is let go once it is copied: two sets never exist.
        stacked[i] = spectra.pop()
    kind = "real" if all(a.real for a in atoms) else ("half" if sided == "half" else "full")
    return Bank(grid, tuple(atoms), stacked, output, kind, description)
