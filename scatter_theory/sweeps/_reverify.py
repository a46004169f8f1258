"""Stored worst cases evaluated again, from their signals alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scatter_theory import verify
from scatter_theory.certify import certificate_from_dict, refined
from scatter_theory.network import FeatureExtractor
from scatter_theory.search import Effort
from scatter_theory.sweeps._executors import open_workers
from scatter_theory.sweeps._measures import MEASURES, network_of, without_warnings
from scatter_theory.sweeps._progress import Progress
from scatter_theory.sweeps._record import from_json, unpack_witness
from scatter_theory.sweeps._space import Cell
from scatter_theory.sweeps._store import Row, read

#: Relative difference that two evaluations in double precision may have beyond the stored rounding.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Reverified:
    """One stored worst case beside what it gives now.

    Parameters
    ----------
    measure : str
    configuration : mapping
    stored, measured : float
        Worst value in the store, and the value of the stored signals now.
    bound : float
        The bound that the network gives now; for deformations, where it depends on the class of signals, the stored.
    rounding : float
        What both values may be off by rounding.
    outcome : str
        The stored verdict.
    certificates : bool or None
        Whether all stored certificates prove their values again; None without any.
    """

    measure: str
    configuration: Mapping[str, Any]
    stored: float
    measured: float
    bound: float
    rounding: float
    outcome: str
    certificates: bool | None

    @property
    def agrees(self) -> bool:
        """Whether the value is the stored one, and verdict and certificates stand."""
        same = abs(self.measured - self.stored) <= 2 * self.rounding + TOLERANCE * abs(self.stored)
        above = self.measured > self.bound + self.rounding
        stands = {"HOLDS": not above, "VIOLATED": above}.get(self.outcome, True)
        return same and stands and self.certificates is not False


@dataclass(frozen=True)
class Reverification:
    """All worst cases of a store.

    Parameters
    ----------
    rows : tuple of Reverified
    skipped : tuple of (str, str)
        Keys of finished cells that cannot be evaluated again, and why.
    """

    rows: tuple[Reverified, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def disagreeing(self) -> tuple[Reverified, ...]:
        """Cells whose value, verdict or certificates do not stand."""
        return tuple(row for row in self.rows if not row.agrees)

    def __str__(self) -> str:
        lines = [
            f"{len(self.rows)} worst cases evaluated again: {len(self.rows) - len(self.disagreeing)} agree, "
            f"{len(self.disagreeing)} do not; {len(self.skipped)} cells have none"
        ]
        lines += [
            f"{row.measure} {dict(row.configuration)}: stored {row.stored:.12g} ({row.outcome}), now "
            f"{row.measured:.12g}, bound {row.bound:.12g}, certificates {row.certificates}"
            for row in self.disagreeing
        ]
        return "\n".join(lines)


def reverify(store: str | Path, *, progress: bool = True) -> Reverification:
    """Evaluate the worst case of every finished cell again: nothing is searched, nothing is trusted but its signals.

    Networks are built anew from their configurations, on the exact engine in double precision; displaced signals are
    evaluated by direct summation, bounds are computed again, and certificates prove their values again.

    Parameters
    ----------
    store : str or Path
        A store of `sweep`; it is only read.
    progress : bool
        Counts and remaining time on standard error.

    Returns
    -------
    Reverification
        Cells of measures of one's own, without a witness, and whose bounds are all 0 are skipped, with the reason.

    Raises
    ------
    StoreError
        If there is no such store.
    """
    rows = [row for row in read(store).values() if row.state == "done"]
    shown, found, skipped = Progress("cells", len(rows), shown=progress), [], []
    with open_workers(None):
        for row in rows:
            result = from_json(row.result) if row.result else {}
            reason = _reason(row, result)
            if reason:
                skipped.append((row.key, reason))
            else:
                found.append(_again(Cell(row.measure, row.configuration, row.key), result, unpack_witness(row.witness)))
            shown.step()
    return Reverification(tuple(found), tuple(skipped))


def _reason(row: Row, result: Mapping[str, Any]) -> str:
    if row.measure not in MEASURES:
        return "a measure of its own"
    if row.witness is None:
        return "no witness: nothing was measured"
    return "" if result["bound"] is not None else "all bounds are 0: no point is the worst"


def _again(cell: Cell, result: Mapping[str, Any], witness: Mapping[str, Any]) -> Reverified:
    phi = network_of(cell.configuration)
    value = _deformation if cell.measure == "deformation" else _direct
    with without_warnings():
        measured, bound, rounding = value(cell, phi, result, witness)
        proofs = [certificate_from_dict(table).recheck(phi) for table in result["certificates"]]
    return Reverified(
        cell.measure, cell.configuration, result["measured"], measured, bound, rounding, result["outcome"],
        all(proofs) if proofs else None,
    )  # fmt: skip


def _deformation(
    cell: Cell, phi: FeatureExtractor, result: Mapping[str, Any], witness: Mapping[str, Any]
) -> tuple[float, float, float]:
    """By direct summation, on the grid on which the stored signal lives."""
    finer = witness["f"].shape[0] // phi.grid.shape[0]
    if finer > 1:
        phi = refined(phi, finer)
    return verify.replay(witness, phi).measured, result["bound"], result["rounding"]


def _direct(
    cell: Cell, phi: FeatureExtractor, result: Mapping[str, Any], witness: Mapping[str, Any]
) -> tuple[float, float, float]:
    """By the verifier with the stored signals and no search."""
    options = {k: v for k, v in cell.configuration.get("options", {}).items() if k != "effort"}
    if cell.measure == "translation":
        options["shifts"] = [witness["shift_in_samples"]]
    signals = np.stack([witness[name] for name in ("f", "h") if name in witness])
    check = MEASURES[cell.measure](phi, signals, effort=Effort(0, 0, 0, 0), generator=cell.seed, **options)
    i = next(
        i
        for i, (series, x) in enumerate(zip(check.series, check.x, strict=True))
        if series == result["series"] and np.isclose(x, result["x"], rtol=1e-12)
    )
    measured = float(check.measured[i])
    if cell.measure == "lipschitz":
        # The verifier would look at other pairs of the two signals as well, each with 0.
        measured = _quotient(phi, *signals, result["series"])
    return measured, float(check.bound[i]), float(check.rounding[i])


def _quotient(phi: FeatureExtractor, f: np.ndarray, h: np.ndarray, output: str) -> float:
    """Distance of the features of all layers, or of one, over the distance of the signals."""
    with torch.no_grad():
        features = phi(np.stack([f, h]))
    energies = [layer.grid.energy(layer.values[1] - layer.values[0]).sum() for layer in features]
    chosen = energies if output == "all layers" else [energies[int(output.removeprefix("layer "))]]
    return float((sum(chosen) / phi.grid.energy(torch.from_numpy(h - f))).sqrt())
