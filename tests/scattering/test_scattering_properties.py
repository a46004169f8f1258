"""What the transforms do beyond kymatio: any order, padding, complex signals, precision."""

import copy
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scattering.naive import naive
from torch.autograd import gradcheck

from scatter_theory.compiled import without_kernels
from scatter_theory.engine import _output
from scatter_theory.scattering import Scattering1D, Scattering2D

pytestmark = pytest.mark.filterwarnings("ignore:.*does not decay within:UserWarning")


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def line(J, n, Q=1, **options):
    return Scattering1D(J, n, Q, dtype=torch.float64, **options)


def plane(J, shape, L=8, **options):
    return Scattering2D(J, shape, L, dtype=torch.float64, **options)


MADE = {
    "order 3": lambda: line(5, 200, (4, 2, 1), max_order=3),
    "order 4, last Q repeated": lambda: line(6, 128, 2, max_order=4, T=30),
    "order 3, oversampled": lambda: line(4, 100, 2, max_order=3, oversampling=2),
    "averages at every sample": lambda: line(4, 64, 1, T=1),
    "tight": lambda: line(5, 200, (4, 2), max_order=3, tight=True),
    "periodic, odd quotient": lambda: line(4, 96 + 16, 3, padding="periodic"),
    "complex": lambda: line(4, 100, 2, complex_input=True),
    "tight, complex, zero": lambda: line(4, 100, 2, complex_input=True, tight=True, padding="zero"),
    "plane, order 3": lambda: plane(3, (20, 11), 2, max_order=3),
    "plane, oversampled": lambda: plane(2, (9, 14), 3, oversampling=1),
    "plane, tight": lambda: plane(3, (16, 24), 4, tight=True, max_order=3),
    "plane, complex": lambda: plane(2, (9, 14), 2, complex_input=True),
    "plane, periodic": lambda: plane(2, (16, 12), 3, padding="periodic"),
    "plane, constant": lambda: plane(2, (10, 12), 3, padding="constant"),
}


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "torch"])
@pytest.mark.parametrize("name", MADE)
def test_definition(name, kernels):
    """Path by path with numpy, from the same filters."""
    S = MADE[name]()
    x = draw(5, *S.shape, dtype=torch.complex128 if S.complex_input else torch.float64)
    with nullcontext() if kernels else without_kernels():
        values = S(x)
    modes = {"zero": "constant", "constant": "edge", "reflect": "reflect", "periodic": "wrap"}
    padded = np.pad(x[-1].numpy(), S.padding_amounts, mode=modes[S.padding])
    expected = naive(padded, S.filters(), S._layout)
    keys = S.meta()["key"]
    assert sorted(expected) == sorted(keys)
    assert values.shape == (5, len(keys), *expected[()].shape)
    largest = max(np.abs(v).max() for v in expected.values())
    for found, key in zip(values[-1].numpy(), keys, strict=True):
        np.testing.assert_allclose(found, expected[key], atol=1e-12 * largest)


@pytest.mark.parametrize("options", [{}, {"complex_input": True}, {"T": 5, "max_order": 3}, {"T": 1}], ids=str)
def test_averages_of_long_lines(options, monkeypatch):
    """By transforms, as matrices would be too large, or by matrices."""
    x = draw(3, 100)
    x = x + 1j * x.flip(-1) if "complex_input" in options else x
    expected = line(4, 100, 2, **options)(x)
    monkeypatch.setattr(_output, "LARGEST_MATRIX", 0)
    S = line(4, 100, 2, **options)
    assert all(group.output.matrices == () for groups in S.plan().groups for group in groups)
    torch.testing.assert_close(S(x), expected, rtol=0, atol=1e-12)


def test_paths_of_higher_orders():
    S = line(6, 256, (4, 2), max_order=3)
    meta = S.meta()
    assert S.Q == (4, 2, 2)
    assert S.output_size(detail=True) == [int((meta["order"] == n).sum()) for n in range(4)]
    three = meta["j"][meta["order"] == 3]
    assert len(three) > 0 and (np.diff(three, axis=1) > 0).all()
    assert meta["key"] == sorted(meta["key"], key=lambda q: (len(q), q))


# --- padding and sampling --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("zero", "constant"), ("constant", "edge")])
def test_padded_lines_are_periodic_ones(mode, numpy_mode):
    x = draw(4, 150)
    S = line(4, 150, 2, padding=mode)
    padded = torch.from_numpy(np.pad(x.numpy(), [(0, 0), *S.padding_amounts], mode=numpy_mode))
    whole = line(4, S.padded_shape[0], 2, padding="periodic")(padded)
    torch.testing.assert_close(S(x), whole[..., S.ind_start[4] : S.ind_end[4]], rtol=0, atol=1e-12)


def test_mirror_images_of_mirror_images():
    """An image of 2^J pixels is padded by as many: the last of them are images of images."""
    x = draw(1, 8, 8)
    S = plane(3, (8, 8), 2)
    assert S.padding_amounts == ((8, 8), (8, 8))
    padded = np.pad(x.numpy(), [(0, 0), *S.padding_amounts], mode="reflect")
    np.testing.assert_array_equal(S._pad(x).numpy(), padded)


