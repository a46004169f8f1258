"""What the deformation search found, evaluated again by direct summation with certified sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from scatter_theory.deform import Deformation, Exact
from scatter_theory.grid import Grid
from scatter_theory.search import Attack
from scatter_theory.signals import BandLimitedSignal, Signal
from scatter_theory.trigonometric import supremum
from scatter_theory.verify._alias import REFINEMENTS
from scatter_theory.verify._common import CHUNK_BYTES, EPS
from scatter_theory.verify._deformation_parts import phase
from scatter_theory.verify._deformation_search import CHAIN, Problem, feature_distances
from scatter_theory.verify._rules import Sizes

#: Finer grid on which the distance of a witness is read in addition.
FINER = 4


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

    @property
    def ratio(self) -> float:
        """``measured / bound``; what is within rounding of a bound of 0 counts as 0."""
        if self.bound == 0:
            return 0.0 if self.measured <= self.rounding + self.disagreement else math.inf
        return self.measured / self.bound

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


class Reader:
    """Reads witnesses of a problem.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.phi = problem, problem.phi

    def witnesses(self, attack: Attack) -> tuple[list[Witness], list[int]]:
        """The witness of every cell, and the cell whose search found it.

        What was found for one output is read for all outputs of its size, and the largest ratio counts. A smaller
        displacement is one of the larger size too: if it moved an output farther, it takes the place.
        """
        cells, sizes = self.problem.cells, self.problem.field_part.sizes
        found = [self._read(cell, attack.signals[cell][None]) for cell in range(len(cells))]
        chosen, origins = [], []
        for level, output in cells:
            same = [i for i, (other, _) in enumerate(cells) if other == level]
            best = max(same, key=lambda i: found[i][output].ratio)
            witness = found[best][output]
            smaller = [i for i, (other, _) in enumerate(cells) if sizes[other] < sizes[level]]
            farthest = max(smaller, key=lambda i: found[i][output].measured, default=best)
            if output != CHAIN and found[farthest][output].measured > witness.measured:
                best, witness = farthest, self._bounded(found[farthest][output], sizes[level])
            chosen.append(witness)
            origins.append(best)
        return chosen, origins

    def _bounded(self, w: Witness, size: float) -> Witness:
        """The witness with the bounds of displacements up to a larger size."""
        grid, rule, constant = self.phi.grid, self.problem.rule, self.problem.lipschitz[w.output].value
        asked = replace(w.sizes, t=max(size, w.sizes.t))
        return replace(
            w,
            bound=constant * rule.bound(w.f, grid, asked),
            cap=constant * rule.cap(w.f, grid, asked),
            continuum=rule.continuum(w.f, grid, asked),
        )

    def _read(self, cell: int, z: Tensor) -> dict[str, Witness]:
        """The candidate of a cell, by output, evaluated by direct summation with certified sizes."""
        level, _ = self.problem.cells[cell]
        with torch.no_grad():
            a, b, c = self.problem.blocks(z)
            f = self.problem.signal_part.groups(a)[0][1]
            field = self.problem.field_part.field(b, level)
            norms = field.norms()
            factor = self.problem.field_part.factor(norms.sup.upper, norms.jacobian.upper, level)
            field = field.scaled(factor if field.batch else float(factor))
            omega = phase(c, self.phi.grid, self.problem.sup_omega) if self.problem.sup_omega else None
            return self._evaluated(f, Deformation(field, omega), self.problem.field_part.sizes[level])

    def _evaluated(self, f: Signal, deformation: Deformation, size: float) -> dict[str, Witness]:
        """Everything that is read of one deformed signal; the bounds are those of displacements up to `size`."""
        grid, rule, norms = self.phi.grid, self.problem.rule, deformation.tau.norms()
        omega = 0.0 if deformation.omega is None else float(supremum(deformation.omega).upper.max())
        sizes = Sizes(float(norms.sup.upper.max()), grid.ndim * float(norms.jacobian.upper.max()), omega)
        values, unit = f.on(grid).to(self.phi.device), float(rule.unit(f).max())
        warped, disagreement = self._evaluated_twice(f, grid, deformation)
        signal = float(grid.norm(warped - values).max()) / unit
        found = feature_distances(*(self.phi(x.to(self.phi.signal_dtype)) for x in (warped, values)))
        measured = {"signal": signal, **{output: float(v[0]) / unit for output, v in found.items()}}
        shared = {
            "f": f,
            "deformation": deformation,
            "values": values,
            "warped": warped,
            "sizes": sizes,
            "unit": unit,
            "signal": signal,
            "fine": self._fine(f, deformation, unit),
            "rounding": 64 * EPS * float(grid.norm(values).max()) / unit,
            "disagreement": disagreement / unit,
        }
        still = Witness(output="signal", measured=signal, bound=math.nan, continuum=math.nan, cap=math.nan, **shared)
        plain = self._bounded(still, size)
        witnesses = {}
        for output, value in measured.items():
            constant = self.problem.lipschitz[output].value
            bound, cap = (signal, math.inf) if output == CHAIN else (plain.bound, plain.cap)
            witnesses[output] = replace(
                plain, output=output, measured=value, bound=constant * bound, cap=constant * cap
            )
        return witnesses

    def _evaluated_twice(self, f: Signal, grid: Grid, deformation: Deformation) -> tuple[Tensor, float]:
        """The deformed signal by direct summation, and how far a fast evaluation is from it."""
        if not self.problem.warp.exact:
            return self.problem.warp(f, grid, deformation).to(self.phi.device), 0.0
        warped = Exact("direct")(f, grid, deformation).to(self.phi.device)
        if not isinstance(f, BandLimitedSignal) or warped.device.type != "cpu":
            return warped, 0.0
        again = Exact("finufft")(f, grid, deformation)
        return warped, float(grid.norm(again - warped).max())

    def _fine(self, f: Signal, deformation: Deformation, unit: float) -> float:
        """Distance of the signals on a finer grid; NaN where the field is known at the samples only."""
        finer = self.phi.grid.refined(FINER)
        try:
            warped = self.problem.warp(f, finer, deformation)
        except ValueError:
            return math.nan
        return float(finer.norm(warped - f.on(finer)).max()) / unit

    def refinement(self, w: Witness) -> list[float]:
        """The measured value with signal, deformation and network sampled 1, 2 and 4 times as finely, while affordable.

        Empty where the network or the displacement does not exist on finer grids.
        """
        values: list[float] = []
        for q in REFINEMENTS:
            if q > 1 and self.phi.plan().feature_bytes * q**self.phi.grid.ndim > CHUNK_BYTES:
                break
            finer = self.phi.grid.refined(q)
            try:
                phi = self.phi if q == 1 else self.phi.rebuilt(grid=finer, reference=self.phi.reference)
                warped = self.problem.warp(w.f, finer, w.deformation).to(phi.device)
            except ValueError:
                return []
            with torch.no_grad():
                plain = w.f.on(finer).to(phi.device)
                found = feature_distances(*(phi(x.to(self.phi.signal_dtype)) for x in (warped, plain)))
                found["signal"] = finer.norm(warped - plain)
            values.append(float(found[w.output][0]) / w.unit)
        return values if len(values) > 1 else []
