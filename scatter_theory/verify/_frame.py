"""Frame bounds and admissibility."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from scatter_theory.frames import Bank, Frame, FrameBounds
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Effort, maximise, noise, tone, unit_rms
from scatter_theory.seeds import Seed, seeded
from scatter_theory.verify._common import (
    CHUNK_BYTES,
    IDENTITY,
    NO_DATA,
    ROUNDING,
    TINY,
    Progress,
    as_array,
    checked_effort,
    finish,
    layer_constants,
    worst_cell,
)


def frame(
    frame: Frame | Bank,
    grid: Grid | None = None,
    *,
    real: bool | None = None,
    declared: FrameBounds | None = None,
    effort: Effort = Effort(),  # noqa: B008 - frozen
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
        Bounds to be tested. Default: 1 and 1 for a tight frame, else those of the grid.
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        ``"upper"``: largest quotient against B. ``"lower"``: A against the smallest quotient. INAPPLICABLE for a half
        bank with complex signals; INCONCLUSIVE without effort.

    Raises
    ------
    TypeError
        If `frame` is neither a frame nor a bank, or a frame without grid, or `effort` is no `Effort`.
    """
    started = time.perf_counter()
    rng, seed = seeded(generator)
    bank = _bank(frame, grid)
    real = bank.kind == "half" if real is None else real
    bounds = declared if declared is not None else declared_bounds(frame, bank, real)
    A, B = bounds.A.value, bounds.B.value
    text = "a half bank is used for real signals only"
    common = {
        "x_label": "bound",
        "constants": {"A": bounds.A, "B": bounds.B},
        "hypotheses": [Hypothesis(text, real or bank.kind != "half", bank.kind)],
        "started": started,
        "seed": seed,
        "grid": bank.grid,
    }
    pools = _signals(bank, real, checked_effort(effort), rng)
    if not pools:
        return finish("frame", bank.description or bank, notes=(NO_DATA,), **common)

    attack = maximise(
        lambda f: quotient_ratios(bank, A, B, f),
        pools,
        targets=[[0], [1]],
        effort=effort,
        chunk=max(1, min(16, CHUNK_BYTES // (32 * bank.grid.size * (len(bank) + 1)))),
        progress=progress,
    )
    with torch.no_grad():
        upper, lower = (float(quotients(bank, f[None])[0]) for f in attack.signals)
    worst = worst_cell([upper, A], [B, lower], attack)
    return finish(
        "frame",
        bank.description or bank,
        x=[0, 1],
        series=["upper: quotient against B", "lower: A against quotient"],
        measured=[upper, A],
        bound=[B, lower],
        budget=[ErrorTerm("rounding", ROUNDING * max(B, upper))],
        attack=attack,
        witness={"f": as_array(attack.signals[worst]), "mode": attack.modes[worst], "seed": seed},
        notes=() if A > 0 else ("A = 0: some frequencies are lost, so the family is not a frame here.",),
        **common,
    )


def quotients(bank: Bank, f: Tensor) -> Tensor:
    r""":math:`\sum_\lambda \|f * g_\lambda\|^2 / \|f\|^2` of a batch, ``(n,)``."""
    return bank.grid.energy(bank.analyse(f)).sum(-1) / bank.grid.energy(f).clamp_min(TINY)


def quotient_ratios(bank: Bank, A: float, B: float, f: Tensor) -> Tensor:
    """Objective of the search, ``(n, 2)``: quotient / B, and A / quotient (1e-12 B in place of A = 0)."""
    quotient = quotients(bank, f)
    return torch.stack([quotient / max(B, TINY), max(A, 1e-12 * B) / quotient.clamp_min(TINY)], -1)


def admissibility(phi: FeatureExtractor) -> BoundCheck:
    r"""The admissibility condition of every layer.

    .. math:: \sup_\xi \big( |\hat\chi_{n-1}|^2 + L_n^2 R_n^2 \sum_\lambda |\hat g_\lambda|^2 \big) \le 1 ,

    and :math:`\sup |\hat\chi_N|^2 \le 1` for the last output atom. This refined condition is implied by the plain one,
    :math:`\max\{B_n, B_n L_n^2 R_n^2\} \le 1`, whose values are in the column ``"plain"`` of ``extra``, and suffices
    for the Lipschitz, translation and deformation bounds. VIOLATED means that the network is not admissible as it
    stands (`Layer.normalised` mends it); no theorem is contradicted.

    Parameters
    ----------
    phi : FeatureExtractor
        The network; nothing is searched, the condition is evaluated at all DFT frequencies.

    Returns
    -------
    BoundCheck
        One point per layer 1..N and one for the last output atom.
    """
    started = time.perf_counter()
    plain, refined = phi.admissibility(), phi.admissibility(refined=True)
    layers = range(1, phi.depth + 1)
    names = [*(f"layer {n}" for n in layers), "final output atom"]
    notes = []
    if any(c.value > 1 + IDENTITY for c in refined):
        notes.append(f"Scale the frames with `layer.normalised({phi.sampling!r})` to make the network admissible.")
    elif any(c.value > 1 + IDENTITY for c in plain):
        notes.append("The plain condition max{B, B L^2 R^2} <= 1 fails; the refined one holds, and suffices.")
    return finish(
        "admissibility",
        phi,
        x=[*layers, phi.depth + 1],
        x_label="layer n",
        series=names,
        measured=[c.value for c in refined],
        bound=[1.0] * len(names),
        constants={
            **dict(zip(names, refined, strict=True)),
            **{f"plain, layer {n}": c for n, c in zip(layers, plain, strict=False)},
            **layer_constants(phi),
        },
        hypotheses=[],
        budget=[ErrorTerm("rounding", IDENTITY)],
        started=started,
        seed=None,
        grid=phi.grid,
        extra={"plain": [c.value for c in plain]},
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


def declared_bounds(frame: Frame | Bank, bank: Bank, real: bool) -> FrameBounds:
    """1 and 1 for a tight frame, else the exact bounds of the grid."""
    if isinstance(frame, Frame) and frame.tight:
        return frame.bounds(bank.grid.ndim)
    return bank.bounds(real=real)


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
