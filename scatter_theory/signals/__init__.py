"""Signals that can be evaluated anywhere and carry a certificate, and the classes from which they are drawn."""

from scatter_theory.signals._bandlimited import BandLimitedSignal, Interpolant
from scatter_theory.signals._base import Certificate, Signal
from scatter_theory.signals._classes import SignalClass
from scatter_theory.signals._lipschitz import McShane, PiecewiseLinear, PiecewiseLipschitzSignal
from scatter_theory.signals._lipschitz_class import Lipschitz
from scatter_theory.signals._spectral import BandLimited, Sobolev

__all__ = [
    "BandLimited",
    "BandLimitedSignal",
    "Certificate",
    "Interpolant",
    "Lipschitz",
    "McShane",
    "PiecewiseLinear",
    "PiecewiseLipschitzSignal",
    "Signal",
    "SignalClass",
    "Sobolev",
]
