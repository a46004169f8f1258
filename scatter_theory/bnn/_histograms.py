"""Where the latent weights of a binarised model lie, beside the thresholds of their estimators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scatter_theory.bnn._binarizer import binarizers, latent_weights
from scatter_theory.bnn._estimator import wide


@dataclass(frozen=True, eq=False)
class LatentHistograms:
    """Histograms of latent weights, one row per tensor, on common cells; made by `latent_histograms`.

    Parameters
    ----------
    names : tuple of str
        Paths of the tensors, as in ``latent_weights``.
    edges : (n_bins + 1,) array
        Ends of the cells, symmetric about 0.
    counts : (n_tensors, n_bins) int array
        Finite entries in each cell; few lie outside of all, see `latent_histograms`.
    limits : (n_tensors, 2) array
        Inner and outer limit of each estimator: f' is constant up to the inner one and 0 beyond the outer one.
    inside, beyond : (n_tensors,) arrays
        Shares of the finite entries up to the inner limit, and beyond the outer one; NaN without finite entries.
    excluded : (n_tensors,) int array
        Entries that are not finite.
    """

    names: tuple[str, ...]
    edges: np.ndarray
    counts: np.ndarray
    limits: np.ndarray
    inside: np.ndarray
    beyond: np.ndarray
    excluded: np.ndarray

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw one ridge per tensor with its thresholds; returns the display object with its artists."""
        from scatter_theory.plot import LatentHistogramsDisplay

        return LatentHistogramsDisplay.from_histograms(self).plot(ax=ax, **style)


@torch.no_grad()
def latent_histograms(model: nn.Module, *, bins: int = 201) -> LatentHistograms:
    """Histograms of all latent weights of a model, with the limits of the estimators in use.

    Parameters
    ----------
    model : nn.Module
        A model from ``binarize_model``.
    bins : int
        Cells, at least 1; an odd number has one at 0. They end at the largest modulus, or, where few weights are far
        larger than the others, at twice the median over tensors of the quantile 0.999 of the moduli.

    Returns
    -------
    LatentHistograms

    Raises
    ------
    ValueError
        If the model has no binarised weights, or `bins` is no positive whole number.
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise ValueError(f"`latent_histograms(bins=...)`: got {bins!r}, expected a whole number >= 1.")
    weights = latent_weights(model)
    if not weights:
        raise ValueError(
            f"`latent_histograms(model=...)`: no binarised weights in the {type(model).__name__}; binarise it with "
            "`bnn.binarize_model(model, estimator, weights=True)` first."
        )
    holders = binarizers(model, "weight")
    kept = {key: w.detach()[w.detach().isfinite()] for key, w in weights.items()}
    finite = {key: w.double().cpu().numpy() for key, w in kept.items()}
    largest = max(np.abs(v).max(initial=0.0) for v in finite.values())
    usual = np.median([np.quantile(np.abs(v), 0.999) if v.size else 0.0 for v in finite.values()])
    top = float(min(largest, 2 * usual) or largest or 1.0)
    edges = np.linspace(-top, top, bins + 1)
    limits = np.array([holders[key].estimator.limits for key in weights])
    shares = [_shares(wide(w).abs(), *pair) for w, pair in zip(kept.values(), limits.tolist(), strict=True)]
    return LatentHistograms(
        names=tuple(weights),
        edges=edges,
        counts=np.array([np.histogram(v, edges)[0] for v in finite.values()]),
        limits=limits,
        inside=np.array([inside for inside, _ in shares]),
        beyond=np.array([beyond for _, beyond in shares]),
        excluded=np.array([weights[key].numel() - v.size for key, v in finite.items()]),
    )


def _shares(u: Tensor, inner: float, outer: float) -> tuple[float, float]:
    """Compared in the precision of the weights, as estimators do."""
    if u.numel() == 0:
        return float("nan"), float("nan")
    return float((u <= inner).double().mean()), float((u > outer).double().mean())
