"""Frame bounds over all frequencies: they enclose every grid, and they are close."""

import math

import pytest
import torch

from scatter_theory import Grid
from scatter_theory.frames import Filters, LogGabor, MexicanHat, Morlet, Taps
from scatter_theory.frames._enclosure import polynomial_range, refined_range


def random_polynomial(degree, generator):
    """Real trigonometric polynomial as a function of a tensor of frequencies."""
    c = torch.randn(2, degree + 1, dtype=torch.float64, generator=generator)
    k = torch.arange(degree + 1, dtype=torch.float64)

    def value(x):
        angle = 2 * math.pi * x[:, None] * k
        return (c[0] * torch.cos(angle) + c[1] * torch.sin(angle)).sum(1)

    return value


def test_polynomials_are_enclosed():
    generator = torch.Generator().manual_seed(3)
    fine = torch.arange(4000, dtype=torch.float64) / 4000
    missed = 0
    for trial in range(200):
        degree = 1 + trial % 9
        n = 2 * degree + 1 + trial % 20
        polynomial = random_polynomial(degree, generator)
        points = torch.arange(n, dtype=torch.float64) / n
        samples, truth = polynomial(points), polynomial(fine)
        found = polynomial_range(samples, degree, points)
        assert found.minimum[0] <= truth.min() + 1e-12 and truth.max() - 1e-12 <= found.maximum[1]
        missed += bool(samples.max() < truth.max() - 1e-3)
    assert missed > 100, "the samples alone must miss the maximum, or the test says nothing"


def test_the_cosine_factor_is_attained():
    """A cosine sampled symmetrically about its peak: the enclosure is an equality."""
    n = 6
    points = torch.arange(n, dtype=torch.float64) / n
    samples = torch.cos(2 * math.pi * (points + 0.5 / n))
    found = polynomial_range(samples, 1, points)
    assert samples.max() < 0.9 and found.maximum[1] == pytest.approx(1.0, abs=1e-12)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="too few for degree 4"):
        polynomial_range(torch.ones(8), 4, torch.arange(8) / 8)


def test_refinement_finds_extrema_between_boxes():
    def extension(low, high):
        a, b = (low - 0.3) ** 2, (high - 0.3) ** 2
        inside = (low <= 0.3) & (high >= 0.3)
        return torch.where(inside, 0.0, torch.minimum(a, b))[:, 0], torch.maximum(a, b)[:, 0]

    edges = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None]
    found = refined_range(extension, edges[:-1], edges[1:], 1e-9)
    assert found.minimum[0] <= 0 <= found.minimum[1] <= 1e-9
    assert found.maximum[0] - 1e-9 <= 1.69 <= found.maximum[1] + 1e-15 and found.maximum[1] <= 1.69 + 1e-9


@pytest.mark.parametrize("name", ["bior4.4", "bior3.1", "rbio2.8", "dmey", "sym7", "haar"])
@pytest.mark.parametrize("J", [1, 3])
def test_taps_on_twenty_lengths(name, J):
    bounds = Taps(name, J=J).bounds()
    assert bounds.A.kind == bounds.B.kind == "certified"
    low, high = zip(*(tuple(Taps(name, J=J).on(Grid.line(n)).bounds()) for n in range(16, 256, 12)), strict=True)
    assert bounds.A.value <= min(low) and max(high) <= bounds.B.value
    dense = Taps(name, J=J).on(Grid.line(1 << 14)).bounds()
    assert bounds.A.value == pytest.approx(dense.A.value, rel=1e-3)
    assert bounds.B.value == pytest.approx(dense.B.value, rel=1e-3)


@pytest.mark.parametrize(("name", "d", "shapes"), [
    ("bior4.4", 2, [(7, 9), (16, 16), (31, 12), (64, 5)]),
    ("bior2.2", 3, [(4, 5, 6), (9, 9, 9)]),
])  # fmt: skip
def test_taps_in_several_dimensions(name, d, shapes):
    bounds = Taps(name, J=1).bounds(d)
    for shape in shapes:
        A, B = Taps(name, J=1).on(Grid.of(shape)).bounds()
        assert bounds.A.value <= A and B <= bounds.B.value
    # One level: the sum is the product over the axes of |H|^2 + |G|^2.
    one = Taps(name, J=1).bounds()
    assert bounds.A.value == pytest.approx(one.A.value**d, rel=0.02)
    assert bounds.B.value == pytest.approx(one.B.value**d, rel=0.02)


def test_too_high_a_degree_is_refused():
    with pytest.raises(NotImplementedError, match="too high to enclose in 3 dimensions"):
        Taps("db20", J=3).bounds(3)
    with pytest.raises(NotImplementedError, match="number of levels depends on the grid"):
        Taps("db2", cutoff=3.0).bounds()


def test_filters_of_nine_taps():
    """The six random filters need not be those of anyone else: grids of 20 lengths must lie inside, and close."""
    generator = torch.Generator().manual_seed(1)
    taps = torch.randn(7, 9, dtype=torch.float64, generator=generator)
    frame = Filters(taps[1:], output=taps[0])
    A, B = frame.bounds()
    grids = [tuple(frame.on(Grid.line(n)).bounds()) for n in range(3, 63, 3)]
    assert A <= min(a for a, _ in grids) and max(b for _, b in grids) <= B
    dense = frame.on(Grid.line(1 << 14)).bounds()
    assert A == pytest.approx(dense.A.value, rel=1e-3) and B == pytest.approx(dense.B.value, rel=1e-3)
    coarse = frame.on(Grid.line(16)).bounds()
    assert coarse.A.value > dense.A.value * (1 + 1e-4), "a short grid must overstate A, or the test says nothing"


@pytest.mark.parametrize(
    ("frame", "grid", "tolerance"),
    [
        (MexicanHat(J=6, Q=2), Grid.line(1 << 14), 1e-3),
        (MexicanHat(J=3), Grid.square(128), 0.05),
        (LogGabor(J=6), Grid.line(1 << 14), 1e-3),
        (LogGabor(J=4), Grid.square(256), 5e-3),
        (Morlet(J=6, sided="half"), Grid.line(1 << 14), 1e-3),
        (Morlet(J=6, Q=8, sided="half"), Grid.line(1 << 14), 1e-3),
        (Morlet(J=4, L=4, sided="half"), Grid.square(256), 2e-2),
    ],
    ids=str,
)
def test_gaussian_families_well_below_nyquist(frame, grid, tolerance):
    """Far below Nyquist the bank of a grid is the infinite family, so its sum must lie between the bounds."""
    bounds = frame.bounds(grid.ndim)
    assert bounds.A.kind == bounds.B.kind == "certified"
    radius = torch.linalg.vector_norm(grid.frequencies(), dim=0)
    inner = frame.on(grid).littlewood_paley(real=True)[radius < 0.12]
    assert bounds.A.value <= float(inner.min()) <= bounds.A.value + tolerance
    assert bounds.B.value - tolerance <= float(inner.max()) <= bounds.B.value


@pytest.mark.parametrize("frame", [MexicanHat(J=3), LogGabor(J=3), Morlet(J=3)], ids=str)
def test_the_bounds_do_not_depend_on_the_scale(frame):
    dilated = type(frame)(J=frame.J + 2)
    assert tuple(frame.bounds()) == tuple(dilated.bounds())
