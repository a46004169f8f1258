"""Sweeps: what is measured and stored, what is reused, and that every executor gives the same."""

import io
import math
import sqlite3

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory.sweeps import StoreError, SweepResult, open_workers
from scatter_theory.sweeps import _store as store_module
from scatter_theory.sweeps._progress import Progress
from scatter_theory.sweeps._store import read, repeatable

ARITHMETIC = "sweep_measures:arithmetic"
EFFORT = {"random": 2, "structured": 8, "steps": 2, "restarts": 1}
SPACE = {
    "grid": {"shape": [32]}, "frame": [{"kind": "Wavelets", "J": 2}, {"kind": "LogGabor", "J": 2}],
    "nonlinearity": "Modulus", "pooling": {"kind": "Subsample", "factor": 2}, "depth": [1, 2],
    "options": {"effort": EFFORT},
}  # fmt: skip


def swept(space, measure, path, **options):
    return st.sweep(space, measure, store=path, progress=False, **options)


def test_values_are_those_of_the_function(tmp_path):
    result = swept({"n": range(4)}, ARITHMETIC, tmp_path / "a.sqlite")
    rows = result.table()
    assert [(row["n"], row["square"], row["state"]) for row in rows] == [(n, n * n, "done") for n in range(4)]
    for cell, row in zip(result.cells, rows, strict=True):
        draw = np.random.default_rng(cell.seed).standard_normal(3)
        stored = result.details(cell.configuration)
        assert row["draw"] == draw[0] and stored["seed"] == cell.seed and stored["attempts"] == 1
        assert np.array_equal(stored["witness"]["draw"], draw)
        assert stored["environment"]["versions"]["torch"] == torch.__version__ and stored["seconds"] > 0
    assert result.best("square")["n"] == 3 and result.missing() == [] and result.failed() == []
    assert "4 done, 0 failed, 0 missing" in repr(result)
    with pytest.raises(KeyError, match="no outcome"):
        result.details({"n": 7})
    with pytest.raises(ValueError, match="no finished cell"):
        result.best("ratio")


def test_only_what_is_missing_is_measured(tmp_path):
    path = tmp_path / "a.sqlite"
    swept({"n": [1, 2]}, ARITHMETIC, path)
    before = read(path)
    result = swept({"n": [3, 2, 1]}, ARITHMETIC, path)
    after = read(path)
    assert len(after) == 3 and all(after[key] == row for key, row in before.items())
    assert [row["square"] for row in result.table()] == [9, 4, 1]
    assert len(SweepResult.read(path).cells) == 3


def test_failures_are_stored_and_tried_again_on_demand(tmp_path, monkeypatch):
    path = tmp_path / "a.sqlite"
    result = swept({"n": [12, 13, 14]}, ARITHMETIC, path)
    (failure,) = result.failed()
    assert failure["configuration"] == {"n": 13} and "the cell with n = 13 fails" in failure["error"]
    assert "Traceback" in failure["error"] and result.missing() == []
    assert [row["state"] for row in result.table()] == ["done", "failed", "done"]
    assert swept({"n": [13]}, ARITHMETIC, path).details({"n": 13})["attempts"] == 1
    again = swept({"n": [12, 13]}, ARITHMETIC, path, retry_failed=True)
    assert again.details({"n": 13})["attempts"] == 2 and again.details({"n": 12})["attempts"] == 1
    import sweep_measures

    monkeypatch.setattr(sweep_measures, "arithmetic", lambda configuration, seed: {"square": -1})
    repaired = swept({"n": [12, 13]}, ARITHMETIC, path, retry_failed=True)
    assert [row["square"] for row in repaired.table()] == [144, -1]


