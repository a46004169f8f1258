"""Tight families against published numbers: counts, decay constants, closed forms, growth with depth, refusals."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from scatter_theory import Grid
from scatter_theory import frames as fr
from scatter_theory.frames._polar import wedges
from scatter_theory.frames._profiles import Frequencies

LINE, SQUARE, CUBE = Grid.line(256), Grid.square(64), Grid.cube(24)

COUNTS = [
    (fr.Wavelets(J=4, sided="both"), LINE, 9),
    (fr.Wavelets(J=4, sided="real"), LINE, 5),
    (fr.Wavelets(J=4, sided="half"), LINE, 5),
    (fr.Wavelets(J=5, Q=2, sided="both"), LINE, 19),
    (fr.Wavelets(J=5, Q=8, sided="both"), LINE, 47),
    (fr.WeylHeisenberg(M=16, sided="both"), LINE, 16),
    (fr.WeylHeisenberg(M=15, sided="both"), LINE, 15),
    (fr.WeylHeisenberg(M=(4, 5), sided="both"), SQUARE, 20),
    (fr.WeylHeisenberg(M=3, sided="both"), CUBE, 27),
    (fr.TensorWavelets(J=3, sided="real"), SQUARE, 10),
    (fr.TensorWavelets(J=3, sided="both"), SQUARE, 25),
    (fr.TensorWavelets(J=2, sided="real"), CUBE, 15),
    (fr.DirectionalWavelets(J=3, L=8, sided="both"), SQUARE, 25),
    (fr.DirectionalWavelets(J=2, L=24, sided="both"), CUBE, 49),
    (fr.Curvelets(J=3, sided="both"), SQUARE, 41),
    (fr.Curvelets(J=3, sided="real"), SQUARE, 21),
    (fr.Curvelets(J=3, sided="half"), SQUARE, 21),
    (fr.Curvelets(J=3, alpha=0.25, sided="both"), SQUARE, 57),
    (fr.Curvelets(J=3, alpha=0.75, sided="both"), SQUARE, 41),
    (fr.Ridgelets(J=3, sided="both"), SQUARE, 57),
    (fr.Shearlets(J=3, sided="both"), SQUARE, 41),
    (fr.Shearlets(J=3, norm="max", sided="both"), SQUARE, 41),
    (fr.Shearlets(J=3, sided="real"), SQUARE, 21),
    (fr.Steerable(J=3, order=3, sided="real"), SQUARE, 13),
    (fr.Steerable(J=3, order=3, sided="both"), SQUARE, 25),
    (fr.Riesz(J=3, order=2), SQUARE, 10),
    (fr.Riesz(J=3, order=3), SQUARE, 13),
    (fr.Riesz(J=2, order=2), CUBE, 13),
]


@pytest.mark.parametrize(("frame", "grid", "filters"), COUNTS, ids=lambda value: str(value)[:40])
def test_number_of_filters(frame, grid, filters):
    bank = frame.on(grid)
    assert len(bank) + 1 == filters
    assert bank.redundancy() == filters, "one coefficient per sample and filter"
    assert len({atom.label for atom in bank.atoms}) == len(bank), "labels are not unique"


DECAY = [
    *[
        (fr.Wavelets(J=3, step=step, log=log), 1, 8, value)
        for (step, log), value in {
            ("meyer", False): "0.4282",
            ("meyer", True): "0.4045",
            ("smooth", False): "0.4263",
            ("smooth", True): "0.4030",
            ("linear", False): "0.3862",
            ("linear", True): "0.3663",
            ("sharp", False): "0.5000",
            ("sharp", True): "0.4714",
        }.items()
    ],
    (fr.Wavelets(cutoff=0.5), 1, 1, "0.4282"),
    (fr.Curvelets(J=2), 2, 4, "0.4282"),
    (fr.Ridgelets(J=2), 2, 4, "0.4282"),
    (fr.DirectionalWavelets(J=2), 3, 4, "0.4282"),
    (fr.Steerable(J=2), 2, 4, "0.4282"),
    (fr.Riesz(J=2), 3, 4, "0.4282"),
    (fr.Shearlets(J=2, norm="max"), 2, 4, "0.6056"),
    *[
        (fr.WeylHeisenberg(M=16, window=window, order=order, width=width), 1, 16, value)
        for window, order, width, value in [
            ("meyer", 2, 1.0, "0.3676"),
            ("linear", 2, 1.0, "0.3572"),
            ("bspline", 2, 1.0, "0.3849"),
            ("bspline", 4, 1.0, "0.4262"),
            ("gauss", 2, 0.5, "0.3535"),
            ("gauss", 2, 1.0, "0.4556"),
            ("gauss", 2, 2.0, "0.6443"),
        ]
    ],
]


@pytest.mark.parametrize(("frame", "d", "per", "printed"), DECAY, ids=lambda value: str(value)[:60])
def test_decay_constant_to_the_digits_of_the_table(frame, d, per, printed):
    K = frame.decay_constant(d)
    assert K.kind == "certified" and K.proves and K.unit.startswith("cycles/")
    assert K.error <= 1e-5 * K.value
    assert f"{K.value * per:.4f}" == printed


def brute_force(power, end, d, n):
    """Maximum of |x| sqrt(prod power) on a fine mesh."""
    x = torch.linspace(0.0, end, n, dtype=torch.float64)
    mesh = torch.stack(torch.meshgrid(*[x] * d, indexing="ij"))
    return float((torch.linalg.vector_norm(mesh, dim=0) * torch.sqrt(power(mesh).prod(0))).max())


def meyer(t):
    t = t.clamp(0, 1)
    return torch.cos(math.pi / 2 * t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)) ** 2


@pytest.mark.parametrize(("d", "n"), [(1, 20001), (2, 801), (3, 71)])
def test_separable_decay_constants_enclose_a_fine_search(d, n):
    rows = [
        (fr.TensorWavelets(cutoff=0.5), lambda x: meyer(3 * x - 1), 2 / 3, 1.0),
        (fr.WeylHeisenberg(M=2), meyer, 1.0, 2.0),
        (fr.WeylHeisenberg(M=2, window="bspline", order=2), lambda x: (1 - x).clamp_min(0), 1.0, 2.0),
        (fr.WeylHeisenberg(M=2, window="linear"), lambda x: torch.cos(math.pi / 2 * x) ** 2, 1.0, 2.0),
    ]
    for frame, power, end, per_unit in rows:
        K, found = frame.decay_constant(d), brute_force(power, end, d, n) / per_unit
        assert K.value - K.error <= K.value and found <= K.value
        assert K.value - found <= 20 * (end / n) ** 2 + 1.01 * K.error + 1e-9


def test_unequal_channels_enclose_a_fine_search():
    frame = fr.WeylHeisenberg(M=(2, 3), window="gauss", width=0.7)
    k = torch.arange(-12, 13, dtype=torch.float64).reshape(-1, 1)
    u = torch.linspace(0, 3, 1201, dtype=torch.float64)
    window = torch.sqrt(1 / torch.exp((2 * u * k - k**2) / 0.49).sum(0))
    radius = torch.sqrt((u[:, None] / 2) ** 2 + (u[None, :] / 3) ** 2)
    found = float((radius * window[:, None] * window[None, :]).max())
    K = frame.decay_constant(2)
    assert found <= K.value <= found + 1e-4


def test_grid_maxima_of_the_decay_constant():
    """On 1024 by 1024 samples, J = 4: the values of the sampled banks lie below the suprema."""
    grid = Grid.square(1024)
    radius = torch.linalg.vector_norm(grid.frequencies(), dim=0)
    scaled = (16 * grid.frequencies().abs() * 3 - 1).clamp_min(0)
    low = {
        "round": meyer(16 * radius * 3 - 1),
        "max": meyer(scaled.amax(0)),
        "separable": meyer(scaled).prod(0),
    }
    values = {name: 16 * float((radius * power.sqrt()).max()) for name, power in low.items()}
    assert values == pytest.approx({"round": 0.4282, "max": 0.6044, "separable": 0.5881}, abs=5e-5)
    suprema = [fr.Curvelets(J=4), fr.Shearlets(J=4, norm="max"), fr.Shearlets(J=4)]
    for value, frame in zip(values.values(), suprema, strict=True):
        assert value <= 16 * frame.decay_constant(2).value <= value + 2e-3


@pytest.mark.parametrize("d", [1, 2, 3])
def test_decay_constants_bound_every_grid(d):
    families = [fr.Wavelets, fr.TensorWavelets, fr.WeylHeisenberg, fr.Riesz]
    families += [fr.DirectionalWavelets] if d > 1 else []
    families += [fr.Curvelets, fr.Shearlets, fr.Ridgelets, fr.Steerable] if d == 2 else []
    for family, n in itertools.product(families, (8, 15)):
        frame, grid = family.example(d), Grid.of((n,) * d)
        K = frame.decay_constant(d).value
        for S in (1.0, 2.0, 1.7):
            assert frame.on(grid.dilate(S), reference=grid).decay_constant().value <= K


def test_decay_constant_of_many_wavelets_per_octave_bounds_every_reference_rate():
    frame = fr.Wavelets(cutoff=0.05, Q=8)
    K = frame.decay_constant()
    for rate in (0.1, 0.15, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4):
        grid = Grid.line(4096, sample_rate=rate)
        assert K.value - K.error <= 1.001 * frame.on(grid).decay_constant().value <= 1.001 * K.value


@pytest.mark.parametrize(
    ("p", "low", "high"), [(0.5, 0.736006, 1.036632), (1.0, 1.772270, 1.772637), (2.0, 3.544908, 3.544908)]
)
def test_raw_gaussian_channels_have_their_closed_form(p, low, high):
    frame = fr.WeylHeisenberg(M=16, window="gauss", width=p, tight=False, sided="both")
    A, B = frame.bounds()
    assert (A, B) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    assert frame.bounds().A.kind == "analytic"
    poisson = [
        p * math.sqrt(math.pi) * (1 + 2 * sum(math.exp(-((math.pi * p * m) ** 2)) * s**m for m in range(1, 9)))
        for s in (-1, 1)
    ]
    assert (A, B) == (pytest.approx(poisson[0], rel=1e-10), pytest.approx(poisson[1], rel=1e-10))
    # The grid holds u = 0 and u = 1/2, where the extremes lie.
    assert tuple(frame.on(LINE).bounds()) == (pytest.approx(A, rel=1e-10), pytest.approx(B, rel=1e-10))
    assert tuple(frame.bounds(2)) == (pytest.approx(A**2, rel=1e-10), pytest.approx(B**2, rel=1e-10))
    square = replace(frame, M=4).on(Grid.square(32))
    assert tuple(square.bounds()) == (pytest.approx(A**2, rel=1e-10), pytest.approx(B**2, rel=1e-10))
    # Between whole numbers of channels the sum stays within the bounds.
    for grid in (Grid.line(255), Grid.line(64).dilate(1.7)):
        inside = frame.on(grid, reference=Grid.line(64)).bounds() if grid.shape == (64,) else frame.on(grid).bounds()
        assert A * (1 - 1e-10) <= inside.A.value and inside.B.value <= B * (1 + 1e-10)
    K = frame.decay_constant()
    assert K.kind == "analytic" and K.value == pytest.approx(p * math.exp(-0.5) / 16, rel=1e-12)


FAMILIES = [
    (fr.Wavelets(J=3, Q=1, sided="both"), 1, 2),
    (fr.Wavelets(J=3, Q=3, sided="both"), 1, 6),
    (fr.TensorWavelets(J=3, sided="both"), 2, 8),
    (fr.DirectionalWavelets(J=3, sided="both"), 2, 8),
    (fr.Curvelets(J=3, sided="both"), 2, 32),
    (fr.Ridgelets(J=3, sided="both"), 2, 64),
    (fr.Shearlets(J=3, sided="both"), 2, 32),
    (fr.Steerable(J=3, order=2), 2, 3),
    (fr.Riesz(J=3, order=2), 2, 3),
]


@pytest.mark.parametrize(("frame", "d", "added"), FAMILIES, ids=lambda value: str(value)[:24])
def test_a_relabelled_grid_gets_one_octave_more(frame, d, added):
    """At twice the sampling rate: the old atoms unchanged below a third of the old rate, and the finer scale's."""
    grid = Grid.of((32,) * d)
    fine = Grid.of((64,) * d, length=32.0)  # the same frequencies, and as many again above them
    old, new = frame.on(grid), frame.on(fine, reference=grid)
    assert len(new) == len(old) + added
    named = {atom.label: spectrum for atom, spectrum in zip(new.atoms, new.spectra, strict=True)}
    assert {atom.label for atom in old.atoms} <= set(named)
    rows = torch.cat([torch.arange(0, 11), torch.arange(-10, 0)])
    picks = torch.meshgrid(*[rows] * d, indexing="ij")
    xi = grid.frequencies()[(slice(None), *picks)]
    inside = torch.linalg.vector_norm(xi, dim=0) <= 1 / 3
    assert torch.allclose(old.output[picks], new.output[picks], rtol=0, atol=1e-12)
    for atom, spectrum in zip(old.atoms, old.spectra, strict=True):
        assert torch.allclose(spectrum[picks][inside], named[atom.label][picks][inside], rtol=0, atol=1e-12), atom.label
    assert min(atom.scale for atom in new.atoms) < min(atom.scale for atom in old.atoms)


