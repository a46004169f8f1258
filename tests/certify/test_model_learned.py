"""Networks with learned convolutions under the certificate: one node each, with the root of the largest square."""

import math

import pytest
import torch
from torch import nn

from scatter_theory import Grid, certify
from scatter_theory.frames import LearnedConv


def layers(dtype=torch.float32):
    """Tall and tight, then wide in a range, on the coarse grid of the first."""
    options = {"generator": 0, "dtype": dtype}
    first = LearnedConv(2, 8, 3, Grid.square(6), stride=2, **options)
    return first, LearnedConv(8, 3, 3, Grid.square(3), parametrisation="range", A=0.5, B=2.0, **options)


def norm(layer, shape):
    """Largest singular value of torch's derivative, dense."""
    zero = torch.zeros(1, *shape, dtype=layer.weight.dtype)
    found = torch.autograd.functional.jacobian(lambda x: layer(x).flatten(), zero)
    return float(torch.linalg.svdvals(found.flatten(1))[0])


class Doubled(nn.Module):
    """Another kernel in the place of the weight."""

    def forward(self, weight):
        return 2 * weight + 0.1


def test_the_constants_are_those_of_the_matrices():
    first, second = layers()
    torch.manual_seed(0)
    model = nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), nn.Linear(27, 4)).eval()
    certificate = certify.torch_model(model, (2, 6, 6), starts=2, steps=20)
    rows = {node.name: node for node in certificate.nodes}
    assert list(rows) == ["0", "1", "2", "3", "4"] and rows["0"].operation == "LearnedConv"
    exact = norm(first.double(), (2, 6, 6)), norm(second.double(), (8, 3, 3))
    for name, value in zip(("0", "2"), exact, strict=True):
        assert rows[name].kind == "exact" and rows[name].constant == pytest.approx(value, rel=1e-11)
        assert rows[name].constant >= value * (1 - 1e-14) and rows[name].attained <= rows[name].constant * (1 + 1e-12)
    assert rows["0"].attained > 0.999 and exact[0] == pytest.approx(1.0, abs=1e-12) and exact[1] < math.sqrt(2.0)
    assert rows["2"].attained > 0.9 * exact[1] and certificate.lower <= certificate.upper <= certificate.product
    assert certificate.recheck(model) and certify.ModelCertificate.from_dict(certificate.to_dict()).recheck(model)
    with torch.no_grad():
        second.weight.mul_(10.0)
    assert not certificate.recheck(model)


def test_a_constant_that_is_too_small_is_caught(monkeypatch):
    """The attack contradicts a layer that says less than it does."""
    (first, _) = layers()
    bounds = LearnedConv.bounds

    def less(layer):
        A, B = (type(c)(0.8 * c.value, c.source, c.kind) for c in (bounds(layer).A, bounds(layer).B))
        return type(bounds(layer))(A, B)

    monkeypatch.setattr(LearnedConv, "bounds", less)
    certificate = certify.torch_model(nn.Sequential(first, nn.Identity()).eval(), (2, 6, 6), starts=1, steps=20)
    assert "0" in certificate.contradictions


def test_a_single_layer_and_one_with_a_parametrized_weight():
    first, second = layers(torch.float64)
    assert certify.torch_model(first.eval(), (2, 6, 6), starts=1, steps=10).upper == pytest.approx(1.0, abs=1e-11)
    nn.utils.parametrize.register_parametrization(second, "weight", Doubled())
    certificate = certify.torch_model(nn.Sequential(second, nn.ReLU()).eval(), (8, 3, 3), starts=1, steps=10)
    assert certificate.upper == pytest.approx(norm(second, (8, 3, 3)), rel=1e-11)


def test_what_has_no_constant_is_refused():
    first, second = layers()
    model = nn.Sequential(first, nn.ReLU(), second).eval()
    with pytest.raises(ValueError, match=r"fails on an input of shape \(1, 2, 8, 8\).*expected \(batch, 2, 6, 6\)"):
        certify.torch_model(model, (2, 8, 8))
    complex_valued = layers(torch.complex64)[0].eval()
    with pytest.raises(ValueError, match=r"got torch\.float64, expected torch\.complex64 as in the weight"):
        certify.torch_model(complex_valued, (2, 6, 6))
    with pytest.raises(TypeError, match="got LearnedConv, expected one of Conv1d"):
        certify.conv_bounds(first, (6, 6))
    with torch.no_grad():
        second.weight.zero_()
    with pytest.raises(ValueError, match=r"at the coarse frequency .* linearly dependent"):
        certify.torch_model(model, (2, 6, 6))
