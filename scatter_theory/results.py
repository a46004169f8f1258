"""What a verifier returns: frozen results that can be printed, drawn, stored and re-run.

Measuring, judging and drawing are three things. A verifier measures; `judge` below is the only place where numbers
become an `Outcome`; `BoundCheck.plot` draws.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from scatter_theory.comparison import Comparison
from scatter_theory.constants import Constant, Provenance
from scatter_theory.optional import data_frame
from scatter_theory.theory import THEOREMS


class Outcome(Enum):
    """The five verdicts; the value is the sentence that explains it."""

    HOLDS = "every measured value stays below the proven bound, within rounding"
    VIOLATED = "a measured value exceeds the bound by more than all errors: the claim is false as stated"
    INCONCLUSIVE = "the measurement cannot decide: errors or unproven constants are too large, or there was no data"
    VACUOUS = "the bound is above a trivial limit everywhere, so that holding says nothing"
    INAPPLICABLE = "a hypothesis of the theorem fails, so that it makes no statement here"

    @property
    def symbol(self) -> str:
        """One character that shows the outcome without colour."""
        return {"HOLDS": "✓", "VIOLATED": "✗", "INCONCLUSIVE": "?", "VACUOUS": "○", "INAPPLICABLE": "–"}[self.name]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A condition of a theorem, whether it is satisfied here, and the value that decided it.

    Parameters
    ----------
    text : str
        The condition, in words.
    satisfied : bool
        Whether it holds.
    value : float, str or None
        The number or the reason that decided.
    """

    text: str
    satisfied: bool
    value: float | str | None = None

    def __str__(self) -> str:
        value = "" if self.value is None else f" ({self.value if isinstance(self.value, str) else f'{self.value:.6g}'})"
        return f"[{'x' if self.satisfied else ' '}] {self.text}{value}"


@dataclass(frozen=True, slots=True)
class ErrorTerm:
    """One item of the error budget, in the unit of the measured values, shape ``(n_points,)`` or a number.

    ``rounding`` terms widen the bound; ``discretisation`` terms say how far the measured value may lie from the
    quantity of which the theorem speaks, on either side.

    Parameters
    ----------
    name : str
        Where the error comes from.
    value : (n_points,) array or float
        Its size, >= 0.
    kind : {"rounding", "discretisation"}
        What it does to the verdict.

    Raises
    ------
    ValueError
        For another kind.
    """

    name: str
    value: np.ndarray | float
    kind: str = "rounding"

    def __post_init__(self) -> None:
        if self.kind not in ("rounding", "discretisation"):
            raise ValueError(f"`ErrorTerm(kind=...)`: got {self.kind!r}, expected 'rounding' or 'discretisation'.")


