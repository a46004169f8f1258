"""Which weights of a model can be pruned, and how they are named."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn
from torch.nn import DataParallel
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from scatter_theory.pruning.masks._mask import has_mask, original_of, torch_pruned

#: Layers whose weight can be pruned; biases, normalisation, embeddings and recurrent layers never are.
LAYERS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear,
)  # fmt: skip

Skip = str | Iterable[str]

_KEYWORDS = ("first", "last")


def prunable(model: nn.Module, skip: Skip = ()) -> dict[str, nn.Module]:
    """Weights that can be pruned, by name, with the layers they belong to.

    They are the weights of linear layers, convolutions and transposed convolutions, subclasses included. A layer that
    is used several times has one weight and comes once.

    Parameters
    ----------
    model : nn.Module
        Any model that is not wrapped or compiled.
    skip : str or iterable of str
        Weights to leave out: ``"first"`` and ``"last"`` by order of registration, a name such as
        ``"layer1.0.conv1.weight"``, the path of a layer such as ``"layer1.0.conv1"``, or a glob pattern for either,
        such as ``"layer1.*"`` (a star matches dots too).

    Returns
    -------
    dict of str to nn.Module
        Layers by the names of their weights, in order of registration.

    Raises
    ------
    TypeError
        If `skip` holds something else than strings.
    ValueError
        If there is no such layer or none is left, an entry of `skip` fits none, the model is wrapped or compiled, or a
        weight that is left is tied to another parameter, computed by a parametrization other than a mask, pruned by
        ``torch.nn.utils.prune``, not yet initialised, or not of real floating point type.

    Examples
    --------
    >>> from torch import nn
    >>> list(prunable(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)), skip="last"))
    ['0.weight']
    """
    return checked("prunable", model, chosen("prunable", model, skip))


def every(model: nn.Module) -> dict[str, nn.Module]:
    """All layers that have a weight of this kind, by the name of the weight, whether or not it can be pruned now."""
    return {f"{path}.weight" if path else "weight": m for path, m in model.named_modules() if isinstance(m, LAYERS)}


def chosen(where: str, model: nn.Module, skip: Skip) -> dict[str, nn.Module]:
    """Layers of `every` without those skipped."""
    _check_unwrapped(where, model)
    layers = every(model)
    if not layers:
        raise ValueError(
            f"`{where}(model=...)`: got a {type(model).__name__} without a weight to prune, expected at least one "
            "linear layer or convolution."
        )
    left_out = {name for rule in ([skip] if isinstance(skip, str) else skip) for name in _matches(where, rule, layers)}
    kept = {name: layer for name, layer in layers.items() if name not in left_out}
    if not kept:
        raise ValueError(
            f"`{where}(skip={skip!r})`: nothing is left to prune, all weights are skipped: {_listed(layers)}. Skip "
            "fewer, `skip=()` for none."
        )
    return kept


def checked(where: str, model: nn.Module, layers: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """The same layers, if each of their weights can carry a mask of this package.

    Raises
    ------
    ValueError
        As `prunable` does.
    """
    owners: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(id(parameter), []).append(f"{path}.{name}" if path else name)
    for name, layer in layers.items():
        problem = _problem(layer)
        if problem is None and len(found := owners[id(original_of(layer))]) > 1:
            problem = (
                f"is one parameter with {' and '.join(other for other in found if other != name)}. Pruned in one "
                "place, it would stay whole in the other. Give each its own copy, or add it to `skip`"
            )
        if problem is not None:
            raise ValueError(f"`{where}(model=...)`: the weight {name!r} {problem}.")
    return layers


def _problem(layer: nn.Module) -> str | None:
    """What speaks against pruning this weight."""
    if torch_pruned(layer):
        return "is pruned by `torch.nn.utils.prune`. Call `from_torch(model)` first, which takes its mask over"
    if parametrize.is_parametrized(layer, "weight"):
        chain = [type(p).__name__ for p in layer.parametrizations.weight]
        if not has_mask(layer) or len(chain) > 1:
            return (
                f"is computed by the parametrization {' and '.join(chain)}, expected a plain parameter. Prune before "
                "you parametrize or binarise, or add it to `skip`"
            )
    elif "weight" not in layer._parameters:
        return (
            "is computed from other tensors (weight or spectral normalisation), expected a plain parameter. Remove "
            "that first, or add it to `skip`"
        )
    weight = original_of(layer)
    if is_lazy(weight):
        return "has no shape yet. Call the model once on an input, so that its lazy layers are made"
    if not weight.is_floating_point():
        return f"is {weight.dtype}, expected a real floating point type. Add it to `skip`"
    return None


def _matches(where: str, rule: str, layers: dict[str, nn.Module]) -> list[str]:
    """Names that one entry of `skip` leaves out."""
    if not isinstance(rule, str):
        raise TypeError(
            f"`{where}(skip=...)`: got {rule!r} of type {type(rule).__name__}, expected a name, a glob pattern or one "
            f"of {_KEYWORDS}."
        )
    names = list(layers)
    if rule in _KEYWORDS:
        return names[:1] if rule == "first" else names[-1:]
    found = [name for name in names if fnmatchcase(name, rule) or fnmatchcase(name.removesuffix(".weight"), rule)]
    if not found:
        raise ValueError(
            f"`{where}(skip=...)`: {rule!r} fits no weight that can be pruned. These can: {_listed(layers)}. Use one "
            f"of these names, a pattern such as 'block.*', or one of {_KEYWORDS}."
        )
    return found


def _check_unwrapped(where: str, model: nn.Module) -> None:
    if isinstance(model, DataParallel | DistributedDataParallel) or hasattr(model, "_orig_mod"):
        raise ValueError(
            f"`{where}(model=...)`: got a wrapped or compiled model ({type(model).__name__}); pass the model inside, "
            "then wrap or compile it again."
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