@pytest.mark.parametrize("measure", ["translation", "lipschitz", "energy", "deformation"])
def test_checks_are_those_of_the_verifier(tmp_path, measure):
    space = {**SPACE, "depth": 1, "frame": {"kind": "Wavelets", "J": 2}}
    result = swept(space, measure, tmp_path / "a.sqlite")
    (cell,) = result.cells
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
    phi = st.FeatureExtractor([layer], st.Grid.line(32))
    signals = (st.signals.BandLimited(0.25),) if measure == "deformation" else ()
    check = getattr(st.verify, measure)(phi, *signals, effort=st.verify.Effort(**EFFORT), generator=cell.seed)
    (row,) = result.table()
    assert row["ratio"] == check.worst and row["outcome"] == check.outcome.name
    points = result.table(points=True)
    assert [p["measured"] for p in points] == list(check.measured) and [p["series"] for p in points] == [*check.series]
    assert [p["bound"] for p in points] == list(check.bound)
    stored = result.details(cell.configuration)
    assert stored["budget"] == check.to_dict()["budget"]
    assert np.array_equal(stored["witness"]["f"], check.witness["f"])
    assert row["measured"] == max(points, key=lambda p: p["ratio"])["measured"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frame": {"kind": "Wavlets"}}, "Did you mean 'Wavelets'"),
        ({"depht": 2}, "unknown `depht`"),
        ({"options": {"efort": {}}}, "unknown `efort`"),
        ({"options": {"generator": 3}}, "unknown `generator`"),
        ({"depth": 0}, "whole number of equal layers"),
        ({"layer": []}, "both `layer`"),
        ({"options": {"band": 0.5}}, "unknown `band`"),
    ],
)
def test_a_wrong_configuration_is_a_failed_cell(tmp_path, change, says):
    (failure,) = swept(
        [{**SPACE, "frame": "MexicanHat", "depth": 1, **change}], "energy", tmp_path / "a.sqlite"
    ).failed()
    assert says in failure["error"]


def test_layers_one_by_one_are_the_same_network(tmp_path):
    layer = {name: SPACE[name] for name in ("nonlinearity", "pooling")} | {"frame": {"kind": "Wavelets", "J": 2}}
    common = {"grid": {"shape": [32]}, "options": SPACE["options"]}
    cells = [{**common, **layer, "depth": 2}, {**common, "layer": [layer, layer]}]
    result = swept(cells, "energy", tmp_path / "a.sqlite")
    assert result.failed() == []
    bounds = [[p["bound"] for p in result.details(c)["result"]["points"]] for c in cells]
    assert bounds[0] == bounds[1]


def test_forecast_counts_and_writes_nothing(tmp_path):
    path = tmp_path / "a.sqlite"
    space = {**SPACE, "frame": [{"kind": "Wavelets", "J": 2}, {"kind": "Wavlets"}], "draw": [0, 1]}
    forecast = swept(space, "energy", path, dry_run=True).forecast()
    assert not path.exists()
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
    plans = [st.FeatureExtractor([layer] * n, st.Grid.line(32)).plan() for n in (1, 2)]
    assert (forecast.cells, forecast.missing, len(forecast.refused)) == (8, 8, 2)
    assert [(n.cells, n.paths, n.coefficients) for n in forecast.networks] == [
        (2, sum(plan.paths), plan.coefficients) for plan in plans
    ]
    assert "8 to be measured" in str(forecast) and "Did you mean" in str(forecast)
    swept([{"n": 1}], ARITHMETIC, path)
    assert swept({"n": [1, 2]}, ARITHMETIC, path, dry_run=True).forecast().missing == 1


@pytest.mark.parametrize(
    ("measure", "says"),
    [
        ("transation", "expected one of"),
        ("no_such_module:f", "cannot be imported"),
        ("sweep_measures:f", "no function 'f'"),
        (None, "got None"),
    ],
)
def test_unknown_measures_are_refused_before_anything_runs(tmp_path, measure, says):
    with pytest.raises(ValueError, match=says):
        swept({"n": [1]}, measure, tmp_path / "a.sqlite")
    assert not (tmp_path / "a.sqlite").exists()


