"""ResNet-18 and ResNet-34 for images of 224 x 224 pixels, in the form of the released code of ReSTE.

One shortcut around each convolution, ReLU before normalisation, a 7x7 stem with pooling, and a normalisation before the
last linear layer (Wu et al. 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scatter_theory.bnn._models_resnet import BasicBlock
from scatter_theory.seeds import Seed, seeded

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
WIDTHS = (64, 128, 256, 512)


class ImageNetResNet(nn.Module):
    """Stem, four stages of ``BasicBlock``, global average pooling, normalisation, linear layer.

    Parameters
    ----------
    blocks : tuple of int
        Blocks in each of the four stages.
    classes : int
        Outputs.
    """

    def __init__(self, blocks: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.stages = nn.Sequential()
        inputs = 64
        for i, (count, outputs) in enumerate(zip(blocks, WIDTHS, strict=True)):
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                block = BasicBlock(inputs, outputs, stride, order="relu_bn", bireal=True, projection="conv")
                self.stages.append(block)
                inputs = outputs
        self.bn2 = nn.BatchNorm1d(inputs)
        self.linear = nn.Linear(inputs, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(batch, 3, h, w)`` to scores ``(batch, classes)``."""
        x = self.stages(self.pool(self.bn1(self.relu(self.conv1(x)))))
        return self.linear(self.bn2(x.mean(dim=(2, 3))))


def imagenet_resnet(name: str, *, classes: int = 1000, generator: Seed = None) -> ImageNetResNet:
    """``"resnet18"`` or ``"resnet34"`` in full precision; torch's own stream of random numbers is left as it was."""
    source, _ = seeded(generator)
    start = int(torch.randint(2**62, (), generator=source))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(start)
        return ImageNetResNet(BLOCKS[name], classes)
