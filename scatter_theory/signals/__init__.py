"""Signals that can be evaluated anywhere and carry a certificate, and the classes from which they are drawn."""

from scatter_theory.signals._bandlimited import BandLimitedSignal, Interpolant
from scatter_theory.signals._base import Certificate, Signal
from scatter_theory.signals._cartoon import CartoonSignal
from scatter_theory.signals._cartoon_class import Cartoon
from scatter_theory.signals._classes import SignalClass
from scatter_theory.signals._cones import McShane
from scatter_theory.signals._curves import Ellipse, Polygon, Star
from scatter_theory.signals._leaves import DeadLeavesSignal
from scatter_theory.signals._leaves_class import DeadLeaves
from scatter_theory.signals._lipschitz import PiecewiseLinear, PiecewiseLipschitzSignal
from scatter_theory.signals._lipschitz_class import Lipschitz
from scatter_theory.signals._regions import Disc, Interval, Region
from scatter_theory.signals._spectral import BandLimited, Sobolev

__all__ = [
    "BandLimited",
    "BandLimitedSignal",
    "Cartoon",
    "CartoonSignal",
    "Certificate",
    "DeadLeaves",
    "DeadLeavesSignal",
    "Disc",
    "Ellipse",
    "Interpolant",
    "Interval",
    "Lipschitz",
    "McShane",
    "PiecewiseLinear",
    "PiecewiseLipschitzSignal",
    "Polygon",
    "Region",
    "Signal",
    "SignalClass",
    "Sobolev",
    "Star",
]
