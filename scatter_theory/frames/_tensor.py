"""Tensor-product wavelets: per scale all products of one-dimensional low-passes and bands but the all-low one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Bank
from scatter_theory.frames._base import Frame, Sided, check_dimension, check_sided, resolve_sided
from scatter_theory.frames._decay import dyadic_constant, separable
from scatter_theory.frames._profiles import CLEAR, Frequencies, Member, assemble, nyquist_blend, outer
from scatter_theory.frames._scale import check_scale, resolve_scale, top_frequency
from scatter_theory.frames._steps import check_step, dyadic_cuts, lowpass, telescope
from scatter_theory.frames._wavelets import check_overlap
from scatter_theory.grid import Grid

#: Squared low-pass and band of one axis at one scale: ``("low" | "band" | "plus" | "minus") -> (n,) tensor``.
AxisPowers = dict[str, Tensor]

OPPOSITE = str.maketrans("+-", "-+")


def sign_patterns(axes: Sequence[int]) -> Iterator[dict[int, str]]:
    """One of each conjugate pair of sign patterns on `axes`: the first sign is plus."""
    for signs in itertools.product(("plus", "minus"), repeat=len(axes) - 1):
        yield dict(zip(axes, ("plus", *signs), strict=True))


@dataclass(frozen=True, repr=False)
class TensorWavelets(Frame):
    r"""Tight tensor-product wavelets, ``2^d - 1`` kinds per scale.

    .. math:: |\hat\chi|^2 = \prod_i H_0^2(\xi_i), \qquad
              \prod_i H_{j+1}^2(\xi_i) - \prod_i H_j^2(\xi_i)
              = \sum_{\emptyset \ne E \subseteq \{1..d\}} \prod_{i \in E} (H_{j+1}^2 - H_j^2)(\xi_i)
                \prod_{i \notin E} H_j^2(\xi_i),

    where :math:`H_j^2` falls from 1 to 0 over the j-th dyadic cut. The scales telescope, hence A = B = 1 on every grid.
    Each term is one real atom (``sided="real"``), or ``2^{|E|}`` atoms, one per pattern of signs of the frequencies in
    E: these have a direction, and form conjugate pairs.

    Parameters
    ----------
    J : int, optional
        Octaves between the sampling rate of the reference grid and the low-pass, whose half-power frequency on each
        axis is ``2^-(J+1)`` cycles per reference sample.
    cutoff : float, optional
        That half-power frequency in cycles per unit, instead of J.
    step : str
        Transition: ``"meyer"``, ``"smooth"`` (C-infinity), ``"linear"`` (Held), ``"sharp"`` (Shannon).
    sided : str
        ``"auto"`` (half bank where the network allows it), ``"half"``, ``"both"`` or ``"real"``.
    nyquist_overlap : float
        Width, as a share of the sampling rate, over which atoms blend across the Nyquist frequency.

    Raises
    ------
    ValueError
        For parameters outside their range, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> [len(TensorWavelets(J=3, sided=sided).on(Grid.square(64))) for sided in ("real", "half", "both")]
    [9, 12, 24]
    """

    J: int | None = None
    cutoff: float | None = None
    step: str = "meyer"
    sided: Sided = "auto"
    nyquist_overlap: float = 0.0
    tight = True

    def __post_init__(self) -> None:
        check_scale("TensorWavelets", self.J, self.cutoff)
        check_step("TensorWavelets", self.step)
        check_sided("TensorWavelets", self.sided)
        check_overlap("TensorWavelets", self.nyquist_overlap)

    @classmethod
    def example(cls, d: int) -> TensorWavelets:
        """One octave; see `Frame.example`."""
        check_dimension("TensorWavelets.example", d, cls.dims)
        return cls(J=1)

    def decay_constant(self, d: int = 1) -> Constant:
        """Certified K of the product low-pass, |xi| Euclidean; see `Frame.decay_constant`."""
        check_dimension("TensorWavelets.decay_constant", d, self.dims)
        return dyadic_constant(separable(d, self.step), self.J, self.cutoff, f"product of {d} {self.step} steps")

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`; see `Frame.on`."""
        J, unit = resolve_scale(self.J, self.cutoff, reference or grid)
        top = top_frequency(grid, unit)
        cuts = dyadic_cuts(J, top)
        axes = [self._axis(grid, i, unit[i], cuts) for i in range(grid.ndim)]
        kind = resolve_sided(self.sided, sided)
        members: list[Member] = []
        for k in range(len(cuts)):
            high = min(cuts[k + 1][1], top) if k + 1 < len(cuts) else top
            centre = 0.5 * (cuts[k][0] + high)
            members += _scale_members([axis[k] for axis in axes], f"j={J - 1 - k}", centre, merged=kind == "real")
        output = outer([axis[0]["low"] for axis in axes]).sqrt()
        return assemble(grid, unit, output, members, kind, repr(self))

    def _axis(self, grid: Grid, i: int, unit: float, cuts: Sequence[tuple[float, float]]) -> list[AxisPowers]:
        """Squared low-passes and bands of axis i, by scale."""
        line = Grid((grid.shape[i],), (grid.spacing[i],))

        def parts(xi: Frequencies) -> list[Tensor]:
            lows = [lowpass(xi.radius, *cut, self.step) for cut in cuts]
            return lows + [band * (xi.xi[0] > 0) for band in telescope(xi.radius, cuts, self.step)[1:]]

        values = nyquist_blend(parts, line, (unit,), self.nyquist_overlap)
        powers = []
        for even, upper in zip(values[: len(cuts)], values[len(cuts) :], strict=True):
            low = 0.5 * (even + line.mirror(even))
            upper = upper * (upper >= CLEAR)
            lower = line.mirror(upper)
            powers.append({"low": low * (low >= CLEAR), "plus": upper, "minus": lower, "band": upper + lower})
        return powers


def _scale_members(axes: Sequence[AxisPowers], label: str, centre: float, *, merged: bool) -> list[Member]:
    """Members of one scale, in the order of the number of band axes."""
    d = len(axes)
    members = []
    subsets = itertools.chain.from_iterable(itertools.combinations(range(d), size) for size in range(1, d + 1))
    for bands in subsets:
        patterns = [dict.fromkeys(bands, "band")] if merged else sign_patterns(bands)
        for pattern in patterns:
            choice = [pattern.get(i, "low") for i in range(d)]
            power = outer([axis[part] for axis, part in zip(axes, choice, strict=True)])
            place = tuple({"low": 0.0, "minus": -centre}.get(part, centre) for part in choice)
            name = "".join({"low": "0", "minus": "-", "plus": "+", "band": "1"}[part] for part in choice)
            partner = f"{label},{name.translate(OPPOSITE)}"
            amplitude, scale = power.sqrt(), -math.log2(centre)
            members.append(Member(f"{label},{name}", amplitude, place, not merged, scale=scale, partner=partner))
    return members
