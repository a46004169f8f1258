r"""Which averages keep non-negative correlations of non-negative maps: the signs of kernels on a grid.

With :math:`a_u(x) = \Re \langle u, T_x u \rangle` and a kernel :math:`\varphi`,
:math:`a_{u * \varphi} = a_u * a_\varphi`.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.poolings import Average, NoPooling, Pooling, Subsample
from scatter_theory.results import Hypothesis

#: Largest negative value of a kernel, relative to its peak, that counts as rounding.
SIGN = 1e-15

EPS = torch.finfo(torch.float64).eps
TINY = torch.finfo(torch.float64).tiny


def after_pooling(pooling: Pooling, grid: Grid, sampling: str) -> tuple[bool, str]:
    """Whether values >= 0 keep non-negative correlations, and why."""
    if type(pooling) in (NoPooling, Subsample):
        return True, "values >= 0"
    if type(pooling) is not Average:
        return False, f"nothing is proven about the signs of {type(pooling).__name__}"
    taps = torch.tensor(pooling.taps, dtype=torch.float64)
    defect = _defect(_on_grid(taps, grid))
    if defect <= SIGN:
        return True, "values >= 0, kernel >= 0"
    if sampling == "decimate" and pooling.factor > 1:
        return _verdict(defect, None)
    padded = torch.nn.functional.pad(taps, (len(taps) - 1,) * 2)
    correlation = torch.nn.functional.conv1d(padded[None, None], taps[None, None])[0, 0]
    return _verdict(defect, _defect(_on_grid(correlation, grid)))


def positive_kernel(spectrum: Tensor, grid: Grid, *, subsampled: bool = False) -> Hypothesis:
    r"""Averaging by a multiplier keeps :math:`\Re \langle u, T_x u \rangle \ge 0` of maps with values >= 0.

    The kernel is the inverse DFT of the multiplier, so that nothing between the samples counts. Satisfied if it is real
    and >= 0; or, unless samples are dropped afterwards, if its autocorrelation (the inverse DFT of the squared modulus)
    is. Values down to ``-1e-15`` of the peak, and what the transform may round, count as 0.

    Parameters
    ----------
    spectrum : (*grid.shape) tensor
        The multiplier at the DFT frequencies, ``fftfreq`` order, real or complex.
    grid : Grid
    subsampled : bool
        Whether samples are dropped afterwards.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.

    Raises
    ------
    ValueError
        If the shape of `spectrum` is not that of `grid`.
    """
    if tuple(spectrum.shape) != grid.shape:
        raise ValueError(
            f"`positive_kernel(spectrum=...)`: got shape {tuple(spectrum.shape)}, expected {grid.shape}. Give the "
            "multiplier at the DFT frequencies of the grid on which the averaging acts."
        )
    spectrum = spectrum.detach().to(torch.complex128)
    defects = []
    for transform in (spectrum, spectrum.abs() ** 2):
        kernel = grid.ifft(transform)
        norm, peak = torch.linalg.vector_norm(kernel), kernel.abs().max().clamp_min(TINY)
        rounding = 4 * EPS * math.log2(2 * grid.size) * float(norm / peak)
        defects.append(max(_defect(kernel) - rounding, 0.0))
    text = "averaging keeps Re <u, T_x u> >= 0"
    if defects[0] <= SIGN:
        return Hypothesis(text, True, "kernel >= 0")
    return Hypothesis(text, *_verdict(defects[0], None if subsampled else defects[1]))


def _verdict(kernel: float, correlation: float | None) -> tuple[bool, str]:
    """The verdict on a kernel with negative values; `correlation` is None where its autocorrelation does not help."""
    if correlation is None:
        return False, f"the averaging kernel has values of {-kernel:.3g} of its peak, and samples are dropped"
    if correlation <= SIGN:
        return True, "values >= 0, autocorrelation of the kernel >= 0"
    return False, (
        f"the averaging kernel has values of {-kernel:.3g} of its peak, its autocorrelation of {-correlation:.3g}"
    )


def _on_grid(values: Tensor, grid: Grid) -> Tensor:
    """The product of one-dimensional kernels, the same on every axis, wrapped around the grid; flat."""
    axes = [values.new_zeros(n).index_add_(0, torch.arange(len(values)) % n, values) for n in grid.shape]
    return reduce(torch.kron, axes)


def _defect(kernel: Tensor) -> float:
    """How far a kernel is from real values >= 0, relative to its peak."""
    below = (-kernel.real).max().clamp_min(0.0)
    away = torch.maximum(below, kernel.imag.abs().max()) if kernel.is_complex() else below
    return float(away / kernel.abs().max().clamp_min(TINY))
