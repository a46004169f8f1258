"""The reference networks."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scatter_theory import bnn


def conv(inputs, outputs, size):
    return inputs * outputs * size**2


def norm(channels):
    return 2 * channels


def resnet20_count(order, projection, channels=3, classes=10, w=16):
    """Parameters of ResNet-20, counted by hand."""
    body = conv(channels, w, 3) + norm(w)
    body += 6 * (conv(w, w, 3) + norm(w))
    body += conv(w, 2 * w, 3) + 5 * conv(2 * w, 2 * w, 3) + 6 * norm(2 * w)
    body += conv(2 * w, 4 * w, 3) + 5 * conv(4 * w, 4 * w, 3) + 6 * norm(4 * w)
    if projection == "conv":
        body += conv(w, 2 * w, 1) + norm(2 * w) + conv(2 * w, 4 * w, 1) + norm(4 * w)
    return body + 4 * w * classes + classes + (norm(4 * w) if order == "relu_bn" else 0)


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("bireal", [False, True])
@pytest.mark.parametrize("projection", ["pad", "conv"])
@pytest.mark.parametrize("order", ["relu_bn", "bn_relu"])
def test_resnet20_has_the_parameters_counted_by_hand(order, projection, bireal):
    net = bnn.models.resnet20(order=order, projection=projection, bireal=bireal)
    assert count(net) == resnet20_count(order, projection)
    small = bnn.models.resnet20(order=order, projection=projection, channels=1, classes=7, width=4)
    assert count(small) == resnet20_count(order, projection, 1, 7, 4)


def test_published_counts():
    """He et al. (2016) print 0.27 M for ResNet-20; the digits follow from the hand count."""
    assert resnet20_count("bn_relu", "pad") == 269_722
    assert resnet20_count("bn_relu", "conv") == 272_474


def test_resnet18_has_the_parameters_counted_by_hand():
    expected = conv(3, 64, 3) + norm(64) + 4 * (conv(64, 64, 3) + norm(64))
    for w in (128, 256, 512):
        expected += conv(w // 2, w, 3) + 3 * conv(w, w, 3) + 4 * norm(w) + conv(w // 2, w, 1) + norm(w)
    expected += 512 * 10 + 10
    with torch.device("meta"):
        assert count(bnn.models.resnet18(order="bn_relu")) == expected == 11_173_962
        assert count(bnn.models.resnet18()) == expected + norm(512)


def test_vgg_small_has_the_parameters_counted_by_hand():
    pairs = [(3, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    expected = sum(conv(i, o, 3) + norm(o) for i, o in pairs) + 512 * 16 * 10 + 10
    with torch.device("meta"):
        assert count(bnn.models.vgg_small()) == expected == 4_660_106
        assert bnn.models.vgg_small(size=28, width=4, channels=1, classes=5).linear.weight.shape == (5, 16 * 9)


def block_by_hand(block, x, order, bireal):
    """A block from its text: the order of operations and where the shortcuts start and end."""

    def unit(conv, bn, x):
        y = F.conv2d(x, conv.weight, stride=conv.stride, padding=1)
        y = y.relu() if order == "relu_bn" else y
        y = (y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        return y

    around = x
    if block.conv1.stride == (2, 2):
        around = torch.zeros(x.shape[0], 2 * x.shape[1], x.shape[2] // 2, x.shape[3] // 2)
        around[:, x.shape[1] // 2 : -(x.shape[1] // 2)] = x[:, :, ::2, ::2]
    relu = F.relu if order == "bn_relu" else (lambda v: v)
    first = unit(block.conv1, block.bn1, x)
    if bireal:
        middle = relu(first + around)
        return relu(unit(block.conv2, block.bn2, middle) + middle)
    return relu(unit(block.conv2, block.bn2, relu(first)) + around)


@pytest.mark.parametrize("stage", ["layer1", "layer2"])
@pytest.mark.parametrize("bireal", [False, True])
@pytest.mark.parametrize("order", ["relu_bn", "bn_relu"])
def test_a_block_computes_its_formula(order, bireal, stage):
    net = bnn.models.resnet20(width=4, order=order, bireal=bireal, generator=0)
    block = getattr(net, stage)[0]
    x = torch.randn(3, 4, 6, 6)
    torch.testing.assert_close(block(x), block_by_hand(block, x, order, bireal), rtol=1e-4, atol=1e-5)


def test_orders_of_vgg_small():
    kinds = {
        order: [type(m) for m in bnn.models.vgg_small(width=2, order=order)][3:7] for order in ("relu_bn", "bn_relu")
    }
    assert kinds["relu_bn"] == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d, nn.MaxPool2d]
    assert kinds["bn_relu"] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]


NETS = {
    "resnet20": (lambda **k: bnn.models.resnet20(width=2, **k), 18),
    "resnet20 conv": (lambda **k: bnn.models.resnet20(width=2, projection="conv", **k), 18),
    "bireal": (lambda **k: bnn.models.resnet20(width=2, bireal=True, **k), 18),
    "resnet18": (lambda **k: bnn.models.resnet18(width=2, **k), 16),
    "vgg_small": (lambda **k: bnn.models.vgg_small(width=2, **k), 5),
}


@pytest.mark.parametrize("order", ["relu_bn", "bn_relu"])
@pytest.mark.parametrize("name", NETS)
def test_binarised_all_inner_convolutions_train(name, order):
    build, layers = NETS[name]
    binary = bnn.binarize_model(build(order=order, generator=0), bnn.ReSTE(o=3))
    latent = bnn.latent_weights(binary)
    assert len(latent) == layers
    assert all(w.ndim == 4 and w.shape[-1] == 3 for w in latent.values())
    y = binary(torch.randn(4, 3, 32, 32))
    assert y.shape == (4, 10)
    F.cross_entropy(y, torch.tensor([0, 1, 2, 3])).backward()
    assert all(w.grad.isfinite().all() for w in latent.values())
    # In the other order all inputs have sign +1, and a gradient may vanish.
    assert order == "bn_relu" or all(w.grad.abs().sum() > 0 for w in latent.values())


@pytest.mark.parametrize("name", ["resnet20", "vgg_small"])
def test_only_relu_before_norm_gives_signs_of_both_kinds(name):
    shares = {}
    for order in ("relu_bn", "bn_relu"):
        binary = bnn.binarize_model(NETS[name][0](order=order, generator=0), bnn.ReSTE(o=3))
        inputs = shares[order] = []
        for b in bnn.binarizers(binary, "activation").values():
            b.register_forward_hook(lambda module, args, output, to=inputs: to.append((output < 0).float().mean()))
        binary(torch.randn(4, 3, 32, 32))
    assert min(shares["relu_bn"]) > 0.1
    assert max(shares["bn_relu"]) == 0


def spread(weight):
    return float(weight.detach().square().mean().sqrt())


def test_initial_weights_have_the_stated_variance():
    net = bnn.models.resnet20(width=32, generator=0)
    for m in net.modules():
        if isinstance(m, nn.Conv2d) and m.weight.numel() > 9000:
            assert spread(m.weight) == pytest.approx((2 / (9 * m.in_channels)) ** 0.5, rel=0.05)
    vgg = bnn.models.vgg_small(width=32, generator=0)
    assert spread(vgg.conv2.weight) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert spread(vgg.linear.weight) == pytest.approx(0.01, rel=0.05)
    assert not vgg.linear.bias.any()
    conv1 = bnn.models.resnet18(width=32, generator=0).layer1[0].conv1
    assert spread(conv1.weight) == pytest.approx((1 / (3 * 9 * 32)) ** 0.5, rel=0.05)
    assert conv1.weight.abs().max() <= (1 / (9 * 32)) ** 0.5


@pytest.mark.parametrize("name", NETS)
def test_the_seed_repeats_the_weights_and_leaves_torch_alone(name):
    build, _ = NETS[name]
    before = torch.get_rng_state()
    first, second, other = build(generator=5), build(generator=5), build(generator=6)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.seed == 5
    fresh = build()
    again = build(generator=fresh.seed)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: bnn.models.resnet20(order="bn"), r"`models.resnet20\(order=...\)`: got 'bn'"),
        (lambda: bnn.models.resnet18(projection="A"), r"`models.resnet18\(projection=...\)`: got 'A'"),
        (lambda: bnn.models.resnet20(width=3), r"`models.resnet20\(width=...\)`: got 3, expected an even number"),
        (lambda: bnn.models.resnet20(classes=0), r"`models.resnet20\(classes=...\)`: got 0"),
        (lambda: bnn.models.vgg_small(size=7), r"`models.vgg_small\(size=...\)`: got 7"),
        (lambda: bnn.models.vgg_small(width=0), r"`models.vgg_small\(width=...\)`: got 0"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()
