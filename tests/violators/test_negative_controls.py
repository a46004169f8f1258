"""Networks that break one hypothesis or one constant each, and the outcome that theory predicts for them.

Numbers N1 to N19 are those of the list of negative controls in the theory notes; N10 to N13 concern deformations.
"""

import math

import pytest
import torch

import scatter_theory as st
from scatter_theory.verify import Effort

LINE = st.Grid.line(64)
QUICK = Effort(random=8, structured=64, steps=0, restarts=0)
CLIMB = Effort(random=4, structured=48, steps=30, restarts=1)
HOLDS, VIOLATED = st.Outcome.HOLDS, st.Outcome.VIOLATED
INAPPLICABLE, INCONCLUSIVE = st.Outcome.INAPPLICABLE, st.Outcome.INCONCLUSIVE


def extractor(frame, rho=None, pool=None, grid=LINE, depth=1, **kwargs):
    layer = st.Layer(frame, rho if rho is not None else st.Modulus(), pool if pool is not None else st.NoPooling())
    return st.FeatureExtractor([layer] * depth, grid, **kwargs)


def bank_of(spectra, output):
    return st.frames.Filters(spectra, output=output, kind="spectra")


def propagating_scaled(factor, rho):
    """Two layers in which only the propagating atoms of a tight bank are multiplied by a factor."""
    bank = st.frames.Wavelets(J=3, sided="both").on(LINE)
    return extractor(bank_of(factor * bank.spectra, bank.output), rho, depth=2)


# --- N1: frames that are too large


@pytest.mark.parametrize("rho", [st.Modulus(), st.ReLU(), st.Tanh(), st.Sigmoid()], ids=repr)
def test_N1_scaled_bank_is_not_admissible_and_expands(rho):
    """All atoms x 1.5: a constant difference is emitted 1.5 times as large, whatever the non-linearity; c_0 holds."""
    phi = extractor(st.frames.Wavelets(J=3).scaled(1.5), rho, depth=2)
    assert st.verify.admissibility(phi).outcome is VIOLATED
    x = torch.ones(2, 64, dtype=torch.float64)
    x[1] *= 2
    check = st.verify.lipschitz(phi, x, effort=Effort(0, 0, 0, 0))
    assert check.outcome is HOLDS
    assert check.measured[0] >= 1.5 - 1e-12
    assert check.bound[0] >= 1.5 - 1e-12
    theorem = st.verify.lipschitz(phi, x, bound="theorem", effort=Effort(0, 0, 0, 0))
    assert theorem.outcome is INAPPLICABLE
    assert theorem.worst >= 1.5 - 1e-12


def test_N1_propagating_atoms_only():
    """Not admissible for every non-linearity; beyond 1 for modulus and tanh, not reliably for the ReLU.

    A small tone passes tanh unchanged. With c = |chi|^2 at its frequency the layers emit c, 1.5^2 (1 - c) c and
    1.5^4 (1 - c)^2 c of its energy, at most 1.6989 together, so that the ratio can reach 1.3034.
    """
    found = {}
    for rho in (st.Modulus(), st.Tanh(), st.ReLU()):
        phi = propagating_scaled(1.5, rho)
        assert st.verify.admissibility(phi).outcome is VIOLATED
        check = st.verify.lipschitz(phi, effort=CLIMB, generator=0)
        assert check.outcome is HOLDS
        found[repr(rho)] = check.measured[0]
    assert found["Modulus()"] > 1.5
    assert 1.2 < found["Tanh()"]
    assert found["ReLU()"] < found["Tanh()"]


# --- N2 to N4: non-linearities


