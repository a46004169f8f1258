"""Which frames, non-linearities and poolings the report combines, and the signals they see."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import torch

from scatter_theory import data, frames
from scatter_theory.frames import Frame
from scatter_theory.network import Layer
from scatter_theory.nonlinearities import Modulus, Nonlinearity, ReLU, Sigmoid, Tanh
from scatter_theory.paths import AllPaths, FrequencyDecreasing, PathRule
from scatter_theory.poolings import Average, Max, NoPooling, Pooling, Sampling, Subsample
from scatter_theory.signals import BandLimited, Cartoon, Interpolant, Lipschitz, SignalClass

#: Samples that are averaged into one (per axis), and samples per axis of the windows into which the result is cut.
BIN = {1: 2, 2: 8}
WINDOW = {1: 128, 2: 28}

NONLINEARITIES: tuple[Nonlinearity, ...] = (Modulus(), ReLU(), Tanh(), Sigmoid())
POOLINGS: tuple[tuple[Pooling, Sampling], ...] = (
    (NoPooling(), "dilate"),
    (Subsample(2), "dilate"),
    (Average(2), "dilate"),
    (Max(2), "decimate"),
)


@dataclass(frozen=True, eq=False)
class Family:
    """A frame and how it is made admissible.

    Parameters
    ----------
    name : str
        Unique name, the row of the overview.
    d : int
        1: the ECG, 2: the photograph.
    frame : Frame
    treatment : {"as it is", "tightened", "normalised"}
        Tight frames need nothing; others are made tight, or every layer is scaled until it is admissible.
    paths : PathRule
        Which paths the network follows.
    code : str
        Lines of Python that make the frame from `torch` and `st`; empty where its repr is one.
    """

    name: str
    d: int
    frame: Frame
    treatment: Literal["as it is", "tightened", "normalised"] = "as it is"
    paths: PathRule = field(default_factory=FrequencyDecreasing)
    code: str = ""

    def layer(self, nonlinearity: Nonlinearity, pooling: Pooling, sampling: Sampling) -> Layer:
        """An admissible layer; on images after other maps than the modulus with real atoms, which are half as many."""
        frame = self.frame
        if (
            self.d == 2
            and nonlinearity.conjugation != "A"
            and any(f.name == "sided" for f in dataclasses.fields(frame))
        ):
            frame = dataclasses.replace(frame, sided="real")
        frame = frame.tightened() if self.treatment == "tightened" else frame
        layer = Layer(frame, nonlinearity, pooling)
        return layer.normalised(sampling) if self.treatment == "normalised" else layer


def families() -> tuple[Family, ...]:
    """All families of the report, lines first."""
    return (*_on_lines(), *_on_planes())


def _on_lines() -> tuple[Family, ...]:
    return (
        Family("Wavelets, Meyer", 1, frames.Wavelets(J=3)),
        Family("Wavelets, sharp", 1, frames.Wavelets(J=3, step="sharp")),
        Family("Weyl-Heisenberg, Meyer", 1, frames.WeylHeisenberg(M=8)),
        Family("Weyl-Heisenberg, Gaussian", 1, frames.WeylHeisenberg(M=8, window="gauss", tight=False), "normalised"),
        Family("Morlet, 1-D", 1, frames.Morlet(J=3), "normalised"),
        Family("log-Gabor, 1-D", 1, frames.LogGabor(J=3), "tightened"),
        Family("Mexican hat, 1-D", 1, frames.MexicanHat(J=3), "normalised"),
        Family("Daubechies taps", 1, frames.Taps("db3", J=3)),
        Family("biorthogonal taps", 1, frames.Taps("bior2.2", J=3), "normalised"),
        Family("random filters", 1, _random_filters(), "tightened", AllPaths(), _RANDOM_FILTERS),
    )


def _on_planes() -> tuple[Family, ...]:
    return (
        Family("Wavelets, radial", 2, frames.Wavelets(J=2)),
        Family("tensor wavelets", 2, frames.TensorWavelets(J=2)),
        Family("directional wavelets", 2, frames.DirectionalWavelets(J=2, L=4)),
        Family("Weyl-Heisenberg, 2-D", 2, frames.WeylHeisenberg(M=3)),
        Family("curvelets", 2, frames.Curvelets(J=2, L0=4)),
        Family("shearlets", 2, frames.Shearlets(J=2, L0=4)),
        Family("ridgelets", 2, frames.Ridgelets(J=2, L0=4)),
        Family("steerable pyramid", 2, frames.Steerable(J=2, order=3)),
        Family("Riesz wavelets", 2, frames.Riesz(J=2, order=2)),
        Family("Morlet, 2-D", 2, frames.Morlet(J=2, L=4), "normalised"),
        Family("Haar taps, 2-D", 2, frames.Taps("haar", J=2)),
    )


#: `_random_filters` for readers of the page.
_RANDOM_FILTERS = """\
taps = torch.randn((4, 7), generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 7
binomial = torch.tensor([1, 6, 15, 20, 15, 6, 1], dtype=torch.float64) / 64
frame = st.frames.Filters(taps - taps.mean(1, keepdim=True), output=binomial)"""


def _random_filters() -> Frame:
    """Four random filters of seven taps with mean 0, and a binomial output filter with sum 1; not tight."""
    taps = torch.randn((4, 7), generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 7
    taps = taps - taps.mean(1, keepdim=True)
    binomial = torch.tensor([1, 6, 15, 20, 15, 6, 1], dtype=torch.float64) / 64
    return frames.Filters(taps, output=binomial)


def recording(d: int) -> data.Recording:
    """The real signals: four windows of the ECG, or the four corners of the photograph in coarse pixels."""
    whole = data.ecg() if d == 1 else data.camera()
    return whole.binned(BIN[d]).windows((WINDOW[d],) * d)


def deformed(d: int) -> dict[str, SignalClass | Interpolant]:
    """What is deformed, by claim: the real signals, and classes on their grid."""
    grid = recording(d).grid
    values, radius = signals(d), 0.25 * min(1 / h for h in grid.spacing)
    slope = 1 / max(grid.extent)
    return {
        "deformation": Interpolant(values, grid),
        "deformed band-limited": BandLimited(radius),
        "deformed Lipschitz": Lipschitz(slope),
        "deformed cartoons": Cartoon(slope),
    }


def signals(d: int) -> torch.Tensor:
    """The windows as a batch ``(4, *shape)``, each with its mean removed and scaled to root-mean-square 1."""
    values = torch.tensor(recording(d).values)
    axes = tuple(range(1, d + 1))
    values = values - values.mean(axes, keepdim=True)
    return values / values.square().mean(axes, keepdim=True).sqrt()
