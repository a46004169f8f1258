"""The exact oscillation of a signal: closed form, attained, never below a dense search, negative controls."""

import math
from itertools import pairwise

import pytest
import torch

import scatter_theory as st
from scatter_theory.certify import oscillation
from scatter_theory.certify.posteriori._ball_mesh import ball_mesh
from scatter_theory.search import Effort
from scatter_theory.verify import _rules_oscillation as rules

SHAPES = {1: (48,), 2: (12, 10), 3: (5, 4, 5)}
#: Tolerances that are reached in a moment.
ACCURACY = {1: 0.003, 2: 0.01, 3: 0.2}


def noise(d, seed=0, kind=torch.float64, scale=0.5):
    """Random samples without Nyquist content, on a grid with unequal spacing."""
    grid = st.Grid(SHAPES[d], tuple(scale * (1 + 0.3 * i) for i in range(d)))
    values = torch.randn(grid.shape, generator=torch.Generator().manual_seed(seed), dtype=kind)
    return st.signals.Interpolant(values, grid), grid


def ball(d, t, n, seed=1):
    """Random points of a ball, half of them on its sphere."""
    generator = torch.Generator().manual_seed(seed)
    s = torch.randn(n, d, generator=generator, dtype=torch.float64)
    s = t * s / torch.linalg.vector_norm(s, dim=1, keepdim=True)
    s[::2] *= torch.rand(len(s[::2]), 1, generator=generator, dtype=torch.float64) ** (1 / d)
    return s


def dense(f, grid, shifts):
    """Norm of the largest change at every sample over the shifts, point by point."""
    x, f0 = grid.points(), f.on(grid)
    best = torch.zeros(grid.shape, dtype=torch.float64)
    for s in shifts:
        best = torch.maximum(best, (f.at(x - s.reshape(-1, *(1,) * grid.ndim)) - f0).abs())
    return float(grid.norm(best))


@pytest.mark.parametrize("k", [1, 3, 7])
def test_cosine_has_the_closed_form(k):
    grid = st.Grid.line(1024, length=2.0)
    f = torch.cos(2 * math.pi * k * grid.points()[0] / 2)
    for t in (1 / k, 1.5 / k, 30.0):
        found = oscillation(f, grid, t, tolerance=1e-3)
        exact = (3 + 8 / math.pi) ** 0.5
        assert exact * (1 - 1e-3) <= found.lower / found.norm <= exact * (1 + 1e-5)
        assert exact * (1 - 1e-5) <= found.upper / found.norm <= exact * (1 + 1e-3)


def test_cosine_and_small_sizes():
    """For t below a quarter of the period the maximum is at an end of the interval: |cos(a + u) - cos a|."""
    grid = st.Grid.line(256, length=1.0)
    x, k, t = grid.points()[0], 2, 0.03
    f = torch.cos(2 * math.pi * k * x)
    s = torch.linspace(-t, t, 20001, dtype=torch.float64)[:, None]
    exact = float(grid.norm((torch.cos(2 * math.pi * k * (x - s)) - f).abs().amax(0)))
    found = oscillation(f, grid, t, tolerance=1e-4)
    assert found.lower <= exact * (1 + 1e-9) and exact <= found.upper <= exact * (1 + 2e-4)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_zero_size_and_zero_signal(d):
    f, grid = noise(d)
    still = oscillation(f, grid, 0.0)
    assert still.lower <= 1e-12 and still.upper == 0.0
    nothing = oscillation(torch.zeros(grid.shape, dtype=torch.float64), grid, 1.0)
    assert nothing.lower == nothing.upper == 0.0


@pytest.mark.parametrize("kind", [torch.float64, torch.complex128])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_encloses_a_dense_search_and_is_attained(d, kind):
    f, grid = noise(d, seed=d, kind=kind)
    for t in (0.05, 0.4, 1.3):
        found = oscillation(f, grid, t, tolerance=ACCURACY[d])
        searched = dense(f, grid, ball(d, t, 400))
        assert searched <= found.upper
        assert found.lower >= searched * (0.98 if d < 3 else 0.9)
        assert found.gap <= ACCURACY[d]
        assert float(found.displacement.norms().sup.upper) <= t
        moved = st.deform.apply(f, grid, found.displacement)
        assert float(grid.norm(moved - f.on(grid))) == pytest.approx(found.lower, rel=1e-9)


