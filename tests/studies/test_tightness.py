"""The map of tightness: a tiny run of everything, what squares say, and the oracle at layer 0."""

import csv
import itertools
import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from scatter_theory import config
from scatter_theory.sweeps import StoreError, SweepResult
from studies.tightness import figures, known, plan, study, tables
from studies.tightness.tables import Row

TINY = replace(
    plan.QUICK,
    frames={1: ("wavelets, Meyer",), 2: ("Haar taps",)},
    poolings=("none",),
    paths={claim: {1: 50, 2: 10} for claim in plan.CLAIMS},
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "QUICK", TINY)
        assert study.main(["--quick", "--out", str(out)]) == 0
    return out


def table_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def row(**given):
    named = {"frame": "Haar taps", "nonlinearity": "modulus", "pooling": "none", "claim": "translation"}
    return Row(**{"d": 2, "depth": 1, **named, "part": "layer 0", **given})


def test_a_run_leaves_store_tables_and_maps(finished):
    names = {path.name for path in finished.iterdir()}
    maps = {"translation.png", "deformation.png", "deformation_layers.png"}
    assert names == {"store.sqlite", "map.csv", "harder.csv", "omitted.csv", "known.csv", "table.md", *maps}
    lines = table_of(finished / "map.csv")
    # A network with n layers: n + 1 layers for translations; for deformations also the signal and all layers.
    for claim, more in (("translation", 0), ("deformation", 2)):
        found = [(r["d"], int(r["depth"])) for r in lines if r["claim"] == claim]
        expected = [("1", n) for n in (1, 2) for _ in range(n + 1 + more)] + [("2", 1)] * (2 + more)
        assert found == expected
    text = (finished / "table.md").read_text()
    assert "translation, " in text and "deformation, " in text and "longer searches" in text


def test_networks_that_are_too_large_are_listed_and_not_measured(finished):
    # Two scales of three kinds: 1 + 6 paths with one layer, 1 + 6 + 36 with two.
    lines = table_of(finished / "omitted.csv")
    assert [line["claim"] for line in lines] == ["translation", "deformation"]
    assert {(line["d"], line["frame"], line["depth"], line["paths"]) for line in lines} == {
        ("2", "Haar taps", "2", "43")
    }
    assert not [r for r in table_of(finished / "map.csv") if r["d"] == "2" and r["depth"] == "2"]


def test_layer_0_agrees_with_its_multiplier(finished):
    # The supremum over all signals is the largest |exp(-2 pi i t xi) - 1| |chi(xi)|, and a tone attains it.
    for line in (r for r in table_of(finished / "map.csv") if r["claim"] == "translation" and r["part"] == "layer 0"):
        d = int(line["d"])
        n = TINY.samples[d]
        network = plan.Network(d, line["frame"], line["nonlinearity"], line["pooling"], 1).table(n)
        phi = config.network({"grid": network["grid"], "layer": [{"frame": network["frame"]}]})
        chi = phi.banks[0].output.abs().double().numpy()
        xi = np.fft.fftfreq(n).reshape((n,) + (1,) * (d - 1))
        supremum = float((2 * np.abs(np.sin(math.pi * xi)) * chi).max())
        assert float(line["measured"]) == pytest.approx(supremum, rel=1e-5)
        (same,) = (z for z in table_of(finished / "known.csv") if z["d"] == line["d"] and z["layer"] == "0")
        assert float(same["known"]) * float(line["bound"]) == pytest.approx(supremum, rel=1e-4)


def test_small_signals_make_tanh_linear():
    n = 32
    network = plan.Network(1, "wavelets, Meyer", "tanh", "none", 1).table(n)
    phi = config.network({"grid": network["grid"], "layer": [{"frame": network["frame"], "nonlinearity": "Tanh"}]})
    shares, bound = known._ratios(replace(TINY, depth=1), 1, "wavelets, Meyer"), phi.banks[0].decay_constant().value
    ratios = []
    for k in range(1, n // 2):
        f = 1e-5 * torch.cos(2 * torch.pi * k * torch.arange(n, dtype=torch.float64) / n)
        moved = phi(f.roll(1)[None]).layers[1].values - phi(f[None]).layers[1].values
        ratios.append(float(moved.square().sum().sqrt() / f.norm()) / (2 * math.pi * bound))
    assert max(ratios) == pytest.approx(shares[1], rel=1e-6)


@pytest.mark.parametrize("frame", ["Mexican hat*", "Daubechies taps", "biorthogonal taps*"])
def test_a_tone_of_four_samples_attains_the_lipschitz_constant_of_two_layers_with_real_atoms(frame):
    # Its modulus is a mean and an alternating part, whose modulus is a constant: the low-passes take all that moves.
    network = plan.Network(1, frame, "modulus", "none", 2).table(32)
    layer = {key: network[key] for key in ("frame", "nonlinearity", "pooling")}
    phi = config.network({"grid": network["grid"], "layer": [layer] * 2})
    before, after = (torch.cos(torch.pi / 2 * (torch.arange(32, dtype=torch.float64) - x)) for x in (0.3, 0.3001))
    pairs = zip(phi(before[None]).layers, phi(after[None]).layers, strict=True)
    distance = math.sqrt(sum(float((a.values - b.values).square().sum()) for a, b in pairs))
    assert distance / float((before - after).norm()) == pytest.approx(1, abs=1e-9)


def test_a_finished_run_measures_nothing_again(finished, monkeypatch):
    before = {cell.key: SweepResult.read(finished / "store.sqlite").details(cell.configuration)["finished"]
              for cell in SweepResult.read(finished / "store.sqlite").cells[:3]}  # fmt: skip
    monkeypatch.setattr(study, "QUICK", TINY)
    monkeypatch.setattr(study, "draw", lambda table, out: None)
    text = (finished / "map.csv").read_text()
    assert study.main(["--quick", "--out", str(finished)]) == 0
    again = SweepResult.read(finished / "store.sqlite")
    assert before == {c.key: again.details(c.configuration)["finished"] for c in again.cells if c.key in before}
    assert (finished / "map.csv").read_text() == text


def test_a_failed_cell_stops_the_study_with_its_traceback(tmp_path, monkeypatch):
    broken = replace(TINY, frames={1: ("wavelets, Meyer",)}, depth=1, effort={"random": -1, "structured": 1})
    monkeypatch.setattr(study, "QUICK", broken)
    with pytest.raises(RuntimeError, match=r"1 cells of 'translation' failed(.|\n)*`Effort\(random="):
        study.main(["--quick", "--out", str(tmp_path)])


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "store.sqlite").write_text("no store")
    with pytest.raises(StoreError, match="no SQLite file"):
        study.measured(TINY, "translation", [plan.Network(1, "Morlet*", "ReLU", "none", 1)], TINY.effort, tmp_path)


