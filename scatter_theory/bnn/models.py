"""Reference networks for 32x32 images, in full precision; ``binarize_model`` makes them binary.

The order of layers matters for binary activations. After ``"bn_relu"`` (convolution, normalisation, ReLU) no input of
a convolution is negative, so that all its signs are equal. In ``"relu_bn"`` (convolution, ReLU, normalisation), the
order of the released code of ReSTE (Wu et al. 2023), the next sign sees values of both signs.

>>> from scatter_theory import bnn
>>> net = bnn.models.resnet20(generator=0)
>>> sum(p.numel() for p in net.parameters())
269850
>>> len(bnn.binarizers(bnn.binarize_model(net, bnn.ReSTE(o=3)), "weight"))
18
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, get_args

import torch
from torch import nn

from scatter_theory.bnn._models_resnet import Order, Projection, ResNet
from scatter_theory.seeds import Seed, seeded

__all__ = ["resnet18", "resnet20", "vgg_small"]

Net = TypeVar("Net", bound=nn.Module)


def resnet20(
    *,
    classes: int = 10,
    channels: int = 3,
    width: int = 16,
    order: Order = "relu_bn",
    bireal: bool = False,
    projection: Projection = "pad",
    generator: Seed = None,
) -> ResNet:
    """ResNet-20 of He et al. (2016) for small images: three stages of three blocks.

    With ``order="bn_relu"`` and the default sizes it has 269,722 parameters, and 272,474 with ``projection="conv"``.
    ``order="relu_bn"`` adds 128 for the normalisation before the linear layer. Convolutions and the linear layer start
    from normal weights of variance 2/fan-in.

    Parameters
    ----------
    classes, channels : int
        Outputs, and channels of the image.
    width : int
        Channels of the first stage, even; the following ones have twice and four times as many.
    order : {"relu_bn", "bn_relu"}
        Order after a convolution, see the module text. ``"bn_relu"`` has its last ReLU after the addition,
        ``"relu_bn"`` has none there.
    bireal : bool
        One shortcut around each convolution (Bi-Real net, Liu et al. 2018) and not around each pair.
    projection : {"pad", "conv"}
        Shortcut where the shape changes: sub-sampling with channels of zeros, or a strided 1x1 convolution with batch
        normalisation.
    generator : int, torch.Generator or None
        Source of the initial weights; the seed is kept in the attribute ``seed``. Torch's own stream of random
        numbers is left as it was.

    Returns
    -------
    ResNet
        ``(batch, channels, height, width)`` to ``(batch, classes)`` logits, in float32, not binarised yet.

    Raises
    ------
    ValueError
        If `order` or `projection` is unknown, or a number is out of range.
    """
    _check("resnet20", order, projection, classes=classes, channels=channels, width=width)

    def build() -> ResNet:
        widths = (width, 2 * width, 4 * width)
        options = {"classes": classes, "channels": channels, "order": order, "bireal": bireal, "projection": projection}
        net = ResNet(widths, 3, **options)
        for m in net.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        return net

    return _seeded(build, generator)


def resnet18(
    *,
    classes: int = 10,
    channels: int = 3,
    width: int = 64,
    order: Order = "relu_bn",
    bireal: bool = False,
    projection: Projection = "conv",
    generator: Seed = None,
) -> ResNet:
    """ResNet-18 of He et al. (2016) with a 3x3 stem for small images: four stages of two blocks.

    With ``order="bn_relu"`` and the default sizes it has 11,173,962 parameters; ``order="relu_bn"`` adds 1,024. The
    initial weights are torch's own: uniform, of variance 1/(3 fan-in).

    Parameters
    ----------
    classes, channels, order, bireal, projection, generator
        As for ``resnet20``.
    width : int
        Channels of the first stage, even; each following one has twice as many.

    Returns
    -------
    ResNet
        ``(batch, channels, height, width)`` to ``(batch, classes)`` logits, in float32, not binarised yet.

    Raises
    ------
    ValueError
        If `order` or `projection` is unknown, or a number is out of range.
    """
    _check("resnet18", order, projection, classes=classes, channels=channels, width=width)
    widths = (width, 2 * width, 4 * width, 8 * width)
    options = {"classes": classes, "channels": channels, "order": order, "bireal": bireal, "projection": projection}
    return _seeded(lambda: ResNet(widths, 2, **options), generator)


def vgg_small(
    *,
    classes: int = 10,
    channels: int = 3,
    size: int = 32,
    width: int = 128,
    order: Order = "relu_bn",
    generator: Seed = None,
) -> nn.Sequential:
    """VGG-small: three pairs of 3x3 convolutions, each pair halving the image, and a linear layer.

    With the default sizes it has 4,660,106 parameters. Convolutions start from normal weights of variance
    2/(9 out_channels), the linear layer from standard deviation 0.01 and zero bias. The ReLUs work in place.

    Parameters
    ----------
    classes, channels, order, generator
        As for ``resnet20``.
    size : int
        Height and width of the images, at least 8.
    width : int
        Channels of the first pair, even; the following ones have twice and four times as many.

    Returns
    -------
    nn.Sequential
        ``(batch, channels, size, size)`` to ``(batch, classes)`` logits, in float32, not binarised yet.

    Raises
    ------
    ValueError
        If `order` is unknown, or a number is out of range.
    """
    _check("vgg_small", order, "pad", classes=classes, channels=channels, width=width)
    if size < 8:
        raise ValueError(f"`models.vgg_small(size=...)`: got {size}, expected at least 8, as it is halved three times.")

    def build() -> nn.Sequential:
        net = nn.Sequential()
        inputs = channels
        for i, outputs in enumerate((width, width, 2 * width, 2 * width, 4 * width, 4 * width)):
            net.add_module(f"conv{i}", nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
            after = {f"relu{i}": nn.ReLU(inplace=True), f"bn{i}": nn.BatchNorm2d(outputs)}
            for name in (f"relu{i}", f"bn{i}") if order == "relu_bn" else (f"bn{i}", f"relu{i}"):
                net.add_module(name, after[name])
            if i % 2:
                net.add_module(f"pool{i}", nn.MaxPool2d(2))
            inputs = outputs
        net.add_module("flatten", nn.Flatten())
        net.add_module("linear", nn.Linear(inputs * (size // 8) ** 2, classes))
        for m in net.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(net.linear.weight, std=0.01)
        nn.init.zeros_(net.linear.bias)
        return net

    return _seeded(build, generator)


def _check(where: str, order: str, projection: str, *, width: int, **positive: int) -> None:
    if order not in get_args(Order):
        raise ValueError(f"`models.{where}(order=...)`: got {order!r}, expected one of {get_args(Order)}.")
    if projection not in get_args(Projection):
        known = get_args(Projection)
        raise ValueError(f"`models.{where}(projection=...)`: got {projection!r}, expected one of {known}.")
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"`models.{where}({name}=...)`: got {value}, expected a whole number >= 1.")
    if width < 2 or width % 2:
        raise ValueError(f"`models.{where}(width=...)`: got {width}, expected an even number >= 2.")


def _seeded(build: Callable[[], Net], generator: Seed) -> Net:
    """Build with torch's CPU stream of random numbers set from `generator`, and put the stream back."""
    source, seed = seeded(generator)
    start = int(torch.randint(2**62, (), generator=source, device="cpu"))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(start)
        net = build()
    net.seed = seed
    return net
