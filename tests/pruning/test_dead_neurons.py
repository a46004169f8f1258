"""Dead units against closed forms, exact small cases, and loops over single numbers."""

import math
import sys

import numpy as np
import pytest
import torch
from fake_cuda import CUDA, on_fake_cuda
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune

from scatter_theory.bnn.models import resnet20
from scatter_theory.compiled import without_kernels
from scatter_theory.meters import Counts, Site
from scatter_theory.pruning import RATES, DeadNeurons, dead_neurons
from scatter_theory.pruning.dead import _kernels
from scatter_theory.pruning.dead._state import COUNTERS, SiteState


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def Phi(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def linear(weight, bias=None):
    weight = torch.as_tensor(weight)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = torch.as_tensor(bias)
    return layer


def pooled(found, *names):
    return [found.rate(name, "pooled") for name in names]


def close(got, p, n):
    """Within four standard deviations of a mean of n independent trials."""
    assert abs(got - p) <= 4 * math.sqrt(p * (1 - p) / n), (got, p)


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_inputs_of_both_signs_make_one_half():
    x = normal(500, 7)
    found = dead_neurons(nn.Sequential(linear(normal(9, 7, seed=1)), nn.ReLU()), [x, -x])
    assert found.per_channel("1/relu#1").tolist() == [0.5] * 9 and found.samples == 1000


@pytest.mark.parametrize(("ratio", "p"), [(1.0, 0.158655), (0.5, 0.308538), (-1.0, 0.841345), (0.0, 0.5)])
def test_gaussian_pre_activations(ratio, p):
    assert Phi(-ratio) == pytest.approx(p, abs=5e-7)
    n = 40_000
    found = dead_neurons(nn.ReLU(), [3 * (normal(n, 1) + ratio)])
    close(found.rate("total")[0], p, n)


@pytest.mark.parametrize("bias", [-0.7, 0.7])
def test_pruned_gaussian_unit(bias):
    """Pruning lowers the norm of the weights: with b < 0 the unit dies more, with b > 0 less."""
    n, w, rates = 40_000, torch.tensor([[1.0, -2.0, 0.5, 3.0]]), []
    x = normal(n, 4, seed=2)
    for kept in (4, 2, 1, 0):
        masked = w * (torch.arange(4) < kept)
        p = Phi(-bias / float(masked.norm())) if kept else float(bias <= 0)
        found = dead_neurons(nn.Sequential(linear(masked, [bias]), nn.ReLU()), [x])
        rates.append(found.rate("total")[0])
        close(rates[-1], p, n) if kept else None
        assert found.rate("static")[0] == (not kept and bias <= 0)
        assert found.rate("static_on")[0] == (not kept and bias > 0)
    assert rates[-1] == (bias <= 0) and (np.diff(rates) * -bias > 0).all()


@pytest.mark.parametrize(("a", "variance"), [(1.0, 1 / 12), (2.0, 0.14758)])
def test_spread_of_rates_under_random_biases(a, variance):
    assert math.asin(a**2 / (1 + a**2)) / (2 * math.pi) == pytest.approx(variance, abs=5e-6)
    units, n = 3000, 4000
    z = normal(n, 1, seed=3) - a * normal(1, units, seed=4)
    p = dead_neurons(nn.ReLU(), z.split(500)).per_channel("/relu#1")
    assert p.mean() == pytest.approx(0.5, abs=4 * math.sqrt(variance / units))
    assert p.var() == pytest.approx(variance, rel=0.08)
    if a == 2.0:
        share = 1 - Phi(1.6448536269514722 / a)
        assert share == pytest.approx(0.20542, abs=5e-6)
        close((p > 0.95).mean(), share, units)


def rectified(n, fan_in, seed=5):
    return normal(n, fan_in, seed=seed).clamp_(min=0)


@pytest.mark.parametrize(("w", "p"), [([1.0, -1.0], 5 / 8), ([1.0, 0.0], 1 / 2), ([0.0, -1.0], 1.0)])
def test_two_rectified_inputs(w, p):
    n = 40_000
    found = dead_neurons(nn.Sequential(linear([w]), nn.ReLU()), [rectified(n, 2)])
    close(found.rate("total")[0], p, n)
    assert found.rate("static")[0] == 0  # also where it never fires, which is not static


@pytest.mark.parametrize(("plus", "minus"), [(1, 0), (4, 0), (1, 1), (2, 2)])
def test_equal_weights_on_rectified_inputs(plus, minus):
    p = 2.0**-plus if not minus else 0.5 + 2.0 ** (-2 * plus) / 2
    n = 40_000
    weights = torch.tensor([[1.0] * plus + [-1.0] * minus])
    # Sums of equal numbers with both signs need exact arithmetic where they are 0: multiples of 2^-10.
    h = (rectified(n, plus + minus, seed=6) * 1024).round() / 1024
    exact = dead_neurons(nn.Sequential(linear(weights), nn.ReLU()), [rectified(n, plus + minus, seed=6)])
    close(exact.rate("total")[0], p, n)
    assert (
        dead_neurons(nn.Sequential(linear(weights), nn.ReLU()), [h]).rate("total")[0] >= exact.rate("total")[0] - 0.01
    )


def test_wide_layer_on_rectified_inputs():
    n, fan_in = 20_000, 256
    w = normal(1, fan_in, seed=11) / 16 - 0.004
    p = Phi(-float(w.sum()) / math.sqrt((math.pi - 1) * float(w.square().sum())))
    found = dead_neurons(nn.Sequential(linear(w), nn.ReLU()), [rectified(n, fan_in)])
    assert found.rate("total")[0] == pytest.approx(p, abs=0.01 + 4 * math.sqrt(p * (1 - p) / n))
    assert 0.05 < p < 0.95 and abs(p - 0.5) > 0.1


@pytest.mark.parametrize(
    ("beta", "gamma", "p"), [(-0.5, 1, 0.69146), (0.5, 2, 0.40129), (0.5, -2, 0.40129), (-1, 0.5, 0.97725)]
)
def test_batch_normalised_gaussian(beta, gamma, p):
    assert Phi(-beta / abs(gamma)) == pytest.approx(p, abs=5e-6)
    n = 40_000
    norm = nn.BatchNorm1d(1, eps=1e-9)
    norm.weight.data.fill_(gamma), norm.bias.data.fill_(beta)
    model = nn.Sequential(norm, nn.ReLU())
    x = 5 + 3 * normal(n, 1, seed=8)
    found = dead_neurons(model, [x], statistics="batch")
    close(found.rate("total")[0], p, n)
    assert found.facts["statistics"] == "statistics of each batch" and model.training
    assert float(norm.running_mean) == 0 and float(norm.running_var) == 1 and int(norm.num_batches_tracked) == 0
    norm.running_mean.fill_(5), norm.running_var.fill_(9)
    found = dead_neurons(model, [x])
    close(found.rate("total")[0], p, n)
    assert found.facts["statistics"] == "running statistics"


def test_both_flat_sides():
    n = 40_000
    found = dead_neurons(nn.ReLU6(), [1 + 3 * normal(n, 1, seed=9)])
    assert (Phi(-1 / 3), 1 - Phi(5 / 3)) == pytest.approx((0.36944, 0.04779), abs=5e-6)
    close(found.rate("total")[0], Phi(-1 / 3), n)
    close(found.rate("saturated")[0], 1 - Phi(5 / 3), n)
    assert dead_neurons(nn.ReLU(), [normal(9, 1)]).rate("saturated")[0] == 0


def test_gelu_under_a_gaussian():
    n = 40_000
    x = [normal(n, 1, seed=10)]
    with pytest.raises(ValueError, match=r"no ReLU-type activation was called; found gelu x 1; pass `rule='negative'`"):
        dead_neurons(nn.GELU(), x)
    close(dead_neurons(nn.GELU(), x, rule="negative").rate("total")[0], 0.5, n)
    # |x Phi(x)| <= 0.05 below a, and between b and c, found by halving intervals on which x Phi(x) is monotone.
    a, b, c = root(-9.0, -0.76, -0.05), root(-0.74, 0.0, -0.05), root(0.0, 1.0, 0.05)
    p = Phi(c) - Phi(b) + Phi(a)
    close(dead_neurons(nn.GELU(), x, rule="near_zero", eps=0.05).rate("total")[0], p, n)
    assert p == pytest.approx(0.106, abs=5e-4)


def root(low, high, value):
    """Where x Phi(x) has the value, between two places on either side of it."""
    rising = high * Phi(high) > low * Phi(low)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (middle * Phi(middle) < value) == rising else (low, middle)
    return low


# --- exact small cases -----------------------------------------------------------------------------------------------

FOUR = [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]]
FOUR_X = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [2.0, -1.0], [1.0, 2.0]])


