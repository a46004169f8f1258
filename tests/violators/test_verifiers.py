"""Every verifier accepts, rejects and abstains; its numbers can be checked by hand and do not depend on the machine."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies

import scatter_theory as st
from scatter_theory.verify import Effort

HOLDS, VIOLATED = st.Outcome.HOLDS, st.Outcome.VIOLATED
INAPPLICABLE, INCONCLUSIVE, VACUOUS = st.Outcome.INAPPLICABLE, st.Outcome.INCONCLUSIVE, st.Outcome.VACUOUS
LINE = st.Grid.line(32)
QUICK = Effort(random=4, structured=24, steps=0, restarts=0)
CLIMB = Effort(random=4, structured=16, steps=6, restarts=1)
NOTHING = Effort(0, 0, 0, 0)
FORMS = ("bound", "balance", "remainder", "getter", "rate")
BOUNDS = ("theorem", "multiplier", "posteriori", "full_covariance")


def extractor(grid=LINE, frame=None, rho=None, pool=None, depth=2, **kwargs):
    frame = frame if frame is not None else st.frames.Wavelets(J=2)
    layer = st.Layer(frame, rho if rho is not None else st.Modulus(), pool if pool is not None else st.Subsample(2))
    return st.FeatureExtractor([layer] * depth, grid, **kwargs)


#: Every verifier of an extractor, by name.
OF_EXTRACTOR = {
    "lipschitz": st.verify.lipschitz,
    "lipschitz, theorem": lambda *a, **k: st.verify.lipschitz(*a, bound="theorem", **k),
    "covariance": st.verify.covariance,
    **{f"energy, {form}": lambda *a, form=form, **k: st.verify.energy(*a, form=form, **k) for form in FORMS},
    **{f"translation, {b}": lambda *a, b=b, **k: st.verify.translation(*a, bound=b, **k) for b in BOUNDS},
}
EACH = pytest.mark.parametrize("name", OF_EXTRACTOR)


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def no_pooling(**kwargs):
    return extractor(pool=st.NoPooling(), **kwargs)


# --- accepted


@EACH
def test_accepts_a_healthy_network(name):
    phi = no_pooling() if name == "energy, rate" else extractor()
    check = OF_EXTRACTOR[name](phi, noise(3, 32), effort=CLIMB, generator=0)
    assert check.outcome is HOLDS
    assert check.holds
    assert set(check.series) and check.x.shape == check.measured.shape == check.bound.shape
    assert check.provenance.seed == 0


GRIDS = [st.Grid.line(15), st.Grid.of((8, 10)), st.Grid.of((8, 8, 8)), st.Grid.line(24, sample_rate=360.0, unit="s")]


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: str(g.shape))
@pytest.mark.parametrize("complex_input", [False, True])
def test_accepts_in_all_dimensions_real_and_complex(grid, complex_input):
    depth = 1 if grid.ndim == 3 else 2
    phi = extractor(grid, frame=st.frames.Wavelets(J=1), depth=depth, complex_input=complex_input)
    signals = noise(2, *grid.shape)
    if complex_input:
        signals = torch.complex(signals, noise(2, *grid.shape, seed=1))
    for name, verify in OF_EXTRACTOR.items():
        check = verify(phi, signals, effort=QUICK, generator=0)
        assert check.outcome in (HOLDS, VACUOUS, INAPPLICABLE if name == "energy, rate" else HOLDS), (name, check)


@pytest.mark.parametrize("pool", [st.Max(2), st.Average(2), st.Subsample(2)], ids=repr)
@pytest.mark.parametrize("grid", [LINE, st.Grid.of((8, 12))], ids=["1-D", "2-D"])
def test_accepts_in_mode_decimate(pool, grid):
    phi = extractor(grid, pool=pool, depth=2, sampling="decimate")
    expected = dict.fromkeys(OF_EXTRACTOR, HOLDS)
    expected |= dict.fromkeys(("energy, balance", "energy, getter", "energy, rate"), INAPPLICABLE)
    for name, verify in OF_EXTRACTOR.items():
        assert verify(phi, effort=QUICK, generator=0).outcome in (expected[name], VACUOUS), name


@pytest.mark.parametrize("rho", [st.ReLU(), st.Tanh(), st.Sigmoid(), st.SoftThreshold(), st.PhaseReLU()], ids=repr)
def test_accepts_other_nonlinearities(rho):
    phi = extractor(rho=rho, frame=st.frames.Wavelets(J=2, sided="both"))
    expected = dict.fromkeys(OF_EXTRACTOR, HOLDS)
    expected |= dict.fromkeys(("energy, balance", "energy, getter", "energy, rate"), INAPPLICABLE)
    for name, verify in OF_EXTRACTOR.items():
        assert verify(phi, effort=QUICK, generator=0).outcome is expected[name], name


def test_a_float32_extractor_is_measured_in_float64():
    single = extractor(dtype=torch.float32)
    check = st.verify.energy(single, noise(3, 32), form="balance", effort=NOTHING)
    assert check.outcome is HOLDS
    assert check.measured.max() < 1e-13
    assert single.dtype == torch.float32


# --- rejected


class Doubled(st.Subsample):
    """Twice what it declares."""

    def map(self, x, grid, sampling):
        return 2 * super().map(x, grid, sampling)


class Positional(st.Subsample):
    """Weighs samples by their position, declared to commute with translations."""

    def map(self, x, grid, sampling):
        return super().map(x * torch.linspace(0.1, 1, x.shape[-1], dtype=x.dtype), grid, sampling)


REJECTED = {name: Doubled(2) for name in OF_EXTRACTOR} | {"covariance": Positional(2)}


@EACH
def test_rejects_a_pooling_that_does_not_keep_its_word(name):
    """Each verifier sees a network whose pooling doubles its maps (or depends on the position)."""
    pool = Doubled(1) if name == "energy, rate" else REJECTED[name]
    phi = extractor(pool=pool)
    if name in ("translation, multiplier", "translation, posteriori"):
        # These bounds take the maps as they are; only covariance can be broken.
        phi = extractor(pool=Positional(2))
    check = OF_EXTRACTOR[name](phi, noise(3, 32), effort=CLIMB, generator=0)
    assert check.outcome is VIOLATED
    assert check.worst > 1


def test_rejects_frame_bounds_that_are_too_narrow():
    frame = st.frames.MexicanHat(J=2)
    honest = frame.on(LINE).bounds()
    for A, B in ((honest.A.value * 1.01, honest.B.value), (honest.A.value, honest.B.value * 0.99)):
        bounds = st.frames.FrameBounds(st.Constant(A, "wrong", "derived"), st.Constant(B, "wrong", "derived"))
        assert st.verify.frame(frame, LINE, declared=bounds, effort=QUICK, generator=0).outcome is VIOLATED
    assert st.verify.frame(frame, LINE, effort=QUICK, generator=0).outcome is HOLDS


def test_the_suite_holds_a_tight_frame_against_one():
    """Not against the bounds that its own atoms happen to have."""

    class Loose(st.frames.Wavelets):
        def on(self, grid, **kwargs):
            return super().on(grid, **kwargs).scaled(1.1)

    verdict = st.verify.suite(extractor(frame=Loose(J=2)), claims=["frame"], effort=QUICK, generator=0)
    assert verdict.violated == ("frame, layer 1", "frame, layer 2")


def test_rejects_by_the_smallest_excess_above_rounding():
    """A bound that is wrong by 1e-8 is found where it is attained, whatever the size of the signal."""
    phi = extractor(depth=1)
    honest = phi.certified_lipschitz()
    phi.certified_lipschitz = lambda: st.Constant(honest.value * (1 - 1e-8), "wrong", "grid")
    for size in (1e-30, 1.0, 1e30):
        x = size * torch.ones(1, 32, dtype=torch.float64)
        assert st.verify.lipschitz(phi, x, effort=NOTHING).outcome is VIOLATED


@pytest.mark.parametrize("L", [0.0, 0.999])
def test_rejects_declared_constants_below_the_truth(L):
    assert st.verify.nonlinearity(st.Pointwise(torch.relu, L), generator=0).outcome is VIOLATED
    assert st.verify.pooling(st.Pool(lambda x: x, L), LINE, generator=0).outcome is VIOLATED


# --- inapplicable, inconclusive, vacuous


@EACH
def test_makes_no_statement_where_a_hypothesis_fails(name):
    """Signal-dependent paths for distances, maps that do not vanish at 0 for energies."""
    if name.startswith("energy"):
        phi = extractor(rho=st.Pointwise(lambda x: 0.5 * x + 0.1, 0.5), frame=st.frames.Wavelets(J=2, sided="real"))
    else:
        phi = extractor(paths=st.EnergyThreshold(0.01))
    check = OF_EXTRACTOR[name](phi, noise(3, 32), effort=QUICK, generator=0)
    assert check.outcome is INAPPLICABLE
    assert any(not h.satisfied for h in check.hypotheses)


def test_pooling_that_does_not_vanish_at_zero_is_seen():
    phi = extractor(pool=st.Pool(lambda x: x + 1.0, 1.0), rho=st.Modulus())
    assert st.verify.energy(phi, effort=QUICK, generator=0).outcome is INAPPLICABLE


def test_energy_forms_with_signal_dependent_paths():
    """Energies need no fixed path set: what is dropped is booked."""
    phi = extractor(paths=st.MaximumCount(2))
    assert st.verify.energy(phi, noise(4, 32), form="balance", effort=QUICK, generator=0).outcome is HOLDS
    assert st.verify.energy(phi, noise(4, 32), form="bound", effort=QUICK, generator=0).outcome is HOLDS


@EACH
def test_without_data_nothing_is_claimed(name):
    phi = no_pooling() if name == "energy, rate" else extractor()
    for signals in (None, torch.zeros(0, 32, dtype=torch.float64), torch.zeros(2, 32, dtype=torch.float64)):
        check = OF_EXTRACTOR[name](phi, signals, effort=NOTHING)
        assert check.outcome is INCONCLUSIVE
        assert any("No data" in note for note in check.notes)
        assert math.isnan(check.worst) and check.measured.size == 0
        check.to_json()


def test_modules_without_data():
    checks = [
        st.verify.frame(st.frames.Wavelets(J=2), LINE, effort=NOTHING),
        st.verify.nonlinearity(st.ReLU(), effort=NOTHING),
        st.verify.pooling(st.Average(2), LINE, effort=NOTHING),
    ]
    assert all(check.outcome is INCONCLUSIVE for check in checks)
    verdict = st.verify.suite(extractor(), claims=["frame", "lipschitz"], effort=NOTHING)
    assert verdict.exit_code == 3


def test_declared_constants_prove_nothing():
    phi = extractor(pool=st.Pool(lambda x: 0.5 * x, 0.5, factor=1))
    for name in ("lipschitz", "translation, theorem", "energy, bound"):
        assert OF_EXTRACTOR[name](phi, effort=QUICK, generator=0).outcome is INCONCLUSIVE


def test_a_bound_above_the_trivial_limit_is_vacuous():
    """Half a period at the frequency of the low-pass: 2 pi t K exceeds 2 in both layers without pooling."""
    phi = no_pooling()
    assert st.verify.translation(phi, shifts=[16], effort=QUICK, generator=0).outcome is VACUOUS
    multiplier = st.verify.translation(phi, shifts=[16], bound="multiplier", effort=QUICK, generator=0)
    assert multiplier.outcome in (HOLDS, VACUOUS)


# --- input


@EACH
def test_refuses_bad_signals(name):
    phi, verify = extractor(), OF_EXTRACTOR[name]
    bad = noise(2, 32)
    bad[1, 3] = torch.nan
    with pytest.raises(ValueError, match=r"entry \(1, 3\)"):
        verify(phi, bad, effort=NOTHING)
    with pytest.raises(ValueError, match="shape"):
        verify(phi, noise(2, 31), effort=NOTHING)
    with pytest.raises(TypeError, match="dtype"):
        verify(phi, torch.ones(2, 32, dtype=torch.int64), effort=NOTHING)
    with pytest.raises(ValueError, match="complex"):
        verify(phi, torch.ones(32, dtype=torch.complex128), effort=NOTHING)
    with pytest.raises(ValueError, match="float64"):
        verify(phi, 1e-200 * noise(2, 32), effort=NOTHING)
    with pytest.raises(TypeError, match="FeatureExtractor"):
        verify("phi", None)


@EACH
def test_zero_signals_are_skipped(name):
    phi, verify = no_pooling() if name == "energy, rate" else extractor(), OF_EXTRACTOR[name]
    f = noise(1, 32)
    with_zero = verify(phi, torch.cat([0 * f, f, 0 * f]), effort=NOTHING)
    without = verify(phi, f, effort=NOTHING)
    assert with_zero.outcome is HOLDS
    assert np.array_equal(with_zero.measured, without.measured)


@EACH
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_scale_invariance(name, size):
    """Homogeneous networks: the same numbers for a signal of any amplitude, and no absolute tolerance hides any."""
    phi, verify = no_pooling() if name == "energy, rate" else extractor(), OF_EXTRACTOR[name]
    f = noise(3, 32)
    unit, other = verify(phi, f, effort=NOTHING), verify(phi, size * f, effort=NOTHING)
    assert other.outcome is unit.outcome is HOLDS
    assert other.measured == pytest.approx(unit.measured, rel=1e-12, abs=1e-14)
    assert other.bound == pytest.approx(unit.bound, rel=1e-12)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_violations_survive_any_scale(size):
    for name in ("covariance", "energy, balance"):
        phi = extractor(pool=Positional(2) if name == "covariance" else Doubled(2))
        assert OF_EXTRACTOR[name](phi, size * noise(3, 32), effort=NOTHING).outcome is VIOLATED


@EACH
def test_numpy_strided_and_read_only_signals(name):
    phi, verify = no_pooling() if name == "energy, rate" else extractor(), OF_EXTRACTOR[name]
    wide = noise(32, 6).numpy()
    view = wide.T[::2]
    before = wide.copy()
    assert np.array_equal(
        verify(phi, view, effort=NOTHING).measured, verify(phi, torch.tensor(view.copy()), effort=NOTHING).measured
    )
    assert np.array_equal(wide, before)


# --- repeatability


@EACH
def test_same_seed_same_result_for_any_number_of_threads(name):
    phi, verify = no_pooling() if name == "energy, rate" else extractor(), OF_EXTRACTOR[name]
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    results = []
    try:
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            results.append(verify(phi, noise(2, 32), effort=CLIMB, generator=7))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    first, second, third = results
    assert np.array_equal(first.measured, third.measured)
    assert first.measured == pytest.approx(second.measured, rel=1e-9, abs=1e-14)
    assert first.outcome is second.outcome
    other = verify(phi, effort=CLIMB, generator=torch.Generator().manual_seed(7))
    assert other.provenance.seed == 7


def test_a_fresh_seed_is_recorded_and_reproduces():
    phi = extractor()
    first = st.verify.lipschitz(phi, effort=CLIMB)
    again = st.verify.lipschitz(phi, effort=CLIMB, generator=first.provenance.seed)
    assert np.array_equal(first.measured, again.measured)


def test_witness_of_the_lipschitz_constant_reproduces_the_ratio():
    phi = extractor()
    check = st.verify.lipschitz(phi, noise(2, 32), effort=CLIMB, generator=0)
    f, h = (torch.tensor(check.witness[name]) for name in ("f", "h"))
    gap = phi(f).minus(phi(h)).energy("layer")
    energy = gap.sum() if check.witness["output"] == "all layers" else gap[int(check.witness["output"][-1])]
    cell = check.series.index(check.witness["output"])
    ratio = float(energy.sqrt() / phi.grid.norm(f - h)) / check.bound[cell]
    assert ratio == pytest.approx(check.worst, rel=1e-9)


@pytest.mark.parametrize("shifts", [[1, 3], [0.3]])
def test_witness_of_a_translation_reproduces_the_ratio(shifts):
    phi = extractor()
    check = st.verify.translation(phi, shifts=shifts, effort=CLIMB, generator=0)
    f, (t,), n = torch.tensor(check.witness["f"]), check.witness["shift_in_samples"], check.witness["layer"]
    moved = phi.grid.ifft(phi.grid.fft(f) * phi.grid.phase([t])).real
    measured = float(phi(moved).distance(phi(f), "layer")[n] / phi.grid.norm(f))
    K = phi.banks[n].decay_constant().value
    assert measured / (2 * math.pi * t * K / 2**n) == pytest.approx(check.worst, rel=1e-9)
    assert float(np.abs(np.fft.fft(check.witness["f"])[16])) < 1e-9 or shifts != [0.3]


def test_witness_of_an_energy_and_of_a_frame_bound():
    phi = extractor()
    check = st.verify.energy(phi, effort=CLIMB, generator=0)
    f = torch.tensor(check.witness["f"])
    assert float(phi(f).energy() / phi.grid.energy(f)) == pytest.approx(check.measured[0], rel=1e-12)
    bank = st.frames.MexicanHat(J=2).on(LINE)
    check = st.verify.frame(bank, effort=QUICK, generator=0)
    f = torch.tensor(check.witness["f"])
    quotient = float(LINE.energy(bank.analyse(f)).sum() / LINE.energy(f))
    assert max(quotient / check.bound[0], check.measured[1] / quotient) == pytest.approx(check.worst, rel=1e-12)


@EACH
def test_progress_is_told_and_may_interrupt(name):
    phi, verify = no_pooling() if name == "energy, rate" else extractor(), OF_EXTRACTOR[name]
    seen = []
    verify(phi, effort=CLIMB, generator=0, progress=lambda *args: seen.append(args))
    if name != "energy, balance":
        assert seen and seen[-1][0] == seen[-1][1] and isinstance(seen[-1][2], str)

    def stop(done, total, text):
        raise KeyboardInterrupt

    if name != "energy, balance":
        with pytest.raises(KeyboardInterrupt):
            verify(phi, effort=CLIMB, generator=0, progress=stop)
    assert torch.is_grad_enabled()
    assert not any(buffer.requires_grad for buffer in phi.buffers())
    again = verify(phi, effort=QUICK, generator=0)
    assert np.array_equal(again.measured, verify(phi, effort=QUICK, generator=0).measured)


# --- fractional shifts


@settings(max_examples=12)
@given(
    n=strategies.integers(9, 40),
    seed=strategies.integers(0, 2**16),
    t=strategies.floats(0.01, 3.0),
    S=strategies.sampled_from([1, 1.5, 2, 3]),
    rho=strategies.sampled_from([st.Modulus(), st.ReLU(), st.Tanh()]),
)
def test_alias_budget_contains_the_covariance_defect(n, seed, t, S, rho):
    """The proven sum of one dimension, for random networks, lengths, shifts and dilations."""
    phi = extractor(st.Grid.line(n), st.frames.Wavelets(J=1, sided="both"), rho=rho, pool=st.Subsample(S))
    effort = Effort(random=6, structured=0, steps=0, restarts=0)
    check = st.verify.translation(phi, shifts=[t + 1e-3], bound="multiplier", effort=effort, generator=seed)
    defect, budget = check.extra["covariance defect"], check.extra["alias budget"]
    if float(t + 1e-3).is_integer():
        return
    assert np.all(defect <= budget * (1 + 1e-9) + 1e-12)
    assert defect[0] == pytest.approx(0, abs=1e-12)
    # Up to the defect the statement is a theorem, so that nothing is ever refuted.
    assert np.all(check.measured - defect <= check.bound * (1 + 1e-9) + 1e-12)
    assert check.outcome is not VIOLATED


def test_alias_budget_by_hand():
    """epsilon_k = L R h_k || d(U * g)/dx ||, summed over atoms and paths, with the derivative taken bin by bin."""
    grid = st.Grid.line(21, length=3.0)
    phi = extractor(grid, st.frames.Wavelets(cutoff=1.0, sided="both"), rho=st.Sigmoid(), pool=st.Subsample(2))
    tone = torch.cos(2 * math.pi * 4 * torch.arange(21, dtype=torch.float64) / 21)
    check = st.verify.translation(phi, tone, shifts=[0.5], bound="multiplier", effort=NOTHING)
    terms = []
    for k, maps in enumerate(([tone], [phi.propagate(tone, (i,)) for i in range(len(phi.banks[0]))])):
        bank, total = phi.banks[k], 0.0
        for U in maps:
            u = torch.fft.ifft(torch.fft.fft(U) * bank.spectra)
            slope = torch.fft.ifft(2j * math.pi * bank.grid.frequencies()[0] * torch.fft.fft(u))
            total += float(bank.grid.energy(slope).sum())
        terms.append(0.25 * 3.0 / 21 / 2**k * math.sqrt(total))
    expected = np.array([0.0, terms[0], terms[0] + terms[1]]) / float(grid.norm(tone))
    assert check.extra["alias budget"] == pytest.approx(expected, rel=1e-10)


def test_fractional_shifts_of_a_sampled_modulus_end_inconclusive_and_fall_under_refinement():
    """At a tenth of a sample an ascent finds more than the bound; the same signal on finer grids stays below."""
    phi = extractor(st.Grid.line(64), st.frames.Wavelets(J=3))
    effort = Effort(random=8, structured=48, steps=60, restarts=2)
    check = st.verify.translation(phi, shifts=[0.1], effort=effort, generator=0)
    assert check.outcome is INCONCLUSIVE
    assert check.worst > 1
    coarse, middle, fine = check.witness["refinement"]
    assert coarse > middle > fine
    assert fine < check.bound[int(np.argmax(check.ratio))]
    assert "Worst fractional case" in check.notes[0]


def test_fractional_shifts_hold_where_nothing_aliases():
    """A tone inside the low-pass and the first modulus of an analytic tone are band-limited."""
    phi = extractor(st.Grid.line(33))
    tone = torch.cos(2 * math.pi * torch.arange(33, dtype=torch.float64) / 33)
    check = st.verify.translation(phi, 1 + 0.1 * tone, shifts=[0.4], effort=NOTHING)
    assert check.outcome in (HOLDS, INCONCLUSIVE)
    assert check.measured[0] <= check.bound[0]


def test_fractional_shifts_in_two_dimensions_use_the_measured_defect():
    phi = extractor(st.Grid.of((12, 9)), st.frames.Wavelets(J=1), depth=1)
    check = st.verify.translation(phi, shifts=[(0.3, 0.5)], effort=QUICK, generator=0)
    assert check.outcome in (HOLDS, INCONCLUSIVE)
    assert np.all(np.isinf(check.extra["alias budget"][1:]))
    assert np.all(check.measured - check.discretisation <= check.bound * (1 + 1e-9))


def test_filters_without_a_finer_version_have_no_trend():
    bank = st.frames.Wavelets(J=2, sided="both").on(LINE)
    frame = st.frames.Filters(bank.spectra, output=bank.output, kind="spectra")
    check = st.verify.translation(extractor(frame=frame), shifts=[0.5], effort=QUICK, generator=0)
    assert "refinement" not in check.witness
    assert "no refinement trend" in check.notes[0]
    taps = st.verify.translation(extractor(frame=st.frames.Taps("haar", 2)), shifts=[0.5], effort=QUICK, generator=0)
    assert "refinement" not in taps.witness


# --- formulas by hand


def test_full_covariance_is_exact_without_pooling_and_needs_the_factor_with_it():
    assert (
        st.verify.translation(no_pooling(), bound="full_covariance", effort=QUICK, generator=0).measured.max() < 1e-14
    )
    phi = extractor()
    check = st.verify.translation(phi, shifts=[3], bound="full_covariance", effort=QUICK, generator=0)
    for n in range(3):
        K = phi.banks[n].decay_constant().value
        assert check.bound[n] == pytest.approx(2 * math.pi * 3 * K * (1 - 0.5**n), rel=1e-12, abs=1e-15)
    assert check.measured[1] > 0.05


@pytest.mark.parametrize("S", [1.5, 2, 3])
def test_full_covariance_with_nyquist_content(S):
    """The layer's shift need not be a whole number of its samples; a single exponent at Nyquist is consistent."""
    phi = extractor(pool=st.Subsample(S))
    spike = torch.zeros(1, 32, dtype=torch.float64)
    spike[0, 0] = 1
    alternating = torch.ones(1, 32, dtype=torch.float64)
    alternating[0, 1::2] = -1
    check = st.verify.translation(
        phi, torch.cat([spike, alternating]), shifts=[1, 2], bound="full_covariance", effort=NOTHING
    )
    assert check.outcome is HOLDS


