"""Compiled kernels against dense sums, torch operations and finite differences; life without a compiler."""

import contextlib
import copy
import ctypes
import pickle

import numpy as np
import pytest
import torch
from engine.common import array, draw
from hypothesis import given
from hypothesis import strategies as hs
from torch.autograd import gradcheck, gradgradcheck

import scatter_theory as st
from scatter_theory import compiled
from scatter_theory.compiled import without_kernels
from scatter_theory.engine import Output, _kernels, pack
from scatter_theory.engine._operators import Filters, Fused, OutputMap, modulus

needs_kernels = pytest.mark.skipif(
    _kernels.library(torch.float64) is None, reason="no C compiler: there are no kernels to test"
)
TOLERANCE = {torch.float32: 2e-6, torch.float64: 4e-15}
COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}

# Lengths with the factors 2, 3, 4, 5, 7, 11, 13, 29, 31; lines of one row, and lines split in rows and columns.
LINES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 25, 29, 31, 49, 60, 64, 77, 128, 143, 256]
LONG_LINES = [260, 289, 320, 384, 512, 29 * 31, 1001, 1024, 3 * 512]
PLANES = [
    (1, 1),
    (1, 8),
    (9, 1),
    (2, 3),
    (4, 5),
    (7, 6),
    (11, 4),
    (13, 9),
    (29, 2),
    (3, 31),
    (8, 8),
    (16, 12),
    (20, 30),
]


