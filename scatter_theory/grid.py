r"""Periodic sampling grids: the one place that knows FFT conventions.

The Fourier transform is :math:`\hat f(\xi) = \int f(x) e^{-2\pi i \langle x, \xi\rangle} dx` with :math:`\xi` in cycles
per unit. On the torus of extent ``L`` with ``N`` samples at spacing ``h = L / N`` the DFT frequencies are ``k / L``,
``-N/2 <= k < N/2`` (``fftfreq`` order; for even ``N`` the Nyquist bin carries ``-1/(2h)``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

_DOUBLE = {torch.complex64: torch.complex128, torch.complex128: torch.complex128}


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number; booleans, NaN and infinities are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and int(value) == value


def _per_axis(argument: str, values: Any) -> tuple[Any, ...]:
    """The values, one per axis, as a tuple."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise TypeError(f"`{argument}`: got {values!r}, expected one number per axis, such as (8,) or (8, 8).")
    return tuple(values)


def safe_sqrt(energy: Tensor) -> Tensor:
    """Square root, differentiable with gradient 0 at 0; NaN stays NaN."""
    zero = energy == 0
    root = torch.where(zero, torch.ones_like(energy), energy).sqrt()
    return torch.where(zero, torch.zeros_like(energy), root)


def same_extent(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two lists of periods describe one torus."""
    return len(one) == len(other) and all(math.isclose(a, b, rel_tol=1e-12) for a, b in zip(one, other, strict=True))


def _whole_lengths(shape: Any) -> tuple[int, ...]:
    shape = _per_axis("Grid(shape=...)", shape)
    if not 1 <= len(shape) <= 3:
        raise ValueError(f"`Grid(shape=...)`: got {shape}, expected 1, 2 or 3 axes.")
    if any(not is_whole(n) or n < 1 for n in shape):
        raise ValueError(f"`Grid(shape=...)`: got {shape}, expected positive whole numbers of samples.")
    return tuple(int(n) for n in shape)


def _positive(name: str, value: float) -> float:
    value = float(value)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`Grid({name}=...)`: got {value}, expected a finite positive number.")
    return value


def _spacing(shape: Sequence[int], sample_rate: float | None, length: float | None) -> tuple[float, ...]:
    if sample_rate is not None and length is not None:
        raise ValueError("`Grid`: give `sample_rate=` or `length=`, not both.")
    if length is not None:
        return tuple(_positive("length", length) / n for n in shape)
    return (1.0 / _positive("sample_rate", 1.0 if sample_rate is None else sample_rate),) * len(shape)


@dataclass(frozen=True, slots=True)
class Grid:
    r"""A periodic grid of samples with physical spacing.

    Parameters
    ----------
    shape : tuple of int
        Samples per axis, ``(N1, ..., Nd)``; d = 1, 2, 3, any length, odd or even.
    spacing : tuple of float
        Distance ``h_i`` between samples along each axis, in `unit`.
    unit : str
        Name of the unit of position. Frequencies are in cycles per unit.

    Raises
    ------
    TypeError
        If `shape` or `spacing` is not a sequence.
    ValueError
        For an empty shape, a non-positive length or spacing, or more than three axes.

    Examples
    --------
    >>> Grid.line(8, sample_rate=4.0, unit="s")
    Grid(shape=(8,), spacing=(0.25,), unit='s')
    >>> Grid.line(8, sample_rate=4.0).nyquist
    (2.0,)
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: str = "sample"

    def __post_init__(self) -> None:
        shape, spacing = _whole_lengths(self.shape), _per_axis("Grid(spacing=...)", self.spacing)
        if len(spacing) != len(shape):
            raise ValueError(f"`Grid(spacing=...)`: got {spacing} for shape {shape}; give one spacing per axis.")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "spacing", tuple(_positive("spacing", h) for h in spacing))

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        *,
        sample_rate: float | None = None,
        length: float | None = None,
        unit: str = "sample",
    ) -> Grid:
        """Grid of any shape; `sample_rate` in samples per unit, or `length` of each axis in units."""
        shape = _whole_lengths(shape)
        return cls(shape, _spacing(shape, sample_rate, length), unit)

    @classmethod
    def line(
        cls, n: int, *, sample_rate: float | None = None, length: float | None = None, unit: str = "sample"
    ) -> Grid:
        """One-dimensional grid of `n` samples."""
        return cls.of((n,), sample_rate=sample_rate, length=length, unit=unit)

    @classmethod
    def square(
        cls, n: int, *, sample_rate: float | None = None, length: float | None = None, unit: str = "sample"
    ) -> Grid:
        """Two-dimensional grid of `n` by `n` samples."""
        return cls.of((n, n), sample_rate=sample_rate, length=length, unit=unit)

    @classmethod
    def cube(
        cls, n: int, *, sample_rate: float | None = None, length: float | None = None, unit: str = "sample"
    ) -> Grid:
        """Three-dimensional grid of `n` by `n` by `n` samples."""
        return cls.of((n, n, n), sample_rate=sample_rate, length=length, unit=unit)

    @property
    def ndim(self) -> int:
        """Number d of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of samples."""
        return math.prod(self.shape)

    @property
    def extent(self) -> tuple[float, ...]:
        """Period ``L_i = N_i h_i`` of each axis, in `unit`."""
        return tuple(n * h for n, h in zip(self.shape, self.spacing, strict=True))

    @property
    def cell_volume(self) -> float:
        """Volume ``h_1 ... h_d`` of one cell, the weight of the squared norm."""
        return math.prod(self.spacing)

    @property
    def nyquist(self) -> tuple[float, ...]:
        """Highest frequency ``1/(2 h_i)`` of each axis, in cycles per unit."""
        return tuple(0.5 / h for h in self.spacing)

    @property
    def axes(self) -> tuple[int, ...]:
        """The trailing tensor axes that are space."""
        return tuple(range(-self.ndim, 0))

    def points(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None) -> Tensor:
        """Sample positions, shape ``(d, *shape)``, in `unit`."""
        axes = [torch.arange(n, dtype=dtype, device=device) * h for n, h in zip(self.shape, self.spacing, strict=True)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def frequencies(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None) -> Tensor:
        """DFT frequencies in cycles per unit, shape ``(d, *shape)``, ``fftfreq`` order."""
        axes = [
            torch.fft.fftfreq(n, d=h, dtype=dtype, device=device) for n, h in zip(self.shape, self.spacing, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def check_extent(self, extent: Sequence[float], owner: str, what: str) -> None:
        """Refuse periods of another torus: those of `what`, given to `owner`.

        Raises ValueError that names both periods.
        """
        if not same_extent(extent, self.extent):
            raise ValueError(
                f"`{owner}(grid=...)`: the grid has extent {self.extent}, the {what} lives on a torus of extent "
                f"{tuple(extent)}. Use a grid with N h = {tuple(extent)}."
            )

    def fft(self, f: Tensor) -> Tensor:
        """Unnormalised DFT over the space axes; empty tensors pass through (torch refuses them)."""
        if f.numel() == 0:
            return f.to(torch.promote_types(f.dtype, torch.complex64))
        return torch.fft.fftn(f, dim=self.axes)

    def ifft(self, spectrum: Tensor) -> Tensor:
        """Inverse of `fft`; the result is complex."""
        if spectrum.numel() == 0:
            return spectrum.to(torch.promote_types(spectrum.dtype, torch.complex64))
        return torch.fft.ifftn(spectrum, dim=self.axes)

    def mirror(self, spectrum: Tensor) -> Tensor:
        """Values at ``-k mod N`` along every space axis (no conjugation)."""
        return torch.roll(torch.flip(spectrum, self.axes), (1,) * self.ndim, self.axes)

    def inner(self, f: Tensor, g: Tensor) -> Tensor:
        r"""Inner product :math:`h^d \sum_n f[n] \overline{g[n]}` over the space axes, accumulated in float64."""
        f = f.to(_DOUBLE.get(f.dtype, torch.float64))
        g = g.to(_DOUBLE.get(g.dtype, torch.float64))
        return self.cell_volume * (f * g.conj()).sum(self.axes)

    def norm(self, f: Tensor) -> Tensor:
        r"""Norm :math:`(h^d \sum_n |f[n]|^2)^{1/2}` over the space axes, shape of the leading axes, float64.

        It equals the :math:`L^2` norm of the trigonometric interpolant over one period.
        """
        dtype = torch.complex128 if f.is_complex() else torch.float64
        norm = torch.linalg.vector_norm(f, dim=self.axes, dtype=dtype)
        return math.sqrt(self.cell_volume) * norm

    def energy(self, f: Tensor) -> Tensor:
        """Squared `norm`, shape of the leading axes, float64."""
        return self.norm(f) ** 2

    def translate(self, f: Tensor, shift: Sequence[int]) -> Tensor:
        """Circular translate ``f(x - t)`` by whole samples, ``t_i = shift_i h_i``.

        Raises ValueError unless the shift has one whole number per axis.
        """
        shift = _per_axis("Grid.translate(shift=...)", shift)
        if len(shift) != self.ndim or not all(map(is_whole, shift)):
            raise ValueError(
                f"`Grid.translate(shift=...)`: got {shift}, expected {self.ndim} whole numbers, in samples."
            )
        return torch.roll(f, tuple(int(m) for m in shift), self.axes)

    def phase(self, shift: Sequence[float], *, device: torch.device | str | None = None) -> Tensor:
        r"""Multiplier :math:`e^{-2\pi i \langle t, \xi \rangle}` of the translation by `shift` in `unit`, ``shape``.

        Raises ValueError unless the shift has one number per axis.
        """
        shift = _per_axis("Grid.phase(shift=...)", shift)
        if len(shift) != self.ndim:
            raise ValueError(f"`Grid.phase(shift=...)`: got {shift}, expected one number per axis ({self.ndim}).")
        t = torch.tensor(shift, dtype=torch.float64, device=device)
        angle = torch.tensordot(t, self.frequencies(device=device), dims=1)
        return torch.polar(torch.ones_like(angle), -2 * math.pi * angle)

    def dilate(self, S: float) -> Grid:
        """Grid of ``f(S x)``: the same samples at spacing ``h / S``, any real ``S >= 1``.

        Raises ValueError for any other S.
        """
        if not (math.isfinite(S) and S >= 1):
            raise ValueError(f"`Grid.dilate(S=...)`: got {S}, expected a finite number >= 1.")
        return Grid(self.shape, tuple(h / S for h in self.spacing), self.unit)

    def refined(self, q: int) -> Grid:
        """The same torus with q times as many samples per axis.

        Raises ValueError unless q is a whole number >= 1.
        """
        if not is_whole(q) or q < 1:
            raise ValueError(f"`Grid.refined(q=...)`: got {q}, expected a whole number >= 1.")
        return Grid(tuple(int(q) * n for n in self.shape), tuple(h / q for h in self.spacing), self.unit)

    def resampled(self, shape: Sequence[int]) -> Grid:
        """The same torus with `shape` samples.

        Raises ValueError unless the shape has one length per axis.
        """
        shape = _whole_lengths(shape)
        if len(shape) != self.ndim:
            raise ValueError(f"`Grid.resampled(shape=...)`: got {shape}, expected {self.ndim} lengths.")
        return Grid(shape, tuple(L / n for L, n in zip(self.extent, shape, strict=True)), self.unit)

    def decimate(self, S: int) -> Grid:
        """Grid of every S-th sample of ``f``, read as ``f(S x)``: the spacing is kept, the shape is divided by S.

        Raises ValueError unless S is a whole number >= 1 that divides the shape.
        """
        if not is_whole(S) or S < 1:
            raise ValueError(f"`Grid.decimate(S=...)`: got {S}, expected a whole number >= 1.")
        bad = [n for n in self.shape if n % int(S)]
        if bad:
            raise ValueError(
                f"`Grid.decimate(S={S})`: the shape {self.shape} is not divisible by {S}, so the grid would not stay "
                f"periodic. Use lengths that are multiples of {S}, or sampling='dilate'."
            )
        return Grid(tuple(n // int(S) for n in self.shape), self.spacing, self.unit)
