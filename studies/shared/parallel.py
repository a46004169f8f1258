"""Training in several processes with torch's DistributedDataParallel, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Place:
    """Which of the processes this is, its device, and the precision there.

    Parameters
    ----------
    rank, world : int
        Number of this process, from 0, and number of all.
    device : str
        Torch device of the model.
    precision : {"float32", "bfloat16", "float16"}
        Anything but ``"float32"``: automatic mixed precision with this type. ``"float16"`` scales the loss, and leaves
        out steps whose gradients overflow.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"
    precision: Precision = "float32"

    @property
    def share(self) -> slice:
        """Which images of a batch belong to this process."""
        return slice(self.rank, None, self.world)

    @property
    def kind(self) -> str:
        """Kind of device, ``"cpu"`` or ``"cuda"``."""
        return torch.device(self.device).type

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, on its device, with its gradients averaged over all processes."""
        model.to(self.device)
        if self.world == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device] if self.kind == "cuda" else None)

    def total(self, x: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.world > 1:
            distributed.all_reduce(x)
        return x

    def copy_buffers(self, model: nn.Module) -> None:
        """Give every process the running statistics of the first, which are those that are saved."""
        if self.world > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def wait(self) -> None:
        """Wait for the other processes."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def place(device: str, precision: Precision = "float32") -> Iterator[Place]:
    """Join the processes that ``torchrun`` has started, or be the only one.

    Parameters
    ----------
    device : str
        ``"cuda"``, on which process i of a machine has GPU i, or ``"cpu"``.
    precision : {"float32", "bfloat16", "float16"}
        As for `Place`.
    """
    rank, world, local = (int(os.environ.get(key, default)) for key, default in _VARIABLES)
    if device == "cuda":
        torch.cuda.set_device(local)
        device = f"cuda:{local}"
    if world == 1:
        yield Place(device=device, precision=precision)
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Place(rank, world, device, precision)
    finally:
        distributed.destroy_process_group()


_VARIABLES = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
