"""From the finished runs to the tables of the study: means over seeds, and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studies.learned.measures import RADII, SHIFTS, SIZES
from studies.learned.network import METHODS
from studies.shared.summary import spread, table_lines

#: Results of one method, by seed.
Runs = Mapping[str, Sequence[dict[str, Any]]]
#: The method that all are compared with beside the fixed frame.
FREE = "free"


@dataclass(frozen=True)
class Row:
    """One quantity of one method: mean over seeds, and paired differences, each with its standard error.

    Parameters
    ----------
    method, quantity : str
        Which; names of quantities are those of the files of runs.
    mean, error : float
    minus_fixed, minus_fixed_error, minus_free, minus_free_error : float
        Differences to the chosen fixed frame and to the unconstrained filters with the same seeds.
    """

    method: str
    quantity: str
    mean: float
    error: float
    minus_fixed: float
    minus_fixed_error: float
    minus_free: float
    minus_free_error: float


def values(runs: Runs, method: str, quantity: str) -> list[float]:
    """A quantity of all seeds, in order."""
    return [float(found[quantity]) for found in runs[method]]


def difference(runs: Runs, a: str, b: str, quantity: str) -> tuple[float, float]:
    """Mean of a minus b over seeds, and its standard error."""
    pairs = zip(values(runs, a, quantity), values(runs, b, quantity), strict=True)
    return spread([x - y for x, y in pairs])


def rows(runs: Runs, chosen: str) -> list[Row]:
    """All quantities of all methods."""
    first = next(iter(runs.values()))[0]
    quantities = [key for key, value in first.items() if isinstance(value, int | float) and key != "seconds"]
    return [
        Row(m, q, *spread(values(runs, m, q)), *difference(runs, m, chosen, q), *difference(runs, m, FREE, q))
        for m in runs
        for q in quantities
    ]


def defect(runs: Runs, method: str) -> float:
    """Largest distance of a frame bound from 1, over layers, epochs and seeds."""
    return max(row["defect"] for found in runs[method] for row in found["history"])


def range_of(runs: Runs, method: str) -> tuple[float, float]:
    """Smallest A and largest B at the end of training, over layers and seeds."""
    last = [found["history"][-1] for found in runs[method]]
    return min(min(row["A1"], row["A2"]) for row in last), max(max(row["B1"], row["B2"]) for row in last)


def best_learned(runs: Runs) -> str:
    """The learned tight frame with the highest mean validation accuracy."""
    tight = [m for m in runs if METHODS[m].kind == "learned" and METHODS[m].tight]
    return max(tight, key=lambda m: spread(values(runs, m, "validation"))[0])


def markdown(runs: Runs, choice: Mapping[str, dict[str, Any]], chosen: str) -> str:
    """All tables, and what follows from them."""
    parts = [
        ("Choice of the fixed frame: validation accuracy in per cent, one run each", _choice(choice, chosen)),
        ("Accuracy in per cent", _accuracies(runs, chosen)),
        ("Frame bounds and Lipschitz constants of the extractor", _constants(runs)),
        (
            "Change of the features relative to themselves, worst over images and maps; last: largest share of the "
            "bound L times the change of the image, over all of these",
            _sensitivity(runs),
        ),
        ("Accuracy in per cent of moved images, mean over the maps of each size", _moved(runs, "accuracy")),
        ("The same, right under all maps of each size", _moved(runs, "worst_accuracy")),
        ("Perturbations by norm: accuracy under attack / certified accuracy, in per cent", _perturbed(runs)),
    ]
    lines = [line for title, table in parts for line in (f"**{title}**", "", *table, "")]
    return "\n".join([*lines, *(f"* {line}" for line in claims(runs, chosen))]) + "\n"


def _pm(pair: tuple[float, float], form: str = ".2f") -> str:
    mean, error = pair
    return format(mean, form) + ("" if math.isnan(error) else f" ± {error:.2f}")


def _choice(choice: Mapping[str, dict[str, Any]], chosen: str) -> list[str]:
    body = [[name + (" (chosen)" if name == chosen else ""), f"{r['validation']:.2f}"] for name, r in choice.items()]
    return table_lines(["fixed frame", "validation"], body)


def _by_method(runs: Runs, heads: Sequence[str], cells: Callable[[str], Sequence[str]]) -> list[str]:
    return table_lines(["frame", *heads], ([m, *cells(m)] for m in runs))


def _accuracies(runs: Runs, chosen: str) -> list[str]:
    def cells(m: str) -> list[str]:
        to = [_pm(difference(runs, m, other, "test"), "+.2f") if m != other else "" for other in (chosen, FREE)]
        means = [_pm(spread(values(runs, m, name))) for name in ("validation", "test")]
        return [str(runs[m][0]["weights"]), *means, *to]

    return _by_method(
        runs, ["weights of frames", "validation", "test", f"test minus {chosen}", "test minus free"], cells
    )


def _constants(runs: Runs) -> list[str]:
    def cells(m: str) -> list[str]:
        A, B = range_of(runs, m)
        kept = f"{defect(runs, m):.1e}" if METHODS[m].tight else ""
        L, low = (spread(values(runs, m, name))[0] for name in ("lipschitz", "attained"))
        shares = values(runs, m, "translation_share")
        applies = all(r["translation_outcome"] == "HOLDS" for r in runs[m])
        return [f"{A:.4g}", f"{B:.4g}", kept, f"{L:.4g}", f"{low:.4g}", f"{max(shares):.3f}" if applies else "none"]

    heads = [
        "least A",
        "largest B",
        "largest distance from 1",
        "L certified",
        "L attained",
        "share of translation bound",
    ]
    return _by_method(runs, heads, cells)


def _sensitivity(runs: Runs) -> list[str]:
    names = [f"shift_{t:g}" for t in SHIFTS] + [f"deformation_{s:g}" for s in SIZES]

    def cells(m: str) -> list[str]:
        means = [f"{spread(values(runs, m, f'{name}_worst_change'))[0]:.3f}" for name in names]
        return [*means, f"{max(max(values(runs, m, f'{name}_share')) for name in names):.3f}"]

    return _by_method(runs, [*(name.replace("_", " ") for name in names), "share"], cells)


def _moved(runs: Runs, name: str) -> list[str]:
    moves = [("test", "none")] if name == "accuracy" else []
    moves += [(f"shift_{t:g}_{name}", f"shift {t:g}") for t in SHIFTS]
    moves += [(f"deformation_{s:g}_{name}", f"deformation {s:g}") for s in SIZES]
    return _by_method(runs, [head for _, head in moves], lambda m: [_pm(spread(values(runs, m, q))) for q, _ in moves])


def _perturbed(runs: Runs) -> list[str]:
    def cells(m: str) -> list[str]:
        pairs = ((spread(values(runs, m, f"{kind}_{r:g}"))[0] for kind in ("attacked", "certified")) for r in RADII)
        return [*(f"{a:.1f} / {c:.1f}" for a, c in pairs), f"{spread(values(runs, m, 'radius'))[0]:.3f}"]

    return _by_method(runs, [*(f"{r:g}" for r in RADII), "median certified radius"], cells)


def claims(runs: Runs, chosen: str) -> list[str]:
    """What the study was made to decide, as found."""
    best = best_learned(runs)
    pairs = [(chosen, "the chosen fixed frame"), (FREE, "unconstrained filters")]
    compared = ", ".join(f"minus {what} {_pm(difference(runs, best, b, 'test'), '+.2f')}" for b, what in pairs)
    kept = max(defect(runs, m) for m in runs if METHODS[m].tight)
    A, B = range_of(runs, FREE)
    broken = sum(int(sum(values(runs, m, f"broken_{r:g}"))) for m in runs for r in RADII)
    above = [m for m in runs if any(r["attained"] > r["lipschitz"] * (1 + 1e-9) for r in runs[m])]
    tight = [m for m in runs if METHODS[m].kind == "learned" and METHODS[m].tight]
    better = [m for m in tight if difference(runs, m, chosen, "test")[0] >= 0]
    return [
        f"best learned tight frame by validation: {best}; test accuracy {compared} points",
        f"learned tight frames with at least the test accuracy of {chosen}: {', '.join(better) or 'none'}",
        f"tight frames: A and B within {kept:.1e} of 1 after every epoch; unconstrained at the end: [{A:.3g}, {B:.3g}]",
        f"images that an attack broke inside their certified radius: {broken}",
        f"Lipschitz constants attained above the certified one: {', '.join(above) or 'none'}",
    ]
