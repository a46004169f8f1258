"""An experiment: a power of ReSTE for each layer, found from its latent weights."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, get_args

from torch import Tensor, nn

from scatter_theory.bnn._binarizer import Binarizer, latent_weights
from scatter_theory.bnn._estimator import sign
from scatter_theory.bnn._reste import ReSTE
from scatter_theory.bnn._schedule import accepted

Quantity = Literal["cv2", "error"]

#: Halvings of the interval of 1/o: to below 1e-12.
_HALVINGS = 40


class Automatic:
    r"""Choose the power of ReSTE per layer so that a quantity of its latent weights hits a target.

    This is an experiment and not a published method. Nothing is claimed about the accuracy that it leads to.

    The quantity is a function of k = 1/o alone once the latent weights w are given:

    - ``"cv2"``: squared coefficient of variation of the multiplier f'(w), population variance over squared mean. It
      counts the spread of the gradient that the estimator adds, and no common factor.
    - ``"error"``: mean of :math:`(\operatorname{sign}(w) - f(w))^2`, with the surrogate of the estimator.

    On common distributions the first grows with o and the second falls. Between o = 1 and `o_max` a bisection on k
    finds a crossing of the target. Where there is none the layer takes the end that is nearer, and o = 1 if the
    quantity does not depend on o at all, as ``"cv2"`` where all weights lie inside the inner threshold;
    ``reached`` tells.

    Only weights are changed. Activations keep their estimators. Each call of ``step()`` reads the weights once more;
    it computes the multiplier of every layer 42 times and waits for the results, so call it once per epoch.

    Parameters
    ----------
    model : nn.Module
        A model whose weights are binarised with ``ReSTE``.
    target : float
        Value to hit, >= 0.
    quantity : {"cv2", "error"}
        What to hit it with.
    o_max : float
        Largest power to use, > 1.

    Attributes
    ----------
    powers : dict
        Path to the power in use.
    reached : dict
        Path to whether the target was met.

    Raises
    ------
    ValueError
        If the model has no such weights, or an argument is out of its range.
    """

    def __init__(self, model: nn.Module, *, target: float, quantity: Quantity = "cv2", o_max: float = 10.0) -> None:
        if quantity not in get_args(Quantity):
            raise ValueError(
                f"`schedules.Automatic(quantity=...)`: got {quantity!r}, expected one of {get_args(Quantity)}."
            )
        if not (math.isfinite(target) and target >= 0):
            raise ValueError(f"`schedules.Automatic(target=...)`: got {target}, expected a finite number >= 0.")
        if not (math.isfinite(o_max) and o_max > 1):
            raise ValueError(f"`schedules.Automatic(o_max=...)`: got {o_max}, expected a finite number > 1.")
        self.target = target
        self.quantity: Quantity = quantity
        self.o_max = o_max
        self._binarizers = accepted("Automatic", model, ReSTE, "weight")
        self._latent = {key: latent_weights(model)[key] for key in self._binarizers}
        self.powers: dict[str, float] = {}
        self.reached: dict[str, bool] = {}
        self.step()

    def step(self) -> None:
        """Choose the powers anew from the latent weights as they are."""
        for key, binarizer in self._binarizers.items():
            w = self._latent[key].detach().double().flatten()
            self.powers[key], self.reached[key] = self._solve(binarizer, w[w.isfinite()])
        self._apply()

    def state_dict(self) -> dict[str, Any]:
        """The powers in use and the definition, in plain numbers and strings."""
        return {"powers": dict(self.powers), "reached": dict(self.reached), **self._definition()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Use saved powers.

        Raises
        ------
        ValueError
            If the state has another target, quantity, largest power or other layers.
        """
        own = {**self._definition(), "layers": sorted(self._binarizers)}
        saved = {**{key: state.get(key) for key in self._definition()}, "layers": sorted(state["powers"])}
        if saved != own:
            raise ValueError(f"`Automatic.load_state_dict`: the state belongs to {saved}, this schedule is {own}.")
        self.powers, self.reached = dict(state["powers"]), dict(state["reached"])
        self._apply()

    def _definition(self) -> dict[str, Any]:
        return {"target": self.target, "quantity": self.quantity, "o_max": self.o_max}

    def _apply(self) -> None:
        for key, binarizer in self._binarizers.items():
            binarizer.estimator = replace(binarizer.final_estimator, o=self.powers[key])

    def _solve(self, binarizer: Binarizer, w: Tensor) -> tuple[float, bool]:
        """Power and whether it meets the target, by bisection on k = 1/o."""
        if w.numel() == 0:
            return 1.0, False

        def excess(k: float) -> float:
            estimator = replace(binarizer.final_estimator, o=1 / k)
            measured = _error(estimator, w, binarizer.sign_zero) if self.quantity == "error" else _cv2(estimator, w)
            return measured - self.target

        mild, sharp = 1.0, 1 / self.o_max
        at_mild, at_sharp = excess(mild), excess(sharp)
        if at_mild == 0:
            return 1.0, True
        if at_mild * at_sharp > 0:
            return (1.0, False) if abs(at_mild) <= abs(at_sharp) else (self.o_max, False)
        for _ in range(_HALVINGS):
            middle = 0.5 * (mild + sharp)
            if excess(middle) * at_mild > 0:
                mild = middle
            else:
                sharp = middle
        return 1 / sharp, True


def _error(estimator: ReSTE, w: Tensor, sign_zero: int) -> float:
    return float((sign(w, sign_zero) - estimator.surrogate(w)).square().mean())


def _cv2(estimator: ReSTE, w: Tensor) -> float:
    multiplier = estimator.multiplier(w)
    mean = multiplier.mean()
    return float((multiplier - mean).square().mean() / mean.square()) if float(mean) > 0 else 0.0
