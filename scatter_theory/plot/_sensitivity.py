"""What pruning one layer does to a network, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, DASHES, hues

if TYPE_CHECKING:
    from scatter_theory.pruning import Sensitivity


@dataclass(eq=False, repr=False)
class SensitivityDisplay(Display):
    """Evaluation against sparsity: one curve per layer that is pruned alone, in black all layers together.

    Every curve starts at sparsity 0 with the value of the network as it is, which is a dotted line too.

    Parameters
    ----------
    sensitivity : Sensitivity
        Of ``scatter_theory.pruning.sensitivity``.
    """

    sensitivity: Sensitivity

    def _figsize(self) -> tuple[float, float]:
        return 8.0, float(np.clip(0.9 + 0.19 * len(self.sensitivity.layers), 3.6, 8.0))

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax, found = axes[0, 0], self.sensitivity
        few = len(found.layers) < len(COLOURS)
        colours = COLOURS[:-1] if few else hues(len(found.layers))
        self.artists["curves"] = []
        sparsities = np.append(0.0, found.sparsities)
        for k, (name, values) in enumerate(zip(found.layers, found.values, strict=True)):
            dash = DASHES[k % len(DASHES)]
            look = {"color": colours[k], "linestyle": dash, "marker": "o", "markersize": 3, "label": name, **style}
            self.artists["curves"].append(ax.plot(sparsities, np.append(found.baseline, values), **look)[0])
        look = {"color": "black", "linewidth": 2.2, "marker": "o", "label": "all together", "zorder": 3}
        (self.artists["together"],) = ax.plot(sparsities, np.append(found.baseline, found.together), **look)
        self.artists["baseline"] = ax.axhline(found.baseline, color="#7F7F7F", linestyle=":", label="not pruned")
        ax.set(xlabel="sparsity of what is pruned", ylabel="evaluation", title=f"pruned by {found.rule}")
        self.artists["legend"] = ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
