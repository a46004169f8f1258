"""Results as HTML fragments: every string escaped, no scripts, no links to other places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from scatter_theory.render import _content as content
from scatter_theory.theory import THEOREMS

_COLOURS = {
    "HOLDS": "#0072B2",
    "VIOLATED": "#B34700",
    "INCONCLUSIVE": "#8A6100",
    "VACUOUS": "#5F5F5F",
    "INAPPLICABLE": "#5F5F5F",
}
_CELL = "padding:0.15em 0.7em;text-align:left;border-bottom:1px solid #ddd;vertical-align:top"


def table_html(rows: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    """Table of mappings with the same keys, one row each."""
    return table(content.labelled(rows), caption)


def check_html(check: Any, *, heading: int = 3) -> str:
    """A check: heading, sentence and points; formula, constants, hypotheses, errors and origin folded away."""
    theorem = THEOREMS.get(check.claim)
    inner = [table(t, t.title) for t in content.details(check)]
    if theorem:
        source = f"<p>Claim: <code>{escape(theorem.statement)}</code><br>Source: {escape(theorem.source)}</p>"
        inner.insert(0, source)
    notes = "".join(f"<p>{escape(note)}</p>" for note in check.notes)
    return (
        f"<div><h{heading}>{escape(check.title)}: {badge(check)}</h{heading}>"
        f"<p>{escape(content.sentence(check))}</p>{table(content.points(check))}{notes}"
        f"<details><summary>Claim, constants, hypotheses, errors, search</summary>{''.join(inner)}"
        f"<p><small>{escape(content.origin(check))}</small></p></details></div>"
    )


def verdict_html(verdict: Any) -> str:
    """A verdict: sentence and table; with many checks a table by claim first and the full list folded away."""
    tally = escape(content.tally(verdict) or "no checks")
    head = f"<h3>{escape(verdict.title)}: {tally}</h3><p>{escape(content.verdict_sentence(verdict))}</p>"
    if not len(verdict):
        return f"<div>{head}</div>"
    full = table(content.overview(verdict, limit=None))
    if len(verdict) > content.CHECKS:
        listed = f"<details><summary>All {len(verdict)} checks</summary>{full}</details>"
        return f"<div>{head}{table(content.summary(verdict))}{listed}</div>"
    return f"<div>{head}{full}</div>"


def badge(check: Any) -> str:
    """Outcome as symbol and word, coloured."""
    name = check.outcome.name
    return f'<span style="color:{_COLOURS[name]};font-weight:bold">{escape(check.outcome.symbol)} {escape(name)}</span>'


def table(content_table: content.Table, caption: str = "") -> str:
    """A table of strings."""
    if not content_table.rows:
        return ""
    heads = "".join(f'<th scope="col" style="{_CELL}">{escape(name)}</th>' for name in content_table.columns)
    rows = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in content_table.rows
    )
    title = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    note = f"<p><small>{escape(content_table.note)}</small></p>" if content_table.note else ""
    body = f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
    return f'<table style="border-collapse:collapse">{title}{body}</table>{note}'
