"""Arguments of a feature extractor: what is refused, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch

from scatter_theory.frames import Bank, Frame
from scatter_theory.grid import Grid
from scatter_theory.layers import Layer
from scatter_theory.paths import FrequencyDecreasing, PathRule, StructuralRule
from scatter_theory.poolings import check_sampling


def check_arguments(layers: Any, grid: Any, final: Any, paths: Any, sampling: str, dtype: Any, reference: Any) -> None:
    """Refuse what no extractor can be made of.

    Raises
    ------
    TypeError, ValueError
        Which argument, what came, what was expected.
    """
    check_sampling("FeatureExtractor", sampling)
    if not isinstance(layers, Sequence) or not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(
            f"`FeatureExtractor(layers=...)`: got {layers!r}, expected a non-empty list of `Layer` instances."
        )
    for name, value, base in (("grid", grid, Grid), ("paths", paths, PathRule)):
        if not isinstance(value, base):
            raise TypeError(f"`FeatureExtractor({name}=...)`: got {value!r}, expected a {base.__name__} instance.")
    for name, value, base in (("final", final, Frame), ("reference", reference, Grid)):
        if value is not None and not isinstance(value, base):
            raise TypeError(f"`FeatureExtractor({name}=...)`: got {value!r}, expected a {base.__name__} instance.")
    if reference is not None and reference.ndim != grid.ndim:
        raise ValueError(f"`FeatureExtractor(reference=...)`: got {reference}, expected {grid.ndim} axes as in {grid}.")
    if dtype not in (None, torch.float32, torch.float64):
        raise TypeError(f"`FeatureExtractor(dtype=...)`: got {dtype}, expected torch.float32 or torch.float64.")


def check_engine(engine: Any, oversampling: Any, paths: PathRule) -> None:
    """Refuse an unknown engine, an oversampling below 1, and path rules for which no plan can be made.

    Raises
    ------
    ValueError
        Which argument, what came, what was expected.
    """
    if engine not in ("exact", "fast"):
        raise ValueError(f"`FeatureExtractor(engine=...)`: got {engine!r}, expected 'exact' or 'fast'.")
    number = isinstance(oversampling, Real) and not isinstance(oversampling, bool)
    if not (number and math.isfinite(oversampling) and oversampling >= 1):
        raise ValueError(
            f"`FeatureExtractor(oversampling=...)`: got {oversampling!r}, expected a finite number >= 1: samples per "
            "axis and frequency of an atom."
        )
    if engine == "fast" and not isinstance(paths, StructuralRule):
        raise ValueError(
            f"`FeatureExtractor(engine='fast')`: {paths!r} chooses paths by the signals, but the plan is made before. "
            "Choose them once with engine='exact' and freeze them: `FixedPaths(phi(f).paths)`."
        )


def check_rule(rule: PathRule, banks: Sequence[Bank]) -> None:
    """Refuse a rule that compares frequencies of atoms that have none.

    Raises
    ------
    ValueError
        With rules that need no frequencies.
    """
    if isinstance(rule, FrequencyDecreasing) and any(math.isnan(a.scale) for bank in banks for a in bank.atoms):
        raise ValueError(
            f"`FeatureExtractor(paths={rule!r})`: atoms of learned frames have no fixed frequency by which paths could "
            "be compared. Use `AllPaths()`, or choose them: `FixedPaths(...)`."
        )
