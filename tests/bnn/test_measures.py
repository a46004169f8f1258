"""The state of one binarised tensor: known values, pieces, samples, edges of the number range, a pretended GPU."""

import math
from fractions import Fraction
from typing import get_args

import pytest
import torch
from fake_cuda import CUDA, _getitem
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from scatter_theory import bnn
from scatter_theory.bnn import _kernels
from scatter_theory.bnn._indicator_tally import COMPARED, COUNTERS, Tally
from scatter_theory.bnn._measures import flips, packed, signs, tally
from scatter_theory.bnn._reste import Convention
from scatter_theory.compiled import without_kernels
from scatter_theory.meters import Moments
from scatter_theory.meters._chunks import CHUNK

#: Points on both sides of, and on, all thresholds.
Z = torch.tensor([-2, -1.5, -1, -0.5, -0.1, -0.05, 0, 0.05, 0.1, 0.5, 1, 1.5, 2], dtype=torch.float64)
RESTE = bnn.ReSTE(o=3.0)


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def measured(z, G=None, estimator=RESTE, curves=None, sign_zero=1, **sample):
    """State with the gradient that the estimator gives for an upstream gradient."""
    g = None if G is None else estimator.gradient(z, G)
    return tally(z, g, estimator, [estimator] if curves is None else curves, sign_zero, **sample)


def same(a, b, tolerance=1e-12):
    assert torch.equal(a.counts.values, b.counts.values)
    assert torch.allclose(a.pack(), b.pack(), rtol=tolerance, atol=0)


# --- known values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("o", "zero", "one"),
    [(3.0, 1.2783590423, 1.6230224401), (1.0, 2.5347583711, 2.7248853187), (2.0, 1.6602412129, 1.9381436699)],
)
def test_error_at_fixed_points(o, zero, one):
    for sign_zero, want in ((0, zero), (1, one), (-1, one)):
        state = measured(Z, estimator=bnn.ReSTE(o=o), sign_zero=sign_zero)
        assert float(state.errors.total[0].sqrt()) == pytest.approx(want, abs=5e-11)


@pytest.mark.parametrize(
    ("o", "unbiased", "population"),
    [(3.0, 4.9035665522, 4.5263691251), (1.0, 0.1410256410, 0.1301775148), (2.0, 1.9950757704, 1.8416084034)],
)
def test_variance_at_fixed_points(o, unbiased, population):
    state = measured(Z, torch.ones_like(Z), bnn.ReSTE(o=o))
    assert float(state.gradient.variance()) == pytest.approx(unbiased, abs=5e-11)
    assert float(state.gradient.variance(unbiased=False)) == pytest.approx(population, abs=5e-11)


def test_counters_at_fixed_points():
    counts = measured(Z, torch.ones_like(Z)).counts
    got = {name: int(counts[name]) for name in COUNTERS}
    want = {"size": 13, "finite": 13, "saturated": 2, "inner": 5, "dead": 2, "compared": 0, "flipped": 0}
    assert got == want


@pytest.mark.parametrize(
    ("estimator", "dead"),
    [(RESTE, 2), (bnn.ReSTE(o=math.inf), 8), (bnn.IdentitySTE(), 0), (bnn.ClippedSTE(), 4), (bnn.ApproxSign(), 6)],
    ids=repr,
)
def test_dead_entries_at_fixed_points(estimator, dead):
    """Those with multiplier 0, also where the outer limit alone would not tell."""
    assert int(measured(Z, estimator=estimator).counts["dead"]) == dead


def test_uniform_population():
    """Midpoints of a fine grid stand for U(-1, 1): e = 2 / ((o + 1)(o + 2)), and s with the inner secant."""
    z = (2 * torch.arange(400_000, dtype=torch.float64) + 1) / 400_000 - 1
    power = bnn.ReSTE(o=3.0, convention="power")
    curves = [power, bnn.ReSTE(o=3.0, convention="antiderivative")]
    state = measured(z, torch.ones_like(z), curves=curves)
    mse = state.errors.total / state.errors.n
    assert mse.tolist() == pytest.approx([0.1, 0.1174627850], abs=1e-7)
    assert float(state.gradient.variance()) == pytest.approx(1.5392462534, abs=1e-3)
    assert int(state.counts["inner"]) == pytest.approx(40_000, abs=2) and int(state.counts["saturated"]) == 0