@dataclass(frozen=True)
class BoundCheck:
    """A measured worst case beside its bound.

    Parameters
    ----------
    claim : str
        Key of the theorem in ``scatter_theory.theory.THEOREMS``.
    outcome : Outcome
        The verdict; made by `judge`, never by hand.
    x, x_label : (n_points,) array, str
        Sweep variable (shift, layer, pair, ...).
    measured, bound : (n_points,) arrays
        Worst measured value and the bound at each point, in the same unit.
    series : tuple of str
        Name of the curve to which each point belongs, e.g. ``"layer 1"``; length ``n_points``.
    constants : mapping of str to Constant
        Every constant in the bound, with its origin.
    hypotheses : tuple of Hypothesis
        The conditions of the theorem and whether they hold here.
    budget : tuple of ErrorTerm
        Itemised errors.
    provenance : Provenance
        Seed, dtype, device, versions and object of the measurement.
    search : mapping of str to float
        Largest ratio measured / bound found by each mode of search (``"given"``, ``"random"``, ``"structured"``,
        ``"ascent"``).
    witness : mapping
        What reproduces the worst ratio: signals as arrays, shift, layer, mode, seed.
    extra : mapping of str to (n_points,) arrays
        Further columns: sharper bounds, a posteriori values, trends.
    notes : tuple of str
        Sentences for the reader.
    certificates : tuple of certificates
        Proofs of constants that anyone can check without trusting how they were found; see `recheck`.
    """

    claim: str
    outcome: Outcome
    x: np.ndarray
    x_label: str
    measured: np.ndarray
    bound: np.ndarray
    series: tuple[str, ...]
    constants: Mapping[str, Constant]
    hypotheses: tuple[Hypothesis, ...]
    budget: tuple[ErrorTerm, ...]
    provenance: Provenance
    search: Mapping[str, float] = field(default_factory=dict)
    witness: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    certificates: tuple[Any, ...] = ()

    @property
    def ratio(self) -> np.ndarray:
        """``measured / bound`` per point; 0 where both are within rounding of 0; infinite over a bound of 0 else."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.measured / self.bound
        return np.where((self.bound <= self.rounding) & (self.measured <= self.rounding), 0.0, ratio)

    @property
    def rounding(self) -> np.ndarray:
        """Sum of the rounding terms of the budget per point."""
        terms = (np.asarray(e.value, dtype=float) for e in self.budget if e.kind == "rounding")
        return sum(terms, np.zeros(self.measured.shape))

    @property
    def discretisation(self) -> np.ndarray:
        """Sum of the discretisation terms of the budget per point."""
        terms = (np.asarray(e.value, dtype=float) for e in self.budget if e.kind == "discretisation")
        return sum(terms, np.zeros(self.measured.shape))

    @property
    def worst(self) -> float:
        """Largest ratio over all points; NaN if any measured value is NaN or there is no point."""
        return float(np.max(self.ratio)) if self.ratio.size else math.nan

    @property
    def title(self) -> str:
        """Title of the theorem, or the claim where it is not in the table."""
        theorem = THEOREMS.get(self.claim)
        return theorem.title if theorem else self.claim

    @property
    def heading(self) -> str:
        """Title and outcome."""
        return f"{self.title}: {self.outcome.name} {self.outcome.symbol}"

    @property
    def holds(self) -> bool:
        """True only for the outcome HOLDS."""
        return self.outcome is Outcome.HOLDS

    def __bool__(self) -> bool:
        raise TypeError("The truth of a check is ambiguous (five outcomes). Use `check.holds` or `check.outcome`.")

    def __str__(self) -> str:
        from scatter_theory import render

        return render.check_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from scatter_theory import render

        return render.check_html(self)

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw measured points against the bound; returns the display object with its artists."""
        from scatter_theory import plot

        return plot.display_of(self).plot(ax=ax, **style)

    def compare(self) -> Comparison:
        """Every bound that the check knows, beside the measured values: a table, and by `Comparison.plot` a figure.

        Raises
        ------
        ValueError
            If the check knows only one bound.
        """
        others = {name: np.asarray(v, dtype=float) for name, v in self.extra.items() if "bound" in name}
        if not others:
            raise ValueError(
                f"`compare()`: the check {self.claim!r} knows no other bound than its own, so that there is nothing to "
                "compare. Translations and deformations know several; use `plot()` here."
            )
        return Comparison(
            self.heading, self.x_label, self.x, self.measured, self.series, {"bound": self.bound, **others}
        )

    def recheck(self, phi: Any) -> bool:
        """Whether every certificate proves its value for the extractor `phi`; False if there is none.

        Recomputes what a certificate speaks of from the extractor, and its value from the stored weights: quick, and
        independent of the solver that found them.
        """
        return bool(self.certificates) and all(certificate.recheck(phi) for certificate in self.certificates)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of numbers, strings and lists; witness signals are stored as nested lists."""
        return {
            "claim": self.claim,
            "outcome": self.outcome.name,
            "worst_ratio": _plain(self.worst),
            "x_label": self.x_label,
            "points": [
                {"series": s, "x": _plain(x), "measured": _plain(m), "bound": _plain(b), "ratio": _plain(r)}
                for s, x, m, b, r in zip(self.series, self.x, self.measured, self.bound, self.ratio, strict=True)
            ],
            "extra": {k: _plain(v) for k, v in self.extra.items()},
            "constants": {k: _plain(c.to_dict()) for k, c in self.constants.items()},
            "hypotheses": [
                {"text": h.text, "satisfied": h.satisfied, "value": _plain(h.value)} for h in self.hypotheses
            ],
            "budget": [{"name": e.name, "kind": e.kind, "value": _plain(e.value)} for e in self.budget],
            "search": {k: _plain(v) for k, v in self.search.items()},
            "witness": {k: _plain(v) for k, v in self.witness.items()},
            "notes": list(self.notes),
            "certificates": [_plain(certificate.to_dict()) for certificate in self.certificates],
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> Any:
        """Table with one row per point, as a ``pandas.DataFrame``.

        Columns: ``series``, the sweep variable under its label, ``measured``, ``bound``, ``ratio``, the sums
        ``rounding`` and ``discretisation`` of the error budget, and those of ``extra``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns = {"series": list(self.series), self.x_label: self.x, "measured": self.measured, "bound": self.bound}
        columns |= {"ratio": self.ratio, "rounding": self.rounding, "discretisation": self.discretisation}
        return data_frame("BoundCheck", {**columns, **self.extra}, "`to_dict()`")

    def to_json(self, path: str | FilePath | None = None) -> str:
        """JSON text of `to_dict` (non-finite numbers as strings), also written to `path` if given."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        if path is not None:
            FilePath(path).write_text(text, encoding="utf-8")
        return text


@dataclass(frozen=True)
class Verdict:
    """Several checks under one roof: an ordered mapping from name to check.

    Parameters
    ----------
    checks : mapping of str to BoundCheck
        Checks by name, in the order in which they are shown.
    title : str
        Heading of the report.
    """

    checks: Mapping[str, BoundCheck]
    title: str = "scatter_theory"

    def __getitem__(self, name: str) -> BoundCheck:
        return self.checks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.checks)

    def __len__(self) -> int:
        return len(self.checks)

    def __bool__(self) -> bool:
        raise TypeError("The truth of a verdict is ambiguous. Use `verdict.violated` or `verdict.count(outcome)`.")

    @property
    def violated(self) -> tuple[str, ...]:
        """Names of the checks that are VIOLATED."""
        return tuple(name for name, check in self.checks.items() if check.outcome is Outcome.VIOLATED)

    @property
    def exit_code(self) -> int:
        """0 if something holds and the rest is inapplicable, 1 if something is violated, 3 otherwise: undecided."""
        if self.violated:
            return 1
        undecided = self.count(Outcome.INCONCLUSIVE) + self.count(Outcome.VACUOUS)
        return 0 if self.count(Outcome.HOLDS) and not undecided else 3

    def count(self, outcome: Outcome) -> int:
        """Number of checks with this outcome."""
        return sum(check.outcome is outcome for check in self.checks.values())

    def __str__(self) -> str:
        from scatter_theory import render

        return render.verdict_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from scatter_theory import render

        return render.verdict_html(self)

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Overview of the worst ratio of every check; returns the display object."""
        from scatter_theory import plot

        return plot.RatioDisplay.from_verdict(self).plot(ax=ax, **style)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of all checks."""
        return {"title": self.title, "checks": {name: check.to_dict() for name, check in self.checks.items()}}

    def to_frame(self) -> Any:
        """Table with one row per check, as a ``pandas.DataFrame``: ``check``, ``claim``, ``outcome``, ``worst ratio``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        rows = [
            {"check": name, "claim": check.claim, "outcome": check.outcome.name, "worst ratio": check.worst}
            for name, check in self.checks.items()
        ]
        return data_frame("Verdict", rows, "`to_dict()`")

    def to_json(self, path: str | FilePath | None = None) -> str:
        """JSON text of `to_dict`, also written to `path` if given."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        if path is not None:
            FilePath(path).write_text(text, encoding="utf-8")
        return text

    def to_html(self, path: str | FilePath) -> FilePath:
        """Write one self-contained HTML page with tables and figures; returns its path."""
        from scatter_theory import render

        path = FilePath(path)
        path.write_text(render.verdict_page(self), encoding="utf-8")
        return path


def judge(check: BoundCheck, *, cap: np.ndarray | float | None = None) -> BoundCheck:
    r"""Fill in the outcome of a check; every other field is taken as it is.

    With m the measured values, b the bound, r the sum of the rounding terms and e the sum of the discretisation terms
    of the budget, in this order:

    1. a hypothesis that is not satisfied: INAPPLICABLE;
    2. no point: INCONCLUSIVE;
    3. m is finite and ``m - e > b + r`` at some point: VIOLATED if every constant may prove something, else
       INCONCLUSIVE;
    4. a value that is not finite: INCONCLUSIVE;
    5. a constant that may not prove anything (estimated, fitted, declared): INCONCLUSIVE;
    6. ``m + e > b + r`` at some point: INCONCLUSIVE;
    7. the bound reaches the trivial limit `cap` (or infinity) at every point: VACUOUS; otherwise HOLDS.

    A declared constant that is exceeded is VIOLATED: the counterexample needs no proof.

    Parameters
    ----------
    check : BoundCheck
        Complete but for its outcome.
    cap : (n_points,) array or float, optional
        Trivial limit of the measured values, in their unit.

    Returns
    -------
    BoundCheck
        The same check with its outcome.
    """
    return replace(check, outcome=_outcome(check, cap))


def _outcome(check: BoundCheck, cap: np.ndarray | float | None) -> Outcome:
    if any(not h.satisfied for h in check.hypotheses):
        return Outcome.INAPPLICABLE
    if check.measured.size == 0:
        return Outcome.INCONCLUSIVE
    rounding, error = check.rounding, check.discretisation
    with np.errstate(invalid="ignore"):
        above = bool(np.any(np.isfinite(check.measured) & (check.measured - error > check.bound + rounding)))
    if above:
        refutable = all(c.proves or c.kind == "declared" for c in check.constants.values())
        return Outcome.VIOLATED if refutable else Outcome.INCONCLUSIVE
    if not (np.all(np.isfinite(check.measured)) and np.all(np.isfinite(rounding)) and np.all(np.isfinite(error))):
        return Outcome.INCONCLUSIVE
    if not all(c.proves for c in check.constants.values()):
        return Outcome.INCONCLUSIVE
    if np.any(check.measured + error > check.bound + rounding) or np.any(np.isnan(check.bound)):
        return Outcome.INCONCLUSIVE
    if np.all(check.bound >= (np.inf if cap is None else np.asarray(cap, dtype=float))):
        return Outcome.VACUOUS
    return Outcome.HOLDS


def _plain(value: Any) -> Any:
    """JSON-able copy: arrays to lists, complex numbers to pairs, non-finite floats to strings."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, complex):
        return {"re": _plain(value.real), "im": _plain(value.imag)}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
