"""How often a classifier keeps its answer under shifts (Zhang, 2019)."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.measures._actions import shifted
from scatter_theory.measures._intervals import check_confidence, clopper_pearson
from scatter_theory.measures._measurement import Measurement
from scatter_theory.measures._probe import Model, Probe, check_count, prepared, refuse_extractor
from scatter_theory.seeds import Seed, seeded

NOT_CERTIFIED = (
    "any single signal or shift: it is a frequency over random pairs. Nor that answers are right, nor that the scores "
    "behind them are stable: a constant classifier is perfectly consistent. Shifts by fractions of a sample were not "
    "looked at."
)
SOURCE = "Zhang, 2019, arXiv:1904.11486"
#: Relative difference of the two largest scores below which the answer hangs on rounding.
TIE = {torch.float64: 1e-12, torch.float32: 1e-5}


def shift_consistency(
    model: Model,
    signals: Any,
    grid: Grid,
    *,
    max_shift: int,
    n_pairs: int = 1000,
    confidence: float = 0.95,
    chunk: int = 64,
    generator: Seed = None,
) -> Measurement:
    r"""Probability that a classifier gives two translates of a signal the same class.

    .. math:: P[\arg\max m(T_a f) = \arg\max m(T_b f)]

    over signals drawn uniformly from those given, with replacement, and whole shifts a, b drawn independently and
    uniformly from ``{-max_shift, ..., max_shift}`` samples along every axis; a = b may happen. The pairs are
    independent trials, so that the interval of Clopper and Pearson covers this probability with at least the given
    confidence. It does not cover other signals.

    Parameters
    ----------
    model : callable
        From ``(batch, *grid.shape)`` to scores ``(batch, n_classes)``, or to whole-numbered labels ``(batch,)``; every
        signal on its own. Of equal scores the first counts.
    signals : (*batch, *grid.shape) tensor or array
    grid : Grid
    max_shift : int
        In samples, at least 1. Shifts are circular.
    n_pairs : int
        Number of pairs in all.
    confidence : float
    chunk : int
        Pairs of signals that the model sees at once.
    generator : int, torch.Generator or None

    Returns
    -------
    Measurement
        ``details``: ``agree`` ``(n_pairs,)``, ``signal`` ``(n_pairs,)``, ``a`` and ``b`` ``(n_pairs, d)``, and
        ``near ties``, the number of pairs of which an answer hangs on the rounding of two scores. Exactly 1 for a
        classifier that is invariant bit by bit, or within rounding and without near ties.

    Raises
    ------
    TypeError
        For a feature extractor, which has no classes, and signals of another kind.
    ValueError
        For outputs that are no scores or labels, fewer than two classes, values that are not finite, or arguments that
        do not fit.

    Examples
    --------
    >>> import torch, scatter_theory as st
    >>> x = torch.randn(4, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> spectrum = lambda f: torch.fft.rfft(f).abs()[:, :5]
    >>> shift_consistency(spectrum, x, st.Grid.line(32), max_shift=8, n_pairs=100, generator=0).value
    1.0
    """
    started = time.perf_counter()
    owner = "shift_consistency"
    probe, x = prepared(owner, model, signals, grid)
    refuse_extractor(probe, "which has no classes; put a classifier behind its features.")
    reach, trials = check_count(owner, "max_shift", max_shift), check_count(owner, "n_pairs", n_pairs)
    chunk = check_count(owner, "chunk", chunk)
    check_confidence(owner, confidence)
    rng, seed = seeded(generator)
    signal = torch.randint(len(x), (trials,), generator=rng)
    a, b = torch.randint(-reach, reach + 1, (2, trials, grid.ndim), generator=rng)
    agree, ties = [], 0
    with torch.no_grad():
        for index in torch.arange(trials).split(chunk):
            f = x[signal[index].to(x.device)]
            first, close = _answers(probe, shifted(f, grid, a[index].double(), whole=True))
            second, near = _answers(probe, shifted(f, grid, b[index].double(), whole=True))
            agree.append(first == second)
            ties += int((close | near).sum())
    same = torch.cat(agree).cpu()
    count = int(same.sum())
    details = {"near ties": torch.tensor(ties), "agree": same, "signal": signal, "a": a, "b": b}
    return Measurement(
        name=f"shift consistency, up to {reach} samples",
        value=count / trials,
        interval=clopper_pearson(count, trials, confidence),
        unit="",
        n=trials,
        not_certified=NOT_CERTIFIED,
        provenance=probe.provenance(seed, x.device, time.perf_counter() - started),
        confidence=confidence,
        interval_by="Clopper-Pearson",
        source=SOURCE,
        details={name: value.numpy() for name, value in details.items()},
        notes=(f"In {ties} pairs an answer hangs on the rounding of two scores.",) if ties else (),
    )


def _answers(probe: Probe, x: Tensor) -> tuple[Tensor, Tensor]:
    """Classes ``(batch,)``, and whether two scores are nearly equal."""
    y = probe.raw(x)
    if y.ndim == 1 and not y.is_floating_point() and not y.is_complex():
        return y, torch.zeros_like(y, dtype=torch.bool)
    if y.ndim != 2 or y.shape[1] < 2 or y.is_complex():
        raise ValueError(
            f"`{probe.owner}(model=...)`: got {y.dtype} of shape {tuple(y.shape)}, expected real scores (batch, "
            "n_classes) of at least two classes, or whole-numbered labels (batch,)."
        )
    best = probe.checked(y).topk(2, 1).values.to(torch.float64)
    size = y.abs().amax(1).to(torch.float64)
    return y.argmax(1), best[:, 0] - best[:, 1] <= TIE.get(y.dtype, 1e-2) * size
