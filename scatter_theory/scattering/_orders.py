r"""The frame of one order, its Littlewood-Paley sum, and the tight frame made of it.

With real signals the sum of a half bank is

.. math:: P(\omega) = |\hat\phi(\omega)|^2
          + \tfrac12 \sum_\lambda \big(|\hat\psi_\lambda(\omega)|^2 + |\hat\psi_\lambda(-\omega)|^2\big) ,

as :math:`|\hat u|` is even. If :math:`P = 1` then
:math:`\|u * \phi\|^2 + \sum_\lambda \|u * \psi_\lambda\|^2 = \|u\|^2` for every real u, by Parseval's identity. The
modulus keeps norms, so that by induction over the orders, following all paths,

.. math:: \sum_{n \le N} \sum_{|q| = n} \|S[q] x\|^2
          + \sum_{|q| = N} \sum_\lambda \|\, U[q] x * \psi_\lambda \|^2 = \|x\|^2 ,

and following fewer paths makes the left-hand side smaller: the features of no order have more energy than the signal.
As :math:`||a| - |b|| \le |a - b|`, the same argument bounds distances: the transform does not expand them.

Here x is the padded signal, and the norm of maps at every :math:`2^k`-th sample counts each :math:`2^k` times (per
axis). A map whose wavelet lies below its Nyquist frequency keeps its energy when it is sampled; what lies beyond is
aliasing: little with the default sampling of a line, more with that of an image, none with ``oversampling=J``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

#: Smallest Littlewood-Paley sum by whose root filters may be divided.
SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class FilterOrder:
    """Filters of one order at the DFT frequencies of the padded signal.

    Parameters
    ----------
    spectra : (n_filters, *shape) float64 array
        The wavelets. Mirrored ones, in a transform of complex signals, come after the others.
    j : (n_filters,) int array
        Scales: a wavelet follows only finer ones.
    low : (*shape) float64 array
        The low-pass of the frame, which averages the maps of the order before.
    """

    spectra: np.ndarray
    j: np.ndarray
    low: np.ndarray


def mirrored(spectra: np.ndarray, d: int) -> np.ndarray:
    """Values at the opposite frequencies, on the last d axes."""
    axes = tuple(range(-d, 0))
    return np.roll(np.flip(spectra, axes), 1, axes)


def littlewood_paley(order: FilterOrder, *, real: bool = True) -> np.ndarray:
    r"""Littlewood-Paley sum of a frame, ``(*shape)`` float64.

    Parameters
    ----------
    order : FilterOrder
    real : bool
        Whether the frame acts on real maps: then the sum above, else
        :math:`|\hat\phi|^2 + \sum_\lambda |\hat\psi_\lambda|^2`.
    """
    power = np.einsum("a...,a...->...", order.spectra, order.spectra)
    if real:
        power = (power + mirrored(power, order.low.ndim)) / 2
    return order.low**2 + power


def tightened(order: FilterOrder, owner: str) -> FilterOrder:
    """The filters divided by the root of their Littlewood-Paley sum for real maps, which then is 1.

    Raises
    ------
    ValueError
        If the sum falls below `SMALLEST`: then some frequencies are in no filter.
    """
    power = littlewood_paley(order)
    if power.min() < SMALLEST:
        raise ValueError(
            f"`{owner}(tight=True)`: the Littlewood-Paley sum falls to {power.min():.2g}, below {SMALLEST:g}, so that "
            "some frequencies are in no filter. Use a larger J or a smaller Q."
        )
    return replace(order, spectra=order.spectra / np.sqrt(power), low=order.low / np.sqrt(power))


def both_signs(order: FilterOrder, *, tight: bool) -> FilterOrder:
    """The wavelets and their mirror images, for complex signals.

    A tight frame stays one: real signals have half their energy at each sign, so that all wavelets are divided by
    the root of two. Otherwise they are left as they are.
    """
    spectra = np.concatenate([order.spectra, mirrored(order.spectra, order.low.ndim)])
    return replace(order, spectra=spectra / math.sqrt(2) if tight else spectra, j=np.concatenate([order.j, order.j]))
