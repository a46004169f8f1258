"""From the finished runs to the table of the study: means over seeds, and differences paired by seed."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from studies.bnn.network import POWERS
from studies.shared.batches import Data
from studies.shared.summary import accuracy, spread, table_lines

Run = dict[str, Any]
Runs = dict[str, dict[int, Run]]

#: What the others are compared with, ReSTE with each of the powers, and with the published one.
REFERENCE = "ste"
SWEEP = tuple(f"reste-{o}" for o in POWERS)
PUBLISHED = "reste-3"


def read(out: Path) -> Runs:
    """All finished runs, by name and seed."""
    runs: Runs = {}
    for path in sorted((out / "runs").glob("*.json")):
        run = json.loads(path.read_text())
        runs.setdefault(run["settings"]["name"], {})[run["settings"]["recipe"]["seed"]] = run
    return runs


def paired(a: dict[int, Run], b: dict[int, Run]) -> tuple[float, float]:
    """Mean and standard error over the common seeds of the difference of test accuracies, a - b."""
    return spread([a[seed]["test"] - b[seed]["test"] for seed in sorted(a.keys() & b.keys())])


@dataclass(frozen=True)
class Row:
    """One estimator. Means over seeds; NaN where nothing is binary.

    Parameters
    ----------
    name, estimator : str
        Name in the study, and the estimator at the end of its schedule.
    seeds : int
        Number of runs.
    test, test_error : float
        Accuracy of the last epoch on the test images in per cent, and standard error.
    difference, difference_error : float
        To the reference, paired by seed, and standard error.
    validation, loss : float
        Of the last epoch.
    official_e, official_s : float
        As the released code of ReSTE prints them: mean and sum over the epochs.
    weight_error, activation_error : float
        Mean squared estimating error in the last epoch, with the estimator of that epoch.
    run_error : float
        That of the weights, but averaged over all epochs.
    stability, gradient : float
        Variance and mean of the moduli of weight gradients, pooled over all weights, averaged over all epochs.
    weight_cv2, activation_cv2 : float
        Variance over squared mean of the moduli of gradients, per layer, averaged over layers and epochs.
    inner, flip_rate, activation_dead : float
        Shares in the last epoch: of weights within the inner limit; of weights whose sign differs from the reading
        before; of activations where the estimator stops the gradient.
    cpu_seconds : float
        Per run.
    """

    name: str
    estimator: str
    seeds: int
    test: float
    test_error: float
    difference: float
    difference_error: float
    validation: float
    loss: float
    official_e: float
    official_s: float
    weight_error: float
    activation_error: float
    run_error: float
    stability: float
    gradient: float
    weight_cv2: float
    activation_cv2: float
    inner: float
    flip_rate: float
    activation_dead: float
    cpu_seconds: float


def rows(runs: Runs) -> list[Row]:
    """One row per estimator."""
    return [_row(name, of_seed, runs[REFERENCE]) for name, of_seed in runs.items()]


def _row(name: str, of_seed: dict[int, Run], reference: dict[int, Run]) -> Row:
    found = list(of_seed.values())

    def mean(reading: Callable[[Run], float]) -> float:
        return spread([reading(run) for run in found])[0]

    def last(role: str, quantity: str) -> float:
        return mean(lambda run: run["history"][-1].get(role, {}).get(quantity, math.nan))

    def over_run(role: str, quantity: str) -> float:
        return mean(lambda run: spread([e.get(role, {}).get(quantity, math.nan) for e in run["history"]])[0])

    test, test_error = spread([run["test"] for run in found])
    difference, difference_error = paired(of_seed, reference)
    return Row(
        name,
        found[0]["settings"]["estimator"],
        len(found),
        test,
        test_error,
        difference,
        difference_error,
        validation=mean(lambda run: run["history"][-1]["validation"]),
        loss=mean(lambda run: run["history"][-1]["loss"]),
        official_e=over_run("official", "error"),
        official_s=over_run("official", "stability") * len(found[0]["history"]),
        weight_error=last("weights", "error"),
        activation_error=last("activations", "error"),
        run_error=over_run("weights", "error"),
        stability=over_run("weights", "stability"),
        gradient=over_run("weights", "gradient"),
        weight_cv2=over_run("weights", "cv2_layers"),
        activation_cv2=over_run("activations", "cv2_layers"),
        inner=last("weights", "inner"),
        flip_rate=last("weights", "flip_rate"),
        activation_dead=last("activations", "dead"),
        cpu_seconds=mean(lambda run: run["cpu_seconds"]),
    )


def markdown(table: Sequence[Row], linear: float) -> str:
    """Two tables: accuracies, and the two indicators."""
    head = ["estimator", "test, %", f"minus {REFERENCE}", "validation, %", "loss", "CPU s"]
    lines = table_lines(head, ([r.name, *_accuracies(r)] for r in table))
    lines += [f"| linear classifier | {linear:.2f} |" + " |" * (len(head) - 2), ""]
    head = ["estimator", "official e", "official s", "error", "var", "CV2", "inner", "act. error", "act. CV2"]
    lines += table_lines(head, ([r.name, *_indicators(r)] for r in table if not math.isnan(r.official_e)))
    return "\n".join(lines)


def _accuracies(r: Row) -> list[str]:
    difference = "" if r.name == REFERENCE else f"{r.difference:+.2f} ± {r.difference_error:.2f}"
    test = f"{r.test:.2f} ± {r.test_error:.2f}"
    return [test, difference, f"{r.validation:.2f}", f"{r.loss:.3f}", f"{r.cpu_seconds:.0f}"]


def _indicators(r: Row) -> list[str]:
    quantities = (r.official_e, r.official_s, r.run_error, r.stability, r.weight_cv2)
    digits = [f"{x:.3g}" for x in quantities]
    return [*digits, f"{r.inner:.3f}", f"{r.activation_error:.3g}", f"{r.activation_cv2:.3g}"]


#: Quantities of the sweep, and whether the claim has them fall (-1) or rise (1) with the final power.
CLAIMED = {
    "official_e": -1,
    "run_error": -1,
    "weight_error": -1,
    "activation_error": -1,
    "official_s": 1,
    "stability": 1,
    "weight_cv2": 1,
    "activation_cv2": 1,
}


def claims(runs: Runs) -> list[str]:
    """What the sweep says about the claim: error falls, instability rises, accuracy has an inner maximum."""
    mean = _sweep(runs)
    seeds = [_sweep({name: {seed: found[seed]} for name, found in runs.items()}) for seed in runs[REFERENCE]]
    lines = []
    for quantity, sense in CLAIMED.items():
        hold = sum(_monotone(swept, quantity, sense) for swept in seeds)
        whole = "yes" if _monotone(mean, quantity, sense) else "no"
        verb = "falls" if sense < 0 else "rises"
        lines.append(f"{quantity} {verb} at every step of o: {whole} (means), in {hold} of {len(seeds)} seeds")
    best = max(mean, key=lambda row: row.test).name
    lines.append(f"highest mean accuracy in the sweep: {best}")
    for a in dict.fromkeys((best, PUBLISHED)):
        for b in (*SWEEP, REFERENCE, "pareto"):
            if a != b:
                difference, error = paired(runs[a], runs[b])
                ahead = sum(runs[a][seed]["test"] > runs[b][seed]["test"] for seed in runs[a])
                lines.append(
                    f"{a} minus {b}: {difference:+.2f} ± {error:.2f}, above 0 in {ahead} of {len(runs[a])} seeds"
                )
    return lines


def _sweep(runs: Runs) -> list[Row]:
    table = {row.name: row for row in rows(runs)}
    return [table[name] for name in SWEEP]


def _monotone(swept: Sequence[Row], quantity: str, sense: int) -> bool:
    x = [getattr(row, quantity) for row in swept]
    return all(sense * (b - a) > 0 for a, b in itertools.pairwise(x))


def linear_accuracy(data: Data) -> float:
    """Test accuracy in per cent of logistic regression on the same images, with a weight decay of 1e-4."""
    size = data.train.images[0].numel()
    model = nn.Sequential(nn.Flatten(), nn.Linear(size, 10))
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(model(data.train.images), data.train.labels)
        loss = loss + 1e-4 * model[1].weight.square().sum() / 2
        loss.backward()
        return loss

    optimiser.step(closure)
    return accuracy(model, data.test)
