"""Masks of a model: which of its weights are alive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from scatter_theory.pruning.masks._mask import has_mask, install, mask_of, original_of, release, weight_of
from scatter_theory.pruning.masks._prunable import Skip, checked, chosen, every


class Masks(Mapping[str, Tensor]):
    """Which weights are alive, by the names of the weights: a value apart from any model.

    Parameters
    ----------
    masks : mapping of str to bool tensor
        True where alive, in the shape of the weight. The tensors are copied.

    Raises
    ------
    TypeError
        If a mask is no bool tensor.

    Examples
    --------
    >>> from torch import nn
    >>> masks = Masks.of(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)))
    >>> masks.alive, masks.size, masks.sparsity
    (160, 160, 0.0)
    """

    def __init__(self, masks: Mapping[str, Tensor]) -> None:
        for name, mask in masks.items():
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
                raise TypeError(f"`Masks(masks=...)`: got {got} for {name!r}, expected a bool tensor: True for alive.")
        self._masks = {name: mask.detach().clone() for name, mask in masks.items()}

    @classmethod
    def of(cls, model: nn.Module, skip: Skip = ()) -> Masks:
        """Masks that a model has, of this package or of ``torch.nn.utils.prune``; all alive where it has none.

        Weights that could not be pruned now, such as tied or binarised ones, are read like the others. Weights that are
        exactly 0 without a mask count as alive.

        Parameters
        ----------
        model : nn.Module
            Any model with a linear layer or convolution, neither wrapped nor compiled.
        skip : str or iterable of str
            Weights to leave out, as in ``prunable``.

        Raises
        ------
        TypeError, ValueError
            For the model as a whole and for `skip`, as ``prunable`` does.
        """
        read: dict[str, Tensor] = {}
        for name, layer in chosen("Masks.of", model, skip).items():
            mask = mask_of(layer)
            read[name] = torch.ones_like(original_of(layer), dtype=torch.bool) if mask is None else mask
        return cls(read)

    def apply(self, model: nn.Module) -> None:
        """Put these masks on a model, in the place of those that it has; other weights stay as they are.

        A weight that is alive here and was pruned in the model comes back with what its parameter holds. ``prune``
        never does that.

        Raises
        ------
        ValueError
            If the model has no weight of one of the names, its shape differs, or it cannot be pruned (``prunable``).
            The model is unchanged after an error.
        """
        layers = checked("Masks.apply", model, named("Masks.apply(...)", model, self))
        for name, layer in layers.items():
            if original_of(layer).shape != self[name].shape:
                raise ValueError(
                    f"`Masks.apply(model=...)`: the mask of {name!r} has shape {tuple(self[name].shape)}, but the "
                    f"weight {tuple(original_of(layer).shape)}. Pass the model that the masks belong to."
                )
        for name, layer in layers.items():
            install(layer, self[name])

    @property
    def size(self) -> int:
        """Number of all weights."""
        return sum(mask.numel() for mask in self.values())

    @property
    def alive(self) -> int:
        """Number of weights that are alive."""
        return sum(alive for alive, _ in self.per_layer().values())

    @property
    def sparsity(self) -> float:
        """Share of the weights that are pruned; NaN if there are no weights."""
        return (self.size - self.alive) / self.size if self.size else float("nan")

    def per_layer(self) -> dict[str, tuple[int, int]]:
        """Numbers of weights alive and of all, by name. A layer with none alive is empty."""
        if not self:
            return {}
        device = next(iter(self.values())).device
        alive = torch.stack([mask.sum().to(device) for mask in self.values()]).tolist()
        return {name: (n, mask.numel()) for (name, mask), n in zip(self.items(), alive, strict=True)}

    def equal(self, other: Masks) -> bool:
        """Whether the names and all masks are the same, wherever the tensors are."""
        return list(self) == list(other) and all(torch.equal(m, other[name].to(m.device)) for name, m in self.items())

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of the masks on the CPU; ``torch.save`` takes them."""
        return {name: mask.to("cpu", copy=True) for name, mask in self.items()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Masks:
        """Masks from what `state_dict` gave."""
        return cls(state)

    def __getitem__(self, name: str) -> Tensor:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __eq__(self, other: object) -> bool:
        return self.equal(other) if isinstance(other, Masks) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Masks({len(self)} weights, {self.alive} of {self.size} alive, sparsity {self.sparsity:.6g})"

    def __str__(self) -> str:
        width = max((len(name) for name in self), default=0)
        rows = [f"{name:{width}}  {a:>10} of {n:>10}  {_share(a, n)}" for name, (a, n) in self.per_layer().items()]
        return "\n".join([*rows, repr(self)])


def weights(model: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """The weights that a model computes with: pruned entries are 0.

    Parameters
    ----------
    model : nn.Module
        Any model.
    names : iterable of str
        Names of weights, as ``prunable`` gives them.

    Returns
    -------
    dict of str to tensor
        Detached. Weights without a mask share memory with the model.

    Raises
    ------
    ValueError
        If the model has no such weight.
    """
    return {name: weight_of(layer) for name, layer in named("weights(...)", model, names).items()}


def originals(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Parameter]:
    """The parameters behind the weights, which the optimizer moves; pruned entries hold anything.

    Parameters
    ----------
    model : nn.Module
        Any model.
    names : iterable of str
        Names of weights, as ``prunable`` gives them.

    Returns
    -------
    dict of str to nn.Parameter
        By the given names, in their order.

    Raises
    ------
    ValueError
        If the model has no such weight.
    """
    return {name: original_of(layer) for name, layer in named("originals(...)", model, names).items()}


def remove(model: nn.Module) -> Masks:
    """Take all masks off and write their zeros into the parameters, which are then plain and free to move.

    The parameters stay the same objects, so that an optimizer keeps them; the keys of ``state_dict`` and the order of
    the parameters are those from before the pruning.

    Parameters
    ----------
    model : nn.Module
        A pruned model; changed in place.

    Returns
    -------
    Masks
        The masks taken off.

    Raises
    ------
    ValueError
        If the model has no mask of this package, is wrapped, or a weight has further parametrizations on top.
    """
    masked = {name: layer for name, layer in chosen("remove", model, ()).items() if has_mask(layer)}
    if not masked:
        raise ValueError(f"`remove(model=...)`: got a {type(model).__name__} without a mask; nothing to remove.")
    checked("remove", model, masked)
    masks = Masks({name: layer.parametrizations.weight[0].mask for name, layer in masked.items()})
    for layer in masked.values():
        with torch.no_grad():
            original_of(layer).copy_(layer.weight)
        release(layer)
    return masks


def named(where: str, model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Layers of weights by their names; `where` is the function, with its argument, to name in messages.

    Raises
    ------
    ValueError
        If the model has no weight of one of the names.
    """
    layers, names = every(model), list(names)
    missing = [name for name in names if name not in layers]
    if missing:
        raise ValueError(
            f"`{where}`: the {type(model).__name__} has no weight {missing[0]!r}; it has {', '.join(layers)}."
        )
    return {name: layers[name] for name in names}


def _share(alive: int, size: int) -> str:
    if not size:
        return ""
    return f"{alive / size:8.2%}{'  empty' if not alive else ''}"
