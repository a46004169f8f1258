r"""Learned bumps in frequency whose powers are a softmax: tight wherever they are.

Every atom has an exponent

.. math:: \theta_k(\xi) = -\tfrac12 \sum_i \Big( \frac{\sin \pi (\xi_i - c_{ki})}{\pi s_{ki}} \Big)^2 ,

with frequencies in cycles per sample: a Gaussian of width s around c, and periodic without a kink. The output atom has
the centre 0, and every other bump its mirror image as conjugate partner. Then

.. math:: |\hat g_k(\xi)|^2 = B\, e^{\theta_k(\xi)} \Big/ \Big( e^{\theta_0(\xi)}
          + \sum_j \big( e^{\theta_j(\xi)} + e^{\theta_j(-\xi)} \big) \Big)

sums to B at every frequency: the canonical tight frame of the bumps. In logarithms no sum can vanish, and the amplitude
:math:`\exp(\tfrac12 \log\operatorname{softmax})` has a finite gradient even where it underflows to zero.
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
    names_of,
    squashed,
    unsquashed,
)
from scatter_theory.grid import Grid

#: Smallest and largest width in cycles per sample: between them lie the widths for all values of the weights.
WIDTHS = (0.005, 0.5)


class Softmax(Parametrisation):
    """Gaussian bumps with learned centres and widths, made tight; see the module text.

    Parameters
    ----------
    n_filters, d, A, B
        As in `Parametrisation`.
    support : int
        Extent of the atoms in samples at the start: four standard deviations of their Gaussian envelopes.
    generator : torch.Generator
    """

    sided = "auto"

    def __init__(self, n_filters: int, support: int, d: int, A: float, B: float, generator: torch.Generator) -> None:
        super().__init__(n_filters, support, d, A, B)
        centres = torch.rand((n_filters, d), generator=generator, dtype=torch.float64) - 0.5
        centres[:, 0] = 0.5 * (torch.arange(n_filters, dtype=torch.float64) + 1) / (n_filters + 1)
        self.centres = nn.Parameter(centres)
        self.widths = nn.Parameter(
            torch.full((n_filters + 1, d), unsquashed(first_width(support), WIDTHS), dtype=torch.float64)
        )

    @property
    def guarantee(self) -> Guarantee:
        """A = B at all frequencies, for all weights."""
        this = f"A = B = {self.B:.6g} for all weights (half banks: for real maps)"
        return Guarantee(self.B, self.B, this, "the same; the impulse responses differ from grid to grid and fill it")

    def forward(self, grid: Grid, sided: str) -> Spectra:
        """Atoms on `grid`: all of them, one of each conjugate pair, or pairs merged to real atoms."""
        self.check_finite()
        axes = axes_of(grid, self.centres.device)
        s = squashed(self.widths.double(), WIDTHS)
        low = _quadratic(axes, torch.zeros_like(s[:1]), s[:1])
        return pairs(grid, low, _quadratic(axes, self.centres.double(), s[1:]), self.B, sided)


def pairs(grid: Grid, low: Tensor, bumps: Tensor, B: float, sided: str) -> Spectra:
    """Tight bank of an output atom and of bumps with their mirror images.

    Parameters
    ----------
    low, bumps : (1, *grid.shape), (n, *grid.shape) tensors
        Logarithms of powers, up to a common function of the frequency.
    B : float
        Sum of the powers of all atoms.
    sided : str
        ``"both"``, ``"half"``: the first of each pair, or ``"real"``: both merged.
    """
    # The mirrored array, not another evaluation: partners then differ by no rounding.
    logs = torch.log_softmax(torch.cat([low, bumps, grid.mirror(bumps)]), 0) + math.log(B)
    n, names = len(bumps), names_of(len(bumps))
    output, first = torch.exp(0.25 * (logs[0] + grid.mirror(logs[0]))), logs[1 : 1 + n]
    if sided == "half":
        return Spectra(math.sqrt(2.0) * torch.exp(0.5 * first), output, names, "half")
    if sided == "real":
        return Spectra(torch.exp(0.5 * torch.logaddexp(first, grid.mirror(first))), output, names, "real")
    atoms = torch.exp(0.5 * first)
    both = torch.stack([atoms, grid.mirror(atoms)], 1).reshape(2 * n, *grid.shape)
    return Spectra(both, output, tuple(name + sign for name in names for sign in ("", "-")), "full")


def axes_of(grid: Grid, device: torch.device) -> list[Tensor]:
    """Frequencies of every axis in cycles per sample."""
    return [torch.fft.fftfreq(n, dtype=torch.float64, device=device) for n in grid.shape]


def along(values: Tensor, axis: int, d: int) -> Tensor:
    """Values ``(n, N)`` of one coordinate as ``(n, 1, ..., N, ..., 1)``."""
    return values.reshape(len(values), *[-1 if a == axis else 1 for a in range(d)])


def _quadratic(axes: list[Tensor], centres: Tensor, s: Tensor) -> Tensor:
    """``-(1/2) sum_i (sin(pi (xi_i - c_i)) / (pi s_i))^2``, ``(n, *shape)``."""
    total = centres.new_zeros((len(centres), *(1,) * len(axes)))
    for i, xi in enumerate(axes):
        chord = torch.sin(math.pi * (xi - centres[:, i : i + 1])) / math.pi
        total = total + along(-0.5 * (chord / s[:, i : i + 1]).square(), i, len(axes))
    return total
