"""Estimators of binary networks on Fashion-MNIST: accuracy, estimating error and gradient stability at equal budgets.

Trains ten networks per seed, in two processes, and writes a table and a figure. Interrupted, it continues where it was.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from studies.bnn.figures import draw
from studies.bnn.network import build, estimators
from studies.bnn.tables import claims, linear_accuracy, markdown, read, rows
from studies.bnn.training import Recipe, train
from studies.shared import command
from studies.shared.batches import Data
from studies.shared.command import Study
from studies.shared.files import replace_file, require_settings, text, write_csv


@dataclass(frozen=True)
class Plan:
    """What is run: sizes, recipe and seeds.

    Parameters
    ----------
    recipe : Recipe
        The same for all but its seed.
    images, validation : int
        Images from the training file, see ``fashion.load``.
    width : int
        Channels of the first stage of the network.
    seeds : tuple of int
        Of the initial weights and of the order of the images; networks with equal seeds begin equally.
    """

    recipe: Recipe
    images: int
    validation: int
    width: int
    seeds: tuple[int, ...]


FULL = Plan(Recipe(epochs=15, batch=50), images=15_000, validation=2_500, width=16, seeds=(0, 1, 2))
QUICK = Plan(Recipe(epochs=3, batch=50), images=1_500, validation=1_000, width=16, seeds=(0, 1))


def settings(plan: Plan, name: str, seed: int) -> dict[str, Any]:
    """Everything that a run depends on, in plain numbers and strings."""
    return {
        "name": name,
        "estimator": repr(estimators()[name]),
        "width": plan.width,
        "images": plan.images,
        "validation": plan.validation,
        "recipe": asdict(replace(plan.recipe, seed=seed)),
    }


def run(plan: Plan, data: Data, name: str, seed: int, out: Path) -> None:
    """Train one network and write its results, unless they are there.

    Raises
    ------
    ValueError
        If the file that is there belongs to other settings.
    """
    target, wanted = out / "runs" / f"{name}-seed{seed}.json", settings(plan, name, seed)
    if target.exists():
        found = json.loads(target.read_text())["settings"]
        found["recipe"] = asdict(Recipe(**found["recipe"]))  # settings that are newer than the file had their defaults
        require_settings(target, found, wanted)
        return
    checkpoint = target.with_suffix(".pt")
    model = build(estimators()[name], plan.width, seed)
    result = train(model, data, replace(plan.recipe, seed=seed), checkpoint=checkpoint, name=target.stem)
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    content = text({"settings": wanted, "versions": versions, **result})
    replace_file(target, lambda path: path.write_text(content))
    checkpoint.unlink()


def run_part(plan: Plan, data: Data, out: Path, part: int, parts: int) -> None:
    """Every `parts`-th network of the plan, beginning with number `part`, seed by seed."""
    (out / "runs").mkdir(parents=True, exist_ok=True)
    every = [(name, seed) for seed in plan.seeds for name in estimators()]
    for name, seed in every[part::parts]:
        run(plan, data, name, seed, out)


def summarise(plan: Plan, data: Data, out: Path) -> str:
    """Write `table.md`, `table.csv` and `figure.png` from the finished runs; the text of the first."""
    found = read(out)
    runs = {name: {seed: found[name][seed] for seed in plan.seeds} for name in estimators()}
    table = rows(runs)
    report = "\n".join([markdown(table, linear_accuracy(data)), "", *(f"* {line}" for line in claims(runs))]) + "\n"
    (out / "table.md").write_text(report)
    write_csv(table, out / "table.csv")
    draw(runs, out / "figure.png")
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study, see ``command.main``."""
    return command.main(Study("bnn", __doc__.splitlines()[0], (__file__,), FULL, QUICK, run_part, summarise), argv)


if __name__ == "__main__":
    sys.exit(main())
