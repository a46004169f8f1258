"""Lipschitz constants that are attained: modulated pairs, their conditions, and even parts where maps are real."""

import itertools
import math

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory.search import Effort, am_pairs, tone
from scatter_theory.verify._common import local_constant, propagating_peak

LINE = st.Grid.line(128)


def bank(S=1, N=128, *, negative=True, real=False, step="log", share=0.5):
    """Parseval wavelets on octaves, low-pass from 1/32 to 1/16; positive atoms have this share of the Nyquist bin."""
    k = np.fft.fftfreq(N)
    w = np.abs(k) * S

    def low(p):
        t = np.clip(np.log2(np.maximum(w, p) / p) if step == "log" else w / p - 1, 0, 1)
        return np.cos(np.pi / 2 * (t if step == "log" else t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)))

    lows = [*(low(p) for p in (1 / 32, 1 / 16, 1 / 8)), np.ones(N)]
    bands = [np.sqrt(np.maximum(b**2 - a**2, 0)) for a, b in itertools.pairwise(lows)]
    nyquist = k == -0.5
    sides = [np.sqrt((k > 0) + share * nyquist)] + ([np.sqrt((k < 0) - share * nyquist)] if negative else [])
    spectra = bands if real else [b * side for side in sides for b in bands]
    return st.frames.Filters(torch.tensor(np.array(spectra)), output=torch.tensor(lows[0]), kind="spectra")


def network(S=1, *, complex_input=False, first=None, second=None):
    pool = st.NoPooling() if S == 1 else st.Subsample(S)
    layers = [st.Layer(first or bank(), st.Modulus(), pool), st.Layer(second or bank(S), st.Modulus(), pool)]
    return st.FeatureExtractor(layers, LINE, final=bank(S * S), complex_input=complex_input)


def modulated(phi, xi, eta, s):
    wave = tone(LINE, (xi,), complex_input=phi.complex_input, device=phi.device)
    return wave * (1 + s * tone(LINE, (eta,), complex_input=False, device=phi.device))


def quotient(phi, f, h):
    a, b = (phi(x).layers[2] for x in (f, h))
    return float(a.grid.energy(a.values - b.values).sum().sqrt() / phi.grid.norm(f - h))


@pytest.mark.parametrize("complex_input", [False, True])
@pytest.mark.parametrize(("S", "xi", "eta"), [(1, 48, 12), (2, 48, 8), (2, 40, 8)])
def test_known_pairs(complex_input, S, xi, eta):
    phi = network(S, complex_input=complex_input)
    for s, t in [(0.7, 0.2), (1.0, 0.0), (0.31, 0.3)]:
        assert quotient(phi, modulated(phi, xi, eta, s), modulated(phi, xi, eta, t)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("complex_input", "value"), [(True, 0.492), (False, 0.853)])
def test_a_side_band_on_the_nyquist_frequency_is_not_flat(complex_input, value):
    phi = network(first=bank(share=0), second=bank(share=0), complex_input=complex_input)
    measured = quotient(phi, modulated(phi, 48, 16, 0.7), modulated(phi, 48, 16, 0.2))
    assert measured == pytest.approx(value, abs=1e-3)
    for pair in am_pairs(phi).pairs:
        assert not pair.exact or abs(pair.carrier[0]) + abs(pair.envelope[0]) < 64


