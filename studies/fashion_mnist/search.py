"""Search for small networks that classify Fashion-MNIST like kymatio's scattering transform at a fraction of its cost.

Only the first 30,000 images of the training file are read. Fold 0 fits on [0, 20000) and validates on [20000, 30000);
folds 1 and 2 rotate the three blocks of 10,000 images, so that the choice among many configurations is less noisy.
A configuration that is too large for every goal, or clearly worse than the best so far on fold 0, is not evaluated on
the other folds. First come the candidates, in order, then offspring of the best of them until the time ends.
Every evaluated configuration becomes a row of `search.csv`, written at once; the differences are ours minus kymatio's
in per cent, paired over the validation images of the folds.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from studies.fashion_mnist.candidates import candidates
from studies.fashion_mnist.classifier import Comparison, errors, transformed
from studies.fashion_mnist.dataset import load
from studies.fashion_mnist.network import Configuration, Network, extract
from studies.fashion_mnist.refine import GOALS, Row, best, offspring
from studies.fashion_mnist.study import TRANSFORMS, arguments, reference

#: Indices of training and of validation images, for each fold.
Splits = list[tuple[Tensor, Tensor]]
#: Wrong predictions on the validation images, and penalty, of each fold.
Missed = list[tuple[Tensor, float]]
TEXTS = {"name", "configuration", *(f"{kind}_penalties" for kind in TRANSFORMS)}
MEASURED = ("error", "difference", "standard_error")


def folds(train: int, valid: int, count: int, device: str) -> Splits:
    """The split into the first `train` images and the rest, then its rotations by `valid` images."""
    order = torch.arange(train + valid, device=device)
    rotated = [order.roll(-valid * i) for i in range(count)]
    return [(index[:train], index[train:]) for index in rotated]


def wrong(features: Tensor, labels: Tensor, splits: Splits, kind: str) -> Missed:
    """Fit and validate on each fold."""
    values = transformed(features, kind)
    return [errors(values[fit], labels[fit], values[test], labels[test]) for fit, test in splits]


class Search:
    """Evaluation of configurations against kymatio on the same images.

    Parameters
    ----------
    images, labels : tensors
    splits : list
        Folds.
    base : dict
        Of each transform of the features, what kymatio's features miss.
    margin : float
        A configuration worse by this than the best on fold 0 is not evaluated on the other folds.
    batch : int
    """

    def __init__(
        self, images: Tensor, labels: Tensor, splits: Splits, base: dict[str, Missed], margin: float, batch: int
    ) -> None:
        self.images, self.labels, self.splits, self.base = images, labels, splits, base
        self.margin, self.batch = margin, batch
        self.rows: list[Row] = []

    def evaluate(self, net: Configuration) -> Row:
        """One line of the table, which is kept."""
        network = Network(net, self.images.device)
        row: Row = {"name": net.name, "features": network.count()}
        row |= {f"mflop_{part}": round(value, 4) for part, value in network.flops().items()}
        for order, layer in enumerate(net.layers, start=1):
            for letter, bound in zip("AB", layer.bank.bounds(net.pad), strict=True):
                row[f"{letter}{order}"] = round(bound, 6)
        features = extract(network, self.images, self.batch)
        missed = {kind: wrong(features, self.labels, self.splits[:1], kind) for kind in TRANSFORMS}
        self._compare(row, missed, "_fold0")
        if len(self.splits) > 1 and self._promising(row):
            for kind in TRANSFORMS:
                missed[kind] += wrong(features, self.labels, self.splits[1:], kind)
        self._compare(row, missed, "")
        row["folds"] = len(missed[TRANSFORMS[0]])
        for kind in TRANSFORMS:
            row[f"{kind}_penalties"] = " ".join(f"{penalty:.4g}" for _, penalty in missed[kind])
        row["configuration"] = json.dumps(dataclasses.asdict(net))
        self.rows.append(row)
        return row

    def _compare(self, row: Row, missed: dict[str, Missed], label: str) -> None:
        for kind, results in missed.items():
            ours, theirs = (torch.cat([r[0] for r in part]) for part in (results, self.base[kind][: len(results)]))
            comparison = Comparison.of(ours, theirs)
            for part in MEASURED:
                row[f"{kind}{label}_{part}"] = round(getattr(comparison, part), 3)

    def _promising(self, row: Row) -> bool:
        for goal in GOALS:
            if goal.admits(row["features"], row["mflop_total"]):
                rivals = [r for r in self.rows if goal.admits(r["features"], r["mflop_total"])]
                lowest = min((goal.score(r, "_fold0") for r in rivals), default=float("inf"))
                if goal.score(row, "_fold0") <= lowest + self.margin:
                    return True
        return False


def fields() -> list[str]:
    """Columns of the table."""
    names = ["name", "features", *(f"mflop_{p}" for p in ("transforms", "multiply", "modulus", "pooling", "total"))]
    names += [f"{letter}{order}" for order in (1, 2, 3) for letter in "AB"]
    names.append("folds")
    for kind in TRANSFORMS:
        names += [f"{label}_{part}" for label in (kind, f"{kind}_fold0") for part in MEASURED] + [f"{kind}_penalties"]
    return [*names, "configuration"]


def earlier(path: Path) -> list[Row]:
    """Rows of a table, numbers as numbers."""
    with path.open(newline="") as file:
        return [
            {key: _number(value) if key not in TEXTS else value for key, value in row.items() if value != ""}
            for row in csv.DictReader(file)
        ]


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def described(row: Row) -> str:
    """One line of the log."""
    gaps = "  ".join(
        f"{kind} {row[f'{kind}_error']:.2f} ({row[f'{kind}_difference']:+.2f} +- {row[f'{kind}_standard_error']:.2f})"
        for kind in TRANSFORMS
    )
    return f"{row['folds']}f {row['features']:5d} features  {row['mflop_total']:.3f} MF  {gaps}  {row['name']}"


def main() -> None:
    """Evaluate the candidates in order and the offspring of the best until the time ends."""
    parser = arguments(__doc__)
    parser.add_argument("--valid", type=int, default=10_000, help="validation images")
    parser.add_argument("--folds", type=int, default=3, help="rotations of training and validation images")
    parser.add_argument("--margin", type=float, default=0.35, help="per cent; see the description")
    parser.add_argument("--candidates", type=float, default=float("inf"), help="no candidate after so many seconds")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no configuration after this time")
    parser.add_argument("--limit", type=int, help="candidates")
    parser.add_argument("--offspring", type=int, default=0, help="networks bred from the best ones, at most")
    parser.add_argument("--resume", type=Path, help="search.csv of an earlier search, which is continued")
    parser.add_argument("--seed", type=int, default=0, help="of the offspring")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of search.csv")
    options = parser.parse_args()
    start = time.perf_counter()

    images, labels = load(options.data, "train")
    count = options.train + options.valid
    images, labels = images[:count].to(options.device), labels[:count].to(options.device)
    splits = folds(options.train, options.valid, options.folds, options.device)
    features = reference(images, options.device, options.batch, options.kymatio)
    base = {kind: wrong(features, labels, splits, kind) for kind in TRANSFORMS}
    del features
    for kind, missed in base.items():
        rates = [round(100.0 * float(m.double().mean()), 2) for m, _ in missed]
        print(f"kymatio {kind}: error {rates}, penalties {[p for _, p in missed]}", flush=True)

    search = Search(images, labels, splits, base, options.margin, options.batch)
    known: dict[str, Configuration] = {}
    if options.resume:
        search.rows += earlier(options.resume)
        known |= {row["name"]: Configuration.of(json.loads(row["configuration"])) for row in search.rows}
    unseen = [net for net in candidates() if net.name not in known][: options.limit]
    known |= {net.name: net for net in unseen}
    listed: Iterator[Configuration] = iter(unseen)
    listed = itertools.takewhile(lambda _: time.perf_counter() - start < options.candidates, listed)
    bred = itertools.islice(offspring(search.rows, known, random.Random(options.seed)), options.offspring)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "search.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, fields())
        table.writeheader()
        table.writerows(search.rows)
        for position, net in enumerate(itertools.chain(listed, bred), start=1):
            clock = time.perf_counter() - start
            if clock > options.seconds:
                break
            try:
                row = search.evaluate(net)
            except (RuntimeError, IndexError, ValueError) as error:
                print(f"{net.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            table.writerow(row)
            file.flush()
            print(f"[{position} {clock:.0f} s] {described(row)}", flush=True)
    for goal in GOALS:
        print(f"\n{goal.name}: at most {goal.features} features and {goal.mflop} MF, {' and '.join(goal.kinds)}")
        print("\n".join(described(row) for row in best(search.rows, goal)[:15]), flush=True)


if __name__ == "__main__":
    main()
