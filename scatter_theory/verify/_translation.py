"""Vertical translation invariance: the theorem, its per-shift and a posteriori forms, and full covariance."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.features import Features
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Attack, Effort, Seed, maximise, seeded
from scatter_theory.verify._alias import alias_budget, refinement_trend, without_nyquist
from scatter_theory.verify._common import (
    ROUNDING,
    Progress,
    admissible,
    as_array,
    candidates,
    finish,
    given,
    in_double,
    layer_constants,
    path_hypothesis,
    safe_ratio,
    safe_sqrt,
    vanishing,
)

Form = Literal["theorem", "multiplier", "posteriori", "full_covariance"]
FORMS: tuple[str, ...] = ("theorem", "multiplier", "posteriori", "full_covariance")


@dataclass(frozen=True)
class Shift:
    """A translation: in samples per axis, in units, and its Euclidean length."""

    samples: tuple[float, ...]
    units: tuple[float, ...]

    @property
    def length(self) -> float:
        """``|t|`` in units."""
        return math.hypot(*self.units)

    @property
    def whole(self) -> bool:
        """Whether it is a shift by whole samples."""
        return all(float(m).is_integer() for m in self.samples)


def translation(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    shifts: Sequence[float | Sequence[float]] | None = None,
    bound: Form = "theorem",
    effort: Effort = Effort(),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure vertical translation invariance against its bound, layer by layer.

    .. math:: |||\Phi^n(T_t f) - \Phi^n(f)||| \le \frac{2\pi |t| K_n}{S_1 \cdots S_n} \|f\|,
              \qquad K_n = \max_k |\hat\chi_n(\xi_k)| |\xi_k| .

    Parameters
    ----------
    phi : FeatureExtractor
        Applied in float64.
    signals : (*batch, *shape) tensor or array, optional
        The user's signals; more are searched according to `effort`.
    shifts : sequence, optional
        Shifts in *samples*: numbers (along the first axis) or one number per axis. Default: 1, 2, 4, ... as long as
        the bound says something. In mode ``"decimate"`` whole shifts must be multiples of ``S_1 ... S_n``.
    bound : str
        ``"theorem"`` (above); ``"multiplier"``: :math:`\max_\xi 2 |\sin \pi \langle s, \xi\rangle| |\hat\chi_n(\xi)| \, W_n(f)^{1/2}`
        with :math:`s = t / (S_1 \cdots S_n)`; ``"posteriori"``:
        :math:`2\pi |s| (\sum_q \| |\xi| \hat\chi_n \widehat{U[q]f} \|^2)^{1/2}`; ``"full_covariance"``:
        :math:`|||\Phi^n(T_t f) - T_t \Phi^n(f)||| \le 2\pi |t| K_n |1/(S_1 \cdots S_n) - 1| \, \|f\|`.
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        One point per layer and shift; measured and bound are relative to ``||f||``. Columns in ``extra``: the other
        bounds for the same witness.

    Notes
    -----
    Hypotheses: every layer is admissible, every pooling commutes with the shift, the non-linearities vanish at 0 and act
    pointwise, the path set is fixed. For shifts by whole samples the statement is exact on the grid. For fractional shifts
    sampling the non-linearity aliases; the Nyquist bin of the signals is set to 0, and a discretisation term is
    added: the proven alias budget in one dimension, the measured covariance defect otherwise.
    """
    started = time.perf_counter()
    phi = in_double(phi)
    if bound not in FORMS:
        raise ValueError(f"`translation(bound=...)`: got {bound!r}, expected one of {FORMS}.")
    rng, seed = seeded(generator)
    moves = _shifts(phi, shifts)
    fractional = any(not m.whole for m in moves)
    pools = candidates(phi, given(phi, signals), effort, rng)
    if fractional:
        pools = {mode: without_nyquist(phi.grid, x) for mode, x in pools.items()}
    bounder = _Bounder(phi, moves, bound)
    attack = maximise(
        bounder.ratios, pools, targets=bounder.targets, effort=effort, chunk=16, progress=progress
    )
    rows = [bounder.row(cell, attack) for cell in range(len(attack.signals))]
    worst = int(attack.best.argmax())
    n, move = bounder.cells[worst]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    budget = [ErrorTerm("rounding", ROUNDING * columns["bound"] + 1e-13)]
    notes: tuple[str, ...] = ()
    extra = {name: columns[name] for name in ("multiplier bound", "a posteriori bound")}
    if fractional:
        budget.append(ErrorTerm("aliasing of the sampled non-linearity", columns["aliasing"], "discretisation"))
        notes = refinement_trend(phi, attack.signals[worst], moves[move], n)
    return finish(
        "full_covariance" if bound == "full_covariance" else "translation" if bound != "posteriori" else "translation_posteriori",
        phi,
        x=[moves[m].length for _, m in bounder.cells],
        x_label=f"|t| in {phi.grid.unit}",
        series=[f"layer {k}" for k, _ in bounder.cells],
        measured=columns["measured"],
        bound=columns["bound"],
        constants={**bounder.constants, **layer_constants(phi)},
        hypotheses=[admissible(phi), vanishing(phi), path_hypothesis(phi), *_commuting(phi, moves), _decaying(phi)],
        budget=budget,
        started=started,
        seed=seed,
        grid=phi.grid,
        attack=attack,
        witness={
            "f": as_array(attack.signals[worst]), "shift_in_samples": list(moves[move].samples), "layer": n,
            "mode": attack.modes[worst], "seed": seed,
        },
        extra=extra,
        notes=notes,
        cap=columns["cap"],
    )


