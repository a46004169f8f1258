"""Translation covariance, layer by layer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Effort, Seed, seeded
from scatter_theory.verify._common import Progress, as_array, candidates, finish, given, in_double, path_hypothesis, safe_sqrt

#: Relative rounding allowed for an identity between two float64 computations.
IDENTITY = 1e-12


def covariance(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    shifts: Sequence[int | Sequence[int]] | None = None,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure :math:`|||\Phi^n(T_t f) - T_{t/(S_1 \cdots S_n)} \Phi^n(f)||| / \|f\|`, which must vanish up to rounding.

    Parameters
    ----------
    phi, signals, effort, generator, progress
        As in `lipschitz`; there is no ascent, as the claim is an identity.
    shifts : sequence, optional
        Whole shifts in samples, numbers (along every axis) or one per axis; default: ``S_1 ... S_N`` times 1, 2 and 5 in
        mode ``"decimate"``, 1, 3 and 7 otherwise.

    Returns
    -------
    BoundCheck
        One point per layer and shift; the bound is 0 and the tolerance 1e-12.

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
    pools = candidates(phi, given(phi, signals), effort, rng)
    names = [mode for mode, x in pools.items() for _ in range(x.shape[0])]
    everything = torch.cat(list(pools.values()))
    rows, labels, x, witnesses = [], [], [], []
    for i, move in enumerate(moves):
        defect = _defects(phi, everything, move)
        worst, index = torch.nan_to_num(defect, nan=torch.inf).max(0)
        for n in range(phi.depth + 1):
            rows.append(float(defect[index[n], n]))
            labels.append(f"layer {n}")
            x.append(sum((m * h) ** 2 for m, h in zip(move, phi.grid.spacing, strict=True)) ** 0.5)
            witnesses.append((float(worst[n]), int(index[n]), move, n))
        if progress is not None:
            progress(i + 1, len(moves), "covariance")
    top = max(witnesses)
    divisible = all(m % product == 0 for move in moves for m in move)
    hypotheses = [
        Hypothesis("every pooling commutes with translations", all(layer.pooling.commutes for layer in phi.layers)),
        path_hypothesis(phi),
    ]
    if phi.sampling == "decimate":
        hypotheses.append(Hypothesis(f"every shift is a multiple of S_1...S_N = {product} samples", divisible))
    return finish(
        "covariance",
        phi,
        x=x,
        x_label=f"|t| in {phi.grid.unit}",
        series=labels,
        measured=rows,
        bound=[0.0] * len(rows),
        constants={"defect": Constant(0.0, "exact identity on the grid", "derived")},
        hypotheses=hypotheses,
        budget=[ErrorTerm("rounding", IDENTITY * max(1.0, phi.certified_lipschitz().value))],
        started=started,
        seed=seed,
        grid=phi.grid,
        witness={
            "f": as_array(everything[top[1]]), "shift_in_samples": list(top[2]), "layer": top[3],
            "mode": names[top[1]], "seed": seed,
        },
    )


def _whole_shifts(phi: FeatureExtractor, shifts: Any, product: int) -> list[tuple[int, ...]]:
    if shifts is None:
        shifts = [product * k for k in (1, 2, 5)] if phi.sampling == "decimate" else [1, 3, 7]
    moves = []
    for shift in shifts:
        move = tuple(shift) if isinstance(shift, Sequence) else (shift,) * phi.grid.ndim
        if len(move) != phi.grid.ndim or any(float(m) != int(m) for m in move):
            raise ValueError(f"`covariance(shifts=...)`: got {shift!r}, expected whole numbers of samples; `translation` takes fractional ones.")
        moves.append(tuple(int(m) for m in move))
    return moves


def _defects(phi: FeatureExtractor, x: Tensor, move: tuple[int, ...]) -> Tensor:
    """Relative defects ``(n_signals, N + 1)``."""
    parts = []
    with torch.no_grad():
        for f in x.split(32):
            base, moved = phi(f), phi(phi.grid.translate(f, move))
            norm = safe_sqrt(phi.grid.energy(f)).clamp_min(torch.finfo(torch.float64).tiny)
            columns = []
            for a, b in zip(moved.layers, base.layers, strict=True):
                product = int(phi.pooling_product(b.n)) if phi.sampling == "decimate" else 1
                there = b.grid.translate(b.values, tuple(m // product for m in move))
                columns.append(safe_sqrt(b.grid.energy(a.values - there).sum(-1)) / norm)
            parts.append(torch.stack(columns, -1).cpu())
    return torch.cat(parts)
