"""Verifiers: measured worst cases against proven bounds."""

from scatter_theory.search import Effort
from scatter_theory.verify._covariance import covariance
from scatter_theory.verify._deformation import deformation
from scatter_theory.verify._energy import decay, energy
from scatter_theory.verify._frame import admissibility, frame
from scatter_theory.verify._lipschitz import lipschitz
from scatter_theory.verify._pointwise import nonlinearity, pooling
from scatter_theory.verify._rate import RateCheck, deformation_rate
from scatter_theory.verify._replay import Replay, replay, save_witness
from scatter_theory.verify._suite import CLAIMS, suite
from scatter_theory.verify._translation import translation

__all__ = [
    "CLAIMS",
    "Effort",
    "RateCheck",
    "Replay",
    "admissibility",
    "covariance",
    "decay",
    "deformation",
    "deformation_rate",
    "energy",
    "frame",
    "lipschitz",
    "nonlinearity",
    "pooling",
    "replay",
    "save_witness",
    "suite",
    "translation",
]
