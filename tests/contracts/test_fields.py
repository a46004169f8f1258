"""Displacement fields: values and derivatives, sums and compositions, sine series, samples, configurations."""

import itertools
import json
import math

import pytest
import torch
from displacements import EXTENT, TAU, affine, bandlimited, cell, noise, some_fields

from scatter_theory import Grid
from scatter_theory.deform._affine import AffineField
from scatter_theory.deform._combined import ComposedField, SumField
from scatter_theory.deform._fields import field_from_config
from scatter_theory.deform._sampled import SampledField
from scatter_theory.deform._sine import SineField, max_entropy, max_entropy_temperature
from scatter_theory.deform._trigonometric import TrigonometricField, sinusoid, translation
from scatter_theory.trigonometric import Polynomial


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


def test_temperature_gives_the_displacement():
    """The mean of |tau|^2 over the cell, for fields of many draws; 4000 draws have a standard error of about 2 %."""
    T = max_entropy_temperature(3, 0.1, 2)
    fields = max_entropy((1.0, 1.0), 3, T, generator=0, batch=(4000,))
    x = Grid.square(8, length=1.0).points() + 1 / 16
    assert float(fields.at(x).square().sum(1).mean().sqrt()) == pytest.approx(0.1, rel=0.05)
    # By hand: indices (1,1), (1,2), (2,1), (2,2) lie within 3; 1/2 + 2/5 + 1/8 = 1.025; rms^2 = 2 T 1.025 / 4.
    assert max_entropy_temperature(3, 1.0, 2) == pytest.approx(4 / (2 * 1.025))


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
