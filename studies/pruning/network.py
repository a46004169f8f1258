"""The two networks of the study: convolutions and ReLUs, without and with batch normalisation."""

from __future__ import annotations

import torch
from torch import nn

#: By name: whether a batch normalisation stands between each convolution and its ReLU.
NETWORKS = {"plain": False, "normalised": True}


def build(name: str, width: int, seed: int) -> nn.Sequential:
    """Four 3x3 convolutions, two poolings and two linear layers for images of 14 x 14 pixels; five ReLUs.

    Convolutions without normalisation and linear layers have biases, which begin at 0; weights begin normal with
    variance 2/fan-in.

    Parameters
    ----------
    name : {"plain", "normalised"}
        Which of `NETWORKS`.
    width : int
        Channels of the first two convolutions; the other two have twice as many.
    seed : int
        Of the weights.
    """
    layers: list[nn.Module] = []
    channels = (1, width, width, 2 * width, 2 * width)
    for k in range(4):
        layers.append(nn.Conv2d(channels[k], channels[k + 1], 3, padding=1, bias=not NETWORKS[name]))
        layers += [nn.BatchNorm2d(channels[k + 1])] if NETWORKS[name] else []
        layers.append(nn.ReLU())
        layers += [nn.MaxPool2d(2)] if k % 2 else []
    layers += [nn.Flatten(), nn.Linear(2 * width * 9, 4 * width), nn.ReLU(), nn.Linear(4 * width, 10)]
    net = nn.Sequential(*layers)
    generator = torch.Generator().manual_seed(seed)
    for m in net.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu", generator=generator)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
    return net
