r"""Families of displacements with at most three parameters, and their first-order model near a member.

Every family here is a combination of fixed vector fields with coefficients that depend on the parameters c,

.. math:: \tau_c(x) = \sum_j a_j(c)\,\psi_j(x) .

========================== ================================== ============================ ==========================
family                     parameters                         :math:`a`, :math:`\psi`      second-order term
========================== ================================== ============================ ==========================
translations               :math:`|c| \le t`                  c, unit vectors              0
combinations of fields     :math:`|c_i| \le 1`                c, the fields                0
rotations of a disc        :math:`|c| \le` the largest angle  :math:`I - R(c)`             :math:`r^2/2`
scalings of a disc         :math:`|c| \le` log of the factor  :math:`(1 - e^c) I`          :math:`e^{c + r} r^2/2`
shears of a disc           :math:`|c_i| \le` the largest      :math:`-c_i` off diagonal    0
========================== ================================== ============================ ==========================

For the maps of a disc, :math:`\tau_c = A(c)\,y\,b(|y|)`, the fields are the components of :math:`y\,b` along each axis.
The last column, times :math:`|y| b`, bounds :math:`|\tau_{c + \delta} - \tau_c - \sum_i \delta_i \partial_i \tau_c|`
for :math:`|\delta| \le r` by Taylor's formula: :math:`|R''| = 1`, and :math:`e^{c'} \le e^{c + r}`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from scatter_theory.deform import Field

#: Most parameters: the number of boxes grows like a power of it.
MOST_PARAMETERS = 3


@dataclass(frozen=True, eq=False)
class Chart:
    r"""A family as combinations of fields.

    Parameters
    ----------
    half : tuple of p numbers
        The parameters lie in the box :math:`|c_i| \le` half_i.
    radius : float
        They also have a Euclidean length of at most this; infinite where the box is all.
    fields : (m, d, *shape) tensor
        :math:`\psi_j` at the samples.
    size : (*shape) tensor
        What the second-order term is multiplied with.
    coefficients, slopes : callables
        c ``(n, p)`` to a ``(n, m)``, and to its derivatives ``(n, p, m)``.
    bend : callable
        c ``(n, p)`` and half widths ``(n, p)`` to the second-order term ``(n,)``.
    field : callable
        c ``(p,)`` to the displacement field.
    sup_tau : float
        Certified :math:`\sup |\tau|` over the family, in the unit of the grid.
    """

    half: tuple[float, ...]
    radius: float
    fields: Tensor
    size: Tensor
    coefficients: Callable[[Tensor], Tensor]
    slopes: Callable[[Tensor], Tensor]
    bend: Callable[[Tensor, Tensor], Tensor]
    field: Callable[[Tensor], Field]
    sup_tau: float

    def displacements(self, c: Tensor) -> Tensor:
        """Displacements at the samples, ``(n, d, *shape)``."""
        return torch.tensordot(self.coefficients(c).to(self.fields), self.fields, 1)

    def derivatives(self, c: Tensor) -> Tensor:
        """Derivatives of the displacements in the parameters, ``(n, p, d, *shape)``."""
        return torch.tensordot(self.slopes(c).to(self.fields), self.fields, 1)

    def corners(self) -> Tensor:
        """The corners of the box of parameters, shortened to the radius: the largest displacements, ``(2^p, p)``."""
        signs = torch.tensor(list(product((-1.0, 1.0), repeat=len(self.half))), dtype=torch.float64)
        return self.inside(signs * torch.tensor(self.half, dtype=torch.float64)).to(self.fields.device)

    def meets(self, c: Tensor, r: Tensor) -> Tensor:
        """Whether the box with centres and half widths ``(n, p)`` has a point of the family, ``(n,)``."""
        nearest = (c.abs() - r).clamp_min(0)
        return torch.linalg.vector_norm(nearest, dim=1) <= self.radius * (1 + 1e-12)

    def inside(self, c: Tensor) -> Tensor:
        """The parameters ``(n, p)``, shortened to the radius where they are longer."""
        if math.isinf(self.radius):
            return c
        length = torch.linalg.vector_norm(c, dim=1, keepdim=True)
        return torch.where(length > self.radius, c * (self.radius * (1 - 1e-15) / length.clamp_min(1e-300)), c)

    def contains(self, c: Sequence[float]) -> bool:
        """Whether the family has these parameters."""
        fits = len(c) == len(self.half) and all(abs(v) <= h for v, h in zip(c, self.half, strict=True))
        return fits and math.hypot(*c) <= self.radius


def few(count: int, what: str) -> None:
    """Refuse families with too many parameters."""
    if count > MOST_PARAMETERS:
        raise ValueError(
            f"`certify_deformation(family=...)`: {what} {count} parameters, expected at most {MOST_PARAMETERS}: the "
            "boxes would be too many. `certify.oscillation` bounds all displacements of a size at once."
        )
