"""Which layers feed which, read off a traced graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn

from scatter_theory.pruning.masks._prunable import LAYERS

#: Modules of torch that keep channels apart: each output channel comes from one input channel.
_MODULES = frozenset(
    f"torch.nn.modules.{name}"
    for name in ("activation", "batchnorm", "dropout", "flatten", "instancenorm", "normalization", "pooling")
)
_MIXING = (nn.MultiheadAttention, nn.GLU, nn.Unflatten)

#: Functions and methods that do so with their first argument.
_FUNCTIONS = frozenset(
    "relu relu_ relu6 leaky_relu elu gelu silu softplus tanh sigmoid hardtanh hardswish clamp clamp_min dropout "
    "dropout2d batch_norm instance_norm layer_norm group_norm max_pool1d max_pool2d max_pool3d avg_pool1d "
    "avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d boolean_dispatch contiguous".split()
)

#: The same, but afterwards the axes are others: a channel may be a run of features.
_RESHAPING = frozenset({"flatten", "view", "reshape", "mean", "Flatten"})

#: Sums, where both terms come from other layers.
_SUMS = frozenset({"add", "add_", "iadd", "sub", "isub"})


@dataclass(frozen=True)
class Source:
    """A layer whose output channels come in as channels of another layer.

    Parameters
    ----------
    name : str
        Of its weight.
    before, after : int
        Channels of zeros put around its own.
    reshaped : bool
        Whether the axes are no longer those of its output.
    """

    name: str
    before: int = 0
    after: int = 0
    reshaped: bool = False


class _Tracer(fx.Tracer):
    """Keeps layers whole whose weight can be pruned, whatever class they are of."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LAYERS) or super().is_leaf_module(m, module_qualified_name)


def traced_neighbours(model: nn.Module) -> dict[str, tuple[Source, ...]]:
    """The layers that feed each weight's layer, through activations, normalisation, pooling, zero padding and sums.

    Parameters
    ----------
    model : nn.Module
        A model that ``torch.fx`` can trace.

    Returns
    -------
    dict of str to tuple of Source
        By name of the weight; empty where the layer gets the input of the model.

    Raises
    ------
    ValueError
        If the model cannot be traced, or there is something else between two layers, such as a concatenation.
    """
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # whatever the model's code does with a proxy
        raise ValueError(
            f"`Lookahead()`: torch.fx cannot trace the {type(model).__name__} ({error}). Pass "
            "`Lookahead(neighbours=...)`, which names the weights that feed each weight."
        ) from error
    found: dict[str, dict[Source, None]] = {}
    seen: dict[fx.Node, tuple[Source, ...]] = {}
    for node in graph.nodes:
        if (name := _layer(model, node)) is not None:
            sources = _sources(model, node.all_input_nodes[0], seen)
            found.setdefault(name, {}).update(dict.fromkeys(sources))
    return {name: tuple(sources) for name, sources in found.items()}


def _layer(model: nn.Module, node: fx.Node) -> str | None:
    """Name of the weight, if the node calls a layer that has one."""
    if node.op != "call_module" or not isinstance(model.get_submodule(node.target), LAYERS):
        return None
    return f"{node.target}.weight"


def _sources(model: nn.Module, node: fx.Node, seen: dict[fx.Node, tuple[Source, ...]]) -> tuple[Source, ...]:
    """Where the channels of a value come from, each source once, in order."""
    if node not in seen:
        name = _layer(model, node)
        seen[node] = (Source(name),) if name is not None else _passed_on(model, node, seen)
    return seen[node]


def _passed_on(model: nn.Module, node: fx.Node, seen: dict[fx.Node, tuple[Source, ...]]) -> tuple[Source, ...]:
    """Sources of a value that is no layer's output."""
    if node.op in ("placeholder", "get_attr"):
        return ()
    if node.op == "call_module":
        module = model.get_submodule(node.target)
        what = type(module).__name__
        passes = (type(module).__module__ in _MODULES and not isinstance(module, _MIXING)) or type(
            module
        ) is nn.Identity
    else:
        what = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        passes = what in _FUNCTIONS or (what == "getitem" and _keeps_channels(node.args[1]))
    if what in _SUMS:
        terms = [_sources(model, term, seen) for term in node.all_input_nodes]
        return tuple(dict.fromkeys(source for sources in terms for source in sources))
    if what in _RESHAPING:
        return tuple(replace(source, reshaped=True) for source in _sources(model, node.all_input_nodes[0], seen))
    if passes:
        return _sources(model, node.all_input_nodes[0], seen)
    if what == "pad":
        padded = [_padded(model, node, source) for source in _sources(model, node.all_input_nodes[0], seen)]
        if None not in padded:
            return tuple(padded)
    raise ValueError(
        f"`Lookahead()`: {what!r} stands between two layers ({node.name}), and how it maps channels is not known here. "
        "Pass `Lookahead(neighbours=...)`, which names the weights that feed each weight."
    )


def _keeps_channels(index: Any) -> bool:
    """Whether an index, as of strides in space, takes all of the first two axes."""
    return isinstance(index, tuple) and index[:2] == (slice(None), slice(None))


def _padded(model: nn.Module, node: fx.Node, source: Source) -> Source | None:
    """The source within channels of zeros; None where they cannot be told."""
    widths = node.args[1] if len(node.args) > 1 else node.kwargs.get("pad")
    if source.reshaped or not all(isinstance(width, int) and width >= 0 for width in widths):
        return None
    weight = model.get_submodule(source.name.removesuffix(".weight")).weight
    start = 2 * (weight.dim() - 2)  # pairs of widths begin at the last axis; those of space come first
    before, after = (*widths[start : start + 2], 0, 0)[:2]
    if any(widths[start + 2 :]):
        return None
    return replace(source, before=source.before + before, after=source.after + after)
