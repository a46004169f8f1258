"""Speed of the frozen configurations on the fast engine, against kymatio in the same process.

All contestants extract the same images, one after the other, in every repetition, from another one on each time; the
table holds medians over the repetitions of kymatio's time divided by the contestant's. Run it with the package
`scatter_theory` importable, on a quiet machine.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from studies.fashion_mnist.candidates import REFERENCE
from studies.fashion_mnist.dataset import load
from studies.fashion_mnist.engine_plan import features, finalists, plan_of
from studies.fashion_mnist.network import SIDE
from studies.fashion_mnist.study import package

#: The contestant that the others are compared with.
KYMATIO = "kymatio L=8"


def contestants(frozen: Path, kymatio: Path | None) -> dict[str, Callable[[Tensor], Tensor]]:
    """Name -> extraction of a batch of images."""
    found = {f"kymatio L={L}": package((SIDE, SIDE), L, kymatio) for L in (8, 6, 4)}
    found["kymatio's network L=8 on the engine"] = partial(features, plan_of(REFERENCE))
    for name, configuration in finalists(frozen).items():
        found[name] = partial(features, plan_of(configuration))
    return found


def seconds(extract: Callable[[Tensor], Tensor], batches: list[Tensor]) -> tuple[float, float]:
    """Wall time and processor time of all threads."""
    wall, processor = time.perf_counter(), time.process_time()
    for batch in batches:
        extract(batch)
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="idx.gz files")
    parser.add_argument("--frozen", type=Path, default=Path(__file__).with_name("frozen.json"))
    parser.add_argument("--kymatio", type=Path, help="folder that holds the package kymatio, if it is not installed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=125, help="images at a time")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, help="CSV file for the table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    batches = list(load(options.data, "t10k")[0][: options.images].split(options.batch))
    runners = contestants(options.frozen, options.kymatio)
    names = list(runners)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with torch.no_grad():
        for name in names:
            runners[name](batches[0])
        for repeat in range(options.repeats):
            turn = repeat % len(names)
            for name in names[turn:] + names[:turn]:
                times[name].append(seconds(runners[name], batches))
    rows = []
    for name in names:
        ratios = [
            [theirs[i] / ours[i] for theirs, ours in zip(times[KYMATIO], times[name], strict=True)] for i in (0, 1)
        ]
        rows.append(
            {
                "name": name,
                "threads": options.threads,
                "batch": options.batch,
                "images_per_second": round(options.images / statistics.median(wall for wall, _ in times[name])),
                "speed_wall": round(statistics.median(ratios[0]), 2),
                "lowest_wall": round(min(ratios[0]), 2),
                "highest_wall": round(max(ratios[0]), 2),
                "speed_processor": round(statistics.median(ratios[1]), 2),
            }
        )
    for row in rows:
        print(
            f"{row['name']:36s} {row['images_per_second']:7d} images/s  wall {row['speed_wall']:6.2f} "
            f"({row['lowest_wall']:.2f}-{row['highest_wall']:.2f})  processor {row['speed_processor']:6.2f}"
        )
    if options.out:
        with options.out.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)


if __name__ == "__main__":
    main()
