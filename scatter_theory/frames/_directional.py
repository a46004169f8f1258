"""Directional tight frames from the polar engine: directional wavelets, curvelets, shearlets, ridgelets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank
from scatter_theory.frames._base import Frame, Sided, check_dimension
from scatter_theory.frames._decay import dyadic_constant, radial
from scatter_theory.frames._decay import separable as separable_enclosure
from scatter_theory.frames._polar import Caps, Wedges, check_polar, euclidean, max_norm, polar_bank, separable, wedges
from scatter_theory.grid import Grid


def _round_constant(frame: Frame, d: int) -> Constant:
    """K of the Euclidean low-pass that directional wavelets, curvelets and ridgelets share."""
    check_dimension(f"{type(frame).__name__}.decay_constant", d, frame.dims)
    values = vars(frame)
    enclosure = radial((1.0 / 3.0, 2.0 / 3.0), values["step"])
    return dyadic_constant(enclosure, values["J"], values["cutoff"], f"radial {values['step']} step")


@dataclass(frozen=True, repr=False)
class DirectionalWavelets(Frame):
    r"""Tight directional wavelets: L directions at every scale (isotropic scaling).

    .. math:: |\hat g_{j,l}|^2 = |\hat\psi_j(|\xi|)|^2 \, V_l(\xi/|\xi|), \qquad \sum_l V_l = 1,

    with dyadic radial bands and angular shares: windows on the circle for d = 2, a softmax over L directions on the
    sphere for d = 3.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass, whose half-power frequency is
        ``2^-(J+1)`` cycles per reference sample.
    L : int
        Directions at every scale, opposite ones included: an even number, at least 4.
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    step : str
        Transition of bands and windows: ``"meyer"``, ``"smooth"``, ``"linear"`` or ``"sharp"``.
    overlap : float
        Overlap of neighbouring windows as a share of their distance, in (0, 1]; d = 2.
    sided : str
        ``"auto"`` (half bank where the network allows it), ``"half"``, ``"both"`` or ``"real"`` (opposite directions
        merged into one real atom).
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency.

    Raises
    ------
    ValueError
        For parameters outside their range, a grid with one axis, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> len(DirectionalWavelets(J=3, L=8).on(Grid.square(64)))
    24
    """

    J: int | None = None
    L: int = 8
    cutoff: float | None = None
    step: str = "meyer"
    overlap: float = 1.0
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0
    tight = True
    dims = (2, 3)

    def __post_init__(self) -> None:
        check_polar(self, directions="L", multiple=2)

    @classmethod
    def example(cls, d: int) -> DirectionalWavelets:
        """One octave, six directions; see `Frame.example`."""
        check_dimension("DirectionalWavelets.example", d, cls.dims)
        return cls(J=1, L=6)

    def decay_constant(self, d: int = 2) -> Constant:
        """Certified K of the radial low-pass; see `Frame.decay_constant`."""
        return _round_constant(self, d)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        check_dimension("DirectionalWavelets.on", grid.ndim, self.dims)
        angular = Wedges(self.step, self.overlap) if grid.ndim == 2 else Caps()
        return polar_bank(self, grid, reference, sided, euclidean, angular, lambda k: self.L)


@dataclass(frozen=True, repr=False)
class Curvelets(Frame):
    r"""Tight second-generation curvelets; with other `alpha`, alpha-curvelets.

    .. math:: |\hat g_{k,l}|^2 = |\hat\psi_k(|\xi|)|^2 \, V(L_k \theta / 2\pi - l), \qquad
              L_k = L_0 2^{\lceil (1-\alpha) k \rceil},

    with dyadic bands counted from the coarsest, k = 0, and :math:`\theta` the angle of :math:`\xi`. The finer the scale
    the more wedges: with alpha = 1/2 length and width of an atom scale as :math:`2^{-k/2}` and :math:`2^{-k}`
    (parabolic scaling, twice the wedges at every other scale); alpha = 1 is isotropic, alpha = 0 gives ridgelets.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass, whose half-power frequency is
        ``2^-(J+1)`` cycles per reference sample.
    L0 : int
        Wedges at the coarsest scale, opposite ones included: an even number, at least 4.
    alpha : float
        Anisotropy, in [0, 1].
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    step : str
        Transition of bands and windows: ``"meyer"``, ``"smooth"``, ``"linear"`` or ``"sharp"``.
    overlap : float
        Overlap of neighbouring wedges as a share of their distance, in (0, 1].
    sided : str
        ``"auto"`` (half bank where the network allows it), ``"half"``, ``"both"`` or ``"real"``.
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency.

    Raises
    ------
    ValueError
        For parameters outside their range, a grid without two axes, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> [len(Curvelets(J=3, alpha=alpha).on(Grid.square(64))) for alpha in (0.0, 0.5, 1.0)]
    [56, 40, 24]
    """

    J: int | None = None
    L0: int = 8
    alpha: float = 0.5
    cutoff: float | None = None
    step: str = "meyer"
    overlap: float = 1.0
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0
    tight = True
    dims = (2,)

    def __post_init__(self) -> None:
        check_polar(self, directions="L0", multiple=2)

    @classmethod
    def example(cls, d: int) -> Curvelets:
        """One octave, four wedges at the coarsest scale; see `Frame.example`."""
        check_dimension("Curvelets.example", d, cls.dims)
        return cls(J=1, L0=4)

    def decay_constant(self, d: int = 2) -> Constant:
        """Certified K of the radial low-pass; see `Frame.decay_constant`."""
        return _round_constant(self, d)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        check_dimension("Curvelets.on", grid.ndim, self.dims)
        angular = Wedges(self.step, self.overlap)
        return polar_bank(self, grid, reference, sided, euclidean, angular, partial(wedges, self.L0, self.alpha))


@dataclass(frozen=True, repr=False)
class Shearlets(Frame):
    r"""Tight cone-adapted shearlets with glued boundary shears; with other `alpha`, alpha-shearlets.

    .. math:: |\hat g_{k,l}|^2 = |\hat\psi_k(\xi)|^2 \, V(L_k u(\xi) - l), \qquad
              L_k = L_0 2^{\lceil (1-\alpha) k \rceil},

    where the angular coordinate u is piecewise linear in the slope, :math:`\xi_2/\xi_1` on the horizontal cones and
    :math:`\xi_1/\xi_2` on the vertical ones: equispaced windows are sheared copies of each other, and the window at a
    diagonal is one atom that lives on both cones.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass, whose half-power frequency on each
        axis is ``2^-(J+1)`` cycles per reference sample.
    alpha : float
        Anisotropy, in [0, 1]; 1/2 is parabolic.
    L0 : int
        Shears at the coarsest scale on the four cones together, opposite ones included: a multiple of 4.
    norm : str
        Shape of the bands: ``"separable"`` (differences of products of one-dimensional low-passes, smooth across the
        diagonals) or ``"max"`` (functions of the larger coordinate).
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    step : str
        Transition of bands and windows: ``"meyer"``, ``"smooth"``, ``"linear"`` or ``"sharp"``.
    overlap : float
        Overlap of neighbouring shears as a share of their distance, in (0, 1].
    sided : str
        ``"auto"`` (half bank where the network allows it), ``"half"``, ``"both"`` or ``"real"``.
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency.

    Raises
    ------
    ValueError
        For parameters outside their range, a grid without two axes, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> len(Shearlets(J=3).on(Grid.square(64)))
    40
    """

    J: int | None = None
    alpha: float = 0.5
    L0: int = 8
    norm: str = "separable"
    cutoff: float | None = None
    step: str = "meyer"
    overlap: float = 1.0
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0
    tight = True
    dims = (2,)

    def __post_init__(self) -> None:
        check_polar(self, directions="L0", multiple=4)
        if self.norm not in ("separable", "max"):
            raise ValueError(f"`Shearlets(norm=...)`: got {self.norm!r}, expected 'separable' or 'max'.")

    @classmethod
    def example(cls, d: int) -> Shearlets:
        """One octave, four shears at the coarsest scale; see `Frame.example`."""
        check_dimension("Shearlets.example", d, cls.dims)
        return cls(J=1, L0=4)

    def decay_constant(self, d: int = 2) -> Constant:
        r"""Certified K of the low-pass, |xi| Euclidean: for ``"max"`` it lies on the diagonal, at sqrt(2) times r."""
        check_dimension("Shearlets.decay_constant", d, self.dims)
        if self.norm == "separable":
            enclosure = separable_enclosure(2, self.step)
        else:
            low, high = radial((1.0 / 3.0, 2.0 / 3.0), self.step)
            enclosure = math.sqrt(2.0) * low, math.sqrt(2.0) * high
        return dyadic_constant(enclosure, self.J, self.cutoff, f"{self.norm} {self.step} step")

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        check_dimension("Shearlets.on", grid.ndim, self.dims)
        angular = Wedges(self.step, self.overlap, slopes=True)
        part = separable if self.norm == "separable" else max_norm
        return polar_bank(self, grid, reference, sided, part, angular, partial(wedges, self.L0, self.alpha))


@dataclass(frozen=True, repr=False)
class Ridgelets(Frame):
    r"""Tight ridgelets: wedges of one width at every scale (`Curvelets` with alpha = 0).

    .. math:: |\hat g_{k,l}|^2 = |\hat\psi_k(|\xi|)|^2 \, V(2^k L_0 \theta / 2\pi - l) .

    Twice the wedges from each dyadic band to the next finer one keep their width: the atoms are long and thin, ever
    closer to functions that are constant along lines.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass, whose half-power frequency is
        ``2^-(J+1)`` cycles per reference sample.
    L0 : int
        Wedges at the coarsest scale, opposite ones included: an even number, at least 4.
    cutoff : float, optional
        Half-power frequency of the low-pass in cycles per unit, instead of J.
    step : str
        Transition of bands and windows: ``"meyer"``, ``"smooth"``, ``"linear"`` or ``"sharp"``.
    overlap : float
        Overlap of neighbouring wedges as a share of their distance, in (0, 1].
    sided : str
        ``"auto"`` (half bank where the network allows it), ``"half"``, ``"both"`` or ``"real"``.
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency.

    Raises
    ------
    ValueError
        For parameters outside their range, a grid without two axes, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> len(Ridgelets(J=3).on(Grid.square(64)))
    56
    """

    J: int | None = None
    L0: int = 8
    cutoff: float | None = None
    step: str = "meyer"
    overlap: float = 1.0
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0
    tight = True
    dims = (2,)

    def __post_init__(self) -> None:
        check_polar(self, directions="L0", multiple=2)

    @classmethod
    def example(cls, d: int) -> Ridgelets:
        """One octave, four wedges at the coarsest scale; see `Frame.example`."""
        check_dimension("Ridgelets.example", d, cls.dims)
        return cls(J=1, L0=4)

    def decay_constant(self, d: int = 2) -> Constant:
        """Certified K of the radial low-pass; see `Frame.decay_constant`."""
        return _round_constant(self, d)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        check_dimension("Ridgelets.on", grid.ndim, self.dims)
        angular = Wedges(self.step, self.overlap)
        return polar_bank(self, grid, reference, sided, euclidean, angular, partial(wedges, self.L0, 0.0))
