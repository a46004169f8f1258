"""Signals at the door of the extractor: accepted, brought to its precision, or refused with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.grid import Grid

_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
_ACCEPTED = (*_COMPLEX, *_COMPLEX.values())


def prepare(
    f: Any,
    grid: Grid,
    dtype: torch.dtype,
    device: torch.device,
    *,
    complex_input: bool,
    check_finite: bool = True,
    name: str = "f",
) -> Tensor:
    """Check a signal and bring it to the given precision without loss; the input is never modified.

    Parameters
    ----------
    f : (*batch, *grid.shape) tensor or array
        float32, float64, complex64 or complex128. A writable array of native byte order is not copied.
    grid : Grid
        The grid whose shape the trailing axes must have.
    dtype : torch.dtype
        ``torch.float32`` or ``torch.float64``: precision of the computation that follows.
    device : torch.device
        Where `f` must be.
    complex_input : bool
        Whether complex signals are allowed.
    check_finite : bool
        Whether to look for NaN and infinite entries.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    (*batch, *grid.shape) tensor
        In `dtype`, or its complex counterpart if `f` is complex.

    Raises
    ------
    TypeError
        For anything but a tensor or an array, another dtype, or a precision above `dtype`.
    ValueError
        For a wrong shape, a complex signal where real ones were announced, a tensor on another device, or NaN and
        infinite entries (checked on the CPU only, and not while compiling or under `torch.func.vmap`).
    """
    if isinstance(f, np.ndarray):
        f = _from_numpy(f, name)
    if not isinstance(f, Tensor):
        raise TypeError(
            f"`{name}`: got {type(f).__name__}, expected a torch tensor or a numpy array. Convert it, e.g. "
            f"`torch.tensor({name}, dtype=torch.float64)`."
        )
    if f.dtype not in _ACCEPTED:
        raise TypeError(
            f"`{name}`: got dtype {f.dtype}, expected float32, float64, complex64 or complex128. Convert it, e.g. "
            f"`{name}.double()`."
        )
    d = grid.ndim
    if f.ndim < d or tuple(f.shape[f.ndim - d :]) != grid.shape:
        shape = ", ".join(map(str, grid.shape))
        raise ValueError(f"`{name}`: got shape {tuple(f.shape)}, expected (*batch, {shape}) for {grid}.")
    if f.is_complex() and not complex_input:
        raise ValueError(
            f"`{name}`: got complex values, but the extractor was built for real signals (its half banks and bounds "
            "are valid for those only). Build it with `complex_input=True`."
        )
    if f.device != device:
        raise ValueError(
            f"`{name}`: on device {f.device}, but the extractor is on {device}. Move one of them with `.to(...)`."
        )
    if check_finite:
        _check_finite(f, name)
    return f.to(_target(f, dtype, name))


def _from_numpy(f: np.ndarray, name: str) -> Tensor:
    """Tensor that shares the array's memory where torch can: no negative strides, foreign bytes, read-only data."""
    if not f.dtype.isnative:
        f = f.astype(f.dtype.newbyteorder("="))
    if not f.flags.writeable or any(stride < 0 for stride in f.strides):
        f = f.copy()
    try:
        return torch.as_tensor(f)
    except TypeError as error:
        raise TypeError(
            f"`{name}`: got an array of dtype {f.dtype}, expected float32, float64, complex64 or complex128."
        ) from error


def _target(f: Tensor, dtype: torch.dtype, name: str) -> torch.dtype:
    """The dtype of the computation for this signal; refuses what would lose digits."""
    if dtype not in _COMPLEX:
        raise TypeError(
            f"`FeatureExtractor`: its atoms are in {dtype}, expected torch.float32 or torch.float64. Use `.float()` or "
            "`.double()`; complex atoms are kept as pairs of real numbers."
        )
    target = _COMPLEX[dtype] if f.is_complex() else dtype
    if torch.promote_types(f.dtype, target) != target:
        raise TypeError(
            f"`{name}`: got {f.dtype}, but the extractor computes in {dtype}, which would lose digits. Use "
            f"`extractor.double()` or convert `{name}`."
        )
    return target


def _check_finite(f: Tensor, name: str) -> None:
    # Under `torch.compile` and `torch.func.vmap` no value can be looked at, on other devices it would cost a wait.
    if f.device.type != "cpu" or torch.compiler.is_compiling() or torch._C._functorch.is_batchedtensor(f):
        return
    finite = torch.isfinite(f.detach())
    if not bool(finite.all()):
        first = tuple(torch.nonzero(~finite)[0].tolist())
        raise ValueError(f"`{name}`: entry {first} is {f[first].item()}; all entries must be finite.")
