"""The main job: all frame families on real signals through all verifiers, as a table, a page, figures and JSON."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

from scatter_theory.constants import Provenance
from scatter_theory.report import _page, _pool, _store, _tables, _tasks
from scatter_theory.results import Outcome, Verdict

__all__ = ["CRASHED", "exit_code", "write"]

#: Exit code where a task failed with an error: neither success nor a statement about a bound.
CRASHED = 70


def write(
    out: str | Path = "report",
    *,
    quick: bool = False,
    seed: int = 0,
    jobs: int = 2,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> int:
    """Run everything and write ``index.html``, ``report.json`` and ``figures/*.png`` into a folder.

    Finished tasks are kept in ``unfinished.jsonl`` there until the report is complete. An interrupted report goes on
    where it stopped if called again with the same seed, plan, package source, torch and numpy; lines of any other
    version are dropped.

    Parameters
    ----------
    out : path
        Folder; made if needed.
    quick : bool
        Only one family per dimension, two non-linearities and two poolings.
    seed : int
        Seed of every search.
    jobs : int
        Processes, each with one thread; 1 works in this process.
    stdout, stderr : text streams, optional
        For the table and for progress.

    Returns
    -------
    int
        0 if everything applicable holds, 1 if something is violated, 3 if nothing is violated but some check is
        inconclusive or vacuous, or none holds; 70 if a task failed with an error.

    Raises
    ------
    KeyboardInterrupt
        After saying how to go on.
    """
    stdout, stderr = stdout or sys.stdout, stderr or sys.stderr
    folder, started = Path(out), time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    tasks = _tasks.plan(quick=quick)
    store = _store.Store(folder, _store.fingerprint(seed, quick=quick))
    missing = [task for task in tasks if task.key not in store.results]
    if len(missing) < len(tasks):
        print(f"resuming: {len(tasks) - len(missing)} of {len(tasks)} tasks were finished before", file=stderr)
    try:
        _run(missing, len(tasks), store, folder, stderr, seed=seed, quick=quick, jobs=jobs)
    except KeyboardInterrupt:
        print(
            f"\ninterrupted: {len(store.results)} of {len(tasks)} tasks are kept in {store.path}. The same command "
            "goes on from there.",
            file=stderr,
        )
        raise
    results = {task.key: store.results[task.key] for task in tasks}
    code = _finish(results, folder, stdout, seed=seed, quick=quick, seconds=time.perf_counter() - started)
    if code != CRASHED:
        store.close()
    return code


def _run(
    missing: list[_tasks.Task], total: int, store: _store.Store, folder: Path, stderr: TextIO, **options: Any
) -> None:
    """Perform what is missing, keeping each result as it comes; failed tasks are tried again by the next call."""
    progress = _pool.Progress(total, total - len(missing), stderr)
    counts = Counter(c["outcome"] for r in store.results.values() for c in r["checks"].values())
    stream = _pool.results(missing, out=folder, say=progress.say, **options)
    try:
        for result in stream:
            store.add(result)
            counts.update(check["outcome"] for check in result["checks"].values())
            progress.step(counts)
    finally:
        stream.close()


def _finish(results: dict[str, Any], folder: Path, stdout: TextIO, *, seed: int, quick: bool, seconds: float) -> int:
    """Write the page and the JSON, print the table, and decide the exit code."""
    checks = {name: _store.restored(c) for r in results.values() for name, c in r["checks"].items()}
    verdict = Verdict(checks, "report")
    errors = {key: r["error"] for key, r in results.items() if "error" in r}
    facts = {key: r["facts"] for key, r in results.items() if r["kind"] == "family" and "facts" in r}
    enclosed = {key: r["facts"] for key, r in results.items() if r["kind"] == "signal" and "facts" in r}
    kinds = {key: r["kind"] for key, r in results.items()}
    stamp = Provenance.now("report", seed=seed, seconds=seconds)
    origin = {**stamp.versions, "seed": seed, "date": stamp.date, "seconds": f"{seconds:.0f}"}
    table = {"origin": origin | {"quick": quick}, "errors": errors, "facts": facts, "enclosed": enclosed}
    table["checks"] = {name: c for r in results.values() for name, c in r["checks"].items()}
    (folder / "report.json").write_text(json.dumps(table, allow_nan=False), encoding="utf-8")
    page = _page.page(verdict, facts, enclosed, kinds, errors, origin, folder)
    (folder / "index.html").write_text(page, encoding="utf-8")
    counts = Counter(check.outcome for check in checks.values())
    print(f"{_tables.text(*_tables.by_family(checks, list(facts)))}\n{_tables.LEGEND}", file=stdout)
    tally = ", ".join(f"{counts[o]} {o.name}" for o in Outcome if counts[o])
    failed = f"; failed with an error: {', '.join(errors)}" if errors else ""
    print(f"\n{len(checks)} checks: {tally}{failed}. {seconds:.0f} s.\nReport: {folder / 'index.html'}", file=stdout)
    for outcome in (Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.VACUOUS, Outcome.INAPPLICABLE):
        for name in [name for name, check in checks.items() if check.outcome is outcome][:20]:
            print(f"{outcome.name}: {name}", file=stdout)
    return exit_code(verdict, failed=bool(errors))


def exit_code(verdict: Verdict, *, failed: bool = False) -> int:
    """Exit code of a verdict, and of a report some of whose tasks may have failed; see `write`."""
    if verdict.violated:
        return 1
    if failed:
        return CRASHED
    return verdict.exit_code
