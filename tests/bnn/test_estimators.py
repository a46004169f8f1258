"""Estimators: published formulas, closed-form errors and variances, structure, and parameters that make no sense."""

import math
import pickle
import warnings
from dataclasses import FrozenInstanceError, dataclass, replace
from itertools import pairwise
from typing import ClassVar

import mpmath as mp
import numpy as np
import pytest
import torch
from bnn import closed_forms as cf
from hypothesis import given
from hypothesis import strategies as st

from scatter_theory import bnn
from scatter_theory.bnn import (
    DSQ,
    EDE,
    FDA,
    RBNN,
    ApproxSign,
    BiPer,
    ClippedSTE,
    IdentitySTE,
    Pareto,
    ReCU,
    ReSTE,
    SwishSign,
)  # fmt: skip

EXAMPLES = [e for cls in bnn.ESTIMATORS.values() for e in cls.example()]
POINTWISE = [e for e in EXAMPLES if e.pointwise]
UNIFORM, NORMAL = ("uniform", 1.0), ("normal", 1.0)


def each(estimators):
    return pytest.mark.parametrize("estimator", estimators, ids=repr)


def digits(value, printed):
    """Whether a value rounds to the printed one."""
    return abs(float(value) - float(printed)) <= 0.5001 * 10.0 ** -len(printed.partition(".")[2])


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


# --- tables of closed forms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("o", cf.POWER_ERROR_NORMAL)
def test_error_of_the_power_function_for_normal_values(o):
    for s, printed in zip(("1", "0.5", "0.05"), cf.POWER_ERROR_NORMAL[o].split(), strict=True):
        assert digits(cf.power_error_normal(o, s), printed)
        assert digits(cf.measured(ReSTE(float(o)), ("normal", float(s)))[0], printed)


@pytest.mark.parametrize("o", [1, 1.5, 2, 3, 5, 10])
def test_error_of_the_power_function_for_uniform_values(o):
    assert cf.measured(ReSTE(float(o)), UNIFORM)[0] == pytest.approx(float(cf.power_error_uniform(o)), abs=1e-12)


@pytest.mark.parametrize("o", [1.0, 1.2, 1.5, 1.7])
def test_variance_without_thresholds(o):
    raw = ReSTE(o, m=0.0, t=math.inf)
    assert cf.measured(raw, UNIFORM)[2] == pytest.approx(float(cf.raw_variance_uniform(o)), abs=1e-7)


def test_variance_without_thresholds_is_infinite_from_2_on():
    with pytest.warns(UserWarning, match="infinite variance"):
        raw = ReSTE(3.0, m=0.0)
    square = [cf.expectation(lambda u, c=c: raw.multiplier(u.clamp(min=c)) ** 2, UNIFORM) for c in (1e-3, 1e-6, 1e-9)]
    assert square[1] > 5 * square[0] and square[2] > 5 * square[1]


SECANT_UNIFORM = {
    1: "0.0000000000 0.3333333333",
    1.5: "0.1786137055 0.2324382419",
    2: "0.5756462732 0.1755409255",
    3: "1.5392462534 0.1174627850",
    5: "3.1798098192 0.0745168831",
    10: "5.3759431129 0.0485941399",
}


@pytest.mark.parametrize("o", SECANT_UNIFORM)
def test_reste_for_uniform_values(o):
    variance, error = SECANT_UNIFORM[o].split()
    for form in ("figure", "antiderivative"):
        e, mean, var = cf.measured(ReSTE(float(o), convention=form), UNIFORM)
        assert mean == pytest.approx(1.0, abs=1e-12)
        assert digits(e, error) and digits(var, variance)
    assert digits(cf.reste_secant_error_uniform(o), error)
    assert digits(cf.reste_uniform(o)[1], variance)


def test_the_sign_itself_for_uniform_values():
    e, mean, var = cf.measured(ReSTE(math.inf, convention="antiderivative"), UNIFORM)
    assert (e, mean, var) == pytest.approx((0.1 / 3, 1.0, 9.0), abs=1e-12)
    assert cf.measured(ReSTE(math.inf), UNIFORM)[0] == 0.0


