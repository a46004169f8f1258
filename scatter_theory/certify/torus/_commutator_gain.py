r"""How fast the filters of a layer turn with frequency: what a commutator with one wave costs.

Let :math:`a(k) = (\hat\chi(k), \hat g_1(k), \ldots)` be the filters of one layer at the frequencies k of a line of
period L, continued beyond the grid by their last values :math:`a_\pm` (`lattice`), so that a is constant on
:math:`k \ge M` and on :math:`k \le -M`. Multiplication by :math:`e^{2\pi imx/L}` moves k to k + m, hence

.. math::
    \|([a, e^{2\pi imx/L}])_a\| = s_m := \sup_k \|a(k+m) - a(k)\|, \qquad
    \|([a, v\partial])_a\| \le \Gamma\, \|v'\|_W, \quad
    \Gamma := \sup_{k,\, m \ne 0} \frac{|k|}{|m|}\,\|a(k+m) - a(k)\|,

where :math:`\|v\|_W = \sum_m |\hat v_m|` is the Wiener norm. *Proof.* With :math:`v = \sum_m v_m e^{2\pi imx/L}` the
m-th part sends the wave of k to :math:`v_m (2\pi ik/L) (a(k+m) - a(k))` times the wave of k + m. For fixed m these are
orthogonal, so that its norm is :math:`|v_m| (2\pi/L) \sup_k |k| \|a(k+m) - a(k)\| \le \Gamma\,|2\pi m v_m/L|`; sum over
m. The orthogonality over the filters is kept: nothing grows with their number.

**Both suprema are maxima over finitely many values.** Write :math:`k' = k + m`. If both lie on one side beyond M, the
difference is 0. If :math:`|k| < M`, moving k' beyond M only enlarges :math:`|k' - k|`. If :math:`k \ge M > k'`, then
:math:`k/(k - k')` falls in k for :math:`k' > 0`, largest at k = M, and otherwise rises to 1. So

.. math:: \Gamma = \max\Big\{ \max_{|k|, |k'| \le M,\, k \ne k'} \frac{|k|}{|k - k'|}\,\|a(k) - a(k')\|,\;
                              \max_{|k'| \le M,\, \pm} \|a_\pm - a(k')\| \Big\} ,

and :math:`s_m` is attained for some :math:`-M - |m| \le k \le M`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scatter_theory.certify._flags import checked_layer
from scatter_theory.certify.torus._lattice import lattice
from scatter_theory.constants import Constant
from scatter_theory.network import FeatureExtractor

#: Allowance for rounding, relative.
ROUNDING = 1e-12
EPS = torch.finfo(torch.float64).eps


def commutator_gain(phi: FeatureExtractor, n: int) -> Constant:
    r""":math:`\Gamma` of the filters that meet the maps of layer n = 0..N, a pure number, for one axis.

    These are the output atom and, for n < N, the propagating atoms times the :math:`L R` of layer n + 1; a half bank is
    read with its conjugate partners. Frequencies are those of the signal: a dilation relabels k and m alike. The
    maximum over all pairs of frequencies of the torus is exact, for any bank that is continued beyond its grid.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    n : int
        Layer, from 0 to N.

    Returns
    -------
    Constant
        Proven, without unit.

    Raises
    ------
    TypeError, ValueError
        If `phi` is no FeatureExtractor, n is not 0..N, or the grid has several axes.
    """
    n = checked_layer(phi, n, "commutator_gain", 0)
    if phi.grid.ndim != 1:
        raise ValueError(
            f"`commutator_gain(phi=...)`: got a grid with {phi.grid.ndim} axes, expected one. In several dimensions "
            "the supremum has not been reduced to finitely many values."
        )
    M = (phi.grids[n].shape[0] - 1) // 2
    value = turning_speed(filters(phi, n, M))
    proven = n == phi.depth or phi.layer_constant(n + 1).proves
    source = f"maximum of |k||a(k+m) - a(k)|/|m| over all frequencies of the torus, filters of layer {n}"
    return Constant(value, source, "grid" if proven else "declared")


def filters(phi: FeatureExtractor, n: int, K: int) -> Tensor:
    """The filters that meet the maps of layer n on a line, ``(1 + n_atoms, 2 K + 1)`` for ``|k| <= K``, ascending."""
    bank = lattice(phi.banks[n], (K,))
    if n == phi.depth:
        return bank.output[None]
    return torch.cat([bank.output[None].to(bank.atoms.dtype), phi.layer_constant(n + 1).value * bank.atoms])


def turning_speed(a: Tensor) -> float:
    r""":math:`\Gamma` of filters ``(n_filters, 2 M + 1)`` that are constant beyond M; rounded up."""
    M = a.shape[1] // 2
    k = torch.arange(-M, M + 1, dtype=torch.float64, device=a.device).abs()
    ends = a[:, [0, -1]] if M else a
    far = torch.linalg.vector_norm(ends[:, :, None] - a[:, None, :], dim=0).max()
    best = far
    for m in range(1, 2 * M + 1):
        chord = torch.linalg.vector_norm(a[:, m:] - a[:, :-m], dim=0)
        best = torch.maximum(best, (torch.maximum(k[m:], k[:-m]) * chord).max() / m)
    rounding = 8 * EPS * max(M, 1) * float(torch.linalg.vector_norm(a, dim=0).max())
    return float(best) * (1 + ROUNDING) + rounding


def shift_gains(phi: FeatureExtractor, n: int, largest: int) -> Tensor:
    r""":math:`s_m` of the *propagating* filters of layer n < N for m = 1..largest, ``(largest,)``, rounded up."""
    M = (phi.grids[n].shape[0] - 1) // 2
    a = filters(phi, n, M + largest)[1:]
    sizes = [torch.linalg.vector_norm(a[:, m:] - a[:, :-m], dim=0).max() for m in range(1, largest + 1)]
    rounding = 8 * EPS * math.sqrt(float(a.abs().square().sum(0).max()))
    return torch.stack(sizes) * (1 + ROUNDING) + rounding
