"""Indicators while a model trains: what they read, when, and that they change nothing."""

import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_pre_hooks

from scatter_theory import bnn
from scatter_theory.bnn import _indicator_reader

RESTE = bnn.ReSTE(o=3.0)


def net(dtype=torch.float64, estimator=RESTE, **options):
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 5), nn.Linear(5, 3)).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, dtype=torch.float64, generator=generator))
    return bnn.binarize_model(model, estimator, **options)


def data(steps, n=8, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n, 6, dtype=torch.float64, generator=generator).to(dtype) for _ in range(steps)]


def loss_of(model, x):
    return nn.functional.cross_entropy(model(x), torch.arange(len(x)) % 3)


def train(model, steps=6, opt=None, **options):
    opt = opt or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x in data(steps, **options):
        opt.zero_grad()
        loss_of(model, x).backward()
        opt.step()


def observers(model):
    return [b.observer for b in bnn.binarizers(model).values()]


# --- what is read ----------------------------------------------------------------------------------------------------


def test_every_quantity_of_weights():
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.5)
    with bnn.Indicators(model) as ind:
        train(model, steps=1, opt=opt)
        before = {k: w.detach().clone() for k, w in bnn.latent_weights(model).items()}
        (x,) = data(1)
        opt.zero_grad()
        loss_of(model, x).backward()
        grads = {k: w.grad.clone() for k, w in bnn.latent_weights(model).items()}
        opt.step()
    report = ind.report()
    assert report.sites == ("1.weight", "2.weight", "1.input", "2.input") and report.steps.tolist() == [1, 2]
    for site in ("1.weight", "2.weight"):
        row = report.sites.index(site)
        w, g = before[site], grads[site].abs()
        want = {
            "n": w.numel(),
            "error_l2": float(torch.linalg.vector_norm(1 - w.abs() ** (1 / 3))),
            "error_mse": float((1 - w.abs() ** (1 / 3)).square().mean()),
            "stability": float(g.var()),
            "stability_cv2": float(g.var() / g.mean() ** 2),
            "gradient_mean": float(g.mean()),
            "saturated": float((w.abs() > 1.5).double().mean()),
            "inner": float((w.abs() <= 0.1).double().mean()),
            "dead": float((w.abs() > 1.5).double().mean()),
            "excluded": 0,
        }
        for quantity, value in want.items():
            assert report.per_layer(quantity)[row, 1] == pytest.approx(value, rel=1e-10), (site, quantity)


def test_activations_against_a_pass_written_out():
    model = net(scaling=None)
    (x,) = data(1)
    W = {k: torch.sign(w.detach()) for k, w in bnn.latent_weights(model).items()}
    b1, b2 = model[1].bias.detach(), model[2].bias.detach()
    z1 = model[0](x).detach()
    a1 = torch.sign(z1).requires_grad_()
    z2 = a1 @ W["1.weight"].T + b1
    a2 = torch.sign(z2.detach()).requires_grad_()
    out = nn.functional.linear(a2 @ W["2.weight"].T + b2, model[3].weight.detach(), model[3].bias.detach())
    (G2,) = torch.autograd.grad(nn.functional.cross_entropy(out, torch.arange(8) % 3), a2)
    g2 = G2 * RESTE.multiplier(z2.detach())
    (G1,) = torch.autograd.grad(z2, a1, g2)
    g1 = G1 * RESTE.multiplier(z1)
    with bnn.Indicators(model, roles=("activation",)) as ind:
        train(model, steps=1)
    report = ind.report()
    assert report.sites == ("1.input", "2.input")
    for row, (z, g) in enumerate(((z1, g1), (z2.detach(), g2))):
        want = {
            "n": z.numel(),
            "error_l2_squared": float((1 - z.abs() ** (1 / 3)).square().sum()),
            "error_rms": float((1 - z.abs() ** (1 / 3)).square().mean().sqrt()),
            "stability": float(g.abs().var()),
            "saturated": float((z.abs() > 1.5).double().mean()),
            "dead": float((RESTE.multiplier(z) == 0).double().mean()),
        }
        for quantity, value in want.items():
            assert report.per_layer(quantity)[row, 0] == pytest.approx(value, rel=1e-10), quantity


