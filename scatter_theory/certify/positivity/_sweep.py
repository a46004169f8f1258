r"""The inequality of the one-shift criterion on the whole line, by finitely many intervals.

With M, its maximiser :math:`w_0` and :math:`x_0 = 1/(2w_0)` as in `_one_shift`, the inequality
:math:`M(w) \le \sup M \sin^2(\pi wx_0)` holds for all w if

(a) on an interval C, :math:`(\log M)'' \le 2(\log\sin \pi wx_0)'' = -2(\pi x_0)^2/\sin^2(\pi wx_0)` for every
    :math:`w_0` in an interval :math:`K \subset C`; so :math:`\log M` is strictly concave on C;
(b) :math:`(\log M)' > 0` at the left end of K and :math:`< 0` at its right end; so the maximiser of C lies in K;
(c) on cells :math:`[a, b]` that cover the rest of the support, :math:`M \le M(k)\sin^2(\pi wx_0)`, k in K.

*Proof.* Let :math:`w_0` be the maximiser of C. At :math:`w_0` the difference
:math:`\log\sup_C M + 2\log\sin(\pi wx_0) - \log M` and its derivative vanish, and it is convex on C by (a); so it is
:math:`\ge 0` there. By (c) the inequality holds elsewhere with :math:`M(k) \le M(w_0)`, which shows that :math:`w_0` is
a maximiser on the whole line. ∎ In (c) both sides are divided by :math:`w^2`; then :math:`|\hat\chi|^2`,
:math:`\sin^2(\pi sw)/w^2` (up to :math:`w = 1/s`) and :math:`\sin^2(\pi wx_0)/w^2` fall, so that the left side is
largest at a and the right side smallest at b.
Values of elementary functions are taken with a relative allowance that is far above their rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from scatter_theory.certify.positivity._roll_off import Falling, RollOff

#: Relative allowance for the rounding of elementary functions, far above it and far below the margins of the sweep.
SLACK = 1e-12
#: Cells at the start, cells at most, pieces of the concave interval, and its half-widths relative to the maximiser.
CELLS, MOST, PIECES, WIDTHS = 256, 1 << 18, 512, (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)

Interval = tuple[float, float]


def sweep(profile: RollOff, s: float | None, hull: Interval) -> tuple[Interval, Interval, list[np.ndarray]] | None:
    """Intervals K and C and the edges of the cells left and right of C that prove the inequality; None if none do.

    Parameters
    ----------
    profile : RollOff
    s : float or None
        Length of the translation; None for the majorant.
    hull : tuple of float
        Interval that holds all maximisers.
    """
    K = _bracket(profile, s, hull)
    if K is None:
        return None
    for width in WIDTHS:
        C = max(K[0] * (1 - width), profile.flat), min(K[1] * (1 + width), 0.5 * (K[1] + profile.end))
        if C[0] >= K[0] or not _concave(profile, s, K, C):
            continue
        sides = [_cells(profile, s, K, *ends) for ends in ((0.0, C[0]), (C[1], profile.end))]
        found = [e for e in sides if e is not None]
        if len(found) == 2 and is_proven(profile, s, K, C, found):
            return K, C, found
    return None


def _wave(w: np.ndarray, s: float | None) -> np.ndarray:
    """``M / |chi|^2`` up to a constant factor."""
    return w**2 if s is None else np.sin(math.pi * s * w) ** 2


def _falling_wave(a: np.ndarray, b: np.ndarray, s: float | None) -> np.ndarray:
    """Upper bound of ``wave / w^2`` on cells ``[a, b]``."""
    if s is None:
        return np.ones_like(a)
    start = (math.pi * s * np.sinc(s * a)) ** 2
    return np.where(s * b <= 1, start, np.minimum((math.pi * s) ** 2, 1 / np.maximum(a, 1e-150) ** 2))


def maximum(profile: RollOff | Falling, s: float | None) -> tuple[Interval, float]:
    """Interval that holds all maximisers of M, by refining cells, and an upper bound of M."""
    edges = np.linspace(0.0, profile.end, CELLS + 1)
    a, b = edges[:-1], edges[1:]
    turn = math.inf if s is None else 1 / (2 * s)
    while True:
        top = _wave(np.where(b <= turn, b, np.where(a >= turn, a, turn)), s)
        upper = np.where((s or 0) * b <= 1, top, 1.0 if s else top) * profile.power(a) * (1 + SLACK)
        values = np.concatenate([_wave(x, s) * profile.power(x) for x in (a, b)])
        kept = upper >= values.max() * (1 - SLACK)
        a, b = a[kept], b[kept]
        if b.max() - a.min() <= 1e-3 * b.max() or 8 * len(a) > MOST:
            return (float(a.min()), float(b.max())), float(upper.max())
        width = (b - a)[:, None] / 8
        a, b = ((a[:, None] + np.arange(i, 8 + i) * width).ravel() for i in (0, 1))


def fails(profile: RollOff | Falling, s: float | None, w: float, found: tuple[Interval, float]) -> bool:
    """Whether the inequality fails at w for every maximiser in the interval."""
    (k1, k2), peak = found
    turns = w / (2 * k2), w / (2 * k1)
    inside = math.floor(turns[1] - 0.5) > math.floor(turns[0] - 0.5)
    largest = 1.0 if inside else max(math.sin(math.pi * t) ** 2 for t in turns)
    point = np.array([w])
    return bool((_wave(point, s) * profile.power(point))[0] * (1 - SLACK) > peak * largest * (1 + SLACK))


def _bracket(profile: RollOff, s: float | None, hull: Interval) -> Interval | None:
    """Short interval at whose ends (log M)' has opposite signs, by bisection."""
    low, high = max(hull[0], profile.flat * (1 + 1e-9)), min(hull[1], 0.5 * (hull[1] + profile.end))
    if not (low < high and _rising(profile, s, low) > 0 > _rising(profile, s, high)):
        return None
    while high - low > 1e-7 * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _rising(profile, s, middle) > 0 else (low, middle)
    low, high = low * (1 - 1e-7), high * (1 + 1e-7)
    return (low, high) if low > profile.flat else None


