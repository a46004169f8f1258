"""Part d: change of the features by a shift against depth, for six families of frames in the plane.

Three layers with the modulus and sub-sampling by 2 (or without pooling, as a control), on 32 x 32 samples, all paths;
the shift is one sample along the first axis.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import scatter_theory as st
from scatter_theory import frames, verify
from studies.literature.jobs import Found, Job
from studies.shared.summary import table_lines

SIDE = 32
FRAMES = {
    "wavelets": frames.DirectionalWavelets(J=1, L=4),
    "tensor wavelets": frames.TensorWavelets(J=1),
    "curvelets": frames.Curvelets(J=1),
    "shearlets": frames.Shearlets(J=1),
    "ridgelets": frames.Ridgelets(J=1),
    "Weyl-Heisenberg": frames.WeylHeisenberg(M=3),
}
#: The control: the first family without pooling, whose bound does not fall.
CONTROL = "wavelets, S = 1"


@dataclass(frozen=True)
class Size:
    """How long is searched, see ``verify.Effort``, in networks of how many layers."""

    depth: int
    random: int
    structured: int
    steps: int
    restarts: int
    seed: int = 0


FULL = Size(depth=3, random=2, structured=12, steps=4, restarts=1)
QUICK = Size(depth=1, random=1, structured=2, steps=0, restarts=0)


@dataclass(frozen=True)
class Row:
    r"""Change of one layer, relative to :math:`\|f\|`.

    Parameters
    ----------
    frame : str
    layer : int
    paths : int
        Of the layer.
    K : float
        Of its output atom, in cycles per sample of the layer's own grid.
    measured, bound : float
        The worst case found, and :math:`2\pi |t| K / (S_1 \cdots S_n)`.
    sharper : float
        Bound by the multiplier and the energy that reaches the layer, for the same signal.
    outcome : str
    """

    frame: str
    layer: int
    paths: int
    K: float
    measured: float
    bound: float
    sharper: float
    outcome: str


def measure(name: str, size: Size) -> list[dict[str, Any]]:
    """One row per layer."""
    frame = FRAMES[name.removesuffix(", S = 1")]
    pooling = st.NoPooling() if name == CONTROL else st.Subsample(2)
    phi = st.FeatureExtractor([st.Layer(frame, pooling=pooling)] * size.depth, st.Grid.square(SIDE))
    effort = verify.Effort(size.random, size.structured, size.steps, size.restarts)
    check = verify.translation(phi, shifts=[1], effort=effort, generator=size.seed)
    paths, sharper = phi.plan().paths, check.extra["multiplier bound"]
    table = []
    for n in range(phi.depth + 1):
        K = check.constants[f"K, layer {n}"].value
        values = (float(v[n]) for v in (check.measured, check.bound, sharper))
        table.append(asdict(Row(name, n, int(paths[n]), K, *values, check.outcome.name)))
    return table


def jobs(size: Size) -> list[Job]:
    """One per family, and the control."""
    names = (*FRAMES, CONTROL)
    return [Job("d", _slug(name), {"frame": name, **asdict(size)}, partial(measure, name, size)) for name in names]


def _slug(name: str) -> str:
    return name.lower().replace(", s = 1", "-flat").replace(" ", "-")


def rows(found: Found) -> list[Row]:
    """All layers of all families."""
    return [Row(**row) for table in found.values() for row in table]


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"d_invariance": rows(found)}


def markdown(found: Found) -> str:
    """Measured / bound, layer by layer."""
    depth = max(row.layer for row in rows(found))
    head = ["frame", *(f"layer {n}" for n in range(depth + 1)), "paths", "outcome"]
    body = []
    for table in ([Row(**row) for row in part] for part in found.values()):
        cells = [f"{row.measured:.3g} / {row.bound:.3g}" for row in table]
        body.append([table[0].frame, *cells, str(sum(row.paths for row in table)), table[0].outcome])
    return "\n".join(table_lines(head, body)) + "\n"


def draw(found: Found, path: Path) -> None:
    """Measured worst case and bound against the layer, one panel per family."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    with house_style():
        figure, grid = plt.subplots(2, 4, figsize=(12, 5.4), layout="constrained", sharex=True, sharey=True)
        axes = list(np.ravel(grid))
        for ax, part in zip(axes, found.values(), strict=False):
            table = [Row(**row) for row in part]
            x = [row.layer for row in table]
            ax.plot(x, [row.bound for row in table], "k--", label="bound")
            ax.plot(x, [row.sharper for row in table], "C1:", label="bound for this signal")
            ax.plot(x, [row.measured for row in table], "C0o-", label="worst found")
            ax.set_yscale("log", base=2)
            ax.set_xticks(x)
            ax.set_title(table[0].frame, fontsize=10)
        for ax in axes[len(found) :]:
            ax.set_axis_off()
        axes[len(found) - 1].legend(fontsize=8)
        figure.supxlabel("layer n", fontsize=10)
        figure.supylabel(r"change by a shift of one sample, relative to $\|f\|$", fontsize=10)
        figure.savefig(path, dpi=110)
        plt.close(figure)
