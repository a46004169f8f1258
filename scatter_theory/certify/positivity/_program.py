r"""The linear program behind certificates of positivity, and a start for it in closed form.

Let :math:`D = \max M - M`. The program looks for the :math:`\rho \le D` whose inverse DFT :math:`\eta` is
non-negative and largest at 0, where :math:`\lambda = \max M - \eta(0)` and :math:`\mu_x = \eta(x)` for
:math:`x \ne 0`. One such function is always at hand: :math:`\rho(\xi) = D(0) \prod_i (1 - |\xi_i| / B)_+`, with the
largest B for which :math:`\rho \le D`. Its inverse DFT is a sum of translates of :math:`\mathrm{sinc}^2`, hence
:math:`\ge 0` for every :math:`B \le 1/2` cycles per sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: Shifts that enter the program in one round of pricing, rounds, and numbers in its matrix.
ENTERING, ROUNDS, NUMBERS = 12, 40, 2_000_000
#: Up to so many shifts all of them enter at once.
FULL = 300
#: A shift enters while its price is below this share of the largest weight of the dual.
PRICE = 1e-9
#: This many rounds that lower the value by less than this share end the program.
PATIENCE, PROGRESS = 8, 1e-6
#: Halvings of the interval for B.
HALVINGS = 40


def program(M: np.ndarray) -> tuple[list[tuple[int, ...]], list[float]]:
    """Shifts and weights for a multiplier with maximum 1.

    On small grids all shifts enter at once. On larger ones they enter by their price, which one FFT of the dual gives
    for all of them. The triangle enters as one column, so that the program is never worse; on large grids, where the
    matrix would outgrow `NUMBERS`, it may be all there is.
    """
    from scipy.optimize import linprog

    half = _half(M.shape)
    rows = np.stack([axis[half] for axis in np.indices(M.shape)])
    even = np.maximum(M, _mirrored(M))
    bound = even[half]
    eta = triangle(even)
    few = np.count_nonzero(half) <= FULL
    chosen = [tuple(int(c) for c in x) for x in rows.T if any(x)] if few else _first(M)
    columns = [np.fft.fftn(eta).real[half], *(_cosine(rows, x, M.shape) for x in chosen)]
    weights: np.ndarray = np.zeros(len(columns))
    values: list[float] = []
    for _ in range(ROUNDS):
        matrix = np.column_stack([*columns, -np.ones(len(bound))])
        cost = np.zeros(matrix.shape[1])
        cost[-1] = 1.0
        result = linprog(cost, A_ub=matrix, b_ub=-bound, bounds=[(0, None)] * matrix.shape[1], method="highs")
        if result.status != 0:
            break
        weights = np.maximum(result.x[:-1], 0.0)
        values.append(float(result.x[-1]))
        stalled = len(values) > PATIENCE and values[-1 - PATIENCE] - values[-1] < PROGRESS * values[-1]
        if stalled or matrix.size > NUMBERS:
            break
        dual = np.zeros(M.shape)
        dual[half] = np.maximum(-result.ineqlin.marginals, 0.0)
        entering = _entering(np.fft.fftn(dual).real, float(dual.sum()), chosen)
        if not entering:
            break
        chosen += entering
        columns += [_cosine(rows, x, M.shape) for x in entering]
        weights = np.concatenate([weights, np.zeros(len(entering))])
    total = weights[0] * eta
    for x, weight in zip(chosen, weights[1:], strict=True):
        total[x] += weight
    shifts = [tuple(int(c) for c in x) for x in np.argwhere(total > 0)]
    return shifts, [float(total[x]) for x in shifts]


def triangle(M: np.ndarray) -> np.ndarray:
    r"""Weights :math:`\eta(x) \ge 0` of the product of triangles, with 0 at :math:`x = 0`."""
    room = M.max() - M
    origin = (0,) * M.ndim
    distance = [
        np.abs(np.fft.fftfreq(n)).reshape([-1 if a == b else 1 for b in range(M.ndim)]) for a, n in enumerate(M.shape)
    ]

    def rho(B: float) -> np.ndarray:
        shape = np.ones(M.shape)
        for axis in distance:
            shape = shape * np.maximum(1 - axis / B, 0)
        return room[origin] * shape

    low, high = 1 / (2 * max(M.shape)), 0.5
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.all(rho(middle) <= room) else (low, middle)
    eta = np.maximum(np.fft.ifftn(rho(low)).real, 0.0)
    eta[origin] = 0.0
    return eta


def _entering(prices: np.ndarray, total: float, chosen: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The cheapest shifts that are not there yet, one of x and -x."""
    known, found = set(chosen), []
    for flat in np.argsort(prices, axis=None)[: 4 * ENTERING]:
        x = tuple(int(i) for i in np.unravel_index(flat, prices.shape))
        twin = tuple(-c % n for c, n in zip(x, prices.shape, strict=True))
        if prices[x] < -PRICE * total and x not in known and twin not in known and len(found) < ENTERING:
            found.append(x)
            known.add(x)
    return found


def _half(shape: Sequence[int]) -> np.ndarray:
    """One of every pair of frequencies k, -k."""
    flat = np.arange(math.prod(shape)).reshape(shape)
    return flat <= _mirrored(flat)


def _mirrored(values: np.ndarray) -> np.ndarray:
    """Values at ``-k mod N``."""
    axes = tuple(range(values.ndim))
    return np.roll(np.flip(values, axes), (1,) * values.ndim, axes)


def _cosine(rows: np.ndarray, x: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    turns = sum(((k * c) % n) / n for k, c, n in zip(rows, x, shape, strict=True))
    return np.cos(2 * math.pi * turns)


def _first(M: np.ndarray) -> list[tuple[int, ...]]:
    """Shifts that turn the frequency of the maximum upside down, along the axes that it uses, and their neighbours."""
    peak = np.unravel_index(int(np.argmax(M)), M.shape)
    signed = [k - n if k > n // 2 else k for k, n in zip(peak, M.shape, strict=True)]
    found = []
    for axis, (k, n) in enumerate(zip(signed, M.shape, strict=True)):
        if k == 0:
            continue
        for step in (math.floor(n / (2 * abs(k))), math.ceil(n / (2 * abs(k)))):
            x = [0] * M.ndim
            x[axis] = step % n
            found.append(tuple(x))
    return list(dict.fromkeys(x for x in found if any(x))) or [tuple(int(a == 0) for a in range(M.ndim))]
