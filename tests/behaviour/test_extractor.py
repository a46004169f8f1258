"""The extractor against its definition: a slow second implementation, exact identities, path rules, cost."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from slow_network import Given, network

import scatter_theory as st
from scatter_theory.engine import _full_grid

EVERYWHERE = [st.Grid.line(32, sample_rate=4.0), st.Grid.of((12, 15)), st.Grid.of((6, 8, 4), sample_rate=0.5)]


def draw(grid, batch=(), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*batch, *grid.shape, dtype=dtype, generator=generator)


def wavelets(J=2, **options):
    return st.frames.Wavelets(J=J, **options)


def worst(a, b):
    """Largest difference of two Features, over all layers."""
    assert a.paths == b.paths
    return max(float((x.values - y.values).abs().max()) for x, y in zip(a, b, strict=True) if x.values.numel())


# --- against the definition ------------------------------------------------------------------------------------------

POOLINGS = {  # name: (pooling, reduction, S, W)
    "none": (st.NoPooling(), "first", 1, 1),
    "subsample": (st.Subsample(2), "first", 2, 1),
    "average": (st.Average(2), "mean", 2, 2),
    "max": (st.Max(2), "max", 2, 2),
    "overlapping max": (st.Max(2, window=3), "max", 2, 3),
}
MAPS = {
    "modulus": st.Modulus(),
    "relu": st.ReLU(),
    "tanh": st.Tanh(),
    "sigmoid": st.Sigmoid(),
    "soft": st.SoftThreshold(0.1),
    "leaky": st.LeakyReLU(0.01),
    "identity": st.Identity(),
}


def definition(f, grid, modules, final, sampling):
    """The slow network for layers (frame, name of the map, name of the pooling), with full banks everywhere."""
    layers, here = [], grid
    for frame, name, pooling in modules:
        bank = frame.on(here, reference=grid, sided="both")
        _, reduce, S, W = POOLINGS[pooling]
        layers.append((bank.output.numpy(), bank.spectra.numpy(), name, (reduce, S, W)))
        h = tuple(step / S for step in here.spacing) if sampling == "dilate" else here.spacing
        here = st.Grid(here.shape if sampling == "dilate" else tuple(n // S for n in here.shape), h)
    return network(f, layers, final.on(here, reference=grid, sided="both").output.numpy(), sampling)


CHAINS = [
    ((24,), [("modulus", "subsample"), ("modulus", "subsample"), ("modulus", "none")]),
    ((24,), [("tanh", "average"), ("modulus", "subsample")]),
    ((16,), [("relu", "subsample"), ("sigmoid", "average")]),
    ((15,), [("leaky", "none"), ("soft", "none")]),
    ((24,), [("identity", "average"), ("relu", "none")]),
    ((24,), [("tanh", "max"), ("relu", "overlapping max")]),
    ((6, 8), [("modulus", "subsample"), ("tanh", "none")]),
    ((8, 6), [("relu", "average"), ("modulus", "none")]),
    ((8, 8), [("sigmoid", "overlapping max"), ("soft", "average")]),
    ((4, 6, 2), [("modulus", "average"), ("relu", "none")]),
    ((4, 4, 4), [("tanh", "max")]),
]


@pytest.mark.parametrize(
    ("shape", "modules", "sampling"),
    [(*chain, "decimate") for chain in CHAINS] + [(*chain, "dilate") for chain in CHAINS if "max" not in str(chain)],
    ids=str,
)
def test_every_map_agrees_with_the_definition(shape, modules, sampling):
    """U[q]f and (U[q]f) * chi of all paths; each layer has its own frame, and the last output another."""
    grid, J = st.Grid.of(shape, sample_rate=2.0), 2 if min(shape) >= 6 else 1
    frames = [wavelets(J, sided="both"), wavelets(1, step="linear", sided="both").scaled(0.9)]
    frames.append(wavelets(J, step="sharp", sided="both"))
    modules = [(frame, *module) for frame, module in zip(frames, modules, strict=False)]
    final = wavelets(1, sided="both").scaled(1.1)
    layers = [st.Layer(frame, MAPS[name], POOLINGS[pooling][0]) for frame, name, pooling in modules]
    phi = st.FeatureExtractor(layers, grid, final=final, sampling=sampling)
    f = draw(grid)
    expected = definition(f.numpy(), grid, modules, final, sampling)
    seen = set()
    for step in phi.walk(f):
        u, features = (torch.tensor(x) for x in expected[step.path])
        assert float((step.U - u).abs().max()) <= 1e-12
        assert float((step.S - features).abs().max()) <= 1e-12
        seen.add(step.path)
    assert seen == set(expected)


@pytest.mark.parametrize("name", ["modulus", "relu", "tanh"])
@pytest.mark.parametrize("shape", [(12,), (4, 6)], ids=str)
def test_random_complex_atoms_and_signals_agree_with_the_definition(shape, name):
    grid = st.Grid.of(shape)
    frames = [Given(shape, 3, seed=1), Given(shape, 2, seed=2)]
    phi = st.FeatureExtractor([st.Layer(g, MAPS[name]) for g in frames], grid, complex_input=True)
    f = draw(grid, dtype=torch.complex128)
    expected = definition(f.numpy(), grid, [(g, name, "none") for g in frames], frames[-1], "dilate")
    features = phi(f)
    for layer in features:
        for i, path in enumerate(layer.paths):
            assert float((layer.values[i] - torch.tensor(expected[path][1])).abs().max()) <= 1e-12
    assert len(features.paths) == len(expected)


def test_output_atom_belongs_to_the_next_frame():
    """Closed form: a tone of an analytic half bank has constant maps, so each layer shows its output atom's factor.

    With frames scaled by c1, c2 and a final one by c3, the tone cos(2 pi k x / N) far above the low-pass leaves nothing
    at layer 0, ``(c1 c2)^2 ||f||^2`` at layer 1 and nothing at layer 2; with a single layer ``(c1 c3)^2 ||f||^2``.
    """
    grid = st.Grid.line(64)
    f = torch.cos(2 * math.pi * 20 * torch.arange(64, dtype=torch.float64) / 64)
    one, two, last = (wavelets(4).scaled(c) for c in (0.5, 0.7, 0.9))
    phi = st.FeatureExtractor([st.Layer(one), st.Layer(two)], grid, final=last)
    energies = phi(f).energy("layer") / grid.energy(f)
    assert energies.tolist() == pytest.approx([0, (0.5 * 0.7) ** 2, 0], abs=1e-13)
    energies = st.FeatureExtractor([st.Layer(one)], grid, final=last)(f).energy("layer") / grid.energy(f)
    assert energies.tolist() == pytest.approx([0, (0.5 * 0.9) ** 2], abs=1e-13)
    default = st.FeatureExtractor([st.Layer(one), st.Layer(two)], grid)
    explicit = st.FeatureExtractor([st.Layer(one), st.Layer(two)], grid, final=two)
    noise = draw(grid)
    assert worst(default(noise), explicit(noise)) == 0
    constant = phi(torch.ones(64, dtype=torch.float64)).energy("layer") / 64
    assert constant.tolist() == pytest.approx([0.5**2, 0, 0], abs=1e-13)


# --- exact identities ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", [st.NoPooling(), st.Subsample(2), st.Subsample(1.7)], ids=repr)
@pytest.mark.parametrize("grid", EVERYWHERE, ids=str)
def test_energy_identity(grid, pooling):
    """Tight frames, modulus, no pooling loss: ``||f||^2 = sum_{n<N} |||Phi^n||| ^2 + W_N`` to rounding, at every N."""
    phi = st.FeatureExtractor([st.Layer(wavelets(), st.Modulus(), pooling)] * 3, grid)
    f = draw(grid, (4,))
    features, energy = phi(f), grid.energy(f)
    layers = features.energy("layer")
    for n in range(4):
        balance = layers[:, :n].sum(-1) + features.remainder[n]
        assert float((balance / energy - 1).abs().max()) <= 1e-13
    total = features.energy() + features.residual_energy
    assert float((total / energy - 1).abs().max()) <= 1e-13
    assert float(features.pruned.abs().max()) == 0


@pytest.mark.parametrize("sided", ["half", "both", "real"])
def test_energy_identity_on_every_kind_of_bank(sided):
    grid = st.Grid.line(31)
    phi = st.FeatureExtractor([st.Layer(wavelets(sided=sided))] * 2, grid)
    f = draw(grid, (3,))
    features = phi(f)
    assert float(((features.energy() + features.residual_energy) / grid.energy(f) - 1).abs().max()) <= 1e-13


@pytest.mark.parametrize("nonlinearity", [st.Modulus(), st.ReLU(), st.Tanh(), st.GELU()], ids=repr)
@pytest.mark.parametrize("grid", EVERYWHERE, ids=str)
def test_covariance_under_whole_shifts(grid, nonlinearity):
    """Mode dilate: ``Phi^n(T_m f)`` is ``Phi^n(f)`` moved by the same m samples of the relabelled grid."""
    poolings = [st.Subsample(2), st.Average(2), st.NoPooling()]
    phi = st.FeatureExtractor([st.Layer(wavelets(), nonlinearity, p) for p in poolings], grid)
    f, shift = draw(grid, (2,)), tuple(range(1, grid.ndim + 1))
    for before, after in zip(phi(f), phi(grid.translate(f, shift)), strict=True):
        assert float((before.grid.translate(before.values, shift) - after.values).abs().max()) <= 1e-12


@pytest.mark.parametrize("pooling", [st.Subsample(2), st.Average(2), st.Max(2), st.Max(2, window=3)], ids=repr)
@pytest.mark.parametrize("shape", [(32,), (8, 12), (8, 8, 8)], ids=str)
def test_covariance_under_shifts_by_the_product_of_factors(shape, pooling):
    """Mode decimate: a shift by ``S_1 ... S_n`` samples moves layer n by one sample; another one does not commute."""
    grid = st.Grid.of(shape)
    phi = st.FeatureExtractor([st.Layer(wavelets(1), st.Modulus(), pooling)] * 2, grid, sampling="decimate")
    f, shift = draw(grid), tuple(4 * m for m in range(1, grid.ndim + 1))
    before, after = phi(f), phi(grid.translate(f, shift))
    for n, (a, b) in enumerate(zip(before, after, strict=True)):
        moved = a.grid.translate(a.values, tuple(m // 2**n for m in shift))
        assert float((moved - b.values).abs().max()) <= 1e-12
    odd = phi(grid.translate(f, (1,) * grid.ndim)).layers[1].values
    still, moved = before.layers[1].values, before.layers[1].grid.translate(before.layers[1].values, (1,) * grid.ndim)
    assert min(float((odd - x).abs().max()) for x in (still, moved)) > 1e-3


def test_walk_forward_and_propagate_agree():
    grid = st.Grid.of((8, 6))
    layers = [st.Layer(wavelets(), st.ReLU(), st.Subsample(2)), st.Layer(wavelets(1), st.Modulus())]
    phi = st.FeatureExtractor(layers, grid)
    f = draw(grid, (2, 3))
    features = phi(f)
    values = {q: layer.values[..., i, :, :] for layer in features for i, q in enumerate(layer.paths)}
    energies = dict(zip(features.paths, features.energy("path").unbind(-1), strict=True))
    remainder = [torch.zeros(2, 3, dtype=torch.float64) for _ in range(3)]
    for step in phi.walk(f):
        assert step.S.shape == (2, 3, 8, 6)
        assert torch.equal(step.S, values[step.path])
        assert float((phi.propagate(f, step.path) - step.U).abs().max()) <= 1e-14
        assert torch.allclose(step.grid.energy(step.S), energies[step.path], rtol=1e-14, atol=0)
        remainder[step.path.n] += step.grid.energy(step.U)
    for a, b in zip(remainder, features.remainder, strict=True):
        assert torch.allclose(a, b, rtol=1e-13, atol=0)
    assert features.flatten().shape == (2, 3, len(features.paths) * 48)


@pytest.mark.parametrize("shape", [(32,), (31,)], ids=str)
def test_half_and_full_bank_are_isometric(shape):
    """After a modulus both members of a conjugate pair give the same map: norms and distances of features agree."""
    grid = st.Grid.of(shape)
    layer = {side: st.Layer(wavelets(3, sided=side), st.Modulus(), st.Subsample(2)) for side in ("half", "both")}
    half, full = (st.FeatureExtractor([layer[side]] * 2, grid) for side in ("half", "both"))
    f, h = draw(grid, (4,), 1), draw(grid, (4,), 2)
    assert len(half(f).paths) < len(full(f).paths)
    for by in ("layer", None):
        assert torch.allclose(half(f).energy(by), full(f).energy(by), rtol=1e-13, atol=0)
        assert torch.allclose(half(f).distance(half(h), by), full(f).distance(full(h), by), rtol=1e-13, atol=0)
    for a, b in zip(half(f).remainder, full(f).remainder, strict=True):
        assert torch.allclose(a, b, rtol=1e-13, atol=0)


# --- chunks, paths, cost ---------------------------------------------------------------------------------------------

RULES = [
    st.AllPaths(),
    st.FrequencyDecreasing(),
    st.FixedPaths([(0, 1), (2,), (1, 3)]),
    st.MaximumCount(3),
    st.EnergyThreshold(0.02),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("budget", [1, 3000])
def test_chunks_do_not_change_results(monkeypatch, rule, budget):
    grid = st.Grid.line(32)
    phi = st.FeatureExtractor([st.Layer(wavelets(3), st.Modulus(), st.Subsample(2))] * 2, grid, paths=rule)
    f = draw(grid, (7,))
    whole = phi(f)
    monkeypatch.setattr(_full_grid, "BLOCK_BYTES", budget)
    assert len(phi._full.batches(f)) > 1
    chunked = phi(f)
    assert worst(whole, chunked) <= 1e-14
    for a, b in zip((*whole.remainder, whole.pruned), (*chunked.remainder, chunked.pruned), strict=True):
        assert torch.allclose(a, b, rtol=1e-14, atol=1e-14)
    assert [step.path for step in phi.walk(f)] != [] and set(s.path for s in phi.walk(f)) == set(whole.paths)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_pruned_energy_closes_the_balance(rule):
    grid = st.Grid.line(64)
    phi = st.FeatureExtractor([st.Layer(wavelets(3), st.Modulus(), st.Subsample(2))] * 2, grid, paths=rule)
    f = draw(grid, (5,))
    features = phi(f)
    balance = features.energy() + features.residual_energy + features.pruned
    assert float((balance / grid.energy(f) - 1).abs().max()) <= 1e-13
    full = st.FeatureExtractor(phi.layers, grid)(f)
    assert set(features.paths) <= set(full.paths)
    assert (len(features.paths) < len(full.paths)) == bool((features.pruned > 0).all())
    for layer in features:
        assert list(layer.paths) == sorted(layer.paths)
        assert all(q[:-1] in features.paths for q in layer.paths)


@pytest.mark.parametrize("sampling", ["dilate", "decimate"])
@pytest.mark.parametrize("S", [1, 2, 4])
def test_frequency_decreasing_compares_on_the_original_axis(S, sampling):
    """The centroid frequency of the child, divided by S, must lie below the parent's: from spectra, not from labels."""
    grid = st.Grid.line(128)
    layer = st.Layer(wavelets(4, sided="both"), st.Modulus(), st.Subsample(S))
    phi = st.FeatureExtractor([layer] * 2, grid, paths=st.FrequencyDecreasing(), sampling=sampling)

    def centroid(bank, i):
        power, xi = bank[i].abs() ** 2, bank.grid.frequencies()[0].abs()
        return float((power * xi).sum() / power.sum())

    expected = {
        (a, b)
        for a in range(len(phi.banks[0]))
        for b in range(len(phi.banks[1]))
        if centroid(phi.banks[1], b) / S < (1 - 1e-9) * centroid(phi.banks[0], a)
    }
    chosen = {tuple(q) for q in phi(draw(grid)).layers[2].paths}
    assert chosen == expected and 0 < len(chosen) < len(phi.banks[0]) * len(phi.banks[1])