@pytest.mark.parametrize(
    ("o", "printed"),
    [
        (1, ("0.75", "0.1875")),
        (2, ("0.6123724357", "0.4635062751")),
        (3, ("0.5723571213", "0.9631003750")),
        (10, ("0.5206898720", "2.9185849813")),
    ],
)
def test_reste_for_uniform_values_beyond_the_outer_threshold(o, printed):
    for found in (cf.measured(ReSTE(float(o)), ("uniform", 2.0))[1:], cf.reste_uniform(o, a=2)):
        assert digits(found[0], printed[0]) and digits(found[1], printed[1])


RESTE_NORMAL = {
    1: "0.2665196690 0.2999232696 0.8663855975 0.1157615940 0.15422048",
    1.5: "0.1836619830 0.1965330544 0.8256280243 0.2635202506 0.38658513",
    2: "0.1383559850 0.1451048828 0.8112718073 0.5919415802 0.89938591",
    3: "0.0925976702 0.0953958513 0.8013186363 1.3736651299 2.13929358",
    5: "0.0589187968 0.0598721997 0.7968185972 2.6903805820 4.23735448",
    10: "0.0385988357 0.0388276214 0.7956544205 4.4443099090 7.02029522",
}


@pytest.mark.parametrize("o", RESTE_NORMAL)
def test_reste_for_normal_values(o):
    closed = cf.reste_normal(o)
    figure = cf.measured(ReSTE(float(o), convention="figure"), NORMAL)
    whole = cf.measured(ReSTE(float(o), convention="antiderivative"), NORMAL)
    assert figure[1:] == whole[1:]
    for e_B, e_C, mean, var in (closed, (figure[0], *whole)):
        found = (e_B, e_C, mean, var, var / mean**2)
        assert all(digits(a, b) for a, b in zip(found, RESTE_NORMAL[o].split(), strict=True))


OTHERS = [
    (IdentitySTE(), "0.3333333 0.0000000", "0.4042309 1.0000000 0.0000000"),
    (ClippedSTE(), "0.3333333 0.0000000", "0.2535513 0.6826895 0.2166245"),
    (ApproxSign(), "0.2000000 0.3333333", "0.1559289 0.7374928 0.4703097"),
    (SwishSign(), "0.0856257 2.612090", "0.0665396 1.050117 2.388906"),
    (EDE(1.0, 1.0), "0.3708442 0.034320", "0.2823359 0.605706 0.097524"),
    (EDE(2.0, 1.0), "0.1929835 0.401427", "0.1503819 0.729478 0.491664"),
    (EDE(10.0, 1.0), "0.0386294 5.666667", "0.0307904 0.794631 4.679240"),
    (RBNN(1.0, 1.0), "0.2822330 0.083333", "0.2157502 0.687400 0.213933"),
    (RBNN(10.0, 1.0), "0.0282843 8.428090", "0.0225568 0.796557 6.880512"),
    (DSQ(2.0), "0.1829196 0.431944", "0.1430130 0.742806 0.548705"),
    (DSQ(5.0), "0.0772477 2.333939", "0.0613850 0.785223 2.026563"),
    (FDA(1, math.pi / 2), "0.1894305 0.378861", "0.2977126 1.279344 0.377662"),
    (FDA(1, 1.0), "0.2714345 0.031208", "0.2282686 0.883666 0.139403"),
]


@pytest.mark.parametrize(("estimator", "uniform", "normal"), OTHERS, ids=lambda v: repr(v))
def test_other_estimators(estimator, uniform, normal):
    e, _, s = cf.measured(estimator, UNIFORM)
    assert all(digits(a, b) for a, b in zip((e, s), uniform.split(), strict=True))
    found = cf.measured(estimator, NORMAL)
    assert all(digits(a, b) for a, b in zip(found, normal.split(), strict=True))


