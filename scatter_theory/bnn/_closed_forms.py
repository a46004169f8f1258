r"""Error and moments of the multiplier in closed form, for normal and uniform latent values.

Write u = |z|, E for the expectation, and :math:`A_p(a, b) = E\, u^p 1[a < u < b]`.

**Truncated moments.** On U(-c, c) it is :math:`(b^{p+1} - a^{p+1}) / ((p + 1) c)` with b <= c, or
:math:`\ln(b/a)/c` for p = -1; at a = 0 and p <= -1 it is infinite. For N(0, s^2) the substitution
:math:`x = u^2/(2 s^2)` gives, with :math:`\alpha = (p + 1)/2` and the upper incomplete gamma function,

.. math:: A_p(a, b) = \frac{s^p 2^{p/2}}{\sqrt\pi}
          \Bigl[\Gamma\bigl(\alpha, \tfrac{a^2}{2 s^2}\bigr) - \Gamma\bigl(\alpha, \tfrac{b^2}{2 s^2}\bigr)\Bigr],

where :math:`\alpha\, \Gamma(\alpha, x) = \Gamma(\alpha + 1, x) - x^\alpha e^{-x}` (by parts) leads from
:math:`\alpha < 0` to a positive argument and :math:`\Gamma(0, x) = E_1(x)`.

**Powers by pieces.** For identity, clipped identity, parabolas and all forms of ReSTE, f and f' are sums of powers
between thresholds. So :math:`E (1 - f)^2`, :math:`\mu = E f'` and :math:`E (f' - \mu)^2` are sums of truncated moments.

**Hyperbolic tangent** of height h, steepness t, up to v <= c, on U(-c, c), with x = t v: as
:math:`\int \tanh = \ln\cosh`, :math:`\int \tanh^2 = x - \tanh x`, :math:`\int \operatorname{sech}^4 = \tanh -
\tanh^3/3`,

.. math:: c\, e = v - \tfrac{2h}{t} \ln\cosh x + h^2 (v - \tfrac1t \tanh x), \qquad c\, \mu = h \tanh x, \qquad
          c\, E f'^2 = h^2 t (\tanh x - \tfrac13 \tanh^3 x).

**Square wave** with n terms and :math:`w c = \pi/2` on U(-c, c): the sines are orthogonal, so that
:math:`e = 1 - \frac{8}{\pi^2} \sum_{i<n} (2i+1)^{-2}` and :math:`c^2 E f'^2 = 2n`. As
:math:`f' = \frac{2}{c} \sin(2 n w u)/(2 \sin w u)`, its zeros are :math:`u = j c/n`, and :math:`c\, E |f'|` is the
total variation of f, the sum of its steps from zero to zero.

**Optimum** on U(-c, c), c >= 1, from :math:`1 - f = \sinh(a(1-u))/\sinh a`: with
:math:`\int_0^1 \sinh^2(a y)\, dy = \frac{\sinh 2a}{4a} - \frac12` and
:math:`\int_0^1 \cosh^2(a y)\, dy = \frac{\sinh 2a}{4a} + \frac12`,

.. math:: e_1 = \frac{\sinh 2a - 2a}{4a \sinh^2 a}, \qquad s_1 = \frac{a^2 \bigl(\frac12 + \frac{\sinh 2a}{4a}\bigr)}
          {\sinh^2 a} - 1 = \frac{1}{\sinh^2 a} \sum_{n\ge3} \frac{n - 2}{4}\, \frac{(2a)^{2n}}{(2n)!},

where the series is the one without cancellation for small a.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scatter_theory.bnn._density import Density, Normal, Uniform
from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._pareto import Pareto
from scatter_theory.bnn._periodic import FDA
from scatter_theory.bnn._polynomial import RBNN, ApproxSign
from scatter_theory.bnn._reste import ReSTE
from scatter_theory.bnn._smooth import DSQ, EDE
from scatter_theory.bnn._straight_through import ClippedSTE, IdentitySTE

Moments = tuple[float, float, float]
Powers = tuple[tuple[float, float], ...]

#: The recursion divides by a negative argument; nearer to 0 it would lose more than three digits.
_NEAR_ZERO = 1e-3

#: Below this steepness the variance of a hyperbolic tangent is a difference of nearly equal numbers.
_FLAT = 0.5


@dataclass(frozen=True)
class _Piece:
    """f and f' on (low, high) as sums of c u^p, given as pairs (c, p)."""

    low: float
    high: float
    f: Powers
    slope: Powers


