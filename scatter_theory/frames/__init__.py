"""Frame families: tight, non-tight, and operations on them."""

from scatter_theory.frames._analytic import LogGabor, MexicanHat
from scatter_theory.frames._bank import Atom, Bank, FrameBounds
from scatter_theory.frames._base import Frame
from scatter_theory.frames._conv import from_conv
from scatter_theory.frames._derived import Complemented, Normalised, Scaled, Tightened, Union
from scatter_theory.frames._directional import Curvelets, DirectionalWavelets, Ridgelets, Shearlets
from scatter_theory.frames._filters import Filters
from scatter_theory.frames._gabor import WeylHeisenberg
from scatter_theory.frames._learned import Learned
from scatter_theory.frames._learned_operator import LearnedConv
from scatter_theory.frames._morlet import Morlet
from scatter_theory.frames._steerable import Riesz, Steerable
from scatter_theory.frames._taps import Taps
from scatter_theory.frames._tensor import TensorWavelets
from scatter_theory.frames._wavelets import Wavelets

__all__ = [
    "Atom",
    "Bank",
    "Complemented",
    "Curvelets",
    "DirectionalWavelets",
    "Filters",
    "Frame",
    "FrameBounds",
    "Learned",
    "LearnedConv",
    "LogGabor",
    "MexicanHat",
    "Morlet",
    "Normalised",
    "Ridgelets",
    "Riesz",
    "Scaled",
    "Shearlets",
    "Steerable",
    "Taps",
    "TensorWavelets",
    "Tightened",
    "Union",
    "Wavelets",
    "WeylHeisenberg",
    "from_conv",
]
