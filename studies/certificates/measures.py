"""What is measured of a trained network: accuracy, constants from above and below, defect under shifts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from scatter_theory import certify
from studies.certificates.networks import SIDE, border, trunk
from studies.shared.batches import Data, Split
from studies.shared.parallel import Place
from studies.shared.summary import accuracy

#: Shape of one image.
SHAPE = (1, SIDE, SIDE)


@dataclass(frozen=True)
class Effort:
    """How long is searched.

    Parameters
    ----------
    starts, steps : int
        Of the attacks.
    points : int
        Held-out images at which the attack on the whole network starts too.
    shifted : int
        Held-out images that are moved.
    tested : int
        Images of the test file.
    """

    starts: int
    steps: int
    points: int
    shifted: int
    tested: int


@dataclass(frozen=True)
class Found:
    r"""What was measured of one network; None for a network without a certificate.

    Parameters
    ----------
    test, test_filtered : float
        Test accuracy in per cent, and that of the copy with filters, which was not trained again.
    nodes : int
        Of the certificate, which has all.
    product, upper, lower : float
        Bounds without and with nodes taken together; what two inputs attain.
    product_filtered, upper_filtered : float
        Bounds of the copy with filters.
    contradictions : int
        Constants that an attack exceeds.
    defect, defect_filtered : float
        Largest change relative to the output, over shifts by up to S samples, per axis, and images.
    whole, whole_filtered : float
        The same over shifts by whole samples of the output.
    seconds : float
        For all of this.
    refused : str
        Why there is no certificate; else empty.
    """

    test: float
    test_filtered: float | None = None
    nodes: int | None = None
    product: float | None = None
    upper: float | None = None
    lower: float | None = None
    product_filtered: float | None = None
    upper_filtered: float | None = None
    contradictions: int | None = None
    defect: float | None = None
    defect_filtered: float | None = None
    whole: float | None = None
    whole_filtered: float | None = None
    seconds: float = 0.0
    refused: str = ""


def measured(net: nn.Module, data: Data, effort: Effort, device: str) -> tuple[Found, list[dict[str, Any]]]:
    """All numbers of a network, and the nodes of its certificate, one row each."""
    begin = time.perf_counter()
    where = Place(device=device)
    images = Split(data.test.images[: effort.tested], data.test.labels[: effort.tested])
    test = accuracy(net, images, where)
    points = data.validation.images[: effort.points]
    certificate = certify.torch_model(net, SHAPE, starts=effort.starts, steps=effort.steps, points=points)
    mode = border(net)
    filtered = certify.anti_aliased(net, SHAPE, padding_mode=mode)
    whole_filtered = certify.torch_model(filtered, SHAPE, starts=1, steps=1)
    maps = trunk(net)
    moved = data.validation.images[: effort.shifted].to(device)
    defect = certify.covariance_defect(maps, moved, variant=certify.anti_aliased(maps, SHAPE, padding_mode=mode))
    found = Found(
        test=test,
        test_filtered=accuracy(filtered, images, where),
        nodes=len(certificate.nodes),
        product=certificate.product,
        upper=certificate.upper,
        lower=certificate.lower,
        product_filtered=whole_filtered.product,
        upper_filtered=whole_filtered.upper,
        contradictions=len(certificate.contradictions) + len(whole_filtered.contradictions),
        defect=defect.value,
        defect_filtered=defect.variant.value,
        whole=defect.whole,
        whole_filtered=defect.variant.whole,
        seconds=time.perf_counter() - begin,
    )
    return found, [row(node) for node in certificate.nodes]


def refused(net: nn.Module, data: Data, effort: Effort, device: str) -> Found:
    """Accuracy of a network that has no certificate, and the reason.

    Raises
    ------
    RuntimeError
        If it is not refused.
    """
    begin = time.perf_counter()
    images = Split(data.test.images[: effort.tested], data.test.labels[: effort.tested])
    test = accuracy(net, images, Place(device=device))
    try:
        certificate = certify.torch_model(net, SHAPE, starts=1, steps=1)
    except ValueError as error:
        return Found(test=test, refused=str(error), seconds=time.perf_counter() - begin)
    raise RuntimeError(f"A network without a finite constant was given one: {certificate}")


def row(node: certify.NodeBound) -> dict[str, Any]:
    """A node in plain numbers and strings."""
    names = ("name", "operation", "kind", "constant", "attained", "total")
    return {name: getattr(node, name) for name in names} | {"together": bool(node.segment)}


def pick(device: str | None) -> str:
    """The device that was asked for; CUDA where it is and nothing was asked for."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")
