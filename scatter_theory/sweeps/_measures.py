"""What can be measured by name, and how a configuration becomes a network and a check."""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from scatter_theory import config, verify
from scatter_theory.network import AdmissibilityWarning, FeatureExtractor
from scatter_theory.results import BoundCheck
from scatter_theory.search import Effort
from scatter_theory.signals import BandLimited
from scatter_theory.sweeps._key import canonical

#: Measures that are there by name.
MEASURES: dict[str, Callable[..., BoundCheck]] = {
    "translation": verify.translation,
    "deformation": verify.deformation,
    "lipschitz": verify.lipschitz,
    "energy": verify.energy,
}

_OF_LAYER = ("frame", "nonlinearity", "pooling", "depth")
_OF_NETWORK = ("grid", "final", "sampling", "paths", "complex_input", "max_bytes")
#: Arguments of the verifiers that are no plain values, or that the sweep gives itself.
_NOT_OPTIONS = ("phi", "signals", "generator", "progress", "family", "warp")


def measure_of(name: str) -> Callable[..., Any]:
    """A measure by its name, or by its import path ``"package.module:function"``.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name in MEASURES:
        return MEASURES[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise ValueError(
            f"`measure`: got {name!r}, expected one of {list(MEASURES)} or an import path 'package.module:function'."
        )
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise ValueError(f"`measure`: got {name!r}, but the module {module!r} cannot be imported ({error}).") from error
    if not callable(found):
        raise ValueError(f"`measure`: got {name!r}, but the module {module!r} has no function {function!r}.")
    return found


def network_table(configuration: Mapping[str, Any]) -> dict[str, Any] | None:
    """The network of a configuration as a table of `config.network`; None where it describes none.

    Either ``layer`` lists the layers, or ``frame``, ``nonlinearity`` and ``pooling`` describe one layer that is taken
    ``depth`` times.

    Raises
    ------
    config.ConfigError
        If both are given, or ``depth`` is missing or no whole number >= 1.
    """
    table = {name: configuration[name] for name in _OF_NETWORK if name in configuration}
    short = [name for name in _OF_LAYER if name in configuration]
    if "layer" in configuration:
        if short:
            raise config.ConfigError(f"got both `layer` and `{short[0]}`; expected `layer`, or one layer and `depth`.")
        return {**table, "layer": configuration["layer"]}
    if not short:
        return None
    depth = configuration.get("depth")
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise config.ConfigError(f"`depth`: got {depth!r}, expected a whole number of equal layers >= 1.")
    layer = {name: configuration[name] for name in short if name != "depth"}
    return {**table, "layer": [layer] * depth}


def network_of(configuration: Mapping[str, Any]) -> FeatureExtractor:
    """The network of a configuration; the last few are kept, as neighbouring cells often share it.

    Raises
    ------
    config.ConfigError
        If the configuration describes no network.
    """
    table = network_table(configuration)
    if table is None:
        raise config.ConfigError("there is no network: give `frame`, `depth` and `grid`, or `layer` and `grid`.")
    return built(canonical(table))


@lru_cache(maxsize=8)
def built(text: str) -> FeatureExtractor:
    """The network of the canonical JSON of a table; the last few are kept."""
    with without_warnings():
        return config.network(json.loads(text))


@contextmanager
def without_warnings() -> Iterator[None]:
    """No warning of networks that are not admissible: the verdict in the result says it, once and for the record."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AdmissibilityWarning)
        yield


def check_of(measure: str, configuration: Mapping[str, Any], seed: int) -> BoundCheck:
    """Run one of `MEASURES`.

    Parameters
    ----------
    measure : str
    configuration : mapping
        The network, and ``options``: arguments of the verifier, with ``effort`` as a table, and for deformations
        ``band``, the share of the Nyquist frequency that signals reach (default 0.5). ``draw`` tells repetitions apart.
    seed : int

    Raises
    ------
    config.ConfigError
        For unknown names.
    """
    verifier = MEASURES[measure]
    known = ("layer", "options", "draw", *_OF_LAYER, *_OF_NETWORK)
    unknown = [name for name in configuration if name not in known]
    if unknown:
        raise config.ConfigError(f"unknown `{unknown[0]}`. Valid: {', '.join(known)}.")
    options = dict(configuration.get("options", {}))
    allowed = [p for p in inspect.signature(verifier).parameters if p not in _NOT_OPTIONS]
    allowed += ["band"] if measure == "deformation" else []
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise config.ConfigError(f"`options`: unknown `{unknown[0]}` of {measure!r}. Valid: {', '.join(allowed)}.")
    if "effort" in options:
        options["effort"] = Effort(**options["effort"])
    phi = network_of(configuration)
    if measure == "deformation":
        band = options.pop("band", 0.5)
        options["signals"] = BandLimited(band * min(phi.grid.nyquist), complex_valued=phi.complex_input)
    with without_warnings():
        return verifier(phi, generator=seed, **options)


def worst_point(check: BoundCheck) -> int | None:
    """The point to which the witness belongs: the largest ratio over bounds that are not 0; None without any."""
    positive = check.bound > 0
    if not np.any(positive):
        return None
    ratio = np.divide(check.measured, check.bound, out=np.full(check.bound.shape, -1.0), where=positive)
    return int(np.argmax(np.nan_to_num(ratio, nan=np.inf)))
