"""Scores of the rules that look at several layers: lookahead and synaptic flow."""

import copy
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scatter_theory.bnn import models
from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.masks._masks import Masks, weights
from scatter_theory.pruning.masks._prunable import prunable
from scatter_theory.pruning.rules._lookahead import Lookahead
from scatter_theory.pruning.rules._neighbours import Source, traced_neighbours
from scatter_theory.pruning.rules._rule import Context
from scatter_theory.pruning.rules._synflow import SynFlow


def filled(model, *values):
    with torch.no_grad():
        for name, value in zip(prunable(model), values, strict=True):
            model.get_submodule(name.removesuffix(".weight")).weight.copy_(torch.tensor(value, dtype=torch.float64))
    return model


def scores(model, rule):
    names = list(prunable(model))
    present = Masks.of(model)
    return rule.scores(Context(model, weights(model, names), present, None, None, torch.Generator()))


# --- lookahead -------------------------------------------------------------------------------------------------------

TOY = [[3.0, 4.0], [0.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [2.0, 0.0]]


def linear_chain():
    layers = [nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2)]
    return filled(nn.Sequential(*layers), *TOY)


def test_lookahead_at_known_values():
    found = scores(linear_chain(), Lookahead())
    assert found["3.weight"].tolist() == [[125, 20], [900, 64]]
    # The first has no layer before it and the last none behind.
    assert found["0.weight"].tolist() == [[9 * 10, 16 * 10], [0, 20]]
    assert found["5.weight"].tolist() == [[5, 4 * 25], [20, 0]]


def test_lookahead_is_the_distortion_of_a_linear_network():
    """The square of the Frobenius norm of what the product of the matrices loses with the weight."""
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=shape) for shape in ((4, 3), (5, 4), (2, 5))]
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(5, 2)).double()
    filled(model, *[m.tolist() for m in matrices])
    found = scores(model, Lookahead())["1.weight"].numpy()
    for i, j in itertools.product(range(5), range(4)):
        lost = np.zeros((5, 4))
        lost[i, j] = matrices[1][i, j]
        assert found[i, j] == pytest.approx(np.square(matrices[2] @ lost @ matrices[0]).sum(), rel=1e-12)


