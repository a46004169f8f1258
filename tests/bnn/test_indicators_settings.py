"""Indicators under loss scaling, with missing gradients, with samples, and over several processes."""

import os

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from scatter_theory import bnn
from scatter_theory.meters import Report

RESTE = bnn.ReSTE(o=3.0)


def net(**options):
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 5), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, dtype=torch.float64, generator=generator))
    return bnn.binarize_model(model, RESTE, **options)


def batch(step, n=8):
    return torch.randn(n, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(step))


def loss_of(model, x):
    return nn.functional.cross_entropy(model(x), torch.arange(len(x)) % 3)


def assert_same(a, b, tolerance=1e-10):
    assert a.sites == b.sites and a.steps.tolist() == b.steps.tolist()
    for quantity in a.quantities:
        want = b.per_layer(quantity)
        assert a.per_layer(quantity) == pytest.approx(want, rel=tolerance, abs=1e-30, nan_ok=True), quantity


# --- loss scaling ----------------------------------------------------------------------------------------------------


def scaled_run(scaler, steps=4, spoil=(), fused=False, scaler_seen=True, preset=None):
    """A run that spoils the gradients of some steps with an infinity."""
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    with bnn.Indicators(model, scaler=scaler if scaler_seen else None, preset=preset) as ind:
        for step in range(1, steps + 1):
            opt.zero_grad()
            loss = loss_of(model, batch(step))
            if scaler is None:
                if step not in spoil:
                    loss.backward()
                    opt.step()
                continue
            scaler.scale(loss).backward()
            if step in spoil:
                model[0].weight.grad[0, 0] = torch.inf
            scaler.step(opt)
            scaler.update()
        if preset == "official":
            ind.epoch_end()
    return ind.report()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("preset", [None, "official"])
def test_the_scale_is_divided_out(fused, preset):
    """A scale that is no power of 2 and changes at every step."""
    scaler = torch.amp.GradScaler("cpu", init_scale=3e4, growth_factor=1.7, growth_interval=1)
    assert_same(scaled_run(scaler, fused=fused, preset=preset), scaled_run(None, preset=preset), 1e-6)


def test_without_the_scaler_the_gradients_of_activations_keep_its_scale():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    blind, plain = scaled_run(scaler, steps=1, scaler_seen=False), scaled_run(None, steps=1)
    for site, factor in (("*.weight", 1.0), ("*.input", 1024.0**2)):
        s = plain.select(site).per_layer("stability")
        assert blind.select(site).per_layer("stability") == pytest.approx(factor * s, rel=1e-10)
    assert blind.per_layer("stability_cv2") == pytest.approx(plain.per_layer("stability_cv2"), rel=1e-10)


@pytest.mark.parametrize("fused", [False, True])
def test_skipped_steps_leave_nothing_behind(fused):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    report = scaled_run(scaler, spoil=(2,), fused=fused)
    want = scaled_run(None, spoil=(2,))
    assert report.facts["skipped_steps"] == 1
    # An optimizer that skips by itself does step, so that the number of the step is used up.
    assert report.steps.tolist() == ([1, 3, 4] if fused else [1, 2, 3])
    for quantity in set(report.quantities) - ({"flip_rate", "compared"} if fused else set()):
        assert report.per_layer(quantity) == pytest.approx(want.per_layer(quantity), rel=1e-10, nan_ok=True), quantity


# --- gradients that are not there ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda w: w.requires_grad_(False), "frozen"),
        (lambda w: setattr(w, "grad", None), "no gradient"),
        (lambda w: setattr(w, "grad", w.grad.to_sparse()), "sparse gradient"),
    ],
    ids=["frozen", "no gradient", "sparse"],
)
def test_gradients_that_cannot_be_measured_are_counted(spoil, reason):
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    latent = bnn.latent_weights(model)
    with bnn.Indicators(model) as ind:
        loss_of(model, batch(1)).backward()
        spoil(latent["1.weight"])
        opt.step()
    report = ind.report()
    assert report.skipped == {"1.weight": {reason: 1}}
    assert np.isnan(report.per_layer("stability")[0, 0]) and report.per_layer("gradient_n")[0, 0] == 0
    assert report.measured("stability").tolist() == [3] and report.measured("error_l2").tolist() == [4]
    assert "1 measurements were skipped" in str(report)


