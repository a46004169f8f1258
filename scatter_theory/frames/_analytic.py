"""Log-Gabor and Mexican-hat wavelets with a Gaussian low-pass: closed-form profiles, not tight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank, FrameBounds
from scatter_theory.frames._base import Frame, Sided, check_dimension, check_sided, resolve_sided
from scatter_theory.frames._morlet import finest
from scatter_theory.frames._profiles import Frequencies, Profile, assemble, members_from_profiles
from scatter_theory.frames._scale import check_scale, resolve_scale
from scatter_theory.frames._wavelets import check_overlap
from scatter_theory.grid import Grid

#: Centre of the finest log-Gabor, its width ``sigma / centre`` and angular spacing over angular width.
LOG_GABOR_CENTRE, LOG_GABOR_WIDTH, LOG_GABOR_SPACING = 0.33, 0.55, 1.2
#: Centre of the finest Mexican hat, and the width of the low-pass at J = 0: the Gaussian within the coarsest hat.
MEXICAN_HAT_CENTRE = 0.35
MEXICAN_HAT_LOW = MEXICAN_HAT_CENTRE / math.sqrt(2.0)


def centres(first: float, last: int, Q: int, rate: float) -> list[float]:
    """Centre frequencies ``first 2^(-k/Q)``, fine to coarse, k <= last, up to the finest of a grid of that rate."""
    return [first * 2.0 ** (-k / Q) for k in range(-finest(first, Q, rate), last + 1)]


def gaussian_power(r: Tensor, sigma: float) -> Tensor:
    """Squared low-pass ``exp(-r^2 / sigma^2)``."""
    return torch.exp(-((r / sigma) ** 2))


def hat_power(r: Tensor, centre: float) -> Tensor:
    """Squared Mexican hat with peak 1: ``(u^2 exp(1 - u^2))^2`` at ``u = r / centre``."""
    square = (r / centre) ** 2
    return (square * torch.exp(1 - square)) ** 2


def log_gabor_power(r: Tensor, centre: float) -> Tensor:
    """Squared radial log-Gabor with peak 1; 0 at the origin."""
    logarithm = torch.log(torch.where(r > 0, r, torch.ones_like(r)) / centre) / math.log(LOG_GABOR_WIDTH)
    return torch.where(r > 0, torch.exp(-(logarithm**2)), torch.zeros_like(r))


def angular_power(turn: Tensor, direction: float, L: int) -> Tensor:
    """Squared angular Gaussian with peak 1 around `direction`, both in turns."""
    distance = turn - direction
    distance = distance - torch.round(distance)
    return torch.exp(-((distance * 2 * L * LOG_GABOR_SPACING) ** 2))


def _whole(owner: str, name: str, value: int, what: str) -> None:
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"`{owner}({name}=...)`: got {value!r}, expected a whole number of {what} >= 1.")


def _gaussian_decay(first: float, J: int | None, cutoff: float | None) -> Constant:
    """K = sigma e^(-1/2) of the low-pass ``exp(-r^2 / (2 sigma^2))``, sigma = first 2^-J."""
    sigma = first * 2.0**-J if J is not None else float(cutoff or 0.0) / math.sqrt(math.log(2.0))
    unit = "cycles/sample" if J is not None else "cycles/unit"
    value = sigma * math.exp(-0.5) * (1 + 1e-15)
    return Constant(value, "maximum of a Gaussian times the frequency", "analytic", unit)


def _virtual_cutoff(first: float, cutoff: float | None) -> float | None:
    """The half-power frequency for which `resolve_scale` yields the virtual rate that meets `cutoff`."""
    return None if cutoff is None else cutoff * 0.5 / (first * math.sqrt(math.log(2.0)))


@dataclass(frozen=True, repr=False)
class LogGabor(Frame):
    r"""Log-Gabor wavelets and a Gaussian low-pass; not tight.

    .. math:: |\hat g_{j,l}| = \exp\Bigl(-\frac{\ln^2(|\xi|/\nu_j)}{2 \ln^2 0.55}\Bigr)
              \exp\Bigl(-\frac{(\theta - \theta_l)^2}{2 \sigma_\theta^2}\Bigr), \qquad
              \hat\chi = \exp\Bigl(-\frac{|\xi|^2}{2 (0.33 \cdot 2^{-J})^2}\Bigr),

    :math:`\nu_j = 0.33 \cdot 2^{-j}` cycles per reference sample, :math:`\theta_l = \pi l / L` over the entire circle
    and :math:`\sigma_\theta = \pi / (1.2 L)`; in one dimension without the angular factor, positive and negative
    frequencies apart. On a grid of ``2^m`` times the reference rate m finer octaves are added.

    Parameters
    ----------
    J : int, optional
        Octaves.
    L : int
        Angles over half a turn, d = 2.
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    sided : str
        ``"auto"``, ``"half"``, ``"both"`` or ``"real"``; see `Wavelets`.
    nyquist_overlap : float
        Width of the blend across the Nyquist frequency; see `Wavelets`.

    Raises
    ------
    ValueError
        For parameters outside their range, J too large for the grid, or d = 3.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> A, B = LogGabor(J=3, L=6).on(Grid.square(64)).bounds()
    >>> round(A, 3), round(B, 3)
    (0.294, 2.252)
    """

    J: int | None = None
    L: int = 6
    cutoff: float | None = None
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0
    dims = (1, 2)

    def __post_init__(self) -> None:
        check_scale("LogGabor", self.J, self.cutoff)
        check_sided("LogGabor", self.sided)
        check_overlap("LogGabor", self.nyquist_overlap)
        _whole("LogGabor", "L", self.L, "angles over half a turn")

    @classmethod
    def example(cls, d: int) -> LogGabor:
        """One octave, four angles; see `Frame.example`."""
        check_dimension("LogGabor.example", d, cls.dims)
        return cls(J=1, L=4)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`, fine to coarse; see `Frame.on`."""
        d = grid.ndim
        check_dimension("LogGabor", d, self.dims)
        J, unit = resolve_scale(self.J, _virtual_cutoff(LOG_GABOR_CENTRE, self.cutoff), reference or grid)
        low = LOG_GABOR_CENTRE * 2.0**-J
        profiles = [Profile("low-pass", lambda xi: gaussian_power(xi.radius, low), (0.0,) * d, paired=False)]
        for centre in centres(LOG_GABOR_CENTRE, J - 1, 1, _top_rate(grid, unit)):
            j = -math.log2(centre / LOG_GABOR_CENTRE)
            for l in range(self.L if d == 2 else 1):
                angle = math.pi * l / self.L
                power = partial(self._power, centre=centre, direction=0.5 * l / self.L)
                point = (centre,) if d == 1 else (centre * math.cos(angle), centre * math.sin(angle))
                label = f"j={j:g}" + (f" l={l}" if d == 2 else "")
                profiles.append(Profile(label, power, point, paired=True, scale=j))
        members = members_from_profiles(profiles, grid, unit, self.nyquist_overlap)
        return assemble(grid, unit, members[0].amplitude, members[1:], resolve_sided(self.sided, sided), repr(self))

    def _power(self, xi: Frequencies, centre: float, direction: float) -> Tensor:
        radial = xi.shared(centre, lambda: [log_gabor_power(xi.radius, centre)])[0]
        if xi.xi.shape[0] == 1:
            return radial * (xi.xi[0] > 0)
        return radial * angular_power(xi.turn, direction, self.L)

    def decay_constant(self, d: int = 1) -> Constant:
        """Closed form of the Gaussian low-pass."""
        check_dimension("LogGabor.decay_constant", d, self.dims)
        return _gaussian_decay(LOG_GABOR_CENTRE, self.J, self.cutoff)

    def bounds(self, d: int = 1) -> FrameBounds:
        """Certified bounds over R^d of the infinite family; a grid lacks the finer atoms near and above Nyquist."""
        from scatter_theory.frames._enclosure_gaussian import log_gabor_bounds

        check_dimension("LogGabor.bounds", d, self.dims)
        return log_gabor_bounds(self.L, d)


