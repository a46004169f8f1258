"""The networks of part a: undecimated separable wavelets, two layers, paths whose scale does not fall."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import scatter_theory as st
from studies.fashion_mnist.network import Configuration, Network
from studies.literature.images import Features, resampled

WAVELETS = {"Haar": "haar", "biorthogonal": "bior4.4"}
NONLINEARITIES = {"modulus": st.Modulus(), "ReLU": st.ReLU(), "tanh": st.Tanh(), "sigmoid - 1/2": st.Sigmoid()}
POOLINGS = {"none": st.NoPooling(), "sub-sampling": st.Subsample(2), "max": st.Max(2), "mean": st.Average(2)}
FASHION_STUDY = Path(__file__).parents[1] / "fashion_mnist"


def grid_names() -> list[str]:
    """All combinations."""
    return [f"{w}, {m}, {p}" for w in WAVELETS for m in NONLINEARITIES for p in POOLINGS]


def network(name: str, side: int) -> st.FeatureExtractor:
    """One combination on images of this side, in single precision on the fast engine."""
    wavelet, nonlinearity, pooling = name.split(", ")
    levels = 3 if side >= 28 else 1
    frame = st.frames.Taps(WAVELETS[wavelet], J=levels)
    frame = frame.scaled(frame.on(st.Grid.square(side)).bounds().B.value ** -0.5)
    rho = NONLINEARITIES[nonlinearity]
    paths = st.FixedPaths([(i, j) for i in range(3 * levels) for j in range(3 * levels) if j // 3 >= i // 3])
    layers = [st.Layer(frame, rho), st.Layer(frame, rho, POOLINGS[pooling])]
    return st.FeatureExtractor(layers, st.Grid.square(side), paths=paths, sampling="decimate", engine="fast")


def sampled(phi: st.FeatureExtractor, images: Tensor) -> Tensor:
    """Outputs on 7 x 7 samples, every fourth pixel; on 4 x 4 for images of less than 28 pixels."""
    samples = 7 if images.shape[-1] >= 28 else 4
    return torch.cat([resampled(layer.values, samples).flatten(1) for layer in phi(images)], 1)


def transform(name: str, side: int) -> Features:
    """The features of this name; those of the study of Fashion-MNIST are for 28 x 28 pixels."""
    if name == "pixels":
        return lambda images: images
    if name == "kymatio":
        return st.Scattering2D(J=2 if side >= 28 else 1, shape=(side, side), L=8)
    if name == "T1 best":
        return frozen(name)
    return partial(sampled, network(name, side))


def frozen(goal: str) -> Features:
    """The network of the study of Fashion-MNIST that was chosen for a goal, on its validation images only."""
    chosen = json.loads((FASHION_STUDY / "frozen.json").read_text())["finalists"]
    settings = next(entry["configuration"] for entry in chosen if goal in entry["chosen"])
    return Network(Configuration.of(settings)).features
