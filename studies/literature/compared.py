"""The frames of part f, and features of each within one budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import scatter_theory as st
from scatter_theory import frames
from studies.literature.images import Features, resampled

#: Frames of J octaves, J = 1 or 2, with which ridgelets are curvelets.
FRAMES: dict[str, Callable[[int], frames.Frame]] = {
    "directional wavelets": lambda J: frames.DirectionalWavelets(J=J, L=8),
    "tensor wavelets": lambda J: frames.TensorWavelets(J=J),
    "curvelets": lambda J: frames.Curvelets(J=J),
    "shearlets": lambda J: frames.Shearlets(J=J),
    "Weyl-Heisenberg": lambda J: frames.WeylHeisenberg(M={1: 3, 2: 4}[J]),
    "Haar": lambda J: frames.Taps("haar", J=J),
    "tight Morlet": lambda J: frames.Morlet(J=J, L=4).tightened(),
}
#: The reference: kymatio's transform with so many angles that it has as many features.
KYMATIO = "kymatio"


@dataclass(frozen=True)
class Budget:
    """Octaves, kept paths, samples per axis of an output, and angles of kymatio's transform with as many features.

    One sample is the mean over the image.
    """

    J: int
    paths: int
    samples: int
    angles: int


@dataclass(frozen=True, eq=False)
class Kept:
    """Features of one frame within the budget.

    Parameters
    ----------
    features : callable
    energy : float or None
        Share of the energy of all outputs that the kept paths hold, on the images that chose them.
    second : int or None
        Kept paths of layer 2.
    """

    features: Features
    energy: float | None = None
    second: int | None = None


def network(frame: frames.Frame, side: int, rule: st.paths.PathRule) -> st.FeatureExtractor:
    """Two layers, in single precision on the fast engine."""
    layers = [st.Layer(frame)] * 2
    return st.FeatureExtractor(layers, st.Grid.square(side), paths=rule, engine="fast")


def strongest(phi: st.FeatureExtractor, images: Tensor, count: int) -> tuple[list[st.Path], float]:
    """The paths whose outputs have the highest mean energy, and their share of the energy of all outputs."""
    with torch.no_grad():
        found = phi(images)
    energy = found.energy("path").mean(0)
    order = torch.argsort(energy, descending=True, stable=True)[:count]
    return [found.paths[i] for i in order.tolist()], float(energy[order].sum() / energy.sum())


def transform(phi: st.FeatureExtractor, paths: list[st.Path], samples: int) -> Features:
    """Samples of the outputs of these paths."""

    def features(images: Tensor) -> Tensor:
        values = []
        for layer in phi(images):
            rows = [i for i, q in enumerate(layer.paths) if q in paths]
            values.append(_condensed(layer.values[:, rows], samples).flatten(1))
        return torch.cat(values, 1)

    return features


def within(name: str, budget: Budget, choosing: Tensor) -> Kept:
    """Features of a frame or of the reference; these images choose the paths."""
    side = choosing.shape[-1]
    if name == KYMATIO:
        scattering = st.Scattering2D(J=budget.J, shape=(side, side), L=budget.angles)
        return Kept(lambda images: _condensed(scattering(images), budget.samples))
    frame = FRAMES[name](budget.J)
    paths, energy = strongest(network(frame, side, st.AllPaths()), choosing, budget.paths)
    phi = network(frame, side, st.FixedPaths([q for q in paths if q]))
    return Kept(transform(phi, paths, budget.samples), energy, sum(len(q) == 2 for q in paths))


def _condensed(values: Tensor, samples: int) -> Tensor:
    if samples == values.shape[-1]:
        return values
    return values.mean((-2, -1), keepdim=True) if samples == 1 else resampled(values, samples)
