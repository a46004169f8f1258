"""One chunk of an extraction: features of a few signals, written by whoever computed them."""

from __future__ import annotations

import pickle
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from scatter_theory.network import FeatureExtractor
from scatter_theory.sweeps._zarr import layer_arrays


@dataclass(frozen=True, eq=False)
class Job:
    """What every worker needs to know.

    Parameters
    ----------
    phi : FeatureExtractor
    path : str
        The zarr group.
    """

    phi: FeatureExtractor
    path: str


def compute(job: Job, start: int, signals: np.ndarray) -> list[np.ndarray]:
    """Features of signals ``start, start + 1, ...``, by layer, in the precision of the extractor.

    Parameters
    ----------
    job : Job
    start : int
        Place of the first signal, for the message.
    signals : (n, *grid.shape) array
        In the precision of the extractor.

    Raises
    ------
    ValueError
        For NaN and infinite entries.
    """
    if not np.isfinite(signals).all():
        bad = start + int(np.flatnonzero(~np.isfinite(signals).reshape(len(signals), -1).all(1))[0])
        raise ValueError(f"`data`: signal {bad} has NaN or infinite entries; all entries must be finite.")
    with torch.no_grad():
        features = job.phi(torch.from_numpy(signals).to(job.phi.device), check_finite=False)
    return [layer.values.cpu().numpy() for layer in features]


def write(path: str, start: int, features: list[np.ndarray]) -> list[int]:
    """Write a chunk; returns a checksum per layer.

    Parameters
    ----------
    path : str
        The zarr group.
    start : int
        Place of the first signal.
    features : list of arrays
        From `compute`.

    Raises
    ------
    ValueError
        For features beyond the range of the output's numbers.
    """
    sums = []
    for n, (values, array) in enumerate(zip(features, layer_arrays(path), strict=True)):
        with np.errstate(over="ignore"):
            stored = values.astype(array.dtype, copy=False)
        if not np.isfinite(stored).all():
            raise ValueError(
                f"`extract(dtype={str(array.dtype)!r})`: a feature of layer {n} has size {np.abs(values).max():.3g}, "
                "beyond the range of these numbers. Rescale the signals, or choose a wider type."
            )
        array[start : start + len(stored)] = stored
        sums.append(checksum(stored))
    return sums


def checksum(values: np.ndarray) -> int:
    """CRC-32 of an array."""
    return zlib.crc32(np.ascontiguousarray(values).view(np.uint8))


def write_alone(path: str, start: int, features: list[np.ndarray]) -> list[list[int]]:
    """`write`, as the only result of a group."""
    return [write(path, start, features)]


def run_stored(job: str, start: int, signals: np.ndarray) -> list[list[int]]:
    """Compute and write on a worker, with one thread and a job from a file, as the only result of a group."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    loaded = _loaded(job)
    return write_alone(loaded.path, start, compute(loaded, start, signals))


@lru_cache(maxsize=1)
def _loaded(path: str) -> Job:
    return pickle.loads(Path(path).read_bytes())
