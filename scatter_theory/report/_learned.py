"""The section on learned frames and trained networks: bounds by construction, and bounds by computation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from scatter_theory.report._figures import write
from scatter_theory.report._tables import Checks, Rows
from scatter_theory.results import BoundCheck

#: Key of the task, which begins the names of its checks.
KEY = "learned"

#: One for each parametrisation, at other steps each: most curves lie on one another.
MARKS = "os^vDPX"

INTRODUCTION = (
    "<p>Learned frames keep A and B in a stated range for all values of their weights, so that an optimiser cannot "
    "leave it. The loss here pulls the filters towards zero at random frequencies; taps that are weights themselves, "
    "which begin as a tight frame, lose their bounds at once. Of networks that were trained without such a "
    "construction, bounds are computed: exact ones of convolutions, beside singular values of dense matrices, and "
    "Lipschitz certificates, beside what attacks attain. The two rows marked – have the same measurement without what "
    "makes the claim true, and say how far it then fails.</p>"
)


def table(checks: Checks) -> tuple[list[str], Rows]:
    """One row per check: the case nearest to or farthest beyond what is allowed, and the outcome."""
    rows = []
    for check in (check for name, check in checks.items() if name.startswith(f"{KEY}/")):
        allowed = check.bound + check.rounding
        k = int(np.argmax(check.measured - allowed))
        failed = "; ".join(f"not so: {h.text}" for h in check.hypotheses if not h.satisfied)
        row = [check.claim, str(check.x.size), f"{check.measured[k]:.3g}", f"{allowed[k]:.3g}"]
        rows.append([*row, f"{check.outcome.symbol} {check.outcome.name}", failed])
    return ["claim", "cases", "worst case", "allowed", "outcome", "hypotheses"], rows


def figure(checks: Checks, out: Path) -> Path:
    """Draw A and B after every step, and what is attained of the constants of a trained network; the path."""
    from matplotlib.figure import Figure

    from scatter_theory.plot import house_style

    with house_style():
        drawing = Figure(figsize=(9.0, 3.6), layout="constrained")
        left, right = drawing.subplots(1, 2)
        _bounds(left, checks[f"{KEY}/training"], checks[f"{KEY}/training, raw taps"])
        _constants(right, checks[f"{KEY}/certificates"])
        path, buffer = out / "figures" / "learned.png", io.BytesIO()
        drawing.savefig(buffer, format="png", dpi=120)
    write(path, buffer.getvalue())
    return path


def _bounds(ax: Any, kept: BoundCheck, lost: BoundCheck) -> None:
    for k, name in enumerate(dict.fromkeys(kept.series)):
        at = [i for i, s in enumerate(kept.series) if s == name]
        for which in "AB":
            label = name if which == "B" else None
            style = {"color": f"C{k}", "marker": MARKS[k], "markevery": (2 * k, 2 * len(MARKS))}
            style |= {"markersize": 7, "markeredgecolor": "black", "markeredgewidth": 0.6}
            ax.plot(kept.x[at], kept.extra[which][at], label=label, linewidth=4 - 0.5 * k, **style)
    for which in "AB":
        label = "taps, no guarantee" if which == "B" else None
        ax.plot(lost.x, lost.extra[which], ":", color="black", label=label)
    ax.set(xlabel="step", ylabel="A and B", title="frame bounds while training", ylim=(0, 1.5))
    ax.legend(loc="upper center", fontsize=7, ncols=3)


def _constants(ax: Any, check: BoundCheck) -> None:
    ax.plot(check.x, check.bound, "_", color="black", markersize=14, label="certified")
    ax.plot(check.x, check.measured, "o", color="C0", fillstyle="none", label="attained")
    ax.set_xticks(check.x, list(check.series), rotation=45, ha="right", fontsize=8)
    ax.set(yscale="log", xlabel="node", ylabel="Lipschitz constant", title="a trained network and its nodes")
    ax.legend()
