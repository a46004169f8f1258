"""The sharper bounds on networks: tight, rechecked, inapplicable where values may be negative, and their mutants."""

from unittest import mock

import numpy as np
import pytest

import scatter_theory as st
from scatter_theory import Outcome
from scatter_theory.certify.positivity import _certificate as _positivity
from scatter_theory.report._families import families
from scatter_theory.results import Hypothesis
from scatter_theory.verify import Effort

QUICK, CLIMB = Effort(4, 48, 0, 0), Effort(8, 96, 100, 3)
LINE = st.Grid.line(64)


def network(rho=None, pool=None, *, grid=LINE, depth=2, J=3, **options):
    sided = "auto" if rho is None else "both"
    layer = st.Layer(st.frames.Wavelets(J=J, sided=sided), rho or st.Modulus(), pool or st.NoPooling())
    return st.FeatureExtractor([layer] * depth, grid, paths=st.FrequencyDecreasing(), **options)


def sharp(phi, shifts=(1,), effort=QUICK):
    return st.verify.translation(phi, bound="sharp", shifts=shifts, effort=effort, generator=0)


def layer(check, n):
    return np.array([s == f"layer {n}" for s in check.series])


def test_the_bound_is_tight_at_layer_one():
    check = sharp(network(grid=st.Grid.line(128)), shifts=[1, 4, 8], effort=CLIMB)
    assert check.outcome is Outcome.HOLDS
    assert np.all(check.ratio[layer(check, 1)] >= 0.98)
    published = check.measured / check.extra["published bound"]
    assert np.all(published[layer(check, 1)] <= 0.7072)


def test_it_is_never_above_the_published_one():
    check = sharp(network(pool=st.Subsample(2)), shifts=[1, 2, 5])
    assert check.outcome is Outcome.HOLDS
    assert np.all(check.bound <= check.extra["published bound"] * (1 + 1e-9))
    later = ~layer(check, 0)
    assert np.all(check.bound[later] <= 0.75 * check.extra["published bound"][later])


@pytest.mark.parametrize(
    "phi",
    [
        network(st.ReLU()),
        network(pool=st.Average(2)),
        network(pool=st.Max(2), sampling="decimate"),
        network(grid=st.Grid.of((16, 12)), J=2),
        network(complex_input=True),
    ],
    ids=["ReLU", "averages", "decimating maxima", "images", "complex"],
)
def test_networks_to_which_it_applies(phi):
    step = int(phi.pooling_product(2)) if phi.sampling == "decimate" else 1
    shift = step if phi.grid.ndim == 1 else (1, 1)
    check = sharp(phi, shifts=[shift])
    assert check.outcome is Outcome.HOLDS
    assert check.recheck(phi)
    assert {c.claim for c in check.certificates} == {"translation", "decay"}
    assert st.verify.decay(phi, effort=QUICK, generator=0).outcome is Outcome.HOLDS


SIGNED = [st.Tanh(), st.Sigmoid(), st.LeakyReLU(), st.ELU(), st.Identity(), st.SoftThreshold(0.1)]


@pytest.mark.parametrize("rho", SIGNED)
def test_negative_values_are_inapplicable(rho):
    phi = network(rho)
    for check in (sharp(phi), st.verify.decay(phi, effort=QUICK, generator=0)):
        assert check.outcome is Outcome.INAPPLICABLE
        assert check.certificates == () and not check.recheck(phi)
        assert any("layer 1" in h.text for h in check.hypotheses if not h.satisfied)


def test_fractional_shifts_and_single_layers_are_inapplicable():
    assert sharp(network(), shifts=[0.5]).outcome is Outcome.INAPPLICABLE
    assert st.verify.decay(network(depth=1), effort=QUICK, generator=0).outcome is Outcome.INAPPLICABLE


