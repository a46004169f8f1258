"""The fast engine at its edges: what it refuses, rare signals, copies, derivatives of every kind."""

import copy
import math
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from engine.common import GRIDS, draw
from torch.autograd import forward_ad

import scatter_theory as st
from scatter_theory.compiled import without_kernels

# torch itself uses it when forward derivatives are first asked for.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

LAYERS = [st.Layer(st.frames.Wavelets(J=3), st.Modulus(), st.Subsample(2))] * 2


def made(layers=LAYERS, grid=GRIDS[1], **options):
    return st.FeatureExtractor(layers, grid, engine="fast", **{"dtype": torch.float64, **options})


def vector(features):
    """Features and energies as one vector per signal."""
    return torch.cat([features.flatten(), torch.stack([*features.remainder, features.pruned], -1)], -1)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [st.MaximumCount(3), st.EnergyThreshold(0.1)], ids=repr)
def test_rules_that_look_at_signals_are_refused(rule):
    with pytest.raises(ValueError, match=r"engine='fast'.*chooses paths by the signals.*engine='exact'.*FixedPaths"):
        made(paths=rule)
    frozen = st.FixedPaths(st.FeatureExtractor(LAYERS, GRIDS[1], paths=rule)(draw((48,), 1)).paths)
    assert set(made(paths=frozen)(draw((48,), 1)).paths) == {st.Path(()), *frozen.paths}


@pytest.mark.parametrize("engine", ["exact", "fast"])
@pytest.mark.parametrize(
    "value", [0.99, 0, -1, math.nan, math.inf, -math.inf, True, None, "2", 2j, torch.tensor([2.0])]
)
def test_oversampling_is_a_number_of_at_least_one(value, engine):
    with pytest.raises(ValueError, match=r"oversampling=.*expected a finite number >= 1"):
        st.FeatureExtractor(LAYERS, GRIDS[1], engine=engine, oversampling=value)


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1.5), np.int64(3), 1e18, 1e308])
def test_any_such_number_will_do(value):
    phi = made(oversampling=value)
    assert phi.oversampling == float(value) and isinstance(phi.oversampling, float)
    assert bool(torch.isfinite(phi(draw((48,), 1)).norm()))


@pytest.mark.parametrize("engine", ["quick", "", None, True, 1, "FAST"])
def test_unknown_engines_are_refused(engine):
    with pytest.raises(ValueError, match=r"engine=.*expected 'exact' or 'fast'"):
        st.FeatureExtractor(LAYERS, GRIDS[1], engine=engine)


REFUSED = [
    (torch.zeros(48, dtype=torch.float64), TypeError, r"`f`: got torch.float64.*float32, which would lose digits"),
    (np.zeros(48), TypeError, "would lose digits"),
    (torch.zeros(47), ValueError, r"got shape \(47,\), expected \(\*batch, 48\)"),
    (torch.zeros(48, 3), ValueError, r"got shape \(48, 3\)"),
    (torch.tensor(1.0), ValueError, r"got shape \(\)"),
    (torch.zeros(48, dtype=torch.int64), TypeError, "got dtype torch.int64"),
    (torch.zeros(48, dtype=torch.bool), TypeError, "got dtype torch.bool"),
    (torch.zeros(48, dtype=torch.float16), TypeError, "got dtype torch.float16"),
    (torch.zeros(48, dtype=torch.complex64), ValueError, "complex_input=True"),
    (torch.full((2, 48), math.nan), ValueError, r"entry \(0, 0\) is nan"),
    (torch.full((2, 48), -math.inf), ValueError, r"entry \(0, 0\) is -inf"),
    ([0.0] * 48, TypeError, "got list"),
    (torch.zeros(48, device="meta"), ValueError, "on device meta"),
]


@pytest.mark.parametrize(("f", "error", "message"), REFUSED, ids=lambda v: getattr(v, "__name__", "") or str(v)[:20])
def test_signals_that_are_refused(f, error, message):
    phi = made(dtype=None)
    assert phi.dtype == torch.float32, "the default of the fast engine"
    for method in (phi, phi.error, lambda x: list(phi.walk(x))):
        with pytest.raises(error, match=message):
            method(f)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_unchecked_values_stay_with_their_signal(value):
    f = draw((10, 48), 2)
    expected = made()(f)
    f[3, 7] = value
    found = made()(f, check_finite=False)
    others = [i for i in range(10) if i != 3]
    assert torch.equal(vector(found)[others], vector(expected)[others])
    assert not bool(torch.isfinite(vector(found)[3]).all())


