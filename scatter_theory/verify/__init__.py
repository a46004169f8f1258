"""Verifiers: measured worst cases against proven bounds."""

from scatter_theory.search import Effort
from scatter_theory.verify._covariance import covariance
from scatter_theory.verify._deformation import deformation
from scatter_theory.verify._energy import energy
from scatter_theory.verify._frame import admissibility, frame
from scatter_theory.verify._lipschitz import lipschitz
from scatter_theory.verify._pointwise import nonlinearity, pooling
from scatter_theory.verify._suite import CLAIMS, suite
from scatter_theory.verify._translation import translation

__all__ = [
    "CLAIMS",
    "Effort",
    "admissibility",
    "covariance",
    "deformation",
    "energy",
    "frame",
    "lipschitz",
    "nonlinearity",
    "pooling",
    "suite",
    "translation",
]
