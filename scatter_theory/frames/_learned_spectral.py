r"""Learned kernels whose spectra are divided by a function of their Littlewood-Paley sum: canonical, and in a range.

With kernels :math:`w_0, \dots, w_m` and :math:`s(\xi) = \sum_k |\hat w_k(\xi)|^2`,

.. math:: \hat g_k = \hat w_k \sqrt{c(s) / s}, \qquad \sum_k |\hat g_k|^2 = c(s),

wherever :math:`s > 0`. Hence A = B for the constant :math:`c = B`, and :math:`A \le c(s) \le B` for
:math:`c(s) = A + (B - A) s / (1 + s)`, whatever the kernels are. The atoms are functions of continuous frequency, so
that the same holds on every grid where s does not vanish; but their impulse responses are no longer finite, and those
of one grid are not those of another.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scatter_theory.frames._learned_base import (
    VANISHES,
    Guarantee,
    Parametrisation,
    Spectra,
    first_kernels,
    largest,
    names_of,
    power_of,
    real_spectra,
)
from scatter_theory.grid import Grid


class Divided(Parametrisation):
    r"""Kernels divided in frequency, :math:`\hat w_k \sqrt{c(s)/s}`; see the module text.

    The kernels are divided by their largest entry m before anything is squared, and :math:`c(m^2 s)` is taken: an
    identity in m, which may count as a constant in the gradient.

    Parameters
    ----------
    n_filters, support, d, A, B
        As in `Parametrisation`.
    tight : bool
        Whether c is the constant B.
    generator : torch.Generator
    """

    def __init__(
        self, n_filters: int, support: int, d: int, A: float, B: float, tight: bool, generator: torch.Generator
    ) -> None:
        super().__init__(n_filters, support, d, A, B)
        self.tight = tight
        self.kernels = nn.Parameter(first_kernels(n_filters, support, d, generator))

    @property
    def guarantee(self) -> Guarantee:
        """Bounds in the range wherever the raw sum is positive; elsewhere a bank is refused."""
        where = "wherever the sum of the raw kernels is positive; a grid with a frequency where it vanishes is refused"
        this = f"A = B = {self.B:.6g}" if self.tight else f"every value of the sum lies in [{self.A:.6g}, {self.B:.6g}]"
        every = f"the same, {where}; the impulse responses differ from grid to grid and fill it"
        return Guarantee(self.B if self.tight else self.A, self.B, f"{this}, {where}", every)

    def forward(self, grid: Grid, sided: str) -> Spectra:
        """Atoms on `grid`; raises ValueError where the raw sum vanishes (on the CPU)."""
        self.check_finite()
        kernels = self.kernels.double()
        size = largest(kernels)
        raw = real_spectra(kernels / size, grid)
        total = power_of(raw)
        check_positive(total, grid)
        level = torch.full_like(total, self.B)
        if not self.tight:
            # Below the clamp the level is A to the last bit, and its inverse square would be infinite.
            level = self.A + (self.B - self.A) / (1 + size.clamp_min(1e-150) ** -2 / total)
        atoms = raw * (level / total).sqrt()
        return Spectra(atoms[1:], atoms[0], names_of(self.n_filters), "real")


def check_positive(total: Tensor, grid: Grid) -> None:
    """Raise ValueError naming a frequency where the sum of the raw kernels vanishes; on the CPU only."""
    if total.device.type != "cpu":
        return
    flat = total.detach().flatten()
    low, high = float(flat.min()), float(flat.max())
    if not low > VANISHES * high:
        xi = tuple(grid.frequencies().reshape(grid.ndim, -1)[:, int(flat.argmin())].tolist())
        raise ValueError(
            f"`Learned`: all kernels vanish at the frequency {xi} cycles/{grid.unit} of {grid} (their sum of squares "
            f"is {low:.3g} there, {high:.3g} at most), so dividing by it is undefined. Use "
            "parametrisation='complement', which is defined for all weights, or start from other weights (`seed=`)."
        )
