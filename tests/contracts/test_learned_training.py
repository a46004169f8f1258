"""Extractors with learned frames: training, bounds after every step, nothing out of date, both engines, copies."""

import copy
import math
import pickle
import warnings
from dataclasses import dataclass, field

import pytest
import torch
from fake_cuda import CUDA, on_fake_cuda
from torch import nn
from torch.func import functional_call

import scatter_theory as st
from scatter_theory import config
from scatter_theory.frames import Atom, Bank, Filters, Frame, Learned
from scatter_theory.frames._learned import FORMS

TOLERANCE = 1e-12
LINE = st.Grid.line(16)


def learned(form, seed=0, **options):
    return Learned(**({"n_filters": 3, "support": 3, "d": 1, "parametrisation": form, "seed": seed} | options))


def network(form, grid=LINE, **options):
    """Two layers with filters of their own."""
    frames = [learned(form, seed, d=grid.ndim) for seed in (0, 1)]
    layers = [st.Layer(frames[0], st.Modulus(), st.Average(2)), st.Layer(frames[1], st.ReLU(), st.Subsample(2))]
    return st.FeatureExtractor(layers, grid, **options)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def vector(phi, x):
    """All features of a batch as one row of real numbers per signal."""
    values = [layer.values.flatten(1) for layer in phi(x)]
    return torch.cat([torch.view_as_real(v).flatten(1) if v.is_complex() else v for v in values], 1)


def loss_of(phi, x, y):
    """Of a linear read-out that is not learned: differences between two halves of the features."""
    means = torch.cat([layer.values.abs().mean(tuple(range(2, layer.values.ndim))) for layer in phi(x)], 1)
    return torch.nn.functional.softplus(-y * 8 * (means[:, ::2].sum(1) - means[:, 1::2].sum(1))).mean()


def train(parameters, loss, steps, after):
    optimiser = torch.optim.Adam(parameters, lr=0.05)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
        after()
    return losses


def excess(phi):
    """Largest excess of the bounds of all banks over their guarantee."""
    found = []
    for n, bank in enumerate(phi.banks):
        (A, B), (low, high) = bank.bounds(), phi.layers[min(n, phi.depth - 1)].frame.bounds()
        found += [low - A, B - high]
    return max(found)


def trained(form, steps, grid=LINE):
    phi = network(form, grid)
    x, y = noise(8, *grid.shape), torch.tensor([1.0, -1.0]).repeat(4)
    before = [w.detach().clone() for w in phi.parameters()]
    worst = []
    losses = train(phi.parameters(), lambda: loss_of(phi, x, y), steps, lambda: worst.append(excess(phi)))
    moved = max(float((w.detach() - b).abs().max()) for w, b in zip(phi.parameters(), before, strict=True))
    assert moved > 0.1 and losses[-1] < losses[0] - 0.02, "nothing was learned"
    assert len(worst) == steps and max(worst) <= TOLERANCE
    return phi, x


@pytest.mark.parametrize("form", FORMS)
def test_bounds_after_every_step(form):
    phi, x = trained(form, 60)
    assert max(c.value for c in phi.admissibility()) <= 1 + TOLERANCE and phi.certified_lipschitz().value <= 1 + 1e-12
    other = network(form)
    assert (vector(other, x) - vector(phi, x)).abs().max() > 1e-3
    other.load_state_dict(phi.state_dict())
    assert torch.equal(vector(other, x), vector(phi, x)) and excess(other) <= TOLERANCE
    for shape in ((33,), (14,)):
        assert excess(phi.rebuilt(grid=st.Grid.of(shape))) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_bounds_after_every_one_of_300_steps(form):
    trained(form, 300, st.Grid.of((8, 9)))


def test_the_loop_moves_the_bounds_of_free_filters():
    """The same loop, with filters that nothing holds: they leave the range, and the check says so."""
    taps, low = noise(3, 3).div(3).requires_grad_(), torch.full((3,), 1 / 3, dtype=torch.float64).requires_grad_()
    x, y = noise(8, 16), torch.tensor([1.0, -1.0]).repeat(4)
    bounds = []

    def loss():
        bank = Filters(taps, low).on(LINE)
        means = bank.analyse(x).abs().mean(-1)
        return torch.nn.functional.softplus(-y * 8 * (means[:, ::2].sum(1) - means[:, 1::2].sum(1))).mean()

    train([taps, low], loss, 60, lambda: bounds.append(tuple(Filters(taps, low).on(LINE).bounds())))
    assert bounds[-1][1] > 1.2 or bounds[-1][0] < 0.3