def test_a_cutoff_in_physical_units_is_the_same_frame():
    """Half power at 2^-(J+1) times the sampling rate; between two octaves the low-pass keeps its place."""
    grid = Grid.line(128, sample_rate=50.0, unit="s")
    for family in (fr.Wavelets, fr.TensorWavelets):
        by_octaves, by_cutoff = family(J=3).on(grid), family(cutoff=50.0 / 16).on(grid)
        assert by_cutoff.atoms == by_octaves.atoms
        assert torch.equal(by_cutoff.spectra, by_octaves.spectra) and torch.equal(by_cutoff.output, by_octaves.output)
        bank = family(cutoff=7.3).on(Grid.line(5000, length=1000 / 7.3))
        assert float(bank.output[1000]) == pytest.approx(math.sqrt(0.5), abs=1e-12)
    square = Grid((40, 40), (0.02, 0.03))
    xi, low = square.frequencies(), fr.Curvelets(cutoff=4.0).on(square).output
    assert torch.allclose(low, meyer(3 * torch.linalg.vector_norm(xi, dim=0) / 8 - 1).sqrt(), atol=1e-12)


def test_wedges_double_at_whole_steps():
    assert [wedges(8, 0.5, k) for k in range(6)] == [8, 16, 16, 32, 32, 64]
    assert [wedges(8, 1.0, k) for k in range(3)] == [8, 8, 8]
    assert wedges(8, 0.7, 10) == 64, "0.3 times 10 is three, whatever the rounding"


