"""Masks in a model: what they hold at zero, what they survive, and which weights can have one."""

import copy
import math

import pytest
import torch
from fake_cuda import CUDA, on_fake_cuda
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune

from scatter_theory import bnn
from scatter_theory.pruning._prune import prune
from scatter_theory.pruning.masks._masks import Masks, originals, remove, weights
from scatter_theory.pruning.masks._prunable import prunable
from scatter_theory.pruning.masks._torch_masks import from_torch, to_torch
from scatter_theory.pruning.rules._weights import Random

NAMES = ["0.weight", "4.weight", "7.weight"]


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.ConvTranspose2d(4, 3, 2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(75, 5),
    )  # fmt: skip


def inputs(n=6, seed=1):
    return torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(seed))


def masked_out(model, masks):
    """Number of pruned entries that are not exactly 0."""
    return sum(int((w[~masks[name]] != 0).sum()) for name, w in weights(model, masks).items())


def step(model, optimizer, x):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


# --- zeros stay zeros ------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=1e-2),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=1e-1),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("stale", [True, False], ids=["optimizer from before", "new optimizer"])
def test_pruned_weights_are_zero_after_every_step(make, stale):
    """The momentum from before the pruning moves the parameters behind the pruned entries; the weights stay 0."""
    model, x = net(), inputs()
    optimizer = make(model.parameters())
    for _ in range(3):
        step(model, optimizer, x)
    masks = prune(model, sparsity=0.6)
    behind = {name: p.detach().clone() for name, p in originals(model, NAMES).items()}
    optimizer = optimizer if stale else make(model.parameters())
    for _ in range(200):
        step(model, optimizer, x)
        assert masked_out(model, masks) == 0
        assert Masks.of(model) == masks
    for name, parameter in originals(model, NAMES).items():
        moved = parameter.detach() != behind[name]
        assert moved[masks[name]].any()
        assert moved[~masks[name]].any()  # by weight decay at least: not the parameter is frozen but what it does


def test_zeros_without_a_mask_do_not_stay():
    """What the test above would see if the zeros were only written into the parameters."""
    model, x = net(), inputs()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    step(model, optimizer, x)
    masks = prune(model, sparsity=0.6)
    assert remove(model) == masks and masked_out(model, masks) == 0
    step(model, optimizer, x)
    assert masked_out(model, masks) > 0


def test_pruned_entries_get_no_gradient_and_may_hold_anything():
    model = net()
    masks = prune(model, sparsity=0.5)
    with torch.no_grad():
        for name, parameter in originals(model, NAMES).items():
            parameter[~masks[name]] = math.nan
    model(inputs()).sum().backward()
    for name, parameter in originals(model, NAMES).items():
        assert (parameter.grad[~masks[name]] == 0).all() and parameter.grad.isfinite().all()
    assert masked_out(model, masks) == 0


