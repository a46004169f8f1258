"""Paths through the layers and the rules that choose them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.frames import Atom


class Path(tuple[int, ...]):
    """Indices ``(lambda_1, ..., lambda_n)`` of the propagating atoms, one per layer; ``Path(())`` is the input."""

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


class PathRule(ABC):
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


class StructuralRule(PathRule):
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
            ``log2 S`` of the layer between them in mode ``"dilate"``, else 0: the child's frequency axis is relabelled
            by that much.
        """


class EnergyRule(PathRule):
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
    """At most `count` paths in each layer: the most energetic ones."""

    count: int

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or int(self.count) != self.count or self.count < 1:
            raise ValueError(f"`MaximumCount(count=...)`: got {self.count!r}, expected a whole number >= 1.")

    def keep(self, shares: Tensor) -> Tensor:
        """The `count` largest shares."""
        flat = shares.flatten()
        chosen = torch.topk(flat, min(int(self.count), flat.numel())).indices
        return torch.zeros_like(flat, dtype=torch.bool).index_fill(0, chosen, True).reshape(shares.shape)


@dataclass(frozen=True)
class EnergyThreshold(EnergyRule):
    """Paths that carry at least the share `fraction` of the energy of some signal of the batch."""

    fraction: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fraction) and 0 <= self.fraction < 1):
            raise ValueError(f"`EnergyThreshold(fraction=...)`: got {self.fraction!r}, expected a number in [0, 1).")

    def keep(self, shares: Tensor) -> Tensor:
        """Shares at or above the threshold."""
        return shares >= self.fraction
