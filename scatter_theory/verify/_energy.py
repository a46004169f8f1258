"""Energy: bound, balance, remainder and its decay."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames import Bank
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Attack, Effort, Seed, maximise, seeded
from scatter_theory.verify._common import (
    ROUNDING,
    Progress,
    as_array,
    candidates,
    finish,
    given,
    in_double,
    layer_constants,
    safe_ratio,
    vanishing,
)

Form = Literal["bound", "balance", "remainder", "getter", "rate"]
FORMS: tuple[str, ...] = ("bound", "balance", "remainder", "getter", "rate")


def energy(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    form: Form = "bound",
    effort: Effort = Effort(steps=40),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure the energy of features and remainder against a bound.

    Parameters
    ----------
    phi, signals, effort, generator, progress
        As in `lipschitz`.
    form : str
        ``"bound"``: :math:`|||\Phi(f)|||^2 \le c_0 \|f\|^2`.

        ``"balance"``: :math:`\|f\|^2 = \sum_{n<N} |||\Phi^n(f)|||^2 + W_N(f)` (dropped paths booked), for Parseval banks,
        modulus (or identity) and pooling without loss; the measured value is the relative defect.

        ``"remainder"``: :math:`W_n \le \gamma_n W_{n-1}` with :math:`\gamma_n = L_n^2 R_n^2 \sup_\xi G_n`.

        ``"getter"``: :math:`W_n \le (\|f\|^2 - \|f * \chi_0\|^2) \prod_{k=1}^{n-1} (1 - 1/S_k)`, with :math:`S_k` the largest
        number of DFT frequencies in the support of an atom of layer k.

        ``"rate"``: :math:`W_n \le \sum_\xi |\hat f|^2 (1 - \hat r(|\xi| / (\delta a^{n-1}))^2)`, d = 1, one-sided atoms
        with a gap, no pooling; the rate a is computed from the supports.

    Returns
    -------
    BoundCheck
        One point per layer, relative to ``||f||^2`` (``"remainder"``: to ``W_{n-1}``).
    """
    started = time.perf_counter()
    phi = in_double(phi)
    if form not in FORMS:
        raise ValueError(f"`energy(form=...)`: got {form!r}, expected one of {FORMS}.")
    rng, seed = seeded(generator)
    pools = candidates(phi, given(phi, signals), effort, rng)
    measure = {"bound": _Bound, "balance": _Balance, "remainder": _Remainder, "getter": _Getter, "rate": _Rate}[form](phi)
    identity = form == "balance"
    searched = Effort(effort.random, effort.structured, 0, 0) if identity else effort
    attack = maximise(
        measure.ratios,
        pools,
        targets=[[c] for c in range(len(measure.series))],
        effort=searched,
        progress=progress,
    )
    rows = [measure.point(attack.signals[c][None], c) for c in range(len(measure.series))]
    worst = int(attack.best.argmax())
    bounds = np.array([b for _, b in rows])
    return finish(
        {"bound": "energy", "balance": "energy", "remainder": "remainder", "getter": "getter", "rate": "decay_rate"}[form],
        phi,
        x=measure.x,
        x_label="layer n",
        series=measure.series,
        measured=[m for m, _ in rows],
        bound=bounds,
        constants={**measure.constants, **layer_constants(phi)},
        hypotheses=measure.hypotheses,
        budget=[ErrorTerm("rounding", 1e-12 if identity else 2 * ROUNDING * bounds + 1e-14)],
        started=started,
        seed=seed,
        grid=phi.grid,
        attack=attack,
        witness={"f": as_array(attack.signals[worst]), "mode": attack.modes[worst], "seed": seed},
        notes=measure.notes,
    )


def parseval(phi: FeatureExtractor) -> Hypothesis:
    """All banks are Parseval for the maps that enter them."""
    worst = max(
        float((bank.littlewood_paley(real=real) - 1).abs().max())
        for bank, real in zip(phi.banks[: phi.depth], phi.real, strict=False)
    )
    return Hypothesis("every bank is Parseval for its maps: max |sum |g|^2 - 1| <= 1e-12", worst <= 1e-12, worst)


