r"""What each class of signals says about its deformations, on the grid on which they are measured.

A rule knows the unit in which distances are reported, a plain form of its bound for the search, and the sharp form by
which a witness is judged. All bounds hold in the norm of the grid (``scatter_theory.theory._deformation``).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.constants import Constant
from scatter_theory.grid import Grid
from scatter_theory.results import Hypothesis
from scatter_theory.signals import (
    BandLimited,
    BandLimitedSignal,
    PiecewiseLipschitzSignal,
    Signal,
    SignalClass,
    Sobolev,
)

FORMS = ("theorem", "unconditional", "published")

#: Terms of Taylor's series; what is left out is bounded by the ratio test.
_TERMS = 400


@dataclass(frozen=True)
class Sizes:
    r"""Certified sizes of one deformation.

    Parameters
    ----------
    t : float
        :math:`\sup|\tau|`.
    D : float
        d times the largest entry of the Jacobian; infinite where it is not known.
    omega : float
        :math:`\sup|\omega|`.
    """

    t: float
    D: float
    omega: float = 0.0


class Rule(ABC):
    """The deformation bound of one class of signals."""

    claim: str
    #: Whether the bound needs D <= 1/2.
    needs_jacobian: bool
    #: Power of sup|tau| with which the bound falls.
    exponent: float
    #: What distances are divided by, in words; empty where they are absolute.
    unit_name: str

    @abstractmethod
    def unit(self, f: Signal) -> Tensor:
        """What distances are divided by, ``(n,)``."""

    @abstractmethod
    def reference(self, f: Signal, grid: Grid, t: float | Tensor) -> Tensor:
        """Bound for translations by t, plain form, times the unit; ``(n,)``, differentiable in f."""

    @abstractmethod
    def bound(self, f: Signal, grid: Grid, sizes: Sizes) -> float:
        """The bound of one signal (batch ``(1,)``), divided by its unit."""

    @abstractmethod
    def continuum(self, f: Signal, grid: Grid, sizes: Sizes) -> float:
        r"""The bound in the :math:`L^2` norm over the torus, divided by the unit."""

    @abstractmethod
    def cap(self, f: Signal, grid: Grid, sizes: Sizes) -> float:
        """A limit that no deformation of these sizes can exceed anyway, divided by the unit."""

    @abstractmethod
    def constants(self, f: Signal) -> dict[str, Constant]:
        """Constants of the bound with their origin, for one signal."""

    def hypotheses(self, worst_D: float) -> list[Hypothesis]:
        """Conditions on signals and displacements."""
        if not self.needs_jacobian:
            return []
        text = "the Jacobian of every displacement is small: d sup max |d_l tau_k| <= 1/2"
        return [Hypothesis(text, worst_D <= 0.5 * (1 + 1e-12), worst_D)]


def densities(f: BandLimitedSignal, grid: Grid) -> list[float]:
    """``M_i / N_i`` of polynomials on a grid."""
    return [M / N for M, N in zip(f.polynomial.degrees, grid.shape, strict=True)]


class _Polynomials(Rule):
    """Rules for trigonometric polynomials."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.needs_jacobian = form == "theorem"

    unit_name = "||f||"
    exponent = 1.0

    def unit(self, f: BandLimitedSignal) -> Tensor:
        return f.norm()

    def band(self, f: BandLimitedSignal) -> float:
        """Euclidean band limit R."""
        return float(f.radius.max())

    def _factor(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        r"""Factor of :math:`t \|\nabla f\|`; without a condition on the Jacobian only the exponential is left."""
        X = 2 * math.pi * self.band(f) * sizes.t
        D = sizes.D if self.form == "theorem" else math.inf
        return theory.grid_gradient_factor(D, densities(f, grid), X)

    def _moved(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        r"""Bound on :math:`\|F_\tau f - f\|` from :math:`\|\nabla f\|`."""
        value = sizes.t * self.slope(f) * self._factor(f, grid, sizes)
        if grid.ndim == 1:
            value = min(value, float(theory.sample_bound_1d(sizes.t, grid.spacing[0], self.slope(f))))
        return value

    def continuum(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        return self.moved_in_continuum(f, grid, sizes) + float(theory.modulation_bound(sizes.omega))

    @abstractmethod
    def slope(self, f: BandLimitedSignal) -> float:
        r"""What stands for :math:`\|\nabla f\| / \|f\|`."""

    def moved_in_continuum(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        """The part of the bound in :math:`L^2` that belongs to the displacement."""
        if self.form == "theorem" and sizes.D <= 1:
            return float(theory.gradient_bound(sizes.t, sizes.D, self.slope(f)))
        X = 2 * math.pi * self.band(f) * sizes.t
        return sizes.t * self.slope(f) * theory.grid_gradient_factor(math.inf, [], X)

    def cap(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        if sizes.D < 1:
            return 1 + theory.sampling_factor(sizes.D, densities(f, grid))
        return math.inf

    def constants(self, f: BandLimitedSignal) -> dict[str, Constant]:
        R = Constant(self.band(f), "largest frequency of the torus in the band", "analytic", "cycles per unit")
        return {"R": R}


class BandRule(_Polynomials):
    """Band-limited signals of one radius: only R and the norm are used."""

    claim = "deformation_band_limited"

    def __init__(self, form: str, R: float) -> None:
        super().__init__(form)
        self.R = R

    def reference(self, f: BandLimitedSignal, grid: Grid, t: float | Tensor) -> Tensor:
        return 2 * math.pi * self.R * t * f.norm()

    def slope(self, f: BandLimitedSignal) -> float:
        return 2 * math.pi * self.R

    def band(self, f: BandLimitedSignal) -> float:
        return self.R

    def bound(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        if self.form == "published":
            return PUBLISHED.value * (self.R * sizes.t + sizes.omega)
        return self._moved(f, grid, sizes) + float(theory.modulation_bound(sizes.omega))

    def constants(self, f: BandLimitedSignal) -> dict[str, Constant]:
        extra = {"C": PUBLISHED} if self.form == "published" else {}
        return {**super().constants(f), **extra}


class GradientRule(_Polynomials):
    r"""Given polynomials: their own :math:`\|\nabla f\|`, and their own spectrum in Taylor's series."""

    claim = "deformation_gradient"

    def reference(self, f: BandLimitedSignal, grid: Grid, t: float | Tensor) -> Tensor:
        return t * f.norm(1)

    def slope(self, f: BandLimitedSignal) -> float:
        return float(f.norm(1).max()) / float(f.norm().max())

    def bound(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        moved = min(self._moved(f, grid, sizes), taylor_series(f, sizes.t) / float(f.norm().max()))
        return moved + float(theory.modulation_bound(sizes.omega))


class SobolevRule(_Polynomials):
    r"""Signals with :math:`\|(2\pi|\xi|)^s \hat f\|` known."""

    claim = "deformation_sobolev"
    unit_name = "|| (2 pi |xi|)^s f^ ||"

    def __init__(self, form: str, s: float) -> None:
        super().__init__(form)
        self.s, self.exponent = s, s

    def unit(self, f: BandLimitedSignal) -> Tensor:
        return f.norm(self.s)

    def slope(self, f: BandLimitedSignal) -> float:
        return 1.0

    def reference(self, f: BandLimitedSignal, grid: Grid, t: float | Tensor) -> Tensor:
        return 2 ** (1 - self.s) * t**self.s * f.norm(self.s)

    def bound(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        low = float(theory.taylor_bound(float(f.radius.max()), sizes.t))
        if self.form == "theorem" and sizes.D < 1:
            low = min(low, 1 + theory.sampling_factor(sizes.D, densities(f, grid)))
        high = sizes.t * self._factor(f, grid, sizes)
        moved = float(theory.sobolev_bound(self.s, low, high, 1.0))
        return moved + float(theory.modulation_bound(sizes.omega)) * self._ratio(f)

    def _ratio(self, f: BandLimitedSignal) -> float:
        """Norm over unit."""
        return float(f.norm().max()) / float(f.norm(self.s).max())

    def continuum(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        low = 1 + (1 - sizes.D) ** -0.5 if sizes.D < 1 else math.inf
        high = self.moved_in_continuum(f, grid, sizes)
        moved = float(theory.sobolev_bound(self.s, low, high, 1.0))
        return moved + float(theory.modulation_bound(sizes.omega)) * self._ratio(f)

    def cap(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        return super().cap(f, grid, sizes) * self._ratio(f)

    def constants(self, f: BandLimitedSignal) -> dict[str, Constant]:
        return {"s": Constant(self.s, "the class", "analytic"), **super().constants(f)}


class PiecewiseRule(Rule):
    """Lipschitz signals and cartoons: Lipschitz but for jumps along a small set."""

    needs_jacobian = False
    unit_name = ""

    def __init__(self, form: str, *, jumps: bool) -> None:
        self.form, self.jumps = form, jumps
        self.claim = "deformation_cartoon" if jumps else "deformation_lipschitz"
        self.exponent = 0.5 if jumps else 1.0

    def unit(self, f: PiecewiseLipschitzSignal) -> Tensor:
        return torch.ones_like(f.lipschitz)

    def reference(self, f: PiecewiseLipschitzSignal, grid: Grid, t: float | Tensor) -> Tensor:
        volume = math.prod(grid.extent)
        if not self.jumps:
            return f.lipschitz * t * math.sqrt(volume)
        K, across, tube = f.lipschitz * t, f.crossing_lipschitz * t + f.jump, self._tube(f, grid, t)
        return (K**2 * (volume - tube) + torch.maximum(K, across) ** 2 * tube).clamp_min(0).sqrt()

    def _tube(self, f: PiecewiseLipschitzSignal, grid: Grid, t: float | Tensor) -> Tensor:
        """Volume of the cells whose samples lie near the jump set."""
        near = f.near(grid.points(device=f.lipschitz.device), t)
        return near.flatten(-grid.ndim).sum(-1) * grid.cell_volume

    def bound(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes) -> float:
        if self.form == "published":
            return self._published(f, grid, sizes.t)
        turned = float(theory.modulation_bound(sizes.omega) * grid.norm(f.on(grid)).max()) if sizes.omega else 0.0
        return self._moved(f, grid, sizes) + turned

    def _moved(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes) -> float:
        K, across, J = (float(v.max()) for v in (f.lipschitz, f.crossing_lipschitz, f.jump))
        volume = math.prod(grid.extent)
        if not self.jumps:
            return float(theory.lipschitz_bound(sizes.t, K, volume))
        tube = float(self._tube(f, grid, sizes.t).max())
        return float(theory.piecewise_lipschitz_bound(sizes.t, K, across, J, tube, volume))

    def continuum(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes) -> float:
        K, across, J, tube = (float(v.max()) for v in (f.lipschitz, f.crossing_lipschitz, f.jump, f.tube(sizes.t)))
        volume = math.prod(grid.extent)
        turned = float(theory.modulation_bound(sizes.omega) * grid.norm(f.on(grid)).max()) if sizes.omega else 0.0
        return float(theory.piecewise_lipschitz_bound(sizes.t, K, across, J, tube, volume)) + turned

    def _published(self, f: PiecewiseLipschitzSignal, grid: Grid, t: float) -> float:
        """The sampled form for the unit interval, in the grid's norm."""
        length = grid.extent[0]
        K = max(float(f.lipschitz.max()) * length, float(f.jump.max()))
        h = grid.spacing[0]
        return math.sqrt(h) * float(theory.sampled_cartoon_bound_published(K, grid.size, t / length))

    def cap(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes) -> float:
        """No two values differ by more than K' times half the diagonal of the period, plus J."""
        half = 0.5 * math.hypot(*grid.extent)
        most = float((f.crossing_lipschitz * half + f.jump).max())
        return most * math.sqrt(math.prod(grid.extent))

    def constants(self, f: PiecewiseLipschitzSignal) -> dict[str, Constant]:
        if self.form == "published":
            return {"4": Constant(4.0, "Wiatowski et al., ICML 2016", "paper")}
        named = {"K": f.lipschitz} | ({"K'": f.crossing_lipschitz, "J": f.jump} if self.jumps else {})
        return {
            name: Constant(float(v.max()), "certificate of the signal", "certified", "per unit" if name != "J" else "")
            for name, v in named.items()
        }


#: Constant of the published kernel argument in one dimension, for the kernel 3 sinc(3x) cos(pi x) / (1 - 4 x^2).
PUBLISHED = Constant(
    theory.schur_constant(9.3054), "Schur's test with a raised-cosine kernel, ||gamma'||_1 by quadrature", "estimated"
)


def taylor_series(f: BandLimitedSignal, t: float) -> float:
    r"""Sum :math:`\sum_{m \ge 1} \frac{t^m}{m!} \|(2\pi|\xi|)^m \hat f\|` of one polynomial, rounded up."""
    p = f.polynomial
    weight = torch.ones_like(p.radius)
    power = math.prod(p.extent) * p.coefficients.detach().abs().reshape(-1, *p.box).square().sum(0)
    X = 2 * math.pi * float(f.radius.max()) * t
    total = 0.0
    for m in range(1, _TERMS + 1):
        weight = weight * (2 * math.pi * p.radius * t / m)
        term = float((weight.square() * power).sum().sqrt())
        total += term
        if m > 2 * X and term <= 1e-17 * total:
            return total * (1 + 1e-13)
    return math.inf


def rule_for(signals: SignalClass | Signal, form: str, grid: Grid) -> Rule:
    """The rule of a class, or of given signals.

    Raises
    ------
    ValueError
        For an unknown form, or a published form that does not exist for the class.
    """
    if form not in FORMS:
        raise ValueError(f"`deformation(bound=...)`: got {form!r}, expected one of {FORMS}.")
    if isinstance(signals, BandLimited):
        ball = signals.ball(grid)
        lengths = torch.linalg.vector_norm(ball.frequencies(), dim=0)
        rule: Rule = BandRule(form, float(lengths[ball.mask()].max()))
    elif isinstance(signals, Sobolev):
        rule = SobolevRule(form, signals.s) if signals.s < 1 else GradientRule(form)
    elif isinstance(signals, BandLimitedSignal):
        rule = GradientRule(form)
    else:
        rule = PiecewiseRule(form, jumps=_has_jumps(signals))
    if form == "published" and not (grid.ndim == 1 and isinstance(rule, (BandRule, PiecewiseRule))):
        raise ValueError(
            "`deformation(bound='published')`: known for the class BandLimited and for cartoons in one dimension only."
        )
    return rule


def _has_jumps(signals: Any) -> bool:
    if isinstance(signals, PiecewiseLipschitzSignal):
        return bool((signals.jump > 0).any())
    return getattr(signals, "jumps", False)
