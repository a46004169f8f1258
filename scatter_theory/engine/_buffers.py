"""Room for intermediate results that is used again and again during one pass.

Chunks of maps of many sizes come and go. In the heap of the C library the freed ones would stay between the live ones,
and the process's peak would be up to twice the memory in use. Blocks therefore come from the operating system; what is
never touched of them costs no memory. Fresh blocks cost a short pass a fifth of its time, so that a few small ones are
kept for the next pass.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

#: Bytes of a block at least, so that it seldom has to grow: for chunks of more than `SMALL` bytes, and for others.
LARGE, SMALL = 2**25, 2**21
#: Small blocks of the last pass by depth, unless a pass has them.
_kept: dict[int, Tensor] = {}


class Room:
    """One block per depth; what was handed out for it before is overwritten.

    Parameters
    ----------
    chunk : int
        Bytes aimed at for the maps of a chunk.
    """

    def __init__(self, chunk: int) -> None:
        self._least = LARGE if chunk > SMALL else SMALL
        self._blocks: dict[int, Tensor] = {}

    def __call__(self, depth: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of that shape on the CPU, its values not set."""
        size = math.prod(shape) * dtype.itemsize
        block = self._blocks.get(depth)
        if block is None or len(block) < size:
            self._blocks.pop(depth, None)
            del block
            block = self._blocks[depth] = _block(depth, max(size, self._least))
        return block[:size].view(dtype).view(tuple(shape))

    def __del__(self) -> None:
        """Keep small blocks for the next pass."""
        _kept.update((depth, block) for depth, block in self._blocks.items() if len(block) == SMALL)


def _block(depth: int, size: int) -> Tensor:
    kept = _kept.pop(depth, None) if size == SMALL else None
    return kept if kept is not None else torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)
