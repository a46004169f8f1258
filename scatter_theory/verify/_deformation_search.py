"""The search over signals and displacements together.

A candidate is one row of numbers: a signal, a displacement, a phase. Displacements are scaled to every size that is
asked for, here by their values on the grid; what is found is read again with certified norms (`Reader`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.deform import Exact, Family, Field, Interpolated, modulated
from scatter_theory.features import Features
from scatter_theory.grid import safe_sqrt
from scatter_theory.network import FeatureExtractor
from scatter_theory.search import Effort
from scatter_theory.signals import Signal, SignalClass
from scatter_theory.verify._common import local_constant, safe_ratio
from scatter_theory.verify._deformation_parts import FieldPart, SignalPart, default_family, phase, phase_width
from scatter_theory.verify._rules import Rule

#: Features against the distance of their own signals: the first inequality of the chain.
CHAIN = "features / signal"


@dataclass(frozen=True, eq=False)
class _Still:
    """Signals before they move: their rows (None: all), values and features, and the numbers of their movement."""

    rows: Tensor | None
    f: Signal
    values: Tensor
    features: Features
    b: Tensor
    c: Tensor


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
        self.field_part = FieldPart(family, sup_tau, sup_jacobian, phi.grid)
        self.signal_part = SignalPart(signals, phi.grid, self.field_part.sizes, effort, generator)
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
        still = self._still(z)
        columns: dict[tuple[int, str], Tensor] = {}
        for level in range(len(self.levels)):
            for output, ratio in self._moved(still, level).items():
                columns[level, output] = ratio
        return torch.stack([columns[cell] for cell in self.cells], -1)

    def climb(self, z: Tensor, cells: Tensor) -> Tensor:
        """Ratio of one cell for every candidate, ``(n,)``: each is moved by the size of its own cell."""
        places = torch.tensor([[lev, self.outputs.index(out)] for lev, out in self.cells], device=z.device)
        own, output = places.index_select(0, cells).unbind(1)
        still = self._still(z)
        if self.field_part.scalable:
            table = torch.stack([*self._moved(still, own).values()], -1)
        else:
            tables = [torch.stack([*self._moved(still, k).values()], -1) for k in range(len(self.levels))]
            index = own[:, None, None].expand(-1, len(self.outputs), 1)
            table = torch.stack(tables, -1).gather(2, index)[..., 0]
        return table.gather(1, output[:, None])[:, 0]

    def blocks(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The numbers of the signal, of the displacement and of the phase."""
        a, b, c = z.split(self._widths, 1)
        return (a.detach() if self.search == "field" else a), (b.detach() if self.search == "signal" else b), c

    def _still(self, z: Tensor) -> list[_Still]:
        """Signals of the candidates before they move, with their features."""
        a, b, c = self.blocks(z)
        parts = []
        for rows, f in self.signal_part.groups(a):
            values = f.on(self.phi.grid).to(self.phi.device)
            features = self.phi(values.to(self.phi.signal_dtype))
            parts.append(_Still(rows, f, values, features, *((b, c) if rows is None else (b[rows], c[rows]))))
        return parts

    def _moved(self, still: list[_Still], level: int | Tensor) -> dict[str, Tensor]:
        """Ratios ``(n,)`` of every output, in their order, at one size or at one for every candidate."""
        if len(still) == 1:
            return self._ratios_of(still[0], level)
        n = sum(len(part.b) for part in still)
        merged = {output: still[0].values.new_zeros(n, dtype=torch.float64) for output in self.outputs}
        for part in still:
            own = level[part.rows] if isinstance(level, Tensor) else level
            for output, ratio in self._ratios_of(part, own).items():
                merged[output] = merged[output].index_copy(0, part.rows, ratio)
        return merged

    def _ratios_of(self, still: _Still, level: int | Tensor) -> dict[str, Tensor]:
        grid, device, f, values = self.phi.grid, self.phi.device, still.f, still.values
        points = grid.points(device=device)
        tau, slopes = self.field_part.values(still.b, level, points)
        sup = torch.linalg.vector_norm(tau, dim=1).flatten(1).amax(1)
        jacobian = slopes.abs().flatten(1).amax(1)
        factor = self.field_part.factor(sup, jacobian, level)
        tau = tau * factor.reshape(-1, *(1,) * (grid.ndim + 1))
        warped = self._warped(f, values, points, tau).to(device)
        omega = phase(still.c, grid, self.sup_omega) if self.sup_omega else None
        warped = warped if omega is None else modulated(warped, grid, omega)
        size = self.field_part.size(level, sup).expand_as(sup)
        reference = self.rule.reference(f, grid, size.to(f.device)).to(device)
        if self.rule.needs_jacobian and self.field_part.scalable:
            D = (grid.ndim * jacobian * factor).detach().clamp(max=0.999)
            reference = reference * (2 / (1 + (1 - D).sqrt()))
        if omega is not None:
            reference = reference + 2 * math.pi * self.sup_omega * safe_sqrt(grid.energy(values))
        signal = safe_sqrt(grid.energy(warped - values))
        norm = safe_sqrt(grid.energy(values))
        ratios = {"signal": safe_ratio(signal, reference, self.rule.unit(f).to(device) * 1e-3)}
        distances = feature_distances(self.phi(warped.to(self.phi.signal_dtype)), still.features)
        for output, distance in distances.items():
            constant = self.lipschitz[output].value
            limit = signal if output == CHAIN else reference
            ratios[output] = safe_ratio(distance, constant * limit, norm * 1e-3)
        return ratios

    def _warped(self, f: Signal, values: Tensor, points: Tensor, tau: Tensor) -> Tensor:
        """Signals at displaced points, exactly or by the interpolation under test."""
        if self.warp.exact:
            return f.at((points - tau).to(f.device), each=True)
        return self.warp.moved(values, self.phi.grid, tau)


def feature_distances(moved: Features, still: Features) -> dict[str, Tensor]:
    """Distances ``(n,)`` of features, by output."""
    parts = [a.grid.energy(a.values - b.values).sum(-1) for a, b in zip(moved, still, strict=True)]
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
