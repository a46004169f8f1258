"""All verifiers on one extractor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, Verdict
from scatter_theory.search import Effort
from scatter_theory.seeds import Seed, seeded
from scatter_theory.signals import BandLimited, SignalClass
from scatter_theory.verify._common import Progress, checked_effort
from scatter_theory.verify._covariance import covariance
from scatter_theory.verify._deformation import deformation
from scatter_theory.verify._energy import decay, energy
from scatter_theory.verify._frame import admissibility, declared_bounds, frame
from scatter_theory.verify._lipschitz import lipschitz
from scatter_theory.verify._pointwise import nonlinearity, pooling
from scatter_theory.verify._translation import translation

#: Name of the check -> what it verifies; `suite` runs them in this order.
CLAIMS: dict[str, str] = {
    "frame": "frame bounds of every layer's bank",
    "nonlinearity": "Lipschitz constant of every non-linearity",
    "pooling": "Lipschitz constant and covariance of every pooling",
    "admissibility": "admissibility of every layer",
    "lipschitz": "Lipschitz continuity, total and per layer",
    "energy": "energy of the features against c_0",
    "balance": "energy identity",
    "remainder": "energy remainder per layer",
    "getter": "uniform energy decay on the grid",
    "rate": "energy decay rate of one-sided filters",
    "decay": "uniform energy decay of maps that are not negative",
    "covariance": "translation covariance",
    "translation": "vertical translation invariance",
    "multiplier": "translation, per-shift multiplier",
    "posteriori": "translation, a posteriori",
    "sharp": "translation of maps that are not negative, certified",
    "full_covariance": "full translation covariance",
    "deformation": "deformation sensitivity",
}


def suite(
    phi: FeatureExtractor,
    signals: Any = None,
    *,
    claims: Sequence[str] | None = None,
    effort: Effort = Effort(random=8, structured=32, steps=12),  # noqa: B008 - frozen
    generator: Seed = None,
    progress: Progress = None,
    title: str = "scatter_theory",
) -> Verdict:
    """Run every verifier, or the given ones, on one extractor.

    Parameters
    ----------
    phi : FeatureExtractor
    signals : (*batch, *shape) tensor or array, or SignalClass, optional
        The user's signals. Of a class, the deformation check searches all members and the other checks see four draws.
        Without signals the deformation check takes the class of half the Nyquist frequency.
    claims : sequence of str, optional
        Keys of `CLAIMS`; default: all.
    effort, generator, progress
        As in `lipschitz`; one seed serves all checks.
    title : str
        Title of the report.

    Returns
    -------
    Verdict
        Checks by name; layers and modules that occur several times are checked once.

    Raises
    ------
    TypeError
        If `effort` is no `Effort`, or `claims` is a string.
    ValueError
        For an unknown claim.
    """
    _, seed = seeded(generator)
    checked_effort(effort)
    if isinstance(claims, str):
        raise TypeError(f"`suite(claims=...)`: got {claims!r}, expected a list of names, e.g. ['translation'].")
    unknown = [c for c in (claims or ()) if c not in CLAIMS]
    if unknown:
        raise ValueError(f"`suite(claims=...)`: unknown {unknown}; known: {list(CLAIMS)}.")
    wanted = [c for c in CLAIMS if claims is None or c in claims]
    source, signals = _sources(phi, signals, seed)
    jobs = [
        job
        for claim in wanted
        for job in _jobs(phi, source if claim == "deformation" else signals, claim, effort, seed)
    ]
    checks: dict[str, BoundCheck] = {}
    for k, (name, run) in enumerate(jobs):
        checks[name] = run()
        if progress is not None:
            progress(k + 1, len(jobs), name)
    return Verdict(checks, title)


def _sources(phi: FeatureExtractor, signals: Any, seed: int) -> tuple[Any, Any]:
    """What the deformation check looks at (None where the grid carries no band), and what the others do."""
    if isinstance(signals, SignalClass):
        return signals, signals.on(phi.grid, 4, generator=seed)
    if signals is not None:
        return signals, signals
    radius = 0.5 * min(phi.grid.nyquist)
    fits = radius * max(phi.grid.extent) >= 1
    return BandLimited(radius, complex_valued=phi.complex_input) if fits else None, None


def _jobs(
    phi: FeatureExtractor, signals: Any, claim: str, effort: Effort, seed: int
) -> list[tuple[str, Callable[[], BoundCheck]]]:
    """Named checks of one claim."""
    if claim == "frame":
        return [
            (f"frame, layer {n + 1}", partial(frame, bank, real=real, declared=bounds, effort=effort, generator=seed))
            for n, (bank, real) in enumerate(zip(phi.banks[:-1], phi.real, strict=False))
            for bounds in [declared_bounds(phi.layers[n].frame, bank, real)]
        ]
    if claim == "nonlinearity":
        distinct = list(dict.fromkeys(layer.nonlinearity for layer in phi.layers))
        return [(f"nonlinearity {rho!r}", partial(nonlinearity, rho, generator=seed)) for rho in distinct]
    if claim == "pooling":
        distinct = dict.fromkeys((layer.pooling, grid) for layer, grid in zip(phi.layers, phi.grids, strict=False))
        return [
            (
                f"pooling {pool!r} on {grid.shape}"
                + (f" at {grid.spacing[0]:.4g}" if phi.sampling == "dilate" else ""),
                partial(pooling, pool, grid, sampling=phi.sampling, effort=effort, generator=seed),
            )
            for pool, grid in distinct
        ]
    if claim == "admissibility":
        return [("admissibility", partial(admissibility, phi))]
    common = {"effort": effort, "generator": seed}
    if claim == "deformation":
        return [] if signals is None else [(claim, partial(deformation, phi, signals, **common))]
    direct = {"lipschitz": lipschitz, "covariance": covariance, "decay": decay}
    if claim in direct:
        return [(claim, partial(direct[claim], phi, signals, **common))]
    if claim in ("energy", "balance", "remainder", "getter", "rate"):
        form = "bound" if claim == "energy" else claim
        return [(claim, partial(energy, phi, signals, form=form, **common))]
    form = "theorem" if claim == "translation" else claim
    return [(claim, partial(translation, phi, signals, bound=form, **common))]
