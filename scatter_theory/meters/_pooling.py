r"""How the values of several sites become one.

Three reductions look only at the values of the sites: ``"sum_layer"`` adds them, ``"mean_layer"`` averages them, and
``"size_weighted"`` averages them with the sizes of the populations as weights. ``"pooled"`` is the value that the union
of the populations has, which depends on the kind of the quantity. With sizes n, means :math:`\bar x`, variances v:

.. math:: \bar x = \frac{\sum n_i \bar x_i}{n}, \qquad
          (n - c)\, v = \sum (n_i - c) v_i + \sum n_i (\bar x_i - \bar x)^2, \qquad n = \sum n_i,

with c = 1 for unbiased variances and c = 0 for those of the population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

Reduction = Literal["sum_layer", "mean_layer", "size_weighted", "pooled"]
Kind = Literal["sum", "root_sum", "mean", "root_mean", "variance", "cv2"]

#: Names of the reductions over sites.
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


@dataclass(frozen=True, slots=True)
class Pooling:
    """What kind of statistic a quantity is, and the quantities on which its pooled value rests.

    Parameters
    ----------
    kind : str
        ``"sum"`` of a function over the population, ``"root_sum"`` (square root of a sum), ``"mean"``, ``"root_mean"``
        (square root of a mean), ``"variance"``, or ``"cv2"`` (variance / mean^2).
    size : str
        Quantity that holds the size of the population: the weights of ``"size_weighted"``, and of ``"pooled"`` but for
        sums.
    mean, variance : str
        Quantities that hold the mean (for ``"variance"`` and ``"cv2"``) and the variance (for ``"cv2"``).
    unbiased : bool
        Divisor of variances: n - 1 or n.

    Raises
    ------
    ValueError
        For an unknown kind, or one whose mean or variance is not named.
    """

    kind: Kind
    size: str
    mean: str = ""
    variance: str = ""
    unbiased: bool = True

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"`Pooling(kind=...)`: got {self.kind!r}, expected one of {get_args(Kind)}.")
        for name in {"variance": ("mean",), "cv2": ("mean", "variance")}.get(self.kind, ()):
            if not getattr(self, name):
                raise ValueError(f"`Pooling({name}=...)`: kind {self.kind!r} needs the name of the quantity with it.")

    def over(self, x: np.ndarray, values: Mapping[str, np.ndarray], reduction: Reduction) -> np.ndarray:
        """One value per step from those of the sites.

        Parameters
        ----------
        x : (n_sites, n_steps) array
            The quantity; sites with NaN are left out of that step. The variance of a union counts them all the same,
            as a population of one entry has no unbiased variance of its own.
        values : mapping of str to (n_sites, n_steps) arrays
            Where `size` and `mean` are found.
        reduction : str
            One of `REDUCTIONS`.

        Returns
        -------
        (n_steps,) array
            NaN where no site has a value.

        Raises
        ------
        ValueError
            For an unknown reduction.
        """
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction`: got {reduction!r}, expected one of {REDUCTIONS}.")
        if reduction == "pooled" and self.kind in ("variance", "cv2"):
            return self._variance(x if self.kind == "variance" else values[self.variance], values)
        there = ~np.isnan(x)
        number = there.sum(0)
        n = np.where(there, np.nan_to_num(values[self.size]), 0.0)
        x = np.where(there, x, 0.0)
        rule = reduction if reduction != "pooled" else self.kind
        with np.errstate(divide="ignore", invalid="ignore"):
            if rule in ("sum_layer", "sum"):
                result = x.sum(0)
            elif rule == "mean_layer":
                result = x.sum(0) / number
            elif rule in ("size_weighted", "mean"):
                result = (n * x).sum(0) / n.sum(0)
            elif rule == "root_sum":
                result = np.sqrt(np.square(x).sum(0))
            else:
                result = np.sqrt((n * np.square(x)).sum(0) / n.sum(0))
        return np.where(number > 0, result, np.nan)

    def _variance(self, variances: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Variance of the union, over its squared mean for ``"cv2"``."""
        c = float(self.unbiased)
        n, means, variances = (np.nan_to_num(a) for a in (values[self.size], values[self.mean], variances))
        whole = n.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (n * means).sum(0) / whole
            M2 = (np.maximum(n - c, 0) * variances + n * np.square(means - mean)).sum(0)
            variance = np.where(whole > c, M2 / (whole - c), np.nan)
            return variance / np.square(mean) if self.kind == "cv2" else variance

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the fields."""
        return asdict(self)
