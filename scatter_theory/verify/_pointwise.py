"""Attacks on the declared constants of non-linearities and poolings."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import Tensor

from scatter_theory.grid import Grid, safe_sqrt
from scatter_theory.nonlinearities import Nonlinearity
from scatter_theory.poolings import Pooling, Sampling
from scatter_theory.results import BoundCheck, ErrorTerm
from scatter_theory.search import Effort, maximise, noise, unit_rms
from scatter_theory.seeds import Seed, seeded
from scatter_theory.verify._common import (
    EPS,
    IDENTITY,
    NO_DATA,
    ROUNDING,
    TINY,
    Progress,
    as_array,
    checked_effort,
    finish,
    safe_ratio,
)


def nonlinearity(
    rho: Nonlinearity,
    *,
    effort: Effort = Effort(random=4096, structured=4096, steps=100, restarts=16),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
) -> BoundCheck:
    r"""Attack the constant of a non-linearity, :math:`|\rho(a) - \rho(b)| \le L |a - b|` on the complex plane.

    Pairs: random ones over twelve decades of amplitude and distance; neighbours on a dense real and imaginary grid,
    which contain the steepest point; then ascent.

    Parameters
    ----------
    rho : Nonlinearity
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        HOLDS for a proven constant that was not exceeded; INCONCLUSIVE for a merely declared one that was not exceeded,
        and without effort; VIOLATED with the counterexample ``a``, ``b`` as witness.

    Raises
    ------
    TypeError
        If `rho` is not a non-linearity, or `effort` is no `Effort`.
    """
    started = time.perf_counter()
    if not isinstance(rho, Nonlinearity):
        raise TypeError(f"`nonlinearity(rho=...)`: got {type(rho).__name__}, expected a Nonlinearity instance.")
    rng, seed = seeded(generator)
    L = rho.lipschitz
    common = {"x_label": "pair", "constants": {"L": L}, "hypotheses": [], "started": started, "seed": seed}
    pools = _point_pairs(checked_effort(effort), rng)
    if not pools:
        return finish("nonlinearity", rho, notes=(NO_DATA,), **common)

    attack = maximise(
        lambda pairs: point_ratios(rho, L.value, pairs),
        pools,
        targets=[[0]],
        effort=effort,
        pairs=True,
        chunk=1 << 16,
        progress=progress,
    )
    pair = attack.signals[0]
    with torch.no_grad():
        change, distance, cancellation = (float(part) for part in _point_parts(rho, pair[None]))
    a, step = (complex(*v.tolist()) for v in pair)
    return finish(
        "nonlinearity",
        rho,
        x=[0],
        series=["difference quotient"],
        measured=[change / max(distance, TINY)],
        bound=[L.value],
        budget=[
            ErrorTerm("rounding", ROUNDING * L.value),
            ErrorTerm("cancellation in rho(b) - rho(a)", cancellation / max(distance, TINY)),
        ],
        attack=attack,
        witness={"a": a, "b": a + step, "mode": attack.modes[0], "seed": seed},
        notes=() if rho.zero == 0 else (f"|rho(0)| = {rho.zero:.6g}: Lipschitz bounds apply, energy bounds do not.",),
        **common,
    )


def point_ratios(rho: Nonlinearity, L: float, pairs: Tensor) -> Tensor:
    """Objective of the search: ratios ``(n, 1)`` of pairs ``(a, b - a)`` of complex numbers, ``(n, 2, 2)``.

    Pairs whose difference is mostly rounding count as 0.
    """
    change, distance, cancellation = _point_parts(rho, pairs)
    usable = (cancellation <= 1e-8 * (L * distance + change)) & (distance > TINY)
    ratio = change / (distance * L).clamp_min(TINY)
    return torch.where(usable, ratio, torch.zeros_like(ratio))[:, None]


def _point_parts(rho: Nonlinearity, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``|rho(b) - rho(a)|``, ``|b - a|`` as the numbers are stored, and the rounding in the former."""
    a = torch.complex(pairs[:, 0, 0], pairs[:, 0, 1])
    b = a + torch.complex(pairs[:, 1, 0], pairs[:, 1, 1])
    at_a, at_b = _complex(rho(a)), _complex(rho(b))
    change = safe_sqrt(torch.view_as_real(at_b - at_a).pow(2).sum(-1))
    distance = safe_sqrt(torch.view_as_real(b - a).pow(2).sum(-1))
    sizes = at_a.detach().abs() + at_b.detach().abs() + a.detach().abs() + b.detach().abs()
    return change, distance, 4 * EPS * sizes


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
    :math:`u \mapsto (P u)[S n]` (``"decimate"``, counting norm) against R; ``"covariance"``, if the pooling claims to
    commute with translations: relative defect under shifts by multiples of S samples, against 0.

    Parameters
    ----------
    pool : Pooling
    grid : Grid
    sampling : {"dilate", "decimate"}
    effort, generator, progress
        As in `lipschitz`.

    Returns
    -------
    BoundCheck
        Witness: the pair ``u``, ``v``. A declared R that was not exceeded, or no effort, is INCONCLUSIVE.

    Raises
    ------
    TypeError
        If `pool` is not a pooling, or `effort` is no `Effort`.
    ValueError
        If it does not fit the mode or the grid.
    """
    started = time.perf_counter()
    if not isinstance(pool, Pooling):
        raise TypeError(f"`pooling(pool=...)`: got {type(pool).__name__}, expected a Pooling instance.")
    rng, seed = seeded(generator)
    R = pool.lipschitz(grid, sampling)
    common = {
        "x_label": "property",
        "constants": {"R": R},
        "hypotheses": [],
        "started": started,
        "seed": seed,
        "grid": grid,
    }
    subject = f"{pool!r}, {sampling}"
    pools = _map_pairs(grid, pool, checked_effort(effort), rng)
    if not pools:
        return finish("pooling", subject, notes=(NO_DATA,), **common)

    attack = maximise(
        lambda pairs: map_ratios(pool, grid, sampling, R.value, pairs),
        pools,
        targets=[[0]],
        effort=effort,
        pairs=True,
        progress=progress,
    )
    u, step = attack.signals[0]
    with torch.no_grad():
        change, distance, sizes = (float(part) for part in _map_parts(pool, grid, sampling, attack.signals))
    rows = [("difference quotient", change / max(distance, TINY), R.value, 16 * EPS * sizes / max(distance, TINY))]
    if pool.commutes:
        rows.append(("covariance", _covariance_defect(pool, grid, sampling, rng), 0.0, IDENTITY * max(R.value, 1.0)))
    names, measured, bounds, rounding = zip(*rows, strict=True)
    return finish(
        "pooling",
        subject,
        x=range(len(rows)),
        series=names,
        measured=measured,
        bound=bounds,
        budget=[ErrorTerm("rounding", ROUNDING * np.array(bounds) + np.array(rounding))],
        attack=attack,
        witness={"u": as_array(u), "v": as_array(u + step), "mode": attack.modes[0], "seed": seed},
        **common,
    )


def map_ratios(pool: Pooling, grid: Grid, sampling: Sampling, R: float, pairs: Tensor) -> Tensor:
    """Objective of the search: ratios ``(n, 1)`` of pairs ``(u, v - u)`` of maps, ``(n, 2, *shape)``."""
    change, distance, _ = _map_parts(pool, grid, sampling, pairs)
    size = 1e-3 * safe_sqrt(grid.energy(pairs[:, 0]))
    return safe_ratio(change, distance * R, size)[:, None]


def _map_parts(pool: Pooling, grid: Grid, sampling: Sampling, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``||P v - P u||``, ``||v - u||`` as the maps are stored, and the size of all that was subtracted."""
    u = pairs[:, 0]
    v = u + pairs[:, 1]
    (at_u, coarse), (at_v, _) = pool(u, grid, sampling), pool(v, grid, sampling)
    change, distance = safe_sqrt(coarse.energy(at_v - at_u)), safe_sqrt(grid.energy(v - u))
    sizes = coarse.norm(at_u.detach()) + coarse.norm(at_v.detach()) + grid.norm(u.detach()) + grid.norm(v.detach())
    return change, distance, sizes


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
    """Pairs (u, v - u) of maps: random far and close ones; spikes and combs with the pooling's period."""
    pools = {}
    if not effort.random and not effort.structured:
        return pools
    x = noise(grid, max(effort.random, 2), rng, complex_input=False, device=torch.device("cpu"))
    if effort.random:
        other = torch.roll(x, 1, 0)
        pools["random"] = torch.cat([torch.stack([x, other], 1), torch.stack([x, 1e-3 * other], 1)])
    if effort.structured:
        steps = unit_rms(_spiky(grid, max(2, math.ceil(pool.factor))), grid.ndim)
        base = x[torch.arange(steps.shape[0]) % x.shape[0]]
        from_zero = torch.stack([torch.zeros_like(steps), steps], 1)
        pools["structured"] = torch.cat([from_zero, torch.stack([base, 1e-2 * steps], 1)])
    return pools


