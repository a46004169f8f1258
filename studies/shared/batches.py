"""The images of a training run, and which of them make the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from studies.shared.augmentation import crop_and_flip, normalise
from studies.shared.folders import FolderSplit


def _flip(x: Tensor, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(chosen[:, None, None, None], x.flip(-1), x)


Augmentation = Callable[[Tensor, torch.Generator], Tensor]
#: Functions of a batch of images and a generator.
AUGMENTATIONS: dict[str, Augmentation] = {
    "none": lambda x, generator: x,
    "flip": _flip,
    "crop_and_flip": crop_and_flip,
}


@dataclass(frozen=True)
class Split:
    """Images ``(count, channels, height, width)`` and their labels ``(count,)``, int64.

    Images of type float32 are what the network sees. Those of type uint8 are normalised by ``augmentation.normalise``
    after they were augmented. ``folders.FolderSplit`` has the same methods for images that do not fit into memory.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def augmented(
        self, chosen: Iterable[Tensor], augmentation: str, generator: torch.Generator, share: slice
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The chosen images and labels, batch by batch; of each augmented batch the given share."""
        augment = AUGMENTATIONS[augmentation]
        for batch in chosen:
            yield augment(self.images[batch], generator)[share], self.labels[batch][share]

    def plain(self, share: slice) -> Iterator[tuple[Tensor, Tensor]]:
        """A share of all images, in order, in batches."""
        yield from zip(self.images[share].split(500), self.labels[share].split(500), strict=True)


@dataclass(frozen=True)
class Data:
    """Images to learn from, to look at while the study is set up, and to report.

    With `keep_last` the incomplete last batch of an epoch is used. Of it, what does not divide evenly among the
    processes is left out, and all of it if fewer than two images are left for each, which batch normalisation needs.
    """

    train: Split | FolderSplit
    validation: Split | FolderSplit
    test: Split | FolderSplit
    keep_last: bool = False


def plan(data: Data, batch: int, seed: int, epoch: int, world: int = 1) -> tuple[list[Tensor], torch.Generator]:
    """Which images make the batches of an epoch, in its own random order, and the generator for their augmentation."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    images = len(data.train)
    order = torch.randperm(images, generator=generator)
    complete = images // batch * batch
    chosen = list(order[:complete].split(batch)) if complete else []
    left = (images - complete) // world
    if data.keep_last and left >= 2:
        chosen.append(order[complete : complete + left * world])
    return chosen, generator


def ready(batch: tuple[Tensor, Tensor], device: str) -> tuple[Tensor, Tensor]:
    """A batch as the network sees it."""
    x, y = (t.to(device) for t in batch)
    return (normalise(x) if x.dtype == torch.uint8 else x), y
