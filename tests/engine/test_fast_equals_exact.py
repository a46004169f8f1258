"""The fast engine against the exact one: all families, non-linearities, poolings, path rules and dimensions.

The exact features are evaluated at the points of the fast engine's grids by dense sums. Three statements are tested:
with every grid full the two agree to rounding; with coarse grids they differ by what `error()` says, up to a factor;
and single precision is as good as it can be.
"""

import math
import random

import pytest
import torch
from engine.common import (
    FAMILIES,
    GRIDS,
    NONLINEARITIES,
    POOLINGS,
    distances,
    draw,
    energy_gaps,
    examples,
    name_of,
    network,
)
from hypothesis import assume, given
from hypothesis import strategies as hs

import scatter_theory as st
from scatter_theory.compiled import without_kernels
from scatter_theory.engine import _full_grid

FULL = 1000.0
#: The stated error is the largest on the probes. Fresh white noise has exceeded it by this factor at most, over all
#: families with the modulus: where the stated error is large both are close, where it is 1e-5 they are far apart.
FRESH = 5.0
#: Largest errors of all features together that any network here may have, by oversampling.
LARGEST = {1.0: 0.5, 2.0: 0.15}
#: Single precision: units in the last place per octave of the grid's size, relative to the norm of the signal.
ROUNDING = 1.2e-7


def full(phi, f, tolerance=1e-12, **options):
    """Features and energies of the fast engine with every grid full equal the exact ones."""
    fast = phi.rebuilt(engine="fast", oversampling=FULL, dtype=torch.float64, **options)
    assert all(group.shape == phi.grids[group.layer].shape for layer in fast._plan.groups for group in layer)
    found, expected = fast(f), phi(f)
    assert found.paths == expected.paths
    assert max(distances(found, expected)) <= tolerance
    assert max(energy_gaps(found, expected)) <= tolerance
    return found, expected


# --- full grids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frame", "d"), examples(), ids=name_of)
def test_every_family_with_the_modulus(frame, d):
    phi = network([st.Layer(frame, st.Modulus(), st.Subsample(2)), st.Layer(frame)], GRIDS[d])
    full(phi, draw((9, *GRIDS[d].shape), 1))


@pytest.mark.parametrize(("frame", "d"), examples(), ids=name_of)
def test_every_family_with_maps_that_stay_complex(frame, d):
    """Without a modulus bands stay where they are, and output atoms act on complex maps."""
    rho = NONLINEARITIES[1:][FAMILIES.index(type(frame)) % (len(NONLINEARITIES) - 1)]
    phi = network([st.Layer(frame, rho, st.Subsample(2)), st.Layer(frame, rho)], GRIDS[d])
    full(phi, draw((2, *GRIDS[d].shape), 1))


@pytest.mark.parametrize("rho", NONLINEARITIES, ids=repr)
@pytest.mark.parametrize(("sampling", "pooling"), POOLINGS, ids=str)
def test_every_nonlinearity_and_pooling(sampling, pooling, rho):
    """In one dimension all of them, in two and three one of six."""
    wavelets, position = st.frames.Wavelets(J=2), NONLINEARITIES.index(rho) + POOLINGS.index((sampling, pooling))
    for d in (1, 2, 3):
        if d > 1 and position % 6 != d:
            continue
        layers = [
            st.Layer(wavelets if d == 1 else st.frames.Wavelets(J=1), rho, pooling),
            st.Layer(st.frames.Taps("db2", J=1), rho),
        ]
        full(network(layers, GRIDS[d], 6, sampling=sampling), draw((3, *GRIDS[d].shape), 2))


@pytest.mark.parametrize("complex_input", [False, True])
@pytest.mark.parametrize("sided", ["half", "both", "real"])
@pytest.mark.parametrize("rho", [st.Modulus(), st.ReLU(), st.Tanh()], ids=repr)
def test_every_kind_of_bank_and_signal(rho, sided, complex_input):
    if sided == "half" and (complex_input or not isinstance(rho, st.Modulus)):
        pytest.skip("half banks are for real maps only")
    dtype = torch.complex128 if complex_input else torch.float64
    for d in (1, 2):
        frame = st.frames.Wavelets(J=2, sided=sided)
        phi = network(
            [st.Layer(frame, rho, st.Average(2)), st.Layer(frame, rho)], GRIDS[d], complex_input=complex_input
        )
        full(phi, draw((4, *GRIDS[d].shape), 3, dtype))
        if complex_input:  # Real signals are complex ones without imaginary part, and so are the features.
            f, fast = draw((4, *GRIDS[d].shape), 3), phi.rebuilt(engine="fast", dtype=torch.float64)
            for a, b in zip(fast(f), fast(f + 0j), strict=True):
                assert torch.allclose(a.values + 0j, b.values + 0j, rtol=0, atol=1e-14)


