r"""What non-negativity of propagated signals is worth: a certified constant, by linear programming.

Let u be any signal on a grid with :math:`\mathrm{Re}\langle u, T_x u\rangle \ge 0` for all whole shifts x; every
:math:`u \ge 0` is one, and so is every u with non-negative real and imaginary parts. Let :math:`M \ge 0` be a function
of the DFT frequencies.

**Theorem.** If :math:`\mu_x \ge 0` are weights on finitely many whole shifts and

.. math:: M(k) + \sum_x \mu_x \cos(2\pi\langle k, x\rangle/N) \le \lambda \quad\text{for all } k,

then :math:`\sum_k M |\hat u|^2 \le \lambda \sum_k |\hat u|^2`.

*Proof.* With :math:`P = |\hat u|^2`:
:math:`\sum M P \le \lambda\sum P - \sum_x\mu_x\sum_k\cos(2\pi\langle k,x\rangle/N)P(k)`, and the inner sums are
positive multiples of :math:`\mathrm{Re}\langle u, T_x u\rangle \ge 0`. Empty weights give :math:`\lambda = \max M`.

The least :math:`\lambda` is a linear program. Nothing rests on its solver: any :math:`\mu \ge 0` is a certificate, and
:math:`\lambda` is read off by one FFT.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.certify.positivity._attained import attained
from scatter_theory.certify.positivity._program import program


@dataclass(frozen=True)
class PositivityCertificate:
    r"""Weights :math:`\mu` that prove :math:`\|m * u\|^2 \le \lambda\|u\|^2` for the signals of this module.

    Parameters
    ----------
    shape : tuple of int
        Samples per axis of the layer.
    shifts : tuple of tuples of int
        Whole shifts x, in samples.
    weights : tuple of float
        :math:`\mu_x \ge 0`.
    value : float
        :math:`\lambda`, rounded up.
    peak : float
        :math:`\max M`.
    lower : float
        :math:`\|m * u\|^2/\|u\|^2` of the best :math:`u \ge 0` that was found.
    """

    shape: tuple[int, ...]
    shifts: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    value: float
    peak: float
    lower: float

    @property
    def c(self) -> float:
        r"""Certified factor :math:`(\lambda/\max M)^{1/2} \le 1` on the bound that does not know of positivity."""
        return math.sqrt(self.value / self.peak) if self.peak > 0 else 1.0

    @property
    def found(self) -> float:
        """The factor that the best signal found attains, at most `c`."""
        return math.sqrt(self.lower / self.peak) if self.peak > 0 else 1.0

    @property
    def gap(self) -> float:
        """Relative distance between the certified factor and the best one found."""
        return 1 - math.sqrt(self.lower / self.value) if self.value > 0 else 0.0

    def rechecked(self, M: np.ndarray) -> float:
        r""":math:`\lambda` for the multiplier M, ``(*shape)``, from the weights alone; rounded up.

        Raises
        ------
        ValueError
            For another shape, weights that are negative or not finite, or shifts that are not whole.
        """
        if tuple(M.shape) != self.shape:
            raise ValueError(f"`rechecked(M=...)`: got shape {tuple(M.shape)}, the certificate is for {self.shape}.")
        if len(self.shifts) != len(self.weights) or any(not (math.isfinite(w) and w >= 0) for w in self.weights):
            raise ValueError("`PositivityCertificate`: weights must be finite and not negative, one for each shift.")
        if any(len(x) != len(self.shape) or any(int(c) != c for c in x) for x in self.shifts):
            raise ValueError("`PositivityCertificate`: shifts must be whole, one number per axis.")
        return _value(M, self.shifts, self.weights)

    def holds_for(self, M: np.ndarray) -> bool:
        """Whether the stored value is at least what the weights prove for M; False for a certificate that is broken."""
        try:
            return self.rechecked(M) <= self.value * (1 + 1e-12)
        except ValueError:
            return False

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {
            "shape": list(self.shape),
            "shifts": [list(x) for x in self.shifts],
            "weights": list(self.weights),
            "value": self.value,
            "peak": self.peak,
            "lower": self.lower,
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> PositivityCertificate:
        """The certificate that `to_dict` wrote down."""
        return cls(
            tuple(int(n) for n in table["shape"]),
            tuple(tuple(int(c) for c in x) for x in table["shifts"]),
            tuple(float(w) for w in table["weights"]),
            *(float(table[name]) for name in ("value", "peak", "lower")),
        )


def positivity_certificate(M: np.ndarray, *, seed: int = 0) -> PositivityCertificate:
    r"""Certify :math:`\sum M|\hat u|^2 \le \lambda\sum|\hat u|^2`, and find a :math:`u \ge 0` that comes close.

    Parameters
    ----------
    M : (*shape) array
        Non-negative multiplier at the DFT frequencies, ``fftfreq`` order. If u is real, pass the even part of M.
    seed : int
        Of the starts of the search for the lower value.

    Returns
    -------
    PositivityCertificate
        Never worse than ``max M``, which needs no shift at all.

    Raises
    ------
    ValueError
        If M has negative or non-finite entries, or no entry.
    """
    M = np.asarray(M, dtype=float)
    if M.size == 0 or not np.all(np.isfinite(M)) or np.any(M < 0):
        raise ValueError("`positivity_certificate(M=...)`: expected finite numbers >= 0, at least one.")
    peak = float(M.max())
    if peak == 0:
        return PositivityCertificate(M.shape, (), (), 0.0, 0.0, 0.0)
    shifts, weights = program(M / peak)
    weights = [w * peak for w in weights]
    value, trivial = _value(M, shifts, weights), _value(M, (), ())
    if value >= trivial:
        value, shifts, weights = trivial, [], []
    lower = attained(M, np.random.default_rng(seed))
    return PositivityCertificate(M.shape, tuple(shifts), tuple(weights), value, peak, lower)


def _value(M: np.ndarray, shifts: Sequence[Sequence[int]], weights: Sequence[float]) -> float:
    """``max (M + mu^)`` by one FFT, and what its rounding may hide."""
    mu = np.zeros(M.shape)
    for x, w in zip(shifts, weights, strict=True):
        mu[tuple(c % n for c, n in zip(x, M.shape, strict=True))] += w
    total = math.fsum(weights)
    rounding = 50 * np.finfo(float).eps * max(1.0, math.log2(M.size)) * (total + float(M.max()))
    return float(np.max(M + np.fft.fftn(mu).real) + rounding)
