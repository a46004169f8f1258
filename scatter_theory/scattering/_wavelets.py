"""What the transforms know of each wavelet, and the paths and tables made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Indices of the wavelets along a path: ``()`` for order 0.
Path = tuple[int, ...]


@dataclass(frozen=True)
class Wavelet:
    """Numbers of one wavelet.

    Parameters
    ----------
    xi : float
        Centre frequency, cycles per sample; in one dimension negative for mirrored wavelets.
    sigma : float
        Width (standard deviation) in frequency along the direction of `xi`, cycles per sample.
    j : int
        Scale: it is followed by wavelets of larger scale only, and its maps are sampled at every ``2^j``-th sample.
    theta : int
        Index of the direction, 0..L-1, or L..2L-1 for mirrored wavelets; 0 in one dimension.
    sign : int
        -1 for the mirror image, at frequencies of the opposite sign.
    """

    xi: float
    sigma: float
    j: int
    theta: int = 0
    sign: int = 1


def paths_of(scales: Sequence[Sequence[int]]) -> list[list[Path]]:
    """Paths of orders 0, 1, ..., N, in lexicographic order; scales increase along each.

    Parameters
    ----------
    scales : sequence of sequences of int
        Scales j of the wavelets of orders 1..N.
    """
    levels: list[list[Path]] = [[()]]
    for n, finer in enumerate([None, *scales[:-1]]):
        levels.append(
            [(*q, a) for q in levels[-1] for a, j in enumerate(scales[n]) if finer is None or j > finer[q[-1]]]
        )
    return levels


def table(
    levels: Sequence[Sequence[Path]], wavelets: Sequence[Sequence[Wavelet]], fields: Sequence[str]
) -> dict[str, np.ndarray | list[Path]]:
    """Table of all paths, as kymatio's ``meta()``.

    Parameters
    ----------
    levels : sequence of sequences of paths
        Paths of orders 0..N.
    wavelets : sequence of sequences of Wavelet
        Wavelets of orders 1..N.
    fields : sequence of str
        Attributes of the wavelets that are wanted.

    Returns
    -------
    dict
        ``order``, ``(paths,)`` int array; each field and ``n``, the index of the wavelet, ``(paths, N)`` float64 arrays
        with NaN beyond the order of a path; ``key``, the list of paths.
    """
    keys = [q for level in levels for q in level]
    result: dict[str, np.ndarray | list[Path]] = {"order": np.array([len(q) for q in keys])}
    columns = {name: [[getattr(w, name) for w in ws] for ws in wavelets] for name in fields}
    columns["n"] = [list(range(len(ws))) for ws in wavelets]
    for name, values in columns.items():
        rows = np.full((len(keys), len(wavelets)), np.nan)
        for i, q in enumerate(keys):
            rows[i, : len(q)] = [values[n][a] for n, a in enumerate(q)]
        result[name] = rows
    return {**result, "key": keys}
