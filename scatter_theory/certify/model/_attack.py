r"""Lower bounds of Lipschitz constants: ratios that two points attain.

Every value here is :math:`\|f(x) - f(y)\| / \|x - y\|` of two points in float64, so that no derivative has to exist:
the gradients of torch only say where to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import vector_norm

Map = Callable[[Tensor], Tensor]

#: Relative change at which a power iteration stops.
_STILL = 1e-11


@dataclass(frozen=True, eq=False)
class Attained:
    """The largest ratio found, with its points."""

    ratio: float
    x: Tensor
    y: Tensor


def ratio(function: Map, x: Tensor, y: Tensor) -> float:
    """The ratio of two points; 0 for equal ones."""
    with torch.no_grad():
        distance = float(vector_norm(x - y))
        return float(vector_norm(function(x) - function(y))) / distance if distance > 0 else 0.0


def attack_affine(function: Map, like: Tensor, steps: int, generator: torch.Generator) -> Attained:
    """Power iteration for the linear part of an affine map."""
    zero = torch.zeros_like(like)
    v = _direction(zero, generator)
    best = Attained(0.0, v, zero)
    image, adjoint = torch.func.vjp(function, zero)
    for _ in range(steps):
        found, w = _turned(function, adjoint, image, zero, v)
        if w is None or found <= best.ratio * (1 + _STILL):
            break
        best, v = Attained(found, v, zero), w
    return best


def attack_pointwise(function: Map, ndim: int, channels: int, device: torch.device) -> float:
    """Largest ratio of neighbours on a fine grid of the line, for a map that acts entry by entry.

    Parameters
    ----------
    function : callable
        Takes tensors with `ndim` axes, the second one of `channels` entries.
    """
    line = torch.linspace(-12.0, 12.0, 24001, dtype=torch.float64, device=device)
    points = line.reshape(-1, *(1,) * (ndim - 1)).expand(-1, *(channels,) * (ndim > 1), *(1,) * (ndim - 2))
    with torch.no_grad():
        return float((function(points).diff(dim=0) / points.diff(dim=0)).abs().max())


def attack_map(function: Map, like: Tensor, starts: int, steps: int, generator: torch.Generator) -> Attained:
    """Power iteration on the Jacobian at random points and spikes, then ascent over pairs.

    Parameters
    ----------
    function : callable
        Takes tensors of the shape of `like`.
    starts, steps : int
        Random points, and steps of the iteration and of the ascent from each.
    """
    best = _attack_spikes(function, like, generator)
    for k in range(starts):
        x = _direction(like, generator) * like.numel() ** 0.5 * (0.0, 1.0, 0.1, 10.0)[k % 4]
        best = max(best, _attack_from(function, x, steps, generator), key=lambda a: a.ratio)
    return best


def attack_points(function: Map, points: Tensor, steps: int, generator: torch.Generator) -> Attained:
    """The same from given points, ``(count, ...)`` with the shape of one sample behind the count."""
    found = (_attack_from(function, x[None], steps, generator) for x in points)
    return max(found, key=lambda a: a.ratio)


def _attack_from(function: Map, x: Tensor, steps: int, generator: torch.Generator) -> Attained:
    found = _along_jacobian(function, x, steps, generator)
    return max(found, _ascent(function, found, steps), key=lambda a: a.ratio)


def _attack_spikes(function: Map, like: Tensor, generator: torch.Generator) -> Attained:
    """Spikes of both signs at 32 entries next to the middle and at random, against zero."""
    zero = torch.zeros_like(like)
    n = like.numel()
    places = torch.randint(n, (16,), generator=generator).tolist() + [(n // 2 + k) % n for k in range(16)]
    pairs = [Attained(0.0, zero, zero)]
    for place in places:
        for height in (1.0, -1.0):
            x = zero.clone()
            x.view(-1)[place] = height
            pairs.append(Attained(ratio(function, x, zero), x, zero))
    return max(pairs, key=lambda a: a.ratio)


def _direction(like: Tensor, generator: torch.Generator) -> Tensor:
    v = torch.randn(like.shape, dtype=torch.float64, generator=generator).to(like.device)
    return v / vector_norm(v)


def _turned(function: Map, adjoint: Callable, image: Tensor, x: Tensor, y: Tensor) -> tuple[float, Tensor | None]:
    """Ratio of x and y, and the direction of norm 1 into which the transposed Jacobian at x turns the difference."""
    with torch.no_grad():
        apart = function(y) - image
    (w,) = adjoint(apart)
    size = vector_norm(w)
    found = float(vector_norm(apart) / vector_norm(y - x))
    return found, w / size if float(size) > 0 else None


def _along_jacobian(function: Map, x: Tensor, steps: int, generator: torch.Generator) -> Attained:
    v = _direction(x, generator)
    size = max(1.0, float(vector_norm(x)))
    best = Attained(0.0, x, x + v)
    image, adjoint = torch.func.vjp(function, x)
    for k in range(steps):
        y = x + (1e-1, 1e-4)[k % 2] * size * v
        found, v = _turned(function, adjoint, image, x, y)
        best = Attained(found, x, y) if found > best.ratio else best
        if v is None:
            break
    return best


def _ascent(function: Map, start: Attained, steps: int) -> Attained:
    """Adam on both points for the logarithm of the ratio, with steps that follow their distance."""
    best, distance = start, float(vector_norm(start.x - start.y))
    pair = torch.stack([start.x, start.y]).detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([pair], lr=0.1 * max(distance, 1e-3) / pair[0].numel() ** 0.5)
    for _ in range(steps):
        with torch.enable_grad():
            apart = vector_norm(function(pair[0]) - function(pair[1]))
            loss = vector_norm(pair[0] - pair[1]).log() - apart.log()
            (gradient,) = torch.autograd.grad(loss, pair)
        if not bool(torch.isfinite(gradient).all()):
            break
        pair.grad = gradient
        optimizer.step()
        x, y = pair.detach().clone()
        found = ratio(function, x, y)
        best = Attained(found, x, y) if found > best.ratio else best
    return best
