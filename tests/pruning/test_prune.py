"""How many weights are pruned, and which: exact numbers, ties, scopes, what is refused."""

import copy
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.masks._masks import Masks, originals, weights
from scatter_theory.pruning.masks._prunable import prunable
from scatter_theory.pruning.rules._budgets import apportion, erk, uniform
from scatter_theory.pruning.rules._gradient import SNIP, Gradient
from scatter_theory.pruning.rules._lowest import prune_scores
from scatter_theory.pruning.rules._rule import Rule
from scatter_theory.pruning.rules._weights import LAMP, Magnitude, Movement, Random


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4), nn.ReLU(), nn.Flatten(),
        nn.Linear(128, 10),
    )  # fmt: skip


SIZE = 216 + 144 + 1280


class Given(Rule):
    """Scores from a table."""

    def __init__(self, **scores):
        self.table = scores

    def scores(self, context):
        return {f"{name[1:]}.weight": torch.tensor(x, dtype=torch.float64) for name, x in self.table.items()}


def two():
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))


# --- the k lowest ----------------------------------------------------------------------------------------------------


def test_equal_scores_go_in_order():
    scores = {"0.weight": torch.tensor([[2.0, 1.0, 1.0], [1.0, 3.0, 0.0]]), "1.weight": torch.tensor([[1.0, 0.0]])}
    order = [("0.weight", 5), ("1.weight", 1), ("0.weight", 1), ("0.weight", 2), ("0.weight", 3), ("1.weight", 0)]
    for k in range(len(order) + 1):
        masks = prune_scores(two(), scores, k)
        gone = {(name, int(i)) for name, mask in masks.items() for i in (~mask.flatten()).nonzero()}
        assert gone == set(order[:k])
    # The order of the tensors is that of the scores.
    masks = prune_scores(two(), {name: scores[name] for name in ("1.weight", "0.weight")}, 1)
    assert masks["1.weight"].tolist() == [[True, False]] and masks["0.weight"].all()


@pytest.mark.parametrize("k", [0, 1, 500, 2000, 3999, 4000])
def test_exact_number_whatever_the_ties(k):
    layer = nn.Linear(40, 100)
    score = torch.randint(0, 5, (100, 40), generator=torch.Generator().manual_seed(0)).double()
    mask = prune_scores(layer, {"weight": score}, k)["weight"].numpy().ravel()
    order = sorted(range(4000), key=lambda i: (float(score.flatten()[i]), i))
    want = np.ones(4000, dtype=bool)
    want[order[:k]] = False
    assert (mask == want).all()


def test_those_pruned_before_do_not_count():
    model = two()
    scores = {"0.weight": torch.arange(6.0).view(2, 3), "1.weight": torch.tensor([[10.0, 11.0]])}
    assert prune_scores(model, scores, 2)["0.weight"].tolist() == [[False, False, True], [True, True, True]]
    scores["0.weight"][0, 0] = math.nan  # nobody looks at it any more
    assert prune_scores(model, scores, 2)["0.weight"].tolist() == [[False, False, False], [False, True, True]]
    assert prune_scores(model, {"1.weight": scores["1.weight"]}, 1)["1.weight"].tolist() == [[False, True]]
    assert Masks.of(model).alive == 3


def test_infinite_scores_are_never_taken():
    scores = {"0.weight": torch.tensor([[1.0, math.inf, 2.0], [math.inf, -math.inf, 0.0]])}
    model = two()
    with pytest.raises(ValueError, match=r"got 5, but only 4 weights of '0\.weight' are candidates"):
        prune_scores(model, scores, 5)
    assert "weight" in model[0]._parameters
    assert prune_scores(model, scores, 4)["0.weight"].tolist() == [[False, True, False], [True, False, False]]
    with pytest.raises(ValueError, match="only 0 weights"):
        prune(model, Given(_0=scores["0.weight"].tolist(), _1=[[math.inf] * 2]), sparsity=1.0)


def test_numbers_per_layer():
    scores = {"0.weight": torch.arange(6.0).view(2, 3), "1.weight": torch.tensor([[0.5, 0.1]])}
    masks = prune_scores(two(), scores, {"0.weight": 4, "1.weight": 1})
    assert masks["0.weight"].tolist() == [[False] * 3, [False, True, True]]
    assert masks["1.weight"].tolist() == [[True, False]]
    with pytest.raises(ValueError, match=r"only 2 weights of '1\.weight'"):
        prune_scores(two(), scores, {"0.weight": 1, "1.weight": 3})


