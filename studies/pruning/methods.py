"""The rules and the selections of the study."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from scatter_theory import pruning
from scatter_theory.pruning import Rule

#: What is removed in a cycle, as a share of the weights alive, and how much of it a selection takes.
RATE, SHARE = 0.4, 0.04

#: By name; each has a rule that takes the most, or all.
RULES: dict[str, Rule] = {
    "magnitude": pruning.Magnitude(),
    "lamp": pruning.LAMP(),
    "snip": pruning.SNIP(),
    "movement": pruning.Movement(),
    "random": pruning.Random(),
}

#: By name; None: the rule takes everything.
ALONE = "alone"
SELECTIONS: dict[str, Rule | None] = {
    ALONE: None,
    "activate": pruning.Activate(),
    "random_negative": pruning.RandomNegative(),
    "smallest_movement": pruning.Movement(),
    "most_negative": pruning.MostNegative(),
}


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy, for the rules that look at gradients."""
    x, y = batch
    return F.cross_entropy(model(x), y)
