"""Average-case and local measures against closed forms, and what they refuse."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

import scatter_theory as st
from scatter_theory import Grid
from scatter_theory.deform import Interpolated, sinusoid, translation
from scatter_theory.deform._families import BandLimitedFields
from scatter_theory.deform._local_families import Rotations
from scatter_theory.measures import equivariance_psnr, lie_derivative, relative_stability, shift_consistency
from scatter_theory.measures._intervals import bootstrap, clopper_pearson

LINE, SQUARE = Grid.line(31, length=3.1), Grid.of((15, 17), length=1.5)


def noise(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def tone(grid, k, phase=0.0):
    turns = sum(m * x / L for m, x, L in zip(k, grid.points(), grid.extent, strict=True))
    return torch.cos(2 * math.pi * turns + phase)


def multiplier(grid, c):
    """The filter with multiplier c; real for real signals if c is even."""
    return lambda f: grid.ifft(grid.fft(f) * c).real


def bump(grid, size=2.0):
    return 1 / (1 + size * torch.linalg.vector_norm(grid.frequencies(), dim=0) ** 2)


def network(**changes):
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
    return st.FeatureExtractor([layer, layer], Grid.line(32, sample_rate=4.0), **changes)


# --- intervals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (87, 100)])
def test_clopper_pearson_against_exact_tails(k, n):
    """At the ends, the tails in exact rational arithmetic are alpha / 2."""
    low, high = clopper_pearson(k, n, 0.9)

    def tail(p, counts):
        p = Fraction(p)
        return float(sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in counts))

    assert low == 0 if k == 0 else tail(low, range(k, n + 1)) == pytest.approx(0.05, rel=1e-9)
    assert high == 1 if k == n else tail(high, range(k + 1)) == pytest.approx(0.05, rel=1e-9)


def test_bootstrap_of_a_mean_is_the_normal_interval():
    x = noise(400)
    low, high = bootstrap(x, torch.ones_like(x), 0.95, seed=3)
    half = 1.959964 * float(x.std(correction=0)) / 20
    assert low == pytest.approx(float(x.mean()) - half, abs=0.15 * half)
    assert high == pytest.approx(float(x.mean()) + half, abs=0.15 * half)
    assert bootstrap(x, torch.ones_like(x), 0.95, seed=3) == (low, high)
    assert bootstrap(x, torch.ones_like(x), 0.95, seed=4) != (low, high)
    assert bootstrap(x[:1], torch.ones(1), 0.95, seed=3) is None


def test_bootstrap_resamples_pairs():
    """Numerators that are twice their denominators have the ratio 2 in every resample."""
    b = noise(9).abs() + 0.1
    assert bootstrap(2 * b, b, 0.9, seed=0) == pytest.approx((2.0, 2.0), rel=1e-12)


# --- relative stability ------------------------------------------------------------------------------------------


@given(seed=hs.integers(0, 2**31), scale=hs.floats(1e-3, 1e3), square=hs.booleans())
@settings(max_examples=10)
def test_isometries_have_ratio_one(seed, scale, square):
    """Multiples of the identity and of a circular shift: D = G term by term."""
    grid = SQUARE if square else LINE
    x = noise((3, *grid.shape), seed)
    for model in (lambda f: scale * f, lambda f: scale * torch.roll(f, 2, -1)):
        result = relative_stability(model, x, grid, n=2, generator=seed)
        assert result.value == pytest.approx(1, rel=1e-12)
        assert np.allclose(result.details["deformed"], result.details["noisy"], rtol=1e-11)


@pytest.mark.parametrize("k", [2, 11])
def test_filters_follow_their_multiplier(k):
    """Translated tones change at their own frequency; noise sees the mean of |c|^2, with a known variance."""
    c, x, n = bump(LINE, 8.0), tone(LINE, (k,)), 500
    result = relative_stability(multiplier(LINE, c), x, LINE, family=translation([0.04], LINE.extent), n=n, generator=1)
    # |e^{i a} - 1|^2 |c_k|^2 N / 2 with a = 2 pi k t / L.
    size = 4 * math.sin(math.pi * k * 0.04 / 3.1) ** 2 * 31 / 2
    ck = float(c[k])
    assert np.allclose(result.details["deformed"], ck**2 * size, rtol=1e-10)
    # A quadratic form with these eigenvalues on the unit sphere of R^N has this mean and this variance.
    eigenvalues = (c**2).tolist()
    mean = sum(eigenvalues) / 31
    variance = 2 * (sum(e * e for e in eigenvalues) - 31 * mean**2) / (31 * 33)
    error = 5 * math.sqrt(variance / n)
    assert abs(result.details["noisy"].mean() / size - mean) <= error
    assert abs(result.details["noisy"].var() / size**2 - variance) <= 0.5 * variance
    assert ck**2 / (mean + error) <= result.value <= ck**2 / (mean - error)


def test_a_lowpass_helps_above_its_band_and_harms_within():
    inside = (LINE.frequencies()[0].abs() < 4.5 / 3.1).double()
    field = translation([0.1], LINE.extent)
    low, high = (
        relative_stability(multiplier(LINE, inside), tone(LINE, (k,)), LINE, family=field, n=300, generator=0)
        for k in (3, 9)
    )
    assert low.value == pytest.approx(31 / 9, rel=0.15)
    assert low.interval[0] > 1
    assert high.value < 1e-20


def test_noise_has_the_norm_of_the_change():
    seen = []
    x = noise((2, 15, 17))
    relative_stability(lambda f: seen.append(f) or f, x, SQUARE, n=2, generator=0)
    reference, *rest = seen
    for moved, noisy in zip(rest[::2], rest[1::2], strict=True):
        one, two = ((y - reference).flatten(1).norm(dim=1) for y in (moved, noisy))
        assert torch.allclose(one, two, rtol=1e-12) and bool((one > 0).all())
    assert len(rest) == 4 and not torch.equal(rest[0], rest[2])


def test_normalised_parts_divide_by_all_pairs():
    x = noise((5, 31))
    field = sinusoid((1,), (0.2,), 0.3, LINE.extent)
    results = [relative_stability(torch.tanh, x, LINE, family=field, chunk=c, generator=0) for c in (1, 2, 64)]
    y = torch.tanh(x)
    apart = np.mean([float(((y[i] - y[j]) ** 2).sum()) for i in range(5) for j in range(5) if i != j])
    for result in results:
        assert float(result.details["D"]) == pytest.approx(result.details["deformed"].mean() / apart, rel=1e-12)
        assert float(result.details["D"]) == pytest.approx(float(results[0].details["D"]), rel=1e-12)
        assert result.value == pytest.approx(float(result.details["D"] / result.details["G"]), rel=1e-12)
    alone = relative_stability(torch.tanh, x[0], LINE, family=field, generator=0)
    assert np.isnan(alone.details["D"]) and math.isfinite(alone.value) and "one signal" in alone.interval_by


def test_features_are_compared_in_the_feature_norm():
    phi = network()
    x = noise((3, 32))
    field = sinusoid((1,), (0.3,), 0.0, phi.grid.extent)
    result = relative_stability(phi, x, phi.grid, family=field, n=1, generator=0)
    distance = phi(st.deform.apply(x, phi.grid, field)).distance(phi(x))
    assert np.allclose(result.details["deformed"][:, 0], distance**2, rtol=1e-11)


def test_default_law_moves_by_about_one_sample():
    result = relative_stability(lambda f: f, noise((30, 15, 17)), SQUARE, n=4, generator=0)
    spread = math.sqrt((1.5 / 15) ** 2 / 2 * 2)
    assert float(result.details["rms displacement"]) == pytest.approx(spread, rel=0.1)
    colder = relative_stability(lambda f: f, noise((30, 15, 17)), SQUARE, n=4, temperature=1e-6, generator=0)
    assert float(colder.details["rms displacement"]) < 0.1 * spread


def test_other_laws_seeds_and_warps():
    x = noise((4, 15, 17))
    law = {"family": BandLimitedFields(2), "sup": 0.05, "n": 2}
    one, two, other = (relative_stability(torch.sin, x, SQUARE, generator=g, **law) for g in (0, 0, 1))
    assert one.value == two.value != other.value and one.interval == two.interval
    assert one.interval[0] < one.value < one.interval[1]
    assert one.provenance.seed == 0
    turned = relative_stability(torch.sin, x, SQUARE, family=Rotations(max_angle=0.1), n=1, generator=0)
    assert 0 < turned.value < math.inf
    crude = relative_stability(torch.sin, x, SQUARE, generator=0, warp=Interpolated("bilinear"), **law)
    assert crude.value != one.value and "bilinear" in crude.notes[0]


# --- Lie derivative ----------------------------------------------------------------------------------------------


@given(k=hs.tuples(hs.integers(-6, 6), hs.integers(-6, 6)), t=hs.tuples(hs.floats(-2, 2), hs.floats(-2, 2)))
@settings(max_examples=15)
def test_filtered_tones_leave_invariance_at_their_frequency(k, t):
    """Rate 2 pi |<t, xi>| |chi(xi)| of the norm of the tone."""
    c, f = bump(SQUARE, 0.1), tone(SQUARE, k, 0.3)
    xi = [m / L for m, L in zip(k, SQUARE.extent, strict=True)]
    chi = 1 / (1 + 0.1 * (xi[0] ** 2 + xi[1] ** 2))
    rate = 2 * math.pi * abs(t[0] * xi[0] + t[1] * xi[1]) * chi
    result = lie_derivative(multiplier(SQUARE, c), f, SQUARE, direction=t)
    assert float(result.details["rates"][0]) == pytest.approx(rate, rel=1e-9, abs=1e-9)
    assert result.value == pytest.approx(rate**2 * float((f**2).sum()), rel=1e-9, abs=1e-9)
    summed = lie_derivative(multiplier(SQUARE, c), f, SQUARE)
    assert summed.details["squares"].shape == (1, 2)
    assert float(summed.details["largest rate"]) == pytest.approx(2 * math.pi * math.hypot(*xi) * chi, abs=1e-9)


def test_invariant_and_equivariant_models():
    x = noise((3, 15, 17))
    invariant = lie_derivative(lambda f: SQUARE.fft(f).abs(), x, SQUARE)
    assert float(invariant.details["largest rate"]) < 1e-10
    c = bump(SQUARE)
    moving = lie_derivative(multiplier(SQUARE, c), x, SQUARE, output_action="same")
    assert float(moving.details["largest rate"]) < 1e-10
    assert float(lie_derivative(multiplier(SQUARE, c), x, SQUARE).details["largest rate"]) > 1


def test_multiplication_by_a_weight():
    """d/dt rho(-t)(w rho(t) f) = w' f, along t = 1."""
    w, f = 2 + tone(LINE, (2,)), tone(LINE, (5,)) + 0.4 * tone(LINE, (3,), 1.0)
    slope = -2 * math.pi * 2 / 3.1 * torch.sin(2 * math.pi * 2 * LINE.points()[0] / 3.1)
    result = lie_derivative(lambda g: w * g, f, LINE, output_action="same")
    assert result.value == pytest.approx(float(((slope * f) ** 2).sum()), rel=1e-11)
    assert float(result.details["per output number"]) == pytest.approx(result.value / 31, rel=1e-12)
    channels = lie_derivative(lambda g: torch.stack([w * g, g, 3 * w * g], 1), f, LINE, output_action="same")
    assert channels.value == pytest.approx(10 * result.value, rel=1e-11)


