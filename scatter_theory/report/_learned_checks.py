r"""Claims about learned frames: bounds by construction, read after every step of an optimiser and on other grids.

The optimiser pulls the filters towards zero at some frequencies, where a frame without a guarantee loses its bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from scatter_theory import frames
from scatter_theory.constants import Provenance
from scatter_theory.grid import Grid
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis, Outcome, judge

#: Guaranteed range of A and B by parametrisation.
RANGES = {
    "canonical": (1.0, 1.0),
    "range": (0.5, 1.0),
    "softmax": (1.0, 1.0),
    "complement": (1.0, 1.0),
    "paraunitary": (1.0, 1.0),
    "morlet": (1.0, 1.0),
    "radial": (1.0, 1.0),
}
#: Those whose bounds hold on every grid, whatever the weights.
EVERYWHERE = ("softmax", "complement", "paraunitary", "morlet", "radial")
#: Grid, filters, taps, steps of the optimiser, its rate, and factors on all weights.
GRID, FILTERS, SUPPORT, STEPS, RATE, FACTORS = Grid.line(24), 3, 3, 15, 0.1, (1e-8, 1e8)
#: Samples per axis of other grids.
LENGTHS = (9, 16, 25, 64)
#: What a bound may miss by rounding, relative to the largest value.
ROUNDING = 1e-12


def jobs(seed: int) -> Iterator[tuple[str, Callable[[], BoundCheck]]]:
    """The checks of learned frames by name, in the order of the table."""
    yield "training", partial(training, seed)
    yield "training, raw taps", partial(raw_taps, seed)
    yield "weights", partial(weights, seed)
    yield "other grids", partial(other_grids, seed)


def training(seed: int) -> BoundCheck:
    """Frame bounds after every step of an optimiser stay in the range that the parametrisation promises."""
    started, steps, names, outside, bounds = time.perf_counter(), [], [], [], []
    for form, kept in RANGES.items():
        frame = frames.Learned(FILTERS, SUPPORT, 1, form, A=0.5, B=1.0, seed=seed)
        for step, found in enumerate(_trained(lambda frame=frame: frame, list(frame.module.parameters()), seed)):
            steps.append(step)
            names.append(form)
            outside.append(_outside(found, kept))
            bounds.append(found)
    claim = "learned frames: A and B outside their range after any step"
    return check(claim, "step", steps, outside, started, seed, series=names, extra=_columns(bounds))


def raw_taps(seed: int) -> BoundCheck:
    """The same with the taps themselves as weights, which begin as a tight frame."""
    started = time.perf_counter()
    taps = frames.Learned(FILTERS, SUPPORT, 1, "paraunitary", seed=seed).module.taps().detach().requires_grad_(True)
    bounds = list(_trained(lambda: frames.Filters(taps[1:], output=taps[0]), [taps], seed))
    needed = Hypothesis("the filters have a parametrisation with a guarantee", False, "every tap is a weight")
    outside, claim = [_outside(b, (1.0, 1.0)) for b in bounds], "the same for taps without a parametrisation, A = B = 1"
    return check(
        claim, "step", range(len(bounds)), outside, started, seed, hypotheses=(needed,), extra=_columns(bounds)
    )


def weights(seed: int) -> BoundCheck:
    """All weights times a very small or a very large number: the range is that of all weights."""
    started, outside, names = time.perf_counter(), [], []
    for form, kept in RANGES.items():
        for factor in FACTORS:
            frame = frames.Learned(FILTERS, SUPPORT, 1, form, A=0.5, B=1.0, seed=seed)
            with torch.no_grad():
                for weight in frame.module.parameters():
                    weight.mul_(factor)
            outside.append(_outside(tuple(frame.on(GRID).bounds()), kept))
            names.append(form)
    claim = "all weights times 1e-8 and 1e8: A and B outside their range"
    return check(claim, "factor", FACTORS * len(RANGES), outside, started, seed, series=names)


def other_grids(seed: int) -> BoundCheck:
    """Frames trained on one grid are tight on lines and squares of other sizes."""
    started, x, outside, names = time.perf_counter(), [], [], []
    for form in EVERYWHERE:
        for d in (1, 2):
            frame = frames.Learned(FILTERS, SUPPORT, d, form, seed=seed)
            with torch.no_grad():
                for k, weight in enumerate(frame.module.parameters()):
                    weight.add_(0.3 * noise(seed + k, *weight.shape))
            for n in LENGTHS if d == 1 else LENGTHS[:2]:
                x.append(n)
                outside.append(
                    _outside(tuple(frame.on(Grid.line(n) if d == 1 else Grid.square(n)).bounds()), (1.0, 1.0))
                )
                names.append(f"{form}, d = {d}")
    claim = "the same weights on other grids: distance of A and B from 1"
    return check(claim, "samples per axis", x, outside, started, seed, series=names)


def _trained(
    frame: Callable[[], frames.Frame], parameters: Sequence[Tensor], seed: int
) -> Iterator[tuple[float, float]]:
    """Bounds before the first step and after each one; the loss weighs powers of the atoms by random numbers."""
    optimizer = torch.optim.Adam(list(parameters), lr=RATE)
    for _ in range(STEPS + 1):
        bank = frame().on(GRID)
        yield tuple(bank.bounds())
        power = bank.spectra.abs().square()
        loss = (power * noise(seed, *power.shape).abs()).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _outside(bounds: tuple[float, float], kept: tuple[float, float]) -> float:
    return max(kept[0] - bounds[0], bounds[1] - kept[1], 0.0)


def _columns(bounds: Sequence[tuple[float, float]]) -> dict[str, np.ndarray]:
    A, B = np.asarray(bounds, dtype=float).T
    return {"A": A, "B": B}


def check(
    claim: str, x_label: str, x: Sequence[float], measured: Sequence[float], started: float, seed: int, *,
    series: Sequence[str] | None = None, bound: np.ndarray | None = None, rounding: float = ROUNDING,
    hypotheses: tuple[Hypothesis, ...] = (), extra: dict[str, np.ndarray] | None = None,
) -> BoundCheck:  # fmt: skip
    """Judge measured values against a bound, 0 unless given, and rounding relative to it or to 1."""
    values = np.asarray(measured, dtype=float)
    bound = np.zeros(values.shape) if bound is None else bound
    return judge(
        BoundCheck(
            claim, Outcome.INCONCLUSIVE, np.asarray(x, dtype=float), x_label, values, bound,
            tuple(series or ["value"] * len(values)), {}, hypotheses,
            (ErrorTerm("rounding", rounding * np.maximum(bound, 1.0)),),
            Provenance.now("learned", seed=seed, seconds=time.perf_counter() - started), extra=extra or {},
        )
    )  # fmt: skip


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
