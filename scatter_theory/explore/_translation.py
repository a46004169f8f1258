"""Vertical translation invariance of a small network on a line, measured against its bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scatter_theory import frames, plot, verify
from scatter_theory.explore._explorer import Explorer
from scatter_theory.explore._settings import Control, Settings, call
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor, Layer
from scatter_theory.nonlinearities import Modulus
from scatter_theory.paths import FrequencyDecreasing
from scatter_theory.poolings import Subsample

#: Candidates of the search: structured ones, which come near the supremum, and no ascent, so that sliders stay quick.
_EFFORT = {"random": 4, "structured": 24, "steps": 0, "restarts": 0}
#: Frames whose layers would not be admissible are made tight; the others are.
_TIGHT = ("Wavelets", "WeylHeisenberg")


@dataclass(frozen=True)
class TranslationSettings(Settings):
    """Settings of `translation`."""

    name: ClassVar[str] = "translation"
    family: Any = None
    samples: Any = None
    J: Any = None
    channels: Any = None
    depth: Any = None
    factor: Any = None
    shift: Any = None

    @classmethod
    def control(cls, field: str, before: Mapping[str, Any]) -> Control | None:
        """The control of a field beside the values of those before it."""
        if field == "family":
            return Control("frame", (*_TIGHT, "Morlet", "MexicanHat", "LogGabor"), "Wavelets")
        if field == "samples":
            return Control("grid N", (64, 128, 256), 128, "samples")
        if field == "J":
            return None if before["family"] == "WeylHeisenberg" else Control("scales J", (1, 2, 3, 4), 2, "octaves")
        if field == "channels":
            return None if before["J"] else Control("channels M", (4, 5, 6, 7, 8), 6)
        if field == "depth":
            return Control("depth", (1, 2, 3), 2, "layers")
        if field == "factor":
            # On the coarsest grid the output atom holds more than the mean; otherwise measured value and bound are 0.
            width = 2 ** before["J"] if before["J"] else before["channels"]
            room = before["samples"] // (4 * width)
            factors = tuple(S for S in (1, 2, 4, 8) if S ** before["depth"] <= room)
            return Control("pooling factor S", factors, min(2, factors[-1]))
        return Control("largest shift t", (1, 2, 4, 8, 16), 4, "samples")

    def display(self) -> plot.BoundDisplay | plot.DeformationDisplay:
        """Measured worst case and bound for each layer."""
        frame = getattr(frames, self.family)(**self._arguments())
        if self.family not in _TIGHT:
            frame = frame.tightened()
        layer = Layer(frame, Modulus(), Subsample(self.factor))
        grid = Grid.line(self.samples)
        phi = FeatureExtractor([layer] * self.depth, grid, paths=FrequencyDecreasing())
        effort = verify.Effort(**_EFFORT)
        return plot.display_of(verify.translation(phi, shifts=self._shifts(), effort=effort, generator=0))

    def code(self) -> str:
        """Lines that draw the same."""
        frame = call(f"st.frames.{self.family}", self._arguments())
        frame += "" if self.family in _TIGHT else ".tightened()"
        return f"""\
import scatter_theory as st

layer = st.Layer({frame}, st.Modulus(), st.Subsample({self.factor}))
phi = st.FeatureExtractor([layer] * {self.depth}, st.Grid.line({self.samples}), paths=st.FrequencyDecreasing())
effort = {call("st.verify.Effort", _EFFORT)}
check = st.verify.translation(phi, shifts={self._shifts()!r}, effort=effort, generator=0)
display = st.plot.display_of(check)
display.plot()"""

    def _shifts(self) -> list[int]:
        """The largest shift, its half and its quarter, as far as they are whole."""
        t = self.shift
        return sorted({max(1, t // 4), max(1, t // 2), t})

    def _arguments(self) -> dict[str, Any]:
        return {"M": self.channels} if self.family == "WeylHeisenberg" else {"J": self.J}


def translation(
    family: str = "Wavelets",
    *,
    samples: int | None = None,
    J: int | None = None,
    channels: int | None = None,
    depth: int | None = None,
    factor: int | None = None,
    shift: int | None = None,
) -> Explorer:
    r"""Explore how features become invariant with depth: measured worst case against the bound of each layer.

    .. math:: |||\Phi^n(T_t f) - \Phi^n(f)||| \le \frac{2\pi |t| K_n}{S_1 \cdots S_n} \|f\| .

    Layers of a tight frame, modulus and subsampling, on a line with spacing 1. The search is a short one, without
    ascent: its points are lower values of the worst case.

    Parameters
    ----------
    family : str
        Class of `frames`: Wavelets, WeylHeisenberg; or Morlet, MexicanHat, LogGabor, which are made tight.
    samples : {64, 128, 256}, optional
        Samples of the line.
    J : {1, 2, 3, 4}, optional
        Octaves.
    channels : int, optional
        Channels of WeylHeisenberg, 4 to 8.
    depth : {1, 2, 3}, optional
        Layers.
    factor : {1, 2, 4, 8}, optional
        Pooling factor S, as far as the coarsest grid holds more than the mean.
    shift : {1, 2, 4, 8, 16}, optional
        Largest shift in samples; its half and its quarter are measured too.

    Returns
    -------
    Explorer
        Sliders in a notebook, otherwise a figure.

    Raises
    ------
    ValueError
        If a value cannot be chosen, or the family has no such setting; from the settings.
    """
    return Explorer(TranslationSettings(family, samples, J, channels, depth, factor, shift))
