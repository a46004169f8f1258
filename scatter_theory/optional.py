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
    return _needed("pandas", f"{owner}.to_frame()", instead).DataFrame(data)


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
    return _needed("xarray", f"{owner}.to_xarray()", instead)


def _needed(package: str, call: str, instead: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"`{call}`: {package} is not installed, expected the package `{package}`; install it with "
            f"`pip install {package}`, or use {instead}."
        ) from error
