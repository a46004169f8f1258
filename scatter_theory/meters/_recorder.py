"""Where numbers of a run go: any function of a step and named numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Recorder(Protocol):
    """A function ``recorder(step, values)`` that takes the numbers of one step; its result is not looked at.

    Every tracker of experiments has one within a line, and none is needed by this package::

        lambda step, values: wandb.log(values, step=step)
        lambda step, values: mlflow.log_metrics(values, step=step)
        lambda step, values: [writer.add_scalar(name, value, step) for name, value in values.items()]  # tensorboard
    """

    def __call__(self, step: int, values: dict[str, float], /) -> Any:
        """Take the numbers of one step.

        Parameters
        ----------
        step : int
            Number of the step; steps come in increasing order.
        values : dict of str to float
            Python numbers by name; what was not measured at this step is left out, so that none is NaN for that reason.
        """


def check_recorder(where: str, recorder: Any) -> None:
    """Refuse what cannot be called.

    Raises
    ------
    TypeError
        For anything that is not callable, such as the module or the writer of a tracker itself.
    """
    if not callable(recorder):
        raise TypeError(
            f"`{where}(recorder)`: got {type(recorder).__name__}, expected a function of a step and a dict of numbers, "
            "such as `lambda step, values: wandb.log(values, step=step)`."
        )


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Python floats of the values that were measured: NaN stands for one that was not."""
    found = {name: float(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value == value}
