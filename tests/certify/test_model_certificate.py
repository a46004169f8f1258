"""Certificates of whole networks: closed forms, attacks that stay below, wrong constants that are caught."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from certify.model_networks import Call, Pitch, norm, seeded, small_cnn, with_statistics
from torch import nn
from torch.nn import functional as F

from scatter_theory import bnn, pruning
from scatter_theory.certify.model import _compose, _linear, _operations, _pooling, _table
from scatter_theory.certify.model._bound import Bound
from scatter_theory.certify.model._certificate import ModelCertificate
from scatter_theory.certify.model._torch_model import torch_model

QUICK = {"starts": 2, "steps": 8}


def linear(matrix):
    layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=True, dtype=torch.float64)
    layer.weight.data = matrix
    return layer


def orthogonal(n, seed):
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))[0]


def encloses(certificate):
    return not certificate.contradictions and 0 < certificate.lower <= certificate.upper <= certificate.product


# --- upper and lower end meet ----------------------------------------------------------------------------------------


def test_a_chain_with_aligned_singular_vectors_attains_the_product():
    """W_2 W_1 with the singular vectors of W_1 as those of W_2: 3 * 2."""
    U, V, W = (orthogonal(4, k) for k in range(3))
    first = U @ torch.diag(torch.tensor([3.0, 1.0, 0.5, 0.1], dtype=torch.float64)) @ V.T
    second = W @ torch.diag(torch.tensor([2.0, 1.0, 1.0, 0.2], dtype=torch.float64)) @ U.T
    certificate = torch_model(nn.Sequential(linear(first), linear(second)).eval(), (4,))
    assert certificate.upper == pytest.approx(6.0, rel=1e-11) and certificate.lower == pytest.approx(6.0, rel=1e-9)
    assert certificate.product == pytest.approx(6.0, rel=1e-11)


def test_a_chain_that_is_not_aligned_gets_its_own_norm():
    """diag(1, 4) after diag(3, 1): 4, while the product of the norms is 12."""
    first, second = (torch.diag(torch.tensor(d, dtype=torch.float64)) for d in ((3.0, 1.0), (1.0, 4.0)))
    certificate = torch_model(nn.Sequential(linear(first), linear(second)).eval(), (2,))
    assert certificate.product == pytest.approx(12.0, rel=1e-11)
    assert certificate.upper == pytest.approx(4.0, rel=1e-11) and certificate.gap == pytest.approx(1.0, abs=1e-9)


def test_an_orthogonal_convolution_between_relus_is_an_isometry():
    layer = nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64)
    layer.weight.data = torch.zeros_like(layer.weight)
    layer.weight.data[:, :, 2] = orthogonal(4, 0)
    certificate = torch_model(nn.Sequential(layer, nn.ReLU(), nn.Identity()).eval(), (4, 6))
    assert certificate.upper == pytest.approx(1.0, rel=1e-11) and certificate.nodes[0].kind == "exact"
    assert certificate.lower > 0.95


def test_relu_between_identities():
    certificate = torch_model(nn.Sequential(nn.Identity(), nn.ReLU(), nn.Identity()).eval(), (5,))
    assert certificate.upper == pytest.approx(1.0, rel=1e-12) and certificate.lower == pytest.approx(1.0, rel=1e-9)


SUMS = {
    "residual": (lambda m, x: x + x.relu(), 2.0),
    "side by side": (lambda m, x: torch.cat([x.relu(), 2 * x, x / 2], 1), math.sqrt(1 + 4 + 0.25)),
    "two outputs": (lambda m, x: (x, 3 * x), math.sqrt(10)),
    "cancelled": (lambda m, x: 5 * x - 4 * x, 1.0),
    "parts at different depths": (lambda m, x: torch.tanh(2 * torch.tanh(x)) + x, 3.0),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_and_concatenations_in_closed_form(name):
    function, value = SUMS[name]
    certificate = torch_model(Call(function), (3,))
    assert certificate.upper == pytest.approx(value, rel=1e-11)
    assert certificate.lower == pytest.approx(value, rel=1e-4) and not certificate.contradictions


def test_a_constant_network_has_the_constant_zero():
    certificate = torch_model(Call(lambda m, x: torch.ones(3)), (2,), **QUICK)
    assert (certificate.upper, certificate.lower, certificate.gap) == (0.0, 0.0, 1.0)


# --- affine nodes together -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("small", [True, False])
def test_normalisations_go_into_the_convolution_between_them(monkeypatch, small):
    """Circular padding, so that the torus gives the norm of the composition exactly; against torch's derivative."""
    layers = [nn.BatchNorm1d(4), nn.Conv1d(4, 6, 3, padding=1, groups=2, padding_mode="circular"), nn.BatchNorm1d(6)]
    model = seeded(lambda: nn.Sequential(*layers, nn.ReLU()))
    if not small:
        monkeypatch.setattr(_linear, "ENTRIES", 0)
    certificate = torch_model(model, (4, 7), **QUICK)
    (step,) = certificate.nodes[2].segment
    exact = norm(copy.deepcopy(model[:3]).double(), (4, 7))
    assert step.bound.value == pytest.approx(exact, rel=1e-11) and step.start == "input_1"
    assert certificate.upper == pytest.approx(exact, rel=1e-11) and certificate.product > 1.05 * exact


