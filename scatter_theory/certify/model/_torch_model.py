"""Certify a trained network, and prove a stored certificate again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx, nn

from scatter_theory.certify.model._attack import Map, attack_affine, attack_map, attack_points, attack_pointwise, ratio
from scatter_theory.certify.model._certificate import ModelCertificate, NodeBound, Step
from scatter_theory.certify.model._compose import Composed, Segment, combined, composed
from scatter_theory.certify.model._operations import Operation
from scatter_theory.certify.model._trace import Traced, as_tuple, check_model, traced
from scatter_theory.constants import TOLERANCE
from scatter_theory.grid import is_whole
from scatter_theory.seeds import seeded

Attack = Callable[[Map, Tensor, Operation | Segment], float]


def torch_model(
    model: nn.Module,
    input_shape: Sequence[int],
    *,
    starts: int = 4,
    steps: int = 50,
    seed: int = 0,
    points: Tensor | None = None,
) -> ModelCertificate:
    r"""Enclose the Lipschitz constant of a trained network in the Euclidean norm.

    .. math:: \text{lower} \le \sup_{x \ne y} \frac{\|f(x) - f(y)\|_2}{\|x - y\|_2} \le \text{upper}

    From above: torch.fx gives the graph of a copy in float64. Each node has a constant, exact or an upper bound, with
    its source; they are composed from the input to the output (see `_compose`), and nodes that follow one another are
    taken together where that is cheap and gives less. From below: the same nodes and the whole network are attacked.

    The supremum is over *all* inputs of the shape. A network has smaller constants on small sets, such as near its
    training data; nothing is said about those. Outputs that are a tuple of tensors count as one vector.

    *When it applies.* Networks in evaluation mode without hooks that torch.fx can trace, with one input (other
    arguments of `forward` keep their defaults), made of: convolutions (transposed and learned ones too), linear
    layers, batch normalisation, the activations of torch with a bounded slope, softmax and its logarithm, maximum and
    average pooling (adaptive too), means, sums, additions, factors, paddings, concatenation, and whatever moves
    entries. The copy is exact for float32 and narrower weights; what rounding adds when the network runs in these types
    is not part of the bound. A layer whose weight is parametrized (masks, binary weights) counts with the weight that
    it uses. *When not.*
    Every other node is refused by name: products of maps of the input (attention, gating), layer normalisation, signs
    and thresholds.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode. It is copied, and stays as it is.
    input_shape : sequence of int
        Shape of one sample, without the axis of the batch: the model gets ``(1, *input_shape)``.
    starts, steps : int
        Of the attacks: random starts, and steps from each; at least 1.
    seed : int
        Of the attacks and of the sample with which the graph is checked.
    points : (count, *input_shape) tensor, optional
        Inputs at which the attack on the whole network starts too, such as data: `lower` can only grow.

    Returns
    -------
    ModelCertificate
        If its `contradictions` are not empty, an attack has shown a constant to be wrong.

    Raises
    ------
    TypeError
        If `model` is no module.
    ValueError
        For a node without a constant, whose name is in the message; a model in training mode, with hooks, with several
        inputs, or that torch.fx cannot follow; a shape that the model refuses; `points` of another shape.

    Examples
    --------
    >>> layer = nn.Linear(2, 2, bias=False)
    >>> layer.weight = nn.Parameter(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    >>> certificate = torch_model(nn.Sequential(layer, nn.ReLU()).eval(), (2,))
    >>> print(certificate)
    node  operation    attained    constant      so far  kind
    0     Linear              3           3           3  exact
    1     ReLU                1           1           3  exact
    No two inputs of shape (2,) are moved apart by more than 3; two were found that are moved apart by 3, a gap of 1.
    """
    shape = _checked(input_shape, starts=starts, steps=steps)
    begin = None if points is None else _checked_points(points, shape)
    generator, seed = seeded(seed)
    graph = traced(model, shape, generator)
    bounds = composed(graph)
    upper, product = _at_output(graph, bounds)
    attack = _attack(starts, steps, generator)
    nodes = tuple(_node(graph, bounds, op, attack) for op in bounds.operations.values())
    like = graph.values[graph.nodes[0]]
    found = attack_map(_network(graph), like, starts, steps, generator)
    if begin is not None:
        found = max(found, attack_points(_network(graph), begin.to(like), steps, generator), key=lambda a: a.ratio)
    return ModelCertificate(
        model=type(model).__name__,
        input_shape=shape,
        nodes=nodes,
        upper=upper,
        product=product,
        lower=found.ratio,
        pair=(found.x.cpu(), found.y.cpu()),
        seed=seed,
    )


def proves(certificate: ModelCertificate, model: nn.Module) -> bool:
    """Whether the numbers of a certificate are those of this model, computed anew, and its pair attains `lower`.

    Raises
    ------
    TypeError, ValueError
        For a model in training mode, with hooks, or that is none.
    """
    check_model(model, "ModelCertificate.recheck")
    try:
        graph = traced(model, certificate.input_shape, torch.Generator().manual_seed(certificate.seed))
        bounds = composed(graph)
        nodes = tuple(_node(graph, bounds, op, _unattacked) for op in bounds.operations.values())
    except ValueError:
        return False
    x, y = (point.to(graph.values[graph.nodes[0]].device) for point in certificate.pair)
    attained = ratio(_network(graph), x, y) * (1 + TOLERANCE["float64"]) >= certificate.lower
    values = _same((certificate.upper, certificate.product), _at_output(graph, bounds))
    if not (attained and values and len(nodes) == len(certificate.nodes)):
        return False
    return all(_agree(*pair) for pair in zip(certificate.nodes, nodes, strict=True))


def _agree(one: NodeBound, other: NodeBound) -> bool:
    """Whether two rows say the same but for rounding; what was attained is left aside."""
    if (one.name, one.operation, one.combine) != (other.name, other.operation, other.combine):
        return False
    mine, theirs = (
        [(kind, s.start, s.bound.exact) for kind in ("steps", "segment") for s in getattr(n, kind)]
        for n in (one, other)
    )
    numbers = ([*(s.bound.value for s in (*n.steps, *n.segment)), n.total] for n in (one, other))
    return mine == theirs and _same(*numbers)


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=TOLERANCE["float64"]) for a, b in zip(one, other, strict=True))


def _checked(input_shape: Sequence[int], **counts: int) -> tuple[int, ...]:
    sizes = isinstance(input_shape, Sequence) and all(is_whole(n) and n >= 1 for n in input_shape)
    if not sizes or isinstance(input_shape, str) or not len(input_shape):
        raise ValueError(
            f"`torch_model(input_shape=...)`: got {input_shape!r}, expected the sizes of one sample, such as "
            "(1, 28, 28), without the axis of the batch."
        )
    for name, value in counts.items():
        if not is_whole(value) or value < 1:
            raise ValueError(f"`torch_model({name}=...)`: got {value!r}, expected a whole number of at least 1.")
    return tuple(int(n) for n in input_shape)


def _checked_points(points: Tensor, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(points, Tensor) or tuple(points.shape[1:]) != shape or not len(points):
        got = tuple(points.shape) if isinstance(points, Tensor) else type(points).__name__
        wanted = f"(count, {', '.join(map(str, shape))})"
        raise ValueError(f"`torch_model(points=...)`: got {got}, expected a tensor of the shape {wanted}.")
    if not bool(torch.isfinite(points).all()):
        raise ValueError("`torch_model(points=...)`: got entries that are not finite, expected none.")
    return points.detach()


def _output(graph: Traced) -> tuple[fx.Node, ...]:
    """Nodes that come out, checked to be tensors."""
    result = graph.nodes[-1].args[0]
    nodes = tuple(result) if isinstance(result, tuple | list) else (result,)
    as_tuple([graph.values[n] if isinstance(n, fx.Node) else n for n in nodes])
    return nodes


def _at_output(graph: Traced, bounds: Composed) -> tuple[float, float]:
    """Bound of the network, and that without refinement; 0 for outputs that do not depend on the input."""
    nodes = [n for n in _output(graph) if n in graph.varying]
    ones = [1.0] * len(nodes)
    upper, product = ([known[n] for n in nodes] for known in (bounds.total, bounds.product))
    if len(nodes) == 1:
        return upper[0], product[0]
    return combined(ones, upper, "stack"), combined(ones, product, "stack")


def _network(graph: Traced) -> Map:
    return lambda x: torch.cat([part.flatten() for part in as_tuple(graph.module(x))])


def _node(graph: Traced, bounds: Composed, op: Operation, attack: Attack) -> NodeBound:
    steps = [
        Step(graph.label(source), bound, attack(graph.between(source, op.node, {op.node}), graph.values[source], op))
        for source, bound in zip(op.inputs, op.bounds, strict=True)
    ]
    together = []
    if op.node in bounds.segments:
        segment = bounds.segments[op.node]
        for start, bound in zip(segment.starts, segment.bounds, strict=True):
            function = graph.between(start, op.node, segment.region)
            together.append(Step(graph.label(start), bound, attack(function, graph.values[start], segment)))
    return NodeBound(op.label, op.kind, tuple(steps), op.combine, tuple(together), bounds.total[op.node])


def _unattacked(function: Map, like: Tensor, what: Operation | Segment) -> float:
    return 0.0


def _attack(starts: int, steps: int, generator: torch.Generator) -> Attack:
    """The attack that suits an operation or a segment."""

    def attack(function: Map, like: Tensor, what: Operation | Segment) -> float:
        if isinstance(what, Operation) and what.pointwise:
            channels = like.shape[1] if like.ndim > 1 and what.per_channel else 1
            return attack_pointwise(function, like.ndim, channels, like.device)
        if what.affine:
            return attack_affine(function, like, steps, generator).ratio
        return attack_map(function, like, starts, steps, generator).ratio

    return attack
