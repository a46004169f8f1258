"""What is said about a result, once, for text and HTML alike: headings, sentences and tables of strings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Checks and points shown in full; above these numbers the tables are shortened and say so.
ROWS = 12
CHECKS = 40

#: From the gravest outcome to the one that needs no attention.
SEVERITY = ("VIOLATED", "INCONCLUSIVE", "VACUOUS", "INAPPLICABLE", "HOLDS")


@dataclass(frozen=True)
class Table:
    """Column names, rows of strings, and a note about what was left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    title: str = ""


def number(value: Any) -> str:
    """Six significant digits; a value that would print as 1 without being 1 within rounding shows the distance."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (Sequence, np.ndarray)):
        return "(" + ", ".join(number(v) for v in value) + ")"
    value = float(value)
    text = f"{value:.6g}"
    if text == "1" and abs(value - 1.0) > 1e-11:
        return f"1 {'+' if value > 1 else '-'} {abs(value - 1):.1e}"
    return text


def worst_index(check: Any) -> int | None:
    """Point with the largest ratio, or, among identities, the largest measured value; None without a comparable one."""
    use = np.where(check.bound == 0, 0.0, check.ratio)
    if use.size == 0 or np.all(np.isnan(use)):
        return None
    if np.nanmax(use) == 0:
        use = np.where(np.isnan(check.measured), -np.inf, check.measured)
    return int(np.nanargmax(use))


def headline(check: Any) -> str:
    """Theorem, outcome and worst ratio."""
    return f"{check.heading}  worst ratio {number(check.worst)}"


def sentence(check: Any) -> str:
    """What the outcome means, and how close the measured values came."""
    meaning = check.outcome.value[0].upper() + check.outcome.value[1:] + "."
    failed = [h for h in check.hypotheses if not h.satisfied]
    if failed:
        meaning += f" Not satisfied: {'; '.join(_condition(h) for h in failed)}."
    i = worst_index(check)
    if i is None:
        return f"{meaning} There is no measured value to compare."
    where = _where(check, i)
    if check.bound[i] == 0:
        return f"{meaning} The largest deviation is {number(check.measured[i])} ({where}); exactly 0 is claimed."
    return f"{meaning} The measured value reaches {100 * check.ratio[i]:.4g} % of the bound ({where})."


def _condition(hypothesis: Any) -> str:
    return hypothesis.text + ("" if hypothesis.value is None else f" (here {number(hypothesis.value)})")


def _where(check: Any, i: int) -> str:
    """Series of a point, and its place in the sweep where the series has several points."""
    alone = check.series.count(check.series[i]) == 1
    return check.series[i] if alone else f"{check.series[i]}, {check.x_label} = {number(check.x[i])}"


def points(check: Any, limit: int | None = ROWS) -> Table:
    """Measured values and bounds; with too many points the worst of each series."""
    size = check.measured.size
    rows = list(range(size))
    note = ""
    if limit is not None and size > limit:
        use = np.nan_to_num(np.where(check.bound == 0, check.measured, check.ratio), nan=math.inf)
        best: dict[str, int] = {}
        for i in rows:
            if check.series[i] not in best or use[i] > use[best[check.series[i]]]:
                best[check.series[i]] = i
        rows = sorted(sorted(best.values(), key=lambda i: -use[i])[:limit])
        note = f"{len(rows)} of {size} points: the worst of each series"
    rounding, error = check.rounding, check.discretisation
    extra = {name: v for name, v in check.extra.items() if np.shape(v) == (size,)}
    columns = ["series", check.x_label, "measured", "bound", "ratio", "rounding"]
    columns += ["discretisation"] * bool(np.any(error != 0)) + list(extra)
    table = []
    for i in rows:
        row = [check.series[i], number(check.x[i]), number(check.measured[i]), number(check.bound[i])]
        row += ["identity" if check.bound[i] == 0 else number(check.ratio[i]), f"{rounding[i]:.1e}"]
        row += [f"{error[i]:.3g}"] * bool(np.any(error != 0)) + [number(v[i]) for v in extra.values()]
        table.append(tuple(row))
    return Table(tuple(columns), tuple(table), note, "measured values against the bound")


def details(check: Any) -> tuple[Table, ...]:
    """Constants, hypotheses, error budget, search and witness of a check; empty ones are left out."""
    constants = tuple(
        (name, number(c.value) + (f" +- {c.error:.1g}" if c.error else ""), c.unit, c.kind, c.source)
        for name, c in check.constants.items()
    )
    hypotheses = tuple(("yes" if h.satisfied else "NO", h.text, number(h.value)) for h in check.hypotheses)
    budget = tuple((e.name, e.kind, f"{np.max(e.value, initial=0.0):.3g}") for e in check.budget)
    search = tuple((mode, number(value)) for mode, value in check.search.items())
    witness = tuple((name, _short(value)) for name, value in check.witness.items())
    tables = (
        Table(("constant", "value", "unit", "kind", "source"), constants, title="constants in the bound"),
        Table(("satisfied", "hypothesis", "value"), hypotheses, title="hypotheses"),
        Table(("error", "kind", "largest value"), budget, title="error budget"),
        Table(("search", "largest ratio"), search, title="what each mode of search found"),
        Table(("witness", "value"), witness, title="what reproduces the worst ratio"),
    )
    return tuple(table for table in tables if table.rows)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"array of shape {value.shape}, {value.dtype}"
    return number(value) if isinstance(value, (int, float, str, list, tuple, np.ndarray, np.generic)) else str(value)


def origin(check: Any) -> str:
    """One line on how the numbers came about."""
    p = check.provenance
    parts = [
        " ".join(p.subject.split()),
        p.grid,
        p.dtype,
        p.device,
        "" if p.seed is None else f"seed {p.seed}",
        f"{p.seconds:.1f} s",
    ]
    versions = ", ".join(f"{name} {version}" for name, version in p.versions.items())
    return "; ".join(part for part in (*parts, versions, p.date) if part)


def tally(verdict: Any) -> str:
    """Numbers of checks by outcome."""
    counts = Counter(check.outcome.name for check in verdict.checks.values())
    return ", ".join(f"{counts[name]} {name}" for name in reversed(SEVERITY) if counts[name])


def verdict_sentence(verdict: Any) -> str:
    """One sentence on everything."""
    if not verdict.checks:
        return "There are no checks."
    counts = Counter(check.outcome.name for check in verdict.checks.values())
    if counts["VIOLATED"]:
        return f"{counts['VIOLATED']} of {len(verdict)} claims are violated: {', '.join(verdict.violated[:5])}."
    if not counts["HOLDS"]:
        return "Nothing is violated, but nothing could be confirmed either."
    return f"Nothing is violated; {counts['HOLDS']} of {len(verdict)} claims hold."


def reasons(verdict: Any, limit: int = 5) -> tuple[str, ...]:
    """Why a check does not hold, one sentence each, the gravest first."""
    others = [item for item in verdict.checks.items() if item[1].outcome.name != "HOLDS"]
    others.sort(key=lambda item: _rank(item[1]))
    return tuple(f"{name}: {sentence(check)}" for name, check in others[:limit])


def overview(verdict: Any, limit: int | None = CHECKS, outcomes: Sequence[str] = SEVERITY) -> Table:
    """One row per check with one of the outcomes, the gravest first, then by falling ratio."""
    ranked = [item for item in verdict.checks.items() if item[1].outcome.name in outcomes]
    ranked.sort(key=lambda item: _rank(item[1]))
    shown = ranked if limit is None else ranked[:limit]
    rows = []
    for name, check in shown:
        i = worst_index(check)
        at = "" if i is None else _where(check, i)
        rows.append((name, f"{check.outcome.symbol} {check.outcome.name}", number(check.worst), at, check.title))
    left = len(ranked) - len(shown)
    note = f"{left} more checks, none of them graver" if left else ""
    return Table(("check", "outcome", "worst ratio", "where", "claim"), tuple(rows), note, "checks")


def summary(verdict: Any) -> Table:
    """One row per claim: numbers of checks by outcome, median and worst ratio, and where the worst is."""
    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, check in verdict.checks.items():
        groups.setdefault(check.claim, []).append((name, check))
    rows = []
    for members in groups.values():
        counts = Counter(check.outcome.name for _, check in members)
        ratios = np.array([check.worst for _, check in members])
        ratios = ratios[~np.isnan(ratios)]
        name, _ = min(members, key=lambda item: _rank(item[1]))
        middle, top = (number(np.median(ratios)), number(np.max(ratios))) if ratios.size else ("", "")
        outcomes = (str(counts[name]) if counts[name] else "" for name in reversed(SEVERITY))
        rows.append((members[0][1].title, str(len(members)), *outcomes, middle, top, name))
    outcomes = (name.lower() for name in reversed(SEVERITY))
    heads = ("claim", "checks", *outcomes, "median ratio", "worst ratio", "gravest")
    return Table(heads, tuple(rows), "", "checks by claim")


def _rank(check: Any) -> tuple[int, float]:
    """Sorting key: severity, then falling ratio."""
    worst = check.worst
    return SEVERITY.index(check.outcome.name), math.inf if math.isnan(worst) else -worst


def labelled(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Table of mappings with the same keys."""
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return Table(columns, tuple(tuple(number(row.get(key)) for key in columns) for row in rows))
