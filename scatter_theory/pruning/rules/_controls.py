"""Controls of Activate-while-Pruning: negative weights, without its second condition.

The control without the first one, the sign, is the rule `Movement`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.pruning.rules._activate import only
from scatter_theory.pruning.rules._rule import Context, Rule


@dataclass(frozen=True)
class RandomNegative(Rule):
    """Negative weights in random order: the control of whether it is enough that they are negative.

    The order comes from the generator of the context, hence from the seed of `prune` or of the cycle.
    """

    def scores(self, context: Context) -> dict[str, Tensor]:
        """Uniform random numbers on the negative weights, infinite elsewhere; float64, the shapes of the weights."""
        return {
            name: only(
                w < 0, torch.rand(w.shape, generator=context.generator, dtype=torch.float64).to(w.device)
            )
            for name, w in context.weights.items()
        }  # fmt: skip


@dataclass(frozen=True)
class MostNegative(Rule):
    """Negative weights, the largest modulus first: the strongest push on the units, at the greatest cost.

    Large weights are those that a rule by magnitude keeps, so this control tells how much waking the units is worth
    against losing them.
    """

    def scores(self, context: Context) -> dict[str, Tensor]:
        """The weight itself where negative, infinite elsewhere; float64, the shapes of the weights."""
        return {name: only(w < 0, w.double()) for name, w in context.weights.items()}
