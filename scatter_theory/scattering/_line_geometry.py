"""Averaging, padding and borders of the one-dimensional transform, as in kymatio 0.3.0."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np

from scatter_theory.scattering._line_filters import SIGMA_LOW, temporal_support

_AVERAGE = (
    "`Scattering1D(average=...)`: deprecated, as in kymatio 0.3.0. For average=True leave T out or give T >= 1; for "
    "average=False give T=0."
)


def averaging(J: int, n: int, T: Any, average: Any) -> tuple[float, bool]:
    """Support of the low-pass and whether the moduli are averaged.

    Parameters
    ----------
    J, n : int
        Octaves and samples of the signal.
    T : real number or None
        None for ``2^J``; 0 for no averaging.
    average : bool or None
        Deprecated.
    """
    if average is not None:
        warnings.warn(_AVERAGE, DeprecationWarning, stacklevel=3)
    if T is None:
        return 2**J, True if average is None else bool(average)
    if isinstance(T, bool) or not isinstance(T, Real) or not (T == 0 or 1 <= T <= n):
        raise ValueError(
            f"`Scattering1D(T={T!r})`: expected None for 2^J samples, 0 for no averaging, or a number of samples from "
            f"1 to the length of the signal, {n}."
        )
    if average is not None and bool(average) != (T != 0):
        raise ValueError(f"`Scattering1D(T={T!r}, average={average!r})`: contradictory. Leave `average` out.")
    return (2**J, False) if T == 0 else (T, True)


def padded_length(n: int, T: float) -> int:
    """Power of two that holds the signal and three supports of the low-pass at each side.

    At most ``3 n - 2``, as a mirror image has n - 1 new samples.

    Warns
    -----
    UserWarning
        If the low-pass does not decay within the signal: then averages reach beyond the padding.
    """
    support = temporal_support(n, SIGMA_LOW / T)
    if support is None:
        warnings.warn(
            f"`Scattering1D`: the low-pass of T = {T} does not decay within the {n} samples of a signal, so that its "
            "averages reach beyond the padding. Use a smaller T or J, or longer signals.",
            UserWarning,
            stacklevel=3,
        )
        support = n // 2
    wanted = int(np.ceil(np.log2(n + 6 * support)))
    return 2 ** min(wanted, int(np.floor(np.log2(3 * n - 2))))


def borders(first: int, last: int, levels: int) -> tuple[dict[int, int], dict[int, int]]:
    """First sample of the signal, and the one after its last, among every ``2^k``-th of the padded ones, by level k."""
    start, end = {0: first}, {0: last}
    for k in range(1, levels + 1):
        start[k], end[k] = -(-start[k - 1] // 2), -(-end[k - 1] // 2)
    return start, end
