"""Local equivariance error: the Lie derivative of a model (Gruver et al., 2022)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from scatter_theory.deform._fields import Field
from scatter_theory.grid import Grid
from scatter_theory.measures._actions import generators, moved
from scatter_theory.measures._derivative import differentiated, disagreement
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
#: Disagreement with the difference quotient that is told.
_TOLD = 0.05
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
        the number of real numbers of the output; ``largest disagreement`` of the derivative of the model with a central
        difference quotient, relative: a check of the model, not part of the value.

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
    squares = torch.cat([part for part, _, _ in parts])
    doubt = torch.cat([part for _, part, _ in parts]).max()
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
            "per output number": (total.mean() / parts[0][2]).cpu().numpy(),
            "largest disagreement": doubt.cpu().numpy(),
            "squares": squares.cpu().numpy(),
            "rates": rates.cpu().numpy(),
        },
        notes=_notes(float(doubt)),
    )


def _notes(doubt: float) -> tuple[str, ...]:
    text = (
        f"A difference quotient over a small step disagrees with the derivative by up to {100 * doubt:.3g} %: there is "
        "a kink close by, or a part of the model hides its derivative (detached branches, straight-through estimators)."
    )
    return (text,) if doubt > _TOLD else ()


def _unit(grid: Grid, what: str) -> str:
    return {"translation": f"per {grid.unit}^2", "rotation": "per rad^2"}.get(what, "")


def _errors(probe: Probe, x: Tensor, fields: tuple[Field, ...], action: Action) -> tuple[Tensor, Tensor, int]:
    """Squared errors and disagreements ``(batch, n_generators)``, and the number of real numbers of the output."""
    columns, doubts, count = [], [], 0
    for field in fields:
        step = moved(x, probe.grid, field)
        y, rate = differentiated(probe, x, step)
        doubts.append(disagreement(probe, x, step, as_vectors(y), rate))
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
    return torch.stack(columns, 1), torch.stack(doubts, 1), count
