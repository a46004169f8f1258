r"""Certified frame bounds over R^d of the Gaussian-type families: Morlet, log-Gabor, Mexican hat.

Each atom has an interval extension on boxes of radius (and angle). The families consist of all octaves above the
low-pass, so only finitely many boxes matter:

* the sum over atoms finer than those listed is at most a geometric series, added to the upper ends;
* where the low-pass and the coarsest atoms have died out (below 1e-13, far from their centres), the sum repeats when
  the frequency doubles, because doubling maps the remaining family to itself.

The value of J only dilates the family and does not change the bounds; J = 0 is evaluated. The angles of a
two-dimensional family are symmetric, so that half the step between two angles is enough.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scatter_theory.frames._analytic import (
    LOG_GABOR_CENTRE,
    LOG_GABOR_WIDTH,
    MEXICAN_HAT_CENTRE,
    MEXICAN_HAT_LOW,
    angular_power,
    gaussian_power,
    hat_power,
    log_gabor_power,
)
from scatter_theory.frames._bank import FrameBounds
from scatter_theory.frames._enclosure import Range, refined_range
from scatter_theory.frames._morlet import Gabor, line_atoms, low_pass, plane_atoms, unit_sum

if TYPE_CHECKING:
    from scatter_theory.frames._morlet import Morlet

#: Width at which the refinement of an enclosure stops.
TOLERANCE, TOLERANCE_2D = 1e-5, 5e-3


def _radii(end: float, per_octave: int, octaves: int) -> tuple[Tensor, Tensor]:
    """Intervals that cover [0, end]: one from 0, then geometric ones; each ``(n, 1)``."""
    edges = end * 2.0 ** (-torch.arange(octaves * per_octave, -1, -1, dtype=torch.float64) / per_octave)
    edges = torch.cat([torch.zeros(1, dtype=torch.float64), edges])
    return edges[:-1, None], edges[1:, None]


@lru_cache(maxsize=16)
def mexican_hat_bounds(Q: int) -> FrameBounds:
    """Bounds of the radial sum; hats rise up to their centre and fall beyond it."""
    end, octaves = 64 * MEXICAN_HAT_CENTRE, 14
    centres = MEXICAN_HAT_CENTRE * 2.0 ** (torch.arange(octaves * Q, dtype=torch.float64) / Q)

    def extension(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        at_low, at_high = hat_power(low, centres), hat_power(high, centres)
        peak = torch.where((low <= centres) & (centres <= high), 1.0, torch.maximum(at_low, at_high))
        below = torch.minimum(at_low, at_high).sum(1) + gaussian_power(high, MEXICAN_HAT_LOW)[:, 0]
        return below, peak.sum(1) + gaussian_power(low, MEXICAN_HAT_LOW)[:, 0]

    ratio = 2.0 ** (-4.0 / Q)
    tail = math.e**2 * (end / float(centres[-1])) ** 4 * ratio / (1 - ratio)
    found = refined_range(extension, *_radii(end, 64, 12), TOLERANCE * Q**2)
    return found.widened(0.0, tail).bounds("radial intervals")


@lru_cache(maxsize=16)
def log_gabor_bounds(L: int, d: int) -> FrameBounds:
    """Bounds of low-pass + radial sum x angular sum; each factor is enclosed by itself."""
    octaves, end = 16, 256 * LOG_GABOR_CENTRE
    centres = LOG_GABOR_CENTRE * 2.0 ** torch.arange(1, octaves, dtype=torch.float64)
    spread = math.log(LOG_GABOR_WIDTH) ** 2
    # Beyond the finest centre listed, terms fall by more than one half from octave to octave.
    tail = 2 * math.exp(-(math.log(2 * float(centres[-1]) / end) ** 2) / spread)
    angular = (1.0, 1.0) if d == 1 else _angular_range(L)

    def sums(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        at_low, at_high = log_gabor_power(low, centres), log_gabor_power(high, centres)
        peak = torch.where((low <= centres) & (centres <= high), 1.0, torch.maximum(at_low, at_high))
        return torch.minimum(at_low, at_high).sum(1), peak.sum(1) + tail

    def total(low: Tensor, high: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        below, above = sums(low, high)
        flat_low, flat_high = gaussian_power(high, LOG_GABOR_CENTRE), gaussian_power(low, LOG_GABOR_CENTRE)
        return factor * below + flat_low[:, 0], factor * above + flat_high[:, 0]

    least, most = (refined_range(partial(total, factor=a), *_radii(end, 64, 14), TOLERANCE) for a in angular)
    return Range(least.minimum, most.maximum).bounds("radial and angular intervals")


def _angular_range(L: int) -> tuple[float, float]:
    """Range of the sum of the squared angular windows over the circle; it repeats from angle to angle."""
    directions = 0.5 * torch.arange(2 * L, dtype=torch.float64) / L

    def extension(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        distance = middle - directions
        distance = (distance - torch.round(distance)).abs()
        near = angular_power((distance - half).clamp_min(0.0), 0.0, L)
        far = angular_power((distance + half).clamp_max(0.5), 0.0, L)
        return far.sum(1), near.sum(1)

    edges = torch.linspace(0.0, 0.5 / L, 65, dtype=torch.float64)[:, None]
    found = refined_range(extension, edges[:-1], edges[1:], 1e-7)
    return found.minimum[0], found.maximum[1]


def morlet_bounds(frame: Morlet, d: int) -> FrameBounds:
    """Bounds of the even part of the sum, in one or two dimensions."""
    return (_morlet_line(frame.Q) if d == 1 else _morlet_plane(frame.L)).bounds("Gaussians on boxes")


def _gaussian(low: Tensor, high: Tensor, centre: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Range of ``((x - centre) / width)^2`` on intervals."""
    near = torch.maximum(torch.maximum(low - centre, centre - high), torch.zeros_like(low + centre)) / width
    far = torch.maximum((low - centre).abs(), (high - centre).abs()) / width
    return near**2, far**2