# --- shapes and memory -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("batch", [(), (1,), (3, 2), (2, 1, 2), (0,), (2, 0)], ids=str)
def test_batches_of_any_rank(batch, d):
    layers = [st.Layer(st.frames.Wavelets(J=1), st.Modulus(), st.Average(2)), st.Layer(st.frames.Wavelets(J=1))]
    phi, f = made(layers, GRIDS[d]), draw((*batch, *GRIDS[d].shape), 3)
    features = phi(f)
    single = [phi(x) for x in f.reshape(-1, *GRIDS[d].shape)]
    for n, layer in enumerate(features):
        assert layer.values.shape == (*batch, len(layer.paths), *layer.grid.shape)
        assert features.remainder[n].shape == features.pruned.shape == batch
        for k, one in enumerate(single):
            found = layer.values.reshape(-1, *layer.values.shape[len(batch) :])[k]
            assert torch.allclose(found, one.layers[n].values, rtol=0, atol=1e-14)


@pytest.mark.parametrize("engine", ["exact", "fast"])
def test_an_empty_batch_has_an_empty_gradient(engine):
    """A loop over batches of any size may call `backward` on each."""
    f = torch.zeros(0, 48, dtype=torch.float64, requires_grad=True)
    made().rebuilt(engine=engine)(f).flatten().sum().backward()
    assert f.grad.shape == (0, 48)


def test_any_layout_in_memory_gives_the_same():
    f = draw((6, 48), 4)
    expected, before = vector(made()(f)), f.clone()
    wide, array = torch.zeros(6, 96, dtype=torch.float64), f.numpy()
    wide[:, ::2] = f
    frozen = array.copy()
    frozen.setflags(write=False)
    layouts = [f.T.contiguous().T, wide[:, ::2], f.flip(0).flip(0), f.requires_grad_().detach(), array, frozen]
    layouts += [np.asfortranarray(array), np.ascontiguousarray(array[::-1])[::-1], array.astype(">f8")]
    for layout in layouts:
        assert torch.allclose(vector(made()(layout)), expected, rtol=0, atol=1e-13)
    assert torch.allclose(vector(made()(f[:1].expand(6, 48)))[3], expected[0], rtol=0, atol=1e-13)
    assert torch.equal(f, before)


def test_lower_precision_is_raised_without_loss():
    f = draw((3, 48), 5, torch.float32)
    assert torch.equal(vector(made()(f)), vector(made()(f.double())))


def test_input_is_never_modified_or_returned():
    phi = made([st.Layer(st.frames.Wavelets(J=1), st.Identity())], st.Grid.line(8), oversampling=100.0)
    f = draw((2, 8), 6)
    before = f.clone()
    for layer in phi(f):
        layer.values.zero_()
    assert torch.equal(f, before)


# --- size of the numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float64, 1e-30), (torch.float64, 1e30), (torch.float32, 1e-15), (torch.float32, 1e15)]
)
def test_homogeneous_networks_scale(dtype, size, d, kernels):
    """Features like the signal, energies like its square; nothing overflows on the way, and nothing vanishes."""
    phi, f = made(grid=GRIDS[d], dtype=dtype), draw((9, *GRIDS[d].shape), 7, dtype)
    with nullcontext() if kernels else without_kernels():
        one, other = phi(f), phi(f * size)
    digits = 1e-6 if dtype == torch.float32 else 1e-14
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a.values, b.values / size, rtol=0, atol=digits * float(a.values.abs().max()))
    for a, b in zip(one.remainder, other.remainder, strict=True):
        assert torch.allclose(a, b / size**2, rtol=4 * digits, atol=0)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_zero_signal(d):
    layers = [st.Layer(st.frames.Wavelets(J=1), st.Modulus(), st.Subsample(2)), st.Layer(st.frames.Wavelets(J=1))]
    phi, f = made(layers, GRIDS[d], dtype=None), torch.zeros(9, *GRIDS[d].shape, requires_grad=True)
    features = phi(f)
    assert not features.flatten().any() and not any(r.any() for r in features.remainder)
    (gradient,) = torch.autograd.grad(features.flatten().square().sum() + features.layers[0].values.sum(), f)
    assert bool(torch.isfinite(gradient).all())


