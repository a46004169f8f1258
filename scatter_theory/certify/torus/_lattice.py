r"""The network of the torus that belongs to a network on a grid: its filters at all frequencies.

A grid knows its filters at finitely many frequencies. Beyond the highest one every filter is continued by the value
that it has there, axis by axis:

.. math:: \hat a(k) := \hat a\big(\max(-M, \min(k, M))\big), \qquad M = \lfloor (N-1)/2 \rfloor .

Sums of squares are continued alike, so that a Parseval bank stays one and Bessel bounds do not change. The value at the
Nyquist frequency of an even axis, which belongs to two frequencies at once, plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scatter_theory.frames import Bank, Frame, Wavelets
from scatter_theory.grid import Grid
from scatter_theory.layers import Layer
from scatter_theory.network import FeatureExtractor


@dataclass(frozen=True, eq=False)
class Lattice:
    """Filters at the frequencies ``|k_i| <= K_i``, in ascending order along every axis.

    Parameters
    ----------
    output : (*box) tensor
        The output atom.
    atoms : (n_atoms, *box) tensor
        The propagating atoms; those of a half bank together with their conjugate partners.
    """

    output: Tensor
    atoms: Tensor

    @property
    def all(self) -> Tensor:
        """The output atom, then the propagating ones."""
        return torch.cat([self.output[None].to(self.atoms.dtype), self.atoms])


def lattice(bank: Bank, degrees: Sequence[int]) -> Lattice:
    r"""The filters of a bank at all frequencies up to `degrees`, as one bank for real and complex maps.

    A half bank leaves out the conjugate partner :math:`\overline{\hat g(-k)}` of an atom and weights the atom by
    :math:`\sqrt 2`; both are listed here, without the weight. For real maps the sums of squares are the same.
    """
    spectra = _continued(bank.spectra, bank.grid, degrees)
    if bank.kind == "half":
        weights = torch.tensor([a.weight for a in bank.atoms], dtype=torch.float64, device=spectra.device)
        spectra = spectra / weights.reshape(-1, *(1,) * bank.grid.ndim)
        single = spectra[weights == 1]
        pairs = spectra[weights != 1]
        axes = tuple(range(1, pairs.ndim))
        spectra = torch.cat([single, pairs, pairs.flip(axes).conj()])
    return Lattice(_continued(bank.output, bank.grid, degrees), spectra)


def constant_from(bank: Bank) -> tuple[int, ...]:
    """Per axis the frequency from which on all filters of the bank are constant, on both sides."""
    found = []
    for axis, n in enumerate(bank.grid.shape):
        M = (n - 1) // 2
        values = torch.cat([bank.output[None].to(bank.spectra.dtype), bank.spectra]).detach().movedim(axis + 1, 0)
        k = torch.arange(M + 1, device=values.device)
        up, down = values[k], values[-k]
        far = ((up - up[M]).abs().flatten(1).amax(1) + (down - down[M]).abs().flatten(1).amax(1)) > _SAME
        moving = torch.nonzero(far).flatten()
        found.append(int(moving[-1]) + 1 if len(moving) else 0)
    return tuple(found)


#: Filters that differ by less are the same; the difference is part of the rounding that the bounds allow for.
_SAME = 1e-13


@dataclass(frozen=True, repr=False, eq=False)
class Continued(Frame):
    """The filters of a bank on other grids of the same torus, continued beyond the highest frequency of its own."""

    bank: Bank

    @classmethod
    def example(cls, d: int) -> Continued:
        """Wavelets on eight samples per axis; see `Frame.example`."""
        return cls(Wavelets(J=1).on(Grid.of((8,) * d)))

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: str | None = None, real: bool = False) -> Bank:
        """The filters on `grid`; see `Frame.on`. Only `grid` plays a part."""
        if grid.ndim != self.bank.grid.ndim or not all(
            math.isclose(a, b, rel_tol=1e-9) for a, b in zip(grid.extent, self.bank.grid.extent, strict=True)
        ):
            raise ValueError(
                f"`Continued.on(grid=...)`: got periods {grid.extent}, the filters have {self.bank.grid.extent}."
            )
        degrees = tuple(n // 2 for n in grid.shape)
        values = [_continued(v, self.bank.grid, degrees) for v in (self.bank.spectra, self.bank.output)]
        places = [torch.arange(n, device=self.bank.output.device) for n in grid.shape]
        # Frequency k of the grid stands at place K + k; the Nyquist frequency is read as -N/2.
        for axis, (n, K) in enumerate(zip(grid.shape, degrees, strict=True)):
            k = torch.where(places[axis] < (n + 1) // 2, places[axis], places[axis] - n)
            values = [v.index_select(v.ndim - grid.ndim + axis, K + k) for v in values]
        return replace(self.bank, grid=grid, spectra=values[0], output=values[1])

    def __repr__(self) -> str:
        return f"Continued({self.bank.description})"


def refined(phi: FeatureExtractor, q: int) -> FeatureExtractor:
    """The network of the torus on a grid with q times as many samples per axis, and one more to make them odd.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    q : int
        How many times finer, at least 1.

    Returns
    -------
    FeatureExtractor
        The same network of the torus, sampled more finely.
    """
    shape = tuple(n if q == 1 else q * n + (q * n + 1) % 2 for n in phi.grid.shape)
    grid = Grid(shape, tuple(L / n for L, n in zip(phi.grid.extent, shape, strict=True)), phi.grid.unit)
    frames = [Continued(bank) for bank in phi.banks]
    layers = [
        Layer(frame, layer.nonlinearity, layer.pooling) for frame, layer in zip(frames[:-1], phi.layers, strict=True)
    ]
    return phi.rebuilt(layers=layers, grid=grid, final=frames[-1], reference=phi.reference)


def _continued(values: Tensor, grid: Grid, degrees: Sequence[int]) -> Tensor:
    """Values ``(..., *shape)`` in ``fftfreq`` order at the frequencies ``|k_i| <= K_i``, ascending."""
    for axis, (n, K) in zip(grid.axes, zip(grid.shape, degrees, strict=True), strict=True):
        M = (n - 1) // 2
        k = torch.arange(-K, K + 1, device=values.device).clamp(-M, M) % n
        values = values.index_select(values.ndim + axis, k)
    return values.detach()
