"""Scattering transforms with kymatio's interface, on the engine of this package."""

from scatter_theory.scattering._checks import refuse_class
from scatter_theory.scattering._line import Scattering1D
from scatter_theory.scattering._orders import FilterOrder
from scatter_theory.scattering._plane import Scattering2D

__all__ = ["FilterOrder", "Scattering1D", "Scattering2D"]


def __getattr__(name: str) -> None:
    """Say why a class of kymatio is not here."""
    refuse_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
