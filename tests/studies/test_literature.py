"""The study of the literature: tiny runs of all parts, their tables, resume, and what is recorded."""

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fashion_files import write_fashion

import scatter_theory as st
from scatter_theory import theory
from studies.literature import (
    architectures,
    budget,
    compared,
    decay,
    discrete,
    images,
    importance,
    invariance,
    jobs,
    kernel,
    study,
    textures,
)

RESULTS = Path(study.__file__).parent / "results"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shortened():
    """Fewer combinations and frames, so that the quick path is a matter of seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decay, "QUICK", decay.Size(depth=2, random=1, structured=2, draws=2))
        patch.setattr(architectures, "WAVELETS", {"Haar": "haar"})
        patch.setattr(architectures, "NONLINEARITIES", {"modulus": st.Modulus()})
        patch.setattr(architectures, "POOLINGS", {"none": st.NoPooling(), "max": st.Max(2)})
        patch.setattr(discrete, "OTHERS", ("pixels", "kymatio"))
        patch.setattr(kernel, "MULTIPLES", (0.5, 1.0))
        patch.setattr(kernel, "COSTS", (1.0, 10.0))
        patch.setattr(architectures, "sampled", lambda phi, x: torch.cat([v.values.mean((-2, -1)) for v in phi(x)], 1))
        patch.setattr(architectures, "transform", _coarse(architectures.transform))
        for module in (compared, budget, textures):
            patch.setattr(module, "FRAMES", {name: compared.FRAMES[name] for name in ("tensor wavelets", "Haar")})
        patch.setattr(budget, "BUDGETS", {k: compared.Budget(1, 5, n, 4) for k, n in (("fashion", 14), ("digits", 4))})
        patch.setattr(importance, "LEVELS", 1)
        with pytest.MonkeyPatch.context() as figures:
            for part in study.PARTS.values():
                figures.setattr(part, "draw", lambda found, path: None)
            yield figures


def _coarse(transform):
    """The features, of which pixels and kymatio's transform keep 50."""

    def short(name, side):
        features = transform(name, side)
        return features if name in architectures.grid_names() else (lambda x: features(x).flatten(1)[:, :50])

    return short  # fmt: skip


@pytest.fixture(scope="module")
def finished(shortened, tmp_path_factory):
    folder, out = write_fashion(tmp_path_factory.mktemp("fashion")), tmp_path_factory.mktemp("results")
    assert study.main(["--quick", "--data", str(folder), "--out", str(out)]) == 0
    return folder, out