def _spiky(grid: Grid, period: int) -> Tensor:
    """Spikes and combs at the first offsets of the pooling's blocks, and a constant."""
    signals = []
    for offset in range(min(period, 4)):
        start = tuple(min(offset, n - 1) for n in grid.shape)
        spike, comb = torch.zeros((2, *grid.shape), dtype=torch.float64)
        spike[start] = 1.0
        comb[tuple(slice(k, None, period) for k in start)] = 1.0
        signals += [spike, comb]
    return torch.stack([*signals, torch.ones(grid.shape, dtype=torch.float64)])


def _covariance_defect(pool: Pooling, grid: Grid, sampling: Sampling, rng: torch.Generator) -> float:
    """Largest relative defect over random maps for shifts by whole samples of the pooled grid."""
    u = noise(grid, 8, rng, complex_input=False, device=torch.device("cpu"))
    S = int(pool.factor) if sampling == "decimate" else 1
    worst = 0.0
    for k in (1, 3):
        steps = tuple(k + axis for axis in range(grid.ndim))
        (a, coarse), (b, _) = pool(u, grid, sampling), pool(grid.translate(u, [S * m for m in steps]), grid, sampling)
        worst = max(worst, float((coarse.norm(b - coarse.translate(a, steps)) / grid.norm(u)).max()))
    return worst