@pytest.mark.parametrize("kind", ["translation", "rotation", "scaling", "field"])
def test_squaring_commutes_with_every_warp(kind):
    """Of signals below half of the band, so that the square is its own interpolant."""
    f = sum(tone(SQUARE, k, p) for k, p in [((1, 2), 0.1), ((3, -3), 0.7), ((0, 1), 2.0)])
    field = sinusoid((1, 1), (0.2, -0.1), 0.4, SQUARE.extent) if kind == "field" else None
    how = {"field": field} if field is not None else {"kind": kind}
    assert float(lie_derivative(torch.square, f, SQUARE, output_action="same", **how).details["largest rate"]) < 1e-11
    assert float(lie_derivative(torch.square, f, SQUARE, **how).details["largest rate"]) > 0.1


def test_rotation_of_a_point_value():
    """m(f) = f(x0): the rate of a counterclockwise turn is y_1 d_0 f - y_0 d_1 f, inside the inner radius."""
    f = tone(SQUARE, (2, 0), 0.5) + tone(SQUARE, (0, 1))
    index = (9, 7)
    x0, x1 = 9 * 0.1, 7 * 1.5 / 17
    y0, y1 = x0 - 0.75, x1 - 0.75
    assert math.hypot(y0, y1) < 0.25 * 1.5
    d0 = -2 * math.pi * 2 / 1.5 * math.sin(2 * math.pi * 2 * x0 / 1.5 + 0.5)
    d1 = -2 * math.pi / 1.5 * math.sin(2 * math.pi * x1 / 1.5)
    result = lie_derivative(lambda g: g[:, index[0], index[1]], f, SQUARE, kind="rotation")
    assert result.value == pytest.approx((y1 * d0 - y0 * d1) ** 2, rel=1e-10)
    scaled = lie_derivative(lambda g: g[:, index[0], index[1]], f, SQUARE, kind="scaling")
    assert scaled.value == pytest.approx((y0 * d0 + y1 * d1) ** 2, rel=1e-10)
    centred = tone(Grid.square(32), (1, 0), math.pi) + tone(Grid.square(32), (0, 1), math.pi)
    ball = torch.exp(20 * (centred - 2))
    still = lie_derivative(lambda g: g, ball, Grid.square(32), kind="rotation")
    moving = lie_derivative(lambda g: g, ball, Grid.square(32), kind="scaling")
    assert still.value < 1e-3 * moving.value