@pytest.mark.parametrize("form", FORMS)
def test_gradients_reach_the_weights(form):
    """Against central differences of the loss along a random direction."""
    phi, x, y = network(form), noise(4, 16, seed=3), torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss_of(phi, x, y).backward()
    direction = {name: noise(*w.shape, seed=7) for name, w in phi.named_parameters()}
    slope = sum(float((w.grad * direction[name]).sum()) for name, w in phi.named_parameters())
    values = []
    with torch.no_grad():
        for h in (1e-6, -1e-6):
            moved = {name: w + h * direction[name] for name, w in phi.named_parameters()}
            values.append(float(loss_of(lambda f, m=moved: functional_call(phi, m, (f,)), x, y)))
    assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5) and slope != 0
    assert all(w.grad is not None and w.grad.any() for w in phi.parameters())


def test_nothing_is_out_of_date():
    """Banks, bounds, atoms, features, plan and error follow the weights, however they were written."""
    phi = network("range")
    fast, x = phi.rebuilt(engine="fast", dtype=torch.float64, oversampling=1000.0), noise(2, 16)
    writes = [
        lambda w: w.mul_(3.0),
        lambda w: w.data.mul_(0.2),
        lambda w: setattr(w, "data", w.data.flip(0)),
        lambda w: w.copy_(noise(*w.shape, seed=4)),
        lambda w: w[0].zero_(),
    ]
    for write in writes:
        old, features, error = phi.banks, vector(phi, x).detach(), fast.error()
        with torch.no_grad():
            for weight in phi.parameters():
                write(weight)
            fresh = copy.deepcopy(phi).rebuilt()
            assert not torch.equal(phi.banks[0].spectra, old[0].spectra)
            for n, bank in enumerate(phi.banks):
                assert torch.equal(bank.spectra, fresh.banks[n].spectra) and not bank.spectra.requires_grad
                assert torch.equal(phi.output_atom(n), bank.output)
            assert torch.equal(phi.atoms(0), phi.banks[0].spectra) and torch.equal(fast.atoms(0), phi.atoms(0))
            assert phi.certified_lipschitz() == fresh.certified_lipschitz()
            assert (vector(phi, x) - features).abs().max() > 1e-4
            assert torch.equal(vector(phi, x), vector(fresh, x))
            planned = fresh.rebuilt(engine="fast", dtype=torch.float64, oversampling=1000.0)
            assert torch.equal(vector(fast, x), vector(planned, x)), "the plan is out of date"
            assert fast.error() is not error and fast.error().total <= 1e-3
    assert phi.banks is phi.banks, "without a change nothing is made anew"


def test_every_way_through_the_network_uses_the_same_atoms():
    phi, x = network("canonical"), noise(2, 16)
    features = phi(x)
    rows = {tuple(q): layer.values[:, i] for layer in features for i, q in enumerate(layer.paths)}
    for step in phi.walk(x):
        assert torch.allclose(step.S, rows[tuple(step.path)], atol=1e-15) and step.S.requires_grad
    for part in phi.stream(x):
        for i, q in enumerate(part.paths):
            assert torch.allclose(part.values[:, i], rows[tuple(q)][part.signals], atol=1e-15)
    U = phi.propagate(x, (1, 2))
    assert torch.allclose(U, next(s.U for s in phi.walk(x) if tuple(s.path) == (1, 2)), atol=1e-15)
    chosen = phi.rebuilt(paths=st.MaximumCount(2))(x)
    assert [len(layer.paths) for layer in chosen] == [1, 2, 2] and next(iter(chosen)).values.requires_grad
    with pytest.raises(ValueError, match="entry 0 is not an atom of layer 1"):
        phi.propagate(x, (3,))