def _rising(profile: RollOff, s: float | None, w: float) -> float:
    """``w (log M)' / 2`` at one frequency."""
    wave = 1.0 if s is None else math.pi * s * w / math.tan(math.pi * s * w)
    return wave - w * profile.slope(w)


def _concave(profile: RollOff, s: float | None, K: Interval, C: Interval) -> bool:
    """Statement (a) on all pieces of C."""
    edges = np.linspace(*C, PIECES + 1)
    a, b = edges[:-1], edges[1:]
    if s is None:
        wave = 1 / b**2
    else:
        turn = 1 / (2 * s)
        if C[1] >= 2 * turn:
            return False
        nearest = np.where(b <= turn, b, np.where(a >= turn, a, turn))
        wave = (math.pi * s) ** 2 / np.sin(math.pi * s * nearest) ** 2
    ends = np.stack([0.5 * math.pi * w / k for w in (a, b) for k in K])
    sine = np.minimum(np.sin(ends.min(0)), np.sin(ends.max(0)))
    wanted = (0.5 * math.pi / K[0]) ** 2 / np.maximum(sine, 1e-300) ** 2
    bent = wave + profile.curvature(a, b)
    return bool(ends.max() < math.pi and np.all(bent - wanted >= 1e-9 * (np.abs(bent) + wanted)))


def _holds(profile: RollOff, s: float | None, K: Interval, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Statement (c) on cells ``[a, b]``."""
    middle = np.array([0.5 * (K[0] + K[1])])
    peak = (_wave(middle, s) * profile.power(middle))[0]
    left = profile.power(a) * _falling_wave(a, b, s)
    turned = np.minimum(*(np.sin(np.minimum(0.5 * math.pi * b / k, math.pi)) / b for k in K))
    right = peak * np.where(0.5 * b < K[0], turned, 0.0) ** 2
    return left * (1 + SLACK) <= right * (1 - SLACK)


def _cells(profile: RollOff, s: float | None, K: Interval, start: float, end: float) -> np.ndarray | None:
    """Edges of cells on which (c) holds, split where it does not yet; None if they become too many."""
    edges = np.linspace(start, end, CELLS + 1)
    while len(edges) <= MOST:
        bad = ~_holds(profile, s, K, edges[:-1], edges[1:])
        if not bad.any():
            return edges
        edges = np.sort(np.concatenate([edges, 0.5 * (edges[:-1] + edges[1:])[bad]]))
        if np.diff(edges).min() < 1e-9 * end:
            return None
    return None


def is_proven(profile: RollOff, s: float | None, K: Interval, C: Interval, sides: Sequence[np.ndarray]) -> bool:
    """Statements (a), (b), (c) for given intervals."""
    signs = _rising(profile, s, K[0]) > 1e-10 and _rising(profile, s, K[1]) < -1e-10
    return signs and _concave(profile, s, K, C) and all(_holds(profile, s, K, e[:-1], e[1:]).all() for e in sides)