@dataclass(frozen=True, repr=False)
class MexicanHat(Frame):
    r"""Mexican-hat wavelets (second derivatives of Gaussians) and a Gaussian low-pass; real, radial, not tight.

    .. math:: \hat g_k = \frac{|\xi|^2}{\nu_k^2} \exp\Bigl(1 - \frac{|\xi|^2}{\nu_k^2}\Bigr), \qquad
              \hat\chi = \exp\Bigl(-\frac{|\xi|^2}{\nu_{JQ}^2}\Bigr),

    :math:`\nu_k = 0.35 \cdot 2^{-k/Q}` cycles per reference sample, k = 0, ..., JQ, each hat with peak 1 at
    :math:`\nu_k`; the low-pass is the Gaussian within the coarsest hat. On a grid of ``2^m`` times the reference rate m
    finer octaves are added.

    Parameters
    ----------
    J : int, optional
        Octaves.
    Q : int
        Wavelets per octave.
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    nyquist_overlap : float
        Width of the blend across the Nyquist frequency; see `Wavelets`.

    Raises
    ------
    ValueError
        For parameters outside their range, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> A, B = MexicanHat(J=4, Q=2).on(Grid.line(256)).bounds()
    >>> round(A, 3), round(B, 3)
    (0.555, 2.665)
    """

    J: int | None = None
    Q: int = 1
    cutoff: float | None = None
    nyquist_overlap: float = 0.0

    def __post_init__(self) -> None:
        check_scale("MexicanHat", self.J, self.cutoff)
        check_overlap("MexicanHat", self.nyquist_overlap)
        _whole("MexicanHat", "Q", self.Q, "wavelets per octave")

    @classmethod
    def example(cls, d: int) -> MexicanHat:
        """One octave; see `Frame.example`."""
        check_dimension("MexicanHat.example", d, cls.dims)
        return cls(J=1)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`, fine to coarse; see `Frame.on`."""
        d = grid.ndim
        J, unit = resolve_scale(self.J, _virtual_cutoff(MEXICAN_HAT_LOW, self.cutoff), reference or grid)
        low = MEXICAN_HAT_LOW * 2.0**-J
        profiles = [Profile("low-pass", lambda xi: gaussian_power(xi.radius, low), (0.0,) * d, paired=False)]
        for centre in centres(MEXICAN_HAT_CENTRE, J * self.Q, self.Q, _top_rate(grid, unit)):
            power = partial(lambda xi, nu: hat_power(xi.radius, nu), nu=centre)
            j = -math.log2(centre / MEXICAN_HAT_CENTRE)
            point = (centre,) + (0.0,) * (d - 1)
            profiles.append(Profile(f"xi={centre:.4g}", power, point, paired=False, scale=j, oriented=False))
        members = members_from_profiles(profiles, grid, unit, self.nyquist_overlap)
        return assemble(grid, unit, members[0].amplitude, members[1:], "real", repr(self))

    def decay_constant(self, d: int = 1) -> Constant:
        """Closed form of the Gaussian low-pass."""
        check_dimension("MexicanHat.decay_constant", d, self.dims)
        return _gaussian_decay(MEXICAN_HAT_LOW, self.J, self.cutoff)

    def bounds(self, d: int = 1) -> FrameBounds:
        """Certified bounds over R^d of the infinite family; a grid lacks the finer atoms near and above Nyquist."""
        from scatter_theory.frames._enclosure_gaussian import mexican_hat_bounds

        check_dimension("MexicanHat.bounds", d, self.dims)
        return mexican_hat_bounds(self.Q)


def _top_rate(grid: Grid, unit: tuple[float, ...]) -> float:
    """Highest sampling rate of the grid, per reference sample."""
    return max(u / h for u, h in zip(unit, grid.spacing, strict=True))
