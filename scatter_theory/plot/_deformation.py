"""Deformation sensitivity: features below their signals, signals below the bound of their class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, MARKERS, spans_decades

#: Power of the size of the displacement that the bound of each class promises.
_EXPONENTS = {"deformation_cartoon": 0.5}
_BAR = {"marker": "_", "markersize": 14, "markeredgewidth": 1.6, "linestyle": "none"}


@dataclass(eq=False, kw_only=True, repr=False)
class DeformationDisplay(Display):
    """Distances against the size of the displacement, on logarithmic axes.

    The line is the bound of the signals' distance; the points are the largest distances found of signals, of features,
    and of the features of each layer, with displacements up to that size; the worst point is ringed. Where the bound
    belongs to the signal, so that the worst signal of another output has another one, that is a bar of the output's
    colour. The dotted line has the slope that the theorem promises.

    Parameters
    ----------
    x, bound : (n,) arrays
        Sizes of the displacements, and the bound there.
    curves : mapping of str to (n,) arrays
        Largest distances by output.
    bounds : mapping of str to (n,) arrays
        Bounds by output, where they are not `bound`.
    exponent : float
        Promised slope.
    worst : tuple of (str, int) or None
        Output and index of the point with the largest ratio.
    ratio : float
        Largest ratio of a distance to the bound, for the legend.
    x_label, y_label, title : str
    """

    x: np.ndarray
    bound: np.ndarray
    curves: dict[str, np.ndarray]
    bounds: dict[str, np.ndarray] = field(default_factory=dict)
    exponent: float = 1.0
    worst: tuple[str, int] | None = None
    ratio: float = float("nan")
    x_label: str = ""
    y_label: str = "distance"
    title: str = ""
    artists: dict[str, Any] = field(default_factory=dict, init=False)

    @classmethod
    def from_check(cls, check: Any) -> DeformationDisplay:
        """Display of a `BoundCheck` of a deformation claim."""
        series, x = np.array(check.series), np.asarray(check.x, dtype=float)
        outputs = [s for s in dict.fromkeys(check.series) if s != "features / signal"]
        curves, bounds, positions, bound, worst = {}, {}, np.array([]), np.array([]), None
        ratio = np.where(np.isfinite(check.ratio), check.ratio, -1.0)
        top = int(np.argmax(ratio)) if ratio.size else -1
        for output in outputs:
            rows = np.flatnonzero(series == output)
            rows = rows[np.argsort(x[rows], kind="stable")]
            curves[output] = check.measured[rows]
            if output == outputs[0]:
                positions, bound = x[rows], check.bound[rows]
            elif not np.allclose(check.bound[rows], bound, rtol=1e-3, atol=0.0, equal_nan=True):
                bounds[output] = check.bound[rows]
            if top in rows:
                worst = (output, int(np.flatnonzero(rows == top)[0]))
        unit = check.witness.get("unit", "")
        s = check.constants.get("s")
        return cls(
            x=positions,
            bound=bound,
            curves=curves,
            bounds=bounds,
            exponent=_EXPONENTS.get(check.claim, 1.0) if s is None else s.value,
            worst=worst,
            ratio=float(ratio[top]) if ratio.size else float("nan"),
            x_label=check.x_label,
            y_label=f"distance / {unit}" if unit else "distance",
            title=check.heading,
        )

    def _figsize(self) -> tuple[float, float]:
        return 7.2, 4.4

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        ax.set(xlabel=self.x_label, ylabel=self.y_label, title=self.title)
        if self.x.size == 0:
            self.artists["note"] = ax.annotate("no data", (0.5, 0.5), xycoords="axes fraction", ha="center")
            return
        (self.artists["bound"],) = ax.plot(self.x, self.bound, color="black", label="bound", zorder=2)
        self.artists["slope"] = self._promised(ax)
        self.artists["measured"] = [
            self._points(ax, i, output, values, style) for i, (output, values) in enumerate(self.curves.items())
        ]
        self.artists["bounds"] = [self._own_bound(ax, output) for output in self.bounds]
        if self.bounds:  # Every bar has the colour of its points, so that the entry has none of them.
            ax.plot([], [], color="#777777", label="bounds of these signals", **_BAR)
        if self.worst is not None:
            output, index = self.worst
            ring = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgecolor": "black"}
            point = ([self.x[index]], [self.curves[output][index]])
            (self.artists["ring"],) = ax.plot(*point, linestyle="none", zorder=4, **ring)
            ax.set_title(f"{self.title}\nworst ratio {self.ratio:.4g} ({output}, ringed)")
        ax.set_xscale("log")
        ax.set_yscale("log")
        self._ticks(ax)
        self._limits(ax)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    def _points(self, ax: Any, i: int, output: str, values: np.ndarray, style: dict[str, Any]) -> Any:
        main = output in ("signal", "all layers")
        names = {"signal": "signals", "all layers": "features, all layers"}
        options = {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "linestyle": "-" if main else "none",
            "linewidth": 0.8,
            "alpha": 1.0 if main else 0.7,
            "markersize": 6 if main else 4,
            "label": names.get(output, f"features, {output}"),
            "zorder": 3,
            **style,
        }
        return ax.plot(self.x, np.where(values > 0, values, np.nan), **options)[0]

    def _own_bound(self, ax: Any, output: str) -> Any:
        colour = COLOURS[list(self.curves).index(output) % len(COLOURS)]
        return ax.plot(self.x, self.bounds[output], color=colour, zorder=2, **_BAR)[0]

    def _ticks(self, ax: Any) -> None:
        """Labels at powers of ten; also at twice and five times them where the sizes span little."""
        narrow = not spans_decades(self.x, 50.0)
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        if narrow:
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

    def _promised(self, ax: Any) -> Any:
        """A line of the promised slope below the bound, through half of its first point."""
        start = 0.5 * self.bound[0] if np.isfinite(self.bound[0]) else np.nan
        line = start * (self.x / self.x[0]) ** self.exponent
        label = f"slope {self.exponent:g}"
        return ax.plot(self.x, line, color="#777777", linestyle=":", label=label, zorder=1)[0]

    def _limits(self, ax: Any) -> None:
        """Leave out what is more than eight decades below the bound: rounding."""
        values = np.concatenate([self.bound, *self.curves.values()])
        values = values[np.isfinite(values) & (values > 0)]
        if values.size:
            ax.set_ylim(max(values.min(), values.max() * 1e-8) / 2, values.max() * 2)
