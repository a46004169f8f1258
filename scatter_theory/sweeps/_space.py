"""The cells of a sweep: all combinations of lists of alternatives, or configurations one by one."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scatter_theory.sweeps._key import canonical, key_of, seed_of


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Parameters
    ----------
    measure : str
        Name of the measure.
    text : str
        Canonical JSON of the configuration.
    key : str
        What identifies the cell in every store.
    """

    measure: str
    text: str
    key: str

    @classmethod
    def of(cls, measure: str, configuration: Mapping[str, Any], where: str = "configuration") -> Cell:
        """The cell of a configuration; raises as `canonical`."""
        text = canonical(configuration, where)
        return cls(measure, text, key_of(measure, text))

    @property
    def configuration(self) -> dict[str, Any]:
        """A fresh copy of the configuration."""
        return json.loads(self.text)

    @property
    def seed(self) -> int:
        """Seed of everything random in this cell."""
        return seed_of(self.key)


def cells(space: Mapping[str, Any] | Sequence[Mapping[str, Any]], measure: str) -> tuple[Cell, ...]:
    """The cells of a space, in order: the last name of a mapping varies fastest.

    Parameters
    ----------
    space : mapping, or sequence of mappings
        A mapping from names to alternatives stands for all combinations. Lists, tuples and ranges are alternatives;
        anything else is the same in all cells. A value that is itself a list is written as the only alternative:
        ``{"shape": [[64, 64]]}``. A sequence is taken as it stands, one configuration per cell.
    measure : str

    Raises
    ------
    TypeError
        If the space is neither, or something in it has no JSON form.
    ValueError
        If there is no cell, or two are equal.

    Examples
    --------
    >>> [c.configuration for c in cells({"depth": [1, 2], "frame": "Gabor"}, "energy")]
    [{'depth': 1, 'frame': 'Gabor'}, {'depth': 2, 'frame': 'Gabor'}]
    """
    found = tuple(
        Cell.of(measure, configuration, f"`space`, cell {i}") for i, configuration in enumerate(_configurations(space))
    )
    if not found:
        raise ValueError("`space`: there is no cell in it; a list of alternatives is empty, or the whole list is.")
    places: dict[str, int] = {}
    for i, cell in enumerate(found):
        if cell.key in places:
            raise ValueError(
                f"`space`: cells {places[cell.key]} and {i} are equal, {cell.text}. Each would be measured with the "
                'same seed; for repetitions add a name that tells them apart, such as {"draw": range(20)}.'
            )
        places[cell.key] = i
    return found


def _configurations(space: Any) -> list[Mapping[str, Any]]:
    if isinstance(space, Mapping):
        alternatives = [list(v) if isinstance(v, (list, tuple, range)) else [v] for v in space.values()]
        return [dict(zip(space, values, strict=True)) for values in itertools.product(*alternatives)]
    if isinstance(space, Sequence) and not isinstance(space, str) and all(isinstance(c, Mapping) for c in space):
        return list(space)
    raise TypeError(
        f"`space`: got {type(space).__name__}, expected a mapping from names to lists of alternatives, a list of "
        "configurations, or the path of a TOML or JSON file with one of them."
    )


def read_space(path: str | Path) -> tuple[Any, str | None]:
    """Space and measure of a file.

    Parameters
    ----------
    path : str or Path
        ``.toml`` or ``.json`` with ``space`` (a mapping of alternatives) or ``cell`` (a list of configurations), and
        optionally ``measure``.

    Returns
    -------
    tuple
        The mapping of alternatives or the list of configurations, and the name of the measure or None.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind, cannot be parsed, or holds other names.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"`space`: there is no file {str(path)!r}.")
    parse = {".toml": tomllib.loads, ".json": json.loads}.get(file.suffix)
    if parse is None:
        raise ValueError(f"`space`: got the file {file.name!r}, expected one that ends in .toml or .json.")
    try:
        table = parse(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"`space`: {file.name} is not {file.suffix[1:].upper()}: {error}.") from error
    names = set(table) if isinstance(table, dict) else set()
    if len(names & {"space", "cell"}) != 1 or names - {"space", "cell", "measure"}:
        raise ValueError(
            f"`space`: {file.name} holds {sorted(names) or type(table).__name__}, expected `space` with lists of "
            "alternatives or `cell` with a list of configurations, and optionally `measure`."
        )
    return table.get("space", table.get("cell")), table.get("measure")
