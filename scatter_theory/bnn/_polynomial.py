"""Estimators whose surrogate is a parabola up to its vertex and constant beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scatter_theory.bnn._estimator import Estimator, check_number, even, odd, registered


@registered
@dataclass(frozen=True)
class ApproxSign(Estimator):
    """f(u) = 2u - u^2 for u < 1, 1 beyond; f'(u) = max(2 - 2u, 0) (Bi-Real Net, 2018)."""

    monotone: ClassVar[bool] = True

    def surrogate(self, z: Tensor) -> Tensor:
        """The parabola, with the sign of z."""

        def parabola(u: Tensor) -> Tensor:
            c = u.clamp(max=1)
            return 2 * c - c * c

        return odd(parabola, z)

    def multiplier(self, z: Tensor) -> Tensor:
        """max(2 - 2|z|, 0)."""
        return even(lambda u: (2 - 2 * u).clamp(min=0), z)

    @property
    def kinks(self) -> tuple[float, ...]:
        """1."""
        return (1.0,)

    @property
    def limits(self) -> tuple[float, float]:
        """(0, 1)."""
        return 0.0, 1.0

    @classmethod
    def example(cls) -> list[Estimator]:
        """The only instance."""
        return [cls()]


@registered
@dataclass(frozen=True)
class RBNN(Estimator):
    r"""Parabola of adjustable slope (RBNN, 2020).

    .. math::
        f(u) = k (\sqrt2\, t u - t^2 u^2 / 2), \qquad f'(u) = k \max(\sqrt2\, t - t^2 u, 0),

    constant k beyond :math:`u = \sqrt2 / t`. The published schedule of the weights is :math:`t = 10^{-2 + 3p}` at the
    fraction p of the training with k = max(1/t, 1); activations have k = 1 and max(t, 1) in place of t. With k = 1 and
    :math:`t = \sqrt2` it is `ApproxSign`.

    Parameters
    ----------
    t : float
        Steepness, in (0, inf).
    k : float
        Height, in (0, inf).
    """

    t: float
    k: float
    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "t", self.t, 0.0, math.inf, open_ends="low high")
        check_number(self, "k", self.k, 0.0, math.inf, open_ends="low high")
        super().__post_init__()

    def surrogate(self, z: Tensor) -> Tensor:
        """The parabola, with the sign of z."""

        def parabola(u: Tensor) -> Tensor:
            x = self.t * u.clamp(max=self.limits[1])
            return self.k * (math.sqrt(2) * x - x * x / 2)

        return odd(parabola, z)

    def multiplier(self, z: Tensor) -> Tensor:
        """K max(sqrt(2) t - t^2 |z|, 0)."""
        return even(lambda u: self.k * (math.sqrt(2) * self.t - self.t**2 * u).clamp(min=0), z)

    @property
    def kinks(self) -> tuple[float, ...]:
        """sqrt(2)/t."""
        return (self.limits[1],)

    @property
    def limits(self) -> tuple[float, float]:
        """(0, sqrt(2)/t)."""
        return 0.0, math.sqrt(2) / self.t

    @classmethod
    def example(cls) -> list[Estimator]:
        """Flat, the parabola of Bi-Real Net, steep, and the published start of training (t = 0.01)."""
        return [cls(1.0, 1.0), cls(math.sqrt(2), 1.0), cls(10.0, 1.0), cls(0.01, 100.0)]
