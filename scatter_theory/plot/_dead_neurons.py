"""How much of a network does not fire: rates of each site, and the histogram of the firing rates of its channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.transforms import ScaledTranslation

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, MARKERS

if TYPE_CHECKING:
    from scatter_theory.pruning import DeadNeurons

#: Rates that are drawn as points, with their labels.
_POINTS = {"total": "total", "static": "static", "dynamic": "dynamic", "always_on": "always on", "silent": "silent"}

#: Parts of all pairs of sample and unit, which exclude each other, with their colours.
_PARTS = {
    "static, 0": "#8C8C8C",
    "dead, not static": COLOURS[0],
    "not a number": "#000000",
    "static, above 0": COLOURS[3],
    "on": COLOURS[1],
}

_BINS = 25
_OVERLAP = 0.9


def _rows(sites: int) -> float:
    """Height of a panel with a row for each site, in inches."""
    return float(np.clip(1.9 + 0.27 * sites, 3.0, 9.5))


def _name(ax: Any, names: tuple[str, ...] | list[str]) -> None:
    """Name the rows of a panel, from top to bottom."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", labelsize=7)


def _legend_below(ax: Any, columns: int) -> Any:
    """A legend at a fixed distance below the axes, however high they are."""
    below = ax.transAxes + ScaledTranslation(0, -0.45, ax.figure.dpi_scale_trans)
    return ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=columns)


@dataclass(eq=False, repr=False)
class DeadNeuronsDisplay(Display):
    """Left, the rates of each site as points; right, what happens at all its units and samples.

    The line through the point of the total is its 95 % interval over samples; a single sample has none. The parts on
    the right exclude each other and add to 1: static units that are 0, other units where they are 0, static units above
    0, and other units where they are on. A site whose static units are not known has no bar and fewer points.

    Parameters
    ----------
    report : DeadNeurons
        Of ``scatter_theory.pruning.dead_neurons``.
    """

    report: DeadNeurons

    def _layout(self) -> tuple[int, int]:
        return 1, 2

    def _figsize(self) -> tuple[float, float]:
        return 10.0, _rows(len(self.report.sites))

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        rates, parts = axes[0]
        self._draw_rates(rates, style)
        self._draw_parts(parts)
        self._head(f"dead neurons, {self.report.samples:,} samples, {self.report.facts['statistics']}")

    def _draw_rates(self, ax: Any, style: dict[str, Any]) -> None:
        rows = np.arange(len(self.report.sites))
        shift = np.linspace(-0.3, 0.3, len(_POINTS))
        self.artists["points"] = {}
        for k, (name, label) in enumerate(_POINTS.items()):
            look = {"linestyle": "none", "marker": MARKERS[k], "color": COLOURS[k], "label": label, **style}
            self.artists["points"][name] = ax.plot(self.report.rate(name), rows + shift[k], **look)[0]
        if self.report.samples > 1:
            low, high = self.report.interval("total")
            self.artists["interval"] = ax.hlines(rows + shift[0], low, high, color=COLOURS[0], linewidth=1.4)
        _name(ax, list(self.report.sites))
        ax.set(xlabel="rate", xlim=(-0.03, 1.03), title="rates and 95 % interval of the total")
        self.artists["legend"] = _legend_below(ax, len(_POINTS))

    def _draw_parts(self, ax: Any) -> None:
        rate = self.report.rate
        dead = np.stack([rate(name) for name in ("static", "dynamic", "nan", "static_on")])
        known = ~np.isnan(dead).any(0)
        values = np.where(known, [*dead, 1.0 - dead.sum(0)], 0.0)
        left, self.artists["bars"] = np.zeros(len(known)), {}
        for (label, colour), part in zip(_PARTS.items(), values, strict=True):
            if part.any():
                bars = ax.barh(np.arange(len(part)), part, left=left, height=0.75, color=colour, label=label)
                self.artists["bars"][label] = bars
            left = left + part
        _name(ax, [""] * len(left))
        ax.set(xlabel="share of units and samples", xlim=(0, 1), title="parts that add to 1")
        ax.grid(False)
        self.artists["parts_legend"] = _legend_below(ax, 3)


@dataclass(eq=False, repr=False)
class FiringRatesDisplay(Display):
    """One histogram per site of how often its channels fire, each scaled to its own height.

    The firing rate of a channel is the share of samples and positions at which it is not dead. At the right stand the
    shares of channels that never fired, and of those that always did: rates of exactly 0 and 1, not whole bins.

    Parameters
    ----------
    report : DeadNeurons
        Of ``scatter_theory.pruning.dead_neurons``.
    """

    report: DeadNeurons

    def _figsize(self) -> tuple[float, float]:
        return 7.6, 1.2 + 0.42 * max(3, len(self.report.sites))

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        edges = np.linspace(0.0, 1.0, _BINS + 1)
        self.artists = {"ridges": [], "counts": [], "shares": []}
        for row, site in enumerate(self.report.sites):
            firing = 1.0 - np.asarray(self.report.per_channel(site))
            counts, _ = np.histogram(firing, edges)
            height = row - _OVERLAP * counts / max(1, counts.max())
            look = {"color": COLOURS[0], "alpha": 0.45, "linewidth": 0.8, "step": "post", "zorder": 2, **style}
            self.artists["ridges"].append(ax.fill_between(edges, np.append(height, row), row, **look))
            self.artists["counts"].append(counts)
            shares = f"{(firing == 0).mean():.0%}, {(firing == 1).mean():.0%} of {len(firing)}"
            self.artists["shares"].append(ax.text(1.02, row, shares, fontsize=7, va="bottom"))
        ax.text(1.02, -0.7, "never, always", fontsize=7, va="bottom")
        _name(ax, list(self.report.sites))
        ax.set_ylim(len(self.report.sites) - 0.7, -1.1)
        ax.set(xlabel="firing rate of a channel", xlim=(0, 1.2), title=f"{self.report.samples:,} samples")
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.grid(axis="y")
