"""Tables of the report, as strings, for the terminal and the page alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scatter_theory.results import BoundCheck, Outcome
from scatter_theory.theory import layers_needed

#: Claims about a network in the order of the columns, with short heads.
CLAIMS = {
    "frame": "frame",
    "admissibility": "admissible",
    "lipschitz": "Lipschitz",
    "energy": "energy",
    "balance": "identity",
    "remainder": "remainder",
    "getter": "decay",
    "covariance": "covariance",
    "translation": "translation",
    "multiplier": "multiplier",
    "posteriori": "a posteriori",
    "full_covariance": "full cov.",
    "deformation": "deformation",
    "deformed band-limited": "band-limited",
    "deformed Lipschitz": "Lipschitz",
    "deformed cartoons": "cartoons",
    "sharp": "sharp transl.",
    "wave 1": "network, wave 1",
    "wave 4": "network, wave 4",
    "oscillation": "oscillation",
}
#: The claims about deformations: the real signals, then classes of signals.
DEFORMED = ("deformation", "deformed band-limited", "deformed Lipschitz", "deformed cartoons")
#: The claims of the section on sharper bounds.
SHARPER = ("sharp", "wave 1", "wave 4", "oscillation")
#: Claims whose bound is 0: what counts is that the defect is rounding.
IDENTITIES = ("balance", "covariance")
FRACTIONS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)

#: What the numbers of `by_family` are, for a terminal.
LEGEND = (
    "Largest measured value over its bound, per family: below 1 the bound holds, at 1.0000 it is attained; for\n"
    "identity and covariance, which claim exactly 0, the largest deviation. Last column: checks of networks of\n"
    "that family; those of single non-linearities and poolings are on the page."
)

Rows = list[list[str]]
Checks = Mapping[str, BoundCheck]


def parts(name: str) -> tuple[str, str]:
    """Configuration and claim of a check's name."""
    configuration, _, claim = name.rpartition("/")
    return configuration, claim


def cell(checks: Iterable[BoundCheck], claim: str) -> str:
    """Largest ratio of some checks (largest defect where exactly 0 is claimed), and symbols of what does not hold."""
    checks = list(checks)
    if not checks:
        return ""
    others = "".join(dict.fromkeys(c.outcome.symbol for c in checks if c.outcome is not Outcome.HOLDS))
    use = [c for c in checks if c.outcome is not Outcome.INAPPLICABLE]
    if not use:
        return others
    if claim in IDENTITIES or all(np.all(c.bound == 0) for c in use):
        value = f"{max(float(c.measured.max()) for c in use):.0e}"
    else:
        worst = [c.worst for c in use]
        value = "nan" if any(map(math.isnan, worst)) else f"{max(worst):.4f}"
    return f"{value} {others}".strip()


def by_family(checks: Checks, families: Sequence[str]) -> tuple[list[str], Rows]:
    """One row per family: worst ratio per claim over all its networks, and the number of checks that hold."""
    groups: dict[tuple[str, str], list[BoundCheck]] = {}
    counts: dict[str, Counter[str]] = {f: Counter() for f in families}
    for name, check in checks.items():
        configuration, claim = parts(name)
        family = configuration.split("/")[0]
        if family in counts:
            groups.setdefault((family, claim), []).append(check)
            counts[family][check.outcome.name] += 1
    claims = [c for c in CLAIMS if c not in (*DEFORMED[1:], *SHARPER)]
    rows = []
    for family in families:
        holds, total = counts[family]["HOLDS"], sum(counts[family].values())
        rows.append([family, *(cell(groups.get((family, c), []), c) for c in claims), f"{holds} of {total}"])
    return ["family", *(CLAIMS[c] for c in claims), "hold"], rows


