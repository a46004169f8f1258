"""`binarize_model` and `restore_model` on networks of different style."""

import io
import pickle
from copy import deepcopy
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

from scatter_theory import bnn

ESTIMATOR = bnn.ReSTE(o=3)


class Attention(nn.Module):
    """A transformer block on tokens, with torch's own attention."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.mix = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.embed(x)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head((x + self.mix(self.norm(x))).mean(dim=1))


class Recurrent(nn.Module):
    """A 1-D network that calls one convolution three times and holds it under two names."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(2, 4, 5, padding=2)
        self.body = nn.Conv1d(4, 4, 3, padding=1)
        self.again = self.body
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        for layer in (self.body, self.body, self.again):
            x = self.norm(layer(input=x))
        return self.head(x.mean(dim=2))


def chain():
    """A convolutional network with activations in place directly before and after binarised layers."""
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 6, 3),
        nn.Hardtanh(inplace=True),
        nn.Flatten(),
        nn.Linear(24, 3),
    )
    generator = torch.Generator().manual_seed(1)
    for p in net.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=generator)
    return net


#: name -> (network, shape of the input, keys of the binarizers).
NETWORKS = {
    "residual": (
        lambda: bnn.models.resnet20(width=2, projection="conv", generator=0),
        (4, 3, 8, 8),
        [f"layer{i}.{j}.conv{c}.{what}" for i, j, c, what in product("123", "012", "12", ("weight", "input"))],
    ),
    "attention": (Attention, (4, 5, 6), ["mix.0.weight", "mix.0.input", "mix.2.weight", "mix.2.input"]),
    "shared": (Recurrent, (4, 2, 9), ["body.weight", "body.input"]),
    "in place": (chain, (4, 2, 8, 8), ["3.weight", "3.input", "5.weight", "5.input"]),
}


@pytest.fixture(params=NETWORKS)
def case(request):
    build, shape, keys = NETWORKS[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build(), torch.randn(shape), keys


def passed(net, x):
    """Output and gradients of one training step, by name."""
    net.zero_grad()
    y = net(x)
    y.square().sum().backward()
    return y.detach(), {name: p.grad for name, p in net.named_parameters()}


def test_the_chosen_layers_are_binarised_and_the_original_is_left_alone(case):
    net, x, keys = case
    before = deepcopy(net.state_dict())
    binary = bnn.binarize_model(net, ESTIMATOR)
    found = bnn.binarizers(binary)
    assert list(found) == keys
    assert {key: b.role for key, b in found.items()} == {
        key: "weight" if key.endswith("weight") else "activation" for key in keys
    }
    assert all(key == f"{b.name}.{'weight' if b.role == 'weight' else 'input'}" for key, b in found.items())
    assert bnn.binarizers(net) == {}
    assert list(net.state_dict()) == list(before)
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    y, _ = passed(binary, x)
    assert y.isfinite().all()
    latent = bnn.latent_weights(binary)
    assert list(latent) == list(bnn.binarizers(binary, "weight"))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in latent.values())
    for key in latent:
        levels = binary.get_submodule(key.removesuffix(".weight")).weight.unique()
        assert levels.numel() == 2 and levels[0] == -levels[1]


def test_restoring_gives_the_plain_network_bit_for_bit(case):
    net, x, _ = case
    expected, gradients = passed(deepcopy(net), x)
    binary = bnn.binarize_model(net, ESTIMATOR)
    restored = bnn.restore_model(binary)
    assert list(restored.state_dict()) == list(net.state_dict())
    assert [name for name, _ in restored.named_parameters()] == [name for name, _ in net.named_parameters()]
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in restored.state_dict().items())
    assert [type(m) for m in restored.modules()] == [type(m) for m in net.modules()]
    y, restored_gradients = passed(restored, x)
    assert torch.equal(y, expected)
    assert all(torch.equal(gradients[name], g) for name, g in restored_gradients.items())
    assert len(bnn.binarizers(binary)) > 0
    binary(x)


