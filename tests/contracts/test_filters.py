"""Explicit and learned filters: taps and spectra, gradients, refusals."""

import math

import numpy as np
import pytest
import torch

from scatter_theory import Grid
from scatter_theory.frames import Filters


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def circular(f, taps):
    """Circular convolution, sample by sample."""
    out = np.zeros(f.shape, dtype=np.result_type(f, taps))
    for index in np.ndindex(*taps.shape):
        out += taps[index] * np.roll(f, index, axis=tuple(range(f.ndim)))
    return out


@pytest.mark.parametrize(
    ("shape", "kernel"), [((7,), (3,)), ((4,), (9,)), ((5, 6), (3, 2)), ((3, 4, 5), (2, 3, 2))], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_taps_are_circular_convolution(shape, kernel, dtype):
    """Taps longer than the grid wrap."""
    taps, output, f = randn(3, *kernel, dtype=dtype), randn(*kernel, seed=1, dtype=dtype), randn(*shape, seed=2)
    bank = Filters(taps, output).on(Grid.of(shape, sample_rate=5.0))
    assert bank.kind == ("real" if dtype == torch.float64 else "full")
    truth = [circular(f.numpy(), t.numpy()) for t in (output, *taps)]
    assert np.abs(bank.analyse(f).numpy() - np.stack(truth)).max() <= 1e-13
    if bank.kind == "real":
        assert torch.equal(bank.spectra, bank.grid.mirror(bank.spectra).conj())


def test_spectra_are_taken_as_they_are():
    grid = Grid.of((6, 5))
    taps = Filters(randn(2, 3, 3), randn(3, 3, seed=1)).on(grid)
    bank = Filters(taps.spectra, taps.output, kind="spectra").on(grid)
    assert bank.kind == "real" and torch.equal(bank.spectra, taps.spectra)
    one_sided = Filters(taps.spectra * (grid.frequencies()[0] > 0), taps.output, kind="spectra")
    assert one_sided.on(grid).kind == "full" and one_sided.sided == "both"


def test_filters_belong_to_the_samples():
    frame, grid = Filters.example(1), Grid.line(12)
    fine = frame.on(grid.dilate(3), reference=grid)
    assert torch.equal(fine.spectra, frame.on(grid).spectra)
    assert fine.atoms[0].centre == (1.5,) and frame.on(grid).atoms[0].centre == (0.5,)
    assert fine.bounds().tight


def test_decay_of_an_average():
    r"""|chi^| = |cos(pi w)|: K = w cos(pi w) where cot(pi w) = pi w."""
    w = 0.86033358901938 / math.pi
    found = Filters.example(1).decay_constant()
    assert found.proves and w * math.cos(math.pi * w) <= found.value <= w * math.cos(math.pi * w) + 2e-4
    assert Filters.example(2).decay_constant().value >= found.value


@pytest.mark.parametrize("kind", ["taps", "spectra"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_gradients_flow_through_the_bank(kind, dtype):
    grid = Grid.of((4, 3))
    shape = (2, 2) if kind == "taps" else grid.shape
    f = randn(*grid.shape, seed=5)

    def features(tensor, output):
        bank = Filters(tensor, output, kind=kind).on(grid).tightened()
        return bank.analyse(f).abs(), bank.littlewood_paley()

    tensor = randn(2, *shape, dtype=dtype).requires_grad_()
    output = randn(*shape, seed=1, dtype=dtype).requires_grad_()
    assert torch.autograd.gradcheck(features, (tensor, output))


def test_learned_filters_report_bounds_without_a_warning():
    tensor = randn(2, 3).requires_grad_()
    frame = Filters(tensor, randn(3, seed=1))
    bank = frame.on(Grid.line(8))
    assert bank.spectra.requires_grad and bank.bounds().B.value > 0 and frame.bounds().B.value > 0
    assert "A = " in repr(bank)
    assert float(bank.decay_constant()) <= frame.decay_constant().value


def test_numpy_and_single_precision():
    bank = Filters(np.array([[0.5, -0.5]]), output=torch.tensor([0.5, 0.5])).on(Grid.line(6))
    assert bank.spectra.dtype == torch.complex128 and bank.bounds().tight


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"tensor": torch.ones(3), "output": torch.ones(3)}, ValueError, "expected \\(n_atoms, k1"),
        ({"tensor": torch.ones(1, 3), "output": torch.ones(1, 3)}, ValueError, "`Filters\\(output=...\\)`.*1 axes"),
        ({"tensor": torch.ones(1, 3, dtype=torch.int64), "output": torch.ones(3)}, TypeError, "got dtype torch.int64"),
        ({"tensor": torch.ones(0, 3), "output": torch.ones(3)}, ValueError, "holds no value"),
        ({"tensor": torch.tensor([[1.0, math.nan]]), "output": torch.ones(2)}, ValueError, r"index \(0, 1\) is not"),
        ({"tensor": torch.ones(1, 3), "output": torch.tensor([1.0, math.inf])}, ValueError, r"`Filters\(output=...\)`"),
        ({"tensor": torch.ones(1, 3), "output": torch.ones(3), "kind": "fir"}, ValueError, "got 'fir'"),
        ({"tensor": torch.ones(1, 3), "output": torch.ones(4), "kind": "spectra"}, ValueError, "spectrum of shape"),
    ],
)
def test_refusals(arguments, error, words):
    with pytest.raises(error, match=words):
        Filters(**arguments)


def test_refusals_on_a_grid():
    spectra = Filters(torch.ones(1, 8), torch.ones(8), kind="spectra")
    with pytest.raises(ValueError, match=r"shape \(8,\), the grid \(9,\)"):
        spectra.on(Grid.line(9))
    with pytest.raises(ValueError, match="got d = 2, but this family is defined for d = 1"):
        spectra.on(Grid.square(8))
    with pytest.raises(NotImplementedError, match="one grid only"):
        spectra.bounds()
    with pytest.raises(NotImplementedError, match="one grid only"):
        spectra.decay_constant()
    with pytest.raises(NotImplementedError, match="too many to enclose"):
        Filters(torch.ones(1, 70, 70, 70), torch.ones(2, 2, 2)).bounds()
