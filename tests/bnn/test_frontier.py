"""Error and stability of whole populations, the curve below which no estimator lies, and the comparison of both."""

import math
import sys

import mpmath as mp
import numpy as np
import pytest
import torch
from bnn import closed_forms as cf

from scatter_theory.bnn import (
    DSQ,
    EDE,
    ESTIMATORS,
    FDA,
    RBNN,
    ApproxSign,
    BiPer,
    ClippedSTE,
    Estimator,
    IdentitySTE,
    Pareto,
    ReCU,
    ReSTE,
    SwishSign,
)
from scatter_theory.bnn._density import CustomDensity, Normal, Uniform
from scatter_theory.bnn._frontier import frontier, measure, typical_estimators
from scatter_theory.bnn._pareto_curve import _discretised, pareto_curve
from scatter_theory.bnn._population import population

POINTWISE = [e for cls in ESTIMATORS.values() for e in cls.example() if e.pointwise]
CLOSED, QUADRATURE = "closed form", "quadrature"


def raw(o):
    """ReSTE without inner threshold."""
    if o < 2:
        return ReSTE(o, m=0.0)
    with pytest.warns(UserWarning, match="infinite variance"):
        return ReSTE(o, m=0.0)


def agree(found, printed):
    """Whether numbers agree with printed ones to the last digit of these."""
    texts = printed.split()
    pairs = zip(found, texts, strict=True)
    return all(abs(x - float(t)) <= 0.51 * 10.0 ** -len(t.partition(".")[2]) for x, t in pairs)


# --- expected values -------------------------------------------------------------------------------------------------

RESTE_NORMAL = {
    1: "0.2665196690 0.2999232696 0.8663855975 0.1157615940 0.15422048",
    1.5: "0.1836619830 0.1965330544 0.8256280243 0.2635202506 0.38658513",
    2: "0.1383559850 0.1451048828 0.8112718073 0.5919415802 0.89938591",
    3: "0.0925976702 0.0953958513 0.8013186363 1.3736651299 2.13929358",
    5: "0.0589187968 0.0598721997 0.7968185972 2.6903805820 4.23735448",
    10: "0.0385988357 0.0388276214 0.7956544205 4.4443099090 7.02029522",
}

RESTE_UNIFORM = {
    1: "0 0.3333333333",
    1.5: "0.1786137055 0.2324382419",
    2: "0.5756462732 0.1755409255",
    3: "1.5392462534 0.1174627850",
    5: "3.1798098192 0.0745168831",
    10: "5.3759431129 0.0485941399",
    math.inf: "9 0.0333333333",
}


@pytest.mark.parametrize("o", cf.POWER_ERROR_NORMAL)
def test_error_of_the_power_function_for_normal_values(o):
    found = [population(ReSTE(float(o)), "normal", s) for s in (1.0, 0.5, 0.05)]
    assert agree([p.error for p in found], cf.POWER_ERROR_NORMAL[o])
    assert {p.method for p in found} == {CLOSED}


@pytest.mark.parametrize("o", RESTE_NORMAL)
def test_reste_for_normal_values(o):
    figure, p = (population(ReSTE(float(o), convention=c)) for c in ("figure", "antiderivative"))
    assert agree([figure.error, p.error, p.mean, p.variance, p.cv2], RESTE_NORMAL[o])
    assert p.method == CLOSED and p.uncertainty == 0.0


@pytest.mark.parametrize("o", RESTE_UNIFORM)
def test_reste_for_uniform_values(o):
    for form in ("figure", "antiderivative"):
        p = population(ReSTE(float(o), convention=form), "uniform")
        assert p.method == CLOSED and p.mean == pytest.approx(1.0, abs=1e-14)
        assert agree([p.variance, p.error], RESTE_UNIFORM[o])
    power = population(ReSTE(float(o)), "uniform")
    assert power.error == pytest.approx(2 / ((o + 1) * (o + 2)), rel=1e-13)