RULES = [
    st.AllPaths(),
    st.FrequencyDecreasing(),
    st.FixedPaths([(0, 1), (2,), (1, 3)]),
    st.FixedPaths([(3, 0), (0, 3), (1, 2), (3, 3), (2, 1)]),
    st.FixedPaths([(1,)]),
    st.FixedPaths([]),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("pooling", [st.Subsample(2), st.Average(2)], ids=repr)
def test_every_path_rule(rule, pooling):
    """Features in the order of the paths, and the energy of what the rule drops."""
    frame = st.frames.Wavelets(J=4)
    phi = st.FeatureExtractor([st.Layer(frame, st.Modulus(), pooling)] * 2, st.Grid.line(96), paths=rule)
    _, expected = full(phi, draw((5, 96), 4))
    assert bool((expected.pruned > 0).all()) == (not isinstance(rule, st.AllPaths))
    coarse = phi.rebuilt(engine="fast", dtype=torch.float64)(draw((5, 96), 4))
    assert [layer.paths for layer in coarse] == [layer.paths for layer in expected]
    assert max(energy_gaps(coarse, expected)) <= 1e-2


@given(data=hs.data())
def test_random_networks(data):
    """Two layers of different families on lengths of all kinds."""
    d = data.draw(hs.sampled_from([1, 1, 2, 3]))
    sampling, first = data.draw(hs.sampled_from(POOLINGS))
    second = data.draw(hs.sampled_from([p for s, p in POOLINGS if s == sampling]))
    high = {1: 60, 2: 16, 3: 8}[d]
    shape = tuple(data.draw(hs.integers(4, high)) for _ in range(d))
    if sampling == "decimate":
        shape = tuple(4 * max(n // 4, 2) for n in shape)
    chosen = [data.draw(hs.sampled_from([frame for frame, e in examples() if e == d])) for _ in range(2)]
    rhos = [data.draw(hs.sampled_from(NONLINEARITIES)) for _ in range(2)]
    layers = [st.Layer(*parts) for parts in zip(chosen, rhos, (first, second), strict=True)]
    complex_input = data.draw(hs.booleans())
    try:
        phi = network(layers, st.Grid.of(shape), 6, sampling=sampling, complex_input=complex_input)
    except ValueError:
        assume(False)
    batch = data.draw(hs.integers(0, 9))
    f = draw((batch, *shape), batch, phi.signal_dtype)
    found = phi.rebuilt(engine="fast", oversampling=FULL, dtype=torch.float64)(f)
    if batch:
        assert max(distances(found, phi(f))) <= 1e-12 + 4 * at_nyquist(phi)
        assert max(energy_gaps(found, phi(f))) <= 1e-12


def at_nyquist(phi):
    """Largest value of an output atom at a Nyquist frequency, relative to its peak.

    Off the samples it makes a difference whether that frequency is n/2, -n/2 or both; other tests decide which.
    """
    found = [0.0]
    for bank in phi.banks:
        for axis, n in enumerate(bank.grid.shape):
            if n % 2 == 0:
                found.append(float(bank.output.abs().select(axis, n // 2).max() / bank.output.abs().max()))
    return max(found)


# --- coarse grids ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "d", "oversampling"), [(f, d, o) for f, d in examples() for o in (1.0, 2.0)[: 1 + (d < 3)]], ids=name_of
)
def test_fresh_signals_are_about_as_bad_as_the_probes(frame, d, oversampling):
    """Relative to ||f||, all features together; energies within the same bound."""
    phi = network([st.Layer(frame, st.Modulus(), st.Subsample(2)), st.Layer(frame)], GRIDS[d], 12 if d < 3 else 6)
    fast = phi.rebuilt(engine="fast", oversampling=oversampling, dtype=torch.float64)
    f = draw((4, *GRIDS[d].shape), 20)
    found, expected = fast(f), phi(f)
    error, stated = math.hypot(*distances(found, expected)), fast.error().total
    assert error <= FRESH * stated + 1e-12
    assert error <= LARGEST[oversampling] and stated <= LARGEST[oversampling]
    assert fast.error(f).layers == pytest.approx(distances(found, expected), rel=1e-6, abs=1e-13)
    assert max(energy_gaps(found, expected)) <= 2 * max(error, stated) + 1e-4


@pytest.mark.parametrize(("sampling", "pooling"), POOLINGS, ids=str)
@pytest.mark.parametrize(
    ("rho", "oversampling"),
    [(st.Modulus(), 1.0), (st.Modulus(), 2.0), (st.ReLU(), 1.0), (st.Tanh(), 2.0), (st.PhaseReLU(), 1.0)],
    ids=repr,
)
def test_no_error_is_large(rho, sampling, pooling, oversampling):
    """Any pooling, homogeneous or not: for the others no factor relates the error to that of probes of another size."""
    frame = st.frames.Wavelets(J=2)
    phi = st.FeatureExtractor([st.Layer(frame, rho, pooling)] * 2, st.Grid.line(64), sampling=sampling)
    fast = phi.rebuilt(engine="fast", oversampling=oversampling, dtype=torch.float64)
    f = draw((3, 64), 21)
    found, expected = fast(f), phi(f)
    errors = distances(found, expected)
    assert math.hypot(*errors) <= LARGEST[oversampling]
    assert fast.error(f).layers == pytest.approx(errors, rel=1e-6, abs=1e-13)
    assert max(energy_gaps(found, expected)) <= 0.1


@pytest.mark.parametrize("kernel", [None, (0.25, 0.5, 0.25), (0.7, 0.1, 0.2)], ids=str)
@pytest.mark.parametrize("oversampling", [1.0, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("n", [60, 64, 100, 256])
def test_real_maps_have_real_features_after_an_average(n, oversampling, kernel):
    """The average is complex at the Nyquist frequency of a coarse grid, where the full grid has two frequencies."""
    layer = st.Layer(st.frames.Wavelets(J=3 if n > 200 else 2), st.Modulus(), st.Average(2, kernel=kernel))
    phi = st.FeatureExtractor([layer] * 2, st.Grid.line(n))
    fast, f = phi.rebuilt(engine="fast", oversampling=oversampling, dtype=torch.float64), draw((3, n), 22)
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # Else a real number made of a complex one is told of only once per process.
    try:
        for signal in (f, f.clone().requires_grad_()):
            found = fast(signal)
            assert not any(layer.values.is_complex() for layer in found)
            assert max(distances(found, phi(f))) <= 0.2
    finally:
        torch.set_warn_always(always)


def test_more_samples_have_smaller_errors():
    layers = [st.Layer(st.frames.Wavelets(J=4), st.Modulus(), st.Subsample(2))] * 2
    phi = st.FeatureExtractor(layers, st.Grid.line(512))
    f, errors = draw((4, 512), 23), []
    for oversampling in (1.0, 1.5, 2.0, 3.0, FULL):
        fast = phi.rebuilt(engine="fast", oversampling=oversampling, dtype=torch.float64)
        errors.append(math.hypot(*distances(fast(f), phi(f))))
    assert errors == sorted(errors, reverse=True) and errors[0] > 5 * errors[2] and errors[-1] <= 1e-12


def test_error_of_the_engine_is_what_it_says(monkeypatch):
    """Its parts, its text, its memory; zero for the exact engine. The blocks of the exact engine do not matter."""
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3), st.Modulus(), st.Subsample(2))] * 2, st.Grid.line(64))
    fast = phi.rebuilt(engine="fast", oversampling=1.0, dtype=torch.float64)
    f = torch.cat([draw((3, 64), 24), torch.zeros(1, 64, dtype=torch.float64)])
    stated, single = fast.error(f), [fast.error(x) for x in f]
    assert stated.layers == pytest.approx([max(s.layers[n] for s in single) for n in range(3)], rel=1e-12)
    totals = [s.total for s in single]
    assert stated.worst == f"signal {totals.index(max(totals))}" and stated.signals == 4 and totals[3] == 0
    assert stated.total >= max(totals) and stated.worst in str(stated)
    assert fast(f).error is fast.error() and fast.error() is fast.error()
    assert phi.error().total == 0 and phi(f).error is None
    assert fast.error(f[:0]).total == 0
    assert fast.error(f.reshape(2, 2, 64)).layers == stated.layers
    monkeypatch.setattr(_full_grid, "BLOCK_BYTES", 1)
    assert fast.error(f).layers == pytest.approx(stated.layers, rel=1e-9, abs=1e-14)


# --- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frame", "d"), examples(), ids=name_of)
def test_single_precision(frame, d):
    """One unit in the last place per octave of the number of samples, for the modulus and for a split map."""
    for rho in [st.Modulus()] if d == 3 else [st.SoftThreshold()] if d == 2 else [st.Modulus(), st.SoftThreshold()]:
        phi = network([st.Layer(frame, rho, st.Subsample(2)), st.Layer(frame, rho)], GRIDS[d], 6)
        f = draw((9, *GRIDS[d].shape), 30, torch.float32)
        single, double = (phi.rebuilt(engine="fast", dtype=t)(f.to(t)) for t in (torch.float32, torch.float64))
        budget = ROUNDING * math.log2(GRIDS[d].size)
        relative = single.distance(double, "layer") / double.remainder[0].sqrt()[:, None]
        assert all(a.values.dtype in (torch.float32, torch.complex64) for a in single)
        assert float(relative.max()) <= budget
        assert max(energy_gaps(single, double)) <= budget


@pytest.mark.parametrize("shape", [(2**15,), (2**13,), (192, 192)], ids=str)
def test_single_precision_of_large_grids(shape):
    """Long sums of single numbers keep their digits: maps with a large mean, every sample in one energy."""
    grid = st.Grid.of(shape)
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=6 if grid.ndim == 1 else 3))], grid, engine="fast")
    f = 1.0 + draw((8, *shape), 31, torch.float32)
    single, double = phi(f), phi.rebuilt(dtype=torch.float64)(f.double())
    budget = ROUNDING * math.log2(grid.size)
    assert float((single.distance(double) / double.remainder[0].sqrt()).max()) <= budget
    assert (
        max(float(((a - b).abs() / b).max()) for a, b in zip(single.remainder, double.remainder, strict=True)) <= budget
    )


