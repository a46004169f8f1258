"""One training loop, for a binarised model or one in full precision: a frozen recipe, and a checkpoint per epoch.

Everything random in epoch e comes from a generator seeded by (seed, e), so that a run that was stopped and resumed is
the same, bit for bit, as one that was not. The device, the precision and the processes are no part of the recipe but
given by a `parallel.Place`.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from scatter_theory import bnn
from scatter_theory.meters import Report
from studies.shared.batches import Data, plan, ready
from studies.shared.files import replace_file, say
from studies.shared.parallel import Place
from studies.shared.summary import ALONE, accuracy


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Parameters
    ----------
    epochs, batch : int
        Length of the run, and images per step, in all processes together; an incomplete last batch is left out, unless
        the data say otherwise.
    optimiser : {"sgd"}
        Stochastic gradient descent with momentum.
    lr, momentum, weight_decay : float
        Of the optimiser; the learning rate is the highest one. All parameters decay.
    warm_up : int
        Epochs in which the rate rises linearly.
    decay : {"cosine", "released", "constant"}
        The rate afterwards; constant in each epoch. See `learning_rate`.
    schedule : {"official", "constant"}
        ``"official"``: the schedule that belongs to the estimator, for ReSTE and EDE (see ``bnn.schedules``), none for
        others. ``"constant"``: the estimators stay as they are.
    augmentation : str
        A name in ``batches.AUGMENTATIONS``, or ``"resized_crop"`` for folders of images.
    seed : int
        Of the order of the images and their augmentation.
    readings : int
        Steps per epoch at which the indicators are read.
    """

    epochs: int
    batch: int = 128
    optimiser: Literal["sgd"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: int = 0
    decay: Literal["cosine", "released", "constant"] = "cosine"
    schedule: Literal["official", "constant"] = "official"
    augmentation: str = "none"
    seed: int = 0
    readings: int = 4


def learning_rate(recipe: Recipe, epoch: int) -> float:
    r"""Learning rate in an epoch, counted from 0: linear up to the highest, then a half cosine towards 0.

    In epoch e of E, with W epochs of warm-up, ``"cosine"`` is :math:`\eta (1 + \cos(\pi (e - W)/(E - W)))/2`.

    ``"released"`` is what the released code of ReSTE does. Its cosine has E - V epochs, V = max(W - 1, 0), and starts V
    steps before its top, from which it is continued by ratios:

    .. math:: \eta_e = \eta \, \frac{1 + \cos(\pi (e - 2V)/(E - V))}{1 + \cos(\pi V/(E - V))}, \quad e \ge W .

    With E = 1000 and W = 5 the rate peaks at 1.00004 of the highest, in epoch 8, and ends at 6.2e-5 of it; without
    warm-up it is the plain cosine. E must be much larger than W.
    """
    if epoch < recipe.warm_up:
        return recipe.lr * (epoch + 1) / recipe.warm_up
    if recipe.decay == "constant":
        return recipe.lr
    if recipe.decay == "released":
        before = max(recipe.warm_up - 1, 0)
        step = math.pi / (recipe.epochs - before)
        return recipe.lr * (1 + math.cos(step * (epoch - 2 * before))) / (1 + math.cos(step * before))
    done = (epoch - recipe.warm_up) / (recipe.epochs - recipe.warm_up)
    return recipe.lr * (1 + math.cos(math.pi * done)) / 2


def schedule_of(model: nn.Module, recipe: Recipe) -> bnn.schedules.Schedule | None:
    """The schedule that belongs to the estimator of the model, None where there is none."""
    if recipe.schedule == "constant":
        return None
    kinds = {type(b.final_estimator) for b in bnn.binarizers(model).values()}
    if bnn.ReSTE in kinds:
        return bnn.schedules.ReSTE(model, epochs=recipe.epochs)
    return bnn.schedules.EDE(model, epochs=recipe.epochs) if bnn.EDE in kinds else None


def train(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    name: str = "run",
    where: Place = ALONE,
) -> dict[str, Any]:
    """Train a model, in place.

    Parameters
    ----------
    model : nn.Module
        From ``bnn.binarize_model``, or in full precision; the same in all processes.
    data : Data
        The test images are looked at once, after the last epoch.
    recipe : Recipe
        How to train.
    checkpoint : Path or None
        File that is replaced after every epoch, and read first if it is there. It is left in place at the end.
    name : str
        What progress lines begin with.
    where : Place
        Process and device. Each of several processes takes its share of each batch, with batch statistics of its own.
        The first one writes the checkpoint, and all of them read it.

    Returns
    -------
    dict
        ``"test"``, accuracy of the last epoch in per cent; ``"cpu_seconds"``; and ``"history"``, a list with the loss,
        the accuracy on the validation images and the indicators of each epoch. With ``"float16"`` also the number of
        steps that were skipped as gradients overflowed; an epoch without a step has no indicators.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another recipe or precision, there are fewer training images than one batch (than
        two for each process if the last batch is kept), or the batch does not divide evenly among the processes.
    """
    if not plan(data, recipe.batch, recipe.seed, 0, where.world)[0]:
        raise ValueError(f"`train(data=...)`: got {len(data.train)} training images for a batch of {recipe.batch}.")
    if recipe.batch % where.world:
        raise ValueError(
            f"`train(recipe=...)`: a batch of {recipe.batch} does not divide evenly among {where.world} processes."
        )
    net = where.wrap(model)
    scaler = torch.amp.GradScaler(where.kind, enabled=where.precision == "float16")
    optimiser = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    schedule = schedule_of(model, recipe)
    history: list[dict[str, Any]] = []
    spent = 0.0
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=where.device)
        if state["precision"] != where.precision:
            raise ValueError(f"{checkpoint}: was written in {state['precision']}, not {where.precision}; remove it.")
        if state["recipe"] != asdict(recipe):
            raise ValueError(f"{checkpoint}: was written with {state['recipe']}, not {asdict(recipe)}; remove it.")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        if schedule is not None:
            schedule.load_state_dict(state["schedule"])
        if scaler.is_enabled():
            scaler.load_state_dict(state["scaler"])
        history, spent = state["history"], state["cpu_seconds"]
    for epoch in range(len(history), recipe.epochs):
        start = time.process_time()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, epoch)
        measured = _epoch(net, data, recipe, epoch, optimiser, scaler, where)
        row = {"epoch": epoch + 1, "lr": learning_rate(recipe, epoch), **measured}
        where.copy_buffers(model)
        row["validation"] = accuracy(model, data.validation, where)
        history.append(row)
        if schedule is not None:
            schedule.step()
        spent += time.process_time() - start
        if where.rank == 0:
            say(f"{name}: epoch {epoch + 1}/{recipe.epochs}, loss {row['loss']:.4f}, {row['validation']:.2f} %")
        if checkpoint is not None and where.rank == 0:
            state = {
                "recipe": asdict(recipe),
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": None if schedule is None else schedule.state_dict(),
                "precision": where.precision,
                "scaler": scaler.state_dict(),
                "history": history,
                "cpu_seconds": spent,
            }
            replace_file(checkpoint, lambda path, state=state: torch.save(state, path))
        where.wait()
    return {"test": accuracy(model, data.test, where), "cpu_seconds": spent, "history": history}


