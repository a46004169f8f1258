"""Killed at random moments, on every executor: nothing that was finished is lost, and the end is the same."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import scatter_theory as st
from scatter_theory.sweeps import StoreError
from scatter_theory.sweeps._store import read, repeatable

TESTS = Path(__file__).parents[1]
SWEEP = """
import json, sys
import scatter_theory as st
if __name__ == "__main__":
    space, measure, store, executor = json.loads(sys.argv[1])
    st.sweep(space, measure, store=store, executor=executor, progress=False)
"""


def started(folder, space, measure, store, executor=None):
    """The sweep as a process of its own."""
    import json

    script = folder / "script.py"
    script.write_text(SWEEP)
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}
    arguments = json.dumps([space, measure, str(store), executor])
    return subprocess.Popen([sys.executable, str(script), arguments], env=environment, cwd=folder)


def stored(store):
    try:
        return read(store)
    except StoreError:
        return {}


def killed(folder, space, measure, store, *, more, draw, executor=None):
    """Kill the sweep a little after it has stored so many more cells; the rows at that moment."""
    before = len(stored(store))
    process = started(folder, space, measure, store, executor)
    try:
        limit = time.monotonic() + 120
        while process.poll() is None and len(stored(store)) < before + more and time.monotonic() < limit:
            time.sleep(0.02)
        time.sleep(draw.random() * 0.15)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return stored(store)


def test_a_killed_sweep_goes_on(tmp_path):
    space, measure = {"n": list(range(40)), "seconds": 0.02}, "sweep_measures:pause"
    rows = killed(tmp_path, space, measure, tmp_path / "a.sqlite", more=5, draw=random.Random(1))
    assert 5 <= len(rows) < 40
    resumed = st.sweep(space, measure, store=tmp_path / "a.sqlite", progress=False)
    whole = st.sweep(space, measure, store=tmp_path / "b.sqlite", progress=False)
    after = read(resumed.path)
    assert all(after[key] == row for key, row in rows.items())
    assert repeatable(after) == repeatable(read(whole.path)) and len(after) == 40


@pytest.mark.slow
@pytest.mark.parametrize("executor", [None, 2])
def test_ten_kills_in_three_hundred_cells(tmp_path, executor):
    space = {
        "grid": {"shape": [32]}, "frame": [{"kind": "Wavelets", "J": 2}, {"kind": "LogGabor", "J": 2}],
        "nonlinearity": ["Modulus", "ReLU", "Tanh"], "depth": [1, 2], "draw": list(range(25)),
        "options": {"effort": {"random": 2, "structured": 8, "steps": 2, "restarts": 1}},
    }  # fmt: skip
    store, draw, seen = tmp_path / "a.sqlite", random.Random(2), {}
    for _ in range(10):
        rows = killed(tmp_path, space, "lipschitz", store, more=draw.randrange(1, 25), draw=draw, executor=executor)
        assert all(rows[key] == row for key, row in seen.items())
        seen = rows
    assert 10 <= len(seen) < 300
    resumed = st.sweep(space, "lipschitz", store=store, progress=False)
    whole = st.sweep(space, "lipschitz", store=tmp_path / "b.sqlite", progress=False)
    after = read(store)
    assert len(resumed.cells) == 300 == len(after) and resumed.failed() == []
    assert all(after[key] == row for key, row in seen.items())
    assert repeatable(after) == repeatable(read(whole.path))


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_sweep(tmp_path):
    psutil = pytest.importorskip("psutil")
    process = started(
        tmp_path, {"n": list(range(500)), "seconds": 0.05}, "sweep_measures:pause", tmp_path / "a.sqlite", 2
    )
    while not stored(tmp_path / "a.sqlite"):
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert children
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@pytest.mark.slow
def test_a_worker_that_dies_once_is_retried_and_one_that_always_dies_is_recorded(tmp_path):
    marker = tmp_path / "marker"
    cells = [{"n": n} for n in (1, 2, 3, 13)] + [{"n": 5, "marker": str(marker)}]
    pool = st.sweep(cells, "sweep_measures:mixed", store=tmp_path / "a.sqlite", executor=2, progress=False)
    assert marker.exists() and pool.missing() == [] and pool.details(cells[4])["attempts"] > 1
    assert [failure["configuration"] for failure in pool.failed()] == [{"n": 13}]
    serial = st.sweep(cells, "sweep_measures:mixed", store=tmp_path / "b.sqlite", progress=False)
    assert repeatable(read(pool.path)) == repeatable(read(serial.path))
    deadly = {"n": list(range(6))}
    result = st.sweep(deadly, "sweep_measures:deadly", store=tmp_path / "c.sqlite", executor=2, progress=False)
    (failure,) = result.failed()
    assert failure["configuration"] == {"n": 0} and "WorkerDied" in failure["error"]
    assert [row.get("square") for row in result.table()] == [None, 1, 4, 9, 16, 25]
