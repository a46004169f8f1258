"""The deformation bound of the network: known values, an oracle for the recursion, cut-off, tampering."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory.certify import NetworkBound, certificate_from_dict, covariance_bound, network_bound, refined
from scatter_theory.certify.torus._block_recursion import stage
from scatter_theory.certify.torus._lattice import Lattice, constant_from, lattice
from scatter_theory.certify.torus._positive_form import PositiveForm, largest
from scatter_theory.certify.torus._system import System
from scatter_theory.certify.torus._warp_matrix import cut_off, warp_matrix

N = 128
LINE = st.Grid.line(N)


def log_cosine(w, p):
    """1 up to p, 0 from 2 p on, a quarter cosine in log2 between."""
    w = np.abs(w)
    return np.where(w <= p, 1.0, np.where(w >= 2 * p, 0.0, np.cos(np.pi / 2 * np.log2(np.maximum(w, p) / p))))


def prototype(depth=2, rho=None, scale=1.0, S=1):
    """Log-cosine wavelets of three octaves, one-sided pairs, low-pass flat up to 1/32, top band flat from 1/4 on.

    After n dilations by S the filters are read at S^n times the frequency.
    """
    frames = [log_cosine_bank(scale, S**n) for n in range(depth + 1)]
    layers = [st.Layer(frame, rho or st.Modulus()) for frame in frames[:-1]]
    return st.FeatureExtractor(layers, LINE, final=frames[-1])


def log_cosine_bank(scale, dilation):
    w = dilation * np.fft.fftfreq(N)
    lows = [log_cosine(w, 2**j / 32) for j in range(3)]
    squares = [lows[1] ** 2 - lows[0] ** 2, lows[2] ** 2 - lows[1] ** 2, 1 - lows[2] ** 2]
    bands = [np.sqrt(np.maximum(s, 0)) for s in squares]
    atoms = torch.tensor(np.array([b * (w > 0) for b in bands] + [b * (w < 0) for b in bands]))
    return st.frames.Filters(scale * atoms, output=scale * torch.tensor(lows[0]), kind="spectra")


def wave(mode, t, constant=0.0):
    """t cos(2 pi m x / N), and a constant."""
    cosine = st.deform.sinusoid((mode,), (t,), math.pi / 2, LINE.extent)
    if not constant:
        return cosine
    c = cosine.polynomial.coefficients.clone()
    c[0, mode] += constant
    return st.deform.TrigonometricField(dataclasses.replace(cosine.polynomial, coefficients=c))


def constant(t):
    return st.deform.translation([float(t)], LINE.extent)


#: mode (0: constant), t, R, bound without and with the use of non-negative maps; by another implementation.
KNOWN = [
    (0, 1.0, 0.25, None, 0.2297),
    (1, 1.0, 0.25, 0.3294, 0.2866),
]


@pytest.mark.parametrize(("mode", "t", "radius", "plain", "positive"), KNOWN)
def test_known_bounds(mode, t, radius, plain, positive):
    phi, field = prototype(), wave(mode, t) if mode else constant(t)
    if plain is not None:
        assert network_bound(phi, field, radius, positive=False).value == pytest.approx(plain, rel=2e-3)
    bound = network_bound(phi, field, radius)
    assert bound.value == pytest.approx(positive, rel=3e-3)
    assert bound.certified and bound.recheck(phi)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "t", "radius", "known"),
    [
        (2, 1.0, 0.25, 0.4468),
        (3, 1.0, 0.25, 0.6084),
        (4, 1.0, 0.25, 0.810),
        (4, 1.0, 0.125, 0.756),
        (4, 0.25, 0.25, 0.1829),
        (1, 4.0, 0.25, 1.254),
        (0, 4.0, 0.25, 0.8845),
        (1, 1.0, 2 / 128, 0.0694),
        (1, 1.0, 6 / 128, 0.2437),
        (1, 1.0, 0.469, 0.288),
    ],
)
def test_more_known_bounds(mode, t, radius, known):
    field = wave(mode, t) if mode else constant(t)
    assert network_bound(prototype(), field, radius).value == pytest.approx(known, rel=8e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "known"), [(1, 0.2017), (4, 0.7708)])
def test_known_bounds_after_a_dilation(mode, known):
    assert network_bound(prototype(S=2), wave(mode, 1.0), 0.25).value == pytest.approx(known, rel=6e-3)


#: Depth, bound by the block recursion and by telescoping, both without positivity; the former at most these values.
DEPTHS = [(1, 1, 0.275, 0.286), (1, 4, 0.420, 0.631), (4, 1, 0.642, 0.648), (4, 2, 0.907, 1.093)]


@pytest.mark.parametrize(("mode", "depth", "block", "telescoped"), DEPTHS)
def test_bounds_grow_with_the_square_root_of_the_depth(mode, depth, block, telescoped):
    phi = prototype(depth)
    value = network_bound(phi, wave(mode, 1.0), 0.25, positive=False).value
    assert block * 0.95 <= value <= block * 1.003
    tanh = prototype(depth, rho=st.Tanh())
    assert covariance_bound(tanh, wave(mode, 1.0)).telescoped == pytest.approx(telescoped, rel=1e-2)


def test_known_commutators():
    """A single wave of one sample; a constant changes nothing, and a translation commutes with every filter."""
    for mode, kappa, delta in [(1, 0.1149, 0.0205), (4, 0.4471, 0.2158)]:
        for shift in (0.0, 5.3):
            bound = covariance_bound(prototype(), wave(mode, 1.0, shift))
            assert bound.kappa[0] == pytest.approx(kappa, abs=6e-5)
            assert bound.delta[0] == pytest.approx(delta, abs=6e-5)
            assert bound.applicable and bound.certified
    still = covariance_bound(prototype(), constant(1.0))
    assert still.covariance < 1e-5
    assert still.value == pytest.approx(0.2302, abs=2e-4)


def test_known_simple_bounds():
    bound = covariance_bound(prototype(), wave(4, 1.0))
    assert bound.value == pytest.approx(1.172, rel=4e-3)
    assert bound.telescoped == pytest.approx(0.990, rel=7e-3)


def test_nothing_moves_nothing():
    bound = network_bound(prototype(), constant(0.0), 0.25)
    assert bound.value < 2e-5


# ---------------------------------------------------------------------- matrices


@pytest.mark.parametrize(("shape", "degrees"), [((32,), (20,)), ((12, 10), (9, 8))])
def test_columns_are_deformed_waves(shape, degrees):
    """A column evaluated at points is e^(2 pi i k (x - tau)), by direct sums."""
    grid = st.Grid.of(shape)
    family = st.deform.BandLimitedFields(degree=2)
    field = family.member(family.draw(grid, 1, generator=0), grid).select(0).scaled_to(sup=0.2, jacobian=0.05)
    F = warp_matrix(field, degrees)
    box = [2 * K + 1 for K in degrees]
    x = torch.rand((grid.ndim, 5), dtype=torch.float64) * torch.tensor(grid.extent)[:, None]
    moved = x - field.at(x)
    for k in [(1,) * grid.ndim, (-2,) * grid.ndim, (0,) * grid.ndim]:
        place = int(np.ravel_multi_index([a + K for a, K in zip(k, degrees, strict=True)], box))
        values = st.trigonometric.evaluate(F[:, place].reshape(box), grid.extent, x)
        turns = sum(a * m / L for a, m, L in zip(k, moved, grid.extent, strict=True))
        assert float((values - torch.exp(2j * math.pi * turns)).abs().max()) < 1e-4


def test_entries_fall_as_the_lemma_says():
    """|F(j, k)| <= exp(-2 pi (|k - j| y - |k| T(y))) for every y > 0, constants and several waves included."""
    c = torch.zeros((1, 9), dtype=torch.complex128)
    c[0, [5, 6, 8]] = torch.tensor([0.6 + 0.2j, 0.3j, 0.05 + 0j], dtype=c.dtype)
    c = c + c.flip(1).conj()
    c[0, 4] = 3.3
    field = st.deform.TrigonometricField(st.trigonometric.Polynomial(c, LINE.extent))
    K = 60
    F = warp_matrix(field, (K,)).abs().numpy()
    k = np.arange(-K, K + 1)
    amplitudes, m = 2 * np.abs(c[0, 5:].numpy()) / N, np.arange(1, 5)
    for y in (0.005, 0.02, 0.05, 0.1):
        T = np.sum(amplitudes * np.sinh(2 * np.pi * m * y))
        limit = np.exp(-2 * np.pi * (np.abs(k[None] - k[:, None]) * y - np.abs(k[None]) * T))
        assert np.all(F <= limit * (1 + 1e-9) + 1e-13)


@pytest.mark.parametrize(
    ("mode", "t", "K", "known"),
    [(1, 1.0, 96, 5e-67), (4, 1.0, 96, 5e-7), (4, 1.0, 192, 1e-20), (5, 2.0, 192, 3e-4), (5, 2.0, 384, 6e-12)],
)
def test_known_losses(mode, t, K, known):
    lost = cut_off(wave(mode, t), K, 32, 2.0, 4.0)
    assert known / 3 < lost < known * 3


def test_what_is_cut_off_is_within_its_bound():
    """Hilbert-Schmidt norm of the entries left out, from matrices three times as large."""
    phi, field = prototype(), wave(4, 1.5)
    small, large = 70, 210
    F = warp_matrix(field, (large,))
    a = lattice(phi.banks[0], (large,)).all.to(F.dtype)
    entries = (a[:, :, None] - a[:, None, :]).abs().square().sum(0) * F.abs().square()
    k = torch.arange(-large, large + 1).abs()
    outside = (k[:, None] > small) | (k[None] > small)
    true = math.sqrt(float(entries[outside].sum()))
    lost = cut_off(field, small, constant_from(phi.banks[0])[0], 2.0, 4.0)
    assert 1e-9 < true <= lost < 1e4 * true


def test_losses_are_unknown_elsewhere():
    assert cut_off(st.deform.translation([0.1, 0.2], (8.0, 8.0)), 4, 2, 2.0, 4.0) == math.inf
    affine = st.deform.Scalings(max_factor=1.1)
    field = affine.member(affine.structured(LINE, 1), LINE).select(0)
    assert cut_off(field, 96, 32, 2.0, 4.0) == math.inf
    assert cut_off(wave(1, 1.0), 16, 32, 2.0, 4.0) == math.inf


# ---------------------------------------------------------------------- the recursion


def test_the_block_inequality_by_single_filters():
    """Random u >= 0 and D, commutators formed filter by filter, against what the numbers a and b promise."""
    rng = torch.Generator().manual_seed(0)
    phi, field = prototype(), wave(3, 1.0)
    system = System(phi, field)
    bound = network_bound(phi, field, 0.25)
    F, K = system.F, system.degrees[0]
    size = 2 * K + 1
    a, b = (*bound.gains, 0.0), (*bound.b, 0.0)
    for n in (1, 2):
        filters = lattice(phi.banks[n], (K,))
        chi = filters.output.to(F.dtype)
        atoms = filters.atoms.to(F.dtype) if n < 2 else filters.atoms[:0].to(F.dtype)
        for trial in range(40):
            values = torch.rand(size, generator=rng, dtype=torch.float64) ** (1 + 8 * (trial % 3))
            u = torch.fft.fftshift(torch.fft.fft(values.to(F.dtype)))
            D = torch.randn(size, generator=rng, dtype=torch.complex128) * 10.0 ** (-(trial % 4))
            D = D * torch.linalg.vector_norm(u) / size**0.5
            left = torch.linalg.vector_norm(chi * (D + F @ u - u)) ** 2
            for g in atoms:
                left += a[n] * torch.linalg.vector_norm(g * u) ** 2
                left += b[n] * torch.linalg.vector_norm(g * (F @ u) - F @ (g * u) + g * D) ** 2
            right = a[n - 1] * torch.linalg.vector_norm(u) ** 2 + b[n - 1] * torch.linalg.vector_norm(D) ** 2
            assert float(left) <= float(right) * (1 + 1e-9)


def test_the_forms_by_single_filters():
    """The forms without a sum over filters against that sum, complex filters included."""
    rng = torch.Generator().manual_seed(1)
    n, m = 9, 4
    F, g = (torch.randn(s, generator=rng, dtype=torch.complex128) for s in ((n, n), (m, n)))
    chi = torch.randn(n, generator=rng, dtype=torch.complex128)
    s = stage(Lattice(chi, g), F, last=False)
    one = torch.eye(n, dtype=F.dtype)
    parts = [torch.diag(a) @ F - F @ torch.diag(a) for a in g]
    assert torch.allclose(s.commutators, sum(c.mH @ c for c in parts))
    assert torch.allclose(s.cross_high, sum(torch.diag(a).mH @ c for a, c in zip(g, parts, strict=True)))
    assert torch.allclose(s.moved, (torch.diag(chi) @ (F - one)).mH @ (torch.diag(chi) @ (F - one)))
    assert torch.allclose(s.cross_low, torch.diag(chi).mH @ torch.diag(chi) @ (F - one))


@pytest.mark.parametrize("shape", [(24,), (6, 8)])
def test_no_positive_signal_exceeds_its_form(shape):
    """Random Hermitian forms with a tail; signals >= 0 with frequencies beyond the matrix."""
    rng = np.random.default_rng(0)
    K = [n // 3 for n in shape]
    axes = np.meshgrid(*(np.arange(-k, k + 1) for k in K), indexing="ij")
    frequencies = np.stack([a.ravel() for a in axes])
    size = frequencies.shape[1]
    A = rng.standard_normal((size, size)) + 1j * rng.standard_normal((size, size))
    H = torch.from_numpy(A @ A.conj().T / size)
    tail = 0.7 * largest(H)
    form = PositiveForm(frequencies, shape)
    value, weights = form.supremum(H, tail)
    assert tail <= value < largest(H, tail)
    assert form.proven(H, tail, weights)[0] == pytest.approx(value)
    fine = [4 * n for n in shape]
    places = np.ravel_multi_index([k % n for k, n in zip(frequencies, fine, strict=True)], fine)
    for power in (1, 5, 30):
        for _ in range(30):
            u = np.fft.fftn(rng.random(fine) ** power).ravel()
            inside = u[places]
            rest = np.sum(np.abs(u) ** 2) - np.sum(np.abs(inside) ** 2)
            total = np.real(np.vdot(inside, H.numpy() @ inside)) + tail * rest
            assert total <= value * np.sum(np.abs(u) ** 2) * (1 + 1e-9)


def test_the_tail_is_needed():
    """Without it weights may hide everything beyond the cut-off: a spike there exceeds the value."""
    frequencies = np.arange(-4, 5)[None]
    form = PositiveForm(frequencies, (16,))
    H = torch.diag(torch.tensor([0.0] * 3 + [1.0, 0.0, 1.0] + [0.0] * 3, dtype=torch.complex128))
    without, _ = form.supremum(H, 0.0)
    with_tail, _ = form.supremum(H, 0.9)
    assert without < 0.6
    assert with_tail >= 0.9


def test_negative_weights_prove_nothing():
    form = PositiveForm(np.arange(-4, 5)[None], (16,))
    weights = np.zeros(len(form.shifts))
    weights[3] = -1.0
    assert form.proven(torch.eye(9, dtype=torch.complex128), 0.0, weights)[0] == math.inf


# ---------------------------------------------------------------------- certificates


def test_certificates_are_stored_and_rechecked():
    phi = prototype()
    bound = network_bound(phi, wave(2, 1.0), 0.25)
    again = certificate_from_dict(json.loads(json.dumps(bound.to_dict())))
    assert isinstance(again, NetworkBound)
    with pytest.raises(ValueError, match="claim"):
        certificate_from_dict({"claim": "nonsense"})
    assert again.recheck(phi)
    assert not again.recheck(prototype(scale=1.2))
    assert not again.recheck(prototype(rho=st.Tanh()))
    for change in (
        {"value": again.value * 0.99},
        {"b": tuple(0.5 * b for b in again.b)},
        {"weights": tuple({k: -v for k, v in w.items()} for w in again.weights)},
        {"weights": tuple({k: math.nan for k in w} for w in again.weights)},
        {"degrees": (20,)},
        {"radius": 0.3},
        {"field": wave(2, 1.1).to_config()},
        {"field": {"kind": "nonsense"}},
        {"b": again.b[:1]},
        {"gains": tuple(0.9 * a for a in again.gains)},
        {"gains": again.gains[:1]},
        {"lost": 0.5 * again.lost},
    ):
        assert not dataclasses.replace(again, **change).recheck(phi), change


def test_bounds_of_given_signals():
    """The form at the root: no signal of the class exceeds the bound of the class, and its worst one attains it."""
    phi = prototype()
    bound = network_bound(phi, wave(2, 1.0), 0.25, positive=False)
    signals = st.signals.BandLimited(0.25).draw(LINE, 6, generator=0)
    values = np.array(bound.of(phi, signals.polynomial.coefficients))
    assert np.all(values <= bound.value * (1 + 1e-9))
    worst = bound.worst_signal(phi)[None]
    assert bound.of(phi, worst)[0] == pytest.approx(bound.value, rel=1e-6)
    with pytest.raises(ValueError, match="frequency"):
        bound.of(phi, torch.ones((1, 2 * bound.degrees[0] + 3), dtype=torch.complex128))


def test_half_banks_are_read_with_their_partners():
    """Real signals: the half bank and the full one have the same bound."""
    values = []
    for sided in ("half", "both"):
        layer = st.Layer(st.frames.Wavelets(J=3, sided=sided))
        phi = st.FeatureExtractor([layer, layer], LINE)
        values.append(network_bound(phi, wave(2, 1.0), 0.25, positive=False).value)
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_the_continued_network_is_the_same_on_its_frequencies():
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3), pooling=st.Subsample(2))] * 2, LINE)
    fine = refined(phi, 4)
    f = st.signals.BandLimited(0.05).draw(LINE, 3, generator=0)
    a, b = phi(f.on(LINE)), fine(f.on(fine.grid))
    assert torch.allclose(a.norm(), b.norm(), rtol=0.02)
    for bank, other in zip(phi.banks, fine.banks, strict=True):
        k = torch.arange(-63, 64)
        assert torch.equal(bank.spectra[:, k], other.spectra[:, k])
        assert torch.equal(bank.output[k], other.output[k])
        assert torch.equal(other.spectra[:, 100], bank.spectra[:, 63])


def test_bad_input():
    phi = prototype()
    with pytest.raises(ValueError, match="batch"):
        network_bound(phi, st.deform.translation([[1.0], [2.0]], LINE.extent))
    with pytest.raises(ValueError, match=r"exten|period"):
        network_bound(phi, st.deform.translation([1.0], (64.0,)))
    large = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3))], st.Grid.line(4096))
    with pytest.raises(ValueError, match="coarser grid"):
        network_bound(large, st.deform.translation([1.0], (4096.0,)))
