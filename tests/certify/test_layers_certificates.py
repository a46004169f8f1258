"""What is kept of the bounds: enclosures for all grids, checks without eigenvalues, files; Gram iteration; folding."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from certify.convolutions import CONV, TRANSPOSED, random_case
from torch import nn

from scatter_theory import certify
from scatter_theory.certify.layers._all_grids import enclosure


def circular(layer, grid):
    return certify.conv_bounds(layer, grid, padding="circular")


# --- all grids -------------------------------------------------------------------------------------------------------


def polynomial_layer(seed):
    rng = np.random.default_rng(seed)
    d = 1 + seed % 2
    stride, dilation = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    torch.manual_seed(seed)
    kind = TRANSPOSED if seed % 5 == 4 else CONV
    return kind[d](1 + seed % 2, 4, 3, stride=stride, dilation=dilation, dtype=torch.float64), d, stride


@pytest.mark.parametrize("seed", range(10))
def test_one_grid_encloses_fifty(seed):
    layer, d, stride = polynomial_layer(seed)
    unit = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else stride
    bounds = circular(layer, (unit * (24 if d == 1 else 16),) * d)
    every = bounds.all_grids()
    lengths = range(1, 51) if d == 1 else (1, 2, 3, 5, 17, 20, 25, 31, 32, 40)
    shapes = [(unit * n,) * d for n in lengths] + ([] if d == 1 else [(unit * n, unit * 7) for n in range(10, 50)])
    assert len(shapes) == 50
    for shape in shapes:
        other = circular(layer, shape)
        assert every.A.value <= other.A.value + 1e-13 and other.B.value <= every.B.value
    kappa = math.prod(math.cos(math.pi * L / (2 * m)) ** 2 for L, m in zip(every.degree, every.samples, strict=True))
    assert every.B.value <= bounds.B.value / kappa * (1 + 1e-12) <= 1.38 * bounds.B.value


def test_zero_padding_on_every_grid_is_below_the_enclosure():
    torch.manual_seed(1)
    layer = nn.Conv1d(2, 3, 5, padding=2, dtype=torch.float64)
    every = certify.conv_bounds(layer, (30,)).all_grids()
    assert every.A is None
    for n in (1, 2, 3, 7, 30, 90):
        assert certify.conv_bounds(layer, (n,), exact_matrix=True).B.value <= every.B.value


def test_enclosures_are_sharp_and_closed_forms():
    # |1 - e|^2 = 2 - 2 cos: degree 1. On 3 samples B is 3, the supremum 4: B / cos^2(pi / 6) = 4.
    layer = nn.Conv1d(1, 1, 2, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.tensor([[[1.0, -1.0]]], dtype=torch.float64))
    assert circular(layer, (3,)).all_grids().B.value == pytest.approx(4, rel=1e-12)
    # |1 + e / 2|^2 = 1.25 + cos has the values 2.25 and 0.75 on 3 samples: kappa = 3/4 gives B = 3, and c = 1/2 A = 0.
    layer.weight = nn.Parameter(torch.tensor([[[1.0, 0.5]]], dtype=torch.float64))
    every = circular(layer, (3,)).all_grids()
    assert every.B.value == pytest.approx(3, rel=1e-12) and every.A.value == pytest.approx(0, abs=1e-12)
    dense = circular(layer, (200,)).all_grids()
    assert dense.B.value == pytest.approx(2.25, rel=1e-3) and dense.A.value == pytest.approx(0.25, rel=1e-2)
    assert dense.A.value <= 0.25 and dense.B.value >= 2.25


def test_enclosures_of_random_polynomials_and_a_factor_that_is_too_small():
    rng = np.random.default_rng(0)
    theta = np.arange(4096) / 4096
    missed = 0
    for _ in range(200):
        L, m = int(rng.integers(1, 4)), 0
        m = int(rng.integers(L + 1, 4 * L + 2))
        h = rng.normal(size=(3, L + 1)) + 1j * rng.normal(size=(3, L + 1))
        p = (np.abs(h @ np.exp(2j * np.pi * np.arange(L + 1)[:, None] * theta)) ** 2).sum(0)
        samples = (np.abs(h @ np.exp(2j * np.pi * np.arange(L + 1)[:, None] * np.arange(m) / m)) ** 2).sum(0)
        every = enclosure(samples.min(), samples.max(), (L,), (m,))
        assert every.A.value <= p.min() + 1e-12 and p.max() <= every.B.value * (1 + 1e-12)
        missed += p.max() > enclosure(samples.min(), samples.max(), (L,), (4 * m,)).B.value
    assert missed > 20


def test_axes_with_few_samples_use_the_bound_that_allows_them():
    # Two cosines beyond a right angle have a positive product, which proves nothing.
    for L, m in ((9, 10), (3, 5)):
        every = enclosure(0.5, 1.0, (L, L), (m, m))
        assert every.B.value == pytest.approx(math.cos(math.pi * L / (2 * m)) ** -4, rel=1e-12)
        assert every.A.value == 0


def test_copied_samples_do_not_count_for_the_torus():
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 2, 3, padding=1, padding_mode="reflect", dtype=torch.float64)
    bounds = certify.conv_bounds(layer, (10,))
    B = circular(layer, (12,)).B.value
    assert bounds.factor == 2 and bounds.torus == (12,) and bounds.B.value == pytest.approx(2 * B, rel=1e-12)
    assert bounds.all_grids().B.value == pytest.approx(B / math.cos(math.pi / 12) ** 2, rel=1e-10)


def test_too_few_frequencies_are_refused():
    layer = nn.Conv1d(1, 1, 5, dtype=torch.float64)
    with pytest.raises(ValueError, match="expected more than the degree"):
        circular(layer, (4,)).all_grids()
    assert circular(layer, (5,)).all_grids().A.value == 0
    with pytest.raises(ValueError, match="matrix of one grid"):
        certify.conv_bounds(layer, (6,), exact_matrix=True).all_grids()


# --- checks and files ------------------------------------------------------------------------------------------------


def several():
    layer, grid = random_case(4)
    yield layer, certify.conv_bounds(layer, grid)
    torch.manual_seed(0)
    narrow = nn.Conv1d(1, 4, 3, padding=1, dtype=torch.float64)
    yield narrow, certify.conv_bounds(narrow, (6,))
    yield narrow, certify.conv_bounds(narrow, (6,), padding="circular")
    yield narrow, certify.conv_bounds(narrow, (6,), exact_matrix=True)
    reflecting = nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect", dtype=torch.float64)
    yield reflecting, certify.conv_bounds(reflecting, (4, 3))
    transposed = nn.ConvTranspose1d(2, 3, 3, stride=2, dtype=torch.complex128)
    yield transposed, certify.conv_bounds(transposed, (4,), padding="circular")


@pytest.mark.parametrize("case", range(6))
def test_certificates_survive_files_and_are_checked(case):
    layer, bounds = list(several())[case]
    again = certify.ConvBounds.from_dict(json.loads(json.dumps(bounds.to_dict())))
    assert again == bounds and again.recheck(layer)
    value, error = bounds.at_B.value, bounds.factor * 1e-9 * bounds.B.value

    def with_B(factor):
        B = replace(bounds.B, value=bounds.B.value * factor)
        return replace(bounds, B=B, at_B=replace(bounds.at_B, value=value * factor))

    assert not with_B(1 - 1e-9).recheck(layer) and not with_B(1 + 1e-9).recheck(layer)
    assert not with_B(math.nan).recheck(layer)
    assert not replace(bounds, B=replace(bounds.B, value=bounds.B.value + error)).recheck(layer)
    assert not replace(bounds, B=replace(bounds.B, error=0.0)).recheck(layer)
    assert not replace(bounds, at_B=replace(bounds.at_B, vector=bounds.at_B.vector[1:])).recheck(layer)
    assert not replace(bounds, exact=not bounds.exact).recheck(layer)
    if bounds.A is not None and bounds.A.value > 0:
        for factor in (0.99, 1.01):
            A = replace(bounds.A, value=bounds.A.value * factor)
            wrong = replace(bounds, A=A, at_A=replace(bounds.at_A, value=A.value))
            assert not wrong.recheck(layer)
    if bounds.at_B.q:
        assert not replace(bounds, at_B=replace(bounds.at_B, q=(999,) * len(bounds.at_B.q))).recheck(layer)
        assert not replace(bounds, at_B=replace(bounds.at_B, group=7)).recheck(layer)


def test_a_lower_bound_that_is_attained_somewhere_but_not_the_smallest_is_rejected():
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 4, 3, dtype=torch.float64)
    bounds = circular(layer, (8,))
    powers = certify.conv_singular_values(layer, (8,), padding="circular").square().flatten()
    q = int(powers[:5].argsort()[1])
    A = replace(bounds.A, value=float(powers[q]))
    wrong = replace(bounds, A=A, at_A=replace(bounds.at_A, value=A.value, q=(q,), vector=(1.0 + 0j,)))
    assert not wrong.recheck(layer)
    assert bounds.recheck(layer)


def test_an_upper_bound_that_is_attained_somewhere_but_not_the_largest_is_rejected():
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 4, 3, dtype=torch.float64)
    bounds = circular(layer, (8,))
    powers = certify.conv_singular_values(layer, (8,), padding="circular").square().flatten()
    q = int(powers[:5].argsort()[-2])
    B = replace(bounds.B, value=float(powers[q]), error=bounds.B.error)
    wrong = replace(bounds, B=B, at_B=replace(bounds.at_B, value=B.value, q=(q,), vector=(1.0 + 0j,)))
    assert not wrong.recheck(layer)


def test_a_lower_bound_of_a_layer_that_loses_dimensions_is_rejected():
    torch.manual_seed(0)
    layer = nn.Conv1d(3, 2, 1, dtype=torch.float64)
    bounds = circular(layer, (4,))
    assert bounds.A.value == 0 and bounds.recheck(layer)
    _, values, right = torch.linalg.svd(layer.weight.detach()[..., 0])
    A = replace(bounds.A, value=float(values[1] ** 2))
    at_A = replace(bounds.at_A, value=A.value, vector=tuple(map(complex, right[1].tolist())))
    assert not replace(bounds, A=A, at_A=at_A).recheck(layer)


def test_signals_do_not_depend_on_the_phase_of_the_vector():
    layer, grid = random_case(2)
    layer.bias = None
    bounds = certify.conv_bounds(layer, grid)
    for phase in (1, 1j, 0.6 + 0.8j):
        at_B = replace(bounds.at_B, vector=tuple(phase * z for z in bounds.at_B.vector))
        u = replace(bounds, at_B=at_B).signal(layer, "B")
        assert float(layer(u[None]).square().sum().detach()) == pytest.approx(bounds.B.value, rel=1e-12)


def test_other_layers_are_rejected():
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 4, 3, dtype=torch.float64)
    bounds = circular(layer, (8,))
    assert bounds.recheck(layer)
    with torch.no_grad():
        layer.weight[2, 0, 1] += 1e-3
    assert not bounds.recheck(layer)
    assert not bounds.recheck(nn.Conv1d(1, 4, 5)) and not bounds.recheck(nn.ReLU())
    with pytest.raises(ValueError, match="the given layer is not"):
        bounds.signal(nn.ReLU(), "B")
    with pytest.raises(ValueError, match="expected 'B', which"):
        certify.conv_bounds(nn.Conv1d(1, 1, 3, padding=1), (8,)).signal(layer, "A")


# --- Gram iteration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(18))
def test_gram_iteration_is_above_and_within_its_excess(seed):
    layer, grid = random_case(seed)
    B = certify.conv_bounds(layer, grid).B.value
    columns = layer.in_channels // layer.groups * math.prod(layer.stride)
    r = min(layer.out_channels // layer.groups, columns)
    for t in (0, 1, 3, 6, 12, 30):
        value = certify.conv_upper_bound(layer, grid, iterations=t).value
        assert B * (1 - 1e-13) <= value <= B * r ** (2.0**-t / 2) * (1 + 1e-12)


def test_gram_iteration_attains_its_excess_and_keeps_zero():
    layer = nn.Conv1d(9, 9, 1, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.eye(9, dtype=torch.float64)[..., None])
    for t in (0, 1, 2):
        found = certify.conv_upper_bound(layer, (5,), iterations=t)
        assert found.value == pytest.approx(9 ** (2.0**-t / 2), rel=1e-12) and found.kind == "certified"
    nn.init.zeros_(layer.weight)
    assert certify.conv_upper_bound(layer, (5,)).value == 0
    for iterations in (-1, 2.5, 31):
        with pytest.raises(ValueError, match="whole number from 0 to 30"):
            certify.conv_upper_bound(layer, (5,), iterations=iterations)


def test_the_largest_norm_is_not_dropped_for_a_small_frobenius_norm():
    blocks = torch.stack([torch.eye(4), torch.diag(torch.tensor([1.2, 0, 0, 0])), torch.eye(4)]).double()
    layer = nn.Conv1d(12, 12, 1, groups=3, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(blocks.reshape(12, 4, 1))
    assert certify.conv_upper_bound(layer, (2,), iterations=12).value == pytest.approx(1.44, rel=1e-3)


def test_gram_iteration_of_padded_layers_is_above_theirs():
    torch.manual_seed(0)
    for mode in ("zeros", "reflect"):
        layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode, dtype=torch.float64)
        bound = certify.conv_upper_bound(layer, (5, 4), iterations=12).value
        assert bound == pytest.approx(certify.conv_bounds(layer, (5, 4)).B.value, rel=1e-3)
        assert bound >= certify.conv_bounds(layer, (5, 4), exact_matrix=True).B.value


# --- folding ---------------------------------------------------------------------------------------------------------


def trained_norm(kind, channels, **options):
    norm = kind(channels, **options)
    for name, low, high in (("running_mean", -1, 1), ("running_var", 0.1, 3)):
        getattr(norm, name).uniform_(low, high)
    if norm.affine:
        nn.init.uniform_(norm.weight, -2, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    return norm.eval()


@pytest.mark.parametrize(
    ("layer", "kind", "shape"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d, (4, 8)),
        (nn.Conv2d(2, 6, 3, bias=False, padding=1, padding_mode="circular"), nn.BatchNorm2d, (2, 5, 6)),
        (nn.Conv3d(2, 3, 2, stride=2), nn.BatchNorm3d, (2, 4, 4, 4)),
        (nn.ConvTranspose1d(4, 6, 3, groups=2, stride=2), nn.BatchNorm1d, (4, 5)),
        (nn.ConvTranspose2d(3, 6, 3, groups=3), nn.BatchNorm2d, (3, 4, 4)),
        (nn.Linear(4, 6), nn.BatchNorm1d, (4,)),
    ],
)
@pytest.mark.parametrize("affine", [False, True])
def test_folded_layers_compute_the_same(layer, kind, shape, affine):
    torch.manual_seed(0)
    out = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    norm = trained_norm(kind, out, affine=affine)
    single = certify.fold_batch_norm(layer, norm)
    u = torch.randn(3, *shape, dtype=torch.float64)
    expected = norm.double()(layer.double()(u))
    torch.testing.assert_close(single(u), expected, rtol=1e-12, atol=1e-12)
    assert type(single) is type(layer) and layer.weight is not single.weight


def test_folding_finds_a_smaller_bound_than_the_product():
    layer = nn.Conv1d(2, 2, 1, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.diag(torch.tensor([8.0, 0.125], dtype=torch.float64))[..., None])
    norm = nn.BatchNorm1d(2, eps=0.0, affine=False, dtype=torch.float64).eval()
    norm.running_var.copy_(torch.tensor([64.0, 1 / 64]))
    single = certify.fold_batch_norm(layer, norm)
    assert certify.conv_bounds(single, (4,)).B.value == pytest.approx(1, rel=1e-12)
    product = certify.conv_bounds(layer, (4,)).B.value * float(1 / norm.running_var.min())
    assert product == pytest.approx(4096, rel=1e-12)


def test_folding_refuses_what_depends_on_the_batch():
    layer = nn.Conv1d(1, 3, 1)
    with pytest.raises(ValueError, match="training mode"):
        certify.fold_batch_norm(layer, nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match="no running statistics"):
        certify.fold_batch_norm(layer, nn.BatchNorm1d(3, track_running_stats=False).eval())
    with pytest.raises(ValueError, match="got 2 channels, expected 3"):
        certify.fold_batch_norm(layer, nn.BatchNorm1d(2).eval())
    with pytest.raises(TypeError, match="expected a batch normalisation"):
        certify.fold_batch_norm(layer, nn.GroupNorm(1, 3).eval())
    with pytest.raises(TypeError, match="complex weights"):
        certify.fold_batch_norm(nn.Conv1d(1, 3, 1, dtype=torch.complex64), nn.BatchNorm1d(3).eval())
