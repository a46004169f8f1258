r"""Selections that wake units: which of the surviving weights are taken out beside those that the rule takes.

A unit :math:`z = \sum_j w_j h_j + b` behind a ReLU is dead for an input where :math:`z \le 0`. If the inputs of the
layer are not negative, taking out a weight :math:`w_j < 0` adds :math:`|w_j| h_j \ge 0` to z for every input, so that
the dead set of that layer can only shrink.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.pruning.rules._rule import Context, Rule
from scatter_theory.pruning.rules._weights import movement


@dataclass(frozen=True)
class Activate(Rule):
    r"""Negative weights that have moved least: the selection of Activate-while-Pruning.

    .. math:: s = |w_\text{end} - w_\text{start}| \text{ where } w_\text{end} < 0, \quad s = \infty \text{ elsewhere,}

    with the weights at the start and the end of the training of one cycle, pooled over all prunable layers. The lowest
    go first. A weight that has hardly moved had its sign at the start already, so that taking it out still removes a
    negative weight after the weights have been rewound.

    What it does not promise. The dead set of a layer shrinks only where all its inputs are non-negative: not in a first
    layer on centred data, nor behind batch normalisation, GELU or anything else with negative values. A layer that
    wakes up feeds the negative weights of the next one, which can die from it. Behind batch normalisation that is
    recomputed from the batch, the dead rate of a Gaussian pre-activation is :math:`\Phi(-\beta/|\gamma|)` whatever the
    weights are, so that nothing is gained; with running statistics from before, a gain is seen that the next training
    takes back. `decompose` shows which of these happens.

    Source: the score is the one of the published script of "AP: Selective Activation for De-sparsifying Pruned
    Networks" (2022), with exactly k weights taken instead of those up to a threshold.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from scatter_theory import pruning
    >>> layer = nn.Sequential(nn.Linear(5, 1, bias=False))
    >>> start = {"0.weight": torch.tensor([[0.5, -0.4, -0.3, 0.2, -0.1]])}
    >>> with torch.no_grad():
    ...     _ = layer[0].weight.copy_(torch.tensor([[0.6, -0.1, -0.35, 0.1, -0.5]]))
    >>> pruning.prune(layer, pruning.Activate(), sparsity=0.4, start=start)["0.weight"].int().tolist()
    [[1, 0, 0, 1, 1]]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"start"})

    def scores(self, context: Context) -> dict[str, Tensor]:
        """Movement of the negative weights, infinite elsewhere; float64, the shapes of the weights."""
        return {name: only(w < 0, movement(context, name)) for name, w in context.weights.items()}


def only(where: Tensor, scores: Tensor) -> Tensor:
    """The scores where the condition holds; infinite, hence never taken, elsewhere."""
    return torch.where(where, scores, torch.inf)