def test_energy_rules_keep_the_most_energetic_candidates():
    grid = st.Grid.line(64)
    layers = [st.Layer(wavelets(4))] * 2
    f = draw(grid, (3,))
    full = st.FeatureExtractor(layers, grid)
    shares = {
        step.path: float((grid.energy(step.U) / grid.energy(f)).max()) for step in full.walk(f) if step.path.n == 1
    }
    best = sorted(shares, key=shares.get)[-2:]
    assert set(st.FeatureExtractor(layers, grid, paths=st.MaximumCount(2))(f).layers[1].paths) == set(best)
    limit = sorted(shares.values())[1] * (1 + 1e-9)
    kept = st.FeatureExtractor(layers, grid, paths=st.EnergyThreshold(limit))(f).layers[1].paths
    assert set(kept) == {q for q, share in shares.items() if share > limit}
    nothing = st.FeatureExtractor(layers, grid, paths=st.EnergyThreshold(0.999))(f)
    assert [len(layer.paths) for layer in nothing] == [1, 0, 0]
    assert nothing.layers[1].values.shape == (3, 0, 64)
    assert torch.allclose(nothing.energy() + nothing.pruned, grid.energy(f), rtol=1e-13)


def test_frozen_makes_a_signal_dependent_choice_comparable():
    grid = st.Grid.line(64)
    phi = st.FeatureExtractor([st.Layer(wavelets(4))] * 2, grid, paths=st.EnergyThreshold(0.05))
    f, h = draw(grid, seed=1), draw(grid, seed=5)
    chosen = phi(f)
    with pytest.raises(ValueError, match=r"path sets differ.*FixedPaths"):
        chosen.distance(phi(h))
    frozen = phi.frozen(chosen)
    assert worst(frozen(f), chosen) == 0
    assert float(frozen(f).distance(frozen(h))) <= float(grid.norm(f - h))


