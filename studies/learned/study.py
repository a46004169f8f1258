"""Fixed tight frames, learned frames with guaranteed bounds, and unconstrained filters on Fashion-MNIST.

The validation images choose one fixed frame; it and all trained frames are then trained with three seeds and measured
on the test file. One process, each finished run a file; interrupted, it continues where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from studies.learned import figures, tables
from studies.learned.measures import Counts, Moves, displacements, measure, moves
from studies.learned.network import COMPARED, FIXED, METHODS, Classifier
from studies.learned.training import Recipe, train
from studies.shared.batches import Data, Split
from studies.shared.fashion import find, load
from studies.shared.files import kept, replace_file, say, text, write_csv
from studies.shared.parallel import Place
from studies.shared.summary import accuracy


@dataclass(frozen=True)
class Plan:
    """What is run.

    Parameters
    ----------
    recipe : Recipe
        The same for every run.
    images, validation, test : int
        First images of the training file, last ones of it, and first ones of the test file.
    counts : Counts
        On how much of the latter what is measured.
    seeds : tuple of int
        Of the weights and the order of the images.
    choosing : int
        Seed of the runs among which the fixed frame is chosen, not one of `seeds`.
    """

    recipe: Recipe
    images: int
    validation: int
    test: int
    counts: Counts
    seeds: tuple[int, ...]
    choosing: int


FULL = Plan(
    Recipe(epochs=8, batch=500, head_rate=2e-3, frame_rate=1e-2), images=20_000, validation=10_000, test=10_000,
    counts=Counts(moved=2_000, attacked=1_000, steps=10, sensed=100, searched=16, fields=4),
    seeds=(0, 1, 2), choosing=9,
)  # fmt: skip
QUICK = Plan(
    Recipe(epochs=2, batch=125, head_rate=2e-3, frame_rate=1e-2), images=500, validation=200, test=200,
    counts=Counts(moved=50, attacked=20, steps=2, sensed=10, searched=4, fields=1),
    seeds=(0, 1), choosing=9,
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One training.

    Parameters
    ----------
    method : str
        Name in ``network.METHODS``.
    seed : int
    measured : bool
        Whether the test images are looked at.
    """

    method: str
    seed: int
    measured: bool

    @property
    def name(self) -> str:
        """Stem of the file."""
        words = "".join(c if c.isalnum() else "-" for c in self.method.lower()).replace("--", "-")
        return f"{words}-seed{self.seed}{'' if self.measured else '-validation'}"


def settings(plan: Plan, job: Job) -> dict[str, Any]:
    """Everything that a run depends on but its device, in plain numbers and strings."""
    return {**asdict(job), "decay": METHODS[job.method].decay, **json.loads(json.dumps(asdict(plan)))}


def run(plan: Plan, data: Data, job: Job, by: Moves, out: Path, where: Place) -> dict[str, Any]:
    """The result of a job, from its file if that is there.

    Raises
    ------
    ValueError
        If the file that is there belongs to other settings.
    """
    target, wanted = out / "runs" / f"{job.name}.json", settings(plan, job)
    if (found := kept(target, wanted)) is not None:
        return found
    started, method = time.perf_counter(), METHODS[job.method]
    model = Classifier(method, job.seed).to(where.device)
    history = train(model, data, plan.recipe, seed=job.seed, decay=method.decay, where=where)
    result: dict[str, Any] = {
        "settings": wanted,
        "versions": {"torch": str(torch.__version__), "python": platform.python_version(), "device": where.device},
        "weights": sum(p.numel() for p in model.phi.parameters() if p.requires_grad),
        "validation": history[-1]["validation"],
    }
    if job.measured:
        result["test"] = accuracy(model, data.test, where)
        result |= measure(model, data.test.images, data.test.labels, by, plan.counts, job.seed)
    result |= {"seconds": round(time.perf_counter() - started, 2), "history": history}
    content = text(result)
    replace_file(target, lambda path: path.write_text(content))
    say(f"{job.name}: {result['validation']:.2f} % of the validation images, {result['seconds']:.1f} s")
    return json.loads(content)


def best_fixed(plan: Plan, data: Data, by: Moves, out: Path, where: Place) -> str:
    """Name of the fixed frame with the highest validation accuracy; the first one if several have it."""
    scores = {
        name: run(plan, data, Job(name, plan.choosing, False), by, out, where)["validation"] for name in FIXED
    }  # fmt: skip
    return max(scores, key=scores.__getitem__)


def run_all(plan: Plan, data: Data, out: Path, where: Place) -> str:
    """Every run that is not finished yet, then `table.md`, `table.csv` and two figures; the text of the first."""
    (out / "runs").mkdir(parents=True, exist_ok=True)
    by = moves(displacements(plan.counts.fields), where.device)
    chosen = best_fixed(plan, data, by, out, where)
    runs = {
        name: [run(plan, data, Job(name, seed, True), by, out, where) for seed in plan.seeds]
        for name in (chosen, *COMPARED)
    }
    choice = {name: run(plan, data, Job(name, plan.choosing, False), by, out, where) for name in FIXED}
    report = tables.markdown(runs, choice, chosen)
    (out / "table.md").write_text(report)
    write_csv(tables.rows(runs, chosen), out / "table.csv")
    figures.draw_bounds(runs, out / "bounds.png")
    figures.draw_robustness(runs, out / "robustness.png")
    return report


def images_of(plan: Plan, folder: Path, device: str) -> Data:
    """The three splits on the device."""
    data = load(folder, images=plan.images, validation=plan.validation, bins=1)
    test = Split(data.test.images[: plan.test], data.test.labels[: plan.test])
    parts = (data.train, data.validation, test)
    return Data(*(Split(part.images.to(device), part.labels.to(device)) for part in parts))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study; 0 when all is done, 2 when the images or the device are missing."""
    options = _arguments(argv)
    plan = QUICK if options.quick else FULL
    try:
        folder = find(options.data)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if options.device == "cuda" and not torch.cuda.is_available():
        print("`--device cuda`: torch sees no CUDA device here; leave it out to use the CPU.", file=sys.stderr)
        return 2
    data = images_of(plan, folder, options.device)
    print(run_all(plan, data, options.out, Place(device=options.device)))
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="learned", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the four files of Fashion-MNIST; default: usual places")
    parser.add_argument("--out", type=Path, help="folder of the results; default: report/learned or -quick")
    parser.add_argument("--quick", action="store_true", help="the same in two minutes, to see that everything works")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where everything runs")
    parsed = parser.parse_args(argv)
    parsed.out = parsed.out or Path("report") / ("learned-quick" if parsed.quick else "learned")
    return parsed
