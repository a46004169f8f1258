"""Compiled kernels for the CPU, built on first use where there is a C compiler.

The kernels are optional: without a compiler, on another device and under transformations of torch the same plan runs
with torch operations.
"""

from __future__ import annotations

import ctypes
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scatter_theory.compiled import compiled, switched_off
from scatter_theory.engine._packing import numpy_dtype

SOURCE = Path(__file__).with_name("kernels") / "kernels.c"
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-ffp-contract=fast", "-fopenmp", "-shared", "-fPIC")
PRECISION = {
    torch.float32: ("-DREAL=float", "-DSQRT=sqrtf"),
    torch.float64: ("-DREAL=double", "-DSQRT=sqrt"),
}
#: Largest prime factor of a grid length that the kernels transform; outputs per tile of a pooling in one dimension.
LARGEST_RADIX, TILE = 31, 8
#: Samples between outputs from which they share their weights; below, the matrix is small and faster.
LEAST_STEP = 128
#: Maps that are treated side by side.
LANES = 8
#: Samples of a line from which all threads treat the same maps; and where there are fewer maps than threads.
LONG, SHORT = 2**15, 2**11


def library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The compiled kernels for a real dtype; None where they cannot be had or are switched off."""
    return None if switched_off() else _build(dtype)


@functools.cache
def _build(dtype: torch.dtype) -> ctypes.CDLL | None:
    lib = compiled(SOURCE, (*FLAGS, *PRECISION[dtype]))
    return None if lib is None else _typed(lib)


class _Runs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("first", "target", "source", "length", "offset", "weights")] + [
        ("is_complex", ctypes.c_int64)
    ]


class _Transform(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("count", ctypes.c_int64)] + [
        (name, ctypes.c_void_p) for name in ("radix", "twiddles", "roots")
    ]


class _Edge(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("dimensions", "target", "source", "filters", "rows", "columns")),
        ("along_rows", _Transform),
        ("along_columns", _Transform),
        ("between", ctypes.c_void_p),
        ("pooled_rows", ctypes.c_int64),
        ("pooled_columns", ctypes.c_int64),
        ("pool_rows", ctypes.c_void_p),
        ("pool_columns", ctypes.c_void_p),
        *((f"pool_{name}", ctypes.c_int64) for name in ("step", "width", "start")),
        ("used_parts", ctypes.c_int64),
        ("used_size", ctypes.c_int64),
        ("used", ctypes.c_void_p),
        ("place", ctypes.c_void_p),
        ("band", ctypes.c_void_p),
        ("runs", _Runs),
    ]


class Input(ctypes.Structure):
    """Spectra ``(batch, parents, source)``, signals `stride` complex numbers apart; the `chosen` parents or all."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("batch", ctypes.c_int64),
        ("parents", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("chosen", ctypes.c_void_p),
    ]


def _typed(lib: ctypes.CDLL) -> ctypes.CDLL:
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    edge, maps = ctypes.POINTER(_Edge), ctypes.POINTER(Input)
    lib.propagate.argtypes = [edge, maps, *[pointer] * 4, size, size, size]
    lib.propagate.restype = size
    lib.propagate_gradient.argtypes = [edge, maps, *[pointer] * 5, size, size]
    lib.propagate_gradient.restype = size
    for name in ("fold", "unfold"):
        getattr(lib, name).argtypes = [ctypes.POINTER(_Runs), pointer, pointer, size, size, size, size, size]
        getattr(lib, name).restype = None
    lib.modulus.argtypes, lib.modulus.restype = [pointer, pointer, size, size], None
    return lib


def radices(n: int) -> list[int] | None:
    """Factors in which a length is transformed; None if one of them is too large."""
    found, rest = [], n
    for r in (4, 2, 3, 5, *range(7, LARGEST_RADIX + 1, 2)):
        while rest % r == 0:
            found.append(r)
            rest //= r
    return found if rest == 1 else None


def _circle(angles: np.ndarray, dtype: type) -> np.ndarray:
    """Interleaved cosines and sines."""
    return np.ascontiguousarray(np.stack([np.cos(angles), np.sin(angles)], -1).astype(dtype))