@contextlib.contextmanager
def threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def made(source, target, n_filters=3, kind="complex", outputs=None, seed=0, drop=0.4):
    """Fused operator of random sparse filters and random matrices with cyclic bands; some filters and rows vanish."""
    g = array((n_filters, *source), seed, kind)
    if n_filters > 2:
        g[1] = 0.0
    output = None
    if outputs is not None:
        matrices = []
        for axis, (m, n) in enumerate(zip(outputs, target, strict=True)):
            matrix = array((m, n), seed + axis, "real") / n
            away = (np.arange(n) - np.linspace(0, n, m, endpoint=False)[:, None]) % n
            matrix[away > 0.3 * n + 1] = 0.0
            matrix[: m // 3] *= (m < 20) | (np.arange(m // 3) % 3 > 0)[:, None]
            matrices.append(matrix)
        output = OutputMap(Output(target, outputs, (slice(None),) * len(target), tuple(matrices)))
    return Fused(Filters(pack(g, target, drop=drop, scale=1 / np.prod(source))), output)


def naive(fused, x):
    """Moduli, their spectra, averages and sums of squares in float64, by numpy."""
    packed, d = fused.filters.packed, len(fused.filters.packed.target)
    index, weight = packed.slots()
    flat = x.reshape(*x.shape[:2], np.prod(packed.source))
    Y = (weight * flat[..., index]).sum(2).reshape(*x.shape[:2], len(packed), *packed.target)
    axes = tuple(range(-d, 0))
    u = np.abs(np.fft.ifftn(Y, axes=axes) * np.prod(packed.target))
    averages = None
    if fused.output is not None:
        averages = u
        for axis, matrix in zip(axes, fused.output.output.matrices, strict=True):
            averages = np.moveaxis(np.tensordot(averages, matrix, axes=([axis], [1])), -1, axis)
    return u, np.fft.fftn(u, axes=axes), averages, (u**2).sum(axes)


def agree(found, expected, dtype):
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype in (dtype, COMPLEX[dtype])
            other = torch.as_tensor(other)
            assert one.shape == other.shape
            scale = float(other.abs().max()) if other.numel() else 1.0
            assert one.numel() == 0 or float((one - other).abs().max()) <= TOLERANCE[dtype] * max(scale, 1e-300)


# --- forward ---------------------------------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("n", LINES + LONG_LINES)
def test_lines(n, dtype):
    """Moduli, spectra, averages and energies of lines of every radix."""
    outputs = (min(n, 37),)
    fused = made((n + 3,), (n,), outputs=outputs)
    assert _kernels.supported((n,))
    x = array((3, 3, n + 3), n)
    found = fused(torch.from_numpy(x).to(COMPLEX[dtype]), maps=True, spectra=True, sums=True)
    agree(found, naive(fused, x), dtype)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", PLANES, ids=str)
def test_planes(shape, dtype):
    outputs = tuple(min(n, 11) for n in shape)
    source = (shape[0] + 1, shape[1] + 2)
    fused = made(source, shape, outputs=outputs)
    x = array((2, 5, *source), 1)
    found = fused(torch.from_numpy(x).to(COMPLEX[dtype]), maps=True, spectra=True, sums=True)
    agree(found, naive(fused, x), dtype)


@needs_kernels
@pytest.mark.parametrize("outputs", [None, (6,)])
@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("lead", [(1, 1), (1, 3), (7, 1), (2, 4), (3, 3), (4, 5), (1, 17), (0, 3), (5, 0)], ids=str)
def test_any_number_of_maps(lead, kind, outputs):
    """Fewer than the lanes, as many, more; none. Whatever is not asked for is None."""
    fused = made((14,), (12,), 5, kind, outputs)
    x = array((*lead, 14), 2)
    expected = naive(fused, x)
    for maps, spectra, sums in [(True, True, True), (False, False, False), (True, False, False), (False, True, True)]:
        wanted = (maps, spectra, outputs is not None, sums)
        found = fused(torch.from_numpy(x), maps=maps, spectra=spectra, sums=sums)
        agree(found, [e if w else None for e, w in zip(expected, wanted, strict=True)], torch.float64)


@needs_kernels
@given(
    shape=hs.one_of(hs.tuples(hs.integers(1, 300)), hs.tuples(hs.integers(1, 24), hs.integers(1, 24))),
    items=hs.integers(1, 20),
    filters=hs.integers(1, 6),
    n_threads=hs.sampled_from([1, 1, 2, 5]),
    seed=hs.integers(0, 1000),
)
def test_shapes_maps_and_threads(shape, items, filters, n_threads, seed):
    if not _kernels.supported(shape):
        assert any(p > 31 and all(p % q for q in range(2, p)) and n % p == 0 for n in shape for p in range(2, n + 1))
        return
    source = tuple(n + seed % 3 for n in shape)
    fused = made(source, shape, filters, outputs=shape, seed=seed)
    x = array((1, items, *source), seed)
    with threads(n_threads):
        found = fused(torch.from_numpy(x), maps=True, spectra=True, sums=True)
    agree(found, naive(fused, x), torch.float64)


@needs_kernels
@pytest.mark.parametrize("items", [1, 2, 9])
@pytest.mark.parametrize("filters", [1, 3, 7])
@pytest.mark.parametrize("n_threads", [2, 3, 16])
def test_more_threads_than_work(n_threads, filters, items):
    fused = made((14,), (12,), filters, outputs=(4,))
    x = array((1, items, 14), 3)
    z = torch.from_numpy(x)
    with threads(n_threads):
        found = fused(z, maps=True, spectra=True, sums=True)
        several = gradients(fused, z)
    agree(found, naive(fused, x), torch.float64)
    with threads(1):
        assert torch.allclose(several, gradients(fused, z), rtol=0, atol=1e-13 * float(several.abs().max()))


@needs_kernels
@pytest.mark.parametrize("source", [(10,), (6, 5)], ids=str)
def test_strided_conjugated_and_broadcast_input(source):
    fused = made(source, source, outputs=source)
    x = torch.from_numpy(array((4, 6, *source), 4))
    options = {"maps": True, "spectra": True, "sums": True}
    views = [x[::2], x[:, 1:4], x[:, ::2], x.transpose(0, 1), x.conj(), x[:1].expand(3, *x.shape[1:]), x[..., :]]
    views.append(x.flip(-1).flip(-1).mT.mT)
    for view in views:
        plain = view.resolve_conj().clone(memory_format=torch.contiguous_format)
        for a, b in zip(fused(view, **options), fused(plain, **options), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("n", [37, 41, 74, 37 * 3, 1009])
def test_primes_above_31_fall_back(n):
    assert _kernels.radices(n) is None and not _kernels.supported((n,)) and not _kernels.supported((4, n))
    assert not _kernels.supported((4, 4, 4)), "three dimensions are not for these kernels"


@pytest.mark.parametrize("shape", [(74,), (8, 37), (82, 4)], ids=str)
def test_networks_on_such_lengths(shape):
    """Every map on the full grid, which the kernels refuse: still the exact features."""
    grid = st.Grid.of(shape)
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1)), st.Layer(st.frames.Wavelets(J=1))], grid)
    fast = phi.rebuilt(engine="fast", oversampling=100.0, dtype=torch.float64)
    assert not any(_kernels.supported(g.shape) for layer in fast._plan.groups for g in layer)
    f = draw((9, *shape))
    for a, b in zip(fast(f).remainder, phi(f).remainder, strict=True):
        assert torch.allclose(a, b, rtol=1e-13)


