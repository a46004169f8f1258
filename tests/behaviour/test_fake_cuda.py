"""The extractor on a pretended GPU: every frame family, non-linearity and pooling without a value on the host."""

from contextlib import suppress

import pytest
import torch
from engine.common import FAMILIES, NONLINEARITIES
from fake_cuda import CUDA, on_fake_cuda
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

import scatter_theory as st

POOLINGS = [
    ("dilate", st.NoPooling()),
    ("dilate", st.Subsample(2)),
    ("dilate", st.Average(2)),
    ("dilate", st.Average(2, kernel=(0.25, 0.5, 0.25))),
    ("dilate", st.Pool(lambda x: 0.5 * x, 0.5)),
    ("decimate", st.Subsample(2)),
    ("decimate", st.Average(2)),
    ("decimate", st.Average(2, kernel=(0.25, 0.5, 0.25))),
    ("decimate", st.Max(2)),
    ("decimate", st.Max(2, window=3)),
]
RULES = [st.AllPaths(), st.FrequencyDecreasing(), st.FixedPaths([(0, 1), (1,)])]
FEW = st.FixedPaths([(0, 0), (2,)])
GRIDS = {1: st.Grid.line(16), 2: st.Grid.of((8, 12)), 3: st.Grid.of((8, 8, 8))}


def examples():
    """A small frame of every family in every dimension where the family exists."""
    for family in FAMILIES:
        for d in GRIDS:
            with suppress(ValueError):
                yield pytest.param(family.example(d), d, id=f"{family.__name__}, d = {d}")


def check(phi, dtype):
    """Forward, walk and one path of a batch, on the pretended GPU; everything stays there, with the right shapes."""
    expected = phi(torch.zeros(2, *phi.grid.shape, dtype=dtype))
    with on_fake_cuda(phi):
        assert phi.device == CUDA
        f = torch.empty(2, *phi.grid.shape, dtype=dtype, device=CUDA)
        features = phi(f)
        for a, b in zip(features, expected, strict=True):
            assert a.values.device == CUDA
            assert a.values.shape == b.values.shape and a.values.dtype == b.values.dtype and a.paths == b.paths
        numbers = [features.energy(), features.energy("path"), features.norm("layer"), features.distance(features)]
        numbers += [features.pruned, *features.remainder, features.residual_energy, features.select(n=1).flatten()]
        assert all(number.device == CUDA for number in numbers)
        steps = list(phi.walk(f))
        assert [tuple(s.path) for s in steps] != [] and all(s.U.device == s.S.device == CUDA for s in steps)
        assert phi.propagate(f, steps[1].path).device == CUDA
    assert phi.device.type == "cpu"


@pytest.mark.parametrize(("frame", "d"), list(examples()))
def test_every_family(frame, d):
    check(st.FeatureExtractor([st.Layer(frame)], GRIDS[d], paths=FEW), torch.float64)


@pytest.mark.parametrize("sided", ["half", "both", "real"])
@pytest.mark.parametrize("rho", NONLINEARITIES, ids=repr)
def test_every_nonlinearity(rho, sided):
    frame = st.frames.Wavelets(J=1, sided=sided)
    check(st.FeatureExtractor([st.Layer(frame, rho)], GRIDS[1]), torch.float64)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(("sampling", "pooling"), POOLINGS, ids=str)
def test_every_pooling(sampling, pooling, d):
    layers = [st.Layer(st.frames.Wavelets(J=1), st.Modulus(), pooling), st.Layer(st.frames.Wavelets(J=1), st.Tanh())]
    check(st.FeatureExtractor(layers, GRIDS[d], sampling=sampling, paths=FEW), torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_precision_and_path_rule(rule, dtype):
    layers = [st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2)), st.Layer(st.frames.Taps("db2", J=1))]
    precision = torch.float32 if dtype in (torch.float32, torch.complex64) else torch.float64
    phi = st.FeatureExtractor(layers, GRIDS[1], paths=rule, complex_input=dtype.is_complex, dtype=precision)
    check(phi, dtype)


@pytest.mark.parametrize("rho", [st.Modulus(), st.Tanh(), st.PhaseReLU()], ids=repr)
def test_gradients_need_no_value_either(rho):
    """On the device ``meta``, whose tensors have no values at all."""
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2), rho, st.Average(2))] * 2, GRIDS[1]).to("meta")
    f = torch.empty(2, 16, dtype=torch.float64, device="meta", requires_grad=True)
    (gradient,) = torch.autograd.grad(phi(f).norm().sum(), f)
    assert gradient.device == f.device and gradient.shape == f.shape


def test_grid_tensors_are_made_where_they_are_used():
    grid = GRIDS[2]
    with FakeTensorMode():
        f = torch.empty(3, *grid.shape, dtype=torch.complex64, device=CUDA)
        tensors = [grid.points(device=CUDA), grid.frequencies(device=CUDA), grid.phase((0.5, 0.5), device=CUDA)]
        tensors += [grid.norm(f), grid.inner(f, f), grid.translate(f, (1, 2)), grid.mirror(f)]
        tensors += [grid.ifft(grid.fft(f) * grid.phase((0.5, 0.5), device=CUDA))]
        assert all(tensor.device == CUDA for tensor in tensors)


# --- the pretence can fail -------------------------------------------------------------------------------------------


class Careless(st.Pooling):
    """Adds a tensor made on the CPU."""

    factor = 1

    def map(self, x, grid, sampling):
        return x + torch.zeros(grid.shape, dtype=torch.float64)

    def lipschitz(self, grid, sampling):
        return st.Constant(1.0, "test", "derived")


class Curious(Careless):
    """Looks at a value."""

    def map(self, x, grid, sampling):
        return x if float(x.abs().max()) < 1e300 else 0 * x


class Choosy(Careless):
    """Indexes by a mask."""

    def map(self, x, grid, sampling):
        return 0 * x + x[x > 0].sum()


@pytest.mark.parametrize(
    ("pooling", "error", "message"),
    [
        (Careless(), RuntimeError, "same device"),
        (Curious(), (RuntimeError, DataDependentOutputException), "scalar|not linked with support for cuda"),
        (Choosy(), (RuntimeError, DynamicOutputShapeException), "index|not linked with support for cuda"),
    ],
)
def test_host_values_and_mixed_devices_are_caught(pooling, error, message):
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1), st.Modulus(), pooling)], GRIDS[1])
    with pytest.raises(error, match=message):
        check(phi, torch.float64)
    assert phi.device.type == "cpu"


def test_a_signal_on_the_host_is_refused():
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1))], GRIDS[1])
    with on_fake_cuda(phi), pytest.raises(ValueError, match=r"`f`: on device cpu, but the extractor is on cuda:0"):
        phi(torch.empty(16, dtype=torch.float64))
