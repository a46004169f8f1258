r"""What is measured of a trained network on images that it has not seen.

Norms of perturbations are those of the standardised images, which have mean 0 and variance 1 over all pixels, so that
an image has a norm of about 28. All bounds and constants are computed in float64.

**Certified radius.** With the certified constant L of the extractor, the logits
:math:`z_k = w_k \cdot \Phi(x) + b_k` of `Classifier.weights` differ by functions with the Lipschitz constants
:math:`L \|w_y - w_k\|`. An image with the right class y keeps it under every perturbation of norm below

.. math:: r = \min_{k \ne y} \frac{z_y - z_k}{L \, \|w_y - w_k\|} .
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import scatter_theory as st
from scatter_theory.search import Effort
from studies.learned.network import GRID, Classifier, features, in_double

#: Shifts in pixels; sizes of smooth displacements in pixels, and their largest frequency in periods per image.
SHIFTS, SIZES, DEGREE = (1, 2, 3, 4), (0.5, 1.0, 2.0, 3.0), 2
#: Norms of perturbations for attacks and certificates.
RADII = (0.1, 0.2, 0.5, 1.0, 2.0)
#: Images of one pass.
PASS = 500
#: Search for the Lipschitz constant from below, and no search: the given images only.
SEARCH, GIVEN = Effort(1, 16, 10, 1), Effort(0, 0, 0, 0)


@dataclass(frozen=True)
class Counts:
    """On how much is measured.

    Parameters
    ----------
    moved : int
        Test images that are shifted, deformed and classified.
    attacked : int
        Test images that gradients attack.
    steps : int
        Steps of the attack.
    sensed : int
        Test images whose features are compared in float64.
    searched : int
        Test images from which the Lipschitz search starts.
    fields : int
        Smooth displacements of each size.
    """

    moved: int
    attacked: int
    steps: int
    sensed: int
    searched: int
    fields: int


def displacements(count: int) -> dict[float, list[Tensor]]:
    r"""The exact deformations as matrices, by size: row x of the images as vectors times it is :math:`x(t - \tau(t))`.

    Random trigonometric fields without a constant part, of certified norm :math:`\|\tau\|_\infty`; those of different
    sizes are multiples of each other. ``(784, 784)``, float64.
    """
    unit = torch.eye(GRID.size, dtype=torch.float64).reshape(-1, *GRID.shape)
    found: dict[float, list[Tensor]] = {size: [] for size in SIZES}
    for k in range(count):
        field = st.deform.random_warp(GRID, SIZES[0], degree=DEGREE, constant=False, generator=k)
        for size in SIZES:
            moved = st.deform.apply(unit, GRID, field.scaled_to(sup=size), method="direct")
            found[size].append(moved.flatten(1))
    return found


def shifts(size: int) -> list[Callable[[Tensor], Tensor]]:
    """The four shifts along the axes of images ``(count, 28, 28)`` on the torus."""
    return [lambda x, t=t, axis=axis: torch.roll(x, t, axis) for axis in (1, 2) for t in (-size, size)]


def warps(matrices: Iterable[Tensor]) -> list[Callable[[Tensor], Tensor]]:
    """Deformations of images ``(count, 28, 28)``, in their precision."""
    return [lambda x, m=m: (x.flatten(1) @ m.to(x.dtype)).reshape(x.shape) for m in matrices]


Moves = Mapping[str, Mapping[float, list[Callable[[Tensor], Tensor]]]]


def moves(matrices: Mapping[float, list[Tensor]], device: str) -> Moves:
    """All that images on a device are moved by: kind, then size, then each map."""
    return {
        "shift": {t: shifts(t) for t in SHIFTS},
        "deformation": {size: warps([m.to(device) for m in of_size]) for size, of_size in matrices.items()},
    }


def measure(model: Classifier, images: Tensor, labels: Tensor, by: Moves, counts: Counts, seed: int) -> dict[str, Any]:
    """Everything, as plain numbers; the arrays of radii and sizes are `RADII`, `SHIFTS` and `SIZES`.

    Parameters
    ----------
    model : Classifier
        Trained.
    images, labels : tensor
        Test images ``(count, 1, 28, 28)`` and their classes, on the device of the model.
    by : Moves
    counts : Counts
    seed : int
        Of the search for the Lipschitz constant.
    """
    x = images[:, 0]
    phi = in_double(model.phi)
    lipschitz = phi.certified_lipschitz().value
    found: dict[str, Any] = {"lipschitz": lipschitz, **searched(model.phi, x[: counts.searched], seed)}
    for kind, of_kind in by.items():
        for size, maps in of_kind.items():
            of_size = {
                **sensitivity(phi, lipschitz, x[: counts.sensed].double(), maps),
                **moved_accuracy(model, x[: counts.moved], labels[: counts.moved], maps),
            }
            found |= {f"{kind}_{size:g}_{name}": value for name, value in of_size.items()}
    radius = certified_radii(phi, model, lipschitz, x, labels)
    found["radius"] = float(radius.median())
    for eps in RADII:
        found[f"certified_{eps:g}"] = 100 * float((radius > eps).double().mean())
        adversarial = attack(model, x[: counts.attacked], labels[: counts.attacked], eps, counts.steps)
        right = model(adversarial[:, None]).argmax(1) == labels[: counts.attacked]
        found[f"attacked_{eps:g}"] = 100 * float(right.double().mean())
        found[f"broken_{eps:g}"] = int((~right & (radius[: counts.attacked] > eps)).sum())
    return found


def searched(phi: st.FeatureExtractor, x: Tensor, seed: int) -> dict[str, Any]:
    """Lower end of the Lipschitz constant, and the translation bound for one whole step of both poolings, on the CPU.

    Of the second: outcome, and the largest share of the bound that is measured, over the layers.
    """
    at_hand = in_double(copy.deepcopy(phi).cpu())
    x = x.double().cpu()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", st.AdmissibilityWarning)
        climbed = st.verify.lipschitz(at_hand, x, effort=SEARCH, generator=seed)
        shifted = st.verify.translation(
            at_hand, x, shifts=[(4, 0), (0, 4)], bound="multiplier", effort=GIVEN, generator=seed
        )
    return {
        "attained": float(climbed.measured[0]),
        "lipschitz_outcome": climbed.outcome.name,
        "translation_outcome": shifted.outcome.name,
        "translation_share": float(shifted.worst),
    }


@torch.no_grad()
def sensitivity(
    phi: st.FeatureExtractor, lipschitz: float, x: Tensor, maps: Iterable[Callable[[Tensor], Tensor]]
) -> dict[str, float]:
    """Largest and mean change of the features relative to themselves, and the largest share of the bound.

    The bound is L times the change of the image itself.
    """
    norm, changes, shares = torch.linalg.vector_norm, [], []
    still = features(phi, x)
    for move in maps:
        other = move(x)
        change = norm(features(phi, other) - still, dim=1)
        changes.append(change / norm(still, dim=1))
        # An image that a map leaves as it is has no share.
        shares.append(change / (lipschitz * norm((other - x).flatten(1), dim=1)).clamp_min(1e-300))
    change, share = torch.stack(changes), torch.stack(shares)
    return {"change": float(change.mean()), "worst_change": float(change.max()), "share": float(share.max())}


@torch.no_grad()
def moved_accuracy(
    model: Classifier, x: Tensor, labels: Tensor, maps: Iterable[Callable[[Tensor], Tensor]]
) -> dict[str, float]:
    """Accuracy under each map, averaged, and share of the images that are right under all of them, in per cent."""
    right = torch.stack(
        [
            torch.cat([model(move(part)[:, None]).argmax(1) == y for part, y in _parts(x, labels)]).double()
            for move in maps
        ]
    )
    return {"accuracy": 100 * float(right.mean()), "worst_accuracy": 100 * float(right.amin(0).mean())}


@torch.no_grad()
def certified_radii(phi: st.FeatureExtractor, model: Classifier, lipschitz: float, x: Tensor, labels: Tensor) -> Tensor:
    """Radius r of every image, ``(count,)``; at most 0 where the class is wrong. See the module text."""
    weight, bias = model.weights()
    gaps = torch.cdist(weight[None], weight[None], compute_mode="donot_use_mm_for_euclid_dist")[0]
    found = []
    for part, y in _parts(x, labels):
        logits = features(phi, part.double()) @ weight.T + bias
        margins = logits.gather(1, y[:, None]) - logits
        radii = margins / (lipschitz * gaps[y])
        found.append(radii.scatter(1, y[:, None], torch.inf).amin(1))
    return torch.cat(found)


def attack(model: Classifier, x: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
    """Projected gradient ascent of the loss in a ball of radius `eps` around each image, without other limits.

    Steps of length 2.5 eps / steps along the normalised gradient, from the image itself; the last point is returned.
    """
    found = []
    for part, y in _parts(x, labels):
        delta = torch.zeros_like(part)
        for _ in range(steps):
            delta.requires_grad_(True)
            loss = F.cross_entropy(model((part + delta)[:, None]), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, delta)
            size = torch.linalg.vector_norm(gradient, dim=(1, 2), keepdim=True).clamp_min(1e-30)
            delta = delta.detach() + 2.5 * eps / steps * gradient / size
            norm = torch.linalg.vector_norm(delta, dim=(1, 2), keepdim=True)
            delta = delta * (eps / norm.clamp_min(eps))
        found.append((part + delta).detach())
    return torch.cat(found)


def _parts(x: Tensor, labels: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    return zip(x.split(PASS), labels.split(PASS), strict=True)
