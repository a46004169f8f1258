r"""Claims about trained networks: bounds by computation, against dense matrices, other grids and attacks.

Exact bounds of convolutions are compared with singular values of dense matrices, which are made by applying torch's own
layer to every unit vector.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from scatter_theory import certify
from scatter_theory.certify import ModelCertificate
from scatter_theory.report._learned_checks import check, noise
from scatter_theory.results import BoundCheck, Hypothesis

#: Size of the torus from which the bounds of all grids are taken.
TORUS = 24
#: Convolutions as (axes, in, out, kernel, stride, dilation, groups), on 6 samples per axis.
LAYERS = (
    (1, 2, 3, 3, 1, 1, 1),
    (1, 2, 4, 3, 2, 1, 2),
    (2, 1, 3, 3, 1, 2, 1),
    (2, 2, 2, 3, 2, 1, 1),
    (2, 3, 2, 2, 3, 1, 1),
)
#: Images of the trained networks, steps of their training, and of the attacks.
IMAGES, TRAINING, ATTACK = 48, 60, 12


def jobs(seed: int) -> Iterator[tuple[str, Callable[[], BoundCheck]]]:
    """The checks of trained networks by name, in the order of the table."""
    yield "convolutions", partial(convolutions, seed)
    yield "all grids", partial(all_grids, seed)
    yield "batch norm", partial(batch_norm, seed)
    yield "certificates", partial(certificates, seed)
    yield "certificates, halved", partial(halved, seed)
    yield "radii", partial(radii, seed)


def convolutions(seed: int) -> BoundCheck:
    """Exact bounds of circular convolutions are the extreme squared singular values of their dense matrices."""
    started, x, missed, names = time.perf_counter(), [], [], []
    for k, layout in enumerate(LAYERS):
        layer, shape = _layer(layout, seed + k), (6,) * layout[0]
        found, matrix = certify.conv_bounds(layer, shape), _matrix(layer, (layout[1], *shape))
        sigma = torch.linalg.svdvals(matrix).square()
        # More columns than rows: some direction is lost.
        least = float(sigma.min()) if len(matrix) >= matrix.shape[1] else 0.0
        x += [k, k]
        names += ["A", "B"]
        missed += [abs(found.A.value - least) / float(sigma.max()), abs(found.B.value / float(sigma.max()) - 1)]
    claim = "bounds of convolutions and singular values of their matrices: relative difference"
    return check(claim, "layer", x, missed, started, seed, series=names)


def all_grids(seed: int) -> BoundCheck:
    """Bounds for all grids, from the torus of one size, contain those of other sizes."""
    started, x, missed = time.perf_counter(), [], []
    for k in range(3):
        layer = _layer((1, 2, 3, 3, 1, 1, 1), seed + k)
        every = certify.conv_bounds(layer, (TORUS,)).all_grids()
        for n in range(4, 41, 4):
            one = certify.conv_bounds(layer, (n,))
            x.append(n)
            missed.append(max(every.A.value - one.A.value, one.B.value - every.B.value, 0.0) / every.B.value)
    claim = f"bounds for all grids, from {TORUS} samples: excess on other grids"
    return check(claim, "samples", x, missed, started, seed)


def batch_norm(seed: int) -> BoundCheck:
    """A convolution with a batch normalisation folded into it gives the same maps as the two in turn."""
    started, missed = time.perf_counter(), []
    for k, layout in enumerate(LAYERS):
        layer, norm = _layer(layout, seed + k), nn.BatchNorm1d if layout[0] == 1 else nn.BatchNorm2d
        normal = norm(layout[2]).double().eval()
        for tensor, values in zip(
            (normal.weight.data, normal.bias.data, normal.running_mean, normal.running_var),
            noise(seed + k, 4, layout[2]),
            strict=True,
        ):
            tensor.copy_(values.exp() if tensor is normal.running_var else values)
        x = noise(seed, 3, layout[1], *(6,) * layout[0])
        expected = normal(layer(x)).detach()
        folded = certify.fold_batch_norm(layer, normal)(x).detach()
        missed.append(float((folded - expected).abs().max() / expected.abs().max()))
    claim = "batch normalisation folded into convolutions: relative difference of the maps"
    return check(claim, "layer", range(len(LAYERS)), missed, started, seed)


def certificates(seed: int) -> BoundCheck:
    """No two inputs of a trained network, or of one of its nodes, are moved apart by more than is certified."""
    started = time.perf_counter()
    net, found = _certified(seed)
    attained, upper, names = _enclosures(found)
    proven = Hypothesis("the certificate proves its constants again", found.recheck(net))
    return check(
        "trained network: factor that an attack attains, at each node and in all", "node", range(len(names)), attained,
        started, seed, series=names, bound=upper, rounding=1e-9, hypotheses=(proven,), extra={"constant": upper},
    )  # fmt: skip


def halved(seed: int) -> BoundCheck:
    """A certificate with too small a constant of the network: it does not prove itself, and an attack is above."""
    started = time.perf_counter()
    net, found = _certified(seed)
    wrong = replace(found, upper=found.lower / 2)
    proven = Hypothesis("the certificate proves its constants again", wrong.recheck(net))
    return check(
        "the same with half of what is attained as the constant", "network", [0], [wrong.lower], started, seed,
        bound=np.array([wrong.upper]), rounding=1e-9, hypotheses=(proven,),
    )  # fmt: skip


def radii(seed: int) -> BoundCheck:
    """Perturbations shorter than margin / (sqrt(2) L) change no class, also along the gradient."""
    started = time.perf_counter()
    net, found = _certified(seed)
    x, _ = _images(seed + 1)
    top, classes = net(x).detach().topk(2)
    radius = 0.999 * (top[:, 0] - top[:, 1]) / (2**0.5 * found.upper)
    changed = []
    rows = torch.arange(len(x))
    for shift in (1, 2):  # towards each of the other classes
        moved = x.clone().requires_grad_(True)
        logits, other = net(moved), (classes[:, 0] + shift) % 3
        (gradient,) = torch.autograd.grad((logits[rows, other] - logits[rows, classes[:, 0]]).sum(), moved)
        length = torch.linalg.vector_norm(gradient.flatten(1), dim=1).clamp_min(1e-300)
        step = gradient * (radius / length).reshape(-1, 1, 1, 1)
        changed.append(float((net(x + step).argmax(1) != classes[:, 0]).sum()))
    return check(
        "certified radius: images that change class", "class, counted from its own", (1, 2), changed, started, seed
    )


def _layer(layout: tuple[int, ...], seed: int) -> nn.Module:
    """A circular convolution in float64 whose output has n / stride samples per axis."""
    d, channels, out, kernel, stride, dilation, groups = layout
    make = nn.Conv1d if d == 1 else nn.Conv2d
    span = dilation * (kernel - 1)
    layer = make(
        channels, out, kernel, stride=stride, dilation=dilation, groups=groups, bias=False, padding=span // 2,
        padding_mode="circular",
    ).double()  # fmt: skip
    layer.weight.data.copy_(noise(seed, *layer.weight.shape))
    return layer


def _matrix(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """The matrix of a linear layer, one column per entry of the input."""
    size = int(np.prod(shape))
    with torch.no_grad():
        return layer(torch.eye(size, dtype=torch.float64).reshape(size, *shape)).flatten(1).T


def _images(seed: int) -> tuple[Tensor, Tensor]:
    """Noise with a stripe at one of three heights, ``(count, 1, 8, 8)``, and which."""
    labels = torch.arange(IMAGES) % 3
    x = noise(seed, IMAGES, 1, 8, 8)
    for image, label in zip(x, labels.tolist(), strict=True):
        image[0, 2 * label + 1] += 2.0
    return x, labels


def _certified(seed: int) -> tuple[nn.Module, ModelCertificate]:
    """A small network that was trained, and its certificate."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 3),
        ).double()  # fmt: skip
    x, labels = _images(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(TRAINING):
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval(), certify.torch_model(net.eval(), (1, 8, 8), starts=2, steps=ATTACK, seed=seed)


def _enclosures(found: ModelCertificate) -> tuple[list[float], np.ndarray, list[str]]:
    """What is attained and what is certified, of each node and of the network, and their names."""
    rows = [(node.attained, node.constant, node.name) for node in found.nodes]
    attained, upper, names = zip(*rows, (found.lower, found.upper, "network"), strict=True)
    return list(attained), np.array(upper), list(names)
