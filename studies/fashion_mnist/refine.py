"""Neighbours of the best networks so far: one or two settings changed, or the settings of two networks exchanged."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from studies.fashion_mnist.banks import CENTRE, KYMATIO_CUT
from studies.fashion_mnist.network import Configuration, Network

#: One line of the table of a search.
Row = dict[str, str | float]
#: Share by which a parent may exceed the limits of a goal.
SLACK = 1.2
#: Number of best networks that have offspring, and share of the offspring left to the better ones.
PARENTS, SHARE = 6, 0.7

CUTS = (0.22, 0.25, 0.28, 0.3, KYMATIO_CUT, 0.36, 0.4, 0.45, 0.5)
SLANTS = (0.35, 0.42, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2)
SIGMAS = (0.6, 0.7, 0.8, 0.9, 1.0)
CENTRES = (0.28, 0.31, 0.34, CENTRE, 0.4)
TOLERANCES = (0.01, 0.03, 0.06, 0.1)
ORIENTATIONS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12)
GRIDS = (6, 8, 10, 12, 14, 16, 18, 20, 24)
PADS = (28, 30, 32, 34, 36)
SAMPLES = (4, 5, 6, 7, 8, 9)


@dataclass(frozen=True)
class Goal:
    """Limits on a network, and the transforms of the features whose worst difference from kymatio is to be small."""

    name: str
    features: int
    mflop: float
    kinds: tuple[str, ...]

    def admits(self, features: float, mflop: float, slack: float = 1.0) -> bool:
        """Whether a network of this size is within the limits."""
        return features <= self.features * slack and mflop <= self.mflop * slack

    def score(self, row: Row, label: str = "") -> float:
        """Worst difference over all folds, or with `label` ``"_fold0"`` over the first."""
        return max(float(row[f"{kind}{label}_difference"]) for kind in self.kinds)


GOALS = (
    Goal("T1", 3025, 0.55, ("linear",)),
    Goal("T2", 6000, 1.1, ("linear", "sqrt")),
    Goal("T3", 3025, 0.33, ("linear", "sqrt")),
    Goal("T4", 3025, 0.2, ("linear", "sqrt")),
)


def best(rows: list[Row], goal: Goal, slack: float = 1.0) -> list[Row]:
    """Networks evaluated on all folds and within the limits, best first."""
    folds = max((row["folds"] for row in rows), default=0)
    admitted = (r for r in rows if goal.admits(r["features"], r["mflop_total"], slack) and r["folds"] == folds)
    return sorted(admitted, key=goal.score)


def offspring(rows: list[Row], known: dict[str, Configuration], generator: random.Random) -> Iterator[Configuration]:
    """New networks within the limits, for the goals in turn; the caller adds their rows to `rows` and to `known`."""
    failures = 0
    while failures < 1000:
        for goal in GOALS:
            parents = [known[row["name"]] for row in best(rows, goal, SLACK)[:PARENTS]]
            child = _child(parents, generator) if parents else None
            failures += 1
            if child is None or child.name in known or not _fits(child, goal):
                continue
            failures = 0
            known[child.name] = child
            yield child


def neighbours(net: Configuration) -> list[Configuration]:
    """All networks that differ in one setting."""
    found = [*_bank_moves(net), *_grid_moves(net), *_path_moves(net)]
    for field in ("output", "deep"):
        low = getattr(net, field) or net.output
        found += [replace(net, **{field: replace(low, cut=cut)}) for cut in _beside(CUTS, low.cut)]
        found += [replace(net, **{field: replace(low, kind=kind)}) for kind in ("gauss", "bohman") if kind != low.kind]
    for order, samples in enumerate(net.samples):
        choices = (*_beside(SAMPLES, samples), 10, 14) if order == 0 else _beside(SAMPLES, samples)
        found += [replace(net, samples=_put(net.samples, order, value)) for value in choices if value != samples]
    found += [replace(net, pad=pad) for pad in _beside(PADS, net.pad)]
    found.append(replace(net, stride=3 - net.stride if net.stride < 3 else 1))
    return found


def _child(parents: list[Configuration], generator: random.Random) -> Configuration | None:
    weights = [SHARE**rank for rank in range(len(parents))]
    net, other = generator.choices(parents, weights, k=2)
    style = generator.random()
    if style < 0.3 and net != other:
        net = _exchange(net, other, generator)
    else:
        for _ in range(1 if style < 0.65 else 2):
            net = generator.choice(neighbours(net))
    return _plain(net) if _consistent(net) else None


def _plain(net: Configuration) -> Configuration:
    """The same network with settings left out that equal their defaults."""
    layers = [replace(x, bank=replace(x.bank, slant=None)) if x.bank.slant == 4.0 / x.bank.L else x for x in net.layers]
    return replace(net, layers=tuple(layers), deep=None if net.deep == net.output else net.deep)


def _exchange(net: Configuration, other: Configuration, generator: random.Random) -> Configuration:
    """Settings of both; layers and scale pairs stay together."""
    fields = [["layers", "paths", "stride", "pad"], ["output", "deep"], ["samples"], ["centred"]]
    taken = [name for group in fields if generator.random() < 0.5 for name in group]
    net = replace(net, **{name: getattr(other, name) for name in taken})
    return replace(net, samples=net.samples[: len(net.layers) + 1])


def _fits(net: Configuration, goal: Goal) -> bool:
    network = Network(net)
    return goal.admits(network.count(), network.flops()["total"])


def _consistent(net: Configuration) -> bool:
    """Every path has maps, on a grid that is no finer than the one before."""
    if len(net.samples) != len(net.layers) + 1 or not net.paths:
        return False
    for path in net.paths:
        grids = [layer.grids[j - 1] if j <= len(layer.grids) else 0 for layer, j in zip(net.layers, path, strict=False)]
        if not all(grids) or any(b > a for a, b in itertools.pairwise(grids)):
            return False
    return all(path[:-1] in net.paths for path in net.paths if len(path) > 2)


def _bank_moves(net: Configuration) -> Iterator[Configuration]:
    both = tuple(range(len(net.layers)))
    for changed in {both, *((i,) for i in both)}:
        for name, choices in (("slant", SLANTS), ("sigma", SIGMAS), ("centre", CENTRES), ("tolerance", TOLERANCES)):
            bank = net.layers[changed[0]].bank
            value = getattr(bank, name) or 4.0 / bank.L
            for choice in _beside(choices, value):
                yield _with_banks(net, changed, **{name: choice})
        for family in ("morlet", "morlet-tight"):
            if net.layers[changed[0]].bank.family != family:
                yield _with_banks(net, changed, family=family)
    for index in both:
        for count in _beside(ORIENTATIONS, net.layers[index].bank.L):
            yield _with_banks(net, (index,), L=count)


def _with_banks(net: Configuration, changed: tuple[int, ...], **options: object) -> Configuration:
    layers = [
        replace(layer, bank=replace(layer.bank, **options)) if i in changed else layer
        for i, layer in enumerate(net.layers)
    ]
    return replace(net, layers=tuple(layers))


def _grid_moves(net: Configuration) -> Iterator[Configuration]:
    for index, layer in enumerate(net.layers):
        for scale, m in enumerate(layer.grids):
            for size in _beside(GRIDS, m) if m else ():
                yield _with_grids(net, index, _put(layer.grids, scale, size))


def _with_grids(net: Configuration, index: int, grids: tuple[int, ...]) -> Configuration:
    return replace(net, layers=_put(net.layers, index, replace(net.layers[index], grids=grids)))


def _path_moves(net: Configuration) -> Iterator[Configuration]:
    """Add or remove one pair of scales."""
    first, second = net.layers[:2]
    for i, a in enumerate(first.grids, start=1):
        for j in range(i, second.bank.J + 1):
            if not a or j > len(first.grids):
                continue
            if (i, j) in net.paths:
                paths = tuple(path for path in net.paths if path[:2] != (i, j))
            else:
                paths = (*net.paths, (i, j))
            used = {path[1] for path in paths}
            fallback = zip(second.grids, first.grids, strict=False)
            grids = tuple((m or n) if k in used else 0 for k, (m, n) in enumerate(fallback, start=1))
            yield _with_grids(replace(net, paths=tuple(sorted(paths, key=lambda p: (len(p), p)))), 1, grids)


def _beside(choices: tuple, value: float) -> list:
    """The next smaller and the next larger choice."""
    below = [c for c in choices if c < value - 1e-9]
    above = [c for c in choices if c > value + 1e-9]
    return [*below[-1:], *above[:1]]


def _put(values: tuple, position: int, value: object) -> tuple:
    return (*values[:position], value, *values[position + 1 :])
