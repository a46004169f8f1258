"""The pruning study and its published recipe, on small files that are made here."""

import csv
import json
import math
import statistics
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import torch
from bnn.cifar_files import write_cifar
from fashion_files import write_fashion

from scatter_theory import pruning
from studies.pruning import cifar, methods, network, recipes, study, tables, training
from studies.pruning.__main__ import wants_recipe
from studies.shared import fashion
from studies.shared.batches import Data, Split

TINY = study.Plan(
    training.Recipe(epochs=1, batch=20, lr=0.03), images=60, validation=20, width=2, cycles=3, seeds=(0, 1)
)


pytestmark = pytest.mark.usefixtures("one_thread")


def random_data():
    g = torch.Generator().manual_seed(0)
    return Data(*(Split(torch.randn(n, 1, 14, 14, generator=g), torch.arange(n) % 10) for n in (60, 20, 20)))


# --- networks and training -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", network.NETWORKS)
def test_networks(name):
    """Five ReLUs; weights counted by hand; the same weights in both networks and for one seed."""
    net = network.build(name, 8, 3)
    prunable = pruning.prunable(net)
    # Convolutions 1-8-8-16-16 of 3 x 3, and linear layers on 16 images of 3 x 3.
    assert sum(m.weight.numel() for m in prunable.values()) == 9 * (8 + 64 + 128 + 256) + 144 * 32 + 32 * 10
    assert sum(isinstance(m, torch.nn.ReLU) for m in net) == 5
    assert net(torch.zeros(2, 1, 14, 14)).shape == (2, 10)
    other = pruning.prunable(network.build("plain", 8, 3))
    for mine, theirs in zip(prunable.values(), other.values(), strict=True):
        assert torch.equal(mine.weight, theirs.weight)
    assert not torch.equal(network.build(name, 8, 4)[0].weight, net[0].weight)


