"""Frames made from frames, lazily: scaled, tightened, complemented, normalised, united."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from scatter_theory.constants import Constant
from scatter_theory.frames._base import Bank, Frame, FrameBounds, Sided
from scatter_theory.grid import Grid


def _described(bank: Bank, frame: Frame) -> Bank:
    return replace(bank, description=repr(frame))


@dataclass(frozen=True)
class Scaled(Frame):
    """Every atom of `frame`, the output atom too, times `factor`: A and B scale by ``factor^2``."""

    frame: Frame
    factor: float

    @property
    def sided(self) -> str:
        """Sidedness of the underlying frame."""
        return self.frame.sided

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        return _described(self.frame.on(grid, reference=reference, sided=sided, real=real).scaled(self.factor), self)

    def bounds(self, d: int = 1) -> FrameBounds:
        """Bounds of the underlying frame times ``factor^2``."""
        bounds = self.frame.bounds(d)
        A, B = (
            Constant(c.value * self.factor**2, f"{c.source}, scaled by {self.factor:.6g}^2", c.kind, c.unit, c.error * self.factor**2)
            for c in (bounds.A, bounds.B)
        )
        return FrameBounds(A, B, bounds.argmin, bounds.argmax)


@dataclass(frozen=True)
class Tightened(Frame):
    r"""Canonical tight frame :math:`\hat g / (\sum |\hat g|^2)^{1/2}` of `frame` (even part of the sum for half banks)."""

    frame: Frame
    tight = True

    @property
    def sided(self) -> str:
        """Sidedness of the underlying frame."""
        return self.frame.sided

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`. Raises ValueError where A = 0."""
        return _described(self.frame.on(grid, reference=reference, sided=sided, real=real).tightened(), self)


@dataclass(frozen=True)
class Complemented(Frame):
    r"""The atoms of `frame` and one more, :math:`(B - \sum |\hat g|^2)^{1/2}`, so that A = B on each grid."""

    frame: Frame

    @property
    def sided(self) -> str:
        """Sidedness of the underlying frame."""
        return self.frame.sided

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        return _described(self.frame.on(grid, reference=reference, sided=sided, real=real).complemented(), self)


@dataclass(frozen=True)
class Normalised(Frame):
    r"""`frame` scaled on each grid by :math:`(B \max\{1, L^2 R^2\})^{-1/2}`, which makes the layer admissible.

    B is the upper bound of the bank for real maps where the layer's maps are real, for complex maps otherwise; L and R
    are the sharp Lipschitz constants of the non-linearity and of the pooling in the given sampling mode.
    """

    frame: Frame
    nonlinearity: Any
    pooling: Any
    sampling: str = "dilate"

    @property
    def sided(self) -> str:
        """Sidedness of the underlying frame."""
        return self.frame.sided

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        bank = self.frame.on(grid, reference=reference, sided=sided, real=real)
        B = bank.bounds(real=real or bank.kind == "half").B.value
        LR = self.nonlinearity.lipschitz.value * self.pooling.lipschitz(grid, self.sampling).value
        return _described(bank.scaled((B * max(1.0, LR**2)) ** -0.5), self)


@dataclass(frozen=True)
class Union(Frame):
    """All atoms of two frames; `first` gives the output atom, the output atom of `second` propagates.

    A = A1 + A2 and B <= B1 + B2.
    """

    first: Frame
    second: Frame

    @property
    def sided(self) -> str:
        """``"auto"`` if either part leaves it open."""
        return "auto" if "auto" in (self.first.sided, self.second.sided) else self.first.sided

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        one = self.first.on(grid, reference=reference, sided=sided, real=real)
        two = self.second.on(grid, reference=reference, sided=sided, real=real)
        kinds = {one.kind, two.kind}
        if kinds == {"half", "full"}:
            raise ValueError(
                f"`Union`: cannot join a half bank and a full bank ({one.description} is {one.kind}, {two.description} "
                f"is {two.kind}). Give both the same `sided=`."
            )
        kind = "real" if kinds == {"real"} else ("half" if "half" in kinds else "full")
        low = two.atoms[0].__class__("low-pass", float("inf"), (0.0,) * grid.ndim, None, real=True)
        labels = [replace(a, label=f"1:{a.label}") for a in one.atoms]
        labels += [replace(a, label=f"2:{a.label}") for a in (low, *two.atoms)]
        dtype = torch.promote_types(one.spectra.dtype, torch.promote_types(two.spectra.dtype, two.output.dtype))
        spectra = torch.cat([one.spectra.to(dtype), two.output[None].to(dtype), two.spectra.to(dtype)])
        return Bank(grid, tuple(labels), spectra, one.output, kind, repr(self))
