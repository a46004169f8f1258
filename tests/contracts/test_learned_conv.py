"""The learned convolution: dense matrices and Cholesky factors of numpy, bounds for all weights, gradients."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from certify.convolutions import CONV, circular_matrix, squares
from fake_cuda import CUDA, on_fake_cuda
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call

import scatter_theory as st
from scatter_theory import Grid, certify
from scatter_theory.frames import Learned, LearnedConv

TOLERANCE = 1e-10
FORMS = {"canonical": {}, "range": {"A": 0.25, "B": 2.0}, "range, A = 0": {"A": 0.0, "B": 2.0}}
#: Channels in and out, kernel, grid, stride: tall, square and wide symbols, one to three axes, kernels beyond the grid.
SIZES = [
    (1, 4, 3, (9,), 1),
    (2, 3, 5, (4,), 1),
    (2, 6, 4, (12,), 3),
    (3, 2, 2, (10,), 2),
    (2, 4, 2, (8,), 2),
    (2, 3, (3, 2), (5, 4), 1),
    (1, 7, 3, (6, 9), (2, 3)),
    (3, 4, (2, 3), (4, 3), (2, 1)),
    (1, 9, 2, (4, 2, 6), 2),
    (2, 2, (3, 1, 2), (3, 2, 5), 1),
]


def made(case, form="canonical", seed=0, **options):
    inner, outer, kernel, shape, stride = case
    options = {"generator": seed, "dtype": torch.float64} | FORMS[form] | options
    form = form.split(",")[0]
    return LearnedConv(inner, outer, kernel, Grid.of(shape), stride=stride, parametrisation=form, **options)


def noise(*shape, seed=1, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def plain(layer, weight, padding=0):
    """Torch's own convolution with these weights on the torus."""
    kind = CONV[layer.grid.ndim]
    options = {"stride": layer.stride, "padding": padding, "padding_mode": "circular" if padding else "zeros"}
    conv = kind(layer.in_channels, layer.out_channels, tuple(weight.shape[2:]), bias=False, **options)
    conv.weight = nn.Parameter(weight.detach())
    return conv


def excess_of(conv, layer, A, B):
    """Largest excess over [A, B] of the squared singular values of a convolution of torch on the grid of the layer."""
    found = certify.conv_singular_values(conv, layer.grid.shape, padding="circular").square()
    return max(A - float(found.min()), float(found.max()) - B)


def excess(layer):
    return excess_of(plain(layer, layer.taps()), layer, layer.A, layer.B)


