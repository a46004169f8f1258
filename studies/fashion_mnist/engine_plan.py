"""Frozen configurations on the fast engine of `scatter_theory`: the same features from one plan.

As a program, compares the features with those of `network.Network`. Run it with the package importable.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scatter_theory.engine import Edge, Group, LayerLayout, Output, Plan, collect, pack
from scatter_theory.nonlinearities import Modulus
from studies.fashion_mnist.dataset import load
from studies.fashion_mnist.network import SIDE, Configuration, Network

#: Share of a filter's peak below which its values are left out: the rounding of single precision.
DROP = 1e-7
#: Largest relative difference of one feature over the images that counts as agreement.
AGREEMENT = 1e-5
#: A map: the scales of its path, and its index among the maps of that path.
Node = tuple[tuple[int, ...], int]


@dataclass(frozen=True, eq=False)
class _Maps:
    """A group of the plan and its maps, in order."""

    group: Group
    nodes: list[Node]


def plan_of(configuration: Configuration) -> Plan:
    """Plan in single precision for images padded to ``configuration.pad``."""
    network = Network(configuration)
    layers = [[_maps(network, [((), 0)])]]
    for order in range(1, len(configuration.samples)):
        sizes = sorted({m for path, m in network.grids.items() if len(path) == order}, reverse=True)
        layers.append([_grown(network, layers[-1], m) for m in sizes])
    outputs = [
        LayerLayout(sum(len(maps.nodes) for maps in layer), (s, s), True)
        for layer, s in zip(layers, configuration.samples, strict=True)
    ]
    groups = tuple(tuple(maps.group for maps in layer) for layer in layers)
    return Plan(layers[0][0].group, groups, tuple(outputs), torch.float32)


def features(plan: Plan, images: Tensor) -> Tensor:
    """Outputs (batch, features) of images (batch, 28, 28), in the order of `Network.features`."""
    extra = plan.root.shape[0] - SIDE
    before, after = extra // 2, extra - extra // 2
    if extra:
        padding = (before, after, before, after)
        images = torch.nn.functional.pad(images[:, None], padding, mode="reflect").squeeze(1)
    values, _, _ = collect(plan, images)
    return torch.cat([value.flatten(1) for value in values], dim=1)


def finalists(path: Path) -> dict[str, Configuration]:
    """Goal and reason -> configuration."""
    chosen = json.loads(path.read_text())["finalists"]
    return {", ".join(entry["chosen"]): Configuration.of(entry["configuration"]) for entry in chosen}


def _maps(network: Network, nodes: list[Node]) -> _Maps:
    """Group of maps of one order on one grid."""
    first, order = nodes[0][0], len(nodes[0][0])
    paths = [path for path in network.grids if len(path) == order]
    starts = itertools.accumulate((network.widths[path] for path in paths), initial=0)
    start = dict(zip(paths, starts, strict=False))
    m, matrix = network.grids[first], network.pools[first].double().numpy()
    output = Output((m, m), (len(matrix),) * 2, (slice(None),) * 2, (matrix, matrix))
    return _Maps(Group(order, (m, m), np.array([start[path] + i for path, i in nodes]), True, output), nodes)


def _grown(network: Network, sources: list[_Maps], m: int) -> _Maps:
    """Children of the groups on one grid, with an edge for each product of parents and atoms."""
    nodes: list[Node] = []
    edges = []
    for source in sources:
        for atoms, parents in _products(network, source, m).items():
            path = source.nodes[parents[0]][0]
            spectra = torch.stack([network.filters[(*path, j)][a] for j, a in atoms]).double().numpy()
            packed = pack(spectra, (m, m), drop=DROP, scale=1 / source.group.size)
            edges.append((source.group, np.array(parents), packed, len(nodes)))
            nodes += [_child(network, source.nodes[p], j, a) for p in parents for j, a in atoms]
    maps = _maps(network, nodes)
    for group, parents, packed, start in edges:
        group.edges.append(Edge(parents, packed, maps.group, start, Modulus(), is_modulus=True))
    return maps


def _products(network: Network, source: _Maps, m: int) -> dict[tuple[tuple[int, int], ...], list[int]]:
    """(Scale, filter) of the children on a grid -> the positions of the parents that have just these."""
    found: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for position, (path, i) in enumerate(source.nodes):
        children = []
        for longer in network.paths:
            if longer[:-1] == path and network.grids[longer] == m:
                before, atom = network.pairs[longer]
                children += [(longer[-1], int(a)) for a in atom[before == i]]
        if children:
            found.setdefault(tuple(children), []).append(position)
    return found


def _child(network: Network, parent: Node, j: int, atom: int) -> Node:
    path = (*parent[0], j)
    before, atoms = network.pairs[path]
    return path, int(torch.nonzero((before == parent[1]) & (atoms == atom)))


def _length(columns: Tensor) -> Tensor:
    return torch.linalg.vector_norm(columns, dim=0)


def main() -> None:
    """Compare on a few images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="idx.gz files")
    parser.add_argument("--frozen", type=Path, default=Path(__file__).with_name("frozen.json"))
    parser.add_argument("--images", type=int, default=64)
    options = parser.parse_args()
    images = load(options.data, "t10k")[0][: options.images]
    failed = False
    for name, configuration in finalists(options.frozen).items():
        expected = Network(configuration).features(images)
        result = features(plan_of(configuration), images)
        gap = float((_length(result - expected) / _length(expected)).max())
        failed |= not gap <= AGREEMENT
        print(f"{name:14s} {result.shape[1]:5d} features, largest relative difference {gap:.1e}")
    raise SystemExit(f"differences exceed {AGREEMENT}" if failed else 0)


if __name__ == "__main__":
    main()
