"""The hypotheses of the sharper bounds: a table of what each class does, and attacks on both answers."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import scatter_theory as st
from scatter_theory import certify, deform
from scatter_theory import frames as fr

LINE, SQUARE = st.Grid.line(16), st.Grid.of((8, 6))


@dataclass(frozen=True)
class OwnModulus(st.Nonlinearity):
    """A user's class: declared non-negative, not known here."""

    nonnegative = True
    conjugation = "A"
    lipschitz = st.Constant(1.0, "reverse triangle inequality", "derived")

    def __call__(self, x):
        return x.abs()


class OwnPooling(st.NoPooling):
    """A subclass may do anything."""

    def map(self, x, grid, sampling):
        return x - x.mean(grid.axes, keepdim=True)


def moved(u):
    return torch.roll(u, 1, -1)


# Values >= 0 (of both parts), by hand.
SIGNLESS = [st.Modulus(), st.ReLU(), st.LeakyReLU(0.0), st.LeakyReLU(-0.5), st.ELU(0.0)]
# All of these have r(x) x > 0 for all moderate x != 0: a tone and its translate by half a period are anti-correlated.
SIGNED = [
    st.Tanh(), st.Sigmoid(), st.Identity(), st.LeakyReLU(), st.LeakyReLU(1.5), st.ELU(), st.ELU(2.0), st.GELU(),
    st.SiLU(), st.SoftThreshold(0.1), st.PhaseReLU(0.1),
]  # fmt: skip
UNKNOWN = [st.Pointwise(torch.relu, 1.0, "own ReLU"), OwnModulus()]

# Kernels with a negative tap; its autocorrelation is (4.01, 1.8, 0.8, 2, 1) at the lags 0 to 4.
DIP = (1.0, 1.0, -0.1, 1.0, 1.0)
# What keeps correlations >= 0 of values >= 0: in mode "dilate", in mode "decimate" for d = 1, and for d = 2.
POOLINGS = [
    (st.NoPooling(), True, True, True),
    (st.Subsample(2), True, True, True),
    (st.Average(2), True, True, True),
    (st.Average(1), True, True, True),
    (st.Average(2, kernel=(0.25, 0.5, 0.25)), True, True, True),
    (st.Average(2, kernel=(0.5, 0.0, 0.5)), True, True, True),
    (st.Average(2, kernel=DIP), True, False, False),
    (st.Average(1, kernel=DIP), True, True, True),
    (st.Average(2, kernel=(-0.5, -0.5)), True, False, True),  # (-1)(-1) > 0 in the plane
    (st.Average(2, kernel=(0.5, -0.5)), False, False, False),  # autocorrelation -1/4 at lag 1
    (st.Average(1, kernel=(1.0, 1.0, -0.25)), False, False, False),  # autocorrelation -1/4 at lag 2
    (st.Pool(moved, 1.0), False, False, False),
    (OwnPooling(), False, False, False),
]
MAXIMA = [st.Max(2), st.Max(1, window=3)]
MODES = ["dilate", "decimate"]


def delta(weight=1.0, d=1, output=0.0):
    """The filter that does nothing, times a number; real or complex."""
    one = torch.ones((1,) * (d + 1), dtype=torch.float64)
    return fr.Filters(weight * one, output=output * one[0])


