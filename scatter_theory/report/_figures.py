"""Pictures of the report, written by the processes that hold the numbers."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.report import _families
from scatter_theory.report._families import Family
from scatter_theory.results import BoundCheck, Verdict

#: Tilings and Littlewood-Paley sums are drawn at this many times as many frequencies as the signals have, per axis.
FINER = 4

#: What is drawn of every family, in the order of the page, with the text for readers who cannot see it.
PER_FAMILY = {
    "tiling": "tiling of the frequencies by the atoms",
    "littlewood-paley": "Littlewood-Paley sum and frame bounds",
    "translation": "translation: measured differences of features and their bound (modulus, sub-sampling)",
    "energy": "energy of the signals by layer (modulus, no pooling)",
    "deformation": "deformation: signals and their features against the signals' own bound (modulus, no pooling)",
}


def slug(name: str) -> str:
    """File name of a family."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def path_of(out: Path, family: str, what: str) -> Path:
    """Where a figure of a family is."""
    return out / "figures" / f"{slug(family)}-{what}.png"


def write(path: Path, png: bytes) -> None:
    """Store a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)


def family(family: Family, phi: FeatureExtractor, out: Path) -> dict[str, Any]:
    """Draw a family at the sampling rate of its signals; its bounds, decay constant and energies for the page.

    Parameters
    ----------
    phi : FeatureExtractor
        The family with the modulus and without pooling.
    """
    from scatter_theory.plot import EnergyDisplay, LittlewoodPaleyDisplay, TilingDisplay

    frame = family.frame.tightened() if family.treatment == "tightened" else family.frame
    bank = frame.on(phi.grid)
    finer = frame.on(Grid(tuple(FINER * n for n in phi.grid.shape), phi.grid.spacing, phi.grid.unit))
    A, B = bank.bounds()
    features = phi(_families.signals(family.d))
    write(path_of(out, family.name, "tiling"), TilingDisplay.from_bank(finer).png())
    write(path_of(out, family.name, "littlewood-paley"), LittlewoodPaleyDisplay.from_bank(finer).png())
    write(path_of(out, family.name, "energy"), EnergyDisplay.from_features(features).png())
    total = features.remainder[0]
    emitted = features.energy("layer") / total[:, None]
    return {
        "A": A,
        "B": B,
        "K": bank.decay_constant().value,
        "unit": bank.decay_constant().unit,
        "atoms": len(bank),
        "frame": repr(family.frame),
        "treatment": family.treatment,
        "d": family.d,
        "paths": repr(family.paths),
        "code": family.code or f"frame = st.frames.{family.frame!r}",
        "energy": [float(emitted[:, n].mean()) for n in range(phi.depth)],
        "propagated": float((features.remainder[-1] / total).mean()),
        "pruned": float((features.pruned / total).mean()),
    }


def check(check: BoundCheck, family: str, what: str, out: Path) -> None:
    """Draw measured values of a family's check against their bound."""
    from scatter_theory.plot import display_of

    write(path_of(out, family, what), display_of(check).png())


def overview(verdict: Verdict, out: Path) -> Path:
    """Draw the largest ratio by family and claim; the path of the picture."""
    from scatter_theory.plot import RatioDisplay

    path = out / "figures" / "overview.png"
    write(path, RatioDisplay.from_verdict(verdict).png())
    return path


def inputs(out: Path) -> Path:
    """Draw the signals; the path of the picture."""
    from matplotlib.figure import Figure

    line, plane = _families.recording(1), _families.recording(2)
    figure = Figure(figsize=(9.0, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1.0))
    seconds = line.grid.spacing[0]
    for k, window in enumerate(line.values):
        left.plot((k * len(window) + np.arange(len(window))) * seconds, window, linewidth=1.0)
    left.set(xlabel=f"time [{line.grid.unit}]", ylabel="recorder units", title="ECG, four windows")
    rows = [_beside(plane.values[0], plane.values[1]), _beside(plane.values[2], plane.values[3])]
    right.imshow(_beside(*rows, axis=0), cmap="gray", interpolation="nearest")
    right.set_axis_off()
    right.set_title("photograph, four corners")
    path, buffer = out / "figures" / "inputs.png", io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write(path, buffer.getvalue())
    return path


def _beside(a: Any, b: Any, axis: int = 1) -> Any:
    """Two pictures with a light line between them."""
    shape = list(a.shape)
    shape[axis] = 1
    return np.concatenate([a, np.full(shape, 255.0), b], axis=axis)
