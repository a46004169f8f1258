"""One training pass of a network that may be pruned: a frozen recipe, and a checkpoint per epoch.

Everything random in epoch e of cycle c comes from a generator seeded by (seed, c, e), so that a pass that was stopped
and resumed is the same, bit for bit, as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from studies.shared.batches import Data, plan, ready
from studies.shared.files import replace_file, say


@dataclass(frozen=True)
class Recipe:
    """How a model is trained in each cycle.

    Parameters
    ----------
    epochs, batch : int
        Length of one pass, and images per step.
    lr, momentum, weight_decay : float
        Of stochastic gradient descent; the learning rate is the highest one. All parameters decay.
    decay : {"cosine", "published"}
        See `learning_rate`.
    augmentation : str
        A name in ``batches.AUGMENTATIONS``.
    seed : int
        Of the order of the images and their augmentation.
    """

    epochs: int
    batch: int
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay: Literal["cosine", "published"] = "cosine"
    augmentation: str = "none"
    seed: int = 0


#: Iterations over which the published rate would rise to its highest, and from which epoch it is which share of that.
RISE = 20_000
DROPS = ((32, 0.01), (25, 0.1))

#: More epochs than a pass has, so that cycles have random numbers of their own.
_EPOCHS = 10_000


def learning_rate(recipe: Recipe, epoch: int, iteration: int) -> float:
    r"""Learning rate of a step.

    ``"cosine"`` is :math:`\eta (1 + \cos(\pi e/E))/2` in epoch e of E. ``"published"`` is the schedule of the released
    code of Activate-while-Pruning: :math:`\eta \min(i/20\,000, 1)` in the i-th step, then :math:`\eta/10` from epoch
    25 and :math:`\eta/100` from epoch 32.

    Parameters
    ----------
    recipe : Recipe
        With the highest rate :math:`\eta`.
    epoch : int
        From 0.
    iteration : int
        Steps in this pass up to this one, from 1.
    """
    if recipe.decay == "cosine":
        return recipe.lr * (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2
    for first, share in DROPS:
        if epoch >= first:
            return share * recipe.lr
    return recipe.lr * min(iteration / RISE, 1.0)


def train(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    *,
    cycle: int = 0,
    checkpoint: Path | None = None,
    device: str = "cpu",
    name: str = "run",
) -> list[dict[str, Any]]:
    """Train a model for one pass, in place, with a new optimiser.

    Parameters
    ----------
    model : nn.Module
        On `device`, with or without masks.
    data : Data
        Only its training images are used.
    recipe : Recipe
        How to train.
    cycle : int
        Number of the pass; it chooses the random numbers.
    checkpoint : Path or None
        File that is replaced after every epoch, and read first if it is there. It is left in place at the end.
    device : str
        Torch device.
    name : str
        What progress lines begin with.

    Returns
    -------
    list of dict
        Epoch, from 1, the learning rate of its last step, and the mean loss.

    Raises
    ------
    ValueError
        If the checkpoint is of another recipe or cycle, or there are fewer training images than one batch.
    """
    optimiser = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    history: list[dict[str, Any]] = []
    wanted = {"recipe": asdict(recipe), "cycle": cycle}
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        found = {key: state[key] for key in wanted}
        if found != wanted:
            raise ValueError(f"{checkpoint}: was written with {found}, not {wanted}; remove it.")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        history = state["history"]
    for epoch in range(len(history), recipe.epochs):
        history.append(_epoch(model, data, recipe, cycle, epoch, optimiser, device))
        if checkpoint is not None:
            say(f"{name}: cycle {cycle}, epoch {epoch + 1}/{recipe.epochs}, loss {history[-1]['loss']:.4f}")
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "history": history, **wanted}
            replace_file(checkpoint, lambda path, state=state: torch.save(state, path))
    return history


def _epoch(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    cycle: int,
    epoch: int,
    optimiser: torch.optim.Optimizer,
    device: str,
) -> dict[str, Any]:
    model.train()
    chosen, generator = plan(data, recipe.batch, recipe.seed, _EPOCHS * cycle + epoch)
    if not chosen:
        raise ValueError(f"`train(data=...)`: got {len(data.train)} training images for a batch of {recipe.batch}.")
    total = torch.zeros((), device=device)
    lr = 0.0
    for step, (x, y) in enumerate(_batches(data, chosen, recipe, generator, device)):
        lr = learning_rate(recipe, epoch, epoch * len(chosen) + step + 1)
        for group in optimiser.param_groups:
            group["lr"] = lr
        loss = F.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.detach()
    return {"epoch": epoch + 1, "lr": lr, "loss": float(total) / len(chosen)}


def _batches(
    data: Data, chosen: list[torch.Tensor], recipe: Recipe, generator: torch.Generator, device: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for batch in data.train.augmented(chosen, recipe.augmentation, generator, slice(None)):
        yield ready(batch, device)
