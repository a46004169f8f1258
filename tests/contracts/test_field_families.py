"""Families of fields: any parameters give members, differentiably; drawn ones repeat; structured ones are extremal."""

import math

import pytest
import torch
from fake_cuda import CUDA, on_fake_cuda
from hypothesis import given, settings
from hypothesis import strategies as hs

from scatter_theory import Grid
from scatter_theory.deform._families import BandLimitedFields, Family, Sinusoids, Translations
from scatter_theory.deform._local_families import MaxEntropy, Rotations, SampledFields, Scalings, Shears
from scatter_theory.deform._sampled import SampledField

FAMILIES = [
    BandLimitedFields(2), BandLimitedFields(1, constant=False), Translations(), Sinusoids(2), MaxEntropy(2.5),
    Rotations(0.3), Rotations(3.0, inner=0.1, outer=0.5), Scalings(1.3), Shears(0.4), SampledFields(),
]  # fmt: skip
TWO_OR_MORE = (Rotations, Shears)
PAIRS = [(f, d) for f in FAMILIES for d in (1, 2, 3) if d > 1 or not isinstance(f, TWO_OR_MORE)]


def grid_of(d):
    return Grid.of((5, 4, 3)[:d], length=2.0)


@pytest.mark.parametrize(("family", "d"), PAIRS, ids=str)
def test_members(family, d):
    """Drawn, structured and arbitrary parameters; a finite field each, and a gradient."""
    grid = grid_of(d)
    P = family.parameters(grid)
    drawn = family.draw(grid, 3, generator=1)
    assert drawn.shape == (3, P) and drawn.dtype == torch.float64
    assert torch.equal(drawn, family.draw(grid, 3, generator=1))
    assert not torch.equal(drawn, family.draw(grid, 3, generator=2))
    structured = family.structured(grid, 5)
    assert structured.shape[1] == P and 1 <= len(structured) <= 5
    assert len(structured.unique(dim=0)) == len(structured)
    assert family.structured(grid, 0).shape == (0, P)
    x = grid.points()
    for parameters in (drawn, structured, 50 * drawn, torch.zeros((2, P), dtype=torch.float64)):
        p = parameters.clone().requires_grad_()
        field = family.member(p, grid)
        assert field.batch == (len(parameters),) and field.extent == grid.extent
        values = field.at(x)
        assert values.shape == (len(parameters), d, *grid.shape) and bool(values.isfinite().all())
        (slope,) = torch.autograd.grad(values.sum(), p)
        assert bool(slope.isfinite().all())
    if d < 3:
        assert bool(family.member(structured, grid).norms().sup.upper.gt(0).all())


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_gradients(family):
    grid = grid_of(2)
    p = family.draw(grid, 2, generator=3).requires_grad_()
    points = grid.points() if isinstance(family, SampledFields) else grid.points() + 0.07
    weights = torch.linspace(0.5, 1.5, 2 * 2 * 20, dtype=torch.float64).reshape(2, 2, 5, 4)
    assert torch.autograd.gradcheck(lambda p: (family.member(p, grid).at(points) * weights).sum(), p)


@pytest.mark.parametrize(("family", "d"), PAIRS, ids=str)
def test_members_need_nothing_from_the_host(family, d):
    """Values and Jacobians on a pretended GPU, where reading a number on the host raises."""
    grid = grid_of(d)
    P = family.parameters(grid)
    with on_fake_cuda(torch.nn.Module()):
        p = torch.empty((3, P), dtype=torch.float64, device=CUDA)
        field = family.member(p, grid)
        x = grid.points(device=CUDA)
        assert field.at(x).device == CUDA and field.at(x).shape == (3, d, *grid.shape)
        assert field.jacobian(x).shape == (3, d, d, *grid.shape)
        own = x.expand(3, *x.shape)
        assert field.scaled(torch.ones(3, dtype=torch.float64, device=CUDA)).at(own, each=True).device == CUDA


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_names(family):
    assert eval(repr(family)) == family
    assert family.name == type(family).__name__
    assert isinstance(family, Family)
    assert family.scalable is not isinstance(family, Rotations | Scalings | Shears)


