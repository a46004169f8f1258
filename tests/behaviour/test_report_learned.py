"""The section of the report on learned frames and trained networks: claims hold, violators and errors are seen."""

import json
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from scatter_theory import certify, frames
from scatter_theory.report import _code, _learned, _learned_checks, _page, _store, _tasks, _trained_checks
from scatter_theory.results import Outcome, Verdict

VIOLATORS = ("training, raw taps", "certificates, halved")


def jobs(seed):
    return dict([*_learned_checks.jobs(seed), *_trained_checks.jobs(seed)])


@pytest.fixture(scope="module")
def checks():
    return {f"{_learned.KEY}/{name}": job() for name, job in jobs(0).items()}


def test_the_plan_has_the_task_once():
    for quick in (True, False):
        assert [task.kind for task in _tasks.plan(quick=quick)].count("learned") == 1
    assert set(jobs(0)) == {name for name, _ in _tasks._JOBS["learned"](None, 0)}


def test_claims_hold_and_each_hypothesis_is_needed(checks):
    assert len(checks) == 10
    for name, check in checks.items():
        violator = name.removeprefix("learned/") in VIOLATORS
        assert check.outcome is (Outcome.INAPPLICABLE if violator else Outcome.HOLDS), name
        assert not violator or (check.measured > check.bound + check.rounding).any(), name
    assert Verdict(checks).exit_code == 0


@pytest.mark.parametrize("name", ["weights", "other grids", "convolutions", "all grids", "batch norm"])
def test_claims_hold_for_another_seed(name):
    assert jobs(1)[name]().outcome is Outcome.HOLDS


def test_training_moves_what_may_move(checks):
    """The range is used, and every parametrisation is seen at every step."""
    check = checks["learned/training"]
    names = np.array(check.series)
    assert set(names) == set(_learned_checks.RANGES) and len(check.x) == 7 * (_learned_checks.STEPS + 1)
    moved = check.extra["A"][names == "range"]
    assert np.ptp(moved) > 0.05 and moved.min() >= 0.5


@pytest.mark.parametrize("form", ["range", "paraunitary"])
def test_bounds_outside_the_range_would_be_a_violation(form, monkeypatch):
    monkeypatch.setitem(_learned_checks.RANGES, form, (0.9999, 0.9999))
    assert jobs(0)["weights"]().outcome is Outcome.VIOLATED


def test_a_frame_that_is_tight_on_its_own_grid_only_would_be_a_violation(monkeypatch):
    original = frames.Learned.on

    def on(self, grid, **options):
        bank = original(self, grid, **options)
        return bank if grid.shape[0] != 16 else bank.scaled(1 + 1e-9)

    monkeypatch.setattr(frames.Learned, "on", on)
    assert jobs(0)["other grids"]().outcome is Outcome.VIOLATED


def test_wrong_bounds_of_convolutions_would_be_a_violation(monkeypatch):
    original = certify.conv_bounds
    monkeypatch.setattr(certify, "conv_bounds", lambda layer, shape: original(layer, tuple(n + 1 for n in shape)))
    monkeypatch.setattr(_trained_checks, "LAYERS", _trained_checks.LAYERS[:1])
    assert jobs(0)["convolutions"]().outcome is Outcome.VIOLATED


def test_radii_that_are_too_long_would_be_a_violation(monkeypatch):
    original = certify.torch_model

    def torch_model(net, shape, **options):
        return replace(found := original(net, shape, **options), upper=found.lower / 20)

    monkeypatch.setattr(certify, "torch_model", torch_model)
    assert jobs(0)["radii"]().outcome is Outcome.VIOLATED


def test_the_section_shows_every_check(checks, tmp_path):
    restored = {name: _store.restored(_store.plain(check)) for name, check in checks.items()}
    page = _page._learned_frames(restored, tmp_path)
    assert page.count("HOLDS") == len(checks) - len(VIOLATORS) and page.count("INAPPLICABLE") == len(VIOLATORS)
    assert "Learned frames and trained networks" in page and page.count("data:image/png") == 1
    assert _page._learned_frames({}, tmp_path) == ""
    heads, rows = _learned.table(restored)
    assert len(rows) == len(checks) and all(len(row) == len(heads) for row in rows)


def test_the_code_of_the_figure_draws_from_the_report(checks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = {"checks": {key: _store.plain(check) for key, check in checks.items()}}
    (tmp_path / "report.json").write_text(json.dumps(table))
    exec(_code.of_section("learned"), {})
    drawn = {line.get_label(): line.get_ydata() for line in plt.gca().lines}
    np.testing.assert_array_equal(drawn["certified"], checks["learned/certificates"].bound)
    np.testing.assert_array_equal(drawn["attained"], checks["learned/certificates"].measured)


def test_the_overview_of_families_leaves_them_out(checks):
    assert len(_page._networks_of(Verdict(checks), {_learned.KEY: "learned"})) == 0