def test_output_action_of_ones_own():
    """A complex Fourier coefficient turns by its phase: an equivariant map with a known action on the output."""
    x, xi = noise((3, 31)), LINE.frequencies()[0][:6]
    model = lambda f: LINE.fft(f)[:, :6]  # noqa: E731
    right = lie_derivative(model, x, LINE, output_action=lambda y: -2j * math.pi * xi * y)
    wrong = lie_derivative(model, x, LINE, output_action=lambda y: 2j * math.pi * xi * y)
    assert right.value < 1e-20 * wrong.value
    with pytest.raises(ValueError, match="output_action"):
        lie_derivative(model, x, LINE, output_action=lambda y: y.sum())


class OldSquare(torch.autograd.Function):
    """A square without a forward derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


def test_models_without_forward_derivative():
    x = noise((3, 31))
    with pytest.raises(RuntimeError):
        torch.func.jvp(OldSquare.apply, (x,), (x,))
    assert lie_derivative(OldSquare.apply, x, LINE).value == pytest.approx(
        lie_derivative(torch.square, x, LINE).value, rel=1e-12
    )
    z = noise((3, 31), dtype=torch.complex128)
    old = lie_derivative(lambda f: OldSquare.apply(f.real) + 1j * f.imag * f.real, z, LINE)
    new = lie_derivative(lambda f: f.real**2 + 1j * f.imag * f.real, z, LINE)
    assert old.value == pytest.approx(new.value, rel=1e-12) and old.value > 0


def test_models_that_hide_their_derivative_are_refused():
    x = noise((2, 31))

    def by_numpy(f):
        return torch.from_numpy(f.detach().numpy() ** 2)

    for model in (lambda f: f.detach() ** 2, by_numpy, lambda f: torch.round(50 * f)):
        with pytest.raises(ValueError, match="derivative of exactly 0"):
            lie_derivative(model, x, LINE)
    honest = lie_derivative(torch.square, x, LINE)
    assert float(honest.details["largest disagreement"]) < 1e-7 and not honest.notes
    assert lie_derivative(torch.no_grad()(torch.square), x, LINE).value == pytest.approx(honest.value, rel=1e-12)
    half = lie_derivative(lambda f: torch.cat([f**2, 2 * f.detach() ** 2], 1), x, LINE)
    assert float(half.details["largest disagreement"]) == pytest.approx(2 / math.sqrt(5), rel=1e-6)
    assert "detached" in half.notes[0]
    assert lie_derivative(lambda f: torch.ones_like(f), x, LINE).value == 0
    assert lie_derivative(torch.square, torch.zeros(31, dtype=torch.float64), LINE).details["rates"][0] == 0


def test_at_a_kink_the_derivative_of_torch_counts():
    """|f| of (0, 1, 0, -1): f' = (1, 0, -1, 0) pi / 2 is felt at the zeros only, where torch has slope 0."""
    f = torch.tensor([0.0, 1.0, 0.0, -1.0], dtype=torch.float64)
    assert lie_derivative(torch.abs, f, Grid.line(4)).value < 1e-30
    assert lie_derivative(lambda g: g, f, Grid.line(4)).value == pytest.approx(math.pi**2 / 2)