def test_weights_trained_in_binary_form_come_back_as_they_are(case):
    net, x, _ = case
    binary = bnn.binarize_model(net, ESTIMATOR, inplace=True)
    assert binary is net
    optimizer = torch.optim.SGD(binary.parameters(), lr=0.1)
    passed(binary, x)
    optimizer.step()
    latent = {key: p.detach().clone() for key, p in bnn.latent_weights(binary).items()}
    parameters = dict(bnn.latent_weights(binary))
    assert bnn.restore_model(binary, inplace=True) is net
    for key, w in latent.items():
        assert net.get_parameter(key) is parameters[key]
        assert torch.equal(net.get_parameter(key), w)


def test_an_optimizer_made_before_still_trains_the_latent_weights():
    net = chain()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    bnn.binarize_model(net, ESTIMATOR, inplace=True)
    before = {key: w.detach().clone() for key, w in bnn.latent_weights(net).items()}
    passed(net, torch.randn(4, 2, 8, 8))
    optimizer.step()
    assert all(not torch.equal(before[key], w) for key, w in bnn.latent_weights(net).items())


def test_state_dict_round_trip(case):
    net, x, _ = case
    binary = bnn.binarize_model(net, ESTIMATOR)
    passed(binary, x)
    for b in bnn.binarizers(binary).values():
        b.estimator = bnn.ReSTE(o=1.75)
    buffer = io.BytesIO()
    torch.save(binary.state_dict(), buffer)
    buffer.seek(0)
    other = bnn.binarize_model(net, ESTIMATOR)
    for p in other.parameters():
        p.data.zero_()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert all(
        b.estimator == bnn.ReSTE(o=1.75) and b.final_estimator == ESTIMATOR for b in bnn.binarizers(other).values()
    )
    (y, g), (y_other, g_other) = passed(binary, x), passed(other, x)
    assert torch.equal(y, y_other)
    assert all(torch.equal(g[name], g_other[name]) for name in g)


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        (lambda net: bnn.binarize_model(net, bnn.ReSTE(o=5)), "final_estimator"),
        (lambda net: bnn.binarize_model(net, bnn.IdentitySTE()), "final_estimator"),
        (lambda net: bnn.binarize_model(net, ESTIMATOR, scaling="channel"), "scaling"),
        (lambda net: bnn.binarize_model(net, ESTIMATOR, detach_scaling=True), "detach_scaling"),
        (lambda net: bnn.binarize_model(net, ESTIMATOR, sign_zero=0), "sign_zero"),
    ],
)
def test_a_checkpoint_of_another_construction_is_refused(other, differing):
    net = chain()
    state = bnn.binarize_model(net, ESTIMATOR).state_dict()
    with pytest.raises(ValueError, match=rf"`load_state_dict`: the binarizer \(weight\) of layer '3'.*{differing}"):
        other(net).load_state_dict(state)


def test_a_checkpoint_with_an_unknown_estimator_in_use_is_refused():
    binary = bnn.binarize_model(chain(), ESTIMATOR)
    state = binary.state_dict()
    state["3.binarize_input._extra_state"]["estimator"] = ["Unheard", {}]
    with pytest.raises(ValueError, match=r"`load_state_dict`: .*layer '3' was saved while it used the estimator 'Unh"):
        binary.load_state_dict(state)


def test_deep_copies_are_independent(case):
    net, x, _ = case
    first = bnn.binarize_model(net, ESTIMATOR)
    second = deepcopy(first)
    y = first(x)
    for b in bnn.binarizers(second).values():
        b.estimator = bnn.IdentitySTE()
    for w in bnn.latent_weights(second).values():
        w.data.neg_()
    assert all(b.estimator == ESTIMATOR for b in bnn.binarizers(first).values())
    bnn.restore_model(second, inplace=True)
    assert torch.equal(first(x), y)
    assert not set(map(id, bnn.binarizers(first).values())) & set(map(id, bnn.binarizers(second).values()))


