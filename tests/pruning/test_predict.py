"""Predicted dead rates: exact for Gaussian inputs, close in wide layers, flagged where a Gaussian is no model."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from fake_cuda import CUDA, on_fake_cuda
from torch import nn

from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.dead._makers import ChannelMoments, Makers
from scatter_theory.pruning.dead._observe import observe
from scatter_theory.pruning.dead._predict import _Reader, predict_dead_rate
from scatter_theory.pruning.masks._masks import Masks
from scatter_theory.pruning.rules._weights import Magnitude


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def Phi(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def layer(weight, bias=None):
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias is not None:
            made.bias.copy_(bias)
    return made


def random_masks(model, share, seed=0):
    names = Masks.of(model)
    return Masks({name: normal(*m.shape, seed=seed + k) > share for k, (name, m) in enumerate(names.items())})


def test_gaussian_inputs_of_a_linear_layer():
    """z ~ N(b, |m * w|^2): the dead rate is Phi(-b / |m * w|), and 0 or 1 for a row that is pruned whole."""
    w, b, n = normal(6, 5, seed=1), torch.tensor([0.5, -0.5, 1.0, 0.0, 2.0, -2.0], dtype=torch.float64), 40_000
    net = nn.Sequential(layer(w, b), nn.ReLU())
    m = normal(6, 5, seed=2) > 0
    m[4:] = False
    found = predict_dead_rate(net, normal(n, 5, seed=3).split(7_000), Masks({"0.weight": m}))["1/relu#1"]
    for k in range(6):
        norm = float((w[k] * m[k]).norm())
        rate = Phi(-float(b[k]) / norm) if norm else float(b[k] <= 0)
        assert found.predicted[k] == pytest.approx(rate, abs=4 * 0.5 / math.sqrt(n))
        assert found.measured[k] == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / n))
        before = Phi(-float(b[k] / w[k].norm()))
        assert found.gaussian_before[k] == pytest.approx(before, abs=4 * 0.5 / math.sqrt(n))
    assert found.gaussian and found.samples == n and found.layer == "0" and found.norm is None


def test_correlated_inputs_need_the_whole_covariance():
    """Against the formula with mean and covariance, and against the one that knows only the variances."""
    n = 4_000
    x = normal(n, 4, seed=4) @ normal(4, 4, seed=5) + normal(4, seed=6)
    w, b = normal(8, 4, seed=7), normal(8, seed=8)
    masks = Masks({"0.weight": normal(8, 4, seed=9) > -0.5})
    net = nn.Sequential(layer(w, b), nn.ReLU())
    found = predict_dead_rate(net, x.split(999), masks)["1/relu#1"].predicted
    mean, covariance, v = x.numpy().mean(0), np.cov(x.numpy().T, bias=True), (w * masks["0.weight"]).numpy()
    means = [u @ mean + c for u, c in zip(v, b.tolist(), strict=True)]
    expected = [Phi(-m / math.sqrt(u @ covariance @ u)) for u, m in zip(v, means, strict=True)]
    diagonal = [Phi(-m / math.sqrt(u**2 @ np.diag(covariance))) for u, m in zip(v, means, strict=True)]
    assert found == pytest.approx(expected, abs=1e-12)
    assert np.abs(found - diagonal).max() > 0.02


def test_wide_layers_of_rectified_inputs():
    """h = ReLU(N(0, 1)): mean 1 / sqrt(2 pi), variance (pi - 1) / (2 pi); Phi(-sum w / sqrt((pi - 1) sum w^2))."""
    n, width = 20_000, 256
    w = normal(20, width, seed=10) / 16
    masks = Masks({"0.weight": normal(20, width, seed=11) > 0})
    h = normal(n, width, seed=12).relu()
    found = predict_dead_rate(nn.Sequential(layer(w), nn.ReLU()), [h], masks)["1/relu#1"]
    v = w * masks["0.weight"]
    expected = torch.special.ndtr(-v.sum(1) / ((math.pi - 1) * v.square().sum(1)).sqrt()).numpy()
    assert np.abs(found.predicted - expected).max() < 4 * 0.5 / math.sqrt(n)
    assert np.abs(found.measured - expected).max() < 4 * 0.5 / math.sqrt(n) + 0.01
    assert found.gaussian and found.gap < 0.006


def test_two_rectified_inputs_are_flagged():
    """z = h1 - h2 is dead with probability 5/8, a Gaussian of its moments with 1/2."""
    n = 20_000
    net = nn.Sequential(layer(torch.tensor([[1.0, -1.0]])), nn.ReLU())
    h = normal(n, 2, seed=13).relu()
    for keep, true, gaussian in (
        ([True, True], 5 / 8, 0.5),
        ([True, False], 1 / 2, Phi(-1 / math.sqrt(math.pi - 1))),
        ([False, True], 1.0, Phi(1 / math.sqrt(math.pi - 1))),
    ):
        result = predict_dead_rate(net, [h], Masks({"0.weight": torch.tensor([keep])}))
        found = result["1/relu#1"]
        assert found.measured_before[0] == pytest.approx(5 / 8, abs=0.015)
        assert found.measured[0] == pytest.approx(true, abs=0.015)
        assert found.predicted[0] == pytest.approx(gaussian, abs=0.02)
        assert not found.gaussian and result.not_gaussian == ("1/relu#1",)
        assert "not Gaussian" in str(result)
    assert predict_dead_rate(net, [h], Masks({"0.weight": torch.tensor([keep])}), tolerance=0.2).not_gaussian == ()


def test_the_flag_allows_for_few_samples():
    net = nn.Sequential(layer(normal(40, 30, seed=20)), nn.ReLU())
    for n in (20, 100, 2_000):
        assert predict_dead_rate(net, [normal(n, 30, seed=21)], Masks.of(net), tolerance=0.002)["1/relu#1"].gaussian


def test_convolutions_and_running_statistics_against_loops():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 2), nn.ReLU()
    ).double()
    net[1](net[0](normal(50, 2, 6, 6, seed=1)))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([1.0, -0.5, 2.0]))
        net[1].bias.copy_(torch.tensor([0.3, 0.1, -0.4]))
    x, masks, training = normal(30, 2, 6, 6, seed=2), random_masks(net, 0.2), net.training
    before = {name: t.clone() for name, t in net.state_dict().items()}
    result = predict_dead_rate(net, x.split(11), masks)
    assert net.training == training and all(torch.equal(t, before[name]) for name, t in net.state_dict().items())

    def run(w1, w2, h=None):
        z1 = nn.functional.conv2d(x, w1, net[0].bias, stride=2, padding=1).detach().numpy()
        mean, var, c = net[1].running_mean.numpy(), net[1].running_var.numpy(), (None, slice(None), None, None)
        gamma, beta = net[1].weight.detach().numpy(), net[1].bias.detach().numpy()
        z1 = (z1 - mean[c]) / np.sqrt(var[c] + net[1].eps) * gamma[c] + beta[c]
        h = torch.from_numpy(np.maximum(z1, 0)) if h is None else h
        return z1, nn.functional.conv2d(h, w2, net[3].bias).detach().numpy(), h

    def gaussian(z):
        rows = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
        return [Phi(-row.mean() / row.std()) for row in rows]

    def counted(z):
        return (np.moveaxis(z, 1, 0).reshape(z.shape[1], -1) <= 0).mean(1)

    w1, w2 = net[0].weight, net[3].weight
    v1, v2 = w1 * masks["0.weight"], w2 * masks["3.weight"]
    z1, _, h = run(w1, w2)
    p1, at_old_inputs, _ = run(v1, v2, h)
    _, p2, _ = run(v1, v2)
    first, second = result["2/relu#1"], result["4/relu#1"]
    assert (first.layer, first.norm, second.layer, second.norm) == ("0", "1", "3", None)
    assert first.gaussian_before == pytest.approx(gaussian(z1)) and first.predicted == pytest.approx(gaussian(p1))
    assert first.measured_before == pytest.approx(counted(z1)) and first.measured == pytest.approx(counted(p1))
    assert second.predicted == pytest.approx(gaussian(at_old_inputs)) and second.measured == pytest.approx(counted(p2))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        h = torch.relu_(self.a(x))
        y = torch.relu(h)  # a second activation of what was rectified in place
        z = (self.norm(self.b(y)) + x).relu()
        return torch.relu(self.b(z).view(-1, 4)) + torch.relu(self.norm(self.norm(self.b(z))))


def test_sites_that_no_layer_feeds_directly_are_named():
    net = Residual().double()
    result = predict_dead_rate(net, [normal(9, 4)], random_masks(net, 0.0))
    assert [found.site for found in result.sites] == ["/relu#1"]
    assert sorted(result.not_predicted) == ["/relu#2", "/relu#3", "/relu#4", "/relu#5"]
    assert all("not directly" in why for why in result.not_predicted.values())
    with pytest.raises(KeyError, match=r"no prediction for '/relu#3' \(its input is not directly"):
        result["/relu#3"]
    assert "/relu#5: not predicted" in str(result)


def test_masks_in_the_model_are_the_state_before():
    net = nn.Sequential(layer(normal(3, 6, seed=1), normal(3, seed=2)), nn.ReLU())
    x = normal(500, 6, seed=3)
    masks = prune(net, Magnitude(), sparsity=0.5)
    found = predict_dead_rate(net, [x], masks)["1/relu#1"]
    assert found.predicted.tolist() == found.gaussian_before.tolist()
    assert found.measured.tolist() == found.measured_before.tolist()
    assert found.measured == pytest.approx((net[0](x) <= 0).double().mean(0).tolist())


def test_moments_merge_as_one():
    z = normal(1000, 3) * 1e-3 + 1e3
    parts = [ChannelMoments.of(part, 1) for part in z.split([1, 500, 499])]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    assert torch.allclose(merged.mean, z.mean(0), rtol=1e-14)
    assert torch.allclose(merged.squares / 1000, z.var(0, unbiased=False), rtol=1e-7)


def test_tables_and_dictionaries():
    net = nn.Sequential(layer(normal(3, 6, seed=1)), nn.ReLU())
    result = predict_dead_rate(net, [normal(50, 6)], random_masks(net, 0.5))
    (row,), data = result.table(), result.to_dict()
    assert row["predicted"] == pytest.approx(result["1/relu#1"].predicted.mean())
    assert data["sites"][0]["predicted"] == result["1/relu#1"].predicted.tolist() and data["facts"]["samples"] == 50


def test_what_cannot_be_predicted():
    net = nn.Sequential(layer(normal(3, 6, seed=1)), nn.ReLU())
    with pytest.raises(ValueError, match="got no batch"):
        predict_dead_rate(net, [], Masks.of(net))
    with pytest.raises(ValueError, match="no activation of ReLU type"):
        predict_dead_rate(net[:1], [normal(5, 6)], Masks.of(net[:1]))
    with pytest.raises(ValueError, match=r"has no weight 'x.weight'"):
        predict_dead_rate(net, [normal(5, 6)], Masks({"x.weight": torch.ones(1, dtype=torch.bool)}))


def test_batches_need_no_value_on_the_host():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU(inplace=True))
    with on_fake_cuda(net):
        makers, reader = Makers(net), _Reader(net, net)
        batches = [torch.empty(n, 2, 6, 6, device=CUDA) for n in (5, 3)]
        settings = {"statistics": "eval", "makers": makers}
        observe("test", net, batches, partial(reader.before, makers), **settings)
        observe("test", net, batches, reader.after, statistics="eval")
        assert list(reader._states) == ["2/relu#1", "4/relu#1"]
        for state in reader._states.values():
            kept = [state.own.mean, state.own.squares, state.masked.mean, state.masked.squares]
            kept += [state.dead, state.dead_pruned, state.own.at_most(0.0)]
            assert state.samples == 8 and all(t.device == CUDA for t in kept)
