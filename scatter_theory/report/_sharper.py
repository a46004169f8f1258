"""The section on sharper bounds: what is reached of the published ones, and of those that know more of the network."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scatter_theory.report import _families, _figures
from scatter_theory.report._tables import SHARPER, Checks, Rows
from scatter_theory.results import BoundCheck

#: What the signal tasks found, by recording.
Enclosed = Mapping[str, Mapping[str, Any]]

TRANSLATIONS = (
    "<p>Two layers, modulus, no pooling. <b>Translations</b> by one sample along the first axis: the published bound "
    "does not know that the maps of layer 1 are not negative; the sharp one does, and its constant is certified. Shown "
    "is how much of each is reached in layer 1.</p>"
)
WAVES = (
    "<p><b>Deformations</b> by one wave, for signals with half the Nyquist frequency: the class bound ends at the "
    "input; the network's own bound looks at low-passes and at how far filters are from commuting with the "
    "deformation, and hardly changes if all signals are allowed. Listed are the families whose filters are functions "
    "of frequency. Amplitudes are in samples; distances and bounds are relative to the norm of the signal. Where the "
    "network bound exceeds the class bound, both are true.</p>"
)
ONE_SIGNAL = (
    "<p><b>One signal</b>, and the first family of its dimension: what any displacement of up to 1/20, 1/2 and 2 "
    "samples can do at most (its oscillation), relative to its norm; and the worst member of a family of few "
    "parameters for the first window, enclosed from both sides and proven again from the stored boxes.</p>"
)


def translations(checks: Checks, families: Sequence[str]) -> tuple[list[str], Rows]:
    """One row per family: share of the published bound that is reached in layer 1, and of the sharp one."""
    rows = []
    for family, check in _found(checks, families, "sharp"):
        i = check.series.index("layer 1")
        sharp, published = float(check.bound[i]), float(check.extra["published bound"][i])
        values = [f"{check.measured[i] / published:.4f}", f"{check.ratio[i]:.4f}", f"{sharp / published:.4f}"]
        rows.append([family, *values, check.outcome.name])
    return ["family", "of published", "of sharp", "sharp / published", "outcome"], rows


def waves(checks: Checks, families: Sequence[str]) -> tuple[list[str], Rows]:
    """One row per family, wave and amplitude: share of the class bound that is reached, and of the network's."""
    rows, sample = [], _families.recording(1).grid.spacing[0]
    for claim in (c for c in SHARPER if c.startswith("wave")):
        for family, check in _found(checks, families, claim):
            for i, x in enumerate(check.x / sample):
                of_class = float(check.measured[i] / check.extra["class bound"][i])
                row = [family, claim, f"{x:.3g}", f"{check.measured[i]:.4f}", f"{check.bound[i]:.4f}"]
                rows.append([*row, f"{of_class:.4f}", f"{check.ratio[i]:.4f}", check.outcome.name])
    heads = ["family", "wave", "amplitude", "found", "network bound", "of class bound", "of network bound", "outcome"]
    return heads, rows


def one_signal(checks: Checks, enclosed: Enclosed) -> tuple[list[str], Rows]:
    """One row per recording: its oscillation bound for three sizes, and the worst member of a family, enclosed."""
    rows = []
    for name, fact in enclosed.items():
        check, table = checks[f"{name}/oscillation"], fact["certificate"]
        at = [i for i, s in enumerate(check.series) if s == "all layers"]
        bounds, shares = (", ".join(f"{v[i]:.2g}" for i in at) for v in (check.bound, check.ratio))
        low, high = (table[end] / table["norm"] for end in ("lower", "upper"))
        gap = f"{(high - low) / high:.1%}"
        rows.append([name, bounds, shares, fact["family"], f"[{low:.4f}, {high:.4f}]", gap, str(table["evaluations"])])
    heads = ["signal", "oscillation bound", "reached by features", "family", "worst change of features", "gap"]
    return [*heads, "evaluations"], rows


def _found(checks: Checks, families: Sequence[str], claim: str) -> list[tuple[str, BoundCheck]]:
    return [(family, checks[f"{family}/{claim}"]) for family in families if f"{family}/{claim}" in checks]


def figure(checks: Checks, families: Sequence[str], out: Path) -> Path:
    """Draw what is reached of the published and of the sharper bounds, one line per case; the path of the picture."""
    from matplotlib.figure import Figure

    shifts = [(row[0], float(row[1]), float(row[2])) for row in translations(checks, families)[1]]
    bent = [(f"{row[0]}, {row[1]}, {row[2]}", float(row[5]), float(row[6])) for row in waves(checks, families)[1]]
    drawing = Figure(figsize=(11.0, 1.6 + 0.24 * max(len(shifts), len(bent), 3)), layout="constrained")
    panels = drawing.subplots(1, 2)
    panels[0].set_title("translation by one sample, layer 1")
    panels[1].set_title("one wave, amplitude in samples")
    for ax, cases in zip(panels, (shifts, bent), strict=True):
        for y, (_, published, sharp) in enumerate(cases):
            ax.plot([published, sharp], [y, y], color="#BBBBBB", zorder=1)
            ax.scatter(
                [published], [y], color="#E69F00", marker="s", label="" if y else "of the published or class bound"
            )
            ax.scatter([sharp], [y], color="#0072B2", label="" if y else "of the sharper bound")
        ax.set_yticks(range(len(cases)), [name for name, *_ in cases], fontsize=8)
        ax.axvline(1, color="black", linewidth=1)
        ax.set(xlim=(0, 1.03), ylim=(max(len(cases), 1) - 0.5, -0.5), xlabel="largest measured value / bound")
        ax.grid(axis="x", alpha=0.3)
    if shifts:
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    path, buffer = out / "figures" / "sharper.png", io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=110)
    _figures.write(path, buffer.getvalue())
    return path
