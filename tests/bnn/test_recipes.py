"""The published recipes as presets, and the command that trains by them, on small files."""

import json
import math
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from bnn.cifar_files import FOLDERS, write_cifar, write_images
from torch import nn

from scatter_theory import bnn
from studies.bnn import cifar, imagenet_models, recipes, training
from studies.shared.batches import Data, Split, plan, ready
from studies.shared.folders import FolderSplit
from studies.shared.parallel import Place
from studies.shared.readers import ImageFolder

pytestmark = pytest.mark.usefixtures("one_thread")


# --- what was published ----------------------------------------------------------------------------------------------

#: Data, name: epochs, batch, warm-up, top-1 accuracy, binary activations, binarised layers, parameters.
PUBLISHED = {
    ("cifar10", "resnet20"): (1000, 256, 5, 86.75, True, 18, 269_850),
    ("cifar10", "resnet20_1w32a"): (1000, 256, 5, 91.32, False, 18, 269_850),
    ("cifar10", "bireal"): (1000, 256, 5, 87.92, True, 18, 269_850),
    ("cifar10", "resnet18"): (2000, 96, 5, 92.63, True, 16, 11_174_986),
    ("cifar10", "vgg_small"): (1000, 256, 5, 92.55, True, 5, 4_660_106),
    # Those of the usual ResNets for ImageNet, and two for each channel of the additional normalisation.
    ("imagenet", "resnet18"): (250, 750, 0, 60.88, True, 16, 11_689_512 + 2 * 512),
    ("imagenet", "resnet18_1w32a"): (250, 750, 0, 67.40, False, 16, 11_689_512 + 2 * 512),
    ("imagenet", "resnet34"): (250, 750, 0, 65.05, True, 32, 21_797_672 + 2 * 512),
    ("imagenet", "resnet34_1w32a"): (250, 750, 0, 70.74, False, 32, 21_797_672 + 2 * 512),
}


def test_every_preset_is_as_published():
    assert {(data, name) for data, presets in recipes.PAPER.items() for name in presets} == set(PUBLISHED)
    for (data, name), (epochs, batch, warm_up, top1, activations, _, _) in PUBLISHED.items():
        preset = recipes.PAPER[data][name]
        r = preset.recipe
        assert (r.epochs, r.batch, r.warm_up, preset.published) == (epochs, batch, warm_up, top1)
        assert (r.optimiser, r.lr, r.momentum, r.weight_decay) == ("sgd", 0.1, 0.9, 1e-4)
        assert (r.schedule, r.decay) == ("official", "released") and preset.activations == activations
        assert r.augmentation == ("resized_crop" if data == "imagenet" else "crop_and_flip")


@pytest.mark.parametrize("key", [k for k in PUBLISHED if "34" not in k[1] and "32a" not in k[1]], ids="-".join)
def test_networks_of_presets(key):
    """All but the first and last layer and the shortcuts are binary, as the released code has it."""
    preset, (*_, layers, parameters) = recipes.PAPER[key[0]][key[1]], PUBLISHED[key]
    model = preset.model(classes=1000 if preset.imagenet else 10, generator=0)
    assert sum(p.numel() for p in model.parameters()) == parameters
    weights, inputs = bnn.binarizers(model, "weight"), bnn.binarizers(model, "activation")
    assert len(weights) == len(inputs) == layers
    for b in (*weights.values(), *inputs.values()):
        assert b.final_estimator == bnn.ReSTE(o=3.0, m=0.1, t=1.5) and b.sign_zero == 0
    assert all(b.scaling == "layer" and not b.detach_scaling for b in weights.values())
    real = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear) and not hasattr(m, "binarize_input")]
    assert [tuple(m.weight.shape[2:]) for m in real[1:-1]] == [(1, 1)] * (len(real) - 2)


