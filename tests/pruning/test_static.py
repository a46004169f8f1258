"""Static units: small cases by hand, probabilities of random masks, and boolean propagation."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from scatter_theory.pruning import dead_neurons
from scatter_theory.pruning.dead._static import ReadPaths, ones, paths


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(weight, bias=None):
    weight = torch.as_tensor(weight, dtype=torch.float32)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = torch.as_tensor(bias)
    return layer


def reading(model, x, rule="reach", mixes_batch=False):
    """The output of a model in which paths are read, as nested lists of bools."""
    with torch.no_grad(), ReadPaths(rule, mixes_batch):
        return paths(model(ones(x))).tolist()


def static(model, x, site, **options):
    return dead_neurons(model, [x], units=True, **options).units[site]["static"]


# --- small cases -----------------------------------------------------------------------------------------------------


def test_incoming_and_reach():
    m1, m2 = [[1, 0], [0, 0], [0, 1]], [[0, 1, 0], [1, 0, 1]]
    model = nn.Sequential(linear(m1), nn.ReLU(), linear(m2), nn.ReLU())
    x = normal(20, 2)
    for rule, second in (("incoming", [False, False]), ("reach", [True, False])):
        found = dead_neurons(model, [x], static=rule, units=True)
        assert found.units["1/relu#1"]["static"].tolist() == [False, True, False]
        assert found.units["3/relu#1"]["static"].tolist() == second
    # Measured, the second unit behind the static one is constant too.
    assert static(model, x, "3/relu#1", static="constant").tolist() == [True, False]


@pytest.mark.parametrize("statistics", ["eval", "batch"])
def test_a_static_unit_may_be_on(statistics):
    norm = nn.BatchNorm1d(2)
    norm.bias.data.fill_(0.3)
    model = nn.Sequential(linear([[0, 0], [1, -1]]), norm, nn.ReLU())
    x = normal(50, 2)
    found = dead_neurons(model, [x], statistics=statistics, units=True)
    assert found.units["2/relu#1"]["static"].tolist() == [True, False]
    assert found.rate("static")[0] == 0 and found.rate("static_on")[0] == 0.5 and found.rate("always_on")[0] == 0.5
    model[1].training = statistics == "batch"
    assert model.train(statistics == "batch")(x)[:, 0].tolist() == pytest.approx([0.3] * 50)


@pytest.mark.parametrize("bias", [-1.0, 0.0, 0.5])
def test_a_bias_decides_what_a_static_unit_gives(bias):
    found = dead_neurons(nn.Sequential(linear([[0.0]], [bias]), nn.ReLU()), [normal(9, 1)])
    assert (found.rate("static")[0], found.rate("static_on")[0]) == (float(bias <= 0), float(bias > 0))
    assert found.rate("total")[0] == float(bias <= 0)


def test_four_classes_add_to_the_units():
    model = nn.Sequential(linear([[0, 0], [0, 0], [1, 0], [1, 0]], [1.0, -1.0, -99.0, 0.0]), nn.ReLU())
    found = dead_neurons(model, [normal(50, 2)])
    counts = {name: int(found.counts[name][0]) for name in ("static_on", "static_zero", "dynamic_dead", "live")}
    assert counts == {"static_on": 1, "static_zero": 1, "dynamic_dead": 1, "live": 1}
    assert found.counts["dead_on_data"][0] == 2 and found.sizes[0] == 4


def test_a_residual_sum_is_static_only_if_both_branches_are():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.branch = linear(np.diag([1, 0, 1, 0])), linear(np.diag([1, 1, 0, 0]))

        def forward(self, x):
            x = F.relu(self.stem(x))
            y = self.branch(x)
            y += x
            return F.relu(y)

    # incoming: the stem feeds 0 and 2, the branch 0 and 1. reach: of the branch, 1 hangs on what the stem has cut.
    for rule, want in (("incoming", [False, False, False, True]), ("reach", [False, True, False, True])):
        assert static(Block(), normal(30, 4), "/relu#2", static=rule).tolist() == want


def test_padding_makes_units_static_that_share_a_channel_with_others():
    """A kernel whose only weight looks one row up sees nothing but padding in the first row."""
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    conv.weight.data.zero_()[0, 0, 0, 1] = 1.0
    model, x = nn.Sequential(conv, nn.ReLU()), normal(6, 1, 4, 5)
    want = torch.zeros(1, 4, 5, dtype=torch.bool)
    want[:, 0] = True
    assert torch.equal(torch.from_numpy(static(model, x, "1/relu#1")), want)
    # Statistics of the batch tie the units of a channel together.
    model.insert(1, nn.BatchNorm2d(1))
    assert torch.equal(torch.from_numpy(static(model, x, "2/relu#1")), want)
    assert not static(model, x, "2/relu#1", statistics="batch").any()


# --- how weights are masked ------------------------------------------------------------------------------------------


class Keep(nn.Module):
    """A mask as a parametrization."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, w):
        return torch.where(self.mask, w, 0)


