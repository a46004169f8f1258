"""Local equivariance error: the Lie derivative of a model (Gruver et al., 2022)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from scatter_theory.deform._fields import Field
from scatter_theory.grid import Grid
from scatter_theory.measures._actions import generators, moved
from scatter_theory.measures._intervals import bootstrap, check_confidence
from scatter_theory.measures._measurement import Measurement
from scatter_theory.measures._probe import Model, Probe, as_vectors, check_count, prepared, refuse_extractor
from scatter_theory.measures._probe import spatial as on_grid
from scatter_theory.measures._probe import squares as squared
from scatter_theory.seeds import Seed, seeded

NOT_CERTIFIED = (
    "transforms of any finite size (it is the rate at the identity), signals other than those given (it averages), and "
    "nothing at kinks, where the derivative is one of several."
)
SOURCE = "Gruver, Finzi, Goldblum, Wilson, 2022, arXiv:2210.02984"
#: Step, relative to the signal, and least relative change by which a derivative of exactly 0 is doubted.
_STEP, _DOUBT = 1e-3, 1e-5
_TINY = torch.finfo(torch.float64).tiny

Action = Literal["same"] | Callable[[Tensor], Tensor] | None


def lie_derivative(
    model: Model,
    signals: Any,
    grid: Grid,
    *,
    kind: Literal["translation", "rotation", "scaling"] = "translation",
    direction: Any = None,
    field: Field | None = None,
    output_action: Action = None,
    confidence: float = 0.95,
    chunk: int = 64,
    generator: Seed = None,
) -> Measurement:
    r"""Mean squared rate at which a model leaves equivariance.

    .. math::
        \Big\langle \sum_\tau \Big\| \frac{d}{dt}\Big|_0 \rho_{out}(-t)\, m(\rho_{in}(t) f) \Big\|^2 \Big\rangle
        = \Big\langle \sum_\tau \big\| Dm(f)[-\langle\tau, \nabla f\rangle] - \rho_{out}'(0)\, m(f) \big\|^2
          \Big\rangle, \qquad \rho_{in}(t) f = f(\cdot - t\tau + O(t^2)) .

    Both derivatives are exact up to rounding: that of the signal by its trigonometric interpolant, that of the model by
    automatic differentiation, forward if the model allows it and by two backward passes if not.

    Parameters
    ----------
    model : callable or FeatureExtractor
        From ``(batch, *grid.shape)`` to ``(batch, ...)``, every signal on its own, differentiable.
    signals : (*batch, *grid.shape) tensor or array
    grid : Grid
    kind : {"translation", "rotation", "scaling"}
        ``"translation"``: along `direction`, or along every axis, summed. ``"rotation"`` (two or three axes; the sum
        over all coordinate planes) and ``"scaling"``: about the centre of the cell; exact within a quarter of the
        shortest period, at rest from 0.45 of it on, because a torus has no others.
    direction : d numbers, optional
        In `grid.unit` per unit of t.
    field : Field, optional
        A single displacement field in place of `kind`.
    output_action : None, "same" or callable
        None: the output should not change. ``"same"``: it lives on the grid, ``(batch, *channels, *grid.shape)``, and
        should move as the signal does. A callable: the derivative :math:`\rho_{out}'(0)` as a linear map of outputs
        ``(batch, ...)``; with several generators it is used for all of them.
    confidence : float
        Level of the percentile bootstrap over signals.
    chunk : int
        Signals that the model sees at once.
    generator : int, torch.Generator or None
        For the resampling only; the value is not random.

    Returns
    -------
    Measurement
        ``details``: ``squares`` ``(n_signals, n_generators)``; ``rates`` ``(n_signals,)``, the root of the sum over the
        norm of the signal (0 for the zero signal), to be set beside a bound such as
        :math:`2\pi K_n / (S_1 \cdots S_n)` of translations; ``largest rate``; ``per output number``, the value over
        the number of real numbers of the output.

    Raises
    ------
    TypeError
        For a model, signals or an action of another kind.
    ValueError
        For signals or outputs that are not finite or do not fit; for a derivative of exactly 0 along which the output
        does change, as of a model that detaches its input or works in steps.

    Notes
    -----
    Norms of outputs are Euclidean; those of features, and of the signals beside them, are the physical ones. At a kink,
    such as that of the modulus at 0, the derivative that torch defines is taken (there: 0), and the rates to the two
    sides may be larger. The value says nothing about finite transforms: a model may have a small rate at every given
    signal, and a large one between two of them.

    Examples
    --------
    >>> import math, torch, scatter_theory as st
    >>> grid = st.Grid.line(32)
    >>> tone = torch.cos(2 * math.pi * 4 * grid.points()[0] / 32)
    >>> error = lie_derivative(lambda f: f, tone, grid)
    >>> round(float(error.details["largest rate"]) / (2 * math.pi * 4 / 32), 9)
    1.0
    """
    started = time.perf_counter()
    owner = "lie_derivative"
    probe, x = prepared(owner, model, signals, grid)
    if output_action is not None:
        refuse_extractor(probe, "whose layers move on grids of their own; measure `lambda f: phi.propagate(f, path)`.")
        if output_action != "same" and not callable(output_action):
            raise TypeError(
                f"`{owner}(output_action=...)`: got {output_action!r}, expected None, 'same' or a function."
            )
    check_confidence(owner, confidence)
    fields = generators(owner, grid, kind, direction, field)
    _, seed = seeded(generator)
    parts = [_errors(probe, part, fields, output_action) for part in x.split(check_count(owner, "chunk", chunk))]
    squares = torch.cat([part for part, _ in parts])
    total = squares.sum(1)
    size = grid.norm(x) if probe.extractor else torch.linalg.vector_norm(x.flatten(1), dim=1)
    rates = torch.where(size > 0, total.sqrt() / size.clamp_min(_TINY), torch.zeros_like(size))
    what = "field" if field is not None else kind
    return Measurement(
        name=f"squared Lie derivative, {what}",
        value=float(total.mean()),
        interval=bootstrap(total, torch.ones_like(total), confidence, seed),
        unit=_unit(grid, what),
        n=len(x),
        not_certified=NOT_CERTIFIED,
        provenance=probe.provenance(seed, x.device, time.perf_counter() - started),
        confidence=confidence,
        interval_by="percentile bootstrap over signals",
        source=SOURCE,
        details={
            "largest rate": rates.max().cpu().numpy(),
            "per output number": (total.mean() / parts[0][1]).cpu().numpy(),
            "squares": squares.cpu().numpy(),
            "rates": rates.cpu().numpy(),
        },
    )


def _unit(grid: Grid, what: str) -> str:
    return {"translation": f"per {grid.unit}^2", "rotation": "per rad^2"}.get(what, "")


def _errors(probe: Probe, x: Tensor, fields: tuple[Field, ...], action: Action) -> tuple[Tensor, int]:
    """Squared errors ``(batch, n_generators)`` and the number of real numbers of the output."""
    columns, count = [], 0
    for field in fields:
        step = moved(x, probe.grid, field)
        y, rate = _differentiated(probe, x, step)
        if action == "same":
            rate = rate - as_vectors(moved(on_grid(y, probe), probe.grid, field))
        elif action is not None:
            target = action(y)
            if not isinstance(target, Tensor) or target.shape != y.shape:
                got = tuple(target.shape) if isinstance(target, Tensor) else type(target).__name__
                raise ValueError(
                    f"`{probe.owner}(output_action=...)`: returned {got}, expected a tensor of shape {tuple(y.shape)}."
                )
            rate = rate - as_vectors(target.to(y.dtype))
        columns.append(squared(probe.checked(rate)))
        count = rate.shape[1]
    return torch.stack(columns, 1), count


def _differentiated(probe: Probe, x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
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
        rate = rate.detach()
        if not bool(rate.any()) and bool(step.any()):
            _refuse_blind(probe, x, step)
    return y, rate


def _by_backward(probe: Probe, x: Tensor, step: Tensor) -> Tensor:
    """The derivative by two backward passes, for models without forward derivatives; or the error of the model."""
    if not x.is_complex():
        return torch.autograd.functional.jvp(probe.vectors, x, step)[1]

    def of_pairs(pairs: Tensor) -> Tensor:
        return probe.vectors(torch.view_as_complex(pairs))

    return torch.autograd.functional.jvp(of_pairs, torch.view_as_real(x), torch.view_as_real(step))[1]


def _refuse_blind(probe: Probe, x: Tensor, step: Tensor) -> None:
    length = torch.linalg.vector_norm(step.flatten(1), dim=1).clamp_min(_TINY)
    size = torch.linalg.vector_norm(x.flatten(1), dim=1)
    small = step * (_STEP * size / length).reshape(-1, *(1,) * probe.grid.ndim)
    ahead, behind = probe.vectors(x + small), probe.vectors(x - small)
    change, scale = (ahead - behind).abs().max(), torch.maximum(ahead.abs(), behind.abs()).max()
    if bool(change > _DOUBT * scale):
        raise ValueError(
            f"`{probe.owner}(model=...)`: automatic differentiation finds a derivative of exactly 0, but the output "
            f"changes by {float(change / scale):.3g} of its size over a step of {_STEP:g}. The model detaches its "
            "input (`detach`, `no_grad`, numpy), or works in steps."
        )