def test_closed_forms_of_other_estimators():
    assert cf.measured(ApproxSign(), NORMAL) == pytest.approx([float(v) for v in cf.approx_sign_normal()], abs=1e-11)
    for t in (0.3, 1.0, 2.0, 10.0):
        e, _, s = cf.measured(EDE(t, 1.0), UNIFORM)
        assert (e, s) == pytest.approx([float(v) for v in cf.ede_uniform(t)], abs=1e-11)
    printed_of = {1: "0.1894305309", 2: "0.0993672565", 3: "0.0669444777", 5: "0.0403952132", 10: "0.0202474085"}
    for n, printed in printed_of.items():
        square_wave = FDA(n, math.pi / 2)
        error, square = cf.square_wave_uniform(n)
        assert digits(error, printed)
        assert digits(cf.measured(square_wave, UNIFORM)[0], printed)
        assert cf.expectation(lambda u, e=square_wave: e.multiplier(u) ** 2, UNIFORM) == pytest.approx(
            square, abs=1e-10
        )
    p = math.erf(1 / math.sqrt(2))
    assert cf.measured(ClippedSTE(), NORMAL)[1:] == pytest.approx((p, p * (1 - p)), abs=1e-12)


# --- the optimum -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "printed"),
    [
        (1, ("0.2944868", "0.0185485")),
        (2, ("0.2213178", "0.1893584")),
        (3, ("0.1625128", "0.5522943")),
        (5, ("0.0999183", "1.5024972")),
        (8, ("0.0624998", "3.0000153")),
    ],
)
def test_pareto_values(a, printed):
    e, mean, s = cf.measured(Pareto(float(a)), UNIFORM)
    assert mean == pytest.approx(1.0, abs=1e-12)
    for found in ((e, s), cf.pareto_uniform(a)):
        assert digits(found[0], printed[0]) and digits(found[1], printed[1])


@pytest.mark.parametrize("a", [0.5, 3.0, 8.0])
def test_pareto_solves_the_discrete_quadratic_programme(a):
    """Minimise the sum of (1 - f)^2 + a^-2 f'^2 over all f on a grid with f(0) = 0, f(1) = 1: a tridiagonal system."""
    n = 1000
    u = np.linspace(0, 1, n + 1)
    stiff = (n / a) ** 2
    matrix = np.zeros((3, n - 1))
    matrix[0, 1:] = matrix[2, :-1] = -stiff
    matrix[1] = 1 + 2 * stiff
    right = np.ones(n - 1)
    right[-1] += stiff
    from scipy.linalg import solve_banded

    best = solve_banded((1, 1), matrix, right)
    assert np.abs(best - Pareto(a).surrogate(torch.from_numpy(u[1:-1])).numpy()).max() < 1e-5


@pytest.mark.parametrize(("o", "printed"), [(2, "0.4451"), (3, "1.1301"), (5, "2.3550"), (10, "4.1447")])
def test_pareto_has_less_variance_than_reste_at_equal_error(o, printed):
    e, _, s = cf.measured(ReSTE(float(o), convention="antiderivative"), UNIFORM)
    a = mp.findroot(lambda a: cf.pareto_uniform(a)[0] - e, (0.5, 40), solver="anderson")
    optimal = cf.measured(Pareto(float(a)), UNIFORM)
    assert optimal[0] == pytest.approx(e, abs=1e-10)
    assert digits(optimal[2], printed) and optimal[2] < s


# Surrogates with f(1) = 1; a smaller slope would buy stability for nothing.
NORMALISED = [e for e in POINTWISE if e.monotone and getattr(e, "convention", "antiderivative") == "antiderivative"]
NORMALISED += [ReSTE(o, convention="antiderivative") for o in (1.0, 1.5, 10.0, math.inf)]
NORMALISED = [e for e in NORMALISED if abs(float(e.surrogate(tensor(1.0))) - 1) < 1e-8]