def scaled(factors):
    layer = nn.BatchNorm1d(len(factors), eps=0.0).double().eval()
    layer.weight.data.copy_(torch.tensor(factors))
    return layer


def test_factors_pass_through_maps_by_channel():
    """diag(4, -1/4), pooling and ReLU, then (1/4, 4): (1, -1) in all, of norm 2^(1/2); the product is 16.03."""
    layer = nn.Conv1d(2, 1, 1, bias=False, dtype=torch.float64)
    layer.weight.data = torch.tensor([[[0.25], [4.0]]], dtype=torch.float64)
    model = nn.Sequential(nn.ReLU(), scaled([4.0, -0.25]), nn.MaxPool1d(2), nn.ReLU(), layer).eval()
    certificate = torch_model(model, (2, 4))
    assert certificate.product == pytest.approx(4 * math.sqrt(16 + 1 / 16), rel=1e-11)
    assert certificate.upper == pytest.approx(math.sqrt(2), rel=1e-11)
    assert certificate.nodes[-1].segment[0].start == "0" and not certificate.nodes[-1].segment[0].bound.exact
    assert 0.9 < certificate.lower <= certificate.upper


MIXED = {
    "shuffle": lambda m, x: m.shuffle(m.norm(x)),
    "padded channels": lambda m, x: F.pad(m.norm(x), (0, 0, 1, -1)),
    "padded channels by name": lambda m, x: F.pad(m.norm(x), pad=(0, 0, 1, -1)),
    "moved axes": lambda m, x: m.norm(x).flip(1),
}


@pytest.mark.parametrize("name", MIXED)
def test_factors_do_not_pass_through_what_mixes_channels(monkeypatch, name):
    """With the factors in the wrong channels the bound would be below the norm."""
    layers = {"norm": scaled([4.0, 0.01, 3.0, 0.02]), "shuffle": nn.ChannelShuffle(2)}
    conv = nn.Conv1d(4, 2, 1, bias=False, dtype=torch.float64)
    conv.weight.data = torch.tensor([[1.0, 9.0, 2.0, 0.0], [0.0, 2.0, 9.0, 9.0]], dtype=torch.float64)[..., None]
    model = Call(lambda m, x: m.conv(MIXED[name](m, x)), conv=conv, **layers)
    monkeypatch.setattr(_linear, "ENTRIES", 0)
    certificate = torch_model(model, (4, 3))
    assert certificate.upper >= norm(model, (4, 3)) and not certificate.contradictions


def test_several_ways_from_one_node_count_together():
    """conv(relu(x)) + relu(x) is one affine map of relu(x), joined before the pooling."""
    model = seeded(
        lambda: Call(
            lambda m, x: F.avg_pool1d((lambda y: m.conv(y) + y)(x.relu()), 2), conv=nn.Conv1d(2, 2, 3, padding=1)
        )
    ).double()
    exact = norm(lambda y: F.avg_pool1d(model.conv(y) + y, 2), (2, 6))
    certificate = torch_model(model, (2, 6), **QUICK)
    assert certificate.upper == pytest.approx(exact, rel=1e-11) and certificate.product > 1.2 * exact


