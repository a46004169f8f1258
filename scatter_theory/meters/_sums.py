"""Sum of a stream, with the number of its entries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.meters._chunks import axes, checked, pieces, same_shape, size


@dataclass(frozen=True, eq=False)
class Sums:
    """Mergeable state of a sum; entries that are not finite are left out and counted.

    Parameters
    ----------
    n : int64 tensor, shape ``shape``
        Finite entries so far.
    total : float64 tensor, shape ``shape``
        Their sum.
    excluded : int64 tensor, shape ``shape``
        Entries that were NaN or infinite.
    """

    n: Tensor
    total: Tensor
    excluded: Tensor

    @classmethod
    def init(cls, shape: tuple[int, ...] = (), device: torch.device | str | None = None) -> Sums:
        """State of an empty population on a device; `shape` is that of the axes that are not reduced."""
        counts = torch.zeros(shape, dtype=torch.int64, device=device)
        return cls(counts, torch.zeros(shape, dtype=torch.float64, device=device), counts)

    @classmethod
    def of(cls, x: Tensor, dim: int | tuple[int, ...] | None = None) -> Sums:
        """State of one tensor; arguments and errors as in `Moments.of`."""
        x = checked("Sums.of", "x", x)
        dims = axes("Sums.of", x, dim)
        if len(dims) < x.ndim:
            return _reduced(x, dims)
        state = cls.init((), x.device)
        for piece in pieces(x):
            state = state.merge(_reduced(piece, (0,)))
        return state

    def update(self, x: Tensor, dim: int | tuple[int, ...] | None = None) -> Sums:
        """State with the entries of one more tensor; arguments and errors as in `Moments.of`."""
        return self.merge(Sums.of(x, dim))

    def merge(self, other: Sums) -> Sums:
        """State of the union of two disjoint populations.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        same_shape("Sums.merge(other=...)", self.n, other.n)
        return Sums(self.n + other.n, self.total + other.total, self.excluded + other.excluded)

    def finalise(self) -> dict[str, Tensor]:
        """Read-outs on the device: ``n``, ``total``, ``mean`` (NaN for n = 0), ``excluded``."""
        mean = torch.where(self.n > 0, self.total / self.n.clamp_min(1), math.nan)
        return {"n": self.n, "total": self.total, "mean": mean, "excluded": self.excluded}


def _reduced(x: Tensor, dims: tuple[int, ...]) -> Sums:
    wide = x.to(torch.float64)
    n = wide.abs().lt_(math.inf).sum(dims).to(torch.int64)
    total = wide.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).sum(dims)
    return Sums(n, total, size(x, dims) - n)
