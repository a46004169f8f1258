"""Cartoon functions: smooth but for one region."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.signals._bandlimited import BandLimitedSignal
from scatter_theory.signals._base import Certificate, Index, Signal, flat_points, largest
from scatter_theory.signals._cones import McShane
from scatter_theory.signals._lipschitz import PiecewiseLinear, PiecewiseLipschitzSignal, per_signal
from scatter_theory.signals._regions import Region
from scatter_theory.signals._suprema import upper_supremum


@dataclass(frozen=True, eq=False, repr=False)
class CartoonSignal(PiecewiseLipschitzSignal):
    r"""Cartoon functions :math:`f = f_1 + 1_B f_2`, one region B for each signal of the batch.

    With :math:`K_1, K_2` Lipschitz constants of :math:`f_1, f_2` and :math:`J = \sup|f_2|`:

    - ``lipschitz`` is :math:`K_1 + K_2`: a segment that does not meet the boundary of B lies in B or outside of B.
    - ``crossing_lipschitz`` is :math:`K_1 + K_2/2`, ``jump`` is J. Proof: if exactly one of x, y lies in B, say x,
      then :math:`|f(x) - f(y)| \le |f_1(x) - f_1(y)| + |f_2(x)| \le K_1|x - y| + J`. If both lie outside, the left
      side is at most :math:`K_1|x - y|`. If both lie in B, :math:`|f_2(x) - f_2(y)|` is at most :math:`K_2|x - y|` and
      at most 2J, hence at most the mean of the two. (Where x and y lie on different sides, `smooth_lipschitz`,
      :math:`K_1`, does instead of :math:`K_1 + K_2/2`.)

    Parameters
    ----------
    first, second : Signal
        :math:`f_1` and :math:`f_2`: real BandLimitedSignal, PiecewiseLinear or McShane of one batch ``(n,)``.
    regions : tuple of n Region

    Raises
    ------
    ValueError
        If batches, extents or the number of regions differ.
    TypeError
        If a part is not Lipschitz, that is, has jumps or is no signal.
    """

    first: Signal
    second: Signal
    regions: tuple[Region, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", tuple(self.regions))
        for name, part in (("first", self.first), ("second", self.second)):
            if not isinstance(part, (BandLimitedSignal, PiecewiseLinear, McShane)):
                raise TypeError(
                    f"`CartoonSignal({name}=...)`: got {type(part).__name__}, expected a signal without jumps: "
                    "BandLimitedSignal, PiecewiseLinear or McShane."
                )
        if self.first.batch != self.second.batch or math.prod(self.batch) != len(self.regions):
            raise ValueError(
                f"`CartoonSignal`: batches {self.first.batch} and {self.second.batch} with {len(self.regions)} "
                "regions; expected equal batches and one region for each signal."
            )
        extents = {self.first.extent, self.second.extent, *(region.extent for region in self.regions)}
        if any(len(e) != self.ndim or not all(map(math.isclose, e, self.extent)) for e in extents):
            raise ValueError(f"`CartoonSignal`: parts live on tori of different extents, {sorted(extents)}.")

    @property
    def extent(self) -> tuple[float, ...]:
        """Periods ``L_i``."""
        return self.first.extent

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return self.first.batch

    @property
    def real(self) -> bool:
        """Whether both parts are real."""
        return self.first.real and self.second.real

    @property
    def device(self) -> torch.device:
        """Where the smooth parts lie."""
        return self.first.device

    @property
    def smooth_lipschitz(self) -> Tensor:
        """Certified Lipschitz constant of the first part, per unit, ``(*batch,)``."""
        return lipschitz_bound(self.first)

    @property
    def lipschitz(self) -> Tensor:
        """The sum of the Lipschitz constants of both parts, per unit, ``(*batch,)``."""
        return lipschitz_bound(self.first) + lipschitz_bound(self.second)

    @property
    def crossing_lipschitz(self) -> Tensor:
        """The constant of the first part and half of that of the second, per unit, ``(*batch,)``."""
        return lipschitz_bound(self.first) + 0.5 * lipschitz_bound(self.second)

    @property
    def jump(self) -> Tensor:
        """Upper value of the supremum of the second part, ``(*batch,)``."""
        return supremum_bound(self.second)

    @property
    def boundary_length(self) -> Tensor:
        """Length of the boundary of each region, rounded up, ``(*batch,)``."""
        return self._numbers([region.boundary_length.value for region in self.regions])

    def tube(self, t: float | Tensor) -> Tensor:
        """Upper value of the volume within t of the boundary, ``(*batch,)``."""
        ts = per_signal(t, self.batch, self.lipschitz.detach()).reshape(-1).tolist()
        return self._numbers([region.tube(s) for region, s in zip(self.regions, ts, strict=True)])

    def near(self, points: Tensor, t: float | Tensor, *, each: bool = False) -> Tensor:
        """A superset of the points within t of the boundary, ``(*batch, *shape)``."""
        flat, shape = flat_points(self, points, each=each)
        ts = per_signal(t, self.batch, flat).reshape(-1).tolist()
        rows = [
            region.near(flat[i if each else 0], s) for i, (region, s) in enumerate(zip(self.regions, ts, strict=True))
        ]
        return self._stack(rows, flat, torch.bool).reshape(*self.batch, *shape)

    def inside(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Which points lie in the regions, ``(*batch, *shape)``."""
        flat, shape = flat_points(self, points, each=each)
        return self._inside(flat).reshape(*self.batch, *shape)

    def supremum(self) -> Tensor:
        """Sum of the upper values of both parts, ``(*batch,)``."""
        return supremum_bound(self.first).detach() + supremum_bound(self.second).detach()

    @property
    def certificate(self) -> Certificate:
        """Lipschitz constants of the parts, jump, and boundary."""
        slope, sup = "gradient on a fine sampling, with its error", "values on a fine sampling, with their error"
        length = max((region.boundary_length for region in self.regions), key=float, default=None)
        return (
            ("Lipschitz constant of f1", largest(lipschitz_bound(self.first), slope, "certified")),
            ("Lipschitz constant of f2", largest(lipschitz_bound(self.second), slope, "certified")),
            ("jump", largest(self.jump, sup, "certified")),
            *((("boundary", length),) if length is not None else ()),
        )

    def select(self, index: Index) -> CartoonSignal:
        """Part of the batch along its first axis."""
        where = index.cpu() if isinstance(index, Tensor) else index
        picked = torch.arange(len(self.regions))[where].reshape(-1).tolist()
        return CartoonSignal(
            self.first.select(index), self.second.select(index), tuple(self.regions[i] for i in picked)
        )

    def _values(self, points: Tensor) -> Tensor:
        first, second = self.first._values(points), self.second._values(points)
        return first + torch.where(self._inside(points), second, torch.zeros_like(second))

    def _inside(self, points: Tensor) -> Tensor:
        rows = [region.contains(points[i if points.shape[0] > 1 else 0]) for i, region in enumerate(self.regions)]
        return self._stack(rows, points, torch.bool)

    def _stack(self, rows: list[Tensor], points: Tensor, dtype: torch.dtype) -> Tensor:
        """Rows ``(P,)`` as ``(n, P)``, also for an empty batch."""
        return torch.stack(rows) if rows else torch.zeros((0, points.shape[-1]), dtype=dtype, device=points.device)

    def _numbers(self, numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64, device=self.device).reshape(self.batch)


def lipschitz_bound(signal: Signal) -> Tensor:
    """Certified upper value of the Lipschitz constant of a signal without jumps, ``(*batch,)``; differentiable."""
    if isinstance(signal, BandLimitedSignal):
        return upper_supremum(signal.polynomial.gradient(), vector=True)
    return signal.lipschitz


def supremum_bound(signal: Signal) -> Tensor:
    """Certified upper value of ``sup |f|``, ``(*batch,)``; differentiable for polynomials."""
    return upper_supremum(signal.polynomial) if isinstance(signal, BandLimitedSignal) else signal.supremum()
