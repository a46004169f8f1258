"""Freeze the finalists of a search, by validation alone, before any of them is confirmed.

For every goal the network with the best score, and the cheapest one whose score is within one standard error of it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from studies.fashion_mnist.candidates import rivals
from studies.fashion_mnist.refine import GOALS, Goal, Row, best
from studies.fashion_mnist.search import earlier
from studies.fashion_mnist.study import TRANSFORMS


def finalists(rows: list[Row], goal: Goal) -> dict[str, Row]:
    """Reason -> row: best, and cheapest within one standard error."""
    ranked = best(rows, goal)
    if not ranked:
        return {}
    first = ranked[0]
    error = max(float(first[f"{kind}_standard_error"]) for kind in goal.kinds)
    close = [row for row in ranked if goal.score(row) <= goal.score(first) + error]
    return {"best": first, "cheapest": min(close, key=lambda row: row["mflop_total"])}


def main() -> None:
    """Write the finalists and the rivals with their configurations and validation results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("table", type=Path, help="search.csv")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("frozen.json"))
    options = parser.parse_args()
    rows = earlier(options.table)
    frozen: dict[str, dict] = {}
    for goal in GOALS:
        for reason, row in finalists(rows, goal).items():
            entry = frozen.setdefault(row["name"], {"name": row["name"], "chosen": []})
            entry["chosen"].append(f"{goal.name} {reason}")
            entry |= {"features": row["features"], "mflop": row["mflop_total"]}
            for kind in TRANSFORMS:
                measured = ("error", "difference", "standard_error")
                entry[kind] = {part: row[f"{kind}_{part}"] for part in measured}
            entry["configuration"] = json.loads(row["configuration"])
    rival = [{"name": net.name, "chosen": ["rival"], "configuration": asdict(net)} for net in rivals()]
    text = {"configurations evaluated": len(rows), "finalists": list(frozen.values()), "rivals": rival}
    options.out.write_text(json.dumps(text, indent=1) + "\n")
    for entry in frozen.values():
        gaps = "  ".join(f"{kind} {entry[kind]['difference']:+.2f}" for kind in TRANSFORMS)
        print(f"{', '.join(entry['chosen']):25s} {entry['features']} features  {entry['mflop']:.3f} MF  {gaps}")
        print(f"  {entry['name']}")


if __name__ == "__main__":
    main()