def test_features_have_the_rate_of_small_shifts():
    phi = network()
    x = noise((2, 32))
    x = Grid.line(32).ifft(Grid.line(32).fft(x) * (Grid.line(32).frequencies()[0].abs() < 0.5)).real
    result = lie_derivative(phi, x, phi.grid, direction=[1.0])
    t = 1e-5
    ends = [phi(st.deform.apply(x, phi.grid, translation([s * t], phi.grid.extent))) for s in (1, -1)]
    quotient = ends[0].distance(ends[1]) / (2 * t) / phi.grid.norm(x)
    assert np.allclose(result.details["rates"], quotient, rtol=1e-5)
    single = lie_derivative(phi.rebuilt(dtype=torch.float32), x, phi.grid, direction=[1.0])
    assert single.value == pytest.approx(result.value, rel=1e-10)


# --- equivariance in decibels ------------------------------------------------------------------------------------


def test_filters_and_pointwise_maps_are_equivariant_to_whole_shifts():
    x = noise((3, 15, 17))
    assert equivariance_psnr(torch.relu, x, SQUARE, generator=0).value == math.inf
    exact = equivariance_psnr(multiplier(SQUARE, bump(SQUARE)), x, SQUARE, generator=0)
    assert exact.value > 280 and "rounding" in exact.notes[0]
    fraction = equivariance_psnr(multiplier(SQUARE, bump(SQUARE)), x, SQUARE, kind="fractional", generator=0)
    assert fraction.value > 280
    assert equivariance_psnr(torch.relu, x, SQUARE, kind="fractional", generator=0).value < 60


