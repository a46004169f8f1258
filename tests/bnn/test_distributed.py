"""Two processes with gloo on the CPU: the training loop, its indicators, and the command under torchrun."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from bnn.cifar_files import write_cifar
from torch import distributed, nn

from scatter_theory import bnn
from studies.bnn import cifar, recipes, training
from studies.shared.batches import Data, Split
from studies.shared.parallel import Place, place


def network():
    """Without batch normalisation, so that two halves of a batch are the same as the whole."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.PReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(32, 10)
        )
    return bnn.binarize_model(net.double(), bnn.ReSTE(o=3))


def images():
    """70 images in batches of 20: the last one has 10."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(70) % 10
    x = torch.randn(70, 3, 8, 8, generator=generator, dtype=torch.float64) + 0.2 * y[:, None, None, None]
    return Data(Split(x, y), Split(x[:33], y[:33]), Split(x[33:], y[33:]), keep_last=True)


RECIPE = training.Recipe(epochs=2, batch=20, lr=0.02, augmentation="flip", warm_up=1)


def run(where, data, recipe=RECIPE):
    model = network()
    result = training.train(model, data, recipe, where=where)
    return result, {key: x for key, x in model.state_dict().items() if isinstance(x, torch.Tensor)}


def _start(rank, job, folder, port):
    """One process, in the environment that torchrun makes."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with place("cpu") as where:
        assert where == Place(rank, 2, "cpu")
        job(rank, Path(folder), where)
        distributed.barrier()
    os._exit(0)  # at a regular exit gloo sometimes aborts on a thread of its own


def both(job, folder):
    """Have two processes do a job."""
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    port = store.port
    del store  # the port is free again
    torch.multiprocessing.spawn(_start, (job, str(folder), port), nprocs=2)


def _trains(rank, folder, where):
    torch.save(run(where, images()), f"{folder}/{rank}.pt")
    try:
        training.train(network(), images(), training.Recipe(epochs=1, batch=21), where=where)
    except ValueError as error:
        assert "a batch of 21 does not divide evenly among 2 processes" in str(error)
    else:
        raise AssertionError("an odd batch was divided")


def _commands(rank, folder, where):
    """A network with batch normalisation by the command: whole, and interrupted after 3 of 4 epochs and resumed."""
    recipes.NETWORKS["resnet20"] = partial(bnn.models.resnet20, width=4)
    cifar.QUICK = (4, 16, 40, 13)

    def command(out, *more):
        options = ["--data", "cifar10", "--root", str(folder), "--out", str(folder / out), "--quick", "--device", "cpu"]
        (folder / out).mkdir(exist_ok=True)
        return cifar.run(cifar.arguments([*options, *more]), where)

    whole = command("whole")
    learning_rate = training.learning_rate

    def stop(recipe, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return learning_rate(recipe, epoch)

    training.learning_rate = stop
    try:
        command("parts")
    except KeyboardInterrupt:
        training.learning_rate = learning_rate
    resumed = command("parts", "--resume")
    torch.save([whole, resumed], f"{folder}/command{rank}.pt")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Folder with what two processes wrote."""
    folder = tmp_path_factory.mktemp("two")
    both(_trains, folder)
    return folder


def test_two_processes_train_as_one(two):
    """Losses, accuracies and weights are those of one process, the incomplete last batch included."""
    (result, weights), (other, same) = (torch.load(two / f"{rank}.pt") for rank in range(2))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone, wanted = run(Place(), images())
    torch.set_num_threads(threads)
    for key, x in wanted.items():
        assert torch.equal(weights[key], same[key])
        assert torch.allclose(weights[key], x, rtol=1e-9, atol=1e-12)
        assert not torch.equal(x, network().state_dict()[key])
    for row, twin, want in zip(result["history"], other["history"], alone["history"], strict=True):
        assert repr(row) == repr(twin)
        assert row["loss"] == pytest.approx(want["loss"], rel=1e-6)  # the sum over steps is kept in float32
        assert row["validation"] == want["validation"] and row["estimator"] == want["estimator"]
    assert result["test"] == other["test"] == alone["test"]


def test_indicators_in_two_processes(two):
    """Gradients of weights as they are, not summed; activations over the entries of both."""
    result, _ = torch.load(two / "0.pt")
    alone, _ = run(Place(), images())
    for row, want in zip(result["history"], alone["history"], strict=True):
        assert row["official"] == pytest.approx(want["official"], rel=1e-6)
        assert row["weights"] == pytest.approx(want["weights"], rel=1e-6)
        found, wanted = row["activations"], want["activations"]
        # A gradient of the mean over half of a batch is twice that over the batch; its variance is four times as large.
        factors = {"gradient": 2, "stability": 4, "stability_sum": 4}
        assert found == pytest.approx({k: x * factors.get(k, 1) for k, x in wanted.items()}, rel=1e-6)


@pytest.mark.slow
def test_command_in_two_processes(tmp_path):
    """Resumed as if never interrupted; one result, the same in both; each normalises over its own half."""
    write_cifar(tmp_path, "cifar10", "binary", 14)
    both(_commands, tmp_path)
    (whole, resumed), (other, again) = (torch.load(tmp_path / f"command{rank}.pt") for rank in range(2))
    for result in (whole, resumed, other, again):
        assert result.pop("cpu_seconds") > 0
    assert whole == resumed == other == again and whole["processes"] == 2
    saved = json.loads(next((tmp_path / "parts").glob("*.json")).read_text())
    assert saved.pop("cpu_seconds") > 0 and saved == json.loads(json.dumps(whole))
    assert not list((tmp_path / "parts").glob("*.pt"))


@pytest.mark.slow
def test_torchrun(tmp_path):
    """The command as a user starts it."""
    write_cifar(tmp_path, "cifar10", "python", 8)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--data", "cifar10", "--root", str(tmp_path), "--quick", "--device", "cpu", "--out", str(tmp_path)]
    done = subprocess.run([*launch, cifar.__file__, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("in the last epoch") == 1 and done.stderr.count("epoch 1/7") == 1