def lossless(phi: FeatureExtractor) -> Hypothesis:
    """Non-linearities and poolings preserve norms."""
    good = all(
        layer.nonlinearity.isometric and layer.pooling.isometric and (phi.sampling == "dilate" or layer.pooling.factor == 1)
        for layer in phi.layers
    )
    names = ", ".join(f"{layer.nonlinearity!r} {layer.pooling!r}" for layer in phi.layers)
    return Hypothesis("non-linearities and poolings preserve the norm", good, names)


class _Measure:
    """A quantity per cell and its bound; subclasses give hypotheses, constants and both numbers."""

    notes: tuple[str, ...] = ()

    def __init__(self, phi: FeatureExtractor) -> None:
        self.phi = phi
        self.constants: dict[str, Constant] = {}
        self.hypotheses: list[Hypothesis] = [vanishing(phi)]
        self.layers = list(range(1, phi.depth + 1))
        self.setup()

    def setup(self) -> None:
        """Fill hypotheses, constants and cells."""

    @property
    def x(self) -> list[int]:
        return self.layers

    @property
    def series(self) -> list[str]:
        return [f"W_{n}" for n in self.layers]

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Measured and bound, each ``(batch, n_cells)``, relative to a natural size."""
        raise TypeError("abstract")

    def ratios(self, f: Tensor) -> Tensor:
        """Objective of the search."""
        measured, bound = self.values(f)
        return safe_ratio(measured, bound, torch.ones_like(bound))

    def point(self, f: Tensor, cell: int) -> tuple[float, float]:
        """Measured value and bound of one cell for one signal."""
        with torch.no_grad():
            measured, bound = self.values(f)
        return float(measured[0, cell]), float(bound[0, cell])

    def total(self, f: Tensor) -> Tensor:
        """``||f||^2`` as a column."""
        return self.phi.grid.energy(f).clamp_min(torch.finfo(torch.float64).tiny)[:, None]


class _Bound(_Measure):
    def setup(self) -> None:
        c = self.phi.certified_lipschitz()
        self.constants["c_0"] = Constant(c.value**2, c.source, c.kind)

    @property
    def x(self) -> list[int]:
        return [self.phi.depth]

    @property
    def series(self) -> list[str]:
        return ["features"]

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        measured = self.phi(f).energy()[:, None] / self.total(f)
        return measured, torch.full_like(measured, self.constants["c_0"].value)


class _Balance(_Measure):
    def setup(self) -> None:
        self.hypotheses += [parseval(self.phi), lossless(self.phi)]
        self.constants["defect"] = Constant(0.0, "telescoped Parseval identity", "derived")

    @property
    def x(self) -> list[int]:
        return [self.phi.depth]

    @property
    def series(self) -> list[str]:
        return ["balance"]

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        features = self.phi(f)
        emitted = features.energy("layer")[:, :-1].sum(-1)
        total = self.total(f)[:, 0]
        defect = (emitted + features.remainder[-1] + features.pruned - total).abs() / total
        return defect[:, None], torch.zeros_like(defect)[:, None]


class _Remainder(_Measure):
    def setup(self) -> None:
        self.gains = []
        for n in self.layers:
            G = float(self.phi.banks[n - 1].propagating_sum(real=self.phi.real[n - 1]).max())
            LR = self.phi.layer_constant(n)
            self.gains.append(LR.value**2 * G)
            self.constants[f"gain, layer {n}"] = Constant(LR.value**2 * G, "L^2 R^2 sup G", "grid" if LR.proves else LR.kind)

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        W = torch.stack(self.phi(f).remainder, -1)
        floor = 1e-12 * W[:, :1]
        measured = W[:, 1:] / (W[:, :-1] + floor).clamp_min(torch.finfo(torch.float64).tiny)
        return measured, torch.tensor(self.gains, dtype=torch.float64, device=f.device).expand_as(measured)


class _Getter(_Measure):
    def setup(self) -> None:
        phi = self.phi
        supports = [int(bank.supports().max()) for bank in phi.banks[: phi.depth]]
        zero = (0,) * phi.grid.ndim
        dc = max(abs(abs(complex(bank.output[zero])) - 1) for bank in phi.banks[: phi.depth])
        self.hypotheses += [
            parseval(phi),
            lossless(phi),
            Hypothesis("modulus in every layer", all(layer.nonlinearity.conjugation == "A" for layer in phi.layers)),
            Hypothesis("every output atom keeps the mean: |chi^(0)| = 1", dc <= 1e-12, dc),
            Hypothesis("no decimation", phi.sampling == "dilate" or all(layer.pooling.factor == 1 for layer in phi.layers)),
        ]
        self.products = [math.prod(1 - 1 / max(s, 1) for s in supports[: n - 1]) for n in self.layers]
        for n, s in enumerate(supports, 1):
            self.constants[f"largest support, layer {n}"] = Constant(s, "non-zero DFT frequencies", "grid", unit="bins")

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        features = self.phi(f)
        total = self.total(f)
        measured = torch.stack(features.remainder[1:], -1) / total
        start = (1 - features.energy("layer")[:, :1] / total).clamp_min(0.0)
        return measured, start * torch.tensor(self.products, dtype=torch.float64, device=f.device)


class _Rate(_Measure):
    def setup(self) -> None:
        phi = self.phi
        line = phi.grid.ndim == 1
        one_sided, gap, rho, low = _supports(phi.banks[: phi.depth]) if line else (False, 0.0, 1.0, 0)
        self.a = 1 / rho if rho > 0 else math.inf
        self.delta = low
        self.hypotheses += [
            Hypothesis("d = 1", line),
            parseval(phi),
            lossless(phi),
            Hypothesis("modulus in every layer", all(layer.nonlinearity.conjugation == "A" for layer in phi.layers)),
            Hypothesis("no pooling (S = 1)", all(layer.pooling.factor == 1 for layer in phi.layers)),
            Hypothesis("every propagating atom is one-sided (analytic)", one_sided),
            Hypothesis("gap at 0: no propagating atom holds the zero frequency", gap > 0, gap),
        ]
        self.constants["a"] = Constant(self.a, "1 / max (q - p)/(q + p) over the supports [p, q]", "grid")
        self.constants["delta"] = Constant(low, "smallest frequency of a propagating atom", "grid", unit="bins")
        half = phi.grid.size / 2
        valid = [n for n in self.layers if low * self.a ** (n - 2) <= half] if one_sided and gap else self.layers
        dropped = [n for n in self.layers if n not in valid]
        self.layers = valid or self.layers
        if dropped:
            self.notes = (f"Beyond layer {valid[-1] if valid else 0} the comparison kernel no longer fits on the grid; no statement there.",)

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        phi = self.phi
        features = phi(f)
        total = self.total(f)
        measured = torch.stack([features.remainder[n] for n in self.layers], -1) / total
        bins = (torch.fft.fftfreq(phi.grid.shape[0], dtype=torch.float64, device=f.device) * phi.grid.shape[0]).abs() if phi.grid.ndim == 1 else None
        if bins is None or self.delta <= 0:
            return measured, torch.ones_like(measured)
        power = phi.grid.fft(f).abs() ** 2 * (phi.grid.cell_volume / phi.grid.size)
        columns = []
        for n in self.layers:
            kernel = (1 - bins / (self.delta * self.a ** (n - 1))).clamp_min(0.0)
            columns.append((power * (1 - kernel**2)).sum(-1))
        return measured, torch.stack(columns, -1) / total


def _supports(banks: tuple[Bank, ...]) -> tuple[bool, float, float, int]:
    """One-sidedness, gap (bins), largest ``(q - p)/(q + p)`` and smallest bin over all propagating atoms (d = 1)."""
    one_sided, rho, low = True, 0.0, 10**9
    for bank in banks:
        n = bank.grid.shape[0]
        bins = torch.round(torch.fft.fftfreq(n, dtype=torch.float64) * n)
        for spectrum in bank.spectra:
            held = bins[(spectrum != 0).cpu()]
            if not len(held):
                continue
            nyquist = held.abs() * 2 == n
            inner = held[~nyquist]
            one_sided = one_sided and bool((inner > 0).all() or (inner < 0).all())
            p, q = float(held.abs().min()), float(held.abs().max())
            low = min(low, int(p))
            rho = max(rho, (q - p) / (q + p) if q + p else 1.0)
    return one_sided, float(low), rho, low
