"""Errors for nodes without a constant."""

from __future__ import annotations

import operator
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn

from scatter_theory.certify.model._trace import Traced

_JUMPS = "it jumps, so that no constant is finite"
_PRODUCT = "a product of two maps of the input has no finite constant on all inputs"
_DEVIATION = "it divides by a deviation of its input, which this certificate does not bound"
_SLOPE = "its slope is not bounded"
_REASONS: dict[Any, str] = {
    nn.Threshold: _JUMPS, nn.Hardshrink: _JUMPS,
    **{f: _JUMPS for f in (torch.sign, "sign", torch.round, "round", torch.floor, "floor", torch.heaviside)},
    **{f: _PRODUCT for f in (operator.mul, torch.mul, "mul", operator.matmul, torch.matmul, "matmul")},
    **{f: _PRODUCT for f in (nn.MultiheadAttention, nn.GLU, nn.Bilinear, torch.einsum, torch.bmm, "bmm")},
    **{f: _DEVIATION for f in (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)},
    **{f: _SLOPE for f in (torch.exp, "exp", torch.pow, operator.pow, "pow", torch.square, "square")},
    **{f: _SLOPE for f in (torch.log, "log", torch.sqrt, "sqrt")},
}  # fmt: skip


def described(traced: Traced, node: fx.Node) -> str:
    """Name of a node, and what it calls."""
    if node.op == "call_module":
        module = traced.submodule(node)
        return f"node {node.name!r} (module {node.target!r}, {type(module).__module__}.{type(module).__name__})"
    name = getattr(node.target, "__name__", node.target)
    return f"node {node.name!r} ({'method' if node.op == 'call_method' else 'function'} {name!r})"


def refuse(traced: Traced, node: fx.Node, reason: str = "", cause: Exception | None = None) -> NoReturn:
    """Raise ValueError for a node: its name, what it calls, and why it has no constant here."""
    key = type(traced.submodule(node)) if node.op == "call_module" else node.target
    tensor = isinstance(traced.values[node], Tensor)
    unknown = "it, or the way it is called here, is not in the table of known operations"
    reason = reason or _REASONS.get(key, unknown if tensor else "it does not give a tensor")
    raise ValueError(
        f"`torch_model(model=...)`: {described(traced, node)} has no certified constant: {reason}. No node is "
        "skipped: replace it, or certify the part of the model before it."
    ) from cause
