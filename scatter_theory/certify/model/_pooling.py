r"""Constants of pooling layers.

Max-pooling: :math:`\sum_w |\max_w x - \max_w y|^2 \le \sum_w \max_w|x-y|^2 \le q \sum_i |x_i-y_i|^2` where no entry is
in more than q windows; a spike at an entry that is in q of them attains :math:`\sqrt q`. Averages are products of one
matrix per axis, so that the norm is the product of theirs.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scatter_theory.certify.model._bound import UP, Bound

#: Longest axis whose averaging matrix is formed.
DENSE = 1024


def per_axis(value: Any, d: int) -> tuple[int, ...]:
    """One number per axis, from a number or as many as there are axes."""
    values = tuple(value) if isinstance(value, tuple | list | torch.Size) else (value,) * d
    return values * d if len(values) == 1 else values


def max_pool(
    shape: tuple[int, ...], outputs: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Bound:
    """Max-pooling with windows of equal size.

    Parameters
    ----------
    shape, outputs : tuple of int
        Spatial sizes before and after.
    kernel, stride, padding, dilation : int or tuple of int
        As torch has them.
    """
    d, q = len(shape), 1
    steps = (per_axis(v, d) for v in (kernel, kernel if stride in (None, [], ()) else stride, padding, dilation))
    for n, m, k, s, p, step in zip(shape, outputs, *steps, strict=True):
        starts = s * torch.arange(m)[:, None] - p
        reads = (starts + step * torch.arange(k)).flatten()
        q *= _most(reads[(reads >= 0) & (reads < n)], n)
    return _windows(q)


def adaptive_max_pool(shape: tuple[int, ...], outputs: tuple[int, ...]) -> Bound:
    """Adaptive max-pooling: window i of m covers the entries floor(i n / m) to ceil((i + 1) n / m) - 1."""
    q = 1
    for n, m in zip(shape, outputs, strict=True):
        reads = [torch.arange(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        q *= _most(torch.cat(reads), n)
    return _windows(q)


def _most(reads: Tensor, n: int) -> int:
    return int(torch.bincount(reads, minlength=n).max())


def _windows(q: int) -> Bound:
    return Bound(math.sqrt(q), True, f"an entry is in at most {q} window{'s' if q > 1 else ''}, attained by a spike")


def average_pool(
    shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool
) -> Bound:
    """Average pooling with windows of equal size; spatial sizes and torch's own arguments."""
    d = len(shape)
    steps = (per_axis(v, d) for v in (kernel, kernel if stride in (None, [], ()) else stride, padding))
    axes = [
        _axis(n, lambda x, k=k, s=s, p=p: F.avg_pool1d(x, k, s, p, ceil_mode, count_include_pad))
        for n, k, s, p in zip(shape, *steps, strict=True)
    ]
    return _product(axes)


def adaptive_average_pool(shape: tuple[int, ...], outputs: tuple[int, ...]) -> Bound:
    """Adaptive average pooling, spatial sizes before and after."""
    axes = [_axis(n, lambda x, m=m: F.adaptive_avg_pool1d(x, m)) for n, m in zip(shape, outputs, strict=True)]
    return _product(axes)


def _axis(n: int, pool: Any) -> tuple[float, bool]:
    """Norm of the averaging along one axis, and whether it is exact."""
    if n <= DENSE:
        matrix = pool(torch.eye(n, dtype=torch.float64)[:, None])[:, 0]
        return float(torch.linalg.matrix_norm(matrix, 2)) * UP, True
    # Schur's test for a matrix without negative entries: its squared norm is at most row sum times column sum.
    ones = torch.ones(1, 1, n, dtype=torch.float64, requires_grad=True)
    rows = pool(ones)
    (columns,) = torch.autograd.grad(rows.sum(), ones)
    return math.sqrt(float(rows.detach().max() * columns.max())) * UP, False


def _product(axes: list[tuple[float, bool]]) -> Bound:
    exact = all(sure for _, sure in axes)
    source = "one averaging matrix per axis: " + ("singular values" if exact else "row and column sums")
    return Bound(math.prod(value for value, _ in axes), exact, source)
