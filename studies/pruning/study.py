"""Pruning rules with and without Activate-while-Pruning on Fashion-MNIST: accuracy and dead neurons at equal sparsity.

Two networks, five rules, five selections and three seeds, each over the cycles of iterative pruning with rewinding, in
two processes. Interrupted, it continues where it was.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scatter_theory import pruning
from studies.pruning.figures import draw
from studies.pruning.methods import RATE, RULES, SELECTIONS, SHARE, loss
from studies.pruning.network import NETWORKS, build
from studies.pruning.tables import claims, markdown, read, rows
from studies.pruning.training import Recipe, train
from studies.shared import command
from studies.shared.batches import Data
from studies.shared.command import Study
from studies.shared.files import kept, replace_file, say, text, write_csv
from studies.shared.summary import accuracy


@dataclass(frozen=True)
class Plan:
    """What is run: sizes, recipe and seeds.

    Parameters
    ----------
    recipe : Recipe
        Of each cycle, the same for all but its seed.
    images, validation : int
        Images from the training file, see ``fashion.load``; the second ones are those that the neurons are read on.
    width : int
        Channels of the first convolution.
    cycles : int
        Trainings of each network, the first one of which is dense.
    seeds : tuple of int
        Of the initial weights, the order of the images and the rules; those with equal seeds begin equally.
    """

    recipe: Recipe
    images: int
    validation: int
    width: int
    cycles: int
    seeds: tuple[int, ...]


FULL = Plan(Recipe(epochs=4, batch=50, lr=0.03), images=6_000, validation=1_000, width=8, cycles=7, seeds=(0, 1, 2))
QUICK = Plan(Recipe(epochs=1, batch=50, lr=0.03), images=1_000, validation=500, width=4, cycles=3, seeds=(0, 1))

#: Rates that are kept, pooled over the sites.
RATES = ("total", "static", "dynamic", "always_on", "silent", "static_on")
#: Rates that are kept for each site.
SITE_RATES = ("total", "static")
#: Training images that gradients are taken on.
GRADIENT_IMAGES = 500


@dataclass(frozen=True)
class Job:
    """One file of results: a network, a rule and a seed, with every selection.

    Parameters
    ----------
    network, rule : str
        Names in `NETWORKS` and `RULES`.
    seed : int
        See `Plan`.
    """

    network: str
    rule: str
    seed: int

    @property
    def name(self) -> str:
        """Stem of the file."""
        return f"{self.network}-{self.rule}-seed{self.seed}"


def jobs(plan: Plan) -> list[Job]:
    """All of them; two processes that take turns have some rules of each network and seed each."""
    return [Job(network, rule, seed) for seed in plan.seeds for network in NETWORKS for rule in RULES]


def settings(plan: Plan, job: Job) -> dict[str, Any]:
    """Everything that a job depends on, in plain numbers and strings."""
    return {
        **asdict(job),
        "rule_settings": repr(RULES[job.rule]),
        "rate": RATE,
        "share": SHARE,
        "images": plan.images,
        "validation": plan.validation,
        "width": plan.width,
        "cycles": plan.cycles,
        "recipe": asdict(replace(plan.recipe, seed=job.seed)),
    }


def run(plan: Plan, data: Data, job: Job, out: Path) -> None:
    """Run the selections of a job that are not in its file yet, and write the file after each.

    Raises
    ------
    ValueError
        If the file that is there belongs to other settings.
    """
    target, wanted = out / "runs" / f"{job.name}.json", settings(plan, job)
    result = {
        "settings": wanted,
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        "cpu_seconds": 0.0,
        "history": [],
    }
    result = kept(target, wanted) or result
    done = {row["selection"] for row in result["history"]}
    for selection in SELECTIONS:
        if selection in done:
            continue
        start = time.process_time()
        result["history"] += list(cycles(plan, data, job, selection, out))
        result["cpu_seconds"] = round(result["cpu_seconds"] + time.process_time() - start, 2)
        content = text(result)
        replace_file(target, lambda path, content=content: path.write_text(content))
        say(f"{job.name}, {selection}: {result['history'][-1]['test']:.2f} % in the last cycle")


def cycles(plan: Plan, data: Data, job: Job, selection: str, out: Path) -> Iterator[dict[str, Any]]:
    """Train and prune in turns; what is found after each training."""
    model = build(job.network, plan.width, job.seed)
    images = [(data.train.images[:GRADIENT_IMAGES], data.train.labels[:GRADIENT_IMAGES])]
    common = {
        "rate": RATE,
        "cycles": plan.cycles,
        "rewind": "init",
        "data": images,
        "loss": loss,
        "measure": list(data.validation.images.split(250)),
        "seed": job.seed,
    }
    rule, wake = RULES[job.rule], SELECTIONS[selection]
    if wake is None:
        run = pruning.IterativePruning(model, rule, **common)
    else:
        run = pruning.ActivateWhilePruning(model, rule, share=SHARE, selection=wake, **common)
    recipe = replace(plan.recipe, seed=job.seed)
    for step in run:
        if step.cycle == 0:
            dense(step.model, data, recipe, out / "runs" / f"dense-{job.network}-seed{job.seed}.pt")
        else:
            train(step.model, data, recipe, cycle=step.cycle)
        test = accuracy(step.model, data.test)
        yield {"selection": selection, "cycle": step.cycle, "test": test, **reading(step.report)}


def dense(model: nn.Module, data: Data, recipe: Recipe, path: Path) -> None:
    """Train before anything is pruned, or read the weights of the run that did: they are the same for every rule."""
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return
    train(model, data, recipe)
    replace_file(path, lambda beside: torch.save(model.state_dict(), beside))


def reading(report: pruning.CycleReport) -> dict[str, Any]:
    """Sparsity, and rates of dead neurons with what they were read on: of the network, and of each site in order."""
    dead = report.dead
    found: dict[str, Any] = {"sparsity": report.sparsity, "alive": sum(report.alive.values())}
    found["statistics"] = dead.facts["statistics"]
    found |= {f"removed_by_{who}": number for who, number in report.removed_by.items()}
    found |= {name: float(dead.rate(name, reduction="pooled")) for name in RATES}
    return found | {f"site_{name}": [float(x) for x in dead.rate(name)] for name in SITE_RATES}


def run_part(plan: Plan, data: Data, out: Path, part: int, parts: int) -> None:
    """Every `parts`-th job of the plan, beginning with number `part`."""
    (out / "runs").mkdir(parents=True, exist_ok=True)
    for job in jobs(plan)[part::parts]:
        run(plan, data, job, out)


def summarise(plan: Plan, data: Data, out: Path) -> str:
    """Write `table.md`, `table.csv` and `figure.png` from the finished runs; the text of the first.

    Weights of dense networks are not needed any more, and go.
    """
    runs = read(out, [job.name for job in jobs(plan)])
    table = rows(runs)
    report = "\n".join([markdown(table), "", *(f"* {line}" for line in claims(runs))]) + "\n"
    (out / "table.md").write_text(report)
    write_csv(table, out / "table.csv")
    draw(runs, out / "figure.png")
    for path in (out / "runs").glob("dense-*.pt"):
        path.unlink()
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study, see ``command.main``."""
    return command.main(
        Study("pruning", __doc__.splitlines()[0], ("-m", "studies.pruning"), FULL, QUICK, run_part, summarise), argv
    )
