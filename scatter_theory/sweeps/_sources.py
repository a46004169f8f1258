"""Where signals come from: arrays, memory maps, files, idx files and torch data sets, read a few at a time."""

from __future__ import annotations

import glob
import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scatter_theory.grid import Grid


class Source(ABC):
    """Signals by number.

    Attributes
    ----------
    count : int
        How many there are.
    names : sequence of str
        Names of the signals, where they are files; else empty.
    kind, name : str
        What it is, for the record.
    """

    count: int
    names: Sequence[str] = ()
    kind: str
    name: str = ""

    @abstractmethod
    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Signals ``(n, *shape)`` as they are stored, and their labels ``(n,)`` if they have some."""

    def describe(self) -> dict[str, Any]:
        """Kind, name and number, type, and a checksum of the first and the last signal."""
        ends = [self.read(i, i + 1)[0] for i in (0, self.count - 1)]
        sums = [zlib.crc32(np.ascontiguousarray(x).view(np.uint8)) for x in ends]
        return {
            "kind": self.kind, "name": self.name, "signals": self.count, "dtype": str(ends[0].dtype), "checksums": sums,
        }  # fmt: skip


@dataclass
class ArraySource(Source):
    """An array ``(count, *shape)`` in memory or mapped from a file, with labels or without."""

    values: np.ndarray
    kind: str = "array"
    name: str = ""
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.count = len(self.values)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        """See `Source.read`."""
        labels = None if self.labels is None else self.labels[start:stop]
        return np.asarray(self.values[start:stop]), labels


@dataclass
class FileSource(Source):
    """One signal in each ``.npy`` file."""

    files: Sequence[Path]
    kind: str = "files"
    name: str = ""

    def __post_init__(self) -> None:
        self.count = len(self.files)
        self.names = [file.name for file in self.files]

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        """See `Source.read`."""
        signals = [_npy(file, None) for file in self.files[start:stop]]
        found = {(x.shape, x.dtype) for x in signals}
        if len(found) != 1:
            raise ValueError(
                f"`data`: files {self.names[start]} to {self.names[stop - 1]} hold signals of different shape or type, "
                f"{sorted(map(str, found))}; expected one signal of the same kind in each."
            )
        return np.stack(signals), None


@dataclass
class DatasetSource(Source):
    """A torch data set with ``__len__`` and ``__getitem__``, of signals or of pairs of signal and label."""

    dataset: Any
    kind: str = "data set"

    def __post_init__(self) -> None:
        self.count = len(self.dataset)
        self.name = type(self.dataset).__name__

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        """See `Source.read`."""
        items = [self.dataset[i] for i in range(start, stop)]
        pairs = [item if isinstance(item, (tuple, list)) else (item,) for item in items]
        if {len(pair) for pair in pairs} not in ({1}, {2}):
            raise TypeError("`data`: the data set does not give signals, or pairs of a signal and a label, throughout.")
        signals = np.stack([np.asarray(torch.as_tensor(pair[0])) for pair in pairs])
        if len(pairs[0]) == 1:
            return signals, None
        labels = np.asarray([np.asarray(pair[1]) for pair in pairs])
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise TypeError(
                f"`data`: got labels of type {labels.dtype} and shape {labels.shape}, expected whole numbers."
            )
        return signals, labels


def source_of(data: Any, grid: Grid) -> Source:
    """The source of what a caller gives; see `extract`.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        If it is nothing that can be read, is empty, or does not fit the grid.
    """
    source = _opened(data)
    if source.count < 1:
        raise ValueError("`data`: got no signal at all.")
    shape = source.read(0, 1)[0].shape[1:]
    if shape != grid.shape:
        raise ValueError(
            f"`data`: got signals of shape {shape}, but the grid of the extractor has {grid.shape}; expected one "
            "signal per entry of the first axis, without axes for channels."
        )
    return source


def _opened(data: Any) -> Source:
    if isinstance(data, torch.Tensor):
        return ArraySource(data.detach().cpu().numpy(), name="torch.Tensor")
    if isinstance(data, np.ndarray):
        mapped = isinstance(data, np.memmap) and data.filename is not None
        return ArraySource(data, "memory map" if mapped else "array", Path(data.filename).name if mapped else "")
    if isinstance(data, (str, Path)):
        return _of_path(str(data))
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (list, tuple, dict)):
        return DatasetSource(data)
    raise TypeError(
        f"`data`: got {type(data).__name__}, expected an array, a tensor, a torch data set with a length, a .npy or "
        "idx file, a folder of .npy files, or a pattern such as 'images/*.npy'."
    )


def _of_path(text: str) -> Source:
    path = Path(text)
    if path.is_dir():
        files = sorted(path.glob("*.npy"))
    elif path.is_file():
        if path.name.removesuffix(".gz").endswith("-ubyte"):
            return _idx_source(path)
        return ArraySource(_npy(path, "r"), "memory map", path.name)
    else:
        files = sorted(Path(name) for name in glob.glob(text, recursive=True))
    if not files:
        raise FileNotFoundError(
            f"`data`: {text!r} is no file, no folder with .npy files, and no pattern that fits any."
        )
    return FileSource(files, name=path.name)


def _npy(path: Path, mode: str | None) -> np.ndarray:
    try:
        values: Any = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"`data`: {path.name} is not a .npy file of numbers ({error}).") from error
    if not isinstance(values, np.ndarray):
        raise ValueError(f"`data`: {path.name} holds {type(values).__name__}, expected one array.")
    return values


def _idx_source(path: Path) -> ArraySource:
    """Images of an idx file, as bytes 0..255, with the labels of the file beside it if there is one."""
    images = _idx(path)
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    labels = _idx(beside) if beside != path and beside.is_file() else None
    if labels is not None and labels.shape != images.shape[:1]:
        raise ValueError(f"`data`: {len(images)} images in {path.name}, but labels of shape {labels.shape} beside it.")
    return ArraySource(images, "idx file", path.name, labels)


def _idx(path: Path) -> np.ndarray:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"`data`: {path.name} cannot be unpacked ({error}).") from error
    axes = raw[3] if len(raw) > 3 and raw[:3] == b"\0\0\x08" else 0
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes))
    if not axes or len(raw) != 4 + 4 * axes + int(np.prod(shape)):
        raise ValueError(f"`data`: {path.name} is not a complete idx file of bytes.")
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)
