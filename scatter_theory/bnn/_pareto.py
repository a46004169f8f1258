"""The estimator with the least instability at its estimating error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.bnn._estimator import Estimator, check_number, even, inside, odd, registered


@registered
@dataclass(frozen=True)
class Pareto(Estimator):
    r"""Minimiser of error plus variance for a uniform density on [-1, 1].

    .. math::
        f(u) = 1 - \frac{\sinh(a (1 - u))}{\sinh a}, \qquad f'(u) = \frac{a \cosh(a (1 - u))}{\sinh a}
        \qquad (u \le 1),

    1 and 0 beyond. It minimises :math:`E (1 - f)^2 + a^{-2} \operatorname{Var} f'` among all f with f(0) = 0 and
    f(1) = 1: the variance is :math:`E f'^2 - 1`, as :math:`E f' = f(1) - f(0)` is fixed, and the Euler-Lagrange
    equation is :math:`f'' = a^2 (f - 1)`. For a -> 0 it tends to the identity, for a -> inf to the sign; the slope is
    at most :math:`a \coth a`, so that no inner threshold is needed. For other densities it is one estimator among many.

    Parameters
    ----------
    a : float
        Sharpness, in (0, inf).
    """

    a: float
    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "a", self.a, 0.0, math.inf, open_ends="low high")
        super().__post_init__()

    # sinh(a(1-u))/sinh(a) = exp(-au) (1 - exp(-2a(1-u))) / (1 - exp(-2a)): neither overflows nor cancels.

    def surrogate(self, z: Tensor) -> Tensor:
        """f(z)."""

        def curve(u: Tensor) -> Tensor:
            c = u.clamp(max=1)
            return 1 - torch.exp(-self.a * c) * torch.expm1(-2 * self.a * (1 - c)) / math.expm1(-2 * self.a)

        return odd(curve, z)

    def multiplier(self, z: Tensor) -> Tensor:
        """f'(z)."""
        height = self.a / -math.expm1(-2 * self.a)

        def slope(u: Tensor) -> Tensor:
            c = u.clamp(max=1)
            return height * torch.exp(-self.a * c) * (1 + torch.exp(-2 * self.a * (1 - c))) * inside(u, 1.0)

        return even(slope, z)

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
        """From nearly straight to sharp."""
        return [cls(1.0), cls(2.0), cls(3.0), cls(5.0), cls(8.0)]
