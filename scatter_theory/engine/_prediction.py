"""What a plan will cost: transforms, operations and bytes, counted before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from scatter_theory.engine import _kernels
from scatter_theory.engine._full_grid import BLOCK_BYTES, Network
from scatter_theory.engine._output import mixing_cost
from scatter_theory.engine._plan import Edge, Group, Plan
from scatter_theory.paths import PathTree

#: Operations of a transform of n samples: ``5 n log2 n`` for complex data, the usual count.
TRANSFORM = 5.0
#: Operations of a multiplication in a product of dense matrices, which runs several times faster than transforms.
PRODUCT = 0.5
#: The same of transforms that no kernel does together with the others.
APART = 3.0
#: Copies of a map held while it is made by torch operations: filtered spectrum, complex map, result.
COPIES = 3
#: Share by which a processor's allocator holds more than is in use where maps are kept for a gradient.
ALLOCATOR = 1.65
#: Memory of a pass on a processor over that of its maps (features of pieces, energies in double precision, what the
#: allocator holds beside), and bytes of any pass (plans of transforms, tables), as measured in benchmarks/scaling.py.
BESIDE, ALWAYS = 2.3, 5 * 2**18


@dataclass(frozen=True)
class Prediction:
    """Predicted size of one pass.

    Parameters
    ----------
    batch : int
        Signals.
    paths : tuple of int
        Paths of layers 0..N.
    grids : tuple of int
        Numbers of different grids in layers 0..N.
    transforms : int
        Fourier transforms per signal.
    steps : int
        Groups of maps made one after the other for the whole batch: each costs some time of its own.
    operations : float
        Floating point operations per signal: transforms, filters, moduli and output maps.
    coefficients : int
        Feature values per signal.
    feature_bytes : int
        Features of the batch.
    plan_bytes : int
        Filters and matrices of the plan.
    working_bytes : int
        Largest sum of the maps held at one time, and the kernels' own scratch memory.
    """

    batch: int
    paths: tuple[int, ...]
    grids: tuple[int, ...]
    transforms: int
    steps: int
    operations: float
    coefficients: int
    feature_bytes: int
    plan_bytes: int
    working_bytes: int

    def __str__(self) -> str:
        size = {name: f"{getattr(self, f'{name}_bytes') / 2**20:.3g} MiB" for name in ("feature", "plan", "working")}
        return (
            f"{sum(self.paths)} paths ({' + '.join(map(str, self.paths))}), {self.coefficients} coefficients, "
            f"{self.transforms} Fourier transforms and {self.operations / 1e6:.3g} million operations per signal, on "
            f"{' + '.join(map(str, self.grids))} grids; {size['feature']} of features for a batch of {self.batch} and "
            f"about {size['working']} to work, beside {size['plan']} of filters"
        )


def predict(plan: Plan, batch: int = 1) -> Prediction:
    """Prediction for a batch of signals."""
    edges = [(group, edge) for layer in plan.groups for group in layer for edge in group.edges]
    return Prediction(
        batch,
        plan.paths,
        tuple(len(layer) for layer in plan.groups),
        sum(len(e.parents) * len(e) for _, e in edges) + sum(len(g) for layer in plan.groups for g in layer if g.edges),
        _steps(plan, batch),
        sum(_edge_operations(edge) for _, edge in edges)
        + sum(_group_operations(group) * len(group) for layer in plan.groups for group in layer),
        sum(layout.paths * math.prod(layout.shape) for layout in plan.layers),
        feature_bytes(plan, batch),
        sum(_edge_bytes(edge, _item(plan)) for _, edge in edges)
        + sum(_output_bytes(g, _item(plan)) for g in _all(plan)),
        working_bytes(plan, batch) + ALWAYS,
    )


def _item(plan: Plan) -> int:
    return torch.finfo(plan.precision).bits // 8


def feature_bytes(plan: Plan, batch: int) -> int:
    """Features of a batch."""
    return batch * _item(plan) * sum(la.paths * math.prod(la.shape) * (1 if la.real else 2) for la in plan.layers)


def gradient_bytes(plan: Plan, batch: int) -> int:
    """What is kept for a gradient: spectra of all maps with children, and what torch keeps where no kernel works."""
    total = 0
    for group in _all(plan):
        total += 2 * group.size * len(group) if group.edges else 0
        for edge in group.edges:
            kept = 0 if edge.fusible(batch, plan.precision) and not edge.separate else COPIES * edge.target.size
            total += kept * len(edge.parents) * len(edge)
    return int(ALLOCATOR * batch * _item(plan) * total)


def predict_full(network: Network, tree: PathTree, dtype: torch.dtype, batch: int = 1) -> Prediction:
    """Prediction for the exact executor: every map on the full grid of its layer."""
    counts = tuple(len(level) for level in tree.levels)
    item, depth = torch.finfo(dtype).bits // 8, len(counts) - 1
    per_map = [_transform_operations(grid.size) for grid in network.grids]
    made = sum(counts[n + 1] * (per_map[n] + 10.0 * network.grids[n].size) for n in range(depth))
    emitted = sum(c * (2 * t + 4.0 * g.size) for c, t, g in zip(counts, per_map, network.grids, strict=True))
    pairs = zip(network.grids, network.banks, strict=True)
    widest = max(g.size * max(len(b), 1) for g, b in pairs) * 2 * item * batch
    feature_bytes = batch * sum(c * b for c, b in zip(counts, network.bytes_per_path(), strict=True))
    return Prediction(
        batch,
        counts,
        (1,) * len(counts),
        2 * sum(counts) + sum(counts[1:]),
        sum(counts),
        made + emitted,
        sum(c * g.size for c, g in zip(counts, network.grids, strict=True)),
        feature_bytes,
        sum(len(b) * g.size for b, g in zip(network.banks, network.grids, strict=True)) * item,
        4 * min(widest, BLOCK_BYTES) * depth + feature_bytes,
    )


def _all(plan: Plan) -> Iterator[Group]:
    return (group for layer in plan.groups for group in layer)


def _transform_operations(n: int) -> float:
    return TRANSFORM * n * math.log2(max(n, 2))


def _edge_operations(edge: Edge) -> float:
    """Filters, inverse transforms and moduli of all maps of an edge."""
    filters = (8.0 if edge.packed.weights.dtype.kind == "c" else 4.0) * len(edge.packed.weights)
    samples = math.prod(edge.packed.target)
    return len(edge.parents) * (filters + len(edge) * (_transform_operations(samples) + 4.0 * samples))


def _group_operations(group: Group) -> float:
    """Forward transform of a map, if it has children, and its output map."""
    total = _transform_operations(group.size) if group.edges else 0.0
    output = group.output
    if output is None:
        return total
    if output.spectral is not None:
        forward = 0.0 if group.edges else _transform_operations(group.size)
        filtered = 4.0 * len(output.spectral.weights) + _transform_operations(math.prod(output.target))
        return total + APART * (forward + filtered)
    shape = list(group.shape)
    for axis in reversed(range(len(shape))):
        used = (output.matrices[axis] != 0).sum()
        total += 2.0 * float(used) * math.prod(shape) / shape[axis]
        shape[axis] = len(output.matrices[axis])
    if output.mixing is not None:
        total += PRODUCT * mixing_cost(shape, [len(m) for m in output.mixing.samples])
    return total


def _edge_bytes(edge: Edge, item: int) -> int:
    packed = edge.packed
    size = 2 * item if packed.weights.dtype.kind == "c" else item
    return len(packed.weights) * size + len(packed.length) * 20


def _used(edge: Edge) -> int:
    """Source frequencies that some filter of an edge uses, at most."""
    return min(math.prod(edge.packed.source), len(edge.packed.weights))


def _output_bytes(group: Group, item: int) -> int:
    return sum(m.size * item for m in group.output.matrices) if group.output is not None else 0


def working_bytes(plan: Plan, batch: int, device: str = "cpu") -> int:
    """Largest sum of the maps held at one time, and the kernels' own scratch memory."""
    held = min(plan.batch_chunk(batch, device), batch)
    maps = _below(plan, plan.root, held, 1, device) + held * plan.root.size * _item(plan)
    return int(BESIDE * maps) + (_scratch(plan, held) if device == "cpu" else 0)


