"""What meters have measured in each layer over the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize

from scatter_theory.plot._display import Display, hide
from scatter_theory.plot._style import COLOURS, DASHES, spans_decades

if TYPE_CHECKING:
    from scatter_theory.meters import Report

Kind = Literal["curves", "heatmap"]

#: As many sites are named in a legend; more are coloured by their order.
_LEGEND = 10
_COLUMNS = 2

#: What is shown of the indicators of a binary network, unless asked for.
_PREFERRED = ("error_mse", "stability", "stability_cv2", "flip_rate")

_LABELS = {
    "error_mse": "mean squared estimating error",
    "error_rms": "root mean squared estimating error",
    "error_l2": "estimating error, L2 norm",
    "error_l2_squared": "estimating error, squared L2 norm",
    "stability": "gradient stability var |g|",
    "stability_cv2": "CV² of |g|",
    "flip_rate": "share of signs that flipped",
    "saturated": "share beyond the outer limit",
    "inner": "share within the inner limit",
    "dead": "share without gradient",
}


@dataclass(eq=False, repr=False)
class IndicatorsDisplay(Display):
    """One panel per quantity: a curve per site with the reduced value in black, or an image of sites and steps.

    Sites of several kinds, which are the parts of their names after the last dot, are reduced apart and have different
    dashes. Up to ten sites are named in a legend; more are coloured from first to last, with a colour bar. Axes become
    logarithmic where the values spread widely. Grey cells of an image have no value.

    Parameters
    ----------
    report : Report
        Of ``scatter_theory.meters``.
    quantities : sequence of str, optional
        One panel each. Default: error, stability, CV^2 and flip rate where the report has them, else the first four.
    kind : {"curves", "heatmap"}
    """

    report: Report
    quantities: Sequence[str] | None = None
    kind: Kind = "curves"

    def plot(
        self, ax: Any = None, *, quantities: Sequence[str] | None = None, kind: Kind | None = None, **style: Any
    ) -> IndicatorsDisplay:
        """Draw, on new axes or in the place of `ax`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            As for all displays.
        quantities, kind
            In the place of those of the display.
        **style
            Passed to the curves or images.

        Raises
        ------
        KeyError
            If the report does not have a quantity.
        ValueError
            If `kind` is none of the two, or there is no quantity.
        """
        self.quantities = self.quantities if quantities is None else quantities
        self.kind = self.kind if kind is None else kind
        return super().plot(ax=ax, **style)

    @property
    def _shown(self) -> tuple[str, ...]:
        if self.kind not in get_args(Kind):
            raise ValueError(f"`IndicatorsDisplay(kind=...)`: got {self.kind!r}, expected one of {get_args(Kind)}.")
        if self.quantities is not None:
            shown = (self.quantities,) if isinstance(self.quantities, str) else tuple(self.quantities)
            if not shown:
                raise ValueError("`IndicatorsDisplay(quantities=...)`: got none, expected one or more.")
            for name in shown:
                self.report.per_layer(name)
            return shown
        there = [q for q in self.report.quantities if not np.isnan(self.report.values[q]).all()]
        preferred = tuple(q for q in _PREFERRED if q in there)
        sizes = {pooling.size for pooling in self.report.poolings.values()}
        return preferred or tuple(q for q in there if q not in sizes)[:4] or self.report.quantities[:1]

    def _layout(self) -> tuple[int, int]:
        n = len(self._shown)
        columns = 1 if self.kind == "heatmap" and n == 1 else min(n, _COLUMNS)
        return -(-n // columns), columns

    def _figsize(self) -> tuple[float, float]:
        rows, columns = self._layout()
        if self.kind == "heatmap":
            longest = max((len(site) for site in self.report.sites), default=0)
            return 1.2 + 0.065 * longest + 3.9 * columns, 0.7 + rows * float(
                np.clip(0.17 * len(self._ticks()), 2.2, 5.0)
            )
        return 2.6 + 3.7 * columns, 0.7 + 2.5 * rows

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        panels, shown = axes.ravel(), self._shown
        hide(panels[len(shown) :])
        if not (len(self.report.steps) and self.report.sites):
            self.artists["note"] = panels[0].annotate("no data", (0.5, 0.5), xycoords="axes fraction", ha="center")
        elif self.kind == "curves":
            self._draw_curves(panels, shown, style)
        else:
            self._draw_images(panels, shown, axes.shape[1], style)
        self._head(self.report.title)

    # --- curves ------------------------------------------------------------------------------------------------------

    def _draw_curves(self, panels: np.ndarray, shown: tuple[str, ...], style: dict[str, Any]) -> None:
        groups, steps = self._groups(), self.report.steps
        looks = self._looks(groups)
        dot = {"marker": "o"} if len(steps) == 1 else {}
        self.artists |= {"curves": {}, "reduced": {}}
        for ax, name in zip(panels, shown, strict=False):
            values = self.report.per_layer(name)
            self.artists["curves"][name] = [
                ax.plot(steps, row, **{**look, **dot, **style})[0] for row, look in zip(values, looks, strict=True)
            ]
            reduced = {group: self._reduced(name, rows) for group, rows in groups.items()}
            self.artists["reduced"][name] = [
                ax.plot(steps, y, color="black", linewidth=2.2, linestyle=dash, zorder=3, label=label, **dot)[0]
                for (label, y), dash in zip(reduced.items(), DASHES, strict=False)
            ]
            ax.set(title=_LABELS.get(name, name), xlabel="step")
            ax.locator_params(axis="x", nbins=6, integer=True)
            drawn = np.concatenate([values.ravel(), *reduced.values()])
            drawn = drawn[np.isfinite(drawn)]
            if spans_decades(drawn) and (drawn > 0).all():
                ax.set_yscale("log")
            elif drawn.size and drawn.min() >= 0:
                ax.set_ylim(0.0, 1.08 * drawn.max() or 1.0)
        if len(self.report.sites) <= _LEGEND:
            handles, _ = panels[0].get_legend_handles_labels()
            place = panels[min(len(shown), self._axes.shape[1]) - 1]
            self.artists["legend"] = place.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
            return
        self.artists["legend"] = panels[0].legend(handles=self.artists["reduced"][shown[0]], loc="best")
        names = [self.report.sites[k] for k in next(iter(groups.values()))]
        names = [name.rpartition(".")[0] for name in names] if len(groups) > 1 else names
        order = mpl.cm.ScalarMappable(Normalize(0, len(names) - 1), _map())
        bar = panels[0].figure.colorbar(order, ax=list(panels[: len(shown)]))
        bar.set_ticks([0, len(names) - 1], labels=[names[0], names[-1]])
        self.artists["colorbar"] = bar

    def _groups(self) -> dict[str, list[int]]:
        """Sites by the part of the name after the last dot, if these parts are few; else one group."""
        sites = self.report.sites
        kinds = list(dict.fromkeys(site.rpartition(".")[2] for site in sites))
        if not 1 < len(kinds) <= min(len(DASHES), len(sites) - 1):
            return {f"all, {self.report.reduction}": list(range(len(sites)))}
        return {
            f"all {kind}s, {self.report.reduction}": [k for k, s in enumerate(sites) if s.rpartition(".")[2] == kind]
            for kind in kinds
        }

    def _reduced(self, quantity: str, rows: list[int]) -> np.ndarray:
        """One value per step over some of the sites."""
        values = {name: array[rows] for name, array in self.report.values.items()}
        return self.report.poolings[quantity].over(values[quantity], values, self.report.reduction)

    def _looks(self, groups: dict[str, list[int]]) -> list[dict[str, Any]]:
        """Colour by the place in the group, dashes by group."""
        looks: list[dict[str, Any]] = [{} for _ in self.report.sites]
        few = len(looks) <= _LEGEND
        for rows, dash in zip(groups.values(), DASHES, strict=False):
            colours = [COLOURS[i % (len(COLOURS) - 1)] for i in range(len(rows))]
            for k, colour in zip(rows, colours if few else _map()(np.linspace(0, 1, len(rows))), strict=True):
                looks[k] = {"color": colour, "linestyle": dash, "linewidth": 1.0}
                looks[k] |= {"label": self.report.sites[k]} if few else {}
        return looks

    # --- images ------------------------------------------------------------------------------------------------------

    def _ticks(self) -> np.ndarray:
        """Rows that are named: all, or about thirty."""
        n = len(self.report.sites)
        return np.arange(0, n, -(-n // 30) or 1)

    def _draw_images(self, panels: np.ndarray, shown: tuple[str, ...], columns: int, style: dict[str, Any]) -> None:
        self.artists |= {"images": {}, "colorbars": {}}
        steps, ticks = self.report.steps, self._ticks()
        for i, (ax, name) in enumerate(zip(panels, shown, strict=False)):
            values = np.where(np.isfinite(self.report.per_layer(name)), self.report.per_layer(name), np.nan)
            there = values[np.isfinite(values)]
            log = spans_decades(there) and bool((there > 0).all())
            low, high = (there.min(), there.max()) if there.size else (0.0, 1.0)
            low = low if log or low < 0 else 0.0
            norm = (LogNorm if log else Normalize)(low, high if high > low else low + 1.0)
            options = {"aspect": "auto", "cmap": _map(), "norm": norm, **style}
            image = ax.imshow(values, **options)
            columns_named = np.arange(0, len(steps), -(-len(steps) // 6))
            ax.set_xticks(columns_named, [str(s) for s in steps[columns_named]])
            ax.set_yticks(ticks, [self.report.sites[k] for k in ticks] if i % columns == 0 else [])
            ax.tick_params(axis="y", labelsize=7)
            ax.set(title=_LABELS.get(name, name), xlabel="step")
            ax.grid(False)
            self.artists["images"][name] = image
            self.artists["colorbars"][name] = ax.figure.colorbar(image, ax=ax)


def _map() -> Any:
    """Colours of images and of ordered curves; missing values are grey."""
    return mpl.colormaps["viridis"].with_extremes(bad="#C8C8C8")
