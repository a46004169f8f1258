"""The network of the study, and the estimators that it is trained with."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from scatter_theory import bnn
from scatter_theory.bnn._models_resnet import ResNet

#: Final powers of ReSTE in the sweep; 3 is the published one.
POWERS = (1, 2, 3, 5, 10, 30)


def resnet8(width: int, seed: int) -> ResNet:
    """The ResNet-20 of ``bnn.models`` with one block per stage, and one shortcut around each convolution.

    Order convolution, ReLU, normalisation; shortcuts without parameters; normal initial weights of variance 2/fan-in.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        widths = (width, 2 * width, 4 * width)
        net = ResNet(widths, 1, classes=10, channels=1, order="relu_bn", bireal=True, projection="pad")
        for m in net.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
    return net


@cache
def equal_error(estimator: bnn.Estimator) -> bnn.Pareto:
    """Pareto estimator with the same mean error over N(0, 1), its sharpness rounded to three digits after the point."""
    goal, low, high = bnn.population(estimator).error, 0.1, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if bnn.population(bnn.Pareto(middle)).error > goal else (low, middle)
    return bnn.Pareto(round(low, 3))


def estimators() -> dict[str, bnn.Estimator | None]:
    """By name; None stands for full precision."""
    return {
        "full": None,
        "ste": bnn.ClippedSTE(),
        "ede": bnn.EDE(t=10, k=1),
        "pareto": equal_error(bnn.ReSTE(o=3)),
        **{f"reste-{o}": bnn.ReSTE(o=o) for o in POWERS},
    }


def build(estimator: bnn.Estimator | None, width: int, seed: int) -> nn.Module:
    """The network, its weights and activations binary if an estimator is given; in both cases the same weights."""
    net = resnet8(width, seed)
    return net if estimator is None else bnn.binarize_model(net, estimator)