@pytest.mark.parametrize("d", [1, 2])
def test_no_displacement_of_the_size_moves_more(d):
    f, grid = noise(d, seed=5)
    family = st.deform.SampledFields()
    for t in (0.1, 0.8):
        fields = family.member(family.draw(grid, 20, generator=3), grid)
        tau = torch.where(fields.values.abs() > 0, fields.values, 0.0)
        length = torch.linalg.vector_norm(tau, dim=1, keepdim=True)
        rough = st.deform.SampledField(tau * t / length, grid)
        limit = oscillation(f, grid, t)
        for i in range(20):
            moved = st.deform.apply(f, grid, rough.select(i))
            assert float(grid.norm(moved - f.on(grid))) <= limit.upper


def test_features_of_any_network_move_less_than_its_constant_times_the_oscillation():
    f, grid = noise(1, seed=2)
    bank = st.frames.Wavelets(J=2).on(grid, sided="both")
    frame = st.frames.Filters(1.3 * bank.spectra, output=1.3 * bank.output, kind="spectra")
    phi = st.FeatureExtractor([st.Layer(frame, st.Modulus())] * 2, grid)
    constant = phi.certified_lipschitz().value
    assert constant > 1.3
    for t in (0.1, 0.5):
        found = oscillation(f, grid, t)
        moved = st.deform.apply(f, grid, found.displacement)
        change = float(phi(moved).distance(phi(f.on(grid))))
        assert 0 < change <= constant * found.upper


def test_grows_with_the_size_and_stops_at_half_of_the_diagonal():
    f, grid = noise(2, seed=9)
    values = [oscillation(f, grid, t).upper for t in (0.1, 0.3, 0.9, 2.0)]
    assert all(a < b * 1.01 for a, b in pairwise(values))
    half = 0.5 * math.hypot(*grid.extent)
    assert oscillation(f, grid, 50.0).upper == pytest.approx(oscillation(f, grid, half).upper)


def test_without_the_term_between_the_shifts_a_coarse_mesh_is_too_low():
    """Negative control: the largest value on the coarse mesh alone falls below a dense search."""
    grid = st.Grid.line(64, length=1.0)
    f = torch.cos(2 * math.pi * 12 * grid.points()[0])
    p = st.signals.Interpolant(f, grid)
    t = 1 / 24
    coarse = ball_mesh(1, t, 1)
    searched = dense(p, grid, torch.linspace(-t, t, 2001, dtype=torch.float64)[:, None])
    assert dense(p, grid, coarse.shifts) < 0.97 * searched
    assert searched <= oscillation(f, grid, t, tolerance=0.9).upper


def test_a_mesh_inscribed_in_the_disc_does_not_cover_it():
    """Negative control for d = 2: the vertices on the circle alone miss what lies between them."""
    mesh = ball_mesh(2, 1.0, 4)
    on_circle = torch.linalg.vector_norm(mesh.shifts[: mesh.inside], dim=1)
    assert float(on_circle.max()) <= 1.0
    corners = len(mesh.shifts) - mesh.inside
    middle = math.pi / corners
    direction = torch.tensor([math.cos(middle), math.sin(middle)], dtype=torch.float64)
    assert float((mesh.shifts[: mesh.inside] @ direction).max()) < 1.0 <= float((mesh.shifts @ direction).max()) + 1e-12


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("layers", [1, 3, 8])
def test_every_point_of_the_ball_is_near_enough_to_a_vertex(d, layers):
    """The hull argument gives a vertex within the radius of a cell."""
    mesh = ball_mesh(d, 1.7, layers)
    nearest = torch.cdist(ball(d, 1.7, 3000), mesh.shifts).amin(1)
    assert float(nearest.max()) <= mesh.cell
    assert float(torch.linalg.vector_norm(mesh.shifts[: mesh.inside], dim=1).max()) <= 1.7


