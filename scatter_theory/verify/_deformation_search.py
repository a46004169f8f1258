r"""The search over signals and displacements together, and the evaluation of what it finds.

A candidate is one row of numbers: a signal, a displacement, a phase. Displacements are scaled to every size that is
asked for; in the search by their values on the grid, for the report by their certified norms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.deform import Deformation, Exact, Family, Field, Interpolated, modulated
from scatter_theory.features import Features
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.search import Attack, Effort
from scatter_theory.signals import BandLimitedSignal, Signal, SignalClass
from scatter_theory.trigonometric import supremum
from scatter_theory.verify._alias import REFINEMENTS
from scatter_theory.verify._common import CHUNK_BYTES, EPS, local_constant, safe_ratio, safe_sqrt
from scatter_theory.verify._deformation_parts import FieldPart, SignalPart, default_family, phase, phase_width
from scatter_theory.verify._signal_classes import Rule, Sizes

#: Finer grid on which the distance of a witness is read in addition.
FINER = 4
#: Features against the distance of their own signals: the first inequality of the chain.
CHAIN = "features / signal"


@dataclass(frozen=True, eq=False)
class Witness:
    """One deformed signal with everything that was read from it; numbers in the unit of the rule.

    Parameters
    ----------
    f : Signal
        Batch ``(1,)``.
    deformation : Deformation
        Batch ``(1,)`` or ``()``.
    values, warped : (1, *shape) tensors
        The signal and the deformed signal on the grid.
    sizes : Sizes
        Certified sizes of the deformation.
    unit : float
        What the other numbers are divided by.
    output : str
        What was measured: ``"signal"``, ``"features / signal"``, ``"all layers"`` or a layer.
    measured, bound, continuum, cap : float
        `continuum` is the bound of the :math:`L^2` norm, which `fine` approaches.
    signal, fine : float
        Distance of the signals on the grid, and on a grid `FINER` times as fine.
    rounding, disagreement : float
        Rounding of the difference; difference between two independent evaluations of the deformed signal.
    """

    f: Signal
    deformation: Deformation
    values: Tensor
    warped: Tensor
    sizes: Sizes
    unit: float
    output: str
    measured: float
    bound: float
    continuum: float
    cap: float
    signal: float
    fine: float
    rounding: float
    disagreement: float

    def to_dict(self, grid: Grid) -> dict[str, Any]:
        """Arrays and numbers that reproduce the measured value, for storage."""
        stored = {"f": self.values[0], "F f": self.warped[0]}
        if self.deformation.tau is not None:
            tau = self.deformation.tau.at(grid.points(device=self.values.device))
            stored["tau"] = tau[0] if self.deformation.tau.batch else tau
        if self.deformation.omega is not None:
            stored["omega"] = self.deformation.omega.on(grid)[0]
        arrays = {name: a.detach().cpu().numpy() for name, a in stored.items()}
        return {
            **arrays,
            "band-limited": isinstance(self.f, BandLimitedSignal),
            "output": self.output,
            "measured": self.measured,
            "bound": self.bound,
            "unit value": self.unit,
            "sup_tau": self.sizes.t,
        }


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
        self._lipschitz = {"signal": one, CHAIN: total, "all layers": total}
        self._lipschitz |= {f"layer {n}": c for n, c in enumerate(local)}
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

    def _blocks(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b, c = z.split(self._widths, 1)
        return (a.detach() if self.search == "field" else a), (b.detach() if self.search == "signal" else b), c

    def _at_level(self, z: Tensor, level: int) -> dict[str, Tensor]:
        """Ratios ``(n,)`` of every output at one size."""
        a, b, c = self._blocks(z)
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
            constant = self._lipschitz[output].value
            limit = signal if output == CHAIN else reference
            ratios[output] = safe_ratio(distance, constant * limit, size * 1e-3)
        return ratios

    def _warped(self, f: Signal, values: Tensor, points: Tensor, tau: Tensor) -> Tensor:
        """Signals at displaced points, exactly or by the interpolation under test."""
        if self.warp.exact:
            return f.at((points - tau).to(f.device), each=True)
        return self.warp.moved(values, self.phi.grid, tau)

    # ------------------------------------------------------------------ reading

    def witness(self, cell: int, attack: Attack) -> Witness:
        """The best candidate of a cell, evaluated again by direct summation with certified sizes."""
        level, output = self.cells[cell]
        with torch.no_grad():
            a, b, c = self._blocks(attack.signals[cell][None])
            f = self.signal_part.groups(a)[0][1]
            field = self.field_part.field(b, level)
            norms = field.norms()
            factor = self.field_part.factor(norms.sup.upper, norms.jacobian.upper, level)
            field = field.scaled(factor if field.batch else float(factor))
            omega = phase(c, self.phi.grid, self.sup_omega) if self.sup_omega else None
            return self._read(f, Deformation(field, omega), output)

    def _read(self, f: Signal, deformation: Deformation, output: str) -> Witness:
        grid, norms = self.phi.grid, deformation.tau.norms()
        omega = 0.0 if deformation.omega is None else float(supremum(deformation.omega).upper.max())
        sizes = Sizes(float(norms.sup.upper.max()), grid.ndim * float(norms.jacobian.upper.max()), omega)
        values, unit = f.on(grid).to(self.phi.device), float(self.rule.unit(f).max())
        warped, disagreement = self._evaluated_twice(f, grid, deformation)
        signal = float(grid.norm(warped - values).max())
        features = self.phi(torch.cat([values, warped]).to(self.phi.signal_dtype))
        distances = {"signal": signal, **{k: float(v[0]) for k, v in feature_distances(features).items()}}
        constant = self._lipschitz[output].value
        bound = self.rule.bound(f, grid, sizes) if output != CHAIN else signal / unit
        norm = float(grid.norm(values).max())
        return Witness(
            f=f,
            deformation=deformation,
            values=values,
            warped=warped,
            sizes=sizes,
            unit=unit,
            output=output,
            measured=distances[output] / unit,
            bound=constant * bound,
            continuum=self.rule.continuum(f, grid, sizes),
            cap=constant * self.rule.cap(f, grid, sizes) if output != CHAIN else math.inf,
            signal=signal / unit,
            fine=self._fine(f, deformation, unit),
            rounding=64 * EPS * norm / unit,
            disagreement=disagreement / unit,
        )

    def _evaluated_twice(self, f: Signal, grid: Grid, deformation: Deformation) -> tuple[Tensor, float]:
        """The deformed signal by direct summation, and how far a fast evaluation is from it."""
        if not self.warp.exact:
            return self.warp(f, grid, deformation).to(self.phi.device), 0.0
        warped = Exact("direct")(f, grid, deformation).to(self.phi.device)
        if not isinstance(f, BandLimitedSignal) or warped.device.type != "cpu":
            return warped, 0.0
        again = Exact("finufft")(f, grid, deformation)
        return warped, float(grid.norm(again - warped).max())

    def _fine(self, f: Signal, deformation: Deformation, unit: float) -> float:
        """Distance of the signals on a finer grid; NaN where the field is known at the samples only."""
        finer = _refined_grid(self.phi.grid, FINER)
        try:
            warped = self.warp(f, finer, deformation)
        except ValueError:
            return math.nan
        return float(finer.norm(warped - f.on(finer)).max()) / unit

    def refinement(self, w: Witness) -> list[float]:
        """The measured value with signal, deformation and network sampled 1, 2 and 4 times as finely, while affordable.

        Empty where the network or the displacement does not exist on finer grids.
        """
        values: list[float] = []
        for q in REFINEMENTS:
            if q > 1 and self.phi.cost().feature_bytes * q**self.phi.grid.ndim > CHUNK_BYTES:
                break
            finer = _refined_grid(self.phi.grid, q)
            try:
                phi = self.phi if q == 1 else self.phi.rebuilt(grid=finer, reference=self.phi.reference)
                warped = self.warp(w.f, finer, w.deformation).to(phi.device)
            except ValueError:
                return []
            with torch.no_grad():
                plain = w.f.on(finer).to(phi.device)
                found = feature_distances(phi(torch.cat([plain, warped]).to(self.phi.signal_dtype)))
                found["signal"] = finer.norm(warped - plain)
            values.append(float(found[w.output][0]) / w.unit)
        return values if len(values) > 1 else []


def feature_distances(features: Features) -> dict[str, Tensor]:
    """Distances ``(n,)`` between the second and the first half of a batch, by output."""
    n = features.pruned.shape[0] // 2
    parts = [layer.grid.energy(layer.values[n:] - layer.values[:n]).sum(-1) for layer in features]
    total = safe_sqrt(torch.stack(parts, -1).sum(-1))
    return {CHAIN: total, "all layers": total, **{f"layer {k}": safe_sqrt(part) for k, part in enumerate(parts)}}


def _refined_grid(grid: Grid, q: int) -> Grid:
    return Grid(tuple(q * n for n in grid.shape), tuple(h / q for h in grid.spacing), grid.unit)


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
