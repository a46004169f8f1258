"""`Binarizer`, its scaling factors, and layers that are made binarised."""

import io

import pytest
import torch
from fake_cuda import CUDA, on_fake_cuda
from torch import nn
from torch.nn import functional as F

from scatter_theory import bnn

ESTIMATOR = bnn.ReSTE(o=3)


def latents(shape, seed=0):
    """Latent values of both signs with moduli in (0.2, 1.4), between the thresholds of ReSTE where f is smooth."""
    generator = torch.Generator().manual_seed(seed)
    u = 0.2 + 1.2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    return torch.where(torch.rand(shape, generator=generator) < 0.5, -u, u)


#: name -> (layer, shape of its input, functional form).
LAYERS = {
    "linear": (lambda **k: bnn.BinaryLinear(6, 4, **k), (3, 6), lambda l, a, w: F.linear(a, w, l.bias)),
    "conv1d": (
        lambda **k: bnn.BinaryConv1d(4, 6, 3, 2, 1, groups=2, **k),
        (3, 4, 9),
        lambda l, a, w: F.conv1d(a, w, l.bias, 2, 1, groups=2),
    ),
    "conv2d": (
        lambda **k: bnn.BinaryConv2d(4, 6, 3, padding=1, padding_mode="circular", **k),
        (3, 4, 5, 5),
        lambda l, a, w: F.conv2d(F.pad(a, (1, 1, 1, 1), mode="circular"), w, l.bias),
    ),
}


def alpha_by_hand(W, scaling):
    """Mean modulus, entry by entry."""
    if scaling is None:
        return torch.ones((), dtype=W.dtype)
    rows = [[abs(v) for v in row] for row in W.detach().flatten(1).tolist()]
    if scaling == "layer":
        return torch.tensor(sum(map(sum, rows)) / W.numel(), dtype=W.dtype)
    return torch.tensor([sum(row) / len(row) for row in rows], dtype=W.dtype).reshape(-1, *[1] * (W.ndim - 1))


