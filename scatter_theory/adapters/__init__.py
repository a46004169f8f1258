"""Bridges to other packages, each imported only when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scatter_theory.adapters import kymatio
    from scatter_theory.adapters._scikit_learn import ScatteringTransformer

__all__ = ["ScatteringTransformer", "kymatio"]


def __getattr__(name: str) -> Any:
    """Load a bridge on first use."""
    if name == "kymatio":
        return importlib.import_module("scatter_theory.adapters.kymatio")
    if name == "ScatteringTransformer":
        try:
            return importlib.import_module("scatter_theory.adapters._scikit_learn").ScatteringTransformer
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "sklearn":
                raise
            raise ModuleNotFoundError(
                "`adapters.ScatteringTransformer`: scikit-learn is not installed, expected the package `scikit-learn`; "
                "install the extra: pip install 'scatter_theory[sklearn]'.",
                name="sklearn",
            ) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
