"""Spectra written in place are those of numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scatter_theory.engine import _spectra


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (8,), (1, 1), (5, 4), (4, 5), (6, 2), (3, 4, 5), (2, 3, 6)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("large", [2**16, 4])
def test_all_frequencies(monkeypatch, large, shape, dtype):
    monkeypatch.setattr(_spectra, "LARGE", large)
    u = torch.randn(2, 3, *shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    out = torch.full(u.shape, torch.nan, dtype=torch.complex128)
    assert _spectra.spectra_into(u, out, len(shape)) is out
    np.testing.assert_allclose(out, np.fft.fftn(u.numpy(), axes=tuple(range(-len(shape), 0))), atol=1e-12)
