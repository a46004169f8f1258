"""What a sweep gives back: its cells, and what the store has of them."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scatter_theory import optional
from scatter_theory.sweeps._forecast import Forecast, forecast
from scatter_theory.sweeps._record import from_json, unpack_witness
from scatter_theory.sweeps._space import Cell
from scatter_theory.sweeps._store import Row, read


@dataclass(frozen=True, eq=False)
class SweepResult:
    """Cells and their store; every method reads what is stored at that moment.

    Parameters
    ----------
    cells : tuple of Cell
        In the order of the space.
    path : Path
        The store; it need not exist yet.
    """

    cells: tuple[Cell, ...]
    path: Path

    @classmethod
    def read(cls, store: str | Path) -> SweepResult:
        """All cells of a store, of whatever sweep, in the order in which they were finished.

        Raises
        ------
        StoreError
            If there is no such store.
        """
        rows = read(store).values()
        return cls(tuple(Cell(row.measure, row.configuration, row.key) for row in rows), Path(store))

    def _rows(self) -> dict[str, Row]:
        return read(self.path, {cell.key for cell in self.cells}) if self.path.is_file() else {}

    def table(self, *, points: bool = False) -> list[dict[str, Any]]:
        """One row per cell: configuration, state, what was measured, seconds.

        Nested names of the configuration are joined by dots, ``options.effort.random``, and a table with ``kind`` is
        one text, ``Wavelets(J=3)``. Of a result the numbers, strings and None are shown; `details` has the rest.

        Parameters
        ----------
        points : bool
            One row per point of a check instead of its worst one: ``series``, ``x``, ``measured``, ``bound`` and
            ``ratio`` for every layer and size. Cells without points have one row.
        """
        rows = self._rows()
        return [line for cell in self.cells for line in _lines(cell, rows.get(cell.key), points)]

    def to_frame(self, *, points: bool = False) -> Any:
        """`table` as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return optional.data_frame("SweepResult", self.table(points=points), "`table()` or `to_csv(path)`")

    def to_csv(self, path: str | Path) -> Path:
        """Write `table` as comma-separated values; None is empty. Returns the path."""
        rows = self.table()
        names = list(dict.fromkeys(name for row in rows for name in row))
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(rows)
        return Path(path)

    def to_parquet(self, path: str | Path) -> Path:
        """Write `table` as a Parquet file, with pandas and pyarrow. Returns the path.

        Raises
        ------
        ImportError
            If pandas or an engine for Parquet is not installed.
        """
        self.to_frame().to_parquet(path, index=False)
        return Path(path)

    def missing(self) -> list[dict[str, Any]]:
        """Configurations without an outcome."""
        rows = self._rows()
        return [cell.configuration for cell in self.cells if cell.key not in rows]

    def failed(self) -> list[dict[str, Any]]:
        """Cells that failed, as mappings with ``configuration`` and ``error``, the traceback."""
        rows = self._rows()
        lost = [cell for cell in self.cells if cell.key in rows and rows[cell.key].state == "failed"]
        return [{"configuration": cell.configuration, "error": rows[cell.key].error} for cell in lost]

    def best(self, by: str = "ratio") -> dict[str, Any]:
        """The row of `table` with the largest value of a column.

        Raises
        ------
        ValueError
            If no cell has a number there.
        """
        rows = [row for row in self.table() if _is_number(row.get(by))]
        if not rows:
            raise ValueError(f"`best(by=...)`: got {by!r}, but no finished cell has a number of that name.")
        return max(rows, key=lambda row: row[by])

    def details(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that is stored of one cell: result, budget, witness, environment, traceback, times.

        Raises
        ------
        KeyError
            If the configuration is none of the cells, or has no outcome yet.
        """
        wanted = {Cell.of(measure, configuration).key for measure in {cell.measure for cell in self.cells}}
        row = next((row for key, row in self._rows().items() if key in wanted), None)
        if row is None:
            raise KeyError(f"`details(configuration=...)`: {dict(configuration)} has no outcome in {self.path}.")
        return {
            "state": row.state,
            "result": from_json(row.result) if row.result else None,
            "budget": from_json(row.budget) if row.budget else None,
            "witness": unpack_witness(row.witness) if row.witness else None,
            "error": row.error,
            "environment": from_json(row.environment),
            "seed": row.seed,
            "seconds": row.seconds,
            "attempts": row.attempts,
            "finished": row.finished,
        }

    def forecast(self) -> Forecast:
        """What measuring the missing cells means: their number, and paths and bytes of their networks."""
        return forecast(self.cells, {key: row.state for key, row in self._rows().items()}, self.path)

    def plot(
        self, x: str, y: str = "ratio", by: str | None = None, *, points: bool = False, ax: Any = None, **style: Any
    ) -> Any:
        """Draw column `y` against column `x`, one curve per value of column `by`; returns the display.

        Every row of the table is a point, and the curve joins the largest values. Rows without a number in `y` are left
        out, and their count is written below the figure.

        Parameters
        ----------
        x, y, by : str
            Columns of `table`.
        points : bool
            Which table, as there.
        ax : matplotlib Axes, optional
        **style
            Passed to the curves.

        Raises
        ------
        ValueError
            If there is no such column, or nothing to draw.
        """
        from scatter_theory.plot._sweep import SweepDisplay

        return SweepDisplay.from_table(self.table(points=points), x=x, y=y, by=by).plot(ax=ax, **style)

    def __repr__(self) -> str:
        rows = self._rows()
        states = Counter(rows[cell.key].state if cell.key in rows else "missing" for cell in self.cells)
        counts = ", ".join(f"{states[state]} {state}" for state in ("done", "failed", "missing"))
        measures = ", ".join(sorted({cell.measure for cell in self.cells}))
        return f"SweepResult({len(self.cells)} cells of {measures} in {self.path.name}: {counts})"


def _lines(cell: Cell, row: Row | None, points: bool) -> list[dict[str, Any]]:
    shown = {**_flat(cell.configuration), "state": row.state if row else "missing"}
    if row is None:
        return [shown]
    result = from_json(row.result) if row.result else {}
    scalars = {k: v for k, v in result.items() if v is None or isinstance(v, (bool, int, float, str))}
    found = result.get("points") if points and "claim" in result else None
    return [
        {**shown, **scalars, **{k: _number(v) for k, v in point.items()}, "seconds": row.seconds}
        for point in (found or [{}])
    ]


def _number(value: Any) -> Any:
    """Checks write numbers that JSON does not have as words."""
    return float(value) if value in ("inf", "-inf", "nan") else value


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested names joined by dots; tables with ``kind`` and lists as text."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and "kind" not in value:
            found |= _flat(value, f"{before}{name}.")
        else:
            found[before + name] = _text(value) if isinstance(value, (dict, list)) else value
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("kind"), str):
        return f"{value['kind']}({', '.join(f'{k}={_text(v)}' for k, v in value.items() if k != 'kind')})"
    return json.dumps(value) if not isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
