"""Fashion-MNIST from its four idx files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def _idx(path: Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    axes = raw[3]
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes))
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def load(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images (count, 28, 28) in [0, 1], float32, and labels of ``"train"`` or ``"t10k"``."""
    images = _idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = _idx(folder / f"{part}-labels-idx1-ubyte.gz")
    return torch.from_numpy(images.astype(np.float32) / 255.0), torch.from_numpy(labels.astype(np.int64))