def test_posteriori_and_multiplier_by_hand():
    phi = extractor()
    f = noise(32, seed=3)
    check = st.verify.translation(phi, f, shifts=[2], bound="posteriori", effort=NOTHING)
    features = phi(f)
    for n, layer in enumerate(features):
        xi = layer.grid.frequencies()[0]
        s = 2 / 2**n
        spectrum = torch.fft.fft(layer.values)
        # ||u||^2 = (h / N) sum |U|^2
        energy = (xi**2 * spectrum.abs() ** 2).sum() * layer.grid.spacing[0] / 32
        slope = 2 * math.pi * s * math.sqrt(float(energy)) / float(phi.grid.norm(f))
        assert check.bound[n] == pytest.approx(slope, rel=1e-12)
        m = float((2 * torch.sin(math.pi * s * xi).abs() * phi.banks[n].output.abs()).max())
        W = float(features.remainder[n].sqrt() / phi.grid.norm(f))
        assert check.extra["multiplier bound"][n] == pytest.approx(m * W, rel=1e-12)
    assert np.all(check.measured <= check.bound)


def test_posteriori_and_multiplier_need_no_admissibility():
    phi = extractor(frame=st.frames.Wavelets(J=2).scaled(2.0))
    for bound, expected in (("theorem", INAPPLICABLE), ("multiplier", HOLDS), ("posteriori", HOLDS)):
        assert st.verify.translation(phi, shifts=[1], bound=bound, effort=QUICK, generator=0).outcome is expected


