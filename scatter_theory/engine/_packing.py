r"""Filters on a grid, followed by sampling on a coarser one, as sparse matrices between frequencies.

Let f be a trigonometric polynomial with coefficients at the signed frequencies k of a grid of M samples per axis, and
g an atom. Its samples at m points per axis, ``(f * g)(j L / m)``, are the inverse DFT of

.. math:: Y[t] = \sum_{k \equiv t \bmod m} \hat g[k] X[k] .

If the atom lives on at most m consecutive frequencies per axis no two of them meet in one t and the sum is a crop;
otherwise it is a fold. Either way the samples are exact, whether or not m divides M.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch


def signed(n: int) -> np.ndarray:
    """Signed frequencies of a grid of n samples in FFT order; -n/2 for the Nyquist frequency of even n."""
    k = np.arange(n)
    return np.where(k < (n + 1) // 2, k, k - n)


def restricted(spectra: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values ``(..., *shape)`` at the frequencies of a coarser grid of the same extent."""
    d = len(shape)
    for axis, m in enumerate(shape):
        n = spectra.shape[spectra.ndim - d + axis]
        if m != n:
            spectra = np.take(spectra, signed(m) % n, axis=spectra.ndim - d + axis)
    return spectra


@dataclass(frozen=True, eq=False)
class Packed:
    """Several filters from one source grid to one target grid, as runs of consecutive frequencies.

    Parameters
    ----------
    source, target : tuple of int
        Shapes of the grids. With `half` the last target axis holds the frequencies 0..m/2 only.
    first : (n_filters + 1,) int64 array
        Runs of filter a: ``first[a] .. first[a + 1] - 1``.
    target_start, source_start, length : (n_runs,) int32 arrays
        ``Y[target_start + i] += w X[source_start + i]`` for ``0 <= i < length``, in flattened frequencies.
    offset : (n_runs,) int64 array
        Index of the first weight of each run.
    weights : (n_weights,) real or complex array
    half : bool
        Whether the target spectrum is Hermitian and only its non-redundant half is kept.
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    first: np.ndarray
    target_start: np.ndarray
    source_start: np.ndarray
    length: np.ndarray
    offset: np.ndarray
    weights: np.ndarray
    half: bool = False

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def spectrum_shape(self) -> tuple[int, ...]:
        """Shape of the target spectrum."""
        return (*self.target[:-1], self.target[-1] // 2 + 1) if self.half else self.target

    def part(self, begin: int, end: int) -> Packed:
        """The filters ``begin <= a < end``."""
        low, high = int(self.first[begin]), int(self.first[end])
        start = int(self.offset[low]) if low < len(self.offset) else len(self.weights)
        stop = int(self.offset[high]) if high < len(self.offset) else len(self.weights)
        runs = slice(low, high)
        return replace(
            self,
            first=self.first[begin : end + 1] - low,
            target_start=self.target_start[runs],
            source_start=self.source_start[runs],
            length=self.length[runs],
            offset=self.offset[runs] - start,
            weights=self.weights[start:stop],
        )

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Filter, target frequency and source frequency of every weight."""
        within = np.arange(len(self.weights)) - np.repeat(self.offset, self.length)
        filters = np.repeat(np.repeat(np.arange(len(self)), np.diff(self.first)), self.length)
        return (
            filters,
            np.repeat(self.target_start, self.length) + within,
            np.repeat(self.source_start, self.length) + within,
        )

    def slots(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as arrays of equal length: ``Y[a, t] = sum_s weight[s, a, t] X[index[s, a, t]]``.

        Returns
        -------
        index : (n_slots, n_filters, target size) int64 array
        weight : array of the same shape; 0 where a slot is empty
        """
        filters, targets, sources = self.entries()
        size = math.prod(self.spectrum_shape)
        cell = filters.astype(np.int64) * size + targets
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]]) if len(cell) else np.zeros(0, int)
        rank = np.arange(len(cell)) - np.repeat(starts, np.diff(np.r_[starts, len(cell)]))
        slots = int(rank.max()) + 1 if len(rank) else 1
        index = np.zeros((slots, len(self) * size), np.int64)
        weight = np.zeros((slots, len(self) * size), self.weights.dtype)
        index[rank, cell] = sources[order]
        weight[rank, cell] = self.weights[order]
        return index.reshape(slots, len(self), size), weight.reshape(slots, len(self), size)


def pack(
    spectra: np.ndarray,
    target: tuple[int, ...],
    *,
    drop: float,
    scale: float = 1.0,
    half: bool = False,
    across: float | None = None,
    precision: torch.dtype = torch.float64,
) -> Packed:
    """Pack filters for sampling on a target grid.

    Parameters
    ----------
    spectra : (n_filters, *source shape) float64 or complex128 array
        Values at the DFT frequencies of the source grid.
    target : tuple of int
        Shape of the target grid.
    drop : float
        Values of at most this share of a filter's largest modulus are left out.
    scale : float
        Factor on all weights.
    half : bool
        Keep the frequencies 0..m/2 of the last target axis only, for Hermitian products. Not done where a filter holds
        the Nyquist frequency of the source and the target is another grid: between samples it has no sign.
    across : float, optional
        Filters across the Nyquist frequency count as one band instead of two: on the source grid nobody can tell,
        between its points the modulus is smooth only so. The band is what exceeds this share of the peak.
    precision : torch.dtype
        Of the weights: ``torch.float32`` or ``torch.float64``.
    """
    source = spectra.shape[1:]
    half = half and (source == tuple(target) or not _holds_nyquist(spectra, drop))
    columns = target[-1] // 2 + 1 if half else target[-1]
    plain = [signed(n) % m for n, m in zip(source, target, strict=True)]
    if not spectra.imag.any() if np.iscomplexobj(spectra) else False:
        spectra = spectra.real
    parts, counts, dtype = [], [], numpy_dtype(precision, np.iscomplexobj(spectra))
    for spectrum in spectra:
        size = np.abs(spectrum)
        lookup = plain if across is None else [k % m for k, m in zip(_unwrapped(size, across), target, strict=True)]
        index = np.flatnonzero(size > drop * size.max())
        position = np.unravel_index(index, source)
        wrapped = [table[p] for table, p in zip(lookup, position, strict=True)]
        if half:
            keep = wrapped[-1] < columns
            index, wrapped = index[keep], [w[keep] for w in wrapped]
        to = wrapped[0]
        for w, m in zip(wrapped[1:], (*target[:-1], columns)[1:], strict=True):
            to = to * m + w
        breaks = np.flatnonzero((np.diff(index) != 1) | (np.diff(to) != 1)) + 1
        starts = np.r_[0, breaks].astype(np.int64) if len(index) else np.zeros(0, np.int64)
        lengths = np.diff(np.r_[starts, len(index)])
        weights = (spectrum.reshape(-1)[index] * scale).astype(dtype)
        parts.append((to[starts], index[starts], lengths, weights))
        counts.append(len(starts))
    length = np.concatenate([p[2] for p in parts]) if parts else np.zeros(0)
    return Packed(
        source=tuple(source),
        target=tuple(target),
        first=np.r_[0, np.cumsum(counts)].astype(np.int64),
        target_start=_joined(parts, 0, np.int32),
        source_start=_joined(parts, 1, np.int32),
        length=length.astype(np.int32),
        offset=(np.cumsum(length) - length).astype(np.int64),
        weights=_joined(parts, 3, dtype),
        half=half,
    )


def _holds_nyquist(spectra: np.ndarray, drop: float) -> bool:
    """Whether a filter is not negligible at -n/2 of some axis of even length n."""
    size = np.abs(spectra)
    least = drop * size.max(axis=tuple(range(1, size.ndim)), keepdims=True, initial=0.0)
    even = [axis for axis in range(1, size.ndim) if size.shape[axis] % 2 == 0]
    return any(bool((np.take(size > least, size.shape[axis] // 2, axis=axis)).any()) for axis in even)


def numpy_dtype(precision: torch.dtype, is_complex: bool = False) -> type:
    """NumPy's real or complex type of a precision of torch."""
    if precision == torch.float32:
        return np.complex64 if is_complex else np.float32
    return np.complex128 if is_complex else np.float64


def _joined(parts: list[tuple[np.ndarray, ...]], position: int, dtype: np.dtype | type) -> np.ndarray:
    return np.concatenate([p[position] for p in parts]).astype(dtype, copy=False) if parts else np.zeros(0, dtype)


def widths(spectrum: np.ndarray, tolerance: float) -> tuple[int, ...]:
    """Per axis, the length of the shortest circular interval outside of which all values are small.

    Small is: at most `tolerance` times the largest modulus. At least 1.
    """
    size = np.abs(spectrum)
    large = size > tolerance * size.max()
    return tuple(
        _interval(large.any(axis=tuple(a for a in range(large.ndim) if a != axis)))[1] for axis in range(large.ndim)
    )


def _unwrapped(size: np.ndarray, tolerance: float) -> list[np.ndarray]:
    """Frequencies per axis, shifted by whole periods so that the band of a filter is one interval around its centre."""
    large = size > tolerance * size.max()
    axes = []
    for axis, n in enumerate(size.shape):
        start, length = _interval(large.any(axis=tuple(a for a in range(size.ndim) if a != axis)))
        first = start if 2 * start + length - 1 < n else start - n
        low = first + (length - n) // 2
        axes.append((np.arange(n) - low) % n + low)
    return axes


def reaches(spectrum: np.ndarray, tolerance: float) -> tuple[int, ...]:
    """Per axis, ``2 r + 1`` for the largest |k| = r of a value that is not small; small as in `widths`."""
    size = np.abs(spectrum)
    large = size > tolerance * size.max()
    found = []
    for axis, n in enumerate(large.shape):
        used = large.any(axis=tuple(a for a in range(large.ndim) if a != axis))
        found.append(2 * int(np.abs(signed(n)[used]).max(initial=0)) + 1)
    return tuple(found)


def _interval(large: np.ndarray) -> tuple[int, int]:
    """First place and length of the shortest cyclic interval that holds all true entries."""
    places = np.flatnonzero(large)
    if len(places) == 0:
        return 0, 1
    gaps = np.diff(np.r_[places, places[0] + len(large)])
    widest = int(gaps.argmax())
    return int(places[(widest + 1) % len(places)]), int(len(large) - gaps[widest] + 1)


def comfortable(width: float, limit: int) -> int:
    """Smallest of ``2^a``, ``5/4 2^a`` and ``3/2 2^a`` that is at least `width`, and at most `limit`."""
    if width >= limit:
        return limit
    power = 2 ** math.floor(math.log2(max(width, 1.0)))
    sizes = (power * quarters // 4 for quarters in (4, 5, 6, 8) if power * quarters % 4 == 0)
    return min(next(size for size in sizes if size >= width), limit)