class Mixed(nn.Module):
    """Groups, a transposed convolution, a residual sum, zero padding of channels, flattening."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.c = nn.Conv2d(6, 3, 1)
        self.d = nn.ConvTranspose2d(3, 4, 2)
        self.e = nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.a(x))
        x = F.max_pool2d(x, 2) + F.relu(self.b(x)).clamp(min=0)[:, :, ::2, ::2]
        x = self.c(F.pad(x, (0, 0, 0, 0, 1, 1)))
        return self.e(torch.flatten(F.adaptive_avg_pool2d(self.d(x), 2), 1))


def test_lookahead_through_all_kinds_of_layers():
    torch.manual_seed(0)
    model = Mixed()
    model(torch.zeros(1, 2, 8, 8))
    w = {name: np.square(x.numpy().astype(float)) for name, x in weights(model, prunable(model)).items()}
    a, b, c, d, e = w.values()
    found = {name: x.numpy() for name, x in scores(model, Lookahead()).items()}
    want = {name: np.zeros_like(x) for name, x in w.items()}
    for o, i in np.ndindex(4, 2):  # a feeds b in two groups, and c one channel further
        own_group = b[2 * (o // 2) : 2 * (o // 2) + 2, o % 2].sum()
        want["a.weight"][o, i] = a[o, i] * (own_group + c[:, o + 1].sum())
    for o, i in np.ndindex(4, 2):
        want["b.weight"][o, i] = b[o, i] * a[2 * (o // 2) + i].sum() * c[:, o + 1].sum()
    for o, i in np.ndindex(3, 6):  # channels 0 and 5 are padding
        made = a[i - 1].sum() + b[i - 1].sum() if 0 < i < 5 else 0
        want["c.weight"][o, i] = c[o, i] * made * d[o].sum()
    for i, o in np.ndindex(3, 4):  # a transposed convolution has its inputs first
        want["d.weight"][i, o] = d[i, o] * c[i].sum() * e[:, 4 * o : 4 * o + 4].sum()
    for o, i in np.ndindex(3, 16):
        want["e.weight"][o, i] = e[o, i] * d[:, i // 4].sum()
    for name in want:
        assert found[name] == pytest.approx(want[name], rel=1e-10), name


def test_neighbours_of_a_residual_network():
    """Shortcuts that drop pixels and pad channels: 8 zeros on both sides after the first, 8 + 16 after the second."""
    found = traced_neighbours(models.resnet20())
    assert found["conv1.weight"] == () and len(found) == 20
    assert found["layer2.0.conv2.weight"] == (Source("layer2.0.conv1.weight"),)
    assert set(found["layer2.1.conv1.weight"]) == {
        Source("layer2.0.conv2.weight"), Source("conv1.weight", 8, 8),
        *(Source(f"layer1.{k}.conv2.weight", 8, 8) for k in range(3)),
    }  # fmt: skip
    assert Source("conv1.weight", 24, 24, reshaped=True) in found["linear.weight"]
    assert len(found["linear.weight"]) == 10
    assert prune(models.resnet20(), Lookahead(), sparsity=0.9, scope="layer").sparsity == pytest.approx(0.9, abs=1e-5)


def test_masks_do_not_change_the_tracing():
    model = linear_chain()
    before = traced_neighbours(model)
    prune(model, sparsity=0.5)
    assert traced_neighbours(model) == before
    assert (scores(model, Lookahead())["0.weight"] == 0).sum() >= 2


def test_given_neighbours():
    model = linear_chain()
    chain = {"3.weight": ["0.weight"], "5.weight": ["3.weight"]}
    for name, x in scores(model, Lookahead(neighbours=chain)).items():
        assert torch.equal(x, scores(model, Lookahead())[name])
    alone = scores(model, Lookahead(neighbours={}))
    assert all(torch.equal(alone[name], w.double().square()) for name, w in weights(model, alone).items())
    for bad in ({"3.weight": "0.weight"}, {"9": ()}):
        with pytest.raises(ValueError, match=r"expected names of weights: 0\.weight"):
            prune(model, Lookahead(neighbours=bad), sparsity=0.5)


class Branches(nn.Module):
    def __init__(self, join):
        super().__init__()
        self.a, self.b, self.join = nn.Linear(3, 4), nn.Linear(4, 3), join

    def forward(self, x):
        return self.b(self.join(self.a(x)))


@pytest.mark.parametrize(
    ("join", "message"),
    [
        (lambda x: torch.cat([x[:, :2], x[:, 2:]], 1), "'cat' stands between"),
        (lambda x: x[:, [3, 2, 1, 0]], "'getitem' stands between"),
        (lambda x: x * x, "'mul' stands between"),
        (lambda x: F.pad(x.flatten(1), (1, 0))[:, 1:], "stands between"),
        (lambda x: x if x.sum() > 0 else -x, "torch.fx cannot trace"),
        (nn.GLU(), "'GLU' stands between"),
    ],
)
def test_networks_whose_neighbours_are_not_known(join, message):
    model = Branches(join)
    with pytest.raises(ValueError, match=message) as caught:
        prune(model, Lookahead(), sparsity=0.5)
    assert "Lookahead(neighbours=...)" in str(caught.value)
    assert "weight" in model.a._parameters
    assert prune(model, Lookahead(neighbours={"b.weight": ["a.weight"]}), sparsity=0.5).alive == 12


def test_channels_that_do_not_match():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(6, 3))
    with pytest.raises(ValueError, match=r"4 channels come from '0\.weight', but '1\.weight' has 6 inputs"):
        prune(model, Lookahead(), sparsity=0.5)


# --- synaptic flow ---------------------------------------------------------------------------------------------------


def test_flow_at_known_values():
    model = filled(nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2)), [[1.0, -2.0]], [[3.0], [-1.0]])
    found = scores(model, SynFlow((2,)))
    assert found["0.weight"].tolist() == [[4, 8]] and found["2.weight"].tolist() == [[9], [3]]


@pytest.mark.parametrize("training", [True, False])
def test_layer_sums_are_the_flow(training):
    """Whatever biases, batch normalisation and dropout do; R as the product of the matrices of moduli."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.5), nn.Linear(7, 4), nn.LeakyReLU(), nn.Linear(4, 3)
    )
    model.train(training)(torch.randn(9, 5))
    prune(model, sparsity=0.3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = scores(model, SynFlow((5,)))
    product = np.ones(5)
    for w in weights(model, prunable(model)).values():
        product = np.abs(w.numpy().astype(float)) @ product
    for score in found.values():
        assert float(score.sum()) == pytest.approx(product.sum(), rel=1e-12)
    masks = Masks.of(model)
    assert all((score[~masks[name]] == 0).all() for name, score in found.items())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(m.training is training for m in model.modules())


def synflow(matrices, sizes):
    """Transcription: in every round score the chain of matrices anew and keep the highest."""
    matrices = [np.abs(m) for m in matrices]
    for keep in sizes:
        flat = []
        for k, m in enumerate(matrices):
            into = np.ones(matrices[0].shape[1])
            for before in matrices[:k]:
                into = before @ into
            out = np.ones(matrices[-1].shape[0])
            for after in matrices[k + 1 :][::-1]:
                out = out @ after
            score = m * np.outer(out, into)
            flat += [(score[i], k, i) for i in np.ndindex(m.shape) if m[i] > 0]
        for _, k, i in sorted(flat)[: len(flat) - keep]:
            matrices[k][i] = 0
    return [m > 0 for m in matrices]


def test_flow_in_rounds():
    rng = np.random.default_rng(1)
    matrices = [rng.normal(size=shape) for shape in ((6, 5), (4, 6), (3, 4))]
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    filled(model, *[m.tolist() for m in matrices])
    masks = prune(model, SynFlow((5,), rounds=7), sparsity=0.8)
    alive = 66 - round(0.8 * 66)
    sizes = [round(66 * (alive / 66) ** (k / 7)) for k in range(1, 8)]
    assert masks.alive == sizes[-1] == 13
    for mask, want in zip(masks.values(), synflow(matrices, sizes), strict=True):
        assert (mask.numpy() == want).all()


def test_flow_does_not_empty_a_layer_that_still_conducts():
    """At 99 percent of a deep network one round empties layers; many rounds do not."""
    torch.manual_seed(0)
    layers = [nn.Linear(20, 20) for _ in range(6)]
    model = nn.Sequential(*itertools.chain.from_iterable((layer, nn.ReLU()) for layer in layers))
    with torch.no_grad():
        layers[2].weight.mul_(0.01)
    at_once = prune(copy.deepcopy(model), SynFlow((20,), rounds=1), sparsity=0.99)
    assert any(alive == 0 for alive, _ in at_once.per_layer().values())
    masks = prune(model, SynFlow((20,)), sparsity=0.99)
    assert all(alive > 0 for alive, _ in masks.per_layer().values())
    with torch.no_grad():
        flow = torch.ones(20, dtype=torch.float64)
        for w in weights(model, masks).values():
            flow = w.double().abs() @ flow
    assert float(flow.sum()) > 0


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)], r"f\(2x\) = 2 f\(x\) fails"),
        ([nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)], r"f\(2x\) = 2 f\(x\) fails"),
        ([nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)], r"f\(2x\) = 2 f\(x\) fails"),
        ([nn.Linear(3, 2), *[nn.Linear(2, 2) for _ in range(3)]], "the flow R is 0"),
    ],
    ids=["layer norm", "tanh", "gelu", "no path"],
)
def test_networks_without_a_flow(layers, message):
    torch.manual_seed(0)
    model = nn.Sequential(*layers)
    if "R is 0" in message:
        with torch.no_grad():
            layers[1].weight.zero_()
    with pytest.raises(ValueError, match=message):
        prune(model, SynFlow((3,)), sparsity=0.5)
    assert "weight" in layers[0]._parameters


def test_flow_beyond_the_range_of_numbers():
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(12)])
    filled(model, *[[[1e30, 1e30], [1e30, 1e30]]] * 12)
    with pytest.raises(ValueError, match="R is inf"):
        prune(model, SynFlow((2,)), sparsity=0.5)
    for bad in (0, 1.5, True):
        with pytest.raises(ValueError, match="rounds"):
            SynFlow((2,), rounds=bad)
    with pytest.raises(TypeError, match="gives a tuple"):
        prune(nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), SynFlow((2,)), sparsity=0.5)


def test_flow_that_prunes_everything():
    assert prune(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), SynFlow((3,)), sparsity=1.0).alive == 0