def test_getter_uses_the_supports_of_the_layers_that_made_the_maps():
    """A wide first layer and single-bin filters in the second: the factor of layer 1 bounds W_2, not layer 2's."""
    single = torch.eye(32, dtype=torch.float64)
    narrow = st.frames.Filters(single[1:], output=single[0], kind="spectra")
    wide = st.frames.Wavelets(J=1, sided="both")
    phi = st.FeatureExtractor([st.Layer(wide), st.Layer(narrow), st.Layer(narrow)], LINE)
    check = st.verify.energy(phi, noise(4, 32), form="getter", effort=QUICK, generator=0)
    assert check.outcome is HOLDS
    widest = int(phi.banks[0].supports().max())
    f = torch.tensor(check.witness["f"])
    high = 1 - float(phi(f).energy("layer")[0] / phi.grid.energy(f))
    assert check.constants["largest support, layer 2"].value == 1
    assert high >= 0
    one = st.verify.energy(phi, f, form="getter", effort=NOTHING)
    assert one.bound == pytest.approx([high, high * (1 - 1 / widest), 0.0], abs=1e-12)
    # Moduli of single frequencies are constant: nothing reaches layer 3.
    assert one.measured[2] == pytest.approx(0, abs=1e-14)


def test_getter_holds_when_layers_are_dilated():
    for S in (1, 2, 3.5):
        phi = extractor(st.Grid.line(31), pool=st.Subsample(S), depth=3, frame=st.frames.Wavelets(J=1))
        assert st.verify.energy(phi, form="getter", effort=CLIMB, generator=0).outcome is HOLDS


