"""The compiled pass that counts the outputs of an activation, built on first use where there is a C compiler.

It is optional: without a compiler, on another device, in another precision or layout, torch finds the same integers in
several passes.
"""

from __future__ import annotations

import ctypes
import functools
import math
from pathlib import Path

import torch
from torch import Tensor

from scatter_theory.compiled import PASS_FLAGS, compiled, switched_off

SOURCE = Path(__file__).with_name("_kernels.c")

#: Least number of entries for a thread.
PART = 1 << 15


def library() -> ctypes.CDLL | None:
    """The compiled pass; None where it cannot be had or is switched off."""
    return None if switched_off() else _build()


def fits(v: Tensor, seen: Tensor | None) -> bool:
    """Whether the pass can read a tensor of shape ``(samples, channels, *positions)``, and has flags to write to."""
    plain = type(v) is Tensor and v.device.type == "cpu" and v.dtype == torch.float32 and v.is_contiguous()
    return plain and seen is not None and library() is not None


def count(v: Tensor, low: float, high: float, counts: Tensor, magnitude: Tensor, seen: Tensor) -> Tensor:
    """Add the counters of one tensor to `counts`, `magnitude` and `seen`; dead and silent per sample, whole numbers."""
    lib = library()
    assert lib is not None, "`fits` was not asked"
    samples, channels, positions = v.shape[0], v.shape[1], math.prod(v.shape[2:])
    parts = max(1, min(torch.get_num_threads(), channels, v.numel() // PART))
    found = torch.zeros((parts, samples, 2), dtype=torch.int32)
    extremes = torch.empty((2, *v.shape[1:]), dtype=torch.float32)
    pointers = [t.data_ptr() for t in (counts, magnitude, seen, found, extremes)]
    lib.count(v.data_ptr(), samples, channels, positions, low, high, *pointers, parts)
    return found[0] if parts == 1 else found.sum(0)


@functools.cache
def _build() -> ctypes.CDLL | None:
    lib = compiled(SOURCE, (*PASS_FLAGS, "-fopenmp")) or compiled(SOURCE, PASS_FLAGS)
    if lib is not None:
        pointer, size, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        lib.count.argtypes = [pointer, size, size, size, real, real, *[pointer] * 5, size]
        lib.count.restype = None
    return lib
