r"""Plan of a feature extractor: on which grid each map is sampled, and what that leaves out.

A map :math:`u * g` is a trigonometric polynomial; its samples at m points per axis are exact for any m
(`_packing`), and so are those of a pointwise function of it. What is lost is what a coarse grid cannot tell: the
spectrum of :math:`|u * g|` beyond its Nyquist frequency. With m at least the number of frequencies of the atom the
energy of the map is kept to rounding, because :math:`|u * g|^2` has no multiple of m among its frequencies but 0.

Pooling by relabelling the grid costs nothing; an average is a multiplier, applied in the next layer; other poolings,
and the averages and maxima of mode ``"decimate"``, need every sample and get it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scatter_theory.engine._output import is_hermitian, output_map
from scatter_theory.engine._packing import comfortable, pack, reaches, restricted, widths
from scatter_theory.engine._plan import Edge, Group, LayerLayout, Plan
from scatter_theory.frames import Bank
from scatter_theory.grid import Grid
from scatter_theory.layers import Layer
from scatter_theory.nonlinearities import Modulus, Nonlinearity
from scatter_theory.paths import AllPaths, Path, PathRule, PathTree
from scatter_theory.poolings import Average, NoPooling, Sampling, Subsample

#: Values below this share of an atom's peak are left out, per precision.
DROP = {torch.float32: 1e-7, torch.float64: 1e-15}
#: Share of the peak above which the frequencies of an atom count for the sampling of its maps.
SAMPLED_ABOVE = 1e-3
#: The modulus of a real map has kinks along lines, that of a complex one at points only: its grid is finer.
KINKS = 2.0
#: The same for an output atom: what lies below is not lost, but counts in no energy.
EMITTED_ABOVE = 1e-4


def emitted_shape(bank: Bank) -> tuple[int, ...]:
    """Output grid that holds the frequencies of a bank's output atom."""
    found = widths(bank.output.detach().cpu().numpy(), EMITTED_ABOVE)
    return tuple(comfortable(w, size) for w, size in zip(found, bank.grid.shape, strict=True))


