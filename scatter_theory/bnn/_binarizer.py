"""The module that holds an estimator inside a model, and the lists of all such modules of a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from scatter_theory.bnn._binarize import Observer, binarize
from scatter_theory.bnn._estimator import ESTIMATORS, Estimator
from scatter_theory.bnn._scaling import Scaling, check_scaling, scaling_factor

Role = Literal["weight", "activation"]

#: Name of the child module through which a layer with binarised activations sends its input.
INPUT = "binarize_input"

_PARAMETRIZED = re.compile(r"(^|\.)parametrizations\.(\w+)\.\d+$")
_INPUT = re.compile(rf"(^|\.){INPUT}$")


class Binarizer(nn.Module):
    """Binarises its input with an estimator, and scales the signs of a weight.

    It is the parametrization of a binarised weight, or the child of a layer that receives its activations. Both are
    put in place by ``binarize_model``.

    Parameters
    ----------
    estimator : Estimator
        Estimator to start with; kept as `final_estimator` too.
    role : {"weight", "activation"}
        What is binarised.
    name : str
        Path of the layer in the model that was binarised; empty for a layer of its own.
    sign_zero : {1, 0, -1}
        Sign of zero.
    scaling : {"layer", "channel"} or None
        Factor on the signs of a weight, see ``scaling_factor``; None for signs alone. Activations are never scaled.
    detach_scaling : bool
        Whether the factor is a constant in the backward pass.

    Attributes
    ----------
    estimator : Estimator
        Estimator in use. Schedules replace it; it is the only state that ``state_dict`` carries.
    final_estimator : Estimator
        Estimator as constructed, where schedules end.
    observer : callable or None
        Called in the backward pass with ``(z, upstream, gradient)``. Never saved or copied.

    Raises
    ------
    TypeError
        If `estimator` is not an instance of ``Estimator``.
    ValueError
        If `role`, `sign_zero` or `scaling` is none of the above, or `scaling` is asked for activations.
    """

    def __init__(
        self,
        estimator: Estimator,
        role: Role,
        name: str = "",
        *,
        sign_zero: int = 1,
        scaling: Scaling = None,
        detach_scaling: bool = False,
    ) -> None:
        super().__init__()
        check_estimator("Binarizer", estimator)
        if role not in get_args(Role):
            raise ValueError(f"`Binarizer(role=...)`: got {role!r}, expected one of {get_args(Role)}.")
        if isinstance(sign_zero, bool) or sign_zero not in (1, 0, -1):
            raise ValueError(f"`Binarizer(sign_zero=...)`: got {sign_zero!r}, expected 1, 0 or -1.")
        check_scaling("Binarizer", scaling, detach_scaling)
        if role == "activation" and scaling is not None:
            raise ValueError(f"`Binarizer(scaling={scaling!r})`: activations are not scaled; pass scaling=None.")
        self.role: Role = role
        self.name = name
        self.estimator = estimator
        self.final_estimator = estimator
        self.sign_zero = sign_zero
        self.scaling: Scaling = scaling
        self.detach_scaling = detach_scaling
        self.observer: Observer | None = None

    def forward(self, z: Tensor) -> Tensor:
        """Signs of `z`, times the scaling factor if there is one; shape, dtype and device of `z`."""
        signs = binarize(z, self.estimator, sign_zero=self.sign_zero, observer=self.observer)
        if self.scaling is None:
            return signs
        return signs * scaling_factor(z, self.scaling, detach=self.detach_scaling)

    def extra_repr(self) -> str:
        """The arguments, with the estimator in use."""
        scaling = f", scaling={self.scaling!r}, detach_scaling={self.detach_scaling}" if self.scaling else ""
        return f"{self.estimator!r}, role={self.role!r}, sign_zero={self.sign_zero}{scaling}"

    def get_extra_state(self) -> dict[str, Any]:
        """The estimator in use and the construction it belongs to, in plain numbers and strings."""
        return {"estimator": _plain(self.estimator), "construction": self._construction()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over the estimator in use.

        Raises
        ------
        ValueError
            If the saved binarizer was constructed in another way than this one, or its estimator is of a class that
            is not known here.
        """
        saved, own = state["construction"], self._construction()
        if saved != own:
            differing = [key for key in own if saved.get(key) != own[key]]
            raise ValueError(
                f"`load_state_dict`: the binarizer ({self.role}) of layer {self.name!r} was saved with "
                f"{ {key: saved.get(key) for key in differing} }, the model here has "
                f"{ {key: own[key] for key in differing} }. Binarise the model as the saved one was; to carry latent "
                "weights into another form, `restore_model` the saved model and binarise the result."
            )
        name, parameters = state["estimator"]
        known = {**ESTIMATORS, **{type(e).__name__: type(e) for e in (self.estimator, self.final_estimator)}}
        if name not in known:
            raise ValueError(
                f"`load_state_dict`: the binarizer ({self.role}) of layer {self.name!r} was saved while it used the "
                f"estimator {name!r}, which is none of {sorted(known)}. Set `binarizer.estimator` to an instance of "
                "that class before loading."
            )
        self.estimator = known[name](**parameters)

    def _construction(self) -> dict[str, Any]:
        return {
            "final_estimator": _plain(self.final_estimator),
            "role": self.role,
            "sign_zero": self.sign_zero,
            "scaling": self.scaling,
            "detach_scaling": self.detach_scaling,
        }

    def __getstate__(self) -> dict[str, Any]:
        """State without the observer, which belongs to a measurement and not to the model."""
        return {**self.__dict__, "observer": None}


