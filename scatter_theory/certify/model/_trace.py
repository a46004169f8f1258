"""The graph of a model, with what every node gives for one sample, and maps between its nodes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.nn.utils import parametrize

from scatter_theory.certify.model._in_place import refuse_overwritten, without_writing
from scatter_theory.certify.model._leaves import Tracer, symbolic_trace
from scatter_theory.constants import TOLERANCE


@dataclass(frozen=True, eq=False)
class Traced:
    """A model as a graph in float64 and evaluation mode.

    Parameters
    ----------
    module : fx.GraphModule
    values : mapping of fx.Node to object
        What each node gives for one random sample ``(1, *input_shape)``.
    varying : frozenset of fx.Node
        Nodes whose tensors depend on the input.
    """

    module: fx.GraphModule
    values: Mapping[fx.Node, Any]
    varying: frozenset[fx.Node]

    @property
    def nodes(self) -> list[fx.Node]:
        """All nodes in order."""
        return list(self.module.graph.nodes)

    def label(self, node: fx.Node) -> str:
        """Path of the module where there is one and it is called once; the name in the graph otherwise."""
        calls = [n for n in self.nodes if n.op == "call_module" and n.target == node.target]
        return str(node.target) if node.op == "call_module" and len(calls) == 1 else node.name

    def submodule(self, node: fx.Node) -> nn.Module:
        """The module that a node calls."""
        return self.module.get_submodule(str(node.target))

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Shape of what a node gives, with the axis of the sample."""
        return tuple(self.values[node].shape)

    def varying_inputs(self, node: fx.Node) -> tuple[fx.Node, ...]:
        """Inputs that depend on the sample, each as often as it is passed, in order of the arguments."""
        found: list[fx.Node] = []
        map_arg((node.args, node.kwargs), found.append)
        return tuple(n for n in found if n in self.varying)

    def between(self, source: fx.Node, node: fx.Node, region: Collection[fx.Node]) -> Callable[[Tensor], Tensor]:
        """The map from what `source` gives to what `node` gives through the nodes of `region`; all else stays fixed."""
        path, reached = [], {source}
        for n in self.nodes:
            if n in region and n is not source and reached.intersection(n.all_input_nodes):
                reached.add(n)
                path.append(n)

        def apply(x: Tensor) -> Tensor:
            known = {source: x}
            for n in path:
                args, kwargs = map_arg((n.args, n.kwargs), lambda a: known[a] if a in known else self.values[a])
                known[n] = _call(self.module, n, args, kwargs)
            return known[node]

        return apply


def traced(
    model: nn.Module, input_shape: tuple[int, ...], generator: torch.Generator, where: str = "torch_model"
) -> Traced:
    """Trace a copy of the model, and check the graph against the model itself; errors name the function `where`.

    Raises
    ------
    TypeError
        If the model is no ``nn.Module``.
    ValueError
        For a model in training mode, with hooks, with several inputs without defaults, one that torch.fx cannot follow,
        one that writes into a tensor which is read afterwards, or a graph that gives other values than the model.
    """
    check_model(model, where)
    own = copy.deepcopy(model)
    _use_effective_weights(own)
    own = own.double()
    if Tracer().is_leaf_module(own, "") or _optional_arguments(own):  # a single layer: its inside is not the graph
        own = nn.Sequential(own).eval()
    for parameter in own.parameters():
        parameter.requires_grad_(False)
    device = next((t.device for t in (*own.parameters(), *own.buffers())), torch.device("cpu"))
    try:
        module = symbolic_trace(own)
    except Exception as error:  # torch.fx passes on whatever the model's code raises on its proxies
        raise ValueError(
            f"`{where}(model=...)`: torch.fx cannot trace {type(model).__name__}: {str(error).rstrip('.')}. Expected a "
            "`forward` without branches or loops that depend on values of tensors; rewrite it, or certify the parts "
            "that can be traced."
        ) from error
    module.eval()
    inputs = [n for n in module.graph.nodes if n.op == "placeholder"]
    if len(inputs) != 1:
        raise ValueError(
            f"`{where}(model=...)`: got {len(inputs)} inputs ({[n.name for n in inputs]}), expected one tensor."
        )
    samples = [torch.randn(1, *input_shape, dtype=torch.float64, generator=generator).to(device) for _ in range(3)]
    with torch.no_grad():
        refuse_overwritten(module, _record(module, samples[0], where), where)
        without_writing(module)
        values = _record(module, samples[0], where)
        for x in samples:
            _compare(own(x.clone()), module(x.clone()), where)
    return Traced(module, values, _varying(module, values))


