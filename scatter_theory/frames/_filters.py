"""Explicit or learned filters, given as taps or as spectra on the layer's own samples."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Atom, Bank, FrameBounds
from scatter_theory.frames._base import Frame, Sided, check_dimension
from scatter_theory.frames._taps import roots_of_unity
from scatter_theory.grid import Grid

#: Largest deviation from Hermitian symmetry, relative to the largest value, of spectra that count as real.
HERMITIAN = 1e-12


@dataclass(frozen=True, repr=False, eq=False)
class Filters(Frame):
    r"""Filters of the user's own, real or complex, in one to three dimensions; learned ones keep their gradients.

    ``"taps"``: :math:`\hat g_\lambda(\xi) = \sum_m g_\lambda[m] e^{-2\pi i \langle m, \xi \rangle}` with :math:`\xi` in
    cycles per sample of the layer's grid, the first tap at the origin; taps longer than the grid wrap.
    ``"spectra"``: the values at the DFT frequencies of one grid, in ``fftfreq`` order.

    The filters belong to the samples: on a grid with another spacing they keep their taps and change their physical
    frequencies. If a tensor requires grad, the bank's spectra carry the gradient.

    Parameters
    ----------
    tensor : (n_atoms, k1, ..., kd) tensor or array
        Propagating filters: taps, or spectra of the grid's shape. float32, float64 or complex.
    output : (k1, ..., kd) tensor or array
        Output filter, of the same kind; taps may have another size than those of the propagating filters.
    kind : {"taps", "spectra"}

    Raises
    ------
    ValueError
        For a wrong number of axes, an empty tensor, values that are not finite, or a grid that does not fit.
    TypeError
        For values that are not floating-point numbers.

    Examples
    --------
    >>> import torch
    >>> from scatter_theory import Grid
    >>> haar = Filters(torch.tensor([[0.5, -0.5]]), output=torch.tensor([0.5, 0.5]))
    >>> tuple(round(bound, 12) for bound in haar.on(Grid.line(9)).bounds())
    (1.0, 1.0)
    """

    tensor: Tensor
    output: Tensor
    kind: Literal["taps", "spectra"] = "taps"

    def __post_init__(self) -> None:
        if self.kind not in ("taps", "spectra"):
            raise ValueError(f"`Filters(kind=...)`: got {self.kind!r}, expected 'taps' or 'spectra'.")
        for name in ("tensor", "output"):
            object.__setattr__(self, name, _checked(name, getattr(self, name)))
        if not 2 <= self.tensor.ndim <= 4:
            raise ValueError(
                f"`Filters(tensor=...)`: got shape {tuple(self.tensor.shape)}, expected (n_atoms, k1, ..., kd) with "
                "d = 1, 2 or 3. A single filter needs a leading axis of length 1."
            )
        if self.output.ndim != self.tensor.ndim - 1:
            raise ValueError(
                f"`Filters(output=...)`: got shape {tuple(self.output.shape)}, expected {self.tensor.ndim - 1} axes as "
                f"in one filter of `tensor`, whose shape is {tuple(self.tensor.shape)}."
            )
        if self.kind == "spectra" and self.output.shape != self.tensor.shape[1:]:
            raise ValueError(
                f"`Filters(output=...)`: got spectrum of shape {tuple(self.output.shape)}, expected the shape "
                f"{tuple(self.tensor.shape[1:])} of the other spectra."
            )

    @property
    def dims(self) -> tuple[int, ...]:
        """The number of axes of the filters."""
        return (self.output.ndim,)

    @property
    def sided(self) -> str:
        """``"real"`` if all filters are real, else ``"both"``."""
        return "real" if self._real() else "both"

    @classmethod
    def example(cls, d: int) -> Filters:
        """Averages and differences of neighbours along every axis; see `Frame.example`."""
        check_dimension("Filters.example", d, Frame.dims)
        pair = torch.tensor([[0.5, 0.5], [0.5, -0.5]], dtype=torch.float64)
        kernels = []
        for kind in itertools.product((0, 1), repeat=d):
            factors = (pair[k].reshape([-1 if a == i else 1 for a in range(d)]) for i, k in enumerate(kind))
            kernels.append(math.prod(factors, start=torch.ones((1,) * d, dtype=torch.float64)))
        return cls(torch.stack(kernels[1:]), output=kernels[0])

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """The filters on `grid`; see `Frame.on`. `reference` plays no part.

        Raises ValueError for a grid of another shape than the spectra.
        """
        check_dimension("Filters", grid.ndim, self.dims)
        hermitian = self._real()
        if self.kind == "spectra":
            if tuple(self.output.shape) != grid.shape:
                raise ValueError(
                    f"`Filters.on(grid=...)`: the spectra have shape {tuple(self.output.shape)}, the grid {grid.shape}."
                    " Give spectra for this grid, or use kind='taps', which fits every grid."
                )
            spectra, output = _double(self.tensor), _double(self.output)
        else:
            spectra, output = transform(self.tensor, grid.shape), transform(self.output, grid.shape)
            if hermitian:
                spectra, output = (0.5 * (s + grid.mirror(s).conj()) for s in (spectra, output))
        dtype = torch.promote_types(spectra.dtype, output.dtype)
        spectra, output = spectra.to(dtype), output.to(dtype)
        atoms = tuple(_label(k, s, grid, hermitian) for k, s in enumerate(spectra.detach()))
        return Bank(grid, atoms, spectra, output, "real" if hermitian else "full", repr(self))

    def bounds(self, d: int | None = None) -> FrameBounds:
        """Certified bounds over all frequencies, for taps: of every grid, whatever its length.

        Raises
        ------
        NotImplementedError
            For spectra, which are known on one grid only, or if there are too many taps per axis for an enclosure.
        """
        from scatter_theory.frames._polynomial import filter_bounds

        self._only_taps("bounds", d)
        return filter_bounds(self.tensor.detach(), self.output.detach())

    def decay_constant(self, d: int | None = None) -> Constant:
        """Certified K of the output taps over one period, in cycles per sample of the layer's grid.

        Raises
        ------
        NotImplementedError
            For spectra, which are known on one grid only, or if there are too many taps per axis for an enclosure.
        """
        from scatter_theory.frames._polynomial import filter_decay

        self._only_taps("decay_constant", d)
        return filter_decay(self.output.detach())

    def _only_taps(self, caller: str, d: int | None) -> None:
        if d is not None:
            check_dimension(f"Filters.{caller}", d, self.dims)
        if self.kind == "spectra":
            raise NotImplementedError(
                f"`Filters.{caller}()`: spectra are known at the frequencies of one grid only. Use "
                f"`frame.on(grid).{caller}()`, which is exact on that grid."
            )

    def _real(self) -> bool:
        if self.kind == "taps":
            return not (self.tensor.is_complex() or self.output.is_complex())
        d = self.output.ndim
        both = torch.cat([_double(self.output)[None].to(torch.complex128), _double(self.tensor).to(torch.complex128)])
        mirrored = torch.roll(both.flip(tuple(range(1, d + 1))), (1,) * d, tuple(range(1, d + 1))).conj()
        return bool(((both - mirrored).abs().amax() <= HERMITIAN * both.abs().amax()).detach())

    def __repr__(self) -> str:
        shape, output = tuple(self.tensor.shape), tuple(self.output.shape)
        return f"Filters(tensor of shape {shape}, output of shape {output}, kind={self.kind!r})"


def transform(taps: Tensor, shape: tuple[int, ...]) -> Tensor:
    """DFT of taps ``(..., k1, ..., kd)`` at the frequencies of a grid of any shape, complex128; taps wrap exactly."""
    spectrum = _double(taps).to(torch.complex128)
    for axis, n in zip(range(-len(shape), 0), shape, strict=True):
        k = torch.arange(n, device=taps.device)
        m = torch.arange(taps.shape[axis], device=taps.device)
        kernel = roots_of_unity(n).to(taps.device)[(m[:, None] * k) % n]
        spectrum = torch.movedim(torch.movedim(spectrum, axis, -1) @ kernel, -1, axis)
    return spectrum


def _double(tensor: Tensor) -> Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def _checked(name: str, value: Any) -> Tensor:
    tensor = torch.as_tensor(value)
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise TypeError(
            f"`Filters({name}=...)`: got dtype {tensor.dtype}, expected floating-point or complex values; "
            "convert with `.double()`."
        )
    if tensor.numel() == 0:
        raise ValueError(f"`Filters({name}=...)`: got shape {tuple(tensor.shape)}, which holds no value.")
    bad = torch.nonzero(~torch.isfinite(tensor.detach()))
    if len(bad):
        raise ValueError(f"`Filters({name}=...)`: the value at index {tuple(bad[0].tolist())} is not finite.")
    return tensor


def _label(k: int, spectrum: Tensor, grid: Grid, hermitian: bool) -> Atom:
    """Label with the frequency of largest modulus as centre; of +- pairs the one in the upper half."""
    peak = int(spectrum.abs().flatten().argmax())
    centre = grid.frequencies().reshape(grid.ndim, -1)[:, peak].tolist()
    if hermitian and tuple(centre) < tuple(-c for c in centre):
        centre = [-c for c in centre]
    radius = math.hypot(*(c * h for c, h in zip(centre, grid.spacing, strict=True)))
    angle = math.atan2(centre[1], centre[0]) if grid.ndim == 2 and radius else None
    scale = -math.log2(radius) if radius else math.inf
    return Atom(f"filter {k}", scale, tuple(c + 0.0 for c in centre), angle, real=hermitian)
