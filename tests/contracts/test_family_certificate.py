"""Certified worst cases in families of few parameters: oracles, attacks, covering, tampering, refusals."""

import dataclasses
import json
import math
import warnings

import pytest
import torch

import scatter_theory as st
from scatter_theory.certify import FamilyCertificate
from scatter_theory.certify.posteriori import _preparation as preparation
from scatter_theory.certify.posteriori._boxes import LEAF, Box, read, written
from scatter_theory.certify.posteriori._preparation import chart_of, prepared

LINE, PLANE = st.Grid.line(64, length=32.0), st.Grid.square(16, length=16.0)


def network(d, nonlinearity=None, pooling=None, sampling="dilate", scale=1.0, **options):
    frame = st.frames.Wavelets(J=3) if d == 1 else st.frames.DirectionalWavelets(J=2, L=4)
    grid = LINE if d == 1 else PLANE
    if scale != 1.0:
        bank = frame.on(grid, sided="both")
        frame = st.frames.Filters(scale * bank.spectra, output=scale * bank.output, kind="spectra")
    layer = st.Layer(frame, nonlinearity or st.Modulus(), pooling or st.NoPooling())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", st.AdmissibilityWarning)
        return st.FeatureExtractor([layer, layer], grid, sampling=sampling, **options)


def signal(d, seed=0, kind=torch.float64):
    """Noise with a falling spectrum, mean 0."""
    grid = LINE if d == 1 else PLANE
    values = torch.randn(grid.shape, generator=torch.Generator().manual_seed(seed), dtype=kind)
    length = torch.linalg.vector_norm(grid.frequencies(), dim=0)
    fall = torch.where(length > 0, 1 / length.clamp_min(1e-3), 0.0)
    values = grid.ifft(grid.fft(values) * fall)
    values = st.signals.Interpolant(values if kind.is_complex else values.real, grid).on(grid)
    return st.signals.Interpolant(values, grid)


def wave(k, size, d=1):
    """A sinusoidal field."""
    grid = LINE if d == 1 else PLANE
    return st.deform.sinusoid((k,) + (0,) * (d - 1), (0.0,) * (d - 1) + (size,), 0.3, grid.extent)


CASES = [
    (1, "one field", [wave(1, 0.5)], None),
    (1, "two fields", [st.deform.translation([0.4], LINE.extent), wave(1, 0.4)], None),
    (1, "translations", st.deform.Translations(), 0.7),
    (2, "rotations", st.deform.rotations(max_angle=0.2), None),
    (2, "scalings", st.deform.scalings(max_factor=1.2), None),
    (2, "shears", st.deform.shears(max_shear=0.08), None),
    (2, "translations of the plane", st.deform.Translations(), 0.5),
]
NAMES = [case[1] for case in CASES]


def heights(phi, f, family, parameters):
    """An independent slow oracle: fields by their own classes, the deformation by direct sums."""
    grid, values = phi.grid, []
    still = phi(f.on(grid))
    for row in parameters:
        if isinstance(family, list):
            tau = sum((v.scaled(float(c)) for v, c in zip(family[1:], row[1:], strict=True)), family[0].scaled(row[0]))
        elif isinstance(family, st.deform.Translations):
            tau = st.deform.translation(row, grid.extent)
        else:
            largest = {"Rotations": "max_angle", "Scalings": "max_factor", "Shears": "max_shear"}[family.name]
            limit = getattr(family, largest)
            limit = math.log(limit) if largest == "max_factor" else limit
            tau = family.member(torch.asin((row / limit).clamp(-1, 1))[None], grid).select(0)
        moved = st.deform.apply(f, grid, tau, method="direct")
        values.append(float(phi(moved).distance(still)))
    return torch.tensor(values)


def lattice(chart, n):
    """All points of a lattice in the parameters, the ends included."""
    axes = [torch.linspace(-h, h, n, dtype=torch.float64) for h in chart.half]
    points = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    return points[torch.linalg.vector_norm(points, dim=1) <= chart.radius]


