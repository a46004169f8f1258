"""A pruning run over its cycles: dead-neuron rates and recorded values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, DASHES, MARKERS

if TYPE_CHECKING:
    from scatter_theory.pruning import History

Kind = Literal["curves", "heatmap"]

#: As many sites are named in a legend; more are coloured from first to last, with a colour bar.
_LEGEND = 10

#: Rates of the whole network that are drawn, with their labels.
_RATES = {"total": "total", "static": "static", "dynamic": "dynamic", "always_on": "always on"}


def alive_axis(ax: Any, alive: np.ndarray) -> None:
    """Share of the weights alive in per cent, logarithmic, from all of them on the left to few on the right."""
    positive = alive[alive > 0]
    low, high = (positive.min(), positive.max()) if positive.size else (0.1, 1.0)
    ax.set_xscale("log")
    ax.set_xlim(1.12 * high, low / 1.12)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.3g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("weights alive, %")


@dataclass(eq=False, repr=False)
class PruningHistoryDisplay(Display):
    """Rates and recorded values against the share of weights alive, or an image of sites and cycles.

    The curves are, in panels from left to right: rates of the whole network, pooled over sites; one rate of each site;
    and each value that was recorded in the run, such as an accuracy. A run without measured neurons has the sparsity of
    each layer in the place of the first two. Nothing alive cannot be shown on the logarithmic axis.

    Parameters
    ----------
    history : History
        Of a run of ``scatter_theory.pruning.IterativePruning``.
    quantity : str
        Rate that is shown for each site: a name that ``DeadNeurons.rate`` knows; for an image also ``"sparsity"``, of
        each layer.
    kind : {"curves", "heatmap"}

    Raises
    ------
    ValueError
        If `kind` is none of the two, or the history is empty.
    """

    history: History
    quantity: str = "total"
    kind: Kind = "curves"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"`PruningHistoryDisplay(kind=...)`: got {self.kind!r}, expected one of {get_args(Kind)}.")
        if not len(self.history):
            raise ValueError("`PruningHistoryDisplay(history=...)`: got no cycle, expected one or more; train first.")

    @property
    def _measured(self) -> bool:
        return all(report.dead is not None for report in self.history.reports)

    @property
    def _values(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for report in self.history.reports for key in report.values))

    def _layout(self) -> tuple[int, int]:
        return (1, 1) if self.kind == "heatmap" else (1, 1 + self._measured + len(self._values))

    def _figsize(self) -> tuple[float, float]:
        if self.kind == "curves":
            return 2.4 + 3.6 * self._layout()[1], 3.6
        names, _ = self._image()
        longest = max((len(name) for name in names), default=0)
        height = float(np.clip(1.3 + 0.24 * len(names), 2.6, 8.0))
        return 3.0 + 0.065 * longest + float(np.clip(0.32 * len(self.history), 2.5, 9.0)), height

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        if self.kind == "heatmap":
            self._draw_image(axes[0, 0], style)
            return
        panels, alive = list(axes[0]), 1.0 - self.history.sparsity
        if self._measured:
            self._draw_network(panels.pop(0), alive, style)
            names, rates = self.history.sites, self.history.site_rates(self.quantity)
            self._draw_rows(panels.pop(0), alive, names, rates, f"{_label(self.quantity)} of each site", style)
        else:
            rows = self.history.layer_sparsity
            self._draw_rows(panels.pop(0), alive, self.history.layers, rows, "sparsity of each layer", style)
        self.artists["values"] = {}
        for ax, name in zip(panels, self._values, strict=True):
            look = {"color": "black", "marker": "o", **style}
            self.artists["values"][name] = ax.plot(alive, self.history.value(name), **look)[0]
            ax.set(title=name)
            alive_axis(ax, alive)

    def _draw_network(self, ax: Any, alive: np.ndarray, style: dict[str, Any]) -> None:
        self.artists["network"] = {}
        for k, (name, label) in enumerate(_RATES.items()):
            look = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": DASHES[k], "label": label, **style}
            self.artists["network"][name] = ax.plot(alive, self.history.rate(name), **look)[0]
        ax.set(title="rates of the network, pooled", ylim=(-0.03, 1.03))
        ax.legend(loc="best")
        alive_axis(ax, alive)

    def _draw_rows(
        self, ax: Any, alive: np.ndarray, names: Sequence[str], rows: np.ndarray, title: str, style: dict[str, Any]
    ) -> None:
        few = len(names) <= _LEGEND
        colours = [COLOURS[k % 7] for k in range(len(names))] if few else _map()(np.linspace(0, 1, len(names)))
        self.artists["sites"] = []
        for k, (name, row) in enumerate(zip(names, rows, strict=True)):
            look = {"color": colours[k], "linestyle": DASHES[k % 4 if few else 0], "marker": "o", "markersize": 3}
            self.artists["sites"].append(ax.plot(alive, row, label=name, **{**look, **style})[0])
        ax.set(title=title, ylim=(-0.03, 1.03))
        if few:
            ax.legend(loc="best", fontsize=7)
        else:
            bar = ax.figure.colorbar(mpl.cm.ScalarMappable(Normalize(0, len(names) - 1), _map()), ax=ax)
            bar.set_ticks([0, len(names) - 1], labels=[names[0], names[-1]])
            self.artists["colorbar"] = bar
        alive_axis(ax, alive)

    def _image(self) -> tuple[tuple[str, ...], np.ndarray]:
        if self.quantity == "sparsity":
            return self.history.layers, self.history.layer_sparsity
        return self.history.sites, self.history.site_rates(self.quantity)

    def _draw_image(self, ax: Any, style: dict[str, Any]) -> None:
        names, values = self._image()
        look = {"aspect": "auto", "cmap": _map(), "vmin": 0, "vmax": 1}
        self.artists["image"] = ax.imshow(values, **{**look, **style})
        self.artists["colorbar"] = ax.figure.colorbar(self.artists["image"], ax=ax)
        columns = np.arange(0, len(self.history), -(-len(self.history) // 12))
        labels = [f"{self.history.cycles[k]}\n{1 - self.history.sparsity[k]:.2g}" for k in columns]
        ax.set_xticks(columns, labels)
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(labelsize=7)
        ax.set(title=_label(self.quantity), xlabel="cycle, share of weights alive")
        ax.grid(False)


def _map() -> Any:
    """Colours of images and of ordered curves; missing values are grey."""
    return mpl.colormaps["viridis"].with_extremes(bad="#C8C8C8")


def _label(quantity: str) -> str:
    return quantity if quantity == "sparsity" else f"rate: {quantity.replace('_', ' ')}"
