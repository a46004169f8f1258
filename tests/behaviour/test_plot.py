"""Displays: the artists carry the data, nothing is blank, and nothing global is touched."""

import dataclasses
import io
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory import plot
from scatter_theory.constants import Constant, Provenance
from scatter_theory.results import BoundCheck, ErrorTerm, Outcome, Verdict

GRIDS = {
    1: st.Grid.line(48, sample_rate=12.0, unit="s"),
    2: st.Grid.of((20, 27), unit="mm"),
    3: st.Grid.of((8, 9, 10), unit="mm"),
}


def bank_on(d, **options):
    return st.frames.Wavelets(J=2, **options).on(GRIDS[d])


def features_on(d, batch=2):
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
    phi = st.FeatureExtractor([layer, layer], GRIDS[d])
    f = torch.randn((batch, *GRIDS[d].shape), dtype=torch.float64, generator=torch.Generator().manual_seed(d))
    return phi(f)


def check_of(measured, bound, series, x, outcome=Outcome.HOLDS, claim="translation", budget=()):
    arrays = {"measured": np.array(measured, float), "bound": np.array(bound, float), "x": np.array(x, float)}
    return BoundCheck(
        claim=claim, outcome=outcome, x_label="|t| in s", series=tuple(series),
        constants={"K": Constant(1.0, "by hand", "derived")}, hypotheses=(), budget=tuple(budget),
        provenance=Provenance("subject"), **arrays,
    )  # fmt: skip


def sweep():
    return check_of(
        [0.1, 0.3, 0.05, 0.09], [0.2, 0.4, 0.1, 0.1], ["layer 0", "layer 0", "layer 1", "layer 1"], [1, 2, 1, 2],
        budget=[ErrorTerm("rounding", 0.01), ErrorTerm("aliasing", np.array([0, 0, 0.01, 0]), "discretisation")],
    )  # fmt: skip


def compared():
    return dataclasses.replace(sweep(), extra={"published bound": np.array([0.3, 0.5, np.nan, np.nan])}).compare()


def verdict_of(n, prefix="ecg/frame"):
    checks = {f"{prefix} {i % 30}/part {i // 30 % 2}/claim {i // 60}, layer 1": sweep() for i in range(n)}
    return Verdict(checks)


DISPLAYS = {
    **{f"tiling {d}": lambda d=d: plot.TilingDisplay.from_bank(bank_on(d)) for d in GRIDS},
    **{f"littlewood-paley {d}": lambda d=d: plot.LittlewoodPaleyDisplay.from_bank(bank_on(d)) for d in GRIDS},
    **{f"atoms {d}": lambda d=d: plot.AtomsDisplay.from_bank(bank_on(d)) for d in GRIDS},
    **{f"features {d}": lambda d=d: plot.FeaturesDisplay.from_features(features_on(d)) for d in GRIDS},
    "energy": lambda: plot.EnergyDisplay.from_features(features_on(1), bound=np.array([1.0, 0.9, 0.8])),
    "bound": lambda: plot.BoundDisplay.from_check(sweep()),
    "comparison": lambda: plot.ComparisonDisplay.from_comparison(compared()),
    "few ratios": lambda: plot.RatioDisplay.from_verdict(verdict_of(5)),
    "many ratios": lambda: plot.RatioDisplay.from_verdict(verdict_of(300)),
}


