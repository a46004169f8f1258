"""Deep frame-based feature extractors, with their bounds measured against the proven ones."""

from scatter_theory import frames
from scatter_theory.constants import Constant
from scatter_theory.grid import Grid

__version__ = "0.1.0"

__all__ = ["Constant", "Grid", "frames"]