@pytest.mark.parametrize(
    ("o", "printed"),
    [
        (1.0, "0.75 0.1875"),
        (2.0, "0.6123724357 0.4635062751"),
        (3.0, "0.5723571213 0.9631003750"),
        (10.0, "0.5206898720 2.9185849813"),
    ],
)
def test_reste_for_values_beyond_the_outer_threshold(o, printed):
    p = population(ReSTE(o), "uniform", 2.0)
    assert agree([p.mean, p.variance], printed)


OTHERS = [  # estimator; error, variance and how on U(-1, 1); error, mean, variance and how on N(0, 1)
    (IdentitySTE(), "0.3333333333 0", CLOSED, "0.4042309 1 0", CLOSED),
    (ClippedSTE(), "0.3333333333 0", CLOSED, "0.2535513 0.6826895 0.2166245", CLOSED),
    (ApproxSign(), "0.2 0.3333333333", CLOSED, "0.1559289 0.7374928 0.4703097", CLOSED),
    (SwishSign(5.0), "0.0856257 2.612090", QUADRATURE, "0.0665396 1.050117 2.388906", QUADRATURE),
    (EDE(1.0, 1.0), "0.3708442 0.034320", CLOSED, "0.2823359 0.605706 0.097524", QUADRATURE),
    (EDE(2.0, 1.0), "0.1929835 0.401427", CLOSED, "0.1503819 0.729478 0.491664", QUADRATURE),
    (EDE(10.0, 1.0), "0.0386294 5.666667", CLOSED, "0.0307904 0.794631 4.679240", QUADRATURE),
    (RBNN(1.0, 1.0), "0.2822330 0.083333", CLOSED, "0.2157502 0.687400 0.213933", CLOSED),
    (RBNN(10.0, 1.0), "0.0282843 8.428090", CLOSED, "0.0225568 0.796557 6.880512", CLOSED),
    (DSQ(2.0), "0.1829196 0.431944", CLOSED, "0.1430130 0.742806 0.548705", QUADRATURE),
    (DSQ(5.0), "0.0772477 2.333939", CLOSED, "0.0613850 0.785223 2.026563", QUADRATURE),
    (FDA(1, math.pi / 2), "0.1894305 0.378861", CLOSED, "0.2977126 1.279344 0.377662", QUADRATURE),
]


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: str(row[0]))
def test_other_estimators(row):
    estimator, uniform, how_uniform, normal, how_normal = row
    u, n = population(estimator, "uniform"), population(estimator)
    assert agree([u.error, u.variance], uniform) and u.method == how_uniform
    assert agree([n.error, n.mean, n.variance], normal) and n.method == how_normal


def test_square_waves_and_the_optimum_for_uniform_values():
    for n in (1, 2, 3, 5, 10):
        p = population(FDA(n, math.pi / 2), "uniform")
        error, square = cf.square_wave_uniform(n)
        assert (p.error, p.variance + p.mean**2) == pytest.approx((float(error), square), rel=1e-13)
        assert p.method == CLOSED
    for a in (1e-4, 0.3, 0.999, 1.0, 2.0, 3.0, 5.0, 8.0, 300.0):
        with mp.workdps(60):
            expected = [float(v) for v in cf.pareto_uniform(a)]
        p = population(Pareto(a), "uniform")
        assert (p.error, p.variance) == pytest.approx(expected, rel=1e-12)
        assert p.method == CLOSED


@pytest.mark.parametrize("density", [("normal", 1.0), ("normal", 0.05), ("uniform", 1.0), ("uniform", 0.3)])
@pytest.mark.parametrize("estimator", [e for e in POINTWISE if not isinstance(e, BiPer)], ids=str)
def test_agrees_with_plain_quadrature(estimator, density):
    p = population(estimator, *density)
    error, mean, variance = cf.measured(estimator, density)
    # The plain sum does not cut at the zeros of f', where |f'| has kinks.
    rel = 1e-8 if estimator.monotone else 1e-5
    assert (p.error, p.mean) == pytest.approx((error, mean), rel=rel)
    assert p.variance == pytest.approx(variance, rel=rel, abs=1e-11 * mean**2)
    assert p.uncertainty <= 1e-12


