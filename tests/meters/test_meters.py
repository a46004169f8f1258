"""Streaming states: against exact arithmetic, in any split and order, at the edges of the number range."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from fake_cuda import CUDA, _getitem
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from scatter_theory.meters import Counts, Moments, Sums
from scatter_theory.meters._chunks import CHUNK

FIELDS = ("n", "mean", "M2", "excluded")
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def exact(x):
    """Mean and sum of squared deviations in rational arithmetic."""
    numbers = [Fraction(v) for v in x.double().flatten().tolist()]
    mean = sum(numbers) / len(numbers)
    return mean, sum((v - mean) ** 2 for v in numbers)


def close(a, b, tolerance=1e-12):
    return all(torch.allclose(getattr(a, f).double(), getattr(b, f).double(), rtol=tolerance, atol=0) for f in FIELDS)


# --- moments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("mean", "scale"), [(0, 1), (1000, 0.01), (0, 1e-4), (-3, 0)])
def test_moments_are_those_of_exact_arithmetic(dtype, mean, scale):
    x = (mean + scale * torch.randn(300, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).to(dtype)
    state = Moments.of(x)
    want_mean, want = exact(x)
    assert int(state.n) == 300 and int(state.excluded) == 0
    assert float(state.mean) == pytest.approx(float(want_mean), rel=1e-14, abs=1e-18)
    # What the subtraction of a rounded mean leaves is the square of that rounding, far below the spread of the entries.
    assert float(state.M2) == pytest.approx(float(want), rel=1e-12, abs=1e-24 * (1 + mean**2))
    assert float(state.variance()) == pytest.approx(float(want) / 299, rel=1e-12, abs=1e-24)
    assert float(state.variance(unbiased=False)) == pytest.approx(float(want) / 300, rel=1e-12, abs=1e-24)


def test_half_precision_gradients_of_scale_1e_4_have_their_variance():
    """Squares of such numbers underflow in float16, so that its own variance is 0."""
    g = (1e-4 * torch.randn(4000, generator=torch.Generator().manual_seed(1))).half()
    assert float(g.var()) == 0.0
    assert float(Moments.of(g).variance()) == pytest.approx(float(exact(g)[1]) / 3999, rel=1e-12)


def test_no_cancellation_far_from_zero():
    """The mean of squares less the square of the mean, in float32, is far off here."""
    x = 1000 + 0.01 * torch.randn(5000, generator=torch.Generator().manual_seed(2))
    want = float(exact(x)[1]) / 4999
    assert abs(float(x.square().mean() - x.mean().square()) - want) > want
    assert float(Moments.of(x).variance()) == pytest.approx(want, rel=1e-12)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=40), st.lists(st.integers(0, 40), max_size=6),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_split_and_order_of_merges_gives_the_same(values, cuts, random):
    x = torch.tensor(values, dtype=torch.float32)
    whole = Moments.of(x)
    bounds = sorted({0, len(x), *(c for c in cuts if c < len(x))})
    parts = [Moments.of(x[a:b]) for a, b in pairwise(bounds)]
    random.shuffle(parts)
    together = Moments.combined(parts)
    while len(parts) > 1:
        a, b = parts.pop(random.randrange(len(parts))), parts.pop(random.randrange(len(parts)))
        parts.append(a.merge(b))
    spread = float(x.double().square().sum())
    for state in (parts[0], together):
        assert int(state.n) == int(whole.n)
        assert float(state.mean) == pytest.approx(float(whole.mean), rel=1e-12, abs=1e-12 * math.sqrt(spread))
        assert float(state.M2) == pytest.approx(float(whole.M2), rel=1e-12, abs=1e-12 * spread)


@pytest.mark.parametrize("n", [CHUNK - 1, CHUNK, 3 * CHUNK + 17])
def test_pieces_change_nothing(n):
    x = 5 + torch.randn(n, generator=torch.Generator().manual_seed(3))
    state = Moments.init()
    for part in x.split(1009):
        state = state.update(part)
    wide = x.double()
    assert close(Moments.of(x), state)
    assert float(state.variance()) == pytest.approx(float(wide.var()), rel=1e-12)
    assert float(Sums.of(x).total) == pytest.approx(math.fsum(wide.tolist()), rel=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_what_is_not_finite_is_left_out_and_counted(bad, dtype):
    x = torch.randn(50, generator=torch.Generator().manual_seed(4)).to(dtype)
    spoilt = torch.cat([x[:20], torch.tensor([bad, bad], dtype=dtype), x[20:]])
    state, clean = Moments.init().update(spoilt).update(x), Moments.init().update(x).update(x)
    assert int(state.excluded) == 2 and int(clean.excluded) == 0
    assert int(state.n) == int(clean.n) == 100
    assert float(state.mean) == pytest.approx(float(clean.mean), rel=1e-13)
    assert float(state.M2) == pytest.approx(float(clean.M2), rel=1e-13)
    sums = Sums.of(spoilt)
    assert int(sums.excluded) == 2 and float(sums.total) == pytest.approx(math.fsum(x.double().tolist()), rel=1e-13)


def test_empty_and_single_populations_are_defined():
    empty, one = Moments.of(torch.empty(0, 3)), Moments.of(torch.tensor(2.5))
    assert int(empty.n) == 0 and all(math.isnan(float(empty.finalise()[q])) for q in ("mean", "variance", "cv2"))
    assert float(one.finalise()["mean"]) == 2.5 and math.isnan(float(one.variance()))
    assert float(one.variance(unbiased=False)) == 0.0
    x = torch.tensor([1.0, 2.0, 4.0])
    for state in (empty.merge(Moments.of(x)), Moments.of(x).merge(empty), Moments.combined([empty, Moments.of(x)])):
        assert close(state, Moments.of(x), 0)
    assert math.isnan(float(Sums.of(torch.empty(0)).finalise()["mean"]))


def test_cv2_has_no_scale():
    x = torch.rand(100, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    state = Moments.of(x)
    assert float(state.cv2()) == pytest.approx(float(x.var() / x.mean() ** 2), rel=1e-13)
    assert float(Moments.of(7e-5 * x).cv2()) == pytest.approx(float(state.cv2()), rel=1e-12)
    assert close(state.scaled(0.25), Moments.of(0.25 * x))
    assert math.isnan(float(Moments.of(torch.zeros(4)).cv2()))


@pytest.mark.parametrize("dim", [0, 1, (0, 2), (-1, 1), None])
def test_axes_that_are_kept(dim):
    x = torch.randn(4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    state = Moments.of(x, dim).update(x + 1, dim)
    both = torch.stack([x, x + 1])
    kept = {0: (0, 1), 1: (0, 2), (0, 2): (0, 1, 3), (-1, 1): (0, 2, 3), None: (0, 1, 2, 3)}[dim]
    assert torch.allclose(state.variance(), both.var(kept), rtol=1e-12)
    assert torch.allclose(state.finalise()["mean"], both.mean(kept), rtol=1e-12)
    assert state.variance().shape == Moments.init(tuple(state.n.shape)).n.shape
    assert torch.allclose(Sums.of(x, dim).total, x.sum(dim), rtol=1e-12)


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.rand(6, 8)[::2, ::3],
        torch.rand(7).expand(3, 7),
    ],
    ids=["channels last", "strided", "expanded"],
)
def test_layouts(x):
    assert float(Moments.of(x).variance()) == pytest.approx(float(x.double().var()), rel=1e-12)


# --- counts ----------------------------------------------------------------------------------------------------------


def test_counts_are_exact_in_any_order():
    x = torch.randint(-1, 2, (40, 3, 5), generator=torch.Generator().manual_seed(7))
    start = Counts.init(("zero", "all"), (3,))
    whole = start.update((0, 2), zero=x == 0, all=x == x)
    parts = [start.update((0, 2), zero=p == 0, all=p == p) for p in x.split(7)]
    merged = parts[2].merge(parts[5]).merge(parts[0]).merge(parts[3].merge(parts[4])).merge(parts[1])
    assert torch.equal(whole.values, merged.values)
    assert torch.equal(whole["zero"], (x == 0).sum((0, 2)))
    assert torch.equal(whole.rate("zero", of="all"), (x == 0).double().mean((0, 2)))
    assert start.rate("zero", of="all").isnan().all()
    assert set(whole.finalise()) == {"zero", "all"}


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.arange(3), r"got int64, expected real floating point numbers; convert with `x.float\(\)`"),
        (torch.ones(3, dtype=torch.bool), "got bool"),
        (torch.ones(3, dtype=torch.complex64), r"got complex64.*take `x.abs\(\)`"),
        (torch.ones(3).to_sparse(), r"got layout torch.sparse_coo.*use `to_dense\(\)`"),
        ([1.0, 2.0], "got list, expected a tensor"),
    ],
)
def test_input_that_is_refused(x, message):
    for meter in (Moments, Sums):
        with pytest.raises(TypeError, match=message):
            meter.of(x)


def test_shapes_and_names_that_are_refused():
    with pytest.raises(ValueError, match=r"got a state of shape \(4,\), expected \(\) as in this meter"):
        Moments.init().merge(Moments.init((4,)))
    with pytest.raises(ValueError, match="got no part"):
        Moments.combined([])
    for dim in (3, (0, -2), ()):
        with pytest.raises(ValueError, match=r"`Moments.of\(dim=...\)`: got .*expected different axes"):
            Moments.of(torch.zeros(2, 3), dim)
    with pytest.raises(ValueError, match="expected one or more different names"):
        Counts.init(("a", "a"))
    counts = Counts.init(("a", "b"))
    with pytest.raises(ValueError, match=r"got masks \['a'\], expected one for each"):
        counts.update(a=torch.ones(2, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"got torch\.float32, expected a bool tensor"):
        counts.update(a=torch.ones(2), b=torch.ones(2))
    with pytest.raises(ValueError, match=r"got counters \('c',\)"):
        counts.merge(Counts.init(("c",)))
    with pytest.raises(KeyError, match="expected one of"):
        counts["c"]


# --- a pretended GPU -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("dim", [None, 0, (0, 2)])
def test_no_value_is_needed_on_the_host(dtype, dim, monkeypatch):
    monkeypatch.setattr(FakeTensor, "__getitem__", _getitem)
    with FakeTensorMode():
        x = torch.empty(3, 4, 5, dtype=dtype, device=CUDA)
        shape = {None: (), 0: (4, 5), (0, 2): (4,)}[dim]
        moments = Moments.init(shape, CUDA).update(x, dim).merge(Moments.of(x, dim)).scaled(x.new_ones(()))
        sums = Sums.init(shape, CUDA).update(x, dim).merge(Sums.of(x, dim))
        counts = Counts.init(("a",), shape, CUDA).update(dim, a=x > 0)
        numbers = [*moments.finalise().values(), *sums.finalise().values(), *counts.finalise().values()]
        numbers += [*Moments.combined([moments, moments]).finalise().values(), counts.rate("a", of="a")]
        assert all(number.device == CUDA and number.shape == shape for number in numbers)
        assert moments.mean.dtype == sums.total.dtype == torch.float64 and moments.n.dtype == torch.int64
