"""Deformations: displacement fields with certified norms, and their exact application to signals."""

from scatter_theory.deform._affine import AffineField
from scatter_theory.deform._families import BandLimitedFields, Family, Sinusoids, Translations
from scatter_theory.deform._fields import Field, FieldNorms, field_from_config
from scatter_theory.deform._interpolated import Exact, Interpolated
from scatter_theory.deform._local_families import MaxEntropy, Rotations, SampledFields, Scalings, Shears
from scatter_theory.deform._random import random_warp
from scatter_theory.deform._sampled import SampledField
from scatter_theory.deform._sine import max_entropy, max_entropy_temperature
from scatter_theory.deform._trigonometric import TrigonometricField, sinusoid, translation
from scatter_theory.deform._warp import Deformation, apply, displaced, modulated

#: The families of affine maps of a disc, named like the fields that `translation` and `sinusoid` make.
rotations, scalings, shears = Rotations, Scalings, Shears

__all__ = [
    "AffineField",
    "BandLimitedFields",
    "Deformation",
    "Exact",
    "Family",
    "Field",
    "FieldNorms",
    "Interpolated",
    "MaxEntropy",
    "SampledField",
    "SampledFields",
    "Sinusoids",
    "Translations",
    "TrigonometricField",
    "apply",
    "displaced",
    "field_from_config",
    "max_entropy",
    "max_entropy_temperature",
    "modulated",
    "random_warp",
    "rotations",
    "scalings",
    "shears",
    "sinusoid",
    "translation",
]
