"""Compiled passes over a tensor for the indicators, built on first use where there is a C compiler.

They are optional: without a compiler, on another device, in another precision or layout, and for surrogates that are no
power functions, torch does the same in several passes.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
from pathlib import Path

import torch
from torch import Tensor

from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._reste import ReSTE
from scatter_theory.bnn._straight_through import ClippedSTE, IdentitySTE
from scatter_theory.compiled import PASS_FLAGS, compiled, switched_off

SOURCE = Path(__file__).with_name("_kernels.c")

#: Least number of entries for a thread.
PART = 1 << 15


def library() -> ctypes.CDLL | None:
    """The compiled passes; None where they cannot be had or are switched off."""
    return None if switched_off() else _build()


def fits(x: Tensor) -> bool:
    """Whether the passes can read a tensor, whose entries must lie side by side."""
    plain = type(x) is Tensor and x.device.type == "cpu" and x.dtype == torch.float32 and x.is_contiguous()
    return plain and library() is not None


def as_power(curve: Estimator) -> tuple[float, float, float, float, float] | None:
    """A surrogate as (a, slope, k, b, above): slope * u up to a, u^k up to b, then a constant; None for others."""
    if type(curve) is IdentitySTE:
        return 0.0, 0.0, 1.0, math.inf, 0.0
    if type(curve) is ClippedSTE:
        return 0.0, 0.0, 1.0, curve.c, curve.c
    if type(curve) is not ReSTE:
        return None
    k = 1 / curve.o
    if curve.convention == "power":
        return 0.0, 0.0, k, math.inf, 0.0
    slope = curve.m ** (k - 1) if curve.m else 0.0
    return curve.m, slope, k, curve.t, 1.0 if curve.convention == "figure" else curve.t**k


def stops_beyond_its_limit(estimator: Estimator) -> bool:
    """Whether the multiplier is known to be 0 beyond the outer limit and nowhere else, without evaluating it."""
    return type(estimator) in (IdentitySTE, ClippedSTE) or (type(estimator) is ReSTE and estimator.o < math.inf)


def latent(z: Tensor, limits: tuple[float, float], skip_zero: bool, curves: list[tuple[float, ...]]) -> list[float]:
    """Finite, saturated, inner; then the sum of squared deviations of each curve."""
    size, parts = 3 + len(curves), _parts(z)
    out = (ctypes.c_double * (size * parts))()
    table = (ctypes.c_float * (5 * len(curves)))(*itertools.chain.from_iterable(curves))
    inner, outer = limits
    bounds = (inner if inner > 0 else -1.0, outer)
    _call().latent(z.data_ptr(), z.numel(), *bounds, skip_zero, table, len(curves), parts, out)
    return out[:size]


def gradient(g: Tensor) -> list[float]:
    """Number, mean and sum of squared deviations of the finite moduli."""
    parts = _parts(g)
    out = (ctypes.c_double * (3 * parts))()
    _call().gradient(g.data_ptr(), g.numel(), parts, out)
    return out[:3]


def _parts(x: Tensor) -> int:
    """Threads that are worth their start."""
    return max(1, min(torch.get_num_threads(), x.numel() // PART))


def _call() -> ctypes.CDLL:
    lib = library()
    assert lib is not None, "`fits` was not asked"
    return lib


@functools.cache
def _build() -> ctypes.CDLL | None:
    lib = compiled(SOURCE, (*PASS_FLAGS, "-fopenmp")) or compiled(SOURCE, PASS_FLAGS)
    return None if lib is None else _typed(lib)


def _typed(lib: ctypes.CDLL) -> ctypes.CDLL:
    pointer, size, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    lib.latent.argtypes = [pointer, size, real, real, size, pointer, size, size, pointer]
    lib.gradient.argtypes = [pointer, size, size, pointer]
    lib.latent.restype = lib.gradient.restype = None
    return lib
