"""Search for the worst case: given, random and structured candidates, then gradient ascent from the best of them.

Everything between the candidates and the final reading stays on their device; no step waits for a number on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
Climb = Callable[[Tensor, Tensor], Tensor]
Progress = Callable[[int, int, str], None] | None

#: First step of the ascent, relative to the size of a candidate whose entries are alike.
RATE = 0.03


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Parameters
    ----------
    random : int
        Random draws.
    structured : int
        Structured candidates (tones, beats, atoms, spikes), roughly.
    steps : int
        Steps of gradient ascent; 0 switches it off.
    restarts : int
        Starting points of the ascent per target; 0 switches it off.

    Raises
    ------
    ValueError
        If a number is no whole number >= 0.
    """

    random: int = 16
    structured: int = 48
    steps: int = 24
    restarts: int = 1

    def __post_init__(self) -> None:
        for name in ("random", "structured", "steps", "restarts"):
            value = getattr(self, name)
            if isinstance(value, bool) or int(value) != value or value < 0:
                raise ValueError(f"`Effort({name}=...)`: got {value!r}, expected a whole number >= 0.")


@dataclass(frozen=True, eq=False)
class Attack:
    """Best ratio of every cell, by mode, with the signal that attains it.

    Parameters
    ----------
    best : (n_cells,) tensor
        Largest ratio found, on the CPU; infinite where a ratio was not a number.
    signals : (n_cells, *shape) tensor
        The candidate that attains it, per cell, on the device of the search.
    modes : list of str
        The mode that found it, per cell.
    by_mode : dict of str to (n_cells,) tensors
        Largest ratio of each mode, on the CPU.
    curve : list of float
        Best ratio over all targets after each step of the ascent.
    tried : int
        Candidates evaluated.
    """

    best: Tensor
    signals: Tensor
    modes: list[str]
    by_mode: dict[str, Tensor]
    curve: list[float]
    tried: int


def maximise(
    objective: Objective,
    candidates: Mapping[str, Tensor],
    *,
    targets: Sequence[Sequence[int]],
    effort: Effort,
    pairs: bool = False,
    chunk: int = 64,
    climb: Climb | None = None,
    rate: float = RATE,
    progress: Progress = None,
) -> Attack:
    """Maximise every cell of an objective.

    Parameters
    ----------
    objective : callable
        ``(n, *shape) -> (n, n_cells)`` ratios, differentiable; a ratio that is undefined (0 / 0) must be 0.
    candidates : mapping of str to (n, *shape) tensors
        Starting candidates by mode.
    targets : sequence of sequences of int
        Groups of cells; the ascent climbs the cell of each group that is worst so far.
    effort : Effort
    pairs : bool
        Whether the first axis of `shape` counts the members of a pair, whose steps follow their own sizes.
    chunk : int
        Candidates evaluated at once.
    climb : callable, optional
        ``(n, *shape), (n,) -> (n,)``: the ratio of one given cell of every candidate, where that costs less than all.
    rate : float
        First step of the ascent, relative to the root mean square of a candidate.
    progress : callable, optional
        Called as ``progress(done, total, text)``; it may raise to stop the search.

    Returns
    -------
    Attack
        Largest ratio of every cell, and the candidates that reached it.

    Raises
    ------
    ValueError
        If there is no candidate at all.
    """
    record = search(
        objective,
        candidates,
        targets=targets,
        effort=effort,
        pairs=pairs,
        chunk=chunk,
        climb=climb,
        rate=rate,
        progress=progress,
    )
    return record.read()


def search(
    objective: Objective,
    candidates: Mapping[str, Tensor],
    *,
    targets: Sequence[Sequence[int]],
    effort: Effort,
    pairs: bool,
    chunk: int,
    climb: Climb | None,
    rate: float = RATE,
    progress: Progress,
) -> _Record:
    """The part of `maximise` that runs on the device, before anything is read."""
    pools = {mode: x for mode, x in candidates.items() if x.shape[0]}
    if not pools:
        raise ValueError("`maximise(candidates=...)`: no candidate signal at all.")
    record, tables = None, []
    for mode, x in pools.items():
        with torch.no_grad():
            ratios = torch.cat([objective(part) for part in x.split(chunk)])
        record = record if record is not None else _Record(ratios, x)
        record.absorb(mode, ratios, x)
        tables.append(ratios)
    if effort.steps and effort.restarts:
        starts, cells = _starts(record, torch.cat(list(pools.values())), torch.cat(tables), targets, effort.restarts)
        climb = climb if climb is not None else _own_cell(objective)
        _ascend(climb, starts, cells, effort.steps, pairs, chunk, rate, record, progress)
    return record


