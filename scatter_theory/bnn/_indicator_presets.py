"""Which definition of the two indicators is meant: the settings of a measurement, and the curves it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from scatter_theory.bnn._binarizer import Binarizer, Role
from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._reste import ReSTE
from scatter_theory.meters import Reduction

Curve = Literal["surrogate", "final", "power", "power_final", "figure", "antiderivative"]

CURVES: tuple[Curve, ...] = get_args(Curve)


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings of a measurement.

    Parameters
    ----------
    roles : tuple of str
        What is measured.
    curves : tuple of str
        Curves of the estimating error, see ``Indicators``.
    reduction : str
        Default reduction over tensors.
    per_epoch : bool
        Whether ``Indicators.epoch_end`` asks for a measurement, rather than each step.
    sign_zero : int or None
        Sign of zero in the estimating error; None for that of each binarizer.
    """

    roles: tuple[Role, ...] = ("weight", "activation")
    curves: tuple[Curve, ...] = ("surrogate",)
    reduction: Reduction = "pooled"
    per_epoch: bool = False
    sign_zero: int | None = None


#: By name. ``"official"`` is what the released code of ReSTE prints, ``"paper"`` the definition in words.
PRESETS: Mapping[str | None, Preset] = {
    None: Preset(),
    "paper": Preset(roles=("weight",)),
    "official": Preset(("weight",), ("power_final",), "sum_layer", per_epoch=True, sign_zero=0),
}


def curve_of(curve: Curve, key: str, binarizer: Binarizer, o_end: float | None) -> Estimator:
    """The estimator whose surrogate is the curve, at this moment of training.

    Raises
    ------
    ValueError
        If the curve belongs to ReSTE and the binarizer has another estimator.
    """
    if curve == "surrogate":
        return binarizer.estimator
    if curve == "final":
        return binarizer.final_estimator
    if curve == "power_final" and o_end is not None:
        return ReSTE(o=o_end, convention="power")
    source = binarizer.final_estimator if curve == "power_final" else binarizer.estimator
    if not isinstance(source, ReSTE):
        advice = "pass its final power as `o_end=3.0`" if curve == "power_final" else "use the curve 'surrogate'"
        raise ValueError(
            f"`Indicators(curves=...)`: {curve!r} is a curve of ReSTE, but {key!r} is binarised by {source}; {advice}."
        )
    return replace(source, convention="power" if curve == "power_final" else curve)
