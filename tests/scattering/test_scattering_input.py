"""Arguments and signals that are refused, with the reason, and rare ones that are not."""

import math

import numpy as np
import pytest
import torch

import scatter_theory.scattering
from scatter_theory.engine import fitted
from scatter_theory.scattering import Scattering1D, Scattering2D

pytestmark = pytest.mark.filterwarnings("ignore:.*does not decay within:UserWarning")

REFUSED_1D = [
    ({"J": 7}, r"J=7.*2\^J = 128 exceeds the 100 samples.*largest J is 6"),
    ({"J": -1}, "J=.*got -1, expected a whole number >= 0"),
    ({"J": 2.5}, r"J=.*got 2\.5"),
    ({"J": True}, "J=.*got True"),
    ({"shape": 1}, r"shape=.*got 1, expected a whole number N >= 2 or \(N,\)"),
    ({"shape": (100, 100)}, "shape="),
    ({"shape": "100"}, "shape="),
    ({"Q": 0}, "Q=0.*>= 1"),
    ({"Q": 1.5}, "Q=1.5"),
    ({"Q": [8, 1]}, "Q="),
    ({"Q": ()}, "Q="),
    ({"Q": (8, 1, 1)}, "Q=.*tuple of 1 to 2 of them.*max_order=2"),
    ({"T": 101}, "T=101.*length of the signal, 100"),
    ({"T": 0.5}, "T=0.5"),
    ({"T": "all"}, "T='all'"),
    ({"T": math.nan}, "T=nan"),
    ({"max_order": 0}, "max_order=.*>= 1"),
    ({"oversampling": -1}, "oversampling=.*>= 0"),
    ({"oversampling": 0.5}, "oversampling="),
    ({"out_type": "tuple"}, "out_type=.*'array', 'list', 'dict'"),
    ({"T": 0}, "out_type='array'.*Use `out_type='list'`"),
    ({"backend": "tensorflow"}, "backend='tensorflow'.*only backend='torch'"),
    ({"backend": "torch_skcuda"}, "only backend='torch'"),
    ({"padding": "mirror"}, "padding=.*'reflect', 'zero', 'constant', 'periodic'"),
    ({"padding": "periodic"}, r"100 samples are no multiple of 2\^3"),
    ({"dtype": torch.float16}, r"dtype=.*expected torch\.float32 or torch\.float64"),
    ({"memory": 0}, "memory="),
]
REFUSED_2D = [
    ({"J": 5}, r"J=5.*exceeds the 20 samples.*largest J is 4"),
    ({"J": 0}, "J=.*>= 1"),
    ({"shape": 20}, r"shape=.*expected \(M, N\)"),
    ({"shape": (20, 20, 3)}, "shape="),
    ({"L": 0}, "L="),
    ({"max_order": 0}, "max_order="),
    ({"out_type": "tuple"}, "out_type="),
    ({"backend": "numpy"}, "backend='numpy'"),
    ({"padding": "periodic"}, r"sides of \(20, 30\) are no multiples of 2\^2"),
    ({"padding": "periodic", "pre_pad": True}, "contradictory"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED_1D, ids=str)
def test_arguments_of_lines(options, message):
    with pytest.raises(ValueError, match=rf"`Scattering1D.*{message}"):
        Scattering1D(**{"J": 3, "shape": 100, **options})


@pytest.mark.parametrize(("options", "message"), REFUSED_2D, ids=str)
def test_arguments_of_planes(options, message):
    with pytest.raises(ValueError, match=rf"`Scattering2D.*{message}"):
        Scattering2D(**{"J": 2, "shape": (20, 30), **options})


@pytest.mark.parametrize(("T", "average"), [(0, True), (8, False)])
def test_contradictory_averages(T, average):
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="contradictory"):
        Scattering1D(3, 100, T=T, average=average)


def test_wide_low_passes_are_warned_of():
    with pytest.warns(UserWarning, match="T = 64 does not decay within the 64 samples"):
        Scattering1D(6, 64)


# --- names of kymatio ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [({"vectorize": False}, "out_type='dict'"), ({"frontend": "sklearn"}, "torch tensors"), ({"q": 1}, "no such arg")],
    ids=str,
)
def test_options_we_lack(options, message):
    for cls, shape in ((Scattering1D, 100), (Scattering2D, (20, 30))):
        with pytest.raises(TypeError, match=rf"`{cls.__name__}\({next(iter(options))}=.*{message}"):
            cls(2, shape, **options)
    assert Scattering1D(2, 100, frontend="torch").J == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Scattering3D", "no solid harmonic transform"),
        ("HarmonicScattering3D", "no solid harmonic transform"),
        ("TimeFrequencyScattering", "no joint time-frequency"),
        ("ScatteringTorch2D", "Import `Scattering1D` or `Scattering2D`"),
        ("ScatteringTransformer1D", "one class per dimension"),
    ],
)
def test_classes_we_lack(name, message):
    with pytest.raises(ImportError, match=message):
        getattr(scatter_theory.scattering, name)


def test_other_names_are_just_unknown():
    with pytest.raises(AttributeError, match="no attribute 'Scatering1D'"):
        scatter_theory.scattering.Scatering1D  # noqa: B018


