"""The parts of a change of dead-neuron rates: exact sums, values by hand, and what tells rising from falling rates."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import nn

from scatter_theory.pruning._change import PARTS, DeadNeuronChange, decompose
from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.dead._measure import dead_neurons
from scatter_theory.pruning.masks._masks import Masks, originals
from scatter_theory.pruning.rules._weights import Magnitude


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def nothing(model):
    pass


def masked(rows, x):
    """Rates of a layer of ones with these masks, on inputs x and -x."""
    net = nn.Sequential(nn.Linear(len(rows[0]), len(rows), bias=False, dtype=torch.float64), nn.ReLU())
    nn.init.ones_(net[0].weight)
    Masks({"0.weight": torch.tensor(rows, dtype=torch.bool)}).apply(net)
    found = dead_neurons(net, [torch.cat([x, -x])])
    return [found.rate(name, "pooled") for name in ("static", "dynamic", "total")]


# --- why the dynamic rate falls while the static one rises -----------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "kept", "of", "expected"), [(2, 1, 2, (0.25, 0.375, 0.625)), (9, 1, 2, None), (3, 1, 4, None)]
)
def test_each_weight_pruned_on_its_own(n, kept, of, expected):
    """All masks with their weights: static rho^n, dynamic (1 - rho^n) / 2, total (1 + rho^n) / 2."""
    rows = [[k < kept for k in row] for row in product(range(of), repeat=n)] if of**n <= 4096 else []
    static, dynamic, total = masked(rows, normal(5, n))
    gone = (1 - kept / of) ** n
    assert (static, dynamic, total) == pytest.approx((gone, (1 - gone) / 2, (1 + gone) / 2), abs=1e-14)
    assert expected is None or (static, dynamic, total) == expected


def test_a_fixed_number_of_weights_pruned():
    """4 of the 8 weights of 4 units with 2 inputs each: static with probability C(6, 2) / C(8, 4) = 3/14."""
    masks = [[k not in gone for k in range(8)] for gone in combinations(range(8), 4)]
    static, _, _ = masked([row[2 * u : 2 * u + 2] for row in masks for u in range(4)], normal(3, 2))
    assert static == pytest.approx(math.comb(6, 2) / math.comb(8, 4), abs=1e-15)
    assert static == pytest.approx(3 / 14, abs=1e-15)


# --- the parts -------------------------------------------------------------------------------------------------------


def test_parts_by_hand():
    """Unit 0: 1 of 4 dead, loses its weight. Unit 1: 1 dead, 2 with one weight less, 3 after the training."""
    net = nn.Sequential(nn.Linear(2, 2, bias=False, dtype=torch.float64), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 2.0]]))
    x = torch.tensor([[1.0, 1.0], [2.0, 3.0], [3.0, -1.0], [-1.0, -2.0]], dtype=torch.float64)

    def prune_two(model):
        Masks({"0.weight": torch.tensor([[False, False], [False, True]])}).apply(model)

    def train(model):
        with torch.no_grad():
            originals(model, ["0.weight"])["0.weight"].copy_(torch.tensor([[7.0, 7.0], [7.0, -1.0]]))

    found = decompose(net, [x], prune_two, train)
    dead = np.array([1 + 1, 4 + 2, 4 + 2])
    assert [int(f.counts["dead"][0]) for f in (found.before, found.pruned, found.after)] == dead.tolist()
    expected = {
        "static_gain": {"total": 3, "static": 4, "dynamic": -1},
        "mask_effect": {"total": 1, "static": 0, "dynamic": 1},
        "training_effect": {"total": 0, "static": 0, "dynamic": 0},
    }
    assert {part: {name: int(n[0]) for name, n in rates.items()} for part, rates in found.parts.items()} == expected
    assert found.change("total") == 0.5 and found.change("dynamic") == 0.0
    assert found.change("total", "static_gain", reduction=None).tolist() == [3 / 8]


def network(norm=False, bias=True):
    torch.manual_seed(1)
    hidden = [nn.Conv2d(2, 5, 3, padding=1, bias=bias), *([nn.BatchNorm2d(5)] if norm else []), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Flatten(), nn.Linear(5 * 16, 12, bias=bias), nn.ReLU(), nn.Linear(12, 2))


def train(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = normal(40, 2, 4, 4, seed=3).float(), torch.arange(40) % 2
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("statistics", ["eval", "batch"])
@pytest.mark.parametrize("static", ["incoming", "reach", "constant"])
@pytest.mark.parametrize("sparsity", [0.3, 0.97])
def test_parts_add_up_exactly(statistics, static, sparsity):
    x = normal(30, 2, 4, 4, seed=2).float()
    net = network(norm=statistics == "batch")

    def prune_it(model):
        prune(model, Magnitude(), sparsity=sparsity)

    found = decompose(net, x.split(8), prune_it, train, static=static, statistics=statistics)
    entries = found.before.counts["entries"]
    for name in ("total", "static", "dynamic"):
        numbers = sum(found.parts[part][name] for part in PARTS)
        change = (found.after.rate(name) - found.before.rate(name)) * entries
        assert np.array_equal(numbers, np.rint(change)) and np.abs(change - numbers).max() < 1e-6
        pooled = found.after.rate(name, "pooled") - found.before.rate(name, "pooled")
        assert found.change(name) == pytest.approx(pooled, abs=1e-12)
    for rates in found.parts.values():
        assert np.array_equal(rates["total"], rates["static"] + rates["dynamic"])
    assert (found.parts["static_gain"]["total"] >= 0).all() and (found.parts["static_gain"]["dynamic"] <= 0).all()
    assert not found.parts["mask_effect"]["static"].any()


def test_static_gain_and_mask_effect_against_loops():
    torch.manual_seed(1)
    x, net = (
        normal(30, 8, seed=2).float(),
        nn.Sequential(nn.Linear(8, 20, False), nn.ReLU(), nn.Linear(20, 9), nn.ReLU()),
    )
    nn.init.constant_(net[2].bias, -1e-3)
    before = [t.detach() <= 0 for t in (net[:1](x), net[:3](x))]
    found = decompose(net, [x], lambda model: prune(model, Magnitude(), sparsity=0.9), nothing)
    after = [t.detach() <= 0 for t in (net[:1](x), net[:3](x))]
    rows = [net[0].weight.detach(), net[2].weight.detach()]
    for k, weight in enumerate(rows):
        gain = effect = 0
        for unit, row in enumerate(weight.tolist()):
            a, b = before[k][:, unit], after[k][:, unit]
            if not any(row):
                gain += int((~a).sum())
            else:
                effect += int(b.sum()) - int(a.sum())
        assert int(found.parts["static_gain"]["total"][k]) == gain
        assert int(found.parts["mask_effect"]["total"][k]) == effect
    assert (found.parts["static_gain"]["total"] > 0).all()
    assert not any(found.parts["training_effect"][name].any() for name in ("total", "static", "dynamic"))


def test_dead_rates_can_fall_by_book_keeping_alone():
    """All weights of half of the units go, the others stay: the dynamic rate falls, the total one rises."""
    net = nn.Sequential(nn.Linear(6, 10, bias=False), nn.ReLU())
    mask = torch.ones(10, 6, dtype=torch.bool)
    mask[5:] = False
    x = normal(50, 6).float()
    found = decompose(net, [torch.cat([x, -x])], Masks({"0.weight": mask}).apply, nothing)
    assert found.change("dynamic") == pytest.approx(-0.25) and found.change("total") == pytest.approx(0.25)
    assert (
        found.change("dynamic", "static_gain") == found.change("dynamic") and found.change("total", "mask_effect") == 0
    )


def test_round_trip_and_table():
    x, net = normal(30, 2, 4, 4, seed=2).float(), network()
    found = decompose(net, [x], lambda model: prune(model, sparsity=0.5), train)
    again = DeadNeuronChange.from_dict(found.to_dict())
    assert str(again) == str(found) and again.to_dict() == found.to_dict()
    assert "mask effect" in str(found) and "statistics: no batch normalisation" in str(found)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_data_that_differ_from_pass_to_pass():
    class Noise:
        def __init__(self):
            self.generator = torch.Generator().manual_seed(0)

        def __iter__(self):
            yield torch.randn(30, 2, 4, 4, generator=self.generator)

    net = network()
    with pytest.raises(ValueError, match=r"two passes .* differ, site '1/relu#1' had \d+ dead entries, then"):
        decompose(net, Noise(), lambda model: prune(model, sparsity=0.5), nothing)
    assert Masks.of(net).sparsity == 0
    with pytest.raises(ValueError, match=r"got no (batch|sample)"):
        decompose(net, iter([normal(30, 2, 4, 4).float()]), nothing, nothing)


def test_actions_that_change_the_form_of_the_model():
    def add(model):
        model.append(nn.ReLU())

    for name, actions in (("prune", (add, nothing)), ("train", (nothing, add))):
        with pytest.raises(ValueError, match=rf"decompose\({name}=...\)`: the sites or their sizes are others"):
            decompose(network(), [normal(30, 2, 4, 4).float()], *actions)


@pytest.mark.parametrize("wrong", [{"name": "silent"}, {"part": "masks"}, {"reduction": "mean_layer"}])
def test_unknown_names(wrong):
    found = decompose(network(), [normal(4, 2, 4, 4).float()], nothing, nothing)
    key, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=rf"change\({key}=...\)`: got {value!r}, expected one of"):
        found.change(**wrong)