# --- which row is shown ----------------------------------------------------------------------------------------------


def test_a_violation_is_shown_before_all_else_and_marks_never_hide_a_ratio():
    tight, loose = row(ratio=0.9), row(ratio=0.1)
    marked, broken = row(ratio=5.0, mark="no statement"), row(ratio=1.5, mark="violated")
    assert tables.worst([loose, marked, tight]) is tight
    assert tables.worst([loose, broken, tight]) is broken
    assert tables.worst([marked]) is marked
    assert tables.worst([tight], part="layer 1") is None


@pytest.mark.parametrize("outcome, bound, mark", [
    ("HOLDS", 0.5, ""), ("HOLDS", 1e-20, "bound 0"), ("INAPPLICABLE", 0.5, "no statement"), ("VACUOUS", 0.5, "vacuous"),
    ("INCONCLUSIVE", 0.5, "undecided"), ("VIOLATED", 1e-20, "violated"),
])  # fmt: skip
def test_ratios_count_only_where_the_bound_says_something(outcome, bound, mark):
    network = plan.Network(1, "Morlet*", "ReLU", "none", 1)
    point = {"x": 1.0, "measured": 0.25, "bound": bound, "ratio": 0.25 / bound}
    line = {"state": "done", "outcome": outcome, "series": "layer 1", **point}
    (found,) = tables._parts("translation", network, [line])
    assert found.mark == mark and found.bound == bound
    assert found.ratio == (0 if mark == "bound 0" else 0.25 / bound)


def test_an_unfinished_cell_is_no_row():
    with pytest.raises(ValueError, match="missing; run the sweep to its end"):
        tables._parts("translation", plan.Network(1, "Morlet*", "ReLU", "none", 1), [{"state": "missing"}])


def test_medians_and_largest_ratios_leave_marked_rows_out():
    lines = [row(frame=name, ratio=x) for name, x in (("a", 0.1), ("b", 0.3), ("c", 0.8))]
    lines += [row(frame="d", ratio=1e6, mark="bound 0"), row(frame="e", ratio=0.9, mark="no statement")]
    text = tables.markdown(lines)
    assert "0.3 (0.8)" in text and "3 rows with a ratio, 1 rows bound 0, 1 rows no statement" in text


# --- squares ---------------------------------------------------------------------------------------------------------


def test_only_ratios_are_shaded():
    _, ax = plt.subplots()
    marks = [*tables.MARKS.values(), tables.ZERO]
    for j, shown in enumerate([row(ratio=1.0), row(ratio=0.0), *(row(ratio=1.0, mark=m) for m in marks)]):
        figures._square(ax, 0, j, shown)
    black, white, *hatched = ax.patches
    assert black.get_facecolor()[:3] == (0, 0, 0) and white.get_facecolor()[:3] == (1, 1, 1)
    assert all(p.get_facecolor()[:3] == (1, 1, 1) and p.get_hatch() for p in hatched)
    texts = [text.get_text() for text in ax.texts]
    assert texts[:2] == ["100", "0"] and len(set(texts[2:])) == len(marks)
    plt.close("all")


def test_every_frame_of_the_map_makes_an_admissible_layer():
    for d, named in plan.FRAMES.items():
        for frame, nonlinearity in itertools.product(named, ("modulus", "tanh")):
            table = plan.Network(d, frame, nonlinearity, "average", 1).table(32 if d == 1 else 12)
            layer = {key: table[key] for key in ("frame", "nonlinearity", "pooling")}
            phi = config.network({"grid": table["grid"], "layer": [layer]})
            assert max(constant.value for constant in phi.admissibility(refined=True)) <= 1 + 1e-12
