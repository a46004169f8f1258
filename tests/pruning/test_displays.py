"""Figures of the pruning tools: the artists carry the data, nothing is blank, nothing global is touched."""

import io
from types import MappingProxyType, SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from scatter_theory import plot, pruning

SITES = ("conv1/relu#1", "layer1.0/relu#1", "layer1.0/relu#2", "linear/relu#1")


class Dead:
    """What `DeadNeurons` says, in numbers that are chosen here."""

    samples = 1000
    facts = MappingProxyType({"statistics": "running statistics"})

    def __init__(self, sites=SITES, shift=0.0, nan=0.0):
        self.sites = tuple(sites)
        n = len(self.sites)
        static = np.linspace(0.0, 0.2, n)
        dynamic = np.linspace(0.5, 0.3, n) + shift
        self.rates = {
            "static": static,
            "dynamic": dynamic,
            "total": static + dynamic,
            "always_on": np.linspace(0.05, 0.1, n),
            "silent": np.linspace(0.1, 0.2, n),
            "static_on": np.full(n, 0.02),
            "nan": np.full(n, nan),
        }

    def rate(self, name, reduction=None):
        return self.rates[name] if reduction is None else float(self.rates[name].mean())

    def interval(self, name, level=0.95):
        assert level == 0.95
        return self.rates[name] - 0.03, self.rates[name] + 0.04

    def per_channel(self, site):
        k = self.sites.index(site)
        return np.array([0.0, 1.0, 1.0, 0.3, 0.31, 0.5 + 0.01 * k, 0.9, 0.95])


class History:
    """A run of `n` cycles that leave four fifths of the weights alive each."""

    layers = ("conv1.weight", "linear.weight")

    def __init__(self, n=6, dead=True, test=70.0, sites=SITES):
        self.reports = [
            SimpleNamespace(
                dead=Dead(sites, shift=-0.03 * k) if dead else None, values={"accuracy": test - k, "loss": k}
            )
            for k in range(n)
        ]
        self.cycles = np.arange(n)
        self.sparsity = 1 - 0.8 ** np.arange(n)
        self.sites = tuple(sites)
        self.layer_sparsity = np.stack([self.sparsity, self.sparsity / 2])

    def __len__(self):
        return len(self.reports)

    def rate(self, name, reduction="pooled"):
        return np.array([r.dead.rate(name, reduction) for r in self.reports])

    def site_rates(self, name):
        return np.stack([r.dead.rate(name) for r in self.reports], axis=1)

    def value(self, name):
        return np.array([r.values[name] for r in self.reports])


def sensitivity(layers=3):
    sparsities = np.array([0.5, 0.9])
    return SimpleNamespace(
        layers=tuple(f"layer{k}.weight" for k in range(layers)),
        sparsities=sparsities,
        values=np.array([[90.0 - k, 80 - 5 * k] for k in range(layers)]),
        together=np.array([70.0, 20.0]),
        baseline=90.0,
        rule="Magnitude()",
    )


def accuracies():
    rng = np.random.default_rng(0)
    base = rng.uniform(80, 81, (3, 5)) - np.arange(5)
    return {"alone": base, "with": base + rng.uniform(0, 1, (3, 5)), "control": base - 0.5}


ALIVE = 0.6 ** np.arange(5)
MANY = tuple(f"layer{i}.{j}/relu#{k}" for i in range(1, 4) for j in range(3) for k in (1, 2))