@settings(max_examples=20)
@given(seed=hs.integers(0, 99), factor=hs.floats(-3, 3), d=hs.integers(1, 2), index=hs.integers(0, 9))
def test_multiples_of_members_of_scalable_families_are_members(seed, factor, d, index):
    """For families that are linear in their parameters: member(factor p) = factor member(p)."""
    family, grid = FAMILIES[index], grid_of(d)
    if not family.scalable:
        return
    p = family.draw(grid, 2, generator=seed)
    one = family.member(factor * p, grid).at(grid.points())
    assert torch.allclose(one, factor * family.member(p, grid).at(grid.points()), rtol=1e-12, atol=1e-12)


@given(seed=hs.integers(0, 99), d=hs.integers(1, 2))
def test_plane_waves_have_one_frequency(seed, d):
    """That of the largest number, and two amplitudes."""
    grid, family = grid_of(d), Sinusoids(2)
    p = torch.randn((1, family.parameters(grid)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    modes = [(1,), (2,)] if d == 1 else [(k, n) for k in range(3) for n in range(-2, 3) if k > 0 or n > 0]
    k = modes[int(p[0, 2 * d :].abs().argmax())]
    x = grid.points()
    angle = 2 * math.pi * sum(n * y / 2.0 for n, y in zip(k, x, strict=True))
    a, b = (p[0, i * d : (i + 1) * d].reshape(d, *(1,) * d) for i in (0, 1))
    assert torch.allclose(family.member(p, grid).at(x)[0], a * angle.sin() + b * angle.cos(), rtol=0, atol=1e-12)


def test_shares_of_bounded_families():
    """Half of a limit: half the angle, the root of the factor, half the shear; what can be scaled has no limit."""
    assert Rotations(0.4, inner=0.2).at_most(0.5) == Rotations(0.2, inner=0.2)
    assert Scalings(4.0).at_most(0.5) == Scalings(2.0)
    assert Shears(0.4).at_most(0.25) == Shears(0.1)
    assert Translations().at_most(0.5) == Translations()


@given(d=hs.integers(1, 2), seed=hs.integers(0, 99), constant=hs.booleans())
def test_bandlimited_parameters_are_cosine_and_sine_amplitudes(d, seed, constant):
    """The sum written out: constant, cosines, sines over frequencies whose first entry that is not 0 is positive."""
    grid, M = grid_of(d), 2
    family = BandLimitedFields(M, constant)
    p = family.draw(grid, 1, generator=seed)
    rows = p.reshape(d, -1)
    x = grid.points() + 0.3
    if d == 1:
        modes = [(k,) for k in range(1, M + 1)]
    else:
        modes = [(k, n) for k in range(M + 1) for n in range(-M, M + 1) if k > 0 or n > 0]
    total = rows[:, :1].reshape(d, *(1,) * d) * torch.ones(grid.shape, dtype=torch.float64) if constant else 0
    for i, k in enumerate(modes):
        angle = 2 * math.pi * sum(n * y / 2.0 for n, y in zip(k, x, strict=True))
        c, s = (rows[:, int(constant) + j * len(modes) + i].reshape(d, *(1,) * d) for j in (0, 1))
        total = total + c * angle.cos() + s * angle.sin()
    assert torch.allclose(family.member(p, grid).at(x)[0], total, rtol=0, atol=1e-12)


@given(angle=hs.floats(-1e3, 1e3))
def test_rotations_of_the_plane(angle):
    """Inside the inner radius, x - tau(x) is x turned by max_angle sin t."""
    grid, largest = Grid.square(6, length=2.0), 0.7
    field = Rotations(largest).member(torch.tensor([[angle]], dtype=torch.float64), grid)
    theta = largest * math.sin(angle)
    y = torch.tensor([[0.3, -0.2, 0.0], [0.1, 0.35, -0.49]], dtype=torch.float64)
    R = torch.tensor([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]], dtype=torch.float64)
    assert torch.allclose(y - field.at(1.0 + y)[0], R @ y, rtol=0, atol=1e-13)


def test_rotations_of_space_fix_their_axis_and_keep_lengths():
    grid = Grid.cube(4, length=2.0)
    t = torch.tensor([[0.3, -0.5, 0.9]], dtype=torch.float64)
    field = Rotations(2.0).member(t, grid)
    axis = 0.3 * t[0, :, None] / t.norm()
    y = torch.cat([axis, torch.tensor([[0.1], [0.3], [0.2]], dtype=torch.float64)], 1)
    turned = y - field.at(1.0 + y)[0]
    assert torch.allclose(turned[:, :1], axis, rtol=0, atol=1e-12)
    assert torch.allclose(turned.norm(dim=0), y.norm(dim=0), rtol=1e-12)
    part = y[:, 1] - (y[:, 1] @ t[0]) * t[0] / t.square().sum()
    moved = turned[:, 1] - (turned[:, 1] @ t[0]) * t[0] / t.square().sum()
    cosine = float(part @ moved / part.square().sum())
    assert math.acos(cosine) == pytest.approx(2.0 * math.sin(float(t.norm())), rel=1e-9)


def test_scalings_and_shears():
    grid = Grid.square(6, length=2.0)
    y = torch.tensor([[0.3, -0.2], [0.1, 0.35]], dtype=torch.float64)
    for t, factor in ((math.pi / 2, 1.5), (-math.pi / 2, 1 / 1.5), (0.0, 1.0), (math.pi / 6, math.sqrt(1.5))):
        field = Scalings(1.5).member(torch.tensor([[t]], dtype=torch.float64), grid)
        assert torch.allclose(y - field.at(1.0 + y)[0], factor * y, rtol=1e-12)
    field = Shears(0.4).member(torch.tensor([[math.pi / 2, -math.pi / 6]], dtype=torch.float64), grid)
    S = torch.tensor([[1.0, 0.4], [-0.2, 1.0]], dtype=torch.float64)
    assert torch.allclose(y - field.at(1.0 + y)[0], S @ y, rtol=1e-12)


def test_structured_members_reach_the_ends_of_bounded_families():
    grid = Grid.square(6, length=2.0)
    field = Rotations(0.3).member(Rotations(0.3).structured(grid, 2), grid)
    assert torch.allclose(field.matrix[:, 0, 0], torch.full((2,), 1 - math.cos(0.3), dtype=torch.float64))
    assert torch.allclose(field.matrix[:, 0, 1].sort().values, math.sin(0.3) * torch.tensor([-1.0, 1.0]).double())


def test_structured_members_of_bandlimited_fields():
    """All kinds are among the first: translations, waves of the lowest and highest degree, blocks that move apart."""
    grid = Grid.square(6, length=2.0)
    family = BandLimitedFields(3)
    field = family.member(family.structured(grid, 4), grid)
    steepness = field.norms().jacobian.upper / field.norms().sup.upper
    assert float(steepness[0]) == 0
    assert float(steepness[1]) == pytest.approx(math.pi, rel=2e-3)
    assert float(steepness[3]) == pytest.approx(3 * math.pi, rel=2e-3)
    for x in (0.2, 0.5, 0.8):
        here, there = (field.at(torch.tensor([[y], [y]]).double())[2, :, 0] for y in (x, 1.0 + x))
        assert torch.allclose(here, -there) and float(here.norm()) > 0.5
    everything = family.structured(grid, 1000)
    assert len(everything) == 4 + 16 + 8 + 16
    assert len(everything.unique(dim=0)) == len(everything)


def test_sampled_members_are_the_parameters():
    grid = grid_of(2)
    p = SampledFields().draw(grid, 2, generator=0)
    field = SampledFields().member(p, grid)
    assert isinstance(field, SampledField)
    assert torch.equal(field.values.reshape(2, -1), p)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BandLimitedFields(0), "degree"),
        (lambda: Sinusoids(1.5), "degree"),
        (lambda: Rotations(0.0), "max_angle"),
        (lambda: Scalings(1.0), "max_factor"),
        (lambda: Shears(math.inf), "max_shear"),
        (lambda: Rotations(0.1, inner=0.4, outer=0.3), "inner"),
        (lambda: Rotations(0.1).parameters(Grid.line(4)), "2 or 3"),
        (lambda: Rotations(0.1, centre=(0.5,)).member(torch.zeros((1, 1)), Grid.square(4)), "centre"),
        (lambda: MaxEntropy(1.0).parameters(Grid.square(4)), "cutoff"),
        (lambda: Translations().member(torch.zeros((1, 3)), Grid.square(4)), "parameters"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
