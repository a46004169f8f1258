"""Packages that are used where they are installed, and asked for by name where they are not."""

from __future__ import annotations

from typing import Any


def data_frame(owner: str, data: Any, instead: str) -> Any:
    """A ``pandas.DataFrame`` of a table.

    Parameters
    ----------
    owner : str
        Class whose ``to_frame`` asks, for the message.
    data : any
        What ``pandas.DataFrame`` takes.
    instead : str
        What gives the numbers without pandas, for the message.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"`{owner}.to_frame()`: pandas is not installed, expected the package `pandas`; install it with "
            f"`pip install pandas`, or use {instead}."
        ) from error
    return pandas.DataFrame(data)
