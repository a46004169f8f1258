"""Norms of displacement fields: closed forms, dense sampling with refinement, scaling, random warps."""

import math

import pytest
import torch
from displacements import EXTENT, TAU, affine, bandlimited, batched, cell, noise, quantities, refined, some_fields
from hypothesis import given, settings
from hypothesis import strategies as hs

from scatter_theory import Grid
from scatter_theory.deform._affine import STEP_DERIVATIVES, AffineField, profile
from scatter_theory.deform._norms import FIRST, Look, enclosed, supremum
from scatter_theory.deform._random import random_warp
from scatter_theory.deform._sine import SineField, max_entropy
from scatter_theory.deform._trigonometric import plane_wave, sinusoid, translation


def test_norms_of_a_translation_in_closed_form():
    norms = translation([[3.0, 4.0], [0.0, 0.0]], (8.0, 8.0)).norms()
    assert torch.allclose(norms.sup.upper, torch.tensor([5.0, 0.0], dtype=torch.float64), rtol=1e-12)
    assert torch.equal(norms.jacobian.upper, torch.zeros(2, dtype=torch.float64))
    assert torch.allclose(norms.components.upper[0], torch.tensor([3.0, 4.0], dtype=torch.float64), rtol=1e-12)


@settings(max_examples=20)
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


def test_derivatives_of_the_step():
    """The polynomial differentiated by hand, on samples that are dense enough to find its extremes to 1e-7."""
    t = torch.linspace(0, 1, 100001, dtype=torch.float64)
    coefficients = {0: 1, 4: -35, 5: 84, 6: -70, 7: 20}
    for order in range(4):
        values = sum(c * t**n for n, c in coefficients.items())
        if order == 0:
            assert torch.allclose(profile(2 + 3 * t, 2.0, 5.0).b, values, rtol=0, atol=1e-13)
        else:
            assert STEP_DERIVATIVES[order - 1] == pytest.approx(float(values.abs().max()), rel=1e-7)
        if order == 1:
            assert torch.allclose(profile(2 + 3 * t, 2.0, 5.0).slope, values / 3, rtol=0, atol=1e-13)
        coefficients = {n - 1: n * c for n, c in coefficients.items() if n}


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
        many = batched(field)
        x = cell(d, {1: 300, 2: 40}[d])
        for function, pair in zip(quantities(many), (norms.sup, norms.jacobian), strict=True):
            seen = refined(function, x, EXTENT, steps=5, keep=4)
            assert torch.all(seen <= pair.upper)
            assert seed == 0 or torch.all(pair.upper <= 1.05 * seen)


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


def test_the_chain_rule_is_not_short_of_a_term():
    """A slow a after a fast b: the second and third derivatives are nearly (1 + sup|a'|) times those of b.

    a = A sin(2 pi x), b = B sin(40 pi x) with slopes 0.9 and 0.3: where a' = -0.9 and b'' is extremal,
    tau'' = b'' (1 + 0.9) - O(1); without the term a' b'' the bound would be 38 + 10 instead of more than 60.
    """
    a = sinusoid((1,), (0.9 / TAU,), 0.0, (1.0,))
    b = sinusoid((20,), (0.3 / (20 * TAU),), 0.0, (1.0,))
    x = torch.linspace(0, 1, 8001, dtype=torch.float64)[None].requires_grad_()
    row = b.after(a).at(x)
    bounds = b.after(a).smoothness()
    for order, least in enumerate((0.0, 1.0, 60.0, 7500.0)):
        seen = float(row.detach().abs().max())
        assert least <= seen <= float(bounds[order])
        (row,) = torch.autograd.grad(row.sum(), x, create_graph=True)


def test_a_border_of_the_first_field_has_no_second_derivative():
    """|sin| is continuous with a kink; a second warp moves the kink into the period, where boxes would meet it."""
    kink = SineField(torch.full((1, 1), 0.1, dtype=torch.float64), (1.0,))
    move = sinusoid((1,), (0.1,), 1.0, (1.0,))
    assert kink.smoothness().seam and move.after(kink).smoothness().seam
    assert bool(move.after(kink).smoothness().curvature.isinf())
    assert bool(kink.after(move).smoothness().curvature.isfinite())
    steepest = move.after(kink).jacobian(torch.linspace(0, 1, 9001, dtype=torch.float64)[None]).abs().max()
    assert float(steepest) <= float(move.after(kink).norms().jacobian.upper)


@pytest.mark.parametrize("d", [1, 2])
def test_boxes_see_a_peak_between_their_centres(d):
    """A cone of height 0.024 over 0.5 at a common corner of the first boxes: all their centres miss it."""
    half_diagonal = 0.5 * math.sqrt(d) / FIRST[d]
    slope = 0.024 / half_diagonal
    peak = torch.full((d, 1), 4 / FIRST[d], dtype=torch.float64)

    def look(x):
        value = 0.5 + (0.024 - slope * (x - peak).norm(dim=0)).clamp_min(0)
        return Look(value[None], torch.zeros_like(value)[None], torch.full_like(value, slope)[None])

    one, s = torch.tensor(1.0, dtype=torch.float64), torch.tensor(slope, dtype=torch.float64)
    low, high = supremum(look, (1.0,) * d, one, s, one * math.inf)
    assert float(low) <= 0.524 <= float(high) <= 1.03 * 0.524


def test_general_enclosure_agrees_with_the_special_one():
    field = bandlimited((4,), 2, 2, seed=8)
    special, general = field.norms(), enclosed(field)
    for name in ("sup", "jacobian", "components"):
        one, other = getattr(special, name), getattr(general, name)
        assert torch.all(one.lower <= other.upper) and torch.all(other.lower <= one.upper)
        assert torch.all(other.upper <= 1.03 * other.lower)


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
    for function, target in zip(quantities(batched(field)), (sup, share * largest), strict=True):
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
    many = batched(field)
    norms = field.norms()
    for function, pair in zip(quantities(many), (norms.sup, norms.jacobian), strict=True):
        seen = float(refined(function, cell(2, 40), EXTENT, steps=4))
        assert seen <= float(pair.upper) <= 1.05 * seen
