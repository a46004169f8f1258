r"""Claims about dead neurons and pruning that can be decided exactly, without drawing samples.

Rates of Gaussian inputs are counted on N quantiles :math:`\Phi^{-1}((k + 1/2)/N)`. Of these,
:math:`\lfloor N p + 1/2 \rfloor` lie below the quantile of p, so that a counted rate is within 1/(2N) of p.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from scatter_theory import pruning
from scatter_theory.constants import Provenance
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis, Outcome, judge

#: Quantiles, fan-ins, mu / sigma, (beta, gamma), shares, and steps of each optimizer.
QUANTILES, FAN_INS = 20_000, (1, 2, 3, 4, 5, 6)
MARGINS = (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
NORMS = ((-2.0, 1.0), (-0.5, 1.0), (0.5, 2.0), (0.5, -2.0), (-1.0, 0.5), (1.0, -0.5), (1.5, 1.0))
SHARES, STEPS = (0.1, 0.2, 0.4), 20


def jobs(seed: int) -> Iterator[tuple[str, Callable[[], BoundCheck]]]:
    """All checks by name, in the order of the table."""
    yield "signs", partial(signs, seed)
    yield "sums", sums
    yield "Gaussian", gaussian
    yield "batch norm", batch_norm
    yield "random masks", partial(random_masks, seed)
    yield "waking", partial(waking, seed, "not negative")
    yield "waking, both signs", partial(waking, seed, "both signs")
    yield "waking, next layer", next_layer
    yield "masks", partial(masks, seed)
    yield "magnitude", partial(magnitude, seed)


def signs(seed: int) -> BoundCheck:
    """A linear map has opposite signs at x and -x, so that without bias every unit is dead at one of the two."""
    started, x = time.perf_counter(), _noise(seed, 50, 8)
    net = _linear(_noise(seed + 1, 64, 8))
    rates = _dead(net, torch.cat([x, -x])).per_channel("1/relu#1")
    return _check("units without bias on x and -x: rate 1/2", "unit", range(64), rates, 0.5, 0.0, started, seed)


def sums() -> BoundCheck:
    """A sum with positive weights of n rectified symmetric variables is 0 where all of them are negative: 2^-n."""
    started, rates = time.perf_counter(), []
    for n in FAN_INS:
        net = nn.Sequential(nn.ReLU(), *_linear(torch.arange(1.0, n + 1)[None]))
        patterns = torch.tensor(list(product((-1.0, 1.0), repeat=n)), dtype=torch.float64)
        rates.append(_dead(net, patterns).rate("total")[1])
    closed = [2.0**-n for n in FAN_INS]
    return _check("positive sum of n rectified signs: rate 2^-n", "n", FAN_INS, rates, closed, 0.0, started)


def gaussian() -> BoundCheck:
    """A pre-activation with law N(mu, sigma^2) is dead with probability Phi(-mu / sigma)."""
    started, mu = time.perf_counter(), torch.tensor(MARGINS, dtype=torch.float64)
    net = _linear(torch.ones(len(MARGINS), 1), 2 * mu)
    net[0].weight.data.mul_(2)
    rates = _dead(net, _quantiles()).per_channel("1/relu#1")
    claim = "Gaussian pre-activation: rate Phi(-mu/sigma)"
    return _check(claim, "mu / sigma", MARGINS, rates, _normal(-mu), 0.5 / QUANTILES, started)


def batch_norm() -> BoundCheck:
    """Behind batch normalisation with the statistics of the data it is Phi(-beta / |gamma|), whatever the weights."""
    started = time.perf_counter()
    beta, gamma = torch.tensor(NORMS, dtype=torch.float64).T
    weight = torch.linspace(-3, 3, len(NORMS))[:, None] + 0.25
    norm = nn.BatchNorm1d(len(NORMS)).double()
    norm.weight.data, norm.bias.data = gamma.clone(), beta.clone()
    net = nn.Sequential(_linear(weight, torch.arange(len(NORMS)))[0], norm, nn.ReLU())
    x = _quantiles()
    rates = _dead(net, x, statistics="batch").per_channel("2/relu#1")
    # The standard deviation in use, that of N quantiles and with the small constant, is s times that of the weights.
    s = (x.var(unbiased=False) + norm.eps / weight[:, 0].double().square()).sqrt()
    off = ErrorTerm("standard deviation of the quantiles", 0.242 * (s - 1).abs().numpy())  # max |x phi(x)| < 0.242
    x_axis, claim = (beta / gamma.abs()).numpy(), "batch norm, statistics of the data: rate Phi(-beta/|gamma|)"
    closed = _normal(-beta / gamma.abs())
    return _check(claim, "beta / |gamma|", x_axis, rates, closed, 0.5 / QUANTILES, started, budget=(off,))


def random_masks(seed: int) -> BoundCheck:
    """Static rate 2^-n, dynamic (1 - 2^-n)/2, total (1 + 2^-n)/2 over all masks on n weights, each as likely."""
    started, x, rates, closed = time.perf_counter(), [], [], []
    for n in FAN_INS:
        kept = torch.tensor(list(product((False, True), repeat=n)))
        net, inputs = _linear(1 + _noise(seed, len(kept), n).abs()), _noise(seed + n, 20, n)
        pruning.Masks({"0.weight": kept}).apply(net)
        found = _dead(net, torch.cat([inputs, -inputs]))
        empty = 2.0**-n
        x += [n] * 3
        rates += [found.rate(name, "pooled") for name in ("static", "dynamic", "total")]
        closed += [empty, (1 - empty) / 2, (1 + empty) / 2]
    claim, names = "all masks on n weights: static, dynamic, total", ("static", "dynamic", "total") * len(FAN_INS)
    return _check(claim, "n", x, rates, closed, 0.0, started, seed, series=names)


def waking(seed: int, inputs: str) -> BoundCheck:
    """Pruning negative weights of a layer whose inputs are not negative puts no unit to sleep at any input."""
    started, x, asleep = time.perf_counter(), _noise(seed, 256, 16), []
    allowed = inputs == "not negative"
    x = x.abs() if allowed else x
    selections = (pruning.Activate(), pruning.RandomNegative(), pruning.MostNegative())
    for selection in selections:
        for share in SHARES:
            net = _linear(_noise(seed + 1, 64, 16))
            before = net(x) > 0
            pruning.prune(net, selection, share=share, start={"0.weight": _noise(seed + 2, 64, 16)}, seed=seed)
            asleep.append(int((before & (net(x) <= 0)).sum()))
    names = [type(selection).__name__ for selection in selections for _ in SHARES]
    return _check(
        f"negative weights pruned, inputs {inputs}: entries that fall asleep", "share", SHARES * len(selections),
        asleep, 0.0, 0.0, started, seed, series=names,
        hypotheses=(Hypothesis("no input of the layer is negative", allowed, float(x.min())),),
    )  # fmt: skip


def next_layer() -> BoundCheck:
    """The counterexample to the same of the next layer: what wakes up feeds a negative weight there."""
    started, x = time.perf_counter(), torch.ones(1, 2, dtype=torch.float64)
    net = nn.Sequential(*_linear(torch.tensor([[1.0, -2], [1, 0]])), *_linear(torch.tensor([[-2.0, 1]])))
    before = net(x) > 0
    pruning.Masks({"0.weight": torch.tensor([[True, False], [True, True]])}).apply(net)
    asleep = int((before & (net(x) <= 0)).sum())
    return _check(
        "negative weight pruned, units of the next layer: entries that fall asleep", "case", [0], [asleep], 0.0, 0.0,
        started, hypotheses=(Hypothesis("the layer is the one that was pruned", False),),
    )  # fmt: skip


def masks(seed: int) -> BoundCheck:
    """Pruned weights are exactly 0 after every step of training, and exactly round(sparsity n) of them are."""
    started, names, values = time.perf_counter(), [], []
    optimizers = {
        "SGD": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.05),
        "Adam": partial(torch.optim.Adam, lr=0.05, weight_decay=0.05),
    }
    for name, make in optimizers.items():
        net = nn.Sequential(*_linear(_noise(seed, 16, 8)), *_linear(_noise(seed + 1, 3, 16)))
        optimizer = make(net.parameters())
        x, largest = _noise(seed + 2, 32, 8), 0.0
        for step in range(2 * STEPS):
            if step == STEPS:  # with momentum from before
                alive = pruning.prune(net, sparsity=0.8)
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
            if step >= STEPS:
                pruned = (w[~alive[n]].abs().max() for n, w in pruning.weights(net, alive).items())
                largest = max(largest, *(float(w) for w in pruned))
        names += [f"{name}, largest pruned weight", f"{name}, surplus pruned"]
        values += [largest, abs(alive.size - alive.alive - round(0.8 * alive.size))]
    claim = "masks under training: pruned weights and surplus are 0"
    return _check(claim, "case", range(len(values)), values, 0.0, 0.0, started, seed, series=names)


def magnitude(seed: int) -> BoundCheck:
    """Global magnitude pruning keeps the same weights as that of torch."""
    started, different = time.perf_counter(), []
    for share in SHARES:
        ours, torchs = (nn.Sequential(*_linear(_noise(seed, 16, 8)), *_linear(_noise(seed + 1, 3, 16))) for _ in "ab")
        alive = pruning.prune(ours, sparsity=share)
        layers = [(layer, "weight") for layer in torchs if isinstance(layer, nn.Linear)]
        torch_prune.global_unstructured(layers, torch_prune.L1Unstructured, amount=share)
        different.append(sum(int((m != n).sum()) for m, n in zip(*map(_values, (alive, torchs)), strict=True)))
    claim = "global magnitude and torch.nn.utils.prune: masks that differ"
    return _check(claim, "sparsity", SHARES, different, 0.0, 0.0, started, seed)


def _values(of: Any) -> list[Tensor]:
    return list((of if isinstance(of, pruning.Masks) else pruning.Masks.of(of)).values())


def _check(
    claim: str, x_label: str, x: Sequence[float], values: Any, closed: Any, bound: float, started: float,
    seed: int | None = None, *, series: Sequence[str] | None = None, hypotheses: tuple[Hypothesis, ...] = (),
    budget: tuple[ErrorTerm, ...] = (),
) -> BoundCheck:  # fmt: skip
    """Judge how far values are from a closed form: by at most `bound`, and by rounding."""
    values = np.asarray(values, dtype=float)
    closed = np.broadcast_to(np.asarray(closed, dtype=float), values.shape)
    return judge(
        BoundCheck(
            claim, Outcome.INCONCLUSIVE, np.asarray(x, dtype=float), x_label, np.abs(values - closed),
            np.full(values.shape, bound), tuple(series or ["rate"] * len(values)), {}, hypotheses,
            (ErrorTerm("rounding of a ratio of counts", 4e-16 * closed), *budget),
            Provenance.now("pruning", seed=seed, seconds=time.perf_counter() - started),
            extra={"value": values, "closed form": closed},
        )
    )  # fmt: skip


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Sequential:
    """A linear layer with given values, and a ReLU; float64."""
    layer = nn.Linear(*reversed(weight.shape), bias=bias is not None).double()
    layer.weight.data.copy_(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return nn.Sequential(layer, nn.ReLU())


def _dead(net: nn.Module, x: Tensor, **options: Any) -> pruning.DeadNeurons:
    return pruning.dead_neurons(net, [x], **options)


def _noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _quantiles() -> Tensor:
    """N quantiles of N(0, 1), ``(N, 1)``."""
    return torch.special.ndtri((torch.arange(QUANTILES, dtype=torch.float64)[:, None] + 0.5) / QUANTILES)


def _normal(x: Tensor) -> np.ndarray:
    return torch.special.ndtr(x).numpy()
