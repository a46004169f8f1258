"""How far the fast engine is from the full grid, measured: on given signals, or on probes that are hard for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.engine._full_grid import FullGrid
from scatter_theory.engine._packing import signed
from scatter_theory.engine._plan import Plan
from scatter_theory.frames import Bank
from scatter_theory.grid import Grid
from scatter_theory.paths import PathTree

#: Draws of white noise among the probes: short signals differ more from one another.
NOISES, NOISE_SAMPLES = 16, 2**16


@dataclass(frozen=True)
class EngineError:
    r"""Largest distance between the features of the fast engine and those on the full grid.

    Parameters
    ----------
    layers : tuple of float
        :math:`\max_f |||\Phi^n_{fast}(f) - \Phi^n(f)||| / \|f\|` for n = 0..N.
    worst : str
        The signal at which the sum over the layers is largest.
    signals : int
        Number of signals. The maximum over them is a measurement, not a bound for all signals.
    """

    layers: tuple[float, ...]
    worst: str
    signals: int

    @property
    def total(self) -> float:
        r""":math:`(\sum_n e_n^2)^{1/2}`, at least the error of all features together."""
        return sum(e**2 for e in self.layers) ** 0.5

    def __str__(self) -> str:
        layers = ", ".join(f"{e:.2g}" for e in self.layers)
        return f"relative to ||f||, by layer: {layers} (largest of {self.signals} signals, at {self.worst})"


def measured_error(
    plan: Plan, fast: Iterable[Tensor], exact: FullGrid, tree: PathTree, x: Tensor, names: list[str]
) -> EngineError:
    """Error of features on signals; the full grid is gone through block by block.

    Parameters
    ----------
    plan : Plan
    fast : iterable of (batch, n_paths, *output grid) tensors
        Features of the fast engine, layer by layer.
    exact : FullGrid
        The same network in float64.
    tree : PathTree
    x : (batch, *shape) float64 or complex128 tensor
        The signals; those that vanish count as without error.
    names : list of str
    """
    grids = exact.network.grids
    values = list(fast)
    rows = [{q: i for i, q in enumerate(level)} for level in tree.levels]
    squares = torch.zeros(len(values), x.shape[0], dtype=torch.float64, device=x.device)
    for n, block in exact.blocks(x, tree):
        grid = grids[n].resampled(plan.layers[n].shape)
        index = torch.tensor([rows[n][q] for q in block.paths], device=x.device)
        gap = values[n].index_select(1, index) - sampled(block.S, grids[n], grid)
        squares[n] += grid.energy(gap).sum(1)
    norms = grids[0].energy(x)
    relative = torch.where(norms > 0, squares / norms.clamp_min(torch.finfo(torch.float64).tiny), 0.0).sqrt()
    if x.shape[0] == 0:
        return EngineError((0.0,) * len(values), "no signal", 0)
    worst = int(relative.square().sum(0).argmax())
    return EngineError(tuple(relative.amax(1).tolist()), names[worst], x.shape[0])


def sampled(values: Tensor, grid: Grid, coarse: Grid) -> Tensor:
    """Values of the trigonometric interpolants at the points of another grid on the same torus."""
    if coarse.shape == grid.shape:
        return values
    spectrum = grid.fft(values)
    for axis, (n, m) in enumerate(zip(grid.shape, coarse.shape, strict=True), start=values.ndim - grid.ndim):
        if n == m:
            continue
        target = torch.from_numpy(signed(n) % m).to(values.device)
        shape = (*spectrum.shape[:axis], m, *spectrum.shape[axis + 1 :])
        spectrum = spectrum.new_zeros(shape).index_add_(axis, target, spectrum)
    result = coarse.ifft(spectrum) * (coarse.size / grid.size)
    return result if values.is_complex() else result.real


def probes(grid: Grid, bank: Bank, plan: Plan, generator: torch.Generator) -> tuple[Tensor, list[str]]:
    """Signals that are hard for coarse sampling: noise, a spike, and beats.

    A beat of two tones at distance D in one atom has a modulus with the frequencies D, 2 D, 3 D, ...; with m samples
    and ``D = m / 3`` the third lands on the mean.
    """
    draws = max(1, min(NOISES, NOISE_SAMPLES // grid.size))
    signals = [torch.randn(grid.shape, dtype=torch.float64, generator=generator) for _ in range(draws)]
    spike = torch.zeros(grid.shape, dtype=torch.float64)
    spike[(0,) * grid.ndim] = 1.0
    signals.append(spike)
    names = ["white noise"] * draws + ["a spike"]
    edges = plan.root.edges
    for edge in [edges[0], edges[len(edges) // 2], edges[-1]] if edges else []:
        atom = int(edge.target.rows[edge.start + len(edge) // 2])
        spectrum = bank.spectra[atom].detach().cpu().abs()
        peak = [int(i) for i in torch.unravel_index(spectrum.argmax(), spectrum.shape)]
        beat = torch.zeros(grid.shape, dtype=torch.complex128)
        beat[tuple(peak)] = 1.0
        peak[-1] = (peak[-1] + max(1, edge.target.shape[-1] // 3)) % grid.shape[-1]
        beat[tuple(peak)] = 1.0
        signals.append(grid.ifft(beat).real)
        names.append(f"a beat in atom {bank.atoms[atom].label!r}")
    return torch.stack(signals), names