@pytest.mark.parametrize("form", FORMS)
def test_the_fast_engine_evaluates_and_refuses_to_train(form):
    phi = network(form, engine="fast", dtype=torch.float64)
    x = noise(2, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(vector(phi, x).abs().sum(), x)
    assert gradient.any() and all(w.grad is None for w in phi.parameters())
    with pytest.raises(RuntimeError, match="holds the atoms as constants"):
        vector(phi, x).abs().sum().backward()
    with pytest.raises(RuntimeError, match="holds the atoms as constants"):
        sum(part.values.abs().sum() for part in phi.stream(x)).backward()
    with torch.no_grad():
        assert not vector(phi, x).requires_grad
        assert torch.equal(vector(phi, x), vector(copy.deepcopy(phi), x))
    phi.requires_grad_(False)
    vector(phi, x).abs().sum().backward()
    assert torch.allclose(x.grad, gradient)


@pytest.mark.parametrize("form", FORMS)
def test_copies_are_independent(form):
    phi, x = network(form), noise(2, 16)
    vector(phi, x).sum().backward()
    for twin in (copy.deepcopy(phi), pickle.loads(pickle.dumps(phi))):
        assert torch.equal(vector(twin, x), vector(phi, x)) and twin.state_dict().keys() == phi.state_dict().keys()
        with torch.no_grad():
            for w in twin.parameters():
                w += noise(*w.shape)
        assert (vector(twin, x) - vector(phi, x)).abs().max() > 1e-3
        assert not torch.equal(twin.banks[0].spectra, phi.banks[0].spectra)
        modules = {id(m) for m in twin.learned}
        assert {id(layer.frame.module) for layer in twin.layers} == modules, "frames and extractor have one module"


def test_shared_and_derived_frames_are_registered_once():
    frame = learned("range")
    layer = st.Layer(frame, st.ReLU()).normalised()
    phi = st.FeatureExtractor([layer, layer], LINE, final=frame)
    assert [name for name, _ in phi.named_parameters()] == ["learned.0.kernels"]
    assert phi.rebuilt().learned[0] is frame.module, "a rebuilt network shares the weights"
    mixed = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1)), st.Layer(frame)], LINE)
    assert len(list(mixed.parameters())) == 1 and len(list(mixed.buffers())) == 4
    vector(mixed, noise(2, 16)).sum().backward()
    assert frame.module.kernels.grad.any()
    fixed = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1))], LINE)
    assert list(fixed.parameters()) == [] and list(fixed.state_dict()) == [] and "learned" not in repr(fixed)


@pytest.mark.parametrize("form", FORMS)
def test_precision(form):
    phi, x = network(form), noise(2, 16)
    single = network(form, dtype=torch.float32)
    assert {w.dtype for w in single.parameters()} == {torch.float64} and excess(single) <= TOLERANCE
    exact = vector(phi, x).detach()
    assert vector(single, x.float()).dtype == torch.float32
    assert 1e-9 < (vector(single, x.float()).detach() - exact).abs().max() < 1e-5
    phi.float()
    assert phi.dtype == torch.float32 and {w.dtype for w in phi.parameters()} == {torch.float32}
    assert (vector(phi, x.float()).detach() - exact).abs().max() < 1e-5
    assert excess(phi) <= TOLERANCE, "bounds are those of the rounded weights, and hold for them"
    vector(phi, x.float()).sum().backward()
    phi.double()
    assert phi.dtype == torch.float64 and (vector(phi, x).detach() - exact).abs().max() < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_a_pass_needs_nothing_from_the_host(form):
    phi = network(form)
    with on_fake_cuda(phi), torch.no_grad():
        assert phi.device == CUDA
        features = phi(torch.empty(2, 16, dtype=torch.float64, device=CUDA))
        assert all(layer.values.device == CUDA for layer in features)


@pytest.mark.parametrize("form", ["canonical", "softmax", "complement"])
def test_verifiers(form):
    """On a network in the middle of training: verdicts as for fixed frames, gradients of the user untouched."""
    phi = network(form)
    x, y = noise(4, 16), torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss_of(phi, x, y).backward()
    before = [w.grad.clone() for w in phi.parameters()]
    effort = st.verify.Effort(random=2, structured=4, steps=3)
    for check in (st.verify.lipschitz, st.verify.energy, st.verify.translation):
        assert check(phi, effort=effort, generator=0).outcome is st.Outcome.HOLDS
    assert st.verify.admissibility(phi).outcome is st.Outcome.HOLDS
    assert all(torch.equal(w.grad, b) for w, b in zip(phi.parameters(), before, strict=True))


