"""Displacement fields to test with, and their norms by search: values only, independent of the code under test."""

import itertools
import math

import torch

from scatter_theory import Grid
from scatter_theory.deform._affine import AffineField
from scatter_theory.deform._sine import SineField
from scatter_theory.deform._trigonometric import TrigonometricField, sinusoid, translation
from scatter_theory.trigonometric import Polynomial

TAU = 2 * math.pi
EXTENT = (2.0, 3.0, 2.5)


def noise(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def bandlimited(batch, degree, d, seed=0, extent=EXTENT):
    """Random real polynomials; the coefficients of exp(2 pi i k x) and exp(-2 pi i k x) are made conjugate here."""
    c = noise((*batch, d, *(2 * degree + 1,) * d), seed, torch.complex128)
    c = c + c.flip(tuple(range(-d, 0))).conj()
    return TrigonometricField(Polynomial(0.02 * c, extent[:d]))


def affine(d, seed=0, batch=()):
    return AffineField(0.3 * noise((*batch, d, d), seed), (0.1, 2.9, 1.2)[:d], 0.4, 0.9, EXTENT[:d])


def some_fields(d):
    """One field of every kind that is known everywhere, with batch (2,)."""
    a, b = bandlimited((2,), 2, d), affine(d, 1, (2,))
    sine = SineField(0.1 * noise((2, d, *(2,) * d), 2), EXTENT[:d])
    return [
        a, translation(noise((2, d), 3), EXTENT[:d]), sinusoid((1,) * d, 0.1 * noise((2, d), 4), 0.3, EXTENT[:d]),
        sine, b, a + b, b.after(a), a.after(sine), (a + b).after(translation([0.1] * d, EXTENT[:d])).scaled(-0.7),
    ]  # fmt: skip


def cell(d, n, extent=EXTENT):
    """Regular points of one period, ``(d, n**d)``."""
    return Grid(tuple([n] * d), tuple(L / n for L in extent[:d])).points().flatten(1)


def refined(function, points, extent, steps=6, keep=4):
    """The largest value of a function ``(d, n) -> (batch, n)`` after pattern search from its largest samples.

    Independent of the code under test: values only, steps halved from the spacing of the samples.
    """
    d = points.shape[0]
    value = function(points)
    best = value.topk(min(keep, value.shape[-1]), dim=-1)
    x = points[:, best.indices].movedim(0, 1)  # (batch, d, keep)
    top = best.values
    width = max(extent[:d]) / round(points.shape[1] ** (1 / d))
    moves = torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=d)), dtype=torch.float64).T
    for _ in range(steps * 3):
        trial = (x[..., None] + width * moves[None, :, None, :]).flatten(2)
        found = function(trial, each=True).reshape(*x.shape[:1], x.shape[2], -1)
        best = found.max(-1)
        better = best.values > top
        step = moves[:, best.indices].movedim(0, 1) * width
        x = torch.where(better[:, None], x + step, x)
        top = torch.maximum(top, best.values)
        width *= 0.6
    return top.amax(-1)


def quantities(field):
    """|tau| and the largest entry of D tau as functions of points, ``(batch, n)``."""
    d, lead = field.ndim, len(field.batch)
    return (
        lambda x, each=False: torch.linalg.vector_norm(field.at(x, each=each), dim=lead),
        lambda x, each=False: field.jacobian(x, each=each).abs().reshape(*field.batch, d * d, -1).amax(-2),
    )


def batched(field):
    """The same field with batch (1,), for functions that expect one."""
    return field.scaled(torch.ones(1, dtype=torch.float64))