# --- copies and precisions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("d", [1, 2])
def test_pickling_and_copies(d, used):
    """Before the first pass and after it, when tensors and compiled tables exist."""
    phi, f = (
        made([LAYERS[0], st.Layer(st.frames.TensorWavelets(J=1), st.Tanh())], GRIDS[d]),
        draw((9, *GRIDS[d].shape), 8),
    )
    if used:
        phi(f)
        with without_kernels():
            phi(f)
    for again in (pickle.loads(pickle.dumps(phi)), copy.deepcopy(phi), phi.rebuilt()):
        assert torch.equal(vector(again(f)), vector(phi(f)))
        assert again.engine == "fast" and str(again.plan(2)) == str(phi.plan(2))
    features = phi(f)
    assert torch.equal(vector(pickle.loads(pickle.dumps(features))), vector(features))


def test_nothing_to_save():
    assert made().state_dict() == {}
    made().load_state_dict({})
    assert list(made().parameters()) == []


def test_a_single_precision_extractor_made_double():
    """Computes in float64 with the atoms of its plan; what the plan has left out stays left out."""
    f = draw((9, 48), 9)
    single = made(dtype=torch.float32).to(torch.float64)
    assert single.dtype == torch.float64
    features, expected = single(f), made()(f)
    assert features.layers[2].values.dtype == torch.float64
    assert float((features.distance(expected) / expected.norm()).max()) <= 1e-6
    half = made().to(torch.float32)
    assert half(f.float()).layers[1].values.dtype == torch.float32
    assert float((half(f.float()).distance(expected) / expected.norm()).max()) <= 1e-5
    with pytest.raises(TypeError, match="would lose digits"):
        half(f)
    with pytest.raises(TypeError, match=r"atoms are in torch.float16"):
        made().half()(f)


def test_rebuilt_keeps_the_engine():
    phi = made(oversampling=1.5, dtype=torch.float32)
    again = phi.rebuilt(sampling="decimate")
    assert (again.engine, again.oversampling, again.dtype) == ("fast", 1.5, torch.float32)
    assert phi.rebuilt(engine="exact").error().total == 0


@pytest.mark.parametrize("complex_input", [False, True])
def test_walk_and_propagate_use_the_full_grid(complex_input):
    phi = made(complex_input=complex_input)
    exact, f = phi.rebuilt(engine="exact"), draw((2, 48), 10, phi.signal_dtype)
    for a, b in zip(phi.walk(f), exact.walk(f), strict=True):
        assert a.path == b.path and a.grid == b.grid
        assert torch.equal(a.U, b.U) and torch.equal(a.S, b.S)
    assert torch.equal(phi.propagate(f, (1, 2)), exact.propagate(f, (1, 2)))


# --- derivatives -----------------------------------------------------------------------------------------------------


def test_grad_mode_changes_no_value():
    phi, f = made(), draw((9, 48), 11)
    with torch.no_grad():
        expected = vector(phi(f))
    with torch.inference_mode():
        assert torch.equal(vector(phi(f)).clone(), expected)
    assert torch.equal(vector(phi(f)), expected) and not phi(f).flatten().requires_grad
    assert torch.allclose(vector(phi(f.requires_grad_())), expected, rtol=0, atol=1e-13)
    assert phi(f).flatten().requires_grad
    with torch.no_grad():
        assert not phi(f).flatten().requires_grad


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("rho", [st.Modulus(), st.Tanh()], ids=repr)
def test_gradients_after_a_pass_in_inference_mode(rho, kernels):
    """Tables made in inference mode serve later passes too."""
    layers, f = [st.Layer(st.frames.Wavelets(J=2), rho, st.Subsample(2))] * 2, draw((9, 48), 11)
    with nullcontext() if kernels else without_kernels():
        fresh, used = made(layers), made(layers)
        with torch.inference_mode():
            used(f)
        f.requires_grad_()
        results = [torch.autograd.grad(phi(f).flatten().abs().sum(), f)[0] for phi in (fresh, used)]
    assert torch.equal(*results)


@pytest.mark.parametrize("rho", [st.Modulus(), st.Tanh(), st.PhaseReLU(0.01)], ids=repr)
@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("d", [1, 2])
def test_first_derivatives_by_differences(d, batch, rho):
    grid = {1: st.Grid.line(12), 2: st.Grid.of((4, 6))}[d]
    phi = made([st.Layer(st.frames.Wavelets(J=1), rho, st.Subsample(2)), st.Layer(st.frames.Wavelets(J=1), rho)], grid)
    f = draw((batch, *grid.shape), 12).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: [layer.values for layer in phi(x)], (f,), fast_mode=True)


