r"""What every gradient estimator of a binary network has: a surrogate, its multiplier, and tests of both.

Forward, a latent value z becomes ``sign(z)``, whose derivative is useless. Backward, an estimator replaces the sign by
an odd surrogate f and returns ``G f'(z)`` for the upstream gradient G. The multiplier f' is always written by hand: the
derivative of :math:`|z|^{1/3}` by automatic differentiation is NaN at 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, dataclass, fields
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import IDENTITY

#: Estimators that the compiled operator knows by name.
ESTIMATORS: dict[str, type[Estimator]] = {}

#: What an estimator takes: two narrow types, computed in float32, and two wide ones.
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

#: Largest distance on [0, 3] between a surrogate and the integral of its multiplier that counts as quadrature error.
QUADRATURE = 1e-9

C = TypeVar("C", bound="type[Estimator]")


def registered(cls: C) -> C:
    """Class decorator: enter an estimator into `ESTIMATORS` under its class name."""
    ESTIMATORS[cls.__name__] = cls
    return cls


@dataclass(frozen=True)
class Estimator(ABC):
    """An odd surrogate f of the sign, and the multiplier f' that replaces its derivative in the backward pass.

    A subclass is a frozen dataclass whose fields are plain numbers (a string may name a variant). It gives `surrogate`
    and `multiplier`; where the gradient is no product with the upstream gradient, it sets ``elementwise = False`` and
    gives `gradient` as well. All maps take tensors of any shape in float16, bfloat16, float32 or float64, compute in
    float32 or wider, and return the shape and dtype they were given.

    Attributes
    ----------
    elementwise : bool
        Whether the gradient is the upstream gradient times `multiplier`.
    pointwise : bool
        Whether f(z) at one entry depends on that entry alone.
    monotone : bool
        Whether f' >= 0 everywhere; False makes no promise.
    """

    elementwise: ClassVar[bool] = True
    pointwise: ClassVar[bool] = True
    monotone: ClassVar[bool] = False

    def __post_init__(self) -> None:
        # Compiled code reads the numbers from a tensor, so that a schedule which changes them compiles nothing anew.
        object.__setattr__(self, "_packed", packed(self))

    @abstractmethod
    def surrogate(self, z: Tensor) -> Tensor:
        """f(z), odd; shape and dtype of `z`."""

    @abstractmethod
    def multiplier(self, z: Tensor) -> Tensor:
        """f'(z) as the backward pass uses it, even; shape and dtype of `z`."""

    def gradient(self, z: Tensor, upstream: Tensor) -> Tensor:
        """Gradient with respect to `z`, from the gradient with respect to the binary value; same shape and dtype."""
        return upstream * self.multiplier(z)

    def forward(self, z: Tensor, sign_zero: int) -> Tensor:
        """Binary value of `z`; see `sign`."""
        return sign(z, sign_zero)

    def at(self, progress: float) -> Estimator:
        """The estimator after a fraction `progress` in [0, 1] of the training; itself where there is no schedule."""
        check_number(self, "progress", progress, 0.0, 1.0, call="at")
        return self

    @property
    def kinks(self) -> tuple[float, ...]:
        """Increasing |z| > 0 at which f or f' is not smooth."""
        return ()

    @property
    def limits(self) -> tuple[float, float]:
        """(inner, outer): f' is constant for |z| <= inner and 0 for |z| > outer; (0, inf) where there is no such."""
        return 0.0, math.inf

    def is_rational(self, u: Iterable[float] | Tensor | None = None) -> bool:
        r"""Whether f is nowhere farther from the sign than the identity is: :math:`|1 - f(u)| \le |1 - u|`.

        Equivalently :math:`u \le f \le 2 - u` for u <= 1 and :math:`2 - u \le f \le u` for u > 1. A finite set of
        points is checked in float64 up to a rounding of 1e-12: False is a proof, True is not.

        Parameters
        ----------
        u : iterable of float or Tensor, optional
            Points u > 0. Default: 3000 equal steps on (0, 3] and the kinks.

        Raises
        ------
        ValueError
            If a point is not positive and finite, or `u` is missing where f depends on the whole tensor.
        """
        points = self._points(u, "is_rational")
        return bool(((1 - self.surrogate(points)).abs() <= (1 - points).abs() + IDENTITY).all())

    def is_antiderivative(self, u: Iterable[float] | Tensor | None = None) -> bool:
        """Whether f is the integral of f' from 0, up to 1e-9 at every point.

        Gauss-Legendre quadrature between neighbouring points, kinks and the powers 2^-1, ..., 2^-1000, in float64. A
        multiplier that grows at 0 as u^(1/o - 1) is integrated well enough for o < 33.

        Parameters
        ----------
        u : iterable of float or Tensor, optional
            Points u > 0, as for `is_rational`.

        Raises
        ------
        ValueError
            If a point is not positive and finite, or f depends on the whole tensor.
        """
        if not self.pointwise:
            raise ValueError(
                f"`{type(self).__name__}.is_antiderivative`: f depends on the whole tensor, so that f' is no "
                "derivative along one entry; compare `surrogate` and `multiplier` on a tensor of yours instead."
            )
        points = self._points(u, "is_antiderivative")
        small = torch.logspace(-1000, -1, 1000, base=2, dtype=torch.float64)
        kinks = torch.tensor(self.kinks, dtype=torch.float64)
        ends = torch.cat([points, kinks, small[small < points.max()], torch.zeros(1, dtype=torch.float64)])
        ends = torch.unique(ends[ends <= points.max()])
        nodes, weights = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(16))
        width = ends.diff()
        inside = ends[:-1, None] + 0.5 * (nodes + 1) * width[:, None]
        integral = (0.5 * width * (self.multiplier(inside) @ weights)).cumsum(0)
        return bool(((self.surrogate(ends[1:]) - integral).abs() <= QUADRATURE).all())

    def _points(self, u: Iterable[float] | Tensor | None, call: str) -> Tensor:
        """Points of a test, in float64."""
        if u is None and not self.pointwise:
            raise ValueError(
                f"`{type(self).__name__}.{call}(u=...)`: f depends on the whole tensor; pass the sample it acts on."
            )
        if u is None:
            steps = torch.arange(1, 3001, dtype=torch.float64) / 1000
            return torch.unique(torch.cat([steps, torch.tensor(self.kinks, dtype=torch.float64)]))
        points = u.detach().double().flatten() if isinstance(u, Tensor) else torch.tensor(list(u), dtype=torch.float64)
        if not (points.numel() and bool((points.isfinite() & (points > 0)).all())):
            raise ValueError(f"`{type(self).__name__}.{call}(u=...)`: got {u!r}, expected finite numbers > 0.")
        return points

    @classmethod
    def example(cls) -> list[Estimator]:
        """A few instances, for tests and tables that walk over all estimators; here that of the default parameters."""
        return [cls()]


