"""Constants of single nodes against dense derivatives of torch, closed forms and multiple precision."""

import math

import mpmath as mp
import pytest
import torch
from certify.model_networks import Call, norm
from torch import nn
from torch.nn import functional as F

from scatter_theory.certify.model import _layers, _linear, _pooling
from scatter_theory.certify.model._torch_model import torch_model


def only(model, shape, **attack):
    """The row of a network with one node."""
    torch.manual_seed(0)
    (node,) = torch_model(model.eval(), shape, **{"starts": 1, "steps": 20, **attack}).nodes
    return node


def layers():
    torch.manual_seed(1)
    sizes = {1: (7,), 2: (6, 5), 3: (4, 3, 4)}
    convs = [
        (nn.Conv1d(2, 3, 3, padding=1), 1),
        (nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), 1),
        (nn.Conv1d(2, 2, 3, padding=2, padding_mode="reflect", dilation=2), 1),
        (nn.Conv1d(2, 3, 5, padding="same"), 1),
        (nn.Conv1d(2, 3, 2, stride=2, padding_mode="circular"), 1),
        (nn.Conv2d(2, 4, 3, stride=2, padding=(1, 0), groups=2), 2),
        (nn.Conv3d(1, 2, 2), 3),
        (nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1), 1),
        (nn.ConvTranspose2d(2, 3, 2, padding=1), 2),
    ]
    cases = [(layer, (2 if layer.in_channels == 2 else 1, *sizes[d])) for layer, d in convs]
    cases += [
        (nn.Linear(7, 3), (2, 7)),
        (nn.Linear(3, 8), (3,)),
        (nn.AvgPool1d(3, 2, 1), (2, 8)),
        (nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 7)),
        (nn.AvgPool2d((3, 2), (2, 1), ceil_mode=True), (1, 6, 5)),
        (nn.AvgPool3d(2), (1, 4, 4, 2)),
        (nn.AdaptiveAvgPool1d(3), (2, 7)),
        (nn.AdaptiveAvgPool2d((2, None)), (1, 5, 4)),
        (nn.ReflectionPad1d((3, 2)), (1, 5)),
        (nn.ReplicationPad2d((1, 2, 0, 3)), (1, 3, 4)),
        (nn.CircularPad1d((2, 5)), (1, 5)),
        (nn.ZeroPad2d((1, -1, 2, 0)), (1, 3, 4)),
        (nn.ConstantPad1d(2, 3.0), (1, 4)),
        (nn.PixelShuffle(2), (4, 2, 3)),
        (nn.Flatten(), (2, 3)),
        (nn.Dropout(0.3), (4,)),
    ]
    return cases


@pytest.mark.parametrize(("layer", "shape"), layers(), ids=lambda v: str(v) if isinstance(v, nn.Module) else "")
def test_affine_layers_have_the_norm_of_torchs_derivative(layer, shape):
    node = only(layer, shape)
    exact = norm(layer.double(), shape)
    assert node.kind == "exact"
    assert node.constant == pytest.approx(exact, rel=1e-11) and node.constant >= exact * (1 - 1e-14)
    assert node.attained <= node.constant * (1 + 1e-12)


CALLS = {
    "mean": (lambda m, x: x.mean(dim=(1, 2)), (3, 4)),
    "mean of all": (lambda m, x: torch.mean(x), (3, 4)),
    "sum": (lambda m, x: x.sum(2), (3, 4)),
    "repeated index": (lambda m, x: x[:, [0, 1, 1, 1, 2]], (3, 4)),
    "strided slice": (lambda m, x: x[:, ::2, None], (3, 4)),
    "expand": (lambda m, x: x.expand(1, 5, 4), (1, 4)),
    "transpose": (lambda m, x: x.transpose(1, 2), (3, 4)),
    "pad": (lambda m, x: F.pad(x, (1, 2), mode="replicate"), (3, 4)),
    "reversed difference": (lambda m, x: 1.0 - x, (3, 4)),
    "broadcast sum": (lambda m, x: x + torch.ones(1, 5, 4), (1, 4)),
    "factor": (lambda m, x: -3 * x, (3, 4)),
    "diagonal": (lambda m, x: x * torch.tensor([[1.0], [-7.0], [2.0]]), (3, 4)),
    "quotient": (lambda m, x: x / torch.tensor([0.5, 4.0, 1.0, 1.0]), (3, 4)),
}


