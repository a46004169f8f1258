"""All drawing. A display holds computed numbers; its ``plot`` only draws, and returns the display with its artists.

>>> import matplotlib; matplotlib.use("Agg")
>>> import scatter_theory as st
>>> bank = st.frames.Wavelets(J=4).on(st.Grid.line(256, sample_rate=256.0, unit="s"))
>>> TilingDisplay.from_bank(bank).plot().ax_.get_xlabel()
'frequency [cycles/s]'
"""

from scatter_theory.plot._atoms import AtomsDisplay
from scatter_theory.plot._bound import BoundDisplay
from scatter_theory.plot._energy import EnergyDisplay
from scatter_theory.plot._features import FeaturesDisplay
from scatter_theory.plot._littlewood_paley import LittlewoodPaleyDisplay
from scatter_theory.plot._ratio import RatioDisplay
from scatter_theory.plot._tiling import TilingDisplay

__all__ = [
    "AtomsDisplay",
    "BoundDisplay",
    "EnergyDisplay",
    "FeaturesDisplay",
    "LittlewoodPaleyDisplay",
    "RatioDisplay",
    "TilingDisplay",
]
