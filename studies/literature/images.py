"""Fashion-MNIST and the digits of scikit-learn, and the classifier that all parts on images share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from studies.fashion_mnist.classifier import PENALTIES, Standardised, errors
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


def wrong(features: Tensor, data: Images) -> tuple[Tensor, float]:
    """Wrong predictions of ridge regression on the test images, and its penalty; see ``fashion_mnist/classifier``."""
    n = data.train
    return errors(features[:n], data.labels[:n], features[n:], data.labels[n:])


def errors_by_penalty(features: Tensor, data: Images) -> dict[float, float]:
    """Test errors in per cent of the same classifier, for each penalty among which `wrong` chooses."""
    n = data.train
    whole = Standardised.of(features[:n], data.labels[:n])
    missed = {p: whole.predict(features[n:], p) != data.labels[n:] for p in PENALTIES}
    return {p: 100 * float(flags.double().mean()) for p, flags in missed.items()}


def packed(flags: Tensor) -> str:
    """Flags as hexadecimal digits, eight to a byte."""
    return np.packbits(flags.numpy().astype(np.uint8)).tobytes().hex()


def unpacked(text: str, count: int) -> Tensor:
    """The first `count` flags of `packed`."""
    return torch.from_numpy(np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count].astype(bool))
