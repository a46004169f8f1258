"""Tight families on random grids: A = B = 1, perfect reconstruction, exactly real filters, mean in the output only."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import TIGHT, tight_cases

from scatter_theory import frames as fr

#: Examples per family; over nine families more than 500 banks.
EXAMPLES = 58
TOLERANCE = 1e-12


def random_map(bank, seed):
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.float64 if bank.kind == "half" else torch.complex128
    return torch.randn(bank.grid.shape, dtype=dtype, generator=generator)


def test_there_are_five_hundred_banks():
    assert EXAMPLES * len(TIGHT) >= 500
    tight = {name for name in fr.__all__ if getattr(getattr(fr, name), "tight", False) is True}
    assert tight - {"Tightened"} <= set(TIGHT), "a tight family without a strategy"


@pytest.mark.parametrize("family", TIGHT)
def test_tight_on_every_grid(family):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
    )
    @given(case=tight_cases(family), seed=st.integers(0, 2**31))
    def check(case, seed):
        bank = case.bank
        assert torch.isfinite(bank.spectra.abs()).all() and torch.isfinite(bank.output).all()
        total = bank.littlewood_paley(real=bank.kind == "half")
        assert float((total - 1).abs().max()) <= TOLERANCE
        f = random_map(bank, seed)
        error = bank.dual().synthesise(bank.analyse(f)) - f
        assert float(bank.grid.norm(error) / bank.grid.norm(f)) <= TOLERANCE
        check_real_atoms(bank)
        check_mean(bank, case.frame)

    check()


def check_real_atoms(bank):
    """Atoms that are called real have exactly Hermitian spectra; the output atom always has."""
    mirrored = bank.grid.mirror(bank.spectra).conj()
    for atom, spectrum, image in zip(bank.atoms, bank.spectra, mirrored, strict=True):
        assert not atom.real or torch.equal(spectrum, image), atom.label
        assert atom.weight == pytest.approx(2**0.5 if bank.kind == "half" and not atom.real else 1.0)
    assert torch.equal(bank.output, bank.grid.mirror(bank.output))
    assert bank.kind != "real" or all(atom.real for atom in bank.atoms)


def check_mean(bank, frame):
    """Only the output atom sees the mean, but for Weyl-Heisenberg windows that reach beyond the next channel."""
    origin = (0,) * bank.grid.ndim
    wide = isinstance(frame, fr.WeylHeisenberg) and frame.window in ("bspline", "gauss")
    if not wide:
        assert bank.output[origin] == 1.0
        assert not bank.spectra[(slice(None), *origin)].any()


@pytest.mark.parametrize("family", [name for name in TIGHT if name != "Riesz"])
def test_half_banks_carry_the_energy_of_full_banks(family):
    """For real maps; atom by atom a half atom has the energy of its pair."""

    @settings(max_examples=8, derandomize=True, database=None, deadline=None)
    @given(case=tight_cases(family), seed=st.integers(0, 2**31))
    def check(case, seed):
        kwargs = {"reference": case.reference}
        auto = replace(case.frame, sided="auto")
        half, full = (auto.on(case.grid, sided=sided, **kwargs) for sided in ("half", "both"))
        f = torch.randn(case.grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        energies = [case.grid.energy(bank.analyse(f)) for bank in (half, full)]
        assert torch.allclose(energies[0].sum(), energies[1].sum(), rtol=1e-12)
        assert len(half) == sum(1.0 if atom.real else 0.5 for atom in full.atoms)
        position = 1
        for i, atom in enumerate(half.atoms, start=1):
            pair = energies[1][position : position + (1 if atom.real else 2)]
            assert torch.allclose(energies[0][i], pair.sum(), rtol=1e-9, atol=1e-12 * float(energies[0].sum()))
            position += len(pair)

    check()
