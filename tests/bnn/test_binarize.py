"""The operator: values, gradients, dtypes and layouts, transforms, compilation, a pretended GPU, and refusals."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from bnn.test_estimators import EXAMPLES, POINTWISE, each, tensor
from fake_cuda import CUDA
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from scatter_theory import bnn
from scatter_theory.bnn import BiPer, ClippedSTE, IdentitySTE, ReCU, ReSTE, binarize, sign

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
RESTE = ReSTE(3.0)
NAN, INF = math.nan, math.inf


def values(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def gradient(z, estimator, upstream=None, **options):
    """Gradient of the operator; upstream gradient 1 unless given."""
    z = z.detach().requires_grad_()
    out = binarize(z, estimator, **options)
    return torch.autograd.grad(out, z, torch.ones_like(out) if upstream is None else upstream)[0]


@dataclass(frozen=True)
class Cautious(bnn.Estimator):
    """Depends on the upstream gradient: what would grow a latent value beyond 1 is dropped."""

    limit: float = 1.0
    elementwise: ClassVar[bool] = False
    monotone: ClassVar[bool] = True

    def surrogate(self, z):
        return z

    def multiplier(self, z):
        return torch.ones_like(z)

    def gradient(self, z, upstream):
        grows = (z.abs() > self.limit) & (upstream * z < 0)
        return torch.where(grows, 0.0, upstream)

    @classmethod
    def example(cls):
        return [cls()]


# --- the sign --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign_zero", [1, 0, -1])
def test_sign_of_special_values(dtype, sign_zero):
    tiny = torch.finfo(dtype).smallest_normal / 2
    huge = torch.finfo(dtype).max
    z = torch.tensor([-INF, -huge, -tiny, -0.0, 0.0, tiny, huge, INF, NAN], dtype=dtype)
    expected = torch.tensor([-1, -1, -1, sign_zero, sign_zero, 1, 1, 1, NAN], dtype=dtype)
    torch.testing.assert_close(sign(z, sign_zero), expected, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(binarize(z, RESTE, sign_zero=sign_zero), expected, rtol=0, atol=0, equal_nan=True)


def test_biper_has_its_own_binary_values():
    z = tensor(-0.5, -0.1, 0.0, 0.1, 0.2, INF, NAN)
    out = binarize(z, BiPer(20.0), sign_zero=-1)
    assert out[:5].tolist() == [math.copysign(1, math.sin(20 * v)) if v else -1.0 for v in z[:5].tolist()]
    assert out[5:].isnan().all()
    half = values(1000, dtype=torch.float16)
    assert torch.equal(binarize(half, BiPer(30.0)), torch.sin(30 * half.float()).sign().half())


# --- the gradient ----------------------------------------------------------------------------------------------------


def released(z, upstream, o, t, m):
    """The released backward of ReSTE, four masked assignments, written out anew."""
    slope = torch.zeros_like(z)
    right, left = (z > m) & (z <= t), (z < -m) & (z >= -t)
    slope[right] = (1 / o) * torch.pow(z[right], (1 - o) / o)
    slope[left] = (1 / o) * torch.pow(-z[left], (1 - o) / o)
    slope[(z >= 0) & (z <= m)] = math.pow(m, 1 / o) / m
    slope[(z <= 0) & (z >= -m)] = math.pow(m, 1 / o) / m
    return slope * upstream


@pytest.mark.parametrize("o", [1.0, 1.5857864376269049, 2.0, 3.0, 10.0])
def test_gradient_equals_the_released_one_bitwise_in_float64(o):
    z = torch.cat([values(5000), tensor(-1.5, 1.5, -0.1, 0.1, 0.0, -0.0, 1e-300, 1e20, INF, -INF)])
    upstream = values(z.numel(), seed=1)
    found = gradient(z, ReSTE(o), upstream)
    expected = released(z, upstream, torch.tensor(o, dtype=torch.float64), 1.5, 0.1)
    # torch has a square root of its own for the exponent -1/2, right to the last digit where its power is not.
    torch.testing.assert_close(found, expected, rtol=4.5e-16 if o == 2 else 0, atol=0)


def test_gradient_equals_the_released_one_in_float32():
    """Its gathered values go through other lanes of the vectorised power: one unit in the last place at most."""
    z, upstream = values(5000, dtype=torch.float32), values(5000, seed=1, dtype=torch.float32)
    expected = released(z, upstream, torch.tensor(3.0), 1.5, 0.1)
    torch.testing.assert_close(gradient(z, RESTE, upstream), expected, rtol=2.4e-7, atol=0)


def test_power_1_equals_the_identity_clipped_at_the_outer_threshold():
    z, upstream = values(4000, dtype=torch.float32), values(4000, seed=1, dtype=torch.float32)
    assert torch.equal(gradient(z, ReSTE(1.0), upstream), gradient(z, ClippedSTE(1.5), upstream))
    assert torch.equal(gradient(z, ReSTE(1.0), upstream), torch.where(z.abs() <= 1.5, upstream, 0))


@each(EXAMPLES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_is_upstream_times_multiplier(estimator, dtype):
    z, upstream = values(3, 50, dtype=dtype), values(3, 50, seed=1, dtype=dtype)
    found = gradient(z, estimator, upstream)
    assert found.dtype == dtype
    assert torch.equal(found, upstream * estimator.multiplier(z))


@each([e for e in POINTWISE if not isinstance(e, ReSTE) or e.convention == "antiderivative"])
def test_gradient_is_the_difference_quotient_of_the_declared_surrogate(estimator):
    z = values(400)
    for kink in estimator.kinks:
        z = z[(z.abs() - kink).abs() > 1e-5]
    h = 1e-6
    quotient = (estimator.surrogate(z + h) - estimator.surrogate(z - h)) / (2 * h)
    torch.testing.assert_close(gradient(z, estimator), quotient, rtol=1e-5, atol=1e-6)


@given(st.floats(0.01, 100.0), st.integers(0, 10))
def test_variance_scales_with_the_square_of_the_loss(c, seed):
    z, upstream = values(500, seed=seed), values(500, seed=seed + 100)
    one, scaled = gradient(z, RESTE, upstream).abs(), gradient(z, RESTE, c * upstream).abs()
    assert float(scaled.var()) == pytest.approx(c**2 * float(one.var()), rel=1e-12)
    assert float(scaled.var() / scaled.mean() ** 2) == pytest.approx(float(one.var() / one.mean() ** 2), rel=1e-12)


def test_chain_rule_through_a_scaling_factor():
    """alpha sign(w) with alpha = mean|w|, detached and not."""
    w, upstream = values(4, 6), values(4, 6, seed=1)
    for detached in (True, False):
        x = w.clone().requires_grad_()
        alpha = x.abs().mean()
        (binarize(x, RESTE) * (alpha.detach() if detached else alpha) * upstream).sum().backward()
        expected = upstream * w.abs().mean() * RESTE.multiplier(w)
        if not detached:
            expected = expected + (upstream * w.sign()).sum() / w.numel() * w.sign()
        torch.testing.assert_close(x.grad, expected)


def test_accumulated_gradients():
    z = values(8, 5)
    x = z.clone().requires_grad_()
    for rows in x.split(2):
        (binarize(rows, RESTE).sum() / 4).backward()
    torch.testing.assert_close(x.grad, gradient(z, RESTE) / 4)


# --- degenerate values -----------------------------------------------------------------------------------------------


@each(POINTWISE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_nan_from_any_number(estimator, dtype):
    finfo = torch.finfo(dtype)
    special = [0.0, finfo.smallest_normal / 2, finfo.tiny, 1e-8, 0.1, 1.0, 1.5, finfo.max, INF]
    special += [1e20, 1e38] if dtype in (torch.bfloat16, torch.float32, torch.float64) else []
    z = torch.tensor(special, dtype=dtype)
    for sided in (z, -z):
        assert gradient(sided, estimator).isfinite().all()
        small = sided[(30 * sided.float()).isfinite()] if isinstance(estimator, BiPer) else sided
        assert binarize(small, estimator).abs().eq(1).all()
    assert gradient(torch.tensor([INF, -INF], dtype=dtype), estimator).eq(0).all() or estimator == IdentitySTE()


@each(EXAMPLES)
def test_nan_is_never_a_level(estimator):
    z = tensor(0.5, NAN, -0.5)
    out = binarize(z, estimator)
    assert out.isnan().tolist() == [False, True, False]
    found = gradient(z, estimator).isnan().tolist()
    if estimator == IdentitySTE():
        assert found == [False] * 3
    else:
        assert found == ([False, True, False] if estimator.pointwise else [True] * 3)
    assert estimator.surrogate(z)[1].isnan()


def test_infinity_reaches_each_convention_as_defined():
    z = tensor(INF, -INF)
    assert RESTE.surrogate(z).tolist() == [INF, -INF]
    assert replace(RESTE, convention="figure").surrogate(z).tolist() == [1.0, -1.0]
    limit = 1.5 ** (1 / 3)
    assert replace(RESTE, convention="antiderivative").surrogate(z).tolist() == pytest.approx([limit, -limit])


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (), (1,)])
def test_empty_and_single(shape):
    z = torch.full(shape, 0.05)
    for estimator in EXAMPLES:
        assert binarize(z, estimator).shape == gradient(z, estimator).shape == shape
    assert gradient(z, RESTE).numel() == 0 or float(gradient(z, RESTE).sum()) == pytest.approx(RESTE.secant)


def test_all_zeros():
    z = torch.zeros(5)
    assert gradient(z, RESTE).tolist() == pytest.approx([RESTE.secant] * 5)
    for sign_zero in (1, 0, -1):
        assert binarize(-z, RESTE, sign_zero=sign_zero).tolist() == [sign_zero] * 5
        assert torch.equal(gradient(-z, RESTE, sign_zero=sign_zero), gradient(z, RESTE))


def test_narrow_types_compare_and_raise_to_powers_in_float32():
    """0.1 is rounded up in bfloat16, to a value beyond the inner threshold, and down in float16."""
    slope = 0.10009765625 ** (-2 / 3) / 3
    assert gradient(torch.tensor([0.1], dtype=torch.bfloat16), RESTE).item() == torch.tensor(slope).bfloat16().item()
    assert gradient(torch.tensor([0.1], dtype=torch.float16), RESTE).item() == 4.640625
    assert gradient(torch.tensor([0.05], dtype=torch.bfloat16), RESTE).item() == 4.65625
    assert gradient(torch.tensor([1.5, -1.5], dtype=torch.float16), RESTE).tolist() == pytest.approx(
        [0.25438] * 2, 1e-3
    )
    with pytest.warns(UserWarning, match="infinite variance"):
        raw = ReSTE(10.0, m=0.0)
    smallest = torch.tensor([6e-8], dtype=torch.float16)
    assert gradient(smallest, raw).isinf().all() and gradient(smallest, ReSTE(10.0)).isfinite().all()


# --- layouts ---------------------------------------------------------------------------------------------------------


@each([RESTE, IdentitySTE(), BiPer(20.0), Cautious()])
def test_memory_format_is_kept(estimator):
    z = values(2, 3, 4, 5).to(memory_format=torch.channels_last)
    for out in (binarize(z, estimator), gradient(z, estimator)):
        assert out.is_contiguous(memory_format=torch.channels_last)


@each([RESTE, IdentitySTE()])
@pytest.mark.parametrize("view", [lambda z: z.mT, lambda z: z[:, ::2], lambda z: z[1:2].expand(4, -1), lambda z: z[:0]])
def test_views(estimator, view):
    z = view(values(6, 8))
    assert torch.equal(binarize(z, estimator), binarize(z.contiguous(), estimator))
    assert torch.equal(gradient(z, estimator), gradient(z.contiguous(), estimator))


def test_scalar_upstream_of_a_sum_is_expanded():
    z = values(3, 4).requires_grad_()
    binarize(z, RESTE).sum().backward()
    assert torch.equal(z.grad, RESTE.multiplier(z.detach()))


# --- observers and estimators of one's own ---------------------------------------------------------------------------


@each([RESTE, BiPer(20.0), ReCU(0.85), Cautious()])
def test_observer_sees_the_backward_pass_and_changes_nothing(estimator):
    z, upstream, seen = values(4, 5), values(4, 5, seed=1), []

    def observer(*tensors):
        seen.append((tensors, torch.is_grad_enabled()))

    found = gradient(z, estimator, upstream, observer=observer)
    assert torch.equal(found, gradient(z, estimator, upstream))
    assert torch.equal(binarize(z, estimator, observer=observer), binarize(z, estimator))
    (((seen_z, seen_upstream, seen_gradient), grad_enabled),) = seen
    assert not grad_enabled and not any(t.requires_grad for t in seen[0][0])
    assert torch.equal(seen_z, z) and torch.equal(seen_upstream, upstream) and torch.equal(seen_gradient, found)


def test_an_estimator_may_depend_on_the_upstream_gradient():
    z, upstream = tensor(2.0, 2.0, -2.0, 0.5), tensor(1.0, -1.0, 1.0, -1.0)
    assert gradient(z, Cautious(), upstream).tolist() == [1.0, 0.0, 0.0, -1.0]


def test_a_class_with_a_known_name_is_not_taken_for_the_known_one():
    @dataclass(frozen=True)
    class ReSTE(bnn.ReSTE):
        def multiplier(self, z):
            return torch.full_like(z, 7.0)

    assert gradient(tensor(0.3), ReSTE()).tolist() == [7.0]


# --- transforms ------------------------------------------------------------------------------------------------------


@each([RESTE, BiPer(20.0), ReCU(0.85), Cautious()])
def test_functional_transforms(estimator):
    z = values(4, 3, 2)
    rows = torch.stack([gradient(row, estimator) for row in z])

    def total(x):
        return binarize(x, estimator).sum()

    vmap = torch.func.vmap
    assert torch.equal(vmap(lambda x: binarize(x, estimator), in_dims=1, out_dims=1)(z), binarize(z, estimator))
    assert torch.equal(torch.func.grad(total)(z[0]), rows[0])
    assert torch.equal(vmap(torch.func.grad(total))(z), rows)
    assert torch.equal(torch.func.grad(lambda x: vmap(total)(x).sum())(z), rows)
    jacobian = torch.func.jacrev(lambda x: binarize(x, estimator))(z[0, :, 0])
    expected = [gradient(z[0, :, 0], estimator, e) for e in torch.eye(3, dtype=torch.float64)]
    assert torch.equal(jacobian, torch.stack(expected))


@each([RESTE, Cautious()])
def test_second_derivatives_are_refused(estimator):
    z, upstream = values(5).requires_grad_(), values(5, seed=1).requires_grad_()
    (first,) = torch.autograd.grad(binarize(z, estimator), z, upstream, create_graph=True)
    for wrt in (z, upstream):
        with pytest.raises(RuntimeError, match="`binarize`: differentiated twice"):
            torch.autograd.grad(first.sum(), wrt, retain_graph=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_is_refused():
    with pytest.raises(NotImplementedError, match="jvp"):
        torch.func.jvp(lambda x: binarize(x, RESTE), (values(3),), (values(3),))


def test_no_grad_and_inference_mode():
    z = values(5).requires_grad_()
    with torch.no_grad():
        assert not binarize(z, RESTE).requires_grad
    with torch.inference_mode():
        assert torch.equal(binarize(z, RESTE), z.sign())
    assert not binarize(z.detach(), RESTE).requires_grad


def test_autocast_leaves_the_type_alone():
    z = values(2, 4, dtype=torch.float32).requires_grad_()
    weight = values(3, 4, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = binarize(z, RESTE)
        assert out.dtype == torch.float32
        product = torch.nn.functional.linear(out, weight)
        assert product.dtype == torch.bfloat16
        product.sum().backward()
    assert z.grad.dtype == torch.float32 and z.grad.isfinite().all()


# --- registration and compilation ------------------------------------------------------------------------------------


@each([RESTE, IdentitySTE()])
def test_registered_operators(estimator):
    z = values(3, 4, dtype=torch.float32).requires_grad_()
    name, numbers = type(estimator).__name__, estimator._packed
    operators = torch.ops.scatter_theory
    torch.library.opcheck(operators.binarize.default, (z, numbers, name, 1))
    upstream = torch.ones(3, 4)
    torch.library.opcheck(operators.binarize_backward.default, (z.detach(), upstream, numbers, name))
    (found,) = torch.autograd.grad(operators.binarize(z, numbers, name, 1).sum(), z)
    assert torch.equal(found, gradient(z, estimator))
    (first,) = torch.autograd.grad(operators.binarize(z, numbers, name, 1).sum(), z, create_graph=True)
    with pytest.raises(RuntimeError, match="`binarize`: differentiated twice"):
        first.sum().backward()


@each([RESTE, IdentitySTE(), ReCU(0.85)])
def test_registered_operators_under_vmap(estimator):
    z, upstream = values(4, 3), values(4, 3, seed=1)
    name, numbers, operators = type(estimator).__name__, estimator._packed, torch.ops.scatter_theory
    out = torch.func.vmap(operators.binarize, in_dims=(0, None, None, None))(z, numbers, name, 1)
    assert torch.equal(out, binarize(z, estimator))
    backward = torch.func.vmap(operators.binarize_backward, in_dims=(0, 0, None, None))
    rows = torch.stack([gradient(row, estimator, u) for row, u in zip(z, upstream, strict=True)])
    assert torch.equal(backward(z, upstream, numbers, name), rows)
    one_z = torch.func.vmap(operators.binarize_backward, in_dims=(None, 0, None, None))(z[0], upstream, numbers, name)
    assert torch.equal(one_z, torch.stack([gradient(z[0], estimator, u) for u in upstream]))


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Layer(torch.nn.Module):
    """A model around the operator, whose estimator a schedule may replace."""

    def __init__(self, estimator):
        super().__init__()
        self.estimator = estimator

    def forward(self, z):
        return 3 * binarize(2 * z, self.estimator)


# torch itself makes an instance of the autograd function of an estimator of one's own, and warns of that.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@each([RESTE, IdentitySTE(), BiPer(20.0), ReCU(0.85), Cautious()])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_without_graph_break(estimator, backend, fresh_compiler):
    z = values(4, 5)
    layer = Layer(estimator)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    pairs = []
    for run in (layer, compiled):
        x = z.clone().requires_grad_()
        out = run(x)
        out.square().sum().backward()
        pairs.append((out.detach(), x.grad))
    assert torch.equal(pairs[0][0], pairs[1][0]) and torch.equal(pairs[0][1], pairs[1][1])


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_schedule_compiles_nothing_anew(backend, fresh_compiler):
    counter = CompileCounterWithBackend(backend)
    layer = Layer(RESTE)
    compiled = torch.compile(layer, fullgraph=True, backend=counter)
    z = values(30)
    for step in range(12):
        layer.estimator = RESTE.at(step / 11)
        x = z.clone().requires_grad_()
        compiled(x).sum().backward()
        assert torch.equal(x.grad, 6 * layer.estimator.multiplier(2 * z))
    assert counter.frame_count == 1


def test_an_estimator_made_in_compiled_code(fresh_compiler):
    compiled = torch.compile(lambda z: binarize(z, ReSTE(2.0)), fullgraph=True, backend="aot_eager")
    z = values(10).requires_grad_()
    compiled(z).sum().backward()
    assert torch.equal(z.grad, ReSTE(2.0).multiplier(z.detach()))


def test_observers_are_refused_in_compiled_code(fresh_compiler):
    compiled = torch.compile(lambda z: binarize(z, RESTE, observer=print), fullgraph=True, backend="eager")
    with pytest.raises(Exception, match="cannot be called from compiled code"):
        compiled(values(3))


# --- a pretended GPU -------------------------------------------------------------------------------------------------


@each([*EXAMPLES, Cautious()])
def test_nothing_is_needed_from_the_host(estimator):
    with FakeTensorMode() as mode:
        for dtype in DTYPES:
            z = FakeTensor(mode, torch.empty(2, 3, 4, 5, device="meta", dtype=dtype), CUDA)
            found = [binarize(z, estimator, sign_zero=s) for s in (1, 0, -1)]
            found += [estimator.surrogate(z), estimator.multiplier(z), estimator.gradient(z, z)]
            if type(estimator).__name__ in bnn.ESTIMATORS:
                numbers, name = torch.zeros(3, dtype=torch.float64), type(estimator).__name__
                found.append(torch.ops.scatter_theory.binarize(z, numbers, name, 1))
                found.append(torch.ops.scatter_theory.binarize_backward(z, z, numbers, name))
            assert all(t.device == CUDA and t.dtype == dtype and t.shape == z.shape for t in found)


@each([*EXAMPLES, Cautious()])
def test_shapes_alone_suffice(estimator):
    z = torch.empty(2, 3, device="meta", requires_grad=True)
    binarize(z, estimator).sum().backward()
    binarize(z, estimator, observer=lambda *tensors: None).sum().backward()
    assert z.grad.device.type == "meta" and z.grad.shape == (2, 3)


@pytest.mark.gpu
@each(EXAMPLES)
def test_a_gpu_gives_the_same(estimator):
    z, upstream = values(1000, dtype=torch.float32), values(1000, seed=1, dtype=torch.float32)
    assert torch.equal(binarize(z.cuda(), estimator).cpu(), binarize(z, estimator))
    found = gradient(z.cuda(), estimator, upstream.cuda()).cpu()
    torch.testing.assert_close(found, gradient(z, estimator, upstream), rtol=1e-4, atol=1e-5)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_other_types_of_tensor_are_refused(dtype):
    with pytest.raises(TypeError, match=rf"`binarize\(z=...\)`: got a tensor of {dtype}, expected float16, bfloat16"):
        binarize(torch.ones(3, dtype=dtype), RESTE)


def test_other_arguments_are_refused():
    z = torch.ones(3)
    with pytest.raises(TypeError, match=r"`binarize\(z=...\)`: got list, expected a tensor"):
        binarize([1.0], RESTE)
    with pytest.raises(TypeError, match=r"`binarize\(estimator=...\)`: got .*expected an `Estimator` instance"):
        binarize(z, ReSTE)
    for bad in (2, 0.5, None, True):
        with pytest.raises(ValueError, match=r"`binarize\(sign_zero=...\)`: got .*expected 1, 0 or -1"):
            binarize(z, RESTE, sign_zero=bad)
    with pytest.raises(ValueError, match=r"`sign\(sign_zero=...\)`"):
        sign(z, 2)
    with pytest.raises(TypeError, match=r"`binarize\(observer=...\)`: got 3, expected a callable"):
        binarize(z, RESTE, observer=3)