def test_an_observer_changes_nothing_and_is_not_copied(case):
    net, x, keys = case
    binary = bnn.binarize_model(net, ESTIMATOR)
    watched = deepcopy(binary)
    seen = []
    for key, b in bnn.binarizers(watched).items():
        b.observer = lambda z, upstream, gradient, key=key: seen.append(key)
    assert all(b.observer is None for b in bnn.binarizers(deepcopy(watched)).values())
    (y, g), (y_watched, g_watched) = passed(binary, x), passed(watched, x)
    assert torch.equal(y, y_watched)
    assert all(torch.equal(g[name], g_watched[name]) for name in g)
    assert set(seen) == set(keys)


def test_weights_or_activations_alone():
    net, x = chain(), torch.randn(4, 2, 8, 8)
    weights = bnn.binarize_model(net, ESTIMATOR, activations=False)
    assert list(bnn.binarizers(weights)) == ["3.weight", "5.weight"]
    activations = bnn.binarize_model(net, ESTIMATOR, weights=False)
    assert list(bnn.binarizers(activations)) == ["3.input", "5.input"]
    assert bnn.latent_weights(activations) == {}
    assert torch.equal(pickle.loads(pickle.dumps(activations))(x), activations(x))
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(weights)
    with pytest.raises(ValueError, match=r"`binarizers\(role=...\)`: got 'input'"):
        bnn.binarizers(net, "input")
    for binary in (weights, activations):
        assert torch.equal(bnn.restore_model(binary)(x), net(x))


def test_the_forward_pass_is_the_formula():
    net, x = chain().eval(), torch.randn(4, 2, 8, 8)
    binary = bnn.binarize_model(net, ESTIMATOR)

    def binary_conv(layer, z):
        W = layer.weight.detach()
        signs = [torch.where(v >= 0, 1.0, -1.0) for v in (z, W)]
        return F.conv2d(signs[0], signs[1] * (W.abs().sum() / W.numel()), layer.bias)

    h = net[2](F.relu(net[0](x)))
    h = F.relu(binary_conv(net[3], h))
    h = F.hardtanh(binary_conv(net[5], h))
    torch.testing.assert_close(binary(x), net[8](h.flatten(1)))


SKIPS = {
    ("first", "last"): ["b.0", "b.2.ShortCut", "c.downsample"],
    "shortcut": ["a", "b.0", "d"],
    ("first", "last", "shortcut"): ["b.0"],
    (): ["a", "b.0", "b.2.ShortCut", "c.downsample", "d"],
    "b.0": ["a", "b.2.ShortCut", "c.downsample", "d"],
    "b.*": ["a", "c.downsample", "d"],
    ("?", "*.down*"): ["b.0", "b.2.ShortCut"],
    lambda path, layer: getattr(layer, "kernel_size", None) == (3, 3): ["b.2.ShortCut", "c.downsample", "d"],
}


class Branches(nn.Module):
    """Names and sizes for the rules of `skip`; a 3x3 convolution on a branch of that name is no shortcut."""

    def __init__(self, size=1):
        super().__init__()
        self.a = nn.Conv2d(2, 2, 3)
        self.b = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Module())
        self.b[2].ShortCut = nn.Conv2d(2, 2, size, 2)
        self.c = nn.Module()
        self.c.downsample = nn.Linear(2, 2)
        self.d = nn.Conv2d(2, 2, 1, 2)


@pytest.mark.parametrize(("skip", "left"), SKIPS.items())
def test_skip(skip, left):
    binary = bnn.binarize_model(Branches(), ESTIMATOR, skip=skip)
    assert [key.removesuffix(".weight") for key in bnn.binarizers(binary, "weight")] == left


