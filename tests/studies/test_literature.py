"""The study of the literature: tiny runs of all parts, resume, and what its functions promise."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from fashion_files import write_fashion

import scatter_theory as st
from scatter_theory import theory
from studies.literature import architectures, budget, decay, discrete, images, importance, invariance, jobs, study

#: Combinations of part a, and frames of part f, that the tiny run makes.
SOME = ("Haar, modulus, max", "biorthogonal, sigmoid - 1/2, none")


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
        patch.setattr(discrete, "BY_PENALTY", ("kymatio",))
        patch.setattr(architectures, "sampled", lambda phi, x: torch.cat([v.values.mean((-2, -1)) for v in phi(x)], 1))
        patch.setattr(architectures, "transform", _coarse(architectures.transform))
        patch.setattr(budget, "FRAMES", {name: budget.FRAMES[name] for name in ("tensor wavelets", "Haar")})
        patch.setattr(budget, "BUDGETS", {k: budget.Budget(1, 5, n, 4) for k, n in (("fashion", 14), ("digits", 4))})
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


# --- networks and functions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOME)
def test_discrete_networks_have_the_paths_and_features_of_the_architecture(name):
    """1 + 9 + 54 paths; every frame has upper bound 1 and every layer is admissible; 7 x 7 samples of each output."""
    phi = architectures.network(name, 28)
    assert phi.plan().paths == (1, 9, 54)
    assert phi.banks[0].bounds().B.value == pytest.approx(1, abs=1e-9)
    assert phi.certified_lipschitz().value <= 1 + 1e-9
    x = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
    assert architectures.sampled(phi, x).shape == (2, 64 * 49)
    # Samples of the modulus of Haar differences: the finest horizontal one of a ramp is half of its slope everywhere.
    ramp = torch.arange(28, dtype=torch.float32).expand(1, 28, 28) / 28
    if name.startswith("Haar, modulus"):
        maps = phi.propagate(ramp, (0,))[0, :, 1:-1]
        expected = {0.0, 0.5 / 28}
        assert any(torch.allclose(maps, torch.full_like(maps, e), atol=1e-6) for e in expected)


@pytest.mark.parametrize("pooling", architectures.POOLINGS)
def test_all_combinations_have_as_many_features_on_the_digits(pooling):
    """1 + 3 + 9 paths on 4 x 4 samples."""
    phi = architectures.network(f"biorthogonal, ReLU, {pooling}", 8)
    assert architectures.sampled(phi, torch.rand(2, 8, 8)).shape == (2, 13 * 16)


def test_the_network_of_the_other_study_has_its_features():
    """1 + 24 paths with 7 x 7 samples, 72 with 5 x 5."""
    x = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
    assert architectures.frozen("T1 best")(x).shape == (2, 25 * 49 + 72 * 25)


def test_the_forest_sees_all_outputs_of_its_architecture():
    assert [layer.values[0].numel() for layer in importance.network(28)(torch.rand(1, 28, 28))] == [
        784, 9 * 784, 54 * 196, 270 * 49,
    ]  # fmt: skip


def test_displaced_images_keep_all_their_pixels():
    x = torch.rand(20, 28, 28, generator=torch.Generator().manual_seed(1))
    moved = importance.displaced(x, torch.Generator().manual_seed(2))
    assert moved.shape == (20, 36, 36)
    places = set()
    for image, other in zip(x, moved, strict=True):
        found = [(r, c) for r in range(9) for c in range(9) if torch.equal(other[r : r + 28, c : c + 28], image)]
        assert len(found) == 1 and other.sum() == pytest.approx(float(image.sum()), rel=1e-5)
        places.update(found)
    assert len(places) > 10


@pytest.mark.parametrize("m", [9, 10])
def test_resampled_outputs_are_values_of_the_interpolant(m):
    def wave(n, k, phase):
        return torch.cos(2 * math.pi * k * torch.arange(n, dtype=torch.float64) / n + phase)

    def image(n):
        return 1 + wave(n, 3, 0.4)[:, None] * wave(n, 4, 1.0)[None]

    assert torch.allclose(images.resampled(image(m)[None], 7), image(7)[None], atol=1e-12)
    if m % 2 == 0:
        edge = torch.cos(math.pi * torch.arange(m, dtype=torch.float64)).expand(1, m, m)
        expected = torch.cos(math.pi * m * torch.arange(7, dtype=torch.float64) / 7).expand(1, 7, 7)
        assert torch.allclose(images.resampled(edge, 7), expected, atol=1e-12)


def test_all_features_of_a_budget_are_as_many():
    """Orders 0 to 2 of kymatio with L angles: 1 + 2 L + L^2 paths for two octaves, 1 + L for one."""
    large, small = budget.BUDGETS["fashion"], budget.BUDGETS["digits"]
    assert (large.paths, large.samples) == (1 + 2 * large.angles + large.angles**2, 28 / 2**large.J)
    assert (small.paths, small.samples) == (1 + small.angles, 8 / 2**small.J)


def test_the_strongest_paths_are_those_of_most_energy():
    phi = budget.network(st.frames.TensorWavelets(J=1), 8, st.AllPaths())
    x = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    exact = phi.rebuilt(engine="exact", dtype=torch.float64)
    energy = {step.path: float(exact.grid.energy(step.S).mean()) for step in exact.walk(x.double())}
    paths, share = budget.strongest(phi, x, 4)
    assert set(paths) == set(sorted(energy, key=energy.__getitem__)[-4:])
    assert share == pytest.approx(sum(energy[q] for q in paths) / sum(energy.values()), rel=1e-3)
    kept = budget.transform(phi, paths, 4)(x)
    assert kept.shape == (3, 4 * 16)


def test_weyl_heisenberg_bands_are_tight_and_have_the_gap_of_the_theorem():
    bank = decay.weyl_heisenberg().on(st.Grid.line(decay.SAMPLES))
    A, B = bank.bounds()
    assert pytest.approx(1, abs=1e-12) == A and pytest.approx(1, abs=1e-12) == B
    bins = torch.fft.fftfreq(decay.SAMPLES) * decay.SAMPLES
    low = bins[bank.spectra[0] != 0]
    # [R/2, 5R/2], whose ends have no power.
    assert (float(low.min()), float(low.max())) == (decay.SPACING / 2 + 1, 5 * decay.SPACING / 2 - 1)
    assert bank.output[0].abs() == pytest.approx(1)


def test_counts_of_layers_are_those_of_the_table():
    """W_2 <= 1 - share is enough for N = 1; what is not reached has no count."""
    rows = [decay.Row("x", "noise", n, w, 1.0) for n, w in ((1, 0.6), (2, 0.2), (3, 0.06))]
    counts = [decay._enough(rows, "noise", s) for s in decay.SHARES]
    assert counts == [1, 1, 2, None, None]


def test_flags_survive_packing():
    flags = torch.rand(37, generator=torch.Generator().manual_seed(0)) < 0.3
    assert torch.equal(images.unpacked(images.packed(flags), 37), flags)
    assert images.packed(torch.tensor([True, False, False, False, False, False, False, True])) == "81"


# --- the whole study --------------------------------------------------------------------------------------------------


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
    runs = {p.stem: json.loads(p.read_text())["found"] for p in (out / "runs").glob("a-fashion-60-*.json")}
    missed = {r["network"]: images.unpacked(r["wrong"], r["count"]).double() for r in runs.values()}
    rows = {r["network"]: r for r in table(out, "a_discrete") if (r["data"], r["train"]) == ("fashion", "60")}
    assert set(rows) == {"pixels", "kymatio", "Haar, modulus, none", "Haar, modulus, max"}
    assert rows["kymatio"]["minus_kymatio"] == ""
    for name, row in rows.items():
        assert float(row["error"]) == pytest.approx(100 * float(missed[name].mean()), rel=1e-5)
        if name != "kymatio":
            gap = 100 * (missed[name] - missed["kymatio"])
            assert float(row["minus_kymatio"]) == pytest.approx(float(gap.mean()), abs=1e-4)
            assert float(row["minus_kymatio_error"]) == pytest.approx(float(gap.std()) / 40**0.5, abs=1e-4)
    chosen = {float(r["penalty"]): float(r["error"]) for r in table(out, "a_penalties")}
    assert chosen[float(rows["kymatio"]["penalty"])] == pytest.approx(float(rows["kymatio"]["error"]))
    assert len(chosen) == 9
    for kind in importance.KINDS:
        rows = [r for r in table(out, "b_importance") if r["images"] == kind]
        assert sum(float(r["importance"]) for r in rows) == pytest.approx(1, abs=1e-5)
    assert all(float(r["lowest"]) <= float(r["error"]) for r in table(out, "f_budget"))
    assert {(r["data"], int(r["features"])) for r in table(out, "f_budget")} == {("fashion", 5 * 14**2), ("digits", 80)}


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
