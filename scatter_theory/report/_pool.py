"""Tasks on several processes, results as they finish, progress on standard error."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import torch

from scatter_theory.report._tasks import Task, perform, plan


def start_worker() -> None:
    """One thread per process; Ctrl-C is for the parent, which lets running tasks go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def by_key(key: str, seed: int, out: str, quick: bool) -> dict[str, Any]:
    """Perform the task of that key; an error becomes part of the result, so that the others go on."""
    task = next(t for t in plan(quick=quick) if t.key == key)
    try:
        return perform(task, seed, Path(out))
    except Exception:
        return {"key": key, "kind": task.kind, "checks": {}, "error": traceback.format_exc(), "seconds": 0.0}


def results(
    tasks: Sequence[Task], *, seed: int, out: Path, quick: bool, jobs: int, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Results in the order in which they finish; an interruption waits for the tasks that are running, and gives them.

    Closing the iterator waits for them too.
    """
    if jobs == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for task in tasks:
                yield by_key(task.key, seed, str(out), quick)
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=start_worker)
    rest = iter(tasks)

    def submitted(number: int) -> set[Future[dict[str, Any]]]:
        return {pool.submit(by_key, task.key, seed, str(out), quick) for task in islice(rest, number)}

    try:
        running = submitted(jobs)
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= submitted(len(done))
                yield from [future.result() for future in done]
        except KeyboardInterrupt:
            say("\ninterrupted: waiting for the tasks that are running")
            yield from (future.result() for future in as_completed(running))
            raise
    finally:
        pool.shutdown(wait=True)


class Progress:
    """Counts and remaining time: one line that is rewritten on a terminal, a line per tenth otherwise.

    Parameters
    ----------
    total, done : int
        Tasks in all, and those finished before.
    stream : text stream, optional
        Default: standard error.
    clock : callable
        Seconds; replaced in tests.
    """

    def __init__(
        self, total: int, done: int = 0, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.done, self.before = total, done, done
        self.stream, self.clock = stream if stream is not None else sys.stderr, clock
        self.started = clock()
        self.live = bool(getattr(self.stream, "isatty", lambda: False)())

    def say(self, text: str) -> None:
        """Something else, at once, on a line of its own."""
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def step(self, outcomes: Mapping[str, int]) -> None:
        """One more task is finished; checks so far, by outcome."""
        self.done += 1
        tenth = self.total / 10
        if not self.live and self.done < self.total and self.done // tenth == (self.done - 1) // tenth:
            return
        rate = (self.clock() - self.started) / (self.done - self.before)
        left = rate * (self.total - self.done)
        found = [f"{number} {name}" for name, number in outcomes.items() if number]
        text = ", ".join([f"{self.done} of {self.total} tasks", *found, f"about {left:.0f} s left"])
        end = "\n" if not self.live or self.done == self.total else ""
        if self.live:  # A line that wraps is not written over by the next one.
            width = shutil.get_terminal_size().columns - 1
            text = "\r" + text[:width].ljust(width)
        self.stream.write(text + end)
        self.stream.flush()
