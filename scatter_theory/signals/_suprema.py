"""One-shot certified suprema of whole batches: differentiable, and cheap enough for every step of an ascent."""

from __future__ import annotations

import math

from torch import Tensor

from scatter_theory.grid import Grid, safe_sqrt
from scatter_theory.trigonometric import Polynomial

#: Samples per period and degree, by the number of axes: at most 0.13 % too large in 1-D, 4 % in 2-D, 6 % in 3-D.
OVERSAMPLING = {1: 64, 2: 16, 3: 16}
#: Rounding of the sums, relative.
ROUNDING = 1e-13


def upper_supremum(p: Polynomial, *, vector: bool = False) -> Tensor:
    r"""Upper value of the supremum of the modulus, ``(*batch,)``.

    The largest of samples divided by :math:`\prod_i\cos(\pi M_i/m_i)`, with :math:`m_i` samples for degree
    :math:`M_i` (see `scatter_theory.trigonometric.supremum`, which refines this, one polynomial at a time). For real
    values this is applied to :math:`p - c`, c the middle of the range of the samples, and :math:`|c|` added: never
    larger, and exact for constants. Gradients flow to the coefficients.

    Parameters
    ----------
    p : Polynomial
    vector : bool
        Whether the last batch axis holds the components of a vector, whose Euclidean length is meant.
    """
    factor = OVERSAMPLING[p.ndim]
    shape = tuple(max(1, factor * M) for M in p.degrees)
    grid = Grid(shape, tuple(L / m for L, m in zip(p.extent, shape, strict=True)))
    values = p.on(grid)
    shrink = math.prod(math.cos(math.pi / factor) for M in p.degrees if M)
    if vector:
        peak = safe_sqrt((values.abs() ** 2).sum(-p.ndim - 1).flatten(-p.ndim).amax(-1)) / shrink
    elif p.real:
        low, high = values.flatten(-p.ndim).amin(-1), values.flatten(-p.ndim).amax(-1)
        peak = 0.5 * (low + high).abs() + 0.5 * (high - low) / shrink
    else:
        peak = values.abs().flatten(-p.ndim).amax(-1) / shrink
    return peak * (1 + ROUNDING)
