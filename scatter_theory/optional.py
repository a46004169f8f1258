"""Packages that are used where they are installed, and asked for by name where they are not."""

from __future__ import annotations

import importlib
from types import ModuleType
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


def xarray(owner: str, instead: str) -> ModuleType:
    """The package xarray.

    Parameters
    ----------
    owner : str
        Class whose ``to_xarray`` asks, for the message.
    instead : str
        What gives the numbers without xarray, for the message.

    Raises
    ------
    ImportError
        If xarray is not installed.
    """
    try:
        return importlib.import_module("xarray")
    except ImportError as error:
        raise ImportError(
            f"`{owner}.to_xarray()`: xarray is not installed, expected the package `xarray`; install it with "
            f"`pip install xarray`, or use {instead}."
        ) from error
