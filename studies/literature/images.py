"""Fashion-MNIST and the digits of scikit-learn, their features, and what a classifier makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from studies.fashion_mnist.dataset import load

#: Images to features ``(count, n)``.
Features = Callable[[Tensor], Tensor]
#: Images at a time.
BATCH = 500


@dataclass(frozen=True, eq=False)
class Images:
    """Images ``(count, side, side)``, float32 in [0, 1], and labels; the first `train` are learned from."""

    images: Tensor
    labels: Tensor
    train: int

    def few(self, train: int) -> Images:
        """The first `train` training images, and all test images."""
        keep = torch.cat([torch.arange(train), torch.arange(self.train, len(self.labels))])
        return Images(self.images[keep], self.labels[keep], train)


def fashion(folder: Path, train: int, test: int) -> Images:
    """The first `train` images of the training file and the first `test` of the test file.

    Raises
    ------
    ValueError
        If a file has fewer images.
    """
    parts = []
    for part, count in (("train", train), ("t10k", test)):
        x, y = load(folder, part)
        if len(x) < count:
            raise ValueError(f"`fashion({part}: {count})`: the file in {folder} has {len(x)} images.")
        parts.append((x[:count], y[:count]))
    (x, y), (u, v) = parts
    return Images(torch.cat([x, u]), torch.cat([y, v]), train)


def digits(train: int) -> Images:
    """The 1,797 digits in an order drawn with seed 0; those after the first `train` are for the test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    images = torch.from_numpy((found.images[order] / 16).astype(np.float32))
    return Images(images, torch.from_numpy(found.target[order].astype(np.int64)), train)


@dataclass(frozen=True, eq=False)
class Fit:
    """What a classifier makes of features.

    Parameters
    ----------
    wrong : (tests,) bool tensor
        Wrong answers on the test images.
    validation : float
        Error in per cent on training images that were left out, with the constants that have been chosen by it.
    chosen : dict
        These constants by name.
    """

    wrong: Tensor
    validation: float
    chosen: dict[str, float]


@torch.no_grad()
def extracted(features: Features, images: Tensor) -> Tensor:
    """Features of all images, in batches."""
    return torch.cat([features(part).flatten(1).float() for part in images.split(BATCH)])


def resampled(values: Tensor, samples: int) -> Tensor:
    """Outputs ``(..., m, m)`` on a grid of `samples` per axis: values of their trigonometric interpolants."""
    for axis in (-2, -1):
        m = values.shape[axis]
        k = torch.fft.fftfreq(m, 1 / m, dtype=torch.float64, device=values.device)
        x = torch.arange(samples, dtype=torch.float64, device=values.device) / samples
        waves = torch.exp(2j * torch.pi * x[:, None] * k[None])
        # The real part makes the Nyquist term of an even grid a cosine.
        matrix = torch.fft.fft(waves, dim=1).real / m
        values = torch.tensordot(values, matrix.to(values.dtype), dims=([axis], [1])).movedim(-1, axis)
    return values


def standardised(features: Tensor, train: int) -> Tensor:
    """Features with mean 0 and variance 1 over the first `train` images.

    A feature that varies less than a millionth of the one that varies most is rounding, and becomes 0.
    """
    deviation = features[:train].std(0)
    scale = torch.where(deviation > 1e-6 * deviation.max(), deviation, torch.inf)
    return (features - features[:train].mean(0)).div_(scale)


def packed(flags: Tensor) -> str:
    """Flags as hexadecimal digits, eight to a byte."""
    return np.packbits(flags.numpy().astype(np.uint8)).tobytes().hex()


def unpacked(text: str, count: int) -> Tensor:
    """The first `count` flags of `packed`."""
    return torch.from_numpy(np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count].astype(bool))
