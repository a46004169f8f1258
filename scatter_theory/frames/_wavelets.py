"""Band-limited tight wavelets: one-sided pairs in one dimension, radial in several."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank
from scatter_theory.frames._base import Frame, Sided, check_dimension, check_sided, resolve_sided
from scatter_theory.frames._decay import dyadic_constant, radial
from scatter_theory.frames._profiles import Frequencies, Profile, assemble, members_from_profiles
from scatter_theory.frames._scale import check_scale, resolve_scale, top_frequency
from scatter_theory.frames._steps import check_step, dyadic_cuts, q_cuts, telescope
from scatter_theory.grid import Grid


def check_overlap(owner: str, overlap: float) -> None:
    """Raise ValueError unless ``0 <= overlap <= 1/4``."""
    if not 0 <= overlap <= 0.25:
        raise ValueError(f"`{owner}(nyquist_overlap=...)`: got {overlap!r}, expected a number in [0, 0.25].")


@dataclass(frozen=True, repr=False)
class Wavelets(Frame):
    r"""Tight wavelets with compact spectral support (Meyer type), Q per octave.

    .. math:: |\hat\chi|^2 = H_0^2, \qquad |\hat g_j|^2 = H_{j+1}^2 - H_j^2,

    where :math:`H_j^2` falls from 1 to 0 over the j-th cut; the sum telescopes to one, hence A = B = 1 on every grid.
    In one dimension each band splits into a positive- and a negative-frequency atom (a conjugate pair); in several
    dimensions the bands are radial and real.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass: for Q = 1 its half-power frequency is
        ``2^-(J+1)`` cycles per reference sample (0.94 times that with `log`). For larger Q it is flat up to
        ``(2/3)^(1/Q) 2^-(J+1)`` and vanishes from at most twice that frequency on.
    Q : int
        Wavelets per octave; below the octave of the low-pass the bandwidth is constant.
    cutoff : float, optional
        That frequency ``2^-(J+1)`` in cycles per unit, instead of J.
    step : str
        Transition: ``"meyer"``, ``"smooth"`` (C-infinity), ``"linear"`` (Held), ``"sharp"`` (Shannon).
    log : bool
        Transitions linear in log-frequency instead of frequency.
    sided : str
        ``"auto"`` (half bank where the network allows it), ``"half"``, ``"both"`` or ``"real"`` (pairs merged into one
        even real atom).
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency. It removes the
        jump of the finest one-sided atoms there, which are then no longer strictly one-sided.

    Raises
    ------
    ValueError
        For parameters outside their range, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> len(Wavelets(J=4).on(Grid.line(256)))
    8
    """

    J: int | None = None
    Q: int = 1
    cutoff: float | None = None
    step: str = "meyer"
    log: bool = False
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0
    tight = True

    def __post_init__(self) -> None:
        check_scale("Wavelets", self.J, self.cutoff)
        check_step("Wavelets", self.step)
        check_sided("Wavelets", self.sided)
        check_overlap("Wavelets", self.nyquist_overlap)
        if isinstance(self.Q, bool) or int(self.Q) != self.Q or self.Q < 1:
            raise ValueError(f"`Wavelets(Q=...)`: got {self.Q!r}, expected a whole number of wavelets per octave >= 1.")

    @classmethod
    def example(cls, d: int) -> Wavelets:
        """One octave; see `Frame.example`."""
        check_dimension("Wavelets.example", d, cls.dims)
        return cls(J=1)

    def _cuts(self, J: int, top: float) -> list[tuple[float, float]]:
        return dyadic_cuts(J, top) if self.Q == 1 else q_cuts(J, self.Q, top)

    def decay_constant(self, d: int = 1) -> Constant:
        """Certified K of the radial low-pass, the same for every d; see `Frame.decay_constant`."""
        check_dimension("Wavelets.decay_constant", d, self.dims)
        # With a cutoff J is known only on a grid: for Q > 1 the shape of the low-pass settles within log2(2 Q) octaves.
        octaves = [self.J] if self.J is not None else range(1 if self.Q == 1 else math.ceil(math.log2(2 * self.Q)) + 1)
        ends = []
        for J in octaves:
            flat, zero = self._cuts(J, 0.5)[0]
            ends.append(radial((flat * 2**J, zero * 2**J), self.step, self.log))
        enclosure = min(low for low, _ in ends), max(high for _, high in ends)
        return dyadic_constant(enclosure, self.J, self.cutoff, f"radial {self.step} step")

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        J, unit = resolve_scale(self.J, self.cutoff, reference or grid)
        top = top_frequency(grid, unit)
        cuts = self._cuts(J, top)
        finest = len(self._cuts(J, 0.5))
        d = grid.ndim

        def power(xi: Frequencies, k: int) -> Tensor:
            bands = xi.shared("bands", lambda: telescope(xi.radius, cuts, self.step, log=self.log))
            return bands[k] * (xi.xi[0] > 0) if d == 1 and k else bands[k]

        profiles = [Profile("low-pass", partial(power, k=0), (0.0,) * d, paired=False)]
        for k in range(1, len(cuts) + 1):
            low = cuts[k - 1][0]
            high = cuts[k][1] if k < len(cuts) else top
            centre = (0.5 * (low + min(high, top)),) + (0.0,) * (d - 1)
            label = f"j={finest - k}"
            profiles.append(Profile(label, partial(power, k=k), centre, paired=d == 1, oriented=False))
        members = members_from_profiles(profiles, grid, unit, self.nyquist_overlap)
        kind = resolve_sided(self.sided, sided)
        return assemble(grid, unit, members[0].amplitude, members[1:], kind, repr(self))
