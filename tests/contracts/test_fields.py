"""Displacement fields: derivatives, certified norms against dense sampling and closed forms, sums and compositions."""

import itertools
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

from scatter_theory import Grid
from scatter_theory.deform._affine import AffineField
from scatter_theory.deform._combined import ComposedField, SumField
from scatter_theory.deform._fields import field_from_config
from scatter_theory.deform._norms import enclosed
from scatter_theory.deform._random import random_warp
from scatter_theory.deform._sampled import SampledField
from scatter_theory.deform._sine import SineField, max_entropy, max_entropy_temperature
from scatter_theory.deform._trigonometric import TrigonometricField, plane_wave, sinusoid, translation
from scatter_theory.trigonometric import Polynomial

TAU = 2 * math.pi
EXTENT = (2.0, 3.0, 2.5)


def noise(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def bandlimited(batch, degree, d, seed=0, extent=EXTENT):
    """Random real polynomials; the coefficients of exp(2 pi i k x) and exp(-2 pi i k x) are made conjugate here."""
    c = noise((*batch, d, *(2 * degree + 1,) * d), seed, torch.complex128)
    c = c + c.flip(tuple(range(-d, 0))).conj()
    return TrigonometricField(Polynomial(0.02 * c, extent[:d]))


def affine(d, seed=0, batch=()):
    return AffineField(0.3 * noise((*batch, d, d), seed), (0.1, 2.9, 1.2)[:d], 0.4, 0.9, EXTENT[:d])


def some_fields(d):
    """One field of every kind that is known everywhere, with batch (2,)."""
    a, b = bandlimited((2,), 2, d), affine(d, 1, (2,))
    sine = SineField(0.1 * noise((2, d, *(2,) * d), 2), EXTENT[:d])
    return [
        a, translation(noise((2, d), 3), EXTENT[:d]), sinusoid((1,) * d, 0.1 * noise((2, d), 4), 0.3, EXTENT[:d]),
        sine, b, a + b, b.after(a), a.after(sine), (a + b).after(translation([0.1] * d, EXTENT[:d])).scaled(-0.7),
    ]  # fmt: skip


def cell(d, n, extent=EXTENT):
    """Regular points of one period, ``(d, n**d)``."""
    return Grid(tuple([n] * d), tuple(L / n for L in extent[:d])).points().flatten(1)


def refined(function, points, extent, steps=6, keep=4):
    """The largest value of a function ``(d, n) -> (batch, n)`` after pattern search from its largest samples.

    Independent of the code under test: values only, steps halved from the spacing of the samples.
    """
    d = points.shape[0]
    value = function(points)
    best = value.topk(min(keep, value.shape[-1]), dim=-1)
    x = points[:, best.indices].movedim(0, 1)  # (batch, d, keep)
    top = best.values
    width = max(extent[:d]) / round(points.shape[1] ** (1 / d))
    moves = torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=d)), dtype=torch.float64).T
    for _ in range(steps * 3):
        trial = (x[..., None] + width * moves[None, :, None, :]).flatten(2)
        found = function(trial, each=True).reshape(*x.shape[:1], x.shape[2], -1)
        best = found.max(-1)
        better = best.values > top
        step = moves[:, best.indices].movedim(0, 1) * width
        x = torch.where(better[:, None], x + step, x)
        top = torch.maximum(top, best.values)
        width *= 0.6
    return top.amax(-1)


def quantities(field):
    """|tau| and the largest entry of D tau as functions of points, ``(batch, n)``."""
    d, lead = field.ndim, len(field.batch)
    return (
        lambda x, each=False: torch.linalg.vector_norm(field.at(x, each=each), dim=lead),
        lambda x, each=False: field.jacobian(x, each=each).abs().reshape(*field.batch, d * d, -1).amax(-2),
    )


# --- values and derivatives


