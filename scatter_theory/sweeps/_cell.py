"""The work of one cell: from a configuration to a record, on whatever worker."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from scatter_theory.results import BoundCheck
from scatter_theory.sweeps._measures import MEASURES, check_of, measure_of, worst_point
from scatter_theory.sweeps._record import Record, environment, pack_witness, to_json
from scatter_theory.sweeps._space import Cell

#: A worker hands its results back after this many seconds, so that no more than these are lost when it dies.
GROUP_SECONDS = 1.0


def run_cell(cell: Cell) -> Record:
    """Measure one cell; an exception becomes its outcome."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    started = time.perf_counter()
    result = budget = witness = error = None
    try:
        result, budget, witness = _measured(cell)
    except Exception:
        error = traceback.format_exc()
    return Record(cell.key, result, budget, witness, error, environment(), time.perf_counter() - started)


def run_cells(group: Sequence[Cell]) -> list[Record]:
    """Measure the first cells of a group, at least one, until `GROUP_SECONDS` have passed."""
    started, records = time.perf_counter(), []
    for cell in group:
        records.append(run_cell(cell))
        if time.perf_counter() - started >= GROUP_SECONDS:
            break
    return records


def _measured(cell: Cell) -> tuple[str, str | None, bytes | None]:
    configuration = cell.configuration
    if cell.measure in MEASURES:
        found: Any = check_of(cell.measure, configuration, cell.seed)
    else:
        found = measure_of(cell.measure)(configuration, cell.seed)
    if isinstance(found, BoundCheck):
        return _parts(found)
    if not isinstance(found, Mapping):
        raise TypeError(
            f"`measure`: {cell.measure} returned {type(found).__name__}, expected a mapping from names to numbers, "
            "strings and lists, or a BoundCheck."
        )
    both = sorted(set(found) & set(configuration))
    if both:
        raise ValueError(f"`measure`: {cell.measure} returned {both[0]!r}, which is a name of the configuration.")
    witness = found.get("witness")
    rest = {name: value for name, value in found.items() if name != "witness"}
    return to_json(rest), None, None if witness is None else pack_witness(witness)


def _parts(check: BoundCheck) -> tuple[str, str, bytes | None]:
    """Result, budget and witness of a check; what differs from run to run (date, duration) is in neither."""
    table = check.to_dict()
    kept = ("claim", "x_label", "points", "extra", "constants", "hypotheses", "search", "notes", "certificates")
    i = worst_point(check)
    worst = {
        "outcome": check.outcome.name,
        "ratio": check.worst,
        "measured": None if i is None else check.measured[i],
        "bound": None if i is None else check.bound[i],
        "series": None if i is None else check.series[i],
        "x": None if i is None else check.x[i],
        "rounding": None if i is None else check.rounding[i],
    }
    result = to_json({**worst, **{name: table[name] for name in kept}})
    return result, to_json(table["budget"]), pack_witness(check.witness) if check.witness else None