def test_biases_and_norms_are_untouched():
    model = net()
    before = copy.deepcopy(model.state_dict())
    prune(model, sparsity=1.0)
    after = model.state_dict()
    for key in ("0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "7.bias"):
        assert torch.equal(before[key], after[key])
    assert not any("1.parametrizations" in key for key in after)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_dtypes(dtype):
    model = nn.Linear(20, 30)
    masks = prune(model, sparsity=0.7)
    model.to(dtype)
    assert model.weight.dtype == dtype and masked_out(model, masks) == 0
    assert int((model.weight == 0).sum()) == 420
    again = nn.Linear(20, 30).to(dtype)
    assert prune(again, sparsity=0.7).alive == 180 and again(torch.ones(1, 20, dtype=dtype)).dtype == dtype


def test_fused_encoder_layer():
    """In evaluation mode torch calls one fused operator with the weights of all layers."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    masks = prune(layer, sparsity=0.5)
    assert list(masks) == ["self_attn.out_proj.weight", "linear1.weight", "linear2.weight"]
    plain = copy.deepcopy(layer)
    remove(plain)
    x = torch.randn(3, 5, 8)
    with torch.inference_mode():
        assert torch.equal(layer(x), plain(x))


# --- copies, saving, removing ----------------------------------------------------------------------------------------


def test_copies_are_independent():
    model, x = net().eval(), inputs()
    masks = prune(model, sparsity=0.5)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), model(x)) and Masks.of(twin) == masks
    prune(twin, sparsity=0.9)
    assert Masks.of(model) == masks and not Masks.of(twin).equal(masks)
    out = model(x)
    remove(twin)
    assert torch.equal(model(x), out)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    step(model, optimizer, x)
    assert masked_out(model, masks) == 0


def test_state_dict_round_trips():
    model, other, x = net().eval(), net(seed=5).eval(), inputs()
    masks = prune(model, sparsity=0.5)
    prune(other, Random(), sparsity=0.1)
    other.load_state_dict(model.state_dict())
    assert Masks.of(other) == masks and torch.equal(other(x), model(x))
    stored = masks.state_dict()
    assert Masks.from_state_dict(stored) == masks
    stored["0.weight"].logical_not_()
    assert Masks.of(model) == masks


def test_removing_restores_the_form():
    model = net().eval()
    keys, parameters = list(model.state_dict()), list(model.parameters())
    masks = prune(model, sparsity=0.5)
    out = model(inputs())
    assert remove(model) == masks
    assert list(model.state_dict()) == keys and torch.equal(model(inputs()), out)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert type(model[0]) is nn.Conv2d
    with pytest.raises(ValueError, match="without a mask"):
        remove(model)


def test_masks_are_values():
    model = net()
    masks = prune(model, sparsity=0.5)
    again = Masks(masks)
    again["0.weight"].fill_(False)
    assert Masks.of(model) == masks != again
    assert masks != {} and Masks({}).size == 0 and math.isnan(Masks({}).sparsity)
    assert masks.size == 72 + 48 + 375 and masks.alive == 495 - 248
    assert masks.sparsity == 248 / 495
    assert masks.per_layer() == {n: (int(m.sum()), m.numel()) for n, m in masks.items()}
    assert repr(masks) == "Masks(3 weights, 247 of 495 alive, sparsity 0.50101)"
    with pytest.raises(TypeError, match="expected a bool tensor"):
        Masks({"0.weight": torch.ones(3)})


def test_applying_masks():
    model, other = net(), net(seed=3)
    masks = prune(model, sparsity=0.5)
    masks.apply(other)
    assert Masks.of(other) == masks
    whole = Masks.of(net())
    whole.apply(other)  # the one way back, on purpose
    assert Masks.of(other) == whole
    for bad in ({"0.weight": torch.ones(1, 1, dtype=torch.bool)}, {"9.weight": torch.ones(2, dtype=torch.bool)}):
        with pytest.raises(ValueError, match=r"Masks\.apply"):
            Masks({"7.weight": ~masks["7.weight"], **bad}).apply(model)
        assert Masks.of(model) == masks


def test_empty_layers_are_said():
    model = net()
    masks = prune(model, sparsity=1.0)
    assert masks.per_layer() == {"0.weight": (0, 72), "4.weight": (0, 48), "7.weight": (0, 375)}
    assert str(masks).count("empty") == 3


# --- torch.nn.utils.prune --------------------------------------------------------------------------------------------


def test_torch_form_and_back():
    model, x = net().eval(), inputs()
    parameters = originals(model, NAMES)
    masks = prune(model, sparsity=0.5)
    held = {name: p.detach().clone() for name, p in parameters.items()}
    out = model(x)
    assert to_torch(model) == masks
    assert torch_prune.is_pruned(model) and "0.weight_orig" in model.state_dict()
    assert torch.equal(model(x), out) and Masks.of(model) == masks
    assert all(originals(model, NAMES)[name] is p for name, p in parameters.items())
    assert masked_out(model, masks) == 0
    with pytest.raises(ValueError, match=r"from_torch\(model\)"):
        prune(model, sparsity=0.6)
    assert from_torch(model) == masks
    assert not torch_prune.is_pruned(model) and torch.equal(model(x), out)
    for name, parameter in originals(model, NAMES).items():
        assert parameter is parameters[name] and torch.equal(parameter, held[name])
    assert prune(model, sparsity=0.6).alive == 495 - 297
    for function in (from_torch, lambda m: to_torch(net())):
        with pytest.raises(ValueError, match="without a"):
            function(model)


def test_torch_masks_made_by_torch():
    model = net().eval()
    torch_prune.global_unstructured([(model[k], "weight") for k in (0, 4)], torch_prune.L1Unstructured, amount=0.5)
    torch_prune.random_unstructured(model[0], "weight", 0.2)  # a container of two methods
    torch_prune.l1_unstructured(model[0], "bias", 0.5)
    wanted = {f"{k}.weight": model[k].weight_mask.bool() for k in (0, 4)}
    out = model(inputs()).detach()
    assert Masks.of(model) == Masks({**wanted, "7.weight": torch.ones(5, 75, dtype=torch.bool)})
    assert from_torch(model) == Masks(wanted)
    assert torch.equal(model(inputs()), out) and "0.bias_mask" in model.state_dict()
    soft = torch_prune.custom_from_mask(nn.Linear(2, 2), "weight", torch.full((2, 2), 0.5))
    with pytest.raises(ValueError, match="other values than 0 and 1"):
        from_torch(soft)
    assert torch_prune.is_pruned(soft)


def test_weights_in_torch_form_are_read_fresh():
    """Torch computes them before a forward pass, so that they are stale after a step of an optimizer."""
    layer = torch_prune.l1_unstructured(nn.Linear(3, 3), "weight", 0.5)
    with torch.no_grad():
        layer.weight_orig.fill_(2.0)
    assert torch.equal(weights(layer, ["weight"])["weight"], 2.0 * layer.weight_mask)


# --- which weights ---------------------------------------------------------------------------------------------------


def test_names_and_skips():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2)), nn.Linear(2, 2))
    assert list(prunable(model)) == ["0.weight", "1.0.weight", "2.weight"]
    for skip, left in [
        ("first", ["1.0.weight", "2.weight"]),
        (("first", "last"), ["1.0.weight"]),
        ("1.*", ["0.weight", "2.weight"]),
        (["2", "0.weight"], ["1.0.weight"]),
    ]:
        assert list(prunable(model, skip)) == left
    assert list(prunable(nn.Linear(2, 2))) == ["weight"]
    shared = nn.Linear(2, 2)
    assert list(prunable(nn.Sequential(shared, nn.ReLU(), shared))) == ["0.weight"]


@pytest.mark.parametrize(
    ("model", "skip", "error", "message"),
    [
        (nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)), (), ValueError, "without a weight to prune"),
        (nn.Linear(2, 2), "*", ValueError, "nothing is left"),
        (nn.Linear(2, 2), "head", ValueError, "'head' fits no weight"),
        (nn.Linear(2, 2), [3], TypeError, "got 3 of type int"),
        (nn.DataParallel(nn.Linear(2, 2)), (), ValueError, "wrapped or compiled"),
        (torch.compile(nn.Linear(2, 2), backend="eager"), (), ValueError, "wrapped or compiled"),
        (nn.LazyLinear(3), (), ValueError, "no shape yet"),
        (nn.Linear(2, 2, dtype=torch.complex64), (), ValueError, "complex64"),
        (parametrizations.weight_norm(nn.Linear(2, 2)), (), ValueError, "_WeightNorm"),
        (torch_prune.identity(nn.Linear(2, 2), "weight"), (), ValueError, "from_torch"),
        (bnn.binarize_model(nn.Linear(2, 2), bnn.IdentitySTE(), skip=()), (), ValueError, "Binarizer"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value)[:20],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_refused(model, skip, error, message):
    with pytest.raises(error, match=message):
        prunable(model, skip)
    with pytest.raises(error, match=message):
        prune(model, sparsity=0.5, skip=skip)


def test_tied_weights():
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 3), nn.Linear(3, 4))
    model[2].weight = model[0].weight
    with pytest.raises(ValueError, match=r"'2\.weight' is one parameter with 0\.weight"):
        prune(model, sparsity=0.5)
    assert list(prune(model, sparsity=0.5, skip="last")) == ["1.weight"]
    assert Masks.of(model).alive == (9 - 4) + 12  # the tied one is read all the same


def test_a_parametrization_on_top_is_refused():
    model = nn.Linear(4, 4)
    prune(model, sparsity=0.5)
    nn.utils.parametrize.register_parametrization(model, "weight", nn.Tanh())
    for function in (remove, to_torch, prunable):
        with pytest.raises(ValueError, match="Mask and Tanh"):
            function(model)


def test_no_value_is_needed_on_the_host():
    model = net().eval()
    prune(model, sparsity=0.5)
    with on_fake_cuda(model), torch.no_grad():
        assert model(torch.empty(2, 2, 8, 8, device=CUDA)).device == CUDA
