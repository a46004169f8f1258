r"""A deformation as a matrix of Fourier coefficients, and what is lost when the matrix is cut off.

With positions in periods, :math:`F e_k(x) = e^{2\pi i \langle k, x - \tau(x)\rangle}`, and
:math:`\hat F(j, k) = \int F e_k\, \overline{e_j}` are its Fourier coefficients, computed by one FFT of samples.

**Lemma** (d = 1, :math:`\tau(x) = c + \sum_{m \ge 1} |A_m| \cos(2\pi m x + \varphi_m)`). With
:math:`T(y) = \sum_m |A_m| \sinh(2\pi m y)` and any y > 0,

.. math:: |\hat F(j, k)| \le e^{-2\pi(|k - j| y - |k| T(y))} .

*Proof.* The integrand :math:`e^{2\pi i((k - j)x - k\tau(x))}` is entire and periodic, so that the path of integration
may be moved to :math:`x + i\sigma y`, :math:`\sigma = \pm 1` the sign of k - j; there the first factor has modulus
:math:`e^{-2\pi|k-j|y}`, and :math:`|\mathrm{Im}\,\tau(x + iy)| \le T(y)`.

**Cutting off.** Let all filters a of a bank be constant on :math:`k \ge k_1` and on :math:`k \le -k_1`, with
:math:`c \ge \sum_a |\hat a(j) - \hat a(k)|^2` whenever one of j, k lies there. The commutators have entries
:math:`(\hat a(j) - \hat a(k))\hat F(j, k)`; those with :math:`|k| > K` or :math:`|j| > K` vanish if the other index
lies beyond :math:`k_1` on the same side. Where :math:`T(y) < y`, with :math:`q = e^{-4\pi y}`,
:math:`r = e^{-4\pi(y - T(y))}`, the squares of the others sum to at most

.. math:: 2c\,\frac{r^{K+1}}{1 - r}\,\frac{q^{1 - k_1}}{1 - q} + 2c\,\frac{q^{K+1}}{1 - q}
          \Big( \frac{1}{1 - r} + \sum_{k=1}^{k_1 - 1} e^{4\pi k(y + T(y))} \Big) .

Samples at :math:`N_g` points add the entries :math:`\hat F(j + iN_g, k)`, :math:`i \ne 0`, which the lemma bounds too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scatter_theory.deform import Field, TrigonometricField
from scatter_theory.grid import Grid

#: Samples per axis for every frequency that is kept.
OVERSAMPLING = 4
#: Columns that are transformed at once, as a number of samples.
_BLOCK = 1 << 22


def samples(degrees: Sequence[int]) -> tuple[int, ...]:
    """Samples per axis at which the columns are transformed."""
    return tuple(OVERSAMPLING * (2 * K + 1) for K in degrees)


def warp_matrix(field: Field, degrees: Sequence[int]) -> Tensor:
    """Fourier coefficients ``(n, n)`` of one deformation, rows j and columns k with ``|k_i| <= K_i`` in box order.

    Parameters
    ----------
    field : Field
        A single displacement (batch ``()``).
    degrees : d whole numbers
    """
    shape = samples(degrees)
    grid = Grid(shape, tuple(L / n for L, n in zip(field.extent, shape, strict=True)))
    points = grid.points(device=field.device)
    moved = (points - field.at(points)).detach()
    axes = [torch.arange(-K, K + 1, device=field.device) for K in degrees]
    waves = [
        torch.exp(2j * math.pi / L * k[:, None].to(torch.float64) * x.flatten())
        for L, k, x in zip(field.extent, axes, moved, strict=True)
    ]
    index = torch.cartesian_prod(*(torch.arange(len(k), device=field.device) for k in axes)).reshape(-1, len(axes))
    columns = []
    for part in index.split(max(1, _BLOCK // grid.size)):
        values = torch.ones((), dtype=torch.complex128, device=field.device)
        for axis, wave in enumerate(waves):
            values = values * wave[part[:, axis]]
        spectrum = grid.fft(values.reshape(-1, *shape)) / grid.size
        for axis, k in zip(grid.axes, axes, strict=True):
            spectrum = spectrum.index_select(spectrum.ndim + axis, k % shape[axis])
        columns.append(spectrum.flatten(1))
    return torch.cat(columns).T.contiguous()


def cut_off(field: Field, K: int, k1: int, c: float, largest: float) -> float:
    r"""Upper value of the Hilbert-Schmidt norm of what a cut-off at K leaves out; infinite where it is not known.

    Parameters
    ----------
    field : Field
        One displacement of the line; only trigonometric ones are known.
    K, k1 : int
        Cut-off, and the frequency from which on the filters are constant.
    c, largest : float
        Bounds of :math:`\sum_a |\hat a(j) - \hat a(k)|^2` with one index beyond `k1`, and for all j, k.
    """
    if not isinstance(field, TrigonometricField) or field.ndim != 1 or k1 > K:
        return math.inf
    coefficients = field.polynomial.coefficients.detach().cpu().numpy().reshape(-1) / field.extent[0]
    M = len(coefficients) // 2
    # A cos(2 pi m x + phi) has the coefficients A/2 e^{i phi} and its conjugate.
    amplitudes = 2 * np.abs(coefficients[M + 1 :])
    m = np.arange(1, M + 1)
    points = samples((K,))[0]

    def parts(y: float) -> tuple[float, float, float]:
        """Logarithms of the three sums of squares: columns, rows, entries added by sampling."""
        T = float(np.sum(amplitudes * np.sinh(2 * math.pi * m * y)))
        if not T < y:
            return (math.inf,) * 3
        lq, lr = 4 * math.pi * y, 4 * math.pi * (y - T)
        columns = -lr * (K + 1) + lq * (k1 - 1) - _log1m(lr) - _log1m(lq)
        inner = np.logaddexp.reduce([-_log1m(lr), *(4 * math.pi * k * (y + T) for k in range(1, k1))])
        rows = -lq * (K + 1) - _log1m(lq) + inner
        alias = -4 * math.pi * ((points - 2 * K) * y - K * T) - 2 * _log1m(2 * math.pi * points * y)
        return columns, rows, alias

    weights = [2 * c, 2 * c, 4 * largest * (2 * K + 1) ** 2]
    least = np.min([parts(float(y)) for y in np.geomspace(1e-4, 2.0, 400)], axis=0)
    total = sum(w * math.exp(min(v, 700.0)) for w, v in zip(weights, least, strict=True) if w)
    return math.sqrt(total) if np.all(np.isfinite(least)) else math.inf


def _log1m(x: float) -> float:
    """log(1 - e^-x)."""
    return math.log(-math.expm1(-x))
