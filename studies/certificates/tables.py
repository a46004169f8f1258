"""From the finished runs to the tables of the study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from studies.certificates.measures import Found
from studies.shared.summary import table_lines

#: Runs by network.
Runs = dict[str, dict[str, Any]]


def read(out: Path, names: Sequence[str]) -> Runs:
    """The runs of these networks of a folder of results."""
    return {name: json.loads((out / "runs" / f"{name}.json").read_text()) for name in names}


@dataclass(frozen=True)
class Row(Found):
    """What was measured of one network.

    Parameters
    ----------
    network : str
    gap : float or None
        `upper` over `lower`.
    """

    network: str = ""
    gap: float | None = None


@dataclass(frozen=True)
class NodeRow:
    """One node of the certificate of one network, see ``certify.NodeBound``.

    Parameters
    ----------
    network, name, operation, kind : str
    constant, attained, total : float
        Its constant, what an attack on it has reached, and the bound from the input to it.
    together : bool
        Whether nodes before it were taken together with it.
    """

    network: str
    name: str
    operation: str
    kind: str
    constant: float
    attained: float
    total: float
    together: bool


def rows(runs: Runs) -> list[Row]:
    """One row per network, in the order of the runs."""
    found = {name: run["found"] for name, run in runs.items()}
    gaps = {name: None if f["refused"] else f["upper"] / f["lower"] for name, f in found.items()}
    return [Row(**f, network=name, gap=gaps[name]) for name, f in found.items()]


def node_rows(runs: Runs) -> list[NodeRow]:
    """One row per node, network by network."""
    names = [field.name for field in fields(NodeRow)][1:]
    return [NodeRow(name, *(node[k] for k in names)) for name, run in runs.items() for node in run["nodes"]]


#: Columns of the two tables: field, and its name there.
BOUNDS = {
    "network": "network", "test": "test, %", "nodes": "nodes", "product": "product", "upper": "certified",
    "lower": "attained", "gap": "gap", "contradictions": "contradictions",
}  # fmt: skip
SHIFTS = {
    "network": "network", "defect": "defect", "defect_filtered": "filtered", "whole": "whole steps",
    "whole_filtered": "filtered", "test_filtered": "test filtered, %", "product_filtered": "product filtered",
    "upper_filtered": "certified filtered",
}  # fmt: skip


def markdown(table: Sequence[Row]) -> str:
    """Two tables, of constants and of shifts, and what was refused."""
    lines = []
    for columns in (BOUNDS, SHIFTS):
        lines += [*table_lines(list(columns.values()), ([_cell(r, name) for name in columns] for r in table)), ""]
    return "\n".join([*lines, *(f"* {r.network}: {r.refused}" for r in table if r.refused)]) + "\n"


def _cell(row: Row, name: str) -> str:
    value = getattr(row, name)
    if name in ("test", "test_filtered") and value is not None:
        return f"{value:.2f}"
    return value if isinstance(value, str) else ("refused" if value is None else f"{value:.4g}")