def pixels(figure):
    """The drawn figure as an array of grey values in [0, 1]."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    buffer.seek(0)
    return plt.imread(buffer)[..., :3].mean(-1)


# --- all displays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISPLAYS)
def test_draws_without_touching_anything_global(name):
    before = dict(mpl.rcParams)
    display = DISPLAYS[name]()
    assert display.plot() is display
    assert dict(mpl.rcParams) == before
    assert display.ax_.figure is display.figure_ and display.artists
    assert pixels(display.figure_).std() > 0.02, "blank"
    labels = [text for ax in display.figure_.axes for text in (ax.get_xlabel(), ax.get_ylabel()) if text]
    assert labels


@pytest.mark.parametrize("name", DISPLAYS)
def test_draws_into_given_axes(name):
    figure, axes = plt.subplots(1, 2, layout="constrained")
    display = DISPLAYS[name]().plot(ax=axes[1])
    assert display.figure_ is figure
    assert not axes[0].has_data()


@pytest.mark.parametrize("name", ["tiling 2", "bound", "many ratios"])
def test_png_leaves_no_figure_open(name):
    assert DISPLAYS[name]().png().startswith(b"\x89PNG")
    assert plt.get_fignums() == []


def test_the_last_line_of_a_cell_shows_no_arrays():
    displays = [value for name, value in vars(plot).items() if name.endswith("Display")]
    assert len(displays) > 15
    assert {value.__repr__ for value in displays} == {plot.TilingDisplay.__repr__}
    bank = st.frames.Wavelets(J=2).on(st.Grid.line(32))
    assert repr(plot.TilingDisplay.from_bank(bank)) == "<TilingDisplay>"


def test_several_panels_need_a_place_in_a_grid():
    ax = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"TilingDisplay\.plot\(ax=\.\.\.\)"):
        DISPLAYS["tiling 3"]().plot(ax=ax)


def test_style_goes_to_the_artists():
    (line,) = plot.BoundDisplay.from_check(check_of([0.5], [1], ["a"], [0])).plot(color="red").artists["measured"]
    assert line.get_color() == "red"
    image = DISPLAYS["littlewood-paley 2"]().plot(cmap="gray").artists["images"][0]
    assert image.get_cmap().name == "gray"


def test_objects_draw_themselves():
    assert isinstance(bank_on(1).plot(), plot.TilingDisplay)
    assert isinstance(features_on(1).plot(), plot.FeaturesDisplay)
    assert isinstance(sweep().plot(), plot.BoundDisplay)
    assert isinstance(Verdict({"a": sweep()}).plot(), plot.RatioDisplay)


def test_matplotlib_is_loaded_on_first_use_only():
    code = (
        "import sys, scatter_theory as st\n"
        "assert 'matplotlib' not in sys.modules\n"
        "print(st.frames.Wavelets(J=2).on(st.Grid.line(16)))\n"
        "assert 'matplotlib' not in sys.modules\n"
        "st.plot.TilingDisplay\n"
        "assert 'matplotlib' in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


# --- tiling and Littlewood-Paley -------------------------------------------------------------------------------------


def test_tiling_curves_are_the_spectra_in_increasing_frequency():
    bank = bank_on(1)
    curves = plot.TilingDisplay.from_bank(bank).plot().artists["curves"]
    assert len(curves) == 1 + len(bank)
    order = np.argsort(np.fft.fftfreq(48, d=1 / 12))
    np.testing.assert_allclose(curves[0].get_xdata(), np.linspace(-6, 6, 49)[:-1])
    np.testing.assert_allclose(curves[0].get_ydata(), bank.output.numpy()[order] ** 2)
    for curve, spectrum, atom in zip(curves[1:], bank.spectra.numpy(), bank.atoms, strict=True):
        np.testing.assert_allclose(curve.get_ydata(), np.abs(spectrum[order]) ** 2)
        assert curve.get_label() == atom.label


def test_tiling_image_is_white_where_only_the_output_atom_lives_and_bright_everywhere_on_a_tight_frame():
    image = plot.TilingDisplay.from_bank(bank_on(2)).plot().artists["images"][0]
    rgb = np.asarray(image.get_array())
    fine = rgb.shape[0] // 20
    centre = rgb[10 * fine + fine // 2, 13 * fine + fine // 2]
    np.testing.assert_allclose(centre, 1.0)
    assert np.median(rgb.max(-1)) > 0.6
    left, right, bottom, top = image.get_extent()
    assert left < -0.48 and right > 0.48 and bottom < -0.49 and top > 0.44


def test_tiling_shows_a_hole_as_dark():
    bank = bank_on(2)
    display = plot.TilingDisplay.from_bank(bank)
    powers = display.powers.copy()
    powers[:, :5, :5] = 0.0
    holed = plot.TilingDisplay(
        frequencies=display.frequencies, powers=powers, labels=display.labels, unit=display.unit
    )  # fmt: skip
    rgb = np.asarray(holed.plot().artists["images"][0].get_array())
    fine = rgb.shape[0] // 20
    assert rgb[: 4 * fine, : 4 * fine].max() == 0.0


def test_littlewood_paley_draws_sum_and_bounds():
    artists = plot.LittlewoodPaleyDisplay.from_bank(bank_on(1).scaled(0.5)).plot().artists
    (curve,) = artists["curves"]
    np.testing.assert_allclose(curve.get_ydata(), 0.25, atol=1e-12)
    np.testing.assert_allclose([line.get_ydata()[0] for line in artists["bounds"]], 0.25, atol=1e-12)


def test_littlewood_paley_of_a_half_bank_shows_both_sums():
    display = plot.LittlewoodPaleyDisplay.from_bank(bank_on(1, sided="half")).plot()
    complex_sum, real_sum = display.artists["curves"]
    assert complex_sum.get_ydata().min() == 0.0 and complex_sum.get_ydata().max() == pytest.approx(2.0)
    np.testing.assert_allclose(real_sum.get_ydata(), 1.0, atol=1e-12)
    levels = [line.get_ydata()[0] for line in display.artists["bounds"]]
    np.testing.assert_allclose(levels, [0, 2, 1, 1], atol=1e-12)


# --- atoms, features, energy -----------------------------------------------------------------------------------------


def test_atoms_are_inverse_transforms_per_unit_length():
    bank = bank_on(1)
    display = plot.AtomsDisplay.from_bank(bank)
    # The integral of an atom over the torus is its spectrum at zero frequency.
    h = GRIDS[1].spacing[0]
    np.testing.assert_allclose(display.values.sum(-1) * h, [1.0] + [0.0] * len(bank), atol=1e-12)
    modulus, real, imaginary = display.plot().artists["atoms"][1]
    centre = len(real.get_xdata()) // 2
    value = real.get_ydata() + 1j * imaginary.get_ydata()
    np.testing.assert_allclose(np.abs(value), modulus.get_ydata())
    assert (
        np.argmax(np.abs(value)) == np.argmin(np.abs(real.get_xdata())) and abs(centre - np.argmax(np.abs(value))) <= 1
    )


def test_atoms_can_be_chosen_and_are_few_by_default():
    bank = st.frames.Wavelets(J=4, Q=8).on(st.Grid.line(256))
    assert len(plot.AtomsDisplay.from_bank(bank).labels) == 12
    chosen = plot.AtomsDisplay.from_bank(bank, indices=[3, 1])
    assert chosen.labels == ("output", bank.atoms[3].label, bank.atoms[1].label)


@pytest.mark.parametrize("d", GRIDS)
def test_features_are_those_of_the_chosen_signal(d):
    features = features_on(d)
    display = plot.FeaturesDisplay.from_features(features, signal=1)
    assert [value.shape for value in display.values] == [tuple(layer.values.shape[1:]) for layer in features.layers]
    for value, layer in zip(display.values, features.layers, strict=True):
        np.testing.assert_array_equal(value, np.asarray(layer.values[1]))
    shown = display.plot().artists["layers"]
    if d == 1:
        np.testing.assert_array_equal(shown[0].get_ydata(), display.values[0][0])
        np.testing.assert_array_equal(shown[2].get_array(), display.values[2])
        assert display.positions[2][0][1] == pytest.approx(GRIDS[1].spacing[0] / 4)
    else:
        energies = np.sum(display.values[2].reshape(len(display.values[2]), -1) ** 2, axis=1)
        strongest = display.values[2][np.argmax(energies)]
        np.testing.assert_array_equal(shown[2][0].get_array(), strongest if d == 2 else strongest[4])


def test_energy_shares():
    features = features_on(1)
    display = plot.EnergyDisplay.from_features(features, bound=np.array([1.0, 0.9, 0.8])).plot()
    total = features.remainder[0].numpy()
    np.testing.assert_allclose(display.remainder[:, 0], 1.0)
    np.testing.assert_allclose(display.emitted, features.energy("layer").numpy() / total[:, None])
    # Parseval: what is emitted before layer 2 and what is left there add up to one.
    np.testing.assert_allclose(display.emitted[:, :2].sum(1) + display.remainder[:, 2], 1.0)
    np.testing.assert_allclose(display.artists["emitted"].lines[0].get_ydata(), display.emitted.mean(0))
    np.testing.assert_allclose(display.artists["bound"].get_ydata(), [1.0, 0.9, 0.8])


def test_energy_of_silence_is_empty():
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2))], GRIDS[1])
    display = plot.EnergyDisplay.from_features(phi(torch.zeros(3, 48, dtype=torch.float64)))
    assert display.emitted.shape[0] == 0
    assert display.plot().artists["note"].get_text()


# --- bound -----------------------------------------------------------------------------------------------------------


def test_bound_display_draws_points_lines_band_and_ring():
    display = sweep().plot()
    first, second = display.artists["measured"]
    np.testing.assert_array_equal(first.get_ydata(), [0.1, 0.3])
    np.testing.assert_array_equal(second.get_ydata(), [0.05, 0.09])
    np.testing.assert_array_equal([line.get_ydata() for line in display.artists["bound"]], [[0.2, 0.4], [0.1, 0.1]])
    assert display.artists["band"][0].get_paths()[0].get_extents().y1 == pytest.approx(0.41)
    (x,), (y,) = display.artists["ring"].get_data()
    assert (x, y) == (2.0, 0.09)
    assert "Vertical translation invariance: HOLDS ✓" in display.ax_.get_title()
    assert "0.9 (layer 1" in display.ax_.get_title()
    assert display.ax_.get_xlabel() == "|t| in s"
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("linear", "linear")


@pytest.mark.parametrize("outcome", Outcome)
def test_title_names_the_outcome(outcome):
    display = check_of([0.5], [1], ["a"], [0], outcome=outcome).plot()
    assert f"{outcome.name} {outcome.symbol}" in display.ax_.get_title()


def test_log_axes_when_spans_ask_for_it():
    wide = check_of([1e-4, 1e-2, 1], [1e-3, 1e-1, 10], ["a"] * 3, [1, 10, 100]).plot().ax_
    assert (wide.get_xscale(), wide.get_yscale()) == ("log", "log")
    layers = check_of([0.1] * 6, [0.2] * 6, ["a"] * 6, range(1, 7)).plot().ax_
    assert (layers.get_xscale(), layers.get_yscale()) == ("linear", "linear")


def test_unordered_points_make_an_ordered_line():
    display = check_of([3, 1, 2], [6, 2, 4], ["a"] * 3, [3, 1, 2]).plot()
    np.testing.assert_array_equal(display.artists["bound"][0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(display.artists["bound"][0].get_ydata(), [2, 4, 6])


@pytest.mark.parametrize("other", [0.4, 9.0])
def test_bounds_of_deformations_that_belong_to_signals_are_drawn_with_their_outputs(other):
    """Points of features above the line of the signals' bound lie below a bar of their own."""
    series, x = ["signal", "signal", "layer 0", "layer 0"], [1, 2, 1, 2]
    check = dataclasses.replace(
        check_of([0.1, 0.3, 2.0, 4.0], [0.2, 0.4, 5.0, other], series, x), claim="deformation_cartoon"
    )
    display = plot.DeformationDisplay.from_check(check).plot()
    (bar,) = display.artists["bounds"]
    np.testing.assert_array_equal(bar.get_ydata(), [5.0, other])
    np.testing.assert_array_equal(display.artists["bound"].get_ydata(), [0.2, 0.4])
    same = dataclasses.replace(check, bound=np.array([0.2, 0.4, 0.2, 0.4]))
    assert plot.DeformationDisplay.from_check(same).plot().artists["bounds"] == []
    plt.close("all")


