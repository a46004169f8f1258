"""Stability to deformations relative to that to noise (Petrini et al., 2021)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scatter_theory.deform._families import Family
from scatter_theory.deform._fields import Field
from scatter_theory.deform._interpolated import Exact, Interpolated
from scatter_theory.deform._local_families import MaxEntropy
from scatter_theory.deform._sine import max_entropy_temperature
from scatter_theory.grid import Grid
from scatter_theory.measures._intervals import bootstrap, check_confidence
from scatter_theory.measures._measurement import Measurement
from scatter_theory.measures._probe import Model, Probe, check_count, prepared, squares
from scatter_theory.seeds import Seed, seeded

NOT_CERTIFIED = (
    "anything about the worst deformation or the worst signal (it averages over both), nor stability itself: a small "
    "ratio may come from a strong reaction to isotropic noise. Averages under one law of deformations say nothing "
    "about another."
)
SOURCE = "Petrini, Favero, Geiger, Wyart, 2021, arXiv:2105.02468"


def relative_stability(
    model: Model,
    signals: Any,
    grid: Grid,
    *,
    family: Family | Field | None = None,
    sup: float | None = None,
    cutoff: float = 3.0,
    temperature: float | None = None,
    n: int = 8,
    warp: Exact | Interpolated = Exact(),  # noqa: B008 - frozen
    confidence: float = 0.95,
    chunk: int = 64,
    generator: Seed = None,
) -> Measurement:
    r"""Mean reaction to deformations over mean reaction to noise of the same size.

    .. math::
        R = \frac{D}{G}, \qquad
        D = \frac{\langle \|m(F_\tau f) - m(f)\|^2 \rangle}{\langle \|m(f_i) - m(f_j)\|^2 \rangle}, \qquad
        G = \frac{\langle \|m(f + \eta) - m(f)\|^2 \rangle}{\langle \|m(f_i) - m(f_j)\|^2 \rangle},

    where :math:`\eta` is white and isotropic with :math:`\|\eta\| = \|F_\tau f - f\|` for every signal and every draw.
    All averages are *means*, over signals and draws, and over pairs :math:`i \ne j`.

    R = 1 for every isometry, for the identity in particular. For a filter with multiplier :math:`\hat\chi`, the
    expectation of :math:`\|\chi * \eta\|^2 / \|\eta\|^2` is the mean of :math:`|\hat\chi|^2` over all frequencies: a
    low-pass lowers R if what deformations change lies above its band, and *raises* R if it lies within.

    Parameters
    ----------
    model : callable or FeatureExtractor
        From ``(batch, *grid.shape)`` to ``(batch, ...)``, every signal on its own. Features are compared in the feature
        norm.
    signals : (*batch, *grid.shape) tensor or array
        Deformed by their trigonometric interpolant; the Nyquist bins of even axes should be empty.
    grid : Grid
    family : Family or Field, optional
        Law of the deformations, or one deformation for all. Default: maximum-entropy displacements with `cutoff` and
        `temperature`.
    sup : float, optional
        Certified :math:`\|\tau\|_\infty` to which the members of a scalable `family` are brought, in `grid.unit`.
    cutoff, temperature : float
        Of the maximum-entropy law. By default, the temperature at which the root mean square of the displacement is one
        sample of the axis with the fewest samples (for equal periods).
    n : int
        Draws of a deformation and of noise per signal.
    warp : Exact or Interpolated
        How signals are deformed; local interpolation for comparison with published protocols.
    confidence : float
        Level of the percentile bootstrap over signals (over draws, if there is one signal only); 2000 resamples.
    chunk : int
        Signals that the model sees at once.
    generator : int, torch.Generator or None
        The same seed with the same `chunk` gives the same numbers.

    Returns
    -------
    Measurement
        ``details``: ``D``, ``G`` (NaN for a single signal), ``deformed``, ``noisy`` (the squared distances,
        ``(n_signals, n)``), ``rms displacement`` in `grid.unit`.

    Raises
    ------
    TypeError
        For a model, signals or a family of another kind.
    ValueError
        For signals or outputs that are not finite or do not fit, arguments that contradict each other, deformations
        that move nothing, and models that do not react to noise: then R is 0/0 or infinite.

    Notes
    -----
    An average, of one law, over the signals that were given. Max-entropy displacements are mostly outside the
    hypotheses of the deformation bounds, where the Jacobian is small.

    Examples
    --------
    >>> import torch, scatter_theory as st
    >>> x = torch.randn(4, 31, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> round(relative_stability(lambda f: f, x, st.Grid.line(31), generator=0).value, 9)
    1.0
    """
    started = time.perf_counter()
    owner = "relative_stability"
    probe, x = prepared(owner, model, signals, grid)
    n, chunk = check_count(owner, "n", n), check_count(owner, "chunk", chunk)
    check_confidence(owner, confidence)
    rng, seed = seeded(generator)
    draw = _law(owner, grid, family, sup, cutoff, temperature)
    tally = _Tally()
    deformed, noisy, moves = [], [], []
    with torch.no_grad():
        for part in x.split(chunk):
            rows = _compare(probe, part, grid, draw, warp, n, rng, tally)
            for column, row in zip((deformed, noisy, moves), rows, strict=True):
                column.append(row)
    a, b, displaced = (torch.cat(column) for column in (deformed, noisy, moves))
    top, bottom = a.mean(), b.mean()
    if float(bottom) == 0:
        raise ValueError(
            "`relative_stability(model=...)`: the model does not react to noise of the size of the deformation at all, "
            "so that R is not defined. It may be constant near the signals."
        )
    apart = tally.mean_square_distance()
    rows = (a.mean(1), b.mean(1)) if len(a) > 1 else (a[0], b[0])
    resampled = "signals" if len(a) > 1 else "draws of the one signal"
    return Measurement(
        name="relative stability R = D / G",
        value=float(top / bottom),
        interval=bootstrap(*rows, confidence, seed),
        unit="",
        n=a.numel(),
        not_certified=NOT_CERTIFIED,
        provenance=probe.provenance(seed, x.device, time.perf_counter() - started),
        confidence=confidence,
        interval_by=f"percentile bootstrap over {resampled}",
        source=SOURCE,
        details={
            "D": (top / apart).cpu().numpy(),
            "G": (bottom / apart).cpu().numpy(),
            "rms displacement": displaced.mean().sqrt().cpu().numpy(),
            "deformed": a.cpu().numpy(),
            "noisy": b.cpu().numpy(),
        },
        notes=() if warp.exact else (f"Deformed by {warp.kind} interpolation, which adds an error of its own.",),
    )


def _compare(
    probe: Probe,
    x: Tensor,
    grid: Grid,
    draw: Callable[[int, torch.Generator, torch.device], Field],
    warp: Exact | Interpolated,
    n: int,
    rng: torch.Generator,
    tally: _Tally,
) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances after deformations and after noise, ``(batch, n)`` each, and mean squared displacements."""
    reference = probe.checked(probe.vectors(x))
    tally.add(reference)
    deformed, noisy, moves = [], [], []
    for _ in range(n):
        field = draw(len(x), rng, x.device)
        change = warp(x, grid, field) - x
        size = torch.linalg.vector_norm(change.flatten(1), dim=1)
        noise = torch.randn(x.shape, generator=rng, dtype=x.dtype).to(x.device)
        scale = size / torch.linalg.vector_norm(noise.flatten(1), dim=1)
        noise = noise * scale.reshape(-1, *(1,) * grid.ndim)
        if not bool((size > 0).any()):
            raise ValueError(
                "`relative_stability(family=...)`: the deformation changed no signal of a batch. Give signals that are "
                "not constant, or a larger displacement."
            )
        deformed.append(squares(probe.checked(probe.vectors(x + change)) - reference))
        noisy.append(squares(probe.checked(probe.vectors(x + noise)) - reference))
        tau = field.at(grid.points(device=x.device))
        moves.append((tau**2).sum(-grid.ndim - 1).flatten(-grid.ndim).mean(-1).expand(len(x)))
    return torch.stack(deformed, 1), torch.stack(noisy, 1), torch.stack(moves, 1)


def _law(
    owner: str, grid: Grid, family: Any, sup: float | None, cutoff: float, temperature: float | None
) -> Callable[[int, torch.Generator, torch.device], Field]:
    """A function that draws fields with batch ``(count,)``, or gives the one field for all."""
    if family is not None and temperature is not None:
        raise ValueError(f"`{owner}`: `temperature=` belongs to the default law; leave it out with `family=`.")
    if isinstance(family, Field):
        if family.batch or sup is not None:
            raise ValueError(f"`{owner}(family=...)`: a field must be single, and comes as it is, without `sup=`.")
        grid.check_extent(family.extent, owner, "field")
        return lambda count, rng, device: family
    if family is None:
        if sup is not None:
            raise ValueError(f"`{owner}(sup=...)`: the default law has a temperature; give `family=` with `sup=`.")
        if temperature is None:
            temperature = max_entropy_temperature(cutoff, 1 / min(grid.shape), grid.ndim)
        if not 0 < temperature < math.inf:
            raise ValueError(f"`{owner}(temperature=...)`: got {temperature}, expected a finite positive number.")
        law, factor = MaxEntropy(cutoff), math.sqrt(temperature)
        return lambda count, rng, device: law.member(factor * law.draw(grid, count, generator=rng).to(device), grid)
    if not isinstance(family, Family):
        raise TypeError(f"`{owner}(family=...)`: got {type(family).__name__}, expected a Family or a Field.")
    if family.scalable != (sup is not None):
        wanted = "give `sup=`, its size" if family.scalable else "its members have their own size; leave out `sup=`"
        raise ValueError(f"`{owner}(family={family!r})`: {wanted}.")

    def draw(count: int, rng: torch.Generator, device: torch.device) -> Field:
        field = family.member(family.draw(grid, count, generator=rng).to(device), grid)
        return field if sup is None else field.scaled_to(sup=sup)

    return draw


@dataclass
class _Tally:
    """Running mean and scatter of vectors, chunk by chunk."""

    count: int = 0
    mean: Tensor | None = None
    scatter: Tensor | None = None

    def add(self, v: Tensor) -> None:
        count, mean = len(v), v.mean(0)
        scatter = squares(v - mean).sum()
        if self.mean is None or self.scatter is None:
            self.count, self.mean, self.scatter = count, mean, scatter
            return
        total, step = self.count + count, mean - self.mean
        self.scatter = self.scatter + scatter + step.square().sum() * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total

    def mean_square_distance(self) -> Tensor:
        """Mean of ``|v_i - v_j|^2`` over i != j; NaN for one vector."""
        assert self.scatter is not None
        return 2 * self.scatter / (self.count - 1) if self.count > 1 else torch.full_like(self.scatter, math.nan)
