"""A frame on a line or on a square: its tiling, or its Littlewood-Paley sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scatter_theory import frames, plot
from scatter_theory.explore._explorer import Explorer
from scatter_theory.explore._settings import Control, Settings, call
from scatter_theory.grid import Grid

#: Axes of each family, and the argument for its angles, if it has one.
_FAMILIES: dict[str, tuple[tuple[int, ...], str | None]] = {
    "Wavelets": ((1, 2), None),
    "Morlet": ((1, 2), "L"),
    "MexicanHat": ((1, 2), None),
    "LogGabor": ((1, 2), "L"),
    "WeylHeisenberg": ((1, 2), None),
    "TensorWavelets": ((2,), None),
    "Riesz": ((2,), None),
    "Steerable": ((2,), None),
    "DirectionalWavelets": ((2,), "L"),
    "Curvelets": ((2,), "L0"),
    "Shearlets": ((2,), "L0"),
    "Ridgelets": ((2,), "L0"),
}
_SHOWN = {"tiling": "TilingDisplay", "Littlewood-Paley sum": "LittlewoodPaleyDisplay"}
#: Families with a number of atoms per octave.
_PER_OCTAVE = ("Wavelets", "Morlet", "MexicanHat")


@dataclass(frozen=True)
class FrameSettings(Settings):
    """Settings of `frame`."""

    name: ClassVar[str] = "frame"
    family: Any = None
    axes: Any = None
    samples: Any = None
    J: Any = None
    Q: Any = None
    angles: Any = None
    channels: Any = None
    show: Any = None

    @classmethod
    def control(cls, field: str, before: Mapping[str, Any]) -> Control | None:
        """The control of a field beside the values of those before it."""
        if field == "family":
            return Control("family", tuple(_FAMILIES), "Wavelets")
        if field == "show":
            return Control("show", tuple(_SHOWN), "tiling")
        family = before["family"]
        axes, angles = _FAMILIES[family]
        if field == "axes":
            return Control("dimension d", axes, axes[0], "axes")
        if field == "samples":
            line = before["axes"] == 1
            return Control("grid N", (32, 64, 128, 256, 512) if line else (32, 64, 128), 256 if line else 64, "samples")
        if field == "channels":
            return Control("channels M", tuple(range(2, 9)), 5) if family == "WeylHeisenberg" else None
        if field == "J":
            return None if family == "WeylHeisenberg" else _octaves(before["samples"], before["axes"])
        if field == "Q":
            lone = before["axes"] == 1 or family != "Morlet"
            known = family in _PER_OCTAVE and lone
            return Control("scales Q", (1, 2, 3, 4), 1, "per octave") if known else None
        if angles is None or before["axes"] == 1:
            return None
        return Control(f"angles {angles}", (4, 8, 12, 16), 8)

    def display(self) -> plot.TilingDisplay | plot.LittlewoodPaleyDisplay:
        """Tiling or sum of the bank."""
        bank = getattr(frames, self.family)(**self._arguments()).on(Grid.of((self.samples,) * self.axes))
        kind = plot.TilingDisplay if self.show == "tiling" else plot.LittlewoodPaleyDisplay
        return kind.from_bank(bank)

    def code(self) -> str:
        """Lines that draw the same."""
        return f"""\
import scatter_theory as st

grid = st.Grid.of({(self.samples,) * self.axes})
bank = {call(f"st.frames.{self.family}", self._arguments())}.on(grid)
display = st.plot.{_SHOWN[self.show]}.from_bank(bank)
display.plot()"""

    def _arguments(self) -> dict[str, Any]:
        angles = _FAMILIES[self.family][1] or "L"
        given = {"M": self.channels, "J": self.J, "Q": self.Q, angles: self.angles}
        return {name: value for name, value in given.items() if value is not None}


def _octaves(samples: int, axes: int) -> Control:
    """Control for J: the low-pass keeps more than the mean, and a square has atoms that can still be told apart."""
    largest = min(samples.bit_length() - 2, 5 if axes == 2 else samples)
    return Control("scales J", tuple(range(1, largest + 1)), min(4 if samples > 64 else 3, largest), "octaves")


def frame(
    family: str = "Wavelets",
    *,
    axes: int | None = None,
    samples: int | None = None,
    J: int | None = None,
    Q: int | None = None,
    angles: int | None = None,
    channels: int | None = None,
    show: str = "tiling",
) -> Explorer:
    """Explore how a frame divides the frequencies, with its bounds A and B.

    Parameters
    ----------
    family : str
        Class of `frames`: Wavelets, Morlet, MexicanHat, LogGabor, WeylHeisenberg; on two axes also TensorWavelets,
        Riesz, Steerable, DirectionalWavelets, Curvelets, Shearlets, Ridgelets.
    axes : {1, 2}, optional
        A line or a square; default: the least that the family lives on.
    samples : int, optional
        Samples per axis: 32, 64, 128, and on a line 256 (default there) and 512.
    J : int, optional
        Octaves, from 1 to log2(samples) - 1, on a square at most 5.
    Q : {1, 2, 3, 4}, optional
        Scales per octave, for families that have them.
    angles : {4, 8, 12, 16}, optional
        Angles of families that have them, on a square.
    channels : int, optional
        Channels of WeylHeisenberg, 2 to 8.
    show : {"tiling", "Littlewood-Paley sum"}
        What is drawn.

    Returns
    -------
    Explorer
        Sliders in a notebook, otherwise a figure.

    Raises
    ------
    ValueError
        If a value cannot be chosen, or the family has no such setting; from the settings.
    """
    return Explorer(FrameSettings(family, axes, samples, J, Q, angles, channels, show))
