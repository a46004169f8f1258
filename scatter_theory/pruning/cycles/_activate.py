"""Activate-while-Pruning: a rule that keeps the important weights, and a selection that wakes units."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from scatter_theory.pruning._prune import Scope
from scatter_theory.pruning.cycles._checks import check_rate, check_share
from scatter_theory.pruning.cycles._engine import Measure, PruningCycles, Rewind, Taker
from scatter_theory.pruning.masks._prunable import Skip
from scatter_theory.pruning.rules._activate import Activate
from scatter_theory.pruning.rules._gradients import Loss
from scatter_theory.pruning.rules._rule import Rule
from scatter_theory.pruning.rules._weights import LAMP

_LAMP, _ACTIVATE = LAMP(), Activate()


class ActivateWhilePruning(PruningCycles):
    r"""Iterative pruning in which a part of each cycle's share goes to weights that hold units below zero.

    As `IterativePruning`, but of the N weights alive before a cycle's pruning the rule takes exactly
    ``round(rate * N) - round(share * N)``, and then, of those that it left, the selection takes ``round(share * N)``.
    Together that is what the rule alone would take at the same rate, so that runs with and without the selection have
    the same sparsity to the weight in each cycle, and with the same `seed` the same `Step.seed`.

    The default selection, `Activate`, takes negative weights that have moved least in the training; what that can and
    cannot do is said there. In short: it can only wake units of a layer whose inputs are non-negative, it may put the
    next layer to sleep, and behind batch normalisation its effect on the dead rate is cancelled as soon as the
    statistics are those of the data again. `RandomNegative`, `MostNegative` and
    `Movement`, which looks at either sign, are its controls.

    Two mistakes of the published script are not made here: one set of weights is trained with one optimizer per step,
    with masks that hold pruned weights at 0; and only the weights of linear layers and convolutions are pruned, each of
    them counted once. Where it rewinds, its second training in a cycle is the first one of the next cycle over again,
    with the same masks and the same start, so that one is left.

    Parameters
    ----------
    model : nn.Module
        As for `IterativePruning`.
    rule : Rule
        The rule that takes the larger part. Default: LAMP.
    rate : float
        Share of the weights alive, in (0, 1), that rule and selection take together in each cycle from cycle 1 on.
    share : float
        Share of the weights alive, in [0, rate], that the selection takes.
    selection : Rule
        What takes the smaller part, from all prunable layers together whatever the scope. Default: `Activate`.
    retrain_between : bool
        Whether the model is rewound and trained once more between rule and selection: each cycle from 1 on then has two
        steps, with `Step.round` 1 and 2. The selection looks at the movement in the training of the first.
    cycles, rewind, scope, skip, data, loss, measure, store, seed
        As for `IterativePruning`; `scope` is that of the rule.

    Raises
    ------
    TypeError
        If `rule` or `selection` is no rule.
    ValueError
        As for `IterativePruning`, or if `share` is not in [0, rate]. While iterating also if the selection has fewer
        candidates than its share, such as negative weights alive; nothing else is taken in their place.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from scatter_theory import pruning
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> run = pruning.ActivateWhilePruning(net, rate=0.2, share=0.05, cycles=3)
    >>> for step in run:
    ...     print(step.cycle, step.masks.alive, step.report.removed_by)  # here the model is trained
    0 160 {'rule': 0, 'selection': 0}
    1 128 {'rule': 24, 'selection': 8}
    2 102 {'rule': 20, 'selection': 6}
    """

    def __init__(
        self, model: nn.Module, rule: Rule = _LAMP, *, rate: float = 0.2, share: float = 0.02,
        selection: Rule = _ACTIVATE, retrain_between: bool = False, cycles: int = 25, rewind: Rewind | None = "init",
        scope: Scope = "global", skip: Skip = (), data: Iterable[Any] | None = None, loss: Loss | None = None,
        measure: Measure | None = None, store: str | Path | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        where = type(self).__name__
        check_rate(where, rate)
        check_share(where, share, rate)
        takers = (Taker("rule", rule, share, rate, scope), Taker("selection", selection, 0.0, share, "global"))
        settings = {"rule": rule, "rate": rate, "share": share, "selection": selection}
        settings |= {"retrain_between": retrain_between, "cycles": cycles, "rewind": rewind, "scope": scope}
        super().__init__(
            model, tuple((taker,) for taker in takers) if retrain_between else (takers,),
            settings | {"skip": skip, "seed": seed}, cycles=cycles, back=rewind, skip=skip, data=data, loss=loss,
            measure=measure, store=store, seed=seed,
        )  # fmt: skip
