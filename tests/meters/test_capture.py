"""Every form of an activation is seen once, at its place, and leaves no trace."""

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import _get_current_function_mode_stack

from scatter_theory.bnn.models import resnet20
from scatter_theory.meters import Capture

X = torch.tensor([[-2.0, -0.0, 0.5, 7.0], [math.nan, 1.0, -1.0, 3.0]])


class Apply(nn.Module):
    """A function as a module; the input is a tensor of its own, so that it may be overwritten."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x * 1)


#: Form, name of its function, and its two flat outputs.
FORMS = {
    "module": (nn.ReLU(), "relu", 0, math.inf),
    "module in place": (nn.ReLU(inplace=True), "relu", 0, math.inf),
    "functional": (F.relu, "relu", 0, math.inf),
    "functional with flag": (lambda x: F.relu(x, True), "relu", 0, math.inf),
    "torch": (torch.relu, "relu", 0, math.inf),
    "method": (lambda x: x.relu(), "relu", 0, math.inf),
    "keyword": (lambda x: F.relu(input=x), "relu", 0, math.inf),
    "F in place": (F.relu_, "relu", 0, math.inf),
    "torch in place": (torch.relu_, "relu", 0, math.inf),
    "method in place": (lambda x: x.relu_(), "relu", 0, math.inf),
    "clamp": (lambda x: x.clamp(min=0), "clamp", 0, math.inf),
    "torch.clamp": (lambda x: torch.clamp(x, 0.0, 6.0), "clamp", 0, 6),
    "clip": (lambda x: x.clip(0), "clamp", 0, math.inf),
    "clamp_": (lambda x: x.clamp_(0), "clamp", 0, math.inf),
    "clamp_min": (lambda x: torch.clamp_min(x, 0), "clamp", 0, math.inf),
    "clamp_min_": (lambda x: x.clamp_min_(0), "clamp", 0, math.inf),
    "maximum": (lambda x: torch.maximum(x, torch.zeros(())), "maximum", 0, math.inf),
    "maximum, turned": (lambda x: torch.maximum(torch.zeros_like(x), x), "maximum", 0, math.inf),
    "max": (lambda x: torch.max(x, torch.zeros_like(x)), "maximum", 0, math.inf),
    "ReLU6": (nn.ReLU6(), "hardtanh", 0, 6),
    "relu6": (F.relu6, "relu6", 0, 6),
    "Hardtanh": (nn.Hardtanh(-2.0, 3.0), "hardtanh", -2, 3),
    "hardtanh_": (lambda x: F.hardtanh_(x, 0.0, 2.0), "hardtanh", 0, 2),
    "Threshold": (nn.Threshold(0.0, 0.0), "threshold", 0, math.inf),
    "threshold_": (lambda x: F.threshold_(x, 0.0, 0.0), "threshold", 0, math.inf),
}

#: What looks like one and is none.
OTHERS = {
    "clamp at a small number": lambda x: x.clamp(min=1e-6),
    "clamp on both sides": lambda x: x.clamp(-1, 1),
    "clamp from above": lambda x: x.clamp(max=0),
    "maximum of two branches": lambda x: torch.maximum(x, 2 * x),
    "max over an axis": lambda x: x.max(1).values,
    "threshold below 0": lambda x: F.threshold(x, -1.0, 0.0),
    "threshold with another value": lambda x: F.threshold(x, 0.0, 1.0),
    "a product": lambda x: x * (x > 0),
    "leaky": lambda x: F.leaky_relu(x),
}


def seen(model, x, **options):
    """Sites with the tensors before and after, and the output."""
    found = []
    with Capture(model, lambda site, z, y: found.append((site, z.clone(), y.clone())), **options) as capture:
        output = model(x)
    return found, output, capture


def clean(model):
    hooks = [
        h for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks, m._forward_hooks_always_called)
    ]
    return not any(hooks) and not _get_current_function_mode_stack()


@pytest.mark.parametrize("name", FORMS)
def test_every_form_counts_once(name):
    function, label, low, high = FORMS[name]
    model = nn.Sequential(nn.Identity(), Apply(function))
    plain = model(X)
    found, output, _ = seen(model, X, inputs=True)
    assert len(found) == 1
    site, z, y = found[0]
    path = "1.function" if isinstance(function, nn.Module) else "1"
    assert (site.name, site.path, site.low, site.high) == (f"{path}/{label}#1", path, low, high)
    for a, b in ((output, plain), (y, plain), (z, X)):
        assert a.numpy().tobytes() == b.numpy().tobytes()
    assert clean(model)


@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_do_not_count(name):
    assert seen(Apply(OTHERS[name]), X)[0] == []


@pytest.mark.parametrize("module", [nn.LeakyReLU(inplace=True), nn.PReLU(), nn.GELU(), nn.SiLU(inplace=True), nn.ELU()])
def test_smooth_activations_count_on_request(module):
    found, _, capture = seen(Apply(module), X)
    assert found == [] and capture.others.total() == 1
    found, _, capture = seen(Apply(module), X, kinds=("smooth",), inputs=True)
    assert [site.kind for site, _, _ in found] == ["smooth"] and not capture.others
    assert torch.equal(found[0][1].nan_to_num(), X.nan_to_num())


def test_a_maximum_that_is_no_relu_does_not_shift_those_that_are():
    model = Apply(lambda x: torch.maximum(torch.maximum(x, 2 * x), torch.zeros_like(x)))
    assert [site.name for site, _, _ in seen(model, X)[0]] == ["/maximum#1"]
    calls = []
    with Capture(model, lambda site, z, y: calls.append(site.name)):
        model(X), model(X)
    assert calls == ["/maximum#1"] * 2


class Block(nn.Module):
    """One ReLU module that is called twice, one in place by function, and one child."""

    def __init__(self, child=None):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.child = child

    def forward(self, x):
        x = self.relu(x + 1)
        x = x if self.child is None else self.child(x - 2)
        return F.relu(self.relu(x - 1) - 0.5, inplace=True)


def test_reused_and_nested_modules():
    model = Block(Block())
    want = ["relu/relu#1", "child.relu/relu#1", "child.relu/relu#2", "child/relu#1", "relu/relu#2", "/relu#1"]
    for _ in range(2):  # the numbers start anew with each forward pass
        found, output, _ = seen(model, X)
        assert [site.name for site, _, _ in found] == want
        assert torch.equal(output, model(X)) or output.isnan().any()
    assert clean(model)


def test_resnet20_in_all_modes():
    model = resnet20(order="bn_relu", projection="conv", generator=0)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for training in (False, True):
        model.train(training)
        found, output, _ = seen(model, x)
        assert torch.equal(output, model(x))
        assert len(found) == len({site.name for site, _, _ in found}) == 19
        assert sum(y[0].numel() for _, _, y in found) == 188_416 and sum(y.shape[1] for _, _, y in found) == 688


def test_transformer_encoder_in_eval():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        found, output, _ = seen(model, x)
        assert [site.name for site, _, _ in found] == [f"layers.{k}/relu#1" for k in range(3)]
        assert [tuple(y.shape) for _, _, y in found] == [(2, 5, 32)] * 3
        assert torch.allclose(output, model(x), atol=1e-5)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            assert torch.equal(output, model(x))
        finally:
            torch.backends.mha.set_fastpath_enabled(True)


def test_nothing_is_left_after_an_exception():
    def fail(x):
        raise KeyError("inside")

    model = nn.Sequential(nn.ReLU(), Block(Apply(fail)))
    names = []
    capture = Capture(model, lambda site, z, y: names.append(site.name))
    with pytest.raises(KeyError, match="inside"), capture:
        model(X)
    assert clean(model) and names == ["0/relu#1", "1.relu/relu#1"]
    model[1].child = None
    with capture:
        with pytest.raises(RuntimeError):
            model(torch.zeros(2, 3) @ torch.zeros(2, 2))
        names.clear()
        model(X)
    assert names == ["0/relu#1", "1.relu/relu#1", "1.relu/relu#2", "1/relu#1"] and clean(model)


def test_a_model_that_goes_on_after_an_exception():
    """The place is that of the module that goes on, and no longer that of the one that failed."""

    def fail(x):
        raise KeyError("inside")

    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.child = Apply(fail)

        def forward(self, x):
            try:
                return self.child(x)
            except KeyError:
                return F.relu(x)

    assert [site.name for site, _, _ in seen(Tries(), X)[0]] == ["/relu#1"]


def test_an_exception_of_the_observer_leaves_nothing():
    def refuse(site, z, y):
        raise ValueError("no")

    model = resnet20(width=4, order="bn_relu", generator=0)
    with pytest.raises(ValueError, match="no"), Capture(model, refuse):
        model(torch.zeros(1, 3, 8, 8))
    assert clean(model)


def test_named_modules():
    model = nn.Sequential(Apply(lambda x: x * (x > 0)), Block())
    found, _, _ = seen(model, X)
    assert [site.name for site, _, _ in found] == ["1.relu/relu#1", "1.relu/relu#2", "1/relu#1"]
    found, _, _ = seen(model, X, sites=("0", "1"))  # what is called inside them does not count
    assert [site.name for site, _, _ in found] == ["0/output#1", "1/output#1"]
    with pytest.raises(TypeError, match=r"module '0' returned tuple"):
        seen(nn.Sequential(Apply(lambda x: (x, x))), X, sites=["0"])


def test_calls_outside_the_model_do_not_count():
    names = []
    model = Block()
    with Capture(model, lambda site, z, y: names.append(site.name)) as capture:
        F.relu(X)
        with capture.forward():
            model(X), model.relu(X.clone())
    assert names == ["relu/relu#1", "relu/relu#2", "/relu#1", "relu/relu#3"]


def test_what_cannot_be_seen_is_refused():
    def observer(*_):
        pass

    model = nn.Sequential(nn.ReLU())
    for hidden in (torch.compile(model, backend="eager"), nn.Sequential(torch.compile(model, backend="eager"))):
        with pytest.raises(ValueError, match="is compiled"):
            Capture(hidden, observer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match="is scripted"):
        Capture(scripted, observer)
    model.compile(backend="eager")
    with pytest.raises(ValueError, match="is compiled"):
        Capture(model, observer)
    with pytest.raises(ValueError, match=r"`Capture\(sites=...\)`: got 'act'"):
        Capture(Block(), observer, sites="act")
    with pytest.raises(ValueError, match=r"`Capture\(kinds=...\)`"):
        Capture(Block(), observer, kinds=("gelu",))
    with Capture(Block(), observer) as capture, pytest.raises(RuntimeError, match="second `with` block"):
        capture.__enter__()
