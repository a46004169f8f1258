"""Several bounds of one quantity, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, DASHES, spans_decades

_COLUMNS = 3
_TICKS = 6


@dataclass(eq=False, kw_only=True, repr=False)
class ComparisonDisplay(Display):
    """One panel per series: a curve per bound, the measured values as black points; axes alike in all panels.

    Parameters
    ----------
    x, measured : (n_points,) arrays
    bounds : dict of (n_points,) arrays
        NaN where a bound says nothing.
    series : tuple of str
    x_label, title : str
    """

    x: np.ndarray
    measured: np.ndarray
    bounds: Mapping[str, np.ndarray]
    series: tuple[str, ...]
    x_label: str
    title: str = ""

    @classmethod
    def from_comparison(cls, comparison: Any) -> ComparisonDisplay:
        """Display of a `Comparison`."""
        return cls(
            x=comparison.x,
            measured=comparison.measured,
            bounds=comparison.bounds,
            series=comparison.series,
            x_label=comparison.x_label,
            title=comparison.title,
        )

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.series))

    def _layout(self) -> tuple[int, int]:
        count = max(1, len(self._names))
        return -(-count // _COLUMNS), min(count, _COLUMNS)

    def _figsize(self) -> tuple[float, float]:
        rows, columns = self._layout()
        return 1.6 + 2.9 * columns, 0.7 + 2.8 * rows

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        self._head(self.title)
        self.artists = {"bounds": [], "measured": []}
        panels = axes.ravel()
        for ax in panels[len(self._names) :]:
            ax.set_axis_off()
        if not self._names:
            self.artists["note"] = panels[0].annotate("no data", (0.5, 0.5), xycoords="axes fraction", ha="center")
            return
        for ax, name in zip(panels, self._names, strict=False):
            self._panel(ax, name, style)
        handles, labels = panels[0].get_legend_handles_labels()
        place = panels[min(len(self._names), axes.shape[1]) - 1]
        place.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5))

    def _panel(self, ax: Any, name: str, style: dict[str, Any]) -> None:
        rows = np.flatnonzero([s == name for s in self.series])
        rows = rows[np.argsort(self.x[rows], kind="stable")]
        x = self.x[rows]
        for i, (label, bound) in enumerate(self.bounds.items()):
            look = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]}
            if x.size == 1:
                look |= {"marker": "_", "markersize": 16, "markeredgewidth": 2.0}
            self.artists["bounds"] += ax.plot(x, bound[rows], label=label, **look)
        options = {"color": "black", "marker": "o", "linestyle": "none", "zorder": 3, **style}
        self.artists["measured"] += ax.plot(x, self.measured[rows], label="measured", **options)
        ax.set(title=name, xlabel=self.x_label)
        if np.all(x > 0) and spans_decades(x, 5.0):
            ax.set_xscale("log")
            if x.size <= _TICKS:
                ax.set_xticks(x, [f"{v:.3g}" for v in x])
                ax.xaxis.set_minor_locator(NullLocator())
        values = np.concatenate([self.measured, *self.bounds.values()])
        values = values[np.isfinite(values)]
        if spans_decades(values):
            ax.set_yscale("log")
            ax.set_ylim(0.8 * values[values > 0].min(), 1.25 * values.max())
        else:
            ax.set_ylim(0.0, 1.08 * values.max(initial=0.0) or 1.0)