@pytest.mark.parametrize("d", [1, 2, 3])
def test_jacobian_is_the_derivative(d):
    """Entry [k, l] is the derivative of component k along axis l: central differences and automatic ones."""
    x = cell(d, 3) + 0.137
    h = 1e-6
    for field in some_fields(d):
        D = field.jacobian(x)
        assert D.shape == (2, d, d, x.shape[1])
        for axis in range(d):
            step = h * torch.eye(d, dtype=torch.float64)[:, axis : axis + 1]
            slope = (field.at(x + step) - field.at(x - step)) / (2 * h)
            assert torch.allclose(D[:, :, axis], slope, rtol=1e-6, atol=1e-7), type(field).__name__
        point = x[:, 1].clone()
        auto = torch.autograd.functional.jacobian(lambda y, f=field: f.at(y[:, None])[..., 0], point)
        assert torch.allclose(D[..., 1], auto, rtol=1e-9, atol=1e-12), type(field).__name__


@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_of_each_field_and_of_any_shape(d):
    x = (noise((d, 3, 4), 9) * 2).contiguous()
    for field in some_fields(d):
        both = torch.stack([x, x + 0.3])
        for what, inner in (("at", (d,)), ("jacobian", (d, d))):
            each = getattr(field, what)(both, each=True)
            assert each.shape == (2, *inner, 3, 4)
            apart = [getattr(field.select(i), what)(both[i]) for i in (0, 1)]
            assert torch.allclose(each, torch.stack(apart), rtol=0, atol=1e-12), type(field).__name__
            period = torch.tensor(EXTENT[:d], dtype=torch.float64).reshape(d, 1, 1)
            assert torch.allclose(getattr(field, what)(x + 3 * period), getattr(field, what)(x), atol=1e-11)


@pytest.mark.parametrize("d", [1, 2])
def test_gradients_in_the_tensors_of_a_field(d):
    """Of points and of every tensor, through values and Jacobians."""
    x = (cell(d, 2) + 0.21).requires_grad_()
    c = bandlimited((), 1, d).polynomial.coefficients.requires_grad_()
    A = (0.2 * noise((d, d))).requires_grad_()
    s = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def values(x, c, A, s):
        a = TrigonometricField(Polynomial(c, EXTENT[:d]))
        b = AffineField(A, (0.5,) * d, 0.4, 0.9, EXTENT[:d])
        field = (a + b).after(a).scaled(s)
        return field.at(x), field.jacobian(x)

    assert torch.autograd.gradcheck(values, (x, c, A, s))


# --- certified norms


def test_norms_of_a_translation_in_closed_form():
    norms = translation([[3.0, 4.0], [0.0, 0.0]], (8.0, 8.0)).norms()
    assert torch.allclose(norms.sup.upper, torch.tensor([5.0, 0.0], dtype=torch.float64), rtol=1e-12)
    assert torch.equal(norms.jacobian.upper, torch.zeros(2, dtype=torch.float64))
    assert torch.allclose(norms.components.upper[0], torch.tensor([3.0, 4.0], dtype=torch.float64), rtol=1e-12)


@given(
    k=hs.lists(hs.integers(-4, 4), min_size=1, max_size=3),
    phase=hs.floats(-4, 4), seed=hs.integers(0, 99),
)  # fmt: skip
def test_norms_of_a_plane_wave_in_closed_form(k, phase, seed):
    """|a|, |a_k| and 2 pi |k_l| |a_k| / L_l, as stated and as enclosed without knowing the form."""
    d = len(k)
    a = noise((d,), seed)
    field = sinusoid(k, a, phase, EXTENT[:d])
    x = cell(d, 3)
    angle = phase + sum(TAU * n * y / L for n, y, L in zip(k, x, EXTENT, strict=False))
    assert torch.allclose(field.at(x), a[:, None] * torch.sin(angle), rtol=0, atol=1e-12)
    height = 1.0 if any(k) else abs(math.sin(phase))
    wanted = {
        "sup": height * math.hypot(*a.tolist()),
        "jacobian": max(TAU * abs(n) / L for n, L in zip(k, EXTENT, strict=False)) * float(a.abs().max()),
    }
    stated = field.norms()
    for name, value in wanted.items():
        pair = getattr(stated, name)
        assert float(pair.lower) == pytest.approx(value, rel=1e-12, abs=1e-13)
        assert value - 1e-13 <= float(pair.upper) <= value * (1 + 1e-11) + 1e-13
    if d < 3:
        blind = field._certified()
        for name, value in wanted.items():
            assert float(getattr(blind, name).lower) <= value + 1e-12
            assert value - 1e-12 <= float(getattr(blind, name).upper) <= 1.01 * value + 1e-9


