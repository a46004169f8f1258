"""Directional derivatives of models, and whether they can be believed."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from scatter_theory.measures._probe import Probe

#: Step, relative to the signal, and least relative change by which a derivative of exactly 0 is doubted.
_STEP, _DOUBT = 1e-3, 1e-5
_TINY = torch.finfo(torch.float64).tiny


def differentiated(probe: Probe, x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs, and the derivative along `step` as vectors."""
    try:
        with warnings.catch_warnings():
            # Forward differentiation loads parts of torch that use its own deprecated compiler.
            warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
            _, rate = torch.func.jvp(probe.vectors, (x,), (step,))
    except RuntimeError:
        rate = _by_backward(probe, x, step)
    with torch.no_grad():
        y = probe.checked(probe.outputs(x))
    return y, probe.checked(rate.detach())


def _by_backward(probe: Probe, x: Tensor, step: Tensor) -> Tensor:
    """The derivative by two backward passes, for models without forward derivatives; or the error of the model."""
    if not x.is_complex():
        return torch.autograd.functional.jvp(probe.vectors, x, step)[1]

    def of_pairs(pairs: Tensor) -> Tensor:
        return probe.vectors(torch.view_as_complex(pairs))

    return torch.autograd.functional.jvp(of_pairs, torch.view_as_real(x), torch.view_as_real(step))[1]


@torch.no_grad()
def disagreement(probe: Probe, x: Tensor, step: Tensor, y: Tensor, rate: Tensor) -> Tensor:
    """Relative distance of the derivative from a central difference quotient, ``(batch,)``; 0 within rounding.

    Raises
    ------
    ValueError
        If the derivative is 0 in every entry while the output changes.
    """
    blind = not bool(rate.any())
    eps = torch.finfo(probe.dtype).eps
    h = _STEP if blind else eps ** (1 / 3)
    length = torch.linalg.vector_norm(step.flatten(1), dim=1).clamp_min(_TINY)
    size = torch.linalg.vector_norm(x.flatten(1), dim=1).clamp_min(_TINY)
    t = h * size / length
    small = step * t.reshape(-1, *(1,) * probe.grid.ndim)
    change = probe.vectors(x + small) - probe.vectors(x - small)
    if blind:
        largest, scale = change.abs().max(), y.abs().max()
        if bool(largest > _DOUBT * scale):
            raise ValueError(
                f"`{probe.owner}(model=...)`: automatic differentiation finds a derivative of exactly 0, but the "
                f"output changes by {float(largest / scale):.3g} of its size over a step of {_STEP:g}. The model "
                "detaches its input (`detach`, numpy), or works in steps."
            )
        return torch.zeros_like(t)
    quotient = change / (2 * t)[:, None]
    natural = torch.linalg.vector_norm(y, dim=1) * length / size
    sizes = [torch.linalg.vector_norm(v, dim=1) for v in (quotient, rate)]
    floor = 100 * eps ** (2 / 3) * natural + _TINY
    return torch.linalg.vector_norm(quotient - rate, dim=1) / torch.stack([*sizes, floor]).amax(0)
