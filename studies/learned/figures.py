"""The two figures of the study: frame bounds while training, and what moves and perturbations do to the accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.learned.measures import RADII, SHIFTS, SIZES
from studies.learned.network import METHODS
from studies.learned.tables import Runs, best_learned, values
from studies.shared.summary import spread


def look(runs: Runs, name: str) -> dict[str, Any]:
    """Line style by kind, and colour by method: black and greys for what is not learned under a constraint."""
    kind = METHODS[name].kind
    alike = [m for m in runs if METHODS[m].kind == kind]
    place = alike.index(name)
    colour = {"fixed": "black", "frozen": "tab:brown", "learned": f"C{place}", "free": ("0.3", "0.65")[place % 2]}[kind]
    return {
        "color": colour,
        "linestyle": {"fixed": "--", "frozen": "-.", "learned": "-", "free": ":"}[kind],
        "label": name,
    }


def draw_bounds(runs: Runs, path: Path) -> None:
    """A and B of the worse layer and seed after every epoch, by kind of frame, and validation accuracies."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
        for name in runs:
            style = look(runs, name)
            histories = [found["history"] for found in runs[name]]
            epochs = [row["epoch"] for row in histories[0]]
            at = [[history[e] for history in histories] for e in range(len(epochs))]
            if METHODS[name].tight:
                axes[0].plot(epochs, [max(max(r["defect"] for r in rows), 1e-17) for rows in at], marker=".", **style)
            else:
                axes[1].plot(epochs, [max(max(r["B1"], r["B2"]) for r in rows) for rows in at], marker="^", **style)
                low = [min(min(r["A1"], r["A2"]) for r in rows) for rows in at]
                axes[1].plot(epochs, low, marker="v", **(style | {"label": None}))
            axes[2].plot(epochs[1:], [spread([r["validation"] for r in rows])[0] for rows in at[1:]], **style)
        axes[0].set(yscale="log", title="tight by construction: max |A - 1|, |B - 1|", ylim=(1e-17, 1e-11))
        axes[1].axhline(1.0, color="black", linewidth=0.8)
        axes[1].set(yscale="log", title="the others: largest B (up), least A (down)")
        axes[2].set(title="validation accuracy, mean over seeds, %")
        for ax in axes:
            ax.set_xlabel("epoch")
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[1].legend(fontsize=7)
        figure.legend(*axes[2].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def draw_robustness(runs: Runs, path: Path) -> None:
    """Accuracies under shifts, deformations and attacks, certified accuracies, and sensitivities of the features."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    with house_style():
        figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
        moves = (("shift", SHIFTS, "shift, pixels"), ("deformation", SIZES, "largest displacement, pixels"))
        for name in runs:
            style = look(runs, name) | {"marker": "."}
            for row, (kind, sizes, label) in zip(axes, moves, strict=True):
                moved = [f"{kind}_{s:g}_accuracy" for s in sizes]
                _line(row[0], runs, name, (0, *sizes), ["test", *moved], style)
                _line(row[1], runs, name, sizes, [f"{kind}_{s:g}_worst_change" for s in sizes], style)
                row[0].set(xlabel=label, title="accuracy of moved images, %")
                row[1].set(xlabel=label, title="worst relative change of the features")
            for ax, kind in zip(axes[:, 2], ("attacked", "certified"), strict=True):
                _line(ax, runs, name, RADII, [f"{kind}_{r:g}" for r in RADII], style)
        for ax in axes[:, 2]:
            ax.set_xscale("log")
            ax.set_xticks(RADII, [f"{r:g}" for r in RADII])
            ax.minorticks_off()
        axes[0, 2].set(title="accuracy under attack, %", xlabel="norm of the perturbation")
        axes[1, 2].set(title="certified accuracy, %", xlabel="norm of the perturbation")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
        figure.suptitle(f"best learned tight frame by validation: {best_learned(runs)}", fontsize=10)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _line(ax: Any, runs: Runs, name: str, x: Any, quantities: list[str], style: dict[str, Any]) -> None:
    """Means over seeds with bars of one standard error."""
    means, errors = zip(*(spread(values(runs, name, q)) for q in quantities), strict=True)
    ax.errorbar(x, means, yerr=errors if len(runs[name]) > 1 else None, capsize=2, **style)
