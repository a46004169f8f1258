r"""Bounds for every grid from the values on one: an enclosure by trigonometric polynomials.

For a unit vector v, :math:`p_v(\theta) = \|T(\theta) v\|^2 = \sum_{a,b} \langle E_b v, E_a v \rangle
e^{2\pi i \langle b - a, \theta\rangle}` is a real trigonometric polynomial, period 1 in :math:`\theta \in \mathbb R^d`,
of degree :math:`L_i` = reach // stride in coordinate i, and the operator on a torus with coarse grid m is given by the
values of T at :math:`q / m`. So :math:`A_* = \inf_{v, \theta} p_v` and :math:`B_* = \sup_{v, \theta} p_v` bound every
torus at once. With :math:`c = \prod_i \cos(\pi L_i / m_i)` and :math:`\kappa = \prod_i \cos^2(\pi L_i / 2 m_i)`, from
the bounds A, B of *one* torus:

.. math:: B_* \le \min\Big( \frac{B}{\kappa}, \; \frac{A + B}{2} + \frac{B - A}{2 c} \Big), \qquad
          A_* \ge \max\Big( 0, \; \bar B - \frac{\bar B - A}{\kappa}, \; \frac{A + B}{2} - \frac{B - A}{2 c} \Big) ,

:math:`\bar B` being the bound of :math:`B_*`; those with :math:`\kappa` need :math:`m_i > L_i`, those with c need
:math:`m_i > 2 L_i`.

*Proof.* Let g be a real trigonometric polynomial of degree L in one coordinate with :math:`|g| \le S = g(\theta^*)`. By
the inequality of Bernstein and Szegő :math:`g(\theta) \ge S \cos(2\pi L |\theta - \theta^*|)` up to distance
:math:`1 / 2L`, and some sample :math:`q / m` is at most :math:`1 / 2m` away. (i) :math:`g = p_v - \sup p_v / 2`, for
:math:`p_v \ge 0`: some sample has :math:`p_v \ge \sup p_v \cos^2(\pi L / 2m)`. Applied to one coordinate after the
other, each time to the supremum over those that are left, this is the first bound. (ii) The same with
:math:`\bar B - p_v \ge 0`, whose samples are at most :math:`\bar B - A`. (iii) :math:`g = \pm(p_v - (A + B)/2)`, whose
samples are at most :math:`(B - A) / 2` in modulus, and whose supremum at most that over c.

The estimate with c is that of Ehlich and Zeller (1964), for frames of convolutions Pfister and Bresler (2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scatter_theory.constants import Constant


@dataclass(frozen=True)
class AllGrids:
    """Bounds of a layer on the torus of every size that its stride divides.

    Zero padding is a part of a circular operator on a larger torus, so that `B` bounds it too, on every grid; `A` does
    not.

    Parameters
    ----------
    A : Constant or None
        Lower value of the lower bounds; None if the lower bound of the one torus is not known. 0 says nothing.
    B : Constant
        Upper value of the upper bounds.
    degree, samples : tuple of int
        Degree of the polynomials, and the values taken, per axis.
    """

    A: Constant | None
    B: Constant
    degree: tuple[int, ...]
    samples: tuple[int, ...]


def enclosure(A: float | None, B: float, degree: tuple[int, ...], samples: tuple[int, ...]) -> AllGrids:
    """Enclose the bounds of all grids by those of one; A, B on their safe sides.

    Raises
    ------
    ValueError
        If there are not more samples than the degree, in some axis.
    """
    if any(m <= L for L, m in zip(degree, samples, strict=True)):
        raise ValueError(
            f"`all_grids()`: the bounds were computed at {samples} coarse frequencies, expected more than the degree "
            f"{degree} along every axis. Compute them on a larger grid; ten times the degree is good."
        )
    angles = [math.pi * L / m for L, m in zip(degree, samples, strict=True)]
    kappa = math.prod(math.cos(a / 2) ** 2 for a in angles)
    c = math.prod(math.cos(a) for a in angles) if all(a < math.pi / 2 for a in angles) else 0.0
    uppers, lowers = [B / kappa], [0.0]
    if A is not None and c > 0:
        uppers.append((A + B) / 2 + (B - A) / (2 * c))
        lowers.append((A + B) / 2 - (B - A) / (2 * c))
    upper = min(uppers)
    source = f"trigonometric polynomials of degree {degree}, {samples} values"
    low = None
    if A is not None:
        lowers.append(upper - (upper - A) / kappa)
        low = Constant(max(lowers), source, "certified")
    return AllGrids(low, Constant(upper, source, "certified"), degree, samples)