@given(d=hs.integers(1, 2), seed=hs.integers(0, 99))
def test_norms_of_an_elliptic_plane_wave(d, seed):
    """The stated closed form against samples of one period of the angle, refined by their own spacing."""
    a, b = noise((2, d), seed)
    field = plane_wave(torch.tensor([2] * d), a, b, EXTENT[:d])
    theta = torch.linspace(0, TAU, 20001, dtype=torch.float64)
    curve = a[:, None] * theta.sin() + b[:, None] * theta.cos()
    norms = field.norms()
    assert float(norms.sup.upper) == pytest.approx(float(curve.norm(dim=0).max()), rel=1e-7)
    assert torch.allclose(norms.components.upper, curve.abs().amax(1), rtol=1e-7)
    line = torch.zeros((d, 20001), dtype=torch.float64)
    line[0] = theta / TAU * EXTENT[0] / 2
    assert torch.allclose(field.at(line), curve, rtol=0, atol=1e-12)
    slopes = curve.diff(dim=1).abs().amax() / theta[1] * TAU * 2 / min(EXTENT[:d])
    assert float(norms.jacobian.upper) == pytest.approx(float(slopes), rel=1e-6)


@pytest.mark.parametrize(("d", "count", "batches"), [(1, 500, 10), (2, 500, 10)])
def test_certified_norms_of_a_thousand_random_fields(d, count, batches):
    """No sample, refined, lies above an upper value; every upper value is within 5 % of a value that is attained."""
    for batch in range(batches):
        field = bandlimited((count // batches,), batch % 5 + 1, d, seed=batch)
        norms = field.norms()
        x = cell(d, {1: 200, 2: 32}[d])
        for function, pair in zip(quantities(field), (norms.sup, norms.jacobian), strict=True):
            seen = refined(function, x, EXTENT, steps=4, keep=3)
            assert torch.all(seen <= pair.upper)
            assert torch.all(pair.upper <= 1.05 * seen)
            assert torch.all(pair.lower <= pair.upper)
        parts = field.at(x).abs().amax(-1)
        assert torch.all(parts <= norms.components.upper) and torch.all(
            norms.components.lower <= norms.sup.upper[:, None]
        )


def test_a_maximum_over_a_coarse_grid_is_no_norm():
    """sin(2 pi 3 x) on 8 samples per period: the samples miss 7.6 % of the Jacobian, on 6 they miss all of tau."""
    field = sinusoid((3,), (1.0,), 0.0, (1.0,))
    sup, _ = quantities(field)
    coarse = Grid.line(6, length=1.0).points()
    assert float(sup(coarse).max()) < 1e-12
    dense = sinusoid((3,), (1.0,), math.pi / 8, (1.0,))
    eight = Grid.line(8, length=1.0).points()
    missed = 1 - float(quantities(dense)[1](eight).max()) / (3 * TAU)
    assert missed == pytest.approx(1 - math.cos(math.pi / 8), rel=1e-9)
    assert missed > 0.05
    for f in (field, dense):
        assert float(f._certified().sup.upper) >= 1.0
        assert float(f._certified().jacobian.upper) >= 3 * TAU


@pytest.mark.parametrize("d", [1, 2, 3])
def test_affine_norms_against_samples_of_rays(d):
    """Closed radial forms against samples, refined, and against branch and bound."""
    n = {1: 12, 2: 12, 3: 3}[d]
    field = affine(d, 5, (n,))
    norms = field.norms()
    x = cell(d, {1: 400, 2: 40, 3: 16}[d])
    for function, pair in zip(quantities(field), (norms.sup, norms.jacobian), strict=True):
        seen = refined(function, x, EXTENT, steps=6, keep=4)
        assert torch.all(seen <= pair.upper)
        assert torch.all(pair.upper <= 1.01 * seen)
        assert torch.all(pair.upper <= (1 + 1e-4) * pair.lower)
    if d < 3:
        other = enclosed(field.select(slice(0, 3)))
        assert torch.all(other.jacobian.lower <= norms.jacobian.upper[:3])
        assert torch.all(norms.jacobian.lower[:3] <= other.jacobian.upper)
        assert torch.all(other.components.upper <= 1.03 * norms.components.upper[:3])


def test_rotation_inside_the_inner_radius():
    """There, x - tau(x) is the rotated point, D tau = I - R, and |tau| = 2 sin(angle / 2) |x - c|."""
    angle, c = 0.4, torch.tensor([[0.2], [2.8]], dtype=torch.float64)
    R = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    field = AffineField(torch.eye(2, dtype=torch.float64) - R, (0.2, 2.8), 0.5, 0.9, (2.0, 3.0))
    turn = torch.linspace(0, TAU, 40, dtype=torch.float64)
    y = torch.linspace(0.0, 0.4999, 40, dtype=torch.float64) * torch.stack([turn.cos(), turn.sin()])
    assert torch.allclose(y - field.at(c + y), R @ y, rtol=0, atol=1e-12)
    assert torch.allclose(torch.linalg.vector_norm(field.at(c + y), dim=0), 2 * math.sin(angle / 2) * y.norm(dim=0))
    assert torch.allclose(field.jacobian(c + y), (torch.eye(2, dtype=torch.float64) - R)[..., None].expand(2, 2, 40))
    outside = c + torch.tensor([[0.95], [0.0]], dtype=torch.float64)
    assert torch.equal(field.at(outside), torch.zeros((2, 1), dtype=torch.float64))


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_norms_of_sums_and_compositions(d, seed):
    """Tight for warps (Jacobians below 1); rigorous for all."""
    parts = (bandlimited((), 1 + seed % 3, d, seed), affine(d, seed), bandlimited((), 1, d, seed + 50))
    a, b, wave = (p.scaled_to(jacobian=0.4 if seed else 3.0) for p in parts)
    for field in (a + b, b.after(a), a.after(b), a.after(wave)):
        norms = field.norms()
        many = _batched(field)
        x = cell(d, {1: 300, 2: 40}[d])
        for function, pair in zip(quantities(many), (norms.sup, norms.jacobian), strict=True):
            seen = refined(function, x, EXTENT, steps=5, keep=4)
            assert torch.all(seen <= pair.upper)
            assert seed == 0 or torch.all(pair.upper <= 1.05 * seen)


def _batched(field):
    """The same field with batch (1,), for functions that expect one."""
    return field.scaled(torch.ones(1, dtype=torch.float64))


@pytest.mark.parametrize("d", [1, 2])
def test_a_priori_bounds_hold(d):
    """Second and third derivatives along random directions, by automatic differentiation."""
    x = cell(d, 9) + 0.031
    for field in some_fields(d):
        bounds = field.smoothness()
        for seed in range(3):
            u = noise((d, 1), seed)
            u = u / u.norm()
            s = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
            line = field.at(x + u * s)
            order = [line.detach()]
            rows = [line[i, k] for i in range(2) for k in range(d)]
            for _ in range(3):
                rows = [
                    torch.autograd.grad(row.sum(), s, create_graph=True)[0] if row.requires_grad else row * 0
                    for row in rows
                ]
                order.append(torch.stack([row.detach() for row in rows]).reshape(2, d, -1))
            for values, bound in zip(order, bounds[:4], strict=True):
                assert torch.all(values.norm(dim=1).amax(-1) <= bound * (1 + 1e-9) + 1e-12), type(field).__name__


def test_general_enclosure_agrees_with_the_special_one():
    field = bandlimited((4,), 2, 2, seed=8)
    special, general = field.norms(), enclosed(field)
    for name in ("sup", "jacobian", "components"):
        one, other = getattr(special, name), getattr(general, name)
        assert torch.all(one.lower <= other.upper) and torch.all(other.lower <= one.upper)
        assert torch.all(other.upper <= 1.03 * other.lower)


# --- sums, compositions, scaling


@pytest.mark.parametrize("d", [1, 2])
def test_after_is_one_warp_after_the_other(d):
    """f = cos is evaluated at x - b(x) - a(x - b(x)), the place from which two warps take their value."""
    k = torch.tensor([1.0, 2.0][:d], dtype=torch.float64) * TAU / torch.tensor(EXTENT[:d], dtype=torch.float64)

    def f(x):
        return torch.cos(torch.tensordot(k, x, dims=1))

    x = cell(d, 7)
    kinds = [
        bandlimited((), 2, d),
        affine(d),
        translation([0.2] * d, EXTENT[:d]),
        max_entropy(EXTENT[:d], 3, 0.01, generator=1),
    ]
    for a, b in itertools.product(kinds, kinds):

        def g(y, a=a):
            return f(y - a.at(y))

        h = g(x - b.at(x))
        together = b.after(a)
        assert torch.allclose(f(x - together.at(x)), h, rtol=0, atol=1e-12)
    assert isinstance(kinds[2].after(kinds[0]), TrigonometricField)
    assert isinstance(kinds[0].after(kinds[2]), TrigonometricField)
    assert isinstance(kinds[0].after(kinds[1]), ComposedField)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_sums(d):
    x = cell(d, 4) + 0.11
    a, b, c = bandlimited((2,), 2, d), bandlimited((), 1, d, 1), affine(d, 2, (2,))
    for field, parts in ((a + b, (a, b)), (a + c, (a, c)), (b + a + c + b, (b, a, c, b))):
        assert torch.allclose(field.at(x), sum(p.at(x) for p in parts), rtol=0, atol=1e-13)
        assert field.batch == (2,)
    assert isinstance(a + b, TrigonometricField)
    assert len((b + c + a).parts) == 2 and isinstance(b + c, SumField)
    assert len((a + translation([0.0] * d, EXTENT[:d])).batch) == 1
    s = SineField(noise((2, d, *(2,) * d)), EXTENT[:d])
    t = SineField(noise((d, *(3,) * d)), EXTENT[:d])
    assert isinstance(s + t, SineField)
    assert torch.allclose((s + t).at(x), s.at(x) + t.at(x), rtol=0, atol=1e-12)


def test_sums_and_compositions_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="extent"):
        bandlimited((), 1, 1) + bandlimited((), 1, 1, extent=(5.0,))
    with pytest.raises(ValueError, match="batches"):
        bandlimited((2,), 1, 1).after(affine(1, 0, (3,)))


@pytest.mark.parametrize("d", [1, 2])
def test_scaling(d):
    factor = torch.tensor([2.0, -0.5], dtype=torch.float64)
    x = cell(d, 5)
    for field in some_fields(d):
        before = field.norms()
        scaled = field.scaled(factor)
        assert torch.allclose(scaled.at(x), factor[:, None, None] * field.at(x), rtol=0, atol=1e-12)
        assert torch.allclose(scaled.norms().sup.upper, factor.abs() * before.sup.upper, rtol=1e-12)
        assert torch.allclose(scaled.jacobian(x), factor[:, None, None, None] * field.jacobian(x), rtol=0, atol=1e-11)


@pytest.mark.parametrize("d", [1, 2])
def test_scaled_to(d):
    for field in some_fields(d):
        norms = field.norms()
        moves = norms.jacobian.upper > 0
        for sup, jacobian in ((0.3, None), (None, 0.2), (0.3, 0.2), (1e-3, 0.2), (0.3, 1e-3)):
            if sup is None and not moves.all():
                continue
            after = field.scaled_to(sup=sup, jacobian=jacobian).norms()
            shares = torch.stack([
                after.sup.upper / sup if sup else 0 * norms.sup.upper,
                after.jacobian.upper / jacobian if jacobian else 0 * norms.sup.upper,
            ])  # fmt: skip
            assert torch.all(shares <= 1), type(field).__name__
            assert torch.all(shares.amax(0) >= 1 - 1e-14), type(field).__name__
    still = translation([0.3] * d, EXTENT[:d])
    assert torch.equal(still.scaled_to(jacobian=0.1).at(x := cell(d, 2)), still.at(x))


@pytest.mark.parametrize(
    ("arguments", "message"), [({}, "give"), ({"sup": -1.0}, "sup"), ({"jacobian": math.nan}, "jacobian")]
)
def test_scaled_to_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        bandlimited((), 1, 1).scaled_to(**arguments)


# --- random warps


@settings(max_examples=15)
@given(
    d=hs.sampled_from([1, 2]),
    share=hs.just(0.0) | hs.floats(1e-6, 1.0),
    sup=hs.floats(1e-3, 0.5),
    degree=hs.integers(1, 4),
    seed=hs.integers(0, 99),
)
def test_random_warp_has_the_norms_that_were_asked_for(d, share, sup, degree, seed):
    grid = Grid.of((8, 9)[:d], length=2.0)
    largest = TAU * degree * sup / 2.0
    field = random_warp(grid, sup, sup_jacobian=share * largest, degree=degree, generator=seed)
    norms = field.norms()
    assert float(norms.sup.upper) == pytest.approx(sup, rel=1e-13)
    assert float(norms.jacobian.upper) == pytest.approx(share * largest, rel=1e-13)
    assert max(field.polynomial.degrees) <= degree
    # What is stated holds, and is not idle: look at the field itself.
    x = cell(d, {1: 400, 2: 60}[d], grid.extent)
    for function, target in zip(quantities(_batched(field)), (sup, share * largest), strict=True):
        seen = float(refined(function, x, grid.extent, steps=4))
        assert seen <= target * (1 + 1e-12)
        assert seen >= target / 1.05


def test_random_warp_refuses_with_the_largest_jacobian():
    """2 pi M sup / L: Bernstein's inequality, attained by a plane wave."""
    grid = Grid.of((8, 8), length=2.0)
    with pytest.raises(ValueError, match=r"at most 0\.628319.*degree=4"):
        random_warp(grid, 0.1, sup_jacobian=1.2, degree=2)
    with pytest.raises(ValueError, match="constant"):
        random_warp(grid, 0.1, sup_jacobian=0.01, constant=False, generator=0)
    for bad in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="sup_tau"):
            random_warp(grid, bad)
    with pytest.raises(ValueError, match="sup_jacobian"):
        random_warp(grid, 0.1, sup_jacobian=math.nan)