@pytest.mark.parametrize("complex_input", [False, True])
@pytest.mark.parametrize("S", [1, 2])
def test_the_scan_finds_an_extremal_pair(S, complex_input):
    phi = network(S, complex_input=complex_input)
    found = am_pairs(phi)
    assert all(h.satisfied for h in found.hypotheses)
    pair = found.pairs[0]
    assert pair.exact and pair.gain == pytest.approx(1, abs=1e-12)
    assert quotient(phi, pair.f, pair.h) == pytest.approx(1, abs=1e-12)
    assert local_constant(phi, 2).value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("negative", [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("complex_input", [False, True])
def test_gains_of_exact_pairs_are_theorems(negative, complex_input):
    """Banks without negative frequencies: both the constant and the pair lose 1/sqrt 2 for every real map."""
    phi = network(first=bank(negative=negative[0]), second=bank(negative=negative[1]), complex_input=complex_input)
    pair = am_pairs(phi).pairs[0]
    lost = (not negative[0] and not complex_input) + (not negative[1])
    assert pair.exact and pair.gain == pytest.approx(2 ** (-lost / 2), abs=1e-12)
    assert quotient(phi, pair.f, pair.h) == pytest.approx(pair.gain, abs=1e-12)
    assert local_constant(phi, 2).value == pytest.approx(pair.gain, abs=1e-12)


def test_exact_gains_of_random_banks():
    """Piecewise constant one-sided filters: the theorem's value, also where it lies below the bound."""
    rng = np.random.default_rng(0)
    steps = np.zeros((3, 128), dtype=complex)
    for row in steps:
        row[20:44] = rng.normal() + 1j * rng.normal()
        row[44:60] = rng.normal() + 1j * rng.normal()
    second = np.where((np.arange(128) > 2) & (np.arange(128) < 60), rng.random((2, 128)), 0)
    chi = np.exp(-np.abs(np.fft.fftfreq(128)) * 9)
    first, second = (
        st.frames.Filters(torch.tensor(x), output=torch.tensor(chi), kind="spectra") for x in (steps, second)
    )
    for complex_input in (True, False):
        with pytest.warns(st.network.AdmissibilityWarning):
            phi = network(first=first, second=second, complex_input=complex_input)
        pair = am_pairs(phi).pairs[0]
        assert pair.exact
        assert quotient(phi, pair.f, pair.h) == pytest.approx(pair.gain, rel=1e-11)
        assert pair.gain <= local_constant(phi, 2).value


def test_conditions_that_fail_are_named():
    real = network(second=bank(real=True))
    assert not any(p.exact for p in am_pairs(real).pairs)
    assert [h.satisfied for h in am_pairs(real).hypotheses] == [True, True, True, False, False]
    two_sided = network(first=bank(real=True))
    assert [h.satisfied for h in am_pairs(two_sided).hypotheses] == [True, True, True, True, False]
    layer = st.Layer(st.frames.Wavelets(J=3))
    for layers in (
        [layer],
        [layer, st.Layer(st.frames.Wavelets(J=3), st.Tanh())],
        [st.Layer(st.frames.Wavelets(J=3), st.Modulus(), st.Average(2)), layer],
    ):
        found = am_pairs(st.FeatureExtractor(layers, LINE))
        assert found.pairs == () and not all(h.satisfied for h in found.hypotheses)


@pytest.mark.parametrize("frame", [st.frames.DirectionalWavelets(J=3), st.frames.TensorWavelets(J=3)])
@pytest.mark.parametrize("shape", [(32, 32), (24, 36)])
def test_images(frame, shape):
    layer = st.Layer(frame)
    phi = st.FeatureExtractor([layer, layer], st.Grid.of(shape), paths=st.FrequencyDecreasing())
    pair = am_pairs(phi).pairs[0]
    assert pair.exact and pair.gain > 0.999
    assert quotient(phi, pair.f, pair.h) == pytest.approx(pair.gain, abs=1e-12)


@pytest.mark.parametrize("frame", [st.frames.Morlet(J=3), st.frames.WeylHeisenberg(M=16)])
def test_first_order_gains_of_atoms_that_are_not_flat(frame):
    """To first order in s; atoms without a carrier are not counted, and add little."""
    layer = st.Layer(frame).normalised()
    found = am_pairs(st.FeatureExtractor([layer, layer], LINE))
    assert found.pairs and not any(p.exact for p in found.pairs)
    phi = st.FeatureExtractor([layer, layer], LINE)
    for pair in found.pairs:
        small = [modulated(phi, pair.carrier[0], pair.envelope[0], s) for s in (2e-3, 1e-3)]
        assert quotient(phi, *small) == pytest.approx(pair.gain, rel=0.06)


def test_a_beat_without_a_carrier_is_not_an_extremiser():
    """Two atoms that hold the side bands but not the carrier: the formula without the condition would give 0.707."""
    spectra = np.zeros((2, 128))
    spectra[0, 34:37] = 1
    spectra[1, 24:27] = 1
    first = st.frames.Filters(torch.tensor(spectra), output=torch.tensor(np.eye(128)[0]), kind="spectra")
    phi = network(first=first, complex_input=True)
    assert quotient(phi, modulated(phi, 30, 5, 0.2), modulated(phi, 30, 5, 0.1)) == pytest.approx(0, abs=1e-12)
    assert all(p.carrier[0] in (24, 25, 26, 34, 35, 36) for p in am_pairs(phi).pairs)


# --- the check -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phi",
    [
        network(),
        network(2, complex_input=True),
        network(first=bank(step="meyer"), second=bank(step="meyer")),
        st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=4))] * 2, LINE),
        st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3), st.Modulus(), st.Subsample(2))] * 2, LINE),
    ],
    ids=["octaves", "octaves, S = 2, complex", "octaves, Meyer", "Meyer J = 4", "Meyer J = 3, S = 2"],
)
def test_the_check_attains_its_bound_in_layer_two(phi):
    check = st.verify.lipschitz(phi, effort=Effort(2, 8, 0, 0), generator=0)
    assert check.outcome is st.Outcome.HOLDS
    row = check.series.index("layer 2")
    assert check.ratio[row] == pytest.approx(1, abs=1e-9)
    exact = check.constants["exact, layer 2"]
    assert exact.value == check.bound[row] and 0 <= exact.error <= 1e-9 and exact.proves


