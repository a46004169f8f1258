r"""Trigonometric sums :math:`\sum_k c_k e^{2\pi i \langle k, x \rangle / L}` at arbitrary points.

Two ways with one meaning. The direct sum factors over the axes; it is exact up to rounding, differentiable any number
of times, and runs on every device. FINUFFT (Barnett, Magland and af Klinteberg, 2019) is faster for many points on a
CPU; its gradient is written by hand, and second derivatives are refused.

Coefficients have odd lengths, with frequencies -M, ..., M in ascending order along every axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

Method = Literal["auto", "direct", "finufft"]

#: Relative accuracy asked of FINUFFT; what it reaches is measured by `spot_error`.
TOLERANCE = 1e-13
#: Products (points x coefficients x signals that share the points) up to which the direct sum is taken.
SMALL = {1: 1 << 22, 2: 1 << 24, 3: 1 << 24}
#: Bytes of the factors that a direct sum holds at once.
CHUNK_BYTES = 1 << 28
#: Points at which a fast evaluation is compared with the direct sum.
SPOTS = 64
#: Points times signals above which FINUFFT may use several threads.
_THREADED = 1 << 16


class NotTwiceDifferentiable(RuntimeError):
    """A second derivative was asked of the fast path, which has none."""


def evaluate(
    coefficients: Tensor,
    extent: Sequence[float],
    points: Tensor,
    *,
    each: bool = False,
    method: Method = "auto",
    tolerance: float = TOLERANCE,
) -> Tensor:
    r"""Values :math:`\sum_k c_k e^{2\pi i \sum_i k_i x_i / L_i}`.

    Parameters
    ----------
    coefficients : (*batch, 2 M_1 + 1, ..., 2 M_d + 1) complex tensor
    extent : d numbers
        Periods ``L_i``, in the unit of the points.
    points : (d, *shape) tensor, or (*batch, d, *shape) with ``each=True``
        Real positions; any value, they are read modulo the period.
    each : bool
        Whether every polynomial of the batch has points of its own.
    method : {"auto", "direct", "finufft"}
        ``"auto"``: FINUFFT on the CPU in float64 above `SMALL`, else the direct sum.
    tolerance : float
        Asked of FINUFFT.

    Returns
    -------
    (*batch, *shape) complex tensor

    Raises
    ------
    ValueError
        For even lengths, shapes that do not fit, an unknown method, or FINUFFT where it cannot run.
    NotTwiceDifferentiable
        In a second backward pass through FINUFFT.
    """
    d = len(extent)
    _check(coefficients, points, d, each=each, method=method)
    batch, box = coefficients.shape[: coefficients.ndim - d], coefficients.shape[coefficients.ndim - d :]
    shape = points.shape[len(batch) + 1 :] if each else points.shape[1:]
    count = math.prod(shape)
    c = coefficients.reshape(-1, *box)
    periods = torch.tensor(list(extent), dtype=points.dtype, device=points.device)
    turns = (points.reshape(-1, d, count) if each else points.reshape(1, d, count)) / periods[:, None]
    turns = turns - turns.detach().round()
    if c.numel() == 0 or count == 0:
        return (c.sum() + turns.sum()) * c.new_zeros((*batch, *shape))
    if method == "auto":
        work = count * math.prod(box) * (1 if each else c.shape[0])
        fast = work > SMALL[d] and c.device.type == "cpu" and c.dtype == torch.complex128
        method = "finufft" if fast else "direct"
    if method == "direct":
        values = _direct(c, turns)
    elif each:
        pairs = zip(c, turns, strict=True)
        values = torch.cat([_Finufft.apply(one[None], 2 * math.pi * x, tolerance) for one, x in pairs])
    else:
        values = _Finufft.apply(c, 2 * math.pi * turns[0], tolerance)
    return values.reshape(*batch, *shape)


def spot_error(
    coefficients: Tensor, extent: Sequence[float], points: Tensor, values: Tensor, *, each: bool = False
) -> Tensor:
    r"""Root-mean-square error of fast values at `SPOTS` points, relative to :math:`\|c\|_2`, ``(*batch,)``.

    The norm of the coefficients is the root mean square of the polynomial over the torus. The points are spread evenly
    over their order.

    Parameters
    ----------
    coefficients, extent, points, each
        As for `evaluate`.
    values : (*batch, *points) tensor
        What is judged, as `evaluate` gives it.

    Returns
    -------
    (*batch,) tensor
        Without unit.
    """
    d = len(extent)
    count = math.prod(points.shape[points.ndim - (values.ndim - (coefficients.ndim - d)) :])
    picked = torch.arange(min(SPOTS, count), device=points.device) * count // min(SPOTS, count)
    lead = coefficients.ndim - d
    flat = points.flatten(lead + 1 if each else 1)
    with torch.no_grad():
        exact = evaluate(coefficients, extent, flat[..., picked], each=each, method="direct")
        error = (exact - values.flatten(lead)[..., picked]).abs().square().mean(-1).sqrt()
        size = torch.linalg.vector_norm(coefficients.flatten(lead), dim=-1)
    return error / size.clamp_min(torch.finfo(size.dtype).tiny)


def _check(coefficients: Tensor, points: Tensor, d: int, *, each: bool, method: str) -> None:
    if not coefficients.is_complex() or coefficients.ndim < d:
        raise ValueError(
            f"`evaluate(coefficients=...)`: got {coefficients.dtype} of shape {tuple(coefficients.shape)}, expected a "
            f"complex tensor with {d} frequency axes at the end."
        )
    box = coefficients.shape[coefficients.ndim - d :]
    if any(n % 2 == 0 for n in box):
        raise ValueError(f"`evaluate(coefficients=...)`: lengths {tuple(box)}, expected odd ones, for k = -M..M.")
    lead = coefficients.ndim - d if each else 0
    expected = (*coefficients.shape[:lead], d)
    if points.is_complex() or not points.is_floating_point() or tuple(points.shape[: lead + 1]) != expected:
        raise ValueError(
            f"`evaluate(points=...)`: got {points.dtype} of shape {tuple(points.shape)}, expected real positions of "
            f"shape {expected} followed by the shape of the points."
        )
    if method not in ("auto", "direct", "finufft"):
        raise ValueError(f"`evaluate(method=...)`: got {method!r}, expected 'auto', 'direct' or 'finufft'.")
    if method == "finufft" and (coefficients.device.type != "cpu" or coefficients.dtype != torch.complex128):
        raise ValueError(
            f"`evaluate(method='finufft')`: got {coefficients.dtype} on {coefficients.device}, but FINUFFT runs on the "
            "CPU in double precision. Use method='direct'."
        )


def _direct(c: Tensor, turns: Tensor) -> Tensor:
    """``(n, *box)`` coefficients, ``(n or 1, d, P)`` turns in cycles -> ``(n, P)``; axis after axis."""
    box = c.shape[1:]
    widest = c.shape[0] * math.prod(box[:-1]) + sum(box)
    length = max(1, CHUNK_BYTES // (16 * max(widest, 1)))
    return torch.cat([_block(c, part) for part in turns.split(length, -1)], -1)


def _block(c: Tensor, turns: Tensor) -> Tensor:
    n, d, P = c.shape[0], turns.shape[1], turns.shape[2]
    box = c.shape[1:]
    waves = [_waves(turns[:, axis], box[axis], c.dtype) for axis in range(d)]
    values = waves[-1] @ c.reshape(n, -1, box[-1]).transpose(1, 2)
    for axis in reversed(range(d - 1)):
        values = (values.reshape(n, P, -1, box[axis]) * waves[axis].unsqueeze(2)).sum(-1)
    return values.reshape(n, P)


def _waves(turns: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """``exp(2 pi i k x)`` for k = -M..M, ``(n, P, length)``."""
    M = length // 2
    k = torch.arange(-M, M + 1, dtype=turns.dtype, device=turns.device)
    angle = 2 * math.pi * (turns.unsqueeze(-1) * k)
    return torch.complex(angle.cos(), angle.sin()).to(dtype)


def _threads(work: int) -> int:
    return torch.get_num_threads() if work > _THREADED else 1


class _Finufft(torch.autograd.Function):
    """``(n, *box)`` coefficients at ``(d, P)`` points in radians -> ``(n, P)``."""

    @staticmethod
    def forward(ctx: Any, c: Tensor, x: Tensor, tolerance: float) -> Tensor:
        ctx.save_for_backward(c, x)
        ctx.tolerance = tolerance
        return _type_2(c.detach(), x.detach(), tolerance)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        c, x = ctx.saved_tensors
        return (*_FinufftGradient.apply(c, x, gradient, ctx.tolerance, ctx.needs_input_grad[:2]), None)


class _FinufftGradient(torch.autograd.Function):
    """The first derivative; asking for its derivative is an error, not a wrong number."""

    @staticmethod
    def forward(
        ctx: Any, c: Tensor, x: Tensor, gradient: Tensor, tolerance: float, needed: Sequence[bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        d = x.shape[0]
        box = c.shape[1:]
        to_c = _type_1(gradient, x, tuple(box), tolerance) if needed[0] else None
        to_x = None
        if needed[1]:
            rows = []
            for axis in range(d):
                k = torch.arange(-(box[axis] // 2), box[axis] // 2 + 1, dtype=torch.float64)
                slope = _type_2(1j * k.reshape([-1 if a == axis else 1 for a in range(d)]) * c, x, tolerance)
                rows.append((gradient.conj() * slope).real.sum(0))
            to_x = torch.stack(rows)
        return to_c, to_x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> None:
        raise NotTwiceDifferentiable(
            "`evaluate(method='finufft')` has no second derivative. Use method='direct' where one is needed."
        )


def _type_2(c: Tensor, x: Tensor, tolerance: float) -> Tensor:
    import finufft

    transform = (finufft.nufft1d2, finufft.nufft2d2, finufft.nufft3d2)[x.shape[0] - 1]
    points = [row.contiguous().numpy() for row in x]
    threads = _threads(c.shape[0] * x.shape[1])
    values = transform(*points, c.contiguous().numpy(), eps=tolerance, isign=1, nthreads=threads)
    return torch.from_numpy(values).reshape(c.shape[0], x.shape[1])


def _type_1(gradient: Tensor, x: Tensor, box: tuple[int, ...], tolerance: float) -> Tensor:
    import finufft

    transform = (finufft.nufft1d1, finufft.nufft2d1, finufft.nufft3d1)[x.shape[0] - 1]
    points = [row.contiguous().numpy() for row in x]
    threads = _threads(gradient.shape[0] * x.shape[1])
    values = transform(
        *points, gradient.resolve_conj().contiguous().numpy(), box, eps=tolerance, isign=-1, nthreads=threads
    )
    return torch.from_numpy(values).reshape(gradient.shape[0], *box)
