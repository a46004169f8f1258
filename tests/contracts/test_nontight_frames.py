"""Frames that are not tight: their bounds, what tightening makes of them, and their decay constants."""

import math

import numpy as np
import pytest
import pywt
import torch

from scatter_theory import Grid
from scatter_theory.frames import Filters, LogGabor, MexicanHat, Morlet, Taps

LINE = Grid.line(256)

# Bounds to the digits that a separate numpy prototype printed.
TABLE = [
    (Morlet(J=4, sided="half"), Grid.line(1024), 0.154, 1.000),
    (Morlet(J=3, sided="half"), Grid.square(64), 0.123, 1.014),
    (LogGabor(J=3, L=6), Grid.square(64), 0.294, 2.252),
    (MexicanHat(J=4, Q=2), LINE, 0.555, 2.665),
    (Taps("bior2.2", J=4), LINE, 0.907, 1.694),
    (Taps("bior4.4", J=4), LINE, 0.842, 1.106),
    (Taps("bior6.8", J=4), LINE, 0.946, 1.118),
    (Taps("bior3.9", J=4), LINE, 0.450, 4.308),
    (Taps("bior3.1", J=4), LINE, 1.0, 10.105),
    (Taps("rbio4.4", J=4), LINE, 0.907, 1.232),
    (Taps("rbio6.8", J=4), LINE, 0.925, 1.091),
    (Taps("dmey", J=4), LINE, 0.9981, 1.0148),
]
IDS = [repr(row[0]) for row in TABLE]


