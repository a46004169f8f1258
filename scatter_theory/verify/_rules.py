r"""What a class of signals says about its deformations, on the grid on which they are measured.

A rule knows the unit in which distances are reported, a plain form of its bound for the search, and the sharp form by
which a witness is judged. All bounds hold in the norm of the grid (``scatter_theory.theory._deformation``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.grid import Grid
from scatter_theory.results import Hypothesis
from scatter_theory.signals import Signal


@dataclass(frozen=True)
class Sizes:
    r"""Certified sizes of one deformation.

    Parameters
    ----------
    t : float
        :math:`\sup|\tau|`.
    D : float
        d times the largest entry of the Jacobian; infinite where it is not known.
    omega : float
        :math:`\sup|\omega|`.
    """

    t: float
    D: float
    omega: float = 0.0


class Rule(ABC):
    """The deformation bound of one class of signals."""

    claim: str
    #: Whether the bound needs D <= 1/2.
    needs_jacobian: bool
    #: Power of sup|tau| with which the bound falls.
    exponent: float
    #: What distances are divided by, in words; empty where they are absolute.
    unit_name: str

    @abstractmethod
    def unit(self, f: Signal) -> Tensor:
        """What distances are divided by, ``(n,)``."""

    @abstractmethod
    def reference(self, f: Signal, grid: Grid, t: float | Tensor) -> Tensor:
        """Bound for translations by t, plain form, times the unit; ``(n,)``, differentiable in f."""

    @abstractmethod
    def bound(self, f: Signal, grid: Grid, sizes: Sizes) -> float:
        """The bound of one signal (batch ``(1,)``), divided by its unit."""

    @abstractmethod
    def continuum(self, f: Signal, grid: Grid, sizes: Sizes) -> float:
        r"""The bound in the :math:`L^2` norm over the torus, divided by the unit."""

    @abstractmethod
    def cap(self, f: Signal, grid: Grid, sizes: Sizes) -> float:
        """A limit that no deformation of these sizes can exceed anyway, divided by the unit."""

    @abstractmethod
    def constants(self, f: Signal) -> dict[str, Constant]:
        """Constants of the bound with their origin, for one signal."""

    def hypotheses(self, worst_D: float) -> list[Hypothesis]:
        """Conditions on signals and displacements."""
        if not self.needs_jacobian:
            return []
        text = "the Jacobian of every displacement is small: d sup max |d_l tau_k| <= 1/2"
        return [Hypothesis(text, worst_D <= 0.5 * (1 + 1e-12), worst_D)]
