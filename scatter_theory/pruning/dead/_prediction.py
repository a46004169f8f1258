"""Predicted dead rates beside the counted ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class SitePrediction:
    """Dead rates of the channels behind one layer, ``(n_channels,)`` float64 arrays.

    Parameters
    ----------
    site, layer : str
        Name of the activation, and path of the layer that makes its input.
    norm : str or None
        Path of the batch normalisation between them, if there is one.
    gaussian_before, measured_before : (n_channels,) arrays
        Before the masks: by a Gaussian of the measured mean and variance, and counted.
    predicted, measured : (n_channels,) arrays
        With the masks: by the Gaussian, from inputs before the pruning, and counted in the pruned model.
    samples : int
    tolerance : float
    """

    site: str
    layer: str
    norm: str | None
    gaussian_before: np.ndarray
    measured_before: np.ndarray
    predicted: np.ndarray
    measured: np.ndarray
    samples: int
    tolerance: float

    @property
    def gap_before(self) -> float:
        """Mean over channels of how far the Gaussian is off before anything is pruned."""
        return float(np.abs(self.gaussian_before - self.measured_before).mean())

    @property
    def gap(self) -> float:
        """Mean over channels of how far the prediction is off."""
        return float(np.abs(self.predicted - self.measured).mean())

    @property
    def gaussian(self) -> bool:
        """Whether the Gaussian fits before the pruning.

        It does if `gap_before` is at most the tolerance plus the mean standard error of the counted rates of
        independent samples.
        """
        p = self.measured_before
        return self.gap_before <= self.tolerance + float(np.sqrt(p * (1 - p) / self.samples).mean())


@dataclass(frozen=True, eq=False)
class DeadRatePrediction:
    """Predictions for the sites where there is one, and why there is none elsewhere.

    Parameters
    ----------
    sites : tuple of SitePrediction
    not_predicted : mapping of str to str
        Names of the other sites, with the reason.
    facts : mapping of str to str, int or float
        Settings: samples, tolerance, the statistics that were used.
    """

    sites: tuple[SitePrediction, ...]
    not_predicted: Mapping[str, str]
    facts: Mapping[str, str | int | float] = field(default_factory=dict)

    def __getitem__(self, site: str) -> SitePrediction:
        for found in self.sites:
            if found.site == site:
                return found
        why = self.not_predicted.get(site)
        known = ", ".join(repr(found.site) for found in self.sites)
        raise KeyError(f"`DeadRatePrediction`: no prediction for {site!r}{f' ({why})' if why else ''}; for {known}.")

    @property
    def not_gaussian(self) -> tuple[str, ...]:
        """Sites where the Gaussian fails before the pruning, so that the prediction is not to be believed."""
        return tuple(found.site for found in self.sites if not found.gaussian)

    def table(self) -> list[dict[str, Any]]:
        """One row per site: mean rates over its channels, and whether the Gaussian fits."""
        names = ("measured_before", "gaussian_before", "measured", "predicted")
        return [
            {"site": s.site, **{n: float(getattr(s, n).mean()) for n in names}, "gap": s.gap, "gaussian": s.gaussian}
            for s in self.sites
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of lists and numbers."""
        arrays = ("gaussian_before", "measured_before", "predicted", "measured")
        sites = [
            {"site": s.site, "layer": s.layer, "norm": s.norm, "gaussian": s.gaussian}
            | {name: getattr(s, name).tolist() for name in arrays}
            for s in self.sites
        ]
        return {"sites": sites, "not_predicted": dict(self.not_predicted), "facts": dict(self.facts)}

    def __str__(self) -> str:
        width = max((len(s.site) for s in self.sites), default=4)
        head = f"{'site':{width}}{'before':>10}{'Gaussian':>10}{'pruned':>10}{'predicted':>11}{'gap':>10}"
        lines = [f"dead rates predicted at {len(self.sites)} sites, {self.facts['samples']} samples", head]
        for s, row in zip(self.sites, self.table(), strict=True):
            cells = (row["measured_before"], row["gaussian_before"], row["measured"])
            line = f"{s.site:{width}}" + "".join(f"{x:10.5f}" for x in cells)
            flag = "" if s.gaussian else "  not Gaussian"
            lines.append(f"{line}{row['predicted']:11.5f}{row['gap']:10.5f}{flag}")
        return "\n".join(lines + [f"{site}: not predicted, {why}" for site, why in self.not_predicted.items()])

    __repr__ = __str__
