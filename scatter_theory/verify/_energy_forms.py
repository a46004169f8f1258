"""The five statements about energy: hypotheses and constants, and measured value and bound for a batch of signals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.certify import LayerCertificate, certified_layer, non_negative
from scatter_theory.constants import IDENTITY, Constant
from scatter_theory.frames import Bank
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import Hypothesis
from scatter_theory.verify._common import TINY, constant_row, propagated_gain, safe_ratio, vanishing

#: Shares of the energy for which the rate tells the number of layers.
SHARES = (0.5, 0.9, 0.99)


def parseval(phi: FeatureExtractor) -> Hypothesis:
    """All banks are Parseval for the maps that enter them."""
    worst = max(
        float((bank.littlewood_paley(real=real) - 1).abs().max())
        for bank, real in zip(phi.banks[: phi.depth], phi.real, strict=False)
    )
    return Hypothesis("every bank is Parseval for its maps: max |sum |g|^2 - 1| <= 1e-12", worst <= IDENTITY, worst)


def lossless(phi: FeatureExtractor) -> Hypothesis:
    """Non-linearities and poolings preserve norms."""
    good = all(
        layer.nonlinearity.isometric
        and layer.pooling.isometric
        and (phi.sampling == "dilate" or layer.pooling.factor == 1)
        for layer in phi.layers
    )
    names = ", ".join(f"{layer.nonlinearity!r} {layer.pooling!r}" for layer in phi.layers)
    return Hypothesis("non-linearities and poolings preserve the norm", good, names)


def moduli(phi: FeatureExtractor) -> Hypothesis:
    """All maps are real and lose nothing but the phase."""
    good = all(layer.nonlinearity.conjugation == "A" for layer in phi.layers)
    return Hypothesis("modulus in every layer", good)


class Measure(ABC):
    """A quantity per cell and its bound.

    What `__init__` computes are numbers; `values` and `ratios` stay on the device of their argument.
    """

    claim = ""
    notes: tuple[str, ...] = ()
    certificates: tuple[LayerCertificate, ...] = ()

    def __init__(self, phi: FeatureExtractor) -> None:
        self.phi = phi
        self.constants: dict[str, Constant] = {}
        self.hypotheses: list[Hypothesis] = [vanishing(phi)]
        self.layers = list(range(1, phi.depth + 1))
        self.setup()

    @abstractmethod
    def setup(self) -> None:
        """Fill hypotheses, constants and cells."""

    @property
    def x(self) -> list[int]:
        """Layer of every cell."""
        return self.layers

    @property
    def series(self) -> list[str]:
        """Name of every cell."""
        return [f"W_{n}" for n in self.layers]

    @abstractmethod
    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Measured and bound, each ``(batch, n_cells)``, relative to a natural size."""

    def others(self, f: Tensor) -> dict[str, Tensor]:
        """Further bounds of it, ``(batch, n_cells)`` by name; NaN or left out where they do not apply."""
        return {}

    def ratios(self, f: Tensor) -> Tensor:
        """Objective of the search."""
        measured, bound = self.values(f)
        return safe_ratio(measured, bound, torch.ones_like(bound))

    def total(self, f: Tensor) -> Tensor:
        """``||f||^2`` as a column."""
        return self.phi.grid.energy(f).clamp_min(TINY)[:, None]


class Bound(Measure):
    """The energy of all features against c_0."""

    claim = "energy"

    def setup(self) -> None:
        """The squared certified constant."""
        c = self.phi.certified_lipschitz()
        self.constants["c_0"] = Constant(c.value**2, c.source, c.kind)

    @property
    def x(self) -> list[int]:
        """The last layer."""
        return [self.phi.depth]

    @property
    def series(self) -> list[str]:
        """One cell."""
        return ["features"]

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Energy of the features relative to that of f, and c_0."""
        measured = self.phi(f).energy()[:, None] / self.total(f)
        return measured, torch.full_like(measured, self.constants["c_0"].value)


class Balance(Measure):
    """The energy identity."""

    claim = "energy"

    def setup(self) -> None:
        """Parseval and lossless."""
        self.hypotheses += [parseval(self.phi), lossless(self.phi)]
        self.constants["defect"] = Constant(0.0, "telescoped Parseval identity", "derived")

    @property
    def x(self) -> list[int]:
        """The last layer."""
        return [self.phi.depth]

    @property
    def series(self) -> list[str]:
        """One cell."""
        return ["balance"]

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Relative defect, and 0."""
        features = self.phi(f)
        emitted = features.energy("layer")[:, :-1].sum(-1)
        total = self.total(f)[:, 0]
        defect = (emitted + features.remainder[-1] + features.pruned - total).abs() / total
        return defect[:, None], torch.zeros_like(defect)[:, None]


