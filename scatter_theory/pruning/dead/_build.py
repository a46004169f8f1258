"""From the counters on the device to the result: one transfer per type, and the only look at the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.pruning.dead._dead_neurons import DeadNeurons
from scatter_theory.pruning.dead._run import Run
from scatter_theory.pruning.dead._state import SiteState


def build(
    run: Run,
    alive: Mapping[str, Tensor] | None,
    keep_units: bool,
    classes: Sequence[Tensor] | None,
    facts: Mapping[str, str | int | float],
) -> DeadNeurons:
    """Result of a run.

    Parameters
    ----------
    run : Run
        With at least one site and one batch.
    alive : mapping of str to bool tensors, or None
        For each site the units that may depend on the input; None to take those as static whose input never changed.
    keep_units : bool
        Whether the result has flags of single units.
    classes : sequence of tensors or None
        Labels of each batch.
    facts : mapping
        As in ``DeadNeurons``.

    Raises
    ------
    ValueError
        If an output was NaN.
    """
    names, states = tuple(run.states), list(run.states.values())
    counts = fetched([state.counts.values for state in states])
    rows = fetched([torch.cat([found for _, found, _ in state.found]) for state in states])
    sums = fetched([torch.stack([state.magnitude, state.gradient]) for state in states])
    static = [_static(name, state, alive) for name, state in run.states.items()]
    flags = fetched([_flags(state, mask) for state, mask in zip(states, static, strict=True)])
    table = _Table(names, run.sizes)
    for k, state in enumerate(states):
        table.add(k, state, counts[k], rows[k], flags[k] if state.seen is not None else None, static[k] is not None)
    table.refuse_nan()
    gradient = {name: sums[k][1] for k, name in enumerate(names)} if run.gradients else None
    return DeadNeurons(
        sites=names,
        samples=sum(run.sizes),
        sizes=table.sizes,
        channels=table.channels,
        counts=table.counts,
        channel_dead={name: counts[k][0] for k, name in enumerate(names)},
        channel_entries=table.channel_entries,
        magnitude={name: sums[k][0] for k, name in enumerate(names)},
        gradient=gradient,
        sample_dead=table.dead,
        sample_silent=table.silent,
        sample_entries=table.entries,
        units=table.units if keep_units else None,
        labels=None if classes is None else torch.cat([c.to(torch.int64) for c in classes]).cpu().numpy(),
        facts=dict(facts),
        notes=tuple(table.notes),
    )


class _Table:
    """Arrays of the result, filled site by site."""

    def __init__(self, names: tuple[str, ...], batches: Sequence[int]) -> None:
        n, samples = len(names), sum(batches)
        self.names, self.batches = names, batches
        self.starts = np.concatenate([[0], np.cumsum(batches)])
        keys = ("dead", "on", "high", "nan", "entries", "silent", "pairs", "passes", "static_zero", "static_on",
                "dynamic_dead", "live", "dead_on_data", "always_on")  # fmt: skip
        self.counts = {key: np.full(n, -1, dtype=np.int64) for key in keys}
        self.sizes, self.channels = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.dead, self.silent, self.entries = (np.zeros((samples, n), dtype=np.int32) for _ in range(3))
        self.channel_entries: dict[str, np.ndarray] = {}
        self.units: dict[str, dict[str, np.ndarray]] = {}
        self.notes: list[str] = []

    def add(
        self, k: int, state: SiteState, counts: np.ndarray, rows: np.ndarray, flags: np.ndarray | None, static: bool
    ) -> None:
        """Fill in one site; `flags` are those of `seen`, with those of static units behind them if there are some."""
        name, channels, at = self.names[k], counts.shape[1], 0
        per_channel = 0
        for batch, _, positions in state.found:
            size = self.batches[batch]
            place = slice(self.starts[batch], self.starts[batch] + size)
            self.dead[place, k], self.silent[place, k] = rows[at : at + size].T
            self.entries[place, k] = positions * channels
            per_channel += positions * size
            at += size
        self.channels[k] = channels
        self.channel_entries[name] = np.full(channels, per_channel, dtype=np.int64)
        found: dict[str, int] = dict(zip(("dead", "on", "high", "silent"), counts.sum(1).tolist(), strict=True))
        found |= {"entries": per_channel * channels, "pairs": at * channels, "passes": at}
        found["nan"] = found["entries"] - found["dead"] - found["on"]
        if flags is None:
            self.notes.append(f"{name}: the number of positions changes, so that nothing is known of single units.")
        else:
            self.sizes[k] = flags[0].size
            found |= self._units(name, flags, static)
        for key, value in found.items():
            self.counts[key][k] = value

    def _units(self, name: str, flags: np.ndarray, static: bool) -> dict[str, int]:
        dead, on = flags[:2]
        masks = {"dead_on_data": dead & ~on, "always_on": on & ~dead}
        self.units[name] = dict(masks)
        if static:
            still = self.units[name]["static"] = flags[2]
            masks |= {"static_zero": still & ~on, "static_on": still & on}
            masks |= {"dynamic_dead": ~still & ~on, "live": ~still & on}
            if masks["static_zero"].all():
                self.notes.append(f"{name}: all units are static at 0, so that the conditional rate is undefined.")
        else:
            self.notes.append(f"{name}: was not reached by the pass that reads static units, which are not known.")
        return {key: int(mask.sum()) for key, mask in masks.items()}

    def refuse_nan(self) -> None:
        """Name the first site with NaN.

        Raises
        ------
        ValueError
            If there is one.
        """
        for name, nan in zip(self.names, self.counts["nan"], strict=True):
            if nan:
                raise ValueError(
                    f"`dead_neurons(model=...)`: {nan} outputs of site {name!r} are NaN, expected numbers; it is the "
                    "first such site. Look for NaN or infinite inputs and weights before it."
                )


def _static(name: str, state: SiteState, alive: Mapping[str, Tensor] | None) -> Tensor | None:
    """Which units are static; None where it is not known."""
    if state.seen is None:
        return None
    if alive is None:
        return None if state.range is None else state.range[0] == state.range[1]
    there = alive.get(name)
    return ~there if there is not None and there.shape == state.seen.shape[1:] else None


def _flags(state: SiteState, static: Tensor | None) -> Tensor:
    """Flags of the units, those of static ones behind them; empty where there are none."""
    if state.seen is None:
        return torch.zeros(0, dtype=torch.bool, device=state.magnitude.device)
    return state.seen if static is None else torch.cat([state.seen, static[None]])


def fetched(tensors: Sequence[Tensor]) -> list[Any]:
    """Tensors of one type as arrays, by one transfer."""
    whole = torch.cat([t.reshape(-1) for t in tensors]).cpu().numpy()
    parts = np.split(whole, np.cumsum([t.numel() for t in tensors])[:-1])
    return [part.reshape(tuple(t.shape)) for part, t in zip(parts, tensors, strict=True)]