@pytest.mark.parametrize(("d", "name", "family", "t"), CASES, ids=NAMES)
def test_a_lattice_search_lies_below_and_close_to_the_upper_value(d, name, family, t):
    phi, f = network(d), signal(d)
    cert = st.certify_deformation(phi, f, family, sup_tau=t, tolerance=0.04)
    chart = chart_of(family, phi.grid, t, phi.device)
    found = heights(phi, f, family, lattice(chart, 41 if len(chart.half) == 1 else 9))
    assert cert.closed and cert.gap <= 0.04
    assert float(found.max()) <= cert.upper
    assert cert.lower >= float(found.max()) * 0.96
    assert float(heights(phi, f, family, [torch.tensor(cert.witness)])[0]) == pytest.approx(cert.lower, rel=1e-7)
    assert cert.upper <= cert.oscillation
    assert cert.recheck(phi, f)


@pytest.mark.parametrize(("d", "name", "family", "t"), CASES, ids=NAMES)
def test_members_in_a_box_never_exceed_its_bound(d, name, family, t):
    """The bound of one box against random members of it, its corners among them; it is not far above them."""
    phi, f = network(d), signal(d, 1)
    local, _ = prepared(phi, f, family, t)
    half = torch.tensor(local.chart.half, dtype=torch.float64)
    generator = torch.Generator().manual_seed(7)
    closest = 0.0
    for size in (0.5, 0.1, 0.02):
        for _ in range(6):
            r = half[None] * size * (0.2 + 0.8 * torch.rand(1, len(half), generator=generator, dtype=torch.float64))
            c = (half - r) * (2 * torch.rand(1, len(half), generator=generator, dtype=torch.float64) - 1)
            u = 2 * torch.rand(12, len(half), generator=generator, dtype=torch.float64) - 1
            u[:6] = u[:6].sign()
            bounds = local.bounds(c, r)
            inside = local.heights(c + r * u)
            assert float(inside.max()) <= float(bounds.upper)
            assert float(local.heights(c)) == pytest.approx(float(bounds.lower), rel=1e-6, abs=1e-9)
            closest = max(closest, float(inside.max() / bounds.upper))
    assert closest > 0.9


@pytest.mark.parametrize(
    "phi",
    [
        network(1, st.ReLU()),
        network(1, st.Tanh()),
        network(1, pooling=st.Subsample(2)),
        network(1, pooling=st.Average(2)),
        network(1, pooling=st.Max(2), sampling="decimate"),
        network(1, scale=1.4),
        network(1, complex_input=True),
        network(1, dtype=torch.float32),
    ],
    ids=["ReLU", "tanh", "sub-sampling", "averages", "maxima", "not admissible", "complex input", "single precision"],
)
def test_every_network(phi):
    f = signal(1, 3, torch.complex128 if phi.complex_input else torch.float64)
    family = [wave(2, 0.15)]
    cert = st.certify_deformation(phi, f, family, tolerance=0.1)
    double = phi.rebuilt(dtype=torch.float64) if phi.dtype == torch.float32 else phi
    found = heights(double, f, family, torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None])
    assert cert.closed and cert.lower * (1 - 1e-6) <= cert.upper
    assert float(found.max()) <= cert.upper and cert.lower >= 0.9 * float(found.max())
    assert cert.recheck(phi, f)


def test_without_the_constants_of_the_network_a_bound_is_too_low():
    """Negative control: a network that expands, bounded as if its layers did not."""
    phi, x = network(1, scale=1.6), 2 * math.pi * LINE.points()[0] / 32
    f = st.signals.Interpolant(torch.cos(12 * x) + torch.cos(14 * x), LINE)
    local, _ = prepared(phi, f, st.deform.Translations(), 0.001)
    c, r = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 0.001, dtype=torch.float64)
    found = float(local.heights(r).max())
    assert local.whole > 1.6
    assert found <= float(local.bounds(c, r).upper)
    assert float(dataclasses.replace(local, whole=1.0, rest=1.0).bounds(c, r).upper) < found


