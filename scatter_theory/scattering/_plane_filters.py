"""Wavelets of the two-dimensional transform: the frame `Morlet`, in the order of kymatio 0.3.0."""

from __future__ import annotations

import math

import numpy as np

from scatter_theory.frames import Morlet
from scatter_theory.grid import Grid
from scatter_theory.scattering._wavelets import Wavelet

#: Centre (cycles per sample) and width in space (samples) of the finest wavelets; both are dilated by ``2^j``.
CENTRE, WIDTH = 0.375, 0.8


def plane_wavelets(J: int, L: int) -> list[Wavelet]:
    """Wavelets, fine to coarse, L directions each: number theta points at the angle ``(L/2 - 1 - theta) pi / L``."""
    return [
        Wavelet(CENTRE * 2.0**-j, 1 / (2 * math.pi * WIDTH * 2.0**j), j, theta) for j in range(J) for theta in range(L)
    ]


def plane_spectra(shape: tuple[int, int], J: int, L: int) -> tuple[np.ndarray, np.ndarray]:
    """Wavelets and low-pass at the DFT frequencies, both float64: ``(J L, *shape)`` and ``shape``."""
    bank = Morlet(J=J, L=L).on(Grid.of(shape), sided="half")
    return bank.spectra.numpy(), bank.output.numpy()
