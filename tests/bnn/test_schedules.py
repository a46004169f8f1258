"""Schedules: their values, and that a resumed run is the unbroken one bit for bit."""

import io
import math
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional as F

from scatter_theory import bnn
from scatter_theory.bnn import schedules


def model(estimator=None, **options):
    return bnn.binarize_model(nn.Linear(4, 4), estimator or bnn.ReSTE(o=3), skip=(), **options)


def walked(binary, schedule, key="weight"):
    """Estimators of all parts of a schedule."""
    binarizer = bnn.binarizers(binary)[key]
    found = [binarizer.estimator]
    for _ in range(schedule.total - 1):
        schedule.step()
        found.append(binarizer.estimator)
    return found


@pytest.mark.parametrize(
    ("epochs", "part", "o"),
    [(1000, 999, 2.996858), (250, 249, 2.987434), (1000, 500, 1.585786), (250, 125, 1.585786), (7, 0, 1.0)],
)
def test_published_values_of_the_quarter_cosine(epochs, part, o):
    binary = model()
    schedule = schedules.ReSTE(binary, o_end=3, epochs=epochs)
    powers = [e.o for e in walked(binary, schedule)]
    assert powers[0] == 1
    assert powers[part] == pytest.approx(o, abs=5e-7)
    assert all(a < b < 3 for a, b in pairwise(powers))


def test_mean_over_the_run():
    """The mean of 1 - cos(pi p/2) over p in [0, 1] is 1 - 2/pi; the left sum over N parts differs by O(1/N)."""
    binary = model()
    powers = [e.o for e in walked(binary, schedules.ReSTE(binary, steps=4000))]
    assert sum(powers) / 4000 == pytest.approx(1 + 2 * (1 - 2 / math.pi), abs=2 / 4000)
    assert 1 + 2 * (1 - 2 / math.pi) == pytest.approx(1.726760, abs=5e-7)


@pytest.mark.parametrize("o_end", [2, 3, 10])
def test_the_quarter_cosine_is_the_progress_of_the_estimator(o_end):
    binary = model(bnn.ReSTE(o=o_end))
    for e, estimator in enumerate(walked(binary, schedules.ReSTE(binary, epochs=12))):
        assert estimator.o == pytest.approx(1 + (1 - math.cos(math.pi / 2 * e / 12)) * (o_end - 1), rel=1e-15)
        assert estimator.o == pytest.approx(bnn.ReSTE(o=o_end).at(e / 12).o, rel=1e-15)


def test_the_end_is_reached_where_asked_and_after_the_last_step():
    final = bnn.ReSTE(o=2.7)
    binary = model(final)
    exact = schedules.ReSTE(binary, epochs=5, reach_end=True)
    powers = [e.o for e in walked(binary, exact)]
    assert powers == pytest.approx([1 + (1 - math.cos(math.pi / 2 * e / 4)) * 1.7 for e in range(5)], rel=1e-15)
    assert powers[-1] == 2.7
    exact.step()
    assert bnn.binarizers(binary)["weight"].estimator is final
    official = schedules.ReSTE(binary, epochs=5)
    assert bnn.binarizers(binary)["input"].estimator.o == 1
    assert walked(binary, official)[-1].o < 2.7
    official.step()
    assert official.progress == 1
    assert bnn.binarizers(binary)["input"].estimator is final
    with pytest.raises(RuntimeError, match=r"`Schedule.step\(\)`: called 6 times in a schedule of 5 parts"):
        official.step()


@pytest.mark.parametrize("reach_end", [False, True])
def test_a_run_of_one_part(reach_end):
    binary = model()
    schedules.ReSTE(binary, epochs=1, reach_end=reach_end)
    assert bnn.binarizers(binary)["weight"].estimator.o == (3 if reach_end else 1)


def test_the_linear_shape():
    binary = model(bnn.ReSTE(o=5))
    powers = [e.o for e in walked(binary, schedules.ReSTE(binary, epochs=4, shape="linear"))]
    assert powers == [1, 2, 3, 4]


def test_other_parameters_and_roles_are_kept():
    final = bnn.ReSTE(o=3, m=0.05, t=1.2, convention="antiderivative")
    binary = model(final)
    schedules.ReSTE(binary, epochs=3).step()
    for b in bnn.binarizers(binary).values():
        assert replace(b.estimator, o=3) == final == b.final_estimator
        assert b.estimator.o == pytest.approx(1 + 2 * (1 - math.cos(math.pi / 6)))


