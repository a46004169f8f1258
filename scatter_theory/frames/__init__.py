"""Frame families: tight, non-tight, and operations on them."""

from scatter_theory.frames._analytic import LogGabor, MexicanHat
from scatter_theory.frames._base import Atom, Bank, Frame, FrameBounds
from scatter_theory.frames._derived import Complemented, Normalised, Scaled, Tightened, Union
from scatter_theory.frames._filters import Filters
from scatter_theory.frames._gabor import WeylHeisenberg
from scatter_theory.frames._morlet import Morlet
from scatter_theory.frames._taps import Taps
from scatter_theory.frames._tensor import TensorWavelets
from scatter_theory.frames._wavelets import Wavelets

__all__ = [
    "Atom",
    "Bank",
    "Complemented",
    "Filters",
    "Frame",
    "FrameBounds",
    "LogGabor",
    "MexicanHat",
    "Morlet",
    "Normalised",
    "Scaled",
    "Taps",
    "TensorWavelets",
    "Tightened",
    "Union",
    "Wavelets",
    "WeylHeisenberg",
]
