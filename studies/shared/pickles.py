"""Pickles of plain data and numpy arrays, read without running what else may be in them.

A pickle can name any function and have it called when it is loaded. The unpickler here knows nothing but the three
names from which numpy arrays are made, and refuses a file that asks for anything else, built-in functions included.
"""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

import numpy as np

#: What a pickled array asks for; the module of the function depends on the version of numpy that wrote it.
KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class Refused(Exception):
    """A pickle asks for something that is neither plain data nor an array."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return KNOWN[module, name]
        except KeyError:
            raise Refused(f"it asks for {module}.{name}, which is no plain data and no array") from None


def load_arrays(file: BinaryIO) -> Any:
    """Unpickle containers, numbers, strings (of Python 2 as bytes) and numpy arrays.

    Raises
    ------
    Refused
        If the file asks for anything else; nothing of that has been called.
    """
    return _ArraysOnly(file, encoding="bytes").load()
