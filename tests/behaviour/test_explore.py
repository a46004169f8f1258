"""Figures with sliders: what is drawn, the code that makes it, and settings."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from matplotlib import pyplot as plt

import scatter_theory as st
from scatter_theory import bnn
from scatter_theory.plot import LittlewoodPaleyDisplay, TilingDisplay

explore = st.explore

VIEWS = {
    "frame": explore.frame(),
    "frame, curvelets": explore.frame("Curvelets", J=2, angles=4, show="Littlewood-Paley sum"),
    "frame, Weyl-Heisenberg": explore.frame("WeylHeisenberg", axes=2, channels=3),
    "translation": explore.translation(samples=64, J=2),
    "translation, tightened": explore.translation("Morlet", samples=64, J=2, depth=1, shift=1),
    "translation, Weyl-Heisenberg": explore.translation("WeylHeisenberg", samples=64, channels=4, factor=1),
    "deformation": explore.deformation(depth=1),
    "deformation, cartoons": explore.deformation("Cartoon", field="Translations", depth=1, sup_tau=8),
    "estimators": explore.estimators(),
    "estimators, uniform": explore.estimators("RBNN", t=10.0, density="uniform", scale=2.0),
}


def numbers(display):
    """All arrays and texts of a display, by field."""
    return {f.name: getattr(display, f.name) for f in fields(display) if f.name != "artists"}


# --- what is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_the_code_that_is_shown_makes_the_figure(name):
    """The lines run alone, and their display has the same numbers."""
    found: dict = {}
    exec(compile(VIEWS[name].code, name, "exec"), found)
    shown = VIEWS[name].settings.display()
    assert type(found["display"]) is type(shown) and found["display"].figure_ is not None
    plt.close("all")
    for field, value in numbers(shown).items():
        np.testing.assert_equal(numbers(found["display"])[field], value, err_msg=field)


def test_frame_draws_the_bank_that_its_settings_name():
    display = explore.frame(family="Morlet", samples=128, J=3, Q=2).settings.display()
    expected = TilingDisplay.from_bank(st.frames.Morlet(J=3, Q=2).on(st.Grid.line(128)))
    assert np.array_equal(display.powers, expected.powers) and "A = " in display.title
    total = explore.frame("Curvelets", samples=32, J=2, show="Littlewood-Paley sum").settings.display()
    assert isinstance(total, LittlewoodPaleyDisplay) and np.allclose(total.sums["all maps"], 1)


def test_translation_measures_shifts_up_to_the_largest():
    display = explore.translation(samples=64, J=2, depth=1, shift=8).settings.display()
    assert sorted(set(display.x)) == [2.0, 4.0, 8.0] and set(display.series) == {"layer 0", "layer 1"}
    assert "HOLDS" in display.title and np.all(display.measured <= display.bound)
    assert np.max(display.measured / display.bound) > 0.9


def test_deformation_measures_sizes_up_to_the_largest():
    display = explore.deformation("Lipschitz", sup_tau=0.5, depth=1).settings.display()
    assert display.x.tolist() == [0.03125, 0.125, 0.5] and "HOLDS" in display.title
    assert np.all(display.curves["signal"] <= display.bound * (1 + 1e-12))


def test_an_interval_moved_by_four_samples_differs_at_eight():
    """The smallest size 1/4 moves the two ends, which lie 0.1 beyond samples, across one sample each: sqrt(2)."""
    display = explore.deformation("Cartoon", field="BandLimitedFields").settings.display()
    assert display.x.tolist() == [0.25, 1.0, 4.0] and display.exponent == 0.5
    np.testing.assert_allclose([display.curves["signal"][0], display.curves["signal"][2]], np.sqrt([2, 8]), rtol=1e-9)
    assert np.all(display.curves["all layers"] <= display.bound)


def test_estimator_shows_error_and_stability_in_closed_form():
    """On U(-1, 1): the mean of (1 - u)^2 is 1/3, and f' is 1 everywhere."""
    display = explore.estimators("IdentitySTE", density="uniform").settings.display()
    assert display.title == "U(-1, 1): estimating error 0.3333, stability var |f'| = 0, CV² = 0"
    wide = explore.estimators("ReSTE", o=2.0, density="uniform", scale=2.0).settings.display()
    found = bnn.population(bnn.ReSTE(2.0), "uniform", 2.0)
    assert f"{found.error:.4g}" in wide.title and f"{found.variance:.4g}" in wide.title


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_are_frozen_and_fill_in_defaults():
    settings = explore.frame("Curvelets").settings
    assert (settings.axes, settings.samples, settings.angles, settings.Q) == (2, 64, 8, None)
    with pytest.raises(FrozenInstanceError):
        settings.J = 5
    assert settings == explore.frame("Curvelets", axes=2, samples=64).settings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: explore.frame("Gabor"), r"explore.frame\(family=...\)`: got 'Gabor', expected one of 'Wavelets'"),
        (lambda: explore.frame(J=9), r"frame\(J=...\)`: got 9, expected one of 1, 2, .*7 \(in octaves\)"),
        (lambda: explore.frame(J=True), "got True"),
        (lambda: explore.frame("Curvelets", axes=1), r"axes=...\)`: got 1, expected one of 2"),
        (lambda: explore.frame(angles=8), r"angles=...\)`: got 8, but with family='Wavelets' there is nothing"),
        (lambda: explore.frame("Wavelets", channels=4), "nothing that it could set"),
        (lambda: explore.translation(samples=64, J=4, factor=8), r"factor=...\)`: got 8, expected one of 1 "),
        (lambda: explore.translation(shift=3), r"shift=...\)`: got 3, expected .* \(in samples\)"),
        (lambda: explore.deformation("Cartoon", radius=0.1), "but with signals='Cartoon'"),
        (lambda: explore.estimators("ReSTE", k=1.0), "but with estimator='ReSTE'"),
        (lambda: explore.frame().change(J="4"), "got '4'"),
        (lambda: explore.frame().change(angles=4), "nothing that it could set"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_cannot_be_chosen_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="got a setting 'scales', expected one of family, axes"):
        explore.frame().change(scales=3)


