"""Deformations: displacement fields with certified norms, and their exact application to signals."""

from scatter_theory.deform._families import BandLimitedFields, Family, Sinusoids, Translations
from scatter_theory.deform._fields import Field, FieldNorms, field_from_config
from scatter_theory.deform._interpolated import Exact, Interpolated
from scatter_theory.deform._random import random_warp
from scatter_theory.deform._sampled import SampledField
from scatter_theory.deform._sine import max_entropy, max_entropy_temperature
from scatter_theory.deform._trigonometric import TrigonometricField, sinusoid, translation
from scatter_theory.deform._warp import Deformation, apply, displaced, modulated

__all__ = [
    "BandLimitedFields",
    "Deformation",
    "Exact",
    "Family",
    "Field",
    "FieldNorms",
    "Interpolated",
    "SampledField",
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
    "sinusoid",
    "translation",
]
