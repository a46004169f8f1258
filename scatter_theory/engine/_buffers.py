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

#: Bytes of a block at least: it seldom has to grow, and what is never touched costs no memory. Blocks above 32 MiB go
#: back to the operating system when they are freed.
SMALLEST = 2**25 + 1


class Room:
    """One block per depth; what was handed out for it before is overwritten."""

    def __init__(self) -> None:
        self._blocks: dict[int, Tensor] = {}

    def __call__(self, depth: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of that shape on the CPU, its values not set."""
        size = math.prod(shape)
        block = self._blocks.get(depth)
        if block is None or block.numel() < size or block.dtype != dtype:
            self._blocks.pop(depth, None)
            del block
            block = self._blocks[depth] = torch.empty(max(size, SMALLEST // dtype.itemsize + 1), dtype=dtype)
        return block[:size].view(tuple(shape))