def test_rate_of_single_frequencies_and_its_range():
    """Filters of one bin each: a is infinite and W_2 = 0. Wide ones: no claim beyond delta a^(n-2) = N/2."""
    single = torch.eye(16, dtype=torch.float64)
    frame = st.frames.Filters(single[1:], output=single[0], kind="spectra")
    phi = no_pooling(grid=st.Grid.line(16), frame=frame)
    check = st.verify.energy(phi, form="rate", effort=QUICK, generator=0)
    assert check.outcome is HOLDS
    assert check.constants["a"].value == math.inf
    assert check.bound[1] == 0 and check.measured[1] < 1e-14
    assert "90 % with N = 1," in check.notes[-1]

    phi = no_pooling(grid=st.Grid.line(64), frame=st.frames.Wavelets(J=3), depth=4)
    check = st.verify.energy(phi, form="rate", effort=CLIMB, generator=0)
    a, delta = check.constants["a"].value, check.constants["delta"].value
    expected = [n for n in range(1, 5) if delta * a ** (n - 2) <= 32]
    assert check.x.tolist() == expected
    assert check.outcome is HOLDS
    assert any("Beyond layer" in note for note in check.notes) == (len(expected) < 4)
    assert any("90 % with N" in note for note in check.notes)


def two_sided_in_layer(which):
    """Two layers; one of them has a filter that reaches both sides of the frequency axis."""
    bank = st.frames.Wavelets(J=2, sided="both").on(LINE)
    one_sided = st.frames.Filters(bank.spectra, output=bank.output, kind="spectra")
    real = st.frames.Wavelets(J=2, sided="real")
    frames = [real if n == which else one_sided for n in range(2)]
    return st.FeatureExtractor([st.Layer(frame) for frame in frames], LINE)