# --- energies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [st.AllPaths(), st.FixedPaths([])], ids=["all", "some"])
@pytest.mark.parametrize(("frame", "d"), [(f, d) for f, d in examples() if f.tight], ids=name_of)
def test_energy_balance_of_tight_frames(frame, d, rule):
    """``||f||^2 = sum of the features, the residual and the pruned energy``, within the engine's error; S = 1."""
    phi = network([st.Layer(frame)] * 2, GRIDS[d])
    generator, counts = random.Random(1), [len(bank) for bank in phi.banks[:-1]]
    if isinstance(rule, st.FixedPaths):
        rule = st.FixedPaths([tuple(map(generator.randrange, counts)) for _ in range(5)])
    if math.prod(counts) > 200 and not isinstance(rule, st.FixedPaths):
        pytest.skip("too many paths")
    f = draw((3, *GRIDS[d].shape), 40)
    for oversampling in (1.0, FULL):
        fast = phi.rebuilt(engine="fast", oversampling=oversampling, dtype=torch.float64, paths=rule)
        features = fast(f)
        balance = (features.energy() + features.residual_energy + features.pruned) / GRIDS[d].energy(f)
        allowed = 1e-4 + 2 * fast.error(f).total if oversampling < FULL else 1e-4
        assert float((balance - 1).abs().max()) <= allowed
        kept = sum(features.remainder[0] * 0 + layer.energy().sum(-1) for layer in features.layers[:-1])
        booked = (kept + features.remainder[-1] + features.pruned) / GRIDS[d].energy(f)
        assert float((booked - 1).abs().max()) <= allowed