def test_rebuilt_keeps_everything_it_is_not_told_to_change():
    grid = st.Grid.line(32)
    phi = st.FeatureExtractor(
        [st.Layer(wavelets(), st.Tanh(), st.Subsample(2))],
        grid,
        final=wavelets(3),
        paths=st.FixedPaths([(1,)]),
        sampling="decimate",
        complex_input=True,
        dtype=torch.float32,
        max_bytes=12345,
    )
    f = draw(grid, dtype=torch.complex64)
    again = phi.rebuilt()
    assert repr(again) == repr(phi) and again.max_bytes == 12345 and again.dtype == torch.float32
    assert worst(again(f), phi(f)) == 0
    assert len(phi.rebuilt(paths=st.AllPaths())(f).paths) > 2


def test_finer_sampling_of_the_same_network():
    """A band-limited signal and a linear network: twice the samples, the coarse grid as reference, equal features."""
    grid, fine = st.Grid.line(32, length=1.0), st.Grid.line(64, length=1.0)
    phi = st.FeatureExtractor([st.Layer(wavelets(3, sided="both"), st.Identity())], grid)
    finer = phi.rebuilt(grid=fine, reference=grid)

    def f(x):
        return torch.cos(2 * math.pi * 3 * x) + torch.sin(2 * math.pi * 1 * x)

    a, b = phi(f(grid.points()[0])), finer(f(fine.points()[0]))
    assert torch.allclose(a.layers[0].values, b.layers[0].values[..., ::2], rtol=0, atol=1e-13)
    assert torch.allclose(a.norm(), b.norm(), rtol=1e-12)