def test_channels_grow_with_the_sampling_rate():
    grid = Grid.line(64)
    frame = fr.WeylHeisenberg(M=8, sided="both")
    assert [len(frame.on(grid.dilate(S), reference=grid)) + 1 for S in (1, 2, 3, 1.7)] == [8, 16, 24, 13]
    assert [atom.centre[0] for atom in frame.on(grid).atoms] == pytest.approx(
        [k * s / 8 for k in (1, 2, 3) for s in (1, -1)] + [0.5]
    )


def test_atoms_stand_where_they_say():
    """Centre, orientation and scale of directional atoms, from their spectra."""
    grid = Grid.of((64, 80), sample_rate=50.0, unit="mm")
    for frame in (fr.Curvelets(J=3, sided="both"), fr.Shearlets(J=3, sided="both"), fr.TensorWavelets(J=3)):
        bank = frame.on(grid, sided="both")
        for atom, spectrum in zip(bank.atoms, bank.spectra, strict=True):
            power = spectrum.abs() ** 2
            mean = (grid.frequencies() * power).flatten(1).sum(1) / power.sum()
            angle = math.atan2(float(mean[1]), float(mean[0]))
            gap = (atom.orientation - angle + math.pi) % (2 * math.pi) - math.pi
            assert abs(gap) < 0.2, atom.label
            assert math.hypot(*atom.centre) == pytest.approx(float(torch.linalg.vector_norm(mean)), rel=0.45)
    rings = fr.Wavelets(J=2).on(grid).atoms
    assert all(atom.orientation is None and atom.real for atom in rings)


