"""How the value of a model falls when one layer is pruned, and when all are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor, nn

from scatter_theory.optional import data_frame
from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.masks._prunable import Skip, every, prunable
from scatter_theory.pruning.rules._gradients import Loss
from scatter_theory.pruning.rules._rule import Rule
from scatter_theory.pruning.rules._weights import Magnitude

SPARSITIES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98)


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Values of a model with one layer pruned at a time, and with all of them.

    Parameters
    ----------
    rule : str
        The rule, as it prints.
    layers : tuple of str
        Names of the weights.
    sizes : tuple of int
        Numbers of weights.
    sparsities : (n_sparsities,) float64 array
        Shares asked for.
    values : (n_layers, n_sparsities) float64 array
        With the layer of the row pruned alone.
    together : (n_sparsities,) float64 array
        With all layers pruned, by their scores pooled.
    baseline : float
        Of the model as it was.
    seed : int
        Of random rules.
    """

    rule: str
    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    sparsities: np.ndarray
    values: np.ndarray
    together: np.ndarray
    baseline: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of lists and numbers; `from_dict` reads it."""
        plain = {name: getattr(self, name) for name in ("rule", "baseline", "seed")}
        lists = {name: list(getattr(self, name)) for name in ("layers", "sizes")}
        arrays = {name: getattr(self, name).tolist() for name in ("sparsities", "values", "together")}
        return plain | lists | arrays

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sensitivity:
        """Sensitivity from what `to_dict` gave."""
        arrays = {name: np.asarray(data[name], dtype=float) for name in ("sparsities", "values", "together")}
        tuples = {name: tuple(data[name]) for name in ("layers", "sizes")}
        return cls(**{**data, **arrays, **tuples})

    def to_frame(self) -> Any:
        """Table with one row per layer and sparsity, as a ``pandas.DataFrame``; the layer "all" is all together.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        rows, n = (*self.layers, "all"), len(self.sparsities)
        return data_frame(
            "Sensitivity",
            {
                "layer": np.repeat(rows, n),
                "sparsity": np.tile(self.sparsities, len(rows)),
                "value": np.vstack([self.values, self.together]).ravel(),
            },
            "`values` or `to_dict()`",
        )

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the values against sparsity, one curve per layer; returns the display object with its artists."""
        from scatter_theory.plot import SensitivityDisplay

        return SensitivityDisplay(self).plot(ax=ax, **style)

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.layers, "all together"))
        rows = [*zip(self.layers, self.values, strict=True), ("all together", self.together)]
        lines = [f"sensitivity to {self.rule}: {len(self.layers)} layers; unpruned value {self.baseline:.6g}"]
        lines.append(" " * width + "".join(f"  {s:>9.4g}" for s in self.sparsities))
        lines += [f"{name:{width}}" + "".join(f"  {v:>9.4g}" for v in values) for name, values in rows]
        return "\n".join(lines)

    __repr__ = __str__


def sensitivity(
    model: nn.Module,
    evaluate: Callable[[nn.Module], float],
    *,
    rule: Rule = Magnitude(),  # noqa: B008
    sparsities: Sequence[float] = SPARSITIES,
    skip: Skip = (),
    data: Iterable[Any] | None = None,
    loss: Loss | None = None,
    start: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> Sensitivity:
    """Prune copies of a model, one layer at a time and all together, and evaluate each, without training.

    Parameters
    ----------
    model : nn.Module
        Stays as it is. Masks that it has remain.
    evaluate : callable
        Takes a model and gives one number, such as its accuracy. It gets copies, in the model's own modes.
    rule : Rule
        What is important.
    sparsities : sequence of float
        Shares to prune in the layer, and over all layers; distinct, in [0, 1], at least what is pruned already.
    skip, data, loss, start
        As for ``prune``. `data` is read once per copy: a loader or list, no iterator.
    seed : int
        Of random rules, the same for each copy.

    Returns
    -------
    Sensitivity
        ``(n_layers + 1) * n_sparsities + 1`` evaluations.

    Raises
    ------
    TypeError
        If `evaluate` gives anything but a number, or `seed` is no whole number.
    ValueError
        If `sparsities` is empty or has equal entries; and as ``prune`` does.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    >>> with torch.no_grad():
    ...     net[0].weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), net[1].weight.copy_(torch.tensor([[1.0, 5.0]]))
    (...)
    >>> found = sensitivity(net, lambda m: float(m(torch.ones(1, 2)).detach().sum()), sparsities=(0.5,))
    >>> found.baseline, found.values.ravel().tolist(), found.together.tolist()
    (38.0, [35.0, 35.0], [35.0])
    """
    sparsities = tuple(sparsities)
    if not sparsities or len(set(sparsities)) < len(sparsities):
        raise ValueError(f"`sensitivity(sparsities=...)`: got {sparsities}, expected one or more different numbers.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"`sensitivity(seed=...)`: got {seed!r}, expected a whole number; every copy uses the same.")
    layers = prunable(model, skip)
    options = {"data": data, "loss": loss, "start": start, "seed": seed}

    def value(sparsity: float, names: Iterable[str]) -> float:
        copy = deepcopy(model)
        prune(copy, rule, sparsity=sparsity, skip=[name for name in every(model) if name not in names], **options)
        return _number(evaluate(copy))

    return Sensitivity(
        repr(rule),
        tuple(layers),
        tuple(layer.weight.numel() for layer in layers.values()),
        np.array(sparsities, dtype=float),
        np.array([[value(sparsity, [name]) for sparsity in sparsities] for name in layers]),
        np.array([value(sparsity, layers) for sparsity in sparsities]),
        _number(evaluate(deepcopy(model))),
        seed,
    )


def _number(value: Any) -> float:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`sensitivity(evaluate=...)`: gave {type(value).__name__}, expected one number per model.")
    return float(value)
