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
from torch import Tensor

from scatter_theory.certify import NetworkBound, covariance_bound, network_bound, pointwise, refined, small_jacobian
from scatter_theory.constants import Constant
from scatter_theory.deform import Exact, Family, Field
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm
from scatter_theory.search import Attack, Effort, maximise
from scatter_theory.signals import BandLimited, BandLimitedSignal, Signal, SignalClass
from scatter_theory.trigonometric import Polynomial
from scatter_theory.verify._common import (
    EPS,
    NO_DATA,
    ROUNDING,
    TINY,
    Progress,
    chunk_size,
    finish,
    layer_constants,
    path_hypothesis,
    vanishing,
)
from scatter_theory.verify._deformation_reading import Reader
from scatter_theory.verify._deformation_search import Problem, feature_distances
from scatter_theory.verify._rules import Rule, Sizes
from scatter_theory.verify._signal_classes import rule_for

#: How many times finer the two grids are on which features are measured; the values are those of the first.
GRIDS = (4, 8)
#: First step of the ascent, and copies of the extremal signal with changes of these sizes.
RATE, CHANGES = 0.1, (0.0, 0.05, 0.2)

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
    fields = _displacements(networks[0], signals, rule, family, sup_tau, sup_jacobian, effort, generator)
    hypotheses.append(small_jacobian(max(fields, key=lambda tau: float(tau.norms().jacobian.upper))))
    if not hypotheses[-1].satisfied:
        return finish(CLAIM, phi, constants={}, hypotheses=hypotheses, **common)
    rows = []
    for k, field in enumerate(fields):
        if progress is not None:
            progress(k, len(fields), f"displacement {k + 1} of {len(fields)}")
        rows.append(_row(phi, networks, signals, field, rule, effort, generator))
    return _assembled(phi, rule, rows, hypotheses, common)


def _empty(signals: SignalClass | BandLimitedSignal, effort: Effort) -> bool:
    if isinstance(signals, BandLimitedSignal):
        return signals.batch == (0,)
    return not (effort.random or effort.structured)


