"""Atoms of a bank as an extractor keeps them: on the CPU, in buffers, and what must not change with weights."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scatter_theory.frames import Bank


def held(bank: Bank) -> Bank:
    """The bank on the CPU, without gradients."""
    return replace(bank, spectra=bank.spectra.detach().cpu(), output=bank.output.detach().cpu())


def structure(bank: Bank) -> tuple[str, tuple[str, ...], bool]:
    """What must not depend on weights: kind, labels, and whether the output atom keeps real maps real."""
    return bank.kind, tuple(atom.label for atom in bank.atoms), hermitian(bank)


def storable(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Real buffer: complex values as a trailing axis of length 2, so that `.float()` does not drop imaginary parts."""
    tensor = tensor.detach()
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).to(dtype).contiguous()


def usable(buffer: Tensor, ndim: int) -> Tensor:
    """The values of a buffer of `storable`, for `ndim` axes."""
    return torch.view_as_complex(buffer) if buffer.ndim == ndim + 1 else buffer


def hermitian(bank: Bank) -> bool:
    """Whether the output atom of a bank keeps real maps real."""
    mirrored = bank.grid.mirror(bank.output)
    return bool(((bank.output - mirrored.conj()).abs().max() <= 1e-14 * bank.output.abs().max()).item())
