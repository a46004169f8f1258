"""The grid: frequencies, norms of the interpolant, translation, relabelling and decimation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as s

import scatter_theory as st

GRIDS = [
    st.Grid.line(9, sample_rate=3.0),
    st.Grid.line(8, length=2.0),
    st.Grid.of((5, 6), sample_rate=2.0),
    st.Grid((4, 3), (0.5, 0.25)),
    st.Grid((3, 4, 2), (1.0, 0.5, 2.0), "mm"),
]


def signal(grid, seed=0, batch=()):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*batch, *grid.shape, dtype=torch.complex128, generator=generator)


def interpolant(grid, f, points):
    """Trigonometric interpolant with frequencies ``-N/2 <= k < N/2``, by explicit sums; `points`: (n, d) in units."""
    value = np.zeros(len(points), dtype=complex)
    coefficients = np.fft.fftn(f.numpy()) / grid.size
    for k in np.ndindex(*grid.shape):
        signed = [(i + n // 2) % n - n // 2 for i, n in zip(k, grid.shape, strict=True)]
        angle = sum(np.multiply(q / L, points[:, a]) for a, (q, L) in enumerate(zip(signed, grid.extent, strict=True)))
        value += coefficients[k] * np.exp(2j * np.pi * angle)
    return value


def finer_points(grid, factor):
    axes = [np.arange(factor * n) * h / factor for n, h in zip(grid.shape, grid.spacing, strict=True)]
    return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], -1)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_norm_is_that_of_the_interpolant(grid):
    """A Riemann sum on a grid three times finer is exact for |interpolant|^2."""
    f = signal(grid)
    fine = interpolant(grid, f, finer_points(grid, 3))
    integral = (np.abs(fine) ** 2).sum() * grid.cell_volume / 3**grid.ndim
    assert float(grid.energy(f)) == pytest.approx(integral, rel=1e-12)
    assert float(grid.norm(f)) == pytest.approx(math.sqrt(integral), rel=1e-12)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_inner_product_is_that_of_the_interpolants(grid):
    f, g = signal(grid, 1), signal(grid, 2)
    points = finer_points(grid, 3)
    integral = (interpolant(grid, f, points) * interpolant(grid, g, points).conj()).sum()
    integral *= grid.cell_volume / 3**grid.ndim
    assert complex(grid.inner(f, g)) == pytest.approx(integral, rel=1e-11)
    assert complex(grid.inner(f, f)).real == pytest.approx(float(grid.energy(f)), rel=1e-13)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_batch_axes_stay(grid):
    f = signal(grid, batch=(2, 3))
    assert grid.norm(f).shape == grid.inner(f, f).shape == (2, 3)
    assert torch.equal(grid.norm(f)[1, 2], grid.norm(f[1, 2]))
    assert grid.norm(f[:0]).shape == (0, 3)
    assert torch.allclose(grid.ifft(grid.fft(f)), f, rtol=0, atol=1e-14)


def test_float32_is_summed_in_float64():
    """A sum of 2^22 squares in float32 is off by more than 1e-7; the truth is known in closed form."""
    grid = st.Grid.line(2**22)
    f = torch.full(grid.shape, 0.1, dtype=torch.float32)
    exact = 2**22 * float(np.float32(0.1)) ** 2
    for value in (grid.energy(f), grid.inner(f, f)):
        assert value.dtype == torch.float64
        assert float(value) == pytest.approx(exact, rel=1e-10)
    assert grid.inner(f.to(torch.complex64), f).dtype == torch.complex128


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.float64])
def test_norm_at_the_ends_of_the_float32_range(scale, dtype):
    grid = st.Grid.square(4)
    f = signal(grid).to(dtype) if dtype.is_complex else signal(grid).real.to(dtype)
    assert float(grid.norm(f * scale)) == pytest.approx(scale * float(grid.norm(f)), rel=1e-6)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_frequencies_are_cycles_per_unit(grid):
    """A tone of frequency xi has its only DFT coefficient where `frequencies` says xi."""
    frequencies, points = grid.frequencies(), grid.points()
    for k in np.ndindex(*grid.shape):
        xi = frequencies[(slice(None), *k)]
        tone = torch.exp(2j * math.pi * torch.tensordot(xi, points, dims=1))
        expected = torch.zeros(grid.shape, dtype=torch.complex128)
        expected[k] = grid.size
        assert torch.allclose(grid.fft(tone), expected, rtol=0, atol=1e-11)
    for axis, (n, nyquist) in enumerate(zip(grid.shape, grid.nyquist, strict=True)):
        extreme = frequencies[axis].abs().max()
        assert float(extreme) == pytest.approx(nyquist if n % 2 == 0 else nyquist * (n - 1) / n)
        assert n % 2 == 1 or float(frequencies[axis].min()) == pytest.approx(-nyquist)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_mirror_takes_the_opposite_frequency(grid):
    spectrum = signal(grid)
    mirrored = grid.mirror(spectrum)
    for k in np.ndindex(*grid.shape):
        opposite = tuple(-i % n for i, n in zip(k, grid.shape, strict=True))
        assert mirrored[k] == spectrum[opposite]
    f = signal(grid).real
    assert torch.allclose(grid.mirror(grid.fft(f)), grid.fft(f).conj(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_translate_moves_samples_forward(grid):
    """``(T f)(x) = f(x - t)``, sample by sample."""
    f, shift = signal(grid), tuple(range(1, grid.ndim + 1))
    moved = grid.translate(f, shift)
    for n in np.ndindex(*grid.shape):
        assert moved[n] == f[tuple((i - m) % size for i, m, size in zip(n, shift, grid.shape, strict=True))]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_phase_translates_the_interpolant(grid):
    f = signal(grid)
    whole = tuple(range(1, grid.ndim + 1))
    t = tuple(m * h for m, h in zip(whole, grid.spacing, strict=True))
    by_phase = grid.ifft(grid.fft(f) * grid.phase(t))
    assert torch.allclose(by_phase, grid.translate(f, whole), rtol=0, atol=1e-13)
    fractional = tuple(0.3 * h for h in grid.spacing)
    points = grid.points().reshape(grid.ndim, -1).T.numpy() - np.array(fractional)
    expected = torch.tensor(interpolant(grid, f, points)).reshape(grid.shape)
    assert torch.allclose(grid.ifft(grid.fft(f) * grid.phase(fractional)), expected, rtol=0, atol=1e-12)


@given(s.integers(1, 3), s.floats(1.0, 9.0), s.data())
def test_dilation_with_its_factor_keeps_the_norm(d, S, data):
    """``S^(d/2) f(S .)`` has the same samples times ``S^(d/2)`` at spacing h / S: a unitary map."""
    shape = tuple(data.draw(s.integers(1, 5)) for _ in range(d))
    grid = st.Grid.of(shape, sample_rate=2.0)
    f, finer = signal(grid), grid.dilate(S)
    assert finer.shape == grid.shape and finer.unit == grid.unit
    assert finer.extent == pytest.approx(tuple(L / S for L in grid.extent))
    assert finer.nyquist == pytest.approx(tuple(S * q for q in grid.nyquist))
    assert float(finer.norm(S ** (d / 2) * f)) == pytest.approx(float(grid.norm(f)), rel=1e-14)


def test_decimation_keeps_spacing_and_refuses_a_rest():
    grid = st.Grid.of((12, 8), sample_rate=4.0)
    coarse = grid.decimate(4)
    assert coarse == st.Grid((3, 2), (0.25, 0.25))
    with pytest.raises(ValueError, match=r"\(12, 8\) is not divisible by 3.*sampling='dilate'"):
        grid.decimate(3)


def test_refinement_keeps_the_torus():
    grid = st.Grid((12, 8), (0.25, 0.5), "m")
    assert grid.refined(3) == st.Grid((36, 24), (0.25 / 3, 0.5 / 3), "m")
    assert grid.refined(3).extent == pytest.approx(grid.extent)
    assert grid.refined(1) == grid


def test_units():
    grid = st.Grid.line(360, sample_rate=360.0, unit="s")
    assert grid.extent == pytest.approx((1.0,)) and grid.nyquist == (180.0,) and grid.unit == "s"
    assert grid.cell_volume == pytest.approx(1 / 360)
    assert st.Grid.square(4, length=2.0).spacing == (0.5, 0.5)
    assert st.Grid.of((4, 8), length=2.0).spacing == (0.5, 0.25)
    assert st.Grid.cube(2).ndim == 3 and st.Grid.cube(2).size == 8 and st.Grid.cube(2).axes == (-3, -2, -1)


def test_a_grid_is_a_value():
    assert st.Grid.line(8) == st.Grid.of((8,)) and hash(st.Grid.line(8)) == hash(st.Grid.of((8,)))
    assert eval(repr(GRIDS[-1]), {"Grid": st.Grid}) == GRIDS[-1]
    with pytest.raises(AttributeError):
        st.Grid.line(8).shape = (9,)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: st.Grid.of(()), ValueError, "1, 2 or 3 axes"),
        (lambda: st.Grid.of((2, 2, 2, 2)), ValueError, "1, 2 or 3 axes"),
        (lambda: st.Grid.line(0), ValueError, "positive whole numbers"),
        (lambda: st.Grid.line(2.5), ValueError, "positive whole numbers"),
        (lambda: st.Grid.line(math.nan), ValueError, "positive whole numbers"),
        (lambda: st.Grid.line(True), ValueError, "positive whole numbers"),
        (lambda: st.Grid.line("8"), ValueError, "positive whole numbers"),
        (lambda: st.Grid.of(8), TypeError, "one number per axis"),
        (lambda: st.Grid.of("8"), TypeError, "one number per axis"),
        (lambda: st.Grid((8,), 1.0), TypeError, "`Grid\\(spacing=...\\)`"),
        (lambda: st.Grid((8,), (1.0, 1.0)), ValueError, "one spacing per axis"),
        (lambda: st.Grid((8,), (0.0,)), ValueError, "finite positive"),
        (lambda: st.Grid.line(8, sample_rate=-1.0), ValueError, "`Grid\\(sample_rate=...\\)`"),
        (lambda: st.Grid.line(8, length=math.inf), ValueError, "`Grid\\(length=...\\)`"),
        (lambda: st.Grid.line(8, length=1.0, sample_rate=1.0), ValueError, "not both"),
        (lambda: st.Grid.line(8).dilate(0.5), ValueError, ">= 1"),
        (lambda: st.Grid.line(8).dilate(math.nan), ValueError, ">= 1"),
        (lambda: st.Grid.line(8).decimate(1.5), ValueError, "whole number"),
        (lambda: st.Grid.line(8).decimate(math.nan), ValueError, "whole number"),
        (lambda: st.Grid.line(8).refined(1.5), ValueError, "whole number"),
        (lambda: st.Grid.line(8).translate(torch.zeros(8), (0.5,)), ValueError, "whole numbers"),
        (lambda: st.Grid.line(8).translate(torch.zeros(8), (1, 1)), ValueError, "1 whole numbers"),
        (lambda: st.Grid.line(8).translate(torch.zeros(8), 1), TypeError, "one number per axis"),
        (lambda: st.Grid.line(8).phase((1.0, 1.0)), ValueError, "one number per axis"),
        (lambda: st.Grid.line(8).phase(1.0), TypeError, "one number per axis"),
    ],
)  # fmt: skip
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
