"""Results on disk: files that are never half written, tables, and runs as JSON.

Runs have one line per entry of their history.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there, so that it is never half written."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    write(beside)
    os.replace(beside, path)


def kept(path: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The result in a file, if there is one.

    Raises
    ------
    ValueError
        If it belongs to other settings.
    """
    if not path.exists():
        return None
    result = json.loads(path.read_text())
    require_settings(path, result["settings"], wanted)
    return result


def require_settings(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse a file of other settings."""
    if found != wanted:
        raise ValueError(f"{path}: holds a run with {found}, not {wanted}; choose another folder by `--out`.")


def text(result: dict[str, Any]) -> str:
    """JSON with one line per entry of ``"history"``, the numbers there with five significant digits."""
    history = ",\n".join(json.dumps(_rounded(row)) for row in result["history"])
    head = json.dumps({key: value for key, value in result.items() if key != "history"})
    return f'{head[:-1]},\n"history": [\n{history}\n]}}\n'


def write_csv(table: Sequence[Any], path: Path) -> None:
    """Rows of one dataclass as a table with all its fields, numbers with six significant digits."""
    names = [field.name for field in fields(table[0])]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in table:
            cells = [getattr(row, name) for name in names]
            writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells])


def _rounded(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _rounded(value) for key, value in x.items()}
    if isinstance(x, list):
        return [_rounded(value) for value in x]
    return float(f"{x:.5g}") if isinstance(x, float) else x


def say(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)
