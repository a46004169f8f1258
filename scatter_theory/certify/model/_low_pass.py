r"""Low-pass filters for a stride: boxes of s samples, repeated.

.. math:: h = \text{box}_s^{*r}, \qquad \hat h(\xi) = \Big(\frac{\sin \pi s \xi}{s \sin \pi \xi}\Big)^r,

which is 1 at 0 and 0 at the other frequencies l/s that a stride of s takes for 0. With s = 2 the taps are binomial
coefficients over 2^r: (1, 2, 1)/4 for r = 2. They are not negative and add up to 1. With S keeping every s-th sample of
n, s | n, and axis by axis:

.. math:: \|S h *\|^2 = \max_\xi \frac1s \sum_l |\hat h(\xi + l/s)|^2 = \frac1s, \qquad \|h *\| = 1 .

*Proof.* :math:`s^{-1} \sum_l |\hat h(\xi + l/s)|^2 = \sum_k a(sk) e^{2 \pi i s k \xi}`, where a, the autocorrelation of
h, is not negative, so that the maximum is at 0; there only l = 0 counts. Zeros outside the grid: by the argument of
`layers._padding`, a part of a larger torus, hence at most that.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_KINDS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def taps(stride: int, order: int) -> Tensor:
    """The filter of one axis, ``(order * (stride - 1) + 1,)``, float64."""
    found = torch.ones(1, dtype=torch.float64)
    for _ in range(order):
        found = sum(nn.functional.pad(found, (k, stride - 1 - k)) for k in range(stride))
    return found / stride**order


def low_pass(channels: int, stride: tuple[int, ...], order: int, padding_mode: str) -> nn.Module:
    """A convolution without bias that filters each channel and keeps every `stride`-th sample, float64.

    Parameters
    ----------
    channels : int
    stride : tuple of int
        One number per axis, one to three axes; 1 leaves an axis as it is.
    order : int
        r, even, so that the filter has a middle.
    padding_mode : str
        As for torch's convolutions.
    """
    lines = [taps(s, order) for s in stride]
    sizes = tuple(len(line) for line in lines)
    layer = _KINDS[len(stride)](
        channels, channels, sizes, stride=stride, padding=tuple(n // 2 for n in sizes), groups=channels, bias=False,
        padding_mode=padding_mode, device="meta",
    )  # fmt: skip
    outer = math.prod(line.reshape(-1, *(1,) * (len(stride) - 1 - axis)) for axis, line in enumerate(lines))
    layer.weight = nn.Parameter(outer.expand(channels, 1, *sizes).contiguous(), requires_grad=False)
    return layer.eval()
