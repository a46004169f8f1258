"""From a network, a signal and a family to evaluations; what is refused is refused here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scatter_theory.certify.posteriori._charts import MOST_PARAMETERS, Chart
from scatter_theory.certify.posteriori._disc_charts import disc_maps
from scatter_theory.certify.posteriori._given import single
from scatter_theory.certify.posteriori._linear_charts import span, translations
from scatter_theory.certify.posteriori._local import Local, local_bounds
from scatter_theory.certify.posteriori._oscillation import oscillation
from scatter_theory.deform import Field, Rotations, Scalings, Shears, Translations
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor

#: Accuracy of the oscillation that is shown beside a certificate.
BESIDE = 0.05


def prepared(phi: Any, f: Any, family: Any, sup_tau: float | None) -> tuple[Local, float]:
    """The evaluations, and the share of energy that the signal loses."""
    if not isinstance(phi, FeatureExtractor):
        raise TypeError(f"`certify_deformation(phi=...)`: got {type(phi).__name__}, expected a FeatureExtractor.")
    if phi.path_rule.signal_dependent:
        raise ValueError(
            f"`certify_deformation(phi=...)`: {phi.path_rule!r} chooses paths by the signal, so that features of "
            "different signals cannot be compared. Freeze the paths with `phi.frozen(phi(f))`."
        )
    phi = phi if phi.dtype == torch.float64 else phi.rebuilt(dtype=torch.float64)
    p, dropped = single(f, phi.grid, "certify_deformation")
    if not p.real and not phi.complex_input:
        raise ValueError(
            "`certify_deformation(f=...)`: got a complex signal, but the extractor was built for real ones. Build it "
            "with `complex_input=True`."
        )
    p = type(p)(p.coefficients.to(phi.device), p.extent, p.real)
    return local_bounds(phi, chart_of(family, phi.grid, sup_tau, phi.device), p), dropped


def beside(local: Local, f: Any, t: float) -> tuple[float, float]:
    r"""Bounds of all displacements of size t: by the oscillation, and to first order :math:`t\|\nabla f\|`."""
    osc = oscillation(f, local.phi.grid, t, tolerance=BESIDE)
    p, _ = single(f, local.phi.grid, "certify_deformation")
    return local.whole * osc.upper, local.whole * t * float(p.norm(1))


def chart_of(family: Any, grid: Grid, sup_tau: float | None, device: torch.device) -> Chart:
    """The chart of a family.

    Raises
    ------
    TypeError, ValueError
        For families that have none, or too many parameters; without `sup_tau` for translations, or with it for others.
    """
    if sup_tau is not None and np.ndim(sup_tau):
        raise TypeError(
            f"`certify_deformation(sup_tau=...)`: got {sup_tau!r}, expected one number, in units of the grid."
        )
    if isinstance(family, Translations):
        return translations(grid, sup_tau, device)
    disc = isinstance(family, (Rotations, Scalings, Shears))
    fields = tuple(family) if isinstance(family, (tuple, list)) else (family,)
    if not disc and not (fields and all(isinstance(v, Field) and v.batch == () for v in fields)):
        raise TypeError(
            f"`certify_deformation(family=...)`: got {family!r}, expected translations, rotations, scalings or shears, "
            f"or 1 to {MOST_PARAMETERS} single fields whose combinations are meant. Larger families: "
            "`certify.oscillation`."
        )
    if sup_tau is not None:
        raise ValueError(
            f"`certify_deformation(sup_tau={sup_tau})`: the size belongs to translations; {family!r} has its own limit."
        )
    return disc_maps(family, grid, device) if disc else span(fields, grid, device)
