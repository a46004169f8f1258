"""Frames made from frames, lazily: scaled, tightened, complemented, normalised, united."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Atom, Bank, FrameBounds
from scatter_theory.frames._base import Frame, Sided
from scatter_theory.frames._gabor import WeylHeisenberg
from scatter_theory.frames._wavelets import Wavelets
from scatter_theory.grid import Grid


@dataclass(frozen=True)
class _Declared:
    """Stand-in for a non-linearity or a pooling, which live in rooms that frames may not import."""

    lipschitz: Any


def _one(grid: Grid, sampling: str) -> Constant:
    return Constant(1.0, "stand-in", "analytic")


def _raw(d: int) -> WeylHeisenberg:
    return replace(WeylHeisenberg.example(d), window="gauss", width=0.5, tight=False)


def _times(constant: Constant, factor: float, text: str) -> Constant:
    source = f"{constant.source}, scaled by {text}"
    return replace(constant, value=constant.value * factor, error=constant.error * factor, source=source)


def _described(bank: Bank, frame: Frame) -> Bank:
    return replace(bank, description=repr(frame))


@dataclass(frozen=True, repr=False)
class _Of(Frame):
    """A frame made of another one, with its sidedness and its numbers of axes."""

    frame: Frame

    @property
    def sided(self) -> str:
        """Sidedness of the underlying frame."""
        return self.frame.sided

    @property
    def dims(self) -> tuple[int, ...]:
        """Numbers of axes of the underlying frame."""
        return self.frame.dims


@dataclass(frozen=True, repr=False)
class Scaled(_Of):
    """Every atom of `frame`, the output atom too, times `factor`: A and B scale by ``factor^2``.

    Parameters
    ----------
    frame : Frame
        Any frame.
    factor : float
        Finite and > 0.
    """

    factor: float

    @classmethod
    def example(cls, d: int) -> Scaled:
        """Half of a wavelet frame; see `Frame.example`."""
        return cls(Wavelets.example(d), 0.5)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        return _described(self.frame.on(grid, reference=reference, sided=sided, real=real).scaled(self.factor), self)

    def bounds(self, d: int = 1) -> FrameBounds:
        """Bounds of the underlying frame times ``factor^2``."""
        bounds = self.frame.bounds(d)
        A, B = (_times(c, self.factor**2, f"{self.factor:.6g}^2") for c in (bounds.A, bounds.B))
        return FrameBounds(A, B, bounds.argmin, bounds.argmax)

    def decay_constant(self, d: int = 1) -> Constant:
        """K of the underlying frame times `factor`."""
        return _times(self.frame.decay_constant(d), self.factor, f"{self.factor:.6g}")


@dataclass(frozen=True, repr=False)
class Tightened(_Of):
    r"""Canonical tight frame :math:`\hat g / (\sum |\hat g|^2)^{1/2}` of `frame`.

    For half banks the even part of the sum is taken.

    Parameters
    ----------
    frame : Frame
        A frame with A > 0.
    """

    tight = True

    @classmethod
    def example(cls, d: int) -> Tightened:
        """Of a raw Gaussian Weyl-Heisenberg frame; see `Frame.example`."""
        return cls(_raw(d))

    def bounds(self, d: int = 1) -> FrameBounds:
        """1 and 1, at all frequencies where the sum of the underlying frame is positive: elsewhere `on` refuses."""
        one = Constant(1.0, "canonical tightening, wherever the underlying sum is positive", "analytic")
        return FrameBounds(one, one)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`. Raises ValueError where A = 0."""
        return _described(self.frame.on(grid, reference=reference, sided=sided, real=real).tightened(), self)


@dataclass(frozen=True, repr=False)
class Complemented(_Of):
    r"""The atoms of `frame` and one more, :math:`(B - \sum |\hat g|^2)^{1/2}`, so that A = B on each grid.

    Parameters
    ----------
    frame : Frame
        A frame with a finite upper bound.
    """

    @classmethod
    def example(cls, d: int) -> Complemented:
        """Of a raw Gaussian Weyl-Heisenberg frame; see `Frame.example`."""
        return cls(_raw(d))

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        return _described(self.frame.on(grid, reference=reference, sided=sided, real=real).complemented(), self)

    def decay_constant(self, d: int = 1) -> Constant:
        """K of the underlying frame, whose output atom is kept."""
        return self.frame.decay_constant(d)


