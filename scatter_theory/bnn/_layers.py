"""Single layers, already binarised."""

from __future__ import annotations

from typing import Any

from torch import nn

from scatter_theory.bnn._convert import binarize_model
from scatter_theory.bnn._estimator import Estimator


def BinaryLinear(
    in_features: int,
    out_features: int,
    bias: bool = True,
    *,
    estimator: Estimator,
    device: Any = None,
    dtype: Any = None,
    **binarisation: Any,
) -> nn.Linear:
    """A ``torch.nn.Linear`` with binarised weight and input.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As for ``torch.nn.Linear``.
    estimator : Estimator
        Estimator of weight and input.
    **binarisation
        ``weights``, ``activations``, ``scaling``, ``detach_scaling`` and ``sign_zero`` as for ``binarize_model``.

    Returns
    -------
    nn.Linear
        The layer as ``binarize_model`` makes it; ``restore_model`` gives the plain one.
    """
    layer = nn.Linear(in_features, out_features, bias, device=device, dtype=dtype)
    return binarize_model(layer, estimator, skip=(), inplace=True, **binarisation)


def BinaryConv1d(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int],
    stride: int | tuple[int] = 1,
    padding: str | int | tuple[int] = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    *,
    estimator: Estimator,
    device: Any = None,
    dtype: Any = None,
    **binarisation: Any,
) -> nn.Conv1d:
    """A ``torch.nn.Conv1d`` with binarised weight and input.

    The signs of the input are padded, so that ``padding_mode="zeros"`` brings in a third level, 0, at the border.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        As for ``torch.nn.Conv1d``.
    estimator : Estimator
        Estimator of weight and input.
    **binarisation
        ``weights``, ``activations``, ``scaling``, ``detach_scaling`` and ``sign_zero`` as for ``binarize_model``.

    Returns
    -------
    nn.Conv1d
        The layer as ``binarize_model`` makes it; ``restore_model`` gives the plain one.
    """
    shape = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
    layer = nn.Conv1d(*shape, device=device, dtype=dtype)
    return binarize_model(layer, estimator, skip=(), inplace=True, **binarisation)


def BinaryConv2d(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: str | int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    *,
    estimator: Estimator,
    device: Any = None,
    dtype: Any = None,
    **binarisation: Any,
) -> nn.Conv2d:
    """A ``torch.nn.Conv2d`` with binarised weight and input.

    The signs of the input are padded, so that ``padding_mode="zeros"`` brings in a third level, 0, at the border.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        As for ``torch.nn.Conv2d``.
    estimator : Estimator
        Estimator of weight and input.
    **binarisation
        ``weights``, ``activations``, ``scaling``, ``detach_scaling`` and ``sign_zero`` as for ``binarize_model``.

    Returns
    -------
    nn.Conv2d
        The layer as ``binarize_model`` makes it; ``restore_model`` gives the plain one.
    """
    shape = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
    layer = nn.Conv2d(*shape, device=device, dtype=dtype)
    return binarize_model(layer, estimator, skip=(), inplace=True, **binarisation)