def noise(grid, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(grid.shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("frame", "grid", "A", "B"), TABLE, ids=IDS)
def test_bounds_of_the_table(frame, grid, A, B):
    bounds = frame.on(grid).bounds()
    assert bounds.A.value == pytest.approx(A, abs=6e-4)
    assert bounds.B.value == pytest.approx(B, abs=6e-4)


@pytest.mark.parametrize(("frame", "grid", "A", "B"), TABLE, ids=IDS)
def test_tightened(frame, grid, A, B):
    bank = frame.on(grid).tightened()
    for constant in bank.bounds():
        assert abs(constant - 1) <= 1e-12
    f = noise(grid)
    assert (bank.synthesise(bank.analyse(f)) - f).abs().max() <= 1e-12
    coefficients = bank.analyse(f)
    assert float(grid.energy(coefficients).sum() / grid.energy(f)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("frame", "grid", "A", "B"), TABLE, ids=IDS)
def test_dual_reconstructs(frame, grid, A, B):
    bank, f = frame.on(grid), noise(grid, 1)
    assert (bank.dual().synthesise(bank.analyse(f)) - f).abs().max() <= 1e-11


@pytest.mark.parametrize(("frame", "grid", "A", "B"), TABLE, ids=IDS)
def test_complement_fills_up_to_the_upper_bound(frame, grid, A, B):
    bank = frame.on(grid)
    filled = bank.complemented()
    assert torch.equal(filled.spectra[:-1], bank.spectra) and torch.equal(filled.output, bank.output)
    for constant in filled.bounds():
        assert constant == pytest.approx(bank.bounds().B.value, rel=1e-13)


# --- taps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "tolerance"), [("haar", 1e-12), ("db", 1e-12), ("coif", 1e-12), ("sym", 1e-9)])
def test_orthogonal_taps_are_tight_to_their_precision(family, tolerance):
    names = pywt.wavelist(family, kind="discrete")
    for name in names:
        lp = Taps(name, J=4).on(Grid.line(255)).littlewood_paley()
        assert (lp - 1).abs().max() <= tolerance, name
    assert len(names) == {"haar": 1, "db": 38, "coif": 17, "sym": 19}[family]


@pytest.mark.parametrize("shape", [(15,), (16,), (7,), (6, 9)], ids=str)
def test_haar_against_sums_in_space(shape):
    """Circular convolution written out sample by sample: means over blocks, and half differences of means."""
    J, grid = 2, Grid.of(shape)
    bank = Taps("haar", J=J).on(grid)
    f = noise(grid)
    coefficients = bank.analyse(f)
    assert coefficients.imag.abs().max() <= 1e-15

    def mean(g, axis, step):
        return 0.5 * (g + torch.roll(g, step, axis))

    def half_difference(g, axis, step):
        return 0.5 * (torch.roll(g, step, axis) - g)

    low, expected = f, []
    for j in range(J):
        parts = [low]
        for axis in range(len(shape)):
            parts = [op(g, axis, 2**j) for g in parts for op in (mean, half_difference)]
        expected += parts[1:]
        low = parts[0]
    for found, truth in zip(coefficients, [low, *expected], strict=True):
        assert (found.real - truth).abs().max() <= 1e-14


@pytest.mark.parametrize("name", ["db2", "sym5", "bior4.4", "rbio3.1"])
def test_energies_per_level_are_those_of_pywavelets(name):
    grid = Grid.line(64)
    f = noise(grid)
    bank = Taps(name, J=3).on(grid)
    energies = grid.energy(bank.analyse(f)).numpy()
    low, *details = pywt.swt(f.numpy(), name, level=3, trim_approx=True)
    expected = [np.sum(low**2) / 2**3] + [np.sum(d**2) / 2 ** (j + 1) for j, d in enumerate(reversed(details))]
    assert energies == pytest.approx(np.array(expected), rel=1e-12)


@pytest.mark.parametrize("shape", [(36,), (35,), (12, 15), (4, 6, 5)], ids=str)
@pytest.mark.parametrize("rate", [1, 2, 3, 1.5, 4])
def test_taps_stay_real_on_relabelled_grids(shape, rate):
    grid = Grid.of(shape)
    bank = Taps("db3", J=1).on(grid.dilate(rate), reference=grid)
    both = torch.cat([bank.output[None], bank.spectra])
    assert torch.equal(both, bank.grid.mirror(both).conj())
    assert (bank.littlewood_paley() - 1).abs().max() <= 1e-12
    assert len(bank) == (2 ** len(shape) - 1) * (1 + math.ceil(math.log2(rate)))


def test_a_finer_grid_has_the_finer_levels():
    grid = Grid.line(48)
    bank, finer = Taps("bior4.4", J=2).on(grid.dilate(4), reference=grid), Taps("bior4.4", J=4).on(grid)
    assert torch.equal(bank.spectra, finer.spectra) and torch.equal(bank.output, finer.output)
    assert bank.atoms[0].centre == (1.5,) and finer.atoms[0].centre == (0.375,)


def test_a_cutoff_keeps_the_low_pass_when_the_rate_doubles():
    slow, fast = (Grid.line(n, sample_rate=float(n), unit="s") for n in (128, 256))
    banks = [Taps("db4", cutoff=8.0).on(grid) for grid in (slow, fast)]
    assert len(banks[1]) == len(banks[0]) + 1
    assert banks[0].output.abs()[:20] == pytest.approx(banks[1].output.abs()[:20], abs=0.05)


# --- decay constants -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("J", "K"), [(2, 0.408), (4, 0.471), (6, 0.492)])
def test_decay_of_haar(J, K):
    r"""Closed form of the low-pass, :math:`|\sin(\pi 2^J w) / (2^J \sin \pi w)|`, and K times 2^J."""
    bank = Taps("haar", J=J).on(Grid.line(4096))
    w = bank.grid.frequencies()[0]
    closed = (torch.sin(math.pi * 2**J * w) / (2**J * torch.sin(math.pi * w))).abs()
    assert (bank.output.abs() - closed)[1:].abs().max() <= 1e-13
    found = Taps("haar", J=J).decay_constant()
    assert found.proves and found.value * 2**J == pytest.approx(K, abs=6e-4)
    assert found.value >= float(bank.decay_constant()) >= found.value - found.error - 1e-6


def test_decay_of_taps_by_family():
    """The ranges over the families that a separate prototype printed, on a grid."""
    K = {n: float(Taps(n, J=4).on(Grid.line(255)).decay_constant()) * 2**4 for n in pywt.wavelist(kind="discrete")}
    for family, low, high in (("db", 0.345, 0.429), ("coif", 0.346, 0.428), ("rbio4.4", 0.366, 0.366)):
        values = [K[name] for name in K if name.startswith(family) and name != "db1"]
        assert (min(values), max(values)) == pytest.approx((low, high), abs=6e-4)
    assert K["bior3.1"] == pytest.approx(13.6, abs=0.05)


@pytest.mark.parametrize("name", ["db2", "db38", "coif17", "rbio4.4", "bior3.1"])
def test_decay_over_all_frequencies_encloses_a_fine_grid(name):
    constant, grid = Taps(name, J=4).decay_constant(), float(Taps(name, J=4).on(Grid.line(1 << 14)).decay_constant())
    assert constant.proves and grid <= constant.value <= grid * (1 + 1e-3)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("name", ["haar", "bior2.2"])
def test_decay_in_several_dimensions_encloses_a_grid(name, d):
    constant = Taps(name, J=2).decay_constant(d)
    output = Taps(name, J=2).on(Grid.of((256 if d == 2 else 48,) * d)).decay_constant()
    assert output.value <= constant.value <= output.value * 1.02


@pytest.mark.parametrize(
    ("frame", "d", "K"),
    [
        (Morlet(J=3), 1, 0.6065 * 0.1 / 8),
        (Morlet(J=3), 2, 0.0302),
        (LogGabor(J=2), 2, 0.6065 * 0.33 / 4),
        (MexicanHat(J=2), 1, 0.6065 * 0.35 / 4 / math.sqrt(2)),
    ],
    ids=str,
)
def test_decay_of_a_gaussian(frame, d, K):
    found = frame.decay_constant(d)
    assert found.kind == "analytic" and found.value == pytest.approx(K, rel=2e-3)
    grid = Grid.of((2048,) if d == 1 else (256, 256))
    assert float(frame.on(grid).decay_constant()) <= found.value
    assert float(frame.on(grid).decay_constant()) == pytest.approx(found.value, rel=5e-3)


@pytest.mark.parametrize("frame", [Morlet(cutoff=5.0), LogGabor(cutoff=5.0), MexicanHat(cutoff=5.0)], ids=str)
def test_cutoff_is_the_half_power_frequency(frame):
    grid = Grid.line(2000, sample_rate=200.0, unit="s")
    power = frame.on(grid).output_power()
    at = int(torch.argmin((grid.frequencies()[0] - 5.0).abs()))
    assert float(power[at]) == pytest.approx(0.5, abs=1e-6)
    assert float(frame.on(grid).decay_constant()) == pytest.approx(float(frame.decay_constant()), rel=1e-3)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Taps("bd4", J=2), "`Taps\\(name=...\\)`: got 'bd4'.*Did you mean 'db4'"),
        (lambda: Taps("morl", J=2), "106 discrete wavelets"),
        (lambda: Taps("db2"), "either `J=` .* or `cutoff=`"),
        (lambda: Taps("db2", J=9).on(Grid.line(16)), "largest admissible J"),
        (lambda: Morlet(J=2, Q=0), "`Morlet\\(Q=...\\)`: got 0"),
        (lambda: Morlet(J=2, L=2.5), "`Morlet\\(L=...\\)`: got 2.5"),
        (lambda: Morlet(J=2, sided="left"), "`Morlet\\(sided=...\\)`: got 'left'"),
        (lambda: Morlet(J=0), "`Morlet\\(J=...\\)`: got 0"),
        (lambda: Morlet(J=2).on(Grid.cube(8)), "got d = 3"),
        (lambda: Morlet(J=2).bounds(3), "got d = 3"),
        (lambda: LogGabor(J=2, L=0), "`LogGabor\\(L=...\\)`: got 0"),
        (lambda: LogGabor(J=2, nyquist_overlap=0.5), "nyquist_overlap"),
        (lambda: LogGabor(J=2).on(Grid.cube(8)), "got d = 3"),
        (lambda: MexicanHat(J=2, Q=-1), "`MexicanHat\\(Q=...\\)`: got -1"),
        (lambda: MexicanHat(J=2, cutoff=1.0), "either `J=`"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("family", [Filters, LogGabor, MexicanHat, Morlet, Taps])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_examples_or_a_reason(family, d):
    if family in (LogGabor, Morlet) and d == 3:
        with pytest.raises(ValueError, match="defined for d = 1 or 2"):
            family.example(d)
        return
    bank = family.example(d).on(Grid.of((4, 5, 6)[:d]))
    assert bank.grid.ndim == d and len(bank) >= 1
