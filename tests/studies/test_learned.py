"""The study of fixed, learned and unconstrained frames, on small files that are made here."""

import csv
import json
from dataclasses import replace

import pytest
import torch
from fashion_files import write_fashion

from scatter_theory.search import Effort
from studies.learned import figures, measures, network, study, tables, training
from studies.shared.parallel import Place

TINY = study.Plan(
    training.Recipe(epochs=1, batch=30, head_rate=0.01, frame_rate=0.05), images=60, validation=20, test=20,
    counts=measures.Counts(moved=8, attacked=4, steps=2, sensed=3, searched=2, fields=1), seeds=(0, 1), choosing=9,
)  # fmt: skip
SOME = ("canonical", "free")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shortened():
    """Two fixed frames, two others, one shift, one displacement that is a shift too, and hardly a search."""
    shift = torch.roll(torch.eye(784, dtype=torch.float64).reshape(784, 28, 28), 1, 2).reshape(784, 784)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "FIXED", {k: network.FIXED[k] for k in ("steerable", "Riesz")})
        patch.setattr(study, "COMPARED", {k: network.COMPARED[k] for k in SOME})
        patch.setattr(study, "QUICK", TINY)
        patch.setattr(study, "displacements", lambda count: {1.0: [shift] * count})
        patch.setattr(measures, "SEARCH", Effort(0, 2, 0, 0))
        patch.setattr(measures, "RADII", (0.5,))
        patch.setattr(measures, "SHIFTS", (1,))
        for module in (tables, figures):
            for name, value in (("RADII", (0.5,)), ("SHIFTS", (1,)), ("SIZES", (1.0,))):
                patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def finished(shortened, tmp_path_factory):
    folder, out = write_fashion(tmp_path_factory.mktemp("fashion")), tmp_path_factory.mktemp("results")
    assert study.main(["--quick", "--data", str(folder), "--out", str(out)]) == 0
    return folder, out


def run_files(out):
    return {path.stem: json.loads(path.read_text()) for path in (out / "runs").glob("*.json")}


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", network.METHODS)
def test_every_method_has_the_same_network(name):
    """784 + 6 * 196 + 36 * 49 features; tight ones are, and all begin with a frame."""
    model, method = network.Classifier(network.METHODS[name], 3), network.METHODS[name]
    assert model.head.in_features == 784 + 6 * 196 + 36 * 49 == 3724
    for bank in model.phi.banks[:-1]:
        A, B = bank.bounds()
        assert len(bank) == 6 and 0 < A <= B <= 1 + 1e-12
        assert not method.tight or A == pytest.approx(1, abs=1e-12)
    assert any(p.requires_grad for p in model.phi.parameters()) == (method.kind in ("learned", "free"))
    assert model.phi.layer_constant(1).value == pytest.approx(1, abs=1e-12)


def test_only_the_division_differs_between_free_and_canonical():
    free, canonical = (network.COMPARED[name].frame(5).on(network.GRID) for name in ("free", "canonical"))
    total = free.littlewood_paley().sqrt()
    assert torch.allclose(free.spectra / total, canonical.spectra, atol=1e-13)
    assert torch.allclose(free.output / total, canonical.output, atol=1e-13)


def test_normalised_logits_are_an_affine_map_of_the_features():
    g = torch.Generator().manual_seed(0)
    model = network.Classifier(network.METHODS["steerable"], 0)
    x = torch.randn(12, 1, 28, 28, generator=g)
    model.normalise(x)
    found = (network.features(model.phi, x[:, 0]) - model.mean) / model.scale
    assert found.mean(0).abs().max() < 1e-4
    for part in found.split([784, 6 * 196, 36 * 49], 1):
        assert float(part.var(0).mean()) == pytest.approx(1, rel=1e-4)
    torch.nn.init.normal_(model.head.weight, generator=g)
    w, b = model.weights()
    logits = network.features(network.in_double(model.phi), x[:, 0].double()) @ w.T + b
    assert torch.allclose(logits, model(x).double(), atol=1e-3)


# --- what is measured ------------------------------------------------------------------------------------------------


def test_radii_are_those_of_the_formula_and_attacks_stay_in_their_ball():
    g = torch.Generator().manual_seed(1)
    model = network.Classifier(network.METHODS["steerable"], 0)
    torch.nn.init.normal_(model.head.weight, std=0.05, generator=g)
    x, phi = torch.randn(5, 28, 28, generator=g), network.in_double(model.phi)
    logits = phi_logits = network.features(phi, x.double()) @ model.weights()[0].T + model.weights()[1]
    labels = logits.argmax(1)
    labels[0] = logits[0].argmin()
    radii = measures.certified_radii(phi, model, 2.0, x, labels)
    rows = model.head.weight.detach().double()
    for i, y in enumerate(labels.tolist()):
        each = [float(phi_logits[i, y] - phi_logits[i, k]) / (2 * float((rows[y] - rows[k]).norm()))
                for k in range(10) if k != y]  # fmt: skip
        assert float(radii[i]) == pytest.approx(min(each), rel=1e-9)
    assert radii[0] < 0 < radii[1:].min()
    moved = measures.attack(model, x, labels, 0.7, 3)
    assert (moved - x).flatten(1).norm(dim=1) == pytest.approx([0.7] * 5, rel=1e-5)
    loss = torch.nn.functional.cross_entropy
    assert loss(model(moved[:, None]), labels) > loss(model(x[:, None]), labels)


