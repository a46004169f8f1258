"""Sweeps over configurations, and features of data sets that do not fit into memory: resumable, on any executor."""

from scatter_theory.sweeps._executors import open_workers
from scatter_theory.sweeps._extract import Extraction, extract
from scatter_theory.sweeps._forecast import Forecast
from scatter_theory.sweeps._result import SweepResult
from scatter_theory.sweeps._reverify import Reverification, reverify
from scatter_theory.sweeps._space import read_space
from scatter_theory.sweeps._store import StoreError
from scatter_theory.sweeps._sweep import sweep

__all__ = [
    "Extraction",
    "Forecast",
    "Reverification",
    "StoreError",
    "SweepResult",
    "extract",
    "open_workers",
    "read_space",
    "reverify",
    "sweep",
]
