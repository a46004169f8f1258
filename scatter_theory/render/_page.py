"""A whole verdict as one HTML page with its figures inside."""

from __future__ import annotations

import base64
from html import escape
from typing import Any

from scatter_theory.render import _content as content
from scatter_theory.render._html import check_html, verdict_html

#: Up to this many checks each has a figure; above it only those that do not hold, and the worst of each claim.
FIGURES = 24

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#1a1a1a;background:#fff}
table{font-size:13px;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
img{max-width:100%;height:auto} section{margin:2em 0;border-top:1px solid #ccc} code{overflow-wrap:anywhere}
"""


def verdict_page(verdict: Any) -> str:
    """Self-contained page: summary, overview figure, then a section per check that is drawn.

    With more than 24 checks, sections are written for those that do not hold (at most 24, the gravest) and for the
    worst check of every claim; the table lists all.
    """
    from scatter_theory.plot import RatioDisplay, display_of

    title = escape(f"{verdict.title}: {content.tally(verdict) or 'no checks'}")
    figure = _image(RatioDisplay.from_verdict(verdict).png(), "Worst ratio of every check") if len(verdict) else ""
    sections = []
    for name in drawn(verdict):
        check = verdict.checks[name]
        image = _image(display_of(check).png(), f"{name}: measured values and bound")
        sections.append(f"<section><h2>{escape(name)}</h2>{check_html(check)}{image}</section>")
    left = len(verdict) - len(sections)
    more = f"<p>{left} more checks are in the table above and in the JSON file of this verdict.</p>" if left else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(verdict.title)}</h1>"
        f"{verdict_html(verdict)}{figure}{''.join(sections)}{more}</body></html>\n"
    )


def drawn(verdict: Any) -> tuple[str, ...]:
    """Names of the checks that get a section, in the order of the verdict."""
    if len(verdict) <= FIGURES:
        return tuple(verdict.checks)
    order = [row[0] for row in content.overview(verdict, limit=None).rows]
    chosen = set([name for name in order if verdict.checks[name].outcome.name != "HOLDS"][:FIGURES])
    first: dict[str, str] = {}
    for name in order:
        first.setdefault(verdict.checks[name].claim, name)
    chosen |= set(first.values())
    return tuple(name for name in verdict.checks if name in chosen)


def _image(png: bytes, alt: str) -> str:
    return f'<p><img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}"></p>'