def test_published_learning_rate():
    """By 5e-6 per step, 782 steps per epoch; a tenth of the highest from epoch 25, a hundredth from 32."""
    recipe, steps = recipes.PAPER.recipe, math.ceil(50_000 / 64)
    rates = [training.learning_rate(recipe, i // steps, i + 1) for i in range(50 * steps)]
    assert steps == 782 and rates[0] == pytest.approx(5e-6)
    assert rates[25 * steps - 1] == max(rates) == pytest.approx(0.09775)
    assert rates[25 * steps :] == pytest.approx([0.01] * 7 * steps + [0.001] * 18 * steps)
    cosine = [training.learning_rate(replace(recipe, decay="cosine", epochs=4), e, 1) for e in range(4)]
    assert cosine == pytest.approx([0.1, 0.05 * (1 + 0.5**0.5), 0.05, 0.05 * (1 - 0.5**0.5)])


def test_an_interrupted_training_goes_on_identically(tmp_path, monkeypatch):
    recipe, data = training.Recipe(epochs=3, batch=20, augmentation="flip", seed=3), random_data()
    whole = network.build("normalised", 2, 0)
    expected = training.train(whole, data, recipe, cycle=2)
    replace_file = training.replace_file

    def stopping(path, write):
        replace_file(path, write)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "replace_file", stopping)
    checkpoint = tmp_path / "cycle.pt"
    with pytest.raises(KeyboardInterrupt):
        training.train(network.build("normalised", 2, 0), data, recipe, cycle=2, checkpoint=checkpoint)
    monkeypatch.setattr(training, "replace_file", replace_file)
    resumed = network.build("normalised", 2, 9)
    assert training.train(resumed, data, recipe, cycle=2, checkpoint=checkpoint) == expected
    for key, x in whole.state_dict().items():
        assert torch.equal(x, resumed.state_dict()[key]), key
    for other in ({"cycle": 1}, {"recipe": replace(recipe, lr=0.2), "cycle": 2}):
        with pytest.raises(ValueError, match="was written with"):
            training.train(resumed, data, checkpoint=checkpoint, **({"recipe": recipe} | other))
    again = network.build("normalised", 2, 0)
    assert training.train(again, data, recipe, cycle=1) != expected, "each cycle has an order of its own"
    with pytest.raises(ValueError, match="got 60 training images for a batch of 61"):
        training.train(again, data, replace(recipe, batch=61))


# --- the whole study -------------------------------------------------------------------------------------------------


@contextmanager
def shortened():
    """Two rules and three selections."""
    kept = {"magnitude", "movement", "alone", "activate", "smallest_movement"}
    with ExitStack() as stack:
        for table in (methods.RULES, methods.SELECTIONS):
            whole = dict(table)
            stack.callback(lambda table=table, whole=whole: (table.clear(), table.update(whole)))
            for name in whole.keys() - kept:
                del table[name]
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(tables, "CONTROLS", ("smallest_movement",))
        patch.setattr(study, "QUICK", TINY)
        yield


@pytest.fixture
def short():
    with shortened():
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Results of the quick path with a tiny plan."""
    folder, out = write_fashion(tmp_path_factory.mktemp("fashion")), tmp_path_factory.mktemp("results")
    with shortened():
        for part in ("0/2", "1/2"):
            assert study.main(["--quick", "--data", str(folder), "--out", str(out), "--part", part]) == 0
        data = fashion.load(folder, images=TINY.images, validation=TINY.validation)
        return folder, out, study.summarise(TINY, data, out)


def test_runs_have_equal_sparsities_and_one_beginning(finished):
    """638 weights; 40 % of those alive are taken, in two parts that are rounded as one."""
    _, out, _ = finished
    paths = sorted((out / "runs").glob("*.json"))
    assert len(paths) == 2 * 2 * 2
    dense = {}
    for path in paths:
        run = json.loads(path.read_text())
        rows = {(row["selection"], row["cycle"]): row for row in run["history"]}
        assert len(rows) == len(run["history"]) == 9
        job = run["settings"]
        for (selection, cycle), row in rows.items():
            alive = [638, 383, 230]  # 638 - 255, 383 - 153
            assert row["alive"] == alive[cycle] and row["sparsity"] == pytest.approx(1 - alive[cycle] / 638, rel=1e-4)
            if cycle and selection != "alone":
                assert row["removed_by_selection"] == [0, 26, 15][cycle]
                assert row["removed_by_rule"] == [0, 229, 138][cycle]
            assert row["total"] == pytest.approx(row["static"] + row["dynamic"], abs=2e-5)
            assert len(row["site_total"]) == 5
            if cycle == 0:
                seen = {key: row[key] for key in ("test", "total", "always_on")}
                assert dense.setdefault((job["network"], job["seed"]), seen) == seen
    assert len(dense) == 4


def test_table_holds_what_the_runs_say(finished):
    _, out, text = finished
    found = {}
    for path in (out / "runs").glob("*.json"):
        run = json.loads(path.read_text())
        for row in run["history"]:
            key = run["settings"]["network"], run["settings"]["rule"], row["selection"], row["cycle"]
            found.setdefault(key, {})[run["settings"]["seed"]] = row
    with (out / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(found) == 2 * 2 * 3 * 3
    for row in table:
        key = row["network"], row["rule"], row["selection"], int(row["cycle"])
        alone = found[row["network"], row["rule"], "alone", int(row["cycle"])]
        tests = [found[key][seed]["test"] for seed in (0, 1)]
        pairs = [found[key][seed]["test"] - alone[seed]["test"] for seed in (0, 1)]
        assert float(row["test"]) == pytest.approx(statistics.mean(tests), rel=1e-5)
        assert float(row["test_difference"]) == pytest.approx(statistics.mean(pairs), abs=1e-4)
        assert float(row["test_difference_error"]) == pytest.approx(statistics.stdev(pairs) / 2**0.5, abs=1e-4)
        assert float(row["total"]) == pytest.approx(statistics.mean(x["total"] for x in found[key].values()), rel=1e-5)
    assert (out / "table.md").read_text() == text
    assert (out / "figure.png").read_bytes()[:4] == b"\x89PNG"
    assert text.count("removes what movement alone removes, hence the same accuracies: yes") == 2


def test_interrupted_study_continues_and_other_settings_are_refused(finished, short, tmp_path, monkeypatch):
    """Stopped after one selection of a job, it does the other two, with the results of a run that was not."""
    folder, out, _ = finished
    data = fashion.load(folder, images=TINY.images, validation=TINY.validation)
    job = study.Job("plain", "magnitude", 1)
    (tmp_path / "runs").mkdir()
    say = []

    def stop(line):
        say.append(line)
        if len(say) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(study, "say", stop)
    with pytest.raises(KeyboardInterrupt):
        study.run(TINY, data, job, tmp_path)
    study.run(TINY, data, job, tmp_path)
    assert [line.split(",")[1].split(":")[0] for line in say] == [" alone", " activate", " smallest_movement"]
    file = f"runs/{job.name}.json"
    resumed, whole = (json.loads((folder / file).read_text()) for folder in (tmp_path, out))
    assert resumed["history"] == whole["history"]
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")}
    study.run_part(TINY, data, out, 0, 1)
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")} == before
    with pytest.raises(ValueError, match="choose another folder by `--out`"):
        study.run(replace(TINY, width=3), data, job, out)


def test_missing_images_name_the_package(tmp_path, capsys):
    assert study.main(["--data", str(tmp_path)]) == 2
    assert "`dataset-fashion-mnist`" in capsys.readouterr().err


# --- what is concluded -----------------------------------------------------------------------------------------------


def made_up(monkeypatch):
    """Two seeds, three cycles; numbers by formula. Seed 1 of magnitude alone has a total rate that rises at the end."""
    monkeypatch.setattr(tables, "RULES", {"magnitude": None, "movement": None})
    runs = {}
    for net in network.NETWORKS:
        for r, rule in enumerate(("magnitude", "movement")):
            for s, selection in enumerate(methods.SELECTIONS):
                same = rule == "movement" and selection == "smallest_movement"
                for seed in (0, 1):
                    runs.setdefault((net, rule, selection), {})[seed] = [
                        {
                            "selection": selection, "cycle": k, "sparsity": 0.4 * k, "silent": 0.0, "always_on": 0.1,
                            "test": 80.0 - k + 10 * seed + (0 if same else s * (1 + seed + r)),
                            "static": 0.1 * k, "dynamic": 0.5 - 0.2 * k + (0.3 if seed and k == 2 else 0.0),
                            "total": 0.5 - 0.1 * k + (0.3 if seed and k == 2 else 0.0), "static_on": 0.0,
                        }
                        for k in range(3)
                    ]  # fmt: skip
    return runs


def test_claims_are_judged_per_seed_and_paired(monkeypatch):
    lines = tables.claims(made_up(monkeypatch))
    # Total: 0.5 to 0.3 in seed 0, which falls at every step, and to 0.6 in seed 1.
    trend = (
        "plain, magnitude alone, dense to sparsest: total 50.0 to 45.0 % (lower in 1, falling at every step in 1 of 2"
    )
    assert any(line.startswith(trend) for line in lines)
    assert any("static 0.0 to 20.0 % (lower in 0, falling at every step in 0 of 2 seeds)" in line for line in lines)
    # Activate is number 1: seed 0 gains 1 and 2 by the two rules, seed 1 gains 2 and 3; means 1.5 and 2.5.
    assert "plain, test, activate minus alone, mean over rules: +2.00 ± 0.50, above 0 in 4 of 4 pairs" in lines
    # Against number 2, random negative: -1 and -2, -2 and -3.
    assert (
        "plain, test, activate minus random_negative, mean over rules: -2.00 ± 0.50, above 0 in 0 of 4 pairs" in lines
    )
    assert "plain, total, activate minus alone, mean over rules: +0.00 ± 0.00, above 0 in 0 of 4 pairs" in lines
    runs = made_up(monkeypatch)
    for net, word in (("plain", "no"), ("normalised", "yes")):
        if word == "no":
            runs[net, "movement", "smallest_movement"][1][2]["test"] += 0.01
        said = (
            f"{net}: movement with smallest_movement removes what movement alone removes, hence the same accuracies: "
        )
        assert said + word in tables.claims(runs)


# --- the published recipe --------------------------------------------------------------------------------------------


def test_preset_is_as_published():
    how, r = recipes.PAPER, recipes.PAPER.recipe
    assert (how.cycles, how.rate, how.share) == (25, 0.2, 0.02)
    assert (r.epochs, r.batch, r.momentum, r.weight_decay, r.lr) == (50, 64, 0.9, 5e-4, 0.1)
    net = how.model(generator=0)
    assert sum(p.numel() for p in net.parameters()) == 272_474
    weights = pruning.prunable(net)
    assert sum(m.weight.numel() for m in weights.values()) == 270_896  # convolutions and the last layer only
    found = pruning.dead_neurons(net, [torch.randn(2, 3, 32, 32)])
    assert len(found.sites) == 19 and sum(found.sizes) == 188_416


@pytest.fixture
def small(monkeypatch):
    """A narrow network and short trainings."""
    from scatter_theory import bnn

    def model(self, *, generator=None):
        return bnn.models.resnet20(width=2, order="bn_relu", projection="conv", generator=generator)

    monkeypatch.setattr(recipes.Preset, "model", model)
    monkeypatch.setattr(cifar, "QUICK", (3, 2, 16, 40, 12))


def command(root, out, *more):
    return cifar.main(
        ["--data", "cifar10", "--root", str(root), "--out", str(out), "--quick", "--device", "cpu", *more]
    )


def results(out):
    (path,) = out.glob("*.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize("stop_at", [1, 3, 4], ids=["in cycle 0", "in cycle 1", "after cycle 1"])
def test_recipe_interrupted_and_resumed(tmp_path, monkeypatch, capsys, small, stop_at):
    """The same result, to the last digit, as without interruption."""
    write_cifar(tmp_path / "files", "cifar10", "binary", 12)
    assert command(tmp_path / "files", tmp_path / "whole") == 0
    assert "% at 36." in capsys.readouterr().out
    say, lines = training.say, []

    def stop(line):
        lines.append(line)
        if len(lines) == stop_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "say", stop)
    with pytest.raises(KeyboardInterrupt):
        command(tmp_path / "files", tmp_path / "parts")
    monkeypatch.setattr(training, "say", say)
    assert command(tmp_path / "files", tmp_path / "parts") == 2
    assert "is of an interrupted run. Pass --resume" in capsys.readouterr().err
    assert command(tmp_path / "files", tmp_path / "parts", "--resume") == 0
    whole, parts = results(tmp_path / "whole"), results(tmp_path / "parts")
    assert whole == parts and [row["cycle"] for row in whole["history"]] == [0, 1, 2]
    assert not list((tmp_path / "parts").glob("*/"))
    assert command(tmp_path / "files", tmp_path / "parts") == 2
    assert "this run is complete" in capsys.readouterr().err


def test_recipe_without_a_selection_and_with_another_rule(tmp_path, small, capsys):
    """Equal numbers of weights in both kinds of run; another seed gives another run."""
    write_cifar(tmp_path, "cifar10", "python", 12)
    rows = {}
    for out, more in {"a": (), "b": ("--selection", "alone", "--rule", "snip"), "c": ("--seed", "1")}.items():
        assert command(tmp_path, tmp_path / out, *more) == 0
        rows[out] = results(tmp_path / out)["history"]
    assert [row["alive"] for row in rows["a"]] == [row["alive"] for row in rows["b"]]
    assert rows["a"][0]["test"] == rows["b"][0]["test"] and rows["a"][0]["loss"] != rows["c"][0]["loss"]
    assert command(tmp_path / "nowhere", tmp_path / "d") == 2
    assert "No files of CIFAR-10 in" in capsys.readouterr().err


def test_which_command_is_meant():
    assert wants_recipe(["--data", "cifar10"]) and wants_recipe(["--quick", "--data=cifar10"])
    assert not wants_recipe(["--data", "folder"]) and not wants_recipe(["cifar10"])
