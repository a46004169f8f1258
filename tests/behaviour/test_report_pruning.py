"""The report's section on pruning: its claims hold, its violators are seen, and a wrong rate would be told."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from scatter_theory import pruning
from scatter_theory.report import _code, _page, _pruning, _pruning_checks, _store, _tasks
from scatter_theory.results import Outcome, Verdict

VIOLATORS = ("waking, both signs", "waking, next layer")


@pytest.fixture(scope="module")
def checks():
    return {f"{_pruning.KEY}/{name}": job() for name, job in _pruning_checks.jobs(seed=0)}


def test_the_plan_has_the_task_once():
    for quick in (True, False):
        assert [task.kind for task in _tasks.plan(quick=quick)].count("pruning") == 1


def test_claims_hold_and_each_hypothesis_is_needed(checks):
    for name, check in checks.items():
        violator = name.removeprefix("pruning/") in VIOLATORS
        assert check.outcome is (Outcome.INAPPLICABLE if violator else Outcome.HOLDS), name
        assert not violator or check.measured.max() > 0, name
    assert Verdict(checks).exit_code == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_claims_hold_for_other_seeds(seed):
    for name, job in _pruning_checks.jobs(seed):
        if name not in VIOLATORS and name != "masks":
            assert job().outcome is Outcome.HOLDS, name


def test_values_are_those_of_the_closed_forms(checks):
    """Phi(-0.5), Phi(-1), and static, dynamic and total rate for two weights, each pruned with probability 1/2."""
    gaussian, masked = checks["pruning/Gaussian"], checks["pruning/random masks"]
    at = {float(x): v for x, v in zip(gaussian.x, gaussian.extra["value"], strict=True)}
    assert at[0.5] == pytest.approx(0.308538, abs=3e-5) and at[1.0] == pytest.approx(0.158655, abs=3e-5)
    assert masked.extra["value"][masked.x == 2].tolist() == [0.25, 0.375, 0.625]
    assert checks["pruning/waking, next layer"].measured.tolist() == [1.0]


@pytest.mark.parametrize("name", ["signs", "sums", "Gaussian", "batch norm", "random masks"])
def test_another_count_would_be_a_violation(name, monkeypatch):
    """A counter that misses one dead entry in a hundred."""
    original = pruning.dead_neurons

    def wrong(*args, **options):
        found = original(*args, **options)
        counts = {**found.counts, "dead": (found.counts["dead"] * 0.99).astype(int)}
        channel_dead = {site: dead * 0.99 for site, dead in found.channel_dead.items()}
        return pruning.DeadNeurons(**{**vars(found), "counts": counts, "channel_dead": channel_dead})

    monkeypatch.setattr(pruning, "dead_neurons", wrong)
    assert dict(_pruning_checks.jobs(0))[name]().outcome is Outcome.VIOLATED


def test_masks_that_let_weights_move_would_be_a_violation(monkeypatch):
    original = pruning.weights
    monkeypatch.setattr(pruning, "weights", lambda *a: {n: w + 1e-9 for n, w in original(*a).items()})
    assert _pruning_checks.masks(0).outcome is Outcome.VIOLATED


def test_another_order_of_weights_would_be_a_violation(monkeypatch):
    original = pruning.prune
    monkeypatch.setattr(pruning, "prune", lambda net, **o: original(net, pruning.Random(), **o))
    assert _pruning_checks.magnitude(0).outcome is Outcome.VIOLATED


def test_the_section_shows_every_check(checks, tmp_path):
    restored = {name: _store.restored(_store.plain(check)) for name, check in checks.items()}
    page = _page._pruned(restored, tmp_path)
    assert page.count("HOLDS") == len(checks) - len(VIOLATORS) and page.count("INAPPLICABLE") == len(VIOLATORS)
    assert "Pruning and dead neurons" in page and page.count("data:image/png") == 1
    assert _page._pruned({}, tmp_path) == ""
    heads, rows = _pruning.table(restored)
    assert len(rows) == len(checks) and all(len(row) == len(heads) for row in rows)


def test_the_code_of_the_figure_draws_from_the_report(checks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = {"checks": {key: _store.plain(check) for key, check in checks.items()}}
    (tmp_path / "report.json").write_text(json.dumps(table))
    exec(_code.of_section("pruning"), {})
    counted = {line.get_label(): line.get_ydata() for line in plt.gca().lines}
    for kind in ("Gaussian", "batch norm"):
        np.testing.assert_array_equal(counted[kind], checks[f"pruning/{kind}"].extra["value"])


def test_the_overview_of_families_leaves_them_out(checks):
    assert len(_page._networks_of(Verdict(checks), {_pruning.KEY: "pruning"})) == 0


def test_the_task_returns_what_can_be_stored(tmp_path):
    result = _tasks.perform(_tasks.Task(_pruning.KEY, "pruning"), 0, tmp_path)
    assert set(result["checks"]) == {f"pruning/{name}" for name, _ in _pruning_checks.jobs(0)}
    assert np.isfinite(result["seconds"]) and torch.get_default_dtype() is torch.float32