@pytest.mark.parametrize("how", ["zeros", "parametrization", "torch prune"])
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_masks_in_all_forms(how, kind):
    layer = nn.Linear(3, 4) if kind == "linear" else nn.Conv1d(3, 4, 2)
    torch.manual_seed(0)
    nn.init.normal_(layer.weight), nn.init.constant_(layer.bias, -0.1)
    mask = torch.ones_like(layer.weight, dtype=torch.bool)
    mask[1], mask[3], mask[0, 1:] = False, False, False
    if how == "zeros":
        layer.weight.data[~mask] = 0
    elif how == "parametrization":
        parametrize.register_parametrization(layer, "weight", Keep(mask))
    else:
        torch_prune.custom_from_mask(layer, "weight", mask.float())
    x = normal(20, 3) if kind == "linear" else normal(20, 3, 6)
    found = dead_neurons(nn.Sequential(layer, nn.ReLU()), [x], units=True)
    flags = found.units["1/relu#1"]["static"].reshape(4, -1)
    assert flags.all(1).tolist() == flags.any(1).tolist() == [False, True, False, True]
    assert found.rate("static")[0] == 0.5


# --- random masks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "rho", "want"), [(2, 0.5, (0.25, 0.375, 0.625)), (9, 0.9, (0.38742, 0.30629, 0.69371))])
def test_independently_masked_weights(n, rho, want):
    """Static rho^n, dynamic (1 - rho^n) / 2, total (1 + rho^n) / 2, with inputs of both signs."""
    static = rho**n
    assert (static, (1 - static) / 2, (1 + static) / 2) == pytest.approx(want, abs=5e-6)
    units = 20_000
    mask = torch.rand(units, n, generator=torch.Generator().manual_seed(1)) >= rho
    model = nn.Sequential(linear(normal(units, n, seed=2) * mask), nn.ReLU())
    x = normal(16, n, seed=3)
    found = dead_neurons(model, [x, -x])
    deviation = 4 * math.sqrt(static * (1 - static) / units)
    assert found.rate("static")[0] == pytest.approx(static, abs=deviation)
    assert found.counts["static_zero"][0] == int((~mask).all(1).sum())
    # With x and -x the rest is exact: each unit that is not static is dead on half of the samples.
    assert found.rate("dynamic")[0] == (1 - found.rate("static")[0]) / 2


def test_exactly_so_many_masked_weights():
    """All 70 ways of masking 4 of 8 weights, 4 units of fan-in 2: a unit is static in 3 of 14."""
    total = 0
    for chosen in itertools.combinations(range(8), 4):
        weight = torch.ones(8)
        weight[list(chosen)] = 0
        total += int(static(nn.Sequential(linear(weight.reshape(4, 2)), nn.ReLU()), normal(2, 2), "1/relu#1").sum())
    assert total / (70 * 4) == 3 / 14 == math.comb(6, 2) / math.comb(8, 4)


@pytest.mark.parametrize("seed", range(4))
def test_reach_is_boolean_propagation(seed):
    """Three masked layers with biases, and the identity of the three rates in whole numbers."""
    masks = [torch.rand(9, 9, generator=torch.Generator().manual_seed(10 * seed + k)) < 0.15 for k in range(3)]
    layers = [linear(normal(9, 9, seed=k) * mask, normal(9, seed=50 + k)) for k, mask in enumerate(masks)]
    model = nn.Sequential(*itertools.chain.from_iterable((layer, nn.ReLU()) for layer in layers))
    x = normal(40, 9)
    reach, incoming = (dead_neurons(model, [x], static=rule, units=True) for rule in ("reach", "incoming"))
    there = np.ones(9, dtype=bool)
    for k, (site, mask) in enumerate(zip(reach.sites, masks, strict=True)):
        there = np.array([any(m and t for m, t in zip(row, there, strict=True)) for row in mask.tolist()])
        assert reach.units[site]["static"].tolist() == (~there).tolist()
        assert incoming.units[site]["static"].tolist() == [not any(row) for row in mask.tolist()]
        for found in (reach, incoming):
            c = {name: int(values[k]) for name, values in found.counts.items()}
            dynamic = sum(
                1 for j, u in enumerate(found.units[site]["static"]) if not (u and found.units[site]["dead_on_data"][j])
                for z in outputs(model, x, k)[:, j] if z == 0
            )  # fmt: skip
            assert c["dead"] == dynamic + 40 * c["static_zero"]
            assert found.rate("dynamic")[k] == dynamic / 360
            assert c["static_zero"] + c["static_on"] + c["dynamic_dead"] + c["live"] == 9


def outputs(model, x, k):
    with torch.no_grad():
        return model[: 2 * k + 2](x).tolist() and np.array(model[: 2 * k + 2](x).tolist())


# --- functions between layers and sites ------------------------------------------------------------------------------