def test_flip_rate_compares_measured_steps():
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=1.0)
    seen = []
    with bnn.Indicators(model, every=2) as ind:
        for x in data(6):
            opt.zero_grad()
            loss_of(model, x).backward()
            seen.append(torch.sign(bnn.latent_weights(model)["1.weight"].detach()).clone())
            opt.step()
    report = ind.report()
    assert report.steps.tolist() == [2, 4, 6]
    rates = report.per_layer("flip_rate")
    assert rates[0].tolist()[1:] == [float((seen[i] != seen[i - 2]).double().mean()) for i in (3, 5)]
    assert rates[0, 2] > 0 and report.measured("flip_rate").tolist() == [0, 2, 2]


def antiderivative(u, o):
    """Secant up to 0.1, power up to 1.5, constant beyond."""
    return torch.where(u <= 0.1, u * 0.1 ** (1 / o - 1), u.clamp(max=1.5) ** (1 / o))


@pytest.mark.parametrize(
    ("curve", "f"),
    [
        ("surrogate", antiderivative),
        ("power", lambda u, o: u ** (1 / o)),
        ("figure", lambda u, o: torch.where(u > 1.5, 1.0, antiderivative(u, o))),
        ("power_final", lambda u, o: u ** (1 / 3)),
        ("final", lambda u, o: antiderivative(u, 3.0)),
    ],
)
def test_curves(curve, f):
    model = net(estimator=bnn.ReSTE(o=3.0, convention="antiderivative"))
    for binarizer in bnn.binarizers(model).values():
        binarizer.estimator = bnn.ReSTE(o=1.4, convention="antiderivative")
    with bnn.Indicators(model, curves=("antiderivative", curve), roles=("weight",)) as ind:
        u = bnn.latent_weights(model)["1.weight"].detach().abs().clone()
        train(model, steps=1)
    report = ind.report()
    got = report.per_layer(f"error_l2[{curve}]")[0, 0]
    assert got == pytest.approx(float(torch.linalg.vector_norm(1 - f(u, 1.4))), rel=1e-10)
    assert (report.per_layer("error_l2")[0, 0] == pytest.approx(got, rel=1e-10)) == (curve == "surrogate")


def test_population_variance_is_named():
    reports = {}
    for unbiased in (True, False):
        model = net()
        with bnn.Indicators(model, unbiased=unbiased) as ind:
            train(model, steps=1)
        reports[unbiased] = ind.report()
    n = reports[True].per_layer("gradient_n")
    s = {u: r.per_layer("stability") for u, r in reports.items()}
    assert s[False] == pytest.approx(s[True] * (n - 1) / n, rel=1e-12)
    assert reports[False].facts["variance"] == "population"


# --- when ------------------------------------------------------------------------------------------------------------