def test_a_large_convolution_on_a_branch_is_no_shortcut():
    binary = bnn.binarize_model(Branches(size=3), ESTIMATOR, skip="shortcut")
    assert "b.2.ShortCut.weight" in bnn.binarizers(binary)


def test_a_shared_layer_is_first_or_last_under_any_of_its_names():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    net.append(net[1])
    assert list(bnn.binarizers(bnn.binarize_model(net, ESTIMATOR))) == ["2.weight", "2.input"]
    assert list(bnn.binarizers(bnn.binarize_model(net, ESTIMATOR, skip=("first", "3")))) == ["2.weight", "2.input"]


def tied():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    net[2].weight = net[1].weight
    return net


def normalised():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    nn.utils.parametrizations.weight_norm(net[1])
    return net


def embedded():
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    net[1].weight = net[0].weight
    return net


REFUSED = {
    "class": (chain, {"estimator": bnn.ReSTE}, TypeError, r"`binarize_model\(estimator=...\)`: got the class ReSTE"),
    "name": (chain, {"estimator": "ReSTE"}, TypeError, r"`binarize_model\(estimator=...\)`: got 'ReSTE', expected"),
    "nothing": (chain, {"weights": False, "activations": False}, ValueError, "nothing to binarise"),
    "no layers": (nn.ReLU, {}, ValueError, r"`binarize_model\(model=...\)`: got a ReLU without a layer"),
    "hidden": (lambda: nn.MultiheadAttention(4, 2), {}, ValueError, "MultiheadAttention without a layer"),
    "all skipped": (chain, {"skip": "*"}, ValueError, r"nothing is left to binarise.*'0', '3', '5', '8'"),
    "unknown": (chain, {"skip": "first_conv"}, ValueError, r"'first_conv' fits no layer.*'0', '3', '5', '8'"),
    "not a layer": (chain, {"skip": ("first", "1")}, ValueError, r"'1' fits no layer"),
    "number": (chain, {"skip": (1,)}, TypeError, r"`binarize_model\(skip=...\)`: got 1 of type int"),
    "twice": (lambda: bnn.binarize_model(chain(), ESTIMATOR), {}, ValueError, r"already binarised \(at '3.para"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3)), {}, ValueError, "parameter '0.weight' has no shape yet"),
    "tied": (tied, {}, ValueError, r"one parameter is shared by 1.weight and 2.weight"),
    "embedding": (embedded, {"skip": ()}, ValueError, r"one parameter is shared by 0.weight and 1.weight"),
    "normalised": (normalised, {}, ValueError, "the weight of layer '1' is not a parameter of its own"),
    "complex": (
        lambda: nn.Linear(2, 2, dtype=torch.complex64),
        {"skip": ()},
        ValueError,
        "the weight of layer '' is torch.complex64",
    ),
    "wrapped": (lambda: nn.DataParallel(chain()), {}, ValueError, r"got a wrapped model \(DataParallel\)"),
    "scaling": (chain, {"scaling": "filter"}, ValueError, r"`binarize_model\(scaling=...\)`: got 'filter'"),
    "detached": (chain, {"scaling": None, "detach_scaling": True}, ValueError, "there is nothing to detach"),
    "sign": (chain, {"sign_zero": 2}, ValueError, r"sign_zero=...\)`: got 2, expected 1, 0 or -1"),
}


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("reason", REFUSED)
def test_refusals_leave_the_model_as_it_was(reason, inplace):
    build, arguments, error, message = REFUSED[reason]
    net = build()
    keys, classes = list(net.state_dict()), [type(m) for m in net.modules()]
    with pytest.raises(error, match=message):
        bnn.binarize_model(net, **{"estimator": ESTIMATOR, "inplace": inplace, **arguments})
    assert (list(net.state_dict()), [type(m) for m in net.modules()]) == (keys, classes)