def test_periodic_transforms_commute_with_shifts():
    x = draw(3, 112)
    S = line(4, 112, 2, padding="periodic")
    torch.testing.assert_close(S(x.roll(32, -1)), S(x).roll(2, -1), rtol=0, atol=1e-12)
    image, T = draw(2, 16, 24), plane(2, (16, 24), 3, padding="periodic")
    torch.testing.assert_close(T(image.roll((4, 8), (1, 2))), T(image).roll((1, 2), (-2, -1)), rtol=0, atol=1e-12)


def test_oversampled_planes_keep_the_samples():
    x = draw(2, 21, 32)
    coarse, fine = plane(2, (21, 32), 3), plane(2, (21, 32), 3, oversampling=2)
    assert fine(x).shape[-2:] == (20, 32)
    torch.testing.assert_close(fine(x)[:, 0, ::4, ::4], coarse(x)[:, 0], rtol=0, atol=1e-12)


def test_forms_of_output_agree():
    for make in (lambda **o: line(3, 50, 2, **o), lambda **o: plane(1, (6, 8), 2, **o)):
        S = make()
        x = draw(2, 3, *S.shape)
        array = S(x)
        S.out_type = "dict"
        table = S(x)
        assert list(table) == S.meta()["key"]
        torch.testing.assert_close(torch.stack(list(table.values()), 2), array, rtol=0, atol=0)
        S.out_type = "list"
        assert [c["n"] for c in S.scattering(x)] == list(table)


# --- complex signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda **o: line(4, 100, 2, **o), lambda **o: plane(2, (9, 14), 3, **o)], ids=["line", "plane"]
)
def test_complex_signals(make):
    real, S = make(), make(complex_input=True)
    x = draw(4, *S.shape, dtype=torch.complex128)
    first = real.output_size(detail=True)[1]
    assert S.output_size(detail=True)[:2] == [1, 2 * first]
    meta = S.meta()
    assert "sign" not in real.meta()
    np.testing.assert_array_equal(meta["sign"][1 : 1 + 2 * first, 0], np.repeat([1, -1], first))

    values = S(x)
    assert values.dtype == torch.complex128
    plus, minus = values[:, 1 : 1 + first], values[:, 1 + first : 1 + 2 * first]
    assert (values.imag[:, 1:] == 0).all() and (values.imag[:, 0] != 0).any()
    assert not torch.allclose(plus, minus)
    other = S(x.conj())
    torch.testing.assert_close(other[:, 1 : 1 + first], minus, rtol=0, atol=1e-12)
    torch.testing.assert_close(other[:, 0], values[:, 0].conj(), rtol=0, atol=1e-12)

    # For a real signal both signs see the same.
    of_real, expected = S(x.real), real(x.real)
    torch.testing.assert_close(of_real[:, 1 : 1 + first], of_real[:, 1 + first : 1 + 2 * first], rtol=0, atol=1e-12)
    torch.testing.assert_close(of_real[:, : 1 + first].real, expected[:, : 1 + first], rtol=0, atol=1e-12)


def test_mirrored_wavelets_see_the_frequencies_of_the_other_sign():
    S, n = line(3, 64, 1, complex_input=True, padding="periodic"), torch.arange(64)
    meta = S.meta()
    for key, xi in zip(meta["key"], meta["xi"], strict=True):
        if len(key) == 1:
            wave = torch.exp(2j * torch.pi * round(64 * xi[0]) / 64 * n.double())
            plus, minus = S(wave)[1 : 1 + S.output_size(detail=True)[1]].real.mean(-1).chunk(2)
            assert (plus > minus).all() if xi[0] > 0 else (minus > plus).all()


# --- gradients, precision, copies ------------------------------------------------------------------------------------

SMALL = {
    "line": lambda: line(3, 32, 2),
    "line, order 3, tight": lambda: line(3, 24, 2, T=5, max_order=3, tight=True),
    "line, complex": lambda: line(2, 16, 1, complex_input=True),
    "line, not averaged": lambda: line(3, 24, 1, T=0, out_type="list"),
    "plane": lambda: plane(1, (6, 5), 2),
    "plane, periodic": lambda: plane(2, (8, 8), 2, padding="periodic"),
}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", SMALL)
def test_gradients(name, batch):
    """Against finite differences; batches of four and more take the compiled kernels where there are some."""
    S = SMALL[name]()
    x = draw(batch, *S.shape, dtype=torch.complex128 if S.complex_input else torch.float64).requires_grad_()
    if S.out_type == "array":
        assert gradcheck(S, x, fast_mode=True)
    else:
        assert gradcheck(lambda x: tuple(c["coef"] for c in S(x)), x, fast_mode=True)


def test_gradients_at_zero_are_finite():
    x = torch.zeros(2, 64, dtype=torch.float64, requires_grad=True)
    line(3, 64, 2)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("make", [lambda: Scattering1D(3, 60, 2), lambda: Scattering2D(2, (9, 12), 2)])
def test_copies_and_precisions(make):
    S = make()
    x = draw(2, *S.shape, dtype=torch.float32)
    values = S(x)
    assert values.dtype == torch.float32 and not S.state_dict()
    for other in (copy.deepcopy(S), pickle.loads(pickle.dumps(S))):
        torch.testing.assert_close(other(x), values, rtol=0, atol=0)
    double = S.double()(x.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), values, rtol=0, atol=1e-5 * float(values.abs().max()))
    torch.testing.assert_close(S.float()(x), values, rtol=0, atol=0)
    assert S.plan() is S.plan()
