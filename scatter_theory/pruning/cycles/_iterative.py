"""Iterative pruning with one rule."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from scatter_theory.pruning._prune import Scope
from scatter_theory.pruning.cycles._checks import check_rate
from scatter_theory.pruning.cycles._engine import Measure, PruningCycles, Rewind, Taker
from scatter_theory.pruning.masks._prunable import Skip
from scatter_theory.pruning.rules._gradients import Loss
from scatter_theory.pruning.rules._rule import Rule


class IterativePruning(PruningCycles):
    r"""Train, prune a share of what is alive, rewind, and again; the training is the user's own loop.

    .. code-block:: python

        run = pruning.IterativePruning(model, pruning.Magnitude(), rate=0.2, cycles=25, measure=loader)
        for step in run:
            train(step.model)  # with a new optimizer for every step
            step.record(test_accuracy=accuracy(step.model))
            print(step.report)
        run.history.plot()

    Cycle 0 trains the whole model. Between two cycles exactly ``round(rate * N)`` of the N weights alive are pruned,
    so that about :math:`(1 - \text{rate})^c` of the weights are alive in cycle c: 0.8, 0.33, 0.11, 0.0047 of them in
    the cycles 1, 5, 10 and 24 at rate 0.2. The last cycle is a training too, and leaves the model trained and sparse.

    The model is one object throughout, changed in place, with one set of parameters: masks are put on all prunable
    weights at once, and rewinding writes copies of the kept values into the parameters. **A new optimizer is needed for
    every step.** An old one has momentum from weights that are gone; it moves the parameters behind the masks, and a
    rewound model away from where it was rewound to. Pruned weights stay exactly 0 in any case.

    Parameters
    ----------
    model : nn.Module
        Freshly initialised, neither wrapped nor compiled; masks that it has stay. Nothing but the values of its
        parameters and buffers may change between the cycles.
    rule : Rule
        Which weights are pruned, by the state at the end of a training. Rules that need the start get the weights from
        the beginning of that training.
    rate : float
        Share of the weights alive, in (0, 1), to prune in each cycle from cycle 1 on.
    cycles : int
        How many, cycle 0 included.
    rewind : {"init", "early"} or None
        What the trained values are replaced by after pruning: the values at the time when this object was made; those
        kept by `save_early` in the training of cycle 0; or nothing, so that the training goes on. All parameters are
        rewound, biases included, and all buffers, so that running statistics of batch normalisation are as well.
    scope, skip, data, loss
        As in ``prune``.
    measure : iterable or callable, optional
        A loader of inputs on which ``dead_neurons`` is called with its defaults at the end of each training; or a
        function that is given the model and returns the `DeadNeurons`, for other settings.
    store : path, optional
        Folder in which the run keeps its state whenever it hands out a step. A new object with the same settings, the
        same kind of model and this folder goes on at the start of the step that was broken off, with the same values
        bit for bit. What `data`, `loss` and `measure` are is not compared.
    seed : int
        Of random rules and of `Step.seed`, from 0.

    Raises
    ------
    TypeError
        If `rule` is no rule.
    ValueError
        If an argument is out of range, the model cannot be pruned (``prunable``), or `store` holds another run. While
        iterating: as ``prune`` does, if the model has got other tensors, or if `rewind` is ``"early"`` and nothing was
        kept (RuntimeError).

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from scatter_theory import pruning
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> for step in pruning.IterativePruning(net, pruning.Magnitude(), rate=0.5, cycles=3):
    ...     print(step.cycle, step.masks.alive)  # here the model is trained
    0 160
    1 80
    2 40
    """

    def __init__(
        self, model: nn.Module, rule: Rule, *, rate: float = 0.2, cycles: int = 25, rewind: Rewind | None = "init",
        scope: Scope = "global", skip: Skip = (), data: Iterable[Any] | None = None, loss: Loss | None = None,
        measure: Measure | None = None, store: str | Path | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        check_rate("IterativePruning", rate)
        settings = {"rule": rule, "rate": rate, "cycles": cycles, "rewind": rewind, "scope": scope, "skip": skip}
        super().__init__(
            model, ((Taker("rule", rule, 0.0, rate, scope),),), settings | {"seed": seed}, cycles=cycles, back=rewind,
            skip=skip, data=data, loss=loss, measure=measure, store=store, seed=seed,
        )  # fmt: skip
