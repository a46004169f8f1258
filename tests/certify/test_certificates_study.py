"""The study of certificates, on a few small images that are made here."""

import csv
import json
from dataclasses import replace

import pytest
import torch
from fashion_files import write_fashion
from torch import nn

from studies.certificates import measures, networks, study
from studies.pruning.training import Recipe
from studies.shared import fashion

TINY = study.Plan(
    Recipe(epochs=1, batch=20, lr=0.02), images=60, validation=10, width=2,
    effort=measures.Effort(starts=1, steps=2, points=1, shifted=2, tested=20),
)  # fmt: skip
CHOSEN = ("cnn", "pruned", "constrained", "binary")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Data and folder of a study with four of the networks."""
    folder = write_fashion(tmp_path_factory.mktemp("images"))
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "SHARES", CHOSEN)
        patch.setattr(study, "NETWORKS", {name: networks.NETWORKS[name] for name in CHOSEN})
        data = fashion.load(folder, images=TINY.images, validation=TINY.validation)
        study.run_part(TINY, data, out, 0, 1, device="cpu")
        report = study.summarise(TINY, data, out)
    return data, out, report


def test_tables_hold_what_the_runs_say(finished):
    _, out, report = finished
    rows = {row["network"]: row for row in csv.DictReader((out / "table.csv").read_text().splitlines())}
    nodes = list(csv.DictReader((out / "nodes.csv").read_text().splitlines()))
    assert tuple(rows) == CHOSEN and (out / "figure.png").stat().st_size > 10_000
    for name in CHOSEN[:3]:
        run = json.loads((out / "runs" / f"{name}.json").read_text())
        found = run["found"]
        assert 0 < found["lower"] <= found["upper"] <= found["product"] and found["contradictions"] == 0
        assert float(rows[name]["gap"]) == pytest.approx(found["upper"] / found["lower"], rel=1e-5)
        assert found["nodes"] == len(run["nodes"]) == sum(node["network"] == name for node in nodes)
        assert f"| {name} | {found['test']:.2f} | {found['nodes']} |" in report
    assert rows["binary"]["upper"] == "" and "_binarize_input" in rows["binary"]["refused"]
    assert "| binary |" in report and "\n* binary: `torch_model(model=...)`: module '3'" in report


def test_the_linear_layer_is_all_that_the_constrained_network_adds(finished):
    _, out, _ = finished
    net = networks.trained("constrained", TINY.width, TINY.recipe, None, out, "cpu")
    norm = torch.linalg.matrix_norm(net[-1].weight.detach().double(), 2)
    found = json.loads((out / "runs" / "constrained.json").read_text())["found"]
    assert found["upper"] == pytest.approx(float(norm), rel=1e-9)
    assert found["product_filtered"] == pytest.approx(found["product"], rel=1e-6)
    assert found["whole"] < 1e-5 and found["whole_filtered"] < 1e-5  # the torus has no border


def test_finished_runs_and_weights_are_kept_and_other_settings_refused(finished, monkeypatch):
    data, out, _ = finished
    monkeypatch.setattr(networks, "train", lambda *a, **k: pytest.fail("trained again"))
    monkeypatch.setattr(study, "SHARES", CHOSEN)
    before = {p.name: p.read_text() for p in (out / "runs").iterdir()}
    study.run_part(TINY, data, out, 0, 1, device="cpu")
    (out / "runs" / "cnn.json").unlink()
    study.run(TINY, networks.framed(data), "cnn", out, "cpu")
    again = json.loads((out / "runs" / "cnn.json").read_text())["found"]
    first = json.loads(before["cnn.json"])["found"]
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    with pytest.raises(ValueError, match=r"cnn\.json: holds a run with .*choose another folder by `--out`"):
        study.run(replace(TINY, width=4), data, "cnn", out, "cpu")


def test_a_network_that_must_be_refused_and_is_not_stops_the_study(finished):
    data, _, _ = finished
    net = networks.cnn(2, 0).eval()
    with pytest.raises(RuntimeError, match="without a finite constant"):
        measures.refused(net, networks.framed(data), TINY.effort, "cpu")


def test_networks():
    """Two strides leave 4 of 16 samples; masks hold four fifths of the weights at zero."""
    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for name, build in networks.NETWORKS.items():
        net = build(2, 0).eval()
        maps = networks.trunk(net)(x)
        assert maps.shape == (1, 8 if name == "resnet20" else 4, 4, 4) and net(x).shape == (1, 10)
        assert networks.border(net) == ("circular" if name in ("cnn-torus", "constrained") else "zeros")
    net = networks.NETWORKS["pruned"](2, 0)
    zeros = sum(int((m.weight == 0).sum()) for m in net if isinstance(m, nn.Conv2d | nn.Linear))
    total = sum(m.weight.numel() for m in net if isinstance(m, nn.Conv2d | nn.Linear))
    assert zeros == round(networks.SPARSITY * total)


def test_the_frame_of_pixels_repeats_its_neighbours():
    images = torch.arange(2.0 * 14 * 14).reshape(2, 1, 14, 14)
    split = fashion.Split(images, torch.tensor([0, 1]))
    framed = networks.framed(fashion.Data(split, split, split)).test.images
    assert framed.shape == (2, 1, 16, 16) and torch.equal(framed[..., 1:-1, 1:-1], images)
    assert torch.equal(framed[..., 0, 1:-1], images[..., 0, :]) and torch.equal(framed[..., 1:-1, -1], images[..., -1])


def test_devices():
    assert measures.pick("cpu") == "cpu"
    assert measures.pick(None) == ("cuda" if torch.cuda.is_available() else "cpu")
