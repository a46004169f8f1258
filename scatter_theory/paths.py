"""Paths through the layers and the rules that choose them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.frames import Atom
from scatter_theory.grid import is_whole


class Path(tuple[int, ...]):
    """Indices ``(lambda_1, ..., lambda_n)`` of the propagating atoms, one per layer; ``Path(())`` is the input.

    Parameters
    ----------
    iterable : iterable of int
        Index of an atom for each layer, from 0.
    """

    __slots__ = ()

    @property
    def n(self) -> int:
        """Length of the path: the layer to which it belongs."""
        return len(self)

    def child(self, index: int) -> Path:
        """The path extended by one atom."""
        return Path((*self, index))

    def __repr__(self) -> str:
        return f"q=({','.join(map(str, self))})"


class PathRule:
    """Chooses the paths that are expanded.

    Dropping paths never increases feature norms or distances, so Lipschitz and invariance bounds stay true; the energy
    identity needs the dropped energy, which `Features.pruned` books.

    Attributes
    ----------
    signal_dependent : bool
        Whether the choice depends on the signals. Then distances between features of different signals compare
        different path sets; freeze the choice with ``FixedPaths(features.paths)`` first.
    """

    signal_dependent: bool = False


class StructuralRule(PathRule, ABC):
    """A rule that knows only the labels of the atoms."""

    @abstractmethod
    def allows(self, path: Path, parent: Atom | None, index: int, child: Atom, octaves: float) -> bool:
        """Whether atom `index` may follow `path`.

        Parameters
        ----------
        path : Path
            The path so far.
        parent, child : Atom
            Last atom of the path (None at the input) and the candidate.
        octaves : float
            ``log2 S`` of the layer between them. Its output is read as ``u(S x)``, so that the frequency xi of the
            child's axis is xi / S on the parent's.
        """


class EnergyRule(PathRule, ABC):
    """A rule that looks at the energies of the candidates."""

    signal_dependent = True

    @abstractmethod
    def keep(self, shares: Tensor) -> Tensor:
        """Mask of the candidates to keep.

        Parameters
        ----------
        shares : (n_parents, n_atoms) tensor
            Largest share ``||U[q]f * g||^2 / ||f||^2`` over the batch.
        """


@dataclass(frozen=True)
class AllPaths(StructuralRule):
    """Every path."""

    def allows(self, path: Path, parent: Atom | None, index: int, child: Atom, octaves: float) -> bool:
        """True."""
        return True


@dataclass(frozen=True)
class FrequencyDecreasing(StructuralRule):
    """Paths whose scales grow strictly: each next atom is centred at a lower frequency of the original axis."""

    def allows(self, path: Path, parent: Atom | None, index: int, child: Atom, octaves: float) -> bool:
        """Whether the child is strictly coarser than the parent."""
        return parent is None or child.scale + octaves > parent.scale + 1e-9


@dataclass(frozen=True)
class FixedPaths(StructuralRule):
    """Exactly the given paths and their prefixes.

    Parameters
    ----------
    paths : iterable of paths
    """

    paths: frozenset[Path]

    def __init__(self, paths: Iterable[Iterable[int]]) -> None:
        closed = {Path(tuple(p)[:n]) for p in map(tuple, paths) for n in range(1, len(p) + 1)}
        object.__setattr__(self, "paths", frozenset(closed))

    def allows(self, path: Path, parent: Atom | None, index: int, child: Atom, octaves: float) -> bool:
        """Whether the extended path is in the set."""
        return path.child(index) in self.paths


@dataclass(frozen=True)
class MaximumCount(EnergyRule):
    """At most `count` paths in each layer: the most energetic ones.

    Parameters
    ----------
    count : int
        Most paths per layer, at least 1.

    Raises
    ------
    ValueError
        If `count` is no whole number >= 1.
    """

    count: int

    def __post_init__(self) -> None:
        if not is_whole(self.count) or self.count < 1:
            raise ValueError(f"`MaximumCount(count=...)`: got {self.count!r}, expected a whole number >= 1.")

    def keep(self, shares: Tensor) -> Tensor:
        """The `count` largest shares."""
        flat = shares.flatten()
        chosen = torch.topk(flat, min(int(self.count), flat.numel())).indices
        return torch.zeros_like(flat, dtype=torch.bool).index_fill(0, chosen, True).reshape(shares.shape)


@dataclass(frozen=True)
class EnergyThreshold(EnergyRule):
    """Paths that carry at least the share `fraction` of the energy of some signal of the batch.

    Parameters
    ----------
    fraction : float
        Share of the energy of a signal, in [0, 1).

    Raises
    ------
    ValueError
        If `fraction` is not in [0, 1).
    """

    fraction: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fraction) and 0 <= self.fraction < 1):
            raise ValueError(f"`EnergyThreshold(fraction=...)`: got {self.fraction!r}, expected a number in [0, 1).")

    def keep(self, shares: Tensor) -> Tensor:
        """Shares at or above the threshold."""
        return shares >= self.fraction


class PathTree:
    """The paths that are expanded, layer by layer in lexicographic order, closed under prefixes.

    Parameters
    ----------
    levels : sequence of sequence of Path
        Paths of length 0, 1, ..., N.
    """

    def __init__(self, levels: Sequence[Sequence[Path]]) -> None:
        self.levels = tuple(tuple(level) for level in levels)
        self._children: dict[Path, list[Path]] = {}
        for level in self.levels[1:]:
            for path in level:
                self._children.setdefault(Path(path[:-1]), []).append(path)

    def children(self, paths: Sequence[Path]) -> list[tuple[int, int, Path]]:
        """(parent position, atom, path) of every child of `paths`, in order."""
        return [(i, q[-1], q) for i, path in enumerate(paths) for q in self._children.get(path, ())]


def structural_tree(
    rule: StructuralRule,
    atoms: Sequence[Sequence[Atom]],
    octaves: Sequence[float],
    bytes_per_path: Sequence[int],
    max_bytes: int,
) -> PathTree:
    """All paths that a rule allows.

    Parameters
    ----------
    rule : StructuralRule
    atoms : sequence of sequence of Atom
        Propagating atoms of layers 1..N.
    octaves : sequence of float
        Relabelling by the pooling of layers 1..N, see `StructuralRule.allows`.
    bytes_per_path : sequence of int
        Bytes of the features of one path in layers 0..N.
    max_bytes : int
        Limit for the features of one signal.

    Raises
    ------
    ValueError
        As soon as the paths listed so far need more than `max_bytes`.
    """
    levels, used = [[Path(())]], bytes_per_path[0]
    for n, candidates in enumerate(atoms):
        if isinstance(rule, AllPaths):
            refuse_above(max_bytes, n + 1, len(levels[n]) * len(candidates), used, bytes_per_path[n + 1])
        level: list[Path] = []
        for path in levels[n]:
            parent = atoms[n - 1][path[-1]] if path else None
            between = octaves[n - 1] if path else 0.0
            level += [path.child(i) for i, atom in enumerate(candidates) if rule.allows(path, parent, i, atom, between)]
            refuse_above(max_bytes, n + 1, len(level), used, bytes_per_path[n + 1])
        used += len(level) * bytes_per_path[n + 1]
        levels.append(level)
    return PathTree(levels)


def refuse_above(max_bytes: int, n: int, paths: int, used: int, bytes_per_path: int) -> None:
    """Raise ValueError if `paths` paths in layer n, after `used` bytes before it, need more than `max_bytes`."""
    needed = used + paths * bytes_per_path
    if needed > max_bytes:
        raise ValueError(
            f"`FeatureExtractor`: layer {n} alone would have at least {paths} paths, and the features of one signal "
            f"would need {needed / 2**30:.3g} GiB, above max_bytes = {max_bytes / 2**30:.3g} GiB. Use fewer layers or "
            "atoms, `paths=FrequencyDecreasing()`, sampling='decimate', or a larger max_bytes."
        )
