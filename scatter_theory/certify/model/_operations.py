"""What every node of a graph does, with its constants, and the refusal of all else."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from scatter_theory.certify.model._bound import UP, Bound
from scatter_theory.certify.model._circular_pool import CircularPool
from scatter_theory.certify.model._layers import CONVOLUTIONS, NORMALISATIONS, layer_bound
from scatter_theory.certify.model._pooling import adaptive_average_pool, adaptive_max_pool, average_pool, max_pool
from scatter_theory.certify.model._refusals import refuse
from scatter_theory.certify.model._table import (
    ADAPTIVE_AVERAGE,
    ADAPTIVE_MAX,
    ADD,
    AVERAGE,
    BY_CHANNEL,
    CALLS,
    DROPOUTS,
    EXTREMES,
    MAX,
    MODULES,
    PRELU,
    REDUCED,
    SCALE,
    SELECTIONS,
    SIDE_BY_SIDE,
    SIZES,
    SOFT,
)  # fmt: skip
from scatter_theory.certify.model._trace import Traced
from scatter_theory.frames import LearnedConv

Combine = Literal["sum", "stack"]


@dataclass(frozen=True, eq=False)
class Operation:
    r"""One node as a map of what enters it.

    Parameters
    ----------
    node : fx.Node
    label, kind : str
        Path or name, and what it is, for tables.
    inputs : tuple of fx.Node
        What enters and depends on the sample, as often as it enters.
    bounds : tuple of Bound
        One constant per input, the others fixed.
    combine : {"sum", "stack"}
        Whether :math:`\sum_i c_i L_i` or :math:`(\sum_i c_i^2 L_i^2)^{1/2}` bounds the node.
    affine : bool
        Whether the node is affine in all its inputs together.
    pointwise, per_channel : bool
        Whether it acts entry by entry, and by a function of its own in each channel.
    by_channel : bool
        Whether each channel of the output (second axis) depends on that channel of the input alone.
    """

    node: fx.Node
    label: str
    kind: str
    inputs: tuple[fx.Node, ...]
    bounds: tuple[Bound, ...]
    combine: Combine = "sum"
    affine: bool = True
    pointwise: bool = False
    per_channel: bool = False
    by_channel: bool = False


def operation(traced: Traced, node: fx.Node) -> Operation | None:
    """What a node does; None for inputs, constants and sizes.

    Raises
    ------
    ValueError
        For a node that is not in the table or has no finite constant; the message has its name.
    """
    inputs = traced.varying_inputs(node)
    if node.op in ("placeholder", "get_attr", "output") or not inputs or _is_size(traced, node):
        return None
    if not isinstance(traced.values[node], Tensor):
        refuse(traced, node)
    target = type(traced.submodule(node)) if node.op == "call_module" else node.target
    try:
        found = _found(traced, node, target, inputs)
    except (ValueError, TypeError) as error:
        refuse(traced, node, str(error), error)
    if found is None:
        refuse(traced, node)
    return found


def _is_size(traced: Traced, node: fx.Node) -> bool:
    sizes = node.op == "call_method" and node.target in SIZES
    attribute = node.target is getattr and node.args[1] in ("shape", "ndim", "device", "dtype")
    return sizes or attribute


def _found(traced: Traced, node: fx.Node, target: Any, inputs: tuple[fx.Node, ...]) -> Operation | None:
    label = traced.label(node)
    kind = target if isinstance(target, str) else target.__name__

    def made(*bounds: Bound, **rest: Any) -> Operation:
        return Operation(node, label, kind, inputs, bounds, **rest)

    if target in SIDE_BY_SIDE:
        one = Bound(1.0, True, "the parts lie side by side")
        return made(*[one] * len(inputs), combine="stack")
    if target in ADD:
        if node.kwargs.keys() & {"alpha", "out"}:
            return None
        return made(*(_expanded(traced, node, n) for n in inputs))
    if len(inputs) != 1:
        return None
    if target in SCALE:
        return made(_scaled(traced, node, inputs[0]))
    if node.args[:1] != inputs and not (node.op == "call_module" and not node.args):
        return None
    padded = target is F.pad and _leaves_channels(traced, node)
    by_channel = target in (*BY_CHANNEL, CircularPool) or padded or _depthwise(traced, node)
    bound = _linear(traced, node, target, inputs[0])
    if bound is not None:
        return made(bound, by_channel=by_channel)
    if target in CALLS or target in MODULES:
        own = target in PRELU
        return made(_activation(traced, node, target), affine=False, pointwise=True, per_channel=own, by_channel=True)
    bound = _other(traced, node, target, inputs[0])
    return None if bound is None else made(bound, affine=False, by_channel=by_channel)


def _linear(traced: Traced, node: fx.Node, target: Any, source: fx.Node) -> Bound | None:
    """Affine maps of one input."""
    if target in SELECTIONS:
        return _selection(traced, node, source)
    if target in DROPOUTS:
        training = node.kwargs.get("training", True)
        if training is not False:
            raise ValueError("it drops at random, training=True; pass training=self.training")
        return Bound(1.0, True, "identity in evaluation mode")
    if target in (*CONVOLUTIONS, LearnedConv, nn.Linear, *NORMALISATIONS):
        return layer_bound(traced.submodule(node), traced.shape(source))
    if target in REDUCED:
        return _reduced(traced, node, target in (torch.mean, "mean"), source)
    return _averages(traced, node, target, source)


def _depthwise(traced: Traced, node: fx.Node) -> bool:
    """Whether a convolution gives one channel for each, such as a filter in front of a stride."""
    module = traced.submodule(node) if node.op == "call_module" else None
    return isinstance(module, CONVOLUTIONS) and module.groups == module.in_channels == module.out_channels


def _leaves_channels(traced: Traced, node: fx.Node) -> bool:
    """Whether a padding stays within the axes behind batch and channels."""
    return len(arguments(traced, node, ("pad",), ((),))["pad"]) <= 2 * (len(traced.shape(node)) - 2)


def _averages(traced: Traced, node: fx.Node, target: Any, source: fx.Node) -> Bound | None:
    if target in ADAPTIVE_AVERAGE:
        d = ADAPTIVE_AVERAGE[target]
        return adaptive_average_pool(traced.shape(source)[-d:], traced.shape(node)[-d:])
    if target in AVERAGE:
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
        given = arguments(traced, node, names, (None, None, 0, False, True, None))
        if given.pop("divisor_override") is not None:
            raise ValueError("`divisor_override` is not covered; use a factor after the pooling")
        return average_pool(traced.shape(source)[-AVERAGE[target] :], *given.values())
    return None


def _other(traced: Traced, node: fx.Node, target: Any, source: fx.Node) -> Bound | None:
    """Maps that are neither affine nor act entry by entry."""
    if target is CircularPool:
        return traced.submodule(node).bound(traced.shape(source)[2:])
    if target in ADAPTIVE_MAX:
        d = ADAPTIVE_MAX[target]
        return adaptive_max_pool(traced.shape(source)[-d:], traced.shape(node)[-d:])
    if target in MAX:
        given = arguments(traced, node, ("kernel_size", "stride", "padding", "dilation"), (None, None, 0, 1))
        d = MAX[target]
        return max_pool(traced.shape(source)[-d:], traced.shape(node)[-d:], *given.values())
    if target in EXTREMES:
        return Bound(1.0, True, "one entry of each group")
    if target in SOFT:
        dim = arguments(traced, node, ("dim",), (None,))["dim"]
        if dim is None or node.kwargs.get("dtype") is not None:
            raise ValueError("it has no axis, or changes the number type; pass dim alone")
        return SOFT[target](traced.shape(source), dim)
    return None


def arguments(traced: Traced, node: fx.Node, names: tuple[str, ...], defaults: tuple[Any, ...]) -> dict[str, Any]:
    """Arguments after the input, from a module's attributes or from the call."""
    if node.op == "call_module":
        module = traced.submodule(node)
        return {name: getattr(module, name, default) for name, default in zip(names, defaults, strict=True)}
    given = dict(zip(names, defaults, strict=True)) | dict(zip(names, node.args[1:], strict=False))
    given |= {name: value for name, value in node.kwargs.items() if name in names}
    return {name: traced.values[v] if isinstance(v, fx.Node) else v for name, v in given.items()}


