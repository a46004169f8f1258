"""First-order sensitivity: closed forms, brute force over signs, finite differences, what is refused."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory import certify
from scatter_theory import frames as fr
from scatter_theory.certify.posteriori._sensitivity import sensitivity_matrix
from scatter_theory.certify.posteriori._sign_program import SignProgram, sign_program

N = 64
GAP = math.sqrt(math.pi / 2)
#: An output atom that emits everything.
ALL = fr.Filters(torch.zeros(1, 1, dtype=torch.float64), output=torch.ones(1, dtype=torch.float64))


@functools.cache
def network(kind=st.Modulus(), depth=2, n=N, final=None, rate=1.0):  # noqa: B008 - frozen
    layer = st.Layer(fr.Wavelets(J=2), kind)
    return st.FeatureExtractor([layer] * depth, st.Grid.line(n, sample_rate=rate), final=final)


def noise(seed, n=N, decay=1.0):
    rng = np.random.default_rng(seed)
    k = np.arange(n // 2 + 1)
    spectrum = (rng.standard_normal(len(k)) + 1j * rng.standard_normal(len(k))) / np.maximum(k, 1) ** decay
    spectrum[[0, -1]] = 0
    f = np.fft.irfft(spectrum, n)
    return f / np.linalg.norm(f)


def packet(n=N):
    x = np.arange(n) - n / 2
    f = np.exp(-((x / 8) ** 2) / 2) * np.cos(2 * np.pi * 0.18 * x)
    return (f - f.mean()) / np.linalg.norm(f - f.mean())


def box(n=N):
    x = np.arange(n)
    f = (np.abs(x - 20.3) < 9) + 0.5 * np.cos(2 * np.pi * x / n)
    return (f - f.mean()) / np.linalg.norm(f - f.mean())


def slope(f, h=1.0):
    k = np.arange(len(f) // 2 + 1)
    spectrum = np.fft.rfft(f) * 2j * np.pi * k / (len(f) * h)
    spectrum[-1] = 0
    return np.fft.irfft(spectrum, len(f))


SIGNALS = {"1/f": noise(1), "white": noise(2, decay=0.0), "packet": packet(), "box": box()}


# ---------------------------------------------------------------------- the program


def positive(rng, n, rank):
    A = rng.standard_normal((rank, n)) * rng.choice([0.01, 1.0], n)
    return A.T @ A


@pytest.mark.parametrize("seed", range(30))
def test_every_sign_vector_lies_below(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 11))
    Q = positive(rng, n, int(rng.integers(1, n + 2)))
    best = max(float(np.array(x) @ Q @ np.array(x)) for x in itertools.product((-1, 1), repeat=n))
    result = sign_program(Q)
    assert result.lower == pytest.approx(best, rel=1e-9)
    assert best * (1 - 1e-12) <= result.upper <= math.pi / 2 * best * (1 + 1e-6)
    assert result.holds_for(Q)
    inside = rng.uniform(-1, 1, (100, n))
    assert np.all(np.einsum("ij,jk,ik->i", inside, Q, inside) <= result.upper)


def test_diagonal_and_rank_one_forms_are_exact():
    for Q, value in [(np.diag([3.0, 0.0, 2.0]), 5.0), (np.outer([1.0, -2.0, 3.0], [1.0, -2.0, 3.0]), 36.0)]:
        result = sign_program(Q)
        assert (result.lower, result.upper) == pytest.approx((value, value), rel=1e-6)
    assert sign_program(np.zeros((3, 3))).upper == 0


def test_a_broken_proof_is_rejected():
    Q = positive(np.random.default_rng(3), 12, 5)
    good = sign_program(Q)
    assert good.holds_for(Q)
    assert not SignProgram(good.lower, good.upper, good.signs, 0.95 * good.weights).holds_for(Q)
    assert not SignProgram(good.lower, 0.9 * good.upper, good.signs, good.weights).holds_for(Q)
    assert not SignProgram(1.01 * good.lower, good.upper, good.signs, good.weights).holds_for(Q)
    assert not good.holds_for(1.1 * Q)
    assert not good.holds_for(Q[:5, :5])


def test_an_iteration_that_stops_early_still_proves(monkeypatch):
    from scatter_theory.certify.posteriori import _sign_program

    Q = positive(np.random.default_rng(4), 40, 40)
    converged = sign_program(Q)
    monkeypatch.setattr(_sign_program, "SWEEPS", 1)
    early = sign_program(Q)
    assert early.holds_for(Q)
    assert early.upper > 1.001 * converged.upper


@pytest.mark.parametrize(
    ("Q", "message"),
    [
        (np.array([[1.0, 1j], [-1j, 1.0]]), "complex"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
        (np.ones((2, 3)), "square"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "finite"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "eigenvalue"),
    ],
)
def test_other_matrices_are_refused(Q, message):
    with pytest.raises(ValueError, match=message):
        sign_program(Q)


# ---------------------------------------------------------------------- the network


@pytest.mark.parametrize("rate", [1.0, 4.0])
@pytest.mark.parametrize("name", SIGNALS)
def test_identity_network(name, rate):
    """One Parseval layer that emits everything: J^T J = 1, and the value is the norm of the derivative."""
    phi, f = network(st.Identity(), 1, final=ALL, rate=rate), SIGNALS[name]
    result = certify.first_order_sensitivity(phi, f)
    value = np.linalg.norm(slope(f, 1 / rate)) / math.sqrt(rate)
    assert result.smallest == math.inf
    assert result.lower.value == pytest.approx(value, rel=1e-9)
    assert result.upper.value == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", SIGNALS)
def test_enclosures_are_narrow_and_below_the_derivative(name):
    phi, f = network(), SIGNALS[name]
    result = certify.first_order_sensitivity(phi, f)
    assert result.applicable
    assert result.lower.value <= result.upper.value <= 1.05 * result.lower.value
    assert result.lower.value <= np.linalg.norm(slope(f)) * (1 + 1e-9)
    assert result.recheck(phi, f)
    assert not result.recheck(phi, 1.01 * f)
    assert "first order" in str(result)


def test_it_never_proves_anything_for_a_finite_displacement():
    result = certify.first_order_sensitivity(network(), SIGNALS["packet"])
    for end in (result.lower, result.upper):
        assert end.kind == "estimated" and not end.proves
        assert "first order" in end.source
    assert not hasattr(result, "outcome")


@pytest.mark.parametrize("kind", [st.Modulus(), st.Tanh(), st.ReLU(), st.Identity()])
def test_the_matrix_is_that_of_finite_differences(kind):
    phi, f = network(kind), SIGNALS["1/f"]
    Q = sensitivity_matrix(phi, f)
    assert np.array_equal(Q, Q.T)
    base = torch.tensor(f)
    rng = np.random.default_rng(6)
    for x in (rng.standard_normal(N), np.eye(N)[7], np.ones(N)):
        step = torch.tensor(x * slope(f)) * 1e-7
        change = float(phi(base + step).distance(phi(base - step))) / 2e-7
        assert change**2 == pytest.approx(x @ Q @ x, rel=1e-3)


def test_translations_are_among_the_displacements():
    """x = 1 is a translation, whose first-order change is known from the translated signal."""
    phi, f = network(), SIGNALS["packet"]
    t = 1e-5
    moved = np.fft.irfft(np.fft.rfft(f) * np.exp(-2j * np.pi * np.arange(N // 2 + 1) * t / N), N)
    change = float(phi(torch.tensor(moved)).distance(phi(torch.tensor(f)))) / t
    assert change == pytest.approx(math.sqrt(np.ones(N) @ sensitivity_matrix(phi, f) @ np.ones(N)), rel=1e-3)
    assert change <= certify.first_order_sensitivity(phi, f).upper.value


def test_the_best_signs_are_attained_by_small_displacements():
    phi, f = network(), SIGNALS["box"]
    result = certify.first_order_sensitivity(phi, f)
    t = 1e-6
    k = np.fft.fftfreq(N, 1 / N)
    spectrum = np.fft.fft(f)
    spectrum[N // 2] = 0
    points = np.arange(N) - t * result.program.signs
    moved = (np.exp(2j * np.pi * np.outer(points, k) / N) @ spectrum).real / N
    change = float(phi(torch.tensor(moved)).distance(phi(torch.tensor(np.fft.ifft(spectrum).real)))) / t
    assert change == pytest.approx(result.lower.value, rel=0.02)


# ---------------------------------------------------------------------- not applicable


def test_kinks():
    flat = certify.first_order_sensitivity(network(), np.ones(N))
    assert not flat.applicable and flat.program is None
    assert flat.smallest == pytest.approx(0.0, abs=1e-15)
    assert math.isnan(flat.upper.value) and not flat.recheck(network(), np.ones(N))
    assert "INAPPLICABLE" in str(flat) and "kink" in str(flat)
    # A smooth non-linearity has none, and a constant signal does not change.
    smooth = certify.first_order_sensitivity(network(st.Tanh()), np.ones(N))
    assert smooth.applicable and smooth.upper.value == pytest.approx(0.0, abs=1e-10)
    # A tone passes through one atom only; all others lie on the kink.
    tone = certify.first_order_sensitivity(network(), np.cos(2 * np.pi * 20 * np.arange(N) / N))
    assert not tone.applicable


def test_paths_that_are_dropped_have_no_kinks():
    layer = st.Layer(fr.Wavelets(J=2))
    tone = np.cos(2 * np.pi * 20 * np.arange(N) / N)
    grid = st.Grid.line(N)
    full = st.FeatureExtractor([layer], grid)
    V = full.grid.ifft(full.grid.fft(torch.tensor(tone)) * full.banks[0].spectra).abs().amin(-1)
    kept = st.FixedPaths([(), (int(V.argmax()),)])
    assert certify.first_order_sensitivity(st.FeatureExtractor([layer], grid, paths=kept), tone).applicable


def test_other_layers():
    for sampling, layer, word in [
        ("decimate", st.Layer(fr.Wavelets(J=2), pooling=st.Max(2)), "linear"),
        ("dilate", st.Layer(fr.Wavelets(J=2), st.SoftThreshold(0.1)), "not known"),
    ]:
        phi = st.FeatureExtractor([layer], st.Grid.line(N), sampling=sampling)
        result = certify.first_order_sensitivity(phi, SIGNALS["1/f"])
        assert not result.applicable and word in str(result)


def test_other_arguments():
    phi = network()
    with pytest.raises(ValueError, match="one real signal"):
        certify.first_order_sensitivity(phi, np.ones((2, N)))
    with pytest.raises(ValueError, match="512"):
        certify.first_order_sensitivity(network(n=1024), np.ones(1024))
    with pytest.raises(ValueError, match="512"):
        certify.first_order_sensitivity(
            st.FeatureExtractor([st.Layer(fr.Wavelets(J=1))], st.Grid.square(8)), np.ones((8, 8))
        )
    with pytest.raises(TypeError, match="FeatureExtractor"):
        certify.first_order_sensitivity("phi", np.ones(N))


@pytest.mark.slow
def test_long_signals():
    f = noise(9, 512)
    phi = network(n=512)
    result = certify.first_order_sensitivity(phi, f)
    assert result.upper.value <= GAP * result.lower.value
    assert result.recheck(phi, f)
