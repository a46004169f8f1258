"""The power with which deformation distances fall, beside the one that the theorem promises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck
from scatter_theory.search import Effort
from scatter_theory.seeds import Seed
from scatter_theory.signals import Signal, SignalClass
from scatter_theory.verify._deformation import deformation

#: Half-width below which an interval is not reported: finitely many sizes do not tell exponents closer than this.
RESOLUTION = 0.01
#: Sizes of a sweep, and how many times the smallest the largest is.
COUNT, RANGE = 10, 1000.0


@dataclass(frozen=True)
class Fit:
    """A slope on logarithmic axes with its interval, and the points that it came from."""

    exponent: float
    interval: tuple[float, float]
    points: int

    def contains(self, exponent: float) -> bool:
        """Whether an exponent lies in the interval."""
        return self.interval[0] <= exponent <= self.interval[1]


@dataclass(frozen=True)
class RateCheck:
    r"""Measured exponents of :math:`\sup|\tau|` beside the promised one.

    A rate is a statement about constants that are not known, so that no finite measurement proves or refutes it:
    a rate check has no outcome. An interval that lies wholly below the promised exponent shows that a hypothesis fails,
    for example that a signal is not band-limited; a slope above it says that the class was not exhausted.

    Parameters
    ----------
    promised : float
        Exponent of the theorem.
    fits : mapping of str to Fit
        By output: ``"signal"``, ``"all layers"``, each layer. Outputs without three positive values are left out.
    check : BoundCheck
        The measurement.
    """

    promised: float
    fits: Mapping[str, Fit]
    check: BoundCheck

    def recovered(self, output: str = "signal") -> bool:
        """Whether the promised exponent lies in the interval of an output."""
        return self.fits[output].contains(self.promised)

    def __str__(self) -> str:
        lines = [f"{self.check.claim}: promised exponent {self.promised:g}"]
        for output, fit in self.fits.items():
            low, high = fit.interval
            lines.append(f"  {output:<12} {fit.exponent:.4f}  [{low:.4f}, {high:.4f}]  from {fit.points} sizes")
        return "\n".join(lines)

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise TypeError("The truth of a rate check is ambiguous. Use `rate.recovered(output)`.")

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the measurement with the promised slope; returns the display."""
        return self.check.plot(ax=ax, **style)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        fits = {
            output: {"exponent": fit.exponent, "interval": list(fit.interval), "points": fit.points}
            for output, fit in self.fits.items()
        }
        return {"promised": self.promised, "fits": fits, "check": self.check.to_dict()}


def deformation_rate(
    phi: FeatureExtractor,
    signals: SignalClass | Signal | Tensor | np.ndarray,
    *,
    sup_tau: Sequence[float] | None = None,
    effort: Effort = Effort(random=8, structured=64, steps=0, restarts=0),  # noqa: B008 - frozen
    generator: Seed = None,
    **options: Any,
) -> RateCheck:
    r"""Fit the exponent :math:`\alpha` in distance :math:`\approx C \sup|\tau|^\alpha` to the worst cases found.

    Parameters
    ----------
    phi, signals, effort, generator, **options
        As in `deformation`, which measures.
    sup_tau : sequence of float, optional
        At least three sizes. Default: ten sizes over three decades, of which the largest is a twentieth of the largest
        period. On a grid a jump is seen only by displacements of several samples: give sizes from 4 samples upwards for
        signals with jumps.

    Returns
    -------
    RateCheck

    Raises
    ------
    ValueError
        For fewer than three sizes, and as `deformation`.

    Notes
    -----
    The slope is that of a least-squares line through the logarithms. The half-width of its interval is Student's, for
    95 %, plus the difference of the slopes of the lower and the upper half (curvature), and at least `RESOLUTION`.
    """
    if sup_tau is None:
        sup_tau = np.geomspace(max(phi.grid.extent) / 20 / RANGE, max(phi.grid.extent) / 20, COUNT).tolist()
    if np.ndim(sup_tau) == 1 and len(sup_tau) < 3:
        raise ValueError(f"`deformation_rate(sup_tau=...)`: got {len(sup_tau)} sizes, expected at least 3.")
    check = deformation(phi, signals, sup_tau=sup_tau, effort=effort, generator=generator, **options)
    fits = {}
    for output in dict.fromkeys(check.series):
        rows = [i for i, s in enumerate(check.series) if s == output]
        fit = fitted(check.x[rows], check.measured[rows], check.rounding[rows])
        if fit is not None:
            fits[output] = fit
    promised = check.constants["s"].value if "s" in check.constants else PROMISED.get(check.claim, 1.0)
    return RateCheck(promised, fits, check)


#: Exponents that are not 1.
PROMISED = {"deformation_cartoon": 0.5}


def fitted(x: np.ndarray, y: np.ndarray, rounding: np.ndarray) -> Fit | None:
    """Slope of log y over log x with its interval, from the points that stand clear of rounding; None below three."""
    clear = (y > 1e3 * rounding) & np.isfinite(y)
    if np.count_nonzero(clear) < 3:
        return None
    u, v = np.log(x[clear]), np.log(y[clear])
    n = len(u)
    slope, error = _slope(u, v)
    width = _student(n - 2) * error
    if n >= 6:
        order = np.argsort(u)
        low, high = order[: n // 2], order[n // 2 :]
        width += abs(_slope(u[low], v[low])[0] - _slope(u[high], v[high])[0])
    width = max(width, RESOLUTION)
    return Fit(slope, (slope - width, slope + width), n)


def _slope(u: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Least-squares slope and its standard error (0 for two points)."""
    centred = u - u.mean()
    slope = float(centred @ v / (centred @ centred))
    rest = v - v.mean() - slope * centred
    freedom = len(u) - 2
    return slope, math.sqrt(float(rest @ rest) / freedom / float(centred @ centred)) if freedom > 0 else 0.0


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
