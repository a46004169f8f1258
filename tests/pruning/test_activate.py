"""Selections that wake units: the toy values, exact counts, what pruning negative weights does and does not do."""

import numpy as np
import pytest
import torch
from fake_cuda import CUDA
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from scatter_theory.pruning._batch_norm import set_dead_rate
from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.masks._masks import Masks, weights
from scatter_theory.pruning.rules._activate import Activate
from scatter_theory.pruning.rules._controls import MostNegative, RandomNegative
from scatter_theory.pruning.rules._lowest import prune_scores
from scatter_theory.pruning.rules._rule import Context
from scatter_theory.pruning.rules._weights import Movement

SELECTIONS = [Activate(), RandomNegative(), Movement(), MostNegative()]
START, END = [0.5, -0.4, -0.3, 0.2, -0.1], [0.6, -0.1, -0.35, 0.1, -0.5]


def linear(*rows, start=None):
    """A linear layer without bias with the given weights, and the mapping of the start."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows, dtype=torch.float64))
    given = {"weight": torch.tensor(rows if start is None else start, dtype=torch.float64)}
    return layer, given


def removed(layer, masks):
    return sorted((~masks["weight"]).flatten().nonzero().flatten().tolist())


# --- the toy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "order"),
    [(Activate(), [2, 1, 4]), (Movement(), [2, 0, 3, 1, 4]), (MostNegative(), [4, 2, 1])],
    ids=repr,
)
def test_order_of_removal(rule, order):
    for k in range(len(order) + 1):
        layer, start = linear(END, start=[START])
        assert removed(layer, prune(layer, rule, sparsity=k / 5, start=start)) == sorted(order[:k])


def test_random_negative_takes_each_negative_equally_often():
    counts = np.zeros(5)
    for seed in range(600):
        layer, _ = linear(END)
        counts[removed(layer, prune(layer, RandomNegative(), sparsity=0.2, seed=seed))] += 1
    assert counts[[0, 3]].sum() == 0
    assert np.abs(counts[[1, 2, 4]] - 200).max() < 4 * np.sqrt(600 * (1 / 3) * (2 / 3))


def test_random_negative_is_the_same_for_the_same_seed():
    layers = [linear(*torch.randn(4, 50, generator=torch.Generator().manual_seed(1)).tolist())[0] for _ in range(3)]
    a, b, c = (prune(layer, RandomNegative(), sparsity=0.1, seed=s) for layer, s in zip(layers, (3, 3, 4), strict=True))
    assert a.equal(b) and not a.equal(c)


@pytest.mark.parametrize("rule", [Activate(), RandomNegative(), MostNegative()], ids=repr)
def test_more_than_the_negatives_is_an_error_and_changes_nothing(rule):
    layer, start = linear(END, start=[START])
    with pytest.raises(ValueError, match="only 3 "):
        prune(layer, rule, sparsity=0.8, start=start)
    assert torch.equal(layer.weight, torch.tensor([END], dtype=torch.float64)) and Masks.of(layer).alive == 5


def test_weights_that_are_pruned_or_zero_are_no_candidates():
    layer, start = linear([-1.0, -2.0, 0.0, 3.0], start=[[-1.0, -2.0, 0.0, 3.0]])
    prune_scores(layer, {"weight": torch.tensor([[0.0, 1.0, 1.0, 1.0]])}, 1)
    assert removed(layer, prune(layer, Activate(), sparsity=0.5, start=start)) == [0, 1]
    with pytest.raises(ValueError, match="only 0 "):
        prune(layer, Activate(), sparsity=0.75, start=start)


def exactly(k, removes):
    """Check that a way to select removes k weights, on weights of which many have moved equally far."""
    start = torch.zeros(40, dtype=torch.float64)
    end = torch.tensor([-0.5, -0.25, 0.125, -0.25] * 10, dtype=torch.float64)
    assert removes(start, end, k) == k


def test_exactly_k_are_removed():
    def ours(start, end, k):
        layer, given = linear(end.tolist(), start=[start.tolist()])
        return prune(layer, Activate(), sparsity=k / 40, start=given).size - Masks.of(layer).alive

    def threshold(start, end, k):
        movement = (end - start).abs()[end < 0]
        return int((movement <= movement.sort().values[k]).sum())

    for k in (0, 1, 7, 20, 29):
        exactly(k, ours)
        with pytest.raises(AssertionError):
            exactly(k, threshold)


def test_movement_is_pooled_over_layers():
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[-1.0, -2.0]]))
        net[1].weight.copy_(torch.tensor([[-3.0], [-4.0]]))
    start = {"0.weight": torch.tensor([[-1.1, -2.4]]), "1.weight": torch.tensor([[-3.2], [-4.3]])}
    got = prune(net, Activate(), sparsity=0.75, start=start)
    assert got["0.weight"].tolist() == [[False, True]] and got["1.weight"].tolist() == [[False], [False]]


@pytest.mark.parametrize("rule", SELECTIONS, ids=repr)
def test_scores_are_float64_on_the_negative_weights_only(rule):
    layer, start = linear(END, start=[START])
    masks = Masks.of(layer)
    generator = torch.Generator().manual_seed(0)
    context = Context(layer, weights(layer, masks), masks, start, None, generator)
    score = rule.scores(context)["weight"]
    assert score.dtype == torch.float64 and score.shape == (1, 5)
    finite = [True] * 5 if rule == Movement() else [False, True, True, False, True]
    assert score.isfinite().flatten().tolist() == finite


# --- what taking negative weights out does ---------------------------------------------------------------------------


def dead(layer, x):
    return layer(x).detach() <= 0


def wakes(rule, x, seed):
    """Check that no unit dies from half of the negative weights going, for any input."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(6, x.shape[1], generator=generator, dtype=torch.float64)
    layer, start = linear(*rows.tolist(), start=torch.zeros_like(rows).tolist())
    before = dead(layer, x)
    prune(layer, rule, share=int((rows < 0).sum()) // 2 / rows.numel(), start=start)
    assert not (dead(layer, x) & ~before).any()


@pytest.mark.parametrize("rule", [Activate(), RandomNegative(), MostNegative()], ids=repr)
@given(seed=st.integers(0, 2**20))
def test_dead_sets_shrink_where_inputs_are_not_negative(rule, seed):
    x = torch.randn(40, 9, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    wakes(rule, x.relu(), seed)


def test_dead_sets_may_grow_otherwise():
    x = torch.randn(40, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(AssertionError):
        wakes(RandomNegative(), x, 0)
    with pytest.raises(AssertionError):
        wakes(Movement(), x.relu(), 0)


def test_the_next_layer_can_die_of_it():
    """x = (1, 1), W1 = [[1, -2], [1, 0]], W2 = [-2, 1]: without the -2 the output falls from 1 to -1."""
    first, _ = linear([1.0, -2.0], [1.0, 0.0])
    second, _ = linear([-2.0, 1.0])
    net, x = nn.Sequential(first, nn.ReLU(), second, nn.ReLU()), torch.ones(1, 2, dtype=torch.float64)
    assert net[:3](x).item() == 1.0
    masks = prune(net, MostNegative(), share=0.25, skip="last")
    assert masks["0.weight"].tolist() == [[True, False], [True, True]]
    assert net[:2](x).tolist() == [[1.0, 1.0]] and net[:3](x).item() == -1.0 and net(x).item() == 0.0


# --- batch normalisation ---------------------------------------------------------------------------------------------


def test_batch_norm_takes_the_gain_back():
    """Without it the dead rate falls, with the statistics of the batch it does not, with stale ones it seems to."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(2000, 64, generator=generator, dtype=torch.float64).relu()
    rows = torch.randn(50, 64, generator=generator, dtype=torch.float64) / 8
    layer, start = linear(*rows.tolist())
    norm = nn.BatchNorm1d(50, momentum=1.0, dtype=torch.float64)
    norm(layer(h))  # the running statistics become those of the data
    count = int((rows < 0).sum()) // 2

    def rates():
        with torch.no_grad():
            z = layer(h)
            plain, stale = (z <= 0), (norm.eval()(z) <= 0)
            fresh = nn.BatchNorm1d(50, dtype=torch.float64)(z) <= 0
        return [float(x.double().mean()) for x in (plain, fresh, stale)]

    def by_hand(w, mean, deviation):
        z = h.numpy() @ w.T
        own = (z - z.mean(0)) / z.std(0)
        return [np.mean(z <= 0), np.mean(own <= 0), np.mean((z - mean) / deviation <= 0)]

    z0 = h.numpy() @ rows.numpy().T
    before = rates()
    assert before == pytest.approx(by_hand(rows.numpy(), z0.mean(0), z0.std(0)), abs=1e-3)
    masks = prune(layer, RandomNegative(), share=count / rows.numel(), start=start)
    after = rates()
    assert after == pytest.approx(by_hand(rows.numpy() * masks["weight"].numpy(), z0.mean(0), z0.std(0)), abs=1e-3)
    assert after[0] < before[0] - 0.25
    assert abs(after[1] - before[1]) < 0.02 and abs(after[1] - 0.5) < 0.02
    assert after[2] < before[2] - 0.25


@pytest.mark.parametrize(
    ("scale", "target", "shift"), [(1.0, 0.69146246, -0.5), (2.0, 0.40129367, 0.5), (-2.0, 0.40129367, 0.5)]
)
def test_shift_for_a_dead_rate(scale, target, shift):
    """The inverse of Phi(-beta / |gamma|), at the values of a table of the normal distribution."""
    norm = nn.BatchNorm1d(3, dtype=torch.float64)
    nn.init.constant_(norm.weight, scale)
    assert set_dead_rate(nn.Sequential(norm), target) == ("0",)
    assert norm.bias.tolist() == pytest.approx([shift] * 3, abs=1e-7)


@pytest.mark.parametrize("target", [0.05, 0.5, 0.9])
def test_the_rate_is_reached_on_gaussian_channels(target):
    z = torch.randn(20000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1
    norm = nn.BatchNorm1d(4, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5, -0.1]))
    set_dead_rate(norm, target, layers="")
    rates = (norm(z) <= 0).double().mean(0)
    assert (rates - target).abs().max() < 4 * (target * (1 - target) / 20000) ** 0.5


def test_only_the_named_batch_norms_are_set():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Sequential(nn.BatchNorm1d(2)))
    assert set_dead_rate(net, 0.9, layers=["3.*"]) == ("3.0",)
    assert net[1].bias.tolist() == [0, 0] and (net[3][0].bias < -1).all()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"target": 1.0}, r"target=.*got 1.0, expected a number in \(0, 1\)"),
        ({}, {"target": "half"}, "target=.*got 'half'"),
        ({}, {"target": 0.5, "layers": "x*"}, "layers=.*'x\\*' fits no batch normalisation"),
        ({"affine": False}, {"target": 0.5}, "has no scale and shift"),
        ({"zero": True}, {"target": 0.9}, "scale of '0' has entries that are 0"),
    ],
)
def test_shifts_that_cannot_be_set(change, arguments, message):
    net = nn.Sequential(nn.BatchNorm1d(2, affine=change.get("affine", True)))
    if "zero" in change:
        nn.init.zeros_(net[0].weight)
    with pytest.raises(ValueError, match=message):
        set_dead_rate(net, **arguments)
    assert net[0].bias is None or net[0].bias.tolist() == [0, 0]


# --- a pretended GPU -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [Activate(), Movement(), MostNegative()], ids=repr)
def test_scores_need_no_value_on_the_host(rule):
    with FakeTensorMode():
        w = {"a": torch.empty(4, 3, device=CUDA), "b": torch.empty(2, 4, 3, device=CUDA)}
        masks = Masks({name: torch.empty(x.shape, dtype=torch.bool, device=CUDA) for name, x in w.items()})
        found = rule.scores(Context(None, w, masks, w, None, torch.Generator()))
        assert all(found[name].device == CUDA and found[name].shape == x.shape for name, x in w.items())
        assert all(score.dtype == torch.float64 for score in found.values())
