"""Sharper bounds: certificates that use more of a network than its Lipschitz constants, and what they ask for."""

from scatter_theory.certify._continuous import continuous
from scatter_theory.certify._flags import (
    admissible_layer,
    admissible_output,
    non_negative,
    pointwise,
    real_maps,
    small_jacobian,
    vanishing_layer,
    whole_shift,
)
from scatter_theory.certify._kernels import positive_kernel
from scatter_theory.certify._layers import LayerCertificate, certified_layer, multiplier
from scatter_theory.certify._positivity import PositivityCertificate, positivity_certificate

__all__ = [
    "LayerCertificate",
    "PositivityCertificate",
    "admissible_layer",
    "admissible_output",
    "certified_layer",
    "continuous",
    "multiplier",
    "non_negative",
    "pointwise",
    "positive_kernel",
    "positivity_certificate",
    "real_maps",
    "small_jacobian",
    "vanishing_layer",
    "whole_shift",
]
