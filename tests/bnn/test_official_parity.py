"""Whole training runs against a plain transcription of the published formulas, all in float64."""

import math

import pytest
import torch
from torch import nn

from scatter_theory import bnn
from scatter_theory.bnn import schedules

EPOCHS, STEPS, O_END = 4, 3, 3.0


class Masked(torch.autograd.Function):
    """Sign forward; backward the power function's derivative, replaced by a secant inside 0.1 and by 0 beyond 1.5."""

    @staticmethod
    def forward(ctx, z, o):
        ctx.save_for_backward(z)
        ctx.o = o
        return torch.sign(z)

    @staticmethod
    def backward(ctx, G):
        (z,) = ctx.saved_tensors
        slope = torch.zeros_like(z)
        u = z.abs()
        middle = (u > 0.1) & (u <= 1.5)
        slope[middle] = u[middle] ** ((1 - ctx.o) / ctx.o) / ctx.o
        slope[u <= 0.1] = 0.1 ** (1 / ctx.o) / 0.1
        return G * slope, None


class BinaryConv(nn.Conv2d):
    """Convolution of the signs of the input with the signs of the weight times their mean modulus."""

    o = 1.0

    def forward(self, x):
        weight = Masked.apply(self.weight, self.o) * self.weight.abs().mean()
        return nn.functional.conv2d(Masked.apply(x, self.o), weight, None, self.stride, self.padding)


def net(conv, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layers = [nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), conv(6, 6, 3, padding=1, bias=False), nn.ReLU()]
    layers += [nn.BatchNorm2d(6), conv(6, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 3)]
    model = nn.Sequential(*layers).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(0.3 * torch.randn(p.shape, dtype=torch.float64, generator=generator))
        model[5].weight[0, 0, 0] = torch.tensor([1.4, 2.0, -1.7])
    return model


def batches():
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        yield torch.randn(8, 2, 8, 8, dtype=torch.float64, generator=generator), torch.arange(8) % 3


def train(model, opt, before_epoch=lambda epoch: None, before_step=lambda: None, after_epoch=lambda: None):
    for epoch in range(EPOCHS):
        before_epoch(epoch)
        for x, y in batches():
            opt.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            before_step()
            opt.step()
        after_epoch()


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)


def transcribed():
    """Epoch by epoch: the sum over layers of L2 errors after the last step, and of variances at that step."""
    model = net(BinaryConv)
    layers = [m for m in model if isinstance(m, BinaryConv)]
    found = []

    def set_o(epoch):
        for layer in layers:
            layer.o = 1 + (1 - math.cos(math.pi / 2 * epoch / EPOCHS)) * (O_END - 1)

    def indicators():
        e = s = 0.0
        for layer in layers:
            w = layer.weight.detach().flatten()
            power = torch.sign(w) * w.abs() ** (1 / O_END)
            e += math.sqrt(math.fsum((power - torch.sign(w)).square().tolist()))
            g = layer.weight.grad.abs().flatten().tolist()
            mean = math.fsum(g) / len(g)
            s += math.fsum((v - mean) ** 2 for v in g) / (len(g) - 1)
        found.append((e, s))

    train(model, sgd(model), before_epoch=set_o, after_epoch=indicators)
    return found


def binarised():
    return bnn.binarize_model(net(nn.Conv2d), bnn.ReSTE(o=O_END), sign_zero=0)


def test_official_preset_over_a_whole_run():
    want = transcribed()
    model = binarised()
    schedule = schedules.ReSTE(model, o_end=O_END, epochs=EPOCHS)
    with bnn.Indicators(model, preset="official") as ind:

        def after_epoch():
            ind.epoch_end()
            schedule.step()

        train(model, sgd(model), after_epoch=after_epoch)
    report = ind.report()
    assert report.sites == ("2.weight", "5.weight") and report.steps.tolist() == [3, 6, 9, 12]
    assert report.pooled("error_l2").tolist() == pytest.approx([e for e, _ in want], rel=1e-10)
    assert report.pooled("stability").tolist() == pytest.approx([s for _, s in want], rel=1e-10)
    totals = ind.totals()
    assert totals.e == pytest.approx(sum(e for e, _ in want) / EPOCHS, rel=1e-10)
    assert totals.s == pytest.approx(sum(s for _, s in want), rel=1e-10)
    assert totals.steps == EPOCHS


