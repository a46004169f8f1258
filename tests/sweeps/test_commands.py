"""The commands `sweep` and `extract`."""

import numpy as np
import pytest

from scatter_theory import cli
from scatter_theory.sweeps import SweepResult

SPACE = """
measure = "energy"
[space]
depth = [1, 2]
nonlinearity = ["Modulus", "ReLU"]
frame = {kind = "Wavelets", J = 2}
grid = {shape = [16]}
options = {effort = {random = 2, structured = 4, steps = 0, restarts = 0}}
"""
NET = """
[grid]
shape = [16]
[[layer]]
frame = {kind = "Wavelets", J = 2}
"""


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Run a command in a folder with SPACE.toml and NET.toml: exit code, standard output, standard error."""
    (tmp_path / "SPACE.toml").write_text(SPACE)
    (tmp_path / "NET.toml").write_text(NET)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = cli.main(arguments)
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_sweep(told, tmp_path):
    code, out, _ = told("sweep", "SPACE.toml", "--store", "a.sqlite", "--dry-run")
    assert code == 0 and "4 cells in a.sqlite: 0 done, 0 failed, 4 to be measured" in out
    assert not (tmp_path / "a.sqlite").exists()
    code, out, err = told("sweep", "SPACE.toml", "--store", "a.sqlite", "--csv", "a.csv")
    assert code == 0 and "4 done, 0 failed, 0 missing" in out and "4 of 4 cells" in err
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 5
    code, _, err = told("sweep", "SPACE.toml", "--store", "a.sqlite")
    assert code == 0 and err == ""
    code, _, _ = told("sweep", "SPACE.toml", "--store", "a.sqlite", "--measure", "lipschitz")
    assert code == 0 and len(SweepResult.read(tmp_path / "a.sqlite").cells) == 8


def test_exit_codes_of_a_sweep(told, tmp_path):
    (tmp_path / "bad.toml").write_text(SPACE.replace("Wavelets", "Wavlets"))
    assert told("sweep", "bad.toml", "--store", "a.sqlite")[0] == 3
    (tmp_path / "violated.json").write_text('{"cell": [{"n": 1}], "measure": "sweep_measures:violated"}')
    assert told("sweep", "violated.json", "--store", "a.sqlite")[0] == 1
    for arguments, says in (
        (("none.toml", "--store", "a.sqlite"), "no file"),
        (("SPACE.toml", "--store", "none/a.sqlite"), "no folder"),
        (("SPACE.toml", "--store", "a.sqlite", "--measure", "enrgy"), "expected one of"),
        (("SPACE.toml", "--store", "NET.toml"), "no SQLite file"),
        (("SPACE.toml", "--store", "a.sqlite", "--executor", "0"), "whole number >= 1"),
    ):
        code, _, err = told("sweep", *arguments)
        assert code == 2 and says in err


def test_extract(told, tmp_path):
    np.save(tmp_path / "f.npy", np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32))
    code, out, _ = told("extract", "NET.toml", "f.npy", "a.zarr", "--chunk", "2", "--dry-run")
    assert code == 0 and "6 signals in 3 chunks of 2" in out and not (tmp_path / "a.zarr").exists()
    code, out, _ = told("extract", "NET.toml", "f.npy", "a.zarr", "--chunk", "2")
    assert code == 0 and "3 chunks computed" in out
    assert "3 were there" in told("extract", "NET.toml", "f.npy", "a.zarr", "--chunk", "2")[1]
    assert told("extract", "NET.toml", "f.npy", "b.zarr", "--engine", "exact", "--dtype", "float64")[0] == 0
    for arguments, says in (
        (("NET.toml", "none.npy", "c.zarr"), "no file"),
        (("NET.toml", "f.npy", "a.zarr", "--chunk", "3"), "something else"),
        (("none.toml", "f.npy", "c.zarr"), "cannot be read"),
    ):
        code, _, err = told("extract", *arguments)
        assert code == 2 and says in err
