r"""Morlet wavelets with the parameters of kymatio 0.3.0, in one and two dimensions.

.. math:: \hat g(\xi) = c \left( e^{-\frac12 (\xi - \nu)^T M (\xi - \nu)} - \kappa\, e^{-\frac12 \xi^T M \xi} \right)

with :math:`\kappa` such that :math:`\hat g(0) = 0`; the low-pass is a Gaussian. On a grid the atoms are *sampled in
space*: both Gaussians are summed over the multiples of the sampling rate, and :math:`\kappa` and :math:`c` follow from
the sums.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank, FrameBounds
from scatter_theory.frames._base import Frame, Sided, check_dimension, check_sided, resolve_sided
from scatter_theory.frames._profiles import Member, assemble, plain_frequencies
from scatter_theory.frames._scale import check_scale, resolve_scale
from scatter_theory.grid import Grid

#: Width of the one-dimensional low-pass times 2^J, and the smallest width of the wavelets (kymatio's ``sigma0``).
SIGMA_LOW = 0.1
#: Number of widths counted as the support of a wavelet when its scale j is derived (kymatio's ``alpha``).
ALPHA = 5.0
#: Centre frequency and width in space of the finest two-dimensional wavelet; the circle constant kymatio divides by.
CENTRE_2D, SIGMA_2D, ROUNDED_PI = 0.375, 0.8, 3.1415
#: Widths beyond which a Gaussian counts as zero: exp(-32) = 1.3e-14.
REACH = 8.0


@dataclass(frozen=True)
class Gabor:
    """One Gaussian bump: centre and widths in cycles per reference sample, direction of the first width (d = 2)."""

    label: str
    j: int
    radius: float
    widths: tuple[float, ...]
    angle: float = 0.0

    @property
    def centre(self) -> tuple[float, ...]:
        """Centre frequency, one number per axis."""
        if len(self.widths) == 1:
            return (self.radius,)
        return (self.radius * math.cos(self.angle), self.radius * math.sin(self.angle))

    def folded(self, xi: Tensor, rates: tuple[float, ...], *radii: float) -> list[Tensor]:
        """Gaussians around each of `radii` along the bump's direction, at frequencies ``(d, ...)``.

        Each is summed over the multiples of the sampling rates: the spectrum of the samples.
        """
        reach = REACH * max(self.widths)
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        along, across = (
            (xi[0], None) if len(rates) == 1 else (cosine * xi[0] + sine * xi[1], cosine * xi[1] - sine * xi[0])
        )
        totals = [torch.zeros_like(xi[0]) for _ in radii]
        for offset in _offsets(rates, reach + self.radius):
            a, b = (
                (offset[0], 0.0)
                if across is None
                else (cosine * offset[0] + sine * offset[1], cosine * offset[1] - sine * offset[0])
            )
            side = 0.0 if across is None else ((across + b) / self.widths[1]) ** 2
            for total, radius in zip(totals, radii, strict=True):
                centre = (radius,) if across is None else (radius * cosine, radius * sine)
                gaps = [max(abs(o - c) - 0.5 * p, 0.0) for o, c, p in zip(offset, centre, rates, strict=True)]
                if math.hypot(*gaps) <= reach:
                    total += torch.exp(-0.5 * (((along + (a - radius)) / self.widths[0]) ** 2 + side))
        return totals


def _offsets(rates: tuple[float, ...], reach: float) -> Iterator[tuple[float, ...]]:
    """Multiples of the sampling rates by which a Gaussian of this reach overlaps the frequencies of the grid."""
    counts = [math.ceil(reach / p - 0.5) for p in rates]
    for m in itertools.product(*(range(-n, n + 1) for n in counts)):
        yield tuple(a * p for a, p in zip(m, rates, strict=True))


def centre_limit(Q: int) -> float:
    """Centre of the finest one-dimensional wavelet, in units of the sampling rate."""
    return max(1.0 / (1.0 + 2.0 ** (3.0 / Q)), 0.35)


def relative_width(Q: int) -> float:
    """Width / centre for which neighbours, Q per octave, cross where their squared Gaussians are one half."""
    ratio = 2.0 ** (-1.0 / Q)
    return (1 - ratio) / (1 + ratio) / math.sqrt(math.log(2.0))


def finest(first: float, Q: int, rate: float) -> int:
    """Steps, Q per octave, from the centre `first` of rate 1 up to the finest atom of a grid of the given rate.

    Whole octaves of the rate give whole octaves of the family; otherwise the nearest step below the Nyquist frequency.
    """
    return min(round(Q * math.log2(rate)), math.floor(Q * math.log2(0.495 * rate / first) + 1e-9))


def line_atoms(J: int, Q: int, rate: float) -> list[Gabor]:
    """Wavelets in one dimension, fine to coarse: geometric centres down to the smallest width, then equispaced ones."""
    first, relative, narrow = centre_limit(Q), relative_width(Q), SIGMA_LOW * 2.0**-J
    top = finest(first, Q, rate)
    elbow = math.floor(Q * math.log2(narrow * 2.0 ** (1.0 / Q) / (first * relative)) + 1e-9)
    ladder = [(first * 2.0 ** (k / Q), k) for k in range(top, elbow - 1, -1)]
    steps = [(centre, relative * centre, math.ceil(k / Q)) for centre, k in ladder]
    low = first * 2.0 ** (elbow / Q)
    steps += [(low * (1 - q / Q), narrow, 0) for q in range(1, Q) if low * (1 - q / Q) <= first * 2.0 ** (top / Q)]
    atoms = []
    for centre, width, octave in steps:
        edge = min(centre + ALPHA * width, 0.5 * 2.0 ** max(octave, 0))
        atoms.append(Gabor(f"xi={centre:.4g}", math.floor(-math.log2(edge)) - 1, centre, (width,)))
    return atoms


def plane_atoms(J: int, L: int, rate: float) -> list[Gabor]:
    """Wavelets in two dimensions, fine to coarse, L angles over half a turn, elongated by L/4."""
    start, slant = int(L / 2 - 1), 4.0 / L
    atoms = []
    for j in range(-finest(CENTRE_2D, 1, rate), J):
        width = 1 / (2 * math.pi * SIGMA_2D * 2.0**j)
        for theta in range(L):
            angle = (start - theta) * math.pi / L
            atoms.append(Gabor(f"j={j} theta={theta}", j, CENTRE_2D * 2.0**-j, (width, width * slant), angle))
    return atoms


def low_pass(J: int, d: int) -> Gabor:
    """The Gaussian output atom."""
    if d == 1:
        return Gabor("low-pass", J, 0.0, (SIGMA_LOW * 2.0**-J,))
    width = 1 / (2 * math.pi * SIGMA_2D * 2.0 ** (J - 1))
    return Gabor("low-pass", J, 0.0, (width, width))


def unit_sum(atom: Gabor, rate: float, kappa: float) -> float:
    """Sum over all samples, at the given rate, of the modulus of the one-dimensional wavelet before normalisation."""
    (width,) = atom.widths
    reach = math.ceil(9 * rate / (2 * math.pi * width))
    n = torch.arange(-reach, reach + 1, dtype=torch.float64) / rate
    envelope = width * math.sqrt(2 * math.pi) / rate * torch.exp(-2 * (math.pi * width * n) ** 2)
    phase = 2 * math.pi * atom.radius * n
    return float((envelope * torch.hypot(torch.cos(phase) - kappa, torch.sin(phase))).sum())


@dataclass(frozen=True, repr=False)
class Morlet(Frame):
    r"""Morlet wavelets and a Gaussian low-pass, as in kymatio 0.3.0. Not tight.

    The half bank on a grid at the reference rate equals kymatio's filters: the factor sqrt(2) of the omitted partners
    is contained in them. `Atom.scale` is kymatio's j. On a grid of ``2^m`` times the reference rate the family goes on
    to finer scales and equals that of ``J + m`` octaves. (Where J is so small for Q that no wavelet has constant Q,
    kymatio places its centres differently.)

    Parameters
    ----------
    J : int, optional
        Octaves: the low-pass has width ``0.1 2^-J`` (d = 1) or ``0.398 2^-J`` (d = 2), in cycles per reference sample.
    Q : int
        Wavelets per octave, d = 1; below a width of ``0.1 2^-J`` their centres are equispaced.
    L : int
        Angles over half a turn, d = 2.
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    sided : str
        ``"auto"``, ``"half"``, ``"both"`` or ``"real"``; see `Wavelets`.

    Raises
    ------
    ValueError
        For parameters outside their range, J too large for the grid, or d = 3.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> A, B = Morlet(J=4).on(Grid.line(1024)).bounds()
    >>> round(A, 3), round(B, 3)
    (0.154, 1.0)
    """

    J: int | None = None
    Q: int = 1
    L: int = 8
    cutoff: float | None = None
    sided: Sided = "auto"
    dims = (1, 2)

    def __post_init__(self) -> None:
        check_scale("Morlet", self.J, self.cutoff)
        check_sided("Morlet", self.sided)
        for name, what in (("Q", "wavelets per octave"), ("L", "angles over half a turn")):
            value = getattr(self, name)
            if isinstance(value, bool) or int(value) != value or value < 1:
                raise ValueError(f"`Morlet({name}=...)`: got {value!r}, expected a whole number of {what} >= 1.")

    @classmethod
    def example(cls, d: int) -> Morlet:
        """One octave, four angles; see `Frame.example`."""
        check_dimension("Morlet.example", d, cls.dims)
        return cls(J=1, L=4)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`, fine to coarse; see `Frame.on`."""
        d = grid.ndim
        check_dimension("Morlet", d, self.dims)
        J, unit = resolve_scale(self.J, self._half_power_cutoff(d), reference or grid)
        rates = tuple(u / h for u, h in zip(unit, grid.spacing, strict=True))
        xi = plain_frequencies(grid, unit).xi
        atoms = self.atoms(J, d, max(rates))
        inside = (a for a in atoms if all(abs(c) < p / 2 for c, p in zip(a.centre, rates, strict=True)))
        # One after another, so that two sets of amplitudes never exist.
        members = (
            Member(a.label, sampled(a, xi, rates) / math.sqrt(2.0), a.centre, paired=True, scale=float(a.j))
            for a in inside
        )
        (output,) = low_pass(J, d).folded(xi, rates, 0.0)
        output = output / output.flatten()[0] if d == 1 else output * (math.pi / ROUNDED_PI)
        return assemble(grid, unit, output, members, resolve_sided(self.sided, sided), repr(self))

    def atoms(self, J: int, d: int, rate: float) -> list[Gabor]:
        """Wavelets up to the given rate, in reference samples, fine to coarse."""
        return line_atoms(J, self.Q, rate) if d == 1 else plane_atoms(J, self.L, rate)

    def _half_power_cutoff(self, d: int) -> float | None:
        """The half-power frequency for which `resolve_scale` yields the wanted virtual rate."""
        if self.cutoff is None:
            return None
        return self.cutoff * 0.5 / (math.sqrt(math.log(2.0)) * low_pass(0, d).widths[0])

    def decay_constant(self, d: int = 1) -> Constant:
        r"""Closed form :math:`K = c\, \sigma e^{-1/2}` of the Gaussian low-pass of width sigma."""
        check_dimension("Morlet", d, self.dims)
        scale = 1.0 if self.J is not None else self.cutoff / (math.sqrt(math.log(2.0)) * low_pass(0, d).widths[0])
        width = low_pass(self.J or 0, d).widths[0] * scale * (1.0 if d == 1 else math.pi / ROUNDED_PI)
        unit = "cycles/sample" if self.cutoff is None else "cycles/unit"
        value = width * math.exp(-0.5) * (1 + 1e-15)
        return Constant(value, "maximum of a Gaussian times the frequency", "analytic", unit)

    def bounds(self, d: int = 1) -> FrameBounds:
        """Certified bounds over R^d of the infinite family; on a grid, sampling changes the atoms near Nyquist."""
        from scatter_theory.frames._enclosure_gaussian import morlet_bounds

        check_dimension("Morlet", d, self.dims)
        return morlet_bounds(self, d)


def sampled(atom: Gabor, xi: Tensor, rates: tuple[float, ...]) -> Tensor:
    """Spectrum of the samples of a wavelet, with kymatio's normalisation."""
    zero = torch.zeros((len(rates), 1), dtype=torch.float64)
    bump, low = atom.folded(zero, rates, atom.radius, 0.0)
    kappa = float(bump / low)
    bump, low = atom.folded(xi, rates, atom.radius, 0.0)
    spectrum = bump - kappa * low
    if len(rates) == 1:
        return spectrum / unit_sum(atom, rates[0], kappa)
    return spectrum * (math.pi / ROUNDED_PI)
