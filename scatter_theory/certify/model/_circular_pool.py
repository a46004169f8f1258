r"""Pooling with stride 1 that goes around the grid.

On the torus every sample is in as many windows as a window has samples, k: maxima have :math:`\sqrt k` (see
`_pooling`), which a spike attains where no window holds a sample twice, and averages 1, which constants attain.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from scatter_theory.certify.model._bound import Bound
from scatter_theory.certify.model._pooling import per_axis


class CircularPool(nn.Module):
    """Windows at every sample, continued on the other side of the grid.

    Parameters
    ----------
    pool : nn.Module
        Maximum or average pooling of torch with stride 1 and without padding.
    reach : tuple of int
        Distance between the first and the last sample of a window, per axis.
    """

    def __init__(self, pool: nn.Module, reach: tuple[int, ...]) -> None:
        super().__init__()
        self.pool = pool
        self.reach = reach

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, channels, *grid)`` of the same shape."""
        return self.pool(F.pad(x, tuple(side for n in reversed(self.reach) for side in (0, n)), "circular"))

    def bound(self, grid: tuple[int, ...]) -> Bound:
        """Its constant on a grid."""
        if isinstance(self.pool, nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d):
            return Bound(1.0, True, "averages on the torus, attained by constants")
        k = math.prod(per_axis(self.pool.kernel_size, len(self.reach)))
        once = all(r < n for r, n in zip(self.reach, grid, strict=True))
        return Bound(math.sqrt(k), once, f"an entry is in {k} windows on the torus")