def table(out, name):
    with (out / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_bounds_hold_in_the_tables(finished):
    _, out = finished
    for row in table(out, "c_decay"):
        assert float(row["share"]) <= float(row["bound"]) * (1 + 1e-9)
    for row in table(out, "d_invariance"):
        assert row["outcome"] == "HOLDS" and float(row["measured"]) <= float(row["bound"]) * (1 + 1e-5)
    flat = [row for row in table(out, "d_invariance") if row["frame"] == invariance.CONTROL]
    assert len({row["bound"] for row in flat}) == 1
    promised = {row["signals"]: float(row["promised"]) for row in table(out, "e_exponents")}
    assert promised == {"band-limited": 1, "Lipschitz": 1, "cartoon": 0.5}
    by_share = {(r["frame"], float(r["share"])): int(r["unit"]) for r in table(out, "c_layers")}
    assert by_share["wavelets", 0.9] == theory.layers_needed(0.9, m=1.0001, rate=5 / 3) == 6
    assert by_share["Weyl-Heisenberg", 0.99] == 14


def test_tables_of_classifiers_hold_what_the_runs_say(finished):
    _, out = finished
    runs = [json.loads(p.read_text())["found"] for p in (out / "runs").glob("a-fashion-60-*.json")]
    for classifier in discrete.CLASSIFIERS:
        fits = {r["network"]: r["classifiers"][classifier] for r in runs}
        missed = {name: images.unpacked(fit["wrong"], 40).double() for name, fit in fits.items()}
        rows = {
            r["network"]: r
            for r in table(out, "a_discrete")
            if (r["data"], r["train"], r["classifier"]) == ("fashion", "60", classifier)
        }
        assert set(rows) == {"pixels", "kymatio", "Haar, modulus, none", "Haar, modulus, max"}
        assert rows["kymatio"]["minus_kymatio"] == ""
        for name, row in rows.items():
            assert float(row["error"]) == pytest.approx(100 * float(missed[name].mean()), rel=1e-5)
            assert {k: float(row[k]) for k in fits[name]["chosen"]} == pytest.approx(fits[name]["chosen"], rel=1e-5)
            if name != "kymatio":
                gap = 100 * (missed[name] - missed["kymatio"])
                assert float(row["minus_kymatio"]) == pytest.approx(float(gap.mean()), abs=1e-4)
                assert float(row["minus_kymatio_error"]) == pytest.approx(float(gap.std()) / 40**0.5, abs=1e-4)
    large = {(r["classifier"], r["network"]) for r in table(out, "a_discrete") if r["train"] == "90"}
    some = {"pixels", "kymatio", "Haar, modulus, max"}
    assert large == {("linear", n) for n in {*some, "Haar, modulus, none"}} | {("RBF", n) for n in some}
    for kind in importance.KINDS:
        rows = [r for r in table(out, "b_importance") if r["images"] == kind]
        assert sum(float(r["importance"]) for r in rows) == pytest.approx(1, abs=1e-5)
    assert {(r["data"], int(r["features"])) for r in table(out, "f_budget")} == {("fashion", 5 * 14**2), ("digits", 80)}


def test_the_table_of_textures_is_that_of_the_runs(finished):
    _, out = finished
    rows = {(r["frame"], int(r["train"])): r for r in table(out, "f_textures")}
    assert set(rows) == {(name, n) for name in ("kymatio", "tensor wavelets", "Haar") for n in (5, 112)}
    runs = {
        p.stem.split("-", 3)[3]: json.loads(p.read_text())["found"] for p in (out / "runs").glob("f-textures-*.json")
    }
    for (frame, count), row in rows.items():
        shares = {}
        for name in ("kymatio", frame.replace(" ", "-").lower()):
            run = next(r for r in runs[name]["runs"] if r["train"] == count)
            assert run["draws"] == (2 if count == 5 else 1)
            shares[name] = np.frombuffer(bytes.fromhex(run["wrong"]), np.uint8) / run["draws"]
        gap = 100 * (shares[name] - shares["kymatio"])
        assert int(row["tests"]) == len(gap) == 2 * 3 * 112
        assert float(row["error"]) == pytest.approx(100 * shares[name].mean(), abs=1e-4)
        if frame != "kymatio":
            assert float(row["minus_kymatio"]) == pytest.approx(gap.mean(), abs=1e-4)
            assert float(row["minus_kymatio_error"]) == pytest.approx(gap.std(ddof=1) / len(gap) ** 0.5, abs=1e-4)


def test_an_interrupted_study_continues_and_refuses_other_settings(finished, monkeypatch):
    folder, out = finished
    lost = out / "runs" / "e-cartoon.json"
    before, times = json.loads(lost.read_text()), {p: p.stat().st_mtime_ns for p in (out / "runs").glob("*.json")}
    text = (out / "e.md").read_text()
    lost.unlink()
    assert study.main(["--quick", "--part", "e", "--data", str(folder), "--out", str(out)]) == 0
    assert json.loads(lost.read_text())["found"] == before["found"] and (out / "e.md").read_text() == text
    assert {p for p, t in times.items() if p.stat().st_mtime_ns != t} == {lost}
    monkeypatch.setattr(invariance, "QUICK", invariance.Size(1, 0, 3, 0, 0))
    with pytest.raises(ValueError, match="choose another folder by `--out`"):
        study.main(["--quick", "--part", "d", "--out", str(out)])


def test_missing_images_are_named(tmp_path, capsys):
    assert study.main(["--part", "a", "--data", str(tmp_path)]) == 2
    assert "`dataset-fashion-mnist`" in capsys.readouterr().err
    with pytest.raises(ValueError, match="has 100 images"):
        images.fashion(write_fashion(tmp_path), 101, 40)


def test_missing_textures_are_named_before_anything_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    folder = write_fashion(tmp_path)
    assert study.main(["--quick", "--part", "f", "--data", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert "pip install scikit-image" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_large_table_has_the_combinations_that_the_training_images_choose():
    """Of the recorded results, by the errors on left-out training images alone."""
    with (RESULTS / "a_discrete.csv").open() as file:
        small = [r for r in csv.DictReader(file) if r["train"] == str(discrete.FULL.train)]
    best = []
    for classifier in discrete.CLASSIFIERS:
        grid = {
            r["network"]: float(r["validation"])
            for r in small
            if r["classifier"] == classifier and r["network"].count(", ") == 2
        }
        assert len(grid) == 32
        best.append(min(grid, key=grid.__getitem__))
    assert tuple(best) == discrete.FULL.best


def test_a_job_is_measured_once(tmp_path):
    calls = []
    job = jobs.Job("x", "y", {"n": (1, 2)}, lambda: calls.append(1) or [float(np.pi)])
    for _ in range(2):
        jobs.run(job, tmp_path)
    assert len(calls) == 1 and jobs.read([job], tmp_path) == {"y": [math.pi]}


@pytest.mark.slow
def test_figures_are_written(shortened, finished):
    folder, out = finished
    shortened.undo()
    assert study.main(["--quick", "--data", str(folder), "--out", str(out)]) == 0
    assert all((out / f"{letter}.png").read_bytes()[:4] == b"\x89PNG" for letter in study.PARTS)
