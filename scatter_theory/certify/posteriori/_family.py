r"""The worst deformation of a signal in a family of few parameters, enclosed from both sides.

.. math:: \sup_{c} h(c), \qquad h(c) = |||\Phi(F_{\tau_c} f) - \Phi(f)||| .

The lower value is attained by a member. The upper one is the largest of the bounds of boxes that cover the parameters
(`_local`), each from one evaluation at the centre. Boxes are halved, the worst first; every
state of the search is a proof, which the result holds as a tree of divisions. Everything is stated for the network on
its grid and for the interpolant of the signal, and is exact there: no alias term, no class of signals, no Jacobian.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from scatter_theory.certify.posteriori._boxes import Box, read, rows, written
from scatter_theory.certify.posteriori._branching import Progress, close, search
from scatter_theory.certify.posteriori._local import ROUNDING
from scatter_theory.certify.posteriori._preparation import beside, chart_of, prepared
from scatter_theory.deform import Field, Rotations, Scalings, Shears, Translations, field_from_config
from scatter_theory.network import FeatureExtractor

#: Boxes that are rechecked at once.
RECHECKED = 4
#: Families by name, for certificates that are read from a file.
_FAMILIES = {kind.__name__: kind for kind in (Rotations, Scalings, Shears, Translations)}


@dataclass(frozen=True, eq=False)
class FamilyCertificate:
    r"""An enclosure of :math:`\sup |||\Phi(F_\tau f) - \Phi(f)|||` over a family of displacements.

    Parameters
    ----------
    family : Family, or tuple of Field
        Fields stand for their combinations with coefficients in [-1, 1].
    sup_tau : float
        Largest size of a displacement of the family, in the unit of the grid.
    lower, upper : float
        Values of the supremum; the lower one is that of the witness.
    tolerance : float
        Relative distance that was asked for.
    evaluations : int
        Evaluations of the network.
    witness : tuple of float
        Parameters of the worst member found: displacement, angle, logarithm of the factor, shears, or coefficients.
    tree : tuple of int
        The boxes that prove the upper value, unless it is that of `oscillation`.
    norm : float
        :math:`\|f\|`.
    constant : float
        :math:`c_0^{1/2}` of the network.
    proves : bool
        Whether this constant is proven; one that a user declared makes the upper value conditional.
    oscillation, gradient : float
        For comparison, bounds of all displacements of this size that do not look inside the network:
        :math:`c_0^{1/2}\|\mathrm{osc}_t f\|`, certified, and :math:`c_0^{1/2} t\|\nabla f\|`, the first-order value.
    dropped : float
        Share of the energy without the mean that the interpolant of an array leaves out (its Nyquist bins).
    """

    family: Any
    sup_tau: float
    lower: float
    upper: float
    tolerance: float
    evaluations: int
    witness: tuple[float, ...]
    tree: tuple[int, ...]
    norm: float
    constant: float
    proves: bool
    oscillation: float
    gradient: float
    dropped: float

    @property
    def gap(self) -> float:
        """Relative distance of the two values."""
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0

    @property
    def closed(self) -> bool:
        """Whether the search reached the tolerance; if not, the values are as valid, but farther apart."""
        return close(self.lower, self.upper, self.tolerance, ROUNDING * self.constant * self.norm)

    @property
    def relative(self) -> tuple[float, float]:
        r"""The two values over :math:`\|f\|`; NaN for f = 0."""
        return (self.lower / self.norm, self.upper / self.norm) if self.norm > 0 else (math.nan, math.nan)

    def __str__(self) -> str:
        low, high = self.relative
        state = "closed" if self.closed else "not closed: more evaluations would bring the values together"
        if not self.proves:
            state += "; the upper value rests on a declared constant and is not certified"
        over = [v / self.norm if self.norm > 0 else math.nan for v in (self.oscillation, self.gradient)]
        lines = [
            f"Deformations of one signal by {self.family!r}, sup |tau| <= {self.sup_tau:.6g}",
            f"  worst change of the features: [{self.lower:.6g}, {self.upper:.6g}] = [{low:.6g}, {high:.6g}] ||f||",
            f"  gap {self.gap:.2%} after {self.evaluations} evaluations, {state}",
            f"  worst member found: {', '.join(f'{v:.6g}' for v in self.witness)}",
            f"  any displacement of this size: at most {over[0]:.6g} ||f||; to first order t ||grad f||: {over[1]:.6g}",
        ]
        if self.dropped > 0:
            lines.append(f"  left out of the signal: its Nyquist bins, {self.dropped:.2g} of the energy without mean")
        return "\n".join(lines)

    def field(self, phi: FeatureExtractor) -> Field:
        """The displacement of the witness."""
        chart = self._chart(phi)
        return chart.field(torch.tensor(self.witness, dtype=torch.float64))

    def recheck(self, phi: FeatureExtractor, f: Any) -> bool:
        """Whether the witness attains the lower value and the boxes prove the upper one, for this network and signal.

        Every number is computed again; False for another network or signal, and for a certificate that was changed.
        """
        try:
            local, dropped = prepared(phi, f, self.family, self._size)
            root = Box((0.0,) * len(local.chart.half), local.chart.half)
            boxes = read(self.tree, root)
        except (TypeError, ValueError):
            return False
        slack = 2 * local.rounding
        if (
            not local.chart.contains(self.witness)
            or math.isnan(self.upper)
            or self.constant < local.whole * (1 - 1e-12)
        ):
            return False
        if not math.isclose(self.norm, local.norm, rel_tol=1e-9) or self.dropped < dropped * (1 - 1e-9) - 1e-12:
            return False
        height = local.heights(torch.tensor([self.witness], dtype=torch.float64, device=local.phi.device))
        if not float(height[0]) + slack >= self.lower:
            return False
        around = beside(local, f, self.sup_tau)
        # What no displacement of the size can exceed needs no boxes.
        boxes = [] if around[0] <= self.upper else boxes
        for start in range(0, len(boxes), RECHECKED):
            c, r = rows(boxes[start : start + RECHECKED], local.phi.device)
            meets = local.chart.meets(c, r)
            if bool(meets.any()) and not float(local.bounds(c[meets], r[meets]).upper.max()) <= self.upper + slack:
                return False
        sizes = torch.linalg.vector_norm(local.chart.displacements(local.chart.corners()), dim=1)
        if not float(sizes.max()) <= self.sup_tau * (1 + 1e-12):
            return False
        told = (self.oscillation, self.gradient)
        return all(value <= claim * (1 + 1e-9) + slack for value, claim in zip(around, told, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings."""
        table = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "family"}
        if isinstance(self.family, tuple):
            family: Any = [v.to_config() for v in self.family]
        else:
            family = {"name": self.family.name, **asdict(self.family)}
        return {**table, "family": family, "witness": list(self.witness), "tree": list(self.tree)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> FamilyCertificate:
        """The certificate that `to_dict` wrote down."""
        stored = table["family"]
        if isinstance(stored, Mapping):
            arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items() if k != "name"}
            family: Any = _FAMILIES[stored["name"]](**arguments)
        else:
            family = tuple(field_from_config(v) for v in stored)
        witness, tree = tuple(map(float, table["witness"])), tuple(map(int, table["tree"]))
        return cls(**{**table, "family": family, "witness": witness, "tree": tree})

    @property
    def _size(self) -> float | None:
        return self.sup_tau if isinstance(self.family, Translations) else None

    def _chart(self, phi: FeatureExtractor) -> Any:
        return chart_of(self.family, phi.grid, self._size, phi.device)


