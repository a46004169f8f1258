"""What a worker sends back about a cell, and the forms in which it is kept."""

from __future__ import annotations

import io
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from scatter_theory.constants import Provenance

#: Stands for a number that JSON does not have.
_FLOAT = "__float__"


@dataclass(frozen=True)
class Record:
    """Outcome of one cell.

    Parameters
    ----------
    key : str
        The cell.
    result, budget : str or None
        JSON of what was measured and of the error budget; None for a failure, and where there is no budget.
    witness : bytes or None
        The worst case, see `pack_witness`.
    error : str or None
        Traceback of a failure.
    environment : str
        JSON of versions, machine, threads and device.
    seconds : float
        Time on the worker.
    """

    key: str
    result: str | None
    budget: str | None
    witness: bytes | None
    error: str | None
    environment: str
    seconds: float


def to_json(value: Any) -> str:
    """JSON text of numbers, strings, lists, arrays and mappings; NaN and infinite numbers survive.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> from_json(to_json({"ratio": float("inf"), "x": np.arange(2)}))
    {'ratio': inf, 'x': [0, 1]}
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Any:
    """The value of `to_json`; arrays come back as lists."""
    return json.loads(text, object_hook=lambda table: float(table[_FLOAT]) if set(table) == {_FLOAT} else table)


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(value)}
    if isinstance(value, complex):
        raise TypeError(f"got the complex number {value}, expected real numbers; return its parts under two names.")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {k: _plain(v) for k, v in value.items()}
    raise TypeError(
        f"got {value!r} of type {type(value).__name__}, expected numbers, strings, lists and mappings "
        "with strings as names."
    )


@lru_cache(maxsize=1)
def environment() -> str:
    """JSON of versions, machine, threads and device of this process."""
    facts = {
        "versions": dict(Provenance.now("").versions),
        "platform": platform.platform(),
        "host": platform.node(),
        "threads": 1,
        "device": "cpu",
    }
    return to_json(facts)


def pack_witness(witness: Mapping[str, Any]) -> bytes:
    """A worst case as the bytes of a ``.npz`` file: arrays as they are, the rest as JSON under ``facts``."""
    arrays = {k: v for k, v in witness.items() if isinstance(v, np.ndarray)}
    buffer = io.BytesIO()
    facts = to_json({k: v for k, v in witness.items() if k not in arrays})
    np.savez_compressed(buffer, facts=np.array(facts), **{f"array {k}": v for k, v in arrays.items()})
    return buffer.getvalue()


def unpack_witness(data: bytes) -> dict[str, Any]:
    """The worst case of `pack_witness`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays = {name.removeprefix("array "): stored[name] for name in stored.files if name != "facts"}
        return {**from_json(str(stored["facts"])), **arrays}