def test_random_warp_without_constant_part():
    grid = Grid.of((8, 8), length=2.0)
    for wanted in (0.35, 0.5):
        field = random_warp(grid, 0.1, sup_jacobian=wanted, constant=False, generator=2)
        M = field.polynomial.degrees
        assert float(field.polynomial.coefficients[:, M[0], M[1]].abs().max()) == 0
        assert float(field.norms().jacobian.upper) == pytest.approx(wanted, rel=1e-13)
        assert float(field.norms().sup.upper) == pytest.approx(0.1, rel=1e-13)


def test_seeds_repeat():
    grid = Grid.of((8, 8))
    for make in (
        lambda s: random_warp(grid, 0.3, sup_jacobian=0.2, generator=s),
        lambda s: max_entropy((1.0, 1.0), 3, 0.1, generator=s),
    ):
        x = cell(2, 3) + 0.1
        assert torch.equal(make(4).at(x), make(4).at(x))
        assert not torch.equal(make(4).at(x), make(5).at(x))


# --- sine series


@pytest.mark.parametrize("d", [1, 2])
def test_sine_series_vanish_on_the_border_and_match_their_sum(d):
    field = max_entropy(EXTENT[:d], 4.5, 0.1, generator=0)
    C = field.amplitudes
    x = cell(d, 6) + 0.07
    total = torch.zeros_like(x)
    for index in itertools.product(*(range(n) for n in C.shape[1:])):
        i = [j + 1 for j in index]
        inside = sum(j * j for j in i) <= 4.5**2
        assert inside or float(C[(slice(None), *index)].abs().max()) == 0
        wave = math.prod(torch.sin(j * math.pi * y / L) for j, y, L in zip(i, x, EXTENT, strict=False))
        total += C[(slice(None), *index)][:, None] * wave
    assert torch.allclose(field.at(x), total, rtol=0, atol=1e-12)
    for axis in range(d):
        border = x.clone()
        border[axis] = 0.0
        assert float(field.at(border).abs().max()) < 1e-13
        border[axis] = EXTENT[axis]
        assert float(field.at(border).abs().max()) < 1e-13


