"""Part a: separable wavelets with four non-linearities and four poolings, as classifiers of small images.

Three levels (one for the digits) of undecimated Haar or biorthogonal wavelets, three directions each; layer 1 has no
pooling, layer 2 one by 2 x 2 or none; only paths whose scale does not fall. Every frame is divided by its upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from studies.fashion_mnist.classifier import Comparison
from studies.literature import architectures, kernel, ridge
from studies.literature.images import Fit, Images, digits, extracted, fashion, packed, unpacked
from studies.literature.jobs import Found, Job
from studies.shared.summary import table_lines

#: Other features, for comparison: the pixels, kymatio's transform, and a network of the study of Fashion-MNIST.
OTHERS = ("pixels", "kymatio", "T1 best")
CLASSIFIERS: dict[str, Callable[[Tensor, Tensor, int], Fit]] = {"linear": ridge.linear, "RBF": kernel.rbf}
CONSTANTS = {"linear": ridge.CONSTANTS, "RBF": kernel.CONSTANTS}


@dataclass(frozen=True)
class Size:
    """Numbers of images.

    Parameters
    ----------
    train, large, test : int
        Training images of Fashion-MNIST in the small and the large table, and test images.
    digits : int
        Training images of the digits.
    best : tuple of str
        The combinations that the large table has for RBF too: those of the small one with the fewest errors on left-out
        training images, for one classifier or the other.
    """

    train: int
    large: int
    test: int
    digits: int
    best: tuple[str, ...]


FULL = Size(train=5_000, large=20_000, test=10_000, digits=1_000, best=("Haar, modulus, mean", "Haar, ReLU, none"))
QUICK = Size(train=60, large=90, test=40, digits=200, best=("Haar, modulus, max",))


@dataclass(frozen=True)
class Row:
    """Test errors of one classifier on the features of one network, in per cent.

    Parameters
    ----------
    data : str
    train : int
        Training images.
    classifier, network : str
    features : int
    error, standard_error : float
        Binomial.
    minus_kymatio, minus_kymatio_error : float or None
        Difference to the same classifier on kymatio's transform, and its standard error, paired over images.
    validation : float
        Error on training images that were left out, by which the constants are chosen; for RBF of at most 5,000.
    penalty : float or None
        Of the ridge regression.
    gamma, cost : float or None
        Of the support vector machine; gamma in units of one over the median squared distance.
    """

    data: str
    train: int
    classifier: str
    network: str
    features: int
    error: float
    standard_error: float
    minus_kymatio: float | None
    minus_kymatio_error: float | None
    validation: float
    penalty: float | None = None
    gamma: float | None = None
    cost: float | None = None


def measure(settings: dict[str, Any], data: Images) -> dict[str, Any]:
    """What the classifiers make of the features of a network, beside the settings."""
    features = extracted(architectures.transform(settings["network"], data.images.shape[-1]), data.images)
    found = {}
    for name in settings["classifiers"]:
        fit = CLASSIFIERS[name](features, data.labels, data.train)
        found[name] = {"wrong": packed(fit.wrong), "validation": fit.validation, "chosen": fit.chosen}
    return {**settings, "features": features.shape[1], "classifiers": found}


def jobs(size: Size, folder: Path) -> list[Job]:
    """All combinations and comparisons on both data sets; with more training images RBF for the best ones only."""
    images = fashion(folder, size.large, size.test)
    small, few, grid = images.few(size.train), digits(size.digits), architectures.grid_names()
    plan = [("fashion", small, name, CONSTANTS) for name in (*OTHERS, *grid)]
    plan += [("digits", few, name, CONSTANTS) for name in ("pixels", "kymatio", *grid)]
    plan += [("fashion", images, name, CONSTANTS) for name in (*OTHERS, *size.best)]
    plan += [("fashion", images, name, {"linear": CONSTANTS["linear"]}) for name in grid if name not in size.best]
    found = []
    for data, part, name, classifiers in plan:
        settings = {"data": data, "train": part.train, "test": len(part.labels) - part.train, "network": name}
        settings["classifiers"] = classifiers
        found.append(Job("a", f"{data}-{part.train}-{_slug(name)}", settings, partial(measure, settings, part)))
    return found


def _slug(name: str) -> str:
    return name.replace(", ", "-").replace(" - 1/2", "").replace(" ", "-").lower()


def rows(found: Found) -> list[Row]:
    """One row per classifier, network, data set and number of training images."""
    runs = [(c, r, r["classifiers"][c]) for r in found.values() for c in r["classifiers"]]
    base = {_key(c, r): fit for c, r, fit in runs if r["network"] == "kymatio"}
    table = []
    for c, r, fit in runs:
        missed, against = (unpacked(f["wrong"], r["test"]) for f in (fit, base[_key(c, r)]))
        pair = Comparison.of(missed, against)
        gap = (None, None) if r["network"] == "kymatio" else (pair.difference, pair.standard_error)
        spread = 100 * (pair.error / 100 * (1 - pair.error / 100) / r["test"]) ** 0.5
        head = (r["data"], r["train"], c, r["network"], r["features"], pair.error, spread)
        table.append(Row(*head, *gap, fit["validation"], **fit["chosen"]))
    return sorted(table, key=lambda row: (row.data != "fashion", row.train, list(CLASSIFIERS).index(row.classifier)))


def _key(classifier: str, r: dict[str, Any]) -> tuple[str, int, str]:
    return r["data"], r["train"], classifier


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"a_discrete": rows(found)}


def markdown(found: Found) -> str:
    """What the combinations are compared with, and the combinations of each data set."""
    lines: list[str] = []
    table = rows(found)
    for data, train in dict.fromkeys((r.data, r.train) for r in table):
        parts = {
            c: {r.network: r for r in table if (r.data, r.train, r.classifier) == (data, train, c)} for c in CLASSIFIERS
        }
        grid = architectures.grid_names()
        few = [name for name in grid if all(name in part for part in parts.values())]
        if few == grid:
            few = [min(grid, key=lambda name: part[name].validation) for part in parts.values()]
        lines += [f"{data}, {train} training images:", "", *_few(parts, few), ""]
        for classifier, part in parts.items():
            if all(name in part for name in grid):
                lines += [f"{data}, {train} training images, {classifier}:", "", *_grid(part), ""]
    return "\n".join(lines).rstrip() + "\n"


def _few(parts: dict[str, dict[str, Row]], best: Sequence[str]) -> list[str]:
    """The features of `OTHERS`, and some combinations, by classifier."""
    head = ["features", "number", *(f"{c}: {what}" for c in parts for what in ("error, %", "minus kymatio"))]
    body = []
    for name in dict.fromkeys([*(name for name in OTHERS if name in parts["linear"]), *best]):
        chosen = [part[name] for part in parts.values()]
        body.append([name, str(chosen[0].features), *(cell for r in chosen for cell in (_error(r), _gap(r)))])
    return table_lines(head, body)


def _grid(part: dict[str, Row]) -> list[str]:
    columns = [(w, m) for w in architectures.WAVELETS for m in architectures.NONLINEARITIES]
    head = ["pooling", *(f"{w} {m}" for w, m in columns)]
    body: list[Sequence[str]] = [
        [p, *(f"{part[f'{w}, {m}, {p}'].error:.2f}" for w, m in columns)] for p in architectures.POOLINGS
    ]
    return table_lines(head, body)


def _error(row: Row) -> str:
    return f"{row.error:.2f} +- {row.standard_error:.2f}"


def _gap(row: Row) -> str:
    return "" if row.minus_kymatio is None else f"{row.minus_kymatio:+.2f} +- {row.minus_kymatio_error:.2f}"


def draw(found: Found, path: Path) -> None:
    """Errors by non-linearity and pooling: data sets and wavelets side by side, classifiers below each other."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    table = [r for r in rows(found) if r.train == min(o.train for o in rows(found) if o.data == r.data)]
    panels = [(d, w) for d in dict.fromkeys(r.data for r in table) for w in architectures.WAVELETS]
    with house_style():
        figure, axes = plt.subplots(
            len(CLASSIFIERS), len(panels), figsize=(14, 6.6), layout="constrained", sharex=True, squeeze=False
        )
        for row, classifier in zip(axes, CLASSIFIERS, strict=True):
            for k, (ax, (data, wavelet)) in enumerate(zip(row, panels, strict=True)):
                ax.sharey(row[k - k % len(architectures.WAVELETS)])
                part = {r.network: r for r in table if (r.data, r.classifier) == (data, classifier)}
                _panel(ax, part, wavelet)
                ax.set_title(f"{data}, {wavelet}, {classifier}")
            row[0].set_ylabel("test error, %")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=8)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _panel(ax: Any, part: dict[str, Row], wavelet: str) -> None:
    poolings = list(architectures.POOLINGS)
    for k, name in enumerate(architectures.NONLINEARITIES):
        chosen = [part[f"{wavelet}, {name}, {p}"] for p in poolings]
        x = [i + 0.15 * (k - 1.5) for i in range(len(poolings))]
        ax.errorbar(x, [r.error for r in chosen], [r.standard_error for r in chosen], fmt=_MARKERS[name], label=name)
    ax.axhline(part["kymatio"].error, color="0.4", ls="--", label="kymatio")
    ax.set_xticks(range(len(poolings)), poolings, rotation=20)


_MARKERS = {"modulus": "o", "ReLU": "s", "tanh": "^", "sigmoid - 1/2": "D"}
