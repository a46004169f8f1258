"""The filters of a trained convolution as a frame."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from scatter_theory.frames._filters import Filters, transform
from scatter_theory.frames._taps import roots_of_unity
from scatter_theory.grid import Grid, is_whole


def from_conv(layer: nn.Module, grid: Grid, *, output: int | Literal["complement"] = "complement") -> Filters:
    r"""The filters of a convolution with one input channel and stride 1, as a frame on `grid`.

    With circular padding channel c of the layer is :math:`u * g_c`, up to its bias, where
    :math:`\hat g_c(\xi) = \sum_t w_c[t] \, e^{2\pi i \langle \delta t - p, \xi \rangle}` with dilation :math:`\delta`
    and padding p: torch correlates. The Littlewood-Paley sum is :math:`\sum_c |\hat g_c|^2`. A frame of the theory
    needs an output atom besides: one of the channels, or the complement

    .. math:: \hat\chi = \Big( \max \sum_c |\hat g_c|^2 - \sum_c |\hat g_c|^2 \Big)^{1/2} ,

    with which A = B = :math:`\max \sum_c |\hat g_c|^2` on this grid. The bias is no part of a frame.

    Parameters
    ----------
    layer : nn.Conv1d, nn.Conv2d or nn.Conv3d
        Its weights are copied as they are now; they convert to float64 without rounding and carry no gradient.
    grid : Grid
        The filters act circularly here, whatever the padding of the layer.
    output : int or "complement"
        Channel that is the output atom, or the complement of all of them.

    Returns
    -------
    Filters
        Of kind ``"spectra"``, at home on grids of this shape only.

    Raises
    ------
    TypeError
        For another module, or one with a forward pass of its own.
    ValueError
        For more than one input channel, a stride, a grid with another number of axes, a channel that does not exist, or
        a single channel that would be the output atom.

    Examples
    --------
    >>> haar = nn.Conv1d(1, 2, 2)
    >>> haar.weight = nn.Parameter(torch.tensor([[[0.5, 0.5]], [[0.5, -0.5]]]))
    >>> frame = from_conv(haar, Grid.line(9), output=0)
    >>> tuple(round(bound, 12) for bound in frame.on(Grid.line(9)).bounds())
    (1.0, 1.0)
    """
    _check(layer, grid)
    spectra = _spectra(layer, grid)
    if output == "complement" and isinstance(output, str):
        power = (spectra.real**2 + spectra.imag**2).sum(0)
        return Filters(spectra, output=(power.max() - power).sqrt(), kind="spectra")
    if not is_whole(output) or not 0 <= output < len(spectra):
        raise ValueError(
            f"`from_conv(output=...)`: got {output!r}, expected 'complement' or a channel from 0 to {len(spectra) - 1}."
        )
    if len(spectra) == 1:
        raise ValueError(
            "`from_conv(output=...)`: the only channel would be the output atom and nothing would propagate; use "
            "output='complement'."
        )
    others = [c for c in range(len(spectra)) if c != output]
    return Filters(spectra[others], output=spectra[int(output)], kind="spectra")


def _check(layer: nn.Module, grid: Grid) -> None:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    kind = next((k for k in kinds if isinstance(layer, k)), None)
    if kind is None:
        raise TypeError(
            f"`from_conv(layer=...)`: got {type(layer).__name__}, expected Conv1d, Conv2d or Conv3d. For transposed "
            "convolutions and `Linear` use `certify.conv_bounds`."
        )
    if type(layer).forward is not kind.forward or type(layer)._conv_forward is not kind._conv_forward:
        raise TypeError(
            f"`from_conv(layer=...)`: {type(layer).__name__} has a forward pass of its own, expected that of "
            f"{kind.__name__}. Copy the effective weights into a plain {kind.__name__}."
        )
    if layer.in_channels != 1:
        raise ValueError(
            f"`from_conv(layer=...)`: got {layer.in_channels} input channels, expected 1: the theory's frames are "
            "scalar convolutions. `certify.conv_bounds(layer, grid.shape)` gives A and B of the layer as an operator."
        )
    if any(s != 1 for s in layer.stride):
        raise ValueError(
            f"`from_conv(layer=...)`: got stride {tuple(layer.stride)}, expected 1: dropping samples belongs to the "
            "pooling of a layer of the theory. Give a copy with stride 1 and `Subsample`, or use "
            "`certify.conv_bounds(layer, grid.shape)` for the strided operator."
        )
    if grid.ndim != len(layer.stride):
        raise ValueError(f"`from_conv(grid=...)`: got {grid.ndim} axes, expected {len(layer.stride)} as in the layer.")


def _spectra(layer: nn.Module, grid: Grid) -> Tensor:
    """Spectra of the channels, ``(channels, *grid.shape)``, complex128; exactly Hermitian for real weights."""
    with torch.no_grad():
        weight = layer.weight.detach().cpu()[:, 0]
    padding = layer.padding
    if padding == "same":
        padding = [d * (k - 1) // 2 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    elif padding == "valid":
        padding = [0] * grid.ndim
    shape = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    taps = weight.new_zeros(len(weight), *shape)
    taps[(slice(None), *(slice(None, None, d) for d in layer.dilation))] = weight
    spectra = transform(taps.conj(), grid.shape).conj()
    for axis, (p, n) in enumerate(zip(padding, grid.shape, strict=True)):
        delay = roots_of_unity(n)[(p * torch.arange(n)) % n]
        spectra = spectra * delay.reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
    return spectra if weight.is_complex() else 0.5 * (spectra + grid.mirror(spectra).conj())
