"""Attacks on the declared constants of non-linearities and poolings."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.nonlinearities import Nonlinearity
from scatter_theory.poolings import Pooling, Sampling
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis
from scatter_theory.search import Effort, Seed, maximise, noise, seeded, unit_rms
from scatter_theory.verify._common import ROUNDING, Progress, as_array, finish, safe_ratio, safe_sqrt


def nonlinearity(
    rho: Nonlinearity,
    *,
    effort: Effort = Effort(random=4096, structured=4096, steps=100, restarts=16),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Attack the Lipschitz constant of a non-linearity: :math:`|\rho(a) - \rho(b)| \le L |a - b|` on the complex plane.

    Pairs: random ones over twelve decades of amplitude and distance; neighbours on a dense real and imaginary grid, which
    contain the steepest point; then ascent.

    Parameters
    ----------
    rho : Nonlinearity
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        HOLDS for a proven constant that was not exceeded; INCONCLUSIVE for a merely declared one that was not exceeded;
        VIOLATED with the counterexample ``a``, ``b`` as witness.
    """
    started = time.perf_counter()
    if not isinstance(rho, Nonlinearity):
        raise TypeError(f"`nonlinearity(rho=...)`: got {type(rho).__name__}, expected a Nonlinearity instance.")
    rng, seed = seeded(generator)
    L = rho.lipschitz

    def objective(pairs: Tensor) -> Tensor:
        a, step = torch.view_as_complex(pairs[:, 0].contiguous()), torch.view_as_complex(pairs[:, 1].contiguous())
        b = a + step
        change = torch.view_as_real(_complex(rho(b) - rho(a))).pow(2).sum(-1)
        distance = torch.view_as_real(b - a).pow(2).sum(-1)
        usable = distance > (1e-7 * a.abs()) ** 2
        ratio = safe_sqrt(change) / (safe_sqrt(distance) * L.value).clamp_min(1e-300)
        return torch.where(usable, ratio, torch.zeros_like(ratio))[:, None]

    attack = maximise(objective, _point_pairs(effort, rng), targets=[[0]], effort=effort, chunk=1 << 16, progress=progress)
    a, step = (complex(*v.tolist()) for v in attack.signals[0])
    return finish(
        "nonlinearity",
        rho,
        x=[0],
        x_label="pair",
        series=["difference quotient"],
        measured=[float(attack.best[0]) * L.value],
        bound=[L.value],
        constants={"L": L},
        hypotheses=[],
        budget=[ErrorTerm("cancellation in rho(b) - rho(a)", 2e-8 * L.value)],
        started=started,
        seed=seed,
        attack=attack,
        witness={"a": a, "b": a + step, "mode": attack.modes[0], "seed": seed},
        notes=() if rho.zero == 0 else (f"|rho(0)| = {rho.zero:.6g}: Lipschitz bounds apply, energy bounds do not.",),
    )


