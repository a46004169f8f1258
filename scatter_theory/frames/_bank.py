r"""The bank of atoms that a frame has on a grid: spectra, bounds, dual, analysis and synthesis.

The frame operator of a bank is the Fourier multiplier :math:`\sum_\lambda |\hat g_\lambda(\xi_k)|^2`, so that
everything here is exact on the grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.grid import Grid


@dataclass(frozen=True, slots=True)
class Atom:
    """Label of one atom.

    Parameters
    ----------
    label : str
        Name, unique within the bank.
    scale : float
        Octaves below the sampling rate of the reference grid: coarser atoms have larger scales.
    centre : tuple of float
        Centre frequency, cycles per unit, one number per axis.
    orientation : float or None
        Angle of the centre in radians (d = 2), else None.
    real : bool
        Whether the spectrum is Hermitian, so that real maps stay real.
    weight : float
        Factor that stands for the omitted conjugate partner: sqrt(2) in a half bank, else 1.
    """

    label: str
    scale: float
    centre: tuple[float, ...]
    orientation: float | None = None
    real: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class FrameBounds:
    """Frame bounds A <= B, where they are attained (cycles per unit), and how they were computed.

    Parameters
    ----------
    A, B : Constant
        Lower and upper bound, with the way they were computed.
    argmin, argmax : tuple of float or None
        Frequencies at which they are attained, in cycles per unit; None where they are not known.
    """

    A: Constant
    B: Constant
    argmin: tuple[float, ...] | None = None
    argmax: tuple[float, ...] | None = None

    def __iter__(self) -> Iterator[float]:
        return iter((self.A.value, self.B.value))

    @property
    def tight(self) -> bool:
        """Whether A and B agree to 1e-12 relative."""
        return self.B.value - self.A.value <= 1e-12 * self.B.value


@dataclass(frozen=True, eq=False)
class Bank:
    r"""The atoms of a frame that live on one grid.

    Parameters
    ----------
    grid : Grid
        The layer's grid; frequencies in cycles per unit.
    atoms : tuple of Atom
        Labels of the propagating atoms.
    spectra : (n_atoms, *grid.shape) tensor
        :math:`\hat g_\lambda` at the DFT frequencies, real or complex.
    output : (*grid.shape) tensor
        :math:`\hat\chi` at the DFT frequencies.
    kind : str
        ``"full"`` (closed under conjugation, or without pairing), ``"half"`` (one of each conjugate pair, weighted
        by sqrt(2): for real maps only), ``"real"`` (every atom Hermitian).
    description : str
        What tables and errors call the bank.

    Raises
    ------
    ValueError
        If the shape of `spectra` or `output` does not fit the atoms and the grid.
    """

    grid: Grid
    atoms: tuple[Atom, ...]
    spectra: Tensor
    output: Tensor
    kind: Literal["full", "half", "real"]
    description: str = ""

    def __post_init__(self) -> None:
        expected = (len(self.atoms), *self.grid.shape)
        if tuple(self.spectra.shape) != expected:
            raise ValueError(f"`Bank(spectra=...)`: got shape {tuple(self.spectra.shape)}, expected {expected}.")
        if tuple(self.output.shape) != self.grid.shape:
            raise ValueError(f"`Bank(output=...)`: got shape {tuple(self.output.shape)}, expected {self.grid.shape}.")

    def __len__(self) -> int:
        return len(self.atoms)

    def __getitem__(self, index: int) -> Tensor:
        return self.spectra[index]

    def to(self, *args: Any, **kwargs: Any) -> Bank:
        """Bank with its tensors moved or cast as by ``torch.Tensor.to``; complex spectra stay complex."""
        output = _cast(self.output, *args, **kwargs)
        return replace(self, spectra=_cast(self.spectra, *args, **kwargs), output=output)

    def propagating_sum(self, *, real: bool = False) -> Tensor:
        r""":math:`G(\xi) = \sum_\lambda |\hat g_\lambda(\xi)|^2` of the propagating atoms, ``grid.shape``, float64."""
        total = torch.zeros(self.grid.shape, dtype=torch.float64, device=self.output.device)
        for spectrum in self.spectra:
            total = total + _power(spectrum)
        return self._even(total) if real else total

    def output_power(self, *, real: bool = False) -> Tensor:
        r""":math:`|\hat\chi(\xi)|^2`, ``grid.shape``, float64."""
        power = _power(self.output)
        return self._even(power) if real else power

    def littlewood_paley(self, *, real: bool = False) -> Tensor:
        r"""Littlewood-Paley sum :math:`|\hat\chi|^2 + \sum_\lambda |\hat g_\lambda|^2`, ``grid.shape``, float64.

        With ``real=True`` its even part :math:`(p(\xi) + p(-\xi))/2`, which decides for real maps.
        """
        return self.output_power(real=real) + self.propagating_sum(real=real)

    def _even(self, power: Tensor) -> Tensor:
        return 0.5 * (power + self.grid.mirror(power))

    def bounds(self, *, real: bool | None = None) -> FrameBounds:
        r"""Exact frame bounds on this grid: minimum and maximum of the Littlewood-Paley sum over the DFT frequencies.

        Parameters
        ----------
        real : bool, optional
            True: bounds for real maps; False: for complex maps. Default: True for a half bank, else False.
        """
        real = self.kind == "half" if real is None else real
        total = self.littlewood_paley(real=real).detach().flatten()
        xi = self.grid.frequencies(device=total.device).reshape(self.grid.ndim, -1)
        low, high = int(total.argmin()), int(total.argmax())
        source = f"{'even part of the ' if real else ''}Littlewood-Paley sum over {self.grid.size} DFT frequencies"
        return FrameBounds(
            A=Constant(float(total[low]), f"minimum of the {source}", "grid"),
            B=Constant(float(total[high]), f"maximum of the {source}", "grid"),
            argmin=tuple(xi[:, low].tolist()),
            argmax=tuple(xi[:, high].tolist()),
        )

    def decay_constant(self) -> Constant:
        r""":math:`K = \max_k |\hat\chi(\xi_k)| |\xi_k|` over the DFT frequencies, in cycles per unit.

        Valid for translations by whole samples on this grid. For all shifts use `Frame.decay_constant`.
        """
        radius = torch.linalg.vector_norm(self.grid.frequencies(device=self.output.device), dim=0)
        value = float((self.output.detach().abs().double() * radius).max())
        source = f"maximum over {self.grid.size} DFT frequencies"
        return Constant(value, source, "grid", unit=f"cycles/{self.grid.unit}")

    def dual(self) -> Bank:
        r"""Canonical dual bank :math:`\hat g / \sum |\hat g|^2` (even part of the sum for a half bank).

        Raises
        ------
        ValueError
            If the lower frame bound is zero: the family is not a frame on this grid.
        """
        return self.divided(self._positive_sum("dual"))

    def tightened(self) -> Bank:
        r"""Canonical tight bank :math:`\hat g / (\sum |\hat g|^2)^{1/2}`: A = B = 1.

        Raises
        ------
        ValueError
            If the lower frame bound is zero.
        """
        return self.divided(self._positive_sum("tightened").sqrt())

    def complemented(self) -> Bank:
        r"""Bank with one more propagating atom :math:`(B - \sum |\hat g|^2)^{1/2}`: A = B, the others untouched."""
        total = self.littlewood_paley(real=True if self.kind == "half" else False)
        rest = self._even((total.max() - total).clamp_min(0.0)) if self.kind != "full" else total.max() - total
        # Where nothing is missing the root has no derivative: the gradient there is zero, not NaN.
        missing = rest > 0
        rest = torch.where(missing, torch.where(missing, rest, 1.0).sqrt(), 0.0).to(self.spectra.dtype)
        atom = Atom("complement", 0.0, (0.0,) * self.grid.ndim, None, real=self.kind != "full")
        return replace(self, atoms=(*self.atoms, atom), spectra=torch.cat([self.spectra, rest[None]]))

    def scaled(self, factor: float) -> Bank:
        """Bank with every atom, the output atom too, multiplied by `factor`.

        Raises ValueError unless the factor is finite and positive.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"`scaled(factor=...)`: got {factor}, expected a finite positive number.")
        return replace(self, spectra=self.spectra * factor, output=self.output * factor)

    def _positive_sum(self, caller: str) -> Tensor:
        total = self.littlewood_paley(real=self.kind == "half")
        low, high = float(total.detach().min()), float(total.detach().max())
        if not low > 1e-14 * high:
            raise ValueError(
                f"`Bank.{caller}()`: the lower frame bound on {self.grid} is A = {low:.3g} (B = {high:.3g}), so the "
                "atoms do not cover all frequencies. Use `complemented()`, or a frame with more scales."
            )
        return total

    def divided(self, by: Tensor) -> Bank:
        """Bank with every atom, the output atom too, divided by positive values: one number or ``(*grid.shape)``."""
        return replace(
            self, spectra=(self.spectra / by).to(self.spectra.dtype), output=(self.output / by).to(self.output.dtype)
        )

    def analyse(self, f: Tensor) -> Tensor:
        """All ``f * g`` with the output atom first: ``(*batch, 1 + n_atoms, *shape)``, complex."""
        spectrum = self.grid.fft(f).unsqueeze(-1 - self.grid.ndim)
        return self.grid.ifft(spectrum * torch.cat([self.output[None].to(self.spectra.dtype), self.spectra]))

    def synthesise(self, coefficients: Tensor) -> Tensor:
        r"""Adjoint of `analyse`: :math:`\sum_\lambda c_\lambda * \overline{g_\lambda(-\cdot)}`; ``(*batch, *shape)``.

        ``bank.dual().synthesise(bank.analyse(f))`` returns f. For a half bank f must be real, and the real part is
        returned.
        """
        atoms = torch.cat([self.output[None].to(self.spectra.dtype), self.spectra])
        spectrum = (self.grid.fft(coefficients) * atoms.conj()).sum(-1 - self.grid.ndim)
        f = self.grid.ifft(spectrum)
        return f.real if self.kind == "half" else f

    def redundancy(self) -> float:
        """Coefficients per sample: number of atoms, the output atom included."""
        return float(len(self.atoms) + 1)

    def supports(self) -> Tensor:
        """Number of DFT frequencies where each propagating atom is non-zero, ``(n_atoms,)``, int64."""
        return (self.spectra != 0).flatten(1).sum(1)

    def table(self) -> list[dict[str, Any]]:
        """One row per atom: label, scale, centre, orientation, share of non-zero frequencies, peak."""
        rows = []
        for atom, spectrum, support in zip(self.atoms, self.spectra, self.supports().tolist(), strict=True):
            rows.append(
                {
                    "label": atom.label,
                    "scale": atom.scale,
                    "centre": atom.centre,
                    "orientation": atom.orientation,
                    "support": support / self.grid.size,
                    "peak": float(spectrum.detach().abs().max()),
                }
            )
        return rows

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the frequency tiling; returns the display object."""
        from scatter_theory import plot

        return plot.TilingDisplay.from_bank(self).plot(ax=ax, **style)

    def __repr__(self) -> str:
        A, B = self.bounds()
        return (
            f"Bank({self.description}: {len(self.atoms)} atoms + output, {self.kind}, shape {self.grid.shape}, "
            f"A = {A:.6g}, B = {B:.6g})"
        )

    def _repr_html_(self) -> str:
        from scatter_theory import render

        return render.table_html(self.table(), caption=repr(self))


def _power(spectrum: Tensor) -> Tensor:
    if spectrum.is_complex():
        return spectrum.real.double() ** 2 + spectrum.imag.double() ** 2
    return spectrum.double() ** 2


def _cast(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if tensor.is_complex():
        to_complex = {torch.float32: torch.complex64, torch.float64: torch.complex128}
        args = tuple(to_complex.get(a, a) if isinstance(a, torch.dtype) else a for a in args)
        if "dtype" in kwargs:
            kwargs = {**kwargs, "dtype": to_complex.get(kwargs["dtype"], kwargs["dtype"])}
    return tensor.to(*args, **kwargs)
