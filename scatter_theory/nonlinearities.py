r"""Pointwise non-linearities with their Lipschitz constants.

Each map :math:`\rho` fixes 0 and satisfies :math:`|\rho(a) - \rho(b)| \le L |a - b|` on the complex plane. Apart from
the modulus, a real function r acts on real and imaginary part separately; then the complex constant equals the real
one, because :math:`|\rho(a) - \rho(b)|^2 = (r(\Re a) - r(\Re b))^2 + (r(\Im a) - r(\Im b))^2 \le L^2 |a - b|^2`. The
triangle inequality instead gives 2L, which is where larger published values come from (`lipschitz_published`).

Under conjugation a map is of class ``"A"`` (real values, :math:`\rho(\bar z) = \rho(z)`), ``"B"`` (odd r,
:math:`\rho(\bar z) = \overline{\rho(z)}`) or ``"C"`` (neither). Only after class A are all maps real, so that a half
bank may follow.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scatter_theory.constants import Constant

_SPLIT = "r is L-Lipschitz on the real line and acts on real and imaginary part separately"


def _split(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.complex(function(x.real), function(x.imag)) if x.is_complex() else function(x)


class Nonlinearity(ABC):
    """A pointwise Lipschitz map.

    Attributes
    ----------
    lipschitz : Constant
        Sharp Lipschitz constant L on the complex plane.
    lipschitz_published : Constant or None
        Value of the published table where it differs in kind; for reproduction only.
    conjugation : {"A", "B", "C"}
        Behaviour under complex conjugation (see the module text).
    nonnegative : bool
        Whether all values (for split maps: both parts) are >= 0.
    homogeneous : bool
        Whether ``rho(c z) = c rho(z)`` for c > 0.
    isometric : bool
        Whether ``|rho(z)| = |z|`` for all z.
    zero : float
        Modulus of ``rho(0)``; 0 is needed for energy bounds.
    """

    conjugation: Literal["A", "B", "C"] = "C"
    nonnegative: bool = False
    homogeneous: bool = False
    isometric: bool = False
    zero: float = 0.0

    @property
    @abstractmethod
    def lipschitz(self) -> Constant:
        """Sharp Lipschitz constant."""

    @property
    def lipschitz_published(self) -> Constant | None:
        """Published constant, None where there is none."""
        return None

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Apply to a real or complex tensor of any shape."""