def test_an_estimator_with_its_own_binary_values():
    z = random(1000, dtype=torch.float64)
    periodic = bnn.BiPer(w=20.0)
    wave = torch.sin(20.0 * z)
    want = (torch.where(wave >= 0, 1.0, -1.0) - wave).square().sum()
    assert float(measured(z, estimator=periodic).errors.total[0]) == pytest.approx(float(want), rel=1e-12)


def test_an_estimator_that_depends_on_the_whole_tensor_is_not_cut():
    z = random(3 * CHUNK + 5)
    estimator = bnn.ReCU(tau=0.9)
    want = (z.sign() - estimator.surrogate(z)).double().square().sum()
    for sample in ({}, {"every": 4, "start": 1}):
        state = measured(z, torch.ones_like(z), estimator, **sample)
        assert float(state.errors.total[0]) == pytest.approx(float(want), rel=1e-6)
        assert int(state.counts["dead"]) == int((estimator.multiplier(z) == 0).sum()) > 0


@pytest.mark.parametrize("estimator", [e for cls in bnn.ESTIMATORS.values() for e in cls.example()], ids=repr)
def test_every_estimator_against_its_definition(estimator):
    z, G = random(200, dtype=torch.float64), random(200, seed=1, dtype=torch.float64)
    state = measured(z, G, estimator)
    g = estimator.gradient(z, G)
    inner, outer = estimator.limits
    want = (estimator.forward(z, 1) - estimator.surrogate(z)).square().sum()
    assert float(state.errors.total[0]) == pytest.approx(float(want), rel=1e-10, abs=1e-20)
    assert float(state.gradient.variance()) == pytest.approx(float(g.abs().var()), rel=1e-10, abs=1e-25)
    assert int(state.counts["saturated"]) == int((z.abs() > outer).sum())
    assert int(state.counts["inner"]) == (int((z.abs() <= inner).sum()) if inner else 0)
    assert int(state.counts["dead"]) == int((estimator.multiplier(z) == 0).sum())


# --- streaming -------------------------------------------------------------------------------------------------------


def test_pieces_layouts_and_merges_give_the_same():
    z, G = random(2, 24, 32, 64), random(2, 24, 32, 64, seed=1)
    assert z.numel() > 2 * CHUNK
    whole = measured(z, G)
    same(measured(z.to(memory_format=torch.channels_last), G), whole)
    parts = [measured(a, b) for a, b in zip(z.split(7, 1), G.split(7, 1), strict=True)]
    same(parts[2].merge(parts[0]).merge(parts[3]).merge(parts[1]), whole)
    stacked = Tally.unpack(torch.stack([p.pack() for p in parts])).collapsed()
    same(stacked, whole)
    same(Tally.unpack(whole.pack()), whole, 0)


@pytest.mark.parametrize("n", [5, 16, 4 * 16, 4 * 16 + 3, 2 * CHUNK + 37])
def test_the_samples_of_all_starts_are_the_whole(n):
    """So that a random start makes unbiased estimates of every sum."""
    z, G = random(n, dtype=torch.float64), random(n, seed=1, dtype=torch.float64)
    whole = measured(z, G)
    parts = [measured(z, G, every=4, start=start) for start in range(4)]
    assert all(int(p.counts["size"]) == n for p in parts)
    together = parts[0].merge(parts[1]).merge(parts[2]).merge(parts[3])
    for name in ("finite", "saturated", "inner", "dead"):
        assert int(together.counts[name]) == int(whole.counts[name])
    assert torch.allclose(together.errors.total, whole.errors.total, rtol=1e-12)
    # Gradients are read whole, as few entries make their variance.
    for part in parts:
        assert torch.equal(part.gradient.M2, whole.gradient.M2) and int(part.gradient.n) == n


# --- compiled passes -------------------------------------------------------------------------------------------------

POWERS = [bnn.ReSTE(o=o, convention=c) for o in (1.0, 1.7, 3.0, 50.0, math.inf) for c in get_args(Convention)]
needs_kernels = pytest.mark.skipif(_kernels.library() is None, reason="needs a C compiler")


