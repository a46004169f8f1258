"""Estimators from sines. Their surrogates oscillate; at infinity, where a sine has no limit, the multiplier is 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.bnn._estimator import Estimator, check_number, even, odd, registered, sign, wide


def _cosines(u: Tensor, frequencies: list[float]) -> Tensor:
    """Sum of cos(w u) over increasing frequencies; 0 where one of the angles is infinite."""
    total = torch.zeros_like(u)
    for w in frequencies:
        total = total + torch.cos(w * u)
    return torch.where(frequencies[-1] * u == math.inf, 0.0, total)


@registered
@dataclass(frozen=True)
class FDA(Estimator):
    r"""First n terms of the Fourier series of the square wave (frequency domain approximation, 2021).

    .. math::
        f(u) = \frac4\pi \sum_{i<n} \frac{\sin((2i+1) w u)}{2i+1}, \qquad
        f'(u) = \frac{4 w}{\pi} \sum_{i<n} \cos((2i+1) w u).

    The publication adds a learned noise-adaptation network, which is not part of this class. f is periodic, hence far
    from the sign for u > pi/w; f(inf) is NaN.

    Parameters
    ----------
    n : int
        Number of terms, at least 1.
    w : float
        Base frequency, in (0, inf).

    Raises
    ------
    TypeError
        If `n` is no whole number.
    ValueError
        If `n` or `w` is out of range.
    """

    n: int
    w: float
    monotone: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int):
            raise TypeError(f"`FDA(n=...)`: got {self.n!r}, expected a whole number; convert with `int(...)`.")
        check_number(self, "n", self.n, 1, math.inf)
        check_number(self, "w", self.w, 0.0, math.inf, open_ends="low high")
        super().__post_init__()

    @property
    def _frequencies(self) -> list[float]:
        return [(2 * i + 1) * self.w for i in range(self.n)]

    def surrogate(self, z: Tensor) -> Tensor:
        """f(z)."""

        def series(u: Tensor) -> Tensor:
            total = torch.zeros_like(u)
            for w in self._frequencies:
                total = total + torch.sin(w * u) * (self.w / w)
            return 4 / math.pi * total

        return odd(series, z)

    def multiplier(self, z: Tensor) -> Tensor:
        """f'(z)."""
        return even(lambda u: 4 * self.w / math.pi * _cosines(u, self._frequencies), z)

    @classmethod
    def example(cls) -> list[Estimator]:
        """One, two and ten terms of the square wave with period 4."""
        return [cls(1, math.pi / 2), cls(2, math.pi / 2), cls(10, math.pi / 2)]


@registered
@dataclass(frozen=True)
class BiPer(Estimator):
    """Periodic binary value: forward sign(sin(w z)), surrogate sin(w z), multiplier w cos(w z) (BiPer, 2024).

    This is the second of two stages, for weights: the first trains with the real value sin(w z), and the publication
    takes `ApproxSign` for activations. Where w z is infinite, the binary value and f are NaN and the multiplier is 0.

    Parameters
    ----------
    w : float
        Frequency, in (0, inf). The released code has 30 by default and 20 in its recipe for CIFAR-10.
    """

    w: float
    monotone: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_number(self, "w", self.w, 0.0, math.inf, open_ends="low high")
        super().__post_init__()

    def surrogate(self, z: Tensor) -> Tensor:
        """sin(w z)."""
        return odd(lambda u: torch.sin(self.w * u), z)

    def multiplier(self, z: Tensor) -> Tensor:
        """W cos(w z)."""
        return even(lambda u: self.w * _cosines(u, [self.w]), z)

    def forward(self, z: Tensor, sign_zero: int) -> Tensor:
        """sign(sin(w z)); `sign_zero` where the sine is 0."""
        return sign(torch.sin(self.w * wide(z)), sign_zero).to(z.dtype)

    @classmethod
    def example(cls) -> list[Estimator]:
        """A slow sine and the two published frequencies."""
        return [cls(1.0), cls(20.0), cls(30.0)]
