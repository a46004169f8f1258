"""Witness files: the worst case of a deformation check, stored so that anyone can evaluate it again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scatter_theory.constants import TOLERANCE
from scatter_theory.deform import SampledField, displaced
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck
from scatter_theory.trigonometric import Polynomial
from scatter_theory.verify._common import in_double
from scatter_theory.verify._deformation_search import feature_distances

_ARRAYS = ("f", "F f", "tau", "omega")


@dataclass(frozen=True)
class Replay:
    """A stored value beside the value that the stored arrays give now.

    Parameters
    ----------
    output : str
        What was measured.
    stored, measured : float
    warp_error : float
        Largest difference between the stored deformed signal and the one evaluated now, by direct summation; NaN for
        signals that are not trigonometric polynomials, whose deformed samples are taken as they are stored.
    """

    output: str
    stored: float
    measured: float
    warp_error: float

    @property
    def agrees(self) -> bool:
        """Whether the two values agree within the rounding of a measurement."""
        tolerance = TOLERANCE["float64"]
        close = math.isclose(self.stored, self.measured, rel_tol=1e3 * tolerance, abs_tol=1e-13)
        return close and (math.isnan(self.warp_error) or self.warp_error <= 1e-9)


def save_witness(check: BoundCheck, path: str | Path) -> Path:
    """Write the worst case of a deformation check to a ``.npz`` file, from which `replay` measures it anew.

    Parameters
    ----------
    check : BoundCheck
        Result of `deformation`.
    path : str or Path
        Where to write; the suffix becomes ``.npz``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the check has no witness of a deformation.
    """
    if "F f" not in check.witness:
        raise ValueError(f"`save_witness(check=...)`: the check {check.claim!r} has no deformed signal as its witness.")
    arrays = {name: np.asarray(check.witness[name]) for name in _ARRAYS if name in check.witness}
    rest = {k: v for k, v in check.witness.items() if k not in _ARRAYS}
    facts = {"claim": check.claim, "provenance": check.provenance.to_dict(), **rest}
    path = Path(path).with_suffix(".npz")
    np.savez_compressed(path, facts=np.array(json.dumps(facts, default=float)), **arrays)
    return path


def replay(witness: str | Path | Mapping[str, Any], phi: FeatureExtractor) -> Replay:
    """Evaluate a stored worst case again.

    Parameters
    ----------
    witness : path or mapping
        A file of `save_witness`, or ``check.witness``.
    phi : FeatureExtractor
        The network that was measured; its grid must be the stored one.

    Returns
    -------
    Replay

    Raises
    ------
    ValueError
        If the arrays do not fit the network.
    """
    facts, arrays = _read(witness)
    phi = in_double(phi)
    grid = phi.grid
    f, moved = (torch.from_numpy(arrays[name]).to(phi.device) for name in ("f", "F f"))
    if tuple(f.shape) != grid.shape:
        raise ValueError(f"`replay(phi=...)`: the witness has shape {tuple(f.shape)}, the network's grid {grid.shape}.")
    error = math.nan
    if facts["band-limited"]:
        now = _deformed(f, arrays, phi)
        error = float((now - moved).abs().max() / f.abs().max())
        moved = now
    with torch.no_grad():
        distances = feature_distances(*(phi(x[None].to(phi.signal_dtype)) for x in (moved, f)))
        distances["signal"] = grid.norm(moved - f)[None]
    output = facts["output"]
    return Replay(output, facts["measured"], float(distances[output][0]) / facts["unit value"], error)


def _deformed(f: torch.Tensor, arrays: Mapping[str, np.ndarray], phi: FeatureExtractor) -> torch.Tensor:
    grid = phi.grid
    tau = SampledField(torch.from_numpy(arrays["tau"]).to(phi.device), grid) if "tau" in arrays else None
    moved = displaced(Polynomial.interpolating(f, grid), grid, tau, method="direct")
    if "omega" not in arrays:
        return moved
    phase = 2 * torch.pi * torch.from_numpy(arrays["omega"]).to(phi.device)
    return moved * torch.polar(torch.ones_like(phase), phase)


def _read(witness: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if isinstance(witness, Mapping):
        return dict(witness), {name: np.asarray(witness[name]) for name in _ARRAYS if name in witness}
    with np.load(witness, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "facts"}
        return json.loads(str(stored["facts"])), arrays
