r"""The squared error of a network under a deformation, by backward recursion over its layers with two variables.

Let F be a deformation, and let every layer be :math:`u \mapsto (M(g_\lambda * u))_\lambda` with pointwise M,
:math:`M 0 = 0`, L = 1. For a node with signal :math:`U = U[q]f` let :math:`D = U[q]Ff - F U[q]f`.

**Theorem.** Let :math:`a_{N+1} = b_{N+1} = 0`, and for n = N, ..., 1 let :math:`a_n, b_n \ge 0` satisfy, for every D
and for every u that may enter layer n + 1,

.. math:: \|\chi_n (D + (F - 1)u)\|^2 + a_{n+1} \sum_\lambda \|g_\lambda u\|^2
          + b_{n+1} \sum_\lambda \|[g_\lambda, F]u + g_\lambda D\|^2 \le a_n \|u\|^2 + b_n \|D\|^2 ,

filters written as multipliers. Then, with :math:`G = \sum |\hat g_\lambda|^2` of the first layer,

.. math:: |||\Phi(Ff) - \Phi(f)|||^2 \le \big\langle f, \big( (F-1)^*|\chi_0|^2(F-1) + a_1 G
          + b_1 \sum_\lambda [g_\lambda, F]^*[g_\lambda, F] \big) f \big\rangle .

*Proof.* Let E be the squared error of the features of all nodes below and at q. Claim: :math:`E \le a_n\|U\|^2 +
b_n\|D\|^2` for a node of layer n. The output at q moves by :math:`\chi_n(U[q]Ff - U) = \chi_n(D + (F-1)U)`. A child has
:math:`\|U_\lambda\| \le \|g_\lambda U\|`, and because M is pointwise, :math:`M F = F M`, hence pointwise
:math:`|D_\lambda| = |M(g_\lambda(FU + D)) - M(F g_\lambda U)| \le |[g_\lambda, F]U + g_\lambda D|`. Insert the claim of
layer n + 1. At the root D = 0 and U = f.

**Solving for a.** With :math:`Y = |\chi_n|^2 + b_{n+1}G`, a multiplier, any :math:`b_n > \sup Y` will do, with

.. math:: a_n = \sup_u \frac{\langle u, (P + X(b_n - Y)^{-1}X^*)u\rangle}{\|u\|^2}, \quad
          P = (F-1)^*|\chi_n|^2(F-1) + a_{n+1}G + b_{n+1}\sum_\lambda[g_\lambda, F]^*[g_\lambda, F], \quad
          X^* = |\chi_n|^2(F-1) + b_{n+1}\sum_\lambda g_\lambda^*[g_\lambda, F] ,

by completing the square in D. Where the maps of layer n correlate non-negatively with their translates, the supremum
needs to be taken over such u only. No sum over filters is formed: :math:`[g, F]` has the entries
:math:`(\hat g(j) - \hat g(k))\hat F(j, k)`, so that
:math:`\Gamma(j, k) = \sum_\lambda \overline{\hat g_\lambda(j)}\,\hat g_\lambda(k)` is all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.certify.torus._lattice import Lattice


@dataclass(frozen=True, eq=False)
class Stage:
    r"""What one layer contributes: quadratic forms in u, and the map :math:`X^*`, without the numbers a and b.

    Parameters
    ----------
    low : (n,) tensor
        :math:`|\hat\chi|^2`.
    high : (n,) tensor
        G.
    moved : (n, n) tensor
        :math:`(F-1)^*|\chi|^2(F-1)`.
    commutators : (n, n) tensor
        :math:`\sum_\lambda [g_\lambda, F]^*[g_\lambda, F]`.
    cross_low, cross_high : (n, n) tensor
        :math:`|\chi|^2(F-1)` and :math:`\sum_\lambda g_\lambda^*[g_\lambda, F]`, rows j.
    """

    low: Tensor
    high: Tensor
    moved: Tensor
    commutators: Tensor
    cross_low: Tensor
    cross_high: Tensor

    def form(self, a: float, b: float, own: float) -> Tensor:
        """The form whose supremum is a of this layer, from a and b of the next and b of this one."""
        X = self.cross_low + b * self.cross_high
        Z = 1 / (own - self.low - b * self.high)
        return self.root(a, b) + X.mH @ (Z[:, None] * X)

    def root(self, a: float, b: float) -> Tensor:
        """The form at the root of a sub-network, where D = 0."""
        return self.moved + torch.diag(a * self.high).to(self.moved.dtype) + b * self.commutators

    def least(self, b: float) -> float:
        """The number that b of this layer must exceed."""
        return float((self.low + b * self.high).max())


def stage(filters: Lattice, F: Tensor, *, last: bool) -> Stage:
    """The forms of a layer from its filters and the matrix of the deformation; a last layer has no children."""
    chi = filters.output.flatten().to(F.dtype)
    low = chi.abs().square()
    step = F - torch.eye(len(chi), dtype=F.dtype, device=F.device)
    cross_low = low[:, None] * step
    moved = step.mH @ cross_low
    if last:
        zero = torch.zeros_like(F)
        return Stage(low, torch.zeros_like(low), moved, zero, cross_low, zero)
    g = filters.atoms.flatten(1).to(F.dtype)
    high, commutators, cross = commutator_forms(g, F)
    return Stage(low, high, moved, commutators, cross_low, cross)


def commutator_forms(g: Tensor, F: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r""":math:`\sum|g|^2`, :math:`\sum [g, F]^*[g, F]` and :math:`\sum g^*[g, F]` of filters ``(m, n)``."""
    gamma = g.mH @ g
    high = torch.diagonal(gamma).real
    mixed = F.mH @ (gamma * F)
    commutators = F.mH @ (high[:, None] * F) - mixed - mixed.mH + gamma * (F.mH @ F)
    return high, commutators, (high[:, None] - gamma) * F


Supremum = Callable[[int, Tensor, float], float]


def layer_gains(stages: Sequence[Stage], b: Sequence[float], supremum: Supremum) -> list[float]:
    """The numbers a_1..a_N for given b_1..b_N.

    Parameters
    ----------
    stages : sequence of Stage
        Layers 0..N.
    b : sequence of float
        b_1..b_N; b_n must exceed ``stages[n].least(b_{n+1})``.
    supremum : callable
        ``supremum(n, form, tail)``: an upper value of the form over the signals that enter layer n + 1, where the form
        continues beyond the cut-off with at most `tail` times the energy.
    """
    a_next, b_next, gains = 0.0, 0.0, []
    for n in range(len(stages) - 1, 0, -1):
        own = b[n - 1]
        if not own > stages[n].least(b_next):
            raise ValueError(f"`layer_gains(b=...)`: b_{n} = {own} must exceed {stages[n].least(b_next)}.")
        tail = a_next * float(stages[n].high.max())
        a_next = supremum(n, stages[n].form(a_next, b_next, own), tail)
        b_next = own
        gains.append(a_next)
    return gains[::-1]