def test_translations_by_whole_samples_are_the_translation_defect():
    """A box of one point: h at a whole shift is the change under a roll of the array."""
    phi, f = network(1), signal(1, 5)
    local, _ = prepared(phi, f, st.deform.Translations(), 4.0)
    values = f.on(LINE)
    for m in (1, 3, -5):
        c = torch.tensor([[m * 0.5]], dtype=torch.float64)
        exact = float(phi(torch.roll(values, m)).distance(phi(values)))
        bounds = local.bounds(c, torch.zeros_like(c))
        assert float(bounds.lower) <= exact * (1 + 1e-12) and exact <= float(bounds.upper)
        assert float(bounds.upper) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("d", [1, 2])
def test_zero_signals_zero_sizes_and_constants(d):
    phi, grid = network(d), LINE if d == 1 else PLANE
    zero, family = torch.zeros(grid.shape, dtype=torch.float64), st.deform.Translations()
    nothing = st.certify_deformation(phi, zero, family, sup_tau=1)
    assert nothing.lower == nothing.upper == 0.0 and nothing.closed
    still = st.certify_deformation(phi, signal(d), family, sup_tau=0.0)
    assert still.lower == still.upper == 0.0 and still.closed
    flat = st.certify_deformation(phi, torch.ones_like(zero), family, sup_tau=1)
    assert flat.upper <= 1e-9 * flat.norm and flat.closed
    assert all(c.recheck(phi, x) for c, x in ((still, signal(d)), (nothing, zero)))


@pytest.mark.parametrize("mutant", ["no second order", "curvature a tenth"])
def test_mutants_of_the_remainder_fall_below_a_search(monkeypatch, mutant):
    """A field that moves nothing to first order: it lives where the derivative of the signal vanishes."""
    phi, x = network(1), LINE.points()[0]
    f = st.signals.Interpolant(torch.cos(2 * math.pi * 4 * x / 32), LINE)
    tau = torch.zeros(1, 64, dtype=torch.float64)
    tau[0, ::8] = 1.0
    family = [st.deform.SampledField(tau, LINE)]
    local, _ = prepared(phi, f, family, None)
    c, r = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    found = float(local.heights(torch.linspace(-1, 1, 81, dtype=torch.float64)[:, None]).max())
    assert found <= float(local.bounds(c, r).upper)
    if mutant == "no second order":
        wrong = lambda self, c, *rest: torch.zeros(len(c), 64, dtype=torch.float64)  # noqa: E731
        monkeypatch.setattr(type(local), "_remainder", wrong)
    else:
        honest = preparation.local_bounds
        wrong = lambda *a: dataclasses.replace(honest(*a), second=0.1 * local.second)  # noqa: E731
        monkeypatch.setattr(preparation, "local_bounds", wrong)
    claimed = st.certify_deformation(phi, f, family, tolerance=0.1)
    monkeypatch.undo()
    assert claimed.upper < found
    assert not claimed.recheck(phi, f)
    cert = st.certify_deformation(phi, f, family, tolerance=0.1)
    assert found <= cert.upper and cert.recheck(phi, f)


def test_an_interruption_keeps_what_is_proven():
    phi, f = network(2), signal(2, 6)
    calls = []

    def impatient(done, total, text):
        calls.append((done, text))
        if len(calls) == 3:
            raise KeyboardInterrupt

    cert = st.certify_deformation(phi, f, st.deform.Translations(), sup_tau=1.0, tolerance=1e-3, progress=impatient)
    assert len(calls) == 3 and not cert.closed
    assert 0 < cert.lower < cert.upper < math.inf
    assert cert.recheck(phi, f)
    few = st.certify_deformation(phi, f, st.deform.Translations(), sup_tau=1.0, tolerance=1e-3, max_evaluations=30)
    assert not few.closed and "not closed" in str(few) and few.recheck(phi, f)
    closer = st.certify_deformation(phi, f, st.deform.Translations(), sup_tau=1.0, tolerance=0.1)
    assert closer.closed and closer.upper < few.upper
    assert max(few.lower, closer.lower) <= min(few.upper, closer.upper)


