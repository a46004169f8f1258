r"""Deformation sensitivity: features against the signal, the signal against its class."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from types import NoneType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.deform import Exact, Family, Field, Interpolated
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm
from scatter_theory.search import Attack, Effort, maximise
from scatter_theory.seeds import Seed, seeded
from scatter_theory.signals import Interpolant, Signal, SignalClass
from scatter_theory.verify._alias import REFINEMENTS
from scatter_theory.verify._common import (
    NO_DATA,
    ROUNDING,
    Progress,
    checked_effort,
    chunk_size,
    finish,
    given,
    in_double,
    layer_constants,
    path_hypothesis,
    worst_cell,
)
from scatter_theory.verify._deformation_parts import default_family
from scatter_theory.verify._deformation_reading import Reader, Witness
from scatter_theory.verify._deformation_search import CHAIN, Problem
from scatter_theory.verify._network_deformation import network_deformation
from scatter_theory.verify._signal_classes import rule_for

Search = Literal["all", "signal", "field"]

#: First step of the ascent: candidates are sparse, their few large entries have to move.
RATE = 0.15

#: Shares of the sampling period at which displacements are measured unless told otherwise, times the spacing.
SIZES = (0.03125, 0.125, 0.5, 2.0)


def deformation(
    phi: FeatureExtractor,
    signals: SignalClass | Signal | Tensor | np.ndarray,
    *,
    sup_tau: Sequence[float] | None = None,
    sup_jacobian: float | Literal["theorem"] | None = "theorem",
    sup_omega: float = 0.0,
    family: Family | Field | None = None,
    bound: Literal["theorem", "unconditional", "published", "oscillation", "network"] = "theorem",
    search: Search = "all",
    warp: Exact | Interpolated = Exact(),  # noqa: B008 - frozen
    effort: Effort = Effort(random=16, structured=64, steps=30, restarts=2),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure how far deformations move signals and features, against the bound of the signals' class.

    .. math:: |||\Phi(F_{\tau,\omega} f) - \Phi(f)||| \le c_0^{1/2} \|F_{\tau,\omega} f - f\|
              \le c_0^{1/2} \cdot (\text{bound of the class}) ,
              \qquad F_{\tau,\omega} f(x) = e^{2\pi i \omega(x)} f(x - \tau(x)) .

    Parameters
    ----------
    phi : FeatureExtractor
        Applied in float64.
    signals : SignalClass, Signal, or (*batch, *shape) tensor or array
        A class, over which the search ranges; or given signals. An array stands for its trigonometric interpolant
        without the Nyquist bins (`signals.Interpolant`). Classes with jumps are represented by draws.
    sup_tau : sequence of float, optional
        :math:`\sup|\tau|` at which to measure, in units; default: 1/32, 1/8, 1/2 and 2 samples. For families that
        cannot be scaled (rotations) it is left out, and shares of the family's limit are measured.
    sup_jacobian : float, "theorem" or None
        Fields are shrunk until the largest entry of their Jacobian is at most this; ``"theorem"``: 1/(2d) where the
        bound needs it; None: fields are taken as they are, and beyond 1/(2d) the check is INAPPLICABLE.
    sup_omega : float
        :math:`\sup|\omega|` in cycles; needs an extractor with ``complex_input=True``.
    family : Family or Field, optional
        Displacements to search, or a single one that is scaled; default: `deform.BandLimitedFields()`.
    bound : {"theorem", "unconditional", "published", "oscillation", "network"}
        ``"unconditional"``: the form that needs no condition on the Jacobian; ``"published"``: as printed, for
        comparison; ``"oscillation"``: for given signals, how much they vary within the reach of the displacement, which
        is attained. ``"network"``: what the network gives for each displacement, without a band limit; for band-limited
        signals, without phases, certified on the line for trigonometric displacements.
    search : {"all", "signal", "field"}
        What the ascent moves: both together, or one of them with the other as drawn.
    warp : Exact or Interpolated
        With `Interpolated` the check never says HOLDS.
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        For every size: ``"signal"`` (distance of the signals against the bound), ``"all layers"`` and each layer
        (features against the bound times their Lipschitz constant). The first inequality is searched too; it gets rows
        of its own, ``"features / signal"``, only where it breaks. Columns in ``extra``: sizes of the witness, its
        signal's distance on this grid and on a finer one, the bound in :math:`L^2`. Witness: signal, displacement,
        phase, the best ratio (plain form) after each step of the ascent, and the values on finer grids.

    Raises
    ------
    TypeError, ValueError
        For arguments of another kind, phases on an extractor for real signals, and forms that do not exist.

    Notes
    -----
    Everything is stated for the samples on the grid and proven for them: the first inequality for every network, the
    second with the grid form of the class bound (``docs/theory/deformation.md``). The deformation is evaluated exactly.
    The signals of a class and the fields are searched together; every reported number is evaluated again, by direct
    summation, with certified sizes of its displacement.
    """
    started = time.perf_counter()
    phi = in_double(phi)
    rng, seed = seeded(generator)
    if search not in ("all", "signal", "field"):
        raise ValueError(f"`deformation(search=...)`: got {search!r}, expected 'all', 'signal' or 'field'.")
    if sup_omega and not phi.complex_input:
        raise ValueError(
            "`deformation(sup_omega=...)`: a phase makes signals complex, and this extractor was made for real ones. "
            "Use FeatureExtractor(..., complex_input=True)."
        )
    for name, value, kinds in (("family", family, (Family, Field, NoneType)), ("warp", warp, (Exact, Interpolated))):
        if not isinstance(value, kinds):
            raise TypeError(
                f"`deformation({name}=...)`: got {value!r}, expected {' or '.join(k.__name__ for k in kinds)}."
            )
    if isinstance(family, Field) and family.batch not in ((), (1,)):
        raise ValueError(
            f"`deformation(family=...)`: got a batch {family.batch} of displacements, expected one, or a Family; take "
            "one with `field.select(i)`."
        )
    signals = _prepared(phi, signals)
    checked_effort(effort)
    common: dict[str, Any] = {
        "x_label": f"sup |tau| [{phi.grid.unit}]",
        "started": started,
        "seed": seed,
        "grid": phi.grid,
    }
    if bound == "network":
        if sup_omega or not warp.exact:
            raise ValueError("`deformation(bound='network')`: takes exact deformations without phase (sup_omega=0).")
        return network_deformation(
            phi,
            signals,
            sup_tau=_sizes(phi, sup_tau),
            sup_jacobian=_jacobian(sup_jacobian, True, phi.grid.ndim),
            family=family if family is not None else default_family(),
            effort=effort,
            generator=rng,
            progress=progress,
            common=common,
        )
    rule = rule_for(signals, bound, phi.grid)
    problem = Problem(
        phi,
        signals,
        rule,
        family=family,
        sup_tau=_sizes(phi, sup_tau),
        sup_jacobian=_jacobian(sup_jacobian, rule.needs_jacobian, phi.grid.ndim),
        sup_omega=sup_omega,
        search=search,
        warp=warp,
        effort=effort,
        generator=rng,
    )
    pools = problem.candidates()
    if not pools or phi.path_rule.signal_dependent:
        notes = () if phi.path_rule.signal_dependent else (NO_DATA,)
        hypotheses = [path_hypothesis(phi), *rule.hypotheses(0.0)]
        return finish(rule.claim, phi, constants={}, hypotheses=hypotheses, notes=notes, **common)
    attack = maximise(
        problem.ratios,
        pools,
        targets=problem.targets,
        effort=effort,
        chunk=max(1, chunk_size(phi, 32) // 2),
        climb=problem.climb,
        rate=RATE,
        progress=progress,
    )
    reader = Reader(problem)
    witnesses, origins = reader.witnesses(attack)
    return _assemble(rule, phi, reader, witnesses, _restated(attack, witnesses, origins), warp, bound, common)


def _assemble(
    rule: Any,
    phi: FeatureExtractor,
    reader: Reader,
    witnesses: list[Witness],
    attack: Attack,
    warp: Exact | Interpolated,
    form: str,
    common: dict[str, Any],
) -> BoundCheck:
    """The check from its witnesses, one per cell; the chain "features / signal" gets rows only where it breaks."""
    problem = reader.problem
    kept = [i for i, (_, output) in enumerate(problem.cells) if output != CHAIN or _breaks(witnesses[i])]
    chain = max(w.ratio for w in witnesses if w.output == CHAIN)
    cells, rows, attack = [problem.cells[i] for i in kept], [witnesses[i] for i in kept], _restricted(attack, kept)
    measured, bounds = np.array([w.measured for w in rows]), np.array([w.bound for w in rows])
    worst = worst_cell(measured, bounds, attack)
    w = rows[worst]
    hypotheses = [path_hypothesis(phi), *rule.hypotheses(max(v.sizes.D for v in witnesses))]
    constants = {**rule.constants(w.f), **problem.network_constants, **layer_constants(phi)}
    notes = [f"Features moved at most {chain:.6g} of c_0^(1/2) times the distance of their own signals."]
    source = problem.signal_part.source
    if isinstance(source, Interpolant) and float(source.dropped.max()) > 0:
        share = float(source.dropped.max())
        notes.append(
            f"Left out of the signals: their Nyquist bins, at most {share:.2g} of the energy without the mean; no "
            "fractional displacement keeps them real."
        )
    if not warp.exact:
        constants["warp"] = Constant(math.nan, f"{warp!r} is not the deformation of the theorem", "estimated")
        notes.append(f"{warp!r} interpolates: its own error is part of the measured values.")
    trend = reader.refinement(w)
    if trend:
        shown = ", ".join(f"{v:.4g}" for v in trend)
        finer = ", ".join(str(q) for q in REFINEMENTS[: len(trend)])
        notes.append(f"Worst case ({w.output}) on grids {finer} times as fine: {shown}.")
    return finish(
        rule.claim,
        phi,
        x=[problem.field_part.sizes[level] for level, _ in cells],
        series=[output for _, output in cells],
        measured=measured,
        bound=bounds,
        constants=constants,
        hypotheses=hypotheses,
        budget=[
            ErrorTerm("rounding", ROUNDING * bounds + np.array([v.rounding for v in rows])),
            ErrorTerm("two evaluations of the deformation", np.array([v.disagreement for v in rows])),
        ],
        attack=attack,
        witness={
            **w.to_dict(phi.grid),
            "unit": rule.unit_name,
            "mode": attack.modes[worst],
            "seed": common["seed"],
            "form": form,
            "best so far": list(attack.curve),
            **({"refinement": trend} if trend else {}),
        },
        extra={
            "sup |tau|": [v.sizes.t for v in rows],
            "d sup |D tau|": [v.sizes.D for v in rows],
            "signal distance": [v.signal for v in rows],
            "4 times finer": [v.fine for v in rows],
            "bound in L2": [v.continuum for v in rows],
        },
        notes=notes,
        cap=np.array([v.cap for v in rows]),
        **common,
    )


def _breaks(w: Witness) -> bool:
    return not w.measured <= w.bound * (1 + ROUNDING) + w.rounding + w.disagreement


def _restated(attack: Attack, witnesses: list[Witness], origins: list[int]) -> Attack:
    """The attack with the ratios of its witnesses, which the search for another output may have found.

    What the modes reached is taken from the plain form of the bound to the sharp one by the factor between the two.
    """
    sharp = torch.tensor([w.ratio for w in witnesses], dtype=torch.float64)
    modes = [attack.modes[i] for i in origins]
    change = sharp / attack.best.clamp_min(1e-300)
    by_mode = {mode: torch.minimum(top * change, sharp) for mode, top in attack.by_mode.items()}
    for cell, mode in enumerate(modes):
        by_mode[mode][cell] = sharp[cell]
    signals = attack.signals[torch.tensor(origins, device=attack.signals.device)]
    return replace(attack, best=sharp, signals=signals, modes=modes, by_mode=by_mode)


def _restricted(attack: Attack, kept: list[int]) -> Attack:
    """The attack on some of its cells."""
    index = torch.tensor(kept)
    return replace(
        attack,
        best=attack.best[index],
        signals=attack.signals[index.to(attack.signals.device)],
        modes=[attack.modes[i] for i in kept],
        by_mode={mode: top[index] for mode, top in attack.by_mode.items()},
    )


def _prepared(phi: FeatureExtractor, signals: Any) -> SignalClass | Signal:
    """A class or signals that the extractor takes; arrays become interpolants, without those that are 0."""
    if not isinstance(signals, (SignalClass, Signal)):
        return Interpolant(given(phi, signals), phi.grid)
    values_are_real = signals.real if isinstance(signals, Signal) else not getattr(signals, "complex_valued", False)
    if not values_are_real and not phi.complex_input:
        raise ValueError(
            "`deformation(signals=...)`: got complex signals, but the extractor was built for real ones. Build it with "
            "`complex_input=True`."
        )
    return signals


def _sizes(phi: FeatureExtractor, sup_tau: Sequence[float] | None) -> list[float] | None:
    if sup_tau is None:
        return [s * min(phi.grid.spacing) for s in SIZES]
    values = [float(t) for t in sup_tau] if np.ndim(sup_tau) == 1 else []
    if not values or not all(math.isfinite(t) and t > 0 for t in values):
        raise ValueError(
            f"`deformation(sup_tau=...)`: got {sup_tau!r}, expected a list of positive numbers, in units of the grid, "
            f"e.g. [{min(phi.grid.spacing):g}], which is one sample."
        )
    return values


def _jacobian(value: float | str | None, needed: bool, d: int) -> float | None:
    if value is None or value == "theorem":
        return 1 / (2 * d) if value == "theorem" and needed else None
    if isinstance(value, str) or not (math.isfinite(value) and value >= 0):
        raise ValueError(f"`deformation(sup_jacobian=...)`: got {value!r}, expected a number >= 0, 'theorem' or None.")
    return float(value)
