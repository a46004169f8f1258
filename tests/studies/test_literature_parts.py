"""What the study of the literature is made of: networks, features, classifiers, patches of textures."""

import math

import numpy as np
import pytest
import torch

import scatter_theory as st
from studies.fashion_mnist.classifier import Standardised
from studies.literature import architectures, budget, compared, decay, images, importance, kernel, ridge, textures

#: Combinations of part a.
SOME = ("Haar, modulus, max", "biorthogonal, sigmoid - 1/2, none")


pytestmark = pytest.mark.usefixtures("one_thread")


# --- networks and functions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOME)
def test_discrete_networks_have_the_paths_and_features_of_the_architecture(name):
    """1 + 9 + 54 paths; every frame has upper bound 1 and every layer is admissible; 7 x 7 samples of each output."""
    phi = architectures.network(name, 28)
    assert phi.plan().paths == (1, 9, 54)
    assert phi.banks[0].bounds().B.value == pytest.approx(1, abs=1e-9)
    assert phi.certified_lipschitz().value <= 1 + 1e-9
    x = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
    assert architectures.sampled(phi, x).shape == (2, 64 * 49)
    # Samples of the modulus of Haar differences: the finest horizontal one of a ramp is half of its slope everywhere.
    ramp = torch.arange(28, dtype=torch.float32).expand(1, 28, 28) / 28
    if name.startswith("Haar, modulus"):
        maps = phi.propagate(ramp, (0,))[0, :, 1:-1]
        expected = {0.0, 0.5 / 28}
        assert any(torch.allclose(maps, torch.full_like(maps, e), atol=1e-6) for e in expected)


@pytest.mark.parametrize("pooling", architectures.POOLINGS)
def test_all_combinations_have_as_many_features_on_the_digits(pooling):
    """1 + 3 + 9 paths on 4 x 4 samples."""
    phi = architectures.network(f"biorthogonal, ReLU, {pooling}", 8)
    assert architectures.sampled(phi, torch.rand(2, 8, 8)).shape == (2, 13 * 16)


def test_the_network_of_the_other_study_has_its_features():
    """1 + 24 paths with 7 x 7 samples, 72 with 5 x 5."""
    x = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
    assert architectures.frozen("T1 best")(x).shape == (2, 25 * 49 + 72 * 25)


def test_the_forest_sees_all_outputs_of_its_architecture():
    assert [layer.values[0].numel() for layer in importance.network(28)(torch.rand(1, 28, 28))] == [
        784, 9 * 784, 54 * 196, 270 * 49,
    ]  # fmt: skip


def test_displaced_images_keep_all_their_pixels():
    x = torch.rand(20, 28, 28, generator=torch.Generator().manual_seed(1))
    moved = importance.displaced(x, torch.Generator().manual_seed(2))
    assert moved.shape == (20, 36, 36)
    places = set()
    for image, other in zip(x, moved, strict=True):
        found = [(r, c) for r in range(9) for c in range(9) if torch.equal(other[r : r + 28, c : c + 28], image)]
        assert len(found) == 1 and other.sum() == pytest.approx(float(image.sum()), rel=1e-5)
        places.update(found)
    assert len(places) > 10


@pytest.mark.parametrize("m", [9, 10])
def test_resampled_outputs_are_values_of_the_interpolant(m):
    def wave(n, k, phase):
        return torch.cos(2 * math.pi * k * torch.arange(n, dtype=torch.float64) / n + phase)

    def image(n):
        return 1 + wave(n, 3, 0.4)[:, None] * wave(n, 4, 1.0)[None]

    assert torch.allclose(images.resampled(image(m)[None], 7), image(7)[None], atol=1e-12)
    if m % 2 == 0:
        edge = torch.cos(math.pi * torch.arange(m, dtype=torch.float64)).expand(1, m, m)
        expected = torch.cos(math.pi * m * torch.arange(7, dtype=torch.float64) / 7).expand(1, 7, 7)
        assert torch.allclose(images.resampled(edge, 7), expected, atol=1e-12)