def test_identities_are_drawn_against_their_tolerance():
    budget = [ErrorTerm("rounding", 1e-12)]
    display = check_of([1e-16, 1e-15], [0, 0], ["a", "a"], [1, 2], claim="covariance", budget=budget).plot()
    np.testing.assert_array_equal(display.artists["bound"][0].get_ydata(), [1e-12, 1e-12])
    assert display.artists["ring"].get_data()[1][0] == 1e-15
    assert "tolerance" in display.artists["bound"][0].get_label()


@pytest.mark.parametrize(
    ("measured", "bound", "x"),
    [([], [], []), ([np.nan], [1.0], [0.0]), ([np.nan, 1.0], [1.0, np.nan], [0, 1]), ([0.0, 0.0], [0.0, 0.0], [0, 0]),
     ([np.inf, 0.5], [1.0, 1.0], [1, 2]), ([0.0, 1e-5, 1.0], [1e-3, 1.0, 1.0], [0.0, 1.0, 1000.0])],
)  # fmt: skip
def test_awkward_data_is_drawn_with_a_note(measured, bound, x):
    display = check_of(measured, bound, ["a"] * len(measured), x, outcome=Outcome.INCONCLUSIVE).plot()
    pixels(display.figure_)
    if not measured or not np.all(np.isfinite(measured)):
        assert display.artists["note"].get_text()


