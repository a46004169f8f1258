"""The inputs that each output of a linear layer is a weighted sum of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

#: Layers whose inputs can be laid out as rows.
LAID_OUT = (nn.Linear, nn.Conv1d, nn.Conv2d)


def patches(layer: nn.Module, h: Tensor) -> Tensor:
    """Inputs of a layer, one row for each sample and output position.

    Parameters
    ----------
    layer : nn.Linear, nn.Conv1d or nn.Conv2d
        Any stride, padding, dilation and number of groups.
    h : Tensor
        What it is given, with a batch axis.

    Returns
    -------
    (rows, groups, fan_in) tensor
        With ``weight.reshape(groups, outputs // groups, fan_in)``, the outputs without bias are the sums over the last
        axes of both.
    """
    if isinstance(layer, nn.Linear):
        return h.reshape(-1, 1, h.shape[-1])
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    h = functional.pad(h, layer._reversed_padding_repeated_twice, mode=mode)
    # A signal on the line is an image of height 1.
    line = isinstance(layer, nn.Conv1d)
    size, dilation, stride = ((1, *x) if line else x for x in (layer.kernel_size, layer.dilation, layer.stride))
    columns = functional.unfold(h.unsqueeze(2) if line else h, size, dilation=dilation, stride=stride)
    n, _, positions = columns.shape
    return columns.view(n, layer.groups, -1, positions).permute(0, 3, 1, 2).flatten(0, 1)
