"""The page: self-contained HTML with its figures inside, no links to other places, readable without its script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from scatter_theory.report import _binary, _code, _families, _figures, _learned, _pruning, _sharper, _summary, _tables
from scatter_theory.report._html import document, figure, section, table
from scatter_theory.report._sharper import Enclosed
from scatter_theory.report._tables import Checks
from scatter_theory.results import Verdict
from scatter_theory.theory import THEOREMS


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
    networks = _networks_of(verdict, kinds)
    body = [
        "<h1>Deep feature extractors on real signals: measured worst cases against their bounds</h1>",
        _summary.summary(verdict, kinds, errors, len(families)),
        _summary.attention(verdict, errors),
        _how(origin),
        section("The signals", _shown(_figures.inputs(out), "the ECG and the photograph", "inputs") + _sources()),
        section(
            "Overview",
            _OVERVIEW + _shown(_figures.overview(networks, out), "worst ratio by family and claim", "overview"),
        ),
        section("Worst ratio per family and claim", _READING + table(*_tables.by_family(verdict.checks, families))),
        section(
            "Where the energy goes", _ENERGY + table(*_tables.energies(facts)) + _NEEDED + table(*_tables.needed())
        ),
        section("Deformations", _DEFORMATIONS + table(*_tables.deformations(verdict.checks, families))),
        section("Sharper bounds", _sharper_bounds(verdict.checks, families, enclosed, out)),
        section("Binary networks: estimators", _estimators(out)),
        _pruned(verdict.checks, out),
        _learned_frames(verdict.checks, out),
        section("Non-linearities and poolings", table(*_tables.modules(verdict.checks, kinds), words=True)),
        section(
            "Families",
            _contents(families) + "".join(_family(f, facts[f], verdict, out, origin) for f in families),
        ),
        section("Claims", _claims()),
        f"<p><small>{escape('; '.join(f'{k} {v}' for k, v in origin.items()))}</small></p>",
    ]
    return document("scatter_theory report", "".join(body))


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
    told = "what is reached of the published and of the sharper bounds"
    picture = _shown(_sharper.figure(checks, families, out), told, "sharper")
    parts = (
        (_sharper.TRANSLATIONS + picture, _sharper.translations(checks, families)),
        (_sharper.WAVES, _sharper.waves(checks, families)),
        (_sharper.ONE_SIGNAL, _sharper.one_signal(checks, enclosed)),
    )
    return "".join(text + table(*content) for text, content in parts if content[1])


def _estimators(out: Path) -> str:
    path, content = _binary.section(out)
    return _binary.INTRODUCTION + _shown(path, "estimating error and stability", "estimators") + table(*content)


def _pruned(checks: Checks, out: Path) -> str:
    """The section on pruning, where it was checked."""
    heads, rows = _pruning.table(checks)
    if not rows:
        return ""
    picture = _shown(_pruning.figure(checks, out), "counted dead rates on their closed forms", "pruning")
    return section("Pruning and dead neurons", _pruning.INTRODUCTION + picture + table(heads, rows, words=True))


def _learned_frames(checks: Checks, out: Path) -> str:
    """The section on learned frames and trained networks, where it was checked."""
    heads, rows = _learned.table(checks)
    if not rows:
        return ""
    told = "frame bounds while training; what attacks attain of constants"
    picture = _shown(_learned.figure(checks, out), told, "learned")
    body = _learned.INTRODUCTION + picture + table(heads, rows, words=True)
    return section("Learned frames and trained networks", body)


def _networks_of(verdict: Verdict, kinds: Mapping[str, str]) -> Verdict:
    """Without the checks of modules, single signals and whole sections, which have no family, in column order."""
    others = ("module", "signal", "pruning", "learned")
    checks = {n: c for n, c in verdict.checks.items() if kinds.get(_tables.parts(n)[0]) not in others}
    order = list(_tables.CLAIMS)
    names = sorted(checks, key=lambda n: order.index(_tables.parts(n)[1]))
    first = {f: i for i, f in enumerate(dict.fromkeys(n.split("/")[0] for n in checks))}
    names.sort(key=lambda n: first[n.split("/")[0]])
    return Verdict({n: checks[n] for n in names}, "worst ratio by family and claim")


def _shown(path: Path, text: str, name: str) -> str:
    """The figure of a section."""
    return figure(path, text, _code.of_section(name))


def _contents(families: Sequence[str]) -> str:
    links = "".join(f'<a href="#{_figures.slug(f)}">{escape(f)}</a><br>' for f in families)
    return f"<nav>{links}</nav>"


def _family(name: str, fact: Mapping[str, Any], verdict: Verdict, out: Path, origin: Mapping[str, Any]) -> str:
    figures = "".join(
        figure(_figures.path_of(out, name, what), f"{name}: {text}", _code.of_family(fact, what, origin["seed"]))
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
    content = table(*_tables.of_family(verdict.checks, name))
    title = f'<section class="family" id="{_figures.slug(name)}"><h3>{escape(name)}</h3>'
    return f'{title}{facts}<div class="four">{figures}</div>{content}</section>'


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
