"""Where each estimator lies between a small estimating error and a stable gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from scatter_theory.bnn._binarize import binarize
from scatter_theory.bnn._density import Density, Uniform, density_of
from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._names import named
from scatter_theory.bnn._pareto import Pareto
from scatter_theory.bnn._pareto_curve import ParetoCurve, pareto_curve
from scatter_theory.bnn._periodic import FDA
from scatter_theory.bnn._polynomial import RBNN, ApproxSign
from scatter_theory.bnn._population import Population, in_the_limit, population
from scatter_theory.bnn._reste import ReSTE
from scatter_theory.bnn._smooth import DSQ, EDE, SwishSign
from scatter_theory.bnn._straight_through import ClippedSTE, IdentitySTE, ReCU
from scatter_theory.optional import data_frame
from scatter_theory.seeds import Seed, seeded

#: Points on (0, upper] at which the hypotheses of the bound are checked.
_POINTS = 1000

#: Distance of f(c) from 1 that counts as rounding.
_END = 1e-9


@dataclass(frozen=True)
class Measured:
    """The quantities of a `Population` on drawn values, through `binarize` and its backward pass.

    Parameters
    ----------
    error, mean, variance : float
        Mean of (b(z) - f(z))^2, mean and unbiased variance of |gradient| for the upstream gradient 1.
    error_deviation, variance_deviation : float
        Standard errors of `error` and `variance`, from the second and fourth moments of the sample.
    """

    error: float
    mean: float
    variance: float
    error_deviation: float
    variance_deviation: float

    @property
    def cv2(self) -> float:
        """Variance over squared mean; NaN if the mean is 0."""
        return self.variance / self.mean**2 if self.mean > 0 else math.nan


@dataclass(frozen=True, eq=False)
class Frontier:
    """Error and stability of several estimators, expected and measured, with the curve below which none can lie.

    Parameters
    ----------
    names : tuple of str
    estimators : tuple of Estimator
    density : Density
        Distribution of the latent values.
    populations : tuple of Population
        Expected values.
    measured : tuple of Measured
        Values on one and the same sample for all.
    bounded : tuple of bool
        Whether the theorem of `curve` speaks of the estimator.
    curve : ParetoCurve
        Least variance at each error: on U(-c, c) for f(c) = 1, in closed form; on other densities for all.
    bounded_scale_free : tuple of bool
        Whether the theorem of `curve_scale_free` speaks of it.
    curve_scale_free : ParetoCurve
        Least CV^2 at each error.
    samples, seed : int
        Size of the sample, and what reproduces it.
    """

    names: tuple[str, ...]
    estimators: tuple[Estimator, ...]
    density: Density
    populations: tuple[Population, ...]
    measured: tuple[Measured, ...]
    bounded: tuple[bool, ...]
    curve: ParetoCurve
    bounded_scale_free: tuple[bool, ...]
    curve_scale_free: ParetoCurve
    samples: int
    seed: int

    def table(self, *, scale_free: bool = False) -> list[dict[str, Any]]:
        """One row per estimator: expected and measured error and stability, and the least stability at that error.

        Parameters
        ----------
        scale_free : bool
            Show CV^2 = variance / mean^2 in the place of the variance: a factor on f' changes the latter, so that a
            steep line is called stable and a flat curve too.
        """
        curve, bounded = self._bound(scale_free)
        column = "CV^2" if scale_free else "stability"
        rows = []
        for name, p, m, applies in zip(self.names, self.populations, self.measured, bounded, strict=True):
            expected, found = (p.cv2, m.cv2) if scale_free else (p.variance, m.variance)
            row = {"estimator": name, "error": p.error, "measured error": m.error, column: expected}
            row |= {
                f"measured {column}": found,
                f"least {column}": curve.stability_at(p.error) if applies else math.nan,
            }
            rows.append(row | {"mean slope": p.mean, "effective share": p.effective_share, "method": p.method})
        return rows

    def to_frame(self, *, scale_free: bool = False) -> Any:
        """`table` as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return data_frame("Frontier", self.table(scale_free=scale_free), "`table()`")

    def plot(self, ax: Any = None, *, scale_free: bool = False, **style: Any) -> Any:
        """Draw stability, or CV^2, over error; returns the display object with its artists."""
        from scatter_theory.plot import FrontierDisplay

        return FrontierDisplay.from_frontier(self, scale_free=scale_free).plot(ax=ax, **style)

    def _bound(self, scale_free: bool) -> tuple[ParetoCurve, tuple[bool, ...]]:
        return (self.curve_scale_free, self.bounded_scale_free) if scale_free else (self.curve, self.bounded)

    @property
    def heading(self) -> str:
        """What was compared, and where."""
        return f"estimating error against gradient stability, latent values {self.density.name}"

    def __str__(self) -> str:
        from scatter_theory import render

        note = f"measured on {self.samples} values, seed {self.seed}; least: {self.curve.method}"
        note += "" if self.curve.condition == "none" else f", among estimators with {self.curve.condition}"
        return f"{self.heading}\n\n{render.table_text(self.table())}\n\n{note}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from scatter_theory import render

        return render.table_html(self.table(), caption=self.heading)


