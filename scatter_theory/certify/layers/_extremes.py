r"""Largest and smallest singular values of many matrices, where they are, and a second opinion on them.

The extremes are *found* from the eigenvalues of the smaller of :math:`T T^*` and :math:`T^* T`, frequency by frequency.
Forming the product loses half of the digits of small singular values: an eigenvalue errs by a multiple of
:math:`\epsilon \|T\|^2`, so that singular values below :math:`\epsilon^{1/2} \|T\|` drown. The singular values of the
two matrices that are found are therefore computed again without the product.

They are *checked* by Cholesky: if a factorisation of :math:`c - T^*T` runs through for every frequency, no eigenvalue
exceeds c by more than rounding, whatever the eigenvalue routine did; a vector shows that c is attained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Matrices(Protocol):
    """An operator as matrices, one per frequency and group."""

    def chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All frequencies ``(n, d)`` and their matrices ``(n, groups, rows, columns)``, in parts."""

    def at(self, q: Tensor) -> Tensor:
        """Matrices at frequencies ``(n, d)``."""


@dataclass(frozen=True, eq=False)
class Extreme:
    """A squared singular value, with its place and its right singular vector."""

    value: float
    q: tuple[int, ...]
    group: int
    vector: Tensor


def extremes(matrices: Matrices) -> tuple[Extreme, Extreme]:
    """Smallest and largest squared singular value, as maps of the columns: smallest 0 for more columns than rows."""
    places, values = [], []
    wide = False
    for q, found in matrices.chunks():
        wide = found.shape[-1] > found.shape[-2]
        squares = _squares(found)
        for column, pick in ((0, torch.argmin), (-1, torch.argmax)):
            row, group = divmod(int(pick(squares[..., column])), found.shape[1])
            places.append((tuple(q[row].tolist()), group))
            values.append(float(squares[row, group, column]))
    smallest = places[values.index(min(values[::2]))]
    largest = places[values.index(max(values[1::2]))]
    return _singular(matrices, smallest, -1, wide), _singular(matrices, largest, 0, False)


def _squares(found: Tensor) -> Tensor:
    """Squared singular values, ascending, by the smaller product."""
    product = found @ found.mH if found.shape[-2] <= found.shape[-1] else found.mH @ found
    return product.real[..., 0] if product.shape[-1] == 1 else torch.linalg.eigvalsh(product)


def _singular(matrices: Matrices, place: tuple[tuple[int, ...], int], column: int, wide: bool) -> Extreme:
    """The extreme at a place from a singular value decomposition; with `wide`, a vector that is mapped to zero."""
    q, group = place
    matrix = matrices.at(torch.tensor([q], dtype=torch.int64))[0, group]
    _, values, right = torch.linalg.svd(matrix, full_matrices=wide)
    value = 0.0 if wide else float(values[column] ** 2)
    return Extreme(value, q, group, right[column].conj())


def between(matrices: Matrices, low: float, high: float) -> bool:
    """Whether all squared singular values are in [low, high], by Cholesky factorisations; `low` 0 is not checked."""
    for _, found in matrices.chunks():
        square = found @ found.mH if found.shape[-2] <= found.shape[-1] else found.mH @ found
        one = torch.eye(square.shape[-1], dtype=square.dtype)
        checks = [high * one - square] + ([square - low * one] if low > 0 else [])
        if any((torch.linalg.cholesky_ex(check).info != 0).any() for check in checks):
            return False
        if low > 0 and found.shape[-1] > found.shape[-2]:
            return False
    return True


def attained(matrices: Matrices, extreme: Extreme) -> float:
    """Squared norm of the image of the extreme's vector, over that of the vector."""
    matrix = matrices.at(torch.tensor([extreme.q], dtype=torch.int64))[0, extreme.group]
    image = torch.linalg.vector_norm(matrix.to(torch.complex128) @ extreme.vector)
    return float((image / torch.linalg.vector_norm(extreme.vector)) ** 2)
