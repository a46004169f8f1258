"""The package kymatio 0.3.0 for comparison: its transforms and its filters, as tensors.

The one- and two-dimensional classes are taken from their own modules. The package-wide front ends also load the
three-dimensional one, which needs a function that SciPy removed in 1.17.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor


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


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"kymatio.{name}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"`scatter_theory.adapters.kymatio`: {error}. Install the extra: pip install 'scatter_theory[kymatio]'."
        ) from error


def scattering1d(J: int, length: int, Q: int = 1, **options: Any) -> Any:
    """The one-dimensional torch transform, cast to float64; `options` as in ``kymatio.torch.Scattering1D``."""
    return _load("scattering1d.frontend.torch_frontend").ScatteringTorch1D(J, length, Q=Q, **options).double()


def scattering2d(J: int, shape: tuple[int, int], L: int = 8, **options: Any) -> Any:
    """The two-dimensional torch transform, cast to float64; `options` as in ``kymatio.torch.Scattering2D``."""
    return _load("scattering2d.frontend.torch_frontend").ScatteringTorch2D(J, shape, L=L, **options).double()


def filters1d(length: int, J: int, Q: int = 1) -> KymatioFilters:
    """First-order filters on a periodic grid of `length` samples (a power of two)."""
    bank = _load("scattering1d.filter_bank")
    low, wavelets, _ = bank.scattering_filter_factory(length, J, (Q, 1), 2**J)
    return _tensors(wavelets, low)


def filters2d(shape: tuple[int, int], J: int, L: int = 8) -> KymatioFilters:
    """Filters on a periodic grid (multiples of ``2^J`` samples), as kymatio computes them, in single precision."""
    filters = _load("scattering2d.filter_bank").filter_bank(*shape, J, L)
    return _tensors(filters["psi"], filters["phi"])


def _tensors(wavelets: list[dict[str, Any]], low: dict[str, Any]) -> KymatioFilters:
    spectra = np.stack([wavelet["levels"][0] for wavelet in wavelets]).astype(np.float64)
    output = np.asarray(low["levels"][0], dtype=np.float64)
    return KymatioFilters(
        torch.from_numpy(spectra), torch.from_numpy(output), tuple(int(wavelet["j"]) for wavelet in wavelets)
    )