@each(NORMALISED)
def test_nothing_beats_pareto_for_uniform_values(estimator):
    e, _, s = cf.measured(estimator, UNIFORM)
    for a in (0.3, 1.0, 3.0, 10.0):
        best = cf.pareto_uniform(a)
        assert e + s / a**2 >= float(best[0] + best[1] / a**2) - 1e-9


# --- a fixed sample --------------------------------------------------------------------------------------------------

FIXTURE = tensor(-2, -1.5, -1, -0.5, -0.1, -0.05, 0, 0.05, 0.1, 0.5, 1, 1.5, 2)


def test_multipliers_of_the_fixture():
    half = [0, 0.2543809428, 0.3333333333, 0.529133684, 4.6415888336, 4.6415888336, 4.6415888336]
    expected = tensor(*half, *half[-2::-1])
    torch.testing.assert_close(ReSTE(3.0).multiplier(FIXTURE), expected, atol=5.1e-11, rtol=0)


@pytest.mark.parametrize(
    ("o", "at_0", "at_1", "unbiased", "population"),
    [
        (3, "1.2783590423", "1.6230224401", "4.9035665522", "4.5263691251"),
        (1, "2.5347583711", "2.7248853187", "0.1410256410", "0.1301775148"),
        (2, "1.6602412129", "1.9381436699", "1.9950757704", "1.8416084034"),
    ],
)
def test_measures_of_the_fixture(o, at_0, at_1, unbiased, population):
    estimator = ReSTE(float(o))
    for sign_zero, printed in ((0, at_0), (1, at_1)):
        distance = estimator.surrogate(FIXTURE) - bnn.sign(FIXTURE, sign_zero)
        assert digits(torch.linalg.vector_norm(distance), printed)
    for correction, printed in ((1, unbiased), (0, population)):
        assert digits(estimator.multiplier(FIXTURE).var(correction=correction), printed)


# --- structure -------------------------------------------------------------------------------------------------------


