r"""What all learned parametrisations share: weights, what is guaranteed for every value of them, and their checks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from scatter_theory.frames._filters import transform
from scatter_theory.grid import Grid

#: Share of the largest value below which a raw Littlewood-Paley sum counts as zero.
VANISHES = 1e-14


@dataclass(frozen=True)
class Guarantee:
    """What holds for every value of the weights.

    Parameters
    ----------
    A, B : float
        Range in which the frame bounds stay.
    this_grid, every_grid : str
        What is true on the grid of a bank, and on all other grids with the same weights.
    """

    A: float
    B: float
    this_grid: str
    every_grid: str

    def __str__(self) -> str:
        return f"{self.A:.6g} <= A, B <= {self.B:.6g}; on a grid: {self.this_grid}; on every grid: {self.every_grid}"


@dataclass(frozen=True, eq=False)
class Spectra:
    """Atoms on a grid: ``(n_atoms, *shape)``, the output atom ``(*shape)``, names, and the kind of the bank."""

    propagating: Tensor
    output: Tensor
    names: tuple[str, ...]
    kind: Literal["full", "half", "real"]


class Parametrisation(nn.Module, ABC):
    """Weights of a learned frame, and the map from weights to atoms, which computes in float64 whatever their type.

    Parameters
    ----------
    n_filters : int
        Propagating filters.
    support : int
        Taps per axis, or the extent of the atoms at the start where they have no finite support.
    d : int
        Number of axes.
    A, B : float
        Range for the frame bounds; tight parametrisations take B.
    """

    #: Whether A = B for every value of the weights.
    tight: bool = True
    #: ``"auto"`` if one of each conjugate pair suffices for real maps, else ``"real"``.
    sided: str = "real"

    def __init__(self, n_filters: int, support: int, d: int, A: float, B: float) -> None:
        super().__init__()
        self.n_filters, self.support, self.d, self.A, self.B = n_filters, support, d, A, B

    @property
    @abstractmethod
    def guarantee(self) -> Guarantee:
        """What holds for every value of the weights."""

    @abstractmethod
    def forward(self, grid: Grid, sided: str) -> Spectra:
        """Atoms on `grid`, differentiable in the weights, on their device; no waiting for a device but the CPU.

        Raises
        ------
        ValueError
            On the CPU, if a weight is not finite, or if the atoms are undefined for these weights.
        """

    def output_taps(self) -> Tensor | None:
        """Taps of the output atom ``(k1, ..., kd)``, or None where its support is not finite on all grids."""
        return None

    def check_finite(self) -> None:
        """Raise ValueError if a weight is NaN or infinite; on the CPU only."""
        for name, weight in self.named_parameters():
            if weight.device.type == "cpu" and not bool(torch.isfinite(weight.detach()).all()):
                index = tuple(torch.nonzero(~torch.isfinite(weight.detach()))[0].tolist())
                raise ValueError(
                    f"`Learned`: the weight `{name}` is not finite at index {index}, so the atoms are undefined. Take "
                    "a smaller learning rate, or load weights of an earlier step."
                )


def names_of(n_filters: int) -> tuple[str, ...]:
    """Names of the propagating filters."""
    return tuple(f"filter {k}" for k in range(n_filters))


def first_kernels(n_filters: int, support: int, d: int, generator: torch.Generator) -> Tensor:
    """Kernels to start from, ``(1 + n_filters, support, ..., support)``: an average, then noise of mean zero.

    At frequency 0 only the output atom sees anything. The noise is scaled such that the Littlewood-Paley sum is about
    one elsewhere; nothing keeps either property while the kernels learn.
    """
    size = support**d
    noise = torch.randn((n_filters, size), generator=generator, dtype=torch.float64) / (n_filters * size) ** 0.5
    noise = noise - noise.mean(1, keepdim=True)
    return torch.cat([torch.full((1, size), 1.0 / size, dtype=torch.float64), noise]).reshape(-1, *(support,) * d)


def real_spectra(taps: Tensor, grid: Grid) -> Tensor:
    """Spectra of real taps ``(n, k1, ..., kd)``, exactly Hermitian, ``(n, *grid.shape)``, complex128."""
    spectra = transform(taps, grid.shape)
    return 0.5 * (spectra + grid.mirror(spectra).conj())


def power_of(spectra: Tensor) -> Tensor:
    r""":math:`\sum_k |\hat w_k|^2` over the first axis."""
    return (spectra.real.square() + spectra.imag.square()).sum(0)


def largest(weights: Tensor) -> Tensor:
    """Largest magnitude, without gradient; 1 if all weights vanish."""
    size = weights.detach().abs().amax()
    return torch.where(size > 0, size, torch.ones_like(size))


def unit(vectors: Tensor, what: str) -> Tensor:
    r"""Vectors ``(..., m)`` divided by their norms.

    They are divided by their largest entry first, so that no square over- or underflows. The quotient :math:`v / |v|`
    does not change with that number, which may therefore count as a constant: the gradient is the exact one.
    """
    size = vectors.detach().abs().amax(-1, keepdim=True)
    if size.device.type == "cpu" and not bool((size > 0).all()):
        raise ValueError(
            f"`Learned`: {what} is zero, so it has no direction and the atoms are undefined. Start from other weights "
            "(`seed=`), or take a smaller step."
        )
    scaled = vectors / size
    return scaled / torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)


def squashed(weights: Tensor, ends: tuple[float, float]) -> Tensor:
    """Positive numbers between two ends, geometrically in between, for any weights."""
    low, high = ends
    return low * (high / low) ** torch.sigmoid(weights)


def unsquashed(value: float, ends: tuple[float, float]) -> float:
    """Weight that gives `value`, which is kept away from the ends, where nothing moves."""
    low, high = ends
    share = min(max(math.log(value / low) / math.log(high / low), 0.05), 0.95)
    return math.log(share / (1 - share))


def first_width(support: int) -> float:
    r"""Width s in frequency of a Gaussian power whose envelope in space has standard deviation support / 4.

    The amplitude :math:`e^{-\xi^2 / (4 s^2)}` is the spectrum of an envelope of standard deviation
    :math:`1 / (\sqrt 8 \pi s)`.
    """
    return 4 / (math.sqrt(8.0) * math.pi * support)