@pytest.mark.parametrize(
    ("scores", "count", "error", "message"),
    [
        ({"0.weight": torch.full((2, 3), math.nan)}, 1, ValueError, r"NaN among the scores of '0\.weight'"),
        ({"0.weight": torch.zeros(3, 2)}, 1, ValueError, r"have shape \(3, 2\), expected that of the weight, \(2, 3\)"),
        ({"7.weight": torch.zeros(3)}, 1, ValueError, r"no weight '7\.weight'; it has 0\.weight, 1\.weight"),
        ({"0.weight": torch.zeros(2, 3)}, -1, ValueError, "at least 0"),
        ({"0.weight": torch.zeros(2, 3)}, 1.0, TypeError, "whole number"),
        ({"0.weight": torch.zeros(2, 3)}, True, TypeError, "whole number"),
        ({"0.weight": torch.zeros(2, 3)}, {"1.weight": 1}, ValueError, "one for each of"),
    ],
)
def test_scores_that_are_refused(scores, count, error, message):
    model = two()
    with pytest.raises(error, match=message):
        prune_scores(model, scores, count)
    assert list(model.state_dict()) == list(two().state_dict())


# --- sparsity and share ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
@pytest.mark.parametrize("rule", [Magnitude(), LAMP(), Random()], ids=repr)
def test_sparsity_is_exact_to_one_weight(scope, rule):
    model = net()
    gone = 0
    for sparsity in (0, 0.07, 0.1, 1 / 3, 0.5, 0.8, 0.9, 0.95, 0.99, 0.9999, 1):
        before = Masks.of(model)
        masks = prune(model, rule, sparsity=sparsity, scope=scope)
        assert masks.size - masks.alive == round(sparsity * SIZE) == gone + (before.alive - masks.alive)
        gone = round(sparsity * SIZE)
        assert Masks.of(model) == masks
        assert not any((masks[name] & ~before[name]).any() for name in masks)  # nothing comes back
    assert masks.alive == 0


@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
def test_shares_of_those_alive(scope):
    model, alive = net(), SIZE
    for _ in range(25):
        before = Masks.of(model)
        masks = prune(model, share=0.2, scope=scope)
        alive -= round(0.2 * alive)
        assert masks.alive == alive
        assert not any((masks[name] & ~before[name]).any() for name in masks)
    assert alive < 10


def test_pruning_to_what_is_pruned_already_changes_nothing():
    model = net()
    masks = prune(model, sparsity=0.5)
    assert prune(model, Random(), sparsity=0.5) == masks == prune(model, share=0)
    with pytest.raises(ValueError, match=r"0\.5 of the weights are pruned already"):
        prune(model, sparsity=0.4)
    assert Masks.of(model) == masks
    bare = net()
    assert prune(bare, sparsity=0).sparsity == 0 and "0.parametrizations.weight.0.mask" in bare.state_dict()


def test_skipped_weights_do_not_count():
    model = net()
    masks = prune(model, sparsity=0.5, skip=("first", "6"))
    assert masks.alive == 72 and list(masks) == ["3.weight"]
    assert "weight" in model[0]._parameters and "weight" in model[6]._parameters
    assert Masks.of(model).alive == SIZE - 72


def test_a_pruned_layer_can_be_skipped_later():
    model = net()
    first = prune(model, sparsity=0.5, skip=("3", "6"))
    rest = prune(model, sparsity=0.9, skip="first")
    assert Masks.of(model).equal(Masks({**first, **rest}))