@pytest.mark.parametrize(("name", "use"), [("psi1_f", "filters"), ("phi", "filters"), ("N", "shape"), ("J_pad", "pad")])
def test_attributes_that_moved(name, use):
    with pytest.raises(AttributeError, match=f"`Scattering1D.{name}`.*Use `{use}"):
        getattr(Scattering1D(2, 100), name)
    assert not hasattr(Scattering1D(2, 100), "nothing")


@pytest.mark.parametrize("name", ["J", "Q", "T", "max_order", "oversampling", "average", "shape", "padding", "tight"])
def test_what_the_plan_depends_on_is_fixed(name):
    S = Scattering1D(2, 100)
    with pytest.raises(AttributeError, match=f"`Scattering1D.{name}`: fixed at construction"):
        setattr(S, name, getattr(S, name))
    with pytest.raises(ValueError, match="out_type"):
        S.out_type = "tuple"
    S.train(False).requires_grad_(False)


# --- signals ---------------------------------------------------------------------------------------------------------

LINE = Scattering1D(2, 100)
PLANE = Scattering2D(2, (20, 30), 2)
BOTH = pytest.mark.parametrize("S", [LINE, PLANE], ids=["line", "plane"])


@BOTH
@pytest.mark.parametrize("enter", [lambda S, x: S(x), lambda S, x: S.scattering(x)], ids=["call", "scattering"])
def test_signals_that_are_refused(S, enter):
    x = torch.zeros(2, *S.shape)
    for bad in (x.numpy(), x.tolist(), None):
        with pytest.raises(TypeError, match=rf"`{type(S).__name__}\(x\)`.*expected a torch tensor"):
            enter(S, bad)
    for dtype in (torch.float64, torch.float16, torch.int64):
        with pytest.raises(TypeError, match=rf"got {dtype}, expected torch.float32\. Convert x"):
            enter(S, x.to(dtype))
    with pytest.raises(ValueError, match="complex_input=True"):
        enter(S, x.to(torch.complex64))
    for bad in (x[..., 1:], x[0, ..., 0], torch.zeros(())):
        with pytest.raises(ValueError, match=r"expected \(\*batch, "):
            enter(S, bad)
    for value in (math.nan, math.inf):
        bad = x.clone()
        bad.view(-1)[-1] = value
        with pytest.raises(ValueError, match=rf"`x`: entry .* is {value}"):
            enter(S, bad)
    with pytest.raises(ValueError, match="on device meta"):
        enter(S, x.to("meta"))


def test_complex_transforms_take_one_precision():
    S = Scattering1D(2, 100, complex_input=True)
    assert S(torch.zeros(100)).dtype == torch.complex64
    with pytest.raises(TypeError, match=r"got torch.complex128, expected torch.float32 or torch.complex64"):
        S(torch.zeros(100, dtype=torch.complex128))


def test_other_precisions_of_the_module_are_refused():
    with pytest.raises(TypeError, match=r"in torch.float16.*Use `.float\(\)` or `.double\(\)`"):
        Scattering1D(2, 100).half()(torch.zeros(100, dtype=torch.float16))


@BOTH
@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (2, 1, 3), (0,), (2, 0)], ids=str)
def test_batches_of_any_rank(S, batch):
    x = torch.randn(*batch, *S.shape, generator=torch.Generator().manual_seed(0))
    y = S(x)
    assert y.shape[: len(batch)] == batch and y.dtype == torch.float32
    for index in np.ndindex(*batch):
        torch.testing.assert_close(y[index], S(x[index]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"T": 0, "out_type": "dict"}, {"out_type": "list"}], ids=str)
def test_empty_batches_in_every_form(options):
    S = Scattering1D(2, 100, **options)
    x = torch.zeros(0, 100, requires_grad=True)
    y = S(x)
    values = y.values() if isinstance(y, dict) else [c["coef"] for c in y] if isinstance(y, list) else [y]
    full = S(torch.zeros(1, 100))
    full = full.values() if isinstance(full, dict) else [c["coef"] for c in full] if isinstance(full, list) else [full]
    for value, other in zip(values, full, strict=True):
        assert value.shape == (0, *other.shape[1:])
    sum(v.sum() for v in values).backward()
    assert x.grad.shape == (0, 100)


@BOTH
def test_strides_and_the_input_are_left_alone(S):
    x = torch.randn(4, *S.shape, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    strange = x.transpose(0, -1).contiguous().transpose(0, -1)
    assert not strange.is_contiguous()
    torch.testing.assert_close(S(strange), S(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(S(x.flip(-1).flip(-1)), S(x), rtol=0, atol=1e-6)
    assert torch.equal(x, before)


def test_many_signals_in_small_chunks():
    x = torch.randn(50, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for options in ({}, {"T": 0, "out_type": "dict"}):
        whole, cut = (Scattering1D(3, 100, 2, dtype=torch.float64, memory=b, **options) for b in (2**24, 350_000))
        assert fitted("cut", cut.plan(), 50, x.device, cut.memory).chunk_bytes is not None
        whole, cut = whole(x), cut(x)
        for one, other in zip(whole.values(), cut.values(), strict=True) if options else [(whole, cut)]:
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
