"""What has no certificate is refused by name, and nothing is skipped."""

import pytest
import torch
from certify.model_networks import Call
from torch import nn
from torch.nn import functional as F

from scatter_theory import pruning
from scatter_theory.certify.model._torch_model import torch_model

QUICK = {"starts": 1, "steps": 3}
SHAPE = (2, 8)


def conv():
    return nn.Conv1d(2, 2, 3, padding=1)


def overwritten(m, x):
    y = m.conv(x)
    return y + m.relu(y)


def overwritten_through_a_view(m, x):
    y = m.conv(x)
    z = F.relu(y.flatten(1), inplace=True)
    return z + y.sum()


def added_in_place(m, x):
    y = m.conv(x)
    y += x
    return F.relu(y, True)


NODES = {
    "layer norm": (nn.Sequential(conv(), nn.LayerNorm(8)), r"node '_1' .*LayerNorm.*deviation"),
    "group norm": (nn.Sequential(nn.GroupNorm(1, 2)), r"GroupNorm.*deviation"),
    "attention": (nn.MultiheadAttention(8, 1), r"torch_model"),
    "gate": (Call(lambda m, x: m.conv(x) * torch.sigmoid(x), conv=conv()), r"node 'mul' .*product of two maps"),
    "square": (Call(lambda m, x: x * x), r"node 'mul' .*product of two maps"),
    "power": (Call(lambda m, x: x**2), r"node 'pow_1' .*slope is not bounded"),
    "exponential": (Call(lambda m, x: torch.exp(x)), r"node 'exp' .*slope is not bounded"),
    "sign": (Call(lambda m, x: torch.sign(x)), r"node 'sign' .*jumps"),
    "hard threshold": (nn.Sequential(nn.Hardshrink()), r"Hardshrink.*jumps"),
    "softplus with a jump": (nn.Sequential(nn.Softplus()), r"Softplus.*switches to x.*threshold=37"),
    "parts": (Call(lambda m, x: x.chunk(2, 1)[0]), r"node 'chunk' .*does not give a tensor"),
    "number of the data": (Call(lambda m, x: x * x.amax().item()), r"node 'item' .*does not give a tensor"),
    "other number type": (Call(lambda m, x: x.float()), r"node 'float_1' .*not in the table"),
    "inverse": (Call(lambda m, x: 1 / x), r"node 'truediv' .*product with a constant"),
    "zero divisor": (Call(lambda m, x: x / torch.tensor([0.0] * 8)), r"node 'truediv' .*largest factor is inf"),
    "weight of its own": (
        Call(lambda m, x: F.linear(x, torch.ones(3, 8, dtype=torch.float64))),
        r"node 'linear' .*not in the table",
    ),
    "pooling with indices": (nn.Sequential(nn.MaxPool1d(2, return_indices=True)), r"MaxPool1d.*does not give a tensor"),
    "divisor": (nn.Sequential(nn.AvgPool2d(2, divisor_override=3)), r"AvgPool2d.*divisor_override"),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes_without_a_constant_are_named(name):
    model, message = NODES[name]
    with pytest.raises(ValueError, match=message):
        torch_model(model.eval(), SHAPE, **QUICK)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else 2 * x


GRAPHS = {
    "branch on data": (Branching(), r"torch.fx cannot trace Branching.*branches"),
    "random": (Call(lambda m, x: x + torch.rand(2, 8)), r"other values than the model"),
    "dropout that is always on": (Call(lambda m, x: F.dropout(x, 0.5)), r"other values than the model"),
    "two inputs": (Call(lambda m, x: x), r"got 2 inputs"),
    "overwritten": (Call(overwritten, conv=conv(), relu=nn.ReLU(inplace=True)), r"node 'relu' writes into .*'conv'"),
    "overwritten view": (Call(overwritten_through_a_view, conv=conv()), r"node 'relu' writes into .*'conv'"),
    "dictionary": (Call(lambda m, x: {"a": x}), r"output of type dict"),
    "statistics of the batch": (nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)), r"running statistics"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_that_are_not_the_model_are_refused(name):
    model, message = GRAPHS[name]
    if name == "two inputs":
        model = TwoInputs()
    with pytest.raises(ValueError, match=message):
        torch_model(model.eval(), SHAPE, **QUICK)


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


ACCEPTED = {
    "in place where nothing reads it": (Call(lambda m, x: m.relu(m.conv(x)) + x, conv=conv(), relu=nn.ReLU(True)), 3),
    "sum in place": (Call(added_in_place, conv=conv()), 3),
    "size of the batch": (Call(lambda m, x: m.conv(x).view(x.size(0), -1), conv=conv()), 2),
    "shape as an attribute": (Call(lambda m, x: x.reshape(x.shape[0], x.shape[1] * 8)), 1),
    "dropout with its flag": (Call(lambda m, x: F.dropout(x, 0.5, m.training)), 1),
    "a single layer": (nn.Conv1d(2, 3, 3), 1),
    "one layer twice": (Call(lambda m, x: m.conv(m.conv(x)), conv=conv()), 2),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_looks_alike_is_accepted(name):
    model, nodes = ACCEPTED[name]
    certificate = torch_model(model.eval(), SHAPE, **QUICK)
    assert len(certificate.nodes) == nodes and not certificate.contradictions


def test_training_mode_is_refused_with_the_module():
    model = nn.Sequential(conv(), nn.Sequential(nn.Dropout())).eval()
    model[1][0].train()
    with pytest.raises(ValueError, match=r"module '1\.0' \(Dropout\) is in training mode.*model\.eval\(\)"):
        torch_model(model, SHAPE)


def test_hooks_are_refused_and_masks_can_be_turned_over():
    model = nn.Sequential(conv()).eval()
    nn.utils.prune.random_unstructured(model[0], "weight", 0.5)
    with pytest.raises(ValueError, match=r"module '0' \(Conv1d\) has a forward hook.*pruning\.from_torch"):
        torch_model(model, SHAPE)
    pruning.from_torch(model)
    assert torch_model(model.eval(), SHAPE, **QUICK).upper > 0
    model[0].register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.raises(ValueError, match="has a forward hook"):
        torch_model(model, SHAPE)


def test_a_forward_of_the_object_is_refused():
    model = nn.Sequential(conv()).eval()
    model[0].forward = lambda x: 2 * x
    with pytest.raises(ValueError, match=r"`forward` of module '0' \(Conv1d\) is replaced"):
        torch_model(model, SHAPE)


@pytest.mark.parametrize("shape", [(3, 8), (8,), (2, 2, 2, 2)])
def test_shapes_that_the_model_refuses(shape):
    with pytest.raises(ValueError, match=r"`torch_model\(input_shape=...\)`: the model fails on an input of shape"):
        torch_model(nn.Sequential(conv()).eval(), shape)


@pytest.mark.parametrize("shape", [(), 8, "8", (0, 2), (2.5,), None])
def test_what_is_no_shape(shape):
    with pytest.raises(ValueError, match=r"`torch_model\(input_shape=...\)`: got .*without the axis of the batch"):
        torch_model(nn.Sequential(conv()).eval(), shape)


@pytest.mark.parametrize("options", [{"starts": 0}, {"steps": 1.5}, {"steps": True}])
def test_numbers_of_the_attack_are_checked(options):
    with pytest.raises(ValueError, match=rf"`torch_model\({next(iter(options))}=...\)`"):
        torch_model(nn.Sequential(conv()).eval(), SHAPE, **options)


def test_what_is_no_module():
    with pytest.raises(TypeError, match=r"`torch_model\(model=...\)`: got int, expected a torch\.nn\.Module"):
        torch_model(3, SHAPE)
    certificate = torch_model(nn.Sequential(conv()).eval(), SHAPE, **QUICK)
    with pytest.raises(TypeError):
        certificate.recheck(3)
    with pytest.raises(ValueError, match="training mode"):
        certificate.recheck(nn.Sequential(conv()))
