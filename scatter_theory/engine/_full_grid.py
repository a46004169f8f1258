"""The exact executor: every map on the full grid of its layer, expanded depth first in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from scatter_theory.frames import Bank
from scatter_theory.grid import Grid
from scatter_theory.layers import Layer
from scatter_theory.paths import EnergyRule, Path, PathTree, refuse_above
from scatter_theory.poolings import Sampling

#: Bytes of one block of propagated maps during extraction.
BLOCK_BYTES = 64 * 2**20


class Network(Protocol):
    """What the executor needs to know of an extractor."""

    layers: tuple[Layer, ...]
    grids: tuple[Grid, ...]
    banks: tuple[Bank, ...]
    sampling: Sampling
    max_bytes: int
    memory: int | None

    def atoms(self, n: int) -> Tensor:
        """Spectra ``(n_atoms, *shape)`` of the propagating atoms of layer n + 1, on the device."""

    def output_atom(self, n: int) -> Tensor:
        """Spectrum ``(*shape)`` of the output atom of layer n, on the device."""

    def emits_real(self, n: int) -> bool:
        """Whether the output atom of layer n keeps real maps real."""

    def bytes_per_path(self) -> list[int]:
        """Bytes of the features of one path and one signal, for layers 0..N."""


@dataclass(frozen=True, eq=False)
class Block:
    """Several nodes of one layer: U and S of shape ``(batch, n_paths, *shape)``, energy of dropped children."""

    paths: tuple[Path, ...]
    U: Tensor
    S: Tensor
    pruned: Tensor


class FullGrid:
    """Expansion of a network without any approximation but rounding.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    @property
    def block_bytes(self) -> int:
        """Bytes of one block of propagated maps: four of them per layer stay within a stated budget."""
        memory = self.network.memory
        return BLOCK_BYTES if memory is None else min(BLOCK_BYTES, max(memory // (8 * self.depth), 1))

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.network.layers)

    def propagate(self, n: int, spectrum: Tensor, complex_maps: bool) -> Tensor:
        """Non-linearity and pooling of layer n + 1 on filtered spectra ``(..., *shape)``."""
        layer, grid = self.network.layers[n], self.network.grids[n]
        V = grid.ifft(spectrum)
        V = V.real if self.network.banks[n].kind == "real" and not complex_maps else V
        return layer.pooling(layer.nonlinearity(V), grid, self.network.sampling)[0]

    def blocks(self, x: Tensor, tree: PathTree) -> Iterator[tuple[int, Block]]:
        """Layer and nodes, depth first, for signals ``(batch, *shape)``."""
        yield from self._expand(x.unsqueeze(1), (Path(()),), 0, tree)

    def _expand(self, U: Tensor, paths: tuple[Path, ...], n: int, tree: PathTree) -> Iterator[tuple[int, Block]]:
        grid = self.network.grids[n]
        spectrum = grid.fft(U)
        S = grid.ifft(spectrum * self.network.output_atom(n))
        S = S.real if self.network.emits_real(n) and not U.is_complex() else S
        if n == self.depth:
            yield n, Block(paths, U, S, torch.zeros(U.shape[0], dtype=torch.float64, device=U.device))
            return
        children = tree.children(paths)
        yield n, Block(paths, U, S, self._pruned(n, spectrum, paths, children))
        atoms = self.network.atoms(n)
        size = max(1, self.block_bytes // (2 * U.element_size() * max(U.shape[0], 1) * grid.size))
        for start in range(0, len(children), size):
            part = children[start : start + size]
            parents = torch.tensor([p for p, _, _ in part], device=U.device)
            chosen = torch.tensor([a for _, a, _ in part], device=U.device)
            filtered = spectrum.index_select(1, parents) * atoms.index_select(0, chosen)
            V = self.propagate(n, filtered, U.is_complex())
            yield from self._expand(V, tuple(q for _, _, q in part), n + 1, tree)

    def _pruned(
        self, n: int, spectrum: Tensor, paths: Sequence[Path], children: Sequence[tuple[int, int, Path]]
    ) -> Tensor:
        """Energy of the candidates that are not expanded, summed over the block, ``(batch,)``."""
        bank = self.network.banks[n]
        if len(children) == len(paths) * len(bank):
            return torch.zeros(spectrum.shape[0], dtype=torch.float64, device=spectrum.device)
        kept = {(p, a) for p, a, _ in children}
        dropped = [[float((p, a) not in kept) for a in range(len(bank))] for p in range(len(paths))]
        weights = torch.tensor(dropped, dtype=torch.float64, device=spectrum.device)
        return (self._candidate_energies(n, spectrum) * weights).sum((1, 2))

    def _candidate_energies(self, n: int, spectrum: Tensor) -> Tensor:
        """``||u * g||^2`` for every map and atom by Parseval, ``(batch, n_paths, n_atoms)``, float64."""
        grid = self.network.grids[n]
        power = _abs2(spectrum).flatten(2) * (grid.cell_volume / grid.size)
        return power @ _abs2(self.network.atoms(n)).flatten(1).T

    def collect(self, x: Tensor, tree: PathTree) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Features of every layer, energies W_n and pruned energy, for signals ``(batch, *shape)``."""
        parts = [self._collect(chunk, tree) for chunk in self.batches(x)]
        if len(parts) == 1:
            return parts[0]
        values, remainder = ([torch.cat(layer) for layer in zip(*(p[k] for p in parts), strict=True)] for k in (0, 1))
        return values, remainder, torch.cat([p[2] for p in parts])

    def _collect(self, x: Tensor, tree: PathTree) -> tuple[list[Tensor], list[Tensor], Tensor]:
        values: list[list[Tensor]] = [[] for _ in tree.levels]
        remainder = [torch.zeros(x.shape[0], dtype=torch.float64, device=x.device) for _ in tree.levels]
        pruned = torch.zeros(x.shape[0], dtype=torch.float64, device=x.device)
        for n, block in self.blocks(x, tree):
            values[n].append(block.S)
            remainder[n] = remainder[n] + self.network.grids[n].energy(block.U).sum(1)
            pruned = pruned + block.pruned
        empty = [x.new_zeros((x.shape[0], 0, *g.shape)) for g in self.network.grids]
        return [torch.cat(v, 1) if v else e for v, e in zip(values, empty, strict=True)], remainder, pruned

    def batches(self, x: Tensor) -> list[Tensor]:
        """Chunks of the batch for which one layer's block stays bounded; at least one chunk."""
        widest = max(g.size * max(len(b), 1) for g, b in zip(self.network.grids, self.network.banks, strict=True))
        size = max(1, self.block_bytes // (2 * x.element_size() * widest))
        return list(x.split(size)) if x.shape[0] > size else [x]

    @torch.no_grad()
    def energy_tree(self, x: Tensor, rule: EnergyRule) -> PathTree:
        """Paths chosen by an energy rule for this batch, layer by layer; needs host synchronisation.

        The layers before are expanded anew for every layer, so that no more than one block is held at a time.
        """
        levels, sizes = [[Path(())]], self.network.bytes_per_path()
        used = sizes[0]
        for n in range(self.depth):
            level = []
            if x.shape[0] > 0 and levels[n]:
                pairs = torch.nonzero(rule.keep(self._shares(n, x, PathTree(levels))))
                refuse_above(self.network.max_bytes, n + 1, len(pairs), used, sizes[n + 1])
                level = [levels[n][p].child(a) for p, a in pairs.tolist()]
            used += len(level) * sizes[n + 1]
            levels.append(level)
        return PathTree(levels)

    def _shares(self, n: int, x: Tensor, tree: PathTree) -> Tensor:
        """Largest share of a signal's energy in every candidate of layer n + 1, ``(n_parents, n_atoms)``."""
        chunks = []
        for chunk in self.batches(x):
            total = self.network.grids[0].energy(chunk).clamp_min(torch.finfo(torch.float64).tiny)
            nodes = self.blocks(chunk, tree)
            energies = [self._candidate_energies(n, self.network.grids[n].fft(b.U)) for m, b in nodes if m == n]
            chunks.append((torch.cat(energies, 1) / total[:, None, None]).amax(0))
        return torch.stack(chunks).amax(0)


def _abs2(x: Tensor) -> Tensor:
    return (x.real.double() ** 2 + x.imag.double() ** 2) if x.is_complex() else x.double() ** 2
