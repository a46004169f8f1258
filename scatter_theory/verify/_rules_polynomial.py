r"""Deformation bounds of trigonometric polynomials: by band limit, by gradient, by Sobolev norm."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.constants import Constant
from scatter_theory.grid import Grid
from scatter_theory.signals import BandLimitedSignal
from scatter_theory.verify._rules import Rule, Sizes

#: Terms of Taylor's series; what is left out is bounded by the ratio test.
_TERMS = 400


#: Constant of the published kernel argument in one dimension, for the kernel 3 sinc(3x) cos(pi x) / (1 - 4 x^2).
PUBLISHED = Constant(
    theory.schur_constant(9.3054), "Schur's test with a raised-cosine kernel, ||gamma'||_1 by quadrature", "estimated"
)


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
