"""Lower envelopes of cones: Lipschitz functions on a torus of any dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.grid import safe_sqrt
from scatter_theory.signals._base import Certificate, Index, largest, minimum_image, periods
from scatter_theory.signals._lipschitz import PiecewiseLipschitzSignal

#: Entries of the tensors of a search over many points: small enough for the cache.
CHUNK = 1 << 18


@dataclass(frozen=True, eq=False, repr=False)
class McShane(PiecewiseLipschitzSignal):
    r"""Lower envelopes of cones: :math:`f(x) = \min_i \left(v_i + K\, \rho(x - x_i)\right)`.

    Here :math:`\rho(z) = (\sum_j w_j^2 z_j^2)^{1/2}`, the difference taken to the nearest image on the torus, with
    weights :math:`0 \le w_j \le 1`; by default all are 1 and :math:`\rho` is the distance on the torus. A weight of 0
    turns the points into planes along that axis.

    f is K-Lipschitz. Proof: :math:`\rho` on the torus is the smallest :math:`\rho(z + \text{period})` over all periods,
    since each coordinate is smallest by itself; every one of these is 1-Lipschitz by the triangle inequality, because
    the weights are at most 1; and a minimum of K-Lipschitz functions is K-Lipschitz. With the largest weight equal to
    1, K is attained along that axis near the lowest anchor. Every K-Lipschitz function on the torus is such an envelope
    of its own values (McShane 1934).

    Parameters
    ----------
    values : (*batch, m) tensor
        The heights ``v_i``.
    anchors : (*batch, d, m) tensor
        The points ``x_i``; any real numbers, read modulo the periods.
    constant : float
        K, per unit.
    extent : tuple of d numbers
        Periods of the torus, in the unit of position.
    weights : (*batch, d) tensor, optional
        The weights ``w_j``.

    Raises
    ------
    ValueError
        If the shapes do not fit, the constant is not positive, or a weight is above 1.
    """

    values: Tensor
    anchors: Tensor
    constant: float
    extent: tuple[float, ...]
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple(float(L) for L in self.extent))
        expected = (*self.values.shape[:-1], len(self.extent), *self.values.shape[-1:])
        if self.values.ndim < 1 or tuple(self.anchors.shape) != expected:
            raise ValueError(
                f"`McShane(anchors=...)`: got shape {tuple(self.anchors.shape)}, expected {expected} for values of "
                f"shape {tuple(self.values.shape)} on {len(self.extent)} axes."
            )
        if not (math.isfinite(self.constant) and self.constant > 0):
            raise ValueError(f"`McShane(constant=...)`: got {self.constant}, expected a positive number.")
        if self.weights is not None and tuple(self.weights.shape) != expected[:-1]:
            raise ValueError(
                f"`McShane(weights=...)`: got shape {tuple(self.weights.shape)}, expected {expected[:-1]}, one weight "
                "per axis."
            )
        if self.weights is not None and self.weights.device.type == "cpu" and not (self.weights.abs() <= 1).all():
            raise ValueError("`McShane(weights=...)`: expected numbers from 0 to 1; divide by the largest.")

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.values.shape[:-1])

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.values.device

    @property
    def lipschitz(self) -> Tensor:
        """K times the largest weight, per unit, ``(*batch,)``."""
        if self.weights is None:
            return torch.full(self.batch, float(self.constant), dtype=self.values.dtype, device=self.device)
        return self.constant * self.weights.abs().amax(-1)

    def supremum(self) -> Tensor:
        """Upper value of ``sup |f|``: the lowest height, and that plus K times half the diagonal, ``(*batch,)``."""
        lowest = self.values.detach().amin(-1)
        reach = self.lipschitz.detach() * math.hypot(*self.extent) / 2
        return torch.maximum(lowest.abs(), (lowest + reach).abs())

    @property
    def certificate(self) -> Certificate:
        """Lipschitz constant."""
        return (("Lipschitz constant", largest(self.lipschitz, "a minimum of cones of this slope", "derived")),)

    def select(self, index: Index) -> McShane:
        """Part of the batch along its first axis."""
        weights = None if self.weights is None else self.weights[index]
        return McShane(self.values[index], self.anchors[index], self.constant, self.extent, weights)

    def _values(self, points: Tensor) -> Tensor:
        n, m, d = math.prod(self.batch), self.values.shape[-1], self.ndim
        values, anchors = self.values.reshape(n, m), self.anchors.reshape(n, d, m)
        weights = None if self.weights is None else self.weights.reshape(n, d, 1)
        with torch.no_grad():
            length = max(1, CHUNK // max(n * m, 1))
            lowest = [self._lowest(values, anchors, weights, part) for part in points.split(length, -1)]
            index = torch.cat(lowest, -1)
        height = values.gather(1, index)
        anchor = anchors.gather(2, index.unsqueeze(1).expand(n, d, -1))
        step = minimum_image(points - anchor, periods(self.extent, points))
        step = step if weights is None else step * weights
        return height + self.constant * safe_sqrt((step * step).sum(1))

    def _lowest(self, values: Tensor, anchors: Tensor, weights: Tensor | None, points: Tensor) -> Tensor:
        """Position of the lowest cone over each point, ``(n, P)``; no gradient."""
        square: Tensor | None = None
        for axis, L in enumerate(self.extent):
            step = points[:, axis].remainder(L).unsqueeze(1) - anchors[:, axis].remainder(L).unsqueeze(2)
            step = torch.minimum(step.abs_(), L - step)
            step = step if weights is None else step.mul_(weights[:, axis, :, None])
            square = step.square_() if square is None else square.addcmul_(step, step)
        return square.sqrt_().mul_(self.constant).add_(values.unsqueeze(-1)).argmin(1)