@needs_kernels
@pytest.mark.parametrize("curve", [*POWERS, bnn.IdentitySTE(), bnn.ClippedSTE(c=0.7), bnn.ApproxSign()], ids=repr)
@pytest.mark.parametrize("sign_zero", [1, 0])
def test_compiled_passes_count_what_torch_does(curve, sign_zero):
    """Both sides of the thresholds, zero, the smallest numbers, what is not finite, and odd lengths."""
    edges = [0.0, -0.0, 0.1, 1.5, 0.7, 1.0, 1e-45, 1e-40, 1.2e-38, 1e-8, 9.0, math.inf, -math.inf, math.nan]
    ends = torch.tensor(edges)
    near = torch.cat([ends.nextafter(torch.zeros(())), ends[:-3].nextafter(torch.tensor(math.inf))])
    z = torch.cat([random(2500), ends, near])
    z = z[z.abs() != torch.finfo(torch.float32).max]  # it would hide all others in the sum
    G = random(len(z), seed=1)
    curves = [curve, bnn.ApproxSign(), RESTE]
    quick = measured(z, G, RESTE, curves, sign_zero)
    whole = measured(z, G, RESTE, [curve, RESTE], sign_zero)
    same(Tally.unpack(packed(z, RESTE.gradient(z, G), RESTE, [curve, RESTE], sign_zero)), whole, 0)
    with without_kernels():
        assert _kernels.library() is None
        slow = measured(z, G, RESTE, curves, sign_zero)
    assert torch.equal(quick.counts.values, slow.counts.values)
    assert torch.equal(quick.errors.n, slow.errors.n) and torch.equal(quick.errors.excluded, slow.errors.excluded)
    assert torch.allclose(quick.errors.total, slow.errors.total, rtol=3e-7, atol=1e-9)
    assert torch.equal(quick.gradient.n, slow.gradient.n)
    assert torch.allclose(quick.gradient.mean, slow.gradient.mean, rtol=1e-13)
    assert torch.allclose(quick.gradient.M2, slow.gradient.M2, rtol=1e-12)


@needs_kernels
@pytest.mark.parametrize("o", [1.01, 1.5, 3.0, 30.0])
def test_compiled_powers_of_single_numbers(o):
    """Over the whole range of float32, the smallest numbers included; a sum of one term shows each error."""
    exponents = torch.linspace(-149, 127.9, 700, dtype=torch.float64)
    for u in torch.exp2(exponents).float():
        form = _kernels.as_power(bnn.ReSTE(o=o))
        k = torch.tensor(form[2], dtype=torch.float32).double()
        want = 1 - float(u.double() ** k)
        got = _kernels.latent(u.reshape(1), (0.0, math.inf), False, [form])[3]
        assert math.sqrt(got) == pytest.approx(abs(want), rel=1e-6, abs=3e-7)


@needs_kernels
def test_compiled_moments_do_not_cancel():
    g = 1000 + 0.01 * random(50_001)
    number, mean, M2 = _kernels.gradient(g)
    state = Moments.of(g)
    assert int(number) == 50_001 and float(mean) == pytest.approx(float(state.mean), rel=1e-14)
    assert float(M2) == pytest.approx(float(state.M2), rel=1e-11)


@needs_kernels
def test_compiled_moments_of_blocks_that_differ():
    """Blocks without a finite number, of equal numbers, far below and far above those before them."""
    nothing, zeros = torch.full((1024,), math.nan), torch.zeros(1024)
    blocks = [nothing, 1e-30 * random(1024), zeros, 1e15 + zeros, 1e3 * random(1024), nothing, 2 + 1e-5 * random(700)]
    for order in (blocks, blocks[::-1], blocks[1:4], [blocks[0], zeros + 7, zeros + 7]):
        g = torch.cat(order)
        number, mean, M2 = _kernels.gradient(g)
        finite = [Fraction(abs(float(x))) for x in g if math.isfinite(x)]
        exact = sum(finite) / len(finite)
        assert number == len(finite)
        assert mean == pytest.approx(float(exact), rel=1e-13)
        assert M2 == pytest.approx(float(sum((x - exact) ** 2 for x in finite)), rel=1e-11)


@needs_kernels
def test_compiled_passes_on_several_threads():
    z = random(7 * _kernels.PART + 333)
    z[::5] *= 1e25
    z[::1013] = math.nan
    curves = [_kernels.as_power(bnn.ReSTE(o=3.0)), _kernels.as_power(bnn.ClippedSTE())]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3, 16):
            torch.set_num_threads(threads)
            found.append(_kernels.latent(z, (0.1, 1.5), True, curves) + _kernels.gradient(z))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert other[:3] == found[0][:3] and other[5] == found[0][5]
        assert other == pytest.approx(found[0], rel=1e-12)


