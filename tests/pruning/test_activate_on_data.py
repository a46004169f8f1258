"""The selection that looks at the data, against loops; and its aware form behind batch normalisation."""

import numpy as np
import pytest
import torch
from torch import nn

from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.cycles._activate import ActivateWhilePruning
from scatter_theory.pruning.masks._masks import Masks, weights
from scatter_theory.pruning.rules._activate_on_data import ActivateOnData
from scatter_theory.pruning.rules._controls import RandomNegative
from scatter_theory.pruning.rules._gradients import gradients
from scatter_theory.pruning.rules._patches import patches
from scatter_theory.pruning.rules._rule import Context
from scatter_theory.pruning.rules._weights import Magnitude


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss(model, batch):
    return model(batch).square().sum()


def scores(net, rule, data):
    masks = Masks.of(net)
    generator = torch.Generator().manual_seed(0)
    found = gradients(net, masks, data, loss)
    context = Context(net, weights(net, masks), masks, None, lambda: found, generator)
    return rule.scores(context), found


def by_loops(w, b, h, after, slope):
    """Saliency over gain, unit by unit and weight by weight; `after` makes margins of linear outputs."""
    expected = np.full(w.shape, np.inf)
    for i, j in np.ndindex(*w.shape):
        a = h @ w[i] + b[i]
        now, without = after(a, i) > 0, after(a - w[i, j] * h[:, j], i) > 0
        gain = np.mean(without & ~now) - np.mean(now & ~without)
        if w[i, j] != 0 and gain > 0:
            expected[i, j] = abs(w[i, j] * slope[i, j]) / gain
    return expected


@pytest.mark.parametrize("statistics", ["eval", "batch"])
def test_scores_against_loops(statistics):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 2))
    net.double()[3](net[:3](normal(40, 6, seed=1) * 2))
    with torch.no_grad():
        net[3].weight.copy_(normal(7, seed=2))
        net[3].bias.copy_(normal(7, seed=3))
    x = normal(30, 6, seed=4)
    prune(net, Magnitude(), sparsity=0.2)
    got, slopes = scores(net, ActivateOnData([x], statistics, samples=64), [x])
    n = net[3]
    mean, deviation = n.running_mean.numpy(), np.sqrt(n.running_var.numpy() + n.eps)
    gamma, beta = n.weight.detach().numpy(), n.bias.detach().numpy()

    def normed(a, i):
        if statistics == "eval":
            return (a - mean[i]) / deviation[i] * gamma[i] + beta[i]
        return (a - a.mean()) / np.sqrt(a.var() + n.eps) * gamma[i] + beta[i]

    h = net[:2](x).detach().numpy()
    for name, layer, inputs, after in (
        ("0.weight", net[0], x.numpy(), lambda a, i: a),
        ("2.weight", net[2], h, normed),
    ):
        w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        expected = by_loops(w, b, inputs, after, slopes[name].numpy())
        assert np.isfinite(expected).sum() > 3
        assert got[name].numpy() == pytest.approx(expected, rel=1e-10)
    assert got["5.weight"].isinf().all()  # no activation behind it


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, dilation=(1, 2)), (2, 4, 9, 8)),
        (nn.Conv2d(3, 4, 3, padding=2, padding_mode="circular"), (2, 3, 5, 6)),
        (nn.Conv1d(3, 5, 4, padding="same", padding_mode="reflect"), (2, 3, 11)),
        (nn.Linear(3, 4), (2, 5, 3)),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "",
)
def test_patches_times_weights_are_the_outputs(layer, shape):
    layer, h = layer.double(), normal(*shape)
    rows, outputs = patches(layer, h), len(layer.weight)
    weight = layer.weight.reshape(rows.shape[1], outputs // rows.shape[1], -1)
    got = torch.einsum("rgj,goj->rgo", rows, weight).flatten(1) + layer.bias
    expected = layer(h) if isinstance(layer, nn.Linear) else layer(h).movedim(1, -1)
    assert torch.allclose(got, expected.reshape(-1, outputs), atol=1e-12)


def test_convolutions_by_taking_each_weight_out():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 4, 2, groups=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1)).double()
    x = normal(12, 2, 3, 3, seed=5).relu()
    got, slopes = scores(net, ActivateOnData([x], samples=1000), [x])
    before = float((net[0](x) > 0).double().mean())
    for k, w in enumerate(net[0].weight.detach().flatten().tolist()):
        trial = nn.Sequential(nn.Conv2d(2, 4, 2, groups=2, padding=1)).double()
        trial.load_state_dict(net[:1].state_dict())
        with torch.no_grad():
            trial[0].weight.flatten()[k] = 0
        gain = 4 * (float((trial(x) > 0).double().mean()) - before)  # one of four channels changes
        score = float(got["0.weight"].flatten()[k])
        expected = abs(w * float(slopes["0.weight"].flatten()[k])) / gain if gain > 0 else np.inf
        assert score == pytest.approx(expected, rel=1e-9)
        assert np.isinf(score) or w < 0


