r"""Number, mean and sum of squared deviations of a stream.

Two parts a and b with deviations :math:`M_2 = \sum (x - \bar x)^2` combine without cancellation:

.. math:: n = n_a + n_b, \quad \bar x = \bar x_a + \delta \frac{n_b}{n}, \quad
          M_2 = M_{2,a} + M_{2,b} + \delta^2 \frac{n_a n_b}{n}, \quad \delta = \bar x_b - \bar x_a .

Within a part the deviations are taken from the mean of that part, in float64 and before they are squared; what rounding
of the mean leaves behind is removed as :math:`M_2 - (\sum d)^2 / n`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.meters._chunks import axes, checked, pieces, same_shape, size


@dataclass(frozen=True, eq=False)
class Moments:
    """Mergeable state of mean and variance; entries that are not finite are left out and counted.

    Parameters
    ----------
    n : int64 tensor, shape ``shape``
        Finite entries so far.
    mean : float64 tensor, shape ``shape``
        Their mean; 0 while there are none (`finalise` gives NaN then).
    M2 : float64 tensor, shape ``shape``
        Sum of squared deviations from the mean.
    excluded : int64 tensor, shape ``shape``
        Entries that were NaN or infinite.
    """

    n: Tensor
    mean: Tensor
    M2: Tensor
    excluded: Tensor

    @classmethod
    def init(cls, shape: tuple[int, ...] = (), device: torch.device | str | None = None) -> Moments:
        """State of an empty population on a device; `shape` is that of the axes that are not reduced."""
        counts = torch.zeros(shape, dtype=torch.int64, device=device)
        numbers = torch.zeros(shape, dtype=torch.float64, device=device)
        return cls(counts, numbers, numbers, counts)

    @classmethod
    def of(cls, x: Tensor, dim: int | tuple[int, ...] | None = None) -> Moments:
        """State of one tensor.

        Parameters
        ----------
        x : real floating point tensor, any shape, layout and device
            Half precision is widened before anything is squared.
        dim : int, tuple of int or None
            Axes over which the population runs; None for all. The state has the shape of the others.

        Raises
        ------
        TypeError
            For integers, booleans, complex numbers and sparse tensors.
        ValueError
            For an axis that does not exist.
        """
        x = checked("Moments.of", "x", x)
        dims = axes("Moments.of", x, dim)
        if len(dims) < x.ndim:
            shape = (1, *(length for d, length in enumerate(x.shape) if d not in dims))
            return _state(*(number.reshape(shape) for number in _reduced(x, dims)), size(x, dims))
        parts = [_reduced(piece, (0,)) for piece in pieces(x)]
        return _state(*(torch.cat(numbers) for numbers in zip(*parts, strict=True)), x.numel())

    @classmethod
    def combined(cls, parts: Sequence[Moments]) -> Moments:
        """State of the union of several disjoint populations at once.

        Raises
        ------
        ValueError
            If there is no part, or if shapes differ.
        """
        if not parts:
            raise ValueError("`Moments.combined(parts=...)`: got no part, expected at least one; use `Moments.init()`.")
        for part in parts[1:]:
            same_shape("Moments.combined(parts=...)", parts[0].n, part.n)
        return cls(*(torch.stack([getattr(p, f) for p in parts]) for f in ("n", "mean", "M2", "excluded"))).collapsed()

    def collapsed(self) -> Moments:
        """State of the union over the first axis of the state."""
        n = self.n.sum(0)
        weights = self.n.to(torch.float64) / n.clamp_min(1)
        mean = (weights * self.mean).sum(0)
        delta = torch.where(self.n > 0, self.mean - mean, 0.0)
        rest = (weights * delta).sum(0)
        M2 = (self.M2 + self.n * delta.square()).sum(0) - n * rest.square()
        return Moments(n, mean + rest, M2.clamp_min(0), self.excluded.sum(0))

    def update(self, x: Tensor, dim: int | tuple[int, ...] | None = None) -> Moments:
        """State with the entries of one more tensor; arguments and errors as in `of`."""
        return self.merge(Moments.of(x, dim))

    def merge(self, other: Moments) -> Moments:
        """State of the union of two disjoint populations.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        same_shape("Moments.merge(other=...)", self.n, other.n)
        n = self.n + other.n
        share = other.n.to(torch.float64) / n.clamp_min(1)
        delta = other.mean - self.mean
        M2 = self.M2 + other.M2 + delta.square() * share * self.n
        return Moments(n, self.mean + delta * share, M2, self.excluded + other.excluded)

    def scaled(self, factor: Tensor | float) -> Moments:
        """State of the same entries times a factor, a number or a tensor on the device of the state."""
        return Moments(self.n, self.mean * factor, self.M2 * factor**2, self.excluded)

    def variance(self, unbiased: bool = True) -> Tensor:
        """Variance with divisor n - 1 (unbiased, NaN for n < 2) or n (population, NaN for n = 0)."""
        divisor = self.n - int(unbiased)
        return torch.where(divisor > 0, self.M2 / divisor.clamp_min(1), math.nan)

    def cv2(self, unbiased: bool = True) -> Tensor:
        """Squared coefficient of variation, variance / mean^2: free of the scale of the entries; NaN for mean 0."""
        return torch.where(self.mean != 0, self.variance(unbiased) / self.mean.square(), math.nan)

    def finalise(self, unbiased: bool = True) -> dict[str, Tensor]:
        """Read-outs on the device: ``n``, ``mean`` (NaN for n = 0), ``variance``, ``cv2``, ``excluded``."""
        mean = torch.where(self.n > 0, self.mean, math.nan)
        return {
            "n": self.n,
            "mean": mean,
            "variance": self.variance(unbiased),
            "cv2": self.cv2(unbiased),
            "excluded": self.excluded,
        }


def _reduced(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Number of finite entries, their mean, and the sums of the deviations from it and of their squares."""
    wide = x.to(torch.float64)
    finite = wide.abs().lt_(math.inf)
    n = finite.sum(dims, keepdim=True)
    entries = wide.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    mean = entries.sum(dims, keepdim=True) / n.clamp_min(1)
    deviations = entries.sub_(mean).mul_(finite)
    rest = deviations.sum(dims, keepdim=True)
    return n, mean, rest, deviations.square_().sum(dims, keepdim=True)


def _state(n: Tensor, mean: Tensor, rest: Tensor, squares: Tensor, n_entries: int) -> Moments:
    """State of the union of the parts in the first axis."""
    rest = rest / n.clamp_min(1)
    M2 = (squares - n * rest.square()).clamp_min(0)
    n = n.to(torch.int64)
    whole = (n, mean + rest, M2)
    if len(n) == 1:
        n, mean, M2 = (number[0] for number in whole)
    else:
        state = Moments(*whole, n).collapsed()
        n, mean, M2 = state.n, state.mean, state.M2
    return Moments(n, mean, M2, n_entries - n)