def test_cost_is_exact():
    """By hand: 3 half-bank atoms, then 4 (one octave more after S = 2); tanh needs 6 and 8 and gives complex maps."""
    grid = st.Grid.line(64)
    f = draw(grid, (5,))
    phi = st.FeatureExtractor([st.Layer(wavelets(3), st.Modulus(), st.Subsample(2))] * 2, grid)
    cost = phi.plan(batch=5)
    assert cost.paths == (1, 3, 12)
    assert cost.coefficients == 16 * 64
    assert cost.feature_bytes == 5 * 16 * 64 * 8
    assert "16 paths (1 + 3 + 12), 1024 coefficients" in str(cost)
    assert cost.feature_bytes == sum(layer.values.nbytes for layer in phi(f))
    phi = st.FeatureExtractor([st.Layer(wavelets(3), st.Tanh(), st.Subsample(2))] * 2, grid, dtype=torch.float32)
    cost = phi.plan(batch=5)
    assert cost.paths == (1, 6, 48)
    assert cost.feature_bytes == 5 * 64 * 4 * (1 + 2 * 6 + 2 * 48)
    assert cost.feature_bytes == sum(layer.values.nbytes for layer in phi(f.float()))
    layers = [st.Layer(wavelets(3), st.Modulus(), st.Subsample(2))] * 2
    decimated = st.FeatureExtractor(layers, grid, sampling="decimate")
    assert decimated.plan().coefficients == 64 + 3 * 32 + 9 * 16
    with pytest.raises(ValueError, match=r"MaximumCount\(count=2\) chooses paths by the signals"):
        st.FeatureExtractor([st.Layer(wavelets())], grid, paths=st.MaximumCount(2)).plan()


