"""Plan of a scattering transform: wavelet moduli, each sampled as coarsely as its scale allows, then averages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from scatter_theory.engine import Edge, Group, LayerLayout, Output, Plan, output_map, pack
from scatter_theory.nonlinearities import Modulus
from scatter_theory.scattering._orders import FilterOrder
from scatter_theory.scattering._wavelets import Path, paths_of

#: Share of a filter's peak below which its values are left out, per precision.
DROP = {torch.float32: 1e-7, torch.float64: 1e-16}


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the samples are.

    Parameters
    ----------
    shape : tuple of int
        Shape of the padded signal.
    finest : int or None
        No map is sampled more coarsely than at every ``2^finest``-th sample; None for no limit.
    oversampling : int
        All maps and outputs are sampled ``2^oversampling`` times more finely.
    output_level : int or None
        Outputs are averages at every ``2^output_level``-th sample; None for the moduli themselves.
    kept : tuple of tuples of slice
        By level, the samples that belong to the signal and not to its padding.
    reduced : callable
        ``(spectra, shape) -> spectra`` at the frequencies of a coarser grid, on the last axes.
    """

    shape: tuple[int, ...]
    finest: int | None
    oversampling: int
    output_level: int | None
    kept: tuple[tuple[slice, ...], ...]
    reduced: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]

    def level(self, j: int, parent: int) -> int:
        """Sampling of the maps of a wavelet of scale j on maps sampled at level `parent`."""
        limited = j if self.finest is None else min(j, self.finest)
        return max(limited - self.oversampling, parent, 0)

    def size(self, level: int) -> tuple[int, ...]:
        """Shape of maps at every ``2^level``-th sample."""
        return tuple(n >> level for n in self.shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the features; that of a number where there are none."""
        if self.output_level is None:
            return ()
        kept, size = self.kept[self.output_level], self.size(self.output_level)
        return tuple(len(range(*part.indices(n))) for part, n in zip(kept, size, strict=True))


@dataclass(frozen=True, eq=False)
class _Maps:
    """A group of the plan, the level at which its maps are sampled, and their paths."""

    group: Group
    level: int
    paths: list[Path]


@dataclass(frozen=True, eq=False)
class _Product:
    """Maps of one group times atoms of the next order, all with children of one level.

    `parents` are positions in the group; the children are ordered by (parent, atom).
    """

    source: _Maps
    level: int
    parents: list[int]
    atoms: list[int]

    @property
    def paths(self) -> list[Path]:
        return [(*self.source.paths[p], a) for p in self.parents for a in self.atoms]


class _Builder:
    """Builds the plan order by order; the averages are made once per low-pass and level."""

    def __init__(self, orders: Sequence[FilterOrder], layout: Layout, precision: torch.dtype) -> None:
        self.orders, self.layout, self.precision, self.drop = orders, layout, precision, DROP[precision]
        self._outputs: dict[tuple[int, bool, int], Output] = {}

    def maps(self, n: int, level: int, rows: list[int], paths: list[Path], real: bool) -> _Maps:
        """Maps of order n at one level."""
        group = Group(n, self.layout.size(level), np.array(rows, np.int64), real, self._output(n, level))
        return _Maps(group, level, paths)

    def _output(self, n: int, level: int) -> Output | None:
        """The average by the low-pass of the frame that follows; after the last order, of its own."""
        if self.layout.output_level is None:
            return None
        last = n == len(self.orders)
        low = self.orders[n - 1 if last else n].low
        if (id(low), last, level) not in self._outputs:
            reduced = self.layout.reduced(low, self.layout.size(level))
            self._outputs[id(low), last, level] = self._average(reduced, not last)
        return self._outputs[id(low), last, level]

    def _average(self, low: np.ndarray, transformed: bool) -> Output:
        """From samples of maps to those of the features."""
        level = self.layout.output_level
        target, kept = self.layout.size(level), self.layout.kept[level]
        return output_map(low, target, drop=self.drop, kept=kept, transformed=transformed, precision=self.precision)

    def products(self, n: int, source: _Maps) -> Iterator[_Product]:
        """Children of the maps of a group among the paths of order n: one product for each set of atoms and level."""
        chosen: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for position, path in enumerate(source.paths):
            atoms: dict[int, list[int]] = {}
            for a, j in enumerate(self.orders[n - 1].j):
                if n == 1 or j > self.orders[n - 2].j[path[-1]]:
                    atoms.setdefault(self.layout.level(int(j), source.level), []).append(a)
            for level, indices in atoms.items():
                chosen.setdefault((level, tuple(indices)), []).append(position)
        for (level, indices), positions in chosen.items():
            yield _Product(source, level, positions, list(indices))

    def next(self, n: int, sources: list[_Maps], paths: list[Path]) -> list[_Maps]:
        """Groups of order n, connected to those of the order before."""
        row = {q: i for i, q in enumerate(paths)}
        products = [product for source in sources for product in self.products(n, source)]
        made = []
        for level in sorted({product.level for product in products}):
            mine = [product for product in products if product.level == level]
            children = [q for product in mine for q in product.paths]
            maps = self.maps(n, level, [row[q] for q in children], children, True)
            start = 0
            for product in mine:
                self._connect(n, product, maps.group, start)
                start += len(product.parents) * len(product.atoms)
            made.append(maps)
        return made

    def _connect(self, n: int, product: _Product, target: Group, start: int) -> None:
        source = product.source.group
        first, last = product.atoms[0], product.atoms[-1]
        # A slice, where it will do, is no copy.
        atoms = slice(first, last + 1) if last - first + 1 == len(product.atoms) else product.atoms
        spectra = self.layout.reduced(self.orders[n - 1].spectra[atoms], source.shape)
        packed = pack(spectra, target.shape, drop=self.drop, scale=1 / source.size, precision=self.precision)
        parents = np.array(product.parents, np.int64)
        source.edges.append(Edge(parents, packed, target, start, Modulus(), is_modulus=True))


def tree_plan(
    orders: Sequence[FilterOrder],
    layout: Layout,
    dtype: torch.dtype,
    *,
    real: bool = True,
) -> Plan:
    """Plan of the transform.

    Parameters
    ----------
    orders : sequence of FilterOrder
        Frames of orders 1, 2, ..., N. The maps of order n are averaged by the low-pass of order n + 1, the last ones by
        that of order N.
    layout : Layout
    dtype : torch.dtype
        ``torch.float32`` or ``torch.float64``.
    real : bool
        Whether signals are real.
    """
    levels = paths_of([order.j for order in orders])
    build = _Builder(orders, layout, dtype)
    generations = [[build.maps(0, 0, [0], [()], real)]]
    for n in range(1, len(levels)):
        generations.append(build.next(n, generations[-1], levels[n]))
    return Plan(
        generations[0][0].group,
        tuple(tuple(maps.group for maps in generation) for generation in generations),
        tuple(LayerLayout(len(level), layout.output_shape, real or n > 0) for n, level in enumerate(levels)),
        dtype,
    )
