"""What a pruning rule is, what it may look at, and the table of all rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from scatter_theory.pruning.masks._masks import Masks

#: All rules by name; `registered` enters them.
RULES: dict[str, type[Rule]] = {}

R = TypeVar("R", bound="type[Rule]")


def registered(cls: R) -> R:
    """Class decorator: enter a rule into `RULES` under its class name."""
    RULES[cls.__name__] = cls
    return cls


@dataclass(frozen=True)
class Context:
    """What a rule may look at.

    Parameters
    ----------
    model : nn.Module
        The model as it is; a rule never changes it.
    weights : mapping of str to tensor
        The weights to score, by name; pruned entries are 0.
    masks : Masks
        Masks of the same names.
    start : mapping of str to tensor or None
        The same weights at the start of the cycle, for rules that need ``"start"``.
    gradients : callable or None
        Without arguments; gives the gradients of the loss with respect to the weights, summed over batches, in float64,
        for rules that need ``"gradients"``.
    generator : torch.Generator
        Of the CPU, the only source of random numbers.
    """

    model: nn.Module
    weights: Mapping[str, Tensor]
    masks: Masks
    start: Mapping[str, Tensor] | None
    gradients: Callable[[], Mapping[str, Tensor]] | None
    generator: torch.Generator


class Rule(ABC):
    """Says how important each weight is; the least important are pruned.

    A subclass is a frozen dataclass of plain values.

    Attributes
    ----------
    needs : frozenset of str
        What must be in the context beside the weights: ``"start"``, ``"gradients"``.
    rounds : int
        In how many rounds ``prune`` reaches its target, with new scores in each. Left alive after round r of n are
        about :math:`a_0 (a_n / a_0)^{r/n}` weights.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    rounds: ClassVar[int] = 1

    @abstractmethod
    def scores(self, context: Context) -> dict[str, Tensor]:
        """Importance of every weight, in float64.

        Parameters
        ----------
        context : Context
            Weights, masks and what else is needed.

        Returns
        -------
        dict of str to float64 tensor
            One for each of ``context.weights``, of its shape and on its device. Lowest are pruned first, +inf never.
            Entries that are pruned already may have any value but NaN.
        """
