"""Estimators with a surrogate of exponential type: hyperbolic tangents and the derivative of a swish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.bnn._estimator import Estimator, check_number, even, inside, odd, registered

#: exp(-x) is 0 in float64 from here on; keeps inf * 0 away.
_VANISHED = 800.0


@registered
@dataclass(frozen=True)
class SwishSign(Estimator):
    r"""Swish-shaped sign (BNN+, 2018).

    .. math::
        f(u) = 2 s(x) [1 + x (1 - s(x))] - 1, \qquad
        f'(u) = \beta\, \frac{2 - x \tanh(x/2)}{1 + \cosh x}, \qquad x = \beta u,

    with the logistic function s. f overshoots 1 and returns to it: it is not monotone.

    Parameters
    ----------
    beta : float
        Steepness, in (0, inf).
    """

    beta: float = 5.0
    monotone: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_number(self, "beta", self.beta, 0.0, math.inf, open_ends="low high")
        super().__post_init__()

    def surrogate(self, z: Tensor) -> Tensor:
        """f(z)."""

        def swish(u: Tensor) -> Tensor:
            x = (self.beta * u).clamp(max=_VANISHED)
            return 2 * torch.sigmoid(x) * (1 + x * torch.sigmoid(-x)) - 1

        return odd(swish, z)

    def multiplier(self, z: Tensor) -> Tensor:
        """f'(z), with 1/(1 + cosh x) written as 2 s(x) s(-x), which does not overflow."""

        def slope(u: Tensor) -> Tensor:
            x = (self.beta * u).clamp(max=_VANISHED)
            return 2 * self.beta * (2 - x * torch.tanh(x / 2)) * torch.sigmoid(x) * torch.sigmoid(-x)

        return even(slope, z)

    @classmethod
    def example(cls) -> list[Estimator]:
        """The default and a flatter one."""
        return [cls(), cls(2.0)]


@registered
@dataclass(frozen=True)
class EDE(Estimator):
    """Error decay estimator: f(u) = k tanh(t u), f'(u) = k t (1 - tanh^2(t u)) (IR-Net, 2020).

    The publication also centres and standardises the weights of every filter first, which is not part of this class.

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
        """K tanh(t z)."""
        return odd(lambda u: self.k * torch.tanh(self.t * u), z)

    def multiplier(self, z: Tensor) -> Tensor:
        """K t (1 - tanh^2(t z))."""
        return even(lambda u: self.k * self.t * (1 - torch.tanh(self.t * u) ** 2), z)

    def at(self, progress: float) -> EDE:
        """T = 10^(-3 + 4 progress) and k = max(1/t, 1), the range of IR-Net's code for CIFAR-10 and ResNet-20."""
        check_number(self, "progress", progress, 0.0, 1.0, call="at")
        t = 10.0 ** (-3 + 4 * progress)
        return EDE(t, max(1 / t, 1.0))

    @classmethod
    def example(cls) -> list[Estimator]:
        """Flat, medium, steep, and the start of the published schedule."""
        return [cls(1.0, 1.0), cls(2.0, 1.0), cls(10.0, 1.0), cls(0.001, 1000.0)]


@registered
@dataclass(frozen=True)
class DSQ(Estimator):
    """Differentiable soft quantisation to one bit with the clip fixed at 1 (DSQ, 2019).

    f(u) = tanh(k u)/tanh(k) and f'(u) = k (1 - tanh^2(k u))/tanh(k) for u <= 1; 1 and 0 beyond.

    Parameters
    ----------
    k : float
        Steepness, in (0, inf).
    """

    k: float
    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "k", self.k, 0.0, math.inf, open_ends="low high")
        super().__post_init__()

    def surrogate(self, z: Tensor) -> Tensor:
        """f(z)."""
        return odd(lambda u: torch.tanh(self.k * u.clamp(max=1)) / math.tanh(self.k), z)

    def multiplier(self, z: Tensor) -> Tensor:
        """f'(z)."""
        height = self.k / math.tanh(self.k)
        return even(lambda u: height * (1 - torch.tanh(self.k * u) ** 2) * inside(u, 1.0), z)

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
        """A flat and a steep one."""
        return [cls(2.0), cls(5.0)]