def _scratch(plan: Plan, batch: int) -> int:
    """Bytes of the kernels' scratch memory, which stay with the threads: that of the edge that needs most."""
    largest = 0
    for edge in (edge for group in _all(plan) for edge in group.edges):
        if not edge.fusible(batch * len(edge.parents), plan.precision):
            continue
        line, size = len(edge.target.shape) == 1, edge.target.size
        _, parents = plan.chunk(edge, batch, fused=True)
        apart = batch * min(parents, len(edge.parents)) >= _kernels.LANES
        numbers = 2 * (size + (_used(edge) if apart else 0)) + (size if line else 0)
        blocks = 1 if line and size >= _kernels.LONG else torch.get_num_threads()
        largest = max(largest, blocks * _kernels.LANES * _item(plan) * numbers)
    return largest


def _steps(plan: Plan, batch: int) -> int:
    held = min(plan.batch_chunk(batch), batch)
    return math.ceil(batch / max(held, 1)) * _steps_below(plan, plan.root, held, 1)


def _steps_below(plan: Plan, group: Group, batch: int, maps: int) -> int:
    """Chunks made below some maps of a group, the maps themselves included; `maps` are spread evenly over the edges."""
    total = 1
    for edge in group.edges:
        atoms, parents = plan.chunk(edge, batch, fused=edge.fusible(batch * maps, plan.precision))
        mine = max(1, round(len(edge.parents) * maps / len(group)))
        chunks = math.ceil(mine / parents) * math.ceil(len(edge) / atoms)
        total += chunks * _steps_below(plan, edge.target, batch, min(mine, parents) * atoms)
    return total


def _below(plan: Plan, group: Group, batch: int, maps: int, device: str) -> int:
    """Bytes held below some maps of a group: their spectra, and the largest chunk among their children."""
    item = _item(plan)
    spectra = 2 * item * batch * maps * group.size if group.edges else 0
    largest = 0
    for edge in group.edges:
        fused = device == "cpu" and edge.fusible(batch * maps, plan.precision)
        atoms, parents = plan.chunk(edge, batch, fused=fused, device=device)
        children = min(parents, maps) * atoms
        target = edge.target
        if fused:
            own = target.output.held if target.output else 0
            separate = COPIES * target.size if edge.separate and not target.edges else 0
            part = item * batch * children * (own + separate)
        else:
            part = COPIES * item * batch * children * target.size
        largest = max(largest, part + _below(plan, target, batch, children, device))
    return spectra + largest
