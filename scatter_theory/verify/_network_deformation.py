r"""Deformation sensitivity against the bound that the network itself gives, which knows of no band limit.

The theorem speaks of the network of the torus. It is measured on two grids that are finer than the network's own, and
the difference between the two says how far a measured value may lie from the torus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from scatter_theory.certify import NetworkBound, covariance_bound, network_bound, pointwise, refined, small_jacobian
from scatter_theory.constants import Constant
from scatter_theory.deform import Exact, Family, Field
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm
from scatter_theory.search import Attack, Effort
from scatter_theory.signals import BandLimited, BandLimitedSignal, Signal, SignalClass
from scatter_theory.verify._common import (
    EPS,
    NO_DATA,
    ROUNDING,
    Progress,
    as_array,
    finish,
    layer_constants,
    path_hypothesis,
    vanishing,
)
from scatter_theory.verify._network_search import displacements, moved, worst_given, worst_of_class
from scatter_theory.verify._rules import Rule, Sizes
from scatter_theory.verify._signal_classes import rule_for

#: How many times finer the two grids are on which features are measured; the values are those of the first.
GRIDS = (4, 8)
CLAIM = "deformation_network"


@dataclass(frozen=True, eq=False)
class Row:
    """One displacement: its bounds, and the signal that was moved farthest in relation to them."""

    field: Field
    sizes: Sizes
    certificate: NetworkBound
    f: BandLimitedSignal
    measured: float
    finer: float
    bound: float
    others: dict[str, float]
    attack: Attack | None

    @property
    def smallest(self) -> float:
        """The smallest of the bounds that are proven; infinite if none is."""
        proven = [self.bound] if self.certificate.certified else []
        named = {name: v for name, v in self.others.items() if name == "class bound" or self.certificate.certified}
        return min([*proven, *(v for v in named.values() if math.isfinite(v))], default=math.inf)


def network_deformation(
    phi: FeatureExtractor,
    signals: SignalClass | Signal,
    *,
    sup_tau: list[float],
    sup_jacobian: float | None,
    family: Family | Field,
    effort: Effort,
    generator: torch.Generator,
    progress: Progress,
    common: dict[str, Any],
) -> BoundCheck:
    """The check of `deformation` for ``bound="network"``; arguments as there, already checked."""
    if not isinstance(signals, (BandLimited, BandLimitedSignal)):
        raise ValueError(
            f"`deformation(bound='network', signals=...)`: got {type(signals).__name__}, expected the class "
            "`BandLimited` or band-limited signals, such as an array."
        )
    rule = rule_for(signals, "theorem", phi.grid)
    hypotheses = [path_hypothesis(phi), pointwise(phi), vanishing(phi)]
    if not all(h.satisfied for h in hypotheses) or _empty(signals, effort):
        notes = (NO_DATA,) if _empty(signals, effort) else ()
        return finish(CLAIM, phi, constants={}, hypotheses=hypotheses, notes=notes, **common)
    networks = [refined(phi, q) for q in GRIDS]
    fields = displacements(networks[0], signals, rule, family, sup_tau, sup_jacobian, effort, generator)
    hypotheses.append(small_jacobian(max(fields, key=lambda tau: float(tau.norms().jacobian.upper))))
    if not hypotheses[-1].satisfied:
        return finish(CLAIM, phi, constants={}, hypotheses=hypotheses, **common)
    rows = []
    for k, field in enumerate(fields):
        if progress is not None:
            progress(k, len(fields), f"displacement {k + 1} of {len(fields)}")
        rows.append(_row(phi, networks, signals, field, rule, effort, generator))
    return _assembled(phi, networks[0].grid, rule, rows, hypotheses, common)


def _empty(signals: SignalClass | BandLimitedSignal, effort: Effort) -> bool:
    if isinstance(signals, BandLimitedSignal):
        return signals.batch == (0,)
    return not (effort.random or effort.structured)


def _row(
    phi: FeatureExtractor,
    networks: list[FeatureExtractor],
    signals: SignalClass | BandLimitedSignal,
    field: Field,
    rule: Rule,
    effort: Effort,
    generator: torch.Generator,
) -> Row:
    norms = field.norms()
    sizes = Sizes(float(norms.sup.upper), field.ndim * float(norms.jacobian.upper))
    if isinstance(signals, BandLimitedSignal):
        certificate = network_bound(phi, field, float(signals.radius.max()))
        f, attack = worst_given(phi, networks[0], signals, field, certificate), None
        bound = certificate.of(phi, f.polynomial.coefficients)[0] / float(f.norm())
    else:
        certificate = network_bound(phi, field, signals.radius)
        f, attack = worst_of_class(phi, networks[0], signals, field, certificate, effort, generator)
        bound = certificate.value
    measured, finer = (moved(network, f, field) for network in networks)
    total = phi.certified_lipschitz().value
    simple = covariance_bound(phi, field)
    others = {
        "class bound": total * rule.continuum(f, phi.grid, sizes),
        "low-pass and commutator bound": simple.value if simple.applicable else math.nan,
        "telescoped bound": simple.telescoped if simple.applicable else math.nan,
    }
    return Row(field, sizes, certificate, f, measured, finer, bound, others, attack)


def _assembled(
    phi: FeatureExtractor, fine: Grid, rule: Rule, rows: list[Row], hypotheses: list[Any], common: dict[str, Any]
) -> BoundCheck:
    measured, bound = np.array([r.measured for r in rows]), np.array([r.bound for r in rows])
    worst = int(np.argmax(np.divide(measured, bound, out=np.zeros_like(bound), where=bound > 0)))
    row = rows[worst]
    constants = {**rule.constants(row.f), **layer_constants(phi)}
    for k, r in enumerate(rows, 1):
        constants[f"network bound, displacement {k}"] = _constant(r.certificate)
    notes = [f"Measured on a grid {GRIDS[0]} times as fine; the network is that of the torus, with filters continued."]
    if not all(r.certificate.certified for r in rows):
        notes.append(
            "Not certified: what a cut-off of the frequencies leaves out is known for trigonometric displacements of "
            "the line only. The bound is converged numerically."
        )
    searched = [r.attack for r in rows if r.attack is not None]
    arrays = {
        "f": row.f.on(fine)[0],
        "F f": Exact("direct")(row.f, fine, row.field)[0],
        "tau": row.field.at(fine.points(device=row.field.device)),
    }
    witness = {
        **{name: as_array(values) for name, values in arrays.items()},
        "band-limited": True,
        "output": "all layers",
        "measured": row.measured,
        "bound": row.bound,
        "unit value": float(row.f.norm()[0]),
        "unit": rule.unit_name,
        "sup_tau": row.sizes.t,
        "mode": row.attack.modes[0] if row.attack is not None else "given",
        "seed": common["seed"],
        "refinement": [row.measured, row.finer],
    }
    check = finish(
        CLAIM,
        phi,
        x=[r.sizes.t for r in rows],
        series=["all layers"] * len(rows),
        measured=measured,
        bound=bound,
        constants=constants,
        hypotheses=hypotheses,
        budget=[
            ErrorTerm("rounding", ROUNDING * bound + 64 * EPS),
            ErrorTerm("grid against torus", np.array([abs(r.measured - r.finer) for r in rows]), "discretisation"),
        ],
        witness=witness,
        extra={
            "d sup |D tau|": [r.sizes.D for r in rows],
            "smallest proven": [r.smallest for r in rows],
            **{name: [r.others[name] for r in rows] for name in rows[0].others},
        },
        notes=notes,
        certificates=[r.certificate for r in rows if r.certificate.certified],
        **common,
    )
    if not searched:
        return check
    modes = dict.fromkeys(mode for a in searched for mode in a.by_mode)
    best = {m: max(float(a.by_mode[m][0]) / r.bound for a, r in zip(searched, rows, strict=True)) for m in modes}
    return replace(check, search=best)


def _constant(certificate: NetworkBound) -> Constant:
    if certificate.certified:
        return Constant(certificate.value, "block recursion, evaluated by eigenvalues, cut-off included", "certified")
    return Constant(certificate.value, "block recursion, converged numerically", "estimated")
