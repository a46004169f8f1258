"""Many checks at a glance: the worst ratio of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import OUTCOMES

_DOTS = 40
_FLOOR = 1e-3
_SEVERITY = ("HOLDS", "VACUOUS", "INAPPLICABLE", "INCONCLUSIVE", "VIOLATED")


@dataclass(eq=False, kw_only=True, repr=False)
class RatioDisplay(Display):
    """Worst ratio measured / bound of every check, with a line at 1.

    Up to 40 checks, or more whose names have no common parts, are dots, one line each. Otherwise they are a table of
    cells: columns are the first word after the final ``"/"`` of the name, rows the longest leading part with at most 40
    different values, and a cell shows the largest ratio of its checks and the symbol of their gravest outcome unless
    all hold.

    Parameters
    ----------
    names : tuple of str
    ratios : (n_checks,) array
        May hold NaN (no data) and infinity.
    outcomes, symbols : tuples of str
        Name and symbol of each outcome.
    title : str
    """

    names: tuple[str, ...]
    ratios: np.ndarray
    outcomes: tuple[str, ...]
    symbols: tuple[str, ...]
    title: str = ""

    @classmethod
    def from_verdict(cls, verdict: Any) -> RatioDisplay:
        """Display of a `Verdict`."""
        checks = verdict.checks
        outcomes = tuple(check.outcome.name for check in checks.values())
        counts = ", ".join(f"{outcomes.count(name)} {name}" for name in OUTCOMES if name in outcomes)
        return cls(
            names=tuple(checks),
            ratios=np.array([check.worst for check in checks.values()], dtype=float),
            outcomes=outcomes,
            symbols=tuple(check.outcome.symbol for check in checks.values()),
            title=f"{verdict.title}: {len(checks)} checks, {counts}" if checks else f"{verdict.title}: no checks",
        )

    @property
    def _cells(self) -> tuple[tuple[str, ...], tuple[str, ...], dict[tuple[str, str], list[int]]]:
        """Rows, columns, and the checks of each cell."""
        parts = [name.split("/") for name in self.names]
        depth = max(len(p) for p in parts) - 1
        while depth > 1 and len({tuple(p[:-1][:depth]) for p in parts}) > _DOTS:
            depth -= 1
        cells: dict[tuple[str, str], list[int]] = {}
        for i, p in enumerate(parts):
            row = "/".join(p[:-1][:depth]) if len(p) > 1 else ""
            cells.setdefault((row, re.split(r"[ ,]", p[-1], maxsplit=1)[0]), []).append(i)
        rows, columns = (tuple(dict.fromkeys(key[k] for key in cells)) for k in (0, 1))
        return rows, columns, cells

    @property
    def _few(self) -> bool:
        return len(self.names) <= _DOTS or len(self._cells[1]) > _DOTS

    def _figsize(self) -> tuple[float, float]:
        if self._few:
            return 7.6, 1.3 + 0.21 * max(len(self.names), 3)
        rows, columns, _ = self._cells
        return max(7.0, 3.0 + 0.62 * len(columns)), 2.0 + 0.21 * len(rows)

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        ax.set_title(self.title)
        if not self.names:
            self.artists["note"] = ax.annotate("no checks", (0.5, 0.5), xycoords="axes fraction", ha="center")
        elif self._few:
            self._draw_dots(ax, style)
        else:
            self._draw_cells(ax, style)

    def _draw_dots(self, ax: Any, style: dict[str, Any]) -> None:
        finite = self.ratios[np.isfinite(self.ratios)]
        right = 1.6 * max(1.0, float(finite.max(initial=0.0)))
        left = float(np.clip(0.7 * finite[finite > 0].min(initial=0.1), _FLOOR, 0.1))
        place = np.nan_to_num(np.clip(self.ratios, left, right), nan=left)
        rows = np.arange(len(self.names))
        self.artists["dots"] = []
        for y, x, outcome in zip(rows, place, self.outcomes, strict=True):
            colour, marker = OUTCOMES[outcome]
            options = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 6.5, **style}
            self.artists["dots"] += ax.plot([x], [y], **options)
        self.artists["line"] = ax.axvline(1.0, color="black", linewidth=1.2)
        self.artists["values"] = [
            ax.annotate(
                f"{ratio:.4g}  {symbol} {name}", (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=8
            )
            for y, ratio, symbol, name in zip(rows, self.ratios, self.symbols, self.outcomes, strict=True)
        ]
        ax.set_xscale("log")
        ax.set(xlim=(0.7 * left, right * 1.3), ylim=(len(rows) - 0.5, -0.5), yticks=rows, yticklabels=self.names)
        ax.set_xlabel("worst measured value / bound (smaller and missing values at the left edge)")

    def _draw_cells(self, ax: Any, style: dict[str, Any]) -> None:
        rows, columns, cells = self._cells
        worst = np.full((len(rows), len(columns)), np.nan)
        self.artists["values"] = []
        for (row, column), members in cells.items():
            ratios = self.ratios[members]
            known = ratios[~np.isnan(ratios)]
            i, j = rows.index(row), columns.index(column)
            worst[i, j] = known.max() if known.size else np.nan
            grave = max(members, key=lambda k: _SEVERITY.index(self.outcomes[k]))
            mark = "" if self.outcomes[grave] == "HOLDS" else f" {self.symbols[grave]}"
            text = ("n/a" if not known.size else f"{worst[i, j]:.3g}") + mark
            dark = known.size and worst[i, j] < 0.5
            alarm = self.outcomes[grave] == "VIOLATED"
            self.artists["values"].append(
                ax.annotate(
                    text, (j, i), ha="center", va="center", fontsize=7,
                    color="white" if dark and not alarm else "black", fontweight="bold" if mark else "normal",
                    bbox={"facecolor": "white", "edgecolor": "black", "pad": 1.0} if alarm else None,
                )
            )  # fmt: skip
        colours = colormaps["cividis"].with_extremes(bad="#E3E3E3", over=OUTCOMES["VIOLATED"][0])
        # A ratio of 1 within rounding has attained its bound, not exceeded it.
        options = {"cmap": colours, "vmin": 0.0, "vmax": 1.0 + 1e-9, "aspect": "auto", **style}
        self.artists["image"] = ax.imshow(worst, **options)
        ax.set_yticks(range(len(rows)), rows, fontsize=7)
        ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
        ax.grid(False)
        label = "largest measured value / bound in the cell"
        self.artists["colourbar"] = self.figure_.colorbar(self.artists["image"], ax=ax, label=label, extend="max")
