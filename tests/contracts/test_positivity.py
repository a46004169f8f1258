"""Certificates of non-negative maps: known values, attacks, tampering, networks."""

import json
import math

import numpy as np
import pytest

import scatter_theory as st
from scatter_theory.certify import LayerCertificate, PositivityCertificate, certified_layer, positivity_certificate
from scatter_theory.certify.positivity._program import triangle


def log_cosine(w, p):
    """1 up to p, 0 from 2 p on, a quarter cosine in log2 between."""
    w = np.abs(w)
    return np.where(w <= p, 1.0, np.where(w >= 2 * p, 0.0, np.cos(np.pi / 2 * np.log2(np.maximum(w, p) / p))))


def meyer(w, p):
    x = np.clip(np.abs(w) / p - 1, 0, 1)
    return np.cos(np.pi / 2 * x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3))


PROFILES = {
    "box": lambda w, p: (np.abs(w) <= p).astype(float),
    "log-cosine": log_cosine,
    "Meyer": meyer,
    "Gaussian": lambda w, p: np.exp(-(w**2) / (2 * p**2)),
    "Butterworth": lambda w, p: (1 + (w / p) ** 4) ** -0.5,
    "first order": lambda w, p: (1 + (w / p) ** 2) ** -0.5,
}
#: Certified factor and the best one found, for M = (|w| chi)^2 with p = 1/32, by another implementation.
KNOWN = [
    ("box", 128, 0.70711, 0.70711),
    ("log-cosine", 128, 0.70730, 0.70711),
    ("log-cosine", 256, 0.70775, 0.70711),
    ("log-cosine", 512, 0.70816, 0.70716),
    ("Meyer", 128, 0.70728, 0.70711),
    ("Meyer", 256, 0.70773, 0.70711),
    ("Gaussian", 128, 0.73418, 0.73074),
    ("Gaussian", 256, 0.73421, 0.73074),
    ("Butterworth", 128, 0.75667, 0.75399),
    ("first order", 128, 0.95355, 0.95355),
]


@pytest.mark.parametrize(("profile", "N", "upper", "lower"), KNOWN)
def test_known_factors(profile, N, upper, lower):
    w = np.fft.fftfreq(N)
    proof = positivity_certificate((np.abs(w) * PROFILES[profile](w, 1 / 32)) ** 2)
    assert proof.c == pytest.approx(upper, abs=1.5e-5)
    assert lower - 1.5e-5 <= proof.found <= proof.c
    assert 0 <= proof.gap < 0.006


#: The same for exact translations by s samples, N = 512.
MOVED = [
    ("log-cosine", 1, 0.70816, 0.70716),
    ("log-cosine", 8, 0.70732, 0.70711),
    ("Gaussian", 1, 0.73422, 0.73074),
    ("Gaussian", 8, 0.73422, 0.73074),
    ("first order", 1, 0.9040, 0.9036),
    ("first order", 8, 0.7738, 0.7711),
]
#: The same for exact translations on 32 x 32 samples, radial low-passes with p = 1/12.
PLANE = [
    ("log-cosine", (1, 0), 0.7098, 0.7073),
    ("log-cosine", (1, 1), 0.7136, 0.7071),
    ("Meyer", (1, 0), 0.7119, 0.7075),
    ("Meyer", (1, 1), 0.7100, 0.7072),
    ("Gaussian", (1, 0), 0.7493, 0.7443),
    ("Gaussian", (1, 1), 0.7385, 0.7361),
    ("Butterworth", (1, 0), 0.7647, 0.7627),
    ("Butterworth", (1, 1), 0.7461, 0.7432),
]


@pytest.mark.parametrize(("profile", "s", "upper", "lower"), MOVED)
def test_known_factors_of_translations(profile, s, upper, lower):
    w = np.fft.fftfreq(512)
    proof = positivity_certificate((2 * np.sin(np.pi * w * s) * PROFILES[profile](w, 1 / 32)) ** 2)
    assert proof.c == pytest.approx(upper, abs=6e-5)
    assert lower - 6e-5 <= proof.found <= proof.c


@pytest.mark.parametrize(("profile", "s", "upper", "lower"), PLANE)
def test_known_factors_in_the_plane(profile, s, upper, lower):
    x, y = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    chi = PROFILES[profile](np.hypot(x, y), 1 / 12)
    proof = positivity_certificate((2 * np.sin(np.pi * (s[0] * x + s[1] * y)) * chi) ** 2)
    assert proof.c == pytest.approx(upper, abs=1.5e-4)
    assert lower - 1.5e-4 <= proof.found <= proof.c


#: Flat edge of the low-pass, samples, certified share; by another implementation.
DECAY = [
    (1 / 64, 128, 0.96875),
    (1 / 64, 256, 0.96875),
    (1 / 64, 512, 0.96945),
    (1 / 32, 128, 0.93750),
    (1 / 32, 256, 0.93889),
    (1 / 32, 512, 0.93891),
    (1 / 16, 128, 0.87690),
    (1 / 16, 256, 0.87695),
    (1 / 16, 512, 0.87702),
]


