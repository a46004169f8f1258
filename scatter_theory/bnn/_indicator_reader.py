"""How one binarised tensor is read: with which curves, which sign of zero, which sample."""

from __future__ import annotations

import random
from dataclasses import replace

import torch
from torch import Tensor

from scatter_theory.bnn._binarizer import Binarizer
from scatter_theory.bnn._estimator import Estimator
from scatter_theory.bnn._indicator_presets import Curve, curve_of
from scatter_theory.bnn._indicator_tally import COMPARED, Tally
from scatter_theory.bnn._measures import flips, packed, signs


class Reader:
    """Makes states of latent weights and of activations; remembers the signs of weights.

    Parameters
    ----------
    curves : tuple of str
        Curves of the estimating error.
    o_end : float or None
        Final o of the curve ``"power_final"``; None for that of the binarizer.
    sign_zero : int or None
        Sign of zero in the error; None for that of the binarizer.
    sample, seed : int
        Share 1/sample of the activations, and seed of the starts.
    """

    def __init__(
        self, curves: tuple[Curve, ...], o_end: float | None, sign_zero: int | None, sample: int, seed: int
    ) -> None:
        self._curves, self._o_end, self._sign_zero, self._sample = curves, o_end, sign_zero, sample
        self._starts = random.Random(seed)
        self._signs: dict[str, Tensor] = {}

    def curves_of(self, key: str, binarizer: Binarizer) -> list[Estimator]:
        """Estimators whose surrogates are the curves now; errors as in `curve_of`."""
        return [curve_of(curve, key, binarizer, self._o_end) for curve in self._curves]

    def weight(self, key: str, binarizer: Binarizer, latent: Tensor, gradient: Tensor | None) -> Tensor:
        """Packed state of a latent weight, with the signs that have flipped since the time before."""
        row = packed(latent, gradient, binarizer.estimator, self.curves_of(key, binarizer), self._zero(binarizer))
        now = signs(latent, binarizer.estimator, binarizer.sign_zero)
        if key in self._signs:
            row[COMPARED] += flips(self._signs[key], now)
            self._signs[key].copy_(now)
        else:
            self._signs[key] = now
        return row

    def activation(self, key: str, binarizer: Binarizer, z: Tensor, gradient: Tensor) -> Tensor:
        """Packed state of an activation."""
        start = self._starts.randrange(self._sample)
        curves = self.curves_of(key, binarizer)
        zero = self._zero(binarizer)
        return packed(z, gradient, binarizer.estimator, curves, zero, self._sample, start)

    def _zero(self, binarizer: Binarizer) -> int:
        return binarizer.sign_zero if self._sign_zero is None else self._sign_zero


def unscaled(row: Tensor, scale: Tensor | None) -> Tensor:
    """Packed state with the factor of a loss scaler divided out of the gradients."""
    if scale is None:
        return row
    state = Tally.unpack(row)
    return replace(state, gradient=state.gradient.scaled(scale.to(torch.float64).reciprocal())).pack()
