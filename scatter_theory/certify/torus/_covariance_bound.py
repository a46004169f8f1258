r"""Two simpler deformation bounds of a network, which add its low-pass filters and its commutators.

F is the deformation of one displacement :math:`\tau`, the filters :math:`a \in \Psi_{n+1}` of layer n + 1 are its
output atom and its propagating atoms, and :math:`D_q = U[q]Ff - F U[q]f`.

**Theorem** (quadrature). Let every :math:`\Psi_{n+1}` have the Bessel bound 1 and the layers be pointwise with L <=
1. Put :math:`\kappa_n = \|([a, F])_a\|` and :math:`\delta_n = \|\sum_a a^*[a, F]\| \le \kappa_n`, :math:`e_0 = 0` and
:math:`e_{n+1}^2 = e_n^2 + 2\delta_n e_n + \kappa_n^2`. Then

.. math:: |||\Phi(Ff) - F\Phi(f)|||^2 \le \sum_{n=0}^N (\kappa_n^2 + 2\delta_n e_n)\,\|f\|^2 .

*Proof.* For :math:`u = U[q]f`, every filter a and pointwise M, :math:`|M(a(Fu + D_q)) - F M(a u)| \le |[a, F]u +
aD_q|`, without M for the output atom. Sum of squares over a: at most :math:`\|D_q\|^2 + 2\delta_n\|D_q\|\|u\| +
\kappa_n^2\|u\|^2`, by :math:`\sum a^*a \le 1`. Sum over q with Cauchy-Schwarz, :math:`\sum_q\|u\|^2 \le \|f\|^2`; the
squares of the output errors stay, those of the others are :math:`e_{n+1}^2`. Commutator errors of layers add in
squares, and not one by one. Where the maps u of layer n correlate non-negatively with their translates,
:math:`\kappa_n` may be taken over such u (`PositiveForm`); :math:`\delta_n`, which meets :math:`D_q`, may not.

With :math:`\|F(\chi u) - \chi u\| \le g(D)\,\|\tau\|_\infty\,\|\nabla(\chi u)\|` and :math:`\alpha_0` of
`lowpass_gain`, :math:`|||F\Phi(f) - \Phi(f)||| \le 2\pi g(D)\|\tau\|_\infty\alpha_0^{1/2}\|f\|`; the sum bounds the
features.

The last layer has one filter, a Bessel family by itself; completed by :math:`(1 - |\hat\chi_N|^2)^{1/2}`, whose output
is dropped, it may have a smaller :math:`\delta_N`. The better choice is taken.

**Telescoping.** Let :math:`\beta_N = \|\chi_N(F-1)\|` and, :math:`\beta_n` bounding the error of sub-networks whose
input is deformed exactly,

.. math:: \beta_{n} = \sup_u \frac{(\|\chi_n(F-1)u\|^2 + \beta_{n+1}^2\|(g_\lambda u)_\lambda\|^2)^{1/2}
          + \|([g_\lambda, F]u)_\lambda\|}{\|u\|} .

Then :math:`|||\Phi(Ff) - \Phi(f)||| \le \beta_0\|f\|` if the sub-networks do not expand distances. The supremum of a
sum of roots is found from :math:`(x + y)^2 \le (1 + s)x^2 + (1 + 1/s)y^2`, true for every s > 0 and sharp for the
best one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.certify._flags import admissible_layer, admissible_output, pointwise, small_jacobian
from scatter_theory.certify.torus._block_recursion import commutator_forms
from scatter_theory.certify.torus._lowpass_gain import lowpass_gain
from scatter_theory.certify.torus._positive_form import largest
from scatter_theory.certify.torus._system import System
from scatter_theory.deform import Field
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import Hypothesis


@dataclass(frozen=True)
class CovarianceBound:
    r"""How far features are from moving along with a deformed signal, and how far the deformation moves them.

    Parameters
    ----------
    kappa, delta : tuple of float
        Commutator constants of layers 0..N.
    covariance : float
        Bound of :math:`|||\Phi(Ff) - F\Phi(f)|||` for :math:`\|f\| = 1`.
    low_pass : float
        Bound of :math:`|||F\Phi(f) - \Phi(f)|||`.
    telescoped : float
        The second bound of the features.
    certified : bool
        Whether what the matrices leave out is part of the values.
    hypotheses : tuple of Hypothesis
        Conditions of both bounds; a bound whose conditions fail says nothing.
    """

    kappa: tuple[float, ...]
    delta: tuple[float, ...]
    covariance: float
    low_pass: float
    telescoped: float
    certified: bool
    hypotheses: tuple[Hypothesis, ...]

    @property
    def value(self) -> float:
        r"""Bound of :math:`|||\Phi(Ff) - \Phi(f)|||` for all f of norm 1."""
        return self.covariance + self.low_pass

    @property
    def applicable(self) -> bool:
        """Whether all hypotheses are satisfied."""
        return all(h.satisfied for h in self.hypotheses)


def covariance_bound(phi: FeatureExtractor, field: Field) -> CovarianceBound:
    """The two bounds for one displacement (batch ``()``) and all signals.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    field : Field
        One displacement, of the period of the grid.

    Returns
    -------
    CovarianceBound
        Constants in front of the norm of the signal.

    Raises
    ------
    ValueError
        As `network_bound`.
    """
    system = System(phi, field)
    pairs = [_constants(system, n, filters.all) for n, filters in enumerate(system.filters[:-1])]
    chi = system.filters[-1].output[None]
    rest = (1 - chi.abs().square()).clamp_min(0.0).sqrt().to(chi.dtype)
    ends = [_constants(system, phi.depth, atoms) for atoms in (chi, torch.cat([chi, rest]))]
    choices = [tuple(zip(*pairs, end, strict=True)) for end in ends]
    kappa, delta = min(choices, key=lambda choice: quadrature(*choice))
    norms = field.norms()
    D = field.ndim * float(norms.jacobian.upper)
    low = 2 * math.pi * theory.gradient_bound(float(norms.sup.upper), D, lowpass_gain(phi).value) if D < 1 else math.inf
    hypotheses = [pointwise(phi), small_jacobian(field), admissible_output(phi)]
    hypotheses += [admissible_layer(phi, n) for n in range(1, phi.depth + 1)]
    return CovarianceBound(
        kappa,
        delta,
        quadrature(kappa, delta),
        float(low),
        _telescoped(system),
        math.isfinite(system.lost),
        tuple(hypotheses),
    )


def _constants(system: System, n: int, atoms: Tensor) -> tuple[float, float]:
    """Commutator constants kappa and delta of the filters ``(m, *box)`` that the maps of layer n meet."""
    lost = system.lost if math.isfinite(system.lost) else 0.0
    _, squares, cross = commutator_forms(atoms.flatten(1).to(system.F.dtype), system.F)
    kappa, delta = (math.sqrt(max(largest(form), 0.0)) + lost for form in (squares, cross.mH @ cross))
    delta = min(delta, kappa)
    squares = squares if system.change is None else system.change.mH @ squares @ system.change
    return min(kappa, math.sqrt(_supremum(system, n, squares, 0.0)) + lost), delta


def quadrature(kappa: Sequence[float], delta: Sequence[float]) -> float:
    """Sum of the commutator constants of layers 0..N in squares."""
    error, total = 0.0, 0.0
    for k, d in zip(kappa, delta, strict=True):
        step = 2 * d * error + k * k
        total += step
        error = math.sqrt(error * error + step)
    return math.sqrt(total)


def _telescoped(system: System) -> float:
    lost = system.lost if math.isfinite(system.lost) else 0.0
    beta = math.sqrt(_supremum(system, system.depth, system.stages[-1].moved, 0.0)) + lost
    for n in reversed(range(system.depth)):
        s = system.stages[n]
        beta = _sum_of_roots(system, n, s.root(beta**2, 0.0), s.commutators, beta**2 * float(s.high.max())) + 2 * lost
    return beta


def _supremum(system: System, n: int, form: Tensor, tail: float) -> float:
    """Upper value of a form over the maps that enter layer n + 1."""
    value = largest(form, tail)
    if n and system.positive[n - 1]:
        value = min(value, system.planes[n - 1].supremum(form, tail)[0])
    return max(value, 0.0)


def _sum_of_roots(system: System, n: int, first: Tensor, second: Tensor, tail: float) -> float:
    """Upper value of the supremum of ``<u, first u>^(1/2) + <u, second u>^(1/2)`` over unit vectors."""
    x, y = (math.sqrt(max(largest(form), 0.0)) for form in (first, second))
    if x == 0 or y == 0:
        return math.sqrt(max(_supremum(system, n, first + second, tail), 0.0))
    shares = (torch.logspace(-2, 2, 33, dtype=torch.float64) * (y / x)).tolist()
    best = min(shares, key=lambda s: largest((1 + s) * first + (1 + 1 / s) * second))
    return math.sqrt(_supremum(system, n, (1 + best) * first + (1 + 1 / best) * second, (1 + best) * tail))
