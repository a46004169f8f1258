r"""Certified frame bounds and decay constants of filters with finitely many taps.

For real taps the Littlewood-Paley sum is an even trigonometric polynomial. With the one-dimensional functions
:math:`p_j = \prod_{i<j} |H(2^i \cdot)|^2` and :math:`T = |H|^2 + |G|^2` that of J undecimated levels is

.. math:: \prod_i p_J(\xi_i) + \sum_{j<J} \Bigl( \prod_i p_j(\xi_i) T(2^j \xi_i) - \prod_i p_{j+1}(\xi_i) \Bigr),

of degree :math:`(\text{taps} - 1)(2^J - 1)` per axis.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import FrameBounds
from scatter_theory.frames._enclosure import ROUNDING, polynomial_range
from scatter_theory.frames._taps import taps_of

#: Largest number of samples per axis, by the number of axes, and the samples per degree below which we give up.
SAMPLES, FEWEST = {1: 1 << 20, 2: 1 << 12, 3: 1 << 8}, 4
#: Largest number of samples per axis where no symmetry halves the axes.
FULL_SAMPLES = {1: 1 << 18, 2: 1 << 10, 3: 1 << 7}
#: Groups of intervals that are combined across axes for the decay constant.
GROUPS = 1024


def sample_count(owner: str, degree: int, d: int) -> int:
    """Samples per axis for an enclosure: 256 per degree if affordable.

    Raises
    ------
    NotImplementedError
        If fewer than four samples per degree are affordable.
    """
    n = min(SAMPLES[d], 1 << math.ceil(math.log2(256 * max(degree, 1))))
    if n < FEWEST * degree:
        raise NotImplementedError(
            f"`{owner}`: the Littlewood-Paley sum is a trigonometric polynomial of degree {degree} per axis, too high "
            f"to enclose in {d} dimensions (at most {SAMPLES[d] // FEWEST}). Use `frame.on(grid).bounds()`, which is "
            "exact on a grid."
        )
    return n


def _powers(name: str, J: int, n: int) -> tuple[list[Tensor], list[Tensor]]:
    """``p_j`` for j = 0..J and ``T(2^j .)`` for j < J at the frequencies ``k / n``, 0 <= k <= n / 2."""
    low, high = (torch.fft.fft(torch.tensor(t, dtype=torch.float64), n=n).abs() ** 2 for t in taps_of(name))
    k = torch.arange(n // 2 + 1)
    products, sums = [torch.ones(n // 2 + 1, dtype=torch.float64)], []
    for j in range(J):
        index = (k << j) % n
        sums.append((low + high)[index])
        products.append(products[-1] * low[index])
    return products, sums


def _outer(vector: Tensor, d: int) -> Tensor:
    """Product over the axes of a function of one coordinate."""
    return math.prod(vector.reshape([-1 if a == axis else 1 for a in range(d)]) for axis in range(d))


@lru_cache(maxsize=64)
def taps_bounds(name: str, J: int, d: int) -> FrameBounds:
    """Frame bounds over all frequencies of J undecimated levels in d dimensions."""
    degree = (len(taps_of(name)[0]) - 1) * (2**J - 1)
    n = sample_count(f"Taps({name!r}, J={J}).bounds(d={d})", degree, d)
    products, sums = _powers(name, J, n)
    total = _outer(products[J], d)
    for j in range(J):
        total = total + _outer(products[j] * sums[j], d) - _outer(products[j + 1], d)
    points = torch.arange(n // 2 + 1, dtype=torch.float64) / n
    source = f"trigonometric polynomial of degree {degree}, {n} samples per axis"
    return polynomial_range(total, degree, points).bounds(source)


@lru_cache(maxsize=64)
def taps_decay(name: str, J: int, d: int) -> Constant:
    r"""Upper end of an enclosure of :math:`\sup |\xi| \prod_i p_J(\xi_i)^{1/2}` over :math:`[-1/2, 1/2]^d`.

    Between two samples the modulus of the one-dimensional low-pass exceeds the larger one by at most
    :math:`\tfrac18 n^{-2} \sup |\hat\chi''|`, and by Bernstein's inequality :math:`|\hat\chi''| \le (\pi D)^2 \sup
    |\hat\chi|` after centring its D + 1 frequencies. With :math:`p = |\hat\chi|^2` and :math:`a = x^2 p` the square of
    the quantity is :math:`\sum_i a(\xi_i) \prod_{k \ne i} p(\xi_k)`, which is increasing in every a and p.
    """
    degree = (len(taps_of(name)[0]) - 1) * (2**J - 1)
    sample_count(f"Taps({name!r}, J={J}).decay_constant(d={d})", degree, 1)
    n = min(SAMPLES[1], 1 << math.ceil(math.log2(8192 * max(degree, 1))))
    power = _powers(name, J, n)[0][J]
    x = torch.arange(n // 2 + 1, dtype=torch.float64) / n
    peak = math.sqrt(polynomial_range(power, degree, x).maximum[1])
    rise = ((math.pi * degree / n) ** 2 / 8 + ROUNDING) * peak
    upper = (torch.maximum(power[:-1], power[1:]).sqrt() + rise) ** 2
    weighted = x[1:] ** 2 * upper
    a, p = weighted, upper
    for _ in range(d - 1):
        (a, p), (b, q) = _thinned(a, p), _thinned(weighted, upper)
        a, p = (a[:, None] * q + p[:, None] * b).flatten(), (p[:, None] * q).flatten()
    value = math.sqrt(float(a.max()))
    found = _found(power, x, d)
    source = f"enclosure of sup |chi^(xi)||xi| over [-1/2, 1/2]^{d}, {n} intervals"
    return Constant(value, source, "certified", "cycles/sample", value - found)


def _thinned(a: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Dominated pairs are dropped; groups of close pairs are replaced by their largest a and their largest p."""
    order = torch.argsort(p, descending=True)
    a, p = a[order], p[order]
    rising = torch.cummax(a, 0).values
    new = torch.cat([torch.ones(1, dtype=torch.bool), rising[1:] > rising[:-1]])
    a, p = a[new], p[new]
    length = torch.cumsum((torch.diff(a) / a[-1] - torch.diff(p) / p[0]), 0)
    groups = (
        torch.cat([torch.zeros(1), length / length[-1] * (GROUPS - 1)]).long() if len(a) > 1 else torch.zeros(1).long()
    )
    zero = torch.zeros(GROUPS, dtype=a.dtype)
    return tuple(zero.scatter_reduce(0, groups, v, "amax") for v in (a, p))


def _found(power: Tensor, x: Tensor, d: int) -> float:
    """Largest value on the diagonal and on the axes, which the supremum reaches at least."""
    diagonal = d * x**2 * power**d
    axis = x**2 * power * power[0] ** (d - 1)
    return math.sqrt(float(torch.maximum(diagonal, axis).max()))


def _full_grid(owner: str, taps: Tensor, d: int) -> tuple[int, int]:
    """Degree of the squared modulus of filters with these taps, and the samples per axis for an enclosure."""
    degree = max(taps.shape[-d:]) - 1
    n = min(FULL_SAMPLES[d], 1 << math.ceil(math.log2(256 * max(degree, 1))))
    if n < FEWEST * degree:
        raise NotImplementedError(
            f"`{owner}`: {degree + 1} taps per axis are too many to enclose in {d} dimensions (at most "
            f"{FULL_SAMPLES[d] // FEWEST}). Use `frame.on(grid)`, whose values are exact on a grid."
        )
    return degree, n


def filter_bounds(tensor: Tensor, output: Tensor) -> FrameBounds:
    """Frame bounds over all frequencies of explicit filters ``(n_atoms, k1, ..., kd)`` and an output filter."""
    d = output.ndim
    (degree, n), (other, m) = (_full_grid("Filters.bounds()", t, d) for t in (tensor, output))
    degree, n = max(degree, other), max(n, m)
    axes = tuple(range(-d, 0))
    total = sum(
        torch.fft.fftn(t.to(torch.complex128), s=(n,) * d, dim=axes).abs() ** 2 for t in (output, *tensor)
    ).cpu()
    source = f"trigonometric polynomial of degree {degree}, {n} samples per axis"
    return polynomial_range(total, degree, torch.fft.fftfreq(n, dtype=torch.float64)).bounds(source)


def filter_decay(output: Tensor) -> Constant:
    r"""Upper end of an enclosure of :math:`\sup |\xi| |\hat\chi(\xi)|` over one period, for explicit taps.

    On a cell of side 1/n multilinear interpolation of the spectrum errs by at most
    :math:`\tfrac18 n^{-2} \sum_i \sup |\partial_i^2 \hat\chi| \le \tfrac d8 (\pi D / n)^2 \sup |\hat\chi|`.
    """
    d = output.ndim
    degree, n = _full_grid("Filters.decay_constant()", output, d)
    n = min(FULL_SAMPLES[d], 16 * n)
    axes = tuple(range(d))
    modulus = torch.fft.fftn(output.to(torch.complex128), s=(n,) * d).abs().cpu()
    points = torch.fft.fftfreq(n, dtype=torch.float64)
    peak = math.sqrt(polynomial_range(modulus**2, degree, points).maximum[1])
    corners = modulus
    for axis in axes:
        corners = torch.maximum(corners, torch.roll(corners, -1, axis))
    upper = corners + (d * (math.pi * degree / n) ** 2 / 8 + ROUNDING) * peak
    reach = torch.maximum(points.abs(), (points + 1.0 / n).abs())
    grid = torch.meshgrid(*([reach] * d), indexing="ij")
    value = float((torch.linalg.vector_norm(torch.stack(grid), dim=0) * upper).max())
    grid = torch.meshgrid(*([points] * d), indexing="ij")
    found = float((torch.linalg.vector_norm(torch.stack(grid), dim=0) * modulus).max())
    source = f"enclosure of sup |chi^(xi)||xi| over one period, {n} cells per axis"
    return Constant(value, source, "certified", "cycles/sample", value - found)
