"""The modules of kymatio 0.3.0 that are in use.

The one- and two-dimensional classes are taken from their own modules. The package-wide front ends also load the
three-dimensional one, which needs a function that SciPy removed in 1.17.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
    """A module of kymatio by its name there.

    Raises
    ------
    ModuleNotFoundError
        If kymatio is not installed.
    """
    try:
        return importlib.import_module(f"kymatio.{name}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"`scatter_theory.adapters.kymatio`: {error}. Install the extra: pip install 'scatter_theory[kymatio]'."
        ) from error