def test_sine_series_are_symmetric_on_the_doubled_torus():
    """Reflecting a coordinate flips the sign of the polynomial, so that its norms are those of the cell."""
    field = max_entropy((2.0, 3.0), 3, 0.1, generator=1)
    p = field.doubled
    x = cell(2, 5) + 0.03
    assert p.extent == (4.0, 6.0)
    for axis in (0, 1):
        mirrored = x.clone()
        mirrored[axis] *= -1
        assert torch.allclose(p.at(mirrored), -p.at(x), rtol=0, atol=1e-13)
    many = _batched(field)
    norms = field.norms()
    for function, pair in zip(quantities(many), (norms.sup, norms.jacobian), strict=True):
        seen = float(refined(function, cell(2, 40), EXTENT, steps=4))
        assert seen <= float(pair.upper) <= 1.05 * seen


def test_temperature_gives_the_displacement():
    """The mean of |tau|^2 over the cell, for fields of many draws; 4000 draws have a standard error of about 2 %."""
    T = max_entropy_temperature(3, 0.1, 2)
    fields = max_entropy((1.0, 1.0), 3, T, generator=0, batch=(4000,))
    x = Grid.square(8, length=1.0).points() + 1 / 16
    assert float(fields.at(x).square().sum(1).mean().sqrt()) == pytest.approx(0.1, rel=0.05)
    # By hand: indices (1,1), (1,2), (2,1), (2,2) lie within 3; 1/2 + 2/5 + 1/8 = 1.025; rms^2 = 2 T 1.025 / 4.
    assert max_entropy_temperature(3, 1.0, 2) == pytest.approx(4 / (2 * 1.025))