def test_tied_weights_are_no_obstacle_where_they_stay_real():
    assert "1.input" in bnn.binarizers(bnn.binarize_model(tied(), ESTIMATOR, weights=False))
    net = tied().append(nn.Linear(3, 3))
    assert list(bnn.binarizers(bnn.binarize_model(net, ESTIMATOR, skip=("1", "2", "last"), activations=False))) == [
        "0.weight",
        "3.weight",
    ]


def test_restoring_refuses_what_it_cannot_undo():
    with pytest.raises(ValueError, match=r"`restore_model\(model=...\)`: got a Sequential without a binarised layer"):
        bnn.restore_model(chain())
    binary = bnn.binarize_model(chain(), ESTIMATOR)
    with pytest.raises(ValueError, match="got a wrapped model"):
        bnn.restore_model(nn.DataParallel(binary))
    parametrize.register_parametrization(binary[3], "weight", nn.Identity())
    with pytest.raises(ValueError, match="the weight of layer '3' has further parametrizations"):
        bnn.restore_model(binary)


def test_keys_have_no_prefix_of_a_wrapper():
    binary = bnn.binarize_model(chain(), ESTIMATOR)
    keys = list(bnn.binarizers(binary))
    assert list(bnn.binarizers(nn.DataParallel(binary))) == keys
    assert list(bnn.binarizers(torch.compile(binary, backend="eager"))) == keys
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(deepcopy(binary))
        assert list(bnn.binarizers(parallel)) == keys
        x = torch.randn(4, 2, 8, 8)
        (y, g), (y_parallel, g_parallel) = passed(binary, x), passed(parallel, x)
        assert torch.equal(y, y_parallel)
        assert all(torch.equal(g[name], g_parallel[f"module.{name}"]) for name in g)
    finally:
        torch.distributed.destroy_process_group()


def test_a_binarizer_may_be_put_in_place_by_hand():
    net = Attention()
    parametrize.register_parametrization(net.attention, "in_proj_weight", bnn.Binarizer(ESTIMATOR, "weight"))
    assert list(bnn.binarizers(net)) == ["attention.in_proj_weight"]
    latent = bnn.latent_weights(net)["attention.in_proj_weight"]
    passed(net, torch.randn(2, 5, 6))
    assert latent.grad is not None


def test_hooks_of_the_user_stay():
    net = chain()
    calls = []
    net[3].register_forward_pre_hook(lambda module, args: calls.append(args[0].unique().numel()))
    binary = bnn.binarize_model(net, ESTIMATOR)
    x = torch.randn(4, 2, 8, 8)
    binary(x)
    assert calls[-1] > 2
    bnn.restore_model(binary, inplace=True)(x)
    assert len(calls) == 2


def test_a_layer_called_without_input_says_so():
    binary = bnn.binarize_model(nn.Linear(3, 3), ESTIMATOR, skip=())
    with pytest.raises(TypeError, match=r"`ParametrizedLinear\(...\)`: got no input"):
        binary(x=torch.zeros(3))


def test_the_fast_path_of_a_transformer_layer_does_not_pass_by_the_binarizers():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    binary = bnn.binarize_model(layer, ESTIMATOR, skip=()).eval()
    assert list(bnn.binarizers(binary)) == ["linear1.weight", "linear1.input", "linear2.weight", "linear2.input"]
    x = torch.randn(2, 5, 8)
    with torch.inference_mode():
        fast = binary(x)
        plain = layer.eval()(x)
    torch.testing.assert_close(fast, binary.train()(x), rtol=0, atol=1e-5)
    assert (fast - plain).abs().max() > 0.1


def test_recomputation_in_the_backward_pass_gives_the_same_gradients():
    binary, x = bnn.binarize_model(chain().eval(), ESTIMATOR), torch.randn(4, 2, 8, 8, requires_grad=True)
    direct = torch.autograd.grad(binary(x).sum(), list(binary.parameters()))
    recomputed = torch.autograd.grad(checkpoint(binary, x, use_reentrant=False).sum(), list(binary.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(direct, recomputed, strict=True))
