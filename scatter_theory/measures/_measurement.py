"""What a measure returns: a number, how sure it is, and what it does not say."""

from __future__ import annotations

import html
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scatter_theory.constants import Provenance

_WIDTH = 118


@dataclass(frozen=True, eq=False)
class Measurement:
    """A measured sensitivity; never a bound, and without a verdict.

    Parameters
    ----------
    name : str
        Of the measure.
    value : float
        The number, in `unit`.
    interval : (float, float) or None
        Interval of confidence for the expectation over signals and draws; None where nothing is known.
    unit : str
        Empty for a pure number.
    n : int
        Number of terms of the average.
    not_certified : str
        What the number does not say.
    provenance : Provenance
    confidence : float
        Level of `interval`.
    interval_by : str
        How `interval` was found.
    source : str
        Where the measure was defined.
    details : mapping of str to array
        What the number was made from.
    notes : tuple of str
        Sentences for the reader.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    unit: str
    n: int
    not_certified: str
    provenance: Provenance
    confidence: float = 0.95
    interval_by: str = ""
    source: str = ""
    details: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("A measurement is no verdict: compare `measurement.value`, or use a verifier of `verify`.")

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Names and values for a table: the number, its interval, and the details that are single numbers."""
        unit = f" {self.unit}" if self.unit else ""
        rows = [(self.name, f"{self.value:.6g}{unit}")]
        if self.interval is not None:
            low, high = self.interval
            span = f"{low:.6g} to {high:.6g}{unit} ({self.interval_by})"
            rows.append((f"{100 * self.confidence:g} % interval", span))
        rows += [(k, f"{float(v):.6g}") for k, v in self.details.items() if np.ndim(v) == 0]
        model = self.provenance.subject.partition("\n")[0].rstrip("(")
        return (*rows, ("terms", str(self.n)), ("model", model))

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        table = "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)
        sentences = (*self.notes, f"Does not certify: {self.not_certified}")
        text = "\n".join(
            textwrap.fill(s, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
            for s in sentences
        )
        return f"{table}\n{text}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.rows()
        )
        sentences = (*self.notes, f"Does not certify: {self.not_certified}")
        return f"<table>{cells}</table>" + "".join(f"<p>{html.escape(s)}</p>" for s in sentences)

    def to_dict(self) -> dict[str, Any]:
        """Numbers, strings and lists; numbers that are not finite are strings."""
        return {
            "name": self.name,
            "value": _plain(self.value),
            "interval": _plain(self.interval),
            "confidence": self.confidence,
            "interval_by": self.interval_by,
            "unit": self.unit,
            "n": self.n,
            "not_certified": self.not_certified,
            "source": self.source,
            "details": {k: _plain(np.asarray(v).tolist()) for k, v in self.details.items()},
            "notes": list(self.notes),
            "provenance": self.provenance.to_dict(),
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """JSON text of `to_dict`, also written to `path` if given."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value
