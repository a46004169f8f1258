"""Regions with known boundaries, cartoons, and dead leaves."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

import scatter_theory.signals as sg
from scatter_theory import Grid
from scatter_theory.signals._cartoon_class import KINDS, random_region

EXTENT = (2.0, 1.5)
PLANE = [
    sg.Disc((0.3, 0.2), 0.4, EXTENT),
    sg.Ellipse((1.9, 0.7), (0.6, 0.25), 0.7, EXTENT),
    sg.Ellipse((0.1, 1.4), (0.3, 0.6), -0.2, EXTENT),
    sg.Polygon(((1.6, 0.9), (2.3, 1.0), (1.9, 1.2), (2.2, 1.7), (1.7, 1.5)), EXTENT),
    sg.Polygon(((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)), EXTENT),
    sg.Star((0.2, 1.3), 0.4, (0.05, 0.0, 0.1), (0.0, 0.03, 0.0, 0.08), EXTENT),
]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def outline(region, m=4096):
    """Dense points of the boundary ``(2, >= m)`` from the definition of each region, and the largest gap."""
    theta = np.arange(m) * 2 * math.pi / m
    if isinstance(region, sg.Disc):
        z = region.radius * np.exp(1j * theta) + complex(*region.centre)
    elif isinstance(region, sg.Ellipse):
        a, b = region.axes
        z = (a * np.cos(theta) + 1j * b * np.sin(theta)) * np.exp(1j * region.angle) + complex(*region.centre)
    elif isinstance(region, sg.Star):
        z = radius(region, theta, np) * np.exp(1j * theta) + complex(*region.centre)
    else:
        corners = np.array([complex(*v) for v in region.vertices])
        s = np.arange(m) / m
        z = np.concatenate([p + (q - p) * s for p, q in zip(corners, np.roll(corners, -1), strict=True)])
    return np.stack([z.real, z.imag]), float(np.abs(z - np.roll(z, 1)).max())


def radius(star, theta, library):
    waves = enumerate(zip(star.cosines, star.sines, strict=True), start=1)
    return star.mean + sum(a * library.cos(k * theta) + b * library.sin(k * theta) for k, (a, b) in waves)


def brute_distance(region, x):
    """Smallest distance to points of the outline and their 25 images, ``(P,)``."""
    curve, gap = outline(region)
    best = np.full(x.shape[1], math.inf)
    for i, j in itertools.product(range(-2, 3), repeat=2):
        moved = curve + np.array([i * EXTENT[0], j * EXTENT[1]])[:, None]
        for part in np.array_split(np.arange(x.shape[1]), 8):
            step = x[:, part, None] - moved[:, None, ::2]
            best[part] = np.minimum(best[part], np.sqrt((step**2).sum(0)).min(1))
    return best, gap


def points(count, seed=0):
    """Random points, some of them outside of the period."""
    L = torch.tensor(EXTENT, dtype=torch.float64)[:, None]
    return L * (3 * torch.rand((2, count), generator=rng(seed), dtype=torch.float64) - 1)


# --- regions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", PLANE, ids=lambda r: type(r).__name__)
def test_contains_against_matplotlib(region):
    from matplotlib.path import Path

    x = points(3000)
    curve, _ = outline(region, 500)
    inside = np.zeros(x.shape[1], dtype=bool)
    for i, j in itertools.product(range(-3, 4), repeat=2):
        inside |= Path((curve + np.array([i * EXTENT[0], j * EXTENT[1]])[:, None]).T).contains_points(x.T.numpy())
    clear = region.distance(x) > 1e-3
    assert int(clear.sum()) > 2500 and 100 < inside.sum() < 2900
    assert torch.equal(region.contains(x)[clear], torch.from_numpy(inside)[clear])


@pytest.mark.parametrize("region", PLANE, ids=lambda r: type(r).__name__)
def test_distances_are_lower_values_and_tight(region):
    x = points(300, seed=1)
    found = region.distance(x).numpy()
    brute, gap = brute_distance(region, x.numpy())
    assert np.all(found <= brute + 1e-12)
    assert np.all(found >= brute - region.distance_error - gap)
    assert region.distance_error < 1e-3
    t = 0.07
    assert np.all(region.near(x, t).numpy()[brute <= t])
    assert not np.any(region.near(x, t).numpy()[brute > t + region.distance_error + gap])


@pytest.mark.parametrize("region", PLANE, ids=lambda r: type(r).__name__)
def test_points_of_the_boundary_are_at_distance_zero(region):
    """Also between the points from which distances are measured."""
    x = torch.from_numpy(outline(region, 4999)[0]) + torch.tensor(EXTENT).double()[:, None]
    assert float(region.distance(x).max()) <= 1e-12 and region.near(x, 0.0).all()


@pytest.mark.parametrize("t", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("region", PLANE, ids=lambda r: type(r).__name__)
def test_tubes_against_pixels(region, t):
    """Share of a fine grid within t of the curve: at most the bound, not far below it for smooth curves."""
    grid = Grid((509, 397), (EXTENT[0] / 509, EXTENT[1] / 397))
    seen = float(region.near(grid.points(), t - region.distance_error).sum()) * grid.cell_volume
    bound = region.tube(t)
    assert seen <= 1.004 * bound
    length = region.boundary_length.value
    if isinstance(region, sg.Disc):
        assert bound == pytest.approx(4 * math.pi * region.radius * t, rel=1e-10) and seen >= 0.98 * bound
    else:
        assert bound == pytest.approx(2 * t * length + math.pi * t * t, rel=1e-10)
    if t <= 0.05:
        assert seen >= 0.85 * bound


def test_tubes_of_wide_distances_end_at_the_torus():
    assert all(region.tube(5.0) == 3.0 for region in PLANE)
    assert sg.Disc((0.0, 0.0), 0.1, EXTENT).tube(0.2) == pytest.approx(math.pi * 0.09)


def test_lengths_of_discs_squares_and_regular_polygons():
    assert sg.Disc((0.0, 0.0), 0.3).boundary_length.value == pytest.approx(0.6 * math.pi, rel=1e-11)
    assert PLANE[4].boundary_length.value == pytest.approx(2.0, rel=1e-11)
    corners = tuple((0.4 * math.cos(2 * math.pi * k / 7), 0.4 * math.sin(2 * math.pi * k / 7)) for k in range(7))
    assert sg.Polygon(corners).boundary_length.value == pytest.approx(5.6 * math.sin(math.pi / 7), rel=1e-11)


@pytest.mark.parametrize("axes", [(0.4, 0.1), (0.1, 0.4), (0.3, 0.3), (0.45, 1e-4), (0.4, 0.399)])
def test_length_of_ellipses(axes):
    """4 a E(e^2) in 30 digits; an upper value."""
    mpmath.mp.dps = 30
    a, b = (mpmath.mpf(v) for v in sorted(axes, reverse=True))
    exact = 4 * a * mpmath.ellipe(1 - (b / a) ** 2)
    length = sg.Ellipse((0.0, 0.0), axes).boundary_length
    assert exact <= length.value <= exact * (1 + 1e-11) and length.error >= length.value - exact


@pytest.mark.parametrize(
    "star", [PLANE[5], sg.Star((0.0, 0.0), 0.2, (0.0, 0.0, 0.0, 0.0, 0.15)), sg.Star((0.1, 0.2), 0.3)]
)
def test_length_of_stars(star):
    mpmath.mp.dps = 20

    def speed(theta):
        return mpmath.hypot(radius(star, theta, mpmath), mpmath.diff(lambda u: radius(star, u, mpmath), theta))

    exact = mpmath.quad(speed, mpmath.linspace(0, 2 * mpmath.pi, 25))
    length = star.boundary_length
    assert exact <= length.value <= exact * (1 + 1e-6)
    assert length.value - exact <= length.error and length.kind == "certified"


def test_intervals():
    """Closed, periodic; distance to the nearer end; the tube is exact until its parts meet."""
    region = sg.Interval(1.75, 2.5, (2.0,))
    x = torch.tensor([[1.75, 0.5, -0.25, 1.0, 1.7499999, 0.5000001, 4.3]]).double()
    assert region.contains(x).tolist() == [True, True, True, False, False, False, True]
    assert region.distance(torch.tensor([[0.0, 1.125, 1.8, -0.25]]).double()).tolist() == pytest.approx(
        [0.25, 0.625, 0.05, 0.0]
    )
    assert region.boundary_length.value == 2.0
    assert region.tube(0.1) == pytest.approx(0.4) and region.tube(0.8) == 2.0
    fine = Grid.line(4000, length=2.0)
    assert float(region.near(fine.points(), 0.1).sum()) * fine.cell_volume == pytest.approx(0.4, rel=0.01)


def test_regions_evaluate_back_and_refuse_what_does_not_fit():
    for region in (*PLANE, sg.Interval(0.1, 0.4)):
        assert eval(repr(region), vars(sg)) == region
        assert region.boundary_length.proves
    bad = [
        (lambda: sg.Interval(0.5, 0.5), "wide"), (lambda: sg.Interval(0.0, 1.0), "periods"),
        (lambda: sg.Disc((0.0, 0.0), 0.5), "wide"), (lambda: sg.Disc((0.0,), 0.2), "expected 2"),
        (lambda: sg.Ellipse((0.0, 0.0), (0.6, 0.1)), "wide"), (lambda: sg.Ellipse((0.0, 0.0), (0.3, 0.0)), "positive"),
        (lambda: sg.Polygon(((0.0, 0.0), (1.0, 0.0), (0.5, 0.5))), "wide"),
        (lambda: sg.Polygon(((0.0, 0.0), (0.5, 0.0))), "three"),
        (lambda: sg.Star((0.0, 0.0), 0.2, (0.2,)), "positive"), (lambda: sg.Star((0.0, 0.0), 0.4, (0.2,)), "wide"),
        (lambda: sg.Star((0.0, 0.0), math.nan), "amplitudes"),
    ]  # fmt: skip
    for build, message in bad:
        with pytest.raises(ValueError, match=message):
            build()
    # A rotated ellipse fits although its longer axis would not, were it upright.
    assert sg.Ellipse((0.0, 0.0), (0.6, 0.1), math.pi / 4).axes == (0.6, 0.1)


# --- cartoons --------------------------------------------------------------------------------------------------------


def parts(grid, n, seed):
    """Smooth parts of every kind: band-limited and Lipschitz ones."""
    limited = sg.BandLimited(2.2 / min(grid.extent)).draw(grid, n, generator=seed)
    cones = sg.Lipschitz(1.5).draw(grid, n, generator=seed + 1)
    return [(limited, cones), (cones, limited), (limited, limited)][seed % 3]


@settings(max_examples=12)
@given(d=hs.sampled_from([1, 2]), seed=hs.integers(0, 2**20), drawn=hs.booleans())
def test_cartoon_inequalities(d, seed, drawn):
    """On random segments of all lengths, and with the bounds nearly reached by some f."""
    grid = Grid.line(24, length=2.0) if d == 1 else Grid((16, 12), (EXTENT[0] / 16, EXTENT[1] / 12))
    n = 4
    if drawn:
        f = sg.Cartoon(1.3).draw(grid, n, generator=seed)
        assert torch.all(f.smooth_lipschitz <= 1.3 * (1 + 1e-12)) and torch.all(f.jump <= 1.3 * (1 + 1e-12))
        assert torch.all(f.lipschitz - f.smooth_lipschitz <= 1.3 * (1 + 1e-12))
    else:
        kinds = ["interval"] * n if d == 1 else KINDS
        f = sg.CartoonSignal(*parts(grid, n, seed), tuple(random_region(k, grid.extent, rng(seed)) for k in kinds))
    x = torch.rand((d, 300), generator=rng(seed), dtype=torch.float64) * 2
    for reach in (1e-3, 0.1, 1.0):
        y = x + reach * torch.randn(x.shape, generator=rng(seed + 1), dtype=torch.float64)
        length = torch.linalg.vector_norm(x - y, dim=0)
        change = (f.at(x) - f.at(y)).abs()
        along = x[..., None] + (y - x)[..., None] * torch.linspace(0, 1, 65, dtype=torch.float64)
        inside = f.inside(along)
        crossed = inside.any(-1) & ~inside.all(-1)
        rounding = 1e-12
        assert torch.all(change <= f.crossing_lipschitz[:, None] * length + f.jump[:, None] + rounding)
        assert torch.all((change <= f.lipschitz[:, None] * length + rounding) | crossed)
        different = inside[..., 0] != inside[..., -1]
        assert torch.all((change <= f.smooth_lipschitz[:, None] * length + f.jump[:, None] + rounding) | ~different)
        assert torch.all(f.near(x, length.max()) | ~crossed)


def test_the_full_slope_is_needed_inside_of_the_region():
    """f2 from -1 to 1 within B: no crossing constant K1 with J = sup |f2| would do for all pairs of points."""
    n = torch.tensor([[-1.0, 1.0, 1.0, -1.0]]).double()
    f2 = sg.PiecewiseLinear(n, (1.0,), torch.tensor([[0.0, 0.25, 0.5, 0.75]]).double())
    f = sg.CartoonSignal(sg.PiecewiseLinear(0 * n, (1.0,)), f2, (sg.Interval(-0.1, 0.6),))
    change = float((f.at(torch.tensor([[0.0]]).double()) - f.at(torch.tensor([[0.25]]).double())).abs())
    assert change == 2.0 and float(f.jump) == 1.0 and float(f.smooth_lipschitz) == 0.0
    assert float(f.crossing_lipschitz) * 0.25 + 1.0 == 2.0


def test_cartoon_values_by_hand():
    f1 = sg.PiecewiseLinear(torch.tensor([[0.0, 1.0]]).double(), (2.0,))
    f2 = sg.PiecewiseLinear(torch.tensor([[3.0, 3.0]]).double(), (2.0,))
    f = sg.CartoonSignal(f1, f2, (sg.Interval(0.5, 1.0, (2.0,)),))
    x = torch.tensor([[0.0, 0.5, 0.75, 1.0, 1.5, 2.5]]).double()
    assert f.at(x)[0].tolist() == [0.0, 3.5, 3.75, 4.0, 0.5, 3.5]
    assert (float(f.lipschitz), float(f.jump), float(f.supremum())) == (1.0, 3.0, 4.0)
    assert f.boundary_length.tolist() == [2.0] and f.tube(torch.tensor([0.1])).tolist() == pytest.approx([0.4])


@pytest.mark.parametrize("grid", [Grid.line(32, length=2.0), Grid.line(33), Grid.of((24, 18), length=1.0)], ids=str)
def test_cartoon_members(grid):
    cls = sg.Cartoon(0.8)
    for f in (cls.draw(grid, 6, generator=2), cls.structured(grid, 7)):
        n, scale = f.batch[0], 1e-12 * (1 + float(f.on(grid).abs().max()))
        assert torch.allclose(cls.member(cls.parameters(f), grid, like=f).on(grid), f.on(grid), rtol=0, atol=scale)
        assert cls.hypothesis(f.on(grid), grid).satisfied and cls.jumps
        L = torch.tensor(grid.extent, dtype=torch.float64)[:, None]
        x = L * torch.rand((grid.ndim, 50), generator=rng(1), dtype=torch.float64)
        far = torch.all(torch.stack([r.distance(x) for r in f.regions]) > 1e-6, 0)
        assert torch.allclose(f.at(x + 3 * L)[:, far], f.at(x)[:, far], rtol=0, atol=1e-10)
        own = torch.stack([x.roll(i, 1) for i in range(n)])
        loop = torch.stack([f.select(i).at(own[i]) for i in range(n)])
        assert torch.allclose(f.at(own, each=True), loop, rtol=0, atol=scale)
        assert torch.equal(f.near(own, 0.1, each=True)[1], f.select([1]).near(own[1], 0.1)[0])
        assert torch.equal(f.near(x, torch.full((n,), 0.1).double()), f.near(x, 0.1))
        assert all(constant.proves for _, constant in f.certificate)
    wild = 40 * torch.randn(cls.parameters(f).shape, generator=rng(), dtype=torch.float64)
    g = cls.member(wild, grid, like=f)
    assert torch.all(g.lipschitz <= 1.6 * (1 + 1e-12)) and torch.all(g.jump <= 0.8 * (1 + 1e-12))
    assert torch.equal(cls.on(grid, 3, generator=1), cls.on(grid, 3, generator=1))
    assert not torch.equal(cls.on(grid, 3, generator=1), cls.on(grid, 3, generator=2))


def test_cartoons_are_differentiable_in_the_smooth_parts_and_in_points():
    grid = Grid.of((8, 7), length=1.0)
    cls = sg.Cartoon()
    f = cls.draw(grid, 2, generator=0)
    z = torch.randn(cls.parameters(f).shape, generator=rng(), dtype=torch.float64).mul(0.01).requires_grad_()
    x = torch.rand((2, 4), generator=rng(3), dtype=torch.float64).requires_grad_()
    assert float(torch.stack([r.distance(x.detach()) for r in f.regions]).min()) > 1e-3
    assert torch.autograd.gradcheck(lambda z, x: cls.member(z, grid, like=f).at(x), (z, x), atol=1e-6)


def test_structured_cartoons_are_steps_with_ends_on_and_before_grid_points():
    """In 1-D a shift by 2e-9 samples flips a sample of the region that ends just before it, and of no other."""
    grid = Grid.line(32, length=2.0)
    f = sg.Cartoon(0.8).structured(grid, 6)
    x = grid.points()
    assert set(f.on(grid).flatten().mul(1e9).round().tolist()) == {0.0, 0.8e9}
    assert float(f.lipschitz.max()) == 0.0
    moved = (f.at(x - 2e-9 * grid.spacing[0]) - f.at(x)).abs().sum(1)
    moved_back = (f.at(x + 2e-9 * grid.spacing[0]) - f.at(x)).abs().sum(1)
    assert moved.tolist() == pytest.approx([0.8, 0.0, 0.0] * 2) or moved.tolist() == pytest.approx([0.8, 1.6, 0.0] * 2)
    assert max(moved.tolist() + moved_back.tolist()) >= 0.8
    lengths = {round((r.b - r.a) / grid.spacing[0]) for r in sg.Cartoon().structured(grid, 12).regions}
    assert len(lengths) >= 3


def test_cartoon_hypothesis_rejects():
    grid = Grid.line(64, length=1.0)
    n = torch.arange(64)
    step = ((n >= 10) & (n < 30)).double()
    cls = sg.Cartoon(1.0)
    assert cls.hypothesis(step, grid).satisfied
    assert not cls.hypothesis(1.1 * step, grid).satisfied
    assert not cls.hypothesis(step + ((n >= 40) & (n < 50)), grid).satisfied
    assert not cls.hypothesis(step.to(torch.complex128), grid).satisfied
    assert not cls.hypothesis(torch.full((64,), math.nan), grid).satisfied
    plane = Grid.square(16, length=1.0)
    assert not cls.hypothesis(1.2 * torch.eye(16, dtype=torch.float64), plane).satisfied


def test_cartoon_refusals():
    grid = Grid.square(8, length=1.0)
    cls = sg.Cartoon()
    f = cls.draw(grid, 2, generator=0)
    z = cls.parameters(f)
    with pytest.raises(ValueError, match="like"):
        cls.member(z, grid)
    with pytest.raises(ValueError, match="like"):
        cls.member(z[:1], grid, like=f)
    with pytest.raises(TypeError, match="CartoonSignal"):
        cls.parameters(f.first)
    with pytest.raises(ValueError, match="dimensions"):
        cls.draw(Grid.cube(4))
    with pytest.raises(ValueError, match="dimensions"):
        sg.Cartoon(regions="disc").draw(Grid.line(8))
    with pytest.raises(ValueError, match="regions"):
        sg.Cartoon(regions="square")
    with pytest.raises(ValueError, match="one region"):
        sg.CartoonSignal(f.first, f.second, f.regions[:1])
    with pytest.raises(ValueError, match="extents"):
        sg.CartoonSignal(f.first, f.second, (sg.Disc((0.0, 0.0), 0.1, (1.0, 2.0)),) * 2)
    with pytest.raises(TypeError, match="without jumps"):
        sg.CartoonSignal(f, f.second, f.regions)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_of_region(kind):
    cls = sg.Cartoon(regions=kind)
    grid = Grid.square(16)
    for f in (cls.draw(grid, 3, generator=0), cls.structured(grid, 3)):
        assert {type(r).__name__.lower() for r in f.regions} == {kind}


# --- dead leaves -----------------------------------------------------------------------------------------------------


def test_dead_leaves_against_painting():
    """Discs painted one after another over their nine images."""
    grid = Grid((20, 15), (EXTENT[0] / 20, EXTENT[1] / 15))
    f = sg.DeadLeaves(2.0, discs=12).draw(grid, 2, generator=1)
    x = points(400)
    for i in range(2):
        image = torch.full((400,), float(f.greys[i, 0]), dtype=torch.float64)
        closest = torch.full((400,), math.inf, dtype=torch.float64)
        for c, r, grey in zip(f.centres[i].T, f.radii[i], f.greys[i, 1:], strict=True):
            for a, b in itertools.product(range(-3, 4), repeat=2):
                shift = torch.tensor([a * EXTENT[0], b * EXTENT[1]]).double()
                rho = torch.linalg.vector_norm(x - (c + shift)[:, None], dim=0)
                image[rho <= r] = grey
                closest = torch.minimum(closest, (rho - r).abs())
        assert torch.equal(f.at(x)[i], image)
        assert torch.equal(f.near(x, 0.05)[i], closest <= 0.05)
    assert f.jump.tolist() == pytest.approx([2.0, 2.0]) and not f.lipschitz.any() and not f.crossing_lipschitz.any()
    assert f.boundary_length.tolist() == pytest.approx((2 * math.pi * f.radii.sum(1)).tolist())
    expected = [min(3.0, sum(4 * math.pi * float(r) * 0.01 for r in row)) for row in f.radii]
    assert f.tube(0.01).tolist() == pytest.approx(expected)
    fine = Grid((200, 150), (EXTENT[0] / 200, EXTENT[1] / 150))
    share = f.near(fine.points(), 0.01).double().sum((1, 2)) * fine.cell_volume
    assert torch.all(share <= 1.02 * f.tube(0.01))


def test_jumps_of_dead_leaves_lie_on_circles():
    """Values of close points differ only where a circle is near, and then by at most J."""
    grid = Grid.square(16, length=1.0)
    f = sg.DeadLeaves(0.7).structured(grid, 2, generator=0)
    x = torch.rand((2, 4000), generator=rng(), dtype=torch.float64)
    change = (f.at(x + 0.003) - f.at(x)).abs()
    assert float(change.max()) == pytest.approx(0.7) and torch.all((change == 0) | f.near(x, 0.003 * math.sqrt(2)))


def test_radii_of_dead_leaves_follow_the_law():
    """P(r <= q) = (r0^-2 - q^-2) / (r0^-2 - r1^-2) for the density r^-3; Kolmogorov distance of 4000 draws."""
    f = sg.DeadLeaves(r_min=0.05, r_max=0.2, discs=2000).draw(Grid.square(8, length=3.0), 2, generator=0)
    r = (f.radii.flatten() / 3.0).sort().values
    law = (400 - r**-2) / (400 - 25)
    assert float((law - (torch.arange(4000) + 0.5) / 4000).abs().max()) < 0.03


def test_dead_leaves_members():
    grid = Grid.of((12, 9), length=1.0)
    cls = sg.DeadLeaves(1.5)
    f = cls.draw(grid, 2, generator=0)
    assert torch.allclose(cls.member(cls.parameters(f), grid, like=f).on(grid), f.on(grid), rtol=0, atol=1e-14)
    z = torch.randn(f.greys.shape, generator=rng(), dtype=torch.float64)
    assert cls.member(z, grid, like=f).jump.tolist() == pytest.approx([1.5, 1.5])
    x = torch.rand((2, 5), generator=rng(), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z, x: cls.member(z, grid, like=f).at(x), (z.requires_grad_(), x.requires_grad_())
    )
    own = torch.stack([x.detach(), x.detach().flip(1)])
    assert torch.equal(f.at(own, each=True)[1], f.select(1).at(own[1]))
    assert cls.hypothesis(f.on(grid), grid).satisfied
    assert not cls.hypothesis(1.51 * torch.eye(12, 9), grid).satisfied
    assert torch.equal(cls.on(grid, 2, generator=4), cls.on(grid, 2, generator=4))
    for build, message in [
        (lambda: sg.DeadLeaves(r_min=0.3, r_max=0.2), "r_min"), (lambda: cls.draw(Grid.line(8)), "expected 2"),
        (lambda: cls.member(z, grid), "like"), (lambda: sg.DeadLeaves(0.0), "positive"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            build()
