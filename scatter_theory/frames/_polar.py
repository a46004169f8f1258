r"""One engine for directional frames: radial bands times angular windows.

.. math:: |\hat g_{k,l}(\xi)|^2 = \bigl(H_{k+1}^2 - H_k^2\bigr)(\xi) \; V_{k,l}(\xi), \qquad \sum_l V_{k,l} = 1,

where the squared low-passes :math:`H_k^2` rise to one and the angular shares :math:`V_{k,l}` depend on the direction of
:math:`\xi` only. The angular shares sum to one within each band and the bands telescope, hence A = B = 1 on every
grid. The share of the opposite direction, :math:`V(-\xi)`, belongs to the family too: conjugate pairs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from scatter_theory.frames._bank import Bank
from scatter_theory.frames._base import Frame, check_sided, resolve_sided
from scatter_theory.frames._profiles import Frequencies, Profile, assemble, members_from_profiles
from scatter_theory.frames._scale import check_scale, resolve_scale, top_frequency
from scatter_theory.frames._steps import bump, check_step, dyadic_cuts, lowpass, telescope
from scatter_theory.frames._wavelets import check_overlap
from scatter_theory.grid import Grid

#: Radial part, squared: ``(frequencies, cuts, step) -> low-pass and bands``, one more than there are cuts.
Radial = Callable[[Frequencies, list[tuple[float, float]], str], list[Tensor]]


def euclidean(xi: Frequencies, cuts: list[tuple[float, float]], step: str) -> list[Tensor]:
    """Round bands: functions of the Euclidean norm."""
    return telescope(xi.radius, cuts, step)


def max_norm(xi: Frequencies, cuts: list[tuple[float, float]], step: str) -> list[Tensor]:
    """Square bands: functions of the largest coordinate."""
    return telescope(xi.max_norm, cuts, step)


def separable(xi: Frequencies, cuts: list[tuple[float, float]], step: str) -> list[Tensor]:
    r"""Square bands, smooth across the diagonals: differences of products of one-dimensional low-passes.

    For two axes :math:`h_1 h_2 - l_1 l_2 = (h_1 - l_1) h_2 + l_1 (h_2 - l_2)`, a sum of products without cancellation.
    """
    lows = [lowpass(xi.xi.abs(), *cut, step) for cut in cuts]
    lows.append(torch.ones_like(lows[0]))
    parts = [lows[0].prod(0)]
    for band, low, high in zip(telescope(xi.xi.abs(), cuts, step)[1:], lows[:-1], lows[1:], strict=True):
        parts.append(band[0] * high[1] + low[0] * band[1])
    return parts


class Angular(ABC):
    """Angular part: shares ``V_l`` of L directions, l and ``l + L/2`` being opposite."""

    @abstractmethod
    def share(self, xi: Frequencies, L: int, l: int) -> Tensor:
        """``V_l`` at the frequencies, for ``l < L/2``."""

    @abstractmethod
    def direction(self, L: int, l: int) -> tuple[float, ...]:
        """Centre of share l at radius one."""


@dataclass(frozen=True)
class Wedges(Angular):
    r"""Windows of equal length on the circle, of which only neighbours overlap: ``d = 2``.

    :math:`V_l = \cos^2(\frac\pi2 \nu((|s| - (1 - o)/2)/o))` with s the distance to l on the circle of length L; o is
    the overlap. With ``slopes`` the circle is that of the slopes (`Frequencies.pseudo_turn`): windows are sheared
    copies of each other within a cone, and the window at a diagonal belongs to both cones.
    """

    step: str
    overlap: float
    slopes: bool = False

    def share(self, xi: Frequencies, L: int, l: int) -> Tensor:
        """``V_l`` at the frequencies."""

        def make() -> list[Tensor]:
            s = (xi.pseudo_turn if self.slopes else xi.turn) * L
            start = torch.floor(s)
            t = s - start
            return [start.long() % L, bump(t, self.step, self.overlap), bump(1.0 - t, self.step, self.overlap)]

        index, after, before = xi.shared(("wedges", L), make)
        return torch.where(index == l, after, 0.0) + torch.where(index == (l - 1) % L, before, 0.0)

    def direction(self, L: int, l: int) -> tuple[float, ...]:
        """Point of the unit circle, or of the unit square for slopes."""
        if not self.slopes:
            return math.cos(2 * math.pi * l / L), math.sin(2 * math.pi * l / L)
        cone, slope = divmod((8.0 * l / L + 1.0) % 8.0, 2.0)
        slope -= 1.0
        return [(1.0, slope), (-slope, 1.0), (-1.0, -slope), (slope, -1.0)][int(cone)]


@dataclass(frozen=True)
class Caps(Angular):
    r"""Softmax of :math:`L \langle \xi/|\xi|, n_l\rangle` over L directions on the sphere: ``d = 3``.

    The directions are a Fibonacci lattice on the half-sphere and its antipodes. At its own direction a share is close
    to one; opposite shares are below ``e^(-2L)`` but not zero.
    """

    def share(self, xi: Frequencies, L: int, l: int) -> Tensor:
        """``V_l`` at the frequencies."""

        def make() -> list[Tensor]:
            normals = torch.tensor([self.direction(L, i) for i in range(L // 2)], dtype=torch.float64)
            along = L * torch.tensordot(normals, xi.direction, dims=1)
            return list(torch.softmax(torch.cat([along, -along]), dim=0)[: L // 2])

        return xi.shared(("caps", L), make)[l]

    def direction(self, L: int, l: int) -> tuple[float, ...]:
        """Point l of the lattice on the unit half-sphere."""
        height = (l + 0.5) / (L // 2)
        angle = math.pi * (3.0 - math.sqrt(5.0)) * l
        ring = math.sqrt(1.0 - height**2)
        return ring * math.cos(angle), ring * math.sin(angle), height


def check_polar(frame: Frame, *, directions: str, multiple: int) -> None:
    """Check the fields that the directional families share; `directions` names the field that counts directions."""
    owner = type(frame).__name__
    values = vars(frame)
    check_scale(owner, values["J"], values["cutoff"])
    check_step(owner, values["step"])
    check_sided(owner, values["sided"])
    check_overlap(owner, values["nyquist_overlap"])
    count, overlap = values[directions], values["overlap"]
    if isinstance(count, bool) or int(count) != count or count < 4 or count % multiple:
        raise ValueError(
            f"`{owner}({directions}=...)`: got {count!r}, expected a whole number of directions on the full circle "
            f"that is a multiple of {multiple} and at least 4: opposite directions are conjugate partners."
        )
    if not 0 < overlap <= 1:
        raise ValueError(f"`{owner}(overlap=...)`: got {overlap!r}, expected a number in (0, 1].")
    alpha = values.get("alpha", 1.0)
    if not 0 <= alpha <= 1:
        raise ValueError(f"`{owner}(alpha=...)`: got {alpha!r}, expected a number in [0, 1].")


def wedges(L0: int, alpha: float, k: int) -> int:
    """Directions of band k, counted from the coarsest: ``L0 2^ceil((1 - alpha) k)``."""
    return L0 * 2 ** math.ceil((1.0 - alpha) * k - 1e-9)


def polar_bank(
    frame: Frame,
    grid: Grid,
    reference: Grid | None,
    sided: str | None,
    radial: Radial,
    angular: Angular,
    directions: Callable[[int], int],
) -> Bank:
    """Bank of a directional frame: ``directions(k)`` angular shares in band k, counted from the coarsest."""
    values = vars(frame)
    step = values["step"]
    J, unit = resolve_scale(values["J"], values["cutoff"], reference or grid)
    top = top_frequency(grid, unit)
    cuts = dyadic_cuts(J, top)

    def power(xi: Frequencies, k: int, l: int) -> Tensor:
        band = xi.shared("bands", lambda: radial(xi, cuts, step))[k]
        return band if k == 0 else band * angular.share(xi, directions(k - 1), l)

    profiles = [Profile("low-pass", partial(power, k=0, l=0), (0.0,) * grid.ndim, paired=False)]
    for k in range(1, len(cuts) + 1):
        L = directions(k - 1)
        radius = 0.5 * (cuts[k - 1][0] + (min(cuts[k][1], top) if k < len(cuts) else top))
        for l in range(L // 2):
            centre = tuple(radius * x for x in angular.direction(L, l))
            label, partner = (f"j={J - k},l={i}" for i in (l, l + L // 2))
            profiles.append(
                Profile(label, partial(power, k=k, l=l), centre, True, scale=-math.log2(radius), partner=partner)
            )
    members = members_from_profiles(profiles, grid, unit, values["nyquist_overlap"])
    kind = resolve_sided(values["sided"], sided)
    return assemble(grid, unit, members[0].amplitude, members[1:], kind, repr(frame))
