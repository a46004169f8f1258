"""What identifies a cell: canonical text of its configuration, a key, and the seed that follows from the key."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

#: Version of the configurations and of the store; it is part of every key, and a store of another one is refused.
SCHEMA = 1


def canonical(value: Any, where: str = "configuration") -> str:
    """JSON text that is the same for equal values: names sorted, no spaces, ASCII only.

    Parameters
    ----------
    value : None, bool, int, float, str, and lists, tuples and mappings of them
        Tuples are lists, as in JSON. ``1`` and ``1.0`` are different values.
    where : str
        What is being read, for the message.

    Raises
    ------
    TypeError
        For anything else, such as arrays, numbers of numpy, dates, or names that are not strings.
    ValueError
        For NaN and infinite numbers.

    Examples
    --------
    >>> canonical({"depth": 2, "band": (0.5, 1)})
    '{"band":[0.5,1],"depth":2}'
    """
    _check(value, where)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _check(value: Any, where: str) -> None:
    if type(value) in (bool, int, str) or value is None:
        return
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{where}: got {value}, expected a finite number; JSON has no other.")
    elif isinstance(value, (list, tuple)):
        for i, entry in enumerate(value):
            _check(entry, f"{where}[{i}]")
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{where}: got the name {name!r}, expected a string, as in JSON.")
            _check(entry, f"{where}.{name}")
    else:
        raise TypeError(
            f"{where}: got {value!r} of type {type(value).__name__}, expected what JSON can say: numbers, strings, "
            "true, false, null, lists and mappings. Name a frame by a table such as {'kind': 'Wavelets', 'J': 3}, and "
            "turn numbers of numpy into numbers of Python with `.item()`."
        )


def key_of(measure: str, configuration: str) -> str:
    """Key of a cell, 32 hexadecimal digits: SHA-256 of schema, measure and canonical configuration.

    Examples
    --------
    >>> key_of("energy", '{"depth":1}') == key_of("energy", canonical({"depth": 1}))
    True
    """
    text = f'{{"schema":{SCHEMA},"measure":{json.dumps(measure)},"configuration":{configuration}}}'
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def seed_of(key: str) -> int:
    """Seed of a cell, below 2^60: it depends on the key alone, not on its place, the worker or the order.

    Examples
    --------
    >>> seed_of("0" * 31 + "1")
    1
    """
    return int(key[-15:], 16)