DISPLAYS = {
    "dead": lambda: plot.DeadNeuronsDisplay(Dead()),
    "dead, many": lambda: plot.DeadNeuronsDisplay(Dead(MANY)),
    "dead, nan": lambda: plot.DeadNeuronsDisplay(Dead(nan=0.1)),
    "firing": lambda: plot.FiringRatesDisplay(Dead()),
    "firing, many": lambda: plot.FiringRatesDisplay(Dead(MANY)),
    "sensitivity": lambda: plot.SensitivityDisplay(sensitivity()),
    "sensitivity, many": lambda: plot.SensitivityDisplay(sensitivity(20)),
    "history": lambda: plot.PruningHistoryDisplay(History()),
    "history, many": lambda: plot.PruningHistoryDisplay(History(25, sites=MANY)),
    "history, one": lambda: plot.PruningHistoryDisplay(History(1)),
    "history, not measured": lambda: plot.PruningHistoryDisplay(History(dead=False)),
    "heat map": lambda: plot.PruningHistoryDisplay(History(25, sites=MANY), "dynamic", "heatmap"),
    "heat map of layers": lambda: plot.PruningHistoryDisplay(History(dead=False), "sparsity", "heatmap"),
    "accuracies": lambda: plot.PrunedAccuracyDisplay(ALIVE, accuracies(), "alone"),
    "one seed": lambda: plot.PrunedAccuracyDisplay(ALIVE, {k: x[:1] for k, x in accuracies().items()}, "alone"),
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
    plt.close("all")


@pytest.mark.parametrize("name", ["dead", "firing", "sensitivity", "history", "heat map", "accuracies"])
def test_draws_into_given_axes_and_to_png(name):
    figure, axes = plt.subplots(1, 2, layout="constrained", figsize=(14, 6))
    display = DISPLAYS[name]()
    assert display.plot(ax=axes[1]).figure_ is figure
    assert not axes[0].has_data()
    plt.close("all")
    assert display.png().startswith(b"\x89PNG") and plt.get_fignums() == []


# --- dead neurons ----------------------------------------------------------------------------------------------------


def test_points_and_intervals_are_those_of_the_report():
    display = plot.DeadNeuronsDisplay(Dead()).plot()
    total = display.artists["points"]["total"]
    np.testing.assert_allclose(total.get_xdata(), [0.5, 0.2 / 3 + 0.5 - 0.2 / 3, 0.5, 0.5])
    np.testing.assert_allclose(display.artists["points"]["static"].get_xdata(), np.linspace(0, 0.2, 4))
    for k, segment in enumerate(display.artists["interval"].get_segments()):
        np.testing.assert_allclose(segment[:, 0], [0.47, 0.54])
        np.testing.assert_allclose(segment[:, 1], total.get_ydata()[k])
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == list(SITES)
    assert display.figure_.get_suptitle() == "dead neurons, 1,000 samples, running statistics"
    assert display.ax_.get_ylim()[0] > display.ax_.get_ylim()[1], "the first site stands at the top"
    plt.close("all")


@pytest.mark.parametrize("nan", [0.0, 0.1])
def test_parts_exclude_each_other_and_add_to_one(nan):
    bars = plot.DeadNeuronsDisplay(Dead(nan=nan)).plot().artists["bars"]
    assert ("not a number" in bars) == (nan > 0)
    widths = {name: np.array([bar.get_width() for bar in group]) for name, group in bars.items()}
    np.testing.assert_allclose(sum(widths.values()), 1.0)
    np.testing.assert_allclose(widths["static, 0"], np.linspace(0, 0.2, 4))
    np.testing.assert_allclose(widths["on"], 1 - 0.5 - 0.02 - nan)
    ends = np.zeros(4)
    for group in bars.values():  # each begins where the one before ends
        np.testing.assert_allclose([bar.get_x() for bar in group], ends)
        ends = ends + [bar.get_width() for bar in group]
    plt.close("all")


def test_what_is_not_known_is_not_drawn():
    """One sample has no interval; a site without known static units has no bar."""
    report = Dead()
    report.samples = 1
    report.rates["static"] = report.rates["static"] * np.array([1, np.nan, 1, 1])
    report.rates["dynamic"] = report.rates["dynamic"] * np.array([1, np.nan, 1, 1])
    display = plot.DeadNeuronsDisplay(report).plot()
    assert "interval" not in display.artists
    widths = [[bar.get_width() for bar in group] for group in display.artists["bars"].values()]
    np.testing.assert_allclose(np.sum(widths, axis=0), [1, 0, 1, 1])
    plt.close("all")


def test_histogram_counts_channels_and_names_the_extremes():
    display = plot.FiringRatesDisplay(Dead()).plot()
    for counts in display.artists["counts"]:
        assert counts.sum() == 8
        assert counts[0] == 2 and counts[-1] == 1  # two never fire, one always does
    assert [t.get_text() for t in display.artists["shares"]] == ["25%, 12% of 8"] * 4
    plt.close("all")


# --- over cycles -----------------------------------------------------------------------------------------------------


def test_history_curves():
    display = plot.PruningHistoryDisplay(History(), "dynamic").plot()
    alive = 0.8 ** np.arange(6)
    assert [ax.get_title() for ax in display.figure_.axes] == [
        "rates of the network, pooled", "rate: dynamic of each site", "accuracy", "loss",
    ]  # fmt: skip
    x, y = display.artists["network"]["dynamic"].get_data()
    np.testing.assert_allclose(x, alive)
    np.testing.assert_allclose(y, 0.4 - 0.03 * np.arange(6))
    first = display.artists["sites"][0]
    np.testing.assert_allclose(first.get_ydata(), 0.5 - 0.03 * np.arange(6))
    assert first.get_label() == SITES[0]
    np.testing.assert_allclose(display.artists["values"]["accuracy"].get_ydata(), 70 - np.arange(6))
    left, right = display.ax_.get_xlim()
    assert left > 1 > right, "dense on the left"
    plt.close("all")


def test_history_without_measured_neurons_shows_the_layers():
    display = plot.PruningHistoryDisplay(History(dead=False)).plot()
    assert display.ax_.get_title() == "sparsity of each layer" and len(display.figure_.axes) == 3
    np.testing.assert_allclose(display.artists["sites"][1].get_ydata(), (1 - 0.8 ** np.arange(6)) / 2)
    plt.close("all")


def test_heat_map_has_a_row_per_site_and_a_column_per_cycle():
    display = plot.PruningHistoryDisplay(History(), "dynamic", "heatmap").plot()
    np.testing.assert_allclose(
        display.artists["image"].get_array(), np.linspace(0.5, 0.3, 4)[:, None] - 0.03 * np.arange(6)
    )
    assert display.ax_.get_xticklabels()[2].get_text() == "2\n0.64"
    plt.close("all")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((History(), "total", "bars"), "got 'bars', expected one of"), ((History(0),), "got no cycle, expected one")],
)
def test_history_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.PruningHistoryDisplay(*arguments)


