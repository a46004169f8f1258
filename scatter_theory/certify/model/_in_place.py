"""Nodes of a graph that work in place: refused where they overwrite what is read afterwards, replaced elsewhere."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx

_NOT_IN_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


def _writes(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(node.target), "inplace", False))
    method = node.op == "call_method" and node.target.endswith("_") and not node.target.endswith("__")
    return method or node.target in _NOT_IN_PLACE or node.kwargs.get("inplace") is True


def refuse_overwritten(module: fx.GraphModule, values: Mapping[fx.Node, Any], where: str) -> None:
    """Refuse a node that writes into storage which a later node reads under its old name.

    Parameters
    ----------
    module : fx.GraphModule
    values : mapping of fx.Node to object
        What every node gives.
    where : str
        Function that errors name.

    Raises
    ------
    ValueError
        With both nodes in the message.
    """
    order = {n: k for k, n in enumerate(module.graph.nodes)}
    places = {n: v.untyped_storage().data_ptr() for n, v in values.items() if isinstance(v, Tensor)}
    for node in filter(lambda n: _writes(module, n), order):
        for other, place in places.items():
            if place == places[node] and order[other] < order[node]:
                late = [user for user in other.users if order[user] > order[node]]
                if late:
                    raise ValueError(
                        f"`{where}(model=...)`: node {node.name!r} writes into what {other.name!r} gave, which "
                        f"{late[0].name!r} reads afterwards. Use the form that does not work in place."
                    )


def without_writing(module: fx.GraphModule) -> None:
    """Replace what works in place by what does not."""
    for m in module.modules():
        if getattr(m, "inplace", False):
            m.inplace = False
    for node in module.graph.nodes:
        node.target = _NOT_IN_PLACE.get(node.target, node.target) if node.op == "call_function" else node.target
        if node.op == "call_method" and _writes(module, node):
            node.target = node.target.rstrip("_")
        if node.kwargs.get("inplace") is True:
            node.kwargs = {**node.kwargs, "inplace": False}
    module.recompile()