def _passed_on(phi: FeatureExtractor, f: Tensor) -> Tensor:
    """``W_n / W_{n-1}`` for n = 1..N, ``(batch, N)``; near 0 where the latter is rounding."""
    W = torch.stack(phi(f).remainder, -1)
    return W[:, 1:] / (W[:, :-1] + 1e-12 * W[:, :1]).clamp_min(TINY)


class Remainder(Measure):
    """What a layer propagates against what enters it."""

    claim = "remainder"

    def setup(self) -> None:
        """``L^2 R^2 sup G`` per layer."""
        for n in self.layers:
            self.constants[f"gain, layer {n}"] = propagated_gain(self.phi, n)

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """``W_n / W_{n-1}`` and the gains."""
        measured = _passed_on(self.phi, f)
        gains = constant_row([self.constants[f"gain, layer {n}"].value for n in self.layers], f)
        return measured, gains.expand_as(measured)


class Decay(Measure):
    """What a layer propagates against what enters it, where no value is negative."""

    claim = "decay_sharp"

    def setup(self) -> None:
        """Certified decay per layer n, beside the gain that knows nothing of signs."""
        phi = self.phi
        deep = Hypothesis("at least two layers", phi.depth >= 2, phi.depth)
        self.hypotheses += [deep, *(non_negative(phi, n) for n in range(1, phi.depth))]
        self.layers = list(range(2, phi.depth + 1))
        certify = all(h.satisfied for h in self.hypotheses)
        found = [certified_layer(phi, "decay", n - 1) for n in self.layers if certify]
        self.certificates = tuple(found)
        for n in self.layers:
            self.constants[f"gain, layer {n}"] = propagated_gain(phi, n)
        for n, certificate in zip(self.layers, found, strict=False):
            source = f"linear program, read off by one FFT; best found {certificate.proof.lower:.6g}"
            self.constants[f"lambda, layer {n}"] = Constant(certificate.proof.value, source, "certified")

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """``W_n / W_{n-1}`` from layer 2 on, and the certified shares."""
        measured = _passed_on(self.phi, f)[:, 1:]
        names = "lambda" if self.certificates else "gain"
        shares = constant_row([self.constants[f"{names}, layer {n}"].value for n in self.layers], f)
        return measured, shares.expand_as(measured)

    def others(self, f: Tensor) -> dict[str, Tensor]:
        r"""The gain, one step of Getter's bound, and what the rate leaves of these signals.

        Getter's argument is one about a single layer: :math:`W_n \le (1 - 1/s_{n-1}) W_{n-1}`. The rate bounds
        :math:`W_n(f)` by the spectrum of f, here divided by the measured :math:`W_{n-1}(f)`.
        """
        phi = self.phi
        gains = constant_row([self.constants[f"gain, layer {n}"].value for n in self.layers], f)
        columns = {"gain bound": gains.expand(f.shape[0], -1)}
        getter, rate = Getter(phi), Rate(phi)
        if all(h.satisfied for h in getter.hypotheses):
            steps = [getter.products[n - 1] / max(getter.products[n - 2], TINY) for n in self.layers]
            columns["Getter's bound"] = constant_row(steps, f).expand(f.shape[0], -1)
        if all(h.satisfied for h in rate.hypotheses):
            passed = torch.stack(phi(f).remainder, -1) / self.total(f)
            limits = dict(zip(rate.layers, rate.values(f)[1].unbind(-1), strict=True))
            missing = torch.full_like(passed[:, 0], torch.nan)
            steps = [limits.get(n, missing) / passed[:, n - 1].clamp_min(TINY) for n in self.layers]
            columns["rate bound for this signal"] = torch.stack(steps, -1)
        return columns


