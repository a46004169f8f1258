"""A column of a sweep against another one, one curve per value of a third."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, DASHES, MARKERS, log_ticks, spans_decades


@dataclass(eq=False, repr=False)
class SweepDisplay(Display):
    """Every cell as a point, and curves through the largest value at each place.

    Parameters
    ----------
    x : tuple
        Places in their order: numbers in ascending order, or words.
    values : mapping of str to sequence of lists of float
        By curve: for each place, the values of its cells.
    x_label, y_label : str
    by : str
        What tells the curves apart; empty for a single one.
    left_out : int
        Cells without a value.
    """

    x: tuple[Any, ...]
    values: Mapping[str, Sequence[Sequence[float]]]
    x_label: str
    y_label: str
    by: str = ""
    left_out: int = 0

    @classmethod
    def from_table(cls, rows: Sequence[Mapping[str, Any]], *, x: str, y: str, by: str | None = None) -> SweepDisplay:
        """Display of a table with one row per cell.

        Raises
        ------
        ValueError
            If there is no such column, or no row with a finite number in `y`.
        """
        names = list(dict.fromkeys(name for row in rows for name in row))
        for argument, name in (("x", x), ("y", y), ("by", by)):
            if name is not None and name not in names:
                raise ValueError(f"`plot({argument}=...)`: got {name!r}, expected one of {names}.")
        kept = [row for row in rows if _finite(row.get(y)) and row.get(x) is not None]
        if not kept:
            raise ValueError(f"`plot(y=...)`: no cell has a finite number in {y!r}.")
        places = list(dict.fromkeys(row[x] for row in kept))
        if all(map(_finite, places)):
            places.sort()
        curves: dict[str, list[list[float]]] = {}
        for row in kept:
            curve = curves.setdefault("" if by is None else str(row.get(by)), [[] for _ in places])
            curve[places.index(row[x])].append(float(row[y]))
        return cls(tuple(places), curves, x, y, by or "", len(rows) - len(kept))

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        numeric = all(map(_finite, self.x))
        place = np.array(self.x if numeric else range(len(self.x)), dtype=float)
        self.artists = {"points": {}, "curves": {}}
        for k, (name, lists) in enumerate(self.values.items()):
            look = {"color": COLOURS[k % 7], "marker": MARKERS[k % 7]}
            at = np.repeat(place, [len(values) for values in lists])
            self.artists["points"][name] = ax.scatter(at, np.concatenate(lists), s=10, alpha=0.45, linewidth=0, **look)
            best = np.array([max(values, default=np.nan) for values in lists])
            shown = np.isfinite(best)
            # Curves often coincide: dashes and hollow marks let those below be seen.
            line = {"linestyle": DASHES[k % 4], "markerfacecolor": "none", "label": name, **look, **style}
            (self.artists["curves"][name],) = ax.plot(place[shown], best[shown], **line)
        everything = np.concatenate([np.concatenate(lists) for lists in self.values.values()])
        if spans_decades(everything) and everything.min() > 0:
            ax.set_yscale("log")
            log_ticks(ax.yaxis, everything)
        if self.y_label == "ratio":
            self.artists["bound"] = ax.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
            ax.annotate("bound", (1, 1.0), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
        if numeric and len(place) <= 12:
            ax.set_xticks(place, [f"{v:g}" for v in place])
        elif not numeric:
            ax.set_xticks(place, [str(v) for v in self.x], rotation=20, ha="right", rotation_mode="anchor")
        note = f"\n{self.left_out} cells have no number here" if self.left_out else ""
        ax.set(xlabel=self.x_label + note, ylabel=f"{self.y_label}, curve: largest")
        if self.by:
            ax.legend(title=self.by, loc="best")


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