@pytest.mark.parametrize("scaling", [None, "layer", "channel"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_formula(name, scaling):
    build, shape, form = LAYERS[name]
    layer = build(estimator=ESTIMATOR, scaling=scaling, dtype=torch.float64)
    assert list(bnn.binarizers(layer)) == ["weight", "input"]
    x = latents(shape)
    W = bnn.latent_weights(layer)["weight"].detach()
    signs = torch.where(W >= 0, 1.0, -1.0).double()
    torch.testing.assert_close(
        layer(x), form(layer, torch.sign(x), alpha_by_hand(W, scaling) * signs), rtol=1e-13, atol=0
    )
    plain = bnn.restore_model(layer)
    assert type(plain) in (nn.Linear, nn.Conv1d, nn.Conv2d)
    torch.testing.assert_close(plain(x), form(layer, x, W), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("scaling", ["layer", "channel"])
def test_the_gradient_through_the_factor_is_the_chain_rule(scaling, detach):
    W = latents((4, 3, 2)).requires_grad_()
    G = torch.randn(4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    binarizer = bnn.Binarizer(ESTIMATOR, "weight", scaling=scaling, detach_scaling=detach)
    (gradient,) = torch.autograd.grad(binarizer(W), W, G)
    # f'(w) = |w|^(-2/3) / 3 between the thresholds.
    expected = G * alpha_by_hand(W, scaling) * W.detach().abs() ** (-2 / 3) / 3
    if not detach:
        s = torch.sign(W.detach())
        whole = (G * s).sum() / 24 if scaling == "layer" else (G * s).sum(dim=(1, 2), keepdim=True) / 6
        expected = expected + whole * s
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("scaling", ["layer", "channel"])
def test_the_gradient_through_the_factor_is_that_of_a_smooth_function(scaling, detach):
    """With signs frozen in the factor's term and the factor frozen in the surrogate's, the function is smooth."""
    W0 = latents((4, 3, 2))
    signs, alpha0 = torch.sign(W0), alpha_by_hand(W0, scaling)

    def smooth(W):
        mean = W.abs().mean() if scaling == "layer" else W.abs().mean(dim=(1, 2), keepdim=True)
        surrogate = torch.sign(W0) * W.abs() ** (1 / 3)
        return alpha0 * surrogate + (0 if detach else mean * signs)

    W = W0.clone().requires_grad_()
    assert torch.autograd.gradcheck(smooth, W)
    binarizer = bnn.Binarizer(ESTIMATOR, "weight", scaling=scaling, detach_scaling=detach)
    smooth_jacobian = torch.autograd.functional.jacobian(smooth, W0)
    jacobian = torch.autograd.functional.jacobian(binarizer, W0)
    torch.testing.assert_close(jacobian, smooth_jacobian, rtol=1e-12, atol=1e-14)
    other = bnn.Binarizer(ESTIMATOR, "weight", scaling=scaling, detach_scaling=not detach)
    assert not torch.allclose(torch.autograd.functional.jacobian(other, W0), smooth_jacobian)


@pytest.mark.parametrize("scaling", ["layer", "channel"])
def test_the_factor_fits_the_latent_weight_best(scaling):
    W = latents((4, 3, 2))
    binarizer = bnn.Binarizer(ESTIMATOR, "weight", scaling=scaling)
    best = torch.linalg.vector_norm(W - binarizer(W))
    for c in (0.99, 1.01):
        assert torch.linalg.vector_norm(W - c * binarizer(W)) > best


@pytest.mark.parametrize("sign_zero", [1, 0, -1])
def test_the_sign_of_zero(sign_zero):
    z = torch.tensor([-2.0, -0.0, 0.0, 3.0])
    binarizer = bnn.Binarizer(ESTIMATOR, "activation", sign_zero=sign_zero)
    assert torch.equal(binarizer(z), torch.tensor([-1.0, sign_zero, sign_zero, 1.0]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"estimator": bnn.ReSTE}, TypeError, r"`Binarizer\(estimator=...\)`: got the class ReSTE"),
        ({"role": "bias"}, ValueError, r"`Binarizer\(role=...\)`: got 'bias'"),
        ({"sign_zero": True}, ValueError, r"`Binarizer\(sign_zero=...\)`: got True"),
        ({"scaling": "row"}, ValueError, r"`Binarizer\(scaling=...\)`: got 'row'"),
        ({"detach_scaling": True}, ValueError, "there is nothing to detach"),
        ({"role": "activation", "scaling": "layer"}, ValueError, "activations are not scaled"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        bnn.Binarizer(**{"estimator": ESTIMATOR, "role": "weight", **arguments})


def test_options_reach_the_binarizers():
    layer = bnn.BinaryConv2d(2, 3, 3, estimator=ESTIMATOR, activations=False, scaling="channel", detach_scaling=True)
    (b,) = bnn.binarizers(layer).values()
    assert (b.role, b.scaling, b.detach_scaling, b.sign_zero) == ("weight", "channel", True, 1)
    with pytest.raises(TypeError, match="scalling"):
        bnn.BinaryLinear(2, 2, estimator=ESTIMATOR, scalling=None)


def test_saved_state_is_plain_numbers_and_strings():
    layer = bnn.BinaryLinear(3, 2, estimator=ESTIMATOR)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert sorted(key for key, value in state.items() if isinstance(value, torch.Tensor)) == [
        "bias",
        "parametrizations.weight.original",
    ]


def test_assigning_to_a_binarised_weight_is_an_error():
    layer = bnn.BinaryLinear(3, 2, estimator=ESTIMATOR)
    with pytest.raises(RuntimeError, match="right_inverse"):
        layer.weight = torch.zeros(2, 3)
    with pytest.raises(KeyError, match="already exists"):
        layer.weight = nn.Parameter(torch.zeros(2, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision(dtype):
    layer = bnn.BinaryLinear(64, 4, estimator=ESTIMATOR).to(dtype)
    y = layer(torch.ones(2, 64, dtype=dtype))
    y.sum().backward()
    assert y.dtype == bnn.latent_weights(layer)["weight"].grad.dtype == dtype
    assert y.isfinite().all()


def test_autocast_reaches_the_layer():
    layer = bnn.BinaryConv2d(3, 4, 3, estimator=ESTIMATOR)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(torch.randn(2, 3, 5, 5))
    y.float().sum().backward()
    grad = bnn.latent_weights(layer)["weight"].grad
    assert (y.dtype, grad.dtype) == (torch.bfloat16, torch.float32)
    assert grad.abs().sum() > 0


# Torch's tracer makes an instance of every autograd function it meets, and warns of it.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_whole_it_gives_the_same(backend):
    torch.compiler.reset()
    layers = bnn.BinaryConv2d(3, 4, 3, estimator=ESTIMATOR), bnn.BinaryLinear(36, 2, estimator=ESTIMATOR)
    net = nn.Sequential(layers[0], nn.ReLU(inplace=True), nn.Flatten(), layers[1])
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    x = torch.randn(2, 3, 5, 5)
    results = []
    for form in (net, compiled):
        net.zero_grad()
        y = form(x)
        y.square().sum().backward()
        results.append((y.detach(), {key: w.grad.clone() for key, w in bnn.latent_weights(net).items()}))
    (y, g), (y_compiled, g_compiled) = results
    torch.testing.assert_close(y_compiled, y)
    torch.testing.assert_close(g_compiled, g)


@pytest.mark.parametrize("scaling", [None, "layer", "channel"])
def test_a_pretended_gpu_needs_nothing_from_the_host(scaling):
    layer = bnn.BinaryConv2d(3, 4, 3, estimator=ESTIMATOR, scaling=scaling)
    with on_fake_cuda(layer), torch.no_grad():
        y = layer(torch.empty(2, 3, 5, 5, device=CUDA))
        assert (y.device, y.shape) == (CUDA, (2, 4, 3, 3))


@pytest.mark.parametrize("scaling", [None, "layer", "channel"])
def test_the_backward_pass_needs_no_values(scaling):
    layer = bnn.BinaryLinear(3, 4, estimator=ESTIMATOR, scaling=scaling, device="meta")
    layer(torch.empty(2, 3, device="meta", requires_grad=True)).sum().backward()
    assert bnn.latent_weights(layer)["weight"].grad.shape == (4, 3)


@pytest.mark.gpu
def test_on_a_gpu_as_on_the_cpu():
    layer = bnn.BinaryConv2d(3, 4, 3, estimator=ESTIMATOR, dtype=torch.float64)
    x = latents((2, 3, 5, 5))
    y = layer(x)
    torch.testing.assert_close(layer.to("cuda")(x.to("cuda")).cpu(), y)