def test_a_fixed_curvature_would_not_be_enough():
    """Mutant: a tenth of the curvature makes the upper value fall below a dense search on a coarse mesh."""
    grid = st.Grid.line(64, length=1.0)
    f = torch.cos(2 * math.pi * 12 * grid.points()[0])
    p, t = st.signals.Interpolant(f, grid), 1 / 24
    mesh = ball_mesh(1, t, 1)
    searched = dense(p, grid, torch.linspace(-t, t, 2001, dtype=torch.float64)[:, None])
    F2 = (2 * math.pi * 12) ** 2
    added = [0.5 * mesh.cell**2 * F2 * share * math.sqrt(grid.extent[0]) for share in (1.0, 0.01)]
    coarse = dense(p, grid, mesh.shifts)
    assert coarse + added[1] < searched <= coarse + added[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sup_tau": -1.0}, "finite number >= 0"),
        ({"sup_tau": math.nan}, "finite number >= 0"),
        ({"tolerance": 0.0}, "between 0 and 1"),
        ({"f": torch.zeros(2, 48, dtype=torch.float64)}, "one by one"),
        ({"f": "signal"}, "expected an array"),
        ({"grid": st.Grid.line(48)}, "torus of extent"),
    ],
)
def test_refuses(change, message):
    f, grid = noise(1)
    with pytest.raises((TypeError, ValueError), match=message):
        oscillation(**{"f": f, "grid": grid, "sup_tau": 0.1, **change})


def test_arrays_are_interpolants_without_their_nyquist_bins():
    grid = st.Grid.line(16)
    f = torch.cos(math.pi * grid.points()[0]) + torch.cos(2 * math.pi * grid.points()[0] / 16)
    found = oscillation(f, grid, 0.5)
    assert found.dropped == pytest.approx(2 / 3)
    assert found.norm == pytest.approx(math.sqrt(8))
    assert "shifts" in str(found)


#: Certified oscillation over ||f|| (mean removed) for t = 1/32, 1/8, 1/2 and 2 samples.
REAL = {"ecg": (0.00718, 0.02922, 0.1231, 0.5242), "camera": (0.01773, 0.0749, 0.3379, 1.0469)}


@pytest.mark.parametrize("name", REAL)
def test_says_something_about_real_signals(name):
    record = st.data.ecg() if name == "ecg" else st.data.camera().binned(8)
    f = torch.tensor(record.values)
    f = f - f.mean()
    sizes = (1 / 32, 1 / 8, 1 / 2, 2) if name == "ecg" else (1 / 32, 1 / 8, 1 / 2)
    for share, expected in zip(sizes, REAL[name], strict=False):
        found = oscillation(f, record.grid, share * record.grid.spacing[0])
        assert found.upper / found.norm == pytest.approx(expected, rel=0.01)
        assert found.gap <= 0.01


#: Given signals against one displacement: no search.
STILL = Effort(random=0, structured=0, steps=0, restarts=0)


def checked(f, grid, t, **options):
    """The check of the worst displacement of one signal."""
    layer = st.Layer(st.frames.Wavelets(J=3), st.Modulus())
    phi = st.FeatureExtractor([layer, layer], grid)
    worst = oscillation(f, grid, t, tolerance=0.002).displacement
    return st.verify.deformation(
        phi, f, sup_tau=[t], family=worst, effort=STILL, generator=0, sup_jacobian=None, **options
    )


def test_the_check_with_this_bound_is_attained_and_below_the_gradient_bound():
    f, grid = noise(1, seed=6)
    f, t = st.signals.Interpolant(f.on(grid)[None], grid), 0.4
    tight, plain = (checked(f, grid, t, bound=b) for b in ("oscillation", "unconditional"))
    assert tight.holds and plain.holds
    row = tight.series.index("signal")
    assert tight.ratio[row] > 0.98
    assert tight.bound[row] < 0.9 * plain.bound[row]


def test_a_bound_that_is_too_small_is_violated(monkeypatch):
    """Mutant: the oscillation of a smaller ball."""
    f, grid = noise(1, seed=6)
    f, t = st.signals.Interpolant(f.on(grid)[None], grid), 0.4
    monkeypatch.setattr(rules, "oscillation", lambda f, grid, t, tolerance: oscillation(f, grid, 0.9 * t))
    assert checked(f, grid, t, bound="oscillation").outcome is st.Outcome.VIOLATED


def test_classes_have_no_oscillation():
    grid = noise(1)[1]
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3), st.Modulus())], grid)
    with pytest.raises(ValueError, match="looks at a given signal"):
        st.verify.deformation(phi, st.signals.BandLimited(0.2), bound="oscillation")