def test_bounds_that_are_not_attained_are_not_called_exact():
    layer = st.Layer(st.frames.Morlet(J=3)).normalised()
    check = st.verify.lipschitz(st.FeatureExtractor([layer, layer], LINE), effort=Effort(2, 8, 0, 0), generator=0)
    assert "exact, layer 2" not in check.constants and check.outcome is st.Outcome.HOLDS
    with pytest.warns(st.network.AdmissibilityWarning):
        wide = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3).scaled(2.0))] * 2, LINE)
    check = st.verify.lipschitz(wide, bound="theorem", effort=Effort(2, 8, 0, 0), generator=0)
    assert check.outcome is st.Outcome.INAPPLICABLE
    assert not any(name.startswith("exact") for name in check.constants)


# --- even parts ------------------------------------------------------------------------------------------------------


def test_parity_of_half_banks():
    """A Parseval half bank: 1 for real maps by even parts, energy 2 without them, and a complex tone attains sqrt 2."""
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3))] * 2, LINE)
    half = phi.banks[0]
    assert half.kind == "half" and phi.real == (True, True, True)
    assert phi.certified_lipschitz().value == pytest.approx(1, abs=1e-12)
    assert [local_constant(phi, n).value for n in range(3)] == pytest.approx([1, 1, 1], abs=1e-12)
    assert float(half.propagating_sum(real=False).max()) == pytest.approx(2, abs=1e-12)
    f = tone(LINE, (50,), complex_input=True, device=phi.device)
    passed = LINE.ifft(LINE.fft(f) * half.spectra)
    assert float((passed.abs().square().sum() / f.abs().square().sum()).sqrt()) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("rho", [st.Modulus(), st.ReLU()], ids=["modulus", "split ReLU"])
def test_even_parts_only_where_maps_are_real(rho):
    """Atoms with unequal halves in layer 2: even parts behind a modulus, plain sums behind complex maps."""
    one_sided = bank(negative=False)
    layers = [st.Layer(bank(), rho), st.Layer(one_sided, st.Modulus())]
    phi = st.FeatureExtractor(layers, LINE, final=bank())
    real = isinstance(rho, st.Modulus)
    assert phi.real[1] is real
    assert st.certify.real_maps(phi, 1).satisfied is real
    assert propagating_peak(phi, 2) == pytest.approx(0.5 if real else 1.0, abs=1e-12)
    plain = [float(phi.banks[1].propagating_sum(real=r).max()) for r in (True, False)]
    assert propagating_peak(phi, 2) == plain[0 if real else 1]


def test_a_split_relu_exceeds_the_even_part():
    """Half-waves in both parts have all of their first harmonic on one side: the even part would claim too little."""
    x = 2 * math.pi * 8 * torch.arange(128) / 128
    u = torch.complex(torch.relu(torch.cos(x)), torch.relu(torch.sin(x))).to(torch.complex128)
    energy = LINE.fft(u).abs() ** 2
    assert float(energy[-8]) < 1e-12 * float(energy[8])
    one_sided = (torch.arange(128) == 8).double()
    even = 0.5 * (one_sided + LINE.mirror(one_sided))
    assert float((even * energy).sum()) == pytest.approx(0.5 * float((one_sided * energy).sum()))
    assert float((one_sided * energy).sum() / energy.sum()) > 0.49


def test_half_banks_are_refused_behind_complex_maps():
    half = st.frames.Wavelets(J=3, sided="half")
    with pytest.raises(ValueError, match="half bank"):
        st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3, sided="both"), st.ReLU()), st.Layer(half)], LINE)
    with pytest.raises(ValueError, match="half bank"):
        st.FeatureExtractor([st.Layer(half)], LINE, complex_input=True)
