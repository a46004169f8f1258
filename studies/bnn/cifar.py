"""Train binary networks by the published recipes of ReSTE, on CIFAR or ImageNet files that you have.

On one GPU: ``python studies/bnn/cifar.py --data cifar10 --root PATH --preset paper``. On several:
``torchrun --nproc-per-node 4 studies/bnn/cifar.py ...``; each process then normalises over its share of a batch only,
for which the released code warns against it.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import torch

from studies.bnn.recipes import PAPER, Preset
from studies.bnn.training import train
from studies.shared.batches import Data, Split
from studies.shared.files import replace_file
from studies.shared.folders import FolderSplit
from studies.shared.parallel import Place, Precision, place
from studies.shared.readers import DataError, cifar, image_folders

#: Presets for each data set. CIFAR-100 has the recipe of CIFAR-10, as none was published.
PRESETS = {"paper": {**PAPER, "cifar100": PAPER["cifar10"]}}
#: Epochs, batch and number of training and of test images with ``--quick``.
QUICK = (7, 32, 80, 40)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, choices=("cifar10", "cifar100", "imagenet"))
    parser.add_argument("--root", required=True, type=Path, help="folder with the files; nothing is downloaded")
    parser.add_argument("--preset", default="paper", choices=tuple(PRESETS), help="the recipe (default: paper)")
    parser.add_argument("--model", help="network; default: the first of its data, a wrong name lists them")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--precision", default="float32", choices=get_args(Precision), help="mixed, unless float32")
    parser.add_argument("--workers", type=int, default=8, help="processes that open images of ImageNet (default: 8)")
    parser.add_argument("--out", type=Path, default=Path("report") / "bnn", help="folder for checkpoint and result")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an interrupted run")
    epochs, batch, images, tests = QUICK
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{epochs} epochs with the plain cosine, {images} images in batches of {batch}, {tests} for the test; "
        "also small files will do",
    )
    options = parser.parse_args(argv)
    models = PRESETS[options.preset][options.data]
    options.model = options.model or next(iter(models))
    if options.model not in models:
        parser.error(f"--model {options.model}: for {options.data} there are {', '.join(models)}")
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU here")
    return options


def load(options: argparse.Namespace) -> tuple[Data, int]:
    """The images and the number of classes.

    There is no validation part: the recipes train on all images, and nothing is chosen by the test images, which are
    looked at after each epoch.

    Raises
    ------
    DataError
        If files are missing or damaged.
    """
    limits = QUICK[2:] if options.quick else (None, None)
    if options.data == "imagenet":
        folders = image_folders(options.root)
        for folder, limit in zip(folders, limits, strict=True):
            folder.keep(limit)
        train_split, test = (FolderSplit(folder, workers=options.workers) for folder in folders)
        classes = len(folders[0].classes)
    else:
        parts = (cifar(options.root, options.data, part, complete=not options.quick) for part in ("train", "test"))
        train_split, test = (Split(x[:limit], y[:limit]) for (x, y), limit in zip(parts, limits, strict=True))
        classes = 10 if options.data == "cifar10" else 100
    return Data(train_split, test, test, keep_last=True), classes


def run(options: argparse.Namespace, where: Place) -> dict[str, Any]:
    """Train one network and write its result.

    Raises
    ------
    DataError
        If files are missing or damaged.
    FileExistsError
        If there is a checkpoint or a result already.
    """
    name = "-".join([options.data, options.model, f"seed{options.seed}"] + ["quick"] * options.quick)
    target = options.out / f"{name}.json"
    checkpoint = target.with_suffix(".pt")
    if target.exists():
        raise FileExistsError(f"{target} is there: this run is complete. Remove it, or choose another --seed or --out.")
    if checkpoint.exists() and not options.resume:
        raise FileExistsError(f"{checkpoint} is of an interrupted run. Pass --resume to go on, or remove it.")
    where.wait()
    preset: Preset = PRESETS[options.preset][options.data][options.model]
    recipe = replace(preset.recipe, seed=options.seed)
    if options.quick:
        recipe = replace(recipe, epochs=QUICK[0], batch=QUICK[1], decay="cosine")
    data, classes = load(options)
    model = preset.model(classes=classes, generator=options.seed)
    result = train(model, data, recipe, checkpoint=checkpoint, name=name, where=where)
    result = {
        "data": options.data,
        "model": options.model,
        "recipe": asdict(recipe),
        "precision": where.precision,
        "processes": where.world,
        "device": torch.cuda.get_device_name() if where.kind == "cuda" else "cpu",
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        "published": None if options.quick or options.data == "cifar100" else preset.published,
        **result,
    }
    if where.rank == 0:
        replace_file(target, lambda path: path.write_text(json.dumps(result, indent=1) + "\n"))
        checkpoint.unlink()
    where.wait()
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the run is complete, 2 when files are missing, damaged or in the way."""
    options = arguments(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    with place(options.device, options.precision) as where:
        try:
            result = run(options, where)
        except (DataError, FileExistsError) as error:
            print(error, file=sys.stderr)
            return 2
        if where.rank == 0:
            published = "" if result["published"] is None else f", published (best epoch): {result['published']:.2f} %"
            print(f"{options.data} {options.model}: {result['test']:.2f} % in the last epoch{published}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
