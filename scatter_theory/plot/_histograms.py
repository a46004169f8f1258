"""Ridges of latent weights, one per layer, beside the thresholds of the estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS

#: Height of the largest ridge in units of the distance of two ridges.
_OVERLAP = 0.9


@dataclass(eq=False, kw_only=True, repr=False)
class LatentHistogramsDisplay(Display):
    """One ridge per tensor from top to bottom, each scaled to its own height; thresholds as short lines.

    The inner threshold m, up to which f' is constant, is solid orange, the outer one t, beyond which there is no
    gradient, dashed red. Thresholds outside of all weights are not drawn. At the right stand the shares of weights
    within m and beyond t.

    Parameters
    ----------
    edges : (n_bins + 1,) array
    counts : (n_tensors, n_bins) array
    names : tuple of str
    limits : (n_tensors, 2) array
        m and t; 0 and inf where there is no such threshold.
    inside, beyond : (n_tensors,) arrays
        Shares of the weights.
    title : str
    """

    edges: np.ndarray
    counts: np.ndarray
    names: tuple[str, ...]
    limits: np.ndarray
    inside: np.ndarray
    beyond: np.ndarray
    title: str = "latent weights"

    @classmethod
    def from_histograms(cls, histograms: Any) -> LatentHistogramsDisplay:
        """Display of `LatentHistograms`."""
        return cls(
            edges=histograms.edges,
            counts=histograms.counts,
            names=histograms.names,
            limits=histograms.limits,
            inside=histograms.inside,
            beyond=histograms.beyond,
        )

    @classmethod
    def from_model(cls, model: Any) -> LatentHistogramsDisplay:
        """Display of the latent weights of a binarised model."""
        from scatter_theory.bnn._histograms import latent_histograms

        return cls.from_histograms(latent_histograms(model))

    def _figsize(self) -> tuple[float, float]:
        return 7.6, 1.2 + 0.42 * max(3, len(self.names))

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        n, top = len(self.names), float(self.edges[-1])
        ax.set(xlabel="latent weight", title=self.title)
        self.artists = {"ridges": [], "inner": [], "outer": [], "shares": []}
        for i in range(n):
            base, counts = n - 1 - i, self.counts[i]
            height = base + _OVERLAP * counts / max(1, counts.max())
            look = {"color": COLOURS[0], "alpha": 0.45, "linewidth": 0.8, "step": "post", "zorder": 2, **style}
            self.artists["ridges"].append(ax.fill_between(self.edges, np.append(height, base), base, **look))
            for key, limit, line in zip(("inner", "outer"), self.limits[i], ("-", "--"), strict=True):
                if 0 < limit <= 1.02 * top:
                    colour = COLOURS[1] if key == "inner" else COLOURS[5]
                    self.artists[key].append(
                        ax.vlines([-limit, limit], base, base + _OVERLAP, colors=colour, linestyles=line, zorder=3)
                    )
            self.artists["shares"].append(self._share(ax, i, base))
        ax.set_yticks(np.arange(n)[::-1], self.names)
        ax.tick_params(axis="y", length=0)
        ax.set(xlim=(-1.05 * top, 1.05 * top), ylim=(-0.1, n))
        ax.grid(axis="y", visible=True)
        self._legend(ax)

    def _share(self, ax: Any, i: int, base: float) -> Any:
        m, t = self.limits[i]
        parts = [f"{100 * self.inside[i]:.1f} % within m"] if m > 0 else []
        parts += [f"{100 * self.beyond[i]:.1f} % beyond t"] if t < np.inf else []
        return ax.annotate(
            "\n".join(parts), (1.0, base + 0.4), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", fontsize=7, color="#444444", va="center",
        )  # fmt: skip

    def _legend(self, ax: Any) -> None:
        handles = [
            (self.artists[key][0], f"{letter} = {', '.join(f'{v:g}' for v in np.unique(self.limits[:, k]))}")
            for k, (key, letter) in enumerate((("inner", "m"), ("outer", "t")))
            if self.artists[key]
        ]
        if handles:
            shown, labels = zip(*handles, strict=True)
            ax.legend(shown, labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderaxespad=1.8)