def _optional_arguments(model: nn.Module) -> bool:
    """Whether `forward` has arguments behind the input that may be left out."""
    _, *others = signature(model.forward).parameters.values()
    return any(p.default is not Parameter.empty for p in others)


def _use_effective_weights(model: nn.Module) -> None:
    """Put what parametrizations give, in the number type of the model, in the place of what they are computed from.

    The class is set back on the object: torch's own removal would take the weight from the class, which copies share.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module):
            weights = {name: getattr(module, name).detach().clone() for name in module.parametrizations}
            del module.parametrizations
            module.__class__ = module.__class__.__bases__[0]
            for name, weight in weights.items():
                module.register_parameter(name, nn.Parameter(weight))


def check_model(model: nn.Module, where: str) -> None:
    """Refuse what is no module, one in training mode, and one that runs code which its graph does not show.

    Raises
    ------
    TypeError, ValueError
        With the name of the module in the message.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"`{where}(model=...)`: got {type(model).__name__}, expected a torch.nn.Module.")
    for path, module in model.named_modules():
        name = f"module {path!r} ({type(module).__name__})" if path else f"the model ({type(module).__name__})"
        if module.training:
            raise ValueError(
                f"`{where}(model=...)`: {name} is in training mode, expected evaluation mode. Call `model.eval()`."
            )
        hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
        if hooks:
            called = ", ".join(getattr(h, "__name__", type(h).__name__) for h in hooks)
            raise ValueError(
                f"`{where}(model=...)`: {name} has a forward hook ({called}), which the graph does not show. Remove "
                "it: turn masks of `torch.nn.utils.prune` over with `pruning.from_torch`; a hook that takes signs of "
                "the input or rounds it leaves no finite Lipschitz constant."
            )
        if "forward" in vars(module):
            raise ValueError(
                f"`{where}(model=...)`: `forward` of {name} is replaced on the object, expected that of its class."
            )


def _call(module: nn.Module, node: fx.Node, args: Any, kwargs: Any) -> Any:
    if node.op == "call_function":
        return node.target(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    return module.get_submodule(node.target)(*args, **kwargs)


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps what every node gives."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.extra_traceback = False
        self.kept: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.kept[n] = super().run_node(n)
        return self.kept[n]


def _record(module: fx.GraphModule, x: Tensor, where: str) -> dict[fx.Node, Any]:
    recorder = _Recorder(module)
    try:
        recorder.run(x.clone())
    except Exception as error:
        raise ValueError(
            f"`{where}(input_shape=...)`: the model fails on an input of shape {tuple(x.shape)} in float64: "
            f"{str(error).splitlines()[0].rstrip('.')}. Expected the shape of one sample, without the axis of the "
            "batch."
        ) from error
    return recorder.kept


def _varying(module: fx.GraphModule, values: Mapping[fx.Node, Any]) -> frozenset[fx.Node]:
    varying: set[fx.Node] = set()
    for node in module.graph.nodes:
        reads = varying.intersection(node.all_input_nodes)
        if node.op == "placeholder" or (reads and isinstance(values[node], Tensor)):
            varying.add(node)
    return frozenset(varying)


def _compare(expected: Any, got: Any, where: str) -> None:
    pairs = zip(as_tuple(expected, where), as_tuple(got, where), strict=True)
    for a, b in pairs:
        scale = float(a.abs().max()) if a.numel() else 0.0
        if a.shape != b.shape or not torch.allclose(a, b, rtol=0.0, atol=TOLERANCE["float64"] * max(scale, 1e-300)):
            raise ValueError(
                f"`{where}(model=...)`: the graph of torch.fx gives other values than the model. Expected a `forward` "
                "that depends on its input alone."
            )


def as_tuple(output: Any, where: str = "torch_model") -> tuple[Tensor, ...]:
    """The tensors of an output: itself, or the entries of a tuple or list.

    Raises
    ------
    ValueError
        For anything else.
    """
    parts = tuple(output) if isinstance(output, tuple | list) else (output,)
    if not parts or not all(isinstance(p, Tensor) for p in parts):
        raise ValueError(
            f"`{where}(model=...)`: got an output of type {type(output).__name__}, expected a tensor or a tuple of "
            "them."
        )
    return parts
