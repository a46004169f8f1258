"""Checks of the arguments of iterative pruning."""

from __future__ import annotations

from numbers import Real
from typing import Any

from scatter_theory.pruning.rules._rule import Rule


def check_taker(
    where: str, name: str, rule: Any, scope: Any, scopes: tuple[str, ...], data: object, loss: object
) -> None:
    """Refuse what is no rule, an unknown scope, and a rule without what it needs, before anything is trained.

    Raises
    ------
    TypeError, ValueError
        If so.
    """
    if not isinstance(rule, Rule):
        hint = f" Did you mean `{rule.__name__}()`?" if isinstance(rule, type) else ""
        raise TypeError(f"`{where}({name}=...)`: got {rule!r}, expected a pruning rule such as `Magnitude()`.{hint}")
    if scope not in scopes:
        raise ValueError(f"`{where}(scope=...)`: got {scope!r}, expected one of {scopes}.")
    if "gradients" in rule.needs and (data is None or loss is None):
        missing = " and ".join(what for what, value in (("data", data), ("loss", loss)) if value is None)
        raise ValueError(
            f"`{where}({name}={rule!r})`: got no {missing}, but the rule needs gradients. Pass batches as `data`, and "
            "`loss(model, batch)`."
        )


def check_rate(where: str, rate: Any) -> None:
    """Refuse a rate outside (0, 1).

    Raises
    ------
    ValueError
        If it is outside, or no number.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < rate < 1:
        raise ValueError(
            f"`{where}(rate=...)`: got {rate!r}, expected a number in (0, 1), a share of the weights alive."
        )


def check_share(where: str, share: Any, rate: float) -> None:
    """Refuse a share outside [0, rate].

    Raises
    ------
    ValueError
        If it is outside, or no number.
    """
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= share <= rate:
        raise ValueError(
            f"`{where}(share=...)`: got {share!r}, expected a number from 0 to the rate {rate}: the selection takes "
            "its part of what is pruned in a cycle."
        )


def check_run(where: str, cycles: Any, rewind: Any, rewinds: tuple[str, ...], seed: Any) -> None:
    """Refuse settings of the loop that are out of range.

    Raises
    ------
    ValueError
        If one is.
    """
    for name, value, least in (("cycles", cycles, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"`{where}({name}=...)`: got {value!r}, expected a whole number from {least}.")
    if rewind is not None and rewind not in rewinds:
        raise ValueError(f"`{where}(rewind=...)`: got {rewind!r}, expected one of {rewinds} or None.")