@dataclass(frozen=True)
class Modulus(Nonlinearity):
    """``|z|``; L = 1 by the reverse triangle inequality."""

    conjugation = "A"
    nonnegative = True
    homogeneous = True
    isometric = True

    @property
    def lipschitz(self) -> Constant:
        """1."""
        return Constant(1.0, "reverse triangle inequality", "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Modulus of every entry; real."""
        return x.abs()


@dataclass(frozen=True)
class ReLU(Nonlinearity):
    """``max(0, x)`` on both parts; L = 1."""

    nonnegative = True
    homogeneous = True

    @property
    def lipschitz(self) -> Constant:
        """1."""
        return Constant(1.0, _SPLIT, "derived")

    @property
    def lipschitz_published(self) -> Constant:
        """2."""
        return Constant(2.0, "triangle inequality over real and imaginary part", "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Positive parts."""
        return _split(torch.relu, x)


@dataclass(frozen=True)
class Tanh(Nonlinearity):
    """Hyperbolic tangent of both parts; L = 1, attained at 0."""

    conjugation = "B"

    @property
    def lipschitz(self) -> Constant:
        """1."""
        return Constant(1.0, f"tanh' <= 1; {_SPLIT}", "derived")

    @property
    def lipschitz_published(self) -> Constant:
        """2."""
        return Constant(2.0, "triangle inequality over real and imaginary part", "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Hyperbolic tangents."""
        return _split(torch.tanh, x)


@dataclass(frozen=True)
class Sigmoid(Nonlinearity):
    """Shifted logistic sigmoid ``1/(1 + exp(-x)) - 1/2`` of both parts; L = 1/4, attained at 0."""

    conjugation = "B"

    @property
    def lipschitz(self) -> Constant:
        """1/4."""
        return Constant(0.25, f"derivative <= 1/4; {_SPLIT}", "derived")

    @property
    def lipschitz_published(self) -> Constant:
        """1/2."""
        return Constant(0.5, "triangle inequality over real and imaginary part", "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Shifted sigmoids, computed as ``tanh(x/2)/2`` without cancellation."""
        return _split(lambda r: 0.5 * torch.tanh(0.5 * r), x)


@dataclass(frozen=True)
class Identity(Nonlinearity):
    """No non-linearity; L = 1."""

    conjugation = "B"
    homogeneous = True
    isometric = True

    @property
    def lipschitz(self) -> Constant:
        """1."""
        return Constant(1.0, "identity", "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """The input."""
        return x


@dataclass(frozen=True)
class LeakyReLU(Nonlinearity):
    """``max(0, x) + slope min(0, x)`` on both parts; L = max(1, |slope|).

    Parameters
    ----------
    slope : float
        Slope for x < 0, finite; negative slopes fold the axis.

    Raises
    ------
    ValueError
        If `slope` is not finite.
    """

    slope: float = 0.01
    homogeneous = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.slope):
            raise ValueError(f"`LeakyReLU(slope=...)`: got {self.slope}, expected a finite number.")

    @property
    def nonnegative(self) -> bool:
        """Whether the slope is at most 0."""
        return self.slope <= 0

    @property
    def lipschitz(self) -> Constant:
        """max(1, |slope|)."""
        return Constant(max(1.0, abs(self.slope)), _SPLIT, "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Leaky positive parts."""
        return _split(lambda r: torch.nn.functional.leaky_relu(r, self.slope), x)


@dataclass(frozen=True)
class ELU(Nonlinearity):
    """``x`` for x > 0, ``alpha (exp(x) - 1)`` below, on both parts; L = max(1, alpha).

    Parameters
    ----------
    alpha : float
        Limit of ``-ELU(x)`` for x to minus infinity, finite and >= 0.

    Raises
    ------
    ValueError
        If `alpha` is negative or not finite.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ValueError(f"`ELU(alpha=...)`: got {self.alpha}, expected a finite number >= 0.")

    @property
    def lipschitz(self) -> Constant:
        """max(1, alpha)."""
        return Constant(max(1.0, self.alpha), _SPLIT, "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Exponential linear units."""
        return _split(lambda r: torch.nn.functional.elu(r, self.alpha), x)


@dataclass(frozen=True)
class SoftThreshold(Nonlinearity):
    """``sign(x) max(0, |x| - threshold)`` on both parts; L = 1.

    Parameters
    ----------
    threshold : float
        What is subtracted from the modulus of either part, finite and >= 0.

    Raises
    ------
    ValueError
        If `threshold` is negative or not finite.
    """

    threshold: float = 0.1
    conjugation = "B"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold >= 0):
            raise ValueError(f"`SoftThreshold(threshold=...)`: got {self.threshold}, expected a finite number >= 0.")

    @property
    def lipschitz(self) -> Constant:
        """1."""
        return Constant(1.0, _SPLIT, "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Values shrunk towards 0."""
        return _split(lambda r: torch.sign(r) * torch.relu(r.abs() - self.threshold), x)


@dataclass(frozen=True)
class GELU(Nonlinearity):
    r"""``x Phi(x)`` on both parts; :math:`L = \Phi(\sqrt2) + \sqrt2 \varphi(\sqrt2)`, attained at sqrt(2)."""

    @property
    def lipschitz(self) -> Constant:
        """1.12890414518515..., rounded up."""
        root = math.sqrt(2.0)
        value = 0.5 * (1 + math.erf(1.0)) + root * math.exp(-1.0) / math.sqrt(2 * math.pi)
        return Constant(value * (1 + 4e-16), "maximum of Phi(x) + x phi(x), at x = sqrt(2)", "analytic")

    def __call__(self, x: Tensor) -> Tensor:
        """Gaussian error linear units (the exact form, not the tanh approximation)."""
        return _split(torch.nn.functional.gelu, x)


@dataclass(frozen=True)
class SiLU(Nonlinearity):
    """``x / (1 + exp(-x))`` on both parts; L = 1.0998393201288669..., attained at x = 2.39936..."""

    @property
    def lipschitz(self) -> Constant:
        """1.09983932012887, rounded up."""
        return Constant(1.0998393201288672, "maximum of the derivative, where x tanh(x/2) = 2", "analytic")

    def __call__(self, x: Tensor) -> Tensor:
        """Sigmoid-weighted linear units."""
        return _split(torch.nn.functional.silu, x)


@dataclass(frozen=True)
class PhaseReLU(Nonlinearity):
    r"""Complex ReLU that keeps the phase: ``max(0, |z| - bias) z / |z|``; L = 1 for bias >= 0.

    It is the proximal map of ``bias |z|``, hence non-expansive.

    Parameters
    ----------
    bias : float
        What is subtracted from the modulus, finite and >= 0.

    Raises
    ------
    ValueError
        If `bias` is negative or not finite.
    """

    bias: float = 0.1
    conjugation = "B"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bias) and self.bias >= 0):
            raise ValueError(f"`PhaseReLU(bias=...)`: got {self.bias}, expected a finite number >= 0.")

    @property
    def lipschitz(self) -> Constant:
        """1."""
        return Constant(1.0, "proximal maps are non-expansive", "derived")

    def __call__(self, x: Tensor) -> Tensor:
        """Shrunk moduli with the phases of the input."""
        return x * (1 - self.bias / x.abs().clamp_min(self.bias)) if self.bias > 0 else x


@dataclass(frozen=True)
class Pointwise(Nonlinearity):
    """A user's own real function, applied to real and imaginary part, with a declared Lipschitz constant.

    Parameters
    ----------
    function : callable
        Real tensor -> real tensor, entry by entry.
    lipschitz_constant : float
        Declared constant. ``scatter_theory.verify.nonlinearity`` attacks it before any bound rests on it.
    name : str
        Name in tables.

    Raises
    ------
    TypeError
        If `function` is no callable.
    ValueError
        If `lipschitz_constant` is negative or not finite.
    """

    function: Callable[[Tensor], Tensor]
    lipschitz_constant: float
    name: str = "pointwise"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"`Pointwise(function=...)`: got {type(self.function).__name__}, expected a callable.")
        if not (math.isfinite(self.lipschitz_constant) and self.lipschitz_constant >= 0):
            raise ValueError(
                f"`Pointwise(lipschitz_constant=...)`: got {self.lipschitz_constant}, expected a finite number >= 0. "
                "Maps without a global Lipschitz constant (a square, a hard threshold) are outside the theory."
            )

    @property
    def lipschitz(self) -> Constant:
        """The declared constant."""
        return Constant(self.lipschitz_constant, f"declared for {self.name}", "declared")

    @property
    def zero(self) -> float:
        """|rho(0)|, evaluated."""
        value = self.function(torch.zeros(1, dtype=torch.float64))
        return math.sqrt(2.0) * abs(float(value))

    def __repr__(self) -> str:
        """The name of the function in place of its address, so that reports of two runs agree."""
        function = getattr(self.function, "__name__", type(self.function).__name__)
        return f"Pointwise({function}, lipschitz_constant={self.lipschitz_constant!r}, name={self.name!r})"

    def __call__(self, x: Tensor) -> Tensor:
        """The function of both parts."""
        return _split(self.function, x)
