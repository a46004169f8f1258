"""CIFAR-10 and CIFAR-100 in both published file formats, and folders of images such as ImageNet. Local files only.

The "python version" of CIFAR consists of pickles, which are read by the restricted unpickler of ``pickles``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from studies.shared.pickles import Refused, load_arrays

Part = Literal["train", "test"]

IMAGE = 3 * 32 * 32
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp")


@dataclass(frozen=True)
class Cifar:
    """File names, sizes and record format of one of the two data sets."""

    title: str
    classes: int
    folders: tuple[str, str]  # of the binary and of the python version
    stems: dict[Part, tuple[str, ...]]
    per_file: dict[Part, int]
    label_bytes: int  # in the binary version; the last one is the label
    label_key: bytes  # in the python version


CIFAR = {
    "cifar10": Cifar(
        title="CIFAR-10",
        classes=10,
        folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
        stems={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
        per_file={"train": 10_000, "test": 10_000},
        label_bytes=1,
        label_key=b"labels",
    ),
    "cifar100": Cifar(
        title="CIFAR-100",
        classes=100,
        folders=("cifar-100-binary", "cifar-100-python"),
        stems={"train": ("train",), "test": ("test",)},
        per_file={"train": 50_000, "test": 10_000},
        label_bytes=2,
        label_key=b"fine_labels",
    ),
}


class DataError(Exception):
    """Files are missing, cut off or of another kind."""


def cifar(root: Path, name: str, part: Part, *, complete: bool = True) -> tuple[Tensor, Tensor]:
    """Read one part of CIFAR-10 or CIFAR-100; of the 100 labels the fine ones.

    Parameters
    ----------
    root : Path
        The unpacked folder of the binary or of the python version, or the folder that holds it. If it holds both, the
        binary version is read.
    name : {"cifar10", "cifar100"}
        Which data set.
    part : {"train", "test"}
        50,000 or 10,000 images.
    complete : bool
        Whether every file must have its published number of images. False is for small files of the same format.

    Returns
    -------
    images : Tensor
        ``(count, 3, 32, 32)``, uint8, in the order of the files.
    labels : Tensor
        ``(count,)``, int64.

    Raises
    ------
    DataError
        If a file is missing, cut off or of another kind, with what to do about it.
    """
    kind = CIFAR[name]
    folder, binary = _folder(Path(root), kind)
    images, labels = [], []
    for stem in kind.stems[part]:
        path = folder / f"{stem}.bin" if binary else folder / stem
        if not path.is_file():
            raise DataError(f"{path} is missing. Unpack the archive of {kind.title} again.")
        pixels, classes = (_binary if binary else _python)(path, kind)
        if complete and len(classes) != kind.per_file[part]:
            raise DataError(
                f"{path} holds {len(classes)} images, expected {kind.per_file[part]}: it is cut off or not the "
                f"published file. Unpack the archive of {kind.title} again."
            )
        images.append(pixels)
        labels.append(classes)
    joined = np.concatenate(labels).astype(np.int64)
    if len(joined) == 0:
        raise DataError(f"{folder} holds no images of the part {part!r}.")
    if joined.min() < 0 or joined.max() >= kind.classes:
        raise DataError(
            f"{folder} has the label {joined.max() if joined.min() >= 0 else joined.min()}, expected 0 to "
            f"{kind.classes - 1}: these are not files of {kind.title}."
        )
    return torch.from_numpy(np.concatenate(images).reshape(-1, 3, 32, 32)), torch.from_numpy(joined)


def _folder(root: Path, kind: Cifar) -> tuple[Path, bool]:
    """The folder with the files, and whether they are of the binary version."""
    for version, binary in zip(kind.folders, (True, False), strict=True):
        for folder in (root / version, root):
            if any((folder / (f"{s}.bin" if binary else s)).is_file() for p in kind.stems.values() for s in p):
                return folder, binary
    archives = [p.name for p in sorted(root.glob("*.tar.gz"))] if root.is_dir() else []
    there = f"It holds {', '.join(archives)}: unpack with tar -xf." if archives else "Nothing is downloaded here."
    raise DataError(
        f"No files of {kind.title} in {root}: expected the folder {kind.folders[0]} (binary version) or "
        f"{kind.folders[1]} (python version) in it. {there}"
    )


def _binary(path: Path, kind: Cifar) -> tuple[np.ndarray, np.ndarray]:
    """Records of one or two bytes of labels and 3,072 of pixels, the channels one after the other."""
    raw = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    record = kind.label_bytes + IMAGE
    if len(raw) == 0 or len(raw) % record:
        raise DataError(
            f"{path} has {len(raw)} bytes, expected a multiple of {record}: it is cut off or not of the binary version "
            f"of {kind.title}."
        )
    records = raw.reshape(-1, record)
    return records[:, kind.label_bytes :], records[:, kind.label_bytes - 1]


def _python(path: Path, kind: Cifar) -> tuple[np.ndarray, np.ndarray]:
    """A pickled dictionary with the pixels as an array ``(count, 3072)`` and a list of labels."""
    try:
        with path.open("rb") as file:
            content = load_arrays(file)
    except Refused as error:
        raise DataError(f"{path} was not read: {error}. Do not trust this file.") from None
    except Exception as error:  # the unpickler raises nearly anything on a file that is cut off
        raise DataError(
            f"{path} was not read: it is cut off or not of the python version of {kind.title} "
            f"({type(error).__name__}: {error})."
        ) from error
    pixels = content.get(b"data") if isinstance(content, dict) else None
    labels = content.get(kind.label_key) if isinstance(content, dict) else None
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list):
        keys = sorted(map(repr, content)) if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path} holds {keys}, expected an array b'data' and a list {kind.label_key!r}: it is not a file of "
            f"{kind.title}."
        )
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), IMAGE):
        raise DataError(
            f"{path} holds pixels {pixels.shape} of {pixels.dtype} and {len(labels)} labels, expected "
            f"{(len(labels), IMAGE)} of uint8."
        )
    if not all(isinstance(label, int) for label in labels):
        raise DataError(f"{path} holds labels that are not whole numbers.")
    return pixels, np.array(labels, dtype=np.int64)


class ImageFolder:
    """Images in one folder per class, such as ``root/train/n01440764/*.JPEG``. They are opened when asked for.

    Parameters
    ----------
    root : Path
        Folder that holds the folder of the part.
    part : str
        ``"train"`` or ``"val"``.

    Attributes
    ----------
    classes : tuple of str
        Names of the class folders, sorted; their positions are the labels.
    labels : Tensor
        ``(count,)``, int64.

    Raises
    ------
    DataError
        If there is no such folder, it has no class folders, or a class folder has no images.
    """

    def __init__(self, root: Path, part: str) -> None:
        folder = Path(root) / part
        if not folder.is_dir():
            raise DataError(f"{folder} is missing: expected one folder per class in it. Nothing is downloaded here.")
        found = {c.name: _images_below(c) for c in sorted(folder.iterdir()) if c.is_dir()}
        if not found:
            loose = " Its images lie side by side: sort them into folders of their classes." * bool(_images_in(folder))
            raise DataError(f"{folder} has no class folders.{loose}")
        for name, paths in found.items():
            if not paths:
                raise DataError(f"{folder / name} holds no images; known are {', '.join(SUFFIXES)}.")
        self.classes = tuple(found)
        self.paths = [path for paths in found.values() for path in paths]
        counts = torch.tensor([len(paths) for paths in found.values()])
        self.labels = torch.repeat_interleave(torch.arange(len(found)), counts)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def keep(self, count: int | None) -> None:
        """Forget all but `count` images, spread evenly over the list; None keeps all."""
        if count is not None and count < len(self):
            kept = torch.arange(count) * len(self) // count
            self.paths = [self.paths[i] for i in kept.tolist()]
            self.labels = self.labels[kept]

    def image(self, index: int) -> Tensor:
        """Image `index` in RGB, ``(3, height, width)``, uint8.

        Raises
        ------
        DataError
            If Pillow cannot read the file.
        """
        from PIL import Image

        path = self.paths[index]
        try:
            with Image.open(path) as file:
                pixels = np.array(file.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{path} was not read: it is cut off or not an image ({error}).") from error
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def image_folders(root: Path) -> tuple[ImageFolder, ImageFolder]:
    """Training and validation images of `root`, which have the same classes.

    Raises
    ------
    DataError
        If a part is missing or their classes differ.
    """
    train, test = ImageFolder(root, "train"), ImageFolder(root, "val")
    if train.classes != test.classes:
        alone = sorted(set(train.classes) ^ set(test.classes))
        raise DataError(
            f"{root}: only one of train and val has the classes {', '.join(alone[:5])} ({len(alone)} such)."
        )
    return train, test


def _images_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]


def _images_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
