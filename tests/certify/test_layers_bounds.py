"""Bounds on the torus against matrices from the definition, torch's Jacobian, and closed forms."""

import math

import numpy as np
import pytest
import torch
from certify.convolutions import CONV, TRANSPOSED, circular_matrix, jacobian, random_case, squares
from torch import nn

from scatter_theory import certify

SEEDS = range(36)


def matrix_of(layer, grid):
    options = layer.stride, layer.dilation, layer.padding, layer.groups
    return circular_matrix(layer.weight, grid, *options)


def check(bounds, expected, scale=1e-12):
    assert abs(bounds.B.value - expected[0]) <= scale * expected[0]
    assert abs(bounds.A.value - expected[-1]) <= scale * expected[0]
    assert bounds.B.error <= 1e-12 * expected[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_and_singular_values_are_those_of_the_matrix(seed):
    layer, grid = random_case(seed)
    expected = squares(matrix_of(layer, grid))
    bounds = certify.conv_bounds(layer, grid)
    assert bounds.exact
    check(bounds, expected)
    values = certify.conv_singular_values(layer, grid)
    found = np.sort(values.flatten().numpy() ** 2)[::-1]
    length = max(len(found), len(expected))
    found, expected = (np.pad(v, (0, length - len(v))) for v in (found, expected))
    assert np.abs(found - expected).max() <= 1e-12 * expected[0]


def test_the_cases_are_varied():
    cases = [random_case(seed) for seed in SEEDS]
    for name, plain in (("stride", 1), ("dilation", 1), ("groups", 1)):
        values = [getattr(layer, name) for layer, _ in cases]
        assert sum(v != plain and v != (plain,) * len(np.atleast_1d(v)) for v in values) >= 8
    wide = [layer.out_channels < layer.in_channels * math.prod(layer.stride) for layer, _ in cases]
    wrapped = [any(d * (k - 1) >= n for d, k, n in zip(c.dilation, c.kernel_size, g, strict=True)) for c, g in cases]
    assert 5 <= sum(wide) <= 31 and sum(wrapped) >= 5


@pytest.mark.parametrize("seed", range(0, 36, 3))
def test_bounds_are_those_of_torch_s_jacobian(seed):
    layer, grid = random_case(seed)
    check(certify.conv_bounds(layer, grid), squares(jacobian(layer, grid, layer.in_channels)))


@pytest.mark.parametrize("seed", range(12))
def test_signals_attain_the_bounds_in_torch(seed):
    layer, grid = random_case(seed)
    layer.bias = None
    bounds = certify.conv_bounds(layer, grid)
    for which, bound in (("A", bounds.A), ("B", bounds.B)):
        u = bounds.signal(layer, which)
        assert u.dtype == torch.float64 and tuple(u.shape) == (layer.in_channels, *grid)
        assert float(u.square().sum()) == pytest.approx(1, abs=1e-13)
        assert abs(float(layer(u[None]).square().sum().detach()) - bound.value) <= 1e-12 * bounds.B.value


@pytest.mark.parametrize("seed", range(12))
def test_transposed_layers_have_the_transposed_matrix(seed):
    layer, grid = random_case(seed)
    coarse = tuple(n // s for n, s in zip(grid, layer.stride, strict=True))
    other = TRANSPOSED[len(grid)](
        layer.out_channels,
        layer.in_channels,
        layer.kernel_size,
        stride=layer.stride,
        dilation=layer.dilation,
        padding=layer.padding,
        groups=layer.groups,
        dtype=torch.float64,
    )
    other.weight = layer.weight
    matrix = matrix_of(layer, grid).T
    bounds = certify.conv_bounds(other, coarse, padding="circular")
    check(bounds, squares(matrix))
    for which, bound in (("A", bounds.A), ("B", bounds.B)):
        image = matrix @ bounds.signal(other, which).flatten().numpy()
        assert abs(image @ image - bound.value) <= 1e-12 * bounds.B.value


@pytest.mark.parametrize("transposed", [False, True])
def test_complex_weights(transposed):
    torch.manual_seed(3)
    kind = nn.ConvTranspose1d if transposed else nn.Conv1d
    layer = kind(2, 4, 3, stride=2, padding=1, dtype=torch.complex128, bias=False)
    grid = (5,) if transposed else (10,)
    matrix = circular_matrix(layer.weight, (10,), (2,), (1,), (1,), 1)
    matrix = matrix.T if transposed else matrix
    bounds = certify.conv_bounds(layer, grid, padding="circular")
    check(bounds, squares(matrix))
    u = bounds.signal(layer, "B")
    assert u.is_complex()
    image = matrix @ u.flatten().numpy()
    assert np.vdot(image, image).real == pytest.approx(bounds.B.value, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_of_lower_precision_are_taken_exactly(dtype):
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", dtype=dtype)
    weight = layer.weight.detach().double()
    check(certify.conv_bounds(layer, (4, 5)), squares(circular_matrix(weight, (4, 5), (1, 1), (1, 1), (1, 1), 1)))


def test_linear_layers_are_their_matrix():
    torch.manual_seed(0)
    for shape in ((5, 3), (3, 5)):
        layer = nn.Linear(*shape, dtype=torch.float64)
        bounds = certify.conv_bounds(layer, ())
        check(bounds, squares(layer.weight.detach().numpy()))
        assert bounds.recheck(layer) and tuple(bounds.signal(layer, "B").shape) == (shape[0],)
        assert bounds.all_grids().B.value == pytest.approx(bounds.B.value, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_closed_forms(d):
    # Differences of neighbours along every axis: sum_i 4 sin^2(pi xi_i), from 0 to 4 d on even grids.
    layer = CONV[d](1, d, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.zero_()
        for axis in range(d):
            layer.weight[(axis, 0, *(0,) * d)] = -1
            layer.weight[(axis, 0, *(int(a == axis) for a in range(d)))] = 1
    bounds = certify.conv_bounds(layer, (6,) * d, padding="circular")
    assert bounds.A.value == pytest.approx(0, abs=1e-12) and bounds.B.value == pytest.approx(4 * d, rel=1e-13)
    assert bounds.at_A.q == (0,) * d and bounds.at_B.q == (3,) * d
    odd = certify.conv_bounds(layer, (5,) * d, padding="circular")
    assert odd.B.value == pytest.approx(4 * d * math.sin(2 * math.pi / 5) ** 2, rel=1e-13)
    assert odd.lipschitz.value >= math.sqrt(odd.B.value) and odd.lipschitz.kind == "grid"


def test_a_unitary_layer_is_tight():
    orthogonal = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
    layer = nn.Conv2d(2, 8, 2, stride=2, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(orthogonal.reshape(8, 2, 2, 2))
    bounds = certify.conv_bounds(layer, (6, 4))
    assert bounds.exact and bounds.padding is None
    assert [bounds.A.value, bounds.B.value] == pytest.approx([1, 1], abs=1e-13)


def test_the_loss_of_small_singular_values_is_of_the_stated_size():
    # A diagonal 1x1 convolution with singular values 1 and 1e-9: a product of matrices sees 1e-18 against 1.
    torch.manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(24, 24, dtype=torch.float64)).Q for _ in range(2))
    values = torch.logspace(0, -9, 24, dtype=torch.float64)
    layer = nn.Conv1d(24, 24, 1, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter((left * values @ right)[..., None])
    bounds = certify.conv_bounds(layer, (4,))
    assert abs(bounds.A.value - 1e-18) <= bounds.A.error <= 1e-12
    found = certify.conv_singular_values(layer, (4,))
    assert float((found - values).abs().max()) <= 1e-14


def test_zero_weights_and_parametrized_weights():
    layer = nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular")
    nn.init.zeros_(layer.weight)
    bounds = certify.conv_bounds(layer, (4,))
    assert bounds.B.value == 0 and bounds.recheck(layer)

    class Half(nn.Module):
        def forward(self, w):
            return 0.5 * w

    nn.init.ones_(layer.weight)
    nn.utils.parametrize.register_parametrization(layer, "weight", Half())
    assert certify.conv_bounds(layer, (4,)).B.value == pytest.approx(1.5**2, rel=1e-13)


class Sign(nn.Conv1d):
    def forward(self, u):
        return super().forward(u.sign())


@pytest.mark.parametrize(
    ("layer", "error", "match"),
    [
        (nn.ReLU(), TypeError, "got ReLU, expected one of Conv1d"),
        (Sign(1, 1, 1), TypeError, "Sign has a forward pass of its own"),
        (nn.LazyConv1d(1, 1), ValueError, "LazyConv1d without weights yet"),
    ],
)
def test_other_modules_are_refused(layer, error, match):
    with pytest.raises(error, match=match):
        certify.conv_bounds(layer, (4,))


def test_bad_arguments_are_refused():
    layer = nn.Conv1d(1, 1, 3, stride=3, padding_mode="circular", padding=1)
    with pytest.raises(TypeError, match="expected a tuple"):
        certify.conv_bounds(layer, 4)
    for shape in ((4, 4), (0,), (2.5,), ()):
        with pytest.raises(ValueError, match="expected 1 positive whole numbers"):
            certify.conv_bounds(layer, shape)
    for n, nearest in ((4, 3), (5, 6), (1, 3), (100, 99)):
        with pytest.raises(ValueError, match=rf"nearest grid is \({nearest},\)"):
            certify.conv_bounds(layer, (n,))
    with pytest.raises(ValueError, match="expected None for the layer"):
        certify.conv_bounds(layer, (6,), padding="zeros")
    with pytest.raises(ValueError, match="expected one of them"):
        certify.conv_bounds(layer, (6,), padding="circular", exact_matrix=True)
    with torch.no_grad():
        layer.weight[0, 0, 1] = math.nan
    with pytest.raises(ValueError, match="not finite"):
        certify.conv_bounds(layer, (6,))