def test_global_magnitude_is_that_of_torch():
    for sparsity in (0.1, 0.5, 0.93):
        ours, theirs = net(), net()
        masks = prune(ours, sparsity=sparsity)
        layers = [(layer, "weight") for layer in prunable(theirs).values()]
        torch_prune.global_unstructured(layers, torch_prune.L1Unstructured, amount=round(sparsity * SIZE))
        assert masks == Masks.of(theirs)
        layered = net()
        counts = {name: layer.weight.numel() // 3 for name, layer in prunable(layered).items()}
        magnitudes = {name: w.abs() for name, w in weights(layered, counts).items()}
        found = prune_scores(layered, magnitudes, counts)
        for name, layer in prunable(net()).items():
            torch_prune.l1_unstructured(layer, "weight", counts[name])
            assert torch.equal(found[name], layer.weight_mask.bool())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_narrow_types_have_many_ties(dtype):
    model = net().to(dtype)
    flat = np.concatenate([w.double().abs().numpy().ravel() for w in weights(model, prunable(model)).values()])
    assert dtype == torch.float64 or len(np.unique(flat)) < SIZE
    masks = prune(model, sparsity=0.6)
    want = np.ones(SIZE, dtype=bool)
    want[np.argsort(flat, kind="stable")[: round(0.6 * SIZE)]] = False
    assert (np.concatenate([m.numpy().ravel() for m in masks.values()]) == want).all()


def test_seeds():
    first, again, other = (prune(net(), Random(), sparsity=0.5, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    generator = torch.Generator().manual_seed(1)
    assert prune(net(), Random(), sparsity=0.5, seed=generator) == first


# --- scopes ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 40)), min_size=1, max_size=8),
    st.fractions(0, 1),
)
def test_apportioning(layers, part):
    quotas, caps = [q for q, _ in layers], [c for _, c in layers]
    total = math.floor(part * sum(caps))
    found = apportion(total, quotas, caps)
    assert sum(found) == total and all(0 <= n <= cap for n, cap in zip(found, caps, strict=True))
    # There is one factor: whoever is below the cap has its share to within one, whoever is at it would have as much.
    free = [k for k, n in enumerate(found) if n < caps[k]]
    for k in free:
        for other in range(len(found)):
            assert Fraction(found[k] + 1, quotas[k]) > Fraction(found[other] - 1, quotas[other])


def test_uniform_budgets():
    masks = Masks({name: torch.ones(n, dtype=torch.bool) for name, n in (("a", 10), ("b", 6), ("c", 4))})
    assert uniform(masks, 10, of_alive=False) == {"a": 5, "b": 3, "c": 2}
    assert uniform(masks, 13, of_alive=False) == {"a": 6, "b": 4, "c": 3}  # 6.5, 3.9, 2.6
    masks["a"][2:] = False
    assert uniform(masks, 10, of_alive=False) == {"a": 2, "b": 5, "c": 3}  # a keeps its 2; 8 * 0.6, 8 * 0.4
    assert uniform(masks, 6, of_alive=True) == {"a": 1, "b": 3, "c": 2}


def test_layer_scope_on_layers_of_one_scale_each():
    model = net()
    with torch.no_grad():
        model[0].weight.mul_(1e-6)
    assert prune(copy.deepcopy(model), sparsity=0.5).per_layer()["0.weight"][0] == 0
    assert prune(model, sparsity=0.5, scope="layer").per_layer() == {
        "0.weight": (108, 216), "3.weight": (72, 144), "6.weight": (640, 1280),
    }  # fmt: skip


def densities(shapes, density):
    """Transcription of the usual search: layers whose density would exceed 1 become dense, one after the other."""
    dense = set()
    while True:
        divisor, right = 0.0, 0.0
        raw = {}
        for name, shape in shapes.items():
            n = math.prod(shape)
            if name in dense:
                right -= n * (1 - density)
            else:
                right += n * density
                raw[name] = sum(shape) / n
                divisor += raw[name] * n
        epsilon = right / divisor
        worst = max(raw, key=raw.get)
        if raw[worst] * epsilon <= 1:
            return {name: 1.0 if name in dense else epsilon * raw[name] for name in shapes}
        dense.add(worst)


@pytest.mark.parametrize("density", [0.05, 0.2, 0.5, 0.8])
def test_erk_budgets(density):
    shapes = {"a": (16, 3, 3, 3), "b": (32, 16, 3, 3), "c": (64, 32, 3, 3), "d": (10, 64)}
    masks = Masks({name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()})
    total = round(density * masks.size)
    found, want = erk(masks, total), densities(shapes, density)
    assert sum(found.values()) == total
    for name, shape in shapes.items():
        assert abs(found[name] - want[name] * math.prod(shape)) < 1.5
    assert (want["a"] == 1) == (found["a"] == masks["a"].numel())
    assert density > 0.2 or want["a"] < 1 or want["d"] == 1


def test_erk_scope():
    model = net()
    masks = prune(model, sparsity=0.8, scope="erk")
    total = SIZE - round(0.8 * SIZE)
    quotas = {"0.weight": 8 + 3 + 3 + 3, "3.weight": 8 + 2 + 3 + 3, "6.weight": 138}
    for name, (alive, _) in masks.per_layer().items():
        assert abs(alive - total * quotas[name] / sum(quotas.values())) < 1


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "got neither"),
        ({"sparsity": 0.5, "share": 0.5}, ValueError, "exactly one of them"),
        ({"sparsity": 1.2}, ValueError, r"`prune\(sparsity=...\)`: got 1.2, expected a number in \[0, 1\]"),
        ({"share": -0.1}, ValueError, "got -0.1"),
        ({"sparsity": math.nan}, ValueError, "got nan"),
        ({"sparsity": "0.5"}, TypeError, "got '0.5'"),
        ({"sparsity": True}, TypeError, "got True"),
        ({"sparsity": 0.5, "scope": "local"}, ValueError, "got 'local'"),
        ({"sparsity": 0.5, "rule": Magnitude}, TypeError, r"Did you mean `Magnitude\(\)`"),
        ({"sparsity": 0.5, "rule": "magnitude"}, TypeError, "expected a pruning rule"),
        ({"sparsity": 0.5, "seed": "x"}, TypeError, "generator"),
        ({"sparsity": 0.5, "rule": Movement()}, ValueError, "needs the weights at the start"),
        ({"sparsity": 0.5, "rule": Movement(), "start": {}}, ValueError, r"got nothing for '0\.weight'"),
        (
            {"sparsity": 0.5, "rule": Movement(), "start": {"0.weight": torch.zeros(3)}},
            ValueError,
            r"got shape \(3,\) for '0\.weight', expected a tensor of shape \(2, 3\)",
        ),
        ({"sparsity": 0.5, "rule": Gradient()}, ValueError, "pass data and loss"),
        ({"sparsity": 0.5, "rule": SNIP(), "data": []}, ValueError, "pass loss"),
        ({"sparsity": 0.5, "rule": Given(_0=[[1.0]], _1=[[1.0, 2.0]])}, ValueError, "gave the shapes"),
        ({"sparsity": 0.5, "rule": Given(_0=[[math.nan] * 3] * 2, _1=[[1.0, 2.0]])}, ValueError, "NaN among"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_refused(options, error, message):
    model = two()
    with pytest.raises(error, match=message):
        prune(model, **options)
    assert list(model.state_dict()) == list(two().state_dict())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("rule", [Magnitude(), Random()], ids=repr)
def test_weights_that_are_not_finite(bad, rule):
    model = two()
    with torch.no_grad():
        model[1].weight[0, 1] = bad
    with pytest.raises(ValueError, match=r"'1\.weight' has entries that are NaN or infinite"):
        prune(model, rule, sparsity=0.5)
    assert prune(model, rule, sparsity=0.5, skip="last").alive == 3


def test_not_finite_where_it_is_pruned_is_no_matter():
    model = two()
    masks = prune(model, sparsity=0.5)
    with torch.no_grad():
        for name, parameter in originals(model, masks).items():
            parameter[~masks[name]] = math.nan
    assert prune(model, sparsity=0.75).alive == 2


def test_a_rule_of_ones_own():
    """Negative weights only; too few of them is an error that says so."""

    class Negative(Rule):
        def scores(self, context):
            return {name: torch.where(w < 0, w.double().abs(), math.inf) for name, w in context.weights.items()}

    model = two()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]]))
        model[1].weight.copy_(torch.tensor([[7.0, -0.5]]))
    masks = prune(model, Negative(), sparsity=0.25)
    assert masks["0.weight"].tolist() == [[True, False, True], [True] * 3]
    assert masks["1.weight"].tolist() == [[True, False]]
    with pytest.raises(ValueError, match="got 3, but only 2 weights"):
        prune(model, Negative(), share=0.5)
    assert Masks.of(model) == masks


def test_an_error_in_a_later_round_leaves_no_trace():
    class Tires(Magnitude):
        rounds = 3

        def scores(self, context):
            seen.append(context.masks.alive)
            assert context.masks == Masks.of(context.model)
            if len(seen) == stop:
                raise RuntimeError("enough")
            return super().scores(context)

    model, seen, stop = net(), [], 3
    keys = list(model.state_dict())
    with pytest.raises(RuntimeError, match="enough"):
        prune(model, Tires(), sparsity=0.875)
    assert seen == [1640, 820, 410] and list(model.state_dict()) == keys
    stop = None
    assert prune(model, Tires(), sparsity=0.875) == prune(net(), sparsity=0.875)
