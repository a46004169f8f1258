r"""A batch normalisation behind a convolution is a convolution.

In evaluation mode a batch normalisation is affine per channel,
:math:`z \mapsto \gamma (z - \mu) / (\nu + \epsilon)^{1/2} + \beta`, so that behind :math:`W * u + b` it gives the
weights :math:`W \gamma (\nu + \epsilon)^{-1/2}` and the bias
:math:`(b - \mu) \gamma (\nu + \epsilon)^{-1/2} + \beta`. The bound of the product may be far below the product of the
bounds: a channel with large weights may have a small scale.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from scatter_theory.certify.layers._reading import read


def fold_batch_norm(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """One layer that computes a convolution (or `Linear`) followed by a batch normalisation in evaluation mode.

    Parameters
    ----------
    layer : nn.Conv1d, ..., nn.ConvTranspose3d, nn.Linear
    norm : nn.BatchNorm1d, ..., nn.SyncBatchNorm
        In evaluation mode, with running statistics.

    Returns
    -------
    nn.Module
        A new layer of the same kind in float64 on the CPU, with a bias and without parametrizations; the given ones are
        unchanged.

    Raises
    ------
    TypeError
        For a layer that `conv_bounds` cannot read, complex weights, or another normalisation.
    ValueError
        If the normalisation is in training mode or has no running statistics, so that it depends on the batch, or if
        its channels are not those that come out of the layer.

    Examples
    --------
    >>> norm = nn.BatchNorm1d(2, eps=0.0).eval()
    >>> _ = norm.running_var.fill_(4.0)
    >>> layer = nn.Conv1d(1, 2, 1)
    >>> _ = nn.init.ones_(layer.weight)
    >>> fold_batch_norm(layer, norm).weight.flatten().tolist()
    [0.5, 0.5]
    """
    geometry = read(layer)
    if not isinstance(norm, _BatchNorm):
        raise TypeError(
            f"`fold_batch_norm(norm=...)`: got {type(norm).__name__}, expected a batch normalisation of torch.nn."
        )
    if geometry.weight.is_complex():
        raise TypeError(
            f"`fold_batch_norm(layer=...)`: got complex weights of dtype {layer.weight.dtype}, expected real "
            "ones: batch normalisation of torch is for real numbers."
        )
    if norm.training or norm.running_mean is None or norm.running_var is None:
        state = "training mode" if norm.training else "no running statistics"
        raise ValueError(
            f"`fold_batch_norm(norm=...)`: got a normalisation with {state}, whose scale depends on the batch, "
            "expected evaluation mode with running statistics. Call `model.eval()` first."
        )
    out = geometry.channels[0 if geometry.transposed else 1]
    if norm.num_features != out:
        raise ValueError(
            f"`fold_batch_norm(norm=...)`: got {norm.num_features} channels, expected {out}, those that come out of "
            f"{geometry.name}."
        )
    bias = torch.zeros(out) if layer.bias is None else layer.bias
    scale, shift = _affine(norm)
    plain = _plain(layer)
    plain.weight = nn.Parameter(
        geometry.weight * _per_output(scale, geometry.weight, geometry.groups, geometry.transposed)
    )
    plain.bias = nn.Parameter(_double(bias) * scale + shift)
    return plain


def _affine(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift of every channel."""
    scale = (_double(norm.running_var) + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * _double(norm.weight)
    shift = -_double(norm.running_mean) * scale
    return scale, shift if norm.bias is None else shift + _double(norm.bias)


def _per_output(scale: Tensor, weight: Tensor, groups: int, transposed: bool) -> Tensor:
    """The scale in the place of the output channels of `weight`: axis 0, or axis 1 within the group of axis 0."""
    ones = (1,) * (weight.ndim - 2)
    if not transposed:
        return scale.reshape(-1, 1, *ones)
    each = scale.reshape(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1)
    return each.reshape(weight.shape[0], weight.shape[1], *ones)


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()


def _plain(layer: nn.Module) -> nn.Module:
    """A copy without parametrizations, float64, on the CPU."""
    plain = copy.deepcopy(layer)
    for name in ("weight", "bias"):
        if parametrize.is_parametrized(plain, name):
            parametrize.remove_parametrizations(plain, name)
    return plain.cpu().double()
