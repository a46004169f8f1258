"""Checks of constructor arguments: whole numbers, choices, dtypes, and names that are not ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from scatter_theory.grid import is_whole

#: Types in which a transform computes, and those of complex signals.
COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}

_BACKENDS = (
    "only backend='torch' exists here: the engine has its own kernels, so that no other library is wanted. Leave the "
    "argument out"
)
_OPTIONS = {
    "frontend": "this is the front end for torch tensors. Leave it out; convert with `torch.from_numpy(x)`, and wrap "
    "the transform for scikit-learn yourself",
    "vectorize": "kymatio 0.3.0 removed it. Use `out_type='dict'` instead of vectorize=False",
}
_CLASSES = {
    "Scattering3D": "there is no solid harmonic transform here",
    "HarmonicScattering3D": "there is no solid harmonic transform here",
    "TimeFrequencyScattering": "there is no joint time-frequency transform here",
}


def whole(owner: str, name: str, value: Any, least: int) -> int:
    """The value as an int; ValueError unless it is a whole number of at least `least`."""
    if not is_whole(value) or value < least:
        raise ValueError(f"`{owner}({name}=...)`: got {value!r}, expected a whole number >= {least}.")
    return int(value)


def choice(owner: str, name: str, value: Any, known: Iterable[str]) -> str:
    """The value; ValueError unless it is one of `known`."""
    known = tuple(known)
    if value not in known:
        raise ValueError(f"`{owner}({name}=...)`: got {value!r}, expected one of {', '.join(map(repr, known))}.")
    return str(value)


def lengths(owner: str, shape: Any, d: int) -> tuple[int, ...]:
    """Samples per axis as a tuple of d ints; a single whole number is allowed for d = 1."""
    given = (shape,) if d == 1 and is_whole(shape) else shape
    if not isinstance(given, Sequence) or len(given) != d or not all(is_whole(n) and n >= 2 for n in given):
        wanted = "a whole number N >= 2 or (N,)" if d == 1 else "(M, N), whole numbers >= 2"
        raise ValueError(f"`{owner}(shape=...)`: got {shape!r}, expected {wanted}: the samples of one signal.")
    return tuple(int(n) for n in given)


def check_scale(owner: str, J: int, shape: tuple[int, ...]) -> None:
    """ValueError if the largest wavelets are longer than the signal."""
    if 2**J > min(shape):
        limit = min(shape).bit_length() - 1
        raise ValueError(
            f"`{owner}(J={J})`: 2^J = {2**J} exceeds the {min(shape)} samples of shape {shape}; the largest J is "
            f"{limit}. Use a smaller J or longer signals."
        )


def check_dtype(owner: str, dtype: Any) -> None:
    """ValueError unless the dtype is float32 or float64."""
    if dtype not in COMPLEX:
        raise ValueError(f"`{owner}(dtype=...)`: got {dtype!r}, expected torch.float32 or torch.float64.")


def refuse_options(owner: str, backend: Any, unknown: dict[str, Any]) -> None:
    """Raise for back ends and options of kymatio that are not ours, with the reason, and for unknown options."""
    if backend != "torch":
        raise ValueError(f"`{owner}(backend={backend!r})`: {_BACKENDS}.")
    for name, value in unknown.items():
        if name == "frontend" and value == "torch":
            continue
        reason = f"{_OPTIONS[name]}." if name in _OPTIONS else "no such argument."
        raise TypeError(f"`{owner}({name}={value!r})`: {reason}")


def refuse_class(name: str) -> None:
    """Raise ImportError for class names of kymatio that are not ours; do nothing for other names."""
    reason = _CLASSES.get(name)
    if reason is None and name.startswith("Scattering") and name[-2:] in ("1D", "2D", "3D"):
        reason = "there is one class per dimension, for torch tensors. Import `Scattering1D` or `Scattering2D`"
    if reason is not None:
        raise ImportError(f"`scatter_theory.scattering.{name}`: {reason}.", name="scatter_theory.scattering")