class CompiledRuns:
    """The runs of packed filters as the kernels want them; keeps the arrays alive."""

    def __init__(self, packed: Any, dtype: torch.dtype) -> None:
        real = numpy_dtype(dtype)
        weights = packed.weights
        if np.iscomplexobj(weights):
            weights = weights.view(weights.real.dtype)
        self.arrays = [
            np.ascontiguousarray(a)
            for a in (packed.first, packed.target_start, packed.source_start, packed.length, packed.offset)
        ] + [np.ascontiguousarray(weights, dtype=real)]
        self.structure = _Runs(*(a.ctypes.data for a in self.arrays), int(np.iscomplexobj(packed.weights)))


class CompiledPooling:
    """Matrices of an output map as the kernels want them, shared by all edges that lead to it.

    Parameters
    ----------
    matrices : sequence of (n_outputs, n_samples) float64 arrays
        One or two, by the axes of the grid.
    dtype : torch.dtype
    """

    def __init__(self, matrices: Any, dtype: torch.dtype) -> None:
        real = numpy_dtype(dtype)
        self.shape = [len(m) for m in matrices]
        if len(matrices) == 2:
            self.arrays = [np.ascontiguousarray(m.T, dtype=real) for m in matrices]
            self.steps = (0, 0, 0)
        else:
            table, *self.steps = _shifts(matrices[0], np.finfo(real).eps / 16)
            self.arrays = [np.ascontiguousarray(table, dtype=real), _bands(matrices[0])]


