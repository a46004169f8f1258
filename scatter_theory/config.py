"""Networks from TOML: tables that mirror the constructors' names and arguments.

::

    sampling = "dilate"                                  # optional, as in FeatureExtractor
    paths = "FrequencyDecreasing"                        # optional; or {kind = "MaximumCount", count = 50}

    [grid]
    shape = [1024]
    sample_rate = 360.0
    unit = "s"

    [[layer]]
    frame = {kind = "Wavelets", J = 5}
    nonlinearity = "Modulus"                             # a name alone, or {kind = ..., argument = ...}
    pooling = {kind = "Subsample", factor = 2}

A frame made from another one takes it as a table: ``{kind = "Tightened", frame = {kind = "LogGabor", J = 4}}``.
"""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scatter_theory import frames, nonlinearities, paths, poolings
from scatter_theory.frames import Frame
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor, Layer
from scatter_theory.nonlinearities import Nonlinearity
from scatter_theory.paths import PathRule
from scatter_theory.poolings import Pooling

#: What the arguments of a layer and of frames made from frames are.
_NESTED = {
    "frame": "frame", "first": "frame", "second": "frame", "final": "frame",
    "nonlinearity": "nonlinearity", "pooling": "pooling", "paths": "paths",
}  # fmt: skip
_TOP = ("grid", "layer", "final", "sampling", "paths", "complex_input", "max_bytes")
_GRID = ("shape", "sample_rate", "length", "unit")


class ConfigError(ValueError):
    """A file that does not describe a network; the message names the place."""


def concrete(base: type, module: Any) -> dict[str, type]:
    """Classes of a module that can be made, by name."""
    names = getattr(module, "__all__", None) or vars(module)
    found = {name: getattr(module, name) for name in names}
    return {
        name: cls
        for name, cls in sorted(found.items())
        if inspect.isclass(cls) and issubclass(cls, base) and not inspect.isabstract(cls) and not name.startswith("_")
    }


def kinds(argument: str) -> dict[str, type]:
    """Names that may stand for ``"frame"``, ``"nonlinearity"``, ``"pooling"`` or ``"paths"``."""
    base, module = {
        "frame": (Frame, frames),
        "nonlinearity": (Nonlinearity, nonlinearities),
        "pooling": (Pooling, poolings),
        "paths": (PathRule, paths),
    }[argument]
    return {name: cls for name, cls in concrete(base, module).items() if cls is not base}


def load(path: str | Path) -> FeatureExtractor:
    """The network of a TOML file.

    Raises
    ------
    ConfigError
        If there is no such file, it is not TOML, a name is unknown, or a constructor refuses its arguments.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from error
    try:
        return network(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}.") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def network(table: Mapping[str, Any]) -> FeatureExtractor:
    """The network of a table with ``grid`` and ``layer``; see the module text."""
    _known("the file", table, _TOP)
    for needed in ("grid", "layer"):
        if needed not in table:
            raise ConfigError(f"there is no `{'[[layer]]' if needed == 'layer' else '[grid]'}`.")
    grid = _grid(table["grid"])
    if not isinstance(table["layer"], list) or not all(isinstance(entry, Mapping) for entry in table["layer"]):
        raise ConfigError("`layer` must be a list of tables: write `[[layer]]` before each.")
    layers = [_layer(entry, f"[[layer]] number {n}") for n, entry in enumerate(table["layer"], 1)]
    options = {key: value for key, value in table.items() if key not in ("grid", "layer")}
    for key in ("final", "paths"):
        if key in options:
            options[key] = _made(options[key], _NESTED[key], key)
    return _call(FeatureExtractor, {"layers": layers, "grid": grid, **options}, "the network")


def _grid(table: Any) -> Grid:
    if not isinstance(table, Mapping):
        raise ConfigError("`grid` must be a table: write `[grid]` and below it `shape = [1024]`.")
    _known("[grid]", table, _GRID)
    if not isinstance(table.get("shape"), list):
        raise ConfigError("[grid]: `shape` must be a list of samples per axis, such as [1024] or [64, 64].")
    return _call(Grid.of, dict(table), "[grid]")


def _layer(table: Mapping[str, Any], where: str) -> Layer:
    _known(where, table, ("frame", "nonlinearity", "pooling"))
    if "frame" not in table:
        raise ConfigError(f"{where}: there is no `frame`.")
    return _call(Layer, {key: _made(value, _NESTED[key], f"{where}, {key}") for key, value in table.items()}, where)


def _made(value: Any, argument: str, where: str) -> Any:
    """An object from its name, or from a table with ``kind`` and the constructor's arguments."""
    table = {"kind": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or not isinstance(table.get("kind"), str):
        raise ConfigError(
            f'{where}: got {value!r}, expected a name or a table such as {{kind = "{_example(argument)}"}}.'
        )
    known = kinds(argument)
    kind = table["kind"]
    if kind not in known:
        raise ConfigError(f"{where}: there is no {argument} {kind!r}.{_hint(kind, known)} Known: {', '.join(known)}.")
    cls, given = known[kind], {key: entry for key, entry in table.items() if key != "kind"}
    parameters = inspect.signature(cls).parameters
    _known(f"{where}, {kind}", given, tuple(parameters))
    for key, entry in given.items():
        if key in _NESTED and isinstance(entry, (Mapping, str)):
            given[key] = _made(entry, _NESTED[key], f"{where}, {kind}.{key}")
        elif isinstance(entry, list):
            given[key] = _tuple(entry)
    return _call(cls, given, f"{where}, {kind}")


def _tuple(value: Any) -> Any:
    return tuple(_tuple(v) for v in value) if isinstance(value, list) else value


def _example(argument: str) -> str:
    return {"frame": "Wavelets", "nonlinearity": "Modulus", "pooling": "Subsample", "paths": "AllPaths"}[argument]


def _call(make: Any, arguments: Mapping[str, Any], where: str) -> Any:
    """Call a constructor; what it refuses is the file's fault."""
    try:
        return make(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _known(where: str, table: Mapping[str, Any], valid: Iterable[str]) -> None:
    valid = tuple(valid)
    unknown = [key for key in table if key not in valid]
    if unknown:
        listed = ", ".join(valid) if valid else "none"
        raise ConfigError(f"{where}: unknown `{unknown[0]}`.{_hint(unknown[0], valid)} Valid: {listed}.")


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
