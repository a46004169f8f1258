"""Features of a data set, computed and written chunk by chunk, with what is finished checked and kept."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from scatter_theory.network import FeatureExtractor
from scatter_theory.sweeps._chunk import Job, checksum, compute, run_stored, write_alone
from scatter_theory.sweeps._dispatch import Dispatcher, WorkerDied, carried_out
from scatter_theory.sweeps._executors import Workers, open_workers
from scatter_theory.sweeps._preparation import check, layout_of, lossless, placed, provenance_of
from scatter_theory.sweeps._progress import Progress
from scatter_theory.sweeps._sources import Source, source_of
from scatter_theory.sweeps._store import StoreError
from scatter_theory.sweeps._zarr import Layout, create, existing, finished, mark, require_zarr, tidied


@dataclass(frozen=True)
class Extraction:
    """What an extraction wrote, or would write.

    Parameters
    ----------
    path : Path
        The zarr group.
    layout : Layout
        Signals, chunks, shapes and types.
    computed, reused : int
        Chunks of this run, and those that were there.
    seconds : float
    """

    path: Path
    layout: Layout
    computed: int
    reused: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every chunk is there."""
        return self.computed + self.reused == len(self.layout.starts)

    def open(self) -> Any:
        """The ``zarr.Group``, for reading: arrays ``layer_0``, ..., ``checksums``, and ``labels`` or ``names``."""
        return require_zarr().open_group(self.path, mode="r")

    def __str__(self) -> str:
        shape = self.layout
        paths = " + ".join(str(s[0]) for s in shape.shapes)
        return (
            f"{shape.signals} signals in {len(shape.starts)} chunks of {shape.chunk} to {self.path}: {paths} paths, "
            f"{', '.join(sorted(set(shape.dtypes)))}, {shape.nbytes / 2**20:.4g} MiB; {self.computed} chunks computed "
            f"in {self.seconds:.3g} s, {self.reused} were there"
        )


def extract(
    phi: FeatureExtractor,
    data: Any,
    store: str | Path,
    *,
    executor: Any = None,
    resume: bool = True,
    dtype: Literal["float16", "float32", "float64"] = "float32",
    chunk: int | None = None,
    device: str | torch.device | None = None,
    dry_run: bool = False,
    progress: bool = True,
) -> Extraction:
    """Features of all signals of a data set, in a zarr group on disk; neither need fit into memory.

    Parameters
    ----------
    phi : FeatureExtractor
        With paths that do not depend on the signals.
    data : array, tensor, memory map, path or torch data set
        Signals ``(n, *grid.shape)``: an array or a memory map, a ``.npy`` file, an idx file of Fashion-MNIST
        (``train-images-idx3-ubyte.gz``, with its labels beside it), a folder or a pattern such as ``"images/*.npy"``
        with one signal per file, in the order of their names, or a torch data set of signals or pairs of signal and
        label. Whole numbers and lower precision are raised to the extractor's without loss, bytes to 0..255; what
        would lose digits is refused.
    store : str or Path
        Folder of the zarr group (version 3): an array ``layer_n`` of shape ``(signals, paths, *grid.shape)`` per layer,
        ``checksums``, ``labels`` or ``names`` where the data has them, and as attributes the table of paths and the
        provenance.
    executor : None, int, str, dask.distributed.Client or concurrent.futures.Executor
        As in `sweep`. Workers write their chunks themselves: on several machines the folder must be shared.
    resume : bool
        Go on with a group of the same extractor and data: chunks whose values agree with their checksums stay. False
        refuses a folder that exists.
    dtype : {"float16", "float32", "float64"}
        Of the output; complex features have the complex type, which does not exist for float16.
    chunk : int, optional
        Signals per chunk, the unit of work and of loss; default: at most 64 MiB of features.
    device : str or torch.device, optional
        Default: a CUDA device if there is one and `executor` is None, else the extractor's.
    dry_run : bool
        Write nothing: the result tells chunks, paths and bytes.
    progress : bool
        Counts and remaining time on standard error.

    Returns
    -------
    Extraction

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        For data that cannot be read or does not fit, NaN and infinite entries, features beyond the range of `dtype`,
        and a group of another extractor, data set or layout.
    StoreError
        If the group cannot be written, for example on a full disk; finished chunks stay.
    ImportError
        If zarr is not installed.
    KeyboardInterrupt
        After Ctrl-C, once running chunks are written; the same call goes on.

    Notes
    -----
    Data are read here and handed to the workers, at most two chunks per worker at a time, so that neither a fast disk
    nor a slow worker fills the memory.
    """
    started = time.perf_counter()
    require_zarr()
    check(phi, dtype)
    path, phi = Path(store), placed(phi, device, executor)
    source = source_of(data, phi.grid)
    lossless(source.read(0, 1)[0], phi)
    layout = layout_of(phi, source, dtype, chunk)
    provenance = provenance_of(phi, source)
    if path.exists():
        if not resume:
            raise ValueError(f"`extract(store=...)`: {path} exists; give a new name, or go on with it: `resume=True`.")
        existing(path, layout, provenance)
        done = finished(path, layout, checksum)
    else:
        done = []
    if dry_run:
        return Extraction(path, layout, 0, len(done), time.perf_counter() - started)
    with _explained(path):
        if path.exists():
            tidied(path)
        else:
            create(path, layout, phi, provenance, source.names)
        missing = sorted(set(range(len(layout.starts))) - set(done))
        if missing:
            counted = Progress("chunks", len(layout.starts), len(done), shown=progress)
            _run(missing, Job(phi, str(path)), source, layout, executor, counted)
    return Extraction(path, layout, len(missing), len(done), time.perf_counter() - started)