@given(n=hs.integers(1, 5000))
def test_radices(n):
    found = _kernels.radices(n)
    if found is None:
        assert any(n % p == 0 for p in range(37, n + 1) if all(p % q for q in range(2, int(p**0.5) + 1)))
    else:
        assert np.prod(found, dtype=object) == n and all(
            r == 4 or (r <= 31 and all(r % q for q in range(2, r))) for r in found
        )


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("lead, filters", [((1, 1), 1), ((1, 3), 5), ((2, 4), 1), ((3, 7), 2)], ids=str)
@pytest.mark.parametrize("n", [260, 1024, 7 * 11 * 13])
@pytest.mark.parametrize("n_threads", [2, 5])
def test_threads_that_treat_the_same_maps(monkeypatch, n_threads, n, lead, filters, dtype):
    """All threads share the maps of a long line: the numbers of one thread, and the gradients of torch."""
    fused = made((n + 3,), (n,), filters, outputs=(37,))
    z = torch.from_numpy(array((*lead, n + 3), 4)).to(COMPLEX[dtype])
    with threads(1):
        alone = fused(z, maps=True, spectra=True, sums=True)
    monkeypatch.setattr(_kernels, "LONG", 2)
    assert fused.compiled(dtype).together(100, n_threads)
    with threads(n_threads):
        found = fused(z, maps=True, spectra=True, sums=True)
        gradient = gradients(fused, z)
    assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))
    expected = reference(fused, z)
    assert float((gradient - expected).abs().max()) <= 8 * TOLERANCE[dtype] * float(expected.abs().max())


@needs_kernels
@pytest.mark.parametrize("outputs, first", [(8, 0), (5, 2), (1, 0), (12, 7)])
@pytest.mark.parametrize("step", [128, 130])
def test_outputs_that_are_shifts_of_each_other(monkeypatch, step, outputs, first):
    """They share one table of weights; averages and gradients are those of the whole matrix."""
    n = 8 * step
    away = (np.arange(n) - step * (first + np.arange(outputs))[:, None]) % n
    matrix = np.random.default_rng(0).standard_normal(n)[away] * (np.minimum(away, n - away) < 3 * step) / n
    table, *found = _kernels._shifts(matrix, 0.0)
    assert found == ([step, 8 + outputs, 8] if outputs > 1 else [n, outputs, 0])
    assert table.size == (step * (8 + outputs) if outputs > 1 else n)
    fused = made((n,), (n,), 2, outputs=(outputs,))
    fused.output.output.matrices[0][:] = matrix
    x = array((3, 3, n), 5)
    z = torch.from_numpy(x)
    agree(fused(z, maps=True, spectra=True, sums=True), naive(fused, x), torch.float64)
    gradient, expected = gradients(fused, z), reference(fused, z)
    assert float((gradient - expected).abs().max()) <= 4e-14 * float(expected.abs().max())


