r"""How one binarised tensor enters its state.

With the binary values b(z), a surrogate f and the gradient g, the state holds the sums of
:math:`(b(z) - f(z))^2`, the moments of :math:`|g|`, and counters. As f is odd and :math:`b(z) = \pm 1` has the sign of
z, the deviation is :math:`1 - f(|z|)`; at z = 0 it is 0 if the sign of zero is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scatter_theory.bnn import _kernels
from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._indicator_tally import COUNTERS, Tally
from scatter_theory.meters import Counts, Moments, Sums
from scatter_theory.meters._chunks import in_memory_order, pieces

#: Entries that are sampled together: as many as the processor fetches at once.
BLOCK = 16


def tally(
    z: Tensor,
    gradient: Tensor | None,
    estimator: Estimator,
    curves: Sequence[Estimator],
    sign_zero: int,
    every: int = 1,
    start: int = 0,
) -> Tally:
    """State of one tensor.

    Parameters
    ----------
    z : real floating point tensor, any shape
        Latent values.
    gradient : tensor of the same shape or None
        Gradient with respect to z; None where there is none.
    estimator : Estimator
        Its limits and its multiplier.
    curves : sequence of Estimator
        Their surrogates are compared with the binary values of `estimator`.
    sign_zero : {1, 0, -1}
        Sign of zero.
    every, start : int
        Of z only each `every`-th block of `BLOCK` entries is looked at, beginning with number `start`; all of them if
        an estimator depends on the whole tensor. Gradients are always read whole: few large entries make their
        variance.
    """
    pointwise = all(e.pointwise for e in (estimator, *curves))
    values = in_memory_order(z)
    if every > 1 and pointwise:
        values = _sampled(values, every, start)
    cut = pieces(values) if pointwise else (values,)
    seen, totals = _latent(values, cut, estimator, curves, sign_zero)
    if _kernels.stops_beyond_its_limit(estimator):
        dead = seen[1:2]
    else:
        dead = torch.stack([_dead(piece, estimator) for piece in cut]).sum(0, keepdim=True)
    zero = torch.zeros_like(seen[:2])
    counters = torch.cat([torch.full_like(seen[:1], z.numel()), seen, dead, zero]).to(torch.int64)
    finite = counters[1].expand(totals.shape)
    errors = Sums(finite, totals, values.numel() - finite)
    return Tally(_gradient(gradient, z.device), errors, Counts(COUNTERS, counters))


def packed(
    z: Tensor,
    gradient: Tensor | None,
    estimator: Estimator,
    curves: Sequence[Estimator],
    sign_zero: int,
    every: int = 1,
    start: int = 0,
) -> Tensor:
    """``tally(...).pack()``, without a tensor in between where compiled passes do it all."""
    forms = [_kernels.as_power(curve) for curve in curves]
    plain = type(estimator).forward is Estimator.forward and _kernels.stops_beyond_its_limit(estimator)
    readable = gradient is not None and _kernels.fits(z) and _kernels.fits(gradient)
    if every > 1 or not plain or None in forms or not readable:
        return tally(z, gradient, estimator, curves, sign_zero, every, start).pack()
    n, mean, M2 = _kernels.gradient(gradient)
    finite, saturated, inner, *totals = _kernels.latent(z, estimator.limits, sign_zero == 0, forms)
    size = z.numel()
    counters = [size, finite, saturated, inner, saturated, 0, 0]
    return torch.tensor([n, size - n, finite, size - finite, *counters, mean, M2, *totals], dtype=torch.float64)


def signs(z: Tensor, estimator: Estimator, sign_zero: int) -> Tensor:
    """Binary values as int8, 2 for NaN."""
    return estimator.forward(z, sign_zero).nan_to_num(nan=2.0).to(torch.int8)


def flips(before: Tensor, now: Tensor) -> Tensor:
    """How many signs exist before and now, and how many of these changed; int64."""
    both = (before != 2) & (now != 2)
    return torch.stack([both.sum(), ((before != now) & both).sum()])


def _gradient(g: Tensor | None, device: torch.device) -> Moments:
    """Moments of the moduli."""
    if g is None:
        return Moments.init((), device)
    g = in_memory_order(g)
    if not _kernels.fits(g):
        return Moments.of(g.abs())
    n, mean, M2 = torch.tensor(_kernels.gradient(g), dtype=torch.float64)
    n = n.to(torch.int64)
    return Moments(n, mean, M2, g.numel() - n)


def _dead(z: Tensor, estimator: Estimator) -> Tensor:
    """Finite entries of one piece whose multiplier is 0; float64."""
    return _number(_ones(torch.eq, estimator.multiplier(z), 0).mul_(_ones(torch.lt, z.abs(), math.inf)))


def _latent(
    values: Tensor, cut: Sequence[Tensor], estimator: Estimator, curves: Sequence[Estimator], sign_zero: int
) -> tuple[Tensor, Tensor]:
    """Finite, saturated and inner entries; sums of squared deviations for each curve; float64."""
    own = type(estimator).forward is not Estimator.forward
    forms = [None if own else _kernels.as_power(curve) for curve in curves]
    if not _kernels.fits(values):
        found = [_piece(piece, estimator, curves, sign_zero) for piece in cut]
        return tuple(torch.stack(column).sum(0) for column in zip(*found, strict=True))
    quick = [form for form in forms if form is not None]
    seen = torch.tensor(_kernels.latent(values, estimator.limits, sign_zero == 0, quick), dtype=torch.float64)
    if len(quick) == len(forms):
        return seen[:3], seen[3:]
    rest = [curve for curve, form in zip(curves, forms, strict=True) if form is None]
    slow = torch.stack([_piece(piece, estimator, rest, sign_zero)[1] for piece in cut]).sum(0)
    done = {True: iter(seen[3:]), False: iter(slow)}
    return seen[:3], torch.stack([next(done[form is not None]) for form in forms])


def _piece(z: Tensor, estimator: Estimator, curves: Sequence[Estimator], sign_zero: int) -> tuple[Tensor, Tensor]:
    """The same of one piece."""
    wide = z if z.dtype == torch.float64 else z.to(torch.float32)
    u = wide.abs()
    finite = _ones(torch.lt, u, math.inf)
    u.nan_to_num_(nan=0.0, posinf=0.0)
    number = _number(finite)
    inner, outer = estimator.limits
    saturated = _number(_ones(torch.gt, u, outer)) if outer < math.inf else torch.zeros_like(number)
    within = _number(_ones(torch.le, u, inner).mul_(finite)) if inner > 0 else torch.zeros_like(number)
    totals = [_squares(curve, estimator, wide, u, finite, sign_zero) for curve in curves]
    return torch.stack([number, saturated, within]), torch.stack(totals)


def _squares(curve: Estimator, estimator: Estimator, z: Tensor, u: Tensor, finite: Tensor, sign_zero: int) -> Tensor:
    if type(estimator).forward is Estimator.forward:
        deviations = 1 - curve.surrogate(u)
        keep = finite * _ones(torch.gt, u, 0) if sign_zero == 0 else finite
    else:
        z = z.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        deviations = estimator.forward(z, sign_zero) - curve.surrogate(z)
        keep = finite
    wide = deviations.mul_(keep).to(torch.float64)
    return wide.square_().sum()


def _sampled(x: Tensor, every: int, start: int) -> Tensor:
    """Blocks of `BLOCK` neighbours, one of `every`, beginning with number `start`."""
    whole = x.numel() // BLOCK
    blocks = x[: whole * BLOCK].reshape(whole, BLOCK)[start::every].reshape(-1)
    return torch.cat([blocks, x[whole * BLOCK :]]) if whole % every == start else blocks


def _ones(compare: Callable[..., Tensor], x: Tensor, y: float) -> Tensor:
    """Comparison as 0.0 or 1.0 in the dtype of x: several times faster on the CPU than a mask of booleans."""
    return compare(x, y, out=torch.empty_like(x))


def _number(ones: Tensor) -> Tensor:
    return ones.sum(dtype=torch.float64 if ones.dtype == torch.float64 else torch.float32).to(torch.float64)
