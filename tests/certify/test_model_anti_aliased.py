"""Low-pass filters in front of strides: taps and norms in closed form, copies against the same by hand, refusals."""

import copy
import math

import pytest
import torch
from certify.model_networks import Call, norm, seeded, with_statistics
from torch import nn
from torch.nn import functional as F

from scatter_theory import bnn, pruning
from scatter_theory.certify.model._anti_aliased import anti_aliased
from scatter_theory.certify.model._covariance import covariance_defect
from scatter_theory.certify.model._low_pass import low_pass, taps
from scatter_theory.certify.model._torch_model import torch_model

QUICK = {"starts": 1, "steps": 6}
BINOMIAL = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def tones(n, *frequencies):
    j = torch.arange(n, dtype=torch.float64)
    return sum(torch.cos(2 * math.pi * k * j / n + 0.3) for k in frequencies).reshape(1, 1, n)


# --- the filter ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stride", "order", "expected"),
    [(1, 2, [1]), (2, 2, [1, 2, 1]), (2, 4, [1, 4, 6, 4, 1]), (3, 2, [1, 2, 3, 2, 1]), (4, 2, [1, 2, 3, 4, 3, 2, 1])],
)
def test_taps(stride, order, expected):
    assert taps(stride, order).tolist() == pytest.approx([x / stride**order for x in expected], abs=1e-15)


@pytest.mark.parametrize(("stride", "order"), [(2, 2), (3, 4), (4, 2)])
def test_the_response_is_that_of_repeated_boxes(stride, order):
    n = 12 * stride
    filtered = low_pass(1, (stride,), order, "circular")
    filtered.stride = (1,)
    spike = torch.zeros(1, 1, n, dtype=torch.float64)
    spike[0, 0, 0] = 1
    found = torch.fft.fft(filtered(spike))[0, 0]
    for k in range(1, n):
        box = math.sin(math.pi * stride * k / n) / (stride * math.sin(math.pi * k / n))
        assert complex(found[k]) == pytest.approx(box**order, abs=1e-14)
    assert complex(found[0]) == pytest.approx(1.0, abs=1e-14)
    assert all(abs(complex(found[12 * k])) < 1e-15 for k in range(1, stride))


@pytest.mark.parametrize(("stride", "grid"), [((2,), (10,)), ((3,), (12,)), ((2, 3), (6, 9)), ((2, 1), (8, 5))])
@pytest.mark.parametrize("order", [2, 4])
def test_its_norm_is_one_over_the_root_of_the_stride(stride, grid, order):
    expected = math.prod(stride) ** -0.5
    assert norm(low_pass(1, stride, order, "circular"), (1, *grid)) == pytest.approx(expected, rel=1e-12)
    assert norm(low_pass(1, stride, order, "zeros"), (1, *grid)) <= expected * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_filtered_convolution_is_never_louder_than_a_strided_one(seed):
    """||S h W|| <= |s|^(-1/2) ||W|| <= ||S W|| on the torus, from torch's derivatives."""
    layer = seeded(lambda: nn.Conv2d(2, 3, 3, stride=(2, 3), padding=1, padding_mode="circular").double(), seed)
    dense = copy.deepcopy(layer)
    dense.stride = (1, 1)
    smooth = anti_aliased(layer, (2, 6, 6), padding_mode="circular")
    whole = norm(dense, (2, 6, 6)) / math.sqrt(6)
    assert norm(smooth, (2, 6, 6)) <= whole * (1 + 1e-12) and whole <= norm(layer, (2, 6, 6)) * (1 + 1e-12)


@pytest.mark.parametrize(("kind", "dense"), [(nn.MaxPool2d, math.sqrt(6)), (nn.AvgPool2d, 1.0)])
def test_pooling_around_the_grid(kind, dense):
    """6 samples per window, then a stride of 6: the root of 6, or 1, over the root of 6; attained."""
    smooth = anti_aliased(kind((2, 3)).eval(), (1, 6, 9), padding_mode="circular")
    certificate = torch_model(smooth, (1, 6, 9), **QUICK)
    assert [n.constant for n in certificate.nodes] == pytest.approx([dense, 6**-0.5], rel=1e-7)  # float32 taps
    assert certificate.nodes[0].kind == "exact" and certificate.nodes[0].attained > 0.9 * dense
    assert certificate.upper == pytest.approx(dense / math.sqrt(6), rel=1e-7) and not certificate.contradictions
    pool = torch_model(kind((2, 3)).eval(), (1, 6, 9), **QUICK)
    assert certificate.upper <= pool.upper * (1 + 1e-7)