HALF = linear([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
X = torch.ones(2, 3)
SAME = [[True, False, True, False]] * 2
ALL = [[True] * 4] * 2
FUNCTIONS = {
    "relu6": (F.relu6, SAME),
    "sigmoid": (torch.sigmoid, SAME),
    "gelu": (F.gelu, SAME),
    "negation": (lambda x: -x, SAME),
    "bias": (lambda x: x + torch.tensor([1.0, 2, 3, 4]), SAME),
    "difference from outside": (lambda x: 1 - x, SAME),
    "difference of itself": (lambda x: x - x, SAME),
    "difference in place": (lambda x: x.sub_(2.0), SAME),
    "factor": (lambda x: x * torch.tensor([0.0, 1, -2, 3]), [[False, False, True, False]] * 2),
    "product": (lambda x: x * x.flip(1), ALL),
    "quotient in place": (lambda x: x.div_(3.0), SAME),
    "cut": (lambda x: x * (x > 0), SAME),
    "centred": (lambda x: x - x.mean(1, keepdim=True), ALL),
    "softmax": (lambda x: x.softmax(1), ALL),
    "layer norm": (lambda x: F.layer_norm(x, (4,)), ALL),
    "group norm": (lambda x: F.group_norm(x[:, [0, 2, 1, 3]], 2), [[True, True, False, False]] * 2),
    "instance norm": (lambda x: F.instance_norm(x[:, :, None].expand(2, 4, 3)).amax(2), SAME),
    "matrix product": (lambda x: x @ torch.eye(4), ALL),
    "concatenation": (lambda x: torch.cat([x[:, :2], torch.zeros(2, 1), x[:, 3:]], 1), [[True] + [False] * 3] * 2),
    "dropout": (lambda x: F.dropout(x, 0.9, training=True), SAME),
    "deviation": (lambda x: x + x.std(1, keepdim=True), ALL),
    "weights alone": (lambda x: torch.ones(2, 4), [[False] * 4] * 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("rule", ["reach", "incoming"])
def test_functions_keep_track(name, rule):
    function, want = FUNCTIONS[name]
    assert reading(lambda x: function(HALF(x)), X, rule) == want


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in ("dropout", "difference of itself")])
def test_what_counts_as_static_is_constant(name):
    """The reading never calls a unit static that changes with the input."""
    function, want = FUNCTIONS[name]
    layer = linear(HALF.weight.data, [0.5, 1.5, -0.7, 2.0])
    with torch.no_grad():
        y = torch.stack([function(layer(normal(2, 3, seed=seed))) for seed in range(20)])
    changes = (y != y[0]).any(0)
    assert not (changes & ~torch.tensor(want)).any()


def test_attention_embedding_and_masks_of_bools():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    assert reading(lambda x: attention(x, x, x)[0], torch.ones(1, 3, 4)) == [[[True] * 4] * 3]
    table = nn.Embedding(5, 3)
    model = nn.Sequential(table, linear([[1, 0, 0], [0, 0, 0]]), nn.ReLU())
    found = dead_neurons(model, [torch.tensor([[0, 4], [1, 2]])], channel_dim=-1, units=True, static="reach")
    assert found.units["2/relu#1"]["static"].tolist() == [[False, False], [True, True]]
    given = ones(
        {"x": [torch.ones(2), torch.ones(2, dtype=torch.uint8)], "mask": torch.ones(2, dtype=torch.bool), "n": 3}
    )
    assert [paths(t).all().item() for t in given["x"]] == [True, True]
    assert not paths(given["mask"]).any() and given["n"] == 3


def test_bytes_as_input():
    model = nn.Sequential(nn.Flatten(), linear(np.eye(4)), nn.ReLU())
    batch = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    found = dead_neurons(model, [batch], forward_fn=lambda m, b: m(b.float() / 255 - 0.5), static="reach")
    assert found.rate("static")[0] == 0


def test_a_deep_network_neither_overflows_nor_vanishes():
    layer = linear(np.ones((60, 60)))
    layer.weight.data[7] = 0
    model = nn.Sequential(*[layer, nn.ReLU()] * 300)
    assert reading(model, torch.ones(1, 60)) == [[k != 7 for k in range(60)]]


def test_the_reading_stays_on_its_device():
    model = (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
        .to("meta")
        .eval()
    )
    for rule in ("incoming", "reach"):
        with torch.no_grad(), ReadPaths(rule, False):
            found = paths(model(ones(torch.empty(1, 2, 6, 6, device="meta"))))
        assert found.device.type == "meta" and found.shape == (1, 2) and found.dtype == torch.bool


def test_a_model_that_does_not_run_on_ones():
    class Picky(nn.Module):
        def forward(self, x):
            if float(x.sum()) == x.numel():
                raise RuntimeError("no ones here")
            return F.relu(x)

    x = normal(5, 3)
    with pytest.raises(RuntimeError, match=r"static='incoming'.*Use `static='constant'`"):
        dead_neurons(Picky(), [x])
    assert dead_neurons(Picky(), [x], static="constant").rate("static")[0] == 0