@pytest.fixture
def network():
    def build(*layers, grid=LINE, **arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", st.AdmissibilityWarning)
            return st.FeatureExtractor([st.Layer(*layer) for layer in layers], grid, **arguments)

    return build


def maps(phi, f, n=1):
    """All maps of layer n, from the definition of the extractor: ``(batch * paths, *shape)``."""
    steps = [step for step in phi.walk(f) if step.path.n == n]
    return torch.cat([step.U for step in steps]), steps[0].grid


def least_correlation(u, grid):
    """Smallest Re <u, T_x u> / ||u||^2 over all shifts and maps, maps that vanish left out."""
    energy = (u.abs() ** 2).sum(grid.axes)
    u = u[energy > 0] / energy[energy > 0].sqrt()[(..., *(None,) * grid.ndim)]
    return float(grid.ifft(grid.fft(u).abs() ** 2).real.min()) if len(u) else 0.0


def signals(grid, complex_input, n=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.complex128 if complex_input else torch.float64
    noise = torch.randn(n, *grid.shape, dtype=dtype, generator=generator)
    spike = torch.zeros(1, *grid.shape, dtype=dtype)
    spike[(0,) * spike.ndim] = 1
    return torch.cat([noise, 0.01 * noise, 30 * noise, spike, -spike])


# --- non-negative correlations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [LINE, SQUARE], ids=["d=1", "d=2"])
@pytest.mark.parametrize("sampling", MODES)
@pytest.mark.parametrize("rho", SIGNLESS + SIGNED + UNKNOWN, ids=repr)
def test_table_of_non_negative(rho, sampling, grid, network):
    for pooling, dilated, line, plane in POOLINGS:
        phi = network((delta(d=grid.ndim), rho, pooling), grid=grid, sampling=sampling)
        keeps = dilated if sampling == "dilate" else (line if grid.ndim == 1 else plane)
        flag = certify.non_negative(phi, 1)
        assert flag.satisfied == (rho in SIGNLESS and keeps), (pooling, flag)
        assert isinstance(flag.value, str) and flag.value in str(flag)
        assert not certify.non_negative(phi, 0).satisfied
    if sampling == "decimate":
        for pooling in MAXIMA:  # maxima of moduli are >= 0 after any map
            assert certify.non_negative(network((delta(d=grid.ndim), rho, pooling), grid=grid, sampling=sampling), 1)\
                .satisfied  # fmt: skip


@pytest.mark.parametrize("complex_input", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("grid", [LINE, SQUARE], ids=["d=1", "d=2"])
@pytest.mark.parametrize("sampling", MODES)
def test_satisfied_survives_attack(sampling, grid, complex_input, network):
    """Through half banks, full banks, real banks and a complex filter that does nothing else."""
    banks = [fr.Wavelets(J=1), fr.Wavelets(J=1, sided="both"), delta(1.0, grid.ndim), delta(0.6 + 0.8j, grid.ndim)]
    poolings = [p for p, *_ in POOLINGS] + (MAXIMA if sampling == "decimate" else [])
    f, tried = signals(grid, complex_input), 0
    for rho in [*SIGNLESS, st.Tanh()]:
        for pooling in poolings:
            for frame in banks:
                phi = network((frame, rho, pooling), grid=grid, sampling=sampling, complex_input=complex_input)
                if not certify.non_negative(phi, 1).satisfied:
                    break
                u, coarse = maps(phi, f)
                assert least_correlation(u, coarse) >= -1e-12, (rho, pooling, frame)
                tried += 1
    assert tried >= 4 * len(SIGNLESS) * 5


@pytest.mark.parametrize("weight", [1.0, 1.0j], ids=["real", "complex"])
@pytest.mark.parametrize("rho", SIGNED, ids=repr)
def test_refused_non_linearities_do_fail(rho, weight, network):
    phi = network((delta(weight), rho))
    tone = 3 * torch.cos(2 * math.pi * torch.arange(16, dtype=torch.float64) / 8 + 0.1)
    assert not certify.non_negative(phi, 1).satisfied
    assert least_correlation(*maps(phi, tone[None])) < -0.01


@pytest.mark.parametrize(
    ("pooling", "sampling", "grid"),
    [(p, mode, g) for p, *keeps in POOLINGS if isinstance(p, st.Average) for mode in MODES for g in (LINE, SQUARE)
     if not keeps[0 if mode == "dilate" else g.ndim]],
    ids=str,
)  # fmt: skip
def test_refused_kernels_do_fail_or_change_sign(pooling, sampling, grid, network):
    """A spike shows the kernel itself, whose correlations or values are negative."""
    phi = network((delta(d=grid.ndim), st.ReLU(), pooling), grid=grid, sampling=sampling)
    u, coarse = maps(phi, signals(grid, False))
    assert min(least_correlation(u, coarse), float(u.min())) < -1e-3


def test_a_kernel_with_a_dip_fails_only_after_sub_sampling(network):
    """A spike leaves (1, -0.1, 1) on the even samples, with the correlation -0.2 at lag 1."""
    spike = torch.zeros(1, 16, dtype=torch.float64)
    spike[0, 8] = 1
    layer = (delta(), st.Modulus(), st.Average(2, kernel=DIP))
    dropped, kept = network(layer, sampling="decimate"), network(layer)
    assert least_correlation(*maps(dropped, spike)) == pytest.approx(-0.2 / 2.01, rel=1e-9)
    assert least_correlation(*maps(kept, spike)) >= -1e-15
    assert "-0.1 of its peak" in certify.non_negative(dropped, 1).value
    assert "autocorrelation" in certify.non_negative(kept, 1).value


@pytest.mark.parametrize(("n", "good"), [(16, True), (17, False)])
def test_taps_wrap_around_the_grid(n, good, network):
    """The tap -0.5 at position 16 meets the tap 1 on 16 samples, and stands alone on 17."""
    layer = (delta(), st.Modulus(), st.Average(2, kernel=(1.0, *(0.0,) * 15, -0.5)))
    assert certify.non_negative(network(layer, grid=st.Grid.line(n)), 1).satisfied == good


def test_only_the_layer_itself_matters(network):
    good, bad = (fr.Wavelets(J=1), st.Modulus()), (fr.Wavelets(J=1), st.Tanh())
    phi = network(bad, good, bad)
    assert [certify.non_negative(phi, n).satisfied for n in range(4)] == [False, False, True, False]
    f = signals(LINE, False)
    assert least_correlation(*maps(phi, f, 2)) >= -1e-12
    assert least_correlation(*maps(phi, f, 3)) < -0.01


# --- kernels given by their frequency response -----------------------------------------------------------------------


def kernels(response, n):
    """Kernel and autocorrelation on n samples by explicit sums over the frequencies -1/2 <= w < 1/2, even response."""
    k = np.arange(n) - n // 2
    waves = np.cos(2 * np.pi * np.outer(np.arange(n), k) / n)
    values = np.array([response(w) for w in k / n])
    return waves @ values / n, waves @ values**2 / n


@pytest.mark.parametrize(
    "response",
    [
        lambda w: np.sinc(8 * w),
        lambda w: np.sinc(5.5 * w),
        lambda w: math.exp(-0.5 * (w / 0.2) ** 2),
        lambda w: float(abs(w) < 0.1),
    ],
    ids=["box of 8 samples", "box of 5.5 samples", "Gaussian of 0.2 cycles per sample", "ideal low-pass"],
)
def test_positive_on_the_line_but_not_on_the_grid(response):
    """The first three are positive on the line, the last one nowhere; the kernels of the grid are explicit sums."""
    n = 64
    grid = st.Grid.line(n)
    kernel, correlation = kernels(response, n)
    relative = -kernel.min() / kernel.max()
    assert relative > 1e-3
    spectrum = torch.tensor([response(w) for w in np.fft.fftfreq(n)], dtype=torch.float64)
    flag = certify.positive_kernel(spectrum, grid, subsampled=True)
    assert not flag.satisfied and f"{-relative:.3g} of its peak" in flag.value
    good = correlation.min() >= -1e-14 * correlation.max()
    assert certify.positive_kernel(spectrum, grid).satisfied == good
    # The same kernel as taps of an averaging pooling.
    for factor in (1, 2):
        pooling = st.Average(factor, kernel=tuple(kernel))
        for sampling in MODES:
            phi = st.FeatureExtractor([st.Layer(delta(0.5), st.Modulus(), pooling)], grid, sampling=sampling)
            expected = good and (sampling == "dilate" or factor == 1)
            assert certify.non_negative(phi, 1).satisfied == expected


def test_a_narrow_gaussian_is_positive_on_the_grid():
    w = torch.fft.fftfreq(64, dtype=torch.float64)
    flag = certify.positive_kernel(torch.exp(-0.5 * (w / 0.03) ** 2), st.Grid.line(64), subsampled=True)
    assert flag.satisfied and flag.value == "kernel >= 0"


@given(some.integers(1, 3), some.integers(0, 10**6), some.booleans())
def test_kernels_with_zeros_pass_and_small_dips_do_not(d, seed, subsampled):
    """Exact zeros survive the rounding of the transform; a dip of 1e-9 is seen unless the autocorrelation covers it."""
    generator = torch.Generator().manual_seed(seed)
    grid = st.Grid.of(torch.randint(2, {1: 300, 2: 20, 3: 8}[d], (d,), generator=generator).tolist())
    kernel = torch.rand(grid.shape, dtype=torch.float64, generator=generator)
    kernel = torch.where(kernel < 0.6, 0.0, kernel)
    kernel[(0,) * d] = 1.0
    assert certify.positive_kernel(torch.fft.fftn(kernel), grid, subsampled=subsampled).satisfied
    kernel[(-1,) * d] = -1e-9
    assert not certify.positive_kernel(torch.fft.fftn(kernel), grid, subsampled=True).satisfied
    assert not certify.positive_kernel(torch.fft.fftn(-1j * kernel), grid, subsampled=True).satisfied
    pair = torch.zeros_like(kernel)
    pair[(0,) * d], pair[(-1,) * d] = 1.0, -1e-9
    assert not certify.positive_kernel(torch.fft.fftn(pair), grid).satisfied


def test_a_kernel_must_fit_its_grid():
    with pytest.raises(ValueError, match="positive_kernel"):
        certify.positive_kernel(torch.ones(8), LINE)


# --- admissibility ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "weight", "value"),
    [(0.6, 0.8, 1.0), (0.6, 0.81, 0.36 + 0.6561), (0.0, 0.5, 0.25), (1.1, 0.0, 1.21), (0.6, 0.8j, 1.0)],
)
def test_admissible_layer_in_closed_form(output, weight, value, network):
    """|chi|^2 + |g|^2 of two multiples of the delta; the layer before and the atom behind do not count."""
    flag = certify.admissible_layer(
        network((delta(2.0), st.Modulus()), (delta(weight, output=output), st.Modulus())), 2
    )
    assert flag.value == pytest.approx(value, rel=1e-14) and flag.satisfied == (value <= 1)


@pytest.mark.parametrize(
    ("rho", "pooling", "constant"),
    [
        (st.LeakyReLU(-1.5), st.NoPooling(), 1.5),
        (st.Sigmoid(), st.NoPooling(), 0.25),
        (st.Modulus(), st.Average(2), 0.5**0.5),
    ],
    ids=repr,
)
def test_admissible_layer_counts_both_constants(rho, pooling, constant, network):
    flag = certify.admissible_layer(network((delta(0.9), rho, pooling), sampling="decimate"), 1)
    assert flag.value == pytest.approx(0.81 * constant**2, rel=1e-12) and flag.satisfied == (0.9 * constant <= 1)


def one_sided(weight):
    """A filter that keeps the positive frequencies below Nyquist only; its even part is weight^2 / 2."""
    spectrum = weight * (torch.fft.fftfreq(16) > 0).double()
    return fr.Filters(spectrum[None], output=torch.zeros(16, dtype=torch.float64), kind="spectra")


def test_even_parts_decide_for_real_maps_only(network):
    """1.2^2 / 2 = 0.72 for real maps, 1.44 for complex ones; an analytic tone then grows by 1.44."""
    real = network((one_sided(1.2), st.Modulus()))
    complex_ = network((one_sided(1.2), st.Modulus()), complex_input=True)
    assert certify.admissible_layer(real, 1).value == pytest.approx(0.72)
    flag = certify.admissible_layer(complex_, 1)
    assert not flag.satisfied and flag.value == pytest.approx(1.44)
    tone = torch.polar(torch.ones(16, dtype=torch.float64), 2 * math.pi * 3 * torch.arange(16).double() / 16)
    assert float(complex_(tone).remainder[1]) == pytest.approx(1.44 * 16)
    for rho, good in [(st.Modulus(), True), (st.ReLU(), False)]:  # split ReLU leaves complex maps
        phi = network((delta(0.6 + 0.8j), rho), (one_sided(1.2), st.Modulus()))
        assert certify.admissible_layer(phi, 2).satisfied == good == certify.real_maps(phi, 1).satisfied


def test_half_banks_are_admissible_and_their_plain_sum_is_not(network):
    phi = network(*[(fr.Wavelets(J=2), st.Modulus())] * 2)
    assert [bank.kind for bank in phi.banks] == ["half"] * 3
    assert all(certify.admissible_layer(phi, n).satisfied for n in (1, 2)) and certify.admissible_output(phi).satisfied
    assert float(phi.banks[0].littlewood_paley().max()) > 1.9


def test_zero_must_stay_zero(network):
    for layer, size in [
        ((delta(0.1), st.Pointwise(torch.sigmoid, 0.25)), 0.5),
        ((delta(0.1), st.Modulus(), st.Pool(lambda u: u + 3, 1.0)), 3.0),
        ((delta(0.1j), st.Pointwise(torch.sigmoid, 0.25)), 0.5**0.5),  # both parts of complex maps
        ((delta(0.1), st.Pointwise(lambda r: r / r, 0.25)), math.nan),
    ]:
        phi = network(layer, (delta(0.1), st.Modulus()))
        flag, zero = certify.admissible_layer(phi, 1), certify.vanishing_layer(phi, 1)
        assert not flag.satisfied and "0 is mapped to" in flag.value
        assert not zero.satisfied and zero.value == pytest.approx(size, nan_ok=True)
        assert certify.admissible_layer(phi, 2).satisfied and certify.vanishing_layer(phi, 2).satisfied


def test_declared_constants_are_named(network):
    flag = certify.admissible_layer(network((delta(0.5), st.Pointwise(torch.sin, 1.0))), 1)
    assert flag.satisfied and flag.value == "0.25, L or R is only declared"


@pytest.mark.parametrize("size", [0.5, 1.0, 1.1])
def test_last_output_atom(size, network):
    flag = certify.admissible_output(network((delta(2.0), st.Modulus()), final=delta(output=size)))
    assert flag.satisfied == (size <= 1) and flag.value == pytest.approx(size**2)


# --- real maps, whole shifts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "layer", "complex_input", "expected"),
    [
        (fr.Wavelets(J=1), (st.Modulus(),), False, (True, True)),
        (fr.Wavelets(J=1), (st.Modulus(),), True, (False, True)),
        (fr.Wavelets(J=1), (st.ReLU(),), False, (True, False)),
        (fr.Wavelets(J=1, sided="real"), (st.ReLU(),), False, (True, True)),
        (fr.Wavelets(J=1, sided="real"), (st.ReLU(),), True, (False, False)),
        (fr.Wavelets(J=1), (st.Tanh(), st.Max(2)), False, (True, True)),
        (delta(1.0j), (st.Tanh(),), False, (True, False)),
    ],
    ids=str,
)
def test_real_maps(frame, layer, complex_input, expected, network):
    phi = network((frame, *layer), sampling="decimate", complex_input=complex_input)
    flags = [certify.real_maps(phi, n) for n in (0, 1)]
    assert tuple(flag.satisfied for flag in flags) == expected
    u, _ = maps(phi, signals(LINE, complex_input))
    assert (not u.is_complex() or float(u.imag.abs().max()) == 0) == expected[1]
    assert all(flag.satisfied or isinstance(flag.value, str) for flag in flags)


@pytest.mark.parametrize(
    ("sampling", "samples", "n", "good"),
    [
        ("dilate", 3, None, True), ("dilate", (-5.0,), None, True), ("dilate", 2.5, None, False),
        ("decimate", 3, None, False), ("decimate", 6, None, True), ("decimate", -12, None, True),
        ("decimate", 4, None, False), ("decimate", 4, 1, True), ("decimate", 3, 1, False), ("decimate", 3, 0, True),
        ("decimate", 0, None, True), ("decimate", 6.5, 0, False), ("dilate", math.nan, None, False),
        ("dilate", math.inf, None, False), ("dilate", torch.tensor([3.0]), None, True),
    ],
)  # fmt: skip
def test_whole_shift(sampling, samples, n, good, network):
    """Factors 2 and 3: after the first layer the arrays move by whole samples for multiples of 2, then of 6."""
    grid = st.Grid.line(24)
    phi = network((delta(), st.Modulus(), st.Subsample(2)), (delta(), st.Modulus(), st.Subsample(3)),
                  sampling=sampling, grid=grid)  # fmt: skip
    flag = certify.whole_shift(phi, samples, n)
    assert flag.satisfied == good and isinstance(flag.value, str)
    if good:  # then the features move with the signal
        n, shift = phi.depth if n is None else n, int(torch.as_tensor(samples).reshape(()))
        f = signals(grid, False)
        step = int(phi.pooling_product(n)) if sampling == "decimate" else 1
        u, v = maps(phi, f, n)[0], maps(phi, torch.roll(f, shift, -1), n)[0]
        assert torch.allclose(torch.roll(u, shift // step, -1), v, rtol=0, atol=1e-12)


def test_shifts_in_the_plane(network):
    phi = network((delta(d=2), st.Modulus()), grid=SQUARE)
    assert certify.whole_shift(phi, (1, -2)).satisfied and not certify.whole_shift(phi, (1, 0.5)).satisfied
    with pytest.raises(ValueError, match="one per axis"):
        certify.whole_shift(phi, 1)


# --- pointwise layers and small Jacobians ----------------------------------------------------------------------------

NONEXPANSIVE = {st.Modulus(), st.ReLU(), st.Tanh(), st.Sigmoid(), st.Identity(), st.LeakyReLU(), st.LeakyReLU(0.0),
                st.LeakyReLU(-0.5), st.ELU(), st.ELU(0.0), st.SoftThreshold(0.1), st.PhaseReLU(0.1)}  # fmt: skip
#: Nothing, a dilation, or a sign: what does not mix positions.
STILL = [st.NoPooling(), st.Subsample(2), st.Subsample(1.5), st.Average(1), st.Average(2, kernel=(-1.0,))]


@pytest.mark.parametrize("sampling", MODES)
@pytest.mark.parametrize("rho", SIGNLESS + SIGNED + UNKNOWN, ids=repr)
def test_table_of_pointwise(rho, sampling, network):
    for pooling in [*STILL, *(p for p, *_ in POOLINGS), *(MAXIMA if sampling == "decimate" else [])]:
        if sampling == "decimate" and pooling.factor == 1.5:
            continue
        good = rho in NONEXPANSIVE and pooling in STILL and (sampling == "dilate" or pooling.factor == 1)
        good &= type(pooling) is not OwnPooling
        phi = network((delta(0.5), st.Modulus()), (delta(0.5), rho, pooling), sampling=sampling)
        flag = certify.pointwise(phi)
        assert flag.satisfied == good, (pooling, flag)
        assert good or flag.value.startswith("layer 2: ")
        if good:  # positions may be permuted before or after
            f, order = signals(LINE, False), torch.randperm(16, generator=torch.Generator().manual_seed(1))
            u, v = (phi.layers[1].pooling(rho(g), LINE, sampling)[0] for g in (f, f[:, order]))
            assert torch.allclose(u[:, order], v, atol=1e-13)


@pytest.mark.parametrize(("rho", "L"), [(st.GELU(), "1.1289"), (st.SiLU(), "1.09984"), (st.ELU(2.0), "2")], ids=repr)
def test_pointwise_says_the_constant(rho, L, network):
    assert f"L = {L}" in certify.pointwise(network((delta(), rho))).value


@pytest.mark.parametrize("d", [1, 2])
def test_small_jacobian_of_a_sine(d):
    r"""tau_1 = a sin(2 pi x_1 / L) has the entry 2 pi a / L, and D is d times that."""
    L = 5.0

    def field(D):
        a = D / d * L / (2 * math.pi)
        return deform.sinusoid((1,) + (0,) * (d - 1), (a,) + (0.0,) * (d - 1), 0.3, extent=(L,) * d)

    for D, good in [(0.0, True), (0.5, True), (0.999, True), (1.0, False), (1.001, False)]:
        flag = certify.small_jacobian(field(D))
        assert flag.satisfied == good and flag.value == pytest.approx(D, rel=1e-9)
    assert not certify.small_jacobian(field(0.6), limit=0.5).satisfied


def test_the_worst_of_a_batch_counts_and_samples_are_not_enough():
    one = deform.sinusoid((1,), (0.1,), 0.0, extent=(2 * math.pi,))
    stacked = deform.TrigonometricField(type(one.polynomial)(torch.stack([one.polynomial.coefficients] * 2),
                                                             one.extent)).scaled(torch.tensor([1.0, 11.0]))  # fmt: skip
    flag = certify.small_jacobian(stacked)
    assert not flag.satisfied and 1.1 <= flag.value <= 1.101
    sampled = certify.small_jacobian(deform.SampledField(torch.zeros(1, 16), LINE))
    assert not sampled.satisfied and sampled.value.startswith("unknown")
    with pytest.raises(TypeError, match="small_jacobian"):
        certify.small_jacobian(0.1)


# --- filters as functions of frequency -------------------------------------------------------------------------------

DELAY = fr.Filters(torch.tensor([[0.0, 1.0]]), output=torch.ones(1))  # |g| = |chi| = 1 on every grid


@pytest.mark.parametrize(
    ("frame", "good"),
    [
        (fr.Wavelets(J=2), True),
        (fr.Wavelets(J=2, sided="real"), True),
        (fr.Wavelets(cutoff=0.11), True),
        (fr.WeylHeisenberg(M=4), True),
        (fr.Scaled(fr.TensorWavelets(J=1), 0.5), True),
        (fr.Filters.example(1), False),
        (DELAY, False),
        (one_sided(1.0), False),
        (fr.Taps.example(1), False),
        (fr.Tightened.example(1), False),  # the channels at Nyquist are renormalised on every grid
        (fr.Morlet(J=1), False),  # periodised beyond Nyquist
        (fr.LogGabor(J=1), False),  # the atoms of finer octaves reach down
    ],
    ids=lambda value: repr(value)[:40],
)
def test_table_of_continuous(frame, good, network):
    for arguments in ({}, {"complex_input": True}, {"sampling": "decimate"}):
        phi = network(*[(frame, st.Modulus())] * 2, **arguments)
        for q in (2, 3):
            flag = certify.continuous(phi, q)
            assert flag.satisfied == good, flag
            assert good or isinstance(flag.value, str)


def test_every_layer_and_the_last_atom_must_be_continuous(network):
    wave, taps = (fr.Wavelets(J=2), st.Modulus(), st.Subsample(2)), (fr.Filters.example(1), st.Modulus())
    assert certify.continuous(network(wave, wave)).satisfied
    assert "layer 2" in certify.continuous(network(wave, taps)).value
    assert "layer 1" in certify.continuous(network(taps, wave)).value
    flag = certify.continuous(network(wave, wave, final=fr.Filters.example(1)))
    assert not flag.satisfied and "last output atom" in flag.value
    # Of the final frame only the output atom is used: here 1 on every grid.
    assert certify.continuous(network(wave, final=DELAY)).satisfied


@pytest.mark.parametrize(("frame", "good"), [(fr.Wavelets(J=2), True), (DELAY, False), (fr.Filters.example(1), False)])
def test_continuous_networks_agree_on_finer_grids(frame, good, network):
    """Linear networks of a signal below half of Nyquist: equal values on the coarse samples, or not."""
    phi = network((frame, st.Identity()))
    assert certify.continuous(phi).satisfied == good
    fine = network((frame, st.Identity()), grid=st.Grid.of((32,), length=16.0), reference=LINE)

    def f(grid):
        x = grid.points()[0] * 2 * math.pi / 16
        return (0.3 + torch.cos(x) + torch.sin(2 * x + 0.4) + torch.cos(3 * x))[None]

    def by_label(net):
        grid = net.grid
        return {net.banks[0].atoms[s.path[0]].label: s.U[0] for s in net.walk(f(grid)) if s.path.n == 1}

    coarse, finer = by_label(phi), by_label(fine)
    same = all(torch.allclose(u, finer[label][::2], atol=1e-12) for label, u in coarse.items())
    extra = all(float(u.abs().max()) < 1e-12 for label, u in finer.items() if label not in coarse)
    assert (same and extra) == good


# --- arguments -------------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_refused(network):
    phi = network((delta(), st.Modulus()))
    for flag, first in [
        (certify.admissible_layer, 1), (certify.vanishing_layer, 1), (certify.non_negative, 0), (certify.real_maps, 0),
    ]:  # fmt: skip
        for n in (first - 1, 2, 0.5, None, True):
            with pytest.raises(ValueError, match="expected a layer"):
                flag(phi, n)
        with pytest.raises(TypeError, match="FeatureExtractor"):
            flag("network", first)
    for flag in (certify.admissible_output, certify.pointwise, certify.continuous):
        with pytest.raises(TypeError, match="FeatureExtractor"):
            flag(None)
    with pytest.raises(TypeError, match="FeatureExtractor"):
        certify.whole_shift(None, 1)
    for q in (1, 2.5, 0, True):
        with pytest.raises(ValueError, match="q="):
            certify.continuous(phi, q)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flags_do_not_depend_on_the_precision(dtype, network):
    phi = network((fr.Wavelets(J=2), st.Modulus(), st.Average(2)), dtype=dtype)
    assert certify.non_negative(phi, 1).satisfied and certify.admissible_layer(phi, 1).satisfied
    assert certify.continuous(phi).satisfied