def test_a_weight_that_is_nan_spoils_nothing_else():
    model = net(activations=False)
    w = bnn.latent_weights(model)["1.weight"]
    clean = (1 - w.detach().flatten()[1:].abs() ** (1 / 3)).square().sum()
    with torch.no_grad():
        w[0, 0] = torch.nan
    w.grad = torch.ones_like(w)
    w.grad[0, 0] = torch.nan
    with bnn.Indicators(model) as ind:
        torch.optim.SGD([w], lr=0.0).step()
    report = ind.report()
    assert report.per_layer("error_l2_squared")[0, 0] == pytest.approx(float(clean), rel=1e-12)
    assert report.per_layer("excluded")[0, 0] == 2 and report.per_layer("stability")[0, 0] == 0.0


# --- samples ---------------------------------------------------------------------------------------------------------


def test_samples_scatter_about_the_whole():
    """Averages over many seeds are the exact values, within four standard errors; weights are never sampled."""
    found = []
    for sample, seeds in ((1, 1), (3, 60)):
        reports = []
        for seed in range(seeds):
            model = net()
            with bnn.Indicators(model, sample=sample, seed=seed) as ind:
                loss_of(model, batch(1, n=101)).backward()
                torch.optim.SGD(model.parameters(), lr=0.1).step()
            reports.append(ind.report())
        found.append(reports)
    (exact,), sampled = found
    for quantity in ("error_l2_squared", "error_mse", "saturated", "gradient_mean"):
        values = np.stack([r.select("*.input").per_layer(quantity)[:, 0] for r in sampled])
        want = exact.select("*.input").per_layer(quantity)[:, 0]
        error = values.std(0) / np.sqrt(len(values))
        assert (error > 0).all() and (np.abs(values.mean(0) - want) < 4 * error + 2e-2 * want).all(), quantity
    assert_same(sampled[0].select("*.weight"), exact.select("*.weight"), 0)
    assert sampled[0].select("1.input").pooled("n")[0] < 101 * 8 / 2


# --- several processes -----------------------------------------------------------------------------------------------


def _rank(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    model = nn.parallel.DistributedDataParallel(net())
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    with bnn.Indicators(model) as ind:
        for step in range(1, 4):
            opt.zero_grad()
            loss_of(model, batch(step).chunk(2)[rank]).backward()
            opt.step()
            if step == 2:
                ind.merge_ranks()
    alone = ind.report()
    ind.merge_ranks()
    ind.merge_ranks()
    torch.save([alone.to_dict(), ind.report().to_dict()], f"{folder}/{rank}.pt")
    if rank == 0:
        ind._record.steps.append(4)
    try:
        ind.merge_ranks()
    except RuntimeError as error:
        assert "the ranks have measured [4, 3] steps" in str(error)
    else:
        raise AssertionError("different numbers of steps were merged")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    os._exit(0)  # at a regular exit gloo sometimes aborts on a thread of its own


@pytest.mark.slow
def test_two_processes(tmp_path):
    """Weights: the averaged gradient, the same on both. Activations: the variance over the entries of both."""
    mp.spawn(_rank, (str(tmp_path),), nprocs=2)
    (_, merged), (alone, other) = (torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(2))
    assert repr(merged) == repr(other)
    merged, alone = Report.from_dict(merged), Report.from_dict(alone)
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    with bnn.Indicators(model) as ind:
        for step in range(1, 4):
            opt.zero_grad()
            for half, y in zip(batch(step).chunk(2), (torch.arange(4) % 3,) * 2, strict=True):
                (nn.functional.cross_entropy(model(half), y) / 2).backward()
            opt.step()
    whole = ind.report()
    assert_same(merged.select("*.weight"), whole.select("*.weight"))
    inputs = merged.select("*.input"), whole.select("*.input")
    for quantity in ("n", "error_l2", "saturated", "dead", "stability_cv2"):
        assert inputs[0].per_layer(quantity) == pytest.approx(inputs[1].per_layer(quantity), rel=1e-10), quantity
    # Each rank takes the mean over its own half, so that its gradients are twice as large.
    s = inputs[1].per_layer("stability")
    assert inputs[0].per_layer("stability") == pytest.approx(4 * s, rel=1e-10)
    assert alone.select("*.input").per_layer("n")[:, 2].tolist() == [32, 32]
    assert (abs(alone.select("*.input").per_layer("stability")[:, 2] / (4 * s[:, 2]) - 1) > 1e-3).all()
