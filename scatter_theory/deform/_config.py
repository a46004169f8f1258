"""Fields as plain dictionaries of numbers, lists and strings, and back: exact, since floats keep all their digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any

import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.trigonometric import Polynomial


def encode(value: Any) -> Any:
    """A value of a field as numbers, lists, strings and dictionaries."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        flat = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
        dtype = str(value.dtype).removeprefix("torch.")
        return {"tensor": flat.flatten().tolist(), "shape": list(value.shape), "dtype": dtype}
    if isinstance(value, Polynomial):
        return {"polynomial": encode(value.coefficients), "extent": list(value.extent), "real": value.real}
    if isinstance(value, Grid):
        return {"grid": list(value.shape), "spacing": list(value.spacing), "unit": value.unit}
    if isinstance(value, tuple):
        return [encode(v) for v in value]
    if hasattr(value, "to_config"):
        return value.to_config()
    return value


def decode(value: Any, kinds: Mapping[str, type]) -> Any:
    """The inverse of `encode`; `kinds` maps names to classes of fields."""
    if isinstance(value, list | tuple):
        return tuple(decode(v, kinds) for v in value)
    if not isinstance(value, Mapping):
        return value
    if "field" in value:
        return _field(value, kinds)
    if "tensor" in value:
        dtype = getattr(torch, value["dtype"])
        if dtype.is_complex:
            parts = torch.tensor(value["tensor"], dtype=dtype.to_real())
            return torch.view_as_complex(parts.reshape(*value["shape"], 2))
        return torch.tensor(value["tensor"], dtype=dtype).reshape(value["shape"])
    if "polynomial" in value:
        return Polynomial(decode(value["polynomial"], kinds), tuple(value["extent"]), value["real"])
    if "grid" in value:
        return Grid(tuple(value["grid"]), tuple(value["spacing"]), value["unit"])
    raise ValueError(f"`field_from_config`: {sorted(value)} is no part of a field.")


def _field(value: Mapping[str, Any], kinds: Mapping[str, type]) -> Any:
    kind = value["field"]
    if kind not in kinds:
        raise ValueError(f"`field_from_config`: got the kind {kind!r}, expected one of {', '.join(sorted(kinds))}.")
    arguments = {k: decode(v, kinds) for k, v in value.items() if k != "field"}
    expected = {f.name for f in fields_of(kinds[kind])}
    if set(arguments) != expected:
        raise ValueError(
            f"`field_from_config`: {kind} is made of {', '.join(sorted(expected))}; got {', '.join(sorted(arguments))}."
        )
    return kinds[kind](**arguments)
