"""Time and memory against signal length, scales, orientations, depth and batch, beside what the plan predicts.

    python benchmarks/scaling.py --out docs/figures/scaling.png

Two numbers are fitted, by least squares of the relative errors over all runs: the operations per second of this machine
and the time of a step. Memory is predicted without a fit to these runs, as features and working memory; it is measured
as the growth of the process's peak in the first two passes, after a small network has loaded the libraries.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from statistics import median

import torch

import scatter_theory as st

#: Sweeps of one parameter each: name, values, and the network for a value as (d, N, J, L, layers, batch).
SWEEPS = {
    "samples per axis N (2-D)": [(2, n, 3, 8, 2, 8) for n in (32, 64, 128, 256)],
    "samples N (1-D)": [(1, n, 6, 0, 2, 16) for n in (1024, 4096, 16384, 65536)],
    "scales J": [(2, 128, j, 8, 2, 8) for j in (1, 2, 3, 4)],
    "orientations L": [(2, 128, 3, n, 2, 8) for n in (4, 8, 12, 16)],
    "layers": [(2, 64, 3, 4, n, 8) for n in (1, 2, 3)],
    "batch": [(2, 64, 3, 8, 2, n) for n in (8, 16, 32, 64, 128)],
}
VARIED = dict(zip(SWEEPS, (1, 1, 2, 3, 4, 5), strict=True))


def network(case: tuple[int, ...]) -> tuple[st.FeatureExtractor, torch.Tensor]:
    """Directional wavelets with L orientations (plane) or wavelets (line), modulus, decreasing frequencies."""
    d, n, J, L, layers, batch = case
    frame = st.frames.Wavelets(J=J) if d == 1 else st.frames.DirectionalWavelets(J=J, L=2 * L)
    phi = st.FeatureExtractor(
        [st.Layer(frame)] * layers,
        st.Grid.of((n,) * d),
        engine="fast",
        paths=st.FrequencyDecreasing(),
        max_bytes=2**40,
    )
    return phi, torch.randn(batch, *phi.grid.shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def measure(case: tuple[int, ...], repeats: int) -> dict[str, float]:
    """Median processor time of a pass and growth of the peak memory, with the prediction."""
    small, one = network((case[0], 16, 1, 2, 1, 1))
    small(one)
    phi, x = network(case)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    phi(x)
    phi(x)
    peak = _status("VmHWM") - before
    found = []
    for _ in range(repeats):
        start = time.process_time()
        phi(x)
        found.append(time.process_time() - start)
    plan = phi.plan(batch=len(x))
    return {
        "seconds": median(found),
        "operations": plan.operations * len(x),
        "steps": plan.steps,
        "bytes": peak,
        "predicted": plan.feature_bytes + plan.working_bytes,
    }


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def in_a_process(case: tuple[int, ...]) -> dict[str, float]:
    """The measurement in a fresh process, on one thread."""
    command = [sys.executable, str(Path(__file__).resolve()), "--case", json.dumps(case)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def draw(rows: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Two rows of panels: time and memory, measured as points, predicted as lines, a factor 1.5 shaded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(2, len(rows), figsize=(3 * len(rows), 5.6), layout="constrained")
    for k, (name, found) in enumerate(rows.items()):
        x = [case[VARIED[name]] for case in SWEEPS[name]]
        kinds = (
            ("time [ms]", [1e3 * r["seconds"] for r in found], [1e3 * r["time"] for r in found]),
            ("memory [MiB]", [r["bytes"] / 2**20 for r in found], [r["predicted"] / 2**20 for r in found]),
        )
        for ax, (label, measured, predicted) in zip(axes[:, k], kinds, strict=True):
            ax.plot(x, predicted, color="C0", label="predicted")
            ax.fill_between(x, [p / 1.5 for p in predicted], [p * 1.5 for p in predicted], color="C0", alpha=0.2)
            ax.plot(x, measured, "o", color="C3", label="measured")
            ax.set(xscale="log", yscale="log", xlabel=name, ylabel=label if k == 0 else "")
            ax.set_xticks(x, [str(v) for v in x])
            ax.minorticks_off()
            ax.grid(alpha=0.3)
    axes[0, 0].legend()
    fig.suptitle("Fast engine: prediction of the plan (shaded: factor 1.5) and measurement, one thread")
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=110)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("scaling.png"))
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", st.AdmissibilityWarning)
    if options.case:
        print(json.dumps(measure(tuple(options.case), 5)))
        return
    rows = {name: [in_a_process(case) for case in cases] for name, cases in SWEEPS.items()}
    runs = [r for found in rows.values() for r in found]
    design = torch.tensor([[r["operations"] / r["seconds"], r["steps"] / r["seconds"]] for r in runs])
    per_operation, per_step = (
        torch.linalg.lstsq(design.double(), torch.ones(len(runs), 1).double()).solution[:, 0].tolist()
    )
    for r in runs:
        r["time"] = per_operation * r["operations"] + per_step * r["steps"]
    print(f"{1e-9 / per_operation:.2f} billion operations per second, {1e6 * per_step:.0f} microseconds per step")
    for name, found in rows.items():
        for case, r in zip(SWEEPS[name], found, strict=True):
            print(
                f"{name:>26} {case[VARIED[name]]:6d}  measured / predicted: time "
                f"{r['seconds'] / r['time']:.2f}  memory {r['bytes'] / r['predicted']:.2f}"
            )
    draw(rows, options.out)


if __name__ == "__main__":
    main()
