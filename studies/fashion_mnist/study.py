"""What search and confirmation share: the command line, the images and the features of kymatio."""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from studies.fashion_mnist.candidates import REFERENCE
from studies.fashion_mnist.network import Network, extract

#: Largest difference from kymatio's own features that counts as agreement.
AGREEMENT = 1e-5
TRANSFORMS = ("linear", "sqrt")


def arguments(description: str) -> argparse.ArgumentParser:
    """Options of both programs."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--device", default="cpu", help="torch device")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="idx.gz files")
    parser.add_argument("--kymatio", type=Path, help="folder that holds the package kymatio: compare the reference")
    parser.add_argument("--batch", type=int, default=1000, help="images at a time")
    parser.add_argument("--train", type=int, default=20_000, help="training images")
    return parser


def reference(images: Tensor, device: str, batch: int, kymatio: Path | None) -> Tensor:
    """Features of `REFERENCE`; with a folder, first compare a few images with those of the package itself."""
    network = Network(REFERENCE, device)
    if kymatio is not None:
        sample = images[:64].to(device)
        gap = _gap(network.features(sample), package(images.shape[-2:], 8, kymatio).to(device)(sample.contiguous()))
        print(f"reference against kymatio on {len(sample)} images: largest difference {gap:.1e}", flush=True)
        if gap > AGREEMENT:
            raise SystemExit(f"The reference differs from kymatio by {gap:.1e}, more than {AGREEMENT}.")
    return extract(network, images, batch)


def package(shape: Sequence[int], L: int, folder: Path | None = None) -> torch.nn.Module:
    """The package's own transform, J = 2; `folder` holds kymatio where it is not installed."""
    if folder is not None:
        sys.path.insert(0, str(folder))
    # Its package-wide front end loads the three-dimensional transform, which current SciPy breaks.
    module = importlib.import_module("kymatio.scattering2d.frontend.torch_frontend")
    return module.ScatteringTorch2D(2, tuple(shape), L=L)


def _gap(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, after undoing kymatio's circle constant: its Gaussians are divided by 3.1415."""
    count, paths = theirs.shape[:2]
    order = torch.tensor([0] + 16 * [1] + 64 * [2], device=ours.device)
    scaled = ours.reshape(count, paths, *theirs.shape[2:]) * (math.pi / 3.1415) ** (order[:, None, None] + 1.0)
    return float((scaled - theirs).abs().max())
