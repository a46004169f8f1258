"""From a model in full precision to a binarised one, and back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from scatter_theory.bnn._binarizer import INPUT, Binarizer, check_estimator, unwrapped
from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._scaling import Scaling, check_scaling
from scatter_theory.bnn._select import Skip, select


def binarize_model(
    model: nn.Module,
    estimator: Estimator,
    *,
    weights: bool = True,
    activations: bool = True,
    skip: Skip = ("first", "last", "shortcut"),
    scaling: Scaling = "layer",
    detach_scaling: bool = False,
    sign_zero: int = 1,
    inplace: bool = False,
) -> nn.Module:
    r"""Binarise the weights and the inputs of the layers of a model.

    A layer :math:`y = A * W + b` becomes :math:`y = \operatorname{sign}(A) * (\alpha \operatorname{sign}(W)) + b`,
    with the gradient of both signs given by the estimator, :math:`\alpha` the mean modulus of the latent weight W, and
    the bias untouched.

    The layers are those of type ``Conv1d``, ``Conv2d``, ``Conv3d`` and ``Linear``, subclasses included. All others stay
    as they are: transposed convolutions, recurrent layers, embeddings, and whatever is inside
    ``nn.MultiheadAttention``, which reads the weights of its layers without calling them.

    The weight of a binarised layer is a torch parametrization: the latent tensor is the same ``Parameter`` as before,
    now at ``layer.parametrizations.weight.original``, so that an optimizer made earlier keeps working when
    ``inplace=True``. Its key in ``state_dict`` changes with it. Such a model can be deep-copied, moved and
    saved by ``state_dict``; torch refuses to pickle parametrized modules as a whole. The input passes through
    a child module of the layer in a forward pre-hook, after the pre-hooks that were there before.

    Parameters
    ----------
    model : nn.Module
        Any model with floating point weights. Wrap it for data parallelism or compile it afterwards.
    estimator : Estimator
        Estimator for weights and activations alike.
    weights, activations : bool
        What to binarise.
    skip : str, callable or iterable of them
        Layers that stay in full precision: ``"first"`` and ``"last"`` by order of registration; ``"shortcut"`` for
        linear layers and convolutions of size 1 whose path contains "shortcut", "downsample" or "skip"; a path such
        as ``"features.0"``; a glob pattern such as ``"layer1.*"`` (a star matches dots too); or a function of path and
        layer. ``()`` skips nothing.
    scaling : {"layer", "channel"} or None
        One factor per layer, one per output channel, or none. For weights only.
    detach_scaling : bool
        Whether the factor is a constant in the backward pass.
    sign_zero : {1, 0, -1}
        Sign of zero.
    inplace : bool
        Whether to change `model` itself.

    Returns
    -------
    nn.Module
        The binarised copy, or `model`.

    Raises
    ------
    TypeError
        If `estimator` is not an estimator, or `skip` holds something unknown.
    ValueError
        If there is nothing to binarise, a name in `skip` fits no layer, the model is already binarised, wrapped or
        not yet initialised (lazy layers), or a weight to binarise is shared with another layer, is parametrized or is
        not of floating point type. The model is unchanged after an error.

    Examples
    --------
    >>> from torch import nn
    >>> from scatter_theory import bnn
    >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> list(bnn.binarizers(bnn.binarize_model(net, bnn.ReSTE(o=3))))
    ['2.weight', '2.input']
    """
    check_estimator("binarize_model", estimator)
    if not (weights or activations):
        raise ValueError("`binarize_model(weights=False, activations=False)`: nothing to binarise; set one to True.")
    check_scaling("binarize_model", scaling, detach_scaling)
    _check_model(model)
    paths = select("binarize_model", model, skip)
    if weights:
        _check_weights(model, paths)
    on_weights: dict[str, Any] = {"sign_zero": sign_zero, "scaling": scaling, "detach_scaling": detach_scaling}
    made = {
        path: (
            Binarizer(estimator, "weight", path, **on_weights) if weights else None,
            Binarizer(estimator, "activation", path, sign_zero=sign_zero) if activations else None,
        )
        for path in paths
    }
    target = model if inplace else deepcopy(model)
    for path, (on_weight, on_input) in made.items():
        layer = target.get_submodule(path)
        if on_weight is not None:
            parametrize.register_parametrization(layer, "weight", on_weight)
        if on_input is not None:
            layer.add_module(INPUT, on_input.train(layer.training))
            layer.register_forward_pre_hook(_binarize_input, with_kwargs=True)
    return target


def restore_model(model: nn.Module, *, inplace: bool = False) -> nn.Module:
    """Take all binarizers out of a model again.

    Parameters
    ----------
    model : nn.Module
        A model made by ``binarize_model``, or one with binarised layers in it.
    inplace : bool
        Whether to change `model` itself.

    Returns
    -------
    nn.Module
        The plain model with the latent weights, bit for bit, and with the keys of ``state_dict`` and the order of
        parameters that it had before it was binarised.

    Raises
    ------
    ValueError
        If the model has no binarised layer, is wrapped, or a binarised weight has further parametrizations.
    """
    _check_unwrapped("restore_model", model)
    layers = {path: layer for path, layer in model.named_modules() if _binarized_weight(layer) or _has_input(layer)}
    if not layers:
        raise ValueError(f"`restore_model(model=...)`: got a {type(model).__name__} without a binarised layer.")
    for path, layer in layers.items():
        if _binarized_weight(layer) and len(layer.parametrizations.weight) > 1:
            raise ValueError(
                f"`restore_model(model=...)`: the weight of layer {path!r} has further parametrizations on top of the "
                "binarizer. Remove them first."
            )
    target = model if inplace else deepcopy(model)
    for path in layers:
        layer = target.get_submodule(path)
        if _binarized_weight(layer):
            _release_weight(layer)
        if _has_input(layer):
            _release_input(layer)
    return target


def _binarize_input(layer: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Forward pre-hook: a function of the module alone, so that copies of the layer use their own binarizer."""
    if args:
        return (layer.binarize_input(args[0]), *args[1:]), kwargs
    if "input" in kwargs:
        return args, {**kwargs, "input": layer.binarize_input(kwargs["input"])}
    raise TypeError(
        f"`{type(layer).__name__}(...)`: got no input, expected it as the first positional argument or as `input=`."
    )


