"""How a tensor enters a meter: what is refused, and how a large one is cut into pieces that fit the cache."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Entries per piece on the CPU: the float64 copies of a piece stay in the second-level cache.
CHUNK = 32768
#: Entries per piece elsewhere: float32 still counts them exactly.
LARGEST = 2**24


def checked(caller: str, name: str, x: Tensor) -> Tensor:
    """The tensor without its graph.

    Raises
    ------
    TypeError
        Unless it is a dense tensor of real floating point numbers.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"`{caller}({name}=...)`: got {type(x).__name__}, expected a tensor; use `torch.as_tensor`.")
    if not x.is_floating_point():
        kind = str(x.dtype).removeprefix("torch.")
        advice = f"take `{name}.abs()` or the two parts" if x.is_complex() else f"convert with `{name}.float()`"
        raise TypeError(f"`{caller}({name}=...)`: got {kind}, expected real floating point numbers; {advice}.")
    if x.layout != torch.strided:
        raise TypeError(f"`{caller}({name}=...)`: got layout {x.layout}, expected a dense tensor; use `to_dense()`.")
    return x.detach()


def in_memory_order(x: Tensor) -> Tensor:
    """All entries in one axis, so that a dense layout of any axis order is not copied."""
    return x.permute(sorted(range(x.ndim), key=x.stride, reverse=True)).reshape(-1)


def pieces(x: Tensor) -> tuple[Tensor, ...]:
    """All entries in the order of memory, cut into pieces that suit the device."""
    entries = in_memory_order(x)
    most = CHUNK if x.device.type == "cpu" else LARGEST
    return entries.split(most) if entries.numel() > most else (entries,)


def axes(caller: str, x: Tensor, dim: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The reduced axes as non-negative numbers, all of them for None.

    Raises
    ------
    ValueError
        If there is no axis, or one does not exist or comes twice.
    """
    if dim is None:
        return tuple(range(x.ndim))
    chosen = (dim,) if isinstance(dim, int) else tuple(dim)
    exist = bool(chosen) and all(-x.ndim <= d < x.ndim for d in chosen)
    if not exist or len({d % x.ndim for d in chosen}) < len(chosen):
        raise ValueError(
            f"`{caller}(dim=...)`: got {dim}, expected different axes of a tensor of shape {tuple(x.shape)}, or None "
            "for all."
        )
    return tuple(d % x.ndim for d in chosen)


def size(x: Tensor, dims: tuple[int, ...]) -> int:
    """Number of entries that are reduced to one."""
    return math.prod(x.shape[d] for d in dims)


def same_shape(caller: str, a: Tensor, b: Tensor) -> None:
    """Refuse to merge meters of different populations.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(
            f"`{caller}`: got a state of shape {tuple(b.shape)}, expected {tuple(a.shape)} as in this meter; reduce "
            "over the same axes (`dim=...`) in both."
        )
