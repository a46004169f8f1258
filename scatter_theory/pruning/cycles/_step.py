"""What a pruning run hands out to be trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import nn

from scatter_theory.pruning.cycles._history import CycleReport
from scatter_theory.pruning.masks._masks import Masks

if TYPE_CHECKING:
    from scatter_theory.pruning.cycles._engine import PruningCycles


@dataclass(frozen=True, eq=False)
class Step:
    """One training that the user's own loop does, then comes back.

    Parameters
    ----------
    cycle : int
        From 0, the training of the whole model.
    round, rounds : int
        Which training of the cycle, from 1, and how many there are.
    model : nn.Module
        To be trained in place. Always the same object with the same parameters, but make a **new optimizer** for every
        step: the old one carries momentum and step counts of weights that have since been rewound or pruned. Pruned
        weights stay 0 all the same.
    masks : Masks
        Which weights are alive in this training.
    seed : int
        Made of the seed of the run, the cycle and the round. A training whose randomness all comes from it is the same
        again when an interrupted run is resumed, and in runs that are compared.
    """

    cycle: int
    round: int
    rounds: int
    model: nn.Module
    masks: Masks
    seed: int
    _run: PruningCycles = field(repr=False)
    _position: int = field(repr=False)

    def record(self, **values: float) -> None:
        """Keep numbers of this training, such as ``test_accuracy=0.91``, in its report and in the history.

        Raises
        ------
        RuntimeError
            If the run has gone on to another step.
        """
        self._run._record(self._position, values)

    @property
    def report(self) -> CycleReport:
        """Counts, recorded values and dead neurons; to be read after the training.

        The dead neurons are measured when it is read. If the model has changed since, they are measured again; the
        history gets the state at the end of the step in any case.
        """
        return self._run._report(self._position)
