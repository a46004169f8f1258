"""Lipschitz continuity of the whole extractor and of every layer."""

from __future__ import annotations

import time
from typing import Any, Literal

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm
from scatter_theory.search import Effort, Seed, maximise, seeded
from scatter_theory.verify._common import (
    ROUNDING,
    Progress,
    admissible,
    as_array,
    candidates,
    finish,
    given,
    in_double,
    layer_constants,
    path_hypothesis,
    propagation_gain,
    safe_ratio,
    safe_sqrt,
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
        The user's signals; pairs are formed of neighbours in the batch, and of each signal with 0.
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
        Points: ``"all layers"`` and each layer. Witness: the pair ``f``, ``h``.

    Notes
    -----
    Lipschitz continuity does not need the non-linearities to vanish at 0. Proof of both bounds: one-layer inequality
    by Plancherel, telescoped (``docs/theory/lipschitz.md``).
    """
    started = time.perf_counter()
    phi = in_double(phi)
    rng, seed = seeded(generator)
    given_pairs = _neighbours(given(phi, signals))
    hypotheses = [path_hypothesis(phi)]
    total = phi.certified_lipschitz()
    if bound == "theorem":
        hypotheses.append(admissible(phi))
        total = Constant(1.0, "admissible layers: the map does not expand distances", "derived")
    elif bound != "certified":
        raise ValueError(f"`lipschitz(bound=...)`: got {bound!r}, expected 'certified' or 'theorem'.")
    local = [_local_constant(phi, n) for n in range(phi.depth + 1)]
    bounds = torch.tensor([total.value, *(c.value for c in local)], dtype=torch.float64, device=phi.device)

    def objective(pairs: Tensor) -> Tensor:
        f, step = pairs[:, 0], pairs[:, 1]
        count = f.shape[0]
        features = phi(torch.cat([f, f + step]))
        difference = [layer.values[:count] - layer.values[count:] for layer in features.layers]
        energies = torch.stack([g.energy(v).sum(-1) for g, v in zip(phi.grids, difference, strict=True)], -1)
        norms = torch.cat([safe_sqrt(energies.sum(-1, keepdim=True)), safe_sqrt(energies)], -1)
        distance = safe_sqrt(phi.grid.energy(step))[:, None]
        return safe_ratio(norms, distance * bounds, safe_sqrt(phi.grid.energy(f))[:, None] * 1e-3)

    pools = _pairs(phi, given_pairs, candidates(phi, given(phi, signals), effort, rng), rng)
    names = ("all layers", *(f"layer {n}" for n in range(phi.depth + 1)))
    attack = maximise(
        objective, pools, targets=[[c] for c in range(len(names))], effort=effort, chunk=32, progress=progress
    )
    worst = int(attack.best.argmax())
    f, step = attack.signals[worst]
    measured = torch.tensor([_quotient(phi, pair, c) for c, pair in enumerate(attack.signals)], dtype=torch.float64)
    size = float(phi.grid.norm(f) / phi.grid.norm(step).clamp_min(torch.finfo(torch.float64).tiny))
    cancellation = 64 * torch.finfo(torch.float64).eps * (1 + size) * bounds.cpu().numpy()
    return finish(
        "lipschitz",
        phi,
        x=range(len(names)),
        x_label="output",
        series=names,
        measured=measured,
        bound=bounds.cpu(),
        constants={"total": total, **{f"layer {n}": c for n, c in enumerate(local)}, **layer_constants(phi)},
        hypotheses=hypotheses,
        budget=[ErrorTerm("rounding", ROUNDING * bounds.cpu().numpy()), ErrorTerm("cancellation in the difference", cancellation)],
        started=started,
        seed=seed,
        grid=phi.grid,
        attack=attack,
        witness={"f": as_array(f), "h": as_array(f + step), "output": names[worst], "mode": attack.modes[worst], "seed": seed},
        notes=_notes(phi, bound),
    )


def _quotient(phi: FeatureExtractor, pair: Tensor, cell: int) -> float:
    """``|||Phi(f) - Phi(h)||| / ||f - h||`` of one pair: all layers (cell 0) or layer ``cell - 1``."""
    with torch.no_grad():
        features = phi(torch.stack([pair[0], pair[0] + pair[1]]))
        energies = [g.energy(v.values[0] - v.values[1]).sum() for g, v in zip(phi.grids, features.layers, strict=True)]
        energy = sum(energies) if cell == 0 else energies[cell - 1]
        return float(energy.sqrt() / phi.grid.norm((pair[0] + pair[1]) - pair[0]))


def _notes(phi: FeatureExtractor, bound: str) -> tuple[str, ...]:
    if bound == "certified" and not admissible(phi).satisfied:
        return ("The network is not admissible; the bound is its certified constant c_0^(1/2), not 1.",)
    return ()


def _local_constant(phi: FeatureExtractor, n: int) -> Constant:
    r""":math:`\sup |\hat\chi_n| \prod_{k \le n} L_k R_k (\sup G_k)^{1/2}`."""
    chi = float(phi.banks[n].output_power(real=phi.real[n]).max()) ** 0.5
    proves = all(phi.layer_constant(k).proves for k in range(1, n + 1))
    return Constant(chi * propagation_gain(phi, n), "sup |chi_n| prod L R (sup G)^(1/2)", "grid" if proves else "declared")


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
    """Pairs (f, step): random far and close ones; structured steps from 0 and from random signals; and the user's."""
    pools = {"given": given_pairs}
    if "random" in singles:
        f = singles["random"]
        g = f[torch.randperm(f.shape[0], generator=rng)]
        close = 10.0 ** (-4 * torch.rand(f.shape[0], generator=rng, dtype=torch.float64)).to(f.device)
        pools["random"] = torch.cat([torch.stack([f, g], 1), torch.stack([f, g * close.reshape(-1, *(1,) * phi.grid.ndim)], 1)])
    if "structured" in singles:
        s = singles["structured"]
        start = torch.zeros_like(s)
        pools["structured"] = torch.stack([start, s], 1)
        if "random" in singles:
            base = singles["random"][torch.arange(s.shape[0]) % singles["random"].shape[0]]
            pools["structured"] = torch.cat([pools["structured"], torch.stack([base, 1e-3 * s], 1)])
    return {mode: x for mode, x in pools.items() if x.shape[0]}