def closed_form(estimator: Estimator, density: Density) -> Moments | None:
    """(E (1 - f)^2, E |f'|, var |f'|), or None where no closed form is known or it would lose digits."""
    rule = _RULES.get(type(estimator))
    return None if rule is None or not isinstance(density, Normal | Uniform) else rule(estimator, density)


# --- powers by pieces ------------------------------------------------------------------------------------------------


def partial_moment(density: Normal | Uniform, p: float, low: float, high: float) -> float | None:
    """E u^p 1[low < u < high]; inf where it diverges at 0, None where the formula would lose digits."""
    high = min(high, density.scale) if isinstance(density, Uniform) else high
    if low >= high:
        return 0.0
    if low == 0 and p <= -1:
        return math.inf
    if isinstance(density, Uniform):
        q = p + 1
        if low == 0:
            return high**q / (q * density.scale)
        ratio = math.log(high / low)
        return (ratio if q == 0 else low**q * math.expm1(q * ratio) / q) / density.scale
    if p == 0 and low == 0 and high == math.inf:
        return 1.0
    a, s = (p + 1) / 2, density.scale
    if -_NEAR_ZERO < a < 0:
        return None
    ends = [0.5 * (v / s) ** 2 for v in (low, high)]
    return s**p * 2 ** (p / 2) / math.sqrt(math.pi) * _gamma_between(a, *ends)


def _gamma_between(a: float, x: float, y: float) -> float:
    """Gamma(a, x) - Gamma(a, y) for a > -1, with x > 0 if a <= 0."""
    from scipy.special import exp1, gamma, gammainc, gammaincc

    if a > 0:
        share = gammaincc(a, x) - gammaincc(a, y) if x > a else gammainc(a, y) - gammainc(a, x)
        return float(gamma(a) * share)
    if a == 0:
        return float(exp1(x) - (exp1(y) if y < math.inf else 0.0))
    ends = [v**a * math.exp(-v) if v < math.inf else 0.0 for v in (x, y)]
    return (_gamma_between(a + 1, x, y) - (ends[0] - ends[1])) / a


def _from_pieces(pieces: tuple[_Piece, ...], density: Normal | Uniform) -> Moments | None:
    def expectation(of: Callable[[_Piece], Powers]) -> float | None:
        total = 0.0
        for piece in pieces:
            for c, p in of(piece):
                moment = partial_moment(density, p, piece.low, piece.high)
                if moment is None:
                    return None
                total += c * moment
        return total

    mean = expectation(lambda piece: piece.slope)
    error = expectation(lambda piece: _squared(piece.f, 1.0))
    if mean is None or error is None:
        return None
    variance = expectation(lambda piece: _squared(piece.slope, mean))
    if variance is None:
        return None
    rounding = (4 * np.finfo(float).eps * mean) ** 2
    return error, mean, variance if variance > rounding else 0.0


def _squared(powers: Powers, centre: float) -> Powers:
    """(sum of powers - centre)^2 as powers; the constant is taken off first, so that little cancels."""
    terms: dict[float, float] = {0.0: -centre}
    for c, p in powers:
        terms[p] = terms.get(p, 0.0) + c
    products = [(a * b, p + q) for p, a in terms.items() for q, b in terms.items()]
    return tuple((c, p) for c, p in products if c != 0)


def _clipped(c: float) -> tuple[_Piece, ...]:
    passing = _Piece(0.0, c, ((1.0, 1.0),), ((1.0, 0.0),))
    return (passing,) if c == math.inf else (passing, _Piece(c, math.inf, ((c, 0.0),), ()))


