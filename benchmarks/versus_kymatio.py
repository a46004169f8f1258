"""Speed and memory of the scattering front ends against kymatio 0.3.0, interleaved in one process.

    python benchmarks/versus_kymatio.py                    # forward, forward and backward, peak memory
    python benchmarks/versus_kymatio.py --threads 1 --clock cpu
    python benchmarks/versus_kymatio.py --device cuda

Every figure is a ratio kymatio / scatter_theory. A repetition runs both, one after the other; the median of the ratios
is printed with their range. Outputs and gradients are compared first: the largest difference relative to the largest
value. Memory is measured in a process of its own in which a small transform has run, so that the libraries are loaded:
the growth of its peak in three passes after the transform was built, and with what the transform itself holds. Needs
the extra ``kymatio``.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from scatter_theory.adapters import kymatio
from scatter_theory.scattering import Scattering1D, Scattering2D


@dataclass(frozen=True)
class Case:
    """One transform and one batch; `width` is Q in one dimension, L in two."""

    name: str
    J: int
    width: int
    shape: tuple[int, ...]
    batch: int

    def theirs(self) -> torch.nn.Module:
        """Kymatio's transform in single precision."""
        if len(self.shape) == 1:
            return kymatio.scattering1d(self.J, self.shape[0], self.width).float()
        return kymatio.scattering2d(self.J, self.shape, self.width).float()

    def ours(self) -> torch.nn.Module:
        """The front end with the same arguments."""
        if len(self.shape) == 1:
            return Scattering1D(J=self.J, shape=self.shape[0], Q=self.width)
        return Scattering2D(J=self.J, shape=self.shape, L=self.width)

    def signals(self, batch: int | None = None) -> Tensor:
        """White noise."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(batch or self.batch, *self.shape, generator=generator)


CASES = (
    Case("2d-32", 3, 8, (32, 32), 128),
    Case("2d-256", 4, 8, (256, 256), 8),
    Case("1d-13", 8, 8, (2**13,), 32),
    Case("1d-16", 12, 16, (2**16,), 4),
    Case("2d-28", 2, 8, (28, 28), 125),
    Case("2d-64", 3, 8, (64, 64), 32),
    Case("2d-100x80", 3, 4, (100, 80), 16),
    Case("2d-132", 2, 6, (128, 128), 8),
    Case("2d-one", 3, 8, (128, 128), 1),
    Case("1d-12", 6, 1, (2**12,), 16),
    Case("1d-audio", 10, 12, (2**15,), 8),
    Case("1d-one", 8, 8, (2**13,), 1),
)


def clock_of(name: str, device: str) -> Callable[[], float]:
    """Wall clock or processor time; on a GPU after all its work is done."""
    read = time.process_time if name == "cpu" else time.perf_counter

    def now() -> float:
        if device != "cpu":
            torch.cuda.synchronize()
        return read()

    return now


def forward(transform: torch.nn.Module, x: Tensor) -> Tensor:
    """Features without gradients."""
    with torch.no_grad():
        return transform(x)


def gradient(transform: torch.nn.Module, x: Tensor) -> Tensor:
    """Gradient of the sum of squares of the features."""
    x = x.clone().requires_grad_()
    transform(x).square().sum().backward()
    assert x.grad is not None
    return x.grad


def difference(a: Tensor, b: Tensor) -> float:
    """Largest difference relative to the largest value."""
    return float((a - b).abs().max() / a.abs().max())


def ratios(
    run: Callable[[torch.nn.Module, Tensor], Tensor],
    pair: tuple[torch.nn.Module, torch.nn.Module],
    x: Tensor,
    repeats: int,
    now: Callable[[], float],
) -> list[float]:
    """Time of the first over time of the second, pair by pair; they take turns in going first."""
    found = []
    for k in range(repeats):
        times = {}
        for i in (0, 1) if k % 2 == 0 else (1, 0):
            start = now()
            run(pair[i], x)
            times[i] = now() - start
        found.append(times[0] / times[1])
    return found


def peak_bytes(name: str, whose: str, what: str, threads: int) -> dict[str, int]:
    """Growth of the peak memory during three passes, without and with the transform's own, in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--peak-of", name, whose, what, "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def report_peak(name: str, whose: str, what: str) -> None:
    """Print the growth of the peak memory of three passes as JSON (Linux only)."""
    case = next(c for c in CASES if c.name == name)
    run = forward if what == "forward" else gradient
    small = Case("small", 2, 1 if len(case.shape) == 1 else 4, (64,) * len(case.shape), 1)
    run(small.theirs() if whose == "kymatio" else small.ours(), small.signals())
    x = case.signals()
    empty = _resting()
    transform = case.theirs() if whose == "kymatio" else case.ours()
    built = _resting()
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(3):
        run(transform, x)
    peak = _status("VmHWM")
    print(json.dumps({"passes": peak - built, "whole": peak - empty}))


def _resting() -> int:
    """Memory of the process after everything that can be given back was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def measure(case: Case, options: argparse.Namespace) -> dict[str, object]:
    """All figures of one case."""
    now = clock_of(options.clock, options.device)
    start = now()
    theirs = case.theirs()
    built = now() - start
    start = now()
    ours = case.ours()
    build_ratio = built / (now() - start)
    pair = (theirs.to(options.device), ours.to(options.device))
    x = case.signals().to(options.device)
    row: dict[str, object] = {"case": case.name, "build": build_ratio}
    row["difference"] = difference(forward(pair[0], x), forward(pair[1], x))
    row["forward"] = ratios(forward, pair, x, options.repeats, now)
    row["gradient_difference"] = difference(gradient(pair[0], x), gradient(pair[1], x))
    row["backward"] = ratios(gradient, pair, x, max(3, options.repeats // 2), now)
    if options.device == "cpu" and not options.no_memory and sys.platform == "linux":
        for what in ("forward", "gradient"):
            peaks = [peak_bytes(case.name, whose, what, options.threads) for whose in ("kymatio", "ours")]
            for part in ("passes", "whole"):
                row[f"{part}_{what}"] = peaks[0][part] / max(peaks[1][part], 1)
    return row


def show(row: dict[str, object]) -> str:
    """One line of the table."""

    def spread(values: object) -> str:
        assert isinstance(values, list)
        return f"{median(values):5.2f} ({min(values):.2f}-{max(values):.2f})"

    figures = [f"{part}_{what}" for part in ("passes", "whole") for what in ("forward", "gradient")]
    memory = " ".join(f"{row[k]:5.2f}" if k in row else "    -" for k in figures)
    return (
        f"{row['case']:>10} {row['difference']:.1e} {spread(row['forward']):>20} {row['gradient_difference']:.1e} "
        f"{spread(row['backward']):>20} {memory} {row['build']:6.1f}"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cases", nargs="*", help="names; default: all")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--out", type=Path, help="JSON lines")
    parser.add_argument("--peak-of", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", category=UserWarning)
    if options.peak_of:
        report_peak(*options.peak_of)
        return
    print(f"kymatio / scatter_theory, torch {torch.__version__}, {options.threads} threads, {options.clock} time")
    print("      case differs      forward              differs  forward + backward   memory of passes, whole   build")
    for case in CASES:
        if options.cases and case.name not in options.cases:
            continue
        row = measure(case, options)
        print(show(row), flush=True)
        if options.out:
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
