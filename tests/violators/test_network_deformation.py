"""The deformation bound of the network against searches: where it holds, where it says nothing, and its mutants."""

import dataclasses
import math
from unittest import mock

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory import Outcome
from scatter_theory.certify import covariance_bound, network_bound, refined
from scatter_theory.certify.torus import _system as torus_system
from scatter_theory.report._families import families
from scatter_theory.results import Hypothesis
from scatter_theory.verify import Effort
from scatter_theory.verify._network_search import moved, worst_of_class

LINE = st.Grid.line(64)
QUICK, NONE = Effort(4, 16, 12, 1), Effort(2, 4, 0, 0)
BAND = st.signals.BandLimited(0.25)


def network(rho=None, pool=None, *, grid=LINE, depth=2, J=2, frame=None, **options):
    rho = rho or st.Modulus()
    sided = "auto" if rho.conjugation == "A" else "both"
    layer = st.Layer(frame or st.frames.Wavelets(J=J, sided=sided), rho, pool or st.NoPooling())
    return st.FeatureExtractor([layer] * depth, grid, paths=st.FrequencyDecreasing(), **options)


def wave(mode, t, grid=LINE):
    if mode == 0:
        return st.deform.translation([t, *[0.0] * (grid.ndim - 1)], grid.extent)
    k = (mode, *[0] * (grid.ndim - 1))
    return st.deform.sinusoid(k, (t, *[0.0] * (grid.ndim - 1)), math.pi / 2, grid.extent)


def check(phi, family=None, sizes=(0.5,), signals=BAND, effort=QUICK, **options):
    family = wave(1, 1.0, phi.grid) if family is None else family
    return st.verify.deformation(
        phi, signals, family=family, sup_tau=sizes, bound="network", effort=effort, generator=0, **options
    )


@pytest.mark.parametrize(
    "phi",
    [
        network(),
        network(st.ReLU()),
        network(st.Tanh(), depth=3),
        network(st.Sigmoid()),
        network(pool=st.Subsample(2)),
        network(frame=st.frames.WeylHeisenberg(M=6)),
        network(complex_input=True),
    ],
    ids=["modulus", "ReLU", "tanh", "sigmoid", "dilations", "Weyl-Heisenberg", "complex"],
)
def test_networks_to_which_it_applies(phi):
    result = check(phi)
    assert result.outcome is Outcome.HOLDS, str(result)
    assert result.recheck(phi)
    assert 0.2 < result.worst <= 1
    assert np.all(result.bound <= result.extra["class bound"])
    assert np.all(result.extra["smallest proven"] <= result.bound)


def test_it_does_not_know_of_a_band_limit():
    phi = network()
    low, high = (check(phi, signals=st.signals.BandLimited(R), effort=NONE) for R in (0.25, 0.45))
    assert high.bound[0] <= 1.1 * low.bound[0]
    assert high.extra["class bound"][0] > 1.7 * low.extra["class bound"][0]


def test_families_are_searched_for_their_displacements():
    result = check(network(), st.deform.BandLimitedFields(degree=2), sizes=(0.25, 1.0), effort=Effort(4, 8, 6, 1))
    assert result.outcome is Outcome.HOLDS
    assert len(result.x) == 2 and np.all(np.diff(result.bound) > 0)


def test_given_signals_have_bounds_of_their_own():
    f = torch.randn((3, 64), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    result = check(network(), signals=f, sizes=(0.25, 1.0))
    assert result.outcome is Outcome.HOLDS
    table = result.compare()
    assert {"bound", "class bound", "telescoped bound"} <= set(table.bounds)


def test_witnesses_are_replayed_on_the_finer_grid(tmp_path):
    phi = network()
    result = check(phi, wave(2, 1.0), sizes=(0.25, 0.5))
    path = st.verify.save_witness(result, tmp_path / "worst")
    assert st.verify.replay(path, refined(phi, 4)).agrees
    assert not st.verify.replay(path, refined(network(J=3), 4)).agrees
    assert result.plot().artists["bound"] is not None


def test_images_are_not_certified():
    """Converged numerically: the ratio is given, the verdict is not."""
    phi = network(grid=st.Grid.of((12, 12)), J=1)
    result = check(phi, wave(1, 0.3, phi.grid), sizes=(0.3,), signals=st.signals.BandLimited(0.2))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert 0 < result.worst <= 1
    assert any("certified" in note for note in result.notes)
    assert not result.certificates


@pytest.mark.parametrize(
    ("phi", "reason"),
    [
        (network(pool=st.Average(2)), "commute with deformations"),
        (network(pool=st.Max(2), sampling="decimate"), "commute with deformations"),
        (network(pool=st.Subsample(2), sampling="decimate"), "samples are dropped"),
        (network(st.LeakyReLU(-1.5)), "L = 1.5"),
    ],
    ids=["averages", "maxima", "dropped samples", "expanding"],
)
def test_networks_to_which_it_does_not(phi, reason):
    result = check(phi, effort=NONE)
    assert result.outcome is Outcome.INAPPLICABLE
    assert any(reason in str(h.value) for h in result.hypotheses if not h.satisfied)


def test_large_jacobians_and_paths_that_depend_on_the_signal():
    steep = check(network(), wave(2, 1.0), sizes=(12.0,), sup_jacobian=None, effort=NONE)
    assert steep.outcome is Outcome.INAPPLICABLE
    rule = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2))], LINE, paths=st.EnergyThreshold(0.1))
    assert check(rule, effort=NONE).outcome is Outcome.INAPPLICABLE