def test_small_variances_are_not_lost():
    for t in (1e-3, 0.1, 0.6):
        with mp.workdps(60):
            variance = float(cf.ede_uniform(t)[1] / mp.mpf(t) ** 2)
        p = population(EDE(t, 1 / t), "uniform")
        assert p.variance == pytest.approx(variance, rel=1e-8, abs=0)
        assert p.method == (CLOSED if t > 0.5 else QUADRATURE)
    assert population(RBNN(0.01, 100.0), "uniform").variance == pytest.approx(1e-4 / 12, rel=1e-11, abs=0)


@pytest.mark.parametrize("o", [1.9, 1.999, 2 - 1e-6, 2 + 1e-6, 2.001, 2.1])
def test_nothing_is_lost_near_the_power_with_a_logarithm(o):
    p = population(ReSTE(o))
    _, _, mean, variance = cf.reste_normal(o)
    assert (p.mean, p.variance) == pytest.approx((float(mean), float(variance)), rel=1e-11)
    assert p.method == (QUADRATURE if 2 < o <= 2.001 else CLOSED)


def test_periodic_binary_values_over_whole_periods():
    p = population(BiPer(30.0), "uniform", math.pi)
    # b sin(w u) = |sin(w u)|; the means of |sin| and of |cos| are 2/pi, those of the squares 1/2
    assert (p.error, p.mean) == pytest.approx((1.5 - 4 / math.pi, 60 / math.pi), rel=1e-11)
    assert p.variance + p.mean**2 == pytest.approx(450.0, rel=1e-11)


@pytest.mark.parametrize("density", [Normal(0.7), Uniform(3.0), CustomDensity(lambda z: np.abs(z) / 9, 3.0)])
def test_recu_in_the_limit_is_clipped_at_its_quantile(density):
    mean = {"N": 0.7 * math.sqrt(2 / math.pi), "U": 1.5, "c": 2.0}[density.name[0]]
    found, clipped = population(ReCU(0.85), density), population(ClippedSTE(-mean * math.log(0.3)), density)
    expected = (clipped.error, clipped.mean, clipped.variance)
    assert (found.error, found.mean, found.variance) == pytest.approx(expected, rel=1e-12)


# --- infinite variance, and densities of one's own -------------------------------------------------------------------


def flat(z):
    return np.full_like(z, 0.5)


@pytest.mark.parametrize("o", [2.0, 3.0, 10.0])
@pytest.mark.parametrize("density", ["normal", "uniform", CustomDensity(flat, 1.0)])
def test_variance_without_inner_threshold_is_infinite(o, density):
    p = population(raw(o), density)
    assert p.variance == math.inf and p.cv2 == math.inf and p.effective_share == 0.0
    assert math.isfinite(p.mean) and math.isfinite(p.error)


@pytest.mark.parametrize("o", [1.2, 1.5, 1.9])
@pytest.mark.parametrize("density", ["uniform", CustomDensity(flat, 1.0)])
def test_variance_without_inner_threshold_below_two(o, density):
    p = population(raw(o), density)
    assert p.variance == pytest.approx((o - 1) ** 2 / (o * (2 - o)), rel=1e-10)
    assert p.method == (CLOSED if density == "uniform" else QUADRATURE)


def test_variance_is_finite_where_the_density_vanishes_at_zero():
    p = population(raw(3.0), CustomDensity(np.abs, 1.0))
    # density 2u of the modulus: E f' = int 2u u^(-2/3)/3 = 1/2, E f'^2 = int 2u u^(-4/3)/9 = 1/3
    assert (p.mean, p.variance) == pytest.approx((1 / 2, 1 / 12), rel=1e-11)


def test_custom_density_is_the_named_one():
    def bell(z):
        return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)

    def tilted(z):
        return (1 + z) / 2

    for estimator in (ReSTE(convention="antiderivative"), DSQ(5.0), FDA(2, math.pi / 2)):
        for density, name in ((CustomDensity(bell, 12.0), "normal"), (CustomDensity(tilted, 1.0), "uniform")):
            found, expected = population(estimator, density), population(estimator, name)
            assert found.method == QUADRATURE
            values = (expected.error, expected.mean, expected.variance)
            assert (found.error, found.mean, found.variance) == pytest.approx(values, rel=1e-11)