def test_four_units():
    found = dead_neurons(nn.Sequential(linear(FOUR), nn.ReLU()), [FOUR_X], units=True)
    names = ("static", "dynamic", "total", "dead_on_data", "always_on", "dynamic_conditional")
    assert pooled(found, *names) == [1 / 4, 7 / 16, 11 / 16, 1 / 4, 0, 7 / 12]
    assert found.units["1/relu#1"]["dead_on_data"].tolist() == [True, False, False, False]
    # ReLU'(0) = 0, so that a pre-activation of exactly 0 is dead, and so is -0.
    assert dead_neurons(nn.ReLU(), [torch.tensor([[0.0], [-0.0], [1e-45]])]).counts["dead"].tolist() == [2]


def test_aggregation_over_sites_is_named():
    """Layers of 4 and 12 units with 2 and 3 dead ones."""

    class Two(nn.Module):
        def forward(self, x):
            return F.relu(x[:, :4]), F.relu(x[:, 4:])

    x = torch.tensor([[-1.0] * 2 + [1.0] * 2 + [-1.0] * 3 + [1.0] * 9])
    found = dead_neurons(Two(), [x])
    assert found.rate("total").tolist() == [0.5, 0.25]
    reductions = ("pooled", "mean_layer", "mean_channel")
    assert [found.rate("total", r) for r in reductions] == [0.3125, 0.375, 0.3125]
    assert found.rate("silent", "pooled") == 0.3125
    with pytest.raises(ValueError, match=r"`rate\(reduction=...\)`: got 'mean'"):
        found.rate("total", "mean")
    with pytest.raises(KeyError, match=r"`rate\(name=...\)`: got 'deads'"):
        found.rate("deads")