def test_strided_subsampling_is_not():
    """Every second sample, held: shifts by one sample change everything, shifts by two nothing."""
    grid = Grid.line(8)
    f = torch.tensor([1.0, 0.0] * 4, dtype=torch.float64)

    def held(g):
        return g[:, ::2].repeat_interleave(2, 1)

    assert equivariance_psnr(held, f, grid, transforms=[[1]], peak=1.0).value == 0
    assert equivariance_psnr(held, f, grid, transforms=[[2], [-4]], peak=1.0).value == math.inf
    assert equivariance_psnr(held, f, grid, transforms=[[1], [2]], peak=2.0).value == pytest.approx(10 * math.log10(8))
    drawn = equivariance_psnr(held, f, grid, n=50, peak=1.0, generator=0)
    assert 0 < drawn.value < math.inf


@pytest.mark.parametrize("t", [1, 4, 0.3])
def test_position_dependent_weight(t):
    """w(x - t) - w(x) of w = cos(2 pi x / N) on a constant: mean square 2 sin^2(pi t / N); range 2 cos(pi / N / 2)."""
    grid = Grid.line(31)
    w, ones = tone(grid, (1,)), torch.ones(31, dtype=torch.float64)
    kind = "translation" if t == int(t) else "fractional"
    result = equivariance_psnr(lambda f: w * f, ones, grid, kind=kind, transforms=[[t]])
    peak = 1 + math.cos(math.pi / 31)
    error = 2 * math.sin(math.pi * t / 31) ** 2
    assert float(result.details["I_max"]) == pytest.approx(peak, rel=1e-12)
    assert result.value == pytest.approx(10 * math.log10(peak**2 / error), abs=1e-9)


def test_drawn_and_given_shifts():
    """A spike times a ramp r shows its shift: mean square error r(t)^2 / N."""
    grid = Grid.line(8)
    spike = torch.zeros(8, dtype=torch.float64)
    spike[0] = 1.0
    ramp = torch.arange(8, dtype=torch.float64)
    drawn = equivariance_psnr(lambda f: ramp * f, spike, grid, max_shift=2.5, n=200, peak=1.0, generator=0)
    counts = {int(math.sqrt(8 * e) + 0.5): int(np.sum(drawn.details["errors"] == e)) for e in
              np.unique(drawn.details["errors"])}  # fmt: skip
    assert set(counts) == {0, 1, 2, 6, 7} and all(20 <= c <= 60 for c in counts.values())
    x, w = noise((2, 31)), noise((31,), 1)
    for t in (3, -3):
        whole, fraction = (
            equivariance_psnr(lambda f: w * f, x, LINE, kind=kind, transforms=[[t]]).details["errors"]
            for kind in ("translation", "fractional")
        )
        assert np.allclose(whole, fraction, rtol=1e-10)
    other = equivariance_psnr(lambda f: w * f, x, LINE, transforms=[[3]]).details["errors"]
    assert not np.allclose(whole, other, rtol=0.01)


def test_aliases_of_a_square():
    """Twice a frequency above half of the band wraps round: mean square error sin^2(pi t) / 2."""
    grid = Grid.line(31)
    for k, t in [(11, 0.25), (14, 0.5)]:
        result = equivariance_psnr(torch.square, tone(grid, (k,)), grid, kind="fractional", transforms=[[t]], peak=1.0)
        assert result.value == pytest.approx(10 * math.log10(2 / math.sin(math.pi * t) ** 2), abs=1e-9)
    clean = equivariance_psnr(torch.square, tone(grid, (6,)), grid, kind="fractional", generator=0)
    assert clean.value > 280


