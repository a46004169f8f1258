"""Networks, operators and bounds with one thing wrong, and the verifier that has to notice.

Every mutant keeps the *declared* constants of the healthy network: what is altered is what computes, or the formula of
a bound. `run` measures a mutant with one mode of search at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from unittest import mock

import torch

import scatter_theory as st
from scatter_theory import theory
from scatter_theory.engine import storable
from scatter_theory.features import Features, LayerFeatures
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.verify import Effort
from scatter_theory.verify._deformation_reading import Reader
from scatter_theory.verify._deformation_search import Problem
from scatter_theory.verify._rules_polynomial import BandRule
from scatter_theory.verify._translation import Bounder

N = 32
MODES = ("given", "random", "structured", "ascent")
EFFORTS = {
    "given": Effort(0, 0, 0, 0),
    "random": Effort(64, 0, 0, 0),
    "structured": Effort(0, 64, 0, 0),
    "ascent": Effort(8, 0, 40, 2),
}
#: Ratios that structured signals must reach in each output; less means that the bound is too large. Layer 0 attains the
#: translation bound and all layers together the Lipschitz bound; after a modulus about 0.7 is possible. A tone at the
#: band edge attains the deformation bound of signals for small displacements.
FLOORS = {"lipschitz": (0.999,), "translation": (0.99, 0.6), "deformation": (0.99,)}

Check = Callable[[Effort], st.BoundCheck]


@dataclass(frozen=True)
class Mutant:
    """One defect.

    `check` is a context that yields the verifier, already holding the mutant. `caught` lists the modes of search that
    must notice. `floor`: the bound is too large, so that nothing is violated; instead known-attained cases must miss
    their floor.
    """

    name: str
    verifier: str
    defect: str
    check: Callable[[], contextlib.AbstractContextManager[Check]]
    caught: tuple[str, ...]
    floor: bool = False


def network(*, J: int = 2, sided: str = "auto", complex_input: bool = False, rate: float = 1.0) -> FeatureExtractor:
    """The healthy network: two layers of tight wavelets, modulus, sub-sampling by 2."""
    layer = st.Layer(st.frames.Wavelets(J=J, sided=sided), st.Modulus(), st.Subsample(2))
    return FeatureExtractor([layer, layer], Grid.line(N, sample_rate=rate), complex_input=complex_input)


@lru_cache(maxsize=1)
def signals() -> torch.Tensor:
    """A chirp, a box and a bump: what a user might bring."""
    x = torch.arange(N, dtype=torch.float64) / N
    chirp = torch.cos(2 * torch.pi * (2 * x + 5 * x**2))
    return torch.stack([chirp, (x < 0.3).double(), torch.exp(-((x - 0.5) ** 2) / 0.01)])


def set_spectra(phi: FeatureExtractor, n: int, change: Callable[[torch.Tensor], torch.Tensor]) -> FeatureExtractor:
    """Alter the propagating atoms that layer n + 1 computes with; the declared bank stays."""
    setattr(phi, f"_spectra_{n}", storable(change(phi.atoms(n).clone()), phi.dtype))
    return phi


def set_output(phi: FeatureExtractor, n: int, change: Callable[[torch.Tensor], torch.Tensor]) -> FeatureExtractor:
    """Alter the atom that emits layer n's features."""
    setattr(phi, f"_output_{n}", storable(change(phi.output_atom(n).clone()), phi.dtype))
    return phi


def scaled(factor: float, rate: float = 1.0) -> FeatureExtractor:
    phi = network(rate=rate)
    for n in range(phi.depth + 1):
        set_output(phi, n, lambda s: factor * s)
        if n < phi.depth:
            set_spectra(phi, n, lambda s: factor * s)
    return phi


def one_scaled(factor: float) -> FeatureExtractor:
    """One atom of the first layer."""

    def change(s: torch.Tensor) -> torch.Tensor:
        s[0] *= factor
        return s

    return set_spectra(network(), 0, change)


def unmirrored() -> FeatureExtractor:
    """A full bank whose negative-frequency atoms were not mirrored: they repeat the positive ones."""
    phi = network(sided="both", complex_input=True)
    bank = phi.banks[0]

    def change(s: torch.Tensor) -> torch.Tensor:
        for i, atom in enumerate(bank.atoms):
            if atom.centre[0] < 0:
                s[i] = bank.grid.mirror(s[i])
        return s

    return set_spectra(phi, 0, change)


class DroppedFactor(st.Subsample):
    """Sub-sampling without the factor S^(d/2)."""

    def __call__(self, x, grid, sampling="dilate"):
        pooled, coarse = super().__call__(x, grid, sampling)
        return pooled / self.factor ** (grid.ndim / 2), coarse