def test_decay_is_certified_and_attacked():
    phi = network(grid=st.Grid.line(128), depth=3)
    check = st.verify.decay(phi, effort=CLIMB, generator=0)
    assert check.outcome is Outcome.HOLDS
    assert check.series == ("W_2", "W_3")
    assert np.all(check.bound < 0.93) and np.all(check.measured < check.bound)
    assert check.recheck(phi)
    assert not check.recheck(network(grid=st.Grid.line(64), depth=3))
    assert not check.recheck(network(st.Tanh(), grid=st.Grid.line(128), depth=3))
    gains = [st.Layer(st.frames.Wavelets(J=3).scaled(1.1))] * 3
    assert not check.recheck(st.FeatureExtractor(gains, st.Grid.line(128), paths=st.FrequencyDecreasing()))


def test_networks_that_are_not_admissible_keep_their_gain():
    scaled = st.Layer(st.frames.Wavelets(J=3).scaled(1.5))
    phi = st.FeatureExtractor([scaled, scaled], LINE)
    check = sharp(phi, effort=CLIMB)
    assert check.outcome is Outcome.HOLDS
    assert check.constants["W_1 / ||f||^2"].value == pytest.approx(2.25)
    assert check.ratio[layer(check, 1)].max() >= 0.9


def test_a_check_without_certificates_has_nothing_to_recheck():
    phi = network()
    assert not st.verify.translation(phi, shifts=[1], effort=QUICK, generator=0).recheck(phi)


# --- mutants ---------------------------------------------------------------------------------------------------------


def test_a_certificate_of_the_wrong_sign_is_caught():
    """lambda = max(M - mu^): too small, and exceeded by the search."""

    def wrong(M, shifts, weights):
        mu = np.zeros(M.shape)
        for x, w in zip(shifts, weights, strict=True):
            mu[tuple(c % n for c, n in zip(x, M.shape, strict=True))] += w
        return float(np.mean(M - np.fft.fftn(mu).real)) if len(weights) else float(M.max())

    with mock.patch.object(_positivity, "_value", wrong):
        check = sharp(network(), effort=CLIMB)
    assert check.outcome is Outcome.VIOLATED
    assert not check.recheck(network())


def test_tanh_taken_for_a_modulus_is_caught():
    """Small tones pass tanh almost unchanged, and those that the second layer emits reach the factor 1."""
    fine = Hypothesis("values >= 0", True)
    tones = 0.01 * np.cos(2 * np.pi * np.outer(np.arange(1, 32), np.arange(64)) / 64)
    banks = [st.frames.Wavelets(J=J, sided="both") for J in (4, 2)]
    outcomes = {}
    for rho in (st.Modulus(), st.Tanh()):
        phi = st.FeatureExtractor([st.Layer(bank, rho) for bank in banks], LINE)
        with mock.patch("scatter_theory.verify._translation.non_negative", lambda phi, n: fine):
            check = st.verify.translation(phi, bound="sharp", shifts=[1], signals=tones, effort=QUICK, generator=0)
        outcomes[rho.__class__] = check.outcome
    assert outcomes == {st.Modulus: Outcome.HOLDS, st.Tanh: Outcome.VIOLATED}
    assert check.ratio[layer(check, 1)].max() >= 1.38


def test_the_first_layer_has_no_positivity():
    """The factor 0.71 applied to layer 0 would be exceeded by a tone."""
    check = sharp(network(), effort=QUICK)
    first = layer(check, 0)
    assert np.all(check.measured[first] > 0.75 * check.bound[first])
    assert np.all(check.ratio[first] >= 0.999)


@pytest.mark.slow
@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_all_families(family):
    grid = st.Grid.line(128) if family.d == 1 else st.Grid.of((32, 32))
    layer_ = family.layer(st.Modulus(), st.NoPooling(), "dilate")
    phi = st.FeatureExtractor([layer_, layer_], grid, paths=family.paths)
    effort = Effort(8, 96, 120, 3) if family.d == 1 else Effort(2, 24, 60, 2)
    check = sharp(phi, [1 if family.d == 1 else (1, 0)], effort)
    assert check.outcome is Outcome.HOLDS
    assert check.recheck(phi)
    first = layer(check, 1)
    assert np.all(check.ratio[first] >= 0.6)
    assert np.all(check.bound[first] <= 0.8 * check.extra["published bound"][first])
    assert all(c.proof.gap <= 0.03 for c in check.certificates)
