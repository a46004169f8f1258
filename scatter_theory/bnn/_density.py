"""Distributions of latent values: normal, uniform, or given by a function."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: Distance of an integral over a density from 1 that counts as quadrature error.
_UNIT_MASS = 1e-6

#: Cells of the table from which values of a given density are drawn.
_CELLS = 1 << 15


@dataclass(frozen=True)
class Density(ABC):
    """Distribution of a latent value z; all that estimators see of it is that of u = |z|.

    Attributes
    ----------
    name : str
        For tables and titles.
    upper : float
        Values beyond it have no weight in float64.
    kinks : tuple of float
        u in (0, upper) at which the density of u is not smooth.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The distribution in words."""

    @property
    @abstractmethod
    def upper(self) -> float:
        """Where integrals over u end."""

    @property
    def kinks(self) -> tuple[float, ...]:
        """None."""
        return ()

    @abstractmethod
    def of_modulus(self, u: np.ndarray) -> np.ndarray:
        """Density of u = |z| at u > 0, same shape."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Independent values z, shape ``(n,)``, float64."""


@dataclass(frozen=True)
class Normal(Density):
    """Normal distribution with mean 0.

    Parameters
    ----------
    scale : float
        Standard deviation, in (0, inf).
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _positive("scale", self.scale)

    @property
    def name(self) -> str:
        """N(0, scale^2)."""
        return "N(0, 1)" if self.scale == 1 else f"N(0, {self.scale:g}^2)"

    @property
    def upper(self) -> float:
        """Twelve standard deviations: the rest has the probability 4e-33."""
        return 12 * self.scale

    def of_modulus(self, u: np.ndarray) -> np.ndarray:
        """The half-normal density."""
        return math.sqrt(2 / math.pi) / self.scale * np.exp(-0.5 * (u / self.scale) ** 2)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Normal numbers."""
        return self.scale * torch.randn(n, dtype=torch.float64, generator=generator)


@dataclass(frozen=True)
class Uniform(Density):
    """Uniform distribution on [-scale, scale].

    Parameters
    ----------
    scale : float
        Half-width, in (0, inf).
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _positive("scale", self.scale)

    @property
    def name(self) -> str:
        """U(-scale, scale)."""
        return f"U(-{self.scale:g}, {self.scale:g})"

    @property
    def upper(self) -> float:
        """The half-width."""
        return self.scale

    def of_modulus(self, u: np.ndarray) -> np.ndarray:
        """1/scale."""
        return np.full_like(u, 1 / self.scale)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform numbers."""
        return self.scale * (2 * torch.rand(n, dtype=torch.float64, generator=generator) - 1)


@dataclass(frozen=True)
class CustomDensity(Density):
    """Distribution on [-support, support] with a density of your own, which need not be even.

    Parameters
    ----------
    function : callable
        Density p of z: float64 arrays to arrays of the same shape, non-negative, with integral 1.
    support : float
        In (0, inf).
    label : str
        Name in tables and titles.
    breaks : tuple of float
        Values z at which p is not smooth, 0 excepted; quadrature is cut there.

    Raises
    ------
    ValueError
        If p is negative or not finite somewhere, or its integral differs from 1 by more than 1e-6.
    """

    function: Callable[[np.ndarray], np.ndarray]
    support: float
    label: str = "custom density"
    breaks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _positive("support", self.support, "CustomDensity")
        _, mass = self._cells()
        if not (np.isfinite(mass).all() and (mass >= 0).all()):
            raise ValueError("`CustomDensity(function=...)`: the density is negative or not finite on its support.")
        if abs(mass.sum() - 1) > _UNIT_MASS:
            raise ValueError(
                f"`CustomDensity(function=...)`: the integral over [-{self.support:g}, {self.support:g}] is "
                f"{mass.sum():.8g}, expected 1; divide the function by it, or widen `support`."
            )

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def upper(self) -> float:
        """The end of the support."""
        return self.support

    @property
    def kinks(self) -> tuple[float, ...]:
        """Moduli of the breaks."""
        return tuple(sorted({abs(b) for b in self.breaks if 0 < abs(b) < self.support}))

    def of_modulus(self, u: np.ndarray) -> np.ndarray:
        """p(u) + p(-u)."""
        return np.asarray(self.function(u), dtype=float) + np.asarray(self.function(-u), dtype=float)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """By inversion of the distribution function, tabulated in about 32000 cells and linear between them."""
        ends, mass = self._cells()
        below = np.concatenate([[0.0], mass.cumsum()])
        chance = torch.rand(n, dtype=torch.float64, generator=generator).numpy() * below[-1]
        return torch.from_numpy(np.interp(chance, below, ends))

    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of cells of the support, and their probabilities."""
        cuts = [b for b in self.breaks if abs(b) < self.support]
        ends = np.unique(np.concatenate([np.linspace(-self.support, self.support, _CELLS + 1), cuts]))
        nodes, weights = np.polynomial.legendre.leggauss(4)
        width = np.diff(ends)[:, None]
        p = np.asarray(self.function(ends[:-1, None] + 0.5 * (nodes + 1) * width), dtype=float)
        return ends, (0.5 * width * p) @ weights


def density_of(density: str | Density, scale: float, call: str) -> Density:
    """The distribution that arguments name.

    Raises
    ------
    TypeError, ValueError
        If `density` is neither a known name nor a `Density`, or a scale is given with the latter.
    """
    if isinstance(density, Density):
        if scale != 1.0:
            raise ValueError(f"`{call}(scale={scale!r})`: the given density has its own scale; leave `scale` out.")
        return density
    if density not in ("normal", "uniform"):
        raise ValueError(
            f"`{call}(density=...)`: got {density!r}, expected 'normal', 'uniform' or a `Density` such as "
            "`CustomDensity(function, support)`."
        )
    _positive("scale", scale, call)
    return Normal(scale) if density == "normal" else Uniform(scale)


def _positive(name: str, value: object, call: str = "Density") -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{call}({name}=...)`: got {value!r}, expected a Python number; convert with `float(...)`.")
    if not 0 < value < math.inf:
        raise ValueError(f"`{call}({name}=...)`: got {value!r}, expected a finite number > 0.")
