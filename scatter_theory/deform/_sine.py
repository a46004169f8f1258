r"""Displacements that vanish on the border of the period: sine series, and the maximum-entropy law of such fields.

A product of sines :math:`\prod_l \sin(i_l \pi x_l / L_l)`, :math:`i_l \ge 1`, is 0 wherever one coordinate is a
multiple of its period. Repeated with period L, a sine series is therefore continuous and Lipschitz. On ``[0, L)`` it is
a trigonometric polynomial of period 2L. Reflecting a coordinate changes the common sign of all components, so that
:math:`|\tau|` and the moduli of the entries of :math:`D\tau` have the same suprema over the doubled torus as over the
cell: norms of the polynomial are norms of the field. On the border, where derivatives jump, those from above are taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor

from scatter_theory.deform._fields import Field, FieldNorms, Smoothness, numbers, periods
from scatter_theory.deform._trigonometric import bernstein, certified, values
from scatter_theory.seeds import Seed, seeded
from scatter_theory.trigonometric import Polynomial


@dataclass(frozen=True, eq=False)
class SineField(Field):
    r"""Fields :math:`\tau_u(x) = \sum_{i_1, \dots, i_d \ge 1} C_{u,i} \prod_l \sin(i_l \pi x_l / L_l)`.

    Parameters
    ----------
    amplitudes : (*batch, d, n_1, ..., n_d) tensor
        C, in the unit of position; index 0 is i = 1.
    extent : tuple of d numbers

    Raises
    ------
    ValueError
        For shapes that do not fit, or values that are not finite.
    """

    amplitudes: Tensor
    extent: tuple[float, ...]
    _batched: ClassVar[tuple[str, ...]] = ("amplitudes",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", periods("SineField", self.extent))
        d = len(self.extent)
        C = self.amplitudes
        if not isinstance(C, Tensor) or C.ndim < d + 1:
            raise ValueError(f"`SineField(amplitudes=...)`: got {C!r}, expected a tensor (*batch, {d}, n_1..n_{d}).")
        object.__setattr__(self, "amplitudes", numbers("SineField(amplitudes=...)", C, (d, *C.shape[C.ndim - d :])))

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.amplitudes.shape[: -self.ndim - 1])

    @property
    def device(self) -> torch.device:
        """Where the amplitudes are."""
        return self.amplitudes.device

    @cached_property
    def doubled(self) -> Polynomial:
        """The polynomial of period 2L that the field is on ``[0, L)``; batch ``(*batch, d)``."""
        c = self.amplitudes.to(torch.complex128)
        for axis in range(-self.ndim, 0):
            middle = torch.zeros_like(c.narrow(axis, 0, 1)) if c.shape[axis] else c.sum(axis, keepdim=True)
            c = torch.cat([-c.flip(axis), middle, c], axis) / 2j
        return Polynomial(c, tuple(2 * L for L in self.extent))

    def _folded(self, points: Tensor, each: bool) -> Tensor:
        lead = len(self.batch) if each else 0
        L = torch.tensor(self.extent, dtype=torch.float64, device=points.device)
        L = L.reshape(-1, *(1,) * (points.ndim - lead - 1))
        points = points.to(torch.float64)
        return points - L * (points.detach() / L).floor()

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Displacements, ``(*batch, d, *shape)``; see `Field.at`."""
        return values(self.doubled, self._folded(points, each), len(self.batch), each=each)

    def jacobian(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Derivatives, ``(*batch, d, d, *shape)``; see `Field.jacobian`."""
        return values(self.doubled.gradient(), self._folded(points, each), len(self.batch), each=each)

    def smoothness(self) -> Smoothness:
        """Bernstein's inequality inside the cell."""
        return bernstein(self.doubled, self.norms(), seam=True)

    def _certified(self) -> FieldNorms:
        return certified(self.doubled, "enclosure of the trigonometric polynomial of the doubled period by samples")

    def _scaled(self, factor: Tensor | float) -> SineField:
        if isinstance(factor, Tensor):
            factor = factor.reshape(*factor.shape, *(1,) * (self.ndim + 1))
        return SineField(self.amplitudes * factor, self.extent)


def disc(cutoff: float, ndim: int) -> dict[tuple[int, ...], int]:
    """The indices ``i_l >= 1`` of length at most `cutoff`, in ascending order, with their squared lengths."""
    if not (math.isfinite(cutoff) and cutoff**2 >= ndim):
        raise ValueError(
            f"`max_entropy(cutoff=...)`: got {cutoff}, expected at least {math.sqrt(ndim):.4g}, so that one mode is "
            f"left in {ndim} dimensions."
        )
    box = product(range(1, longest(cutoff, ndim) + 1), repeat=ndim)
    squares = {i: sum(n * n for n in i) for i in box}
    return {i: square for i, square in squares.items() if square <= cutoff**2}


def longest(cutoff: float, ndim: int) -> int:
    """The largest entry of an index of length at most `cutoff`."""
    return math.isqrt(math.floor(cutoff**2 - (ndim - 1)))


def spread(values: Tensor, cutoff: float, ndim: int) -> Tensor:
    """Values ``(..., len(disc))`` in their places in the box ``(..., n, ..., n)``, and zeros in the others."""
    n = longest(cutoff, ndim)
    flat = [sum((k - 1) * n ** (ndim - 1 - axis) for axis, k in enumerate(i)) for i in disc(cutoff, ndim)]
    places = torch.tensor(flat, dtype=torch.int64, device=values.device)
    box = values.new_zeros((*values.shape[:-1], n**ndim)).index_copy(-1, places, values)
    return box.reshape(*values.shape[:-1], *(n,) * ndim)


def max_entropy(
    extent: Sequence[float], cutoff: float, temperature: float, *, generator: Seed = None, batch: Sequence[int] = ()
) -> SineField:
    r"""Random fields of maximal entropy at a given mean :math:`\int |D\tau|^2` (Petrini et al., 2021).

    .. math:: \tau_u(x) = L_u \sum_{|i|_2 \le c,\, i_l \ge 1} C_{u,i} \prod_l \sin(i_l \pi x_l / L_l),
              \qquad C_{u,i} \sim \mathcal N(0, T / |i|_2^2) \text{ independent.}

    Parameters
    ----------
    extent : d numbers
        Periods ``L_i``, in the unit of position.
    cutoff : float
        c, the largest length of the index i, in half periods per extent.
    temperature : float
        T >= 0; see `max_entropy_temperature` for the one that gives a wanted displacement.
    generator : int, torch.Generator or None
    batch : tuple of int
        Shape of the batch.

    Returns
    -------
    SineField
        Displacements in the unit of `extent`, with the given batch.

    Raises
    ------
    ValueError
        If the temperature is negative or not finite, or no index lies within the cutoff.
    """
    extent = periods("max_entropy", extent)
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"`max_entropy(temperature=...)`: got {temperature}, expected a finite number >= 0.")
    d = len(extent)
    squares = torch.tensor(list(disc(cutoff, d).values()), dtype=torch.float64)
    source, _ = seeded(generator)
    C = torch.randn((*batch, d, len(squares)), generator=source, dtype=torch.float64) * (temperature / squares).sqrt()
    return SineField(spread(C * torch.tensor(extent, dtype=torch.float64)[:, None], cutoff, d), extent)


def max_entropy_temperature(cutoff: float, rms: float, ndim: int = 2) -> float:
    r"""Temperature at which the root mean square of :math:`|\tau|` is `rms` periods, over the cell and the law.

    Every product of sines has mean square :math:`2^{-d}`, so that
    :math:`\mathrm{rms}^2 = d\,2^{-d}\,T \sum_{|i| \le c} |i|^{-2}` for equal periods.

    Parameters
    ----------
    cutoff : float
        c, the largest length of the index i, in half periods per extent.
    rms : float
        Root mean square of the displacement, in periods.
    ndim : int
        Dimension d.

    Returns
    -------
    float
        T, for `max_entropy`.
    """
    return rms**2 * 2**ndim / (ndim * math.fsum(1 / square for square in disc(cutoff, ndim).values()))


def corners(d: int) -> list[tuple[int, ...]]:
    """The directions of axes and diagonals, up to sign: entries -1, 0, 1, the first that is not 0 being 1."""
    found = [v for v in product((0, 1, -1), repeat=d) if any(v) and next(x for x in v if x) == 1]
    return sorted(found, key=lambda v: sum(map(abs, v)))
