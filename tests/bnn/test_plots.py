"""Figures of the binary networks: the artists carry the data, labels keep apart, nothing is blank."""

import io
import math
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import LogNorm
from torch import nn

from scatter_theory import plot
from scatter_theory.bnn import DSQ, ApproxSign, IdentitySTE, Indicators, ReCU, ReSTE, SwishSign, binarize_model
from scatter_theory.bnn import latent_weights as latent
from scatter_theory.bnn._frontier import frontier
from scatter_theory.bnn._histograms import latent_histograms
from scatter_theory.meters import Pooling, Report

SIGNS = [ReSTE(2.0, convention="antiderivative"), ReSTE(3.0, convention="antiderivative"), DSQ(5.0), SwishSign()]


def report_of(sites, steps=6, names=("error_mse", "stability"), spread=1.0):
    rng = np.random.default_rng(0)
    shape = (len(sites), steps)
    values = {name: rng.uniform(1, 2, shape) * spread ** np.arange(len(sites))[:, None] for name in names}
    values["n"] = np.full(shape, 10.0)
    rules = {name: Pooling("mean", "n") for name in names} | {"n": Pooling("sum", "n")}
    return Report("indicators", tuple(sites), np.arange(1, steps + 1) * 5, values, rules)


def binarised(layers=3):
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(20, 20) for _ in range(layers)))
    return binarize_model(model, ReSTE(3.0), skip=())


@pytest.fixture(scope="module")
def compared():
    return frontier([*SIGNS, ReSTE(5.0, convention="antiderivative"), ApproxSign(), IdentitySTE()], samples=500)


FEW = ("0.weight", "2.weight", "0.input", "2.input")
MANY = tuple(f"layer{i}.conv.{kind}" for kind in ("weight", "input") for i in range(12))

DISPLAYS = {
    "one estimator": lambda: plot.EstimatorsDisplay.from_estimators(ReSTE(3.0, convention="figure")),
    "estimators": lambda: plot.EstimatorsDisplay.from_estimators(SIGNS),
    "few sites": lambda: plot.IndicatorsDisplay(report_of(FEW)),
    "many sites": lambda: plot.IndicatorsDisplay(report_of(MANY)),
    "one step": lambda: plot.IndicatorsDisplay(report_of(FEW, steps=1)),
    "heat map": lambda: plot.IndicatorsDisplay(report_of(MANY), kind="heatmap"),
    "one heat map": lambda: plot.IndicatorsDisplay(report_of(MANY), quantities="stability", kind="heatmap"),
    "histograms": lambda: plot.LatentHistogramsDisplay.from_model(binarised()),
    "frontier": lambda: plot.FrontierDisplay.from_frontier(frontier(SIGNS, samples=50)),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_draws_without_touching_anything_global(name):
    before = dict(mpl.rcParams)
    display = DISPLAYS[name]()
    assert display.plot() is display
    assert dict(mpl.rcParams) == before
    buffer = io.BytesIO()
    display.figure_.savefig(buffer, format="png", dpi=40)
    buffer.seek(0)
    assert plt.imread(buffer)[..., :3].mean(-1).std() > 0.02, "blank"
    assert display.artists and any(ax.get_xlabel() for ax in display.figure_.axes)


@pytest.mark.parametrize("name", DISPLAYS)
def test_draws_into_given_axes_and_to_png(name):
    figure, axes = plt.subplots(1, 2, layout="constrained", figsize=(14, 6))
    display = DISPLAYS[name]()
    assert display.plot(ax=axes[1]).figure_ is figure
    assert not axes[0].has_data()
    plt.close("all")
    assert display.png().startswith(b"\x89PNG") and plt.get_fignums() == []


# --- estimators ------------------------------------------------------------------------------------------------------


def test_curves_are_those_of_the_estimator_and_break_at_kinks():
    display = plot.EstimatorsDisplay.from_estimators({"drawn": ReSTE(3.0, convention="figure")}).plot()
    (f,), (slope,) = display.artists["surrogates"], display.artists["multipliers"]
    z, values = f.get_data()
    there = ~np.isnan(z)
    expected = ReSTE(3.0, convention="figure").surrogate(torch.from_numpy(z[there])).numpy()
    np.testing.assert_array_equal(values[there], expected)
    between = np.flatnonzero(np.isnan(z))
    np.testing.assert_allclose(0.5 * (z[between - 1] + z[between + 1]), [-1.5, -0.1, 0.1, 1.5], atol=1e-12)
    jumps = slope.get_data()[1][between[2:] - 1] / slope.get_data()[1][between[2:] + 1].clip(1e-300)
    assert jumps[0] == pytest.approx(3.0, rel=1e-6) and jumps[1] > 1e200
    assert f.get_label() == "drawn"


def test_zones_are_shaded_where_the_limits_are_shared():
    display = plot.EstimatorsDisplay.from_estimators(SIGNS[:2]).plot()
    labels = [text.get_text() for text in display.figure_.axes[1].get_legend().get_texts()]
    assert labels == ["ReSTE(o=2)", "ReSTE(o=3)", "f' constant: |z| ≤ 0.1", "no gradient: |z| > 1.5"]
    assert plot.EstimatorsDisplay.from_estimators(SIGNS).plot().artists["zones"] == []


def test_unbounded_multiplier_does_not_set_the_height():
    with pytest.warns(UserWarning, match="infinite variance"):
        display = plot.EstimatorsDisplay.from_estimators(ReSTE(3.0, m=0.0)).plot()
    assert 1 < display.figure_.axes[1].get_ylim()[1] < 10


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "got none"),
        (([DSQ(2.0), DSQ(2.0)],), ValueError, "twice"),
        (([3],), TypeError, "expected an estimator"),
        ((ReCU(0.9),), ValueError, "depends on the whole tensor"),
    ],
)
def test_what_is_no_curve_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        plot.EstimatorsDisplay.from_estimators(*arguments)
    with pytest.raises(ValueError, match="half_width"):
        plot.EstimatorsDisplay.from_estimators(DSQ(2.0), half_width=0.0)