def _displacements(
    phi: FeatureExtractor,
    signals: SignalClass | Signal,
    rule: Rule,
    family: Family | Field,
    sup_tau: list[float],
    sup_jacobian: float | None,
    effort: Effort,
    generator: torch.Generator,
) -> list[Field]:
    """The given displacement in every size, or of a family those that moved some signal farthest."""
    if isinstance(family, Field):
        single = family.select(0) if family.batch else family
        return [single.scaled_to(sup=t, jacobian=sup_jacobian) for t in sup_tau]
    problem = Problem(
        phi,
        signals,
        rule,
        family=family,
        sup_tau=sup_tau,
        sup_jacobian=sup_jacobian,
        sup_omega=0.0,
        search="all",
        warp=Exact(),
        effort=effort,
        generator=generator,
    )
    attack = maximise(
        problem.ratios,
        problem.candidates(),
        targets=problem.targets,
        effort=effort,
        chunk=max(1, chunk_size(phi, 32) // 2),
        climb=problem.climb,
        rate=RATE,
    )
    witnesses, _ = Reader(problem).witnesses(attack)
    found = [w.deformation.tau for w in witnesses if w.output == "all layers"]
    return [tau.select(0) if tau.batch else tau for tau in found]


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
        f, attack = _given(phi, networks[0], signals, field, certificate), None
        bound = certificate.of(phi, f.polynomial.coefficients)[0] / float(f.norm())
    else:
        certificate = network_bound(phi, field, signals.radius)
        f, attack = _searched(phi, networks[0], signals, field, certificate, effort, generator)
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


def _given(
    phi: FeatureExtractor,
    network: FeatureExtractor,
    signals: BandLimitedSignal,
    field: Field,
    certificate: NetworkBound,
) -> BandLimitedSignal:
    """The given signal that comes closest to its own bound."""
    singles = [signals.select([i]) for i in range(signals.batch[0])]
    bounds = certificate.of(phi, signals.polynomial.coefficients)
    shares = [
        moved(network, f, field) * float(f.norm()) / max(bound, TINY) if float(f.norm()) > 0 else 0.0
        for f, bound in zip(singles, bounds, strict=True)
    ]
    return singles[int(np.argmax(shares))]


def _searched(
    phi: FeatureExtractor,
    network: FeatureExtractor,
    signals: BandLimited,
    field: Field,
    certificate: NetworkBound,
    effort: Effort,
    generator: torch.Generator,
) -> tuple[BandLimitedSignal, Attack]:
    """The member of the class that is moved farthest."""
    ball = signals.ball(phi.grid)
    points = network.grid.points(device=field.device)
    here, there = (_waves(ball, x).to(network.device) for x in (points, points - field.at(points).detach()))
    worst = BandLimitedSignal(Polynomial(certificate.worst_signal(phi)[None], phi.grid.extent, ball.hermitian))
    extremal = signals.parameters(worst)
    extremal = extremal / torch.linalg.vector_norm(extremal)
    noise = torch.randn((len(CHANGES), extremal.shape[1]), generator=generator, dtype=torch.float64)
    noise = noise / torch.linalg.vector_norm(noise, dim=1, keepdim=True)
    pools = {"extremal": extremal + torch.tensor(CHANGES, dtype=torch.float64)[:, None] * noise}
    if effort.random:
        pools["random"] = signals.parameters(signals.draw(phi.grid, effort.random, generator=generator))
    if effort.structured:
        members = signals.structured(phi.grid, effort.structured, generator=generator)
        pools["structured"] = signals.parameters(members)
    attack = maximise(
        lambda z: distances(network, ball, here, there, z),
        {mode: z.to(network.device) for mode, z in pools.items()},
        targets=[[0]],
        effort=effort,
        chunk=max(1, chunk_size(network, 32) // 2),
        rate=RATE,
    )
    return signals.member(attack.signals[:1], phi.grid), attack


def distances(network: FeatureExtractor, ball: Any, here: Tensor, there: Tensor, z: Tensor) -> Tensor:
    """Objective of the search, ``(n, 1)``: how far features move, for coordinates ``(n, P)`` of signals of norm 1.

    `here` and `there` are plane waves of the ball's box at the samples and at the displaced samples.
    """
    c = ball.unpack(ball.unit(z)).coefficients.flatten(1)
    values = [(c @ waves).reshape(-1, *network.grid.shape) for waves in (there, here)]
    features = [network(v.real if ball.hermitian else v) for v in values]
    return feature_distances(*features)["all layers"][:, None]


def _waves(ball: Any, points: Tensor) -> Tensor:
    """Plane waves of the ball's box at points ``(d, *shape)``, ``(box, points)``."""
    xi = ball.frequencies(points.device).flatten(1)
    return torch.exp(2j * math.pi * (xi.T @ points.flatten(1)))


def moved(network: FeatureExtractor, f: BandLimitedSignal, field: Field) -> float:
    """How far a displacement moves the features of one signal, relative to its norm."""
    grid = network.grid
    values = [v.to(network.device, network.signal_dtype) for v in (Exact("direct")(f, grid, field), f.on(grid))]
    with torch.no_grad():
        distance = feature_distances(*(network(v) for v in values))["all layers"]
    return float(distance[0]) / float(f.norm()[0])


def _assembled(
    phi: FeatureExtractor, rule: Rule, rows: list[Row], hypotheses: list[Any], common: dict[str, Any]
) -> BoundCheck:
    measured, bound = np.array([r.measured for r in rows]), np.array([r.bound for r in rows])
    worst = int(np.argmax(np.divide(measured, bound, out=np.zeros_like(bound), where=bound > 0)))
    row = rows[worst]
    constants = {**rule.constants(row.f), **layer_constants(phi)}
    for r in rows:
        name = f"network bound, sup |tau| = {r.sizes.t:.6g}"
        constants[name] = _constant(r.certificate)
    notes = [f"Measured on a grid {GRIDS[0]} times as fine; the network is that of the torus, with filters continued."]
    if not all(r.certificate.certified for r in rows):
        notes.append(
            "Not certified: what a cut-off of the frequencies leaves out is known for trigonometric displacements of "
            "the line only. The bound is converged numerically."
        )
    searched = [r.attack for r in rows if r.attack is not None]
    witness = {
        "f": row.f.on(phi.grid)[0].detach().cpu().numpy(),
        "tau": row.field.at(phi.grid.points(device=row.field.device)).detach().cpu().numpy(),
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