def test_samples_are_drawn_from_all_of_the_data():
    """With 50 of 4,000 rows the gain is a multiple of 1/50 near the true one, in one batch or in many."""
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU()).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -1.0]]))
    x = normal(4000, 2, seed=6).relu()
    x = x[x[:, 1].argsort()]  # the first batches alone would say 0
    true = float(((x[:, 0] - x[:, 1] <= 0) & (x[:, 0] > 0)).double().mean())
    for data in ([x], x.split(100)):
        got, slopes = scores(net, ActivateOnData(data, samples=50), [x])
        gain = abs(float(slopes["0.weight"][0, 1])) / float(got["0.weight"][0, 1])
        assert gain * 50 == pytest.approx(round(gain * 50), abs=1e-9)
        assert gain == pytest.approx(true, abs=4 * (true * (1 - true) / 50) ** 0.5)


def test_awareness_of_batch_norm():
    """Behind it, random negatives lower the rate for stale statistics only, the aware selection for those of the data.

    The effect is one of the shape of the distribution, hence of few inputs: it is gone with 40 of them.
    """
    changes = {}
    for fan_in in (6, 40):
        h = normal(3000, fan_in, seed=7).relu()
        for rule in (RandomNegative(), ActivateOnData([h], "eval", 1000), ActivateOnData([h], "batch", 3000)):
            changes[fan_in, repr(rule)] = np.mean([_behind_norm(rule, h, seed) for seed in (8, 9, 10)], axis=0)
    stale, fresh = changes[6, "RandomNegative()"]
    assert stale < -0.1 and fresh > 0.01
    assert changes[6, "ActivateOnData(statistics='eval', samples=1000)"][0] < -0.05
    assert changes[6, "ActivateOnData(statistics='eval', samples=1000)"][1] > -0.01
    assert changes[6, "ActivateOnData(statistics='batch', samples=3000)"][1] < -0.02
    assert abs(changes[40, "ActivateOnData(statistics='batch', samples=3000)"][1]) < 0.006


def _behind_norm(rule, h, seed):
    """Change of the dead rate, with the statistics from before and with those of the data, counted in numpy."""
    net = nn.Sequential(nn.Linear(h.shape[1], 30, bias=False), nn.BatchNorm1d(30, momentum=1.0), nn.ReLU()).double()
    with torch.no_grad():
        net[0].weight.copy_(normal(30, h.shape[1], seed=seed))
    net(h)
    mean = net[1].running_mean.numpy()

    def rates():
        a = h.numpy() @ net[0].weight.detach().numpy().T
        return np.array([np.mean(a <= mean), np.mean(a <= a.mean(0))])

    before = rates()
    prune(net, rule, share=0.2, data=[h], loss=loss)
    return rates() - before


def test_in_a_cycle_it_goes_on_after_a_break(tmp_path):
    x = normal(20, 6, seed=1)

    def run(store):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 1)).double()
        selection = ActivateOnData([x], samples=8)
        settings = {"selection": selection, "rate": 0.2, "share": 0.05, "data": [x], "loss": loss, "cycles": 4}
        return ActivateWhilePruning(net, Magnitude(), store=store, **settings)

    whole = run(None)
    assert [step.masks.alive for step in whole] == [210, 168, 134, 107]
    next(iter(run(tmp_path)))
    broken = run(tmp_path)
    steps = iter(broken)
    next(steps), next(steps), next(steps)
    rest = run(tmp_path)
    assert len(rest.history) == 2 and len(list(rest)) == 2
    assert Masks.of(rest.model).equal(Masks.of(whole.model))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statistics": "running"}, "statistics=.*got 'running', expected one of"),
        ({"samples": 1}, "samples=.*got 1, expected a whole number from 2"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ActivateOnData([], **arguments)


def test_no_data_and_no_loss():
    net = nn.Sequential(nn.Linear(6, 3), nn.ReLU()).double()
    with pytest.raises(ValueError, match="needs gradients"):
        prune(net, ActivateOnData([normal(4, 6)]), share=0.1)
    with pytest.raises(ValueError, match=r"ActivateOnData\(data=...\)`: got no batch"):
        prune(net, ActivateOnData([]), share=0.1, data=[normal(4, 6)], loss=loss)
