"""Filters as sparse matrices between frequencies, against dense sums and direct evaluation."""

import itertools
import math

import numpy as np
import pytest
from engine.common import array, frequencies
from hypothesis import given
from hypothesis import strategies as hs

from scatter_theory.engine import comfortable, pack, restricted, signed, widths
from scatter_theory.engine._packing import reaches

SHAPES = [
    ((8,), (4,)), ((8,), (3,)), ((9,), (4,)), ((7,), (7,)), ((12,), (9,)), ((6,), (8,)), ((5,), (12,)), ((1,), (1,)),
    ((8,), (1,)), ((1,), (4,)), ((6, 8), (3, 4)), ((5, 6), (4, 5)), ((4, 7), (4, 3)), ((3, 4), (6, 4)),
    ((8, 1), (3, 1)), ((4, 6, 5), (2, 6, 3)), ((3, 4, 6), (2, 3, 4)), ((2, 4, 4), (2, 2, 2)),
]  # fmt: skip


def dense(g, X, target):
    """``Y[t] = sum of g[k] X[k] over the signed frequencies k = t mod m``, by a loop over all k."""
    Y = np.zeros(target, complex)
    for place in np.ndindex(*X.shape):
        t = tuple(frequencies(n)[i] % m for n, m, i in zip(X.shape, target, place, strict=True))
        Y[t] += g[place] * X[place]
    return Y


def by_runs(packed, X):
    """The runs carried out as the class describes them."""
    flat, Y = X.ravel(), np.zeros((len(packed), math.prod(packed.spectrum_shape)), complex)
    for a in range(len(packed)):
        for r in range(packed.first[a], packed.first[a + 1]):
            for i in range(packed.length[r]):
                Y[a, packed.target_start[r] + i] += (
                    packed.weights[packed.offset[r] + i] * flat[packed.source_start[r] + i]
                )
    return Y.reshape(len(packed), *packed.spectrum_shape)


def by_slots(packed, X):
    index, weight = packed.slots()
    return (weight * X.ravel()[index]).sum(0).reshape(len(packed), *packed.spectrum_shape)


def samples(coefficients, shape, shift=None):
    """``sum_k c[k] e^(2 pi i k x)`` at the points x = j / shape, by the definition; `shift` moves frequencies."""
    terms = []
    for place in np.ndindex(*coefficients.shape):
        k = [frequencies(n)[i] for n, i in zip(coefficients.shape, place, strict=True)]
        terms.append(([b if shift is None else shift(axis, b) for axis, b in enumerate(k)], coefficients[place]))
    result = np.zeros(shape, complex)
    for j in np.ndindex(*shape):
        x = [a / m for a, m in zip(j, shape, strict=True)]
        result[j] = sum(c * np.exp(2j * np.pi * sum(a * b for a, b in zip(k, x, strict=True))) for k, c in terms)
    return result


def inverse(Y, shape):
    return np.fft.ifftn(Y, axes=range(-len(shape), 0)) * math.prod(shape)


