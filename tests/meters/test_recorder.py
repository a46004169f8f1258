"""Recorders: what they are handed by reports, indicators and pruning runs, and when."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from scatter_theory import bnn, pruning
from scatter_theory.meters import Pooling, Report


class Log(list):
    """A recorder that keeps what it is handed."""

    def __call__(self, step, values):
        assert type(step) is int and all(type(v) is float for v in values.values())
        self.append((step, dict(values)))


def test_report_hands_over_pooled_values_and_sites_without_gaps():
    values = {"mse": np.array([[1.0, 2.0], [5.0, np.nan]]), "n": np.array([[1.0, 3.0], [3.0, 0.0]])}
    rules = {"mse": Pooling("mean", "n"), "n": Pooling("sum", "n")}
    log = Log()
    Report("numbers", ("a", "b"), np.array([10, 20]), values, rules).log_to(log)
    assert log == [
        (10, {"mse": 4.0, "n": 4.0, "mse/a": 1.0, "mse/b": 5.0, "n/a": 1.0, "n/b": 3.0}),
        (20, {"mse": 2.0, "n": 3.0, "mse/a": 2.0, "n/a": 3.0, "n/b": 0.0}),
    ]


def trained(model, steps, after, scaler=None):
    """Train for some steps, and call a function after each; the weights at the end."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    with bnn.Indicators(model, every=2) as indicators:
        for k in range(steps):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
            after(k, indicators)
    return indicators, [p.detach().clone() for p in model.parameters()]


def test_indicators_hand_over_every_measured_step_once_and_change_nothing():
    torch.manual_seed(0)
    model = bnn.binarize_model(nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 2)), bnn.ReSTE(o=3))
    log, silent = Log(), copy.deepcopy(model)
    indicators, weights = trained(model, 9, lambda k, ind: ind.log_to(log) if k in (0, 2, 5, 6) else None)
    assert [step for step, _ in log] == [2, 4, 6]
    indicators.log_to(log)
    indicators.log_to(log)
    whole = Log()
    indicators.report().log_to(whole)
    assert [step for step, _ in log] == [2, 4, 6, 8] and log == whole
    _, expected = trained(silent, 9, lambda k, ind: None)
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))


def test_pruning_runs_hand_over_their_rows():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    data = [torch.randn(10, 6)]
    run = pruning.IterativePruning(model, pruning.Magnitude(), rate=0.25, cycles=3, measure=data)
    live, log = Log(), Log()
    for k, step in enumerate(run):
        step.record(accuracy=0.5 + 0.1 * k)
        live(k, {name: float(value) for name, value in step.report.row().items()})
    run.history.log_to(log)
    assert log == live and [k for k, _ in log] == [0, 1, 2]
    assert [values["accuracy"] for _, values in log] == [0.5, 0.6, 0.7]
    # 64 weights, a quarter of those alive at a time.
    assert [values["alive"] for _, values in log] == [64, 48, 36]
    assert log[0][1]["total"] == float(run.history.rate("total")[0]) and run.history.table()[1]["removed by rule"] == 16


@pytest.mark.parametrize("recorder", [None, "wandb", object()], ids=["None", "str", "object"])
def test_what_cannot_be_called_is_refused(recorder):
    report = Report("numbers", ("a",), np.array([1]), {"n": np.ones((1, 1))}, {"n": Pooling("sum", "n")})
    with pytest.raises(TypeError, match=r"`Report\.log_to\(recorder\)`: got .*wandb\.log"):
        report.log_to(recorder)
    with pytest.raises(TypeError, match=r"`History\.log_to\(recorder\)`: got"):
        pruning.History({}, ()).log_to(recorder)