# --- no attack gets above --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_small_networks(seed):
    certificate = torch_model(seeded(small_cnn, seed), (1, 12, 11), seed=seed, **QUICK)
    assert encloses(certificate) and len(certificate.nodes) == 10
    derivative = norm(seeded(small_cnn, seed).double(), (1, 12, 11), torch.randn(1, 1, 12, 11, dtype=torch.float64))
    assert derivative <= certificate.upper


RESNETS = {
    "pad": {"projection": "pad"},
    "conv": {"projection": "conv", "order": "bn_relu"},
    "bireal": {"bireal": True},
}


@pytest.mark.parametrize("name", RESNETS)
def test_residual_networks(name):
    model = with_statistics(bnn.models.resnet20(width=2, generator=0, **RESNETS[name]))
    certificate = torch_model(model, (3, 8, 8), **QUICK)
    assert encloses(certificate)
    assert sum(node.operation == "add" for node in certificate.nodes) == (18 if name == "bireal" else 9)


@pytest.mark.parametrize("sparsity", [0.5, 0.95])
def test_pruned_networks_count_with_their_masks(sparsity):
    model = seeded(small_cnn)
    dense = torch_model(model, (1, 12, 11), **QUICK)
    pruning.prune(model, sparsity=sparsity)
    certificate = torch_model(model.eval(), (1, 12, 11), **QUICK)
    assert not certificate.contradictions and certificate.lower <= certificate.upper
    weight = model[0].weight.detach().double()
    layer = nn.Conv2d(1, 4, 3, padding=1, dtype=torch.float64)
    layer.weight.data = weight
    assert certificate.nodes[0].constant == pytest.approx(norm(layer, (1, 12, 11)), rel=1e-11, abs=1e-300)
    assert certificate.upper < dense.upper and not dense.recheck(model)


def test_binary_weights_have_a_constant_and_binary_activations_none():
    model = seeded(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Conv1d(3, 2, 3)))
    options = {"estimator": bnn.ReSTE(o=3), "skip": ()}
    weights = bnn.binarize_model(model, **options, activations=False).eval()
    certificate = torch_model(weights, (2, 8), **QUICK)
    assert encloses(certificate)
    layer = nn.Conv1d(2, 3, 3, dtype=torch.float64)
    layer.weight.data = model[0].weight.detach().double().sign() * model[0].weight.detach().double().abs().mean()
    scale = float(weights[0].weight.detach().abs().mean() / layer.weight.detach().abs().mean())
    assert certificate.nodes[0].constant == pytest.approx(scale * norm(layer, (2, 8)), rel=1e-6)
    with pytest.raises(ValueError, match=r"module '0' .*hook \(_binarize_input\).*no finite Lipschitz constant"):
        torch_model(bnn.binarize_model(model, **options).eval(), (2, 8))


def test_a_pitch_tracker_of_small_size():
    model = seeded(lambda: Pitch((1, 6, 4, 4), first=16, size=8, features=4 * 4, classes=9))
    certificate = torch_model(model, (128,), **QUICK)
    assert encloses(certificate) and len(certificate.nodes) == 20


# --- wrong constants are caught --------------------------------------------------------------------------------------


def test_a_layer_with_too_small_a_constant_is_caught(monkeypatch):
    honest = _operations.layer_bound
    monkeypatch.setattr(_operations, "layer_bound", lambda m, s: replace(b := honest(m, s), value=0.8 * b.value))
    certificate = torch_model(seeded(small_cnn), (1, 12, 11), starts=1, steps=60)
    assert {"0", "1", "9"} <= set(certificate.contradictions)
    assert str(certificate).endswith("so that a constant is wrong.") and "CONTRADICTED" in str(certificate)


def test_an_activation_with_too_small_a_constant_is_caught(monkeypatch):
    wrong = replace(_table.MODULES[nn.GELU], constant=lambda approximate: Bound(1.12, True, "rounded down"))
    monkeypatch.setitem(_table.MODULES, nn.GELU, wrong)
    assert torch_model(seeded(small_cnn), (1, 12, 11), **QUICK).contradictions == ("5",)


