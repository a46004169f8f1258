r"""Matrices whose singular values cannot leave a range: what `LearnedConv` makes of the symbol of its kernel.

Let T be a p x r matrix, X = T if p >= r and X = T* otherwise, so that X has at least as many rows as columns, and let
X = QR with orthonormal columns of Q and a positive diagonal of R. R* is the Cholesky factor L of X*X = LL*, and
:math:`Q = X L^{-*}`, but by Householder's reflections and not by the product X*X, so that :math:`Q^*Q = I` up to
rounding whatever the condition of X. With :math:`c(s) = A + (B - A)\, s / (1 + s)`

* *tight*: :math:`\tilde X = \sqrt B\, Q`, so that :math:`\tilde X^* \tilde X = B`;
* *in a range, A > 0*: :math:`\tilde X = Q K^*` with :math:`K K^* = c(R R^*)`, so that
  :math:`\tilde X^* \tilde X = c(R R^*)`. The eigenvalues of RR* are the squared singular values of X;
* *in a range, A = 0*: :math:`\tilde X = \sqrt B\, P`, :math:`P^* P` with the eigenvalues s / (1 + s).

P and K come from QR factorisations too, and no eigenvectors are taken, whose derivatives do not exist at repeated
eigenvalues:

.. math:: \begin{pmatrix} Y \\ I \end{pmatrix} = \begin{pmatrix} P \\ S^{-1} \end{pmatrix} S, \quad
          S^* S = I + Y^* Y, \qquad P P^* = Y (I + Y^* Y)^{-1} Y^* = Y Y^* (I + Y Y^*)^{-1} ,

with Y = X for A = 0, and with Y = R for A > 0, where then

.. math:: \begin{pmatrix} \sqrt A\, I \\ \sqrt{B - A}\, P^* \end{pmatrix} = \text{(orthonormal)}\, K^*, \qquad
          K K^* = A + (B - A) P P^* = c(R R^*) .

The matrix with Y = X and the identity has full rank for every X: the form with A = 0 is defined, and smooth,
everywhere. The others are where X has full rank. They have no limits elsewhere: for t -> 0 the matrices tX become
:math:`\sqrt B\, Q`, or :math:`\sqrt A\, Q`, another one for each Q.
"""

from __future__ import annotations

import torch
from torch import Tensor


def phases(values: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Samples ``(a, b, *n)`` by their residues modulo the stride, ``(a, b * prod(stride), *(n / stride))``."""
    d, lead = len(stride), values.shape[:2]
    split = values.reshape(*lead, *(k for n, s in zip(values.shape[2:], stride, strict=True) for k in (n // s, s)))
    moved = split.permute(0, 1, *range(3, 3 + 2 * d, 2), *range(2, 2 + 2 * d, 2))
    return moved.flatten(1, 1 + d)


def interleaved(blocks: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Inverse of `phases`."""
    d, coarse = len(stride), blocks.shape[2:]
    split = blocks.reshape(blocks.shape[0], -1, *stride, *coarse)
    moved = split.permute(0, 1, *(axis for i in range(d) for axis in (2 + d + i, 2 + i)))
    return moved.reshape(*split.shape[:2], *(s * m for s, m in zip(stride, coarse, strict=True)))


def orthonormal(X: Tensor) -> tuple[Tensor, Tensor]:
    """Q and R of matrices ``(..., p, r)``, p >= r, with a positive diagonal of R."""
    Q, R = torch.linalg.qr(X)
    diagonal = R.detach().diagonal(dim1=-2, dim2=-1).real
    sign = torch.where(diagonal < 0, -1.0, 1.0)
    return Q * sign[..., None, :], R * sign[..., :, None]


def independence(R: Tensor) -> Tensor:
    """Smallest share of a column that is not in the span of those before it, ``(...)``; 0 for a zero column."""
    R = R.detach()
    lengths = torch.linalg.vector_norm(R, dim=-2)
    diagonal = R.diagonal(dim1=-2, dim2=-1).abs()
    return torch.where(lengths > 0, diagonal / lengths, torch.zeros_like(lengths)).amin(-1)


def tight(X: Tensor, B: float) -> tuple[Tensor, Tensor]:
    """Matrices with all singular values sqrt(B), and the `independence` of those that came; see the module text."""
    Q, R = orthonormal(X)
    return B**0.5 * Q, independence(R)


def ranged(X: Tensor, A: float, B: float) -> tuple[Tensor, Tensor]:
    """Matrices with squared singular values c(s) in [A, B], A > 0, and the `independence` of those that came."""
    Q, R = orthonormal(X)
    one = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device).expand_as(R)
    P = contracted(R, B - A)
    _, K = orthonormal(torch.cat([A**0.5 * one, P.mH], -2))
    return Q @ K, independence(R)


def contracted(X: Tensor, B: float) -> Tensor:
    """Matrices with squared singular values B s / (1 + s), for all matrices; see the module text."""
    one = torch.eye(X.shape[-1], dtype=X.dtype, device=X.device)
    P, _ = orthonormal(torch.cat([X, one.expand(*X.shape[:-2], *one.shape)], -2))
    return B**0.5 * P[..., : X.shape[-2], :]
