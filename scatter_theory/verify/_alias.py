r"""Aliasing of the sampled non-linearity under fractional shifts: its budget and its fall under refinement.

On a grid the non-linearity is followed by trigonometric interpolation, which does not commute with a shift by a
fraction of a sample. In one dimension, with u the linear output of an atom and spacing :math:`h_k` at layer k,

.. math:: |||\Phi^n(T_t f) - T_s \Phi^n(f)||| \le \sum_{k=1}^n \epsilon_k, \qquad
          \epsilon_k^2 = \sum_{|q| = k - 1, \lambda} (R_k L_k h_k \| (U[q]f * g_\lambda)' \|)^2 ,

for admissible layers (``docs/theory/translation.md``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.frames import Bank
from scatter_theory.grid import Grid, safe_sqrt
from scatter_theory.network import FeatureExtractor
from scatter_theory.verify._common import admissible

#: How many times finer the grids are on which a worst case is looked at again.
REFINEMENTS = (1, 2, 4)


def without_nyquist(grid: Grid, f: Tensor) -> Tensor:
    """`f` with the Nyquist bin of every even axis set to 0, so that fractional shifts stay real and unitary."""
    spectrum = grid.fft(f)
    for axis, n in zip(grid.axes, grid.shape, strict=True):
        if n % 2 == 0:
            spectrum = spectrum.index_fill(axis, torch.tensor([n // 2], device=f.device), 0)
    cleaned = grid.ifft(spectrum)
    return cleaned if f.is_complex() else cleaned.real


def shifted(grid: Grid, f: Tensor, units: Sequence[float]) -> Tensor:
    """Trigonometric interpolant of `f`, translated; the real part of it for real `f` (exact without Nyquist bins)."""
    moved = grid.ifft(grid.fft(f) * grid.phase(units, device=f.device))
    return moved if f.is_complex() else moved.real


def alias_budget(phi: FeatureExtractor, f: Tensor, n: int) -> float:
    r"""The proven sum of the :math:`\epsilon_k` for layer n's features of one signal ``(1, *shape)``, a norm.

    It bounds `covariance_defect` for every shift. Infinite in two and three dimensions and for networks that are not
    admissible, where it is not proven.
    """
    if n == 0:
        return 0.0
    if phi.grid.ndim > 1 or not admissible(phi).satisfied:
        return math.inf
    return float(theory.alias_budget(_terms(phi, f)[:n]))


def covariance_defect(phi: FeatureExtractor, f: Tensor, units: Sequence[float], n: int) -> float:
    r""":math:`|||\Phi^n(T_t f) - T_{t/(S_1...S_n)} \Phi^n(f)|||` of one signal ``(1, *shape)``."""
    with torch.no_grad():
        here = phi(shifted(phi.grid, f, units)).layers[n].values
        base = phi(f).layers[n]
    phase = base.grid.phase([u / phi.pooling_product(n) for u in units], device=f.device)
    there = base.grid.ifft(base.grid.fft(base.values) * phase)
    return float(safe_sqrt(base.grid.energy(here - there).sum()))


def _terms(phi: FeatureExtractor, f: Tensor) -> list[float]:
    r"""The :math:`\epsilon_k` of layers k = 1..N for one signal (d = 1)."""
    slopes = [0.0] * phi.depth
    weights = []
    for bank in phi.banks[: phi.depth]:
        xi = 2 * math.pi * bank.grid.frequencies(device=bank.output.device)[0]
        weights.append((xi**2 * bank.propagating_sum() * bank.grid.cell_volume / bank.grid.size).to(f.device))
    with torch.no_grad():
        for step in phi.walk(f[0]):
            if step.path.n < phi.depth:
                slopes[step.path.n] += float((step.grid.fft(step.U).abs() ** 2 * weights[step.path.n]).sum())
    return [
        theory.alias_term(grid.spacing[0], phi.layer_constant(k).value, 1.0, math.sqrt(slope))
        for k, (grid, slope) in enumerate(zip(phi.grids, slopes, strict=False), 1)
    ]


def refinement_trend(phi: FeatureExtractor, f: Tensor, units: Sequence[float], n: int) -> list[float]:
    """Relative difference of layer n for one signal, sampled 1, 2 and 4 times as finely.

    Empty if the same network does not exist on the finer grids: filters given by taps belong to their samples.
    """
    values = []
    for q in REFINEMENTS:
        grid = phi.grid.refined(q)
        try:
            finer = phi if q == 1 else phi.rebuilt(grid=grid, reference=phi.reference)
        except ValueError:
            return []
        if not _same_atoms(phi, finer):
            return []
        g = refined(phi.grid, grid, f)
        with torch.no_grad():
            difference = finer(g).distance(finer(shifted(grid, g, units)), "layer")[n]
        values.append(float(difference / grid.norm(g)))
    return values


def _same_atoms(phi: FeatureExtractor, finer: FeatureExtractor) -> bool:
    """Whether the output atoms agree on the lower half of the coarse grid's frequencies."""
    for bank, fine in zip(phi.banks, finer.banks, strict=True):
        inner = [slice(large // 2 - (n - 1) // 4, large // 2 + (n - 1) // 4 + 1) for n, large in _lengths(bank, fine)]
        outer = [slice(n // 2 - (n - 1) // 4, n // 2 + (n - 1) // 4 + 1) for n in bank.grid.shape]
        a = torch.fft.fftshift(bank.output)[tuple(outer)]
        b = torch.fft.fftshift(fine.output)[tuple(inner)]
        if a.shape != b.shape or float((a - b).abs().max()) > 1e-9:
            return False
    return True


def _lengths(bank: Bank, fine: Bank) -> list[tuple[int, int]]:
    return list(zip(bank.grid.shape, fine.grid.shape, strict=True))


def refined(coarse: Grid, fine: Grid, f: Tensor) -> Tensor:
    """Trigonometric interpolant of f (Nyquist bins empty) on a finer grid."""
    spectrum = torch.fft.fftshift(coarse.fft(f), coarse.axes)
    pad: list[int] = []
    for small, large in zip(reversed(coarse.shape), reversed(fine.shape), strict=True):
        before = large // 2 - small // 2
        pad += [before, large - small - before]
    spectrum = torch.fft.ifftshift(torch.nn.functional.pad(spectrum, pad), coarse.axes) * (fine.size / coarse.size)
    g = fine.ifft(spectrum)
    return g if f.is_complex() else g.real
