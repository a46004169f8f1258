"""Energy decay: the published table, rates by hand, and the bounds against a network written out in numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from scatter_theory import theory

FRACTIONS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (5 / 3, (2, 3, 4, 6, 8, 11)),
        (3 / 2, (2, 4, 5, 8, 10, 14)),
        (None, (2, 3, 7, 19, 39, 199)),
    ],
    ids=["wavelets", "weyl-heisenberg", "general"],
)
def test_layers_needed_reproduces_the_published_table(rate, expected):
    assert tuple(theory.layers_needed(share, m=1.0001, rate=rate) for share in FRACTIONS) == expected


def test_layers_needed_at_m_one_changes_a_single_entry():
    assert theory.layers_needed(0.25, m=1.0, rate=None) == 1
    assert theory.layers_needed(0.25, m=1.0001, rate=None) == 2


@given(some.floats(0.01, 0.999), some.floats(0.1, 100), some.sampled_from([1.2, 1.5, 5 / 3, None]), some.floats(1, 3))
def test_layers_needed_is_the_first_depth_at_which_the_multiplier_is_small(share, ratio, rate, m):
    N = theory.layers_needed(share, L=ratio, delta=1.0, m=m, rate=rate)
    lost = lambda depth: float(theory.decay_multiplier(ratio, depth, delta=1.0, rate=rate, m=m))  # noqa: E731
    assert lost(N + 1) <= 1 - share + 1e-9
    if N > 0:
        assert lost(N) >= 1 - share - 1e-9


@given(some.floats(0.01, 0.98), some.floats(1.001, 1.02), some.floats(0.1, 100))
def test_layers_needed_is_monotone_and_free_of_units(share, more, L):
    for rate in (5 / 3, None):
        N = theory.layers_needed(share, L=L, rate=rate)
        assert theory.layers_needed(min(0.99, share * more), L=L, rate=rate) >= N
        assert theory.layers_needed(share, L=L * 64, delta=64.0, rate=rate) == N


@pytest.mark.parametrize(
    "arguments", [{"fraction": 1.0}, {"fraction": 0.0}, {"fraction": 0.5, "rate": 1.0}, {"fraction": 0.5, "m": 0.5}]
)
def test_layers_needed_refuses(arguments):
    with pytest.raises(ValueError, match="layers_needed"):
        theory.layers_needed(**{"rate": None, **arguments})


def test_rates_by_hand():
    assert theory.wavelet_decay_rate(2.0) == pytest.approx(5 / 3, rel=1e-15)
    assert theory.wavelet_decay_rate(3.0) == pytest.approx(5 / 4, rel=1e-15)
    assert theory.weyl_heisenberg_decay_rate() == 1.5
    assert theory.weyl_heisenberg_decay_rate(start=3.0, half_width=1.0) == 4.0
    assert theory.band_decay_rate([(1, 4), (2, 8)]) == pytest.approx(5 / 3, rel=1e-15)
    assert theory.band_decay_rate([(3, 3)]) == math.inf


@given(some.floats(1.1, 8), some.integers(0, 10))
def test_rates_of_families_are_those_of_their_bands(r, j):
    assert theory.band_decay_rate([(r ** (j - 1), r ** (j + 1))]) == pytest.approx(theory.wavelet_decay_rate(r))
    bands = [(0.4 + 0.3 * k, 0.4 + 0.3 * k + 2 * r) for k in range(5)]
    assert theory.band_decay_rate(bands) == pytest.approx(theory.weyl_heisenberg_decay_rate(0.4, r))


@pytest.mark.parametrize("bands", [[], [(0, 1)], [(2, 1)], [(-1, 1)]])
def test_band_decay_rate_refuses(bands):
    with pytest.raises(ValueError, match="band_decay_rate"):
        theory.band_decay_rate(bands)


def test_decay_multiplier_by_hand():
    # c_2 = 3/2: at xi = 3/4 the kernel is 1/2, at 3 it is gone.
    value = theory.decay_multiplier(np.array([0.0, 0.75, 3.0]), 2, delta=1.0, rate=1.5)
    np.testing.assert_allclose(value, [0.0, 0.75, 1.0])
    with pytest.raises(ValueError, match="depth >= 1"):
        theory.decay_multiplier(0.0, 0, delta=1.0, rate=1.5)


@given(some.floats(0, 50), some.integers(1, 6), some.floats(1.1, 3), some.floats(0.1, 1.5), some.floats(1, 3))
def test_sobolev_bound_is_above_the_multiplier(xi, N, rate, s, m):
    bound = theory.sobolev_decay_bound(N, xi ** min(s, 0.5), s=s, delta=1.0, rate=rate, m=m)
    assert theory.decay_multiplier(xi, N, delta=1.0, rate=rate, m=m) <= bound * (1 + 1e-12) + 1e-15


def test_steps_on_grid_by_hand():
    # n = 64, delta = 4: (5/3)^(N-2) <= 8 up to N - 2 = 4; 4 (N - 1) <= 32 up to N = 9.
    assert theory.decay_steps_on_grid(64, delta=4, rate=5 / 3) == 6
    assert theory.decay_steps_on_grid(64, delta=4, rate=None) == 9
    assert theory.decay_steps_on_grid(64, delta=4, rate=2.0) == 5
    assert theory.decay_steps_on_grid(64, delta=40, rate=2.0) == 1


def test_getter_bound_by_hand():
    np.testing.assert_allclose(theory.getter_bound(2.0, 1.0, [2, 4]), [2, 1, 0.5, 0.375])
    batch = theory.getter_bound(np.array([2.0, 4.0]), np.array([1.0, 3.0]), [2])
    np.testing.assert_allclose(batch, [[2, 4], [1, 3], [0.5, 1.5]])
    assert np.all(np.diff(theory.getter_bound(2.0, 1.0, [1, 5])) <= 0)
    with pytest.raises(ValueError, match="bins"):
        theory.getter_bound(1.0, 1.0, [0])


# --- an independent network ------------------------------------------------------------------------------------------


def octave_bank(n, delta):
    """Sharp one-sided bands of bins [delta, 2 delta - 1], ... and their mirror images; chi below delta."""
    k = np.fft.fftfreq(n, d=1 / n)
    atoms, bands, low = [], [], delta
    while low <= n // 2:
        high = min(2 * low - 1, (n - 1) // 2)
        atoms += [(k >= low) & (k <= high), (k <= -low) & (k >= -high)]
        bands.append((low, high))
        low *= 2
    return (np.abs(k) < delta) * 1.0, [a * 1.0 for a in atoms], bands


def remainders(f, atoms, depth):
    """W_0, ..., W_depth by brute force, counting norm."""
    maps, W = [f], [np.sum(np.abs(f) ** 2)]
    for _ in range(depth):
        maps = [np.abs(np.fft.ifft(np.fft.fft(u) * g)) for u in maps for g in atoms]
        W.append(sum(np.sum(u**2) for u in maps))
    return np.array(W)


@pytest.mark.parametrize("signal", ["noise", "spike", "tone"])
@pytest.mark.parametrize(("n", "delta"), [(63, 2), (81, 3)])
def test_bounds_hold_for_a_network_in_numpy(n, delta, signal):
    chi, atoms, bands = octave_bank(n, delta)
    rng = np.random.default_rng(0)
    f = {
        "noise": rng.standard_normal(n) + 1j * rng.standard_normal(n),
        "spike": np.eye(n)[0],
        "tone": np.exp(2j * math.pi * 7 * np.arange(n) / n),
    }[signal]
    depth = 3
    W = remainders(f, atoms, depth)
    spectrum = np.abs(np.fft.fft(f)) ** 2 / n
    k = np.fft.fftfreq(n, d=1 / n)
    for rate in (theory.band_decay_rate(bands), None):
        assert theory.decay_steps_on_grid(n, delta=delta, rate=rate) >= depth
        for N in range(1, depth + 1):
            bound = np.sum(spectrum * theory.decay_multiplier(k, N, delta=delta, rate=rate))
            assert W[N] <= bound * (1 + 1e-12) + 1e-12
    support = max(int(np.count_nonzero(g)) for g in atoms)
    getter = theory.getter_bound(W[0], W[0] - np.sum(spectrum * chi**2), [support] * (depth - 1))
    assert np.all(getter * (1 + 1e-12) + 1e-12 >= W)
    assert all(W[n + 1] <= theory.remainder_bound(W[n], 1.0) * (1 + 1e-12) + 1e-12 for n in range(depth))
