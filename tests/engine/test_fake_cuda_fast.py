"""The fast engine on a pretended GPU: every family, non-linearity and pooling without a value on the host."""

from unittest import mock

import pytest
import torch
from engine.common import NONLINEARITIES, POOLINGS, examples, name_of
from fake_cuda import CUDA, _getitem, on_fake_cuda
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor

import scatter_theory as st
from scatter_theory.engine import _kernels

GRIDS = {1: st.Grid.line(16), 2: st.Grid.of((8, 12)), 3: st.Grid.of((8, 8, 8))}
RULES = [st.AllPaths(), st.FrequencyDecreasing(), st.FixedPaths([(0, 1), (1,)])]
FEW = st.FixedPaths([(0, 0), (2,)])


def _setitem(x, index, value):
    """``x[index] = value`` without the device guard that a CPU build lacks."""
    torch.ops.aten.copy_.default(_getitem(x, index), value)


def check(phi, dtype, batch=9):
    """Forward pass of a batch; everything stays on the device, with the shapes and precisions of the CPU."""
    expected = phi(torch.zeros(batch, *phi.grid.shape, dtype=dtype))
    loud = mock.patch.object(_kernels, "library", side_effect=AssertionError("a kernel of the CPU would be called"))
    with mock.patch.object(FakeTensor, "__setitem__", _setitem), on_fake_cuda(phi), loud:
        assert phi.device == CUDA
        features = phi(torch.empty(batch, *phi.grid.shape, dtype=dtype, device=CUDA))
        for a, b in zip(features, expected, strict=True):
            assert a.values.device == CUDA and a.paths == b.paths
            assert a.values.shape == b.values.shape and a.values.dtype == b.values.dtype
        numbers = [features.energy(), features.norm("layer"), features.pruned, *features.remainder]
        assert all(number.device == CUDA for number in [*numbers, features.residual_energy, features.flatten()])
    assert phi.device.type == "cpu"


def made(layers, grid, **options):
    return st.FeatureExtractor(layers, grid, engine="fast", **{"dtype": torch.float64, **options})


FIXED = [(frame, d) for frame, d in examples() if not frame.modules()]


@pytest.mark.parametrize(("frame", "d"), FIXED, ids=name_of)
def test_every_family(frame, d):
    """The modulus first, then a map that leaves bands where they are; plans of learned frames wait for the weights."""
    layers = [st.Layer(frame, st.Modulus(), st.Subsample(2)), st.Layer(frame, st.Tanh())]
    check(made(layers, GRIDS[d], paths=FEW), torch.float64)


@pytest.mark.parametrize("rho", NONLINEARITIES, ids=repr)
@pytest.mark.parametrize("sampling", ["dilate", "decimate"])
def test_every_nonlinearity(sampling, rho):
    """On coarse grids, and on the full grid in front of an average in mode "decimate"."""
    layers = [st.Layer(st.frames.Wavelets(J=1), rho, st.Average(2)), st.Layer(st.frames.Wavelets(J=1), rho)]
    grid = GRIDS[1 + NONLINEARITIES.index(rho) % 2]
    check(made(layers, grid, sampling=sampling, paths=FEW), torch.float64)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(("sampling", "pooling"), POOLINGS, ids=str)
def test_every_pooling(sampling, pooling, d):
    layers = [st.Layer(st.frames.Wavelets(J=1), st.Modulus(), pooling), st.Layer(st.frames.Wavelets(J=1), st.Tanh())]
    check(made(layers, GRIDS[d], sampling=sampling, paths=FEW), torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_precision_and_path_rule(rule, dtype):
    layers = [st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Average(2)), st.Layer(st.frames.Taps("db2", J=1))]
    precision = torch.float32 if dtype in (torch.float32, torch.complex64) else torch.float64
    options = {"paths": rule, "complex_input": dtype.is_complex, "dtype": precision, "oversampling": 1.5}
    for batch in (0, 1, 9):
        check(made(layers, GRIDS[1], **options), dtype, batch)


@pytest.mark.parametrize("sided", ["half", "both", "real"])
def test_every_kind_of_bank(sided):
    frame = st.frames.Wavelets(J=2, sided=sided)
    rhos = [st.Modulus()] if sided == "half" else [st.Modulus(), st.ReLU()]
    for rho in rhos:
        check(made([st.Layer(frame, rho, st.Subsample(2)), st.Layer(frame, rho)], GRIDS[1]), torch.float64)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("pooling", [st.Subsample(2), st.Average(2)], ids=repr)
@pytest.mark.parametrize("rho", [st.Modulus(), st.Tanh(), st.PhaseReLU()], ids=repr)
def test_gradients_need_no_value_either(rho, pooling, d):
    """On the device ``meta``, whose tensors have no values at all."""
    layers = [st.Layer(st.frames.Wavelets(J=1), rho, pooling), st.Layer(st.frames.Wavelets(J=1), rho)]
    phi = made(layers, GRIDS[d]).to("meta")
    f = torch.empty(9, *GRIDS[d].shape, dtype=torch.float64, device="meta", requires_grad=True)
    features = phi(f)
    for result in (features.norm().sum(), features.residual_energy.sum()):
        (gradient,) = torch.autograd.grad(result, f, retain_graph=True)
        assert gradient.device == f.device and gradient.shape == f.shape


def test_a_signal_on_the_host_is_refused():
    phi = made([st.Layer(st.frames.Wavelets(J=1))], GRIDS[1])
    with on_fake_cuda(phi), pytest.raises(ValueError, match=r"`f`: on device cpu, but the extractor is on cuda:0"):
        phi(torch.empty(16, dtype=torch.float64))


def test_a_nonlinearity_that_looks_at_values_is_caught():
    curious = st.Pointwise(lambda x: x if float(x.abs().max()) < 1e300 else 0 * x, 1.0)
    phi = made([st.Layer(st.frames.Wavelets(J=1), curious)], GRIDS[1])
    with pytest.raises((RuntimeError, DataDependentOutputException), match=r"scalar|not linked with support for cuda"):
        check(phi, torch.float64)
