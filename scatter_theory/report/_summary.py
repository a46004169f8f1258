"""What was checked and what held, in one paragraph, and what needs a reader."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from html import escape

from scatter_theory.render import check_html
from scatter_theory.report._html import section
from scatter_theory.report._tables import IDENTITIES, parts
from scatter_theory.results import Outcome, Verdict

#: Subjects of the checks, by the kind of their task.
SUBJECTS = {
    "network": "networks",
    "family": "frames and deformations",
    "signal": "single signals",
    "module": "non-linearities and poolings",
    "pruning": "pruning",
    "learned": "learned frames and trained networks",
}


def summary(verdict: Verdict, kinds: Mapping[str, str], errors: Mapping[str, str], families: int) -> str:
    """One paragraph: what was built, how it was attacked, what held by subject, and what came closest to its bound."""
    networks = sum(kind == "network" for kind in kinds.values())
    alarm = bool(verdict.violated or errors)
    failed = f" {len(errors)} tasks failed with an error." if errors else ""
    built = f"{families} frame {'family' if families == 1 else 'families'}"
    return (
        f"<p class='{'alarm' if alarm else 'good'}'>{networks} networks of two layers were built from {built}, with "
        "every non-linearity and pooling, for an electrocardiogram (1-D) and a photograph (2-D). For each, the frame "
        "bounds, Lipschitz continuity, energy, translation covariance and translation invariance were attacked by a "
        "search for the worst case, for each family also the sensitivity to deformations, and what was "
        f"found was held against the proven bounds. {_result(verdict)} {_by_subject(verdict, kinds)}"
        f"{_closest(verdict)}{failed}</p>"
    )


def _result(verdict: Verdict) -> str:
    counts = Counter(check.outcome.name for check in verdict.checks.values())
    if counts["VIOLATED"]:
        return f"<b>{counts['VIOLATED']} of {len(verdict)} checks are violated.</b>"
    others = {k: v for k, v in counts.items() if k not in ("HOLDS", "VIOLATED")}
    told = "".join(f"; {v} {k.lower()} ({Outcome[k].value})" for k, v in others.items())
    return f"<b>Nothing is violated: {counts['HOLDS']} of {len(verdict)} checks hold{told}.</b>"


def _by_subject(verdict: Verdict, kinds: Mapping[str, str]) -> str:
    total: Counter[str] = Counter()
    holds: Counter[str] = Counter()
    for name, check in verdict.checks.items():
        kind = kinds[parts(name)[0]]
        total[kind] += 1
        holds[kind] += check.outcome is Outcome.HOLDS
    told = ", ".join(f"{text} {holds[kind]} of {total[kind]}" for kind, text in SUBJECTS.items() if total[kind])
    return f"By subject: {told}." if told else ""


def _closest(verdict: Verdict) -> str:
    """How many bounds are attained, and how far the others are from it; identities and bounds of 0 aside."""
    ratios = [
        check.worst
        for name, check in verdict.checks.items()
        if check.outcome is Outcome.HOLDS and parts(name)[1] not in IDENTITIES and (check.bound > 0).any()
    ]
    ratios = sorted(ratio for ratio in ratios if math.isfinite(ratio))
    if not ratios:
        return ""
    attained, middle = sum(ratio >= 0.99 for ratio in ratios), ratios[len(ratios) // 2]
    return (
        f" Of the {len(ratios)} bounds that hold and are not 0, {attained} are reached within 1 %; the median of the "
        f"largest measured value over its bound is {middle:.2g}."
    )


def attention(verdict: Verdict, errors: Mapping[str, str]) -> str:
    """Everything that needs a reader: violations, undecided checks, crashes."""
    grave = (Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.VACUOUS)
    found = [(name, check) for outcome in grave for name, check in verdict.checks.items() if check.outcome is outcome]
    told = [f"<h3>{escape(name)}</h3>{check_html(check, heading=4)}" for name, check in found[:12]]
    told += [f"<h3>{escape(key)}</h3><pre>{escape(trace)}</pre>" for key, trace in errors.items()]
    left = f"<p>{len(found) - 12} more are in report.json.</p>" if len(found) > 12 else ""
    return section("What needs attention", "".join(told) + left) if told else ""