def test_real_activations():
    model = recipes.PAPER["cifar10"]["resnet20_1w32a"].model(classes=10, generator=0)
    assert len(bnn.binarizers(model, "weight")) == 18 and not bnn.binarizers(model, "activation")


def test_imagenet_network():
    """ResNet-34 has its size; a ResNet-18 has 7 x 7 pixels before the average; the block is the published one."""
    net = imagenet_models.imagenet_resnet("resnet34")
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED["imagenet", "resnet34"][-1]
    net = imagenet_models.imagenet_resnet("resnet18", classes=5, generator=0).eval()
    sizes = []
    net.stages.register_forward_hook(lambda module, args, output: sizes.append(tuple(output.shape)))
    assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 5) and sizes == [(1, 512, 7, 7)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x, block = torch.randn(2, 64, 9, 9), net.stages[2]
    assert net.stages[2].conv1.stride == (2, 2)
    first = block.bn1(block.conv1(x).relu()) + block.shortcut(x)
    assert torch.equal(block(x), block.bn2(block.conv2(first).relu()) + first)
    again = imagenet_models.imagenet_resnet("resnet18", classes=5, generator=0)
    assert torch.equal(again.conv1.weight, net.conv1.weight)
    # Variance 2/fan-in of the stem, 147 inputs: 9,408 weights give it to 5 %.
    assert float(net.conv1.weight.detach().var()) == pytest.approx(2 / 147, rel=0.05)


@pytest.mark.parametrize(("epochs", "warm_up"), [(1000, 5), (250, 0), (40, 5)])
def test_learning_rate_of_the_released_code(epochs, warm_up):
    """Its steps one by one: torch's recursive cosine, started 4 steps early, with warm-up written over it."""
    optimiser = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "initial_lr": 0.1}], 0.1)
    before = 4 if warm_up else 0
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, epochs - before, eta_min=0, last_epoch=-1 - before
    )
    recipe = replace(recipes.CIFAR, epochs=epochs, warm_up=warm_up)
    found = [training.learning_rate(recipe, epoch) for epoch in range(epochs)]
    for epoch in range(epochs):
        if warm_up and epoch < 5:
            optimiser.param_groups[0]["lr"] = 0.1 * (epoch + 1) / 5
        assert found[epoch] == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        if epoch >= before:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the epochs without a step of the scheduler
                scheduler.step()
    if epochs == 1000:
        assert max(found) == found[8] == pytest.approx(0.100004, abs=1e-6) and found[-1] == pytest.approx(6.2e-6, 0.01)
    if not warm_up:
        assert found[0] == 0.1 and found[125] == pytest.approx(0.05) and max(found) == 0.1


def test_schedule_of_o():
    """From exactly 1, the value in the middle and at the end, for the 1000 epochs of the recipe."""
    model = recipes.PAPER["cifar10"]["resnet20"].model(classes=10, generator=0)
    schedule = training.schedule_of(model, recipes.CIFAR)
    found = []
    for _ in range(1000):
        found.append({b.estimator.o for b in bnn.binarizers(model).values()})
        schedule.step()
    assert found[0] == {1.0} and all(len(o) == 1 for o in found)
    assert float(*found[500]) == pytest.approx(1.585786, abs=1e-6)
    assert float(*found[999]) == pytest.approx(2.996858, abs=1e-6)


# --- batches ---------------------------------------------------------------------------------------------------------


def numbered(count, **extra):
    split = Split(torch.arange(count, dtype=torch.float32)[:, None], torch.arange(count))
    return Data(split, split, split, **extra)