def test_many_series_get_a_short_legend():
    n = 20
    display = check_of([0.5] * n, [1.0] * n, [f"path {i}" for i in range(n)], range(n)).plot()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["measured", "bound"]


# --- ratios ----------------------------------------------------------------------------------------------------------


def mixed():
    ratios = {"fine": 0.5, "tight": 1.0, "broken": 2.0, "missing": np.nan, "infinite": np.inf, "zero": 0.0}
    outcomes = ["HOLDS", "HOLDS", "VIOLATED", "INCONCLUSIVE", "VIOLATED", "VACUOUS"]
    checks = {}
    for (name, ratio), outcome in zip(ratios.items(), outcomes, strict=True):
        bound = 0.0 if np.isinf(ratio) else 1.0
        checks[name] = check_of([1.0 if np.isinf(ratio) else ratio], [bound], ["a"], [0], outcome=Outcome[outcome])
    return checks


def test_comparison_has_a_panel_per_series_and_a_curve_per_bound():
    display = compared().plot()
    first, second = display.artists["measured"]
    assert [ax.get_title() for ax in display.figure_.axes] == ["layer 0", "layer 1"]
    np.testing.assert_array_equal(first.get_ydata(), [0.1, 0.3])
    np.testing.assert_array_equal(second.get_ydata(), [0.05, 0.09])
    curves = display.artists["bounds"]
    assert [c.get_label() for c in curves] == ["bound", "published bound"] * 2
    np.testing.assert_array_equal(curves[1].get_ydata(), [0.3, 0.5])
    assert len({ax.get_ylim() for ax in display.figure_.axes}) == 1
    empty = dataclasses.replace(check_of([], [], [], []), extra={"published bound": np.array([])})
    assert "note" in empty.compare().plot().artists


