r"""Estimating error and gradient stability of an estimator for a whole distribution of latent values.

With the upstream gradient 1 and a latent value z of density p,

.. math:: e = E\,(b(z) - f(z))^2, \qquad s = \operatorname{var} |f'(z)|, \qquad
          \mathrm{CV}^2 = s / (E |f'|)^2, \qquad \text{effective share} = 1/(1 + \mathrm{CV}^2),

where b is the binary value of the estimator: the sign, except for BiPer. A factor on f' multiplies s by its square and
leaves CV^2 as it is. If f' grows at 0 like :math:`u^{1/o - 1}` with o >= 2, the integral of :math:`f'^2 \sim
u^{2/o - 2}` diverges at every density that is positive at 0, and s is infinite.

**Quadrature.** Gauss-Legendre of 16 nodes on equal cells of [0, upper], cut at the kinks of estimator and density, at
the zeros of f' and the jumps of b (found by bisection), and at the 200 octaves below the upper end. Below the last
octave stands a power law, so that its integrals over octaves are a geometric series with the ratio r of the last two:
the rest is the last one times r/(1 - r), and infinite for r >= 1. The number of cells doubles until the results agree
to 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from scatter_theory.bnn._binarizer import check_estimator
from scatter_theory.bnn._closed_forms import closed_form
from scatter_theory.bnn._density import Density, Normal, Uniform, density_of
from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._straight_through import ClippedSTE, ReCU

Method = Literal["closed form", "quadrature"]
Values = Callable[[Tensor], Tensor]

_OCTAVES = 200
_FIRST, _LAST = 1 << 10, 1 << 16
_AGREEMENT = 1e-12

#: Distance of the ratio of octaves from 1 below which an integral counts as divergent.
_DIVERGENT = 1e-9


@dataclass(frozen=True)
class Population:
    """Expected error and moments of the multiplier; made by `population`.

    Parameters
    ----------
    estimator : Estimator
    density : Density
    error : float
        E (b(z) - f(z))^2, the mean squared estimating error.
    mean : float
        E |f'|.
    variance : float
        var |f'|, the gradient stability for the upstream gradient 1; large means unstable, inf is possible.
    method : {"closed form", "quadrature"}
        How the three were found.
    uncertainty : float
        Largest change, relative to 1 + value, when the cells of the quadrature were last doubled; 0 for closed forms.
    """

    estimator: Estimator
    density: Density
    error: float
    mean: float
    variance: float
    method: Method
    uncertainty: float = 0.0

    @property
    def cv2(self) -> float:
        """Variance over squared mean, which no factor on f' changes; NaN if f' is 0 almost everywhere."""
        return self.variance / self.mean**2 if self.mean > 0 else math.nan

    @property
    def effective_share(self) -> float:
        """1/(1 + CV^2) = (E |f'|)^2 / E f'^2: q if a share q of the entries has one |f'| and the rest 0."""
        return 1 / (1 + self.cv2)

    def __str__(self) -> str:
        return (
            f"{self.estimator} on {self.density.name} ({self.method}): error {self.error:.6g}, multiplier of mean "
            f"{self.mean:.6g} and variance {self.variance:.6g}, CV^2 {self.cv2:.6g}, effective share "
            f"{self.effective_share:.4g}"
        )


def population(estimator: Estimator, density: str | Density = "normal", scale: float = 1.0) -> Population:
    """Error and stability of an estimator over a distribution of latent values.

    Closed forms for identity, clipped identity, ReCU, parabolas and all forms of ReSTE; on uniform densities also for
    hyperbolic tangents, a square wave of matching period, and the optimal estimator. Otherwise quadrature.

    Parameters
    ----------
    estimator : Estimator
        ReCU, whose threshold is a mean over the tensor, is taken in the limit of many values.
    density : {"normal", "uniform"} or Density
        N(0, scale^2), U(-scale, scale), or a distribution of your own such as ``CustomDensity(function, support)``.
    scale : float
        In (0, inf).

    Returns
    -------
    Population

    Raises
    ------
    TypeError
        If `estimator` is no `Estimator`.
    ValueError
        If the density is unknown, the scale not positive, or f depends on the whole tensor in an unknown way.

    Examples
    --------
    >>> from scatter_theory import bnn
    >>> p = population(bnn.ReSTE(o=3.0, convention="antiderivative"))
    >>> round(p.error, 6), round(p.variance, 6), round(p.effective_share, 6), p.method
    (0.095396, 1.373665, 0.318543, 'closed form')
    >>> round(population(bnn.ApproxSign(), "uniform").variance, 12)
    0.333333333333
    """
    check_estimator("population", estimator)
    chosen = density_of(density, scale, "population")
    pointwise = in_the_limit(estimator, chosen)
    known = closed_form(pointwise, chosen)
    if known is not None:
        return Population(estimator, chosen, *known, method="closed form")
    moments, uncertainty = _quadrature(pointwise, chosen)
    return Population(estimator, chosen, *moments, method="quadrature", uncertainty=uncertainty)


def in_the_limit(estimator: Estimator, density: Density) -> Estimator:
    """The pointwise estimator that one with a statistic of the tensor tends to."""
    if estimator.pointwise:
        return estimator
    if not isinstance(estimator, ReCU):
        raise ValueError(
            f"`population(estimator=...)`: {estimator} depends on the whole tensor, and its limit for many values is "
            "not known; measure it on a sample with `frontier` or `binarize`."
        )
    if isinstance(density, Normal):
        mean = math.sqrt(2 / math.pi) * density.scale
    elif isinstance(density, Uniform):
        mean = density.scale / 2
    else:
        mean = _integral(lambda u: u, density, _ends(density, density.kinks, _FIRST))
    return ClippedSTE(-mean * math.log(2 - 2 * estimator.tau))


def _quadrature(estimator: Estimator, density: Density) -> tuple[tuple[float, float, float], float]:
    """(error, mean, variance) and their uncertainty."""

    def binary(u: Tensor) -> Tensor:
        return estimator.forward(u, 1)

    def slope(u: Tensor) -> Tensor:
        return estimator.gradient(u, torch.ones_like(u))

    before: tuple[float, float, float] | None = None
    cells, change = _FIRST, math.inf
    while True:
        ends = _ends(density, (*density.kinks, *estimator.kinks), cells)
        ends = np.union1d(ends, np.concatenate([_jumps(slope, ends), _jumps(binary, ends)]))
        mean = _integral(lambda u: slope(u).abs(), density, ends)
        error = _integral(lambda u: (binary(u) - estimator.surrogate(u)) ** 2, density, ends)
        variance = _integral(lambda u, mean=mean: (slope(u).abs() - mean) ** 2, density, ends)
        now = error, mean, variance
        if before is not None:
            change = max(0.0 if a == b else abs(a - b) / (1 + abs(a)) for a, b in zip(now, before, strict=True))
        if change <= _AGREEMENT or cells == _LAST:
            return now, change
        before, cells = now, 2 * cells


def _ends(density: Density, kinks: tuple[float, ...], cells: int) -> np.ndarray:
    """Increasing ends of cells from upper/2^200 on."""
    top = density.upper
    octaves = top * 0.5 ** np.arange(_OCTAVES + 1)
    cuts = [k for k in kinks if octaves[-1] < k < top]
    return np.unique(np.concatenate([np.linspace(0, top, cells + 1)[1:], octaves, cuts]))


def _jumps(function: Values, ends: np.ndarray) -> np.ndarray:
    """Places where the sign changes between neighbouring ends, to the last digit."""
    low, high = ends[:-1], ends[1:]
    signs = np.sign(_at(function, ends))
    where = signs[:-1] * signs[1:] < 0
    low, high, left = low[where], high[where], signs[:-1][where]
    for _ in range(60 if where.any() else 0):
        middle = 0.5 * (low + high)
        same = np.sign(_at(function, middle)) == left
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return high


def _at(function: Values, u: np.ndarray) -> np.ndarray:
    return function(torch.from_numpy(np.ascontiguousarray(u))).numpy()


def _integral(function: Values, density: Density, ends: np.ndarray) -> float:
    """E function(u), with what lies below the first end as a geometric series of octaves."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    width = np.diff(ends)[:, None]
    u = ends[:-1, None] + 0.5 * (nodes + 1) * width
    parts = (0.5 * width * _at(function, u) * density.of_modulus(u)) @ weights
    last, above = float(parts[0]), float(parts[1])
    ratio = last / above if above > 0 else 0.0
    if ratio > 1 - _DIVERGENT:
        return math.inf
    return float(parts.sum()) + last * ratio / (1 - ratio)
