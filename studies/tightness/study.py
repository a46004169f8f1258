"""How near searches come to the bounds of translation and deformation, over the whole matrix of networks.

One sweep per claim, into one store in the folder of results; interrupted, it continues where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import scatter_theory as st
from studies.shared.files import say, write_csv
from studies.tightness.figures import draw
from studies.tightness.known import known, reached
from studies.tightness.plan import CLAIMS, FULL, QUICK, Network, Plan, networks, options
from studies.tightness.tables import Row, gains, markdown, rows


@dataclass(frozen=True)
class Omitted(Network):
    """A network that is not measured, and with it all deeper ones.

    Parameters
    ----------
    claim : str
    paths : int
        Of all its layers: more than the plan allows.
    """

    claim: str = ""
    paths: int = 0


def measured(plan: Plan, claim: str, kept: Sequence[Network], effort: Mapping[str, int], out: Path) -> list[Row]:
    """The rows of the map of these networks; the sweep measures what the store does not have.

    Raises
    ------
    RuntimeError
        If a cell failed; its traceback is in the store.
    """
    say(f"{claim}: {len(kept)} networks, {effort['structured']} structured candidates")
    space = [{**n.table(plan.samples[n.d]), "options": options(plan, claim, effort)} for n in kept]
    executor = plan.processes if plan.processes > 1 else None
    result = st.sweep(space, claim, store=out / "store.sqlite", executor=executor)
    if failed := result.failed():
        raise RuntimeError(f"{len(failed)} cells of {claim!r} failed, the first with\n{failed[0]['error']}")
    return rows(claim, kept, result)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study."""
    arguments = _arguments(argv)
    plan, out = QUICK if arguments.quick else FULL, arguments.out
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    table, harder, left = [], [], []
    for claim in CLAIMS:
        kept, omitted = networks(plan, claim)
        left += [Omitted(**asdict(network), claim=claim, paths=count) for network, count in omitted]
        table += measured(plan, claim, kept, plan.effort, out)
        repeated = [n for n in kept if n.depth == 2 and n.frame == plan.repeated[n.d]]
        harder += measured(plan, claim, repeated, plan.harder, out)
    bests = known(plan, table)
    for name, found in (("map", table), ("harder", harder), ("known", bests), ("omitted", left)):
        write_csv(found, out / f"{name}.csv")
    text = markdown(table) + gains(table, harder) + reached(bests)
    (out / "table.md").write_text(text)
    draw(table, out)
    print(text)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder of the results; default: report/tightness[-quick]")
    parser.add_argument("--quick", action="store_true", help="a few small networks, to see that everything works")
    parsed = parser.parse_args(argv)
    parsed.out = parsed.out or Path("report") / ("tightness-quick" if parsed.quick else "tightness")
    return parsed
