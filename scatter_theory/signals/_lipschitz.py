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

from scatter_theory.grid import safe_sqrt
from scatter_theory.signals._base import Certificate, Index, Signal, flat_points, largest


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


def per_signal(t: float | Tensor, batch: Sequence[int], like: Tensor) -> Tensor:
    """A distance, one or one for each signal, as a tensor ``(*batch,)``."""
    t = torch.as_tensor(t, dtype=like.dtype, device=like.device)
    if t.ndim and tuple(t.shape) != tuple(batch):
        raise ValueError(f"`t`: got shape {tuple(t.shape)}, expected one number or one per signal, {tuple(batch)}.")
    return t.expand(tuple(batch))
