"""Gradient stability over estimating error, with every estimator labelled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from scatter_theory.plot._display import Display
from scatter_theory.plot._labels import label_points
from scatter_theory.plot._style import COLOURS, log_ticks, spans_decades

#: As many estimators of one kind get a colour of their own.
_FAMILY = 3

_BEST = "#000000"


@dataclass(eq=False, kw_only=True, repr=False)
class FrontierDisplay(Display):
    """Expected values as circles, measured ones as crosses, the least stability as a line with nothing below it.

    Filled circles are estimators of which the theorem of the curve speaks: none of them can lie in the grey region.
    Hollow ones are others. Kinds with three or more members have a colour of their own. Infinite stabilities stand at
    the upper end, marked as such.

    Parameters
    ----------
    names, kinds : tuple of str
        Label, and class, of each estimator.
    error, stability : (n,) arrays
        Expected values.
    measured_error, measured_stability : (n,) arrays
    bounded : (n,) bool array
    curve_error, curve_stability : (n_curve,) arrays
        By increasing error.
    condition : str
        Side condition of the curve; "none" if it bounds all.
    y_label, title : str
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    error: np.ndarray
    stability: np.ndarray
    measured_error: np.ndarray
    measured_stability: np.ndarray
    bounded: np.ndarray
    curve_error: np.ndarray
    curve_stability: np.ndarray
    condition: str
    y_label: str
    title: str = ""

    @classmethod
    def from_frontier(cls, frontier: Any, *, scale_free: bool = False) -> FrontierDisplay:
        """Display of a `Frontier`; with CV^2 in the place of the variance if `scale_free`."""
        curve = frontier.curve_scale_free if scale_free else frontier.curve
        quantity = "cv2" if scale_free else "variance"
        return cls(
            names=frontier.names,
            kinds=tuple(type(e).__name__ for e in frontier.estimators),
            error=np.array([p.error for p in frontier.populations]),
            stability=np.array([getattr(p, quantity) for p in frontier.populations]),
            measured_error=np.array([m.error for m in frontier.measured]),
            measured_stability=np.array([getattr(m, quantity) for m in frontier.measured]),
            bounded=np.array(frontier.bounded_scale_free if scale_free else frontier.bounded),
            curve_error=curve.error,
            curve_stability=curve.stability,
            condition=curve.condition,
            y_label="CV² of the multiplier" if scale_free else "variance of the multiplier |f'|",
            title=frontier.heading,
        )

    def _figsize(self) -> tuple[float, float]:
        return 9.0, 6.2

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        ax.set(xlabel="mean squared estimating error", ylabel=self.y_label, title=self.title)
        top = self._scales(ax)
        x, y = self.error, np.where(np.isposinf(self.stability), top, self.stability)
        inside = (self.curve_error >= ax.get_xlim()[0]) & (self.curve_error <= ax.get_xlim()[1])
        e, s = self.curve_error[inside], self.curve_stability[inside]
        (self.artists["curve"],) = ax.plot(e, s, color=_BEST, linewidth=1.8, zorder=2)
        self.artists["below"] = ax.fill_between(
            e, s, 0 if ax.get_yscale() != "log" else 1e-300, color="#EDEDED", zorder=0
        )
        colours = self._colours()
        self.artists["expected"] = [
            ax.plot(
                [a], [b], linestyle="none", zorder=4,
                **{"marker": "o", "color": c, "markerfacecolor": c if full else "white", "markersize": 6, **style},
            )[0]
            for a, b, c, full in zip(x, y, colours, self.bounded, strict=True)
        ]  # fmt: skip
        (self.artists["measured"],) = ax.plot(
            self.measured_error, self.measured_stability, linestyle="none", marker="+", color="#555555", markersize=9,
            markeredgewidth=0.9, zorder=4.5,
        )  # fmt: skip
        self.artists["legend"] = self._legend(ax)
        infinite = np.isposinf(self.stability)
        texts = [f"{n}: infinite" if there else n for n, there in zip(self.names, infinite, strict=True)]
        lines, legend = [self.artists["curve"]], self.artists["legend"]
        self.artists["labels"] = label_points(ax, x, y, texts, colours=colours, lines=lines, legend=legend)

    def _scales(self, ax: Any) -> float:
        """Set scales and limits so that all points lie inside; returns where infinite values stand."""
        e = np.concatenate([self.error, self.measured_error])
        s = np.concatenate([self.stability, self.measured_stability])
        e, s = e[np.isfinite(e)], s[np.isfinite(s)]
        least, most = s[s > 0].min(initial=np.inf), s.max(initial=0.0)
        least, most = (least, most) if most > 0 else (0.1, 1.0)
        if spans_decades(e, 5.0) and e.min() > 0:
            ax.set_xscale("log")
            log_ticks(ax.xaxis, e)
            ax.set_xlim(e.min() / 1.5, e.max() * 1.5)
        else:
            room = 0.12 * (np.ptp(e) or 1.0)
            ax.set_xlim(e.min() - room, e.max() + room)
        if not spans_decades(s, 5.0):
            ax.set_ylim(-0.08 * most, 1.3 * most)
            return 1.2 * most
        if (s == 0).any():
            ax.set_yscale("asinh", linear_width=0.5 * least)
            ax.set_ylim(-0.3 * least, 2.5 * most)
        else:
            ax.set_yscale("log")
            ax.set_ylim(least / 2.5, 2.5 * most)
        ax.yaxis.set_major_formatter(lambda v, _: f"{v:g}" if v == 0 or v >= 0.3 * least else "")
        ax.yaxis.set_minor_formatter(NullFormatter())
        return 2.0 * most

    def _colours(self) -> list[str]:
        families = [kind for kind, n in Counter(self.kinds).items() if n >= _FAMILY]
        colour = {kind: COLOURS[i % (len(COLOURS) - 1)] for i, kind in enumerate(families)}
        return [colour.get(kind, "#333333") for kind in self.kinds]

    def _legend(self, ax: Any) -> Any:
        where = "" if self.condition == "none" else f", {self.condition}"
        dot = {"linestyle": "none", "marker": "o", "color": "#333333", "markersize": 6}
        handles = [
            Line2D([], [], color=_BEST, linewidth=1.8, label=f"least possible (f is the integral of f' ≥ 0{where})"),
            Line2D([], [], **dot, label="expected; the bound applies"),
            Line2D([], [], **dot, markerfacecolor="white", label="expected; the bound does not apply"),
            Line2D([], [], linestyle="none", marker="+", color="#555555", markersize=9, label="measured on a sample"),
        ]
        if self.bounded.all():
            del handles[2]
        return ax.legend(handles=handles, loc="lower left")
