"""Estimators that change along a training run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from scatter_theory.bnn._binarizer import Binarizer, Role, binarizers
from scatter_theory.bnn._estimator import Estimator


class Rule(ABC):
    """Which estimator a binarizer uses at a fraction of the run. A frozen dataclass of plain numbers.

    Attributes
    ----------
    accepts : type
        Class of estimators that the rule changes; binarizers with others are left alone.
    """

    accepts: ClassVar[type[Estimator]]

    @abstractmethod
    def __call__(self, final: Estimator, role: Role, progress: float) -> Estimator:
        """Estimator at `progress` in [0, 1), given the one at the end."""

    @abstractmethod
    def check(self, key: str, final: Estimator, role: Role) -> None:
        """Raise ValueError, naming the binarizer `key`, if the rule does not end at `final`."""


class Schedule:
    """Sets the estimators of a binarised model by a rule, from the start of the run to its end.

    The estimators for the first epoch are set at once; call ``step()`` after each epoch (or each iteration, if the
    length is given in `steps`). Build the schedule on the binarised model before training, and again before loading a
    checkpoint: ``state_dict`` holds the position, and a resumed run has bitwise the estimators of an unbroken one.

    Parameters
    ----------
    model : nn.Module
        A binarised model, wrapped or not.
    rule : Rule
        Estimator by progress.
    epochs, steps : int or None
        Number N of parts of the run; give exactly one. In part n = 0, ..., N - 1 the progress is n/N.
    reach_end : bool
        Use progress n/(N - 1) instead, so that the last part has exactly the final estimator.

    Raises
    ------
    TypeError
        If the length is not a whole number.
    ValueError
        If not exactly one length is given or it is below 1, if the model has no binarizer with an estimator that the
        rule accepts, or if one of them does not end where the rule does.
    """

    def __init__(
        self,
        model: nn.Module,
        rule: Rule,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        reach_end: bool = False,
    ) -> None:
        self.rule = rule
        self.total = _length(rule.accepts.__name__, epochs, steps)
        self.reach_end = reach_end
        self.taken = 0
        self._binarizers = accepted(rule.accepts.__name__, model, rule.accepts)
        for key, binarizer in self._binarizers.items():
            rule.check(key, binarizer.final_estimator, binarizer.role)
        self._apply()

    @property
    def progress(self) -> float:
        """Fraction of the run, from 0 to 1; 1 after the last part."""
        span = self.total - 1 if self.reach_end else self.total
        return min(self.taken / span, 1.0) if span else 1.0

    def step(self) -> None:
        """Go on to the next part.

        Raises
        ------
        RuntimeError
            If the run has ended before.
        """
        if self.taken == self.total:
            raise RuntimeError(
                f"`Schedule.step()`: called {self.total + 1} times in a schedule of {self.total} parts. Build it with "
                "the number of epochs (`epochs=`) or iterations (`steps=`) of the whole run."
            )
        self.taken += 1
        self._apply()

    def state_dict(self) -> dict[str, Any]:
        """Position and definition, in plain numbers and strings."""
        return {"taken": self.taken, **self._definition()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved position and set the estimators.

        Raises
        ------
        ValueError
            If the state is of a schedule with another rule or length.
        """
        saved, own = {key: state.get(key) for key in self._definition()}, self._definition()
        if saved != own:
            raise ValueError(
                f"`Schedule.load_state_dict`: the state belongs to {saved}, this schedule is {own}. Build the schedule "
                "as the saved one was."
            )
        self.taken = state["taken"]
        self._apply()

    def _definition(self) -> dict[str, Any]:
        return {"rule": repr(self.rule), "total": self.total, "reach_end": self.reach_end}

    def _apply(self) -> None:
        for binarizer in self._binarizers.values():
            final = binarizer.final_estimator
            at_end = self.progress == 1.0
            binarizer.estimator = final if at_end else self.rule(final, binarizer.role, self.progress)

    def __repr__(self) -> str:
        reach_end = ", reach_end=True" if self.reach_end else ""
        return f"Schedule({self.rule!r}, part {self.taken} of {self.total}{reach_end})"


def accepted(where: str, model: nn.Module, kind: type[Estimator], role: Role | None = None) -> dict[str, Binarizer]:
    """Binarizers of `model` that end with an estimator of one class.

    Raises
    ------
    ValueError
        If there is none; `where` is named in the message.
    """
    found = binarizers(model, role)
    chosen = {key: b for key, b in found.items() if isinstance(b.final_estimator, kind)}
    if not chosen:
        used = sorted({type(b.final_estimator).__name__ for b in found.values()})
        raise ValueError(
            f"`schedules.{where}(model=...)`: the model has no {role or 'binarizer'} with the estimator "
            f"{kind.__name__}; it has {', '.join(used) or 'no binarizers at all'}. Pass "
            f"`binarize_model(net, bnn.{kind.__name__}(...))`."
        )
    return chosen


def _length(where: str, epochs: int | None, steps: int | None) -> int:
    if (epochs is None) == (steps is None):
        raise ValueError(
            f"`schedules.{where}(epochs={epochs}, steps={steps})`: give exactly one of the two: `epochs` for one "
            "`step()` per epoch, `steps` for one per iteration."
        )
    name, total = ("epochs", epochs) if steps is None else ("steps", steps)
    if isinstance(total, bool) or not isinstance(total, int):
        raise TypeError(f"`schedules.{where}({name}=...)`: got {total!r}, expected a whole number.")
    if total < 1:
        raise ValueError(f"`schedules.{where}({name}=...)`: got {total}, expected at least 1.")
    return total