# --- frontier --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale_free", [False, True])
def test_every_estimator_is_a_labelled_point(compared, scale_free):
    display = compared.plot(scale_free=scale_free)
    assert [label.get_text() for label in display.artists["labels"]] == list(compared.names)
    for point, p, bounded in zip(
        display.artists["expected"], compared.populations, compared.bounded_scale_free, strict=True
    ):
        assert point.get_xydata()[0].tolist() == [p.error, p.cv2 if scale_free else p.variance]
        assert (point.get_markerfacecolor() == "white") == (not bounded)
    measured = display.artists["measured"].get_xydata()
    np.testing.assert_array_equal(measured[:, 1], [m.cv2 if scale_free else m.variance for m in compared.measured])
    x, y = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert all(x[0] < p.error < x[1] for p in compared.populations) and y[0] < 0.0


@pytest.mark.parametrize("density", ["normal", "uniform"])
def test_labels_keep_apart(density):
    display = frontier(density=density, samples=20_000).plot()
    display.figure_.draw_without_rendering()
    # the box of an annotation contains its leader: take the text alone
    boxes = [mpl.text.Text.get_window_extent(label) for label in display.artists["labels"]]
    assert len(boxes) == 22
    overlaps = [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes) if i < j and a.overlaps(b)]
    assert overlaps == []
    frame, legend = display.ax_.get_window_extent(), display.artists["legend"].get_window_extent()
    for box in boxes:
        assert frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not box.overlaps(legend)


def test_infinite_stability_stands_at_the_upper_end():
    with pytest.warns(UserWarning, match="infinite variance"):
        estimators = [ReSTE(3.0, m=0.0), ReSTE(3.0), DSQ(2.0)]
    display = frontier(estimators, samples=200).plot()
    height = display.artists["expected"][0].get_ydata()[0]
    assert display.artists["expected"][1].get_ydata()[0] < height < display.ax_.get_ylim()[1]
    assert display.artists["labels"][0].get_text() == "ReSTE(o=3, m=0): infinite"


def test_nothing_but_stable_gradients():
    display = frontier([IdentitySTE()], samples=50).plot()
    assert display.artists["labels"][0].get_text() == "IdentitySTE"


# --- indicators ------------------------------------------------------------------------------------------------------


def test_curves_are_the_rows_of_the_report():
    report = report_of(FEW)
    display = report.plot()
    for name in ("error_mse", "stability"):
        for line, row in zip(display.artists["curves"][name], report.values[name], strict=True):
            np.testing.assert_array_equal(line.get_xdata(), report.steps)
            np.testing.assert_array_equal(line.get_ydata(), row)
        for line, pattern in zip(display.artists["reduced"][name], ("*.weight", "*.input"), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), report.select(pattern).pooled(name))
    texts = [text.get_text() for text in display.artists["legend"].get_texts()]
    assert texts == [*FEW, "all weights, pooled", "all inputs, pooled"]


def test_sites_of_one_kind_are_reduced_together():
    report = report_of(("a.weight", "b.weight"))
    (line,) = report.plot().artists["reduced"]["stability"]
    np.testing.assert_array_equal(line.get_ydata(), report.pooled("stability"))


