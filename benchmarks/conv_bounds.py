"""What exact bounds of a convolution cost: processor time and memory, by the size of the layer.

    python benchmarks/conv_bounds.py                    # 3 x 3 kernels, grids of 32 x 32, one thread
    python benchmarks/conv_bounds.py --channels 256 --grid 32 --kernel 3 --threads 2

For each size: `conv_bounds` (eigenvalues of the smaller product at half of the frequencies), the check by Cholesky
factorisations, all singular values, and six steps of Gram iteration for an upper bound, with random weights. Random
weights are the worst case of Gram iteration: all frequencies have norms of about one size, and none is dropped early.
Memory is the growth of the process's peak during `conv_bounds`, measured in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from scatter_theory import certify


def layer_of(channels: int, kernel: int) -> nn.Conv2d:
    """A layer with random weights."""
    torch.manual_seed(0)
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, padding_mode="circular")


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def peak() -> float:
    """Largest resident memory of this program so far in MiB, on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peak_growth(channels: int, kernel: int, n: int) -> float:
    """Growth of the peak memory in MiB, by `conv_bounds`."""
    certify.conv_bounds(layer_of(2, kernel), (kernel,) * 2)
    layer, before = layer_of(channels, kernel), peak()
    certify.conv_bounds(layer, (n, n))
    return peak() - before


def measure(channels: int, kernel: int, n: int) -> None:
    """Print one row."""
    layer, shape = layer_of(channels, kernel), (n, n)
    bounds = certify.conv_bounds(layer, shape)
    runs = {
        "conv_bounds": lambda: certify.conv_bounds(layer, shape),
        "recheck": lambda: bounds.recheck(layer),
        "singular values": lambda: certify.conv_singular_values(layer, shape),
        "Gram iteration": lambda: certify.conv_upper_bound(layer, shape),
    }
    code = f"import conv_bounds as b; print(b.torch.set_num_threads(1), b.peak_growth({channels}, {kernel}, {n}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=sys.path[0], capture_output=True, text=True, check=True)
    memory = float(done.stdout.split()[-1])
    print(f"{channels:4d} channels, {kernel} x {kernel}, grid {n} x {n}: peak + {memory:.0f} MiB")
    for name, run in runs.items():
        wall, processor = seconds(run)
        print(f"    {name:16s} {wall:7.2f} s, processor {processor:7.2f} s")


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--grid", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for channels in options.channels:
        measure(channels, options.kernel, options.grid)


if __name__ == "__main__":
    main()
