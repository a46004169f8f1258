"""Small files in the format of Fashion-MNIST, written without the code that reads them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np


def write_idx(path: Path, array: np.ndarray) -> None:
    """One array of bytes as a packed idx file."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


def write_fashion(path: Path) -> Path:
    """100 training and 40 test images; the i-th has one stripe at the height of its label, and brightness 100 + i."""
    for part, count in (("train", 100), ("t10k", 40)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        for i, label in enumerate(labels):
            images[i, 2 * label : 2 * label + 4] = 100 + i
        write_idx(path / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(path / f"{part}-labels-idx1-ubyte.gz", labels)
    return path
