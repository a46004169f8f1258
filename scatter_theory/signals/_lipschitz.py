r"""Functions with a certified Lipschitz constant, in pieces or throughout.

The contract of `PiecewiseLipschitzSignal` is what a bound on :math:`\|f(\cdot - \tau) - f\|` needs: how much f can
change where no jump is crossed, how much it can change at all, and how large the set is where a jump may be crossed.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.signals._base import (
    Certificate,
    Index,
    Signal,
    flat_points,
    largest,
    minimum_image,
    periods,
    safe_sqrt,
)

#: Entries of the tensors of a search for the lowest cone: small enough for the cache.
CHUNK = 1 << 18


class PiecewiseLipschitzSignal(Signal):
    r"""A signal that is Lipschitz wherever no jump is crossed.

    With K = `lipschitz`, K' = `crossing_lipschitz` and J = `jump`, each ``(*batch,)``, distances taken in Euclidean
    space (hence also on the torus):

    - :math:`|f(x) - f(y)| \le K|x - y|` whenever the straight segment from x to y does not meet the jump set;
    - :math:`|f(x) - f(y)| \le K'|x - y| + J` for all x and y.

    Without jumps, K' = K and J = 0.
    """

    @property
    @abstractmethod
    def lipschitz(self) -> Tensor:
        """K, per unit, ``(*batch,)``."""

    @property
    def crossing_lipschitz(self) -> Tensor:
        """K', per unit, ``(*batch,)``."""
        return self.lipschitz

    @property
    def jump(self) -> Tensor:
        """J, ``(*batch,)``."""
        return torch.zeros_like(self.lipschitz)

    @property
    def boundary_length(self) -> Tensor:
        """Upper value of the (d-1)-volume of the jump set, ``(*batch,)``: points in 1-D, length in 2-D."""
        return torch.zeros_like(self.lipschitz)

    def near(self, points: Tensor, t: float | Tensor, *, each: bool = False) -> Tensor:
        """Where the jump set may lie within t: a superset of ``{dist(x, jump set) <= t}``.

        Parameters
        ----------
        points : (d, *shape) tensor, or (*batch, d, *shape) with ``each=True``
        t : float, or (*batch,) tensor
            In the unit of the points.

        Returns
        -------
        (*batch, *shape) bool tensor
        """
        _, shape = flat_points(self, points, each=each)
        return torch.zeros((*self.batch, *shape), dtype=torch.bool, device=points.device)

    def tube(self, t: float | Tensor) -> Tensor:
        """Upper value of the volume of ``{dist(x, jump set) <= t}``, ``(*batch,)``, in unit to the power d."""
        return torch.zeros_like(self.lipschitz)


@dataclass(frozen=True, eq=False, repr=False)
class PiecewiseLinear(PiecewiseLipschitzSignal):
    r"""Continuous piecewise linear functions on the circle, by their values at knots.

    The Lipschitz constant is the largest slope, exactly, and the norm is an exact integral.

    Parameters
    ----------
    values : (*batch, m) tensor
        Values at the knots.
    extent : tuple of one number
        The period L.
    knots : (*batch, m) tensor, optional
        Strictly ascending positions within one period, ``knots[0] <= ... < knots[0] + L``; by default ``j L / m``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the knots are not ascending or take more than one period.
    """

    values: Tensor
    extent: tuple[float, ...]
    knots: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple(float(L) for L in self.extent))
        if len(self.extent) != 1 or self.values.ndim < 1:
            raise ValueError(
                f"`PiecewiseLinear(extent=...)`: got {self.extent} for values {tuple(self.values.shape)}, expected one "
                "period and values (*batch, m). For several axes use McShane."
            )
        if self.knots is None:
            m = self.values.shape[-1]
            uniform = torch.arange(m, dtype=self.values.dtype, device=self.values.device) * (self.extent[0] / m)
            object.__setattr__(self, "knots", uniform.expand(self.values.shape))
        elif self.knots.shape != self.values.shape:
            raise ValueError(
                f"`PiecewiseLinear(knots=...)`: got shape {tuple(self.knots.shape)}, expected that of the values, "
                f"{tuple(self.values.shape)}."
            )
        elif self.knots.device.type == "cpu" and not (self.gaps > 0).all():
            raise ValueError(
                "`PiecewiseLinear(knots=...)`: expected strictly ascending knots within one period, "
                f"{self.extent[0]}; sort them and take them modulo the period."
            )

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.values.shape[:-1])

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.values.device

    @property
    def gaps(self) -> Tensor:
        """Length of every piece, ``(*batch, m)``; the last one leads back to the first knot."""
        after = torch.cat([self.knots[..., 1:], self.knots[..., :1] + self.extent[0]], -1)
        return after - self.knots

    @property
    def slopes(self) -> Tensor:
        """Slope of every piece, per unit, ``(*batch, m)``."""
        return (self.values.roll(-1, -1) - self.values) / self.gaps

    @property
    def lipschitz(self) -> Tensor:
        """The largest slope, per unit, ``(*batch,)``; differentiable."""
        return self.slopes.abs().amax(-1)

    def norm(self) -> Tensor:
        r"""Exact norm :math:`(\int_0^L f^2)^{1/2}`, ``(*batch,)``."""
        a, b = self.values, self.values.roll(-1, -1)
        return safe_sqrt((self.gaps * (a * a + a * b + b * b)).sum(-1) / 3)

    def supremum(self) -> Tensor:
        """The largest modulus, attained at a knot, ``(*batch,)``."""
        return self.values.detach().abs().amax(-1)

    @property
    def certificate(self) -> Certificate:
        """Lipschitz constant and norm."""
        return (
            ("Lipschitz constant", largest(self.lipschitz, "largest slope", "analytic")),
            ("norm", largest(self.norm(), "integral of a piecewise quadratic function", "analytic")),
        )

    def select(self, index: Index) -> PiecewiseLinear:
        """Part of the batch along its first axis."""
        return PiecewiseLinear(self.values[index], self.extent, self.knots[index])

    def _values(self, points: Tensor) -> Tensor:
        m = self.values.shape[-1]
        n = math.prod(self.batch)
        values, knots, gaps = (x.reshape(n, m) for x in (self.values, self.knots, self.gaps))
        offset = torch.remainder(points[:, 0] - knots[:, :1], self.extent[0])
        inner = (knots - knots[:, :1]).detach()
        piece = (torch.searchsorted(inner.contiguous(), offset.detach().contiguous(), right=True) - 1).clamp(0, m - 1)
        start, rise, gap, knot = (x.gather(1, piece) for x in (values, values.roll(-1, -1) - values, gaps, knots))
        return start + rise * ((offset - (knot - knots[:, :1])) / gap)


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


def per_signal(t: float | Tensor, batch: Sequence[int], like: Tensor) -> Tensor:
    """A distance, one or one for each signal, as a tensor ``(*batch,)``."""
    t = torch.as_tensor(t, dtype=like.dtype, device=like.device)
    if t.ndim and tuple(t.shape) != tuple(batch):
        raise ValueError(f"`t`: got shape {tuple(t.shape)}, expected one number or one per signal, {tuple(batch)}.")
    return t.expand(tuple(batch))
