"""How the parameters of single estimators move from the start of a run to its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from scatter_theory.bnn._binarizer import Role
from scatter_theory.bnn._periodic import FDA
from scatter_theory.bnn._polynomial import RBNN
from scatter_theory.bnn._reste import ReSTE
from scatter_theory.bnn._schedule import Rule
from scatter_theory.bnn._smooth import EDE

Shape = Literal["quarter_cosine", "linear"]


@dataclass(frozen=True)
class PowerRule(Rule):
    r"""Power of ReSTE: :math:`o = 1 + s(p) (o_{end} - 1)`, with s(p) = 1 - cos(pi p / 2) or s(p) = p."""

    accepts = ReSTE
    shape: Shape = "quarter_cosine"

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ValueError(f"`schedules.ReSTE(shape=...)`: got {self.shape!r}, expected one of {get_args(Shape)}.")

    def __call__(self, final: ReSTE, role: Role, progress: float) -> ReSTE:
        """The estimator with its power at `progress`; exactly 1 at 0."""
        return final.at(progress) if self.shape == "quarter_cosine" else replace(final, o=1 + progress * (final.o - 1))

    def check(self, key: str, final: ReSTE, role: Role) -> None:
        """The final power must be finite."""
        if not math.isfinite(final.o):
            raise ValueError(f"`schedules.ReSTE(model=...)`: {key!r} ends at o = {final.o}, expected a finite power.")


def _geometric(start: float, end: float, progress: float) -> float:
    return 10 ** (math.log10(start) + (math.log10(end) - math.log10(start)) * progress)


def _check_start(where: str, start: float) -> None:
    if not (math.isfinite(start) and start > 0):
        raise ValueError(f"`schedules.{where}(t_start=...)`: got {start}, expected a finite number > 0.")


@dataclass(frozen=True)
class EDERule(Rule):
    """Sharpness of EDE: t grows geometrically, k = max(1/t, 1)."""

    accepts = EDE
    t_start: float = 1e-3

    def __post_init__(self) -> None:
        _check_start("EDE", self.t_start)

    def __call__(self, final: EDE, role: Role, progress: float) -> EDE:
        """The estimator with its sharpness at `progress`."""
        t = _geometric(self.t_start, final.t, progress)
        return replace(final, t=t, k=max(1 / t, 1.0))

    def check(self, key: str, final: EDE, role: Role) -> None:
        """The final k must be max(1/t, 1)."""
        if final.k != max(1 / final.t, 1.0):
            raise ValueError(
                f"`schedules.EDE(model=...)`: {key!r} ends at {final!r}, but the schedule has k = max(1/t, 1) = "
                f"{max(1 / final.t, 1.0)}. Binarise the model with that k."
            )


@dataclass(frozen=True)
class RBNNRule(Rule):
    """Sharpness of the RBNN estimator: t grows geometrically.

    Weights have k = max(1/t, 1), activations have max(t, 1) in place of t, and k = 1.
    """

    accepts = RBNN
    t_start: float = 1e-2

    def __post_init__(self) -> None:
        _check_start("RBNN", self.t_start)

    def __call__(self, final: RBNN, role: Role, progress: float) -> RBNN:
        """The estimator with its sharpness at `progress`."""
        t = _geometric(self.t_start, final.t, progress)
        return replace(final, t=max(t, 1.0), k=1.0) if role == "activation" else replace(final, t=t, k=max(1 / t, 1.0))

    def check(self, key: str, final: RBNN, role: Role) -> None:
        """The final parameters must obey the rule."""
        t, k = (max(final.t, 1.0), 1.0) if role == "activation" else (final.t, max(1 / final.t, 1.0))
        if (final.t, final.k) != (t, k):
            raise ValueError(
                f"`schedules.RBNN(model=...)`: {key!r} ends at {final!r}, but the schedule has t >= 1 and k = 1 for "
                "activations, k = max(1/t, 1) for weights. Binarise the model with such values."
            )


@dataclass(frozen=True)
class TermsRule(Rule):
    """Number of terms of FDA: 1, 2, ..., n, each for an equal share of the run."""

    accepts = FDA

    def __call__(self, final: FDA, role: Role, progress: float) -> FDA:
        """The estimator with its number of terms at `progress`."""
        # Rounded, as n (j/n) can fall below the whole number j.
        return replace(final, n=min(1 + math.floor(round(progress * final.n, 9)), final.n))

    def check(self, key: str, final: FDA, role: Role) -> None:
        """Every number of terms can be reached."""
