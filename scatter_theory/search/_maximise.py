"""Search for the worst case: given, random and structured candidates, then gradient ascent from the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]


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
        Starting points of the ascent per target.
    """

    random: int = 32
    structured: int = 96
    steps: int = 100
    restarts: int = 4

    def __post_init__(self) -> None:
        for name in ("random", "structured", "steps", "restarts"):
            value = getattr(self, name)
            if isinstance(value, bool) or int(value) != value or value < 0:
                raise ValueError(f"`Effort({name}=...)`: got {value!r}, expected a whole number >= 0.")


@dataclass
class Attack:
    """Best ratio of every cell, by mode, with the signal that attains it.

    Parameters
    ----------
    best : (n_cells,) tensor
        Largest ratio found.
    signals : list of tensors
        The candidate that attains it, per cell.
    modes : list of str
        The mode that found it, per cell.
    by_mode : dict of str to (n_cells,) tensors
        Largest ratio of each mode.
    curve : list of float
        Best ratio over all targets after each step of the ascent.
    tried : int
        Candidates evaluated.
    """

    best: Tensor
    signals: list[Tensor]
    modes: list[str]
    by_mode: dict[str, Tensor] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)
    tried: int = 0


def maximise(
    objective: Objective,
    candidates: Mapping[str, Tensor],
    *,
    targets: Sequence[Sequence[int]],
    effort: Effort,
    extra_starts: Tensor | None = None,
    chunk: int = 64,
    progress: Callable[[int, int, str], None] | None = None,
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
    extra_starts : tensor, optional
        Further starting points of the ascent.
    chunk : int
        Candidates evaluated at once.
    progress : callable, optional
        Called as ``progress(done, total, text)``.
    """
    pools = {mode: x for mode, x in candidates.items() if x.shape[0]}
    if not pools:
        raise ValueError("`maximise(candidates=...)`: no candidate signal at all.")
    ratios = {mode: _evaluate(objective, x, chunk) for mode, x in pools.items()}
    first = next(iter(ratios.values()))
    n_cells = first.shape[1]
    attack = Attack(torch.full((n_cells,), -1.0, dtype=torch.float64), [None] * n_cells, [""] * n_cells)
    for mode, ratio in ratios.items():
        _absorb(attack, mode, ratio, pools[mode])
    if effort.steps and effort.restarts:
        _ascend(objective, pools, ratios, targets, effort, extra_starts, attack, progress)
    return attack


def _evaluate(objective: Objective, x: Tensor, chunk: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([objective(part).cpu() for part in x.split(chunk)])


def _absorb(attack: Attack, mode: str, ratio: Tensor, x: Tensor) -> None:
    attack.tried += x.shape[0]
    worst = torch.nan_to_num(ratio, nan=torch.inf)
    top, index = worst.max(0)
    attack.by_mode[mode] = torch.maximum(attack.by_mode.get(mode, torch.full_like(top, -1.0)), top)
    for cell in torch.nonzero(top > attack.best).flatten().tolist():
        attack.best[cell] = ratio[index[cell], cell]
        attack.signals[cell] = x[index[cell]].detach().clone()
        attack.modes[cell] = mode


def _ascend(
    objective: Objective,
    pools: Mapping[str, Tensor],
    ratios: Mapping[str, Tensor],
    targets: Sequence[Sequence[int]],
    effort: Effort,
    extra_starts: Tensor | None,
    attack: Attack,
    progress: Callable[[int, int, str], None] | None,
) -> None:
    """Adam on the logarithm of the ratio, all targets and restarts in one batch; the step follows the signal's norm."""
    everything = torch.cat(list(pools.values()))
    table = torch.cat(list(ratios.values()))
    starts, cells = [], []
    for group in targets:
        cell = max(group, key=lambda c: float(attack.best[c]))
        for k in torch.topk(table[:, cell], min(effort.restarts, table.shape[0])).indices.tolist():
            starts.append(everything[k])
            cells.append(cell)
        if extra_starts is not None and len(extra_starts):
            starts.append(extra_starts[len(cells) % len(extra_starts)])
            cells.append(cell)
    x0 = torch.stack(starts)
    picked = torch.tensor(cells, device=x0.device)
    size = x0.abs().flatten(1).pow(2).mean(1).sqrt().reshape(-1, *(1,) * (x0.ndim - 1))
    z = (x0 / size).clone().requires_grad_(True)
    optimiser = torch.optim.Adam([z], lr=0.03)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, effort.steps, eta_min=1e-3)
    for step in range(effort.steps + 1):
        optimiser.zero_grad()
        with torch.enable_grad():
            ratio = objective(z * size)
            own = ratio.gather(1, picked[:, None])[:, 0]
            if step < effort.steps:
                (-torch.log(own.clamp_min(1e-300))).sum().backward()
        _absorb(attack, "ascent", ratio.detach().cpu(), (z * size).detach())
        attack.curve.append(float(torch.stack([attack.best[c] for c in cells]).max()))
        if step == effort.steps:
            break
        real_view = torch.view_as_real(z.grad) if z.is_complex() else z.grad
        real_view.nan_to_num_(0.0, 0.0, 0.0)
        optimiser.step()
        decay.step()
        if progress is not None:
            progress(step + 1, effort.steps, "ascent")
