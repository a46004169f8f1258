"""Room for intermediate results that is used again and again during one pass.

Chunks of maps of many sizes come and go. In the heap of the C library the freed ones would stay between the live ones,
and the process's peak would be up to twice the memory in use; fresh blocks from the operating system cost more time
than they save memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

#: Bytes of a block at least, so that it seldom has to grow: what is never touched costs no memory. Blocks above 32 MiB
#: go back to the operating system when they are freed; where chunks are small, that would cost a tenth of the time.
LARGE, SMALL = 2**25 + 1, 2**21


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
        size = math.prod(shape)
        block = self._blocks.get(depth)
        if block is None or block.numel() < size or block.dtype != dtype:
            self._blocks.pop(depth, None)
            del block
            block = self._blocks[depth] = torch.empty(max(size, self._least // dtype.itemsize + 1), dtype=dtype)
        return block[:size].view(tuple(shape))