@pytest.mark.parametrize("angle", [math.pi / 2, 0.4, 5.0])
def test_rotated_weight(angle):
    """On a constant, the rotated waves minus the waves, over the samples of the disc; counterclockwise."""
    grid = Grid.square(16, length=2.0)
    w, ones = tone(grid, (1, 0), 0.4) + tone(grid, (0, 2), 1.0), torch.ones(16, 16, dtype=torch.float64)
    y = grid.points() - 1.0
    keep = (y**2).sum(0) < 0.99999
    z0 = math.cos(angle) * y[0] + math.sin(angle) * y[1]
    z1 = math.cos(angle) * y[1] - math.sin(angle) * y[0]
    turned = torch.cos(2 * math.pi * (1 + z0) / 2 + 0.4) + torch.cos(2 * math.pi * 2 * (1 + z1) / 2 + 1.0)
    error = float(((turned - w)[keep] ** 2).mean())
    result = equivariance_psnr(lambda f: w * f, ones, grid, kind="rotation", transforms=[angle], peak=2.0)
    assert result.value == pytest.approx(10 * math.log10(4 / error), abs=1e-9)


def test_rotations_are_compared_in_the_disc_only():
    """Quarter turns of an even square move samples to samples; what differs in the corner does not count."""
    grid = Grid.square(16)
    x = noise((2, 16, 16))
    corner = torch.zeros(16, 16, dtype=torch.float64)
    corner[1:3, 1:3] = noise((2, 2))
    x[:, 0] = x[:, :, 0] = 0

    def model(f):
        return torch.relu(f) + corner

    quarter = equivariance_psnr(model, x, grid, kind="rotation", transforms=[math.pi / 2, math.pi])
    assert quarter.value > 250
    corner[8, 9] = 1.0
    assert equivariance_psnr(model, x, grid, kind="rotation", transforms=[math.pi / 2, math.pi]).value < 60
    smaller = equivariance_psnr(lambda f: f, x, grid, kind="rotation", radius=0.3, n=2, generator=0)
    assert smaller.value > 250


def test_decibels_by_the_bootstrap_enclose_the_value():
    result = equivariance_psnr(torch.relu, noise((12, 31)), LINE, kind="fractional", generator=0)
    assert result.interval[0] < result.value < result.interval[1]
    assert result.n == 12 * 8 and result.details["errors"].shape == (12, 8)


# --- consistency -------------------------------------------------------------------------------------------------


def test_invariant_classifiers_are_consistent():
    x = noise((5, 15, 17))
    scores = lambda f: SQUARE.fft(f).abs()[:, 1:3, 1]  # noqa: E731
    result = shift_consistency(scores, x, SQUARE, max_shift=9, n_pairs=80, generator=0)
    assert result.value == 1 and result.interval[1] == 1 and not result.notes
    assert result.interval[0] == pytest.approx(0.025 ** (1 / 80))


@pytest.mark.parametrize("labels", [False, True])
def test_a_spike_on_one_of_two_sides(labels):
    """Of 2 s + 1 places, s + 1 lie to the right: P = ((s + 1)^2 + s^2) / (2 s + 1)^2."""
    grid, s = Grid.line(16), 3
    spike = torch.zeros(16, dtype=torch.float64)
    spike[8] = 1.0

    def sides(f):
        scores = torch.stack([f[:, :8].amax(1), f[:, 8:].amax(1)], 1)
        return scores.argmax(1) if labels else scores

    result = shift_consistency(sides, spike, grid, max_shift=s, n_pairs=4000, confidence=0.999, generator=2)
    exact = ((s + 1) ** 2 + s**2) / (2 * s + 1) ** 2
    assert result.interval[0] <= exact <= result.interval[1] and result.interval[1] - result.interval[0] < 0.06
    a, b = (result.details[name][:, 0] for name in "ab")
    assert np.array_equal(result.details["agree"], (a >= 0) == (b >= 0))
    assert set(a.tolist()) == set(range(-s, s + 1))


