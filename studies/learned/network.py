r"""The one network of the study, and the frames that are put into it.

Two layers of a frame with six propagating filters, modulus and average pooling with factor 2, then a linear head on all
features: 1 + 6 + 36 paths on 28 x 28, 14 x 14 and 7 x 7 samples, 3,724 features. The two taps of the average are
:math:`2^{-1/2}` each, so that R = 1 and layers neither shrink nor grow: a tight network has Lipschitz constant 1.

Before training each feature loses its mean, and the features of each layer are divided by one number, the root mean
square of their standard deviations, over training images and with the filters of that moment. Both stay as they are
from then on. The logits are therefore :math:`w \cdot \Phi(x) + b` with fixed factors in w: these w enter certificates,
and nothing else does.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

import scatter_theory as st
from scatter_theory.frames._learned_base import names_of, power_of, real_spectra

Kind = Literal["fixed", "frozen", "learned", "free"]

#: Grid of the images, propagating filters per layer, taps per axis, layers, and classes.
GRID, FILTERS, SUPPORT, DEPTH, CLASSES = st.Grid.square(28), 6, 5, 2, 10
#: Average with R = 1.
POOLING = st.Average(2, kernel=(math.sqrt(0.5),) * 2)


class Kernels(nn.Module):
    """Taps of the output filter and of the others, ``(1 + n, k, ..., k)``, float64, as the only weights."""

    def __init__(self, kernels: Tensor) -> None:
        super().__init__()
        self.kernels = nn.Parameter(kernels.detach().clone())


@dataclass(frozen=True, repr=False, eq=False)
class Unconstrained(st.frames.Frame):
    """The spectra of real kernels as they are: ``Learned(..., "canonical")`` without the division, and no guarantee.

    Parameters
    ----------
    module : Kernels
    """

    module: Kernels
    sided, tight = "real", False

    @classmethod
    def example(cls, d: int) -> Unconstrained:
        """An average of two samples per axis and one copy of it."""
        return cls(Kernels(torch.full((2,) + (2,) * d, 2.0**-d, dtype=torch.float64)))

    @property
    def dims(self) -> tuple[int, ...]:
        """The number of axes of the kernels."""
        return (self.module.kernels.ndim - 1,)

    def on(
        self, grid: st.Grid, *, reference: st.Grid | None = None, sided: str | None = None, real: bool = False
    ) -> st.frames.Bank:
        """Atoms on `grid` with the present weights, carrying their gradients; `reference` plays no part."""
        spectra = real_spectra(self.module.kernels, grid)
        nowhere = (math.nan,) * grid.ndim
        atoms = tuple(st.frames.Atom(name, math.nan, nowhere, None, True, 1.0) for name in names_of(len(spectra) - 1))
        return st.frames.Bank(grid, atoms, spectra[1:], spectra[0], "real", "Unconstrained")


def learned(form: str, seed: int) -> st.frames.Learned:
    """A learned frame with `FILTERS` propagating atoms, the complement included."""
    count = FILTERS - 1 if form == "complement" else FILTERS
    return st.frames.Learned(count, SUPPORT, 2, form, A=0.5, B=1.0, seed=seed)


def unconstrained(seed: int) -> Unconstrained:
    """The raw kernels of the canonical frame of this seed, with the largest Littlewood-Paley sum scaled to 1."""
    raw = learned("canonical", seed).module.kernels.detach()
    return Unconstrained(Kernels(raw / power_of(real_spectra(raw, GRID)).max().sqrt()))


@dataclass(frozen=True)
class Method:
    """A way to get the frames of the network.

    Parameters
    ----------
    kind : {"fixed", "frozen", "learned", "free"}
        ``"frozen"``: a learned frame whose weights stay at their random start.
    frame : callable
        Of a seed, which fixed frames do not use.
    tight : bool
        Whether A = B = 1 is guaranteed for all weights.
    decay : float
        Weight decay of the frames' weights, decoupled from the gradient.
    """

    kind: Kind
    frame: Callable[[int], st.frames.Frame]
    tight: bool = True
    decay: float = 0.0


def _fixed(frame: st.frames.Frame) -> Method:
    return Method("fixed", lambda seed: frame)


#: Fixed tight frames with six propagating atoms, of which the validation images choose one.
FIXED = {
    "directional 2 x 3": _fixed(st.frames.DirectionalWavelets(J=2, L=6)),
    "directional 3 x 2": _fixed(st.frames.DirectionalWavelets(J=3, L=4)),
    "curvelets": _fixed(st.frames.Curvelets(J=2, L0=4)),
    "shearlets": _fixed(st.frames.Shearlets(J=2, L0=4)),
    "Weyl-Heisenberg": _fixed(st.frames.WeylHeisenberg((3, 4))),
    "steerable": _fixed(st.frames.Steerable(J=2, order=2)),
    "Riesz": _fixed(st.frames.Riesz(J=2, order=2)),
    "isotropic": _fixed(st.frames.Wavelets(J=3, Q=3)),
    "Morlet, tightened": _fixed(st.frames.Morlet(J=2, L=3).tightened()),
}
#: What is compared with it: the frames whose weights are trained with the head, and one control that is not.
COMPARED = {
    "paraunitary, frozen": Method("frozen", lambda seed: learned("paraunitary", seed)),
    "canonical": Method("learned", lambda seed: learned("canonical", seed)),
    "softmax": Method("learned", lambda seed: learned("softmax", seed)),
    "complement": Method("learned", lambda seed: learned("complement", seed)),
    "paraunitary": Method("learned", lambda seed: learned("paraunitary", seed)),
    "morlet": Method("learned", lambda seed: learned("morlet", seed)),
    "range": Method("learned", lambda seed: learned("range", seed), tight=False),
    "free": Method("free", unconstrained, tight=False),
    "free, decay": Method("free", unconstrained, tight=False, decay=1.0),
}
METHODS = FIXED | COMPARED


class Classifier(nn.Module):
    """The extractor and a linear head that begins at 0, in float32; weights of frames stay in float64.

    Parameters
    ----------
    method : Method
        Whose frame each layer gets; the two layers have weights of their own.
    seed : int
        Layer n of seed s begins with seed 2 s + n.
    """

    def __init__(self, method: Method, seed: int) -> None:
        super().__init__()
        layers = [st.Layer(method.frame(DEPTH * seed + n), st.Modulus(), POOLING) for n in range(DEPTH)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", st.AdmissibilityWarning)  # Unconstrained filters may start above 1.
            self.phi = st.FeatureExtractor(layers, GRID, sampling="decimate", dtype=torch.float32)
        self.phi.requires_grad_(method.kind != "frozen")
        self.head = nn.Linear(sum(k * grid.size for k, grid in self._paths()), CLASSES)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

        self.register_buffer("mean", torch.zeros(self.head.in_features))
        self.register_buffer("scale", torch.ones(self.head.in_features))

    @torch.no_grad()
    def normalise(self, x: Tensor) -> None:
        """Fix means and scales of the features by images ``(count, 1, 28, 28)``."""
        found = torch.cat([features(self.phi, part[:, 0]) for part in x.split(500)])
        self.mean.copy_(found.mean(0))
        variances = found.var(0).split([k * grid.size for k, grid in self._paths()])
        self.scale.copy_(torch.cat([v.mean().sqrt().clamp_min(1e-6).expand_as(v) for v in variances]))

    def _paths(self) -> list[tuple[int, st.Grid]]:
        """Number of paths and grid of each layer's features."""
        return [(FILTERS**n, grid) for n, grid in enumerate(self.phi.grids)]

    def weights(self) -> tuple[Tensor, Tensor]:
        """W ``(10, n_features)`` and b ``(10,)`` of the logits as functions of the features as they are, float64."""
        w = self.head.weight.detach().double() / self.scale.double()
        return w, self.head.bias.detach().double() - w @ self.mean.double()

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(count, 10)`` of images ``(count, 1, 28, 28)``."""
        return self.head((features(self.phi, x[:, 0]) - self.mean) / self.scale)


def features(phi: st.FeatureExtractor, x: Tensor) -> Tensor:
    """All features of images ``(count, 28, 28)`` as rows ``(count, n_features)``, as they are."""
    return torch.cat([layer.values.flatten(1) for layer in phi(x).layers], 1)


def in_double(phi: st.FeatureExtractor) -> st.FeatureExtractor:
    """The extractor with the present weights, computing in float64 on the same device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", st.AdmissibilityWarning)
        return phi.rebuilt(dtype=torch.float64)
