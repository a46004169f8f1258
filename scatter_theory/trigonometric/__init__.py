"""Trigonometric polynomials on a torus: exact evaluation anywhere, exact norms, enclosures of suprema."""

from scatter_theory.trigonometric._nonuniform import (
    SMALL,
    TOLERANCE,
    Method,
    NotTwiceDifferentiable,
    evaluate,
    spot_error,
)
from scatter_theory.trigonometric._polynomial import Polynomial
from scatter_theory.trigonometric._supremum import Enclosure, supremum

__all__ = [
    "SMALL",
    "TOLERANCE",
    "Enclosure",
    "Method",
    "NotTwiceDifferentiable",
    "Polynomial",
    "evaluate",
    "spot_error",
    "supremum",
]
