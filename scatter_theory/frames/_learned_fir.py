r"""Learned filters with finitely many taps that are tight on every grid: a complement atom, and paraunitary filters.

**Complement.** For taps w of total size :math:`n = (\sum_k \|w_k\|_1^2)^{1/2}` and
:math:`w' = w\, \rho / (\rho^2 + n^2)^{1/2}`,

.. math:: \sum_k |\hat w'_k(\xi)|^2 \le \sum_k \|w'_k\|_1^2 = \frac{\rho^2 n^2}{\rho^2 + n^2} < \rho^2 < 1
          \quad\text{for all } \xi,

so that :math:`\hat r = (1 - \sum_k |\hat w'_k|^2)^{1/2} \ge (1 - \rho^2)^{1/2}` is smooth in the taps w', and one more
atom r makes the sum one at all frequencies. Every atom but r keeps its taps. The bound on the size is sufficient, not
necessary: filters near a tight frame of their own are out of reach, and r takes what they leave.

**Paraunitary.** With unit vectors u and :math:`v_i` of length m,

.. math:: \hat h(\xi) = \prod_i \left( I - v_i v_i^T + v_i v_i^T e^{-2\pi i \xi_{a(i)}} \right) u

has :math:`|\hat h(\xi)| = 1` for all :math:`\xi`, because every factor is unitary. Its m entries are the atoms, each
with one tap more per factor along the axis :math:`a(i)`. In one dimension every real bank with k taps and
:math:`|\hat h| = 1` is of this form with k - 1 factors (Vaidyanathan): its first and last taps are orthogonal vectors,
being the coefficient of largest lag of :math:`|\hat h|^2 = 1`, so that with v along the last tap the inverse factor
:math:`I - v v^T + v v^T e^{2\pi i \xi}` takes one tap away. In several dimensions the factors take the axes in turn,
which gives many such banks but not all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scatter_theory.frames._learned_base import (
    Guarantee,
    Parametrisation,
    Spectra,
    first_kernels,
    largest,
    names_of,
    power_of,
    real_spectra,
    unit,
)
from scatter_theory.grid import Grid

#: Largest share of the amplitude that the taps beside a complement atom may take.
RHO = 0.95


class WithComplement(Parametrisation):
    """Taps of bounded size and the atom that is missing to a tight frame; see the module text.

    Parameters
    ----------
    n_filters, support, d, A, B
        As in `Parametrisation`; the complement is one more propagating atom.
    generator : torch.Generator
    """

    def __init__(self, n_filters: int, support: int, d: int, A: float, B: float, generator: torch.Generator) -> None:
        super().__init__(n_filters, support, d, A, B)
        kernels = first_kernels(n_filters, support, d, generator)
        # Equal sizes of the average and of all noise, three rho in all, of which the formula leaves 0.95 rho.
        norms = kernels.abs().flatten(1).sum(1)
        sizes = torch.cat([norms[:1], norms[1:].square().sum().sqrt().expand(n_filters)])
        self.kernels = nn.Parameter(kernels * (3 * RHO / 2**0.5 / sizes).reshape(-1, *(1,) * d))

    @property
    def guarantee(self) -> Guarantee:
        """A = B at all frequencies, for all weights."""
        this = f"A = B = {self.B:.6g} for all weights"
        every = f"the same, with the same {self.support} taps per axis of all atoms but the complement"
        return Guarantee(self.B, self.B, this, every)

    def taps(self) -> Tensor:
        """Taps of the output atom and of the filters, ``(1 + n_filters, k, ..., k)``, before the factor sqrt(B)."""
        kernels = self.kernels.double()
        # Divided by their largest entry, so that no square overflows: the quotient does not change with that number.
        size = largest(kernels)
        scaled = kernels / size
        squares = scaled.abs().flatten(1).sum(1).square().sum()
        return scaled * (RHO / ((RHO / size).square() + squares).sqrt())

    def output_taps(self) -> Tensor:
        """Taps of the output atom."""
        return self.B**0.5 * self.taps()[0]

    def forward(self, grid: Grid, sided: str) -> Spectra:
        """Atoms on `grid`, the complement last."""
        self.check_finite()
        spectra = real_spectra(self.taps(), grid)
        rest = (1 - power_of(spectra)).sqrt()
        atoms = self.B**0.5 * torch.cat([spectra, rest[None].to(spectra.dtype)])
        return Spectra(atoms[1:], atoms[0], (*names_of(self.n_filters), "complement"), "real")


class Paraunitary(Parametrisation):
    """Products of unitary factors with one delay each; see the module text.

    Parameters
    ----------
    n_filters, support, d, A, B
        As in `Parametrisation`: ``m = n_filters + 1`` and ``support - 1`` factors per axis.
    generator : torch.Generator
    """

    def __init__(self, n_filters: int, support: int, d: int, A: float, B: float, generator: torch.Generator) -> None:
        super().__init__(n_filters, support, d, A, B)
        shape = (d * (support - 1), n_filters + 1)
        self.delayed = nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        # At frequency 0 every factor is the identity: u is what the atoms see of the mean, at the start the output all.
        self.mean = nn.Parameter(torch.eye(n_filters + 1, dtype=torch.float64)[0])

    @property
    def guarantee(self) -> Guarantee:
        """A = B at all frequencies, for all weights but zero vectors."""
        this = f"A = B = {self.B:.6g} for all weights; a zero vector among them is refused"
        return Guarantee(self.B, self.B, this, f"the same, with the same {self.support} taps per axis of every atom")

    def taps(self) -> Tensor:
        """Taps of the output atom and of the filters, ``(1 + n_filters, k, ..., k)``."""
        taps = self.B**0.5 * unit(self.mean.double(), "the vector `mean`").reshape(-1, *(1,) * self.d)
        for i, v in enumerate(unit(self.delayed.double(), "a row of `delayed`")):
            along = torch.tensordot(v, taps, dims=1)
            part = v.reshape(-1, *(1,) * self.d) * along
            axis = 1 + i % self.d
            shape = list(taps.shape)
            shape[axis] = 1
            zero = taps.new_zeros(shape)
            taps = torch.cat([taps - part, zero], axis) + torch.cat([zero, part], axis)
        return taps

    def output_taps(self) -> Tensor:
        """Taps of the output atom."""
        return self.taps()[0]

    def forward(self, grid: Grid, sided: str) -> Spectra:
        """Atoms on `grid`."""
        self.check_finite()
        spectra = real_spectra(self.taps(), grid)
        return Spectra(spectra[1:], spectra[0], names_of(self.n_filters), "real")
