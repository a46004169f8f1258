"""The certificate of a network: a table of nodes, its bound, and what two points attain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scatter_theory.certify.model._bound import Bound
from scatter_theory.constants import TOLERANCE
from scatter_theory.optional import data_frame

_ROUNDING = TOLERANCE["float64"]


@dataclass(frozen=True)
class Step:
    """A constant in one input, and the ratio that an attack on this map alone has reached.

    Parameters
    ----------
    start : str
        Node from which the map goes.
    bound : Bound
    attained : float
        A lower bound of the best constant.
    """

    start: str
    bound: Bound
    attained: float

    @property
    def contradicted(self) -> bool:
        """Whether two points were found that the constant does not allow."""
        return self.attained > self.bound.value * (1 + _ROUNDING)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Step:
        """The step that `to_dict` wrote down."""
        return cls(table["start"], Bound(**table["bound"]), float(table["attained"]))


@dataclass(frozen=True)
class NodeBound:
    r"""One node of the graph.

    Parameters
    ----------
    name, operation : str
        Path of the module, or the name in the graph; what it calls.
    steps : tuple of Step
        One per input of the node, the others fixed.
    combine : {"sum", "stack"}
        Whether the constants times the bounds of the inputs add up, or their squares do.
    segment : tuple of Step
        Nodes taken together, from the nodes where they start, if that gave less; else empty.
    total : float
        Bound of the map from the input of the network to this node.
    """

    name: str
    operation: str
    steps: tuple[Step, ...]
    combine: Literal["sum", "stack"]
    segment: tuple[Step, ...]
    total: float

    @property
    def constant(self) -> float:
        """Largest of the node's constants."""
        return max(step.bound.value for step in self.steps)

    @property
    def attained(self) -> float:
        """What the attack has reached for the largest constant."""
        return max(self.steps, key=lambda step: step.bound.value).attained

    @property
    def kind(self) -> str:
        """``"exact"`` if all constants are."""
        return "exact" if all(step.bound.exact for step in self.steps) else "upper bound"

    @property
    def contradicted(self) -> bool:
        """Whether an attack exceeds a constant of this node."""
        return any(step.contradicted for step in (*self.steps, *self.segment))

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> NodeBound:
        """The node that `to_dict` wrote down."""
        steps = {k: tuple(map(Step.from_dict, table[k])) for k in ("steps", "segment")}
        return cls(**{**table, **steps})


@dataclass(frozen=True, eq=False)
class ModelCertificate:
    r"""Bounds of the Lipschitz constant of a network f, :math:`\|f(x) - f(y)\|_2 \le` `upper` :math:`\|x - y\|_2`.

    For all x and y of the given shape, one sample at a time, in evaluation mode and exact arithmetic.

    Parameters
    ----------
    model : str
        Class of the network.
    input_shape : tuple of int
        Of one sample.
    nodes : tuple of NodeBound
        In the order of the graph.
    upper : float
        Certified.
    product : float
        The same from the nodes alone, without taking nodes together.
    lower : float
        Attained by the two points of `pair`.
    pair : tuple of tensor
        ``(1, *input_shape)`` each, float64, on the CPU.
    seed : int
        Of the attack.
    """

    model: str
    input_shape: tuple[int, ...]
    nodes: tuple[NodeBound, ...]
    upper: float
    product: float
    lower: float
    pair: tuple[Tensor, Tensor]
    seed: int

    @property
    def gap(self) -> float:
        """`upper` over `lower`: 1 where the bound is attained, infinite where nothing was."""
        return self.upper / self.lower if self.lower > 0 else (1.0 if self.upper == 0 else float("inf"))

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Nodes, and ``"network"``, at which an attack exceeds a bound: the certificate is then void."""
        names = tuple(node.name for node in self.nodes if node.contradicted)
        return names + (("network",) if self.lower > self.upper * (1 + _ROUNDING) else ())

    def recheck(self, model: nn.Module) -> bool:
        """Whether the bounds hold for this model, computed anew, and its pair attains what is said.

        False for another model, changed weights, a broken file, and a certificate that an attack contradicts. The
        attacks on single nodes are not repeated.

        Raises
        ------
        TypeError, ValueError
            For what is no module, or one in training mode or with hooks.
        """
        from scatter_theory.certify.model._torch_model import proves

        return not self.contradictions and proves(self, model)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings; `from_dict` reads it."""
        plain = {k: getattr(self, k) for k in ("model", "upper", "product", "lower", "seed")}
        lists = {"input_shape": list(self.input_shape), "pair": [x.flatten().tolist() for x in self.pair]}
        return plain | lists | {"nodes": [asdict(node) for node in self.nodes]}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> ModelCertificate:
        """The certificate that `to_dict` wrote down."""
        shape = tuple(int(n) for n in table["input_shape"])
        x, y = (torch.tensor(values, dtype=torch.float64).reshape(1, *shape) for values in table["pair"])
        nodes = tuple(map(NodeBound.from_dict, table["nodes"]))
        return cls(**{**table, "input_shape": shape, "pair": (x, y), "nodes": nodes})

    def to_frame(self) -> Any:
        """Table with one row per node, as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns = ("name", "operation", "constant", "attained", "kind", "total", "contradicted")
        rows = [{c: getattr(node, c) for c in columns} for node in self.nodes]
        for row, node in zip(rows, self.nodes, strict=True):
            row["inputs"] = ", ".join(step.start for step in node.steps)
            row["source"] = "; ".join(dict.fromkeys(step.bound.source for step in node.steps))
            row["together"] = "; ".join(f"{s.bound.value:.6g} from {s.start}: {s.bound.source}" for s in node.segment)
        return data_frame("ModelCertificate", rows, "`nodes` or `to_dict()`")

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw constants and attacks, node by node, and the bound so far; returns the display with its artists."""
        from scatter_theory.plot import ModelCertificateDisplay

        return ModelCertificateDisplay(self).plot(ax=ax, **style)

    def __str__(self) -> str:
        width = max([len("node"), *(len(node.name) for node in self.nodes)])
        what = max([len("operation"), *(len(node.operation) for node in self.nodes)])
        lines = [f"{'node':{width}}  {'operation':{what}}  {'attained':>10}  {'constant':>10}  {'so far':>10}  kind"]
        for node in self.nodes:
            mark = ", CONTRADICTED" if node.contradicted else ""
            together = ", taken together with nodes before it" if node.segment else ""
            numbers = "  ".join(f"{v:>10.4g}" for v in (node.attained, node.constant, node.total))
            lines.append(f"{node.name:{width}}  {node.operation:{what}}  {numbers}  {node.kind}{together}{mark}")
        return "\n".join([*lines, self._sentence()])

    __repr__ = __str__

    def _sentence(self) -> str:
        if self.contradictions:
            return (
                f"This certificate is void: an attack exceeds what is said of {', '.join(self.contradictions)}, so "
                "that a constant is wrong."
            )
        return (
            f"No two inputs of shape {self.input_shape} are moved apart by more than {self.upper:.6g}; two were found "
            f"that are moved apart by {self.lower:.6g}, a gap of {self.gap:.3g}."
        )
