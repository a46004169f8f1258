"""What every non-linearity declares, against the truth: constants, flags, values."""

import math
import pickle

import mpmath
import pytest
import torch

import scatter_theory as st

# The map, and a point where its real function is steepest.
STEEPEST = [
    (st.Modulus(), 1.0),
    (st.ReLU(), 1.0),
    (st.Tanh(), 0.0),
    (st.Sigmoid(), 0.0),
    (st.Identity(), 0.0),
    (st.LeakyReLU(), 1.0),
    (st.LeakyReLU(-1.7), -1.0),
    (st.ELU(), 1.0),
    (st.ELU(1.5), -1e-6),
    (st.SoftThreshold(0.1), 1.0),
    (st.GELU(), math.sqrt(2.0)),
    (st.SiLU(), 2.39936),
    (st.PhaseReLU(0.1), 1.0),
    (st.PhaseReLU(1e-6), 1.0),
    (st.Pointwise(torch.sin, 1.0, "sine"), 0.0),
]
ALL = [rho for rho, _ in STEEPEST]


def complexes(n=4000, seed=0, decades=(-4, 4)):
    """Complex numbers with moduli over several decades."""
    generator = torch.Generator().manual_seed(seed)
    size = 10 ** (decades[0] + (decades[1] - decades[0]) * torch.rand(n, dtype=torch.float64, generator=generator))
    return size * torch.randn(n, dtype=torch.complex128, generator=generator)


# --- constants -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rho", "x"), STEEPEST, ids=lambda value: repr(value))
def test_constant_is_attained(rho, x):
    """Within 1e-6, on the real line, by a close pair around the steepest point, and on the complex plane as well."""
    step = 1e-3 if x == 0 or abs(x) > 0.5 else 1e-7
    a, b = torch.tensor([x - step / 2], dtype=torch.float64), torch.tensor([x + step / 2], dtype=torch.float64)
    for one, two in ((a, b), (a + 0j, b + 0j)):
        ratio = float((rho(one) - rho(two)).abs() / (one - two).abs())
        assert ratio >= rho.lipschitz.value * (1 - 1e-6)
        assert ratio <= rho.lipschitz.value * (1 + 1e-9)


@pytest.mark.parametrize("rho", ALL, ids=repr)
def test_constant_is_never_exceeded(rho):
    """Pairs over eight decades: unrelated, close, with one common part, and across the kinks."""
    a, b = complexes(seed=1), complexes(seed=2)
    close = a * (1 + 1e-3 * complexes(seed=3, decades=(-1, 0)))
    pairs = [(a, b), (a, close), (a, torch.complex(b.real, a.imag)), (a, -a), (a, a.conj()), (a, torch.zeros_like(a))]
    pairs += [(a.real.clone(), b.real.clone()), (a.real.clone(), close.real.clone())]
    line = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    pairs += [(line[1:], line[:-1])]
    for one, two in pairs:
        difference, bound = (rho(one) - rho(two)).abs(), rho.lipschitz.value * (one - two).abs()
        rounding = 4e-16 * (one.abs() + two.abs()) * rho.lipschitz.value
        assert bool((difference <= bound * (1 + 1e-14) + 4 * rounding).all())


def test_an_understated_constant_is_caught_by_these_pairs():
    """The exact GELU declared 1-Lipschitz, which is the usual mistake."""
    rho = st.Pointwise(torch.nn.functional.gelu, 1.0)
    x = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    assert float(((rho(x[1:]) - rho(x[:-1])) / (x[1:] - x[:-1])).abs().max()) > 1.128


def test_constants_of_gelu_and_silu_to_the_last_digit():
    """Never below the true maximum of the derivative, in 50 digits, and within 1e-15 of it."""
    with mpmath.workdps(50):
        derivative = lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x)  # noqa: E731
        top = mpmath.findroot(lambda x: mpmath.diff(derivative, x), 1.4)
        true = derivative(top)
        assert abs(top - mpmath.sqrt(2)) < 1e-20
        assert 0 <= mpmath.mpf(st.GELU().lipschitz.value) - true < 1e-15
        assert 0 <= mpmath.mpf(st.SiLU().lipschitz.value) - _silu_maximum() < 1e-15


def _silu_maximum():
    """Maximum of the derivative of x / (1 + exp(-x)), where x tanh(x/2) = 2, in the current precision."""
    top = mpmath.findroot(lambda x: x * mpmath.tanh(x / 2) - 2, 2.4)
    s = 1 / (1 + mpmath.exp(-top))
    return s * (1 + top * (1 - s))


@pytest.mark.parametrize(
    ("rho", "published"), [(st.ReLU(), 2.0), (st.Tanh(), 2.0), (st.Sigmoid(), 0.5), (st.Modulus(), None)], ids=repr
)
def test_published_constants_are_twice_the_sharp_ones(rho, published):
    assert (rho.lipschitz_published and rho.lipschitz_published.value) == published
    if published:
        assert published == 2 * rho.lipschitz.value


def test_kinds():
    assert all(rho.lipschitz.proves for rho in ALL if not isinstance(rho, st.Pointwise))
    declared = st.Pointwise(torch.sin, 1.0).lipschitz
    assert declared.kind == "declared" and not declared.proves


