"""Results on disk: one SQLite file, one writer, one transaction per result."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from scatter_theory.sweeps._key import SCHEMA
from scatter_theory.sweeps._record import Record
from scatter_theory.sweeps._space import Cell

#: Marks the files of this package among all SQLite files.
APPLICATION = 0x53636174

#: Columns that are equal however often a sweep was interrupted, on whatever executor. The others are traceback,
#: environment, seconds, attempts and date.
REPEATABLE = ("key", "measure", "configuration", "seed", "state", "result", "budget", "witness")

#: Seconds to wait for another process that writes.
_PATIENCE = 30.0

_TABLE = """
CREATE TABLE results (
    key TEXT PRIMARY KEY, measure TEXT NOT NULL, configuration TEXT NOT NULL, seed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed')), result TEXT, budget TEXT, witness BLOB, error TEXT,
    environment TEXT NOT NULL, seconds REAL NOT NULL, attempts INTEGER NOT NULL, finished TEXT NOT NULL
)"""

# A result that is there stays; only failures are replaced.
_INSERT = """
INSERT INTO results VALUES (:key, :measure, :configuration, :seed, :state, :result, :budget, :witness, :error,
    :environment, :seconds, :attempts, :finished)
ON CONFLICT (key) DO UPDATE SET state = excluded.state, result = excluded.result, budget = excluded.budget,
    witness = excluded.witness, error = excluded.error, environment = excluded.environment,
    seconds = excluded.seconds, attempts = results.attempts + excluded.attempts, finished = excluded.finished
WHERE results.state = 'failed'"""


class StoreError(RuntimeError):
    """A store that cannot be opened, read or written; what is in it stays."""


@dataclass(frozen=True)
class Row:
    """One stored cell; the fields are those of `Record` and of the table.

    Parameters
    ----------
    attempts : int
        How often it was tried.
    finished : str
        When the result was written, UTC.
    """

    key: str
    measure: str
    configuration: str
    seed: int
    state: str
    result: str | None
    budget: str | None
    witness: bytes | None
    error: str | None
    environment: str
    seconds: float
    attempts: int
    finished: str


class Store:
    """A file with results, open for writing: a context manager.

    Every result is one transaction, on disk when `add` returns, in SQLite's write-ahead mode: a process that is killed
    loses nothing that was added. That mode does not work on network file systems.

    Parameters
    ----------
    path : str or Path
        Made if it does not exist.

    Raises
    ------
    StoreError
        If the file cannot be written, is no store, or has another schema.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise StoreError(f"`store`: there is no folder {str(self.path.parent)!r}; make it first.")
        with self._told():
            self._connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        try:
            with self._told():
                _require_store(self._connection, self.path, new=True)
                mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                if mode != "wal":
                    raise StoreError(
                        f"`store`: {self.path} is where SQLite cannot keep a write-ahead log (it answers {mode!r}), "
                        "such as a network file system. Use a local folder."
                    )
                self._connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        # Back to a single file, which can be read anywhere; someone who reads at this moment keeps the log open.
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()

    def states(self) -> dict[str, str]:
        """``"done"`` or ``"failed"`` by key."""
        with self._told():
            return dict(self._connection.execute("SELECT key, state FROM results"))

    def add(self, cell: Cell, record: Record, attempts: int = 1) -> None:
        """Write one result; it is on disk when this returns."""
        row = {
            **asdict(record), "measure": cell.measure, "configuration": cell.text, "seed": cell.seed,
            "state": "done" if record.error is None else "failed", "attempts": attempts,
            "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }  # fmt: skip
        with self._told():
            self._connection.execute(_INSERT, row)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors, with what they mean here."""
        try:
            yield
        except sqlite3.Error as error:
            raise _explained(self.path, error) from error


def read(path: str | Path, keys: Iterable[str] | None = None) -> dict[str, Row]:
    """Rows of a store by key, in the order in which they were finished; nothing is written.

    Parameters
    ----------
    path : str or Path
    keys : iterable of str, optional
        Only these.

    Raises
    ------
    StoreError
        If there is no such store.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError(f"`store`: there is no file {str(path)!r}.")
    wanted = None if keys is None else set(keys)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            _require_store(connection, path, new=False)
            rows = (Row(*row) for row in connection.execute("SELECT * FROM results ORDER BY finished, key"))
            return {row.key: row for row in rows if wanted is None or row.key in wanted}
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def repeatable(rows: Mapping[str, Row]) -> dict[str, tuple[object, ...]]:
    """The columns of `REPEATABLE` by key, to compare two stores."""
    return {key: tuple(getattr(row, name) for name in REPEATABLE) for key, row in sorted(rows.items())}


def _require_store(connection: sqlite3.Connection, path: Path, *, new: bool) -> None:
    """Refuse what is no store, or one of another schema; make the table in an empty file."""

    def number(pragma: str) -> int:
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]

    if new and number("schema_version") == 0:
        connection.execute("BEGIN IMMEDIATE")
        if number("schema_version") == 0:
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
    if number("application_id") != APPLICATION:
        raise StoreError(f"`store`: {path} is an SQLite file of another program; give a new name.")
    if number("user_version") != SCHEMA:
        raise StoreError(
            f"`store`: {path} has schema {number('user_version')}, but this version of scatter_theory reads and writes "
            f"schema {SCHEMA}. Its keys mean other cells here: give a new name, or use the version that made the file."
        )


def _explained(path: Path, error: sqlite3.Error) -> StoreError:
    text = str(error)
    hint = "Nothing in it was changed."
    if "readonly" in text or "unable to open" in text:
        hint = "It cannot be written there: check permissions, or copy it to a place of your own. It is unchanged."
    elif "full" in text:
        hint = "The disk is full. All results before this one are kept: make room and start the same sweep again."
    elif "not a database" in text:
        hint = "The file is no SQLite file; give a new name. It is unchanged."
    elif "locked" in text:
        hint = f"Another process has been writing for {_PATIENCE:g} s: wait for it, or give a new name."
    return StoreError(f"`store`: {path}: SQLite says {text!r}. {hint}")
