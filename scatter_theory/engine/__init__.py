"""The fast engine: a plan of the whole extraction, then kernels and chunks that carry it out."""

from scatter_theory.engine._atoms import held, hermitian, storable, structure, usable
from scatter_theory.engine._current import NotTrained, Snapshot, Weights
from scatter_theory.engine._error import EngineError, measured_error, probes
from scatter_theory.engine._execute import Piece, Run, collect
from scatter_theory.engine._full_grid import BLOCK_BYTES, FullGrid
from scatter_theory.engine._memory import check_full, check_memory, fitted, signals_with_gradient
from scatter_theory.engine._network import NetworkPlanner, emitted_shape
from scatter_theory.engine._output import Output, output_map
from scatter_theory.engine._packing import Packed, comfortable, pack, restricted, signed, widths
from scatter_theory.engine._plan import Edge, Group, LayerLayout, Plan
from scatter_theory.engine._prediction import Prediction, predict, predict_full

__all__ = [
    "BLOCK_BYTES",
    "Edge",
    "EngineError",
    "FullGrid",
    "Group",
    "LayerLayout",
    "NetworkPlanner",
    "NotTrained",
    "Output",
    "Packed",
    "Piece",
    "Plan",
    "Prediction",
    "Run",
    "Snapshot",
    "Weights",
    "check_full",
    "check_memory",
    "collect",
    "comfortable",
    "emitted_shape",
    "fitted",
    "held",
    "hermitian",
    "measured_error",
    "output_map",
    "pack",
    "predict",
    "predict_full",
    "probes",
    "restricted",
    "signals_with_gradient",
    "signed",
    "storable",
    "structure",
    "usable",
    "widths",
]