def test_maps_move_images_as_said():
    x = torch.zeros(1, 28, 28)
    x[0, 3, 5] = 1.0
    places = {tuple(torch.nonzero(move(x))[0].tolist()[1:]) for move in measures.shifts(4)}
    assert places == {(7, 5), (27, 5), (3, 9), (3, 1)}


@pytest.mark.slow
def test_displacements_are_the_exact_deformation():
    from scatter_theory import deform

    found = measures.displacements(1)
    x = torch.randn(3, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for size, (matrix,) in found.items():
        field = deform.random_warp(network.GRID, 0.5, degree=2, constant=False, generator=0).scaled_to(sup=size)
        assert float(field.norms().sup.upper) == pytest.approx(size, rel=1e-9)
        expected = deform.apply(x, network.GRID, field, method="direct")
        assert torch.allclose(measures.warps([matrix])[0](x), expected, atol=1e-12)


# --- the whole study -------------------------------------------------------------------------------------------------


def test_runs_keep_what_they_promise(finished):
    _, out = finished
    runs = run_files(out)
    fixed = [name for name in runs if name.endswith("-validation")]
    measured = {name: r for name, r in runs.items() if name not in fixed}
    assert len(fixed) == 2 and len(measured) == 3 * 2
    assert all("test" not in runs[name] for name in fixed)
    for r in measured.values():
        assert len(r["history"]) == 2
        if network.METHODS[r["settings"]["method"]].tight:
            assert max(row["defect"] for row in r["history"]) < 1e-12
        assert r["attained"] <= r["lipschitz"] * (1 + 1e-9) and r["lipschitz_outcome"] == "HOLDS"
        assert r["broken_0.5"] == 0 and r["certified_0.5"] <= r["test"]
        assert all(r[f"{kind}_1_share"] <= 1 + 1e-9 for kind in ("shift", "deformation"))
        assert r["shift_1_worst_accuracy"] <= r["shift_1_accuracy"]
        # The displacement is one of the four shifts.
        assert r["deformation_1_worst_change"] <= r["shift_1_worst_change"] * (1 + 1e-9)
    assert any(row["defect"] > 1e-3 for row in runs["free-seed0"]["history"])


def test_tables_hold_what_the_runs_say(finished):
    _, out = finished
    runs = run_files(out)
    fixed = {r["settings"]["method"]: r["validation"] for name, r in runs.items() if name.endswith("-validation")}
    chosen = max(fixed, key=fixed.__getitem__)
    with (out / "table.csv").open() as file:
        table = {(row["method"], row["quantity"]): row for row in csv.DictReader(file)}
    assert {m for m, _ in table} == {chosen, *SOME}
    pairs = [[runs[f"{m}-seed{s}"]["test"] for s in (0, 1)] for m in ("canonical", chosen.lower())]
    row, gaps = table["canonical", "test"], [a - b for a, b in zip(*pairs, strict=True)]
    assert float(row["mean"]) == pytest.approx(sum(pairs[0]) / 2)
    assert float(row["minus_fixed"]) == pytest.approx(sum(gaps) / 2, abs=1e-4)
    assert float(row["minus_fixed_error"]) == pytest.approx(abs(gaps[0] - gaps[1]) / 2, abs=1e-4)
    text = (out / "table.md").read_text()
    assert f"| {chosen} (chosen) |" in text and "broke inside their certified radius: 0" in text
    for name in ("bounds.png", "robustness.png"):
        assert (out / name).read_bytes()[:4] == b"\x89PNG"


def test_an_interrupted_study_ends_with_the_same_results(finished, monkeypatch):
    folder, out = finished
    monkeypatch.setattr(figures, "draw_bounds", lambda runs, path: None)
    monkeypatch.setattr(figures, "draw_robustness", lambda runs, path: None)
    before, lost = run_files(out), out / "runs" / "canonical-seed1.json"
    table = (out / "table.md").read_text()
    lost.unlink()
    times = {path.name: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")}
    assert study.main(["--quick", "--data", str(folder), "--out", str(out)]) == 0
    assert {n: (out / "runs" / n).stat().st_mtime_ns for n in times} == times
    after = run_files(out)
    for runs in (before, after):
        runs["canonical-seed1"].pop("seconds")
    assert after == before and (out / "table.md").read_text() == table
    data = study.images_of(TINY, folder, "cpu")
    other = replace(TINY, recipe=replace(TINY.recipe, head_rate=0.1))
    with pytest.raises(ValueError, match="choose another folder by `--out`"):
        study.run(other, data, study.Job("canonical", 0, True), {}, out, Place())
    with pytest.raises(ValueError, match="got 60 training images for a batch of 61"):
        training.train(
            network.Classifier(network.METHODS["steerable"], 0), data, replace(TINY.recipe, batch=61), seed=0,
            decay=0.0, where=Place(),
        )  # fmt: skip


def test_missing_images_and_devices_are_named(finished, tmp_path, capsys):
    folder, _ = finished
    assert study.main(["--data", str(tmp_path)]) == 2
    assert "`dataset-fashion-mnist`" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert study.main(["--quick", "--data", str(folder), "--device", "cuda", "--out", str(tmp_path)]) == 2
        assert "no CUDA device" in capsys.readouterr().err