def deformations(checks: Checks, families: Sequence[str]) -> tuple[list[str], Rows]:
    """One row per family: largest ratio of signals and of features by class, and what the real signals' bound says."""
    heads = ["family"]
    for claim in DEFORMED:
        name = "real signals" if claim == "deformation" else CLAIMS[claim]
        heads += [f"{name}: signal", "features"]
    rows = []
    for family in families:
        found = {c: checks.get(f"{family}/{c}") for c in DEFORMED}
        row = [family]
        for check in found.values():
            row += ["", ""] if check is None else [_best(check, "signal"), _best(check, "all layers")]
        rows.append([*row, *_measured(found["deformation"])])
    return [*heads, "real signals: measured", "bound"], rows


def _best(check: BoundCheck, output: str) -> str:
    ratio = max(r for s, r in zip(check.series, check.ratio, strict=True) if s == output)
    mark = "" if check.outcome is Outcome.HOLDS else f" {check.outcome.symbol}"
    return f"{ratio:.4f}{mark}"


def _measured(check: BoundCheck | None) -> list[str]:
    """Distances of features, and the bound, relative to the norm, at the smallest and the largest displacement."""
    if check is None:
        return ["", ""]
    rows = [i for i, s in enumerate(check.series) if s == "all layers"]
    ends = (rows[0], rows[-1])
    return [" to ".join(f"{values[i]:.2g}" for i in ends) for values in (check.measured, check.bound)]


def of_family(checks: Checks, family: str) -> tuple[list[str], Rows]:
    """One row per non-linearity and pooling of one family."""
    claims = [c for c in CLAIMS if c != "frame" and c not in (*DEFORMED, *SHARPER)]
    rows: dict[str, dict[str, BoundCheck]] = {}
    for name, check in checks.items():
        configuration, claim = parts(name)
        first, _, rest = configuration.partition("/")
        if first == family and rest:
            rows.setdefault(rest, {})[claim] = check
    table = []
    for configuration, found in rows.items():
        cells = [cell([found[c]] if c in found else [], c) for c in claims]
        table.append([*configuration.split("/"), *cells])
    return ["non-linearity", "pooling", *(CLAIMS[c] for c in claims)], table


def modules(checks: Checks, kinds: Mapping[str, str]) -> tuple[list[str], Rows]:
    """Non-linearities and poolings: declared constant, largest quotient found, outcome."""
    rows = []
    for name, check in checks.items():
        configuration, claim = parts(name)
        if kinds.get(configuration) == "module":
            constant = next(iter(check.constants.values()))
            row = [configuration, claim, f"{constant.value:.6g}", f"{float(check.measured[0]):.6g}"]
            rows.append([*row, f"{check.outcome.symbol} {check.outcome.name}", constant.source])
    return ["module", "check", "constant", "largest found", "outcome", "where the constant comes from"], rows


def energies(facts: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], Rows]:
    """Shares of the signals' energy with the modulus and without pooling."""
    rows = []
    for family, fact in facts.items():
        shares = [*fact["energy"], fact["propagated"], fact["pruned"]]
        rows.append([family, *(f"{100 * s:.2f} %" for s in shares), f"{100 * sum(shares):.4f} %"])
    depth = max((len(f["energy"]) for f in facts.values()), default=0)
    emitted = [f"emitted, layer {n}" for n in range(depth)]
    return ["family", *emitted, f"propagated to layer {depth}", "pruned paths", "sum"], rows


def needed() -> tuple[list[str], Rows]:
    """Layers after which the stated share of the energy is surely emitted (one-sided filters, modulus, no pooling)."""
    rates = {"wavelets, octaves (a = 5/3)": 5 / 3, "Weyl-Heisenberg (a = 3/2)": 3 / 2, "any filters with a gap": None}
    rows = [[name, *(str(layers_needed(f, rate=a, m=1.0001)) for f in FRACTIONS)] for name, a in rates.items()]
    return ["filters", *(f"{100 * f:g} %" for f in FRACTIONS)], rows


def text(heads: Sequence[str], rows: Rows) -> str:
    """Aligned columns for a terminal; the first is left-aligned."""
    table = [list(heads), *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(heads))]
    lines = [
        "  ".join(
            c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)
