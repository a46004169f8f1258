r"""Suprema of quadratic forms over signals that correlate non-negatively with their own translates.

Let :math:`\mathrm{Re}\langle u, T_x u\rangle \ge 0` for all shifts x of the torus. For weights :math:`\mu_x \ge 0` with
transform :math:`\hat\mu(k) = \sum_x \mu_x \cos(2\pi\langle k, x\rangle)` (x in periods),

.. math:: \langle u, Hu \rangle \le \langle u, (H + \hat\mu) u\rangle \le \lambda_{\max}(H + \hat\mu)\,\|u\|^2 ,

because :math:`\sum_k \hat\mu(k)|\hat u(k)|^2 = \sum_x \mu_x \mathrm{Re}\langle u, T_x u\rangle \ge 0`. The least value
over :math:`\mu` is a convex problem, solved by cutting planes; each iterate proves its own value.

Shifts are multiples of 1/n. Weights at points would have a periodic transform, whose value at 0 comes back at all
multiples of n, beyond every cut-off. So each is spread into a triangle of width 2/n, and
:math:`\hat\mu(k) = \mathrm{sinc}^2(k/n) \sum_x \mu_x \cos(2\pi kx)`, which vanishes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

#: Rounding of a largest eigenvalue, relative to the size of the matrix, per dimension.
_ROUNDING = 4 * np.finfo(float).eps
#: Rounds of cutting planes, and the relative improvement that ends them.
ROUNDS, ENOUGH = 30, 1e-3
#: Leading eigenvectors that become planes in a round, and vectors that are kept for the next form.
TOGETHER, KEPT = 4, 40


def largest(form: Tensor, tail: float = 0.0) -> float:
    """Upper value of the largest eigenvalue of a Hermitian matrix, or of its continuation by `tail`."""
    values = torch.linalg.eigvalsh(form)
    size = float(values.abs().max())
    return max(float(values[-1]) + _ROUNDING * len(values) * size, tail)


@dataclass
class PositiveForm:
    """Cutting planes for forms of one size; vectors that were found are used again for the next form.

    Parameters
    ----------
    frequencies : (d, n) whole numbers
        Frequencies of the rows of the forms.
    shape : tuple of int
        Shifts are multiples of the period over these numbers.
    """

    frequencies: np.ndarray
    shape: tuple[int, ...]
    vectors: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        places = np.unravel_index(np.arange(int(np.prod(self.shape))), self.shape)
        mirrored = np.ravel_multi_index([(-p) % n for p, n in zip(places, self.shape, strict=True)], self.shape)
        self.shifts = np.flatnonzero(np.arange(len(mirrored)) <= mirrored)
        x = np.stack(places).T[self.shifts] / np.array(self.shape)
        sizes = np.array(self.shape)[:, None]
        self.waves = np.cos(2 * np.pi * (x @ self.frequencies)) * np.prod(np.sinc(self.frequencies / sizes) ** 2, 0)
        windows = [_windows(int(np.abs(k).max()), n) for k, n in zip(self.frequencies, self.shape, strict=True)]
        residues = np.stack(places)
        share = np.zeros(residues.shape[1])
        for axis in range(len(self.shape)):
            parts = [windows[i][int(i == axis)][r] for i, r in enumerate(residues)]
            share = np.maximum(share, np.prod(parts, 0))
        self.beyond = np.cos(2 * np.pi * (x @ residues)) * share

    def proven(self, form: Tensor, tail: float, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The value that weights prove, and the leading eigenvectors; NaN or negative weights prove nothing."""
        if not (np.all(np.isfinite(weights)) and np.all(weights >= 0)):
            return np.inf, np.zeros((form.shape[0], 1))
        mu = torch.from_numpy(weights @ self.waves).to(form.device)
        values, vectors = torch.linalg.eigh(form + torch.diag(mu).to(form.dtype))
        size = float(values.abs().max())
        top = float(values[-1]) + _ROUNDING * len(values) * size
        beyond = (
            tail + max(0.0, float(np.max(weights @ self.beyond))) + _ROUNDING * len(weights) * float(np.sum(weights))
        )
        return max(top, beyond), vectors[:, -TOGETHER:].cpu().numpy()

    def supremum(self, form: Tensor, tail: float = 0.0) -> tuple[float, np.ndarray]:
        """An upper value over the signals of this module, and the weights that prove it."""
        value, weights, *_ = self._solved(form, tail)
        return value, weights

    def balanced(self, form: Tensor, tail: float = 0.0) -> tuple[float, list[np.ndarray], list[float]]:
        """The upper value, and vectors with shares that give its derivatives; what is missing to 1 is the tail's."""
        value, _, vectors, shares = self._solved(form, tail)
        kept = [i for i, share in enumerate(shares) if share > 1e-9]
        return value, [vectors[i] for i in kept], [shares[i] for i in kept]

    def _solved(self, form: Tensor, tail: float) -> tuple[float, np.ndarray, list[np.ndarray], list[float]]:
        from scipy.optimize import linprog

        weights = np.zeros(len(self.shifts))
        best, v = self.proven(form, tail, weights)
        chosen = weights
        matrix = form.cpu().numpy()
        vectors, planes, heights = [], [], []

        def added(u: np.ndarray) -> None:
            vectors.append(u)
            planes.append(self._plane(u))
            heights.append(float(np.real(np.vdot(u, matrix @ u))))

        self.vectors = self.vectors[-KEPT:]
        for u in [*self.vectors, *v.T]:
            added(u)
        shares = [0.0] * (len(vectors) - 1) + [1.0]
        ends: list[int] = []
        for _ in range(ROUNDS):
            rows = np.concatenate([np.array(planes), self.beyond.T[ends]])
            right = np.concatenate([-np.array(heights), np.full(len(ends), -tail)])
            # Unknowns: the weights, then lambda.
            answer = linprog(
                np.append(np.zeros(rows.shape[1]), 1.0),
                A_ub=np.hstack([rows, -np.ones((len(rows), 1))]),
                b_ub=right,
                bounds=[(0, 10 * best)] * rows.shape[1] + [(tail, None)],
                method="highs",
            )
            if answer.x is None:
                break
            shares = (-answer.ineqlin.marginals[: len(planes)]).tolist()
            proposed, least = np.clip(answer.x[:-1], 0, None), float(answer.x[-1])
            over = tail + proposed @ self.beyond
            missing = [int(i) for i in np.argsort(over)[-TOGETHER:] if over[i] > least * (1 + 1e-6)]
            ends += missing
            # Half way from the best weights to the proposed ones: cutting planes alone oscillate.
            weights = 0.5 * (proposed + chosen)
            value, v = self.proven(form, tail, weights)
            if value < best:
                best, chosen = value, weights
            for u in v.T:
                self.vectors.append(u)
                added(u)
            if best - least <= ENOUGH * best and not missing:
                break
        return best, chosen, vectors[: len(shares)], shares

    def _plane(self, v: np.ndarray) -> np.ndarray:
        return self.waves @ np.abs(v) ** 2


def _windows(K: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest sinc^2(k/n) over the frequencies of every residue mod n: over all k, and over those beyond K."""
    far = K + 4 * n
    k = np.arange(-far, far + 1)
    values = np.sinc(k / n) ** 2
    every, beyond = np.zeros(n), np.full(n, (n / (np.pi * far)) ** 2)
    np.maximum.at(every, k % n, values)
    np.maximum.at(beyond, (k % n)[np.abs(k) > K], values[np.abs(k) > K])
    return every, beyond


def sparse(weights: Sequence[float] | np.ndarray) -> dict[int, float]:
    """The weights that are not 0, by place."""
    return {int(i): float(w) for i, w in enumerate(weights) if w > 0}
