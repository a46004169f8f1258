"""Short names of estimators for tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields

from scatter_theory.bnn._binarizer import check_estimator
from scatter_theory.bnn._estimator import Estimator, numeric_fields


def named(estimators: Iterable[Estimator] | Mapping[str, Estimator] | Estimator, call: str) -> dict[str, Estimator]:
    """Estimators by name: keys of a mapping, else short names such as "ReSTE(o=3)", or full ones where these coincide.

    Raises
    ------
    TypeError
        If something is no estimator.
    ValueError
        If there is none, or one comes twice.
    """
    if isinstance(estimators, Mapping):
        found, names = list(estimators.values()), list(estimators)
    else:
        found, names = list(estimators) if isinstance(estimators, Iterable) else [estimators], None
    for estimator in found:
        check_estimator(call, estimator)
    if names is None:
        short = [short_name(e) for e in found]
        names = [name if short.count(name) == 1 else repr(e) for name, e in zip(short, found, strict=True)]
    if not found:
        raise ValueError(f"`{call}(estimators=...)`: got none, expected at least one.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{call}(estimators=...)`: got {twice} twice, expected different ones.")
    return dict(zip(names, found, strict=True))


def short_name(estimator: Estimator) -> str:
    """Class, first number, and the numbers without a default or with another value."""
    defaults = {f.name: f.default for f in fields(estimator)}
    shown = []
    for i, field in enumerate(numeric_fields(estimator)):
        value = getattr(estimator, field.name)
        if i == 0 or defaults[field.name] is MISSING or value != defaults[field.name]:
            shown.append(f"{field.name}={value:.4g}")
    return f"{type(estimator).__name__}({', '.join(shown)})" if shown else type(estimator).__name__
