"""Batch normalisation decides how many units are dead behind it, so its shift can be set to give any rate."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def set_dead_rate(model: nn.Module, target: float, *, layers: str | Iterable[str] = "*") -> tuple[str, ...]:
    r"""Set the shifts of batch normalisation so that a given share of the ReLU inputs behind it is not positive.

    For a standardised Gaussian channel :math:`z = \gamma \hat a + \beta`, :math:`\hat a \sim N(0, 1)`,

    .. math:: P(z \le 0) = \Phi(-\beta / |\gamma|) = \text{target} \iff \beta = -|\gamma| \, \Phi^{-1}(\text{target}),

    for either sign of :math:`\gamma`. This is the experiment that acts where the dead rate of a batch-normalised layer
    is decided: the weights in front of it have no say, as their mean and scale are divided out.

    It holds when the ReLU follows directly, the channel is close to Gaussian, and the statistics in use are those of
    the data (batch statistics, or running ones that are up to date). After a residual sum it says nothing about the
    ReLU behind the sum: leave such layers out by `layers`.

    Parameters
    ----------
    model : nn.Module
        Changed in place: only the biases of the batch normalisations.
    target : float
        Rate in (0, 1).
    layers : str or iterable of str
        Names or glob patterns of the batch normalisations to set; all by default.

    Returns
    -------
    tuple of str
        Paths of the layers that were set.

    Raises
    ------
    ValueError
        If `target` is not in (0, 1), a pattern fits no batch normalisation, one of them has no scale and shift, or a
        scale is 0 or not finite, so that the channel is constant and no shift gives the rate. The model is unchanged
        then.

    Examples
    --------
    >>> from torch import nn
    >>> from scatter_theory import pruning
    >>> norm = nn.Sequential(nn.BatchNorm1d(3))
    >>> pruning.set_dead_rate(norm, 0.8413447)
    ('0',)
    >>> norm[0].bias.tolist()
    [-1.0000, -1.0000, -1.0000]
    """
    if isinstance(target, bool) or not isinstance(target, (int, float)) or not 0 < target < 1:
        raise ValueError(
            f"`set_dead_rate(target=...)`: got {target!r}, expected a number in (0, 1); no finite shift gives the "
            "rate 0 or 1."
        )
    chosen = _chosen(model, (layers,) if isinstance(layers, str) else tuple(layers))
    with torch.no_grad():
        for path, norm in chosen.items():
            if norm.weight is None or norm.bias is None:
                raise ValueError(
                    f"`set_dead_rate(layers=...)`: {path!r} has no scale and shift (`affine=False`), expected both. "
                    "Leave it out by `layers`."
                )
            if not ((norm.weight != 0) & norm.weight.isfinite()).all():
                raise ValueError(
                    f"`set_dead_rate(model=...)`: the scale of {path!r} has entries that are 0 or not finite, expected "
                    "none: such a channel is constant, and dead or alive whatever the rate. Leave it out by `layers`."
                )
        quantile = float(torch.special.ndtri(torch.tensor(target, dtype=torch.float64)))
        for norm in chosen.values():
            norm.bias.copy_(-norm.weight.abs() * quantile)
    return tuple(chosen)


def _chosen(model: nn.Module, patterns: tuple[str, ...]) -> dict[str, _BatchNorm]:
    norms = {path: module for path, module in model.named_modules() if isinstance(module, _BatchNorm)}
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in norms):
            raise ValueError(
                f"`set_dead_rate(layers=...)`: {pattern!r} fits no batch normalisation of the model, expected names or "
                f"patterns of {', '.join(map(repr, norms)) or 'one, but there is none'}."
            )
    return {path: norm for path, norm in norms.items() if any(fnmatchcase(path, pattern) for pattern in patterns)}