class Getter(Measure):
    """Uniform exponential decay on a finite grid."""

    claim = "getter"

    def setup(self) -> None:
        """Supports of the atoms, and an output atom that keeps the mean."""
        phi = self.phi
        banks = phi.banks[: phi.depth]
        zero = (0,) * phi.grid.ndim
        dc = max(abs(abs(complex(bank.output[zero])) - 1) for bank in banks)
        undecimated = phi.sampling == "dilate" or all(layer.pooling.factor == 1 for layer in phi.layers)
        self.hypotheses += [
            parseval(phi),
            lossless(phi),
            moduli(phi),
            Hypothesis("every output atom keeps the mean: |chi^(0)| = 1", dc <= IDENTITY, dc),
            Hypothesis("no decimation", undecimated),
        ]
        supports = [max(1, int(bank.supports().max())) if len(bank) else 1 for bank in banks]
        self.products = theory.getter_bound(1.0, 1.0, supports[:-1])[1:].tolist()
        for n, s in enumerate(supports, 1):
            self.constants[f"largest support, layer {n}"] = Constant(s, "non-zero DFT frequencies", "grid", unit="bins")

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """``W_n`` relative to the energy of f, and the bound."""
        features = self.phi(f)
        total = self.total(f)
        measured = torch.stack(features.remainder[1:], -1) / total
        start = (1 - features.energy("layer")[:, :1] / total).clamp_min(0.0)
        return measured, start * constant_row(self.products, f)


class Rate(Measure):
    """Decay of the energy of each frequency, for one-sided filters in one dimension."""

    claim = "decay_rate"

    def setup(self) -> None:
        """Bands of the atoms, and from them the rate, the gap and the depth up to which the proof reaches."""
        phi = self.phi
        line = phi.grid.ndim == 1
        bands = _bands(phi.banks[: phi.depth]) if line else None
        gap = min((p for p, _ in bands), default=0.0) if bands else 0.0
        good = bool(bands) and gap > 0
        rate = theory.band_decay_rate(bands) if good else 1.0
        self.hypotheses += [
            Hypothesis("d = 1", line),
            parseval(phi),
            lossless(phi),
            moduli(phi),
            Hypothesis("no pooling (S = 1)", all(layer.pooling.factor == 1 for layer in phi.layers)),
            Hypothesis("every propagating atom is one-sided (analytic)", bands is not None),
            Hypothesis("gap at 0: no propagating atom holds the zero frequency", gap > 0, gap),
        ]
        self.constants["a"] = Constant(rate, "1 / max (q - p)/(q + p) over the supports [p, q]", "grid")
        self.constants["delta"] = Constant(gap, "smallest frequency of a propagating atom", "grid", unit="bins")
        self.kernels: list[list[float]] = []
        if good:
            self._restrict(rate, gap)

    def _restrict(self, rate: float, gap: float) -> None:
        size = self.phi.grid.size
        last = theory.decay_steps_on_grid(size, delta=gap, rate=rate)
        if last < self.phi.depth:
            self.notes += (f"Beyond layer {last} the kernel of the proof does not fit on the grid: no claim there.",)
        self.layers = [n for n in self.layers if n <= last]
        bins = (torch.fft.fftfreq(size, dtype=torch.float64) * size).abs().numpy()
        self.kernels = [theory.decay_multiplier(bins, n, delta=gap, rate=rate).tolist() for n in self.layers]
        needed = [theory.layers_needed(s, L=size / 2, delta=gap, rate=rate) for s in SHARES]
        shown = ", ".join(f"{100 * s:g} % with N = {n}" for s, n in zip(SHARES, needed, strict=True))
        self.notes += (f"Without a grid, layers 0..N hold at least {shown} of signals up to this Nyquist frequency.",)

    def values(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """``W_n`` relative to the energy of f, and the weighted energy of its frequencies."""
        total = self.total(f)
        measured = torch.stack([self.phi(f).remainder[n] for n in self.layers], -1) / total
        if not self.kernels:
            return measured, torch.ones_like(measured)
        power = self.phi.grid.fft(f).abs() ** 2 * (self.phi.grid.cell_volume / self.phi.grid.size)
        kernels = torch.tensor(self.kernels, dtype=torch.float64, device=f.device)
        return measured, power @ kernels.T / total


def _bands(banks: Sequence[Bank]) -> list[tuple[float, float]] | None:
    """Supports ``[p, q]`` in bins of all propagating atoms (d = 1); None if one of them is not one-sided.

    The Nyquist bin of an even grid belongs to both sides: its label may be read as +N/2 or as -N/2.
    """
    bands = []
    for bank in banks:
        n = bank.grid.shape[0]
        bins = torch.round(torch.fft.fftfreq(n, dtype=torch.float64) * n)
        for spectrum in bank.spectra.cpu():
            held = bins[spectrum != 0]
            inner = held[held.abs() * 2 != n]
            if not (bool((inner >= 0).all()) or bool((inner <= 0).all())):
                return None
            if len(held):
                bands.append((float(held.abs().min()), float(held.abs().max())))
    return bands


#: Statement by the name of its form.
FORMS: dict[str, type[Measure]] = {
    "bound": Bound,
    "balance": Balance,
    "remainder": Remainder,
    "getter": Getter,
    "rate": Rate,
}