def test_networks_that_do_not_fit_are_refused_before_they_run():
    """1 + 3 + 12 paths of 64 values of 8 bytes are 8192 bytes."""
    grid = st.Grid.line(64)
    layers = [st.Layer(wavelets(3), st.Modulus(), st.Subsample(2))] * 2
    assert st.FeatureExtractor(layers, grid, max_bytes=8192).plan().feature_bytes == 8192
    with pytest.raises(ValueError, match=r"layer 2 alone would have at least 12 paths.*7.63e-06 GiB, above max_bytes"):
        st.FeatureExtractor(layers, grid, max_bytes=8191)
    with pytest.raises(ValueError, match="layer 2 alone"):
        st.FeatureExtractor(layers, grid, paths=st.FrequencyDecreasing(), max_bytes=3000)
    with pytest.raises(ValueError, match=r"layer 2 alone would have at least 12 paths"):
        st.FeatureExtractor(layers, grid, paths=st.EnergyThreshold(0.0), max_bytes=8191)(draw(grid))
    with pytest.raises(ValueError, match=r"would have at least \d{5,} paths.*GiB"):
        st.FeatureExtractor([st.Layer(wavelets(6), st.Tanh(), st.Subsample(2))] * 5, st.Grid.line(512))


# --- constants -------------------------------------------------------------------------------------------------------


def dense(phi):
    """Matrix of a real-linear extractor in orthonormal coordinates: columns are features of unit signals."""
    grid, columns = phi.grid, []
    units = torch.eye(grid.size, dtype=torch.float64).reshape(-1, *grid.shape) / math.sqrt(grid.cell_volume)
    features = phi(units)
    for layer in features:
        values = torch.view_as_real(layer.values + 0j).flatten(1)
        columns.append(values * math.sqrt(layer.grid.cell_volume))
    return torch.cat(columns, 1)


@pytest.mark.parametrize("sampling", ["dilate", "decimate"])
@pytest.mark.parametrize("pooling", [st.NoPooling(), st.Subsample(2), st.Average(2)], ids=repr)
def test_certified_constant_bounds_the_singular_value(sampling, pooling):
    """Linear networks of random atoms, not admissible: the largest singular value of the dense matrix is the truth."""
    grid = st.Grid.of((8,), sample_rate=4.0)
    shapes = [(8,), (4,)] if sampling == "decimate" and pooling.factor == 2 else [(8,), (8,)]
    layers = [st.Layer(Given(shapes[0], 3, 1), st.Identity(), pooling), st.Layer(Given(shapes[1], 2, 2), st.Identity())]
    phi = st.FeatureExtractor(layers, grid, sampling=sampling)
    certified = phi.certified_lipschitz()
    largest = float(torch.linalg.matrix_norm(dense(phi), ord=2))
    assert certified.proves and certified.value > 1
    assert 0.3 * certified.value < largest <= certified.value * (1 + 1e-12)


def test_certified_constant_is_sharp():
    """One linear layer whose last output atom is all-pass: the recursion loses nothing."""

    class AllPass(Given):
        def on(self, grid, **options):
            bank = super().on(grid, **options)
            return type(bank)(grid, bank.atoms, bank.spectra, torch.full(grid.shape, 0.7), "full", "all-pass")

    grid = st.Grid.of((5, 4))
    phi = st.FeatureExtractor([st.Layer(Given((5, 4), 3), st.Identity())], grid, final=AllPass((5, 4), 1))
    largest = float(torch.linalg.matrix_norm(dense(phi), ord=2))
    assert phi.real == (True, False)
    assert phi.certified_lipschitz().value == pytest.approx(largest, rel=1e-12)
    # Sums of tight frames are constant, so that c_2 = c^2, c_1 = c^2 c_2 and c_0 = c^2 c_1 with c = 1.5.
    tight = [st.Layer(wavelets(sided="both").scaled(1.5), st.Identity(), st.Subsample(2))] * 2
    phi = st.FeatureExtractor(tight, st.Grid.line(16))
    assert phi.certified_lipschitz().value == pytest.approx(1.5**3, rel=1e-12)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("nonlinearity", [st.Modulus(), st.ReLU(), st.Tanh(), st.GELU(), st.SoftThreshold()], ids=repr)
def test_certified_constant_is_never_exceeded(nonlinearity, real):
    """Random pairs, close pairs, tones and constants, for random networks that are not admissible."""
    grid = st.Grid.line(12)
    for seed in range(2):
        layers = [st.Layer(Given((12,), 3, seed), nonlinearity), st.Layer(Given((12,), 2, seed + 9), nonlinearity)]
        phi = st.FeatureExtractor(layers, grid, complex_input=not real)
        bound = phi.certified_lipschitz().value * (1 + 1e-12)
        dtype = torch.float64 if real else torch.complex128
        tones = torch.exp(2j * math.pi * torch.outer(torch.arange(12), grid.points()[0]) / 12)
        tones = tones.real.clone() if real else tones
        f, h = draw(grid, (60,), seed, dtype), draw(grid, (60,), seed + 1, dtype)
        pairs = [(f, h), (f, f + 1e-4 * h), (tones, torch.zeros_like(tones)), (1e-3 * f, 1e-3 * h)]
        for a, b in pairs:
            ratio = phi(a).distance(phi(b)) / grid.norm(a - b)
            assert float(ratio.max()) <= bound


