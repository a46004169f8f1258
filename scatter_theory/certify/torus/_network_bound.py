r"""The deformation bound of a network for one displacement, as a certificate that can be checked again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from scatter_theory.certify._flags import pointwise, small_jacobian, vanishing_layer
from scatter_theory.certify.torus._descent import descended
from scatter_theory.certify.torus._system import System, Weights
from scatter_theory.deform import Field, field_from_config
from scatter_theory.network import FeatureExtractor


@dataclass(frozen=True, eq=False)
class NetworkBound:
    r"""A bound :math:`|||\Phi(F_\tau f) - \Phi(f)||| \le` `value` :math:`\|f\|` for one displacement.

    Parameters
    ----------
    field : dict
        The displacement, as `Field.to_config` writes it.
    degrees : tuple of int
        Frequencies that are kept, per axis.
    radius : float
        Signals have frequencies of at most this Euclidean length, in cycles per unit; infinite for all signals.
    b : tuple of float
        Numbers b_1..b_N.
    weights : tuple of dict or None
        Per layer 1..N the weights of shifts that use non-negative correlations, by place; None where they are not used.
    gains : tuple of float
        The numbers a_1..a_N that follow.
    lost : float
        :math:`\varepsilon`; infinite where it is not known.
    value : float
    """

    field: Mapping[str, Any]
    degrees: tuple[int, ...]
    radius: float
    b: tuple[float, ...]
    weights: tuple[Mapping[int, float] | None, ...]
    gains: tuple[float, ...]
    lost: float
    value: float

    @property
    def certified(self) -> bool:
        """Whether what the matrices leave out is part of the value."""
        return math.isfinite(self.lost)

    def recheck(self, phi: FeatureExtractor) -> bool:
        """Whether the stored numbers prove the stored value for this network; False for others and for broken files."""
        try:
            field = field_from_config(self.field)
            again = _evaluated(System(phi, field, self.degrees), self.b, self.weights, self.radius)
        except (ValueError, TypeError):
            return False
        hypotheses = [pointwise(phi), small_jacobian(field), *(vanishing_layer(phi, n + 1) for n in range(phi.depth))]
        mine, theirs = ((*c.gains, c.lost, c.value) for c in (self, again))
        proven = len(mine) == len(theirs) and all(b <= a * (1 + 1e-9) for a, b in zip(mine, theirs, strict=True))
        return again.certified and proven and all(h.satisfied for h in hypotheses)

    def of(self, phi: FeatureExtractor, coefficients: Tensor) -> list[float]:
        """The bounds for given signals: roots of their quadratic forms, not divided by their norms.

        Parameters
        ----------
        phi : FeatureExtractor
        coefficients : (n, 2 M_1 + 1, ..., 2 M_d + 1) tensor
            Fourier coefficients of the signal, in ascending order along every axis, M at most `degrees`.

        Raises
        ------
        ValueError
            If the signal has higher frequencies.
        """
        system = System(phi, field_from_config(self.field), self.degrees)
        return [system.value_of(self.gains[0], self.b[0], c) for c in coefficients]

    def worst_signal(self, phi: FeatureExtractor) -> Tensor:
        """Coefficients ``(*box)`` of the signal of norm 1 at which the bound is reached: a start for a search."""
        system = System(phi, field_from_config(self.field), self.degrees)
        return system.worst(self.gains[0], self.b[0], self.radius)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings."""
        weights = [None if w is None else {str(k): v for k, v in w.items()} for w in self.weights]
        return {
            "claim": "deformation",
            "field": dict(self.field),
            "degrees": list(self.degrees),
            "radius": self.radius,
            "b": list(self.b),
            "weights": weights,
            "gains": list(self.gains),
            "lost": self.lost,
            "value": self.value,
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> NetworkBound:
        """The certificate that `to_dict` wrote down."""
        weights = tuple(None if w is None else {int(k): float(v) for k, v in w.items()} for w in table["weights"])
        return cls(
            table["field"],
            tuple(int(k) for k in table["degrees"]),
            float(table["radius"]),
            tuple(float(v) for v in table["b"]),
            weights,
            tuple(float(v) for v in table["gains"]),
            float(table["lost"]),
            float(table["value"]),
        )


def network_bound(
    phi: FeatureExtractor, field: Field, radius: float = math.inf, *, positive: bool = True
) -> NetworkBound:
    r"""Bound how far one displacement moves the features of all signals, by the network and without a band limit.

    The network is the one of the torus: filters beyond the highest frequency of the grid keep their last value.

    Parameters
    ----------
    phi : FeatureExtractor
        Layers with pointwise non-linearities and without pooling, or with dilations (`certify.pointwise`).
    field : Field
        One displacement, batch ``()``, with :math:`d\,\|D\tau\|_\infty < 1` (`certify.small_jacobian`).
    radius : float
        Largest length of the frequencies of the signals, in cycles per unit; infinite for all of :math:`L^2`.
    positive : bool
        Whether to use that maps correlate non-negatively with their translates, where they do. It takes seconds instead
        of tenths and gains about a tenth.

    Returns
    -------
    NetworkBound
        The hypotheses are not asked here; `NetworkBound.recheck` and `verify.deformation` ask them.

    Raises
    ------
    ValueError
        For batches of displacements, other periods, or networks with too many frequencies.
    """
    system = System(phi, field)
    found = [_evaluated(system, b, weights, radius) for b, weights in descended(system, radius, positive=positive)]
    return min(found, key=lambda bound: bound.value)


def _evaluated(system: System, b: Sequence[float], weights: Weights, radius: float) -> NetworkBound:
    gains = system.gains(b, weights)
    return NetworkBound(
        field=system.field.to_config(),
        degrees=system.degrees,
        radius=radius,
        b=tuple(b),
        weights=tuple(None if w is None else dict(w) for w in weights),
        gains=tuple(gains),
        lost=system.lost,
        value=system.value(gains[0], b[0], radius),
    )
