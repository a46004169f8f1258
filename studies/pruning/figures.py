"""The figure of the study: accuracies, dead-neuron rates and paired differences against the share of weights alive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.pruning.methods import ALONE, RULES, SELECTIONS
from studies.pruning.network import NETWORKS
from studies.pruning.tables import ACTIVATE, Runs, over_rules
from studies.shared.summary import spread

MARKERS = "os^Dv"
#: Rates that are drawn, with their line styles.
LINES = {"total": "-", "static": "--", "dynamic": ":"}
#: The rule whose rates are drawn.
SHOWN = "magnitude"


def draw(runs: Runs, path: Path) -> None:
    """Write the figure to a file, as a PNG image."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    with house_style():
        figure, axes = plt.subplots(len(NETWORKS), 4, figsize=(15, 6.6))
        for network, row in zip(NETWORKS, axes, strict=True):
            alive = [100 * (1 - r["sparsity"]) for r in runs[network, SHOWN, ALONE][min(runs[network, SHOWN, ALONE])]]
            _accuracies(row[0], runs, network, alive)
            _rates(row[1], runs, network, alive)
            _differences(row[2], runs, network, alive, "test", 1.0, "accuracy minus alone, points")
            _differences(row[3], runs, network, alive, "total", 100.0, "total dead rate minus alone, points")
            for ax in row:
                _axis(ax, alive)
        axes[0, 0].legend()
        axes[0, 1].legend(fontsize=7)
        axes[1, 2].legend(loc="lower left")
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _axis(ax: Any, alive: list[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(alive, [f"{x:.3g}" for x in alive])
    ax.minorticks_off()
    ax.invert_xaxis()
    ax.set_xlabel("weights alive, %")


def _band(ax: Any, x: list[float], by_cycle: list[list[float]], **look: Any) -> None:
    """Means over seeds with bars of one standard error."""
    means, errors = zip(*(spread(values) for values in by_cycle), strict=True)
    ax.errorbar(x, means, yerr=errors if len(by_cycle[0]) > 1 else None, capsize=2, **look)


def _accuracies(ax: Any, runs: Runs, network: str, alive: list[float]) -> None:
    for k, rule in enumerate(RULES):
        found = runs[network, rule, ALONE].values()
        by_cycle = [[cycles[k]["test"] for cycles in found] for k in range(len(alive))]
        _band(ax, alive, by_cycle, marker=MARKERS[k], label=rule)
    ax.set(title=f"{network}: test accuracy, rule alone, %")


def _rates(ax: Any, runs: Runs, network: str, alive: list[float]) -> None:
    for selection, colour in ((ALONE, "C0"), (ACTIVATE, "C5")):
        found = runs[network, SHOWN, selection].values()
        for name, line in LINES.items():
            by_cycle = [[100 * cycles[k][name] for cycles in found] for k in range(len(alive))]
            _band(ax, alive, by_cycle, color=colour, linestyle=line, label=f"{name}, {SHOWN} {selection}")
    ax.set(title=f"{network}: dead neurons, %", ylim=(0, None))


def _differences(ax: Any, runs: Runs, network: str, alive: list[float], quantity: str, unit: float, title: str) -> None:
    for k, selection in enumerate(name for name in SELECTIONS if name != ALONE):
        by_cycle = [
            [unit * x for x in over_rules(runs, network, selection, ALONE, quantity, cycle)]
            for cycle in range(len(alive))
        ]
        _band(ax, alive, by_cycle, marker=MARKERS[k], color=f"C{k}", label=selection)
    ax.axhline(0.0, color="black", linewidth=0.8)
    ax.set(title=f"{network}: {title}")