def test_nothing_is_done_between_measured_steps(monkeypatch):
    calls = []
    real = _indicator_reader.packed
    monkeypatch.setattr(_indicator_reader, "packed", lambda *a: calls.append(1) or real(*a))
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    with bnn.Indicators(model, every=3) as ind:
        for step, x in enumerate(data(7), start=1):
            assert all((o is not None) == (step % 3 == 0) for o in observers(model)[-1:])
            opt.zero_grad()
            loss_of(model, x).backward()
            opt.step()
            assert len(calls) == 4 * (step // 3)
    assert ind.report().steps.tolist() == [3, 6]


def test_accumulated_gradients_are_those_of_the_whole_batch():
    (x,) = data(1)
    reports = []
    for parts in (1, 4):
        model = net()
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        with bnn.Indicators(model) as ind:
            for piece, y in zip(x.chunk(parts), (torch.arange(8) % 3).chunk(parts), strict=True):
                (nn.functional.cross_entropy(model(piece), y) / parts).backward()
            opt.step()
        reports.append(ind.report())
    for quantity in reports[0].quantities:
        assert reports[1].per_layer(quantity) == pytest.approx(reports[0].per_layer(quantity), rel=1e-10, nan_ok=True)


def test_steps_of_other_optimizers_do_not_count():
    model, other = net(), nn.Linear(2, 2)
    strange = torch.optim.SGD(other.parameters(), lr=0.1)
    with bnn.Indicators(model) as ind:
        strange.step()
        train(model, steps=2)
        strange.step()
    assert ind.report().steps.tolist() == [1, 2]


def test_two_optimizers_need_a_choice():
    model = net()
    weights = list(bnn.latent_weights(model).values())
    a, b = (torch.optim.SGD([w], lr=0.1) for w in weights)
    loss_of(model, data(1)[0]).backward()
    with bnn.Indicators(model):
        a.step()
        with pytest.raises(RuntimeError, match=r"second optimizer.*pass the one whose steps count as `optimizer=`"):
            b.step()
    with bnn.Indicators(model, optimizer=b) as ind:
        a.step()
        b.step()
    assert ind.report().steps.tolist() == [1]


# --- what is not changed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"every": 2}, {"sample": 3}, {"preset": "paper"}, {"preset": "official"}], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_training_is_the_same_to_the_last_bit(options, dtype):
    runs = []
    for measured in (False, True):
        model = net(dtype)
        torch.manual_seed(3)
        if measured:
            with bnn.Indicators(model, **options):
                train(model, dtype=dtype)
        else:
            train(model, dtype=dtype)
        runs.append((model.state_dict(), torch.get_rng_state()))
    (plain, state), (watched, same_state) = runs
    assert torch.equal(state, same_state) and plain.keys() == watched.keys()
    tensors = [k for k, v in plain.items() if isinstance(v, torch.Tensor)]
    assert tensors and all(torch.equal(plain[k], watched[k]) for k in tensors)


def test_nothing_stays_behind_after_an_exception():
    model = net()
    hooks = len(_global_optimizer_pre_hooks)
    scaler = torch.amp.GradScaler("cpu")
    with pytest.raises(ZeroDivisionError), bnn.Indicators(model, scaler=scaler) as ind:
        train(model, steps=1)
        assert any(o is not None for o in observers(model)) and len(_global_optimizer_pre_hooks) == hooks + 1
        raise ZeroDivisionError
    assert all(o is None for o in observers(model)) and len(_global_optimizer_pre_hooks) == hooks
    assert "step" not in vars(scaler)
    train(model, steps=1)
    assert ind.report().steps.tolist() == [1]


def test_a_backward_pass_after_the_end_is_not_seen():
    model = net()
    with bnn.Indicators(model) as ind:
        loss = loss_of(model, data(1)[0])
    loss.backward()
    assert ind.report().steps.tolist() == [] and "nothing measured" in str(ind.report())


def test_two_measurements_at_once_are_refused():
    model = net()
    with bnn.Indicators(model) as ind:
        with pytest.raises(RuntimeError, match="got a model that is being measured"):
            bnn.Indicators(model).__enter__()
        with pytest.raises(RuntimeError, match="got a model that is being measured"):
            ind.__enter__()
        train(model, steps=1)
    with ind:
        train(model, steps=1)
    assert ind.report().steps.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "Paper"}, r"preset=...\)`: got 'Paper', expected one of"),
        ({"every": 0}, r"every=...\)`: got 0, expected a whole number >= 1"),
        ({"sample": 1.5}, r"sample=...\)`: got 1.5"),
        ({"roles": ("bias",)}, r"roles=...\)`: got \('bias',\)"),
        ({"curves": ()}, r"curves=...\)`: got \(\)"),
        ({"preset": "official", "every": 2}, "measures weights once per epoch"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        bnn.Indicators(net(), **options)


def test_a_model_without_binarizers_is_refused():
    with pytest.raises(ValueError, match="no binarised weight or activation in the Linear"):
        bnn.Indicators(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="no binarised activation in the Sequential"):
        bnn.Indicators(net(activations=False), roles=("activation",))
