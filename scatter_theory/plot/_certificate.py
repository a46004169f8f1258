"""The Lipschitz certificate of a network: every node, and the bound as it grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, OUTCOMES, log_ticks, spans_decades

if TYPE_CHECKING:
    from scatter_theory.certify import ModelCertificate


@dataclass(eq=False, repr=False)
class ModelCertificateDisplay(Display):
    """Left, the constant of every node and what an attack on the node reaches; right, the bound from the input on.

    Filled squares are exact constants, open ones upper bounds; a cross marks a constant that an attack exceeds. On the
    right the dotted line is what two inputs of the whole network attain.

    Parameters
    ----------
    certificate : ModelCertificate
        Of ``scatter_theory.certify.torch_model``.
    """

    certificate: ModelCertificate

    def _layout(self) -> tuple[int, int]:
        return 1, 2

    def _figsize(self) -> tuple[float, float]:
        return 9.4, float(np.clip(1.4 + 0.17 * len(self.certificate.nodes), 3.0, 14.0))

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        (left, right), found = axes[0], self.certificate
        rows = np.arange(len(found.nodes))
        constants, attained, totals = (
            np.array([getattr(node, key) for node in found.nodes]) for key in ("constant", "attained", "total")
        )
        exact = np.array([node.kind == "exact" for node in found.nodes], dtype=bool)
        self._constants(left, rows, constants, exact)
        look = {"linestyle": "none", "marker": "|", "markersize": 9, "color": COLOURS[5], "label": "attained", **style}
        (self.artists["attained"],) = left.plot(attained, rows, **look)
        look = {"color": COLOURS[0], "marker": "o", "markersize": 3, "label": "bound", **style}
        (self.artists["total"],) = right.plot(totals, rows, **look)
        self.artists["lower"] = right.axvline(found.lower, color=COLOURS[5], linestyle=":", label="attained, network")
        for ax, values in ((left, np.concatenate([constants, attained])), (right, np.append(totals, found.lower))):
            ax.set_ylim(len(rows) - 0.5, -0.5)
            if spans_decades(values) and values.min() > 0:
                ax.set_xscale("log")
                log_ticks(ax.xaxis, values)
        left.set_yticks(rows, [node.name for node in found.nodes], fontsize=7)
        right.set_yticks(rows, [""] * len(rows))
        left.set(xlabel="constant of the node")
        right.set(xlabel="Lipschitz constant from the input")
        self.artists["legends"] = [ax.legend(loc="best") for ax in (left, right)]
        verdict = f"void: attack exceeds {', '.join(found.contradictions)}" if found.contradictions else ""
        self._head(verdict or f"{found.model}: at most {found.upper:.4g}, at least {found.lower:.4g}")

    def _constants(self, ax: Any, rows: np.ndarray, constants: np.ndarray, exact: np.ndarray) -> None:
        wrong = np.array([node.contradicted for node in self.certificate.nodes], dtype=bool)
        look = {"linestyle": "none", "marker": "s", "markersize": 5, "color": COLOURS[0]}
        kinds = {"exact": (exact, {}), "upper bound": (~exact, {"markerfacecolor": "none"})}
        for label, (chosen, fill) in kinds.items():
            if chosen.any():
                (self.artists[label],) = ax.plot(constants[chosen], rows[chosen], label=label, **look, **fill)
        if wrong.any():
            colour, marker = OUTCOMES["VIOLATED"]
            cross = {"linestyle": "none", "marker": marker, "markersize": 9, "color": colour, "label": "exceeded"}
            (self.artists["exceeded"],) = ax.plot(constants[wrong], rows[wrong], **cross)
