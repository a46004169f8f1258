"""Numbers that carry their origin, and the tolerances by which measurements are judged."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Literal

Kind = Literal["paper", "derived", "analytic", "certified", "grid", "declared", "estimated", "fitted"]

#: Kinds that may support a verdict HOLDS. ``declared`` is a user's word, ``estimated`` and ``fitted`` are measurements.
PROOF_CARRYING: frozenset[str] = frozenset({"paper", "derived", "analytic", "certified", "grid"})

#: Relative rounding tolerance of a measured ratio, by the precision of the computation.
TOLERANCE: Mapping[str, float] = {"float64": 1e-10, "float32": 1e-4}

#: Largest relative defect of an identity between constants that counts as rounding in float64.
IDENTITY = 1e-12


@dataclass(frozen=True, slots=True)
class Constant:
    """A number with its source.

    Parameters
    ----------
    value : float
        The number. Upper constants are rounded up, never to nearest.
    source : str
        Where it comes from: a theorem, a proof in ``docs/theory``, a grid maximum.
    kind : str
        ``"paper"`` (published), ``"derived"`` (proved in this project), ``"analytic"`` (closed form),
        ``"certified"`` (enclosure with a stated error), ``"grid"`` (exact maximum over a finite grid),
        ``"declared"`` (stated by a user), ``"estimated"`` or ``"fitted"`` (measured: can never prove a bound).
    unit : str
        Unit of ``value``; empty for a pure number.
    error : float
        Half-width of the enclosure, in the same unit.
    """

    value: float
    source: str
    kind: Kind
    unit: str = ""
    error: float = 0.0

    @property
    def proves(self) -> bool:
        """Whether this constant may support a verdict HOLDS."""
        return self.kind in PROOF_CARRYING

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        error = f" +- {self.error:.1g}" if self.error else ""
        return f"{self.value:.6g}{error}{unit} [{self.kind}: {self.source}]"

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is needed to repeat a measurement: versions, precision, seed, object, date.

    Parameters
    ----------
    subject : str
        The object measured, as its ``repr``.
    seed : int or None
        Seed of every random draw.
    dtype, device : str
        Precision and device of the computation.
    grid : str
        Grid of the signals.
    seconds : float
        Wall time.
    versions : mapping of str to str
        Versions of Python and of the packages that decide numbers.
    date : str
        When it was measured, ISO 8601.
    """

    subject: str
    seed: int | None = None
    dtype: str = "float64"
    device: str = "cpu"
    grid: str = ""
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    date: str = ""

    @classmethod
    def now(cls, subject: str, **fields: Any) -> Provenance:
        """Provenance stamped with the current date and the versions of the numerical packages in use."""
        versions = {"python": platform.python_version()}
        for name in ("scatter_theory", "torch", "numpy"):
            module = sys.modules.get(name)
            if module is not None:
                versions[name] = str(getattr(module, "__version__", "")) or metadata.version(name)
        date = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(subject=subject, versions=versions, date=date, **fields)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the fields."""
        return {**asdict(self), "versions": dict(self.versions)}
