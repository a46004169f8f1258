"""The package kymatio 0.3.0: its transforms, its filters as tensors, and its transforms as extractors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.adapters._kymatio_extractor import extractor, padded, sampled
from scatter_theory.adapters._kymatio_modules import load

__all__ = [
    "KymatioFilters",
    "extractor",
    "filters1d",
    "filters2d",
    "padded",
    "sampled",
    "scattering1d",
    "scattering2d",
]


@dataclass(frozen=True, eq=False)
class KymatioFilters:
    """Filters of one scattering layer.

    Parameters
    ----------
    spectra : (n_atoms, *shape) tensor
        Wavelets at the DFT frequencies, real, float64.
    output : (*shape) tensor
        Low-pass.
    j : tuple of int
        kymatio's scale of each wavelet; second-order paths have ``j2 > j1``.
    """

    spectra: Tensor
    output: Tensor
    j: tuple[int, ...]


def scattering1d(J: int, length: int, Q: int = 1, **options: Any) -> Any:
    """The one-dimensional torch transform, cast to float64.

    Parameters
    ----------
    J : int
        Octaves.
    length : int
        Samples of a signal.
    Q : int or (int, int)
        Wavelets per octave, of order 1 or of orders 1 and 2.
    **options
        As in ``kymatio.torch.Scattering1D``.

    Returns
    -------
    ScatteringTorch1D

    Raises
    ------
    ModuleNotFoundError
        If kymatio is not installed.
    """
    return load("scattering1d.frontend.torch_frontend").ScatteringTorch1D(J, length, Q=Q, **options).double()


def scattering2d(J: int, shape: tuple[int, int], L: int = 8, **options: Any) -> Any:
    """The two-dimensional torch transform, cast to float64.

    Parameters
    ----------
    J : int
        Octaves.
    shape : (int, int)
        Pixels of an image.
    L : int
        Directions over half a turn.
    **options
        As in ``kymatio.torch.Scattering2D``.

    Returns
    -------
    ScatteringTorch2D

    Raises
    ------
    ModuleNotFoundError
        If kymatio is not installed.
    """
    return load("scattering2d.frontend.torch_frontend").ScatteringTorch2D(J, shape, L=L, **options).double()


def filters1d(length: int, J: int, Q: int = 1) -> KymatioFilters:
    """First-order filters on a periodic grid.

    Parameters
    ----------
    length : int
        Samples of the grid, a power of two.
    J : int
        Octaves.
    Q : int
        Wavelets per octave.

    Returns
    -------
    KymatioFilters
        Spectra at the DFT frequencies k / `length`, in cycles per sample.

    Raises
    ------
    ModuleNotFoundError
        If kymatio is not installed.
    """
    bank = load("scattering1d.filter_bank")
    low, wavelets, _ = bank.scattering_filter_factory(length, J, (Q, 1), 2**J)
    return _tensors(wavelets, low)


def filters2d(shape: tuple[int, int], J: int, L: int = 8) -> KymatioFilters:
    """Filters on a periodic grid, as kymatio computes them, in single precision.

    Parameters
    ----------
    shape : (int, int)
        Samples of the grid, multiples of ``2^J``.
    J : int
        Octaves.
    L : int
        Directions over half a turn.

    Returns
    -------
    KymatioFilters
        Spectra at the DFT frequencies, in cycles per sample; float64 arrays of numbers in single precision.

    Raises
    ------
    ModuleNotFoundError
        If kymatio is not installed.
    """
    filters = load("scattering2d.filter_bank").filter_bank(*shape, J, L)
    return _tensors(filters["psi"], filters["phi"])


def _tensors(wavelets: list[dict[str, Any]], low: dict[str, Any]) -> KymatioFilters:
    spectra = np.stack([wavelet["levels"][0] for wavelet in wavelets]).astype(np.float64)
    output = np.asarray(low["levels"][0], dtype=np.float64)
    return KymatioFilters(
        torch.from_numpy(spectra), torch.from_numpy(output), tuple(int(wavelet["j"]) for wavelet in wavelets)
    )
