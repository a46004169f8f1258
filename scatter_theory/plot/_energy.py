"""Where the energy goes with depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.plot._display import Display, array
from scatter_theory.plot._style import COLOURS


@dataclass(eq=False, kw_only=True, repr=False)
class EnergyDisplay(Display):
    r"""Energy per layer, as a share of the signal's: emitted, propagated (:math:`W_n`), and a proven bound on it.

    Lines are means over the signals, bars reach from the smallest to the largest share.

    Parameters
    ----------
    layers : (n_layers,) array
    emitted : (n_signals, n_layers) array
        :math:`|||\Phi^n(f)|||^2 / \|f\|^2`.
    remainder : (n_signals, n_layers) array
        :math:`W_n(f) / \|f\|^2`.
    bound : (n_layers,) array, optional
        Largest share that a theorem allows :math:`W_n` for any of the signals.
    """

    layers: np.ndarray
    emitted: np.ndarray
    remainder: np.ndarray
    bound: np.ndarray | None = None

    @classmethod
    def from_features(cls, features: Any, bound: np.ndarray | None = None) -> EnergyDisplay:
        """Shares of all signals of the batch that are not zero; `bound` on ``W_n / ||f||^2``, if known."""
        emitted = array(features.energy("layer"))
        emitted = emitted.reshape(-1, emitted.shape[-1])
        remainder = np.stack([array(W).reshape(-1) for W in features.remainder], axis=-1)
        alive = remainder[:, 0] > 0
        total = remainder[alive, :1]
        return cls(
            layers=np.array([layer.n for layer in features.layers]),
            emitted=emitted[alive] / total,
            remainder=remainder[alive] / total,
            bound=None if bound is None else np.asarray(bound, dtype=float),
        )

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        ax = axes[0, 0]
        curves = (
            ("remainder", self.remainder, "propagated, $W_n$", COLOURS[5], "s", "--", 0.06),
            ("emitted", self.emitted, "emitted as features", COLOURS[0], "o", "-", -0.06),
        )
        for name, share, label, colour, marker, dash, offset in curves:
            visible = np.where(share > 0, share, np.nan)
            if visible.size == 0 or np.all(np.isnan(visible)):
                continue
            mean = np.where(share.mean(0) > 0, share.mean(0), np.nan)
            low, high = np.fmin.reduce(visible), np.fmax.reduce(visible)
            options = {"color": colour, "marker": marker, "linestyle": dash, "label": label, "capsize": 3, **style}
            error = np.stack([mean - np.fmin(low, mean), high - mean])
            self.artists[name] = ax.errorbar(self.layers[: mean.size] + offset, mean, yerr=error, **options)
        if self.bound is not None:
            at = self.layers[: self.bound.size]
            (line,) = ax.plot(at, self.bound, color="black", linewidth=1.2, label="proven bound on $W_n$", marker="_")
            self.artists["bound"] = line
        ax.set_yscale("log")
        ax.set_xticks(self.layers)
        ax.set(xlabel="layer n", ylabel="share of the signal's energy")
        count = self.emitted.shape[0]
        ax.set_title(f"energy per layer, {count} signal{'s' if count != 1 else ''}")
        if count:
            ax.legend()
        else:
            self.artists["note"] = ax.annotate("no signal but zero", (0.5, 0.5), xycoords="axes fraction", ha="center")
