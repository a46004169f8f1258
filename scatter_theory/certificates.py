"""What is proven about a network from its banks and constants alone: admissibility and the certificate c_0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from scatter_theory import theory
from scatter_theory.constants import Constant
from scatter_theory.frames import Bank
from scatter_theory.grid import Grid
from scatter_theory.layers import Layer
from scatter_theory.poolings import Sampling


@dataclass(frozen=True, eq=False)
class Stage:
    """One layer on its grid: the bank, the constant ``L R``, and whether the maps that enter are real."""

    bank: Bank
    constant: Constant
    real: bool

    @property
    def powers(self) -> tuple[Tensor, Tensor]:
        r""":math:`|\hat\chi|^2` and :math:`\sum_\lambda |\hat g_\lambda|^2`, even parts for real maps."""
        return self.bank.output_power(real=self.real), self.bank.propagating_sum(real=self.real)


def layer_constant(layer: Layer, grid: Grid, sampling: Sampling) -> Constant:
    """``L R`` of a layer, sharp values; merely declared if one of the two is."""
    L, R = layer.nonlinearity.lipschitz, layer.pooling.lipschitz(grid, sampling)
    kind = L.kind if not L.proves else R.kind
    return Constant(L.value * R.value, f"L = {L.value:.6g} ({L.source}), R = {R.value:.6g} ({R.source})", kind)


def admissibility(stages: Sequence[Stage], final_power: Tensor, *, refined: bool) -> tuple[Constant, ...]:
    """Left-hand sides of the admissibility condition of every layer and of the final output atom."""
    values = []
    for n, stage in enumerate(stages, 1):
        low, high = stage.powers
        if refined:
            value = theory.refined_admissibility(low, high, stage.constant.value)
        else:
            value = theory.admissibility(float((low + high).max()), stage.constant.value)
        name = "refined admissibility" if refined else "max{B, B L^2 R^2}"
        kind = "grid" if stage.constant.proves else stage.constant.kind
        values.append(Constant(float(value), f"{name} over the DFT frequencies of layer {n}", kind))
    final = Constant(float(final_power.max()), "maximum of |chi_N|^2 over the DFT frequencies", "grid")
    return (*values, final)


def certified_lipschitz(stages: Sequence[Stage], final_power: Tensor) -> Constant:
    """Lipschitz constant ``c_0^(1/2)`` of the whole map; see `theory.certified_factors`."""
    layers = [(*stage.powers, stage.constant.value, 1.0) for stage in stages]
    c = float(theory.certified_factors(layers, final_power)[0])
    unproven = [stage.constant.kind for stage in stages if not stage.constant.proves]
    return Constant(math.sqrt(c), "backward recursion over the layers (c_0)", unproven[0] if unproven else "grid")
