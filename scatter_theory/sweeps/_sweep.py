"""The sweep: measure what is missing in a store, on any executor, and go on after any interruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from scatter_theory.sweeps._cell import run_cells
from scatter_theory.sweeps._dispatch import Dispatcher, WorkerDied, carried_out
from scatter_theory.sweeps._executors import open_workers
from scatter_theory.sweeps._key import canonical
from scatter_theory.sweeps._measures import measure_of
from scatter_theory.sweeps._progress import Progress
from scatter_theory.sweeps._record import Record, environment
from scatter_theory.sweeps._result import SweepResult
from scatter_theory.sweeps._space import Cell, cells, read_space
from scatter_theory.sweeps._store import Store

#: Most cells that a worker is given at one time.
GROUP = 16


def sweep(
    space: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | Path,
    measure: str | None = None,
    *,
    store: str | Path,
    executor: Any = None,
    retry_failed: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> SweepResult:
    """Measure every cell of a space that is not in the store yet.

    Parameters
    ----------
    space : mapping, sequence of mappings, or path
        All combinations of lists of alternatives, configurations one by one, or a TOML or JSON file with one of the
        two under ``space`` or ``cell``. For the measures below a configuration names ``grid``, ``frame``,
        ``nonlinearity``, ``pooling`` and ``depth`` as the tables of `config.network` do (or ``layer``, one table per
        layer), further arguments of the extractor, ``options`` for the verifier, and ``draw`` for repetitions.
    measure : str, optional
        ``"translation"``, ``"deformation"``, ``"lipschitz"``, ``"energy"``, or the import path
        ``"package.module:function"`` of a function of a configuration and a seed that returns a mapping from names to
        numbers and strings, or a `BoundCheck`. May be left out where the file names it.
    store : str or Path
        SQLite file on a local disk, made if there is none. Results of other sweeps in it are left alone, and cells that
        it has are not measured again, so that a space can be extended, or two can share cells.
    executor : None, int, str, dask.distributed.Client or concurrent.futures.Executor
        None: this process. A number: so many processes. ``"dask"``: Dask on this machine. Another string: the address
        of a Dask scheduler. All with one torch thread per worker, and with equal results.
    retry_failed : bool
        Whether cells whose failure is stored are measured again.
    dry_run : bool
        Measure nothing and leave the store alone; `SweepResult.forecast` of the result tells what would be done.
    progress : bool
        Counts, failures and remaining time on standard error.

    Returns
    -------
    SweepResult
        All cells of the space, of this run and of earlier ones.

    Raises
    ------
    TypeError, ValueError
        For a space, a measure or an executor that is none.
    StoreError
        For a store that cannot be written, for example on a full disk, or of another schema; what is in it stays.
    RuntimeError
        If workers cannot do their work at all. An exception in a cell is stored with its traceback, and so is a cell
        whose worker dies three times, the last time with nothing else at hand; the sweep goes on.
    KeyboardInterrupt
        After Ctrl-C, once the cells that are running in processes are finished and stored; a second one ends them. On
        Dask, running cells are given up. The same call goes on from there.

    Notes
    -----
    The key of a cell is a hash of measure and configuration, and its seed follows from the key: results do not depend
    on order, number of workers or interruptions. Versions are not part of the key: they are stored with each result.
    """
    if isinstance(space, (str, Path)):
        space, named = read_space(space)
        measure = measure if measure is not None else named
    if measure is None:
        raise ValueError("`measure`: got None, expected a name; only a file may bring its own.")
    measure_of(measure)
    wanted = cells(space, measure)
    result = SweepResult(wanted, Path(store))
    if dry_run:
        return result
    with Store(store) as opened:
        states = opened.states()
        stays = ("done",) if retry_failed else ("done", "failed")
        open_cells = [cell for cell in wanted if states.get(cell.key) not in stays]
        if open_cells:
            done = len(wanted) - len(open_cells)
            _run(open_cells, opened, executor, Progress("cells", len(wanted), done, shown=progress))
    return result


def _run(open_cells: Sequence[Cell], store: Store, executor: Any, progress: Progress) -> None:
    """Measure cells and store them as they finish."""
    failed = 0

    def keep(cell: Cell, outcome: Record | WorkerDied) -> None:
        nonlocal failed
        record = _lost(cell, outcome) if isinstance(outcome, WorkerDied) else outcome
        store.add(cell, record, attempts=max(1, dispatcher.deaths[cell] + (record is outcome)))
        failed += record.error is not None
        progress.step(f"{failed} failed" if failed else "")

    with open_workers(executor) as workers:
        dispatcher = Dispatcher(workers, _submit, _groups(open_cells, workers.slots))
        carried_out(dispatcher, keep, progress, "cells", store.path)


def _submit(executor: Executor, group: Sequence[Cell]) -> Future[list[Record]]:
    return executor.submit(run_cells, group)


def _groups(open_cells: Sequence[Cell], slots: int) -> list[list[Cell]]:
    """Cells that share grid and frames, a few at a time, so that what is made once for a frame is made once."""
    shared: dict[str, list[Cell]] = {}
    for cell in open_cells:
        configuration = cell.configuration
        text = canonical({name: configuration.get(name) for name in ("grid", "frame", "layer")})
        shared.setdefault(text, []).append(cell)
    # Alone there is nothing to hand over: every result is stored as soon as it is there.
    size = max(1, min(GROUP, len(open_cells) // slots)) if slots > 1 else 1
    return [group[i : i + size] for group in shared.values() for i in range(0, len(group), size)]


def _lost(cell: Cell, death: WorkerDied) -> Record:
    """Record of a cell whose worker died every time."""
    return Record(cell.key, None, None, None, f"WorkerDied: {death}", environment(), 0.0)