@pytest.mark.parametrize(
    ("rho", "slope"),
    [
        (st.Pointwise(lambda x: 3 * torch.relu(x), 1.0), 3.0),
        (st.Pointwise(torch.nn.functional.gelu, 1.0), 1.1289041451851548),
        (st.Pointwise(torch.nn.functional.gelu, 1.12890), 1.1289041451851548),
    ],
    ids=["3 ReLU", "GELU, 1", "GELU, rounded down"],
)
def test_N2_declared_constant_too_small(rho, slope):
    """VIOLATED with a counterexample that reproduces; GELU is steepest at sqrt 2."""
    check = st.verify.nonlinearity(rho, generator=0)
    assert check.outcome is VIOLATED
    assert check.measured[0] == pytest.approx(slope, rel=1e-6)
    a, b = check.witness["a"], check.witness["b"]
    ends = rho(torch.tensor([a, b], dtype=torch.complex128))
    assert abs(complex(ends[1] - ends[0])) / abs(b - a) == pytest.approx(slope, rel=1e-5)


def test_N2_at_the_steepest_point_of_gelu():
    check = st.verify.nonlinearity(st.Pointwise(torch.nn.functional.gelu, 1.0), generator=0)
    a = check.witness["a"]
    assert min(abs(abs(a.real) - math.sqrt(2)), abs(abs(a.imag) - math.sqrt(2))) < 0.05
    assert st.verify.nonlinearity(st.GELU(), generator=0).outcome is HOLDS