def test_custom_density_draws_its_own_values():
    z = CustomDensity(lambda z: np.where(z > 0.5, 2.0, 0.0), 1.0, breaks=(0.5,)).draw(
        4000, torch.Generator().manual_seed(0)
    )
    assert z.dtype == torch.float64 and 0.5 <= z.min() and z.max() <= 1.0
    assert float(z.mean()) == pytest.approx(0.75, abs=5 * 0.5 / math.sqrt(12 * 4000))


def test_effective_share_counts_the_entries_that_carry():
    p = population(ClippedSTE(1.0), "uniform", 4.0)
    assert (p.effective_share, p.cv2) == pytest.approx((0.25, 3.0), rel=1e-14)
    steep = population(RBNN(0.01, 300.0))
    assert steep.cv2 == pytest.approx(population(RBNN(0.01, 100.0)).cv2, rel=1e-9)
    assert "effective share 0.25" in str(p) and "closed form" in str(p)


def test_no_gradient_anywhere_has_no_scale_free_form():
    p = population(raw(math.inf))
    assert (p.error, p.mean, p.variance) == (0.0, 0.0, 0.0) and math.isnan(p.cv2)


# --- the curve -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [1.0, 0.4])
def test_discretised_curve_is_the_closed_one(c):
    closed = pareto_curve("uniform", c, mean=1 / c)
    found = _discretised(Uniform(c), 1 / c, scale_free=False)
    assert (closed.method, found.method) == ("closed form", "discretised")
    for e, s in zip(found.error[::20], found.stability[::20], strict=True):
        assert closed.stability_at(e) == pytest.approx(s, rel=2e-5, abs=1e-7)
    at = [cf.pareto_uniform(c / math.sqrt(w)) for w in found.weight[::20]]
    np.testing.assert_allclose(found.error[::20], [float(e) for e, _ in at], atol=2e-8)
    np.testing.assert_allclose(found.stability[::20], [float(s) / c**2 for _, s in at], atol=2e-8 / c**2)


def test_what_reste_pays_for_its_error():
    curve = pareto_curve("uniform", mean=1.0)
    for o, least in {2: 0.4451, 3: 1.1301, 5: 2.3550, 10: 4.1447}.items():
        assert curve.stability_at(float(cf.reste_secant_error_uniform(o))) == pytest.approx(least, abs=6e-5)
    assert curve.stability_at(0.5) == 0.0


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_optimal_mean_slope_for_normal_values(scale):
    # E (1 - f) u = 0 as f = u is a free direction, and E f u = scale^2 E f' by parts: the same mean for all lambda
    curve = pareto_curve("normal", scale)
    np.testing.assert_allclose(curve.mean, math.sqrt(2 / math.pi) / scale, rtol=1e-6)
    assert curve.error.max() == pytest.approx(1 - 2 / math.pi, abs=1e-3)
    assert np.all(np.diff(curve.error) > 0) and np.all(np.diff(curve.stability) < 0)


def test_curve_does_not_see_the_unit():
    a, b = pareto_curve("normal"), pareto_curve("normal", 0.3)
    np.testing.assert_allclose(a.error, b.error, rtol=1e-9)
    np.testing.assert_allclose(a.stability, b.stability * 0.09, rtol=1e-9, atol=1e-13)
    a, b = (pareto_curve("normal", s, scale_free=True) for s in (1.0, 0.3))
    np.testing.assert_allclose(a.stability, b.stability, rtol=1e-8)


