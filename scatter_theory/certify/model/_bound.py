"""What is known about one map: a constant, whether it is the best one, and why."""

from __future__ import annotations

from dataclasses import dataclass

#: Factor by which constants from singular values are rounded up, far above the error of float64 at these sizes.
UP = 1.0 + 1e-12


@dataclass(frozen=True)
class Bound:
    r"""A constant c with :math:`\|g(x) - g(y)\|_2 \le c\,\|x - y\|_2` for all x and y.

    Parameters
    ----------
    value : float
        c, rounded up where it comes from singular values.
    exact : bool
        Whether no smaller constant will do, up to that rounding.
    source : str
        Where it comes from.
    """

    value: float
    exact: bool
    source: str
