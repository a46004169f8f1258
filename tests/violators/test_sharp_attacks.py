"""How close the attack comes to the sharper bounds, and what stands beside the certified decay."""

import numpy as np
import pytest

import scatter_theory as st
from scatter_theory.certify import envelopes, multiplier
from scatter_theory.search import carried
from scatter_theory.verify import Effort


def network(frame, grid, depth=2, **options):
    return st.FeatureExtractor([st.Layer(frame)] * depth, grid, paths=st.FrequencyDecreasing(), **options)


@pytest.mark.parametrize(
    ("frame", "shape", "reached"),
    [
        (st.frames.Wavelets(J=3), (128,), 0.98),
        (st.frames.Wavelets(J=3, step="sharp"), (128,), 0.979),
        (st.frames.Wavelets(J=2), (32, 32), 0.99),
        (st.frames.DirectionalWavelets(J=2, L=4), (32, 32), 0.99),
    ],
    ids=["Meyer", "sharp", "radial", "directional"],
)
def test_the_attack_reaches_the_certified_bound(frame, shape, reached):
    line = len(shape) == 1
    effort = Effort(8, 96, 120, 3) if line else Effort(2, 48, 24, 1)
    shift = 1 if line else (1, 0)
    phi = network(frame, st.Grid.of(shape))
    check = st.verify.translation(phi, bound="sharp", shifts=[shift], effort=effort, generator=0)
    assert check.outcome is st.Outcome.HOLDS
    assert check.ratio[check.series.index("layer 1")] >= reached


@pytest.mark.parametrize("complex_input", [False, True])
@pytest.mark.parametrize("shape", [(128,), (31,), (16, 24)])
def test_carried_envelopes(shape, complex_input):
    """Whole numbers of signals, of the right type; their moduli behind the best atom are near the envelope."""
    frame = st.frames.Wavelets(J=2) if len(shape) == 1 else st.frames.DirectionalWavelets(J=2)
    phi = network(frame, st.Grid.of(shape), complex_input=complex_input)
    M = multiplier(phi, "translation", 1, (1,) * len(shape))
    u = np.stack(envelopes(M))
    assert u.min() >= 0 and u.shape[1:] == shape
    signals = carried(phi, phi.banks[0].output.new_tensor(u), 7)
    assert tuple(signals.shape) == (7, *shape) and signals.is_complex() is complex_input
    assert signals.abs().square().mean(tuple(range(1, signals.ndim))).sqrt().tolist() == pytest.approx([1.0] * 7)
    U = phi(signals).remainder[1] / phi.grid.energy(signals)
    assert float(U.max()) > 0.9


def test_envelopes_climb():
    """Every second one has at least the quotient of the half-wave before it."""
    w = np.fft.fftfreq(96)
    M = (w * np.exp(-((12 * w) ** 2))) ** 2
    quotients = []
    for u in envelopes(M):
        energy = np.abs(np.fft.fft(u)) ** 2
        quotients.append(np.sum(M * energy) / np.sum(energy))
    assert all(b >= a * (1 - 1e-12) for a, b in zip(quotients[::2], quotients[1::2], strict=True))


def test_the_decay_beside_other_bounds():
    phi = network(st.frames.Wavelets(J=3), st.Grid.line(128), depth=3)
    check = st.verify.decay(phi, effort=Effort(4, 24, 0, 0), generator=0)
    getter = st.verify.energy(phi, form="getter", effort=Effort(2, 4, 0, 0), generator=0)
    support = getter.constants["largest support, layer 1"].value
    table = check.compare().bounds
    assert set(table) == {"bound", "gain bound", "Getter's bound", "rate bound for this signal"}
    assert table["Getter's bound"] == pytest.approx([1 - 1 / support] * 2)
    assert np.all(table["bound"] < table["Getter's bound"]) and np.all(table["Getter's bound"] < table["gain bound"])
    for bound in table.values():
        assert np.all(np.isnan(bound) | (check.measured <= bound * (1 + 1e-12)))


def test_bounds_whose_hypotheses_fail_are_left_out():
    layer = st.Layer(st.frames.Wavelets(J=3, sided="both"), st.ReLU())
    check = st.verify.decay(st.FeatureExtractor([layer] * 2, st.Grid.line(64)), effort=Effort(2, 8, 0, 0), generator=0)
    assert set(check.compare().bounds) == {"bound", "gain bound"}
