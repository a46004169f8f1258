r"""The deformation :math:`F_{\tau,\omega} f(x) = e^{2\pi i\omega(x)} f(x - \tau(x))`, evaluated exactly.

A signal that is known everywhere (an object with ``at``) is evaluated at the displaced points. An array stands for its
trigonometric interpolant, which is a finite sum. No interpolation kernel, no padding rule: the only error is rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from scatter_theory.deform._fields import Field
from scatter_theory.grid import Grid
from scatter_theory.trigonometric import Method, Polynomial


class Everywhere(Protocol):
    """What can be evaluated at any point of a torus, in batches."""

    batch: tuple[int, ...]
    device: torch.device

    def at(self, points: Tensor, *, each: bool = False) -> Tensor:
        """Values at points ``(d, *shape)``, or ``(*batch, d, *shape)`` with ``each=True``."""

    def on(self, grid: Grid) -> Tensor:
        """Values at the samples of a grid."""


@dataclass(frozen=True, eq=False)
class Deformation:
    r"""A displacement :math:`\tau` and a phase :math:`\omega`, either of which may be missing.

    Parameters
    ----------
    tau : Field, optional
        Displacement, in the unit of the grid.
    omega : Polynomial, optional
        Phase in cycles, a real trigonometric polynomial with the batch of `tau`.

    Raises
    ------
    ValueError
        If both are missing, if `omega` is not real, or if their batches differ.
    """

    tau: Field | None = None
    omega: Polynomial | None = None

    def __post_init__(self) -> None:
        if self.tau is None and self.omega is None:
            raise ValueError("`Deformation`: give `tau=`, `omega=` or both.")
        if self.omega is not None and not self.omega.real:
            raise ValueError("`Deformation(omega=...)`: the phase must be real-valued.")
        if self.tau is not None and self.omega is not None and self.tau.batch != self.omega.batch:
            raise ValueError(
                f"`Deformation`: `tau` has batch {self.tau.batch}, `omega` has {self.omega.batch}; give them the same."
            )


def apply(
    f: Tensor | np.ndarray | Everywhere,
    grid: Grid,
    deformation: Field | Deformation,
    *,
    method: Method = "auto",
) -> Tensor:
    r"""Samples of :math:`e^{2\pi i\omega(x)} f(x - \tau(x))` on a grid.

    Parameters
    ----------
    f : (*batch, *grid.shape) tensor or array, or signal
        An array stands for its trigonometric interpolant; see `Polynomial.interpolating` for the Nyquist bins of even
        axes, which must be empty if deformations are to compose. A signal is evaluated by its own formula.
    grid : Grid
        Where the result is sampled, and what an array is sampled on.
    deformation : Field or Deformation
        One for all signals (batch ``()``), or one for each (the batch of `f`).
    method : {"auto", "direct", "finufft"}
        How trigonometric sums are evaluated: ``"direct"`` has all derivatives, ``"finufft"`` (chosen for many points on
        the CPU) only first ones, and refuses second ones.

    Returns
    -------
    (*batch, *grid.shape) tensor
        Real for real signals without phase. Differentiable in f and in the field.

    Raises
    ------
    TypeError
        For arrays that are neither float64 nor complex128.
    ValueError
        For shapes, extents or batches that do not fit, and for NaN or infinite entries (looked for on the CPU only).

    Examples
    --------
    >>> import torch, scatter_theory as st
    >>> grid = st.Grid.line(5)
    >>> shift = st.deform.translation([2.0], grid.extent)
    >>> st.deform.apply(torch.arange(5, dtype=torch.float64), grid, shift).round(decimals=6).tolist()
    [3.0, 4.0, 0.0, 1.0, 2.0]
    """
    warp = deformation if isinstance(deformation, Deformation) else Deformation(deformation)
    values = displaced(everywhere(f, grid, "apply"), grid, warp.tau, method=method)
    return values if warp.omega is None else modulated(values, grid, warp.omega)


def everywhere(f: Any, grid: Grid, owner: str) -> Everywhere:
    """The signal itself, its polynomial if it has one, or the trigonometric interpolant of a checked array."""
    if hasattr(f, "at"):
        return getattr(f, "polynomial", f)
    f = torch.from_numpy(f) if isinstance(f, np.ndarray) else f
    if not isinstance(f, Tensor):
        raise TypeError(f"`{owner}(f=...)`: got {type(f).__name__}, expected a tensor, an array or a signal.")
    if f.dtype not in (torch.float64, torch.complex128):
        raise TypeError(f"`{owner}(f=...)`: got {f.dtype}, expected float64 or complex128; convert it first.")
    if f.ndim < grid.ndim or tuple(f.shape[f.ndim - grid.ndim :]) != grid.shape:
        raise ValueError(f"`{owner}(f=...)`: got shape {tuple(f.shape)}, expected (*batch, *{grid.shape}).")
    if f.device.type == "cpu" and not bool(torch.isfinite(f.detach()).all()):
        raise ValueError(f"`{owner}(f=...)`: NaN or infinite entries; all entries must be finite.")
    return Polynomial.interpolating(f, grid)


def displaced(f: Everywhere, grid: Grid, tau: Field | None, *, method: Method = "auto") -> Tensor:
    """Samples of ``f(x - tau(x))``, ``(*batch, *grid.shape)``.

    Parameters
    ----------
    f : Polynomial or Signal
        What is displaced; it can be evaluated anywhere.
    grid : Grid
        Where the result is sampled.
    tau : Field or None
        Displacement, in the unit of the grid: one for all signals, or one for each. None: none.
    method : {"auto", "direct", "finufft"}
        How the trigonometric sum of a polynomial is evaluated.

    Returns
    -------
    (*batch, *grid.shape) tensor
        Dtype and device of `f`.

    Raises
    ------
    ValueError
        If the field has another period than the grid, or a batch that is not that of `f`.
    """
    if tau is None:
        return f.on(grid)
    grid.check_extent(tau.extent, "apply", "field")
    points = grid.points(device=tau.device)
    each = tau.batch != ()
    if each and tau.batch != tuple(f.batch):
        raise ValueError(
            f"`apply(deformation=...)`: a batch {tau.batch} of fields for a batch {tuple(f.batch)} of signals; give "
            "one field for all, or one for each."
        )
    moved = (points - tau.at(points)).to(f.coefficients.device if isinstance(f, Polynomial) else f.device)
    return f.at(moved, each=each, method=method) if isinstance(f, Polynomial) else f.at(moved, each=each)


def modulated(values: Tensor, grid: Grid, omega: Polynomial) -> Tensor:
    r"""Values times :math:`e^{2\pi i\omega(x)}`.

    Parameters
    ----------
    values : (*batch, *grid.shape) tensor
        Real or complex.
    grid : Grid
        Grid of the values.
    omega : Polynomial
        Phase in cycles, real, with the period of the grid.

    Returns
    -------
    (*batch, *grid.shape) tensor
        Complex.
    """
    phase = 2 * torch.pi * omega.on(grid).to(values.device)
    return values * torch.polar(torch.ones_like(phase), phase)
