"""The deformation check: what it accepts, rejects, calls inapplicable or vacuous, and that it can be repeated."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory import Outcome, deform, signals
from scatter_theory.trigonometric import Polynomial
from scatter_theory.verify import Effort

LINE = st.Grid.line(64)
QUICK = Effort(4, 32, 0, 0)
CLIMB = Effort(8, 64, 30, 2)


def extractor(grid=LINE, frame=None, depth=2, **options):
    layer = st.Layer(frame or st.frames.Wavelets(J=3), st.Modulus(), st.Subsample(2))
    return st.FeatureExtractor([layer] * depth, grid, paths=st.FrequencyDecreasing(), **options)


def check(phi, source, sup_tau=(0.01, 0.1, 1.0), **options):
    return st.verify.deformation(phi, source, sup_tau=sup_tau, **{"effort": QUICK, "generator": 0, **options})


def rows(result, output):
    return np.array([s == output for s in result.series])


# --- classes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.25, 0.45])
def test_band_limited(radius):
    result = check(extractor(), signals.BandLimited(radius), effort=CLIMB)
    assert result.outcome is Outcome.HOLDS
    signal = rows(result, "signal")
    assert result.ratio[signal][0] >= 0.98
    assert np.all(result.extra["4 times finer"][signal] <= result.extra["bound in L2"][signal] * (1 + 1e-9))


def test_features_reach_the_bound_where_the_band_lies_inside_the_low_pass():
    result = check(extractor(), signals.BandLimited(1 / 64), sup_tau=[1e-3, 0.1], effort=CLIMB)
    for output in ("signal", "all layers", "layer 0"):
        assert result.ratio[rows(result, output)][0] >= 0.999


def test_the_class_is_attained_in_two_dimensions():
    phi = extractor(st.Grid.of((12, 15)), st.frames.Wavelets(J=2))
    result = check(phi, signals.BandLimited(0.2), sup_tau=[1e-3, 0.3], effort=CLIMB)
    assert result.outcome is Outcome.HOLDS
    signal = rows(result, "signal")
    assert result.ratio[signal][0] >= 0.99
    assert (result.extra["4 times finer"] / result.extra["bound in L2"])[signal].min() >= 0.97


def test_three_dimensions():
    phi = extractor(st.Grid.of((6, 5, 7)), st.frames.Wavelets(J=1), depth=1)
    assert check(phi, signals.BandLimited(0.2), sup_tau=[0.1]).outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    "source", [signals.Lipschitz(2.0), signals.Sobolev(0.5), signals.Sobolev(1.0), signals.Cartoon(1.0)]
)
def test_other_classes(source):
    result = check(extractor(), source)
    assert result.outcome is Outcome.HOLDS
    assert result.ratio[rows(result, "signal")].max() >= 0.6


@pytest.mark.parametrize("source", [signals.Lipschitz(), signals.Cartoon(regions="disc"), signals.DeadLeaves()])
def test_other_classes_in_two_dimensions(source):
    phi = extractor(st.Grid.square(16, length=1.0), st.frames.Wavelets(J=2), depth=1)
    result = check(phi, source, sup_tau=[0.05, 0.2], effort=Effort(3, 24, 0, 0))
    assert result.outcome is Outcome.HOLDS
    assert result.worst >= 0.3


def test_given_signals_have_bounds_of_their_own():
    """The ECG and the photograph: non-vacuous at small displacements."""
    recording = st.data.ecg().binned(8)
    image = st.data.camera().binned(32)
    for data, frame in ((recording, st.frames.Wavelets(J=3)), (image, st.frames.Wavelets(J=2))):
        phi = extractor(data.grid, frame)
        h = min(data.grid.spacing)
        result = check(phi, data.values - data.values.mean(), sup_tau=[0.05 * h, 0.5 * h, 2 * h])
        assert result.outcome is Outcome.HOLDS
        assert result.worst >= 0.5
        assert result.bound[rows(result, "signal")][0] < 0.2


def test_gradient_bound_by_hand():
    """cos(2 pi x / 64) moved by t: distance 2 sin(pi t / 64), bound the exponential series of 2 pi t / 64."""
    f = torch.cos(2 * math.pi * LINE.points()[0] / 64)
    t = 0.5
    result = check(extractor(), f, sup_tau=[t], family=deform.Translations())
    signal = rows(result, "signal")
    assert result.measured[signal] == pytest.approx(2 * math.sin(math.pi * t / 64), rel=1e-10)
    X = 2 * math.pi * t / 64
    exact = X * math.sqrt((2 * t + 1) / t)
    assert result.bound[signal] == pytest.approx(min(math.expm1(X), exact), rel=1e-6)


SOURCES = [
    signals.BandLimited(0.08),
    signals.BandLimited(0.25),
    signals.BandLimited(0.4),
    signals.Sobolev(0.3),
    signals.Sobolev(0.7),
    signals.Lipschitz(1.0),
    signals.Cartoon(1.0),
]
FAMILIES = {
    "theorem": [
        deform.BandLimitedFields(degree=1),
        deform.BandLimitedFields(degree=5),
        deform.Sinusoids(degree=4),
        deform.MaxEntropy(cutoff=4.0),
    ],
    "unconditional": [deform.SampledFields(), deform.BandLimitedFields(degree=6, constant=False)],
}


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("form", FAMILIES)
@pytest.mark.parametrize("source", SOURCES, ids=repr)
def test_no_bound_is_exceeded_by_a_deeper_search(source, form, d):
    """Every class, every family of displacements, three seeds, sizes from a thousandth of a sample to four samples."""
    grid, frame = (LINE, st.frames.Wavelets(J=3)) if d == 1 else (st.Grid.of((14, 11)), st.frames.Wavelets(J=2))
    phi, effort = extractor(grid, frame), Effort(24, 64, 40, 3)
    for family in FAMILIES[form]:
        for seed in range(3):
            options = {"family": family, "bound": form, "effort": effort, "generator": seed}
            result = check(phi, source, sup_tau=[1e-3, 0.1, 1.0, 4.0], **options)
            assert result.outcome in (Outcome.HOLDS, Outcome.VACUOUS), (family, seed)
            assert result.worst <= 1 + 1e-9


def test_large_displacements_turn_a_tone_upside_down():
    """Half a period: distance 2, the largest there is."""
    result = check(extractor(), signals.BandLimited(0.2), sup_tau=[4.0, 8.0])
    assert result.measured[rows(result, "signal")] == pytest.approx([2.0, 2.0], rel=1e-9)


def test_what_one_output_found_counts_for_all():
    """All layers together move at least as far as each of them."""
    result = check(extractor(), signals.BandLimited(0.25), sup_tau=[0.25, 1.0, 4.0], effort=Effort(8, 64, 20, 2))
    together = result.measured[rows(result, "all layers")]
    for n in range(3):
        assert np.all(result.measured[rows(result, f"layer {n}")] <= together * (1 + 1e-12))


# --- hypotheses ------------------------------------------------------------------------------------------------------


def test_large_jacobians_are_inapplicable_with_the_curve_shown():
    fields = deform.max_entropy(LINE.extent, cutoff=5, temperature=1e-2, generator=0)
    result = check(extractor(), signals.BandLimited(0.2), sup_tau=[6.0, 12.0], family=fields, sup_jacobian=None)
    assert result.outcome is Outcome.INAPPLICABLE
    assert np.all(result.measured[rows(result, "signal")] > 0)
    failed = [h for h in result.hypotheses if not h.satisfied]
    assert ["Jacobian" in h.text for h in failed] == [True]
    assert failed[0].value > 0.5


def test_a_jacobian_that_is_never_measured_is_noticed(monkeypatch):
    """With a Jacobian of 0 on record, the control above would be judged, and its hypothesis would look satisfied."""
    fields = deform.max_entropy(LINE.extent, cutoff=5, temperature=1e-2, generator=0)
    honest = fields.norms()
    forgotten = replace(honest, jacobian=type(honest.jacobian)(*(0 * v for v in honest.jacobian)))
    options = {"sup_tau": [6.0, 12.0], "family": fields, "sup_jacobian": None}
    assert check(extractor(), signals.BandLimited(0.2), **options).outcome is Outcome.INAPPLICABLE
    monkeypatch.setattr(type(fields), "norms", lambda self: forgotten)
    assert check(extractor(), signals.BandLimited(0.2), **options).outcome is not Outcome.INAPPLICABLE


def test_the_same_fields_are_covered_by_the_unconditional_form():
    fields = deform.max_entropy(LINE.extent, cutoff=5, temperature=1e-2, generator=0)
    options = {"family": fields, "sup_jacobian": None, "bound": "unconditional"}
    assert check(extractor(), signals.BandLimited(0.2), sup_tau=[1.0], **options).outcome is Outcome.HOLDS


def test_maximum_entropy_fields_are_shrunk_where_the_theorem_is_asked_for():
    fields = deform.max_entropy(LINE.extent, cutoff=5, temperature=1e-2, generator=0)
    result = check(extractor(), signals.BandLimited(0.02), sup_tau=[12.0], family=fields)
    assert result.outcome is Outcome.HOLDS
    assert result.extra["d sup |D tau|"].max() == pytest.approx(0.5, rel=1e-9)
    assert result.extra["sup |tau|"].max() < 12.0


def test_rough_displacements():
    """Random signs at every sample: no Jacobian at all; the unconditional form holds, the theorem does not apply."""
    signs = torch.sign(torch.randn((1, 64), generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    field = deform.SampledField(0.3 * signs, LINE)
    phi, source = extractor(), signals.BandLimited(0.1)
    assert check(phi, source, sup_tau=[0.3], family=field, bound="unconditional").outcome is Outcome.HOLDS
    assert check(phi, source, sup_tau=[0.3], family=field, sup_jacobian=None).outcome is Outcome.INAPPLICABLE


def test_huge_displacements_are_vacuous():
    result = check(extractor(), signals.BandLimited(0.4), sup_tau=[8.0, 16.0])
    assert result.outcome is Outcome.VACUOUS


def test_signal_dependent_paths_are_inapplicable():
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3))] * 2, LINE, paths=st.EnergyThreshold(0.01))
    assert check(phi, signals.BandLimited(0.1)).outcome is Outcome.INAPPLICABLE


def test_nothing_to_do_is_inconclusive():
    result = check(extractor(), signals.BandLimited(0.1), effort=Effort(0, 0, 0, 0))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert any("No data" in note for note in result.notes)


# --- controls that must fail -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Posing(signals.BandLimited):
    """Steps that claim a band limit."""

    def member(self, parameters, grid, like=None):
        step = (torch.arange(grid.size) < grid.size // 2).to(parameters)
        p = Polynomial.interpolating(step.expand(parameters.shape[0], -1), grid).lowpass(0.49 / grid.spacing[0])
        return signals.BandLimitedSignal(p.scaled(1 / p.norm()))


def test_a_step_posing_as_band_limited_is_rejected():
    """Slope 1/2 in place of 1, and far above the bound."""
    grid = st.Grid.line(512)
    phi = extractor(grid, depth=1)
    result = check(phi, Posing(1 / 512), sup_tau=[0.5, 4.0])
    assert result.outcome is Outcome.VIOLATED
    sizes = np.geomspace(4, 64, 6).tolist()
    options = {"family": deform.Translations(), "effort": QUICK, "generator": 0}
    rate = st.verify.deformation_rate(phi, Posing(1 / 512), sup_tau=sizes, **options)
    assert rate.fits["signal"].exponent == pytest.approx(0.5, abs=0.05)
    assert not rate.recovered()


def interval(a, b):
    """1 on [a, b] of a line of 64 samples of total length 1."""
    zero, one = (signals.PiecewiseLinear(torch.full((1, 2), v, dtype=torch.float64), (1.0,)) for v in (0.0, 1.0))
    return signals.CartoonSignal(zero, one, (signals.Interval(a, b),))


def test_the_published_cartoon_form_fails_beside_a_sample_and_the_safe_form_does_not():
    phi = extractor(st.Grid.line(64, length=1.0), depth=1)
    beside = interval(0.5 - 1e-9, 0.9)
    options = {"sup_tau": [2e-9], "family": deform.Translations()}
    published = check(phi, beside, bound="published", **options)
    assert published.outcome is Outcome.VIOLATED
    assert published.constants["4"].kind == "paper"
    safe = check(phi, beside, **options)
    assert safe.outcome is Outcome.HOLDS
    assert safe.measured[rows(safe, "signal")] == pytest.approx(math.sqrt(1 / 64))
    assert safe.worst >= 0.999 / math.sqrt(2)


def test_a_jump_on_a_sample():
    """An arbitrarily small displacement flips one sample: the bound does not tend to 0, and holds."""
    phi = extractor(st.Grid.line(64, length=1.0), depth=1)
    result = check(phi, interval(0.5, 0.75), sup_tau=[1e-12, 1e-6], family=deform.Translations())
    assert result.outcome is Outcome.HOLDS
    signal = rows(result, "signal")
    assert np.all(result.measured[signal] >= math.sqrt(1 / 64) * (1 - 1e-9))
    assert np.all(result.bound[signal] >= math.sqrt(1 / 64))


def test_interpolated_warps_never_hold():
    for kind in ("bilinear", "bicubic", "quintic spline"):
        result = check(extractor(), signals.BandLimited(0.1), warp=deform.Interpolated(kind))
        assert result.outcome is Outcome.INCONCLUSIVE
        assert any("interpolates" in note for note in result.notes)


def test_half_shifts_compose_only_when_they_are_exact():
    """T_{h/2} applied twice is T_h: to rounding for the exact sum, not for any interpolation."""
    f = signals.BandLimited(0.45).on(LINE, 3, generator=0)
    half, whole = deform.translation([0.5], LINE.extent), LINE.translate(f, (1,))
    twice = deform.apply(deform.apply(f, LINE, half), LINE, half)
    size = torch.linalg.vector_norm(f)
    assert torch.linalg.vector_norm(twice - whole) <= 1e-12 * size
    for kind in ("bilinear", "bicubic", "cubic spline", "quintic spline"):
        warp = deform.Interpolated(kind)
        twice = warp(warp(f, LINE, half), LINE, half)
        assert torch.linalg.vector_norm(twice - whole) > 1e-2 * size


def test_a_network_that_expands_breaks_the_chain():
    phi = extractor()
    for n in range(3):
        setattr(phi, f"_output_{n}", 1.2 * getattr(phi, f"_output_{n}"))
    result = check(phi, signals.BandLimited(0.1))
    assert result.outcome is Outcome.VIOLATED
    assert "features / signal" in result.series


def test_networks_that_are_not_admissible_use_their_own_constant():
    layer = st.Layer(st.frames.Wavelets(J=3).scaled(1.5))
    phi = st.FeatureExtractor([layer, layer], LINE)
    result = check(phi, signals.BandLimited(1 / 64))
    assert result.outcome is Outcome.HOLDS
    assert result.constants["c_0^(1/2)"].value > 1.4
    assert result.ratio[rows(result, "layer 0")].max() > 0.9


# --- phases ----------------------------------------------------------------------------------------------------------


def test_phases():
    phi = extractor(complex_input=True)
    band = signals.BandLimited(0.1, complex_valued=True)
    result = check(phi, band, sup_tau=[0.01], sup_omega=0.02, effort=CLIMB)
    assert result.outcome is Outcome.HOLDS
    assert result.ratio[rows(result, "signal")].max() >= 0.8
    with pytest.raises(ValueError, match="complex_input"):
        check(extractor(), signals.BandLimited(0.1), sup_omega=0.02)


def test_a_half_bank_that_is_fed_phases_would_be_caught():
    """A network for real signals sees the real part of nothing: complex values are refused, not cut."""
    omega = Polynomial(torch.tensor([0.05, 0.0, 0.05], dtype=torch.complex128), LINE.extent)
    moved = deform.apply(torch.ones(64, dtype=torch.float64), LINE, deform.Deformation(omega=omega))
    with pytest.raises(ValueError, match="complex"):
        extractor()(moved)


# --- repeatability ---------------------------------------------------------------------------------------------------


def test_same_seed_same_numbers():
    first, second = (check(extractor(), signals.BandLimited(0.2), effort=CLIMB, generator=7) for _ in range(2))
    assert np.array_equal(first.measured, second.measured)
    assert first.provenance.seed == 7


@pytest.mark.parametrize("size", [1e-100, 1e-30, 1e30, 1e100])
def test_ratios_do_not_depend_on_the_amplitude(size):
    f = signals.BandLimited(0.2).on(LINE, 2, generator=0)
    plain, scaled = check(extractor(), f), check(extractor(), size * f)
    assert scaled.outcome is plain.outcome
    assert scaled.measured == pytest.approx(plain.measured, rel=1e-9)
    assert scaled.bound == pytest.approx(plain.bound, rel=1e-9)


def test_units_do_not_matter():
    plain = check(extractor(), signals.BandLimited(0.2), sup_tau=[0.1])
    grid = st.Grid.line(64, sample_rate=1000.0, unit="s")
    scaled = check(extractor(grid), signals.BandLimited(200.0), sup_tau=[1e-4])
    assert scaled.ratio == pytest.approx(plain.ratio, rel=1e-9)


def test_search_parts_are_kept_still():
    band = signals.BandLimited(0.2)
    best = {s: check(extractor(), band, effort=CLIMB, search=s).worst for s in ("all", "signal", "field")}
    assert max(best["signal"], best["field"]) <= best["all"] * 1.02


def test_witness_files(tmp_path):
    phi = extractor()
    result = check(phi, signals.BandLimited(0.2), effort=CLIMB)
    path = st.verify.save_witness(result, tmp_path / "worst")
    assert path.stat().st_size < 20_000
    again = st.verify.replay(path, phi)
    assert again.agrees
    assert again.measured == pytest.approx(result.witness["measured"], rel=1e-9)
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["tau"] = 1.001 * arrays["tau"]
    np.savez(tmp_path / "tampered.npz", **arrays)
    assert not st.verify.replay(tmp_path / "tampered.npz", phi).agrees
    with pytest.raises(ValueError, match="no deformed signal"):
        st.verify.save_witness(st.verify.lipschitz(phi, effort=QUICK, generator=0), tmp_path / "none")
    with pytest.raises(ValueError, match="shape"):
        st.verify.replay(path, extractor(st.Grid.line(32)))


def test_witnesses_of_jumps_are_replayed_as_stored():
    phi = extractor(st.Grid.line(64, length=1.0), depth=1)
    result = check(phi, interval(0.3, 0.7), sup_tau=[0.05])
    again = st.verify.replay(result.witness, phi)
    assert again.agrees and math.isnan(again.warp_error)


# --- rates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [signals.BandLimited(0.25), signals.Lipschitz(1.0)])
def test_linear_rates_over_three_decades(source):
    sizes = np.geomspace(1e-4, 0.1, 10).tolist()
    rate = st.verify.deformation_rate(extractor(), source, sup_tau=sizes, effort=QUICK, generator=0)
    assert rate.promised == 1.0
    assert rate.recovered("signal") and rate.recovered("all layers")
    assert rate.check.outcome is Outcome.HOLDS


def test_square_root_rate_of_jumps_over_three_decades():
    grid = st.Grid.line(1 << 15, length=1.0)
    layer = st.Layer(st.frames.Wavelets(J=2))
    phi = st.FeatureExtractor([layer], grid)
    h = grid.spacing[0]
    sizes = np.geomspace(4 * h, 4000 * h, 7).tolist()
    options = {"family": deform.Translations(), "effort": Effort(0, 8, 0, 0), "generator": 0}
    rate = st.verify.deformation_rate(phi, interval(0.2, 0.7), sup_tau=sizes, **options)
    assert rate.promised == 0.5
    assert rate.recovered("signal")
    assert rate.fits["signal"].exponent == pytest.approx(0.5, abs=0.02)


def test_rates_need_three_sizes_and_have_no_truth():
    with pytest.raises(ValueError, match="at least 3"):
        st.verify.deformation_rate(extractor(), signals.BandLimited(0.2), sup_tau=[0.1, 0.2])
    rate = st.verify.deformation_rate(extractor(), signals.BandLimited(0.2), effort=QUICK, generator=0)
    with pytest.raises(TypeError, match="ambiguous"):
        bool(rate)
    assert set(rate.to_dict()) == {"promised", "fits", "check"}
    assert "promised exponent 1" in str(rate)


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"sup_tau": []}, "sup_tau"),
        ({"sup_tau": [0.0]}, "sup_tau"),
        ({"sup_tau": [math.nan]}, "sup_tau"),
        ({"sup_jacobian": -1.0}, "sup_jacobian"),
        ({"sup_jacobian": "none"}, "sup_jacobian"),
        ({"bound": "sharp"}, "bound"),
        ({"search": "everything"}, "search"),
    ],
)
def test_wrong_arguments_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        check(extractor(), signals.BandLimited(0.1), **options)


def test_wrong_signals_are_refused():
    with pytest.raises(ValueError, match="finite"):
        check(extractor(), torch.full((64,), math.nan, dtype=torch.float64))
    with pytest.raises(ValueError, match="shape"):
        check(extractor(), torch.zeros(63, dtype=torch.float64))
    with pytest.raises(ValueError, match="published"):
        check(extractor(), signals.Sobolev(0.5), bound="published")
    with pytest.raises(ValueError, match="extent"):
        check(extractor(), signals.BandLimited(0.1).draw(st.Grid.line(32), 1, generator=0))


def test_complex_signals_are_not_cut_to_real_ones():
    band = signals.BandLimited(0.1, complex_valued=True)
    for source in (band, band.draw(LINE, 2, generator=0)):
        with pytest.raises(ValueError, match="complex_input"):
            check(extractor(), source)


@pytest.mark.parametrize(("name", "value"), [("family", "rotations"), ("warp", "bilinear")])
def test_arguments_of_another_kind_are_refused(name, value):
    with pytest.raises(TypeError, match=name):
        check(extractor(), signals.BandLimited(0.1), **{name: value})


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_tiny_lines(n):
    """Also where nothing can move: one or two samples carry a constant only."""
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1))], st.Grid.line(n))
    result = check(phi, torch.randn((2, n), generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 3)
    assert result.outcome in (Outcome.HOLDS, Outcome.VACUOUS)


def test_constants_do_not_move_and_zeros_are_no_data():
    result = check(extractor(), torch.ones((2, 64), dtype=torch.float64))
    assert result.outcome in (Outcome.HOLDS, Outcome.VACUOUS)
    assert result.worst == 0
    for nothing in (torch.zeros((2, 64), dtype=torch.float64), torch.zeros((0, 64), dtype=torch.float64)):
        assert check(extractor(), nothing).outcome is Outcome.INCONCLUSIVE


def test_no_jacobian_leaves_translations():
    result = check(extractor(), signals.BandLimited(0.1), sup_jacobian=0.0)
    assert result.outcome is Outcome.HOLDS
    assert result.extra["d sup |D tau|"].max() == 0
    assert result.extra["sup |tau|"].max() == pytest.approx(1.0)


def test_what_is_left_out_is_said():
    """An even line has a Nyquist bin, an odd one has none."""
    for n, said in ((64, True), (63, False)):
        noise = torch.randn((1, n), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        result = check(extractor(st.Grid.line(n)), noise)
        assert any("Nyquist" in note for note in result.notes) == said


def test_an_interrupted_search_stops():
    def stop(done, total, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(extractor(), signals.BandLimited(0.1), effort=CLIMB, progress=stop)