# --- flags -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", ALL, ids=repr)
def test_conjugation_class(rho):
    """A: real and even under conjugation; B: commutes with it; C: neither. Of user functions nothing is assumed."""
    z = complexes(decades=(-1, 1))
    even = not rho(z).is_complex() and torch.equal(rho(z.conj().resolve_conj()), rho(z))
    equivariant = bool(((rho(z.conj().resolve_conj()) - rho(z).conj()).abs() <= 1e-15 * rho(z).abs()).all())
    found = "A" if even else "B" if equivariant else "C"
    assert rho.conjugation == ("C" if isinstance(rho, st.Pointwise) else found)


@pytest.mark.parametrize("rho", [rho for rho in ALL if not isinstance(rho, st.Pointwise)], ids=repr)
def test_flags_are_true_statements_and_complete(rho):
    z = complexes(decades=(-1, 1))
    parts = torch.view_as_real(rho(z)) if rho(z).is_complex() else rho(z)
    assert rho.nonnegative == bool((parts >= 0).all())
    assert rho.homogeneous == torch.allclose(rho(3.0 * z), 3.0 * rho(z), rtol=1e-13, atol=0)
    assert rho.isometric == torch.allclose(rho(z).abs(), z.abs(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("rho", [*ALL, st.Pointwise(torch.sigmoid, 0.25), st.Pointwise(torch.cos, 1.0)], ids=repr)
def test_value_at_zero(rho):
    zero = torch.zeros(3, dtype=torch.complex128)
    assert float(rho(zero).abs().max()) == pytest.approx(rho.zero, abs=1e-300)
    assert (rho.zero == 0) == (not isinstance(rho, st.Pointwise) or rho.function is torch.sin)


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_dtypes_shapes_and_inputs_stay(rho, dtype):
    x = torch.randn(2, 0 if dtype == torch.float32 else 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    y = rho(x)
    assert y.shape == x.shape and torch.equal(x, before)
    assert y.dtype == (x.real.dtype if rho.conjugation == "A" else dtype)


@pytest.mark.parametrize("rho", ALL, ids=repr)
def test_no_overflow(rho):
    """Finite for every finite input, so that a far-away sample does not spoil a signal; gradients as well."""
    x = torch.tensor([-1e300, -1e3, -1e-300, 0.0, 1e-300, 1e3, 1e300], dtype=torch.float64, requires_grad=True)
    assert torch.isfinite(rho(x)).all()
    rho(x).sum().backward()
    assert torch.isfinite(x.grad).all() and float(x.grad.abs().max()) <= rho.lipschitz.value * (1 + 1e-9)


def test_formulas():
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    z = torch.complex(x, x.flip(0) + 0.3)
    sigmoid = 1 / (1 + torch.exp(-x)) - 0.5
    assert torch.allclose(st.Sigmoid()(x), sigmoid, rtol=1e-13, atol=1e-16)
    assert torch.allclose(st.GELU()(x), x * 0.5 * (1 + torch.erf(x / math.sqrt(2))), rtol=1e-13, atol=1e-15)
    assert torch.allclose(st.SiLU()(x), x / (1 + torch.exp(-x)), rtol=1e-13, atol=1e-16)
    assert torch.allclose(st.ELU(0.7)(x), torch.where(x > 0, x, 0.7 * torch.expm1(x)), rtol=1e-13, atol=0)
    for rho in ALL:
        if rho.conjugation != "A" and not isinstance(rho, st.PhaseReLU):
            assert torch.equal(rho(z), torch.complex(rho(z.real), rho(z.imag)))


def test_phase_relu_minimises_its_proximal_problem():
    """``argmin_w |w - z|^2 / 2 + b |w|``: no point of a fine polar grid around it is better."""
    rho, z = st.PhaseReLU(0.5), torch.tensor(0.9 - 1.3j, dtype=torch.complex128)
    radius = torch.linspace(0, 3, 301, dtype=torch.float64)[:, None]
    angle = torch.linspace(0, 2 * math.pi, 401, dtype=torch.float64)

    def objective(w):
        return (w - z).abs() ** 2 / 2 + 0.5 * w.abs()

    assert float(objective(rho(z))) <= float(objective(torch.polar(radius, angle)).min())
    small = torch.tensor(0.3 + 0.1j, dtype=torch.complex128)
    assert rho(small) == 0


@pytest.mark.parametrize("rho", ALL, ids=repr)
def test_values_of_a_class(rho):
    assert rho == pickle.loads(pickle.dumps(rho)) and hash(rho) == hash(pickle.loads(pickle.dumps(rho)))
    with pytest.raises(AttributeError):
        rho.conjugation = "A"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: st.LeakyReLU(math.nan), ValueError, r"`LeakyReLU\(slope=...\)`: got nan"),
        (lambda: st.ELU(-1.0), ValueError, r"`ELU\(alpha=...\)`: got -1"),
        (lambda: st.SoftThreshold(-0.1), ValueError, r"`SoftThreshold\(threshold=...\)`"),
        (lambda: st.PhaseReLU(-0.1), ValueError, r"`PhaseReLU\(bias=...\)`"),
        (lambda: st.PhaseReLU(math.inf), ValueError, r"`PhaseReLU\(bias=...\)`"),
        (lambda: st.Pointwise(3, 1.0), TypeError, r"`Pointwise\(function=...\)`: got int"),
        (lambda: st.Pointwise(torch.square, math.inf), ValueError, r"square.*outside the theory"),
        (lambda: st.Pointwise(torch.sin, -1.0), ValueError, r"`Pointwise\(lipschitz_constant=...\)`"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
