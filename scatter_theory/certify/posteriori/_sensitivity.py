r"""First-order sensitivity of a network at a signal, over all displacements at once: a diagnostic, not a bound.

Let J be the derivative of :math:`\Phi` at a real signal f on a line, and
:math:`Q = \mathrm{diag}(f')\,J^TJ\,\mathrm{diag}(f')` with the norm of the features. For displacements of the samples
with :math:`|\tau(x_i)| \le t`, to first order

.. math:: \sup_\tau |||\Phi(F_\tau f) - \Phi(f)||| = t \max_{|x_i| \le 1} (x^TQx)^{1/2} + o(t),

because :math:`F_\tau f - f = -\tau f' + O(t^2)` sample by sample; :math:`\tau` need not be continuous. `sign_program`
encloses the maximum, with a proof for the matrix Q: the upper end is at most :math:`(\pi/2)^{1/2} = 1.2534` times the
maximum if the program is solved. For a finite t nothing is proven, and the constants are ``"estimated"``.

The derivative must exist: no filtered map may lie on a kink of its non-linearity (0 for the modulus). For one value of
a filtered map :math:`v \ne 0` the remainder of the modulus is known,
:math:`0 \le |v + e| - |v| - \Re(\bar v e)/|v| \le |e|^2/(2|v|)`; so the smallest modulus tells for how small t the
first order may be believed.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from scatter_theory.certify._flags import checked_layer
from scatter_theory.certify.posteriori._sign_program import SignProgram, sign_program
from scatter_theory.constants import Constant
from scatter_theory.network import FeatureExtractor
from scatter_theory.nonlinearities import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Modulus,
    Nonlinearity,
    ReLU,
    Sigmoid,
    SiLU,
    Tanh,
)
from scatter_theory.poolings import Average, NoPooling, Subsample
from scatter_theory.results import Hypothesis
from scatter_theory.trigonometric import Polynomial

#: Longest signal, and columns of Q that are computed at once.
LONGEST, COLUMNS = 512, 32
#: A filtered map this close to a kink, relative to the largest value of the signal, counts as on it.
KINK = 1e-13


@dataclass(frozen=True, eq=False)
class FirstOrderSensitivity:
    r"""What all displacements with :math:`|\tau| \le t` change, per unit of t, to first order in t.

    Parameters
    ----------
    hypotheses : tuple of Hypothesis
        What the derivative needs; if one is not satisfied, `program` is None.
    smallest : float
        Smallest distance of a filtered map from a kink; infinite if there are none.
    program : SignProgram or None
        The enclosure of the squares.
    unit : str
        Unit of position.
    """

    hypotheses: tuple[Hypothesis, ...]
    smallest: float
    program: SignProgram | None
    unit: str
    order: ClassVar[str] = "first order"

    @property
    def applicable(self) -> bool:
        """Whether the derivative exists at this signal."""
        return self.program is not None

    @property
    def lower(self) -> Constant:
        """Value of the best displacement found, per unit of t; never proves anything for a finite t."""
        return self._constant("lower", "best signs found")

    @property
    def upper(self) -> Constant:
        """Upper value over all displacements, per unit of t; never proves anything for a finite t."""
        return self._constant("upper", "semi-definite relaxation")

    def _constant(self, end: str, how: str) -> Constant:
        value = math.nan if self.program is None else math.sqrt(max(getattr(self.program, end), 0.0))
        return Constant(value, f"{self.order}: {how}", "estimated", f"norm/{self.unit}")

    def recheck(self, phi: FeatureExtractor, f: Tensor | np.ndarray) -> bool:
        """Whether the stored weights and signs prove the enclosure for the linearised network at f."""
        return self.program is not None and self.program.holds_for(sensitivity_matrix(phi, f))

    def __str__(self) -> str:
        if self.program is None:
            failed = "; ".join(str(h) for h in self.hypotheses if not h.satisfied)
            return f"first-order sensitivity: INAPPLICABLE: {failed}"
        low, high = self.lower.value, self.upper.value
        return f"{self.order}: [{low:.6g}, {high:.6g}] per {self.unit}, smallest filtered map {self.smallest:.3g}"


def first_order_sensitivity(phi: FeatureExtractor, f: Tensor | np.ndarray, *, seed: int = 0) -> FirstOrderSensitivity:
    r"""Enclose the first-order change of the features over all displacements :math:`|\tau| \le t`, per unit of t.

    Parameters
    ----------
    phi : FeatureExtractor
        On a line with at most 512 samples, in float64.
    f : (N,) tensor or array
        One real signal, read as its trigonometric interpolant without the Nyquist frequency.
    seed : int
        Of the iteration and of the search for signs.

    Returns
    -------
    FirstOrderSensitivity

    Raises
    ------
    TypeError, ValueError
        If `phi` is no FeatureExtractor in float64 on such a line, or f is not one real signal.
    """
    x = _signal(phi, f, "first_order_sensitivity")
    smallest, hypotheses = _differentiable(phi, x)
    program = None
    if all(h.satisfied for h in hypotheses):
        program = sign_program(sensitivity_matrix(phi, x), seed=seed)
    return FirstOrderSensitivity(hypotheses, smallest, program, phi.grid.unit)


def sensitivity_matrix(phi: FeatureExtractor, f: Tensor | np.ndarray) -> np.ndarray:
    r""":math:`Q = \mathrm{diag}(f')\,J^TJ\,\mathrm{diag}(f')`, ``(N, N)``, by forward and backward differentiation.

    Raises
    ------
    TypeError, ValueError
        As `first_order_sensitivity`.
    """
    x = _signal(phi, f, "sensitivity_matrix")
    frozen = phi.frozen(phi(x))
    slope = _slope(phi, x)
    weights = [math.sqrt(grid.cell_volume) for grid in phi.grids]

    def vectors(batch: Tensor) -> Tensor:
        parts = []
        for layer, weight in zip(frozen(batch), weights, strict=True):
            values = layer.values.flatten(1)
            parts.append(weight * (torch.view_as_real(values).flatten(1) if values.is_complex() else values))
        return torch.cat(parts, 1)

    rows = []
    for tangents in torch.diag(slope).split(COLUMNS):
        batch = x.expand(len(tangents), -1).contiguous()
        with warnings.catch_warnings():
            # Forward differentiation loads parts of torch that use its own deprecated compiler.
            warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
            _, moved = torch.func.jvp(vectors, (batch,), (tangents,))
        _, pull = torch.func.vjp(vectors, batch)
        rows.append(pull(moved)[0] * slope)
    Q = torch.cat(rows).detach().cpu().numpy()
    return 0.5 * (Q + Q.T)


def _slope(phi: FeatureExtractor, x: Tensor) -> Tensor:
    """Derivative of the trigonometric interpolant at the samples, without the Nyquist frequency."""
    return Polynomial.interpolating(x, phi.grid).derivative(0).on(phi.grid)


def _signal(phi: Any, f: Any, owner: str) -> Tensor:
    """The checked signal."""
    checked_layer(phi, 0, owner, 0)
    if phi.grid.ndim != 1 or phi.grid.size > LONGEST or phi.dtype != torch.float64:
        raise ValueError(
            f"`{owner}(phi=...)`: got {phi.grid} in {phi.dtype}, expected a line with at most {LONGEST} samples in "
            "float64. The matrix of all pairs of samples is formed."
        )
    x = phi.prepare(f)
    if x.ndim != 1 or x.is_complex():
        raise ValueError(f"`{owner}(f=...)`: got {x.dtype} of shape {tuple(x.shape)}, expected one real signal.")
    return x.detach()


def _differentiable(phi: FeatureExtractor, x: Tensor) -> tuple[float, tuple[Hypothesis, ...]]:
    """Distance of the filtered maps from kinks, and whether the derivative exists."""
    kinds = {type(layer.pooling) for layer in phi.layers}
    unknown = ", ".join(sorted(kind.__name__ for kind in kinds - {NoPooling, Subsample, Average}))
    linear = Hypothesis("poolings are linear", not unknown, unknown or None)
    smallest, reason = math.inf, ""
    kept = {tuple(path) for path in phi(x).paths}
    for step in phi.walk(x):
        n = len(step.path)
        if n == phi.depth:
            continue
        atoms = [i for i in range(len(phi.banks[n])) if (*step.path, i) in kept]
        bank, U = phi.banks[n], step.U
        V = phi.grids[n].ifft(phi.grids[n].fft(U) * bank.spectra[atoms].to(U.device))
        V = V.real if bank.kind == "real" and not U.is_complex() else V
        distance = _from_kink(phi.layers[n].nonlinearity, V)
        if math.isnan(distance):
            reason = f"the kinks of {type(phi.layers[n].nonlinearity).__name__} are not known"
        smallest = min(smallest, distance)
    good = not reason and smallest > KINK * float(x.abs().max())
    smooth = Hypothesis("no filtered map lies on a kink of its non-linearity", good, reason or smallest)
    return smallest, (smooth, linear)


def _from_kink(nonlinearity: Nonlinearity, V: Tensor) -> float:
    """Smallest distance of values from where the non-linearity has no derivative; NaN where that is not known."""
    if V.numel() == 0 or type(nonlinearity) in (Tanh, Sigmoid, Identity, GELU, SiLU):
        return math.inf
    if type(nonlinearity) is Modulus:
        return float(V.abs().min())
    if type(nonlinearity) in (ReLU, LeakyReLU, ELU):
        parts = torch.view_as_real(V) if V.is_complex() else V
        return float(parts.abs().min())
    return math.nan
