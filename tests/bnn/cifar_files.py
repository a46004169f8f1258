"""Small files in the published formats of CIFAR and of folders of images, written without the code that reads them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np

#: Stem of file to number of images, for small versions of both data sets.
STEMS = {
    "cifar10": {**{f"data_batch_{i}": "train" for i in range(1, 6)}, "test_batch": "test"},
    "cifar100": {"train": "train", "test": "test"},
}
FOLDERS = {
    "cifar10": {"binary": "cifar-10-batches-bin", "python": "cifar-10-batches-py"},
    "cifar100": {"binary": "cifar-100-binary", "python": "cifar-100-python"},
}


def records(seed: int, count: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels ``(count, 3, 32, 32)`` and labels; the brightness depends on the label, so that one can learn."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    pixels = rng.integers(0, 128, (count, 3, 32, 32)) + (127 * labels / (classes - 1)).astype(int)[:, None, None, None]
    return pixels.astype(np.uint8), labels


def write_cifar(root: Path, name: str, version: str, per_file: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write all files of a data set; what is in them, by part."""
    folder = root / FOLDERS[name][version]
    folder.mkdir(parents=True)
    classes = 10 if name == "cifar10" else 100
    parts: dict[str, list] = {"train": [], "test": []}
    for seed, (stem, part) in enumerate(STEMS[name].items()):
        pixels, labels = records(seed, per_file, classes)
        parts[part].append((pixels, labels))
        if version == "binary":
            coarse = [] if name == "cifar10" else [7]
            raw = b"".join(bytes([*coarse, int(y)]) + x.tobytes() for x, y in zip(pixels, labels, strict=True))
            (folder / f"{stem}.bin").write_bytes(raw)
        else:
            key = "labels" if name == "cifar10" else "fine_labels"
            (folder / stem).write_bytes(python2_pickle(pixels.reshape(len(labels), -1), labels, key))
    return {part: tuple(np.concatenate(x) for x in zip(*found, strict=True)) for part, found in parts.items()}


def python2_pickle(pixels: np.ndarray, labels: np.ndarray, key: str) -> bytes:
    """A dictionary as Python 2 pickles it (protocol 2), which is how the published files were made.

    Its strings have other opcodes than those of Python 3, and the array is rebuilt by a function of ``numpy.core``.
    """
    out = io.BytesIO()

    def string(text: str | bytes) -> None:
        raw = text.encode() if isinstance(text, str) else text
        out.write(b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)) + raw)

    def number(value: int) -> None:
        out.write(b"J" + struct.pack("<i", value))

    out.write(b"\x80\x02}(")
    string("batch_label")
    string("a small file")
    string(key)
    out.write(b"](")
    for label in labels:
        number(int(label))
    out.write(b"e")
    string("data")
    out.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n")
    number(0)
    out.write(b"\x85")
    string("b")
    out.write(b"\x87R(")
    number(1)
    for size in pixels.shape:
        number(size)
    out.write(b"\x86cnumpy\ndtype\n")
    string("u1")
    number(0)
    number(1)
    out.write(b"\x87R(")
    number(3)
    string("|")
    out.write(b"NNN")
    number(-1)
    number(-1)
    number(0)
    out.write(b"tb\x89")
    string(pixels.tobytes())
    out.write(b"tb")
    out.write(b"u.")
    return out.getvalue()


def write_images(root: Path, part: str, sizes: dict[str, list[tuple[int, int]]], kind: str = "png") -> None:
    """One folder per class with images of the given heights and widths; the class is the brightness."""
    from PIL import Image

    rng = np.random.default_rng(len(part))
    for label, (name, shapes) in enumerate(sizes.items()):
        (root / part / name).mkdir(parents=True)
        for i, (height, width) in enumerate(shapes):
            pixels = rng.integers(0, 100, (height, width, 3)) + 100 * label
            Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{i}.{kind}")