def certify_deformation(
    phi: FeatureExtractor,
    f: Any,
    family: Any,
    *,
    sup_tau: float | None = None,
    tolerance: float = 0.02,
    max_evaluations: int = 5000,
    progress: Progress = None,
) -> FamilyCertificate:
    r"""Enclose the worst change of the features of one signal over a family of displacements.

    Parameters
    ----------
    phi : FeatureExtractor
        Any network, admissible or not, with the same paths for all signals. Evaluated in float64.
    f : (*grid.shape) tensor or array, or BandLimitedSignal
        One signal. An array stands for its trigonometric interpolant without the Nyquist bins (`signals.Interpolant`).
    family : Translations, Rotations, Scalings, Shears, a Field, or a list of 1 to 3 Fields
        At most 3 parameters. Fields stand for :math:`\sum_i c_i\tau_i` with all :math:`|c_i| \le 1`: scale them first.
    sup_tau : float, optional
        For translations, and only there: the largest length, in the unit of the grid.
    tolerance : float
        The search ends when the values differ by at most this share of the upper one.
    max_evaluations : int
        Or after about so many evaluations of the network; see `FamilyCertificate.closed`.
    progress : callable, optional
        Called as ``progress(done, total, text)``.

    Returns
    -------
    FamilyCertificate
        Valid however the search ended. ``KeyboardInterrupt`` during the search ends it and returns what is proven.

    Raises
    ------
    TypeError, ValueError
        For arguments of another kind or out of range, families with more parameters, and networks that choose their
        paths by the signal.

    Examples
    --------
    >>> import math, torch, scatter_theory as st
    >>> layer = st.Layer(st.frames.Wavelets(J=3), st.Modulus())
    >>> phi = st.FeatureExtractor([layer, layer], st.Grid.line(64))
    >>> f = torch.cos(2 * math.pi * 5 * phi.grid.points()[0] / 64)
    >>> cert = st.certify_deformation(phi, f, st.deform.Translations(), sup_tau=1.0)
    >>> cert.closed, cert.recheck(phi, f)
    (True, True)
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"`certify_deformation(tolerance=...)`: got {tolerance!r}, expected a number between 0 and 1.")
    if max_evaluations < 1:
        raise ValueError(f"`certify_deformation(max_evaluations=...)`: got {max_evaluations!r}, expected at least 1.")
    local, dropped = prepared(phi, f, family, sup_tau)
    around, gradient = beside(local, f, local.chart.sup_tau)
    state = search(local, tolerance, max_evaluations, progress)
    return FamilyCertificate(
        family=tuple(family) if isinstance(family, list) else (family,) if isinstance(family, Field) else family,
        sup_tau=local.chart.sup_tau,
        lower=state.lower,
        upper=min(state.upper, around) if local.norm > 0 else 0.0,
        tolerance=float(tolerance),
        evaluations=state.evaluations,
        witness=state.witness,
        tree=written(state.splits),
        norm=local.norm,
        constant=local.whole,
        proves=local.phi.certified_lipschitz().proves,
        oscillation=around,
        gradient=gradient,
        dropped=dropped,
    )
