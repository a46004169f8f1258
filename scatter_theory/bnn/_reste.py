"""The rectified straight-through estimator: a power function with an inner and an outer threshold."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from scatter_theory.bnn._estimator import Estimator, check_number, even, inside, nan_of, odd, registered

Convention = Literal["power", "figure", "antiderivative"]


@registered
@dataclass(frozen=True)
class ReSTE(Estimator):
    r"""Rectified straight-through estimator (Wu, Zheng, Liu, Zheng, ICCV 2023), with the backward of its released code.

    .. math::
        f'(u) = \begin{cases} m^{k-1} & u \le m \\ k u^{k-1} & m < u \le t \\ 0 & u > t \end{cases}, \qquad k = 1/o.

    Inside the inner threshold stands the secant slope :math:`(f(m) - f(0))/m` of the power function, o times its
    derivative at m. o = 1 is the identity clipped at t, o = inf the secant alone.

    Three surrogates go with this one multiplier:

    ``"power"``
        :math:`u^k` everywhere: what the released code measures its estimating error with.
    ``"figure"``
        secant up to m, :math:`u^k` up to t, then 1: the drawing in the released repository. It falls at t.
    ``"antiderivative"``
        secant up to m, :math:`u^k` up to t, then :math:`t^k`: the integral of the multiplier.

    Parameters
    ----------
    o : float
        Power, in [1, inf].
    m : float
        Inner threshold, in [0, t]. With m = 0 the multiplier is unbounded at 0 for o > 1, and infinite at 0 itself.
    t : float
        Outer threshold, in (0, inf].
    convention : {"power", "figure", "antiderivative"}
        Which surrogate `surrogate` returns.

    Raises
    ------
    TypeError
        If `o`, `m` or `t` is no Python number.
    ValueError
        If one lies outside its interval, or `convention` is unknown.

    Warns
    -----
    UserWarning
        If m = 0 and o >= 2: the multiplier then has infinite variance for every density that is positive at 0.
    """

    o: float = 3.0
    m: float = 0.1
    t: float = 1.5
    convention: Convention = "power"
    monotone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "o", self.o, 1.0, math.inf)
        check_number(self, "t", self.t, 0.0, math.inf, open_ends="low")
        check_number(self, "m", self.m, 0.0, self.t, open_ends="high" if self.t == math.inf else "")
        if self.convention not in ("power", "figure", "antiderivative"):
            raise ValueError(
                f"`ReSTE(convention=...)`: got {self.convention!r}, expected 'power', 'figure' or 'antiderivative'."
            )
        if self.m == 0 and self.o >= 2:
            warnings.warn(
                f"`ReSTE(o={self.o!r}, m=0)`: without an inner threshold the multiplier has infinite variance for "
                "o >= 2, so that its sample variance grows with the sample; use m > 0, for instance 0.1.",
                stacklevel=3,
            )
        super().__post_init__()

    @property
    def secant(self) -> float:
        """m^(1/o - 1), the multiplier inside the inner threshold; inf for m = 0 and o > 1."""
        if self.m == 0:
            return 1.0 if self.o == 1 else math.inf
        return math.pow(self.m, 1 / self.o) / self.m

    def surrogate(self, z: Tensor) -> Tensor:
        """f(z) in the chosen convention."""
        return odd(self._power if self.convention == "power" else self._truncated, z)

    def _power(self, u: Tensor) -> Tensor:
        return u.pow(1 / self.o) + (nan_of(u) if self.o == math.inf else 0)

    def _truncated(self, u: Tensor) -> Tensor:
        value = self._power(u.clamp(self.m, self.t))
        if self.m > 0:
            value = torch.where(u <= self.m, self.secant * u, value)
        return torch.where(u > self.t, 1.0, value) if self.convention == "figure" else value

    def multiplier(self, z: Tensor) -> Tensor:
        """f'(z): finite for m > 0, whatever z."""

        def slope(u: Tensor) -> Tensor:
            exponent = (1 - self.o) / self.o if self.o < math.inf else -1.0
            power = 1 / self.o * u.clamp(self.m, self.t).pow(exponent)
            active = inside(u, self.t) if exponent == 0 else u <= self.t  # NaN to the power 0 is 1
            return torch.where(u <= self.m, self.secant, power) * active

        return even(slope, z)

    def at(self, progress: float) -> ReSTE:
        """Power on the way from 1 to o: 1 + (o - 1) (1 - cos(pi/2 progress)), the schedule of the released code.

        Raises ValueError for o = inf.
        """
        check_number(self, "progress", progress, 0.0, 1.0, call="at")
        if self.o == math.inf:
            raise ValueError("`ReSTE.at`: o = inf cannot be approached by this schedule; use a finite o.")
        return replace(self, o=1 + (1 - math.cos(math.pi / 2 * progress)) * (self.o - 1))

    @property
    def kinks(self) -> tuple[float, ...]:
        """M and t, where positive and finite."""
        return tuple(sorted({v for v in (self.m, self.t) if 0 < v < math.inf}))

    @property
    def limits(self) -> tuple[float, float]:
        """(m, t)."""
        return self.m, self.t

    @classmethod
    def example(cls) -> list[Estimator]:
        """Powers from 1 to inf, and the three conventions at o = 3."""
        powers: list[Estimator] = [cls(o) for o in (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, math.inf)]
        return [*powers, cls(convention="figure"), cls(convention="antiderivative")]
