"""Residual networks for small images, in the form that binarised layers want and in the usual one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Order = Literal["relu_bn", "bn_relu"]
Projection = Literal["pad", "conv"]


class PadShortcut(nn.Module):
    """Residual branch without parameters: every `stride`-th pixel, and channels of zeros on both sides.

    Parameters
    ----------
    inputs, outputs : int
        Numbers of channels; the difference is even.
    stride : int
        Step between the pixels kept.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.each = (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, h, w)`` to ``(batch, outputs, ceil(h/stride), ceil(w/stride))``."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.each, self.each))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with one shortcut around both, or one around each.

    Parameters
    ----------
    inputs, outputs : int
        Numbers of channels.
    stride : int
        Stride of the first convolution.
    order : {"relu_bn", "bn_relu"}
        Order of ReLU and batch normalisation after a convolution.
    bireal : bool
        One shortcut around each convolution (Bi-Real net, Liu et al. 2018).
    projection : {"pad", "conv"}
        Shortcut where the shape changes.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, *, order: Order, bireal: bool, projection: Projection
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride == 1 and inputs == outputs:
            self.shortcut: nn.Module = nn.Identity()
        elif projection == "pad":
            self.shortcut = PadShortcut(inputs, outputs, stride)
        else:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        self.order: Order = order
        self.bireal = bireal

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, h, w)`` to ``(batch, outputs, ceil(h/stride), ceil(w/stride))``."""
        around = self.shortcut(x)
        if self.order == "relu_bn":
            x = self.bn1(F.relu(self.conv1(x)))
            if self.bireal:
                around = x = x + around
            return self.bn2(F.relu(self.conv2(x))) + around
        x = self.bn1(self.conv1(x))
        if self.bireal:
            around = x = F.relu(x + around)
        else:
            x = F.relu(x)
        return F.relu(self.bn2(self.conv2(x)) + around)


class ResNet(nn.Module):
    """A 3x3 stem, stages of ``BasicBlock`` that halve the image, global average pooling, and a linear layer.

    With ``order="relu_bn"`` a batch normalisation without spatial axes stands before the linear layer.

    Parameters
    ----------
    widths : sequence of int
        Channels of the stages.
    blocks : int
        Blocks per stage.
    classes, channels : int
        Outputs, and channels of the image.
    order, bireal, projection
        As for ``BasicBlock``.
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: int,
        *,
        classes: int,
        channels: int,
        order: Order,
        bireal: bool,
        projection: Projection,
    ) -> None:
        super().__init__()
        self.order: Order = order
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages = [f"layer{i + 1}" for i in range(len(widths))]
        inputs = widths[0]
        for i, (name, outputs) in enumerate(zip(self.stages, widths, strict=True)):
            stage = nn.Sequential()
            for j in range(blocks):
                stride = 2 if i > 0 and j == 0 else 1
                stage.append(BasicBlock(inputs, outputs, stride, order=order, bireal=bireal, projection=projection))
                inputs = outputs
            self.add_module(name, stage)
        self.bn2 = nn.BatchNorm1d(inputs) if order == "relu_bn" else nn.Identity()
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(batch, channels, h, w)`` to scores ``(batch, classes)``."""
        x = self.bn1(F.relu(self.conv1(x))) if self.order == "relu_bn" else F.relu(self.bn1(self.conv1(x)))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.linear(self.bn2(x.mean(dim=(2, 3))))