def test_certificates_survive_storage_and_tampering_is_found():
    phi, f = network(1), signal(1, 8)
    family = [st.deform.translation([0.4], LINE.extent), wave(1, 0.4)]
    for made in (
        st.certify_deformation(phi, f, family, tolerance=0.05),
        st.certify_deformation(phi, f, st.deform.Translations(), sup_tau=0.5),
        st.certify_deformation(phi, f, st.deform.scalings(max_factor=1.02), tolerance=0.05),
    ):
        stored = FamilyCertificate.from_dict(json.loads(json.dumps(made.to_dict())))
        assert stored.recheck(phi, f) and stored.to_dict() == made.to_dict()
        inward = tuple(0.5 * c for c in made.witness)
        outward = tuple(1.5 * c for c in made.witness)
        for change in (
            {"upper": made.upper * (1 - 1e-6)},
            {"upper": math.nan},
            {"lower": made.lower * (1 + 1e-6)},
            {"witness": inward},
            {"witness": outward},
            {"witness": (*made.witness, 0.0)},
            {"tree": (LEAF,)},
            {"tree": made.tree[:-1]},
            {"tree": (*made.tree, LEAF)},
            {"tree": (7, LEAF, LEAF)},
            {"norm": made.norm * 0.9},
            {"constant": made.constant * 0.9},
            {"oscillation": made.oscillation * 0.5},
            {"gradient": made.gradient * 0.5},
            {"sup_tau": made.sup_tau * 0.9},
        ):
            assert not dataclasses.replace(stored, **change).recheck(phi, f), change
        assert not stored.recheck(network(1, st.ReLU()), f)
        assert not stored.recheck(phi, signal(1, 9))


def test_the_field_of_the_witness_attains_the_lower_value():
    phi, f = network(2), signal(2, 10)
    for family, t in ((st.deform.rotations(max_angle=0.15), None), (st.deform.Translations(), 0.4)):
        cert = st.certify_deformation(phi, f, family, sup_tau=t, tolerance=0.1)
        tau = cert.field(phi)
        assert float(tau.norms().sup.lower) <= cert.sup_tau * (1 + 1e-12)
        moved = st.deform.apply(f, PLANE, tau)
        assert float(phi(moved).distance(phi(f.on(PLANE)))) == pytest.approx(cert.lower, rel=1e-7)


@pytest.mark.parametrize(("d", "name", "family", "t"), CASES, ids=NAMES)
def test_charts_agree_with_their_families(d, name, family, t):
    """Values against the fields, derivatives against differences, the second-order term against its bound."""
    grid = LINE if d == 1 else PLANE
    chart = chart_of(family, grid, t, torch.device("cpu"))
    half = torch.tensor(chart.half, dtype=torch.float64)
    c = (0.6 * half * torch.tensor([1.0, -0.7, 0.3], dtype=torch.float64)[: len(half)])[None]
    at = chart.displacements(c)
    assert torch.allclose(at[0], chart.field(c[0]).at(grid.points()), atol=1e-12)
    assert float(torch.linalg.vector_norm(at, dim=1).max()) <= chart.sup_tau
    for i in range(len(half)):
        step = torch.zeros_like(c)
        step[0, i] = 1e-5
        slope = (chart.displacements(c + step) - chart.displacements(c - step)) / 2e-5
        assert torch.allclose(slope, chart.derivatives(c)[:, i], atol=1e-8)
        r = torch.zeros_like(c)
        r[0, i] = 0.3 * half[i]
        for sign in (-1, 1):
            linear = at + (sign * r[0, i]) * chart.derivatives(c)[:, i]
            left = torch.linalg.vector_norm(chart.displacements(c + sign * r) - linear, dim=1)
            assert float((left - chart.bend(c, r) * chart.size).max()) <= 1e-12


def test_sizes_of_rotations_beyond_half_a_turn():
    """The largest displacement is that of half a turn, not that of the largest angle."""
    sizes = [
        chart_of(st.deform.rotations(max_angle=a), PLANE, None, torch.device("cpu")).sup_tau for a in (3.1416, 6.0)
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=1e-9)


