"""Which layers of a model are binarised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from torch import nn

Predicate = Callable[[str, nn.Module], bool]
Skip = str | Predicate | Iterable[str | Predicate]

#: Layers that can be binarised.
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)

_KEYWORDS = ("first", "last", "shortcut")
_SHORTCUT_NAMES = ("shortcut", "downsample", "skip")


def candidates(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All paths to layers that can be binarised, in module order; a shared layer comes once per path.

    Layers inside ``nn.MultiheadAttention`` are left out: it reads their weights and never calls them, so that their
    input could not be binarised.
    """
    attention = [m for m in model.modules() if isinstance(m, nn.MultiheadAttention)]
    hidden = {id(child) for m in attention for child in m.modules()}
    named = model.named_modules(remove_duplicate=False)
    return [(path, m) for path, m in named if isinstance(m, LAYERS) and id(m) not in hidden]


def is_shortcut(path: str, layer: nn.Module) -> bool:
    """Whether a layer is a pointwise map on a residual branch, by its size and its name.

    It is a linear layer or a convolution of size 1 in all axes, and a part of its path contains "shortcut",
    "downsample" or "skip", in any case. The stride is no criterion: a strided 1x1 convolution can belong to the main
    branch.
    """
    pointwise = isinstance(layer, nn.Linear) or all(n == 1 for n in layer.kernel_size)
    return pointwise and any(name in path.lower() for name in _SHORTCUT_NAMES)


def select(where: str, model: nn.Module, skip: Skip) -> list[str]:
    """Paths of the layers to binarise, one per layer.

    Parameters
    ----------
    where : str
        Function to name in messages.
    model : nn.Module
        Any model.
    skip : str, callable or iterable of them
        What to leave in full precision, as described at ``binarize_model``.

    Raises
    ------
    TypeError
        If `skip` holds something else than strings and callables.
    ValueError
        If a name or pattern fits no layer, or no layer is left.
    """
    every = candidates(model)
    if not every:
        names = ", ".join(layer.__name__ for layer in LAYERS)
        raise ValueError(
            f"`{where}(model=...)`: got a {type(model).__name__} without a layer to binarise, expected at least one of "
            f"{names}. Layers inside nn.MultiheadAttention do not count, as their input cannot be reached."
        )
    rules = [skip] if isinstance(skip, str) or callable(skip) else list(skip)
    skipped = {id(layer) for rule in rules for layer in _matches(where, rule, every)}
    kept: dict[int, str] = {}
    for path, layer in every:
        if id(layer) not in skipped:
            kept.setdefault(id(layer), path)
    if not kept:
        raise ValueError(
            f"`{where}(skip={skip!r})`: nothing is left to binarise, all layers are skipped: {_listed(every)}. "
            "Pass fewer rules, `skip=()` for none."
        )
    return list(kept.values())


def _matches(where: str, rule: str | Predicate, every: list[tuple[str, nn.Module]]) -> list[nn.Module]:
    """Layers that one rule leaves out."""
    if callable(rule):
        return [layer for path, layer in every if rule(path, layer)]
    if not isinstance(rule, str):
        raise TypeError(
            f"`{where}(skip=...)`: got {rule!r} of type {type(rule).__name__}, expected a name, a glob pattern, one of "
            f"{_KEYWORDS} or a function of path and layer."
        )
    if rule in _KEYWORDS:
        named = {"first": every[:1], "last": every[-1:], "shortcut": [x for x in every if is_shortcut(*x)]}
        return [layer for _, layer in named[rule]]
    found = [layer for path, layer in every if fnmatchcase(path, rule)]
    if not found:
        raise ValueError(
            f"`{where}(skip=...)`: {rule!r} fits no layer that can be binarised. These can: {_listed(every)}. Use one "
            f"of these names, a pattern such as 'block.*', one of {_KEYWORDS} or a function of path and layer."
        )
    return found


def _listed(every: list[tuple[str, nn.Module]]) -> str:
    return ", ".join(repr(path) for path, _ in every)