@each(EXAMPLES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_surrogate_is_odd_and_multiplier_even(estimator, dtype):
    u = torch.linspace(0, 3, 121, dtype=dtype)
    z = torch.cat([-u.flip(0), u[1:]])
    f, slope = estimator.surrogate(z), estimator.multiplier(z)
    assert f.dtype == slope.dtype == dtype and f.shape == slope.shape == z.shape
    # In float32 torch's vectorised kernels and their ends differ by a last digit.
    tolerance = {"rtol": 3e-7, "atol": 3e-7} if dtype == torch.float32 else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(f, -f.flip(0), **tolerance)
    torch.testing.assert_close(slope, slope.flip(0), **tolerance)
    assert f[120] == 0


@each(EXAMPLES)
def test_monotone_flag(estimator):
    slope = estimator.multiplier(torch.linspace(-4, 4, 8001, dtype=torch.float64))
    assert bool((slope >= 0).all()) == estimator.monotone


@each(POINTWISE)
def test_limits_and_kinks_say_where_the_multiplier_is_constant_and_where_it_ends(estimator):
    inner, outer = estimator.limits
    slope = estimator.multiplier
    if inner > 0:
        assert slope(torch.linspace(0, inner, 50, dtype=torch.float64)).unique().numel() == 1
    if outer < math.inf:
        assert (slope(tensor(math.nextafter(outer, math.inf), 2 * outer, 1e9, math.inf)) == 0).all()
        assert slope(tensor(outer * (1 - 1e-6))) > 0 or getattr(estimator, "o", 0) == math.inf
    assert list(estimator.kinks) == sorted(estimator.kinks) and all(k > 0 for k in estimator.kinks)


@each(POINTWISE)
def test_multiplier_is_the_difference_quotient_of_an_antiderivative(estimator):
    """Outside the kinks; the power and figure forms of ReSTE agree between their thresholds only."""
    z = torch.linspace(-2, 2, 403, dtype=torch.float64)
    h = 1e-6
    away = torch.ones_like(z, dtype=torch.bool)
    for kink in estimator.kinks:
        away &= (z.abs() - kink).abs() > 2 * h
    if isinstance(estimator, ReSTE) and estimator.convention != "antiderivative":
        away &= (z.abs() > estimator.m) & (z.abs() < estimator.t)
    quotient = (estimator.surrogate(z + h) - estimator.surrogate(z - h)) / (2 * h)
    torch.testing.assert_close(quotient[away], estimator.multiplier(z)[away], rtol=1e-5, atol=1e-6)


@each(POINTWISE)
def test_is_antiderivative(estimator):
    expected = not isinstance(estimator, ReSTE) or estimator.convention == "antiderivative"
    assert estimator.is_antiderivative() == expected
    if not expected:  # between 0 and m, and from m to t, the secant was chosen so that the ends agree
        assert estimator.is_antiderivative([0.1, 0.5]) == (estimator.convention == "figure" or estimator.o == 1)
        assert not estimator.is_antiderivative([1.0, 1.6])


def test_antiderivative_check_sees_a_wrong_slope():
    @dataclass(frozen=True)
    class Wrong(ApproxSign):
        def multiplier(self, z):
            return super().multiplier(z) * (1 + 1e-6)

    assert ApproxSign().is_antiderivative() and not Wrong().is_antiderivative()


RATIONAL = [
    *[(e, True) for e in (IdentitySTE(), ClippedSTE(), ApproxSign(), DSQ(2.0), DSQ(5.0), RBNN(10.0, 1.0))],
    *[(e, False) for e in (SwishSign(), EDE(1.0, 1.0), EDE(2.0, 1.0), EDE(10.0, 1.0), RBNN(1.0, 1.0), RBNN(1.41, 1.0))],
    *[(FDA(n, math.pi / 2), False) for n in (1, 2, 10)],
    *[(e, False) for e in (BiPer(1.0), BiPer(30.0), ClippedSTE(0.9))],
    *[(e, True) for e in (*ReSTE.example(), *Pareto.example(), RBNN(math.sqrt(2), 1.0), ClippedSTE(1.5))],
]


@pytest.mark.parametrize(("estimator", "expected"), RATIONAL, ids=repr)
def test_rationality(estimator, expected):
    assert estimator.is_rational() == expected


def test_where_rationality_fails():
    swish = SwishSign()
    assert swish.is_rational([0.5, 0.93, 1.046, 2.0])
    assert not swish.is_rational([0.94]) and not swish.is_rational([1.04])
    assert EDE(2.0, 1.0).is_rational([0.95, 1.04]) and not EDE(2.0, 1.0).is_rational(tensor(0.96))
    assert EDE(10.0, 1.0).is_rational([1 - 1e-8, 1 + 1e-8]) and not EDE(10.0, 1.0).is_rational([1.0])


def test_powers_below_1_are_not_rational():
    """They cannot be constructed; the pointwise test itself rejects them."""

    @dataclass(frozen=True)
    class Half(ReSTE):
        def _power(self, u):
            return u**2

    assert not Half().is_rational() and ReSTE().is_rational()


@pytest.mark.parametrize("bad", [[], [0.0], [-1.0], [math.nan], [math.inf]])
def test_points_of_a_test_are_positive(bad):
    with pytest.raises(ValueError, match=r"is_rational\(u=...\)`: got .*expected finite numbers > 0"):
        ReSTE().is_rational(bad)


@pytest.mark.parametrize("form", ["power", "figure", "antiderivative"])
@pytest.mark.parametrize("density", [UNIFORM, NORMAL], ids=str)
def test_error_falls_and_variance_rises_with_the_power(form, density):
    rows = [cf.measured(ReSTE(o, convention=form), density) for o in (1.0, 1.2, 1.7, 2.0, 2.5, 3.0, 6.0, 20.0)]
    errors, _, variances = zip(*rows, strict=True)
    assert all(a > b for a, b in pairwise(errors))
    assert all(a <= b for a, b in pairwise(variances))


@given(st.floats(1.0, 50.0), st.floats(1e-3, 1.0), st.floats(1.0, 3.0))
def test_secant_is_the_power_times_the_slope(o, m, t):
    """The multiplier drops by the factor o where the power function takes over."""
    estimator = ReSTE(o, m, t)
    assert estimator.secant == pytest.approx(o * (1 / o * m ** (1 / o - 1)), rel=1e-13)
    assert float(estimator.multiplier(tensor(m))) == estimator.secant
    if m < t:
        beyond = float(estimator.multiplier(tensor(math.nextafter(m, 2.0))))
        assert estimator.secant / beyond == pytest.approx(o, rel=1e-12)


def test_schedule_of_reste():
    estimator = ReSTE(3.0)
    assert estimator.at(0.0) == replace(estimator, o=1.0)
    assert estimator.at(1.0).o == 3.0
    assert digits(estimator.at(999 / 1000).o, "2.996858") and digits(estimator.at(249 / 250).o, "2.987434")
    assert digits(estimator.at(0.5).o, "1.585786")
    steps = [estimator.at((i + 0.5) / 10000).o for i in range(10000)]
    assert digits(sum(steps) / 10000, "1.726760")
    assert ReSTE(5.0, 0.2, 2.0, "figure").at(0.3) == ReSTE(1 + 4 * (1 - math.cos(0.15 * math.pi)), 0.2, 2.0, "figure")


def test_schedules_of_the_others():
    assert EDE(1.0, 1.0).at(0.0) == EDE(1e-3, 1e3)
    assert (EDE(1.0, 1.0).at(1.0).t, EDE(1.0, 1.0).at(1.0).k) == (10.0, 1.0)
    assert ApproxSign().at(0.3) == ApproxSign()
    for estimator in (ReSTE(), EDE(1.0, 1.0), ApproxSign()):
        for bad in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError, match=r"\.at\(progress=...\)`: got .*expected a number in \[0, 1\]"):
                estimator.at(bad)
    with pytest.raises(ValueError, match="o = inf cannot be approached"):
        ReSTE(math.inf).at(0.5)