def test_slopes_run_once_around_the_circle():
    angle = torch.linspace(-math.pi, math.pi, 4001, dtype=torch.float64)[:-1]
    xi = torch.stack([torch.cos(angle), torch.sin(angle)])
    turn = Frequencies(xi).pseudo_turn
    assert float(turn.min()) >= -1 / 8 and float(turn.max()) < 7 / 8
    step = torch.diff(turn) % 1.0
    assert float(step.max()) < 1e-3 and float(step.min()) > 0, "not continuous or not rising"
    half = (Frequencies(-xi).pseudo_turn - turn) % 1.0
    assert torch.allclose(half, torch.full_like(half, 0.5), atol=1e-12)
    slopes = Frequencies(torch.tensor([[1.0, 2.0, 0.0, -3.0, 1.0], [0.5, -2.0, 1.0, 0.0, 2.0]]).double()).pseudo_turn
    assert (8 * slopes).tolist() == pytest.approx([0.5, -1.0, 2.0, 4.0, 1.5])
    assert float(Frequencies(torch.zeros(2, 1, dtype=torch.float64)).pseudo_turn) == 0.0


def test_odd_atoms_are_odd_and_steerable_atoms_rotate():
    grid = Grid.of((33, 33))
    theta = torch.atan2(grid.frequencies()[1], grid.frequencies()[0])
    for K in (1, 2, 3):
        bank = fr.Steerable(J=2, order=K).on(grid)
        x = grid.ifft(bank.spectra.to(torch.complex128))
        assert float(x.imag.abs().max()) < 1e-15
        assert torch.allclose(grid.mirror(x.real), (-1) ** K * x.real, atol=1e-15)
        # An atom turned by any angle is a combination of the K + 1 atoms of its scale.
        here = [i for i, atom in enumerate(bank.atoms) if atom.label.startswith("j=1,")]
        phase = -1j if K % 2 else 1.0
        radial = torch.sqrt((bank.spectra[here].abs() ** 2).sum(0))
        turned = phase * radial * torch.cos(theta - 0.4321) ** K
        atoms = bank.spectra[here].to(torch.complex128).flatten(1).T
        solution = torch.linalg.lstsq(atoms, turned.to(torch.complex128).flatten()[:, None]).solution
        assert torch.allclose((atoms @ solution)[:, 0], turned.flatten().to(torch.complex128), atol=1e-12)


