"""The code that makes each figure: about ten lines of what the package offers to everybody.

Figures of families are measured anew. Those that show many checks at once are drawn from ``report.json``, and their
code is to be run in the folder of the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scatter_theory.report import _families, _figures, _tasks

_INPUTS = """\
import matplotlib.pyplot as plt
import numpy as np
import scatter_theory as st

line, plane = {line}, {plane}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 2.6), width_ratios=(2.2, 1.0))
left.plot(np.arange(line.values.size) * line.grid.spacing[0], line.values.ravel())
left.set(xlabel=f"time [{{line.grid.unit}}]", title="ECG, four windows")
a, b, c, d = plane.values
right.imshow(np.block([[a, b], [c, d]]), cmap="gray")
"""
_OVERVIEW = """\
import json
from pathlib import Path
import numpy as np
import scatter_theory as st

table = json.loads(Path("report.json").read_text())
checks = {n: c for n, c in table["checks"].items() if n.split("/")[0] in table["facts"]}
outcomes = tuple(c["outcome"] for c in checks.values())
ratios = np.array([float(c["worst_ratio"]) for c in checks.values()])
symbols = tuple(st.Outcome[o].symbol for o in outcomes)
st.plot.RatioDisplay(names=tuple(checks), ratios=ratios, outcomes=outcomes, symbols=symbols).plot()
"""
_SHARPER = """\
import json
from pathlib import Path
import matplotlib.pyplot as plt

checks = json.loads(Path("report.json").read_text())["checks"]
names = [name for name in checks if name.endswith("/sharp")]
for y, check in enumerate(checks[name] for name in names):  # the panel on the left
    at = [point["series"] for point in check["points"]].index("layer 1")
    point, published = check["points"][at], check["extra"]["published bound"][at]
    plt.plot(point["measured"] / published, y, "s", color="C1")
    plt.plot(point["ratio"], y, "o", color="C0")
plt.yticks(range(len(names)), names)
"""
_ESTIMATORS = """\
from scatter_theory import bnn

bnn.frontier(density="uniform", samples=20_000).plot()
"""
_PRUNING = """\
import json, math
from pathlib import Path
import matplotlib.pyplot as plt

checks = json.loads(Path("report.json").read_text())["checks"]
for name in ("Gaussian", "batch norm"):  # the panel on the left
    check = checks[f"pruning/{name}"]
    plt.plot([point["x"] for point in check["points"]], check["extra"]["value"], "o", fillstyle="none", label=name)
x = [k / 20 for k in range(-64, 65)]
plt.plot(x, [math.erfc(v / math.sqrt(2)) / 2 for v in x], color="black", label="closed form")
plt.legend()
"""
_LEARNED = """\
import json
from pathlib import Path
import matplotlib.pyplot as plt

checks = json.loads(Path("report.json").read_text())["checks"]
points = checks["learned/certificates"]["points"]  # the panel on the right
nodes = range(len(points))
plt.plot(nodes, [point["bound"] for point in points], "_", color="black", label="certified")
plt.plot(nodes, [point["measured"] for point in points], "o", fillstyle="none", label="attained")
plt.xticks(nodes, [point["series"] for point in points], rotation=45)
plt.yscale("log")
plt.legend()
"""

_SHOWN = {
    "energy": "st.plot.EnergyDisplay.from_features(phi(f)).plot()",
    "translation": (
        "effort = st.verify.{search}\n"
        "st.verify.translation(phi, f, shifts={shifts}, effort=effort, generator={seed}).plot()"
    ),
    "deformation": (
        "sizes = [s * min(recording.grid.spacing) for s in {sizes}]\n"
        "source = st.signals.Interpolant(f, recording.grid)\n"
        "effort = st.verify.{warps}\n"
        "st.verify.deformation(phi, source, sup_tau=sizes, effort=effort, generator={seed}).plot()"
    ),
}


def of_section(name: str) -> str:
    """Code of a figure that stands for a whole section."""
    if name == "inputs":
        return _INPUTS.format(line=_recording(1), plane=_recording(2))
    return {
        "overview": _OVERVIEW,
        "sharper": _SHARPER,
        "estimators": _ESTIMATORS,
        "pruning": _PRUNING,
        "learned": _LEARNED,
    }[name]


def of_family(fact: Mapping[str, Any], what: str, seed: int) -> str:
    """Code of a figure of `_figures.PER_FAMILY`.

    Parameters
    ----------
    fact : mapping
        What `_figures.family` found.
    what : str
        Which figure.
    seed : int
        Seed of the report.
    """
    d, frame = fact["d"], fact["code"]
    if fact["treatment"] == "tightened":
        frame += "\nframe = frame.tightened()"
    head = f"import torch\nimport scatter_theory as st\n\nrecording = {_recording(d)}\n"
    if what in ("tiling", "littlewood-paley"):
        display = {"tiling": "TilingDisplay", "littlewood-paley": "LittlewoodPaleyDisplay"}[what]
        return (
            f"{head}n, h, unit = recording.grid.shape, recording.grid.spacing, recording.grid.unit\n"
            f"grid = st.Grid(tuple({_figures.FINER} * k for k in n), h, unit)  # finer in frequency\n"
            f"{frame}\nst.plot.{display}.from_bank(frame.on(grid)).plot()\n"
        )
    axes = tuple(range(1, d + 1))
    pooling = "st.Subsample(2)" if what == "translation" else "st.NoPooling()"
    normal = '.normalised("dilate")' if fact["treatment"] == "normalised" else ""
    values = {"shifts": _tasks.MANY_SHIFTS[d], "sizes": _tasks.SIZES, "search": _tasks.SEARCH, "warps": _tasks.WARPS}
    return (
        f"{head}f = torch.tensor(recording.values)\n"
        f"f = f - f.mean({axes}, keepdim=True)\nf = f / f.square().mean({axes}, keepdim=True).sqrt()\n"
        f"{frame}\nlayer = st.Layer(frame, st.Modulus(), {pooling}){normal}\n"
        f"phi = st.FeatureExtractor([layer] * {_tasks.DEPTH}, recording.grid, paths=st.{fact['paths']})\n"
        f"{_SHOWN[what].format(seed=seed, **values)}\n"
    )


def _recording(d: int) -> str:
    source = {1: "ecg", 2: "camera"}[d]
    return f"st.data.{source}().binned({_families.BIN[d]}).windows({(_families.WINDOW[d],) * d})"