def _activation(traced: Traced, node: fx.Node, target: Any) -> Bound:
    if node.op == "call_module":
        known = MODULES[target]
        module = traced.submodule(node)
        return known.constant(**{name: getattr(module, name) for name in known.attributes})
    args, kwargs = fx.node.map_arg((node.args[1:], node.kwargs), lambda a: traced.values[a])
    return CALLS[target].constant(*args, **{k: v for k, v in kwargs.items() if k != "input"})


def _selection(traced: Traced, node: fx.Node, source: fx.Node) -> Bound:
    """Each output is an input or a constant: the squared norm is the largest number of outputs of one input."""
    counts = _pulled_back(traced.between(source, node, {node}), traced.values[source])
    most = int(counts.max())
    if most <= 1:
        return Bound(float(most), True, "every entry comes out at most once")
    return Bound(math.sqrt(most), True, f"one entry comes out {most} times")


def _pulled_back(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The transposed derivative applied to ones: for a selection, how often each entry comes out."""
    with torch.enable_grad():
        start = x.detach().clone().requires_grad_()
        (counts,) = torch.autograd.grad(function(start).sum(), start)
    return counts


def _reduced(traced: Traced, node: fx.Node, mean: bool, source: fx.Node) -> Bound:
    if "dtype" in node.kwargs:
        raise ValueError("it changes the number type; leave out dtype")
    group = traced.values[source].numel() / traced.values[node].numel()
    value = group ** (-0.5 if mean else 0.5)
    return Bound(value * UP, True, f"{'mean' if mean else 'sum'} of {group:g} entries, Cauchy-Schwarz")


def _expanded(traced: Traced, node: fx.Node, source: fx.Node) -> Bound:
    copies = traced.values[node].numel() // traced.values[source].numel()
    if copies == 1:
        return Bound(1.0, True, "one term of the sum")
    return Bound(math.sqrt(copies) * UP, True, f"one term of the sum, each entry {copies} times")


def _scaled(traced: Traced, node: fx.Node, source: fx.Node) -> Bound:
    """Products with constants, quotients by them, and changes of sign."""
    if node.args == (source,) and not node.kwargs:
        return Bound(1.0, True, "sign changed")
    divides = node.target in (operator.truediv, torch.div, "div")
    if len(node.args) != 2 or node.kwargs or (divides and node.args[0] is not source):
        raise ValueError("its arguments are not those of a product with a constant")
    if traced.shape(node) != traced.shape(source):
        raise ValueError("the constant is larger than the tensor; expand the tensor first")
    other = node.args[1] if node.args[0] is source else node.args[0]
    factor = torch.as_tensor(traced.values[other] if isinstance(other, fx.Node) else other, dtype=torch.float64)
    value = float((1 / factor if divides else factor).abs().max())
    if not math.isfinite(value):
        raise ValueError(f"its largest factor is {value}")
    return Bound(value * (UP if divides else 1.0), True, "largest factor of a diagonal map")