class SteepReLU(st.ReLU):
    """Slope 1.1, declared 1."""

    def __call__(self, x):
        return 1.1 * super().__call__(x)


class SumPool(st.Average):
    """The sum over the block, declared as its mean."""

    def map(self, x, grid, sampling):
        return self.factor**grid.ndim * super().map(x, grid, sampling)


class DroppedLayer(FeatureExtractor):
    """The features of the input layer are lost."""

    def forward(self, f):
        features = super().forward(f)
        first = features.layers[0]
        return Features(
            (replace(first, values=0 * first.values), *features.layers[1:]), features.remainder, features.pruned
        )


class ZeroPadded(FeatureExtractor):
    """Convolution with zeros beyond the border, cropped back, instead of periodic."""

    def forward(self, f):
        wide = Grid((2 * self.grid.shape[0],), self.grid.spacing, self.grid.unit)
        inner = FeatureExtractor(self.layers, wide, reference=self.grid)
        x = self.prepare(f)
        features = inner(torch.nn.functional.pad(x, (0, self.grid.shape[0])))
        layers = tuple(
            LayerFeatures(a.n, a.paths, a.scales, a.values[..., : self.grid.shape[0]], grid)
            for a, grid in zip(features.layers, self.grids, strict=True)
        )
        return Features(layers, features.remainder, features.pruned)


def single_norm(self, f):
    """Norms accumulated in float32."""
    norm = torch.linalg.vector_norm(f.to(torch.complex64 if f.is_complex() else torch.float32), dim=self.axes)
    return self.cell_volume**0.5 * norm.double()


# --- verifiers as contexts ------------------------------------------------------------------------------------------


def given_to(effort: Effort):
    """The user's signals where only those are searched."""
    return signals() if effort == EFFORTS["given"] else None


def _lipschitz(make):
    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        phi = make()
        yield lambda effort: st.verify.lipschitz(phi, given_to(effort), effort=effort, generator=0)

    return context


def _balance(make, *patches):
    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        with contextlib.ExitStack() as stack:
            phi = make()
            for patch in patches:
                stack.enter_context(patch())
            yield lambda effort: st.verify.energy(phi, given_to(effort), form="balance", effort=effort, generator=0)

    return context


def _covariance(make):
    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        phi = make()
        yield lambda effort: st.verify.covariance(phi, given_to(effort), effort=effort, generator=0)

    return context


def _translation(*patches):
    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        with contextlib.ExitStack() as stack:
            phi = network(J=3)
            for patch in patches:
                stack.enter_context(patch())
            yield lambda effort: st.verify.translation(phi, given_to(effort), shifts=[1], effort=effort, generator=0)

    return context


#: Samples per unit of the deformation networks: pixels are not units.
RATE = 4.0


def _deformation(*patches, make=lambda: network(rate=RATE), radius=RATE / 4):
    """Band limit of half the Nyquist frequency, displacements by a hundredth of a sample."""

    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        with contextlib.ExitStack() as stack:
            phi = make()
            for patch in patches:
                stack.enter_context(patch())
            band = st.signals.BandLimited(radius)
            yield lambda effort: st.verify.deformation(phi, band, sup_tau=[0.01 / RATE], effort=effort, generator=0)

    return context


def _interpolated(kind: str):
    """Local interpolation in place of the exact sum, in the search and in the evaluation of what it finds."""
    warp = st.deform.Interpolated(kind)

    def in_search(self, f, values, points, tau):
        return warp.moved(values, self.phi.grid, tau)

    def in_reading(self, f, grid, deformation):
        return warp(f, grid, deformation), 0.0

    return (
        lambda: mock.patch.object(Problem, "_warped", in_search),
        lambda: mock.patch.object(Reader, "_evaluated_twice", in_reading),
    )


def _displacement_times(factor: float):
    """The displacement that is applied is not the one whose size is certified."""

    def in_search(self, f, values, points, tau):
        return f.at(points - factor * tau, each=True)

    def in_reading(self, f, grid, deformation):
        return st.deform.apply(f, grid, deformation.tau.scaled(factor)), 0.0

    return (
        lambda: mock.patch.object(Problem, "_warped", in_search),
        lambda: mock.patch.object(Reader, "_evaluated_twice", in_reading),
    )


def _slope_times(factor: float):
    """R or 2 pi R in the bound is wrong by a factor."""
    honest = BandRule.slope
    return lambda: mock.patch.object(BandRule, "slope", lambda self, f: factor * honest(self, f))