def test_many_sites_have_a_colour_bar():
    display = report_of(MANY).plot()
    labels = [text.get_text() for text in display.artists["colorbar"].ax.get_yticklabels()]
    assert labels == ["layer0.conv", "layer11.conv"]
    first, last = (display.artists["curves"]["stability"][k] for k in (0, 12))
    assert first.get_color() == pytest.approx(last.get_color()) and first.get_linestyle() != last.get_linestyle()


def test_heat_map_shows_sites_and_steps():
    report = report_of(MANY, spread=2.0)
    report.values["stability"][3, 2] = np.nan
    display = report.plot(kind="heatmap", quantities=("stability",))
    image = display.artists["images"]["stability"]
    shown = np.ma.getmaskarray(image.get_array())
    assert shown.shape == (24, 6) and shown[3, 2] and shown.sum() == 1
    assert isinstance(image.norm, LogNorm)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == list(MANY)
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["5", "10", "15", "20", "25", "30"]
    narrow = report_of(FEW).plot(kind="heatmap").artists["images"]["stability"]
    assert not isinstance(narrow.norm, LogNorm) and narrow.norm.vmin == 0.0


def test_default_quantities():
    model = binarised()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Indicators(model) as indicators:
        for _ in range(3):
            model(torch.randn(8, 20)).square().sum().backward()
            optimizer.step()
    display = indicators.report().plot()
    assert list(display.artists["curves"]) == ["error_mse", "stability", "stability_cv2", "flip_rate"]
    other = report_of(FEW, names=("speed", "heat"))
    assert list(other.plot().artists["curves"]) == ["speed", "heat"]
    empty = replace(other, steps=np.array([], dtype=int), values={q: v[:, :0] for q, v in other.values.items()})
    assert empty.plot().artists["note"].get_text() == "no data"


def test_wrong_requests_of_indicators():
    report = report_of(FEW)
    with pytest.raises(ValueError, match=r"`IndicatorsDisplay\(kind=\.\.\.\)`: got 'pie'"):
        report.plot(kind="pie")
    with pytest.raises(KeyError, match="no quantity 'colour'"):
        report.plot(quantities="colour")
    with pytest.raises(ValueError, match="got none"):
        report.plot(quantities=())


# --- latent weights --------------------------------------------------------------------------------------------------


def test_histograms_count_the_latent_weights():
    model = binarised()
    weights = latent(model)
    with torch.no_grad():
        for k, w in enumerate(weights.values()):
            w.copy_(torch.linspace(-1, 1, 400).reshape(20, 20) * (0.1, 1.0, 2.0)[k])
    found = latent_histograms(model, bins=40)
    assert found.names == tuple(weights) == ("0.weight", "1.weight", "2.weight")
    np.testing.assert_array_equal(found.limits, [[0.1, 1.5]] * 3)
    assert found.edges[-1] == 2.0 == -found.edges[0]
    np.testing.assert_array_equal(found.counts.sum(1), [400, 400, 400])
    np.testing.assert_array_equal(found.counts[2], [10] * 40)
    assert found.inside == pytest.approx([1.0, 0.1, 0.05]) and found.beyond == pytest.approx([0.0, 0.0, 0.25])


def test_histograms_of_odd_weights():
    model = binarised()
    first, second, third = latent(model).values()
    with torch.no_grad():
        first.fill_(math.nan)
        second[0, 0], second[0, 1] = 1e6, math.inf
        third.zero_()
    found = latent_histograms(model)
    np.testing.assert_array_equal(found.excluded, [400, 1, 0])
    assert math.isnan(found.inside[0]) and found.inside[2] == 1.0
    assert found.counts.sum(1).tolist() == [0, 399, 400] and found.edges[-1] == 1e6  # the median quantile is 0
    found.plot()
    with pytest.raises(ValueError, match="no binarised weights in the Linear"):
        latent_histograms(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"`latent_histograms\(bins=\.\.\.\)`: got 0"):
        latent_histograms(model, bins=0)


def test_one_outlier_does_not_hide_the_rest():
    model = binarised()
    with torch.no_grad():
        next(iter(latent(model).values()))[0, 0] = 1e6
    assert latent_histograms(model).edges[-1] < 1.0


def test_thresholds_are_drawn_where_weights_are():
    model = binarised()
    with torch.no_grad():
        for w in latent(model).values():
            w.copy_(torch.linspace(-1, 1, 400).reshape(20, 20))
    display = latent_histograms(model).plot()
    assert len(display.artists["inner"]) == 3 and display.artists["outer"] == []
    segments = display.artists["inner"][0].get_segments()
    assert sorted(s[0, 0] for s in segments) == pytest.approx([-0.1, 0.1])
    assert display.artists["shares"][0].get_text() == "10.0 % within m\n0.0 % beyond t"
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == ["m = 0.1"]
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["0.weight", "1.weight", "2.weight"]