def test_all_features_of_a_budget_are_as_many():
    """Orders 0 to 2 of kymatio with L angles: 1 + 2 L + L^2 paths for two octaves, 1 + L for one."""
    large, small, patch = budget.BUDGETS["fashion"], budget.BUDGETS["digits"], textures.BUDGET
    assert (large.paths, large.samples) == (1 + 2 * large.angles + large.angles**2, 28 / 2**large.J)
    assert (small.paths, small.samples) == (1 + small.angles, 8 / 2**small.J)
    assert (patch.paths, patch.samples) == (1 + 2 * patch.angles + patch.angles**2, 1)
    x = torch.rand(30, 16, 16, generator=torch.Generator().manual_seed(0))
    for name in (compared.KYMATIO, "Haar"):
        kept = compared.within(name, patch, x[:20])
        assert kept.features(x).flatten(1).shape == (30, patch.paths)
    scattering = st.Scattering2D(J=2, shape=(16, 16), L=4)
    means = compared.within(compared.KYMATIO, patch, x).features(x).flatten(1)
    assert torch.allclose(means, scattering(x).flatten(2).mean(2), atol=1e-6)


def test_the_strongest_paths_are_those_of_most_energy():
    phi = compared.network(st.frames.TensorWavelets(J=1), 8, st.AllPaths())
    x = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    exact = phi.rebuilt(engine="exact", dtype=torch.float64)
    energy = {step.path: float(exact.grid.energy(step.S).mean()) for step in exact.walk(x.double())}
    paths, share = compared.strongest(phi, x, 4)
    assert set(paths) == set(sorted(energy, key=energy.__getitem__)[-4:])
    assert share == pytest.approx(sum(energy[q] for q in paths) / sum(energy.values()), rel=1e-3)
    kept = compared.transform(phi, paths, 4)(x)
    assert kept.shape == (3, 4 * 16)


def test_weyl_heisenberg_bands_are_tight_and_have_the_gap_of_the_theorem():
    bank = decay.weyl_heisenberg().on(st.Grid.line(decay.SAMPLES))
    A, B = bank.bounds()
    assert pytest.approx(1, abs=1e-12) == A and pytest.approx(1, abs=1e-12) == B
    bins = torch.fft.fftfreq(decay.SAMPLES) * decay.SAMPLES
    low = bins[bank.spectra[0] != 0]
    # [R/2, 5R/2], whose ends have no power.
    assert (float(low.min()), float(low.max())) == (decay.SPACING / 2 + 1, 5 * decay.SPACING / 2 - 1)
    assert bank.output[0].abs() == pytest.approx(1)


def test_counts_of_layers_are_those_of_the_table():
    """W_2 <= 1 - share is enough for N = 1; what is not reached has no count."""
    rows = [decay.Row("x", "noise", n, w, 1.0) for n, w in ((1, 0.6), (2, 0.2), (3, 0.06))]
    counts = [decay._enough(rows, "noise", s) for s in decay.SHARES]
    assert counts == [1, 1, 2, None, None]


def test_flags_survive_packing():
    flags = torch.rand(37, generator=torch.Generator().manual_seed(0)) < 0.3
    assert torch.equal(images.unpacked(images.packed(flags), 37), flags)
    assert images.packed(torch.tensor([True, False, False, False, False, False, False, True])) == "81"


# --- classifiers ------------------------------------------------------------------------------------------------------


def clouds(features, train, tests=25, classes=3):
    """Points around three centres, with features of different scales and one that is constant."""
    g = torch.Generator().manual_seed(1)
    labels = torch.randint(classes, (train + tests,), generator=g)
    x = 0.4 * torch.randn(classes, features, generator=g)[labels] + torch.randn(len(labels), features, generator=g)
    x = x * torch.logspace(-2, 2, features) + 3
    x[:, 0] = 7
    return x, labels


@pytest.mark.parametrize("features", [6, 60])
def test_the_penalty_has_fewest_errors_when_every_image_is_left_out_in_turn(features):
    """Against one dense solution per image and penalty, with as many features as images and with more."""
    n = 40
    x, labels = clouds(features, n)
    fit = ridge.linear(x, labels, n)
    z = ((x[:n] - x[:n].mean(0)) / x[:n].std(0)).double()[:, 1:].numpy()
    targets, misses = np.eye(3)[labels[:n]], []
    for penalty in ridge.PENALTIES:
        right = 0
        for i in range(n):
            others = np.delete(np.arange(n), i)
            mean, prior = z[others].mean(0), targets[others].mean(0)
            centred = z[others] - mean
            w = np.linalg.solve(
                centred.T @ centred + penalty * np.eye(features - 1), centred.T @ (targets[others] - prior)
            )
            right += int(((z[i] - mean) @ w + prior).argmax() == labels[i])
        misses.append(n - right)
    least = [p for p, m in zip(ridge.PENALTIES, misses, strict=True) if m == min(misses)]
    assert len(set(misses)) > 3 and fit.chosen == {"penalty": least[-1]}
    assert fit.validation == pytest.approx(100 * min(misses) / n)
    peer = Standardised.of(x[:n], labels[:n]).predict(x[n:], least[-1]) != labels[n:]
    assert torch.equal(fit.wrong, peer) and 0 < int(peer.sum()) < 25


