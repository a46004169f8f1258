"""The section on pruning: counted rates of dead neurons beside closed forms, and what pruning can be relied on for."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from scatter_theory.report._figures import write
from scatter_theory.report._tables import Checks, Rows
from scatter_theory.results import BoundCheck

#: Key of the task, which begins the names of its checks.
KEY = "pruning"

INTRODUCTION = (
    "<p>A unit behind a ReLU is dead at an input where its pre-activation is at most 0. Counted rates stand beside "
    "closed forms; inputs are enumerated or are quantiles, so that what is allowed is a bound and not a chance. "
    "<i>Static</i> units depend on no input, as all their weights are pruned; the rest of the dead is <i>dynamic</i>: "
    "on the right, with fewer weights per unit, the dynamic rate falls while the total rises. Pruning a negative "
    "weight of a layer whose inputs are not negative puts no unit of that layer to sleep. The two rows marked – show "
    "that both hypotheses are needed: they count entries that do fall asleep where one fails.</p>"
)


def table(checks: Checks) -> tuple[list[str], Rows]:
    """One row per check: the largest deviation from what is claimed, what is allowed, and the outcome."""
    rows = []
    for check in (check for name, check in checks.items() if name.startswith(f"{KEY}/")):
        allowed = float((check.bound + check.rounding).max())
        failed = "; ".join(f"not so: {h.text}" for h in check.hypotheses if not h.satisfied)
        row = [check.claim, str(check.x.size), f"{check.measured.max():.3g}", f"{allowed:.1e}" if allowed else "0"]
        rows.append([*row, f"{check.outcome.symbol} {check.outcome.name}", failed])
    return ["claim", "cases", "largest deviation", "allowed", "outcome", "hypotheses"], rows


def figure(checks: Checks, out: Path) -> Path:
    """Draw rates of normalised and Gaussian units, and of randomly masked ones, on their closed forms; the path."""
    from matplotlib.figure import Figure

    from scatter_theory.plot import house_style

    with house_style():
        drawing = Figure(figsize=(9.0, 3.4))
        left, right = drawing.subplots(1, 2)
        _margins(left, checks)
        _masked(right, checks[f"{KEY}/random masks"])
        path, buffer = out / "figures" / "pruning.png", io.BytesIO()
        drawing.savefig(buffer, format="png", dpi=120)
    write(path, buffer.getvalue())
    return path


def _margins(ax: Any, checks: Checks) -> None:
    x = np.linspace(-3.2, 3.2, 129)
    ax.plot(x, [math.erfc(v / math.sqrt(2)) / 2 for v in x], color="black", label="$\\Phi(-x)$")
    for name, mark in (("Gaussian", "o"), ("batch norm", "s")):
        check = checks[f"{KEY}/{name}"]
        ax.plot(check.x, check.extra["value"], mark, fillstyle="none", label=f"{name}, x = {check.x_label}")
    ax.set(xlabel="x", ylabel="dead rate", title="Gaussian units")
    ax.legend()


def _masked(ax: Any, check: BoundCheck) -> None:
    for k, name in enumerate(dict.fromkeys(check.series)):
        at = [i for i, s in enumerate(check.series) if s == name]
        colour, mark = f"C{k}", "os^"[k]
        ax.plot(check.x[at], check.extra["closed form"][at], "-", color=colour)
        ax.plot(check.x[at], check.extra["value"][at], mark, color=colour, fillstyle="none", label=name)
    ax.set(xlabel="weights per unit, each pruned with probability 1/2", ylabel="rate", title="units with random masks")
    ax.set_ylim(0, 1)
    ax.invert_xaxis()
    ax.legend()