@pytest.mark.parametrize(("k", "s", "plain", "filtered"), [(2, 2, 1.0, 1.0), (3, 2, 2.0, 1.5), (3, 3, 1.0, 1.0)])
def test_max_pooling(k, s, plain, filtered):
    """Two axes: ceil(k/s) with strides, k/s with filters; no attack is above."""
    pool = nn.MaxPool2d(k, s, (k - 1) // 2).eval()
    smooth = torch_model(anti_aliased(pool, (1, 12, 12)), (1, 12, 12), **QUICK)
    assert torch_model(pool, (1, 12, 12), **QUICK).upper == pytest.approx(plain, rel=1e-11)
    assert smooth.lower <= smooth.upper <= filtered * (1 + 1e-11) and not smooth.contradictions


# --- the copy, against the same by hand ------------------------------------------------------------------------------


def by_hand(maps, stride, mode="constant"):
    """Binomial filters of a stride of two along the last axes, and every second sample."""
    for axis, s in zip(range(2, maps.ndim), stride, strict=True):
        if s == 2:
            moved = F.pad(maps.movedim(axis, -1).flatten(0, -2)[:, None], (1, 1), mode)
            moved = F.conv1d(moved, BINOMIAL.to(maps.dtype).reshape(1, 1, 3), stride=2)
            lead = [n for k, n in enumerate(maps.shape) if k != axis]
            maps = moved.reshape(*lead, -1).movedim(-1, axis)
    return maps


FORMS = {
    "convolution": (lambda: nn.Conv1d(2, 4, 5, 2, 2, dilation=1, groups=2), (2, 12), (2,)),
    "convolution in the plane": (lambda: nn.Conv2d(2, 3, 3, (1, 2), dilation=(2, 1)), (2, 9, 11), (1, 2)),
    "convolution in space": (lambda: nn.Conv3d(1, 2, 3, 2, 1), (1, 6, 5, 4), (2, 2, 2)),
    "maximum": (lambda: nn.MaxPool2d(3, 2, 1, dilation=1), (2, 8, 9), (2, 2)),
    "average": (lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 9), (2,)),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("mode", ["zeros", "replicate"])
def test_layers(name, mode):
    build, shape, stride = FORMS[name]
    layer = seeded(build)
    dense = copy.deepcopy(layer)
    dense.stride = 1 if isinstance(layer, nn.MaxPool2d | nn.AvgPool1d) else (1,) * len(stride)
    dense.stride = (1,) if isinstance(layer, nn.AvgPool1d) else dense.stride
    x = noise(3, *shape).float()
    smooth = anti_aliased(layer, shape, padding_mode=mode)
    expected = by_hand(dense(x), stride, "constant" if mode == "zeros" else mode)
    assert smooth(x).shape == layer(x).shape and torch.allclose(smooth(x), expected, atol=1e-6)
    assert smooth(x).dtype == torch.float32


CALLS = {
    "maximum": (lambda m, x: F.max_pool1d(x, 2), lambda x: by_hand(F.max_pool1d(x, 2, 1), (2,))),
    "maximum by name": (
        lambda m, x: F.max_pool1d(x, kernel_size=3, stride=2),
        lambda x: by_hand(F.max_pool1d(x, 3, 1), (2,)),
    ),
    "average": (lambda m, x: F.avg_pool1d(x, 4, 2, 1), lambda x: by_hand(F.avg_pool1d(x, 4, 1, 1), (2,))),
    "slice": (lambda m, x: x[:, :, ::2] + 1, lambda x: by_hand(x, (2,)) + 1),
    "two strides from one map": (
        lambda m, x: F.max_pool1d(x, 1, 2) - 3 * F.avg_pool1d(x.relu(), 1, 2),
        lambda x: by_hand(x, (2,)) - 3 * by_hand(x.relu(), (2,)),
    ),
    "channels and borders stay": (lambda m, x: F.pad(x[:, :1, 1:], (2, 0)), lambda x: F.pad(x[:, :1, 1:], (2, 0))),
    "after the axes have gone": (lambda m, x: x.mean(2)[:, ::2], lambda x: x.mean(2)[:, ::2]),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions(name):
    function, expected = CALLS[name]
    x = noise(2, 3, 10)
    smooth = anti_aliased(Call(function).eval(), (3, 10)).double()
    assert torch.allclose(smooth(x), expected(x), atol=1e-6)


def test_pooling_on_the_torus_goes_around_it():
    x = noise(1, 2, 8)
    smooth = anti_aliased(nn.MaxPool1d(2).eval(), (2, 8), padding_mode="circular").double()
    dense = torch.maximum(x, x.roll(-1, -1))
    expected = ((dense.roll(1, -1) + 2 * dense + dense.roll(-1, -1)) / 4)[..., ::2]
    assert torch.allclose(smooth(x), expected, atol=1e-12)


def test_a_residual_network_keeps_its_shapes_and_the_original_its_weights():
    model = with_statistics(bnn.models.resnet20(width=2, channels=1, projection="conv", generator=0))
    before = copy.deepcopy(model.state_dict())
    smooth = anti_aliased(model, (1, 12, 12))
    assert sum(name.endswith("_low_pass") for name, _ in smooth.named_modules()) == 4
    x = noise(2, 1, 12, 12).float()
    assert smooth(x).shape == (2, 10) and not torch.allclose(smooth(x), model(x), atol=1e-3)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    certificate = torch_model(smooth, (1, 12, 12), **QUICK)
    assert not certificate.contradictions and certificate.lower <= certificate.upper


def test_masks_count_in_strided_layers():
    model = seeded(lambda: nn.Sequential(nn.Conv1d(2, 3, 3, 2, 1), nn.ReLU()))
    plain = copy.deepcopy(model)
    pruning.prune(model, sparsity=0.5)
    plain[0].weight.data = model[0].weight.detach().clone()
    x = noise(2, 2, 8).float()
    assert torch.equal(anti_aliased(model.eval(), (2, 8))(x), anti_aliased(plain, (2, 8))(x))
    assert not torch.equal(
        anti_aliased(model, (2, 8))(x), anti_aliased(seeded(lambda: nn.Conv1d(2, 3, 3, 2, 1)), (2, 8))(x)
    )


# --- what the filters do to the defect -------------------------------------------------------------------------------


def test_two_tones_in_closed_form():
    r"""Frequency 6 of 16 becomes -2 of 8, which moves the wrong way: 2 a_6 / |(a_1, a_6)|, a_k = cos^r(pi k/16)."""
    layer, x = nn.AvgPool1d(1, stride=2).eval(), tones(16, 1, 6)
    for order in (2, 4, 8):
        smooth = anti_aliased(layer, (1, 16), order=order, padding_mode="circular").double()
        found = covariance_defect(layer, x, shifts=[(1,)], variant=smooth)
        one, six = (math.cos(math.pi * k / 16) ** order for k in (1, 6))
        assert found.value == pytest.approx(math.sqrt(2), rel=1e-12)
        assert found.variant.value == pytest.approx(2 * six / math.hypot(one, six), rel=1e-6)
        assert f"\nvariant, stride (2,): {found.variant.value:.4g}" in str(found)


def test_a_large_defect_and_the_bound_by_high_frequencies():
    r"""\|S T_t v - T_{t/s} S v\| <= 2 \|P v\|, P the frequencies from 1/(2s) on, for v = W x and v = h W x."""
    layer = seeded(lambda: nn.Conv1d(1, 4, 3, 2, 1, padding_mode="circular", bias=False).double())
    layer.weight.data = torch.tensor([[-1.0, 2.0, -1.0]] * 4, dtype=torch.float64)[:, None] * noise(4, 1, 1)
    smooth = anti_aliased(layer, (1, 32), padding_mode="circular")
    x = noise(1, 1, 32)
    found = covariance_defect(layer, x, shifts=[(1,)], variant=smooth)
    assert found.value > 2 > 1.5 > found.variant.value  # a network that violates covariance, and what becomes of it
    dense = copy.deepcopy(layer)
    dense.stride = (1,)
    spectrum = torch.fft.fft(dense(x).detach()) / math.sqrt(32)
    response = torch.cos(math.pi * torch.fft.fftfreq(32, dtype=torch.float64)) ** 2
    high = torch.fft.fftfreq(32).abs() >= 0.25
    for model, defect, weights in ((layer, found.value, 1.0), (smooth, found.variant.value, response)):
        bound = 2 * float(torch.linalg.vector_norm((weights * spectrum)[..., high]))
        assert defect * float(torch.linalg.vector_norm(model(x).detach())) <= bound * (1 + 1e-12)


def test_without_a_stride_there_is_no_defect_and_no_filter():
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1, padding_mode="circular"), nn.ReLU())).double()
    smooth, x = anti_aliased(model, (1, 7, 6)), noise(2, 1, 7, 6)
    found = covariance_defect(model, x, shifts=[(1, 0), (2, 5)], variant=smooth)
    assert max(found.value, found.variant.value) < 1e-14 and torch.equal(model(x), smooth(x))


