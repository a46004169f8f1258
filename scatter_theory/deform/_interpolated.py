"""Deformation by local interpolation: what others do, kept to show what it does to a measurement.

A kernel of a few samples is itself a low-pass filter with an error of its own: it adds a deformation that nobody asked
for, or hides the one that was. `Interpolated` may be handed to a verifier, which then never says HOLDS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scatter_theory.deform._fields import Field
from scatter_theory.deform._warp import Deformation, apply, everywhere, modulated
from scatter_theory.grid import Grid
from scatter_theory.trigonometric import Method

Kind = Literal["bilinear", "bicubic", "cubic spline", "quintic spline"]
_ORDER = {"cubic spline": 3, "quintic spline": 5}


@dataclass(frozen=True)
class Exact:
    """The exact deformation, `apply`, as an object.

    Parameters
    ----------
    method : {"auto", "direct", "finufft"}
        As in `apply`.
    """

    method: Method = "auto"
    exact = True

    def __call__(self, f: Any, grid: Grid, deformation: Field | Deformation) -> Tensor:
        """Samples of the deformed signal, ``(*batch, *grid.shape)``."""
        return apply(f, grid, deformation, method=self.method)


@dataclass(frozen=True)
class Interpolated:
    """Deformation by periodic local interpolation of the samples.

    Parameters
    ----------
    kind : {"bilinear", "bicubic", "cubic spline", "quintic spline"}
        ``"bilinear"`` (in one dimension: linear) and ``"bicubic"`` (cubic convolution with a = -3/4) as in
        ``torch.nn.functional.grid_sample``, differentiable; splines as in ``scipy.ndimage.map_coordinates``, without
        gradient.

    Raises
    ------
    ValueError
        For an unknown kind.
    """

    kind: Kind = "bilinear"
    exact = False

    def __post_init__(self) -> None:
        if self.kind not in ("bilinear", "bicubic", *_ORDER):
            raise ValueError(
                f"`Interpolated(kind=...)`: got {self.kind!r}, expected 'bilinear', 'bicubic', 'cubic spline' or "
                "'quintic spline'."
            )

    def __call__(self, f: Any, grid: Grid, deformation: Field | Deformation) -> Tensor:
        """Samples of the deformed signal, ``(*batch, *grid.shape)``."""
        warp = deformation if isinstance(deformation, Deformation) else Deformation(deformation)
        values = everywhere(f, grid, "Interpolated").on(grid)
        if warp.tau is not None:
            values = self.moved(values, grid, warp.tau.at(grid.points(device=values.device)))
        return values if warp.omega is None else modulated(values, grid, warp.omega)

    def moved(self, f: Tensor, grid: Grid, tau: Tensor) -> Tensor:
        """Samples ``(*batch, *grid.shape)`` moved by ``(d, *shape)`` or ``(*batch, d, *shape)`` displacements."""
        if f.is_complex():
            return torch.complex(self.moved(f.real, grid, tau), self.moved(f.imag, grid, tau))
        batch, d = f.shape[: f.ndim - grid.ndim], grid.ndim
        spacing = torch.tensor(grid.spacing, dtype=torch.float64, device=f.device)
        index = (grid.points(device=f.device) - tau) / spacing.reshape(d, *(1,) * d)
        index = index.expand(*batch, d, *grid.shape).reshape(-1, d, grid.size)
        flat = f.reshape(-1, *grid.shape)
        if self.kind in _ORDER:
            values = _spline(flat, index, _ORDER[self.kind])
        else:
            values = _kernel(flat, index, self.kind)
        return values.reshape(*batch, *grid.shape)


def _spline(f: Tensor, index: Tensor, order: int) -> Tensor:
    from scipy import ndimage

    rows = [
        ndimage.map_coordinates(a, b, order=order, mode="grid-wrap")
        for a, b in zip(f.detach().cpu().numpy(), index.detach().cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(rows)).to(f.device)


def _weights(u: Tensor, kind: str) -> Tensor:
    """Weights of the neighbours for offsets ``0 <= u < 1``, ``(2 or 4, ...)``, first neighbour first."""
    if kind == "bilinear":
        return torch.stack([1 - u, u])
    a = -0.75

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return a * (((x - 5) * x + 8) * x - 4)

    return torch.stack([far(u + 1), near(u), near(1 - u), far(2 - u)])


def _kernel(f: Tensor, index: Tensor, kind: str) -> Tensor:
    """Separable kernel interpolation with wrap-around, ``(n, size)``."""
    n, d, count = index.shape
    shape = f.shape[1:]
    base = index.detach().floor()
    weights = _weights(index - base, kind)
    taps = weights.shape[0]
    start = base.long() - (taps // 2 - 1)
    flat = f.reshape(n, -1)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(d)]
    total = f.new_zeros((n, count))
    for offsets in np.ndindex(*(taps,) * d):
        place = sum(((start[:, a] + k) % shape[a]) * strides[a] for a, k in enumerate(offsets))
        weight = math.prod(weights[k][:, a] for a, k in enumerate(offsets))
        total = total + weight * flat.gather(1, place)
    return total
