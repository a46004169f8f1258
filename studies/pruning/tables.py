"""From the finished runs to the table of the study: means over seeds, and differences paired by seed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.pruning.methods import ALONE, RULES, SELECTIONS
from studies.pruning.network import NETWORKS
from studies.shared.summary import spread, table_lines

#: What was found after each training of one run, in order.
Cycles = list[dict[str, Any]]
#: Runs by network, rule and selection, then by seed.
Runs = dict[tuple[str, str, str], dict[int, Cycles]]

#: Rates in the table; all of them are means over seeds of what is pooled over sites.
RATES = ("total", "static", "dynamic", "always_on", "silent", "static_on")
#: What is compared with the rule alone, and in the units of the report.
COMPARED = ("test", "total", "dynamic")
#: The selection of the paper, and what it is compared with.
ACTIVATE = "activate"
CONTROLS = tuple(name for name in SELECTIONS if name not in (ALONE, ACTIVATE))


def read(out: Path, names: Iterable[str]) -> Runs:
    """The runs of these files of a folder of results."""
    runs: Runs = {}
    for name in names:
        found = json.loads((out / "runs" / f"{name}.json").read_text())
        job = found["settings"]
        for row in found["history"]:
            key = job["network"], job["rule"], row["selection"]
            runs.setdefault(key, {}).setdefault(job["seed"], []).append(row)
    return runs


@dataclass(frozen=True)
class Row:
    """One method after one training. Means over seeds, each with its standard error; rates are shares, not per cent.

    Parameters
    ----------
    network, rule, selection : str
        Which.
    cycle, seeds : int
        Number of the training, from 0, and of runs.
    sparsity : float
        Share of the prunable weights that is pruned.
    test, test_error : float
        Test accuracy in per cent.
    test_difference, test_difference_error : float
        The same minus that of the rule alone, paired by seed.
    total, static, dynamic, always_on, silent, static_on : float
        Rates of ``pruning.dead_neurons`` on the validation images, pooled over sites.
    total_difference, total_difference_error, dynamic_difference, dynamic_difference_error : float
        Of the total and the dynamic rate, minus those of the rule alone.
    """

    network: str
    rule: str
    selection: str
    cycle: int
    seeds: int
    sparsity: float
    test: float
    test_error: float
    test_difference: float
    test_difference_error: float
    total: float
    static: float
    dynamic: float
    always_on: float
    silent: float
    static_on: float
    total_difference: float
    total_difference_error: float
    dynamic_difference: float
    dynamic_difference_error: float


def differences(a: dict[int, Cycles], b: dict[int, Cycles], quantity: str, cycle: int) -> list[float]:
    """By seed, a minus b."""
    return [a[seed][cycle][quantity] - b[seed][cycle][quantity] for seed in sorted(a)]


def rows(runs: Runs) -> list[Row]:
    """One row per method and cycle."""
    table = []
    for (network, rule, selection), of_seed in runs.items():
        alone = runs[network, rule, ALONE]
        for cycle in range(len(next(iter(of_seed.values())))):
            now = [found[cycle] for found in of_seed.values()]
            values: dict[str, float] = {name: spread([row[name] for row in now])[0] for name in RATES}
            values["test"], values["test_error"] = spread([row["test"] for row in now])
            for quantity in COMPARED:
                mean, error = spread(differences(of_seed, alone, quantity, cycle))
                values |= {f"{quantity}_difference": mean, f"{quantity}_difference_error": error}
            table.append(Row(network, rule, selection, cycle, len(now), now[0]["sparsity"], **values))
    return table


def markdown(table: Sequence[Row]) -> str:
    """For each network: accuracies after the last training, its dead-neuron rates, and rates over the cycles."""
    lines: list[str] = []
    last = max(row.cycle for row in table)
    for network in NETWORKS:
        found = {(r.rule, r.selection): r for r in table if r.network == network and r.cycle == last}
        sparsity = next(iter(found.values())).sparsity
        lines += [f"**{network}**, test accuracy in per cent at {sparsity:.2%} sparsity", ""]
        head = ["rule", "alone", *(f"{name}, minus alone" for name in SELECTIONS if name != ALONE)]
        lines += [*table_lines(head, (_accuracies(rule, found) for rule in RULES)), ""]
        lines += [f"**{network}**, dead neurons in per cent at the same sparsity", ""]
        head = ["rule", "selection", *RATES, "total, minus alone", "dynamic, minus alone"]
        lines += [*table_lines(head, (_rates(row) for row in found.values())), ""]
        lines += [f"**{network}**, over the cycles, rule alone: accuracy; total = static + dynamic, in per cent", ""]
        head = ["rule", *(f"{r.sparsity:.1%}" for r in table if r is _first(table, network, r.cycle))]
        lines += [*table_lines(head, (_course(table, network, rule) for rule in RULES)), ""]
    return "\n".join(lines).rstrip()


def _first(table: Sequence[Row], network: str, cycle: int) -> Row:
    return next(row for row in table if row.network == network and row.cycle == cycle)


def _accuracies(rule: str, found: dict[tuple[str, str], Row]) -> list[str]:
    alone = found[rule, ALONE]
    others = (found[rule, name] for name in SELECTIONS if name != ALONE)
    pairs = (f"{r.test_difference:+.2f} ± {r.test_difference_error:.2f}" for r in others)
    return [rule, f"{alone.test:.2f} ± {alone.test_error:.2f}", *pairs]


def _rates(r: Row) -> list[str]:
    cells = [f"{100 * getattr(r, name):.1f}" for name in RATES]
    pairs = ((r.total_difference, r.total_difference_error), (r.dynamic_difference, r.dynamic_difference_error))
    alone = r.selection == ALONE
    return [r.rule, r.selection, *cells, *("" if alone else f"{100 * a:+.1f} ± {100 * b:.1f}" for a, b in pairs)]


def _course(table: Sequence[Row], network: str, rule: str) -> list[str]:
    found = [r for r in table if (r.network, r.rule, r.selection) == (network, rule, ALONE)]
    cells = (f"{r.test:.1f}; {100 * r.total:.1f} = {100 * r.static:.1f} + {100 * r.dynamic:.1f}" for r in found)
    return [rule, *cells]


def over_rules(runs: Runs, network: str, a: str, b: str, quantity: str, cycle: int) -> list[float]:
    """By seed, the mean over rules of selection a minus selection b."""
    each = [differences(runs[network, rule, a], runs[network, rule, b], quantity, cycle) for rule in RULES]
    return [sum(of_seed) / len(of_seed) for of_seed in zip(*each, strict=True)]


def claims(runs: Runs) -> list[str]:
    """Whether the rates fall with sparsity, and what the selections do, as found."""
    lines = []
    last = len(next(iter(next(iter(runs.values())).values()))) - 1
    for network in NETWORKS:
        for rule in RULES:
            lines.append(_trend(network, rule, runs[network, rule, ALONE], last))
        for quantity, unit in (("test", 1.0), ("total", 100.0), ("dynamic", 100.0)):
            for a, b in [*((name, ALONE) for name in SELECTIONS if name != ALONE), *((ACTIVATE, c) for c in CONTROLS)]:
                lines.append(_comparison(runs, network, a, b, quantity, unit, last))
        same = all(
            runs[network, "movement", "smallest_movement"][seed][cycle]["test"] == found[cycle]["test"]
            for seed, found in runs[network, "movement", ALONE].items()
            for cycle in range(last + 1)
        )
        lines.append(
            f"{network}: movement with smallest_movement removes what movement alone removes, hence the same "
            f"accuracies: {'yes' if same else 'no'}"
        )
    return lines


def _trend(network: str, rule: str, found: dict[int, Cycles], last: int) -> str:
    parts = []
    for name in ("total", "static", "dynamic"):
        first, end = (spread([cycles[k][name] for cycles in found.values()])[0] for k in (0, last))
        falls = sum(cycles[last][name] < cycles[0][name] for cycles in found.values())
        steps = sum(_falls_throughout([row[name] for row in cycles]) for cycles in found.values())
        parts.append(
            f"{name} {100 * first:.1f} to {100 * end:.1f} % (lower in {falls}, falling at every step in {steps} of "
            f"{len(found)} seeds)"
        )
    return f"{network}, {rule} alone, dense to sparsest: " + ", ".join(parts)


def _falls_throughout(values: Sequence[float]) -> bool:
    return all(b < a for a, b in itertools.pairwise(values))


def _comparison(runs: Runs, network: str, a: str, b: str, quantity: str, unit: float, last: int) -> str:
    """Mean over rules and seeds; its error is over seeds."""
    mean, error = spread(over_rules(runs, network, a, b, quantity, last))
    each = [x for rule in RULES for x in differences(runs[network, rule, a], runs[network, rule, b], quantity, last)]
    return (
        f"{network}, {quantity}, {a} minus {b}, mean over rules: {unit * mean:+.2f} ± {unit * error:.2f}, above 0 in "
        f"{sum(x > 0 for x in each)} of {len(each)} pairs"
    )