@pytest.mark.parametrize("name", CALLS)
def test_affine_calls_have_the_norm_of_torchs_derivative(name):
    function, shape = CALLS[name]
    node = only(Call(function), shape)
    assert node.kind == "exact"
    assert node.constant == pytest.approx(norm(lambda x: function(None, x), shape), rel=1e-11)


def test_batch_normalisation_is_diagonal():
    layer = nn.BatchNorm1d(2, eps=0.0).double().eval()
    layer.running_var.copy_(torch.tensor([4.0, 9.0]))
    layer.weight.data.copy_(torch.tensor([1.0, -6.0]))
    assert only(layer, (2, 5)).constant == pytest.approx(2.0, rel=1e-11)


@pytest.mark.parametrize("channels", [4, 5])
def test_a_convolution_too_large_for_its_matrix_gets_an_upper_bound(monkeypatch, channels):
    monkeypatch.setattr(_linear, "ENTRIES", 0)
    torch.manual_seed(channels)
    layer = nn.Conv2d(2, channels, 3, padding=1)
    node = only(layer, (2, 7, 6))
    exact = norm(layer.double(), (2, 7, 6))
    assert node.kind == "upper bound" and exact < node.constant < 1.25 * exact


def test_a_stride_that_does_not_divide_needs_the_matrix(monkeypatch):
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 2, 3, stride=2, padding=1, padding_mode="circular")
    assert only(layer, (1, 7)).constant == pytest.approx(norm(layer.double(), (1, 7)), rel=1e-11)
    monkeypatch.setattr(_linear, "ENTRIES", 0)
    with pytest.raises(ValueError, match=r"node '_0' .*multiples of the stride"):
        torch_model(layer.eval(), (1, 7))


def test_long_axes_are_bounded_by_row_and_column_sums(monkeypatch):
    layer = nn.AvgPool1d(4, 2, 1)
    exact = norm(layer, (1, 20))
    monkeypatch.setattr(_pooling, "DENSE", 10)
    node = only(layer, (1, 20))
    assert node.kind == "upper bound" and exact < node.constant < 1.1 * exact


