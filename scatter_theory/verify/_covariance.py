"""Translation covariance, layer by layer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.grid import safe_sqrt
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Effort
from scatter_theory.seeds import Seed, seeded
from scatter_theory.verify._common import (
    IDENTITY,
    NO_DATA,
    TINY,
    Progress,
    as_array,
    candidates,
    checked_shifts,
    chunk_size,
    finish,
    given,
    in_double,
    path_hypothesis,
)


def covariance(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    shifts: Sequence[int | Sequence[int]] | None = None,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure :math:`|||\Phi^n(T_t f) - T_{t/(S_1 \cdots S_n)} \Phi^n(f)|||`, which must vanish up to rounding.

    Parameters
    ----------
    phi, signals, effort, generator, progress
        As in `lipschitz`; there is no ascent, as the claim is an identity.
    shifts : sequence, optional
        Whole shifts in samples, numbers (along every axis) or one per axis. Default: 1, 3 and 7 samples along the first
        axis, and one more for each further axis; times ``S_1 ... S_N`` in mode ``"decimate"``.

    Returns
    -------
    BoundCheck
        One point per layer and shift, relative to the larger of ``||f||`` and the norm of the features; the bound is 0
        and the tolerance 1e-12. Without signals and effort INCONCLUSIVE; with paths that depend on the signal
        INAPPLICABLE.

    Raises
    ------
    TypeError, ValueError
        For signals that `FeatureExtractor.forward` refuses, and for shifts that are not whole or no list.

    Notes
    -----
    Exact on the grid for shifts by whole samples (mode ``"dilate"``: the array shift stays the same, as the spacing is
    relabelled) and, in mode ``"decimate"``, for multiples of ``S_1 ... S_N``; otherwise INAPPLICABLE.
    """
    started = time.perf_counter()
    phi = in_double(phi)
    rng, seed = seeded(generator)
    product = int(phi.pooling_product(phi.depth)) if phi.sampling == "decimate" else 1
    moves = _whole_shifts(phi, shifts, product)
    common = {
        "x_label": f"|t| in {phi.grid.unit}",
        "constants": {"defect": Constant(0.0, "exact identity on the grid", "derived")},
        "hypotheses": _hypotheses(phi, moves, product),
        "started": started,
        "seed": seed,
        "grid": phi.grid,
    }
    pools = candidates(phi, given(phi, signals), effort, rng)
    if not pools or phi.path_rule.signal_dependent:
        return finish("covariance", phi, notes=() if phi.path_rule.signal_dependent else (NO_DATA,), **common)

    everything = torch.cat(list(pools.values()))
    names = [mode for mode, signals in pools.items() for _ in range(signals.shape[0])]
    cells = [(n, move) for move in moves for n in range(phi.depth + 1)]
    worst, index = [], []
    for i, move in enumerate(moves):
        defects = torch.nan_to_num(_all_defects(phi, everything, move), nan=torch.inf)
        worst += defects.amax(0).tolist()
        index += defects.argmax(0).tolist()
        if progress is not None:
            progress(i + 1, len(moves), "covariance")
    top = max(range(len(cells)), key=worst.__getitem__)
    return finish(
        "covariance",
        phi,
        x=[sum((m * h) ** 2 for m, h in zip(move, phi.grid.spacing, strict=True)) ** 0.5 for _, move in cells],
        series=[f"layer {n}" for n, _ in cells],
        measured=worst,
        bound=[0.0] * len(cells),
        budget=[ErrorTerm("rounding", IDENTITY)],
        witness={
            "f": as_array(everything[index[top]]),
            "shift_in_samples": list(cells[top][1]),
            "layer": cells[top][0],
            "mode": names[index[top]],
            "seed": seed,
        },
        **common,
    )


def _hypotheses(phi: FeatureExtractor, moves: Sequence[tuple[int, ...]], product: int) -> list[Hypothesis]:
    commutes = all(layer.pooling.commutes for layer in phi.layers)
    conditions = [Hypothesis("every pooling commutes with translations", commutes), path_hypothesis(phi)]
    if phi.sampling == "decimate":
        divisible = all(m % product == 0 for move in moves for m in move)
        conditions.append(Hypothesis(f"every shift is a multiple of S_1...S_N = {product} samples", divisible))
    return conditions


def _whole_shifts(phi: FeatureExtractor, shifts: Any, product: int) -> list[tuple[int, ...]]:
    d = phi.grid.ndim
    if shifts is None:
        return [tuple(product * (k + axis) for axis in range(d)) for k in (1, 3, 7)]
    moves = []
    for shift in checked_shifts("covariance", shifts):
        move = tuple(shift) if np.ndim(shift) else (shift,) * d
        if len(move) != d or any(float(m) != int(m) for m in move):
            raise ValueError(
                f"`covariance(shifts=...)`: got {shift!r}, expected whole numbers of samples; `translation` takes "
                "fractional ones."
            )
        moves.append(tuple(int(m) for m in move))
    if not moves:
        raise ValueError("`covariance(shifts=...)`: got no shift at all; give numbers of samples, e.g. [1, 3].")
    return moves


def _all_defects(phi: FeatureExtractor, x: Tensor, move: tuple[int, ...]) -> Tensor:
    with torch.no_grad():
        return torch.cat([defects(phi, f, move) for f in x.split(chunk_size(phi))])


def defects(phi: FeatureExtractor, f: Tensor, move: tuple[int, ...]) -> Tensor:
    """Relative defects ``(batch, N + 1)`` of one shift, on the device of `f`."""
    base, moved = phi(f), phi(phi.grid.translate(f, move))
    size = torch.maximum(phi.grid.norm(f), safe_sqrt(base.energy())).clamp_min(TINY)
    columns = []
    for a, b in zip(moved.layers, base.layers, strict=True):
        product = int(phi.pooling_product(b.n)) if phi.sampling == "decimate" else 1
        there = b.grid.translate(b.values, tuple(m // product for m in move))
        columns.append(safe_sqrt(b.grid.energy(a.values - there).sum(-1)) / size)
    return torch.stack(columns, -1)
