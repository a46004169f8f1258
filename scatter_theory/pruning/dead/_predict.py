"""How many units will be dead behind given masks, from means and variances before the pruning."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from scatter_theory.meters import Site
from scatter_theory.pruning.dead._makers import ChannelMoments, Makers
from scatter_theory.pruning.dead._measure import Forward
from scatter_theory.pruning.dead._observe import observe
from scatter_theory.pruning.dead._prediction import DeadRatePrediction, SitePrediction
from scatter_theory.pruning.masks._masks import Masks

_INDIRECT = "its input is not directly the output of a linear layer or convolution"


def predict_dead_rate(
    model: nn.Module,
    loader: Iterable[Any],
    masks: Masks,
    *,
    tolerance: float = 0.02,
    forward_fn: Forward | None = None,
) -> DeadRatePrediction:
    r"""Predict the dead rates behind given masks from the inputs of each layer before the pruning.

    A unit with inputs h, weights w and mask m has the pre-activation :math:`z = (m \odot w) \cdot h + b`. With mean
    :math:`\mu` and covariance :math:`\Sigma` of h over the data, and z taken for Gaussian,

    .. math:: P(z \le 0) = \Phi\left(-\frac{(m \odot w) \cdot \mu + b}
        {\sqrt{(m \odot w)^\top \Sigma \, (m \odot w)}}\right),

    and 0 or 1 where the variance is 0. The two moments of z are those of what the masked layer makes of the stored
    inputs, which is the same as the formula with the full covariance, without its size. For convolutions the moments
    are over samples and positions, padded ones included. Batch normalisation after the layer is applied with its
    running statistics, which a pruning does not change.

    It is exact for Gaussian inputs of a linear layer, up to sampling, and good for sums of many terms of similar
    size. It is not for units with few inputs that matter. Beyond that, it knows nothing of how the pruning of earlier
    layers changes h; that is part of the gap to the counted rate. `SitePrediction.gaussian` says whether the Gaussian
    fits before anything is pruned.

    Parameters
    ----------
    model : nn.Module
        Not changed. Masks that it has are part of the state before.
    loader : iterable
        As for ``dead_neurons``; read twice, with the same samples each time.
    masks : Masks
        What is alive after the pruning, for some or all of the prunable weights.
    tolerance : float
        How far the Gaussian may be off before the pruning, as a rate.
    forward_fn : callable, optional
        As for ``dead_neurons``.

    Returns
    -------
    DeadRatePrediction
        Sites whose input is not directly the output of a linear layer or convolution, or of batch normalisation
        directly after one, are in `not_predicted`: behind residual sums, poolings, views, or products.

    Raises
    ------
    ValueError
        If there is no batch, no activation of ReLU type is seen, or the masks do not fit the model.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from scatter_theory import pruning
    >>> generator = torch.Generator().manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[1.0, 2.0]])), net[0].bias.fill_(1.0)
    >>> masks = pruning.Masks({"0.weight": torch.tensor([[True, False]])})
    >>> found = pruning.predict_dead_rate(net, [torch.randn(20000, 2, generator=generator)], masks)
    >>> found["1/relu#1"].predicted, found["1/relu#1"].measured  # Phi(-1) = 0.1587
    (array([0.16]), array([0.16]))
    """
    pruned = deepcopy(model).eval()
    masks.apply(pruned)
    makers, reader = Makers(model), _Reader(model, pruned)
    both = {"statistics": "eval", "forward_fn": forward_fn}
    observe("predict_dead_rate", model, loader, partial(reader.before, makers), makers=makers, **both)
    observe("predict_dead_rate", pruned, loader, reader.after, **both)
    return reader.result(tolerance)


@dataclass(eq=False)
class _State:
    """What is known of one site: moments before and with the masks, and dead entries of both."""

    low: float
    layer: str
    norm: str | None
    axis: int
    samples: int
    own: ChannelMoments
    masked: ChannelMoments
    dead: Tensor
    dead_pruned: Tensor

    def merge(self, other: _State) -> _State:
        """Of both batches together."""
        own, masked = self.own.merge(other.own), self.masked.merge(other.masked)
        return replace(self, samples=self.samples + other.samples, own=own, masked=masked, dead=self.dead + other.dead)


class _Reader:
    """Reads the sites of a model and of its pruned copy; nothing leaves the device before `result`."""

    def __init__(self, model: nn.Module, pruned: nn.Module) -> None:
        self._model, self._pruned = model, pruned
        self._states: dict[str, _State] = {}
        self._not_predicted: dict[str, str] = {}

    def before(self, makers: Makers, site: Site, z: Tensor, y: Tensor) -> None:
        """Observer of the model as it is."""
        made = makers.take(z, y)
        if made is None:
            self._not_predicted[site.name] = _INDIRECT
            return
        layer = self._model.get_submodule(made.path)
        axis = -1 if isinstance(layer, nn.Linear) and made.norm is None else 1
        masked = self._pruned.get_submodule(made.path)(made.input)
        if made.norm is not None:
            masked = self._pruned.get_submodule(made.norm)(masked)
        dead = _dead(site, y, axis)
        now = _State(
            site.low, made.path, made.norm, axis, len(y), ChannelMoments.of(z, axis),
            ChannelMoments.of(masked, axis), dead, torch.zeros_like(dead),
        )  # fmt: skip
        self._states[site.name] = now if site.name not in self._states else self._states[site.name].merge(now)

    def after(self, site: Site, z: Tensor, y: Tensor) -> None:
        """Observer of the pruned copy."""
        state = self._states.get(site.name)
        if state is not None:
            state.dead_pruned += _dead(site, y, state.axis)

    def result(self, tolerance: float) -> DeadRatePrediction:
        """Read everything out."""
        if not self._states and not self._not_predicted:
            raise ValueError(
                "`predict_dead_rate(model=...)`: no activation of ReLU type was called, expected at least one."
            )
        found = []
        for name, s in self._states.items():
            if name in self._not_predicted:
                continue
            rates = torch.stack(
                [s.own.at_most(s.low), s.dead / s.own.n, s.masked.at_most(s.low), s.dead_pruned / s.own.n]
            )
            found.append(
                SitePrediction(name, s.layer, s.norm, *rates.cpu().numpy(), samples=s.samples, tolerance=tolerance)
            )
        samples = max((s.samples for s in found), default=0)
        facts = {"samples": samples, "tolerance": tolerance, "statistics": "running statistics"}
        return DeadRatePrediction(tuple(found), dict(self._not_predicted), facts)


def _dead(site: Site, y: Tensor, axis: int) -> Tensor:
    """Dead entries of each channel, int64."""
    return (y <= site.low).movedim(axis, 0).flatten(1).sum(1, dtype=torch.int64)
