"""All drawing. A display holds computed numbers; its ``plot`` only draws, and returns the display with its artists.

>>> import matplotlib; matplotlib.use("Agg")
>>> import scatter_theory as st
>>> bank = st.frames.Wavelets(J=4).on(st.Grid.line(256, sample_rate=256.0, unit="s"))
>>> TilingDisplay.from_bank(bank).plot().ax_.get_xlabel()
'frequency [cycles/s]'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scatter_theory.plot._atoms import AtomsDisplay
from scatter_theory.plot._bound import BoundDisplay
from scatter_theory.plot._certificate import ModelCertificateDisplay
from scatter_theory.plot._comparison import ComparisonDisplay
from scatter_theory.plot._dead_neurons import DeadNeuronsDisplay, FiringRatesDisplay
from scatter_theory.plot._deformation import DeformationDisplay
from scatter_theory.plot._energy import EnergyDisplay
from scatter_theory.plot._estimators import EstimatorsDisplay
from scatter_theory.plot._features import FeaturesDisplay
from scatter_theory.plot._frontier import FrontierDisplay
from scatter_theory.plot._histograms import LatentHistogramsDisplay
from scatter_theory.plot._indicators import IndicatorsDisplay
from scatter_theory.plot._littlewood_paley import LittlewoodPaleyDisplay
from scatter_theory.plot._pruned_accuracy import PrunedAccuracyDisplay
from scatter_theory.plot._pruning_history import PruningHistoryDisplay
from scatter_theory.plot._ratio import RatioDisplay
from scatter_theory.plot._sensitivity import SensitivityDisplay
from scatter_theory.plot._style import house_style
from scatter_theory.plot._sweep import SweepDisplay
from scatter_theory.plot._tiling import TilingDisplay

if TYPE_CHECKING:
    from scatter_theory.results import BoundCheck

__all__ = [
    "AtomsDisplay",
    "BoundDisplay",
    "ComparisonDisplay",
    "DeadNeuronsDisplay",
    "DeformationDisplay",
    "EnergyDisplay",
    "EstimatorsDisplay",
    "FeaturesDisplay",
    "FiringRatesDisplay",
    "FrontierDisplay",
    "IndicatorsDisplay",
    "LatentHistogramsDisplay",
    "LittlewoodPaleyDisplay",
    "ModelCertificateDisplay",
    "PrunedAccuracyDisplay",
    "PruningHistoryDisplay",
    "RatioDisplay",
    "SensitivityDisplay",
    "SweepDisplay",
    "TilingDisplay",
    "display_of",
    "house_style",
]


def display_of(check: BoundCheck) -> BoundDisplay | DeformationDisplay:
    """The display that suits the claim of a check.

    Parameters
    ----------
    check : BoundCheck
        Result of a verifier.

    Returns
    -------
    BoundDisplay or DeformationDisplay
        Computed, not drawn yet.
    """
    kind = DeformationDisplay if check.claim.startswith("deformation") else BoundDisplay
    return kind.from_check(check)
