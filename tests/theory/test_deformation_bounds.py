"""Deformation bounds: formulas against quadrature and hand computation, and against operator norms of dense matrices.

On a grid a deformation of polynomials of bounded degree is a matrix, so that its exact norm is a singular value.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad

from scatter_theory import theory


def test_perturbation_factor():
    assert theory.perturbation_factor(0.0) == 1.0
    assert theory.perturbation_factor(0.5) == pytest.approx(2 / (1 + math.sqrt(0.5)), rel=1e-15)
    for D in (0.1, 0.5, 0.9):
        assert theory.perturbation_factor(D) == pytest.approx(quad(lambda s, D=D: (1 - s * D) ** -0.5, 0, 1)[0])


def test_the_constant_of_the_theorem():
    assert 7.3612 < theory.band_limited_bound(1.0, 1.0) < 7.3613
    assert theory.band_limited_bound(0.25, 2.0, D=0.0, omega=0.1) == pytest.approx(2 * math.pi * 0.6)
    assert theory.band_limited_bound(0.25, 2.0) == pytest.approx(2 * theory.band_limited_bound(0.25, 1.0))


@pytest.mark.parametrize(
    ("D", "densities", "X"),
    [(0.3, [0.1], 1.0), (0.5, [0.25, 0.25], 3.0), (0.2, [0.3, 0.1, 0.4], 0.5), (0.5, [0], math.inf)],
)
def test_grid_factor_lies_just_above_its_integral(D, densities, X):
    def integrand(s):
        sampled = math.prod(math.sqrt(2 * rho + 1 / (1 - s * D)) for rho in densities)
        return min(math.exp(s * X), sampled) if math.isfinite(X) else sampled

    exact = quad(integrand, 0, 1, limit=500)[0]
    assert exact <= theory.grid_gradient_factor(D, densities, X) * (1 + 1e-9) <= exact * (1 + 2e-4)


def test_grid_factor_in_the_limits():
    assert theory.grid_gradient_factor(0.4, [0.2], 0.0) == 1.0
    assert theory.grid_gradient_factor(1.5, [0.2], 0.7) == pytest.approx(math.expm1(0.7) / 0.7)
    assert theory.grid_gradient_factor(1.5, [0.2], 1e4) == math.inf
    assert theory.grid_gradient_factor(0.5, [0.0], math.inf) == pytest.approx(theory.perturbation_factor(0.5), rel=1e-4)


# --- matrices --------------------------------------------------------------------------------------------------------


def frequencies(M, d):
    return np.array(list(itertools.product(range(-M, M + 1), repeat=d)))


def displaced(N, M, tau):
    """Values of ``e(k x)``, |k_i| <= M, at ``x_n - tau_n`` on [0, 1)^d, scaled to an isometry for tau = 0."""
    d = tau.shape[-1]
    x = np.array(list(itertools.product(np.arange(N) / N, repeat=d)))
    return np.exp(2j * np.pi * (x - tau) @ frequencies(M, d).T) / N ** (d / 2)


def smooth_field(rng, N, d, D, degree=2):
    """Trigonometric displacement at the grid points; d times its largest Jacobian entry is at most D (coefficients)."""
    x = np.array(list(itertools.product(np.arange(N) / N, repeat=d)))
    tau, slope = np.zeros((N**d, d)), 0.0
    for k in itertools.product(range(-degree, degree + 1), repeat=d):
        if any(k):
            a = rng.normal(size=d) / (1 + np.abs(k).sum())
            tau += np.cos(2 * np.pi * (x @ np.array(k)) + rng.uniform(0, 6.28))[:, None] * a
            slope += 2 * np.pi * np.max(np.abs(k)) * np.abs(a).max()
    return tau * (D / d / slope)


def steep_field(N, D):
    """One dimension: slope as large as allowed over half a period, so that points crowd there."""
    x = np.arange(N) / N
    return (D * np.minimum(x, 1 - x))[:, None]


CASES = [(1, 16, 5), (1, 17, 8), (2, 6, 2), (2, 7, 3)]


@pytest.mark.parametrize(("d", "N", "M"), CASES)
@pytest.mark.parametrize("D", [0.2, 0.5, 0.9])
def test_large_sieve(d, N, M, D):
    rng = np.random.default_rng(0)
    fields = [smooth_field(rng, N, d, D) for _ in range(6)] + ([steep_field(N, D)] if d == 1 else [])
    norms = [np.linalg.norm(displaced(N, M, tau), 2) for tau in fields]
    assert max(norms) <= theory.sampling_factor(D, [M / N] * d) * (1 + 1e-12)
    assert max(norms) > 1.0 + 1e-3


def test_the_l2_factor_alone_fails_on_a_grid():
    """Why the large sieve is needed: a displacement that the factor (1 - D)^(-1/2) does not cover at N points."""
    N, M, D = 16, 7, 0.5
    norms = [np.linalg.norm(displaced(N, M, steep_field(N, D) * c), 2) for c in (0.25, 0.5, 1.0)]
    alone = [(1 - D * c) ** -0.5 for c in (0.25, 0.5, 1.0)]
    assert any(n > a for n, a in zip(norms, alone, strict=True))


@pytest.mark.parametrize(("d", "N", "M"), CASES)
def test_moves_of_polynomials(d, N, M):
    """Norms of F - 1 from L2, from H1 and between, for smooth, rough and constant displacements."""
    rng = np.random.default_rng(1)
    k = frequencies(M, d)
    length = np.linalg.norm(k, axis=1)
    still = displaced(N, M, np.zeros((N**d, d)))
    R, kept = length.max(), length > 0
    rough = rng.choice([-1.0, 1.0], size=(N**d, d)) * 0.05 / math.sqrt(d)
    cases = [(smooth_field(rng, N, d, D), D) for D in (0.1, 0.3, 0.5)]
    cases += [(rough, math.inf), (np.full((N**d, d), 0.03), 0.0), (0.1 * rng.normal(size=(N**d, d)), math.inf)]
    for tau, D in cases:
        t = np.linalg.norm(tau, axis=1).max()
        moved = displaced(N, M, tau) - still
        low = np.linalg.norm(moved, 2)
        slope = moved[:, kept] / (2 * np.pi * length[kept])
        factor = theory.grid_gradient_factor(D, [M / N] * d, 2 * np.pi * R * t)
        assert low <= theory.taylor_bound(R, t) * (1 + 1e-12)
        assert np.linalg.norm(slope, 2) <= t * factor * (1 + 1e-12)
        if d == 1:
            assert np.linalg.norm(slope, 2) <= theory.sample_bound_1d(t, 1 / N, 1.0) * (1 + 1e-12)
        if D < 1:
            zero = 1 + theory.sampling_factor(D, [M / N] * d)
            half = moved[:, kept] / (2 * np.pi * length[kept]) ** 0.5
            assert np.linalg.norm(half, 2) <= theory.sobolev_bound(0.5, zero, t * factor, 1.0) * (1 + 1e-12)


def test_bounds_are_attained():
    """Small translations reach the gradient and Taylor bounds, random signs the one-dimensional one to three fifths."""
    N, M = 33, 16
    still = displaced(N, M, np.zeros((N, 1)))
    t = 1e-4
    moved = displaced(N, M, np.full((N, 1), t)) - still
    assert np.linalg.norm(moved, 2) >= 0.98 * theory.taylor_bound(M, t)
    assert np.linalg.norm(moved, 2) <= theory.taylor_bound(M, t)
    signs = np.random.default_rng(2).choice([-1.0, 1.0], size=(N, 1)) * 0.3
    slope = (displaced(N, M, signs) - still)[:, np.arange(-M, M + 1) != 0] / (
        2 * np.pi * np.abs(np.arange(-M, M + 1)[np.arange(-M, M + 1) != 0])
    )
    assert 0.5 <= np.linalg.norm(slope, 2) / theory.sample_bound_1d(0.3, 1 / N, 1.0) <= 1


def test_a_forgotten_jacobian_is_noticed():
    """The factors for D = 0 are exceeded by a displacement that crowds the points."""
    N, M, D = 64, 4, 0.9
    norm = np.linalg.norm(displaced(N, M, steep_field(N, D)), 2)
    assert norm > 1.5 * theory.sampling_factor(0.0, [M / N])
    assert norm <= theory.sampling_factor(D, [M / N])
    for D in (0.3, 0.5):
        assert theory.gradient_bound(1.0, D, 1.0) > 1.08 * theory.gradient_bound(1.0, 0.0, 1.0)


@pytest.mark.parametrize(("depth", "ratio"), [(4.0, 0.86), (5.0, 1.04), (6.9, 1.32), (11.5, 1.84), (23.0, 2.74)])
def test_the_jacobian_condition_is_needed_in_two_dimensions(depth, ratio):
    """f falls from 1 at |x| = e^-depth to 0 at |x| = 1 like a logarithm; the disc |x| <= 1/2 is folded onto its centre.

    In polar coordinates |grad f|^2 integrates to 2 pi / depth, and F f = 1 on the disc.
    """
    moved = quad(lambda r: (1 + math.log(r) / depth) ** 2 * 2 * math.pi * r, math.exp(-depth), 0.5, limit=400)[0]
    bound = theory.gradient_bound(0.5, 0.5, math.sqrt(2 * math.pi / depth))
    assert math.sqrt(moved) / bound == pytest.approx(ratio, abs=0.02)


# --- jumps -----------------------------------------------------------------------------------------------------------


def test_cartoon_decay_integrals():
    assert theory.cartoon_decay_integral(1) == pytest.approx(1 + math.pi)
    for d, ball, sphere in ((2, math.pi / 4, 2 * math.pi), (3, math.pi / 6, 4 * math.pi)):
        shell = quad(lambda u, d=d: (u + 0.5) ** (d - 1) * (1 + u * u) ** -d, 0, np.inf)[0]
        assert theory.cartoon_decay_integral(d) == pytest.approx(ball + sphere * shell)
    assert theory.cartoon_decay_integral(2) == pytest.approx(6.3944, abs=1e-4)
    assert theory.cartoon_decay_integral(3) == pytest.approx(7.98314, abs=1e-5)


def test_shifted_interval():
    """An interval of height 1 moved by s: distance (2 s)^(1/2); the tube of its two ends has length 4 s."""
    for s in (0.25, 0.01):
        exact = math.sqrt(2 * s)
        bound = theory.piecewise_lipschitz_bound(s, 0.0, 0.0, 1.0, 4 * s, 10.0)
        assert bound == pytest.approx(math.sqrt(2) * exact)


def test_piecewise_bound_without_jumps_is_the_lipschitz_bound():
    assert theory.piecewise_lipschitz_bound(0.3, 2.0, 2.0, 0.0, 0.0, 5.0) == theory.lipschitz_bound(0.3, 2.0, 5.0)
    assert theory.piecewise_lipschitz_bound(0.3, 2.0, 0.0, 0.1, 99.0, 5.0) == theory.lipschitz_bound(0.3, 2.0, 5.0)


def test_the_published_form_fails_beside_a_grid_point():
    """N = 64: the interval begins 1e-9 below 1/2, and a displacement by 2e-9 takes one sample out of it."""
    N, a, tau = 64, 0.5 - 1e-9, 2e-9
    n = np.arange(N) / N
    f, moved = (((x >= a) & (x <= 0.9)).astype(float) for x in (n, n - tau))
    distance = np.linalg.norm(f - moved)
    assert distance == 1.0
    assert theory.sampled_cartoon_bound_published(1.0, N, tau) < 2e-3
    assert distance <= theory.sampled_cartoon_bound(1.0, N, tau)


def test_the_safe_form_lies_below_the_published_one_where_that_is_true():
    for N in (64, 1024):
        for t in np.geomspace(1 / N, 0.6, 7):
            assert theory.sampled_cartoon_bound(1.0, N, t) <= theory.sampled_cartoon_bound_published(1.0, N, t) * 1.0001


def test_modulation():
    assert theory.modulation_bound(0.01) == pytest.approx(2 * math.pi * 0.01)
    assert theory.modulation_bound(10.0) == 2.0
    for omega in (0.01, 0.2, 0.5):
        assert abs(np.exp(2j * np.pi * omega) - 1) <= theory.modulation_bound(omega)


def test_schur_constant_of_the_raised_cosine():
    """The L1 norm of the kernel's derivative is its total variation; its spectrum is 1 on [-1, 1] and 0 beyond 2."""
    x = (np.arange(-600_000, 600_000) + 0.5) / 4000
    kernel = 3 * np.sinc(3 * x) * np.cos(np.pi * x) / (1 - 4 * x**2)
    spectrum = [np.sum(kernel * np.cos(2 * np.pi * x * w)) / 4000 for w in (0.0, 0.9, 1.5, 2.1)]
    assert spectrum == pytest.approx([1, 1, 0.5, 0], abs=1e-5)
    variation = np.abs(np.diff(kernel)).sum()
    assert variation == pytest.approx(9.3053, abs=1e-3)
    assert theory.schur_constant(9.3054) == pytest.approx(13.16, abs=5e-3)
    assert theory.schur_constant(0.0) == pytest.approx(2 * math.pi * math.sqrt(2))