def _shifts(phi: FeatureExtractor, shifts: Sequence[float | Sequence[float]] | None) -> list[Shift]:
    d, h = phi.grid.ndim, phi.grid.spacing
    if shifts is None:
        stride = phi.pooling_product(phi.depth) if phi.sampling == "decimate" else 1
        limit = 1 / (math.pi * max(phi.banks[0].decay_constant().value * h[0], 1e-9))
        powers = [2**k for k in range(16) if 2**k <= max(1.0, limit / 2) and 2**k * stride < phi.grid.shape[0] / 2]
        shifts = [stride * p for p in (powers or [1])]
    moves = []
    for shift in shifts:
        samples = tuple(float(s) for s in shift) if isinstance(shift, Sequence) else (float(shift),) + (0.0,) * (d - 1)
        if len(samples) != d or not all(math.isfinite(s) for s in samples) or not any(samples):
            raise ValueError(f"`translation(shifts=...)`: got {shift!r}, expected a non-zero number or {d} numbers, in samples.")
        moves.append(Shift(samples, tuple(s * step for s, step in zip(samples, h, strict=True))))
    if not moves:
        raise ValueError("`translation(shifts=...)`: got no shift at all.")
    return moves


def _commuting(phi: FeatureExtractor, moves: Sequence[Shift]) -> list[Hypothesis]:
    conditions = [Hypothesis("every pooling commutes with translations", all(layer.pooling.commutes for layer in phi.layers))]
    if phi.sampling == "decimate":
        product = phi.pooling_product(phi.depth)
        good = all(m.whole and all(s % product == 0 for s in m.samples) for m in moves)
        conditions.append(Hypothesis(f"every shift is a multiple of S_1...S_N = {product:g} samples", good))
    return conditions


def _decaying(phi: FeatureExtractor) -> Hypothesis:
    """The decay condition is uniform only if the output atom is a low-pass: K well below the Nyquist frequency."""
    worst = max(_decay(phi, n).value / (math.hypot(*phi.grids[n].nyquist) * max(float(phi.banks[n].output.abs().max()), 1e-300)) for n in range(phi.depth + 1))
    return Hypothesis("every output atom decays: sup |chi||xi| lies below the corner of the frequency box", worst < 0.99, worst)


def _decay(phi: FeatureExtractor, n: int) -> Constant:
    return phi.banks[n].decay_constant()


