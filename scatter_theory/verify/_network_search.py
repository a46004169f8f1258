r"""What is deformed in a check of the network bound, and which signals are moved farthest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.certify import NetworkBound
from scatter_theory.deform import Exact, Family, Field
from scatter_theory.network import FeatureExtractor
from scatter_theory.search import Attack, Effort, maximise
from scatter_theory.signals import BandLimited, BandLimitedSignal, Signal, SignalClass
from scatter_theory.trigonometric import Polynomial
from scatter_theory.verify._common import TINY, chunk_size
from scatter_theory.verify._deformation_reading import Reader
from scatter_theory.verify._deformation_search import Problem, feature_distances
from scatter_theory.verify._rules import Rule

#: First step of the ascent, and copies of the extremal signal with changes of these sizes.
RATE, CHANGES = 0.1, (0.0, 0.05, 0.2)


def displacements(
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


def worst_given(
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


def worst_of_class(
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