@needs_kernels
def test_only_plain_tensors_reach_the_compiled_passes():
    x = torch.zeros(4)
    assert _kernels.fits(x)
    others = [x.double(), x.half(), torch.zeros(8)[::2], x.to("meta"), nn.Parameter(x)]
    assert not any(_kernels.fits(other) for other in others)


# --- edges -----------------------------------------------------------------------------------------------------------


def test_what_is_not_finite_is_left_out_of_everything():
    z, G = random(100), random(100, seed=1)
    bad = torch.tensor([math.nan, math.inf, -math.inf])
    clean = measured(z, G)
    spoilt = measured(torch.cat([z, bad]), torch.cat([G, torch.full((3,), math.nan)]))
    assert spoilt.errors.excluded.tolist() == [3] and int(spoilt.gradient.excluded) == 3
    for name in ("finite", "saturated", "inner", "dead"):
        assert int(spoilt.counts[name]) == int(clean.counts[name])
    assert float(spoilt.errors.total[0]) == pytest.approx(float(clean.errors.total[0]), rel=1e-12)
    assert float(spoilt.gradient.variance()) == pytest.approx(float(clean.gradient.variance()), rel=1e-12)


def test_huge_values_do_not_overflow():
    z = torch.tensor([1e20, -1e38, 1e-40])
    state = measured(z, torch.ones(3), bnn.IdentitySTE())
    assert float(state.errors.total[0]) == pytest.approx(1e76, rel=1e-6) and int(state.errors.n[0]) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_compared_in_single_precision(dtype):
    """bfloat16 rounds 0.1 up, beyond the inner threshold; float16 rounds it down."""
    counts = measured(torch.tensor([0.1, 1.5, 2.0], dtype=dtype)).counts
    assert int(counts["inner"]) == (1 if dtype == torch.float16 else 0)
    assert int(counts["saturated"]) == 1


@pytest.mark.parametrize("shape", [(0,), (), (1,), (3, 0)])
def test_small_tensors(shape):
    z = torch.full(shape, 0.5)
    state = measured(z, torch.ones(shape))
    assert int(state.counts["finite"]) == z.numel() and math.isnan(float(state.gradient.variance()))


def test_flips():
    before, now = torch.tensor([1.0, -1.0, 0.0, math.nan, 2.0]), torch.tensor([-1.0, -1.0, -0.0, 1.0, math.inf])
    assert flips(signs(before, RESTE, 1), signs(now, RESTE, 1)).tolist() == [4, 1]
    now = torch.tensor([1.0, -1.0, 3.0, 1.0, 1.0])
    assert flips(signs(before, RESTE, 0), signs(now, RESTE, 0)).tolist() == [4, 1]
    assert flips(signs(before, RESTE, 1), signs(now, RESTE, 1)).tolist() == [4, 0]
    state = Tally.unpack(torch.arange(14.0, dtype=torch.float64))
    assert [int(state.counts[name]) for name in ("compared", "flipped")] == list(range(13))[COMPARED]


@pytest.mark.parametrize("estimator", [RESTE, bnn.ApproxSign(), bnn.BiPer(w=20.0), bnn.ReCU(tau=0.9)], ids=repr)
@pytest.mark.parametrize("sample", [{}, {"every": 4, "start": 1}], ids=str)
@pytest.mark.parametrize("with_gradient", [True, False])
def test_no_value_is_needed_on_the_host(estimator, sample, with_gradient, monkeypatch):
    monkeypatch.setattr(FakeTensor, "__getitem__", _getitem)
    with FakeTensorMode():
        z, g = (torch.empty(4, 8, 5, device=CUDA) for _ in range(2))
        state = tally(z, g if with_gradient else None, estimator, [estimator, RESTE], 0, **sample)
        state = state.merge(Tally.init(2, CUDA))
        now = signs(z, estimator, 1)
        packed = torch.stack([state.pack()] * 3)
        again = Tally.unpack(packed).collapsed()
        assert packed.device == again.pack().device == flips(now, now).device == CUDA
        assert again.pack().shape == state.pack().shape == packed.shape[1:]