def _square(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Range of x^2 on intervals."""
    inside = (low <= 0) & (high >= 0)
    below, above = torch.minimum(low**2, high**2), torch.maximum(low**2, high**2)
    return torch.where(inside, torch.zeros_like(below), below), above


def _finer_tail(share: float, steepness: float, factor: float, ratio: float) -> float:
    r"""Bound of the sum of the squares of all Morlet atoms with centre at least ``r / share`` at the frequency r.

    With rho = centre / width: :math:`|\hat g| \le c\, e^{-\rho^2/2} (e^{\rho^2 r/\nu} - 1)`, and the squares fall by
    `ratio` from atom to atom.
    """
    first = factor * math.exp(-0.5 * steepness) * math.expm1(steepness * share)
    return first**2 / (1 - ratio)


@lru_cache(maxsize=16)
def _morlet_line(Q: int) -> Range:
    elbow = line_atoms(0, Q, 1.0)[0].radius + 1.0
    end = 2.0 ** math.ceil(math.log2(16 * elbow))
    finer = 13
    atoms = line_atoms(0, Q, end * 2.0**finer)
    centre, width = torch.tensor([(a.radius, *a.widths) for a in atoms], dtype=torch.float64).T[:, None]
    kappa = torch.exp(-0.5 * (centre / width) ** 2)
    scale = torch.tensor([[_line_factor(a) for a in atoms]], dtype=torch.float64)
    (low_width,) = low_pass(0, 1).widths

    def extension(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        flat_low, flat_high = torch.exp(-0.5 * (high / width) ** 2), torch.exp(-0.5 * (low / width) ** 2)
        below = torch.exp(-0.5 * (low / low_width) ** 2), torch.exp(-0.5 * (high / low_width) ** 2)
        total_low, total_high = below[1][:, 0] ** 2, below[0][:, 0] ** 2
        for shift in (centre, -centre):
            near, far = _gaussian(low, high, shift, width)
            square = _square(
                scale * (torch.exp(-0.5 * far) - kappa * flat_high), scale * (torch.exp(-0.5 * near) - kappa * flat_low)
            )
            total_low, total_high = total_low + 0.5 * square[0].sum(1), total_high + 0.5 * square[1].sum(1)
        return total_low, total_high

    top = atoms[0]
    steepness = (top.radius / top.widths[0]) ** 2
    tail = _finer_tail(end / (top.radius * 2.0 ** (1 / Q)), steepness, _line_factor(top), 2.0 ** (-2.0 / Q))
    return refined_range(extension, *_radii(end, 64 * Q, 12), TOLERANCE).widened(0.0, tail)


def _line_factor(atom: Gabor) -> float:
    """Reciprocal of the L^1 norm of the wavelet on R, by a sum over samples far finer than the wavelet."""
    kappa = math.exp(-0.5 * (atom.radius / atom.widths[0]) ** 2)
    return 1 / unit_sum(atom, 64 * (atom.radius + atom.widths[0]), kappa)


@lru_cache(maxsize=16)
def _morlet_plane(L: int) -> Range:
    slant = max(1.0, 4.0 / L)
    low = low_pass(0, 2).widths[0]
    end = 2.0 ** math.ceil(math.log2(2 * 0.375 * 8 * slant))
    atoms = plane_atoms(0, L, end * 2.0**9)
    table = torch.tensor([(a.radius, *a.widths, a.angle) for a in atoms], dtype=torch.float64)
    radius, along, across, angle = table.T[:, None]
    steepness = float((radius / along)[0, 0]) ** 2
    kappa, scale = math.exp(-0.5 * steepness), math.pi / 3.1415

    def extension(low_box: Tensor, high_box: Tensor) -> tuple[Tensor, Tensor]:
        r_low, r_high = low_box[:, :1], high_box[:, :1]
        total_low = scale**2 * torch.exp(-((r_high / low) ** 2))[:, 0]
        total_high = scale**2 * torch.exp(-((r_low / low) ** 2))[:, 0]
        p = _product(r_low, r_high, *_cosine(low_box[:, 1:] - angle, high_box[:, 1:] - angle))
        quarter = 0.5 * math.pi
        q = _product(r_low, r_high, *_cosine(low_box[:, 1:] - angle - quarter, high_box[:, 1:] - angle - quarter))
        side = _gaussian(*q, torch.zeros_like(angle), across)
        flat = _gaussian(*p, torch.zeros_like(angle), along)
        flat_low, flat_high = torch.exp(-0.5 * (flat[1] + side[1])), torch.exp(-0.5 * (flat[0] + side[0]))
        for shift in (radius, -radius):
            near, far = _gaussian(*p, shift, along)
            square = _square(
                scale * (torch.exp(-0.5 * (far + side[1])) - kappa * flat_high),
                scale * (torch.exp(-0.5 * (near + side[0])) - kappa * flat_low),
            )
            total_low, total_high = total_low + 0.5 * square[0].sum(1), total_high + 0.5 * square[1].sum(1)
        return total_low, total_high

    r_low, r_high = _radii(end, 16, 8)
    turns = torch.linspace(0.0, 0.5 * math.pi / L, 9, dtype=torch.float64)
    boxes = [torch.cartesian_prod(r[:, 0], t) for r, t in ((r_low, turns[:-1]), (r_high, turns[1:]))]
    tail = L * _finer_tail(end / (2 * float(radius[0, 0])), steepness, scale, 0.25)
    return refined_range(extension, *boxes, TOLERANCE_2D, limit=60_000).widened(0.0, tail)


def _cosine(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Range of the cosine on intervals of angles."""
    at_low, at_high = torch.cos(low), torch.cos(high)
    turn = 2 * math.pi
    has_top = torch.floor(high / turn) > torch.floor(low / turn)
    has_bottom = torch.floor((high - math.pi) / turn) > torch.floor((low - math.pi) / turn)
    top = torch.where(has_top, torch.ones_like(at_low), torch.maximum(at_low, at_high))
    bottom = torch.where(has_bottom, -torch.ones_like(at_low), torch.minimum(at_low, at_high))
    return bottom, top


def _product(r_low: Tensor, r_high: Tensor, c_low: Tensor, c_high: Tensor) -> tuple[Tensor, Tensor]:
    """Range of r c for r >= 0."""
    return torch.where(c_low >= 0, r_low, r_high) * c_low, torch.where(c_high >= 0, r_high, r_low) * c_high
