"""Frame bounds and admissibility."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames import Bank, Frame, FrameBounds
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Effort, Seed, maximise, noise, seeded, tone, unit_rms
from scatter_theory.verify._common import ROUNDING, Progress, as_array, finish, layer_constants


def frame(
    frame: Frame | Bank,
    grid: Grid | None = None,
    *,
    real: bool | None = None,
    declared: FrameBounds | None = None,
    effort: Effort = Effort(steps=60),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure :math:`\sum_\lambda \|f * g_\lambda\|^2 / \|f\|^2` against the frame bounds A and B.

    The sums are computed in space, by convolving every signal with every atom; the bounds come from frequency. Tones at
    the extremes of the Littlewood-Paley sum attain them.

    Parameters
    ----------
    frame : Frame or Bank
        A `Frame` needs `grid`.
    grid : Grid, optional
    real : bool, optional
        Search over real signals only. Default: True for a half bank, else False.
    declared : FrameBounds, optional
        Bounds to be tested. Default: those over all frequencies if the frame has proven ones, else those of the grid.
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        ``"upper"``: largest quotient against B. ``"lower"``: A against the smallest quotient.

    Raises
    ------
    TypeError
        If `frame` is neither a frame nor a bank, or a frame without grid.
    """
    started = time.perf_counter()
    rng, seed = seeded(generator)
    bank = _bank(frame, grid)
    real = bank.kind == "half" if real is None else real
    bounds = declared if declared is not None else _declared(frame, bank, real)
    pools = _signals(bank, real, effort, rng)
    A, B = bounds.A.value, bounds.B.value

    def objective(f: Tensor) -> Tensor:
        coefficients = bank.analyse(f)
        quotient = bank.grid.energy(coefficients).sum(-1) / bank.grid.energy(f).clamp_min(torch.finfo(torch.float64).tiny)
        return torch.stack([quotient / max(B, 1e-300), A / quotient.clamp_min(1e-300)], -1)

    attack = maximise(objective, pools, targets=[[0], [1]], effort=effort, chunk=16, progress=progress)
    upper, lower = float(attack.best[0]) * B, A / float(attack.best[1]) if A > 0 else _smallest(objective, attack.signals[1], B)
    worst = int(attack.best.argmax())
    return finish(
        "frame",
        bank.description or bank,
        x=[0, 1],
        x_label="bound",
        series=["upper: quotient against B", "lower: A against quotient"],
        measured=[upper, A],
        bound=[B, lower],
        constants={"A": bounds.A, "B": bounds.B},
        hypotheses=[
            Hypothesis("a half bank is used for real signals only", real or bank.kind != "half", bank.kind),
        ],
        budget=[ErrorTerm("rounding", [ROUNDING * max(B, 1e-300), ROUNDING * max(B, 1e-300)])],
        started=started,
        seed=seed,
        grid=bank.grid,
        attack=attack,
        witness={"f": as_array(attack.signals[worst]), "mode": attack.modes[worst], "seed": seed},
        notes=() if A > 0 else ("A = 0: some frequencies are lost, so the family is not a frame here.",),
    )


def admissibility(phi: FeatureExtractor) -> BoundCheck:
    r"""The admissibility condition of every layer, plain and refined.

    .. math:: \max\{B_n, B_n L_n^2 R_n^2\} \le 1, \qquad
              \sup_\xi \big( |\hat\chi_{n-1}|^2 + L_n^2 R_n^2 \sum_\lambda |\hat g_\lambda|^2 \big) \le 1 .

    The refined condition is weaker and suffices for the Lipschitz, translation and deformation bounds. VIOLATED means that
    the network is not admissible as it stands (`Layer.normalised` mends it); no theorem is contradicted.
    """
    started = time.perf_counter()
    plain, refined = phi.admissibility(), phi.admissibility(refined=True)
    n_layers = phi.depth
    names = [*(f"plain, layer {n}" for n in range(1, n_layers + 1)), *(f"refined, layer {n}" for n in range(1, n_layers + 1)), "final output atom"]
    values = [c.value for c in plain[:-1]] + [c.value for c in refined]
    constants = dict(zip(names, [*plain[:-1], *refined], strict=True))
    good = all(c.value <= 1 + 1e-12 for c in refined)
    notes = () if good else (f"Scale the frames with `layer.normalised({phi.sampling!r})` to make the network admissible.",)
    return finish(
        "admissibility",
        phi,
        x=[*range(1, n_layers + 1), *range(1, n_layers + 2)],
        x_label="layer n",
        series=names,
        measured=values,
        bound=[1.0] * len(values),
        constants={**constants, **layer_constants(phi)},
        hypotheses=[],
        budget=[ErrorTerm("rounding", 1e-12)],
        started=started,
        seed=None,
        grid=phi.grid,
        notes=notes,
    )


def _bank(frame: Any, grid: Grid | None) -> Bank:
    if isinstance(frame, Bank):
        return frame
    if not isinstance(frame, Frame):
        raise TypeError(f"`frame(frame=...)`: got {type(frame).__name__}, expected a Frame or a Bank.")
    if grid is None:
        raise TypeError("`frame(grid=...)`: a Frame needs the grid on which it is measured, e.g. `Grid.line(256)`.")
    return frame.on(grid)


def _declared(frame: Frame | Bank, bank: Bank, real: bool) -> FrameBounds:
    """Proven bounds over all frequencies if there are any, else the exact ones of the grid."""
    if isinstance(frame, Frame) and frame.tight:
        return frame.bounds(bank.grid.ndim)
    return bank.bounds(real=real)


def _smallest(objective: Any, signal: Tensor, B: float) -> float:
    with torch.no_grad():
        return float(objective(signal[None])[0, 0]) * B


def _signals(bank: Bank, real: bool, effort: Effort, rng: torch.Generator) -> dict[str, Tensor]:
    grid, device = bank.grid, bank.output.device
    pools = {}
    if effort.random:
        pools["random"] = noise(grid, effort.random, rng, complex_input=not real, device=device)
    if effort.structured:
        total = bank.littlewood_paley(real=real).flatten()
        order = torch.argsort(total)
        picked = torch.cat([order[:4], order[-4:], order[:: max(1, len(order) // effort.structured)]]).tolist()
        bins = [torch.unravel_index(torch.tensor(k), grid.shape) for k in dict.fromkeys(picked)]
        tones = [tone(grid, [int(i) for i in k], complex_input=not real, device=device) for k in bins]
        pools["structured"] = unit_rms(torch.stack(tones), grid.ndim)
    return pools


