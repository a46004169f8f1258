"""The page: self-contained HTML with its figures inside, no scripts, no links to other places."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from scatter_theory.render import check_html
from scatter_theory.report import _binary, _families, _figures, _learned, _pruning, _sharper, _tables
from scatter_theory.report._sharper import Enclosed
from scatter_theory.report._tables import Checks
from scatter_theory.results import Outcome, Verdict
from scatter_theory.theory import THEOREMS

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:84em;margin:2em auto;padding:0 1em;color:#1a1a1a;background:#fff}
h1{font-size:1.7em} h2{margin-top:2.2em;border-top:1px solid #bbb;padding-top:.7em} h3{margin:1.2em 0 .2em}
.wide{overflow-x:auto} table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums}
th,td{padding:.18em .55em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th:first-child,td:first-child,.words th,.words td{text-align:left} thead th{border-bottom:2px solid #888}
tbody tr:hover{background:#f3f6fa} .words td:last-child{white-space:normal;min-width:20em}
img{max-width:100%;height:auto} figure{margin:1em 0} figcaption{font-size:12.5px;color:#444}
.four{display:grid;grid-template-columns:repeat(auto-fit,minmax(26em,1fr));gap:.5em 2em;max-width:76em;margin:1em 0}
.four figure{margin:0} .four img{max-height:23em;width:auto}
.alarm{border-left:4px solid #B34700;padding-left:1em} .good{border-left:4px solid #0072B2;padding-left:1em}
nav{font-size:13px;columns:3} section.family{margin-top:2.5em} code{overflow-wrap:anywhere}
"""


