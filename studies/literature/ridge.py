"""The linear classifier of all parts on images: ridge regression, its penalty by leaving out one image at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from studies.literature.images import Fit, standardised

#: Half decades from 0.01 to 10,000.
PENALTIES = tuple(10.0 ** (0.5 * i) for i in range(-4, 9))
#: What a choice depends on, for the settings of a measurement.
CONSTANTS = {"penalties": PENALTIES}


def linear(features: Tensor, labels: Tensor, train: int) -> Fit:
    r"""One-against-all ridge regression on standardised features.

    With the standardised features ``z`` of ``n`` training images, and 0 or 1 as targets ``y`` of each class, it
    minimises

    .. math:: \sum_i |y_i - b - w^\top z_i|^2 + \lambda |w|^2 .

    A model of all images but the i-th misses its target by :math:`(y_i - \hat y_i) / (1 - h_i)`, where
    :math:`h_i = 1/n + z_i^\top (Z^\top Z + \lambda)^{-1} z_i`: with its own answer as the i-th target it stays the
    minimum over all n images, and answers are linear in the targets with the factor :math:`h_i`. So one
    eigendecomposition tells, for every penalty, which training images are wrong when they are left out; the fewest
    decide, and of equals the largest penalty. Means are those of the images that are left; scales those of all.

    Parameters
    ----------
    features : (count, n) tensor
        Of all images, the training images first.
    labels : (count,) tensor
        Whole numbers from 0 on.
    train : int
        Training images.

    Returns
    -------
    Fit
        Its choice is the ``"penalty"``.
    """
    z, n = standardised(features.double(), train), train
    targets = torch.nn.functional.one_hot(labels).double()[:n]
    prior = targets.mean(0)
    model = _Spectrum(z[:n], targets - prior)
    misses = {}
    for penalty in PENALTIES:
        residual = targets - prior - z[:n] @ model.weights(penalty)
        left_out = targets - residual / (1 - 1 / n - model.leverage(penalty))[:, None]
        misses[penalty] = int((left_out.argmax(1) != labels[:n]).sum())
    penalty = min(PENALTIES, key=lambda p: (misses[p], -p))
    answers = (z[n:] @ model.weights(penalty) + prior).argmax(1)
    return Fit(answers != labels[n:], 100 * misses[penalty] / n, {"penalty": penalty})


class _Spectrum:
    """Solutions for all penalties, from the eigenvalues of the smaller one of the two Gram matrices."""

    def __init__(self, z: Tensor, y: Tensor) -> None:
        self.dual = len(z) < z.shape[1]
        self.eigenvalues, basis = torch.linalg.eigh(z @ z.T if self.dual else z.T @ z)
        self.eigenvalues = self.eigenvalues.clamp_min(0)
        if self.dual:
            self.squares, self.back, self.moment = basis**2 * self.eigenvalues, z.T @ basis, basis.T @ y
        else:
            self.squares, self.back, self.moment = (z @ basis) ** 2, basis, basis.T @ (z.T @ y)

    def weights(self, penalty: float) -> Tensor:
        return self.back @ (self.moment / (self.eigenvalues + penalty)[:, None])

    def leverage(self, penalty: float) -> Tensor:
        return self.squares @ (1 / (self.eigenvalues + penalty))
