r"""The output map of a group: ``u -> (u * chi)`` sampled on the output grid.

The low-pass has few frequencies, so that the map is small: per axis a matrix takes the samples of u to those few
frequencies or, where the output atom is a product over the axes, at once to the samples of the result. No transform of
u is needed. On long lines, where such matrices would be large, u is transformed, filtered and sampled like any other
filter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scatter_theory.engine._packing import Packed, numpy_dtype, pack, signed

#: A matrix route may cost this many times as many multiplications as the transform it replaces.
MATRIX_ADVANTAGE = 6.0
#: Real numbers held per coefficient during the mixing: the coefficient and four complex intermediate results.
MIXED = 9
#: Entries of a matrix along one axis above which a transform is used whatever it costs.
LARGEST_MATRIX = 2**20
#: Entries of a matrix that are computed at once.
ROWS_AT_ONCE = 2**14


@dataclass(frozen=True, eq=False)
class Mixing:
    """What follows the matrices where the output atom is no product: few numbers per map.

    Parameters
    ----------
    phases : tuple of (n_frequencies, n_coefficients) complex arrays
        From cosine and sine coefficients to complex exponentials, one matrix per axis.
    values : (*n_frequencies) complex array
        The output atom.
    samples : tuple of (n_samples, n_frequencies) complex arrays
        From frequencies to samples of the output grid.
    """

    phases: tuple[np.ndarray, ...]
    values: np.ndarray
    samples: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Output:
    """Linear map from samples of u to samples of ``u * chi``.

    Parameters
    ----------
    source, target : tuple of int
        Grid of u and of the result.
    kept : tuple of slice
        Samples of the output grid that are wanted, per axis.
    matrices : tuple of (n, m) float64 arrays
        One per axis; empty if `spectral` is used.
    mixing : Mixing, optional
        Applied to the result of the matrices.
    spectral : Packed, optional
        The output atom as a filter.
    real : bool
        Whether real maps have real results.
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    kept: tuple[slice, ...]
    matrices: tuple[np.ndarray, ...] = ()
    mixing: Mixing | None = None
    spectral: Packed | None = None
    real: bool = True

    @property
    def held(self) -> int:
        """Real numbers held per map while its features are made by matrices."""
        coefficients = math.prod(len(m) for m in self.matrices) if self.matrices else 0
        return coefficients * (MIXED if self.mixing is not None else 1)


def output_map(
    chi: np.ndarray,
    target: tuple[int, ...],
    *,
    drop: float,
    scale: float = 1.0,
    kept: tuple[slice, ...] | None = None,
    transformed: bool = False,
    precision: torch.dtype = torch.float64,
    real_maps: bool = True,
) -> Output:
    """Output map for an output atom given at the DFT frequencies of the source grid.

    Parameters
    ----------
    chi : (*source shape) float64 or complex128 array
    target : tuple of int
        Output grid.
    drop : float
        Frequencies and matrix entries of at most this share of the largest are left out.
    scale : float
        Factor on the result.
    kept : tuple of slice, optional
        Samples of the output grid that are wanted, per axis. Default: all.
    transformed : bool
        Whether the transforms of the maps are known anyway, because they have children. Then long lines need no matrix.
    precision : torch.dtype
        Of the matrices and weights.
    real_maps : bool
        Whether the maps are real. A Nyquist frequency has no sign on the source grid; between its points it is the
        negative one, and real maps have the real part. Where it is not negligible that needs a transform.
    """
    kept = kept if kept is not None else (slice(None),) * chi.ndim
    source, d, size = chi.shape, chi.ndim, chi.size
    reach = [_reach(chi, axis, drop) for axis in range(d)]
    real = is_hermitian(chi)
    factors = _factors(chi) if real else None
    if factors is not None and d == 1:
        lengths = [_response_length(factors[0], drop)]
    else:
        lengths = [min(2 * r + 1, n) for r, n in zip(reach, source, strict=True)]
    outputs = [len(range(*part.indices(m))) for part, m in zip(kept, target, strict=True)]
    if factors is None:
        cost = _matrix_cost(source, lengths) + mixing_cost(lengths, outputs)
    else:
        cost = outputs[0] * lengths[0] if d == 1 else _matrix_cost(source, lengths)
    large = (
        max(m * n for m, n in zip(outputs if factors is not None else lengths, source, strict=True)) > LARGEST_MATRIX
    )
    axes = zip(reach, source, target, strict=True)
    signed_nyquist = not (real_maps and d == 1) and any(2 * r == n and n % m for r, n, m in axes)
    costly = cost > MATRIX_ADVANTAGE * 2.5 * size * math.log2(max(size, 2))
    if large or costly or signed_nyquist or (transformed and d == 1):
        return Output(
            source,
            target,
            kept,
            spectral=pack(chi[None], target, drop=drop, scale=scale / size, precision=precision),
            real=real,
        )
    if factors is not None:
        scales = [scale] + [1.0] * (d - 1)
        parts = zip(factors, target, scales, kept, strict=True)
        matrices = tuple(_sampling_matrix(f, m, s, drop, k, precision) for f, m, s, k in parts)
        return Output(source, target, kept, matrices)
    return _mixed(chi, target, reach, scale, kept, real, precision)


def _by_columns(matrix: np.ndarray, precision: torch.dtype) -> np.ndarray:
    """The matrix in a precision, column after column as the kernels read it."""
    return matrix.astype(numpy_dtype(precision), order="F")


def _response_length(line: np.ndarray, drop: float) -> int:
    """Samples at which the impulse response of a line's filter is not negligible."""
    response = np.abs(np.fft.ifft(line).real)
    return int(np.count_nonzero(response > drop * response.max()))