def test_signals_are_drawn_uniformly():
    """One signal of four changes its class with half of the shifts of +-1 pixel or less."""
    grid = Grid.line(8)
    x = torch.zeros(4, 8, dtype=torch.float64)
    x[:, 2] = 1.0
    x[3] = 0
    x[3, 4] = 1.0
    result = shift_consistency(
        lambda f: torch.stack([f[:, :4].amax(1), f[:, 4:].amax(1)], 1), x, grid, max_shift=1, n_pairs=3000,
        confidence=0.999, generator=0,
    )  # fmt: skip
    exact = 3 / 4 + 5 / 9 / 4
    assert result.interval[0] <= exact <= result.interval[1]


def test_ties_are_told():
    result = shift_consistency(lambda f: f[:, :2] * 0, noise((2, 31)), LINE, max_shift=2, n_pairs=10, generator=0)
    assert result.value == 1 and int(result.details["near ties"]) == 10 and "rounding" in result.notes[0]


# --- results -----------------------------------------------------------------------------------------------------


def test_every_result_says_what_it_does_not_certify():
    x = noise((3, 31))
    results = [
        relative_stability(torch.sin, x, LINE, n=1, generator=0),
        lie_derivative(torch.sin, x, LINE, generator=0),
        equivariance_psnr(torch.relu, x, LINE, n=1, generator=0),
        shift_consistency(lambda f: f[:, :3], x, LINE, max_shift=2, n_pairs=5, generator=0),
    ]
    assert len({r.not_certified for r in results}) == 4
    for result in results:
        text = str(result)
        assert "Does not certify" in text and result.name in text and f"{result.value:.6g}" in text
        stored = json.loads(result.to_json())
        assert stored["not_certified"] == result.not_certified and "arXiv:" in stored["source"]
        assert stored["provenance"]["seed"] == 0 and stored["n"] == result.n
        assert "<table>" in result._repr_html_() and "<lambda>" not in result._repr_html_()
        with pytest.raises(TypeError, match="no verdict"):
            bool(result)
    assert json.loads(results[2].to_json())["value"] == "inf"


def test_signals_keep_their_precision():
    seen = set()

    def model(f):
        seen.add(f.dtype)
        return torch.sin(f)

    x = noise((3, 31)).float()
    relative_stability(model, x, LINE, n=1, generator=0)
    equivariance_psnr(model, x.numpy(), LINE, n=1, generator=0)
    single = lie_derivative(model, x, LINE)
    assert seen == {torch.float32}
    assert single.value == pytest.approx(lie_derivative(torch.sin, x.double(), LINE).value, rel=1e-5)
    assert single.provenance.dtype == "float32"


def test_complex_signals():
    x = noise((3, 31), dtype=torch.complex128)
    c = noise((31,), 1, torch.complex128)
    filtered = lambda f: LINE.ifft(LINE.fft(f) * c)  # noqa: E731
    assert relative_stability(lambda f: 2j * f, x, LINE, n=2, generator=0).value == pytest.approx(1, rel=1e-12)
    for kind in ("translation", "fractional"):
        result = equivariance_psnr(filtered, x, LINE, kind=kind, generator=0)
        assert result.value > 280
        assert float(result.details["I_max"]) == pytest.approx(2 * float(filtered(x).abs().max()))
    assert float(lie_derivative(filtered, x, LINE, output_action="same").details["largest rate"]) < 1e-10


# --- refusals ----------------------------------------------------------------------------------------------------

GOOD = noise((2, 31))
EACH = [
    lambda m, x, g=LINE: relative_stability(m, x, g, n=1, generator=0),
    lambda m, x, g=LINE: lie_derivative(m, x, g),
    lambda m, x, g=LINE: equivariance_psnr(m, x, g, n=1, generator=0),
    lambda m, x, g=LINE: shift_consistency(m, x, g, max_shift=1, n_pairs=3, generator=0),
]


