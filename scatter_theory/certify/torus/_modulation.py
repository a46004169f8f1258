r"""What a phase costs: the part of a deformation :math:`e^{2\pi i\omega}F_\tau` that is a modulation.

Let :math:`E h = e^{2\pi i\omega} h` with real :math:`\omega` on a line of period L, and let all layers be admissible.

* For any non-linearity, :math:`|||\Phi(Eh) - \Phi(h)||| \le \|2\sin(\pi\omega)h\| \le \min(2, 2\pi\sup|\omega|)\|h\|`.
* After a modulus the phase is invisible up to a commutator: :math:`|g * Eh| = |E(g * h) + [g, E]h|` differs from
  :math:`|g * h|` by at most :math:`|[g, E]h|`. The layers from the first one on do not expand, and the output atom of
  layer 0 sees :math:`(E - 1)h`. Hence

.. math:: |||\Phi(Eh) - \Phi(h)|||^2 \le \Big( \|([g_\lambda, E])_\lambda\|^2 +
          \sup|\hat\chi_0|^2 \min(2, 2\pi\sup|\omega|)^2 \Big) \|h\|^2 .

The first term alone bounds the features of the layers 1..N (`phase_commutator`). With :math:`E = \sum_m c_m
e^{2\pi imx/L}` and :math:`s_m` of `shift_gains` it is at most :math:`\sum_{m \ne 0} |c_m| s_m`: 0 for a constant phase,
which only the output atom of layer 0 sees. That atom keeps the sum from being any better than the first bound where
:math:`\sup|\hat\chi_0| = 1`, and rightly so: a slow signal passes through it with its phase.

**The coefficients** come from P samples. For every y > 0, moving the path of integration to :math:`x \pm iyL` gives
:math:`|c_m| \le e^{-2\pi|m|y + 2\pi\Omega(y)}` with
:math:`\Omega(y) = 2\sum_{k \ge 1} |\hat\omega_k| \sinh(2\pi ky) \ge |\mathrm{Im}\,\omega(x + iyL)|`, so that all
coefficients with :math:`|m| \ge P/2` sum to at most :math:`t = 2 e^{2\pi\Omega(y)} \rho^{P/2}/(1 - \rho)`,
:math:`\rho = e^{-2\pi y}`. They are missing once, and are aliased onto the others at most once: the sum above is too
small by at most :math:`2 t \max_m s_m`, with :math:`s_m \le 2\sup(\sum|\hat g_\lambda|^2)^{1/2}`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scatter_theory.certify._flags import checked_layer
from scatter_theory.certify.torus._commutator_gain import shift_gains
from scatter_theory.constants import Constant
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.nonlinearities import Modulus
from scatter_theory.trigonometric import Polynomial, supremum

#: Samples of the phase factor at most, and the error of its coefficients that is small enough.
SAMPLES, SMALL = 2048, 1e-13
#: Allowance for rounding, relative.
ROUNDING = 1e-12


def modulation_gain(phi: FeatureExtractor, omega: Polynomial) -> Constant:
    r"""A constant c with :math:`|||\Phi(e^{2\pi i\omega}h) - \Phi(h)||| \le c\,\|h\|` for every complex signal h.

    The smaller one of the two bounds above; the second one only if the first layer's non-linearity is the modulus. For
    :math:`h = F_\tau f` multiply by :math:`(1 - D)^{-1/2}`. Admissibility of all layers is the caller's to ask.

    Parameters
    ----------
    phi : FeatureExtractor
        For complex signals, on one axis.
    omega : Polynomial
        The phase in cycles: real, batch ``()``, with the period of the grid.

    Returns
    -------
    Constant
        c, proven.

    Raises
    ------
    TypeError
        If `phi` is no FeatureExtractor.
    ValueError
        If `phi` was made for real signals, or `omega` is no single real polynomial on the torus of its grid.
    """
    plain = _plain(phi, omega, "modulation_gain")
    later = phase_commutator(phi, omega)
    seen = float(phi.banks[0].output.detach().abs().max()) * plain.value
    value = math.hypot(seen, later.value) * (1 + ROUNDING)
    absorbed = Constant(value, f"{later.source}, and the output atom of layer 0", later.kind)
    return min(plain, absorbed, key=float)


def phase_commutator(phi: FeatureExtractor, omega: Polynomial) -> Constant:
    r"""A constant c: under :math:`h \mapsto e^{2\pi i\omega}h` the features of layers 1..N change by at most c ‖h‖.

    After a modulus the smaller one of :math:`\sum_{m \ne 0}|c_m|s_m` and :math:`\min(2, 2\pi\sup|\omega|)`, otherwise
    the latter.

    Parameters
    ----------
    phi, omega
        As for `modulation_gain`.

    Returns
    -------
    Constant
        c, proven.

    Raises
    ------
    TypeError, ValueError
        As for `modulation_gain`.
    """
    plain = _plain(phi, omega, "phase_commutator")
    if type(phi.layers[0].nonlinearity) is not Modulus:
        return plain
    LR = phi.layer_constant(1)
    sup_g = LR.value * math.sqrt(float(phi.banks[0].propagating_sum().detach().max()))
    P = 8 * max(omega.degrees[0], 1)
    while _tail(omega, P) > SMALL and P < SAMPLES:
        P *= 2
    grid = Grid((P,), (omega.extent[0] / P,))
    phase = 2 * math.pi * omega.on(grid)
    c = (grid.fft(torch.polar(torch.ones_like(phase), phase)) / P).detach().abs()
    m = torch.arange(1, P // 2, device=c.device)
    gains = shift_gains(phi, 0, P // 2 - 1).to(c.device)
    rounding = 8 * torch.finfo(torch.float64).eps * math.log2(P) * math.sqrt(P) * float(gains.sum())
    value = float(((c[m] + c[-m]) * gains).sum()) + 4 * sup_g * _tail(omega, P) + rounding
    absorbed = Constant(
        value, "phase absorbed by the modulus up to a commutator", "certified" if LR.proves else "declared"
    )
    return min(plain, absorbed, key=float)


def _plain(phi: FeatureExtractor, omega: Polynomial, owner: str) -> Constant:
    """What a phase costs any network whose layers do not expand; refuses arguments that do not fit."""
    checked_layer(phi, 0, owner, 0)
    if not phi.complex_input:
        raise ValueError(
            f"`{owner}(phi=...)`: a phase makes signals complex, and this extractor was made for real ones. Use "
            "`FeatureExtractor(..., complex_input=True)`."
        )
    if not omega.real or omega.batch or omega.ndim != 1:
        raise ValueError(
            f"`{owner}(omega=...)`: got a {'real' if omega.real else 'complex'} polynomial with batch {omega.batch} "
            f"and {omega.ndim} axes, expected a single real one on a line."
        )
    phi.grid.check_extent(omega.extent, owner, "phase")
    size = min(2.0, 2 * math.pi * float(supremum(omega).upper)) * (1 + ROUNDING)
    return Constant(size, "|exp(2 pi i omega) - 1|, non-expansive layers", "certified")


def _tail(omega: Polynomial, P: int) -> float:
    """Upper value of the sum of the moduli of all coefficients of the phase factor with ``|m| >= P/2``."""
    w: Tensor = omega.coefficients.detach().abs()
    M = omega.degrees[0]
    if not bool(w[M + 1 :].any()):
        return 0.0
    k = torch.arange(1, M + 1, dtype=torch.float64, device=w.device)
    y = torch.logspace(-4, 0.5, 300, dtype=torch.float64, device=w.device)
    growth = 2 * (w[M + 1 :, None] * torch.sinh(2 * math.pi * k[:, None] * y)).sum(0)
    exponent = math.log(2) + 2 * math.pi * growth - math.pi * P * y - torch.log(-torch.expm1(-2 * math.pi * y))
    return float(torch.exp(exponent.min().clamp_max(700.0)))