class _Bounder:
    """Measured differences and bounds of every (layer, shift) cell, relative to ``||f||``."""

    def __init__(self, phi: FeatureExtractor, moves: Sequence[Shift], form: str) -> None:
        self.phi, self.moves, self.form = phi, list(moves), form
        self.cells = [(n, m) for n in range(phi.depth + 1) for m in range(len(self.moves))]
        self.targets = [[i for i, (k, _) in enumerate(self.cells) if k == n] for n in range(phi.depth + 1)]
        self.constants = {f"K, layer {n}": _decay(phi, n) for n in range(phi.depth + 1)}
        self._theorem = torch.tensor([self._theorem_bound(n, m) for n, m in self.cells], dtype=torch.float64, device=phi.device)
        self._multiplier = torch.tensor([self._multiplier_bound(n, m) for n, m in self.cells], dtype=torch.float64, device=phi.device)

    def _layer_shift(self, n: int, m: int) -> tuple[float, ...]:
        product = self.phi.pooling_product(n)
        return tuple(u / product for u in self.moves[m].units)

    def _theorem_bound(self, n: int, m: int) -> float:
        product = self.phi.pooling_product(n)
        factor = abs(1 / product - 1) if self.form == "full_covariance" else 1 / product
        return 2 * math.pi * self.moves[m].length * self.constants[f"K, layer {n}"].value * factor

    def _multiplier_bound(self, n: int, m: int) -> float:
        grid, chi = self.phi.grids[n], self.phi.banks[n].output.abs().double()
        phase = grid.phase(self._layer_shift(n, m), device=chi.device)
        if self.form == "full_covariance":
            phase = phase * grid.phase(self.moves[m].units, device=chi.device).conj()
        return float(((phase - 1).abs() * chi).max())

    def _translated(self, f: Tensor, move: Shift) -> Tensor:
        if move.whole:
            return self.phi.grid.translate(f, tuple(int(s) for s in move.samples))
        shifted = self.phi.grid.ifft(self.phi.grid.fft(f) * self.phi.grid.phase(move.units, device=f.device))
        return shifted if f.is_complex() else shifted.real

    def _differences(self, f: Tensor, base: Features) -> Tensor:
        """``(batch, n_cells)`` norms of the feature differences."""
        columns: dict[tuple[int, int], Tensor] = {}
        for m, move in enumerate(self.moves):
            moved = self.phi(self._translated(f, move))
            for a, b in zip(moved.layers, base.layers, strict=True):
                other = self._move_features(b.values, b.n, move) if self.form == "full_covariance" else b.values
                columns[b.n, m] = safe_sqrt(b.grid.energy(a.values - other).sum(-1))
        return torch.stack([columns[cell] for cell in self.cells], -1)

    def _move_features(self, values: Tensor, n: int, move: Shift) -> Tensor:
        grid = self.phi.grids[n]
        return grid.ifft(grid.fft(values) * grid.phase(move.units, device=values.device))

    def _posteriori(self, base: Features) -> Tensor:
        r""":math:`2\pi|s| (\sum_q \| |\xi| \hat\chi \hat U \|^2)^{1/2}` per cell: the features' gradient norm."""
        gradients = []
        for layer in base.layers:
            radius = torch.linalg.vector_norm(layer.grid.frequencies(device=layer.values.device), dim=0)
            power = (layer.grid.fft(layer.values) * radius).abs().flatten(-layer.grid.ndim).pow(2).sum((-1, -2))
            gradients.append(safe_sqrt(power * layer.grid.cell_volume / layer.grid.size))
        columns = []
        for n, m in self.cells:
            s = math.hypot(*self._layer_shift(n, m))
            columns.append(2 * math.pi * s * gradients[n])
        return torch.stack(columns, -1)

    def _bounds(self, f: Tensor, base: Features) -> Tensor:
        norm = safe_sqrt(self.phi.grid.energy(f))[:, None]
        if self.form in ("theorem", "full_covariance"):
            return norm * self._theorem
        if self.form == "multiplier":
            remainder = torch.stack([safe_sqrt(base.remainder[n]) for n, _ in self.cells], -1)
            return remainder * self._multiplier
        return self._posteriori(base)

    def ratios(self, f: Tensor) -> Tensor:
        """Objective of the search, ``(batch, n_cells)``."""
        base = self.phi(f)
        size = safe_sqrt(self.phi.grid.energy(f))[:, None]
        return safe_ratio(self._differences(f, base), self._bounds(f, base), size)

    def row(self, cell: int, attack: Attack) -> dict[str, float]:
        """Measured value and all bounds of one cell for its witness, relative to ``||f||``."""
        f = attack.signals[cell][None]
        with torch.no_grad():
            base = self.phi(f)
            norm = float(self.phi.grid.norm(f))
            n, m = self.cells[cell]
            bound = float(self._bounds(f, base)[0, cell])
            row = {
                "measured": float(self._differences(f, base)[0, cell]) / norm,
                "bound": bound / norm,
                "multiplier bound": float(self._multiplier[cell]) * float(safe_sqrt(base.remainder[n])) / norm,
                "a posteriori bound": float(self._posteriori(base)[0, cell]) / norm,
                "cap": 2 * float(self.phi.banks[n].output.abs().max()),
            }
            if not self.moves[m].whole:
                row["aliasing"] = alias_budget(self.phi, f, self.moves[m], n, self._layer_shift(n, m)) / norm
            elif any(not move.whole for move in self.moves):
                row["aliasing"] = 0.0
        return row
