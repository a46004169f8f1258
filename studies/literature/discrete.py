"""Part a: separable wavelets with four non-linearities and four poolings, as classifiers of small images.

Three levels (one for the digits) of undecimated Haar or biorthogonal wavelets, three directions each; layer 1 has no
pooling, layer 2 one by 2 x 2 or none; only paths whose scale does not fall. Every frame is divided by its upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from studies.fashion_mnist.classifier import Comparison
from studies.literature import architectures
from studies.literature.images import (
    Images,
    digits,
    errors_by_penalty,
    extracted,
    fashion,
    packed,
    unpacked,
    wrong,
)
from studies.literature.jobs import Found, Job
from studies.shared.summary import table_lines

#: Other features, for comparison: the pixels, kymatio's transform, and a network of the study of Fashion-MNIST.
OTHERS = ("pixels", "kymatio", "T1 best")
#: Of these the errors for all penalties are shown too.
BY_PENALTY = ("kymatio", "T1 best", "Haar, modulus, max")


@dataclass(frozen=True)
class Size:
    """Training images of Fashion-MNIST in the small and the large table, test images, training images of the digits.

    The large table has only the features of `OTHERS`.
    """

    train: int
    large: int
    test: int
    digits: int


FULL = Size(train=5_000, large=20_000, test=10_000, digits=1_000)
QUICK = Size(train=60, large=90, test=40, digits=200)


@dataclass(frozen=True)
class Row:
    """Test errors of one network, in per cent.

    Parameters
    ----------
    data : str
    train : int
        Training images.
    network : str
    features : int
    error, standard_error : float
        Binomial.
    minus_kymatio, minus_kymatio_error : float or None
        Difference to kymatio's transform on the same images, and its standard error, paired over images.
    penalty : float
        Of the ridge regression.
    """

    data: str
    train: int
    network: str
    features: int
    error: float
    standard_error: float
    minus_kymatio: float | None
    minus_kymatio_error: float | None
    penalty: float


@dataclass(frozen=True)
class Penalty:
    """Test error of one network for one penalty, in per cent."""

    network: str
    penalty: float
    error: float


def measure(name: str, data: Images) -> dict[str, Any]:
    """Wrong predictions, number of features and penalty."""
    features = extracted(architectures.transform(name, data.images.shape[-1]), data.images)
    missed, penalty = wrong(features, data)
    return {"features": features.shape[1], "wrong": packed(missed), "count": len(missed), "penalty": penalty}


def jobs(size: Size, folder: Path) -> list[Job]:
    """All combinations and comparisons on both data sets, and the comparisons alone with more training images."""
    images = fashion(folder, size.large, size.test)
    plan = [
        ("fashion", images.few(size.train), [*OTHERS, *architectures.grid_names()]),
        ("fashion", images, list(OTHERS)),
    ]
    plan += [("digits", digits(size.digits), ["pixels", "kymatio", *architectures.grid_names()])]
    found = []
    for data, part, names in plan:
        for name in names:
            settings = {"data": data, "train": part.train, "test": len(part.labels) - part.train, "network": name}
            found.append(Job("a", f"{data}-{part.train}-{_slug(name)}", settings, partial(_kept, settings, part)))
    small = images.few(size.train)
    for name in BY_PENALTY:
        settings = {"train": small.train, "test": size.test, "network": name}
        found.append(Job("a", f"penalties-{_slug(name)}", settings, partial(_penalties, name, small)))
    return found


def _slug(name: str) -> str:
    return name.replace(", ", "-").replace(" - 1/2", "").replace(" ", "-").lower()


def _penalties(name: str, data: Images) -> list[dict[str, Any]]:
    features = extracted(architectures.transform(name, data.images.shape[-1]), data.images)
    return [asdict(Penalty(name, p, e)) for p, e in errors_by_penalty(features, data).items()]


def _kept(settings: dict[str, Any], images: Images) -> dict[str, Any]:
    return {**settings, **measure(settings["network"], images)}


def rows(found: Found) -> list[Row]:
    """One row per network, data set and number of training images."""
    runs = [r for name, r in found.items() if not name.startswith("penalties-")]
    base = {_key(r): r for r in runs if r["network"] == "kymatio"}
    table = []
    for r in runs:
        missed = unpacked(r["wrong"], r["count"])
        against = unpacked(base[_key(r)]["wrong"], r["count"])
        pair = Comparison.of(missed, against)
        gap = (None, None) if r["network"] == "kymatio" else (pair.difference, pair.standard_error)
        spread = 100 * (pair.error / 100 * (1 - pair.error / 100) / r["count"]) ** 0.5
        head = (r["data"], r["train"], r["network"], r["features"], pair.error, spread)
        table.append(Row(*head, *gap, r["penalty"]))
    return table


def penalties(found: Found) -> list[Penalty]:
    """Test errors by penalty, of the small table."""
    return [Penalty(**row) for name, part in found.items() if name.startswith("penalties-") for row in part]


def _key(r: dict[str, Any]) -> tuple[str, int]:
    return r["data"], r["train"]


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"a_discrete": rows(found), "a_penalties": penalties(found)}


def markdown(found: Found) -> str:
    """The combinations of each data set, and what they are compared with."""
    lines: list[str] = []
    table = rows(found)
    for data, train in dict.fromkeys((r.data, r.train) for r in table):
        part = {r.network: r for r in table if (r.data, r.train) == (data, train)}
        lines += [f"{data}, {train} training images:", "", *_others(part), ""]
        if any(name in part for name in architectures.grid_names()):
            lines += [*_grid(part), ""]
    lines += ["Test errors in % by penalty (fashion, the smaller number of training images):", ""]
    by_network = {n: [p for p in penalties(found) if p.network == n] for n in BY_PENALTY}
    head = ["features", *(f"{p.penalty:.3g}" for p in by_network[BY_PENALTY[0]])]
    lines += table_lines(head, ([n, *(f"{p.error:.2f}" for p in part)] for n, part in by_network.items()))
    return "\n".join(lines) + "\n"


def _others(part: dict[str, Row]) -> list[str]:
    head = ["features", "number", "error, %", "minus kymatio"]
    return table_lines(head, ([n, str(r.features), _error(r), _gap(r)] for n, r in part.items() if n in OTHERS))


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
    """Errors by non-linearity and pooling, one panel per data set and wavelet."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    table = [r for r in rows(found) if r.network in architectures.grid_names()]
    panels = [(d, w) for d in dict.fromkeys(r.data for r in table) for w in architectures.WAVELETS]
    reference = {r.data: r.error for r in rows(found) if r.network == "kymatio" and (r.data, r.train) in _sizes(table)}
    with house_style():
        figure, axes = plt.subplots(1, len(panels), figsize=(14, 3.8), layout="constrained")
        for ax, (data, wavelet) in zip(axes, panels, strict=True):
            part = {r.network: r for r in table if r.data == data}
            for k, name in enumerate(architectures.NONLINEARITIES):
                chosen = [part[f"{wavelet}, {name}, {p}"] for p in architectures.POOLINGS]
                x = [i + 0.15 * (k - 1.5) for i in range(len(architectures.POOLINGS))]
                ax.errorbar(
                    x, [r.error for r in chosen], [r.standard_error for r in chosen], fmt=_MARKERS[name], label=name
                )
            ax.axhline(reference[data], color="0.4", ls="--", label="kymatio")
            ax.set_xticks(range(len(architectures.POOLINGS)), list(architectures.POOLINGS), rotation=20)
            ax.set_title(f"{data}, {wavelet}")
        axes[0].set_ylabel("test error, %")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=8)
        figure.savefig(path, dpi=110)
        plt.close(figure)


_MARKERS = {"modulus": "o", "ReLU": "s", "tanh": "^", "sigmoid - 1/2": "D"}


def _sizes(table: Sequence[Row]) -> set[tuple[str, int]]:
    return {(r.data, r.train) for r in table}
