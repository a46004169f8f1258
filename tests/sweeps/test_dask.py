"""A cluster of processes on this machine: equal tables, deaths, throughput and overhead."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, wait

import pytest

import scatter_theory as st
from scatter_theory.sweeps._executors import start_worker
from scatter_theory.sweeps._store import read, repeatable

pytestmark = pytest.mark.slow
SPACE = {
    "grid": {"shape": [32]}, "frame": [{"kind": "Wavelets", "J": 2}, {"kind": "LogGabor", "J": 2}],
    "nonlinearity": ["Modulus", "ReLU"], "depth": [1, 2],
    "options": {"effort": {"random": 2, "structured": 8, "steps": 2, "restarts": 1}},
}  # fmt: skip


@pytest.fixture(scope="module")
def client():
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as opened,
    ):
        yield opened


def swept(space, measure, path, executor=None):
    return st.sweep(space, measure, store=path, executor=executor, progress=False)


@pytest.mark.parametrize("measure", ["translation", "deformation", "lipschitz", "energy"])
def test_serial_processes_and_dask_agree(tmp_path, client, measure):
    tables = []
    for name, executor in (("serial", None), ("pool", 2), ("dask", client)):
        result = swept(SPACE, measure, tmp_path / name, executor)
        assert result.failed() == [] and result.missing() == []
        tables.append(repeatable(read(result.path)))
    assert tables[0] == tables[1] == tables[2]


def test_the_name_dask_starts_a_cluster(tmp_path):
    result = swept({"n": list(range(6))}, "sweep_measures:arithmetic", tmp_path / "a.sqlite", "dask")
    assert [row["square"] for row in result.table()] == [0, 1, 4, 9, 16, 25]


def test_an_address_is_a_scheduler(tmp_path, client):
    result = swept({"n": [3]}, "sweep_measures:arithmetic", tmp_path / "a.sqlite", client.scheduler.address)
    assert result.table()[0]["square"] == 9


def test_deaths(tmp_path, client):
    marker = tmp_path / "marker"
    cells = [{"n": n} for n in range(5)] + [{"n": 5, "marker": str(marker)}]
    result = swept(cells, "sweep_measures:mixed", tmp_path / "a.sqlite", client)
    assert marker.exists() and result.failed() == [] and result.missing() == []
    deadly = swept({"n": list(range(5))}, "sweep_measures:deadly", tmp_path / "b.sqlite", client)
    (failure,) = deadly.failed()
    assert failure["configuration"] == {"n": 0} and deadly.missing() == []


@pytest.fixture
def pool():
    """Two processes that have started."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), start_worker) as opened:
        wait([opened.submit(time.sleep, 3.0) for _ in range(2)])
        yield opened


@pytest.mark.parametrize("kind", ["pool", "client"])
def test_two_workers_do_nearly_twice_as_much(tmp_path, kind, request):
    executor = request.getfixturevalue(kind)
    swept({"n": list(range(8)), "seconds": 0.01}, "sweep_measures:pause", tmp_path / "first", executor)
    seconds = []
    for name, used in (("one", None), ("two", executor)):
        started = time.perf_counter()
        swept({"n": list(range(20, 36)), "seconds": 1.0}, "sweep_measures:pause", tmp_path / name, used)
        seconds.append(time.perf_counter() - started)
    assert seconds[0] / seconds[1] >= 1.7


def test_overhead(tmp_path, client):
    """Seconds per cell that does nothing: 20 ms in this process, 60 ms on Dask."""
    for name, executor, limit in (("serial", None, 0.020), ("dask", client, 0.060)):
        started = time.perf_counter()
        swept({"n": list(range(100, 400))}, "sweep_measures:arithmetic", tmp_path / name, executor)
        assert (time.perf_counter() - started) / 300 < limit