def test_a_pooling_without_its_overlaps_is_caught(monkeypatch):
    monkeypatch.setattr(_pooling, "_most", lambda reads, n: 1)
    assert torch_model(seeded(small_cnn), (1, 12, 11), **QUICK).contradictions == ("3",)


def test_segments_with_too_small_a_constant_are_caught(monkeypatch):
    honest = _compose.dense_norm
    monkeypatch.setattr(_compose, "dense_norm", lambda *a: 0.5 * honest(*a))
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()).eval()
    assert "1" in torch_model(model, (4,)).contradictions


def test_a_wrong_composition_is_caught_on_the_whole_network(monkeypatch):
    monkeypatch.setattr(_compose, "combined", lambda c, L, how: max(a * b for a, b in zip(c, L, strict=True)))
    certificate = torch_model(Call(lambda m, x: x.relu() + torch.tanh(x)), (3,))
    assert certificate.contradictions == ("network",) and "void" in str(certificate)


# --- the certificate as an object ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proven():
    model = seeded(small_cnn)
    return model, torch_model(model, (1, 12, 11), **QUICK)


def test_it_can_be_checked_again(proven):
    model, certificate = proven
    assert certificate.recheck(model) and certificate.recheck(copy.deepcopy(model).double())


def test_it_fails_for_other_weights_and_other_networks(proven):
    model, certificate = proven
    assert not certificate.recheck(seeded(small_cnn, 1))
    assert not certificate.recheck(nn.Sequential(*model[:-1]).eval())
    assert not certificate.recheck(nn.Linear(3, 4).eval())
    louder = copy.deepcopy(model)
    louder[4].weight.data *= 1.001
    assert not certificate.recheck(louder)


def test_it_fails_where_its_numbers_were_changed(proven):
    model, certificate = proven
    node = certificate.nodes[0]
    other = replace(node, steps=(replace(node.steps[0], bound=replace(node.steps[0].bound, value=0.1)),))
    exceeded = replace(node, steps=(replace(node.steps[0], attained=99.0),))
    broken = [
        replace(certificate, upper=0.9 * certificate.upper),
        replace(certificate, lower=1.1 * certificate.lower),
        replace(certificate, product=2 * certificate.product),
        replace(certificate, pair=(certificate.pair[0], certificate.pair[1] + 1)),
        replace(certificate, nodes=certificate.nodes[1:]),
        replace(certificate, nodes=(other, *certificate.nodes[1:])),
        replace(certificate, nodes=(exceeded, *certificate.nodes[1:])),
    ]
    assert [c.recheck(model) for c in broken] == [False] * len(broken)


def test_it_goes_through_a_file(proven):
    model, certificate = proven
    again = ModelCertificate.from_dict(json.loads(json.dumps(certificate.to_dict())))
    assert str(again) == str(certificate) and again.nodes == certificate.nodes and again.recheck(model)


def test_its_table_has_every_node_and_one_sentence(proven):
    _, certificate = proven
    lines = str(certificate).splitlines()
    assert len(lines) == len(certificate.nodes) + 2
    assert lines[-1].startswith("No two inputs of shape (1, 12, 11)") and f"{certificate.upper:.6g}" in lines[-1]


def test_its_pair_attains_the_lower_end(proven):
    model, certificate = proven
    x, y = certificate.pair
    own = copy.deepcopy(model).double()
    with torch.no_grad():
        apart = float(torch.linalg.vector_norm(own(x) - own(y)) / torch.linalg.vector_norm(x - y))
    assert apart == pytest.approx(certificate.lower, rel=1e-9)


def test_the_same_seed_gives_the_same_certificate(proven):
    model, certificate = proven
    assert torch_model(model, (1, 12, 11), **QUICK).lower == certificate.lower
    assert torch_model(model, (1, 12, 11), seed=1, **QUICK).lower != certificate.lower


def test_model_and_random_numbers_stay_as_they_were(proven):
    model = seeded(small_cnn)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    torch_model(model, (1, 12, 11), **QUICK)
    assert all(torch.equal(before[k], v) and v.dtype == before[k].dtype for k, v in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and model[2].inplace
    assert all(p.requires_grad for p in model.parameters())
