"""Certificates of checks, read from files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scatter_theory.certify.positivity._layers import LayerCertificate
from scatter_theory.certify.torus._network_bound import NetworkBound

_KINDS = {"translation": LayerCertificate, "decay": LayerCertificate, "deformation": NetworkBound}


def certificate_from_dict(table: Mapping[str, Any]) -> LayerCertificate | NetworkBound:
    """The certificate that its `to_dict` wrote down, by its claim.

    Parameters
    ----------
    table : mapping
        What `to_dict` of a certificate gave.

    Returns
    -------
    LayerCertificate or NetworkBound
        Equal to the one that was written.

    Raises
    ------
    ValueError
        For a claim that is not known.
    """
    kind = _KINDS.get(table.get("claim", ""))
    if kind is None:
        raise ValueError(
            f"`certificate_from_dict`: got the claim {table.get('claim')!r}, expected one of {list(_KINDS)}."
        )
    return kind.from_dict(table)