def test_flat_limits():
    """Where an estimator becomes another one."""
    z = torch.linspace(-3, 3, 601, dtype=torch.float64)
    torch.testing.assert_close(RBNN(math.sqrt(2), 1.0).surrogate(z), ApproxSign().surrogate(z), rtol=0, atol=1e-14)
    torch.testing.assert_close(Pareto(1e-4).surrogate(z), ClippedSTE().surrogate(z), rtol=0, atol=1e-8)
    torch.testing.assert_close(DSQ(1e-4).multiplier(z), ClippedSTE().multiplier(z), rtol=0, atol=1e-8)
    torch.testing.assert_close(FDA(1, 1.0).multiplier(z), 4 / math.pi * BiPer(1.0).multiplier(z))
    assert torch.equal(ReSTE(1.0).multiplier(z), ClippedSTE(1.5).multiplier(z))
    assert torch.equal(ReSTE(1.0, convention="antiderivative").surrogate(z), ClippedSTE(1.5).surrogate(z))
    assert torch.equal(ReSTE(math.inf).surrogate(z), torch.sign(z))


# --- published formulas ----------------------------------------------------------------------------------------------


def sech2(x):
    return 1 / math.cosh(x) ** 2


@pytest.mark.parametrize("u", [0.0, 0.04, 0.3, 0.99, 1.3, 1.7, 3.0])
def test_formulas_one_number_at_a_time(u):
    beta, t, k, w, n, a = 5.0, 1.3, 2.0, 1.1, 3, 4.0
    s = 1 / (1 + math.exp(-beta * u))
    swish = beta * (2 - beta * u * math.tanh(beta * u / 2)) / (1 + math.cosh(beta * u))
    small = u <= 1
    expected = [
        (SwishSign(beta), 2 * s * (1 + beta * u * (1 - s)) - 1, swish),
        (EDE(t, k), k * math.tanh(t * u), k * t * sech2(t * u)),
        (DSQ(k), math.tanh(k * u) / math.tanh(k) if small else 1, k * sech2(k * u) / math.tanh(k) * small),
        (
            FDA(n, w),
            4 / math.pi * sum(math.sin((2 * i + 1) * w * u) / (2 * i + 1) for i in range(n)),
            4 * w / math.pi * sum(math.cos((2 * i + 1) * w * u) for i in range(n)),
        ),
        (BiPer(w), math.sin(w * u), w * math.cos(w * u)),
        (
            Pareto(a),
            1 - math.sinh(a * (1 - u)) / math.sinh(a) if small else 1,
            a * math.cosh(a * (1 - u)) / math.sinh(a) * small,
        ),
    ]
    for estimator, f, slope in expected:
        for z in (u, -u):
            assert float(estimator.surrogate(tensor(z))) == pytest.approx(math.copysign(1, z) * f, abs=1e-14)
            assert float(estimator.multiplier(tensor(z))) == pytest.approx(slope, abs=1e-13)


