"""The maps: a square per frame, non-linearity and pooling, a panel per layer or depth, a row per dimension."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studies.tightness.tables import MARKS, ZERO, Row, worst


@dataclass(frozen=True)
class Panel:
    """One panel of a map.

    Parameters
    ----------
    title : str
    wanted : dict of str to Any
        Fields of the rows that it shows.
    single : bool
        One column, where neither non-linearity nor pooling matters.
    """

    title: str
    wanted: dict[str, Any] = field(default_factory=dict)
    single: bool = False


def panels(claim: str, depth: int) -> dict[str, list[Panel]]:
    """Panels of the maps of a claim, by name of the file."""
    first = Panel("layer 0", {"part": "layer 0"}, single=True)
    layers = [first, *(Panel(f"layer {n}", {"part": f"layer {n}"}) for n in range(1, depth + 1))]
    if claim == "translation":
        return {"translation.png": layers}
    signal = Panel("signal", {"part": "signal"}, single=True)
    whole = [Panel(f"depth {n}", {"part": "all layers", "depth": n}) for n in range(1, depth + 1)]
    return {"deformation.png": [signal, *whole], "deformation_layers.png": layers}


def draw(table: Sequence[Row], out: Path) -> None:
    """Write the maps into a folder, as PNG images."""
    for claim in dict.fromkeys(row.claim for row in table):
        lines = [row for row in table if row.claim == claim]
        for name, shown in panels(claim, max(row.depth for row in lines)).items():
            _map(lines, shown, f"{claim}: measured worst case in per cent of the proven bound", out / name)


def _map(table: Sequence[Row], shown: Sequence[Panel], title: str, path: Path) -> None:
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    frames = {d: list(dict.fromkeys(r.frame for r in table if r.d == d)) for d in sorted({r.d for r in table})}
    pairs = {key: list(dict.fromkeys(getattr(r, key) for r in table)) for key in ("nonlinearity", "pooling")}
    columns = list(itertools.product(*pairs.values()))
    widths = [1.6 if panel.single else len(columns) for panel in shown]
    heights = [len(names) for names in frames.values()]
    with house_style():
        size = (max(7.0, 2.6 + 0.25 * sum(widths)), 2.4 + 0.25 * sum(heights))
        figure, axes = plt.subplots(
            len(frames), len(shown), figsize=size, width_ratios=widths, height_ratios=heights,
            squeeze=False, layout="constrained",
        )  # fmt: skip
        for line, (d, names) in zip(axes, frames.items(), strict=True):
            here = [row for row in table if row.d == d]
            for ax, panel in zip(line, shown, strict=True):
                _panel(ax, here, panel, names, [()] if panel.single else columns)
                ax.set_title(panel.title, fontsize=8, pad=12)
                ax.set_yticks(range(len(names)), names if ax is line[0] else [])
            line[0].set_ylabel(f"d = {d}")
        figure.suptitle(f"{title}\n{_LEGEND}", fontsize=9)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _panel(
    ax: Any, table: Sequence[Row], panel: Panel, names: Sequence[str], columns: Sequence[tuple[str, ...]]
) -> None:
    """Squares of one panel; column `()` stands for all non-linearities and poolings."""
    for (i, name), (j, column) in itertools.product(enumerate(names), enumerate(columns)):
        pair = dict(zip(("nonlinearity", "pooling"), column, strict=False))
        row = worst(table, frame=name, **pair, **panel.wanted)
        if row is not None:
            _square(ax, i, j, row)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), [column[1] if column else "" for column in columns], rotation=90, fontsize=6)
    groups = list(dict.fromkeys(column[0] for column in columns if column))
    for k, group in enumerate(groups):
        step = len(columns) / len(groups)
        ax.text((k + 0.5) * step - 0.5, -0.55, group, ha="center", va="bottom", fontsize=6.5)
        ax.axvline(k * step - 0.5, color="black", lw=0.8)
    ax.tick_params(length=0)
    ax.grid(visible=False)


def _square(ax: Any, i: int, j: int, row: Row) -> None:
    from matplotlib.patches import Rectangle

    place = {"xy": (j - 0.5, i - 0.5), "width": 1, "height": 1, "lw": 0.4}
    if row.mark:
        ax.add_patch(Rectangle(**place, facecolor="white", edgecolor="0.7", hatch="/////"))
        ax.text(j, i, _SYMBOLS[row.mark], ha="center", va="center", fontsize=7, color="black")
        return
    shade = 1 - min(row.ratio, 1.0) ** 0.5
    ax.add_patch(Rectangle(**place, facecolor=str(shade), edgecolor="white"))
    ax.text(
        j, i, _per_cent(row.ratio), ha="center", va="center", fontsize=5.5, color="white" if shade < 0.5 else "black"
    )


def _per_cent(ratio: float) -> str:
    """Two digits at most."""
    share = 100 * ratio
    if share >= 0.95:
        return f"{share:.0f}"
    return f"{share:.1f}"[1:] if share >= 0.05 else "0"


#: Symbols of squares without a ratio: those of the outcomes, and one for a bound of 0.
_SYMBOLS = {
    MARKS["VIOLATED"]: "✗", MARKS["INCONCLUSIVE"]: "?", MARKS["VACUOUS"]: "○", MARKS["INAPPLICABLE"]: "–", ZERO: "∅",
}  # fmt: skip
_LEGEND = (
    "dark: tight; hatched, no ratio: – a hypothesis fails, ○ vacuous, ? undecided, ✗ violated, ∅ bound 0; "
    "empty: left out for its size"
)
