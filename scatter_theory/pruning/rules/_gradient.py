"""Rules that look at the gradient of a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.pruning.rules._rule import Context, Rule, registered


def saliency(context: Context) -> dict[str, Tensor]:
    """Modulus of weight times gradient; 0 where the weight is pruned."""
    gradients = context.gradients()
    return {name: (weight.double() * gradients[name]).abs() for name, weight in context.weights.items()}


@registered
@dataclass(frozen=True)
class Gradient(Rule):
    r"""The first-order change of the loss when the weight is removed, :math:`|w \, \partial L / \partial w|`.

    The gradient is that of the loss summed over the batches of the data, not a sum of moduli. Batch normalisation
    uses the statistics of each batch, and dropout is off.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"gradients"})

    def scores(self, context: Context) -> dict[str, Tensor]:
        return saliency(context)


@registered
@dataclass(frozen=True)
class SNIP(Rule):
    r"""Connection sensitivity (Lee, Ajanthan, Torr, ICLR 2019), meant for a model before its training.

    .. math:: \frac{|w \, \partial L / \partial w|}{\sum_v |v \, \partial L / \partial v|},

    the sum over all weights that are scored. It has the order of `Gradient`, from which it differs in the moment of
    its use and in its scale. If all gradients are 0, so are the scores.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"gradients"})

    def scores(self, context: Context) -> dict[str, Tensor]:
        scores = saliency(context)
        sums = [score.sum() for score in scores.values()]
        total = torch.stack([part.to(sums[0].device) for part in sums]).sum()
        return {name: torch.where(score > 0, score / total.to(score.device), score) for name, score in scores.items()}