def second(phi, f, backward):
    """Gradient of the squared norm of the gradient of the sum of squares of all features."""
    f = f.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(phi(f).flatten().square().sum(), f, create_graph=True)
    if backward:
        gradient.square().sum().backward()
        return f.grad
    return torch.autograd.grad(gradient.square().sum(), f)[0]


@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("d", [1, 2])
def test_second_derivatives(d, batch, backward):
    """Through torch operations, both by `backward` and by `torch.autograd.grad`, which asks for less of the graph."""
    phi, f = made(grid=GRIDS[d]), draw((batch, *GRIDS[d].shape), 13)
    with without_kernels():
        expected = second(phi, f, backward)
    assert bool(torch.isfinite(expected).all()) and bool(expected.any())
    assert torch.allclose(second(phi, f, backward), expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


def test_second_derivatives_by_differences():
    phi = made([st.Layer(st.frames.Wavelets(J=1))], st.Grid.line(8))
    f = draw((2, 8), 14).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: phi(x).layers[1].values, (f,), fast_mode=True)


@pytest.mark.parametrize(
    "layers", [LAYERS, [st.Layer(st.frames.Wavelets(J=2), st.Tanh(), st.Average(2))] * 2], ids=["A", "B"]
)
def test_transformations_of_functions(layers):
    """`torch.func` sees torch operations only: values as without it, derivatives as by autograd."""
    phi, f, v = made(layers), draw((9, 48), 15), draw((9, 48), 16)

    def signal(x):
        return torch.view_as_real(vector(phi(x, check_finite=False)) + 0j).flatten(-2)

    expected = signal(f)
    bound = 1e-12 * float(expected.abs().max())
    assert torch.allclose(torch.func.vmap(signal)(f), expected, rtol=0, atol=bound)
    assert torch.allclose(
        torch.func.vmap(signal, in_dims=1, out_dims=1)(f.T.contiguous()), expected.T, rtol=0, atol=bound
    )
    assert torch.allclose(
        torch.func.vmap(torch.func.vmap(signal))(f.reshape(3, 3, 48)).flatten(0, 1), expected, rtol=0, atol=bound
    )

    step = 1e-6
    slope = (signal(f + step * v) - signal(f - step * v)) / (2 * step)
    tolerance = 1e-6 * float(slope.abs().max())
    value, derivative = torch.func.jvp(signal, (f,), (v,))
    assert torch.allclose(value, expected, rtol=0, atol=bound)
    assert torch.allclose(derivative, slope, rtol=0, atol=tolerance)
    with forward_ad.dual_level():
        value, derivative = forward_ad.unpack_dual(signal(forward_ad.make_dual(f, v)))
    assert torch.allclose(value, expected, rtol=0, atol=bound)
    assert torch.allclose(derivative, slope, rtol=0, atol=tolerance)

    weights = draw(expected.shape, 17)
    by_hand = torch.autograd.grad((signal(f.requires_grad_()) * weights).sum(), f)[0]
    f = f.detach()
    with without_kernels():
        by_torch = torch.autograd.grad((signal(f.requires_grad_()) * weights).sum(), f)[0]
    f = f.detach()
    scale = 1e-11 * float(by_torch.abs().max())
    for found in (
        torch.func.grad(lambda x: (signal(x) * weights).sum())(f),
        torch.func.vjp(signal, f)[1](weights)[0],
        torch.func.vmap(torch.func.grad(lambda x, w: (signal(x) * w).sum()))(f, weights),
    ):
        assert torch.allclose(found, by_torch, rtol=0, atol=scale)
    assert torch.allclose(by_hand, by_torch, rtol=0, atol=scale), "energies are differentiable by kernels too"


def test_jacobians_and_hessians():
    phi = made([st.Layer(st.frames.Wavelets(J=1))], st.Grid.line(8))
    f = draw((8,), 18)
    function = lambda x: phi(x).flatten()  # noqa: E731
    jacobian = torch.func.jacrev(function)(f)
    assert torch.allclose(torch.func.jacfwd(function)(f), jacobian, rtol=0, atol=1e-12)
    assert torch.allclose(torch.autograd.functional.jacobian(function, f), jacobian, rtol=0, atol=1e-12)
    energy = lambda x: phi(x).flatten().square().sum()  # noqa: E731
    hessian = torch.func.hessian(energy)(f)
    assert torch.allclose(hessian, hessian.T, rtol=0, atol=1e-12)
    assert torch.allclose(torch.autograd.functional.hessian(energy, f), hessian, rtol=0, atol=1e-11)
