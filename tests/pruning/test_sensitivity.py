"""Sensitivity curves: values by hand, what stays untouched, what is refused."""

import json
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

from scatter_theory.pruning._prune import prune
from scatter_theory.pruning._sensitivity import Sensitivity, sensitivity
from scatter_theory.pruning.masks._masks import Masks, weights
from scatter_theory.pruning.rules._gradient import Gradient
from scatter_theory.pruning.rules._weights import Magnitude, Random


def net():
    """Weights 1, 2, 3, 4 and then 10, 20, 30, 40."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        model[2].weight.copy_(10 * model[0].weight)
    return model


def total(model):
    """Sum of the moduli of what is alive."""
    return sum(float(w.abs().sum()) for w in weights(model, ["0.weight", "2.weight"]).values())


def test_values_by_hand():
    model = net()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = sensitivity(model, total, sparsities=(0.0, 0.25, 0.5, 1.0))
    assert found.baseline == 110 and found.layers == ("0.weight", "2.weight") and found.sizes == (4, 4)
    assert found.values.tolist() == [[110, 109, 107, 100], [110, 100, 80, 10]]
    assert found.together.tolist() == [110, 107, 100, 0]
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert str(found) == (
        "sensitivity to Magnitude(): 2 layers; unpruned value 110\n"
        "                      0       0.25        0.5          1\n"
        "0.weight            110        109        107        100\n"
        "2.weight            110        100         80         10\n"
        "all together        110        107        100          0"
    )


def test_skipped_layers_and_masks_stay():
    model = net()
    prune(model, sparsity=0.5, skip="last")
    masks = Masks.of(model)
    found = sensitivity(model, total, sparsities=(0.5, 0.75))
    assert found.baseline == 107 and found.values.tolist() == [[107, 104], [77, 47]]
    assert found.together.tolist() == [100, 70]  # 1 and 2 were gone; now 3 and 4, then 10 and 20
    assert Masks.of(model) == masks
    found = sensitivity(model, total, sparsities=(0.75,), skip="first")
    assert found.layers == ("2.weight",) and found.values.tolist() == [[47]] == [found.together.tolist()]
    with pytest.raises(ValueError, match="pruned already"):
        sensitivity(model, total, sparsities=(0.25,))


def test_evaluation_gets_copies():
    """In the modes of the model; what it does to them has no effect on the next one."""
    model = net().eval()
    seen = []

    def spoil(copy):
        seen.append((copy.training, total(copy)))
        copy.train()(torch.ones(3, 2))
        with torch.no_grad():
            for parameter in copy.parameters():
                parameter.zero_()
        return torch.tensor(float(len(seen)))

    found = sensitivity(model, spoil, sparsities=(0.5,))
    assert sorted(seen) == [(False, 80.0), (False, 100.0), (False, 107.0), (False, 110.0)]
    assert sorted([found.baseline, *found.together, *found.values.ravel()]) == [1, 2, 3, 4]
    assert total(model) == 110 and int(model[1].num_batches_tracked) == 0


def test_rules_that_need_more():
    data = [(torch.tensor([[0.0, 1.0], [0.0, 2.0]]),)]
    model = net().eval()
    found = sensitivity(
        model, total, rule=Gradient(), sparsities=(0.5,), data=data, loss=lambda m, b: m[0](b[0]).square().sum()
    )
    assert found.values[0].tolist() == [106]  # the first input is always 0: weights 1 and 3 have no effect
    with pytest.raises(ValueError, match="needs gradients"):
        sensitivity(model, total, rule=Gradient())


def test_random_rules_repeat():
    first, again, other = (sensitivity(net(), total, rule=Random(), seed=seed) for seed in (1, 1, 2))
    assert (first.values == again.values).all() and not (first.values == other.values).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sparsities": ()}, ValueError, r"got \(\)"),
        ({"sparsities": (0.5, 0.5)}, ValueError, "different numbers"),
        ({"sparsities": (0.5, 1.5)}, ValueError, "got 1.5"),
        ({"skip": "*"}, ValueError, "nothing is left"),
        ({"seed": None}, TypeError, "got None, expected a whole number"),
        ({"evaluate": lambda m: "good"}, TypeError, "gave str, expected one number"),
        ({"evaluate": lambda m: torch.zeros(2)}, TypeError, "gave Tensor"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_refused(options, error, message):
    with pytest.raises(error, match=message):
        sensitivity(net(), **{"evaluate": total, **options})


def test_storing():
    found = sensitivity(net(), total, sparsities=(0.25, 0.5))
    again = Sensitivity.from_dict(json.loads(json.dumps(found.to_dict())))
    assert str(again) == str(found) and again.to_dict() == found.to_dict()
    assert again.values.dtype == np.float64 and again.layers == found.layers and again.rule == repr(Magnitude())


def test_table():
    found = sensitivity(net(), total, sparsities=(0.25, 0.5))
    with mock.patch.dict(sys.modules, {"pandas": None}), pytest.raises(ImportError, match="package `pandas`"):
        found.to_frame()
    columns = {}
    fake = mock.Mock(DataFrame=lambda data: columns.update(data))
    with mock.patch.dict(sys.modules, {"pandas": fake}):
        found.to_frame()
    rows = list(zip(*(column.tolist() for column in columns.values()), strict=True))
    assert rows == [
        ("0.weight", 0.25, 109), ("0.weight", 0.5, 107), ("2.weight", 0.25, 100), ("2.weight", 0.5, 80),
        ("all", 0.25, 107), ("all", 0.5, 100),
    ]  # fmt: skip
