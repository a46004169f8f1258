"""The map from samples of u to samples of ``u * chi``, by every route, against dense sums over frequencies."""

import numpy as np
import pytest
import torch
from engine.common import array, evaluated

from scatter_theory.engine import output_map
from scatter_theory.engine._operators import OutputMap

SHAPES = [
    ((16,), (4,)), ((16,), (6,)), ((15,), (5,)), ((15,), (4,)), ((9,), (9,)), ((1,), (1,)), ((5,), (8,)),
    ((8, 12), (4, 3)), ((9, 10), (4, 6)), ((7, 8), (7, 8)), ((6, 8, 5), (3, 4, 2)), ((5, 4, 7), (4, 2, 3)),
]  # fmt: skip


def radius(shape, widths):
    """Sum over the axes of the squared frequency, each in units of its width."""
    axes = [(np.minimum(np.arange(n), n - np.arange(n)) / w) ** 2 for n, w in zip(shape, widths, strict=True)]
    return sum(np.ix_(*axes))


def low_pass(shape, kind):
    """An output atom that leaves out the Nyquist frequencies: product, radial, shifted (Hermitian), or anything."""
    narrow = [max(n // 4, 0.4) for n in shape]
    separable = np.exp(-radius(shape, narrow))
    for axis, n in enumerate(shape):
        separable = separable * nyquist_free(n).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    if kind == "product":
        return separable
    if kind == "radial":
        return separable * (radius(shape, narrow) <= 1.0) + 0.1 * separable / (1 + radius(shape, narrow))
    noise = array(shape, 3)
    if kind == "shifted":  # The transform of a real function that is not even.
        noise = np.fft.fftn(np.fft.ifftn(noise).real)
    return separable * (1.0 + 0.5 * noise)


def nyquist_free(n):
    """1 but at the Nyquist frequency of even n, where it vanishes."""
    return np.where(2 * np.arange(n) == n, 0.0, 1.0)


def expected(chi, u, target, scale=1.0):
    """``u * chi`` as the definition has it, then the polynomial evaluated at the points of the target grid."""
    axes = tuple(range(-chi.ndim, 0))
    filtered = torch.fft.ifftn(torch.fft.fftn(u, dim=axes) * torch.from_numpy(chi), dim=axes)
    mirrored = chi[np.ix_(*(-np.arange(n) % n for n in chi.shape))]
    real = not u.is_complex() and np.abs(chi - mirrored.conj()).max() <= 1e-12 * np.abs(chi).max()
    return scale * evaluated(filtered.real if real else filtered, target)


def gap(found, other):
    assert found.shape == other.shape and found.is_complex() == other.is_complex()
    return float((found - other).abs().max() / other.abs().max())


def route(output):
    return "spectral" if output.spectral is not None else ("mixed" if output.mixing is not None else "matrices")


@pytest.mark.parametrize("maps", ["real", "complex"])
@pytest.mark.parametrize("kind", ["product", "radial", "shifted", "anything"])
@pytest.mark.parametrize(("source", "target"), SHAPES, ids=str)
def test_every_kind_of_output_atom(source, target, kind, maps):
    chi, u = low_pass(source, kind), torch.from_numpy(array((2, 3, *source), 1, maps))
    output = output_map(chi, target, drop=1e-15, scale=0.7)
    assert output.source == source and output.target == target
    if len(source) > 1 and max(target) <= 4:
        assert route(output) == ("matrices" if kind == "product" else "mixed")
    assert output.real == (kind != "anything" or (source == (1,) and not chi.imag.any()))
    assert gap(OutputMap(output)(u), expected(chi, u, target, 0.7)) <= 1e-13


@pytest.mark.parametrize("maps", ["real", "complex"])
@pytest.mark.parametrize("n", [64, 63])
def test_routes_agree_on_lines(n, maps):
    """Long responses go through a transform, short ones through a matrix; a known spectrum saves the transform."""
    u = torch.from_numpy(array((2, 2, n), 1, maps))
    short, long = np.exp(-radius((n,), (n / 16,))), (radius((n,), (5.0,)) <= 1) * 1.0
    routes = {}
    for chi in (short, long):
        for transformed in (False, True):
            output = output_map(chi, (24,), drop=1e-15, transformed=transformed)
            routes[route(output)] = output
            assert gap(OutputMap(output)(u), expected(chi, u, (24,))) <= 1e-13
            assert gap(OutputMap(output)(u, torch.fft.fft(u)), expected(chi, u, (24,))) <= 1e-13
    assert set(routes) == {"matrices", "spectral"}


@pytest.mark.parametrize("kind", ["product", "shifted", "anything"])
@pytest.mark.parametrize("shape", [(700,), (64, 48), (20, 20, 20)], ids=str)
def test_wide_atoms_go_through_a_transform(shape, kind):
    """Atoms without decay on either side: matrices would cost more than the transform that they replace."""
    chi = low_pass(shape, kind)
    target = tuple(n // 2 for n in shape)
    u = torch.from_numpy(array((1, 2, *shape), 1, "real"))
    output = output_map(chi, target, drop=1e-15)
    assert gap(OutputMap(output)(u), expected(chi, u, target)) <= 1e-12


def test_a_band_of_taps_has_a_sparse_matrix():
    """Short responses in space: row j of the matrix holds the taps around sample j, nothing else."""
    taps = np.zeros(96)
    taps[[0, 1, 2, -1, -2]] = [0.4, 0.2, 0.1, 0.2, 0.1]
    chi = np.fft.fft(taps).real
    (matrix,) = output_map(chi, (96,), drop=1e-13).matrices
    assert np.count_nonzero(matrix) == 96 * 5
    for j in range(96):
        assert np.allclose(matrix[j], np.roll(taps, j), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["product", "radial", "shifted", "anything"])
@pytest.mark.parametrize("shape", [(24,), (9, 12), (6, 5, 7)], ids=str)
def test_kept_samples(shape, kind):
    """Only the samples asked for, the same as when all are made; by a transform too."""
    u = torch.from_numpy(array((1, 2, *shape), 1, "real"))
    target = tuple(n // 2 + 1 for n in shape)
    chi = low_pass(shape, kind)
    whole = expected(chi, u, target)
    for kept in [(slice(1, 3),) * len(shape), (slice(None, 2), *(slice(None),) * (len(shape) - 1))]:
        for transformed in (False, True):
            output = output_map(chi, target, drop=1e-15, kept=kept, transformed=transformed)
            assert gap(OutputMap(output)(u), whole[(..., *kept)]) <= 1e-13


@pytest.mark.parametrize("maps", ["real", "complex"])
@pytest.mark.parametrize(
    ("source", "target"), [((8,), (5,)), ((8, 6), (4, 5)), ((8, 6), (3, 4)), ((4, 6, 4), (3, 4, 3))]
)
@pytest.mark.parametrize("kind", ["product", "radial", "shifted"])
def test_nyquist_frequencies(source, target, kind, maps):
    """An atom that is large there: k = -n/2, as everywhere in the engine; for real maps the real part."""
    u = torch.from_numpy(array((1, 3, *source), 1, maps))
    chi = np.exp(-radius(source, source))
    if kind == "radial":
        chi = 1 / (1 + radius(source, source))
    if kind == "shifted":
        chi = np.fft.fftn(np.fft.ifftn(chi * (1 + 0.5 * array(source, 2))).real)
    kinds = [{"transformed": known, "real_maps": maps == "real"} for known in (False, True)]
    for found in [OutputMap(output_map(chi, target, drop=1e-15, **kind))(u) for kind in kinds]:
        assert gap(found, expected(chi, u, target)) <= 1e-13


@pytest.mark.parametrize("kind", ["product", "radial"])
@pytest.mark.parametrize("shape", [(24,), (9, 12)], ids=str)
def test_float32_and_gradients(shape, kind):
    chi, target = low_pass(shape, kind), tuple(n // 3 for n in shape)
    u = torch.from_numpy(array((1, 2, *shape), 1, "real"))
    emit = OutputMap(output_map(chi, target, drop=1e-7))
    single = emit(u.float())
    assert single.dtype == torch.float32 and gap(single.double(), expected(chi, u, target)) <= 2e-6
    assert emit(u.to(torch.complex64)).dtype == torch.complex64
    assert torch.autograd.gradcheck(emit, (u.requires_grad_(),))


def test_drop_leaves_out_what_is_small():
    """Frequencies at most `drop` times the peak: the error is at most their sum."""
    chi = np.exp(-radius((32,), (4,)))
    u = torch.from_numpy(array((1, 4, 32), 1, "real"))
    for drop in (1e-3, 1e-6):
        error = gap(OutputMap(output_map(chi, (16,), drop=drop))(u), expected(chi, u, (16,)))
        assert 1e-3 * drop < error < 50 * drop


def test_an_atom_without_mean():
    """The factors of a product are read off the mean; without one another route is taken."""
    for shape in [(16,), (8, 9)]:
        chi = low_pass(shape, "product")
        chi[(0,) * len(shape)] = 0.0
        u = torch.from_numpy(array((1, 2, *shape), 1, "real"))
        target = tuple(n // 2 for n in shape)
        assert gap(OutputMap(output_map(chi, target, drop=1e-15))(u), expected(chi, u, target)) <= 1e-13
