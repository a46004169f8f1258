"""Part f: frames compared at an equal number of features.

Two layers with the modulus, no pooling. Of all paths those with the highest mean energy over training images are kept,
as many as the budget allows, each with the same samples of its output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from studies.fashion_mnist.classifier import Comparison
from studies.literature import textures
from studies.literature.compared import FRAMES, KYMATIO, Budget, within
from studies.literature.images import Images, digits, extracted, fashion, packed, unpacked
from studies.literature.jobs import Found, Job
from studies.literature.ridge import CONSTANTS, linear
from studies.shared.summary import table_lines

BUDGETS = {"fashion": Budget(J=2, paths=25, samples=7, angles=4), "digits": Budget(J=1, paths=13, samples=4, angles=12)}


@dataclass(frozen=True)
class Size:
    """Training and test images of Fashion-MNIST, training images of the digits, those that choose paths, textures."""

    train: int
    test: int
    digits: int
    choosing: int
    textures: textures.Size


FULL = Size(train=5_000, test=10_000, digits=1_000, choosing=200, textures=textures.FULL)
QUICK = Size(train=60, test=40, digits=200, choosing=10, textures=textures.QUICK)


@dataclass(frozen=True)
class Row:
    """Test errors of one frame, in per cent.

    Parameters
    ----------
    data : str
    train : int
        Training images.
    frame : str
    features : int
    kept : float or None
        Share of the energy of all outputs that the kept paths hold, on the images that chose them.
    second : int or None
        Kept paths of layer 2.
    error, standard_error : float
        Binomial.
    minus_kymatio, minus_kymatio_error : float or None
        Difference on the same images, and its standard error, paired over images.
    """

    data: str
    train: int
    frame: str
    features: int
    kept: float | None
    second: int | None
    error: float
    standard_error: float
    minus_kymatio: float | None
    minus_kymatio_error: float | None


def measure(name: str, data: Images, budget: Budget, choosing: int) -> dict[str, Any]:
    """Wrong predictions of one frame within the budget."""
    kept = within(name, budget, data.images[:choosing])
    values = extracted(kept.features, data.images)
    fit = linear(values, data.labels, data.train)
    found = {"features": values.shape[1], "kept": kept.energy, "second": kept.second, **fit.chosen}
    return {**found, "wrong": packed(fit.wrong), "count": len(fit.wrong)}


def jobs(size: Size, folder: Path) -> list[Job]:
    """All frames and the reference, on all data sets."""
    found = []
    for data, images in (("fashion", fashion(folder, size.train, size.test)), ("digits", digits(size.digits))):
        budget = BUDGETS[data]
        for name in (KYMATIO, *FRAMES):
            settings = {"data": data, "train": images.train, "test": len(images.labels) - images.train, "frame": name}
            settings |= vars(budget) | {"choosing": size.choosing, **CONSTANTS}
            slug = f"{data}-{name.lower().replace(' ', '-')}"
            found.append(Job("f", slug, settings, partial(_kept, settings, name, images, budget, size.choosing)))
    return found + textures.jobs(size.textures)


def _kept(settings: dict[str, Any], name: str, images: Images, budget: Budget, choosing: int) -> dict[str, Any]:
    head = {key: settings[key] for key in ("data", "train", "frame")}
    return {**head, **measure(name, images, budget, choosing)}


def rows(found: Found) -> list[Row]:
    """One row per data set and frame, without textures."""
    runs = [r for name, r in found.items() if not _on_textures(name)]
    base = {r["data"]: unpacked(r["wrong"], r["count"]) for r in runs if r["frame"] == KYMATIO}
    table = []
    for r in runs:
        pair = Comparison.of(unpacked(r["wrong"], r["count"]), base[r["data"]])
        gap = (None, None) if r["frame"] == KYMATIO else (pair.difference, pair.standard_error)
        head = (r["data"], r["train"], r["frame"], r["features"], r["kept"], r["second"])
        spread = 100 * (pair.error / 100 * (1 - pair.error / 100) / r["count"]) ** 0.5
        table.append(Row(*head, pair.error, spread, *gap))
    return table


def _on_textures(name: str) -> bool:
    return name.startswith("textures-")


def _textures(found: Found) -> Found:
    return {name: r for name, r in found.items() if _on_textures(name)}


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"f_budget": rows(found), "f_textures": textures.rows(_textures(found))}


def markdown(found: Found) -> str:
    """Errors, data set by data set."""
    head = ["data", "frame", "features", "paths of layer 2", "energy kept, %", "error, %", "minus kymatio"]
    body = []
    for r in rows(found):
        kept = ("", "") if r.kept is None else (str(r.second), f"{100 * r.kept:.2f}")
        gap = "" if r.minus_kymatio is None else f"{r.minus_kymatio:+.2f} +- {r.minus_kymatio_error:.2f}"
        error = f"{r.error:.2f} +- {r.standard_error:.2f}"
        body.append([r.data, r.frame, str(r.features), *kept, error, gap])
    lines = [*table_lines(head, body), "", "Textures, errors in % (minus kymatio):", ""]
    return "\n".join([*lines, *textures.markdown(_textures(found))]) + "\n"


def draw(found: Found, path: Path) -> None:
    """Errors relative to the reference, one panel per data set; the textures with their fewest training patches."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    parts: dict[str, list[Any]] = {}
    for data in BUDGETS:
        part = [r for r in rows(found) if r.data == data]
        parts[f"{data}, {part[0].train} training images"] = part
    on_textures = textures.rows(_textures(found))
    fewest = min(r.train for r in on_textures)
    for side in dict.fromkeys(r.side for r in on_textures):
        parts[f"textures, {side} x {side}, {fewest} patches each"] = [
            r for r in on_textures if (r.side, r.train) == (side, fewest)
        ]
    with house_style():
        figure, axes = plt.subplots(1, len(parts), figsize=(3 + 3 * len(parts), 3.8), layout="constrained", sharey=True)
        for ax, (title, part) in zip(axes, parts.items(), strict=True):
            table = [r for r in part if r.minus_kymatio is not None]
            gaps, errors = [r.minus_kymatio for r in table], [r.minus_kymatio_error for r in table]
            ax.errorbar(gaps, range(len(table)), xerr=errors, fmt="o")
            ax.axvline(0, color="0.4", ls="--")
            ax.set_yticks(range(len(table)), [r.frame for r in table])
            ax.set_title(f"{title}\n{part[0].features} features", fontsize=9)
        axes[0].invert_yaxis()
        figure.supxlabel("error minus kymatio's, points (bars: one standard error)", fontsize=9)
        figure.savefig(path, dpi=110)
        plt.close(figure)
