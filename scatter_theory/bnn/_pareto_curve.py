r"""The least gradient stability s at each estimating error e: a lower bound for all estimators at once.

For u = |z| with density p on (0, c), and for odd surrogates f that are absolutely continuous with f(0) = 0, f' >= 0
and finite :math:`E f'^2`, let :math:`e(f) = E (1 - f)^2` and :math:`s(f) = \operatorname{var} f'`.

**Theorem.** Let :math:`\lambda > 0` and let f* minimise :math:`e + \lambda s` under a linear side condition. Then every
f with that side condition satisfies :math:`e(f) + \lambda s(f) \ge e(f^*) + \lambda s(f^*)`, so that its point (e, s)
lies on or above a supporting line of the curve of all f*, hence on or above the curve.

*Proof.* The inequality is the minimality of f*. A minimiser exists: e and s are convex quadratic in f, s vanishes on
lines :math:`f = c u` only, and e grows without bound along these. So the points of all f, with everything to their
upper right, form a convex set, and the curve is its lower boundary. f' >= 0 enters only because s is measured as the
variance of :math:`|f'|`, which is smaller than that of f' where f' changes its sign.

**Uniform density, f(c) = 1.** Then :math:`E f' = f(c)/c` is fixed, and for c = 1 the Euler-Lagrange equation of
:math:`\int (1 - f)^2 + \lambda f'^2` is :math:`\lambda f'' = f - 1`, solved with the two end values by

.. math:: f^*(u) = 1 - \frac{\sinh(a (1 - u))}{\sinh a}, \qquad a = \lambda^{-1/2},

the estimator `Pareto`. Another c gives :math:`f^*(u/c)`, with the same e, and s divided by c^2.

**Any density.** With the multiplier :math:`\nu` of the mean :math:`\mu = E f'` the Euler-Lagrange equation is

.. math:: \lambda (p f')' - \nu p' = p\,(f - 1), \qquad f(0) = 0, \quad p\,(\lambda f' - \nu) = 0 \text{ at } c.

On piecewise linear f and a density that is constant in each cell this is a tridiagonal system
:math:`(M + \lambda S) f = M 1 + \nu w` with the mass matrix M, the stiffness matrix S and :math:`w \cdot f = \mu`. Its
solution is affine in :math:`\nu`, :math:`f = f_0 + \nu f_1`, and the side condition fixes :math:`\nu`:

* a given mean: :math:`w f_0 + \nu\, w f_1 = \mu`;
* a free mean: :math:`\nu = \lambda \mu`, as the mean enters s, hence
  :math:`\nu = \lambda\, w f_0/(1 - \lambda\, w f_1)`;
* CV^2 = s/mu^2 in the place of s, with :math:`\lambda/\mu^2` renamed :math:`\lambda`: stationarity is
  :math:`\nu \mu = \lambda E f'^2`, a quadratic equation in :math:`\nu`. As :math:`\sqrt{s} \le \sqrt{C}\, E f'` is a
  convex cone, each solution with :math:`\mu > 0` has the least error among all f with its CV^2.

For the uniform density and the mean 1/c the two ways agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scatter_theory.bnn._closed_forms import optimum
from scatter_theory.bnn._density import Density, Uniform, density_of

_CELLS = 4000
_WEIGHTS = 240
_WEIGHTS_CLOSED = 2000

#: Range of the weight lambda, in units of E z^2; that of the sharpness a of the closed form follows.
_RANGE = (1e-4, 1e3)


@dataclass(frozen=True, eq=False)
class ParetoCurve:
    """Lower boundary of all points (error, stability); made by `pareto_curve`.

    Parameters
    ----------
    density : Density
    scale_free : bool
        Whether `stability` is CV^2 rather than the variance of f'.
    condition : str
        Side condition on f beside f(0) = 0.
    method : {"closed form", "discretised"}
    weight, error, stability, mean : (n,) arrays
        lambda, e, s and E f', by increasing error.
    """

    density: Density
    scale_free: bool
    condition: str
    method: Literal["closed form", "discretised"]
    weight: np.ndarray
    error: np.ndarray
    stability: np.ndarray
    mean: np.ndarray

    def stability_at(self, error: float) -> float:
        r"""Least stability at an error > 0.

        For variances the largest of the supporting lines :math:`s^* + (e^* - e)/\lambda`, which bounds from below at
        any number of weights; for CV^2, whose curve need not be convex, interpolation of the logarithms, and NaN at
        errors smaller than that of the least weight.
        """
        if not self.scale_free:
            return float(np.maximum((self.stability + (self.error - error) / self.weight).max(), 0.0))
        x, y = np.log(self.error), np.log(self.stability)
        inside = np.interp(math.log(error), x, y, left=np.nan, right=-np.inf)
        return float(np.exp(inside))


def pareto_curve(
    density: str | Density = "normal", scale: float = 1.0, *, mean: float | None = None, scale_free: bool = False
) -> ParetoCurve:
    """Least stability at each error, for all estimators with f(0) = 0 whose f is the integral of f' >= 0.

    Parameters
    ----------
    density : {"normal", "uniform"} or Density
    scale : float
        As for `population`.
    mean : float, optional
        Value > 0 of E f'; only estimators that have it are bounded then. On U(-c, c) it is f(c)/c, and 1/c, which means
        f(c) = 1, has a closed form. Default: free, so that all estimators are bounded.
    scale_free : bool
        Bound CV^2 = var f'/(E f')^2; with a free mean only.

    Returns
    -------
    ParetoCurve

    Raises
    ------
    ValueError
        If the density is unknown, `mean` not positive, or `mean` and `scale_free` are both given.

    Examples
    --------
    >>> round(pareto_curve("uniform", mean=1.0).stability_at(0.1), 3)
    1.501
    """
    chosen = density_of(density, scale, "pareto_curve")
    if mean is not None and scale_free:
        raise ValueError(
            "`pareto_curve(mean=..., scale_free=True)`: no scale is left to be free; leave one of them out."
        )
    if mean is not None and not 0 < mean < np.inf:
        raise ValueError(f"`pareto_curve(mean=...)`: got {mean!r}, expected a finite number > 0.")
    if isinstance(chosen, Uniform) and mean == 1 / chosen.scale:
        return _uniform(chosen)
    return _discretised(chosen, mean, scale_free)


def _uniform(density: Uniform) -> ParetoCurve:
    c = density.scale
    weight = np.geomspace(*_RANGE, _WEIGHTS_CLOSED) / 3
    error, variance = np.array([optimum(a) for a in weight**-0.5]).T
    condition = f"f({c:g}) = 1"
    return ParetoCurve(
        density, False, condition, "closed form", weight * c**2, error, variance / c**2, 0 * error + 1 / c
    )


def _discretised(density: Density, mean: float | None, scale_free: bool) -> ParetoCurve:
    ends, mass = _cells(density)
    width = np.diff(ends)
    middle = 0.5 * (ends[1:] + ends[:-1])
    weight = np.geomspace(*_RANGE, _WEIGHTS) * float((mass * (middle**2 + width**2 / 12)).sum())
    # f at the ends but 0, shape (n_cells, n_weights): with the mean left out, and its change with nu.
    stiff, flux = mass / width**2, mass / width
    slopes = flux - np.append(flux[1:], 0.0)
    load = 0.5 * (mass + np.append(mass[1:], 0.0))
    f0, f1 = _solve(mass, stiff, weight, np.stack([load, slopes]))

    m0, m1 = slopes @ f0, slopes @ f1
    d0, d1 = (np.diff(f, axis=0, prepend=0.0) for f in (f0, f1))
    s00, s01, s11 = stiff @ d0**2, stiff @ (d0 * d1), stiff @ d1**2
    if scale_free:
        nus = _roots(m1 - weight * s11, m0 - 2 * weight * s01, -weight * s00)
    elif mean is None:
        nus = (weight * m0 / (1 - weight * m1),)
    else:
        nus = ((mean - m0) / m1,)
    columns = [_read(weight, nu, mass, width, f0 + nu * f1, scale_free) for nu in nus]
    table = np.concatenate(columns, axis=1)
    table = table[:, np.isfinite(table).all(0) & (table[3] > 0)]
    condition = "none" if mean is None else f"E f' = {mean:g}"
    return ParetoCurve(density, scale_free, condition, "discretised", *table[:, np.argsort(table[1])])


def _read(
    weight: np.ndarray, nu: np.ndarray, mass: np.ndarray, width: np.ndarray, f: np.ndarray, scale_free: bool
) -> np.ndarray:
    """Rows weight, error, stability, mean."""
    r = np.concatenate([np.ones((1, f.shape[1])), 1 - f])
    error = mass @ (r[:-1] ** 2 + r[:-1] * r[1:] + r[1:] ** 2) / 3
    slope = -np.diff(r, axis=0) / width[:, None]
    mean = mass @ slope
    variance = mass @ (slope - mean) ** 2
    return np.stack([weight + 0 * nu, error, variance / mean**2 if scale_free else variance, mean])


def _cells(density: Density) -> tuple[np.ndarray, np.ndarray]:
    """Ends of cells, finer towards 0, and their probabilities; a stretch without probability is one cell."""
    ends = np.union1d(density.upper * np.linspace(0, 1, _CELLS + 1) ** 2, density.kinks)
    nodes, weights = np.polynomial.legendre.leggauss(4)

    def masses(ends: np.ndarray) -> np.ndarray:
        width = np.diff(ends)[:, None]
        return (0.5 * width * density.of_modulus(ends[:-1, None] + 0.5 * (nodes + 1) * width)) @ weights

    there = masses(ends) > 0
    keep = np.append(there, False) | np.append(True, there)
    ends = ends[keep]
    return ends, masses(ends)


def _solve(mass: np.ndarray, stiff: np.ndarray, weight: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions of (M + lambda S) f = right for all lambda, shape ``(2, n_cells, n_weights)``, by elimination."""
    n = mass.size
    shared = mass[:, None] / 3 + weight * stiff[:, None]  # (n_cells, n_weights)
    beside = mass[:, None] / 6 - weight * stiff[:, None]
    diagonal = shared.copy()
    diagonal[:-1] += shared[1:]
    f = np.repeat(right[:, :, None], weight.size, axis=2)
    for i in range(1, n):
        factor = beside[i] / diagonal[i - 1]
        diagonal[i] -= factor * beside[i]
        f[:, i] -= factor * f[:, i - 1]
    f[:, n - 1] /= diagonal[n - 1]
    for i in range(n - 2, -1, -1):
        f[:, i] = (f[:, i] - beside[i + 1] * f[:, i + 1]) / diagonal[i]
    return f


def _roots(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both roots of a x^2 + b x + c; NaN where they are not real."""
    with np.errstate(invalid="ignore", divide="ignore"):
        half = -0.5 * (b + np.copysign(np.sqrt(b * b - 4 * a * c), b))
        return half / a, c / half
