"""Estimators of binary networks on Fashion-MNIST: accuracy, estimating error and gradient stability at equal budgets.

Trains ten networks per seed, in two processes, and writes a table and a figure. Interrupted, it continues where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from figures import draw
from network import build, estimators
from tables import claims, linear_accuracy, markdown, read, rows, write_csv
from training import Recipe, train

from studies.shared.batches import Data
from studies.shared.fashion import find, load
from studies.shared.files import replace_file, text


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
        if found != wanted:
            raise ValueError(f"{target}: holds a run with {found}, not {wanted}; choose another folder by `--out`.")
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


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the four files of Fashion-MNIST; default: usual places")
    parser.add_argument("--out", type=Path, help="folder of the results; default: report/bnn or report/bnn-quick")
    parser.add_argument("--quick", action="store_true", help="the same in two minutes, to see that everything works")
    parser.add_argument("--part", metavar="K/N", help="train this share of the networks only, and make no table")
    parsed = parser.parse_args(argv)
    parsed.out = parsed.out or Path("report") / ("bnn-quick" if parsed.quick else "bnn")
    return parsed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study; 0 when all is done, 1 when a process failed, 2 when the images are missing."""
    options = arguments(argv)
    plan = QUICK if options.quick else FULL
    try:
        folder = find(options.data)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    data = load(folder, images=plan.images, validation=plan.validation)
    if options.part is not None:
        part, parts = map(int, options.part.split("/"))
        run_part(plan, data, options.out, part, parts)
        return 0
    again = [sys.executable, __file__, "--data", str(folder), "--out", str(options.out)]
    again += ["--quick"] if options.quick else []
    processes = [subprocess.Popen([*again, "--part", f"{k}/2"]) for k in range(2)]
    if any([process.wait() for process in processes]):
        print("A process failed; the same command continues where it was.", file=sys.stderr)
        return 1
    print(summarise(plan, data, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
