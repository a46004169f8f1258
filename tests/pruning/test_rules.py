"""Scores of the rules that look at weights and gradients: known values, slow loops, closed forms."""

import copy
import math

import numpy as np
import pytest
import torch
from fake_cuda import CUDA, _getitem
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.masks._masks import Masks, weights
from scatter_theory.pruning.rules._gradient import SNIP, Gradient
from scatter_theory.pruning.rules._gradients import gradients
from scatter_theory.pruning.rules._lookahead import Lookahead
from scatter_theory.pruning.rules._rule import RULES, Context
from scatter_theory.pruning.rules._synflow import SynFlow
from scatter_theory.pruning.rules._weights import LAMP, Magnitude, Movement, Random


def context(values, start=None, found=None, masks=None, seed=0, model=None):
    values = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()}
    masks = masks or Masks({name: torch.ones_like(value, dtype=torch.bool) for name, value in values.items()})
    return Context(model, values, masks, start, found, torch.Generator().manual_seed(seed))


def test_the_table_of_rules():
    assert {"Magnitude", "Gradient", "SNIP", "LAMP", "Lookahead", "SynFlow", "Movement", "Random"} <= set(RULES)
    assert RULES["Lookahead"] is Lookahead and RULES["SynFlow"] is SynFlow
    assert Magnitude() == Magnitude() and SynFlow((3,)) != SynFlow((3,), rounds=2)


