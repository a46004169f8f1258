"""Prune ResNet-20 on CIFAR-10 files that you have, by the released recipe of Activate-while-Pruning.

``python studies/pruning --data cifar10 --root PATH``. All is kept after each epoch; ``--resume`` goes on.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from scatter_theory import pruning
from studies.pruning.methods import RULES, SELECTIONS, loss
from studies.pruning.recipes import PAPER, Preset
from studies.pruning.study import GRADIENT_IMAGES, reading
from studies.pruning.training import train
from studies.shared.augmentation import normalise
from studies.shared.batches import Data, Split
from studies.shared.files import replace_file, text
from studies.shared.parallel import Place
from studies.shared.readers import DataError, cifar
from studies.shared.summary import accuracy

#: Cycles, epochs, batch, and number of training and of test images with ``--quick``.
QUICK = (3, 2, 16, 64, 32)
#: Images of the test part whose dead neurons are counted.
MEASURED = 1_000


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, choices=("cifar10",))
    parser.add_argument("--root", required=True, type=Path, help="folder with the files; nothing is downloaded")
    parser.add_argument("--rule", default="magnitude", choices=tuple(RULES), help="default: magnitude, the published")
    parser.add_argument("--selection", default="activate", choices=tuple(SELECTIONS), help="default: activate")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--out", type=Path, default=Path("report") / "pruning", help="folder for state and result")
    parser.add_argument("--resume", action="store_true", help="go on from the state of an interrupted run")
    cycles, epochs, batch, images, tests = QUICK
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{cycles} cycles of {epochs} epochs, {images} images in batches of {batch}, {tests} for the test; also "
        "small files will do",
    )
    options = parser.parse_args(argv)
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU here")
    return options


def load(options: argparse.Namespace) -> Data:
    """The images; there is no validation part, as the recipe trains on all images and chooses nothing.

    Raises
    ------
    DataError
        If files are missing or damaged.
    """
    limits = QUICK[3:] if options.quick else (None, None)
    parts = (cifar(options.root, options.data, part, complete=not options.quick) for part in ("train", "test"))
    train_split, test = (Split(x[:limit], y[:limit]) for (x, y), limit in zip(parts, limits, strict=True))
    return Data(train_split, test, test, keep_last=True)


def preset(options: argparse.Namespace) -> Preset:
    """The released recipe, shortened if asked for."""
    recipe = replace(PAPER.recipe, seed=options.seed)
    if not options.quick:
        return replace(PAPER, recipe=recipe)
    cycles, epochs, batch, *_ = QUICK
    return replace(PAPER, recipe=replace(recipe, epochs=epochs, batch=batch), cycles=cycles)


def pruned(
    options: argparse.Namespace, how: Preset, data: Data, store: Path
) -> pruning.IterativePruning | pruning.ActivateWhilePruning:
    """The pruning run, at the step that its store is at."""
    model = how.model(generator=options.seed).to(options.device)
    wake = SELECTIONS[options.selection]
    first = slice(GRADIENT_IMAGES)
    common: dict[str, Any] = {
        "rate": how.rate,
        "cycles": how.cycles,
        "rewind": "init",
        "data": [(normalise(data.train.images[first]).to(options.device), data.train.labels[first].to(options.device))],
        "loss": loss,
        "measure": [x.to(options.device) for x in normalise(data.test.images[:MEASURED]).split(250)],
        "store": store,
        "seed": options.seed,
    }
    rule = RULES[options.rule]
    if wake is None:
        return pruning.IterativePruning(model, rule, **common)
    return pruning.ActivateWhilePruning(model, rule, share=how.share, selection=wake, **common)


def train_all(
    run: pruning.IterativePruning | pruning.ActivateWhilePruning,
    options: argparse.Namespace,
    how: Preset,
    data: Data,
    store: Path,
    name: str,
) -> None:
    """Train every step that is left, and record its accuracy; the state of a training is kept after each epoch."""
    for step in run:
        checkpoint = store / f"cycle{step.cycle}.pt"
        history = train(
            step.model,
            data,
            how.recipe,
            cycle=step.cycle,
            checkpoint=checkpoint,
            device=options.device,
            name=name,
        )
        test = accuracy(step.model, data.test, Place(device=options.device))
        step.record(test=test, loss=history[-1]["loss"])
        # The state of this step is only needed until the run has gone on to the next one.
        for old in store.glob("cycle*.pt"):
            if old != checkpoint:
                old.unlink()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train and prune one network and write its result.

    Raises
    ------
    DataError
        If files are missing or damaged.
    FileExistsError
        If there is a state or a result already.
    """
    parts = [options.data, "resnet20", options.rule, options.selection, f"seed{options.seed}"]
    name = "-".join(parts + ["quick"] * options.quick)
    target, store = options.out / f"{name}.json", options.out / name
    if target.exists():
        raise FileExistsError(f"{target} is there: this run is complete. Remove it, or choose another --seed or --out.")
    if (store / "state.pt").exists() and not options.resume:
        raise FileExistsError(f"{store} is of an interrupted run. Pass --resume to go on, or remove it.")
    data, how = load(options), preset(options)
    cycle = pruned(options, how, data, store)
    train_all(cycle, options, how, data, store, name)
    result = {
        "data": options.data,
        "rule": options.rule,
        "selection": options.selection,
        "preset": asdict(how),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        "history": [{"cycle": r.cycle, **r.values, **reading(r)} for r in cycle.history.reports],
    }
    replace_file(target, lambda path: path.write_text(text(result)))
    for path in store.iterdir():
        path.unlink()
    store.rmdir()
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the run is complete, 2 when files are missing, damaged or in the way."""
    options = arguments(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        result = run(options)
    except (DataError, FileExistsError) as error:
        print(error, file=sys.stderr)
        return 2
    last = result["history"][-1]
    print(
        f"{options.data} {options.rule}, {options.selection}: {last['test']:.2f} % at {last['sparsity']:.2%} sparsity"
    )
    return 0