@pytest.mark.parametrize("executor", [0, -1, True, 2.5, [2]])
def test_what_is_no_executor_is_refused(tmp_path, executor):
    with pytest.raises((TypeError, ValueError), match="executor"):
        swept({"n": [1]}, ARITHMETIC, tmp_path / "a.sqlite", executor=executor)


# --- executors -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_give_what_one_process_gives(tmp_path):
    cells = [{"n": n} for n in (1, 2, 3, 13)]
    pool = swept(cells, "sweep_measures:mixed", tmp_path / "pool.sqlite", executor=2)
    serial = swept(cells, "sweep_measures:mixed", tmp_path / "serial.sqlite")
    assert [failure["configuration"] for failure in pool.failed()] == [{"n": 13}] and pool.missing() == []
    assert repeatable(read(pool.path)) == repeatable(read(serial.path))


def test_dask_gives_what_one_process_gives(tmp_path):
    distributed = pytest.importorskip("distributed")
    serial = swept(SPACE, "lipschitz", tmp_path / "serial.sqlite")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
        dask = swept(SPACE, "lipschitz", tmp_path / "dask.sqlite", executor=client)
        again = swept({"n": [1, 13]}, ARITHMETIC, tmp_path / "dask.sqlite", executor=client)
    assert serial.failed() == [] and len(again.failed()) == 1
    rows = read(dask.path, {cell.key for cell in dask.cells})
    assert repeatable(rows) == repeatable(read(serial.path))