def raw_matrix(layer):
    """The circular convolution with the free kernel, dense."""
    padding = tuple((k - 1) // 2 for k in layer.kernel)
    ones = (1,) * layer.grid.ndim
    return circular_matrix(layer.weight, layer.grid.shape, layer.stride, ones, padding, 1), ones


def matrix(layer):
    """What the layer does to every unit vector, as columns."""
    n = layer.in_channels * layer.grid.size
    basis = torch.eye(n, dtype=layer.weight.dtype).reshape(n, layer.in_channels, *layer.grid.shape)
    return layer(basis).flatten(1).T.detach().numpy()


def unitary_dft(shape):
    """Unitary matrix of the DFT on a grid."""
    found = np.eye(1)
    for n in shape:
        k = np.arange(n)
        found = np.kron(found, np.exp(-2j * np.pi * np.outer(k, k) / n) / math.sqrt(n))
    return found


def waves(layer):
    """Unitary maps of signals to their coarse frequencies: rows (q, channel), and rows (q, channel and phase)."""
    F, m = unitary_dft(layer.coarse), math.prod(layer.coarse)
    out = np.einsum("qx,oc->qocx", F, np.eye(layer.out_channels)).reshape(m * layer.out_channels, -1)
    positions = np.arange(layer.grid.size).reshape(layer.grid.shape)
    corners = itertools.product(*[range(s) for s in layer.stride])
    places = [positions[tuple(slice(r, None, s) for r, s in zip(c, layer.stride, strict=True))] for c in corners]
    inner = np.zeros((m, layer.in_channels, len(places), layer.in_channels, layer.grid.size), complex)
    for c, (r, place) in itertools.product(range(layer.in_channels), enumerate(places)):
        inner[:, c, r, c, place.ravel()] = F.T
    return out, inner.reshape(m * layer.in_channels * len(places), -1)


def mapped(T, form, A, B):
    """The new matrix from Cholesky factors and eigenvalues of numpy."""
    if T.shape[0] < T.shape[1]:
        return mapped(T.conj().T, form, A, B).conj().T
    gram = T.conj().T @ T
    one = np.eye(len(gram))
    if form == "range, A = 0":
        return math.sqrt(B) * T @ np.linalg.inv(np.linalg.cholesky(one + gram)).conj().T
    L = np.linalg.cholesky(gram)
    Q = T @ np.linalg.inv(L).conj().T
    if form == "canonical":
        return math.sqrt(B) * Q
    values, vectors = np.linalg.eigh(L.conj().T @ L)
    level = (vectors * (A + (B - A) * values / (1 + values))) @ vectors.conj().T
    return Q @ np.linalg.cholesky(level).conj().T


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", SIZES, ids=str)
def test_equals_dense_matrices(case, form):
    for dtype in (torch.float64, torch.complex128) if len(case[3]) < 3 else (torch.float64,):
        layer = made(case, form, dtype=dtype)
        raw, _ = raw_matrix(layer)
        out, inner = waves(layer)
        blocks = out @ raw @ inner.conj().T
        m, rows = math.prod(layer.coarse), layer.out_channels
        columns = blocks.shape[1] // m
        blocks = blocks.reshape(m, rows, m, columns)
        expected = np.zeros_like(blocks)
        for q in range(m):
            expected[q, :, q] = mapped(blocks[q, :, q], form, layer.A, layer.B)
            blocks[q, :, q] = 0
        assert np.abs(blocks).max() < 1e-13, "the oracle's waves do not decouple the convolution"
        expected = out.conj().T @ expected.reshape(m * rows, m * columns) @ inner
        got = matrix(layer)
        assert np.abs(got - expected).max() < 1e-11
        found = np.sort(np.linalg.svd(got, compute_uv=False) ** 2)
        assert found.min() >= layer.A - 1e-12 and found.max() <= layer.B + 1e-12
        assert np.abs(np.sort(torch.linalg.svdvals(layer.symbols().detach()).square().ravel()) - found).max() < 1e-12
        A, B = layer.bounds()
        assert abs(A - squares(got).min()) < 1e-12 and abs(B - found.max()) < 1e-12
        assert layer.guarantee.A - 1e-12 <= A <= B <= layer.guarantee.B + 1e-12


@pytest.mark.parametrize("case", SIZES, ids=str)
def test_singular_values_of_the_range_are_a_function_of_those_of_the_kernel(case):
    """The eigen-map, from the dense singular values of the free kernel alone."""
    for form in ("range", "range, A = 0"):
        layer = made(case, form)
        s = np.linalg.svd(raw_matrix(layer)[0], compute_uv=False) ** 2
        expected = layer.A + (layer.B - layer.A) * s / (1 + s)
        assert np.abs(np.linalg.svd(matrix(layer), compute_uv=False) ** 2 - expected).max() < 1e-12


@pytest.mark.parametrize("form", ["canonical", "range"])
def test_one_channel_without_stride_is_a_learned_frame(form):
    """Its atoms are those of the form with the same name, up to the padding and a reflection."""
    for d, shape in ((1, (9,)), (2, (6, 5))):
        frame = Learned(n_filters=4, support=3, d=d, parametrisation=form, A=0.25, B=2.0)
        layer = made((1, 5, 3, shape, 1), form, A=2.0 if form == "canonical" else 0.25, B=2.0)
        with torch.no_grad():
            layer.weight.copy_(frame.module.kernels[:, None])
        bank = frame.on(layer.grid)
        atoms = torch.cat([bank.output[None], bank.spectra]).abs()
        found = torch.fft.fftn(layer.taps()[:, 0], dim=layer.grid.axes).abs()
        assert (found - atoms).abs().max() < 1e-14


@pytest.mark.parametrize("form", FORMS)
def test_taps_are_the_weights_of_a_plain_convolution(form):
    for case in SIZES:
        for dtype in (torch.float64, torch.complex128):
            layer = made(case, form, dtype=dtype)
            x = noise(2, layer.in_channels, *layer.grid.shape, dtype=dtype)
            width = [side for n in layer.grid.shape[::-1] for side in (0, n - 1)]
            y = plain(layer, layer.taps())(nn.functional.pad(x, width, mode="circular"))
            assert layer.taps().dtype == dtype and (y - layer(x)).abs().max() < 1e-13
        assert excess(layer) < TOLERANCE


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", SIZES[:7:2], ids=str)
def test_extreme_weights(case, form):
    """Any scale, one of a channel, and weights of which one rules."""
    first = noise(*made(case).weight.shape)
    spike = torch.full_like(first, 1e-3) * first
    spike[..., 0] += 1e3
    channel = first.clone()
    channel[:, -1] *= 1e-6
    for weight in (1e6 * first, 1e-6 * first, 1e150 * first, 1e-150 * first, spike, channel):
        layer = made(case, form)
        with torch.no_grad():
            layer.weight.copy_(weight)
        assert excess(layer) < TOLERANCE
        layer(noise(1, layer.in_channels, *layer.grid.shape)).square().sum().backward()
        assert torch.isfinite(layer.weight.grad).all()


def trained(case, form, steps):
    """Adam towards another circular convolution; the excess after every step, and that of the free kernel as it is."""
    layer = made(case, form)
    x = noise(4, layer.in_channels, *layer.grid.shape)
    target = 3 * made(case, form, seed=9)(x).detach()
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    worst, free, losses = [], [], []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (layer(x) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        worst.append(excess(layer))
        free.append(excess_of(plain(layer, layer.weight), layer, layer.A, layer.B))
    assert len(worst) == steps and losses[-1] < 0.98 * losses[0], "nothing was learned"
    return layer, worst, free


@pytest.mark.parametrize("form", FORMS)
def test_bounds_after_every_step(form):
    for case in (SIZES[3], SIZES[5]):
        layer, worst, free = trained(case, form, 40)
        assert max(worst) < TOLERANCE
        assert max(free) > 0.1, "the same weights without the map stay in the range too: the check cannot fail"
        other = made(case, form, seed=3)
        other.load_state_dict(layer.state_dict())
        x = noise(1, layer.in_channels, *layer.grid.shape)
        assert list(layer.state_dict()) == ["weight"] and torch.equal(other(x), layer(x)) and excess(other) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", SIZES, ids=str)
def test_bounds_after_every_one_of_300_steps(case, form):
    _, worst, free = trained(case, form, 300)
    assert max(worst) < TOLERANCE and max(free) > 0.1


def test_a_plain_convolution_with_the_same_weights_is_out_of_the_range():
    layer = made((2, 9, 3, (8, 6), (2, 2)))
    conv = plain(layer, layer.weight, padding=1)
    x = noise(1, 2, 8, 6)
    assert conv(x).shape == layer(x).shape and excess(layer) < TOLERANCE < 0.1 < excess_of(conv, layer, 1.0, 1.0)
    bounds = certify.conv_bounds(conv, (8, 6))
    assert bounds.A.value < 0.9 and bounds.B.value > 1.1


@pytest.mark.parametrize("form", FORMS)
def test_other_grids(form):
    layer = made((2, 5, 3, (8, 6), (2, 1)), form)
    for shape in ((2, 1), (4, 9), (10, 7)):
        other = layer.on(Grid.of(shape))
        fresh = made((2, 5, 3, shape, (2, 1)), form)
        fresh.load_state_dict(layer.state_dict())
        x = noise(1, 2, *shape)
        assert excess(other) < TOLERANCE and torch.equal(other(x), fresh(x))
    with torch.no_grad():
        layer.weight.mul_(-1.0)
    assert torch.equal(other.weight, layer.weight) and not torch.equal(other(x), fresh(x)), "the weights are shared"
    layer.weight = nn.Parameter(torch.ones_like(layer.weight) + noise(*layer.weight.shape))
    assert other.weight is layer.weight and layer.grid.shape == (8, 6)
    with pytest.raises(ValueError, match=r"got \(9, 6\), expected multiples of the stride \(2, 1\).*shape \(10, 6\)"):
        layer.on(Grid.of((9, 6)))
    with pytest.raises(ValueError, match="got 1 axes, expected 2"):
        layer.on(Grid.line(8))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", [(1, 3, 3, (5,), 1), (2, 2, 2, (4,), 2), (1, 3, (2, 1), (2, 3), (2, 1))], ids=str)
def test_gradcheck(case, form):
    for dtype in (torch.float64, torch.complex128):
        layer = made(case, form, dtype=dtype)
        x = noise(2, layer.in_channels, *layer.grid.shape, dtype=dtype).requires_grad_()
        weight = layer.weight.detach().clone().requires_grad_()
        assert gradcheck(lambda w, u, own=layer: functional_call(own, {"weight": w}, (u,)), (weight, x))


@pytest.mark.parametrize("form", FORMS)
def test_repeated_singular_values_have_gradients(form):
    """At a multiple of an isometry all singular values are equal, where eigenvectors have no derivative."""
    layer = made((2, 3, 3, (4,), 1), form)
    weight = torch.zeros_like(layer.weight)
    weight[:2, :, 1] = 0.7 * torch.eye(2, dtype=torch.float64)
    assert gradcheck(
        lambda w: functional_call(layer, {"weight": w}, (noise(2, 2, 4),)), (weight.clone().requires_grad_(),)
    )


def test_weights_without_full_rank():
    """Refused by name, unless A = 0; a small share is told from none."""
    wide, tall = (4, 2, 3, (6,), 1), (2, 4, 3, (8,), 2)
    for case, form in itertools.product((wide, tall), ("canonical", "range")):
        layer = made(case, form)
        with torch.no_grad():
            layer.weight.zero_()
        x = noise(1, layer.in_channels, *layer.grid.shape)
        for use in (lambda own=layer, x=x: own(x), layer.symbols, layer.taps, layer.bounds):
            with pytest.raises(ValueError, match=r"of the kernel are linearly dependent: .* is 0, expected more than"):
                use()
    layer = made(wide)
    with torch.no_grad():
        layer.weight[1] = layer.weight[0]
    with pytest.raises(ValueError, match=r"at the coarse frequency \(\d,\) the output channels of the kernel"):
        layer(noise(1, 4, 6))
    with torch.no_grad():
        layer.weight[1] += 1e-8 * noise(4, 3)
    assert excess(layer) < TOLERANCE
    averages = made((1, 1, 3, (6,), 1))
    with torch.no_grad():
        averages.weight.copy_(torch.tensor([[[1.0, 2.0, 1.0]]]))  # its spectrum is zero at half a cycle per sample
    with pytest.raises(ValueError, match=r"at the coarse frequency \(3,\) the input channels, one per phase"):
        averages(noise(1, 1, 6))
    assert excess(averages.on(Grid.line(7))) < TOLERANCE, "a grid without that frequency has the layer"


def test_a_kernel_of_zeros_with_lower_end_zero():
    """The layer is zero, and its derivative there is that of sqrt(B) times the plain convolution."""
    layer = made((2, 3, 3, (6,), 1), "range, A = 0")
    x, towards = noise(2, 2, 6), noise(2, 3, 6, seed=2)
    with torch.no_grad():
        layer.weight.zero_()
    conv = plain(layer, layer.weight, padding=1)
    assert not layer(x).any()
    for module in (layer, conv):
        (module(x) * towards).sum().backward()
    expected = math.sqrt(2.0) * conv.weight.grad
    assert (layer.weight.grad - expected).abs().max() < 1e-12 and expected.abs().max() > 1


@pytest.mark.parametrize("form", FORMS)
def test_precision(form):
    """Matrices are made in float64 from weights of half the size, and rounded when they are applied."""
    case = (2, 5, 3, (6, 4), (2, 1))
    for large, small in ((torch.float64, torch.float32), (torch.complex128, torch.complex64)):
        layer, single = made(case, form, dtype=large), made(case, form, dtype=small)
        x = noise(3, 2, 6, 4, dtype=large)
        y = single(x.to(small))
        assert single.weight.dtype == y.dtype == small and excess(single) < TOLERANCE
        assert 1e-9 < (y - layer(x)).abs().max() < 2e-5
        y.abs().sum().backward()
        assert single.weight.grad.dtype == small
    assert LearnedConv(1, 2, 3, Grid.line(4)).weight.dtype == torch.get_default_dtype()
    assert made(case, form).float()(x.real.float()).dtype == torch.float32


@pytest.mark.parametrize("form", FORMS)
def test_a_pass_needs_nothing_from_the_host(form):
    for case in (SIZES[3], SIZES[5]):
        layer = made(case, form)
        with on_fake_cuda(layer), torch.no_grad():
            y = layer(torch.empty(2, layer.in_channels, *layer.grid.shape, dtype=torch.float64, device=CUDA))
            assert y.device == CUDA and y.shape == (2, layer.out_channels, *layer.coarse)


def test_first_weights_have_singular_values_about_one():
    """In the mean of the squares, over many of them."""
    for case in (16, 8, 3, (8, 8), 1), (4, 32, 5, (12,), 2), (4, 32, 4, (12,), 2):
        values = np.linalg.svd(raw_matrix(made(case))[0], compute_uv=False) ** 2
        assert 0.7 < values.mean() < 1.4
    assert torch.equal(made(SIZES[0], seed=4).weight, made(SIZES[0], seed=torch.Generator().manual_seed(4)).weight)
    assert not torch.equal(made(SIZES[0], seed=None).weight, made(SIZES[0], seed=None).weight)


def test_copies_are_independent():
    layer = made(SIZES[2])
    x = noise(1, 2, 12)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), layer(x))
        with torch.no_grad():
            twin.weight.add_(noise(*twin.weight.shape))
        assert not torch.equal(twin(x), layer(x))
    assert repr(layer).startswith("LearnedConv(2, 6, kernel=(4,), grid=(12,), stride=(3,), parametrisation='canonical'")