@pytest.mark.parametrize("which", [0, 1])
def test_rate_looks_at_every_layer(which):
    check = st.verify.energy(two_sided_in_layer(which), form="rate", effort=QUICK, generator=0)
    assert check.outcome is INAPPLICABLE
    assert [h.text for h in check.hypotheses if not h.satisfied] == [
        "every propagating atom is one-sided (analytic)",
        "gap at 0: no propagating atom holds the zero frequency",
    ]
    assert st.verify.energy(two_sided_in_layer(None), form="rate", effort=QUICK, generator=0).outcome is HOLDS


def test_rate_lets_the_nyquist_bin_belong_to_either_side():
    """On an even line both members of the finest pair hold the Nyquist bin; they count as one-sided."""
    bank = st.frames.Wavelets(J=2, sided="both").on(LINE)
    assert int((bank.spectra[:, 16] != 0).sum()) == 2
    check = st.verify.energy(no_pooling(frame=st.frames.Wavelets(J=2, sided="both")), form="rate", effort=QUICK)
    assert check.outcome is HOLDS


def test_remainder_by_hand():
    phi = extractor(frame=st.frames.Wavelets(J=2).scaled(1.5))
    f = noise(32, seed=4)
    check = st.verify.energy(phi, f, form="remainder", effort=NOTHING)
    W = [float(w) for w in phi(f).remainder]
    assert check.measured == pytest.approx([W[1] / W[0], W[2] / W[1]], rel=1e-9)
    assert check.bound == pytest.approx([2.25, 2.25], rel=1e-12)