# --- gradients -------------------------------------------------------------------------------------------------------


def features_energy(features):
    """Energy of all features: a mean over the samples, so that grids of any number of samples compare."""
    return sum(layer.values.abs().square().flatten(2).mean(-1).sum(-1) for layer in features)


#: Quantity, and the accuracy: output grids leave out what of an output atom lies below 1e-4 of its peak.
QUANTITIES = {
    "features": (features_energy, 1e-3),
    "residual": (lambda features: features.residual_energy, 1e-3),
    "energy of layer 1": (lambda features: features.remainder[1], 1e-11),
    "energy of layer 2": (lambda features: features.remainder[2], 1e-11),
    "pruned": (lambda features: features.pruned, 1e-11),
}


def gradient(phi, f, quantity):
    f = f.clone().requires_grad_()
    return torch.autograd.grad(quantity(phi(f)).sum(), f)[0]


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("rho", [st.Modulus(), st.Tanh()], ids=repr)
@pytest.mark.parametrize("pooling", [st.Subsample(2), st.Average(2)], ids=repr)
def test_gradients_of_everything(pooling, rho, batch, name):
    """Of features and of energies, whatever the number of signals, with kernels and without."""
    frame, (quantity, tolerance) = st.frames.Wavelets(J=3), QUANTITIES[name]
    layers = [st.Layer(frame, rho, pooling), st.Layer(frame, rho)]
    phi = st.FeatureExtractor(layers, st.Grid.line(40), paths=st.FrequencyDecreasing())
    fast = phi.rebuilt(engine="fast", oversampling=FULL, dtype=torch.float64)
    f = draw((batch, 40), 50)
    found, expected = gradient(fast, f, quantity), gradient(phi, f, quantity)
    assert float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())
    with without_kernels():
        assert torch.allclose(found, gradient(fast, f, quantity), rtol=0, atol=1e-11 * float(found.abs().max()))
