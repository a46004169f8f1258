"""The figure of the study: accuracy, error and instability against the final power of ReSTE, and over the epochs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from studies.bnn.network import POWERS
from studies.bnn.tables import SWEEP, Runs, rows
from studies.shared.summary import spread

#: Estimators that are compared over the epochs, with their labels.
COMPARED = {"ste": "clipped STE", "ede": "EDE", "pareto": "Pareto", "reste-3": "ReSTE, o = 3"}


def draw(runs: Runs, path: Path) -> None:
    """Write the figure to a file, as a PNG image."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    with house_style():
        figure, axes = plt.subplots(2, 3, figsize=(12, 6.6))
        _accuracy(axes[0, 0], runs)
        _error(axes[0, 1], runs)
        _stability(axes[0, 2], runs)
        quantities = (
            ("validation accuracy, %", lambda e: e["validation"], False),
            ("estimating error of the weights (mean square)", lambda e: e["weights"]["error"], True),
            ("CV² of the gradients (mean over layers)", lambda e: e["weights"]["cv2_layers"], True),
        )
        for ax, (title, reading, log) in zip(axes[1], quantities, strict=True):
            _epochs(ax, runs, title, reading, log)
        axes[1, 0].legend()
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _powers(ax: Any, title: str) -> None:
    ax.set_xscale("log")
    ax.set_xticks(POWERS, [str(o) for o in POWERS])
    ax.minorticks_off()
    ax.set(xlabel="final power o", title=title)


def _accuracy(ax: Any, runs: Runs) -> None:
    mean, error = zip(*(spread([run["test"] for run in runs[name].values()]) for name in SWEEP), strict=True)
    ax.errorbar(POWERS, mean, yerr=error, marker="o", capsize=3, label="ReSTE")
    for k, name in enumerate(("ste", "ede", "pareto")):
        level, deviation = spread([run["test"] for run in runs[name].values()])
        ax.axhline(level, color=f"C{k + 1}", linestyle=("--", "-.", ":")[k], label=COMPARED[name])
        ax.axhspan(level - deviation, level + deviation, color=f"C{k + 1}", alpha=0.15, linewidth=0)
    _powers(ax, "test accuracy of the last epoch, %")
    ax.legend()


def _error(ax: Any, runs: Runs) -> None:
    table = {row.name: row for row in rows(runs)}
    curves = {
        "weights, mean over the run": "run_error",
        "weights, last epoch": "weight_error",
        "activations, last epoch": "activation_error",
    }
    for (label, quantity), marker in zip(curves.items(), "os^", strict=True):
        ax.plot(POWERS, [getattr(table[name], quantity) for name in SWEEP], marker=marker, label=label)
    first = table[SWEEP[0]].official_e
    official = [table[name].official_e / first for name in SWEEP]
    ax.plot(POWERS, official, marker="D", linestyle="--", label="official e, relative to o = 1")
    ax.set_ylim(bottom=0)
    _powers(ax, "estimating error (mean square)")
    ax.legend()


def _stability(ax: Any, runs: Runs) -> None:
    table = {row.name: row for row in rows(runs)}
    curves = {
        "official s": "official_s",
        "var |g|, all weights": "stability",
        "CV², weights": "weight_cv2",
        "CV², activations": "activation_cv2",
    }
    for (label, quantity), marker in zip(curves.items(), "os^D", strict=True):
        first = getattr(table[SWEEP[0]], quantity)
        ax.plot(POWERS, [getattr(table[name], quantity) / first for name in SWEEP], marker=marker, label=label)
    ax.set_yscale("log")
    _powers(ax, "instability, relative to o = 1")
    ax.legend()


def _epochs(ax: Any, runs: Runs, title: str, reading: Any, log: bool) -> None:
    """Means over seeds of a reading of each epoch, with bands of one standard error."""
    for k, (name, label) in enumerate(COMPARED.items()):
        curves = [[reading(epoch) for epoch in run["history"]] for run in runs[name].values()]
        mean, error = zip(*(spread(values) for values in zip(*curves, strict=True)), strict=True)
        epochs = range(1, len(mean) + 1)
        colour = f"C{(k + 1) % 4}"
        ax.plot(epochs, mean, color=colour, linestyle=("--", "-.", ":", "-")[k], label=label)
        if not math.isnan(error[0]):
            low, high = zip(*((m - s, m + s) for m, s in zip(mean, error, strict=True)), strict=True)
            ax.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    if log:
        ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", title=title)