def test_local_lipschitz_constants_by_hand():
    """Two layers of gains 2 and 1/4 (scaled frames, shifted sigmoid): Lambda_n = sup|chi_n| prod L (sup G)^(1/2)."""
    wide = st.frames.Wavelets(J=2, sided="both").scaled(2.0)
    phi = extractor(frame=wide, rho=st.Sigmoid())
    check = st.verify.lipschitz(phi, effort=QUICK, generator=0)
    assert check.bound[1:] == pytest.approx([2.0, 2.0 * 0.5, 2.0 * 0.25], rel=1e-12)
    assert check.outcome is HOLDS


def test_admissibility_reports_both_conditions():
    """Shifted sigmoid, propagating atoms x 4: plain B = 16, but the layer contracts: the refined condition holds."""
    bank = st.frames.Wavelets(J=2, sided="both").on(LINE)
    frame = st.frames.Filters(4 * bank.spectra, output=bank.output, kind="spectra")
    check = st.verify.admissibility(extractor(frame=frame, rho=st.Sigmoid(), pool=st.NoPooling()))
    assert check.outcome is HOLDS
    assert check.measured == pytest.approx([1, 1, 1], abs=1e-12)
    assert check.extra["plain"][:2] == pytest.approx([16, 16], rel=1e-12)
    assert "refined" in check.notes[0]