def test_ratio_dots_stand_at_their_ratios_with_the_word_beside():
    display = Verdict(mixed(), "demo").plot()
    places = [dot.get_xdata()[0] for dot in display.artists["dots"]]
    assert places[:3] == [0.5, 1.0, 2.0]
    assert all(np.isfinite(places)) and places[4] > 2.0 and places[5] <= 0.1
    assert display.artists["line"].get_xdata()[0] == 1.0
    words = [text.get_text() for text in display.artists["values"]]
    assert all(
        word.endswith(f"{c.outcome.symbol} {c.outcome.name}") for word, c in zip(words, mixed().values(), strict=True)
    )
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == list(mixed())


def test_many_ratios_become_cells_that_show_the_worst():
    checks = {
        f"{signal}/frame {i}/{rho}/{claim}, layer 1": check_of([0.3], [1.0], ["a"], [0])
        for signal in ("ecg", "camera")
        for i in range(12)
        for rho in ("modulus", "relu")
        for claim in ("energy", "lipschitz", "translation")
    }
    checks["camera/frame 3/relu/lipschitz, layer 1"] = check_of([1.5], [1.0], ["a"], [0], outcome=Outcome.VIOLATED)
    display = Verdict(checks).plot()
    rows = [label.get_text() for label in display.ax_.get_yticklabels()]
    columns = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert len(checks) == 144 and len(rows) == 24 and columns == ["energy", "lipschitz", "translation"]
    worst = display.artists["image"].get_array()
    assert worst[rows.index("camera/frame 3"), 1] == 1.5
    assert np.count_nonzero(worst == 0.3) == 24 * 3 - 1
    assert [text.get_text() for text in display.artists["values"] if "✗" in text.get_text()] == ["1.5 ✗"]


def test_many_names_without_parts_stay_dots():
    display = Verdict({f"check{i}": sweep() for i in range(45)}).plot()
    assert len(display.artists["dots"]) == 45


def test_no_checks():
    assert Verdict({}).plot().artists["note"].get_text() == "no checks"