def test_nothing_to_measure():
    assert check(network(), effort=Effort(0, 0, 0, 0)).outcome is Outcome.INCONCLUSIVE


def test_bad_input():
    with pytest.raises(ValueError, match="band-limited"):
        check(network(), signals=st.signals.Lipschitz(0.1), effort=NONE)
    with pytest.raises(ValueError, match="without phase"):
        check(network(complex_input=True), sup_omega=0.1, effort=NONE)
    with pytest.raises(ValueError, match="batch"):
        check(network(), st.deform.translation([[1.0], [2.0]], LINE.extent), effort=NONE)
    with pytest.raises(ValueError, match="exact deformations"):
        check(network(), warp=st.deform.Interpolated(), effort=NONE)


# ---------------------------------------------------------------------- mutants


def mutated(change):
    """The forms of every layer changed before they are used."""
    original = torus_system.stage
    return mock.patch.object(torus_system, "stage", lambda *a, **k: change(original(*a, **k)))


def without_commutators(s):
    zero = torch.zeros_like(s.commutators)
    return dataclasses.replace(s, commutators=zero, cross_high=zero)


def without_low_pass(s):
    zero = torch.zeros_like(s.moved)
    return dataclasses.replace(s, moved=zero, cross_low=zero)


@pytest.mark.parametrize(
    ("change", "mode", "J"),
    [(without_commutators, 3, 4), (without_low_pass, 0, 2)],
    ids=["commutators dropped", "low-pass dropped"],
)
def test_mutants_of_the_recursion_are_violated(change, mode, J):
    phi = network(J=J)
    assert check(phi, wave(mode, 1.0)).outcome is Outcome.HOLDS
    with mutated(change):
        assert check(phi, wave(mode, 1.0)).outcome is Outcome.VIOLATED


def test_positivity_of_signed_maps_is_violated():
    """Small amplitudes pass through tanh unchanged: a network of linear filters, whose maps have any sign."""
    phi, field = network(st.Tanh()), wave(0, 1.0)
    assert check(phi, field, sizes=(1.0,)).outcome is Outcome.HOLDS
    always = lambda phi, n: Hypothesis("maps are not negative", True)  # noqa: E731
    with mock.patch.object(torus_system, "non_negative", always):
        assert check(phi, field, sizes=(1.0,)).outcome is Outcome.VIOLATED


