r"""Smooth steps and radial cuts: the partitions of unity from which tight frames are built.

A step :math:`\nu: [0, 1] \to [0, 1]` satisfies :math:`\nu(t) + \nu(1 - t) = 1`, hence
:math:`\cos^2(\tfrac\pi2 \nu(t)) + \cos^2(\tfrac\pi2 \nu(1 - t)) = 1`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def _meyer(t: Tensor) -> Tensor:
    return t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)


def _smooth(t: Tensor) -> Tensor:
    up = torch.exp(-1.0 / t.clamp_min(1e-300))
    down = torch.exp(-1.0 / (1 - t).clamp_min(1e-300))
    return up / (up + down)


def _sharp(t: Tensor) -> Tensor:
    # A point within rounding of the jump gets one half from both sides, so that translates still sum to one.
    return torch.where((t - 0.5).abs() < 1e-9, 0.5, (t > 0.5).to(t.dtype))


#: Name -> step on [0, 1]: Meyer's polynomial (three continuous derivatives), C-infinity, linear (Held), Shannon.
STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "meyer": _meyer,
    "smooth": _smooth,
    "linear": lambda t: t,
    "sharp": _sharp,
}


def check_step(owner: str, name: str) -> None:
    """Raise ValueError unless `name` is a key of `STEPS`."""
    if name not in STEPS:
        raise ValueError(f"`{owner}(step=...)`: got {name!r}, expected one of {sorted(STEPS)}.")


def fall(t: Tensor, step: str) -> Tensor:
    r""":math:`\cos^2(\tfrac\pi2 \nu(t))`: 1 for ``t <= 0``, 0 for ``t >= 1``."""
    return torch.cos(0.5 * math.pi * STEPS[step](t.clamp(0.0, 1.0))) ** 2


def bump(t: Tensor, step: str, overlap: float = 1.0) -> Tensor:
    """Squared window whose integer translates sum to one: 1 near 0, 0 for ``|t| >= (1 + overlap) / 2``."""
    return fall((t.abs() - 0.5 * (1 - overlap)) / overlap, step)


def transition(r: Tensor, flat: float, zero: float, *, log: bool = False) -> Tensor:
    """Position of r in the cut: 0 at `flat`, 1 at `zero`, linear in r or in log r."""
    if log:
        return torch.log2(r.clamp_min(flat) / flat) / math.log2(zero / flat)
    return (r - flat) / (zero - flat)


def lowpass(r: Tensor, flat: float, zero: float, step: str, *, log: bool = False) -> Tensor:
    """Squared radial low-pass: 1 up to `flat`, 0 from `zero` on; the transition linear in r, or in log r."""
    return fall(transition(r, flat, zero, log=log), step)


def highpass(r: Tensor, flat: float, zero: float, step: str, *, log: bool = False) -> Tensor:
    """One minus `lowpass`, without cancellation where it is small."""
    return fall(1.0 - transition(r, flat, zero, log=log), step)


def dyadic_cuts(J: int, top: float) -> list[tuple[float, float]]:
    """Cuts ``(flat, zero)`` of the squared low-passes, coarsest first: ``(2^j/3, 2^(j+1)/3)``, j = -J, -J+1, ...

    The half-power points are ``2^j / 2``. The last cut is the highest that is complete below `top` (cycles per
    reference sample); the finest band takes all that lies above it.
    """
    cuts = [(2.0**-J / 3, 2.0 ** (1 - J) / 3)]
    while 2 * cuts[-1][1] <= top:
        cuts.append((cuts[-1][1], 2 * cuts[-1][1]))
    return cuts


def q_cuts(J: int, Q: int, top: float) -> list[tuple[float, float]]:
    """Cuts with Q bands per octave, constant bandwidth below the octave of the low-pass; coarsest first.

    With ``x_0 = (1/2) (2/3)^(1/Q)`` the cuts fall by ``x_{k+1} = x_k - max(x_k (1 - 2^(-1/Q)), x_0 2^-J)`` until
    ``x_0 2^-J``; above ``x_0`` they rise by the factor ``2^(1/Q)`` while they stay below `top`.
    """
    x0 = 0.5 * (2.0 / 3.0) ** (1.0 / Q)
    floor = x0 * 2.0**-J
    points = [x0]
    while points[-1] > floor * (1 + 1e-9):
        points.append(max(points[-1] - max(points[-1] * (1 - 2.0 ** (-1.0 / Q)), floor), floor))
    points.reverse()
    while len(points) < 2 or points[-1] * 2.0 ** (1.0 / Q) <= top:
        points.append(points[-1] * 2.0 ** (1.0 / Q))
    return list(itertools.pairwise(points))


def telescope(r: Tensor, cuts: Sequence[tuple[float, float]], step: str, *, log: bool = False) -> list[Tensor]:
    """Squared radial profiles that sum to one: the low-pass, then the bands from coarse to fine.

    The cuts follow each other without overlap, so that a difference of low-passes is a low-pass times a high-pass.
    """
    lows = [lowpass(r, *cut, step, log=log) for cut in cuts]
    highs = [highpass(r, *cut, step, log=log) for cut in cuts]
    return [lows[0], *(low * high for low, high in zip(lows[1:], highs[:-1], strict=True)), highs[-1]]