class NetworkPlanner:
    """Builds the plan layer by layer.

    Parameters
    ----------
    layers, grids, banks : sequences
        Layers 1..N; grids and banks of layers 0..N, the last bank for its output atom only.
    real : sequence of bool
        Whether the maps of layers 0..N are real.
    tree : PathTree
    rule : PathRule
        The rule behind the tree: dropped children are booked unless it keeps all.
    sampling : str
    oversampling : float
        Samples per axis and frequency of the atom, at least.
    dtype : torch.dtype
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        grids: Sequence[Grid],
        banks: Sequence[Bank],
        real: Sequence[bool],
        tree: PathTree,
        rule: PathRule,
        sampling: Sampling,
        oversampling: float,
        dtype: torch.dtype,
    ) -> None:
        self.layers, self.grids, self.banks, self.real = layers, grids, banks, real
        self.tree, self.rule, self.sampling, self.oversampling = tree, rule, sampling, oversampling
        self.dtype, self.drop = dtype, DROP[dtype]
        self._spectra = [bank.spectra.detach().cpu().numpy() for bank in banks]
        self._chi = [bank.output.detach().cpu().numpy() for bank in banks]
        self._emitted = [emitted_shape(bank) for bank in banks]
        self._children: dict[Path, list[int]] = {}
        for level in tree.levels[1:]:
            for path in level:
                self._children.setdefault(Path(path[:-1]), []).append(path[-1])

    def plan(self) -> Plan:
        """The plan."""
        root = self._group(0, self.grids[0].shape, [Path(())], None)
        groups, members = [(root,)], {id(root): [Path(())]}
        for n in range(len(self.layers)):
            rows = {q: i for i, q in enumerate(self.tree.levels[n + 1])}
            wanted = [
                (shape, parent, parents, atoms)
                for parent in groups[n]
                for (shape, atoms), parents in self._wanted(n, parent, members[id(parent)]).items()
            ]
            made = []
            for shape in sorted({w[0] for w in wanted}, reverse=True):
                mine = [w for w in wanted if w[0] == shape]
                paths = [members[id(g)][p].child(a) for _, g, parents, atoms in mine for p in parents for a in atoms]
                group = self._group(n + 1, shape, paths, rows)
                members[id(group)] = paths
                start = 0
                for _, parent, parents, atoms in mine:
                    self._connect(n, parent, group, start, parents, list(atoms))
                    start += len(parents) * len(atoms)
                made.append(group)
            groups.append(tuple(made))
        layouts = tuple(
            LayerLayout(len(level), self._emitted[n], self.real[n] and is_hermitian(self._chi[n]))
            for n, level in enumerate(self.tree.levels)
        )
        return Plan(root, tuple(groups), layouts, self.dtype)

    # ------------------------------------------------------------------ shapes

    def _coarsens(self, n: int) -> bool:
        """Whether the pooling of layer n + 1 is content with coarse samples of the maps."""
        free = (NoPooling, Subsample, Average) if self.sampling == "dilate" else (NoPooling, Subsample)
        return isinstance(self.layers[n].pooling, free)

    def _wanted(
        self, n: int, parent: Group, paths: Sequence[Path]
    ) -> dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]]:
        """Products of parents and atoms whose maps have one shape."""
        shapes = self._map_shapes(n, parent.shape)
        found: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
        for position, q in enumerate(paths):
            split: dict[tuple[int, ...], list[int]] = {}
            for a in self._children.get(q, ()):
                split.setdefault(shapes[a], []).append(a)
            for shape, atoms in split.items():
                found.setdefault((shape, tuple(atoms)), []).append(position)
        return found

    def _map_shapes(self, n: int, source: tuple[int, ...]) -> list[tuple[int, ...]]:
        r"""Grids on which the maps of layer n + 1 are sampled, atom by atom.

        The modulus brings every map to the origin, where :math:`|v|^2` has at most w frequencies on either side if v
        has w: with :math:`m \ge w + w'/2` samples none of its aliases reaches the w' frequencies of the next output
        atom. Other non-linearities leave a map where it is, so that the grid must hold its largest frequency.
        """
        limit = self.grids[n + 1].shape
        if not self._coarsens(n):
            return [limit] * len(self._spectra[n])
        modulus = isinstance(self.layers[n].nonlinearity, Modulus)
        emitted = [w / 2 if modulus else 0.0 for w in widths(self._chi[n + 1], SAMPLED_ABOVE)]
        shapes = []
        for g, atom in zip(self._spectra[n], self.banks[n].atoms, strict=True):
            found = (widths if modulus else reaches)(restricted(g, source), SAMPLED_ABOVE)
            finer = self.oversampling * (KINKS if modulus and atom.real and self.real[n] else 1.0)
            shapes.append(
                tuple(comfortable((w + e) * finer, most) for w, e, most in zip(found, emitted, limit, strict=True))
            )
        return shapes

    # ------------------------------------------------------------------ groups and edges

    def _group(self, n: int, shape: tuple[int, ...], paths: Sequence[Path], rows: dict[Path, int] | None) -> Group:
        multiplier = self._multiplier(n, shape)
        chi = restricted(self._chi[n], shape)
        chi = chi if multiplier is None else chi * multiplier
        output = output_map(
            _even_at_nyquist(chi) if self.real[n] and is_hermitian(self._chi[n]) else chi,
            self._emitted[n],
            drop=self.drop,
            transformed=n < len(self.layers) and multiplier is None,
            precision=self.dtype,
            real_maps=self.real[n],
        )
        return Group(
            n,
            shape,
            np.array([rows[q] for q in paths] if rows is not None else [0], np.int64),
            self.real[n],
            output,
            cell_volume=self.grids[n].cell_volume * self.grids[n].size / math.prod(shape),
            multiplier=multiplier,
            dropped=self._dropped(n, shape, paths),
        )

    def _multiplier(self, n: int, shape: tuple[int, ...]) -> np.ndarray | None:
        """Spectrum of the average between layers n - 1 and n, at the frequencies of the maps."""
        if n == 0 or self.sampling != "dilate" or not isinstance(self.layers[n - 1].pooling, Average):
            return None
        return _even_at_nyquist(restricted(self.layers[n - 1].pooling.spectrum(self.grids[n - 1]).numpy(), shape))

    def _dropped(self, n: int, shape: tuple[int, ...], paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray] | None:
        if n == len(self.layers) or isinstance(self.rule, AllPaths):
            return None
        power = np.abs(restricted(self._spectra[n], shape)).reshape(len(self._spectra[n]), -1) ** 2
        kinds: dict[tuple[int, ...], int] = {}
        index = [kinds.setdefault(tuple(self._children.get(q, ())), len(kinds)) for q in paths]
        table = [np.delete(power, kept, axis=0).sum(0) for kept in map(list, kinds)]
        return np.array(index, np.int64), np.stack(table)

    def _connect(
        self, n: int, parent: Group, target: Group, start: int, parents: Sequence[int], atoms: Sequence[int]
    ) -> None:
        layer = self.layers[n]
        is_modulus = isinstance(layer.nonlinearity, Modulus)
        real = parent.real and self.banks[n].kind == "real" and not is_modulus
        full = not self._coarsens(n)
        grid = self.grids[n].shape if full else target.shape
        gain = layer.pooling.factor ** (len(grid) / 2) if self.sampling == "dilate" and not full else 1.0
        packed = pack(
            restricted(self._spectra[n][list(atoms)], parent.shape),
            grid,
            drop=self.drop,
            scale=(gain if is_modulus else 1.0) / parent.size,
            half=real,
            precision=self.dtype,
            across=SAMPLED_ABOVE if is_modulus and parent.shape == self.grids[n].shape else None,
        )
        nonlinearity = layer.nonlinearity
        if gain != 1.0 and not is_modulus:
            nonlinearity = _Scaled(nonlinearity, gain)
        pooling = _Pooled(layer, self.grids[n], self.sampling) if full else None
        parent.edges.append(
            Edge(np.array(parents, np.int64), packed, target, start, nonlinearity, is_modulus, real, pooling)
        )


def _even_at_nyquist(spectrum: np.ndarray) -> np.ndarray:
    """Hermitian part: changes a Hermitian spectrum only at the Nyquist frequencies of a coarser grid."""
    mirrored = spectrum[np.ix_(*(-np.arange(n) % n for n in spectrum.shape))]
    return (spectrum + mirrored.conj()) / 2


class _Scaled:
    """A non-linearity followed by the factor of a dilation."""

    def __init__(self, nonlinearity: Nonlinearity, factor: float) -> None:
        self.nonlinearity, self.factor = nonlinearity, factor

    def __call__(self, x: Tensor) -> Tensor:
        return self.nonlinearity(x) * self.factor


class _Pooled:
    """The pooling of a layer, on maps that have every sample."""

    def __init__(self, layer: Layer, grid: Grid, sampling: Sampling) -> None:
        self.layer, self.grid, self.sampling = layer, grid, sampling

    def __call__(self, x: Tensor) -> Tensor:
        return self.layer.pooling(x, self.grid, self.sampling)[0]
