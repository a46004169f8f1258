r"""How far any displacement of a given size can move one signal: the exact supremum, enclosed.

.. math:: \mathrm{osc}_t f(x) = \sup_{|s| \le t} |f(x - s) - f(x)| .

**Theorem.** For every measurable :math:`\tau` with :math:`\sup|\tau| \le t`, and in the norm of the samples,
:math:`\|F_\tau f - f\| \le \|\mathrm{osc}_t f\|`, and some :math:`\tau` attains it. No band limit and no Jacobian is
needed. Hence :math:`|||\Phi(F_\tau f) - \Phi(f)||| \le c_0^{1/2} \|\mathrm{osc}_t f\|` for every extractor.

*Proof.* :math:`|f(x - \tau(x)) - f(x)| \le \mathrm{osc}_t f(x)` at every sample, with equality where :math:`\tau(x)` is
a maximiser of the continuous function :math:`s \mapsto |f(x - s) - f(x)|` on the closed ball. ∎

**The enclosure.** The ball lies in a union of convex cells whose vertices are looked at (`ball_mesh`). Let s be a point
of a cell with vertices :math:`v_k` that lies in a ball of radius R: :math:`s = \sum_k \lambda_k v_k`. For
:math:`g(s) = f(x - s) - f(x)` and :math:`H(x) \ge |D^2 f|` near x, Taylor's formula at s gives

.. math:: \Big| g(s) - \sum_k \lambda_k g(v_k) \Big| \le \tfrac12 H \sum_k \lambda_k |v_k - s|^2 \le \tfrac12 H R^2,

because the first derivatives cancel and the sum of squares is least about s and at most :math:`R^2` about the centre.
So :math:`\mathrm{osc}_t f(x) \le \max_k |g(v_k)| + \tfrac12 H(x) R^2`. The same inequality for the Hessian (Frobenius
norm) on a coarser mesh, with :math:`|D^2 D^2 f| \le (2\pi B)^2 \sup|D^2 f|` by Bernstein for band limit B, gives
:math:`H(x)`; it is never above the certified supremum over the torus. The lower value uses vertices in the ball only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.certify.posteriori._ball_mesh import ball_mesh
from scatter_theory.certify.posteriori._given import single
from scatter_theory.deform import SampledField
from scatter_theory.grid import Grid
from scatter_theory.signals import Signal
from scatter_theory.trigonometric import Polynomial, supremum

#: Radial layers of the first mesh, and the most shifts of a mesh.
FIRST, MOST_SHIFTS = 2, 1 << 15
#: Complex numbers that are transformed at once.
NUMBERS = 1 << 21


@dataclass(frozen=True, eq=False)
class Oscillation:
    r"""The largest distance by which displacements of at most a given size can move one signal.

    Parameters
    ----------
    sup_tau : float
        t, in the unit of the grid.
    lower : float
        :math:`\|F_\tau f - f\|` of `displacement`.
    upper : float
        Certified :math:`\|\mathrm{osc}_t f\|`, rounded up.
    norm : float
        :math:`\|f\|`, in the same norm of the samples.
    shifts : int
        Number of shifts looked at.
    displacement : SampledField
        The best displacement at every sample, of length at most t.
    dropped : float
        Share of the energy without the mean that the interpolant of an array leaves out (its Nyquist bins).
    """

    sup_tau: float
    lower: float
    upper: float
    norm: float
    shifts: int
    displacement: SampledField
    dropped: float = 0.0

    @property
    def gap(self) -> float:
        """Relative distance of the two values."""
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0

    def __str__(self) -> str:
        size = f"sup |tau| <= {self.sup_tau:.6g} {self.displacement.grid.unit}"
        share = f" = {self.upper / self.norm:.6g} ||f||" if self.norm > 0 else ""
        return (
            f"Oscillation, every displacement with {size}: ||F f - f|| in [{self.lower:.6g}, {self.upper:.6g}]{share} "
            f"({self.shifts} shifts)"
        )


def oscillation(f: Signal | Tensor, grid: Grid, sup_tau: float, *, tolerance: float = 0.01) -> Oscillation:
    r"""Enclose :math:`\sup \|F_\tau f - f\|` over all measurable displacements with :math:`\sup|\tau| \le t`.

    Parameters
    ----------
    f : (*grid.shape) tensor or array, or BandLimitedSignal
        One signal. An array stands for its trigonometric interpolant without the Nyquist bins (`signals.Interpolant`).
    grid : Grid
        The norm is that of its samples.
    sup_tau : float
        t >= 0, in the unit of the grid.
    tolerance : float
        The mesh of shifts is refined until the values differ by less than this share of the upper one; or until it has
        `MOST_SHIFTS` shifts, when the upper value is as valid but less sharp.

    Returns
    -------
    Oscillation

    Raises
    ------
    TypeError, ValueError
        For another kind or a batch of signals, or numbers out of their range.
    """
    p, dropped = single(f, grid, "oscillation")
    if not (math.isfinite(sup_tau) and sup_tau >= 0):
        raise ValueError(f"`oscillation(sup_tau=...)`: got {sup_tau!r}, expected a finite number >= 0.")
    if not 0 < tolerance < 1:
        raise ValueError(f"`oscillation(tolerance=...)`: got {tolerance!r}, expected a number between 0 and 1.")
    # No two points of the torus are farther apart than half its diagonal.
    t = min(float(sup_tau), 0.5 * math.hypot(*grid.extent))
    f0, whole = p.on(grid), Polynomial(p.coefficients[None], p.extent, p.real)
    norm = float(grid.norm(f0))
    hessian = Polynomial(p.gradient().gradient().coefficients.flatten(0, 1), p.extent, p.real)
    H = supremum(hessian, vector=True).upper
    rate = 2 * math.pi * float(p.occupied())
    rounding = 100 * torch.finfo(torch.float64).eps * math.log2(grid.size + 2) * (1 + rate * t)
    # The largest entry of an error is at most its norm, and every sample takes its own shift.
    rounding *= float(p.norm()) * math.sqrt(grid.size)
    layers = FIRST
    while True:
        mesh, coarse = ball_mesh(grid.ndim, t, layers), ball_mesh(grid.ndim, t, max(1, layers // 2))
        curvature, _ = _largest(hessian, None, coarse.shifts, grid)
        curvature = torch.minimum(H, curvature + 0.5 * (coarse.cell * rate) ** 2 * H)
        inside, index = _largest(whole, f0, mesh.shifts[: mesh.inside], grid)
        outside, _ = _largest(whole, f0, mesh.shifts[mesh.inside :], grid)
        lower = float(grid.norm(inside))
        upper = float(grid.norm(torch.maximum(inside, outside) + 0.5 * mesh.cell**2 * curvature)) + rounding
        if (
            upper - lower <= tolerance * upper
            or len(ball_mesh(grid.ndim, t, 2 * layers).shifts) > MOST_SHIFTS
            or t == 0
        ):
            break
        layers *= 2
    tau = mesh.shifts.to(index.device)[index].movedim(-1, 0)
    upper = upper if t > 0 and norm > 0 else 0.0
    return Oscillation(float(sup_tau), lower, upper, norm, len(mesh.shifts), SampledField(tau, grid), dropped)


def _largest(p: Polynomial, origin: Tensor | None, shifts: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Largest length of ``p(x - s) - origin`` over the shifts, ``(*shape)``, and where; p is ``(components,)``."""
    device = p.coefficients.device
    best = torch.zeros(grid.shape, dtype=torch.float64, device=device)
    index = torch.zeros(grid.shape, dtype=torch.int64, device=device)
    shifts = shifts.to(device)
    count = max(1, NUMBERS // (grid.size * p.batch[0]))
    for start, part in zip(range(0, len(shifts), count), shifts.split(count), strict=True):
        turns = torch.tensordot(part, p.frequencies, 1).unsqueeze(1)
        waves = torch.polar(torch.ones_like(turns), -2 * math.pi * turns)
        moved = Polynomial(p.coefficients * waves, p.extent, p.real).on(grid)
        moved = moved if origin is None else moved - origin
        values, place = torch.linalg.vector_norm(moved, dim=1).max(0)
        index = torch.where(values > best, place + start, index)
        best = torch.maximum(best, values)
    return best, index