def test_a_weight_that_is_zero_has_no_error():
    """Its sign is 0 in the released code, whatever the model does with it."""
    model = bnn.binarize_model(net(nn.Conv2d), bnn.ReSTE(o=O_END), sign_zero=1)
    w = bnn.latent_weights(model)["2.weight"]
    with torch.no_grad():
        w.copy_(torch.where(w > 0.3, w, 0.0))
    for preset, zero in (("official", 0.0), (None, 1.0)):
        with bnn.Indicators(model, preset=preset, roles=("weight",)) as ind:
            after = ind.epoch_end if preset else lambda: None
            train(model, torch.optim.SGD(model.parameters(), lr=0.0), after_epoch=after)
        want = (w.detach().abs() ** (1 / O_END) - 1).square()[w > 0.3].sum() + zero * (w == 0).sum()
        assert float(ind.report().per_layer("error_l2_squared")[0, -1]) == pytest.approx(float(want), rel=1e-12)


def test_gradients_that_are_gone_at_the_end_of_the_epoch():
    """The gradient is the one that the optimizer saw, even if it is gone at the end of the epoch."""
    model = binarised()
    with bnn.Indicators(model, preset="official") as ind:
        opt = sgd(model)
        train(model, opt, after_epoch=lambda: (opt.zero_grad(set_to_none=True), ind.epoch_end()))
    other = binarised()
    with bnn.Indicators(other, preset="official") as same:
        train(other, sgd(other), after_epoch=same.epoch_end)
    assert repr(ind.report().to_dict()) == repr(same.report().to_dict())


def test_paper_preset_pools_over_all_weights():
    """With the present o, at every step, from weights and gradients as the optimizer is about to use them."""
    model = binarised()
    schedule = schedules.ReSTE(model, o_end=O_END, epochs=EPOCHS)
    found = []

    def look():
        weights = bnn.latent_weights(model)
        w = torch.cat([p.detach().flatten() for p in weights.values()])
        g = torch.cat([p.grad.flatten() for p in weights.values()]).abs()
        o = bnn.binarizers(model)["2.weight"].estimator.o
        e = torch.linalg.vector_norm(torch.sign(w) - torch.sign(w) * w.abs() ** (1 / o))
        found.append((float(e), float(g.var()), float(g.var() / g.mean() ** 2)))

    with bnn.Indicators(model, preset="paper") as ind:
        train(model, sgd(model), before_step=look, after_epoch=schedule.step)
    report = ind.report()
    assert report.steps.tolist() == list(range(1, EPOCHS * STEPS + 1))
    for quantity, column in zip(("error_l2", "stability", "stability_cv2"), zip(*found, strict=True), strict=True):
        assert report.pooled(quantity).tolist() == pytest.approx(list(column), rel=1e-10), quantity
    assert report.select("*.weight").sites == report.sites


def test_presets_differ_where_their_definitions_do():
    model = binarised()
    with bnn.Indicators(model, preset="official") as official:
        train(model, sgd(model), after_epoch=official.epoch_end)
    report = official.report()
    e, s = report.pooled("error_l2", "pooled"), report.pooled("stability", "pooled")
    assert (abs(report.pooled("error_l2") / e - 1) > 0.1).all()
    assert (abs(report.pooled("stability") / s - 1) > 0.1).all()


def test_the_end_of_an_epoch_needs_a_step_and_the_preset():
    model = binarised()
    with bnn.Indicators(model, preset="official") as ind:
        with pytest.raises(RuntimeError, match="no step of the optimizer since step 0"):
            ind.epoch_end()
        train(model, sgd(model), after_epoch=ind.epoch_end)
        with pytest.raises(RuntimeError, match="no step of the optimizer since step 12"):
            ind.epoch_end()
    with pytest.raises(RuntimeError, match="only `preset='official'` measures at the end of epochs"):
        bnn.Indicators(model).epoch_end()


def test_official_error_of_another_estimator_needs_o_end():
    model = bnn.binarize_model(net(nn.Conv2d), bnn.ClippedSTE())
    with pytest.raises(ValueError, match=r"'power_final' is a curve of ReSTE.*pass its final power as `o_end=3.0`"):
        bnn.Indicators(model, preset="official")
    with bnn.Indicators(model, preset="official", o_end=O_END) as ind:
        train(model, sgd(model), after_epoch=ind.epoch_end)
    w = bnn.latent_weights(model)["2.weight"].detach()
    want = torch.linalg.vector_norm(w.abs() ** (1 / O_END) - 1)
    assert float(ind.report().per_layer("error_l2")[0, -1]) == pytest.approx(float(want), rel=1e-12)