def _parabola(k: float, t: float) -> tuple[_Piece, ...]:
    top, root = math.sqrt(2) / t, math.sqrt(2)
    rising = _Piece(0.0, top, ((k * root * t, 1.0), (-k * t * t / 2, 2.0)), ((k * root * t, 0.0), (-k * t * t, 1.0)))
    return rising, _Piece(top, math.inf, ((k, 0.0),), ())


def _reste(e: ReSTE) -> tuple[_Piece, ...]:
    k, end = 1 / e.o, 1.0 if e.convention == "figure" else e.t ** (1 / e.o)
    power, slope = ((1.0, k),), ((k, k - 1),) if k else ()
    plain = e.convention == "power"
    inner = _Piece(0.0, e.m, power if plain else ((e.secant, 1.0),), ((e.secant, 0.0),))
    middle = _Piece(e.m, e.t, power, slope)
    outer = _Piece(e.t, math.inf, power if plain else ((end, 0.0),), ())
    return tuple(piece for piece in (inner, middle, outer) if piece.low < piece.high)


# --- others, uniform only --------------------------------------------------------------------------------------------


def _tangent(h: float, t: float, cut: float, density: Density) -> Moments | None:
    if not isinstance(density, Uniform):
        return None
    c = density.scale
    v = min(cut, c)
    x, tanh = t * v, math.tanh(t * v)
    if x < _FLAT:
        return None
    log_cosh = x + math.log1p(math.exp(-2 * x)) - math.log(2)
    beyond = (1 - h * math.tanh(t * cut)) ** 2 * (c - v) / c if cut < c else 0.0
    error = (v - 2 * h * log_cosh / t + h**2 * (v - tanh / t)) / c + beyond
    mean = h * tanh / c
    return error, mean, h**2 * t * (tanh - tanh**3 / 3) / c - mean**2


def _square_wave(e: FDA, density: Density) -> Moments | None:
    if not (isinstance(density, Uniform) and math.isclose(e.w * density.scale, math.pi / 2, rel_tol=1e-15)):
        return None
    odd = 2.0 * np.arange(e.n) + 1
    zeros = np.arange(e.n + 1) / e.n
    steps = np.diff(4 / math.pi * (np.sin(math.pi / 2 * np.outer(zeros, odd)) / odd).sum(1))
    mean = float(np.abs(steps).sum()) / density.scale
    return float(1 - 8 / math.pi**2 * (1 / odd**2).sum()), mean, 2 * e.n / density.scale**2 - mean**2


def optimum(a: float) -> tuple[float, float]:
    """(e, s) of the optimal estimator of sharpness a on U(-1, 1)."""
    if a < 1:
        n = np.arange(1, 16)
        terms = np.array([(2 * a) ** (2 * k) / math.factorial(2 * k) for k in n])
        error = (terms / (2 * n + 1)).sum() / 2
        return float(error / math.sinh(a) ** 2), float((terms[2:] * (n[2:] - 2) / 4).sum() / math.sinh(a) ** 2)
    coth, inverse = 1 / math.tanh(a), 4 * math.exp(-2 * a) / math.expm1(-2 * a) ** 2
    return coth / (2 * a) - inverse / 2, a * coth / 2 - 1 + a * a * inverse / 2


def _pareto(e: Pareto, density: Density) -> Moments | None:
    if not isinstance(density, Uniform) or density.scale < 1:
        return None
    (error, variance), c = optimum(e.a), density.scale
    return error / c, 1 / c, variance / c + (c - 1) / c**2


_RULES: Mapping[type[Estimator], Callable[..., Moments | None]] = {
    IdentitySTE: lambda e, d: _from_pieces(_clipped(math.inf), d),
    ClippedSTE: lambda e, d: _from_pieces(_clipped(e.c), d),
    ApproxSign: lambda e, d: _from_pieces(_parabola(1.0, math.sqrt(2)), d),
    RBNN: lambda e, d: _from_pieces(_parabola(e.k, e.t), d),
    ReSTE: lambda e, d: _from_pieces(_reste(e), d),
    EDE: lambda e, d: _tangent(e.k, e.t, math.inf, d),
    DSQ: lambda e, d: _tangent(1 / math.tanh(e.k), e.k, 1.0, d),
    FDA: _square_wave,
    Pareto: _pareto,
}
