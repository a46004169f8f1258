"""Dead leaves: discs of one grey value each, drawn one over the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.signals._base import Certificate, Index, flat_points, largest, minimum_image
from scatter_theory.signals._cones import CHUNK
from scatter_theory.signals._lipschitz import PiecewiseLipschitzSignal, per_signal
from scatter_theory.signals._regions import ROUNDING, annulus


@dataclass(frozen=True, eq=False, repr=False)
class DeadLeavesSignal(PiecewiseLipschitzSignal):
    r"""Discs of one grey value each, drawn one over the other on a background, on a torus of two axes.

    Piecewise constant: K = K' = 0, and J is the largest grey value less the smallest. The jump set is contained in the
    union of the circles, whence the bounds on its length and on the volume around it.

    Parameters
    ----------
    centres : (*batch, 2, m) tensor
    radii : (*batch, m) tensor
        Below half of the shorter period.
    greys : (*batch, m + 1) tensor
        The background first, then the discs from the lowest to the topmost.
    extent : tuple of two numbers
        Periods of the torus, in the unit of position.

    Raises
    ------
    ValueError
        If shapes do not fit or a disc is as wide as a period.
    """

    centres: Tensor
    radii: Tensor
    greys: Tensor
    extent: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple(float(L) for L in self.extent))
        batch, m = tuple(self.radii.shape[:-1]), self.radii.shape[-1]
        shapes = (tuple(self.centres.shape), tuple(self.greys.shape), len(self.extent))
        if shapes != ((*batch, 2, m), (*batch, m + 1), 2):
            raise ValueError(
                f"`DeadLeavesSignal`: centres {shapes[0]}, greys {shapes[1]} and {shapes[2]} periods for radii of "
                f"shape {(*batch, m)}; expected centres {(*batch, 2, m)}, greys {(*batch, m + 1)} and 2 periods."
            )
        if self.radii.device.type == "cpu" and not ((self.radii > 0) & (2 * self.radii < min(self.extent))).all():
            raise ValueError(f"`DeadLeavesSignal(radii=...)`: expected numbers from 0 to {min(self.extent) / 2:g}.")

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.radii.shape[:-1])

    @property
    def device(self) -> torch.device:
        """Where the greys lie."""
        return self.greys.device

    @property
    def lipschitz(self) -> Tensor:
        """0: constant wherever no circle is crossed, ``(*batch,)``."""
        return torch.zeros_like(self.greys[..., 0].detach())

    @property
    def jump(self) -> Tensor:
        """The largest grey value less the smallest, ``(*batch,)``."""
        return self.greys.amax(-1) - self.greys.amin(-1)

    @property
    def boundary_length(self) -> Tensor:
        """The sum of the circumferences, ``(*batch,)``."""
        return 2 * math.pi * self.radii.sum(-1) * (1 + ROUNDING)

    def tube(self, t: float | Tensor) -> Tensor:
        """The sum of the areas within t of each circle, at most the torus, ``(*batch,)``."""
        ts = per_signal(t, self.batch, self.radii).reshape(-1).tolist()
        rows = self.radii.reshape(len(ts), -1).tolist()
        sums = [math.fsum(annulus(r, s) for r in row) for row, s in zip(rows, ts, strict=True)]
        area = [min(total, math.prod(self.extent)) for total in sums]
        return torch.tensor(area, dtype=torch.float64, device=self.device).reshape(self.batch)

    def near(self, points: Tensor, t: float | Tensor, *, each: bool = False) -> Tensor:
        """Where a circle lies within t, ``(*batch, *shape)``."""
        flat, shape = flat_points(self, points, each=each)
        ts = per_signal(t, self.batch, flat).reshape(-1, 1) + ROUNDING * max(self.extent)
        found = [(rho.sqrt() - r).abs().amin(1) for rho, r in self._squares(flat)]
        return (torch.cat(found, -1) <= ts).reshape(*self.batch, *shape)

    def supremum(self) -> Tensor:
        """The largest modulus of a grey value, ``(*batch,)``."""
        return self.greys.detach().abs().amax(-1)

    @property
    def certificate(self) -> Certificate:
        """Jump and length of the circles."""
        return (
            ("jump", largest(self.jump, "largest less smallest grey value", "analytic")),
            ("boundary", largest(self.boundary_length, "sum of all circumferences, hidden parts included", "derived")),
        )

    def select(self, index: Index) -> DeadLeavesSignal:
        """Part of the batch along its first axis."""
        return DeadLeavesSignal(self.centres[index], self.radii[index], self.greys[index], self.extent)

    def _squares(self, points: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Squared distances to the centres ``(n, m, p)`` and radii ``(n, m, 1)``, for parts of the points."""
        n, m = math.prod(self.batch), self.radii.shape[-1]
        centres, radii = self.centres.detach().reshape(n, 2, m, 1), self.radii.detach().reshape(n, m, 1)
        for part in points.detach().split(max(1, CHUNK // max(n * m, 1)), -1):
            steps = [minimum_image(part[:, a, None, :] - centres[:, a], self.extent[a]) for a in (0, 1)]
            yield steps[0].square() + steps[1].square(), radii

    def _values(self, points: Tensor) -> Tensor:
        n, m = math.prod(self.batch), self.radii.shape[-1]
        order = torch.arange(1, m + 1, device=points.device)[:, None]
        tops = [((square <= r * r) * order).amax(1) for square, r in self._squares(points)]
        # The points enter with factor 0, so that their gradient is 0 and not missing.
        return self.greys.reshape(n, m + 1).gather(1, torch.cat(tops, -1)) + 0.0 * points[:, 0]
