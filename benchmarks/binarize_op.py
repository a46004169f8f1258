"""Speed of the binarisation operator against masked assignments, forward and backward, interleaved in one process.

    python benchmarks/binarize_op.py
    python benchmarks/binarize_op.py --device cuda --clock wall

The rival is the common way to write ReSTE: four boolean masks, each of which gathers and scatters, and a plain sign
forward. Outputs are compared bitwise and gradients up to two units in the last place (the gathered values go through
other lanes of the vectorised power) before anything is timed. A repetition runs both, one after the other; medians and
their ratio masked / operator are printed. Processor time by default, as wall time depends on what else runs.
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import median
from typing import Any

import torch
from torch import Tensor

from scatter_theory.bnn import ReSTE, binarize

SHAPES = {
    "weights 16x16x3x3": (16, 16, 3, 3),
    "weights 64x64x3x3": (64, 64, 3, 3),
    "weights 512x512x3x3": (512, 512, 3, 3),
    "activations 128x16x32x32": (128, 16, 32, 32),
    "activations 128x64x8x8": (128, 64, 8, 8),
}


class Masked(torch.autograd.Function):
    """Sign, and the multiplier of ReSTE filled in zone by zone."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, t: Tensor, o: Tensor) -> Tensor:
        """Sign of every entry."""
        ctx.save_for_backward(z, t, o)
        return torch.sign(z)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        """Upstream gradient times the multiplier."""
        z, t, o = ctx.saved_tensors
        m = 0.1
        slope = torch.zeros_like(z)
        right = (z > m) & (z <= t)
        slope[right] = (1 / o) * torch.pow(z[right], (1 - o) / o)
        left = (z < -m) & (z >= -t)
        slope[left] = (1 / o) * torch.pow(-z[left], (1 - o) / o)
        slope[(z >= 0) & (z <= m)] = math.pow(m, 1 / o) / m
        slope[(z <= 0) & (z >= -m)] = math.pow(m, 1 / o) / m
        return slope * upstream.clone(), None, None


def once(name: str, z: Tensor, upstream: Tensor, o: float) -> tuple[Tensor, Tensor]:
    """Values and gradient by one of the two."""
    z = z.detach().requires_grad_()
    if name == "operator":
        out = binarize(z, ReSTE(o))
    else:
        out = Masked.apply(z, torch.tensor(1.5).to(z.device), torch.tensor(o).to(z.device))
    (gradient,) = torch.autograd.grad(out, z, upstream)
    return out.detach(), gradient


def compare(z: Tensor, upstream: Tensor, o: float) -> tuple[float, float]:
    """Share of equal gradients, and the largest relative difference; raises where the two disagree."""
    (a, g), (b, h) = once("masked", z, upstream, o), once("operator", z, upstream, o)
    if not torch.equal(a, b):
        raise RuntimeError("the binary values differ")
    worst = float(((g - h).abs() / g.abs().clamp(min=torch.finfo(g.dtype).tiny)).max())
    if worst > 2 * torch.finfo(g.dtype).eps:
        raise RuntimeError(f"the gradients differ by {worst:.1e} relative")
    return float((g == h).double().mean()), worst


def measure(z: Tensor, upstream: Tensor, o: float, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds per pass, pair by pair; they take turns in going first."""
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    passes = max(1, 300_000 // z.numel())
    times: dict[str, list[float]] = {"masked": [], "operator": []}
    for k in range(options.repeats):
        for name in ("masked", "operator") if k % 2 == 0 else ("operator", "masked"):
            if options.device != "cpu":
                torch.cuda.synchronize()
            start = clock()
            for _ in range(passes):
                once(name, z, upstream, o)
            if options.device != "cpu":
                torch.cuda.synchronize()
            times[name].append((clock() - start) / passes)
    return times


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--o", type=float, default=3.0, help="power")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = f"torch {torch.__version__}, {options.threads} threads, {options.clock} time on {options.device}"
    print(f"ReSTE o = {options.o:g}, float32, {run}")
    print(f"{'tensor':>26} {'equal':>8} {'differs':>8} {'masked':>10} {'operator':>10} {'ratio':>6} (range)")
    for name, shape in SHAPES.items():
        generator = torch.Generator().manual_seed(0)
        z, upstream = (torch.randn(shape, generator=generator).to(options.device) for _ in range(2))
        equal, worst = compare(z, upstream, options.o)
        times = measure(z, upstream, options.o, options)
        ratios = [a / b for a, b in zip(times["masked"], times["operator"], strict=True)]
        print(
            f"{name:>26} {equal:8.4%} {worst:8.1e} {median(times['masked']) * 1e3:7.3f} ms "
            f"{median(times['operator']) * 1e3:7.3f} ms {median(ratios):6.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
