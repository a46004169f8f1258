"""The networks of the study, how each is trained, and the part of each that still has a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scatter_theory import Grid, bnn, frames, pruning
from scatter_theory.bnn._models_resnet import ResNet
from studies.pruning.training import Recipe, train
from studies.shared.batches import Data, Split
from studies.shared.files import replace_file

#: Sides of the images, 14 pixels and one more all around, so that two strides of 2 divide them; classes.
SIDE, CLASSES = 16, 10
#: Share of the weights that is pruned.
SPARSITY = 0.8
#: Estimator of the binary networks; first and last layer stay in full precision.
ESTIMATOR = bnn.ReSTE(o=3)


def cnn(width: int, seed: int, padding_mode: str = "zeros") -> nn.Sequential:
    """Four 3x3 convolutions, each with ReLU and batch normalisation, two poolings that halve, and a linear layer.

    Weights begin normal with variance 2/fan-in.

    Parameters
    ----------
    width : int
        Channels of the first two convolutions; the other two have twice as many.
    seed : int
        Of the weights.
    padding_mode : str
        Of the convolutions.
    """
    layers: list[nn.Module] = []
    channels = (1, width, width, 2 * width, 2 * width)
    for k in range(4):
        convolution = nn.Conv2d(channels[k], channels[k + 1], 3, padding=1, bias=False, padding_mode=padding_mode)
        layers += [convolution, nn.ReLU(), nn.BatchNorm2d(channels[k + 1])]
        layers += [nn.MaxPool2d(2)] if k % 2 else []
    layers += [nn.Flatten(), nn.Linear(2 * width * (SIDE // 4) ** 2, CLASSES)]
    net = nn.Sequential(*layers)
    generator = torch.Generator().manual_seed(seed)
    for m in net.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(net[-1].bias)
    return net


def constrained(width: int, seed: int) -> nn.Sequential:
    """The same on the torus with learned convolutions whose singular values are 1, and nothing that scales after them.

    Without batch normalisation, so that only the linear layer can move images apart.
    """
    layers: list[nn.Module] = []
    channels = (1, width, width, 2 * width, 2 * width)
    generator = torch.Generator().manual_seed(seed)
    for k in range(4):
        grid = Grid.square(SIDE // 2 ** (k // 2))
        layers += [frames.LearnedConv(channels[k], channels[k + 1], 3, grid, generator=generator), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if k % 2 else []
    last = nn.Linear(2 * width * (SIDE // 4) ** 2, CLASSES)
    nn.init.kaiming_normal_(last.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, nn.Flatten(), last)


def _torus(width: int, seed: int) -> nn.Module:
    return cnn(width, seed, "circular")


def _resnet(width: int, seed: int) -> ResNet:
    return bnn.models.resnet20(width=width, channels=1, classes=CLASSES, generator=seed)


def _binary_weights(width: int, seed: int) -> nn.Module:
    return bnn.binarize_model(cnn(width, seed), ESTIMATOR, activations=False, skip=("first", "last"))


def _binary(width: int, seed: int) -> nn.Module:
    return bnn.binarize_model(cnn(width, seed), ESTIMATOR, skip=("first", "last"))


def _pruned(width: int, seed: int) -> nn.Module:
    net = cnn(width, seed)
    pruning.prune(net, sparsity=SPARSITY)
    return net


#: By name, in the order of the table. The pruned network begins with the trained weights of ``cnn``.
NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "cnn": cnn,
    "cnn-torus": _torus,
    "constrained": constrained,
    "resnet20": _resnet,
    "pruned": _pruned,
    "binary-weights": _binary_weights,
    "binary": _binary,
}
#: Of these, what a certificate has to refuse: inputs as near as one likes have different signs.
WITHOUT_CONSTANT = ("binary",)


def trained(name: str, width: int, recipe: Recipe, data: Data, out: Path, device: str) -> nn.Module:
    """The network with its weights from ``out/weights``, or trained and saved there; in evaluation mode."""
    path = out / "weights" / f"{name}.pt"
    if path.exists():
        net = NETWORKS[name](width, recipe.seed).to(device)
        net.load_state_dict(torch.load(path, weights_only=True, map_location=device))
        return net.eval()
    if name == "pruned":
        net = trained("cnn", width, recipe, data, out, device)
        pruning.prune(net, sparsity=SPARSITY)
        recipe = replace(recipe, lr=recipe.lr / 10)
    else:
        net = NETWORKS[name](width, recipe.seed).to(device)
    train(net, data, recipe, device=device)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda beside: torch.save(net.state_dict(), beside))
    return net.eval()


def framed(data: Data) -> Data:
    """Images of 16 x 16 pixels, the outermost of which repeat those next to them."""
    splits = (data.train, data.validation, data.test)
    return Data(*(Split(F.pad(s.images, (1, 1, 1, 1), "replicate"), s.labels) for s in splits))


class _Stages(nn.Module):
    """A residual network up to its last block."""

    def __init__(self, net: ResNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Images to maps ``(batch, channels, h, w)``."""
        x = self.net.bn1(F.relu(self.net.conv1(x)))
        for name in self.net.stages:
            x = self.net.get_submodule(name)(x)
        return x


def trunk(net: nn.Module) -> nn.Module:
    """The part of a network that gives maps on a grid, in evaluation mode."""
    return (_Stages(net) if isinstance(net, ResNet) else net[:-2]).eval()


def border(net: nn.Module) -> Literal["zeros", "circular"]:
    """What the convolutions of a network see outside the image, and so what its filters do."""
    modes = (m.padding_mode for m in net.modules() if isinstance(m, nn.Conv2d))
    return next(modes, "circular")  # learned convolutions are on the torus
