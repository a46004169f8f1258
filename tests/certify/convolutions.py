"""Random convolution layers of torch, and their matrices from the definition, entry by entry."""

import itertools
import math

import numpy as np
import torch
from torch import nn

CONV = (None, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (None, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
#: Longest coarse axis, by the number of axes, so that matrices stay below about a thousand columns.
LONGEST = {1: 12, 2: 5, 3: 3}


def random_case(seed):
    """A layer with circular padding where torch's own output is that of the torus, and the grid of its input."""
    rng = np.random.default_rng(seed)
    d = 1 + seed % 3
    stride, dilation, kernel, padding, grid = [], [], [], [], []
    for _ in range(d):
        s, r, k = (int(rng.integers(1, high)) for high in (4, 3, 5))
        k += (s == 1 and (r * (k - 1)) % 2) + 0
        reach = r * (k - 1)
        p = reach // 2
        n = s * int(rng.integers(1, LONGEST[d] + 1))
        n = max(n, s * math.ceil(p / s))
        for values, value in zip((stride, dilation, kernel, padding, grid), (s, r, k, p, n), strict=True):
            values.append(value)
    groups = int(rng.integers(1, 4)) if seed % 2 else 1
    inner, out = (groups * int(rng.integers(1, 3)) for _ in range(2))
    out *= int(rng.integers(1, 4))
    torch.manual_seed(seed)
    layer = CONV[d](
        inner,
        out,
        tuple(kernel),
        stride=tuple(stride),
        dilation=tuple(dilation),
        padding=tuple(padding),
        groups=groups,
        padding_mode="circular",
        dtype=torch.float64,
    )
    return layer, tuple(grid)


def circular_matrix(weight, grid, stride, dilation, padding, groups):
    """The strided circular convolution, from its definition: rows (channel, position), columns alike."""
    weight = weight.detach().numpy()
    out, each, *kernel = weight.shape
    coarse = [n // s for n, s in zip(grid, stride, strict=True)]
    matrix = np.zeros((out, *coarse, each * groups, *grid), dtype=weight.dtype)
    for o, i in itertools.product(range(out), range(each)):
        channel = (o // (out // groups)) * each + i
        for x in np.ndindex(*coarse):
            for t in np.ndindex(*kernel):
                at = zip(stride, x, dilation, t, padding, grid, strict=True)
                j = tuple((s * y + r * m - p) % n for s, y, r, m, p, n in at)
                matrix[(o, *x, channel, *j)] += weight[(o, i, *t)]
    return matrix.reshape(out * math.prod(coarse), -1)


def squares(matrix):
    """Squared singular values of a map of the columns, descending, with zeros for columns beyond the rows."""
    values = np.linalg.svd(matrix, compute_uv=False) ** 2
    return np.concatenate([values, np.zeros(max(0, matrix.shape[1] - len(values)))])


def jacobian(layer, grid, channels):
    """Torch's own Jacobian of a layer, rows by columns."""
    zero = torch.zeros(1, channels, *grid, dtype=layer.weight.dtype)
    found = torch.autograd.functional.jacobian(lambda u: layer(u).flatten(), zero, vectorize=True)
    return found.flatten(1).numpy()
