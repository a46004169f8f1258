r"""Frames as functions of frequency: infinite families, of which a grid sees finitely many atoms.

A semi-discrete frame is a family of atoms :math:`g_\lambda` with

.. math:: A \|f\|^2 \le \sum_\lambda \|f * g_\lambda\|^2 \le B \|f\|^2 ,

which by Plancherel means :math:`A \le \sum_\lambda |\hat g_\lambda(\xi)|^2 \le B` almost everywhere. One atom, the
output atom :math:`\chi`, generates the features; the others propagate. A `Frame` describes the infinite family on
:math:`\mathbb R^d`; `Frame.on` lists the finitely many atoms that live on a grid, as a `Bank`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank, FrameBounds
from scatter_theory.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

Sided = Literal["auto", "half", "both", "real"]
SIDED: tuple[str, ...] = ("auto", "half", "both", "real")


class Frame(ABC):
    """A semi-discrete, shift-invariant frame of L^2(R^d): an infinite family of atoms, one of them the output atom."""

    #: Whether A = B = 1 on every grid, by construction.
    tight: bool = False
    sided: str = "real"
    #: Numbers of axes for which the family is defined.
    dims: tuple[int, ...] = (1, 2, 3)

    @classmethod
    @abstractmethod
    def example(cls, d: int) -> Frame:
        """Small instance for d axes, at home on any grid of four samples per axis or more.

        Raises
        ------
        ValueError
            If the family does not exist for that d.
        """

    @abstractmethod
    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms that live on `grid`.

        Parameters
        ----------
        grid : Grid
            The layer's grid.
        reference : Grid, optional
            The grid whose sampling rate J and M refer to: the input grid of the extractor. Default: `grid`.
        sided : str, optional
            Decides a frame with ``sided="auto"``: ``"half"``, ``"both"`` or ``"real"``. Default: ``"both"``.
        real : bool
            Whether only real maps will be analysed (used by `normalised`).

        Raises
        ------
        ValueError
            If `grid` has a number of axes outside `dims`, or is too short for the frame's scales.
        """

    def bounds(self, d: int = 1) -> FrameBounds:
        """Frame bounds over all frequencies of R^d: analytic or certified, and it says which.

        Raises
        ------
        NotImplementedError
            If no certified value is known; `Bank.bounds` gives the exact ones of a grid.
        """
        if self.tight:
            one = Constant(1.0, "partition of unity", "analytic")
            return FrameBounds(one, one)
        raise NotImplementedError(
            f"`{type(self).__name__}.bounds()`: no certified bounds over all frequencies are known for this frame. Use "
            "`frame.on(grid).bounds()`, which is exact on a grid."
        )

    def decay_constant(self, d: int = 1) -> Constant:
        r""":math:`K = \sup_\xi |\hat\chi(\xi)| |\xi|` over R^d, in cycles per reference sample (or per unit)."""
        from scatter_theory.frames._decay import supremum

        return supremum(self, d)

    def modules(self) -> tuple[nn.Module, ...]:
        """Modules whose weights the atoms are made from, those of frames within frames too: none for fixed atoms.

        With other weights a frame must have as many atoms on a grid, with the same labels and of the same kind.
        """
        found: dict[int, nn.Module] = {}
        for value in (getattr(self, f.name) for f in (fields(self) if is_dataclass(self) else ())):
            inner = value.modules() if isinstance(value, Frame) else (value,) if isinstance(value, nn.Module) else ()
            found.update((id(module), module) for module in inner)
        return tuple(found.values())

    def scaled(self, factor: float) -> Frame:
        """Every atom times `factor`."""
        from scatter_theory.frames._derived import Scaled

        return Scaled(self, factor)

    def tightened(self) -> Frame:
        """Canonical tight frame: A = B = 1 on every grid where the frame has A > 0."""
        from scatter_theory.frames._derived import Tightened

        return Tightened(self)

    def complemented(self) -> Frame:
        """The same atoms and one more that fills the Littlewood-Paley sum up to B."""
        from scatter_theory.frames._derived import Complemented

        return Complemented(self)

    def normalised(self, nonlinearity: Any, pooling: Any, sampling: str = "dilate") -> Frame:
        """Scaled by ``(B max(1, L^2 R^2))^(-1/2)`` on each grid, so that the layer is admissible."""
        from scatter_theory.frames._derived import Normalised

        return Normalised(self, nonlinearity, pooling, sampling)

    def __repr__(self) -> str:
        """Constructor call with the parameters that differ from their defaults."""
        given = [f for f in fields(self) if f.init and (f.default is MISSING or getattr(self, f.name) != f.default)]
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in given)})"

    def __add__(self, other: Frame) -> Frame:
        from scatter_theory.frames._derived import Union

        if not isinstance(other, Frame):
            return NotImplemented
        return Union(self, other)


def check_dimension(owner: str, d: int, dims: Sequence[int]) -> None:
    """Raise ValueError unless the family `owner` exists for `d` axes."""
    if d not in dims:
        known = " or ".join(str(n) for n in dims)
        raise ValueError(
            f"`{owner}`: got d = {d}, but this family is defined for d = {known}. Use a grid with {known} axes, or "
            "`Wavelets`, `TensorWavelets`, `WeylHeisenberg` or `Riesz`, which exist for every d."
        )


def check_sided(owner: str, sided: str, allowed: Sequence[str] = SIDED) -> None:
    """Raise ValueError unless `sided` is allowed."""
    if sided not in allowed:
        raise ValueError(f"`{owner}(sided=...)`: got {sided!r}, expected one of {tuple(allowed)}.")


def resolve_sided(own: str, requested: str | None) -> str:
    """The frame's own choice, or the requested one where the frame leaves it open."""
    if own != "auto":
        return own
    return "both" if requested in (None, "auto") else requested
