"""The training recipes that Wu et al. (2023) publish for ReSTE, as frozen presets.

They are those of the released code and of the table in its README: stochastic gradient descent with momentum 0.9,
weight decay 1e-4 on all parameters and the rate 0.1, o from 1 to 3 by the quarter cosine, sign(0) = 0, one scaling
factor per layer that takes part in the gradient, and the incomplete last batch of an epoch is kept. On CIFAR-10 the
rate rises over 5 epochs; the cosine after that is the one of the released code, see `training.learning_rate`.

The accuracies beside them are quoted, not measured here. They are the best epoch on the test images, where this study
reports the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from scatter_theory import bnn
from scatter_theory.seeds import Seed
from studies.bnn.imagenet_models import imagenet_resnet
from studies.bnn.training import Recipe

O_END = 3.0

#: Networks for images of 32 x 32 pixels.
NETWORKS = {
    "resnet20": bnn.models.resnet20,
    "bireal": partial(bnn.models.resnet20, bireal=True),
    "resnet18": bnn.models.resnet18,
    "vgg_small": bnn.models.vgg_small,
}


@dataclass(frozen=True)
class Preset:
    """A network, how it is binarised and trained, and what was published for it.

    Parameters
    ----------
    network : str
        ``"resnet20"``, ``"bireal"`` (ResNet-20 with a shortcut around each convolution), ``"resnet18"``,
        ``"resnet34"`` or ``"vgg_small"``.
    recipe : Recipe
        How to train.
    published : float
        Published top-1 accuracy in per cent.
    imagenet : bool
        Whether the network is the one for images of 224 x 224 pixels.
    activations : bool
        Whether activations are binarised too (1W/1A) or not (1W/32A).
    """

    network: str
    recipe: Recipe
    published: float
    imagenet: bool = False
    activations: bool = True

    def model(self, *, classes: int, generator: Seed = None) -> nn.Module:
        """The binarised network with fresh weights."""
        if self.imagenet:
            net = imagenet_resnet(self.network, classes=classes, generator=generator)
        else:
            net = NETWORKS[self.network](classes=classes, generator=generator)
        return bnn.binarize_model(
            net,
            bnn.ReSTE(o=O_END),
            activations=self.activations,
            skip=("first", "last", "shortcut"),
            scaling="layer",
            sign_zero=0,
            inplace=True,
        )


CIFAR = Recipe(
    epochs=1000,
    batch=256,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    warm_up=5,
    decay="released",
    schedule="official",
    augmentation="crop_and_flip",
)
IMAGENET = replace(CIFAR, epochs=250, batch=750, warm_up=0, augmentation="resized_crop")

#: Presets by data and name. Names with ``_1w32a`` keep activations real.
PAPER: dict[str, dict[str, Preset]] = {
    "cifar10": {
        "resnet20": Preset("resnet20", CIFAR, 86.75),
        "resnet20_1w32a": Preset("resnet20", CIFAR, 91.32, activations=False),
        "bireal": Preset("bireal", CIFAR, 87.92),
        "resnet18": Preset("resnet18", replace(CIFAR, epochs=2000, batch=96), 92.63),
        "vgg_small": Preset("vgg_small", CIFAR, 92.55),
    },
    "imagenet": {
        "resnet18": Preset("resnet18", IMAGENET, 60.88, imagenet=True),
        "resnet18_1w32a": Preset("resnet18", IMAGENET, 67.40, imagenet=True, activations=False),
        "resnet34": Preset("resnet34", IMAGENET, 65.05, imagenet=True),
        "resnet34_1w32a": Preset("resnet34", IMAGENET, 70.74, imagenet=True, activations=False),
    },
}
