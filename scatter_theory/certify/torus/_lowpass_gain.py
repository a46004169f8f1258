r"""How much of a derivative the output atoms let through: the constant of the low-pass part of a deformation bound.

On the torus, at all lattice frequencies w (cycles per unit of the undilated signal), let

.. math:: \alpha_N = \sup_w |w \hat\chi_N|^2, \qquad
          \alpha_{n-1} = \sup_w \big( |w \hat\chi_{n-1}|^2 + \alpha_n L_n^2 R_n^2 G_n \big) .

Then :math:`\sum_q \|\nabla(\chi_{|q|} * U[q]f)\|^2 \le 4\pi^2 \alpha_0 \|f\|^2`. *Proof.* Claim: the sum over the part
of the network that starts at a map u of layer n is at most :math:`4\pi^2 \alpha_n \|u\|^2`. For n = N this is
Plancherel. A map u of layer n - 1 emits :math:`\chi_{n-1} * u` and passes on maps of total energy
:math:`\le L_n^2R_n^2 \int G_n|\hat u|^2`; insert the claim for n. Dilations only relabel w, so that all layers are read
at the frequencies of the signal. For real u the even part of a multiplier decides.

**Non-negative maps.** For :math:`n \ge 1`, if the maps of layer n have values (or both parts) :math:`\ge 0`, the
supremum over w may be replaced by the one over such u. For every measure :math:`\mu \ge 0` on the torus,
:math:`\int \Re\langle u, T_xu\rangle\,d\mu(x) \ge 0`, so that :math:`M(k) + \hat\mu(k) \le \lambda` at *all* lattice
frequencies k proves :math:`\int M|\hat u|^2 \le \lambda\|u\|^2`. Finitely many shifts on a grid of n points have a
periodic :math:`\hat\mu`, which costs :math:`\hat\mu(0)` once more at every alias of 0. So the weights are spread into
triangles as wide as two cells: :math:`\hat\mu(k) = d(k)\,\mathrm{sinc}^2(k/n)`, with d the DFT of the weights, which
vanishes at these aliases. With r the residue of k in the central period and T a bound of M outside it,

.. math:: \lambda = \max_r \big\{ M(r) + d(r)\,\mathrm{sinc}^2(r/n),\;
                                 T + \max(d(r), 0)\,\mathrm{sinc}^2(1 - |r|/n) \big\}

is a proof (in several dimensions the product over the axes, with the worst axis outside). Never used at n = 0, where u
is the signal.

**Beyond the grid** the filters keep the values of its highest frequencies (`lattice`): :math:`G_n` is at most its
maximum on the grid, and :math:`\hat\chi_n` is 0 if it is 0 on the border of the grid. If it is not, the recursion has
no finite value.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from scatter_theory.certify._flags import checked_layer, non_negative
from scatter_theory.certify.positivity._certificate import positivity_certificate
from scatter_theory.constants import Constant, Kind
from scatter_theory.network import FeatureExtractor

#: Shifts per sample and axis, if there are at most so many of them, else one. Finer shifts make narrower triangles.
FINER, MOST = 2, 1024
#: Allowance for rounding, relative.
ROUNDING = 1e-12
#: An output atom of this size counts as 0.
VANISHING = 1e-13


def lowpass_gain(phi: FeatureExtractor, *, positive: bool = True) -> Constant:
    r"""The constant :math:`\alpha_0^{1/2}` of the derivatives of all features.

    Those of f have a total norm of at most :math:`2\pi\,\alpha_0^{1/2}\|f\|`. With :math:`D = d\,\|D\tau\|_\infty < 1`
    and :math:`g(D) = 2/(1 + \sqrt{1 - D})` it follows that
    :math:`|||F_\tau\Phi(f) - \Phi(f)||| \le 2\pi\,g(D)\,\|\tau\|_\infty\,\alpha_0^{1/2}\,\|f\|`. It holds on the torus,
    at all lattice frequencies, in the mode ``"dilate"``; that 0 is mapped to 0 is the caller's to ask
    (`vanishing_layer`).

    Parameters
    ----------
    phi : FeatureExtractor
    positive : bool
        Use certificates of positivity for the layers whose maps are non-negative. Never worse.

    Returns
    -------
    Constant
        In cycles per unit of the signal's grid, rounded up; infinite if an output atom does not vanish on the border of
        its grid. ``"certified"``, or ``"declared"`` if the Lipschitz constant of a layer is only declared.

    Raises
    ------
    TypeError
        If `phi` is no FeatureExtractor.
    ValueError
        If samples are dropped between the layers.
    """
    checked_layer(phi, 0, "lowpass_gain", 0)
    if phi.sampling == "decimate" and phi.pooling_product(phi.depth) != 1:
        raise ValueError(
            "`lowpass_gain(phi=...)`: samples are dropped between the layers, which has no counterpart on the torus. "
            "Use sampling='dilate'."
        )
    constants = [phi.layer_constant(n) for n in range(1, phi.depth + 1)]
    alpha, used = 0.0, list[int]()
    for n in range(phi.depth, -1, -1):
        derivative = _derivative_power(phi, n)
        passed = _passed_power(phi, n + 1) if n < phi.depth else np.zeros(phi.grid.shape)
        M, beyond = derivative + alpha * passed, alpha * float(passed.max())
        if not np.all(np.isfinite(M)):
            text = f"the output atom of layer {n} does not vanish at the highest frequencies"
            return Constant(math.inf, text, "certified", f"cycles/{phi.grid.unit}")
        alpha = max(float(M.max()), beyond)
        if positive and n and non_negative(phi, n).satisfied:
            proven = non_negative_supremum(M, beyond)
            if proven < alpha:
                alpha, used = proven, [n, *used]
        alpha *= 1 + ROUNDING
    kind: Kind = next((c.kind for c in constants if not c.proves), "certified")
    layers = f", maps of layer {', '.join(map(str, used))} non-negative" if used else ""
    source = f"backward recursion over all lattice frequencies{layers}"
    return Constant(math.sqrt(alpha), source, kind, f"cycles/{phi.grid.unit}")


def non_negative_supremum(M: np.ndarray, beyond: float) -> float:
    r"""Certified :math:`\lambda` with :math:`\sum_k M|\hat u|^2 \le \lambda\|u\|^2` for all u >= 0 on the torus.

    Parameters
    ----------
    M : (*shape) array
        Multiplier >= 0 at the lattice frequencies of a grid, ``fftfreq`` order; the even part if u is real.
    beyond : float
        Upper bound of the multiplier at all other lattice frequencies.
    """
    q = FINER if FINER**M.ndim * M.size <= MOST else 1
    shape = tuple(q * N for N in M.shape)
    wide = np.full(shape, beyond)
    box = np.ix_(*(np.concatenate([np.arange((N + 1) // 2), np.arange(-(N // 2), 0)]) for N in M.shape))
    wide[box] = M
    if not wide.any():
        return 0.0
    proof = positivity_certificate(wide)
    weights = np.zeros(shape)
    for x, weight in zip(proof.shifts, proof.weights, strict=True):
        weights[tuple(c % n for c, n in zip(x, shape, strict=True))] += weight
    d = np.fft.fftn(weights).real
    inside, outside = np.ones(shape), np.zeros(shape)
    for axis, n in enumerate(shape):
        r = np.abs(np.fft.fftfreq(n)).reshape([-1 if a == axis else 1 for a in range(M.ndim)])
        central, alias = np.sinc(r) ** 2, np.sinc(1 - r) ** 2
        # One axis in its nearest alias, the others at home: everything farther out is smaller.
        inside, outside = inside * central, np.maximum(outside * central, inside * alias)
    size = max(float(wide.max()), beyond) + math.fsum(proof.weights)
    rounding = 50 * np.finfo(float).eps * max(1.0, math.log2(wide.size)) * size
    rows = np.maximum(wide + inside * d, beyond + outside * np.maximum(d, 0.0))
    return float(rows.max()) + rounding


def _derivative_power(phi: FeatureExtractor, n: int) -> np.ndarray:
    r""":math:`|w\hat\chi_n|^2` on the grid; infinite if the output atom does not vanish on its border."""
    power = phi.banks[n].output_power(real=phi.real[n]).detach()
    border = torch.zeros(power.shape, dtype=torch.bool, device=power.device)
    for axis, N in enumerate(power.shape):
        k = torch.arange(N, device=power.device)
        outside = torch.minimum(k, N - k) >= (N - 1) // 2
        border = border | outside.reshape([-1 if a == axis else 1 for a in range(power.ndim)])
    if bool((power[border] > VANISHING**2).any()):
        return np.full(tuple(power.shape), math.inf)
    radius = phi.grid.frequencies(device=power.device).square().sum(0)
    return (radius * power).cpu().numpy()


def _passed_power(phi: FeatureExtractor, n: int) -> np.ndarray:
    """Squared gain ``L^2 R^2 G`` of layer n = 1..N on the grid."""
    G = phi.banks[n - 1].propagating_sum(real=phi.real[n - 1]).detach()
    return phi.layer_constant(n).value ** 2 * G.cpu().numpy()
