"""Work handed out a little at a time, and handed out again where a worker died."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, as_completed, wait
from typing import Any

from scatter_theory.sweeps._executors import Workers
from scatter_theory.sweeps._progress import Progress

#: How often an item is tried again after the deaths of workers.
RETRIES = 2

Item = Any


_BLAME = (
    "the worker died {count} times while it had this item, the last time with nothing else at hand. The usual cause is "
    "memory: the system ends processes that take too much."
)


class WorkerDied(Exception):
    """A worker died every time that it worked on this item."""


class Dispatcher:
    """Hands groups of items to workers; iterating gives ``(item, result or WorkerDied)`` as they finish.

    When a worker of a pool dies, all work in flight is lost, and nobody knows whose fault it was. Items of the groups
    that were in flight are then tried again one per group; those that meet a second death are tried with nothing else
    in flight. Only an item whose worker dies while it is alone is blamed, so that innocent neighbours always finish.

    Parameters
    ----------
    workers : Workers
    submit : callable
        ``submit(executor, group)`` returns a future with the results of the first items of the group, at least one;
        the others are handed out again.
    groups : iterable of sequences of items
        Items are hashable.

    Raises
    ------
    RuntimeError
        While iterating, if an executor of the caller's is broken. A piece of work that ends with an exception ends the
        iteration with it.
    """

    def __init__(
        self,
        workers: Workers,
        submit: Callable[[Executor, Sequence[Item]], Future[Any]],
        groups: Iterable[Sequence[Item]],
    ) -> None:
        self.workers, self.submit = workers, submit
        self._fresh = deque(groups)
        self._again: deque[Sequence[Item]] = deque()
        self._alone: deque[Sequence[Item]] = deque()
        self._flying: dict[Future[Any], Sequence[Item]] = {}
        #: Deaths of workers by item.
        self.deaths: Counter[Item] = Counter()

    def __iter__(self) -> Iterator[tuple[Item, Any]]:
        while self._fill():
            done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
            broken = any(isinstance(_error(future), BrokenExecutor) for future in done)
            if broken:
                done, _ = wait(self._flying)
            lost = []
            for future in done:
                group, error = self._flying.pop(future), _error(future)
                if error is None:
                    results = future.result()
                    # As much at a time as was possible this time, so that no worker sits on what others could do.
                    starts = range(len(results), len(group), len(results))
                    self._fresh.extendleft(group[i : i + len(results)] for i in reversed(starts))
                    yield from zip(group, results, strict=False)
                elif _is_death(error):
                    lost.append(group)
                else:
                    raise error
            if broken:
                self.workers.restart()
            yield from self._died(lost, alone=len(lost) == 1 and not self._flying)

    def drain(self) -> Iterator[tuple[Item, Any]]:
        """Results of what is running; what only waits is withdrawn."""
        for future in self._flying:
            future.cancel()
        for future in as_completed([f for f in self._flying if not f.cancelled()]):
            if _error(future) is None:
                yield from zip(self._flying[future], future.result(), strict=False)

    def _fill(self) -> bool:
        """Submit what there is room for; whether anything is in flight."""
        while len(self._flying) < self.workers.slots:
            if self._again:
                group = self._again.popleft()
            elif self._alone:
                if self._flying:
                    break
                group = self._alone.popleft()
                self._flying[self._submitted(group)] = group
                break
            elif self._fresh:
                group = self._fresh.popleft()
            else:
                break
            self._flying[self._submitted(group)] = group
        return bool(self._flying)

    def _submitted(self, group: Sequence[Item]) -> Future[Any]:
        try:
            return self.submit(self.workers.executor, group)
        except BrokenExecutor as error:
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def _died(self, groups: Iterable[Sequence[Item]], *, alone: bool) -> Iterator[tuple[Item, Any]]:
        """Queue the items of groups that were lost; those that are to blame are given up."""
        for group in groups:
            for item in group:
                self.deaths[item] += 1
                if alone and len(group) == 1 and self.deaths[item] > RETRIES:
                    yield item, WorkerDied(_BLAME.format(count=self.deaths[item]))
                elif self.deaths[item] == 1:
                    self._again.append([item])
                else:
                    self._alone.append([item])


def carried_out(
    dispatcher: Dispatcher, keep: Callable[[Item, Any], None], progress: Progress, what: str, where: object
) -> None:
    """Keep every result as it is there; when interrupted, also those that are running, and say how to go on.

    Parameters
    ----------
    dispatcher : Dispatcher
    keep : callable
        Takes an item and its result or `WorkerDied`.
    progress : Progress
    what : str
        The items, for the messages.
    where : object
        Where the results are, for the messages.
    """
    try:
        for item, result in dispatcher:
            keep(item, result)
    except KeyboardInterrupt:
        progress.say(f"\nInterrupted: waiting for the {what} that are running; once more to give them up.\n")
        for item, result in dispatcher.drain():
            keep(item, result)
        progress.say(f"{progress.done} of {progress.total} {what} are in {where}; the same call goes on.\n")
        raise


def _error(future: Future[Any]) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:
        return error


def _is_death(error: BaseException) -> bool:
    """Whether a worker died; Dask's own exception is known by its name, as Dask may be absent."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"
