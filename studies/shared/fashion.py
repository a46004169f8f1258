"""Fashion-MNIST as three splits for training: binned and standardised, validation images from the training file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from studies.shared.batches import Data, Split

#: Where the files usually are: Debian's package, and torchvision's folder below the working directory.
PLACES = ("/usr/share/datasets/fashion-mnist", "data/FashionMNIST/raw", "data/fashion-mnist")
FILES = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


def find(folder: str | Path | None, places: Iterable[str] = PLACES) -> Path:
    """Folder with the four files.

    Parameters
    ----------
    folder : str, Path or None
        The folder; None to look in the usual places.
    places : iterable of str
        The usual places.

    Raises
    ------
    FileNotFoundError
        If the files are not there; the message says how to get them.
    """
    candidates = [Path(p) for p in (places if folder is None else [folder])]
    for candidate in candidates:
        if all((candidate / name).is_file() for name in FILES):
            return candidate
    raise FileNotFoundError(
        f"Fashion-MNIST: the files {', '.join(FILES)} are not all in {' or '.join(map(str, candidates))}. Install "
        "Debian's package `dataset-fashion-mnist`, or put the four files into a folder and pass `--data FOLDER`."
    )


def _idx(path: Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    axes = raw[3] if len(raw) > 3 and raw[:3] == b"\0\0\x08" else 0
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes))
    if not axes or len(raw) != 4 + 4 * axes + int(np.prod(shape)):
        raise ValueError(f"{path}: not a complete idx file of bytes; unpack or copy it anew.")
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def _part(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    images, labels = (_idx(folder / f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {len(images)} images and {len(labels)} labels of {part!r}; copy the files anew.")
    return torch.from_numpy(images.astype(np.float32) / 255.0)[:, None], torch.from_numpy(labels.astype(np.int64))


def load(folder: str | Path | None = None, *, images: int, validation: int, bins: int = 2) -> Data:
    """The first `images` of the training file, the last `validation` of it, and the whole test file.

    Parameters
    ----------
    folder : str, Path or None
        Where the four files are; None for the usual places.
    images, validation : int
        Sizes of the two parts of the training file, which must not overlap.
    bins : int
        Side of the squares of pixels that are averaged: 2 makes images of 14 x 14.

    Returns
    -------
    Data
        Images ``(count, 1, 28 // bins, 28 // bins)``, float32, with mean 0 and variance 1 over the training images.

    Raises
    ------
    FileNotFoundError, ValueError
        If the files are missing or damaged, or the two parts overlap.
    """
    folder = find(folder)
    x, y = _part(folder, "train")
    if images + validation > len(x):
        raise ValueError(f"`load(images={images}, validation={validation})`: the training file has {len(x)} images.")
    parts = [(x[:images], y[:images]), (x[-validation:], y[-validation:]), _part(folder, "t10k")]
    binned = [(F.avg_pool2d(x, bins) if bins > 1 else x, y) for x, y in parts]
    mean, deviation = binned[0][0].mean(), binned[0][0].std()
    return Data(*(Split((x - mean) / deviation, y) for x, y in binned))
