"""Binary neural networks: gradient estimators, binary layers in any torch model, schedules, and indicators."""

from scatter_theory.bnn import models, schedules
from scatter_theory.bnn._binarize import Observer, binarize
from scatter_theory.bnn._binarizer import Binarizer, binarizers, latent_weights
from scatter_theory.bnn._convert import binarize_model, restore_model
from scatter_theory.bnn._density import CustomDensity, Density, Normal, Uniform
from scatter_theory.bnn._estimator import ESTIMATORS, Estimator, sign
from scatter_theory.bnn._frontier import Frontier, Measured, frontier, typical_estimators
from scatter_theory.bnn._histograms import LatentHistograms, latent_histograms
from scatter_theory.bnn._indicators import Indicators
from scatter_theory.bnn._layers import BinaryConv1d, BinaryConv2d, BinaryLinear
from scatter_theory.bnn._pareto import Pareto
from scatter_theory.bnn._pareto_curve import ParetoCurve, pareto_curve
from scatter_theory.bnn._periodic import FDA, BiPer
from scatter_theory.bnn._polynomial import RBNN, ApproxSign
from scatter_theory.bnn._population import Population, population
from scatter_theory.bnn._reste import ReSTE
from scatter_theory.bnn._smooth import DSQ, EDE, SwishSign
from scatter_theory.bnn._straight_through import ClippedSTE, IdentitySTE, ReCU

__all__ = [
    "DSQ",
    "EDE",
    "ESTIMATORS",
    "FDA",
    "RBNN",
    "ApproxSign",
    "BiPer",
    "Binarizer",
    "BinaryConv1d",
    "BinaryConv2d",
    "BinaryLinear",
    "ClippedSTE",
    "CustomDensity",
    "Density",
    "Estimator",
    "Frontier",
    "IdentitySTE",
    "Indicators",
    "LatentHistograms",
    "Measured",
    "Normal",
    "Observer",
    "Pareto",
    "ParetoCurve",
    "Population",
    "ReCU",
    "ReSTE",
    "SwishSign",
    "Uniform",
    "binarize",
    "binarize_model",
    "binarizers",
    "frontier",
    "latent_histograms",
    "latent_weights",
    "models",
    "pareto_curve",
    "population",
    "restore_model",
    "schedules",
    "sign",
    "typical_estimators",
]