def frontier(
    estimators: Iterable[Estimator] | Mapping[str, Estimator] | None = None,
    density: str | Density = "normal",
    scale: float = 1.0,
    *,
    samples: int = 100_000,
    generator: Seed = 0,
) -> Frontier:
    """Compare estimators by error and stability over a distribution of latent values, with the upstream gradient 1.

    A small error means that forward and backward pass agree, a small variance of the multiplier that the gradient is
    stable; one is paid with the other, and the curve of `pareto_curve` is the best price. This compares multipliers,
    not trained accuracy, and the order depends on the distribution.

    The bound speaks of estimators whose f is the integral of f' >= 0 with f(0) = 0, and on U(-c, c) with f(c) = 1; the
    others have no entry under "least". ReSTE with the convention "power" is one of them: its error and its multiplier
    belong to different curves.

    Parameters
    ----------
    estimators : iterable or mapping of Estimator, optional
        What to compare; the keys of a mapping are names. Default: `typical_estimators`.
    density : {"normal", "uniform"} or Density
    scale : float
        As for `population`.
    samples : int
        Drawn values, at least 2.
    generator : int, torch.Generator or None
        Seed of the drawn values.

    Returns
    -------
    Frontier

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Examples
    --------
    >>> from scatter_theory import bnn
    >>> result = frontier([bnn.ApproxSign(), bnn.DSQ(5.0)], "uniform")
    >>> [round(row["least stability"], 4) for row in result.table()]
    [0.2888, 2.2364]
    """
    chosen = density_of(density, scale, "frontier")
    given = typical_estimators() if estimators is None else estimators
    chosen_estimators = named(given, "frontier")
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise ValueError(f"`frontier(samples=...)`: got {samples!r}, expected a whole number >= 2.")
    source, seed = seeded(generator)
    z = chosen.draw(samples, source)
    curve = pareto_curve(chosen, mean=1 / chosen.upper if isinstance(chosen, Uniform) else None)
    populations = tuple(population(e, chosen) for e in chosen_estimators.values())
    free = tuple(_admissible(p) for p in populations)
    ends = [_reaches_one(e, chosen) if isinstance(chosen, Uniform) else True for e in chosen_estimators.values()]
    return Frontier(
        names=tuple(chosen_estimators),
        estimators=tuple(chosen_estimators.values()),
        density=chosen,
        populations=populations,
        measured=tuple(measure(e, z) for e in chosen_estimators.values()),
        bounded=tuple(a and b for a, b in zip(free, ends, strict=True)),
        curve=curve,
        bounded_scale_free=free,
        curve_scale_free=pareto_curve(chosen, scale_free=True),
        samples=samples,
        seed=seed,
    )


def measure(estimator: Estimator, z: torch.Tensor) -> Measured:
    """Error and moments of the gradient on given values, by one backward pass of `binarize` with the upstream 1."""
    leaf = z.detach().clone().requires_grad_()
    b = binarize(leaf, estimator)
    (gradient,) = torch.autograd.grad(b.sum(), leaf)
    squares = (b.detach() - estimator.surrogate(z)) ** 2
    moduli = gradient.abs()
    n, mean, variance = z.numel(), moduli.mean(), moduli.var()
    fourth = ((moduli - mean) ** 4).mean()
    return Measured(
        error=float(squares.mean()),
        mean=float(mean),
        variance=float(variance),
        error_deviation=float(squares.std()) / math.sqrt(n),
        variance_deviation=math.sqrt(max(0.0, float(fourth - variance**2)) / n),
    )


def typical_estimators() -> list[Estimator]:
    """Every kind of estimator at a few settings; ReSTE with the surrogate that is the integral of its multiplier.

    Without BiPer, whose binary value is another one, and whose multiplier is of the size of its frequency, 20 or 30.

    Returns
    -------
    list of Estimator
        Frozen, in a fixed order.
    """
    return [
        *(ReSTE(o, convention="antiderivative") for o in (1.5, 2.0, 3.0, 5.0, 10.0)),
        *(Pareto(a) for a in (2.0, 5.0, 8.0)),
        *(IdentitySTE(), ClippedSTE(), ReCU(0.85), ApproxSign(), SwishSign()),
        *(EDE(1.0, 1.0), EDE(2.0, 1.0), EDE(10.0, 1.0)),
        *(RBNN(1.0, 1.0), RBNN(10.0, 1.0), DSQ(2.0), DSQ(5.0), FDA(1, math.pi / 2), FDA(2, math.pi / 2)),
    ]


def _admissible(p: Population) -> bool:
    """Whether f is the integral of f' >= 0 of finite variance, with f(0) = 0, and the binary value is the sign."""
    estimator = in_the_limit(p.estimator, p.density)
    if type(estimator).forward is not Estimator.forward or not estimator.elementwise or p.variance == math.inf:
        return False
    u = torch.linspace(0, p.density.upper, _POINTS + 1, dtype=torch.float64)
    starts = float(estimator.surrogate(u[:1]))
    return starts == 0 and bool((estimator.multiplier(u[1:]) >= 0).all()) and estimator.is_antiderivative(u[1:])


def _reaches_one(estimator: Estimator, density: Uniform) -> bool:
    end = in_the_limit(estimator, density).surrogate(torch.tensor([density.scale], dtype=torch.float64))
    return abs(float(end) - 1) <= _END
