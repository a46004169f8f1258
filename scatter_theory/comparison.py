"""Several bounds of the same quantity beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.optional import data_frame


@dataclass(frozen=True, eq=False)
class Comparison:
    """Measured values and all bounds that are known for them, point by point; made by `BoundCheck.compare`.

    Parameters
    ----------
    title, x_label : str
    x, measured : (n_points,) arrays
    series : tuple of str
    bounds : dict of (n_points,) arrays
        By name, in the order in which they are shown; NaN where a bound says nothing.
    """

    title: str
    x_label: str
    x: np.ndarray
    measured: np.ndarray
    series: tuple[str, ...]
    bounds: Mapping[str, np.ndarray]

    @property
    def tightness(self) -> dict[str, np.ndarray]:
        """``measured / bound`` per bound and point; NaN over a bound of 0."""
        return {
            name: np.divide(self.measured, bound, out=np.full(self.measured.shape, np.nan), where=bound > 0)
            for name, bound in self.bounds.items()
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per point: series, place, measured value, then each bound and the share of it that was reached."""
        rows = []
        shares = self.tightness
        for i, name in enumerate(self.series):
            row: dict[str, Any] = {"series": name, self.x_label: float(self.x[i]), "measured": float(self.measured[i])}
            for key, bound in self.bounds.items():
                row[key] = float(bound[i])
                row[f"of {key}"] = float(shares[key][i])
            rows.append(row)
        return rows

    def to_frame(self) -> Any:
        """`table` as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return data_frame("Comparison", self.table(), "`table()`")

    def __str__(self) -> str:
        from scatter_theory import render

        return f"{self.title}\n\n{render.table_text(self.table())}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from scatter_theory import render

        return render.table_html(self.table(), caption=self.title)

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw one panel per series, a curve per bound and the measured points; returns the display."""
        from scatter_theory import plot

        return plot.ComparisonDisplay.from_comparison(self).plot(ax=ax, **style)
