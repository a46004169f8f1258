"""Part f: frames compared at an equal number of features.

Two layers with the modulus, no pooling. Of all paths those with the highest mean energy over training images are kept,
as many as the budget allows, each with the same samples of its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import scatter_theory as st
from scatter_theory import frames
from studies.fashion_mnist.classifier import Comparison
from studies.literature.images import (
    Features,
    Images,
    digits,
    errors_by_penalty,
    extracted,
    fashion,
    packed,
    resampled,
    unpacked,
    wrong,
)
from studies.literature.jobs import Found, Job
from studies.shared.summary import table_lines

#: Frames of J octaves, J = 1 or 2, with which ridgelets are curvelets.
FRAMES: dict[str, Callable[[int], frames.Frame]] = {
    "directional wavelets": lambda J: frames.DirectionalWavelets(J=J, L=8),
    "tensor wavelets": lambda J: frames.TensorWavelets(J=J),
    "curvelets": lambda J: frames.Curvelets(J=J),
    "shearlets": lambda J: frames.Shearlets(J=J),
    "Weyl-Heisenberg": lambda J: frames.WeylHeisenberg(M={1: 3, 2: 4}[J]),
    "Haar": lambda J: frames.Taps("haar", J=J),
    "tight Morlet": lambda J: frames.Morlet(J=J, L=4).tightened(),
}
#: The reference: kymatio's transform with so many angles that it has as many features.
KYMATIO = "kymatio"


@dataclass(frozen=True)
class Budget:
    """Octaves, kept paths, samples per axis of an output, and angles of kymatio's transform with as many features."""

    J: int
    paths: int
    samples: int
    angles: int


BUDGETS = {"fashion": Budget(J=2, paths=25, samples=7, angles=4), "digits": Budget(J=1, paths=13, samples=4, angles=12)}


@dataclass(frozen=True)
class Size:
    """Training and test images of Fashion-MNIST, training images of the digits, and images that choose the paths."""

    train: int
    test: int
    digits: int
    choosing: int


FULL = Size(train=5_000, test=10_000, digits=1_000, choosing=200)
QUICK = Size(train=60, test=40, digits=200, choosing=10)


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
    error, lowest : float
        With the penalty that the training images choose; with the best one for the test images.
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
    lowest: float
    minus_kymatio: float | None
    minus_kymatio_error: float | None


def network(frame: frames.Frame, side: int, rule: st.paths.PathRule) -> st.FeatureExtractor:
    """Two layers, in single precision on the fast engine."""
    layers = [st.Layer(frame)] * 2
    return st.FeatureExtractor(layers, st.Grid.square(side), paths=rule, engine="fast")


def strongest(phi: st.FeatureExtractor, images: Tensor, count: int) -> tuple[list[st.Path], float]:
    """The paths whose outputs have the highest mean energy, and their share of the energy of all outputs."""
    with torch.no_grad():
        found = phi(images)
    energy = found.energy("path").mean(0)
    order = torch.argsort(energy, descending=True, stable=True)[:count]
    return [found.paths[i] for i in order.tolist()], float(energy[order].sum() / energy.sum())


def transform(phi: st.FeatureExtractor, paths: list[st.Path], samples: int) -> Features:
    """Samples of the outputs of these paths."""

    def features(images: Tensor) -> Tensor:
        values = []
        for layer in phi(images):
            rows = [i for i, q in enumerate(layer.paths) if q in paths]
            values.append(resampled(layer.values[:, rows], samples).flatten(1))
        return torch.cat(values, 1)

    return features


def measure(name: str, data: Images, budget: Budget, choosing: int) -> dict[str, Any]:
    """Wrong predictions of one frame within the budget."""
    side, kept, second = data.images.shape[-1], None, None
    if name == KYMATIO:
        features: Features = st.Scattering2D(J=budget.J, shape=(side, side), L=budget.angles)
    else:
        frame = FRAMES[name](budget.J)
        paths, kept = strongest(network(frame, side, st.AllPaths()), data.images[:choosing], budget.paths)
        second = sum(len(q) == 2 for q in paths)
        features = transform(network(frame, side, st.FixedPaths([q for q in paths if q])), paths, budget.samples)
    values = extracted(features, data.images)
    missed = wrong(values, data)[0]
    found = {"features": values.shape[1], "kept": kept, "second": second}
    found["lowest"] = min(errors_by_penalty(values, data).values())
    return {**found, "wrong": packed(missed), "count": len(missed)}


def jobs(size: Size, folder: Path) -> list[Job]:
    """All frames and the reference, on both data sets."""
    found = []
    for data, images in (("fashion", fashion(folder, size.train, size.test)), ("digits", digits(size.digits))):
        budget = BUDGETS[data]
        for name in (KYMATIO, *FRAMES):
            settings = {"data": data, "train": images.train, "test": len(images.labels) - images.train, "frame": name}
            settings |= vars(budget) | {"choosing": size.choosing}
            slug = f"{data}-{name.lower().replace(' ', '-')}"
            found.append(Job("f", slug, settings, partial(_kept, settings, name, images, budget, size.choosing)))
    return found


def _kept(settings: dict[str, Any], name: str, images: Images, budget: Budget, choosing: int) -> dict[str, Any]:
    head = {key: settings[key] for key in ("data", "train", "frame")}
    return {**head, **measure(name, images, budget, choosing)}


def rows(found: Found) -> list[Row]:
    """One row per data set and frame."""
    base = {r["data"]: unpacked(r["wrong"], r["count"]) for r in found.values() if r["frame"] == KYMATIO}
    table = []
    for r in found.values():
        pair = Comparison.of(unpacked(r["wrong"], r["count"]), base[r["data"]])
        gap = (None, None) if r["frame"] == KYMATIO else (pair.difference, pair.standard_error)
        head = (r["data"], r["train"], r["frame"], r["features"], r["kept"], r["second"])
        table.append(Row(*head, pair.error, r["lowest"], *gap))
    return table


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"f_budget": rows(found)}


def markdown(found: Found) -> str:
    """Errors, data set by data set."""
    head = ["data", "frame", "features", "paths of layer 2", "energy kept, %", "error, %", "minus kymatio"]
    head += ["error with the best penalty, %"]
    body = []
    for r in rows(found):
        kept = ("", "") if r.kept is None else (str(r.second), f"{100 * r.kept:.2f}")
        gap = "" if r.minus_kymatio is None else f"{r.minus_kymatio:+.2f} +- {r.minus_kymatio_error:.2f}"
        body.append([r.data, r.frame, str(r.features), *kept, f"{r.error:.2f}", gap, f"{r.lowest:.2f}"])
    return "\n".join(table_lines(head, body)) + "\n"


def draw(found: Found, path: Path) -> None:
    """Errors relative to the reference, one panel per data set."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    table = [r for r in rows(found) if r.minus_kymatio is not None]
    with house_style():
        figure, axes = plt.subplots(1, len(BUDGETS), figsize=(10, 3.8), layout="constrained", sharey=True)
        for ax, data in zip(axes, BUDGETS, strict=True):
            part = [r for r in table if r.data == data]
            gaps, errors = [r.minus_kymatio for r in part], [r.minus_kymatio_error for r in part]
            ax.errorbar(gaps, range(len(part)), xerr=errors, fmt="o")
            ax.axvline(0, color="0.4", ls="--")
            ax.set_yticks(range(len(part)), [r.frame for r in part])
            ax.set_title(f"{data}, {part[0].features} features")
            ax.set_xlabel("error minus kymatio's, points (bars: one standard error)")
        axes[0].invert_yaxis()
        figure.savefig(path, dpi=110)
        plt.close(figure)