@pytest.mark.parametrize(
    ("function", "L"), [(torch.sigmoid, 0.25), (torch.nn.functional.softplus, 1.0)], ids=["sigmoid", "softplus"]
)
def test_N3_maps_that_do_not_fix_zero(function, L):
    """Distances shrink, so Lipschitz is not violated; energy bounds do not apply, and fail for small signals."""
    rho = st.Pointwise(function, L)
    assert st.verify.nonlinearity(rho, generator=0).outcome is INCONCLUSIVE  # declared, not proven, and not exceeded
    phi = extractor(st.frames.Wavelets(J=3, sided="real"), rho)
    lipschitz = st.verify.lipschitz(phi, effort=QUICK, generator=0)
    assert lipschitz.outcome is INCONCLUSIVE
    assert lipschitz.worst <= 1 + 1e-9
    f = 1e-3 * torch.randn(1, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    energy = st.verify.energy(phi, f, effort=Effort(0, 0, 0, 0))
    assert energy.outcome is INAPPLICABLE
    assert energy.worst > 1
    assert float(phi(torch.zeros(64, dtype=torch.float64)).energy()) > 0
    large = st.verify.energy(phi, 1e6 * f, effort=Effort(0, 0, 0, 0))
    assert large.worst < 1


def test_N4_square_has_no_lipschitz_constant():
    """The ratio grows with the amplitude, whatever is declared; an infinite constant is refused."""
    worst = [st.verify.nonlinearity(st.Pointwise(torch.square, L), generator=0).measured[0] for L in (1.0, 1e3)]
    assert all(value > 1e5 for value in worst)
    assert st.verify.nonlinearity(st.Pointwise(torch.square, 1e3), generator=0).outcome is VIOLATED
    with pytest.raises(ValueError, match="outside the theory"):
        st.Pointwise(torch.square, math.inf)


# --- N5 to N8: poolings and borders


@pytest.mark.parametrize(("grid", "W"), [(st.Grid.line(32), 3), (st.Grid.line(32), 4), (st.Grid.square(16), 3)])
def test_N5_overlapping_max_pool_declared_non_expansive(grid, W):
    """Stride 1: a delta lies in W^d windows, the ratio is W^(d/2). The built-in pooling knows it."""
    honest = st.Max(1, window=W)

    def overlapping(x):
        return honest.map(x, grid, "decimate")

    check = st.verify.pooling(st.Pool(overlapping, 1.0), grid, sampling="decimate", generator=0)
    assert check.outcome is VIOLATED
    assert check.ratio[0] == pytest.approx(W ** (grid.ndim / 2), rel=1e-9)
    assert st.verify.pooling(honest, grid, sampling="decimate", generator=0).outcome is HOLDS


def test_N5_max_pooling_is_refused_in_the_continuous_theory():
    with pytest.raises(ValueError, match="no finite Lipschitz constant"):
        extractor(st.frames.Wavelets(J=3), pool=st.Max(2))


@pytest.mark.parametrize("pool", [st.Max(2), st.Subsample(2), st.Average(2)], ids=repr)
def test_N6_shifts_that_the_stride_does_not_divide(pool):
    """Covariance and translation make no statement; the defect is of the order of the signal for fine detail."""
    phi = extractor(st.frames.Wavelets(J=2), pool=pool, sampling="decimate")
    odd = st.verify.covariance(phi, shifts=[1], effort=QUICK, generator=0)
    assert odd.outcome is INAPPLICABLE
    assert st.verify.translation(phi, shifts=[3], effort=QUICK, generator=0).outcome is INAPPLICABLE
    assert st.verify.covariance(phi, shifts=[2, 6], effort=QUICK, generator=0).outcome is HOLDS


@pytest.mark.parametrize("grid", [st.Grid.line(32), st.Grid.square(16)], ids=["1-D", "2-D"])
def test_N7_decimation_with_the_factor_of_the_physical_norm(grid):
    """A spike on a kept sample grows by S^(d/2); a tone keeps its norm exactly and proves nothing."""
    S, d = 2, grid.ndim
    keep = (..., *(slice(None, None, S),) * d)
    check = st.verify.pooling(
        st.Pool(lambda x: S ** (d / 2) * x[keep], 1.0, factor=S), grid, sampling="decimate", generator=0
    )
    assert check.outcome is VIOLATED
    assert check.ratio[0] == pytest.approx(S ** (d / 2), rel=1e-9)
    x = torch.exp(2j * math.pi * 5 * torch.arange(grid.shape[0]) / grid.shape[0]).to(torch.complex128)
    x = x.reshape(-1, *(1,) * (d - 1)).expand(grid.shape)
    assert float((S ** (d / 2) * x[keep]).norm() / x.norm()) == pytest.approx(1, abs=1e-6)


def reflecting(x):
    """A running mean with reflection at the border, as an image library would do it."""
    wide = torch.nn.functional.pad(x.reshape(-1, 1, x.shape[-1]), (1, 1), mode="reflect")
    return ((wide[..., :-2] + wide[..., 1:-1] + wide[..., 2:]) / 3).reshape(x.shape)


@pytest.mark.parametrize(
    "function",
    [lambda x: x * (torch.arange(64) < 60), reflecting],
    ids=["cropped border", "reflecting border"],
)
def test_N8_borders_that_are_not_periodic(function):
    """Covariance fails near the edge, the energy identity makes no statement or fails."""
    pool = st.Pool(function, 2.0)
    phi = extractor(st.frames.Wavelets(J=3), pool=pool)
    assert st.verify.covariance(phi, effort=QUICK, generator=0).outcome is VIOLATED
    assert st.verify.energy(phi, form="balance", effort=QUICK, generator=0).outcome is INAPPLICABLE


# --- N9: output atoms that do not decay


def all_pass(n, rest=False):
    """Filters whose output atom passes everything (a delta), or everything but the mean (a high-pass)."""
    output = torch.ones(n, dtype=torch.float64)
    spectra = torch.zeros(1, n, dtype=torch.float64)
    if rest:
        output[0], spectra[0, 0] = 0.0, 1.0
    return bank_of(spectra, output)


@pytest.mark.parametrize("n", [64, 33], ids=["even", "odd"])
@pytest.mark.parametrize("rest", [False, True], ids=["delta", "high-pass"])
def test_N9_output_atom_that_does_not_decay(n, rest):
    """K is the highest frequency of the grid and doubles with its sampling rate: the hypothesis is flagged."""
    phi = extractor(all_pass(n, rest), grid=st.Grid.line(n))
    check = st.verify.translation(phi, shifts=[1], effort=QUICK, generator=0)
    assert check.outcome is INAPPLICABLE
    assert [h.text for h in check.hypotheses if not h.satisfied] == [
        "every output atom decays: sup |chi||xi| lies below sup |chi| times the highest frequency"
    ]
    coarse, fine = st.Grid.line(n, length=1.0), st.Grid.line(2 * n, length=1.0)
    K = [all_pass(g.shape[0], rest).on(g).decay_constant().value for g in (coarse, fine)]
    assert K[1] == pytest.approx(2 * K[0], rel=0.05)


def test_N9_without_pooling_the_bound_is_flat_and_not_violated():
    phi = extractor(st.frames.Wavelets(J=3), depth=3)
    check = st.verify.translation(phi, shifts=[2], effort=QUICK, generator=0)
    assert check.outcome is HOLDS
    assert check.bound == pytest.approx(check.bound[0], rel=1e-12)


# --- N14 to N17: hypotheses of the energy decay, losses, positions


def test_N14_real_wavelets_have_no_decay_rate():
    for sided, expected in (("half", HOLDS), ("real", INAPPLICABLE)):
        phi = extractor(st.frames.Wavelets(J=3, sided=sided), depth=2)
        assert st.verify.energy(phi, form="rate", effort=QUICK, generator=0).outcome is expected


def leaking(level):
    """A Parseval pair whose output atom keeps only the share `level` of the mean."""
    bank = st.frames.Wavelets(J=3, sided="real").on(LINE)
    output = bank.output.clone()
    output[0] = level
    rest = torch.zeros_like(output)
    rest[0] = math.sqrt(1 - level**2)
    return bank_of(torch.cat([bank.spectra, rest[None]]), output)


@pytest.mark.parametrize("level", [0.0, 0.6])
def test_N14_output_atom_that_leaks_the_mean(level):
    """Neither decay bound applies; a constant keeps W_n = (1 - |chi^(0)|^2)^n ||f||^2."""
    phi = extractor(leaking(level), depth=3)
    for form in ("getter", "rate"):
        assert st.verify.energy(phi, form=form, effort=QUICK, generator=0).outcome is INAPPLICABLE
    assert st.verify.energy(phi, form="balance", effort=QUICK, generator=0).outcome is HOLDS
    features = phi(torch.ones(64, dtype=torch.float64))
    W = torch.stack(features.remainder) / features.remainder[0]
    assert W.tolist() == pytest.approx([(1 - level**2) ** n for n in range(4)], abs=1e-13)


def test_N15_relu_loses_energy():
    """The identity makes no statement, the inequality holds strictly."""
    phi = extractor(st.frames.Wavelets(J=3, sided="real"), st.ReLU(), depth=2)
    balance = st.verify.energy(phi, form="balance", effort=QUICK, generator=0)
    assert balance.outcome is INAPPLICABLE
    assert balance.worst > 1e-3 or balance.measured.max() > 1e-3
    assert st.verify.energy(phi, form="bound", effort=QUICK, generator=0).outcome is HOLDS
    f = torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    features = phi(f)
    emitted = features.energy("layer")[:-1].sum() + features.remainder[-1]
    assert float(emitted / features.remainder[0]) < 0.95


def test_N16_real_wavelets_and_modulus_keep_the_identity():
    phi = extractor(st.frames.Wavelets(J=3, sided="real"), depth=3)
    balance = st.verify.energy(phi, form="balance", effort=QUICK, generator=0)
    assert balance.outcome is HOLDS
    assert balance.measured.max() <= 1e-13


def test_N17_window_between_the_layers():
    """Multiplying by a position-dependent weight in [0, 1] contracts but does not commute with translations."""
    window = torch.linspace(0, 1, 64, dtype=torch.float64)
    pool = st.Pool(lambda x: x * window, 1.0)
    phi = extractor(st.frames.Wavelets(J=3), pool=pool, depth=2)
    assert st.verify.covariance(phi, effort=QUICK, generator=0).outcome is VIOLATED
    lipschitz = st.verify.lipschitz(phi, effort=QUICK, generator=0)
    assert lipschitz.worst <= 1 + 1e-10
    pooled = st.verify.pooling(pool, LINE, generator=0)
    assert pooled.outcome is VIOLATED
    assert dict(zip(pooled.series, pooled.ratio, strict=True))["difference quotient"] <= 1 + 1e-10


# --- N18, N19: half banks where they do not belong


def analytic_tone(bank):
    """exp(2 pi i k x) at the peak of the first positive atom."""
    k = int(bank.spectra[0].abs().argmax())
    return torch.exp(2j * math.pi * k * torch.arange(64, dtype=torch.float64) / 64)


def test_N18_half_bank_and_complex_signals():
    """Refused; the plain Littlewood-Paley sum gives the honest constant sqrt 2, and an analytic tone attains it."""
    frame = st.frames.Wavelets(J=3, sided="half")
    with pytest.raises(ValueError, match="half bank"):
        extractor(frame, complex_input=True)
    with pytest.raises(ValueError, match="complex values"):
        extractor(frame)(torch.ones(64, dtype=torch.complex128))
    bank = frame.on(LINE)
    assert bank.bounds(real=False).B.value == pytest.approx(2, abs=1e-12)
    tone = analytic_tone(bank)
    assert float(LINE.energy(bank.analyse(tone)).sum() / LINE.energy(tone)) == pytest.approx(2, rel=1e-3)
    assert st.verify.frame(bank, real=False, effort=QUICK, generator=0).outcome is INAPPLICABLE
    assert st.verify.frame(bank, real=True, effort=QUICK, generator=0).outcome is HOLDS
    # The same filters, brought in as a bank without pairing: nothing is declared to be real, and c_0 is honest.
    phi = extractor(bank_of(bank.spectra.to(torch.complex128), bank.output), complex_input=True)
    check = st.verify.lipschitz(phi, tone[None], effort=Effort(0, 0, 0, 0))
    assert check.outcome is HOLDS
    assert phi.certified_lipschitz().value == pytest.approx(math.sqrt(2), abs=1e-12)
    assert check.measured[0] == pytest.approx(math.sqrt(2), rel=1e-4)


@pytest.mark.parametrize("rho", [st.Tanh(), st.Sigmoid(), st.SoftThreshold(0.0)], ids=repr)
def test_N19_half_banks_after_complex_maps_are_refused(rho):
    with pytest.raises(ValueError, match="complex"):
        extractor(st.frames.Wavelets(J=3, sided="half"), rho, depth=2)


def test_N19_forced_half_banks_gain_a_factor_two_per_layer():
    """Small signals, tanh, three layers: features + W_3 = 4 ||f||^2, as two of the layers see complex maps."""
    half = st.frames.Wavelets(J=3, sided="half").on(LINE)
    forced = bank_of(half.spectra, half.output)
    phi = extractor(forced, st.Tanh(), depth=3, complex_input=True)
    tone = 1e-4 * torch.cos(2 * math.pi * 20 * torch.arange(64, dtype=torch.float64) / 64)
    noise = 1e-4 * torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for f in (tone, noise):
        band = half.output.abs() < 1e-12
        band[32] = False  # the Nyquist frequency is its own mirror image
        f = torch.fft.ifft(torch.fft.fft(f) * band).real
        features = phi(f.to(torch.complex128))
        total = features.energy("layer")[:-1].sum() + features.remainder[-1]
        assert float(total / features.remainder[0]) == pytest.approx(4, rel=1e-5)
    full = extractor(st.frames.Wavelets(J=3, sided="both"), st.Tanh(), depth=3)
    features = full(noise)
    total = features.energy("layer")[:-1].sum() + features.remainder[-1]
    assert float(total / features.remainder[0]) == pytest.approx(1, rel=1e-5)