@pytest.mark.parametrize("change", [1e-10, np.nan])
def test_outputs_that_are_no_shifts_keep_their_matrix(change):
    n, step = 1024, 128
    matrix = np.eye(1, n)[0][(np.arange(n) - step * np.arange(4)[:, None]) % n]
    matrix[2, 5] += change
    table, *numbers = _kernels._shifts(matrix, 1e-12)
    assert numbers == [n, 4, 0]
    np.testing.assert_array_equal(table, matrix.T)
    assert _kernels._shifts(np.zeros((4, n)), 1e-12)[1:] == (n, 4, 0)


# --- gradients -------------------------------------------------------------------------------------------------------


def cotangents(fused, x, seed=7):
    results = fused(x, maps=True, spectra=True, sums=False)[:3]
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(r.shape, dtype=r.dtype, generator=generator) if r is not None else None for r in results]


def gradients(fused, x, used=(True, True, True)):
    """Gradient of random linear functions of the moduli, their spectra and the averages; `used` chooses among them."""
    x = x.clone().requires_grad_()
    weights = cotangents(fused, x.detach())
    results = fused(x, maps=True, spectra=True, sums=True)[:3]
    chosen = [(r, w) for r, w, u in zip(results, weights, used, strict=True) if u and r is not None]
    return torch.autograd.grad([r for r, _ in chosen], x, [w for _, w in chosen])[0]


def reference(fused, x, used=(True, True, True)):
    """The same by autograd through torch operations in float64."""
    weights = [w.to(torch.complex128 if w.is_complex() else torch.float64) if w is not None else None
               for w in cotangents(fused, x)]  # fmt: skip
    x = x.to(torch.complex128).clone().requires_grad_()
    axes = tuple(range(-len(fused.filters.packed.target), 0))
    u = torch.fft.ifftn(fused.filters.gathered(x), dim=axes, norm="forward").abs()
    averages = fused.output(u.flatten(1, 2)).unflatten(1, u.shape[1:3]) if fused.output is not None else None
    results = [u, torch.fft.fftn(u, dim=axes), averages]
    chosen = [(r, w) for r, w, c in zip(results, weights, used, strict=True) if c and r is not None]
    return torch.autograd.grad([r for r, _ in chosen], x, [w for _, w in chosen])[0]


@needs_kernels
@pytest.mark.parametrize("used", [(True, True, True), (True, False, False), (False, True, False), (False, False, True)])
@pytest.mark.parametrize("lead", [(1, 1), (1, 5), (3, 3), (2, 8)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(1,), (12,), (29,), (320,), (4, 5), (14, 11)], ids=str)
def test_gradients_are_those_of_torch(shape, dtype, lead, used):
    fused = made(tuple(n + 2 for n in shape), shape, 4, outputs=shape)
    x = torch.from_numpy(array((*lead, *(n + 2 for n in shape)), 5)).to(COMPLEX[dtype])
    found, expected = gradients(fused, x, used), reference(fused, x, used)
    assert found.dtype == x.dtype
    assert float((found - expected).abs().max()) <= 100 * TOLERANCE[dtype] * float(expected.abs().max())


@needs_kernels
@pytest.mark.parametrize("items", [2, 9])
@pytest.mark.parametrize("shape", [(5,), (3, 4)], ids=str)
def test_gradients_and_second_gradients_by_differences(shape, items):
    fused = made(shape, shape, 2, outputs=shape, drop=0.1)
    x = torch.from_numpy(array((1, items, *shape), 6)).requires_grad_()

    def function(z):
        u, U, averages, _ = fused(z, maps=True, spectra=True, sums=False)
        return u, U, averages

    assert gradcheck(function, (x,), fast_mode=True)
    assert gradgradcheck(function, (x,), fast_mode=True)