def _nonlinearity(rho):
    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        yield lambda effort: st.verify.nonlinearity(rho, effort=effort, generator=0)

    return context


def _pooling(pool):
    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        yield lambda effort: st.verify.pooling(pool, Grid.line(N), sampling="decimate", effort=effort, generator=0)

    return context


def _frame(change):
    @contextlib.contextmanager
    def context() -> Iterator[Check]:
        tight = st.frames.Wavelets(J=2)
        bank = change(tight.on(Grid.line(N)))
        yield lambda effort: st.verify.frame(bank, declared=tight.bounds(1), effort=effort, generator=0)

    return context


def _with_S_of(offset: int):
    def bound(self, n, m):
        product = self.products[min(max(n + offset, 0), len(self.products) - 1)]
        return theory.translation_bound(self.moves[m].length, self.constants[f"K, layer {n}"].value, product)

    return lambda: mock.patch.object(Bounder, "_theorem_bound", bound)


def _bound_times(factor: float):
    original = theory.translation_bound
    return lambda: mock.patch.object(theory, "translation_bound", lambda *a, **k: factor * original(*a, **k))


def _certified_times(factor: float):
    def make():
        phi = network()
        honest = phi.certified_lipschitz()
        phi.certified_lipschitz = lambda: replace(honest, value=factor * honest.value)
        return phi

    return make


def dropped_layer():
    phi = network()
    phi.__class__ = DroppedLayer
    return phi


def zero_padded():
    phi = network()
    phi.__class__ = ZeroPadded
    return phi


def dropped_factor():
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), DroppedFactor(2))
    return FeatureExtractor([layer, layer], Grid.line(N))


def _scale_bank(which: str, factor: float):
    def change(bank):
        if which == "chi":
            return replace(bank, output=factor * bank.output)
        spectra = bank.spectra.clone()
        spectra[0] *= factor
        return replace(bank, spectra=spectra)

    return change


CAUGHT = ("given", "random", "structured", "ascent")

