"""The units of work of the report: each is small, independent of the others, and repeatable from its key."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scatter_theory import verify
from scatter_theory.certify import certify_deformation, continuous
from scatter_theory.deform import Translations, rotations, sinusoid
from scatter_theory.network import FeatureExtractor
from scatter_theory.nonlinearities import Modulus, Nonlinearity
from scatter_theory.poolings import NoPooling, Pooling, Sampling, Subsample
from scatter_theory.report import (
    _families,
    _figures,
    _learned,
    _learned_checks,
    _pruning,
    _pruning_checks,
    _trained_checks,
)
from scatter_theory.report._families import NONLINEARITIES, POOLINGS, Family
from scatter_theory.report._store import plain
from scatter_theory.results import BoundCheck
from scatter_theory.search import Effort
from scatter_theory.signals import BandLimited, Interpolant

#: Layers of every network.
DEPTH = 2
#: Effort of the checks whose worst case needs climbing, of the others, and of identities.
SEARCH, SCAN, IDENTITY = Effort(2, 6, 3, 1), Effort(1, 6, 0, 0), Effort(4, 0, 0, 0)
#: Effort of the deformation checks, and their displacements in samples.
WARPS, SIZES = Effort(2, 32, 3, 1), (0.05, 0.5, 2.0)
#: Waves whose deformation bound is computed from the network, by mode, and their amplitudes in samples.
WAVES, AMPLITUDES = (1, 4), (0.25, 1.0)
#: Families of the photograph and the ECG whose worst member is enclosed: largest translation in samples, and angle.
TRANSLATION, ANGLE = 2.0, math.radians(4)

#: Shifts in samples by number of axes, the long list for figures; the first, times S_1...S_N, in mode "decimate".
SHIFTS: dict[int, list[Any]] = {1: [1, 4], 2: [(1, 0), (1, 1)]}
MANY_SHIFTS: dict[int, list[Any]] = {1: [1, 2, 4, 8], 2: [(1, 0), (1, 1), (2, 0), (2, 2)]}


@dataclass(frozen=True, eq=False)
class Task:
    """One unit of work.

    Parameters
    ----------
    key : str
        Unique name; checks are called ``key/claim``.
    kind : {"network", "family", "module", "signal", "pruning", "learned"}
    family : Family, optional
    nonlinearity, pooling, sampling
        The layer; None where the task is about something else.
    """

    key: str
    kind: str
    family: Family | None = None
    nonlinearity: Nonlinearity | None = None
    pooling: Pooling | None = None
    sampling: Sampling = "dilate"


def name_of(module: Nonlinearity | Pooling) -> str:
    """Class name, for tables."""
    return type(module).__name__


def plan(*, quick: bool = False) -> tuple[Task, ...]:
    """All tasks; `quick` keeps one family on lines, one on images, two non-linearities and two poolings."""
    chosen = _families.families()
    rhos, poolings = NONLINEARITIES, POOLINGS
    if quick:
        chosen = tuple(next(f for f in chosen if f.d == d) for d in (1, 2))
        rhos, poolings = rhos[:2], (poolings[1], poolings[3])
    tasks = [Task(f"{name_of(rho)}", "module", nonlinearity=rho) for rho in rhos]
    tasks += [Task(f"{name_of(p)} ({s})", "module", pooling=p, sampling=s) for p, s in poolings]
    for d, name in ((1, "ECG"), (2, "photograph")):
        tasks.append(Task(name, "signal", next(f for f in chosen if f.d == d)))
    tasks.append(Task(_pruning.KEY, "pruning"))
    tasks.append(Task(_learned.KEY, "learned"))
    for family in chosen:
        tasks.append(Task(family.name, "family", family))
        tasks += [
            Task(f"{family.name}/{name_of(rho)}/{name_of(p)}", "network", family, rho, p, s)
            for rho in rhos
            for p, s in poolings
        ]
    return tuple(tasks)


def network(task: Task) -> FeatureExtractor:
    """The extractor of a task: the same layer twice."""
    layer = task.family.layer(task.nonlinearity, task.pooling, task.sampling)
    grid = _families.recording(task.family.d).grid
    return FeatureExtractor([layer] * DEPTH, grid, sampling=task.sampling, paths=task.family.paths)


def perform(task: Task, seed: int, out: Path) -> dict[str, Any]:
    """Run a task; everything that it returns can be written as JSON.

    Parameters
    ----------
    seed : int
        Seed of every search.
    out : Path
        Folder of the report; figures go to ``out/figures``.
    """
    started = time.perf_counter()
    result: dict[str, Any] = {"key": task.key, "kind": task.kind}
    checks = {claim: run() for claim, run in _JOBS[task.kind](task, seed)}
    if task.kind == "signal":
        result["facts"] = _enclosed(task)
    if task.kind == "family":
        result["facts"] = _figures.family(task.family, network(_unpooled(task)), out)
        _figures.check(checks["deformation"], task.family.name, "deformation", out)
    if _drawn(task):
        _figures.check(checks["translation"], task.family.name, "translation", out)
    result["checks"] = {f"{task.key}/{claim}": plain(check) for claim, check in checks.items()}
    result["seconds"] = time.perf_counter() - started
    return result


def _unpooled(task: Task) -> Task:
    """The network whose energies are listed for a family: modulus, no pooling."""
    return Task(task.key, "network", task.family, Modulus(), NoPooling())


def _drawn(task: Task) -> bool:
    """Whether this is the network whose translation check is drawn for its family: modulus, sub-sampling."""
    return isinstance(task.nonlinearity, Modulus) and isinstance(task.pooling, Subsample) and task.kind == "network"


Job = tuple[str, Callable[[], BoundCheck]]


def _module_checks(task: Task, seed: int) -> Iterator[Job]:
    if task.nonlinearity is not None:
        yield "nonlinearity", lambda: verify.nonlinearity(task.nonlinearity, generator=seed)
        return
    effort = Effort(8, 16, 20, 2)
    for d in (1, 2):
        grid = _families.recording(d).grid
        yield (
            f"pooling, d = {d}",
            lambda grid=grid: verify.pooling(task.pooling, grid, sampling=task.sampling, effort=effort, generator=seed),
        )


def _family_checks(task: Task, seed: int) -> Iterator[Job]:
    grid = _families.recording(task.family.d).grid
    frame = task.family.frame.tightened() if task.family.treatment == "tightened" else task.family.frame
    yield "frame", lambda: verify.frame(frame, grid, effort=Effort(8, 32, 20, 1), generator=seed)
    phi = network(_unpooled(task))
    for claim, source in _families.deformed(task.family.d).items():
        yield (
            claim,
            lambda source=source: verify.deformation(
                phi, source, sup_tau=[s * min(grid.spacing) for s in SIZES], effort=WARPS, generator=seed
            ),
        )
    f, shifts = _families.signals(task.family.d), SHIFTS[task.family.d][:1]
    yield "sharp", lambda: verify.translation(phi, f, shifts=shifts, bound="sharp", effort=SEARCH, generator=seed)
    # Where filters depend on the grid, there is no network of the torus to speak of.
    for mode in WAVES if task.family.d == 1 and continuous(phi).satisfied else ():
        yield f"wave {mode}", lambda mode=mode: _wave(phi, mode, seed)


def _wave(phi: FeatureExtractor, mode: int, seed: int) -> BoundCheck:
    """Signals with half of the Nyquist frequency under one wave, against the bound of the network."""
    grid = phi.grid
    return verify.deformation(
        phi,
        BandLimited(0.5 * min(grid.nyquist)),
        bound="network",
        family=sinusoid((mode,), (1.0,), math.pi / 2, grid.extent),
        sup_tau=[a * grid.spacing[0] for a in AMPLITUDES],
        effort=WARPS,
        generator=seed,
    )


def _signal_checks(task: Task, seed: int) -> Iterator[Job]:
    phi = network(_unpooled(task))
    f, sizes = Interpolant(_families.signals(task.family.d), phi.grid), [s * min(phi.grid.spacing) for s in SIZES]
    yield (
        "oscillation",
        lambda: verify.deformation(phi, f, bound="oscillation", sup_tau=sizes, effort=WARPS, generator=seed),
    )


def _enclosed(task: Task) -> dict[str, Any]:
    """The worst translation of the first window of the ECG, or rotation of that of the photograph, from both sides."""
    phi, f = network(_unpooled(task)), _families.signals(task.family.d)[0]
    if task.family.d == 1:
        what, certificate = (
            f"translations up to {TRANSLATION:g} samples",
            certify_deformation(phi, f, Translations(), sup_tau=TRANSLATION * phi.grid.spacing[0]),
        )
    else:
        what = f"rotations up to {math.degrees(ANGLE):.3g} degrees"
        certificate = certify_deformation(phi, f, rotations(max_angle=ANGLE))
    if not certificate.recheck(phi, f):
        raise RuntimeError(f"the certificate of the {task.key}, {what}, does not prove its value again")
    return {"network": task.family.name, "family": what, "certificate": certificate.to_dict()}


def _network_checks(task: Task, seed: int) -> Iterator[Job]:
    """All claims about one network; the energy identity only where its hypotheses can hold."""
    phi, f, d = network(task), _families.signals(task.family.d), task.family.d
    step = int(phi.pooling_product(phi.depth)) if task.sampling == "decimate" else 1
    shifts = SHIFTS[d] if step == 1 else SHIFTS[d][:1]
    few, many = _times(step, shifts), _times(step, MANY_SHIFTS[d] if _drawn(task) else shifts)
    yield "admissibility", lambda: verify.admissibility(phi)
    yield "lipschitz", lambda: verify.lipschitz(phi, f, effort=SEARCH, generator=seed)
    yield "energy", lambda: verify.energy(phi, f, effort=SCAN, generator=seed)
    yield "remainder", lambda: verify.energy(phi, f, form="remainder", effort=SCAN, generator=seed)
    lossless = task.nonlinearity.isometric and task.pooling.isometric and task.sampling == "dilate"
    if lossless and task.family.treatment != "normalised":
        yield "balance", lambda: verify.energy(phi, f, form="balance", effort=IDENTITY, generator=seed)
        yield "getter", lambda: verify.energy(phi, f, form="getter", effort=SCAN, generator=seed)
    yield "covariance", lambda: verify.covariance(phi, f, shifts=few[-1:], effort=IDENTITY, generator=seed)
    yield "translation", lambda: verify.translation(phi, f, shifts=many, effort=SEARCH, generator=seed)
    for form in ("multiplier", "posteriori", "full_covariance"):
        yield (
            form,
            lambda form=form: verify.translation(phi, f, shifts=few[:1], bound=form, effort=SCAN, generator=seed),
        )


def _times(step: int, shifts: list[Any]) -> list[Any]:
    return [tuple(step * s for s in shift) if isinstance(shift, tuple) else step * shift for shift in shifts]


_JOBS: dict[str, Callable[[Task, int], Iterator[Job]]] = {
    "network": _network_checks,
    "family": _family_checks,
    "module": _module_checks,
    "signal": _signal_checks,
    "pruning": lambda _, seed: _pruning_checks.jobs(seed),
    "learned": lambda _, seed: itertools.chain(_learned_checks.jobs(seed), _trained_checks.jobs(seed)),
}