@needs_kernels
@pytest.mark.parametrize("shape", [(8,), (6, 4)], ids=str)
def test_the_modulus_of_nothing_has_gradient_zero(shape):
    fused = made(shape, shape, 3, outputs=shape)
    x = torch.from_numpy(array((1, 9, *shape), 6))
    x[0, [2, 8]] = 0.0
    found = gradients(fused, x)
    assert not found[0, [2, 8]].any() and bool(found[0, 3].any())
    assert bool(torch.isfinite(torch.view_as_real(found)).all())


# --- what is no number -----------------------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("shape", [(12,), (5, 6)], ids=str)
def test_nan_and_infinity_stay_with_their_map(shape, value):
    fused = made(shape, shape, 3, "real", outputs=shape, drop=0.0)
    x = array((1, 10, *shape), 8)
    expected = naive(fused, x)
    x[(0, 4, *(1 for _ in shape))] = value
    found = fused(torch.from_numpy(x), maps=True, spectra=True, sums=True)
    others = [i for i in range(10) if i != 4]
    agree([r[:, others] for r in found], [e[:, others] for e in expected], torch.float64)
    for r in found:
        assert bool(torch.isnan(r[:, 4, 0]).any()), "and are not swept away"
    gradient = gradients(fused, torch.from_numpy(x))
    good = gradients(fused, torch.from_numpy(array((1, 10, *shape), 8)))
    assert torch.equal(gradient[:, others], good[:, others])


# --- filters and moduli one by one -----------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("source", "target"), [((9,), (4,)), ((37,), (37,)), ((6, 5), (4, 8)), ((4, 6, 5), (3, 6, 4))])
def test_filters(source, target, dtype, kind, half):
    """Kernel, torch operations and dense sums; the adjoint by its definition, twice."""
    filters = Filters(pack(array((3, *source), 1, kind), target, drop=0.3, half=half))
    x = torch.from_numpy(array((2, 3, *source), 2)).to(COMPLEX[dtype])
    index, weight = filters.packed.slots()
    expected = (weight * x.numpy().astype(complex).reshape(2, 3, -1)[..., index]).sum(2)
    expected = expected.reshape(2, 3, 3, *filters.packed.spectrum_shape)
    agree([filters(x), filters.gathered(x)], [expected, expected], dtype)
    with without_kernels():
        agree([filters(x)], [expected], dtype)
    x.requires_grad_()
    y = torch.from_numpy(array(expected.shape, 3)).to(COMPLEX[dtype])
    (found,) = torch.autograd.grad(filters(x), x, y)
    (plain,) = torch.autograd.grad(filters.gathered(x), x, y)
    agree([found], [plain.to(torch.complex128)], dtype)
    inner = [complex((a.conj() * b).sum().detach()) for a, b in ((y, filters(x)), (found, x))]
    assert abs(inner[0] - inner[1]) <= 100 * TOLERANCE[dtype] * abs(inner[0])


@needs_kernels
def test_second_gradients_of_filters():
    filters = Filters(pack(array((2, 5), 1), (3,), drop=0.0))
    x = torch.from_numpy(array((1, 2, 5), 2)).requires_grad_()
    function = lambda z: filters(z).abs().square()  # noqa: E731
    assert gradcheck(function, (x,)) and gradgradcheck(function, (x,))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (3, 1000)], ids=str)
def test_modulus(shape, dtype):
    z = torch.from_numpy(array(shape, 3)).to(dtype)
    views = [z, z.conj(), z.mT if z.ndim > 1 else z.flip(0), z[..., ::2], z.real]
    for context in (contextlib.nullcontext(), without_kernels()):
        with context:
            for view in views:
                assert torch.allclose(modulus(view), view.abs(), rtol=1e-6 if dtype == torch.complex64 else 1e-15)
    w = z.clone().requires_grad_()
    modulus(w).sum().backward()
    assert torch.allclose(w.grad, z / z.abs(), rtol=1e-5)


# --- copies ----------------------------------------------------------------------------------------------------------


