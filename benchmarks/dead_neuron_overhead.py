"""What counting dead neurons adds to the inference of a ResNet-20: processor time of whole passes, in pairs.

    python benchmarks/dead_neuron_overhead.py                      # batch 128 of 32 x 32 images, one thread
    python benchmarks/dead_neuron_overhead.py --batch 32 --pairs 5

Passes over the same batches with and without the counters follow each other in turn, so that a busy machine slows both;
given are the median over the pairs and the middle half of them. A pass with counters includes the pass over ones by
which static units are read, the transfer and the result. `inside` is the share of a pass that is spent in the counters'
own calls, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from unittest import mock

import numpy as np
import torch

from scatter_theory.bnn.models import resnet20
from scatter_theory.compiled import without_kernels
from scatter_theory.meters import Capture
from scatter_theory.pruning import dead_neurons
from scatter_theory.pruning.dead import _measure
from scatter_theory.pruning.dead._run import Run

#: What is compared: name, arguments of the measurement, whether the compiled pass is used.
SETTINGS = {
    "counters": ({}, True),
    "counters, without C": ({}, False),
    "static by extremes": ({"static": "constant"}, True),
    "near zero": ({"rule": "near_zero", "eps": 0.01}, True),
}


#: Where the counters spend their time: what is called in a pass besides the model.
CALLS = ((Run, "observe"), (Capture, "__enter__"), (Capture, "__exit__"), (_measure, "_alive"), (_measure, "build"))


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def inside(run: Callable[[], object]) -> float:
    """Share of one call that is spent in the counters, of the time that is not."""
    spent = [0.0]

    def timed(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **options: object) -> object:
            start = time.process_time()
            try:
                return call(*arguments, **options)
            finally:
                spent[0] += time.process_time() - start

        return wrapped

    with ExitStack() as stack:
        for owner, name in CALLS:
            stack.enter_context(mock.patch.object(owner, name, timed(getattr(owner, name))))
        whole = seconds(run)
    return spent[0] / (whole - spent[0])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = resnet20(order="bn_relu", projection="conv", generator=0).eval()
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(options.batch, 3, 32, 32, generator=generator) for _ in range(options.batches)]

    @torch.no_grad()
    def plain() -> None:
        for batch in batches:
            model(batch)

    print(
        f"ResNet-20, {options.batches} batches of {options.batch}, {options.threads} thread(s), {options.pairs} pairs"
    )
    for name, (settings, compiled) in SETTINGS.items():
        with nullcontext() if compiled else without_kernels():
            dead_neurons(model, batches[:1], **settings)
            added, alone, shares = [], [], []
            runs = [plain, lambda settings=settings: dead_neurons(model, batches, **settings)]
            for k in range(options.pairs):
                times = [seconds(run) for run in (runs if k % 2 else runs[::-1])]
                without, together = times if k % 2 else times[::-1]
                added.append(together / without - 1)
                alone.append(without)
                shares.append(inside(runs[1]))
        middle, low, high = 100 * np.quantile(added, (0.5, 0.25, 0.75))
        plainly = f"inference {1e3 * np.median(alone):6.0f} ms"
        share = f"inside {100 * np.median(shares):5.1f} %"
        print(f"{name:>20}  {plainly}  added {middle:+5.1f} % ({low:+.1f} to {high:+.1f})  {share}", flush=True)


if __name__ == "__main__":
    main()