def page(
    verdict: Verdict, facts: Mapping[str, Mapping[str, Any]], enclosed: Enclosed,
    kinds: Mapping[str, str], errors: Mapping[str, str], origin: Mapping[str, Any], out: Path,
) -> str:  # fmt: skip
    """The whole report.

    Parameters
    ----------
    verdict : Verdict
        All checks by name.
    facts : mapping
        What the family tasks measured, by family.
    enclosed : mapping
        Certificates of families of displacements, by recording.
    kinds : mapping
        Kind of each task by key.
    errors : mapping
        Tracebacks of tasks that failed, by key.
    origin : mapping
        Versions, seed, date, durations.
    out : Path
        Folder with ``figures/``.
    """
    families = list(facts)
    networks = sum(kind == "network" for kind in kinds.values())
    body = [
        "<h1>Deep feature extractors on real signals: measured worst cases against their bounds</h1>",
        _summary(verdict, errors, networks, len(families)),
        _attention(verdict, errors),
        _how(origin),
        _section("The signals", _figure(_figures.inputs(out), "the ECG and the photograph") + _sources()),
        _section(
            "Overview",
            _OVERVIEW
            + _figure(_figures.overview(_networks_of(verdict, kinds), out), "worst ratio by family and claim"),
        ),
        _section("Worst ratio per family and claim", _READING + _table(*_tables.by_family(verdict.checks, families))),
        _section(
            "Where the energy goes", _ENERGY + _table(*_tables.energies(facts)) + _NEEDED + _table(*_tables.needed())
        ),
        _section("Deformations", _DEFORMATIONS + _table(*_tables.deformations(verdict.checks, families))),
        _section("Sharper bounds", _sharper_bounds(verdict.checks, families, enclosed, out)),
        _section("Binary networks: estimators", _estimators(out)),
        _pruned(verdict.checks, out),
        _learned_frames(verdict.checks, out),
        _section("Non-linearities and poolings", _table(*_tables.modules(verdict.checks, kinds), words=True)),
        _section("Families", _contents(families) + "".join(_family(f, facts[f], verdict, out) for f in families)),
        _section("Claims", _claims()),
        f"<p><small>{escape('; '.join(f'{k} {v}' for k, v in origin.items()))}</small></p>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>scatter_theory report</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


_OVERVIEW = (
    "<p>Largest measured value divided by its bound, over all non-linearities, poolings and sampling modes. 1 means "
    "that the search attained the bound, so that the bound is sharp and the search strong; above 1 would be a "
    "violation. Identities claim exactly 0 and are shown as 0.</p>"
)
_READING = (
    "<p>Columns <i>identity</i> and <i>covariance</i>, and full covariance without pooling, hold the largest relative "
    "defect of an identity, which must be rounding; the others the largest ratio of measured value and bound. Marks: "
    "✗ violated, ? inconclusive, ○ bound above the trivial limit, – a hypothesis fails. Empty: not asked, because the "
    "hypotheses cannot hold there. Max-pooling networks decimate (discrete theory), so that only shifts by multiples "
    "of 4 samples are whole; on images the bound of layer 0 is then above the trivial limit, those of deeper layers "
    "are not. All others dilate (continuous theory on the torus). Column <i>deformation</i> includes the distances of "
    "the signals themselves, which are the same for all families; those of the features have a section of their own."
    "</p>"
)
_ENERGY = (
    "<p>Two layers, modulus, no pooling; means over the windows. For tight frames emitted, propagated and pruned "
    "energy add up to 100 %: that is the energy identity. Frames that are merely normalised may lose energy, never "
    "gain it. Pruned are the paths that do not lead to lower frequencies.</p>"
)
_DEFORMATIONS = (
    "<p>Two layers, modulus, no pooling. The signals are warped, f(x - tau(x)), exactly, with displacements of up to "
    "1/20, 1/2 and 2 samples whose sizes are certified, and signal and displacement are searched together. Column "
    "<i>signal</i>: the largest distance of a signal from its warped version over the bound of its class (for the "
    "real signals over their own bound, from their own spectrum); <i>features</i>: that of the features over the same "
    "bound. Features never move farther than their signals; how much less is what the network does, and what these "
    "bounds do not see. Last columns: distance of the features and the bound, relative to the norm of the signal, at "
    "the smallest and at the largest displacement. A bound above 2 says nothing, whatever is measured.</p>"
)
_NEEDED = (
    "<h3>Layers needed</h3><p>Number of layers after which the stated share of the energy of a band-limited signal "
    "(band limit equal to the lowest frequency of the filters) is surely emitted: modulus, no pooling, one-sided "
    "filters. Theory, not measurement.</p>"
)


def _summary(verdict: Verdict, errors: Mapping[str, str], networks: int, families: int) -> str:
    counts = Counter(check.outcome.name for check in verdict.checks.values())
    violated = counts["VIOLATED"]
    others = {k: v for k, v in counts.items() if k not in ("HOLDS", "VIOLATED")}
    told = ", ".join(f"{v} {k.lower()} ({Outcome[k].value})" for k, v in others.items())
    result = (
        f"<b>{violated} of {len(verdict)} checks are violated.</b>"
        if violated
        else f"<b>Nothing is violated: {counts['HOLDS']} of {len(verdict)} checks hold"
        + (f"; {told}" if told else "")
        + ".</b>"
    )
    failed = f" {len(errors)} tasks failed with an error." if errors else ""
    return (
        f"<p class='{'alarm' if violated or errors else 'good'}'>{networks} networks of two layers were built from "
        f"{families} frame families, with every non-linearity and pooling, for an electrocardiogram (1-D) and a "
        "photograph (2-D). For each, the frame bounds, Lipschitz continuity, energy, translation covariance and "
        "translation invariance were attacked by a search for the worst case, for each family also the sensitivity to "
        f"deformations, and what was found was held against the proven bounds. {result}{failed}</p>"
    )


def _attention(verdict: Verdict, errors: Mapping[str, str]) -> str:
    """Everything that needs a reader: violations, undecided checks, crashes."""
    grave = (Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.VACUOUS)
    found = [(name, check) for outcome in grave for name, check in verdict.checks.items() if check.outcome is outcome]
    parts = [f"<h3>{escape(name)}</h3>{check_html(check, heading=4)}" for name, check in found[:12]]
    parts += [f"<h3>{escape(key)}</h3><pre>{escape(trace)}</pre>" for key, trace in errors.items()]
    left = f"<p>{len(found) - 12} more are in report.json.</p>" if len(found) > 12 else ""
    return _section("What needs attention", "".join(parts) + left) if parts else ""


def _how(origin: Mapping[str, Any]) -> str:
    return (
        "<p>Each check measures the worst case over the signals below, random draws, structured signals (tones, beats, "
        "atoms, spikes) and, for the Lipschitz and translation bounds, gradient ascent from the best of these. A check "
        "holds only if every constant in its bound is proven and no measured value exceeds it by more than rounding. "
        "Deeper searches, on any network: <code>python -m scatter_theory verify NET.toml</code>. Every number is in "
        f"report.json, with the seed ({origin.get('seed')}) and the mode of search that found it.</p>"
    )


def _sources() -> str:
    texts = (escape(_families.recording(d).description) for d in (1, 2))
    items = "".join("<li>" + re.sub("`(.*?)`", r"<code>\1</code>", text) + "</li>" for text in texts)
    return f"<ul>{items}</ul><p>From every window its mean is removed, and it is scaled to root-mean-square 1.</p>"


def _sharper_bounds(checks: Checks, families: Sequence[str], enclosed: Enclosed, out: Path) -> str:
    figure = _figure(
        _sharper.figure(checks, families, out), "what is reached of the published and of the sharper bounds"
    )
    parts = (
        (_sharper.TRANSLATIONS + figure, _sharper.translations(checks, families)),
        (_sharper.WAVES, _sharper.waves(checks, families)),
        (_sharper.ONE_SIGNAL, _sharper.one_signal(checks, enclosed)),
    )
    return "".join(text + _table(*table) for text, table in parts if table[1])


def _estimators(out: Path) -> str:
    picture, table = _binary.section(out)
    return _binary.INTRODUCTION + _figure(picture, "estimating error and stability") + _table(*table)


def _pruned(checks: Checks, out: Path) -> str:
    """The section on pruning, where it was checked."""
    heads, rows = _pruning.table(checks)
    if not rows:
        return ""
    picture = _figure(_pruning.figure(checks, out), "counted dead rates on their closed forms")
    return _section("Pruning and dead neurons", _pruning.INTRODUCTION + picture + _table(heads, rows, words=True))


def _learned_frames(checks: Checks, out: Path) -> str:
    """The section on learned frames and trained networks, where it was checked."""
    heads, rows = _learned.table(checks)
    if not rows:
        return ""
    picture = _figure(_learned.figure(checks, out), "frame bounds while training; what attacks attain of constants")
    body = _learned.INTRODUCTION + picture + _table(heads, rows, words=True)
    return _section("Learned frames and trained networks", body)


def _networks_of(verdict: Verdict, kinds: Mapping[str, str]) -> Verdict:
    """Without the checks of modules, single signals and whole sections, which have no family, in column order."""
    others = ("module", "signal", "pruning", "learned")
    checks = {n: c for n, c in verdict.checks.items() if kinds.get(_tables.parts(n)[0]) not in others}
    order = list(_tables.CLAIMS)
    names = sorted(checks, key=lambda n: order.index(_tables.parts(n)[1]))
    first = {f: i for i, f in enumerate(dict.fromkeys(n.split("/")[0] for n in checks))}
    names.sort(key=lambda n: first[n.split("/")[0]])
    return Verdict({n: checks[n] for n in names}, "worst ratio by family and claim")


def _contents(families: Sequence[str]) -> str:
    links = "".join(f'<a href="#{_figures.slug(f)}">{escape(f)}</a><br>' for f in families)
    return f"<nav>{links}</nav>"


def _family(name: str, fact: Mapping[str, Any], verdict: Verdict, out: Path) -> str:
    figures = "".join(
        _figure(_figures.path_of(out, name, what), f"{name}: {text}")
        for what, text in _figures.PER_FAMILY.items()
        if _figures.path_of(out, name, what).exists()
    )
    treated = {
        "as it is": "used as it is",
        "tightened": "used after division by the root of its Littlewood-Paley sum (tightened)",
        "normalised": "scaled in every layer until the layer is admissible (normalised)",
    }[fact["treatment"]]
    facts = (
        f"<p><code>{escape(fact['frame'])}</code>, {treated}. On the grid of the signals: {fact['atoms']} propagating "
        f"atoms, A = {fact['A']:.6g}, B = {fact['B']:.6g}, decay constant K = {fact['K']:.4g} {escape(fact['unit'])}."
        "</p>"
    )
    table = _table(*_tables.of_family(verdict.checks, name))
    title = f'<section class="family" id="{_figures.slug(name)}"><h3>{escape(name)}</h3>'
    return f'{title}{facts}<div class="four">{figures}</div>{table}</section>'


def _claims() -> str:
    keys = dict.fromkeys(["frame", "admissibility", "lipschitz", "energy", "remainder", "getter", "covariance"])
    keys |= dict.fromkeys(["translation", "translation_posteriori", "full_covariance", "deformation_gradient"])
    keys |= dict.fromkeys(["translation_sharp", "deformation_network", "deformation_oscillation"])
    keys |= dict.fromkeys(["deformation_band_limited", "deformation_lipschitz", "deformation_cartoon"])
    entries = (THEOREMS[k] for k in keys)
    return "".join(
        f"<p><b>{escape(t.title)}</b><br><code>{escape(t.statement)}</code><br><small>{escape(t.source)}</small></p>"
        for t in entries
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    style = ' class="words"' if words else ""
    return f'<div class="wide"><table{style}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _figure(path: Path, text: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(text)}</figcaption></figure>"