# --- sampled fields


@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4)])
def test_sampled_fields(shape):
    d, grid = len(shape), Grid.of(shape, sample_rate=2.0)
    values = noise((3, d, *shape))
    field = SampledField(values, grid)
    assert torch.equal(field.at(grid.points()), values)
    period = torch.tensor(grid.extent, dtype=torch.float64).reshape(d, *(1,) * d)
    assert torch.equal(field.at(grid.points() - period), values)
    some = grid.points().flatten(1)[:, 1:4]
    assert torch.equal(field.at(some), values.flatten(2)[..., 1:4])
    each = torch.stack([some, some.flip(-1), some])
    assert torch.equal(field.at(each, each=True)[1], values[1].flatten(1)[:, 1:4].flip(-1))
    norms = field.norms()
    assert torch.equal(norms.sup.upper, values.square().sum(1).sqrt().flatten(1).amax(1))
    assert torch.equal(norms.components.upper, values.abs().flatten(2).amax(2))
    assert torch.all(norms.jacobian.upper.isinf())
    assert torch.all(field.scaled(0.0).norms().jacobian.upper.isinf())
    with pytest.raises(ValueError, match="samples of its grid"):
        field.at(grid.points() + 0.1)
    assert field.jacobian(grid.points()).shape == (3, d, d, *shape)
    assert torch.all(field.jacobian(grid.points()).isinf())
    with pytest.raises(ValueError, match="unknown"):
        field.scaled_to(jacobian=0.1)
    shift = translation([0.5] * d, grid.extent)
    assert torch.allclose((shift + field).at(grid.points()), values + 0.5)
    assert torch.allclose(field.after(shift).at(grid.points()), values + 0.5)
    with pytest.raises(ValueError, match="between"):
        shift.after(field)


