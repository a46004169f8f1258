"""Deep frame-based feature extractors, with their bounds measured against the proven ones."""

__version__ = "0.1.0"

import importlib
from types import ModuleType

from scatter_theory import certify, data, deform, frames, measures, signals, theory, verify
from scatter_theory.certify import certify_deformation
from scatter_theory.constants import Constant
from scatter_theory.features import Features
from scatter_theory.grid import Grid
from scatter_theory.network import AdmissibilityWarning, FeatureExtractor, Layer
from scatter_theory.nonlinearities import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Modulus,
    Nonlinearity,
    PhaseReLU,
    Pointwise,
    ReLU,
    Sigmoid,
    SiLU,
    SoftThreshold,
    Tanh,
)
from scatter_theory.paths import AllPaths, EnergyThreshold, FixedPaths, FrequencyDecreasing, MaximumCount, Path
from scatter_theory.poolings import Average, Max, NoPooling, Pool, Pooling, Subsample
from scatter_theory.results import BoundCheck, Outcome, Verdict
from scatter_theory.scattering import Scattering1D, Scattering2D
from scatter_theory.sweeps import extract, reverify, sweep

__all__ = [
    "ELU",
    "GELU",
    "AdmissibilityWarning",
    "AllPaths",
    "Average",
    "BoundCheck",
    "Constant",
    "EnergyThreshold",
    "FeatureExtractor",
    "Features",
    "FixedPaths",
    "FrequencyDecreasing",
    "Grid",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Max",
    "MaximumCount",
    "Modulus",
    "NoPooling",
    "Nonlinearity",
    "Outcome",
    "Path",
    "PhaseReLU",
    "Pointwise",
    "Pool",
    "Pooling",
    "ReLU",
    "Scattering1D",
    "Scattering2D",
    "SiLU",
    "Sigmoid",
    "SoftThreshold",
    "Subsample",
    "Tanh",
    "Verdict",
    "adapters",
    "bnn",
    "certify",
    "certify_deformation",
    "data",
    "deform",
    "explore",
    "extract",
    "frames",
    "measures",
    "plot",
    "pruning",
    "reverify",
    "signals",
    "sweep",
    "theory",
    "verify",
]


def __getattr__(name: str) -> ModuleType:
    """Rooms on first use: matplotlib and other packages are not loaded before."""
    if name in ("adapters", "bnn", "explore", "plot", "pruning"):
        return importlib.import_module(f"scatter_theory.{name}")
    raise AttributeError(f"module 'scatter_theory' has no attribute {name!r}")