MUTANTS = (
    Mutant(
        "all atoms x 1.05", "lipschitz", "filter scaled", _lipschitz(lambda: scaled(1.05)), ("structured", "ascent")
    ),
    Mutant("all atoms x 1.5", "lipschitz", "filter scaled", _lipschitz(lambda: scaled(1.5)), ("structured", "ascent")),
    Mutant(
        "one atom x 1.2", "lipschitz", "filter scaled", _lipschitz(lambda: one_scaled(1.2)), ("structured", "ascent")
    ),
    Mutant("one atom x 2", "lipschitz", "filter scaled", _lipschitz(lambda: one_scaled(2.0)), ("structured", "ascent")),
    Mutant("one atom of a bank x 1.2", "frame", "filter scaled", _frame(_scale_bank("g", 1.2)), ("structured",)),
    Mutant("bank without low-pass", "frame", "low-pass missing", _frame(_scale_bank("chi", 0.0)), ("structured",)),
    Mutant(
        "no low-pass in layer 0",
        "balance",
        "low-pass missing",
        _balance(lambda: set_output(network(), 0, lambda s: 0 * s)),
        ("given", "random", "structured"),
    ),
    Mutant(
        "half bank weighted twice",
        "lipschitz",
        "weight sqrt 2 on the filter and again",
        _lipschitz(lambda: set_spectra(network(), 0, lambda s: 2**0.5 * s)),
        ("structured", "ascent"),
    ),
    Mutant(
        "half bank without weight",
        "balance",
        "conjugate partners missing",
        _balance(lambda: set_spectra(network(), 0, lambda s: s / 2**0.5)),
        ("given", "random", "structured"),
    ),
    Mutant(
        "negative atoms not mirrored",
        "lipschitz",
        "positive half spectrum counted twice, complex signals",
        _lipschitz(unmirrored),
        ("structured", "ascent"),
    ),
    Mutant(
        "factor S^(d/2) dropped",
        "balance",
        "pooling normaliser dropped",
        _balance(dropped_factor),
        ("given", "random", "structured"),
    ),
    Mutant(
        "ReLU of slope 1.1",
        "nonlinearity",
        "wrong Lipschitz constant",
        _nonlinearity(SteepReLU()),
        ("random", "structured"),
    ),
    Mutant("sum in place of mean", "pooling", "expansive pooling", _pooling(SumPool(2)), ("structured", "ascent")),
    Mutant(
        "S of the next layer",
        "translation",
        "wrong layer's S in the bound",
        _translation(_with_S_of(1)),
        ("structured", "ascent"),
    ),
    Mutant(
        "S of the layer before",
        "translation",
        "wrong layer's S in the bound",
        _translation(_with_S_of(-1)),
        ("structured",),
        floor=True,
    ),
    Mutant("2 pi forgotten", "translation", "K in radians", _translation(_bound_times(1 / (2 * torch.pi))), CAUGHT[1:]),
    Mutant(
        "2 pi twice",
        "translation",
        "K in radians, multiplied again",
        _translation(_bound_times(2 * torch.pi)),
        ("structured",),
        floor=True,
    ),
    Mutant(
        "translation bound x 10",
        "translation",
        "bound too large",
        _translation(_bound_times(10.0)),
        ("structured",),
        floor=True,
    ),
    Mutant(
        "Lipschitz bound x 10",
        "lipschitz",
        "bound too large",
        _lipschitz(_certified_times(10.0)),
        ("structured",),
        floor=True,
    ),
    Mutant(
        "output of layer 0 dropped",
        "balance",
        "output layer dropped",
        _balance(dropped_layer),
        ("given", "random", "structured"),
    ),
    Mutant(
        "zero padding",
        "covariance",
        "zeros beyond the border instead of periodic",
        _covariance(zero_padded),
        ("given", "random", "structured"),
    ),
    Mutant(
        "norms in float32",
        "balance",
        "float32 accumulation",
        _balance(network, lambda: mock.patch.object(Grid, "norm", single_norm)),
        ("given", "random", "structured"),
    ),
    Mutant(
        "linear interpolation",
        "deformation",
        "interpolated warp inside the verifier",
        _deformation(*_interpolated("bilinear")),
        ("structured",),
        floor=True,
    ),
    Mutant(
        "cubic convolution",
        "deformation",
        "interpolated warp inside the verifier",
        _deformation(*_interpolated("bicubic"), radius=RATE / 16),
        ("structured", "ascent"),
    ),
    Mutant(
        "displacement in samples",
        "deformation",
        "tau in samples, its size in units",
        _deformation(*_displacement_times(RATE)),
        CAUGHT[1:],
    ),
    Mutant(
        "2 pi forgotten in the deformation bound",
        "deformation",
        "R in radians",
        _deformation(_slope_times(1 / (2 * torch.pi))),
        CAUGHT[1:],
    ),
    Mutant(
        "half the band limit",
        "deformation",
        "wrong R in the bound",
        _deformation(_slope_times(0.5)),
        ("structured", "ascent"),
    ),
    Mutant(
        "deformation bound x 10",
        "deformation",
        "bound too large",
        _deformation(_slope_times(10.0)),
        ("structured",),
        floor=True,
    ),
    Mutant(
        "expanding network",
        "deformation",
        "filter scaled: features move farther than their signals",
        _deformation(make=lambda: scaled(1.5, rate=RATE)),
        ("structured", "ascent"),
    ),
)

HEALTHY: dict[str, Callable[[], contextlib.AbstractContextManager[Check]]] = {
    "lipschitz": _lipschitz(network),
    "frame": _frame(lambda bank: bank),
    "balance": _balance(network),
    "nonlinearity": _nonlinearity(st.ReLU()),
    "pooling": _pooling(st.Average(2)),
    "translation": _translation(),
    "covariance": _covariance(network),
    "deformation": _deformation(),
}


def modes(verifier: str, floor: bool = False) -> tuple[str, ...]:
    """Modes of search that a verifier has; a floor is for signals that are known to be extremal."""
    if floor:
        return ("structured",)
    if verifier in ("balance", "covariance"):
        return MODES[:3]
    return MODES if verifier in ("lipschitz", "translation") else MODES[1:]


def below_floor(check: st.BoundCheck, verifier: str) -> tuple[bool, float]:
    """Whether a known-attained output misses its floor, and the ratio that misses it by most."""
    floors = FLOORS[verifier]
    share, ratio = min((r / floor, r) for r, floor in zip(check.ratio.tolist(), floors, strict=False))
    return share < 1, ratio


def run(check: Check, verifier: str, mode: str, *, floor: bool = False) -> tuple[bool, float]:
    """Whether one mode of search turns the verifier red, and the number that it looked at.

    The number is a ratio, or for an identity the relative defect. With `floor`, red means that a known-attained output
    stays below its entry in `FLOORS`.
    """
    result = check(EFFORTS[mode])
    if floor:
        return below_floor(result, verifier)
    number = float(result.measured.max()) if verifier in ("balance", "covariance") else result.worst
    return result.outcome is st.Outcome.VIOLATED, number
