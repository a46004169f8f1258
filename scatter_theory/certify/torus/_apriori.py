r"""A-priori bound of deformations on a line: closed form in the norms of the displacement, no matrix, no band limit.

Let :math:`F u(x) = u(x - \tau(x))` on the torus, :math:`D = \|\tau'\|_\infty < 1`, and let
:math:`\kappa_n = \|([a, F])_a\|` over the filters a that meet the maps of layer n. Then

.. math:: |||\Phi(Ff) - \Phi(f)||| \le \Big( 2\pi\,g(D)\,\alpha_0^{1/2}\,\|\tau\|_\infty +
          \sum_{n=0}^N \hat\kappa_n \Big) \|f\|, \qquad g(D) = \frac{2}{1 + \sqrt{1 - D}},

.. math:: \kappa_n \le \hat\kappa_n := \Gamma_n\, \frac{(1 + D)^{1/2}}{1 - D}
          \int_0^1 \Big( \frac{q}{1 - sq} + \frac{s\,p}{(1 - sq)^2} \Big) ds, \qquad
          q = \|\tau'\|_W < 1, \quad p = \|\tau\|_W \|\tau''\|_W ,

with Wiener norms (sums of moduli of Fourier coefficients) of :math:`\tau` minus its mean, :math:`\Gamma_n` of
`commutator_gain` and :math:`\alpha_0` of `lowpass_gain`. Hypotheses: pointwise non-linearities with L <= 1, dilations
only; admissible layers; one axis; a trigonometric polynomial with q < 1.

**Proof.** *Mean.* :math:`F_{c + \tau} = F_\tau T_c` with a unitary translation that commutes with every filter.

*Duhamel.* :math:`w(s) = F_{s\tau}u` solves :math:`w' = -a_s \partial w`, :math:`a_s = \tau/(1 - s\tau')`. With
:math:`P(s) = F_\tau F_{s\tau}^{-1}` the derivative of :math:`P(s)\,a * w(s)` is :math:`-P(s)[a, a_s\partial]w(s)`, so
:math:`[a, F] = -\int_0^1 P(s)[a, a_s\partial]F_{s\tau}\,ds`. A change of variables shows
:math:`\|P(s)\|^2 = \sup (1 - s\tau'(y))/(1 - \tau'(x)) \le (1 + sD)/(1 - D)`, the supremum over pairs with
:math:`y - s\tau(y) = x - \tau(x)`, and :math:`\|F_{s\tau}\|^2 \le 1/(1 - sD)`; their product is at most
:math:`(1 + D)/(1 - D)^2`. (The points x and y differ. With x = y the product would be :math:`1/(1 - D)`, which is
false.)

*One commutator.* :math:`\|([a, a_s\partial])_a\| \le \Gamma\,\|a_s'\|_W` (`commutator_gain`). The Wiener norm is
submultiplicative, so that :math:`\|1/(1 - s\tau')\|_W \le 1/(1 - sq)`, and
:math:`a_s' = \tau'/(1 - s\tau') + s\tau\tau''/(1 - s\tau')^2`.

*Layers.* Let :math:`d_q = U[q]Ff - F\,U[q]f`, :math:`e_n` the norm of :math:`(d_q)_{|q| = n}` and :math:`o_n` that of
their outputs. Since :math:`a * U[q]Ff = F(a * U[q]f) + [a, F]U[q]f + a * d_q` and a pointwise non-linearity commutes
with F, :math:`e_{n+1}^2 + o_n^2 \le (e_n + \kappa_n \|f\|)^2`, so that
:math:`(e_{n+1}^2 + \sum_{m \le n} o_m^2)^{1/2}` grows by at most :math:`\kappa_n \|f\|` per layer. Add
:math:`|||F\Phi(f) - \Phi(f)|||` of `lowpass_gain`.

The integral is :math:`-\ln(1 - q) + p\,(q/(1 - q) + \ln(1 - q))/q^2`. For a single wave :math:`q = D`,
:math:`p = D^2`, and it is :math:`D/(1 - D)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from scatter_theory.certify._flags import admissible_layer, admissible_output, checked_layer, pointwise, small_jacobian
from scatter_theory.certify.torus._commutator_gain import commutator_gain
from scatter_theory.certify.torus._lowpass_gain import lowpass_gain
from scatter_theory.certify.torus._modulation import modulation_gain
from scatter_theory.constants import Constant
from scatter_theory.deform import Field, TrigonometricField
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import Hypothesis
from scatter_theory.trigonometric import Polynomial

#: Allowance for rounding, relative.
ROUNDING = 1e-12
#: Below this q the integral is summed as a series, whose terms beyond the last one are smaller than the rounding.
SERIES, TERMS = 0.05, 16


class WienerNorms(NamedTuple):
    r"""Sums of moduli of Fourier coefficients of :math:`\tau` minus its mean, :math:`\tau'` and :math:`\tau''`."""

    size: float
    slope: float
    curvature: float


@dataclass(frozen=True)
class AprioriBound:
    r"""A bound of :math:`|||\Phi(F_\tau f) - \Phi(f)|||/\|f\|` that holds for every signal of the torus.

    Parameters
    ----------
    hypotheses : tuple of Hypothesis
        What the proof needs. If one is not satisfied, `value` is infinite: no statement.
    norms : WienerNorms
        Infinite where they are not known.
    displacement : Constant
        :math:`\|\tau\|_\infty`, in the unit of position.
    jacobian : Constant
        :math:`D = \|\tau'\|_\infty`.
    commutators : tuple of Constant
        :math:`\hat\kappa_0, \ldots, \hat\kappa_N`; empty if a hypothesis fails.
    lowpass : Constant
        :math:`\alpha_0^{1/2}`, in cycles per unit.
    modulation : Constant
        What the phase adds, relative to :math:`\|f\|`; 0 without one.
    """

    hypotheses: tuple[Hypothesis, ...]
    norms: WienerNorms
    displacement: Constant
    jacobian: Constant
    commutators: tuple[Constant, ...]
    lowpass: Constant
    modulation: Constant

    @property
    def applicable(self) -> bool:
        """Whether every hypothesis is satisfied."""
        return all(h.satisfied for h in self.hypotheses)

    @property
    def proves(self) -> bool:
        """Whether the bound applies and none of its constants is merely declared."""
        return self.applicable and all(c.proves for c in (*self.commutators, self.lowpass, self.modulation))

    @property
    def value(self) -> float:
        """The bound; infinite if a hypothesis fails."""
        if not self.applicable:
            return math.inf
        t, D = self.displacement.value, self.jacobian.value
        lowpass = 4 * math.pi * t * self.lowpass.value / (1 + math.sqrt(1 - D)) if t else 0.0
        return (lowpass + sum(c.value for c in self.commutators) + self.modulation.value) * (1 + ROUNDING)


def apriori_bound(phi: FeatureExtractor, tau: Field, omega: Polynomial | None = None) -> AprioriBound:
    r"""Bound the change of the features under :math:`f \mapsto e^{2\pi i\omega} f(\cdot - \tau)` in closed form.

    Parameters
    ----------
    phi : FeatureExtractor
        Its filters are continued beyond the grid, and the bound is about signals on the torus.
    tau : Field
        A single displacement (batch ``()``) with the period of the grid.
    omega : Polynomial, optional
        Phase in cycles; see `modulation_gain`.

    Returns
    -------
    AprioriBound

    Raises
    ------
    TypeError
        If `phi` is no FeatureExtractor or `tau` no displacement field.
    ValueError
        If `tau` is a batch or lives on another torus, or `omega` does not fit.

    See Also
    --------
    scatter_theory.certify.commutator_gain : the constants of the filters.
    """
    checked_layer(phi, 0, "apriori_bound", 0)
    if not isinstance(tau, Field):
        raise TypeError(f"`apriori_bound(tau=...)`: got {type(tau).__name__}, expected a displacement field.")
    if tau.batch:
        raise ValueError(f"`apriori_bound(tau=...)`: got a batch {tau.batch} of fields; pass `tau.select(i)`.")
    phi.grid.check_extent(tau.extent, "apriori_bound", "displacement")
    norms = wiener_norms(tau)
    slope = norms.slope if math.isfinite(norms.slope) else f"not known for a {type(tau).__name__} on {tau.ndim} axes"
    hypotheses = (
        pointwise(phi),
        *(admissible_layer(phi, n) for n in range(1, phi.depth + 1)),
        admissible_output(phi),
        Hypothesis("one axis", phi.grid.ndim == 1, float(phi.grid.ndim)),
        small_jacobian(tau),
        Hypothesis("the Wiener norm of the derivative of the displacement is < 1", norms.slope < 1, slope),
    )
    certified = tau.norms()
    displacement = Constant(float(certified.sup.upper), certified.source, "certified", phi.grid.unit)
    D = tau.ndim * float(certified.jacobian.upper)
    jacobian = Constant(min(D, norms.slope), certified.source, "certified")
    nothing = Constant(0.0, "no phase", "analytic")
    if not all(h.satisfied for h in hypotheses):
        unknown = Constant(math.inf, "a hypothesis is not satisfied", "derived", f"cycles/{phi.grid.unit}")
        return AprioriBound(hypotheses, norms, displacement, jacobian, (), unknown, nothing)
    factor = duhamel_factor(norms, jacobian.value)
    gains = [commutator_gain(phi, n) for n in range(phi.depth + 1)]
    commutators = tuple(Constant(g.value * factor, f"Duhamel and Wiener norms; {g.source}", g.kind) for g in gains)
    phase = nothing
    if omega is not None:
        gain = modulation_gain(phi, omega)
        phase = Constant(gain.value / math.sqrt(1 - jacobian.value), gain.source, gain.kind)
    return AprioriBound(hypotheses, norms, displacement, jacobian, commutators, lowpass_gain(phi), phase)


def wiener_norms(tau: Field) -> WienerNorms:
    """Wiener norms of a single displacement on a line; infinite for what is no trigonometric polynomial."""
    if not isinstance(tau, TrigonometricField) or tau.ndim != 1 or tau.batch:
        return WienerNorms(math.inf, math.inf, math.inf)
    polynomial = tau.polynomial
    rates = 2 * math.pi * polynomial.frequencies[0].abs()
    c = torch.where(rates > 0, polynomial.coefficients.detach()[0].abs(), 0.0)
    return WienerNorms(*(float((c * rates**j).sum()) * (1 + ROUNDING) for j in range(3)))


def duhamel_factor(norms: WienerNorms, D: float) -> float:
    r""":math:`\hat\kappa/\Gamma` for q < 1 and D < 1; rounded up."""
    q, p = norms.slope, norms.size * norms.curvature
    if q > SERIES:
        second = (q / (1 - q) + math.log1p(-q)) / q**2
    else:
        second = sum((n + 1) / (n + 2) * q**n for n in range(TERMS))
    return math.sqrt(1 + D) / (1 - D) * (p * second - math.log1p(-q)) * (1 + ROUNDING)
