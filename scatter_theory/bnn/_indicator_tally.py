"""Mergeable state of one binarised tensor at one step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.meters import Counts, Moments, Sums

#: Counters of a tensor. `size`: all entries; `finite`: those that were looked at and are finite; of these, `saturated`:
#: beyond the outer limit of the estimator, `inner`: within its inner limit, `dead`: with multiplier 0; `compared`,
#: `flipped`: signs against the measured step before.
COUNTERS = ("size", "finite", "saturated", "inner", "dead", "compared", "flipped")

#: Where the last two are in a packed state.
COMPARED = slice(9, 11)


@dataclass(frozen=True, eq=False)
class Tally:
    """Mergeable state of one binarised tensor at one step.

    Parameters
    ----------
    gradient : Moments
        Of the moduli of the gradient.
    errors : Sums
        Squared deviations, one sum per curve, shape ``(n_curves,)``.
    counts : Counts
        The counters of `COUNTERS`.
    """

    gradient: Moments
    errors: Sums
    counts: Counts

    @classmethod
    def init(cls, n_curves: int, device: torch.device | str | None = None) -> Tally:
        """State of an empty population."""
        return cls(Moments.init((), device), Sums.init((n_curves,), device), Counts.init(COUNTERS, (), device))

    def merge(self, other: Tally) -> Tally:
        """State of the union of two disjoint populations."""
        return Tally(
            self.gradient.merge(other.gradient), self.errors.merge(other.errors), self.counts.merge(other.counts)
        )

    def pack(self) -> Tensor:
        """All numbers of the state in the last axis of a float64 tensor; counts are exact up to 2^53."""
        g, e = self.gradient, self.errors
        whole = torch.stack([g.n, g.excluded, e.n[0], e.excluded[0]])
        parts = [whole, self.counts.values, torch.stack([g.mean, g.M2]), e.total]
        return torch.cat([part.to(torch.float64) for part in parts]).movedim(0, -1)

    def collapsed(self) -> Tally:
        """State of the union over the first axis that the numbers of the state have."""
        e = self.errors
        errors = Sums(e.n.sum(1), e.total.sum(1), e.excluded.sum(1))
        return Tally(self.gradient.collapsed(), errors, Counts(COUNTERS, self.counts.values.sum(1)))

    @classmethod
    def unpack(cls, packed: Tensor) -> Tally:
        """State from what `pack` gave, with any leading axes, which become axes of the state."""
        numbers = packed.movedim(-1, 0)
        n, excluded, finite, infinite, *_ = numbers.to(torch.int64)
        counters = numbers[4 : 4 + len(COUNTERS)].to(torch.int64)
        mean, M2, *total = numbers[4 + len(COUNTERS) :]
        sums = torch.stack(total)
        errors = Sums(finite.expand(sums.shape), sums, infinite.expand(sums.shape))
        return cls(Moments(n, mean, M2, excluded), errors, Counts(COUNTERS, counters))
