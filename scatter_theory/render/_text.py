"""Results as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from scatter_theory.render import _content as content
from scatter_theory.theory import THEOREMS

_WIDTH = 118
_NUMERIC = frozenset("0123456789+-.einfa %(),")


def check_text(check: Any) -> str:
    """A check: heading, sentence, formula, points, constants, hypotheses, errors, search, witness, notes."""
    theorem = THEOREMS.get(check.claim)
    parts = [content.headline(check), _wrap(content.sentence(check))]
    if theorem:
        parts.append(f"  claim   {theorem.statement}\n  source  {theorem.source}")
    parts += [_table(table) for table in (content.points(check), *content.details(check))]
    parts += [_wrap(f"note: {note}") for note in check.notes]
    parts.append(_wrap(content.origin(check)))
    return "\n\n".join(part for part in parts if part)


def verdict_text(verdict: Any) -> str:
    """A verdict: numbers by outcome, sentence, and all checks; of many checks a table by claim and the grave ones."""
    parts = [f"{verdict.title}: {content.tally(verdict) or 'no checks'}", _wrap(content.verdict_sentence(verdict))]
    parts += [_wrap(reason) for reason in content.reasons(verdict)]
    if len(verdict) > content.CHECKS:
        parts.append(_table(content.summary(verdict)))
        parts.append(_table(content.overview(verdict, outcomes=content.SEVERITY[:3])))
    else:
        parts.append(_table(content.overview(verdict)))
    return "\n\n".join(part for part in parts if part)


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Table of mappings with the same keys, one row each."""
    return _table(content.labelled(rows))


def _wrap(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _table(table: content.Table) -> str:
    """Aligned columns: numbers to the right, words to the left."""
    if not table.rows:
        return ""
    widths = [max(len(row[k]) for row in (table.columns, *table.rows)) for k in range(len(table.columns))]
    right = [all(set(row[k]) <= _NUMERIC for row in table.rows) for k in range(len(table.columns))]
    lines = []
    for row in (table.columns, *table.rows):
        cells = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True))
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(lines + ([f"  ({table.note})"] if table.note else []))