def test_the_support_vector_machine_is_that_of_a_grid_search(monkeypatch):
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.svm import SVC

    monkeypatch.setattr(kernel, "MULTIPLES", (0.125, 0.5, 2.0))
    n = 60
    x, labels = clouds(10, n)
    fit = kernel.rbf(x, labels, n)
    z = ((x - x[:n].mean(0)) / x[:n].std(0)).double()[:, 1:].numpy()
    apart = np.sort(((z[:n, None] - z[None, :n]) ** 2).sum(-1)[np.triu_indices(n, 1)])
    median, y = apart[(len(apart) - 1) // 2], labels.numpy()
    grid = {"C": list(kernel.COSTS), "gamma": [m / median for m in kernel.MULTIPLES]}
    peer = GridSearchCV(SVC(), grid, cv=PredefinedSplit(np.arange(n) % kernel.FOLDS)).fit(z[:n], y[:n])
    assert fit.validation == pytest.approx(100 * (1 - peer.best_score_)) and fit.validation > 0
    assert fit.chosen == pytest.approx({"gamma": peer.best_params_["gamma"] * median, "cost": peer.best_params_["C"]})
    assert torch.equal(fit.wrong, torch.from_numpy(peer.predict(z[n:]) != y[n:]))


def test_rounding_is_no_feature():
    x = torch.tensor([[0.0, 1e-8], [1.0, -1e-8], [2.0, 1e-8]])
    assert torch.equal(images.standardised(x, 3), torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]))


# --- textures ---------------------------------------------------------------------------------------------------------


def test_patches_are_told_apart_by_their_halves_and_do_not_overlap():
    """A photograph whose grey value is the number of its pixel: every patch says where it was."""
    photograph = torch.arange(512.0 * 512, dtype=torch.float64).reshape(512, 512)
    columns = [set((part.long() % 512).flatten().tolist()) for part in (photograph[:, :224], photograph[:, -224:])]
    assert max(columns[0]) + textures.GAP < min(columns[1])
    noise = torch.rand(512, 512, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = textures.patches(noise[:, :224], 32)
    assert found.shape == (16 * 7, 32, 32)
    assert found.mean((1, 2)).abs().max() < 1e-6
    assert torch.allclose(found.var((1, 2), correction=0), torch.ones(112), atol=1e-5)
    assert torch.allclose(textures.patches(3 * noise[:, :224] + 5, 32), found, atol=1e-5)
    there, back = textures.halves([noise, noise.flip(0), noise.T], 32, seed=0)
    assert there.train == back.train == 3 * 112 and len(there.labels) == 6 * 112
    n, key = there.train, lambda x: sorted(map(tuple, x.flatten(1)[:, :4].tolist()))
    assert key(there.images[:n]) == key(back.images[n:]) and key(there.images[n:]) == key(back.images[:n])
    assert key(there.images[:n])[:112] != key(there.images[n:])[:112]
    assert [int(i) for i in there.labels[n:].bincount()] == [112] * 3
    assert torch.equal(there.images[n:][there.labels[n:] == 0], textures.patches(noise[:, -224:], 32))


def test_drawings_have_as_many_patches_of_every_texture():
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 0, 1, 2])
    found = textures.drawings(labels, 2, 5, seed=0)
    assert len(found) == 5 and all(
        labels[i].bincount().tolist() == [2, 2, 2] and len(set(i.tolist())) == 6 for i in found
    )
    assert len({tuple(sorted(i.tolist())) for i in found}) > 1
    assert [i.tolist() for i in textures.drawings(labels, 0, 5, seed=0)] == [list(range(9))]
