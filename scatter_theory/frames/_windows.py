r"""Squared windows whose integer translates sum to one, and how they share out the channels of one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.frames._steps import bump

STEP_WINDOWS = ("meyer", "smooth", "linear")
WINDOWS = (*STEP_WINDOWS, "bspline", "gauss")


def check_window(owner: str, name: str, order: int, width: float) -> None:
    """Raise ValueError for an unknown window, a B-spline order below 2 or a width that is not positive."""
    if name not in WINDOWS:
        raise ValueError(f"`{owner}(window=...)`: got {name!r}, expected one of {WINDOWS}.")
    if isinstance(order, bool) or int(order) != order or order < 2:
        raise ValueError(f"`{owner}(order=...)`: got {order!r}, expected a whole B-spline order >= 2.")
    if not (math.isfinite(width) and width > 0):
        raise ValueError(f"`{owner}(width=...)`: got {width!r}, expected a positive number of channels.")


def bspline(u: Tensor, order: int) -> Tensor:
    """Centred cardinal B-spline of the given order (support ``|u| <= order/2``) by the Cox-de Boor recursion."""
    t = 0.5 * order - u.abs()
    shifts = [t - j for j in range(order)]
    values = [((s >= 0) & (s < 1)).to(u.dtype) for s in shifts]
    for degree in range(1, order):
        values = [
            (shifts[j] * values[j] + (degree + 1 - shifts[j]) * values[j + 1]) / degree for j in range(order - degree)
        ]
    return values[0]


def theta(u: float, p: float) -> float:
    r""":math:`\sum_k e^{-(u-k)^2/p^2}`, by the series or by its Poisson dual, whichever converges faster."""
    if p <= 1:
        return math.fsum(math.exp(-(((u - k) / p) ** 2)) for k in range(-9, 10))
    series = (math.exp(-((math.pi * p * m) ** 2)) * math.cos(2 * math.pi * m * u) for m in range(1, 4))
    return p * math.sqrt(math.pi) * (1 + 2 * math.fsum(series))


@dataclass(frozen=True)
class Window:
    """Squared window in units of the channel distance; see `WeylHeisenberg` for the parameters."""

    name: str
    order: int
    width: float
    tight: bool

    @property
    def end(self) -> float:
        """Half-width of the support; for a Gaussian, where it has fallen below 1e-43."""
        return {"bspline": 0.5 * self.order, "gauss": 2.0 + 10.0 * self.width}.get(self.name, 1.0)

    def power(self, u: Tensor) -> Tensor:
        """Squared window at `u`; even, falling in ``|u|``."""
        if self.name == "bspline":
            return bspline(u, self.order)
        if self.name in STEP_WINDOWS:
            return bump(u, self.name)
        if not self.tight:
            return torch.exp(-((u / self.width) ** 2))
        # Divided by the sum over all channels; exponents relative to the nearest channel, so that nothing underflows.
        near = u - torch.round(u)
        reach = math.ceil(9.0 * self.width) + 1
        total = sum(torch.exp(-(j * (j - 2.0 * near)) / self.width**2) for j in range(-reach, reach + 1))
        return torch.exp(-(u**2 - near**2) / self.width**2) / total

    def periodised(self, u: Tensor, n: int) -> list[Tensor]:
        """Channels ``0 .. n // 2`` of n on the circle R/nZ at `u`, each summed over its periods."""
        periods = math.ceil(self.end / n) + 1
        offsets = [m * n for m in range(-periods, periods + 1)]
        return [torch.stack([self.power(u - k + m) for m in offsets]).sum(0) for k in range(n // 2 + 1)]

    def gathered(self, u: Tensor, last: int) -> list[Tensor]:
        """Channels ``0 .. last`` on the line at `u`; the last takes the channels beyond it."""
        beyond = range(last, max(last, math.ceil(float(u.abs().max()))) + math.ceil(self.end) + 1)
        tail = torch.stack([self.power(u - k) for k in beyond]).sum(0)
        if last == 0:
            negative = torch.stack([self.power(u + k) for k in beyond]).sum(0)
            return [tail + negative - self.power(u)]
        return [*(self.power(u - k) for k in range(last)), tail]
