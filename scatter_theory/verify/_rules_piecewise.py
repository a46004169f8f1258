"""Deformation bounds of Lipschitz signals and cartoons."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.constants import Constant
from scatter_theory.grid import Grid
from scatter_theory.signals import PiecewiseLipschitzSignal
from scatter_theory.verify._rules import Rule, Sizes


class PiecewiseRule(Rule):
    """Lipschitz signals and cartoons: Lipschitz but for jumps along a small set."""

    needs_jacobian = False
    unit_name = ""

    def __init__(self, form: str, *, jumps: bool) -> None:
        self.form, self.jumps = form, jumps
        self.claim = "deformation_cartoon" if jumps else "deformation_lipschitz"
        self.exponent = 0.5 if jumps else 1.0

    def unit(self, f: PiecewiseLipschitzSignal) -> Tensor:
        return torch.ones_like(f.lipschitz)

    def reference(self, f: PiecewiseLipschitzSignal, grid: Grid, t: float | Tensor) -> Tensor:
        volume = math.prod(grid.extent)
        if not self.jumps:
            return f.lipschitz * t * math.sqrt(volume)
        K, across, tube = f.lipschitz * t, f.crossing_lipschitz * t + f.jump, self._tube(f, grid, t)
        return (K**2 * (volume - tube) + torch.maximum(K, across) ** 2 * tube).clamp_min(0).sqrt()

    def _tube(self, f: PiecewiseLipschitzSignal, grid: Grid, t: float | Tensor) -> Tensor:
        """Volume of the cells whose samples lie near the jump set."""
        near = f.near(grid.points(device=f.lipschitz.device), t)
        return near.flatten(-grid.ndim).sum(-1) * grid.cell_volume

    def bound(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes) -> float:
        if self.form == "published":
            return self._published(f, grid, sizes.t)
        return self._moved(f, grid, sizes, self._tube(f, grid, sizes.t))

    def continuum(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes) -> float:
        return self._moved(f, grid, sizes, f.tube(sizes.t))

    def _moved(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes, tube: Tensor) -> float:
        """The bound for a tube of this volume; without jumps it is 0 and the bound that of Lipschitz signals."""
        K, across, J, T = (float(v.max()) for v in (f.lipschitz, f.crossing_lipschitz, f.jump, tube))
        moved = theory.piecewise_lipschitz_bound(sizes.t, K, across, J, T, math.prod(grid.extent))
        norm = float(grid.norm(f.on(grid)).max()) if sizes.omega else 0.0
        return float(moved + theory.modulation_bound(sizes.omega) * norm)

    def _published(self, f: PiecewiseLipschitzSignal, grid: Grid, t: float) -> float:
        """The sampled form for the unit interval, in the grid's norm."""
        length = grid.extent[0]
        K = max(float(f.lipschitz.max()) * length, float(f.jump.max()))
        h = grid.spacing[0]
        return math.sqrt(h) * float(theory.sampled_cartoon_bound_published(K, grid.size, t / length))

    def cap(self, f: PiecewiseLipschitzSignal, grid: Grid, sizes: Sizes) -> float:
        """No two values differ by more than K' times half the diagonal of the period, plus J."""
        half = 0.5 * math.hypot(*grid.extent)
        most = float((f.crossing_lipschitz * half + f.jump).max())
        return most * math.sqrt(math.prod(grid.extent))

    def constants(self, f: PiecewiseLipschitzSignal) -> dict[str, Constant]:
        if self.form == "published":
            return {"4": Constant(4.0, "Wiatowski et al., ICML 2016", "paper")}
        named = {"K": f.lipschitz} | ({"K'": f.crossing_lipschitz, "J": f.jump} if self.jumps else {})
        return {
            name: Constant(float(v.max()), "certificate of the signal", "certified", "per unit" if name != "J" else "")
            for name, v in named.items()
        }
