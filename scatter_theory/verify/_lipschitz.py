"""Lipschitz continuity of the whole extractor and of every layer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.features import Features
from scatter_theory.grid import safe_sqrt
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm
from scatter_theory.search import Attack, Effort, am_pairs, maximise
from scatter_theory.seeds import Seed, seeded
from scatter_theory.verify._common import (
    EPS,
    NO_DATA,
    ROUNDING,
    TINY,
    Progress,
    admissible,
    as_array,
    candidates,
    chunk_size,
    constant_row,
    finish,
    given,
    in_double,
    layer_constants,
    local_constant,
    path_hypothesis,
    safe_ratio,
    worst_cell,
)


def lipschitz(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    bound: Literal["certified", "theorem"] = "certified",
    effort: Effort = Effort(),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Measure the Lipschitz constant of an extractor against its bound.

    .. math:: |||\Phi(f) - \Phi(h)||| \le c_0^{1/2} \|f - h\|, \qquad
              |||\Phi^n(f) - \Phi^n(h)||| \le \Lambda_n \|f - h\|,

    with :math:`c_0` of `FeatureExtractor.certified_lipschitz` (any network), or 1 for an admissible one
    (``bound="theorem"``), and :math:`\Lambda_n = \sup|\hat\chi_n| \prod_{k \le n} L_k R_k (\sup G_k)^{1/2}` per layer.

    Parameters
    ----------
    phi : FeatureExtractor
        Applied in float64.
    signals : (*batch, *shape) tensor or array, optional
        The user's signals; pairs are formed of neighbours in the batch, and of each signal with 0. Zero signals are
        skipped.
    bound : {"certified", "theorem"}
        Which bound the total is held against; ``"theorem"`` is INAPPLICABLE to a network that is not admissible.
    effort : Effort
        Random draws, structured candidates, steps and restarts of the ascent.
    generator : int, torch.Generator or None
        Seed; recorded in the result.
    progress : callable, optional
        ``progress(done, total, text)``.

    Returns
    -------
    BoundCheck
        Points: ``"all layers"`` and each layer. Witness: the pair ``f``, ``h``. A constant ``"exact, layer n"`` says
        that a pair attains the bound up to rounding, so that no smaller one is true. Without signals and effort
        INCONCLUSIVE; with paths that depend on the signal INAPPLICABLE.

    Raises
    ------
    TypeError, ValueError
        For signals that `FeatureExtractor.forward` refuses, and for an unknown `bound`.

    Notes
    -----
    Lipschitz continuity does not need the non-linearities to vanish at 0. Proof of both bounds: one-layer inequality
    by Plancherel, telescoped (``docs/theory/lipschitz.md``). The search starts from modulated pairs among others, which
    attain the bound of layer 2 where bands are flat (``docs/theory/extremisers.md``).
    """
    started = time.perf_counter()
    phi = in_double(phi)
    if bound not in ("certified", "theorem"):
        raise ValueError(f"`lipschitz(bound=...)`: got {bound!r}, expected 'certified' or 'theorem'.")
    rng, seed = seeded(generator)
    total, local = phi.certified_lipschitz(), [local_constant(phi, n) for n in range(phi.depth + 1)]
    hypotheses = [path_hypothesis(phi)]
    if bound == "theorem":
        hypotheses.append(admissible(phi))
        total = Constant(1.0, "admissible layers: the map does not expand distances", "derived")
    signals = given(phi, signals)
    pools = _pairs(phi, _neighbours(signals), candidates(phi, signals, effort, rng), rng)
    constants = {"total": total, **{f"layer {n}": c for n, c in enumerate(local)}, **layer_constants(phi)}
    common = {"constants": constants, "hypotheses": hypotheses, "started": started, "seed": seed, "grid": phi.grid}
    if not pools or phi.path_rule.signal_dependent:
        notes = () if phi.path_rule.signal_dependent else (NO_DATA,)
        return finish("lipschitz", phi, x_label="output", notes=notes, **common)

    bounds = [total.value, *(c.value for c in local)]
    names = ("all layers", *(f"layer {n}" for n in range(phi.depth + 1)))
    attack = maximise(
        lambda pairs: pair_ratios(phi, bounds, pairs),
        pools,
        targets=[[c] for c in range(len(names))],
        effort=effort,
        pairs=True,
        chunk=max(1, chunk_size(phi) // 2),
        progress=progress,
    )
    measured, cancellation = _read(phi, bounds, attack)
    if all(h.satisfied for h in hypotheses):
        common["constants"] = {**constants, **_exact(names, measured, bounds, constants)}
    worst = worst_cell(measured, bounds, attack)
    f, step = attack.signals[worst]
    return finish(
        "lipschitz",
        phi,
        x=range(len(names)),
        x_label="output",
        series=names,
        measured=measured,
        bound=bounds,
        budget=[
            ErrorTerm("rounding", ROUNDING * np.array(bounds)),
            ErrorTerm("cancellation in the difference", cancellation),
        ],
        attack=attack,
        witness={
            "f": as_array(f),
            "h": as_array(f + step),
            "output": names[worst],
            "mode": attack.modes[worst],
            "seed": seed,
        },
        notes=_notes(phi, bound),
        **common,
    )


def pair_ratios(phi: FeatureExtractor, bounds: Sequence[float], pairs: Tensor) -> Tensor:
    """Objective of the search: ratios ``(n, N + 2)`` of pairs ``(f, h - f)``, ``(n, 2, *shape)``."""
    f, step = pairs[:, 0], pairs[:, 1]
    distance = safe_sqrt(phi.grid.energy(step))[:, None]
    size = 1e-3 * safe_sqrt(phi.grid.energy(f))[:, None]
    return safe_ratio(_differences(phi(torch.cat([f, f + step]))), distance * constant_row(bounds, distance), size)


def _differences(features: Features) -> Tensor:
    """Norms ``(n, N + 2)`` of the differences between the second and the first half of a batch, the total first."""
    count = features.pruned.shape[0] // 2
    parts = [layer.grid.energy(layer.values[count:] - layer.values[:count]).sum(-1) for layer in features]
    energies = torch.stack(parts, -1)
    return safe_sqrt(torch.cat([energies.sum(-1, keepdim=True), energies], -1))


def _read(phi: FeatureExtractor, bounds: Sequence[float], attack: Attack) -> tuple[np.ndarray, np.ndarray]:
    """Quotients of the witness of every output, with the distance of the signals as they are stored, and rounding.

    Features carry a rounding error of a few units in the last place of their own size and of the signal's; the
    difference inherits it, and the quotient divides it by the distance.
    """
    measured, cancellation = [], []
    with torch.no_grad():
        for cell, (f, step) in enumerate(attack.signals):
            features = phi(torch.stack([f, f + step]))
            distance = phi.grid.norm((f + step) - f).clamp_min(TINY)
            sizes = bounds[cell] * (phi.grid.norm(f) + phi.grid.norm(step)) + features.norm().amax()
            measured.append(float(_differences(features)[0, cell] / distance))
            cancellation.append(64 * EPS * float(sizes / distance))
    return np.array(measured), np.array(cancellation)


def _notes(phi: FeatureExtractor, bound: str) -> tuple[str, ...]:
    if bound == "certified" and not admissible(phi).satisfied:
        return ("The network is not admissible; the bound is its certified constant c_0^(1/2), not 1.",)
    return ()


def _exact(
    names: Sequence[str], measured: np.ndarray, bounds: Sequence[float], constants: dict[str, Constant]
) -> dict[str, Constant]:
    """Suprema that are known: where a pair of signals attains the bound up to rounding, no smaller bound is true."""
    proven = {"all layers": constants["total"], **constants}
    found = {}
    for name, quotient, bound in zip(names, measured, bounds, strict=True):
        if bound > 0 and proven[name].proves and abs(quotient - bound) <= ROUNDING * bound:
            gap = max(bound - float(quotient), 0.0)
            found[f"exact, {name}"] = Constant(bound, "attained by a pair of signals", "certified", error=gap)
    return found


def _neighbours(x: Tensor) -> Tensor:
    """Pairs (f, h - f) of neighbours in the batch and of each signal with 0."""
    pairs = [torch.stack([x, -x], 1)]
    if x.shape[0] > 1:
        step = torch.roll(x, -1, 0) - x
        pairs.append(torch.stack([x, step], 1)[step.flatten(1).abs().amax(1) > 0])
    return torch.cat(pairs)


def _pairs(
    phi: FeatureExtractor, given_pairs: Tensor, singles: dict[str, Tensor], rng: torch.Generator
) -> dict[str, Tensor]:
    """Pairs (f, step): random far and close; structured steps from 0 and from random signals; modulated; the user's."""
    pools = {"given": given_pairs}
    ones = (1,) * phi.grid.ndim
    if "random" in singles:
        f = singles["random"]
        g = f[torch.randperm(f.shape[0], generator=rng).to(f.device)]
        close = 10.0 ** (-4 * torch.rand(f.shape[0], generator=rng, dtype=torch.float64)).to(f.device)
        pools["random"] = torch.cat([torch.stack([f, g], 1), torch.stack([f, g * close.reshape(-1, *ones)], 1)])
    if "structured" in singles:
        s = singles["structured"]
        pools["structured"] = torch.stack([torch.zeros_like(s), s], 1)
        if "random" in singles:
            base = singles["random"][torch.arange(s.shape[0], device=s.device) % singles["random"].shape[0]]
            pools["structured"] = torch.cat([pools["structured"], torch.stack([base, 1e-3 * s], 1)])
        modulated = [torch.stack([pair.f, pair.h - pair.f]) for pair in am_pairs(phi).pairs]
        if modulated:
            pools["structured"] = torch.cat([pools["structured"], torch.stack(modulated)])
    return {mode: x for mode, x in pools.items() if x.shape[0]}
