"""The search over signals and displacements together.

A candidate is one row of numbers: a signal, a displacement, a phase. Displacements are scaled to every size that is
asked for, here by their values on the grid; what is found is read again with certified norms (`Reader`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.deform import Exact, Family, Field, Interpolated, modulated
from scatter_theory.features import Features
from scatter_theory.network import FeatureExtractor
from scatter_theory.search import Effort
from scatter_theory.signals import Signal, SignalClass
from scatter_theory.verify._common import local_constant, safe_ratio, safe_sqrt
from scatter_theory.verify._deformation_parts import FieldPart, SignalPart, default_family, phase, phase_width
from scatter_theory.verify._rules import Rule

#: Features against the distance of their own signals: the first inequality of the chain.
CHAIN = "features / signal"


class Problem:
    """What is maximised: distances over the plain form of their bound, by output and size.

    Parameters
    ----------
    phi : FeatureExtractor
    signals : SignalClass or Signal
    rule : Rule
    family : Family, Field or None
    sup_tau : sequence of float or None
    sup_jacobian : float or None
    sup_omega : float
    search : {"all", "signal", "field"}
    warp : Exact or Interpolated
    effort : Effort
    generator : torch.Generator
    """

    def __init__(
        self,
        phi: FeatureExtractor,
        signals: SignalClass | Signal,
        rule: Rule,
        *,
        family: Family | Field | None,
        sup_tau: Sequence[float] | None,
        sup_jacobian: float | None,
        sup_omega: float,
        search: str,
        warp: Exact | Interpolated,
        effort: Effort,
        generator: torch.Generator,
    ) -> None:
        self.phi, self.rule, self.warp, self.search, self.sup_omega = phi, rule, warp, search, sup_omega
        self.effort, self.rng = effort, generator
        family = family if family is not None else default_family()
        self.signal_part = SignalPart(signals, phi.grid, effort, generator)
        self.field_part = FieldPart(family, sup_tau, sup_jacobian, phi.grid)
        self.levels = self.field_part.levels
        self.outputs = ("signal", CHAIN, "all layers", *(f"layer {n}" for n in range(phi.depth + 1)))
        self.cells = [(level, output) for output in self.outputs for level in range(len(self.levels))]
        each = len(self.levels)
        self.targets = [list(range(o * each, (o + 1) * each)) for o in range(len(self.outputs))]
        total = phi.certified_lipschitz()
        local = [local_constant(phi, n) for n in range(phi.depth + 1)]
        one = Constant(1.0, "the signal itself", "analytic")
        self.lipschitz = {"signal": one, CHAIN: total, "all layers": total}
        self.lipschitz |= {f"layer {n}": c for n, c in enumerate(local)}
        self.network_constants = {"c_0^(1/2)": total, **{f"Lambda, layer {n}": c for n, c in enumerate(local)}}
        self._widths = [self.signal_part.width, 0, phase_width(phi.grid) if sup_omega else 0]

    # ------------------------------------------------------------------ candidates

    def candidates(self) -> dict[str, Tensor]:
        """Rows by mode: every drawn signal with a drawn field, structured signals with every structured field."""
        fields = self.field_part.pools(self.effort, self.rng)
        pools = {}
        for mode, z in self._pairs(fields).items():
            if self.sup_omega:
                phases = torch.randn((z.shape[0], self._widths[2]), generator=self.rng, dtype=torch.float64)
                z = torch.cat([z, phases], 1)
            pools[mode] = z.to(self.phi.device)
        return pools

    def _pairs(self, fields: dict[str, Tensor]) -> dict[str, Tensor]:
        signals, only = self.signal_part.pools, fields.get("given")
        if not signals or not fields:
            return {}
        self._widths[1] = next(iter(fields.values())).shape[1]
        pools = {}
        for mode in ("given", "random", "structured"):
            a = signals.get(mode, signals.get("given"))
            b = fields.get(mode, only)
            if a is None or b is None or (mode == "given" and (only is None or "given" not in signals)):
                continue
            most = max(1, self.effort.structured) if mode == "structured" else max(1, self.effort.random)
            pools[mode] = _product(a, b, most) if mode != "random" else _zipped(a, b, most)
            if mode == "structured":
                pools[mode] = torch.cat([pools[mode], self._aligned(a)])
        return pools

    def _aligned(self, a: Tensor) -> Tensor:
        """Every signal with the translation along which it changes most."""
        vectors = self.signal_part.steepest(a)
        b = None if vectors is None else self.field_part.along(vectors)
        if b is None or len(b) == 0:
            return torch.zeros((0, sum(self._widths[:2])), dtype=torch.float64)
        return torch.cat([a, b], 1)

    # ------------------------------------------------------------------ search

    def ratios(self, z: Tensor) -> Tensor:
        """Objective of the search, ``(n, n_cells)``."""
        columns: dict[tuple[int, str], Tensor] = {}
        for level in range(len(self.levels)):
            for output, ratio in self._at_level(z, level).items():
                columns[level, output] = ratio
        return torch.stack([columns[cell] for cell in self.cells], -1)

    def climb(self, z: Tensor, cells: Tensor) -> Tensor:
        """Ratio of one cell for every candidate, ``(n,)``; candidates climb at the level of their own cell."""
        ratios = z.new_zeros(z.shape[0])
        for level in range(len(self.levels)):
            found = self._at_level(z, level)
            for index, cell in enumerate(self.cells):
                if cell[0] == level:
                    ratios = torch.where(cells == index, found[cell[1]], ratios)
        return ratios

    def blocks(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b, c = z.split(self._widths, 1)
        return (a.detach() if self.search == "field" else a), (b.detach() if self.search == "signal" else b), c

    def _at_level(self, z: Tensor, level: int) -> dict[str, Tensor]:
        """Ratios ``(n,)`` of every output at one size."""
        a, b, c = self.blocks(z)
        parts = self.signal_part.groups(a)
        if len(parts) == 1:
            return self._ratios_of(parts[0][1], b, c, level)
        merged: dict[str, Tensor] = {}
        for rows, f in parts:
            for output, ratio in self._ratios_of(f, b[rows], c[rows], level).items():
                merged[output] = merged.get(output, z.new_zeros(z.shape[0])).index_copy(0, rows, ratio)
        return merged

    def _ratios_of(self, f: Signal, b: Tensor, c: Tensor, level: int) -> dict[str, Tensor]:
        grid = self.phi.grid
        points = grid.points(device=self.phi.device)
        tau, slopes = self.field_part.values(b, level, points)
        sup = torch.linalg.vector_norm(tau, dim=1).flatten(1).amax(1)
        jacobian = slopes.abs().flatten(1).amax(1)
        factor = self.field_part.factor(sup, jacobian, level)
        tau = tau * factor.reshape(-1, *(1,) * (grid.ndim + 1))
        device = self.phi.device
        values = f.on(grid).to(device)
        warped = self._warped(f, values, points, tau).to(device)
        omega = phase(c, grid, self.sup_omega) if self.sup_omega else None
        warped = warped if omega is None else modulated(warped, grid, omega)
        unit = self.rule.unit(f).to(device)
        nominal = self.field_part.nominal(sup, factor, level)
        reference = self.rule.reference(f, grid, nominal.to(f.device)).to(device)
        if self.rule.needs_jacobian and self.field_part.scalable:
            D = (grid.ndim * jacobian * factor).detach().clamp(max=0.999)
            reference = reference * (2 / (1 + (1 - D).sqrt()))
        if omega is not None:
            reference = reference + 2 * math.pi * self.sup_omega * safe_sqrt(grid.energy(values))
        signal = safe_sqrt(grid.energy(warped - values))
        size = safe_sqrt(grid.energy(values))
        ratios = {"signal": safe_ratio(signal, reference, unit * 1e-3)}
        distances = feature_distances(self.phi(torch.cat([values, warped]).to(self.phi.signal_dtype)))
        for output, distance in distances.items():
            constant = self.lipschitz[output].value
            limit = signal if output == CHAIN else reference
            ratios[output] = safe_ratio(distance, constant * limit, size * 1e-3)
        return ratios

    def _warped(self, f: Signal, values: Tensor, points: Tensor, tau: Tensor) -> Tensor:
        """Signals at displaced points, exactly or by the interpolation under test."""
        if self.warp.exact:
            return f.at((points - tau).to(f.device), each=True)
        return self.warp.moved(values, self.phi.grid, tau)


def feature_distances(features: Features) -> dict[str, Tensor]:
    """Distances ``(n,)`` between the second and the first half of a batch, by output."""
    n = features.pruned.shape[0] // 2
    parts = [layer.grid.energy(layer.values[n:] - layer.values[:n]).sum(-1) for layer in features]
    total = safe_sqrt(torch.stack(parts, -1).sum(-1))
    return {CHAIN: total, "all layers": total, **{f"layer {k}": safe_sqrt(part) for k, part in enumerate(parts)}}


def _product(a: Tensor, b: Tensor, most: int) -> Tensor:
    """Every row of a with every row of b, at most `most` of them, spread evenly."""
    rows = torch.cartesian_prod(torch.arange(a.shape[0]), torch.arange(b.shape[0])).reshape(-1, 2)
    if rows.shape[0] > most:
        rows = rows[torch.arange(most) * rows.shape[0] // most]
    return torch.cat([a[rows[:, 0]], b[rows[:, 1]]], 1)


def _zipped(a: Tensor, b: Tensor, most: int) -> Tensor:
    """Row i of a with row i of b, both repeated as often as needed."""
    index = torch.arange(most)
    return torch.cat([a[index % a.shape[0]], b[index % b.shape[0]]], 1)