def _plain(estimator: Estimator) -> list[Any]:
    return [type(estimator).__name__, {f.name: getattr(estimator, f.name) for f in fields(estimator)}]


def check_estimator(where: str, estimator: object) -> None:
    """Refuse what is not an instance of ``Estimator``.

    Raises
    ------
    TypeError
        With the name of the calling function, `where`, in the message.
    """
    if isinstance(estimator, type) and issubclass(estimator, Estimator):
        raise TypeError(f"`{where}(estimator=...)`: got the class {estimator.__name__}, expected an instance of it.")
    if not isinstance(estimator, Estimator):
        raise TypeError(f"`{where}(estimator=...)`: got {estimator!r}, expected an estimator such as `bnn.ReSTE(o=3)`.")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside wrappers for data parallelism and compilation, whose paths would have a prefix."""
    while True:
        if isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            return model


def _named_binarizers(model: nn.Module) -> Iterator[tuple[str, Binarizer, nn.Parameter | None]]:
    model = unwrapped(model)
    for path, module in model.named_modules():
        if isinstance(module, Binarizer):
            latent = None
            if _PARAMETRIZED.search(path):
                latent = model.get_submodule(path.rpartition(".")[0]).original
            yield _INPUT.sub(r"\1input", _PARAMETRIZED.sub(r"\1\2", path)), module, latent


def binarizers(model: nn.Module, role: Role | None = None) -> dict[str, Binarizer]:
    """All binarizers of a model.

    Parameters
    ----------
    model : nn.Module
        A binarised model, also inside ``DataParallel``, ``DistributedDataParallel`` or ``torch.compile``, whose
        prefixes the keys do not have.
    role : {"weight", "activation"} or None
        Only those of one role.

    Returns
    -------
    dict
        Path to binarizer, in the order of ``model.modules()``: ``"layer1.0.conv1.weight"`` for a weight,
        ``"layer1.0.conv1.input"`` for the input of that layer. A layer that the model holds several times appears
        once, under its first path. Empty for a model without binarizers.

    Raises
    ------
    ValueError
        If `role` is none of the above.
    """
    if role is not None and role not in get_args(Role):
        raise ValueError(f"`binarizers(role=...)`: got {role!r}, expected one of {get_args(Role)} or None.")
    return {key: module for key, module, _ in _named_binarizers(model) if role in (None, module.role)}


def latent_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trained real weights behind the binarised ones.

    To initialise or edit a binarised layer, change these in place: ``layer.weight`` is computed afresh at each access,
    and assigning to it is an error.

    Parameters
    ----------
    model : nn.Module
        A model with binarised weights.

    Returns
    -------
    dict
        Path to parameter, with the keys of ``binarizers(model, "weight")``.
    """
    return {key: latent for key, _, latent in _named_binarizers(model) if latent is not None}