# --- magnitude -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rho", "r"), [(0.5, 0.92867), (0.8, 0.64982), (0.9, 0.43929), (0.95, 0.27910), (0.99, 0.08449)]
)
def test_energy_left_of_gaussian_weights(rho, r):
    r"""1 - rho + 2 t phi(t) with t = Phi^-1((1 + rho)/2); at midpoints of equal probability in the place of samples."""
    n = 200_000
    p = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    w = torch.special.ndtri(p)
    layer = nn.Linear(n, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(w)
    masks = prune(layer, Magnitude(), sparsity=rho)
    left = weights(layer, ["weight"])["weight"]
    assert masks.alive == n - round(rho * n)
    assert float(left.square().sum() / w.square().sum()) == pytest.approx(r, abs=2e-4)


def test_magnitude_and_movement():
    end, start = torch.tensor([[0.6, -0.1], [-0.35, 0.0]]), torch.tensor([[0.5, -0.4], [-0.3, 0.0]])
    found = Magnitude().scores(context({"a": end}))["a"]
    assert found.dtype == torch.float64 and torch.equal(found, end.double().abs())
    found = Movement().scores(context({"a": end}, start={"a": start}))["a"]
    assert found.flatten().tolist() == pytest.approx([0.1, 0.3, 0.05, 0.0], abs=1e-7)


# --- LAMP ------------------------------------------------------------------------------------------------------------


def lamp(w):
    """The definition, entry by entry."""
    squares = np.square(w.ravel())
    scores = [x / sum(y for y in squares if y >= x) if x > 0 else 0.0 for x in squares]
    return np.array(scores).reshape(w.shape)


def test_lamp_at_known_values():
    scores = LAMP().scores(context({"a": [[1.0, -2.0, 3.0]], "b": [[0.0, 5.0], [0.0, -5.0]], "c": [[0.0]]}))
    assert scores["a"].tolist() == [[1 / 14, 4 / 13, 1.0]]
    assert scores["b"].tolist() == [[0.0, 0.5], [0.0, 0.5]]
    assert scores["c"].tolist() == [[0.0]]


@pytest.mark.parametrize("seed", range(4))
def test_lamp_against_its_definition(seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(7, 3, 2)).round(1 if seed % 2 else 6)  # one decimal makes ties and zeros
    found = LAMP().scores(context({"w": w}))["w"]
    assert found.numpy() == pytest.approx(lamp(w), rel=1e-13)
    assert float(found.max()) <= 1


def test_lamp_prunes_to_where_the_largest_scores_are():
    """A tensor that is small throughout keeps what magnitude would take; a factor on a tensor changes nothing."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 40), nn.Linear(40, 5))
    small = copy.deepcopy(model)
    with torch.no_grad():
        small[0].weight.mul_(2.0**-12)
    assert prune(copy.deepcopy(small), Magnitude(), sparsity=0.9).per_layer()["0.weight"][0] == 0
    assert prune(small, LAMP(), sparsity=0.9) == prune(model, LAMP(), sparsity=0.9)


# --- random ----------------------------------------------------------------------------------------------------------


def test_random_numbers_come_from_the_generator():
    state = torch.get_rng_state()
    ones = {"a": torch.ones(50, 40), "b": torch.ones(30)}
    first, again, other = (Random().scores(context(ones, seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(first["a"], again["a"]) and torch.equal(first["b"], again["b"])
    assert not torch.equal(first["a"], other["a"])
    assert torch.equal(torch.get_rng_state(), state)
    flat = first["a"].flatten()
    assert abs(float(flat.mean()) - 0.5) < 4 * math.sqrt(1 / 12 / 2000) and 0 <= float(flat.min())


# --- gradients -------------------------------------------------------------------------------------------------------


def squares(model, batch):
    x, y = batch
    return (model(x) - y).square().sum()


def data(seed=0, n=(5, 3, 2), size=4):
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(k, size, generator=generator), torch.randn(k, 2, generator=generator)) for k in n]


def test_gradient_of_least_squares():
    r"""d/dW sum |W x - y|^2 = 2 sum (W x - y) x^T over all batches; the pruned entries have score 0."""
    layer = nn.Linear(4, 2, bias=False)
    prune(layer, Random(), sparsity=0.25)
    batches = data()
    w = weights(layer, ["weight"])["weight"].numpy().astype(float)
    g = np.zeros_like(w)
    for x, y in batches:
        for a, b in zip(x.numpy().astype(float), y.numpy().astype(float), strict=True):
            g += 2 * np.outer(w @ a - b, a)
    found = gradients(layer, ["weight"], batches, squares)["weight"]
    alive = w != 0
    assert found.dtype == torch.float64
    assert found.numpy()[alive] == pytest.approx(g[alive], rel=1e-5) and (found.numpy()[~alive] == 0).all()
    scores = context({"weight": w}, found=lambda: {"weight": found}, masks=Masks.of(layer))
    assert Gradient().scores(scores)["weight"].numpy() == pytest.approx(np.abs(w * g), rel=1e-5, abs=1e-12)
    snip = SNIP().scores(scores)["weight"]
    assert float(snip.sum()) == pytest.approx(1, abs=1e-12)
    assert snip.numpy() == pytest.approx(np.abs(w * g) / np.abs(w * g).sum(), rel=1e-5)


def test_snip_is_normalised_over_all_tensors():
    found = {"a": torch.tensor([1.0, -2.0]), "b": torch.tensor([[3.0]])}
    scores = SNIP().scores(context({"a": [1.0, 1.0], "b": [[-1.0]]}, found=lambda: found))
    assert scores["a"].tolist() == pytest.approx([1 / 6, 2 / 6]) and scores["b"].tolist() == [[pytest.approx(0.5)]]
    dead = SNIP().scores(context({"a": [1.0, 1.0]}, found=lambda: {"a": torch.zeros(2)}))
    assert dead["a"].tolist() == [0, 0]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_gradients_leave_no_trace(training, fails):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2))
    model.train(training)
    model[2].train(not training)
    model[0].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes, state = [m.training for m in model.modules()], torch.get_rng_state()
    seen = []

    def loss(net, batch):
        seen.append([m.training for m in net])
        if fails and len(seen) == 2:
            raise RuntimeError("stop")
        return squares(net, batch)

    if fails:
        with pytest.raises(RuntimeError, match="stop"):
            gradients(model, ["0.weight", "4.weight"], data(), loss)
    else:
        found = gradients(model, ["0.weight", "4.weight"], data(), loss)
        assert all((g != 0).any() for g in found.values())
    assert seen[0] == [False, True, False, False, False]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes and torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())
    assert not model[0].weight.requires_grad and model[4].weight.requires_grad


def test_a_layer_that_is_not_used_has_gradient_0():
    model = nn.ModuleDict({"used": nn.Linear(4, 2), "spare": nn.Linear(4, 2)})
    found = gradients(model, ["used.weight", "spare.weight"], data(), lambda m, b: squares(m["used"], b))
    assert (found["spare.weight"] == 0).all() and (found["used.weight"] != 0).any()


@pytest.mark.parametrize(
    ("loss", "batches", "error", "message"),
    [
        (lambda m, b: m(b[0]), data(), TypeError, r"a tensor of shape \(5, 2\)"),
        (lambda m, b: 1.0, data(), TypeError, "gave float"),
        (lambda m, b: squares(m, b).detach(), data(), ValueError, "does not depend on any weight"),
        (squares, [], ValueError, "gave no batch"),
    ],
    ids=["not reduced", "number", "detached", "empty"],
)
def test_losses_that_cannot_be_used(loss, batches, error, message):
    layer = nn.Linear(4, 2)
    with pytest.raises(error, match=message):
        prune(layer, Gradient(), sparsity=0.5, data=batches, loss=loss)
    assert "weight" in layer._parameters


def test_gradient_prunes_the_weights_without_effect():
    """Inputs 0 and 3 are always 0."""
    batches = [(x * torch.tensor([0.0, 1.0, 1.0, 0.0]), y) for x, y in data()]
    layer = nn.Linear(4, 2)
    masks = prune(layer, Gradient(), sparsity=0.5, data=batches, loss=squares)
    assert masks["weight"].tolist() == [[False, True, True, False]] * 2


# --- a pretended GPU -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [Magnitude(), LAMP(), Movement(), Gradient(), SNIP()], ids=repr)
def test_scores_need_no_value_on_the_host(rule, monkeypatch):
    monkeypatch.setattr(FakeTensor, "__getitem__", _getitem)
    with FakeTensorMode():
        w = {name: torch.empty(shape, device=CUDA) for name, shape in (("a", (4, 3)), ("b", (2, 4, 3)))}
        masks = {name: torch.empty(x.shape, dtype=torch.bool, device=CUDA) for name, x in w.items()}
        found = rule.scores(Context(None, w, Masks(masks), w, lambda: w, torch.Generator()))
        assert {name: (x.device, x.shape, x.dtype) for name, x in found.items()} == {
            name: (CUDA, x.shape, torch.float64) for name, x in w.items()
        }
