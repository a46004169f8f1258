"""On a pretended GPU: nothing mixes devices or reads a value on the host."""

from unittest import mock

import pytest
import torch
from fake_cuda import CUDA, _getitem, on_fake_cuda
from torch._subclasses.fake_tensor import FakeTensor

from scatter_theory.scattering import Scattering1D, Scattering2D

MADE = {
    "line": lambda: Scattering1D(4, 256, 4),
    "line, order 3, tight": lambda: Scattering1D(4, 256, 2, max_order=3, tight=True, padding="zero"),
    "line, not averaged": lambda: Scattering1D(4, 256, 2, T=0, out_type="list"),
    "line, complex": lambda: Scattering1D(3, 256, 1, complex_input=True),
    "long line": lambda: Scattering1D(6, 2**12, 1, T=8),
    "plane": lambda: Scattering2D(2, (16, 23), 3),
    "plane of few pixels": lambda: Scattering2D(3, (8, 8), 2, oversampling=1),
    "plane, periodic, complex": lambda: Scattering2D(2, (16, 24), 2, padding="periodic", complex_input=True),
}


def _setitem(x, index, value):
    """``x[index] = value`` without the device guard that a CPU build lacks."""
    torch.ops.aten.copy_.default(_getitem(x, index), value)


def coefficients(output):
    return [c["coef"] for c in output] if isinstance(output, list) else [output]


def empty(S, batch, device):
    return torch.zeros(batch, *S.shape, dtype=torch.complex64 if S.complex_input else torch.float32, device=device)


@pytest.mark.parametrize("batch", [0, 1, 6])
@pytest.mark.parametrize("name", MADE)
def test_forward_on_a_device(name, batch):
    S = MADE[name]()
    expected = coefficients(S(empty(S, batch, "cpu")))
    with mock.patch.object(FakeTensor, "__setitem__", _setitem), on_fake_cuda(S):
        found = coefficients(S(empty(S, batch, CUDA)))
        for one, other in zip(found, expected, strict=True):
            assert one.device == CUDA and one.shape == other.shape and one.dtype == other.dtype
        with pytest.raises(ValueError, match="on device cpu"):
            S(empty(S, batch, "cpu"))
