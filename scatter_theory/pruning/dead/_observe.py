"""One pass of a model over data with an observer at its activations, for what counters do not tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from scatter_theory.meters import Capture
from scatter_theory.meters._capture import Observer
from scatter_theory.pruning.dead._makers import Makers
from scatter_theory.pruning.dead._measure import Forward
from scatter_theory.pruning.dead._modes import Statistics, measured
from scatter_theory.pruning.dead._run import default_forward


def observe(
    where: str,
    model: nn.Module,
    data: Iterable[Any],
    observer: Observer,
    *,
    statistics: Statistics,
    forward_fn: Forward | None = None,
    makers: Makers | None = None,
) -> None:
    """Call an observer at every activation of ReLU type, as ``dead_neurons`` sees them, without gradients.

    Parameters
    ----------
    where : str
        Function to name in messages.
    model, data, statistics, forward_fn
        As for ``dead_neurons``.
    observer : callable
        Called with the site, its input before a call in place, and its output.
    makers : Makers, optional
        Follows the layers of the model meanwhile.

    Raises
    ------
    ValueError
        If `data` has no batch.
    """
    capture, batches = Capture(model, observer, inputs=makers is not None), 0
    with measured(model, statistics):
        for batch in data:
            with capture, capture.forward():
                if makers is None:
                    (forward_fn or default_forward)(model, batch)
                else:
                    with makers.watching():
                        (forward_fn or default_forward)(model, batch)
            batches += 1
    if not batches:
        raise ValueError(f"`{where}(data=...)`: got no batch, expected at least one. Pass a list or a loader.")