# --- configuration and bad input


@pytest.mark.parametrize("d", [1, 2, 3])
def test_configuration_rebuilds_the_field_exactly(d):
    grid = Grid.of((3, 4, 2)[:d], length=2.0)
    x = cell(d, 3)
    for field in some_fields(d):
        again = field_from_config(json.loads(json.dumps(field.to_config())))
        assert type(again) is type(field) and again.extent == field.extent
        assert torch.equal(again.at(x), field.at(x))
    sampled = SampledField(noise((d, *grid.shape)), grid)
    again = field_from_config(json.loads(json.dumps(sampled.to_config())))
    assert again.grid == grid and torch.equal(again.values, sampled.values)


@pytest.mark.parametrize("config", [{"field": "Nothing"}, {"field": "SineField", "extent": [1.0]}, {"a": 1}])
def test_configuration_that_is_no_field(config):
    with pytest.raises(ValueError, match="field_from_config"):
        field_from_config(config)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: translation([math.nan], (1.0,)), "NaN"),
        (lambda: translation([1.0, 2.0], (1.0,)), "shape"),
        (lambda: translation([1.0], (0.0,)), "extent"),
        (lambda: sinusoid((0.5,), (1.0,), 0.0, (1.0,)), "wavevector"),
        (lambda: TrigonometricField(Polynomial(noise((3,), dtype=torch.complex128), (1.0,))), "components"),
        (lambda: TrigonometricField(Polynomial(noise((1, 3), dtype=torch.complex128), (1.0,), False)), "complex"),
        (lambda: AffineField(noise((1, 1)), (0.0,), 0.2, 0.6, (1.0,)), "half"),
        (lambda: AffineField(noise((1, 1)), (0.0, 0.0), 0.2, 0.4, (1.0,)), "centre"),
        (lambda: AffineField(noise((2, 2)), (0.0,), 0.2, 0.4, (1.0,)), "matrix"),
        (lambda: SampledField(noise((1, 4)), Grid.line(5)), "values"),
        (lambda: max_entropy((1.0, 1.0), 1.0, 1.0), "cutoff"),
        (lambda: max_entropy((1.0,), 3.0, -1.0), "temperature"),
        (lambda: bandlimited((), 1, 1).select(0), "single"),
        (lambda: bandlimited((2,), 1, 1).scaled(torch.ones(3)), "factor"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_empty_batches():
    for field in (bandlimited((0,), 1, 2), affine(2, 0, (0,)), bandlimited((0,), 1, 2) + affine(2)):
        assert field.at(cell(2, 2)).shape == (0, 2, 4)
        assert field.norms().sup.upper.shape == (0,)
        assert field.norms().components.upper.shape == (0, 2)