# --- the matrix ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize(("source", "target"), SHAPES, ids=str)
def test_runs_and_slots_are_the_dense_sum(source, target, kind, half):
    g, X = array((3, *source), 1, kind), array(source, 2)
    packed = pack(g, target, drop=0.0, scale=0.25, half=half)
    assert np.iscomplexobj(packed.weights) == (kind == "complex") and len(packed) == 3
    nyquist = any(n % 2 == 0 for n in source)
    assert packed.half == (half and (source == target or not nyquist))
    assert packed.spectrum_shape == ((*target[:-1], target[-1] // 2 + 1) if packed.half else target)
    expected = np.stack([0.25 * dense(a, X, target)[..., : packed.spectrum_shape[-1]] for a in g])
    assert np.abs(by_runs(packed, X) - expected).max() <= 1e-13
    assert np.abs(by_slots(packed, X) - expected).max() <= 1e-13


@pytest.mark.parametrize(("source", "target"), SHAPES, ids=str)
def test_entries_name_every_weight_once(source, target):
    packed = pack(array((2, *source), 1), target, drop=0.0)
    filters, targets, sources = packed.entries()
    matrix = np.zeros((2, math.prod(target), math.prod(source)), complex)
    np.add.at(matrix, (filters, targets, sources), packed.weights)
    X = array(source, 2)
    assert np.abs((matrix @ X.ravel()).reshape(2, *target) - by_runs(packed, X)).max() <= 1e-13
    assert len(packed.weights) == 2 * math.prod(source) == len(set(zip(filters, targets, sources, strict=True)))


def test_complex_arrays_without_imaginary_part_have_real_weights():
    g = array((2, 6), 1, "real")
    assert pack(g + 0j, (4,), drop=0.0).weights.dtype == np.float64
    assert pack(g + 1e-300j, (4,), drop=0.0).weights.dtype == np.complex128


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_drop_is_relative_to_each_peak(kind):
    g = array((1, 16), 3, kind)
    g = np.concatenate([g, 1e-9 * g, np.zeros((1, 16))])
    size = np.abs(g)
    packed = pack(g, (8,), drop=0.3)
    X = array((16,), 4)
    for a in range(2):
        kept = np.where(size[a] > 0.3 * size[a].max(), g[a], 0.0)
        assert 0 < np.count_nonzero(kept) < 16
        assert np.abs(by_runs(packed, X)[a] - dense(kept, X, (8,))).max() <= 1e-14 * size[a].max()
    assert packed.first[3] == packed.first[2] and not by_slots(packed, X)[2].any(), "an empty filter"


def test_only_empty_filters_and_no_filters():
    X = array((6,), 1)
    for n in (1, 2, 0):
        packed = pack(np.zeros((n, 6)), (4,), drop=1e-7)
        assert len(packed) == n and len(packed.weights) == 0
        index, weight = packed.slots()
        assert index.shape == weight.shape == (1, n, 4) and not weight.any()
        assert by_slots(packed, X).shape == (n, 4)


@pytest.mark.parametrize("half", [False, True])
def test_parts(half):
    """Any cut, with empty filters at its ends and in between."""
    g, X = array((6, 4, 6), 5), array((4, 6), 6)
    g[[0, 3, 5]] = 0.0
    whole = pack(g, (3, 4), drop=1e-7, half=half)
    for begin, end in itertools.combinations_with_replacement(range(7), 2):
        part = whole.part(begin, end)
        assert len(part) == end - begin and part.spectrum_shape == whole.spectrum_shape
        expected = by_runs(whole, X)[begin:end]
        assert np.array_equal(by_runs(part, X), expected)
        if begin < end:
            assert np.abs(by_slots(part, X) - expected).max() <= 1e-14
            again = part.part(0, end - begin)
            assert np.array_equal(again.weights, part.weights) and np.array_equal(again.first, part.first)


# --- what it is for: samples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "target"), SHAPES, ids=str)
def test_samples_of_the_filtered_polynomial(source, target):
    """At the points of any grid, whether or not its lengths divide those of the source."""
    g, X = array((2, *source), 7), array(source, 8)
    Y = by_runs(pack(g, target, drop=0.0), X)
    for a in range(2):
        assert np.abs(inverse(Y[a], target) - samples(g[a] * X, target)).max() <= 1e-12


@pytest.mark.parametrize("nyquist", [True, False])
@pytest.mark.parametrize(("source", "target"), SHAPES, ids=str)
def test_samples_of_real_maps_from_half_spectra(source, target, nyquist):
    """Real filter, real signal: the real part of the polynomial. Half a spectrum does where the rest is its mirror."""
    axes = tuple(range(len(source)))
    g, X = np.fft.fftn(array(source, 9, "real")), np.fft.fftn(array(source, 10, "real"))
    if not nyquist:
        for axis, n in enumerate(source):
            g = g * np.where(2 * np.arange(n) == n, 0.0, 1.0).reshape([-1 if a == axis else 1 for a in axes])
    packed = pack(g[None], target, drop=0.0, half=True)
    assert packed.half or (nyquist and source != target)
    Y = by_runs(packed, X)[0]
    found = np.fft.irfftn(Y, s=target, axes=axes) * math.prod(target) if packed.half else inverse(Y, target).real
    expected = samples(g * X, target).real
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


# --- a band across the Nyquist frequency -----------------------------------------------------------------------------


def test_a_band_across_the_nyquist_frequency_keeps_its_modulus():
    """Frequencies 6, 7, -8, -7 of 16 are 6, 7, 8, 9: a band of four, which six samples hold, but only as one band."""
    g = np.zeros(16)
    g[6:10] = [0.5, 1.0, 0.8, 0.3]
    X = array((16,), 11)
    moved = np.abs(samples(g * X, (6,), lambda axis, k: k % 16))
    apart = np.abs(samples(g * X, (6,)))
    assert np.abs(moved - apart).max() > 0.1
    one = by_runs(pack(g[None], (6,), drop=0.0, across=1e-3), X)[0]
    two = by_runs(pack(g[None], (6,), drop=0.0), X)[0]
    assert np.abs(np.abs(inverse(one, (6,))) - moved).max() <= 1e-12
    assert np.abs(np.abs(inverse(two, (6,))) - apart).max() <= 1e-12
    fine = [np.abs(samples(g * X, (16,), shift)) for shift in (None, lambda axis, k: k % 16)]
    assert np.abs(fine[0] - fine[1]).max() <= 1e-12, "nobody can tell on the source grid"


def test_the_tails_of_a_band_across_the_nyquist_frequency_stay_on_their_sides():
    """What lies below the threshold belongs to the nearer end of the band."""
    g = np.exp(-((np.arange(16) - 8) ** 2) / 4)
    X = array((16,), 16)
    found = inverse(by_runs(pack(g[None], (20,), drop=0.0, across=1e-2), X)[0], (20,))
    expected = samples(g * X, (20,), lambda axis, k: k % 16)
    assert np.abs(np.abs(found) - np.abs(expected)).max() <= 1e-12


def test_a_band_across_one_of_two_nyquist_frequencies():
    g = np.zeros((10, 8))
    g[4:7, 1:4] = array((3, 3), 12, "real") + 3.0  # Rows 4, -5, -4 are 4, 5, 6; columns 1, 2, 3 lie well inside.
    X = array((10, 8), 13)
    found = inverse(by_runs(pack(g[None], (4, 5), drop=0.0, across=1e-3), X)[0], (4, 5))
    expected = samples(g * X, (4, 5), lambda axis, k: k % 10 if axis == 0 else k)
    assert np.abs(np.abs(found) - np.abs(expected)).max() <= 1e-12


@pytest.mark.parametrize("n", [8, 9, 16])
@pytest.mark.parametrize("m", [4, 5, 6])
def test_every_place_of_a_band(n, m):
    """A band of three anywhere on the circle: its modulus at m points is that of the band moved to the origin."""
    X = array((n,), 14)
    for start in range(n):
        g = np.zeros(n)
        g[[(start + i) % n for i in range(3)]] = [1.0, 2.0, 0.7]
        centred = np.array([X[(start + i) % n] for i in range(3)]) * [1.0, 2.0, 0.7]
        x = np.arange(m)[:, None] / m
        expected = np.abs((centred * np.exp(2j * np.pi * np.arange(3) * x)).sum(1))
        found = inverse(by_runs(pack(g[None], (m,), drop=0.0, across=1e-3), X)[0], (m,))
        assert np.abs(np.abs(found) - expected).max() <= 1e-12


# --- widths ----------------------------------------------------------------------------------------------------------


@given(n=hs.integers(1, 40))
def test_signed_frequencies(n):
    assert signed(n).tolist() == frequencies(n)
    assert np.array_equal(signed(n), np.round(np.fft.fftfreq(n) * n))


@given(mask=hs.lists(hs.booleans(), min_size=1, max_size=14))
def test_widths_by_brute_force(mask):
    n, used = len(mask), [i for i, large in enumerate(mask) if large]
    fits = [w for w in range(1, n + 1) if any(set(used) <= {(s + i) % n for i in range(w)} for s in range(n))]
    spectrum = np.where(mask, 1.0, 1e-3)
    if not used:
        fits = [n]  # All values are equal, hence none of them is small.
    assert widths(spectrum, 1e-3) == (fits[0],)
    assert reaches(spectrum, 1e-3) == (2 * max((abs(frequencies(n)[i]) for i in used or range(n)), default=0) + 1,)


@given(mask=hs.lists(hs.lists(hs.booleans(), min_size=5, max_size=5), min_size=1, max_size=6))
def test_widths_of_two_axes_are_those_of_the_shadows(mask):
    mask = np.array(mask)
    mask[0, 0] = True
    spectrum = np.where(mask, 1.0 + 1j, 1e-4)
    shadows = [mask.any(1), mask.any(0)]
    assert widths(spectrum, 1e-2) == tuple(widths(np.where(s, 1.0, 0.0), 1e-2)[0] for s in shadows)
    assert reaches(spectrum, 1e-2) == tuple(reaches(np.where(s, 1.0, 0.0), 1e-2)[0] for s in shadows)


@pytest.mark.parametrize("shape", [(1,), (6,), (3, 4)], ids=str)
def test_widths_of_nothing(shape):
    assert widths(np.zeros(shape), 1e-3) == reaches(np.zeros(shape), 1e-3) == (1,) * len(shape)


@given(width=hs.one_of(hs.floats(0, 3000), hs.integers(0, 3000)), limit=hs.integers(1, 4000))
def test_comfortable_by_brute_force(width, limit):
    sizes = {int(f * 2**a) for a in range(14) for f in (1, 1.25, 1.5) if f * 2**a == int(f * 2**a)}
    assert comfortable(width, limit) == min(min(s for s in sizes if s >= width), limit)


@pytest.mark.parametrize("width", [1e18, 1e300, 1.7e308, math.inf])
def test_widths_beyond_all_grids_get_the_finest(width):
    assert comfortable(width, 48) == 48


@pytest.mark.parametrize(("source", "target"), [((8,), (4,)), ((9,), (5,)), ((8, 6), (8, 3)), ((4, 6, 5), (2, 5, 3))])
def test_restricted(source, target):
    g = array((2, *source), 15)
    found = restricted(g, target)
    assert found.shape == (2, *target)
    for place in np.ndindex(*target):
        k = tuple(frequencies(m)[i] % n for n, m, i in zip(source, target, place, strict=True))
        assert np.array_equal(found[(slice(None), *place)], g[(slice(None), *k)])