@needs_kernels
def test_operators_survive_pickling_and_copies():
    fused = made((8,), (6,), outputs=(3,))
    x = torch.from_numpy(array((1, 9, 8), 1))
    options = {"maps": True, "spectra": True, "sums": True}
    expected = fused(x, **options)
    for again in (pickle.loads(pickle.dumps(fused)), copy.deepcopy(fused)):
        for a, b in zip(again(x, **options), expected, strict=True):
            assert torch.equal(a, b)
        assert torch.equal(again.filters(x), fused.filters(x)) and torch.equal(
            again.output(x.real[..., :6]), fused.output(x.real[..., :6])
        )


# --- without a compiler ----------------------------------------------------------------------------------------------


@pytest.fixture
def forgotten():
    """Nothing is built yet, before the test and after it."""
    _kernels._build.cache_clear()
    yield
    _kernels._build.cache_clear()


def features(d, dtype=torch.float64):
    grid = {1: st.Grid.line(40), 2: st.Grid.of((12, 16))}[d]
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2))] * 2, grid, engine="fast", dtype=dtype)
    f = draw((9, *grid.shape), dtype=dtype).requires_grad_()
    found = phi(f)
    (gradient,) = torch.autograd.grad(found.flatten().sum(), f)
    return [found.flatten().detach(), gradient, *(r.detach() for r in found.remainder)]


def same(one, other, dtype=torch.float64):
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=50 * TOLERANCE[dtype] * float(b.abs().max()))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("d", [1, 2])
def test_networks_without_kernels(d, dtype):
    expected = features(d, dtype)
    with without_kernels():
        assert _kernels.library(dtype) is None
        with without_kernels():
            pass
        assert _kernels.library(dtype) is None
        same(features(d, dtype), expected, dtype)
    assert _kernels.library(dtype) is not None


def no_compiler(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)


def failing_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "false")
    folders(monkeypatch, tmp_path)


def no_folder(monkeypatch, tmp_path):
    """Neither cache folder can be made: a file stands where their parent should be."""
    (tmp_path / "file").write_text("")
    folders(monkeypatch, tmp_path / "file")


def broken_library(monkeypatch, tmp_path):
    """The compiler writes what the loader refuses."""
    folders(monkeypatch, tmp_path)
    monkeypatch.setattr(compiled.shutil, "which", lambda name: "cc")

    def write(command, **options):
        with open(command[command.index("-o") + 1], "wb") as file:
            file.write(b"no library")

    monkeypatch.setattr(compiled.subprocess, "run", write)


def folders(monkeypatch, path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(path / "cache"))
    monkeypatch.setattr(compiled.tempfile, "gettempdir", lambda: str(path / "temporary"))


@pytest.mark.parametrize("trouble", [no_compiler, failing_compiler, no_folder, broken_library])
def test_trouble_with_the_compiler_changes_no_result(monkeypatch, tmp_path, forgotten, trouble):
    expected = features(1) + features(2)
    _kernels._build.cache_clear()
    trouble(monkeypatch, tmp_path)
    assert _kernels.library(torch.float64) is None
    same(features(1) + features(2), expected)


@needs_kernels
def test_the_library_is_built_once_and_kept(monkeypatch, tmp_path, forgotten):
    """In the cache folder, with nothing beside it; or, where that cannot be made, in the folder for temporary files."""
    folders(monkeypatch, tmp_path)
    assert isinstance(_kernels.library(torch.float32), ctypes.CDLL)
    (kept,) = (tmp_path / "cache").rglob("*.so")
    assert list((tmp_path / "cache").rglob("*")) == [kept.parent, kept]
    monkeypatch.setattr(compiled.subprocess, "run", None)
    _kernels._build.cache_clear()
    assert isinstance(_kernels.library(torch.float32), ctypes.CDLL)
    other = tmp_path / "temporary" / f"scatter_theory-{compiled.os.getuid()}"
    other.mkdir(parents=True)
    kept.rename(other / kept.name)
    monkeypatch.setattr(compiled, "_cache_folder", lambda: other / kept.name / "below a file")
    _kernels._build.cache_clear()
    assert isinstance(_kernels.library(torch.float32), ctypes.CDLL)
