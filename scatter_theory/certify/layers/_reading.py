"""A convolution layer of torch as numbers: its weights in one form, its geometry, the sizes of what goes in and out.

A transposed convolution is the transpose of a convolution, and torch stores the weights of both in one form. The larger
grid is called fine, the other one coarse: a convolution goes from fine to coarse, a transposed one from coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from scatter_theory.grid import is_whole

_DIRECT = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_DENSE_WEIGHTS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)


@dataclass(frozen=True, eq=False)
class ConvLayer:
    """What the bounds need of a layer; tuples have one number per axis.

    Parameters
    ----------
    name : str
        The layer in words.
    weight : (coarse channels, fine channels per group, *kernel) tensor
        float64 or complex128, on the CPU.
    stride, dilation, left, right, output_padding : tuple of int
        `left` and `right` are the samples of padding on either side of the fine grid.
    groups : int
    mode : str
        Padding mode of torch: ``"zeros"``, ``"circular"``, ``"reflect"``, ``"replicate"``.
    transposed : bool
    """

    name: str
    weight: Tensor
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    output_padding: tuple[int, ...]
    groups: int
    mode: str
    transposed: bool

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.stride)

    @property
    def reach(self) -> tuple[int, ...]:
        """Distance between the first and the last tap, in samples."""
        return tuple(d * (k - 1) for d, k in zip(self.dilation, self.weight.shape[2:], strict=True))

    @property
    def channels(self) -> tuple[int, int]:
        """Channels on the fine and on the coarse grid."""
        return self.weight.shape[1] * self.groups, self.weight.shape[0]

    def grids(self, grid_shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Fine and coarse grid of the layer as torch computes it, for inputs on `grid_shape`.

        Raises
        ------
        ValueError
            If nothing would come out.
        """
        axes = zip(grid_shape, self.stride, self.left, self.right, self.reach, self.output_padding, strict=True)
        if self.transposed:
            other = tuple((n - 1) * s - a - b + r + o + 1 for n, s, a, b, r, o in axes)
        else:
            other = tuple((n + a + b - r - 1) // s + 1 for n, s, a, b, r, _ in axes)
        if any(m < 1 for m in other):
            raise ValueError(
                f"`conv_bounds(grid_shape=...)`: got {grid_shape}, for which {self.name} has the output shape {other}, "
                "expected at least one sample per axis. Use a larger grid."
            )
        return (other, grid_shape) if self.transposed else (grid_shape, other)


def read(layer: Any) -> ConvLayer:
    """Read a convolution, a transposed convolution, or a `Linear` (a convolution on a grid without axes).

    float16, bfloat16 and float32 weights convert to float64 without rounding.

    Raises
    ------
    TypeError
        For another module, one with a forward pass of its own, or weights that are not floating-point numbers.
    ValueError
        If a weight is not finite, or a lazy layer has none yet.
    """
    kinds = (*_DIRECT, *_TRANSPOSED, nn.Linear)
    kind = next((k for k in kinds if isinstance(layer, k)), None)
    if kind is None:
        raise TypeError(
            f"`conv_bounds(layer=...)`: got {type(layer).__name__}, expected one of "
            f"{', '.join(k.__name__ for k in kinds)} of torch.nn."
        )
    own = [f for f in ("forward", "_conv_forward") if getattr(type(layer), f, None) is not getattr(kind, f, None)]
    if own or "forward" in vars(layer):
        found = type_before_parametrizations(layer).__name__
        raise TypeError(
            f"`conv_bounds(layer=...)`: {found} has a forward pass of its own, so that its weights need not be those "
            f"of the map that it computes; expected the forward pass of {kind.__name__}. Copy the effective weights "
            f"into a plain {kind.__name__}."
        )
    with torch.no_grad():
        weight = layer.weight
    if is_lazy(weight):
        raise ValueError(
            f"`conv_bounds(layer=...)`: got a {type(layer).__name__} without weights yet, expected weights. Let one "
            "input pass through the layer first."
        )
    if not isinstance(weight, Tensor) or weight.dtype not in _DENSE_WEIGHTS:
        raise TypeError(
            f"`conv_bounds(layer=...)`: the weights are {getattr(weight, 'dtype', type(weight).__name__)}, expected "
            "real or complex floating-point numbers."
        )
    weight = weight.detach().cpu()
    weight = weight.to(torch.complex128 if weight.is_complex() else torch.float64)
    if not torch.isfinite(weight).all():
        raise ValueError("`conv_bounds(layer=...)`: the weights have entries that are not finite, expected none.")
    if kind is nn.Linear:
        name = f"Linear({weight.shape[1]}, {weight.shape[0]})"
        return ConvLayer(name, weight, (), (), (), (), (), 1, "zeros", False)
    return _convolution(layer, kind.__name__, weight, kind in _TRANSPOSED)


def _convolution(layer: Any, kind: str, weight: Tensor, transposed: bool) -> ConvLayer:
    d = weight.ndim - 2
    if layer.padding == "same":
        total = [r * (k - 1) for r, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        left = tuple(t // 2 for t in total)
        right = tuple(t - a for t, a in zip(total, left, strict=True))
    else:
        left = right = (0,) * d if layer.padding == "valid" else tuple(layer.padding)
    parts = [f"{layer.in_channels}, {layer.out_channels}, kernel_size={tuple(layer.kernel_size)}"]
    neutral = {"stride": (1,) * d, "dilation": (1,) * d, "padding": (0,) * d, "output_padding": (0,) * d}
    neutral |= {"groups": 1, "padding_mode": "zeros"}
    parts += [f"{key}={getattr(layer, key)!r}" for key, plain in neutral.items() if getattr(layer, key) != plain]
    parts += ["parametrized"] if is_parametrized(layer, "weight") else []
    return ConvLayer(
        name=f"{kind}({', '.join(parts)})",
        weight=weight,
        stride=tuple(layer.stride),
        dilation=tuple(layer.dilation),
        left=left,
        right=right,
        output_padding=tuple(layer.output_padding),
        groups=layer.groups,
        mode=layer.padding_mode,
        transposed=transposed,
    )


def checked_shape(layer: ConvLayer, grid_shape: Any) -> tuple[int, ...]:
    """`grid_shape` as a tuple of positive whole numbers, one per axis of the layer.

    Raises
    ------
    TypeError, ValueError
        Otherwise.
    """
    if not isinstance(grid_shape, Sequence) or isinstance(grid_shape, str):
        raise TypeError(
            f"`conv_bounds(grid_shape=...)`: got {grid_shape!r}, expected a tuple with one length per axis of the "
            "input, such as (32, 32)."
        )
    if len(grid_shape) != layer.ndim or any(not is_whole(n) or n < 1 for n in grid_shape):
        raise ValueError(
            f"`conv_bounds(grid_shape=...)`: got {tuple(grid_shape)}, expected {layer.ndim} positive whole numbers, "
            f"the lengths of the axes on which {layer.name} acts (without batch and channels)."
        )
    return tuple(int(n) for n in grid_shape)