def test_a_gain_at_positions_is_not_seen_by_commutators():
    """A map that is not pointwise in the same way everywhere: refused, because a translation would have bound 0."""

    class Gain(st.Modulus):
        """Half of the signal is silenced."""

        def __call__(self, x):
            return x.abs() * (torch.arange(x.shape[-1]) < x.shape[-1] // 2)

    result = check(network(Gain()), wave(0, 1.0), effort=NONE)
    assert result.outcome is Outcome.INAPPLICABLE


def test_banks_that_expand():
    """The quadrature theorem needs Bessel bounds of 1 and says so; the recursion does not."""
    phi = network(frame=st.frames.Wavelets(J=2).scaled(1.5))
    assert not covariance_bound(phi, wave(1, 1.0)).applicable
    assert check(phi).outcome is Outcome.HOLDS


def test_delta_from_the_parseval_formula_needs_a_parseval_bank():
    """sum a*[a, F] is F - sum a*Fa up to a sign only if sum |a|^2 = 1."""
    for scale, same in ((1.0, True), (0.7, False)):
        phi = network(frame=st.frames.Wavelets(J=2, sided="both").scaled(scale))
        bound = covariance_bound(phi, wave(2, 1.0))
        system = torus_system.System(phi, wave(2, 1.0))
        a = system.filters[0].all.to(system.F.dtype)
        parseval = system.F - sum(torch.diag(v).mH @ system.F @ torch.diag(v) for v in a)
        value = float(torch.linalg.matrix_norm(parseval, ord=2))
        assert (abs(value - bound.delta[0]) < 1e-6) is same


def test_dilations_reach_the_filters():
    """Pooling by S is the network whose later filters are read at S times the frequency."""
    phi = network(pool=st.Subsample(2))
    wide = [st.frames.Filters(b.spectra, output=b.output, kind="spectra") for b in full_banks(phi)]
    same = st.FeatureExtractor([st.Layer(wide[0]), st.Layer(wide[1])], LINE, final=wide[2])
    field = wave(1, 1.0)
    values = [network_bound(p, field, 0.25, positive=False).value for p in (phi, same, network())]
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert values[2] > 1.1 * values[0]


def full_banks(phi):
    whole = phi.rebuilt(
        layers=[
            st.Layer(dataclasses.replace(layer.frame, sided="both"), layer.nonlinearity, layer.pooling)
            for layer in phi.layers
        ],
        final=dataclasses.replace(phi.final, sided="both"),
    )
    return whole.banks


@pytest.mark.slow
@pytest.mark.parametrize("family", [f for f in families() if f.d == 1], ids=lambda f: f.name)
@pytest.mark.parametrize("mode", [0, 1, 4])
def test_no_family_exceeds_it(family, mode):
    layer = family.layer(st.Modulus(), st.NoPooling(), "dilate")
    phi = st.FeatureExtractor([layer] * 2, st.Grid.line(64), paths=family.paths)
    result = check(phi, wave(mode, 1.0), sizes=(0.25, 1.0), effort=Effort(8, 32, 60, 2))
    assert result.outcome is Outcome.HOLDS, str(result)


FRAMES = [
    st.frames.Wavelets(J=3),
    st.frames.Wavelets(J=3, step="linear", log=True),
    st.frames.Wavelets(J=2, step="sharp"),
    st.frames.Wavelets(J=2, Q=2),
    st.frames.WeylHeisenberg(M=6),
    st.frames.Morlet(J=2),
    st.frames.LogGabor(J=2).tightened(),
    st.frames.MexicanHat(J=2),
    st.frames.Taps("db3", J=2),
]
MAPS = [st.Modulus(), st.Modulus(), st.ReLU(), st.Tanh(), st.Sigmoid(), st.LeakyReLU(0.3)]


def random_configuration(rng):
    """A network of one of the families, a displacement of up to four waves and a constant, and a band limit."""
    frame, rho = FRAMES[rng.integers(len(FRAMES))], MAPS[rng.integers(len(MAPS))]
    if rho.conjugation != "A" and any(f.name == "sided" for f in dataclasses.fields(frame)):
        frame = dataclasses.replace(frame, sided="real")
    pool = [st.NoPooling(), st.Subsample(2), st.Subsample(1.5)][rng.integers(3)]
    layer = st.Layer(frame, rho, pool)
    layer = layer.normalised() if isinstance(frame, (st.frames.Morlet, st.frames.MexicanHat)) else layer
    phi = st.FeatureExtractor([layer] * rng.integers(1, 4), LINE, paths=st.FrequencyDecreasing())
    c = np.zeros(9, complex)
    for m in rng.integers(1, 5, rng.integers(0, 5)):
        c[4 + m] = rng.normal() + 1j * rng.normal()
    c = c + c[::-1].conj()
    c[4] = rng.normal() * rng.integers(0, 3) if c.any() else 1.0
    tau = st.deform.TrigonometricField(st.trigonometric.Polynomial(torch.tensor(c)[None], LINE.extent))
    tau = tau.scaled_to(sup=math.exp(rng.uniform(math.log(0.02), math.log(4))), jacobian=rng.uniform(0.1, 0.7))
    return phi, tau, st.signals.BandLimited(rng.uniform(0.05, 0.48))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_configurations_never_exceed_it(seed):
    """Attacked on a grid twice as fine; what comes near is read on finer ones, where aliasing falls."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    for k in range(40):
        phi, tau, signals = random_configuration(rng)
        bound = network_bound(phi, tau, signals.radius, positive=k % 10 == 0)
        f, _ = worst_of_class(phi, refined(phi, 2), signals, tau, bound, Effort(2, 8, 10, 1), generator)
        found = moved(refined(phi, 2), f, tau)
        if found > 0.99 * bound.value:
            found = moved(refined(phi, 8), f, tau)
        assert found <= bound.value * (1 + 1e-6), (phi, tau, signals)
