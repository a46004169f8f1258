"""Steerable tight frames: rotations of one angular profile, and Riesz transforms of radial wavelets."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank
from scatter_theory.frames._base import Frame, Sided, check_dimension, check_sided, resolve_sided
from scatter_theory.frames._decay import dyadic_constant, radial
from scatter_theory.frames._profiles import Frequencies, Profile, assemble, members_from_profiles, sign_phase
from scatter_theory.frames._scale import check_scale, resolve_scale, top_frequency
from scatter_theory.frames._steps import check_step, dyadic_cuts, telescope
from scatter_theory.frames._wavelets import check_overlap
from scatter_theory.grid import Grid


def _check(frame: Frame) -> None:
    owner, values = type(frame).__name__, vars(frame)
    check_scale(owner, values["J"], values["cutoff"])
    check_step(owner, values["step"])
    check_overlap(owner, values["nyquist_overlap"])
    order = values["order"]
    if isinstance(order, bool) or int(order) != order or order < 1:
        raise ValueError(f"`{owner}(order=...)`: got {order!r}, expected a whole number >= 1.")


def _round_constant(frame: Frame, d: int) -> Constant:
    check_dimension(f"{type(frame).__name__}.decay_constant", d, frame.dims)
    values = vars(frame)
    enclosure = radial((1.0 / 3.0, 2.0 / 3.0), values["step"])
    return dyadic_constant(enclosure, values["J"], values["cutoff"], f"radial {values['step']} step")


@dataclass(frozen=True, repr=False)
class Steerable(Frame):
    r"""Tight steerable frame of order K: K + 1 orientations at every scale.

    .. math:: |\hat g_{j,l}|^2 = |\hat\psi_j(|\xi|)|^2 \, c_K \cos^{2K}(\theta - \pi l/(K+1)), \qquad
              c_K = \frac{2^{2K}}{(K+1)\binom{2K}{K}} ,

    with :math:`\theta` the angle of :math:`\xi`. The sum over l is one, hence A = B = 1 on every grid; every rotation
    of an atom is a linear combination of the K + 1 of them. The real atoms are the K-th directional derivatives of a
    radial function, up to a sign: odd for odd K, with the phase :math:`-i\,\mathrm{sgn}`, which is dropped at the
    Nyquist frequency, where an odd atom would not be real. One-sided atoms keep the half-plane around their direction.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass, whose half-power frequency is
        ``2^-(J+1)`` cycles per reference sample.
    order : int
        Angular order K, at least 1.
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    step : str
        Transition of the bands: ``"meyer"``, ``"smooth"``, ``"linear"`` or ``"sharp"``.
    sided : str
        ``"real"`` (the steerable pyramid), or one-sided atoms: ``"auto"``, ``"half"``, ``"both"``.
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency.

    Raises
    ------
    ValueError
        For parameters outside their range, a grid without two axes, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> [len(Steerable(J=3, order=3, sided=sided).on(Grid.square(64))) for sided in ("real", "both")]
    [12, 24]
    """

    J: int | None = None
    order: int = 3
    cutoff: float | None = None
    step: str = "meyer"
    sided: Sided = "real"
    nyquist_overlap: float = 0.0
    tight = True
    dims = (2,)

    def __post_init__(self) -> None:
        _check(self)
        check_sided("Steerable", self.sided)

    @classmethod
    def example(cls, d: int) -> Steerable:
        """One octave, two orientations; see `Frame.example`."""
        check_dimension("Steerable.example", d, cls.dims)
        return cls(J=1, order=1)

    def decay_constant(self, d: int = 2) -> Constant:
        """Certified K of the radial low-pass; see `Frame.decay_constant`."""
        return _round_constant(self, d)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        check_dimension("Steerable.on", grid.ndim, self.dims)
        J, unit = resolve_scale(self.J, self.cutoff, reference or grid)
        top = top_frequency(grid, unit)
        cuts = dyadic_cuts(J, top)
        K, L = self.order, self.order + 1
        constant = 4.0**K / (L * math.comb(2 * K, K))

        def power(xi: Frequencies, k: int, l: int) -> Tensor:
            band = xi.shared("bands", lambda: telescope(xi.radius, cuts, self.step))[k]
            if k == 0:
                return band
            cosine = _along(xi.direction, math.pi * l / L)
            return constant * band * cosine ** (2 * K) * (cosine > 0)

        def phase(xi: Frequencies, ramps: Tensor, l: int) -> Tensor:
            return sign_phase(_along(xi.xi, math.pi * l / L), ramps.prod(0))

        profiles = [Profile("low-pass", partial(power, k=0, l=0), (0.0, 0.0), paired=False)]
        for k, l in itertools.product(range(1, len(cuts) + 1), range(L)):
            radius = _centre(cuts, k, top)
            angle = math.pi * l / L
            centre = (radius * math.cos(angle), radius * math.sin(angle))
            turned = partial(phase, l=l) if K % 2 else None
            profiles.append(Profile(f"j={J - k},l={l}", partial(power, k=k, l=l), centre, True, turned))
        members = members_from_profiles(profiles, grid, unit, self.nyquist_overlap)
        kind = resolve_sided(self.sided, sided)
        return assemble(grid, unit, members[0].amplitude, members[1:], kind, repr(self))


@dataclass(frozen=True, repr=False)
class Riesz(Frame):
    r"""Tight frame of N-th order Riesz transforms of radial wavelets, any d; all atoms are real.

    .. math:: \hat g_{j,n}(\xi) = \hat\psi_j(|\xi|) \sqrt{\frac{N!}{n!}}
              \prod_i \Bigl(-i \frac{\xi_i}{|\xi|}\Bigr)^{n_i}, \qquad |n| = N,

    one atom per scale for each of the :math:`\binom{N+d-1}{d-1}` multi-indices n. By the multinomial theorem their
    squares sum to :math:`|\hat\psi_j|^2 (\sum_i \xi_i^2/|\xi|^2)^N`, hence A = B = 1 on every grid. On Nyquist rows the
    factor :math:`-i\,\mathrm{sgn}\,\xi_i` of that axis is dropped, where it would not be Hermitian.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass, whose half-power frequency is
        ``2^-(J+1)`` cycles per reference sample.
    order : int
        Order N, at least 1; N = 1, d = 1 is the Hilbert transform of the wavelets.
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    step : str
        Transition of the bands: ``"meyer"``, ``"smooth"``, ``"linear"`` or ``"sharp"``.
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency.

    Raises
    ------
    ValueError
        For parameters outside their range, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> len(Riesz(J=3, order=2).on(Grid.square(64))), len(Riesz(J=2, order=2).on(Grid.cube(24)))
    (9, 12)
    """

    J: int | None = None
    order: int = 1
    cutoff: float | None = None
    step: str = "meyer"
    nyquist_overlap: float = 0.0
    tight = True

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def example(cls, d: int) -> Riesz:
        """One octave, order one; see `Frame.example`."""
        check_dimension("Riesz.example", d, cls.dims)
        return cls(J=1, order=1)

    def decay_constant(self, d: int = 1) -> Constant:
        """Certified K of the radial low-pass; see `Frame.decay_constant`."""
        return _round_constant(self, d)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        check_dimension("Riesz.on", grid.ndim, self.dims)
        J, unit = resolve_scale(self.J, self.cutoff, reference or grid)
        top = top_frequency(grid, unit)
        cuts = dyadic_cuts(J, top)
        d = grid.ndim

        def power(xi: Frequencies, k: int, n: tuple[int, ...]) -> Tensor:
            value = xi.shared("bands", lambda: telescope(xi.radius, cuts, self.step))[k]
            if k == 0:
                return value
            value = value * (math.factorial(self.order) / math.prod(math.factorial(m) for m in n))
            for axis, m in enumerate(n):
                value = value * xi.direction[axis] ** (2 * m)
            return value

        profiles = [Profile("low-pass", partial(power, k=0, n=()), (0.0,) * d, paired=False)]
        orders = [n for n in itertools.product(range(self.order, -1, -1), repeat=d) if sum(n) == self.order]
        for k, n in itertools.product(range(1, len(cuts) + 1), orders):
            radius = _centre(cuts, k, top)
            centre = tuple(radius * math.sqrt(m / self.order) for m in n)
            label = f"j={J - k},n={','.join(str(m) for m in n)}"
            profiles.append(Profile(label, partial(power, k=k, n=n), centre, False, partial(_riesz_phase, n=n)))
        members = members_from_profiles(profiles, grid, unit, self.nyquist_overlap)
        return assemble(grid, unit, members[0].amplitude, members[1:], "real", repr(self))


def _along(x: Tensor, angle: float) -> Tensor:
    return math.cos(angle) * x[0] + math.sin(angle) * x[1]


def _centre(cuts: list[tuple[float, float]], k: int, top: float) -> float:
    """Middle of band k, cycles per reference sample."""
    return 0.5 * (cuts[k - 1][0] + (min(cuts[k][1], top) if k < len(cuts) else top))


def _riesz_phase(xi: Frequencies, ramps: Tensor, n: tuple[int, ...]) -> Tensor:
    r"""Phase of :math:`\prod_i (-i \xi_i)^{n_i}`; an odd axis' factor is dropped at its Nyquist frequency."""
    phase = torch.ones(xi.xi.shape[1:], dtype=torch.complex128)
    for axis, m in enumerate(n):
        if m % 2:
            phase = phase * sign_phase(xi.xi[axis], ramps[axis])
        if m // 2 % 2:
            phase = -phase
    return phase