def random_surrogates(rng, n, cells=40):
    """Increasing piecewise linear f on [0, 1]: error, variance and mean of f' on U(-1, 1), from exact integrals."""
    for _ in range(n):
        width = rng.dirichlet(np.full(cells, rng.choice([0.3, 1.0, 10.0])))
        u = np.concatenate([[0.0], width.cumsum()])
        slope = rng.gamma(rng.choice([0.5, 5.0]), size=cells) * np.exp(-rng.uniform(0, 6) * u[:-1])
        f = np.concatenate([[0.0], (slope * width).cumsum()])
        f, slope = f / f[-1], slope / f[-1]
        factor = rng.choice([1.0, rng.uniform(0.5, 1.6)])
        r = 1 - factor * f
        error = float((width * (r[:-1] ** 2 + r[:-1] * r[1:] + r[1:] ** 2)).sum() / 3)
        yield factor, error, factor**2 * float((width * (slope - 1) ** 2).sum())


def test_no_random_surrogate_lies_below_the_curves():
    rng = np.random.default_rng(0)
    fixed, free, relative = (pareto_curve("uniform", **k) for k in ({"mean": 1.0}, {}, {"scale_free": True}))
    gaps = []
    for mean, error, variance in random_surrogates(rng, 2000):
        if mean == 1.0:
            gaps.append(variance - fixed.stability_at(error))
        assert variance >= free.stability_at(error) - 1e-7
        least = relative.stability_at(error)
        assert math.isnan(least) or variance / mean**2 >= least * (1 - 1e-5)
    assert len(gaps) > 500 and -1e-12 <= min(gaps) < 0.05


# --- the comparison --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["uniform", "normal"])
def compared(request):
    examples = [e for cls in ESTIMATORS.values() for e in cls.example()]
    everything = {repr(e): e for e in [*examples, *typical_estimators()]}
    return frontier(everything, request.param, samples=40_000)


def test_measured_values_are_the_expected_ones(compared):
    for name, p, m in zip(compared.names, compared.populations, compared.measured, strict=True):
        assert abs(m.error - p.error) <= 5 * m.error_deviation + 1e-13, name
        assert abs(m.variance - p.variance) <= 5 * m.variance_deviation + 1e-13, name
        assert abs(m.mean - p.mean) <= 5 * math.sqrt(m.variance / 40_000) + 1e-13, name
        assert m.cv2 == m.variance / m.mean**2


def test_no_estimator_lies_below_the_curve(compared):
    curve, relative = compared.curve, compared.curve_scale_free
    for estimator, p, bounded, free in zip(
        compared.estimators, compared.populations, compared.bounded, compared.bounded_scale_free, strict=True
    ):
        if bounded:
            sums = p.error + curve.weight * p.variance - (curve.error + curve.weight * curve.stability)
            assert sums.min() >= -1e-6 * (1 + curve.weight[sums.argmin()]), estimator
        if free:
            least = relative.stability_at(p.error)
            assert math.isnan(least) or p.cv2 >= least * (1 - 1e-5), estimator
    assert sum(compared.bounded) >= 14 and sum(compared.bounded_scale_free) >= 20


def test_the_optimum_lies_on_the_curve(compared):
    for name, p in zip(compared.names, compared.populations, strict=True):
        if name.startswith("Pareto") and compared.density == Uniform(1.0):
            assert compared.curve.stability_at(p.error) == pytest.approx(p.variance, rel=2e-5)


def test_hypotheses_are_checked_before_the_bound_speaks(compared):
    bounded = dict(zip(compared.names, compared.bounded, strict=True))
    for refused in (SwishSign(), FDA(2, math.pi / 2), BiPer(30.0), ReSTE(3.0), ReSTE(10.0)):
        assert not bounded[repr(refused)]  # f' changes sign, another binary value, f is no integral of f'
    uniform = compared.density == Uniform(1.0)
    for ends_elsewhere in (EDE(1.0, 1.0), RBNN(1.0, 1.0), ReCU(0.85)):
        assert bounded[repr(ends_elsewhere)] == (not uniform)
    assert bounded[repr(ReSTE(3.0, convention="antiderivative"))]
    # on [-1, 1] the drawn form has not fallen yet
    assert bounded[repr(ReSTE(3.0, convention="figure"))] == uniform