def _matrix_cost(source: Sequence[int], outputs: Sequence[int]) -> int:
    total, shape = 0, list(source)
    for axis in reversed(range(len(shape))):
        total += math.prod(shape) * outputs[axis]
        shape[axis] = outputs[axis]
    return total


def mixing_cost(coefficients: Sequence[int], outputs: Sequence[int]) -> int:
    """Real multiplications of a `Mixing` per map, for so many coefficients and samples of the result per axis."""
    return 4 * (_matrix_cost(coefficients, coefficients) + _matrix_cost(coefficients, outputs))


def _reach(chi: np.ndarray, axis: int, drop: float) -> int:
    """Largest |k| along an axis at which the atom is not negligible."""
    size = np.abs(chi).max(axis=tuple(a for a in range(chi.ndim) if a != axis))
    return int(np.abs(signed(chi.shape[axis])[size > drop * size.max()]).max(initial=0))


def is_hermitian(chi: np.ndarray) -> bool:
    """Whether an atom keeps real maps real, to rounding."""
    mirrored = chi[np.ix_(*(-np.arange(n) % n for n in chi.shape))]
    return bool(np.abs(chi - mirrored.conj()).max() <= 1e-12 * np.abs(chi).max())


def _factors(chi: np.ndarray) -> list[np.ndarray] | None:
    """The atom as a product over the axes, None if it is none to rounding."""
    origin = (0,) * chi.ndim
    if abs(chi[origin]) <= 1e-6 * np.abs(chi).max():
        return None
    lines = [chi[tuple(slice(None) if a == axis else 0 for a in range(chi.ndim))] for axis in range(chi.ndim)]
    product = np.ones((1,) * chi.ndim, chi.dtype)
    for axis, line in enumerate(lines):
        product = product * (line / chi[origin]).reshape([-1 if a == axis else 1 for a in range(chi.ndim)])
    if np.abs(product * chi[origin] - chi).max() > 1e-12 * np.abs(chi).max():
        return None
    return [line if axis == 0 else line / chi[origin] for axis, line in enumerate(lines)]


def _sampling_matrix(
    line: np.ndarray, m: int, scale: float, drop: float, kept: slice, precision: torch.dtype
) -> np.ndarray:
    """``A[j, s] = (scale / n) sum_k line[k] e^(2 pi i k (j / m - s / n))``, real part, ``(m, n)``, by columns.

    A few rows at a time, so that little is in memory besides the result.
    """
    n, places = len(line), np.arange(m)[kept]
    used = np.flatnonzero(np.abs(line) > drop * np.abs(line).max())
    k, values = signed(n)[used], line[used] * (scale / n)
    small = drop * np.abs(np.fft.fft(_scattered(values, used, n))).max()
    matrix = np.empty((len(places), n), numpy_dtype(precision), order="F")
    step = max(ROWS_AT_ONCE // n, 1)
    for low in range(0, len(places), step):
        phases = np.exp(2j * np.pi * np.outer(places[low : low + step] / m, k))
        rows = np.fft.fft(_scattered(phases * values, used, n)).real
        rows[np.abs(rows) <= small] = 0.0
        matrix[low : low + step] = rows
    return matrix


def _scattered(values: np.ndarray, places: np.ndarray, n: int) -> np.ndarray:
    """Values at some of n places of the last axis, 0 elsewhere."""
    result = np.zeros((*values.shape[:-1], n), np.complex128)
    result[..., places] = values
    return result


def _mixed(
    chi: np.ndarray,
    target: tuple[int, ...],
    reach: list[int],
    scale: float,
    kept: tuple[slice, ...],
    real: bool,
    precision: torch.dtype,
) -> Output:
    matrices, phases, samples, indices = [], [], [], []
    for n, m, r, part in zip(chi.shape, target, reach, kept, strict=True):
        k = np.unique(signed(n)[np.abs(signed(n)) <= r])
        positive = np.arange(r + 1)
        angles = 2 * np.pi * np.outer(positive, np.arange(n) / n)
        matrices.append(_by_columns(np.concatenate([np.cos(angles), np.sin(angles[1:])]) / n, precision))
        phase = np.zeros((len(k), 2 * r + 1), np.complex128)
        phase[np.arange(len(k)), np.abs(k)] = 1.0
        other = k != 0
        phase[np.flatnonzero(other), r + np.abs(k[other])] = -1j * np.sign(k[other])
        phases.append(phase)
        samples.append(np.exp(2j * np.pi * np.outer(np.arange(m)[part] / m, k)))
        indices.append(k % n)
    values = chi[np.ix_(*indices)] * scale
    mixing = Mixing(tuple(phases), values.astype(np.complex128), tuple(samples))
    return Output(chi.shape, target, kept, tuple(matrices), mixing, real=real)


def apply_matrices(matrices: tuple[Tensor, ...], u: Tensor) -> Tensor:
    """One matrix ``(n, m)`` along each of the trailing axes: ``(..., m1, ..., md) -> (..., n1, ..., nd)``."""
    d = len(matrices)
    for axis in reversed(range(d)):
        matrix = matrices[axis].to(u.dtype)
        if axis == d - 1:
            u = u @ matrix.T
        else:
            lead, rest = u.shape[: u.ndim - d + axis], u.shape[u.ndim - d + axis + 1 :]
            u = (matrix @ u.reshape(*lead, matrix.shape[1], -1)).reshape(*lead, matrix.shape[0], *rest)
    return u


def mix(mixing: tuple[tuple[Tensor, ...], Tensor, tuple[Tensor, ...]], coefficients: Tensor, real: bool) -> Tensor:
    """The mixing of `Mixing` on tensors."""
    phases, values, samples = mixing
    spectrum = apply_matrices(phases, coefficients.to(values.dtype)) * values
    result = apply_matrices(samples, spectrum)
    return result.real if real and not coefficients.is_complex() else result
