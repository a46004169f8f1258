"""One signal, given to a certificate: its polynomial, and what was left out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.signals import BandLimitedSignal, Interpolant
from scatter_theory.trigonometric import Polynomial


def single(f: Any, grid: Grid, owner: str) -> tuple[Polynomial, float]:
    """The polynomial, batch ``()``, and the share of the energy without the mean that an array loses.

    Raises
    ------
    TypeError
        For anything but a band-limited signal, a tensor or an array.
    ValueError
        For a batch of several signals, or another grid.
    """
    if isinstance(f, np.ndarray):
        f = torch.from_numpy(f)
    if isinstance(f, Tensor):
        f = Interpolant(f.detach(), grid)
    if not isinstance(f, BandLimitedSignal):
        raise TypeError(
            f"`{owner}(f=...)`: got {type(f).__name__}, expected an array, or a band-limited signal such as "
            "`signals.Interpolant(values, grid)`: the certificate needs derivatives."
        )
    grid.check_extent(f.extent, owner, "signal")
    if f.batch not in ((), (1,)):
        raise ValueError(f"`{owner}(f=...)`: got a batch {f.batch}, expected one signal; certify them one by one.")
    p = f.polynomial
    coefficients = p.coefficients.detach().reshape(p.box)
    dropped = float(f.dropped.max()) if isinstance(f, Interpolant) else 0.0
    return Polynomial(coefficients, p.extent, p.real), dropped
