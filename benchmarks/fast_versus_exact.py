"""The fast engine against the exact one: time, memory, error and prediction, on any device.

    python benchmarks/fast_versus_exact.py                       # 256 x 256, J = 4, two layers, four frames
    python benchmarks/fast_versus_exact.py --device cuda --size 128

Figures are ratios exact / fast. The exact engine computes in double precision, as it does for the verifiers, and goes
through the network block by block without keeping the features of all paths at full size, unless `--keep` is given.
The measured error is relative to the norm of the signal, layer by layer.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import torch

import scatter_theory as st


def networks(size: int) -> dict[str, list[st.Layer]]:
    """Two layers of each frame, modulus, no pooling."""
    frames = {
        "curvelets": st.frames.Curvelets(J=4),
        "shearlets": st.frames.Shearlets(J=4),
        "ridgelets": st.frames.Ridgelets(J=4),
        "Weyl-Heisenberg": st.frames.WeylHeisenberg(M=8),
    }
    return {name: [st.Layer(frame)] * 2 for name, frame in frames.items()}


def seconds(run: Callable[[], object], repeats: int, device: str) -> float:
    """Smallest wall time of some runs."""
    found = []
    for _ in range(repeats):
        if device != "cpu":
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found)


@torch.no_grad()
def measure(name: str, layers: list[st.Layer], size: int, device: str, repeats: int) -> str:
    """One line of the table."""
    grid = st.Grid.square(size)
    exact = st.FeatureExtractor(layers, grid, max_bytes=2**40).to(device)
    fast = exact.rebuilt(engine="fast", dtype=torch.float32)
    x = torch.randn(1, size, size, generator=torch.Generator().manual_seed(1)).to(device)
    fast(x)
    quick = seconds(lambda: fast(x), repeats, device)

    def whole() -> int:
        return sum(1 for _ in exact._full.blocks(x.double(), exact._tree))

    slow = seconds(whole, 1, device)
    error = fast.error(x)
    plans = (exact.plan(), fast.plan())
    sizes = [plan.feature_bytes + plan.working_bytes for plan in plans]
    return (
        f"{name:>16} {sum(plans[1].paths):6d} paths  time {slow / quick:7.1f}  operations "
        f"{plans[0].operations / plans[1].operations:6.1f}  predicted memory {sizes[0] / sizes[1]:6.1f}  error "
        + " ".join(f"{e:.1e}" for e in error.layers)
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", st.AdmissibilityWarning)
    print(f"exact / fast, {options.size} x {options.size}, one signal, {options.threads} threads, {options.device}")
    for name, layers in networks(options.size).items():
        print(measure(name, layers, options.size, options.device, options.repeats), flush=True)


if __name__ == "__main__":
    main()
