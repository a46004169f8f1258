"""From the packed states of the indicators to named quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scatter_theory.bnn._indicator_tally import Tally
from scatter_theory.meters import Pooling, Reduction, Report

#: Forms of the estimating error, with the kind of statistic that each is.
FORMS = {"l2": "root_sum", "l2_squared": "sum", "mse": "mean", "rms": "root_mean"}


@dataclass(frozen=True, slots=True)
class Totals:
    """The two indicators over a whole run.

    Parameters
    ----------
    e : float
        Mean over the measured steps of the estimating error (L2 norms, reduced over tensors).
    s : float
        Sum over the measured steps of the gradient stability (variances of the moduli, reduced over tensors).
    steps : int
        Measured steps.
    """

    e: float
    s: float
    steps: int


def totals(report: Report, reduction: Reduction | None = None) -> Totals:
    """Error averaged and stability added up over the measured steps, as the released code of ReSTE prints them."""
    e, s = report.pooled("error_l2", reduction), report.pooled("stability", reduction)
    return Totals(float(e.mean()) if e.size else float("nan"), float(s.sum()), len(report.steps))


def build(
    sites: tuple[str, ...],
    steps: list[int],
    packed: Tensor,
    curves: tuple[str, ...],
    unbiased: bool,
    reduction: Reduction,
    facts: Mapping[str, str | int | float],
    skipped: Mapping[str, Mapping[str, int]],
) -> Report:
    """Report of all quantities.

    Parameters
    ----------
    sites : tuple of str
        Paths of the tensors.
    steps : list of int
        Numbers of the steps.
    packed : (n_sites, n_steps, length) float64 tensor
        States as ``Tally.pack`` gives them.
    curves : tuple of str
        Curves of the estimating error; the first has columns without its name.
    unbiased : bool
        Divisor of the variances.
    reduction, facts, skipped
        As in ``Report``.
    """
    state = Tally.unpack(packed)
    counts = {name: array.numpy().astype(float) for name, array in state.counts.finalise().items()}
    gradient = {name: array.numpy().astype(float) for name, array in state.gradient.finalise(unbiased).items()}
    looked_at = counts["finite"] + state.errors.excluded[0].numpy()
    values: dict[str, np.ndarray] = {"n": counts["finite"]}
    rules = {"n": Pooling("sum", "n")}
    for k, curve in enumerate(curves):
        suffix = "" if k == 0 else f"[{curve}]"
        for form, array in _forms(state.errors.total[k].numpy(), counts, looked_at).items():
            values[f"error_{form}{suffix}"] = array
            rules[f"error_{form}{suffix}"] = Pooling(FORMS[form], "n")
    values |= {"gradient_n": gradient["n"], "gradient_mean": gradient["mean"]}
    rules |= {"gradient_n": Pooling("sum", "gradient_n"), "gradient_mean": Pooling("mean", "gradient_n")}
    for name, kind in (("variance", "variance"), ("cv2", "cv2")):
        label = {"variance": "stability", "cv2": "stability_cv2"}[name]
        values[label] = gradient[name]
        rules[label] = Pooling(kind, "gradient_n", "gradient_mean", "stability", unbiased)
    for name, label, whole in _SHARES:
        values[whole] = counts["finite" if whole == "n" else whole]
        rules[whole] = Pooling("sum", whole)
        values[label] = _ratio(counts[name], values[whole])
        rules[label] = Pooling("mean", whole)
    values["excluded"] = state.errors.excluded[0].numpy() + gradient["excluded"]
    rules["excluded"] = Pooling("sum", "n")
    return Report(
        "indicators of a binary network", sites, np.asarray(steps, dtype=np.int64), values, rules, reduction, facts,
        skipped,
    )  # fmt: skip


#: Counter, name of its share, and the counter that is the whole.
_SHARES = (
    ("saturated", "saturated", "n"),
    ("inner", "inner", "n"),
    ("dead", "dead", "n"),
    ("flipped", "flip_rate", "compared"),
)


def _forms(total: np.ndarray, counts: Mapping[str, np.ndarray], looked_at: np.ndarray) -> dict[str, np.ndarray]:
    """The four forms of the error; norms and sums refer to all entries, also where only some were looked at."""
    there = np.where(counts["finite"] > 0, total, np.nan)
    whole = there * _ratio(counts["size"], looked_at)
    mse = _ratio(there, counts["finite"])
    return {"l2": np.sqrt(whole), "l2_squared": whole, "mse": mse, "rms": np.sqrt(mse)}


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b > 0, a / b, np.nan)