def _binarized_weight(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight") and isinstance(layer.parametrizations.weight[0], Binarizer)


def _has_input(layer: nn.Module) -> bool:
    return isinstance(getattr(layer, INPUT, None), Binarizer)


def _release_weight(layer: nn.Module) -> None:
    # torch shares the class that carries the property `weight` between deep copies, and removing a parametrization
    # deletes the property from it. A class of the layer's own keeps the other copies alive.
    shared = type(layer)
    layer.__class__ = type(shared.__name__, shared.__bases__, dict(vars(shared)))
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    # The weight was registered first, and optimizers number parameters by order.
    for name in [name for name in layer._parameters if name != "weight"]:
        layer._parameters[name] = layer._parameters.pop(name)


def _release_input(layer: nn.Module) -> None:
    delattr(layer, INPUT)
    for key in [key for key, hook in layer._forward_pre_hooks.items() if hook is _binarize_input]:
        del layer._forward_pre_hooks[key]
        layer._forward_pre_hooks_with_kwargs.pop(key, None)


def _check_unwrapped(where: str, model: nn.Module) -> None:
    if unwrapped(model) is not model:
        raise ValueError(
            f"`{where}(model=...)`: got a wrapped model ({type(model).__name__}); pass the model inside, then wrap the "
            "result."
        )


def _check_model(model: nn.Module) -> None:
    _check_unwrapped("binarize_model", model)
    for path, module in model.named_modules():
        if isinstance(module, Binarizer):
            raise ValueError(
                f"`binarize_model(model=...)`: the model is already binarised (at {path!r}). Call `restore_model` "
                "first to binarise it in another way."
            )
    for path, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(
                f"`binarize_model(model=...)`: parameter {path!r} has no shape yet. Call the model once on an input so "
                "that its lazy layers are made, then binarise it."
            )


def _check_weights(model: nn.Module, paths: list[str]) -> None:
    """Refuse weights that are shared, parametrized or not real."""
    owners: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(id(parameter), []).append(f"{path}.{name}" if path else name)
    for path in paths:
        weight = model.get_submodule(path)._parameters.get("weight")
        if not isinstance(weight, Tensor):
            raise ValueError(
                f"`binarize_model(model=...)`: the weight of layer {path!r} is not a parameter of its own but computed "
                "(weight or spectral normalisation, pruning). Remove that first, or add the layer to `skip`."
            )
        if not weight.is_floating_point():
            raise ValueError(
                f"`binarize_model(model=...)`: the weight of layer {path!r} is {weight.dtype}, expected a real "
                "floating point type. Add the layer to `skip`."
            )
        if len(owners[id(weight)]) > 1:
            raise ValueError(
                f"`binarize_model(model=...)`: one parameter is shared by {' and '.join(owners[id(weight)])}. "
                "Binarised in one place, it would stay real in the other. Give each its own copy, or add the layers "
                "to `skip`."
            )
