"""Energy: bound, balance, remainder and its decay."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import torch

from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm
from scatter_theory.search import Effort, maximise
from scatter_theory.seeds import Seed, seeded
from scatter_theory.verify._common import (
    EPS,
    IDENTITY,
    NO_DATA,
    ROUNDING,
    Progress,
    as_array,
    candidates,
    chunk_size,
    finish,
    given,
    in_double,
    layer_constants,
    worst_cell,
)
from scatter_theory.verify._energy_forms import FORMS, Decay, Measure

Form = Literal["bound", "balance", "remainder", "getter", "rate"]


def energy(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    form: Form = "bound",
    effort: Effort = Effort(),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure the energy of features and remainder against a bound.

    Parameters
    ----------
    phi, signals, effort, generator, progress
        As in `lipschitz`.
    form : str
        ``"bound"``: :math:`|||\Phi(f)|||^2 \le c_0 \|f\|^2`.

        ``"balance"``: :math:`\|f\|^2 = \sum_{n<N} |||\Phi^n(f)|||^2 + W_N(f)` (dropped paths booked), for Parseval
        banks, modulus (or identity) and pooling without loss; the measured value is the relative defect.

        ``"remainder"``: :math:`W_n \le \gamma_n W_{n-1}` with :math:`\gamma_n = L_n^2 R_n^2 \sup_\xi G_n`.

        ``"getter"``: :math:`W_n \le (\|f\|^2 - \|f * \chi_0\|^2) \prod_{k=1}^{n-1} (1 - 1/S_k)`, with :math:`S_k` the
        largest number of DFT frequencies in the support of an atom of layer k.

        ``"rate"``: :math:`W_n \le \sum_\xi |\hat f|^2 (1 - \hat r(|\xi| / (\delta a^{n-1}))^2)`, d = 1, one-sided atoms
        with a gap, no pooling; the rate a is computed from the supports, and a note says how many layers hold a given
        share of the energy.

    Returns
    -------
    BoundCheck
        One point per layer, relative to ``||f||^2`` (``"remainder"``: to ``W_{n-1}``). Without signals and effort
        INCONCLUSIVE.

    Raises
    ------
    TypeError, ValueError
        For signals that `FeatureExtractor.forward` refuses, and for an unknown `form`.
    """
    if form not in FORMS:
        raise ValueError(f"`energy(form=...)`: got {form!r}, expected one of {tuple(FORMS)}.")
    return _measured(FORMS[form], phi, signals, effort, generator, progress)


def decay(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure how much energy each layer passes on, against a certified share below 1.

    .. math:: W_n(f) \le \lambda_n W_{n-1}(f), \qquad n \ge 2, \quad \text{for every } f .

    Parameters
    ----------
    phi, signals, effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        One point per layer 2..N, with the certificates of the shares; ``check.compare()`` shows beside them the gain,
        Getter's bound and the rate for the witness, where their hypotheses hold. INAPPLICABLE where maps may be
        negative (tanh, for example), and to a single layer. Without signals and effort INCONCLUSIVE.

    Raises
    ------
    TypeError, ValueError
        For signals that `FeatureExtractor.forward` refuses.

    Notes
    -----
    The share holds for all signals alike and does not depend on their length (``docs/theory/sharp_translation.md``). On
    :math:`\mathbb R^d` there is no such share: it tends to 1 as the grid is refined.
    """
    return _measured(Decay, phi, signals, effort, generator, progress)


def _measured(
    kind: type[Measure], phi: FeatureExtractor, signals: Any, effort: Effort, generator: Seed, progress: Progress
) -> BoundCheck:
    """Search the worst case of a measure and judge it."""
    started = time.perf_counter()
    phi = in_double(phi)
    rng, seed = seeded(generator)
    pools = candidates(phi, given(phi, signals), effort, rng)
    measure = kind(phi)
    identity = kind is FORMS["balance"]
    # Climbing is for claims that apply: an identity has no ratio, and a failed hypothesis has decided already.
    climbs = not identity and all(h.satisfied for h in measure.hypotheses)
    common = {
        "x_label": "layer n",
        "constants": {**measure.constants, **layer_constants(phi)},
        "hypotheses": measure.hypotheses,
        "certificates": measure.certificates,
        "started": started,
        "seed": seed,
        "grid": phi.grid,
    }
    if not pools or not measure.series:
        return finish(measure.claim, phi, notes=(*measure.notes, *(() if pools else (NO_DATA,))), **common)

    attack = maximise(
        measure.ratios,
        pools,
        targets=[[c] for c in range(len(measure.series))],
        effort=effort if climbs else Effort(effort.random, effort.structured, 0, 0),
        chunk=chunk_size(phi),
        progress=progress,
    )
    with torch.no_grad():
        values = [measure.values(f[None]) for f in attack.signals]
        others = [measure.others(f[None]) for f in attack.signals]
    measured = np.array([float(m[0, c]) for c, (m, _) in enumerate(values)])
    bounds = np.array([float(b[0, c]) for c, (_, b) in enumerate(values)])
    extra = {name: np.array([float(o[name][0, c]) for c, o in enumerate(others)]) for name in others[0]}
    worst = worst_cell(measured, bounds, attack)
    rounding = IDENTITY if identity else ROUNDING * bounds + 64 * EPS
    return finish(
        measure.claim,
        phi,
        x=measure.x,
        series=measure.series,
        measured=measured,
        bound=bounds,
        budget=[ErrorTerm("rounding", rounding)],
        attack=attack,
        witness={"f": as_array(attack.signals[worst]), "mode": attack.modes[worst], "seed": seed},
        extra=extra,
        notes=measure.notes,
        **common,
    )