def test_networks_on_different_grids_are_refused():
    model, other = nn.AvgPool1d(1, 2).eval(), nn.AvgPool1d(1, 4).eval()
    with pytest.raises(ValueError, match=r"`covariance_defect\(variant=\.\.\.\)`: got outputs with the stride \(4,\)"):
        covariance_defect(model, tones(16, 1), variant=other)


# --- refusals --------------------------------------------------------------------------------------------------------


def branching(m, x):
    return x if x.sum() > 0 else -x


REFUSED = {
    "transposed": (nn.Sequential(nn.ConvTranspose1d(2, 2, 2, 2)), {}, "node '_0'.*ConvTranspose1d.*raster"),
    "adaptive": (nn.AdaptiveAvgPool1d(2), {}, "AdaptiveAvgPool1d.*raster"),
    "cut-off windows": (nn.MaxPool1d(3, 2, ceil_mode=True), {}, "MaxPool1d.*ceil_mode"),
    "views": (Call(lambda m, x: x.view(1, 2, 4, 2)), {}, "method 'view'.*raster"),
    "entries": (Call(lambda m, x: x[:, :, 3]), {}, "function 'getitem'.*only slices"),
    "slices with an offset": (Call(lambda m, x: x[:, :, 1::2]), {}, "function 'getitem'.*only slices"),
    "channels left out": (Call(lambda m, x: x[:, ::2, ::2]), {}, "function 'getitem'.*only slices"),
    "no torus": (nn.Conv1d(2, 2, 2, 2), {"padding_mode": "circular"}, r"stride \(2,\) does not divide its grid \(7,\)"),
    "more than once around": (
        nn.Conv1d(2, 2, 1, 4), {"padding_mode": "circular", "order": 8}, r"\(25,\) taps goes around its grid"
    ),
    "fewer windows": (nn.MaxPool1d(4, 2), {"padding_mode": "circular"}, r"would give \(1, 2, 4\) and not \(1, 2, 3\)"),
    "odd order": (nn.ReLU(), {"order": 3}, r"`anti_aliased\(order=\.\.\.\)`: got 3, expected an even"),
    "padding": (nn.ReLU(), {"padding_mode": "reflect"}, r"`anti_aliased\(padding_mode=\.\.\.\)`: got 'reflect'"),
    "several types": (nn.Sequential(nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1).double()), {}, "float32, torch.float64"),
    "branches": (Call(branching), {}, r"`anti_aliased\(model=\.\.\.\)`: torch.fx cannot trace"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    model, options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        anti_aliased(model.eval(), (2, 8), **options)


def test_other_refusals():
    with pytest.raises(ValueError, match=r"`anti_aliased\(model=\.\.\.\)`.*training mode"):
        anti_aliased(nn.ReLU(), (1, 8))
    with pytest.raises(TypeError, match=r"`anti_aliased\(model=\.\.\.\)`: got int"):
        anti_aliased(3, (1, 8))
    for shape in ((8,), "18", (1, 0)):
        with pytest.raises(ValueError, match=r"`anti_aliased\(input_shape=\.\.\.\)`"):
            anti_aliased(nn.ReLU().eval(), shape)