@pytest.mark.parametrize("nonlinearity", [st.Modulus(), st.Sigmoid(), st.GELU(), st.LeakyReLU(2.0)], ids=repr)
@pytest.mark.parametrize("pooling", [st.NoPooling(), st.Average(2), st.Subsample(3)], ids=repr)
def test_admissibility(nonlinearity, pooling):
    """Refined <= plain; both from explicit sums; normalised layers are admissible and have constant at most 1."""
    grid = st.Grid.line(24)
    frame = wavelets(3, sided="both").scaled(1.3) + wavelets(2, sided="both").scaled(0.4)
    layer = st.Layer(frame, nonlinearity, pooling)
    phi = st.FeatureExtractor([layer] * 2, grid)
    plain, refined = phi.admissibility(), phi.admissibility(refined=True)
    assert len(plain) == 3
    assert all(r.value <= p.value * (1 + 1e-14) for p, r in zip(plain, refined, strict=True))
    LR = nonlinearity.lipschitz.value * pooling.lipschitz(grid, "dilate").value
    bank, opposite = frame.on(grid), -torch.arange(24) % 24
    low, high = bank.output.abs() ** 2, (bank.spectra.abs() ** 2).sum(0)
    low, high = 0.5 * (low + low[opposite]), 0.5 * (high + high[opposite])
    assert plain[0].value == pytest.approx(float((low + high).max()) * max(1, LR**2), rel=1e-13)
    assert refined[0].value == pytest.approx(float((low + LR**2 * high).max()), rel=1e-13)
    final = frame.on(phi.grids[-1], reference=grid).output.abs().max() ** 2
    assert plain[2].value == refined[2].value == pytest.approx(float(final), rel=1e-13)
    normal = st.FeatureExtractor([layer.normalised()] * 2, grid)
    assert all(c.value <= 1 + 1e-13 for c in normal.admissibility())
    assert max(c.value for c in normal.admissibility()) == pytest.approx(1)
    assert normal.certified_lipschitz().value <= 1 + 1e-12


def test_a_declared_constant_proves_nothing():
    pooling = st.Pool(lambda x: x, 1.0, name="mine")
    phi = st.FeatureExtractor([st.Layer(wavelets(), st.Modulus(), pooling)], st.Grid.line(16))
    own = st.FeatureExtractor([st.Layer(wavelets(), st.Pointwise(torch.sin, 1.0))], st.Grid.line(16))
    for network_ in (phi, own):
        assert network_.certified_lipschitz().kind == network_.admissibility()[0].kind == "declared"
        assert network_.admissibility(refined=True)[0].kind == "declared"
        assert network_.admissibility()[1].kind == "grid"


# --- real signals and half banks -------------------------------------------------------------------------------------

REAL = [  # layers as (sided, non-linearity, pooling), flags for real signals
    ([("auto", st.Modulus(), None)] * 2, (True, True, True)),
    ([("both", st.Modulus(), None)] * 2, (True, True, True)),
    ([("both", st.ReLU(), None)], (True, False)),
    ([("auto", st.ReLU(), None)], (True, False)),
    ([("half", st.ReLU(), None)], (True, False)),
    ([("real", st.ReLU(), None)] * 2, (True, True, True)),
    ([("real", st.Tanh(), None), ("both", st.Tanh(), None)], (True, True, False)),
    ([("real", st.GELU(), None), ("half", st.Modulus(), None)], (True, True, True)),
    ([("both", st.Tanh(), None), ("real", st.Tanh(), None)], (True, False, False)),
    ([("both", st.Sigmoid(), None), ("both", st.Modulus(), None)], (True, False, True)),
    ([("both", st.Identity(), None)], (True, False)),
    ([("real", st.Identity(), None)], (True, True)),
    ([("both", st.PhaseReLU(), None)], (True, False)),
    ([("real", st.SoftThreshold(), None)], (True, True)),
    ([("both", st.Tanh(), st.Max(2)), ("half", st.Modulus(), None)], (True, True, True)),
    ([("both", st.Tanh(), st.Average(2))], (True, False)),
]


@pytest.mark.parametrize(("modules", "flags"), REAL, ids=str)
def test_real_flags(modules, flags):
    """The flag of each layer, and maps that are really real, or really not."""
    grid = st.Grid.line(16)
    layers = [st.Layer(wavelets(sided=side), rho, pool or st.NoPooling()) for side, rho, pool in modules]
    phi = st.FeatureExtractor(layers, grid, sampling="decimate")
    assert phi.real == flags
    imaginary = [0.0] * len(flags)
    for step in phi.walk(draw(grid, (3,))):
        if step.U.is_complex():
            imaginary[step.path.n] = max(imaginary[step.path.n], float(step.U.imag.abs().max()))
    assert [size == 0 for size in imaginary] == list(flags)


@pytest.mark.parametrize(("modules", "flags"), REAL[:10], ids=str)
def test_real_flags_for_complex_signals(modules, flags):
    """Only a modulus makes complex maps real."""
    modules = [("both" if side == "half" else side, rho, pool) for side, rho, pool in modules]
    layers = [st.Layer(wavelets(sided=side), rho) for side, rho, _ in modules]
    phi = st.FeatureExtractor(layers, st.Grid.line(16), complex_input=True)
    assert phi.real == (False, *(isinstance(rho, st.Modulus) for _, rho, _ in modules))
    for step in phi.walk(draw(phi.grid, dtype=torch.complex128)):
        assert step.U.is_complex() != phi.real[step.path.n]


