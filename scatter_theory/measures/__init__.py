"""Measures of sensitivity that the literature uses, beside which worst cases and bounds may be set.

They average over signals, over a law of deformations, or look at the first derivative only. None of them is a bound,
and each result says what it does not certify.
"""

from scatter_theory.measures._consistency import shift_consistency
from scatter_theory.measures._lie import lie_derivative
from scatter_theory.measures._measurement import Measurement
from scatter_theory.measures._psnr import equivariance_psnr
from scatter_theory.measures._relative_stability import relative_stability

__all__ = ["Measurement", "equivariance_psnr", "lie_derivative", "relative_stability", "shift_consistency"]
