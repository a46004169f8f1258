"""Figures with sliders: the panel, and what a front end is given with and without ipywidgets."""

from __future__ import annotations

import base64
import sys
import time

import pytest
from matplotlib import pyplot as plt

import scatter_theory as st

explore = st.explore


# --- the panel -------------------------------------------------------------------------------------------------------


def widgets(view):
    """Widgets of a panel by setting: what is shown, and all."""
    pytest.importorskip("ipywidgets", reason="comes with the extra `notebook`")
    assert view.panel.children[1].format == "png"
    every = view._panel.controls
    return {name: w for name, w in every.items() if w.layout.display != "none"}, every


def test_every_control_has_a_label_with_its_unit():
    shown, every = widgets(explore.frame(samples=128))
    assert list(every) == ["family", "axes", "samples", "J", "Q", "angles", "channels", "show"]
    assert {name: w.description for name, w in shown.items()} == {
        "family": "family", "axes": "dimension d [axes]", "samples": "grid N [samples]", "J": "scales J [octaves]",
        "Q": "scales Q [per octave]", "show": "show",
    }  # fmt: skip
    assert [value for _, value in shown["J"].options] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("view", "name", "value"),
    [
        (explore.frame(), "J", 6),
        (explore.frame("Curvelets"), "angles", 16),
        (explore.translation(), "factor", 1),
        (explore.deformation(), "sup_tau", 0.25),
        (explore.estimators(), "o", 5.0),
    ],
    ids=["frame", "frame on a square", "translation", "deformation", "estimators"],
)
def test_a_slider_changes_figure_and_code_quickly(view, name, value):
    """Under half a second on an idle core; the limit leaves room for a busy machine."""
    shown, _ = widgets(view)
    first, before = shown[name].value, (view.panel.children[1].value, view.code)
    started = time.process_time()
    shown[name].value = value
    seconds = time.process_time() - started
    assert getattr(view.settings, name) == value
    assert view.panel.children[1].value == view.png() != before[0]
    assert view.code != before[1] and view._panel.code.value.count("display.plot()") == 1
    assert seconds < 1.5
    shown[name].value = first
    assert view.panel.children[1].value == before[0] and view.code == before[1]


def figures():
    """Figures that were asked for so far, drawn or kept."""
    found = sys.modules["scatter_theory.explore._explorer"]._png.cache_info()
    return found.hits + found.misses


def test_other_controls_follow():
    view = explore.frame()
    shown, every = widgets(view)
    asked = figures()
    every["family"].value = "Ridgelets"
    assert figures() == asked + 1  # drawn once, when all controls have followed
    shown, _ = widgets(view)
    assert list(shown) == ["family", "samples", "J", "angles", "show"]
    assert [value for _, value in shown["samples"].options] == [32, 64, 128] and shown["samples"].value == 64
    view.change(J=2)  # from another cell
    assert every["J"].value == 2 and "J=2" in view._panel.code.value and view.panel is view.panel


def test_figures_are_kept():
    assert explore.frame(J=5).png() is explore.frame(J=5).png()


# --- what a front end is given ---------------------------------------------------------------------------------------


def test_with_ipywidgets_panel_and_picture_are_shown():
    pytest.importorskip("ipywidgets", reason="comes with the extra `notebook`")
    view = explore.estimators("ApproxSign")
    bundle = view._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == view.panel.model_id
    assert base64.b64decode(bundle["image/png"]) == view.png()


def test_without_ipywidgets_figure_code_and_a_hint_are_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr("scatter_theory.explore._explorer.find_spec", lambda name: None)
    view = explore.frame(J=3)
    bundle = view._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png", "text/html"}
    assert bundle["text/plain"].startswith("explore.frame(family='Wavelets', axes=1, samples=256, J=3")
    assert view.code in bundle["text/plain"] and "pip install" in bundle["text/html"]
    assert bundle["image/png"] in bundle["text/html"]
    with pytest.raises(ImportError, match=r"Explorer.panel`: ipywidgets is not installed.*plot\(\)"):
        _ = view.panel


def test_plot_draws_into_given_axes_and_leaves_settings_of_matplotlib():
    before = dict(plt.rcParams)
    _, ax = plt.subplots()
    display = explore.frame(J=3).plot(ax=ax, linewidth=3)
    assert display.ax_ is ax and display.artists["curves"][0].get_linewidth() == 3
    assert explore.frame(J=3).png()[:4] == b"\x89PNG" and len(plt.get_fignums()) == 1
    plt.close("all")
    assert dict(plt.rcParams) == before


def test_repr_rebuilds_the_view():
    view = explore.deformation("Lipschitz", field="Sinusoids")
    assert eval(repr(view), {"explore": explore}).settings == view.settings
