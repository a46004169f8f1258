"""Which deformation bound belongs to which signals."""

from __future__ import annotations

from typing import Any

import torch

from scatter_theory.grid import Grid
from scatter_theory.signals import (
    BandLimited,
    BandLimitedSignal,
    PiecewiseLipschitzSignal,
    Signal,
    SignalClass,
    Sobolev,
)
from scatter_theory.verify._rules import Rule
from scatter_theory.verify._rules_oscillation import OscillationRule
from scatter_theory.verify._rules_piecewise import PiecewiseRule
from scatter_theory.verify._rules_polynomial import BandRule, GradientRule, SobolevRule

FORMS = ("theorem", "unconditional", "published", "oscillation")


def rule_for(signals: SignalClass | Signal, form: str, grid: Grid) -> Rule:
    """The rule of a class, or of given signals.

    Raises
    ------
    ValueError
        For an unknown form, or one that does not exist for the class.
    """
    if form not in FORMS:
        raise ValueError(f"`deformation(bound=...)`: got {form!r}, expected one of {FORMS}.")
    if form == "oscillation":
        if not isinstance(signals, BandLimitedSignal):
            raise ValueError(
                "`deformation(bound='oscillation')`: looks at a given signal, so it needs an array or a band-limited "
                "signal, not a class."
            )
        return OscillationRule()
    if isinstance(signals, BandLimited):
        ball = signals.ball(grid)
        lengths = torch.linalg.vector_norm(ball.frequencies(), dim=0)
        rule: Rule = BandRule(form, float(lengths[ball.mask()].max()))
    elif isinstance(signals, Sobolev):
        rule = SobolevRule(form, signals.s) if signals.s < 1 else GradientRule(form)
    elif isinstance(signals, BandLimitedSignal):
        rule = GradientRule(form)
    else:
        rule = PiecewiseRule(form, jumps=_has_jumps(signals))
    if form == "published" and not (grid.ndim == 1 and isinstance(rule, (BandRule, PiecewiseRule))):
        raise ValueError(
            "`deformation(bound='published')`: known for the class BandLimited and for cartoons in one dimension only."
        )
    return rule


def _has_jumps(signals: Any) -> bool:
    if isinstance(signals, PiecewiseLipschitzSignal):
        return bool((signals.jump > 0).any())
    return getattr(signals, "jumps", False)
