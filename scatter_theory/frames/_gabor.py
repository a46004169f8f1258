"""Weyl-Heisenberg (Gabor) frames: one window, shifted to equidistant channels on every axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank, FrameBounds
from scatter_theory.frames._base import Frame, Sided, check_dimension, check_sided, resolve_sided
from scatter_theory.frames._decay import enclosed_constant, separable_maximum
from scatter_theory.frames._profiles import CLEAR, Member, assemble, nyquist_blend, outer
from scatter_theory.frames._wavelets import check_overlap
from scatter_theory.frames._windows import Window, check_window, theta
from scatter_theory.grid import Grid


def _label(k: tuple[int, ...]) -> str:
    return "k=" + ",".join(str(i) for i in k)


@dataclass(frozen=True, eq=False)
class Axis:
    """Squared channels of one axis, by channel number; ``-k`` is the mirror image of ``k``.

    Parameters
    ----------
    powers : dict
        ``k -> (n,) tensor``.
    period : int or None
        Number of channels where they close to a circle: then channel ``period / 2`` is its own mirror image.
    """

    powers: dict[int, Tensor]
    period: int | None

    @classmethod
    def of(cls, line: Grid, upper: Sequence[Tensor], period: int | None) -> Axis:
        """Axis from the channels ``0, 1, ...``, made exactly symmetric."""
        axis = cls({}, period)
        for k, raw in enumerate(upper):
            power = raw * (raw >= CLEAR)
            if axis.partner(k) == k:
                axis.powers[k] = 0.5 * (power + line.mirror(power))
            else:
                axis.powers[k], axis.powers[-k] = power, line.mirror(power)
        return axis

    def partner(self, k: int) -> int:
        """Number of the mirrored channel."""
        return k if k == 0 or 2 * k == self.period else -k


@dataclass(frozen=True, repr=False)
class WeylHeisenberg(Frame):
    r"""Weyl-Heisenberg frame with M channels per axis of the reference sampling rate.

    .. math:: \hat g_k(\xi) = \hat g(\xi - k/M), \quad k \in \mathbb Z^d, \qquad
              |\hat g(\xi)|^2 = \prod_i w(M \xi_i), \qquad \sum_{k \in \mathbb Z} w(u - k) = 1 .

    The channel k = 0 is the output atom. On a grid whose sampling rate is P times the reference rate, an axis has
    ``M P`` channels, with periodised squared windows, when that is a whole number (the one at the Nyquist frequency is
    its own conjugate partner); otherwise the channels up to the Nyquist frequency, the outermost pair taking all that
    lies beyond. A = B = 1 on every grid for every tight window.

    Parameters
    ----------
    M : int or tuple of int
        Channels per axis at the reference rate, one number for all axes or one for each; at least 2.
    window : str
        ``"meyer"``, ``"smooth"`` (C-infinity) and ``"linear"``: cosine of a step, supported on ``|u| <= 1``;
        ``"bspline"``: square root of a centred cardinal B-spline; ``"gauss"``: :math:`w = e^{-(u/p)^2}`.
    order : int
        Order m of the B-spline, at least 2; its support is ``|u| <= m/2``.
    width : float
        Width p of the Gaussian, in channels.
    tight : bool
        Divide the Gaussian by its Littlewood-Paley sum (canonical tight window). With False, the raw window, whose
        bounds `bounds` gives in closed form. The other windows are tight as they are.
    sided : str
        ``"auto"`` (half bank where the network allows it), ``"half"``, ``"both"`` or ``"real"``.
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency; used where ``M P``
        is not a whole number.

    Raises
    ------
    ValueError
        For parameters outside their range, or `M` given for another number of axes.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> frame = WeylHeisenberg(M=16)
    >>> grid = Grid.line(256)
    >>> len(frame.on(grid)), len(frame.on(grid.dilate(2), reference=grid))
    (15, 31)
    """

    M: int | tuple[int, ...]
    window: str = "meyer"
    order: int = 2
    width: float = 1.0
    tight: bool = True
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.M, int):
            object.__setattr__(self, "M", tuple(self.M))
        each = self._channels(1)
        if not 1 <= len(each) <= 3 or any(isinstance(m, bool) or int(m) != m or m < 2 for m in each):
            raise ValueError(
                f"`WeylHeisenberg(M=...)`: got {self.M!r}, expected a whole number of channels >= 2, "
                "or one for each axis."
            )
        check_window("WeylHeisenberg", self.window, self.order, self.width)
        if not self.tight and self.window != "gauss":
            raise ValueError(
                f"`WeylHeisenberg(tight=False)`: the window {self.window!r} is tight as it is; only "
                "'gauss' has a raw form."
            )
        check_sided("WeylHeisenberg", self.sided)
        check_overlap("WeylHeisenberg", self.nyquist_overlap)

    @property
    def dims(self) -> tuple[int, ...]:
        """Numbers of axes: all, or that of `M`."""
        return (len(self.M),) if isinstance(self.M, tuple) else (1, 2, 3)

    @classmethod
    def example(cls, d: int) -> WeylHeisenberg:
        """Four channels per axis; see `Frame.example`."""
        check_dimension("WeylHeisenberg.example", d, (1, 2, 3))
        return cls(M=4)

    def bounds(self, d: int = 1) -> FrameBounds:
        r"""Bounds over all frequencies: A = B = 1 for tight windows, a closed form for the raw Gaussian.

        Per axis, with u = M xi,

        .. math:: LP(u) = \sum_k e^{-(u-k)^2/p^2}
                        = p \sqrt\pi \Bigl(1 + 2 \sum_{m \ge 1} q^{m^2} \cos 2 \pi m u\Bigr), \quad q = e^{-\pi^2 p^2},

        with A = LP(1/2)^d, B = LP(0)^d (Poisson summation; products over the axes).
        """
        if self.tight:
            return super().bounds(d)
        check_dimension("WeylHeisenberg.bounds", d, self.dims)
        source = f"theta series of the Gaussian with p = {self.width:g}, d = {d}"
        ends = [theta(u, self.width) ** d for u in (0.5, 0.0)]
        A, B = ends[0] * (1 - 1e-15 * d), ends[1] * (1 + 1e-15 * d)
        M = self._channels(d)
        return FrameBounds(
            Constant(A, f"minimum of the {source}", "analytic"),
            Constant(B, f"maximum of the {source}", "analytic"),
            argmin=tuple(0.5 / m for m in M),
            argmax=(0.0,) * d,
        )

    def decay_constant(self, d: int = 1) -> Constant:
        r"""K of the window at channel 0, certified (raw Gaussian: :math:`e^{-1/2} p / \min_i M_i`)."""
        check_dimension("WeylHeisenberg.decay_constant", d, self.dims)
        M = self._channels(d)
        if not self.tight:
            value = math.exp(-0.5) * self.width / min(M) * (1 + 1e-15)
            return Constant(value, "maximum of r exp(-r^2/2p^2) at r = p", "analytic", "cycles/sample")
        window = Window(self.window, self.order, self.width, self.tight)
        low, high = separable_maximum(lambda u: torch.log(window.power(u)), window.end, M)
        if self.window == "gauss" and self.width >= 0.5:
            # The wider the Gaussian, the flatter its Littlewood-Paley sum, and the raw window's maximum decides.
            raw = math.exp(-0.5) * self.width / min(M)
            low = max(low, raw * theta(0.0, self.width) ** (-0.5 * d))
            high = min(high, raw * theta(0.5, self.width) ** (-0.5 * d) * (1 + 1e-12))
        enclosure = min(low, high), high
        return enclosed_constant(enclosure, 1.0, f"{self.window} window, M = {self.M}", "cycles/sample")

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        check_dimension("WeylHeisenberg.on", grid.ndim, self.dims)
        unit = (reference or grid).spacing
        M = self._channels(grid.ndim)
        axes = [self._axis(grid, i, unit[i], M[i]) for i in range(grid.ndim)]
        members: list[Member] = []
        for k in itertools.product(*(axis.powers for axis in axes)):
            partner = tuple(axis.partner(ki) for axis, ki in zip(axes, k, strict=True))
            if k < partner or not any(k):
                continue
            amplitude = outer([axis.powers[ki] for axis, ki in zip(axes, k, strict=True)]).sqrt()
            centre = tuple(ki / m for ki, m in zip(k, M, strict=True))
            members.append(Member(_label(k), amplitude, centre, paired=k != partner, partner=_label(partner)))
        members.sort(key=lambda member: (math.hypot(*member.centre), member.label))
        output = outer([axis.powers[0] for axis in axes]).sqrt()
        return assemble(grid, unit, output, members, resolve_sided(self.sided, sided), repr(self))

    def _channels(self, d: int) -> tuple[int, ...]:
        return self.M if isinstance(self.M, tuple) else (self.M,) * d

    def _axis(self, grid: Grid, i: int, unit: float, M: int) -> Axis:
        """Squared channels of axis i."""
        line = Grid((grid.shape[i],), (grid.spacing[i],))
        window = Window(self.window, self.order, self.width, self.tight)
        channels = M * unit / grid.spacing[i]
        whole = round(channels)
        if whole >= 1 and abs(channels - whole) <= 1e-9 * channels:
            u = torch.fft.fftfreq(line.shape[0], dtype=torch.float64) * whole
            return Axis.of(line, window.periodised(u, whole), whole)
        last = int(channels / 2)
        powers = nyquist_blend(lambda xi: window.gathered(M * xi.xi[0], last), line, (unit,), self.nyquist_overlap)
        return Axis.of(line, powers, None)
