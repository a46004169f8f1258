"""Which calls of torch are activations, and of what form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Kind = Literal["relu", "smooth"]

#: Activations without a region of output 0: reported by name, and observed on request only.
SMOOTH = frozenset(
    {"leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "softplus"}
)

#: Positions of the arguments of the calls that may be of ReLU type, after the tensor.
_BOUNDS: Mapping[str, tuple[str, ...]] = {
    "relu": (),
    "relu6": (),
    "clamp": ("min", "max"),
    "clip": ("min", "max"),
    "clamp_min": ("min",),
    "hardtanh": ("min_val", "max_val"),
    "threshold": ("threshold", "value"),
    "maximum": ("other",),
    "fmax": ("other",),
    "max": ("other",),
}

#: The names as torch has them, with those in place.
_SPELLINGS = frozenset(f"{a}{name}{b}" for name in (*SMOOTH, *_BOUNDS) for a in ("", "_") for b in ("", "_"))


@dataclass(frozen=True, slots=True)
class Site:
    """One call of an activation within a forward pass.

    Parameters
    ----------
    name : str
        ``"layer1.0/relu#2"``: path of the innermost running module (empty for the model itself), function, and the
        number of the call of this function in this module within one forward pass, from 1.
    path : str
        Path of the module.
    function : str
        Name of the function without underscores; ``"output"`` for a module that was named as a site.
    low, high : float
        Outputs at which the activation is flat: 0 and infinity for ReLU, 0 and 6 for ReLU6. Of no meaning for smooth
        activations.
    kind : {"relu", "smooth"}
        Whether the outputs at and below `low` are cut off, or pass in a smooth form.
    """

    name: str
    path: str
    function: str
    low: float = 0.0
    high: float = math.inf
    kind: Kind = "relu"


@dataclass(frozen=True, slots=True)
class Form:
    """What a call is: its function, the two outputs where it is flat, and an operand that must be 0 for it to be so."""

    function: str
    low: float = 0.0
    high: float = math.inf
    kind: Kind = "relu"
    operand: Tensor | None = None


def function_name(function: Callable[..., Any]) -> str:
    """``relu`` for ``relu``, ``relu_`` and ``_relu``."""
    return getattr(function, "__name__", "").strip("_")


def form(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Form | None:
    """The form of a call; None if it is no activation.

    Of ReLU type are ``relu``, ``relu6``, ``hardtanh``, ``clamp`` and ``clip`` from 0 upwards, ``clamp_min`` at 0,
    ``threshold`` with value 0 and a threshold of at least 0, and ``maximum``, ``fmax`` and the two-operand ``max``
    with a tensor of zeros; each also in place and as a method.
    """
    if getattr(function, "__name__", "") not in _SPELLINGS:
        return None
    name = function_name(function)
    if name in SMOOTH:
        return Form(name, kind="smooth")
    given = {**dict(zip(_BOUNDS[name], args[1:], strict=False)), **kwargs}
    if name == "relu":
        return Form(name)
    if name == "relu6":
        return Form(name, 0.0, 6.0)
    if name == "hardtanh":
        return Form(name, float(given.get("min_val", -1.0)), float(given.get("max_val", 1.0)))
    if name in ("maximum", "fmax", "max"):
        other = given.get("other")
        return Form("maximum", operand=other) if isinstance(other, Tensor) else None
    if name == "threshold":
        return Form(name) if given.get("value") == 0 and given["threshold"] >= 0 else None
    low, high = given.get("min"), given.get("max")
    if isinstance(low, Tensor) or isinstance(high, Tensor) or low is None or low != 0:
        return None
    return Form("clamp", 0.0, math.inf if high is None else float(high))


def may_overwrite(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of an activation may write its result over its input."""
    name = getattr(function, "__name__", "")
    in_place = name.endswith("_") or kwargs.get("inplace") is True or kwargs.get("out") is not None
    return in_place or any(a is True for a in args[1:])


def plain(x: Tensor) -> Tensor:
    """The tensor without its subclass."""
    with torch._C.DisableTorchFunction():
        return x.as_subclass(Tensor)
