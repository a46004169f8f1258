"""Straight-through estimators: the gradient passes unchanged, everywhere or up to a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.bnn._estimator import Estimator, check_number, even, inside, nan_of, odd, registered, wide


@registered
@dataclass(frozen=True)
class IdentitySTE(Estimator):
    """Identity: f(z) = z, f'(z) = 1 (Bengio et al., 2013; BinaryConnect, 2015).

    The multiplier is 1 at every z, NaN among them: the gradient does not look at z.
    """

    monotone: ClassVar[bool] = True

    def surrogate(self, z: Tensor) -> Tensor:
        """The input."""
        return z

    def multiplier(self, z: Tensor) -> Tensor:
        """Ones."""
        return torch.ones_like(z)

    def gradient(self, z: Tensor, upstream: Tensor) -> Tensor:
        """The upstream gradient."""
        return upstream

    @classmethod
    def example(cls) -> list[Estimator]:
        """The only instance."""
        return [cls()]


@registered
@dataclass(frozen=True)
class ClippedSTE(Estimator):
    """Clipped identity: f(u) = min(u, c), f'(u) = 1 for u <= c and 0 beyond (BNN, 2016, with c = 1).

    Parameters
    ----------
    c : float
        Threshold, in (0, inf).
    """

    c: float = 1.0
    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "c", self.c, 0.0, math.inf, open_ends="low high")
        super().__post_init__()

    def surrogate(self, z: Tensor) -> Tensor:
        """min(|z|, c) with the sign of z."""
        return wide(z).clamp(-self.c, self.c).to(z.dtype)

    def multiplier(self, z: Tensor) -> Tensor:
        """1 for |z| <= c, 0 beyond."""
        return even(lambda u: inside(u, self.c), z)

    @property
    def kinks(self) -> tuple[float, ...]:
        """C."""
        return (self.c,)

    @property
    def limits(self) -> tuple[float, float]:
        """(c, c): f' is 1 up to c."""
        return self.c, self.c

    @classmethod
    def example(cls) -> list[Estimator]:
        """Thresholds 1 and 1.5."""
        return [cls(), cls(1.5)]


@registered
@dataclass(frozen=True)
class ReCU(Estimator):
    r"""Rectified clamp unit: identity up to a quantile :math:`Q = -\operatorname{mean}|z| \ln(2 - 2\tau)` (ReCU, 2021).

    f(u) = min(u, Q), f'(u) = 1 for u <= Q. For a Laplace distribution Q is the quantile of level tau. The mean runs
    over the whole tensor, so that one entry moves the threshold of all: f is not pointwise, and `limits` and `kinks`
    cannot name Q. The derivative of Q itself is left out, as in the clamp of a constant. A NaN among the entries makes
    Q, hence every multiplier, NaN. Meant for weights.

    Parameters
    ----------
    tau : float
        Level of the quantile, in (1/2, 1).
    """

    tau: float
    monotone: ClassVar[bool] = True
    pointwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_number(self, "tau", self.tau, 0.5, 1.0, open_ends="low high")
        super().__post_init__()

    def threshold(self, z: Tensor) -> Tensor:
        """Q of the tensor; 0-d, in float32 or wider."""
        return wide(z).abs().mean() * -math.log(2 - 2 * self.tau)

    def surrogate(self, z: Tensor) -> Tensor:
        """min(|z|, Q) with the sign of z."""
        return odd(lambda u: u.minimum(self.threshold(u)), z)

    def multiplier(self, z: Tensor) -> Tensor:
        """1 for |z| <= Q, 0 beyond."""

        def indicator(u: Tensor) -> Tensor:
            threshold = self.threshold(u)
            return (u <= threshold) + nan_of(u.minimum(threshold))

        return even(indicator, z)

    @classmethod
    def example(cls) -> list[Estimator]:
        """Both ends of the published range of tau."""
        return [cls(0.85), cls(0.99)]