class _Record:
    """Running maxima, kept on the device until `read`."""

    def __init__(self, ratios: Tensor, x: Tensor) -> None:
        self.best = torch.full_like(ratios[0], -1.0)
        self.signals = torch.zeros_like(x[:1]).repeat(ratios.shape[1], *(1,) * (x.ndim - 1))
        self.codes = torch.zeros_like(self.best, dtype=torch.int64)
        self.by_mode: dict[str, Tensor] = {}
        self.curve: list[Tensor] = []
        self.tried = 0

    def absorb(self, mode: str, ratios: Tensor, x: Tensor) -> None:
        """Take in the ratios ``(n, n_cells)`` of the candidates x."""
        self.tried += x.shape[0]
        top, index = torch.nan_to_num(ratios, nan=torch.inf, posinf=torch.inf).max(0)
        self.by_mode[mode] = torch.maximum(self.by_mode.get(mode, torch.full_like(top, -1.0)), top)
        better = top > self.best
        self.best = torch.where(better, top, self.best)
        self.codes = torch.where(better, list(self.by_mode).index(mode), self.codes)
        dtype = torch.promote_types(self.signals.dtype, x.dtype)
        picked = better.reshape(-1, *(1,) * (x.ndim - 1))
        self.signals = torch.where(picked, x.index_select(0, index).to(dtype), self.signals.to(dtype))

    def read(self) -> Attack:
        """Bring the result to the host."""
        names = list(self.by_mode)
        curve = torch.stack(self.curve).tolist() if self.curve else []
        return Attack(
            best=self.best.cpu(),
            signals=self.signals,
            modes=[names[code] for code in self.codes.tolist()],
            by_mode={mode: top.cpu() for mode, top in self.by_mode.items()},
            curve=curve,
            tried=self.tried,
        )


def _starts(
    record: _Record, x: Tensor, ratios: Tensor, targets: Sequence[Sequence[int]], restarts: int
) -> tuple[Tensor, Tensor]:
    """The best candidates for the worst cell of every group, ``(n, *shape)``, and their cells ``(n,)``."""
    starts, cells = [], []
    for group in targets:
        members = torch.tensor(list(group), device=x.device)
        cell = members.index_select(0, record.best.index_select(0, members).argmax(0, keepdim=True))
        own = torch.nan_to_num(ratios.index_select(1, cell)[:, 0], nan=-1.0)
        order = torch.topk(own, min(restarts, x.shape[0])).indices
        starts.append(x.index_select(0, order))
        cells.append(cell.expand(order.shape[0]))
    return torch.cat(starts), torch.cat(cells)


def _sizes(x: Tensor, pairs: bool) -> Tensor:
    """Root-mean-square of every candidate, or of the members of a pair (a member that is 0 takes the other's)."""
    lead = 2 if pairs else 1
    size = x.abs().flatten(lead).pow(2).mean(-1).sqrt()
    if pairs:
        size = torch.where(size > 0, size, size.amax(1, keepdim=True))
    return size.reshape(*size.shape, *(1,) * (x.ndim - lead))


def _own_cell(objective: Objective) -> Climb:
    """The ratio of each candidate's own cell, from all of them."""
    return lambda x, cells: objective(x).gather(1, cells[:, None])[:, 0]


def _ascend(
    climb: Climb,
    x: Tensor,
    cells: Tensor,
    steps: int,
    pairs: bool,
    chunk: int,
    rate: float,
    record: _Record,
    progress: Progress,
) -> None:
    """Adam on the logarithm of the ratio, from all starting points at once; the step follows the signal's size."""
    size = _sizes(x, pairs).clamp_min(torch.finfo(torch.float64).tiny)
    z = (x / size).requires_grad_(True)
    optimiser = torch.optim.Adam([z], lr=rate)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=1e-3)
    untouched = torch.full((x.shape[0], record.best.shape[0]), -1.0, dtype=record.best.dtype, device=x.device)
    for step in range(steps + 1):
        optimiser.zero_grad()
        parts = []
        for part, scale, own in zip(z.split(chunk), size.split(chunk), cells.split(chunk), strict=True):
            with torch.set_grad_enabled(step < steps):
                climbed = climb(part * scale, own)
                if step < steps:
                    (-torch.log(climbed.clamp_min(1e-300))).sum().backward(inputs=[z])
            parts.append(climbed.detach())
        record.absorb("ascent", untouched.scatter(1, cells[:, None], torch.cat(parts)[:, None]), (z * size).detach())
        record.curve.append(record.best.index_select(0, cells).amax())
        if step == steps:
            break
        z.grad = _finite(z.grad)
        optimiser.step()
        decay.step()
        if progress is not None:
            progress(step + 1, steps, "ascent")


def _finite(gradient: Tensor) -> Tensor:
    """The gradient with 0 in place of entries that are not finite."""
    if gradient.is_complex():
        return torch.view_as_complex(torch.nan_to_num(torch.view_as_real(gradient), 0.0, 0.0, 0.0))
    return torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