def test_ede():
    binary = model(bnn.EDE(t=10, k=1))
    found = walked(binary, schedules.EDE(binary, epochs=8))
    assert [e.t for e in found] == pytest.approx([10 ** (-3 + 4 * e / 8) for e in range(8)], rel=1e-13)
    assert [e.k for e in found] == pytest.approx([max(10 ** (3 - 4 * e / 8), 1) for e in range(8)], rel=1e-13)


def test_rbnn_has_two_roles():
    binary = model(bnn.RBNN(t=10, k=1))
    weights = walked(binary, schedules.RBNN(binary, epochs=6))
    inputs = walked(binary, schedules.RBNN(binary, epochs=6), "input")
    t = [10 ** (-2 + 3 * e / 6) for e in range(6)]
    assert [e.t for e in weights] == pytest.approx(t, rel=1e-13)
    assert [e.k for e in weights] == pytest.approx([max(1 / v, 1) for v in t], rel=1e-13)
    assert [e.t for e in inputs] == pytest.approx([max(v, 1) for v in t], rel=1e-13)
    assert {e.k for e in inputs} == {1}


# 22 (15/22) is below 15 in floating point.
@pytest.mark.parametrize(("n", "epochs"), [(3, 3), (3, 10), (4, 2), (22, 22)])
def test_fda_gives_each_number_of_terms_an_equal_share(n, epochs):
    binary = model(bnn.FDA(n=n, w=math.pi / 2))
    terms = [e.n for e in walked(binary, schedules.FDA(binary, epochs=epochs))]
    assert terms == [1 + n * e // epochs for e in range(epochs)]


def test_a_rule_of_the_users_own():
    @dataclass(frozen=True)
    class Late(schedules.Rule):
        accepts = bnn.ReSTE

        def __call__(self, final, role, progress):
            return final if progress > 0.5 or role == "activation" else replace(final, o=1)

        def check(self, key, final, role):
            pass

    binary = model()
    schedule = schedules.Schedule(binary, Late(), steps=4)
    assert [e.o for e in walked(binary, schedule)] == [1, 1, 1, 3]
    assert bnn.binarizers(binary)["input"].estimator.o == 3


REFUSED = {
    "no length": (model, "ReSTE", {}, ValueError, r"`schedules.ReSTE\(epochs=None, steps=None\)`: give exactly one"),
    "two lengths": (model, "ReSTE", {"epochs": 2, "steps": 3}, ValueError, r"\(epochs=2, steps=3\)`: give exactly"),
    "zero": (model, "ReSTE", {"epochs": 0}, ValueError, r"`schedules.ReSTE\(epochs=...\)`: got 0"),
    "fraction": (model, "ReSTE", {"steps": 2.0}, TypeError, r"`schedules.ReSTE\(steps=...\)`: got 2.0"),
    "shape": (model, "ReSTE", {"epochs": 2, "shape": "cosine"}, ValueError, r"\(shape=...\)`: got 'cosine'"),
    "plain model": (lambda: nn.Linear(2, 2), "ReSTE", {"epochs": 2}, ValueError, "it has no binarizers at all"),
    "other estimator": (model, "EDE", {"epochs": 2}, ValueError, r"no binarizer with the estimator EDE; it has ReSTE"),
    "other end": (model, "ReSTE", {"epochs": 2, "o_end": 5}, ValueError, r"`schedules.ReSTE\(o_end=5\)`: 'weight' was"),
    "infinite": (lambda: model(bnn.ReSTE(o=math.inf)), "ReSTE", {"epochs": 2}, ValueError, "ends at o = inf"),
    "EDE k": (lambda: model(bnn.EDE(t=10, k=2)), "EDE", {"epochs": 2}, ValueError, r"'weight' ends at EDE\(t=10"),
    "EDE start": (
        lambda: model(bnn.EDE(t=10, k=1)),
        "EDE",
        {"epochs": 2, "t_start": 0},
        ValueError,
        "t_start=...\\)`: got 0",
    ),
    "RBNN k": (lambda: model(bnn.RBNN(t=10, k=2)), "RBNN", {"epochs": 2}, ValueError, r"'weight' ends at RBNN\(t=10"),
    "RBNN t": (lambda: model(bnn.RBNN(t=0.5, k=2)), "RBNN", {"epochs": 2}, ValueError, r"'input' ends at RBNN\(t=0.5"),
    "target": (model, "Automatic", {"target": -1}, ValueError, r"`schedules.Automatic\(target=...\)`: got -1"),
    "quantity": (model, "Automatic", {"target": 1, "quantity": "var"}, ValueError, r"quantity=...\)`: got 'var'"),
    "o_max": (model, "Automatic", {"target": 1, "o_max": 1}, ValueError, r"`schedules.Automatic\(o_max=...\)`: got 1"),
    "no weights": (
        lambda: model(weights=False),
        "Automatic",
        {"target": 1},
        ValueError,
        "the model has no weight with",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refusals(reason):
    build, name, arguments, error, message = REFUSED[reason]
    with pytest.raises(error, match=message):
        getattr(schedules, name)(build(), **arguments)


def test_a_state_of_another_schedule_is_refused():
    state = schedules.ReSTE(model(), epochs=4).state_dict()
    for other in ({"epochs": 5}, {"epochs": 4, "shape": "linear"}, {"epochs": 4, "reach_end": True}):
        with pytest.raises(ValueError, match=r"`Schedule.load_state_dict`: the state belongs to .*this schedule is"):
            schedules.ReSTE(model(), **other).load_state_dict(state)


def started(reach_end=False, total=8):
    """A small network with everything that a run needs."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3)
    )
    with torch.no_grad():
        generator = torch.Generator().manual_seed(2)
        for p in net.parameters():
            p.copy_(0.4 * torch.randn(p.shape, generator=generator))
    binary = bnn.binarize_model(net, bnn.ReSTE(o=3))
    optimizer = torch.optim.SGD(binary.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    return binary, optimizer, schedules.ReSTE(binary, epochs=total, reach_end=reach_end)


def train(binary, optimizer, schedule, parts):
    losses = []
    for part in parts:
        generator = torch.Generator().manual_seed(part)
        x = torch.randn(8, 1, 8, 8, generator=generator)
        loss = F.cross_entropy(binary(x), torch.randint(3, (8,), generator=generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("reach_end", [False, True])
@pytest.mark.parametrize("broken_at", [0, 3, 7])
def test_a_checkpoint_in_mid_schedule_resumes_bitwise(broken_at, reach_end):
    whole = started(reach_end)
    losses = train(*whole, range(8))

    first = started(reach_end)
    assert train(*first, range(broken_at)) == losses[:broken_at]
    buffer = io.BytesIO()
    torch.save([part.state_dict() for part in first], buffer)

    def resumed(order):
        buffer.seek(0)
        states = torch.load(buffer, weights_only=True)
        run = started(reach_end)
        for i in order:
            run[i].load_state_dict(states[i])
        return run, train(*run, range(broken_at, 8))

    for order in ((0, 1, 2), (2, 1, 0)):
        run, rest = resumed(order)
        assert rest == losses[broken_at:]
        expected, found = whole[0].state_dict(), run[0].state_dict()
        for key, value in expected.items():
            assert torch.equal(found[key], value) if isinstance(value, torch.Tensor) else found[key] == value
    if broken_at == 3:
        assert resumed((0, 1))[1] != losses[3:]


def test_the_state_of_the_schedule_alone_sets_the_estimators():
    binary, _, schedule = started()
    schedule.step()
    other, _, resumed = started()
    resumed.load_state_dict(schedule.state_dict())
    used = [[b.estimator for b in bnn.binarizers(net).values()] for net in (binary, other)]
    assert used[0] == used[1] != [b.estimator for b in bnn.binarizers(started()[0]).values()]


def test_the_model_alone_carries_the_power_in_use():
    binary, _, schedule = started()
    schedule.step()
    other = started()[0]
    other.load_state_dict(binary.state_dict())
    (o,) = {b.estimator.o for b in bnn.binarizers(other).values()}
    assert o == bnn.binarizers(binary)["3.weight"].estimator.o > 1


def uniform(n=2001, a=1.0):
    """A layer whose latent weights are the midpoints of n equal parts of (-a, a)."""
    binary = bnn.BinaryLinear(n, 1, estimator=bnn.ReSTE(o=3), dtype=torch.float64)
    w = (torch.arange(n, dtype=torch.float64) * 2 + 1 - n) * a / n
    bnn.latent_weights(binary)["weight"].data.copy_(w)
    return binary


def cv2(o, a=1.0, m=0.1):
    """Squared coefficient of variation of the multiplier for U(-a, a) and m < a <= t: the mean is a^(k - 1)."""
    k = 1 / o
    square = (m ** (2 * k - 1) + k**2 * (a ** (2 * k - 1) - m ** (2 * k - 1)) / (2 * k - 1)) / a
    return square / a ** (2 * k - 2) - 1


@pytest.mark.parametrize("a", [1.0, 0.5])
@pytest.mark.parametrize("o", [1.5, 3, 5])
def test_automatic_finds_the_power_of_a_known_density(o, a):
    automatic = schedules.Automatic(uniform(20001, a), target=cv2(o, a))
    assert automatic.powers["weight"] == pytest.approx(o, rel=2e-3)
    assert automatic.reached == {"weight": True}


@pytest.mark.parametrize("o", [1.5, 3, 5])
def test_automatic_finds_the_power_of_a_known_error(o):
    """The mean of (1 - u^(1/o))^2 over (0, 1) is 2/((o + 1)(o + 2))."""
    binary = uniform(20001)
    automatic = schedules.Automatic(binary, target=2 / ((o + 1) * (o + 2)), quantity="error")
    assert automatic.powers["weight"] == pytest.approx(o, rel=2e-3)
    assert bnn.binarizers(binary)["weight"].estimator.o == automatic.powers["weight"]
    assert bnn.binarizers(binary)["input"].estimator.o == 3


@pytest.mark.parametrize(
    ("target", "quantity", "o"), [(0.0, "cv2", 1.0), (100.0, "cv2", 10.0), (0.5, "error", 1.0), (0.0, "error", 10.0)]
)
def test_automatic_takes_the_nearer_end(target, quantity, o):
    automatic = schedules.Automatic(uniform(), target=target, quantity=quantity)
    assert automatic.powers["weight"] == o
    assert automatic.reached["weight"] == (target == 0 and quantity == "cv2")


def test_automatic_inside_the_inner_threshold_has_no_choice():
    binary = uniform()
    bnn.latent_weights(binary)["weight"].data.mul_(0.09)
    automatic = schedules.Automatic(binary, target=1.0)
    assert (automatic.powers["weight"], automatic.reached["weight"]) == (1.0, False)


def test_automatic_follows_the_weights_and_leaves_out_what_is_not_finite():
    binary = uniform()
    automatic = schedules.Automatic(binary, target=cv2(3))
    before = automatic.powers["weight"]
    latent = bnn.latent_weights(binary)["weight"]
    latent.data[0, 0] = math.nan
    automatic.step()
    assert automatic.powers["weight"] == pytest.approx(before, rel=1e-2)
    latent.data[0, 900:1100] = 0.5
    automatic.step()
    assert automatic.powers["weight"] > 1.1 * before


def test_automatic_resumes():
    automatic = schedules.Automatic(uniform(), target=cv2(3))
    binary = uniform()
    bnn.latent_weights(binary)["weight"].data.mul_(0.5)
    other = schedules.Automatic(binary, target=cv2(3))
    assert other.powers != automatic.powers
    other.load_state_dict(automatic.state_dict())
    assert other.powers == automatic.powers
    assert bnn.binarizers(binary)["weight"].estimator.o == automatic.powers["weight"]
    with pytest.raises(ValueError, match=r"`Automatic.load_state_dict`: the state belongs to"):
        schedules.Automatic(uniform(), target=cv2(5)).load_state_dict(automatic.state_dict())


# Torch's tracer makes an instance of every autograd function it meets, and warns of it.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiled_model_follows_the_schedule_and_is_compiled_once():
    torch.compiler.reset()
    binary, _, schedule = started(total=20)
    counter = CompileCounter()
    compiled = torch.compile(binary, backend=counter, fullgraph=True)
    x = torch.randn(8, 1, 8, 8)
    for _ in range(12):
        found = []
        for form in (binary, compiled):
            binary.zero_grad()
            form(x).square().sum().backward()
            found.append({key: w.grad.clone() for key, w in bnn.latent_weights(binary).items()})
        torch.testing.assert_close(found[1], found[0])
        schedule.step()
    assert counter.frame_count == 1