def pooling(
    pool: Pooling,
    grid: Grid,
    *,
    sampling: Sampling = "dilate",
    effort: Effort = Effort(random=32, structured=64, steps=100, restarts=4),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Attack the Lipschitz constant R of a pooling on a grid, and its covariance.

    Points: ``"difference quotient"`` of :math:`u \mapsto S^{d/2} (P u)(S\cdot)` (mode ``"dilate"``) or
    :math:`u \mapsto (P u)[S n]` (``"decimate"``, counting norm) against R; ``"covariance"``: relative defect under a shift
    by S samples, against 0.

    Parameters
    ----------
    pool : Pooling
    grid : Grid
    sampling : {"dilate", "decimate"}
    effort, generator, progress
        As in `lipschitz`.
    """
    started = time.perf_counter()
    if not isinstance(pool, Pooling):
        raise TypeError(f"`pooling(pool=...)`: got {type(pool).__name__}, expected a Pooling instance.")
    rng, seed = seeded(generator)
    R = pool.lipschitz(grid, sampling)

    def objective(pairs: Tensor) -> Tensor:
        u, step = pairs[:, 0], pairs[:, 1]
        (a, coarse), (b, _) = pool(u, grid, sampling), pool(u + step, grid, sampling)
        distance = safe_sqrt(grid.energy(step))
        ratio = safe_ratio(safe_sqrt(coarse.energy(b - a)), distance * R.value, 1e-3 * safe_sqrt(grid.energy(u)))
        return ratio[:, None]

    attack = maximise(objective, _map_pairs(grid, pool, effort, rng), targets=[[0]], effort=effort, progress=progress)
    u, step = attack.signals[0]
    defect = _covariance_defect(pool, grid, sampling, rng)
    return finish(
        "pooling",
        f"{pool!r}, {sampling}",
        x=[0, 1],
        x_label="property",
        series=["difference quotient", "covariance"],
        measured=[float(attack.best[0]) * R.value, defect],
        bound=[R.value, 0.0],
        constants={"R": R},
        hypotheses=[Hypothesis("the pooling claims to commute with translations", pool.commutes)],
        budget=[ErrorTerm("rounding", [ROUNDING * max(R.value, 1.0) + 1e-9 * R.value, 1e-12 * max(R.value, 1.0)])],
        started=started,
        seed=seed,
        grid=grid,
        attack=attack,
        witness={"u": as_array(u), "v": as_array(u + step), "mode": attack.modes[0], "seed": seed},
    )


def _complex(x: Tensor) -> Tensor:
    return x if x.is_complex() else torch.complex(x, torch.zeros_like(x))


def _point_pairs(effort: Effort, rng: torch.Generator) -> dict[str, Tensor]:
    """Pairs (a, b - a) of complex numbers as ``(n, 2, 2)`` real tensors."""
    pools = {}
    n = effort.random
    if n:
        size = 10.0 ** (12 * torch.rand((n, 1), generator=rng, dtype=torch.float64) - 6)
        gap = 10.0 ** (-5 * torch.rand((n, 1), generator=rng, dtype=torch.float64))
        a = size * torch.randn((n, 2), generator=rng, dtype=torch.float64)
        pools["random"] = torch.stack([a, gap * size * torch.randn((n, 2), generator=rng, dtype=torch.float64)], 1)
    m = effort.structured
    if m:
        x = torch.cat([torch.linspace(-8, 8, m, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])
        zero = torch.zeros_like(x)
        steps = torch.full_like(x, 1e-5)
        along = torch.stack([torch.stack([x, zero], -1), torch.stack([steps, zero], -1)], 1)
        across = torch.stack([torch.stack([zero, x], -1), torch.stack([zero, steps], -1)], 1)
        turn = torch.stack([torch.stack([x, zero], -1), torch.stack([zero, steps], -1)], 1)
        far = torch.stack([torch.stack([zero, zero], -1), torch.stack([x, zero], -1)], 1)
        pools["structured"] = torch.cat([along, across, turn, far])
    return pools


def _map_pairs(grid: Grid, pool: Pooling, effort: Effort, rng: torch.Generator) -> dict[str, Tensor]:
    """Pairs (u, v - u) of maps."""
    device = torch.device("cpu")
    x = noise(grid, max(effort.random, 2), rng, complex_input=False, device=device)
    pools = {"random": torch.cat([torch.stack([x, torch.roll(x, 1, 0)], 1), torch.stack([x, 1e-3 * torch.roll(x, 1, 0)], 1)])}
    S = max(2, math.ceil(pool.factor))
    signals = []
    for offset in range(min(S, 4)):
        spike = torch.zeros(grid.shape, dtype=torch.float64)
        spike[tuple(min(offset, n - 1) for n in grid.shape)] = 1.0
        comb = torch.zeros(grid.shape, dtype=torch.float64)
        comb[tuple(slice(min(offset, n - 1), None, S) for n in grid.shape)] = 1.0
        signals += [spike, comb]
    signals.append(torch.ones(grid.shape, dtype=torch.float64))
    structured = unit_rms(torch.stack(signals), grid.ndim)
    base = torch.cat([torch.zeros_like(structured), x[torch.arange(structured.shape[0]) % x.shape[0]]])
    steps = torch.cat([structured, 1e-2 * structured])
    pools["structured"] = torch.stack([base, steps], 1)
    return pools


def _covariance_defect(pool: Pooling, grid: Grid, sampling: Sampling, rng: torch.Generator) -> float:
    """Largest relative defect over random maps for shifts by S samples per axis (one sample in mode "dilate")."""
    u = noise(grid, 8, rng, complex_input=False, device=torch.device("cpu"))
    S = int(pool.factor) if sampling == "decimate" else 1
    worst = 0.0
    for k in (1, 3):
        (a, coarse), (b, _) = pool(u, grid, sampling), pool(grid.translate(u, (k * S,) * grid.ndim), grid, sampling)
        moved = coarse.translate(a, (k,) * grid.ndim)
        worst = max(worst, float((coarse.norm(b - moved) / grid.norm(u)).max()))
    return worst

