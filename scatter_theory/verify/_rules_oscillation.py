r"""Deformation bound of a given signal that looks at the signal itself: its oscillation, where that is smaller.

For every measurable :math:`\tau` with :math:`\sup|\tau| \le t`, in the norm of the samples,
:math:`\|F_{\tau,\omega}f - f\| \le \|\mathrm{osc}_tf\| + 2\pi\sup|\omega|\,\|f\|`, because a phase of modulus 1
does not change the first distance. The gradient bound holds without a condition on the Jacobian, and in its sharper
form where :math:`D \le 1/2`; the least of the three is taken, displacement by displacement.
"""

from __future__ import annotations

from scatter_theory import theory
from scatter_theory.certify import oscillation
from scatter_theory.grid import Grid
from scatter_theory.signals import BandLimitedSignal
from scatter_theory.verify._rules import Sizes
from scatter_theory.verify._rules_polynomial import GradientRule

#: Relative width of the enclosure of the oscillation.
WIDTH = 0.01


class OscillationRule(GradientRule):
    """Given polynomials: the least of their gradient bounds and their certified oscillation."""

    claim = "deformation_oscillation"

    def __init__(self) -> None:
        super().__init__("unconditional")
        self._with_jacobian = GradientRule("theorem")

    def bound(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        value = super().bound(f, grid, sizes)
        if sizes.D <= 0.5:
            value = min(value, self._with_jacobian.bound(f, grid, sizes))
        moved = oscillation(f, grid, sizes.t, tolerance=WIDTH).upper / float(f.norm().max())
        return min(value, moved + float(theory.modulation_bound(sizes.omega)))

    def continuum(self, f: BandLimitedSignal, grid: Grid, sizes: Sizes) -> float:
        rules = [super().continuum, *([self._with_jacobian.continuum] if sizes.D <= 0.5 else [])]
        return min(rule(f, grid, sizes) for rule in rules)