def _epoch(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    epoch: int,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    where: Place,
) -> dict[str, Any]:
    """Train for one epoch; its loss and its indicators."""
    model.train()
    binary = bnn.binarizers(model)
    chosen, generator = plan(data, recipe.batch, recipe.seed, epoch, where.world)
    steps = len(chosen)
    total = torch.zeros((), device=where.device)
    mixed = torch.autocast(where.kind, getattr(torch, where.precision), enabled=where.precision != "float32")
    with ExitStack() as stack:
        if binary:
            final = next(iter(binary.values())).final_estimator
            o_end = final.o if isinstance(final, bnn.ReSTE) else 3.0
            every = max(steps // recipe.readings, 1)
            curves = ("surrogate", "final")
            on = {"optimizer": optimiser, "scaler": scaler if scaler.is_enabled() else None}
            meter = stack.enter_context(bnn.Indicators(model, every=every, curves=curves, **on))
            official = stack.enter_context(bnn.Indicators(model, preset="official", o_end=o_end, **on))
        taken: list[bool] = []
        stack.enter_context(optimiser.register_step_post_hook(lambda *_: taken.append(True)))
        for batch in data.train.augmented(chosen, recipe.augmentation, generator, where.share):
            x, y = ready(batch, where.device)
            with mixed:
                loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
            total += loss.detach()
        row: dict[str, Any] = {"loss": float(where.total(total)) / (steps * where.world)}
        if scaler.is_enabled():
            row["skipped"] = steps - len(taken)
        if binary:
            row["estimator"] = repr(next(iter(binary.values())).estimator)
        if binary and taken:
            official.epoch_end()
            sums = official.totals()
            row["official"] = {"error": sums.e, "stability": sums.s}
            if where.world > 1:
                meter.merge_ranks()
            row |= readings(meter.report())
    return row


#: Quantity of the report and how it is reduced over layers, by the name in the results.
READINGS = {
    "error": ("error_mse", "pooled"),
    "error_final": ("error_mse[final]", "pooled"),
    "error_sum": ("error_l2", "sum_layer"),
    "stability": ("stability", "pooled"),
    "stability_sum": ("stability", "sum_layer"),
    "cv2": ("stability_cv2", "pooled"),
    "cv2_layers": ("stability_cv2", "mean_layer"),
    "gradient": ("gradient_mean", "pooled"),
    "inner": ("inner", "pooled"),
    "saturated": ("saturated", "pooled"),
    "dead": ("dead", "pooled"),
    "flip_rate": ("flip_rate", "pooled"),
}


def readings(report: Report) -> dict[str, dict[str, float]]:
    """Means over the measured steps of an epoch, for weights and for activations."""
    result = {}
    for role, pattern in (("weights", "*.weight"), ("activations", "*.input")):
        part = report.select(pattern)
        values = {name: part.pooled(quantity, rule) for name, (quantity, rule) in READINGS.items()}
        finite = {name: x[~torch.isnan(torch.from_numpy(x)).numpy()] for name, x in values.items()}
        result[role] = {name: float(x.mean()) for name, x in finite.items() if x.size}
    return result
