"""What is counted at one site, on the device of its tensors, while a model runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from scatter_theory.meters import Counts, Site
from scatter_theory.pruning.dead import _kernels

Rule = Literal["relu", "negative", "near_zero"]

#: Counters of each channel. `dead` and `on`: entries on either side of the threshold (NaN is in neither); `high`:
#: entries at the upper flat side, if there is one; `silent`: samples in which every position is dead.
COUNTERS = ("dead", "on", "high", "silent")


@dataclass(eq=False)
class SiteState:
    """Counters of one site; no value is read on the host.

    Parameters
    ----------
    site : Site
    rule : {"relu", "negative", "near_zero"}
        What counts as dead: an output at most ``site.low``, an input below 0, an output of modulus at most `eps`.
    eps : float
        For ``"near_zero"``.
    channel_dim : int
        Axis of the channels; samples are in the first axis, all other axes are positions.
    extremes : bool
        Whether to keep the least and the greatest input of every unit.

    Attributes
    ----------
    counts : Counts
        Of `COUNTERS`, shape ``(4, n_channels)``, int64.
    magnitude, gradient : (n_channels,) float64 tensors
        Sums of moduli of outputs, and of gradients with respect to them.
    seen : bool tensor ``(2, n_channels, *positions)`` or None
        Which units were dead, and which were on, at least once; None once the number of positions has changed.
    range : tensor ``(2, n_channels, *positions)`` or None
        Least and greatest input.
    found : list of (batch, (samples, 2) tensor, positions)
        Dead units and silent channels of each sample.
    """

    site: Site
    rule: Rule
    eps: float
    channel_dim: int
    extremes: bool
    counts: Counts = field(init=False)
    magnitude: Tensor = field(init=False)
    gradient: Tensor = field(init=False)
    seen: Tensor | None = field(default=None, init=False)
    range: Tensor | None = field(default=None, init=False)
    found: list[tuple[int, Tensor, int]] = field(default_factory=list, init=False)

    def update(self, batch: int, z: Tensor, y: Tensor, room: Tensor | None = None) -> None:
        """Count one call; `z` is the input of the activation and `y` its output, ``(samples, ..., channels, ...)``.

        The counters of each sample are kept in `room` if they fit.
        """
        x, y = self._arranged(z), self._arranged(y)
        if not self.found:
            self.counts = Counts.init(COUNTERS, (y.shape[1],), y.device)
            self.magnitude = torch.zeros(y.shape[1], dtype=torch.float64, device=y.device)
            self.gradient = torch.zeros_like(self.magnitude)
            self.seen = torch.zeros((2, *y.shape[1:]), dtype=torch.bool, device=y.device)
        elif self.seen is not None and self.seen.shape[1:] != y.shape[1:]:
            self.seen = self.range = None
        if self.rule != "negative" and _kernels.fits(y, self.seen):
            assert self.seen is not None
            v, low, high = (y, self.site.low, self.site.high) if self.rule == "relu" else (y.abs(), self.eps, math.inf)
            found = _kernels.count(v, low, high, self.counts.values, self.magnitude, self.seen)
        else:
            found = self._count(x, y)
        if room is not None and room.shape == found.shape:
            found = room.copy_(found)
        self.found.append((batch, found, math.prod(y.shape[2:])))
        if self.extremes and (self.seen is not None):
            now = torch.stack([x.amin(0), x.amax(0)])
            if self.range is not None:
                now = torch.stack([torch.minimum(self.range[0], now[0]), torch.maximum(self.range[1], now[1])])
            self.range = now

    def add_gradient(self, g: Tensor) -> None:
        """Add the moduli of the gradient of one call's output."""
        g = self._arranged(g)
        self.gradient += g.abs().sum((0, *range(2, g.ndim)), dtype=torch.float64)

    def _arranged(self, x: Tensor) -> Tensor:
        """Channels in axis 1."""
        return x.detach() if self.channel_dim == 1 else x.detach().movedim(self.channel_dim, 1)

    def _count(self, x: Tensor, y: Tensor) -> Tensor:
        """Count by operations of torch."""
        if self.rule == "relu":
            dead, on = y <= self.site.low, y > self.site.low
        elif self.rule == "negative":
            dead, on = x < 0, x >= 0
        else:
            dead, on = y.abs() <= self.eps, y.abs() > self.eps
        capped = self.rule == "relu" and self.site.high < math.inf
        high = y >= self.site.high if capped else torch.zeros_like(dead)
        positions = tuple(range(2, y.ndim))
        rows = [_over(mask, positions) for mask in (dead, on, high)]
        silent = rows[0] == math.prod(y.shape[2:])
        counters = torch.stack([*(row.sum(0) for row in rows), silent.sum(0)])
        self.counts = self.counts.merge(Counts(COUNTERS, counters))
        self.magnitude += y.abs().sum((0, *positions), dtype=torch.float64)
        if self.seen is not None:
            self.seen |= torch.stack([dead.any(0), on.any(0)])
        return torch.stack([rows[0].sum(1), silent.sum(1)], 1)


def _over(mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    return mask.sum(dims) if dims else mask.to(torch.int64)
