"""Frame families: tight, non-tight, and operations on them."""

from scatter_theory.frames._base import Atom, Bank, Frame, FrameBounds
from scatter_theory.frames._derived import Complemented, Normalised, Scaled, Tightened, Union
from scatter_theory.frames._wavelets import Wavelets

__all__ = [
    "Atom",
    "Bank",
    "Complemented",
    "Frame",
    "FrameBounds",
    "Normalised",
    "Scaled",
    "Tightened",
    "Union",
    "Wavelets",
]
