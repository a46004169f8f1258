"""Where work is done: here, in processes, on Dask, or on any executor of ``concurrent.futures``."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Workers:
    """An executor and how much work it should have at one time.

    Parameters
    ----------
    executor : Executor
    slots : int
        Units of work that are submitted at one time; two per worker, so that none waits.
    remake : callable, optional
        Makes a fresh executor after a worker has died; None where that is the owner's business.
    """

    executor: Executor
    slots: int
    remake: Callable[[], Executor] | None = None

    def restart(self) -> None:
        """Replace an executor that is broken.

        Raises
        ------
        RuntimeError
            If the executor was given by the caller.
        """
        if self.remake is None:
            raise RuntimeError(
                f"`executor`: {type(self.executor).__name__} is broken, because one of its workers died. What was "
                "finished is stored: make a new executor and call again, or give a number of processes, which are "
                "started anew by themselves."
            )
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.executor = self.remake()

    def stop(self) -> None:
        """End own processes at once."""
        for process in list((getattr(self.executor, "_processes", None) or {}).values() if self.remake else ()):
            process.terminate()


class Serial(Executor):
    """Runs each piece of work when it is submitted, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """A future that is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def open_workers(executor: Any) -> Iterator[Workers]:
    """Open an executor, and close it afterwards if it was made here.

    Parameters
    ----------
    executor : None, int, str, dask.distributed.Client or concurrent.futures.Executor
        None: in this process. A number: so many processes, each with one torch thread. ``"dask"``: a Dask cluster on
        this machine, one process per core. Another string: the address of a Dask scheduler.

    Yields
    ------
    Workers
        The executor, and how many pieces of work it should hold at a time.

    Raises
    ------
    TypeError, ValueError
        For anything else.
    ImportError
        If Dask is asked for and not installed.
    RuntimeError
        If processes cannot be started.
    """
    threads = torch.get_num_threads()
    # Sums of floating-point numbers depend on how they are split among threads: with one, they are equal everywhere.
    torch.set_num_threads(1)
    try:
        with _opened(executor) as found:
            yield found
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _opened(executor: Any) -> Iterator[Workers]:
    if executor is None:
        yield Workers(Serial(), 1)
    elif isinstance(executor, int) and not isinstance(executor, bool):
        with _processes(executor) as found:
            yield found
    elif isinstance(executor, Executor):
        yield Workers(executor, 2 * (getattr(executor, "_max_workers", None) or os.cpu_count() or 1))
    elif isinstance(executor, str) or hasattr(executor, "get_executor"):
        with _client(executor) as client:
            threads = max(1, sum(client.nthreads().values()))
            yield Workers(client.get_executor(pure=False), 2 * threads)
    else:
        raise TypeError(
            f"`executor`: got {executor!r}, expected None, a number of processes, 'dask', the address of a Dask "
            "scheduler such as 'tcp://host:8786', a Dask client, or an executor of concurrent.futures."
        )


@contextlib.contextmanager
def _processes(count: int) -> Iterator[Workers]:
    if count < 1:
        raise ValueError(f"`executor`: got {count}, expected a number of processes >= 1, or None for this process.")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(_GUARD)

    def make() -> Executor:
        return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=start_worker)

    found = Workers(make(), 2 * count, make)
    try:
        try:
            found.executor.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise RuntimeError(f"`executor={count}`: no process could be started. {_GUARD}") from error
        yield found
    except BaseException:
        found.stop()
        raise
    finally:
        found.executor.shutdown(wait=True, cancel_futures=True)


_GUARD = (
    "Each process imports the running script first. Put the call below `if __name__ == '__main__':`, so that it is not "
    "made again during that import, and run a script from a file, not from standard input."
)


def start_worker() -> None:
    """One thread; Ctrl-C is for the parent; and no life without it, as a killed parent cannot close its pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent,), daemon=True).start()


def _outlive(parent: Any) -> None:
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _client(executor: Any) -> Iterator[Any]:
    """A Dask client: the given one, one of an address, or one with a cluster of its own."""
    if not isinstance(executor, str):
        yield executor
        return
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(
            f"`executor={executor!r}`: Dask is not installed, expected the packages `dask` and `distributed`; install "
            "them with `pip install scatter_theory[sweep]`, or give a number of processes."
        ) from error
    if executor != "dask":
        with Client(executor, timeout="10s") as client:
            yield client
        return
    # Who retries after a death is the dispatcher, which also finds out who is to blame.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(threads_per_worker=1, n_workers=os.cpu_count(), dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client
