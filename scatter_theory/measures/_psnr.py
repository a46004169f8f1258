"""Equivariance in decibels: transform and model, in both orders (Karras et al., 2021)."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.measures._actions import disc, shifted, turned
from scatter_theory.measures._intervals import bootstrap, check_confidence, decibels
from scatter_theory.measures._measurement import Measurement
from scatter_theory.measures._probe import Model, Probe, check_count, prepared, refuse_extractor, spatial
from scatter_theory.seeds import Seed, seeded

NOT_CERTIFIED = (
    "the worst transform, signal or sample: a mean over all of them hides a large error in a small place. Decibels "
    "refer to the range of the output, not to the size of the transform, so that models are comparable only with equal "
    "ranges and equal laws of transforms."
)
SOURCE = "Karras, Aittala, Laine, Härkönen, Hellsten, Lehtinen, Aila, 2021, arXiv:2106.12423"
#: Names of the kinds, and what is above rounding in float64 and float32, in decibels.
NAMES = {"translation": "EQ-T", "fractional": "EQ-T_frac", "rotation": "EQ-R"}
ROUNDING = {"float64": 280.0, "float32": 120.0}

Kind = Literal["translation", "fractional", "rotation"]


def equivariance_psnr(
    model: Model,
    signals: Any,
    grid: Grid,
    *,
    kind: Kind = "translation",
    max_shift: float | None = None,
    n: int = 8,
    transforms: Any = None,
    peak: float | None = None,
    radius: float = 0.5,
    confidence: float = 0.95,
    chunk: int = 64,
    generator: Seed = None,
) -> Measurement:
    r"""Peak signal over the error of equivariance, in dB.

    .. math:: 10 \log_{10} \frac{I_{max}^2}{\langle |(T\,m(f))(x) - (m(T f))(x)|^2 \rangle},

    with the mean over signals, transforms T, channels and samples x.

    Parameters
    ----------
    model : callable
        From ``(batch, *grid.shape)`` to ``(batch, *channels, *grid.shape)``, every signal on its own.
    signals : (*batch, *grid.shape) tensor or array
    grid : Grid
    kind : {"translation", "fractional", "rotation"}
        EQ-T: shifts by whole samples, exact. EQ-T_frac: shifts by any number of samples, of the trigonometric
        interpolants of signal and output. EQ-R: rotations of the interpolants about the centre of the cell (two axes),
        compared within a disc only.
    max_shift : float, optional
        Shifts are uniform in ``[-max_shift, max_shift]`` samples along every axis (whole ones include 0). Default: an
        eighth of every axis, at least one sample.
    n : int
        Transforms per signal. Angles are uniform over the circle.
    transforms : array, optional
        In place of random ones, for all signals: ``(n, d)`` shifts in samples, or ``(n,)`` angles in radians.
    peak : float, optional
        :math:`I_{max}`, the range of the output, e.g. 2 for images in [-1, 1]. Default: largest minus smallest value of
        the outputs for the given signals (for complex ones, twice the largest modulus).
    radius : float
        Of the disc of ``"rotation"``, in shortest periods; 1/2 is the inscribed disc. Within it, no value of the
        *rotated output* comes from outside; outputs near its border do depend on signal from outside, which is read
        modulo the period. Give signals that vanish there, or a smaller disc.
    confidence : float
        Level of the percentile bootstrap over signals; `peak` is kept.
    chunk : int
        Signals that the model sees at once.
    generator : int, torch.Generator or None
        The same seed with the same `chunk` gives the same numbers.

    Returns
    -------
    Measurement
        Infinite if both orders agree in every digit; about 300 dB if they agree within rounding of float64.
        ``details``: ``I_max``, ``mean squared error``, ``errors`` ``(n_signals, n)``.

    Raises
    ------
    TypeError
        For a feature extractor, whose features are not on the grid of the signal, and signals of another kind.
    ValueError
        For outputs on another grid, values that are not finite, a range of 0, or arguments that do not fit.

    Notes
    -----
    On a torus shifts are circular and nothing enters at the border. An even axis has a Nyquist bin, whose shift by a
    fraction of a sample is not a shift; empty it in the signals. What the model puts there counts as an error.

    Examples
    --------
    >>> import torch, scatter_theory as st
    >>> x = torch.randn(4, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> equivariance_psnr(torch.relu, x, st.Grid.line(32), generator=0).value
    inf
    """
    started = time.perf_counter()
    owner = "equivariance_psnr"
    probe, x = prepared(owner, model, signals, grid)
    refuse_extractor(probe, "whose features are not on the grid of the signal; use `lambda f: phi.propagate(f, path)`.")
    n, chunk = check_count(owner, "n", n), check_count(owner, "chunk", chunk)
    check_confidence(owner, confidence)
    _check(owner, grid, kind, peak, radius)
    rng, seed = seeded(generator)
    given = None if transforms is None else _given(owner, grid, kind, transforms)
    law = _Law(owner, grid, kind, max_shift, radius)
    n = n if given is None else len(given)
    errors, low, high = [], math.inf, -math.inf
    with torch.no_grad():
        for part in x.split(chunk):
            y = spatial(probe.checked(probe.outputs(part)), probe)
            bottom, top = _range(y)
            low, high = min(low, bottom), max(high, top)
            rows = []
            for j in range(n):
                T = law.draw(len(part), rng) if given is None else given[j].expand(len(part), *given.shape[1:])
                rows.append(_error(probe, law, part, y, T))
            errors.append(torch.stack(rows, 1))
    squares = torch.cat(errors)
    I = float(peak) if peak is not None else high - low
    if not I > 0:
        raise ValueError(f"`{owner}(peak=...)`: the output is constant, so that it has no range. Give `peak=`.")
    mean = float(squares.mean())
    spread = bootstrap(squares.mean(1), torch.ones_like(squares[:, 0]), confidence, seed)
    value = _psnr(I, mean)
    provenance = probe.provenance(seed, x.device, time.perf_counter() - started)
    return Measurement(
        name=NAMES[kind],
        value=value,
        interval=None if spread is None else (_psnr(I, spread[1]), _psnr(I, spread[0])),
        unit="dB",
        n=squares.numel(),
        not_certified=NOT_CERTIFIED,
        provenance=provenance,
        confidence=confidence,
        interval_by="percentile bootstrap over signals",
        source=SOURCE,
        details={
            "I_max": torch.tensor(I, dtype=torch.float64).numpy(),
            "mean squared error": squares.mean().cpu().numpy(),
            "errors": squares.cpu().numpy(),
        },
        notes=_notes(value, provenance.dtype),
    )


def _notes(value: float, dtype: str) -> tuple[str, ...]:
    limit = ROUNDING["float32" if dtype in ("float32", "complex64") else "float64"]
    return ("Both orders agree within rounding.",) if value > limit else ()


def _psnr(peak: float, mean_square: float) -> float:
    return math.inf if mean_square == 0 else decibels(peak**2 / mean_square)


def _range(y: Tensor) -> tuple[float, float]:
    if y.is_complex():
        size = float(y.abs().max())
        return -size, size
    return float(y.min()), float(y.max())


class _Law:
    """Random transforms of one kind, and how they act; the samples that are compared."""

    def __init__(self, owner: str, grid: Grid, kind: Kind, max_shift: float | None, radius: float) -> None:
        if max_shift is not None and kind == "rotation":
            raise ValueError(f"`{owner}(max_shift=...)`: rotations have no shift.")
        if max_shift is not None and not 0 < max_shift < math.inf:
            raise ValueError(f"`{owner}(max_shift=...)`: got {max_shift}, expected a positive number of samples.")
        self.grid, self.kind, self.radius = grid, kind, radius
        self.reach = torch.tensor(
            [max(1.0, m // 8) if max_shift is None else float(max_shift) for m in grid.shape], dtype=torch.float64
        )

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """``(count, d)`` shifts in samples, or ``(count,)`` angles."""
        if self.kind == "rotation":
            return 2 * math.pi * torch.rand(count, generator=rng, dtype=torch.float64)
        uniform = torch.rand((count, self.grid.ndim), generator=rng, dtype=torch.float64)
        if self.kind == "fractional":
            return (2 * uniform - 1) * self.reach
        whole = self.reach.floor()
        return (uniform * (2 * whole + 1)).floor() - whole


def _error(probe: Probe, law: _Law, x: Tensor, y: Tensor, T: Tensor) -> Tensor:
    """Mean squared difference of the two orders for every signal, ``(batch,)``."""
    grid = law.grid
    if law.kind == "rotation":
        keep = disc(grid, law.radius, x.device)
        angles = T.tolist()
        first = spatial(probe.checked(probe.outputs(turned(x, grid, angles))), probe)[..., keep]
        difference = first - turned(y, grid, angles, keep)
    else:
        whole = law.kind == "translation"
        first = spatial(probe.checked(probe.outputs(shifted(x, grid, T, whole=whole))), probe)
        difference = first - shifted(y, grid, T, whole=whole)
    return difference.abs().square().flatten(1).mean(1)


def _check(owner: str, grid: Grid, kind: str, peak: float | None, radius: float) -> None:
    if kind not in NAMES:
        raise ValueError(f"`{owner}(kind=...)`: got {kind!r}, expected 'translation', 'fractional' or 'rotation'.")
    if kind == "rotation" and grid.ndim != 2:
        raise ValueError(f"`{owner}(kind='rotation')`: got a grid with {grid.ndim} axes, expected 2.")
    if peak is not None and not 0 < peak < math.inf:
        raise ValueError(f"`{owner}(peak=...)`: got {peak}, expected a finite positive number.")
    if not 0 < radius <= 0.5:
        raise ValueError(f"`{owner}(radius=...)`: got {radius}, expected 0 < radius <= 0.5, in shortest periods.")


def _given(owner: str, grid: Grid, kind: str, transforms: Any) -> Tensor:
    T = torch.as_tensor(transforms, dtype=torch.float64).cpu()
    shape = () if kind == "rotation" else (grid.ndim,)
    if T.ndim != 1 + len(shape) or tuple(T.shape[1:]) != shape or not len(T) or not bool(torch.isfinite(T).all()):
        expected = "(n,) finite angles" if kind == "rotation" else f"(n, {grid.ndim}) finite shifts in samples"
        raise ValueError(f"`{owner}(transforms=...)`: got shape {tuple(T.shape)}, expected {expected}.")
    if kind == "translation" and bool((T != T.round()).any()):
        raise ValueError(f"`{owner}(transforms=...)`: fractions of a sample need kind='fractional'.")
    return T
