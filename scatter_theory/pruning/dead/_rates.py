r"""From counters to rates, and how the rates of several sites become one.

Every rate is a ratio of two counters. ``"pooled"`` adds numerators and denominators over the sites; ``"mean_layer"`` is
the mean of the rates of the sites; ``"mean_channel"`` weighs them by their numbers of channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

Reduction = Literal["pooled", "mean_layer", "mean_channel"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

#: Rates with a sentence on each.
RATES: Mapping[str, str] = {
    "total": "entries that are dead, of all pairs of sample and unit",
    "static": "units that depend on no input and are 0 at every sample",
    "static_on": "units that depend on no input and were above 0",
    "dynamic": "entries that are dead, of units that are not static at 0; static + dynamic = total",
    "dynamic_conditional": "the same as a share of the units that are not static at 0",
    "dead_on_data": "units that were dead at every sample",
    "dynamic_dead": "units that were dead at every sample and are not static",
    "always_on": "units that were on at every sample",
    "live": "units that are not static and were on at least once",
    "silent": "pairs of sample and channel that are dead at every position",
    "saturated": "entries at the upper flat side, such as 6 of ReLU6",
    "nan": "entries that are not a number",
}

#: Rates that are means over samples, and so have an interval.
SAMPLED = ("total", "dynamic", "dynamic_conditional", "silent")

_OF_UNITS = {
    "static": "static_zero",
    "static_on": "static_on",
    "dead_on_data": "dead_on_data",
    "dynamic_dead": "dynamic_dead",
    "always_on": "always_on",
    "live": "live",
}


def fraction(name: str, counts: Mapping[str, np.ndarray], sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator of a rate per site; NaN in the numerator where it is not known.

    Raises
    ------
    KeyError
        For an unknown name.
    """
    entries = counts["entries"].astype(np.float64)
    if name in _OF_UNITS:
        return known(counts[_OF_UNITS[name]]), sizes.astype(np.float64)
    if name == "silent":
        return counts["silent"].astype(np.float64), counts["pairs"].astype(np.float64)
    if name in ("total", "saturated", "nan"):
        return counts[{"total": "dead", "saturated": "high", "nan": "nan"}[name]].astype(np.float64), entries
    if name in ("dynamic", "dynamic_conditional"):
        static = known(counts["static_zero"]) * counts["passes"]
        return counts["dead"] - static, entries if name == "dynamic" else entries - static
    raise KeyError(f"`rate(name=...)`: got {name!r}, expected one of {tuple(RATES)}.")


def reduced(part: np.ndarray, whole: np.ndarray, channels: np.ndarray, reduction: str) -> float:
    """One rate of several sites; those without a population are left out, and an unknown one makes it NaN.

    Raises
    ------
    ValueError
        For an unknown reduction.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"`rate(reduction=...)`: got {reduction!r}, expected one of {REDUCTIONS}, or None.")
    there = whole > 0
    if not there.any():
        return math.nan
    part, whole = part[there], whole[there]
    if reduction == "pooled":
        return float(part.sum() / whole.sum())
    weights = channels[there] if reduction == "mean_channel" else None
    return float(np.average(part / whole, weights=weights))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part / whole, NaN where the whole is not positive."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def known(count: np.ndarray) -> np.ndarray:
    """As float64, NaN for -1."""
    return np.where(count < 0, np.nan, count.astype(np.float64))


def binary_entropy(p: np.ndarray) -> np.ndarray:
    """Entropy in bits of a coin with probability p."""
    q = np.clip(p, 1e-300, 1.0)
    r = np.clip(1 - p, 1e-300, 1.0)
    return np.where(np.isnan(p), np.nan, -(p * np.log2(q) + (1 - p) * np.log2(r)))
