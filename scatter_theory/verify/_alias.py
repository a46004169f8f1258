r"""Aliasing of the sampled non-linearity under fractional shifts: its budget and its fall under refinement.

On a grid the non-linearity is followed by trigonometric interpolation, which does not commute with a shift by a fraction
of a sample. In one dimension, with u the linear output of an atom and spacing :math:`h_k` at layer k,

.. math:: |||\Phi^n(T_t f) - T_s \Phi^n(f)||| \le \sum_{k=1}^n \epsilon_k, \qquad
          \epsilon_k^2 = \sum_{|q| = k - 1, \lambda} (R_k L_k h_k \| (U[q]f * g_\lambda)' \|)^2 ,

for admissible layers (``docs/theory/translation.md``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor

if TYPE_CHECKING:
    from scatter_theory.verify._translation import Shift


def without_nyquist(grid: Grid, f: Tensor) -> Tensor:
    """`f` with the Nyquist bin of every even axis set to 0, so that fractional shifts stay real and unitary."""
    spectrum = grid.fft(f)
    for axis, n in zip(grid.axes, grid.shape, strict=True):
        if n % 2 == 0:
            spectrum = spectrum.index_fill(axis, torch.tensor([n // 2], device=f.device), 0)
    cleaned = grid.ifft(spectrum)
    return cleaned if f.is_complex() else cleaned.real


def alias_budget(phi: FeatureExtractor, f: Tensor, move: Shift, n: int, layer_shift: tuple[float, ...]) -> float:
    """Discretisation error of layer n's features for one signal ``(1, *shape)``, in the unit of norms.

    One dimension: the proven sum of the :math:`\\epsilon_k`. Otherwise the measured covariance defect.
    """
    if n == 0:
        return 0.0
    if phi.grid.ndim == 1:
        return sum(_epsilon(phi, f, k) for k in range(1, n + 1))
    grid = phi.grid
    moved = grid.ifft(grid.fft(f) * grid.phase(move.units, device=f.device))
    here = phi(moved if f.is_complex() else moved.real).layers[n].values
    base = phi(f).layers[n]
    there = base.grid.ifft(base.grid.fft(base.values) * base.grid.phase(layer_shift, device=f.device))
    return float(base.grid.energy(here - there).sum().sqrt())


def _epsilon(phi: FeatureExtractor, f: Tensor, k: int) -> float:
    grid, LR = phi.grids[k - 1], phi.layer_constant(k).value
    steps = torch.fft.fftfreq(grid.shape[0], dtype=torch.float64, device=f.device) * (2 * math.pi)
    atoms = phi.banks[k - 1].propagating_sum().to(f.device)
    total = 0.0
    for step in phi.walk(f[0]):
        if step.path.n == k - 1:
            power = grid.fft(step.U).abs() ** 2 * steps**2 * atoms
            total += float(power.sum()) * grid.cell_volume / grid.size
    return LR * math.sqrt(total)


def refinement_trend(phi: FeatureExtractor, f: Tensor, move: Shift, n: int) -> tuple[str, ...]:
    """How the measured difference of layer n changes when the same signal is sampled 2 and 4 times finer."""
    values = []
    for q in (1, 2, 4):
        grid = Grid(tuple(s * q for s in phi.grid.shape), tuple(h / q for h in phi.grid.spacing), phi.grid.unit)
        finer = phi if q == 1 else phi.rebuilt(grid=grid, reference=phi.reference)
        g = _refined(phi.grid, grid, f)
        spectrum = grid.fft(g) * grid.phase(move.units, device=f.device)
        moved = grid.ifft(spectrum)
        with torch.no_grad():
            difference = finer(g).distance(finer(moved if g.is_complex() else moved.real), "layer")[n]
        values.append(float(difference / grid.norm(g)))
    shown = ", ".join(f"{v:.3g}" for v in values)
    return (f"Worst case under refinement (1, 2, 4 times finer grid): {shown}. A fall shows aliasing, not a counterexample.",)


def _refined(coarse: Grid, fine: Grid, f: Tensor) -> Tensor:
    """Trigonometric interpolant of f (Nyquist bins empty) on a finer grid."""
    spectrum = torch.fft.fftshift(coarse.fft(f), coarse.axes)
    pad: list[int] = []
    for small, large in zip(reversed(coarse.shape), reversed(fine.shape), strict=True):
        before = large // 2 - small // 2
        pad += [before, large - small - before]
    spectrum = torch.fft.ifftshift(torch.nn.functional.pad(spectrum, pad), coarse.axes) * (fine.size / coarse.size)
    g = fine.ifft(spectrum)
    return g if f.is_complex() else g.real
