"""A selection that looks at the data: which weights hold how many units below zero, and at what cost they go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from scatter_theory.meters import Site
from scatter_theory.pruning.dead._makers import Makers
from scatter_theory.pruning.dead._measure import Forward
from scatter_theory.pruning.dead._modes import Statistics
from scatter_theory.pruning.dead._observe import observe
from scatter_theory.pruning.rules._patches import LAID_OUT, patches
from scatter_theory.pruning.rules._rule import Context, Rule


@dataclass(frozen=True)
class ActivateOnData(Rule):
    r"""An experiment: weights by what they cost in the loss for each unit that wakes when they go.

    For a unit with pre-activation z and the pre-activation :math:`z^{(j)}` that it has without its weight
    :math:`w_j`, the gain of taking out that weight is

    .. math:: g_j = P(z \le 0 < z^{(j)}) - P(z^{(j)} \le 0 < z)

    over samples and positions, and the score is :math:`|w_j \, \partial L / \partial w_j| / g_j` where the gain is
    positive, infinite elsewhere. The lowest go first. For non-negative inputs only negative weights have a gain; no
    sign is asked for otherwise.

    Without batch normalisation :math:`z^{(j)} = z - w_j h_j`. With it, ``"eval"`` keeps the running statistics, which
    shows a gain that vanishes when they are brought up to date; ``"batch"`` is aware of that: mean and variance of the
    channel are those of the data with and without the weight, so that only what changes the *shape* of the
    distribution counts. That is little where many inputs add up to a Gaussian, whose rate is decided by scale and
    shift alone: see `set_dead_rate`.

    The gain of each weight is that of its going alone; many together do more or less. Only weights of linear layers and
    convolutions over one or two axes are selected, and only those whose output goes directly, or through one batch
    normalisation, into an activation of ReLU type.

    Parameters
    ----------
    data : iterable
        Batches of inputs, as for ``dead_neurons``; read each time that scores are asked for.
    statistics : {"eval", "batch"}
        What batch normalisation uses, in the run over the data and in the gain.
    samples : int
        How many pairs of a sample and a position are looked at in each layer, drawn at random.
    forward_fn : callable, optional
        As for ``dead_neurons``.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"gradients"})

    data: Iterable[Any] = field(repr=False, compare=False)
    statistics: Statistics = "eval"
    samples: int = 512
    forward_fn: Forward | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.statistics not in get_args(Statistics):
            raise ValueError(
                f"`ActivateOnData(statistics=...)`: got {self.statistics!r}, expected one of {get_args(Statistics)}."
            )
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 2:
            raise ValueError(f"`ActivateOnData(samples=...)`: got {self.samples!r}, expected a whole number from 2.")

    def scores(self, context: Context) -> dict[str, Tensor]:
        """Saliency over gain; float64, the shapes of the weights."""
        rows = _Rows(self.samples, context.generator, context.model)
        makers = Makers(context.model)
        observe(
            "ActivateOnData", context.model, self.data, partial(rows.keep, makers), statistics=self.statistics,
            forward_fn=self.forward_fn, makers=makers,
        )  # fmt: skip
        gains = self._gains(context.model, rows.kept)
        slopes = context.gradients()
        scores = {}
        for name, w in context.weights.items():
            gain = gains.get(name.rpartition(".")[0])
            saliency = (w.double() * slopes[name]).abs()
            never = torch.full_like(saliency, torch.inf)
            scores[name] = never if gain is None else torch.where(gain > 0, saliency / gain, never)
        return scores

    def _gains(self, model: nn.Module, kept: Mapping[tuple[str, str | None, float], Tensor]) -> dict[str, Tensor]:
        """Gain of every weight of the layers that were seen, added up over the places where a layer is used."""
        total: dict[str, Tensor] = {}
        for (path, norm, low), h in kept.items():
            layer = model.get_submodule(path)
            margin = _Margin(None if norm is None else model.get_submodule(norm), self.statistics, low)
            gain = gains(layer.weight.detach().double(), layer.bias, h, margin)
            total[path] = total[path] + gain if path in total else gain
        return total


class _Rows:
    """A random sample of the inputs of each layer, the same size however long the data."""

    def __init__(self, samples: int, generator: torch.Generator, model: nn.Module) -> None:
        self._samples, self._generator, self._model = samples, generator, model
        self._keys: dict[tuple[str, str | None, float], Tensor] = {}
        self.kept: dict[tuple[str, str | None, float], Tensor] = {}

    def keep(self, makers: Makers, site: Site, z: Tensor, y: Tensor) -> None:
        """Observer: every row draws a number, and those with the smallest numbers so far stay."""
        made = makers.take(z, y)
        layer = None if made is None else self._model.get_submodule(made.path)
        if not isinstance(layer, LAID_OUT):
            return
        rows = patches(layer, made.input)
        keys = torch.rand(len(rows), generator=self._generator).to(rows.device)
        at = (made.path, made.norm, site.low)
        if at in self.kept:
            keys, rows = torch.cat([self._keys[at], keys]), torch.cat([self.kept[at], rows])
        least = torch.topk(keys, min(self._samples, len(keys)), largest=False).indices
        self._keys[at], self.kept[at] = keys[least], rows[least]


@dataclass(frozen=True, eq=False)
class _Margin:
    """How far above its threshold a channel is, for each of some rows of its linear part."""

    norm: nn.Module | None
    statistics: Statistics
    low: float

    def of(self, a: Tensor, channel: int) -> Tensor:
        """Margins; `a` has the rows in axis 0."""
        n = self.norm
        if n is None:
            return a - self.low
        if self.statistics == "batch" or n.running_mean is None:
            mean, variance = a.mean(0), a.var(0, unbiased=False)
        else:
            mean, variance = n.running_mean[channel].double(), n.running_var[channel].double()
        z = (a - mean) / (variance + n.eps).sqrt()
        return z - self.low if n.weight is None else z * n.weight[channel] + n.bias[channel] - self.low


def gains(weight: Tensor, bias: Tensor | None, h: Tensor, margin: _Margin) -> Tensor:
    """Net share of rows that a unit wakes in when each of its weights goes.

    Parameters
    ----------
    weight : float64 tensor
        Outputs in axis 0.
    bias : Tensor or None
    h : (rows, groups, fan_in) tensor
        As `patches` gives it.
    margin : _Margin

    Returns
    -------
    float64 tensor
        Of the shape of `weight`; 0 where the weight is 0.
    """
    flat = weight.flatten(1)
    outputs, groups = len(flat), h.shape[1]
    h, gain = h.double(), torch.empty_like(flat)
    with torch.no_grad():
        for i in range(outputs):
            x = h[:, i * groups // outputs]
            a = x @ flat[i] + (0.0 if bias is None else bias[i].double())
            now, without = margin.of(a, i) > 0, margin.of(a[:, None] - x * flat[i], i) > 0
            gain[i] = without.double().mean(0) - now.double().mean()
    return torch.where(flat != 0, gain, 0.0).view(weight.shape)