def test_without_the_hypotheses_the_bound_can_fail():
    p = population(ReSTE(10.0), "uniform")  # the error of one curve, the slope of another
    assert p.variance < 0.5 * pareto_curve("uniform", mean=1.0).stability_at(p.error)
    q = population(EDE(0.001, 1500.0), "uniform")  # the line 1.5 u, nearly
    assert q.variance < 1e-6 < pareto_curve("uniform", mean=1.0).stability_at(q.error)


class Shifted(Estimator):
    """Starts above 0, where the theorem says nothing."""

    monotone = True

    def surrogate(self, z):
        return torch.sign(z) + 0.0 * z

    def multiplier(self, z):
        return torch.zeros_like(z)

    @classmethod
    def example(cls):
        return [cls()]


def test_estimators_of_ones_own_are_compared_too():
    result = frontier({"mine": Shifted(), "hers": ApproxSign()}, samples=100)
    assert result.bounded == (False, True)
    assert result.populations[0].error == 0.0 and math.isnan(result.populations[0].cv2)


def test_table_names_and_text():
    result = frontier([ReSTE(3.0), ReSTE(3.0, convention="antiderivative"), EDE(2.0, 1.0)], "uniform", samples=50)
    assert result.names[2] == "EDE(t=2, k=1)" and "convention='power'" in result.names[0]
    rows = result.table()
    assert math.isnan(rows[0]["least stability"])
    assert rows[1]["least stability"] == pytest.approx(1.1301, abs=1e-3)
    assert rows[2]["stability"] == population(EDE(2.0, 1.0), "uniform").variance
    free = result.table(scale_free=True)
    assert free[2]["CV^2"] == pytest.approx(population(EDE(2.0, 1.0), "uniform").cv2)
    text = str(result)
    assert "EDE(t=2, k=1)" in text and "U(-1, 1)" in text and "50 values, seed 0" in text and "f(1) = 1" in text
    assert "<table" in result._repr_html_()


def test_the_sample_is_reproducible():
    a, b, c = (frontier([DSQ(2.0)], samples=100, generator=g) for g in (5, torch.Generator().manual_seed(5), 6))
    assert a.measured == b.measured != c.measured and a.seed == b.seed == 5
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    frontier([DSQ(2.0)], samples=100)
    assert torch.equal(before, torch.rand(1))


def test_standard_errors_are_those_of_repeated_samples():
    found = [measure(DSQ(2.0), Normal().draw(400, torch.Generator().manual_seed(k))) for k in range(300)]
    for value, deviation in (("error", "error_deviation"), ("variance", "variance_deviation")):
        spread = np.std([getattr(m, value) for m in found])
        assert np.mean([getattr(m, deviation) for m in found]) == pytest.approx(spread, rel=0.15)


def test_frame_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        frontier([DSQ(2.0)], samples=10).to_frame()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: population(ReSTE), TypeError, "got the class ReSTE"),
        (lambda: population(ReSTE(), "cauchy"), ValueError, r"`population\(density=\.\.\.\)`: got 'cauchy'"),
        (lambda: population(ReSTE(), scale=-1.0), ValueError, r"`population\(scale=\.\.\.\)`: got -1\.0"),
        (lambda: population(ReSTE(), scale="1"), TypeError, r"`population\(scale=\.\.\.\)`: got '1'"),
        (lambda: population(ReSTE(), Normal(2.0), 2.0), ValueError, "has its own scale"),
        (lambda: CustomDensity(flat, 2.0), ValueError, "is 2, expected 1"),
        (lambda: CustomDensity(lambda z: z, 2.0), ValueError, "negative or not finite"),
        (lambda: frontier([]), ValueError, "got none"),
        (lambda: frontier([ReSTE(), ReSTE()]), ValueError, "twice"),
        (lambda: frontier([3]), TypeError, "expected an estimator"),
        (lambda: frontier(samples=1), ValueError, r"`frontier\(samples=\.\.\.\)`: got 1"),
        (lambda: pareto_curve("uniform", mean=1.0, scale_free=True), ValueError, "leave one of them out"),
        (lambda: pareto_curve("uniform", mean=0.0), ValueError, r"`pareto_curve\(mean=\.\.\.\)`"),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
