"""When the optimizer of a model steps, and when a loss scaler skips a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook


class Steps:
    """Calls back before each step of the optimizer that trains some parameters, and at steps that were skipped.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Without an optimizer given, the steps of the one that holds any of these count.
    optimizer : Optimizer or None
        The optimizer whose steps count.
    scaler : torch.amp.GradScaler or None
        Loss scaler whose skipped steps are noticed.
    before : callable
        Called with the scale that is still in the gradients, and a tensor that is > 0 if the step will be skipped on
        the device. Both are None but within a step of a loss scaler whose optimizer does both by itself.
    skipped : callable
        Called without arguments after a step that the loss scaler left out.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimizer: Optimizer | None,
        scaler: torch.amp.GradScaler | None,
        before: Callable[[Tensor | None, Tensor | None], None],
        skipped: Callable[[], None],
    ) -> None:
        self._parameters = {id(p): p for p in parameters}
        self._optimizer, self._scaler = optimizer, scaler
        self._before, self._skipped = before, skipped
        self._found: ref[Optimizer] | None = None
        self._stepped = False
        self._handle: Any = None
        self._plain_step: Any = None

    @property
    def active(self) -> bool:
        """Whether the callbacks are in place."""
        return self._handle is not None

    def start(self) -> None:
        """Put the callbacks in place."""
        self._found = None
        register = register_optimizer_step_pre_hook
        self._handle = (register if self._optimizer is None else self._optimizer.register_step_pre_hook)(self._hook)
        if self._scaler is not None:
            self._plain_step = vars(self._scaler).get("step")
            self._scaler.step = partial(self._scaled_step, self._scaler.step)

    def stop(self) -> None:
        """Take them away."""
        self._handle.remove()
        self._handle = None
        if self._scaler is not None:
            del self._scaler.step
            if self._plain_step is not None:
                self._scaler.step = self._plain_step

    def _hook(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._counts(optimizer):
            self._stepped = True
            self._before(getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None))

    def _scaled_step(self, step: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._stepped = False
        result = step(optimizer, *args, **kwargs)
        if not self._stepped and self._counts(optimizer):
            self._skipped()
        return result

    def _counts(self, optimizer: Optimizer) -> bool:
        if self._optimizer is not None:
            return optimizer is self._optimizer
        if not any(id(p) in self._parameters for group in optimizer.param_groups for p in group["params"]):
            return False
        self._found = self._found or ref(optimizer)
        if self._found() is not optimizer:
            raise RuntimeError(
                "`Indicators`: a second optimizer steps parameters of the model, expected one; pass the one whose "
                "steps count as `optimizer=`."
            )
        return True