def _run(missing: Sequence[int], job: Job, source: Source, layout: Layout, executor: Any, progress: Progress) -> None:
    """Compute chunks and mark them as they finish."""
    labels: dict[int, np.ndarray | None] = {}

    def keep(i: int, sums: list[int] | WorkerDied) -> None:
        if isinstance(sums, WorkerDied):
            raise RuntimeError(f"`extract`: chunk {i}, signals {layout.starts[i]} and following: {sums}")
        mark(Path(job.path), i, sums, layout, labels.pop(i))
        progress.step()

    with contextlib.ExitStack() as stack:
        if executor is None:
            # Computed here and written by a thread meanwhile, one chunk behind.
            workers, stored = Workers(stack.enter_context(ThreadPoolExecutor(1)), 2), None
        else:
            workers, stored = stack.enter_context(open_workers(executor)), stack.enter_context(_job_file(job))

        def submit(executor: Executor, group: Sequence[int]) -> Future[list[list[int]]]:
            start = layout.starts[group[0]]
            values, labels[group[0]] = source.read(start, min(start + layout.chunk, layout.signals))
            signals = lossless(values, job.phi)
            if stored is None:
                return executor.submit(write_alone, job.path, start, compute(job, start, signals))
            return executor.submit(run_stored, stored, start, signals)

        dispatcher = Dispatcher(workers, submit, [[i] for i in missing])
        carried_out(dispatcher, keep, progress, "chunks", job.path)


@contextlib.contextmanager
def _job_file(job: Job) -> Iterator[str]:
    """The job in a file beside the group, where every worker can read it once instead of with every chunk."""
    path = Path(job.path).absolute()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".job")
    try:
        with os.fdopen(handle, "wb") as stream:
            pickle.dump(job, stream)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors of the file system, with what is kept."""
    try:
        yield
    except (FileNotFoundError, StoreError):
        raise
    except OSError as error:
        raise StoreError(
            f"`store`: {path} cannot be written ({error}). Finished chunks stay: make room or check permissions, and "
            "start the same extraction again."
        ) from error
