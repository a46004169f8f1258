"""Filters at the frequencies of a coarser grid.

A convolution of maps that are sampled at every ``2^k``-th sample wants the filter at the low frequencies of the grid.
"""

from __future__ import annotations

import numpy as np

from scatter_theory.engine import restricted


def folded(spectra: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Mean over the aliases, ``(..., n) -> (..., m)`` for m that divides n: what kymatio 0.3.0 does in one dimension.

    The mean, where the samples of the filter would be the sum, divides filters by two for every halving of the rate.
    """
    (m,) = shape
    n = spectra.shape[-1]
    return spectra.reshape(*spectra.shape[:-1], n // m, m).mean(-2)


def energetic(spectra: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Low frequencies, and at a new Nyquist frequency the root mean square of the two values that meet there.

    Keeps the sum ``|phi(w)|^2 + 1/2 sum (|psi(w)|^2 + |psi(-w)|^2)`` of a bank wherever it is constant, the Nyquist
    frequencies included: there both terms of a pair are the mean of the squares at ``w`` and at its alias.

    Parameters
    ----------
    spectra : (..., *fine shape) float64 array
    shape : tuple of int
    """
    d = len(shape)
    for axis, m in zip(range(-d, 0), shape, strict=True):
        n = spectra.shape[axis]
        if m < n and m % 2 == 0:
            low, high = np.take(spectra, [n - m // 2], axis), np.take(spectra, [m // 2], axis)
            spectra = np.moveaxis(spectra.copy(), axis, 0)
            spectra[n - m // 2] = np.moveaxis(np.sqrt((low**2 + high**2) / 2), axis, 0)[0]
            spectra = np.moveaxis(spectra, 0, axis)
    return restricted(spectra, shape)