POOLS = [
    (nn.MaxPool1d(2), (1, 8)),
    (nn.MaxPool1d(3, 1), (2, 9)),
    (nn.MaxPool1d(3, 2, 1, dilation=2, ceil_mode=True), (1, 11)),
    (nn.MaxPool2d(3, 2, 1), (1, 6, 7)),
    (nn.MaxPool2d((3, 2), (1, 2)), (1, 5, 5)),
    (nn.MaxPool3d(2, 1), (1, 3, 3, 3)),
    (nn.AdaptiveMaxPool1d(3), (1, 7)),
    (nn.AdaptiveMaxPool2d((2, 3)), (1, 3, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), POOLS, ids=lambda v: str(v))
def test_max_pooling_has_the_norm_of_the_best_spike(layer, shape):
    spikes = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
    best = float(layer(spikes).flatten(1).square().sum(1).max())
    node = only(layer, shape)
    assert node.constant == math.sqrt(best) and node.kind == "exact"
    assert node.attained == pytest.approx(node.constant, rel=1e-9)


def steepest(derivative, start):
    with mp.workdps(30):
        return float(mp.diff(derivative, mp.findroot(lambda x: mp.diff(derivative, x, 2), start)))


ACTIVATIONS = {
    "ReLU": (nn.ReLU(), 1.0),
    "LeakyReLU": (nn.LeakyReLU(-1.5), 1.5),
    "PReLU": (nn.PReLU(1, init=-2.0), 2.0),
    "ELU": (nn.ELU(3.0), 3.0),
    "SELU": (nn.SELU(), 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717),
    "GELU": (nn.GELU(), 0.5 * (1 + math.erf(1)) + math.sqrt(2) * math.exp(-1) / math.sqrt(2 * math.pi)),
    "GELU, tanh": (
        nn.GELU("tanh"),
        steepest(lambda x: x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))), 1.4),
    ),
    "SiLU": (nn.SiLU(), steepest(lambda x: x / (1 + mp.exp(-x)), 2.4)),
    "Mish": (nn.Mish(), steepest(lambda x: x * mp.tanh(mp.log(1 + mp.exp(x))), 1.5)),
    "Tanh": (nn.Tanh(), 1.0),
    "Sigmoid": (nn.Sigmoid(), 0.25),
    "Hardswish": (nn.Hardswish(), 1.5),
    "Hardsigmoid": (nn.Hardsigmoid(), 1 / 6),
    "Softplus": (nn.Softplus(2.0, threshold=40.0), 1.0),
    "Softsign": (nn.Softsign(), 1.0),
    "LogSigmoid": (nn.LogSigmoid(), 1.0),
    "Tanhshrink": (nn.Tanhshrink(), 1.0),
    "Softshrink": (nn.Softshrink(), 1.0),
    "ReLU6": (nn.ReLU6(), 1.0),
    "Hardtanh": (nn.Hardtanh(), 1.0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_the_largest_slope_of_the_line(name):
    layer, value = ACTIVATIONS[name]
    node = only(layer, (2, 3))
    assert node.constant == pytest.approx(value, rel=1e-13) and node.constant >= value * (1 - 2e-16)
    assert 0.999 * node.constant < node.attained <= node.constant * (1 + 1e-10)


FUNCTIONS = {
    "relu": (lambda m, x: x.relu(), 1.0),
    "leaky_relu": (lambda m, x: F.leaky_relu(x, 2.0), 2.0),
    "elu": (lambda m, x: F.elu(x, alpha=2.0), 2.0),
    "gelu": (lambda m, x: F.gelu(x, approximate="tanh"), 1.1289930686587717),
    "prelu": (lambda m, x: F.prelu(x, torch.tensor([3.0, 0.0], dtype=torch.float64)), 3.0),
    "tanh": (lambda m, x: torch.tanh(x), 1.0),
    "sigmoid": (lambda m, x: x.sigmoid(), 0.25),
    "clamp": (lambda m, x: x.clamp(-1, 2), 1.0),
    "abs": (lambda m, x: x.abs(), 1.0),
    "amax": (lambda m, x: x.amax(dim=2), 1.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_methods_have_the_constant_of_their_module(name):
    function, value = FUNCTIONS[name]
    node = only(Call(function), (2, 4))
    assert node.constant == pytest.approx(value, rel=1e-13) and node.attained > 0.99 * value


def test_each_channel_of_prelu_is_attacked():
    layer = nn.PReLU(3)
    layer.weight.data = torch.tensor([0.1, -4.0, 2.0])
    node = only(layer, (3, 2))
    assert node.constant == 4.0 and node.attained == pytest.approx(4.0, rel=1e-9)


def test_softmax_maps_against_their_derivatives():
    """p = (1/2, 1/2, 0) for softmax; a corner of the simplex for the logarithm, approached and not attained."""
    at = torch.tensor([[0.0, 0.0, -60.0]], dtype=torch.float64)
    assert only(nn.Softmax(1), (3,)).constant == pytest.approx(norm(nn.Softmax(1), (3,), at), rel=1e-12)
    at = torch.tensor([[60.0, 0.0, 0.0]], dtype=torch.float64)
    node = only(nn.LogSoftmax(1), (3,), starts=4, steps=40)
    assert node.constant == pytest.approx(norm(nn.LogSoftmax(1), (3,), at), rel=1e-12)
    assert 0.9 * node.constant < node.attained <= node.constant * (1 + 1e-10)


def test_what_needs_the_matrix_says_so():
    torch.manual_seed(0)
    bound = _layers.layer_bound(nn.Conv1d(1, 1, 3, padding=1).double(), (1, 1, 6))
    assert bound.source == "matrix of the layer with its padding" and bound.exact
