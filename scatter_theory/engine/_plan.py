"""The plan of an extraction: which maps live on which grid, and how they follow from one another.

Maps of one layer with one shape form a group. An edge leads from some maps of a group, filtered by some atoms each, to
a group of the next layer: all its maps are made alike, so that they are made together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.engine import _kernels
from scatter_theory.engine._operators import Filters, Fused, OutputMap
from scatter_theory.engine._output import Output
from scatter_theory.engine._packing import Packed

#: Bytes of the maps side by side above which they are transformed one by one: what a processor caches.
LANE_BYTES = 8 * 2**20
#: Size aimed at for the maps held at a time: cached on a processor, large enough to keep a GPU busy; on a processor no
#: more than so many times the signals.
CHUNK_BYTES = {"cpu": 8 * 2**20, "other": 256 * 2**20}
SMALLEST_CHUNK, SIGNALS = 2**21, 3


class OnDevices:
    """Arrays of the plan as tensors, copied to a device once: later passes need nothing from the host."""

    def __init__(self) -> None:
        self._tensors: dict[tuple[str, torch.device, torch.dtype | None], Tensor] = {}

    def __call__(self, name: str, array: np.ndarray, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
        """The array on a device, in a dtype or its own."""
        key = (name, device, dtype)
        if key not in self._tensors:
            with torch.inference_mode(False):  # They are used again where gradients are wanted.
                self._tensors[key] = torch.from_numpy(array).to(dtype).to(device)
        return self._tensors[key]

    def __getstate__(self) -> dict[str, Any]:
        return {"_tensors": {}}


@dataclass(eq=False)
class Group:
    """Maps of one layer on one grid.

    Parameters
    ----------
    layer : int
    shape : tuple of int
        Samples of each map.
    rows : (n_maps,) int64 array
        Position of each map among the features of its layer.
    real : bool
        Whether the maps are real.
    output : Output, optional
        From a map to its features; None if it emits none.
    cell_volume : float
        Weight of the sum of squares in the energy of a map.
    multiplier : (*shape) complex array, optional
        Spectrum of a pooling that is still to be applied to the maps; the output map contains it.
    dropped : (kinds, table), optional
        ``|X|^2 table[kinds[q]]`` summed over the frequencies is the energy of the children that map q does not have.
    """

    layer: int
    shape: tuple[int, ...]
    rows: np.ndarray
    real: bool
    output: Output | None
    cell_volume: float = 1.0
    multiplier: np.ndarray | None = None
    dropped: tuple[np.ndarray, np.ndarray] | None = None
    edges: list[Edge] = field(default_factory=list)
    emit: OutputMap | None = None

    def __post_init__(self) -> None:
        self.on_device = OnDevices()
        self.emit = OutputMap(self.output) if self.output is not None else None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        """Samples per map."""
        return math.prod(self.shape)


@dataclass(eq=False)
class Edge:
    """Maps ``nonlinearity(u * g)`` for some maps u of a group and some atoms g, in the order of (u, g).

    Parameters
    ----------
    parents : (n_parents,) int64 array
        Positions in the group they come from, ascending.
    packed : Packed
        The atoms, from the parents' grid to that of `target`.
    target : Group
    start : int
        Position of the first map in `target`.
    nonlinearity : callable
        On tensors of maps.
    is_modulus : bool
        Whether it is the modulus.
    real : bool
        Whether the filtered maps are real before the non-linearity.
    pooling : callable, optional
        On tensors of maps, after the non-linearity.
    """

    parents: np.ndarray
    packed: Packed
    target: Group
    start: int
    nonlinearity: Callable[[Tensor], Tensor]
    is_modulus: bool
    real: bool = False
    pooling: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        self.on_device = OnDevices()
        self._parts: dict[tuple[int, int], tuple[Filters, Fused]] = {}

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def separate(self) -> bool:
        """Whether the features of the maps are made from the maps by an operation of its own."""
        return self.target.output is not None and not self.target.output.matrices

    def part(self, begin: int, end: int) -> tuple[Filters, Fused]:
        """Operators of the atoms ``begin <= a < end``."""
        if (begin, end) not in self._parts:
            filters = Filters(self.packed if end - begin == len(self) else self.packed.part(begin, end))
            emit = self.target.emit
            pooled = emit if emit is not None and emit.output.matrices else None
            self._parts[begin, end] = (filters, Fused(filters, pooled))
        return self._parts[begin, end]

    def fusible(self, items: int, precision: torch.dtype) -> bool:
        """Whether one kernel does filter, transform, modulus and averages of so many spectra on the CPU."""
        if not self.is_modulus or self.real or self.pooling is not None or not _kernels.supported(self.packed.target):
            return False
        lanes = _kernels.LANES * 2 * (torch.finfo(precision).bits // 8) * self.target.size
        return items > 0 and lanes <= LANE_BYTES and _kernels.library(precision) is not None


@dataclass(frozen=True, eq=False)
class LayerLayout:
    """Features of one layer: number of paths, output grid, whether they are real."""

    paths: int
    shape: tuple[int, ...]
    real: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be computed, before anything is.

    Parameters
    ----------
    root : Group
        The input signal; everything else hangs below it.
    groups : tuple of tuple of Group
        Groups of every layer.
    layers : tuple of LayerLayout
        Features of every layer.
    precision : torch.dtype
        ``torch.float32`` or ``torch.float64``.
    chunk_bytes : int, optional
        Aim for the size of the maps held at a time. Default: by device.
    """

    root: Group
    groups: tuple[tuple[Group, ...], ...]
    layers: tuple[LayerLayout, ...]
    precision: torch.dtype
    chunk_bytes: int | None = None

    def chunk_size(self, batch: int, device: str = "cpu") -> int:
        """Bytes aimed at for so many signals on a device."""
        if self.chunk_bytes is not None or device != "cpu":
            return self.chunk_bytes or CHUNK_BYTES["other"]
        signals = batch * self.root.size * torch.finfo(self.precision).bits // 8
        return min(CHUNK_BYTES["cpu"], max(SMALLEST_CHUNK, SIGNALS * signals))

    def batch_chunk(self, batch: int, device: str = "cpu") -> int:
        """Signals taken at a time, so that they and their spectra stay near the size aimed at."""
        item = torch.finfo(self.precision).bits // 8
        size = CHUNK_BYTES["cpu" if device == "cpu" else "other"] if self.chunk_bytes is None else self.chunk_bytes
        chosen = size // max(item * 3 * self.root.size, 1)
        least = _kernels.LANES if self.chunk_bytes is None else max(min(chosen, _kernels.LANES), 1)
        return max(chosen // _kernels.LANES * _kernels.LANES, least)

    def chunk(self, edge: Edge, batch: int, *, fused: bool, maps: bool = False, device: str = "cpu") -> tuple[int, int]:
        """Atoms and parents whose maps are made at a time; all atoms, or some atoms of one parent."""
        item, size = torch.finfo(self.precision).bits // 8, self.chunk_size(batch, device)
        if fused and not (maps or edge.separate or edge.target.edges):
            held = 2 * math.prod(edge.packed.source) + len(edge) * (
                edge.target.output.held if edge.target.output else 0
            )
            return len(edge), max(1, size // (item * max(batch, 1) * held))
        one = item * (2 if fused else 3) * max(batch, 1) * edge.target.size
        # A kernel treats so many maps side by side anyway; only a stated budget goes below that.
        least = -(-_kernels.LANES // max(batch, 1)) if fused and self.chunk_bytes is None else 1
        atoms = min(max(least, size // one), len(edge))
        return atoms, max(1, size // (one * atoms)) if atoms == len(edge) else 1

    @property
    def paths(self) -> tuple[int, ...]:
        """Paths of every layer."""
        return tuple(layout.paths for layout in self.layers)