BAD = [
    ({"in_channels": 0}, ValueError, r"`LearnedConv\(in_channels=...\)`: got 0, expected a whole number"),
    ({"out_channels": 2.5}, ValueError, "out_channels.*got 2.5"),
    ({"kernel": (3, 3)}, ValueError, r"kernel=.*got \(3, 3\), expected one number or 1"),
    ({"kernel": 0}, ValueError, "kernel=.*got 0"),
    (
        {"stride": 3},
        ValueError,
        r"got \(8,\), expected multiples of the stride \(3,\).*the shape \(9,\)",
    ),
    ({"kernel": 1, "stride": 2}, ValueError, r"got \(1,\) with stride \(2,\), which reads 2 .* expected at least 4"),
    ({"parametrisation": "tight"}, ValueError, "got 'tight', expected 'canonical' or 'range'"),
    ({"A": 0.5}, ValueError, r"got 0.5 and B = 1.0 with parametrisation='canonical'"),
    ({"parametrisation": "range"}, ValueError, r"A=.*got None, expected 0 <= A <= B = 1.0"),
    ({"parametrisation": "range", "A": 2.0}, ValueError, "got 2.0, expected 0 <= A <= B"),
    ({"parametrisation": "range", "A": math.nan}, ValueError, "got nan"),
    ({"B": math.inf}, ValueError, "B=.*got inf, expected a finite positive number"),
    ({"B": 0.0}, ValueError, "B=.*got 0.0"),
    ({"dtype": torch.float16}, TypeError, "got torch.float16, expected one of torch.float32"),
    ({"generator": "7"}, TypeError, "`generator`: got '7'"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_refusals(options, error, message):
    arguments = {"in_channels": 2, "out_channels": 4, "kernel": 3, "grid": Grid.line(8)} | options
    with pytest.raises(error, match=message):
        LearnedConv(**arguments)


def test_inputs_that_are_refused():
    layer = made(SIZES[5])
    for shape in ((1, 2, 5, 5), (2, 5, 4), (1, 3, 5, 4)):
        with pytest.raises(ValueError, match=r"expected \(batch, 2, 5, 4\). For another grid use `layer.on\(grid\)`"):
            layer(noise(*shape))
    for dtype in (torch.float32, torch.complex128):
        with pytest.raises(TypeError, match=f"got {dtype}, expected torch.float64 as in the weight"):
            layer(noise(1, 2, 5, 4, dtype=dtype))
    with torch.no_grad():
        layer.weight[1, 0, 2, 1] = math.inf
    with pytest.raises(ValueError, match=r"the weight is not finite at index \(1, 0, 2, 1\)"):
        layer(noise(1, 2, 5, 4))


def test_it_is_public():
    assert st.frames.LearnedConv is LearnedConv and "LearnedConv" in st.frames.__all__