def test_one_thread_everywhere_and_the_caller_gets_back_his(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        (row,) = swept({"n": [1]}, "sweep_measures:threads", tmp_path / "a.sqlite").table()
        assert row["threads"] == 1 and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_executor_of_the_caller(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        result = swept({"n": range(5)}, ARITHMETIC, tmp_path / "a.sqlite", executor=pool)
        assert pool.submit(int).result() == 0
    assert [row["square"] for row in result.table()] == [0, 1, 4, 9, 16]
    with open_workers(pool) as workers:
        assert workers.slots == 4


# --- interruption ----------------------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    import sweep_measures

    path, original = tmp_path / "a.sqlite", sweep_measures.arithmetic

    def interrupted(configuration, seed):
        if configuration["n"] == 3:
            raise KeyboardInterrupt
        return original(configuration, seed)

    monkeypatch.setattr(sweep_measures, "arithmetic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        st.sweep({"n": range(6)}, ARITHMETIC, store=path)
    assert "3 of 6 cells are in" in capsys.readouterr().err
    assert len(read(path)) == 3
    monkeypatch.setattr(sweep_measures, "arithmetic", original)
    swept({"n": range(6)}, ARITHMETIC, path)
    whole = swept({"n": range(6)}, ARITHMETIC, tmp_path / "b.sqlite")
    assert repeatable(read(path)) == repeatable(read(whole.path))


# --- the store -------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_and_keeps_what_is_there(tmp_path, monkeypatch):
    path = tmp_path / "a.sqlite"
    swept({"n": range(3)}, ARITHMETIC, path)
    connect = sqlite3.connect

    def small(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 4")
        return connection

    monkeypatch.setattr(store_module.sqlite3, "connect", small)
    with pytest.raises(StoreError, match="disk is full"):
        swept({"n": range(3, 200)}, ARITHMETIC, path)
    monkeypatch.undo()
    kept = len(read(path))
    assert 3 <= kept < 200
    assert swept({"n": range(200)}, ARITHMETIC, path).missing() == []


def test_a_store_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    path = tmp_path / "a.sqlite"
    swept({"n": [1]}, ARITHMETIC, path)
    before, connect = path.read_bytes(), sqlite3.connect
    monkeypatch.setattr(
        store_module.sqlite3,
        "connect",
        lambda path, **o: connect(f"file:{path}?mode=ro", uri=True, isolation_level=None),
    )
    with pytest.raises(StoreError, match="cannot be written"):
        swept({"n": [2]}, ARITHMETIC, path)
    monkeypatch.undo()
    assert path.read_bytes() == before and len(read(path)) == 1


def test_other_files_are_refused(tmp_path):
    text, other, newer = (tmp_path / name for name in ("text.sqlite", "other.sqlite", "newer.sqlite"))
    text.write_text("not a data base, but long enough to be read as one\n" * 20)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE results (key)")
    connection.close()
    swept({"n": [1]}, ARITHMETIC, newer)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for path, says in ((text, "no SQLite file"), (other, "another program"), (newer, "has schema 99")):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=says):
            swept({"n": [1]}, ARITHMETIC, path)
        with pytest.raises(StoreError, match=says):
            SweepResult.read(path)
        assert path.read_bytes() == before
    with pytest.raises(StoreError, match="no folder"):
        swept({"n": [1]}, ARITHMETIC, tmp_path / "none" / "a.sqlite")
    with pytest.raises(StoreError, match="no file"):
        SweepResult.read(tmp_path / "none.sqlite")


def test_a_closed_store_is_one_file(tmp_path):
    swept({"n": [1]}, ARITHMETIC, tmp_path / "a.sqlite")
    SweepResult.read(tmp_path / "a.sqlite").table()
    assert [p.name for p in tmp_path.iterdir()] == ["a.sqlite"]


# --- tables, figures, progress ---------------------------------------------------------------------------------------


def test_tables_are_written(tmp_path):
    result = swept({"n": [1, 13]}, ARITHMETIC, tmp_path / "a.sqlite")
    lines = result.to_csv(tmp_path / "a.csv").read_text().splitlines()
    assert (
        lines[0] == "n,state,draw,square,seconds"
        and lines[1].startswith("1,done,")
        and lines[2].startswith("13,failed,,,")
    )


def test_tables_as_frames(tmp_path):
    pytest.importorskip("pandas")
    frame = swept({"n": [1, 13]}, ARITHMETIC, tmp_path / "a.sqlite").to_frame()
    assert list(frame["n"]) == [1, 13] and math.isnan(frame["square"][1])


def test_tables_as_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = swept({"n": [1, 13]}, ARITHMETIC, tmp_path / "a.sqlite").to_parquet(tmp_path / "a.parquet")
    assert list(pandas.read_parquet(path)["n"]) == [1, 13]


def test_the_figure_shows_every_cell_and_the_largest(tmp_path):
    cells = [{"n": n, "kind": kind, "again": a} for n in (1, 2) for kind in ("a", "b") for a in (0, 1)] + [{"n": 13}]
    result = swept(cells, ARITHMETIC, tmp_path / "a.sqlite")
    display = result.plot("n", "draw", by="kind")
    assert "1 cells have no number here" in display.ax_.get_xlabel()
    rows = [row for row in result.table() if row["state"] == "done"]
    for kind in ("a", "b"):
        largest = [max(r["draw"] for r in rows if r["n"] == n and r["kind"] == kind) for n in (1, 2)]
        assert list(display.artists["curves"][kind].get_ydata()) == largest
        assert len(display.artists["points"][kind].get_offsets()) == 4
    with pytest.raises(ValueError, match="expected one of"):
        result.plot("nn", "draw")
    with pytest.raises(ValueError, match="finite number"):
        result.plot("n", "state")


def test_progress_is_a_line_per_tenth_or_one_line():
    now = iter(range(100))
    plain = Progress("cells", 20, stream=io.StringIO(), clock=lambda: float(next(now)))
    for _ in range(20):
        plain.step("1 failed")
    lines = plain.stream.getvalue().splitlines()
    assert len(lines) == 10 and lines[0].startswith("2 of 20 cells, 1 failed, about 9 s left")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    live = Progress("cells", 3, stream=Terminal())
    for _ in range(3):
        live.step()
    assert live.stream.getvalue().count("\r") == 3 and live.stream.getvalue().count("\n") == 1