def test_auto_takes_a_half_bank_exactly_where_it_is_exact():
    grid = st.Grid.line(16)
    rho = [st.Modulus(), st.Tanh(), st.Modulus(), st.Modulus()]
    kinds = [bank.kind for bank in st.FeatureExtractor([st.Layer(wavelets(1), r) for r in rho], grid).banks]
    assert kinds == ["half", "full", "full", "half", "half"]
    layers = [st.Layer(wavelets(1), r) for r in rho]
    assert st.FeatureExtractor(layers, grid, complex_input=True).banks[0].kind == "full"


def test_half_banks_are_refused_where_maps_are_complex():
    grid, half = st.Grid.line(16), wavelets(sided="half")
    with pytest.raises(ValueError, match=r"layers\[1\].*half bank.*complex.*sided='both'"):
        st.FeatureExtractor([st.Layer(wavelets(), st.Tanh()), st.Layer(half)], grid)
    with pytest.raises(ValueError, match=r"layers\[0\].*half bank"):
        st.FeatureExtractor([st.Layer(half)], grid, complex_input=True)
    phi = st.FeatureExtractor([st.Layer(half, st.Tanh())], grid)
    assert phi.banks[-1].kind == "half" and phi(draw(grid)).layers[1].values.is_complex()
    with pytest.raises(ValueError, match=r"complex values.*complex_input=True"):
        phi(draw(grid, dtype=torch.complex128))


def test_half_bank_doubles_a_complex_tone():
    """Why complex signals are refused: an analytic tone would leave with twice its energy."""
    grid = st.Grid.line(32)
    bank = wavelets(3, sided="half").on(grid, sided="half")
    tone = torch.exp(2j * math.pi * 9 * grid.points()[0] / 32)
    energy = grid.energy(bank.analyse(tone)).sum() / grid.energy(tone)
    assert float(energy) == pytest.approx(2.0)


# --- as a module -----------------------------------------------------------------------------------------------------


def complex_network(dtype=torch.float64):
    """Two layers of random complex atoms, whose spectra must survive every change of precision."""
    frames = [Given((12,), 3, 1), Given((12,), 2, 2)]
    return st.FeatureExtractor([st.Layer(g) for g in frames], st.Grid.line(12), complex_input=True, dtype=dtype)


def test_gradient_is_that_of_finite_differences():
    grid = st.Grid.line(10)
    layers = [st.Layer(wavelets(1), st.Tanh(), st.Subsample(2)), st.Layer(wavelets(1, sided="real"), st.SiLU())]
    phi = st.FeatureExtractor(layers, grid)
    f = draw(grid).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: phi(x).energy(), f)
    assert torch.autograd.gradcheck(lambda x: phi(x).flatten().abs().sum(), f)
    phi = complex_network()
    z = draw(phi.grid, dtype=torch.complex128).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: phi(x).flatten(), z)


def test_gradient_of_a_second_use():
    """The atoms are constants: no graph hangs on them, and using the extractor again works."""
    phi = complex_network()
    gradients = []
    for _ in range(2):
        f = draw(phi.grid, (2,), dtype=torch.complex128).requires_grad_()
        phi(f).norm().sum().backward()
        gradients.append(f.grad)
    assert torch.equal(*gradients) and float(gradients[0].abs().max()) > 0
    assert list(phi.parameters()) == [] and not phi(f.detach()).flatten().requires_grad


@pytest.mark.parametrize("nonlinearity", [st.Modulus(), st.PhaseReLU(), st.SoftThreshold(), st.Tanh()], ids=repr)
def test_gradient_at_zero_is_finite(nonlinearity):
    grid = st.Grid.line(8)
    f = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    st.FeatureExtractor([st.Layer(wavelets(), nonlinearity)], grid)(f).energy().backward()
    assert torch.isfinite(f.grad).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda phi: pickle.loads(pickle.dumps(phi))], ids=["copy", "pickle"])
def test_copies_compute_the_same(copied):
    phi = complex_network()
    f = draw(phi.grid, dtype=torch.complex128)
    other = copied(phi)
    assert worst(other(f), phi(f)) == 0
    assert other.layers == phi.layers and other.grids == phi.grids and repr(other) == repr(phi)
    assert other.state_dict() == phi.state_dict() == {}


def test_change_of_precision_keeps_complex_atoms():
    phi, f = complex_network(), draw(st.Grid.line(12), dtype=torch.complex128)
    exact = phi(f)
    single = complex_network(torch.float32)
    assert single.dtype == torch.float32
    size = float(exact.flatten().abs().max())
    for network_ in (single, complex_network().float(), complex_network().to(torch.float32)):
        features = network_(f.to(torch.complex64))
        assert features.flatten().dtype == torch.complex64
        assert 1e-9 * size < worst(features, exact) < 1e-5 * size
    raised = complex_network(torch.float32).double()
    assert raised.dtype == torch.float64 and worst(raised(f), exact) < 1e-5 * size
    assert worst(phi(f.to(torch.complex64)), exact) < 1e-5 * size
    for broken in (complex_network().half(), complex_network().bfloat16()):
        with pytest.raises(TypeError, match=r"atoms are in .*float\(\)"):
            broken(f.to(torch.complex64))