def test_riesz_of_order_one_is_the_hilbert_transform():
    grid = Grid.line(32)
    plain, turned = fr.Wavelets(J=2, sided="real").on(grid), fr.Riesz(J=2, order=1).on(grid)
    sign = torch.sign(grid.frequencies()[0])
    for i in range(len(plain)):
        # At the Nyquist frequency the phase is dropped.
        expected = torch.where(torch.arange(32) == 16, plain[i] + 0j, -1j * sign * plain[i])
        assert torch.allclose(turned[i], expected, atol=1e-15)


def test_nyquist_overlap_removes_the_jump_of_the_finest_atom():
    """Energy of the finest one-sided wavelet outside the central half of the line, n = 256."""
    shares = []
    for overlap in (0.0, 0.1):
        bank = fr.Wavelets(J=4, sided="half", nyquist_overlap=overlap).on(LINE)
        x = LINE.ifft(bank.spectra[-1].to(torch.complex128)).abs() ** 2
        shares.append(float(x[64:192].sum() / x.sum()))
    assert shares[0] == pytest.approx(8.7e-4, rel=0.02) and shares[1] == pytest.approx(1.9e-12, rel=0.1)


def test_empty_atoms_are_left_out():
    """Wedges between two bins of a short grid do not live on it."""
    bank = fr.Ridgelets(J=2, sided="both").on(Grid.square(8).dilate(4), reference=Grid.square(8))
    assert (bank.supports() > 0).all()
    assert len(bank) < 8 + 16 + 32 + 64


@pytest.mark.parametrize(
    "name",
    [name for name in fr.__all__ if name not in ("Atom", "Bank", "Frame", "FrameBounds", "LearnedConv", "from_conv")],
)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_every_frame_has_an_example_or_says_why_not(name, d):
    family = getattr(fr, name)
    try:
        frame = family.example(d)
    except ValueError as refusal:
        assert name in str(refusal) and f"d = {d}" in str(refusal)
        return
    assert d in frame.dims
    grid = Grid.of((8,) * d)
    bank = frame.on(grid)
    assert bank.grid == grid and len(bank) >= 1 and bank.description == repr(frame)
    assert d > 1 or frame.decay_constant(d).value > 0


