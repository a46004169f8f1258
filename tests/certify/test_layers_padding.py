"""Layers as torch computes them: bounds by a torus against the matrices of the layers, and when they are exact."""

import itertools
import math

import numpy as np
import pytest
import torch
from certify.convolutions import CONV, TRANSPOSED, jacobian, squares
from torch import nn
from torch.nn import functional as F

from scatter_theory import certify


def random_layer(seed, mode="zeros", transposed=False):
    """A layer with any kernel, stride, dilation and padding that torch can do, and the grid of its input."""
    rng = np.random.default_rng(seed)
    d = 1 + seed % 3
    longest = {1: 16, 2: 7, 3: 4}[d]
    kernel, stride, dilation = (tuple(int(rng.integers(1, 4)) for _ in range(d)) for _ in range(3))
    if d == 3:
        dilation = (1,) * d
    reach = [r * (k - 1) for r, k in zip(dilation, kernel, strict=True)]
    grid = tuple(int(rng.integers(2, longest + 1)) for _ in range(d))
    padding = tuple(int(rng.integers(0, 4)) for _ in range(d))
    if mode != "zeros":
        padding = tuple(min(p, n - 1) for p, n in zip(padding, grid, strict=True))
    grid = tuple(max(n, r + 1 - 2 * p, 1) for n, r, p in zip(grid, reach, padding, strict=True))
    options = {"stride": stride, "dilation": dilation, "padding": padding, "dtype": torch.float64}
    torch.manual_seed(seed)
    if not transposed:
        return CONV[d](2, 3, kernel, padding_mode=mode, **options), grid
    options["padding"] = tuple(min(p, (n - 1) * s // 2) for p, n, s in zip(padding, grid, stride, strict=True))
    extra = tuple(int(rng.integers(0, max(s, r))) for s, r in zip(stride, dilation, strict=True))
    return TRANSPOSED[d](2, 3, kernel, output_padding=extra, **options), grid


def check_enclosed(layer, grid):
    """The bound of the torus is above the Jacobian's norm, the matrix gives it exactly; returns their ratio."""
    expected = squares(jacobian(layer, grid, layer.in_channels))
    bounds = certify.conv_bounds(layer, grid)
    assert bounds.B.value + bounds.B.error >= expected[0] * (1 - 1e-13)
    matrix = certify.conv_bounds(layer, grid, exact_matrix=True)
    assert matrix.exact and matrix.method == "matrix"
    for bound in [matrix] + ([bounds] if bounds.exact else []):
        assert abs(bound.B.value - expected[0]) <= 1e-12 * expected[0]
        assert abs(bound.A.value - expected[-1]) <= 1e-12 * expected[0]
    if not bounds.exact:
        assert bounds.A is None and bounds.at_A is None and bounds.B.kind == "certified"
    return bounds.B.value / max(expected[0], 1e-300)


@pytest.mark.parametrize("seed", range(60))
def test_zero_padding_is_bounded_by_the_torus(seed):
    check_enclosed(*random_layer(seed))


@pytest.mark.parametrize("seed", range(60))
def test_transposed_layers_are_bounded_by_the_torus(seed):
    check_enclosed(*random_layer(seed, transposed=True))


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("seed", range(20))
def test_copied_samples_are_counted(mode, seed):
    layer, grid = random_layer(seed, mode)
    check_enclosed(layer, grid)
    sides = [p for p in layer.padding[::-1] for _ in range(2)]
    size = math.prod(grid)
    copier = F.pad(torch.eye(size, dtype=torch.float64).reshape(size, 1, *grid), sides, mode=mode).reshape(size, -1)
    counted = float(torch.linalg.matrix_norm(copier, ord=2)) ** 2
    assert certify.conv_bounds(layer, grid).factor == pytest.approx(counted, rel=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_circular_padding_of_any_length_is_bounded(seed):
    layer, grid = random_layer(seed, "circular")
    grid = tuple(s * -(-n // s) for n, s in zip(grid, layer.stride, strict=True))
    check_enclosed(layer, grid)


def test_circular_padding_comes_in_all_three_kinds():
    kinds = set()
    for padding in (0, 1, 2, 3):
        layer = nn.Conv1d(1, 2, 3, padding=padding, padding_mode="circular", dtype=torch.float64)
        bounds = certify.conv_bounds(layer, (6,))
        kinds.add((bounds.exact, bounds.factor))
        check_enclosed(layer, (6,))
    assert kinds == {(True, 1), (False, 1), (False, 2)}


@pytest.mark.parametrize(
    ("layer", "grid"),
    [
        (nn.Conv2d(3, 5, 1, dtype=torch.float64), (4, 3)),
        (nn.Conv2d(2, 9, 2, stride=2, dtype=torch.float64), (6, 4)),
        (nn.ConvTranspose2d(3, 2, 2, stride=2, dtype=torch.float64), (3, 2)),
        (nn.Conv1d(2, 3, 2, stride=3, dtype=torch.float64), (9,)),
    ],
    ids=["1x1", "patches", "transposed patches", "gaps"],
)
def test_kernels_that_stay_inside_are_exact_with_zeros(layer, grid):
    assert certify.conv_bounds(layer, grid).exact
    assert check_enclosed(layer, grid) == pytest.approx(1, rel=1e-12)


def test_the_torus_is_large_enough_and_no_smaller_one_would_do():
    # On the torus of 2 samples the taps (1, 0, -1) add up to 0; with zeros the layer is (u0, u1) -> (-u1, u0), an
    # isometry. On the torus of 3 the symbol is 2i sin(2 pi q / 3).
    layer = nn.Conv1d(1, 1, 3, padding=1, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.tensor([[[1.0, 0.0, -1.0]]], dtype=torch.float64))
    assert certify.conv_bounds(layer, (2,), padding="circular").B.value == pytest.approx(0, abs=1e-30)
    assert squares(jacobian(layer, (2,), 1))[0] == pytest.approx(1)
    bounds = certify.conv_bounds(layer, (2,))
    assert bounds.torus == (3,) and bounds.B.value == pytest.approx(3)


def test_output_padding_makes_the_torus_larger():
    # One sample becomes (w1, w2); on the torus of 2 samples w0 would be added to w2.
    layer = nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.tensor([[[1.0, 0.5, -1.0]]], dtype=torch.float64))
    assert certify.conv_bounds(layer, (1,), exact_matrix=True).B.value == pytest.approx(1.25)
    assert certify.conv_bounds(layer, (1,), padding="circular").B.value == pytest.approx(0.25)
    assert certify.conv_bounds(layer, (1,)).torus == (4,)
    check_enclosed(layer, (1,))


def test_padding_beyond_the_kernel_adds_rows_that_read_nothing():
    layer = nn.Conv1d(1, 1, 1, padding=3, bias=False, dtype=torch.float64)
    assert layer(torch.zeros(1, 1, 1, dtype=torch.float64)).shape[-1] == 7
    assert certify.conv_bounds(layer, (1,)).torus == (4,)
    assert check_enclosed(layer, (1,)) == pytest.approx(1, rel=1e-12)


def test_the_bound_of_zero_padding_becomes_sharp_on_long_grids():
    torch.manual_seed(0)
    layer = nn.Conv1d(2, 3, 5, padding=2, dtype=torch.float64)
    ratios = [check_enclosed(layer, (n,)) for n in (4, 16, 64, 256)]
    assert ratios[-1] < 1.002 and all(a >= b * (1 - 1e-3) for a, b in itertools.pairwise(ratios))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_named_padding(padding, kernel):
    for mode in ("zeros", "circular"):
        layer = nn.Conv1d(2, 3, kernel, padding=padding, padding_mode=mode, dilation=1, dtype=torch.float64)
        check_enclosed(layer, (7,))
    same = nn.Conv1d(2, 3, kernel, padding="same", padding_mode="circular")
    assert certify.conv_bounds(same, (7,)).exact


def test_what_torch_refuses_is_refused():
    for mode, n in (("circular", 2), ("reflect", 3)):
        layer = nn.Conv1d(1, 1, 7, padding=3, padding_mode=mode)
        with pytest.raises(RuntimeError):
            layer(torch.zeros(1, 1, n))
        with pytest.raises(ValueError, match=f"{mode} padding cannot be longer"):
            certify.conv_bounds(layer, (n,))
        layer(torch.zeros(1, 1, n + 1))
        certify.conv_bounds(layer, (n + 1,))
    layer = nn.Conv2d(1, 1, 5)
    with pytest.raises(ValueError, match="expected at least one sample per axis"):
        certify.conv_bounds(layer, (4, 9))
    with pytest.raises(ValueError, match="Use a smaller grid"):
        certify.conv_bounds(layer, (100, 100), exact_matrix=True)


def test_singular_values_of_a_part_of_an_operator_are_refused():
    layer = nn.Conv1d(1, 1, 3, padding=1)
    with pytest.raises(ValueError, match="Use `padding='circular'`"):
        certify.conv_singular_values(layer, (8,))
    assert certify.conv_singular_values(layer, (8,), padding="circular").shape == (8, 1, 1)