@dataclass(frozen=True, repr=False)
class Normalised(_Of):
    r"""`frame` scaled on each grid by :math:`(B \max\{1, L^2 R^2\})^{-1/2}`, which makes the layer admissible.

    B is the upper bound of the bank for real maps where the layer's maps are real, for complex maps otherwise; L and R
    are the sharp Lipschitz constants of the non-linearity and of the pooling in the given sampling mode.

    Parameters
    ----------
    frame : Frame
        Any frame with a finite upper bound.
    nonlinearity : Nonlinearity
        Gives L.
    pooling : Pooling
        Gives R.
    sampling : {"dilate", "decimate"}
        Mode in which the constants are taken.
    """

    nonlinearity: Any
    pooling: Any
    sampling: str = "dilate"

    @classmethod
    def example(cls, d: int) -> Normalised:
        """Of a wavelet frame, for maps of Lipschitz constant one; see `Frame.example`."""
        return cls(Wavelets.example(d), _Declared(Constant(1.0, "stand-in", "analytic")), _Declared(_one))

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        bank = self.frame.on(grid, reference=reference, sided=sided, real=real)
        B = bank.littlewood_paley(real=real or bank.kind == "half").max()
        LR = self.nonlinearity.lipschitz.value * self.pooling.lipschitz(grid, self.sampling).value
        return _described(bank.divided((B * max(1.0, LR**2)).sqrt()), self)


@dataclass(frozen=True, repr=False)
class Union(Frame):
    """All atoms of two frames; `first` gives the output atom, the output atom of `second` propagates.

    A = A1 + A2 and B <= B1 + B2.

    Parameters
    ----------
    first, second : Frame
        Two frames for the same dimension.
    """

    first: Frame
    second: Frame

    @property
    def sided(self) -> str:
        """``"auto"`` if either part leaves it open."""
        return "auto" if "auto" in (self.first.sided, self.second.sided) else self.first.sided

    @property
    def dims(self) -> tuple[int, ...]:
        """Numbers of axes that both frames have."""
        return tuple(d for d in self.first.dims if d in self.second.dims)

    @classmethod
    def example(cls, d: int) -> Union:
        """Wavelets and a Weyl-Heisenberg frame; see `Frame.example`."""
        return cls(Wavelets.example(d), WeylHeisenberg.example(d))

    def decay_constant(self, d: int = 1) -> Constant:
        """K of `first`, which gives the output atom."""
        return self.first.decay_constant(d)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`.

        Raises ValueError for a half bank beside a full one.
        """
        one = self.first.on(grid, reference=reference, sided=sided, real=real)
        two = self.second.on(grid, reference=reference, sided=sided, real=real)
        kinds = {one.kind, two.kind}
        if kinds == {"half", "full"}:
            raise ValueError(
                f"`Union`: cannot join a half bank and a full bank ({one.description} is {one.kind}, {two.description} "
                f"is {two.kind}). Give both the same `sided=`."
            )
        kind = "real" if kinds == {"real"} else ("half" if "half" in kinds else "full")
        low = Atom("low-pass", math.inf, (0.0,) * grid.ndim, None, real=True)
        labels = [replace(a, label=f"1:{a.label}") for a in one.atoms]
        labels += [replace(a, label=f"2:{a.label}") for a in (low, *two.atoms)]
        dtype = torch.promote_types(one.spectra.dtype, torch.promote_types(two.spectra.dtype, two.output.dtype))
        spectra = torch.cat([one.spectra.to(dtype), two.output[None].to(dtype), two.spectra.to(dtype)])
        return Bank(grid, tuple(labels), spectra, one.output, kind, repr(self))
