r"""Learned radial cuts: isotropic bands whose edges and roll-offs are weights, tight by one identity per cut.

Cut j has an angle that rises from 0 well below its radius :math:`c_j` to :math:`\pi/2` well above it,

.. math:: \alpha_j(\xi) = \tfrac\pi2 \, \nu\Big( \tfrac12 + \tfrac1{w_j} \log_2 \tfrac{|\xi|}{c_j} \Big),

with Meyer's step :math:`\nu` (constant outside [0, 1]) and the roll-off :math:`w_j` in octaves. The atoms

.. math:: \hat g_j = \sqrt B \, \sin \alpha_j \prod_{i < j} \cos \alpha_i, \qquad
          \hat\chi = \sqrt B \, \prod_i \cos \alpha_i

have powers that sum to B, because :math:`\cos^2 + \sin^2 = 1` from the last cut to the first, for any cuts in any
order. The amplitudes are products of smooth functions, no roots are taken; at frequency 0 all atoms but the output are
zero.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from scatter_theory.frames._learned_base import Guarantee, Parametrisation, Spectra, names_of, squashed, unsquashed
from scatter_theory.frames._learned_softmax import along, axes_of
from scatter_theory.frames._steps import STEPS
from scatter_theory.grid import Grid

#: Ends of the range of the cuts, in cycles per sample, and of the roll-offs, in octaves.
CUTS, ROLL_OFFS = (0.002, 0.7), (0.25, 4.0)
#: Radius in place of 0, far below every cut.
NEAR_ZERO = 1e-12


class RadialCuts(Parametrisation):
    """Bands between learned radii; see the module text.

    Parameters
    ----------
    n_filters, d, A, B
        As in `Parametrisation`: one cut per filter, fine to coarse before training.
    support : int
        The lowest cut is at ``1 / (2 support)`` cycles per sample before training.
    """

    def __init__(self, n_filters: int, support: int, d: int, A: float, B: float) -> None:
        super().__init__(n_filters, support, d, A, B)
        low, high = 0.5 / support, 0.35
        steps = [k / max(n_filters - 1, 1) for k in range(n_filters)]
        first = [unsquashed(high * (low / high) ** t, CUTS) for t in steps]
        self.cuts = nn.Parameter(torch.tensor(first, dtype=torch.float64))
        self.roll_offs = nn.Parameter(torch.full((n_filters,), unsquashed(1.0, ROLL_OFFS), dtype=torch.float64))

    @property
    def guarantee(self) -> Guarantee:
        """A = B at all frequencies, for all weights."""
        this = f"A = B = {self.B:.6g} for all weights"
        return Guarantee(self.B, self.B, this, "the same; the impulse responses differ from grid to grid and fill it")

    def forward(self, grid: Grid, sided: str) -> Spectra:
        """Atoms on `grid`, real and isotropic."""
        self.check_finite()
        axes = axes_of(grid, self.cuts.device)
        squares = sum(along(xi[None].square(), i, self.d) for i, xi in enumerate(axes))
        octaves = torch.log2(squares.sqrt().clamp_min(NEAR_ZERO))
        shape = (-1, *(1,) * self.d)
        cuts = torch.log2(squashed(self.cuts.double(), CUTS)).reshape(shape)
        t = 0.5 + (octaves - cuts) / squashed(self.roll_offs.double(), ROLL_OFFS).reshape(shape)
        angles = 0.5 * math.pi * STEPS["meyer"](t.clamp(0.0, 1.0))
        rest, atoms = self.B**0.5 * torch.ones_like(angles[0]), []
        for angle in angles:
            atoms.append(rest * torch.sin(angle))
            rest = rest * torch.cos(angle)
        return Spectra(torch.stack(atoms), rest, names_of(self.n_filters), "real")
