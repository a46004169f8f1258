"""Exact deformations: values, composition, batches, gradients, phases, refusals; and what interpolation does."""

import math
import statistics
import time

import mpmath
import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory import Grid, deform, signals
from scatter_theory.trigonometric import NotTwiceDifferentiable, Polynomial


def noise(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_hand(f, grid, tau, n):
    """``f(x_n - tau(x_n))`` of the trigonometric interpolant (odd lengths), in 50 digits from samples and sizes."""
    mpmath.mp.dps = 50
    total = mpmath.mpc(0)
    spectrum = {}
    for k in np.ndindex(*grid.shape):
        spectrum[k] = mpmath.mpc(0)
        for m in np.ndindex(*grid.shape):
            turn = sum(mpmath.mpf(a * b) / N for a, b, N in zip(k, m, grid.shape, strict=True))
            spectrum[k] += mpmath.mpf(float(f[m])) * mpmath.expjpi(-2 * turn) / grid.size
    for k, c in spectrum.items():
        signed = [a if a <= N // 2 else a - N for a, N in zip(k, grid.shape, strict=True)]
        place = [mpmath.mpf(i) * mpmath.mpf(h) - mpmath.mpf(t) for i, h, t in zip(n, grid.spacing, tau, strict=True)]
        turn = sum(a * x / mpmath.mpf(L) for a, x, L in zip(signed, place, grid.extent, strict=True))
        total += c * mpmath.expjpi(2 * turn)
    return float(total.real)


@pytest.mark.parametrize("shape", [(9,), (5, 7), (3, 3, 5)])
@pytest.mark.parametrize("method", ["direct", "finufft"])
def test_values_against_fifty_digits(shape, method):
    grid = Grid.of(shape, sample_rate=4.0)
    f = noise(shape)
    warp = deform.random_warp(grid, sup_tau=0.3, degree=1, generator=0)
    moved = deform.apply(f, grid, warp, method=method)
    tau = warp.at(grid.points())
    for n in [(0,) * len(shape), tuple(s - 1 for s in shape), tuple(s // 2 for s in shape)]:
        exact = by_hand(f, grid, tau[(slice(None), *n)].tolist(), n)
        assert float(moved[n]) == pytest.approx(exact, abs=1e-13 * float(torch.linalg.vector_norm(f)))


@pytest.mark.parametrize("shape", [(16,), (15,), (6, 9), (4, 4, 5)])
def test_whole_translations_are_rolls(shape):
    grid = Grid.of(shape, sample_rate=2.0)
    f = noise((3, *shape))
    steps = tuple(range(1, 1 + len(shape)))
    shift = deform.translation([s * h for s, h in zip(steps, grid.spacing, strict=True)], grid.extent)
    assert torch.allclose(deform.apply(f, grid, shift), grid.translate(f, steps), rtol=0, atol=1e-12)


def test_no_displacement_is_the_identity():
    for shape in ((8,), (6, 5)):
        grid = Grid.of(shape)
        f = noise(shape)
        assert torch.allclose(deform.apply(f, grid, deform.translation([0.0] * len(shape), grid.extent)), f, atol=1e-13)


def test_composition_law():
    """First a, then b, is the composed field: exactly, for a signal that is evaluated anywhere."""
    grid = Grid.square(15, length=1.0)
    f = signals.BandLimited(3.0).draw(grid, 1, generator=0)
    a, b = (deform.random_warp(grid, sup_tau=0.05, degree=2, generator=s) for s in (1, 2))
    x = grid.points()
    moved = x - b.at(x)
    twice = f.at(moved - a.at(moved))
    assert torch.allclose(deform.apply(f, grid, b.after(a)), twice, rtol=0, atol=1e-12)
    assert not torch.allclose(deform.apply(f, grid, a.after(b)), twice, rtol=0, atol=1e-4)


def test_batches():
    grid = Grid.line(12)
    f = noise((3, 12))
    fields = deform.BandLimitedFields(degree=2).member(noise((3, 5), seed=1), grid)
    each = deform.apply(f, grid, fields)
    apart = torch.stack([deform.apply(f[i], grid, fields.select(i)) for i in range(3)])
    assert torch.allclose(each, apart, rtol=0, atol=1e-12)
    one = fields.select(0)
    assert torch.allclose(deform.apply(f, grid, one)[0], each[0], rtol=0, atol=1e-12)
    assert deform.apply(f[:0], grid, one).shape == (0, 12)
    with pytest.raises(ValueError, match="batch"):
        deform.apply(f[:2], grid, fields)


@pytest.mark.parametrize("shape", [(7,), (4, 5)])
def test_gradients_in_signal_and_field(shape):
    grid, family = Grid.of(shape), deform.BandLimitedFields(degree=1)
    f = noise((2, *shape)).requires_grad_()
    z = (0.3 * noise((2, family.parameters(grid)), seed=1)).requires_grad_()

    def moved(method):
        return lambda f, z: deform.apply(f, grid, family.member(z, grid), method=method)

    assert torch.autograd.gradcheck(moved("direct"), (f, z))
    assert torch.autograd.gradcheck(moved("finufft"), (f, z), eps=1e-5, atol=1e-6)
    assert torch.autograd.gradgradcheck(moved("direct"), (f, z))
    (slope,) = torch.autograd.grad(moved("finufft")(f, z).square().sum(), z, create_graph=True)
    with pytest.raises(NotTwiceDifferentiable, match="direct"):
        slope.sum().backward()


def test_phases():
    """A constant phase turns every value; omega(x) = x-dependent phases keep the modulus."""
    grid = Grid.line(9)
    f = noise((9,))
    quarter = Polynomial(torch.tensor([0.25], dtype=torch.complex128), grid.extent)
    assert torch.allclose(deform.apply(f, grid, deform.Deformation(omega=quarter)), 1j * f, atol=1e-13)
    wave = Polynomial(torch.tensor([0.1j, 0.0, -0.1j], dtype=torch.complex128), grid.extent)
    shift = deform.translation([0.4], grid.extent)
    both = deform.apply(f, grid, deform.Deformation(shift, wave))
    assert torch.allclose(both.abs(), deform.apply(f, grid, shift).abs(), atol=1e-12)
    expected = 2 * math.pi * 0.2 * torch.sin(2 * math.pi * grid.points()[0] / 9)
    assert torch.allclose(torch.angle(both / deform.apply(f, grid, shift)), expected, atol=1e-9)


def test_signals_are_evaluated_by_their_own_formula():
    """A step moved by less than a sample: no ringing, no smoothing."""
    grid = Grid.line(8, length=1.0)
    zero, one = (signals.PiecewiseLinear(torch.full((1, 2), v, dtype=torch.float64), (1.0,)) for v in (0.0, 1.0))
    step = signals.CartoonSignal(zero, one, (signals.Interval(0.3, 0.7),))
    moved = deform.apply(step, grid, deform.translation([0.1], grid.extent))
    assert moved.tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]]


def test_arrays_are_taken_and_left_alone():
    grid = Grid.line(8)
    f = np.random.default_rng(0).normal(size=(2, 8))
    copy, shift = f.copy(), deform.translation([0.5], grid.extent)
    moved = deform.apply(f, grid, shift)
    assert np.array_equal(f, copy)
    strided = noise((8, 2)).T
    assert torch.allclose(deform.apply(strided, grid, shift), deform.apply(strided.contiguous(), grid, shift))
    assert moved.shape == (2, 8)


@pytest.mark.parametrize(
    ("f", "error", "match"),
    [
        (torch.zeros(7, dtype=torch.float64), ValueError, "shape"),
        (torch.zeros(8, dtype=torch.float32), TypeError, "float32"),
        (torch.zeros(8, dtype=torch.int64), TypeError, "int64"),
        (torch.full((8,), math.nan, dtype=torch.float64), ValueError, "NaN"),
        ([0.0] * 8, TypeError, "list"),
    ],
)
def test_refusals(f, error, match):
    grid = Grid.line(8)
    with pytest.raises(error, match=match):
        deform.apply(f, grid, deform.translation([0.5], grid.extent))


def test_fields_of_another_torus_and_empty_deformations_are_refused():
    grid = Grid.line(8)
    with pytest.raises(ValueError, match="extent"):
        deform.apply(noise((8,)), grid, deform.translation([0.5], (9.0,)))
    with pytest.raises(ValueError, match="tau="):
        deform.Deformation()
    with pytest.raises(ValueError, match="real"):
        deform.Deformation(omega=Polynomial(torch.zeros(1, dtype=torch.complex128), (8.0,), real=False))
    with pytest.raises(ValueError, match="kind"):
        deform.Interpolated("nearest")


# --- interpolation ---------------------------------------------------------------------------------------------------


def warped_noise(share, sup, seeds=3):
    """Exact and interpolated warps of noise with a share of the Nyquist bandwidth per axis, N = 64."""
    grid = Grid.square(64)
    f = noise((seeds, 64, 64))
    mask = (grid.frequencies().abs() <= share / 2).all(0)
    f = grid.ifft(grid.fft(f) * mask).real
    field = deform.random_warp(grid, sup_tau=sup, degree=3, generator=1)
    return grid, f, field, deform.apply(f, grid, field)


@pytest.mark.parametrize(
    ("kind", "share", "error"),
    [("bilinear", 0.5, 0.16), ("bilinear", 0.9, 0.43), ("bicubic", 0.5, 0.027), ("cubic spline", 0.5, 9.8e-3)],
)
def test_interpolation_errors_are_of_the_known_size(kind, share, error):
    """Expected: worst of three smooth fields of two samples, by grid_sample and map_coordinates; within a factor 2."""
    grid, f, field, exact = warped_noise(share, 2.0)
    wrong = deform.Interpolated(kind)(f, grid, field)
    relative = grid.norm(wrong - exact) / grid.norm(f)
    assert 0.5 * error < float(relative.max()) < 2 * error


def test_interpolation_hides_and_fabricates_deformation():
    """At a twentieth of a sample bicubic invents a third of the distance, bilinear takes some away."""
    for kind, share, low, high in (("bicubic", 0.25, 0.2, 0.5), ("bilinear", 0.9, -0.3, -0.02)):
        grid, f, field, exact = warped_noise(share, 0.05)
        wrong = deform.Interpolated(kind)(f, grid, field)
        bias = grid.norm(wrong - f) / grid.norm(exact - f) - 1
        assert low < float(bias.mean()) < high


def test_kernels_agree_with_torch():
    """Bilinear and bicubic are those of grid_sample, away from the border."""
    grid = Grid.square(16)
    f = noise((1, 16, 16))
    field = deform.random_warp(grid, sup_tau=1.5, degree=2, generator=0)
    place = (grid.points() - field.at(grid.points())).flip(0) * 2 / 15 - 1
    for kind in ("bilinear", "bicubic"):
        options = {"mode": kind, "padding_mode": "border", "align_corners": True}
        theirs = torch.nn.functional.grid_sample(f[None], place.movedim(0, -1)[None], **options)[0]
        ours = deform.Interpolated(kind)(f, grid, field)
        assert torch.allclose(ours[..., 4:12, 4:12], theirs[..., 4:12, 4:12], atol=1e-9)


# --- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_batch_costs_little_more_than_finufft_itself():
    """128 x 128, eight signals, one field: at most three times the bare transform (medians of interleaved runs)."""
    import finufft

    grid = Grid.square(128)
    f = signals.BandLimited(0.3).on(grid, 8, generator=0)
    field = deform.random_warp(grid, sup_tau=2.0, generator=0)
    spectrum = np.ascontiguousarray(Polynomial.interpolating(f, grid).coefficients.numpy())
    x = (2 * np.pi * (grid.points() - field.at(grid.points())) / 128).flatten(1).numpy()
    ours, bare = [], []
    for _ in range(15):
        start = time.perf_counter()
        st.deform.apply(f, grid, field)
        middle = time.perf_counter()
        finufft.nufft2d2(x[0], x[1], spectrum, eps=1e-13, isign=1, nthreads=torch.get_num_threads())
        bare.append(time.perf_counter() - middle)
        ours.append(middle - start)
    assert statistics.median(ours) <= 3 * statistics.median(bare), (ours, bare)
