"""The cells of the map: every frame, non-linearity, pooling and depth, and which of them are too large."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from scatter_theory import config

Table = dict[str, Any]


def _kind(kind: str, **arguments: Any) -> Table:
    return {"kind": kind, **arguments}


def _tight(frame: Table) -> Table:
    return _kind("Tightened", frame=frame)


#: Frames by dimension and name, as tables of network files. Those that are not tight are made tight, or are learned.
FRAMES: dict[int, dict[str, Table]] = {
    1: {
        "wavelets, Meyer": _kind("Wavelets", J=3),
        "wavelets, sharp": _kind("Wavelets", J=3, step="sharp"),
        "Weyl-Heisenberg": _kind("WeylHeisenberg", M=6),
        "Weyl-Heisenberg, Gauss*": _tight(_kind("WeylHeisenberg", M=6, window="gauss", tight=False)),
        "Morlet*": _tight(_kind("Morlet", J=2)),
        "log-Gabor*": _tight(_kind("LogGabor", J=3)),
        "Mexican hat*": _tight(_kind("MexicanHat", J=2)),
        "Daubechies taps": _kind("Taps", name="db3", J=3),
        "biorthogonal taps*": _tight(_kind("Taps", name="bior2.2", J=3)),
        "learned, random": _kind("Learned", n_filters=3, support=7, d=1),
    },
    2: {
        "wavelets, radial": _kind("Wavelets", J=2),
        "tensor wavelets": _kind("TensorWavelets", J=2),
        "directional": _kind("DirectionalWavelets", J=2, L=4),
        "Weyl-Heisenberg": _kind("WeylHeisenberg", M=3),
        "curvelets": _kind("Curvelets", J=2, L0=4),
        "shearlets": _kind("Shearlets", J=2, L0=4),
        "ridgelets": _kind("Ridgelets", J=2, L0=4),
        "steerable": _kind("Steerable", J=2, order=2),
        "Riesz": _kind("Riesz", J=2, order=1),
        "Morlet*": _tight(_kind("Morlet", J=2, L=3)),
        "Haar taps": _kind("Taps", name="haar", J=2),
        "learned, random": _kind("Learned", n_filters=3, support=5, d=2),
    },
}
NONLINEARITIES = {"modulus": "Modulus", "ReLU": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid"}
POOLINGS: dict[str, Any] = {
    "none": "NoPooling",
    "subsample": _kind("Subsample", factor=2),
    "average": _kind("Average", factor=2),
}
CLAIMS = ("translation", "deformation")


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    samples : mapping of int to int
        Samples per axis, by dimension.
    frames : mapping of int to tuple of str
        Names of `FRAMES`, by dimension.
    nonlinearities, poolings : tuple of str
        Names of `NONLINEARITIES` and `POOLINGS`.
    depth : int
        Networks have 1 to `depth` equal layers.
    paths : mapping of str to mapping of int to int
        Networks with more paths are left out, by claim and dimension.
    shifts : tuple of int
        Translations, in samples along the first axis.
    sup_tau : tuple of float
        Sizes of displacements, in samples.
    effort : mapping of str to int
        Of every search, as in ``search.Effort``.
    repeated : mapping of int to str
        Frame whose networks of two layers are searched again, by dimension.
    harder : mapping of str to int
        Effort of these searches.
    processes : int
        That share the cells.
    """

    samples: Mapping[int, int]
    frames: Mapping[int, tuple[str, ...]]
    nonlinearities: tuple[str, ...]
    poolings: tuple[str, ...]
    depth: int
    paths: Mapping[str, Mapping[int, int]]
    shifts: tuple[int, ...]
    sup_tau: tuple[float, ...]
    effort: Mapping[str, int]
    repeated: Mapping[int, str]
    harder: Mapping[str, int]
    processes: int