def test_sharp_estimators_do_not_overflow():
    z = tensor(0.0, 1e-3, 0.5, 1.0, 2.0)
    for estimator in (Pareto(1e6), DSQ(1e6), EDE(1e6, 1.0), SwishSign(1e6), RBNN(1e6, 1.0)):
        assert estimator.surrogate(z).isfinite().all() and estimator.multiplier(z).isfinite().all()
        assert torch.allclose(estimator.surrogate(z)[1:], tensor(1.0), atol=1e-12, rtol=0)


# --- ReCU, whose threshold is a mean ---------------------------------------------------------------------------------


def test_recu_threshold():
    z = tensor(-4.0, 0.5, 1.0, 2.5)
    Q = -2.0 * math.log(2 - 2 * 0.7)
    assert float(ReCU(0.7).threshold(z)) == pytest.approx(Q, rel=1e-15) and 1.0 < Q < 2.5
    torch.testing.assert_close(ReCU(0.7).surrogate(z), tensor(-Q, 0.5, 1.0, Q))
    assert ReCU(0.7).multiplier(z).tolist() == [0.0, 1.0, 1.0, 0.0]
    laplace = torch.distributions.Laplace(0.0, 0.3)
    assert float(laplace.cdf(tensor(-0.3 * math.log(2 - 2 * 0.85)))) == pytest.approx(0.85)


def test_recu_has_no_pointwise_tests():
    with pytest.raises(ValueError, match="pass the sample it acts on"):
        ReCU(0.85).is_rational()
    with pytest.raises(ValueError, match="depends on the whole tensor"):
        ReCU(0.85).is_antiderivative([0.5])
    assert ReCU(0.85).is_rational([0.5, 1.0, 1.5])
    assert not ReCU(0.85).is_rational([0.1, 0.1, 0.9])


# --- values and parameters -------------------------------------------------------------------------------------------


@each(EXAMPLES)
def test_frozen_value(estimator):
    namespace = {**vars(bnn), "inf": math.inf}
    again = eval(repr(estimator), namespace)
    assert again == estimator and hash(again) == hash(estimator)
    assert pickle.loads(pickle.dumps(estimator)) == estimator
    with pytest.raises((FrozenInstanceError, AttributeError)):
        estimator.o = 2.0


