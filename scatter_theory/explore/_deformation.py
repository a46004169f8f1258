"""Deformation sensitivity of a small network on a line, measured against the bound of a class of signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from scatter_theory import deform, frames, plot, signals, verify
from scatter_theory.explore._explorer import Explorer
from scatter_theory.explore._settings import Control, Settings, call
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor, Layer
from scatter_theory.paths import FrequencyDecreasing

#: Candidates of the search; no ascent, so that sliders stay quick.
_EFFORT = {"random": 1, "structured": 8, "steps": 0, "restarts": 0}
_SAMPLES = 64
#: Ends of the interval on which the cartoon is 1: just beyond samples, so that a small displacement moves them across.
_ENDS = (15.9, 48.1)
_FIELDS = ("BandLimitedFields", "Sinusoids", "Translations")


@dataclass(frozen=True)
class DeformationSettings(Settings):
    """Settings of `deformation`."""

    name: ClassVar[str] = "deformation"
    signals: Any = None
    radius: Any = None
    field: Any = None
    sup_tau: Any = None
    J: Any = None
    depth: Any = None

    @classmethod
    def control(cls, field: str, before: Mapping[str, Any]) -> Control | None:
        """The control of a field beside the values of those before it."""
        if field == "radius":
            if before["signals"] != "BandLimited":
                return None
            return Control("band limit R", (0.05, 0.1, 0.15, 0.2, 0.25), 0.1, "cycles/sample")
        if field == "sup_tau":
            # A grid sees jumps move by whole samples: below, distance and bound of the cartoon are 0.
            sizes = (4.0, 8.0, 16.0) if before["signals"] == "Cartoon" else (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
            return Control("size sup |τ|", sizes, 4.0 if before["signals"] == "Cartoon" else 1.0, "samples")
        return {
            "signals": Control("signals", ("BandLimited", "Lipschitz", "Cartoon"), "BandLimited"),
            "field": Control("displacements", _FIELDS, _FIELDS[0]),
            "J": Control("scales J", (1, 2, 3, 4), 3, "octaves"),
            "depth": Control("depth", (1, 2), 2, "layers"),
        }[field]

    def display(self) -> plot.BoundDisplay | plot.DeformationDisplay:
        """Largest distances of signals and features, and the bound."""
        layers = [Layer(frames.Wavelets(J=self.J))] * self.depth
        phi = FeatureExtractor(layers, Grid.line(_SAMPLES), paths=FrequencyDecreasing())
        check = verify.deformation(
            phi,
            self._chosen(),
            sup_tau=self._sizes(),
            family=getattr(deform, self.field)(),
            effort=verify.Effort(**_EFFORT),
            generator=0,
        )
        return plot.display_of(check)

    def code(self) -> str:
        """Lines that draw the same."""
        head = "import torch\n\n" if self.signals == "Cartoon" else ""
        return f"""\
{head}import scatter_theory as st

layer = st.Layer(st.frames.Wavelets(J={self.J}))
phi = st.FeatureExtractor([layer] * {self.depth}, st.Grid.line({_SAMPLES}), paths=st.FrequencyDecreasing())
{self._lines()}
family = st.deform.{self.field}()
effort = {call("st.verify.Effort", _EFFORT)}
sizes = {self._sizes()!r}
check = st.verify.deformation(phi, signals, sup_tau=sizes, family=family, effort=effort, generator=0)
display = st.plot.display_of(check)
display.plot()"""

    def _sizes(self) -> list[float]:
        """Three sizes, a factor of 4 apart."""
        return [float(self.sup_tau) / 4**k for k in (2, 1, 0)]

    def _chosen(self) -> signals.SignalClass | signals.Signal:
        """The class, or the signal, that displacements are applied to."""
        if self.signals == "BandLimited":
            return signals.BandLimited(radius=self.radius)
        if self.signals == "Lipschitz":
            return signals.Lipschitz()
        period = (float(_SAMPLES),)
        zero, one = (signals.PiecewiseLinear(torch.full((1, 2), v, dtype=torch.float64), period) for v in (0.0, 1.0))
        return signals.CartoonSignal(zero, one, (signals.Interval(*_ENDS, extent=period),))

    def _lines(self) -> str:
        """Lines that make the same signals."""
        if self.signals == "BandLimited":
            return f"signals = st.signals.BandLimited(radius={self.radius!r})"
        if self.signals == "Lipschitz":
            return "signals = st.signals.Lipschitz()"
        return f"""\
values = (torch.full((1, 2), v, dtype=torch.float64) for v in (0.0, 1.0))
zero, one = (st.signals.PiecewiseLinear(v, ({_SAMPLES}.0,)) for v in values)
signals = st.signals.CartoonSignal(zero, one, (st.signals.Interval{(*_ENDS, (float(_SAMPLES),))!r},))"""


def deformation(
    signals: str = "BandLimited",
    *,
    radius: float | None = None,
    field: str | None = None,
    sup_tau: float | None = None,
    J: int | None = None,
    depth: int | None = None,
) -> Explorer:
    r"""Explore how far a displacement moves signals and features: measured worst case against the bound of the class.

    .. math:: |||\Phi(F_\tau f) - \Phi(f)||| \le \|F_\tau f - f\| \le \text{bound of the class of } f,
              \qquad F_\tau f(x) = f(x - \tau(x)) .

    Layers of tight wavelets and the modulus on a line of 64 samples with spacing 1. The search is a short one, without
    ascent: its points are lower values of the worst case.

    Parameters
    ----------
    signals : {"BandLimited", "Lipschitz", "Cartoon"}
        All with a band limit, all with Lipschitz constant 1 per sample, or one that is 1 on an interval and 0 beyond.
    radius : {0.05, 0.1, 0.15, 0.2, 0.25}, optional
        Band limit R in cycles per sample, for band-limited signals.
    field : {"BandLimitedFields", "Sinusoids", "Translations"}, optional
        Family of `deform` that is searched.
    sup_tau : {0.125, 0.25, 0.5, 1, 2, 4}, optional
        Largest :math:`\sup|\tau|` in samples; for the cartoon 4, 8 or 16. 1/4 and 1/16 of it are measured too.
    J : {1, 2, 3, 4}, optional
        Octaves.
    depth : {1, 2}, optional
        Layers.

    Returns
    -------
    Explorer
        Sliders in a notebook, otherwise a figure.

    Raises
    ------
    ValueError
        If a value cannot be chosen, or the class has no such setting; from the settings.
    """
    return Explorer(DeformationSettings(signals, radius, field, sup_tau, J, depth))