def test_a_bound_that_training_broke_is_seen():
    """Range up to 4: with large weights the network is not admissible any more, and the verifier says so."""
    phi = st.FeatureExtractor(
        [st.Layer(learned("range", A=0.1, B=4.0).scaled(0.6))], LINE, final=st.frames.Taps("db2", J=1)
    )
    with torch.no_grad():
        phi.learned[0].kernels *= 0.1
    assert st.verify.admissibility(phi).outcome is st.Outcome.HOLDS
    with torch.no_grad():
        phi.learned[0].kernels *= 1000
    assert st.verify.admissibility(phi).outcome is st.Outcome.VIOLATED
    with pytest.warns(st.AdmissibilityWarning, match="= 1.4"):
        phi.rebuilt()


def test_rules_that_compare_frequencies_are_refused():
    layers = network("softmax").layers
    with pytest.raises(ValueError, match=r"paths=FrequencyDecreasing\(\)\)`: atoms of learned frames have no fixed"):
        st.FeatureExtractor(layers, LINE, paths=st.FrequencyDecreasing())
    phi = st.FeatureExtractor(layers, LINE, paths=st.FixedPaths([(0, 1)]))
    assert [tuple(q) for q in phi(noise(16)).paths] == [(), (0,), (0, 1)]


class Fixed(nn.Module):
    """Other kernels in place of the learned ones, and a weight besides."""

    def __init__(self, shape):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape, dtype=torch.float64))

    def forward(self, kernels):
        return kernels.flip(1) * self.scale


def test_parametrised_weights_are_followed():
    phi, x = network("canonical"), noise(2, 16)
    old, features = phi.banks[0], vector(phi, x).detach()
    module = phi.learned[0]
    nn.utils.parametrize.register_parametrization(module, "kernels", Fixed(module.kernels.shape))
    assert (phi.banks[0].spectra - old.spectra).abs().max() > 1e-3 and excess(phi) <= TOLERANCE
    assert (vector(phi, x) - features).abs().max() > 1e-4


class Threshold(nn.Module):
    """A weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))


@dataclass(frozen=True, eq=False, repr=False)
class Growing(Frame):
    """A frame whose number of atoms depends on a weight."""

    module: Threshold = field(default_factory=Threshold)

    @classmethod
    def example(cls, d):
        return cls()

    def on(self, grid, *, reference=None, sided=None, real=False):
        n = 1 if self.module.weight < 1 else 2
        one = torch.ones(grid.shape, dtype=torch.float64)
        atoms = tuple(Atom(f"{k}", 1.0, (0.0,), real=True) for k in range(n))
        return Bank(grid, atoms, torch.stack([one] * n) / 4, one / 4, "real", "Growing()")


def test_frames_whose_structure_depends_on_weights_are_refused():
    phi = st.FeatureExtractor([st.Layer(Growing())], LINE)
    with torch.no_grad():
        phi.learned[0].weight.fill_(0.9)
    assert len(phi.banks[0]) == 1
    with torch.no_grad():
        phi.learned[0].weight.fill_(2.0)
    with pytest.raises(RuntimeError, match=r"the frame of layer 1 has other atoms: \('real', \('0', '1'\), True\)"):
        _ = phi.banks


def test_a_weight_that_is_lost_is_named():
    phi = network("canonical")
    with torch.no_grad():
        phi.learned[1].kernels[0, 0] = math.nan
    for use in (lambda: phi(noise(16)), lambda: phi.banks, lambda: phi.describe()):
        with pytest.raises(ValueError, match=r"the weight `kernels` is not finite at index \(0, 0\)"):
            use()


def test_networks_of_a_file():
    table = {"kind": "Learned", "n_filters": 2, "support": 3, "d": 1, "parametrisation": "complement"}
    phi = config.network({"grid": {"shape": [16]}, "layer": [{"frame": table}]})
    assert [name for name, _ in phi.named_parameters()] == ["learned.0.kernels"]
    with pytest.raises(config.ConfigError, match="got 'tight'"):
        config.network({"grid": {"shape": [16]}, "layer": [{"frame": table | {"parametrisation": "tight"}}]})


def test_inference_mode_leaves_usable_banks():
    phi, x = network("canonical"), noise(2, 16)
    with torch.no_grad():
        phi.learned[0].kernels.mul_(-1.0)[1] *= 3
    with torch.inference_mode():
        vector(phi, x)
        _ = phi.banks
    f = x.clone().requires_grad_()
    phi.banks[0].analyse(f).abs().sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f.grad.any() and "A = " in repr(phi.banks[0])
