"""Which modules are one node of a graph: those of torch, and layers of this package with a constant of their own."""

from __future__ import annotations

from torch import fx, nn

from scatter_theory.certify.model._circular_pool import CircularPool
from scatter_theory.frames import LearnedConv


class Tracer(fx.Tracer):
    """torch's tracer, to which a `LearnedConv` is one operation; what is inside reads the values of its weights."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether the inside of a module stays out of the graph."""
        return type(m) in (LearnedConv, CircularPool) or super().is_leaf_module(m, module_qualified_name)


def symbolic_trace(model: nn.Module) -> fx.GraphModule:
    """The graph of a model, as ``torch.fx.symbolic_trace``."""
    return fx.GraphModule(model, Tracer().trace(model), type(model).__name__)
