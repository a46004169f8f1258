"""Lipschitz constants of trained networks on Fashion-MNIST, from above and below, and their defect under shifts.

Each network is trained, or read from the folder of results, and then certified; in two processes. Interrupted, it
continues where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from studies.certificates.figures import draw
from studies.certificates.measures import Effort, measured, pick, refused
from studies.certificates.networks import NETWORKS, WITHOUT_CONSTANT, framed, trained
from studies.certificates.tables import markdown, node_rows, read, rows
from studies.pruning.training import Recipe
from studies.shared import command
from studies.shared.batches import Data
from studies.shared.files import kept, replace_file, say, write_csv


@dataclass(frozen=True)
class Plan:
    """What is run.

    Parameters
    ----------
    recipe : Recipe
        Of every training; its seed is also that of the weights.
    images, validation : int
        Images from the training file, see ``fashion.load``; the second ones are attacked and moved.
    width : int
        Channels of the first convolution.
    effort : Effort
    """

    recipe: Recipe
    images: int
    validation: int
    width: int
    effort: Effort


FULL = Plan(
    Recipe(epochs=5, batch=50, lr=0.05),
    images=6_000,
    validation=500,
    width=8,
    effort=Effort(starts=2, steps=30, points=8, shifted=64, tested=10_000),
)
QUICK = Plan(
    Recipe(epochs=1, batch=50, lr=0.05),
    images=600,
    validation=100,
    width=4,
    effort=Effort(starts=1, steps=4, points=1, shifted=8, tested=500),
)


def settings(plan: Plan, name: str) -> dict[str, Any]:
    """Everything that the numbers of a network depend on but the device."""
    return {"network": name, **asdict(plan)}


def run(plan: Plan, data: Data, name: str, out: Path, device: str) -> None:
    """Train and measure one network, unless its file is there.

    Raises
    ------
    ValueError
        If the file that is there belongs to other settings.
    """
    target, wanted = out / "runs" / f"{name}.json", settings(plan, name)
    if kept(target, wanted) is not None:
        return
    net = trained(name, plan.width, plan.recipe, data, out, device)
    if name in WITHOUT_CONSTANT:
        found, nodes = refused(net, data, plan.effort, device), []
    else:
        found, nodes = measured(net, data, plan.effort, device)
    result = {
        "settings": wanted,
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        "device": device,
        "found": asdict(found),
        "nodes": nodes,
    }
    replace_file(target, lambda path: path.write_text(json.dumps(result, indent=1) + "\n"))
    say(f"{name}: {found.test:.2f} %, " + (found.refused[:80] or f"{found.lower:.4g} to {found.upper:.4g}"))


def run_part(plan: Plan, data: Data, out: Path, part: int, parts: int, *, device: str) -> None:
    """Every `parts`-th network of the plan, beginning with number `part`."""
    (out / "runs").mkdir(parents=True, exist_ok=True)
    for name in SHARES[part::parts]:
        run(plan, framed(data), name, out, device)


#: Networks in the order in which processes take turns: the pruned one goes with the one that it begins from.
SHARES = ("cnn", "resnet20", "pruned", "cnn-torus", "binary-weights", "binary", "constrained")


def summarise(plan: Plan, data: Data, out: Path) -> str:
    """Write `table.md`, `table.csv`, `nodes.csv` and `figure.png` from the finished runs; the text of the first."""
    runs = read(out, list(NETWORKS))
    table = rows(runs)
    report = markdown(table)
    (out / "table.md").write_text(report)
    write_csv(table, out / "table.csv")
    write_csv(node_rows(runs), out / "nodes.csv")
    draw(runs, out / "figure.png")
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study, see ``command.main``; ``--device`` is CUDA by default where it is."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--device", help="torch device; default: cuda where it is, else cpu")
    options, rest = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    device = pick(options.device)
    again = ("-m", "studies.certificates", "--device", device)
    whole = command.Study(
        "certificates",
        f"{__doc__.splitlines()[0]} Further option: --device, by default CUDA where it is.",
        again,
        FULL,
        QUICK,
        partial(run_part, device=device),
        summarise,
    )
    return command.main(whole, rest)
