"""What `LearnedConv` refuses: parameters outside their range, other inputs, and weights for which it is undefined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scatter_theory.grid import Grid, is_whole

#: Share of the length of a column outside the span of those before it, up to which the rank counts as too small.
DEPENDENT = 1e-10

_DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def whole(name: str, value: Any) -> int:
    """A whole number of at least 1."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"`LearnedConv({name}=...)`: got {value!r}, expected a whole number of at least 1.")
    return int(value)


def per_axis(name: str, value: Any, d: int) -> tuple[int, ...]:
    """One whole number per axis, from one or several."""
    values = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * d
    if len(values) != d:
        raise ValueError(f"`LearnedConv({name}=...)`: got {value!r}, expected one number or {d}, one per axis.")
    return tuple(whole(name, v) for v in values)


def ends(parametrisation: str, A: float | None, B: float) -> tuple[float, float]:
    """A and B, checked; B twice for the canonical form."""
    if parametrisation not in ("canonical", "range"):
        raise ValueError(
            f"`LearnedConv(parametrisation=...)`: got {parametrisation!r}, expected 'canonical' or 'range'."
        )
    if not 0 < B < math.inf:
        raise ValueError(f"`LearnedConv(B=...)`: got {B!r}, expected a finite positive number.")
    if parametrisation == "canonical":
        if A is not None and A != B:
            raise ValueError(
                f"`LearnedConv(A=...)`: got {A!r} and B = {B!r} with parametrisation='canonical', whose singular "
                "values are all sqrt(B). Leave A out, or use parametrisation='range'."
            )
        return float(B), float(B)
    if A is None or not 0 <= A <= B:
        raise ValueError(f"`LearnedConv(A=...)`: got {A!r}, expected 0 <= A <= B = {B!r} for parametrisation='range'.")
    return float(A), float(B)


def check_grid(stride: tuple[int, ...], grid: Grid) -> None:
    """Refuse a grid with another number of axes, or one that the stride does not divide."""
    if grid.ndim != len(stride):
        raise ValueError(f"`LearnedConv(grid=...)`: got {grid.ndim} axes, expected {len(stride)}, as in the kernel.")
    if any(n % s for n, s in zip(grid.shape, stride, strict=True)):
        nearest = tuple(s * max(1, (2 * n + s) // (2 * s)) for n, s in zip(grid.shape, stride, strict=True))
        raise ValueError(
            f"`LearnedConv(grid=...)`: got {grid.shape}, expected multiples of the stride {stride}: otherwise a "
            f"strided circular convolution does not commute with shifts. The nearest grid has the shape {nearest}."
        )


def dtype_of(dtype: torch.dtype | None) -> torch.dtype:
    """The number type, torch's default for None, checked."""
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if dtype not in _DTYPES:
        raise TypeError(f"`LearnedConv(dtype=...)`: got {dtype}, expected one of {', '.join(map(str, _DTYPES))}.")
    return dtype


def check_rank(in_channels: int, out_channels: int, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
    """Refuse a kernel that reads too few of the samples of a period for full rank, whatever its weights."""
    seen = in_channels * math.prod(min(k, s) for k, s in zip(kernel, stride, strict=True))
    needed = min(out_channels, in_channels * math.prod(stride))
    if seen < needed:
        raise ValueError(
            f"`LearnedConv(kernel=...)`: got {kernel} with stride {stride}, which reads {seen} of the samples and "
            f"channels of a period, expected at least {needed}: no weights give the matrices full rank. Use a kernel "
            "at least as long as the stride, fewer output channels, or parametrisation='range' with A=0."
        )


def check_finite(weight: Tensor) -> None:
    """Refuse weights that are NaN or infinite; on the CPU only."""
    if weight.device.type == "cpu" and not bool(torch.isfinite(weight.detach()).all()):
        index = tuple(torch.nonzero(~torch.isfinite(weight.detach()))[0].tolist())
        raise ValueError(
            f"`LearnedConv`: the weight is not finite at index {index}, so the layer is undefined. Take a smaller "
            "learning rate, or load weights of an earlier step."
        )


def check_full(share: Tensor, wide: bool) -> None:
    """Refuse matrices whose `independence`, ``(*coarse)``, is too small, with the frequency where it is least."""
    place = int(share.argmin())
    least = float(share.flatten()[place])
    if not least > DEPENDENT:
        q = tuple(int(k) for k in torch.unravel_index(torch.tensor(place), share.shape))
        what = "output channels" if wide else "input channels, one per phase of the stride,"
        raise ValueError(
            f"`LearnedConv`: at the coarse frequency {q} the {what} of the kernel are linearly dependent: the share of "
            f"one of them that the others do not span is {least:.3g}, expected more than {DEPENDENT}. So dividing by "
            "the Cholesky factor is undefined. Start from other weights (`generator=`), or use "
            "parametrisation='range' with A=0, which is defined for all weights."
        )


def check_input(x: Tensor, in_channels: int, grid: Grid, weight: Tensor) -> None:
    """Refuse inputs of another shape or number type."""
    expected = (in_channels, *grid.shape)
    if tuple(x.shape[1:]) != expected:
        raise ValueError(
            f"`LearnedConv(x)`: got shape {tuple(x.shape)}, expected (batch, {', '.join(map(str, expected))}). For "
            "another grid use `layer.on(grid)`, which has other filters from the same weights."
        )
    if x.dtype != weight.dtype:
        raise TypeError(
            f"`LearnedConv(x)`: got {x.dtype}, expected {weight.dtype} as in the weight. Convert the input, or the "
            "layer with `.to(dtype)`."
        )
