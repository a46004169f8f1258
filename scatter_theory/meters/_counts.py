"""Named counters over a population."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.meters._chunks import axes, same_shape


@dataclass(frozen=True, eq=False)
class Counts:
    """Mergeable state of several counters, e.g. of the entries that are zero among those that are finite.

    Parameters
    ----------
    names : tuple of str
        Names of the counters.
    values : int64 tensor, shape ``(len(names), *shape)``
        Their values; exact, in any order of updates and merges.
    """

    names: tuple[str, ...]
    values: Tensor

    @classmethod
    def init(
        cls, names: tuple[str, ...], shape: tuple[int, ...] = (), device: torch.device | str | None = None
    ) -> Counts:
        """Counters at zero on a device; `shape` is that of the axes that are not reduced.

        Raises
        ------
        ValueError
            If there is no name, or one comes twice.
        """
        names = tuple(names)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"`Counts.init(names=...)`: got {names}, expected one or more different names.")
        return cls(names, torch.zeros((len(names), *shape), dtype=torch.int64, device=device))

    def update(self, dim: int | tuple[int, ...] | None = None, **masks: Tensor) -> Counts:
        """Add to each counter the number of true entries of its mask.

        Parameters
        ----------
        dim : int, tuple of int or None
            Axes over which the population runs; None for all.
        **masks : bool tensors
            One per counter, by its name.

        Raises
        ------
        TypeError
            For a mask that is not boolean.
        ValueError
            If the names are not those of the counters, or the shape left by `dim` is not that of the state.
        """
        if set(masks) != set(self.names):
            raise ValueError(f"`Counts.update(...)`: got masks {sorted(masks)}, expected one for each of {self.names}.")
        found = []
        for name in self.names:
            mask = masks[name]
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                kind = str(mask.dtype) if isinstance(mask, Tensor) else type(mask).__name__
                raise TypeError(f"`Counts.update({name}=...)`: got {kind}, expected a bool tensor; compare first.")
            found.append(mask.sum(axes("Counts.update", mask, dim)))
        return self.merge(Counts(self.names, torch.stack(found)))

    def merge(self, other: Counts) -> Counts:
        """Counters of the union of two disjoint populations.

        Raises
        ------
        ValueError
            If names or shapes differ.
        """
        if other.names != self.names:
            raise ValueError(f"`Counts.merge(other=...)`: got counters {other.names}, expected {self.names}.")
        same_shape("Counts.merge(other=...)", self.values, other.values)
        return Counts(self.names, self.values + other.values)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(f"`Counts[...]`: got {name!r}, expected one of {self.names}.")
        return self.values[self.names.index(name)]

    def rate(self, name: str, of: str) -> Tensor:
        """One counter as a share of another, float64; NaN where the other is 0."""
        whole = self[of]
        return torch.where(whole > 0, self[name].to(torch.float64) / whole.clamp_min(1), math.nan)

    def finalise(self) -> dict[str, Tensor]:
        """The counters by name, int64 tensors on the device."""
        return {name: self[name] for name in self.names}