def test_differences_are_paired_by_seed():
    """Two seeds that are ten points apart and differ by 1 and by 3: 2 ± 1, not 2 ± 7."""
    base = np.array([[60.0], [70.0]])
    values = {"alone": base, "with": base + np.array([[1.0], [3.0]])}
    display = plot.PrunedAccuracyDisplay(np.array([0.5]), values, "alone").plot()
    assert list(display.artists["differences"]) == ["with"]
    line, _, (bars,) = display.artists["differences"]["with"]
    assert line.get_ydata() == [2.0]
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [1.0, 3.0])
    line, _, (bars,) = display.artists["values"]["alone"]
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [60.0, 70.0])
    plt.close("all")


def test_accuracies_from_histories():
    runs = {"alone": [History(), History(test=72.0)], "with": [History(test=73.0), History(test=74.0)]}
    display = plot.PrunedAccuracyDisplay.from_histories(runs, reference="alone")
    np.testing.assert_allclose(display.alive, 0.8 ** np.arange(6))
    np.testing.assert_allclose(display.values["with"][:, 0], [73.0, 74.0])
    other = History()
    other.sparsity = other.sparsity * 0.9
    for group in ([History(3), History()], [other, History()]):
        with pytest.raises(ValueError, match="got runs of different sparsity"):
            plot.PrunedAccuracyDisplay.from_histories({"alone": runs["alone"], "with": group}, reference="alone")


def test_accuracy_errors():
    values = accuracies()
    with pytest.raises(ValueError, match=r"reference=.*got 'none', expected one of \['alone', 'with', 'control'\]"):
        plot.PrunedAccuracyDisplay(ALIVE, values, "none")
    for broken in (values | {"with": values["with"][:2]}, {name: x[:, :4] for name, x in values.items()}):
        with pytest.raises(ValueError, match=r"values=.*got shapes"):
            plot.PrunedAccuracyDisplay(ALIVE, broken, "alone")


def test_sensitivity_curves():
    display = plot.SensitivityDisplay(sensitivity()).plot()
    assert [c.get_label() for c in display.artists["curves"]] == [f"layer{k}.weight" for k in range(3)]
    np.testing.assert_allclose(display.artists["curves"][2].get_ydata(), [90.0, 88.0, 70.0])
    np.testing.assert_allclose(display.artists["together"].get_ydata(), [90.0, 70.0, 20.0])
    np.testing.assert_allclose(display.artists["together"].get_xdata(), [0.0, 0.5, 0.9])
    assert display.artists["baseline"].get_ydata()[0] == 90.0
    plt.close("all")


# --- of what is measured ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pruned():
    """A short run on random inputs, without training."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 12), nn.ReLU(), nn.Linear(12, 3))
    inputs = [torch.randn(40, 1, 6, 6)]
    run = pruning.IterativePruning(net, pruning.Magnitude(), rate=0.5, cycles=4, measure=inputs)
    for step in run:
        step.record(accuracy=float(step.cycle))
    return net, run.history


def test_measured_neurons_and_histories_are_drawn(pruned):
    _, history = pruned
    dead = history.reports[-1].dead
    display = dead.plot()
    np.testing.assert_array_equal(display.artists["points"]["total"].get_xdata(), dead.rate("total"))
    widths = [[bar.get_width() for bar in group] for group in display.artists["bars"].values()]
    np.testing.assert_allclose(np.sum(widths, axis=0), 1.0)
    counts = plot.FiringRatesDisplay(dead).plot().artists["counts"]
    assert [int(c.sum()) for c in counts] == [6, 12]
    curves = plot.PruningHistoryDisplay(history).plot()
    np.testing.assert_allclose(curves.artists["network"]["total"].get_ydata()[-1], dead.rate("total", "pooled"))
    np.testing.assert_allclose(curves.artists["values"]["accuracy"].get_xdata(), [1, 0.5, 0.25, 0.125], rtol=0.01)
    image = plot.PruningHistoryDisplay(history, "dynamic", "heatmap").plot().artists["image"].get_array()
    np.testing.assert_allclose(image[:, -1], dead.rate("dynamic"))
    same = plot.PrunedAccuracyDisplay.from_histories({"a": [history], "b": [history]}, reference="a")
    assert (same.values["b"] == np.arange(4.0)).all()
    plt.close("all")


def test_measured_sensitivity_is_drawn():
    """All weights are counted: half of the first layer alone, then half of all."""
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))

    def alive(model):
        return sum(int((m.weight != 0).sum()) for m in model if isinstance(m, nn.Linear))

    display = pruning.sensitivity(net, alive, sparsities=(0.5, 1.0)).plot()
    np.testing.assert_array_equal(display.artists["curves"][0].get_ydata(), [24, 16, 8])
    np.testing.assert_array_equal(display.artists["curves"][1].get_ydata(), [24, 20, 16])
    np.testing.assert_array_equal(display.artists["together"].get_ydata(), [24, 12, 0])
    plt.close("all")