def test_batches_of_an_epoch():
    """Every image once, in an order of the epoch; the rest on demand, in equal shares of at least two."""
    chosen, _ = plan(numbered(23), 8, 0, 0)
    assert [len(c) for c in chosen] == [8, 8] and len(torch.cat(chosen).unique()) == 16
    kept, _ = plan(numbered(23, keep_last=True), 8, 0, 0)
    assert [len(c) for c in kept] == [8, 8, 7] and torch.cat(kept).sort()[0].tolist() == list(range(23))
    assert torch.equal(kept[0], chosen[0])
    assert not torch.equal(torch.cat(plan(numbered(23, keep_last=True), 8, 0, 1)[0]), torch.cat(kept))
    for world, last in ((2, 6), (3, 6), (4, None)):
        sizes = [len(c) for c in plan(numbered(23, keep_last=True), 8, 0, 0, world)[0]]
        assert sizes == [8, 8] + [last] * (last is not None)
    assert [len(c) for c in plan(numbered(17, keep_last=True), 8, 0, 0)[0]] == [8, 8]
    assert [len(c) for c in plan(numbered(5, keep_last=True), 8, 0, 0)[0]] == [5]


def test_shares_make_up_the_batch():
    """The augmented images of three processes are those of one."""
    images = torch.randint(256, (12, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    split = Split(images, torch.arange(12))

    def batch(share):
        chosen, generator = plan(Data(split, split, split), 12, 3, 1)
        ((x, y),) = split.augmented(chosen, "crop_and_flip", generator, share)
        return x, y

    x, y = batch(slice(None))
    parts = [batch(Place(rank, 3).share) for rank in range(3)]
    assert all(torch.equal(torch.stack([p[i] for p in parts], 1).flatten(0, 1), whole) for i, whole in ((0, x), (1, y)))
    assert ready((x, y), "cpu")[0].dtype == torch.float32
    assert torch.equal(ready((x.float(), y), "cpu")[0], x.float())


def test_folder_split(tmp_path):
    """The same crops with processes beside this one and without; shares; the central crops in order."""
    write_images(tmp_path, "train", {"a": [(20, 30), (30, 20), (25, 25)], "b": [(16, 16), (40, 17)]})
    found = []
    before = torch.get_rng_state()
    for workers, share in ((0, slice(None)), (2, slice(None)), (0, slice(1, None, 2))):
        split = FolderSplit(ImageFolder(tmp_path, "train"), workers=workers, size=12, shorter=14)
        chosen = [torch.tensor([4, 0, 2]), torch.tensor([1, 3])]
        parts = list(split.augmented(chosen, "resized_crop", torch.Generator().manual_seed(0), share))
        found.append(parts)
        assert torch.equal(torch.get_rng_state(), before)
    alone, beside, second = found
    assert all(torch.equal(a, b) for x, y in zip(alone, beside, strict=True) for a, b in zip(x, y, strict=True))
    assert all(torch.equal(x[0][1::2], y[0]) for x, y in zip(alone, second, strict=True))
    assert [y.tolist() for _, y in alone] == [[1, 0, 0], [0, 1]] and alone[0][0].shape == (3, 3, 12, 12)
    plain = list(split.plain(slice(None), 4))
    assert [x.shape for x, _ in plain] == [(4, 3, 12, 12), (1, 3, 12, 12)] and plain[0][1].tolist() == [0, 0, 0, 1]
    with pytest.raises(ValueError, match="got the augmentation 'flip', expected 'resized_crop'"):
        next(split.augmented(chosen, "flip", torch.Generator(), share))


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """Narrow networks, short runs."""
    monkeypatch.setitem(recipes.NETWORKS, "resnet20", partial(bnn.models.resnet20, width=4))
    monkeypatch.setattr(cifar, "QUICK", (6, 16, 40, 12))


def command(data, root, out, *more):
    where = ["--data", data, "--root", str(root), "--out", str(out)]
    return cifar.main([*where, "--preset", "paper", "--quick", "--device", "cpu", *more])


def results(out):
    (path,) = out.glob("*.json")
    found = json.loads(path.read_text())
    assert found.pop("cpu_seconds") > 0
    return found


@pytest.mark.parametrize("precision", ["float32", pytest.param("float16", marks=pytest.mark.slow)])
def test_interrupted_and_resumed(tmp_path, monkeypatch, capsys, small, precision):
    """The same result, to the last digit, as without interruption, and from both file formats."""
    for version in ("binary", "python"):
        write_cifar(tmp_path / version, "cifar10", version, 12)
    more = ("--precision", precision)
    assert command("cifar10", tmp_path / "binary", tmp_path / "whole", *more) == 0
    assert "in the last epoch" in capsys.readouterr().out
    say, lines = training.say, []

    def stop(line):
        lines.append(line)
        if len(lines) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "say", stop)
    with pytest.raises(KeyboardInterrupt):
        command("cifar10", tmp_path / "python", tmp_path / "parts", *more)
    monkeypatch.setattr(training, "say", say)
    assert command("cifar10", tmp_path / "python", tmp_path / "parts", *more) == 2
    assert "is of an interrupted run. Pass --resume" in capsys.readouterr().err
    assert command("cifar10", tmp_path / "python", tmp_path / "parts", "--resume", *more) == 0
    resumed = capsys.readouterr().err
    assert "epoch 4/6" in resumed and "epoch 3/6" not in resumed
    whole, parts = results(tmp_path / "whole"), results(tmp_path / "parts")
    assert whole == parts and len(whole["history"]) == 6
    assert [row["lr"] for row in whole["history"][:5]] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    o = [1 + 2 * (1 - math.cos(math.pi / 2 * e / 6)) for e in range(6)]
    assert whole["history"][0]["estimator"] == repr(bnn.ReSTE(o=1.0))
    assert [eval(row["estimator"], {"ReSTE": bnn.ReSTE}).o for row in whole["history"]] == pytest.approx(o)
    assert whole["precision"] == precision and whole["published"] is None
    if precision == "float16":  # the first factors on the loss are too large for so deep a network
        assert whole["history"][0]["skipped"] == 3 and "weights" not in whole["history"][0]
    assert not list((tmp_path / "parts").glob("*.pt"))
    assert command("cifar10", tmp_path / "python", tmp_path / "parts", *more) == 2
    assert "this run is complete" in capsys.readouterr().err


def test_cifar100_and_seeds(tmp_path, small):
    """A hundred outputs; another seed gives another run."""
    write_cifar(tmp_path, "cifar100", "binary", 40)
    for out, seed in (("a", 1), ("b", 2)):
        assert command("cifar100", tmp_path, tmp_path / out, "--seed", str(seed)) == 0
    a, b = (results(tmp_path / out) for out in "ab")
    assert a["recipe"]["seed"] == 1 and a["published"] is None
    assert a["history"][0]["loss"] != b["history"][0]["loss"]
    assert a["history"][0]["loss"] > math.log(100) - 1


def test_imagenet(tmp_path, monkeypatch, small):
    """A folder of images, with processes that open them."""
    monkeypatch.setattr(imagenet_models, "WIDTHS", (8, 8, 8, 8))
    monkeypatch.setattr(cifar, "FolderSplit", partial(FolderSplit, size=32, shorter=36))
    for part, count in (("train", 12), ("val", 4)):
        write_images(tmp_path, part, {"dark": [(40, 50)] * count, "light": [(60, 40)] * count}, "jpeg")
    assert command("imagenet", tmp_path, tmp_path / "out", "--workers", "2") == 0
    found = results(tmp_path / "out")
    # 24 images in batches of 16 and 8; without warm-up the rate begins at its highest.
    assert found["recipe"]["augmentation"] == "resized_crop" and found["history"][0]["lr"] == 0.1
    assert found["history"][-1]["loss"] < found["history"][0]["loss"] and found["model"] == "resnet18"


def test_command_errors(tmp_path, capsys):
    for data in ("cifar10", "cifar100", "imagenet"):
        assert command(data, tmp_path, tmp_path / "out") == 2
    lines = capsys.readouterr().err
    assert "No files of CIFAR-10 in" in lines and "train is missing" in lines
    with pytest.raises(SystemExit):
        command("imagenet", tmp_path, tmp_path, "--model", "vgg_small")
    assert "for imagenet there are resnet18, resnet18_1w32a, resnet34, resnet34_1w32a" in capsys.readouterr().err
    write_cifar(tmp_path, "cifar10", "binary", 2)
    assert cifar.main(["--data", "cifar10", "--root", str(tmp_path), "--out", str(tmp_path), "--device", "cpu"]) == 2
    assert "holds 2 images, expected 10000" in capsys.readouterr().err
    assert FOLDERS["cifar10"]["binary"] in str(next(tmp_path.glob("cifar*")))


# --- mixed precision -------------------------------------------------------------------------------------------------


def small_run(precision, checkpoint=None, epochs=3):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(48) % 2
    x = torch.randn(48, 3, 16, 16, generator=generator) + y[:, None, None, None]
    split = Split(x, y)
    net = bnn.models.vgg_small(classes=2, width=4, size=16, generator=0)
    model = bnn.binarize_model(net, bnn.ReSTE(o=3))
    types = set()
    model.conv2.register_forward_hook(lambda module, args, output: types.add((module.training, output.dtype)))
    recipe = training.Recipe(epochs=epochs, batch=16, lr=0.05)
    where = Place(precision=precision)
    return training.train(model, Data(split, split, split), recipe, checkpoint=checkpoint, where=where), types


def test_mixed_precision(tmp_path):
    """The training passes are in the low precision, evaluation is not; losses and indicators are near the full ones."""
    runs = {precision: small_run(precision) for precision in ("float32", "bfloat16", "float16")}
    full = runs["float32"][0]["history"][0]
    for precision, (result, types) in runs.items():
        assert types == {(True, getattr(torch, precision)), (False, torch.float32)}
        row = result["history"][0]
        assert row["loss"] == pytest.approx(full["loss"], rel=0.05)
        # The factor of 65536 on the loss is divided out of the gradients.
        for role in ("weights", "activations"):
            assert row[role]["gradient"] == pytest.approx(full[role]["gradient"], rel=0.5)
        assert row["official"]["stability"] == pytest.approx(full["official"]["stability"], rel=0.9)
    assert runs["float16"][0]["history"] != runs["bfloat16"][0]["history"] != runs["float32"][0]["history"]
    small_run("bfloat16", tmp_path / "run.pt", epochs=1)
    with pytest.raises(ValueError, match=r"was written in bfloat16, not float32; remove it"):
        small_run("float32", tmp_path / "run.pt", epochs=1)


def test_loss_scale_is_saved(tmp_path, monkeypatch):
    """The factor on the loss is halved at each step that is skipped, and a resumed run goes on with it."""
    # A first factor that is too large for certain.
    monkeypatch.setattr(torch.amp, "GradScaler", partial(torch.amp.GradScaler, init_scale=2.0**19))
    whole, _ = small_run("float16", tmp_path / "whole.pt")
    rate = training.learning_rate

    def stop(recipe, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return rate(recipe, epoch)

    monkeypatch.setattr(training, "learning_rate", stop)
    with pytest.raises(KeyboardInterrupt):
        small_run("float16", tmp_path / "parts.pt")
    monkeypatch.setattr(training, "learning_rate", rate)
    saved = torch.load(tmp_path / "parts.pt", weights_only=True)["scaler"]
    assert saved["scale"] == 2.0 ** (19 - sum(row["skipped"] for row in whole["history"][:2])) < 2.0**19
    parts, _ = small_run("float16", tmp_path / "parts.pt")
    assert parts["history"] == whole["history"] and parts["test"] == whole["test"]
    states = [torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("whole", "parts")]
    assert states[0]["scaler"] == states[1]["scaler"]
    assert all(torch.equal(x, states[1]["model"][k]) for k, x in states[0]["model"].items() if torch.is_tensor(x))
