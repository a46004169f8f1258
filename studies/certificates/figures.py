"""The figure of the study: bounds from the input to every node, what is attained, and the defect by network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.certificates.tables import Runs


def draw(runs: Runs, path: Path) -> None:
    """Write the figure to a file, as a PNG image."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    certified = {name: run for name, run in runs.items() if run["nodes"]}
    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(15, 4.4), layout="constrained")
        _growth(axes[0], certified)
        _ends(axes[1], certified)
        _defects(axes[2], certified)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _growth(ax: Any, runs: Runs) -> None:
    for name, run in runs.items():
        totals = [node["total"] for node in run["nodes"]]
        ax.plot([k / (len(totals) - 1) for k in range(len(totals))], totals, label=name)
    ax.set_yscale("log")
    ax.set_xlabel("nodes, from input (0) to output (1)")
    ax.set_ylabel("certified bound up to the node")
    ax.legend(fontsize=8)


def _ends(ax: Any, runs: Runs) -> None:
    for k, run in enumerate(runs.values()):
        found = run["found"]
        ax.vlines(k, found["lower"], found["product"], color="0.7", lw=1)
        for key, marker, color in (("product", "_", "0.3"), ("upper", "v", "C0"), ("lower", "^", "C3")):
            ax.plot([k], [found[key]], marker, color=color, label=_NAMES[key] if k == 0 else None, ms=9)
    ax.set_yscale("log")
    _names(ax, runs)
    ax.set_ylabel("Lipschitz constant of the network")
    ax.legend(fontsize=8, loc="upper left")


_NAMES = {"product": "product of the nodes", "upper": "certified", "lower": "attained by two inputs"}


def _defects(ax: Any, runs: Runs) -> None:
    keys = (("defect", "as trained", -0.3), ("defect_filtered", "with filters", -0.1))
    keys += (("whole", "as trained, whole steps", 0.1), ("whole_filtered", "with filters, whole steps", 0.3))
    for key, label, place in keys:
        values = [run["found"][key] for run in runs.values()]
        ax.bar([k + place for k in range(len(runs))], values, 0.2, label=label)
    _names(ax, runs)
    ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
    ax.set_ylabel("largest change by a shift, relative")
    ax.legend(fontsize=8, ncols=2)


def _names(ax: Any, runs: Runs) -> None:
    ax.set_xticks(range(len(runs)), list(runs), rotation=20)
