r"""Bounds of the maps from the input of a network to every node.

Let L(v) bound the map from the input to node v. If v has the inputs u_i, with constant c_i in each while the others are
fixed, :math:`L(v) = \sum_i c_i L(u_i)`: go from x to y in one input after the other. For parts that lie side by side
:math:`L(v) = (\sum_i c_i^2 L(u_i)^2)^{1/2}`. Refined:

* *folded*: the channelwise factors D and E of normalisations before and after a convolution W go into its weights, and
  E W D counts from the node before them. Maps P of one channel to one channel may stand between D and W, such as
  activations, padding and pooling: if each channel of P has the constant c, then
  :math:`\|(PDx - PDy)_k\| \le c\,|d_k|\,\|(x - y)_k\|`, so that PDx - PDy = Dz with :math:`\|z\| \le c\,\|x - y\|`,
  and the constant is :math:`c\,\|EWD\|`;
* *dense*: let v be affine in the nodes :math:`w_j` behind which all nodes on the way to v are affine. Then
  :math:`L(v) \le \sum_j \|A_j\| L(w_j)`, :math:`A_j` the matrix from :math:`w_j` to v along all ways at once.

The smallest of the candidates is taken; each one is a bound, so that this is one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, fx, nn

from scatter_theory.certify.model._bound import UP, Bound
from scatter_theory.certify.model._layers import NORMALISATIONS, layer_bound
from scatter_theory.certify.model._linear import batch_norm_scale, dense_norm, fits, folded
from scatter_theory.certify.model._operations import Combine, Operation, operation
from scatter_theory.certify.model._trace import Traced

#: Most nodes from which a segment may start: in residual networks they pile up with the depth.
STARTS = 3
_FOLDED = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, eq=False)
class Segment:
    """Nodes taken together: where they start, the nodes between, one constant per start, and whether all are affine."""

    starts: tuple[fx.Node, ...]
    region: frozenset[fx.Node]
    bounds: tuple[Bound, ...]
    affine: bool = True


@dataclass(frozen=True, eq=False)
class Composed:
    """The graph with its bounds.

    Parameters
    ----------
    operations : mapping of fx.Node to Operation
        In the order of the graph.
    segments : mapping of fx.Node to Segment
        Where nodes taken together gave the smaller bound.
    total, product : mapping of fx.Node to float
        L(v), and the same without refinement.
    """

    operations: Mapping[fx.Node, Operation]
    segments: Mapping[fx.Node, Segment]
    total: Mapping[fx.Node, float]
    product: Mapping[fx.Node, float]


def combined(factors: list[float], inputs: list[float], combine: Combine) -> float:
    """The bound of a node from its constants and the bounds of its inputs, rounded up; 0 where no input counts."""
    if all(c == 0 or L == 0 for c, L in zip(factors, inputs, strict=True)):
        return 0.0
    terms = [c * L for c, L in zip(factors, inputs, strict=True)]
    value = math.fsum(terms) if combine == "sum" else math.hypot(*terms)
    return math.nextafter(value * (1 + 4e-15), math.inf)


def composed(traced: Traced) -> Composed:
    """All operations of a graph and their bounds from the input."""
    operations = {n: found for n in traced.nodes if (found := operation(traced, n)) is not None}
    segments: dict[fx.Node, Segment] = {}
    total = {n: 1.0 for n in traced.nodes if n.op == "placeholder"}
    product = dict(total)
    for node, found in operations.items():
        factors = [b.value for b in found.bounds]
        product[node] = combined(factors, [product[n] for n in found.inputs], found.combine)
        total[node] = combined(factors, [total[n] for n in found.inputs], found.combine)
        for segment in _segments(traced, operations, node):
            value = combined([b.value for b in segment.bounds], [total[n] for n in segment.starts], "sum")
            if value < total[node]:
                total[node], segments[node] = value, segment
    return Composed(operations, segments, total, product)


def _segments(traced: Traced, operations: Mapping[fx.Node, Operation], node: fx.Node) -> list[Segment]:
    """Candidates that end in an affine node, where nothing prolongs them."""
    if not operations[node].affine:
        return []
    found = []
    if any(not _is(traced, user, NORMALISATIONS) for user in node.users):
        found.append(_fold(traced, operations, node))
    if any(user not in operations or not operations[user].affine for user in node.users):
        found.append(_dense(traced, operations, node))
    return [segment for segment in found if segment is not None]


def _fold(traced: Traced, operations: Mapping[fx.Node, Operation], node: fx.Node) -> Segment | None:
    """Normalisations, maps by channel, a convolution and normalisations in a row that end in `node`."""
    after, end = [], node
    while _is(traced, end, NORMALISATIONS):
        after.append(batch_norm_scale(traced.submodule(end)))
        end = operations[end].inputs[0]
    if end not in operations or not _is(traced, end, _FOLDED):
        return None
    layer, source = traced.submodule(end), operations[end].inputs[0]
    if len(traced.shape(source)) != layer.weight.ndim:  # without an axis of the batch, channels are elsewhere
        return None
    before, start, factor = _scales_before(traced, operations, source, layer.weight.ndim)
    if not after and not before:
        return None
    chain, n = [], node
    while n is not start:
        chain.append(n)
        n = operations[n].inputs[0]
    bound = layer_bound(folded(layer, before, after), traced.shape(source))
    maps = [n for n in chain if n is not end and not _is(traced, n, NORMALISATIONS)]
    through = f", through {len(maps)} maps by channel of constant {factor:.4g}" if maps else ""
    bound = Bound(factor * bound.value, bound.exact and not maps, f"factors in the weight{through}; {bound.source}")
    return Segment((start,), frozenset(chain), (bound,), all(operations[n].affine for n in chain))


def _is(traced: Traced, node: fx.Node, types: tuple[type[nn.Module], ...]) -> bool:
    return node.op == "call_module" and type(traced.submodule(node)) in types


def _scales_before(
    traced: Traced, operations: Mapping[fx.Node, Operation], node: fx.Node, ndim: int
) -> tuple[list[Tensor], fx.Node, float]:
    """Factors of the normalisations before `node`, the node before the first, and the constant of the maps between."""
    scales, start, factor, passed = [], node, 1.0, 1.0
    while node in operations and len(traced.shape(node)) == ndim:
        if _is(traced, node, NORMALISATIONS):
            scales.append(batch_norm_scale(traced.submodule(node)))
            start, factor = operations[node].inputs[0], passed
        elif operations[node].by_channel:
            passed *= operations[node].bounds[0].value * UP
        else:
            break
        node = operations[node].inputs[0]
    return scales, start, factor


def _dense(traced: Traced, operations: Mapping[fx.Node, Operation], node: fx.Node) -> Segment | None:
    """All affine nodes behind `node`, unless it is one with one input, or the matrices are large."""
    region, starts, waiting = {node}, dict[fx.Node, None](), [node]
    while waiting:
        for n in operations[waiting.pop()].inputs:
            if n not in operations or not operations[n].affine:
                starts[n] = None
            elif n not in region:
                region.add(n)
                waiting.append(n)
    size = traced.values[node].numel()
    alone = len(region) == 1 and len(operations[node].inputs) == 1
    if alone or len(starts) > STARTS or not all(fits(traced.values[n].numel(), size) for n in starts):
        return None
    bounds = []
    for start in starts:
        value = dense_norm(traced.between(start, node, region), traced.values[start])
        bounds.append(Bound(value, True, f"dense matrix of {len(region)} nodes"))
    return Segment(tuple(starts), frozenset(region), tuple(bounds))
