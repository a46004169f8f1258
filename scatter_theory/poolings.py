r"""Pooling operators with their Lipschitz constants in both sampling modes.

In mode ``"dilate"`` a layer maps u to :math:`S^{d/2} (P u)(S \cdot)`. The dilation is unitary and is realised by
relabelling the grid, so the constant R is that of P alone: P is the identity or a convolution. In mode ``"decimate"``
every S-th sample is kept, without a factor (counting norm), and R belongs to P and the decimation together.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.grid import Grid, is_whole

Sampling = Literal["dilate", "decimate"]


def check_sampling(owner: str, sampling: str) -> None:
    """Raise ValueError unless `sampling` is a known mode."""
    if sampling not in ("dilate", "decimate"):
        raise ValueError(f"`{owner}(sampling=...)`: got {sampling!r}, expected 'dilate' or 'decimate'.")


def _check_factor(owner: str, factor: Any) -> None:
    number = isinstance(factor, Real) and not isinstance(factor, bool)
    if not (number and math.isfinite(factor) and factor >= 1):
        raise ValueError(f"`{owner}(factor=...)`: got {factor!r}, expected a finite number >= 1.")


class Pooling(ABC):
    """A Lipschitz map followed by sub-sampling with factor S.

    Attributes
    ----------
    factor : float
        Pooling factor S >= 1; whole in mode ``"decimate"``.
    keeps_sign : bool
        Whether non-negative maps stay non-negative.
    isometric : bool
        Whether the norm is preserved in mode ``"dilate"``.
    real_output : bool
        Whether the values are real for every input.
    commutes : bool
        Whether it commutes with translations (by multiples of S samples in mode ``"decimate"``).
    """

    factor: float
    keeps_sign: bool = True
    isometric: bool = False
    real_output: bool = False
    commutes: bool = True

    def __call__(self, x: Tensor, grid: Grid, sampling: Sampling = "dilate") -> tuple[Tensor, Grid]:
        """Pooled maps ``(..., *new_grid.shape)`` and their grid."""
        pooled = self.map(x, grid, sampling)
        if sampling == "dilate":
            return (pooled * self.factor ** (grid.ndim / 2) if self.factor != 1 else pooled), self.grid(grid, sampling)
        return pooled, self.grid(grid, sampling)

    def grid(self, grid: Grid, sampling: Sampling) -> Grid:
        """The grid after pooling."""
        check_sampling(type(self).__name__, sampling)
        return grid.dilate(self.factor) if sampling == "dilate" else grid.decimate(self.factor)

    @abstractmethod
    def map(self, x: Tensor, grid: Grid, sampling: Sampling) -> Tensor:
        """P, and in mode ``"decimate"`` the sub-sampling."""

    @abstractmethod
    def lipschitz(self, grid: Grid, sampling: Sampling) -> Constant:
        """Sharp Lipschitz constant R on `grid`."""

    def lipschitz_published(self, grid: Grid, sampling: Sampling) -> Constant | None:
        """Published constant where it differs; None otherwise."""
        return None


def _keep_every(x: Tensor, grid: Grid, S: float) -> Tensor:
    step = int(S)
    return x[(..., *(slice(None, None, step) for _ in grid.shape))]


def _blocks(x: Tensor, grid: Grid, S: int) -> Tensor:
    """Disjoint blocks of S^d samples: ``(..., *coarse shape, S^d)``."""
    lead = x.shape[: x.ndim - grid.ndim]
    shape = [part for n in grid.shape for part in (n // S, S)]
    split = x.reshape(*lead, *shape)
    k, d = len(lead), grid.ndim
    order = [*range(k), *(k + 2 * i for i in range(d)), *(k + 2 * i + 1 for i in range(d))]
    return split.permute(order).reshape(*lead, *(n // S for n in grid.shape), S**d)


@dataclass(frozen=True)
class NoPooling(Pooling):
    """No pooling: S = 1, R = 1."""

    factor = 1.0
    isometric = True

    def map(self, x: Tensor, grid: Grid, sampling: Sampling) -> Tensor:
        """The input."""
        return x

    def lipschitz(self, grid: Grid, sampling: Sampling) -> Constant:
        """1."""
        return Constant(1.0, "identity", "derived")


@dataclass(frozen=True)
class Subsample(Pooling):
    """Sub-sampling ``u(S x)``: R = 1 in both modes (attained by a spike on a kept sample).

    Parameters
    ----------
    factor : float
        Pooling factor S, finite and >= 1; a whole number in mode ``"decimate"``.

    Raises
    ------
    ValueError
        If `factor` is not finite or below 1.
    """

    factor: float = 2
    isometric = True

    def __post_init__(self) -> None:
        _check_factor("Subsample", self.factor)

    def map(self, x: Tensor, grid: Grid, sampling: Sampling) -> Tensor:
        """The input, or every S-th sample of it."""
        return x if sampling == "dilate" else _keep_every(x, grid, self.factor)

    def lipschitz(self, grid: Grid, sampling: Sampling) -> Constant:
        """1."""
        source = "the dilation is unitary" if sampling == "dilate" else "dropping samples does not increase the norm"
        return Constant(1.0, source, "derived")


@dataclass(frozen=True)
class Average(Pooling):
    r"""Averaging ``u * kernel`` followed by sub-sampling with factor S.

    Mode ``"dilate"``: :math:`R = \max |\hat k|` over the DFT frequencies. Mode ``"decimate"``: with the folded
    spectrum, :math:`R^2 = S^{-d} \max_k \sum_m |\hat k[k + m N/S]|^2`; for the box of S samples per axis it is
    :math:`S^{-d}`.

    Parameters
    ----------
    factor : int
        Pooling factor S, and the width of the box if no kernel is given.
    kernel : tuple of float, optional
        Taps per axis (the same on every axis), in samples; default: S times 1/S.

    Raises
    ------
    ValueError
        If `factor` is no whole number >= 1, or `kernel` is empty or not finite.
    """

    factor: int = 2
    kernel: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check_factor("Average", self.factor)
        if not is_whole(self.factor):
            raise ValueError(f"`Average(factor=...)`: got {self.factor!r}, expected a whole number of samples.")
        if self.kernel is not None:
            kernel = tuple(float(k) for k in self.kernel)
            if not kernel or not all(math.isfinite(k) for k in kernel):
                raise ValueError(
                    f"`Average(kernel=...)`: got {self.kernel}, expected a non-empty tuple of finite taps."
                )
            object.__setattr__(self, "kernel", kernel)

    @property
    def taps(self) -> tuple[float, ...]:
        """Taps per axis."""
        return self.kernel if self.kernel is not None else (1.0 / self.factor,) * int(self.factor)

    @property
    def keeps_sign(self) -> bool:
        """Whether all taps are >= 0."""
        return min(self.taps) >= 0

    @property
    def isometric(self) -> bool:
        """True only for a single tap of modulus 1."""
        return len(self.taps) == 1 and abs(self.taps[0]) == 1

    def _axis_spectrum(self, n: int, device: torch.device | str | None = None) -> Tensor:
        """Conjugate spectrum of the periodised taps, so that ``y[n] = sum_k kernel[k] u[n + k]``."""
        taps = torch.tensor(self.taps, dtype=torch.float64, device=device)
        k = torch.arange(n, dtype=torch.float64, device=device) / n
        angles = torch.outer(k, torch.arange(len(self.taps), dtype=torch.float64, device=device))
        return (torch.polar(torch.ones_like(angles), 2 * math.pi * angles) * taps).sum(1)

    def spectrum(self, grid: Grid, device: torch.device | str | None = None) -> Tensor:
        """Multiplier of the averaging on the grid, complex, ``grid.shape``."""
        result = torch.ones((1,) * grid.ndim, dtype=torch.complex128, device=device)
        for axis, n in enumerate(grid.shape):
            result = result * self._axis_spectrum(n, device).reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
        return result

    def map(self, x: Tensor, grid: Grid, sampling: Sampling) -> Tensor:
        """Averages, and in mode ``"decimate"`` every S-th of them."""
        if sampling == "decimate" and self.kernel is None:
            return _blocks(x, grid, int(self.factor)).mean(-1)
        spectrum = self.spectrum(grid, x.device).to(_complex_of(x))
        averaged = grid.ifft(grid.fft(x) * spectrum)
        averaged = averaged if x.is_complex() else averaged.real
        return averaged if sampling == "dilate" else _keep_every(averaged, grid, self.factor)

    def lipschitz(self, grid: Grid, sampling: Sampling) -> Constant:
        """Exact constant on `grid`."""
        if sampling == "decimate" and self.kernel is None:
            return Constant(self.factor ** (-grid.ndim / 2), "Cauchy-Schwarz on disjoint blocks, attained", "derived")
        per_axis = 1.0
        S = int(self.factor) if sampling == "decimate" else 1
        shape = self.grid(grid, sampling).shape
        for n, coarse in zip(grid.shape, shape, strict=True):
            power = self._axis_spectrum(n).abs() ** 2
            per_axis *= float((power.reshape(S, coarse).sum(0) / S).max())
        source = "maximum of the kernel's spectrum" if S == 1 else "folded spectrum of the kernel, attained"
        return Constant(math.sqrt(per_axis), f"{source} over the DFT frequencies", "grid")

    def lipschitz_published(self, grid: Grid, sampling: Sampling) -> Constant | None:
        r""":math:`\|k\|_1` (dilate), :math:`S^{1/2} \max |k|` per axis (decimate)."""
        if sampling == "dilate":
            return Constant(sum(abs(k) for k in self.taps) ** grid.ndim, "Young's inequality, ||k||_1", "derived")
        value = (math.sqrt(self.factor) * max(abs(k) for k in self.taps)) ** grid.ndim
        return Constant(value, "S^(1/2) max |k| per axis", "derived") if self.kernel is None else None


def _complex_of(x: Tensor) -> torch.dtype:
    return torch.complex64 if x.dtype in (torch.float32, torch.complex64) else torch.complex128


@dataclass(frozen=True)
class Max(Pooling):
    """Maximum of the modulus over windows, then every S-th value; discrete theory (``"decimate"``) only.

    ``R = ceil(W / S)^(d/2)``: every sample lies in at most ``ceil(W/S)^d`` windows; attained by a spike. On L^2(R^d) a
    maximum over a ball has no finite Lipschitz constant (narrow spikes), so mode ``"dilate"`` refuses it.

    Parameters
    ----------
    factor : int
        Stride S.
    window : int, optional
        Window width W >= 1 per axis; default S (disjoint windows).

    Raises
    ------
    ValueError
        If `factor` or `window` is no whole number >= 1; for every map in mode ``"dilate"``.
    """

    factor: int = 2
    window: int | None = None
    real_output = True

    def __post_init__(self) -> None:
        _check_factor("Max", self.factor)
        if not is_whole(self.factor):
            raise ValueError(f"`Max(factor=...)`: got {self.factor!r}, expected a whole number of samples.")
        if self.window is not None and (not is_whole(self.window) or self.window < 1):
            raise ValueError(f"`Max(window=...)`: got {self.window!r}, expected a whole number of samples >= 1.")

    def _check(self, grid: Grid, sampling: str) -> None:
        check_sampling("Max", sampling)
        if sampling == "dilate":
            raise ValueError(
                "`Max`: max-pooling has no finite Lipschitz constant on L^2(R^d) (a spike of width e and height "
                "e^(-1/2) has norm 1, its maximum over a ball does not vanish), so it is refused in mode 'dilate'. Use "
                "sampling='decimate', or `Average`."
            )
        if (self.window or self.factor) > min(grid.shape):
            raise ValueError(
                f"`Max(window={self.window or self.factor})`: longer than an axis of the grid {grid.shape}. "
                f"Use a window of at most {min(grid.shape)} samples, or a longer grid."
            )

    def grid(self, grid: Grid, sampling: Sampling) -> Grid:
        """The decimated grid. Raises ValueError in mode ``"dilate"``."""
        self._check(grid, sampling)
        return grid.decimate(self.factor)

    def map(self, x: Tensor, grid: Grid, sampling: Sampling) -> Tensor:
        """Maxima of the modulus, real."""
        self._check(grid, sampling)
        S, W = int(self.factor), int(self.window or self.factor)
        if S == W:
            return _blocks(x.abs(), grid, S).amax(-1)
        result = x.abs()
        for axis in grid.axes:
            shifted = [torch.roll(result, -k, axis) for k in range(W)]
            result = torch.stack(shifted).amax(0)
        return _keep_every(result, grid, S)

    def lipschitz(self, grid: Grid, sampling: Sampling) -> Constant:
        """``ceil(W / S)^(d/2)``."""
        self._check(grid, sampling)
        overlaps = math.ceil((self.window or self.factor) / self.factor)
        source = "each sample lies in at most ceil(W/S) windows per axis, attained by a spike"
        return Constant(overlaps ** (grid.ndim / 2), source, "derived")


@dataclass(frozen=True)
class Pool(Pooling):
    """A user's own pooling map with a declared Lipschitz constant.

    Parameters
    ----------
    function : callable
        Tensor ``(..., *shape)`` -> tensor of the same shape (mode ``"dilate"``) or ``(..., *shape / S)``
        (``"decimate"``), real for real input.
    lipschitz_constant : float
        Declared constant in the mode of use. ``scatter_theory.verify.pooling`` attacks it.
    factor : float
        Pooling factor S.
    name : str
        Name in tables.

    Raises
    ------
    TypeError
        If `function` is no callable.
    ValueError
        If `factor` is below 1, or `lipschitz_constant` is negative or not finite.
    """

    function: Callable[[Tensor], Tensor]
    lipschitz_constant: float
    factor: float = 1
    name: str = "pool"
    keeps_sign = False

    def __post_init__(self) -> None:
        _check_factor("Pool", self.factor)
        if not callable(self.function):
            raise TypeError(f"`Pool(function=...)`: got {type(self.function).__name__}, expected a callable.")
        if not (math.isfinite(self.lipschitz_constant) and self.lipschitz_constant >= 0):
            raise ValueError(
                f"`Pool(lipschitz_constant=...)`: got {self.lipschitz_constant}, expected a finite number >= 0."
            )

    def __repr__(self) -> str:
        """The name of the function in place of its address, so that reports of two runs agree."""
        function = getattr(self.function, "__name__", type(self.function).__name__)
        rest = f"lipschitz_constant={self.lipschitz_constant!r}, factor={self.factor!r}, name={self.name!r}"
        return f"Pool({function}, {rest})"

    def map(self, x: Tensor, grid: Grid, sampling: Sampling) -> Tensor:
        """The function, its result checked for shape.

        Raises ValueError for a result of another shape.
        """
        result = self.function(x)
        expected = (*x.shape[: x.ndim - grid.ndim], *self.grid(grid, sampling).shape)
        if tuple(result.shape) != expected:
            raise ValueError(f"`Pool(function=...)`: returned shape {tuple(result.shape)}, expected {expected}.")
        return result

    def lipschitz(self, grid: Grid, sampling: Sampling) -> Constant:
        """The declared constant."""
        return Constant(self.lipschitz_constant, f"declared for {self.name}", "declared")