class CompiledEdge:
    """One edge of the plan as `propagate` wants it: filters, transforms and poolings.

    Parameters
    ----------
    packed : Packed
    pooling : CompiledPooling, optional
    dtype : torch.dtype
    """

    def __init__(self, packed: Any, pooling: CompiledPooling | None, dtype: torch.dtype) -> None:
        self.real = numpy_dtype(dtype)
        self.runs = CompiledRuns(packed, dtype)
        self.arrays: list[np.ndarray] = []
        d, target = len(packed.target), math.prod(packed.target)
        rows, columns = packed.target if d == 2 else _split(target)
        edge = _Edge(d, target, math.prod(packed.source), len(packed), rows, columns)
        edge.along_rows, edge.along_columns = self._transform(columns), self._transform(rows)
        if d == 1 and rows > 1:
            edge.between = self._kept(_between(rows, columns, self.real))
        if pooling is not None:
            self.arrays += pooling.arrays
            edge.pooled_rows = 1 if d == 1 else pooling.shape[0]
            edge.pooled_columns = pooling.shape[-1]
            edge.pool_columns = pooling.arrays[d - 1].ctypes.data
            edge.pool_step, edge.pool_width, edge.pool_start = pooling.steps
            if d == 1:
                edge.band = pooling.arrays[1].ctypes.data
            else:
                edge.pool_rows = pooling.arrays[0].ctypes.data
        used = _union(packed.source_start, packed.length)
        sizes = used[:, 1] - used[:, 0]
        edge.used_parts, edge.used_size, edge.used = len(used), int(sizes.sum()), self._kept(used.reshape(-1))
        interval = np.searchsorted(used[:, 0], packed.source_start, side="right") - 1
        shift = (np.cumsum(sizes) - sizes - used[:, 0])[interval]
        edge.place = self._kept((packed.source_start + shift).astype(np.int32))
        edge.runs = self.runs.structure
        self.structure, self.outputs, self.target, self.filters = (
            edge,
            int(edge.pooled_rows * edge.pooled_columns),
            target,
            len(packed),
        )

    def blocks(self, items: int) -> int:
        """Blocks of maps that are treated side by side: of all filters together where there are few spectra."""
        return -(-(items if items >= LANES else items * self.filters) // LANES)

    def together(self, jobs: int, threads: int) -> bool:
        """Whether all threads treat the same maps: long lines, whose scratch memory is large, or few of them."""
        if threads == 1 or self.structure.dimensions != 1 or self.structure.rows == 1:
            return False
        return self.target >= LONG or (self.target >= SHORT and jobs < threads)

    def _kept(self, array: np.ndarray) -> int:
        self.arrays.append(array)
        return array.ctypes.data

    def _transform(self, n: int) -> _Transform:
        factors, twiddles, roots = _tables(n, self.real)
        return _Transform(n, len(factors) - 1, *(self._kept(a) for a in (factors, twiddles, roots)))


# Shared by all edges: long lines would hold many copies of the same tables.
@functools.lru_cache(maxsize=256)
def _between(rows: int, columns: int, real: type) -> np.ndarray:
    """Factors between the two halves of a long line's transform."""
    return _circle(2 * np.pi * np.outer(np.arange(rows), np.arange(columns)) / (rows * columns), real)


@functools.lru_cache(maxsize=256)
def _tables(n: int, real: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors of a length, ended by 0, and the twiddles and roots of each."""
    factors = radices(n) or []
    twiddles, roots, l = [], [], 1
    for r in factors:
        m = n // (l * r)
        p, k = np.meshgrid(np.arange(m), np.arange(1, r), indexing="ij")
        twiddles.append(_circle(2 * np.pi * p * k / (m * r), real).reshape(-1))
        roots.append(_circle(2 * np.pi * np.arange(r) / r, real).reshape(-1))
        l *= r
    end = np.zeros(2, real)
    return np.array([*factors, 0], np.int32), np.concatenate([*twiddles, end]), np.concatenate([*roots, end])


def _union(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Intervals ``(n, 2)`` that cover all runs; gaps of less than a cache line are filled."""
    if len(start) == 0:
        return np.zeros((0, 2), np.int64)
    order = np.argsort(start)
    begin, end = start[order].astype(np.int64), np.maximum.accumulate((start + length)[order].astype(np.int64))
    apart = np.r_[True, begin[1:] > end[:-1] + 8]
    last = np.r_[np.flatnonzero(apart)[1:] - 1, len(begin) - 1]
    return np.ascontiguousarray(np.stack([begin[apart], end[last]], 1))


def _split(n: int) -> tuple[int, int]:
    """Rows and columns of a line of n samples: one row while it fits the first cache, else nearly a square."""
    if n <= 256:
        return 1, n
    rows = max(r for r in range(1, math.isqrt(n) + 1) if n % r == 0)
    return (rows, n // rows) if radices(rows) and n // rows <= 16 * rows else (1, n)


def _shifts(matrix: np.ndarray, tolerance: float) -> tuple[np.ndarray, int, int, int]:
    """Weights of a line's outputs, and what the kernels call step, width and start.

    Outputs that are shifts of each other, ``matrix[o, i] = g[i - o * step]`` with cyclic i, need the samples of g once
    for every distance in steps between sample and output, instead of all samples for every output. They may differ by
    `tolerance` of the largest weight.
    """
    outputs, n = matrix.shape
    step = int(np.abs(matrix[1]).argmax() - np.abs(matrix[0]).argmax()) % n if outputs > 1 else 0
    small = tolerance * max(matrix.max(initial=0.0), -matrix.min(initial=0.0))
    shifted = (np.abs(row - np.roll(matrix[0], o * step)).max() <= small for o, row in enumerate(matrix))
    if step < LEAST_STEP or n % step or not all(shifted):
        return matrix.T, n, outputs, 0
    turns = n // step
    distance = (turns - np.arange(turns + outputs)) % turns  # [start - q + o] is the distance q - o.
    return matrix[0].reshape(turns, step)[distance].T, step, turns + outputs, turns


def _bands(matrix: np.ndarray) -> np.ndarray:
    """First sample and number of samples, cyclic, outside of which each tile of rows vanishes."""
    n, bands = matrix.shape[1], []
    for start in range(0, matrix.shape[0], TILE):
        places = np.flatnonzero(np.abs(matrix[start : start + TILE]).max(0))
        if len(places) == 0:
            bands.append((0, 0))
            continue
        gaps = np.diff(np.r_[places, places[0] + n])
        widest = int(gaps.argmax())
        bands.append((int(places[(widest + 1) % len(places)]), int(n - gaps[widest] + 1)))
    return np.array(bands, np.int64).reshape(-1)


def supported(shape: tuple[int, ...]) -> bool:
    """Whether `propagate` transforms maps of this shape."""
    return len(shape) <= 2 and all(radices(n) is not None for n in shape)
