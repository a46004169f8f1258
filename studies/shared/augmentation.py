"""Random crops, flips and normalisation on tensors, every draw from a given ``torch.Generator``.

>>> import torch
>>> images = torch.arange(2 * 3 * 32 * 32, dtype=torch.int64).remainder(256).to(torch.uint8).reshape(2, 3, 32, 32)
>>> normalise(crop_and_flip(images, torch.Generator().manual_seed(0))).shape
torch.Size([2, 3, 32, 32])
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

#: Mean and standard deviation of the channels of ImageNet, for pixels from 0 to 1. The published recipes have them for
#: CIFAR as well.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

#: Range of the area of a random crop as a share of the image, as in the released code of ReSTE (Wu et al. 2023).
#: Shares above 1 never fit and are drawn again, so that only the number of vain draws differs from (0.08, 1).
SCALE = (0.08, 1.25)
RATIO = (3 / 4, 4 / 3)


def normalise(images: Tensor) -> Tensor:
    """Pixels ``(..., 3, height, width)`` of type uint8 to float32 of about mean 0 and standard deviation 1."""
    if images.dtype != torch.uint8:
        raise TypeError(f"`normalise(images=...)`: got {images.dtype}, expected uint8 pixels from 0 to 255.")
    mean = torch.tensor(MEAN, device=images.device).reshape(3, 1, 1)
    std = torch.tensor(STD, device=images.device).reshape(3, 1, 1)
    return (images.float() / 255 - mean) / std


def crop_and_flip(images: Tensor, generator: torch.Generator, *, padding: int = 4) -> Tensor:
    """Each image moved by up to `padding` pixels in both axes, with black beyond its border, and mirrored or not.

    Parameters
    ----------
    images : Tensor
        ``(count, channels, height, width)``; black is 0, so that this comes before `normalise`.
    generator : torch.Generator
        On the CPU, whatever the device of `images`.
    padding : int
        Largest shift.

    Returns
    -------
    Tensor
        Shape, dtype and device of `images`.
    """
    count, _, height, width = images.shape
    shifts = torch.randint(2 * padding + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    rows = shifts[0] + torch.arange(height)
    columns = torch.where(mirrored, shifts[1] + width - 1 - torch.arange(width), shifts[1] + torch.arange(width))
    rows, columns = rows.to(images.device), columns.to(images.device)
    padded = F.pad(images, (padding, padding, padding, padding))
    # Indices on both sides of the slice put the channels last.
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def resized_crop_box(
    height: int,
    width: int,
    generator: torch.Generator,
    *,
    scale: tuple[float, float] = SCALE,
    ratio: tuple[float, float] = RATIO,
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random part of an image.

    The share of the area is uniform in `scale`, the logarithm of width to height is uniform in that of `ratio`, and
    the place is uniform. What does not fit is drawn again. After ten vain draws it is the largest central part whose
    sides are within `ratio`. These are the rules of torchvision's ``RandomResizedCrop``.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        a, b = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        area = height * width * (scale[0] + (scale[1] - scale[0]) * a)
        aspect = math.exp(low + (high - low) * b)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(torch.randint(height - h + 1, (), generator=generator))
            left = int(torch.randint(width - w + 1, (), generator=generator))
            return top, left, h, w
    h, w = height, width
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


def random_resized_crop(
    image: Tensor,
    size: int,
    generator: torch.Generator,
    *,
    scale: tuple[float, float] = SCALE,
    ratio: tuple[float, float] = RATIO,
) -> Tensor:
    """A random part of one image, resized to ``(channels, size, size)`` and mirrored or not.

    Parameters
    ----------
    image : Tensor
        ``(channels, height, width)``, uint8.
    size : int
        Height and width of the result.
    generator : torch.Generator
        On the CPU.
    scale, ratio
        As for `resized_crop_box`.
    """
    top, left, h, w = resized_crop_box(*image.shape[-2:], generator, scale=scale, ratio=ratio)
    part = resize(image[:, top : top + h, left : left + w], size, size)
    return part.flip(-1) if float(torch.rand((), generator=generator)) < 0.5 else part


def central_crop(image: Tensor, *, shorter: int = 256, size: int = 224) -> Tensor:
    """One image with its shorter side resized to `shorter`, and of that the central square of side `size`."""
    height, width = image.shape[-2:]
    h = shorter if height <= width else int(shorter * height / width)
    w = shorter if width <= height else int(shorter * width / height)
    top, left = round((h - size) / 2), round((w - size) / 2)
    return resize(image, h, w)[:, top : top + size, left : left + size]


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Bilinear interpolation, with a wider filter where it shrinks; uint8 ``(channels, height, width)`` to the same."""
    return F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0]
