"""Bounds against fractions worked out by hand, their units, and their monotonicity."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from scatter_theory import theory

HALF = Fraction(1, 2)
positive = some.floats(1e-3, 1e3)


# --- contraction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("B", "L", "R", "expected"),
    [(1, 1, 1, 1), (HALF, 2, 1, 2), (3, HALF, HALF, 3), (1, 1, 3 * HALF, 9 * HALF * HALF)],
)
def test_admissibility_by_hand(B, L, R, expected):
    assert theory.admissibility(B, L, R) == expected


def test_refined_admissibility_by_hand():
    # |chi|^2 = (1, 1/4, 0), G = (0, 3/4, 1), (LR)^2 = 4: (1, 1/4 + 3, 4).
    chi, G = np.array([1, 0.25, 0]), np.array([0, 0.75, 1])
    assert theory.refined_admissibility(chi, G, L=2.0) == 4.0
    assert theory.refined_admissibility(chi, G, L=0.5) == 1.0


@given(some.lists(some.tuples(some.floats(0, 4), some.floats(0, 4)), min_size=1, max_size=6), positive, positive)
def test_refined_is_never_larger_than_plain(powers, L, R):
    chi, G = np.array(powers).T
    plain = theory.admissibility((chi + G).max(), L, R)
    assert theory.refined_admissibility(chi, G, L, R) <= plain * (1 + 1e-12)


def test_balanced_normalisation_amplifies_and_still_contracts():
    # A tight bank (B = 1) before the sigmoid, L = 1/4: propagating atoms x4, plain B = 16, refined value 1.
    chi, G = np.array([1, 0.25, 0]), np.array([0, 0.75, 1])
    output, propagating = theory.normalising_factors_balanced(1.0, 0.25, 1.0)
    assert (output, propagating) == (1.0, 4.0)
    assert (output**2 * chi + propagating**2 * G).max() == 16.0
    assert theory.refined_admissibility(output**2 * chi, propagating**2 * G, L=0.25) == 1.0


@given(positive, positive, positive)
def test_normalising_makes_admissible(B, L, R):
    s = theory.normalising_factor(B, L, R)
    assert theory.admissibility(s * s * B, L, R) == pytest.approx(1.0, rel=1e-12)


def test_certified_factors_by_hand():
    chi, G = np.array([1, 0.25, 0]), np.array([0, 0.75, 1])
    assert theory.certified_factors([], np.array([0.5, 2.0])) == (2.0,)
    # Tight layers of 1-Lipschitz maps: all factors 1.
    assert theory.certified_factors([(chi, G, 1.0, 1.0)] * 3, chi) == (1.0, 1.0, 1.0, 1.0)
    # Propagating atoms x1.5 twice, from the last layer on: c_2 = 1, c_1 = 9/4, c_0 = (9/4)^2.
    assert theory.certified_factors([(chi, 2.25 * G, 1.0, 1.0)] * 2, chi) == (5.0625, 2.25, 1.0)
    # The order of the layers matters: c_1 = 1 for the tight second layer, then 4 G at the first.
    assert theory.certified_factors([(chi, G, 2.0, 1.0), (chi, G, 1.0, 1.0)], chi) == (4.0, 1.0, 1.0)


def test_certified_factors_use_chi_of_the_same_layer():
    # chi_0 and chi_1 differ: c_1 = max(4, 0 + 1), c_0 = max(1, 4 * 1); a shifted index would give other values.
    first = (np.array([1.0, 0.0]), np.array([0.0, 1.0]), 1.0, 1.0)
    second = (np.array([4.0, 0.0]), np.array([0.0, 1.0]), 1.0, 1.0)
    assert theory.certified_factors([first, second], np.array([1.0, 0.0])) == (4.0, 4.0, 1.0)


def test_local_lipschitz_by_hand():
    assert theory.local_lipschitz(0.5, []) == 0.5
    assert theory.local_lipschitz(0.5, [(2.0, 1.0, 0.25), (1.0, 3.0, 4.0)]) == 0.5 * (2 * 0.5) * (3 * 2)


def test_energy_sandwich_by_hand():
    assert theory.energy_sandwich([1, 1], [1, 1]) == (1.0, 1.0)
    assert theory.energy_sandwich([0.5, 2.0], [0.75, 3.0]) == (0.5, 3.0)


def test_remainder_bound_by_hand():
    assert theory.remainder_bound(8.0, 0.5, L=2.0, R=0.5) == 4.0


# --- translation -----------------------------------------------------------------------------------------------------


def test_translation_bound_by_hand():
    # 2 pi * (1/8) * 4 / 2 * 3 = (3/2) pi
    assert theory.translation_bound(0.125, K=4.0, S_product=2.0, norm=3.0) == pytest.approx(1.5 * math.pi, rel=1e-15)
    assert theory.translation_bound(-0.125, K=4.0) == theory.translation_bound(0.125, K=4.0)
    np.testing.assert_allclose(theory.translation_bound(np.array([0, 1, 2]), 0.5), [0, math.pi, 2 * math.pi])


@given(positive, positive, some.floats(1, 64), positive)
def test_translation_bound_does_not_depend_on_the_unit(t, K, S, factor):
    """Seconds to milliseconds: t grows by the factor by which cycles per unit shrink."""
    assert theory.translation_bound(t * factor, K / factor, S) == pytest.approx(theory.translation_bound(t, K, S))
    full = theory.full_covariance_bound(t, K, S)
    assert theory.full_covariance_bound(t * factor, K / factor, S) == pytest.approx(full)


def test_translation_bound_needs_pooling_to_fall_with_depth():
    assert all(a > b for a, b in pairwise(theory.translation_bound(1.0, 1.0, 2.0**n) for n in range(6)))
    assert len({theory.translation_bound(1.0, 1.0, 1.0**n) for n in range(6)}) == 1


@given(some.floats(0, 4), some.floats(1, 8), some.floats(0.05, 2))
def test_translation_multiplier_stays_below_its_cap_and_the_cap_below_the_bound(t, S, width):
    xi = np.linspace(-4, 4, 801)
    chi = np.exp(-(xi**2) / (2 * width**2))
    K = theory.gaussian_decay_constant(width)
    exact = theory.translation_multiplier(chi, xi[None], (t / S,))
    cap = theory.translation_multiplier_cap(t, K, S, 1.0)
    subnormal = 1e-300  # below it numbers lose their digits
    assert exact <= cap * (1 + 1e-12) + subnormal <= theory.translation_bound(t, K, S) * (1 + 1e-11) + 2 * subnormal


def test_translation_multiplier_by_hand():
    # One frequency 1/4, shift 2: 2 sin(pi/2) = 2; in two axes the phases add: <(1, 1), (1/4, 1/4)> = 1/2.
    assert theory.translation_multiplier(np.array([0.5]), np.array([[0.25]]), (2.0,)) == 1.0
    assert theory.translation_multiplier(np.array([1.0]), np.array([[0.25], [0.25]]), (1.0, 1.0)) == 2.0


def test_full_covariance_bound_by_hand():
    assert theory.full_covariance_bound(1.0, 1.0, 1.0) == 0.0
    assert theory.full_covariance_bound(1.0, 1.0, 4.0) == pytest.approx(1.5 * math.pi, rel=1e-15)


def test_posteriori_bound_is_below_the_theorem_for_any_map():
    rng = np.random.default_rng(0)
    xi = np.fft.fftfreq(64)
    chi = np.exp(-((xi / 0.05) ** 2))
    for _ in range(20):
        spectrum = rng.standard_normal(64)
        slope = np.linalg.norm(xi * chi * spectrum)
        bound = theory.translation_bound(3.0, np.max(np.abs(xi) * chi), 2.0, np.linalg.norm(spectrum))
        assert theory.translation_posteriori_bound(3.0, 2.0, slope) <= bound


def test_alias_budget_by_hand():
    terms = [theory.alias_term(0.5, 1.0, 1.0, 4.0), theory.alias_term_a_priori(0.25, 2.0, 1.0, 9.0, norm=2.0)]
    assert terms == [2.0, pytest.approx(2 * math.pi * 0.25 * 2 * 3 * 2)]
    assert theory.alias_budget(terms) == sum(terms)
    assert theory.alias_budget([]) == 0.0


@pytest.mark.parametrize("rho", [np.abs, lambda v: np.maximum(v, 0), np.tanh], ids=["abs", "relu", "tanh"])
def test_alias_term_bounds_the_defect_of_fractional_shifts(rho):
    """Defect of rho against fractional shifts of trigonometric polynomials, directly by FFT."""
    n, h = 63, 1 / 63
    rng = np.random.default_rng(1)
    k = np.fft.fftfreq(n, d=h)
    for degree in (2, 10, 31):
        spectrum = np.where(np.abs(k) <= degree, np.fft.fft(rng.standard_normal(n)), 0)
        shift = np.exp(-2j * math.pi * k * 0.37 * h)
        moved_first = rho(np.fft.ifft(spectrum * shift).real)
        moved_last = np.fft.ifft(np.fft.fft(rho(np.fft.ifft(spectrum).real)) * shift).real
        slope = math.sqrt(h) * np.linalg.norm(np.fft.ifft(2j * math.pi * k * spectrum))
        defect = math.sqrt(h) * np.linalg.norm(moved_first - moved_last)
        assert 0 < defect <= theory.alias_term(h, 1.0, 1.0, slope)


# --- closed forms ----------------------------------------------------------------------------------------------------


@given(some.floats(-2, 2), some.floats(0.2, 2))
def test_gaussian_sum_agrees_with_both_series(u, p):
    direct = sum(math.exp(-(((u - k) / p) ** 2)) for k in range(-40, 41))
    q = math.exp(-((math.pi * p) ** 2))
    poisson = p * math.sqrt(math.pi) * (1 + 2 * sum(q ** (m * m) * math.cos(2 * math.pi * m * u) for m in range(1, 40)))
    value = theory.gaussian_weyl_heisenberg_sum(u, p)
    assert value == pytest.approx(direct, rel=1e-13)
    assert value == pytest.approx(poisson, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize(
    ("p", "A", "B"), [(0.5, 0.736006, 1.036632), (1.0, 1.772270, 1.772637), (2.0, 3.544908, 3.544908)]
)
def test_gaussian_bounds_have_the_published_digits(p, A, B):
    low, high = theory.gaussian_weyl_heisenberg_bounds(p)
    assert (low, high) == (pytest.approx(A, abs=6e-7), pytest.approx(B, abs=6e-7))
    assert theory.gaussian_weyl_heisenberg_bounds(p, d=3) == (pytest.approx(low**3), pytest.approx(high**3))


@given(some.floats(-3, 3), some.floats(0.05, 3))
def test_gaussian_bounds_enclose_the_sum(u, p):
    low, high = theory.gaussian_weyl_heisenberg_bounds(p)
    assert low * (1 - 1e-13) <= theory.gaussian_weyl_heisenberg_sum(u, p) <= high * (1 + 1e-13)


@pytest.mark.parametrize(
    ("chi", "K"),
    [
        (lambda xi: np.exp(-(xi**2) / (2 * 0.3**2)), theory.gaussian_decay_constant(0.3)),
        (lambda xi: np.sinc(2.5 * xi), theory.box_decay_constant(2.5)),
        (lambda xi: (np.abs(xi) <= 0.7) * 1.0, theory.ideal_decay_constant(0.7)),
    ],
    ids=["gaussian", "box", "ideal"],
)
def test_decay_constants_are_suprema(chi, K):
    xi = np.linspace(-3, 3, 600001)
    assert np.max(np.abs(chi(xi)) * np.abs(xi)) == pytest.approx(K, rel=1e-5)
    assert np.max(np.abs(chi(xi)) * np.abs(xi)) <= K * (1 + 1e-15)


@pytest.mark.parametrize("p", [0.0, -1.0, math.nan, math.inf])
def test_gaussian_width_is_checked(p):
    with pytest.raises(ValueError, match=r"gaussian_weyl_heisenberg_sum\(p=\.\.\.\)"):
        theory.gaussian_weyl_heisenberg_sum(0.0, p)
