r"""Admissibility, Lipschitz constants and energy: what one layer, and then the whole network, can do to a norm.

Everything here follows from one inequality. A layer sends a map u to its output :math:`u * \chi` and to the propagated
maps :math:`U[\lambda]u = S^{d/2} (P(M(u * g_\lambda)))(S\,\cdot)`. The dilation is unitary, M is L-Lipschitz and P is
R-Lipschitz, so by Plancherel

.. math:: \|(u - v) * \chi\|^2 + \sum_\lambda \|U[\lambda]u - U[\lambda]v\|^2
          \le \int \Big(|\hat\chi|^2 + L^2 R^2 \sum_\lambda |\hat g_\lambda|^2\Big) |\hat u - \hat v|^2 .
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def admissibility(B: float, L: float = 1.0, R: float = 1.0) -> float:
    r"""Left side of the admissibility condition :math:`\max\{B, B L^2 R^2\} \le 1` of one layer.

    Parameters
    ----------
    B : float
        Upper frame bound of all atoms, the output atom included.
    L, R : float
        Lipschitz constants of the non-linearity and of the pooling (in the norm and sampling mode in use).

    Returns
    -------
    float
        The layer is admissible if this is at most 1; it also bounds the square of the layer's Lipschitz constant.

    Notes
    -----
    Source: Wiatowski and Bölcskei (2018), eq. (17).

    Examples
    --------
    >>> admissibility(0.5, L=2.0)
    2.0
    """
    return max(B, B * (L * R) ** 2)


def refined_admissibility(output_power: Any, propagating_sum: Any, L: float = 1.0, R: float = 1.0) -> Any:
    r"""Refined condition :math:`\sup_\xi (|\hat\chi|^2 + L^2 R^2 \sum_\lambda |\hat g_\lambda|^2) \le 1`.

    Never larger than `admissibility`, and enough for the Lipschitz and the translation bound, because the inequality at
    the head of this module is all that their proofs use.

    Parameters
    ----------
    output_power, propagating_sum : arrays of one shape
        :math:`|\hat\chi|^2` and :math:`\sum_\lambda |\hat g_\lambda|^2` at all frequencies (their even parts if the
        maps that enter the layer are real). Any array with arithmetic and ``.max()``.
    L, R : float
        Lipschitz constants of the non-linearity and of the pooling.

    Returns
    -------
    array scalar
        The supremum over the given frequencies.
    """
    return (output_power + (L * R) ** 2 * propagating_sum).max()


def certified_factors(layers: Sequence[tuple[Any, Any, float, float]], final_output_power: Any) -> tuple[Any, ...]:
    r"""Squared Lipschitz constants :math:`(c_0, \dots, c_N)` of any network, admissible or not.

    .. math:: c_N = \sup_\xi |\hat\chi_N|^2, \qquad
              c_{n-1} = \sup_\xi \Big(|\hat\chi_{n-1}|^2 + c_n L_n^2 R_n^2 \sum_{\lambda} |\hat g_\lambda|^2\Big),
              \qquad |||\Phi(f) - \Phi(h)|||^2 \le c_0 \|f - h\|^2 .

    Parameters
    ----------
    layers : sequence of (output_power, propagating_sum, L, R)
        Layers 1 to N in order; the output power of entry n belongs to :math:`\chi_{n-1}`. Each pair of arrays lives on
        the frequencies of its own layer.
    final_output_power : (*shape) array
        :math:`|\hat\chi_N|^2`, the atom with which the last layer's maps are emitted.

    Returns
    -------
    tuple
        :math:`c_n` bounds the squared distance of the features of layers n to N by the squared distance of the maps
        that enter there. The Lipschitz constant of the network is :math:`\sqrt{c_0}`; admissible layers give
        :math:`c_n \le 1`.

    Notes
    -----
    Proof, backwards: let :math:`E_n(u, v)` be the squared feature distance of the part of the network that starts with
    maps u, v at layer n. Then :math:`E_{n-1} = \|(u-v)*\chi_{n-1}\|^2 + \sum_\lambda E_n(U[\lambda]u, U[\lambda]v)`,
    and :math:`E_n \le c_n \|\cdot\|^2` turns this into the integral at the head of this module with
    :math:`c_n L^2 R^2` in place of :math:`L^2 R^2`.
    """
    factors = [final_output_power.max()]
    for output_power, propagating_sum, L, R in reversed(layers):
        factors.append((output_power + factors[-1] * (L * R) ** 2 * propagating_sum).max())
    return tuple(reversed(factors))


def local_lipschitz(output_peak: float, layers: Sequence[tuple[float, float, float]]) -> float:
    r"""Lipschitz constant of the features of layer n alone.

    .. math:: |||\Phi^n(f) - \Phi^n(h)|||
              \le \|\hat\chi_n\|_\infty \prod_{k \le n} L_k R_k (\sup G_k)^{1/2} \, \|f - h\|,
              \qquad G_k = \sum_{\lambda \in \Lambda_k} |\hat g_\lambda|^2 .

    Parameters
    ----------
    output_peak : float
        :math:`\|\hat\chi_n\|_\infty`.
    layers : sequence of (L, R, G)
        One entry per layer 1 to n, ``G`` the supremum of the propagating sum.

    Returns
    -------
    float
        The constant, without unit.
    """
    return output_peak * math.prod(L * R * math.sqrt(G) for L, R, G in layers)


def energy_sandwich(A: Sequence[float], B: Sequence[float]) -> tuple[float, float]:
    r"""Factors of the energy balance of N layers with modulus and norm-preserving pooling.

    .. math:: \prod_k \min\{1, A_k\} \|f\|^2 \le \sum_{n<N} |||\Phi^n(f)|||^2 + W_N(f)
              \le \prod_k \max\{1, B_k\} \|f\|^2 .

    Parameters
    ----------
    A, B : sequences of float
        Frame bounds of layers 1 to N, output atoms included.

    Returns
    -------
    tuple of float
        The two products; (1, 1) for Parseval frames, where the balance is an identity.

    Notes
    -----
    The modulus keeps every norm, hence
    :math:`A_k \|u\|^2 \le \|u*\chi\|^2 + \sum_\lambda \|U[\lambda]u\|^2 \le B_k \|u\|^2` for each map u; induct over
    the layers, splitting off the emitted part before each step.
    """
    return math.prod(min(1.0, a) for a in A), math.prod(max(1.0, b) for b in B)


def remainder_bound(W: float, G: float, L: float = 1.0, R: float = 1.0) -> float:
    r"""Propagated energy after one more layer: :math:`W_{n+1}(f) \le L^2 R^2 \sup G \; W_n(f)`.

    Parameters
    ----------
    W : float
        :math:`W_n(f) = \sum_q \|U[q]f\|^2` over the paths of length n.
    G : float
        Supremum of the propagating sum of layer n + 1.
    L, R : float
        Lipschitz constants of that layer; both maps must send 0 to 0.

    Returns
    -------
    float
        Upper value of an energy, in the unit of `W`.

    Notes
    -----
    With :math:`L R (\sup G)^{1/2} \le 1`, in particular for admissible layers, W never increases with depth.
    """
    return (L * R) ** 2 * G * W


def normalising_factor(B: float, L: float = 1.0, R: float = 1.0) -> float:
    r"""Factor :math:`(B \max\{1, L^2 R^2\})^{-1/2}` by which all atoms of a layer are scaled to make it admissible.

    Parameters
    ----------
    B : float
        Upper frame bound of the layer.
    L, R : float
        Lipschitz constants of its non-linearity and pooling.

    Returns
    -------
    float
        Without unit.

    Examples
    --------
    >>> normalising_factor(4.0)
    0.5
    """
    return admissibility(B, L, R) ** -0.5


def normalising_factors_balanced(B: float, L: float, R: float) -> tuple[float, float]:
    r"""Factors for the output atom and for the propagating atoms that give refined admissibility.

    The propagating atoms are divided by L R first and then all atoms by :math:`B^{1/2}`, where `B` is the upper frame
    bound before. If L R < 1 the propagating atoms are amplified, yet the layer contracts.

    Parameters
    ----------
    B : float
        Upper frame bound of the layer.
    L, R : float
        Lipschitz constants of its non-linearity and pooling, L R > 0.

    Returns
    -------
    tuple of float
        ``(B**-0.5, B**-0.5 / (L * R))``.
    """
    return B**-0.5, B**-0.5 / (L * R)
