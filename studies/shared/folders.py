"""Folders of images as a split for training: opened, cut and resized by processes beside the one that trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from studies.shared.augmentation import central_crop, random_resized_crop
from studies.shared.readers import ImageFolder


class FolderSplit:
    """Images of `folder` as ``(count, 3, size, size)``, uint8; the counterpart of ``batches.Split`` in memory.

    Parameters
    ----------
    folder : ImageFolder
        The files.
    workers : int
        Processes that open images; 0 to do it in this one. The images do not depend on it.
    size, shorter : int
        Side of the square that the network sees, and shorter side to which images are resized for evaluation.
    """

    def __init__(self, folder: ImageFolder, *, workers: int = 0, size: int = 224, shorter: int = 256) -> None:
        self.folder = folder
        self.workers = workers
        self.size = size
        self.shorter = shorter

    def __len__(self) -> int:
        """Number of images."""
        return len(self.folder)

    def augmented(
        self, chosen: Iterable[Tensor], augmentation: str, generator: torch.Generator, share: slice
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Random crops of the chosen images, batch by batch; each image has a seed of its own."""
        if augmentation != "resized_crop":
            raise ValueError(f"`FolderSplit`: got the augmentation {augmentation!r}, expected 'resized_crop'.")
        plan = []
        for batch in chosen:
            seeds = torch.randint(2**62, (len(batch),), generator=generator)
            plan.append(list(zip(batch[share].tolist(), seeds[share].tolist(), strict=True)))
        yield from self._load(plan)

    def plain(self, share: slice, batch: int = 250) -> Iterator[tuple[Tensor, Tensor]]:
        """Central crops of all images, in order."""
        own = [(i, None) for i in range(len(self))[share]]
        yield from self._load([own[i : i + batch] for i in range(0, len(own), batch)])

    def _load(self, plan: list[list[tuple[int, int | None]]]) -> Iterator[tuple[Tensor, Tensor]]:
        # A generator of its own keeps the loader from drawing on torch's stream of random numbers.
        yield from DataLoader(
            _Crops(self), batch_sampler=plan, num_workers=self.workers, generator=torch.Generator().manual_seed(0)
        )


class _Crops(Dataset):
    """Image and label by pairs of index and seed; the central crop where the seed is None."""

    def __init__(self, split: FolderSplit) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: tuple[int, int | None]) -> tuple[Tensor, Tensor]:
        index, seed = key
        split, image = self.split, self.split.folder.image(key[0])
        label = split.folder.labels[index]
        if seed is None:
            return central_crop(image, shorter=split.shorter, size=split.size).clone(), label
        return random_resized_crop(image, split.size, torch.Generator().manual_seed(seed)), label