@pytest.mark.parametrize(("edge", "N", "share"), DECAY)
def test_known_decay(edge, N, share):
    """What a Parseval bank with this low-pass passes on: M = 1 - |chi|^2."""
    proof = positivity_certificate(1 - log_cosine(np.fft.fftfreq(N), edge) ** 2)
    assert proof.value == pytest.approx(share, abs=1.5e-5)
    assert proof.gap < 0.002


@pytest.mark.parametrize("N", [128, 513, 4096])
def test_known_decay_in_closed_form(N):
    """The largest triangle below |chi|^2 has B = 1.9056 p; the mean of its samples is at least B, and near it."""
    p = 1 / 32
    M = 1 - log_cosine(np.fft.fftfreq(N), p) ** 2
    eta = triangle(M)
    assert np.all(eta >= 0)
    value = np.max(M + np.fft.fft(eta).real)
    assert 1 - 1.02 * 1.9056 * p <= value <= 1 - 1.9056 * p * (1 - 1e-4)
    assert positivity_certificate(M).value <= value * (1 + 1e-9)


@pytest.mark.parametrize("shape", [(31,), (32,), (9, 14), (4, 5, 6)])
def test_triangles_are_certificates(shape):
    """Whatever the multiplier: weights >= 0, and a value that is never above its maximum."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        M = rng.random(shape)
        M.flat[0] = 0.0
        axes = tuple(range(len(shape)))
        M = 0.5 * (M + np.roll(np.flip(M, axes), (1,) * len(shape), axes))
        eta = triangle(M)
        assert eta.min() >= 0 and eta.flat[0] == 0
        assert np.max(M + np.fft.fftn(eta).real) < M.max()


def test_large_grids_have_certificates():
    """Where the program ends early the closed form stands: not 1, and near the best found."""
    proof = positivity_certificate(1 - log_cosine(np.fft.fftfreq(6000), 1 / 32) ** 2)
    assert proof.lower <= proof.value <= 1 - 1.9 / 32


def test_only_the_mean_is_emitted():
    """chi = 1 at frequency 0 alone: the mean of u >= 0 has at least 1/N of its energy, and a spike no more."""
    M = np.ones(64)
    M[0] = 0
    proof = positivity_certificate(M)
    assert proof.value == pytest.approx(1 - 1 / 64, rel=1e-9)
    assert proof.lower == pytest.approx(1 - 1 / 64, rel=1e-9)


def test_a_half_wave_has_half_of_its_energy_at_its_frequency():
    """One harmonic passes: c = 1/sqrt 2 exactly, by the shift of half a period."""
    M = np.zeros(64)
    M[[4, -4]] = 2.5
    proof = positivity_certificate(M)
    assert proof.c == pytest.approx(math.sqrt(0.5), rel=1e-9)
    assert proof.found == pytest.approx(math.sqrt(0.5), rel=1e-9)


@pytest.mark.parametrize("shape", [(32,), (33,), (12, 10), (4, 5, 6)])
def test_no_non_negative_signal_exceeds_its_certificate(shape):
    """Random, sparse, half-wave and split complex signals, multipliers with and without symmetry."""
    rng = np.random.default_rng(0)
    for symmetric in (True, False):
        M = rng.random(shape) ** 3
        axes = tuple(range(len(shape)))
        if symmetric:
            M = 0.5 * (M + np.roll(np.flip(M, axes), (1,) * len(shape), axes))
        proof = positivity_certificate(M)
        assert proof.lower <= proof.value <= M.max() * (1 + 1e-9)
        for power in (1, 4, 20):
            for _ in range(20):
                parts = rng.random((2, *shape)) ** power
                for u in (parts[0], parts[0] + 1j * parts[1]):
                    energy = np.abs(np.fft.fftn(u)) ** 2
                    assert np.sum(M * energy) <= proof.value * np.sum(energy) * (1 + 1e-12)


def test_signals_with_negative_values_do_exceed_it():
    M = np.zeros(64)
    M[[4, -4]] = 1.0
    proof = positivity_certificate(M)
    energy = np.abs(np.fft.fft(np.cos(2 * np.pi * 4 * np.arange(64) / 64))) ** 2
    assert np.sum(M * energy) > 1.9 * proof.value * np.sum(energy)


def test_the_phase_of_a_half_wave_matters():
    """Period 5: max(0, cos) has less than half of its energy at its frequency, another phase has more."""
    M = np.zeros(5)
    M[[1, -1]] = 1.0
    x = 2 * np.pi * np.arange(5) / 5

    def quotient(phase):
        energy = np.abs(np.fft.fft(np.maximum(0, np.cos(x + phase)))) ** 2
        return np.sum(M * energy) / np.sum(energy)

    assert quotient(0.0) == pytest.approx(0.4764, abs=5e-5)
    proof = positivity_certificate(M)
    assert 0.5236 - 5e-5 <= proof.lower / M.max() <= proof.value / M.max()
    assert max(quotient(p) for p in np.linspace(0, 2 * np.pi, 1000)) <= proof.lower * (1 + 1e-6)


def test_a_pooling_kernel_that_removes_the_mean_breaks_the_bound():
    """A half-wave without its mean has 0.92 of its amplitude at its frequency, so that such kernels must be refused."""
    n = 240
    u = np.maximum(0, np.cos(2 * np.pi * 4 * np.arange(n) / n))
    energy = np.abs(np.fft.fft(u - u.mean())) ** 2
    quotient = math.sqrt((energy[4] + energy[-4]) / energy.sum())
    assert quotient == pytest.approx(math.sqrt(0.125 / (0.25 - 1 / math.pi**2)), abs=1e-3)
    M = np.zeros(n)
    M[[4, -4]] = 1.0
    assert quotient > 1.29 * positivity_certificate(M).c


def certificate():
    w = np.fft.fftfreq(64)
    M = (np.abs(w) * log_cosine(w, 1 / 16)) ** 2
    return M, positivity_certificate(M)


def test_certificates_survive_a_file():
    M, proof = certificate()
    again = PositivityCertificate.from_dict(json.loads(json.dumps(proof.to_dict())))
    assert again == proof
    assert again.holds_for(M)
    assert again.rechecked(M) == pytest.approx(proof.value, rel=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"value": 0.99},
        {"weights": -1.0},
        {"weights": math.nan},
        {"shifts": 1},
        {"shape": (32,)},
    ],
)
def test_tampered_certificates_are_rejected(change):
    M, proof = certificate()
    table = proof.to_dict()
    ((key, amount),) = change.items()
    if key == "value":
        table[key] *= amount
    elif key == "weights":
        table[key] = [amount * w for w in table[key]]
    elif key == "shifts":
        table[key] = [[x[0] + amount] for x in table[key]]
    else:
        table[key] = amount
    assert not PositivityCertificate.from_dict(table).holds_for(M)


def test_certificates_speak_for_one_multiplier():
    M, proof = certificate()
    assert not proof.holds_for(1.001 * M)
    assert proof.holds_for(0.9 * M)


def test_a_program_that_maximises_nothing():
    proof = positivity_certificate(np.zeros(8))
    assert proof.value == 0 and proof.c == 1 and proof.gap == 0
    for bad in (np.array([]), np.array([1.0, -1.0]), np.array([np.inf])):
        with pytest.raises(ValueError, match="M="):
            positivity_certificate(bad)


# --- networks --------------------------------------------------------------------------------------------------------


def network(shape=(64,), J=3, **options):
    layer = st.Layer(st.frames.Wavelets(J=J), **options)
    return st.FeatureExtractor([layer, layer], st.Grid.of(shape), paths=st.FrequencyDecreasing())


def test_layers_of_a_network():
    phi = network()
    for shift in (1, 3, 8):
        certified = certified_layer(phi, "translation", 1, (shift,))
        assert certified.recheck(phi)
        assert 0.7071 <= certified.proof.c <= 0.7135
        again = LayerCertificate.from_dict(json.loads(json.dumps(certified.to_dict())))
        assert again == certified and again.recheck(phi)
        assert not again.recheck(network(J=2))
        assert not again.recheck(network((32,)))
    assert certified_layer(phi, "decay", 1).recheck(phi)


def test_dilated_layers_see_the_same_array_shift():
    """With pooling the low-pass of layer 1 is wider on its own axis: its multiplier is that of the relabelled grid."""
    phi = network(pooling=st.Subsample(2))
    M = st.certify.multiplier(phi, "translation", 1, (3,))
    k = np.fft.fftfreq(64)
    chi = phi.banks[1].output.abs().numpy()
    assert np.allclose(M, np.abs(np.exp(-2j * np.pi * 3 * k) - 1) ** 2 * chi**2, atol=1e-14)
    decimated = network(pooling=st.Subsample(2), J=2)
    decimated = decimated.rebuilt(sampling="decimate")
    with pytest.raises(ValueError, match="multiples of 2"):
        certified_layer(decimated, "translation", 1, (3,))
    assert certified_layer(decimated, "translation", 1, (4,)).proof.shape == (32,)


@pytest.mark.parametrize(("claim", "n"), [("translation", 0), ("translation", 3), ("decay", 0), ("decay", 2)])
def test_layers_that_do_not_exist(claim, n):
    with pytest.raises(ValueError, match="layer"):
        certified_layer(network(), claim, n, (1,) if claim == "translation" else ())


def test_two_dimensions():
    phi = network((32, 32), J=2)
    for shift in ((1, 0), (1, 1)):
        proof = certified_layer(phi, "translation", 1, shift).proof
        assert 0.7071 <= proof.c <= 0.713 and proof.gap < 0.01
