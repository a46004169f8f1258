"""What made the rate of dead neurons change when a model was pruned and trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from scatter_theory.meters import Site
from scatter_theory.pruning.dead._dead_neurons import DeadNeurons
from scatter_theory.pruning.dead._measure import Forward, dead_neurons
from scatter_theory.pruning.dead._modes import Statistics
from scatter_theory.pruning.dead._observe import observe
from scatter_theory.pruning.dead._static import Static

Part = Literal["static_gain", "mask_effect", "training_effect"]
Rate = Literal["total", "static", "dynamic"]
PARTS: tuple[Part, ...] = get_args(Part)
_RATES: tuple[Rate, ...] = get_args(Rate)


@dataclass(frozen=True, eq=False)
class DeadNeuronChange:
    r"""The change of the dead-neuron rates over a pruning and a training, in three parts that add up exactly.

    Parameters
    ----------
    before, pruned, after : DeadNeurons
        Measured before, with the masks at unchanged weights, and after the training.
    parts : mapping of str to mapping of str to (n_sites,) int64 arrays
        For ``"static_gain"``, ``"mask_effect"`` and ``"training_effect"`` the changes of the numbers of dead entries
        behind the rates ``"total"``, ``"static"`` and ``"dynamic"``; an entry is a pair of a sample and a unit.
    """

    before: DeadNeurons
    pruned: DeadNeurons
    after: DeadNeurons
    parts: Mapping[Part, Mapping[Rate, np.ndarray]]

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites."""
        return self.before.sites

    def change(self, name: Rate = "total", part: Part | None = None, *, reduction: str | None = "pooled") -> Any:
        """Change of a rate.

        Parameters
        ----------
        name : {"total", "static", "dynamic"}
        part : {"static_gain", "mask_effect", "training_effect"} or None
            None for the whole change, the sum of the three.
        reduction : {"pooled", None}
            Over all sites, a number; or each site, an ``(n_sites,)`` float64 array.

        Raises
        ------
        ValueError
            For another name, part or reduction.
        """
        for what, value, allowed in (
            ("name", name, _RATES), ("part", part, (*PARTS, None)), ("reduction", reduction, ("pooled", None)),
        ):  # fmt: skip
            if value not in allowed:
                raise ValueError(f"`change({what}=...)`: got {value!r}, expected one of {allowed}.")
        numbers = sum((self.parts[p][name] for p in (PARTS if part is None else (part,))), np.int64(0))
        entries = self.before.counts["entries"]
        return numbers / entries if reduction is None else float(numbers.sum() / entries.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the three measurements and the parts; `from_dict` reads it."""
        parts = {part: {name: x.tolist() for name, x in rates.items()} for part, rates in self.parts.items()}
        measured = {when: getattr(self, when).to_dict() for when in ("before", "pruned", "after")}
        return {**measured, "parts": parts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DeadNeuronChange:
        """Change from what `to_dict` gave."""
        parts = {
            part: {name: np.asarray(x, dtype=np.int64) for name, x in rates.items()}
            for part, rates in data["parts"].items()
        }
        return cls(*(DeadNeurons.from_dict(data[when]) for when in ("before", "pruned", "after")), parts)

    def __str__(self) -> str:
        head = f"{'':9}{'before':>10}" + "".join(f"{part.replace('_', ' '):>17}" for part in PARTS) + f"{'after':>10}"
        statistics = self.before.facts.get("statistics", "")
        lines = [f"change of dead neurons, pooled over {len(self.sites)} sites, statistics: {statistics}", head]
        for name in _RATES:
            cells = "".join(f"{self.change(name, part):+17.6f}" for part in PARTS)
            ends = [found.rate(name, reduction="pooled") for found in (self.before, self.after)]
            lines.append(f"{name:9}{ends[0]:10.6f}{cells}{ends[1]:10.6f}")
        return "\n".join(lines)

    __repr__ = __str__


def decompose(
    model: nn.Module,
    data: Iterable[Any],
    prune: Callable[[nn.Module], object],
    train: Callable[[nn.Module], object],
    *,
    static: Static = "incoming",
    statistics: Statistics = "eval",
    channel_dim: int = 1,
    forward_fn: Forward | None = None,
) -> DeadNeuronChange:
    r"""Measure before a pruning, after it, and after a training, and tell which of the changes comes from what.

    With :math:`d_j` the dead samples of unit j of the n units of a site, and P the units that are static at 0 once the
    masks are on, the total rate :math:`T = \sum_j d_j / (N n)` changes by

    .. math:: \underbrace{\frac{1}{N n} \sum_{j \in P} (N - d_j)}_{\text{static gain}}
        + \underbrace{\frac{1}{N n} \sum_{j \notin P} (d'_j - d_j)}_{\text{mask effect}}
        + \underbrace{\frac{1}{N n} \sum_j (d''_j - d'_j)}_{\text{training effect}},

    with one prime after the masks, at the same weights, and two after the training. The dynamic rate loses in the first
    part what the units in P were dead for before: pure book-keeping, by which it can fall while the total rises. The
    other two parts are changes of units that still depend on their inputs, except that units may become static or cease
    to be so by the training. Static and dynamic changes add up to the total ones in each part. All of it is counted in
    integers.

    Parameters
    ----------
    model : nn.Module
        Changed by the two actions, and left as they leave it.
    data : iterable
        As for ``dead_neurons``; read four times, with the same samples each time.
    prune, train : callable
        Called with the model. `prune` changes the masks, and not the weights behind them; `train` does the rest, a
        rewinding included.
    static, statistics, channel_dim, forward_fn
        As for ``dead_neurons``.

    Returns
    -------
    DeadNeuronChange

    Raises
    ------
    ValueError
        As ``dead_neurons`` does; or if sites come, go or change in size from one measurement to the next, or the data
        differ from pass to pass.

    Examples
    --------
    One of two units loses its only weight, the other is trained to have the opposite sign:

    >>> import torch
    >>> from torch import nn
    >>> from scatter_theory import pruning
    >>> net = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    >>> _ = net[0].weight.data.copy_(torch.tensor([[0.5], [1.0]]))
    >>> def train(model):
    ...     pruning.originals(model, ["0.weight"])["0.weight"].data.neg_()
    >>> data = [torch.tensor([[1.0], [2.0], [3.0], [-1.0]])]
    >>> print(pruning.decompose(net, data, lambda model: pruning.prune(model, sparsity=0.5), train))
    change of dead neurons, pooled over 1 sites, statistics: ...
                 before      static gain      mask effect  training effect     after
    total      0.250000        +0.375000        +0.000000        +0.250000  0.875000
    static     0.000000        +0.500000        +0.000000        +0.000000  0.500000
    dynamic    0.250000        -0.125000        +0.000000        +0.250000  0.375000
    """
    settings = {"static": static, "statistics": statistics, "channel_dim": channel_dim, "forward_fn": forward_fn}
    before = dead_neurons(model, data, **settings)
    each = _dead_counts(model, data, statistics, channel_dim, forward_fn)
    for site, found in zip(before.sites, before.counts["dead"], strict=True):
        if each[site] is None or int(each[site].sum()) != found:
            why = "changed in size" if each[site] is None else f"had {found} dead entries, then {int(each[site].sum())}"
            raise ValueError(
                f"`decompose(data=...)`: two passes over the data differ, site {site!r} {why}; expected the same "
                "samples each time, of one size. Leave out augmentations; with batch statistics do not shuffle."
            )
    prune(model)
    pruned = dead_neurons(model, data, units=True, **settings)
    train(model)
    after = dead_neurons(model, data, **settings)
    for name, found in (("prune", pruned), ("train", after)):
        if found.sites != before.sites or not np.array_equal(found.counts["entries"], before.counts["entries"]):
            raise ValueError(
                f"`decompose({name}=...)`: the sites or their sizes are others after it, {found.sites} in the place of "
                f"{before.sites}. It may change masks and values, not the form of the model."
            )
    for found in (before, pruned, after):
        if (found.counts["static_zero"] < 0).any():
            site = found.sites[int(np.argmax(found.counts["static_zero"] < 0))]
            raise ValueError(
                f"`decompose(static={static!r})`: it is not known which units of site {site!r} are static; "
                "`static='constant'` measures it."
            )
    lost = []
    for site in before.sites:
        flags = pruned.units[site]
        gone = torch.from_numpy(flags["static"] & flags["dead_on_data"])
        lost.append(int(each[site].cpu()[gone].sum()))
    return DeadNeuronChange(before, pruned, after, _parts(before, pruned, after, np.array(lost, dtype=np.int64)))


def _parts(
    before: DeadNeurons, pruned: DeadNeurons, after: DeadNeurons, lost: np.ndarray
) -> dict[Part, dict[Rate, np.ndarray]]:
    """The three parts, with `lost` the dead entries before of the units that the masks make static at 0."""
    static = [found.counts["static_zero"] * found.counts["passes"] for found in (before, pruned, after)]
    dynamic = [f.counts["dead"] - s for f, s in zip((before, pruned, after), static, strict=True)]
    zero = np.zeros_like(lost)
    parts: dict[Part, dict[Rate, np.ndarray]] = {
        "static_gain": {"static": static[1] - static[0], "dynamic": static[0] - lost},
        "mask_effect": {"static": zero, "dynamic": dynamic[1] - (before.counts["dead"] - lost)},
        "training_effect": {"static": static[2] - static[1], "dynamic": dynamic[2] - dynamic[1]},
    }
    return {part: {"total": r["static"] + r["dynamic"], **r} for part, r in parts.items()}


def _dead_counts(
    model: nn.Module, data: Iterable[Any], statistics: Statistics, channel_dim: int, forward_fn: Forward | None
) -> dict[str, Tensor | None]:
    """Dead samples of every unit, ``(n_channels, *positions)`` int64; None where the size changed."""
    found: dict[str, Tensor | None] = {}

    def count(site: Site, z: Tensor, y: Tensor) -> None:
        dead = (y.detach() <= site.low).movedim(channel_dim, 1).sum(0, dtype=torch.int64)
        sofar = found.setdefault(site.name, torch.zeros_like(dead))
        found[site.name] = None if sofar is None or sofar.shape != dead.shape else sofar + dead

    observe("decompose", model, data, count, statistics=statistics, forward_fn=forward_fn)
    return found