def test_change_of_precision_keeps_complex_taps():
    """Taps are causal, so that their spectra are complex: in single precision they keep their phase."""
    grid = st.Grid.line(16)
    phi = st.FeatureExtractor([st.Layer(st.frames.Taps("db2", J=1))] * 2, grid)
    assert phi.banks[0].spectra.is_complex()
    f = draw(grid)
    exact = phi(f)
    size = float(exact.flatten().abs().max())
    assert 1e-9 * size < worst(copy.deepcopy(phi).float()(f.float()), exact) < 1e-5 * size
    assert worst(copy.deepcopy(phi).float().double()(f), exact) < 1e-5 * size


def test_real_atoms_stay_real():
    """No complex arithmetic where the frame is real: features of real frames on real signals are real tensors."""
    phi = st.FeatureExtractor([st.Layer(wavelets(sided="real"), st.ReLU())] * 2, st.Grid.line(16))
    features = phi(draw(phi.grid))
    assert all(layer.values.dtype == torch.float64 for layer in features)
    assert features.energy().dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_format_does_not_matter(dtype):
    grid = st.Grid.of((8, 6))
    layers = [st.Layer(wavelets(), st.Modulus(), st.Subsample(2)), st.Layer(wavelets(1), st.Tanh())]
    phi = st.FeatureExtractor(layers, grid, dtype=dtype)
    f = draw(grid, (3,)).to(dtype)
    expected, before = phi(f), f.clone()
    bound = 1e-15 if dtype == torch.float64 else 1e-6
    transposed = f.transpose(1, 2).contiguous().transpose(1, 2)
    padded = torch.nn.functional.pad(f, (1, 2, 3, 4))[:, 3:-4, 1:-2]
    strided = torch.stack([f, -f], -1)[..., 0]
    for same in (transposed, padded, strided):
        assert not same.is_contiguous() and worst(phi(same), expected) <= bound
    expanded = f[:1].expand(4, -1, -1)
    assert worst(phi(expanded), phi(f[:1].repeat(4, 1, 1))) <= bound
    array = f.numpy()
    reversed_ = np.ascontiguousarray(array[:, ::-1, ::-1])[:, ::-1, ::-1]
    assert min(reversed_.strides) < 0 and worst(phi(reversed_), expected) <= bound
    frozen = array.copy()
    frozen.flags.writeable = False
    swapped = array.astype(array.dtype.newbyteorder())
    for same in (array, np.asfortranarray(array), frozen, swapped):
        assert worst(phi(same), expected) <= bound
    assert torch.equal(f, before)


def test_input_is_never_modified_or_returned():
    """Not even by an identity network whose output atom is all-pass."""
    phi = st.FeatureExtractor([st.Layer(wavelets(), st.Identity())], st.Grid.line(8))
    f = draw(phi.grid)
    before = f.clone()
    features = phi(f)
    for step in phi.walk(f):
        step.S.zero_()
    for layer in features:
        layer.values.zero_()
    assert torch.equal(f, before)


# --- features --------------------------------------------------------------------------------------------------------


def test_selection():
    grid = st.Grid.line(64)
    phi = st.FeatureExtractor([st.Layer(wavelets(3), st.Modulus(), st.Subsample(2))] * 2, grid)
    features = phi(draw(grid, (2,)))
    one = features.select(n=1)
    assert [layer.n for layer in one] == [1] and torch.equal(one.layers[0].values, features.layers[1].values)
    path = features.select(path=(1, 2))
    assert path.paths == (st.Path((1, 2)),)
    assert torch.allclose(path.energy(), features.energy("path")[:, features.paths.index((1, 2))])
    scale = phi.banks[0].atoms[1].scale
    chosen = features.select(scale=scale)
    bank = {1: phi.banks[0], 2: phi.banks[1]}
    assert set(chosen.paths) == {q for q in features.paths if q and abs(bank[q.n].atoms[q[-1]].scale - scale) < 1e-9}
    with pytest.raises(KeyError, match=r"layers 0\.\.2 exist"):
        features.select(n=3)
    for partial in (one, path, chosen, features.minus(features)):
        with pytest.raises(ValueError, match="selection or a difference"):
            _ = partial.residual_energy
    assert torch.allclose(features.energy("layer").sum(-1), features.energy("path").sum(-1), rtol=1e-14)
    assert torch.allclose(features.norm() ** 2, features.energy(), rtol=1e-14)
    with pytest.raises(ValueError, match="'layer' or 'path'"):
        features.energy("paths")


def test_distance_is_the_norm_of_the_difference():
    grid = st.Grid.of((6, 5), sample_rate=2.0)
    phi = st.FeatureExtractor([st.Layer(wavelets(1), st.Tanh())] * 2, grid)
    f, h = phi(draw(grid, (3,), 1)), phi(draw(grid, (3,), 2))
    direct = (f.flatten() - h.flatten()).abs().square().sum(-1).mul(grid.cell_volume).sqrt()
    assert torch.allclose(f.distance(h), direct, rtol=1e-13)
    assert torch.allclose(f.distance(h, "layer").square().sum(-1), direct**2, rtol=1e-13)
    assert f.distance(h, "path").shape == (3, len(f.paths))


def test_features_are_no_single_array():
    features = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2))], st.Grid.line(16))(np.ones(16))
    with pytest.raises(TypeError, match=r"flatten\(\)"):
        np.asarray(features)
