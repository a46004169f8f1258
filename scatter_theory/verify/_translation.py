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

from scatter_theory import theory
from scatter_theory.certify import LayerCertificate, certified_layer, envelopes, multiplier, non_negative
from scatter_theory.constants import Constant
from scatter_theory.features import Features
from scatter_theory.grid import safe_sqrt
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Attack, Effort, carried, maximise, modulated
from scatter_theory.seeds import Seed, seeded
from scatter_theory.verify._alias import alias_budget, covariance_defect, refinement_trend, shifted, without_nyquist
from scatter_theory.verify._common import (
    EPS,
    NO_DATA,
    ROUNDING,
    Progress,
    admissible,
    as_array,
    candidates,
    checked_shifts,
    chunk_size,
    constant_row,
    finish,
    given,
    in_double,
    layer_constants,
    path_hypothesis,
    propagated_gain,
    safe_ratio,
    vanishing,
    worst_cell,
)

Form = Literal["theorem", "sharp", "multiplier", "posteriori", "full_covariance"]
FORMS: tuple[str, ...] = ("theorem", "sharp", "multiplier", "posteriori", "full_covariance")

CLAIM = {
    "theorem": "translation",
    "sharp": "translation_sharp",
    "multiplier": "translation",
    "posteriori": "translation_posteriori",
    "full_covariance": "full_covariance",
}


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
        The user's signals; more are searched according to `effort`. Zero signals are skipped.
    shifts : sequence, optional
        Shifts in *samples*: numbers (along the first axis) or one number per axis. Default: 1, 4, 16, ... as long as
        the bound says something. In mode ``"decimate"`` whole shifts must be multiples of ``S_1 ... S_n``.
    bound : str
        ``"theorem"`` (above); ``"sharp"``: a certified constant that knows that propagated maps are not negative, for
        layers n >= 1 of modulus and ReLU networks and whole shifts, with its certificates in the result
        (``docs/theory/sharp_translation.md``); ``"multiplier"``:
        :math:`\max_\xi 2 |\sin \pi \langle s, \xi\rangle| |\hat\chi_n(\xi)| \, W_n(f)^{1/2}` with
        :math:`s = t / (S_1 \cdots S_n)`; ``"posteriori"``:
        :math:`2\pi |s| (\sum_q \| |\xi| \hat\chi_n \widehat{U[q]f} \|^2)^{1/2}`; ``"full_covariance"``:
        :math:`|||\Phi^n(T_t f) - T_t \Phi^n(f)||| \le 2\pi |t| K_n |1/(S_1 \cdots S_n) - 1| \, \|f\|`.
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        One point per layer and shift; measured and bound are relative to ``||f||``. Columns in ``extra``: the other
        bounds for the same witness. Without signals and effort INCONCLUSIVE; with paths that depend on the signal
        INAPPLICABLE.

    Raises
    ------
    TypeError, ValueError
        For signals that `FeatureExtractor.forward` refuses, an unknown `bound`, or shifts that are 0 or not numbers.

    Notes
    -----
    Hypotheses of all forms: every pooling commutes with the shift, and the path set is fixed. The theorem and full
    covariance also need admissible layers, maps that send 0 to 0, and output atoms that decay. For shifts by whole
    samples the statement is exact on the grid. For fractional shifts sampling the non-linearity aliases: the features
    then miss covariance by a defect that is measured, and that in one dimension a proven alias budget bounds. By the
    triangle inequality the statement is true up to this defect, which is the discretisation term. The Nyquist bin of
    the signals is set to 0, and a note tells how the worst case changes on finer grids.
    """
    started = time.perf_counter()
    phi = in_double(phi)
    if bound not in FORMS:
        raise ValueError(f"`translation(bound=...)`: got {bound!r}, expected one of {FORMS}.")
    rng, seed = seeded(generator)
    moves = _shifts(phi, shifts)
    fractional = any(not m.whole for m in moves)
    pools = candidates(phi, given(phi, signals), effort, rng)
    hypotheses = _hypotheses(phi, moves, bound)
    bounder = Bounder(phi, moves, bound, certify=all(h.satisfied for h in hypotheses))
    common = {
        "x_label": f"|t| in {phi.grid.unit}",
        "constants": {**bounder.constants, **layer_constants(phi)},
        "hypotheses": hypotheses,
        "certificates": bounder.certificates,
        "started": started,
        "seed": seed,
        "grid": phi.grid,
    }
    if not pools or phi.path_rule.signal_dependent:
        return finish(CLAIM[bound], phi, notes=() if phi.path_rule.signal_dependent else (NO_DATA,), **common)

    if bounder.certificates and effort.structured:
        pools["structured"] = torch.cat([pools["structured"], bounder.extremals(effort.structured)])
    attack = maximise(
        bounder.ratios,
        pools,
        targets=bounder.targets,
        effort=effort,
        chunk=max(1, chunk_size(phi, 16) // 2),
        climb=bounder.climb,
        progress=progress,
    )
    rows = [bounder.row(cell, attack) for cell in range(len(bounder.cells))]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    worst = worst_cell(columns["measured"], columns["bound"], attack)
    n, move = bounder.cells[worst]
    budget = [ErrorTerm("rounding", ROUNDING * columns["bound"] + columns["rounding"])]
    notes, trend, shown = (), [], ["multiplier bound", "a posteriori bound"]
    if bound == "sharp":
        shown.insert(0, "published bound")
        columns["published bound"] = bounder.published()
    if fractional:
        aliasing = np.minimum(columns["covariance defect"], columns["alias budget"])
        budget.append(ErrorTerm("aliasing of the sampled non-linearity", aliasing, "discretisation"))
        notes, trend = _trend(bounder, attack, columns)
        shown += ["covariance defect", "alias budget"]
    return finish(
        CLAIM[bound],
        phi,
        x=[moves[m].length for _, m in bounder.cells],
        series=[f"layer {k}" for k, _ in bounder.cells],
        measured=columns["measured"],
        bound=columns["bound"],
        budget=budget,
        attack=attack,
        witness={
            "f": as_array(bounder.prepare(attack.signals[worst])),
            "shift_in_samples": list(moves[move].samples),
            "layer": n,
            "mode": attack.modes[worst],
            "seed": seed,
            **({"refinement": trend} if trend else {}),
        },
        extra={name: columns[name] for name in shown},
        notes=notes,
        cap=columns["cap"],
        **common,
    )


def _trend(bounder: Bounder, attack: Attack, columns: dict[str, np.ndarray]) -> tuple[tuple[str, ...], list[float]]:
    """How the worst fractional case changes when the same signal is sampled more finely."""
    cells = [c for c, (_, m) in enumerate(bounder.cells) if not bounder.moves[m].whole]
    share = columns["measured"] / np.maximum(columns["bound"], 1e-300)
    cell = max(cells, key=lambda c: share[c])
    n, m = bounder.cells[cell]
    trend = refinement_trend(bounder.phi, bounder.prepare(attack.signals[cell]), bounder.moves[m].units, n)
    if not trend:
        return ("The network cannot be built on finer grids, so that no refinement trend is given.",), trend
    shown = ", ".join(f"{value:.3g}" for value in trend)
    bound = columns["bound"][cell]
    text = f"Worst fractional case, layer {n}, on grids 1, 2 and 4 times as fine: {shown} (bound {bound:.3g})."
    return (f"{text} A fall below the bound shows aliasing, not a counterexample.",), trend


def _shifts(phi: FeatureExtractor, shifts: Sequence[float | Sequence[float]] | None) -> list[Shift]:
    d, h = phi.grid.ndim, phi.grid.spacing
    if shifts is None:
        stride = phi.pooling_product(phi.depth) if phi.sampling == "decimate" else 1
        limit = 1 / (math.pi * max(phi.banks[0].decay_constant().value * h[0], 1e-9))
        powers = [4**k for k in range(8) if 4**k <= max(1.0, limit / 2) and 4**k * stride < phi.grid.shape[0] / 2]
        shifts = [stride * p for p in (powers or [1])]
    moves = []
    for shift in checked_shifts("translation", shifts):
        samples = tuple(float(s) for s in shift) if np.ndim(shift) else (float(shift),) + (0.0,) * (d - 1)
        if len(samples) != d or not all(math.isfinite(s) for s in samples) or not any(samples):
            raise ValueError(
                f"`translation(shifts=...)`: got {shift!r}, expected a non-zero number or {d} numbers, in samples."
            )
        moves.append(Shift(samples, tuple(s * step for s, step in zip(samples, h, strict=True))))
    if not moves:
        raise ValueError("`translation(shifts=...)`: got no shift at all; give numbers of samples, e.g. [1, 2, 4].")
    return moves


def _hypotheses(phi: FeatureExtractor, moves: Sequence[Shift], form: str) -> list[Hypothesis]:
    commutes = all(layer.pooling.commutes for layer in phi.layers)
    conditions = [path_hypothesis(phi), Hypothesis("every pooling commutes with translations", commutes)]
    if phi.sampling == "decimate":
        product = phi.pooling_product(phi.depth)
        good = all(m.whole and all(s % product == 0 for s in m.samples) for m in moves)
        conditions.append(Hypothesis(f"every shift is a multiple of S_1...S_N = {product:g} samples", good))
    if form in ("theorem", "full_covariance"):
        conditions += [admissible(phi), vanishing(phi), _decaying(phi)]
    if form == "sharp":
        whole = all(m.whole for m in moves)
        conditions += [Hypothesis("every shift is whole", whole), vanishing(phi)]
        conditions += [non_negative(phi, n) for n in range(1, phi.depth + 1)]
    return conditions


def _decaying(phi: FeatureExtractor) -> Hypothesis:
    """An output atom that passes the highest frequency has K = sup |xi|, which grows as the grid is refined."""
    shares = []
    for bank in phi.banks:
        highest = float(torch.linalg.vector_norm(bank.grid.frequencies(), dim=0).max())
        peak = float(bank.output.abs().max())
        shares.append(bank.decay_constant().value / (highest * peak) if highest * peak > 0 else 0.0)
    text = "every output atom decays: sup |chi||xi| lies below sup |chi| times the highest frequency"
    return Hypothesis(text, max(shares) < 0.99, max(shares))


class Bounder:
    """Measured differences and bounds of every (layer, shift) cell, relative to ``||f||``.

    What `__init__` computes are numbers; `ratios` stays on the device of its argument.
    """

    def __init__(self, phi: FeatureExtractor, moves: Sequence[Shift], form: str, *, certify: bool = True) -> None:
        self.phi, self.moves, self.form = phi, list(moves), form
        self.fractional = any(not m.whole for m in moves)
        self.cells = [(n, m) for n in range(phi.depth + 1) for m in range(len(self.moves))]
        self.targets = [[i for i, (k, _) in enumerate(self.cells) if k == n] for n in range(phi.depth + 1)]
        if form == "sharp":
            # Every shift has an extremal signal of its own.
            self.targets = [[i] for i in range(len(self.cells))]
        self.constants = {f"K, layer {n}": phi.banks[n].decay_constant() for n in range(phi.depth + 1)}
        self.products = [phi.pooling_product(n) for n in range(phi.depth + 1)]
        self._theorem = [self._theorem_bound(n, m) for n, m in self.cells]
        self._multiplier = [self._multiplier_bound(n, m) for n, m in self.cells]
        self.certificates: tuple[LayerCertificate, ...] = ()
        if form == "sharp":
            self._sharp = self._certified() if certify else self._multiplier

    def _certified(self) -> list[float]:
        r"""Bounds :math:`(\lambda w_n)^{1/2}` with :math:`W_n(f) \le w_n \|f\|^2`; at layer 0 the exact multiplier."""
        decays = [certified_layer(self.phi, "decay", n) for n in range(1, self.phi.depth)]
        first = propagated_gain(self.phi, 1)
        self.constants["W_1 / ||f||^2"] = first
        shares = [1.0, first.value]
        for n, decay in enumerate(decays, 2):
            shares.append(shares[-1] * decay.proof.value)
            source = "times the certified decay of every layer before"
            self.constants[f"W_{n} / ||f||^2"] = Constant(shares[n], source, "certified")
        bounds, found = [], []
        for (n, m), plain in zip(self.cells, self._multiplier, strict=True):
            if n == 0:
                bounds.append(plain)
                continue
            samples = tuple(int(s) for s in self.moves[m].samples)
            certificate = certified_layer(self.phi, "translation", n, samples)
            found.append(certificate)
            bounds.append(math.sqrt(certificate.proof.value * shares[n]))
            source = f"linear program, read off by one FFT; best found {certificate.proof.found:.6g}"
            name = f"c, layer {n}, shift {' '.join(map(str, samples))}"
            self.constants[name] = Constant(certificate.proof.c, source, "certified")
        self.certificates = (*found, *decays)
        return bounds

    def published(self) -> np.ndarray:
        """The theorem's bound per cell; NaN for a network that is not admissible."""
        return np.array(self._theorem) * (1.0 if admissible(self.phi).satisfied else math.nan)

    def extremals(self, count: int) -> Tensor:
        """Carriers with half-waves, and better envelopes, where the certified multipliers are largest."""
        peaks, best = [], []
        for certificate in (c for c in self.certificates if c.claim == "translation"):
            M = multiplier(self.phi, "translation", certificate.layer, certificate.samples)
            peaks.append((certificate.layer, tuple(int(k) for k in np.unravel_index(int(M.argmax()), M.shape))))
            if M.shape == self.phi.grid.shape:
                best += envelopes(M)
        signals = modulated(self.phi, list(dict.fromkeys(peaks)), count)
        if best:
            stacked = torch.from_numpy(np.stack(best)).to(self.phi.device)
            signals = torch.cat([carried(self.phi, stacked, count), signals])
        return signals.to(self.phi.signal_dtype)

    def prepare(self, f: Tensor) -> Tensor:
        """The signal that is measured: without Nyquist bins if any shift is fractional."""
        return without_nyquist(self.phi.grid, f) if self.fractional else f

    def ratios(self, f: Tensor) -> Tensor:
        """Objective of the search, ``(batch, n_cells)``."""
        size = safe_sqrt(self.phi.grid.energy(f))[:, None]
        f = self.prepare(f)
        base = self.phi(f)
        return safe_ratio(self._differences(f, base), self._bounds(f, base), size)

    def climb(self, f: Tensor, cells: Tensor) -> Tensor:
        """Ratio of one cell for every signal, ``(batch,)``: two passes of the extractor for any number of shifts."""
        size = safe_sqrt(self.phi.grid.energy(f))
        f = self.prepare(f)
        layers = torch.tensor([n for n, _ in self.cells], device=f.device).index_select(0, cells)
        shift_of = torch.tensor([m for _, m in self.cells], device=f.device).index_select(0, cells)
        phases = torch.stack([self.phi.grid.phase(move.units, device=f.device) for move in self.moves])
        moved = self.phi.grid.ifft(self.phi.grid.fft(f) * phases.index_select(0, shift_of))
        base, other = self.phi(f), self.phi(moved if f.is_complex() else moved.real)
        norms = []
        for a, b in zip(other.layers, base.layers, strict=True):
            still = b.values
            if self.form == "full_covariance":
                turns = torch.stack([b.grid.phase(move.units, device=f.device) for move in self.moves])
                still = b.grid.ifft(b.grid.fft(still) * turns.index_select(0, shift_of).unsqueeze(1))
            norms.append(safe_sqrt(b.grid.energy(a.values - still).sum(-1)))
        measured = torch.stack(norms, -1).gather(1, layers[:, None])[:, 0]
        bound = self._bounds(f, base).gather(1, cells[:, None])[:, 0]
        return safe_ratio(measured, bound, size)

    def row(self, cell: int, attack: Attack) -> dict[str, float]:
        """Measured value and all bounds of one cell for its witness, relative to ``||f||``."""
        n, m = self.cells[cell]
        f = self.prepare(attack.signals[cell][None])
        with torch.no_grad():
            base = self.phi(f)
            norm = max(float(self.phi.grid.norm(f)), 1e-300)
            row = {
                "measured": float(self._differences(f, base)[0, cell]) / norm,
                "bound": float(self._bounds(f, base)[0, cell]) / norm,
                "multiplier bound": self._multiplier[cell] * float(safe_sqrt(base.remainder[n])) / norm,
                "a posteriori bound": float(self._posteriori(base)[0, cell]) / norm,
                "cap": 2 * float(self.phi.banks[n].output.abs().max()),
                "rounding": self._rounding(m) * (1 + float(base.norm()) / norm),
                "covariance defect": 0.0,
                "alias budget": 0.0,
            }
        if not self.moves[m].whole:
            row["covariance defect"] = covariance_defect(self.phi, f, self.moves[m].units, n) / norm
            row["alias budget"] = alias_budget(self.phi, f, n) / norm
        return row

    def _rounding(self, m: int) -> float:
        """Relative rounding of features and of the phases of a shift, which grow with its number of samples."""
        return 64 * EPS * (1 + max(abs(s) for s in self.moves[m].samples))

    def _layer_shift(self, n: int, m: int) -> tuple[float, ...]:
        """The shift as layer n sees it, in units; for full covariance what is left of it after the features' own."""
        inner = tuple(u / self.products[n] for u in self.moves[m].units)
        if self.form != "full_covariance":
            return inner
        return tuple(s - u for s, u in zip(inner, self.moves[m].units, strict=True))

    def _theorem_bound(self, n: int, m: int) -> float:
        bound = theory.full_covariance_bound if self.form == "full_covariance" else theory.translation_bound
        return bound(self.moves[m].length, self.constants[f"K, layer {n}"].value, self.products[n])

    def _multiplier_bound(self, n: int, m: int) -> float:
        bank = self.phi.banks[n]
        frequencies = bank.grid.frequencies().numpy()
        return theory.translation_multiplier(bank.output.abs().cpu().numpy(), frequencies, self._layer_shift(n, m))

    def _translated(self, f: Tensor, move: Shift) -> Tensor:
        if move.whole:
            return self.phi.grid.translate(f, tuple(int(s) for s in move.samples))
        return shifted(self.phi.grid, f, move.units)

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
        """Features of layer n translated by all of `move`: rolled where that is a whole number of its samples."""
        grid = self.phi.grids[n]
        steps = [u / h for u, h in zip(move.units, grid.spacing, strict=True)]
        if all(abs(s - round(s)) <= 1e-9 * max(1.0, abs(s)) for s in steps):
            return grid.translate(values, [round(s) for s in steps])
        return grid.ifft(grid.fft(values) * grid.phase(move.units, device=values.device))

    def _posteriori(self, base: Features) -> Tensor:
        r""":math:`2\pi|s| (\sum_q \| |\xi| \hat\chi \hat U \|^2)^{1/2}` per cell: the features' gradient norm."""
        slopes = []
        for layer in base.layers:
            radius = torch.linalg.vector_norm(layer.grid.frequencies(device=layer.values.device), dim=0)
            power = (layer.grid.fft(layer.values) * radius).abs().flatten(-layer.grid.ndim).pow(2).sum((-1, -2))
            slopes.append(safe_sqrt(power * layer.grid.cell_volume / layer.grid.size))
        lengths = [math.hypot(*self._layer_shift(n, m)) for n, m in self.cells]
        columns = [
            theory.translation_posteriori_bound(length, 1.0, slopes[n])
            for length, (n, _) in zip(lengths, self.cells, strict=True)
        ]
        return torch.stack(columns, -1)

    def _bounds(self, f: Tensor, base: Features) -> Tensor:
        norm = safe_sqrt(self.phi.grid.energy(f))[:, None]
        if self.form in ("theorem", "full_covariance"):
            return norm * constant_row(self._theorem, norm)
        if self.form == "sharp":
            return norm * constant_row(self._sharp, norm)
        if self.form == "multiplier":
            remainder = torch.stack([safe_sqrt(base.remainder[n]) for n, _ in self.cells], -1)
            return remainder * constant_row(self._multiplier, norm)
        return self._posteriori(base)
