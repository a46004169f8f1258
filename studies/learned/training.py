"""Training of one network: frames and head together by Adam, with the frame bounds and the accuracy of every epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from studies.learned.network import Classifier
from studies.shared.batches import Data, plan
from studies.shared.parallel import Place
from studies.shared.summary import accuracy

#: First training images, by which features are normalised.
NORMALISED = 2_000


@dataclass(frozen=True)
class Recipe:
    """How every network is trained.

    Parameters
    ----------
    epochs, batch : int
        Length, and images per step.
    head_rate, frame_rate : float
        Highest learning rates of Adam, of the head and of the frames; a cosine over all steps ends them at 0.
    """

    epochs: int
    batch: int
    head_rate: float
    frame_rate: float


def train(
    model: Classifier, data: Data, recipe: Recipe, *, seed: int, decay: float, where: Place
) -> list[dict[str, Any]]:
    """Train a network in place.

    Parameters
    ----------
    model : Classifier
        On the device of `where`.
    data : Data
        On the same device; only its training images are learned from, and its validation images looked at.
    recipe : Recipe
    seed : int
        Of the order of the images, the same for every method.
    decay : float
        Weight decay of the frames' weights.
    where : Place
        One process and its device.

    Returns
    -------
    list of dict
        From epoch 0, which is before training: the mean loss, the validation accuracy in per cent, and bounds
        ``A1, B1, A2, B2`` of the two layers, computed in float64, with their largest distance ``defect`` from 1.

    Raises
    ------
    ValueError
        If there are fewer training images than one batch.
    """
    model.normalise(data.train.images[:NORMALISED])
    groups = [
        {"params": list(model.head.parameters()), "weight_decay": 0.0, "highest": recipe.head_rate},
        {
            "params": [p for p in model.phi.parameters() if p.requires_grad],
            "weight_decay": decay,
            "highest": recipe.frame_rate,
        },
    ]
    optimiser = torch.optim.AdamW([g for g in groups if g["params"]])
    history = [_state(model, data, 0, math.log(10), where)]
    steps = recipe.epochs * (len(data.train) // recipe.batch)
    if not steps:
        raise ValueError(f"`train(data=...)`: got {len(data.train)} training images for a batch of {recipe.batch}.")
    step = 0
    for epoch in range(recipe.epochs):
        chosen, _ = plan(data, recipe.batch, seed, epoch)
        total = torch.zeros((), device=where.device)
        model.train()
        for batch in chosen:
            for group in optimiser.param_groups:
                group["lr"] = group["highest"] * (1 + math.cos(math.pi * step / steps)) / 2
            batch = batch.to(where.device)
            loss = F.cross_entropy(model(data.train.images[batch]), data.train.labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach()
            step += 1
        history.append(_state(model, data, epoch + 1, float(total) / len(chosen), where))
    return history


def _state(model: Classifier, data: Data, epoch: int, loss: float, where: Place) -> dict[str, Any]:
    found = {"epoch": epoch, "loss": loss, "validation": accuracy(model, data.validation, where)}
    bounds = [tuple(bank.bounds()) for bank in model.phi.banks[:-1]]
    for n, (A, B) in enumerate(bounds, 1):
        found |= {f"A{n}": A, f"B{n}": B}
    return found | {"defect": max(abs(x - 1) for pair in bounds for x in pair)}