def test_registry_has_every_estimator_under_its_name():
    assert set(bnn.ESTIMATORS) == set(
        "IdentitySTE ClippedSTE ReCU ApproxSign SwishSign EDE RBNN DSQ FDA BiPer ReSTE Pareto".split()
    )
    assert all(cls.__name__ == name and cls.example() for name, cls in bnn.ESTIMATORS.items())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReSTE(math.nan), r"`ReSTE\(o=...\)`: got nan, expected a number in \[1, inf\]"),
        (lambda: ReSTE(0.5), r"`ReSTE\(o=...\)`: got 0.5"),
        (lambda: ReSTE(0.0), r"`ReSTE\(o=...\)`"),
        (lambda: ReSTE(-3.0), r"`ReSTE\(o=...\)`"),
        (lambda: ReSTE(m=-0.1), r"`ReSTE\(m=...\)`: got -0.1, expected a number in \[0, 1.5\]"),
        (lambda: ReSTE(m=2.0), r"`ReSTE\(m=...\)`"),
        (lambda: ReSTE(m=math.inf, t=math.inf), r"`ReSTE\(m=...\)`: got inf, expected a number in \[0, inf\)"),
        (lambda: ReSTE(t=0.0), r"`ReSTE\(t=...\)`: got 0.0, expected a number in \(0, inf\]"),
        (lambda: ReSTE(convention="linear"), r"`ReSTE\(convention=...\)`: got 'linear', expected 'power'"),
        (lambda: ClippedSTE(0.0), r"`ClippedSTE\(c=...\)`"),
        (lambda: ReCU(0.5), r"`ReCU\(tau=...\)`"),
        (lambda: ReCU(1.0), r"`ReCU\(tau=...\)`"),
        (lambda: SwishSign(math.inf), r"`SwishSign\(beta=...\)`"),
        (lambda: EDE(0.0, 1.0), r"`EDE\(t=...\)`"),
        (lambda: EDE(1.0, -1.0), r"`EDE\(k=...\)`"),
        (lambda: RBNN(math.nan, 1.0), r"`RBNN\(t=...\)`"),
        (lambda: RBNN(1.0, 0.0), r"`RBNN\(k=...\)`"),
        (lambda: DSQ(0), r"`DSQ\(k=...\)`"),
        (lambda: FDA(0, 1.0), r"`FDA\(n=...\)`"),
        (lambda: FDA(1, 0.0), r"`FDA\(w=...\)`"),
        (lambda: BiPer(math.inf), r"`BiPer\(w=...\)`"),
        (lambda: Pareto(0.0), r"`Pareto\(a=...\)`"),
    ],
)
def test_parameters_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make", [lambda: ReSTE("3"), lambda: ReSTE(torch.tensor(3.0)), lambda: ReSTE(True), lambda: FDA(2.0, 1.0)]
)
def test_parameters_of_another_type(make):
    with pytest.raises(TypeError, match=r"expected a .*number; convert with"):
        make()


def test_thresholds_at_their_ends():
    equal = ReSTE(3.0, m=1.5, t=1.5)
    assert equal.multiplier(tensor(0.0, 1.5, 1.6)).tolist() == [equal.secant, equal.secant, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ReSTE(1.5, m=0.0)
    with pytest.warns(UserWarning, match=r"`ReSTE\(o=2.0, m=0\)`"):
        raw = ReSTE(2.0, m=0.0, convention="antiderivative")
    assert raw.surrogate(tensor(0.0, 0.25, 9.0)).tolist() == pytest.approx([0.0, 0.5, math.sqrt(1.5)])
    assert raw.multiplier(tensor(0.0, 0.25)).tolist() == [math.inf, 1.0]
    assert raw.is_antiderivative()


def test_estimators_take_floating_point_tensors():
    for estimator in (ReSTE(), BiPer(1.0), ApproxSign()):
        with pytest.raises(TypeError, match="expected float16, bfloat16, float32 or float64"):
            estimator.multiplier(torch.tensor([1, 2]))


def test_an_estimator_of_ones_own_has_defaults():
    @dataclass(frozen=True)
    class Cube(bnn.Estimator):
        scale: float = 1.0
        elementwise: ClassVar[bool] = True

        def surrogate(self, z):
            return self.scale * z**3

        def multiplier(self, z):
            return 3 * self.scale * z * z

        @classmethod
        def example(cls):
            return [cls()]

    cube = Cube(2.0)
    assert cube.at(0.5) is cube and cube.kinks == () and cube.limits == (0.0, math.inf) and not cube.monotone
    assert cube.is_antiderivative() and not cube.is_rational()
    assert "Cube" not in bnn.ESTIMATORS