def test_half_banks_are_judged_by_the_even_part_where_maps_are_real():
    """c_0 = 1 for real signals although the plain Littlewood-Paley sum of the half bank reaches 2."""
    phi = extractor(frame=st.frames.Wavelets(J=2, sided="half"))
    assert float(phi.banks[0].littlewood_paley().max()) > 1.9
    check = st.verify.lipschitz(phi, effort=CLIMB, generator=0)
    assert check.outcome is HOLDS
    assert check.bound[0] == pytest.approx(1, abs=1e-12)


def test_suite_runs_every_claim():
    verdict = st.verify.suite(extractor(), noise(2, 32), effort=QUICK, generator=0)
    assert verdict.violated == ()
    assert verdict.exit_code == 0
    kinds = {name.split(",")[0].split(" ")[0] for name in verdict}
    assert kinds == set(st.verify.CLAIMS)
    with pytest.raises(ValueError, match="unknown"):
        st.verify.suite(extractor(), claims=["nothing"])


def test_suite_can_be_interrupted():
    def stop(done, total, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        st.verify.suite(extractor(), claims=["frame"], effort=QUICK, progress=stop)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda phi: st.verify.lipschitz(phi, bound="sharp"), "bound=..."),
        (lambda phi: st.verify.translation(phi, bound="sharpest"), "bound=..."),
        (lambda phi: st.verify.energy(phi, form="sharp"), "form=..."),
        (lambda phi: st.verify.translation(phi, shifts=[0]), "shifts=..."),
        (lambda phi: st.verify.translation(phi, shifts=[]), "shifts=..."),
        (lambda phi: st.verify.translation(phi, shifts=[math.nan]), "shifts=..."),
        (lambda phi: st.verify.covariance(phi, shifts=[0.5]), "shifts=..."),
        (lambda phi: st.verify.covariance(phi, shifts=[]), "shifts=..."),
        (lambda phi: Effort(random=-1), "Effort"),
        (lambda phi: Effort(steps=1.5), "Effort"),
    ],
)
def test_wrong_arguments_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call(extractor(depth=1))


def test_shifts_may_be_rows_of_an_array():
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1))], st.Grid.square(8))
    f, rows = torch.randn(1, 8, 8, dtype=torch.float64), [(1, 2), (0, 3)]
    for verifier in (st.verify.translation, st.verify.covariance):
        found = [verifier(phi, f, shifts=s, effort=QUICK, generator=0).measured for s in (rows, np.array(rows))]
        assert np.array_equal(*found)
