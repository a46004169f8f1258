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
from scatter_theory.certify._stored import certificate_from_dict
from scatter_theory.certify.layers._all_grids import AllGrids
from scatter_theory.certify.layers._bounds import conv_bounds, conv_singular_values
from scatter_theory.certify.layers._certificate import ConvBounds
from scatter_theory.certify.layers._folding import fold_batch_norm
from scatter_theory.certify.layers._gram import conv_upper_bound
from scatter_theory.certify.model._anti_aliased import anti_aliased
from scatter_theory.certify.model._certificate import ModelCertificate, NodeBound
from scatter_theory.certify.model._covariance import CovarianceDefect, covariance_defect
from scatter_theory.certify.model._torch_model import torch_model
from scatter_theory.certify.positivity._attained import envelopes
from scatter_theory.certify.positivity._certificate import PositivityCertificate, positivity_certificate
from scatter_theory.certify.positivity._layers import LayerCertificate, certified_layer, multiplier
from scatter_theory.certify.positivity._one_shift import OneShiftProof, one_shift
from scatter_theory.certify.positivity._roll_off import Falling, RollOff
from scatter_theory.certify.posteriori._family import FamilyCertificate, certify_deformation
from scatter_theory.certify.posteriori._oscillation import Oscillation, oscillation
from scatter_theory.certify.posteriori._sensitivity import FirstOrderSensitivity, first_order_sensitivity
from scatter_theory.certify.torus._apriori import AprioriBound, apriori_bound
from scatter_theory.certify.torus._commutator_gain import commutator_gain
from scatter_theory.certify.torus._covariance_bound import CovarianceBound, covariance_bound
from scatter_theory.certify.torus._lattice import refined
from scatter_theory.certify.torus._lowpass_gain import lowpass_gain
from scatter_theory.certify.torus._modulation import modulation_gain, phase_commutator
from scatter_theory.certify.torus._network_bound import NetworkBound, network_bound

__all__ = [
    "AllGrids",
    "AprioriBound",
    "ConvBounds",
    "CovarianceBound",
    "CovarianceDefect",
    "Falling",
    "FamilyCertificate",
    "FirstOrderSensitivity",
    "LayerCertificate",
    "ModelCertificate",
    "NetworkBound",
    "NodeBound",
    "OneShiftProof",
    "Oscillation",
    "PositivityCertificate",
    "RollOff",
    "admissible_layer",
    "admissible_output",
    "anti_aliased",
    "apriori_bound",
    "certificate_from_dict",
    "certified_layer",
    "certify_deformation",
    "commutator_gain",
    "continuous",
    "conv_bounds",
    "conv_singular_values",
    "conv_upper_bound",
    "covariance_bound",
    "covariance_defect",
    "envelopes",
    "first_order_sensitivity",
    "fold_batch_norm",
    "lowpass_gain",
    "modulation_gain",
    "multiplier",
    "network_bound",
    "non_negative",
    "one_shift",
    "oscillation",
    "phase_commutator",
    "pointwise",
    "positive_kernel",
    "positivity_certificate",
    "real_maps",
    "refined",
    "small_jacobian",
    "torch_model",
    "vanishing_layer",
    "whole_shift",
]
