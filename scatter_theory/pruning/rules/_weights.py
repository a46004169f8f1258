"""Rules that look at the weights alone: magnitude, LAMP, movement, random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.pruning.rules._rule import Context, Rule, registered


@registered
@dataclass(frozen=True)
class Magnitude(Rule):
    r"""The modulus :math:`|w|` of the weight."""

    def scores(self, context: Context) -> dict[str, Tensor]:
        return {name: weight.double().abs() for name, weight in context.weights.items()}


@registered
@dataclass(frozen=True)
class LAMP(Rule):
    r"""Layer-adaptive magnitude (Lee, Park, Mo, Ahn, Shin, ICLR 2021).

    .. math:: \frac{w^2}{\sum_{v^2 \ge w^2} v^2},

    the sum over the weights v of the same tensor that are alive. The order within a tensor is that of the magnitude;
    across tensors it favours those with fewer weights left. Equal moduli have equal scores, and the largest weight of a
    tensor has score 1 if there is only one. A weight that is exactly 0 has score 0.
    """

    def scores(self, context: Context) -> dict[str, Tensor]:
        return {name: self._score(weight.double().square()) for name, weight in context.weights.items()}

    @staticmethod
    def _score(squares: Tensor) -> Tensor:
        ascending = squares.flatten().sort().values
        beyond = ascending.flip(0).cumsum(0).flip(0)  # [k] sum of the squares from the k-th on
        place = torch.searchsorted(ascending, squares.flatten())  # the first of equal ones
        score = squares.flatten() / beyond[place]
        return torch.where(squares > 0, score.view(squares.shape), 0.0)


@registered
@dataclass(frozen=True)
class Movement(Rule):
    r"""How far the weight has moved in this cycle, :math:`|w - w_{start}|`; the smallest movements are pruned.

    Not the rule of that name by Sanh, Wolf, Rush (NeurIPS 2020), which adds up products of weights and gradients.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"start"})

    def scores(self, context: Context) -> dict[str, Tensor]:
        return {name: movement(context, name) for name in context.weights}


@registered
@dataclass(frozen=True)
class Random(Rule):
    """A uniform random number for each weight, from the generator of the call: a control for all other rules."""

    def scores(self, context: Context) -> dict[str, Tensor]:
        return {
            name: torch.rand(weight.shape, generator=context.generator, dtype=torch.float64).to(weight.device)
            for name, weight in context.weights.items()
        }


def movement(context: Context, name: str) -> Tensor:
    """How far each weight has come since the start, float64."""
    w = context.weights[name]
    return (w.double() - context.start[name].to(w.device).double()).abs()