def test_trees_cover_the_box():
    root = Box((0.0, 0.0), (1.0, 2.0))
    splits = {(): 1, (0,): 0, (0, 1): 1, (1,): 1}
    boxes = read(written(splits), root)
    assert len(boxes) == 5
    assert sum(4 * b.half[0] * b.half[1] for b in boxes) == pytest.approx(8.0)
    points = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)).mul(2).sub(1) * torch.tensor([1.0, 2.0])
    for x, y in points.tolist():
        assert any(abs(x - b.centre[0]) <= b.half[0] and abs(y - b.centre[1]) <= b.half[1] for b in boxes)
    assert read((LEAF,), root) == [root]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phi": "network"}, "expected a FeatureExtractor"),
        ({"phi": network(1, paths=st.EnergyThreshold(1e-3))}, "Freeze the paths"),
        ({"f": torch.zeros(2, 64, dtype=torch.float64)}, "one by one"),
        ({"f": torch.zeros(64, dtype=torch.complex128)}, "complex_input=True"),
        ({"f": st.signals.Lipschitz(1.0)}, "expected an array"),
        ({"family": [wave(1, 0.1)] * 4}, "at most 3"),
        ({"family": st.deform.BandLimitedFields()}, "expected translations"),
        ({"family": []}, "expected translations"),
        ({"family": wave(1, 0.1), "sup_tau": 1.0}, "belongs to translations"),
        ({"family": st.deform.Translations()}, "finite size"),
        ({"family": st.deform.Translations(), "sup_tau": math.inf}, "finite size"),
        ({"family": st.deform.rotations(max_angle=0.1)}, "axes"),
        ({"tolerance": 1.0}, "between 0 and 1"),
        ({"max_evaluations": 0}, "at least 1"),
    ],
)
def test_refuses(change, message):
    arguments = {"phi": network(1), "f": signal(1), "family": wave(1, 0.1), **change}
    with pytest.raises((TypeError, ValueError), match=message):
        st.certify_deformation(**arguments)


def test_nyquist_content_is_left_out_and_told():
    f = signal(1).on(LINE) + 0.5 * torch.cos(math.pi * torch.arange(64, dtype=torch.float64))
    cert = st.certify_deformation(network(1), f, wave(1, 0.2), tolerance=0.1)
    assert cert.dropped > 1e-4 and "Nyquist" in str(cert)
    clean = st.certify_deformation(network(1), signal(1), wave(1, 0.2), tolerance=0.1)
    assert clean.upper == pytest.approx(cert.upper, rel=1e-9) and clean.dropped < 1e-12


def test_a_declared_constant_is_named():
    """The upper value of a network with a declared Lipschitz constant is conditional, and says so."""
    phi = network(1, st.Pointwise(torch.abs, lipschitz_constant=1.0))
    cert = st.certify_deformation(phi, signal(1), wave(1, 0.1), tolerance=0.3)
    assert not cert.proves and "not certified" in str(cert)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "samples", "expected"),
    [
        (st.deform.rotations(max_angle=0.1), None, 0.0981),
        (st.deform.Translations(), 1.0, 0.1268),
        (st.deform.Translations(), 2.0, 0.2518),
    ],
)
def test_photograph(family, samples, expected):
    """64 x 64 pixels, two layers of directional wavelets: 2 % in minutes."""
    record = st.data.camera().binned(8)
    f = torch.tensor(record.values)
    f = f - f.mean()
    layer = st.Layer(st.frames.DirectionalWavelets(J=3, L=8), st.Modulus())
    phi = st.FeatureExtractor([layer, layer], record.grid, paths=st.FrequencyDecreasing())
    t = None if samples is None else samples * record.grid.spacing[0]
    cert = st.certify_deformation(phi, f, family, sup_tau=t)
    assert cert.closed and cert.gap <= 0.02
    assert cert.relative[0] <= expected * 1.02 and cert.relative[1] >= expected
    assert cert.recheck(phi, f)


def test_few_evaluations_prove_no_more_than_the_oscillation():
    """Before the boxes are small the bound of all displacements of the size is the better one."""
    phi = network(1)
    cert = st.certify_deformation(phi, signal(1), st.deform.Translations(), sup_tau=4.0, max_evaluations=1)
    assert not cert.closed
    assert cert.upper == cert.oscillation
    assert cert.recheck(phi, signal(1))
    assert not dataclasses.replace(cert, upper=0.9 * cert.upper, oscillation=0.9 * cert.oscillation).recheck(
        phi, signal(1)
    )
