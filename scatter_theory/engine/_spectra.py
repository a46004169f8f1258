"""Spectra of maps, written where there is room for them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
from torch import Tensor

#: Samples of maps that are transformed one after another.
LARGE = 2**16


def spectra_into(u: Tensor, out: Tensor, d: int) -> Tensor:
    """Discrete Fourier transforms of maps over the last d axes, with no other large block of memory.

    torch makes all frequencies of real maps in a block of its own; here it makes one half of them in its place, and the
    other half follows from ``U[-k] = conj(U[k])``.

    Parameters
    ----------
    u : (*batch, *shape) tensor
        On the CPU.
    out : (*batch, *shape) complex tensor
        Contiguous.

    Returns
    -------
    (*batch, *shape) complex tensor
        `out`.
    """
    axes = tuple(range(-d, 0))
    if u.is_complex():
        return torch.fft.fftn(u, dim=axes, out=out)
    half = u.shape[-1] // 2 + 1
    shape = u.shape[-d:]
    # One after another where maps are large, as the transform has a block for what it is given.
    maps, spectra = (t.reshape(-1, *shape) for t in (u, out))
    step = 1 if math.prod(shape) >= LARGE else max(len(maps), 1)
    for i in range(0, len(maps), step):
        torch.fft.rfftn(maps[i : i + step], dim=axes, out=spectra[i : i + step, ..., :half])
    all_frequencies = out.numpy()
    last = slice((u.shape[-1] - 1) // 2, 0, -1)
    # Frequency 0 of an axis is its own mirror image; the others are mirrored among themselves.
    zero, others, mirrored = slice(0, 1), slice(1, None), slice(None, 0, -1)
    for places in product((False, True), repeat=d - 1):
        target = (..., *(others if p else zero for p in places), slice(half, None))
        source = (..., *(mirrored if p else zero for p in places), last)
        np.conjugate(all_frequencies[source], out=all_frequencies[target])
    return out
