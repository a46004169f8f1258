r"""Learned Morlet wavelets: centre, width and orientation of every wavelet are weights, and the family stays tight.

With frequencies in cycles per sample, :math:`x_i = \sin \pi (\xi_i - c_i) / \pi` and
:math:`y_i = \cos \pi (\xi_i - c_i)`, a wavelet has the exponent

.. math:: \theta(\xi) = \log \sum_i \sin^2 \pi \xi_i
          - \tfrac12 \Big( \sum_i \Lambda_{ii} x_i^2 + \sum_{i \ne j} \Lambda_{ij} x_i y_i x_j y_j \Big), \qquad
          \Lambda = s_\perp^{-2} I + (s_\parallel^{-2} - s_\perp^{-2}) \frac{c c^T}{|c|^2} .

Near its centre it is a Gaussian of width :math:`s_\parallel` along the direction of c and :math:`s_\perp` across; the
logarithm makes its amplitude vanish like :math:`|\xi|` at frequency 0, as the correction of Morlet's wavelet does; and
every term is periodic without a kink. The powers are the softmax of `_learned_softmax`, hence sum to B everywhere. All
of the mean is in the output atom, whatever the weights are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from scatter_theory.frames._learned_base import (
    Guarantee,
    Parametrisation,
    Spectra,
    first_width,
    squashed,
    unit,
    unsquashed,
)
from scatter_theory.frames._learned_softmax import WIDTHS, along, axes_of, pairs
from scatter_theory.grid import Grid

#: Power of a wavelet at frequency 0 in place of 0, so that the logarithm is finite.
NOTHING = 1e-280


class LearnedMorlet(Parametrisation):
    """Wavelets with learned centres and widths; see the module text.

    Parameters
    ----------
    n_filters, d, A, B
        As in `Parametrisation`.
    support : int
        Extent of the finest atoms in samples at the start: four standard deviations of their Gaussian envelopes.
    generator : torch.Generator
    """

    sided = "auto"

    def __init__(self, n_filters: int, support: int, d: int, A: float, B: float, generator: torch.Generator) -> None:
        super().__init__(n_filters, support, d, A, B)
        direction = torch.randn((n_filters, d), generator=generator, dtype=torch.float64)
        octaves = torch.arange(n_filters, dtype=torch.float64) * (3.0 / max(n_filters, 3))
        radius = 0.4 * 2.0**-octaves
        self.centres = nn.Parameter(unit(direction, "a random direction") * radius[:, None])
        first = [unsquashed(first_width(support) * float(r) / 0.4, WIDTHS) for r in radius]
        #: Weights of the widths along and across, one column in one dimension.
        self.widths = nn.Parameter(torch.tensor(first, dtype=torch.float64)[:, None].repeat(1, min(d, 2)))
        self.low = nn.Parameter(torch.tensor(min(first), dtype=torch.float64))

    @property
    def guarantee(self) -> Guarantee:
        """A = B at all frequencies, for all weights but a centre at 0."""
        this = f"A = B = {self.B:.6g} for all weights (half banks: for real maps); a centre at 0 is refused"
        return Guarantee(self.B, self.B, this, "the same; the impulse responses differ from grid to grid and fill it")

    def forward(self, grid: Grid, sided: str) -> Spectra:
        """Atoms on `grid`: all of them, one of each conjugate pair, or pairs merged to real atoms."""
        self.check_finite()
        axes, centres = axes_of(grid, self.centres.device), self.centres.double()
        precision = squashed(self.widths.double(), WIDTHS) ** -2
        n = unit(centres, "a row of `centres`")
        across = precision[:, -1, None, None] * torch.eye(self.d, dtype=torch.float64, device=n.device)
        matrices = across + (precision[:, 0] - precision[:, -1])[:, None, None] * (n[:, :, None] * n[:, None, :])
        squares = sum(along(torch.sin(math.pi * xi)[None].square(), i, self.d) for i, xi in enumerate(axes))
        bumps = _quadratic(axes, centres, matrices) + torch.log(squares.clamp_min(NOTHING))
        low = -0.5 * squares / (math.pi * squashed(self.low.double(), WIDTHS)).square()
        return pairs(grid, low, bumps, self.B, sided)


def _quadratic(axes: list[Tensor], centres: Tensor, matrices: Tensor) -> Tensor:
    """The Gaussian part of the exponents, ``(n, *shape)``, for matrices ``(n, d, d)``."""
    d = len(axes)
    gaps = [math.pi * (xi - centres[:, i : i + 1]) for i, xi in enumerate(axes)]
    sines = [torch.sin(gap) / math.pi for gap in gaps]
    total = centres.new_zeros((len(centres), *(1,) * d))
    for i in range(d):
        total = total + along(matrices[:, i, i : i + 1] * sines[i].square(), i, d)
        for j in range(i):
            one, two = (sines[a] * torch.cos(gaps[a]) for a in (i, j))
            total = total + 2 * along(matrices[:, i, j : j + 1] * one, i, d) * along(two, j, d)
    return -0.5 * total
