"""Estimating error and moments of the multiplier in closed form, by mpmath, and by quadrature of an estimator."""

import math

import mpmath as mp
import numpy as np
import torch

mp.mp.dps = 30

#: Mean squared error of |z|^(1/o) for N(0, s^2) with s = 1, 0.5 and 0.05, by o.
POWER_ERROR_NORMAL = {
    1: "0.4042308784 0.4521154392 0.9227115439",
    1.5: "0.2260997753 0.3187912003 0.7975049923",
    2: "0.1535266435 0.2362056464 0.6722046198",
    3: "0.0873051779 0.1442118435 0.4770606199",
    5: "0.0402686989 0.0697031712 0.2645694317",
    10: "0.0125797621 0.0224395480 0.0954261032",
    100: "0.0001591142 0.0002906691 0.0013800941",
}


# --- quadrature of the package's own f and f' ------------------------------------------------------------------------


def expectation(function, density, kinks=(), cells=4096):
    """E function(|z|) for ``("uniform", a)`` on [-a, a] or ``("normal", s)``; `function` maps float64 tensors.

    Gauss-Legendre on equal cells, cut at the kinks and at powers of 2 towards 0, where a power function is singular.
    """
    kind, scale = density
    top = scale if kind == "uniform" else 10 * scale
    ends = np.concatenate([np.linspace(0, top, cells + 1), top * 2.0 ** -np.arange(1, 300), kinks])
    ends = np.unique(ends[ends <= top])
    nodes, weights = np.polynomial.legendre.leggauss(10)
    width = np.diff(ends)[:, None]
    u = ends[:-1, None] + 0.5 * (nodes + 1) * width
    p = np.full_like(u, 1 / scale) if kind == "uniform" else 2 * np.exp(-0.5 * (u / scale) ** 2) / scale
    p = p if kind == "uniform" else p / math.sqrt(2 * math.pi)
    return float((function(torch.from_numpy(u)).numpy() * p * 0.5 * width * weights).sum())


def measured(estimator, density):
    """(error, mean of |f'|, variance of |f'|) of an estimator, by quadrature."""
    error = expectation(lambda u: (1 - estimator.surrogate(u)) ** 2, density, estimator.kinks)
    mean = expectation(lambda u: estimator.multiplier(u).abs(), density, estimator.kinks)
    square = expectation(lambda u: estimator.multiplier(u) ** 2, density, estimator.kinks)
    return error, mean, square - mean**2


# --- closed forms --------------------------------------------------------------------------------------------------


def partial_moment(p, low=0, high=mp.inf, s=1):
    """E u^p 1[low < u < high] for N(0, s^2); p may be so negative that low = 0 diverges."""
    s, low, high = mp.mpf(s), mp.mpf(low), mp.mpf(high)
    a = (mp.mpf(p) + 1) / 2
    scale = s**p * mp.mpf(2) ** (mp.mpf(p) / 2) / mp.sqrt(mp.pi)
    return scale * mp.gammainc(a, low**2 / (2 * s**2), high**2 / (2 * s**2) if high != mp.inf else mp.inf)


def power_error_normal(o, s):
    k = 1 / mp.mpf(o)
    return 1 - 2 * partial_moment(k, s=s) + partial_moment(2 * k, s=s)


def power_error_uniform(o):
    return 2 / ((mp.mpf(o) + 1) * (o + 2))


def raw_variance_uniform(o):
    """Variance of the multiplier without thresholds on U(-1, 1); for o < 2."""
    return (mp.mpf(o) - 1) ** 2 / (o * (2 - mp.mpf(o)))


def reste_uniform(o, a=1, m="0.1", t="1.5"):
    """(mean, variance) of ReSTE's multiplier on U(-a, a)."""
    k, a, m, t = 1 / mp.mpf(o), mp.mpf(a), mp.mpf(m), mp.mpf(t)
    end = min(a, t)
    power = 2 * k - 1
    middle = mp.log(end / m) / 4 if power == 0 else k**2 * (end**power - m**power) / power
    mean = end**k / a
    return mean, (m**power + middle) / a - mean**2


def reste_secant_error_uniform(o, m="0.1"):
    """Error on U(-1, 1) of the secant up to m and the power beyond."""
    k, m = 1 / mp.mpf(o), mp.mpf(m)
    sl = m ** (k - 1)
    inner = m - sl * m**2 + sl**2 * m**3 / 3
    return inner + (1 - m) - 2 * (1 - m ** (k + 1)) / (k + 1) + (1 - m ** (2 * k + 1)) / (2 * k + 1)


def reste_normal(o, m="0.1", t="1.5"):
    """(error of the figure form, error of the antiderivative, mean, variance) for N(0, 1)."""
    k, m, t = 1 / mp.mpf(o), mp.mpf(m), mp.mpf(t)
    A, sl = partial_moment, m ** (k - 1)
    inner = A(0, 0, m) - 2 * sl * A(1, 0, m) + sl**2 * A(2, 0, m)
    figure = inner + A(0, m, t) - 2 * A(k, m, t) + A(2 * k, m, t)
    mean = sl * A(0, 0, m) + k * A(k - 1, m, t)
    square = sl**2 * A(0, 0, m) + k**2 * A(2 * k - 2, m, t)
    return figure, figure + (t**k - 1) ** 2 * A(0, t), mean, square - mean**2


def approx_sign_normal():
    """(error, mean, variance) for N(0, 1)."""
    a = [partial_moment(p, 0, 1) for p in range(5)]
    mean = 2 * a[0] - 2 * a[1]
    return a[0] - 4 * a[1] + 6 * a[2] - 4 * a[3] + a[4], mean, 4 * (a[0] - 2 * a[1] + a[2]) - mean**2


def ede_uniform(t):
    """(error, variance) on U(-1, 1) at height 1."""
    t = mp.mpf(t)
    mean = mp.tanh(t)
    error = 2 - 2 * mp.log(mp.cosh(t)) / t - mp.tanh(t) / t
    return error, t * (mp.tanh(t) - mp.tanh(t) ** 3 / 3) - mean**2


def square_wave_uniform(n):
    """(error, second moment of f') of n terms at frequency pi/2 on U(-1, 1)."""
    return 1 - 8 / mp.pi**2 * mp.fsum(mp.mpf(1) / (2 * i + 1) ** 2 for i in range(n)), 2 * n


def pareto_uniform(a):
    """(error, variance) of the optimum on U(-1, 1)."""
    a = mp.mpf(a)
    shared = mp.sinh(2 * a) / (4 * a)
    return (shared - 0.5) / mp.sinh(a) ** 2, a**2 * (0.5 + shared) / mp.sinh(a) ** 2 - 1
