r"""Choice of the numbers of the block recursion by descent.

Derivatives come from the signals at which the suprema are reached: at its maximiser a supremum of forms has the
derivative of the form. What is proven does not depend on how the numbers were found.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from scatter_theory.certify.torus._block_recursion import layer_gains
from scatter_theory.certify.torus._positive_form import largest, sparse
from scatter_theory.certify.torus._system import System, Weights

_STEPS = {"maxiter": 40, "ftol": 1e-7, "gtol": 1e-5}
#: With weights an evaluation takes a hundred times as long; the start is near.
_FEW = {"maxiter": 6, "maxfun": 9, "ftol": 1e-4, "gtol": 1e-4}


def descended(system: System, radius: float, *, positive: bool) -> list[tuple[list[float], Weights]]:
    """Proposals for b_1..b_N with weights, the last of which is expected to be the best."""
    from scipy.optimize import minimize

    def run(start: np.ndarray, use: bool, options: dict[str, float]) -> np.ndarray:
        objective = lambda x: _log_of_root(system, x, radius, use)  # noqa: E731
        return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x

    plain = run(np.full(system.depth, -1.0), False, _STEPS)
    proposals: list[tuple[list[float], Weights]] = [(_numbers(system, plain), [None] * system.depth)]
    if positive and any(system.positive):
        for theta in (plain, run(plain, True, _FEW)):
            b = _numbers(system, theta)
            proposals.append((b, _weights(system, b)))
    return proposals


def _numbers(system: System, theta: np.ndarray) -> list[float]:
    """Numbers above their limits, from any numbers."""
    b, after = [0.0] * system.depth, 0.0
    for n in range(system.depth, 0, -1):
        after = b[n - 1] = system.stages[n].least(after) * (1 + math.exp(theta[n - 1])) + _ABOVE
    return b


#: Keeps b above a limit of 0.
_ABOVE = 1e-12


def _weights(system: System, b: list[float]) -> Weights:
    """Weights of every layer for given numbers."""
    found: list[dict[int, float] | None] = [None] * system.depth

    def supremum(n: int, form: Tensor, tail: float) -> float:
        if not system.positive[n - 1]:
            return system.with_lost(n, largest(form, tail), b)
        value, weights = system.planes[n - 1].supremum(form, tail)
        found[n - 1] = sparse(weights)
        return system.with_lost(n, value, b)

    layer_gains(system.stages, b, supremum)
    return found


def _log_of_root(system: System, theta: np.ndarray, radius: float, positive: bool) -> tuple[float, np.ndarray]:
    """Logarithm of the largest value at the root, and its derivatives."""
    x = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    a = torch.zeros((), dtype=torch.float64)
    b = torch.zeros((), dtype=torch.float64)
    for n in range(system.depth, 0, -1):
        s = system.stages[n]
        own = (s.low + b * s.high).max() * (1 + torch.exp(x[n - 1])) + _ABOVE
        numbers = float(a.detach()), float(b.detach()), float(own.detach())
        form, tail = s.form(*numbers), numbers[0] * float(s.high.max())
        value, vectors, shares = _reached(system, n, form, tail, positive)
        reached = torch.zeros((), dtype=torch.float64)
        for v, share in zip(vectors, shares, strict=True):
            Xv = (s.cross_low @ v) + b * (s.cross_high @ v)
            power = v.abs().square()
            part = _expectation(s.moved, v) + a * (s.high * power).sum() + b * _expectation(s.commutators, v)
            reached = reached + share * (part + (Xv.abs().square() / (own - s.low - b * s.high)).sum())
        rest = max(0.0, 1.0 - sum(shares))
        reached = reached + rest * a * s.high.max()
        a = value + reached - reached.detach()
        b = own
    inside = system.inside(radius)
    s = system.stages[0]
    form = s.root(float(a.detach()), float(b.detach()))
    _, vectors = torch.linalg.eigh(form[inside][:, inside])
    v = torch.zeros(len(inside), dtype=vectors.dtype)
    v[inside] = vectors[:, -1]
    root = _expectation(s.moved, v) + a * (s.high * v.abs().square()).sum() + b * _expectation(s.commutators, v)
    (gradient,) = torch.autograd.grad(root, x)
    # The logarithm has the same scale for displacements of every size.
    size = max(float(root.detach()), 1e-300)
    return math.log(size), (gradient / size).numpy()


def _reached(
    system: System, n: int, form: Tensor, tail: float, positive: bool
) -> tuple[float, list[Tensor], list[float]]:
    """The supremum of a layer, and signals with shares whose forms have its derivatives."""
    if positive and system.positive[n - 1]:
        value, vectors, shares = system.planes[n - 1].balanced(form, tail)
        return value, [torch.from_numpy(v) for v in vectors], shares
    values, vectors = torch.linalg.eigh(form)
    top = float(values[-1])
    return (top, [vectors[:, -1]], [1.0]) if top >= tail else (tail, [], [])


def _expectation(form: Tensor, v: Tensor) -> Tensor:
    return torch.vdot(v, form.to(v.dtype) @ v).real
