"""What every pooling declares, against dense matrices, spikes and loops."""

import math

import numpy as np
import pytest
import torch
from slow_network import pool

import scatter_theory as st

LINEAR = [
    st.NoPooling(),
    st.Subsample(2),
    st.Subsample(3),
    st.Average(1),
    st.Average(2),
    st.Average(3),
    st.Average(2, kernel=(0.25, 0.5, 0.25)),
    st.Average(2, kernel=(0.5, -0.5)),
    st.Average(3, kernel=(1.0, -2.0, 0.5, 0.25)),
    st.Average(2, kernel=tuple(0.9**k for k in range(15))),
    st.Average(1, kernel=(0.3,)),
]
MAXIMA = [st.Max(2), st.Max(3), st.Max(1, window=3), st.Max(2, window=3), st.Max(2, window=4), st.Max(3, window=5)]
SHAPES = [(12,), (6, 12)]
MODES = ["dilate", "decimate"]
ALLOWED = [(p, mode) for p in LINEAR for mode in MODES] + [(p, "decimate") for p in MAXIMA]


def draw(grid, batch=(), seed=0, dtype=torch.float64):
    return torch.randn(*batch, *grid.shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def attacks(grid):
    """Pairs: random, close, spikes of both signs, constants, combs against zero."""
    f, h = draw(grid, (200,), 1), draw(grid, (200,), 2)
    spikes = torch.eye(grid.size, dtype=torch.float64).reshape(-1, *grid.shape)
    combs = torch.stack([(grid.points().round().long() % period == 0).all(0).double() for period in (1, 2, 3, 4, 6)])
    zero = torch.zeros(grid.shape, dtype=torch.float64)
    return [(f, h), (f, f + 1e-5 * h), (spikes, zero), (spikes, -spikes.flip(0)), (combs, zero), (1e6 * f, 1e6 * h)]


def worst_ratio(pooling, grid, sampling):
    ratios = []
    for a, b in attacks(grid):
        (p, coarse), (q, _) = pooling(a, grid, sampling), pooling(b, grid, sampling)
        distance = grid.norm(a - b)
        ratios.append((coarse.norm(p - q)[distance > 0] / distance[distance > 0]).max())
    return float(torch.stack(ratios).max())


# --- constants -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("pooling", LINEAR, ids=repr)
def test_constant_is_the_largest_singular_value(pooling, shape, sampling):
    """Of the dense matrix between the two physical norms, dilation and its factor included."""
    grid = st.Grid.of(shape, sample_rate=2.0)
    units = torch.eye(grid.size, dtype=torch.float64).reshape(-1, *shape)
    image, coarse = pooling(units, grid, sampling)
    matrix = image.flatten(1) * math.sqrt(coarse.cell_volume / grid.cell_volume)
    largest = float(torch.linalg.matrix_norm(matrix, ord=2))
    constant = pooling.lipschitz(grid, sampling)
    assert constant.proves
    assert largest == pytest.approx(constant.value, rel=1e-12)
    published = pooling.lipschitz_published(grid, sampling)
    assert published is None or largest <= published.value * (1 + 1e-12)


def test_closed_forms():
    """Box of S samples in mode decimate: S^(-d/2); published S^(1/2) max|k| per axis and Young's ||k||_1."""
    line, square = st.Grid.line(12), st.Grid.square(12)
    box = st.Average(4)
    assert box.lipschitz(line, "decimate").value == pytest.approx(0.5)
    assert box.lipschitz(square, "decimate").value == pytest.approx(0.25)
    assert box.lipschitz(line, "dilate").value == pytest.approx(1.0)
    assert box.lipschitz_published(square, "decimate").value == pytest.approx((2 / 4) ** 2)
    signed = st.Average(2, kernel=(0.5, -0.25))
    assert signed.lipschitz_published(square, "dilate").value == pytest.approx(0.75**2)
    assert signed.lipschitz(square, "dilate").value == pytest.approx(0.75**2)
    assert signed.lipschitz_published(line, "decimate") is None
    folded = st.Average(2, kernel=(0.5, 0.5)).lipschitz(line, "decimate").value
    assert folded == pytest.approx(st.Average(2).lipschitz(line, "decimate").value, rel=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("pooling", MAXIMA, ids=repr)
def test_constant_of_max_is_attained_by_a_spike(pooling, shape):
    grid = st.Grid.of(shape, sample_rate=2.0)
    overlaps = math.ceil((pooling.window or pooling.factor) / pooling.factor)
    constant = pooling.lipschitz(grid, "decimate")
    assert constant.proves and constant.value == pytest.approx(overlaps ** (len(shape) / 2), rel=1e-15)
    spike = torch.zeros(shape, dtype=torch.float64)
    window, S = pooling.window or pooling.factor, pooling.factor
    spike[(((window - 1) // S) * S % 6,) * len(shape)] = 1.0
    image, coarse = pooling(spike, grid, "decimate")
    assert float(coarse.norm(image) / grid.norm(spike)) == pytest.approx(constant.value, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("pooling", "sampling"), ALLOWED, ids=str)
def test_constant_is_never_exceeded(pooling, sampling, shape):
    grid = st.Grid.of(shape)
    assert worst_ratio(pooling, grid, sampling) <= pooling.lipschitz(grid, sampling).value * (1 + 1e-10)


def test_overlapping_windows_declared_disjoint_are_caught():
    """Window W, stride 1, declared 1: a spike reaches sqrt(W)."""
    grid = st.Grid.line(12)
    declared = st.Pool(lambda x: st.Max(1, window=4).map(x, grid, "decimate"), 1.0)
    assert worst_ratio(declared, grid, "decimate") == pytest.approx(2.0)


def test_decimation_with_the_factor_of_the_dilation_is_caught():
    """Every S-th sample times S^(d/2) at the old spacing is not 1-Lipschitz: a spike reaches S^(d/2); tones do not."""
    grid = st.Grid.of((6, 12))
    declared = st.Pool(lambda x: 3.0 * x[..., ::3, ::3], 1.0, factor=3)
    assert worst_ratio(declared, grid, "decimate") == pytest.approx(3.0)
    tone = torch.cos(2 * math.pi * grid.points()[1] / 12)
    image, coarse = declared(tone, grid, "decimate")
    assert float(coarse.norm(image) / grid.norm(tone)) == pytest.approx(1.0)


# --- values and flags ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(12,), (6, 6), (3, 6, 3)], ids=str)
@pytest.mark.parametrize(
    ("pooling", "reduce", "W", "sampling"),
    [
        (st.Subsample(3), "first", 1, "dilate"),
        (st.Subsample(3), "first", 1, "decimate"),
        (st.Average(3), "mean", 3, "dilate"),
        (st.Average(3), "mean", 3, "decimate"),
        (st.Average(3, kernel=(0.25,) * 4), "mean", 4, "dilate"),
        (st.Average(3, kernel=(0.25,) * 4), "mean", 4, "decimate"),
        (st.Max(3), "max", 3, "decimate"),
        (st.Max(3, window=2), "max", 2, "decimate"),
    ],
    ids=str,
)
def test_values_by_loops(pooling, reduce, W, sampling, shape):
    """``S^(d/2) (P u)(S .)`` or every S-th value, windows starting at the kept sample; complex linear where linear."""
    grid = st.Grid.of(shape)
    x = draw(grid, dtype=torch.complex128)
    image, coarse = pooling(x, grid, sampling)
    expected = pool(x.numpy(), reduce, 3, W, sampling)
    assert image.shape == coarse.shape == expected.shape
    assert np.abs(image.numpy() - expected).max() <= 1e-14
    assert image.is_complex() == (reduce != "max")


@pytest.mark.parametrize("pooling", LINEAR + MAXIMA, ids=repr)
def test_translation_covariance(pooling):
    """Whole shifts in mode dilate, multiples of S in mode decimate."""
    grid, S = st.Grid.of((6, 12)), int(pooling.factor)
    x = draw(grid, (2,))
    if not isinstance(pooling, st.Max):
        image, finer = pooling(x, grid, "dilate")
        assert torch.allclose(pooling(grid.translate(x, (1, 5)), grid)[0], finer.translate(image, (1, 5)), atol=1e-14)
    image, coarse = pooling(x, grid, "decimate")
    moved = pooling(grid.translate(x, (S, -2 * S)), grid, "decimate")[0]
    assert torch.allclose(moved, coarse.translate(image, (1, -2)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("pooling", LINEAR + MAXIMA, ids=repr)
def test_flags(pooling):
    grid = st.Grid.line(12)
    x, mode = draw(grid, (50,)), "decimate" if isinstance(pooling, st.Max) else "dilate"
    image, after = pooling(x, grid, mode)
    positive = torch.cat([x.abs(), torch.eye(12, dtype=torch.float64)])
    assert pooling.keeps_sign == bool((pooling(positive, grid, mode)[0] > -1e-15).all())
    if mode == "dilate":
        assert pooling.isometric == torch.allclose(after.norm(image), grid.norm(x), rtol=1e-12)
    assert pooling.real_output == (not pooling(x + 0j, grid, mode)[0].is_complex())
    zero, _ = pooling(torch.zeros_like(x), grid, mode)
    assert float(zero.abs().max()) == 0 and pooling.commutes


@pytest.mark.parametrize("pooling", LINEAR + MAXIMA, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_single_precision_and_empty_batches(pooling, dtype):
    grid, mode = st.Grid.line(12), "decimate" if isinstance(pooling, st.Max) else "dilate"
    x = draw(grid, (3,), dtype=dtype)
    before, (image, coarse) = x.clone(), pooling(x, grid, mode)
    assert image.dtype == (torch.float32 if pooling.real_output else dtype)
    assert torch.equal(x, before)
    assert pooling(x[:0], grid, mode)[0].shape == (0, *coarse.shape)


def test_user_pooling():
    grid = st.Grid.line(8)
    own = st.Pool(lambda x: 0.5 * (x + x.roll(1, -1)), 1.0, factor=2, name="two")
    image, finer = own(draw(grid), grid)
    assert finer.spacing == (0.5,) and image.shape == (8,)
    assert own.lipschitz(grid, "dilate").kind == "declared" and "two" in own.lipschitz(grid, "dilate").source
    with pytest.raises(ValueError, match=r"`Pool\(function=...\)`: returned shape \(8,\), expected \(4,\)"):
        own(draw(grid), grid, "decimate")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: st.Subsample(0.5), ValueError, r"`Subsample\(factor=...\)`: got 0.5"),
        (lambda: st.Subsample(math.nan), ValueError, r"`Subsample\(factor=...\)`"),
        (lambda: st.Subsample("2"), ValueError, r"`Subsample\(factor=...\)`: got '2'"),
        (lambda: st.Subsample(True), ValueError, r"`Subsample\(factor=...\)`"),
        (lambda: st.Average(1.5), ValueError, r"`Average\(factor=...\)`.*whole number"),
        (lambda: st.Average(2, kernel=()), ValueError, r"`Average\(kernel=...\)`"),
        (lambda: st.Average(2, kernel=(math.inf,)), ValueError, r"`Average\(kernel=...\)`"),
        (lambda: st.Max(2.5), ValueError, r"`Max\(factor=...\)`"),
        (lambda: st.Max(2, window=0), ValueError, r"`Max\(window=...\)`"),
        (lambda: st.Max(2, window=True), ValueError, r"`Max\(window=...\)`"),
        (lambda: st.Max(2).lipschitz(st.Grid.line(8), "dilate"), ValueError, r"no finite Lipschitz.*'decimate'"),
        (lambda: st.Max(2, window=9).grid(st.Grid.line(8), "decimate"), ValueError, r"window=9.*at most 8"),
        (lambda: st.Pool(3, 1.0), TypeError, r"`Pool\(function=...\)`: got int"),
        (lambda: st.Pool(abs, math.nan), ValueError, r"`Pool\(lipschitz_constant=...\)`"),
        (lambda: st.Subsample(2.5).grid(st.Grid.line(10), "decimate"), ValueError, r"whole number"),
        (lambda: st.Subsample(3).grid(st.Grid.line(10), "decimate"), ValueError, r"not divisible by 3"),
        (lambda: st.Subsample(2).grid(st.Grid.line(10), "other"), ValueError, r"'dilate' or 'decimate'"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
