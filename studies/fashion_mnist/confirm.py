"""Confirm the frozen configurations once, on images that the search never read.

Fit on the first 20,000 images of the training file; test on its images [30000, 60000) and the 10,000 of the test file.
The table holds errors and paired differences (network minus kymatio, per cent) with their standard errors and one-sided
95 % upper limits, on both parts and together; kymatio has eight orientations, or fewer where it is named a rival.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import torch
from torch import Tensor

from studies.fashion_mnist.classifier import Comparison, errors, transformed
from studies.fashion_mnist.dataset import load
from studies.fashion_mnist.network import Configuration, Network, extract
from studies.fashion_mnist.study import TRANSFORMS, arguments, reference

#: First image of the training file that the search does not read.
FRESH = 30_000
#: Name of the reference in the table.
KYMATIO = "kymatio"


def wrong(features: Tensor, labels: Tensor, train: int, kind: str) -> tuple[Tensor, float]:
    """Wrong predictions on the images after the training images, and the penalty chosen."""
    values = transformed(features, kind)
    return errors(values[:train], labels[:train], values[train:], labels[train:])


def main() -> None:
    """Evaluate the frozen configurations and print the table."""
    parser = arguments(__doc__)
    frozen = Path(__file__).with_name("frozen.json")
    parser.add_argument("--frozen", type=Path, default=frozen, help="finalists and rivals, from freeze.py")
    parser.add_argument("--test", type=int, default=30_000, help="test images from the training file")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of confirm.csv")
    options = parser.parse_args()
    chosen = json.loads(options.frozen.read_text())

    images, labels = load(options.data, "train")
    test_images, test_labels = load(options.data, "t10k")
    train, fresh = slice(0, options.train), slice(FRESH, FRESH + options.test)
    images = torch.cat([images[train], images[fresh], test_images]).to(options.device)
    labels = torch.cat([labels[train], labels[fresh], test_labels]).to(options.device)
    parts = {
        "all": slice(None),
        "training file": slice(0, options.test),
        "test file": slice(options.test, None),
    }

    features = reference(images, options.device, options.batch, options.kymatio)
    against = {kind: {KYMATIO: wrong(features, labels, options.train, kind)[0]} for kind in TRANSFORMS}
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "confirm.csv").open("w", newline="") as file:
        table = csv.writer(file)
        measured = ("error", "reference", "difference", "standard_error", "upper")
        table.writerow(["name", "chosen", "features", "mflop", "transform", "images", "against", *measured, "penalty"])
        for entry in [*chosen["rivals"], *chosen["finalists"]]:
            network = Network(Configuration.of(entry["configuration"]), options.device)
            features = extract(network, images, options.batch)
            cost, reasons = network.flops()["total"], ", ".join(entry["chosen"])
            print(f"\n{reasons}: {entry['name']}: {network.count()} features, {cost:.3f} MF")
            for kind in TRANSFORMS:
                missed, penalty = wrong(features, labels, options.train, kind)
                for other, base in against[kind].items():
                    for part, index in parts.items():
                        result = Comparison.of(missed[index], base[index])
                        values = [round(getattr(result, name), 3) for name in measured]
                        head = [entry["name"], reasons, network.count(), round(cost, 4), kind, part, other]
                        table.writerow([*head, *values, f"{penalty:.4g}"])
                        print(
                            f"  {kind:6s} {part:13s} error {result.error:6.2f}  against {result.reference:6.2f}  "
                            f"{result.difference:+.2f} +- {result.standard_error:.2f}  upper {result.upper:+.2f}  "
                            f"{other}",
                            flush=True,
                        )
                if "rival" in entry["chosen"]:
                    against[kind][entry["name"]] = missed
            file.flush()


if __name__ == "__main__":
    main()
