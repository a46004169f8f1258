"""Trigonometric polynomials: exact values anywhere, gradients, norms, and certified suprema."""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as hs

from scatter_theory import Grid
from scatter_theory.trigonometric import NotTwiceDifferentiable, Polynomial, evaluate, spot_error, supremum

SHAPES = [(1,), (2,), (8,), (9,), (4, 6), (5, 3), (3, 4, 5)]


def noise(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_hand(coefficients, extent, point):
    """The sum in 50 digits, from the same float64 coefficients and point."""
    mpmath.mp.dps = 50
    total = mpmath.mpc(0)
    box = coefficients.shape
    for index in torch.cartesian_prod(*[torch.arange(n) for n in box]).reshape(-1, len(box)).tolist():
        phase = mpmath.fsum(
            mpmath.mpf(k - n // 2) * mpmath.mpf(float(x)) / mpmath.mpf(L)
            for k, n, x, L in zip(index, box, point, extent, strict=True)
        )
        value = complex(coefficients[tuple(index)])
        total += mpmath.mpc(value.real, value.imag) * mpmath.expjpi(2 * phase)
    return complex(total)


@pytest.mark.parametrize("shape", [(9,), (8,), (5, 4), (3, 4, 5)])
@pytest.mark.parametrize("method", ["direct", "finufft"])
def test_values_against_fifty_digits(shape, method):
    grid = Grid.of(shape, length=1.7)
    p = Polynomial.interpolating(noise(shape), grid)
    points = 5 * noise((grid.ndim, 6), seed=1)
    exact = torch.tensor([by_hand(p.coefficients, p.extent, x) for x in points.T.tolist()], dtype=torch.complex128)
    size = torch.linalg.vector_norm(p.coefficients)
    error = (evaluate(p.coefficients, p.extent, points, method=method) - exact).abs().max() / size
    assert error <= (1e-13 if method == "direct" else 2e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_interpolant_passes_through_its_samples(shape):
    grid = Grid.of(shape, sample_rate=3.0)
    f = noise((2, *shape))
    p = Polynomial.interpolating(f, grid)
    assert torch.allclose(p.on(grid), f, rtol=0, atol=1e-13)
    assert torch.allclose(p.at(grid.points()), f, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [8, 64, 128])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_fast_and_direct_agree_in_two_dimensions(n, share):
    grid = Grid.square(n)
    p = Polynomial.interpolating(noise((n, n)), grid).lowpass(share / 2)
    points = grid.points() + 2 * noise((2, n, n), seed=1)
    fast = p.at(points, method="finufft")
    assert torch.linalg.vector_norm(fast - p.at(points, method="direct")) <= 1e-11 * torch.linalg.vector_norm(fast)


def test_points_of_each_polynomial():
    p = Polynomial.interpolating(noise((3, 6, 5)), Grid.of((6, 5)))
    points = noise((3, 2, 4, 2), seed=1)
    for method in ("direct", "finufft"):
        together = p.at(points, each=True, method=method)
        apart = torch.stack([p.select(i).at(points[i], method="direct") for i in range(3)])
        assert torch.allclose(together, apart, rtol=0, atol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_gradients(d):
    shape = {1: (4,), 2: (4, 5), 3: (2, 3, 2)}[d]
    c = Polynomial.interpolating(noise((2, *shape)), Grid.of(shape)).coefficients.requires_grad_()
    x = (3 * noise((d, 3), seed=1)).requires_grad_()
    for method in ("direct", "finufft"):
        assert torch.autograd.gradcheck(lambda c, x, m=method: evaluate(c, shape, x, method=m), (c, x), atol=1e-6)
    assert torch.autograd.gradgradcheck(lambda c, x: evaluate(c, shape, x, method="direct"), (c, x), atol=1e-6)


def test_second_derivatives_of_the_fast_path_are_refused():
    c = Polynomial.interpolating(noise((6,)), Grid.line(6)).coefficients
    x = noise((1, 4)).requires_grad_()
    (slope,) = torch.autograd.grad(evaluate(c, (6.0,), x, method="finufft").real.sum(), x, create_graph=True)
    with pytest.raises(NotTwiceDifferentiable, match="direct"):
        slope.sum().backward()


def test_spot_error_sees_a_wrong_value():
    p = Polynomial.interpolating(noise((16, 16)), Grid.square(16))
    points = noise((2, 30), seed=1)
    values = p.at(points)
    assert spot_error(p.coefficients, p.extent, points, values) < 1e-12
    assert spot_error(p.coefficients, p.extent, points, values + 1e-6) > 1e-8


def test_norms_of_a_tone():
    """cos(2 pi 3 x / L) on a torus of length L: energy L / 2, gradient norm 2 pi 3 / L times the norm."""
    grid = Grid.line(16, length=2.0)
    p = Polynomial.interpolating(torch.cos(2 * math.pi * 3 * grid.points()[0] / 2.0), grid)
    assert p.norm() == pytest.approx(1.0)
    assert p.norm(1) == pytest.approx(2 * math.pi * 1.5)
    assert p.norm(0.5) == pytest.approx(math.sqrt(2 * math.pi * 1.5))
    assert torch.allclose(p.derivative(0).on(grid), -2 * math.pi * 1.5 * torch.sin(3 * math.pi * grid.points()[0]))


def test_values_on_a_coarse_grid_are_those_of_the_function():
    p = Polynomial.interpolating(noise((9, 8)), Grid.of((9, 8), length=1.0))
    coarse = Grid.of((3, 4), length=1.0)
    assert torch.allclose(p.on(coarse), p.at(coarse.points()), rtol=0, atol=1e-12)


def test_lowpass_keeps_what_lies_within():
    p = Polynomial.interpolating(noise((12, 12)), Grid.square(12)).lowpass(0.25)
    assert p.box == (7, 7)
    assert float(p.occupied()) <= 0.25
    assert torch.equal(p.occupied_per_axis(), torch.tensor([0.25, 0.25], dtype=torch.float64))


@given(
    d=hs.sampled_from([1, 2]), degree=hs.integers(0, 6), parts=hs.integers(1, 3), seed=hs.integers(0, 2**31),
    real=hs.booleans(),
)  # fmt: skip
def test_supremum_encloses(d, degree, parts, seed, real):
    """Against a much finer sampling, for scalars and vectors."""
    c = noise((parts, *(2 * degree + 1,) * d), seed, torch.complex128)
    if real:
        c = c + c.flip(tuple(range(1, d + 1))).conj()
    p = Polynomial(c, (1.0,) * d, real)
    fine = Grid.of(({1: 4096, 2: 192}[d],) * d, length=1.0)
    sizes = p.on(fine).abs()
    for vector, seen in ((True, torch.linalg.vector_norm(sizes, dim=0).max()), (False, sizes.flatten(1).amax(1))):
        low, high = supremum(p, vector=vector)
        assert torch.all(low <= high) and torch.all(seen <= high * (1 + 1e-12))
        assert torch.all(high <= (1 + {1: 1e-3, 2: 6e-3}[d]) * low + 1e-300)
        assert torch.all(low <= seen * (1 + {1: 1e-3, 2: 2e-2}[d]) + 1e-300)


def test_supremum_of_a_dirichlet_kernel_is_its_peak():
    """A peak between all samples of the first sampling: value 2 M + 1 at x = 1/7."""
    k = torch.arange(-5, 6, dtype=torch.float64)
    p = Polynomial(torch.exp(-2j * math.pi * k / 7), (1.0,), True)
    low, high = supremum(p)
    assert low <= 11.0 * (1 + 1e-12) and 11.0 <= high <= 11.0 * (1 + 1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coefficients": noise((4,)).to(torch.complex128)}, "odd"),
        ({"coefficients": noise((3,))}, "complex"),
        ({"points": noise((2, 4))}, "points"),
        ({"points": torch.zeros((1, 4), dtype=torch.complex128)}, "real positions"),
        ({"method": "nearest"}, "finufft"),
        ({"coefficients": noise((3,)).to(torch.complex64), "method": "finufft"}, "double precision"),
    ],
)
def test_bad_input(arguments, message):
    good = {"coefficients": noise((3,)).to(torch.complex128), "extent": (1.0,), "points": noise((1, 4))}
    with pytest.raises(ValueError, match=message):
        evaluate(**{**good, **arguments})


def test_empty_batches_and_points():
    c = torch.zeros((0, 3), dtype=torch.complex128)
    assert evaluate(c, (1.0,), torch.zeros((1, 5), dtype=torch.float64)).shape == (0, 5)
    c = torch.zeros((2, 3), dtype=torch.complex128)
    assert evaluate(c, (1.0,), torch.zeros((1, 0), dtype=torch.float64)).shape == (2, 0)