@pytest.mark.parametrize("measure", EACH, ids=["stability", "lie", "psnr", "consistency"])
def test_bad_models_and_signals(measure):
    nan = GOOD.clone()
    nan[1, 3] = math.nan
    for signals, error, match in [
        (noise((2, 30)), ValueError, "signals"),
        (noise((0, 31)), ValueError, "no signal"),
        (nan, ValueError, "NaN"),
        (GOOD.long(), TypeError, "signals"),
        ([1.0] * 31, TypeError, "signals"),
    ]:
        with pytest.raises(error, match=match):
            measure(torch.sin, signals)
    for model, error, match in [
        (3, TypeError, "model"),
        (lambda f: None, TypeError, "tensor"),
        (lambda f: f[0], ValueError, "batch"),
        (lambda f: f[:, :0], ValueError, "at least one number"),
        (lambda f: f * math.nan, ValueError, "NaN"),
        (torch.nn.Dropout(), ValueError, "eval"),
        (torch.nn.Sequential(torch.nn.BatchNorm1d(31)), ValueError, "training mode"),
    ]:
        with pytest.raises(error, match=match):
            measure(model, GOOD)
    with pytest.raises(TypeError, match="grid"):
        measure(torch.sin, GOOD, (31,))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: relative_stability(torch.sin, GOOD, LINE, n=0), ValueError, "`relative_stability.n=...."),
        (lambda: relative_stability(torch.sin, GOOD, LINE, confidence=95), ValueError, "confidence"),
        (lambda: relative_stability(torch.sin, GOOD, LINE, sup=0.1), ValueError, "family="),
        (lambda: relative_stability(torch.sin, GOOD, LINE, temperature=-1.0), ValueError, "temperature"),
        (lambda: relative_stability(torch.sin, GOOD, LINE, family=BandLimitedFields()), ValueError, "give `sup="),
        (lambda: relative_stability(torch.sin, GOOD, LINE, family="warp"), TypeError, "Family"),
        (lambda: relative_stability(torch.zeros_like, GOOD, LINE), ValueError, "does not react"),
        (lambda: relative_stability(torch.sin, 0 * GOOD, LINE), ValueError, "changed no signal"),
        (
            lambda: relative_stability(torch.sin, GOOD, LINE, family=translation([0.1], (1.0,))),
            ValueError, "extent",
        ),
        (lambda: lie_derivative(torch.sin, GOOD, LINE, kind="rotation"), ValueError, "a line has no rotations"),
        (lambda: lie_derivative(torch.sin, GOOD, LINE, kind="shear"), ValueError, "kind"),
        (lambda: lie_derivative(torch.sin, GOOD, LINE, kind="scaling", direction=[1.0]), ValueError, "direction"),
        (lambda: lie_derivative(torch.sin, GOOD, LINE, direction=[1.0, 2.0]), ValueError, "vector"),
        (lambda: lie_derivative(lambda f: f[:, :3], GOOD, LINE, output_action="same"), ValueError, "grid of the input"),
        (lambda: lie_derivative(torch.sin, GOOD, LINE, output_action="invariant"), TypeError, "output_action"),
        (lambda: lie_derivative(network(), GOOD, LINE), ValueError, "phi.grid"),
        (lambda: lie_derivative(network(), noise(32), network().grid, output_action="same"), TypeError, "propagate"),
        (lambda: equivariance_psnr(lambda f: f[:, :3], GOOD, LINE), ValueError, "grid of the input"),
        (lambda: equivariance_psnr(torch.ones_like, GOOD, LINE), ValueError, "constant"),
        (lambda: equivariance_psnr(torch.sin, GOOD, LINE, kind="rotation"), ValueError, "2"),
        (lambda: equivariance_psnr(torch.sin, GOOD, LINE, kind="shift"), ValueError, "kind"),
        (lambda: equivariance_psnr(torch.sin, GOOD, LINE, transforms=[[0.5]]), ValueError, "fractional"),
        (lambda: equivariance_psnr(torch.sin, GOOD, LINE, transforms=[1, 2]), ValueError, "transforms"),
        (lambda: equivariance_psnr(torch.sin, GOOD, LINE, max_shift=0), ValueError, "max_shift"),
        (lambda: equivariance_psnr(torch.sin, GOOD, LINE, peak=0.0), ValueError, "peak"),
        (lambda: equivariance_psnr(network(), noise(32), network().grid), TypeError, "propagate"),
        (lambda: shift_consistency(network(), noise(32), network().grid, max_shift=1), TypeError, "no classes"),
        (lambda: shift_consistency(lambda f: f[:, :1], GOOD, LINE, max_shift=1), ValueError, "two classes"),
        (lambda: shift_consistency(lambda f: f[:, 0], GOOD, LINE, max_shift=1), ValueError, "labels"),
        (lambda: shift_consistency(torch.sin, GOOD, LINE, max_shift=0), ValueError, "max_shift"),
    ],
)  # fmt: skip
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_extractors_that_choose_paths_by_the_signal_are_refused():
    phi = network(paths=st.EnergyThreshold(0.1))
    x = noise((2, 32))
    with pytest.raises(ValueError, match="frozen"):
        relative_stability(phi, x, phi.grid, generator=0)
    assert relative_stability(phi.frozen(phi(x)), x, phi.grid, n=1, generator=0).value > 0
