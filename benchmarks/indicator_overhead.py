"""What the indicators add to a training step of a binary ResNet-20: processor time of the whole step, in pairs.

    python benchmarks/indicator_overhead.py                      # batch 128 of 32 x 32 images, one thread
    python benchmarks/indicator_overhead.py --batch 32 --pairs 5

All indicators are measured at every step. Steps with and without them follow each other in turn, so that a busy machine
slows both; given are the median over the pairs and the middle half of them. `inside` is the share of the step that is
spent in the indicators' own calls, which a busy machine disturbs less. `error` is the largest relative difference of
the sampled estimating error of an activation from that of the whole, at the same step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from unittest import mock

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from scatter_theory import bnn
from scatter_theory.compiled import without_kernels

#: What is compared: name, arguments of the indicators, whether the compiled passes are used.
SETTINGS = {
    "all": ({}, True),
    "all, without C": ({}, False),
    "1 of 7": ({"sample": 7}, True),
    "1 of 31": ({"sample": 31}, True),
    "weights alone": ({"roles": ("weight",)}, True),
}


class Training:
    """A model in training on noise."""

    def __init__(self, batch: int) -> None:
        self.model = bnn.binarize_model(bnn.models.resnet20(generator=0), bnn.ReSTE(o=3.0))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(batch, 3, 32, 32, generator=generator)
        self.y = torch.randint(10, (batch,), generator=generator)

    def step(self) -> float:
        """Processor seconds of one step."""
        start = time.process_time()
        self.optimizer.zero_grad()
        cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()
        return time.process_time() - start

    def measured(self, settings: dict[str, object]) -> tuple[float, float]:
        """Processor seconds of one step with indicators, and those of them that are spent in the indicators."""
        inside = [0.0]

        def timed(call: Callable[..., None]) -> Callable[..., None]:
            def run(*arguments: object) -> None:
                start = time.process_time()
                call(*arguments)
                inside[0] += time.process_time() - start

            return run

        names = ("_activation", "_before_step")
        calls = {name: timed(getattr(bnn.Indicators, name)) for name in names}
        with mock.patch.multiple(bnn.Indicators, **{n: lambda *a, call=c: call(*a) for n, c in calls.items()}):
            with bnn.Indicators(self.model, **settings):
                return self.step(), inside[0]


def overhead(training: Training, pairs: int, settings: dict[str, object]) -> tuple[np.ndarray, float, float]:
    """Quartiles of the added time over the plain time, median share of the calls, median plain time."""
    added, shares, plain = [], [], []
    for k in range(pairs):
        if k % 2:
            alone, (together, inside) = training.step(), training.measured(settings)
        else:
            (together, inside), alone = training.measured(settings), training.step()
        added.append(together / alone - 1)
        shares.append(inside / (together - inside))
        plain.append(alone)
    return np.quantile(added, (0.5, 0.25, 0.75)), float(np.median(shares)), float(np.median(plain))


def error(batch: int, settings: dict[str, object]) -> float:
    """Largest relative error of the sampled estimating error of an activation, at the first step."""
    found = []
    for arguments in ({}, settings):
        training = Training(batch)
        with bnn.Indicators(training.model, roles=("activation",), **arguments) as indicators:
            training.step()
        found.append(indicators.report().per_layer("error_l2"))
    return float(np.abs(found[1] / found[0] - 1).max())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    training = Training(options.batch)
    training.measured({})
    print(f"ResNet-20, batch {options.batch}, {options.threads} thread(s), {options.pairs} pairs of steps")
    for name, (settings, compiled) in SETTINGS.items():
        with nullcontext() if compiled else without_kernels():
            (middle, low, high), share, plain = overhead(training, options.pairs, settings)
        added = f"added {100 * middle:+5.1f} % ({100 * low:+.1f} to {100 * high:+.1f})"
        line = f"{name:>14}  step {1e3 * plain:6.0f} ms  {added}"
        wrong = f"  error {100 * error(options.batch, settings):.2f} %" if "sample" in settings else ""
        print(f"{line}  inside {100 * share:4.1f} %{wrong}", flush=True)


if __name__ == "__main__":
    main()