def numeric_fields(estimator: Estimator | type[Estimator]) -> Iterator[Field[object]]:
    """Fields that are numbers, in order; the others (the name of a variant) never touch the backward pass."""
    return (f for f in fields(estimator) if f.type in ("float", "int", float, int))


def packed(estimator: Estimator) -> Tensor:
    """Numeric fields as a float64 tensor on the CPU."""
    numbers = [float(getattr(estimator, f.name)) for f in numeric_fields(estimator)]
    return torch.tensor(numbers, dtype=torch.float64, device="cpu")


def sign(z: Tensor, sign_zero: int = 1) -> Tensor:
    """Sign with an explicit value at 0; NaN stays NaN.

    Parameters
    ----------
    z : Tensor
        Real floating-point tensor of any shape.
    sign_zero : {1, 0, -1}
        Value at 0.0 and -0.0. The released code of ReSTE (Wu et al., 2023) has 0, a third level; most others have 1.

    Returns
    -------
    Tensor
        Entries -1, `sign_zero`, 1 or NaN; shape, dtype and memory format of `z`.

    Raises
    ------
    ValueError
        If `sign_zero` is not 1, 0 or -1.
    """
    if sign_zero == 0:
        return torch.sign(z) + nan_of(z)
    if sign_zero not in (1, -1):
        raise ValueError(f"`sign(sign_zero=...)`: got {sign_zero!r}, expected 1, 0 or -1.")
    return (z >= 0 if sign_zero == 1 else z > 0).to(z.dtype) * 2 - 1 + nan_of(z)


def nan_of(z: Tensor) -> Tensor:
    """0, but NaN where `z` is NaN (comparisons alone would lose it)."""
    return 0 * z.clamp(-1, 1)


def wide(z: Tensor) -> Tensor:
    """The tensor in float32 if it was narrower: bfloat16 rounds the threshold 0.1 up, float16 rounds it down."""
    if z.dtype not in DTYPES:
        raise TypeError(f"`z`: got a tensor of {z.dtype}, expected float16, bfloat16, float32 or float64.")
    return z.float() if z.dtype in DTYPES[:2] else z


def odd(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """``sign(z) function(|z|)`` in the precision of `wide`, cast back."""
    x = wide(z)
    return (torch.sign(x) * function(x.abs())).to(z.dtype)


def even(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """``function(|z|)`` in the precision of `wide`, cast back."""
    return function(wide(z).abs()).to(z.dtype)


def inside(u: Tensor, outer: float) -> Tensor:
    """1 for u <= outer, 0 beyond, NaN at NaN."""
    return (u <= outer) + nan_of(u)


def check_number(
    owner: Estimator, name: str, value: object, low: float, high: float, *, open_ends: str = "", call: str = ""
) -> None:
    """Raise unless `value` is a number in the interval; `open_ends` lists excluded ends, ``"low"`` and ``"high"``.

    Raises
    ------
    TypeError
        If `value` is no Python number.
    ValueError
        If it is NaN or outside the interval.
    """
    where = f"`{type(owner).__name__}{'.' + call if call else ''}({name}=...)`"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{where}: got {value!r}, expected a Python number; convert with `float(...)`.")
    above = value > low if "low" in open_ends else value >= low
    below = value < high if "high" in open_ends else value <= high
    if not (above and below):
        left, right = "(" if "low" in open_ends else "[", ")" if "high" in open_ends else "]"
        raise ValueError(f"{where}: got {value!r}, expected a number in {left}{low:g}, {high:g}{right}.")