FULL = Plan(
    samples={1: 256, 2: 32},
    frames={d: tuple(named) for d, named in FRAMES.items()},
    nonlinearities=tuple(NONLINEARITIES),
    poolings=tuple(POOLINGS),
    depth=4,
    paths={"translation": {1: 450, 2: 125}, "deformation": {1: 125, 2: 50}},
    shifts=(1, 4),
    sup_tau=(0.125, 1.0),
    effort={"random": 1, "structured": 8, "steps": 4, "restarts": 1},
    repeated={1: "wavelets, Meyer", 2: "wavelets, radial"},
    harder={"random": 8, "structured": 48, "steps": 40, "restarts": 1},
    processes=2,
)
QUICK = Plan(
    samples={1: 32, 2: 12},
    frames={1: ("wavelets, Meyer", "learned, random"), 2: ("Haar taps",)},
    nonlinearities=("modulus",),
    poolings=("none", "subsample"),
    depth=2,
    paths={"translation": {1: 50, 2: 30}, "deformation": {1: 50, 2: 30}},
    shifts=(1,),
    sup_tau=(0.5,),
    effort={"random": 1, "structured": 4, "steps": 1, "restarts": 1},
    repeated={1: "wavelets, Meyer", 2: "Haar taps"},
    harder={"random": 1, "structured": 8, "steps": 2, "restarts": 1},
    processes=1,
)


@dataclass(frozen=True)
class Network:
    """One network of the matrix.

    Parameters
    ----------
    d : int
        Dimension.
    frame, nonlinearity, pooling : str
        Names as in `FRAMES`, `NONLINEARITIES` and `POOLINGS`.
    depth : int
    """

    d: int
    frame: str
    nonlinearity: str
    pooling: str
    depth: int

    def table(self, samples: int) -> Table:
        """Its description, as ``st.sweep`` takes it; real atoms but for the modulus, which are half as many."""
        frame = FRAMES[self.d][self.frame]
        return {
            "grid": {"shape": [samples] * self.d},
            "frame": frame if self.nonlinearity == "modulus" else _real(frame),
            "nonlinearity": NONLINEARITIES[self.nonlinearity],
            "pooling": POOLINGS[self.pooling],
            "depth": self.depth,
        }


def _real(frame: Table) -> Table:
    if "frame" in frame:
        return {**frame, "frame": _real(frame["frame"])}
    takes = "sided" in config.kinds("frame")[frame["kind"]].__dataclass_fields__
    return {**frame, "sided": "real"} if takes and frame["kind"] != "Learned" else frame


def networks(plan: Plan, claim: str) -> tuple[list[Network], list[tuple[Network, int]]]:
    """The networks that are measured, and the shallowest ones that are left out, each with its number of paths.

    What is deeper than a network that is left out has more paths, and is left out too.

    Raises
    ------
    config.ConfigError
        If a network cannot be built.
    """
    kept, omitted = [], []
    names = ((d, frame) for d, frames in plan.frames.items() for frame in frames)
    for (d, frame), nonlinearity, pooling in itertools.product(names, plan.nonlinearities, plan.poolings):
        for depth in range(1, plan.depth + 1):
            network = Network(d, frame, nonlinearity, pooling, depth)
            count = _paths(network, plan.samples[d])
            if count > plan.paths[claim][d]:
                omitted.append((network, count))
                break
            kept.append(network)
    return kept, omitted


@cache
def _paths(network: Network, samples: int) -> int:
    table = network.table(samples)
    layer = {name: table[name] for name in ("frame", "nonlinearity", "pooling")}
    return sum(config.network({"grid": table["grid"], "layer": [layer] * network.depth}).plan().paths)


def options(plan: Plan, claim: str, effort: Mapping[str, int]) -> Table:
    """Arguments of the verifier of a claim."""
    own = {"shifts": list(plan.shifts)} if claim == "translation" else {"sup_tau": list(plan.sup_tau)}
    return {**own, "effort": dict(effort)}
