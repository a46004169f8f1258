"""The Morlet half bank against the filters of kymatio 0.3.0."""

import sys

import pytest
import torch

from scatter_theory import Grid
from scatter_theory.adapters import kymatio
from scatter_theory.frames import Morlet

pytest.importorskip("kymatio", reason="kymatio is not installed")


@pytest.mark.parametrize(
    ("J", "Q", "length"), [(4, 1, 1024), (6, 8, 1024), (6, 8, 4096), (3, 2, 256), (3, 8, 1024)], ids=str
)
def test_filters_in_one_dimension(J, Q, length):
    theirs = kymatio.filters1d(length, J, Q)
    ours = Morlet(J=J, Q=Q, sided="half").on(Grid.line(length))
    assert tuple(atom.scale for atom in ours.atoms) == theirs.j
    assert (ours.spectra - theirs.spectra).abs().max() <= 1e-6
    assert (ours.output - theirs.output).abs().max() <= 1e-12


@pytest.mark.parametrize(("J", "L", "shape"), [(3, 8, (64, 64)), (2, 6, (32, 32)), (2, 5, (48, 16))], ids=str)
def test_filters_in_two_dimensions(J, L, shape):
    theirs = kymatio.filters2d(shape, J, L)
    ours = Morlet(J=J, L=L, sided="half").on(Grid.of(shape))
    assert tuple(atom.scale for atom in ours.atoms) == theirs.j
    assert (ours.spectra - theirs.spectra).abs().max() <= 1e-6
    assert (ours.output - theirs.output).abs().max() <= 1e-6


@pytest.mark.parametrize(
    ("frame", "grid", "real", "plain"),
    [
        (Morlet(J=4, sided="half"), Grid.line(1024), (0.154, 1.000), (0.0, 1.239)),
        (Morlet(J=6, Q=8, sided="half"), Grid.line(4096), (2.9e-4, 1.000), (0.0, 1.128)),
        (Morlet(J=3, sided="half"), Grid.square(64), (0.12299, 1.01363), (0.00079, 1.97572)),
        (Morlet(J=4, sided="half"), Grid.square(256), (0.12298, 1.04745), (0.00077, 2.02037)),
    ],
    ids=["1-D", "1-D Q=8", "2-D 64", "2-D 256"],
)
def test_littlewood_paley_of_kymatio(frame, grid, real, plain):
    """Bounds of kymatio's own filters, for real and for complex signals: above one in two dimensions."""
    bank = frame.on(grid)
    for expected, found in ((real, bank.bounds(real=True)), (plain, bank.bounds(real=False))):
        for number, constant in zip(expected, (found.A, found.B), strict=True):
            assert constant.value == pytest.approx(number, rel=5e-4, abs=5e-6)


def test_full_bank_has_the_even_part_of_the_half_bank():
    half, full = (Morlet(J=3, sided=s).on(Grid.of((32, 24))) for s in ("half", "both"))
    assert len(full) == 2 * len(half)
    assert torch.allclose(full.littlewood_paley(), half.littlewood_paley(real=True), rtol=0, atol=1e-14)
    assert torch.equal(half.spectra[3], 2**0.5 * full.spectra[6])


@pytest.mark.parametrize(("d", "frame"), [(1, Morlet(J=3)), (1, Morlet(J=3, Q=4)), (2, Morlet(J=2, L=4))], ids=str)
def test_a_finer_grid_has_the_finer_octaves(d, frame):
    """Relabelled to twice the rate, the family of J octaves is that of J + 1."""
    grid = Grid.of((32,) * d)
    finer = Morlet(J=frame.J + 1, Q=frame.Q, L=frame.L).on(grid)
    bank = frame.on(grid.dilate(2), reference=grid)
    assert len(bank) == len(finer) and torch.equal(bank.spectra, finer.spectra)
    assert torch.equal(bank.output, finer.output)
    assert {(a.centre, a.scale) for a in frame.on(grid).atoms} < {(a.centre, a.scale) for a in bank.atoms}


def test_a_missing_kymatio_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("kymatio.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kymatio", None)
    with pytest.raises(ModuleNotFoundError, match="Install the extra"):
        kymatio.filters1d(64, 2)