def test_frames_of_another_dimension_are_refused():
    for frame in (fr.Curvelets(J=1), fr.Shearlets(J=1), fr.Ridgelets(J=1), fr.Steerable(J=1)):
        name = type(frame).__name__
        for d in (1, 3):
            with pytest.raises(ValueError, match=rf"`{name}.on`: got d = {d}, but this family is defined for d = 2"):
                frame.on(Grid.of((8,) * d))
            with pytest.raises(ValueError, match=rf"`{name}.decay_constant`: got d = {d}"):
                frame.decay_constant(d)
    with pytest.raises(ValueError, match="d = 2 or 3"):
        fr.DirectionalWavelets(J=1).on(Grid.line(8))
    with pytest.raises(ValueError, match="got d = 1, but this family is defined for d = 2"):
        fr.WeylHeisenberg(M=(4, 5)).on(Grid.line(8))


REFUSALS = [
    (lambda: fr.TensorWavelets(), r"`TensorWavelets`: give either `J=`"),
    (lambda: fr.TensorWavelets(J=2, cutoff=0.1), r"`TensorWavelets`: give either `J=`"),
    (lambda: fr.TensorWavelets(J=0), r"`TensorWavelets\(J=...\)`: got 0"),
    (lambda: fr.TensorWavelets(cutoff=-1.0), r"`TensorWavelets\(cutoff=...\)`: got -1.0"),
    (lambda: fr.TensorWavelets(J=1, step="cubic"), r"`TensorWavelets\(step=...\)`: got 'cubic'"),
    (lambda: fr.Curvelets(J=1, L0=5), r"`Curvelets\(L0=...\)`: got 5, expected .* multiple of 2"),
    (lambda: fr.Curvelets(J=1, L0=2), r"`Curvelets\(L0=...\)`: got 2"),
    (lambda: fr.Curvelets(J=1, alpha=1.5), r"`Curvelets\(alpha=...\)`: got 1.5"),
    (lambda: fr.Curvelets(J=1, overlap=0.0), r"`Curvelets\(overlap=...\)`: got 0.0"),
    (lambda: fr.Curvelets(J=1, sided="one"), r"`Curvelets\(sided=...\)`: got 'one'"),
    (lambda: fr.Curvelets(J=1, nyquist_overlap=0.3), r"`Curvelets\(nyquist_overlap=...\)`: got 0.3"),
    (lambda: fr.Shearlets(J=1, L0=6), r"`Shearlets\(L0=...\)`: got 6, expected .* multiple of 4"),
    (lambda: fr.Shearlets(J=1, norm="l1"), r"`Shearlets\(norm=...\)`: got 'l1'"),
    (lambda: fr.DirectionalWavelets(J=1, L=7), r"`DirectionalWavelets\(L=...\)`: got 7"),
    (lambda: fr.Steerable(J=1, order=0), r"`Steerable\(order=...\)`: got 0"),
    (lambda: fr.Riesz(J=1, order=1.5), r"`Riesz\(order=...\)`: got 1.5"),
    (lambda: fr.WeylHeisenberg(M=1), r"`WeylHeisenberg\(M=...\)`: got 1"),
    (lambda: fr.WeylHeisenberg(M=(4, 1)), r"`WeylHeisenberg\(M=...\)`: got \(4, 1\)"),
    (lambda: fr.WeylHeisenberg(M=4, window="hann"), r"`WeylHeisenberg\(window=...\)`: got 'hann'"),
    (lambda: fr.WeylHeisenberg(M=4, window="bspline", order=1), r"`WeylHeisenberg\(order=...\)`: got 1"),
    (lambda: fr.WeylHeisenberg(M=4, window="gauss", width=0.0), r"`WeylHeisenberg\(width=...\)`: got 0.0"),
    (lambda: fr.WeylHeisenberg(M=4, tight=False), r"`WeylHeisenberg\(tight=False\)`: the window 'meyer'"),
    (lambda: fr.Curvelets(J=9).on(SQUARE), r"`J=9`: on \(64, 64\) samples .* largest admissible J is 5"),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS, ids=[message[:40] for _, message in REFUSALS])
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
