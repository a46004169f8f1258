"""Parameters and wavelets of the one-dimensional transform, as in kymatio 0.3.0 (``scattering1d.filter_bank``)."""

from __future__ import annotations

import math

import numpy as np

from scatter_theory.scattering._wavelets import Wavelet

#: Width of the low-pass times its support T; number of widths counted as the support of a wavelet.
SIGMA_LOW, ALPHA = 0.1, 5.0
#: A Gaussian is summed over so many periods that it falls below EPSILON, but over no more than MOST_PERIODS a side.
EPSILON, MOST_PERIODS = 1e-7, 5
#: Widths beyond which the exponential is zero in float64.
REACH = 39.0


def line_wavelets(J: int, Q: int) -> list[Wavelet]:
    """Wavelets, fine to coarse: geometric centres down to the smallest width, then equispaced ones.

    The operations are those of kymatio, in its order, so that the numbers are the same to the last bit.

    Parameters
    ----------
    J : int
        The smallest width is ``0.1 / 2^J`` cycles per sample.
    Q : int
        Wavelets per octave.
    """
    smallest, ratio = SIGMA_LOW / math.pow(2, J), math.pow(2, 1 / Q)
    factor = 1.0 / math.pow(2, 1.0 / Q)
    centre = max(1.0 / (1.0 + math.pow(2.0, 3.0 / Q)), 0.35)
    width = centre * ((1 - factor) / (1 + factor)) * (1.0 / math.sqrt(2 * math.log(1.0 / math.sqrt(0.5))))
    found: list[tuple[float, float]] = []
    elbow = width
    if width > smallest:
        found.append((centre, width))
        while found[-1][1] > smallest * ratio:
            found.append((found[-1][0] / ratio, found[-1][1] / ratio))
        elbow = found[-1][0]
    found += [(elbow - q / Q * elbow, smallest) for q in range(1, Q)]
    return [Wavelet(xi, sigma, coarsest_level(xi, sigma)) for xi, sigma in found]


def coarsest_level(xi: float, sigma: float) -> int:
    """Largest j such that the wavelet lies below the Nyquist frequency of every ``2^j``-th sample."""
    return math.floor(-math.log2(min(xi + ALPHA * sigma, 0.5))) - 1


def line_spectrum(n: int, xi: float, sigma: float) -> np.ndarray:
    """Morlet wavelet (``xi > 0``) or Gaussian (``xi == 0``) at the n DFT frequencies.

    Parameters
    ----------
    n : int
        Samples of the periodic line.
    xi, sigma : float
        Centre and width, cycles per sample.

    Returns
    -------
    (n,) float64 array
        The absolute values of the filter in time sum to 1.
    """
    spectrum = _periodised(n, 0.0, sigma)
    if xi > 0:
        bump = _periodised(n, xi, sigma)
        spectrum = bump - bump[0] / spectrum[0] * spectrum
    half = np.abs(np.fft.ihfft(spectrum))
    return spectrum / (2 * half.sum() - half[0] - (half[-1] if n % 2 == 0 else 0.0))


def _periodised(n: int, centre: float, sigma: float) -> np.ndarray:
    """Gaussian of height 1 summed over the periods that kymatio takes, at frequencies ``0, 1/n, ..., (n - 1)/n``."""
    periods = min(math.ceil(math.sqrt(-2 * sigma**2 * math.log(EPSILON)) + 1), MOST_PERIODS)
    total = np.zeros(n)
    for p in range(1 - periods, periods):
        low = max(math.ceil(n * (centre - p - REACH * sigma)), 0)
        high = min(math.floor(n * (centre - p + REACH * sigma)) + 1, n)
        if low < high:
            total[low:high] += np.exp(-((np.arange(low, high) / n + p - centre) ** 2) / (2 * sigma**2))
    return total


def temporal_support(n: int, sigma: float, tolerance: float = 1e-3) -> int | None:
    """Samples to each side beyond which a Gaussian low-pass sums to at most `tolerance` in absolute value.

    None if there are no such samples on a periodic line of n samples.
    """
    h = np.abs(np.fft.ifft(line_spectrum(n, 0.0, sigma)))[: n // 2]
    small = np.flatnonzero(np.cumsum(h[::-1])[::-1] <= tolerance)
    return int(small[0]) + 1 if len(small) else None
