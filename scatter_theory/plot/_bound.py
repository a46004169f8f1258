"""Measured points against a proven bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, DASHES, MARKERS, spans_decades

_LEGEND = 8
_TICKS = 8


@dataclass(eq=False, kw_only=True, repr=False)
class BoundDisplay(Display):
    """Measured values as points, the bound as a line of the same colour, one colour and marker per series.

    Where the bound is 0 (an identity) the line is the rounding tolerance. The band above a bound is the rounding
    tolerance, bars on the points are the discretisation error, and the worst point is ringed. Axes become logarithmic
    where the values spread widely; values of 0 cannot be drawn there and are counted in a note.

    Parameters
    ----------
    x, measured, bound : (n_points,) arrays
    rounding, discretisation : (n_points,) arrays
        Error budget at each point, in the unit of the measured values.
    series : tuple of str
        Curve to which each point belongs.
    x_label, y_label, title : str
    worst : int or None
        Index of the point with the largest ratio.
    """

    x: np.ndarray
    measured: np.ndarray
    bound: np.ndarray
    rounding: np.ndarray
    discretisation: np.ndarray
    series: tuple[str, ...]
    x_label: str
    y_label: str = "measured value and bound"
    title: str = ""
    worst: int | None = None

    @classmethod
    def from_check(cls, check: Any) -> BoundDisplay:
        """Display of a `BoundCheck`."""
        ratio = check.ratio
        use = np.where(check.bound == 0, check.measured, ratio)
        worst = None if ratio.size == 0 or np.all(np.isnan(use)) else int(np.nanargmax(use))
        return cls(
            x=np.asarray(check.x, dtype=float),
            measured=np.asarray(check.measured, dtype=float),
            bound=np.asarray(check.bound, dtype=float),
            series=check.series,
            x_label=check.x_label,
            title=check.heading,
            worst=worst,
            rounding=check.rounding,
            discretisation=check.discretisation,
        )

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        ax.set(xlabel=self.x_label, ylabel=self.y_label, title=self.title)
        if self.x.size == 0:
            self.artists["note"] = ax.annotate("no data", (0.5, 0.5), xycoords="axes fraction", ha="center")
            return
        log_x, log_y = self._log_x(), spans_decades(np.concatenate([self.measured, self._limit]))
        names = tuple(dict.fromkeys(self.series))
        categories = len(names) == self.x.size == np.unique(self.x).size
        self.artists = {"measured": [], "bound": [], "band": []}
        for i, name in enumerate(names):
            self._draw_series(ax, i, name, style)
        self._ring(ax)
        ax.set_xscale("log" if log_x and not categories else "linear")
        ax.set_yscale("log" if log_y else "linear")
        if categories and len(names) <= _LEGEND:
            ax.set_xticks(self.x, self.series)
            ax.margins(x=0.15)
        elif log_x and np.unique(self.x).size <= _TICKS:
            ax.set_xticks(np.unique(self.x), [f"{v:.3g}" for v in np.unique(self.x)])
            ax.xaxis.set_minor_locator(NullLocator())
        elif not log_x:
            ax.locator_params(axis="x", nbins=6, integer=bool(np.all(self.x == np.round(self.x))))
        if not log_y:
            values = np.concatenate([self.measured, self._limit])
            values = values[np.isfinite(values)]
            ax.set_ylim(1.08 * values.min(initial=0.0), 1.08 * (values.max(initial=0.0) or 1.0))
        self._note(ax, log_x, log_y)
        self._legend(ax, names, categories)

    @property
    def _limit(self) -> np.ndarray:
        """The line: the bound, or the rounding tolerance where the bound is 0."""
        return np.where(self.bound == 0, self.rounding, self.bound)

    def _log_x(self) -> bool:
        """Whether the sweep is a positive one over a wide range, and not a count 1, 2, 3, ..."""
        steps = np.diff(np.unique(self.x))
        return bool(np.all(self.x > 0) and spans_decades(self.x, 5.0) and not np.all(steps == 1))

    def _legend(self, ax: Any, names: tuple[str, ...], categories: bool) -> None:
        if categories or len(names) > _LEGEND:
            handles = [
                Line2D([], [], color="#555555", linestyle="none", marker="o", label="measured"),
                Line2D([], [], color="#555555", label="bound" if np.any(self.bound != 0) else "tolerance"),
            ]
            ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
        else:
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    def _draw_series(self, ax: Any, i: int, name: str, style: dict[str, Any]) -> None:
        rows = np.flatnonzero([s == name for s in self.series])
        rows = rows[np.argsort(self.x[rows], kind="stable")]
        x, bound, limit, rounding = self.x[rows], self.bound[rows], self._limit[rows], self.rounding[rows]
        colour = COLOURS[i % len(COLOURS)]
        self.artists["band"].append(
            ax.fill_between(x, limit, bound + rounding, color=colour, alpha=0.2, linewidth=1.0, zorder=1)
        )
        dash = DASHES[i % len(DASHES)]
        marker = {"marker": "_", "markersize": 14, "markeredgewidth": 1.6} if np.unique(x).size == 1 else {}
        label = f"{name}: {'bound' if np.any(bound != 0) else 'tolerance'}"
        (line,) = ax.plot(x, limit, color=colour, linestyle=dash, label=label, zorder=2, **marker)
        options = {"color": colour, "marker": MARKERS[i % len(MARKERS)], "linestyle": "none", "zorder": 3, **style}
        error = self.discretisation[rows]
        if np.any(error > 0):
            bars = {"yerr": error, "capsize": 3, "elinewidth": max(0.8, 3.2 - i), "label": f"{name}: measured"}
            points = ax.errorbar(x, self.measured[rows], **bars, **options).lines[0]
        else:
            (points,) = ax.plot(x, self.measured[rows], label=f"{name}: measured", **options)
        self.artists["bound"].append(line)
        self.artists["measured"].append(points)

    def _ring(self, ax: Any) -> None:
        if self.worst is None:
            return
        x, y = self.x[self.worst], self.measured[self.worst]
        ring = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgecolor": "black"}
        (self.artists["ring"],) = ax.plot([x], [y], linestyle="none", zorder=4, **ring)
        if self.bound[self.worst] != 0:
            ratio = y / self.bound[self.worst]
            ax.set_title(f"{self.title}\nworst ratio {ratio:.4g} ({self.series[self.worst]}, ringed)")

    def _note(self, ax: Any, log_x: bool, log_y: bool) -> None:
        hidden = (log_x & (self.x <= 0)) | (log_y & (self.measured <= 0)) | ~np.isfinite(self.measured)
        if np.any(hidden):
            text = f"{np.count_nonzero(hidden)} of {hidden.size} points not drawn: zero on a log axis, or not finite"
            self.artists["note"] = ax.annotate(
                text, (0.01, 0.01), xycoords="axes fraction", fontsize=7, color="#555555", ha="left", va="bottom"
            )
