r"""Enclosing :math:`\max_{|x_i| \le 1} x^TQx` for a positive semi-definite matrix Q of moderate size.

The maximum of a convex function over the cube is attained at signs :math:`x_i = \pm 1`.

*Upper.* If :math:`\mathrm{diag}(d) - Q` is positive semi-definite, :math:`x^TQx \le \sum d_i x_i^2 \le \sum d_i`. The
best such d is found by maximising :math:`\sum Q_{ij}\langle v_i, v_j\rangle` over unit vectors of low dimension, one
vector at a time (the mixing method); then :math:`d_i = \sum_j Q_{ij}\langle v_i, v_j\rangle`, raised by
:math:`\max(0, -\lambda_{\min}(\mathrm{diag}(d) - Q))` and by :math:`N\varepsilon\|Q\|` for rounding. Whatever the
iteration did, the result is an upper bound. The best d is at most :math:`\pi/2` times the maximum (Nesterov).

*Lower.* Signs of random projections of the :math:`v_i`, improved by flipping single signs while this helps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

#: Largest asymmetry, relative to the largest entry, that counts as rounding.
SYMMETRIC = 1e-9
#: Sweeps at most, sweeps between two looks at the progress, and the relative progress that ends the iteration.
SWEEPS, LOOK, PROGRESS = 3000, 20, 1e-9
#: Random projections.
PROJECTIONS = 64


@dataclass(frozen=True, eq=False)
class SignProgram:
    r"""An enclosure of :math:`\max_{|x_i| \le 1} x^TQx`, with its proofs.

    Parameters
    ----------
    lower, upper : float
    signs : (N,) array
        x with ``x^T Q x = lower``.
    weights : (N,) array
        d with :math:`\mathrm{diag}(d) \ge Q` and :math:`\sum d_i` = `upper`.
    """

    lower: float
    upper: float
    signs: np.ndarray
    weights: np.ndarray

    def holds_for(self, Q: np.ndarray) -> bool:
        """Whether weights and signs prove the enclosure for the symmetric matrix Q, within rounding."""
        Q = checked(Q, "SignProgram.holds_for")
        if Q.shape != (len(self.weights),) * 2:
            return False
        slack = np.linalg.eigvalsh(np.diag(self.weights) - Q)[0] >= -_rounding(Q)
        reached = self.signs @ Q @ self.signs >= self.lower * (1 - 1e-9)
        return bool(slack and reached and self.weights.sum() <= self.upper * (1 + 1e-12))


def sign_program(Q: np.ndarray, *, seed: int = 0) -> SignProgram:
    """Enclose the maximum of a quadratic form over the cube.

    Parameters
    ----------
    Q : (N, N) array
        Real, symmetric, positive semi-definite (up to rounding).
    seed : int

    Raises
    ------
    ValueError
        For a matrix that is complex, not square, not finite, not symmetric or clearly not positive semi-definite.
    """
    Q = checked(Q, "sign_program")
    scale = float(np.abs(Q).max(initial=0.0))
    if scale == 0:
        return SignProgram(0.0, 0.0, np.ones(len(Q)), np.zeros(len(Q)))
    least = float(np.linalg.eigvalsh(Q)[0])
    if least < -1e-9 * scale * len(Q):
        raise ValueError(f"`sign_program(Q=...)`: the smallest eigenvalue is {least:.3g}, expected none below 0.")
    rng = np.random.default_rng(seed)
    V = _mixed(Q / scale, rng)
    d = scale * np.einsum("ij,ij->i", (Q / scale) @ V, V)
    shift = max(0.0, -float(np.linalg.eigvalsh(np.diag(d) - Q)[0])) + _rounding(Q)
    d = d + shift
    signs = max((_flipped(Q, x) for x in _starts(V, rng)), key=lambda x: float(x @ Q @ x))
    return SignProgram(float(signs @ Q @ signs), math.fsum(d), signs, d)


def checked(Q: np.ndarray, owner: str) -> np.ndarray:
    """The matrix, made exactly symmetric; refused if it is not symmetric to begin with."""
    Q = np.asarray(Q)
    if np.iscomplexobj(Q):
        raise ValueError(
            f"`{owner}(Q=...)`: got a complex matrix, expected a real one. Displacements are real: pass `Q.real` of a "
            "Hermitian matrix."
        )
    if Q.ndim != 2 or Q.shape[0] != Q.shape[1] or not np.all(np.isfinite(Q)):
        raise ValueError(f"`{owner}(Q=...)`: got shape {Q.shape}, expected a square matrix of finite numbers.")
    defect = float(np.abs(Q - Q.T).max(initial=0.0))
    if defect > SYMMETRIC * float(np.abs(Q).max(initial=0.0)):
        raise ValueError(f"`{owner}(Q=...)`: Q and its transpose differ by {defect:.3g}, expected a symmetric matrix.")
    return 0.5 * (Q + Q.T).astype(float)


def _rounding(Q: np.ndarray) -> float:
    return 4 * len(Q) * np.finfo(float).eps * float(np.linalg.norm(Q, 2))


def _mixed(Q: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors ``(N, r)`` that nearly maximise the form; r is large enough for no bad local maxima."""
    N = len(Q)
    V = rng.standard_normal((N, math.isqrt(2 * N) + 2))
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    off = Q - np.diag(np.diag(Q))
    before = -math.inf
    for sweep in range(SWEEPS):
        for i in range(N):
            pull = off[i] @ V
            size = math.sqrt(float(pull @ pull))
            if size > 0:
                V[i] = pull / size
        if sweep % LOOK == 0:
            value = float(np.einsum("ij,ij->", Q @ V, V))
            if value - before <= PROGRESS * value:
                break
            before = value
    return V


def _starts(V: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sign vectors ``(PROJECTIONS + 1, N)``: of the leading direction, and of random ones."""
    leading = np.linalg.svd(V, full_matrices=False)[2][0]
    directions = np.vstack([leading, rng.standard_normal((PROJECTIONS, V.shape[1]))])
    return np.where(directions @ V.T >= 0, 1.0, -1.0)


def _flipped(Q: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Flip the sign that helps most, until none does; the form never falls."""
    x, y = x.copy(), Q @ x
    diagonal = np.diag(Q)
    floor = 1e-12 * float(np.abs(Q).sum())
    while True:
        # Flipping i changes the form by 4 (Q_ii - x_i y_i).
        gains = diagonal - x * y
        i = int(np.argmax(gains))
        if gains[i] <= floor:
            return x
        y -= 2 * x[i] * Q[:, i]
        x[i] = -x[i]