def test_sums_of_counts_and_no_mean_of_means():
    batches = [torch.tensor([[-1.0], [1.0], [1.0]]), torch.tensor([[1.0]])]
    assert dead_neurons(nn.ReLU(), batches).rate("total")[0] == 0.25


class Small(nn.Module):
    """Convolutions with batch norm, pooling, a residual sum, tokens of varied use, and a linear layer."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv1, self.norm = nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5)
        self.conv2, self.linear = nn.Conv2d(5, 5, 3, padding=1, bias=False), nn.Linear(5 * 9, 7)
        self.norm.running_mean.normal_(), self.norm.running_var.uniform_(0.5, 2), self.norm.weight.data.normal_()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        x = F.relu(self.conv2(x) + x)
        return F.relu(self.linear(F.max_pool2d(x, 2).flatten(1)) - 0.1)


SMALL_SITES = ["relu/relu#1", "/relu#1", "/relu#2"]


def outputs(model, x):
    """The outputs at the three sites, as float64 arrays of samples x channels x positions, without any observer."""
    model = model.eval()
    with torch.no_grad():
        a = model.norm(model.conv1(x)).clamp(min=0)
        b = (model.conv2(a) + a).clamp(min=0)
        c = (model.linear(F.max_pool2d(b, 2).flatten(1)) - 0.1).clamp(min=0)
    return [y.double().numpy().reshape(*y.shape[:2], -1) for y in (a, b, c)]


@pytest.mark.parametrize("compiled", [True, False])
def test_every_counter_against_a_loop(compiled):
    model, x = Small(), normal(10, 2, 6, 6)
    model.linear.bias.data[0] = -100
    if compiled:
        found = dead_neurons(model, [x], units=True)
    else:
        with without_kernels():
            found = dead_neurons(model, [x], units=True)
    assert list(found.sites) == SMALL_SITES and found.notes == ()
    for k, (site, y) in enumerate(zip(SMALL_SITES, outputs(Small.eval(model), x), strict=True)):
        dead = silent = 0
        per_channel, magnitude = np.zeros(y.shape[1]), np.zeros(y.shape[1])
        for sample in y:
            for c, channel in enumerate(sample):
                zeros = sum(1 for value in channel if value == 0)
                dead, silent = dead + zeros, silent + (zeros == len(channel))
                per_channel[c] += zeros
                magnitude[c] += sum(abs(value) for value in channel)
        entries = y.size
        want = {"dead": dead, "on": entries - dead, "nan": 0, "entries": entries, "silent": silent, "passes": 10}
        assert {name: int(found.counts[name][k]) for name in want} == want
        assert found.rate("silent")[k] == silent / (10 * y.shape[1])
        # The average percentage of zeros: the channels' shares, whose mean is the rate of the layer.
        assert found.per_channel(site).tolist() == (per_channel / (entries / y.shape[1])).tolist()
        assert found.per_channel(site).mean() == pytest.approx(found.rate("total")[k], rel=1e-14)
        assert found.dormancy(site) == pytest.approx(magnitude / magnitude.mean(), rel=1e-6)
        assert found.sample_dead[:, k].tolist() == (y == 0).sum((1, 2)).tolist()
        assert found.units[site]["dead_on_data"].reshape(y.shape[1:]).tolist() == (y == 0).all(0).tolist()
        assert found.units[site]["always_on"].reshape(y.shape[1:]).tolist() == (y > 0).all(0).tolist()
        assert found.rate("dead_on_data")[k] == (y == 0).all(0).mean()
    assert found.counts["dead_on_data"][2] >= 1 and found.counts["always_on"].sum() > 0


def test_batches_of_any_size_and_order_give_the_same():
    model, x = Small(), normal(10, 2, 6, 6)
    whole = dead_neurons(model, [x])
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    for parts in (x.split(1), x.split(3), x.split(4), x[order].split(4)):
        found = dead_neurons(model, parts)
        for name, values in whole.counts.items():
            assert found.counts[name].tolist() == values.tolist(), name
        for site in SMALL_SITES:
            assert found.channel_dead[site].tolist() == whole.channel_dead[site].tolist()
    assert dead_neurons(model, x[order].split(3)).sample_dead.tolist() == whole.sample_dead[order].tolist()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_precisions_give_the_same_integers(dtype):
    y = normal(300, 7, 5, 4, seed=12).to(torch.bfloat16).to(torch.float16)
    y[0, 0], y[1, 1] = math.inf, -math.inf
    a, b = dead_neurons(nn.ReLU(), [y.to(torch.float32)]), dead_neurons(nn.ReLU(), [y.to(dtype)])
    assert {n: v.tolist() for n, v in a.counts.items()} == {n: v.tolist() for n, v in b.counts.items()}
    # +inf is on, -inf is dead
    assert int(a.counts["on"][0]) == int((y > 0).sum()) and int(a.counts["nan"][0]) == 0


def test_layouts_give_the_same_integers():
    model, x = Small(), normal(6, 2, 6, 6)
    a, b = (dead_neurons(model, [v]) for v in (x, x.to(memory_format=torch.channels_last)))
    assert {n: v.tolist() for n, v in a.counts.items()} == {n: v.tolist() for n, v in b.counts.items()}
    tokens = normal(6, 9, 5, seed=4)
    last = dead_neurons(nn.ReLU(), [tokens], channel_dim=-1)
    first = dead_neurons(nn.ReLU(), [tokens.transpose(1, 2).contiguous()])
    assert {n: v.tolist() for n, v in last.counts.items()} == {n: v.tolist() for n, v in first.counts.items()}
    assert (
        last.channels.tolist() == [5] and last.per_channel("/relu#1").tolist() == first.per_channel("/relu#1").tolist()
    )


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("start", [2**24, 2**31, 2**53])
def test_counters_are_exact_beyond_the_ranges_of_other_types(compiled, start):
    """A state set high, and one more entry: 32 bits, float32 and float64 would lose it."""
    state = SiteState(Site("a", "", "relu"), "relu", 0.0, 1, False)
    y = torch.tensor([[0.0, 2.0, 0.0]])
    state.update(0, y, y)
    state.counts = state.counts.merge(Counts(COUNTERS, torch.full((4, 3), start)))
    if compiled:
        assert _kernels.library() is None or _kernels.fits(y, state.seen)
        state.update(1, y, y)
    else:
        with without_kernels():
            state.update(1, y, y)
    assert state.counts["dead"].tolist() == [start + 2, start, start + 2]
    assert state.counts["on"].tolist() == [start, start + 2, start]


@pytest.mark.skipif(_kernels.library() is None, reason="needs a C compiler")
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 5), (5, 2, 7, 3), (1, 1), (4, 300, 9, 16)])
@pytest.mark.parametrize(("rule", "high"), [("relu", math.inf), ("relu", 1.0), ("near_zero", 1.0)])
def test_compiled_pass_counts_what_torch_does(shape, rule, high):
    y = normal(*shape, seed=13).clamp(0 if rule == "relu" else -1, high)
    y.view(-1)[:3] = torch.tensor([math.nan, -math.inf, math.inf])[: y.numel()]
    states = [SiteState(Site("a", "", "relu", 0.0, high), rule, 0.1, 1, False) for _ in range(2)]
    for _ in range(2):
        states[0].update(0, y, y)
        with without_kernels():
            states[1].update(0, y, y)
        y = y.flip(0).contiguous()
    assert torch.equal(states[0].counts.values, states[1].counts.values)
    assert torch.equal(states[0].seen, states[1].seen)
    assert all(torch.equal(a[1], b[1]) for a, b in zip(states[0].found, states[1].found, strict=True))
    assert torch.allclose(states[0].magnitude, states[1].magnitude, rtol=2e-6, equal_nan=True)


# --- other indicators ------------------------------------------------------------------------------------------------


def test_dormancy():
    y = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 4.0]])
    found = dead_neurons(nn.ReLU(), [y])
    assert found.dormancy("/relu#1").tolist() == [0.0, 0.75, 2.25]
    assert [found.dormant(tau)[0] for tau in (0.0, 0.75)] == [1 / 3, 2 / 3]
    n = 200_000
    mu = torch.tensor([0.0, 1.0, -1.0, -3.0])
    found = dead_neurons(nn.ReLU(), [normal(n, 4, seed=14) + mu])
    density = [math.exp(-(m**2) / 2) / math.sqrt(2 * math.pi) + m * Phi(m) for m in mu.tolist()]
    assert density == pytest.approx([0.398942, 1.083315, 0.083315, 0.000382], abs=1e-6)
    assert found.dormancy("/relu#1") == pytest.approx([1.0190, 2.7672, 0.2128, 0.00098], abs=0.01)
    assert found.dormant(0.1)[0] == 1 / 4


def test_entropy_bound():
    """Dead rates .5, .9 and 1, the last unit static; all numbers by hand."""
    x = torch.ones(10, 2)
    x[:5, 0], x[1:, 1] = -1, -1
    found = dead_neurons(nn.Sequential(linear([[1.0, 0], [0, 1.0], [0, 0]]), nn.ReLU()), [x])
    assert found.per_channel("1/relu#1").tolist() == [0.5, 0.9, 1.0]
    got = {name: value[0] for name, value in found.entropy_bound().items()}
    assert got == pytest.approx({"channels": 1.4690, "survivors": 1.7626, "layer": 2.1658}, abs=5e-5)


def test_a_dead_unit_has_no_gradient():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    model[0].bias.data[1] = -1e3
    x = normal(50, 3)
    found = dead_neurons(model, [x], units=True)
    assert found.units["1/relu#1"]["dead_on_data"].tolist() == [False, True, False, False]
    model(x).square().sum().backward()
    incoming, outgoing = model[0].weight.grad.abs().sum(1), model[2].weight.grad.abs().sum(0)
    assert (incoming == 0).tolist() == (outgoing == 0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_of_outputs(frozen):
    """L = sum of v . h has gradient v at every output; parameters and their gradients are left alone."""
    v = torch.tensor([[3.0, -1.0, 0.0, 4.0]])
    model = nn.Sequential(linear(normal(4, 3)), nn.ReLU(inplace=True), linear(v)).requires_grad_(not frozen)
    model[0].weight.grad = torch.ones(4, 3)
    found = dead_neurons(model, normal(50, 3).split(20), loss=lambda model, batch: model(batch).sum())
    assert found.gradient["1/relu#1"].tolist() == [150.0, 50.0, 0.0, 200.0]
    assert found.gradient_dormancy("1/relu#1").tolist() == [1.5, 0.5, 0.0, 2.0]
    assert all(p.requires_grad is not frozen for p in model.parameters())
    assert torch.equal(model[0].weight.grad, torch.ones(4, 3)) and model[2].weight.grad is None
    with pytest.raises(ValueError, match=r"no gradients were measured"):
        dead_neurons(model, [normal(5, 3)]).gradient_dormancy("1/relu#1")


def test_rates_by_class():
    x, y = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]]), torch.tensor([4, 7, 4])
    found = dead_neurons(nn.ReLU(), [(x[:2], y[:2]), (x[2:], y[2:])], labels=True)
    assert {k: v.tolist() for k, v in found.by_class().items()} == {4: [0.5], 7: [0.5]}
    assert {k: v.tolist() for k, v in found.by_class("silent").items()} == {4: [0.5], 7: [0.5]}
    assert dead_neurons(nn.ReLU(), [(x, torch.tensor([0, 0, 1]))], labels=True).by_class()[0].tolist() == [0.75]
    with pytest.raises(ValueError, match=r"`dead_neurons\(labels=True\)`: got NoneType"):
        dead_neurons(nn.ReLU(), [x], labels=True)
    with pytest.raises(ValueError, match="no labels were kept"):
        dead_neurons(nn.ReLU(), [x]).by_class()


# --- capture within a measurement ------------------------------------------------------------------------------------


def test_sites_that_are_expected_or_named():
    class Gate(nn.Module):
        def forward(self, x):
            return x * (x > 0)

    x = normal(8, 3)
    model = nn.Sequential(linear(normal(4, 3)), nn.ReLU(), linear(normal(4, 4, seed=1)), Gate())
    with pytest.raises(ValueError, match=r"`dead_neurons\(expect_sites=2\)`: found 1 sites"):
        dead_neurons(model, [x], expect_sites=2)
    with pytest.raises(ValueError, match=r"expect_sites=\['3/output#1'\]"):
        dead_neurons(model, [x], expect_sites="3/output#1")
    found = dead_neurons(model, [x], sites=["3"], expect_sites=["3/output#1", "1/relu#1"])
    twin = nn.Sequential(*model[:3], nn.ReLU())
    assert found.counts["dead"].tolist() == dead_neurons(twin, [x], expect_sites=2).counts["dead"].tolist()
    with pytest.raises(ValueError, match=r"no ReLU-type activation was called; found no other one; name the modules"):
        dead_neurons(Gate(), [x])


def test_a_transformer_and_one_with_another_order_of_axes():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    x = normal(4, 5, 8)
    found = dead_neurons(model, [x], channel_dim=-1)
    assert found.channels.tolist() == [16, 16] and found.sizes.tolist() == [80, 80] and found.rate("static").sum() == 0
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    with pytest.raises(ValueError, match=r"outputs of shape \(5, 4, 16\), expected the 4 samples"):
        dead_neurons(layer, [x], forward_fn=lambda m, b: (F.relu(m.linear1(b)), m(b.transpose(0, 1))), channel_dim=-1)


def test_other_batches_need_a_forward_function():
    model, x = Small(), normal(6, 2, 6, 6)
    with pytest.raises(TypeError, match=r"got a batch of type dict.*forward_fn=lambda model, batch"):
        dead_neurons(model, [{"image": x}])
    found = dead_neurons(model, [{"image": x}], forward_fn=lambda model, batch: model(batch["image"]))
    assert found.counts["dead"].tolist() == dead_neurons(model, [(x, None)]).counts["dead"].tolist()


def test_a_compiled_model_is_measured_as_it_was():
    model, x = Small(), normal(6, 2, 6, 6)
    found = dead_neurons(torch.compile(model, backend="eager"), [x])
    assert found.counts["dead"].tolist() == dead_neurons(model, [x]).counts["dead"].tolist()
    assert found.facts["compiled"] == "measured as it was before it was compiled"


def test_the_model_is_as_before_also_after_an_exception():
    model, x = Small(), normal(6, 2, 6, 6)
    model.norm.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def check():
        assert model.training and not model.norm.training and model.conv1.training
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        assert all(p.requires_grad and p.grad is None for p in model.parameters())
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert torch.is_grad_enabled()

    for statistics in ("eval", "batch"):
        dead_neurons(model, [x], statistics=statistics, loss=lambda m, b: m(b).sum())
        check()
        with pytest.raises(RuntimeError):
            dead_neurons(model, [x, normal(2, 3)], statistics=statistics)
        check()


def test_sites_that_are_called_at_times_and_of_changing_size():
    class Sometimes(nn.Module):
        def forward(self, x):
            return F.relu(x) if x.shape[2] == 2 else F.relu(F.relu(x) - 1)

    short, long = normal(3, 2, 2, seed=1), normal(2, 2, 5, seed=2)
    found = dead_neurons(Sometimes(), [short, long, short])
    assert found.counts["passes"].tolist() == [8, 2] and found.sizes.tolist() == [-1, 10]
    assert found.counts["entries"].tolist() == [6 * 4 + 2 * 10, 20]
    assert found.counts["dead"].tolist() == [
        2 * int((short <= 0).sum()) + int((long <= 0).sum()),
        int((long <= 1).sum()),
    ]
    assert np.isnan(found.rate("static")).tolist() == [True, True] and np.isnan(found.rate("static", "pooled"))
    assert len(found.notes) == 2 and "number of positions changes" in found.notes[0]
    assert found.never_fired_limit == pytest.approx(1 - 0.05**0.5)  # two samples came by the second site
    low, high = found.interval()
    assert (low <= found.rate("total")).all() and (found.rate("total") <= high).all()


# --- edges -----------------------------------------------------------------------------------------------------------


def test_degenerate_inputs():
    one = dead_neurons(nn.ReLU(), [torch.tensor([[1.0, -1.0]])])
    assert one.rate("total")[0] == 0.5
    with pytest.raises(ValueError, match="got 1 sample"):
        one.interval()
    for nothing in ([], [torch.zeros(0, 2)]):
        with pytest.raises(ValueError, match=r"`dead_neurons\(loader=...\)`: got no sample"):
            dead_neurons(nn.ReLU(), nothing)
    norm = nn.Sequential(nn.BatchNorm1d(2), nn.ReLU())
    assert dead_neurons(norm, [torch.ones(1, 2)]).samples == 1
    with pytest.raises(ValueError, match=r"`statistics='batch'`: a batch has one value per channel"):
        dead_neurons(norm, [torch.ones(1, 2)], statistics="batch")
    with pytest.raises(ValueError, match=r"channel_dim=2"):
        dead_neurons(nn.ReLU(), [torch.ones(4, 2)], channel_dim=2)
    with pytest.raises(ValueError, match=r"rule='relu', eps=0.1"):
        dead_neurons(nn.ReLU(), [torch.ones(4, 2)], eps=0.1)
    with pytest.raises(ValueError, match=r"static=...\)`: got 'weights', expected one of"):
        dead_neurons(nn.ReLU(), [torch.ones(4, 2)], static="weights")


def test_dead_and_static_layers():
    dead = dead_neurons(nn.Sequential(linear([[1.0], [2.0]], [-9.0, -9.0]), nn.ReLU()), [torch.rand(5, 1)])
    assert pooled(dead, "total", "dynamic_conditional", "dynamic_dead", "static") == [1, 1, 1, 0]
    assert dead.dormant()[0] == 1 and dead.entropy_bound()["layer"][0] == 0
    static = dead_neurons(nn.Sequential(linear([[0.0], [0.0]]), nn.ReLU()), [torch.rand(5, 1)])
    assert pooled(static, "total", "static", "dynamic", "dead_on_data") == [1, 1, 0, 1]
    assert math.isnan(static.rate("dynamic_conditional", "pooled")) and math.isnan(
        static.rate("dynamic_conditional")[0]
    )
    assert "the conditional rate is undefined" in static.notes[0] and static.entropy_bound()["survivors"][0] == 0


def test_nan_is_refused_with_the_first_site():
    class Hidden(nn.Module):
        def forward(self, x):
            return F.relu(F.relu(F.relu(x) / x) + 1)

    with pytest.raises(ValueError, match=r"1 outputs of site '/relu#2' are NaN.*the first such site"):
        dead_neurons(Hidden(), [torch.tensor([[0.0, 1.0]])], static="constant")


# --- how sure --------------------------------------------------------------------------------------------------------


def test_intervals_take_samples_as_the_unit():
    """All units of a sample are alike: the interval has the width for N samples, not for N n entries."""
    n, p = 400, 0.3
    alike = torch.where(torch.arange(n) < p * n, -1.0, 1.0)[:, None].expand(n, 50).contiguous()
    found = dead_neurons(nn.ReLU(), [alike])
    low, high = found.interval("total", seed=1)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * math.sqrt(p * (1 - p) / n), rel=0.15)
    assert low[0] < p < high[0]
    assert [a.tolist() for a in found.interval("total", seed=1)] == [low.tolist(), high.tolist()]
    narrow = found.interval("total", level=0.5)
    assert narrow[1][0] - narrow[0][0] == pytest.approx(2 * 0.6745 * math.sqrt(p * (1 - p) / n), rel=0.15)
    for name in ("dynamic", "dynamic_conditional", "silent"):
        assert found.interval(name, seed=1)[0].tolist() == low.tolist()
    with pytest.raises(ValueError, match=r"`interval\(name=...\)`: got 'static'"):
        found.interval("static")
    with pytest.raises(ValueError, match=r"`interval\(level=...\)`: got 95"):
        found.interval(level=95)


def test_intervals_with_static_units():
    found = dead_neurons(nn.Sequential(linear(FOUR), nn.ReLU()), [FOUR_X.repeat(50, 1)])
    total, dynamic, rest = (np.array(found.interval(name)) for name in ("total", "dynamic", "dynamic_conditional"))
    assert np.allclose(dynamic, total - 1 / 4) and np.allclose(rest, dynamic / (3 / 4))


def test_what_never_fired():
    found = dead_neurons(nn.ReLU(), [-torch.ones(100, 2)])
    assert found.never_fired_limit == pytest.approx(0.0295130, abs=5e-8)
    assert (1 - found.never_fired_limit) ** 100 == pytest.approx(0.05, rel=1e-12)
    assert "none of 100 samples fires with probability below 0.0295 (95 % confidence" in str(found)


# --- output ----------------------------------------------------------------------------------------------------------


def test_round_trip_and_table():
    model, x = Small(), normal(6, 2, 6, 6)
    y = torch.arange(6) % 2
    found = dead_neurons(model, [(x, y)], units=True, labels=True, loss=lambda m, b: m(b[0]).sum())
    again = DeadNeurons.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict() and str(again) == str(found)
    for name in RATES:
        assert np.array_equal(again.rate(name), found.rate(name))
    assert np.array_equal(again.interval()[0], found.interval()[0]) and again.by_class()[0].shape == (3,)
    text = str(found)
    assert all(site in text for site in SMALL_SITES) and "running statistics" in text and "pooled" in text
    with pytest.raises(KeyError, match="no site 'relu'"):
        found.per_channel("relu")


def test_table_of_pandas():
    pytest.importorskip("pandas", reason="pandas is not installed")
    assert list(dead_neurons(nn.ReLU(), [torch.ones(2, 2)]).to_frame()["site"]) == ["/relu#1"]


def test_no_frame_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="package `pandas`"):
        dead_neurons(nn.ReLU(), [torch.ones(2, 2)]).to_frame()


# --- devices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [{}, {"rule": "negative"}, {"rule": "near_zero", "eps": 0.1}], ids=str)
def test_no_value_is_needed_on_the_host_before_the_end(rule, monkeypatch):
    """Two batches on a pretended GPU up to the read-out, which is replaced."""
    model = resnet20(width=4, order="bn_relu", generator=0)
    taken = []
    monkeypatch.setattr("scatter_theory.pruning.dead._measure.build", lambda run, *rest: taken.append(run))
    with on_fake_cuda(model):
        batches = [torch.empty(2, 3, 8, 8, device=CUDA) for _ in range(2)]
        dead_neurons(model, batches, static="constant", **rule)
        states = list(taken[0].states.values())
        assert len(states) == 19 and taken[0].sizes == [2, 2]
        for state in states:
            kept = [
                state.counts.values,
                state.magnitude,
                state.seen,
                state.range,
                *(rows for _, rows, _ in state.found),
            ]
            assert all(t.device == CUDA for t in kept) and state.counts.values.dtype == torch.int64


@pytest.mark.gpu
def test_a_gpu_counts_the_same():
    model, x = Small().double(), normal(10, 2, 6, 6, dtype=torch.float64)
    want = dead_neurons(model, [x])
    got = dead_neurons(model.cuda(), x.split(3))
    assert {n: v.tolist() for n, v in got.counts.items()} == {n: v.tolist() for n, v in want.counts.items()}


def test_torch_pruned_layers_are_trained_models_too():
    """The masks of torch are applied in a hook of the layer, which runs as always."""
    layer = linear(normal(3, 4))
    torch_prune.custom_from_mask(layer, "weight", torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]]))
    found = dead_neurons(nn.Sequential(layer, nn.ReLU()), [normal(20, 4, seed=3)], units=True)
    assert found.units["1/relu#1"]["static"].tolist() == [False, True, False]
