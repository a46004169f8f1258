"""A pretended GPU: torch's fake tensors follow devices, shapes and dtypes without computing.

Mixing devices, reading a value on the host (`.item()`, `bool`), boolean indexing and copies between devices all raise
in this mode, so that code which runs here needs nothing from the host. Gradients are out of its reach, as the backward
pass wants a real GPU: use the device ``meta`` for them.
"""

from contextlib import contextmanager
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

CUDA = torch.device("cuda:0")


def _getitem(x, index):
    """``x[index]`` from single operations: torch's own indexing asks for a device guard, which a CPU build has not."""
    index = index if isinstance(index, tuple) else (index,)
    if Ellipsis in [i for i in index if not isinstance(i, torch.Tensor)]:
        position = next(k for k, i in enumerate(index) if i is Ellipsis)
        used = sum(1 for i in index if i is not None and i is not Ellipsis)
        index = (*index[:position], *[slice(None)] * (x.ndim - used), *index[position + 1 :])
    axis, chosen = 0, {}
    for i in index:
        if isinstance(i, slice):
            x, axis = torch.ops.aten.slice.Tensor(x, axis, i.start, i.stop, i.step or 1), axis + 1
        elif i is None:
            x, axis = x.unsqueeze(axis), axis + 1
        elif isinstance(i, int):
            x = x.select(axis, i)
        else:
            chosen[axis] = i if isinstance(i, torch.Tensor) else torch.tensor(i, device=x.device)
            axis += 1
    return torch.ops.aten.index.Tensor(x, [chosen.get(a) for a in range(axis)]) if chosen else x


@contextmanager
def on_fake_cuda(module):
    """Run a block in fake mode with the module's tensors on a pretended GPU; the module is its own again afterwards."""
    tables = [table for m in module.modules() for table in (m._parameters, m._buffers)]
    real = [dict(table) for table in tables]
    shapes = [{name: tensor.to("meta") for name, tensor in table.items() if tensor is not None} for table in tables]
    with FakeTensorMode() as mode, mock.patch.object(FakeTensor, "__getitem__", _getitem):
        for table, empty in zip(tables, shapes, strict=True):
            table.update({name: FakeTensor(mode, tensor, CUDA) for name, tensor in empty.items()})
        try:
            yield mode
        finally:
            for table, tensors in zip(tables, real, strict=True):
                table.update(tensors)