def test_a_change_takes_along_what_it_makes_impossible():
    view = explore.frame(samples=512, J=8)
    view.change(samples=32)
    assert view.settings.J == 3
    view.change(family="Curvelets", J=4)
    assert (view.settings.axes, view.settings.samples, view.settings.J) == (2, 32, 4)
    assert (view.settings.Q, view.settings.angles) == (None, 8)
    view.change(family="WeylHeisenberg")
    assert (view.settings.J, view.settings.channels, view.settings.angles) == (None, 5, None)
    refused = view.settings
    with pytest.raises(ValueError, match="channels"):
        view.change(axes=1, channels=40)
    assert view.settings is refused


@pytest.mark.slow
def test_every_frame_that_can_be_chosen_can_be_drawn():
    settings = explore.frame().settings
    for family in settings.controls["family"].values:
        first = settings.changed("family", family)
        for axes in first.controls["axes"].values:
            for samples in first.changed("axes", axes).controls["samples"].values:
                chosen = first.changed("axes", axes).changed("samples", samples)
                moves = [
                    (k, v)
                    for k, c in chosen.controls.items()
                    if k in ("J", "Q", "angles", "channels")
                    for v in c.values
                ]
                for name, value in moves:
                    assert chosen.changed(name, value).display()


@pytest.mark.slow
def test_every_network_that_can_be_chosen_is_measured_and_its_bound_is_not_zero():
    settings = explore.translation().settings
    for family in settings.controls["family"].values:
        for depth in (1, 2, 3):
            chosen = settings.changed("family", family).changed("samples", 64).changed("depth", depth)
            for width in chosen.controls["J" if chosen.J else "channels"].values:
                wide = chosen.changed("J" if chosen.J else "channels", width)
                coarse = wide.changed("factor", wide.controls["factor"].values[-1])
                display = coarse.display()
                assert "HOLDS" in display.title and display.bound.min() > 1e-6, coarse


@pytest.mark.slow
def test_every_deformation_that_can_be_chosen_is_measured_below_the_line():
    settings = explore.deformation().settings
    for name in settings.controls["signals"].values:
        for field in settings.controls["field"].values:
            chosen = settings.changed("signals", name).changed("field", field)
            for size in chosen.controls["sup_tau"].values:
                display = chosen.changed("sup_tau", size).display()
                assert "HOLDS" in display.title
                assert all(np.all(c <= display.bound * (1 + 1e-9)) for c in display.curves.values()), (
                    name,
                    field,
                    size,
                )


@pytest.mark.slow
def test_every_estimator_that_can_be_chosen_can_be_drawn():
    settings = explore.estimators().settings
    for estimator in settings.controls["estimator"].values:
        chosen = settings.changed("estimator", estimator)
        for name, control in chosen.controls.items():
            for value in control.values:
                assert np.isfinite(chosen.changed(name, value).display().multiplier[0][1])
