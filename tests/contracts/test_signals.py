"""Signals that can be evaluated anywhere: values, norms, certificates, and the classes from which they come."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

import scatter_theory.signals as sg
from scatter_theory import Grid
from scatter_theory.signals._ball import Ball
from scatter_theory.signals._suprema import OVERSAMPLING, upper_supremum
from scatter_theory.trigonometric import Polynomial

GRIDS = [Grid.line(32, length=1.0), Grid.line(33), Grid.of((12, 9), length=2.0), Grid.square(10), Grid.cube(7)]
CLASSES = [
    sg.BandLimited(0.3), sg.BandLimited(0.3, complex_valued=True), sg.Sobolev(), sg.Sobolev(0.5, radius=0.3),
    sg.Lipschitz(2.5),
]  # fmt: skip


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def scatter(grid, *shape, seed=0):
    """Random points ``(d, *shape)``, some of them outside of the period."""
    L = torch.tensor(grid.extent, dtype=torch.float64).reshape(-1, *(1,) * len(shape))
    return L * (3 * torch.rand((grid.ndim, *shape), generator=rng(seed), dtype=torch.float64) - 1)


def fitted(cls, grid):
    """The class with its radius in cycles per unit of a grid; radii above are for spacing 1."""
    if getattr(cls, "radius", None) is None:
        return cls
    radius = cls.radius / max(grid.spacing)
    if isinstance(cls, sg.Sobolev):
        return sg.Sobolev(cls.s, radius=radius)
    return sg.BandLimited(radius, complex_valued=cls.complex_valued)


def cases():
    return [
        pytest.param(fitted(cls, grid), grid, id=f"{cls}-{grid.shape}")
        for cls, grid in itertools.product(CLASSES, GRIDS)
    ]


def both(cls, grid, n=7):
    return [cls.draw(grid, n, generator=3), cls.structured(grid, 9, generator=3)]


# --- what every signal does ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "grid"), cases())
def test_values_anywhere(cls, grid):
    """Values on the grid, periodicity, and points of each signal against a loop."""
    for f in both(cls, grid):
        n = f.batch[0]
        scale = float(f.on(grid).abs().max())
        assert f.on(grid).shape == (n, *grid.shape) and f.on(grid).is_complex() != f.real
        assert torch.allclose(f.at(grid.points()), f.on(grid), rtol=0, atol=1e-12 * scale)
        x = scatter(grid, 5, 3)
        turns = torch.randint(-3, 4, x.shape, generator=rng(1)).double()
        L = torch.tensor(grid.extent, dtype=torch.float64)[:, None, None]
        assert torch.allclose(f.at(x + turns * L), f.at(x), rtol=0, atol=1e-10 * scale)
        own = torch.stack([scatter(grid, 4, seed=i) for i in range(n)])
        loop = torch.stack([f.select(i).at(own[i]) for i in range(n)])
        assert f.select(0).batch == () and f.select([1, 0]).batch == (2,)
        assert torch.allclose(f.at(own, each=True), loop, rtol=0, atol=1e-12 * scale)
        assert torch.allclose(f.select(torch.tensor([n - 1])).at(x)[0], f.at(x)[-1], rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize(("cls", "grid"), cases())
def test_members_from_parameters(cls, grid):
    """The way back to the signal; any numbers give a member; generators repeat; the hypothesis accepts members."""
    widths = set()
    for f in both(cls, grid):
        z = cls.parameters(f)
        widths.add(z.shape[1])
        assert z.dtype == torch.float64 and z.shape[0] == f.batch[0]
        again = cls.member(z, grid, like=f)
        assert torch.allclose(again.on(grid), f.on(grid), rtol=0, atol=1e-10 * float(f.on(grid).abs().max()))
        assert cls.hypothesis(f.on(grid), grid).satisfied
    assert len(widths) == 1
    wild = torch.randn((3, widths.pop()), generator=rng(), dtype=torch.float64) * torch.tensor([[0.0], [1e-3], [50.0]])
    members = cls.member(wild, grid)
    assert cls.hypothesis(members.on(grid), grid).satisfied
    if isinstance(members, sg.BandLimitedSignal):
        assert torch.allclose(members.norm(getattr(cls, "s", 0.0)), torch.ones(3, dtype=torch.float64), rtol=1e-12)
    else:
        # The parameters 0 give a constant in one dimension.
        expected = [0.0 if grid.ndim == 1 else 2.5, 2.5, 2.5]
        assert members.lipschitz.tolist() == pytest.approx(expected, rel=1e-12)
    one, two, other = (cls.on(grid, 2, generator=s) for s in (5, torch.Generator().manual_seed(5), 6))
    assert torch.equal(one, two) and not torch.allclose(one, other)


@pytest.mark.parametrize("cls", [sg.BandLimited(0.2), sg.BandLimited(0.2, complex_valued=True), sg.Sobolev(0.7)])
@pytest.mark.parametrize("grid", [Grid.line(12), Grid.of((6, 7))])
def test_polynomials_are_differentiable(cls, grid):
    z = cls.parameters(cls.draw(grid, 2, generator=0)).requires_grad_()
    x = scatter(grid, 3).requires_grad_()

    def value(z, x):
        values = cls.member(z, grid).at(x)
        return torch.view_as_real(values) if values.is_complex() else values

    assert torch.autograd.gradcheck(value, (z, x))


@pytest.mark.parametrize("grid", [Grid.line(16), Grid.of((6, 7))])
def test_lipschitz_members_are_differentiable(grid):
    """Away from the kinks, which random points miss."""
    cls = sg.Lipschitz(0.5)
    m = 4 if grid.ndim == 1 else 3
    width = 2 * m + 1 if grid.ndim == 1 else 3 * m + 2
    z = torch.randn((2, width), generator=rng(2), dtype=torch.float64, requires_grad=True)
    x = scatter(grid, 4, seed=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda z, x: cls.member(z, grid).at(x), (z, x))


# --- band-limited ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("complex_valued", [False, True])
def test_band_limit_and_norm_on_the_grid(grid, complex_valued):
    """From the samples alone: nothing above the radius, norm 1, and the whole ball is used."""
    radius = 0.3 / max(grid.spacing)
    cls = sg.BandLimited(radius, complex_valued=complex_valued)
    for f in both(cls, grid):
        values = f.on(grid)
        above = torch.linalg.vector_norm(grid.frequencies(), dim=0) > radius * (1 + 1e-12)
        assert float((grid.fft(values).abs() * above).max()) <= 1e-12 * grid.size
        assert torch.allclose(grid.norm(values), torch.ones(f.batch, dtype=torch.float64), rtol=1e-12)
        assert torch.all(f.radius <= radius * (1 + 1e-12))
    lengths = torch.linalg.vector_norm(grid.frequencies(), dim=0)
    reached = lengths[lengths <= radius * (1 + 1e-12)].max()
    assert float(cls.structured(grid, 9).radius.max()) == pytest.approx(float(reached), rel=1e-12)
    count = int((lengths <= radius * (1 + 1e-12)).sum())
    assert cls.parameters(f).shape[1] == (2 if complex_valued else 1) * count


def test_norms_of_tones_and_of_a_dirichlet_kernel():
    """cos(2 pi 3 x / L): norm (L/2)^(1/2). Dirichlet kernel of degree M: norm (L (2M+1))^(1/2), supremum 2M + 1."""
    L, k = 2.0, torch.arange(-4, 5)
    tone = Polynomial(0.5 * (k.abs() == 3).to(torch.complex128)[None], (L,), True)
    kernel = Polynomial(torch.ones((1, 9), dtype=torch.complex128), (L,), True)
    tone, kernel = sg.BandLimitedSignal(tone), sg.BandLimitedSignal(kernel)
    assert tone.norm() == pytest.approx(1.0) and kernel.norm() == pytest.approx(math.sqrt(18.0))
    assert tone.norm(1) == pytest.approx(3 * math.pi) and tone.radius == pytest.approx(1.5)
    assert 9.0 <= float(kernel.supremum()) <= 9.0 * (1 + 1e-4)
    assert 3 * math.pi <= float(tone.lipschitz()) <= 3 * math.pi * (1 + 1e-4)
    x = torch.tensor([[0.3]], dtype=torch.float64)
    assert float(kernel.at(x)) == pytest.approx(math.sin(9 * math.pi * 0.15) / math.sin(math.pi * 0.15))
    diagonal = torch.zeros((1, 3, 3), dtype=torch.complex128)
    diagonal[0, 0, 0] = diagonal[0, 2, 2] = 0.5
    wave = sg.BandLimitedSignal(Polynomial(diagonal, (1.0, 2.0), True))
    steepest = 2 * math.pi * math.hypot(1.0, 0.5)
    assert steepest <= float(wave.lipschitz()) <= 1.005 * steepest


@settings(max_examples=12)
@given(d=hs.sampled_from([1, 2]), degree=hs.integers(1, 5), seed=hs.integers(0, 2**31), real=hs.booleans())
def test_gradient_suprema_enclose(d, degree, seed, real):
    """Certified suprema against values on m dense points per axis, and gradients by autograd: never below, and never
    more above than the points can have missed: a factor cos(pi M / m) per axis of degree M."""
    ball = Ball((1.0, 1.5)[:d], float(degree), hermitian=real)
    f = sg.BandLimitedSignal(ball.unpack(torch.randn((2, ball_width(ball)), generator=rng(seed), dtype=torch.float64)))
    m = {1: 2000, 2: 90}[d]
    missed = math.prod(1 / math.cos(math.pi * M / m) for M in f.polynomial.degrees)
    one_shot = missed * math.cos(math.pi / OVERSAMPLING[d]) ** -d * (1 + 1e-9)
    dense = Grid.of((m,) * d, length=1.0).points() * torch.tensor(f.extent).reshape(-1, *(1,) * d)
    x = dense.double().requires_grad_()
    slopes = []
    for i in range(2):
        parts = [f.at(x)[i].real] if real else [f.at(x)[i].real, f.at(x)[i].imag]
        squares = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0].square().sum(0) for part in parts]
        slopes.append(float(sum(squares).max().sqrt()))
    seen = torch.tensor(slopes, dtype=torch.float64)
    for certified, above in (
        (f.lipschitz(), 1.01 * missed),
        (upper_supremum(f.polynomial.gradient(), vector=True), one_shot),
    ):
        assert torch.all(certified >= seen) and torch.all(certified <= above * seen)
    peaks = f.at(dense.double()).abs().flatten(1).amax(1)
    for certified, above in ((f.supremum(), 1.01 * missed), (upper_supremum(f.polynomial), one_shot)):
        assert torch.all(certified >= peaks) and torch.all(certified <= above * peaks)


def ball_width(ball):
    count = int(ball.mask().sum())
    return count if ball.hermitian else 2 * count


def test_draws_are_of_different_kinds():
    """Kurtosis of the spectra tells tones (one pair of lines) from noise; the chirp has a flat modulus."""
    grid = Grid.line(64)
    f = sg.BandLimited(0.4).draw(grid, 6, generator=0)
    power = grid.fft(f.on(grid)).abs() ** 2
    lines = (power > 1e-9 * power.amax(1, keepdim=True)).sum(1).tolist()
    assert lines[2] == 2 and lines[3] in (2, 4) and min(lines[0], lines[1], lines[4], lines[5]) > 20
    peak = f.on(grid).abs().amax(1) / f.on(grid).square().mean(1).sqrt()
    assert peak[4] == peak.max()


def test_structured_members_go_in_many_directions():
    grid = Grid.square(32)
    f = sg.BandLimited(0.25).structured(grid, 12, generator=0)
    assert f.batch == (12,)
    power = grid.fft(f.on(grid)).abs() ** 2
    tones = [p for p in power if int((p > 1e-9 * p.max()).sum()) == 2]
    xi = torch.stack([grid.frequencies()[:, p == p.max()][:, 0] for p in tones])
    assert len(tones) >= 5 and torch.all(torch.linalg.vector_norm(xi, dim=1) > 0.2)
    angles = torch.atan2(xi[:, 1], xi[:, 0]).remainder(math.pi)
    assert len(set((angles * 10).round().tolist())) >= 5


def test_refused_radii():
    grid = Grid.line(16, length=2.0)
    for radius in (4.0, 0.4):
        with pytest.raises(ValueError, match=r"between 0.5 .*and 3.5"):
            sg.BandLimited(radius).draw(grid)
    assert sg.BandLimited(3.9).draw(grid).polynomial.degrees == (7,)
    with pytest.raises(ValueError, match="Nyquist"):
        sg.BandLimited(0.5).draw(Grid.square(8))
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="positive"):
            sg.BandLimited(bad)
    with pytest.raises(ValueError, match="at least 1"):
        sg.BandLimited(0.2).draw(grid, 0)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_sobolev_members_by_hand(grid):
    """The norm summed from the samples, mean zero."""
    for s in (0.5, 1.0):
        f = sg.Sobolev(s).draw(grid, 3, generator=1).on(grid)
        length = torch.linalg.vector_norm(grid.frequencies(), dim=0)
        power = ((2 * math.pi * length) ** (2 * s) * grid.fft(f).abs() ** 2).sum(grid.axes) / grid.size
        assert torch.allclose(power * grid.cell_volume, torch.ones(3, dtype=torch.float64), rtol=1e-10)
        assert torch.all(f.mean(grid.axes).abs() <= 1e-12)


# --- interpolants ----------------------------------------------------------------------------------------------------


def test_interpolant_passes_through_odd_grids_and_drops_nyquist_bins():
    odd, even = Grid.line(9), Grid.line(8)
    noise = torch.randn((2, 9), generator=rng(), dtype=torch.float64)
    f = sg.Interpolant(noise, odd)
    assert torch.allclose(f.on(odd), noise) and torch.all(f.dropped <= 1e-15)
    n = torch.arange(8, dtype=torch.float64)
    values = 5.0 + 3 * torch.cos(2 * math.pi * n / 8) + 2 * torch.cos(math.pi * n)
    f = sg.Interpolant(values, even)
    # Energies per sample without the mean: 9 / 2 of the tone, 4 of the Nyquist bin.
    assert float(f.dropped) == pytest.approx(4 / 8.5)
    assert torch.allclose(f.on(even), values - 2 * torch.cos(math.pi * n))
    assert float(f.at(torch.tensor([[0.5]]).double())) == pytest.approx(5 + 3 * math.cos(math.pi / 8))
    assert float(sg.Interpolant(values, even, radius=0.1).dropped) == pytest.approx(1.0)
    assert "dropped share" in str(f.certificate)


def test_occupied_radii():
    """Energies 900, 90, 9, 1 of tones 1, 2, 3, 4: 90 % at 1, 99 % at 2, 99.9 % at 3."""
    n, grid = torch.arange(32, dtype=torch.float64), Grid.line(32, length=1.0)
    tones = [math.sqrt(e) * torch.cos(2 * math.pi * k * n / 32) for k, e in enumerate((900.5, 90, 8.5, 1), start=1)]
    f = sg.Interpolant(torch.stack([100 + sum(tones), tones[2]]), grid)
    assert {share: radius.tolist() for share, radius in f.occupied.items()} == {
        0.9: [1.0, 3.0], 0.99: [2.0, 3.0], 0.999: [3.0, 3.0],
    }  # fmt: skip
    part = f.select([1])
    assert isinstance(part, sg.Interpolant) and part.occupied[0.9].tolist() == [3.0] and part.dropped.shape == (1,)


def test_interpolant_of_complex_values_and_bad_ones():
    grid = Grid.of((6, 5))
    values = torch.randn((6, 5), generator=rng(), dtype=torch.complex128)
    f = sg.Interpolant(values, grid)
    assert not f.real and f.batch == () and f.polynomial.box == (5, 5)
    back = grid.fft(values - f.on(grid))
    assert float(back[[0, 1, 2, 4, 5]].abs().max()) <= 1e-12 and float(back[3].abs().max()) > 0.1
    with pytest.raises(ValueError, match="expected"):
        sg.Interpolant(values[:5], grid)
    with pytest.raises(ValueError, match="NaN"):
        sg.Interpolant(torch.full((8,), math.nan), Grid.line(8))
    with pytest.raises(ValueError, match="radius"):
        sg.Interpolant(values, grid, radius=0.0)


# --- Lipschitz -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [Grid.line(40, length=3.0), Grid.of((9, 12), length=2.0), Grid.cube(6)], ids=str)
def test_lipschitz_constants(grid):
    """Difference quotients of close and of far points: never above, and attained."""
    K = 2.5
    for f in both(sg.Lipschitz(K), grid):
        assert torch.allclose(f.lipschitz, torch.full(f.batch, K, dtype=torch.float64), rtol=1e-12)
        assert torch.equal(f.crossing_lipschitz, f.lipschitz) and not f.jump.any() and not f.tube(0.1).any()
        assert not f.near(grid.points(), 0.1).any() and not f.boundary_length.any()
        x = scatter(grid, 4000)
        for reach in (1e-4, 10.0):
            y = x + reach * torch.randn(x.shape, generator=rng(1), dtype=torch.float64)
            quotient = (f.at(x) - f.at(y)).abs() / torch.linalg.vector_norm(x - y, dim=0)
            assert float(quotient.max()) <= K * (1 + 1e-8)
        slope = slopes(f, x)
        assert torch.all(slope.amax(1) <= K * (1 + 1e-10)) and torch.all(slope.amax(1) >= 0.98 * K)


def slopes(f, x):
    x = x.clone().requires_grad_()
    rows = [torch.autograd.grad(f.at(x)[i].sum(), x)[0] for i in range(f.batch[0])]
    return torch.stack([torch.linalg.vector_norm(row, dim=0) for row in rows])


def test_piecewise_linear_by_hand():
    """A tent of height 1 on [0, 4): values 0, 1, 0 at 0, 1, 3; integral of the square 1/3 + 2/3."""
    f = sg.PiecewiseLinear(torch.tensor([[0.0, 1.0, 0.0]]).double(), (4.0,), torch.tensor([[0.0, 1.0, 3.0]]).double())
    x = torch.tensor([[0.0, 0.25, 1.0, 2.0, 3.0, 3.5, 4.0, -2.0, 8.5]]).double()
    assert f.at(x)[0].tolist() == [0.0, 0.25, 1.0, 0.5, 0.0, 0.0, 0.0, 0.5, 0.5]
    assert float(f.lipschitz) == 1.0 and float(f.norm()) == pytest.approx(1.0) and float(f.supremum()) == 1.0
    assert f.slopes.tolist() == [[1.0, -0.5, 0.0]]


def test_piecewise_linear_norm_by_fine_quadrature():
    f = sg.Lipschitz(3.0).draw(Grid.line(16, length=2.0), 4, generator=0)
    fine = Grid.line(1 << 17, length=2.0)
    assert torch.allclose(f.norm(), fine.norm(f.on(fine)), rtol=1e-6)


def test_knots_that_do_not_ascend_are_refused():
    values = torch.zeros((1, 3), dtype=torch.float64)
    for knots in ([0.0, 2.0, 1.0], [0.0, 1.0, 4.5], [0.0, 1.0, 1.0]):
        with pytest.raises(ValueError, match="ascending"):
            sg.PiecewiseLinear(values, (4.0,), torch.tensor([knots]).double())
    with pytest.raises(ValueError, match="McShane"):
        sg.PiecewiseLinear(values, (4.0, 1.0))


def test_mcshane_against_all_images():
    """The definition with a loop over anchors and 5^2 images."""
    f = sg.Lipschitz(1.5).draw(Grid.of((8, 6), length=2.0), 2, generator=1)
    x = scatter(Grid.of((8, 6), length=2.0), 30)
    best = torch.full((2, 30), math.inf, dtype=torch.float64)
    for i, a, b in itertools.product(range(f.values.shape[1]), range(-3, 4), range(-3, 4)):
        image = f.anchors[:, :, i, None] + 2.0 * torch.tensor([a, b]).double()[None, :, None]
        best = torch.minimum(best, f.values[:, i, None] + 1.5 * torch.linalg.vector_norm(x[None] - image, dim=1))
    assert torch.allclose(f.at(x), best, rtol=0, atol=1e-13)
    assert torch.all(f.supremum()[:, None] >= best.abs())


def test_mcshane_weights_make_planes():
    """Weight 0 along the second axis: the distance to lines, a triangle wave."""
    anchors = torch.zeros((1, 2, 1), dtype=torch.float64)
    f = sg.McShane(torch.zeros((1, 1)).double(), anchors, 2.0, (1.0, 3.0), torch.tensor([[1.0, 0.0]]).double())
    x = torch.tensor([[0.25, 0.5, 0.75], [0.1, 1.4, 2.9]]).double()
    assert f.at(x)[0].tolist() == [0.5, 1.0, 0.5] and f.lipschitz.tolist() == [2.0]
    assert [1.0, 0.0] in sg.Lipschitz().structured(GRIDS[2], 6).weights.tolist()
    with pytest.raises(ValueError, match="from 0 to 1"):
        sg.McShane(torch.zeros((1, 1)).double(), anchors, 2.0, (1.0, 3.0), torch.tensor([[1.5, 0.0]]).double())


def test_gradients_at_a_kink_are_finite_and_nan_is_not_hidden():
    anchors = torch.zeros((1, 2, 1), dtype=torch.float64, requires_grad=True)
    f = sg.McShane(torch.zeros((1, 1)).double(), anchors, 2.0, (1.0, 3.0))
    f.at(torch.zeros((2, 1), dtype=torch.float64)).sum().backward()
    assert anchors.grad.tolist() == [[[0.0], [0.0]]]
    assert f.at(torch.full((2, 1), math.nan, dtype=torch.float64)).isnan().all()


def test_triangle_waves():
    """Period L / p: values at multiples of L / (2 p) are 0 and K L / (2 p) in turn."""
    grid = Grid.line(64, length=2.0)
    f = sg.Lipschitz(3.0).structured(grid, 4)
    for row, p in enumerate((1, 2, 4, 8)):
        x = torch.arange(2 * p, dtype=torch.float64)[None] * 2.0 / (2 * p)
        expected = 3.0 * 2.0 / (2 * p) * (torch.arange(2 * p) % 2)
        assert torch.allclose(f.at(x)[row], expected.double(), atol=1e-14)


# --- hypotheses ------------------------------------------------------------------------------------------------------


def test_hypotheses_reject_what_does_not_belong():
    grid = Grid.line(32)
    n = torch.arange(32, dtype=torch.float64)
    tone = torch.cos(2 * math.pi * 8 * n / 32)
    assert sg.BandLimited(0.25).hypothesis(tone, grid).satisfied
    assert not sg.BandLimited(0.24).hypothesis(tone, grid).satisfied
    assert sg.BandLimited(0.24).hypothesis(tone, grid).value == pytest.approx(1.0)
    assert not sg.BandLimited(0.1).hypothesis(torch.cos(2 * math.pi * n / 32) + 2e-6 * tone, grid).satisfied
    analytic = torch.polar(torch.ones(32).double(), 2 * math.pi * n / 32)
    assert not sg.BandLimited(0.25).hypothesis(analytic, grid).satisfied
    assert sg.BandLimited(0.25, complex_valued=True).hypothesis(analytic, grid).satisfied
    # |f'| of cos(2 pi n / 32) over its period: norm 2 pi / 32 * sqrt(16).
    norm = 2 * math.pi / 32 * 4
    slow = torch.cos(2 * math.pi * n / 32)
    assert sg.Sobolev().hypothesis(slow / norm, grid).satisfied
    assert sg.Sobolev().hypothesis(slow, grid).value == pytest.approx(norm)
    assert not sg.Sobolev().hypothesis(1.001 * slow / norm, grid).satisfied
    assert not sg.Sobolev(1.0, radius=0.2).hypothesis(1e-3 * tone, grid).satisfied
    ramp = (n - 16).abs()
    assert sg.Lipschitz(1.0).hypothesis(ramp, grid).satisfied
    assert not sg.Lipschitz(0.999).hypothesis(ramp, grid).satisfied
    diagonal = ramp[:, None] + ramp[None, :]
    assert sg.Lipschitz(1.0).hypothesis(diagonal, Grid.square(32)).value == pytest.approx(math.sqrt(2))
    for cls in (sg.BandLimited(0.25), sg.Sobolev(), sg.Lipschitz()):
        assert not cls.hypothesis(torch.full((32,), math.nan), grid).satisfied
        with pytest.raises(ValueError, match="shape"):
            cls.hypothesis(tone[:-1], grid)


# --- refusals and appearance -----------------------------------------------------------------------------------------


def test_wrong_points_and_grids():
    grid = Grid.of((6, 5))
    for cls in (sg.BandLimited(0.3), sg.Lipschitz()):
        f = cls.draw(grid, 2, generator=0)
        with pytest.raises(ValueError, match="points"):
            f.at(torch.zeros((3, 4), dtype=torch.float64))
        with pytest.raises(ValueError, match="points"):
            f.at(torch.zeros((2, 4), dtype=torch.int64))
        with pytest.raises(ValueError, match="extent"):
            f.on(Grid.of((6, 5), length=1.0))
        with pytest.raises(ValueError, match="shape"):
            cls.member(torch.zeros((2, 4), dtype=torch.float64), grid)
    with pytest.raises(TypeError, match="BandLimitedSignal"):
        sg.BandLimited(0.3).parameters(f)
    with pytest.raises(TypeError, match="generator"):
        sg.BandLimited(0.3).draw(grid, generator="seed")


def test_classes_evaluate_back_from_their_repr():
    for cls in (*CLASSES, sg.Cartoon(2.0, regions="disc"), sg.DeadLeaves(2.0)):
        assert eval(repr(cls), vars(sg)) == cls
    assert "batch (2,)" in repr(sg.BandLimited(0.3).draw(Grid.line(16), 2, generator=0))


def test_certificates_are_constants_with_origins():
    for cls in CLASSES:
        for _, constant in cls.draw(Grid.line(16), 2, generator=0).certificate:
            assert constant.proves and constant.source
